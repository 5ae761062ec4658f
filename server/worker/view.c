#include "server/worker/view.h"

#include "server/worker/provider.h"

#include <string.h>

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400, NAME_WIDTH = 16 };

/* ---- an answer ---- */

/* Adds a label and blanks up to so many characters. */
static void view_pad(const char *label, size_t width, struct text *text)
{
    size_t count = 0;

    for (const char *c = label; *c != '\0'; c++)
        count += ((unsigned char)*c & 0xc0) != 0x80 ? 1 : 0;
    text_add_string(text, label);
    for (; count < width; count++)
        text_add_string(text, " ");
}

static size_t view_label_width(const struct reading *reading)
{
    size_t width = 0;

    for (size_t i = 0; i < reading->window_count; i++) {
        size_t size = strlen(reading->windows[i].label); /* bytes: wide enough */

        width = size > width ? size : width;
    }
    return width;
}

/* "resets in 2 h 19 min" */
static void view_add_reset(int64_t s, struct text *text)
{
    if (s <= 0)
        text_add_string(text, "reset due");
    else if (s < HOUR_S)
        text_format(text, "resets in %lld min", (long long)(s / MINUTE_S));
    else if (s < DAY_S)
        text_format(text, "resets in %lld h %lld min", (long long)(s / HOUR_S), (long long)(s % HOUR_S / MINUTE_S));
    else
        text_format(text, "resets in %lld d %lld h", (long long)(s / DAY_S), (long long)(s % DAY_S / HOUR_S));
}

static void view_window(const struct reading_window *window, size_t width, int64_t now_s, struct text *text)
{
    text_add_string(text, "  ");
    view_pad(window->label, width, text);
    text_format(text, "  %5.1f%% used", window->used_percent);
    if (window->detail[0] != '\0')
        text_format(text, ", %s", window->detail);
    if (window->reset_at.known) {
        text_add_string(text, ", ");
        view_add_reset(window->reset_at.s - now_s, text);
        text_format(text, " (%s)", stamp_write(window->reset_at.s).text);
    }
    text_add_string(text, "\n");
}

static void view_reading(const struct reading *reading, int64_t now_s, struct text *text)
{
    size_t width = view_label_width(reading);

    for (size_t i = 0; i < reading->window_count; i++)
        view_window(&reading->windows[i], width, now_s, text);
    for (size_t i = 0; i < reading->detail_count; i++)
        text_format(text, "  %s\n", reading->details[i]);
}

static void view_pool(const struct pool_summary *pool, struct text *text)
{
    static const char *const names[POOL_ROW_STATUS_COUNT] = {
        [POOL_ROW_AVAILABLE] = "available",
        [POOL_ROW_EXHAUSTED] = "exhausted",
        [POOL_ROW_UNAVAILABLE] = "unavailable",
        [POOL_ROW_DEAD] = "dead",
    };

    for (size_t i = 0; pool != NULL && i < pool->row_count; i++) {
        const struct pool_row *row = &pool->rows[i];

        text_format(text, "  %zu. %s: %s", i + 1, row->label, names[row->status]);
        if (row->reading != NULL && row->reading->plan[0] != '\0')
            text_format(text, ", %s", row->reading->plan);
        for (size_t j = 0; row->reading != NULL && j < row->reading->window_count; j++)
            text_format(text, ", %s %.1f%% used", row->reading->windows[j].label,
                        row->reading->windows[j].used_percent);
        text_format(text, "%s%s\n", row->reason[0] == '\0' ? "" : ": ", row->reason);
    }
}

void view_snapshot(const struct snapshot *snapshot, struct text *text)
{
    const struct outcome *outcome = &snapshot->outcome;
    const struct reading *reading = &snapshot->reading;

    text_format(text, "%s  %s: %s%s%s\n", snapshot->provider, snapshot->title, account_status_name(outcome->status),
                reading->plan[0] == '\0' ? "" : ", ", reading->plan);
    if (outcome->reason[0] != '\0')
        text_format(text, "  %s\n", outcome->reason);
    if (outcome->retry_after_s > 0)
        text_format(text, "  It wants to be asked again in %lld s.\n", (long long)outcome->retry_after_s);
    view_reading(reading, snapshot->fetched_at_s, text);
    view_pool(snapshot->pool, text);
    text_format(text, "  (%s%s%s, %s)\n", snapshot->source, snapshot->place == NULL ? "" : " with ",
                snapshot->place == NULL ? "" : snapshot->place, stamp_write(snapshot->fetched_at_s).text);
}

/* ---- the table ---- */

/* " or " between alternatives. */
static void view_add_choice(const char *name, bool *first, struct text *text)
{
    text_format(text, "%s%s", *first ? "" : " or ", name);
    *first = false;
}

static void view_add_sign_in(const struct sign_in *sign_in, bool *first, struct text *text)
{
    struct text path = TEXT_EMPTY;

    if (sign_in->foreign)
        text_format(&path, "~/%s/%s*", sign_in->directory, sign_in->file);
    else
        text_add_string(&path, sign_in->file);
    view_add_choice(text_string(&path), first, text);
    text_fini(&path);
}

static void view_provider(const struct provider *provider, struct text *text)
{
    bool first = true;

    view_pad(provider->id, NAME_WIDTH, text);
    text_format(text, " %4u s  ", provider->min_interval_s);
    for (const char *const *name = provider->variables; *name != NULL; name++)
        view_add_choice(*name, &first, text);
    for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX && provider->sign_ins[i].token != NULL; i++)
        view_add_sign_in(&provider->sign_ins[i], &first, text);
    if (provider->part_variable != NULL)
        text_format(text, ", and %s", provider->part_variable);
    if (provider->base_url == NULL)
        text_format(text, ", and %s", provider->base_url_variable);
    text_add_string(text, "\n");
}

void view_providers(struct text *text)
{
    view_pad("provider", NAME_WIDTH, text);
    text_add_string(text, "  every  what it needs\n");
    for (const struct provider *const *row = providers; *row != NULL; row++)
        view_provider(*row, text);
    text_add_string(text, "\nA key may also lie in the pool of the home's auth.json.  *: another tool's sign-in, read "
                          "with --foreign-credentials yes.\n");
}
