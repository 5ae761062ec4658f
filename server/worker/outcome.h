/* How a probe ended: the account's status, the sentence for it, and when to come again (PROVIDERS.md 2.1).
 *
 * Every sentence is fixed, but for numbers; nothing that a provider wrote gets into one.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_OUTCOME_H
#define SERVER_WORKER_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* The contract's AccountStatus. */
enum account_status {
    ACCOUNT_OK,
    ACCOUNT_EXHAUSTED,
    ACCOUNT_NO_DATA,
    ACCOUNT_NO_KEY,
    ACCOUNT_INVALID_KEY,
    ACCOUNT_EXPIRED,
    ACCOUNT_UNSUPPORTED,
    ACCOUNT_RATE_LIMITED,
    ACCOUNT_UNAVAILABLE,
    ACCOUNT_STATUS_COUNT
};

/* What a credential is, as far as the wording and the rules of expiry go. */
enum credential_kind { CREDENTIAL_API_KEY, CREDENTIAL_SIGN_IN };

enum { OUTCOME_REASON_SIZE = 128, RETRY_AFTER_S_MAX = 86400 };

struct outcome {
    enum account_status status;
    char reason[OUTCOME_REASON_SIZE]; /* "" exactly when there is something to show */
    int http_status;                  /* 0: nothing was answered */
    int64_t retry_after_s;            /* 0: no advice */
};

/* What can go wrong besides a status line. */
enum failure {
    FAILURE_NO_KEY,
    FAILURE_UNSENDABLE,
    FAILURE_EXPIRED,
    FAILURE_UNSUPPORTED,
    FAILURE_BASE_URL,
    FAILURE_TIMED_OUT,
    FAILURE_UNREACHABLE,
    FAILURE_FORBIDDEN,
    FAILURE_OVERSIZED,
    FAILURE_UNREADABLE,
    FAILURE_NO_DATA,
    FAILURE_COUNT
};

/* "ok", "exhausted", ... as the answer line spells it. */
const char *account_status_name(enum account_status status);

/* There is something to show, and perhaps nothing left. */
struct outcome outcome_usable(bool exhausted);

/* `http_status` 0 when nothing was answered. */
struct outcome outcome_failure(enum failure failure, int http_status);

/* What a body that came with 200 says instead of telling something. */
enum body_error { BODY_FINE, BODY_ERROR, BODY_REJECTS_KEY };

/* `code` is the provider's, a number as text; "": it gave none.  `error` is not BODY_FINE. */
struct outcome outcome_body(enum body_error error, const char *code);

/* A status besides 429 by which a provider says that it was asked too often. */
struct outcome outcome_limited(int http_status, const char *retry_after, int64_t now_s);

/* FAILURE_UNSUPPORTED in the provider's own words; not available, for a reason that is there already. */
struct outcome outcome_unsupported(const char *reason);
struct outcome outcome_unavailable(const char *reason);

/* The sentence of a failure, for the row of a credential; static. */
const char *outcome_reason(enum failure failure);

/* For any status but 200.  `retry_after` is the header's value, "" when there was none. */
struct outcome outcome_http(int http_status, enum credential_kind kind, const char *retry_after, int64_t now_s);

/* Retry-After: whole seconds or an HTTP date, at most RETRY_AFTER_S_MAX; 0 for everything else. */
int64_t outcome_retry_after(const char *value, int64_t now_s);

#endif
