/* Pauses: homes whose workers end before they ever answered are left alone for a while.  proto/README.md 3,
 * "Failures". */
#include "tests/support/check_main.h"
#include "tests/support/engine_driver.h"

#define PAUSE_NS  (100 * NS_PER_MS) /* the first of a row */
#define FORGET_NS (60 * NS_PER_S)

static struct engine_settings without_memory(uint64_t workers_per_home)
{
    struct engine_settings settings = driver_settings;

    settings.failure_ttl_ns = 0; /* what a key remembers of failures is the cache's */
    settings.workers_per_home = workers_per_home;
    return settings;
}

static struct driver *create(uint64_t workers_per_home)
{
    struct engine_settings settings = without_memory(workers_per_home);

    return driver_create(&settings);
}

/* A probe that needs a start, which fails. */
static struct engine_call *fail_a_start(struct driver *driver)
{
    uint64_t pinned_before = driver->pinned_count;
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "start", .refresh = true});

    ck_assert_uint_eq(driver->pinned_count, pinned_before + 1);
    driver_gone(driver, driver->pinned_count);
    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    return call;
}

static void begin_pause(struct driver *driver)
{
    fail_a_start(driver);
    fail_a_start(driver);
    ck_assert_uint_gt(driver_view_home(driver, "/h")->pause_ns, 0);
}

static void check_refused_for(struct driver *driver, struct ask ask, uint64_t left_ms)
{
    uint64_t pinned_before = driver->pinned_count;
    struct engine_call *call = driver_ask(driver, ask);

    ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
    ck_assert_uint_eq(call->result.status.retry_after_ms, left_ms);
    ck_assert_ptr_nonnull(strstr(call->result.status.message, "exit status 1"));
    ck_assert_uint_eq(driver->pinned_count, pinned_before);
}

/* Whether the home starts a worker for whoever comes. */
static bool starts(struct driver *driver)
{
    uint64_t pinned_before = driver->pinned_count;
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "starts?", .refresh = true});

    if (!driver_is_back(driver, call))
        driver_leave(driver, call);
    return driver->pinned_count > pinned_before;
}

/* ---- begun ---- */

START_TEST(the_second_start_in_a_row_that_fails_begins_a_pause)
{
    struct driver *driver = create(2);

    fail_a_start(driver);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    fail_a_start(driver);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, PAUSE_NS);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 1);
    check_refused_for(driver, (struct ask){.key = "another"}, 100);
    driver_wait(driver, PAUSE_NS - 1);
    check_refused_for(driver, (struct ask){.refresh = true}, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_REFUSED_PAUSE), 2);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_FAILED), 4);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_pause_ends_by_itself_and_was_no_failure_of_the_key)
{
    struct driver *driver = driver_create(&driver_settings);

    driver_ask(driver, (struct ask){.key = "1"});
    driver_gone(driver, 1);
    driver_ask(driver, (struct ask){.key = "2"});
    driver_gone(driver, 2);
    check_refused_for(driver, (struct ask){.key = "3"}, 100);
    driver_wait(driver, PAUSE_NS);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    ck_assert(!driver_is_back(driver, driver_ask(driver, (struct ask){.key = "3"})));
    ck_assert(driver->workers[3].pin);
    driver_destroy(driver);
}
END_TEST

START_TEST(pauses_double_up_to_30_s)
{
    static const uint64_t spans_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct driver *driver = create(2);

    fail_a_start(driver);
    for (size_t i = 0; i < sizeof spans_ms / sizeof spans_ms[0]; i++) {
        fail_a_start(driver);
        check_refused_for(driver, (struct ask){0}, spans_ms[i]);
        driver_wait(driver, spans_ms[i] * NS_PER_MS - 1);
        check_refused_for(driver, (struct ask){0}, 1);
        driver_wait(driver, 1);
    }
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), sizeof spans_ms / sizeof spans_ms[0]);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_pause_concerns_its_home_alone)
{
    struct driver *driver = create(2);

    begin_pause(driver);
    driver_ask_and_reply(driver, (struct ask){.home = "/other"}, (struct reply){.account = ACCOUNT_OK});
    check_refused_for(driver, (struct ask){0}, 100);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_cached_answer_is_served_during_a_pause)
{
    struct driver *driver = create(2);

    driver_warm(driver, "/h");
    driver_gone(driver, 1);
    begin_pause(driver);
    ck_assert_int_eq(driver_ask(driver, (struct ask){.key = "warming"})->result.origin, ORIGIN_CACHED);
    driver_destroy(driver);
}
END_TEST

