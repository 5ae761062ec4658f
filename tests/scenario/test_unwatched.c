/* Where nobody tells of changes, homes are looked at again and again, and that is said once: at the kernel's limits, met
 * in a namespace of this test's own, and on a file system where others write.  And where there are more homes than are
 * watched: whoever is let go is not trusted again. */
#include "tests/support/hung_mount.h"
#include "tests/support/own_limits.h"
#include "tests/support/rotation.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- what is said ---- */

/* Lines of the log with both in them. */
static size_t count_lines(const char *words, const char *more_words)
{
    char path[HOME_PATH_SIZE], line[2048];
    size_t count = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/stderr", stage.scratch.path);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        count += strstr(line, words) != NULL && strstr(line, more_words) != NULL;
    fclose(file);
    return count;
}

static void expect_said_once(const char *words, const char *more_words)
{
    size_t count = count_lines(words, more_words);

    ck_assert_msg(count == 1, "\"%s\" with \"%s\" is said %zu times", words, more_words, count);
}

static const char polled[] = "a home's credentials are polled";

/* ---- at the kernel's limits ---- */

static void limited_setup(void)
{
    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    ck_assert(own_limits_enter());
}

static void wait_watched(size_t watch_count)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    while (process_watch_count(custodian()) < watch_count) {
        ck_assert_msg(clock_now_ns() < due_ns, "it is not watched");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* Numbers of keys, each another than the last. */
static size_t number;

static void expect_seen(uint64_t ms_max)
{
    uint64_t since_ns = clock_now_ns(), ms;

    change_by_rename(++number);
    ms = expect_change("openrouter", since_ns);
    ck_assert_msg(ms <= ms_max || !patience_time_counts(), "seen after %d ms", (int)ms);
}

static bool see_in_time(size_t round)
{
    uint64_t since_ns = clock_now_ns();

    (void)round;
    change_by_rename(++number);
    return expect_change("openrouter", since_ns) <= SEEN_MS;
}

/* As soon as there is something to tell of changes: by the poll behind it. */
static void expect_watched_again(const char *limit, size_t watch_count)
{
    ck_assert(own_limits_set(limit, 1000));
    wait_watched(watch_count);
    expect_in_time(see_in_time);
}

START_TEST(at_the_limit_of_watches_homes_are_polled_until_there_are_some)
{
    struct home other;
    size_t watch_count;

    rotation_start(observing);
    home_create(&other, &stage.scratch, "other");
    expect_plan(probe_begin(caller, other.path, "openrouter", NULL, 0), "one");
    watch_count = process_watch_count(custodian());
    ck_assert(own_limits_set("max_inotify_watches", 0)); /* who is watched is watched on */
    change_by_rename(++number);
    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 2);
    ck_assert_uint_eq(process_watch_count(custodian()), watch_count);
    expect_seen(POLLED_MS);
    expect_said_once(polled, home->path);
    expect_said_once("level=warn", "fs.inotify.max_user_watches");
    ck_assert_uint_eq(count_lines(polled, other.path), 0);
    expect_watched_again("max_inotify_watches", watch_count + 1);
    expect_said_once(polled, home->path);
}
END_TEST

START_TEST(without_an_instance_homes_are_polled_until_there_is_one)
{
    static const char blind[] = "nobody tells of changes in homes";

    ck_assert(own_limits_set("max_inotify_instances", 0));
    rotation_start(observing);
    change_by_rename(++number);
    begin_observing();
    ck_assert_uint_eq(process_watch_count(custodian()), 0);
    expect_said_once(blind, "level=warn");
    expect_said_once(polled, "fs.inotify.max_user_instances");
    expect_watched_again("max_inotify_instances", 1);
    expect_said_once(blind, "level=warn");
    expect_said_once("changes in homes are told of again", "level=info");
}
END_TEST

/* ---- on a file system that is not this kernel's own ---- */

static struct hung_mount mount_of_others;

/* The namespace and the mount come before the daemon, and before any thread. */
static void others_setup(void)
{
    static char directory[SCRATCH_PATH_SIZE + 8];

    scratch_open(&stage.scratch);
    snprintf(directory, sizeof directory, "%s/others", stage.scratch.path);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    ck_assert(hung_mount_open(&mount_of_others, directory, true, 0));
    snprintf(home->path, sizeof home->path, "%s/h1", directory);
    rotation_start(observing);
}

static void others_teardown(void)
{
    hung_mount_close(&mount_of_others);
    rotation_close();
}

