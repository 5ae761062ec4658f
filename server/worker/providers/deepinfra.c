/* DeepInfra: what is owed or prepaid, and a spending limit.  PROVIDERS.md 6.25; https://deepinfra.com/docs. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

static void deepinfra_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    struct number owed = number_read_amount(json_object_get(body, "stripe_balance"));
    struct number recent = number_read_amount(json_object_get(body, "recent"));
    struct number limit = number_read_amount(json_object_get(body, "limit"));

    /* What is prepaid is owed the other way round. */
    reading_add_total(reading, "Prepaid", number_minus(number_make(0), owed), "USD", NULL);
    if (limit.known && limit.value > 0)
        reading_add_window(reading, &(struct window){.label = "Spending limit",
                                                     .used_percent = number_percent_of(recent, limit),
                                                     .detail = wording_used_money(recent, limit, "USD").text});
    else
        reading_add_money(reading, "Recent usage", NULL, recent, "USD");
    if (document_is_true(body, "suspended"))
        reading_set_exhausted(reading, "Account suspended by the provider.");
}

const struct provider provider_deepinfra = {
    .id = "deepinfra",
    .source = "billing_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"DEEPINFRA_API_KEY"},
    .base_url = "https://api.deepinfra.com",
    .path = "/payment/checklist?compute_owed=true",
    .authorization = "Authorization: Bearer ",
    .read = deepinfra_read,
};
