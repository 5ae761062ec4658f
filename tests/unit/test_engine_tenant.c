/* Uids beside each other: turns for what is scarce, and shares of it.  proto/README.md 3, "uids take turns, then the
 * homes of one uid", and 2, server.homes_max. */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#include <stdio.h>

enum { HOG = 1001, MODEST = 1002, THIRD = 1003, DAEMON = 900, SHARES = 16 };

static struct engine_settings few_workers(uint64_t workers_max)
{
    struct engine_settings settings = driver_settings;

    settings.workers_max = workers_max;
    settings.daemon_uid = DAEMON;
    return settings;
}

static struct driver *create(uint64_t workers_max)
{
    struct engine_settings settings = few_workers(workers_max);

    return driver_create(&settings);
}

static void ask_often(struct driver *driver, const char *home, uint32_t uid, int count)
{
    char key[16];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%u.%d", uid, i);
        driver_ask(driver, (struct ask){.home = home, .key = key, .uid = uid});
    }
}

/* Its lease ends with the worker, and whoever's turn it is has the room.  The home that was started for. */
static const char *next_start(struct driver *driver, uint64_t worker_id)
{
    uint64_t pinned_before = driver->pinned_count;

    driver_return(driver, worker_id, LEASE_BREACHED);
    driver_gone(driver, worker_id);
    ck_assert_uint_eq(driver->pinned_count, pinned_before + 1);
    driver_up(driver, driver->pinned_count);
    return driver->workers[driver->pinned_count].home;
}

/* ---- turns ---- */

START_TEST(uids_take_turns_however_many_homes_they_have)
{
    struct driver *driver = create(1);
    char home[16];

    driver_ask(driver, (struct ask){.home = "/first", .uid = THIRD});
    driver_up(driver, 1);
    for (int i = 0; i < 20; i++) {
        snprintf(home, sizeof home, "/hog/%d", i);
        driver_ask(driver, (struct ask){.home = home, .uid = HOG});
    }
    driver_ask(driver, (struct ask){.home = "/modest/0", .uid = MODEST});
    driver_ask(driver, (struct ask){.home = "/modest/1", .uid = MODEST});
    ck_assert_str_eq(next_start(driver, 1), "/hog/0");
    ck_assert_str_eq(next_start(driver, 2), "/modest/0");
    ck_assert_str_eq(next_start(driver, 3), "/hog/1");
    ck_assert_str_eq(next_start(driver, 4), "/modest/1");
    ck_assert_str_eq(next_start(driver, 5), "/hog/2");
    ck_assert_str_eq(next_start(driver, 6), "/hog/3"); /* the other one wants nothing more */
    driver_destroy(driver);
}
END_TEST

START_TEST(of_uids_with_as_many_workers_the_one_whose_last_turn_is_longest_ago_is_next)
{
    enum { UID_COUNT = 5, ROUND_COUNT = 4 };
    struct driver *driver = create(1);
    char home[16];

    driver_ask(driver, (struct ask){.home = "/first"});
    driver_up(driver, 1);
    for (uint32_t i = 0; i < UID_COUNT * (ROUND_COUNT + 1); i++) {
        snprintf(home, sizeof home, "/%u", i);
        driver_ask(driver, (struct ask){.home = home, .uid = HOG + i / (ROUND_COUNT + 1)});
    }
    for (uint64_t id = 1; id <= UID_COUNT * ROUND_COUNT; id++) {
        ck_assert_str_ne(next_start(driver, id), "/first");
        if (id > UID_COUNT) /* the order of the first round is that of all */
            ck_assert_uint_eq(driver->workers[id + 1].uid, driver->workers[id + 1 - UID_COUNT].uid);
    }
    driver_destroy(driver);
}
END_TEST

START_TEST(whoever_has_fewest_workers_is_served_first)
{
    struct driver *driver = create(3);

    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    driver_up(driver, 1);
    ask_often(driver, "/hog/1", HOG, 2);
    driver_up(driver, 2);
    driver_up(driver, 3);
    driver_ask(driver, (struct ask){.home = "/hog/2", .uid = HOG});
    driver_ask(driver, (struct ask){.home = "/modest/2", .uid = MODEST});
    driver_ask(driver, (struct ask){.home = "/third", .uid = THIRD});
    ck_assert_str_eq(next_start(driver, 3), "/third");    /* has none */
    ck_assert_str_eq(next_start(driver, 4), "/modest/2"); /* one each, but its last start is longer ago */
    ck_assert_str_eq(next_start(driver, 5), "/hog/2");
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_counts_for_whom_it_was_lent_to_last)
{
    struct driver *driver = create(2);

    driver_ask_and_reply(driver, (struct ask){.home = "/shared", .uid = HOG}, (struct reply){.account = ACCOUNT_OK});
    driver_ask(driver, (struct ask){.home = "/shared", .uid = MODEST, .key = "1"});
    driver_ask(driver, (struct ask){.home = "/third", .uid = THIRD});
    driver_up(driver, 2);
    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    driver_ask(driver, (struct ask){.home = "/hog", .uid = HOG});
    ck_assert_str_eq(next_start(driver, 2), "/hog");
    driver_destroy(driver);
}
END_TEST

