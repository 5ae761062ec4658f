/* Who is at the other end of a pipe, what their uid has of the daemon, and the calls to give up when they go.
 *
 * A pipe's record is made before its first request can come (ADD_PRE; ADD_POST may be later than that) and ends with
 * REM_POST, which nng runs on its one reaper thread: nothing there may wait.  A request may be delivered when its pipe
 * is closed already, before REM_POST or behind it.  So a call is linked to its pipe's record in the same moment in
 * which that is looked up: either the record is gone and nothing is started, or REM_POST will find the call. */
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/edge/inside.h"
#include "server/tls/doorman.h"

#include <stdlib.h>

/* tcp peers without tcp_trust share one record; no user has this uid. */
#define UNIDENTIFIED UINT32_MAX

/* ---- the maps ---- */

static struct peer *find_peer_held(struct edge *edge, uint32_t pipe_id) REQUIRES(edge->lock)
{
    unsigned hash = map_hash(&edge->seed, &pipe_id, sizeof pipe_id);
    struct peer *peer;

    HASH_FIND_BYHASHVALUE(by_pipe, edge->peers, &pipe_id, sizeof pipe_id, hash, peer);
    return peer;
}

/* The share of this uid or role; what `fresh` (owned by the caller) says becomes it when there is none.  NULL: memory. */
static struct share *find_share_held(struct edge *edge, struct share **fresh) REQUIRES(edge->lock)
{
    unsigned hash = map_hash(&edge->seed, &(*fresh)->key, sizeof(*fresh)->key);
    struct share *share;
    bool added;

    HASH_FIND_BYHASHVALUE(by_key, edge->shares, &(*fresh)->key, sizeof(*fresh)->key, hash, share);
    if (share != NULL)
        return share;
    share = *fresh;
    MAP_ADD(by_key, edge->shares, &share->key, sizeof share->key, hash, share, added);
    if (!added)
        return NULL;
    *fresh = NULL;
    return share;
}

static void end_share_if_empty_held(struct edge *edge, struct share *share) REQUIRES(edge->lock)
{
    if (share->connection_count > 0 || share->exchange_count > 0)
        return;
    HASH_DELETE(by_key, edge->shares, share);
    free(share);
}

/* ---- pipes come ---- */

static bool admits(const struct edge *edge, uint32_t uid)
{
    for (size_t i = 0; i < edge->settings.allow_uid_count; i++) {
        if (edge->settings.allow_uids[i] == uid)
            return true;
    }
    return uid == edge->settings.daemon_uid || homes_uid_is_admin(edge->homes, uid);
}

/* By its role: admitted, with the rights of the role's uid.  One that is confined to some homes is no administrator. */
static void identify_role(const struct edge *edge, const struct tls_role *role, struct share *share)
{
    share->key = (struct share_key){.uid = role->uid, .role_id = role->id};
    share->role = role;
    share->identified = true;
    share->admitted = true;
    share->admin = role->scope.count == 0 && homes_uid_is_admin(edge->homes, role->uid);
}

/* Who connected.  False when the system does not say: such a peer must not pass for one that has no uid by nature. */
static bool identify(const struct edge *edge, nng_pipe pipe, struct share *share)
{
    const struct tls_role *role = tls_role_of_pipe(edge->settings.tls, pipe);
    uint64_t uid = UNIDENTIFIED;
    int error = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid);

    if (role != NULL) {
        identify_role(edge, role, share);
        return true;
    }
    if (error != 0 && error != NNG_ENOTSUP) /* NNG_ENOTSUP: tcp */
        return false;
    if (error == NNG_ENOTSUP && edge->settings.tcp_trust)
        uid = edge->settings.daemon_uid;
    share->key.uid = (uint32_t)uid;
    share->identified = share->key.uid != UNIDENTIFIED;
    share->admitted = share->identified && admits(edge, share->key.uid);
    share->admin = share->identified && homes_uid_is_admin(edge->homes, share->key.uid);
    return true;
}

/* Takes `peer` into the maps unless its uid has its fill of connections, or memory is short. */
static bool add_peer_held(struct edge *edge, struct peer *peer, struct share **fresh) REQUIRES(edge->lock)
{
    struct share *share = find_share_held(edge, fresh);
    bool added = false;

    if (share == NULL)
        return false;
    if (share->connection_count < edge->limits.connections_per_uid)
        MAP_ADD(by_pipe, edge->peers, &peer->pipe_id, sizeof peer->pipe_id,
                map_hash(&edge->seed, &peer->pipe_id, sizeof peer->pipe_id), peer, added);
    if (added) {
        peer->share = share;
        share->connection_count++;
    }
    end_share_if_empty_held(edge, share);
    return added;
}

static void pipe_comes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct edge *edge = context;
    struct share *fresh = calloc(1, sizeof *fresh);
    struct peer *peer = calloc(1, sizeof *peer);
    uint32_t uid = UNIDENTIFIED;
    size_t connections_max = 0;
    bool added = false;

    (void)event;
    doorman_lets_in(pipe);
    if (fresh != NULL && peer != NULL && identify(edge, pipe, fresh)) {
        uid = fresh->key.uid;
        peer->pipe_id = (uint32_t)nng_pipe_id(pipe);
        lock_acquire(&edge->lock);
        added = add_peer_held(edge, peer, &fresh);
        connections_max = edge->limits.connections_per_uid;
        lock_release(&edge->lock);
    }
    free(fresh); /* NULL when it became the uid's */
    if (added)
        return;
    free(peer);
    log_write(LOG_DEBUG, "connection closed on arrival",
              LOG_FIELDS(log_number("uid", uid), log_number("server.connections_per_uid", (int64_t)connections_max)));
    nng_pipe_close(pipe);
}

