/* The page: page.html with its places filled in, and the policy that lets a browser run nothing but what is ours.
 *
 * Whatever comes from outside (paths, reasons, messages) is escaped.  The forms of figures are those of page.js. */
#include "server/base/duration.h"
#include "server/base/invariant.h"
#include "server/http/embedded.h"
#include "server/http/views.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- text ---- */

static void add_escaped(struct text *body, const char *string)
{
    static const char special[] = "&<>\"'";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

    while (*string != '\0') {
        size_t plain = strcspn(string, special);

        text_add(body, string, plain);
        string += plain;
        if (*string != '\0')
            text_add_string(body, escapes[strchr(special, *string++) - special]);
    }
}

enum { WORDS_SIZE = 64, EVENT_COUNT_MAX = 12 /* of as many as a person reads */ };

/* "4 min 5 s"; "4 min" when there is nothing of the smaller unit. */
static void say_two(uint64_t large, const char *large_unit, uint64_t small, const char *small_unit,
                    char out[WORDS_SIZE])
{
    if (small == 0)
        snprintf(out, WORDS_SIZE, "%" PRIu64 " %s", large, large_unit);
    else
        snprintf(out, WORDS_SIZE, "%" PRIu64 " %s %" PRIu64 " %s", large, large_unit, small, small_unit);
}

/* "250 ms", "3.2 s", "4 min 5 s", "3 h 7 min", "2 d 4 h". */
static void say_ms(uint64_t ms, char out[WORDS_SIZE])
{
    uint64_t s = ms / 1000, min = s / 60, h = min / 60;

    if (ms < 1000)
        snprintf(out, WORDS_SIZE, "%" PRIu64 " ms", ms);
    else if (s < 60)
        snprintf(out, WORDS_SIZE, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
    else if (min < 60)
        say_two(min, "min", s % 60, "s", out);
    else if (h < 24)
        say_two(h, "h", min % 60, "min", out);
    else
        say_two(h / 24, "d", h % 24, "h", out);
}

/* "12,345". */
static void say_number(uint64_t number, char out[WORDS_SIZE])
{
    char digits[WORDS_SIZE];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, number);

    for (int i = 0; i < count; i++) {
        *out++ = digits[i];
        if (i + 1 < count && (count - 1 - i) % 3 == 0)
            *out++ = ',';
    }
    *out = '\0';
}

/* "31 µs", "2.5 ms", "1.27 s". */
static void say_seconds(double seconds, char out[WORDS_SIZE])
{
    if (seconds < 0.001)
        snprintf(out, WORDS_SIZE, "%.0f µs", seconds * 1e6);
    else if (seconds < 1)
        snprintf(out, WORDS_SIZE, "%.3g ms", seconds * 1e3);
    else
        snprintf(out, WORDS_SIZE, "%.3g s", seconds);
}

static void say_rate(double rate, char out[WORDS_SIZE])
{
    snprintf(out, WORDS_SIZE, "%.*f", rate < 10 ? 1 : 0, rate);
}

static void say_workers(const uint64_t counts[WORKER_STATE_COUNT], char out[4 * WORDS_SIZE])
{
    static const enum worker_state order[WORKER_STATE_COUNT] = {WORKER_LEASED, WORKER_IDLE, WORKER_STARTING,
                                                                WORKER_DRAINING, WORKER_ENDING};
    int size = 0;

    out[0] = '\0';
    for (size_t i = 0; i < WORKER_STATE_COUNT; i++) {
        if (counts[order[i]] > 0)
            size += snprintf(out + size, (size_t)(4 * WORDS_SIZE - size), "%s%" PRIu64 " %s", size == 0 ? "" : ", ",
                             counts[order[i]], view_worker_state(order[i]));
    }
}

