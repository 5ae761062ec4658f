/* The loops, the threads that run them, and the watcher. */
#include "client/probeload/load_inside.h"

#include "client/probeload/clock.h"
#include "client/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    CONNECT_MS_MAX = 5000,
    SHARD_COUNT_MAX = 8,
    /* How long an open loop sends what was due before its end: as long again, within these. */
    BACKLOG_S_MIN = 1,
    BACKLOG_S_MAX = 10,
    /* How many heartbeats a subscriber has to hear of the last change, or of the gap: four tell it. */
    SETTLE_BEAT_COUNT = 6,
    SETTLE_S_MIN = 1,
    WATCH_ROW_COUNT = 4000,
    ROW_SHARE_MIN = 5, /* a fifth of an interval */
};

/* A sleeping pacer looks this often whether it is to stop. */
static const uint64_t NAP_NS_MAX = 100 * NS_PER_MS;

static atomic_bool stop_wanted; /* lock-free: a signal handler sets it */

void load_stop(void)
{
    atomic_store(&stop_wanted, true);
}

bool load_is_stopped(void)
{
    return atomic_load(&stop_wanted);
}

bool load_goes_on(const struct load *load)
{
    return !atomic_load(&load->stopped) && !atomic_load(&stop_wanted) && !ledger_is_broken(load->ledger);
}

void load_note_failure(struct load *load, const struct probed_status *status)
{
    pthread_mutex_lock(&load->lock);
    if (load->failure.code == PROBED_OK)
        load->failure = *status;
    load->unreachable = load->unreachable || status->unreachable;
    pthread_mutex_unlock(&load->lock);
    if (status->unreachable)
        atomic_store(&load->stopped, true);
}

/* Whether one more call may begin now; it is counted as begun. */
static bool may_begin(struct load *load)
{
    if (!load_goes_on(load))
        return false;
    return load->plan->call_count == 0 || atomic_fetch_add(&load->begun_count, 1) < load->plan->call_count;
}

/* A runner or a call in flight less. */
static void retire(struct load *load)
{
    pthread_mutex_lock(&load->lock);
    load->active_count--;
    if (load->active_count == 0)
        pthread_cond_signal(&load->idle);
    pthread_mutex_unlock(&load->lock);
}

/* ---- the closed loop ---- */

static void closed_answered(void *context, const struct probed_status *status, const void *response,
                            size_t response_size);

/* Begins the slot's next call, or retires it. */
static void begin_next(struct slot *slot)
{
    struct load *load = slot->load;
    uint64_t now = now_ns();
    struct probed_status status;

    if (now >= load->end_ns || !may_begin(load)) {
        retire(load);
        return;
    }
    status = call_begin(slot, now, closed_answered);
    if (status.code != PROBED_OK) {
        load_note_failure(load, &status);
        atomic_store(&load->stopped, true);
        retire(load);
    }
}

static void closed_answered(void *context, const struct probed_status *status, const void *response,
                            size_t response_size)
{
    struct slot *slot = context;

    call_answered(slot, status, response, response_size);
    begin_next(slot);
}

/* A thread that makes one call at a time, with the slot of its own number. */
static void *run_caller(void *argument)
{
    struct runner *runner = argument;
    struct load *load = runner->load;

    for (uint64_t now = now_ns(); now < load->end_ns && may_begin(load); now = now_ns())
        call_make(&load->slots[runner->index], now);
    retire(load);
    return NULL;
}

/* ---- the open loop ---- */

static void give_slot(struct slot *slot)
{
    struct load *load = slot->load;

    pthread_mutex_lock(&load->lock);
    slot->next_free = load->free;
    load->free = slot;
    pthread_cond_signal(&load->freed);
    pthread_mutex_unlock(&load->lock);
    retire(load);
}

/* Waits for a slot; NULL: the run is over, or it takes too long. */
static struct slot *take_slot(struct load *load)
{
    struct slot *slot;

    pthread_mutex_lock(&load->lock);
    while (load->free == NULL && load_goes_on(load) && now_ns() < load->give_up_ns) {
        struct timespec until = timespec_of(now_ns() + NAP_NS_MAX);

        pthread_cond_timedwait(&load->freed, &load->lock, &until);
    }
    slot = load_goes_on(load) && now_ns() < load->give_up_ns ? load->free : NULL;
    if (slot != NULL) {
        load->free = slot->next_free;
        load->active_count++;
    }
    pthread_mutex_unlock(&load->lock);
    return slot;
}

static void open_answered(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    call_answered(context, status, response, response_size);
    give_slot(context);
}

