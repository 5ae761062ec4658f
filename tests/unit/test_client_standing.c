/* unit.client_standing: what a proof is worth, and when the daemon is asked. */
#include "client/standing.h"
#include "tests/support/check_main.h"

#include <stdlib.h>

enum { INTERVAL_MS = 1000 };

static struct standing standing;

static void begin(void)
{
    standing_init(&standing, 0x1234567);
}

/* A heartbeat that proves everything until it was sent. */
static void beat(uint64_t sent_ms, uint64_t now_ms)
{
    standing_hear_beat(&standing, sent_ms, INTERVAL_MS);
    standing_prove(&standing, sent_ms, now_ms);
}

START_TEST(nothing_is_current_before_it_is_proved)
{
    begin();
    ck_assert(!standing_is_current(&standing, 0));
    ck_assert(standing_is_silent(&standing, 0));
    standing_hear_beat(&standing, 10000, INTERVAL_MS);
    ck_assert(!standing_is_current(&standing, 10000));
    ck_assert(!standing_is_silent(&standing, 10000));
    ck_assert_uint_eq(standing_end_ms(&standing), STANDING_NEVER);
}
END_TEST

START_TEST(a_proof_is_good_for_three_intervals_from_when_it_was_sent)
{
    begin();
    beat(10000, 10900);
    ck_assert(standing_is_current(&standing, 10900));
    ck_assert_uint_eq(standing_end_ms(&standing), 13000);
    ck_assert(standing_is_current(&standing, 12999));
    ck_assert(!standing_is_current(&standing, 13000));
}
END_TEST

START_TEST(old_news_prove_nothing)
{
    begin();
    beat(10000, 13000);
    ck_assert(!standing_is_current(&standing, 13000));
    ck_assert(!standing.proved);
    ck_assert_uint_eq(standing.proved_ms, 10000);
    beat(11000, 13000);
    ck_assert(standing_is_current(&standing, 13000));
}
END_TEST

START_TEST(a_loss_takes_another_proof)
{
    begin();
    beat(10000, 10000);
    standing_lose(&standing);
    ck_assert(!standing_is_current(&standing, 10001));
    beat(11000, 11000);
    ck_assert(standing_is_current(&standing, 11000));
}
END_TEST

START_TEST(nobody_is_asked_in_silence)
{
    begin();
    ck_assert_uint_eq(standing_ask_ms(&standing, 5), STANDING_NEVER);
    standing_hear_beat(&standing, 10000, INTERVAL_MS);
    ck_assert_uint_ne(standing_ask_ms(&standing, 10000), STANDING_NEVER);
    ck_assert_uint_eq(standing_ask_ms(&standing, 13000), STANDING_NEVER);
}
END_TEST

START_TEST(the_first_question_waits_for_a_pause_that_is_bounded_and_differs)
{
    enum { COUNT = 1000, SLICE_COUNT = 10 };
    size_t counts[SLICE_COUNT] = {0};

    for (uint64_t i = 1; i <= COUNT; i++) {
        uint64_t due_ms;

        standing_init(&standing, i * 0x9E3779B97F4A7C15U);
        standing_hear_beat(&standing, 10000, INTERVAL_MS);
        due_ms = standing_ask_ms(&standing, 10000);
        ck_assert_uint_ge(due_ms, 10000);
        ck_assert_uint_le(due_ms, 10000 + STANDING_ASK_MS_MAX);
        ck_assert_uint_eq(standing_ask_ms(&standing, 10001), due_ms); /* drawn once */
        counts[(due_ms - 10000) * SLICE_COUNT / (STANDING_ASK_MS_MAX + 1)]++;
    }
    for (size_t i = 0; i < SLICE_COUNT; i++) /* no slice has more than twice its part */
        ck_assert_uint_le(counts[i], 2 * COUNT / SLICE_COUNT);
}
END_TEST

START_TEST(one_question_is_in_the_air_and_the_next_of_a_round_follows_its_answer)
{
    begin();
    standing_hear_beat(&standing, 10000, INTERVAL_MS);
    standing_asked(&standing);
    ck_assert_uint_eq(standing_ask_ms(&standing, 10000), STANDING_NEVER);
    standing_answered(&standing, 10010);
    ck_assert_uint_eq(standing_ask_ms(&standing, 10010), 10010);
}
END_TEST

START_TEST(a_refusal_is_followed_by_ever_longer_pauses_with_a_bound)
{
    uint64_t pause_ms = 0;

    begin();
    standing_hear_beat(&standing, 10000, 60000);
    for (uint64_t most_ms = STANDING_RETRY_MS_MIN; most_ms < 64 * STANDING_RETRY_MS_MAX; most_ms *= 2) {
        uint64_t bound_ms = most_ms < STANDING_RETRY_MS_MAX ? most_ms : STANDING_RETRY_MS_MAX;

        standing_asked(&standing);
        standing_refused(&standing, 10000, 0);
        pause_ms = standing_ask_ms(&standing, 10000) - 10000;
        ck_assert_uint_ge(pause_ms, bound_ms / 2);
        ck_assert_uint_le(pause_ms, bound_ms);
    }
    standing_asked(&standing);
    standing_refused(&standing, 10000, 30000); /* the daemon's advice */
    ck_assert_uint_ge(standing_ask_ms(&standing, 10000), 40000);
    standing_asked(&standing);
    standing_answered(&standing, 10000);
    ck_assert_uint_eq(standing.failure_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_standing");
    TCase *tests = tcase_create("standing");

    tcase_add_test(tests, nothing_is_current_before_it_is_proved);
    tcase_add_test(tests, a_proof_is_good_for_three_intervals_from_when_it_was_sent);
    tcase_add_test(tests, old_news_prove_nothing);
    tcase_add_test(tests, a_loss_takes_another_proof);
    tcase_add_test(tests, nobody_is_asked_in_silence);
    tcase_add_test(tests, the_first_question_waits_for_a_pause_that_is_bounded_and_differs);
    tcase_add_test(tests, one_question_is_in_the_air_and_the_next_of_a_round_follows_its_answer);
    tcase_add_test(tests, a_refusal_is_followed_by_ever_longer_pauses_with_a_bound);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
