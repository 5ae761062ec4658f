/* The publisher: events in their order, heartbeats, and the answers that may only follow their event.
 *
 * One thread drains the engine's news outbox, so that a publish (5 microseconds a subscriber, in the caller's thread)
 * never happens in a callback or under the engine's lock, and what has an order keeps it.
 *
 * Admission is the only scope that keeps a secret, since all of a PUB socket's traffic reaches every peer: root, the
 * daemon's uid and administrators are let in, others are closed on arrival; tcp peers only with tcp_trust.
 *
 * Threads: one of its own; it calls the source and `answered` with no lock held.  Locks: one, a leaf. */
#ifndef SERVER_NEWS_NEWS_H
#define SERVER_NEWS_NEWS_H

#include "proto/status.h"
#include "server/engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct news;

struct news_settings {
    const char *const *urls; /* server.publish; lent during news_create */
    size_t url_count;
    int ipc_mode; /* permissions of ipc sockets */
    bool tcp_trust;
    bool (*admits)(void *context, uint32_t uid); /* whether an ipc peer may hear everything */
    uint64_t heartbeat_ns;
};

/* Where news come from, and where it goes back up. */
struct news_source {
    bool (*next)(void *context, struct engine_news *news_out); /* as engine_news_next */
    size_t (*heads)(void *context, uint64_t since_ns, struct engine_head *heads, size_t head_count_max, bool *more_out);
    uint64_t (*epoch)(void *context);
    void (*answered)(void *context, struct engine_call *call); /* its event is out: answer it now */
};

/* Opens the socket and starts listening.  INVALID_ARGUMENT or UNAVAILABLE naming the URL.  `context` is handed to
 * every function above and lent until news_destroy. */
MUST_USE struct status news_create(const struct news_settings *settings, const struct news_source *source,
                                   void *context, struct news **news_out);

/* Publishes what is left in the outbox, then closes. */
void news_destroy(struct news *news);

/* There is something in the outbox. */
void news_wake(struct news *news);

/* For status: what was published so far. */
struct news_counts {
    uint64_t events, beats, subscribers;
};
void news_look(struct news *news, struct news_counts *counts_out);

#endif
