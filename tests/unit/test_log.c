/* server/base/log: one line an event, whatever is in it; no flood of them; and the journal. */
#include "server/base/clock.h"
#include "server/base/log.h"
#include "tests/support/check_main.h"

#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SAID_SIZE = 1 << 20, LINE_SIZE_MAX = 8192, THREAD_COUNT = 4, LINE_COUNT = 300 };

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static int file_fd; /* stands in for standard error */

static void redirect(void)
{
    char path[] = "/tmp/probed-log-XXXXXX";

    file_fd = mkstemp(path);
    ck_assert_int_ge(file_fd, 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(fcntl(file_fd, F_SETFL, O_APPEND), 0);
    ck_assert_int_eq(dup2(file_fd, STDERR_FILENO), STDERR_FILENO);
    log_setup("probed", LOG_TRACE, LOG_FORMAT_TEXT);
}

/* All that was said; lent until the next call. */
static const char *said(void)
{
    static char text[SAID_SIZE];
    ssize_t size = pread(file_fd, text, sizeof text - 1, 0);

    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    return text;
}

static void expect(const char *pattern)
{
    regex_t expression;

    ck_assert_int_eq(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&expression, said(), 0, NULL, 0) == 0, "%s is not %s", said(), pattern);
    regfree(&expression);
}

START_TEST(a_line_is_logfmt)
{
    log_write(LOG_WARN, "lease failed",
              LOG_FIELDS(log_text("provider", "openrouter"), log_number("lease", -7), log_text("cause", "it died")));
    expect("^time=" STAMP " level=warn program=probed event=\"lease failed\" provider=openrouter lease=-7 "
           "cause=\"it died\"\n$");
}
END_TEST

START_TEST(a_line_may_have_no_fields)
{
    log_write(LOG_INFO, "ready", LOG_NO_FIELDS);
    expect("^time=" STAMP " level=info program=probed event=ready\n$");
}
END_TEST

START_TEST(a_line_is_json)
{
    log_setup("probed", LOG_TRACE, LOG_FORMAT_JSON);
    log_write(LOG_ERROR, "it \"broke\"", LOG_FIELDS(log_text("path", "/h\\a"), log_number("n", 9000000000)));
    expect("^\\{\"time\":\"" STAMP "\",\"level\":\"error\",\"program\":\"probed\",\"event\":\"it \\\\\"broke\\\\\"\","
           "\"path\":\"/h\\\\\\\\a\",\"n\":9000000000\\}\n$");
}
END_TEST

START_TEST(a_strangers_text_cannot_break_a_line)
{
    log_write(LOG_INFO, "seen", LOG_FIELDS(log_text("text", "a\nb\t\"c\\\x1b\x7f\xff\xc3\xa9\xe2\x82")));
    expect("text=\"a\\\\u000ab\\\\u0009\\\\\"c\\\\\\\\\\\\u001b\\\\u007f\\?\xc3\xa9\\?\\?\"\n$");
    ck_assert_ptr_eq(strchr(said(), '\n') + 1, said() + strlen(said()));
}
END_TEST

START_TEST(values_are_quoted_when_they_must_be)
{
    log_write(
        LOG_INFO, "seen",
        LOG_FIELDS(log_text("a", ""), log_text("b", NULL), log_text("c", "x=y"), log_text("d", "/h/a:1.2-3+4@_")));
    expect(" a=\"\" b=\"\" c=\"x=y\" d=/h/a:1\\.2-3\\+4@_\n$");
}
END_TEST

START_TEST(a_level_hides_what_is_below_it)
{
    static const char *const names[LOG_LEVEL_COUNT] = {"error", "warn", "info", "debug", "trace"};

    for (int level = 0; level < LOG_LEVEL_COUNT; level++) {
        ck_assert_int_eq(ftruncate(file_fd, 0), 0);
        log_setup("probed", (enum log_level)level, LOG_FORMAT_TEXT);
        for (int other = 0; other < LOG_LEVEL_COUNT; other++) {
            ck_assert_int_eq(log_enabled((enum log_level)other), other <= level);
            log_write((enum log_level)other, names[other], LOG_NO_FIELDS);
            ck_assert_int_eq(strstr(said(), names[other]) != NULL, other <= level);
        }
    }
}
END_TEST

