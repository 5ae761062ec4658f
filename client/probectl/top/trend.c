/* How calls went lately. */
#include "client/probectl/top/trend.h"

#include <string.h>

enum { BUCKET_COUNT_MAX = 64 }; /* more than this are counted in the last */

void trend_fini(struct trend *trend)
{
    for (size_t i = 0; i < trend->look_count; i++)
        probed__v1__get_status_response__free_unpacked(trend->looks[i], NULL);
    trend->look_count = trend->step_count = 0;
}

/* ---- kinds ---- */

static const char *const origin_names[TREND_ORIGIN_COUNT] = {
    [TREND_CACHED] = "cached", [TREND_JOINED] = "joined", [TREND_WARM] = "warm",
    [TREND_COLD] = "cold",     [TREND_STALE] = "stale",   [TREND_FAILED] = "failed",
};

const char *trend_origin_name(enum trend_origin origin)
{
    return origin_names[origin];
}

enum trend_origin trend_origin_of(const Probed__V1__CallTimes *kind)
{
    for (int origin = 0; origin < TREND_FAILED; origin++) {
        if (strcmp(kind->origin, origin_names[origin]) == 0)
            return (enum trend_origin)origin;
    }
    return TREND_FAILED;
}

/* The same kind in another look; NULL: no call of it had ended then. */
static const Probed__V1__CallTimes *find_kind(const Probed__V1__GetStatusResponse *look,
                                              const Probed__V1__CallTimes *kind)
{
    for (size_t i = 0; look != NULL && i < look->n_times; i++) {
        if (strcmp(look->times[i]->origin, kind->origin) == 0 && strcmp(look->times[i]->status, kind->status) == 0)
            return look->times[i];
    }
    return NULL;
}

static uint64_t count_calls(const Probed__V1__CallTimes *kind)
{
    uint64_t count = 0;

    for (size_t i = 0; kind != NULL && i < kind->n_buckets; i++)
        count += kind->buckets[i];
    return count;
}

/* ---- looks ---- */

const Probed__V1__GetStatusResponse *trend_now(const struct trend *trend)
{
    return trend->look_count > 0 ? trend->looks[trend->look_count - 1] : NULL;
}

/* What differences are taken to; NULL: to the daemon's start. */
static const Probed__V1__GetStatusResponse *trend_base(const struct trend *trend)
{
    return trend->look_count > 1 ? trend->looks[0] : NULL;
}

uint64_t trend_span_ms(const struct trend *trend, bool *since_start_out)
{
    const Probed__V1__GetStatusResponse *now = trend_now(trend), *base = trend_base(trend);

    *since_start_out = base == NULL;
    return now == NULL ? 0 : now->uptime_ms - (base == NULL ? 0 : base->uptime_ms);
}

/* Whether it is not the same run of the daemon: what only counts up is less than it was. */
static bool is_another_run(const Probed__V1__GetStatusResponse *older, const Probed__V1__GetStatusResponse *newer)
{
    if (newer->uptime_ms < older->uptime_ms)
        return true;
    for (size_t i = 0; i < older->n_times; i++) {
        if (count_calls(find_kind(newer, older->times[i])) < count_calls(older->times[i]))
            return true;
    }
    return false;
}

static void drop_oldest_look(struct trend *trend)
{
    probed__v1__get_status_response__free_unpacked(trend->looks[0], NULL);
    trend->look_count--;
    memmove(trend->looks, trend->looks + 1, trend->look_count * sizeof(Probed__V1__GetStatusResponse *));
}

static void add_step(struct trend *trend, const Probed__V1__GetStatusResponse *older,
                     const Probed__V1__GetStatusResponse *newer)
{
    double span_s = (double)(newer->uptime_ms - older->uptime_ms) / 1000, *rates;

    if (trend->step_count == TREND_STEP_COUNT_MAX)
        memmove(trend->rates, trend->rates + 1, --trend->step_count * sizeof trend->rates[0]);
    rates = trend->rates[trend->step_count++];
    for (int origin = 0; origin < TREND_ORIGIN_COUNT; origin++)
        rates[origin] = 0;
    for (size_t i = 0; i < newer->n_times; i++) {
        const Probed__V1__CallTimes *kind = newer->times[i];

        rates[trend_origin_of(kind)] += (double)(count_calls(kind) - count_calls(find_kind(older, kind))) / span_s;
    }
}