static void say_moment(int64_t ms, char out[WORDS_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(out, WORDS_SIZE, "%Y-%m-%d %H:%M:%S UTC", &utc);
}

/* ---- rows ---- */

/* The first cell of a row heads it; `label` is its column's, which a phone shows beside it. */
static void add_head(struct text *body, const char *label, const char *class, const char *value)
{
    text_format(body, "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\" data-label=\"%s\" class=\"%s\">", label,
                class);
    add_escaped(body, value);
    text_add_string(body, "</th>");
}

static void add_cell(struct text *body, const char *label, const char *class, const char *value)
{
    text_format(body, "<td role=\"cell\" data-label=\"%s\" class=\"%s\">", label, class);
    add_escaped(body, value);
    text_add_string(body, "</td>");
}

static void add_number(struct text *body, const char *label, uint64_t value)
{
    char words[WORDS_SIZE];

    say_number(value, words);
    add_cell(body, label, "number", words);
}

/* A name rather than a quantity. */
static void add_id(struct text *body, const char *label, uint64_t id)
{
    text_format(body, "<td role=\"cell\" data-label=\"%s\" class=\"number\">%" PRIu64 "</td>", label, id);
}

/* Nothing where there is no such time. */
static void add_duration(struct text *body, const char *label, uint64_t ns)
{
    char words[WORDS_SIZE] = "";

    if (ns >= NS_PER_MS)
        say_ms(ns / NS_PER_MS, words);
    add_cell(body, label, "number", words);
}

static void end_row(struct text *body)
{
    text_add_string(body, "</tr>\n");
}

static void add_none(struct text *body, unsigned column_count)
{
    text_format(body, "<tr role=\"row\"><td role=\"cell\" class=\"empty\" colspan=\"%u\">none</td></tr>\n",
                column_count);
}

/* ---- what is filled in ---- */

static void write_homes(struct text *body, const struct figures *figures)
{
    char words[4 * WORDS_SIZE];

    for (size_t i = 0; i < figures->home_count; i++) {
        const struct engine_home_view *home = &figures->homes[i];

        say_workers(home->workers, words);
        add_head(body, "Home", "home", home->home);
        add_cell(body, "Workers", "", words);
        add_number(body, "Waiting", home->waiting);
        add_duration(body, "Longest wait", home->oldest_wait_ns);
        add_number(body, "Generation", home->generation);
        add_number(body, "Cached", home->cache_entries);
        add_duration(body, "Paused for", home->pause_ns);
        add_cell(body, "Last failure", "", home->last_failure);
        end_row(body);
    }
    if (figures->home_count == 0)
        add_none(body, 8);
}

static void write_workers(struct text *body, const struct figures *figures)
{
    char id[WORDS_SIZE];

    for (size_t i = 0; i < figures->worker_count; i++) {
        const struct engine_worker_view *worker = &figures->workers[i];

        snprintf(id, sizeof id, "%" PRIu64, worker->worker_id);
        add_head(body, "Worker", "number", id);
        add_id(body, "Pid", (uint64_t)worker->pid);
        add_cell(body, "State", "", view_worker_state(worker->state));
        add_duration(body, "For", worker->state_ns);
        add_cell(body, "Provider", "", worker->provider);
        add_number(body, "Callers", worker->callers);
        add_cell(body, "Home", "home", worker->home);
        add_number(body, "Leases", worker->leases);
        add_duration(body, "Age", worker->age_ns);
        end_row(body);
    }
    if (figures->worker_count == 0)
        add_none(body, 9);
}

static void write_events(struct text *body, const struct figures *figures)
{
    char words[WORDS_SIZE];

    for (size_t i = 0; i < figures->event_count && i < EVENT_COUNT_MAX; i++) {
        const struct history_event *event = &figures->events[i];

        say_moment(event->at_ms, words);
        add_head(body, "When", "", words);
        add_cell(body, "Home", "home", event->home[0] == '\0' ? "all" : event->home);
        add_cell(body, "Provider", "", event->provider[0] == '\0' ? "all" : event->provider);
        add_number(body, "Generation", event->generation);
        add_cell(body, "Cause", "", event->cause == CAUSE_OBSERVED ? "observed" : "requested");
        add_cell(body, "Reason", "", event->reason);
        end_row(body);
    }
    if (figures->event_count == 0)
        add_none(body, 6);
}

static void write_series(struct text *body, const struct timing_view *timing, double uptime_s)
{
    char name[WORDS_SIZE], words[WORDS_SIZE];

    if (timing->origin == TIMING_NONE)
        snprintf(name, sizeof name, "failed: %s", status_code_name(timing->code));
    else
        snprintf(name, sizeof name, "%s", timing_origin_name(timing->origin));
    add_head(body, "Origin", "", name);
    add_number(body, "Calls", timing->count);
    say_rate(uptime_s > 0 ? (double)timing->count / uptime_s : 0, words);
    add_cell(body, "A second", "number", words);
    say_seconds(view_quantile_s(timing, 0.5), words);
    add_cell(body, "Median", "number", words);
    say_seconds(view_quantile_s(timing, 0.99), words);
    add_cell(body, "99 of 100", "number", words);
    end_row(body);
}

static double uptime_s(const struct figures *figures)
{
    return (double)figures->overview.uptime_ns / (double)NS_PER_S;
}

/* Calls counted since the start; `body` NULL: they are only counted. */
static uint64_t write_all_series(struct text *body, const struct figures *figures)
{
    static const enum timing_origin order[TIMING_ORIGIN_COUNT] = {TIMING_CACHED, TIMING_JOINED, TIMING_WARM,
                                                                  TIMING_COLD,   TIMING_STALE,  TIMING_NONE};
    struct timing_view view;
    uint64_t count = 0;

    for (size_t i = 0; i < TIMING_ORIGIN_COUNT; i++) {
        for (int code = 0; code < STATUS_CODE_COUNT; code++) {
            if (!timing_look(figures->timing, order[i], (enum status_code)code, &view))
                continue;
            if (body != NULL)
                write_series(body, &view, uptime_s(figures));
            count += view.count;
        }
    }
    return count;
}

static void write_answers(struct text *body, const struct figures *figures)
{
    if (write_all_series(body, figures) == 0)
        add_none(body, 5);
}

static void add_tile(struct text *body, const char *id, const char *title, const char *value, const char *what)
{
    text_format(body,
                "<div><dt>%s</dt><dd><span id=\"tile-%s\">%s</span> <small id=\"tile-%s-what\">%s</small></dd></div>\n",
                title, id, value, id, what);
}

static void write_tiles(struct text *body, const struct figures *figures)
{
    const struct engine_view *engine = &figures->overview.engine;
    const struct {
        const char *id, *title;
        uint64_t value;
        const char *what;
    } tiles[] = {
        {"flights", "Probes under way", engine->flights, "in the air or waiting for a worker"},
        {"waiting", "Calls that wait", engine->waiting, "for a worker"},
        {"cache", "Answers kept", engine->cache_entries, "in the cache"},
        {"homes", "Homes known", engine->homes, "used, or invalidated once"},
    };
    char words[WORDS_SIZE], states[4 * WORDS_SIZE];
    uint64_t worker_count = 0;

    say_rate(uptime_s(figures) > 0 ? (double)write_all_series(NULL, figures) / uptime_s(figures) : 0, words);
    add_tile(body, "rate", "Calls a second", words, "on average, since the start");
    for (int state = 0; state < WORKER_STATE_COUNT; state++)
        worker_count += engine->workers[state];
    say_workers(engine->workers, states);
    say_number(worker_count, words);
    add_tile(body, "workers", "Workers", words, states);
    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
        say_number(tiles[i].value, words);
        add_tile(body, tiles[i].id, tiles[i].title, words, tiles[i].what);
    }
}

