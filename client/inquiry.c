/* A Sync in the air. */
#include "client/inquiry.h"

#include "client/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum { TIMEOUT_MS = 2000 };

struct inquiry {
    uint64_t asked_ns;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    unsigned holder_count; /* who asked, and who answers */
    int wake_fd;           /* -1: given up */
    bool answered;
    struct inquiry_answer answer;
};

static void release(struct inquiry *inquiry)
{
    bool last;

    pthread_mutex_lock(&inquiry->lock);
    last = --inquiry->holder_count == 0;
    pthread_mutex_unlock(&inquiry->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&inquiry->lock);
    free(inquiry);
}

static void open_answer(struct inquiry_answer *answer, const void *payload, size_t payload_size)
{
    Probed__V1__SyncResponse *response;
    ProtobufCMessage *message;

    answer->status = reply_unpack(&probed__v1__sync_response__descriptor, payload, payload_size, &message);
    if (!outcome_is_ok(&answer->status))
        return;
    response = (Probed__V1__SyncResponse *)message;
    if (response->fence != NULL) {
        answer->epoch = response->fence->epoch;
        answer->generation = response->fence->generation;
    } else {
        answer->status = outcome_make(PROBED_INTERNAL, "an answer without a fence");
    }
    protobuf_c_message_free_unpacked(message, NULL);
}

static void answered(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    struct inquiry *inquiry = context;
    struct inquiry_answer answer = {.status = *status, .asked_ns = inquiry->asked_ns, .answered_ns = outcome_now_ns()};

    if (outcome_is_ok(status))
        open_answer(&answer, response, response_size);
    pthread_mutex_lock(&inquiry->lock);
    inquiry->answer = answer;
    inquiry->answered = true;
    if (inquiry->wake_fd >= 0)
        eventfd_write(inquiry->wake_fd, 1);
    pthread_mutex_unlock(&inquiry->lock);
    release(inquiry);
}

struct probed_status inquiry_begin(struct probed_channel *channel, const char *home, int wake_fd,
                                   struct inquiry **inquiry_out)
{
    static const struct probed_call_options options = {.timeout_ms = TIMEOUT_MS};
    Probed__V1__SyncRequest request = PROBED__V1__SYNC_REQUEST__INIT;
    struct inquiry *inquiry = calloc(1, sizeof *inquiry);
    unsigned char *packed;
    struct probed_status status;
    size_t size;

    request.home = (char *)(uintptr_t)home;
    size = probed__v1__sync_request__get_packed_size(&request);
    packed = malloc(size + 1);
    if (inquiry == NULL || packed == NULL) {
        free(packed);
        free(inquiry);
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory to ask for a home");
    }
    probed__v1__sync_request__pack(&request, packed);
    pthread_mutex_init(&inquiry->lock, NULL);
    inquiry->holder_count = 2;
    inquiry->wake_fd = wake_fd;
    inquiry->asked_ns = outcome_now_ns();
    status = probed_call_start(channel, "/probed.v1.ProbeService/Sync", packed, size, &options, answered, inquiry);
    free(packed);
    if (outcome_is_ok(&status)) {
        *inquiry_out = inquiry;
    } else {
        pthread_mutex_destroy(&inquiry->lock);
        free(inquiry);
    }
    return status;
}

bool inquiry_take(struct inquiry *inquiry, struct inquiry_answer *answer_out)
{
    bool is_answered;

    pthread_mutex_lock(&inquiry->lock);
    is_answered = inquiry->answered;
    if (is_answered)
        *answer_out = inquiry->answer;
    pthread_mutex_unlock(&inquiry->lock);
    if (is_answered)
        release(inquiry);
    return is_answered;
}

void inquiry_abandon(struct inquiry *inquiry)
{
    if (inquiry == NULL)
        return;
    pthread_mutex_lock(&inquiry->lock);
    inquiry->wake_fd = -1;
    pthread_mutex_unlock(&inquiry->lock);
    release(inquiry);
}
