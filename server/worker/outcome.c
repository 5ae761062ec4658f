#include "server/worker/outcome.h"

#include "server/base/invariant.h"
#include "server/worker/stamp.h"

#include <stdio.h>
#include <string.h>

static const char *const status_names[ACCOUNT_STATUS_COUNT] = {
    [ACCOUNT_OK] = "ok",
    [ACCOUNT_EXHAUSTED] = "exhausted",
    [ACCOUNT_NO_DATA] = "no_data",
    [ACCOUNT_NO_KEY] = "no_key",
    [ACCOUNT_INVALID_KEY] = "invalid_key",
    [ACCOUNT_EXPIRED] = "expired",
    [ACCOUNT_UNSUPPORTED] = "unsupported",
    [ACCOUNT_RATE_LIMITED] = "rate_limited",
    [ACCOUNT_UNAVAILABLE] = "unavailable",
};

static const struct {
    enum account_status status;
    const char *reason;
} failures[FAILURE_COUNT] = {
    [FAILURE_NO_KEY] = {ACCOUNT_NO_KEY, "No credential is configured for this provider."},
    [FAILURE_UNSENDABLE] = {ACCOUNT_INVALID_KEY,
                            "The credential holds characters that no key can have; it was not sent."},
    [FAILURE_EXPIRED] = {ACCOUNT_EXPIRED, "The stored sign-in has expired; sign in again with the owning tool."},
    [FAILURE_UNSUPPORTED] = {ACCOUNT_UNSUPPORTED, "This provider has no usage endpoint for this kind of credential."},
    [FAILURE_BASE_URL] = {ACCOUNT_UNAVAILABLE, "The configured base URL is not allowed for this credential."},
    [FAILURE_TIMED_OUT] = {ACCOUNT_UNAVAILABLE, "The usage request timed out."},
    [FAILURE_UNREACHABLE] = {ACCOUNT_UNAVAILABLE, "The provider could not be reached."},
    [FAILURE_FORBIDDEN] = {ACCOUNT_UNAVAILABLE,
                           "The provider could not be reached: its port is not in worker.connect_ports."},
    [FAILURE_OVERSIZED] = {ACCOUNT_UNAVAILABLE, "The provider returned an oversized response."},
    [FAILURE_UNREADABLE] = {ACCOUNT_UNAVAILABLE, "The provider returned an unreadable response."},
    [FAILURE_NO_DATA] = {ACCOUNT_NO_DATA, "The provider returned no usage data."},
};

/* The first row that fits counts; the last fits every status. */
static const struct http_rule {
    int first, last;
    enum account_status status;
    bool retry_after;          /* the header is looked at */
    const char *reason_before; /* then "(HTTP N)", then: */
    const char *reason_behind;
    const char *reason_before_sign_in; /* the same for CREDENTIAL_SIGN_IN; NULL: no difference */
    const char *reason_behind_sign_in;
} http_rules[] = {
    {401, 401, ACCOUNT_INVALID_KEY, false, "The provider rejected the credential", ".",
     "The provider rejected the stored sign-in", "; sign in again with the owning tool."},
    {402, 402, ACCOUNT_EXHAUSTED, false, "The provider reports that no credit is left", ".", NULL, NULL},
    {403, 403, ACCOUNT_INVALID_KEY, false, "The provider rejected the credential", ".",
     "The provider rejected the stored sign-in", "; sign in again with the owning tool."},
    {404, 405, ACCOUNT_UNSUPPORTED, false, "The usage endpoint is not available for this credential", ".", NULL, NULL},
    {410, 410, ACCOUNT_UNSUPPORTED, false, "The usage endpoint is not available for this credential", ".", NULL, NULL},
    {429, 429, ACCOUNT_RATE_LIMITED, true, "The usage endpoint is rate limited", ".", NULL, NULL},
    {300, 399, ACCOUNT_UNAVAILABLE, false, "The usage endpoint answered with a redirect", ", which is not followed.",
     NULL, NULL},
    {500, 599, ACCOUNT_UNAVAILABLE, true, "The provider is temporarily unavailable", ".", NULL, NULL},
    {0, 999, ACCOUNT_UNAVAILABLE, false, "The usage endpoint gave an unexpected answer", ".", NULL, NULL},
};

