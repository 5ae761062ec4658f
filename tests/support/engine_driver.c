/* Drives the engine for unit tests: see engine_driver.h. */
#include "tests/support/engine_driver.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_S = 35, ANSWER_SIZE = 100, FIRST_FD = 1000 };

const struct engine_settings driver_settings = {
    .homes_max = 1000,
    .workers_per_home = 2,
    .workers_max = 16,
    .queue_per_home = 64,
    .queue_max = 4096,
    .idle_ns_max = 300 * NS_PER_S,
    .lifetime_ns = 3600 * NS_PER_S,
    .requests_max = 10000,
    .run_ns_max = 30 * NS_PER_S,
    .cache_ttl_ns = 45 * NS_PER_S,
    .cache_entries_max = 4096,
    .cache_bytes_max = 67108864,
    .failure_ttl_ns = NS_PER_S,
};

struct driver *driver_create(const struct engine_settings *settings)
{
    struct driver *driver = calloc(1, sizeof *driver);
    struct map_seed seed = {{1, 2, 3}};

    ck_assert_ptr_nonnull(driver);
    ck_assert_int_eq(secret_setup(), 0);
    driver->settings = *settings;
    driver->now_ns = NS_PER_S;
    driver->engine = engine_create(settings, &seed, DRIVER_EPOCH);
    ck_assert_ptr_nonnull(driver->engine);
    return driver;
}

/* ---- what comes out ---- */

static void give_back(struct driver *driver, struct engine_call *call)
{
    size_t index = (size_t)(call - driver->calls);

    ck_assert_uint_lt(index, driver->call_count);
    ck_assert_msg(!driver->back[index], "call %zu was given back twice", index);
    ck_assert_int_eq(call->place, ENGINE_CALL_NOWHERE);
    driver->back[index] = true;
    driver->answered[driver->answered_count++] = call;
    if (call->kind == ENGINE_CALL_PROBE)
        secret_release(call->probe.api_key);
}

static struct driver_worker *worker_of(struct driver *driver, uint64_t worker_id)
{
    ck_assert_uint_gt(worker_id, 0);
    ck_assert_uint_lt(worker_id, DRIVER_WORKER_COUNT_MAX);
    return &driver->workers[worker_id];
}

bool driver_take_order(struct driver *driver)
{
    struct engine_order order;
    struct driver_worker *worker;

    if (!engine_order_next(driver->engine, &order))
        return false;
    worker = worker_of(driver, order.worker_id);
    switch (order.kind) {
    case ENGINE_ORDER_PIN:
        ck_assert(!worker->pin);
        worker->pin = true;
        worker->uid = order.uid;
        snprintf(worker->home, sizeof worker->home, "%s", order.home);
        driver->pinned_count++;
        break;
    case ENGINE_ORDER_LAUNCH:
        worker->launch = true;
        worker->home_fd = order.home_fd;
        break;
    case ENGINE_ORDER_KILL:
        worker->kill = true;
        worker->why = order.reason;
        break;
    case ENGINE_ORDER_END:
        ck_assert_msg(worker->lease == NULL, "a worker was ended under its lease");
        worker->end_count++;
        worker->end_gone = order.gone;
        worker->why = order.reason;
        worker->closed = order.channel;
        break;
    }
    return true;
}

bool driver_take_news(struct driver *driver)
{
    static struct engine_news news;
    struct driver_news *kept = &driver->news[driver->news_count];

    if (!engine_news_next(driver->engine, &news))
        return false;
    ck_assert_uint_lt(driver->news_count, DRIVER_NEWS_COUNT_MAX);
    driver->news_count++;
    kept->kind = news.kind;
    kept->fence = news.fence;
    kept->cause = news.cause;
    kept->call = news.call;
    snprintf(kept->home, sizeof kept->home, "%.63s", news.home);
    snprintf(kept->provider, sizeof kept->provider, "%s", news.provider);
    snprintf(kept->reason, sizeof kept->reason, "%.31s", news.reason);
    if (news.call != NULL)
        give_back(driver, news.call);
    return true;
}

static void step_begins(const struct driver *driver)
{
    if (driver->around_step != NULL)
        driver->around_step(true);
}

