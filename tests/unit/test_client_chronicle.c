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

/* A heartbeat that names `home` at `generation`; NULL: none. */
static void beat(uint64_t epoch, uint64_t number, const char *home, uint64_t generation)
{
    Probed__V1__Heartbeat heartbeat = PROBED__V1__HEARTBEAT__INIT;
    Probed__V1__HomeHead head = PROBED__V1__HOME_HEAD__INIT, *heads[] = {&head};

    heartbeat.epoch = epoch;
    heartbeat.beat = number;
    if (home != NULL) {
        head.home = (char *)(uintptr_t)home;
        head.generation = generation;
        heartbeat.recent = heads;
        heartbeat.n_recent = 1;
    }
    if (chronicle_hear_beat(&chronicle, &heartbeat))
        tell(&told, "beat");
}

static void expect(const char *text)
{
    ck_assert_str_eq(told.text, text);
    told.text[0] = '\0';
}

static void end(void)
{
    chronicle_fini(&chronicle);
    told.text[0] = '\0';
}

/* ---- claims ---- */

START_TEST(where_listening_begins_everything_may_have_changed)
{
    begin(false);
    beat(EPOCH, 41, "/a", 5);
    expect("any beat ");
    event(EPOCH, "/a", 6);
    beat(EPOCH, 42, "/a", 6);
    expect("event/a6 beat ");
    end();
}
END_TEST

START_TEST(an_event_that_comes_twice_is_told_once)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    event(EPOCH, "/a", 2);
    event(EPOCH, "/a", 2);
    event(EPOCH, "/a", 1);
    expect("any beat event/a2 ");
    end();
}
END_TEST

START_TEST(a_jump_in_generation_is_a_gap_of_that_home_before_the_event)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    event(EPOCH, "/a", 2);
    event(EPOCH, "/a", 5);
    event(EPOCH, "/a", 6);
    expect("any beat event/a2 /a event/a5 event/a6 ");
    end();
}
END_TEST

START_TEST(a_generation_that_was_named_twice_and_not_heard_is_a_gap)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    event(EPOCH, "/a", 2);
    beat(EPOCH, 2, "/a", 3);
    expect("any beat event/a2 beat ");
    beat(EPOCH, 3, "/a", 3);
    expect("/a beat ");
    beat(EPOCH, 4, "/a", 3);
    event(EPOCH, "/a", 3); /* late: told already */
    event(EPOCH, "/a", 4);
    expect("beat event/a4 ");
    end();
}
END_TEST

START_TEST(an_event_just_behind_the_heartbeat_that_names_it_is_no_gap)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    beat(EPOCH, 2, "/a", 2);
    event(EPOCH, "/a", 2);
    beat(EPOCH, 3, "/a", 2);
    beat(EPOCH, 4, "/a", 2);
    expect("any beat beat event/a2 beat beat ");
    beat(EPOCH, 5, "/a", 3); /* and what was suspected before counts no more */
    event(EPOCH, "/a", 3);
    expect("beat event/a3 ");
    end();
}
END_TEST

START_TEST(a_home_named_for_the_first_time_was_changed_unheard)
{
    begin(true);
    beat(EPOCH, 1, NULL, 0);
    beat(EPOCH, 2, "/new", 2);
    beat(EPOCH, 3, "/new", 2);
    expect("any beat beat /new beat ");
    end();
}
END_TEST

START_TEST(up_to_three_lost_heartbeats_are_made_up_by_the_next)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    beat(EPOCH, 4, NULL, 0);
    expect("any beat beat ");
    beat(EPOCH, 7, "/a", 2); /* there may be no second one that names it */
    expect("/a beat ");
    end();
}
END_TEST

START_TEST(four_lost_heartbeats_are_a_gap_of_any_home)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    beat(EPOCH, 5, "/a", 9);
    expect("any beat any beat ");
    event(EPOCH, "/a", 10);
    expect("event/a10 ");
    end();
}
END_TEST

