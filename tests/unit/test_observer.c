/* When homes are read, by whom, and what of it is reported: the real inotify, with a reader that says what its home's
 * file `says` holds.
 *
 * The observer is told the time, so nothing here waits for time to pass: `skipped_ns` is put on top of the clock.  The
 * reader notes each of its starts in `log`, beside the home, where nobody looks; and waits at the FIFO `gate`, when
 * there is one there. */
#include "server/custody/custodian/observer.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/custody/custodian/mounts.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/scratch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 256, ID = 7, MANY = 6 };

#define ONES  "1111111111111111111111111111111111111111111111111111111111111111"
#define TWOS  "2222222222222222222222222222222222222222222222222222222222222222"
#define ONE   "watch .\nprovider openai " ONES "\nend\n"
#define TWO   "watch .\nprovider openai " TWOS "\nend\n"
#define HOMES "watch .\nhome " ONES "\nprovider openai " ONES "\nend\n"

static const char script[] = "echo start >>../log\ncat >/dev/null\ncat says\ntest -p ../gate && read line <../gate\n"
                             "test ! -e ../fails\n";

static struct scratch scratch;
static struct observer observer;
static struct spawn_plan plan_of_readers;
static struct seal no_seal = {.settings = {.level = SEAL_OFF}};
static char shell[] = "/bin/sh", script_path[PATH_SIZE];
static char *command[] = {shell, script_path, NULL};
static uint64_t skipped_ns;

static uint64_t now(void)
{
    return clock_now_ns() + skipped_ns;
}

