/* LiteLLM, a proxy that somebody runs: the budget of one of its keys.
 * PROVIDERS.md 6.22; https://docs.litellm.ai (virtual keys, key/info). */
#include "server/worker/provider.h"

#include <string.h>

static void litellm_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *info = json_object_get(bodies->bodies[0], "info");
    struct number spend = number_read_amount(json_object_get(info, "spend"));
    struct number budget = number_read_amount(json_object_get(info, "max_budget"));

    if (budget.known && budget.value > 0)
        reading_add_window(reading, &(struct window){.label = "Key budget",
                                                     .used_percent = number_percent_of(spend, budget),
                                                     .reset_at = stamp_read(json_object_get(info, "budget_reset_at")),
                                                     .detail = wording_used_money(spend, budget, "USD").text});
    else
        reading_add_money(reading, "Key spend", NULL, spend, "USD");
    if (spend.known && budget.known && spend.value >= budget.value)
        reading_set_exhausted(reading, NULL);
}

/* The proxy's own paths are not under the API's version. */
static void litellm_address(const struct target *target, struct text *url)
{
    static const char version[] = "/v1";
    size_t size = strlen(target->base), version_size = sizeof version - 1;

    if (size >= version_size && strcmp(target->base + size - version_size, version) == 0)
        size -= version_size;
    text_add(url, target->base, size);
    text_add_string(url, "/key/info");
}

const struct provider provider_litellm = {
    .id = "litellm",
    .source = "key_info",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"LITELLM_API_KEY"},
    .base_url_variable = "LITELLM_BASE_URL",
    .address = litellm_address,
    .authorization = "Authorization: Bearer ",
    .read = litellm_read,
};
