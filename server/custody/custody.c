/* The custody thread and the calls of custody.h.
 *
 * Callers only write down what they want (in a ward, under the lock) and wake the thread; it alone speaks to the
 * custodian, moves wards from state to state, and calls the events.  Neighbours: ward.[ch] the table of workers,
 * vigil.[ch] that of observed homes, link.[ch] the custodian process, protocol.[ch] the messages, offspring.[ch] what is
 * left when a custodian dies. */
#include "server/custody/custody.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/base/secret.h"
#include "server/custody/descriptor.h"
#include "server/custody/link.h"
#include "server/custody/offspring.h"
#include "server/custody/protocol.h"
#include "server/custody/vigil.h"
#include "server/custody/ward.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER_NS         UINT64_MAX
#define READY_NS_MAX     (5 * NS_PER_S)   /* from a custodian's start to its first word */
#define STOP_NS_MAX      (2 * NS_PER_S)   /* what custody_destroy may take */
#define HANG_UP_NS       (1 * NS_PER_S)   /* from hanging up to KILL */
#define SETTLED_NS       (1 * NS_PER_S)   /* a custodian that lived this long is replaced at once */
#define REPLACE_NS_MIN   (20 * NS_PER_MS) /* one that lived shorter after this; doubling while none gets ready */
#define REPLACE_NS_MAX   (10 * NS_PER_S)
#define RESEND_NS        (5 * NS_PER_MS) /* the socket was full */
#define SWEEP_NS         (5 * NS_PER_MS) /* between two looks at what a dead custodian left */
#define SWEEP_NS_MAX     (2 * NS_PER_S)  /* then its wards are given up, and looked after at leisure */
#define SWEEP_LEISURE_NS (1 * NS_PER_S)
#define CALM_NS          (10 * NS_PER_MS)  /* how long a worker is idle before it is watched */
#define SETTLE_NS_MAX    (500 * NS_PER_MS) /* how long starts wait for the first reading of their home */

_Static_assert(REPLACE_NS_MIN < 500 * NS_PER_MS, "a custodian that was ready is back within half a second");

enum { EVENT_COUNT = 64, STACK_SIZE = 256 * 1024, LAUNCH_COUNT_MAX = 2 };

_Static_assert((int)CUSTODY_SEAL_NAME_SIZE == (int)PROTOCOL_SEAL_NAME_SIZE, "a name is handed on whole");

/* What an epoll event is about; every other value is a worker's id. */
#define TAG_WAKE   UINT64_MAX
#define TAG_SOCKET (UINT64_MAX - 1)
#define TAG_PIDFD  (UINT64_MAX - 2)

/*  ABSENT --time--> STARTING --READY--> READY;   STARTING, READY --hang up, breach, silence--> LEAVING;
 *  any of the three --reaped--> ABSENT  */
enum custodian_state { CUSTODIAN_ABSENT, CUSTODIAN_STARTING, CUSTODIAN_READY, CUSTODIAN_LEAVING };

struct custody {
    /* fixed at create */
    char *program;    /* owned */
    char **arguments; /* owned, NULL-terminated */
    bool irreplaceable;
    struct custody_events events;
    void *context;
    int epoll_fd, wake_fd;
    unsigned char key[PROTOCOL_KEY_SIZE]; /* of the fingerprints of credentials: one for all custodians */
    pthread_t thread;

    struct lock lock;
    /* guarded by lock */
    struct wards wards;
    uint64_t term_grace_ms;
    struct vigils vigils;
    int32_t custodian_pid;          /* 0: there is none at present */
    char seal[STATUS_MESSAGE_SIZE]; /* how workers are sealed, as the last custodian that got ready said */
    bool hurry_wanted;              /* not yet sent */
    uint64_t reload_wanted;         /* the last that was asked for; 0: it is answered */
    bool stopping;                  /* custody_destroy was called */
    uint64_t asleep_until_ns;       /* when the thread wakes by itself, as it said last */

    /* the custody thread's own (the creator's before it starts) */
    struct link link;
    enum custodian_state state;
    bool was_ready;          /* the present custodian, or the last */
    bool is_dead;            /* its pidfd says so */
    uint64_t started_ns;     /* of the custodian */
    uint64_t state_due_ns;   /* when to start it, give it up, kill it */
    uint64_t replace_ns;     /* the last delay; 0: none since one was ready */
    uint64_t resend_ns;      /* when to try the outbox again; 0: at once */
    uint64_t reload_sent;    /* the last that the present custodian was told of */
    uint64_t stop_due_ns;    /* NEVER_NS: not stopping yet */
    uint64_t sweep_since_ns; /* of the last death */
    uint64_t sweep_due_ns;   /* NEVER_NS: nothing is left of any custodian */
    struct status death;     /* why orphans are orphans */
    struct status refusal;   /* what the present custodian said instead of READY */
};

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static void wake(struct custody *custody)
{
    uint64_t one = 1;

    if (write(custody->wake_fd, &one, sizeof one) < 0)
        INVARIANT(errno == EAGAIN); /* full: it is awake already */
}

/* ---- wards and their ends ---- */

/* Arms the watch, or arms it again. */
static void watch_held(struct custody *custody, struct ward *ward) REQUIRES(custody->lock)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = ward->worker_id};

    if (epoll_ctl(custody->epoll_fd, ward->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, ward->answer_fd, &event) == 0)
        ward->watched = true;
}

static void unwatch_held(struct custody *custody, struct ward *ward) REQUIRES(custody->lock)
{
    list_remove(&ward->watch_node);
    if (ward->watched)
        epoll_ctl(custody->epoll_fd, EPOLL_CTL_DEL, ward->answer_fd, NULL);
    ward->watched = false;
}

static void forget_held(struct custody *custody, struct ward *ward) REQUIRES(custody->lock)
{
    unwatch_held(custody, ward);
    wards_forget(&custody->wards, ward);
}