static const char *in_scratch(const char *name)
{
    static char paths[4][PATH_SIZE];
    static size_t next;
    char *path = paths[next++ % 4];

    snprintf(path, PATH_SIZE, "%s/%s", scratch.path, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_scratch(name), "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static size_t count_starts(void)
{
    FILE *file = fopen(in_scratch("log"), "re");
    size_t count = 0;
    int byte;

    if (file == NULL)
        return 0;
    while ((byte = getc(file)) != EOF)
        count += byte == '\n';
    fclose(file);
    return count;
}

static void open_stage(void)
{
    struct status status;

    log_setup("test", LOG_ERROR, LOG_FORMAT_TEXT);
    scratch_open(&scratch);
    skipped_ns = 0;
    snprintf(script_path, sizeof script_path, "%s", in_scratch("reader.sh"));
    write_file("reader.sh", script);
    ck_assert_int_eq(mkdir(in_scratch("home"), 0700), 0);
    write_file("home/says", ONE);
    plan_of_readers = (struct spawn_plan){.command = command,
                                          .search_path = "/bin",
                                          .start_directory = "/",
                                          .environment = {.home_env = "HERMES_HOME"},
                                          .dotenv_withheld = true,
                                          .seal = &no_seal,
                                          .file_limit = {256, 256}};
    status = observer_open(&observer, &plan_of_readers);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void close_stage(void)
{
    observer_close(&observer);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    scratch_close(&scratch);
}

static void take_home(uint64_t id, const char *name, uint64_t digest)
{
    const struct order order = {.kind = ORDER_OBSERVE, .id = id, .digest = digest, .key = "a key"};
    int fd = open(in_scratch(name), O_PATH | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(observer_take(&observer, &order, fd, strdup(name), now()), 0);
}

/* ---- turns ---- */

/* Until something happens, or is due; at most so long. */
static void take_turn(int patience_ms)
{
    uint64_t next_ns = observer_next_ns(&observer), now_ns = now();
    struct pollfd look = {.fd = observer.fd, .events = POLLIN};

    if (next_ns <= now_ns)
        patience_ms = 0;
    else if (next_ns - now_ns < (uint64_t)patience_ms * NS_PER_MS)
        patience_ms = (int)((next_ns - now_ns) / NS_PER_MS) + 1;
    ck_assert_int_ge(poll(&look, 1, patience_ms), 0);
    observer_work(&observer, now());
}

static struct report next_report(void)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    struct report report;

    while (!observer_next_report(&observer, &report)) {
        ck_assert_msg(clock_now_ns() < due_ns, "nothing is reported");
        take_turn(PATIENCE_MS);
    }
    observer_note_sent(&observer, &report);
    return report;
}

static struct report expect_report(enum report_kind kind)
{
    struct report report = next_report();

    ck_assert_int_eq((int)report.kind, (int)kind);
    return report;
}

static void expect_changed(const char *provider)
{
    ck_assert_str_eq(expect_report(REPORT_CHANGED).text, provider);
}

static void expect_none(void)
{
    struct report report;

    ck_assert(!observer_next_report(&observer, &report));
}

static bool is_reading(void)
{
    return observer.quick.count + observer.slow.count + observer.condemned.count + observer.waiting.count > 0;
}

/* Until that many readers have started and none is left. */
static void await_readings(size_t count)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    while (count_starts() < count || is_reading()) {
        ck_assert_msg(clock_now_ns() < due_ns, "%zu readings, %zu are awaited", count_starts(), count);
        take_turn(10); /* the reader's note is not an event */
    }
}

static void begin_observing(void)
{
    take_home(ID, "home", 0);
    ck_assert_uint_eq(expect_report(REPORT_READ).id, ID);
}

/* ---- what is reported ---- */

START_TEST(the_first_reading_is_reported_and_no_change)
{
    struct report report;

    take_home(ID, "home", 0);
    report = expect_report(REPORT_READ);
    ck_assert_uint_ne(report.digest, 0);
    ck_assert_uint_eq(report.disturbed, 0);
    expect_none();
}
END_TEST

START_TEST(a_change_is_reported_for_its_provider)
{
    uint64_t digest;

    take_home(ID, "home", 0);
    digest = expect_report(REPORT_READ).digest;
    write_file("home/says", TWO);
    expect_changed("openai");
    ck_assert_uint_ne(expect_report(REPORT_READ).digest, digest);
    expect_none();
}
END_TEST

START_TEST(what_belongs_to_no_provider_concerns_all)
{
    begin_observing();
    write_file("home/says", HOMES);
    expect_changed("");
    expect_report(REPORT_READ);
    expect_none();
}
END_TEST

START_TEST(each_provider_that_changed_is_reported)
{
    begin_observing();
    write_file("home/says", "watch .\nprovider anthropic " ONES "\nend\n"); /* one is new, one is gone */
    expect_changed("anthropic");
    expect_changed("openai");
    expect_report(REPORT_READ);
    expect_none();
}
END_TEST

START_TEST(what_is_not_sent_yet_is_the_latest)
{
    struct report report;

    begin_observing();
    write_file("home/says", TWO);
    while (!observer_next_report(&observer, &report)) /* and nobody takes it */
        take_turn(PATIENCE_MS);
    write_file("home/says", ONE);
    while (observer_next_report(&observer, &report))
        take_turn(PATIENCE_MS);
}
END_TEST

/* Else whoever was told of half a change that was undone would compare with what was before it. */
START_TEST(what_was_told_of_a_change_that_is_undone_is_what_is_known)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS, digest;
    struct report report;

    take_home(ID, "home", 0);
    digest = expect_report(REPORT_READ).digest;
    write_file("home/says", "watch .\nprovider anthropic " ONES "\nend\n");
    expect_changed("anthropic"); /* and that openai has gone is not sent yet */
    write_file("home/says", "watch .\nprovider anthropic " ONES "\nprovider openai " ONES "\nend\n");
    while (!observer_next_report(&observer, &report) || report.kind != REPORT_READ) {
        ck_assert_msg(clock_now_ns() < due_ns, "what is known now is not reported");
        take_turn(PATIENCE_MS);
    }
    ck_assert_uint_ne(report.digest, digest);
}
END_TEST

START_TEST(a_file_beside_it_costs_a_reading_and_is_nothing)
{
    begin_observing();
    write_file("home/notes", "today\n");
    await_readings(2);
    expect_none();
}
END_TEST

START_TEST(what_changes_while_it_is_read_is_read_again)
{
    ck_assert_int_eq(mkfifo(in_scratch("gate"), 0600), 0);
    take_home(ID, "home", 0);
    while (count_starts() < 1)
        take_turn(10);
    write_file("home/says", TWO);
    write_file("gate", "go\n");
    ck_assert_int_eq(unlink(in_scratch("gate")), 0);
    ck_assert_uint_eq(expect_report(REPORT_READ).disturbed, 1);
}
END_TEST

START_TEST(a_digest_of_old_is_compared_with)
{
    uint64_t digest;

    take_home(ID, "home", 0);
    digest = expect_report(REPORT_READ).digest;
    take_home(ID + 1, "home", digest); /* as the next custodian does */
    ck_assert_uint_eq(expect_report(REPORT_READ).id, ID + 1);
    expect_none();
    take_home(ID + 2, "home", digest + 1);
    expect_changed("");
    expect_report(REPORT_READ);
    expect_none();
}
END_TEST

/* ---- where it is looked ---- */

START_TEST(a_directory_that_the_reader_names_is_watched)
{
    ck_assert_int_eq(mkdir(in_scratch("home/sub"), 0700), 0);
    write_file("home/says", "watch .\nwatch sub\nprovider openai " ONES "\nend\n");
    begin_observing();
    await_readings(2); /* it was not watched during the first */
    write_file("home/sub/file", "x");
    await_readings(3);
    ck_assert_int_eq(rename(in_scratch("home/sub"), in_scratch("home/old")), 0);
    ck_assert_int_eq(mkdir(in_scratch("home/sub"), 0700), 0);
    await_readings(4);
    await_readings(5); /* it is another directory */
    write_file("home/sub/file", "y");
    await_readings(6);
    expect_none();
}
END_TEST

START_TEST(homes_may_share_a_directory)
{
    ck_assert_int_eq(mkdir(in_scratch("home/inner"), 0700), 0);
    write_file("home/inner/says", ONE);
    write_file("home/says", "watch .\nwatch inner\nprovider openai " ONES "\nend\n");
    begin_observing();
    take_home(ID + 1, "home/inner", 0);
    ck_assert_uint_eq(expect_report(REPORT_READ).id, ID + 1);
    observer_forget(&observer, ID); /* which leaves the other's watch alone */
    write_file("home/inner/says", TWO);
    expect_changed("openai");
}
END_TEST

START_TEST(what_cannot_be_watched_is_polled)
{
    write_file("home/says", "watch .\npoll link\nprovider openai " ONES "\nend\n");
    begin_observing();
    for (size_t count = 2; count < 5; count++) {
        skipped_ns += 2 * NS_PER_S;
        await_readings(count);
    }
    expect_none();
}
END_TEST

START_TEST(a_directory_on_another_file_system_is_polled)
{
    ck_assert_int_eq(symlink("/proc", in_scratch("home/elsewhere")), 0);
    write_file("home/says", "watch .\nwatch elsewhere\nprovider openai " ONES "\nend\n");
    begin_observing();
    skipped_ns += 2 * NS_PER_S;
    await_readings(2);
}
END_TEST

START_TEST(a_file_system_is_known_by_the_mount_table)
{
    static const struct {
        const char *path, *kind;
        bool is_local;
    } mounts[] = {{"/proc", "proc", false}, {"/sys", "sysfs", false}};
    char kind[MOUNTS_KIND_SIZE];

    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        int fd = open(mounts[i].path, O_PATH | O_CLOEXEC);

        mounts_find_kind(fd, kind);
        ck_assert_str_eq(kind, mounts[i].kind);
        ck_assert_int_eq(mounts_kind_is_local(kind), mounts[i].is_local);
        close(fd);
    }
    mounts_find_kind(-1, kind);
    ck_assert_str_eq(kind, "?");
    ck_assert(mounts_kind_is_local("ext4"));
    ck_assert(!mounts_kind_is_local("nfs4") && !mounts_kind_is_local("fuse.sshfs") && !mounts_kind_is_local("?"));
}
END_TEST

