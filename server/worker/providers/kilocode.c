/* Kilo Code: credits.  PROVIDERS.md 6.25; the vendor's own client is open source (Kilo-Org/kilocode). */
#include "server/worker/provider.h"

static void kilocode_read(const struct bodies *bodies, struct reading *reading)
{
    struct number balance = number_read_amount(json_object_get(bodies->bodies[0], "balance"));

    reading_add_money(reading, "Credits balance", "Credits", balance, "USD");
    if (balance.known && balance.value <= 0)
        reading_set_exhausted(reading, NULL);
}

const struct provider provider_kilocode = {
    .id = "kilocode",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"KILOCODE_API_KEY"},
    .base_url = "https://api.kilo.ai",
    .path = "/api/profile/balance",
    .authorization = "Authorization: Bearer ",
    .read = kilocode_read,
};
