/* Grok CLI: the credits of a sign-in with xAI.  PROVIDERS.md 6.20; not documented by the vendor. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

enum { CENTS = 100 };

/* A period of another kind, or none. */
struct grok_period {
    const char *type, *label;
    int64_t length_s; /* 0: unknown; months differ */
};

static const struct grok_period grok_periods[] = {{"USAGE_PERIOD_TYPE_WEEKLY", "Weekly", 604800},
                                                  {"USAGE_PERIOD_TYPE_MONTHLY", "Monthly", 0}};

static struct grok_period grok_find_period(const json_t *period)
{
    const char *type = document_string(period, "type");

    for (size_t i = 0; type != NULL && i < sizeof grok_periods / sizeof *grok_periods; i++) {
        if (strcmp(type, grok_periods[i].type) == 0)
            return grok_periods[i];
    }
    return (struct grok_period){.label = "Credits"};
}

static struct number grok_read_usd(const json_t *config, const char *member)
{
    struct number cents = number_read_amount(json_object_get(json_object_get(config, member), "val"));

    return cents.known ? number_make(cents.value / CENTS) : NUMBER_ABSENT;
}

static void grok_read_money(const json_t *config, struct reading *reading)
{
    struct number cap = grok_read_usd(config, "onDemandCap");
    struct number used = grok_read_usd(config, "onDemandUsed");
    struct number prepaid = grok_read_usd(config, "prepaidBalance");

    if (cap.value > 0 && used.known)
        reading_add_detail(reading, "On-demand: %s of %s", wording_money(used.value, "USD").text,
                           wording_money(cap.value, "USD").text);
    if (prepaid.value > 0)
        reading_add_money(reading, "Prepaid balance", "Prepaid", prepaid, "USD");
}

static void grok_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *config = json_object_get(bodies->bodies[0], "config");
    const json_t *period = json_object_get(config, "currentPeriod");
    struct grok_period kind = grok_find_period(period);
    struct stamp end = stamp_read(json_object_get(period, "end"));

    if (!end.known)
        end = stamp_read(json_object_get(config, "billingPeriodEnd"));
    reading_add_window(reading,
                       &(struct window){.label = kind.label,
                                        .used_percent = number_read(json_object_get(config, "creditUsagePercent")),
                                        .reset_at = end,
                                        .length_s = kind.length_s});
    grok_read_money(config, reading);
}

const struct provider provider_xai_oauth = {
    .id = "xai-oauth",
    .source = "billing_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_SIGN_IN,
    .sign_ins = {{.file = "auth.json", .path = "providers.xai-oauth.tokens", .token = "access_token"},
                 {.foreign = true,
                  .directory_variable = "GROK_HOME",
                  .directory = ".grok",
                  .file = "auth.json",
                  .path = "*",
                  .token = "key",
                  .expiry = "expires_at"}},
    .base_url = "https://cli-chat-proxy.grok.com",
    .path = "/v1/billing?format=credits",
    .authorization = "Authorization: Bearer ",
    .headers = {"x-xai-token-auth: xai-grok-cli"},
    .read = grok_read,
};