/* One line a start, one an end: who asked for it, and how it went. */
static void say_started(const struct report *report, const char *home)
{
    log_write(LOG_INFO, "worker started",
              LOG_FIELDS(log_number("worker", (int64_t)report->id), log_number("pid", report->pid),
                         log_text("home", home), log_number("spawn_us", (int64_t)(report->spawn_ns / 1000))));
}

/* What a ward's last line says, out of a ward that may be forgotten by then. */
struct epitaph {
    char *home; /* owned */
    int32_t pid;
    const char *asked, *why; /* "": nobody did */
    uint64_t launched_ns;
};

static struct epitaph take_epitaph_held(struct ward *ward)
{
    struct epitaph epitaph = {.home = ward->home, .pid = ward->pid, .launched_ns = ward->launched_ns};

    epitaph.asked = ward->killed ? "killed" : ward->ended && !ward->hung_up ? "to finish" : "";
    epitaph.why = epitaph.asked[0] == '\0' ? "" : ward->why;
    ward->home = NULL;
    return epitaph;
    epitaph.why = epitaph.asked[0] == '\0' ? "" : ward->why;
}

/* An end that nobody asked for is a warning. */
static void say_ended(const struct epitaph *epitaph, uint64_t worker_id, const struct status *cause)
{
    log_write(epitaph->asked[0] == '\0' ? LOG_WARN : LOG_INFO,
              epitaph->pid == 0 ? "worker not started" : "worker ended",
              LOG_FIELDS(log_number("worker", (int64_t)worker_id), log_number("pid", epitaph->pid),
                         log_text("home", epitaph->home), log_text("asked", epitaph->asked),
                         log_text("why", epitaph->why), log_text("cause", cause->message),
                         log_number("ms", (int64_t)((clock_now_ns() - epitaph->launched_ns) / NS_PER_MS))));
    free(epitaph->home);
}

/* The end of a ward, once: whoever knows its channel keeps that until custody_end. */
static void report_gone(struct custody *custody, uint64_t worker_id, bool by_itself, const struct status *cause)
{
    struct epitaph epitaph;
    struct ward *ward;
    bool news;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    news = ward != NULL && ward->state != WARD_GONE;
    if (news) {
        epitaph = take_epitaph_held(ward);
        wards_move(&custody->wards, ward, WARD_GONE);
        list_remove(&ward->queue_node);
        ward_close_start(ward);
        if (ward->ended || !ward->up_reported)
            forget_held(custody, ward);
    }
    lock_release(&custody->lock);
    if (!news)
        return;
    say_ended(&epitaph, worker_id, cause);
    custody->events.gone(custody->context, worker_id, by_itself, cause);
}

static void report_up(struct custody *custody, const struct report *report)
{
    const char *home = NULL;
    struct ward *ward;
    int request_fd = -1, answer_fd = -1;
    bool is_up, news = false;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, report->id);
    is_up = ward != NULL && ward->state == WARD_SENT;
    if (is_up) {
        home = ward->home; /* this thread alone ends a ward that is up */
        wards_move(&custody->wards, ward, WARD_UP);
        ward_close_start(ward);
        ward->pid = report->pid;
        snprintf(ward->seal, sizeof ward->seal, "%.*s", (int)sizeof ward->seal - 1, report->text);
        news = ward->up_reported = !ward->ended;
        request_fd = ward->request_fd;
        answer_fd = ward->answer_fd;
    }
    lock_release(&custody->lock);
    if (is_up)
        say_started(report, home);
    if (news)
        custody->events.up(custody->context, report->id, report->pid, request_fd, answer_fd, report->spawn_ns);
}

static bool is_readable(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    return poll(&look, 1, 0) > 0;
}

/* A watch outlives the idleness it was meant for: when its worker was leased meanwhile, what woke us was an answer and
 * has been read.  Its next idleness is watched anew. */
static void report_spoke(struct custody *custody, uint64_t worker_id)
{
    struct ward *ward;
    uint64_t turn = 0;
    bool news;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    news = ward != NULL && ward->watched && is_readable(ward->answer_fd);
    if (news) {
        turn = ward->watch_turn;
        unwatch_held(custody, ward);
    }
    lock_release(&custody->lock);
    if (news)
        custody->events.spoke(custody->context, worker_id, turn);
}

/* Those that have been idle for long enough.  A worker that is leased again and again never is, and its answers wake
 * nobody but who waits for them. */
static void begin_watches(struct custody *custody, uint64_t now_ns)
{
    lock_acquire(&custody->lock);
    LIST_EACH_SAFE (node, &custody->wards.to_watch) {
        struct ward *ward = LIST_OWNER(node, struct ward, watch_node);

        if (ward->watch_due_ns > now_ns)
            break;
        list_remove(node);
        watch_held(custody, ward);
    }
    lock_release(&custody->lock);
}

static size_t count_in(struct custody *custody, enum ward_state state)
{
    size_t count;

    lock_acquire(&custody->lock);
    count = custody->wards.in_state[state].count;
    lock_release(&custody->lock);
    return count;
}

static uint64_t first_in(struct custody *custody, enum ward_state state)
{
    struct list_node *node;
    uint64_t worker_id;

    lock_acquire(&custody->lock);
    node = custody->wards.in_state[state].first;
    worker_id = node == NULL ? 0 : LIST_OWNER(node, struct ward, state_node)->worker_id;
    lock_release(&custody->lock);
    return worker_id;
}

/* Those that are there now: who hears of one may launch another at once, and that one's fate is not decided yet. */
static void report_all_gone(struct custody *custody, enum ward_state state, const struct status *cause)
{
    for (size_t count = count_in(custody, state); count > 0; count--)
        report_gone(custody, first_in(custody, state), false, cause);
}

/* ---- observed homes ---- */

