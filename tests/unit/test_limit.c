/* unit.limit: the search for the highest rate that is kept. */
#include "client/probeload/limit.h"
#include "tests/support/check_main.h"

/* Searches on a machine that keeps every rate up to `limit`; what is found, and in how many trials. */
static double search_for(double limit, double first_rate, unsigned *trial_count)
{
    struct limit_search search;

    limit_search_init(&search, first_rate);
    for (*trial_count = 1; limit_search_note(&search, search.rate <= limit); ++*trial_count)
        ck_assert_uint_lt(*trial_count, LIMIT_STEP_COUNT_MAX);
    return search.kept;
}

static const double limits[] = {3, 17, 999, 1000, 1001, 5e4, 123456, 3e6};

START_TEST(the_limit_is_found_to_three_in_a_hundred)
{
    unsigned trial_count;
    double found = search_for(limits[_i], 1000, &trial_count);

    ck_assert_msg(found <= limits[_i] && found >= limits[_i] * 0.97, "%g instead of %g", found, limits[_i]);
}
END_TEST

START_TEST(what_keeps_nothing_ends_the_search)
{
    unsigned trial_count;

    ck_assert(search_for(0, 1000, &trial_count) == 0);
}
END_TEST

START_TEST(one_bad_trial_is_forgiven_and_two_are_not)
{
    struct limit_search search;

    limit_search_init(&search, 100);
    ck_assert(limit_search_note(&search, false));
    ck_assert(search.rate == 100);
    ck_assert(limit_search_note(&search, true));
    ck_assert(search.rate == 200 && search.kept == 100);
    ck_assert(limit_search_note(&search, false));
    ck_assert(limit_search_note(&search, false));
    ck_assert(search.rate == 150 && search.lost == 200);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limit");
    TCase *tcase = tcase_create("limit");

    tcase_add_loop_test(tcase, the_limit_is_found_to_three_in_a_hundred, 0, sizeof limits / sizeof limits[0]);
    tcase_add_test(tcase, what_keeps_nothing_ends_the_search);
    tcase_add_test(tcase, one_bad_trial_is_forgiven_and_two_are_not);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
