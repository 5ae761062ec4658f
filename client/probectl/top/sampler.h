/* Asks the daemon what it is like, without waiting: four calls at once are a round, which ends with the last answer.
 *
 * A round always ends: by answers, by the timeout, at once where there is no connection, or by the channel's being
 * closed.
 *
 * Threads: the owner's, one at a time; answers come on nng's.  Locks: one, a leaf. */
#ifndef CLIENT_PROBECTL_TOP_SAMPLER_H
#define CLIENT_PROBECTL_TOP_SAMPLER_H

#include "client/probectl/top/sample.h"
#include "proto/compiler.h"

struct sampler;

/* The channel is lent, and is closed before the sampler is destroyed.  NULL: no memory or no descriptor, see errno. */
MUST_USE struct sampler *sampler_create(struct probed_channel *channel, uint32_t timeout_ms);
void sampler_destroy(struct sampler *sampler);

/* Begins a round, unless one is under way. */
void sampler_ask(struct sampler *sampler);

/* Readable once a round has ended and its sample was not taken. */
int sampler_fd(const struct sampler *sampler);

/* The sample of the round that has ended, given; false: there is none. */
MUST_USE bool sampler_take(struct sampler *sampler, struct sample *sample_out);

#endif
