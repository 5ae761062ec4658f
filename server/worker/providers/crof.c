/* Crof: credits, and the requests of a plan.  PROVIDERS.md 6.25; not documented by the vendor. */
#include "server/worker/provider.h"

#include <stdio.h>

static void crof_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    struct number limit = number_read_amount(json_object_get(body, "requests_plan"));
    struct number left = number_read_amount(json_object_get(body, "usable_requests"));
    char detail[TEXT_SIZE];

    snprintf(detail, sizeof detail, "%s of %s left", wording_count(left.value).text, wording_count(limit.value).text);
    reading_add_window(reading, &(struct window){.label = "Requests",
                                                 .used_percent = number_percent_of(number_minus(limit, left), limit),
                                                 .detail = detail});
    reading_add_money(reading, "Credits balance", "Credits", number_read_amount(json_object_get(body, "credits")),
                      "USD");
}

const struct provider provider_crof = {
    .id = "crof",
    .source = "usage_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"CROF_API_KEY"},
    .base_url = "https://crof.ai",
    .path = "/usage_api/",
    .authorization = "Authorization: Bearer ",
    .read = crof_read,
};