START_TEST(of_one_uids_homes_those_without_a_worker_go_first_and_then_in_turn)
{
    struct driver *driver = create(3);

    ask_often(driver, "/1", HOG, 1);
    ask_often(driver, "/other", HOG, 1);
    ask_often(driver, "/room", HOG, 1);
    for (uint64_t id = 1; id <= 3; id++)
        driver_up(driver, id);
    driver_ask(driver, (struct ask){.home = "/1", .uid = HOG, .key = "more"}); /* has a worker */
    driver_ask(driver, (struct ask){.home = "/2", .uid = HOG, .key = "1"});
    driver_ask(driver, (struct ask){.home = "/2", .uid = HOG, .key = "2"});
    driver_ask(driver, (struct ask){.home = "/3", .uid = HOG});
    ck_assert_str_eq(next_start(driver, 3), "/2");
    ck_assert_str_eq(next_start(driver, 2), "/3");
    driver_answer(driver, 5);
    ck_assert_uint_eq(driver_view(driver).workers[WORKER_ENDING], 1); /* /3's, which nobody waits for */
    driver_gone(driver, 5);
    ck_assert_str_eq(driver->workers[6].home, "/1"); /* before the rest of /2, which came behind it */
    driver_destroy(driver);
}
END_TEST

/* ---- yielding ---- */

START_TEST(a_modest_uid_waits_for_one_lease_though_a_hogs_homes_always_have_callers)
{
    struct driver *driver = create(2);
    struct engine_call *call;

    ask_often(driver, "/hog", HOG, 20);
    driver_up(driver, 1);
    driver_up(driver, 2);
    call = driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    ck_assert_uint_eq(driver->workers[1].end_count, 0); /* nobody is ended under a lease */
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 1);
    driver_answer(driver, 2); /* the other one goes on for the hog */
    ck_assert_ptr_nonnull(driver->workers[2].lease);
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[3].home, "/modest");
    driver_up(driver, 3);
    driver_answer(driver, 3);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(the_only_worker_yields_to_whoever_has_none)
{
    struct driver *driver = create(1);
    struct engine_call *call;

    ask_often(driver, "/hog", HOG, 20);
    driver_up(driver, 1);
    call = driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    driver_answer(driver, 1);
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[2].home, "/modest");
    driver_up(driver, 2);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_gone(driver, 2); /* idle, and ended to make room */
    ck_assert_str_eq(driver->workers[3].home, "/hog");
    driver_destroy(driver);
}
END_TEST

START_TEST(nobody_yields_one_more_worker_than_others_have)
{
    struct driver *driver = create(3);

    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST, .key = "first"});
    ask_often(driver, "/hog", HOG, 20);
    for (uint64_t id = 1; id <= 3; id++)
        driver_up(driver, id);
    ask_often(driver, "/modest", MODEST, 20); /* has one of three, and wants more */
    for (uint64_t id = 1; id <= 3; id++)
        driver_answer(driver, id);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(nobody_yields_where_shares_are_equal)
{
    struct driver *driver = create(2);

    ask_often(driver, "/hog", HOG, 20);
    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST, .key = "first"});
    driver_up(driver, 1);
    driver_up(driver, 2);
    driver_answer(driver, 1); /* yields one of two */
    driver_gone(driver, 1);
    driver_up(driver, 3);
    ask_often(driver, "/modest", MODEST, 15);
    for (int i = 0; i < 10; i++) {
        driver_answer(driver, 2);
        driver_answer(driver, 3);
    }
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 1);
    ck_assert_uint_eq(driver->workers[2].lease_count, 11);
    ck_assert_uint_eq(driver->workers[3].lease_count, 11);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_destroy(driver);
}
END_TEST

