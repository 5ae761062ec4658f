/* Where what is known stands. */
#include "client/probectl/top/layout.h"

#include <stdio.h>
#include <string.h>

enum {
    GAP = 2 /* blanks between columns */,
    LIST_ROWS_WISHED = 6,
    CALLS_ROWS_MIN = 12,
    COLUMN_COUNT_MAX = 16,
    SUMMARY_COLUMNS = 60
};

static const Probed__V1__WorkerCounts no_workers = PROBED__V1__WORKER_COUNTS__INIT;

/* On the right of `width` columns. */
static void put_number(struct canvas *canvas, unsigned row, unsigned column, unsigned width, enum canvas_style style,
                       const char *text)
{
    unsigned own = canvas_width(canvas, text);
    unsigned before = own < width ? width - own : 0;

    canvas_put(canvas, row, column + before, width - before, style, CANVAS_CUT_END, text);
}

/* ---- the daemon ---- */

static void draw_state(struct pen *pen, const struct model *model, const Probed__V1__GetStatusResponse *look)
{
    if (model->lost_ms != 0)
        pen_text(pen, CANVAS_BAD, "no answer");
    else if (look->draining)
        pen_text(pen, CANVAS_WARN, "draining");
    else
        pen_text(pen, CANVAS_GOOD, "serving");
    if (model->paused)
        pen_text(pen, CANVAS_WARN, "  paused");
}

static void draw_title(struct canvas *canvas, unsigned row, const struct model *model)
{
    const Probed__V1__GetStatusResponse *look = trend_now(&model->trend);
    struct pen pen = canvas_pen(canvas, row);
    char words[WORDS_SIZE];

    if (look == NULL) { /* never: the first sample comes before the first picture */
        pen_text(&pen, CANVAS_BOLD, "probed");
        return;
    }
    pen_format(&pen, CANVAS_BOLD, "probed %s  ", look->version);
    draw_state(&pen, model, look);
    if (look->uptime_ms < 60000)
        snprintf(words, sizeof words, "%u s", (unsigned)(look->uptime_ms / 1000));
    else
        words_span(look->uptime_ms, words);
    pen_whole(&pen, CANVAS_PLAIN, "  up %s", words);
    words_moment(model->seen_ms, model->now_ms, words);
    pen_right(&pen, CANVAS_DIM, "every %g s, as of %s", (double)model->interval_ms / 1000, words);
}

/* In place of what is not known any more. */
static void draw_loss(struct canvas *canvas, unsigned row, const struct model *model)
{
    struct pen pen = canvas_pen(canvas, row);
    char words[WORDS_SIZE];

    words_span((uint64_t)(model->now_ms > model->seen_ms ? model->now_ms - model->seen_ms : 0), words);
    pen_format(&pen, CANVAS_BAD, "All this is %s old; trying again. ", words);
    pen_format(&pen, CANVAS_PLAIN, " %s", model->lost_reason);
}

static void draw_workers(struct canvas *canvas, unsigned row, const struct model *model)
{
    const Probed__V1__GetStatusResponse *look = trend_now(&model->trend);
    const Probed__V1__WorkerCounts *workers = look != NULL && look->workers != NULL ? look->workers : &no_workers;
    const struct {
        const char *name;
        uint32_t count;
        enum canvas_style style;
    } states[] = {
        {"leased", workers->leased, CANVAS_GOOD},     {"idle", workers->idle, CANVAS_PLAIN},
        {"starting", workers->starting, CANVAS_WARN}, {"draining", workers->draining, CANVAS_WARN},
        {"ending", workers->ending, CANVAS_DIM},
    };
    struct pen pen = canvas_pen(canvas, row);
    const char *before = ": ";
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        sum += states[i].count;
    pen_format(&pen, CANVAS_PLAIN, "%llu worker%s", (unsigned long long)sum, sum == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (states[i].count == 0)
            continue;
        pen_text(&pen, CANVAS_PLAIN, before);
        pen_format(&pen, states[i].style, "%u %s", states[i].count, states[i].name);
        before = ", ";
    }
}