/* Behind each step. */
static void take_in(struct driver *driver, const struct actions *actions)
{
    if (driver->around_step != NULL)
        driver->around_step(false);
    for (struct engine_call *call = actions->answered; call != NULL; call = call->next_answered)
        give_back(driver, call);
    for (struct engine_lease *lease = actions->leased; lease != NULL; lease = lease->next_leased) {
        struct driver_worker *worker = worker_of(driver, lease->worker_id);

        ck_assert_msg(worker->lease == NULL, "a worker was lent twice");
        worker->lease = lease;
        worker->lease_count++;
        driver->leases[driver->lease_count++] = lease;
        ck_assert_uint_eq(lease->id, driver->lease_count);
    }
    driver->idled_id = actions->idled.worker_id;
    if (actions->idled.worker_id != 0)
        worker_of(driver, actions->idled.worker_id)->watch_turn = actions->idled.turn;
    if (!driver->slow_orders)
        while (driver_take_order(driver))
            ck_assert_msg(actions->orders, "an order, and nobody was told");
    if (!driver->slow_news)
        while (driver_take_news(driver))
            ck_assert_msg(actions->news, "news, and nobody was told");
}

/* ---- calls ---- */

static struct engine_call *new_call(struct driver *driver, enum engine_call_kind kind, uint64_t patience_ns)
{
    struct engine_call *call = &driver->calls[driver->call_count++];

    ck_assert_uint_lt(driver->call_count, DRIVER_CALL_COUNT_MAX);
    call->id = driver->call_count;
    call->kind = kind;
    call->arrived_ns = driver->now_ns;
    call->deadline_ns = driver->now_ns + (patience_ns == 0 ? PATIENCE_S * NS_PER_S : patience_ns);
    return call;
}

struct engine_call *driver_prepare(struct driver *driver, struct ask ask)
{
    struct engine_call *call = new_call(driver, ENGINE_CALL_PROBE, ask.patience_ns);

    call->uid = ask.uid;
    snprintf(call->provider, sizeof call->provider, "%s", ask.provider == NULL ? "openrouter" : ask.provider);
    if (ask.key != NULL) {
        call->probe.api_key = secret_create(ask.key, strlen(ask.key));
        secret_fingerprint(&(struct fingerprint_key){{1}}, ask.key, strlen(ask.key), &call->probe.fingerprint);
    }
    call->probe.refresh = ask.refresh;
    call->probe.accept_stale = ask.accept_stale;
    call->probe.age_ns_max = ask.age_ns_max;
    call->probe.at_least = ask.at_least;
    call->probe.directory.words[0] = ask.directory;
    return call;
}

void driver_hand_in(struct driver *driver, struct engine_call *call, const char *home)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_probe_arrived(driver->engine, driver->now_ns, call, home == NULL ? "/h" : home, &actions);
    take_in(driver, &actions);
}

void driver_park(struct driver *driver, struct engine_call *call)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_call_parked(driver->engine, driver->now_ns, call, &actions);
    take_in(driver, &actions);
}

struct engine_call *driver_ask(struct driver *driver, struct ask ask)
{
    struct engine_call *call = driver_prepare(driver, ask);

    driver_hand_in(driver, call, ask.home);
    return call;
}

struct engine_call *driver_invalidate(struct driver *driver, struct void_order order)
{
    struct engine_call *call = new_call(driver, ENGINE_CALL_INVALIDATE, order.patience_ns);
    struct actions actions = ACTIONS_EMPTY;

    call->uid = order.uid;
    snprintf(call->provider, sizeof call->provider, "%s", order.provider == NULL ? "" : order.provider);
    call->invalidate.quiesced = order.quiesced;
    call->invalidate.known_only = order.known_only;
    snprintf(call->invalidate.reason, sizeof call->invalidate.reason, "reason %zu", driver->call_count);
    step_begins(driver);
    engine_invalidate_arrived(driver->engine, driver->now_ns, call, order.home, order.new_epoch, &actions);
    take_in(driver, &actions);
    return call;
}

struct fence driver_sync(struct driver *driver, const char *home)
{
    struct engine_call *call = new_call(driver, ENGINE_CALL_SYNC, 0);
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_sync_arrived(driver->engine, driver->now_ns, call, home, &actions);
    take_in(driver, &actions);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    return call->result.fence;
}

void driver_leave(struct driver *driver, struct engine_call *call)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_call_left(driver->engine, driver->now_ns, call, call->id, &actions);
    take_in(driver, &actions);
}

bool driver_is_back(const struct driver *driver, const struct engine_call *call)
{
    return driver->back[call - driver->calls];
}