START_TEST(as_many_yield_as_make_the_shares_equal)
{
    struct engine_settings settings = few_workers(4);
    struct driver *driver;

    settings.workers_per_home = 4;
    driver = driver_create(&settings);
    ask_often(driver, "/hog", HOG, 20);
    for (uint64_t id = 1; id <= 4; id++)
        driver_up(driver, id);
    ask_often(driver, "/modest", MODEST, 20);
    for (uint64_t id = 1; id <= 4; id++)
        driver_answer(driver, id);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 2);
    driver_gone(driver, 1);
    driver_gone(driver, 2);
    ck_assert_str_eq(driver->workers[5].home, "/modest");
    ck_assert_str_eq(driver->workers[6].home, "/modest");
    driver_up(driver, 5);
    driver_up(driver, 6);
    for (uint64_t id = 3; id <= 6; id++)
        driver_answer(driver, id);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 2);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_without_work_is_ended_before_one_yields)
{
    struct driver *driver = create(2);

    driver_warm(driver, "/idle");
    ask_often(driver, "/hog", HOG, 20);
    driver_up(driver, 2); /* the idle one was ended for the second of the hog's */
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_gone(driver, 1);
    driver_up(driver, 3);
    driver_invalidate(driver, (struct void_order){.home = "/hog", .provider = "anthropic"});
    driver_answer(driver, 2); /* of the older generation: it ends */
    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    driver_answer(driver, 3);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 0); /* there is room on the way */
    driver_destroy(driver);
}
END_TEST

START_TEST(an_idle_worker_of_anothers_home_is_ended_and_nobody_yields)
{
    struct driver *driver = create(2);

    driver_warm(driver, "/idle");
    driver_ask(driver, (struct ask){.home = "/hog", .uid = HOG, .key = "1"});
    driver_up(driver, 2);
    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_ask(driver, (struct ask){.home = "/hog", .uid = HOG, .key = "2"});
    driver_answer(driver, 2);
    ck_assert_ptr_nonnull(driver->workers[2].lease);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(homes_of_one_uid_yield_to_each_other_as_uids_do)
{
    struct driver *driver = create(2);

    ask_often(driver, "/busy", HOG, 20);
    driver_up(driver, 1);
    driver_up(driver, 2);
    ask_often(driver, "/quiet", HOG, 1);
    driver_answer(driver, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 1);
    driver_answer(driver, 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_YIELDED), 1);
    driver_gone(driver, 1);
    ck_assert_str_eq(driver->workers[3].home, "/quiet");
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_has_just_come_up_serves_once_before_it_yields)
{
    struct driver *driver = create(1);
    struct engine_call *call = driver_ask(driver, (struct ask){.home = "/hog", .uid = HOG});

    driver_ask(driver, (struct ask){.home = "/modest", .uid = MODEST});
    driver_up(driver, 1);
    ck_assert_ptr_nonnull(driver->workers[1].lease);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_hostile_uid_with_1000_homes_costs_the_others_one_lease)
{
    enum { WORKER_COUNT = 16, OTHER_COUNT = 8 };
    struct engine_settings settings = few_workers(WORKER_COUNT);
    struct driver *driver;
    char home[16];

    settings.homes_max = 100000;
    driver = driver_create(&settings);
    for (int i = 0; i < 1000; i++) {
        snprintf(home, sizeof home, "/hog/%d", i);
        driver_ask(driver, (struct ask){.home = home, .uid = HOG});
    }
    for (uint64_t id = 1; id <= WORKER_COUNT; id++)
        driver_up(driver, id);
    for (uint32_t i = 0; i < OTHER_COUNT; i++) {
        snprintf(home, sizeof home, "/other/%u", i);
        ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = home, .uid = MODEST + i})));
    }
    for (uint64_t id = 1; id <= OTHER_COUNT; id++) {
        driver_answer(driver, id); /* idle, and ended to make room: its home has no callers left */
        driver_gone(driver, id);
        ck_assert_int_eq(strncmp(driver->workers[WORKER_COUNT + id].home, "/other/", 7), 0);
    }
    driver_answer(driver, OTHER_COUNT + 1);
    driver_gone(driver, OTHER_COUNT + 1);
    ck_assert_str_eq(driver->workers[WORKER_COUNT + OTHER_COUNT + 1].home, "/hog/16");
    driver_destroy(driver);
}
END_TEST

/* ---- the share of the queue ---- */

/* The only worker is THIRD's, and at work. */
static struct driver *create_queue_of(uint64_t queue_max)
{
    struct engine_settings settings = few_workers(1);
    struct driver *driver;