static void report_settled(struct custody *custody, uint64_t home_id)
{
    custody->events.settled(custody->context, home_id);
}

/* Nobody waits for it any longer; whether somebody did. */
static bool settle_held(struct vigil *vigil, bool is_read)
{
    bool news = vigil->unsettled_node.list != NULL;

    list_remove(&vigil->unsettled_node);
    vigil->late = vigil->late || (news && !is_read);
    return news;
}

/* Starts that went ahead of a first reading may have seen what it did not, if anything happened meanwhile. */
static void report_read(struct custody *custody, const struct report *report)
{
    struct vigil *vigil;
    bool settled = false, missed = false;

    lock_acquire(&custody->lock);
    vigil = vigils_find(&custody->vigils, report->id);
    if (vigil != NULL) {
        vigil->digest = report->digest;
        settled = settle_held(vigil, true);
        missed = vigil->late && report->disturbed != 0;
        vigil->late = false;
    }
    lock_release(&custody->lock);
    if (settled)
        report_settled(custody, report->id);
    if (missed)
        custody->events.changed(custody->context, report->id, "");
}

static void report_unread(struct custody *custody, uint64_t home_id)
{
    struct vigil *vigil;
    bool settled;

    lock_acquire(&custody->lock);
    vigil = vigils_find(&custody->vigils, home_id);
    settled = vigil != NULL && settle_held(vigil, false);
    lock_release(&custody->lock);
    if (settled)
        report_settled(custody, home_id);
}

static bool is_observed(struct custody *custody, uint64_t home_id)
{
    bool observed;

    lock_acquire(&custody->lock);
    observed = vigils_find(&custody->vigils, home_id) != NULL;
    lock_release(&custody->lock);
    return observed;
}

static void report_changed(struct custody *custody, const struct report *report)
{
    if (is_observed(custody, report->id))
        custody->events.changed(custody->context, report->id, report->text);
}

static void report_lost(struct custody *custody, uint64_t home_id)
{
    report_unread(custody, home_id);
    if (is_observed(custody, home_id))
        custody->events.lost(custody->context, home_id);
}

static uint64_t next_settled_due(struct custody *custody)
{
    const struct list_node *node;
    uint64_t due_ns;

    lock_acquire(&custody->lock);
    node = custody->vigils.unsettled.first;
    due_ns = node == NULL ? NEVER_NS : LIST_OWNER(node, struct vigil, unsettled_node)->settled_due_ns;
    lock_release(&custody->lock);
    return due_ns;
}

/* A reading that takes long (its file system does, or there is no custodian) holds up no start any more. */
static void settle_overdue(struct custody *custody, uint64_t now_ns)
{
    while (next_settled_due(custody) <= now_ns) {
        struct list_node *node;
        uint64_t home_id = 0;

        lock_acquire(&custody->lock);
        node = custody->vigils.unsettled.first;
        if (node != NULL)
            home_id = LIST_OWNER(node, struct vigil, unsettled_node)->home_id;
        lock_release(&custody->lock);
        report_unread(custody, home_id);
    }
}

/* The next order about a home, and which; it stays where it is until note_vigil_sent. */
static struct vigil *pick_vigil(struct custody *custody, struct order *order_out)
{
    struct list_node *node;
    struct vigil *vigil = NULL;

    lock_acquire(&custody->lock);
    node = custody->vigils.outbox.first;
    if (node != NULL) {
        vigil = LIST_OWNER(node, struct vigil, queue_node);
        *order_out = (struct order){
            .kind = vigil->forgotten ? ORDER_FORGET : ORDER_OBSERVE, .id = vigil->home_id, .digest = vigil->digest};
        memcpy(order_out->key, custody->key, sizeof order_out->key);
    }
    lock_release(&custody->lock);
    return vigil;
}

static void note_vigil_sent(struct custody *custody, struct vigil *vigil, enum order_kind kind)
{
    lock_acquire(&custody->lock);
    if (kind == ORDER_FORGET) {
        vigils_drop(&custody->vigils, vigil);
    } else {
        vigil->sent = true;
        if (!vigil->forgotten) /* else there is more to say */
            list_remove(&vigil->queue_node);
    }
    lock_release(&custody->lock);
}

/* 0, or why not all of them. */
static int send_vigils(struct custody *custody)
{
    struct order order;
    struct vigil *vigil;

    while ((vigil = pick_vigil(custody, &order)) != NULL) {
        bool observes = order.kind == ORDER_OBSERVE;
        int error = 0;

        if (observes || vigil->sent)
            error = protocol_send_order(custody->link.socket, &order, &vigil->home_fd, observes ? 1 : 0);
        if (error != 0)
            return error;
        note_vigil_sent(custody, vigil, (enum order_kind)order.kind);
    }
    return 0;
}

/* ---- orders ---- */

/* The next order, and whose it is; the ward stays where it is until note_sent. */
static struct ward *pick_order(struct custody *custody, struct order *order_out)
{
    struct list_node *node;
    struct ward *ward = NULL;

    lock_acquire(&custody->lock);
    node = custody->wards.outbox.first;
    if (node != NULL) {
        ward = LIST_OWNER(node, struct ward, queue_node);
        *order_out = (struct order){.kind = ward->state == WARD_QUEUED ? ORDER_START
                                            : ward->kill_wanted        ? ORDER_KILL
                                                                       : ORDER_END,
                                    .id = ward->worker_id,
                                    .grace_ms = custody->term_grace_ms};
    }
    lock_release(&custody->lock);
    return ward;
}