START_TEST(those_who_wait_when_a_pause_begins_are_told_at_once)
{
    struct driver *driver = create(1);
    struct engine_call *calls[4];
    char keys[4][2] = {"0", "1", "2", "3"};

    for (int i = 0; i < 4; i++)
        calls[i] = driver_ask(driver, (struct ask){.key = keys[i]});
    driver_gone(driver, 1);
    ck_assert_int_eq(driver_code(driver, calls[3]), STATUS_UNAVAILABLE);
    ck_assert_uint_eq(driver->answered_count, 1);
    driver_gone(driver, 2);
    ck_assert_uint_eq(driver->answered_count, 4);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(driver_code(driver, calls[i]), STATUS_UNAVAILABLE);
        ck_assert_uint_eq(calls[i]->result.status.retry_after_ms, 100);
        ck_assert_ptr_nonnull(strstr(calls[i]->result.status.message, "exit status 1"));
    }
    ck_assert(!driver->workers[3].pin);
    driver_destroy(driver);
}
END_TEST

/* ---- what is a fault ---- */

/* Whether the home pauses once one more start has failed, that is whether what happened before was a fault. */
static bool was_a_fault(struct driver *driver)
{
    uint64_t pauses_before = driver_counter(driver, ENGINE_COUNTER_PAUSES);

    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    fail_a_start(driver);
    return driver_counter(driver, ENGINE_COUNTER_PAUSES) > pauses_before;
}

START_TEST(a_worker_that_ends_while_it_is_started_is_a_fault)
{
    struct driver *driver = create(2);

    driver_ask(driver, (struct ask){0});
    ck_assert(driver_pinned(driver, 1));
    driver_gone(driver, 1);
    ck_assert(was_a_fault(driver));
    driver_destroy(driver);
}
END_TEST

/* Its lease comes back with this end, and then it is gone. */
static struct driver *end_first_lease(enum lease_end end)
{
    struct driver *driver = create(2);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    driver_up(driver, 1);
    driver_leave(driver, call); /* nothing is tried again */
    driver_return(driver, 1, end);
    driver_gone(driver, 1);
    return driver;
}