enum status_code driver_code(const struct driver *driver, const struct engine_call *call)
{
    ck_assert_msg(driver_is_back(driver, call), "call %zu is not back", (size_t)(call - driver->calls));
    return call->result.status.code;
}

/* ---- workers ---- */

bool driver_pinned(struct driver *driver, uint64_t worker_id)
{
    struct actions actions = ACTIONS_EMPTY;
    bool taken;

    ck_assert(worker_of(driver, worker_id)->pin);
    step_begins(driver);
    taken = engine_worker_pinned(driver->engine, driver->now_ns, worker_id, FIRST_FD + (int)worker_id, &actions);
    take_in(driver, &actions);
    return taken;
}

static struct worker_channel channel_of(uint64_t worker_id)
{
    return (struct worker_channel){2 * FIRST_FD + 2 * (int)worker_id, 2 * FIRST_FD + 2 * (int)worker_id + 1};
}

void driver_up(struct driver *driver, uint64_t worker_id)
{
    struct driver_worker *worker = worker_of(driver, worker_id);
    struct actions actions = ACTIONS_EMPTY;

    if (!worker->launch)
        ck_assert(driver_pinned(driver, worker_id));
    ck_assert(worker->launch);
    step_begins(driver);
    engine_worker_up(driver->engine, driver->now_ns, worker_id, (int32_t)worker_id, channel_of(worker_id), NS_PER_MS,
                     &actions);
    take_in(driver, &actions);
}

void driver_gone_for(struct driver *driver, uint64_t worker_id, enum engine_blame blame, const char *why)
{
    struct actions actions = ACTIONS_EMPTY;
    struct status cause = status_make(STATUS_UNAVAILABLE, "%s", why);

    step_begins(driver);
    engine_worker_gone(driver->engine, driver->now_ns, worker_id, blame, &cause, &actions);
    take_in(driver, &actions);
}

void driver_gone(struct driver *driver, uint64_t worker_id)
{
    driver_gone_for(driver, worker_id, ENGINE_BLAME_WORKER, "exit status 1");
}

void driver_spoke(struct driver *driver, uint64_t worker_id)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_worker_spoke(driver->engine, driver->now_ns, worker_id, worker_of(driver, worker_id)->watch_turn, &actions);
    take_in(driver, &actions);
}

static void come_back(struct driver *driver, uint64_t worker_id, const struct lease_outcome *outcome)
{
    struct driver_worker *worker = worker_of(driver, worker_id);
    struct engine_lease *lease = worker->lease;
    struct actions actions = ACTIONS_EMPTY;

    ck_assert_msg(lease != NULL, "worker %d has no lease", (int)worker_id);
    worker->lease = NULL;
    step_begins(driver);
    engine_lease_returned(driver->engine, driver->now_ns, lease, outcome, &actions);
    take_in(driver, &actions);
}

void driver_reply(struct driver *driver, uint64_t worker_id, struct reply reply)
{
    struct answer *answer = answer_create(reply.size == 0 ? ANSWER_SIZE : reply.size);

    ck_assert_ptr_nonnull(answer);
    answer->account = reply.account;
    answer->figures = reply.figures;
    answer->retry_ns = reply.retry_ns;
    answer->interval_ns_min = reply.interval_ns_min;
    come_back(driver, worker_id, &(struct lease_outcome){.end = LEASE_ANSWERED, .answer = answer});
}

void driver_answer_as(struct driver *driver, uint64_t worker_id, enum account_status account, size_t size)
{
    driver_reply(driver, worker_id, (struct reply){.account = account, .size = size});
}

void driver_answer(struct driver *driver, uint64_t worker_id)
{
    driver_answer_as(driver, worker_id, ACCOUNT_OK, ANSWER_SIZE);
}

void driver_return(struct driver *driver, uint64_t worker_id, enum lease_end end)
{
    come_back(driver, worker_id,
              &(struct lease_outcome){.end = end, .status = status_make(STATUS_INTERNAL, "end %d", end)});
}

struct engine_call *driver_ask_and_reply(struct driver *driver, struct ask ask, struct reply reply)
{
    size_t leases_before = driver->lease_count;
    struct engine_call *call = driver_ask(driver, ask);

    ck_assert_msg(!driver_is_back(driver, call), "nobody was asked");
    if (driver->lease_count == leases_before)
        driver_up(driver, driver->pinned_count);
    driver_reply(driver, driver->leases[leases_before]->worker_id, reply);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    return call;
}

