/* What the books say of invalidations, and of the events that tell of them. */
#include "client/probeload/ledger_inside.h"

#include "client/probeload/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct fence_seen seen_of(const Probed__V1__Fence *fence)
{
    return (struct fence_seen){.epoch = fence->epoch, .generation = fence->generation};
}

static bool seen_equal(struct fence_seen a, struct fence_seen b)
{
    return a.epoch == b.epoch && a.generation == b.generation;
}

/* ---- invalidations ---- */

static struct pending *pending_at(struct ledger *ledger, uint64_t number)
{
    return &ledger->pending[number % PENDING_COUNT_MAX];
}

void ledger_invalidation_begins(struct ledger *ledger, struct ledger_call *call, uint64_t begun_ns,
                                char reason_out[LEDGER_REASON_SIZE])
{
    call->begun_ns = begun_ns;
    call->newest_epoch_number = atomic_load_explicit(&ledger->epoch_count, memory_order_acquire);
    pthread_mutex_lock(ledger_stripe(ledger, call->home));
    call->floor = ledger->homes[call->home].newest;
    pthread_mutex_unlock(ledger_stripe(ledger, call->home));

    pthread_mutex_lock(&ledger->pending_lock);
    call->invalidation_number = ++ledger->invalidation_last;
    *pending_at(ledger, call->invalidation_number) = (struct pending){
        .number = call->invalidation_number, .home = call->home, .provider = call->provider, .begun_ns = begun_ns};
    pthread_mutex_unlock(&ledger->pending_lock);
    snprintf(reason_out, LEDGER_REASON_SIZE, "probeload %" PRIx32 " %" PRIu64, ledger->run, call->invalidation_number);
}

static void raise_scope(struct scope *scope, struct ledger_point point, uint64_t worker_from_ns)
{
    scope->floor = point_later(scope->floor, point);
    if (worker_from_ns > scope->worker_from_ns)
        scope->worker_from_ns = worker_from_ns;
}

/* Whoever begins from here on must not get anything older.  The home's stripe is held. */
static void raise_floors_held(struct ledger *ledger, size_t home, size_t provider, struct ledger_point point,
                              uint64_t worker_from_ns)
{
    ledger->homes[home].newest = point_later(ledger->homes[home].newest, point);
    for (size_t i = 0; i < ledger->plan->provider_count; i++) {
        if (provider == LEDGER_EVERY_PROVIDER || provider == i)
            raise_scope(ledger_scope(ledger, home, i), point, worker_from_ns);
    }
}

static void note_invalidated(struct ledger *ledger, const struct ledger_call *call, struct ledger_point point,
                             struct fence_seen fence)
{
    struct home_record *home = &ledger->homes[call->home];

    pthread_mutex_lock(ledger_stripe(ledger, call->home));
    raise_floors_held(ledger, call->home, call->provider, point, call->begun_ns);
    if (point_is_before(home->invalidated_point, point)) {
        home->invalidated_point = point;
        home->invalidated = fence;
    }
    pthread_mutex_unlock(ledger_stripe(ledger, call->home));
}

/* Whether the event that was heard already, if any, has the same fence. */
static bool agree_with_event(struct ledger *ledger, const struct ledger_call *call, struct fence_seen fence)
{
    struct fence_seen heard = {0};
    struct pending *pending;

    pthread_mutex_lock(&ledger->pending_lock);
    pending = pending_at(ledger, call->invalidation_number);
    if (pending->number == call->invalidation_number) {
        pending->answered = fence;
        heard = pending->heard;
    }
    pthread_mutex_unlock(&ledger->pending_lock);
    if (heard.generation == 0 || seen_equal(heard, fence))
        return true;
    ledger_break_call(ledger, call, "Invalidate",
                      "answered with epoch %" PRIx64 ", generation %" PRIu64 ", and its event said epoch %" PRIx64
                      ", generation %" PRIu64,
                      fence.epoch, fence.generation, heard.epoch, heard.generation);
    return false;
}

bool ledger_invalidation_answered(struct ledger *ledger, const struct ledger_call *call,
                                  const Probed__V1__InvalidateResponse *response)
{
    struct ledger_point point;

    atomic_fetch_add(&ledger->invalidation_count, 1);
    if (response->fence == NULL || response->fence->epoch == 0 || response->fence->generation == 0) {
        ledger_break_call(ledger, call, "Invalidate", "answered without a fence");
        return false;
    }
    point = ledger_place(ledger, response->fence, call->newest_epoch_number);
    if (point.epoch_number != 0 && !point_is_before(call->floor, point)) {
        ledger_break_call(ledger, call, "Invalidate",
                          "generation %" PRIu64 " was known when it began, and it was answered with generation %" PRIu64
                          " of epoch %" PRIx64,
                          call->floor.generation, response->fence->generation, response->fence->epoch);
        return false;
    }
    if (!agree_with_event(ledger, call, seen_of(response->fence)))
        return false;
    if (point.epoch_number != 0)
        note_invalidated(ledger, call, point, seen_of(response->fence));
    return true;
}

