/* The lists: columns, values, order. */
#include "client/probectl/top/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- getting values ---- */

#define TEXT(value_)   ((struct value){.text = (value_)})
#define NUMBER(value_) ((struct value){.number = (value_)})
#define REAL(value_)   ((struct value){.real = (value_)})

/* One function a column: a row is a `type`, the value is made of `row`. */
#define COLUMN(name, type, value_)                                                                                     \
    static struct value name(const void *opaque)                                                                       \
    {                                                                                                                  \
        const type *row = opaque;                                                                                      \
        return value_;                                                                                                 \
    }

static const Probed__V1__WorkerCounts no_workers = PROBED__V1__WORKER_COUNTS__INIT;

static const Probed__V1__WorkerCounts *workers_of(const Probed__V1__HomeInfo *home)
{
    return home->workers != NULL ? home->workers : &no_workers;
}

static uint64_t other_workers(const Probed__V1__HomeInfo *home)
{
    const Probed__V1__WorkerCounts *workers = workers_of(home);

    return (uint64_t)workers->starting + workers->draining + workers->ending;
}

COLUMN(home_path, Probed__V1__HomeInfo, TEXT(row->home))
COLUMN(home_leased, Probed__V1__HomeInfo, NUMBER(workers_of(row)->leased))
COLUMN(home_idle, Probed__V1__HomeInfo, NUMBER(workers_of(row)->idle))
COLUMN(home_other, Probed__V1__HomeInfo, NUMBER(other_workers(row)))
COLUMN(home_waiting, Probed__V1__HomeInfo, NUMBER(row->waiting))
COLUMN(home_longest, Probed__V1__HomeInfo, NUMBER(row->oldest_wait_ms))
COLUMN(home_cached, Probed__V1__HomeInfo, NUMBER(row->cache_entries))
COLUMN(home_generation, Probed__V1__HomeInfo, NUMBER(row->generation))
COLUMN(home_pause, Probed__V1__HomeInfo, NUMBER(row->pause_ms))
COLUMN(home_failure, Probed__V1__HomeInfo, TEXT(row->last_failure))

static const struct column home_columns[] = {
    {"HOME", VALUE_PATH, 0, CANVAS_PLAIN, home_path},       {"LEASED", VALUE_COUNT, 1, CANVAS_GOOD, home_leased},
    {"IDLE", VALUE_COUNT, 2, CANVAS_PLAIN, home_idle},      {"OTHER", VALUE_COUNT, 6, CANVAS_PLAIN, home_other},
    {"WAITING", VALUE_COUNT, 0, CANVAS_WARN, home_waiting}, {"LONGEST", VALUE_SPAN, 3, CANVAS_WARN, home_longest},
    {"CACHED", VALUE_COUNT, 7, CANVAS_PLAIN, home_cached},  {"GENERATION", VALUE_ID, 8, CANVAS_PLAIN, home_generation},
    {"PAUSE", VALUE_SPAN, 4, CANVAS_BAD, home_pause},       {"LAST FAILURE", VALUE_TEXT, 5, CANVAS_BAD, home_failure},
};

/* In the order of the daemon's enum: who works stands in front when sorted. */
static struct value worker_state(const void *opaque)
{
    static const struct {
        Probed__V1__WorkerState state;
        const char *name;
        uint64_t weight;
    } states[] = {
        {PROBED__V1__WORKER_STATE__WORKER_STATE_LEASED, "leased", 5},
        {PROBED__V1__WORKER_STATE__WORKER_STATE_DRAINING, "draining", 4},
        {PROBED__V1__WORKER_STATE__WORKER_STATE_STARTING, "starting", 3},
        {PROBED__V1__WORKER_STATE__WORKER_STATE_IDLE, "idle", 2},
        {PROBED__V1__WORKER_STATE__WORKER_STATE_ENDING, "ending", 1},
    };
    const Probed__V1__WorkerInfo *row = opaque;

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (states[i].state == row->state)
            return (struct value){.text = states[i].name, .number = states[i].weight};
    }
    return (struct value){.text = "unknown"};
}