static void draw_calls(struct canvas *canvas, unsigned row, const struct model *model)
{
    const Probed__V1__GetStatusResponse *look = trend_now(&model->trend);
    struct pen pen = canvas_pen(canvas, row);

    if (look == NULL)
        return;
    pen_format(&pen, CANVAS_PLAIN, "%u probe%s under way", look->flights, look->flights == 1 ? "" : "s");
    pen_whole(&pen, look->waiting > 0 ? CANVAS_WARN : CANVAS_PLAIN, ", %u call%s waiting", look->waiting,
              look->waiting == 1 ? "" : "s");
    pen_whole(&pen, CANVAS_PLAIN, ", %u answer%s kept", look->cache_entries, look->cache_entries == 1 ? "" : "s");
    pen_whole(&pen, CANVAS_PLAIN, ", %u home%s known", look->homes, look->homes == 1 ? "" : "s");
}

/* ---- answers, by origin ---- */

/* Where the columns of the answers stand; a width of 0: there is no room for it. */
struct answer_places {
    unsigned calls, calls_width, rate, trend, trend_width, half, most;
};

enum { NAME_WIDTH = 7, CALLS_WIDTH = 13, RATE_WIDTH = 8, HALF_WIDTH = 8, MOST_WIDTH = 9, TREND_WIDTH_MIN = 6 };

static struct answer_places place_answers(unsigned column_count)
{
    enum {
        ALWAYS = NAME_WIDTH + GAP + RATE_WIDTH + GAP + HALF_WIDTH + GAP + MOST_WIDTH,
        WITH_CALLS = ALWAYS + CALLS_WIDTH + GAP
    };
    struct answer_places places = {.calls = NAME_WIDTH + GAP};
    unsigned taken = column_count >= WITH_CALLS + TREND_WIDTH_MIN + GAP ? WITH_CALLS : ALWAYS;

    places.calls_width = taken == WITH_CALLS ? CALLS_WIDTH : 0;
    places.rate = places.calls + (places.calls_width > 0 ? CALLS_WIDTH + GAP : 0);
    places.trend = places.rate + RATE_WIDTH + GAP;
    if (column_count >= taken + TREND_WIDTH_MIN + GAP)
        places.trend_width = column_count - taken - GAP;
    if (places.trend_width > TREND_STEP_COUNT_MAX / 2)
        places.trend_width = TREND_STEP_COUNT_MAX / 2;
    places.half = places.trend + (places.trend_width > 0 ? places.trend_width + GAP : 0);
    places.most = places.half + HALF_WIDTH + GAP;
    return places;
}

/* Eight heights: the lowest is nothing at all, the highest the most that is shown of this origin. */
static const char *height_sign(const struct canvas *canvas, double part)
{
    static const char *const blocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
                                         "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    unsigned height = part <= 0 ? 0 : 1 + (unsigned)(part * 6.999);

    return (canvas->utf8 ? blocks : letters)[height > 7 ? 7 : height];
}

static void draw_trend(struct canvas *canvas, unsigned row, const struct answer_places *places,
                       const struct trend *trend, enum trend_origin origin)
{
    size_t count = trend->step_count < places->trend_width ? trend->step_count : places->trend_width;
    double most = 0;

    for (size_t i = trend->step_count - count; i < trend->step_count; i++)
        most = trend->rates[i][origin] > most ? trend->rates[i][origin] : most;
    for (size_t i = 0; i < count; i++) {
        double rate = trend->rates[trend->step_count - count + i][origin];
        unsigned column = places->trend + places->trend_width - (unsigned)(count - i);

        canvas_put(canvas, row, column, 1, rate > 0 ? CANVAS_TREND : CANVAS_DIM, CANVAS_CUT_END,
                   height_sign(canvas, most > 0 ? rate / most : 0));
    }
}

/* "of the last 10 s", or of all of the daemon's life. */
static void say_span(const struct trend *trend, char out[WORDS_SIZE])
{
    bool since_start;
    uint64_t span_ms = trend_span_ms(trend, &since_start);

    if (since_start)
        snprintf(out, WORDS_SIZE, "since the start");
    else
        snprintf(out, WORDS_SIZE, "of the last %llu s", (unsigned long long)((span_ms + 500) / 1000));
}

