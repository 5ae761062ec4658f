/* proto/status: outcomes as values. */
#include "proto/status.h"
#include "proto/utf8.h"
#include "tests/support/check_main.h"

#include <string.h>

START_TEST(a_success_says_nothing)
{
    struct status status = status_ok();

    ck_assert(status_is_ok(&status));
    ck_assert_int_eq(status.code, 0);
    ck_assert_uint_eq(status.retry_after_ms, 0);
    ck_assert_str_eq(status.message, "");
}
END_TEST

START_TEST(a_failure_carries_its_numbers)
{
    struct status status = status_make(STATUS_RESOURCE_EXHAUSTED, "%d calls of %s", 64, "uid 7");

    ck_assert(!status_is_ok(&status));
    ck_assert_int_eq(status.code, STATUS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(status.message, "64 calls of uid 7");
    ck_assert_uint_eq(status.retry_after_ms, 0);
}
END_TEST

START_TEST(advice_too_large_for_the_wire_is_the_largest_there_is)
{
    struct status status = status_make_retry(STATUS_UNAVAILABLE, 250, "later");

    ck_assert_uint_eq(status.retry_after_ms, 250);
    status = status_make_retry(STATUS_UNAVAILABLE, (uint64_t)UINT32_MAX + 1, "later");
    ck_assert_uint_eq(status.retry_after_ms, UINT32_MAX);
}
END_TEST

START_TEST(a_message_is_cut_between_characters)
{
    char text[2 * STATUS_MESSAGE_SIZE] = "";

    for (size_t shift = 0; shift < 4; shift++) {
        struct status status;

        memset(text, 'x', shift);
        for (size_t i = shift; i + 5 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        status = status_make(STATUS_INTERNAL, "%s", text);
        ck_assert(utf8_valid(status.message, strlen(status.message)));
        ck_assert_uint_ge(strlen(status.message), STATUS_MESSAGE_SIZE - 4);
    }
}
END_TEST

START_TEST(a_strangers_bytes_cannot_break_a_message)
{
    struct status status = status_make(STATUS_INVALID_ARGUMENT, "no method %s", "a\nb\tc\x7f\x1b[31m");

    ck_assert(!utf8_has_control(status.message, strlen(status.message)));
    ck_assert_str_eq(status.message, "no method a b c  [31m");
    status = status_make(STATUS_INVALID_ARGUMENT, "no method %s",
                         "ab\xff"
                         "cd");
    ck_assert_str_eq(status.message, "no method ab");
}
END_TEST

START_TEST(every_code_has_the_name_that_grpc_gives_it)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED",
    };

    ck_assert_uint_eq(sizeof names / sizeof names[0], STATUS_CODE_COUNT);
    for (int code = 0; code < STATUS_CODE_COUNT; code++)
        ck_assert_str_eq(status_code_name((enum status_code)code), names[code]);
    ck_assert_str_eq(status_code_name((enum status_code)STATUS_CODE_COUNT), "UNKNOWN");
    ck_assert_str_eq(status_code_name((enum status_code) - 1), "UNKNOWN");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tcase = tcase_create("status");

    tcase_add_test(tcase, a_success_says_nothing);
    tcase_add_test(tcase, a_failure_carries_its_numbers);
    tcase_add_test(tcase, advice_too_large_for_the_wire_is_the_largest_there_is);
    tcase_add_test(tcase, a_message_is_cut_between_characters);
    tcase_add_test(tcase, a_strangers_bytes_cannot_break_a_message);
    tcase_add_test(tcase, every_code_has_the_name_that_grpc_gives_it);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