/* Two texts of this character, `size` bytes in front of it: the first is cut, the second not there any more. */
static const char *long_line(enum log_format format, const char *character, size_t size)
{
    static char text[LINE_SIZE_MAX + 64];
    size_t at = size;

    memset(text, 'x', at);
    while (at + strlen(character) < sizeof text)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", character);
    ck_assert_int_eq(ftruncate(file_fd, 0), 0);
    log_setup("probed", LOG_DEBUG, format);
    log_write(LOG_DEBUG, "long", LOG_FIELDS(log_text("text", text), log_number("behind", 1), log_text("more", text)));
    ck_assert_uint_le(strlen(said()), LINE_SIZE_MAX);
    ck_assert_uint_ge(strlen(said()), LINE_SIZE_MAX - 16);
    ck_assert_ptr_eq(strchr(said(), '\n'), said() + strlen(said()) - 1);
    ck_assert_ptr_null(strstr(said(), "behind"));
    return said();
}

/* Wherever the bound falls: no half of an escape, none of a character, and every quote and brace that was opened. */
START_TEST(a_long_line_is_cut_and_is_still_what_it_was)
{
    static const char *const characters[] = {"x", "\"", "\x1b", "\xc3\xa9", "\xf0\x9f\x98\x80", " "};
    static const char *const shown[] = {"x", "\\\"", "\\u001b", "\xc3\xa9", "\xf0\x9f\x98\x80", " "};

    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++) {
        for (size_t size = 1; size <= 8; size++) {
            const char *line = long_line(LOG_FORMAT_JSON, characters[i], size), *end = line + strlen(line) - 3;

            ck_assert_str_eq(end, "\"}\n");
            ck_assert_mem_eq(end - strlen(shown[i]), shown[i], strlen(shown[i]));
            line = long_line(LOG_FORMAT_TEXT, characters[i], size);
            end = line + strlen(line) - (i == 0 ? 1 : 2);
            ck_assert_str_eq(end, i == 0 ? "\n" : "\"\n");
            ck_assert_mem_eq(end - strlen(shown[i]), shown[i], strlen(shown[i]));
        }
    }
}
END_TEST

/* One byte more each time, until it is the number's turn, the key's, the comma's. */
START_TEST(what_comes_behind_a_value_is_there_whole_or_not_at_all)
{
    static char text[LINE_SIZE_MAX + 1];

    log_setup("probed", LOG_DEBUG, LOG_FORMAT_JSON);
    for (size_t size = LINE_SIZE_MAX - 200; size < LINE_SIZE_MAX; size++) {
        const char *end;

        memset(text, 'x', size);
        text[size] = '\0';
        ck_assert_int_eq(ftruncate(file_fd, 0), 0);
        log_write(LOG_DEBUG, "long", LOG_FIELDS(log_text("text", text), log_number("behind", 123456)));
        end = strrchr(said(), 'x');
        ck_assert_ptr_nonnull(end);
        ck_assert_msg(strcmp(end, "x\",\"behind\":123456}\n") == 0 || strcmp(end, "x\"}\n") == 0, "%s", end);
    }
}
END_TEST

static void *write_limited_lines(void *argument)
{
    for (size_t i = *(const size_t *)argument; i > 0; i--)
        log_write(LOG_INFO, "limited", LOG_NO_FIELDS);
    return NULL;
}