static void draw_answer_heads(struct canvas *canvas, unsigned row, const struct answer_places *places,
                              const struct trend *trend)
{
    char span[WORDS_SIZE];

    say_span(trend, span);
    canvas_put(canvas, row, 0, NAME_WIDTH, CANVAS_HEAD, CANVAS_CUT_END, "ANSWERS");
    if (places->calls_width > 0)
        put_number(canvas, row, places->calls, CALLS_WIDTH, CANVAS_HEAD, "CALLS");
    put_number(canvas, row, places->rate, RATE_WIDTH, CANVAS_HEAD, "A SECOND");
    if (places->trend_width >= strlen(span))
        canvas_put(canvas, row, places->trend, places->trend_width, CANVAS_DIM, CANVAS_CUT_END, span);
    put_number(canvas, row, places->half, HALF_WIDTH, CANVAS_HEAD, "MEDIAN");
    put_number(canvas, row, places->most, MOST_WIDTH, CANVAS_HEAD, "99 OF 100");
}

static void put_seconds(struct canvas *canvas, unsigned row, unsigned column, unsigned width, double seconds)
{
    char words[WORDS_SIZE] = "-";

    if (seconds >= 0)
        words_seconds(seconds, canvas->utf8, words);
    put_number(canvas, row, column, width, CANVAS_PLAIN, words);
}

static void draw_origin(struct canvas *canvas, unsigned row, const struct answer_places *places,
                        const struct trend *trend, enum trend_origin origin, const struct trend_figures *figures)
{
    enum canvas_style style = origin == TREND_FAILED && figures->rate > 0 ? CANVAS_BAD : CANVAS_PLAIN;
    char words[WORDS_SIZE];

    canvas_put(canvas, row, 0, NAME_WIDTH, style, CANVAS_CUT_END, trend_origin_name(origin));
    words_count(figures->calls, words);
    if (places->calls_width > 0)
        put_number(canvas, row, places->calls, CALLS_WIDTH, CANVAS_PLAIN, words);
    words_rate(figures->rate, words);
    put_number(canvas, row, places->rate, RATE_WIDTH, style, words);
    draw_trend(canvas, row, places, trend, origin);
    put_seconds(canvas, row, places->half, HALF_WIDTH, figures->half_s);
    put_seconds(canvas, row, places->most, MOST_WIDTH, figures->most_s);
}

/* How many rows draw_answers() takes: the heads, and a row for each origin that there was. */
static unsigned answer_row_count(const struct model *model)
{
    unsigned count = 1;

    for (int origin = 0; origin < TREND_ORIGIN_COUNT; origin++) {
        struct trend_figures figures;

        trend_look(&model->trend, (enum trend_origin)origin, &figures);
        count += figures.calls > 0;
    }
    return count > 1 ? count : 2;
}

static void draw_answers(struct canvas *canvas, unsigned row, const struct model *model)
{
    struct answer_places places = place_answers(canvas->column_count);
    unsigned first = row + 1;

    draw_answer_heads(canvas, row++, &places, &model->trend);
    for (int origin = 0; origin < TREND_ORIGIN_COUNT; origin++) {
        struct trend_figures figures;

        trend_look(&model->trend, (enum trend_origin)origin, &figures);
        if (figures.calls > 0)
            draw_origin(canvas, row++, &places, &model->trend, (enum trend_origin)origin, &figures);
    }
    if (row == first)
        canvas_put(canvas, row, 0, canvas->column_count, CANVAS_DIM, CANVAS_CUT_END, "no calls so far");
}

/* The same in one line, of all origins. */
static void draw_summary(struct canvas *canvas, unsigned row, const struct model *model)
{
    struct pen pen = canvas_pen(canvas, row);
    struct trend_figures figures;
    char words[WORDS_SIZE];

    trend_look(&model->trend, TREND_ORIGIN_COUNT, &figures);
    words_rate(figures.rate, words);
    pen_format(&pen, CANVAS_PLAIN, canvas->column_count < SUMMARY_COLUMNS ? "%s/s" : "%s answers a second", words);
    if (figures.half_s < 0)
        return;
    words_seconds(figures.half_s, canvas->utf8, words);
    pen_whole(&pen, CANVAS_PLAIN, ", median %s", words);
    words_seconds(figures.most_s, canvas->utf8, words);
    pen_whole(&pen, CANVAS_PLAIN, ", 99 of 100 %s", words);
}

/* ---- the lists ---- */

