/* The daemon sees by itself that a credential changed, and nothing but that: the real reader, the real inotify. */
#include "tests/support/hung_mount.h"
#include "tests/support/rotation.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What is said to be seen within a second takes a third of one, most of it the gathering of writes: a few of each kind
 * here, the figure in a soak. */
enum { CHANGE_COUNT = 2, CHANGE_FIGURE = 200 };

static void observed_setup(void)
{
    rotation_open(observing);
}

/* ---- what is seen ---- */

static void (*change)(size_t number);

static size_t change_count(void)
{
    size_t count = patience_soaks() ? CHANGE_FIGURE : CHANGE_COUNT;

    return change == change_by_removal ? 2 * count : count;
}

/* Whether all of them were seen in time. */
static bool change_often(size_t round)
{
    size_t count = change_count();
    bool in_time = true;

    for (size_t i = 1; i <= count; i++) {
        uint64_t since_ns = clock_now_ns();

        change(round * count + i);
        in_time = expect_change("openrouter", since_ns) <= SEEN_MS && in_time;
    }
    return in_time;
}

START_TEST(a_change_is_seen_within_a_second)
{
    change = changes[_i];
    if (change == change_by_link)
        change_by_link(0);
    else
        change_in_place(0);
    begin_observing();
    expect_in_time(change_often);
    ck_assert_uint_ge(daemon_number(server, "probed_observed_changes_total"), change_count());
}
END_TEST

START_TEST(what_a_link_leads_to_is_polled)
{
    size_t count = patience_count(20);
    char text[CREDENTIAL_SIZE];

    pool_of(0, 0, text);
    ck_assert_int_eq(mkdir(in_home("elsewhere"), 0700), 0);
    write_in_place(in_home("elsewhere/pool"), text);
    ck_assert_int_eq(symlink("elsewhere/pool", in_home("auth.json")), 0);
    begin_observing();
    for (size_t i = 1; i <= count; i++) {
        uint64_t since_ns = clock_now_ns(), ms;

        pool_of(i, 0, text);
        write_in_place(in_home("elsewhere/pool"), text);
        ms = expect_change("openrouter", since_ns);
        ck_assert_msg(ms <= POLLED_MS || !patience_time_counts(), "seen after %d ms", (int)ms);
    }
}
END_TEST

/* ---- what is no change ---- */

START_TEST(bookkeeping_is_no_change)
{
    size_t count = patience_count(1000);
    char text[CREDENTIAL_SIZE];

    pool_of(1, 0, text);
    home_write(home, "auth.json", text);
    begin_observing();
    for (size_t i = 1; i <= count; i++) {
        pool_of(1, i, text);
        home_write(home, "auth.json", text);
    }
    pool_of(2, count, text);
    home_write(home, "auth.json", text);
    expect_change("openrouter", clock_now_ns());
}
END_TEST

START_TEST(the_same_values_are_no_change)
{
    size_t count = patience_count(1000);

    change_by_rename(1);
    begin_observing();
    for (size_t i = 1; i <= count; i++) {
        changes[i % 2](1);
        ck_assert_int_eq(chmod(in_home(".env"), i % 4 < 2 ? 0600 : 0644), 0);
    }
    change_by_rename(2);
    expect_change("openrouter", clock_now_ns());
}
END_TEST

START_TEST(writes_that_belong_together_are_one_change)
{
    char text[CREDENTIAL_SIZE];

    change_by_rename(1);
    begin_observing();
    for (size_t i = 2; i < 12; i++)
        change_in_place(i);
    pool_of(2, 0, text);
    home_write(home, "auth.json", text);
    expect_change("openrouter", clock_now_ns());
    change_by_rename(1);
    expect_change("openrouter", clock_now_ns());
}
END_TEST

/* ---- whom it concerns ---- */

