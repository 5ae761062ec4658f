/* server/base/text: a growing buffer whose failures are looked at once. */
#include "server/base/text.h"
#include "tests/support/check_main.h"

#include <stdint.h>
#include <string.h>

START_TEST(an_empty_text_is_an_empty_string)
{
    struct text text = TEXT_EMPTY;

    ck_assert_str_eq(text_string(&text), "");
    ck_assert_uint_eq(text.size, 0);
    text_reset(&text);
    text_fini(&text);
    text_wipe(&text);
    ck_assert_str_eq(text_string(&text), "");
}
END_TEST

START_TEST(pieces_stand_one_behind_the_other)
{
    struct text text = TEXT_EMPTY;

    text_add_string(&text, "calls ");
    text_format(&text, "%d of %s", 64, "uid 7");
    text_add(&text, "!?", 1);
    ck_assert_str_eq(text_string(&text), "calls 64 of uid 7!");
    ck_assert_uint_eq(text.size, strlen("calls 64 of uid 7!"));
    ck_assert(!text.failed);
    text_fini(&text);
    ck_assert_ptr_null(text.bytes);
}
END_TEST

START_TEST(bytes_may_be_nul_and_may_be_none)
{
    struct text text = TEXT_EMPTY;

    text_add(&text, "a\0b", 3);
    text_add(&text, NULL, 0);
    text_add_string(&text, "");
    ck_assert_uint_eq(text.size, 3);
    ck_assert_mem_eq(text.bytes, "a\0b\0", 4);
    text_fini(&text);
}
END_TEST

START_TEST(it_grows_and_stays_terminated)
{
    struct text text = TEXT_EMPTY;
    char long_word[3000];

    memset(long_word, 'w', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    for (size_t i = 0; i < 10000; i++) {
        text_add(&text, "x", 1);
        ck_assert_uint_eq(text.size, i + 1);
        ck_assert_int_eq(text.bytes[text.size], '\0');
    }
    text_format(&text, "%s", long_word);
    ck_assert_uint_eq(text.size, 10000 + 2999);
    ck_assert_mem_eq(text.bytes + 10000, long_word, sizeof long_word);
    text_fini(&text);
}
END_TEST

START_TEST(a_failure_is_remembered_and_later_pieces_are_dropped)
{
    struct text text = TEXT_EMPTY;

    text_add_string(&text, "before");
    text_add(&text, "", SIZE_MAX / 2);
    ck_assert(text.failed);
    text_add_string(&text, " behind");
    text_format(&text, "%d", 1);
    ck_assert_str_eq(text_string(&text), "before");
    text_reset(&text);
    ck_assert(!text.failed);
    text_add_string(&text, "again");
    ck_assert_str_eq(text_string(&text), "again");
    text_fini(&text);
}
END_TEST

START_TEST(a_reset_keeps_the_memory)
{
    struct text text = TEXT_EMPTY;
    char *bytes;

    text_add_string(&text, "one");
    bytes = text.bytes;
    text_reset(&text);
    ck_assert_str_eq(text_string(&text), "");
    text_add_string(&text, "two");
    ck_assert_ptr_eq(text.bytes, bytes);
    text_fini(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, an_empty_text_is_an_empty_string);
    tcase_add_test(tcase, pieces_stand_one_behind_the_other);
    tcase_add_test(tcase, bytes_may_be_nul_and_may_be_none);
    tcase_add_test(tcase, it_grows_and_stays_terminated);
    tcase_add_test(tcase, a_failure_is_remembered_and_later_pieces_are_dropped);
    tcase_add_test(tcase, a_reset_keeps_the_memory);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
