/* MiniMax, and MiniMax in China: the limits of a token or coding plan.
 * PROVIDERS.md 6.9; https://platform.minimax.io (token plan FAQ), its fields partly from those who use it. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

enum { WEEK_S = 604800, STATUS_NOT_LIMITED = 3, CODE_NOT_LOGGED_IN = 1004, CODE_BAD_KEY = 2049 };

/* The members of a row that tell one of its windows. */
struct minimax_window {
    const char *left_percent, *total, *count, *status, *start, *end;
    bool is_weekly;
};

static const struct minimax_window minimax_windows[] = {
    {"current_interval_remaining_percent", "current_interval_total_count", "current_interval_usage_count",
     "current_interval_status", "start_time", "end_time", false},
    {"current_weekly_remaining_percent", "current_weekly_total_count", "current_weekly_usage_count",
     "current_weekly_status", "weekly_start_time", "weekly_end_time", true},
};

/* 0: unknown. */
static int64_t minimax_length_s(const json_t *row, const struct minimax_window *window)
{
    struct stamp start = stamp_read(json_object_get(row, window->start));
    struct stamp end = stamp_read(json_object_get(row, window->end));

    if (window->is_weekly)
        return WEEK_S;
    return start.known && end.known && end.s > start.s ? end.s - start.s : 0;
}

static void minimax_read_window(const json_t *row, const struct minimax_window *window, bool counts_tell,
                                struct reading *reading)
{
    struct number total = number_read_amount(json_object_get(row, window->total));
    struct number used = number_minus(total, number_read_amount(json_object_get(row, window->count)));
    struct number used_percent = number_rest(number_read(json_object_get(row, window->left_percent)));
    struct label model = wording_label(json_object_get(row, "model_name"));
    bool is_account = strcmp(model.text, "general") == 0;
    int64_t length_s = minimax_length_s(row, window);
    struct phrase kind = length_s == 0 ? (struct phrase){"Interval"} : wording_length(length_s);
    bool by_count = !used_percent.known && counts_tell;

    if (number_read(json_object_get(row, window->status)).value == STATUS_NOT_LIMITED || model.text[0] == '\0')
        return;
    reading_add_window(reading,
                       &(struct window){.label = is_account ? kind.text : wording_scoped(model.text, kind).text,
                                        .used_percent = by_count ? number_percent_of(used, total) : used_percent,
                                        .reset_at = stamp_read(json_object_get(row, window->end)),
                                        .detail = by_count ? wording_used(used, total).text : NULL,
                                        .scope = is_account ? WINDOW_ACCOUNT : WINDOW_MODEL,
                                        .length_s = length_s});
}

/* The older endpoint's "usage_count" is what remains; what the newer one means by it is not agreed on. */
static void minimax_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *row;
    const json_t *code = document_at(body, "base_resp.status_code");
    struct number number = number_read(code);
    size_t at;

    if (number.known && number.value != 0) {
        bool rejects_key = number.value == CODE_NOT_LOGGED_IN || number.value == CODE_BAD_KEY;

        reading_set_error(reading, rejects_key ? BODY_REJECTS_KEY : BODY_ERROR, code);
        return;
    }
    reading_set_plan(reading, wording_plan(json_object_get(body, "current_subscribe_title")).text);
    json_array_foreach(json_object_get(body, "model_remains"), at, row)
    {
        for (size_t i = 0; i < sizeof minimax_windows / sizeof *minimax_windows; i++)
            minimax_read_window(row, &minimax_windows[i], bodies->is_otherwise, reading);
    }
}

#define MINIMAX_ROW(row_id, variable, base)                                                                            \
    .id = (row_id), .source = "remains_api", .title = "Account limits", .min_interval_s = 60, .timeout_ms = 10000,     \
    .kind = CREDENTIAL_API_KEY, .variables = {(variable)}, .base_url = (base), .path = "/v1/token_plan/remains",       \
    .path_otherwise = "/v1/api/openplatform/coding_plan/remains", .authorization = "Authorization: Bearer ",           \
    .read = minimax_read

const struct provider provider_minimax = {MINIMAX_ROW("minimax", "MINIMAX_API_KEY", "https://api.minimax.io")};
const struct provider provider_minimax_cn = {
    MINIMAX_ROW("minimax-cn", "MINIMAX_CN_API_KEY", "https://api.minimaxi.com")};