const char *account_status_name(enum account_status status)
{
    INVARIANT(status < ACCOUNT_STATUS_COUNT);
    return status_names[status];
}

struct outcome outcome_usable(bool exhausted)
{
    return (struct outcome){.status = exhausted ? ACCOUNT_EXHAUSTED : ACCOUNT_OK, .http_status = 200};
}

struct outcome outcome_failure(enum failure failure, int http_status)
{
    struct outcome outcome = {.status = failures[failure].status, .http_status = http_status};

    snprintf(outcome.reason, sizeof outcome.reason, "%s", failures[failure].reason);
    return outcome;
}

static struct outcome outcome_because(enum account_status status, const char *reason)
{
    struct outcome outcome = {.status = status};

    snprintf(outcome.reason, sizeof outcome.reason, "%s", reason);
    return outcome;
}

struct outcome outcome_unsupported(const char *reason)
{
    return outcome_because(ACCOUNT_UNSUPPORTED, reason);
}

struct outcome outcome_unavailable(const char *reason)
{
    return outcome_because(ACCOUNT_UNAVAILABLE, reason);
}

struct outcome outcome_body(enum body_error error, const char *code)
{
    bool rejects_key = error == BODY_REJECTS_KEY;
    struct outcome outcome = {.status = rejects_key ? ACCOUNT_INVALID_KEY : ACCOUNT_UNAVAILABLE, .http_status = 200};

    snprintf(outcome.reason, sizeof outcome.reason, "%s%s%s%s.",
             rejects_key ? "The provider rejected the credential" : "The provider reported an error",
             code[0] == '\0' ? "" : " (code ", code, code[0] == '\0' ? "" : ")");
    return outcome;
}

struct outcome outcome_limited(int http_status, const char *retry_after, int64_t now_s)
{
    struct outcome outcome = {.status = ACCOUNT_RATE_LIMITED,
                              .http_status = http_status,
                              .retry_after_s = outcome_retry_after(retry_after, now_s)};

    snprintf(outcome.reason, sizeof outcome.reason, "The usage endpoint is rate limited (HTTP %d).", http_status);
    return outcome;
}

const char *outcome_reason(enum failure failure)
{
    return failures[failure].reason;
}

struct outcome outcome_http(int http_status, enum credential_kind kind, const char *retry_after, int64_t now_s)
{
    const struct http_rule *rule = http_rules;
    struct outcome outcome = {.http_status = http_status};
    bool sign_in;

    while (http_status < rule->first || http_status > rule->last)
        rule++;
    sign_in = kind == CREDENTIAL_SIGN_IN && rule->reason_before_sign_in != NULL;
    outcome.status = rule->status;
    outcome.retry_after_s = rule->retry_after ? outcome_retry_after(retry_after, now_s) : 0;
    snprintf(outcome.reason, sizeof outcome.reason, "%s (HTTP %d)%s",
             sign_in ? rule->reason_before_sign_in : rule->reason_before, http_status,
             sign_in ? rule->reason_behind_sign_in : rule->reason_behind);
    return outcome;
}

int64_t outcome_retry_after(const char *value, int64_t now_s)
{
    size_t digit_count = strspn(value, "0123456789");
    int64_t wait_s = 0;

    if (value[digit_count] == '\0') {
        for (size_t i = 0; i < digit_count && wait_s <= RETRY_AFTER_S_MAX; i++)
            wait_s = wait_s * 10 + (value[i] - '0');
    } else {
        struct stamp when = stamp_read_http_date(value);

        wait_s = when.known ? when.s - now_s : 0;
    }
    if (wait_s <= 0)
        return 0;
    return wait_s < RETRY_AFTER_S_MAX ? wait_s : RETRY_AFTER_S_MAX;
}