void trend_add(struct trend *trend, Probed__V1__GetStatusResponse *look)
{
    const Probed__V1__GetStatusResponse *last = trend_now(trend);

    if (last != NULL && is_another_run(last, look)) {
        trend_fini(trend);
        last = NULL;
    }
    if (last != NULL && last->uptime_ms == look->uptime_ms) { /* within one millisecond: no rate comes of that */
        probed__v1__get_status_response__free_unpacked(trend->looks[--trend->look_count], NULL);
        last = NULL;
    }
    if (last != NULL)
        add_step(trend, last, look);
    if (trend->look_count == TREND_LOOK_COUNT_MAX)
        drop_oldest_look(trend);
    trend->looks[trend->look_count++] = look;
    while (trend->look_count > 2 && look->uptime_ms - trend->looks[1]->uptime_ms >= TREND_SPAN_MS)
        drop_oldest_look(trend);
}

/* ---- figures ---- */

struct buckets {
    uint64_t counts[BUCKET_COUNT_MAX];
    uint64_t count;
};

/* Adds what was counted of this kind since then. */
static void add_buckets(struct buckets *buckets, const Probed__V1__CallTimes *now, const Probed__V1__CallTimes *then)
{
    for (size_t i = 0; i < now->n_buckets; i++) {
        uint64_t before = then != NULL && i < then->n_buckets ? then->buckets[i] : 0;
        uint64_t moved = now->buckets[i] > before ? now->buckets[i] - before : 0;

        buckets->counts[i < BUCKET_COUNT_MAX ? i : BUCKET_COUNT_MAX - 1] += moved;
        buckets->count += moved;
    }
}

/* The time that the share `share` of the calls kept to, estimated within its bucket; what is in the last bucket, which
 * has no bound, counts as its lower one. */
static double quantile_s(const struct buckets *buckets, const Probed__V1__GetStatusResponse *look, double share)
{
    size_t bound_count = look->n_time_bounds_us < BUCKET_COUNT_MAX ? look->n_time_bounds_us : BUCKET_COUNT_MAX - 1;
    double wanted = share * (double)buckets->count, below = 0, floor_s, bound_s;
    size_t i = 0;

    if (buckets->count == 0 || bound_count == 0)
        return -1;
    while (i < bound_count && below + (double)buckets->counts[i] < wanted)
        below += (double)buckets->counts[i++];
    if (i == bound_count)
        return (double)look->time_bounds_us[i - 1] / 1e6;
    floor_s = i == 0 ? 0 : (double)look->time_bounds_us[i - 1] / 1e6;
    bound_s = (double)look->time_bounds_us[i] / 1e6;
    return floor_s + (bound_s - floor_s) * (wanted - below) / (double)buckets->counts[i];
}

static void fill_figures(const struct trend *trend, const struct buckets *buckets, struct trend_figures *figures)
{
    bool since_start;
    uint64_t span_ms = trend_span_ms(trend, &since_start);

    figures->rate = span_ms > 0 ? (double)buckets->count * 1000 / (double)span_ms : 0;
    figures->half_s = quantile_s(buckets, trend_now(trend), 0.5);
    figures->most_s = quantile_s(buckets, trend_now(trend), 0.99);
}

static const struct trend_figures no_figures = {.half_s = -1, .most_s = -1};

void trend_look(const struct trend *trend, enum trend_origin origin, struct trend_figures *figures_out)
{
    const Probed__V1__GetStatusResponse *now = trend_now(trend);
    struct buckets buckets = {.count = 0};

    *figures_out = no_figures;
    if (now == NULL)
        return;
    for (size_t i = 0; i < now->n_times; i++) {
        const Probed__V1__CallTimes *kind = now->times[i];

        if (origin != TREND_ORIGIN_COUNT && trend_origin_of(kind) != origin)
            continue;
        figures_out->calls += count_calls(kind);
        add_buckets(&buckets, kind, find_kind(trend_base(trend), kind));
    }
    fill_figures(trend, &buckets, figures_out);
}

void trend_look_kind(const struct trend *trend, const Probed__V1__CallTimes *kind, struct trend_figures *figures_out)
{
    struct buckets buckets = {.count = 0};

    *figures_out = no_figures;
    if (trend_now(trend) == NULL)
        return;
    figures_out->calls = count_calls(kind);
    add_buckets(&buckets, kind, find_kind(trend_base(trend), kind));
    fill_figures(trend, &buckets, figures_out);
}
