/* How calls went lately: differences between two looks at GetStatus.
 *
 * The daemon counts since its start, in a histogram by origin and code.  What happened lately is what was counted between
 * an older look and the newest: rates, and percentiles estimated within their bucket, as the daemon's page does it.  Its
 * own uptime is the clock.  After the first look there is no difference yet: figures are those since the start then.
 *
 * A daemon that was started anew counts from zero again: the trend begins anew as well.
 *
 * Ownership: looks are taken.  Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TOP_TREND_H
#define CLIENT_PROBECTL_TOP_TREND_H

#include <probed/v1/admin.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As the page orders them. */
enum trend_origin { TREND_CACHED, TREND_JOINED, TREND_WARM, TREND_COLD, TREND_STALE, TREND_FAILED, TREND_ORIGIN_COUNT };

enum {
    TREND_SPAN_MS = 10000, /* what "lately" is, where there are looks from then */
    TREND_LOOK_COUNT_MAX = 64,
    TREND_STEP_COUNT_MAX = 240
};

struct trend {
    Probed__V1__GetStatusResponse *looks[TREND_LOOK_COUNT_MAX]; /* owned; the oldest first, the span and no more */
    size_t look_count;
    double rates[TREND_STEP_COUNT_MAX][TREND_ORIGIN_COUNT]; /* from look to look, the oldest first */
    size_t step_count;
};

/* A trend that is all zero has seen nothing. */
void trend_fini(struct trend *trend);

/* Takes the newest look. */
void trend_add(struct trend *trend, Probed__V1__GetStatusResponse *look);

/* The newest look; NULL: none so far.  Lent until the next. */
const Probed__V1__GetStatusResponse *trend_now(const struct trend *trend);

/* What the figures are of, in ms; `since_start_out`: all of the daemon's life. */
uint64_t trend_span_ms(const struct trend *trend, bool *since_start_out);

struct trend_figures {
    uint64_t calls; /* since the daemon's start */
    double rate;    /* a second, within the span */
    double half_s;  /* half of the calls within the span took at most so long; negative: there was none */
    double most_s;  /* the same of 99 in 100 */
};

/* Of one origin; TREND_ORIGIN_COUNT: of all. */
void trend_look(const struct trend *trend, enum trend_origin origin, struct trend_figures *figures_out);

/* Of one kind of the newest look, origin and code. */
void trend_look_kind(const struct trend *trend, const Probed__V1__CallTimes *kind, struct trend_figures *figures_out);

/* "cached" and so on, "failed". */
const char *trend_origin_name(enum trend_origin origin);

/* Which one it is; one that this program does not know counts as the last. */
enum trend_origin trend_origin_of(const Probed__V1__CallTimes *kind);

#endif
