/* libprobed and probectl against the real daemon: what the client promises holds for the one it was made for. */
#include "tests/support/child.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <fcntl.h>
#include <probed/client.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_NOTHING = 1, EXIT_VIOLATION = 3, EXIT_UNREACHABLE = 69, EXIT_FAILED = 70 };

static char connect_setting[160], events_setting[160], home_setting[160];
static const char *environment[6];
static struct probed_channel *channel;

static void client_setup(void)
{
    static const char *const settings[] = {"--events-heartbeat-ms", "50", NULL};

    stage_open(&stage, settings);
    snprintf(connect_setting, sizeof connect_setting, "PROBED_CONNECT=%s", server->url);
    snprintf(events_setting, sizeof events_setting, "PROBED_EVENTS=%s", server->events_url);
    snprintf(home_setting, sizeof home_setting, "HERMES_HOME=%s", home->path);
    memcpy(environment, (const char *[]){connect_setting, events_setting, home_setting, "LC_ALL=C", NULL},
           5 * sizeof *environment);
    ck_assert_int_eq(probed_channel_open(&(struct probed_channel_options){.url = server->url}, &channel).code,
                     PROBED_OK);
}

/* The harness has the one connection that there may be. */
static void crowded_setup(void)
{
    static const char *const settings[] = {"--server-connections-per-uid", "1", NULL};

    stage_open(&stage, settings);
    snprintf(connect_setting, sizeof connect_setting, "PROBED_CONNECT=%s", server->url);
    memcpy(environment, (const char *[]){connect_setting, "LC_ALL=C", NULL}, 3 * sizeof *environment);
}

START_TEST(who_has_too_many_connections_is_told_so)
{
    const char *const health[] = {"probectl", "health", NULL};
    struct child_result result = child_run(health, environment, NULL, 0);

    ck_assert_int_eq(result.exit_status, EXIT_UNREACHABLE);
    ck_assert_msg(strstr(result.err, "as many as server.connections_per_uid allows") != NULL, "%s", result.err);
    ck_assert_ptr_null(strstr(result.err, "is it running?"));
    child_result_fini(&result);
}
END_TEST

static int act_health(void *context)
{
    char *const health[] = {"probectl", "health", NULL};
    int fd = open(context, O_WRONLY);

    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || putenv(connect_setting) != 0)
        return 126;
    execv(getenv("PROBECTL"), health);
    return 127;
}

/* The folder of the socket is closed to others, which is no reason to doubt that somebody runs. */
START_TEST(who_may_not_use_the_socket_is_told_so)
{
    char program[SCRATCH_PATH_SIZE * 4], path[SCRATCH_PATH_SIZE + 16], text[512] = "";
    int fd;

    snprintf(path, sizeof path, "%s/said", stage.scratch.path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, 0666), 0);
    daemon_program("probectl", program);
    ck_assert_int_eq(setenv("PROBECTL", program, 1), 0);
    ck_assert_int_eq(process_as(65534, act_health, path), EXIT_UNREACHABLE);
    ck_assert_int_gt((int)read(fd, text, sizeof text - 1), 0);
    close(fd);
    ck_assert_msg(strstr(text, "Permission denied; this user may not use that socket") != NULL, "%s", text);
    ck_assert_ptr_null(strstr(text, "is it running?"));
}
END_TEST

static void client_teardown(void)
{
    probed_channel_close(channel);
    story_teardown();
}

static void expect(const char *const *argv, int exit_status, const char *out_part, const char *err_part)
{
    struct child_result result = child_run(argv, environment, NULL, 0);

    ck_assert_msg(result.exit_status == exit_status && strstr(result.out, out_part) != NULL &&
                      strstr(result.err, err_part) != NULL,
                  "exit %d instead of %d\n%s%s", result.exit_status, exit_status, result.out, result.err);
    child_result_fini(&result);
}

#define WORDS(...) ((const char *const[]){"probectl", __VA_ARGS__, NULL})

static struct probed_status probe(const char *provider, uint32_t timeout_ms, Probed__V1__Origin *origin_out)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__ProbeResponse *response;
    struct probed_status status;

    request.home = home->path;
    request.provider = (char *)(uintptr_t)provider;
    status = probed_probe(channel, &request, &(struct probed_call_options){.timeout_ms = timeout_ms}, &response);
    if (status.code == PROBED_OK) {
        *origin_out = response->origin;
        probed__v1__probe_response__free_unpacked(response, NULL);
    }
    return status;
}

/* ---- claims ---- */

START_TEST(an_account_is_shown_as_the_worker_told_it)
{
    expect(WORDS("probe", "openrouter"), 0, "openrouter  Scripted account - one\n", "");
    expect(WORDS("--json", "probe", "openrouter"), 0, "\"origin\":\"ORIGIN_CACHED\"", "");
    expect(WORDS("probe", "openrouter", "null"), EXIT_NOTHING, "Unavailable: The worker had no answer.", "");
}
END_TEST

START_TEST(a_refusal_is_said_in_the_daemons_words)
{
    expect(WORDS("probe", "--home", "/", "openrouter"), EXIT_FAILED, "", "probectl: probe of openrouter: ");
    expect(WORDS("probe", "two words"), EXIT_FAILED, "", "[a-z0-9._-] (INVALID_ARGUMENT)");
    expect(WORDS("probe", "garbage"), EXIT_FAILED, "", "(INTERNAL");
}
END_TEST

