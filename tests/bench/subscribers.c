/* Many subscribers in one process, to see what events cost those who publish them and how late they come.
 *
 *     bench-subscribers URL COUNT
 *
 * Each is a SUB socket of nng's for every home.  It prints "ready" once each has heard something, and at the end of its
 * input one JSON document: deliveries, and how late they were in microseconds, from the moment in the event's reason
 * ("t=NANOSECONDS", as bench-client writes it) to its being read here. */
#include "gen/probed/v1/probe.pb-c.h"
#include "proto/topic.h"
#include "tests/bench/common.h"

#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

enum { COUNT_MAX = 8192 };

struct subscriber {
    nng_socket socket;
    nng_aio *aio;
    bool heard;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t all_heard;
    size_t heard_count;
    struct histogram lateness;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .all_heard = PTHREAD_COND_INITIALIZER};

/* When the change behind it began; 0: not said. */
static uint64_t begun_of(nng_msg *message)
{
    const uint8_t *body = nng_msg_body(message);
    size_t size = nng_msg_len(message), topic = topic_size(body, size);
    Probed__V1__CredentialEvent *event;
    uint64_t begun_ns = 0;

    if (strncmp((const char *)body, TOPIC_HOME, sizeof TOPIC_HOME - 1) != 0)
        return 0;
    event = probed__v1__credential_event__unpack(NULL, size - topic, body + topic);
    if (event != NULL && sscanf(event->reason, "t=%" SCNu64, &begun_ns) != 1)
        begun_ns = 0;
    if (event != NULL)
        probed__v1__credential_event__free_unpacked(event, NULL);
    return begun_ns;
}

static void step(void *argument)
{
    struct subscriber *subscriber = argument;
    uint64_t begun_ns;
    nng_msg *message;

    if (nng_aio_result(subscriber->aio) != 0)
        return;
    message = nng_aio_get_msg(subscriber->aio);
    begun_ns = begun_of(message);
    nng_msg_free(message);
    pthread_mutex_lock(&all.lock);
    if (begun_ns != 0)
        histogram_add(&all.lateness, now_ns() - begun_ns);
    all.heard_count += !subscriber->heard;
    subscriber->heard = true;
    pthread_cond_signal(&all.all_heard);
    pthread_mutex_unlock(&all.lock);
    nng_recv_aio(subscriber->socket, subscriber->aio);
}

int main(int argc, char **argv)
{
    static struct subscriber subscribers[COUNT_MAX];
    size_t count = argc == 3 ? (size_t)atol(argv[2]) : 0;
    char byte;

    if (count == 0 || count > COUNT_MAX) {
        fprintf(stderr, "usage: bench-subscribers URL COUNT\n");
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        must(nng_sub0_open(&subscribers[i].socket), "open");
        must(nng_socket_set(subscribers[i].socket, NNG_OPT_SUB_SUBSCRIBE, "", 0), "subscribe");
        must(nng_aio_alloc(&subscribers[i].aio, step, &subscribers[i]), "aio");
        must(nng_dial(subscribers[i].socket, argv[1], NULL, 0), argv[1]);
        nng_recv_aio(subscribers[i].socket, subscribers[i].aio);
    }
    pthread_mutex_lock(&all.lock);
    while (all.heard_count < count)
        pthread_cond_wait(&all.all_heard, &all.lock);
    pthread_mutex_unlock(&all.lock);
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    pthread_mutex_lock(&all.lock);
    printf("{\"subscribers\":%zu,", count);
    print_latency(stdout, &all.lateness);
    puts("}");
    fflush(stdout);
    _exit(0); /* closing thousands of sockets one by one shows nothing */
}
