#include "tests/support/listener.h"

#include "proto/topic.h"
#include "tests/support/patience.h"

#include <check.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdlib.h>
#include <string.h>

static void must(int error)
{
    ck_assert_msg(error == 0, "nng: %s", nng_strerror(error));
}

void listener_init(struct listener *listener)
{
    must(nng_sub0_open(&listener->socket));
    must(nng_socket_set(listener->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0));
    must(nng_socket_set_int(listener->socket, NNG_OPT_RECVBUF, 8192));
    must(nng_socket_set_ms(listener->socket, NNG_OPT_RECVTIMEO, PATIENCE_MS));
}

void listener_open(struct listener *listener, const char *url)
{
    struct heard first;

    listener_init(listener);
    must(nng_dial(listener->socket, url, NULL, 0));
    first = listener_next_beat(listener);
    heard_end(&first);
}

void listener_close(struct listener *listener)
{
    nng_close(listener->socket);
}

/* What stands behind the topic; the topic of an event must be its home's. */
static struct heard read_message(nng_msg *message)
{
    const unsigned char *bytes = nng_msg_body(message);
    size_t size = nng_msg_len(message), head_size = topic_size(bytes, size);
    struct heard heard = {NULL, NULL};
    char topic[TOPIC_SIZE_MAX];

    ck_assert_uint_gt(head_size, 0);
    if (head_size == strlen(TOPIC_BEAT) && memcmp(bytes, TOPIC_BEAT, head_size) == 0) {
        heard.beat = probed__v1__heartbeat__unpack(NULL, size - head_size, bytes + head_size);
        ck_assert_ptr_nonnull(heard.beat);
    } else {
        heard.event = probed__v1__credential_event__unpack(NULL, size - head_size, bytes + head_size);
        ck_assert_ptr_nonnull(heard.event);
        ck_assert_uint_eq(topic_write(heard.event->home, topic), head_size);
        ck_assert_mem_eq(topic, bytes, head_size);
    }
    return heard;
}

struct heard listener_next(struct listener *listener)
{
    nng_msg *message;
    struct heard heard;

    must(nng_recvmsg(listener->socket, &message, 0));
    heard = read_message(message);
    nng_msg_free(message);
    return heard;
}

struct heard listener_next_event(struct listener *listener)
{
    struct heard heard = listener_next(listener);

    while (heard.event == NULL) {
        heard_end(&heard);
        heard = listener_next(listener);
    }
    return heard;
}

struct heard listener_next_beat(struct listener *listener)
{
    struct heard heard = listener_next(listener);

    while (heard.beat == NULL) {
        heard_end(&heard);
        heard = listener_next(listener);
    }
    return heard;
}

void heard_end(struct heard *heard)
{
    if (heard->event != NULL)
        probed__v1__credential_event__free_unpacked(heard->event, NULL);
    if (heard->beat != NULL)
        probed__v1__heartbeat__free_unpacked(heard->beat, NULL);
    *heard = (struct heard){NULL, NULL};
}