uint64_t driver_warm(struct driver *driver, const char *home)
{
    struct engine_call *call = driver_ask(driver, (struct ask){.home = home, .key = "warming", .refresh = true});
    uint64_t worker_id = driver->pinned_count;

    driver_up(driver, worker_id);
    driver_answer(driver, worker_id);
    ck_assert_int_eq(driver_code(driver, call), STATUS_OK);
    ck_assert_uint_eq(driver->idled_id, worker_id);
    return worker_id;
}

/* ---- time and the end ---- */

static void pass_time(struct driver *driver)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_time_passed(driver->engine, driver->now_ns, &actions);
    take_in(driver, &actions);
    ck_assert_uint_gt(engine_next_ns(driver->engine), driver->now_ns);
}

void driver_wait(struct driver *driver, uint64_t span_ns)
{
    uint64_t until_ns = driver->now_ns + span_ns, next_ns;

    while ((next_ns = engine_next_ns(driver->engine)) <= until_ns) {
        driver->now_ns = next_ns > driver->now_ns ? next_ns : driver->now_ns;
        pass_time(driver);
    }
    driver->now_ns = until_ns;
}

void driver_settings_changed(struct driver *driver, const struct engine_settings *settings)
{
    driver->settings = *settings;
    engine_settings_changed(driver->engine, settings);
}

void driver_drain(struct driver *driver)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_drain(driver->engine, driver->now_ns, &actions);
    take_in(driver, &actions);
}

void driver_stop(struct driver *driver)
{
    struct actions actions = ACTIONS_EMPTY;

    step_begins(driver);
    engine_stop(driver->engine, driver->now_ns, &actions);
    take_in(driver, &actions);
}

uint64_t driver_counter(const struct driver *driver, enum engine_counter counter)
{
    return driver_view(driver).counters[counter];
}

struct engine_view driver_view(const struct driver *driver)
{
    struct engine_view view;

    engine_look(driver->engine, &view);
    return view;
}

const struct engine_home_view *driver_view_home(const struct driver *driver, const char *home)
{
    static struct engine_home_view view;
    static char after[sizeof view.home];
    bool more;

    after[0] = '\0';
    while (engine_look_homes(driver->engine, driver->now_ns, after, &view, 1, &more) == 1) {
        if (strcmp(view.home, home) == 0)
            return &view;
        memcpy(after, view.home, sizeof after);
    }
    ck_abort_msg("home %s is not known", home);
    return NULL;
}

/* What must add up whatever a test did. */
static void check_sums(const struct driver *driver)
{
    struct engine_view view = driver_view(driver);
    const uint64_t *counters = view.counters;
    uint64_t worker_count = 0;

    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        worker_count += view.workers[state];
    ck_assert_uint_eq(counters[ENGINE_COUNTER_STARTS] - counters[ENGINE_COUNTER_ENDS], worker_count);
    ck_assert_uint_eq(counters[ENGINE_COUNTER_PROBES],
                      counters[ENGINE_COUNTER_ANSWERED_CACHED] + counters[ENGINE_COUNTER_ANSWERED_JOINED] +
                          counters[ENGINE_COUNTER_ANSWERED_WARM] + counters[ENGINE_COUNTER_ANSWERED_COLD] +
                          counters[ENGINE_COUNTER_ANSWERED_STALE] + counters[ENGINE_COUNTER_FAILED] + view.aboard);
}

void driver_destroy(struct driver *driver)
{
    driver->slow_orders = driver->slow_news = false;
    check_sums(driver);
    driver_stop(driver);
    for (uint64_t id = 1; id < DRIVER_WORKER_COUNT_MAX; id++)
        if (driver->workers[id].lease != NULL)
            driver_return(driver, id, LEASE_DIED);
    for (uint64_t id = 1; id < DRIVER_WORKER_COUNT_MAX; id++)
        driver_gone(driver, id); /* of most of them nobody knows any more */
    check_sums(driver);
    ck_assert(engine_is_empty(driver->engine));
    for (size_t i = 0; i < driver->call_count; i++) {
        ck_assert_msg(driver->back[i], "call %zu was never given back", i);
        answer_release(driver->calls[i].result.answer);
        answer_release(driver->calls[i].result.last_good);
    }
    engine_destroy(driver->engine);
    free(driver);
}
