/* A witness: a process of its own that subscribes to one home with libprobed and holds it to its word.
 *
 * The test writes down what is true (each generation, once whoever caused it was answered) in memory that both share.
 * The witness looks whenever it is told something, and all the time in between: as often as it says that it is current,
 * it must know what was true three intervals ago; when it is told of a heartbeat and is current, what was true when
 * that was sent; and each change is told, or told to be missed.  What it finds against it stays in `complaint`.
 *
 * Ownership: witness_start gives.  It is to be started before nng is used, since it is forked off. */
#ifndef TESTS_SUPPORT_WITNESS_H
#define TESTS_SUPPORT_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct witness;

struct witness *witness_start(void);

/* Where it is to listen and ask, and how often a heartbeat comes: it begins now. */
void witness_begin(struct witness *witness, const char *events_url, const char *calls_url, const char *home,
                   uint64_t interval_ms);

/* This generation was answered: from now on it is true. */
void witness_note(struct witness *witness, uint64_t generation);

/* All that was noted is void: another daemon, another epoch. */
void witness_forget(struct witness *witness);

/* Waits until it says that it is current, and knows the last that was noted; or says that it is not. */
void witness_wait_current(struct witness *witness);
void witness_wait_not_current(struct witness *witness);

pid_t witness_pid(const struct witness *witness);

struct witness_counts {
    uint64_t events, gaps, beats, transitions, looks, looks_while_current;
    uint64_t delay_ns_max; /* of a heartbeat's noticing what it names: from its sending */
};
struct witness_counts witness_counts(const struct witness *witness);

/* Ends it, and asserts that there was nothing to complain of. */
void witness_end(struct witness *witness);

#endif
