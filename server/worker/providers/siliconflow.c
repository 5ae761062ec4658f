/* SiliconFlow: the balance of an account.  PROVIDERS.md 6.13; https://docs.siliconflow.com (user info).  The body also
 * says whose account it is: that is left there. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

enum { CODE_FINE = 20000 };

static void siliconflow_read(const struct bodies *bodies, struct reading *reading)
{
    static const char *const abroad[] = {"siliconflow.com", NULL};
    const json_t *body = bodies->bodies[0], *data = json_object_get(body, "data");
    struct number code = number_read(json_object_get(body, "code"));
    struct number total = number_read_decimal(json_object_get(data, "totalBalance"));
    const struct balance_part parts[BALANCE_PART_COUNT] = {
        {"granted", number_read_decimal(json_object_get(data, "balance"))},
        {"topped up", number_read_decimal(json_object_get(data, "chargeBalance"))}};

    if (document_is_false(body, "status") || (code.known && code.value != CODE_FINE)) {
        reading_set_error(reading, BODY_ERROR, json_object_get(body, "code"));
        return;
    }
    reading_add_total(reading, "Total", total, base_url_is_within(bodies->base, abroad) ? "USD" : "CNY", parts);
    if (total.known && total.value <= 0)
        reading_set_exhausted(reading, NULL);
}

const struct provider provider_siliconflow = {
    .id = "siliconflow",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"SILICONFLOW_API_KEY"},
    .base_url = "https://api.siliconflow.cn/v1",
    .base_url_variable = "SILICONFLOW_BASE_URL",
    .path = "/user/info",
    .authorization = "Authorization: Bearer ",
    .read = siliconflow_read,
};