/* ---- pipes go ---- */

/* Unlinks the peer's calls.  Those whose handler has returned are chained, and held: they are the caller's to report;
 * the others are reported by whoever dispatches them. */
static struct exchange *take_calls_held(struct edge *edge, struct peer *peer) REQUIRES(edge->lock)
{
    struct exchange *first = NULL;
    struct list_node *node;

    lock_assert_held(&edge->lock);
    while ((node = list_pop_front(&peer->calls)) != NULL) {
        struct exchange *exchange = LIST_OWNER(node, struct exchange, of_peer);

        exchange->left = true;
        if (exchange->dispatching)
            continue;
        exchange->hold_count++;
        exchange->next_left = first;
        first = exchange;
    }
    return first;
}

static void pipe_goes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct edge *edge = context;
    struct exchange *first = NULL;
    struct peer *peer;

    (void)event;
    lock_acquire(&edge->lock);
    peer = find_peer_held(edge, (uint32_t)nng_pipe_id(pipe));
    if (peer != NULL) { /* else it was refused */
        first = take_calls_held(edge, peer);
        HASH_DELETE(by_pipe, edge->peers, peer);
        peer->share->connection_count--;
        end_share_if_empty_held(edge, peer->share);
        if (edge->stopping)
            condition_broadcast(&edge->rest);
    }
    lock_release(&edge->lock);
    free(peer);
    for (struct exchange *exchange = first, *next; exchange != NULL; exchange = next) {
        next = exchange->next_left; /* read first: once that is dealt with, it may serve another call */
        service_call_left(edge->service, &exchange->call, exchange->call.id);
    }
}

void peers_watch(struct edge *edge)
{
    int error = nng_pipe_notify(edge->socket, NNG_PIPE_EV_ADD_PRE, pipe_comes, edge);

    INVARIANT(error == 0);
    error = nng_pipe_notify(edge->socket, NNG_PIPE_EV_REM_POST, pipe_goes, edge);
    INVARIANT(error == 0);
}

/* ---- requests ---- */

/* Refusals that somebody may leave unread who is not admitted: no part of calls_max that others would miss. */
static size_t stranger_count_max(const struct edge *edge)
{
    size_t count = edge->limits.calls_max / STRANGER_PART;

    return count < STRANGER_COUNT_MIN ? STRANGER_COUNT_MIN : count > STRANGER_COUNT_MAX ? STRANGER_COUNT_MAX : count;
}

/* Exchanges that this uid may have: its calls, and as many refusals that it has not taken yet, since a crowd that calls
 * all at once is refused faster than it reads. */
static size_t exchange_count_max(const struct edge *edge, const struct share *share)
{
    size_t calls = edge->limits.calls_per_uid;

    if (!share->admitted)
        return stranger_count_max(edge);
    return calls + (calls > UNREAD_COUNT_MIN ? calls : UNREAD_COUNT_MIN);
}

static enum verdict judge_held(const struct edge *edge, const struct share *share) REQUIRES(edge->lock)
{
    if (share->exchange_count >= exchange_count_max(edge, share))
        return VERDICT_FLOOD;
    if (!share->identified)
        return VERDICT_UNAUTHENTICATED;
    if (!share->admitted)
        return VERDICT_NOT_ADMITTED;
    if (edge->draining)
        return VERDICT_DRAINING;
    if (exchanges_in_progress_held(edge) >= edge->limits.calls_max)
        return VERDICT_CALLS_MAX;
    if (share->exchange_count >= edge->limits.calls_per_uid)
        return VERDICT_CALLS_PER_UID;
    return VERDICT_SERVE;
}

enum verdict peers_judge_held(struct edge *edge, struct exchange *exchange, nng_pipe pipe)
{
    struct peer *peer = find_peer_held(edge, (uint32_t)nng_pipe_id(pipe));
    enum verdict verdict;

    lock_assert_held(&edge->lock);
    if (peer == NULL)
        return VERDICT_GONE;
    verdict = judge_held(edge, peer->share);
    if (verdict == VERDICT_FLOOD)
        return verdict;
    exchange->share = peer->share;
    exchange->share->exchange_count++;
    exchange->call.uid = peer->share->key.uid;
    exchange->call.scope = peer->share->role != NULL ? &peer->share->role->scope : NULL;
    exchange->call.admin = peer->share->admin;
    exchange->left = false;
    list_push_back(&peer->calls, &exchange->of_peer);
    return verdict;
}

void peers_call_replied_held(struct edge *edge, struct exchange *exchange)
{
    lock_assert_held(&edge->lock);
    list_remove(&exchange->of_peer);
}

void peers_exchange_over_held(struct edge *edge, struct exchange *exchange)
{
    struct share *share = exchange->share;

    lock_assert_held(&edge->lock);
    exchange->share = NULL;
    share->exchange_count--;
    end_share_if_empty_held(edge, share);
}

void peers_free(struct edge *edge)
{
    struct peer *peer, *next_peer;
    struct share *share, *next_share;

    HASH_ITER(by_pipe, edge->peers, peer, next_peer) /* pipes that came while the socket was being closed */
    {
        HASH_DELETE(by_pipe, edge->peers, peer);
        free(peer);
    }
    HASH_ITER(by_key, edge->shares, share, next_share)
    {
        HASH_DELETE(by_key, edge->shares, share);
        free(share);
    }
}