/* "1 Homes 12": how many rows, where there is room for the numbers of all. */
static unsigned draw_tabs_from(struct canvas *canvas, unsigned row, const struct model *model, bool counts, bool draw)
{
    unsigned column = 0;

    for (int i = 0; i < PANEL_COUNT; i++) {
        enum canvas_style style = (int)model->panel == i ? CANVAS_CHOSEN : CANVAS_PLAIN;
        char text[64];

        if (counts)
            snprintf(text, sizeof text, " %d %s %zu%s ", i + 1, listing_panel((enum panel)i)->name,
                     model->lists[i].row_count, model->lists[i].more ? "+" : "");
        else
            snprintf(text, sizeof text, "%d %s ", i + 1, listing_panel((enum panel)i)->name);
        if (draw)
            canvas_put(canvas, row, column, canvas->column_count, style, CANVAS_CUT_END, text);
        column += (unsigned)strlen(text) + counts;
    }
    return column;
}

static void draw_tabs(struct canvas *canvas, unsigned row, const struct model *model)
{
    bool counts = draw_tabs_from(canvas, row, model, true, false) <= canvas->column_count;
    struct pen pen = canvas_pen(canvas, row);
    size_t last = model->offset + model->page;

    pen.column = draw_tabs_from(canvas, row, model, counts, true);
    if (model->shown_count > model->page || model->filter[0] != '\0')
        pen_right(&pen, CANVAS_DIM, "%zu-%zu of %zu", model->shown_count > 0 ? model->offset + 1 : 0,
                  last < model->shown_count ? last : model->shown_count, model->shown_count);
}

/* The columns that have room. */
struct list_places {
    unsigned count;
    unsigned columns[COLUMN_COUNT_MAX], widths[COLUMN_COUNT_MAX];
};

enum { TEXT_WIDTH_MIN = 12 /* of what can be cut */ };

static bool is_elastic(const struct column *column)
{
    return column->kind == VALUE_PATH || column->kind == VALUE_TEXT;
}

/* What a column takes with all of its rows in view; the mark of the sorted one included. */
static unsigned natural_width(const struct canvas *canvas, const struct model *model, const struct column *column)
{
    struct listing_style style = model_style(model);
    unsigned width = (unsigned)strlen(column->head) + 1;
    char words[WORDS_SIZE];

    for (size_t i = 0; i < model->shown_count; i++) {
        unsigned own = canvas_width(canvas, listing_words(column, model->shown[i], &style, words));

        width = own > width ? own : width;
    }
    return width;
}

/* What a column has to have.  A home is what a row is about: a third of the window, almost. */
static unsigned least_width(const struct canvas *canvas, const struct column *column, unsigned natural)
{
    unsigned least = column->kind == VALUE_PATH ? canvas->column_count * 3 / 10 : TEXT_WIDTH_MIN;

    return is_elastic(column) && natural > least ? least : natural;
}

/* The one to do without: the least important, but what sorts stays; the count: there is none. */
static unsigned dispensable(const struct panel_kind *kind, const bool *chosen, unsigned sorted)
{
    unsigned found = kind->column_count;

    for (unsigned i = 0; i < kind->column_count; i++) {
        if (chosen[i] && i != sorted && kind->columns[i].rank > 0 &&
            (found == kind->column_count || kind->columns[i].rank > kind->columns[found].rank))
            found = i;
    }
    return found;
}

/* Leaves out columns until the rest has room at its least; how many screen columns that takes. */
static unsigned choose_columns(const struct canvas *canvas, const struct panel_kind *kind, const unsigned *natural,
                               unsigned sorted, bool *chosen)
{
    unsigned taken = 0, out;

    for (unsigned i = 0; i < kind->column_count; i++) {
        chosen[i] = true;
        taken += least_width(canvas, &kind->columns[i], natural[i]) + (i > 0 ? GAP : 0);
    }
    while (taken > canvas->column_count && (out = dispensable(kind, chosen, sorted)) < kind->column_count) {
        chosen[out] = false;
        taken -= least_width(canvas, &kind->columns[out], natural[out]) + GAP;
    }
    return taken;
}

