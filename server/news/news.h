/* The publisher: events in their order, heartbeats, and the answers that may only follow their event.
 *
 * One thread drains the engine's news outbox, so that a publish (5 microseconds a subscriber, in the caller's thread)
 * never happens in a callback or under the engine's lock, and what has an order keeps it.  It takes all it tells from
 * that outbox, the epoch included, so that a heartbeat neither runs ahead of an event nor stays behind one.
 *
 * Who may hear what: see outlet.h.
 *
 * Threads: one of its own; it calls the source with no lock held.  Locks: one, a leaf. */
#ifndef SERVER_NEWS_NEWS_H
#define SERVER_NEWS_NEWS_H

#include "proto/status.h"
#include "server/engine/engine.h"
#include "server/news/history.h"
#include "server/tls/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct news;

struct news_settings {
    const char *const *urls; /* server.publish; lent during news_create, as are the uids */
    size_t url_count;
    const uint32_t *uids; /* admitted, but not to everything: each has events.<uid>.sock beside each ipc URL */
    size_t uid_count;
    int ipc_mode; /* permissions of ipc sockets */
    bool tcp_trust;
    struct tls *tls; /* lent until news_destroy; NULL: no URL takes it */
    size_t connections_per_role;
    bool (*admits)(void *context, uint32_t uid); /* whether an ipc peer may hear everything */
    uint64_t heartbeat_ns;
};

enum { NEWS_URL_SIZE = 256 };

/* Where `uid` hears of its homes: events.<uid>.sock in the folder of urls[index].  False: nowhere, since that is no
 * ipc URL, or is in the folder of an earlier one, or the path is too long. */
MUST_USE bool news_url_of_uid(const char *const *urls, size_t index, uint32_t uid, char out[NEWS_URL_SIZE]);

enum news_verdict { NEWS_NOT_HEARD, NEWS_HEARD, NEWS_UNDECIDED };

/* Where news come from, and where it goes back up. */
struct news_source {
    bool (*next)(void *context, struct engine_news *news_out); /* as engine_news_next */
    uint64_t (*epoch)(void *context);
    void (*answered)(void *context, struct engine_call *call); /* its event is out: answer it now */

    /* Whether this uid may use the home; does not block.  UNDECIDED: it is asked again with the next heartbeat. */
    enum news_verdict (*judge)(void *context, uint32_t uid, const char *home);

    /* Begins to find out what judge() could not: one home of a uid at a time, until news_looked.  False: not now. */
    bool (*look)(void *context, uint32_t uid, const char *home);
};

/* Opens the sockets and starts listening.  INVALID_ARGUMENT or UNAVAILABLE naming the URL.  `context` is handed to
 * every function above and lent until news_destroy. */
MUST_USE struct status news_create(const struct news_settings *settings, const struct news_source *source,
                                   void *context, struct news **news_out);

/* Publishes what is left in the outbox and ends the thread: the source is asked nothing more.  Does nothing the second
 * time. */
void news_stop(struct news *news);

/* news_stop if that is still due, then closes. */
void news_destroy(struct news *news);

/* There is something in the outbox. */
void news_wake(struct news *news);

/* Takes over heartbeat_ns and connections_per_role; the rest stays as it was created.  A heartbeat tells another
 * interval at once, so that nobody takes a longer one for silence; no connection that is there is closed. */
void news_settings_changed(struct news *news, const struct news_settings *settings);

/* A look is over: judge() may know by now. */
void news_looked(struct news *news, uint32_t uid);

/* For status: what was published so far; an event or heartbeat counts once, however many outlets tell it. */
struct news_counts {
    uint64_t events, beats, subscribers;
};
void news_look(struct news *news, struct news_counts *counts_out);

/* The newest events first, at most HISTORY_EVENT_COUNT_MAX. */
size_t news_look_history(struct news *news, struct history_event *events, size_t event_count_max);

#endif
