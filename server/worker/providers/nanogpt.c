/* NanoGPT: the limits of a subscription.  PROVIDERS.md 6.16; https://docs.nano-gpt.com (subscription usage). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

enum { DAY_S = 86400 };

static void nanogpt_read_period(const json_t *body, const char *member, const char *label, int64_t length_s,
                                struct reading *reading)
{
    const json_t *period = json_object_get(body, member);
    struct number used = number_read_amount(json_object_get(period, "used"));
    struct number limit = number_read_amount(json_object_get(json_object_get(body, "limits"), member));
    struct number fraction = number_read(json_object_get(period, "percentUsed")); /* in spite of its name */

    reading_add_window(reading, &(struct window){.label = label,
                                                 .used_percent = number_percent_of_fraction(fraction),
                                                 .reset_at = stamp_read(json_object_get(period, "resetAt")),
                                                 .detail = wording_used(used, limit).text,
                                                 .length_s = length_s});
}

static void nanogpt_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    struct label state = wording_label(json_object_get(body, "state"));

    nanogpt_read_period(body, "daily", "Daily", DAY_S, reading);
    nanogpt_read_period(body, "monthly", "Monthly", 0, reading); /* months differ */
    if (state.text[0] != '\0')
        reading_add_detail(reading, "Subscription: %s", state.text);
    if (document_is_false(body, "active") && strcmp(state.text, "grace") != 0)
        reading_set_exhausted(reading, NULL);
}

const struct provider provider_nanogpt = {
    .id = "nanogpt",
    .source = "subscription_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"NANOGPT_API_KEY"},
    .base_url = "https://nano-gpt.com",
    .path = "/api/subscription/v1/usage",
    .authorization = "Authorization: Bearer ",
    .read = nanogpt_read,
};
