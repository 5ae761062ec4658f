/* unit.client_chronicle: what is missing from what was heard. */
#include "client/chronicle.h"
#include "tests/support/check_main.h"

#include <stdio.h>
#include <string.h>

/* What was told, as text: "any", "/a", "event /a 3", each followed by a blank. */
struct told {
    char text[512];
};

static void tell(struct told *told, const char *what)
{
    strncat(told->text, what, sizeof told->text - strlen(told->text) - 1);
    strncat(told->text, " ", sizeof told->text - strlen(told->text) - 1);
}

static void on_gap(void *context, const char *home, const char *reason)
{
    ck_assert_ptr_nonnull(reason);
    tell(context, home == NULL ? "any" : home);
}

/* ---- a script ---- */

enum { EPOCH = 7, OTHER_EPOCH = 8 };

static struct chronicle chronicle;
static struct told told;

static void begin(bool all_homes)
{
    chronicle_init(&chronicle, all_homes, on_gap, &told);
    if (!all_homes)
        ck_assert(chronicle_want(&chronicle, "/a"));
}

static void event(uint64_t epoch, const char *home, uint64_t generation)
{
    Probed__V1__CredentialEvent event = PROBED__V1__CREDENTIAL_EVENT__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    char text[64];

    fence.epoch = epoch;
    fence.generation = generation;
    event.fence = &fence;
    event.home = (char *)(uintptr_t)home;
    if (chronicle_hear_event(&chronicle, &event)) {
        snprintf(text, sizeof text, "event%s%d", home, (int)generation);
        tell(&told, text);
    }
}

/* A heartbeat that names `home` at `generation`; NULL: none.  It was sent at `number`. */
static void beat_as(uint64_t epoch, uint64_t number, const char *home, uint64_t generation, bool truncated)
{
    Probed__V1__Heartbeat heartbeat = PROBED__V1__HEARTBEAT__INIT;
    Probed__V1__HomeHead head = PROBED__V1__HOME_HEAD__INIT, *heads[] = {&head};

    heartbeat.epoch = epoch;
    heartbeat.beat = number;
    heartbeat.sent_ns = number;
    heartbeat.truncated = truncated;
    if (home != NULL) {
        head.home = (char *)(uintptr_t)home;
        head.generation = generation;
        heartbeat.recent = heads;
        heartbeat.n_recent = 1;
    }
    if (chronicle_hear_beat(&chronicle, &heartbeat))
        tell(&told, "beat");
}

static void beat(uint64_t epoch, uint64_t number, const char *home, uint64_t generation)
{
    beat_as(epoch, number, home, generation, false);
}

/* The daemon says that the home to be asked next, which is `home`, is at this generation. */
static void answer(uint64_t epoch, const char *home, uint64_t generation, uint64_t answered_ns)
{
    const char *asked = chronicle_ask(&chronicle);

    ck_assert_ptr_nonnull(asked);
    ck_assert_str_eq(asked, home);
    chronicle_hear_answer(&chronicle, &(struct chronicle_answer){.round = chronicle.round,
                                                                 .epoch = epoch,
                                                                 .generation = generation,
                                                                 .asked_ns = answered_ns,
                                                                 .answered_ns = answered_ns});
}

static void expect(const char *text)
{
    ck_assert_str_eq(told.text, text);
    told.text[0] = '\0';
}

/* To "/a", which is at generation 1, settled by heartbeat 2. */
static void begin_settled(void)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    answer(EPOCH, "/a", 1, 1);
    beat(EPOCH, 2, NULL, 0);
    expect("beat any beat ");
    ck_assert(chronicle.settled);
}

/* To all homes, settled by heartbeat 1. */
static void begin_all(void)
{
    begin(true);
    beat(EPOCH, 1, NULL, 0);
    expect("any beat ");
    ck_assert(chronicle.settled);
}

static void end(void)
{
    chronicle_fini(&chronicle);
    told.text[0] = '\0';
}

/* ---- claims: what is missing ---- */

