/* Anthropic: the limits of a Claude subscription, which its sign-in (OAuth) may ask for and an API key may not.
 * PROVIDERS.md 6.2; not documented by the vendor. */
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <stdio.h>
#include <string.h>

enum { SESSION_S = 18000, WEEK_S = 604800, MINOR_UNITS = 100 };

/* `utilization` is a percentage as it is: 1 is one percent.  A row of `limits` stands in for a member that is gone. */
static const struct anthropic_window {
    const char *member, *limit_kind; /* NULL: no row stands in */
    const char *label;
    enum window_scope scope;
    int64_t length_s;
} anthropic_windows[] = {
    {"five_hour", "session", "Current session", WINDOW_ACCOUNT, SESSION_S},
    {"seven_day", "weekly_all", "Current week", WINDOW_ACCOUNT, WEEK_S},
    {"seven_day_opus", NULL, "Opus week", WINDOW_MODEL, WEEK_S},
    {"seven_day_sonnet", NULL, "Sonnet week", WINDOW_MODEL, WEEK_S},
};

static bool anthropic_limit_is(const json_t *limit, const char *kind)
{
    const char *given = document_string(limit, "kind");

    return kind != NULL && given != NULL && strcmp(given, kind) == 0;
}

static void anthropic_add_limit(const json_t *limit, const char *label, enum window_scope scope, int64_t length_s,
                                struct reading *reading)
{
    if (!reading_has_window(reading, label))
        reading_add_window(reading, &(struct window){.label = label,
                                                     .used_percent = number_read(json_object_get(limit, "percent")),
                                                     .reset_at = stamp_read(json_object_get(limit, "resets_at")),
                                                     .scope = scope,
                                                     .length_s = length_s});
}

static void anthropic_read_windows(const json_t *body, struct reading *reading)
{
    const json_t *limits = json_object_get(body, "limits");
    const json_t *limit;
    size_t at;

    for (size_t i = 0; i < sizeof anthropic_windows / sizeof *anthropic_windows; i++) {
        const struct anthropic_window *row = &anthropic_windows[i];
        const json_t *member = json_object_get(body, row->member);

        reading_add_window(reading,
                           &(struct window){.label = row->label,
                                            .used_percent = number_read(json_object_get(member, "utilization")),
                                            .reset_at = stamp_read(json_object_get(member, "resets_at")),
                                            .scope = row->scope,
                                            .length_s = row->length_s});
        json_array_foreach(limits, at, limit)
        {
            if (anthropic_limit_is(limit, row->limit_kind))
                anthropic_add_limit(limit, row->label, row->scope, row->length_s, reading);
        }
    }
}

/* Weekly limits of single models. */
static void anthropic_read_scoped(const json_t *body, struct reading *reading)
{
    const json_t *limit;
    size_t at;

    json_array_foreach(json_object_get(body, "limits"), at, limit)
    {
        struct label name = wording_label(document_at(limit, "scope.model.display_name"));
        char label[LABEL_SIZE + sizeof " week"];

        if (!anthropic_limit_is(limit, "weekly_scoped") || name.text[0] == '\0')
            continue;
        snprintf(label, sizeof label, "%s week", name.text);
        anthropic_add_limit(limit, label, WINDOW_MODEL, WEEK_S, reading);
    }
}

/* "USD" where the body names none; "" where what it names is no currency. */
static struct label anthropic_currency(const json_t *value)
{
    return value == NULL || json_is_null(value) ? (struct label){"USD"} : wording_currency(value);
}

/* Amounts are in minor units. */
static void anthropic_read_extra(const json_t *extra, struct reading *reading)
{
    struct number used = number_read_amount(json_object_get(extra, "used_credits"));
    struct number limit = number_read_amount(json_object_get(extra, "monthly_limit"));
    struct label currency = anthropic_currency(json_object_get(extra, "currency"));

    if (!document_is_true(extra, "is_enabled") || !used.known || currency.text[0] == '\0')
        return;
    reading_add_detail(reading, "Extra usage: %s%s%s", wording_money(used.value / MINOR_UNITS, currency.text).text,
                       limit.known ? " of " : "",
                       limit.known ? wording_money(limit.value / MINOR_UNITS, currency.text).text : "");
}

/* Only the sign-in's file knows it: "default_claude_max_5x" is "Max 5x", else the kind of subscription. */
static void anthropic_read_plan(const json_t *record, struct reading *reading)
{
    const char *tier = document_string(record, "rateLimitTier");
    const char *times = tier == NULL ? NULL : strstr(tier, "_max_");
    int size = 0;
    unsigned factor;
    char plan[sizeof "Max 4294967295x"];

    if (times != NULL && sscanf(times, "_max_%3ux%n", &factor, &size) == 1 && size > 0 && times[size] == '\0') {
        snprintf(plan, sizeof plan, "Max %ux", factor);
        reading_set_plan(reading, plan);
    } else {
        reading_set_plan(reading, wording_plan(json_object_get(record, "subscriptionType")).text);
    }
}

static void anthropic_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];

    anthropic_read_plan(bodies->credential->record, reading);
    anthropic_read_windows(body, reading);
    anthropic_read_scoped(body, reading);
    anthropic_read_extra(json_object_get(body, "extra_usage"), reading);
}

/* A token of a sign-in, not a key of the console. */
static bool anthropic_accepts(const char *secret)
{
    static const char *const beginnings[] = {"sk-ant-", "eyJ", "cc-"};
    static const char console[] = "sk-ant-api";

    if (strncmp(secret, console, strlen(console)) == 0)
        return false;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        if (strncmp(secret, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

const struct provider provider_anthropic = {
    .id = "anthropic",
    .source = "oauth_usage_api",
    .title = "Account limits",
    .min_interval_s = 300,
    .timeout_ms = 15000,
    .kind = CREDENTIAL_SIGN_IN,
    .variables = {"ANTHROPIC_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"},
    .sign_ins = {{.foreign = true,
                  .directory_variable = "CLAUDE_CONFIG_DIR",
                  .directory = ".claude",
                  .file = ".credentials.json",
                  .path = "claudeAiOauth",
                  .token = "accessToken",
                  .expiry = "expiresAt"},
                 {.file = ".anthropic_oauth.json", .path = "", .token = "accessToken", .expiry = "expiresAt"}},
    .expiry_margin_s = 60,
    .accepts = anthropic_accepts,
    .unsupported_reason = "Anthropic account limits are only available for OAuth-backed Claude accounts.",
    .base_url = "https://api.anthropic.com",
    .path = "/api/oauth/usage",
    .authorization = "Authorization: Bearer ",
    .headers = {"anthropic-beta: oauth-2025-04-20"},
    .read = anthropic_read,
};
