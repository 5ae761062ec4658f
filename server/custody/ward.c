/* The table of wards, see ward.h. */
#include "server/custody/ward.h"

#include "server/custody/descriptor.h"

#include <stdlib.h>

#define TO(state) (1u << (state))

/*  QUEUED --sent--> SENT --up--> UP --reaped--> GONE;   QUEUED --refused--> GONE;   SENT --not started--> GONE;
 *  SENT, UP --custodian died--> ORPHANED --reaped--> GONE;   ORPHANED --was not up--> QUEUED  */
static const unsigned ward_may_become[WARD_STATE_COUNT] = {
    [WARD_QUEUED] = TO(WARD_SENT) | TO(WARD_GONE),
    [WARD_SENT] = TO(WARD_UP) | TO(WARD_ORPHANED) | TO(WARD_GONE),
    [WARD_UP] = TO(WARD_ORPHANED) | TO(WARD_GONE),
    [WARD_ORPHANED] = TO(WARD_QUEUED) | TO(WARD_GONE),
};

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
    MAP_ADD(handle, wards->by_id, &ward->worker_id, sizeof ward->worker_id, map_hash_id(worker_id), ward, added);
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

    HASH_FIND_BYHASHVALUE(handle, wards->by_id, &worker_id, sizeof worker_id, map_hash_id(worker_id), ward);
    return ward;
}

void wards_move(struct wards *wards, struct ward *ward, enum ward_state next)
{
    INVARIANT((ward_may_become[ward->state] & TO(next)) != 0);
    ward->state = next;
    list_move(&wards->in_state[next], &ward->state_node);
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

int ward_open_channel(struct ward *ward)
{
    int ends[2], error = descriptor_open_pipe(DESCRIPTOR_WRITES, ends);

    if (error != 0)
        return error;
    ward->request_fd = ends[DESCRIPTOR_WRITES];
    ward->start_fds[ORDER_REQUEST] = ends[DESCRIPTOR_READS];
    error = descriptor_open_pipe(DESCRIPTOR_READS, ends);
    if (error != 0)
        return error;
    ward->answer_fd = ends[DESCRIPTOR_READS];
    ward->start_fds[ORDER_ANSWER] = ends[DESCRIPTOR_WRITES];
    return 0;
}

void ward_close_channel(struct ward *ward)
{
    descriptor_close(&ward->request_fd);
    descriptor_close(&ward->answer_fd);
}

void ward_close_worker_ends(struct ward *ward)
{
    descriptor_close(&ward->start_fds[ORDER_REQUEST]);
    descriptor_close(&ward->start_fds[ORDER_ANSWER]);
}

void ward_close_start(struct ward *ward)
{
    ward_close_worker_ends(ward);
    descriptor_close(&ward->start_fds[ORDER_HOME]);
}
