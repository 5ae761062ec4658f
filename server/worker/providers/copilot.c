/* GitHub Copilot: what is left of a seat's quotas.  PROVIDERS.md 6.7; not documented by the vendor, whose own editor
 * is open source (microsoft/vscode). */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <stdio.h>
#include <string.h>

/* By their members, in the order in which they are shown. */
static const struct {
    const char *member, *label;
} copilot_quotas[] = {{"premium_interactions", "Premium requests"}, {"chat", "Chat"}, {"completions", "Completions"}};

/* The moment at which all quotas begin anew, by the newest of its names. */
static struct stamp copilot_reset(const json_t *body)
{
    static const char *const names[] = {"quota_reset_date_utc", "quota_reset_date", "limited_user_reset_date"};
    struct stamp at = STAMP_ABSENT;

    for (size_t i = 0; i < sizeof names / sizeof *names && !at.known; i++)
        at = stamp_read(json_object_get(body, names[i]));
    return at;
}

static void copilot_read_quota(const json_t *quota, const char *label, struct stamp reset_at, struct reading *reading)
{
    struct number limit = number_read_amount(json_object_get(quota, "entitlement"));
    struct number left = number_read_amount(json_object_get(quota, "remaining"));
    struct number used_percent = number_rest(number_read(json_object_get(quota, "percent_remaining")));
    struct number over = number_read_amount(json_object_get(quota, "overage_count"));
    struct stamp own_reset_at = stamp_read_epoch(number_read(json_object_get(quota, "quota_reset_at")));
    struct number used = number_minus(limit, left);
    char detail[TEXT_SIZE];

    if (document_is_true(quota, "unlimited")) {
        reading_add_detail(reading, "%s: unlimited", label);
        return;
    }
    if (limit.known && left.known && limit.value <= 0 && left.value <= 0)
        return; /* a placeholder */
    snprintf(detail, sizeof detail, "%s", wording_used(used, limit).text);
    if (over.value > 0 && detail[0] != '\0')
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), WORDING_SEPARATOR "%s over quota",
                 wording_count(over.value).text);
    reading_add_window(
        reading, &(struct window){.label = label,
                                  .used_percent = used_percent.known ? used_percent : number_percent_of(used, limit),
                                  .reset_at = own_reset_at.known ? own_reset_at : reset_at,
                                  .detail = detail});
}

/* The older shape of the free plan: totals, and what remains of them. */
static void copilot_read_free(const json_t *body, const char *member, const char *label, struct stamp reset_at,
                              struct reading *reading)
{
    struct number limit = number_read_amount(json_object_get(json_object_get(body, "monthly_quotas"), member));
    struct number left = number_read_amount(json_object_get(json_object_get(body, "limited_user_quotas"), member));
    struct number used = number_minus(limit, left);

    reading_add_window(reading, &(struct window){.label = label,
                                                 .used_percent = number_percent_of(used, limit),
                                                 .reset_at = reset_at,
                                                 .detail = wording_used(used, limit).text});
}

static void copilot_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0], *snapshots = json_object_get(body, "quota_snapshots");
    struct stamp reset_at = copilot_reset(body);

    reading_set_plan(reading, wording_plan(json_object_get(body, "copilot_plan")).text);
    for (size_t i = 0; i < sizeof copilot_quotas / sizeof *copilot_quotas; i++) {
        const json_t *quota = json_object_get(snapshots, copilot_quotas[i].member);

        if (json_is_object(quota))
            copilot_read_quota(quota, copilot_quotas[i].label, reset_at, reading);
        else
            copilot_read_free(body, copilot_quotas[i].member, copilot_quotas[i].label, reset_at, reading);
    }
}

/* A classic personal token has no access to Copilot. */
static bool copilot_accepts(const char *secret)
{
    return strncmp(secret, "ghp_", 4) != 0;
}

const struct provider provider_copilot = {
    .id = "copilot",
    .source = "copilot_internal",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 10000,
    .kind = CREDENTIAL_SIGN_IN,
    .variables = {"COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"},
    .accepts = copilot_accepts,
    .base_url = "https://api.github.com",
    .path = "/copilot_internal/user",
    .authorization = "Authorization: token ",
    .headers = {"Editor-Version: vscode/1.96.2", "Editor-Plugin-Version: copilot-chat/0.26.7",
                "X-Github-Api-Version: 2025-04-01"},
    .read = copilot_read,
};