START_TEST(a_worker_that_dies_or_speaks_before_its_first_answer_is_a_fault)
{
    static const enum lease_end ends[] = {LEASE_DIED, LEASE_STRAY};

    for (int i = 0; i < 2; i++) {
        struct driver *driver = end_first_lease(ends[i]);

        ck_assert_msg(was_a_fault(driver), "end %d", ends[i]);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(a_worker_that_we_end_is_no_fault)
{
    static const enum lease_end ends[] = {LEASE_TIMED_OUT, LEASE_BREACHED};

    for (int i = 0; i < 2; i++) {
        struct driver *driver = end_first_lease(ends[i]);

        ck_assert_msg(!was_a_fault(driver), "end %d", ends[i]);
        driver_destroy(driver);
    }
}
END_TEST

START_TEST(a_leased_worker_that_is_gone_is_a_fault_unless_its_answer_was_whole)
{
    struct driver *driver = create(2);

    for (uint64_t id = 1; id <= 3; id++) {
        driver_ask(driver, (struct ask){.refresh = true});
        driver_up(driver, id);
        driver_gone(driver, id);
        driver_answer(driver, id);
    }
    ck_assert(!was_a_fault(driver));
    driver_leave(driver, driver_ask(driver, (struct ask){0}));
    driver_destroy(driver);
    driver = create(2);
    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_gone(driver, 1);
    ck_assert(was_a_fault(driver));
    driver_destroy(driver);
}
END_TEST

/* Idle before it was ever asked: whoever it was started for has left. */
static struct driver *create_idle(void)
{
    struct driver *driver = create(2);
    struct engine_call *call = driver_ask(driver, (struct ask){0});

    ck_assert(driver_pinned(driver, 1));
    driver_leave(driver, call);
    driver_up(driver, 1);
    ck_assert_uint_eq(driver->idled_id, 1);
    return driver;
}

START_TEST(an_idle_worker_that_is_gone_or_speaks_before_its_first_answer_is_a_fault)
{
    struct driver *driver = create_idle();

    driver_gone(driver, 1);
    ck_assert(was_a_fault(driver));
    driver_destroy(driver);
    driver = create_idle();
    driver_spoke(driver, 1);
    driver_gone(driver, 1);
    ck_assert(was_a_fault(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(an_idle_worker_that_grew_old_is_no_fault)
{
    struct driver *driver = create_idle();

    driver_wait(driver, driver_settings.idle_ns_max);
    ck_assert_uint_eq(driver->workers[1].end_count, 1);
    driver_gone(driver, 1);
    ck_assert(!was_a_fault(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_has_answered_once_is_no_fault_when_it_ends)
{
    struct driver *driver = create(2);

    driver_warm(driver, "/h");
    driver_gone(driver, 1);
    ck_assert(!was_a_fault(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(what_the_custodian_is_to_blame_for_is_no_fault)
{
    struct driver *driver = create(2);

    for (uint64_t id = 1; id <= 5; id++) {
        struct engine_call *call = driver_ask(driver, (struct ask){0});

        driver_gone_for(driver, id, ENGINE_BLAME_CUSTODIAN, "the custodian has ended");
        ck_assert_int_eq(driver_code(driver, call), STATUS_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(call->result.status.message, "the custodian has ended"));
    }
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 0);
    ck_assert(!was_a_fault(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_of_an_older_generation_is_no_fault)
{
    struct driver *driver = create(2);

    driver_ask(driver, (struct ask){0});
    driver_up(driver, 1);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    driver_return(driver, 1, LEASE_STRAY);
    driver_gone(driver, 1);
    driver_leave(driver, &driver->calls[0]);
    driver_gone(driver, 2); /* the one that it was run again with: nobody waits for it, and it is one fault */
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_between_a_death_and_its_report_makes_them_no_row)
{
    struct driver *driver = create(1);

    for (int i = 0; i < 3; i++) {
        uint64_t dead = driver->pinned_count + 1;
        static const char *const keys[] = {"1", "2", "3"};

        driver_ask(driver, (struct ask){.key = keys[i]});
        driver_up(driver, dead);
        driver_return(driver, dead, LEASE_DIED);
        driver_up(driver, dead + 1); /* the second try */
        driver_answer(driver, dead + 1);
        driver_gone(driver, dead); /* reaped only now */
        driver_gone(driver, dead + 1);
    }
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 0);
    driver_destroy(driver);
}
END_TEST

/* ---- live workers ---- */

/* One leased, which never answered yet, beside a home's pause. */
static struct engine_call *begin_pause_beside_a_lease(struct driver *driver)
{
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "leased"});
    struct engine_call *waits;

    driver_up(driver, 1);
    waits = driver_ask(driver, (struct ask){.key = "start"});
    driver_gone(driver, 2);
    ck_assert(!driver_is_back(driver, waits)); /* the live worker is there to wait for */
    driver_gone(driver, 3);
    driver_leave(driver, waits);
    ck_assert_uint_gt(driver_view_home(driver, "/h")->pause_ns, 0);
    return call;
}

START_TEST(during_a_pause_live_workers_serve_those_who_come)
{
    struct driver *driver = create(2);
    struct engine_call *first = begin_pause_beside_a_lease(driver);
    struct engine_call *waits = driver_ask(driver, (struct ask){.key = "waits"});

    ck_assert(!driver_is_back(driver, waits));
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, first), STATUS_OK);
    ck_assert_ptr_eq(driver->workers[1].lease->api_key, waits->probe.api_key);
    driver_answer(driver, 1);
    ck_assert_int_eq(driver_code(driver, waits), STATUS_OK);
    driver_destroy(driver);
}
END_TEST

START_TEST(at_the_end_of_a_pause_those_who_wait_have_their_start)
{
    struct driver *driver = create(2);

    begin_pause_beside_a_lease(driver);
    driver_ask(driver, (struct ask){.key = "waits"});
    driver_wait(driver, PAUSE_NS - 1);
    ck_assert_uint_eq(driver->pinned_count, 3);
    driver_wait(driver, 1); /* by time alone */
    ck_assert_uint_eq(driver->pinned_count, 4);
    driver_destroy(driver);
}
END_TEST

START_TEST(those_who_wait_are_told_when_the_last_live_worker_goes_during_a_pause)
{
    struct driver *driver = create(2);
    struct engine_call *leased = begin_pause_beside_a_lease(driver);
    struct engine_call *waits = driver_ask(driver, (struct ask){.key = "waits"});

    driver_return(driver, 1, LEASE_DIED); /* and no fresh one comes for another try */
    ck_assert_int_eq(driver_code(driver, leased), STATUS_UNAVAILABLE);
    ck_assert_int_eq(driver_code(driver, waits), STATUS_UNAVAILABLE);
    ck_assert_uint_eq(waits->result.status.retry_after_ms, 100);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_worker_that_takes_over_a_stray_probe_ends_the_pause_when_it_answers)
{
    struct driver *driver = create(2);
    struct engine_call *first = driver_ask(driver, (struct ask){.key = "1"});
    struct engine_call *other = driver_ask(driver, (struct ask){.key = "2"});

    driver_up(driver, 1);
    ck_assert(driver_pinned(driver, 2));
    driver_leave(driver, other);
    driver_up(driver, 2);                  /* idle */
    driver_return(driver, 1, LEASE_STRAY); /* its probe is asked again of 2 */
    driver_gone(driver, 1);
    driver_ask(driver, (struct ask){.key = "start"});
    driver_gone(driver, 3);
    ck_assert_uint_gt(driver_view_home(driver, "/h")->pause_ns, 0);
    driver_answer(driver, 2);
    ck_assert_int_eq(driver_code(driver, first), STATUS_OK);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    driver_destroy(driver);
}
END_TEST

/* ---- ended ---- */

START_TEST(one_answer_ends_a_pause_and_its_row)
{
    struct driver *driver = create(2);

    begin_pause_beside_a_lease(driver);
    driver_answer(driver, 1);
    driver_ask(driver, (struct ask){.key = "again"});
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "");
    driver_ask(driver, (struct ask){.key = "and again"});
    ck_assert_uint_eq(driver->pinned_count, 4); /* while it would have lasted */
    driver_gone(driver, 4);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0); /* one in a row */
    driver_destroy(driver);
}
END_TEST

START_TEST(an_answer_between_two_faults_makes_them_no_row)
{
    struct driver *driver = create(2);

    fail_a_start(driver);
    driver_warm(driver, "/h");
    driver_gone(driver, 2);
    fail_a_start(driver);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 0);
    driver_destroy(driver);
}
END_TEST

START_TEST(an_invalidation_ends_a_pause_and_its_row)
{
    struct driver *driver = create(2);

    begin_pause(driver);
    driver_invalidate(driver, (struct void_order){.home = "/h", .provider = "anthropic"});
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    fail_a_start(driver);
    ck_assert(starts(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(an_invalidation_beside_a_live_worker_ends_a_pause_and_its_row)
{
    struct driver *driver = create(2);

    begin_pause_beside_a_lease(driver);
    driver_invalidate(driver, (struct void_order){.home = "/h"});
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    ck_assert_uint_eq(driver->pinned_count, 4); /* what is run again has its start */
    driver_destroy(driver);
}
END_TEST

START_TEST(a_new_epoch_ends_every_pause)
{
    struct driver *driver = create(2);

    begin_pause(driver);
    driver_invalidate(driver, (struct void_order){.new_epoch = 7});
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0);
    fail_a_start(driver);
    ck_assert(starts(driver));
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fault_is_forgotten_after_60_s)
{
    struct driver *driver = create(2);

    fail_a_start(driver);
    driver_wait(driver, FORGET_NS);
    fail_a_start(driver);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 0);
    driver_wait(driver, FORGET_NS - 1);
    fail_a_start(driver);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_death_is_no_less_a_fault_for_being_reported_late)
{
    struct driver *driver = create(1);

    driver_ask(driver, (struct ask){.patience_ns = NS_PER_S});
    driver_up(driver, 1);
    driver_leave(driver, &driver->calls[0]);
    driver_return(driver, 1, LEASE_DIED);
    driver_wait(driver, FORGET_NS); /* what was known of the home's failures is forgotten */
    driver_gone(driver, 1);
    fail_a_start(driver);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 1);
    driver_destroy(driver);
}
END_TEST

START_TEST(how_often_a_home_paused_is_forgotten_60_s_after_its_pause)
{
    struct driver *driver = create(2);

    begin_pause(driver);
    driver_wait(driver, PAUSE_NS + FORGET_NS - 1);
    fail_a_start(driver);
    check_refused_for(driver, (struct ask){0}, 200);
    driver_wait(driver, 2 * PAUSE_NS + FORGET_NS);
    fail_a_start(driver);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, 0); /* the first of a row again */
    fail_a_start(driver);
    ck_assert_uint_eq(driver_view_home(driver, "/h")->pause_ns, PAUSE_NS);
    driver_destroy(driver);
}
END_TEST

/* An idle worker that never answered, beside one fault. */
static struct driver *create_idle_beside_a_fault(void)
{
    struct driver *driver = create(2);
    struct engine_call *call = driver_ask(driver, (struct ask){.key = "1"}), *other;

    ck_assert(driver_pinned(driver, 1));
    other = driver_ask(driver, (struct ask){.key = "2"});
    driver_gone(driver, 2);
    driver_leave(driver, other);
    driver_leave(driver, call);
    driver_up(driver, 1);
    ck_assert_uint_eq(driver->idled_id, 1);
    return driver;
}

START_TEST(beside_a_worker_that_has_yet_to_answer_time_asks_for_nothing_more)
{
    struct driver *driver = create_idle_beside_a_fault();

    driver_wait(driver, 2 * FORGET_NS); /* it would not come to an end */
    ck_assert_uint_gt(engine_next_ns(driver->engine), driver->now_ns);
    driver_destroy(driver);
}
END_TEST

START_TEST(a_fault_is_forgotten_beside_a_worker_that_has_yet_to_answer)
{
    struct driver *driver = create_idle_beside_a_fault();

    driver_wait(driver, FORGET_NS);
    driver_gone(driver, 1);
    ck_assert_uint_eq(driver_counter(driver, ENGINE_COUNTER_PAUSES), 0); /* the first of a row */
    driver_destroy(driver);
}
END_TEST

/* ---- what administrators see ---- */

START_TEST(the_last_failure_is_shown_for_a_while_when_no_worker_is_left)
{
    struct driver *driver = create(2);

    driver_warm(driver, "/h");
    driver_ask(driver, (struct ask){.key = "1"});
    driver_return(driver, 1, LEASE_BREACHED);
    driver_gone(driver, 1);
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "end 3");
    driver_wait(driver, FORGET_NS);
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "");
    driver_destroy(driver);
}
END_TEST

