/* Poe: points.  PROVIDERS.md 6.25. */
#include "server/worker/provider.h"

static void poe_read(const struct bodies *bodies, struct reading *reading)
{
    struct number points = number_read_amount(json_object_get(bodies->bodies[0], "current_point_balance"));

    if (!points.known)
        return;
    reading_add_detail(reading, "Points balance: %s", wording_count(points.value).text);
    reading_add_balance(reading, "Points", points.value, "points");
}

const struct provider provider_poe = {
    .id = "poe",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"POE_API_KEY"},
    .base_url = "https://api.poe.com",
    .path = "/usage/current_balance",
    .authorization = "Authorization: Bearer ",
    .read = poe_read,
};
