/* server/edge/trace: a traceparent by the letter, or none. */
#include "server/edge/trace.h"

#include "tests/support/check_main.h"

#define TRACE_ID  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT_ID "00f067aa0ba902b7"

START_TEST(a_traceparent_has_two_ids)
{
    struct trace trace = trace_of("00-" TRACE_ID "-" PARENT_ID "-01");

    ck_assert_str_eq(trace.trace_id, TRACE_ID);
    ck_assert_str_eq(trace.parent_id, PARENT_ID);
}
END_TEST

START_TEST(a_later_version_may_say_more)
{
    ck_assert_str_eq(trace_of("01-" TRACE_ID "-" PARENT_ID "-01-more").trace_id, TRACE_ID);
    ck_assert_str_eq(trace_of("01-" TRACE_ID "-" PARENT_ID "-01").trace_id, TRACE_ID);
}
END_TEST

static const char *const strangers[] = {
    NULL,
    "",
    "-",
    "00",
    "00-" TRACE_ID,
    "00-" TRACE_ID "-" PARENT_ID,
    "00-" TRACE_ID "-" PARENT_ID "-",
    "00-" TRACE_ID "-" PARENT_ID "-1",
    "00-" TRACE_ID "-" PARENT_ID "-01-more",
    "00-" TRACE_ID "-" PARENT_ID "-011",
    "01-" TRACE_ID "-" PARENT_ID "-01more",
    "ff-" TRACE_ID "-" PARENT_ID "-01",
    "00-" TRACE_ID "0-" PARENT_ID "-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT_ID "-01",
    "00-00000000000000000000000000000000-" PARENT_ID "-01",
    "00-" TRACE_ID "-0000000000000000-01",
    " 00-" TRACE_ID "-" PARENT_ID "-01",
};

START_TEST(what_is_none_is_none)
{
    struct trace trace = trace_of(strangers[_i]);

    ck_assert_str_eq(trace.trace_id, "");
    ck_assert_str_eq(trace.parent_id, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tcase = tcase_create("trace");

    tcase_add_test(tcase, a_traceparent_has_two_ids);
    tcase_add_test(tcase, a_later_version_may_say_more);
    tcase_add_loop_test(tcase, what_is_none_is_none, 0, (int)(sizeof strangers / sizeof strangers[0]));
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
