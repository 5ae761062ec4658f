/* The rules of a `.env`, as server/base/dotenv.h says them. */
#include "server/base/dotenv.h"

#include "tests/support/check_main.h"

#include <stdlib.h>
#include <string.h>

static bool find(const char *text, const char *name, const char *value)
{
    struct dotenv_pair pair;

    return dotenv_find(text, strlen(text), name, &pair) && pair.value_size == strlen(value) &&
           memcmp(pair.value, value, pair.value_size) == 0;
}

static size_t count_pairs(const char *text, size_t size)
{
    struct dotenv dotenv;
    struct dotenv_pair pair;
    size_t count = 0;

    if (!dotenv_open(&dotenv, text, size))
        return SIZE_MAX;
    while (dotenv_next(&dotenv, &pair))
        count++;
    return count;
}

START_TEST(the_first_equals_sign_splits)
{
    ck_assert(find("A=b=c\n", "A", "b=c"));
    ck_assert(find("A==\n", "A", "="));
}
END_TEST

START_TEST(blanks_are_trimmed_and_one_pair_of_quotes_taken_off)
{
    ck_assert(find("\t A \t=  b c\t \n", "A", "b c"));
    ck_assert(find("A = \" b \" \n", "A", " b "));
    ck_assert(find("A='b'\n", "A", "b"));
    ck_assert(find("A=\"'b'\"\n", "A", "'b'"));
    ck_assert(find("A=\"\"\n", "A", ""));
}
END_TEST

START_TEST(quotes_that_are_no_pair_belong_to_the_value)
{
    ck_assert(find("A=\"b'\n", "A", "\"b'"));
    ck_assert(find("A=\"\n", "A", "\""));
    ck_assert(find("A=b\"\n", "A", "b\""));
}
END_TEST

START_TEST(nothing_is_escaped_expanded_or_commented_behind_a_value)
{
    ck_assert(find("A=\"b\\\"c\\n\"\n", "A", "b\\\"c\\n"));
    ck_assert(find("B=1\nA=$B${B}\n", "A", "$B${B}"));
    ck_assert(find("A=b # c\n", "A", "b # c"));
}
END_TEST

START_TEST(blank_lines_comments_and_lines_without_a_sign_are_skipped)
{
    const char text[] = "\n \t\n# A=1\n  # B=2\nC\nexport D\nE=5\n";

    ck_assert_uint_eq(count_pairs(text, sizeof text - 1), 1);
    ck_assert(find(text, "E", "5"));
}
END_TEST

START_TEST(what_is_no_name_is_skipped)
{
    const char text[] = "export A=1\n=2\n3C=3\nD-E=4\nF.G=5\n\xc3\xa4=6\n_h9=7\n";

    ck_assert_uint_eq(count_pairs(text, sizeof text - 1), 1);
    ck_assert(find(text, "_h9", "7"));
}
END_TEST

START_TEST(the_last_of_two_counts)
{
    ck_assert(find("A=1\nB=2\nA=3\n", "A", "3"));
    ck_assert(find("A=1\nA=\n", "A", ""));
}
END_TEST

START_TEST(any_line_end_will_do_and_the_last_may_lack)
{
    ck_assert(find("A=1\r\nB=2\r\n", "A", "1"));
    ck_assert(find("A=1\r\nB=2\r\n", "B", "2"));
    ck_assert(find("A=1\rB=2", "A", "1"));
    ck_assert(find("A=1\rB=2", "B", "2"));
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over)
{
    ck_assert(find("\xef\xbb\xbf"
                   "A=1\n",
                   "A", "1"));
}
END_TEST

START_TEST(a_line_with_a_nul_is_skipped_alone)
{
    const char text[] = "A=1\0x\nB=2\n";
    struct dotenv_pair pair;

    ck_assert_uint_eq(count_pairs(text, sizeof text - 1), 1);
    ck_assert(!dotenv_find(text, sizeof text - 1, "A", &pair));
    ck_assert(dotenv_find(text, sizeof text - 1, "B", &pair));
}
END_TEST

START_TEST(a_text_that_is_not_utf8_counts_as_none)
{
    const char text[] = "A=1\nB=\xff\n";
    struct dotenv_pair pair;
    struct dotenv dotenv;

    ck_assert(!dotenv_open(&dotenv, text, sizeof text - 1));
    ck_assert(!dotenv_next(&dotenv, &pair));
    ck_assert(!dotenv_find(text, sizeof text - 1, "A", &pair));
}
END_TEST

START_TEST(a_text_above_the_bound_counts_as_none)
{
    char *text = malloc(DOTENV_SIZE_MAX + 1);
    struct dotenv_pair pair;

    ck_assert_ptr_nonnull(text);
    memset(text, '\n', DOTENV_SIZE_MAX + 1);
    memcpy(text, "A=1", 3);
    ck_assert(dotenv_find(text, DOTENV_SIZE_MAX, "A", &pair));
    ck_assert(!dotenv_find(text, DOTENV_SIZE_MAX + 1, "A", &pair));
    free(text);
}
END_TEST

START_TEST(an_empty_text_has_no_pair_and_may_be_null)
{
    struct dotenv_pair pair;

    ck_assert_uint_eq(count_pairs(NULL, 0), 0);
    ck_assert(!dotenv_find(NULL, 0, "A", &pair));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dotenv");
    TCase *rules = tcase_create("rules");

    tcase_add_test(rules, the_first_equals_sign_splits);
    tcase_add_test(rules, blanks_are_trimmed_and_one_pair_of_quotes_taken_off);
    tcase_add_test(rules, quotes_that_are_no_pair_belong_to_the_value);
    tcase_add_test(rules, nothing_is_escaped_expanded_or_commented_behind_a_value);
    tcase_add_test(rules, blank_lines_comments_and_lines_without_a_sign_are_skipped);
    tcase_add_test(rules, what_is_no_name_is_skipped);
    tcase_add_test(rules, the_last_of_two_counts);
    tcase_add_test(rules, any_line_end_will_do_and_the_last_may_lack);
    tcase_add_test(rules, a_byte_order_mark_is_passed_over);
    tcase_add_test(rules, a_line_with_a_nul_is_skipped_alone);
    tcase_add_test(rules, a_text_that_is_not_utf8_counts_as_none);
    tcase_add_test(rules, a_text_above_the_bound_counts_as_none);
    tcase_add_test(rules, an_empty_text_has_no_pair_and_may_be_null);
    suite_add_tcase(suite, rules);
    return check_main(suite);
}
