/* Moonshot, and Kimi in China: the balance of an account.
 * PROVIDERS.md 6.5; https://platform.moonshot.ai/docs and https://platform.moonshot.cn/docs (balance). */
#include "server/worker/provider.h"

#include <string.h>

/* No currency is told: the host is where it is paid. */
static const char *moonshot_currency(const struct base_url *base)
{
    static const char *const china[] = {"moonshot.cn", NULL};

    return base_url_is_within(base, china) ? "CNY" : "USD";
}

static void moonshot_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *data = json_object_get(bodies->bodies[0], "data");
    const json_t *code = json_object_get(bodies->bodies[0], "code");
    struct number available = number_read_amount(json_object_get(data, "available_balance"));
    const struct balance_part parts[BALANCE_PART_COUNT] = {
        {"voucher", number_read_amount(json_object_get(data, "voucher_balance"))},
        {"cash", number_read_amount(json_object_get(data, "cash_balance"))}};

    if (number_read(code).value != 0) {
        reading_set_error(reading, BODY_ERROR, code);
        return;
    }
    reading_add_total(reading, "Available", available, moonshot_currency(bodies->base), parts);
    if (available.known && available.value <= 0)
        reading_set_exhausted(reading, reading_insufficient);
}

/* A key of the coding plan (kimi_coding.c) has no balance. */
static bool moonshot_accepts(const char *secret)
{
    return strncmp(secret, "sk-kimi-", 8) != 0;
}

const struct provider provider_moonshot = {
    .id = "moonshot",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"MOONSHOT_API_KEY", "KIMI_API_KEY"},
    .accepts = moonshot_accepts,
    .base_url = "https://api.moonshot.ai/v1",
    .base_url_variable = "MOONSHOT_BASE_URL",
    .path = "/users/me/balance",
    .authorization = "Authorization: Bearer ",
    .read = moonshot_read,
};

const struct provider provider_kimi_coding_cn = {
    .id = "kimi-coding-cn",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"KIMI_CN_API_KEY"},
    .base_url = "https://api.moonshot.cn/v1",
    .path = "/users/me/balance",
    .authorization = "Authorization: Bearer ",
    .read = moonshot_read,
};
