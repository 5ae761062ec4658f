/* OpenAI Codex: the limits of a ChatGPT plan.  PROVIDERS.md 6.3; the vendor's own client is open source (openai/codex).
 */
#include "server/worker/document.h"
#include "server/worker/jwt.h"
#include "server/worker/provider.h"

#include <math.h>
#include <string.h>

enum { SESSION_S = 18000, DAY_S = 86400, RESET_AFTER_S_MAX = 366 * DAY_S };

static const char claims_member[] = "https://api.openai.com/auth";

/* Whole seconds above 0; 0: unknown. */
static int64_t codex_length_s(const json_t *window)
{
    struct number length = number_read_amount(json_object_get(window, "limit_window_seconds"));

    return length.value >= 1 ? (int64_t)length.value : 0;
}

/* The moment, else so long from now. */
static struct stamp codex_reset_at(const json_t *window, int64_t now_s)
{
    struct stamp at = stamp_read_epoch(number_read(json_object_get(window, "reset_at")));
    struct number after = number_read(json_object_get(window, "reset_after_seconds"));

    if (at.known || after.value < 1 || after.value > RESET_AFTER_S_MAX)
        return at;
    return stamp_make(now_s + (int64_t)after.value);
}

/* By its length: a weekly window can be in the first place.  The place decides only when there is no length. */
static struct phrase codex_window_name(int64_t length_s, bool primary)
{
    if (length_s == SESSION_S || (length_s == 0 && primary))
        return (struct phrase){"Session"};
    return length_s == 0 ? (struct phrase){"Weekly"} : wording_length(length_s);
}

/* A limit's two windows; `name` leads the labels of one that is not the account's ("Code review weekly"). */
static void codex_read_limit(const json_t *limit, const char *name, int64_t now_s, struct reading *reading)
{
    static const char *const places[] = {"primary_window", "secondary_window"};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const json_t *window = json_object_get(limit, places[i]);
        int64_t length_s = codex_length_s(window);
        struct phrase kind = codex_window_name(length_s, i == 0);

        reading_add_window(reading,
                           &(struct window){.label = name == NULL ? kind.text : wording_scoped(name, kind).text,
                                            .used_percent = number_read(json_object_get(window, "used_percent")),
                                            .reset_at = codex_reset_at(window, now_s),
                                            .scope = name == NULL ? WINDOW_ACCOUNT : WINDOW_MODEL,
                                            .length_s = length_s});
    }
}

static void codex_read_limits(const json_t *body, int64_t now_s, struct reading *reading)
{
    const json_t *extra;
    size_t at;

    codex_read_limit(json_object_get(body, "rate_limit"), NULL, now_s, reading);
    json_array_foreach(json_object_get(body, "additional_rate_limits"), at, extra)
    {
        struct label name = wording_label(json_object_get(extra, "limit_name"));

        if (name.text[0] == '\0')
            name = wording_label(json_object_get(extra, "metered_feature"));
        if (name.text[0] != '\0')
            codex_read_limit(json_object_get(extra, "rate_limit"), name.text, now_s, reading);
    }
    codex_read_limit(json_object_get(body, "code_review_rate_limit"), "Code review", now_s, reading);
}

/* The budget of a member of a workspace. */
static void codex_read_spending(const json_t *spending, int64_t now_s, struct reading *reading)
{
    struct number used_percent = number_read(json_object_get(spending, "used_percent"));
    struct number left_percent = number_read(json_object_get(spending, "remaining_percent"));
    struct number used = number_read_decimal(json_object_get(spending, "used"));
    struct number limit = number_read_decimal(json_object_get(spending, "limit"));

    reading_add_window(reading,
                       &(struct window){.label = "Spend limit",
                                        .used_percent = used_percent.known ? used_percent : number_rest(left_percent),
                                        .reset_at = codex_reset_at(spending, now_s),
                                        .detail = wording_used(used, limit).text});
}

/* Credits are no dollars.  Whether there are any left. */
static bool codex_read_credits(const json_t *credits, struct reading *reading)
{
    struct number balance = number_read_decimal(json_object_get(credits, "balance"));

    if (document_is_true(credits, "unlimited")) {
        reading_add_detail(reading, "Credits: unlimited");
        return true;
    }
    if (!document_is_true(credits, "has_credits") || !balance.known)
        return false;
    reading_add_detail(reading, "Credits: %s", wording_count(balance.value).text);
    reading_add_balance(reading, "Credits", balance.value, "credits");
    return balance.value > 0;
}

