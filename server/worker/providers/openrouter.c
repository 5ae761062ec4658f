/* OpenRouter: what a key has spent of its limit, and, for a management key, the account's credits.
 * PROVIDERS.md 6.1; https://openrouter.ai/docs ("get current key", "get credits"). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Limits begin anew at 00:00 UTC. */
static struct stamp openrouter_reset(const char *interval, int64_t now_s)
{
    static const struct {
        const char *interval;
        int64_t (*next)(int64_t now_s);
    } resets[] = {{"daily", stamp_next_day}, {"weekly", stamp_next_week}, {"monthly", stamp_next_month}};

    for (size_t i = 0; interval != NULL && i < sizeof resets / sizeof *resets; i++) {
        if (strcmp(interval, resets[i].interval) == 0)
            return stamp_make(resets[i].next(now_s));
    }
    return STAMP_ABSENT;
}

static void openrouter_read_limit(const json_t *data, int64_t now_s, struct reading *reading)
{
    struct number limit = number_read_amount(json_object_get(data, "limit"));
    struct number remaining = number_read_amount(json_object_get(data, "limit_remaining"));
    const char *interval = document_string(data, "limit_reset");
    struct stamp reset_at = openrouter_reset(interval, now_s);
    char detail[TEXT_SIZE];

    if (!remaining.known)
        return;
    reading->exhausted = reading->exhausted || remaining.value <= 0;
    if (!limit.known || limit.value <= 0)
        return;
    snprintf(detail, sizeof detail, "%s of %s remaining%s%s", wording_money(fmax(remaining.value, 0), "USD").text,
             wording_money(limit.value, "USD").text, reset_at.known ? WORDING_SEPARATOR "resets " : "",
             reset_at.known ? interval : "");
    reading_add_window(
        reading, &(struct window){.label = "API key quota",
                                  .used_percent = number_percent_of(number_make(limit.value - remaining.value), limit),
                                  .reset_at = reset_at,
                                  .detail = detail});
}

static void openrouter_read_usage(const json_t *data, struct reading *reading)
{
    static const struct {
        const char *member, *when;
    } periods[] = {{"usage_daily", "today"}, {"usage_weekly", "this week"}, {"usage_monthly", "this month"}};
    struct number usage = number_read_amount(json_object_get(data, "usage"));
    char detail[TEXT_SIZE];
    size_t size;

    if (!usage.known)
        return;
    size = (size_t)snprintf(detail, sizeof detail, "API key usage: %s total", wording_money(usage.value, "USD").text);
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        struct number part = number_read_amount(json_object_get(data, periods[i].member));

        if (part.known && part.value > 0)
            size += (size_t)snprintf(detail + size, sizeof detail - size, WORDING_SEPARATOR "%s %s",
                                     wording_money(part.value, "USD").text, periods[i].when);
    }
    reading_add_detail(reading, "%s", detail);
}

static void openrouter_read_credits(const json_t *data, struct reading *reading)
{
    struct number total = number_read_amount(json_object_get(data, "total_credits"));
    struct number usage = number_read_amount(json_object_get(data, "total_usage"));
    double balance = fmax(total.value - usage.value, 0);

    if (!total.known || !usage.known)
        return;
    reading->source = "credits_api";
    reading->exhausted = reading->exhausted || balance <= 0;
    reading_add_detail(reading, "Credits balance: %s", wording_money(balance, "USD").text);
    reading_add_balance(reading, "Credits", balance, "USD");
}

static void openrouter_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *data = json_object_get(bodies->bodies[0], "data");

    if (document_is_true(data, "is_free_tier"))
        reading_set_plan(reading, "Free tier");
    openrouter_read_limit(data, bodies->now_s, reading);
    if (bodies->count > 1)
        openrouter_read_credits(json_object_get(bodies->bodies[1], "data"), reading);
    openrouter_read_usage(data, reading);
}

/* With an ordinary key /credits is refused, or says zero. */
static bool openrouter_further(const struct bodies *bodies, struct text *path)
{
    const json_t *data = json_object_get(bodies->bodies[0], "data");

    text_add_string(path, "/credits");
    return bodies->count == 1 &&
           (document_is_true(data, "is_management_key") || document_is_true(data, "is_provisioning_key"));
}

const struct provider provider_openrouter = {
    .id = "openrouter",
    .source = "key_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"OPENROUTER_API_KEY"},
    .base_url = "https://openrouter.ai/api/v1",
    .base_url_variable = "OPENROUTER_BASE_URL",
    .path = "/key",
    .authorization = "Authorization: Bearer ",
    .further = openrouter_further,
    .read = openrouter_read,
};
