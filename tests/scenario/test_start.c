/* How the daemon starts, and what keeps it from starting: one line on standard error, and nothing done. */
#include "tests/support/child.h"
#include "tests/support/story.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Runs it to its end; asserts that it refuses, with one line that has this part. */
static void expect_refusal(const char *const *arguments, const char *part)
{
    struct child_result result = child_run(arguments, NULL, NULL, 0);

    ck_assert_int_ne(result.exit_status, 0);
    ck_assert_int_lt(result.exit_status, 128);
    ck_assert_msg(strstr(result.err, part) != NULL, "\"%s\" is not in \"%s\"", part, result.err);
    ck_assert_ptr_eq(strchr(result.err, '\n'), result.err + strlen(result.err) - 1); /* one line */
    ck_assert_str_eq(result.out, "");
    child_result_fini(&result);
}

static void expect_well(void)
{
    struct caller next;
    struct call *call;

    caller_open(&next, server->url);
    call = sync_begin(&next, home->path);
    sync_response(call);
    call_end(call);
    caller_close(&next);
}

START_TEST(a_second_daemon_gives_way_and_the_first_does_not_notice)
{
    const char *const arguments[] = {"probed",           "--server-listen",  server->url,
                                     "--server-publish", server->events_url, NULL};
    size_t count = patience_count(100);

    for (size_t i = 0; i < count; i++)
        expect_refusal(arguments, "rpc.sock");
    expect_well();
}
END_TEST

START_TEST(a_file_in_the_sockets_place_is_left_alone)
{
    char path[HOME_PATH_SIZE + 16], url[HOME_PATH_SIZE + 32];
    const char *const arguments[] = {"probed",           "--server-listen",      url,
                                     "--server-publish", "ipc:///nonexistent/e", NULL};
    struct stat about;

    snprintf(path, sizeof path, "%s/credential", home->path);
    snprintf(url, sizeof url, "ipc://%s", path);
    expect_refusal(arguments, path);
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert(S_ISREG(about.st_mode));
    ck_assert_int_eq(about.st_size, 3);
}
END_TEST

START_TEST(a_setting_that_is_wrong_is_named)
{
    static const struct {
        const char *flag, *value, *named;
    } rows[] = {
        {"--pool-workers-per-home", "0", "--pool-workers-per-home"},
        {"--pool-workers-per-home", "two", "--pool-workers-per-home"},
        {"--server-listen", "http://127.0.0.1:1", "http://127.0.0.1:1"},
        {"--server-listen", "tcp://192.0.2.1:1", "tls+tcp://ROLE@ADDRESS:PORT"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        const char *const arguments[] = {"probed", rows[i].flag, rows[i].value, NULL};

        expect_refusal(arguments, rows[i].named);
    }
}
END_TEST

START_TEST(an_unknown_key_in_a_file_is_named_with_its_line)
{
    char path[HOME_PATH_SIZE + 16], named[HOME_PATH_SIZE + 32];
    const char *const arguments[] = {"probed", "--config", path, NULL};

    home_write(home, "probed.conf", "[pool]\nworkers_per_home = 2\nworker_per_home = 3\n");
    snprintf(path, sizeof path, "%s/probed.conf", home->path);
    expect_refusal(arguments, "worker_per_home");
    snprintf(named, sizeof named, "%s:3", path);
    expect_refusal(arguments, named);
}
END_TEST

START_TEST(printed_settings_are_a_valid_file)
{
    struct child_result printed, checked;
    char path[HOME_PATH_SIZE + 16];
    const char *const print[] = {"probed", "--pool-workers-per-home", "7", "--print-config", NULL};
    const char *const check[] = {"probed", "--config", path, "--check-config", NULL};

    printed = child_run(print, NULL, NULL, 0);
    ck_assert_int_eq(printed.exit_status, 0);
    ck_assert_ptr_nonnull(strstr(printed.out, "workers_per_home = 7"));
    home_write(home, "probed.conf", printed.out);
    snprintf(path, sizeof path, "%s/probed.conf", home->path);
    checked = child_run(check, NULL, NULL, 0);
    ck_assert_msg(checked.exit_status == 0, "%s", checked.err);
    child_result_fini(&printed);
    child_result_fini(&checked);
}
END_TEST

START_TEST(every_program_says_its_version_and_helps)
{
    static const char *const programs[] = {"probed", "probed-custodian", "probe-worker", "probed-reader"};

    for (size_t i = 0; i < ROW_COUNT(programs); i++) {
        const char *const version[] = {programs[i], "--version", NULL}, *const help[] = {programs[i], "--help", NULL};
        struct child_result said = child_run(version, NULL, NULL, 0), helped = child_run(help, NULL, NULL, 0);

        ck_assert_msg(said.exit_status == 0 && strstr(said.out, PROBED_VERSION) != NULL, "%s: %s", programs[i],
                      said.out);
        ck_assert_msg(helped.exit_status == 0 && strstr(helped.out, programs[i]) != NULL, "%s: %s", programs[i],
                      helped.out);
        child_result_fini(&said);
        child_result_fini(&helped);
    }
}
END_TEST

/* ---- tcp ---- */

static char tcp_url[64];

/* A port that is free now. */
static void choose_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(tcp_url, sizeof tcp_url, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    close(fd);
}

static void tcp_untrusted(void)
{
    static const char *const settings[] = {"--server-listen", tcp_url, NULL};

    choose_port();
    stage_open(&stage, settings);
}

static void tcp_trusted(void)
{
    static const char *const settings[] = {"--server-listen", tcp_url, "--server-tcp-trust", "yes", NULL};

    choose_port();
    stage_open(&stage, settings);
}

START_TEST(a_tcp_peer_has_no_uid)
{
    struct caller remote;

    caller_open(&remote, tcp_url);
    expect_failure(probe_begin(&remote, home->path, "openrouter", NULL, 0), STATUS_UNAUTHENTICATED, NULL);
    expect_failure(sync_begin(&remote, home->path), STATUS_UNAUTHENTICATED, NULL);
    caller_close(&remote);
}
END_TEST

START_TEST(a_trusted_tcp_peer_counts_as_the_daemons_uid)
{
    struct caller remote;

    caller_open(&remote, tcp_url);
    expect_plan(probe_begin(&remote, home->path, "openrouter", NULL, 0), "one");
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    caller_close(&remote);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("start");
    TCase *tcase = story_case(suite, "start", story_setup);

    tcase_add_test(tcase, a_second_daemon_gives_way_and_the_first_does_not_notice);
    tcase_add_test(tcase, a_file_in_the_sockets_place_is_left_alone);
    tcase_add_test(tcase, a_setting_that_is_wrong_is_named);
    tcase_add_test(tcase, an_unknown_key_in_a_file_is_named_with_its_line);
    tcase_add_test(tcase, printed_settings_are_a_valid_file);
    tcase_add_test(tcase, every_program_says_its_version_and_helps);
    tcase = story_case(suite, "tcp", tcp_untrusted);
    tcase_add_test(tcase, a_tcp_peer_has_no_uid);
    tcase = story_case(suite, "trusted tcp", tcp_trusted);
    tcase_add_test(tcase, a_trusted_tcp_peer_counts_as_the_daemons_uid);
    return check_main(suite);
}
