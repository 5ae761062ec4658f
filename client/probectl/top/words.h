/* Figures in words, the same as on the daemon's page.
 *
 * Threads: any. */
#ifndef CLIENT_PROBECTL_TOP_WORDS_H
#define CLIENT_PROBECTL_TOP_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum { WORDS_SIZE = 48 };

void words_count(uint64_t count, char out[WORDS_SIZE]);                 /* "1,204,311" */
void words_rate(double per_second, char out[WORDS_SIZE]);               /* "0.4", "12", "1,204" */
void words_seconds(double seconds, bool utf8, char out[WORDS_SIZE]);    /* "41 µs", "3.20 ms", "1.05 s" */
void words_span(uint64_t ms, char out[WORDS_SIZE]);                     /* "340 ms", "1.2 s", "2 h 10 min" */
void words_moment(int64_t at_ms, int64_t now_ms, char out[WORDS_SIZE]); /* local: "14:03:22"; "24 Nov 14:03" */

#endif
