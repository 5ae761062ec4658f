#include "server/worker/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void snapshot_set_local_pool(struct snapshot *snapshot, struct pool_summary *summary)
{
    snapshot->source = "local_pool";
    snapshot->title = "Credential pool";
    snapshot->pool = summary;
    snapshot->outcome = outcome_usable(false);
    snapshot->outcome.http_status = 0;
    reading_add_detail(&snapshot->reading, "%zu/%zu credentials available", summary->available, summary->total);
    if (summary->exhausted > 0)
        reading_add_detail(&snapshot->reading, "%zu exhausted", summary->exhausted);
    if (summary->dead > 0)
        reading_add_detail(&snapshot->reading, "%zu dead", summary->dead);
    if (summary->available > 0)
        return;
    snapshot->outcome.status = summary->exhausted > 0 ? ACCOUNT_EXHAUSTED : ACCOUNT_UNAVAILABLE;
    snprintf(snapshot->outcome.reason, sizeof snapshot->outcome.reason, "All pool credentials are unavailable.");
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

static json_t *snapshot_pool_row(const void *owner, size_t index)
{
    static const char *const names[] = {
        [POOL_ROW_AVAILABLE] = "available",
        [POOL_ROW_EXHAUSTED] = "exhausted",
        [POOL_ROW_UNAVAILABLE] = "unavailable",
        [POOL_ROW_DEAD] = "dead",
    };
    const struct pool_row *row = &((const struct pool_summary *)owner)->rows[index];

    return json_pack("{s:s, s:s, s:n, s:[], s:[], s:n, s:o, s:o, s:n}", "label", row->label, "status",
                     names[row->status], "plan", "windows", "details", "limit_reached", "unavailable_reason",
                     snapshot_text(row->reason), "retry_after", snapshot_stamp(row->retry_after), "fetched_at");
}

static json_t *snapshot_pool(const struct pool_summary *pool)
{
    if (pool == NULL)
        return json_null();
    return json_pack("{s:I, s:i, s:I, s:I, s:I, s:I, s:[], s:n, s:[], s:o}", "total_credentials",
                     (json_int_t)pool->total, "queried_credentials", 0, "available_credentials",
                     (json_int_t)pool->available, "exhausted_credentials", (json_int_t)pool->exhausted,
                     "failed_credentials", (json_int_t)pool->failed, "dead_credentials", (json_int_t)pool->dead,
                     "plans", "next_reset_at", "best_remaining_by_window", "credentials",
                     snapshot_list(pool, pool->row_count, snapshot_pool_row));
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
            json, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "provider",
                            snapshot->provider, "status", account_status_name(outcome->status), "source",
                            snapshot->source, "title", snapshot->title, "plan", snapshot_text(reading->plan), "windows",
                            snapshot_list(reading, reading->window_count, snapshot_window), "details",
                            snapshot_list(reading, reading->detail_count, snapshot_detail), "balances",
                            snapshot_list(reading, reading->balance_count, snapshot_balance), "available",
                            outcome->reason[0] == '\0', "unavailable_reason", snapshot_text(outcome->reason),
                            "retry_after_s", snapshot_integer(outcome->retry_after_s), "http_status",
                            snapshot_integer(outcome->http_status), "fetched_at",
                            snapshot_stamp(stamp_make(snapshot->fetched_at_s)), "pool", snapshot_pool(snapshot->pool),
                            "min_interval_s", snapshot_integer(snapshot->min_interval_s))) != 0) {
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
