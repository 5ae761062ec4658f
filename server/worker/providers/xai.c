/* xAI's management API: the prepaid balance of a team, which an inference key may not ask for.
 * PROVIDERS.md 6.19; https://docs.x.ai (management API, billing). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

enum { CENTS = 100 };

/* Cents; what is prepaid is owed the other way round. */
static void xai_read(const struct bodies *bodies, struct reading *reading)
{
    struct number owed = number_read_decimal(document_at(bodies->bodies[0], "total.val"));
    struct number prepaid = owed.known ? number_make(0 - owed.value / CENTS) : NUMBER_ABSENT;

    reading_add_money(reading, "Prepaid balance", "Prepaid", prepaid, "USD");
    if (prepaid.known && prepaid.value <= 0)
        reading_set_exhausted(reading, NULL);
}

static void xai_address(const struct target *target, struct text *url)
{
    text_format(url, "%s/v1/billing/teams/%s/prepaid/balance", target->base, target->part);
}

const struct provider provider_xai = {
    .id = "xai",
    .source = "management_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"XAI_MANAGEMENT_API_KEY"},
    .useless_variable = "XAI_API_KEY",
    .base_url = "https://management-api.x.ai",
    .part_variable = "XAI_TEAM_ID",
    .address = xai_address,
    .authorization = "Authorization: Bearer ",
    .read = xai_read,
};
