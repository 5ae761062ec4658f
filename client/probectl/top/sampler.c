/* Rounds of questions. */
#include "client/probectl/top/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HOME_COUNT_MAX = 1000 }; /* the most that one answer has */

/* Behind which part an answer belongs to. */
struct errand {
    struct sampler *sampler;
    enum sample_part part;
};

struct sampler {
    /* Fixed at create. */
    struct probed_channel *channel;
    uint32_t timeout_ms;
    int fd; /* an eventfd */
    struct errand errands[SAMPLE_PART_COUNT];

    /* The owner's. */
    bool asking; /* a round is under way, or has ended and was not taken */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct sample sample;
    unsigned pending; /* parts that have not come */
};

static const struct question {
    const char *method;
    const ProtobufCMessageDescriptor *answer;
} questions[SAMPLE_PART_COUNT] = {
    [SAMPLE_STATUS] = {"/probed.v1.AdminService/GetStatus", &probed__v1__get_status_response__descriptor},
    [SAMPLE_HOMES] = {"/probed.v1.AdminService/ListHomes", &probed__v1__list_homes_response__descriptor},
    [SAMPLE_WORKERS] = {"/probed.v1.AdminService/ListWorkers", &probed__v1__list_workers_response__descriptor},
    [SAMPLE_EVENTS] = {"/probed.v1.AdminService/ListEvents", &probed__v1__list_events_response__descriptor},
};

struct sampler *sampler_create(struct probed_channel *channel, uint32_t timeout_ms)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);

    if (sampler == NULL)
        return NULL;
    sampler->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sampler->fd < 0) {
        free(sampler);
        return NULL;
    }
    pthread_mutex_init(&sampler->lock, NULL);
    sampler->channel = channel;
    sampler->timeout_ms = timeout_ms;
    for (int part = 0; part < SAMPLE_PART_COUNT; part++)
        sampler->errands[part] = (struct errand){.sampler = sampler, .part = (enum sample_part)part};
    return sampler;
}

void sampler_destroy(struct sampler *sampler)
{
    if (sampler == NULL)
        return;
    sample_fini(&sampler->sample);
    pthread_mutex_destroy(&sampler->lock);
    close(sampler->fd);
    free(sampler);
}

int sampler_fd(const struct sampler *sampler)
{
    return sampler->fd;
}

/* ---- a round ---- */

static void settle(struct errand *errand, const struct probed_status *status, ProtobufCMessage *answer)
{
    struct sampler *sampler = errand->sampler;
    const uint64_t one = 1;

    pthread_mutex_lock(&sampler->lock);
    sampler->sample.outcomes[errand->part] = *status;
    sampler->sample.answers[errand->part] = answer;
    if (--sampler->pending == 0 && write(sampler->fd, &one, sizeof one) < 0)
        abort(); /* an eventfd takes another one: nobody else adds to it */
    pthread_mutex_unlock(&sampler->lock);
}

/* On a thread of nng's, or on ours. */
static void on_done(void *context, const struct probed_status *status, const void *response, size_t response_size)
{
    struct errand *errand = context;
    struct probed_status outcome = *status;
    ProtobufCMessage *answer = NULL;

    if (outcome.code == PROBED_OK) {
        answer = protobuf_c_message_unpack(questions[errand->part].answer, NULL, response_size, response);
        if (answer == NULL)
            outcome = (struct probed_status){.code = PROBED_INTERNAL, .message = "the answer can't be read"};
    }
    settle(errand, &outcome, answer);
}

/* Packs the request of a part into `out`, which has room for any of them; its size. */
static size_t pack_request(enum sample_part part, uint8_t out[64])
{
    Probed__V1__ListHomesRequest homes = PROBED__V1__LIST_HOMES_REQUEST__INIT;

    if (part != SAMPLE_HOMES)
        return 0; /* a message whose fields are all zero is empty */
    homes.limit = HOME_COUNT_MAX;
    homes.busy = true;
    return probed__v1__list_homes_request__pack(&homes, out);
}

void sampler_ask(struct sampler *sampler)
{
    struct probed_call_options options = {.timeout_ms = sampler->timeout_ms};

    if (sampler->asking)
        return;
    sampler->asking = true;
    pthread_mutex_lock(&sampler->lock);
    sampler->pending = SAMPLE_PART_COUNT;
    pthread_mutex_unlock(&sampler->lock);
    for (int part = 0; part < SAMPLE_PART_COUNT; part++) {
        uint8_t request[64];
        size_t size = pack_request((enum sample_part)part, request);
        struct probed_status status = probed_call_start(sampler->channel, questions[part].method, request, size,
                                                        &options, on_done, &sampler->errands[part]);

        if (status.code != PROBED_OK)
            settle(&sampler->errands[part], &status, NULL);
    }
}

bool sampler_take(struct sampler *sampler, struct sample *sample_out)
{
    uint64_t count;

    if (read(sampler->fd, &count, sizeof count) < 0)
        return false;
    pthread_mutex_lock(&sampler->lock);
    *sample_out = sampler->sample;
    memset(&sampler->sample, 0, sizeof sampler->sample);
    pthread_mutex_unlock(&sampler->lock);
    sampler->asking = false;
    return true;
}
