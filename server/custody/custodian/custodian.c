/* The loop, see custodian.h. */
#include "server/custody/custodian/custodian.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/custody/custodian/cgroup.h"
#include "server/custody/custodian/etc.h"
#include "server/custody/custodian/observer.h"
#include "server/custody/custodian/worker.h"
#include "server/custody/descriptor.h"
#include "server/custody/offspring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER_NS     UINT64_MAX
#define RESEND_NS    (5 * NS_PER_MS) /* the socket was full */
#define START_NS_MAX (5 * NS_PER_S) /* from fork to exec: a home that hangs must not keep a seat of the pool for ever */
#define HURRY_NS     (150 * NS_PER_MS) /* how long a start may sleep when somebody waits for its place */
#define GIVE_UP_NS   (2 * NS_PER_S)    /* from KILL to giving up what does not die, */
#define GIVE_UP_HUNG (50 * NS_PER_MS)  /* or never was a worker and hung already */
#define SWEEP_NS     (5 * NS_PER_MS)   /* closing: between two looks at what is left */
#define SETTLE_NS    (500 * NS_PER_MS) /* files of /etc were replaced: more may follow */
#define CLOSE_NS     (900 * NS_PER_MS) /* closing: then what the kernel does not give back is left to it */

enum { EVENT_COUNT = 64 };

struct custodian {
    int socket;
    const struct plans_source *source; /* lent */
    struct plans *plans;               /* owned */
    int epoll_fd, children_fd, etc_fd; /* etc_fd -1: nobody is sealed by files, or nobody tells */
    struct source of_socket, of_children, of_etc, of_observer;
    struct observer observer;
    struct workers workers;
    struct cgroups cgroups;
    uint64_t etc_ns;     /* when a file of /etc was last replaced; NEVER_NS: those concerned are ended */
    uint64_t resend_ns;  /* when to try the reports again; 0: at once */
    uint64_t closing_ns; /* since when everything is ending; NEVER_NS: it is not */
};

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* ---- the epoll set ---- */

