/* What the files of this room share; nobody else includes it.
 *
 * An exchange is one nng context with what belongs to it: it receives a request, serves it as a struct rpc_call, sends
 * the reply, and is spare until it receives again.  Only as many receive as must (RECEIVING_COUNT); the rest wait last
 * in, first out, so that after a crowd the few in use stay warm in the caches.
 *
 *     listener.c   exchanges and their states          peers.c   who called, their share, whether they are still there
 *     edge.c       what becomes of a message           dispatch.c   which handler it is for
 *
 * One lock guards it all.  It is a leaf: nng and the services are called with it released. */
#ifndef SERVER_EDGE_INSIDE_H
#define SERVER_EDGE_INSIDE_H

#include "proto/limits.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/edge/edge.h"
#include "server/edge/trace.h"
#include "server/threads/lock.h"

#include <nng/nng.h>

enum {
    RECEIVING_COUNT = 64,    /* exchanges that wait for a request at any time */
    REFUSING_COUNT = 64,     /* exchanges beyond calls_max: they exist only to refuse */
    UNREAD_COUNT_MIN = 1024, /* refusals that an admitted uid may leave unread; see peers_judge_held */

    /* The same of who is not admitted: these count among the calls in progress, so it is a part of calls_max. */
    STRANGER_PART = 16,
    STRANGER_COUNT_MIN = 16,
    STRANGER_COUNT_MAX = 1024,
};

/*  SPARE --listener_pick_held--> RECEIVING --request--> SERVING --reply--> SENDING --sent--> SPARE
 *                                RECEIVING --stopped, or its client has gone already--> SPARE */
enum exchange_state { EXCHANGE_SPARE, EXCHANGE_RECEIVING, EXCHANGE_SERVING, EXCHANGE_SENDING, EXCHANGE_STATE_COUNT };

/* What of the settings may change while it runs. */
struct edge_limits {
    size_t calls_max, calls_per_uid, connections_per_uid;
    uint64_t timeout_ns_max;
};

struct exchange {
    struct rpc_call call; /* what the services see of it; its memory is used for one call after the other */

    /* Fixed at create. */
    struct edge *edge;
    nng_ctx context;
    nng_aio *receive, *send; /* owned */
    struct exchange *next;   /* in edge->exchanges */

    /* Written by the thread that received the request, before anyone else sees the call. */
    nng_pipe pipe;
    struct edge_limits limits;                 /* as they were when it arrived */
    const ProtobufCServiceDescriptor *service; /* NULL until the method is known, as is the next */
    const ProtobufCMethodDescriptor *method;
    char request_id[LIMIT_METADATA_VALUE_SIZE_MAX + 1]; /* "": none */
    struct trace trace;                                 /* while lines of calls are written */

    /* Guarded by edge->lock. */
    enum exchange_state state;
    struct list_node node; /* in edge->in_state[state] */
    unsigned hold_count;   /* who needs it: the call until its reply is sent, its dispatch, who replies, a departure */
    bool dispatching;      /* its handler has not returned: a departure must wait, the services may not know it yet */
    bool left;             /* its client went before the reply */
    uint64_t replied_ns;   /* while sending: since when */
    struct share *share;   /* that it counts in; NULL while spare or receiving */
    struct list_node of_peer;   /* in peer->calls, while served */
    struct exchange *next_left; /* the reaper's chain of departures to report */
};

/* Who somebody is to us: a uid of this machine, or a role, whose peers are counted apart from their uid's. */
struct share_key {
    uint32_t uid;
    uint32_t role_id; /* 0: none */
};

/* What one uid, or one role, has of the daemon.  It is there as long as it has a connection or an exchange. */
struct share {
    struct share_key key;
    const struct tls_role *role; /* lent; NULL: none */
    bool identified;             /* false: tcp peers without tcp_trust, together */
    bool admitted;
    bool admin;
    size_t connection_count;
    size_t exchange_count; /* calls in progress, and refusals not yet taken by the client */
    UT_hash_handle by_key;
};

