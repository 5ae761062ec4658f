/* Neuralwatt: credits, the energy of a subscription, the allowance of a key.
 * PROVIDERS.md 6.10; https://portal.neuralwatt.com (quota).  It lets a customer ask once a second. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void neuralwatt_read_subscription(const json_t *subscription, struct reading *reading)
{
    struct number used = number_read_amount(json_object_get(subscription, "kwh_used"));
    struct number limit = number_read_amount(json_object_get(subscription, "kwh_included"));
    char detail[TEXT_SIZE];

    snprintf(detail, sizeof detail, "%s of %s kWh used", wording_count(used.value).text,
             wording_count(limit.value).text);
    reading_set_plan(reading, wording_plan(json_object_get(subscription, "plan")).text);
    reading_add_window(reading,
                       &(struct window){.label = "Subscription energy",
                                        .used_percent = number_percent_of(used, limit),
                                        .reset_at = stamp_read(json_object_get(subscription, "current_period_end")),
                                        .detail = detail});
}

static void neuralwatt_read_allowance(const json_t *allowance, struct reading *reading)
{
    struct number limit = number_read_amount(json_object_get(allowance, "limit_usd"));
    struct number left = number_read_amount(json_object_get(allowance, "remaining_usd"));
    struct label period = wording_label(json_object_get(allowance, "period"));
    char detail[TEXT_SIZE];

    snprintf(detail, sizeof detail, "%s of %s remaining%s%s", wording_money(fmax(left.value, 0), "USD").text,
             wording_money(limit.value, "USD").text, period.text[0] == '\0' ? "" : WORDING_SEPARATOR "resets ",
             period.text);
    reading_add_window(reading, &(struct window){.label = "API key allowance",
                                                 .used_percent = number_percent_of(number_minus(limit, left), limit),
                                                 .detail = detail});
    if (document_is_true(allowance, "blocked"))
        reading_set_exhausted(reading, NULL);
}

static void neuralwatt_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *subscription = json_object_get(body, "subscription");
    struct number month = number_read_amount(document_at(body, "usage.current_month.cost_usd"));

    neuralwatt_read_subscription(subscription, reading);
    neuralwatt_read_allowance(document_at(body, "key.allowance"), reading);
    reading_add_money(reading, "Credits balance", "Credits",
                      number_read_amount(document_at(body, "balance.credits_remaining_usd")), "USD");
    if (month.value > 0)
        reading_add_money(reading, "This month", NULL, month, "USD");
    if (document_is_true(subscription, "in_overage"))
        reading_add_detail(reading, "Subscription in overage");
}

static void neuralwatt_address(const struct target *target, struct text *url)
{
    static const char version[] = "/v1";
    size_t size = strlen(target->base), version_size = sizeof version - 1;
    bool has_version = size >= version_size && strcmp(target->base + size - version_size, version) == 0;

    text_format(url, "%s%s/quota", target->base, has_version ? "" : version);
}

const struct provider provider_neuralwatt = {
    .id = "neuralwatt",
    .source = "quota_api",
    .title = "Account balance",
    .min_interval_s = 1,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"NEURALWATT_API_KEY"},
    .base_url = "https://api.neuralwatt.com/v1",
    .base_url_variable = "NEURALWATT_BASE_URL",
    .address = neuralwatt_address,
    .authorization = "Authorization: Bearer ",
    .read = neuralwatt_read,
};