START_TEST(what_is_written_behind_the_kernels_back_is_seen_by_polling)
{
    static const char *const keys[] = {"OPENROUTER_API_KEY=one\n", "OPENROUTER_API_KEY=two\n"};
    uint64_t since_ns, ms;

    hung_mount_write(&mount_of_others, keys[0]);
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    since_ns = clock_now_ns();
    hung_mount_write(&mount_of_others, keys[1]);
    ms = expect_change("openrouter", since_ns);
    ck_assert_msg(ms <= POLLED_MS || !patience_time_counts(), "seen after %d ms", (int)ms);
    expect_said_once(polled, home->path);
    expect_said_once(polled, "file system: fuse");
}
END_TEST

/* ---- on another machine's file system ---- */

/* The same directory as this machine sees it, and as who writes in it does, on whose file system it is: named by
 * PROBED_FAR and PROBED_NEAR, since a test does not mount one. */
static void far_remove(void)
{
    char command[HOME_PATH_SIZE + 16];

    snprintf(command, sizeof command, "rm -rf %s/home", getenv("PROBED_NEAR"));
    ck_assert_int_eq(system(command), 0);
}

static void far_setup(void)
{
    struct scratch far;

    scratch_open(&stage.scratch);
    far_remove(); /* of a run that failed */
    snprintf(far.path, sizeof far.path, "%s", getenv("PROBED_FAR"));
    home_create(home, &far, "home");
    rotation_start(observing);
    snprintf(writers.path, sizeof writers.path, "%s/home", getenv("PROBED_NEAR"));
}

static void far_teardown(void)
{
    rotation_close();
    far_remove();
}

/* Where the first reading takes so long that the worker does not wait for it, the home counts as changed. */
static void begin_far(void)
{
    begin_observing();
    while (process_children(custodian(), NULL, 0) > 1) /* the worker; and who reads */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    forget_heard();
}

START_TEST(what_another_machine_writes_is_seen_by_polling)
{
    size_t count = patience_count(100);
    uint64_t ms_max = 0;

    changes[_i](0);
    begin_far();
    for (size_t i = 1; i <= count; i++) {
        uint64_t since_ns = clock_now_ns(), ms;

        changes[_i](i);
        ms = expect_change("openrouter", since_ns);
        ms_max = ms > ms_max ? ms : ms_max;
    }
    printf("%zu changes of kind %d, each seen within %d ms\n", count, _i, (int)ms_max);
    ck_assert(ms_max <= POLLED_MS || !patience_time_counts());
    expect_said_once(polled, home->path);
    expect_said_once(polled, "file system: ");
}
END_TEST

START_TEST(the_same_values_written_by_another_machine_are_no_change)
{
    change_by_rename(1);
    begin_far();
    for (size_t i = 0; i < 10; i++) {
        changes[i % 2](1);
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    }
    change_by_rename(2);
    expect_change("openrouter", clock_now_ns());
}
END_TEST

START_TEST(a_home_that_another_machine_removes_has_changed)
{
    uint64_t since_ns, ms;

    change_by_rename(1);
    begin_far();
    since_ns = clock_now_ns();
    far_remove();
    ms = expect_change(NULL, since_ns);
    printf("a removal is seen after %d ms\n", (int)ms);
    ck_assert(ms <= POLLED_MS || !patience_time_counts());
}
END_TEST

/* ---- more homes than are watched ---- */

enum { WATCHED_COUNT_MAX = 4096 };

static struct home *crowd; /* WATCHED_COUNT_MAX + 1 of them */

static void crowd_setup(void)
{
    char name[16];

    crowd = calloc(WATCHED_COUNT_MAX + 1, sizeof *crowd);
    ck_assert_ptr_nonnull(crowd);
    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    for (size_t i = 0; i <= WATCHED_COUNT_MAX; i++) {
        snprintf(name, sizeof name, "h%zu", i);
        home_create(&crowd[i], &stage.scratch, name);
        home_write(&crowd[i], ".env", "OPENROUTER_API_KEY=one\n");
    }
    rotation_start(observing);
}

static void probe_home(size_t index)
{
    expect_plan(probe_begin(caller, crowd[index].path, "openrouter", NULL, 0), "one");
}

/* The next event is of this home, and was seen. */
static void expect_change_of(size_t index)
{
    struct heard heard = listener_next_event(&listener);

    ck_assert_str_eq(heard.event->home, crowd[index].path);
    ck_assert_int_eq((int)heard.event->cause, PROBED__V1__CAUSE__CAUSE_OBSERVED);
    heard_end(&heard);
}