START_TEST(a_home_that_is_removed_is_lost)
{
    begin_observing();
    ck_assert_int_eq(unlink(in_scratch("home/says")), 0);
    ck_assert_int_eq(rmdir(in_scratch("home")), 0);
    expect_report(REPORT_LOST);
    expect_none();
    ck_assert_uint_eq(observer_next_ns(&observer), UINT64_MAX);
}
END_TEST

START_TEST(a_home_that_is_moved_is_lost)
{
    begin_observing();
    ck_assert_int_eq(rename(in_scratch("home"), in_scratch("moved")), 0);
    expect_report(REPORT_LOST);
    expect_none();
}
END_TEST

/* ---- readers that fail ---- */

static const char *const no_findings[] = {"", "watch .\n", "home is where the heart is\n"};

START_TEST(what_is_not_understood_is_nothing_and_is_tried_again)
{
    write_file("home/says", no_findings[_i]);
    take_home(ID, "home", 0);
    expect_report(REPORT_UNREAD);
    skipped_ns += NS_PER_S;
    await_readings(2);
    expect_none(); /* it was said */
    write_file("home/says", ONE);
    skipped_ns += 2 * NS_PER_S;
    expect_report(REPORT_READ);
}
END_TEST

START_TEST(a_reader_that_fails_behind_its_end_has_said_nothing)
{
    write_file("fails", "");
    take_home(ID, "home", 0);
    expect_report(REPORT_UNREAD);
}
END_TEST