START_TEST(an_event_that_comes_twice_is_told_once)
{
    begin_settled();
    event(EPOCH, "/a", 2);
    event(EPOCH, "/a", 2);
    event(EPOCH, "/a", 1);
    expect("event/a2 ");
    end();
}
END_TEST

START_TEST(a_jump_in_generation_is_a_gap_of_that_home_before_the_event)
{
    begin_settled();
    event(EPOCH, "/a", 2);
    event(EPOCH, "/a", 5);
    event(EPOCH, "/a", 6);
    expect("event/a2 /a event/a5 event/a6 ");
    ck_assert_uint_eq(chronicle_generation(&chronicle, "/a"), 6);
    end();
}
END_TEST

START_TEST(a_generation_that_is_named_and_was_not_heard_is_a_gap_told_once)
{
    begin_settled();
    event(EPOCH, "/a", 2);
    beat(EPOCH, 3, "/a", 3);
    expect("event/a2 /a beat ");
    beat(EPOCH, 4, "/a", 3);
    event(EPOCH, "/a", 3); /* late: told already */
    event(EPOCH, "/a", 4);
    expect("beat event/a4 ");
    ck_assert(chronicle.settled);
    end();
}
END_TEST

START_TEST(a_home_named_for_the_first_time_was_changed_unheard)
{
    begin_all();
    beat(EPOCH, 2, "/new", 2);
    beat(EPOCH, 3, "/new", 2);
    expect("/new beat beat ");
    end();
}
END_TEST

START_TEST(up_to_three_lost_heartbeats_are_made_up_by_the_next)
{
    begin_settled();
    beat(EPOCH, 5, NULL, 0);
    expect("beat ");
    beat(EPOCH, 8, "/a", 2);
    expect("/a beat ");
    ck_assert(chronicle.settled);
    end();
}
END_TEST

START_TEST(four_lost_heartbeats_are_a_gap_of_any_home)
{
    begin_settled();
    beat(EPOCH, 6, "/a", 9);
    expect("any beat ");
    ck_assert(!chronicle.settled);
    event(EPOCH, "/a", 10);
    expect("event/a10 ");
    end();
}
END_TEST

START_TEST(what_could_not_be_read_is_a_gap_of_any_home)
{
    begin_settled();
    chronicle_doubt(&chronicle, "junk");
    expect("any ");
    ck_assert(!chronicle.settled);
    end();
}
END_TEST

START_TEST(a_heartbeat_that_comes_twice_or_late_says_nothing)
{
    begin_settled();
    beat(EPOCH, 5, NULL, 0);
    beat(EPOCH, 5, "/a", 9);
    beat(EPOCH, 4, "/a", 9);
    expect("beat ");
    end();
}
END_TEST

START_TEST(homes_that_nobody_asked_for_are_nothing)
{
    begin_settled();
    event(EPOCH, "/b", 2);
    beat(EPOCH, 3, "/b", 7);
    expect("beat ");
    ck_assert_uint_eq(chronicle_generation(&chronicle, "/b"), 0);
    end();
}
END_TEST

START_TEST(what_is_of_no_epoch_is_nothing)
{
    Probed__V1__CredentialEvent event_without_fence = PROBED__V1__CREDENTIAL_EVENT__INIT;

    begin(true);
    ck_assert(!chronicle_hear_event(&chronicle, &event_without_fence));
    event(0, "/a", 2);
    beat(0, 1, NULL, 0);
    expect("");
    end();
}
END_TEST

/* ---- claims: epochs ---- */

START_TEST(a_new_epoch_voids_everything_and_generations_begin_anew)
{
    begin_settled();
    event(EPOCH, "/a", 50);
    told.text[0] = '\0';
    beat(OTHER_EPOCH, 1, NULL, 0);
    ck_assert(!chronicle.settled);
    event(OTHER_EPOCH, "/a", 2);
    expect("any beat event/a2 ");
    end();
}
END_TEST

