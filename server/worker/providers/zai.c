/* Z.ai: the limits of a GLM coding plan.  PROVIDERS.md 6.8; the vendor's own plugin is open source
 * (zai-org/zai-coding-plugins). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

#define ZAI_LENGTH_S_MAX 1e9

enum { CODE_FINE = 200, CODE_UNAUTHORIZED = 401, CODE_AUTH_FIRST = 1000, CODE_AUTH_LAST = 1004 };

static const struct zai_limit {
    const char *type, *label; /* the label is for a length that is not known */
    bool by_length;
} zai_limits[] = {
    {"TOKENS_LIMIT", "Tokens", true}, {"CREDIT_LIMIT", "Credits", true}, {"TIME_LIMIT", "Monthly tools", false}};

/* 0: unknown. */
static int64_t zai_length_s(const json_t *limit)
{
    static const struct {
        double unit, length_s;
    } units[] = {{1, 86400}, {3, 3600}, {5, 60}, {6, 604800}};
    struct number unit = number_read(json_object_get(limit, "unit"));
    struct number number = number_read_amount(json_object_get(limit, "number"));

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double length_s = number.value * units[i].length_s;

        if (unit.known && unit.value == units[i].unit)
            return length_s >= 1 && length_s < ZAI_LENGTH_S_MAX ? (int64_t)length_s : 0;
    }
    return 0;
}

/* `usage` is the limit, `currentValue` the use. */
static void zai_read_limit(const json_t *limit, const struct zai_limit *kind, struct reading *reading)
{
    struct number whole = number_read_amount(json_object_get(limit, "usage"));
    struct number used = number_read_amount(json_object_get(limit, "currentValue"));
    struct number used_percent = number_read(json_object_get(limit, "percentage"));
    int64_t length_s = kind->by_length ? zai_length_s(limit) : 0;

    reading_add_window(
        reading, &(struct window){.label = length_s == 0 ? kind->label : wording_length(length_s).text,
                                  .used_percent = used_percent.known ? used_percent : number_percent_of(used, whole),
                                  .reset_at = stamp_read(json_object_get(limit, "nextResetTime")),
                                  .detail = wording_used(used, whole).text,
                                  .length_s = length_s});
}

static void zai_read_limits(const json_t *data, struct reading *reading)
{
    const json_t *limit;
    size_t at;

    json_array_foreach(json_object_get(data, "limits"), at, limit)
    {
        const char *type = document_string(limit, "type");

        for (size_t i = 0; type != NULL && i < sizeof zai_limits / sizeof *zai_limits; i++) {
            if (strcmp(type, zai_limits[i].type) == 0)
                zai_read_limit(limit, &zai_limits[i], reading);
        }
    }
}

static void zai_read_plan(const json_t *data, struct reading *reading)
{
    static const char *const names[] = {"planName", "plan", "plan_type", "packageName", "level"};

    for (size_t i = 0; i < sizeof names / sizeof *names && reading->plan[0] == '\0'; i++)
        reading_set_plan(reading, wording_plan(json_object_get(data, names[i])).text);
}

static void zai_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *data = json_object_get(body, "data");
    const json_t *code = json_object_get(body, "code");
    struct number number = number_read(code);

    if (document_is_false(body, "success") || (number.known && number.value != CODE_FINE)) {
        bool rejects_key =
            number.value == CODE_UNAUTHORIZED || (number.value >= CODE_AUTH_FIRST && number.value <= CODE_AUTH_LAST);

        reading_set_error(reading, rejects_key ? BODY_REJECTS_KEY : BODY_ERROR, code);
        return;
    }
    zai_read_plan(data, reading);
    zai_read_limits(data, reading);
}

const struct provider provider_zai = {
    .id = "zai",
    .source = "quota_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"GLM_API_KEY", "ZAI_API_KEY", "Z_AI_API_KEY"},
    .base_url = "https://api.z.ai",
    .base_url_variable = "Z_AI_API_HOST",
    .base_path_dropped = true,
    .path = "/api/monitor/usage/quota/limit",
    .authorization = "Authorization: Bearer ",
    .read = zai_read,
};
