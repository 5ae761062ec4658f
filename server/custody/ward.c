/* The table of wards, see ward.h. */
#include "server/custody/ward.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define TO(state) (1u << (state))

/*  QUEUED --sent--> SENT --up--> UP --reaped--> GONE;   QUEUED --refused--> GONE;   SENT --not started--> GONE;
 *  SENT, UP --custodian died--> ORPHANED --reaped--> GONE;   ORPHANED --was not up--> QUEUED  */
static const unsigned ward_may_become[WARD_STATE_COUNT] = {
    [WARD_QUEUED] = TO(WARD_SENT) | TO(WARD_GONE),
    [WARD_SENT] = TO(WARD_UP) | TO(WARD_ORPHANED) | TO(WARD_GONE),
    [WARD_UP] = TO(WARD_ORPHANED) | TO(WARD_GONE),
    [WARD_ORPHANED] = TO(WARD_QUEUED) | TO(WARD_GONE),
};

/* Ids are our own and dense: no stranger chooses them, so no keyed hash is needed. */
static unsigned hash_id(uint64_t worker_id)
{
    return (unsigned)(worker_id ^ worker_id >> 32);
}

struct ward *wards_add(struct wards *wards, uint64_t worker_id)
{
    struct ward *ward;
    bool added;

    INVARIANT(wards_find(wards, worker_id) == NULL);
    ward = calloc(1, sizeof *ward);
    if (ward == NULL)
        return NULL;
    ward->worker_id = worker_id;
    ward->request_fd = ward->answer_fd = -1;
    for (size_t i = 0; i < ORDER_DESCRIPTOR_COUNT; i++)
        ward->start_fds[i] = -1;
    MAP_ADD(handle, wards->by_id, &ward->worker_id, sizeof ward->worker_id, hash_id(worker_id), ward, added);
    if (!added) {
        free(ward);
        return NULL;
    }
    list_push_back(&wards->in_state[WARD_QUEUED], &ward->state_node);
    return ward;
}

struct ward *wards_find(const struct wards *wards, uint64_t worker_id)
{
    struct ward *ward;

    HASH_FIND_BYHASHVALUE(handle, wards->by_id, &worker_id, sizeof worker_id, hash_id(worker_id), ward);
    return ward;
}

void wards_move(struct wards *wards, struct ward *ward, enum ward_state next)
{
    INVARIANT((ward_may_become[ward->state] & TO(next)) != 0);
    ward->state = next;
    list_move(&wards->in_state[next], &ward->state_node);
}

static void close_once(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void wards_forget(struct wards *wards, struct ward *ward)
{
    HASH_DELETE(handle, wards->by_id, ward);
    list_remove(&ward->state_node);
    list_remove(&ward->queue_node);
    ward_close_start(ward);
    ward_close_channel(ward);
    free(ward->home);
    free(ward);
}

/* A pipe of which one end is ours and must not block us; the other blocks its worker as a program expects. */
static int make_pipe(int *ours, int our_side, int *theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    if (fcntl(ends[our_side], F_SETFL, O_NONBLOCK) < 0) {
        int error = errno;

        close(ends[0]);
        close(ends[1]);
        return error;
    }
    *ours = ends[our_side];
    *theirs = ends[1 - our_side];
    return 0;
}

int ward_open_channel(struct ward *ward)
{
    int error = make_pipe(&ward->request_fd, 1, &ward->start_fds[ORDER_REQUEST]);

    if (error == 0)
        error = make_pipe(&ward->answer_fd, 0, &ward->start_fds[ORDER_ANSWER]);
    return error;
}

void ward_close_channel(struct ward *ward)
{
    close_once(&ward->request_fd);
    close_once(&ward->answer_fd);
}

void ward_close_worker_ends(struct ward *ward)
{
    close_once(&ward->start_fds[ORDER_REQUEST]);
    close_once(&ward->start_fds[ORDER_ANSWER]);
}

void ward_close_start(struct ward *ward)
{
    ward_close_worker_ends(ward);
    close_once(&ward->start_fds[ORDER_HOME]);
}