START_TEST(another_providers_answers_go_on)
{
    change_by_rename(1);
    begin_observing();
    expect_plan(begin("anthropic", NULL), "one");
    change_by_rename(2);
    expect_change("openrouter", clock_now_ns());
    expect_origin(begin("anthropic", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

START_TEST(what_no_provider_is_known_for_concerns_the_home)
{
    home_write(home, ".env", "OF_MY_OWN_WORKER=one\n");
    begin_observing();
    home_write(home, ".env", "OF_MY_OWN_WORKER=two\n");
    expect_change("", clock_now_ns());
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
}
END_TEST

START_TEST(a_probe_in_the_air_is_asked_again)
{
    struct call *overtaken;

    change_by_rename(1);
    overtaken = begin_leased("gate", NULL);
    home_write(home, "credential", "two");
    home_write(home, ".env", "OF_MY_OWN_WORKER=two\n");
    home_wait(home, "ask", 2);
    home_open_gate(home, 2);
    ck_assert_str_eq(probe_response(overtaken)->usage->plan, "two");
    ck_assert_uint_ge(probe_response(overtaken)->fence->generation, 2);
    call_end(overtaken);
}
END_TEST

/* ---- who reads ---- */

enum { OWNER_UID = 65534 };

/* The build may be below a private directory, and the custodian looks for the reader beside itself. */
static void owned_setup(void)
{
    static const char *const files[] = {".", "gate", "credential", ".env"};
    char program[SCRATCH_PATH_SIZE * 4], copy[SCRATCH_PATH_SIZE + 16];

    excuse_readers();
    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    writers = *home;
    change_by_rename(1);
    for (size_t i = 0; i < ROW_COUNT(files); i++)
        ck_assert_int_eq(chown(in_home(files[i]), OWNER_UID, OWNER_UID), 0);
    daemon_program("probed-reader", program);
    snprintf(copy, sizeof copy, "%s/probed-reader", stage.scratch.path);
    process_copy_program(program, copy);
    daemon_start_as(server, &stage.scratch, 0, observing);
    listener_open(&listener, server->events_url);
    generation = 1;
}

/* That it cannot be read any more is no change to root, who can. */
START_TEST(a_reader_has_the_rights_of_the_homes_owner)
{
    begin_observing();
    ck_assert_int_eq(chmod(in_home(".env"), 0600), 0);
    ck_assert_int_eq(chown(in_home(".env"), 0, 0), 0);
    expect_change("", clock_now_ns());
}
END_TEST

/* ---- a directory that goes ---- */

START_TEST(a_home_that_is_removed_has_changed)
{
    char command[HOME_PATH_SIZE + 16];
    struct heard heard;

    change_by_rename(1);
    begin_observing();
    snprintf(command, sizeof command, "rm -rf %s", home->path);
    ck_assert_int_eq(system(command), 0);
    heard = listener_next_event(&listener);
    ck_assert_str_eq(heard.event->home, home->path);
    ck_assert_int_eq((int)heard.event->cause, PROBED__V1__CAUSE__CAUSE_OBSERVED);
    heard_end(&heard);
    daemon_wait(server, "probed_observed_homes", 0);
}
END_TEST

START_TEST(a_home_that_is_made_again_is_observed_again)
{
    char command[HOME_PATH_SIZE + 16];

    change_by_rename(1);
    begin_observing();
    snprintf(command, sizeof command, "rm -rf %s", home->path);
    ck_assert_int_eq(system(command), 0);
    daemon_wait(server, "probed_observed_homes", 0);
    home_create(home, &stage.scratch, "home");
    change_by_rename(1);
    begin_observing();
    forget_heard();
    change_by_rename(2);
    expect_change("openrouter", clock_now_ns());
}
END_TEST

/* ---- nobody is looking for a while ---- */

/* More events than the kernel keeps (fs.inotify.max_queued_events) while nobody takes them. */
static void fill_queue(const struct home *other)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    unsigned long count = 0;
    char path[HOME_PATH_SIZE * 2];

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &count), 1);
    fclose(file);
    for (unsigned long i = 0; i <= count; i++) { /* two in a row that are the same would be one */
        snprintf(path, sizeof path, "%s/%s", other->path, i % 2 == 0 ? "gate" : "credential");
        ck_assert_int_eq(chmod(path, 0600), 0);
    }
}

START_TEST(a_queue_that_overflows_loses_nothing)
{
    struct home other;
    pid_t pid;

    change_by_rename(1);
    begin_observing();
    home_create(&other, &stage.scratch, "other");
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "one");
    pid = custodian();
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    fill_queue(&other);
    change_by_rename(2);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    expect_change("openrouter", clock_now_ns());
}
END_TEST

START_TEST(what_changes_while_there_is_no_custodian_is_seen_by_the_next)
{
    size_t count = patience_count(40);

    change_by_rename(0);
    begin_observing();
    for (size_t i = 1; i <= count; i++) {
        pid_t pid = custodian();

        ck_assert_int_eq(kill(pid, SIGSTOP), 0);
        change_by_rename(i);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        expect_change("", clock_now_ns()); /* which provider it was, the one that died knew */
    }
}
END_TEST

START_TEST(a_custodians_death_is_no_change)
{
    change_by_rename(1);
    begin_observing();
    ck_assert_int_eq(kill(custodian(), SIGKILL), 0);
    daemon_wait(server, "idle", 0);
    expect_origin(begin_refresh("openrouter"), PROBED__V1__ORIGIN__ORIGIN_COLD); /* there is another custodian */
    change_by_rename(2);
    expect_change(NULL, clock_now_ns()); /* perhaps before the other has read it once */
}
END_TEST