static void sleep_until(const struct load *load, uint64_t due_ns)
{
    for (uint64_t now = now_ns(); now < due_ns && load_goes_on(load); now = now_ns()) {
        struct timespec until = timespec_of(due_ns - now < NAP_NS_MAX ? due_ns : now + NAP_NS_MAX);

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
}

static void send_due(struct load *load, uint64_t due_ns)
{
    struct slot *slot = take_slot(load);
    struct probed_status status;

    if (slot == NULL) {
        if (load_goes_on(load))
            atomic_fetch_add(&load->unsent_count, 1);
        return;
    }
    status = call_begin(slot, due_ns, open_answered);
    if (status.code != PROBED_OK) {
        load_note_failure(load, &status);
        atomic_fetch_add(&load->unsent_count, 1);
        give_slot(slot);
    }
}

/* Its share of the rate: of a Poisson process, a Poisson process; of equal distances, every thread_count-th. */
static void *run_pacer(void *argument)
{
    struct runner *runner = argument;
    struct load *load = runner->load;
    const struct load_plan *plan = load->plan;
    struct dice dice = {.state = plan->seed + 0x9acE + runner->index};
    double mean_ns = 1e9 * (double)load->runner_count / plan->rate;
    double due_ns =
        plan->constant ? mean_ns * (double)runner->index / (double)load->runner_count : mean_ns * dice_interval(&dice);
    uint64_t begin_ns = load->measure_from_ns - plan->warm_up_ns;

    prctl(PR_SET_TIMERSLACK, 1UL); /* ns: what it oversleeps would be latency */
    while (begin_ns + (uint64_t)due_ns < load->end_ns && may_begin(load)) {
        sleep_until(load, begin_ns + (uint64_t)due_ns);
        send_due(load, begin_ns + (uint64_t)due_ns);
        due_ns += plan->constant ? mean_ns : mean_ns * dice_interval(&dice);
    }
    retire(load);
    return NULL;
}

/* ---- events ---- */

static void hear_event(void *context, const Probed__V1__CredentialEvent *event)
{
    struct subscriber *subscriber = context;
    struct load *load = subscriber->load;
    uint64_t begun_ns, now = now_ns();

    if (ledger_event_heard(load->ledger, subscriber->index, event, &begun_ns) && begun_ns != 0 &&
        begun_ns >= load->measure_from_ns)
        tally_note(load->tally, subscriber->index % load->shard_count, TALLY_EVENT, PROBED_OK, now - begun_ns);
}

static void hear_gap(void *context, const char *home, const char *reason)
{
    struct subscriber *subscriber = context;

    (void)reason;
    ledger_gap_told(subscriber->load->ledger, subscriber->index, home);
}

static void hear_beat(void *context, const Probed__V1__Heartbeat *heartbeat)
{
    struct subscriber *subscriber = context;

    atomic_store_explicit(&subscriber->load->beat_ms, heartbeat->interval_ms, memory_order_relaxed);
}

/* How long what was published last may take to be heard, or to be missed. */
static uint64_t settle_ns(const struct load *load)
{
    uint64_t beats_ns = SETTLE_BEAT_COUNT * NS_PER_MS * atomic_load(&load->beat_ms);

    return beats_ns > SETTLE_S_MIN * NS_PER_S ? beats_ns : SETTLE_S_MIN * NS_PER_S;
}

static struct probed_status subscribe_all(struct load *load)
{
    const struct load_plan *plan = load->plan;
    struct probed_status status = {.code = PROBED_OK};

    for (size_t i = 0; status.code == PROBED_OK && i < plan->subscriber_count; i++) {
        struct subscriber *subscriber = &load->subscribers[i];
        struct probed_subscriber_options options = {.url = plan->events_url,
                                                    .calls_url = plan->url,
                                                    .tls = &plan->tls,
                                                    .homes = plan->homes,
                                                    .home_count = plan->home_count,
                                                    .on_event = hear_event,
                                                    .on_gap = hear_gap,
                                                    .on_heartbeat = hear_beat,
                                                    .context = subscriber};

        subscriber->load = load;
        subscriber->index = i;
        status = probed_subscriber_open(&options, &subscriber->handle);
    }
    for (size_t i = 0; status.code == PROBED_OK && i < plan->subscriber_count; i++) {
        status = probed_subscriber_connect(load->subscribers[i].handle, CONNECT_MS_MAX);
        ledger_subscriber_listens(load->ledger, i);
    }
    return status;
}

/* ---- setting up ---- */

static struct probed_status no_memory(void)
{
    return (struct probed_status){.code = PROBED_RESOURCE_EXHAUSTED, .message = "no memory for the load"};
}

static struct probed_status make_parts(struct load *load)
{
    const struct load_plan *plan = load->plan;

    load->shard_count = plan->in_flight < SHARD_COUNT_MAX ? plan->in_flight : SHARD_COUNT_MAX;
    load->ledger = ledger_create(plan);
    load->tally = tally_create(load->shard_count);
    load->channels = calloc(plan->connection_count, sizeof *load->channels);
    load->subscribers = calloc(plan->subscriber_count + 1, sizeof *load->subscribers);
    load->slots = calloc(plan->in_flight, sizeof *load->slots);
    load->runners = calloc(plan->thread_count + 1, sizeof *load->runners);
    if (load->ledger == NULL || load->tally == NULL || load->channels == NULL || load->subscribers == NULL ||
        load->slots == NULL || load->runners == NULL ||
        (plan->spread == LOAD_ZIPF && !zipf_init(&load->zipf, plan->home_count, plan->zipf_exponent)))
        return no_memory();
    return (struct probed_status){.code = PROBED_OK};
}

static struct probed_status connect_all(struct load *load)
{
    const struct load_plan *plan = load->plan;
    struct probed_channel_options options = {
        .url = plan->url, .calls_max = (uint32_t)plan->in_flight, .tls = &plan->tls};
    struct probed_status status = {.code = PROBED_OK};

    for (size_t i = 0; status.code == PROBED_OK && i < plan->connection_count; i++)
        status = probed_channel_open(&options, &load->channels[i]);
    for (size_t i = 0; status.code == PROBED_OK && i < plan->connection_count; i++)
        status = probed_channel_connect(load->channels[i], CONNECT_MS_MAX);
    return status;
}

static void make_slots(struct load *load)
{
    for (size_t i = 0; i < load->plan->in_flight; i++) {
        struct slot *slot = &load->slots[i];

        slot->load = load;
        slot->channel = load->channels[i % load->plan->connection_count];
        slot->shard = i % load->shard_count;
        slot->dice.state = load->plan->seed + 0x51a7 * (i + 1);
        slot->next_free = load->free;
        load->free = slot;
    }
}

static void make_locks(struct load *load)
{
    pthread_mutex_init(&load->lock, NULL);
    wait_init(&load->idle);
    wait_init(&load->freed);
}

static void take_down(struct load *load)
{
    for (size_t i = 0; load->subscribers != NULL && i < load->plan->subscriber_count; i++)
        probed_subscriber_close(load->subscribers[i].handle);
    for (size_t i = 0; load->channels != NULL && i < load->plan->connection_count; i++)
        probed_channel_close(load->channels[i]);
    zipf_fini(&load->zipf);
    free(load->runners);
    free(load->slots);
    free(load->subscribers);
    free(load->channels);
    ledger_destroy(load->ledger);
    pthread_cond_destroy(&load->freed);
    pthread_cond_destroy(&load->idle);
    pthread_mutex_destroy(&load->lock);
}

/* ---- running ---- */

static uint64_t backlog_of(const struct load_plan *plan)
{
    if (plan->duration_ns < BACKLOG_S_MIN * NS_PER_S)
        return BACKLOG_S_MIN * NS_PER_S;
    return plan->duration_ns < BACKLOG_S_MAX * NS_PER_S ? plan->duration_ns : BACKLOG_S_MAX * NS_PER_S;
}

static void set_times(struct load *load)
{
    const struct load_plan *plan = load->plan;

    load->measure_from_ns = now_ns() + plan->warm_up_ns;
    load->end_ns = plan->duration_ns == 0 ? UINT64_MAX : load->measure_from_ns + plan->duration_ns;
    load->give_up_ns = plan->duration_ns == 0 ? UINT64_MAX : load->end_ns + backlog_of(plan);
}

/* Those that could be started; the rest retires at once. */
static void start_runners(struct load *load, void *(*run)(void *argument))
{
    load->runner_count = load->plan->thread_count;
    for (size_t i = 0; i < load->plan->thread_count; i++) {
        struct runner *runner = &load->runners[i];
        int error;

        *runner = (struct runner){.load = load, .index = i};
        error = pthread_create(&runner->thread, NULL, run, runner);
        if (error != 0) {
            struct probed_status status = {.code = PROBED_RESOURCE_EXHAUSTED};

            snprintf(status.message, sizeof status.message, "cannot start a thread: %s", strerror(error));
            load_note_failure(load, &status);
            atomic_store(&load->stopped, true);
            runner->load = NULL;
            retire(load);
        }
    }
}

static void begin_all(struct load *load)
{
    const struct load_plan *plan = load->plan;

    if (plan->rate > 0 || plan->thread_count > 0) {
        load->active_count = plan->thread_count;
        start_runners(load, plan->rate > 0 ? run_pacer : run_caller);
        return;
    }
    load->active_count = plan->in_flight;
    for (size_t i = 0; i < plan->in_flight; i++)
        begin_next(&load->slots[i]);
}

static uint64_t interval_of(const struct load_plan *plan)
{
    uint64_t fine = plan->duration_ns != 0 && plan->duration_ns <= 30 * NS_PER_S ? NS_PER_S / 4 : NS_PER_S;

    return plan->duration_ns / WATCH_ROW_COUNT > fine ? plan->duration_ns / WATCH_ROW_COUNT : fine;
}

/* The interval that ends now, as a row and as news; nothing is counted while it warms up, and a rest too short for a
 * rate of its own has no row. */
static void tell(struct load *load, const struct load_watcher *watcher, uint64_t since_ns, uint64_t now)
{
    static const struct tally_row nothing;
    uint64_t from_ns = since_ns > load->measure_from_ns ? since_ns : load->measure_from_ns;
    struct load_progress progress = {.row = &nothing,
                                     .elapsed_s = ((double)now - (double)load->measure_from_ns) / 1e9,
                                     .call_count = atomic_load(&load->counted_count),
                                     .failed_count = atomic_load(&load->failed_count)};

    if (now > from_ns && (now - from_ns > interval_of(load->plan) / ROW_SHARE_MIN || since_ns <= load->measure_from_ns))
        progress.row = tally_cut(load->tally, progress.elapsed_s, (double)(now - from_ns) / 1e9);
    if (watcher != NULL && watcher->tick != NULL)
        watcher->tick(watcher->context, &progress);
}

/* Until nobody is active any more, telling at each interval; the moment when that was. */
static uint64_t watch(struct load *load, const struct load_watcher *watcher)
{
    uint64_t interval_ns = interval_of(load->plan), since_ns = load->measure_from_ns - load->plan->warm_up_ns, now;
    bool active = true;

    while (active) {
        uint64_t next_ns = since_ns + interval_ns;
        struct timespec until;
        int error = 0;

        if (since_ns < load->measure_from_ns && next_ns > load->measure_from_ns)
            next_ns = load->measure_from_ns;
        until = timespec_of(next_ns);
        pthread_mutex_lock(&load->lock);
        while (load->active_count > 0 && error == 0)
            error = pthread_cond_timedwait(&load->idle, &load->lock, &until);
        active = load->active_count > 0;
        pthread_mutex_unlock(&load->lock);
        now = now_ns();
        tell(load, watcher, since_ns, now);
        since_ns = now;
    }
    return since_ns;
}

static void join_runners(struct load *load)
{
    for (size_t i = 0; i < load->runner_count; i++) {
        if (load->runners[i].load != NULL)
            pthread_join(load->runners[i].thread, NULL);
    }
}

static void conclude(struct load *load, uint64_t idle_ns, struct load_result *result)
{
    *result = (struct load_result){.tally = load->tally, .sum = tally_add_up(load->tally)};
    result->checked = ledger_counts(load->ledger);
    result->elapsed_ns = idle_ns > load->measure_from_ns ? idle_ns - load->measure_from_ns : 0;
    result->unsent_count = atomic_load(&load->unsent_count);
    result->unreachable = load->unreachable;
    result->failure = load->failure;
    ledger_evidence(load->ledger, result->evidence);
}

struct probed_status load_run(const struct load_plan *plan, const struct load_watcher *watcher,
                              struct load_result *result_out)
{
    struct load load = {.plan = plan};
    struct probed_status status;
    uint64_t idle_ns;

    make_locks(&load);
    status = make_parts(&load);
    if (status.code == PROBED_OK)
        status = connect_all(&load);
    if (status.code == PROBED_OK)
        status = subscribe_all(&load);
    if (status.code != PROBED_OK) {
        take_down(&load);
        tally_destroy(load.tally);
        return status;
    }
    make_slots(&load);
    set_times(&load);
    begin_all(&load);
    idle_ns = watch(&load, watcher);
    join_runners(&load);
    if (!load.unreachable && !ledger_is_broken(load.ledger))
        (void)ledger_settle(load.ledger, now_ns() + settle_ns(&load)); /* the ledger keeps the evidence */
    conclude(&load, idle_ns, result_out);
    take_down(&load);
    return status;
}

void load_result_fini(struct load_result *result)
{
    tally_destroy(result->tally);
    result->tally = NULL;
    result->sum = NULL;
}

double load_result_rate(const struct load_result *result)
{
    uint64_t count = result->sum->probes.count + result->sum->kinds[TALLY_INVALIDATED].count;

    return result->elapsed_ns == 0 ? 0 : (double)count * 1e9 / (double)result->elapsed_ns;
}
