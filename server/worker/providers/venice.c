/* Venice: a balance in dollars, and a day's allocation of DIEM.  PROVIDERS.md 6.15; https://docs.venice.ai (billing
 * balance). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <stdio.h>

static void venice_read_diem(struct number diem, struct number allocation, struct reading *reading)
{
    char detail[TEXT_SIZE];

    if (!diem.known)
        return;
    snprintf(detail, sizeof detail, "%s of %s DIEM left", wording_count(diem.value).text,
             wording_count(allocation.value).text);
    reading_add_window(reading,
                       &(struct window){.label = "DIEM allocation",
                                        .used_percent = number_percent_of(number_minus(allocation, diem), allocation),
                                        .detail = detail});
    reading_add_detail(reading, "DIEM balance: %s", wording_count(diem.value).text);
    reading_add_balance(reading, "DIEM", diem.value, "DIEM");
}

static void venice_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];

    reading_add_total(reading, "USD", number_read_amount(document_at(body, "balances.usd")), "USD", NULL);
    venice_read_diem(number_read_amount(document_at(body, "balances.diem")),
                     number_read_amount(json_object_get(body, "diemEpochAllocation")), reading);
    if (document_is_false(body, "canConsume"))
        reading_set_exhausted(reading, reading_insufficient);
}

const struct provider provider_venice = {
    .id = "venice",
    .source = "balance_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"VENICE_API_KEY"},
    .base_url = "https://api.venice.ai/api/v1",
    .path = "/billing/balance",
    .authorization = "Authorization: Bearer ",
    .read = venice_read,
};
