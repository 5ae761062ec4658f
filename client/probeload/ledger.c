/* The books, and what they say of probes. */
#include "client/probeload/ledger_inside.h"

#include "client/probeload/clock.h"
#include "client/wait.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An age is told in milliseconds. */
static const uint64_t AGE_SLACK_NS = 2 * NS_PER_MS;

/* ---- making and ending ---- */

static bool make_homes(struct ledger *ledger, const struct load_plan *plan)
{
    ledger->homes = calloc(plan->home_count, sizeof *ledger->homes);
    for (size_t i = 0; ledger->homes != NULL && i < plan->home_count; i++) {
        struct home_record *home = &ledger->homes[i], *same;
        char *canonical = realpath(plan->homes[i], NULL);

        home->index = i;
        home->path = canonical != NULL ? canonical : strdup(plan->homes[i]); /* the daemon's to refuse */
        if (home->path == NULL)
            return false;
        HASH_FIND_STR(ledger->by_path, home->path, same);
        if (same != NULL)
            home->index = same->index;
        else
            HASH_ADD_KEYPTR(hh, ledger->by_path, home->path, strlen(home->path), home);
    }
    return ledger->homes != NULL;
}

static bool make_books(struct ledger *ledger, const struct load_plan *plan)
{
    size_t scope_count = plan->home_count * plan->provider_count;

    ledger->scopes = calloc(scope_count, sizeof *ledger->scopes);
    ledger->progress = calloc(scope_count * ledger->key_count, sizeof *ledger->progress);
    ledger->heard = calloc(plan->subscriber_count * plan->home_count + 1, sizeof *ledger->heard);
    ledger->pending = calloc(PENDING_COUNT_MAX, sizeof *ledger->pending);
    ledger->key_digests = calloc(ledger->key_count, sizeof *ledger->key_digests);
    return ledger->scopes != NULL && ledger->progress != NULL && ledger->heard != NULL && ledger->pending != NULL &&
           ledger->key_digests != NULL;
}

static void make_digests(struct ledger *ledger)
{
    char text[LEDGER_KEY_SIZE];

    for (size_t key = 0; key < ledger->key_count; key++) {
        size_t size = ledger_key(ledger, key, text);

        ledger->key_digests[key] = statement_digest(&ledger->secret, text, size);
    }
}

static void make_locks(struct ledger *ledger)
{
    for (size_t i = 0; i < STRIPE_COUNT; i++)
        pthread_mutex_init(&ledger->stripes[i], NULL);
    pthread_mutex_init(&ledger->epoch_lock, NULL);
    pthread_mutex_init(&ledger->pending_lock, NULL);
    pthread_mutex_init(&ledger->news_lock, NULL);
    pthread_mutex_init(&ledger->evidence_lock, NULL);
    wait_init(&ledger->news);
}

struct ledger *ledger_create(const struct load_plan *plan)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    if (ledger == NULL)
        return NULL;
    ledger->plan = plan;
    ledger->key_count = plan->key_count == 0 ? 1 : plan->key_count;
    ledger->signed_only = plan->signed_only;
    ledger->secret = statement_secret_of(plan->secret);
    ledger->run = (uint32_t)(now_ns() ^ ((uint64_t)getpid() << 20));
    make_locks(ledger);
    if (!make_homes(ledger, plan) || !make_books(ledger, plan)) {
        ledger_destroy(ledger);
        return NULL;
    }
    make_digests(ledger);
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    HASH_CLEAR(hh, ledger->by_path);
    for (size_t i = 0; ledger->homes != NULL && i < ledger->plan->home_count; i++)
        free((void *)(uintptr_t)ledger->homes[i].path);
    free(ledger->homes);
    free(ledger->scopes);
    free(ledger->progress);
    free(ledger->heard);
    free(ledger->pending);
    free(ledger->key_digests);
    pthread_cond_destroy(&ledger->news);
    free(ledger);
}

const char *ledger_home(const struct ledger *ledger, size_t home)
{
    return ledger->homes[home].path;
}