static void write_style(struct text *body, const struct figures *figures)
{
    (void)figures;
    text_add(body, embedded_page_css.bytes, embedded_page_css.size);
}

static void write_script(struct text *body, const struct figures *figures)
{
    (void)figures;
    text_add(body, embedded_page_js.bytes, embedded_page_js.size);
}

static void write_state(struct text *body, const struct figures *figures)
{
    text_add_string(body, figures->overview.draining ? "draining" : "serving");
}

static void write_version(struct text *body, const struct figures *figures)
{
    (void)figures;
    text_add_string(body, PROBED_VERSION);
}

static void write_uptime(struct text *body, const struct figures *figures)
{
    char words[WORDS_SIZE];

    say_ms(figures->overview.uptime_ns / NS_PER_MS, words);
    text_add_string(body, words);
}

static void write_as_of(struct text *body, const struct figures *figures)
{
    char words[WORDS_SIZE];

    say_moment(figures->at_ms, words);
    text_add_string(body, words);
}

static void write_sandbox(struct text *body, const struct figures *figures)
{
    add_escaped(body, figures->overview.seal);
}

static void write_more(struct text *body, bool more)
{
    text_add_string(body, more ? "There are more than are listed." : "");
}

static void write_more_homes(struct text *body, const struct figures *figures)
{
    write_more(body, figures->more_homes);
}

static void write_more_workers(struct text *body, const struct figures *figures)
{
    write_more(body, figures->more_workers);
}

static void write_private(struct text *body, const struct figures *figures);

/* ---- places ---- */

static const struct place {
    const char *name;
    void (*write)(struct text *body, const struct figures *figures);
} places[] = {
    {"style", write_style},           {"script", write_script},
    {"state", write_state},           {"version", write_version},
    {"uptime", write_uptime},         {"asof", write_as_of},
    {"tiles", write_tiles},           {"answers", write_answers},
    {"private", write_private},       {"homes", write_homes},
    {"more_homes", write_more_homes}, {"workers", write_workers},
    {"events", write_events},         {"more_workers", write_more_workers},
    {"sandbox", write_sandbox},
};

static const struct place *find_place(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strlen(places[i].name) == size && memcmp(places[i].name, name, size) == 0)
            return &places[i];
    }
    return NULL;
}

/* What stands in {{…}} is a place; our own files name none that there is not. */
static void fill_in(struct text *body, const struct embedded *template, const struct figures *figures)
{
    const char *at = template->bytes, *open;

    while ((open = strstr(at, "{{")) != NULL) {
        const char *close = strstr(open, "}}");
        const struct place *place = close == NULL ? NULL : find_place(open + 2, (size_t)(close - open - 2));

        INVARIANT(place != NULL);
        text_add(body, at, (size_t)(open - at));
        place->write(body, figures);
        at = close + 2;
    }
    text_add_string(body, at);
}

static void write_private(struct text *body, const struct figures *figures)
{
    fill_in(body, figures->names_homes ? &embedded_page_private_html : &embedded_page_public_html, figures);
}

void page_write(struct text *body, const struct figures *figures)
{
    fill_in(body, &embedded_page_html, figures);
}

/* ---- the policy ---- */

enum { HASH_TEXT_SIZE = 64 };

static char policy[512];

/* As a source of CSP: sha256-…, of the bytes between the tags. */
static void hash(const struct embedded *file, char out[HASH_TEXT_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, (const unsigned char *)file->bytes, file->size);
    sodium_bin2base64(out, HASH_TEXT_SIZE, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
}

void page_setup(void)
{
    char style[HASH_TEXT_SIZE], script[HASH_TEXT_SIZE];

    hash(&embedded_page_css, style);
    hash(&embedded_page_js, script);
    snprintf(policy, sizeof policy,
             "default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             style, script);
}

const char *page_policy(void)
{
    return policy;
}