static void note_sent(struct custody *custody, struct ward *ward, enum order_kind kind)
{
    lock_acquire(&custody->lock);
    if (kind == ORDER_START) {
        wards_move(&custody->wards, ward, WARD_SENT);
        ward_close_worker_ends(ward);
        ward->launch_count++;
        list_remove(&ward->queue_node); /* from the refused list, too, had somebody ended it meanwhile */
    }
    if (kind == ORDER_KILL)
        ward->kill_wanted = false;
    if (kind == ORDER_END)
        ward->end_wanted = false;
    if (!ward->kill_wanted && !ward->end_wanted)
        list_remove(&ward->queue_node);
    else if (ward->queue_node.list == NULL)
        list_push_back(&custody->wards.outbox, &ward->queue_node);
    lock_release(&custody->lock);
}

/* Where there is no room for it another will follow, as long as somebody waits. */
static void send_hurry(struct custody *custody)
{
    bool wanted;

    lock_acquire(&custody->lock);
    wanted = custody->hurry_wanted;
    custody->hurry_wanted = false;
    lock_release(&custody->lock);
    if (wanted && protocol_send_order(custody->link.socket, &(struct order){.kind = ORDER_HURRY}, NULL, 0) != 0)
        log_write(LOG_DEBUG, "the custodian is not to be hurried: its socket is full",
                  LOG_FIELDS(log_number("pid", custody->link.pid)));
}

static uint64_t wanted_reload(struct custody *custody)
{
    uint64_t id;

    lock_acquire(&custody->lock);
    id = custody->reload_wanted;
    lock_release(&custody->lock);
    return id;
}

/* Before any start that was wanted later.  0, or why it is not out. */
static int send_reload(struct custody *custody)
{
    struct order order = {.kind = ORDER_RELOAD, .id = wanted_reload(custody)};
    int error = 0;

    if (order.id == 0 || order.id == custody->reload_sent)
        return 0;
    error = protocol_send_order(custody->link.socket, &order, NULL, 0);
    if (error == 0)
        custody->reload_sent = order.id;
    return error;
}

static void send_orders(struct custody *custody, uint64_t now_ns)
{
    struct order order;
    struct ward *ward;

    if (custody->state != CUSTODIAN_READY || now_ns < custody->resend_ns)
        return;
    custody->resend_ns = 0;
    send_hurry(custody);
    if (send_reload(custody) != 0 || send_vigils(custody) != 0) {
        custody->resend_ns = now_ns + RESEND_NS;
        return;
    }
    while ((ward = pick_order(custody, &order)) != NULL) {
        int error = protocol_send_order(custody->link.socket, &order, ward->start_fds,
                                        order.kind == ORDER_START ? ORDER_DESCRIPTOR_COUNT : 0);

        if (error != 0) {
            custody->resend_ns = now_ns + RESEND_NS; /* no room; or no custodian, and its pidfd will tell */
            return;
        }
        note_sent(custody, ward, order.kind);
    }
}

/* Starts that nobody wants any more, or that never had a channel: one a turn, and another turn at once. */
static void refuse_start(struct custody *custody)
{
    struct list_node *node;
    struct status cause;
    uint64_t worker_id = 0;
    int error = 0;

    lock_acquire(&custody->lock);
    node = custody->wards.refused.first;
    if (node != NULL) {
        worker_id = LIST_OWNER(node, struct ward, queue_node)->worker_id;
        error = LIST_OWNER(node, struct ward, queue_node)->launch_error;
    }
    lock_release(&custody->lock);
    if (node == NULL)
        return;
    if (error != 0)
        cause = status_make(STATUS_UNAVAILABLE, "cannot start a worker: pipe: %s", strerror(error));
    else
        cause = status_make(STATUS_UNAVAILABLE, "the worker was ended before it was started");
    report_gone(custody, worker_id, true, &cause);
    wake(custody);
}

/* ---- the custodian ---- */

static void enter(struct custody *custody, enum custodian_state state, uint64_t due_ns)
{
    custody->state = state;
    custody->state_due_ns = due_ns;
}

static void publish_pid(struct custody *custody, int32_t pid)
{
    lock_acquire(&custody->lock);
    custody->custodian_pid = pid;
    lock_release(&custody->lock);
}