static bool attend(struct custodian *custodian, int fd, struct source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    return epoll_ctl(custodian->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Taken out by name: a child between fork and exec may hold a copy, and closing ours would leave it in the set. */
static void ignore(struct custodian *custodian, int fd)
{
    epoll_ctl(custodian->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void ignore_and_close(struct custodian *custodian, int *fd)
{
    if (*fd >= 0)
        ignore(custodian, *fd);
    descriptor_close(fd);
}

/* ---- reports ---- */

static int send_report_of(struct custodian *custodian, struct worker *worker)
{
    struct report report = {.id = worker->id, .pid = worker->pid, .spawn_ns = worker->spawn_ns};
    int error;

    if (worker->up_unsent) {
        report.kind = REPORT_UP;
        seal_name(&custodian->plans->worker_seal, report.text);
        error = protocol_send_report(custodian->socket, &report, PROTOCOL_NOW);
        if (error == EAGAIN)
            return error;
        worker->up_unsent = false;
    }
    if (worker->state == WORKER_REAPED) {
        report.kind = REPORT_GONE;
        memcpy(report.text, worker->cause.message, sizeof report.text);
        return protocol_send_report(custodian->socket, &report, PROTOCOL_NOW);
    }
    return 0;
}

static int send_worker_reports(struct custodian *custodian)
{
    struct list_node *node;

    while ((node = custodian->workers.reports.first) != NULL) {
        struct worker *worker = LIST_OWNER(node, struct worker, report_node);

        if (send_report_of(custodian, worker) == EAGAIN)
            return EAGAIN;
        list_remove(node);
        if (worker->state == WORKER_REAPED)
            workers_forget(&custodian->workers, worker);
    }
    return 0;
}

static int send_home_reports(struct custodian *custodian)
{
    struct report report;

    while (observer_next_report(&custodian->observer, &report)) {
        if (protocol_send_report(custodian->socket, &report, PROTOCOL_NOW) == EAGAIN)
            return EAGAIN;
        observer_note_sent(&custodian->observer, &report);
    }
    return 0;
}

/* A socket that fails otherwise than by being full has nobody behind it; its end is on the way. */
static void send_reports(struct custodian *custodian, uint64_t now_ns)
{
    if (now_ns < custodian->resend_ns)
        return;
    custodian->resend_ns = 0;
    if (send_worker_reports(custodian) == EAGAIN || send_home_reports(custodian) == EAGAIN)
        custodian->resend_ns = now_ns + RESEND_NS;
}

static void want_report(struct custodian *custodian, struct worker *worker)
{
    if (worker->report_node.list == NULL)
        list_push_back(&custodian->workers.reports, &worker->report_node);
}

/* A start that left no worker behind.  There is nothing that could keep this report, so it is waited for; the daemon's
 * thread reads at all times. */
static void refuse(struct custodian *custodian, uint64_t worker_id, const char *step, int error)
{
    struct status cause = status_make(STATUS_UNAVAILABLE, "cannot start the worker %s: %s: %s",
                                      custodian->plans->worker.command[0], step, strerror(error));
    struct report report = {.kind = REPORT_GONE, .id = worker_id};

    memcpy(report.text, cause.message, sizeof report.text);
    if (protocol_send_report(custodian->socket, &report, PROTOCOL_WAIT) != 0)
        log_write(LOG_WARN, "nobody hears", LOG_FIELDS(log_text("cause", cause.message)));
}

/* ---- a worker's life ---- */

/* Puts it under watch; false when the kernel has no room for that. */
static bool attend_worker(struct custodian *custodian, struct worker *worker)
{
    return attend(custodian, worker->pidfd, &worker->end) && attend(custodian, worker->word_fd, &worker->word) &&
           attend(custodian, worker->chatter.fd, &worker->error);
}

static void kill_worker(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    if (worker->state == WORKER_KILLED || worker->state == WORKER_REAPED)
        return;
    worker_signal(worker, SIGKILL);
    cgroups_kill(&custodian->cgroups, worker->id);
    heap_set(&custodian->workers.kills, &worker->kill_due, now_ns + (worker->hung ? GIVE_UP_HUNG : GIVE_UP_NS));
    workers_move(&custodian->workers, worker, WORKER_KILLED);
}

static void end_worker(struct custodian *custodian, struct worker *worker, uint64_t grace_ms, uint64_t now_ns)
{
    if (worker->state != WORKER_STARTING && worker->state != WORKER_RUNNING)
        return;
    worker_signal(worker, SIGTERM);
    heap_set(&custodian->workers.kills, &worker->kill_due, now_ns + grace_ms * NS_PER_MS);
    workers_move(&custodian->workers, worker, WORKER_ENDING);
}

static void hear_child(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    if (worker_hear_child(worker))
        return;
    ignore_and_close(custodian, &worker->word_fd);
    if (!worker_was_started(worker))
        return; /* its end is on the way, and is reported with the cause */
    if (worker->last_word.file > ENVIRONMENT_FILE_READ)
        log_write(LOG_WARN, "a home's .env is not used",
                  LOG_FIELDS(log_number("worker", (int64_t)worker->id), log_text("home", worker->home),
                             log_text("cause", environment_file_name((enum environment_file)worker->last_word.file))));
    if (worker->state != WORKER_STARTING)
        return; /* it is to end already */
    worker->spawn_ns = now_ns - worker->ordered_ns;
    worker->up_unsent = true;
    heap_clear(&custodian->workers.kills, &worker->kill_due);
    workers_move(&custodian->workers, worker, WORKER_RUNNING);
    want_report(custodian, worker);
}

static void end_chatter(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    if (worker->chatter.fd >= 0)
        ignore(custodian, worker->chatter.fd);
    chatter_fini(&worker->chatter, now_ns);
    list_remove(&worker->window_node);
}

/* It is nobody's concern any more, but for the report of its cause. */
static void part_with(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    cgroups_remove(&custodian->cgroups, worker->id);
    ignore_and_close(custodian, &worker->pidfd);
    ignore_and_close(custodian, &worker->word_fd);
    end_chatter(custodian, worker, now_ns);
    heap_clear(&custodian->workers.kills, &worker->kill_due);
    workers_move(&custodian->workers, worker, WORKER_REAPED);
    want_report(custodian, worker);
}

/* Its process has ended. */
static void bury_worker(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    if (worker->word_fd >= 0)
        hear_child(custodian, worker, now_ns); /* it may have been exec'd and have ended in one turn */
    cgroups_kill(&custodian->cgroups, worker->id);
    worker_reap(worker, custodian->plans->worker.command[0]);
    part_with(custodian, worker, now_ns);
}

static void kill_hung(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    worker->hung = true;
    kill_worker(custodian, worker, now_ns);
}

/* It is still not exec'd; or its grace is over; or it was killed and is still there. */
static void worker_is_overdue(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    if (worker->state == WORKER_STARTING) {
        kill_hung(custodian, worker, now_ns);
    } else if (worker->state == WORKER_KILLED) {
        worker_give_up(worker);
        part_with(custodian, worker, now_ns);
    } else {
        kill_worker(custodian, worker, now_ns);
    }
}

/* Somebody waits for a place: a start that does nothing but wait itself has had its time. */
static void give_up_hung_starts(struct custodian *custodian, uint64_t now_ns)
{
    LIST_EACH_SAFE (node, &custodian->workers.in_state[WORKER_STARTING]) {
        struct worker *worker = LIST_OWNER(node, struct worker, state_node);

        if (worker_is_stuck(worker, now_ns, HURRY_NS))
            kill_hung(custodian, worker, now_ns);
    }
}

static void start_worker(struct custodian *custodian, uint64_t worker_id, const int fds[ORDER_DESCRIPTOR_COUNT],
                         uint64_t now_ns)
{
    struct spawned spawned;
    struct worker *worker;
    const char *step;
    char *home;
    int error, cgroup_fd;

    if (fds[ORDER_ANSWER] < 0) { /* this process has no room for them */
        refuse(custodian, worker_id, "descriptors", EMFILE);
        return;
    }
    cgroup_fd = cgroups_make(&custodian->cgroups, worker_id);
    error = spawn_worker(&custodian->plans->worker, fds, cgroup_fd, &spawned, &step);
    if (cgroup_fd >= 0)
        close(cgroup_fd);
    if (error != 0) {
        cgroups_remove(&custodian->cgroups, worker_id);
        refuse(custodian, worker_id, step, error);
        return;
    }
    home = descriptor_find_path(fds[ORDER_HOME]);
    worker = workers_add(&custodian->workers, worker_id, home, &spawned);
    if (worker == NULL) {
        free(home);
        kill(spawned.pid, SIGKILL); /* ends before it is exec'd or soon after; reaped as one that nobody knows */
        cgroups_remove(&custodian->cgroups, worker_id);
        close(spawned.pidfd);
        close(spawned.word_fd);
        close(spawned.error_fd);
        refuse(custodian, worker_id, "memory", ENOMEM);
        return;
    }
    worker->ordered_ns = now_ns;
    heap_set(&custodian->workers.kills, &worker->kill_due, now_ns + START_NS_MAX);
    if (!attend_worker(custodian, worker))
        kill_worker(custodian, worker, now_ns); /* SIGCHLD tells of its end */
}

/* Those that were sealed before a file of /etc was replaced do not see the new one. */
static void end_outdated(struct custodian *custodian, uint64_t now_ns)
{
    size_t count = 0;

    if (custodian->etc_ns == NEVER_NS || now_ns - custodian->etc_ns < SETTLE_NS)
        return;
    for (enum worker_state state = WORKER_STARTING; state <= WORKER_RUNNING; state++) {
        LIST_EACH_SAFE (node, &custodian->workers.in_state[state]) {
            struct worker *worker = LIST_OWNER(node, struct worker, state_node);

            if (worker->ordered_ns > custodian->etc_ns)
                continue;
            end_worker(custodian, worker, custodian->plans->worker.term_grace_ms, now_ns);
            count++;
        }
    }
    custodian->etc_ns = NEVER_NS;
    log_write(count > 0 ? LOG_INFO : LOG_DEBUG, "system files were replaced: workers that cannot see the new ones end",
              LOG_FIELDS(log_number("workers", (int64_t)count)));
}

/* Children that are no workers: what workers left behind, which falls to us as a subreaper. */
static void reap_children(struct custodian *custodian, uint64_t now_ns)
{
    struct signalfd_siginfo signals[8];
    siginfo_t child = {0};

    if (read(custodian->children_fd, signals, sizeof signals) < 0)
        INVARIANT(errno == EAGAIN || errno == EINTR);
    while (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0) {
        struct worker *worker = workers_find_pid(&custodian->workers, child.si_pid);

        if (worker != NULL)
            bury_worker(custodian, worker, now_ns);
        else if (!observer_bury(&custodian->observer, child.si_pid, now_ns))
            waitid(P_PID, (id_t)child.si_pid, &child, WEXITED | WNOHANG);
        child.si_pid = 0;
    }
    cgroups_tidy(&custodian->cgroups);
}

/* ---- standard error ---- */

static void hear_chatter(struct custodian *custodian, struct worker *worker, uint64_t now_ns)
{
    enum chatter_state state = chatter_read(&worker->chatter, now_ns);

    if (worker->chatter.window_ns != 0 && worker->window_node.list == NULL)
        list_push_back(&custodian->workers.windows, &worker->window_node);
    if (state == CHATTER_FULL)
        ignore(custodian, worker->chatter.fd); /* until the window closes */
    else if (state == CHATTER_ENDED)
        end_chatter(custodian, worker, now_ns);
}

/* All windows are equally long, so the first that opened is the first to close. */
static uint64_t next_window_due(const struct custodian *custodian)
{
    const struct list_node *node = custodian->workers.windows.first;

    if (node == NULL)
        return NEVER_NS;
    return LIST_OWNER(node, struct worker, window_node)->chatter.window_ns + CHATTER_WINDOW_NS;
}

static void close_windows(struct custodian *custodian, uint64_t now_ns)
{
    while (next_window_due(custodian) <= now_ns) {
        struct worker *worker = LIST_OWNER(list_pop_front(&custodian->workers.windows), struct worker, window_node);
        bool was_full = worker->chatter.byte_count >= CHATTER_BYTE_COUNT_MAX;

        chatter_close_window(&worker->chatter);
        if (was_full && worker->chatter.fd >= 0 && !attend(custodian, worker->chatter.fd, &worker->error))
            chatter_fini(&worker->chatter, now_ns);
    }
}

/* ---- orders ---- */

static void begin_closing(struct custodian *custodian, uint64_t now_ns)
{
    if (custodian->closing_ns != NEVER_NS)
        return;
    custodian->closing_ns = now_ns;
    ignore(custodian, custodian->socket);
    ignore(custodian, custodian->observer.fd);
    observer_close(&custodian->observer);
    for (enum worker_state state = WORKER_STARTING; state < WORKER_KILLED; state++) {
        LIST_EACH_SAFE (node, &custodian->workers.in_state[state])
            kill_worker(custodian, LIST_OWNER(node, struct worker, state_node), now_ns);
    }
}

static void watch_etc(struct custodian *custodian)
{
    if (custodian->plans->worker_seal.offer.landlock_abi == 0 || custodian->etc_fd >= 0)
        return;
    custodian->etc_fd = etc_watch();
    if (custodian->etc_fd < 0 || !attend(custodian, custodian->etc_fd, &custodian->of_etc))
        log_write(LOG_WARN, "nobody tells when a file of /etc is replaced",
                  LOG_FIELDS(log_text("cause", strerror(errno))));
}

/* What is started from now on is as they say; what was started before, the daemon sees to. */
static void take_plans(struct custodian *custodian, struct plans *plans, bool differ, uint64_t now_ns)
{
    struct plans *former = custodian->plans;

    custodian->plans = plans;
    observer_plan_changed(&custodian->observer, &plans->reader, differ, now_ns);
    log_setup(custodian->source->program, (enum log_level)plans->config.log.level,
              (enum log_format)plans->config.log.format);
    watch_etc(custodian);
    plans_destroy(former);
}

/* All or nothing.  It is at an operator's word and seldom, so all else may wait for it. */
static void reload(struct custodian *custodian, uint64_t id, uint64_t now_ns)
{
    struct report report = {.kind = REPORT_RELOADED, .id = id};
    struct plans *plans;
    struct status status = plans_read(custodian->source, &plans);

    if (status_is_ok(&status)) {
        bool differ = plans_differ(custodian->plans, plans);

        take_plans(custodian, plans, differ, now_ns);
        report.outdated = differ;
        seal_describe(&plans->worker_seal, report.text);
    } else {
        report.kind = REPORT_KEPT;
        memcpy(report.text, status.message, sizeof report.text);
    }
    if (protocol_send_report(custodian->socket, &report, PROTOCOL_WAIT) != 0)
        log_write(LOG_WARN, "nobody hears", LOG_NO_FIELDS);
}

/* Where there is no room for it, it stays unread. */
static void observe(struct custodian *custodian, const struct order *order, const int fds[ORDER_DESCRIPTOR_COUNT],
                    uint64_t now_ns)
{
    struct report report = {.kind = REPORT_UNREAD, .id = order->id};
    int home_fd = fds[ORDER_HOME] < 0 ? -1 : fcntl(fds[ORDER_HOME], F_DUPFD_CLOEXEC, 0);
    char *path = home_fd < 0 ? NULL : descriptor_find_path(home_fd);
    int error = home_fd < 0 ? EMFILE : observer_take(&custodian->observer, order, home_fd, path, now_ns);

    if (error == 0)
        return;
    log_write(LOG_WARN, "a home is not observed",
              LOG_FIELDS(log_text("home", path), log_text("cause", strerror(error))));
    if (home_fd >= 0)
        close(home_fd);
    free(path);
    if (protocol_send_report(custodian->socket, &report, PROTOCOL_WAIT) != 0)
        log_write(LOG_WARN, "nobody hears", LOG_NO_FIELDS);
}

static bool obey(struct custodian *custodian, const struct order *order, const int fds[ORDER_DESCRIPTOR_COUNT],
                 uint64_t now_ns)
{
    struct worker *worker = workers_find(&custodian->workers, order->id);

    switch ((enum order_kind)order->kind) {
    case ORDER_START:
        if (worker != NULL)
            return false;
        start_worker(custodian, order->id, fds, now_ns);
        return true;
    case ORDER_KILL:
        if (worker != NULL)
            kill_worker(custodian, worker, now_ns);
        return true;
    case ORDER_END:
        if (worker != NULL)
            end_worker(custodian, worker, order->grace_ms, now_ns);
        return true;
    case ORDER_HURRY:
        give_up_hung_starts(custodian, now_ns);
        return true;
    case ORDER_OBSERVE:
        if (observer_knows(&custodian->observer, order->id))
            return false;
        observe(custodian, order, fds, now_ns);
        return true;
    case ORDER_FORGET:
        observer_forget(&custodian->observer, order->id);
        return true;
    case ORDER_RELOAD:
        reload(custodian, order->id, now_ns);
        return true;
    }
    return false;
}

static void receive_orders(struct custodian *custodian, uint64_t now_ns)
{
    struct order order;
    int fds[ORDER_DESCRIPTOR_COUNT], error;

    while ((error = protocol_receive_order(custodian->socket, &order, fds)) == 0) {
        bool understood = obey(custodian, &order, fds, now_ns);

        for (size_t i = 0; i < ORDER_DESCRIPTOR_COUNT; i++) {
            if (fds[i] >= 0)
                close(fds[i]);
        }
        if (!understood) {
            error = EPROTO;
            break;
        }
    }
    if (error == EAGAIN || error == EINTR)
        return;
    if (error != ECONNRESET)
        log_write(LOG_ERROR, "the daemon is not understood", LOG_FIELDS(log_text("cause", strerror(error))));
    begin_closing(custodian, now_ns);
}

/* ---- the loop ---- */

static uint64_t next_due(const struct custodian *custodian, uint64_t now_ns)
{
    const struct heap_node *kill = heap_first(&custodian->workers.kills);
    uint64_t due_ns = next_window_due(custodian);

    if (kill != NULL)
        due_ns = earlier(due_ns, kill->due_ns);
    if (custodian->etc_ns != NEVER_NS)
        due_ns = earlier(due_ns, custodian->etc_ns + SETTLE_NS);
    if (custodian->resend_ns != 0)
        due_ns = earlier(due_ns, custodian->resend_ns);
    if (custodian->closing_ns != NEVER_NS)
        return earlier(due_ns, now_ns + SWEEP_NS);
    return earlier(due_ns, observer_next_ns(&custodian->observer));
}

static void handle(struct custodian *custodian, const struct source *source, uint64_t now_ns)
{
    struct worker *worker = source->worker;

    switch (source->kind) {
    case SOURCE_SOCKET:
        receive_orders(custodian, now_ns);
        break;
    case SOURCE_CHILDREN:
        reap_children(custodian, now_ns);
        break;
    case SOURCE_ETC:
        if (etc_was_changed(custodian->etc_fd))
            custodian->etc_ns = now_ns;
        break;
    case SOURCE_OBSERVER:
        break; /* it works in every turn */
    case SOURCE_END:
        if (worker->pidfd >= 0)
            bury_worker(custodian, worker, now_ns);
        break;
    case SOURCE_WORD:
        if (worker->word_fd >= 0)
            hear_child(custodian, worker, now_ns);
        break;
    case SOURCE_CHATTER:
        if (worker->chatter.fd >= 0)
            hear_chatter(custodian, worker, now_ns);
        break;
    }
}

/* Workers are forgotten in send_reports alone, behind the whole batch: no event of it speaks of freed memory. */
static void take_turn(struct custodian *custodian)
{
    struct epoll_event events[EVENT_COUNT];
    uint64_t now_ns = clock_now_ns(), due_ns = next_due(custodian, now_ns);
    struct heap_node *kill;
    int wait_ms = -1, count;

    if (due_ns != NEVER_NS)
        wait_ms = due_ns <= now_ns ? 0 : (int)earlier((due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, INT32_MAX);
    count = epoll_wait(custodian->epoll_fd, events, EVENT_COUNT, wait_ms);
    INVARIANT(count >= 0 || errno == EINTR);
    now_ns = clock_now_ns();
    for (int i = 0; i < count; i++)
        handle(custodian, events[i].data.ptr, now_ns);
    while ((kill = heap_first(&custodian->workers.kills)) != NULL && kill->due_ns <= now_ns)
        worker_is_overdue(custodian, LIST_OWNER(kill, struct worker, kill_due), now_ns);
    if (custodian->closing_ns == NEVER_NS)
        observer_work(&custodian->observer, now_ns);
    end_outdated(custodian, now_ns);
    close_windows(custodian, now_ns);
    log_flush();
    send_reports(custodian, now_ns);
}

/* Closing: whatever is still our child is killed, until nothing is. */
static bool all_is_gone(struct custodian *custodian)
{
    uint64_t now_ns = clock_now_ns();

    reap_children(custodian, now_ns);
    send_reports(custodian, now_ns);
    if (now_ns - custodian->closing_ns >= CLOSE_NS)
        return true;
    return offspring_kill(0) == 0 && custodian->workers.count == 0;
}

static struct status prepare(struct custodian *custodian)
{
    struct status status = observer_open(&custodian->observer, &custodian->plans->reader);
    sigset_t children;

    if (!status_is_ok(&status))
        return status;

    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    custodian->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    custodian->children_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    custodian->of_socket = (struct source){SOURCE_SOCKET, NULL};
    custodian->of_children = (struct source){SOURCE_CHILDREN, NULL};
    custodian->of_etc = (struct source){SOURCE_ETC, NULL};
    custodian->of_observer = (struct source){SOURCE_OBSERVER, NULL};
    if (custodian->epoll_fd < 0 || custodian->children_fd < 0 ||
        !attend(custodian, custodian->socket, &custodian->of_socket) ||
        !attend(custodian, custodian->children_fd, &custodian->of_children) ||
        !attend(custodian, custodian->observer.fd, &custodian->of_observer))
        return status_make(STATUS_UNAVAILABLE, "cannot set up the loop: %s", strerror(errno));
    watch_etc(custodian);
    cgroups_open(&custodian->cgroups, getppid());
    return status_ok();
}

static struct status run(struct custodian *custodian)
{
    struct report ready = {.kind = REPORT_READY};
    struct status status = prepare(custodian);
    int error;

    if (!status_is_ok(&status))
        return status;
    seal_describe(&custodian->plans->worker_seal, ready.text);
    error = protocol_send_report(custodian->socket, &ready, PROTOCOL_WAIT);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "nobody hears: %s", strerror(error));
    while (custodian->closing_ns == NEVER_NS || !all_is_gone(custodian))
        take_turn(custodian);
    if (custodian->etc_fd >= 0)
        close(custodian->etc_fd);
    cgroups_close(&custodian->cgroups);
    close(custodian->children_fd);
    close(custodian->epoll_fd);
    heap_fini(&custodian->workers.kills);
    return status_ok();
}

struct status custodian_run(int socket, const struct plans_source *source, struct plans *plans)
{
    struct custodian custodian = {.socket = socket,
                                  .source = source,
                                  .plans = plans,
                                  .cgroups = CGROUPS_NONE,
                                  .etc_fd = -1,
                                  .etc_ns = NEVER_NS,
                                  .closing_ns = NEVER_NS};
    struct status status = run(&custodian);

    plans_destroy(custodian.plans);
    return status;
}