START_TEST(the_last_failure_is_shown_until_a_worker_answers)
{
    struct driver *driver = create(2);

    driver_warm(driver, "/h");
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "");
    driver_ask(driver, (struct ask){.key = "1"});
    driver_return(driver, 1, LEASE_BREACHED);
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "end 3");
    fail_a_start(driver);
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "exit status 1");
    driver_ask_and_reply(driver, (struct ask){.key = "2"}, (struct reply){.account = ACCOUNT_OK});
    ck_assert_str_eq(driver_view_home(driver, "/h")->last_failure, "");
    driver_destroy(driver);
}
END_TEST

static void add_begun(TCase *begun)
{
    tcase_add_test(begun, the_second_start_in_a_row_that_fails_begins_a_pause);
    tcase_add_test(begun, a_pause_ends_by_itself_and_was_no_failure_of_the_key);
    tcase_add_test(begun, pauses_double_up_to_30_s);
    tcase_add_test(begun, a_pause_concerns_its_home_alone);
    tcase_add_test(begun, a_cached_answer_is_served_during_a_pause);
    tcase_add_test(begun, those_who_wait_when_a_pause_begins_are_told_at_once);
    tcase_add_test(begun, the_last_failure_is_shown_until_a_worker_answers);
    tcase_add_test(begun, the_last_failure_is_shown_for_a_while_when_no_worker_is_left);
}