static struct status listen_to(struct custody *custody, int fd, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};

    if (epoll_ctl(custody->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return status_make(STATUS_UNAVAILABLE, "cannot watch the custodian: %s", strerror(errno));
    return status_ok();
}

/* Leaves it ABSENT or STARTING. */
static struct status start_custodian(struct custody *custody, uint64_t now_ns)
{
    struct status status;

    custody->was_ready = false;
    custody->reload_sent = 0;
    custody->refusal = status_ok();
    status = link_open(custody->program, (const char *const *)custody->arguments, &custody->link);

    if (!status_is_ok(&status))
        return status;
    status = listen_to(custody, custody->link.socket, TAG_SOCKET);
    if (status_is_ok(&status))
        status = listen_to(custody, custody->link.pidfd, TAG_PIDFD);
    if (!status_is_ok(&status)) {
        link_discard(&custody->link);
        return status;
    }
    custody->started_ns = now_ns;
    enter(custody, CUSTODIAN_STARTING, now_ns + READY_NS_MAX);
    publish_pid(custody, custody->link.pid);
    return status;
}

/* It is of no more use; what it leaves is dealt with when the pidfd says that it is dead. */
static void give_up_custodian(struct custody *custody, const char *why)
{
    log_write(LOG_ERROR, "the custodian is given up",
              LOG_FIELDS(log_number("pid", custody->link.pid), log_text("cause", why)));
    link_close_socket(&custody->link);
    link_kill(&custody->link);
    enter(custody, CUSTODIAN_LEAVING, NEVER_NS);
}

static void publish_seal(struct custody *custody, const char *seal)
{
    lock_acquire(&custody->lock);
    snprintf(custody->seal, sizeof custody->seal, "%s", seal);
    lock_release(&custody->lock);
}

/* An answer to what was asked before the last time is nobody's any more. */
static void report_reloaded(struct custody *custody, const struct report *report, bool kept)
{
    struct status status = kept ? status_make(STATUS_FAILED_PRECONDITION, "%s", report->text) : status_ok();
    bool news;

    if (!kept)
        publish_seal(custody, report->text);
    lock_acquire(&custody->lock);
    news = report->id == custody->reload_wanted;
    if (news)
        custody->reload_wanted = 0;
    lock_release(&custody->lock);
    if (news || report->outdated != 0)
        custody->events.reloaded(custody->context, report->id, &status, report->outdated != 0);
}

static void hear(struct custody *custody, const struct report *report)
{
    struct status cause;

    switch ((enum report_kind)report->kind) {
    case REPORT_READY:
        if (custody->state != CUSTODIAN_STARTING)
            break;
        custody->was_ready = true;
        custody->replace_ns = 0;
        enter(custody, CUSTODIAN_READY, NEVER_NS);
        publish_seal(custody, report->text);
        log_write(LOG_INFO, "the custodian is ready", LOG_FIELDS(log_number("pid", custody->link.pid)));
        return;
    case REPORT_UP:
        report_up(custody, report);
        return;
    case REPORT_GONE:
        cause = status_make(STATUS_UNAVAILABLE, "%s", report->text);
        report_gone(custody, report->id, true, &cause);
        return;
    case REPORT_REFUSED:
        if (custody->state != CUSTODIAN_STARTING)
            break;
        custody->refusal = status_make(STATUS_UNAVAILABLE, "%s", report->text);
        return; /* it exits; its pidfd will tell */
    case REPORT_READ:
        report_read(custody, report);
        return;
    case REPORT_UNREAD:
        report_unread(custody, report->id);
        return;
    case REPORT_CHANGED:
        report_changed(custody, report);
        return;
    case REPORT_LOST:
        report_lost(custody, report->id);
        return;
    case REPORT_RELOADED:
        report_reloaded(custody, report, false);
        return;
    case REPORT_KEPT:
        report_reloaded(custody, report, true);
        return;
    }
    give_up_custodian(custody, "it sent what is not understood");
}

static void receive_reports(struct custody *custody)
{
    struct report report;
    int error = 0;

    while (custody->link.socket >= 0 && (error = protocol_receive_report(custody->link.socket, &report)) == 0)
        hear(custody, &report);
    if (error == 0 || error == EAGAIN)
        return;
    if (error == EPROTO)
        give_up_custodian(custody, "it sent what is not understood");
    else
        link_close_socket(&custody->link); /* it is exiting; its pidfd will tell */
}

/* When the next one is started: at once after a long life, in a moment after a short one, ever later while none even
 * gets ready. */
static uint64_t replacement_due(struct custody *custody, uint64_t now_ns)
{
    if (custody->was_ready && now_ns - custody->started_ns >= SETTLED_NS)
        return now_ns;
    custody->replace_ns = custody->replace_ns == 0 ? REPLACE_NS_MIN : earlier(2 * custody->replace_ns, REPLACE_NS_MAX);
    return now_ns + custody->replace_ns;
}

/* What it had becomes ours: probed is a subreaper. */
static void custodian_died(struct custody *custody, uint64_t now_ns)
{
    struct list_node *node;
    uint64_t due_ns = replacement_due(custody, now_ns);

    custody->death = link_reap(&custody->link);
    if (!status_is_ok(&custody->refusal))
        custody->death = custody->refusal;
    custody->is_dead = false;
    log_write(custody->stop_due_ns == NEVER_NS ? LOG_ERROR : LOG_INFO, "the custodian has ended",
              LOG_FIELDS(log_text("cause", custody->death.message)));
    if (custody->irreplaceable && custody->stop_due_ns == NEVER_NS && custody->was_ready)
        _exit(EXIT_FAILURE); /* whoever keeps the rights that we gave up kills what it left, and ends, too */
    lock_acquire(&custody->lock);
    custody->custodian_pid = 0;
    while ((node = custody->wards.in_state[WARD_SENT].first) != NULL ||
           (node = custody->wards.in_state[WARD_UP].first) != NULL) {
        struct ward *ward = LIST_OWNER(node, struct ward, state_node);

        list_remove(&ward->queue_node);
        wards_move(&custody->wards, ward, WARD_ORPHANED);
    }
    vigils_requeue(&custody->vigils);
    lock_release(&custody->lock);
    custody->sweep_since_ns = custody->sweep_due_ns = now_ns;
    enter(custody, CUSTODIAN_ABSENT, custody->stop_due_ns == NEVER_NS ? due_ns : NEVER_NS);
    if (!custody->was_ready)
        report_all_gone(custody, WARD_QUEUED, &custody->death);
}

static void custodian_is_due(struct custody *custody, uint64_t now_ns)
{
    struct status status;

    switch (custody->state) {
    case CUSTODIAN_ABSENT:
        status = start_custodian(custody, now_ns);
        if (!status_is_ok(&status)) {
            log_write(LOG_ERROR, "no custodian", LOG_FIELDS(log_text("cause", status.message)));
            enter(custody, CUSTODIAN_ABSENT, replacement_due(custody, now_ns));
            report_all_gone(custody, WARD_QUEUED, &status);
        }
        break;
    case CUSTODIAN_STARTING:
        give_up_custodian(custody, "it did not get ready in time");
        break;
    case CUSTODIAN_READY:
    case CUSTODIAN_LEAVING:
        link_kill(&custody->link);
        custody->state_due_ns = NEVER_NS;
        break;
    }
}

/* ---- what a dead custodian leaves ---- */

/* Kills the group and reaps the leader; whether that is done. */
static bool orphan_is_gone(const struct custody *custody, int32_t pid)
{
    siginfo_t end = {0};

    /* No child of ours: its custodian had reaped it, and the number may be a stranger's by now. */
    if (pid == custody->link.pid || waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG | WNOWAIT) < 0)
        return true;
    kill(-pid, SIGKILL);
    return end.si_pid != 0 && waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG) == 0;
}

