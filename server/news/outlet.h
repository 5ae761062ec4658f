/* One PUB socket: who may hear it, what it has told lately.
 *
 * All of a PUB socket's traffic reaches every peer's wire, so admission is the only scope that keeps a secret.  The
 * first outlet carries everything and admits administrators; each further uid, and each role that is no administrator's
 * (tls.h), has one of its own, with the events and the heartbeats of the homes that it may use alone.
 *
 * An event of a home of which it can't be told at once whether the uid may use it (a file system that is slow) holds up
 * nothing but the further events of that home: it waits here until that is decided.
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

/* Whom an outlet is for. */
struct outlet_audience {
    bool everything; /* administrators; else: */
    uint32_t uid;
    const struct tls_role *role; /* lent; NULL: peers of this machine */
};

/* An event that waits for a verdict. */
struct held_event {
    struct list_node node; /* in outlet->held */
    nng_msg *message;      /* owned */
    uint64_t generation;
    char home[];
};

enum { HELD_EVENT_COUNT_MAX = 256 };

struct outlet {
    /* Fixed at open. */
    struct outlet_audience audience;
    nng_socket socket;
    bool tcp_trust;
    struct tls *tls; /* lent */
    bool (*admits)(void *context, uint32_t uid);
    void *context;
    atomic_uint_fast64_t *subscriber_count; /* lent */

    atomic_size_t role_pipe_count; /* peers of roles */
    atomic_size_t connections_per_role;

    atomic_bool looking; /* somebody finds out about a home in `held` */

    /* The publisher's own. */
    struct recent recent; /* what was told */
    struct list held;     /* struct held_event, as they came */
};

/* Opens the socket and listens on those of news_settings' urls that are for its audience, or beside them for a uid.
 * UNAVAILABLE, naming the URL; nothing is left open then. */
MUST_USE struct status outlet_open(struct outlet *outlet, const struct news_settings *settings,
                                   const struct outlet_audience *audience, void *context,
                                   atomic_uint_fast64_t *subscriber_count);
void outlet_close(struct outlet *outlet);

/* Whether the role hears everything, and needs no outlet of its own. */
bool outlet_role_hears_all(const struct news_settings *settings, const struct tls_role *role, void *context);

/* Topic and message in one; given.  NULL, and said in the log: no memory. */
nng_msg *outlet_pack(const char *topic, size_t topic_size, const ProtobufCMessage *message);

/* Publishes; takes the message, NULL is fine.  What cannot be sent is lost, as any event may be: subscribers notice by
 * the next heartbeat. */
void outlet_publish(struct outlet *outlet, nng_msg *message);

/* Takes the message and holds it; when there is no room it is lost, and the heartbeats after `beat` say that they do
 * not name all. */
void outlet_hold(struct outlet *outlet, nng_msg *message, const char *home, uint64_t generation, uint64_t beat);

/* Whether an event of this home waits, before `end` (NULL: at all). */
bool outlet_holds(const struct outlet *outlet, const char *home, const struct list_node *end);

/* Publishes an event that was held, or drops it. */
void outlet_let_go(struct outlet *outlet, struct held_event *event, bool publish, uint64_t beat);
void outlet_drop_held(struct outlet *outlet);

#endif
