/* server/base/log: one line an event, whatever is in it. */
#include "server/base/log.h"
#include "tests/support/check_main.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
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

/* Read as the machine that collects it would. */
static void expect_long_line(enum log_format format, const char *end)
{
    static char text[3 * LINE_SIZE_MAX];
    const char *line;

    memset(text, 'x', sizeof text - 1);
    log_setup("probed", LOG_INFO, format);
    log_write(LOG_INFO, "long", LOG_FIELDS(log_text("text", text), log_number("behind", 1)));
    line = said();
    ck_assert_uint_le(strlen(line), LINE_SIZE_MAX);
    ck_assert_uint_ge(strlen(line), LINE_SIZE_MAX - 64);
    ck_assert_str_eq(line + strlen(line) - strlen(end), end);
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}

START_TEST(a_long_line_is_cut_and_ends)
{
    expect_long_line(LOG_FORMAT_TEXT, "\n");
}
END_TEST

static void *write_lines(void *argument)
{
    for (size_t i = 0; i < LINE_COUNT; i++)
        log_write(LOG_INFO, "thread", LOG_FIELDS(log_text("name", argument), log_text("tail", "the end")));
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
    tcase_add_test(tcase, a_long_line_is_cut_and_ends);
    tcase_add_test(tcase, lines_of_several_threads_do_not_mix);
    tcase_add_test(tcase, nobody_listening_is_no_reason_to_fail);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