/* How many orphans whose pid is known are left. */
static size_t reap_orphans(struct custody *custody)
{
    struct list *orphans = &custody->wards.in_state[WARD_ORPHANED]; /* only this thread puts any on or off */
    size_t count = orphans->count, left = 0;

    while (count-- > 0) {
        struct ward *ward = LIST_OWNER(orphans->first, struct ward, state_node);

        list_move(orphans, &ward->state_node);
        if (ward->pid == 0)
            continue;
        if (orphan_is_gone(custody, ward->pid))
            report_gone(custody, ward->worker_id, false, &custody->death);
        else
            left++;
    }
    return left;
}

/* Nobody was told of it, so nobody need know that its custodian died: it is started again, once, with a channel that
 * nobody has written to. */
static bool relaunch(struct custody *custody, uint64_t worker_id)
{
    struct ward *ward;
    bool again;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    again = ward != NULL && ward->pid == 0 && !ward->ended && !ward->kill_wanted &&
            ward->launch_count < LAUNCH_COUNT_MAX && custody->state != CUSTODIAN_LEAVING && !custody->stopping;
    if (again) {
        ward_close_channel(ward);
        again = ward_open_channel(ward) == 0;
    }
    if (again) {
        wards_move(&custody->wards, ward, WARD_QUEUED);
        list_push_back(&custody->wards.outbox, &ward->queue_node);
    }
    lock_release(&custody->lock);
    return again;
}

/* No child is left: whoever is still an orphan is gone. */
static void settle_orphans(struct custody *custody)
{
    for (size_t count = count_in(custody, WARD_ORPHANED); count > 0; count--) {
        uint64_t worker_id = first_in(custody, WARD_ORPHANED);

        if (!relaunch(custody, worker_id))
            report_gone(custody, worker_id, false, &custody->death);
    }
}

/* Whoever was caught between fork and exec is no ward with a pid, nor is a worker's grandchild: the kernel knows them
 * as our children.  A ward without a pid is gone when no child is left. */
static void sweep(struct custody *custody, uint64_t now_ns)
{
    size_t left = reap_orphans(custody);

    offspring_reap(custody->link.pid);
    left += offspring_kill(custody->link.pid);
    if (left > 0 && now_ns - custody->sweep_since_ns < SWEEP_NS_MAX) {
        custody->sweep_due_ns = now_ns + SWEEP_NS;
        return;
    }
    settle_orphans(custody);
    custody->sweep_due_ns = left > 0 ? now_ns + SWEEP_LEISURE_NS : NEVER_NS;
}

/* ---- the thread ---- */

static uint64_t next_due(struct custody *custody)
{
    uint64_t due_ns = earlier(custody->state_due_ns, custody->sweep_due_ns);

    due_ns = earlier(due_ns, next_settled_due(custody));
    due_ns = earlier(due_ns, custody->stop_due_ns);
    return custody->resend_ns == 0 ? due_ns : earlier(due_ns, custody->resend_ns);
}

/* Until when there is nothing to do.  Who has something that is due earlier wakes the thread. */
static uint64_t fall_asleep(struct custody *custody)
{
    uint64_t due_ns = next_due(custody);
    const struct list_node *node;

    lock_acquire(&custody->lock);
    node = custody->wards.to_watch.first;
    if (node != NULL)
        due_ns = earlier(due_ns, LIST_OWNER(node, struct ward, watch_node)->watch_due_ns);
    custody->asleep_until_ns = due_ns;
    lock_release(&custody->lock);
    return due_ns;
}

