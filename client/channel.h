/* The channel's inside: what the stub and the methods call.
 *
 * A call takes a lane, which is an nng context with an aio, sends on it, receives on it, and gives it back; lanes are
 * opened as calls come and kept.  Waiting calls have aios without a callback (the thread waits on the aio, nng hands
 * over to no other thread); started calls have aios whose callback takes the next step.
 *
 * Threads: any.  Locks: one, a leaf. */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

#include "client/message.h"

/* Makes one call and waits.  When OK the reply holds the payload: reply_fini() it.  `request->size_max` is set here. */
MUST_USE struct probed_status channel_call(struct probed_channel *channel, struct request *request,
                                           const struct probed_call_options *options, struct reply *reply_out);

#endif
