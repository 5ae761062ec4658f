#include "server/worker/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

/* Short of what a double holds: 73.7 and not 73.700000000000003. */
enum { REAL_PRECISION = 15 };

struct snapshot *snapshot_create(const char *provider)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (snapshot != NULL)
        snprintf(snapshot->provider, sizeof snapshot->provider, "%s", provider);
    return snapshot;
}

void snapshot_destroy(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    pool_summary_destroy(snapshot->pool);
    free(snapshot);
}

/* ---- pools ---- */

/* Counts that are 0 are not told, but for the first. */
static void snapshot_add_counts(struct reading *reading, const struct pool_summary *summary, bool with_failed)
{
    const size_t *counts = summary->counts;

    reading_add_detail(reading, "%zu/%zu credentials available", counts[POOL_ROW_AVAILABLE], summary->total);
    if (counts[POOL_ROW_EXHAUSTED] > 0)
        reading_add_detail(reading, "%zu exhausted", counts[POOL_ROW_EXHAUSTED]);
    if (counts[POOL_ROW_UNAVAILABLE] > 0 && with_failed)
        reading_add_detail(reading, "%zu failed to load", counts[POOL_ROW_UNAVAILABLE]);
    if (counts[POOL_ROW_DEAD] > 0)
        reading_add_detail(reading, "%zu dead", counts[POOL_ROW_DEAD]);
}

static void snapshot_set_pool_outcome(struct snapshot *snapshot, enum account_status status, const char *reason)
{
    snapshot->outcome = (struct outcome){.status = status};
    snprintf(snapshot->outcome.reason, sizeof snapshot->outcome.reason, "%s", reason);
}

void snapshot_set_local_pool(struct snapshot *snapshot, struct pool_summary *summary)
{
    const size_t *counts = summary->counts;

    snapshot->source = "local_pool";
    snapshot->title = "Credential pool";
    snapshot->pool = summary;
    snapshot_add_counts(&snapshot->reading, summary, false);
    if (counts[POOL_ROW_AVAILABLE] > 0)
        snapshot_set_pool_outcome(snapshot, ACCOUNT_OK, "");
    else
        snapshot_set_pool_outcome(snapshot, counts[POOL_ROW_EXHAUSTED] > 0 ? ACCOUNT_EXHAUSTED : ACCOUNT_UNAVAILABLE,
                                  "All pool credentials are unavailable.");
}

/* The windows with the most left, wherever they are. */
static void snapshot_add_best(struct reading *reading, const struct pool_summary *summary)
{
    char detail[TEXT_SIZE];

    snprintf(detail, sizeof detail, "Best of %zu available credentials", summary->counts[POOL_ROW_AVAILABLE]);
    for (size_t i = 0; i < summary->best_count; i++) {
        const struct reading_window *window = summary->best[i].window;

        reading_add_window(reading, &(struct window){.label = window->label,
                                                     .used_percent = number_make(window->used_percent),
                                                     .reset_at = window->reset_at,
                                                     .detail = detail,
                                                     .scope = window->scope,
                                                     .length_s = window->length_s});
    }
}

/* Too many of them are cut like any detail. */
static void snapshot_add_plans(struct reading *reading, const struct pool_summary *summary)
{
    struct text names = TEXT_EMPTY;

    for (size_t i = 0; i < summary->plan_count; i++)
        text_format(&names, "%s%s", i == 0 ? "" : ", ", summary->plans[i]);
    if (names.size > 0)
        reading_add_detail(reading, "Plans: %s", text_string(&names));
    text_fini(&names);
    if (summary->plan_count == 1)
        reading_set_plan(reading, summary->plans[0]);
}

/* A row that can be read is available, even at its limit; all of them there are an account that is exhausted. */
static bool snapshot_is_pool_exhausted(const struct pool_summary *summary)
{
    for (size_t i = 0; i < summary->row_count; i++) {
        if (summary->rows[i].reading != NULL && !summary->rows[i].reading->exhausted)
            return false;
    }
    return true;
}

void snapshot_set_asked_pool(struct snapshot *snapshot, struct pool_summary *summary, const char *source,
                             const char *reason)
{
    const size_t *counts = summary->counts;
    bool only_exhausted = counts[POOL_ROW_EXHAUSTED] > 0 && counts[POOL_ROW_UNAVAILABLE] == 0;

    snapshot->source = source;
    snapshot->pool = summary;
    snapshot_add_best(&snapshot->reading, summary);
    snapshot_add_counts(&snapshot->reading, summary, true);
    snapshot_add_plans(&snapshot->reading, summary);
    if (counts[POOL_ROW_AVAILABLE] > 0)
        snapshot_set_pool_outcome(snapshot, snapshot_is_pool_exhausted(summary) ? ACCOUNT_EXHAUSTED : ACCOUNT_OK, "");
    else
        snapshot_set_pool_outcome(snapshot, only_exhausted ? ACCOUNT_EXHAUSTED : ACCOUNT_UNAVAILABLE, reason);
}

/* ---- JSON: every function gives a value, or NULL when memory is short, which json_pack passes on ---- */

