/* unit.dice: chance as it is asked for, and the same from the same seed. */
#include "client/probeload/dice.h"
#include "tests/support/check_main.h"

#include <math.h>
#include <stdlib.h>

enum { ROLL_COUNT = 200000, RANK_COUNT = 100 };

START_TEST(equal_seeds_give_equal_rolls)
{
    struct dice one = {.state = 7}, two = {.state = 7}, other = {.state = 8};
    bool differs = false;

    for (int i = 0; i < 1000; i++) {
        uint64_t value = dice_roll(&one);

        ck_assert_uint_eq(value, dice_roll(&two));
        differs = differs || value != dice_roll(&other);
    }
    ck_assert(differs);
}
END_TEST

START_TEST(units_are_from_0_to_below_1_and_evenly_so)
{
    struct dice dice = {.state = 1};
    double sum = 0;
    bool within = true;

    for (int i = 0; i < ROLL_COUNT; i++) {
        double value = dice_unit(&dice);

        within = within && value >= 0 && value < 1;
        sum += value;
    }
    ck_assert(within);
    ck_assert(fabs(sum / ROLL_COUNT - 0.5) < 0.005);
}
END_TEST

START_TEST(a_share_is_met_and_none_is_never)
{
    struct dice dice = {.state = 1};
    int hits = 0, of_none = 0, of_all = 0;

    for (int i = 0; i < ROLL_COUNT; i++) {
        hits += dice_chance(&dice, 0.1);
        of_none += dice_chance(&dice, 0);
        of_all += dice_chance(&dice, 1);
    }
    ck_assert_int_eq(of_none, 0);
    ck_assert_int_eq(of_all, ROLL_COUNT);
    ck_assert(abs(hits - ROLL_COUNT / 10) < ROLL_COUNT / 200);
}
END_TEST

/* Of an exponential distribution mean and deviation are the same. */
START_TEST(intervals_are_those_of_a_poisson_process)
{
    struct dice dice = {.state = 1};
    double sum = 0, squares = 0, mean;
    bool sound = true;

    for (int i = 0; i < ROLL_COUNT; i++) {
        double value = dice_interval(&dice);

        sound = sound && value >= 0 && isfinite(value);
        sum += value;
        squares += value * value;
    }
    ck_assert(sound);
    mean = sum / ROLL_COUNT;
    ck_assert(fabs(mean - 1) < 0.02);
    ck_assert(fabs(sqrt(squares / ROLL_COUNT - mean * mean) - 1) < 0.03);
}
END_TEST

START_TEST(zipf_favours_ranks_as_its_law_says)
{
    struct dice dice = {.state = 1};
    struct zipf zipf;
    int counts[RANK_COUNT] = {0};
    double harmonic = 0;

    ck_assert(zipf_init(&zipf, RANK_COUNT, 1));
    for (int i = 0; i < ROLL_COUNT; i++) {
        size_t rank = zipf_roll(&zipf, &dice);

        if (rank >= RANK_COUNT)
            ck_abort_msg("rank %zu", rank);
        counts[rank]++;
    }
    for (int rank = 0; rank < RANK_COUNT; rank++)
        harmonic += 1.0 / (rank + 1);
    for (int rank = 0; rank < RANK_COUNT; rank += 33)
        ck_assert(fabs(counts[rank] / (ROLL_COUNT / harmonic / (rank + 1)) - 1) < 0.2);
    zipf_fini(&zipf);
}
END_TEST

START_TEST(zipf_of_one_is_that_one)
{
    struct dice dice = {.state = 1};
    struct zipf zipf;

    ck_assert(zipf_init(&zipf, 1, 1.5));
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(zipf_roll(&zipf, &dice), 0);
    zipf_fini(&zipf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dice");
    TCase *tcase = tcase_create("dice");

    tcase_add_test(tcase, equal_seeds_give_equal_rolls);
    tcase_add_test(tcase, units_are_from_0_to_below_1_and_evenly_so);
    tcase_add_test(tcase, a_share_is_met_and_none_is_never);
    tcase_add_test(tcase, intervals_are_those_of_a_poisson_process);
    tcase_add_test(tcase, zipf_favours_ranks_as_its_law_says);
    tcase_add_test(tcase, zipf_of_one_is_that_one);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