    settings.queue_max = queue_max;
    driver = driver_create(&settings);
    driver_ask(driver, (struct ask){.home = "/leased", .uid = THIRD});
    driver_up(driver, 1);
    return driver;
}

static struct engine_call *queue_up(struct driver *driver, uint32_t uid)
{
    char home[32];

    snprintf(home, sizeof home, "/%u/%zu", uid, driver->call_count);
    return driver_ask(driver, (struct ask){.home = home, .uid = uid});
}

START_TEST(a_uid_has_at_most_half_of_the_queue_that_the_others_leave)
{
    struct driver *driver = create_queue_of(8);
    struct engine_call *call;

    for (int i = 0; i < 4; i++)
        ck_assert(!driver_is_back(driver, queue_up(driver, HOG)));
    call = queue_up(driver, HOG);
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "pool.queue_max: 4 probes of this uid"));
    ck_assert_uint_gt(call->result.status.retry_after_ms, 0);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_SHARE), 1);
    for (int i = 0; i < 2; i++)
        ck_assert(!driver_is_back(driver, queue_up(driver, MODEST)));
    ck_assert_int_eq(driver_code(driver, queue_up(driver, MODEST)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert(!driver_is_back(driver, queue_up(driver, THIRD))); /* there is a place for whoever has none */
    ck_assert_int_eq(driver_code(driver, queue_up(driver, HOG)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_MAX), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(half_of_an_odd_queue_is_rounded_up)
{
    struct driver *driver = create_queue_of(1);

    ck_assert(!driver_is_back(driver, queue_up(driver, HOG)));
    ck_assert_int_eq(driver_code(driver, queue_up(driver, MODEST)), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_MAX), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(root_and_the_daemons_uid_may_have_the_whole_queue)
{
    static const uint32_t uids[] = {0, DAEMON};

    for (int i = 0; i < 2; i++) {
        struct driver *driver = create_queue_of(8);

        for (int j = 0; j < 8; j++)
            ck_assert(!driver_is_back(driver, queue_up(driver, uids[i])));
        ck_assert_int_eq(driver_code(driver, queue_up(driver, uids[i])), STATUS_RESOURCE_EXHAUSTED);
        ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_QUEUE_SHARE), 0);
        driver_destroy(driver);
    }
}
END_TEST

/* ---- the share of the homes ---- */

static struct driver *create_homes_of(uint64_t homes_max)
{
    struct engine_settings settings = few_workers(16);

    settings.homes_max = homes_max;
    return driver_create(&settings);
}

static enum status_code invalidate_as(struct driver *driver, const char *home, uint32_t uid)
{
    return driver_code(driver, driver_invalidate(driver, (struct void_order){.home = home, .uid = uid}));
}

START_TEST(a_uid_has_at_most_a_sixteenth_of_the_homes)
{
    struct driver *driver = create_homes_of(2 * SHARES);
    struct engine_call *call;

    driver_ask(driver, (struct ask){.home = "/1", .uid = HOG});
    ck_assert_int_eq(invalidate_as(driver, "/2", HOG), STATUS_OK);
    call = driver_ask(driver, (struct ask){.home = "/3", .uid = HOG});
    ck_assert_int_eq(driver_code(driver, call), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "server.homes_max: 2 homes of at most 2 for one uid"));
    ck_assert_int_eq(invalidate_as(driver, "/3", HOG), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_HOMES_SHARE), 2);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/3", .uid = MODEST})));
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/3", .uid = HOG, .key = "1"})));
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_HOMES_MAX), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_uid_may_always_have_one_home)
{
    struct driver *driver = create_homes_of(2);

    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.home = "/1", .uid = HOG})));
    ck_assert_int_eq(driver_code(driver, driver_ask(driver, (struct ask){.home = "/2", .uid = HOG})),
                     STATUS_RESOURCE_EXHAUSTED);
    driver_destroy(driver);
}
END_TEST