static void place_columns(const struct canvas *canvas, const struct model *model, struct list_places *places)
{
    const struct panel_kind *kind = listing_panel(model->panel);
    unsigned natural[COLUMN_COUNT_MAX], taken, spare;
    bool chosen[COLUMN_COUNT_MAX];

    for (unsigned i = 0; i < kind->column_count; i++)
        natural[i] = natural_width(canvas, model, &kind->columns[i]);
    taken = choose_columns(canvas, kind, natural, model->lists[model->panel].order.column, chosen);
    spare = canvas->column_count > taken ? canvas->column_count - taken : 0;
    places->count = 0;
    for (unsigned i = 0; i < kind->column_count; i++) {
        unsigned least = least_width(canvas, &kind->columns[i], natural[i]);
        unsigned more = natural[i] - least < spare ? natural[i] - least : spare;

        if (!chosen[i])
            continue;
        spare -= more;
        places->columns[places->count] = i;
        places->widths[places->count++] = least + more;
    }
}

static void put_cell(struct canvas *canvas, unsigned row, unsigned at, unsigned width, const struct column *column,
                     enum canvas_style style, const char *text)
{
    if (listing_is_number(column))
        put_number(canvas, row, at, width, style, text);
    else
        canvas_put(canvas, row, at, width, style, column->kind == VALUE_PATH ? CANVAS_CUT_BEGIN : CANVAS_CUT_END, text);
}

static void draw_list_heads(struct canvas *canvas, unsigned row, const struct model *model,
                            const struct list_places *places)
{
    const struct panel_kind *kind = listing_panel(model->panel);
    const struct listing_order *order = &model->lists[model->panel].order;
    unsigned at = 0;

    for (unsigned i = 0; i < places->count; i++) {
        const struct column *column = &kind->columns[places->columns[i]];
        bool sorts = places->columns[i] == order->column, falls = listing_falls(column) != order->reversed;
        const char *mark = falls ? (canvas->utf8 ? "\xe2\x96\xbc" : "v") : (canvas->utf8 ? "\xe2\x96\xb2" : "^");
        char text[64];

        snprintf(text, sizeof text, "%s%s", column->head, sorts ? mark : "");
        if (listing_is_number(column))
            put_number(canvas, row, at, places->widths[i], sorts ? CANVAS_CHOSEN : CANVAS_HEAD, text);
        else
            canvas_put(canvas, row, at, places->widths[i], sorts ? CANVAS_CHOSEN : CANVAS_HEAD, CANVAS_CUT_END, text);
        at += places->widths[i] + GAP;
    }
}

static void draw_row(struct canvas *canvas, unsigned row, const struct model *model, const struct list_places *places,
                     const void *message)
{
    const struct panel_kind *kind = listing_panel(model->panel);
    struct listing_style style = model_style(model);
    unsigned at = 0;

    for (unsigned i = 0; i < places->count; i++) {
        const struct column *column = &kind->columns[places->columns[i]];
        char words[WORDS_SIZE];

        put_cell(canvas, row, at, places->widths[i], column,
                 listing_is_set(column, message) ? column->style : CANVAS_DIM,
                 listing_words(column, message, &style, words));
        at += places->widths[i] + GAP;
    }
}

/* Why there is nothing. */
static void draw_none(struct canvas *canvas, unsigned row, const struct model *model)
{
    struct pen pen = canvas_pen(canvas, row);

    if (model->lists[model->panel].failure[0] != '\0')
        pen_text(&pen, CANVAS_BAD, model->lists[model->panel].failure);
    else if (model->short_of_memory)
        pen_text(&pen, CANVAS_BAD, "no memory for the list");
    else if (model->lists[model->panel].row_count > 0)
        pen_format(&pen, CANVAS_DIM, "no row has \"%s\"", model->filter);
    else
        pen_text(&pen, CANVAS_DIM, listing_panel(model->panel)->none);
}

static void draw_list(struct canvas *canvas, unsigned row, struct model *model)
{
    struct list_places places;

    place_columns(canvas, model, &places);
    draw_list_heads(canvas, row++, model, &places);
    if (model->shown_count == 0)
        draw_none(canvas, row, model);
    for (size_t i = 0; i < model->page && model->offset + i < model->shown_count; i++)
        draw_row(canvas, row++, model, &places, model->shown[model->offset + i]);
}

/* ---- the last line ---- */

