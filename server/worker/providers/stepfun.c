/* StepFun: the balance of an account.  PROVIDERS.md 6.25; https://platform.stepfun.com (accounts). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

static void stepfun_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    const char *type = document_string(body, "type");
    struct number balance = number_read_amount(json_object_get(body, "balance"));
    const struct balance_part parts[BALANCE_PART_COUNT] = {
        {"cash", number_read_amount(json_object_get(body, "total_cash_balance"))},
        {"voucher", number_read_amount(json_object_get(body, "total_voucher_balance"))}};

    reading_add_total(reading, "Total", balance, "CNY", parts);
    if (balance.known && balance.value <= 0 && (type == NULL || strcmp(type, "postpaid") != 0))
        reading_set_exhausted(reading, NULL);
}

const struct provider provider_stepfun = {
    .id = "stepfun",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"STEPFUN_API_KEY"},
    .base_url = "https://api.stepfun.com",
    .path = "/v1/accounts",
    .authorization = "Authorization: Bearer ",
    .read = stepfun_read,
};
