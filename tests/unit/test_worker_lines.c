/* Lines in and requests out of them: server/worker/lines.h, request.h. */
#include "server/worker/lines.h"

#include "server/base/clock.h"
#include "server/worker/request.h"
#include "tests/support/check_main.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is written to a pipe by a thread, so that any size fits. */
struct feed {
    int fds[2];
    const char *bytes;
    size_t size;
    pthread_t thread;
};

static void *feed_run(void *context)
{
    struct feed *feed = context;
    size_t sent = 0;

    while (sent < feed->size) {
        ssize_t size = write(feed->fds[1], feed->bytes + sent, feed->size - sent);

        if (size <= 0)
            break;
        sent += (size_t)size;
    }
    close(feed->fds[1]);
    return NULL;
}

static void feed_open(struct feed *feed, const char *bytes, size_t size, struct lines *lines)
{
    *feed = (struct feed){.bytes = bytes, .size = size};
    ck_assert_int_eq(pipe(feed->fds), 0);
    ck_assert_int_eq(pthread_create(&feed->thread, NULL, feed_run, feed), 0);
    lines_init(lines, feed->fds[0]);
}

static void feed_close(struct feed *feed, struct lines *lines)
{
    pthread_join(feed->thread, NULL);
    close(feed->fds[0]);
    lines_fini(lines);
}

static void expect_line(struct lines *lines, const char *text)
{
    struct line line;

    ck_assert_int_eq(lines_next(lines, &line), LINES_LINE);
    ck_assert_uint_eq(line.size, strlen(text));
    ck_assert(line.size == 0 || memcmp(line.text, text, line.size) == 0);
}

START_TEST(lines_come_one_by_one_the_last_with_or_without_its_end)
{
    struct feed feed;
    struct lines lines;
    struct line line;

    feed_open(&feed, "one\n\nthree\nlast", 15, &lines);
    expect_line(&lines, "one");
    expect_line(&lines, "");
    expect_line(&lines, "three");
    expect_line(&lines, "last");
    ck_assert_int_eq(lines_next(&lines, &line), LINES_END);
    ck_assert_int_eq(lines_next(&lines, &line), LINES_END);
    feed_close(&feed, &lines);
}
END_TEST

START_TEST(a_given_line_is_wiped_with_the_next)
{
    struct feed feed;
    struct lines lines;

    feed_open(&feed, "the secret line\nb\n", 18, &lines);
    expect_line(&lines, "the secret line");
    expect_line(&lines, "b");
    ck_assert_ptr_null(memmem(lines.pending.bytes, lines.pending.capacity, "secret", 6));
    feed_close(&feed, &lines);
}
END_TEST

START_TEST(a_line_too_long_is_told_once_and_the_next_is_fine)
{
    size_t size = 3 * (size_t)LINE_SIZE_MAX;
    char *bytes = malloc(size + 6);
    struct feed feed;
    struct lines lines;
    struct line line;

    memset(bytes, 'x', size);
    memcpy(bytes + size, "\nnext\n", 6);
    feed_open(&feed, bytes, size + 6, &lines);
    ck_assert_int_eq(lines_next(&lines, &line), LINES_TOO_LONG);
    expect_line(&lines, "next");
    ck_assert_int_eq(lines_next(&lines, &line), LINES_END);
    feed_close(&feed, &lines);
    feed_open(&feed, bytes, size, &lines); /* and one that never ends */
    ck_assert_int_eq(lines_next(&lines, &line), LINES_TOO_LONG);
    ck_assert_int_eq(lines_next(&lines, &line), LINES_END);
    feed_close(&feed, &lines);
    free(bytes);
}
END_TEST

START_TEST(memory_of_a_long_line_is_given_back)
{
    size_t size = LINE_SIZE_MAX / 2;
    char *bytes = malloc(size + 1);
    struct feed feed;
    struct lines lines;
    struct line line;

    memset(bytes, 'x', size);
    bytes[size] = '\n';
    feed_open(&feed, bytes, size + 1, &lines);
    ck_assert_int_eq(lines_next(&lines, &line), LINES_LINE);
    ck_assert_uint_eq(line.size, size);
    ck_assert_int_eq(lines_next(&lines, &line), LINES_END);
    ck_assert_uint_lt(lines.pending.capacity, size);
    feed_close(&feed, &lines);
    free(bytes);
}
END_TEST