static void codex_read_banked(const json_t *banked, struct reading *reading)
{
    struct number count = number_read_amount(json_object_get(banked, "available_count"));

    if (count.value >= 1)
        reading_add_detail(reading, "%s limit reset%s banked", wording_count(floor(count.value)).text,
                           count.value < 2 ? "" : "s");
}

static void codex_read(const struct bodies *bodies, struct reading *reading)
{
    const json_t *body = bodies->bodies[0];
    const json_t *limit = json_object_get(body, "rate_limit");
    bool has_credits;

    reading_set_plan(reading, wording_plan(json_object_get(body, "plan_type")).text);
    codex_read_limits(body, bodies->now_s, reading);
    codex_read_spending(document_at(body, "spend_control.individual_limit"), bodies->now_s, reading);
    has_credits = codex_read_credits(json_object_get(body, "credits"), reading);
    codex_read_banked(json_object_get(body, "rate_limit_reset_credits"), reading);
    reading->exhausted =
        (document_is_true(limit, "limit_reached") || document_is_false(limit, "allowed")) && !has_credits;
}

/* The vendor's own service has other paths than a gateway. */
static void codex_address(const struct target *target, struct text *url)
{
    static const char own_end[] = "/codex";
    size_t size = strlen(target->base), end_size = sizeof own_end - 1;

    if (size >= end_size && strcmp(target->base + size - end_size, own_end) == 0)
        size -= end_size;
    text_add(url, target->base, size);
    text_add_string(url, strstr(text_string(url), "/backend-api") != NULL ? "/wham/usage" : "/api/codex/usage");
}

static void codex_add_header(const char *name, const char *value, struct text *lines)
{
    if (value != NULL && credential_is_sendable(value, strlen(value)))
        text_format(lines, "%s: %s\n", name, value);
}

/* Which workspace is meant, and where its data must stay: a workspace bound to a region refuses other requests. */
static void codex_identify(const struct credential *credential, struct text *lines)
{
    json_t *claims = jwt_claims(text_string(&credential->secret));
    const json_t *own = json_object_get(claims, claims_member);
    const char *account = document_string(own, "chatgpt_account_id");
    const char *region = document_string(own, "chatgpt_data_residency");

    if (account == NULL)
        account = document_string(credential->record, "account_id");
    if (region == NULL)
        region = document_string(own, "chatgpt_compute_residency");
    codex_add_header("ChatGPT-Account-Id", account, lines);
    if (region != NULL && strcmp(region, "no_constraint") != 0)
        codex_add_header("x-openai-internal-codex-residency", region, lines);
    if (document_is_true(own, "chatgpt_account_is_fedramp"))
        codex_add_header("X-OpenAI-Fedramp", "true", lines);
    json_decref(claims);
}

/* One person in one workspace is one account, however often it is in the pool. */
static void codex_account(const struct credential *credential, struct text *name)
{
    json_t *claims = jwt_claims(text_string(&credential->secret));
    const char *account = document_string(json_object_get(claims, claims_member), "chatgpt_account_id");
    const char *person = document_string(claims, "sub");

    if (account != NULL && person != NULL)
        text_format(name, "%s\n%s", account, person);
    json_decref(claims);
}

const struct provider provider_openai_codex = {
    .id = "openai-codex",
    .source = "usage_api",
    .title = "Account limits",
    .min_interval_s = 60,
    .timeout_ms = 15000,
    .kind = CREDENTIAL_SIGN_IN,
    .told_variable = "OPENAI_API_KEY",
    .sign_ins = {{.file = "auth.json", .path = "providers.openai-codex.tokens", .token = "access_token"},
                 {.foreign = true,
                  .directory_variable = "CODEX_HOME",
                  .directory = ".codex",
                  .file = "auth.json",
                  .path = "tokens",
                  .token = "access_token"}},
    .base_url = "https://chatgpt.com/backend-api/codex",
    .base_url_variable = "HERMES_CODEX_BASE_URL",
    .own_domains = {"chatgpt.com", "openai.com"},
    .address = codex_address,
    .authorization = "Authorization: Bearer ",
    .identify = codex_identify,
    .pool_source = "usage_api_pool",
    .pool_reason = "No Codex pool credentials returned available account limits.",
    .account = codex_account,
    .read = codex_read,
};
