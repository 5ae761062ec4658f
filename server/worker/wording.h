/* Texts of a snapshot: cleaning and cutting (PROVIDERS.md 2.2), money, counts, plans and window labels (2.4).
 *
 * What comes out is valid UTF-8 without control characters, within its bound, provided that what went in is valid
 * UTF-8 (jansson lets nothing else through).  A phrase is a value: use it within the expression that made it.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_WORDING_H
#define SERVER_WORKER_WORDING_H

#include "proto/limits.h"
#include "server/base/display.h"
#include "server/worker/number.h"

#include <jansson.h>
#include <stdint.h>

enum {
    LABEL_SIZE = LIMIT_LABEL_CHARACTERS_MAX * DISPLAY_CHARACTER_SIZE_MAX + 1,
    TEXT_SIZE = LIMIT_TEXT_CHARACTERS_MAX * DISPLAY_CHARACTER_SIZE_MAX + 1,
    PLAN_SIZE = LIMIT_PLAN_CHARACTERS_MAX * DISPLAY_CHARACTER_SIZE_MAX + 1,
    PHRASE_SIZE = 64, /* the longest is of money: -$999999999999.00 of -$999999999999.00 used */
    SCOPED_SIZE = LABEL_SIZE + PHRASE_SIZE
};

/* Between the parts of a composed detail. */
#define WORDING_SEPARATOR " \u2022 "

struct phrase {
    char text[PHRASE_SIZE];
};

struct label {
    char text[LABEL_SIZE]; /* "": none */
};

/* A label that a longer one begins with; reading_add_window cuts it. */
struct scoped {
    char text[SCOPED_SIZE];
};

/* A JSON string as a label; none when it is no string or holds nothing. */
struct label wording_label(const json_t *value);

/* The same as a plan: "individual_pro" is "Individual Pro". */
struct label wording_plan(const json_t *value);

/* A plan without what its names begin with: "LEVEL_BASIC" is "Basic". */
struct label wording_plan_behind(const json_t *value, const char *beginning);

/* A JSON string as a currency's three letters, in capitals; none when it is no such thing. */
struct label wording_currency(const json_t *value);

/* "$12.34", "-$1.20", "12.34 CHF".  The amount's magnitude is below NUMBER_AMOUNT_MAX; `currency` has three letters. */
struct phrase wording_money(double amount, const char *currency);

/* "412.5", "3"; the same bound. */
struct phrase wording_count(double value);

/* "73.5 of 300 used", "$12.50 of $50.00 used"; nothing unless both are known. */
struct phrase wording_used(struct number used, struct number limit);
struct phrase wording_used_money(struct number used, struct number limit, const char *currency);

/* "Daily", "5-hour": a window's label from its length, which is above 0. */
struct phrase wording_length(int64_t length_s);

/* A window's label under the name of what it is a limit of: "Code review weekly", "video daily". */
struct scoped wording_scoped(const char *name, struct phrase kind);

#endif