START_TEST(every_command_speaks_to_the_daemon)
{
    expect(WORDS("health"), 0, "serving\n", "");
    expect(WORDS("sync"), 0, "generation 1 of epoch ", "");
    expect(WORDS("probe", "openrouter"), 0, "", "");
    expect(WORDS("homes"), 0, home->path, "");
    expect(WORDS("workers"), 0, "idle", "");
    expect(WORDS("status"), 0, "probed " PROBED_VERSION ", up ", "");
    expect(WORDS("invalidate", "--home", home->path, "--quiesce"), 0, "1 cached answer dropped, 1 worker ended", "");
    expect(WORDS("invalidate", "--all"), 0, "generation 1 of epoch ", "");
    expect(WORDS("call", "/probed.v1.AdminService/GetStatus"), 0, PROBED_VERSION, "");
}
END_TEST

START_TEST(watch_prints_what_invalidate_did)
{
    char text[4096] = "", expected[256];
    size_t used = 0;
    int fd;
    pid_t pid = child_start(WORDS("watch"), environment, &fd);

    snprintf(expected, sizeof expected, "  %s  openrouter changed, generation 2, requested: rotated\n", home->path);
    while (strstr(text, expected) == NULL) {
        ssize_t got = read(fd, text + used, sizeof text - used - 1);

        ck_assert_msg(got > 0, "it ended with:\n%s", text);
        if (used == 0) /* it listens */
            expect(WORDS("invalidate", "--home", home->path, "--provider", "openrouter", "--reason", "rotated"), 0, "",
                   "");
        used += (size_t)got;
        text[used] = '\0';
    }
    close(fd);
    child_end(pid, SIGTERM);
}
END_TEST

START_TEST(the_daemons_own_word_on_a_missed_deadline_comes_through)
{
    Probed__V1__Origin origin;
    struct probed_status status = probe("stall", 300, &origin);

    ck_assert_int_eq(status.code, PROBED_DEADLINE_EXCEEDED);
    ck_assert_msg(strstr(status.message, "no answer from") == NULL, "%s", status.message);
}
END_TEST

START_TEST(a_channel_outlives_its_daemon)
{
    Probed__V1__Origin origin;
    struct probed_status status = probe("openrouter", 0, &origin);
    struct probed_call_options options = {.wait_for_ready = true};
    Probed__V1__SyncRequest sync = PROBED__V1__SYNC_REQUEST__INIT;
    Probed__V1__SyncResponse *synced;

    ck_assert_int_eq(status.code, PROBED_OK);
    ck_assert_int_eq((int)origin, PROBED__V1__ORIGIN__ORIGIN_COLD);
    daemon_stop(server);
    do /* until the end of the connection was noticed */
        status = probe("openrouter", 0, &origin);
    while (strstr(status.message, "closed the connection") != NULL);
    ck_assert_int_eq(status.code, PROBED_UNAVAILABLE);
    ck_assert(status.unreachable);
    expect(WORDS("health"), EXIT_UNREACHABLE, "", "is it running?");
    daemon_start(server, &stage.scratch, NULL);
    sync.home = home->path;
    status = probed_sync(channel, &sync, &options, &synced);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    probed__v1__sync_response__free_unpacked(synced, NULL);
}
END_TEST

START_TEST(probeload_finds_its_promises_kept_while_the_home_changes)
{
    const char *const load[] = {"probeload", "--in-flight",     "64", "--duration", "600", "--provider", "openrouter",
                                "--json",    "--api-key-count", "8",  NULL};
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    char report[4096] = "";
    size_t used = 0;
    int fd;
    pid_t pid = child_start(load, environment, &fd);

    request.home = home->path;
    for (size_t count = 0; count < 20; count++) {
        Probed__V1__InvalidateResponse *response;
        struct probed_status status;

        daemon_wait_at_least(server, "probed_leases_total{origin=\"cold\"}", count + 1); /* one in this generation */
        status = probed_invalidate(channel, &request, NULL, &response);
        ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
        probed__v1__invalidate_response__free_unpacked(response, NULL);
    }
    kill(pid, SIGINT);
    for (ssize_t got = 1; got > 0; used += (size_t)(got > 0 ? got : 0))
        got = read(fd, report + used, sizeof report - used - 1);
    close(fd);
    ck_assert_int_ne(child_end(pid, 0), EXIT_VIOLATION); /* some may have been overtaken too often: that is no lie */
    ck_assert_ptr_nonnull(strstr(report, "\"violation\":false"));
    ck_assert_ptr_nonnull(strstr(report, "\"cold\":"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tests = tcase_create("client");

    tcase_add_checked_fixture(tests, client_setup, client_teardown);
    tcase_set_timeout(tests, patience_test_s());
    tcase_add_test(tests, an_account_is_shown_as_the_worker_told_it);
    tcase_add_test(tests, a_refusal_is_said_in_the_daemons_words);
    tcase_add_test(tests, every_command_speaks_to_the_daemon);
    tcase_add_test(tests, watch_prints_what_invalidate_did);
    tcase_add_test(tests, the_daemons_own_word_on_a_missed_deadline_comes_through);
    tcase_add_test(tests, a_channel_outlives_its_daemon);
    tcase_add_test(tests, probeload_finds_its_promises_kept_while_the_home_changes);
    suite_add_tcase(suite, tests);
    tests = story_case(suite, "crowded", crowded_setup);
    tcase_add_test(tests, who_has_too_many_connections_is_told_so);
    if (geteuid() == 0) /* only root can be somebody else */
        tcase_add_test(tests, who_may_not_use_the_socket_is_told_so);
    return check_main(suite);
}
