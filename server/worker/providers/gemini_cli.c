/* Gemini CLI (Code Assist): what is left of each model's quota.
 * PROVIDERS.md 6.24; not documented by the vendor, whose client is open source (google-gemini/gemini-cli). */
#include "server/worker/provider.h"

#include <strings.h>

struct gemini_bucket {
    struct label model;
    struct number left; /* a fraction */
    struct stamp reset_at;
};

struct gemini_buckets {
    struct gemini_bucket rows[LIMIT_WINDOW_COUNT_MAX];
    size_t count;
};

/* A model has several buckets: the one with the least left counts. */
static void gemini_take(struct gemini_buckets *buckets, const struct gemini_bucket *bucket)
{
    size_t at = 0;

    while (at < buckets->count && strcasecmp(buckets->rows[at].model.text, bucket->model.text) != 0)
        at++;
    if (at == LIMIT_WINDOW_COUNT_MAX)
        return;
    if (at == buckets->count)
        buckets->count++;
    else if (bucket->left.value >= buckets->rows[at].left.value)
        return;
    buckets->rows[at] = *bucket;
}

static void gemini_read(const struct bodies *bodies, struct reading *reading)
{
    struct gemini_buckets buckets = {.count = 0};
    const json_t *row;
    size_t at;

    json_array_foreach(json_object_get(bodies->bodies[0], "buckets"), at, row)
    {
        struct gemini_bucket bucket = {.model = wording_label(json_object_get(row, "modelId")),
                                       .left = number_read(json_object_get(row, "remainingFraction")),
                                       .reset_at = stamp_read(json_object_get(row, "resetTime"))};

        if (bucket.left.known && bucket.model.text[0] != '\0')
            gemini_take(&buckets, &bucket);
    }
    for (at = 0; at < buckets.count; at++)
        reading_add_window(
            reading, &(struct window){.label = buckets.rows[at].model.text,
                                      .used_percent = number_rest(number_percent_of_fraction(buckets.rows[at].left)),
                                      .reset_at = buckets.rows[at].reset_at,
                                      .scope = WINDOW_MODEL});
}

const struct provider provider_gemini_cli = {
    .id = "gemini-cli",
    .source = "quota_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_SIGN_IN,
    .sign_ins = {{.foreign = true,
                  .directory = ".gemini",
                  .file = "oauth_creds.json",
                  .path = "",
                  .token = "access_token",
                  .expiry = "expiry_date"}},
    .base_url = "https://cloudcode-pa.googleapis.com",
    .path = "/v1internal:retrieveUserQuota",
    .posted = "{}", /* whichever project is the account's own */
    .authorization = "Authorization: Bearer ",
    .headers = {"Content-Type: application/json"},
    .read = gemini_read,
};