static void *write_lines(void *argument)
{
    for (size_t i = 0; i < LINE_COUNT; i++)
        log_write(LOG_DEBUG, "thread", LOG_FIELDS(log_text("name", argument), log_text("tail", "the end")));
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
    static char names[THREAD_COUNT][300];
    pthread_t threads[THREAD_COUNT];
    size_t count = 0;

    for (size_t i = 0; i < THREAD_COUNT; i++) {
        memset(names[i], (int)('a' + i), sizeof names[i] - 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    }
    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (const char *line = said(), *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *name = strstr(line, "name=") + strlen("name=");

        ck_assert_mem_eq(line, "time=", 5);
        ck_assert_uint_eq(strspn(name, (char[]){name[0], '\0'}), sizeof names[0] - 1);
        ck_assert_mem_eq(end - strlen("tail=\"the end\""), "tail=\"the end\"", strlen("tail=\"the end\""));
        count++;
    }
    ck_assert_uint_eq(count, THREAD_COUNT * LINE_COUNT);
}
END_TEST

/* ---- the limit ---- */

static size_t count_of(const char *text)
{
    size_t count = 0;

    for (const char *at = said(); (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

/* As many lines of `event` as are more than any second shows, all in one second. */
static void flood(enum log_level level, const char *event, size_t count)
{
    uint64_t second;

    do {
        ck_assert_int_eq(ftruncate(file_fd, 0), 0);
        second = clock_now_ns() / NS_PER_S;
        for (size_t i = 0; i < count; i++)
            log_write(level, event, LOG_NO_FIELDS);
    } while (clock_now_ns() / NS_PER_S != second);
}

static void wait_for_another_second(void)
{
    uint64_t second = clock_now_ns() / NS_PER_S;

    while (clock_now_ns() / NS_PER_S == second)
        ;
}

START_TEST(of_a_flood_a_part_is_shown_and_the_rest_counted)
{
    enum { COUNT = LOG_LINES_PER_SECOND_MAX + 23 };

    wait_for_another_second();
    flood(LOG_WARN, "a flood", COUNT);
    ck_assert_uint_eq(count_of("event=\"a flood\""), LOG_LINES_PER_SECOND_MAX);
    log_write(LOG_WARN, "something else", LOG_NO_FIELDS);
    ck_assert_uint_eq(count_of("something else"), 1);
    wait_for_another_second();
    log_flush();
    ck_assert_uint_eq(count_of(" event=\"lines left out\" of=\"a flood\" lines=123 left_out=23\n"), 1);
    log_flush();
    log_write(LOG_WARN, "a flood", LOG_NO_FIELDS);
    ck_assert_uint_eq(count_of("lines left out"), 1);
    ck_assert_uint_eq(count_of("event=\"a flood\""), LOG_LINES_PER_SECOND_MAX + 1);
}
END_TEST

START_TEST(the_next_line_says_what_was_left_out_before_it)
{
    const char *left_out;

    wait_for_another_second();
    flood(LOG_INFO, "a spate", LOG_LINES_PER_SECOND_MAX + 1);
    wait_for_another_second();
    log_write(LOG_INFO, "a spate", LOG_FIELDS(log_text("place", "last")));
    left_out = strstr(said(), "left_out=1\n");
    ck_assert_ptr_nonnull(left_out);
    ck_assert_ptr_nonnull(strstr(left_out, "place=last"));
}
END_TEST

START_TEST(whoever_asks_for_everything_gets_it)
{
    wait_for_another_second();
    flood(LOG_DEBUG, "a detail", 2 * LOG_LINES_PER_SECOND_MAX);
    ck_assert_uint_eq(count_of("a detail"), 2 * LOG_LINES_PER_SECOND_MAX);
}
END_TEST

START_TEST(what_threads_together_do_not_show_is_counted_once)
{
    enum { COUNT = 4 * LOG_LINES_PER_SECOND_MAX };
    size_t share = COUNT / THREAD_COUNT, shown, left_out = 0;
    pthread_t threads[THREAD_COUNT];

    wait_for_another_second();
    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_limited_lines, &share), 0);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    wait_for_another_second();
    log_flush();
    shown = count_of("event=limited");
    for (const char *at = said(); (at = strstr(at, " left_out=")) != NULL; at++)
        left_out += strtoul(at + strlen(" left_out="), NULL, 10);
    ck_assert_uint_eq(shown + left_out, COUNT);
}
END_TEST

/* ---- the journal ---- */

static int journal_fd;
static char journal_folder[] = "/tmp/probed-journal-XXXXXX", journal_path[64];

/* A socket in the journal's place, and standard error as systemd would have made it. */
static void stand_in(bool ours)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat about;
    char stream[64];

    redirect();
    ck_assert_ptr_nonnull(mkdtemp(journal_folder));
    snprintf(journal_path, sizeof journal_path, "%s/socket", journal_folder);
    strcpy(address.sun_path, journal_path);
    journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(journal_fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(fstat(STDERR_FILENO, &about), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)about.st_dev,
             (unsigned long long)about.st_ino + !ours);
    setenv("JOURNAL_STREAM", stream, 1);
    log_find_journal(journal_path);
}

static void stand_in_for_the_journal(void)
{
    stand_in(true);
}

static void stand_in_for_another_journal(void)
{
    stand_in(false);
}

static void remove_the_journal(void)
{
    close(journal_fd);
    unlink(journal_path);
    rmdir(journal_folder);
}

/* The next entry; its size. */
static size_t hear_entry(char entry[2 * LINE_SIZE_MAX])
{
    ssize_t size = recv(journal_fd, entry, 2 * LINE_SIZE_MAX - 1, 0);

    ck_assert_int_gt(size, 0);
    entry[size] = '\0';
    return (size_t)size;
}

START_TEST(the_journal_gets_fields)
{
    char entry[2 * LINE_SIZE_MAX];

    log_write(LOG_WARN, "lease failed", LOG_FIELDS(log_number("worker", 7), log_text("server.calls_max", "it died")));
    hear_entry(entry);
    ck_assert_str_eq(entry, "PRIORITY=4\nSYSLOG_IDENTIFIER=probed\nPROBED_EVENT=lease failed\nPROBED_WORKER=7\n"
                            "PROBED_SERVER_CALLS_MAX=it died\n"
                            "MESSAGE=lease failed worker=7 server.calls_max=\"it died\"\n");
    ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(as_json_the_message_has_it_all)
{
    char entry[2 * LINE_SIZE_MAX];

    log_setup("probed", LOG_INFO, LOG_FORMAT_JSON);
    log_write(LOG_INFO, "seen", LOG_FIELDS(log_number("n", 1)));
    hear_entry(entry);
    ck_assert_ptr_nonnull(strstr(entry, "\nMESSAGE={\"event\":\"seen\",\"n\":1}\n"));
}
END_TEST

START_TEST(a_value_of_several_lines_cannot_make_up_a_field)
{
    static const char text[] = "a\nPRIORITY=0";
    char entry[2 * LINE_SIZE_MAX], *at;
    uint64_t size;

    log_write(LOG_INFO, "seen", LOG_FIELDS(log_text("text", text)));
    hear_entry(entry);
    at = strstr(entry, "\nPROBED_TEXT\n");
    ck_assert_ptr_nonnull(at);
    at += strlen("\nPROBED_TEXT\n");
    memcpy(&size, at, sizeof size);
    ck_assert_uint_eq(le64toh(size), sizeof text - 1);
    ck_assert_mem_eq(at + sizeof size, text, sizeof text - 1);
    ck_assert_str_eq(at + sizeof size + sizeof text - 1, "\nMESSAGE=seen text=\"a\\u000aPRIORITY=0\"\n");
}
END_TEST

START_TEST(a_field_too_long_for_an_entry_is_left_out_whole)
{
    static char text[LINE_SIZE_MAX];
    char entry[2 * LINE_SIZE_MAX];

    memset(text, 'x', sizeof text - 1);
    log_write(LOG_INFO, "long", LOG_FIELDS(log_text("text", text), log_number("behind", 1)));
    hear_entry(entry);
    ck_assert_ptr_null(strstr(entry, "PROBED_TEXT"));
    ck_assert_ptr_nonnull(strstr(entry, "\nPROBED_BEHIND=1\nMESSAGE=long text=xxx"));
}
END_TEST

START_TEST(without_a_journal_the_line_has_its_priority)
{
    remove_the_journal();
    log_write(LOG_ERROR, "alone", LOG_NO_FIELDS);
    ck_assert_str_eq(said(), "<3>alone\n");
}
END_TEST

START_TEST(another_files_journal_is_not_ours)
{
    char entry[8];

    log_write(LOG_INFO, "ready", LOG_NO_FIELDS);
    ck_assert_int_lt(recv(journal_fd, entry, sizeof entry, 0), 0);
    expect("^time=" STAMP " level=info program=probed event=ready\n$");
}
END_TEST

START_TEST(nobody_listening_is_no_reason_to_fail)
{
    close(STDERR_FILENO);
    log_write(LOG_ERROR, "into the void", LOG_NO_FIELDS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");

    tcase_add_checked_fixture(tcase, redirect, NULL);
    tcase_add_test(tcase, a_line_is_logfmt);
    tcase_add_test(tcase, a_line_may_have_no_fields);
    tcase_add_test(tcase, a_line_is_json);
    tcase_add_test(tcase, a_strangers_text_cannot_break_a_line);
    tcase_add_test(tcase, values_are_quoted_when_they_must_be);
    tcase_add_test(tcase, a_level_hides_what_is_below_it);
    tcase_add_test(tcase, a_long_line_is_cut_and_is_still_what_it_was);
    tcase_add_test(tcase, what_comes_behind_a_value_is_there_whole_or_not_at_all);
    tcase_add_test(tcase, lines_of_several_threads_do_not_mix);
    tcase_add_test(tcase, nobody_listening_is_no_reason_to_fail);
    tcase_add_test(tcase, of_a_flood_a_part_is_shown_and_the_rest_counted);
    tcase_add_test(tcase, the_next_line_says_what_was_left_out_before_it);
    tcase_add_test(tcase, whoever_asks_for_everything_gets_it);
    tcase_add_test(tcase, what_threads_together_do_not_show_is_counted_once);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("journal");
    tcase_add_checked_fixture(tcase, stand_in_for_the_journal, remove_the_journal);
    tcase_add_test(tcase, the_journal_gets_fields);
    tcase_add_test(tcase, as_json_the_message_has_it_all);
    tcase_add_test(tcase, a_value_of_several_lines_cannot_make_up_a_field);
    tcase_add_test(tcase, a_field_too_long_for_an_entry_is_left_out_whole);
    tcase_add_test(tcase, without_a_journal_the_line_has_its_priority);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("another journal");
    tcase_add_checked_fixture(tcase, stand_in_for_another_journal, remove_the_journal);
    tcase_add_test(tcase, another_files_journal_is_not_ours);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