START_TEST(what_comes_late_of_an_epoch_that_is_over_is_nothing)
{
    begin_settled();
    beat(OTHER_EPOCH, 1, NULL, 0);
    event(EPOCH, "/a", 2);
    beat(EPOCH, 3, "/a", 2);
    event(OTHER_EPOCH, "/a", 2);
    expect("any beat event/a2 ");
    end();
}
END_TEST

START_TEST(the_first_four_heartbeats_of_an_epoch_name_all_that_there_is)
{
    begin_all();
    event(OTHER_EPOCH, "/a", 2);
    expect("any event/a2 ");
    beat(OTHER_EPOCH, 4, "/b", 2);
    expect("/b beat ");
    end();
    begin_all();
    event(OTHER_EPOCH, "/a", 2);
    beat(OTHER_EPOCH, 5, "/b", 2);
    expect("any event/a2 any beat ");
    end();
}
END_TEST

START_TEST(an_answer_of_a_new_epoch_begins_it)
{
    begin_settled();
    chronicle_doubt(&chronicle, "junk");
    answer(OTHER_EPOCH, "/a", 1, 2);
    expect("any any ");
    ck_assert_ptr_null(chronicle_ask(&chronicle)); /* until a heartbeat of it is heard */
    beat(EPOCH, 3, NULL, 0);
    expect("");
    beat(OTHER_EPOCH, 1, NULL, 0);
    answer(OTHER_EPOCH, "/a", 1, 1);
    beat(OTHER_EPOCH, 2, NULL, 0);
    expect("beat beat ");
    ck_assert(chronicle.settled);
    end();
}
END_TEST

/* ---- claims: settling ---- */

START_TEST(nothing_is_asked_before_a_heartbeat_is_heard)
{
    begin(false);
    ck_assert_ptr_null(chronicle_ask(&chronicle));
    event(EPOCH, "/a", 4);
    ck_assert_ptr_null(chronicle_ask(&chronicle));
    beat(EPOCH, 9, NULL, 0);
    ck_assert_str_eq(chronicle_ask(&chronicle), "/a");
    end();
}
END_TEST

START_TEST(listening_begins_with_a_heartbeat_that_was_sent_after_the_last_answer)
{
    begin(false);
    ck_assert(chronicle_want(&chronicle, "/b"));
    beat(EPOCH, 1, NULL, 0);
    answer(EPOCH, "/a", 1, 2);
    beat(EPOCH, 3, NULL, 0);
    answer(EPOCH, "/b", 1, 6);
    ck_assert_ptr_null(chronicle_ask(&chronicle));
    beat(EPOCH, 5, NULL, 0); /* was in the air already */
    ck_assert(!chronicle.settled);
    expect("beat beat beat ");
    beat(EPOCH, 6, NULL, 0);
    ck_assert(chronicle.settled);
    ck_assert_uint_eq(chronicle.proved_ns, 6);
    expect("any beat ");
    end();
}
END_TEST

START_TEST(what_an_answer_tells_of_and_was_not_heard_by_then_is_a_gap)
{
    begin_settled();
    chronicle_doubt(&chronicle, "junk");
    answer(EPOCH, "/a", 3, 2);
    beat(EPOCH, 3, NULL, 0);
    expect("any /a beat ");
    ck_assert_uint_eq(chronicle_generation(&chronicle, "/a"), 3);
    end();
}
END_TEST

START_TEST(what_an_answer_tells_of_and_is_heard_behind_it_is_no_gap)
{
    begin_settled();
    chronicle_doubt(&chronicle, "junk");
    answer(EPOCH, "/a", 2, 2);
    event(EPOCH, "/a", 2);
    beat(EPOCH, 3, "/a", 2);
    expect("any event/a2 beat ");
    end();
}
END_TEST

START_TEST(an_answer_from_before_a_doubt_is_worth_nothing)
{
    struct chronicle_answer early;

    begin(false);
    beat(EPOCH, 1, NULL, 0);
    early = (struct chronicle_answer){.round = chronicle.round, .epoch = EPOCH, .generation = 1};
    chronicle_doubt(&chronicle, "junk");
    chronicle_hear_answer(&chronicle, &early);
    ck_assert_str_eq(chronicle_ask(&chronicle), "/a");
    end();
}
END_TEST