/* ---- requests ---- */

static bool parse(struct probe_request *request, const char *line)
{
    return probe_request_parse(request, line, strlen(line), NS_PER_S);
}

START_TEST(a_request_is_read_with_all_its_members)
{
    struct probe_request request;

    ck_assert(parse(&request, "{\"id\":7,\"provider\":\"openai-codex\",\"api_key\":\"k-123\",\"env_var\":\"X\","
                              "\"timeout_ms\":30000}"));
    ck_assert_str_eq(request.provider, "openai-codex");
    ck_assert_str_eq(text_string(&request.api_key), "k-123");
    ck_assert_int_eq(json_integer_value(request.id), 7);
    ck_assert_uint_eq(request.deadline_ns, NS_PER_S + 29900 * NS_PER_MS);
    probe_request_fini(&request);
}
END_TEST

START_TEST(a_line_of_the_older_protocol_is_a_request)
{
    struct probe_request request;

    ck_assert(parse(&request, "{\"provider\":\"anthropic\",\"api_key\":null,\"env_var\":null}"));
    ck_assert_ptr_null(request.id);
    ck_assert_uint_eq(request.api_key.size, 0);
    ck_assert_uint_eq(request.deadline_ns, NS_PER_S + (REQUEST_TIMEOUT_MS_DEFAULT - REQUEST_MARGIN_MS_MAX) * NS_PER_MS);
    probe_request_fini(&request);
}
END_TEST

START_TEST(what_names_no_provider_is_no_request)
{
    static const char *const table[] = {
        "",
        "null",
        "[]",
        "\"openrouter\"",
        "{}",
        "{\"provider\":null}",
        "{\"provider\":7}",
        "{\"provider\":\"\"}",
        "{\"provider\":\"Open Router\"}",
        "{\"provider\":\"a/b\"}",
        "{\"provider\":\"a\\u0000b\"}",
        "{\"provider\":\"\xff\"}",
        "{\"provider\":\"openrouter\"} trailing",
        "{\"provider\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", /* 65 */
    };
    struct probe_request request;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_msg(!parse(&request, table[i]), "%s", table[i]);
}
END_TEST

START_TEST(an_odd_timeout_is_bounded)
{
    static const struct {
        const char *line;
        uint64_t whole_ms;
    } table[] = {
        {"{\"provider\":\"a\",\"timeout_ms\":1000}", 900},
        {"{\"provider\":\"a\",\"timeout_ms\":10}", 9},
        {"{\"provider\":\"a\",\"timeout_ms\":1}", 1},
        {"{\"provider\":\"a\",\"timeout_ms\":0}", 29900},
        {"{\"provider\":\"a\",\"timeout_ms\":-5}", 29900},
        {"{\"provider\":\"a\",\"timeout_ms\":\"30\"}", 29900},
        {"{\"provider\":\"a\",\"timeout_ms\":1e300}", REQUEST_TIMEOUT_MS_MAX - 100},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct probe_request request;

        ck_assert(parse(&request, table[i].line));
        ck_assert_uint_eq(request.deadline_ns, NS_PER_S + table[i].whole_ms * NS_PER_MS);
        probe_request_fini(&request);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_lines");
    TCase *lines = tcase_create("lines"), *request = tcase_create("request");

    tcase_add_test(lines, lines_come_one_by_one_the_last_with_or_without_its_end);
    tcase_add_test(lines, a_given_line_is_wiped_with_the_next);
    tcase_add_test(lines, a_line_too_long_is_told_once_and_the_next_is_fine);
    tcase_add_test(lines, memory_of_a_long_line_is_given_back);
    suite_add_tcase(suite, lines);
    tcase_add_test(request, a_request_is_read_with_all_its_members);
    tcase_add_test(request, a_line_of_the_older_protocol_is_a_request);
    tcase_add_test(request, what_names_no_provider_is_no_request);
    tcase_add_test(request, an_odd_timeout_is_bounded);
    suite_add_tcase(suite, request);
    return check_main(suite);
}
