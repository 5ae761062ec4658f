/* Numbers as providers send them (PROVIDERS.md 2.2).
 *
 * Absent is absent, never 0: booleans, null, objects, what overflows and what is absurd are not known, and whoever
 * composes a window or a sentence leaves it out.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_NUMBER_H
#define SERVER_WORKER_NUMBER_H

#include <jansson.h>
#include <stdbool.h>

struct number {
    bool known;
    double value; /* finite; 0 while not known */
};

#define NUMBER_ABSENT ((struct number){0})

/* Amounts and counts of this magnitude are absent. */
#define NUMBER_AMOUNT_MAX 1e12

struct number number_make(double value);

/* A JSON number. */
struct number number_read(const json_t *value);

/* A JSON number that can be an amount or a count. */
struct number number_read_amount(const json_t *value);

/* The same, or a decimal string: -?digits(.digits)?, blanks around it, 24 and 18 digits at most. */
struct number number_read_decimal(const json_t *value);

/* Within 0 and 100; a percentage that is absent stays so. */
struct number number_percent(struct number value);

/* What a percentage leaves of 100; a fraction as a percentage.  Absent stays so. */
struct number number_rest(struct number percent);
struct number number_percent_of_fraction(struct number fraction);

/* The difference; absent when either is. */
struct number number_minus(struct number value, struct number less);

/* How many percent of the whole the part is; absent without a positive whole. */
struct number number_percent_of(struct number part, struct number whole);

#endif