START_TEST(a_heartbeat_that_cannot_name_all_is_made_up_for_by_asking)
{
    begin_settled();
    beat_as(EPOCH, 3, NULL, 0, true);
    ck_assert(!chronicle.settled);
    ck_assert_uint_eq(chronicle.proved_ns, 2);
    answer(EPOCH, "/a", 1, 3);
    beat_as(EPOCH, 4, NULL, 0, true); /* settles what was asked, and is to be made up for itself */
    ck_assert_uint_eq(chronicle.proved_ns, 3);
    ck_assert_str_eq(chronicle_ask(&chronicle), "/a");
    answer(EPOCH, "/a", 2, 4);
    beat(EPOCH, 5, NULL, 0);
    ck_assert(chronicle.settled);
    expect("beat beat /a beat ");
    end();
}
END_TEST

START_TEST(who_listens_to_all_can_ask_nothing_and_is_told_of_any)
{
    begin_all();
    beat_as(EPOCH, 2, NULL, 0, true);
    expect("any beat ");
    ck_assert_ptr_null(chronicle_ask(&chronicle));
    ck_assert(chronicle.settled); /* all was told */
    end();
}
END_TEST

START_TEST(more_homes_than_can_be_remembered_are_forgotten_and_said_to_be)
{
    char path[32];

    begin_all();
    for (int i = 0; i < CHRONICLE_HOME_COUNT_MAX; i++) {
        snprintf(path, sizeof path, "/%d", i);
        event(EPOCH, path, 2);
        told.text[0] = '\0';
    }
    event(EPOCH, "/one/more", 2);
    expect("any ");
    event(EPOCH, "/0", 3);
    expect("event/03 ");
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_chronicle");
    TCase *tests = tcase_create("gaps");

    tcase_add_test(tests, an_event_that_comes_twice_is_told_once);
    tcase_add_test(tests, a_jump_in_generation_is_a_gap_of_that_home_before_the_event);
    tcase_add_test(tests, a_generation_that_is_named_and_was_not_heard_is_a_gap_told_once);
    tcase_add_test(tests, a_home_named_for_the_first_time_was_changed_unheard);
    tcase_add_test(tests, up_to_three_lost_heartbeats_are_made_up_by_the_next);
    tcase_add_test(tests, four_lost_heartbeats_are_a_gap_of_any_home);
    tcase_add_test(tests, what_could_not_be_read_is_a_gap_of_any_home);
    tcase_add_test(tests, a_heartbeat_that_comes_twice_or_late_says_nothing);
    tcase_add_test(tests, homes_that_nobody_asked_for_are_nothing);
    tcase_add_test(tests, what_is_of_no_epoch_is_nothing);
    tcase_add_test(tests, a_new_epoch_voids_everything_and_generations_begin_anew);
    tcase_add_test(tests, what_comes_late_of_an_epoch_that_is_over_is_nothing);
    tcase_add_test(tests, the_first_four_heartbeats_of_an_epoch_name_all_that_there_is);
    tcase_add_test(tests, an_answer_of_a_new_epoch_begins_it);
    tcase_add_test(tests, nothing_is_asked_before_a_heartbeat_is_heard);
    tcase_add_test(tests, listening_begins_with_a_heartbeat_that_was_sent_after_the_last_answer);
    tcase_add_test(tests, what_an_answer_tells_of_and_was_not_heard_by_then_is_a_gap);
    tcase_add_test(tests, what_an_answer_tells_of_and_is_heard_behind_it_is_no_gap);
    tcase_add_test(tests, an_answer_from_before_a_doubt_is_worth_nothing);
    tcase_add_test(tests, a_heartbeat_that_cannot_name_all_is_made_up_for_by_asking);
    tcase_add_test(tests, who_listens_to_all_can_ask_nothing_and_is_told_of_any);
    tcase_add_test(tests, more_homes_than_can_be_remembered_are_forgotten_and_said_to_be);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