/* ---- a file system that hangs ---- */

enum { HUNG_COUNT = 10 };

static struct hung_mount hung;

/* The namespace and the mount come before the daemon, and before any thread. */
static void hung_setup(void)
{
    static char directory[SCRATCH_PATH_SIZE + 8];

    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    snprintf(directory, sizeof directory, "%s/hung", stage.scratch.path);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    ck_assert(hung_mount_open(&hung, directory, true, 0));
    rotation_start(observing);
}

static void hung_teardown(void)
{
    hung_mount_close(&hung);
    rotation_close();
}

/* Waits until that many readers hang beside the workers: their look at the home is not answered. */
static void wait_readers(size_t worker_count, size_t reader_count)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    while (process_children(custodian(), NULL, 0) < worker_count + reader_count) {
        ck_assert_msg(clock_now_ns() < due_ns, "no reader hangs");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static bool change_beside_the_hung(size_t round)
{
    enum { COUNT = 2 };
    bool in_time = true;

    for (size_t i = 1; i <= COUNT; i++) {
        change_by_rename(round * COUNT + i);
        in_time = expect_change("openrouter", clock_now_ns()) <= SEEN_MS && in_time;
        expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    }
    return in_time;
}

START_TEST(homes_that_hang_cost_others_nothing)
{
    char path[HOME_PATH_SIZE];

    change_by_rename(0);
    begin_observing();
    for (size_t i = 0; i < HUNG_COUNT; i++) {
        snprintf(path, sizeof path, "%s/h%zu", hung.directory, i);
        expect_origin(probe_begin(caller, path, "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_COLD);
    }
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 1 + HUNG_COUNT);
    daemon_wait(server, "idle", 1 + HUNG_COUNT);
    hung_mount_hang(&hung, false);
    wait_readers(1 + HUNG_COUNT, HUNG_COUNT / 2);
    expect_in_time(change_beside_the_hung);
}
END_TEST

/* ---- it can be turned off ---- */

static void off_setup(void)
{
    static const char *const off[] = {"--events-observe", "no", "--events-heartbeat-ms", "50", NULL};

    rotation_open(off);
}

START_TEST(who_is_told_to_looks_at_nothing)
{
    struct call *call;

    change_by_rename(1);
    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 0);
    change_by_rename(2);
    call = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    ck_assert_uint_eq(invalidate_response(call)->fence->generation, 2);
    call_end(call);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observed");
    TCase *tcase = tcase_create("seen");

    tcase_add_checked_fixture(tcase, observed_setup, rotation_close);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_set_tags(tcase, "timed");
    tcase_add_loop_test(tcase, a_change_is_seen_within_a_second, 0, (int)ROW_COUNT(changes));
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("told");
    tcase_add_checked_fixture(tcase, observed_setup, rotation_close);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, what_a_link_leads_to_is_polled);
    tcase_add_test(tcase, bookkeeping_is_no_change);
    tcase_add_test(tcase, the_same_values_are_no_change);
    tcase_add_test(tcase, writes_that_belong_together_are_one_change);
    tcase_add_test(tcase, another_providers_answers_go_on);
    tcase_add_test(tcase, what_no_provider_is_known_for_concerns_the_home);
    tcase_add_test(tcase, a_probe_in_the_air_is_asked_again);
    tcase_add_test(tcase, a_home_that_is_removed_has_changed);
    tcase_add_test(tcase, a_home_that_is_made_again_is_observed_again);
    tcase_add_test(tcase, a_queue_that_overflows_loses_nothing);
    tcase_add_test(tcase, what_changes_while_there_is_no_custodian_is_seen_by_the_next);
    tcase_add_test(tcase, a_custodians_death_is_no_change);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("owned");
    tcase_add_checked_fixture(tcase, owned_setup, rotation_close);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, a_reader_has_the_rights_of_the_homes_owner);
    suite_add_tcase(suite, tcase);
    if (hung_mount_possible()) {
        tcase = tcase_create("hung");
        tcase_set_tags(tcase, "timed");
        tcase_add_checked_fixture(tcase, hung_setup, hung_teardown);
        tcase_set_timeout(tcase, patience_test_s());
        tcase_add_test(tcase, homes_that_hang_cost_others_nothing);
        suite_add_tcase(suite, tcase);
    }
    tcase = tcase_create("off");
    tcase_add_checked_fixture(tcase, off_setup, rotation_close);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, who_is_told_to_looks_at_nothing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