START_TEST(a_new_epoch_voids_everything_and_generations_begin_anew)
{
    begin(false);
    beat(EPOCH, 100, NULL, 0);
    event(EPOCH, "/a", 50);
    expect("any beat event/a50 ");
    beat(OTHER_EPOCH, 1, NULL, 0);
    event(OTHER_EPOCH, "/a", 2);
    expect("any beat event/a2 ");
    event(EPOCH, "/a", 51); /* it cannot be, and is not trusted */
    expect("any event/a51 ");
    end();
}
END_TEST

START_TEST(an_epoch_that_an_event_tells_first_is_doubted_until_its_first_heartbeat)
{
    begin(false);
    beat(EPOCH, 100, NULL, 0);
    event(OTHER_EPOCH, "/a", 2);
    beat(OTHER_EPOCH, 1, "/a", 2);
    beat(OTHER_EPOCH, 2, "/a", 2);
    expect("any beat any event/a2 any beat beat ");
    end();
}
END_TEST

START_TEST(a_heartbeat_that_could_not_name_all_is_a_gap_of_any_home)
{
    Probed__V1__Heartbeat heartbeat = PROBED__V1__HEARTBEAT__INIT;

    begin(false);
    beat(EPOCH, 1, NULL, 0);
    heartbeat.epoch = EPOCH;
    heartbeat.beat = 2;
    heartbeat.truncated = true;
    ck_assert(chronicle_hear_beat(&chronicle, &heartbeat));
    expect("any beat any ");
    end();
}
END_TEST

START_TEST(a_heartbeat_that_comes_twice_or_late_says_nothing)
{
    begin(false);
    beat(EPOCH, 5, NULL, 0);
    beat(EPOCH, 5, "/a", 9);
    beat(EPOCH, 4, "/a", 9);
    expect("any beat ");
    end();
}
END_TEST

START_TEST(homes_that_nobody_asked_for_are_nothing)
{
    begin(false);
    beat(EPOCH, 1, NULL, 0);
    event(EPOCH, "/b", 2);
    beat(EPOCH, 2, "/b", 7);
    beat(EPOCH, 3, "/b", 7);
    expect("any beat beat beat ");
    end();
}
END_TEST

START_TEST(an_event_without_a_fence_is_nothing)
{
    Probed__V1__CredentialEvent event = PROBED__V1__CREDENTIAL_EVENT__INIT;

    begin(true);
    ck_assert(!chronicle_hear_event(&chronicle, &event));
    expect("");
    end();
}
END_TEST

START_TEST(more_homes_than_can_be_remembered_are_forgotten_and_said_to_be)
{
    char path[32];

    begin(true);
    beat(EPOCH, 1, NULL, 0);
    expect("any beat ");
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

    tcase_add_test(tests, where_listening_begins_everything_may_have_changed);
    tcase_add_test(tests, an_event_that_comes_twice_is_told_once);
    tcase_add_test(tests, a_jump_in_generation_is_a_gap_of_that_home_before_the_event);
    tcase_add_test(tests, a_generation_that_was_named_twice_and_not_heard_is_a_gap);
    tcase_add_test(tests, an_event_just_behind_the_heartbeat_that_names_it_is_no_gap);
    tcase_add_test(tests, a_home_named_for_the_first_time_was_changed_unheard);
    tcase_add_test(tests, up_to_three_lost_heartbeats_are_made_up_by_the_next);
    tcase_add_test(tests, four_lost_heartbeats_are_a_gap_of_any_home);
    tcase_add_test(tests, a_new_epoch_voids_everything_and_generations_begin_anew);
    tcase_add_test(tests, an_epoch_that_an_event_tells_first_is_doubted_until_its_first_heartbeat);
    tcase_add_test(tests, a_heartbeat_that_could_not_name_all_is_a_gap_of_any_home);
    tcase_add_test(tests, a_heartbeat_that_comes_twice_or_late_says_nothing);
    tcase_add_test(tests, homes_that_nobody_asked_for_are_nothing);
    tcase_add_test(tests, an_event_without_a_fence_is_nothing);
    tcase_add_test(tests, more_homes_than_can_be_remembered_are_forgotten_and_said_to_be);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