/* It is not waited for, nor listened to for as long as it goes on. */
START_TEST(a_reader_that_writes_without_end_has_said_nothing)
{
    struct report report;

    ck_assert_int_eq(unlink(in_scratch("home/says")), 0);
    ck_assert_int_eq(symlink("/dev/zero", in_scratch("home/says")), 0);
    take_home(ID, "home", 0);
    while (!observer_next_report(&observer, &report)) {
        take_turn(PATIENCE_MS);
        ck_assert_uint_eq(observer.condemned.count, 0); /* it was not killed for its age */
    }
    ck_assert_int_eq((int)report.kind, REPORT_UNREAD);
}
END_TEST

START_TEST(a_reader_that_cannot_be_started_is_no_more_than_that)
{
    strcpy(shell, "/nosuch");
    take_home(ID, "home", 0);
    expect_report(REPORT_UNREAD);
}
END_TEST

START_TEST(failures_are_tried_again_ever_later)
{
    uint64_t wait_ns = 0;

    write_file("fails", "");
    take_home(ID, "home", 0);
    for (size_t count = 1; count < 8; count++) {
        uint64_t next_ns;

        await_readings(count);
        next_ns = observer_next_ns(&observer) - now();
        ck_assert_uint_ge(next_ns + NS_PER_S / 2, wait_ns); /* less what passed since then */
        ck_assert_uint_le(next_ns, 60 * NS_PER_S);
        wait_ns = next_ns;
        skipped_ns += next_ns;
    }
    ck_assert_uint_ge(wait_ns, 59 * NS_PER_S);
}
END_TEST

/* Several homes whose readers stop at the gate. */
static void take_hanging_homes(void)
{
    ck_assert_int_eq(mkfifo(in_scratch("gate"), 0600), 0);
    for (uint64_t i = 0; i < MANY; i++) {
        char name[32];

        snprintf(name, sizeof name, "home%" PRIu64, i);
        ck_assert_int_eq(mkdir(in_scratch(name), 0700), 0);
        snprintf(name, sizeof name, "home%" PRIu64 "/says", i);
        write_file(name, ONE);
        snprintf(name, sizeof name, "home%" PRIu64, i);
        take_home(100 + i, name, 0);
    }
    observer_work(&observer, now());
}

START_TEST(only_a_few_are_read_at_once)
{
    take_hanging_homes();
    ck_assert_uint_eq(observer.quick.count, OBSERVER_QUICK_COUNT_MAX);
    ck_assert_uint_eq(observer.waiting.count, MANY - OBSERVER_QUICK_COUNT_MAX);
}
END_TEST

START_TEST(readers_that_take_long_make_room_for_others)
{
    take_hanging_homes();
    skipped_ns += 250 * NS_PER_MS;
    observer_work(&observer, now());
    ck_assert_uint_eq(observer.slow.count, OBSERVER_QUICK_COUNT_MAX);
    ck_assert_uint_eq(observer.quick.count, MANY - OBSERVER_QUICK_COUNT_MAX);
    ck_assert_uint_eq(observer.waiting.count, 0);
}
END_TEST

START_TEST(a_reader_that_hangs_is_killed)
{
    take_hanging_homes();
    skipped_ns += 250 * NS_PER_MS;
    observer_work(&observer, now());
    skipped_ns += 5 * NS_PER_S;
    for (size_t i = 0; i < MANY; i++)
        expect_report(REPORT_UNREAD);
    ck_assert_int_eq(unlink(in_scratch("gate")), 0);
    skipped_ns += NS_PER_S;
    for (size_t i = 0; i < MANY; i++)
        expect_report(REPORT_READ);
}
END_TEST

START_TEST(homes_that_hung_leave_the_quick_places_to_others)
{
    take_hanging_homes();
    skipped_ns += 250 * NS_PER_MS;
    observer_work(&observer, now());
    skipped_ns += 5 * NS_PER_S;
    for (size_t i = 0; i < MANY; i++)
        expect_report(REPORT_UNREAD);
    skipped_ns += NS_PER_S;
    observer_work(&observer, now());
    ck_assert_uint_eq(observer.quick.count, 0);
    ck_assert_uint_eq(observer.slow.count, MANY);
}
END_TEST

