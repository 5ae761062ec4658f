/* What is known, and what is wanted. */
#include "client/probectl/top/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *model, enum panel panel, bool utf8, uint32_t interval_ms)
{
    *model = (struct model){.panel = panel, .utf8 = utf8, .interval_ms = interval_ms, .page = 1};
    for (int i = 0; i < PANEL_COUNT; i++)
        model->lists[i].order.column = listing_panel((enum panel)i)->sorted;
}

void model_fini(struct model *model)
{
    for (int i = 0; i < PANEL_COUNT; i++) {
        protobuf_c_message_free_unpacked(model->lists[i].answer, NULL);
        free(model->lists[i].rows);
    }
    trend_fini(&model->trend);
    free(model->answers);
    free(model->shown);
}

struct listing_style model_style(const struct model *model)
{
    return (struct listing_style){.utf8 = model->utf8, .now_ms = model->now_ms};
}

/* ---- what is shown ---- */

static void clamp_offset(struct model *model)
{
    size_t most = model->shown_count > model->page ? model->shown_count - model->page : 0;

    if (model->offset > most)
        model->offset = most;
}

static void order_rows(struct model *model)
{
    const struct model_list *list = &model->lists[model->panel];
    struct listing_style style = model_style(model);
    const void **shown = realloc(model->shown, (list->row_count + 1) * sizeof(const void *));

    model->shown_count = 0;
    if (shown == NULL) {
        model->short_of_memory = true;
        return;
    }
    model->shown = shown;
    model->shown_count =
        listing_make(model->panel, list->rows, list->row_count, &list->order, model->filter, &style, shown);
    clamp_offset(model);
}

void model_set_page(struct model *model, size_t page)
{
    model->page = page > 0 ? page : 1;
    clamp_offset(model);
}

/* ---- samples ---- */

/* Gives the list so many rows, to be filled in; NULL: no memory, it has none. */
static const void **make_rows(struct model *model, struct model_list *list, size_t row_count)
{
    const void **rows = realloc(list->rows, (row_count + 1) * sizeof(const void *));

    list->row_count = 0;
    if (rows == NULL) {
        model->short_of_memory = true;
        return NULL;
    }
    list->rows = rows;
    list->row_count = row_count;
    return rows;
}

/* The messages of a repeated field are the rows. */
static void fill_rows(struct model *model, struct model_list *list, void *messages, size_t count)
{
    const void **rows = make_rows(model, list, count);

    if (rows != NULL && count > 0)
        memcpy(rows, messages, count * sizeof(const void *));
}

static void take_list(struct model *model, enum panel panel, struct sample *sample, enum sample_part part)
{
    struct model_list *list = &model->lists[panel];

    protobuf_c_message_free_unpacked(list->answer, NULL);
    list->answer = sample->answers[part];
    sample->answers[part] = NULL;
    list->row_count = 0;
    list->more = false;
    list->failure[0] = '\0';
    if (list->answer == NULL) {
        snprintf(list->failure, sizeof list->failure, "%s", sample->outcomes[part].message);
    } else if (part == SAMPLE_HOMES) {
        Probed__V1__ListHomesResponse *homes = (Probed__V1__ListHomesResponse *)list->answer;

        fill_rows(model, list, homes->homes, homes->n_homes);
        list->more = homes->more;
    } else if (part == SAMPLE_WORKERS) {
        Probed__V1__ListWorkersResponse *workers = (Probed__V1__ListWorkersResponse *)list->answer;

        fill_rows(model, list, workers->workers, workers->n_workers);
    } else {
        Probed__V1__ListEventsResponse *events = (Probed__V1__ListEventsResponse *)list->answer;

        fill_rows(model, list, events->events, events->n_events);
    }
}

static void name_answer(struct answer_row *answer, const Probed__V1__CallTimes *kind)
{
    if (answer->origin == TREND_FAILED && strcmp(kind->origin, "none") == 0)
        snprintf(answer->name, sizeof answer->name, "failed: %s", kind->status);
    else
        snprintf(answer->name, sizeof answer->name, "%s", kind->origin);
}

static void fill_answers(struct model *model)
{
    struct model_list *list = &model->lists[PANEL_ANSWERS];
    const Probed__V1__GetStatusResponse *look = trend_now(&model->trend);
    struct answer_row *answers = realloc(model->answers, (look->n_times + 1) * sizeof *answers);
    const void **rows;

    list->row_count = 0;
    if (answers == NULL) {
        model->short_of_memory = true;
        return;
    }
    model->answers = answers;
    rows = make_rows(model, list, look->n_times);
    for (size_t i = 0; rows != NULL && i < look->n_times; i++) {
        answers[i].origin = trend_origin_of(look->times[i]);
        name_answer(&answers[i], look->times[i]);
        trend_look_kind(&model->trend, look->times[i], &answers[i].figures);
        rows[i] = &answers[i];
    }
}

static void lose(struct model *model, const struct probed_status *outcome)
{
    if (model->lost_ms == 0)
        model->lost_ms = model->now_ms;
    snprintf(model->lost_reason, sizeof model->lost_reason, "%s", outcome->message);
}

void model_take(struct model *model, struct sample *sample, int64_t now_ms)
{
    if (model->paused)
        return;
    model->now_ms = now_ms;
    if (sample->answers[SAMPLE_STATUS] == NULL) {
        lose(model, &sample->outcomes[SAMPLE_STATUS]);
        return;
    }
    model->lost_ms = 0;
    model->seen_ms = now_ms;
    model->short_of_memory = false;
    trend_add(&model->trend, (Probed__V1__GetStatusResponse *)sample->answers[SAMPLE_STATUS]);
    sample->answers[SAMPLE_STATUS] = NULL;
    take_list(model, PANEL_HOMES, sample, SAMPLE_HOMES);
    take_list(model, PANEL_WORKERS, sample, SAMPLE_WORKERS);
    take_list(model, PANEL_CHANGES, sample, SAMPLE_EVENTS);
    fill_answers(model);
    order_rows(model);
}

