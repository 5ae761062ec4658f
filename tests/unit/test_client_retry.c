/* unit.client_retry: what is made again, after which pause, and what all of it may cost. */
#include "client/retry.h"
#include "tests/support/check_main.h"

static struct retry_budget budget;
static uint64_t pause_ms;

static struct probed_status unavailable(uint32_t retry_after_ms)
{
    return (struct probed_status){.code = PROBED_UNAVAILABLE, .retry_after_ms = retry_after_ms};
}

static bool spend(const struct probed_status *status, uint32_t attempt, uint64_t left_ms)
{
    return retry_budget_spend(&budget, status, attempt, left_ms, &pause_ms);
}

START_TEST(only_unavailable_is_worth_another_try)
{
    for (int code = PROBED_OK; code <= PROBED_UNAUTHENTICATED; code++) {
        struct probed_status status = {.code = (enum probed_code)code};

        retry_budget_init(&budget, 7);
        ck_assert_int_eq(spend(&status, 0, 10000), code == PROBED_UNAVAILABLE);
    }
}
END_TEST

START_TEST(pauses_double_within_bounds_and_begin_behind_the_daemons_advice)
{
    struct probed_status status = unavailable(300);
    uint64_t most_ms = RETRY_PAUSE_MS_MIN;

    for (uint32_t attempt = 0; attempt < 12; attempt++) {
        retry_budget_init(&budget, attempt + 1);
        ck_assert(spend(&status, attempt, 10000));
        ck_assert_uint_ge(pause_ms, 300 + most_ms / 2);
        ck_assert_uint_le(pause_ms, 300 + most_ms);
        most_ms = 2 * most_ms < RETRY_PAUSE_MS_MAX ? 2 * most_ms : RETRY_PAUSE_MS_MAX;
    }
}
END_TEST

START_TEST(what_would_come_behind_the_deadline_is_not_waited_for)
{
    struct probed_status status = unavailable(1000);

    retry_budget_init(&budget, 7);
    ck_assert(!spend(&status, 0, 1000));
    ck_assert_uint_eq(budget.left, RETRY_BUDGET_MAX);
    ck_assert(spend(&status, 0, 2000));
}
END_TEST

START_TEST(the_budget_is_ten_ahead_and_one_for_ten_that_went_well)
{
    struct probed_status status = unavailable(0);
    size_t count = 0;

    retry_budget_init(&budget, 7);
    while (spend(&status, 0, 10000))
        count++;
    ck_assert_uint_eq(count, 10);
    for (size_t i = 0; i < 9; i++)
        retry_budget_earn(&budget);
    ck_assert(!spend(&status, 0, 10000));
    retry_budget_earn(&budget);
    ck_assert(spend(&status, 0, 10000));
    ck_assert(!spend(&status, 0, 10000));
    for (size_t i = 0; i < 1000; i++)
        retry_budget_earn(&budget);
    ck_assert_uint_eq(budget.left, RETRY_BUDGET_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_retry");
    TCase *tests = tcase_create("retry");

    tcase_add_test(tests, only_unavailable_is_worth_another_try);
    tcase_add_test(tests, pauses_double_within_bounds_and_begin_behind_the_daemons_advice);
    tcase_add_test(tests, what_would_come_behind_the_deadline_is_not_waited_for);
    tcase_add_test(tests, the_budget_is_ten_ahead_and_one_for_ten_that_went_well);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
