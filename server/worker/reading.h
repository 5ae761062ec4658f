/* What one body told about an account: plan, windows, details, balances, and whether nothing is left.
 *
 * A provider's file fills it; the limits of PROVIDERS.md 2.2 are kept here, so that no provider need think of them:
 * what is absent is left out, percentages are clamped, texts are clean and cut, and what is beyond 32 is dropped.
 *
 * Ownership: a value without pointers to give back, about 60 KiB: not for the stack.  Threads: none of its own. */
#ifndef SERVER_WORKER_READING_H
#define SERVER_WORKER_READING_H

#include "proto/compiler.h"
#include "server/worker/number.h"
#include "server/worker/outcome.h"
#include "server/worker/stamp.h"
#include "server/worker/wording.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum window_scope { WINDOW_ACCOUNT, WINDOW_MODEL };

/* A window as a provider's file knows it. */
struct window {
    const char *label;          /* clean, lent; "": left out */
    struct number used_percent; /* absent: left out */
    struct stamp reset_at;
    const char *detail; /* lent; NULL: none */
    enum window_scope scope;
    int64_t length_s; /* 0: unknown */
};

struct reading_window {
    char label[LABEL_SIZE];
    double used_percent; /* 0 to 100 */
    struct stamp reset_at;
    char detail[TEXT_SIZE]; /* "": none */
    enum window_scope scope;
    int64_t length_s;
};

struct reading_balance {
    char label[LABEL_SIZE];
    double amount;
    char currency[LABEL_SIZE];
};

struct reading {
    enum body_error error;    /* not BODY_FINE: nothing else counts */
    struct phrase error_code; /* "": none */
    const char *source;       /* static; NULL: the provider's usual one */
    bool exhausted;           /* the body says that nothing is left */
    char plan[PLAN_SIZE];
    struct reading_window windows[LIMIT_WINDOW_COUNT_MAX];
    size_t window_count;
    char details[LIMIT_DETAIL_COUNT_MAX][TEXT_SIZE];
    size_t detail_count;
    struct reading_balance balances[LIMIT_BALANCE_COUNT_MAX];
    size_t balance_count;
};

void reading_set_plan(struct reading *reading, const char *plan);
void reading_add_window(struct reading *reading, const struct window *window);

/* Whether a window of this label is there already, in capitals or not. */
bool reading_has_window(const struct reading *reading, const char *label);

void reading_add_detail(struct reading *reading, const char *format, ...) PRINTF_LIKE(2, 3);
void reading_add_balance(struct reading *reading, const char *label, double amount, const char *currency);

/* A sum of money with a name: "Credits balance: $37.25", and "Credits", unless NULL, as a balance.  Absent: neither. */
void reading_add_money(struct reading *reading, const char *name, const char *label, struct number amount,
                       const char *currency);

/* A part of a balance: "granted". */
struct balance_part {
    const char *name; /* NULL: no part */
    struct number amount;
};

enum { BALANCE_PART_COUNT = 2 };

/* "Balance: ¥86.40 CNY (granted ¥6.40, topped up ¥80.00)", and `label` as a balance.  Absent parts are left out, an
 * absent total and a currency that is none (wording_currency) leave out all of it. */
void reading_add_total(struct reading *reading, const char *label, struct number total, const char *currency,
                       const struct balance_part *parts);

/* Nothing is left; with a detail that says so, unless NULL. */
void reading_set_exhausted(struct reading *reading, const char *detail);

/* What a provider says when calls would be refused. */
extern const char reading_insufficient[];

/* The body reports an error, with its code if that is a number, or text that is one. */
void reading_set_error(struct reading *reading, enum body_error error, const json_t *code);

/* At least one window, detail or balance. */
bool reading_is_usable(const struct reading *reading);

/* Whether the beginning of this secret stands in any of the texts, in whatever case and with whatever separators: a
 * provider that echoes a credential must not have it shown.  Secrets too short to be told from a word are not found. */
bool reading_mentions(const struct reading *reading, const char *secret);

#endif
