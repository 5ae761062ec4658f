/* A crowd: a process of its own with many subscribers of libprobed, all to one home, in one event loop.
 *
 * Ownership: crowd_start gives.  It is to be started before nng is used, since it is forked off. */
#ifndef TESTS_SUPPORT_CROWD_H
#define TESTS_SUPPORT_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crowd;

struct crowd *crowd_start(void);

/* They begin now. */
void crowd_begin(struct crowd *crowd, const char *events_url, const char *calls_url, const char *home, size_t count);

/* Whether all of them are current in another epoch than this one (0: in any); waits until they are. */
bool crowd_is_current(const struct crowd *crowd, uint64_t past_epoch);
void crowd_wait_current(struct crowd *crowd, uint64_t past_epoch);

/* Waits until all of them have heard of this generation. */
void crowd_wait_generation(struct crowd *crowd, uint64_t generation);

/* Gaps told so far, but for that of each at its beginning; the epoch that the first of them is in. */
uint64_t crowd_gap_count(const struct crowd *crowd);
uint64_t crowd_epoch(const struct crowd *crowd);

void crowd_end(struct crowd *crowd);

#endif
