/* OpenCode Go: the limits of a plan.  PROVIDERS.md 6.17; its service is open source (anomalyco/opencode). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

/* The months of a plan differ in length. */
static const struct {
    const char *member, *label;
    int64_t length_s;
} opencode_windows[] = {{"rolling", "5-hour", 18000}, {"weekly", "Weekly", 604800}, {"monthly", "Monthly", 0}};

static void opencode_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *usage = json_object_get(bodies->bodies[0], "usage");

    for (size_t i = 0; i < sizeof opencode_windows / sizeof *opencode_windows; i++) {
        const json_t *window = json_object_get(usage, opencode_windows[i].member);
        const char *status = document_string(window, "status");
        bool is_reached = status != NULL && strcmp(status, "rate-limited") == 0;
        struct number percent = number_read(json_object_get(window, "percent"));

        reading_add_window(reading, &(struct window){.label = opencode_windows[i].label,
                                                     .used_percent = is_reached ? number_make(100) : percent,
                                                     .reset_at = stamp_read(json_object_get(window, "resetsAt")),
                                                     .detail = is_reached ? "Limit reached" : NULL,
                                                     .length_s = opencode_windows[i].length_s});
        if (is_reached)
            reading_set_exhausted(reading, NULL);
    }
}

const struct provider provider_opencode_go = {
    .id = "opencode-go",
    .source = "usage_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_API_KEY,
    .variables = {"OPENCODE_GO_API_KEY", "OPENCODE_API_KEY"},
    .base_url = "https://opencode.ai/zen/go/v1",
    .path = "/usage",
    .authorization = "Authorization: Bearer ",
    .read = opencode_read,
};