/* ---- events ---- */

static struct heard *heard_of(struct ledger *ledger, size_t subscriber, size_t home)
{
    return &ledger->heard[subscriber * ledger->plan->home_count + home];
}

static void set_heard(struct ledger *ledger, size_t subscriber, size_t home, struct heard value)
{
    pthread_mutex_lock(ledger_stripe(ledger, home));
    *heard_of(ledger, subscriber, home) = value;
    pthread_mutex_unlock(ledger_stripe(ledger, home));
}

static void tell_news(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->news_lock);
    ledger->news_count++;
    pthread_cond_broadcast(&ledger->news);
    pthread_mutex_unlock(&ledger->news_lock);
}

static struct home_record *find_home(struct ledger *ledger, const char *path)
{
    struct home_record *home;

    HASH_FIND_STR(ledger->by_path, path, home);
    return home;
}

void ledger_subscriber_listens(struct ledger *ledger, size_t subscriber)
{
    for (size_t home = 0; home < ledger->plan->home_count; home++)
        set_heard(ledger, subscriber, home, (struct heard){.doubted = false});
}

void ledger_gap_told(struct ledger *ledger, size_t subscriber, const char *path)
{
    struct home_record *only = path == NULL ? NULL : find_home(ledger, path);

    atomic_fetch_add(&ledger->gap_count, 1);
    for (size_t home = 0; home < ledger->plan->home_count; home++) {
        if (path == NULL || (only != NULL && only->index == home))
            set_heard(ledger, subscriber, home, (struct heard){.doubted = true});
    }
    tell_news(ledger);
}

/* Events of a home: each one more than the last, unless a gap was told. */
static bool follow(struct ledger *ledger, size_t subscriber, struct home_record *home, struct fence_seen fence)
{
    struct heard *heard = heard_of(ledger, subscriber, home->index), before;

    pthread_mutex_lock(ledger_stripe(ledger, home->index));
    before = *heard;
    *heard = (struct heard){.last = fence};
    pthread_mutex_unlock(ledger_stripe(ledger, home->index));
    if (before.doubted || before.last.generation == 0 ||
        (before.last.epoch == fence.epoch && before.last.generation + 1 == fence.generation))
        return true;
    ledger_break(ledger,
                 "subscriber %zu heard of %.256s: epoch %" PRIx64 ", generation %" PRIu64 " and then epoch %" PRIx64
                 ", generation %" PRIu64 ", and no gap was told",
                 subscriber, home->path, before.last.epoch, before.last.generation, fence.epoch, fence.generation);
    return false;
}

/* The Invalidate of ours whose reason this is; false: it is not one, or is forgotten. */
static bool recall(struct ledger *ledger, const char *reason, struct fence_seen fence, struct pending *before_out)
{
    uint64_t number;
    uint32_t run;
    struct pending *pending;
    bool found;

    if (sscanf(reason, "probeload %" SCNx32 " %" SCNu64, &run, &number) != 2 || run != ledger->run)
        return false;
    pthread_mutex_lock(&ledger->pending_lock);
    pending = pending_at(ledger, number);
    found = number != 0 && pending->number == number;
    if (found) {
        *before_out = *pending;
        pending->heard = fence;
    }
    pthread_mutex_unlock(&ledger->pending_lock);
    return found;
}

static bool is_provider(const struct ledger *ledger, size_t provider, const char *name)
{
    return provider == LEDGER_EVERY_PROVIDER ? name[0] == '\0'
                                             : strcasecmp(ledger->plan->providers[provider], name) == 0;
}

/* Whether the event says of our Invalidate what it was called with and answered. */
static bool agree_with_call(struct ledger *ledger, const struct pending *pending,
                            const Probed__V1__CredentialEvent *event)
{
    struct ledger_call call = {.home = pending->home,
                               .provider = pending->provider,
                               .begun_ns = pending->begun_ns,
                               .invalidation_number = pending->number};
    struct fence_seen fence = seen_of(event->fence);

    if (strcmp(ledger->homes[pending->home].path, event->home) != 0 ||
        !is_provider(ledger, pending->provider, event->provider)) {
        ledger_break_call(ledger, &call, "Invalidate", "its event is of %.256s, provider \"%.64s\"", event->home,
                          event->provider);
    } else if ((pending->answered.generation != 0 && !seen_equal(pending->answered, fence)) ||
               (pending->heard.generation != 0 && !seen_equal(pending->heard, fence))) {
        const struct fence_seen *other = pending->answered.generation != 0 ? &pending->answered : &pending->heard;

        ledger_break_call(ledger, &call, "Invalidate",
                          "%s epoch %" PRIx64 ", generation %" PRIu64 ", and its event said epoch %" PRIx64
                          ", generation %" PRIu64,
                          pending->answered.generation != 0 ? "answered with" : "told by one event with", other->epoch,
                          other->generation, fence.epoch, fence.generation);
    } else {
        return true;
    }
    return false;
}

