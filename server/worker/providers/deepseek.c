/* DeepSeek: the balance of an account, in one or two currencies.
 * PROVIDERS.md 6.4; https://api-docs.deepseek.com (get user balance). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

static void deepseek_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *row;
    size_t at;

    json_array_foreach(json_object_get(body, "balance_infos"), at, row)
    {
        const struct balance_part parts[BALANCE_PART_COUNT] = {
            {"granted", number_read_decimal(json_object_get(row, "granted_balance"))},
            {"topped up", number_read_decimal(json_object_get(row, "topped_up_balance"))}};

        reading_add_total(reading, "Total", number_read_decimal(json_object_get(row, "total_balance")),
                          wording_currency(json_object_get(row, "currency")).text, parts);
    }
    if (document_is_false(body, "is_available"))
        reading_set_exhausted(reading, reading_insufficient);
}

const struct provider provider_deepseek = {
    .id = "deepseek",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"DEEPSEEK_API_KEY"},
    .base_url = "https://api.deepseek.com",
    .base_url_variable = "DEEPSEEK_BASE_URL",
    .base_path_dropped = true, /* the balance is not under the API's version */
    .path = "/user/balance",
    .authorization = "Authorization: Bearer ",
    .read = deepseek_read,
};