START_TEST(a_home_that_changes_all_the_time_is_read_now_and_then)
{
    size_t count = 0;
    uint64_t begin_ns;

    begin_observing();
    begin_ns = now();
    while (now() - begin_ns < 10 * NS_PER_S) { /* mostly skipped */
        write_file("home/notes", count++ % 2 == 0 ? "a" : "b");
        skipped_ns += 20 * NS_PER_MS;
        observer_work(&observer, now());
    }
    await_readings(2);
    ck_assert_uint_le(count_starts(), 51);
    expect_none();
}
END_TEST

/* ---- the end ---- */

START_TEST(a_home_may_be_forgotten_while_it_is_read)
{
    ck_assert_int_eq(mkfifo(in_scratch("gate"), 0600), 0);
    take_home(ID, "home", 0);
    while (count_starts() < 1)
        take_turn(10);
    observer_forget(&observer, ID);
    ck_assert(!observer_knows(&observer, ID));
    while (is_reading())
        take_turn(PATIENCE_MS);
    expect_none();
    take_home(ID, "home", 0); /* the number is free */
}
END_TEST

START_TEST(a_reader_may_be_buried_by_its_number)
{
    ck_assert_int_eq(mkfifo(in_scratch("gate"), 0600), 0);
    take_home(ID, "home", 0);
    while (count_starts() < 1)
        take_turn(10);
    write_file("gate", "go\n");
    for (;;) {
        siginfo_t end = {0};

        ck_assert_int_eq(waitid(P_ALL, 0, &end, WEXITED | WNOWAIT), 0);
        if (observer_bury(&observer, end.si_pid, now()))
            break;
    }
    expect_report(REPORT_READ);
    ck_assert(!observer_bury(&observer, getpid(), now()));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observer");
    TCase *tcase = tcase_create("observer");

    tcase_add_checked_fixture(tcase, open_stage, close_stage);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, the_first_reading_is_reported_and_no_change);
    tcase_add_test(tcase, a_change_is_reported_for_its_provider);
    tcase_add_test(tcase, what_belongs_to_no_provider_concerns_all);
    tcase_add_test(tcase, each_provider_that_changed_is_reported);
    tcase_add_test(tcase, what_is_not_sent_yet_is_the_latest);
    tcase_add_test(tcase, what_was_told_of_a_change_that_is_undone_is_what_is_known);
    tcase_add_test(tcase, a_file_beside_it_costs_a_reading_and_is_nothing);
    tcase_add_test(tcase, what_changes_while_it_is_read_is_read_again);
    tcase_add_test(tcase, a_digest_of_old_is_compared_with);
    tcase_add_test(tcase, a_directory_that_the_reader_names_is_watched);
    tcase_add_test(tcase, homes_may_share_a_directory);
    tcase_add_test(tcase, what_cannot_be_watched_is_polled);
    tcase_add_test(tcase, a_directory_on_another_file_system_is_polled);
    tcase_add_test(tcase, a_file_system_is_known_by_the_mount_table);
    tcase_add_test(tcase, a_home_that_is_removed_is_lost);
    tcase_add_test(tcase, a_home_that_is_moved_is_lost);
    tcase_add_loop_test(tcase, what_is_not_understood_is_nothing_and_is_tried_again, 0, 3);
    tcase_add_test(tcase, a_reader_that_fails_behind_its_end_has_said_nothing);
    tcase_add_test(tcase, a_reader_that_writes_without_end_has_said_nothing);
    tcase_add_test(tcase, a_reader_that_cannot_be_started_is_no_more_than_that);
    tcase_add_test(tcase, failures_are_tried_again_ever_later);
    tcase_add_test(tcase, only_a_few_are_read_at_once);
    tcase_add_test(tcase, readers_that_take_long_make_room_for_others);
    tcase_add_test(tcase, a_reader_that_hangs_is_killed);
    tcase_add_test(tcase, homes_that_hung_leave_the_quick_places_to_others);
    tcase_add_test(tcase, a_home_that_changes_all_the_time_is_read_now_and_then);
    tcase_add_test(tcase, a_home_may_be_forgotten_while_it_is_read);
    tcase_add_test(tcase, a_reader_may_be_buried_by_its_number);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
