/* Synthetic: the limits of a subscription.  PROVIDERS.md 6.25; https://dev.synthetic.new (quotas). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

enum { ROLLING_S = 18000, WEEK_S = 604800, HOUR_S = 3600 };

static void synthetic_read_rolling(const json_t *rolling, struct reading *reading)
{
    struct number limit = number_read_amount(json_object_get(rolling, "max"));
    struct number used = number_minus(limit, number_read_amount(json_object_get(rolling, "remaining")));

    reading_add_window(reading, &(struct window){.label = "5-hour",
                                                 .used_percent = number_percent_of(used, limit),
                                                 .reset_at = stamp_read(json_object_get(rolling, "nextTickAt")),
                                                 .detail = wording_used(used, limit).text,
                                                 .length_s = ROLLING_S});
    if (document_is_true(rolling, "limited"))
        reading_set_exhausted(reading, NULL);
}

static void synthetic_read_search(const json_t *hourly, struct reading *reading)
{
    struct number limit = number_read_amount(json_object_get(hourly, "limit"));
    struct number used = number_read_amount(json_object_get(hourly, "requests"));

    reading_add_window(reading, &(struct window){.label = "Search hourly",
                                                 .used_percent = number_percent_of(used, limit),
                                                 .reset_at = stamp_read(json_object_get(hourly, "renewsAt")),
                                                 .detail = wording_used(used, limit).text,
                                                 .length_s = HOUR_S});
}

/* All of it stands at the root, or under "data". */
static void synthetic_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *data = json_object_get(bodies->bodies[0], "data");
    const json_t *body = json_is_object(data) ? data : bodies->bodies[0];
    const json_t *weekly = json_object_get(body, "weeklyTokenLimit");

    synthetic_read_rolling(json_object_get(body, "rollingFiveHourLimit"), reading);
    reading_add_window(
        reading, &(struct window){.label = "Weekly",
                                  .used_percent = number_rest(number_read(json_object_get(weekly, "percentRemaining"))),
                                  .reset_at = stamp_read(json_object_get(weekly, "nextRegenAt")),
                                  .length_s = WEEK_S});
    synthetic_read_search(document_at(body, "search.hourly"), reading);
}

const struct provider provider_synthetic = {
    .id = "synthetic",
    .source = "quota_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"SYNTHETIC_API_KEY"},
    .base_url = "https://api.synthetic.new",
    .path = "/v2/quotas",
    .authorization = "Authorization: Bearer ",
    .read = synthetic_read,
};
