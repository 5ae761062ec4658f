/* Moments, as seconds of Unix time (PROVIDERS.md 2.3).
 *
 * Read from ISO text, from epoch numbers (seconds or milliseconds) and from HTTP dates; written as ISO text in UTC.
 * Impossible dates and moments outside 1970 to 9999 are not known.  No clock is read here.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_STAMP_H
#define SERVER_WORKER_STAMP_H

#include "server/worker/number.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_S_MAX INT64_C(253402300799) /* the end of year 9999 */

struct stamp {
    bool known;
    int64_t s;
};

#define STAMP_ABSENT ((struct stamp){0})

struct stamp_text {
    char text[sizeof "2026-03-01T12:00:00Z"];
};

/* Absent outside 1 to STAMP_S_MAX. */
struct stamp stamp_make(int64_t s);

/* YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SS[.1 to 9 digits][Z|+HH:MM|+HHMM]; without a zone it is UTC. */
struct stamp stamp_read_iso(const char *text, size_t size);

/* Seconds, or milliseconds from 1e12 on. */
struct stamp stamp_read_epoch(struct number value);

/* Either, by its JSON type. */
struct stamp stamp_read(const json_t *value);

/* One of the three forms of RFC 9110, 5.6.7. */
struct stamp stamp_read_http_date(const char *text);

/* `s` within 0 and STAMP_S_MAX. */
struct stamp_text stamp_write(int64_t s);

/* The next 00:00 UTC at which a day, a week (Monday) or a month begins, after now. */
int64_t stamp_next_day(int64_t now_s);
int64_t stamp_next_week(int64_t now_s);
int64_t stamp_next_month(int64_t now_s);

/* The 00:00 UTC at which the month of now began. */
int64_t stamp_this_month(int64_t now_s);

#endif
