/* ElevenLabs: the characters of a subscription.  PROVIDERS.md 6.11; https://elevenlabs.io/docs (get user subscription).
 */
#include "server/worker/provider.h"

#include <string.h>

/* Whatever is not as it should be. */
static void elevenlabs_read_status(const json_t *body, struct reading *reading)
{
    static const char *const usual[] = {"", "active", "trialing", "free", "free_disabled"};
    struct label status = wording_label(json_object_get(body, "status"));

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (strcmp(status.text, usual[i]) == 0)
            return;
    }
    for (char *c = status.text; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : *c;
    reading_add_detail(reading, "Subscription status: %s", status.text);
}

static void elevenlabs_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    struct number used = number_read_amount(json_object_get(body, "character_count"));
    struct number limit = number_read_amount(json_object_get(body, "character_limit"));
    struct number voices = number_read_amount(json_object_get(body, "voice_slots_used"));
    struct number voices_max = number_read_amount(json_object_get(body, "voice_limit"));

    reading_set_plan(reading, wording_plan(json_object_get(body, "tier")).text);
    reading_add_window(
        reading, &(struct window){.label = "Characters",
                                  .used_percent = number_percent_of(used, limit),
                                  .reset_at = stamp_read(json_object_get(body, "next_character_count_reset_unix")),
                                  .detail = wording_used(used, limit).text});
    if (voices.known && voices_max.known)
        reading_add_detail(reading, "Voices: %s of %s", wording_count(voices.value).text,
                           wording_count(voices_max.value).text);
    elevenlabs_read_status(body, reading);
}

const struct provider provider_elevenlabs = {
    .id = "elevenlabs",
    .source = "subscription_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"ELEVENLABS_API_KEY", "XI_API_KEY"},
    .base_url = "https://api.elevenlabs.io",
    .base_url_variable = "ELEVENLABS_API_URL",
    .path = "/v1/user/subscription",
    .authorization = "xi-api-key: ",
    .http_1_only = true,
    .read = elevenlabs_read,
};
