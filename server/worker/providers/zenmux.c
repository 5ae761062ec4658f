/* ZenMux: the pay-as-you-go balance of an account, which a management key may ask for.  PROVIDERS.md 6.25. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

static void zenmux_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *data = json_object_get(body, "data");
    const struct balance_part parts[BALANCE_PART_COUNT] = {
        {"topped up", number_read_amount(json_object_get(data, "top_up_credits"))},
        {"bonus", number_read_amount(json_object_get(data, "bonus_credits"))}};

    if (document_is_false(body, "success")) {
        reading_set_error(reading, BODY_ERROR, NULL);
        return;
    }
    reading_add_total(reading, "Total", number_read_amount(json_object_get(data, "total_credits")),
                      wording_currency(json_object_get(data, "currency")).text, parts);
}

const struct provider provider_zenmux = {
    .id = "zenmux",
    .source = "management_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"ZENMUX_MANAGEMENT_API_KEY"},
    .base_url = "https://zenmux.ai",
    .path = "/api/v1/management/payg/balance",
    .authorization = "Authorization: Bearer ",
    .limit_status = 422,
    .read = zenmux_read,
};
