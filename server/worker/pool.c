#include "server/worker/pool.h"

#include "server/worker/document.h"
#include "server/worker/jwt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How long a mark "exhausted" holds when the provider did not say (PROVIDERS.md 5.1). */
enum { WAIT_UNAUTHORIZED_S = 300, WAIT_S = 3600, STATUS_UNAUTHORIZED = 401 };

/* How each mark is shown; POOL_WAITING's sentence has a moment in it. */
static const struct {
    enum pool_row_status status;
    const char *reason;
} pool_shown[] = {
    [POOL_USABLE] = {POOL_ROW_AVAILABLE, ""},
    [POOL_DEAD] = {POOL_ROW_DEAD, "Credential permanently revoked or invalid."},
    [POOL_WAITING] = {POOL_ROW_EXHAUSTED, ""},
    [POOL_TOKENLESS] = {POOL_ROW_UNAVAILABLE, "No runtime token available."},
    [POOL_EXPIRED] = {POOL_ROW_UNAVAILABLE, "The stored sign-in has expired; sign in again with the owning tool."},
};

static int pool_compare(const void *left, const void *right)
{
    const struct pool_entry *a = left, *b = right;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

bool pool_open(struct pool *pool, const json_t *auth, const char *provider)
{
    const json_t *entries = json_object_get(json_object_get(auth, "credential_pool"), provider);
    size_t count = json_array_size(entries);

    *pool = (struct pool){0};
    if (count == 0)
        return true;
    pool->entries = calloc(count, sizeof *pool->entries);
    if (pool->entries == NULL)
        return false;
    for (; pool->count < count; pool->count++) {
        const json_t *json = json_array_get(entries, pool->count);

        pool->entries[pool->count] =
            (struct pool_entry){json, number_read(json_object_get(json, "priority")).value, pool->count};
    }
    qsort(pool->entries, count, sizeof *pool->entries, pool_compare);
    return true;
}

void pool_close(struct pool *pool)
{
    free(pool->entries);
    *pool = (struct pool){0};
}

const char *pool_entry_token(const json_t *entry)
{
    static const char *const names[] = {"runtime_api_key", "agent_key", "access_token"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *token = document_string(entry, names[i]);

        if (token != NULL)
            return token;
    }
    return NULL;
}

static bool pool_entry_is(const json_t *entry, const char *status)
{
    const char *last_status = document_string(entry, "last_status");

    return last_status != NULL && strcmp(last_status, status) == 0;
}

/* Until when a mark "exhausted" holds; absent: it holds no more. */
static struct stamp pool_entry_until(const json_t *entry)
{
    struct stamp until = stamp_read(json_object_get(entry, "last_error_reset_at"));
    struct stamp since = stamp_read(json_object_get(entry, "last_status_at"));
    struct number code = number_read(json_object_get(entry, "last_error_code"));

    if (until.known || !since.known)
        return until;
    return stamp_make(since.s + (code.value == STATUS_UNAUTHORIZED ? WAIT_UNAUTHORIZED_S : WAIT_S));
}

enum pool_mark pool_entry_mark(const json_t *entry, int64_t now_s, struct stamp *until_out)
{
    const char *token = pool_entry_token(entry);
    struct stamp expiry;

    if (pool_entry_is(entry, "dead"))
        return POOL_DEAD;
    if (pool_entry_is(entry, "exhausted")) {
        struct stamp until = pool_entry_until(entry);

        if (until.known && now_s < until.s) {
            *until_out = until;
            return POOL_WAITING;
        }
    }
    if (token == NULL)
        return POOL_TOKENLESS;
    expiry = jwt_expiry(token);
    return expiry.known && expiry.s <= now_s ? POOL_EXPIRED : POOL_USABLE;
}

/* `label`, else `source`, else "Credential N". */
static void pool_row_name(struct pool_row *row, const json_t *entry, size_t number)
{
    struct label label = wording_label(json_object_get(entry, "label"));

    if (label.text[0] == '\0')
        label = wording_label(json_object_get(entry, "source"));
    if (label.text[0] == '\0')
        snprintf(label.text, sizeof label.text, "Credential %zu", number);
    memcpy(row->label, label.text, sizeof row->label);
}

static void pool_row_wait(struct pool_row *row, const json_t *entry, struct stamp until)
{
    struct number code = number_read_amount(json_object_get(entry, "last_error_code"));
    char after[PHRASE_SIZE + 32] = "";

    if (code.known)
        snprintf(after, sizeof after, " after provider status %s", wording_count(code.value).text);
    snprintf(row->reason, sizeof row->reason, "Credential pool marked this credential exhausted%s; retry after %s.",
             after, stamp_write(until.s).text);
    row->retry_after = until;
}

static struct pool_row pool_row_make(const json_t *entry, size_t number, int64_t now_s)
{
    struct pool_row row = {.reason = ""};
    struct stamp until = STAMP_ABSENT;
    enum pool_mark mark = pool_entry_mark(entry, now_s, &until);

    pool_row_name(&row, entry, number);
    row.status = pool_shown[mark].status;
    snprintf(row.reason, sizeof row.reason, "%s", pool_shown[mark].reason);
    if (mark == POOL_WAITING)
        pool_row_wait(&row, entry, until);
    return row;
}

struct pool_summary *pool_summarise(const struct pool *pool, int64_t now_s)
{
    struct pool_summary *summary = calloc(1, sizeof *summary);

    if (summary == NULL)
        return NULL;
    summary->total = pool->count;
    summary->row_count = pool->count < LIMIT_CREDENTIAL_COUNT_MAX ? pool->count : LIMIT_CREDENTIAL_COUNT_MAX;
    summary->rows = calloc(summary->row_count + 1, sizeof *summary->rows);
    if (summary->rows == NULL) {
        free(summary);
        return NULL;
    }
    for (size_t i = 0; i < pool->count; i++) {
        struct pool_row row = pool_row_make(pool->entries[i].json, i + 1, now_s);

        summary->counts[row.status]++;
        if (i < summary->row_count)
            summary->rows[i] = row;
    }
    return summary;
}

void pool_row_set(struct pool_summary *summary, struct pool_row *row, enum pool_row_status status, const char *reason)
{
    summary->counts[row->status]--;
    summary->counts[status]++;
    row->status = status;
    snprintf(row->reason, sizeof row->reason, "%s", reason);
}

const char *pool_mark_reason(enum pool_mark mark)
{
    return pool_shown[mark].reason;
}

void pool_summary_give_up_rest(struct pool_summary *summary)
{
    size_t rest = summary->counts[POOL_ROW_AVAILABLE];

    for (size_t i = 0; i < summary->row_count; i++)
        rest -= summary->rows[i].status == POOL_ROW_AVAILABLE ? 1 : 0;
    summary->counts[POOL_ROW_AVAILABLE] -= rest;
    summary->counts[POOL_ROW_UNAVAILABLE] += rest;
}

/* ---- what the readings tell together ---- */

/* The first of several that have as much left stays. */
static void pool_consider_window(struct pool_summary *summary, const struct pool_row *row,
                                 const struct reading_window *window)
{
    size_t at = 0;

    if (window->reset_at.known && (!summary->next_reset_at.known || window->reset_at.s < summary->next_reset_at.s))
        summary->next_reset_at = window->reset_at;
    while (at < summary->best_count && strcasecmp(summary->best[at].window->label, window->label) != 0)
        at++;
    if (at == LIMIT_WINDOW_COUNT_MAX)
        return;
    if (at == summary->best_count)
        summary->best_count++;
    else if (window->used_percent >= summary->best[at].window->used_percent)
        return;
    summary->best[at] = (struct pool_best){window, row};
}

static void pool_consider_plan(struct pool_summary *summary, const char *plan)
{
    if (plan[0] == '\0')
        return;
    for (size_t i = 0; i < summary->plan_count; i++) {
        if (strcmp(summary->plans[i], plan) == 0)
            return;
    }
    summary->plans[summary->plan_count++] = plan;
}

void pool_summary_compare(struct pool_summary *summary)
{
    for (size_t i = 0; i < summary->row_count; i++) {
        const struct pool_row *row = &summary->rows[i];

        if (row->reading == NULL)
            continue;
        pool_consider_plan(summary, row->reading->plan);
        for (size_t j = 0; j < row->reading->window_count; j++)
            pool_consider_window(summary, row, &row->reading->windows[j]);
    }
}

void pool_summary_destroy(struct pool_summary *summary)
{
    if (summary == NULL)
        return;
    while (summary->reading_count > 0)
        free(summary->readings[--summary->reading_count]);
    free(summary->rows);
    free(summary);
}