COLUMN(worker_id, Probed__V1__WorkerInfo, NUMBER(row->worker_id))
COLUMN(worker_pid, Probed__V1__WorkerInfo, NUMBER((uint64_t)row->pid))
COLUMN(worker_for, Probed__V1__WorkerInfo, NUMBER(row->state_ms))
COLUMN(worker_provider, Probed__V1__WorkerInfo, TEXT(row->provider))
COLUMN(worker_callers, Probed__V1__WorkerInfo, NUMBER(row->callers))
COLUMN(worker_home, Probed__V1__WorkerInfo, TEXT(row->home))
COLUMN(worker_leases, Probed__V1__WorkerInfo, NUMBER(row->leases))
COLUMN(worker_age, Probed__V1__WorkerInfo, NUMBER(row->age_ms))
COLUMN(worker_generation, Probed__V1__WorkerInfo, NUMBER(row->generation))
COLUMN(worker_sandbox, Probed__V1__WorkerInfo, TEXT(row->sandbox))

static const struct column worker_columns[] = {
    {"WORKER", VALUE_ID, 4, CANVAS_PLAIN, worker_id},
    {"PID", VALUE_ID, 3, CANVAS_PLAIN, worker_pid},
    {"STATE", VALUE_STATE, 0, CANVAS_PLAIN, worker_state},
    {"FOR", VALUE_SPAN, 1, CANVAS_PLAIN, worker_for},
    {"PROVIDER", VALUE_TEXT, 2, CANVAS_PLAIN, worker_provider},
    {"CALLERS", VALUE_COUNT, 5, CANVAS_GOOD, worker_callers},
    {"HOME", VALUE_PATH, 0, CANVAS_PLAIN, worker_home},
    {"LEASES", VALUE_COUNT, 7, CANVAS_PLAIN, worker_leases},
    {"AGE", VALUE_SPAN, 6, CANVAS_PLAIN, worker_age},
    {"GENERATION", VALUE_ID, 8, CANVAS_PLAIN, worker_generation},
    {"SANDBOX", VALUE_TEXT, 9, CANVAS_PLAIN, worker_sandbox},
};

static const char *or_all(const char *text)
{
    return text[0] != '\0' ? text : "all";
}

static const char *cause_words(Probed__V1__Cause cause)
{
    return cause == PROBED__V1__CAUSE__CAUSE_OBSERVED    ? "observed"
           : cause == PROBED__V1__CAUSE__CAUSE_REQUESTED ? "requested"
                                                         : "unknown";
}

COLUMN(change_when, Probed__V1__EventInfo, NUMBER(row->at_ms > 0 ? (uint64_t)row->at_ms : 0))
COLUMN(change_home, Probed__V1__EventInfo, TEXT(or_all(row->home)))
COLUMN(change_provider, Probed__V1__EventInfo, TEXT(or_all(row->provider)))
COLUMN(change_generation, Probed__V1__EventInfo, NUMBER(row->generation))
COLUMN(change_cause, Probed__V1__EventInfo, TEXT(cause_words(row->cause)))
COLUMN(change_reason, Probed__V1__EventInfo, TEXT(row->reason))

static const struct column change_columns[] = {
    {"WHEN", VALUE_MOMENT, 0, CANVAS_PLAIN, change_when},
    {"HOME", VALUE_PATH, 0, CANVAS_PLAIN, change_home},
    {"PROVIDER", VALUE_TEXT, 2, CANVAS_PLAIN, change_provider},
    {"GENERATION", VALUE_ID, 4, CANVAS_PLAIN, change_generation},
    {"CAUSE", VALUE_TEXT, 3, CANVAS_PLAIN, change_cause},
    {"REASON", VALUE_TEXT, 1, CANVAS_PLAIN, change_reason},
};

/* The page's order: from what costs nothing to what failed. */
static struct value answer_origin(const void *opaque)
{
    const struct answer_row *row = opaque;

    return (struct value){.text = row->name, .number = (uint64_t)(TREND_ORIGIN_COUNT - row->origin)};
}

COLUMN(answer_calls, struct answer_row, NUMBER(row->figures.calls))
COLUMN(answer_rate, struct answer_row, REAL(row->figures.rate))
COLUMN(answer_half, struct answer_row, REAL(row->figures.half_s))
COLUMN(answer_most, struct answer_row, REAL(row->figures.most_s))

static const struct column answer_columns[] = {
    {"ORIGIN", VALUE_STATE, 0, CANVAS_PLAIN, answer_origin},    {"CALLS", VALUE_COUNT, 2, CANVAS_PLAIN, answer_calls},
    {"A SECOND", VALUE_RATE, 0, CANVAS_PLAIN, answer_rate},     {"MEDIAN", VALUE_SECONDS, 1, CANVAS_PLAIN, answer_half},
    {"99 OF 100", VALUE_SECONDS, 0, CANVAS_PLAIN, answer_most},
};

#define COLUMNS(table) .columns = (table), .column_count = sizeof(table) / sizeof((table)[0])

