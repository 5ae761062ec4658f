/* Clients that nobody here wrote: protoc writes and reads the messages, nngcat carries them. */
#include "tests/support/story.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_SIZE = 65536 };

/* Runs these lines with sh; what they wrote to their output. */
static const char *shell(const char *script)
{
    static char output[OUTPUT_SIZE];
    FILE *stream = popen(script, "re");
    size_t size;

    ck_assert_ptr_nonnull(stream);
    size = fread(output, 1, sizeof output - 1, stream);
    output[size] = '\0';
    ck_assert_msg(pclose(stream) == 0, "%s\n%s", script, output);
    return output;
}

/* Each step of the script is one that a stranger would type; $RPC, $HOME_PATH and $PROTO are set for it. */
static void set_variables(void)
{
    char proto[4096];
    const char *source = getenv("PROBED_SOURCE");

    ck_assert_ptr_nonnull(source);
    snprintf(proto, sizeof proto, "%s/proto", source);
    ck_assert_int_eq(setenv("PROTO", proto, 1), 0);
    ck_assert_int_eq(setenv("RPC", server->url, 1), 0);
    ck_assert_int_eq(setenv("EVENTS", server->events_url, 1), 0);
    ck_assert_int_eq(setenv("HOME_PATH", home->path, 1), 0);
    ck_assert_int_eq(setenv("WORK", stage.scratch.path, 1), 0);
}

/* call METHOD MESSAGE FILE: the text of a request on standard input, the text of the reply on standard output. */
#define CALL                                                                                                           \
    "set -e\n"                                                                                                         \
    "escape() { od -An -v -tx1 | tr -d ' \\n' | sed 's/../\\\\x&/g'; }\n"                                              \
    "call() {\n"                                                                                                       \
    "    payload=$(protoc -I\"$PROTO\" --encode=\"$2\" \"$3\" | escape)\n"                                             \
    "    printf 'method: \"%s\" timeout_ms: 10000 payload: \"%s\"' \"$1\" \"$payload\" |\n"                            \
    "        protoc -I\"$PROTO\" --encode=probed.v1.RpcRequest probed/v1/rpc.proto |\n"                                \
    "        nngcat --req --dial \"$RPC\" --file - --raw --recv-timeout 10 |\n"                                        \
    "        protoc -I\"$PROTO\" --decode=probed.v1.RpcResponse probed/v1/rpc.proto\n"                                 \
    "}\n"

static void expect_part(const char *output, const char *part)
{
    ck_assert_msg(strstr(output, part) != NULL, "\"%s\" is not in:\n%s", part, output);
}

START_TEST(nngcat_and_protoc_are_a_client)
{
    const char *output;

    set_variables();
    output = shell(CALL "printf 'home: \"%s\" provider: \"openrouter\"' \"$HOME_PATH\" |\n"
                        "    call /probed.v1.ProbeService/Probe probed.v1.ProbeRequest probed/v1/probe.proto\n");
    expect_part(output, "Scripted account");     /* within the payload, which is bytes here */
    ck_assert_ptr_null(strstr(output, "code:")); /* OK is 0, and 0 is not written */
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
}
END_TEST

START_TEST(a_stranger_is_told_what_is_wrong)
{
    const char *output;

    set_variables();
    output = shell(CALL "printf 'home: \"relative\" provider: \"openrouter\"' |\n"
                        "    call /probed.v1.ProbeService/Probe probed.v1.ProbeRequest probed/v1/probe.proto\n");
    expect_part(output, "code: INVALID_ARGUMENT");
    expect_part(output, "message: ");
}
END_TEST

START_TEST(the_health_service_is_gRPCs)
{
    const char *output;

    set_variables();
    output = shell(CALL "printf '' | call /grpc.health.v1.Health/Check grpc.health.v1.HealthCheckRequest "
                        "grpc/health/v1/health.proto\n");
    expect_part(output, "payload: \"\\010\\001\""); /* status: SERVING */
}
END_TEST

/* ---- a subscriber ---- */

static pid_t subscribe(const char *topic, const char *file)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
            _exit(126);
        execlp("nngcat", "nngcat", "--sub", "--dial", server->events_url, "--subscribe", topic, "--raw", "--count", "1",
               (char *)NULL);
        _exit(127);
    }
    return pid;
}

START_TEST(nngcat_is_a_subscriber)
{
    char topic[HOME_PATH_SIZE + 8], file[SCRATCH_PATH_SIZE + 16];
    const char *output;
    pid_t subscriber;
    int status, ended;

    set_variables();
    snprintf(topic, sizeof topic, "home:%s\n", home->path);
    snprintf(file, sizeof file, "%s/event", stage.scratch.path);
    subscriber = subscribe(topic, file);
    do { /* it does not say when it is connected: until it has heard one */
        struct call *call = invalidate_begin(caller, home->path, "openrouter", PROBED__V1__BARRIER__BARRIER_FENCED);

        call_expect(call, STATUS_OK, NULL);
        call_end(call);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        ended = waitpid(subscriber, &status, WNOHANG);
    } while (ended == 0);
    ck_assert_int_eq(ended, subscriber);
    ck_assert_int_eq(status, 0);
    /* Behind the line that is the topic stands the message. */
    output = shell("size=$(head -n 1 \"$WORK/event\" | wc -c)\n"
                   "tail -c +$((size + 1)) \"$WORK/event\" |\n"
                   "    protoc -I\"$PROTO\" --decode=probed.v1.CredentialEvent probed/v1/probe.proto\n");
    expect_part(output, "cause: CAUSE_REQUESTED");
    expect_part(output, "provider: \"openrouter\"");
    expect_part(output, home->path);
}
END_TEST

START_TEST(a_prefix_is_no_topic_of_another_home)
{
    char topic[HOME_PATH_SIZE + 8], file[SCRATCH_PATH_SIZE + 16];
    struct home longer;
    const char *output;
    pid_t subscriber;
    int status;

    set_variables();
    home_create(&longer, &stage.scratch, "home2"); /* whose name begins with ours */
    snprintf(topic, sizeof topic, "home:%s\n", home->path);
    snprintf(file, sizeof file, "%s/event", stage.scratch.path);
    subscriber = subscribe(topic, file);
    do {
        struct call *other = invalidate_begin(caller, longer.path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
        struct call *own = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_FENCED);

        call_expect(other, STATUS_OK, NULL);
        call_expect(own, STATUS_OK, NULL);
        call_end(other);
        call_end(own);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    } while (waitpid(subscriber, &status, WNOHANG) == 0);
    output = shell("cat \"$WORK/event\"");
    expect_part(output, home->path);
    ck_assert_ptr_null(strstr(output, longer.path));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strangers");
    TCase *tcase = story_case(suite, "strangers", story_setup);

    tcase_add_test(tcase, nngcat_and_protoc_are_a_client);
    tcase_add_test(tcase, a_stranger_is_told_what_is_wrong);
    tcase_add_test(tcase, the_health_service_is_gRPCs);
    tcase_add_test(tcase, nngcat_is_a_subscriber);
    tcase_add_test(tcase, a_prefix_is_no_topic_of_another_home);
    return check_main(suite);
}