static void await_events(struct custody *custody)
{
    struct epoll_event events[EVENT_COUNT];
    uint64_t due_ns = fall_asleep(custody), now_ns = clock_now_ns(), count_of_wakes;
    int wait_ms = -1, count;

    if (due_ns != NEVER_NS)
        wait_ms = due_ns <= now_ns ? 0 : (int)((due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
    count = epoll_wait(custody->epoll_fd, events, EVENT_COUNT, wait_ms);
    INVARIANT(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        switch (events[i].data.u64) {
        case TAG_WAKE:
            if (read(custody->wake_fd, &count_of_wakes, sizeof count_of_wakes) < 0)
                INVARIANT(errno == EAGAIN);
            break;
        case TAG_SOCKET:
            break; /* read in every turn */
        case TAG_PIDFD:
            custody->is_dead = true;
            break;
        default:
            report_spoke(custody, events[i].data.u64);
        }
    }
}

static void begin_stop(struct custody *custody, uint64_t now_ns)
{
    custody->stop_due_ns = now_ns + STOP_NS_MAX;
    custody->state_due_ns = NEVER_NS;
    if (custody->state != CUSTODIAN_ABSENT) {
        link_hang_up(&custody->link);
        enter(custody, CUSTODIAN_LEAVING, now_ns + HANG_UP_NS);
    }
}

/* What was heard before what is due before what is to be said: an end that is known is not overtaken by a death. */
static void take_turn(struct custody *custody)
{
    uint64_t now_ns;

    await_events(custody);
    now_ns = clock_now_ns();
    receive_reports(custody);
    if (custody->is_dead)
        custodian_died(custody, now_ns);
    if (now_ns >= custody->state_due_ns)
        custodian_is_due(custody, now_ns);
    if (now_ns >= custody->sweep_due_ns)
        sweep(custody, now_ns);
    begin_watches(custody, now_ns);
    settle_overdue(custody, now_ns);
    refuse_start(custody);
    send_orders(custody, now_ns);
}

static bool is_stopping(struct custody *custody)
{
    bool stopping;

    lock_acquire(&custody->lock);
    stopping = custody->stopping;
    lock_release(&custody->lock);
    return stopping;
}

static void custody_run(void *context)
{
    struct custody *custody = context;
    const struct status ending = status_make(STATUS_UNAVAILABLE, "the daemon is ending");

    while (!is_stopping(custody))
        take_turn(custody);
    begin_stop(custody, clock_now_ns());
    report_all_gone(custody, WARD_QUEUED, &ending);
    while ((custody->state != CUSTODIAN_ABSENT || custody->sweep_due_ns != NEVER_NS) &&
           clock_now_ns() < custody->stop_due_ns)
        take_turn(custody);
    link_kill(&custody->link); /* if it is still there, it does not listen */
    for (enum ward_state state = WARD_QUEUED; state < WARD_GONE; state++)
        report_all_gone(custody, state, &ending);
}

/* ---- birth and death ---- */

static char **copy_words(const char *const *words)
{
    size_t count = 0;
    char **copy;

    while (words[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(words[i]);
        if (copy[i] == NULL) {
            while (i-- > 0)
                free(copy[i]);
            free(copy);
            copy = NULL;
        }
    }
    return copy;
}

static void free_words(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        free(words[i]);
    free(words);
}

/* Gives back what custody_create made, however far it came. */
static void custody_free(struct custody *custody)
{
    lock_acquire(&custody->lock);
    for (enum ward_state state = WARD_QUEUED; state < WARD_STATE_COUNT; state++) {
        while (custody->wards.in_state[state].first != NULL)
            forget_held(custody, LIST_OWNER(custody->wards.in_state[state].first, struct ward, state_node));
    }
    vigils_drop_all(&custody->vigils);
    lock_release(&custody->lock);
    link_leave(&custody->link);
    if (custody->wake_fd >= 0)
        close(custody->wake_fd);
    if (custody->epoll_fd >= 0)
        close(custody->epoll_fd);
    lock_fini(&custody->lock);
    free_words(custody->arguments);
    free(custody->program);
    free(custody);
}

static struct status prepare(struct custody *custody, const struct custody_settings *settings)
{
    custody->program = strdup(settings->program);
    custody->arguments = copy_words(settings->arguments);
    if (custody->program == NULL || custody->arguments == NULL)
        return status_make(STATUS_UNAVAILABLE, "cannot start the custodian: no memory");
    custody->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    custody->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (custody->epoll_fd < 0 || custody->wake_fd < 0)
        return status_make(STATUS_UNAVAILABLE, "cannot start the custodian: %s", strerror(errno));
    /* What a dead custodian leaves behind must become ours. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return status_make(STATUS_UNAVAILABLE, "cannot become a subreaper: %s", strerror(errno));
    return listen_to(custody, custody->wake_fd, TAG_WAKE);
}

/* Starts the first one and waits for its first word. */
static struct status await_custodian(struct custody *custody)
{
    struct status status = start_custodian(custody, clock_now_ns());

    if (!status_is_ok(&status))
        return status;
    while (custody->state == CUSTODIAN_STARTING || custody->state == CUSTODIAN_LEAVING)
        take_turn(custody);
    if (custody->state != CUSTODIAN_READY && !status_is_ok(&custody->refusal))
        return custody->refusal;
    if (custody->state != CUSTODIAN_READY)
        return status_make(STATUS_UNAVAILABLE, "cannot start the custodian %s: %s", custody->program,
                           custody->death.message);
    return status_ok();
}

struct status custody_create(const struct custody_settings *settings, const struct custody_events *events,
                             void *context, struct custody **custody_out)
{
    struct custody *custody = calloc(1, sizeof *custody);
    struct status status;

    if (custody == NULL)
        return status_make(STATUS_UNAVAILABLE, "cannot start the custodian: no memory");
    lock_init(&custody->lock, "custody");
    custody_grace_changed(custody, settings->term_grace_ms);
    custody->irreplaceable = settings->irreplaceable;
    custody->events = *events;
    custody->context = context;
    custody->epoll_fd = custody->wake_fd = -1;
    secret_random(custody->key, sizeof custody->key);
    custody->link = LINK_NONE;
    custody->state_due_ns = custody->stop_due_ns = custody->sweep_due_ns = NEVER_NS;
    status = prepare(custody, settings);
    if (status_is_ok(&status))
        status = await_custodian(custody);
    if (status_is_ok(&status)) {
        status = thread_start(&custody->thread, "custody", STACK_SIZE, custody_run, custody);
        if (!status_is_ok(&status))
            link_discard(&custody->link);
    }
    if (!status_is_ok(&status)) {
        custody_free(custody);
        return status;
    }
    *custody_out = custody;
    return status;
}

void custody_destroy(struct custody *custody)
{
    if (custody == NULL)
        return;
    lock_acquire(&custody->lock);
    custody->stopping = true;
    lock_release(&custody->lock);
    wake(custody);
    thread_join(custody->thread);
    custody_free(custody);
}

/* ---- what callers want ---- */

/* Puts the ward where the thread will see what is wanted of it. */
static void enqueue_held(struct custody *custody, struct ward *ward) REQUIRES(custody->lock)
{
    switch (ward->state) {
    case WARD_QUEUED:
        list_move(&custody->wards.refused, &ward->queue_node);
        break;
    case WARD_SENT:
    case WARD_UP:
        if (ward->queue_node.list == NULL)
            list_push_back(&custody->wards.outbox, &ward->queue_node);
        break;
    case WARD_ORPHANED: /* is being killed */
    case WARD_GONE:
    case WARD_STATE_COUNT:
        break;
    }
}

void custody_launch(struct custody *custody, uint64_t worker_id, int home_fd)
{
    char *home = descriptor_find_path(home_fd);
    struct ward *ward;

    INVARIANT(worker_id != 0 && worker_id < TAG_PIDFD);
    lock_acquire(&custody->lock);
    ward = wards_add(&custody->wards, worker_id);
    if (ward != NULL) {
        ward->home = home;
        ward->launched_ns = clock_now_ns();
        ward->start_fds[ORDER_HOME] = home_fd;
        ward->launch_error = ward_open_channel(ward);
        list_push_back(ward->launch_error == 0 ? &custody->wards.outbox : &custody->wards.refused, &ward->queue_node);
    }
    lock_release(&custody->lock);
    if (ward == NULL) {
        struct status cause = status_make(STATUS_UNAVAILABLE, "cannot start a worker: no memory");

        close(home_fd);
        free(home);
        custody->events.gone(custody->context, worker_id, false, &cause);
        return;
    }
    wake(custody);
}

/* Whoever asks first says why. */
static void note_why_held(struct ward *ward, const char *why)
{
    if (ward->why == NULL)
        ward->why = why;
}

void custody_kill(struct custody *custody, uint64_t worker_id, const char *why)
{
    struct ward *ward;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    if (ward != NULL) {
        note_why_held(ward, why);
        ward->kill_wanted = ward->killed = true;
        enqueue_held(custody, ward);
    }
    lock_release(&custody->lock);
    wake(custody);
}

void custody_hurry(struct custody *custody)
{
    lock_acquire(&custody->lock);
    custody->hurry_wanted = true;
    lock_release(&custody->lock);
    wake(custody);
}

void custody_reload(struct custody *custody, uint64_t reload_id)
{
    lock_acquire(&custody->lock);
    custody->reload_wanted = reload_id;
    lock_release(&custody->lock);
    wake(custody);
}

/* Whether its end of the answers is closed: whoever ends it then does so because it ended. */
static bool has_hung_up(const struct ward *ward)
{
    struct pollfd look = {.fd = ward->answer_fd};

    return poll(&look, 1, 0) > 0 && (look.revents & POLLHUP) != 0;
}

void custody_end(struct custody *custody, uint64_t worker_id, const char *why)
{
    struct ward *ward;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    if (ward != NULL && ward->state == WARD_GONE) {
        forget_held(custody, ward);
    } else if (ward != NULL) {
        unwatch_held(custody, ward);
        ward->hung_up = has_hung_up(ward);
        ward_close_channel(ward);
        note_why_held(ward, why);
        ward->ended = ward->end_wanted = true;
        enqueue_held(custody, ward);
    }
    lock_release(&custody->lock);
    wake(custody);
}

void custody_grace_changed(struct custody *custody, uint64_t term_grace_ms)
{
    lock_acquire(&custody->lock);
    custody->term_grace_ms = term_grace_ms;
    lock_release(&custody->lock);
}

/* A wake that is told twice is one, and one that comes when the thread is about to sleep is found there. */
static bool note_idle_held(struct custody *custody, struct ward *ward, uint64_t turn) REQUIRES(custody->lock)
{
    bool is_earlier;

    ward->watch_turn = turn;
    ward->watch_due_ns = clock_now_ns() + CALM_NS; /* under the lock, so that the list is in order */
    list_move(&custody->wards.to_watch, &ward->watch_node);
    is_earlier = ward->watch_due_ns < custody->asleep_until_ns;
    if (is_earlier)
        custody->asleep_until_ns = ward->watch_due_ns;
    return is_earlier;
}

void custody_watch(struct custody *custody, uint64_t worker_id, uint64_t turn)
{
    struct ward *ward;
    bool sleeps_longer;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    /* Whoever comes late, with an idleness that is over, must not take the present one's place. */
    sleeps_longer =
        ward != NULL && ward->answer_fd >= 0 && turn >= ward->watch_turn && note_idle_held(custody, ward, turn);
    lock_release(&custody->lock);
    if (sleeps_longer)
        wake(custody);
}

void custody_observe(struct custody *custody, uint64_t home_id, int home_fd)
{
    struct vigil *vigil;

    lock_acquire(&custody->lock);
    vigil = vigils_add(&custody->vigils, home_id, home_fd, clock_now_ns() + SETTLE_NS_MAX);
    lock_release(&custody->lock);
    if (vigil == NULL) {
        log_write(LOG_WARN, "a home is not observed: no memory", LOG_NO_FIELDS);
        close(home_fd);
        report_settled(custody, home_id);
        return;
    }
    wake(custody);
}

void custody_forget(struct custody *custody, uint64_t home_id)
{
    struct vigil *vigil;

    lock_acquire(&custody->lock);
    vigil = vigils_find(&custody->vigils, home_id);
    if (vigil != NULL) {
        vigil->forgotten = true;
        list_remove(&vigil->unsettled_node);
        if (vigil->queue_node.list == NULL)
            list_push_back(&custody->vigils.outbox, &vigil->queue_node);
    }
    lock_release(&custody->lock);
    wake(custody);
}

int32_t custody_custodian_pid(struct custody *custody)
{
    int32_t pid;

    lock_acquire(&custody->lock);
    pid = custody->custodian_pid;
    lock_release(&custody->lock);
    return pid;
}

void custody_look_seal(struct custody *custody, char text[STATUS_MESSAGE_SIZE])
{
    lock_acquire(&custody->lock);
    memcpy(text, custody->seal, STATUS_MESSAGE_SIZE);
    lock_release(&custody->lock);
}

void custody_look_worker_seal(struct custody *custody, uint64_t worker_id, char name[CUSTODY_SEAL_NAME_SIZE])
{
    const struct ward *ward;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    snprintf(name, CUSTODY_SEAL_NAME_SIZE, "%s", ward == NULL ? "" : ward->seal);
    lock_release(&custody->lock);
}

bool custody_is_gone(struct custody *custody, uint64_t worker_id)
{
    const struct ward *ward;
    bool gone;

    lock_acquire(&custody->lock);
    ward = wards_find(&custody->wards, worker_id);
    gone = ward == NULL || ward->state == WARD_GONE;
    lock_release(&custody->lock);
    return gone;
}