const struct panel_kind *listing_panel(enum panel panel)
{
    static const struct panel_kind panels[PANEL_COUNT] = {
        [PANEL_HOMES] = {"Homes", "no home has a worker, a call that waits, or a failure", COLUMNS(home_columns),
                         .sorted = 4},
        [PANEL_WORKERS] = {"Workers", "no workers", COLUMNS(worker_columns), .sorted = 2},
        [PANEL_CHANGES] = {"Changes", "no credentials have changed", COLUMNS(change_columns), .sorted = 0},
        [PANEL_ANSWERS] = {"Answers", "no calls so far", COLUMNS(answer_columns), .sorted = 0},
    };

    return &panels[panel];
}

/* ---- values ---- */

static bool is_text(enum value_kind kind)
{
    return kind == VALUE_TEXT || kind == VALUE_PATH || kind == VALUE_STATE;
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

const char *listing_words(const struct column *column, const void *row, const struct listing_style *style,
                          char out[WORDS_SIZE])
{
    struct value value = column->get(row);

    out[0] = '-';
    out[1] = '\0';
    if (is_text(column->kind))
        return or_dash(value.text);
    if (column->kind == VALUE_COUNT)
        words_count(value.number, out);
    else if (column->kind == VALUE_ID)
        snprintf(out, WORDS_SIZE, "%" PRIu64, value.number);
    else if (column->kind == VALUE_SPAN && value.number > 0)
        words_span(value.number, out);
    else if (column->kind == VALUE_MOMENT)
        words_moment((int64_t)value.number, style->now_ms, out);
    else if (column->kind == VALUE_RATE)
        words_rate(value.real, out);
    else if (column->kind == VALUE_SECONDS && value.real >= 0)
        words_seconds(value.real, style->utf8, out);
    return out;
}

bool listing_is_set(const struct column *column, const void *row)
{
    struct value value = column->get(row);

    return is_text(column->kind) ? value.text[0] != '\0' : value.number > 0 || value.real > 0;
}

bool listing_is_number(const struct column *column)
{
    return !is_text(column->kind) && column->kind != VALUE_MOMENT;
}

bool listing_falls(const struct column *column)
{
    return column->kind != VALUE_TEXT && column->kind != VALUE_PATH;
}

/* ---- order ---- */

struct entry {
    const void *row;
    size_t place; /* where it came */
};

struct comparison {
    const struct column *column;
    bool falls;
};

static int compare_values(const struct column *column, const void *row, const void *other_row)
{
    struct value one = column->get(row), other = column->get(other_row);

    if (column->kind == VALUE_TEXT || column->kind == VALUE_PATH)
        return strcmp(one.text, other.text);
    if (column->kind == VALUE_RATE || column->kind == VALUE_SECONDS)
        return (one.real > other.real) - (one.real < other.real);
    return (one.number > other.number) - (one.number < other.number);
}

static int compare_entries(const void *one_entry, const void *other_entry, void *context)
{
    const struct entry *one = one_entry, *other = other_entry;
    const struct comparison *comparison = context;
    int result = compare_values(comparison->column, one->row, other->row);

    if (result != 0)
        return comparison->falls ? -result : result;
    return (one->place > other->place) - (one->place < other->place);
}

static bool has(const struct panel_kind *kind, const void *row, const char *filter, const struct listing_style *style)
{
    char out[WORDS_SIZE];

    for (unsigned i = 0; i < kind->column_count; i++) {
        if (strcasestr(listing_words(&kind->columns[i], row, style, out), filter) != NULL)
            return true;
    }
    return false;
}

size_t listing_make(enum panel panel, const void *const *rows, size_t row_count, const struct listing_order *order,
                    const char *filter, const struct listing_style *style, const void **rows_out)
{
    const struct panel_kind *kind = listing_panel(panel);
    struct comparison comparison = {.column = &kind->columns[order->column]};
    struct entry *entries = malloc((row_count + 1) * sizeof *entries);
    size_t count = 0;

    if (entries == NULL)
        return 0;
    comparison.falls = listing_falls(comparison.column) != order->reversed;
    for (size_t i = 0; i < row_count; i++) {
        if (filter[0] == '\0' || has(kind, rows[i], filter, style))
            entries[count++] = (struct entry){.row = rows[i], .place = i};
    }
    qsort_r(entries, count, sizeof *entries, compare_entries, &comparison);
    for (size_t i = 0; i < count; i++)
        rows_out[i] = entries[i].row;
    free(entries);
    return count;
}