static void add_faults(TCase *faults)
{
    tcase_add_test(faults, a_worker_that_ends_while_it_is_started_is_a_fault);
    tcase_add_test(faults, a_worker_that_dies_or_speaks_before_its_first_answer_is_a_fault);
    tcase_add_test(faults, a_worker_that_we_end_is_no_fault);
    tcase_add_test(faults, a_leased_worker_that_is_gone_is_a_fault_unless_its_answer_was_whole);
    tcase_add_test(faults, an_idle_worker_that_is_gone_or_speaks_before_its_first_answer_is_a_fault);
    tcase_add_test(faults, an_idle_worker_that_grew_old_is_no_fault);
    tcase_add_test(faults, a_worker_that_has_answered_once_is_no_fault_when_it_ends);
    tcase_add_test(faults, what_the_custodian_is_to_blame_for_is_no_fault);
    tcase_add_test(faults, a_worker_of_an_older_generation_is_no_fault);
    tcase_add_test(faults, an_answer_between_a_death_and_its_report_makes_them_no_row);
}

static void add_live(TCase *live)
{
    tcase_add_test(live, during_a_pause_live_workers_serve_those_who_come);
    tcase_add_test(live, at_the_end_of_a_pause_those_who_wait_have_their_start);
    tcase_add_test(live, those_who_wait_are_told_when_the_last_live_worker_goes_during_a_pause);
    tcase_add_test(live, a_worker_that_takes_over_a_stray_probe_ends_the_pause_when_it_answers);
}

static void add_ended(TCase *ended)
{
    tcase_add_test(ended, one_answer_ends_a_pause_and_its_row);
    tcase_add_test(ended, an_answer_between_two_faults_makes_them_no_row);
    tcase_add_test(ended, an_invalidation_ends_a_pause_and_its_row);
    tcase_add_test(ended, an_invalidation_beside_a_live_worker_ends_a_pause_and_its_row);
    tcase_add_test(ended, a_new_epoch_ends_every_pause);
    tcase_add_test(ended, a_fault_is_forgotten_after_60_s);
    tcase_add_test(ended, a_death_is_no_less_a_fault_for_being_reported_late);
    tcase_add_test(ended, how_often_a_home_paused_is_forgotten_60_s_after_its_pause);
    tcase_add_test(ended, beside_a_worker_that_has_yet_to_answer_time_asks_for_nothing_more);
    tcase_add_test(ended, a_fault_is_forgotten_beside_a_worker_that_has_yet_to_answer);
}

static Suite *make_suite(void)
{
    static const struct {
        const char *name;
        void (*add)(TCase *);
    } cases[] = {{"begun", add_begun}, {"faults", add_faults}, {"live", add_live}, {"ended", add_ended}};
    Suite *suite = suite_create("engine_pause");

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
