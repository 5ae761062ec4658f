/* unit.statement: what a worker signed is read again, and nothing else is taken for it. */
#include "client/probeload/statement.h"
#include "proto/limits.h"
#include "tests/support/check_main.h"

#include <stdio.h>
#include <string.h>

static struct statement_secret secret;
static struct statement statement;
static char line[STATEMENT_SIZE];

static void sign_one(void)
{
    secret = statement_secret_of("s3");
    statement = (struct statement){
        .pid = 17, .number = 3, .started_ns = 5, .answered_ns = 9, .key_digest = statement_digest(&secret, "key", 3)};
    statement_sign(&statement, &secret, "/h/a", "openrouter");
    statement_write(&statement, line);
}

START_TEST(what_was_signed_is_read_and_is_good)
{
    struct statement read;

    ck_assert(statement_read(line, &read));
    ck_assert_int_eq(memcmp(&read, &statement, sizeof read), 0);
    ck_assert(statement_is_signed(&read, &secret, "/h/a", "openrouter"));
}
END_TEST

START_TEST(it_is_good_for_its_home_provider_and_secret_alone)
{
    struct statement_secret other = statement_secret_of("s4"), none = statement_secret_of(NULL),
                            empty = statement_secret_of("");

    ck_assert(!statement_is_signed(&statement, &secret, "/h/b", "openrouter"));
    ck_assert(!statement_is_signed(&statement, &secret, "/h/a", "anthropic"));
    ck_assert(!statement_is_signed(&statement, &secret, "/h/aopenrouter", ""));
    ck_assert(!statement_is_signed(&statement, &other, "/h/a", "openrouter"));
    ck_assert(!statement_is_signed(&statement, &none, "/h/a", "openrouter"));
    ck_assert_int_eq(memcmp(&none, &empty, sizeof none), 0);
}
END_TEST

START_TEST(a_change_of_any_digit_is_noticed)
{
    for (size_t at = 0; line[at] != '\0'; at++) {
        struct statement read;
        char kept = line[at];

        if (kept < '0' || kept > '9')
            continue;
        line[at] = kept == '9' ? '8' : (char)(kept + 1);
        ck_assert_msg(!statement_read(line, &read) || !statement_is_signed(&read, &secret, "/h/a", "openrouter"), "%s",
                      line);
        line[at] = kept;
    }
}
END_TEST

static const char *const foreign[] = {"", "Credits balance: 4.20", "probeload", "probeload pid=1 number=2 started=3"};

START_TEST(another_line_is_none)
{
    struct statement read = {.pid = -1};

    ck_assert(!statement_read(foreign[_i], &read));
    ck_assert_int_eq(read.pid, -1);
}
END_TEST

START_TEST(something_behind_it_makes_it_none)
{
    char longer[STATEMENT_SIZE + 8];
    struct statement read;

    snprintf(longer, sizeof longer, "%s x", line);
    ck_assert(!statement_read(longer, &read));
}
END_TEST

START_TEST(the_longest_fits_in_a_detail)
{
    statement = (struct statement){.pid = 4194304,
                                   .number = UINT64_MAX,
                                   .started_ns = UINT64_MAX,
                                   .answered_ns = UINT64_MAX,
                                   .key_digest = UINT64_MAX,
                                   .signature = UINT64_MAX};
    statement_write(&statement, line);
    ck_assert_uint_lt(strlen(line), STATEMENT_SIZE - 1);
    ck_assert_uint_le(strlen(line), LIMIT_TEXT_CHARACTERS_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statement");
    TCase *tcase = tcase_create("statement");

    tcase_add_checked_fixture(tcase, sign_one, NULL);
    tcase_add_test(tcase, what_was_signed_is_read_and_is_good);
    tcase_add_test(tcase, it_is_good_for_its_home_provider_and_secret_alone);
    tcase_add_test(tcase, a_change_of_any_digit_is_noticed);
    tcase_add_loop_test(tcase, another_line_is_none, 0, sizeof foreign / sizeof foreign[0]);
    tcase_add_test(tcase, something_behind_it_makes_it_none);
    tcase_add_test(tcase, the_longest_fits_in_a_detail);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