/* ---- keys ---- */

static void choose_panel(struct model *model, int panel)
{
    model->panel = (enum panel)((panel + PANEL_COUNT) % PANEL_COUNT);
    model->offset = 0;
    order_rows(model);
}

/* By the column so much further on; its own way. */
static void choose_column(struct model *model, unsigned further)
{
    struct listing_order *order = &model->lists[model->panel].order;

    order->column = (order->column + further) % listing_panel(model->panel)->column_count;
    order->reversed = false;
    model->offset = 0;
    order_rows(model);
}

/* By so many rows; the end is seen to by clamp_offset(). */
static void scroll(struct model *model, bool up, size_t count)
{
    if (up)
        model->offset = model->offset > count ? model->offset - count : 0;
    else
        model->offset += count;
    clamp_offset(model);
}

static bool press_scroll(struct model *model, int key)
{
    size_t page = model->page > 1 ? model->page - 1 : 1; /* one row stays, for the eye */

    switch (key) {
    case MODEL_KEY_UP:
    case 'k':
        scroll(model, true, 1);
        return true;
    case MODEL_KEY_DOWN:
    case 'j':
        scroll(model, false, 1);
        return true;
    case MODEL_KEY_PAGE_UP:
        scroll(model, true, page);
        return true;
    case MODEL_KEY_PAGE_DOWN:
        scroll(model, false, page);
        return true;
    case MODEL_KEY_HOME:
    case 'g':
        model->offset = 0;
        return true;
    case MODEL_KEY_END:
    case 'G':
        scroll(model, false, model->shown_count);
        return true;
    default:
        return false;
    }
}

static void change_filter(struct model *model, size_t size)
{
    model->filter[size] = '\0';
    model->offset = 0;
    order_rows(model);
}

/* Adds a character as UTF-8; what has no room any more is not taken. */
static void type(struct model *model, unsigned character)
{
    size_t size = strlen(model->filter);
    char *at = model->filter + size;

    if (size + 4 >= MODEL_FILTER_SIZE)
        return;
    if (character < 0x80) {
        *at++ = (char)character;
    } else if (character < 0x800) {
        *at++ = (char)(0xc0 | character >> 6);
        *at++ = (char)(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        *at++ = (char)(0xe0 | character >> 12);
        *at++ = (char)(0x80 | (character >> 6 & 0x3f));
        *at++ = (char)(0x80 | (character & 0x3f));
    } else {
        *at++ = (char)(0xf0 | character >> 18);
        *at++ = (char)(0x80 | (character >> 12 & 0x3f));
        *at++ = (char)(0x80 | (character >> 6 & 0x3f));
        *at++ = (char)(0x80 | (character & 0x3f));
    }
    change_filter(model, (size_t)(at - model->filter));
}

static void erase_character(struct model *model)
{
    size_t size = strlen(model->filter);

    if (size == 0) {
        model->filtering = false;
        return;
    }
    do
        size--;
    while (size > 0 && ((unsigned char)model->filter[size] & 0xc0) == 0x80);
    change_filter(model, size);
}

static void press_filter(struct model *model, int key)
{
    if (key == MODEL_KEY_ENTER) {
        model->filtering = false;
    } else if (key == MODEL_KEY_ESCAPE) {
        model->filtering = false;
        change_filter(model, 0);
    } else if (key == MODEL_KEY_BACKSPACE) {
        erase_character(model);
    } else if (key == MODEL_KEY_ERASE) {
        change_filter(model, 0);
    } else if (key >= 0x20 && key != 0x7f && key < 0x110000) {
        type(model, (unsigned)key);
    } else {
        press_scroll(model, key);
    }
}

/* Whether the key was one that chooses what is listed. */
static bool press_choice(struct model *model, int key)
{
    unsigned column_count = listing_panel(model->panel)->column_count;

    if (key >= '1' && key < '1' + PANEL_COUNT)
        choose_panel(model, key - '1');
    else if (key == MODEL_KEY_TAB)
        choose_panel(model, (int)model->panel + 1);
    else if (key == MODEL_KEY_TAB_BACK)
        choose_panel(model, (int)model->panel - 1);
    else if (key == '<' || key == ',' || key == MODEL_KEY_LEFT)
        choose_column(model, column_count - 1);
    else if (key == '>' || key == '.' || key == MODEL_KEY_RIGHT)
        choose_column(model, 1);
    else
        return press_scroll(model, key);
    return true;
}

/* Of the keys that switch something on or off. */
static bool press_switch(struct model *model, int key)
{
    struct listing_order *order = &model->lists[model->panel].order;

    switch (key) {
    case 'r':
        order->reversed = !order->reversed;
        order_rows(model);
        return false;
    case ' ':
        model->paused = !model->paused;
        return !model->paused;
    case '/':
        model->filtering = true;
        return false;
    case MODEL_KEY_ESCAPE:
        change_filter(model, 0);
        return false;
    case 'h':
    case '?':
        model->helping = true;
        return false;
    case 'q':
        model->over = true;
        return false;
    default:
        return false;
    }
}

bool model_press(struct model *model, int key)
{
    if (model->helping) { /* any key ends it, and does nothing else: q, too, which is how one gets rid of a page */
        model->helping = false;
        return false;
    }
    if (model->filtering) {
        press_filter(model, key);
        return false;
    }
    return !press_choice(model, key) && press_switch(model, key);
}
