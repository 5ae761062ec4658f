/* Whoever connects by TCP and has not shown who they are yet.
 *
 * nng gives a peer ten seconds for each byte of its handshake, and takes as many peers as there are descriptors: a
 * stranger who sends a byte now and then would stay for ever, and a crowd of them would take all descriptors and some
 * 32 KiB each.  The doorman stands where connections are accepted (proto/nng_shim.h) and knows each until it has become
 * a pipe, which is when its certificate was verified and its greeting read.  Who takes longer than ten seconds in
 * all is shown out; of more than VISITOR_COUNT_MAX at once, the one that came first.
 *
 * A handshake costs milliseconds of the CPU that all of nng's threads share, a stranger's as much as a friend's.  So who
 * comes to a TLS listener is paced by the address it comes from: VISIT_BURST at once, VISITS_PER_S from then on; more are
 * turned away unheard, but for those of this machine.  One address cannot make the calls of others slow; many can.
 *
 * To show out without meeting the wrong one, it keeps a duplicate of the visitor's descriptor: a number may have become
 * somebody else's, an open file may not.  One who hangs up is forgotten no sooner, and counts as shown out.
 *
 * Threads: visitors come on nng's threads, pipes too; a timer of nng's.  Locks: one, a leaf.
 * There is one a process: there is one place where connections are accepted. */
#ifndef SERVER_TLS_DOORMAN_H
#define SERVER_TLS_DOORMAN_H

#include "proto/status.h"

#include <nng/nng.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VISITOR_COUNT_MAX = 1536, /* two descriptors each, while they visit */
    VISIT_BURST = 1200,
    VISITS_PER_S = 50
};

/* After nng_start; stops before nng_stop, with every socket closed.  A setting that is 0: ten seconds; as many visitors
 * as may take a quarter of the descriptors, VISITOR_COUNT_MAX at most. */
struct doorman_settings {
    uint64_t visit_ns_max;
    size_t visitor_count_max;
    uint32_t visit_burst, visits_per_s; /* 0: as above */
};
MUST_USE struct status doorman_start(const struct doorman_settings *settings);
void doorman_stop(void);

/* Whoever comes to this port (in host order) is paced.  Before its listener starts, by the main thread. */
void doorman_paces(uint16_t port);

/* This visitor is a peer now.  For pipe callbacks; one that is of no TCP connection is none of the doorman's. */
void doorman_lets_in(nng_pipe pipe);

struct doorman_counts {
    uint64_t visitors;    /* at the door now */
    uint64_t shown_out;   /* so far */
    uint64_t turned_away; /* so far */
};
void doorman_look(struct doorman_counts *counts_out);

#endif