/* A live pipe. */
struct peer {
    uint32_t pipe_id;
    struct share *share;
    struct list calls; /* struct exchange: served, not replied to */
    UT_hash_handle by_pipe;
};

struct edge {
    /* Fixed at create. */
    struct edge_settings settings; /* its urls are not kept; `limits` stands for what may change */
    struct service *service;       /* lent */
    const struct homes *homes;     /* lent */
    nng_socket socket;
    nng_aio *sweep; /* owned */
    struct map_seed seed;

    /* Guarded by lock. */
    struct lock lock;
    struct condition rest;      /* while stopping: something came to rest, or a pipe went */
    struct exchange *exchanges; /* owned: all of them; grows at its head, shrinks never */
    size_t exchange_count;      /* with those being opened */
    size_t opening_count;
    struct list in_state[EXCHANGE_STATE_COUNT];
    struct peer *peers;   /* owned: by pipe */
    struct share *shares; /* owned: by key */
    struct edge_limits limits;
    uint64_t last_call_id;
    uint64_t call_count, refused_count;
    uint64_t last_sent_ns; /* while draining: when a reply went out last, or the draining began */
    bool draining;
    bool stopping;
};

/* ---- listener.c ---- */

/* Opens the socket with its first exchanges and listens.  listener_close and listener_free are due either way. */
MUST_USE struct status listener_open(struct edge *edge, const char *const *urls, size_t url_count);

/* The receives end, the last replies go out, the socket is closed: no callback runs any more.  Every call must have
 * been replied to, or be about to.  Does nothing the second time. */
void listener_close(struct edge *edge);

/* What arrives from now on is refused. */
void listener_drain_held(struct edge *edge) REQUIRES(edge->lock);

/* The exchanges' memory, after listener_close. */
void listener_free(struct edge *edge);

/* The only writer of exchange->state. */
void exchange_move_held(struct edge *edge, struct exchange *exchange, enum exchange_state next) REQUIRES(edge->lock);

/* Those that serve or send. */
size_t exchanges_in_progress_held(const struct edge *edge) REQUIRES(edge->lock);

/* A spare exchange that shall receive next, moved to RECEIVING: call exchange_receive on it with the lock released.
 * NULL: enough of them do, or none is spare.  For exchanges' callbacks: listener_close waits for no others. */
struct exchange *listener_pick_held(struct edge *edge) REQUIRES(edge->lock);
void exchange_receive(struct exchange *exchange);

/* Opens one more exchange and lets it receive, unless enough do or there are calls_max + REFUSING_COUNT. */
void listener_grow(struct edge *edge);

/* ---- peers.c ---- */

/* What becomes of a request, by who sent it and what is going on. */
enum verdict {
    VERDICT_GONE,  /* its pipe is closed: nobody would read an answer, nothing is started */
    VERDICT_FLOOD, /* its client sends without reading the refusals: its pipe is to be closed */
    VERDICT_SERVE,
    VERDICT_UNAUTHENTICATED, /* from here on: answered with an error */
    VERDICT_NOT_ADMITTED,
    VERDICT_DRAINING,
    VERDICT_CALLS_MAX,
    VERDICT_CALLS_PER_UID
};

/* Notes pipes as they come and go; to be called before the first can come. */
void peers_watch(struct edge *edge);

/* Judges the request that came by `pipe`.  Unless the verdict is GONE or FLOOD, the exchange counts in its uid's share
 * from now on, the call's uid and rights are set, and a departure of its client will be noticed. */
enum verdict peers_judge_held(struct edge *edge, struct exchange *exchange, nng_pipe pipe) REQUIRES(edge->lock);

/* The reply is on its way: a departure is of no interest any more.  The exchange is over: its share is given back. */
void peers_call_replied_held(struct edge *edge, struct exchange *exchange) REQUIRES(edge->lock);
void peers_exchange_over_held(struct edge *edge, struct exchange *exchange) REQUIRES(edge->lock);

/* After the socket was closed. */
void peers_free(struct edge *edge);

/* ---- edge.c ---- */

/* Callbacks of an exchange's receive and send. */
void exchange_received(void *context);
void exchange_sent(void *context);

#endif