size_t ledger_key(const struct ledger *ledger, size_t key, char out[LEDGER_KEY_SIZE])
{
    out[0] = '\0';
    return ledger->plan->key_count == 0 ? 0 : (size_t)snprintf(out, LEDGER_KEY_SIZE, "probeload-%06zu", key);
}

/* ---- evidence ---- */

static void keep_evidence(struct ledger *ledger, const char *text)
{
    pthread_mutex_lock(&ledger->evidence_lock);
    if (ledger->evidence[0] == '\0')
        snprintf(ledger->evidence, sizeof ledger->evidence, "%s", text);
    pthread_mutex_unlock(&ledger->evidence_lock);
    atomic_store(&ledger->broken, true);
}

void ledger_break(struct ledger *ledger, const char *format, ...)
{
    char text[LEDGER_EVIDENCE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    keep_evidence(ledger, text);
}

void ledger_break_call(struct ledger *ledger, const struct ledger_call *call, const char *method, const char *format,
                       ...)
{
    const char *provider =
        call->provider == LEDGER_EVERY_PROVIDER ? "every provider" : ledger->plan->providers[call->provider];
    char text[LEDGER_EVIDENCE_SIZE], key[LEDGER_KEY_SIZE];
    va_list arguments;
    int size;

    ledger_key(ledger, call->key, key);
    if (call->invalidation_number != 0)
        key[0] = '\0'; /* an Invalidate has none */
    size = snprintf(text, sizeof text, "%s%s of %.256s, %.64s%s%s, begun at %.6f s: ", method,
                    call->refresh ? " with refresh" : "", ledger->homes[call->home].path, provider,
                    key[0] != '\0' ? ", api_key " : "", key, (double)call->begun_ns / 1e9);
    va_start(arguments, format);
    vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
    va_end(arguments);
    keep_evidence(ledger, text);
}

bool ledger_is_broken(const struct ledger *ledger)
{
    return atomic_load(&ledger->broken);
}

void ledger_evidence(struct ledger *ledger, char out[LEDGER_EVIDENCE_SIZE])
{
    pthread_mutex_lock(&ledger->evidence_lock);
    memcpy(out, ledger->evidence, LEDGER_EVIDENCE_SIZE);
    pthread_mutex_unlock(&ledger->evidence_lock);
}

struct ledger_counts ledger_counts(const struct ledger *ledger)
{
    return (struct ledger_counts){.answers = atomic_load(&ledger->answer_count),
                                  .answers_signed = atomic_load(&ledger->signed_count),
                                  .invalidations = atomic_load(&ledger->invalidation_count),
                                  .events = atomic_load(&ledger->event_count),
                                  .gaps = atomic_load(&ledger->gap_count)};
}

/* ---- epochs ---- */

/* The number of a known epoch; 0: it is not. */
static uint64_t find_epoch(const struct ledger *ledger, uint64_t epoch)
{
    for (size_t i = atomic_load_explicit(&ledger->epoch_count, memory_order_acquire); i > 0; i--) {
        if (ledger->epochs[i - 1] == epoch)
            return i;
    }
    return 0;
}

static uint64_t add_epoch(struct ledger *ledger, uint64_t epoch, uint64_t newest_epoch_number)
{
    uint64_t number;

    pthread_mutex_lock(&ledger->epoch_lock);
    number = find_epoch(ledger, epoch);
    if (number == 0 && atomic_load(&ledger->epoch_count) == newest_epoch_number &&
        newest_epoch_number < EPOCH_COUNT_MAX) {
        number = newest_epoch_number + 1;
        ledger->epochs[newest_epoch_number] = epoch;
        atomic_store_explicit(&ledger->epoch_count, number, memory_order_release);
    }
    pthread_mutex_unlock(&ledger->epoch_lock);
    return number;
}

struct ledger_point ledger_place(struct ledger *ledger, const Probed__V1__Fence *fence, uint64_t newest_epoch_number)
{
    uint64_t number = find_epoch(ledger, fence->epoch);

    if (number == 0)
        number = add_epoch(ledger, fence->epoch, newest_epoch_number);
    return (struct ledger_point){.epoch_number = number, .generation = fence->generation};
}

/* ---- probes ---- */

static struct ledger_point *progress_of(struct ledger *ledger, const struct ledger_call *call)
{
    return &ledger->progress[(call->home * ledger->plan->provider_count + call->provider) * ledger->key_count +
                             call->key];
}

void ledger_probe_begins(struct ledger *ledger, struct ledger_call *call, uint64_t begun_ns)
{
    const struct scope *scope = ledger_scope(ledger, call->home, call->provider);

    call->begun_ns = begun_ns;
    call->newest_epoch_number = atomic_load_explicit(&ledger->epoch_count, memory_order_acquire);
    pthread_mutex_lock(ledger_stripe(ledger, call->home));
    call->floor = point_later(*progress_of(ledger, call), scope->floor);
    call->worker_from_ns = scope->worker_from_ns;
    pthread_mutex_unlock(ledger_stripe(ledger, call->home));
}

static void advance(struct ledger *ledger, const struct ledger_call *call, struct ledger_point point)
{
    struct ledger_point *progress = progress_of(ledger, call);
    struct home_record *home = &ledger->homes[call->home];

    pthread_mutex_lock(ledger_stripe(ledger, call->home));
    *progress = point_later(*progress, point);
    home->newest = point_later(home->newest, point);
    pthread_mutex_unlock(ledger_stripe(ledger, call->home));
}

/* The answer as such; the fence it has is placed by the caller. */
static bool check_form(struct ledger *ledger, const struct ledger_call *call, const Probed__V1__ProbeResponse *response)
{
    const char *provider = ledger->plan->providers[call->provider];

    if (response->usage == NULL || response->fence == NULL)
        ledger_break_call(ledger, call, "Probe", "an answer without %s", response->usage == NULL ? "usage" : "fence");
    else if (strcasecmp(response->usage->provider, provider) != 0)
        ledger_break_call(ledger, call, "Probe", "asked for %.64s, answered with %.64s", provider,
                          response->usage->provider);
    else if (response->fence->epoch == 0 || response->fence->generation == 0)
        ledger_break_call(ledger, call, "Probe", "an answer of epoch %" PRIx64 ", generation %" PRIu64,
                          response->fence->epoch, response->fence->generation);
    else if (response->origin < PROBED__V1__ORIGIN__ORIGIN_WARM || response->origin > PROBED__V1__ORIGIN__ORIGIN_CACHED)
        ledger_break_call(ledger, call, "Probe", "an answer of origin %d", (int)response->origin);
    else
        return true;
    return false;
}

static bool check_fence(struct ledger *ledger, const struct ledger_call *call,
                        const Probed__V1__ProbeResponse *response)
{
    struct ledger_point point = ledger_place(ledger, response->fence, call->newest_epoch_number);

    if (point.epoch_number == 0)
        return true; /* cannot be placed */
    if (point_is_before(point, call->floor)) {
        ledger_break_call(ledger, call, "Probe",
                          "epoch %" PRIx64 ", generation %" PRIu64 " was known when it began, and it got an answer of "
                          "epoch %" PRIx64 ", generation %" PRIu64 " (%s)",
                          ledger->epochs[call->floor.epoch_number - 1], call->floor.generation, response->fence->epoch,
                          response->fence->generation,
                          point.epoch_number == call->floor.epoch_number ? "earlier" : "of an epoch that had ended");
        return false;
    }
    advance(ledger, call, point);
    return true;
}

/* ORIGIN_CACHED although it asked for a fresh one; an account that may not be asked again just now has its reason. */
static bool check_refresh(struct ledger *ledger, const struct ledger_call *call,
                          const Probed__V1__ProbeResponse *response)
{
    const Probed__V1__AccountUsage *usage = response->usage;

    if (!call->refresh || response->origin != PROBED__V1__ORIGIN__ORIGIN_CACHED || response->stale_reason[0] != '\0' ||
        usage->status != PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK || usage->min_interval_s != 0)
        return true;
    ledger_break_call(ledger, call, "Probe", "answered from the cache, %u ms old", response->age_ms);
    return false;
}

static bool check_times(struct ledger *ledger, const struct ledger_call *call,
                        const Probed__V1__ProbeResponse *response, const struct statement *statement,
                        uint64_t answered_ns)
{
    bool fresh =
        response->origin == PROBED__V1__ORIGIN__ORIGIN_WARM || response->origin == PROBED__V1__ORIGIN__ORIGIN_COLD;

    if (statement->answered_ns > answered_ns || statement->started_ns > statement->answered_ns)
        ledger_break_call(ledger, call, "Probe",
                          "an answer from the future: its worker started at %.6f s, answered "
                          "at %.6f s, and it came at %.6f s",
                          (double)statement->started_ns / 1e9, (double)statement->answered_ns / 1e9,
                          (double)answered_ns / 1e9);
    else if (statement->started_ns < call->worker_from_ns)
        ledger_break_call(ledger, call, "Probe",
                          "an Invalidate that began at %.6f s had been answered, or its event "
                          "heard, and the answer's worker, pid %" PRId64 ", was started at %.6f s (generation %" PRIu64
                          ")",
                          (double)call->worker_from_ns / 1e9, statement->pid, (double)statement->started_ns / 1e9,
                          response->fence->generation);
    else if (fresh && statement->answered_ns < call->begun_ns)
        ledger_break_call(ledger, call, "Probe", "said to be %s, and its worker answered at %.6f s",
                          response->origin == PROBED__V1__ORIGIN__ORIGIN_WARM ? "warm" : "cold",
                          (double)statement->answered_ns / 1e9);
    else if (response->age_ms * NS_PER_MS > answered_ns - statement->answered_ns + AGE_SLACK_NS)
        ledger_break_call(ledger, call, "Probe", "said to be %u ms old, and its worker answered %.3f ms before it came",
                          response->age_ms, (double)(answered_ns - statement->answered_ns) / 1e6);
    else
        return true;
    return false;
}

static bool check_statement(struct ledger *ledger, const struct ledger_call *call,
                            const Probed__V1__ProbeResponse *response, uint64_t answered_ns)
{
    const Probed__V1__AccountUsage *usage = response->usage;
    const char *line = usage->n_details > 0 ? usage->details[0] : "";
    struct statement statement;

    if (strcmp(usage->source, STATEMENT_SOURCE) != 0 && !ledger->signed_only)
        return true; /* another worker's */
    if (!statement_read(line, &statement)) {
        ledger_break_call(ledger, call, "Probe", "an answer that its worker did not sign: source \"%.64s\", \"%.180s\"",
                          usage->source, line);
    } else if (!statement_is_signed(&statement, &ledger->secret, ledger->homes[call->home].path,
                                    ledger->plan->providers[call->provider])) {
        ledger_break_call(ledger, call, "Probe",
                          "an answer that is signed for another home or provider, or by another "
                          "worker: \"%.180s\"",
                          line);
    } else if (statement.key_digest != ledger->key_digests[call->key]) {
        ledger_break_call(ledger, call, "Probe", "an answer that its worker gave to another api_key: \"%.180s\"", line);
    } else {
        atomic_fetch_add(&ledger->signed_count, 1);
        return check_times(ledger, call, response, &statement, answered_ns);
    }
    return false;
}

bool ledger_probe_answered(struct ledger *ledger, const struct ledger_call *call,
                           const Probed__V1__ProbeResponse *response, uint64_t answered_ns)
{
    atomic_fetch_add(&ledger->answer_count, 1);
    return check_form(ledger, call, response) && check_statement(ledger, call, response, answered_ns) &&
           check_fence(ledger, call, response) && check_refresh(ledger, call, response);
}
