/* The engine under a test's hand: time that is set, calls in one line, and everything that came out, kept.
 *
 * Each step's actions are taken in at once: calls that came back are marked, leases and orders are remembered by
 * worker, news are kept in order.  The outboxes are emptied behind each step unless the test says that their drainers
 * are slow.
 *
 *     struct driver *driver = driver_create(&settings);
 *     struct engine_call *call = driver_ask(driver, (struct ask){.home = "/h", .provider = "openrouter"});
 *     driver_up(driver, 1);                                    opened, launched, up
 *     driver_answer(driver, 1);                                its lease comes back with an answer
 *     ck_assert(driver_is_back(driver, call) && call->result.origin == ORIGIN_COLD);
 *     driver_destroy(driver);                                  stops the engine and checks that it is empty
 *
 * Threads: one. */
#ifndef TESTS_SUPPORT_ENGINE_DRIVER_H
#define TESTS_SUPPORT_ENGINE_DRIVER_H

#include "server/base/duration.h"
#include "server/engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DRIVER_CALL_COUNT_MAX = 2048,
    DRIVER_WORKER_COUNT_MAX = 512, /* ids from 1 */
    DRIVER_NEWS_COUNT_MAX = 256,
    DRIVER_EPOCH = 0xe1
};

struct driver_worker {
    bool pin, launch, kill; /* ordered so far */
    unsigned end_count;
    bool end_gone;                /* the last END said that it is gone */
    enum engine_end_reason why;   /* of the last KILL or END */
    struct worker_channel closed; /* the last END's */
    uint32_t uid;                 /* of the PIN */
    char home[64];                /* of the PIN */
    int home_fd;                  /* of the LAUNCH */
    struct engine_lease *lease;   /* lent now; NULL: none */
    uint64_t watch_turn;          /* of its latest idle time */
    unsigned lease_count;
};

struct driver_news {
    enum engine_news_kind kind;
    struct fence fence;
    enum cause cause;
    char home[64], provider[LIMIT_PROVIDER_SIZE_MAX + 1], reason[32];
    struct engine_call *call;
};

struct driver {
    struct engine *engine;
    struct engine_settings settings;
    uint64_t now_ns;
    bool slow_orders, slow_news;      /* their drainers do not come by themselves */
    void (*around_step)(bool begins); /* called before and behind each step of the engine; NULL: nobody */

    struct engine_call calls[DRIVER_CALL_COUNT_MAX];
    bool back[DRIVER_CALL_COUNT_MAX];
    size_t call_count;
    struct engine_call *answered[DRIVER_CALL_COUNT_MAX]; /* in the order they came back */
    size_t answered_count;

    struct driver_worker workers[DRIVER_WORKER_COUNT_MAX];
    uint64_t pinned_count;                              /* PIN orders so far */
    struct engine_lease *leases[DRIVER_CALL_COUNT_MAX]; /* in order */
    size_t lease_count;
    uint64_t idled_id; /* said to be idle in the last step; 0: none */

    struct driver_news news[DRIVER_NEWS_COUNT_MAX];
    size_t news_count;
};

/* Roomy: nothing is refused, evicted or aged unless a test says so. */
extern const struct engine_settings driver_settings;

struct driver *driver_create(const struct engine_settings *settings);
void driver_destroy(struct driver *driver);

/* A Probe as a test sees it; what is left out is as plain as can be. */
struct ask {
    const char *home, *provider, *key; /* NULL: "/h", "openrouter", what the home holds */
    uint32_t uid;
    bool refresh, accept_stale;
    uint64_t age_ns_max;
    struct fence at_least;
    uint64_t directory;   /* its first word */
    uint64_t patience_ns; /* to the deadline; 0: 35 s */
};
struct engine_call *driver_ask(struct driver *driver, struct ask ask);

/* The same call before it is handed in, with driver_hand_in for the step; parked between them, if wanted. */
struct engine_call *driver_prepare(struct driver *driver, struct ask ask);
void driver_hand_in(struct driver *driver, struct engine_call *call, const char *home);
void driver_park(struct driver *driver, struct engine_call *call);

struct void_order {
    const char *home;     /* NULL: every home */
    const char *provider; /* NULL: all */
    uint32_t uid;
    bool quiesced, known_only;
    uint64_t new_epoch;
    uint64_t patience_ns; /* 0: 35 s */
};
struct engine_call *driver_invalidate(struct driver *driver, struct void_order order);
struct fence driver_sync(struct driver *driver, const char *home);
void driver_leave(struct driver *driver, struct engine_call *call);

bool driver_is_back(const struct driver *driver, const struct engine_call *call);
enum status_code driver_code(const struct driver *driver, const struct engine_call *call); /* it is back */

/* Workers, by id.  driver_up: whatever is missing until it is up. */
bool driver_pinned(struct driver *driver, uint64_t worker_id);
void driver_up(struct driver *driver, uint64_t worker_id);
void driver_gone(struct driver *driver, uint64_t worker_id); /* "exit status 1", the worker's own fault */
void driver_gone_for(struct driver *driver, uint64_t worker_id, enum engine_blame blame, const char *why);
void driver_spoke(struct driver *driver, uint64_t worker_id);

/* What a worker found out; what is left out is not there. */
struct reply {
    enum account_status account;
    bool figures;
    uint64_t retry_ns, interval_ns_min;
    size_t size; /* 0: 100 bytes */
};

/* Its lease comes back: with this answer, or with this end.  driver_answer: OK, without figures. */
void driver_reply(struct driver *driver, uint64_t worker_id, struct reply reply);
void driver_answer(struct driver *driver, uint64_t worker_id);
void driver_answer_as(struct driver *driver, uint64_t worker_id, enum account_status account, size_t size);
void driver_return(struct driver *driver, uint64_t worker_id, enum lease_end end);

/* The same call, leased to an idle worker or a new one and answered with this: out of the cache, it must not be. */
struct engine_call *driver_ask_and_reply(struct driver *driver, struct ask ask, struct reply reply);

/* An idle worker for this home: asks with a key of its own, and answers.  Its id. */
uint64_t driver_warm(struct driver *driver, const char *home);

/* Time. */
void driver_wait(struct driver *driver, uint64_t span_ns); /* on, in as many steps as the engine asks for */
void driver_settings_changed(struct driver *driver, const struct engine_settings *settings);
void driver_drain(struct driver *driver);
void driver_stop(struct driver *driver);

/* The outboxes, when their drainers are slow: one item; false: there is none. */
bool driver_take_order(struct driver *driver);
bool driver_take_news(struct driver *driver);

/* What the engine says of itself. */
uint64_t driver_counter(const struct driver *driver, enum engine_counter counter);
struct engine_view driver_view(const struct driver *driver);
const struct engine_home_view *driver_view_home(const struct driver *driver, const char *home); /* until the next one */

#endif
