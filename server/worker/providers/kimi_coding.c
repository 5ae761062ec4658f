/* Kimi Code: the limits of a coding plan.  PROVIDERS.md 6.6; the vendor's own client is open source
 * (MoonshotAI/kimi-cli).  Keys of other kinds that go by its name are Moonshot's: moonshot.c. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

#define KIMI_LENGTH_S_MAX 1e9

enum { WEEK_S = 604800 };

extern const struct provider provider_moonshot;

/* 0: unknown. */
static int64_t kimi_length_s(const json_t *window)
{
    static const struct {
        const char *unit;
        double length_s;
    } units[] = {{"TIME_UNIT_SECOND", 1}, {"TIME_UNIT_MINUTE", 60}, {"TIME_UNIT_HOUR", 3600}, {"TIME_UNIT_DAY", 86400}};
    struct number duration = number_read_decimal(json_object_get(window, "duration"));
    const char *unit = document_string(window, "timeUnit");

    for (size_t i = 0; unit != NULL && i < sizeof units / sizeof *units; i++) {
        double length_s = duration.value * units[i].length_s;

        if (strcmp(unit, units[i].unit) == 0)
            return length_s >= 1 && length_s < KIMI_LENGTH_S_MAX ? (int64_t)length_s : 0;
    }
    return 0;
}

/* Numbers are texts; where `used` is missing, `remaining` tells. */
static void kimi_read_limit(const json_t *limit, int64_t length_s, struct reading *reading)
{
    struct number whole = number_read_decimal(json_object_get(limit, "limit"));
    struct number used = number_read_decimal(json_object_get(limit, "used"));
    struct phrase label = wording_length(length_s);

    if (!used.known)
        used = number_minus(whole, number_read_decimal(json_object_get(limit, "remaining")));
    if (!reading_has_window(reading, label.text))
        reading_add_window(reading, &(struct window){.label = label.text,
                                                     .used_percent = number_percent_of(used, whole),
                                                     .reset_at = stamp_read(json_object_get(limit, "resetTime")),
                                                     .detail = wording_used(used, whole).text,
                                                     .length_s = length_s});
}

static void kimi_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *limit;
    size_t at;

    reading_set_plan(reading, wording_plan_behind(document_at(body, "user.membership.level"), "LEVEL_").text);
    kimi_read_limit(json_object_get(body, "usage"), WEEK_S, reading);
    json_array_foreach(json_object_get(body, "limits"), at, limit)
    {
        int64_t length_s = kimi_length_s(json_object_get(limit, "window"));

        if (length_s > 0)
            kimi_read_limit(json_object_get(limit, "detail"), length_s, reading);
    }
}

static const struct provider *kimi_belongs(const struct credential *credential)
{
    bool is_plan =
        credential->kind == CREDENTIAL_SIGN_IN || strncmp(text_string(&credential->secret), "sk-kimi-", 8) == 0;

    return is_plan ? NULL : &provider_moonshot;
}

const struct provider provider_kimi_coding = {
    .id = "kimi-coding",
    .source = "usage_api",
    .title = "Account limits",
    .min_interval_s = 300,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"KIMI_API_KEY", "KIMI_CODING_API_KEY"},
    .sign_ins = {{.foreign = true,
                  .directory = ".kimi-code",
                  .file = "credentials/kimi-code.json",
                  .path = "",
                  .token = "access_token",
                  .expiry = "expires_at"}},
    .belongs = kimi_belongs,
    .base_url = "https://api.kimi.com/coding/v1",
    .base_url_variable = "KIMI_CODE_BASE_URL",
    .own_domains = {"kimi.com"},
    .path = "/usages",
    .authorization = "Authorization: Bearer ",
    .read = kimi_read,
};
