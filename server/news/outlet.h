/* One PUB socket: who may hear it, what it has told lately.
 *
 * All of a PUB socket's traffic reaches every peer's wire, so admission is the only scope that keeps a secret.  The
 * first outlet carries everything and admits administrators; each further uid has one of its own, with the events and
 * the heartbeats of the homes that it may use alone.
 *
 * An event of a home of which it can't be told at once whether the uid may use it (a file system that is slow) is not
 * waited for: the home waits here, and is named by the heartbeats once that is decided.
 *
 * Threads: the publisher's; admission runs on nng's.  Locks: none. */
#ifndef SERVER_NEWS_OUTLET_H
#define SERVER_NEWS_OUTLET_H

#include "proto/status.h"
#include "server/news/news.h"
#include "server/news/recent.h"

#include <nng/nng.h>
#include <protobuf-c/protobuf-c.h>
#include <stdatomic.h>

struct outlet {
    /* Fixed at open. */
    bool of_uid; /* else it carries everything */
    uint32_t uid;
    nng_socket socket;
    bool tcp_trust;
    bool (*admits)(void *context, uint32_t uid);
    void *context;
    atomic_uint_fast64_t *subscriber_count; /* lent */

    atomic_bool looking; /* somebody finds out about a home in `waiting` */

    /* The publisher's own. */
    struct recent recent;  /* what was told */
    struct recent waiting; /* changed, and not known to be the uid's */
};

/* Opens the socket and listens on news_settings' urls, or beside them for `uid`.  UNAVAILABLE, naming the URL; nothing
 * is left open then. */
MUST_USE struct status outlet_open(struct outlet *outlet, const struct news_settings *settings, const uint32_t *uid,
                                   void *context, atomic_uint_fast64_t *subscriber_count);
void outlet_close(struct outlet *outlet);

/* Publishes topic and message.  What cannot be sent is lost, as any event may be: subscribers notice by the next
 * heartbeat. */
void outlet_publish(struct outlet *outlet, const char *topic, size_t topic_size, const ProtobufCMessage *message);

#endif