static size_t provider_index(const struct ledger *ledger, const char *name)
{
    for (size_t i = 0; i < ledger->plan->provider_count; i++) {
        if (strcasecmp(ledger->plan->providers[i], name) == 0)
            return i;
    }
    return ledger->plan->provider_count; /* none of ours */
}

/* Nothing older is decided once an event is out.  An epoch that no answer has brought yet cannot be placed. */
static void learn(struct ledger *ledger, const struct home_record *home, const Probed__V1__CredentialEvent *event,
                  uint64_t worker_from_ns)
{
    struct ledger_point point = ledger_place(ledger, event->fence, UINT64_MAX);
    size_t provider = event->provider[0] == '\0' ? LEDGER_EVERY_PROVIDER : provider_index(ledger, event->provider);

    if (point.epoch_number == 0)
        return;
    pthread_mutex_lock(ledger_stripe(ledger, home->index));
    raise_floors_held(ledger, home->index, provider, point, worker_from_ns);
    pthread_mutex_unlock(ledger_stripe(ledger, home->index));
}

bool ledger_event_heard(struct ledger *ledger, size_t subscriber, const Probed__V1__CredentialEvent *event,
                        uint64_t *begun_ns_out)
{
    struct home_record *home = find_home(ledger, event->home);
    struct pending pending = {0};
    bool ours;

    *begun_ns_out = 0;
    if (event->fence == NULL || event->fence->epoch == 0 || event->fence->generation == 0) {
        ledger_break(ledger, "subscriber %zu heard an event of %.256s without a fence", subscriber, event->home);
        return false;
    }
    ours = recall(ledger, event->reason, seen_of(event->fence), &pending);
    if (ours && !agree_with_call(ledger, &pending, event))
        return false;
    if (home == NULL)
        return true; /* somebody else's */
    atomic_fetch_add(&ledger->event_count, 1);
    if (!follow(ledger, subscriber, home, seen_of(event->fence)))
        return false;
    learn(ledger, home, event, pending.begun_ns);
    *begun_ns_out = pending.begun_ns;
    tell_news(ledger);
    return true;
}

/* ---- the end ---- */

/* Whether this subscriber knows of the newest change of this home, or knows that it may not. */
static bool has_caught_up(struct ledger *ledger, size_t subscriber, size_t home, struct fence_seen *wanted_out,
                          struct fence_seen *heard_out)
{
    bool up;

    pthread_mutex_lock(ledger_stripe(ledger, home));
    *wanted_out = ledger->homes[home].invalidated;
    *heard_out = heard_of(ledger, subscriber, home)->last;
    up = wanted_out->generation == 0 || heard_of(ledger, subscriber, home)->doubted ||
         (heard_out->epoch == wanted_out->epoch && heard_out->generation >= wanted_out->generation);
    pthread_mutex_unlock(ledger_stripe(ledger, home));
    return up;
}

static bool all_have_caught_up(struct ledger *ledger, char *evidence, size_t evidence_size)
{
    struct fence_seen wanted, heard;

    for (size_t subscriber = 0; subscriber < ledger->plan->subscriber_count; subscriber++) {
        for (size_t home = 0; home < ledger->plan->home_count; home++) {
            if (ledger->homes[home].index != home || has_caught_up(ledger, subscriber, home, &wanted, &heard))
                continue;
            snprintf(evidence, evidence_size,
                     "subscriber %zu heard of %.256s up to generation %" PRIu64 ", an Invalidate had answered %" PRIu64
                     " of epoch %" PRIx64 ", and no gap was told",
                     subscriber, ledger->homes[home].path, heard.generation, wanted.generation, wanted.epoch);
            return false;
        }
    }
    return true;
}

bool ledger_settle(struct ledger *ledger, uint64_t deadline_ns)
{
    struct timespec deadline = timespec_of(deadline_ns);
    char evidence[LEDGER_EVIDENCE_SIZE];
    int error = 0;
    bool settled;

    pthread_mutex_lock(&ledger->news_lock);
    for (;;) {
        uint64_t known = ledger->news_count;

        pthread_mutex_unlock(&ledger->news_lock);
        settled = all_have_caught_up(ledger, evidence, sizeof evidence);
        pthread_mutex_lock(&ledger->news_lock);
        if (settled || error != 0)
            break; /* after the deadline it has looked once more */
        while (known == ledger->news_count && error == 0)
            error = pthread_cond_timedwait(&ledger->news, &ledger->news_lock, &deadline);
    }
    pthread_mutex_unlock(&ledger->news_lock);
    if (!settled)
        ledger_break(ledger, "%s", evidence);
    return settled;
}
