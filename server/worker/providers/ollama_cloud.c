/* Ollama's cloud: the limits of an account.  PROVIDERS.md 6.18; not documented by the vendor. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

enum { SESSION_S = 18000, WEEK_S = 604800 };

/* A fraction; when it begins anew is not told, and we do not guess. */
static void ollama_read_limit(const json_t *usage, const char *label, int64_t length_s, struct reading *reading)
{
    reading_add_window(reading, &(struct window){.label = label,
                                                 .used_percent = number_percent_of_fraction(number_read(usage)),
                                                 .length_s = length_s});
}

static void ollama_read(const struct bodies *bodies, struct reading *reading)
{
    ollama_read_limit(document_at(bodies->bodies[0], "limits.session.usage"), "Session", SESSION_S, reading);
    ollama_read_limit(document_at(bodies->bodies[0], "limits.weekly.usage"), "Weekly", WEEK_S, reading);
}

const struct provider provider_ollama_cloud = {
    .id = "ollama-cloud",
    .source = "usage_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"OLLAMA_API_KEY"},
    .base_url = "https://ollama.com",
    .path = "/api/usage",
    .authorization = "Authorization: Bearer ",
    .read = ollama_read,
};