START_TEST(root_and_the_daemons_uid_may_have_all_homes)
{
    struct driver *driver = create_homes_of(4);

    ck_assert_int_eq(invalidate_as(driver, "/1", 0), STATUS_OK);
    ck_assert_int_eq(invalidate_as(driver, "/2", 0), STATUS_OK);
    ck_assert_int_eq(invalidate_as(driver, "/3", DAEMON), STATUS_OK);
    ck_assert_int_eq(invalidate_as(driver, "/4", DAEMON), STATUS_OK);
    ck_assert_int_eq(invalidate_as(driver, "/5", DAEMON), STATUS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_HOMES_MAX), 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_HOMES_SHARE), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(at_its_share_a_uid_forgets_its_own_homes_of_which_nothing_is_known)
{
    struct driver *driver = create_homes_of(2 * SHARES);

    driver_leave(driver, driver_ask(driver, (struct ask){.home = "/other", .uid = MODEST}));
    ck_assert(!driver_pinned(driver, 1)); /* idle for longest of all */
    for (uint64_t id = 2; id < 12; id++) {
        char home[16];

        snprintf(home, sizeof home, "/%d", (int)id);
        driver_leave(driver, driver_ask(driver, (struct ask){.home = home, .uid = HOG}));
        ck_assert(!driver_pinned(driver, id));
        ck_assert_uint_le(driver_view(driver).homes, 3);
    }
    ck_assert_str_eq(driver_view_home(driver, "/other")->home, "/other");
    ck_assert_str_eq(driver_view_home(driver, "/10")->home, "/10");
    ck_assert_str_eq(driver_view_home(driver, "/11")->home, "/11");
    driver_destroy(driver);
}
END_TEST

START_TEST(a_new_epoch_lets_a_uid_forget_its_homes_that_had_moved)
{
    struct driver *driver = create_homes_of(2 * SHARES);

    ck_assert_int_eq(invalidate_as(driver, "/1", HOG), STATUS_OK);
    ck_assert_int_eq(invalidate_as(driver, "/2", HOG), STATUS_OK);
    ck_assert_int_eq(invalidate_as(driver, "/3", HOG), STATUS_RESOURCE_EXHAUSTED);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_int_eq(invalidate_as(driver, "/3", HOG), STATUS_OK);
    ck_assert_uint_eq(driver_view(driver).homes, 2);
    driver_destroy(driver);
}
END_TEST

static void add_turns(TCase *turns)
{
    tcase_add_test(turns, uids_take_turns_however_many_homes_they_have);
    tcase_add_test(turns, of_uids_with_as_many_workers_the_one_whose_last_turn_is_longest_ago_is_next);
    tcase_add_test(turns, whoever_has_fewest_workers_is_served_first);
    tcase_add_test(turns, a_worker_counts_for_whom_it_was_lent_to_last);
    tcase_add_test(turns, of_one_uids_homes_those_without_a_worker_go_first_and_then_in_turn);
}

static void add_yields(TCase *yields)
{
    tcase_add_test(yields, a_modest_uid_waits_for_one_lease_though_a_hogs_homes_always_have_callers);
    tcase_add_test(yields, the_only_worker_yields_to_whoever_has_none);
    tcase_add_test(yields, nobody_yields_one_more_worker_than_others_have);
    tcase_add_test(yields, nobody_yields_where_shares_are_equal);
    tcase_add_test(yields, as_many_yield_as_make_the_shares_equal);
    tcase_add_test(yields, a_worker_without_work_is_ended_before_one_yields);
    tcase_add_test(yields, an_idle_worker_of_anothers_home_is_ended_and_nobody_yields);
    tcase_add_test(yields, homes_of_one_uid_yield_to_each_other_as_uids_do);
    tcase_add_test(yields, a_worker_that_has_just_come_up_serves_once_before_it_yields);
    tcase_add_test(yields, a_hostile_uid_with_1000_homes_costs_the_others_one_lease);
}

static void add_shares(TCase *shares)
{
    tcase_add_test(shares, a_uid_has_at_most_half_of_the_queue_that_the_others_leave);
    tcase_add_test(shares, half_of_an_odd_queue_is_rounded_up);
    tcase_add_test(shares, root_and_the_daemons_uid_may_have_the_whole_queue);
    tcase_add_test(shares, a_uid_has_at_most_a_sixteenth_of_the_homes);
    tcase_add_test(shares, a_uid_may_always_have_one_home);
    tcase_add_test(shares, root_and_the_daemons_uid_may_have_all_homes);
    tcase_add_test(shares, at_its_share_a_uid_forgets_its_own_homes_of_which_nothing_is_known);
    tcase_add_test(shares, a_new_epoch_lets_a_uid_forget_its_homes_that_had_moved);
}

static Suite *make_suite(void)
{
    static const struct {
        const char *name;
        void (*add)(TCase *);
    } cases[] = {{"turns", add_turns}, {"yields", add_yields}, {"shares", add_shares}};
    Suite *suite = suite_create("engine_tenant");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *tests = tcase_create(cases[i].name);

        cases[i].add(tests);
        suite_add_tcase(suite, tests);
    }
    return suite;
}

int main(void)
{
    return check_main(make_suite());
}