static void draw_keys(struct canvas *canvas, unsigned row, const struct model *model)
{
    static const char *const keys[] = {"q quit",   "h help",    "1-4 lists",  "/ filter",
                                       "< > sort", "r reverse", "space pause"};
    struct pen pen = canvas_pen(canvas, row);

    if (model->filtering || model->filter[0] != '\0')
        pen_format(&pen, CANVAS_BOLD, "/%s", model->filter);
    if (model->filtering) {
        canvas->cursor = pen.column < canvas->column_count;
        canvas->cursor_row = row;
        canvas->cursor_column = pen.column;
        pen.column += pen.column < pen.end;
        pen_whole(&pen, CANVAS_DIM, "  Enter keep  Esc all rows");
        return;
    }
    if (model->filter[0] != '\0')
        pen_whole(&pen, CANVAS_DIM, "  Esc all rows  ");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!pen_whole(&pen, CANVAS_DIM, "%s%s", keys[i], i + 1 < sizeof keys / sizeof keys[0] ? "  " : ""))
            break;
    }
}

/* ---- the whole ---- */

static void draw_help(struct canvas *canvas)
{
    static const struct {
        const char *keys, *meaning;
    } lines[] = {
        {"q  Ctrl-C", "quit"},
        {"1 2 3 4  Tab", "which list is shown"},
        {"<  >", "sort by another column"},
        {"r", "sort the other way round"},
        {"/", "only rows with a text"},
        {"Esc", "all rows again"},
        {"Up  Down", "scroll; PgUp PgDn Home End"},
        {"Space", "pause, and go on"},
        {"Ctrl-L", "draw all anew"},
        {"", ""},
        {"cached", "answered from the daemon's memory"},
        {"joined", "by a probe that was under way"},
        {"warm", "by a worker that had been waiting"},
        {"cold", "by a worker that was started for it"},
        {"stale", "the last good answer, in place of an error"},
        {"failed", "not at all"},
        {"99 of 100", "calls took no longer than this"},
    };
    unsigned count = sizeof lines / sizeof lines[0];

    canvas_put(canvas, 0, 0, canvas->column_count, CANVAS_BOLD, CANVAS_CUT_END, "Keys");
    for (unsigned i = 0; i < count && i + 2 < canvas->row_count; i++) {
        canvas_put(canvas, i + 1, 0, 12, CANVAS_HEAD, CANVAS_CUT_END, lines[i].keys);
        canvas_put(canvas, i + 1, 14, canvas->column_count, CANVAS_PLAIN, CANVAS_CUT_END, lines[i].meaning);
    }
    canvas_put(canvas, canvas->row_count - 1, 0, canvas->column_count, CANVAS_DIM, CANVAS_CUT_END, "any key goes back");
}

static void draw_too_small(struct canvas *canvas)
{
    char text[64];

    snprintf(text, sizeof text, "too small: %d by %d or more", LAYOUT_COLUMNS_MIN, LAYOUT_ROWS_MIN);
    canvas_put(canvas, 0, 0, canvas->column_count, CANVAS_WARN, CANVAS_CUT_END, text);
}

/* The figures above the list; the row behind them.  What does not fit above a list of some rows becomes shorter. */
static unsigned draw_figures(struct canvas *canvas, const struct model *model)
{
    unsigned row = 0, answers = answer_row_count(model), height = canvas->row_count;
    bool calls = height >= CALLS_ROWS_MIN;

    draw_title(canvas, row++, model);
    if (model->lost_ms != 0)
        draw_loss(canvas, row++, model);
    if (model->lost_ms == 0 || calls)
        draw_workers(canvas, row++, model);
    if (calls)
        draw_calls(canvas, row++, model);
    if (height >= row + 1 + answers + 1 + 2 + LIST_ROWS_WISHED + 1) {
        draw_answers(canvas, ++row, model);
        row += answers + 1;
    } else if (height > LAYOUT_ROWS_MIN) {
        draw_summary(canvas, row++, model);
    }
    return row;
}

void layout_draw(struct canvas *canvas, struct model *model)
{
    unsigned row;

    if (canvas->row_count < LAYOUT_ROWS_MIN || canvas->column_count < LAYOUT_COLUMNS_MIN) {
        draw_too_small(canvas);
        return;
    }
    if (model->helping) {
        draw_help(canvas);
        return;
    }
    row = draw_figures(canvas, model);
    if (model->lost_ms != 0) {
        for (unsigned old = 2; old < row; old++)
            canvas_style_row(canvas, old, CANVAS_DIM);
    }
    model_set_page(model, canvas->row_count - row - 3);
    draw_tabs(canvas, row, model);
    draw_list(canvas, row + 1, model);
    draw_keys(canvas, canvas->row_count - 1, model);
}
