/* Vercel's AI Gateway: the credits of a team.  PROVIDERS.md 6.12; https://vercel.com/docs/ai-gateway. */
#include "server/worker/provider.h"

static void ai_gateway_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    struct number balance = number_read_decimal(json_object_get(body, "balance"));

    reading_add_money(reading, "Credits balance", "Credits", balance, "USD");
    reading_add_money(reading, "Total used", NULL, number_read_decimal(json_object_get(body, "total_used")), "USD");
    if (balance.known && balance.value <= 0)
        reading_set_exhausted(reading, NULL);
}

const struct provider provider_ai_gateway = {
    .id = "ai-gateway",
    .source = "credits_api",
    .title = "Account balance",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"},
    .base_url = "https://ai-gateway.vercel.sh/v1",
    .base_url_variable = "AI_GATEWAY_BASE_URL",
    .path = "/credits",
    .authorization = "Authorization: Bearer ",
    .read = ai_gateway_read,
};