struct footprint {
    size_t fds, custodian_fds, kib, custodian_kib, watches;
};

static struct footprint take_footprint(void)
{
    return (struct footprint){.fds = process_fd_count(server->pid),
                              .custodian_fds = process_fd_count(custodian()),
                              .kib = process_private_kib(server->pid),
                              .custodian_kib = process_private_kib(custodian()),
                              .watches = process_watch_count(custodian())};
}

static void print_footprint(const char *when, const struct footprint *footprint)
{
    printf("%s: the daemon %zu descriptors, %zu KiB; the custodian %zu descriptors, %zu KiB, %zu watches\n", when,
           footprint->fds, footprint->kib, footprint->custodian_fds, footprint->custodian_kib, footprint->watches);
}

START_TEST(beyond_the_bound_whoever_was_asked_for_longest_ago_is_let_go)
{
    struct footprint one, full, beyond;

    probe_home(0);
    one = take_footprint();
    for (size_t i = 1; i < WATCHED_COUNT_MAX; i++)
        probe_home(i);
    full = take_footprint();
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), WATCHED_COUNT_MAX);
    probe_home(0); /* which leaves home 1 for the one that was asked for longest ago */
    probe_home(WATCHED_COUNT_MAX);
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), WATCHED_COUNT_MAX);
    beyond = take_footprint();
    print_footprint("one home", &one);
    print_footprint("as many as are watched", &full);
    print_footprint("one more", &beyond);
    ck_assert_uint_eq(beyond.watches, full.watches);
    ck_assert_uint_le(beyond.custodian_fds, full.custodian_fds + 8); /* what a worker has, comes and goes */

    home_write(&crowd[1], ".env", "OPENROUTER_API_KEY=two\n"); /* nobody looks */
    home_write(&crowd[0], ".env", "OPENROUTER_API_KEY=two\n");
    expect_change_of(0);
    probe_home(1); /* is not trusted, and lets home 2 go */
    expect_change_of(1);
    home_write(&crowd[2], ".env", "OPENROUTER_API_KEY=two\n");
    home_write(&crowd[1], ".env", "OPENROUTER_API_KEY=three\n");
    expect_change_of(1);
    home_write(&crowd[WATCHED_COUNT_MAX], ".env", "OPENROUTER_API_KEY=two\n");
    expect_change_of(WATCHED_COUNT_MAX);
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), WATCHED_COUNT_MAX);
}
END_TEST

/* ---- suite ---- */

int main(void)
{
    Suite *suite = suite_create("unwatched");

    if (own_limits_possible()) {
        TCase *tcase = tcase_create("limits");

        tcase_add_checked_fixture(tcase, limited_setup, rotation_close);
        tcase_set_timeout(tcase, patience_test_s());
        tcase_add_test(tcase, at_the_limit_of_watches_homes_are_polled_until_there_are_some);
        tcase_add_test(tcase, without_an_instance_homes_are_polled_until_there_is_one);
        suite_add_tcase(suite, tcase);
    }
    if (hung_mount_possible()) {
        TCase *tcase = tcase_create("others");

        tcase_add_checked_fixture(tcase, others_setup, others_teardown);
        tcase_set_timeout(tcase, patience_test_s());
        tcase_add_test(tcase, what_is_written_behind_the_kernels_back_is_seen_by_polling);
        suite_add_tcase(suite, tcase);
    }
    if (patience_soaks()) {
        TCase *tcase = tcase_create("crowd");

        tcase_add_checked_fixture(tcase, crowd_setup, rotation_close);
        tcase_set_timeout(tcase, patience_test_s());
        tcase_add_test(tcase, beyond_the_bound_whoever_was_asked_for_longest_ago_is_let_go);
        suite_add_tcase(suite, tcase);
    }
    if (getenv("PROBED_FAR") != NULL && getenv("PROBED_NEAR") != NULL) {
        TCase *tcase = tcase_create("far");

        tcase_add_checked_fixture(tcase, far_setup, far_teardown);
        tcase_set_timeout(tcase, patience_test_s());
        tcase_add_loop_test(tcase, what_another_machine_writes_is_seen_by_polling, 0, (int)ROW_COUNT(changes));
        tcase_add_test(tcase, the_same_values_written_by_another_machine_are_no_change);
        tcase_add_test(tcase, a_home_that_another_machine_removes_has_changed);
        suite_add_tcase(suite, tcase);
    }
    return check_main(suite);
}
