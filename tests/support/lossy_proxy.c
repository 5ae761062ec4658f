/* From a SUB socket to a PUB socket, with misfortune between. */
#include "tests/support/lossy_proxy.h"

#include "server/base/clock.h"

#include <check.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { HELD_COUNT_MAX = 4096, QUEUE_COUNT = 8192, LOOK_MS = 2 };

struct held {
    nng_msg *message; /* NULL: none */
    uint64_t due_ns;
};

struct lossy_proxy {
    struct lossy_proxy_settings settings;
    nng_socket from, to;
    pthread_t thread;
    atomic_bool lossy, stopping;
    _Atomic uint64_t lag_ms;

    /* The thread's own. */
    uint64_t random;
    struct held held[HELD_COUNT_MAX];
    struct lossy_proxy_counts counts;
};

static uint64_t draw(struct lossy_proxy *proxy, uint64_t below)
{
    proxy->random ^= proxy->random << 13;
    proxy->random ^= proxy->random >> 7;
    proxy->random ^= proxy->random << 17;
    return proxy->random % below;
}

static void pass(struct lossy_proxy *proxy, nng_msg *message)
{
    ck_assert_int_eq(nng_sendmsg(proxy->to, message, NNG_FLAG_NONBLOCK), 0);
}

static void pass_due(struct lossy_proxy *proxy)
{
    uint64_t now_ns = clock_now_ns();
    struct held *first;

    do {
        first = NULL;
        for (size_t i = 0; i < HELD_COUNT_MAX; i++) {
            struct held *held = &proxy->held[i];

            if (held->message != NULL && held->due_ns <= now_ns && (first == NULL || held->due_ns < first->due_ns))
                first = held;
        }
        if (first != NULL) {
            pass(proxy, first->message);
            first->message = NULL;
        }
    } while (first != NULL);
}

static void hold(struct lossy_proxy *proxy, nng_msg *message, uint64_t delay_ns)
{
    for (size_t i = 0; i < HELD_COUNT_MAX; i++) {
        if (proxy->held[i].message != NULL)
            continue;
        proxy->held[i].message = message;
        proxy->held[i].due_ns = clock_now_ns() + delay_ns;
        return;
    }
    nng_msg_free(message);
}

static uint64_t draw_delay_ns(struct lossy_proxy *proxy)
{
    return draw(proxy, proxy->settings.delay_ms_max * NS_PER_MS) + 1;
}

/* A sixth each of what comes is lost, repeated at once, and delayed. */
static void treat(struct lossy_proxy *proxy, nng_msg *message)
{
    uint64_t fate = atomic_load(&proxy->lossy) ? draw(proxy, 6) : 5;
    nng_msg *again;

    switch (fate) {
    case 0:
        proxy->counts.dropped++;
        nng_msg_free(message);
        break;
    case 1:
        proxy->counts.repeated++;
        ck_assert_int_eq(nng_msg_dup(&again, message), 0);
        pass(proxy, message);
        hold(proxy, again, draw_delay_ns(proxy));
        break;
    case 2:
        proxy->counts.delayed++;
        hold(proxy, message, draw_delay_ns(proxy));
        break;
    default:
        proxy->counts.passed++;
        pass(proxy, message);
    }
}

static void *run(void *context)
{
    struct lossy_proxy *proxy = context;
    nng_msg *message;

    while (!atomic_load(&proxy->stopping)) {
        if (nng_recvmsg(proxy->from, &message, 0) == 0) {
            if (atomic_load(&proxy->lag_ms) > 0)
                hold(proxy, message, atomic_load(&proxy->lag_ms) * NS_PER_MS);
            else
                treat(proxy, message);
        }
        pass_due(proxy);
    }
    return NULL;
}

struct lossy_proxy *lossy_proxy_create(const struct lossy_proxy_settings *settings)
{
    struct lossy_proxy *proxy = calloc(1, sizeof *proxy);

    ck_assert_ptr_nonnull(proxy);
    proxy->settings = *settings;
    proxy->random = settings->seed | 1;
    ck_assert_int_eq(nng_pub0_open(&proxy->to), 0);
    ck_assert_int_eq(nng_socket_set_int(proxy->to, NNG_OPT_SENDBUF, QUEUE_COUNT), 0);
    ck_assert_int_eq(nng_listen(proxy->to, settings->to_url, NULL, 0), 0);
    ck_assert_int_eq(nng_sub0_open(&proxy->from), 0);
    ck_assert_int_eq(nng_socket_set_int(proxy->from, NNG_OPT_RECVBUF, QUEUE_COUNT), 0);
    ck_assert_int_eq(nng_socket_set(proxy->from, NNG_OPT_SUB_SUBSCRIBE, "", 0), 0);
    ck_assert_int_eq(nng_socket_set_ms(proxy->from, NNG_OPT_RECVTIMEO, LOOK_MS), 0);
    ck_assert_int_eq(nng_dial(proxy->from, settings->from_url, NULL, 0), 0);
    ck_assert_int_eq(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

void lossy_proxy_be_lossy(struct lossy_proxy *proxy, bool lossy)
{
    atomic_store(&proxy->lossy, lossy);
}

void lossy_proxy_lag(struct lossy_proxy *proxy, uint64_t lag_ms)
{
    atomic_store(&proxy->lag_ms, lag_ms);
}

struct lossy_proxy_counts lossy_proxy_destroy(struct lossy_proxy *proxy)
{
    struct lossy_proxy_counts counts;

    atomic_store(&proxy->stopping, true);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < HELD_COUNT_MAX; i++) {
        if (proxy->held[i].message != NULL)
            nng_msg_free(proxy->held[i].message);
    }
    nng_close(proxy->from);
    nng_close(proxy->to);
    counts = proxy->counts;
    free(proxy);
    return counts;
}