static json_t *snapshot_text(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *snapshot_stamp(struct stamp stamp)
{
    return stamp.known ? json_string(stamp_write(stamp.s).text) : json_null();
}

/* 0 stands for none. */
static json_t *snapshot_integer(int64_t value)
{
    return value == 0 ? json_null() : json_integer(value);
}

/* An array of what `make` gives for each of `count` members of `owner`. */
static json_t *snapshot_list(const void *owner, size_t count, json_t *(*make)(const void *owner, size_t index))
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, make(owner, i)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *snapshot_window(const void *owner, size_t index)
{
    const struct reading_window *window = &((const struct reading *)owner)->windows[index];

    return json_pack("{s:s, s:f, s:f, s:o, s:o, s:s, s:o}", "label", window->label, "used_percent",
                     window->used_percent, "remaining_percent", 100 - window->used_percent, "reset_at",
                     snapshot_stamp(window->reset_at), "detail", snapshot_text(window->detail), "scope",
                     window->scope == WINDOW_MODEL ? "model" : "account", "window_seconds",
                     snapshot_integer(window->length_s));
}

static json_t *snapshot_detail(const void *owner, size_t index)
{
    return json_string(((const struct reading *)owner)->details[index]);
}

static json_t *snapshot_balance(const void *owner, size_t index)
{
    const struct reading_balance *balance = &((const struct reading *)owner)->balances[index];

    return json_pack("{s:s, s:f, s:s}", "label", balance->label, "amount", balance->amount, "currency",
                     balance->currency);
}

struct snapshot_pool_rows {
    const struct pool_summary *summary;
    int64_t fetched_at_s;
};

static json_t *snapshot_limit_reached(const struct reading *reading)
{
    return reading == NULL ? json_null() : json_boolean(reading->exhausted);
}

static json_t *snapshot_pool_row(const void *owner, size_t index)
{
    static const char *const names[POOL_ROW_STATUS_COUNT] = {
        [POOL_ROW_AVAILABLE] = "available",
        [POOL_ROW_EXHAUSTED] = "exhausted",
        [POOL_ROW_UNAVAILABLE] = "unavailable",
        [POOL_ROW_DEAD] = "dead",
    };
    const struct snapshot_pool_rows *rows = owner;
    const struct pool_row *row = &rows->summary->rows[index];
    const struct reading *reading = row->reading;

    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "label", row->label, "status", names[row->status],
                     "plan", snapshot_text(reading == NULL ? "" : reading->plan), "windows",
                     snapshot_list(reading, reading == NULL ? 0 : reading->window_count, snapshot_window), "details",
                     snapshot_list(reading, reading == NULL ? 0 : reading->detail_count, snapshot_detail),
                     "limit_reached", snapshot_limit_reached(reading), "unavailable_reason", snapshot_text(row->reason),
                     "retry_after", snapshot_stamp(row->retry_after), "fetched_at",
                     snapshot_stamp(row->is_asked ? stamp_make(rows->fetched_at_s) : STAMP_ABSENT));
}

static json_t *snapshot_pool_plan(const void *owner, size_t index)
{
    return json_string(((const struct pool_summary *)owner)->plans[index]);
}

static json_t *snapshot_pool_best(const void *owner, size_t index)
{
    const struct pool_best *best = &((const struct pool_summary *)owner)->best[index];
    const struct reading_window *window = best->window;

    return json_pack("{s:s, s:f, s:f, s:o, s:o, s:s}", "label", window->label, "used_percent", window->used_percent,
                     "remaining_percent", 100 - window->used_percent, "reset_at", snapshot_stamp(window->reset_at),
                     "detail", snapshot_text(window->detail), "credential_label", best->row->label);
}

static json_t *snapshot_pool(const struct pool_summary *pool, int64_t fetched_at_s)
{
    const struct snapshot_pool_rows rows = {pool, fetched_at_s};

    if (pool == NULL)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "total_credentials", (json_int_t)pool->total,
                     "queried_credentials", (json_int_t)pool->request_count, "available_credentials",
                     (json_int_t)pool->counts[POOL_ROW_AVAILABLE], "exhausted_credentials",
                     (json_int_t)pool->counts[POOL_ROW_EXHAUSTED], "failed_credentials",
                     (json_int_t)pool->counts[POOL_ROW_UNAVAILABLE], "dead_credentials",
                     (json_int_t)pool->counts[POOL_ROW_DEAD], "plans",
                     snapshot_list(pool, pool->plan_count, snapshot_pool_plan), "next_reset_at",
                     snapshot_stamp(pool->next_reset_at), "best_remaining_by_window",
                     snapshot_list(pool, pool->best_count, snapshot_pool_best), "credentials",
                     snapshot_list(&rows, pool->row_count, snapshot_pool_row));
}

static json_t *snapshot_json(const struct snapshot *snapshot, const json_t *id)
{
    const struct outcome *outcome = &snapshot->outcome;
    const struct reading *reading = &snapshot->reading;
    json_t *json = json_object();

    if (id != NULL && json_object_set_new(json, "id", json_deep_copy(id)) != 0) {
        json_decref(json);
        return NULL;
    }
    if (json_object_update_new(
            json,
            json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "provider",
                      snapshot->provider, "status", account_status_name(outcome->status), "source", snapshot->source,
                      "title", snapshot->title, "plan", snapshot_text(reading->plan), "windows",
                      snapshot_list(reading, reading->window_count, snapshot_window), "details",
                      snapshot_list(reading, reading->detail_count, snapshot_detail), "balances",
                      snapshot_list(reading, reading->balance_count, snapshot_balance), "available",
                      outcome->reason[0] == '\0', "unavailable_reason", snapshot_text(outcome->reason), "retry_after_s",
                      snapshot_integer(outcome->retry_after_s), "http_status", snapshot_integer(outcome->http_status),
                      "fetched_at", snapshot_stamp(stamp_make(snapshot->fetched_at_s)), "pool",
                      snapshot_pool(snapshot->pool, snapshot->fetched_at_s), "min_interval_s",
                      snapshot_integer(snapshot->min_interval_s))) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

bool snapshot_write(const struct snapshot *snapshot, const json_t *id, struct text *line)
{
    json_t *json = snapshot_json(snapshot, id);
    char *dump = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(REAL_PRECISION));
    bool written = dump != NULL;

    json_decref(json);
    if (written)
        text_add_string(line, dump);
    free(dump);
    return written && !line->failed;
}
