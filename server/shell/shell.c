/* The shell around the engine: lock, step, unlock, carry out.
 *
 * Neighbours: the services above hand calls down and get them back through `answered`; work, custody, homes and news
 * below do what the engine asked for and report through the callbacks in this file. */
#include "server/shell/shell.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/shell/watchlist.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The id of calls of our own; those of clients are counted from 1. */
#define OWN_CALL_ID UINT64_MAX

/* How much longer than the grace shell_stop waits for the last worker. */
#define STOP_MARGIN_NS (2 * NS_PER_S)
#define HURRY_NS       (80 * NS_PER_MS) /* between two of custody_hurry */

/* Homes looked out for, a descriptor of ours and one of the custodian's each; and those of whom it is remembered that
 * they no longer are. */
enum { WATCHED_COUNT_MAX = 4096, LET_GO_COUNT_MAX = 4 * WATCHED_COUNT_MAX };

struct shell {
    /* Fixed at create. */
    struct homes *homes; /* lent */
    struct work *work;
    struct custody *custody;
    struct news *news;
    shell_answered *answered;
    void *context;
    pthread_t timer;

    /* Guarded by lock. */
    struct lock lock;
    struct condition timer_wake;
    struct condition emptied; /* while draining: something was given back or is gone */
    struct condition reloaded;
    struct engine *engine;
    struct list departures; /* struct shell_departure */
    bool observes;          /* credentials of homes that workers are started for are looked at */
    struct watchlist watchlist;
    uint64_t changes_seen;
    uint64_t stop_wait_ns;
    uint64_t timer_due_ns; /* when the timer thread wakes by itself; 0: it is awake */
    uint64_t hurry_ns;     /* when starts that hang are given up; UINT64_MAX: nobody waits for them */
    bool orders_being_drained;
    bool draining;
    bool stopping;
    bool timer_stopping;
    bool timer_asked;                       /* to go round, and it has not yet: shell_is_alive */
    uint64_t reload_asked, reload_answered; /* by number */
    struct status reload_status;            /* of the latter */
};

/* ---- a step ---- */

static uint64_t enter(struct shell *shell) ACQUIRES(shell->lock)
{
    lock_acquire(&shell->lock);
    return clock_now_ns(); /* under the lock, so that time never falls between steps */
}

static void carry_out(struct shell *shell, const struct actions *actions);

static void wake_timer_held(struct shell *shell) REQUIRES(shell->lock)
{
    shell->timer_due_ns = 0;
    condition_signal(&shell->timer_wake);
}

/* Where a start that hangs keeps others from theirs, it is asked to give way until none does. */
static void mind_starts_held(struct shell *shell) REQUIRES(shell->lock)
{
    if (!engine_waits_for_starts(shell->engine))
        shell->hurry_ns = UINT64_MAX;
    else if (shell->hurry_ns == UINT64_MAX)
        shell->hurry_ns = clock_now_ns() + HURRY_NS;
}

static uint64_t timer_next_ns_held(const struct shell *shell) REQUIRES(shell->lock)
{
    uint64_t next_ns = engine_next_ns(shell->engine);

    return shell->hurry_ns < next_ns ? shell->hurry_ns : next_ns;
}

static void leave(struct shell *shell, const struct actions *actions) RELEASES(shell->lock)
{
    mind_starts_held(shell);
    if (timer_next_ns_held(shell) < shell->timer_due_ns)
        wake_timer_held(shell);
    if (shell->draining)
        condition_broadcast(&shell->emptied);
    lock_release(&shell->lock);
    carry_out(shell, actions);
}

/* A call is its owner's again. */
static void give_back(struct shell *shell, struct engine_call *call)
{
    if (call->id == OWN_CALL_ID)
        free(call);
    else
        shell->answered(shell->context, call);
}

/* ---- what nobody asked for: another directory, other credentials ---- */

static uint64_t random_epoch(void)
{
    uint64_t epoch = 0;

    while (epoch == 0)
        secret_random(&epoch, sizeof epoch);
    return epoch;
}

/* The home (NULL: each) is one generation on, in what concerns the provider ("": all of it), though nobody asked. */
static struct status fence_held(struct shell *shell, uint64_t now_ns, const char *path, const char *provider,
                                const char *reason, struct actions *actions) REQUIRES(shell->lock)
{
    struct engine_call *own = calloc(1, sizeof *own);

    lock_assert_held(&shell->lock);
    if (own == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to note that %s", reason);
    own->id = OWN_CALL_ID;
    own->kind = ENGINE_CALL_INVALIDATE;
    own->arrived_ns = now_ns;
    own->deadline_ns = UINT64_MAX;
    snprintf(own->provider, sizeof own->provider, "%s", provider);
    snprintf(own->invalidate.reason, sizeof own->invalidate.reason, "%s", reason);
    engine_invalidate_arrived(shell->engine, now_ns, own, path, path == NULL ? random_epoch() : 0, actions);
    return own->result.status; /* it is given back with the actions, or with the news */
}

/* The kernel's device numbers have 12 and 20 bits; a birth in nanoseconds lasts until the year 2262. */
static struct engine_directory directory_of(const struct home_identity *identity)
{
    uint64_t device = (uint64_t)identity->device_major << 20 | identity->device_minor;
    uint64_t birth_ns = identity->birth_known ? (uint64_t)identity->birth_s * NS_PER_S + identity->birth_ns : 0;

    return (struct engine_directory){{identity->inode, (uint64_t)identity->owner_uid << 32 | device, birth_ns}};
}

/* What is decided from now on is about this directory.  What it was before is void first. */
static struct status settle_directory_held(struct shell *shell, uint64_t now_ns, const struct home_place *place,
                                           struct engine_directory *directory_out, struct actions *actions)
    REQUIRES(shell->lock)
{
    struct status status = status_ok();

    *directory_out = directory_of(&place->identity);
    if (!engine_home_is_other(shell->engine, place->canonical, directory_out))
        return status;
    status = fence_held(shell, now_ns, place->canonical, "", "the home is another directory now", actions);
    if (status_is_ok(&status))
        engine_home_becomes(shell->engine, place->canonical, directory_out);
    return status;
}

/* A home that was let go is asked for again: what happened in it meanwhile, nobody knows. */
static struct status note_use_held(struct shell *shell, uint64_t now_ns, const char *path, struct actions *actions)
    REQUIRES(shell->lock)
{
    struct watch *watch = watchlist_is_crowded(&shell->watchlist) ? watchlist_find(&shell->watchlist, path) : NULL;
    struct status status = status_ok();

    lock_assert_held(&shell->lock);
    if (watch == NULL)
        return status;
    watchlist_touch(&shell->watchlist, watch);
    if (watch->state != WATCH_LET_GO)
        return status;
    status = fence_held(shell, now_ns, path, "", "nobody looked at its credentials for a while", actions);
    if (status_is_ok(&status))
        watchlist_remove(&shell->watchlist, watch);
    return status;
}

/* Both, for whatever asks for a home. */
static struct status observe_held(struct shell *shell, uint64_t now_ns, const struct home_place *place,
                                  struct engine_directory *directory_out, struct actions *actions) REQUIRES(shell->lock)
{
    struct status status = settle_directory_held(shell, now_ns, place, directory_out, actions);

    return status_is_ok(&status) ? note_use_held(shell, now_ns, place->canonical, actions) : status;
}

/* The call goes no further. */
static void refuse(struct shell *shell, struct engine_call *call, const struct status *status)
{
    call->result.status = *status;
    give_back(shell, call);
}

/* ---- orders: one drainer at a time keeps them in order ---- */

static void worker_gone(void *context, uint64_t worker_id, bool by_itself, const struct status *cause)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns;

    work_worker_gone(shell->work, worker_id); /* first: behind the last step there may be no work any more */
    now_ns = enter(shell);
    engine_worker_gone(shell->engine, now_ns, worker_id, by_itself ? ENGINE_BLAME_WORKER : ENGINE_BLAME_CUSTODIAN,
                       cause, &actions);
    leave(shell, &actions);
}

/* What is to be asked of custody once the lock is released. */
struct watch_orders {
    uint64_t observed_id; /* 0: none */
    int observed_fd;
    uint64_t forgotten_ids[2]; /* 0: none */
    struct list starts;        /* struct pinned_start: they wait no longer */
};

/* The opened home goes on its way to custody. */
static void start_pinned(struct shell *shell, uint64_t worker_id, int home_fd)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns = enter(shell);
    bool taken = engine_worker_pinned(shell->engine, now_ns, worker_id, home_fd, &actions);

    leave(shell, &actions);
    if (!taken)
        close(home_fd);
}

static void start_all_pinned(struct shell *shell, struct list *starts)
{
    struct list_node *node;

    while ((node = list_pop_front(starts)) != NULL) {
        struct pinned_start *start = LIST_OWNER(node, struct pinned_start, node);

        start_pinned(shell, start->worker_id, start->home_fd);
        free(start);
    }
}

static void take_starts_held(struct watch *watch, struct list *starts)
{
    while (watch->starts.first != NULL)
        list_move(starts, watch->starts.first);
}

/* The directory that is looked at is the one that workers are started in: another's watch is over. */
static struct watch *find_watch_held(struct shell *shell, const char *home, const struct engine_directory *directory,
                                     struct watch_orders *orders) REQUIRES(shell->lock)
{
    struct watch *watch = watchlist_find(&shell->watchlist, home);

    if (watch == NULL || memcmp(&watch->directory, directory, sizeof *directory) == 0)
        return watch;
    orders->forgotten_ids[0] = watch->id;
    take_starts_held(watch, &orders->starts); /* the engine does not want them any more */
    watchlist_remove(&shell->watchlist, watch);
    return NULL;
}

/* Whether the start waits until its home was looked at, and so is taken.  Where there is no memory or no descriptor for
 * that, the home is not looked at, and nothing waits. */
static bool watch_start_held(struct shell *shell, const char *home, const struct engine_directory *directory,
                             uint64_t worker_id, int home_fd, struct watch_orders *orders) REQUIRES(shell->lock)
{
    struct watch *watch = find_watch_held(shell, home, directory, orders);

    lock_assert_held(&shell->lock);
    if (watch == NULL) {
        orders->observed_fd = fcntl(home_fd, F_DUPFD_CLOEXEC, 0);
        watch = orders->observed_fd < 0 ? NULL : watchlist_add(&shell->watchlist, home, directory);
        if (watch == NULL) {
            if (orders->observed_fd >= 0)
                close(orders->observed_fd);
            return false;
        }
        orders->observed_id = watch->id;
        orders->forgotten_ids[1] = watchlist_let_go(&shell->watchlist);
    }
    return watch->state == WATCH_UNSETTLED && watch_add_start(watch, worker_id, home_fd);
}

static void carry_out_watch_orders(struct shell *shell, struct watch_orders *orders)
{
    for (size_t i = 0; i < 2; i++) {
        if (orders->forgotten_ids[i] != 0)
            custody_forget(shell->custody, orders->forgotten_ids[i]);
    }
    if (orders->observed_id != 0)
        custody_observe(shell->custody, orders->observed_id, orders->observed_fd);
    start_all_pinned(shell, &orders->starts);
}

static void worker_pinned(void *context, struct homes_ticket ticket, const struct status *status,
                          const struct home_place *place, int home_fd)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;
    struct watch_orders orders = {.observed_id = 0};
    struct engine_directory directory;
    struct status observed;
    uint64_t now_ns;
    bool waits = false;

    if (!status_is_ok(status)) {
        log_write(LOG_WARN, "worker not started",
                  LOG_FIELDS(log_number("worker", (int64_t)ticket.id), log_text("cause", status->message)));
        worker_gone(shell, ticket.id, true, status);
        return;
    }
    now_ns = enter(shell);
    /* When it is another one than was asked for, the home moves on and this start is not wanted any more. */
    observed = observe_held(shell, now_ns, place, &directory, &actions);
    if (status_is_ok(&observed) && shell->observes)
        waits = watch_start_held(shell, place->canonical, &directory, ticket.id, home_fd, &orders);
    leave(shell, &actions);
    carry_out_watch_orders(shell, &orders);
    if (!status_is_ok(&observed)) {
        close(home_fd);
        worker_gone(shell, ticket.id, false, &observed);
    } else if (!waits) {
        start_pinned(shell, ticket.id, home_fd);
    }
}

/* For the log, with the setting that it follows from where there is one. */
static const char *const end_reasons[ENGINE_END_REASON_COUNT] = {
    [ENGINE_END_NONE] = "",
    [ENGINE_END_GONE] = "it ended by itself",
    [ENGINE_END_SPOKE] = "it wrote or hung up unasked",
    [ENGINE_END_FAULT] = "its lease failed",
    [ENGINE_END_IDLE] = "idle for pool.idle_ms",
    [ENGINE_END_LIFETIME] = "as old as pool.lifetime_ms allows",
    [ENGINE_END_REQUESTS] = "used pool.requests_max times",
    [ENGINE_END_FENCE] = "its home was invalidated",
    [ENGINE_END_ROOM] = "its place under pool.workers_max is needed",
    [ENGINE_END_SURPLUS] = "one more than pool.workers_per_home",
    [ENGINE_END_STOP] = "the daemon is ending",
};

static void carry_out_order(struct shell *shell, const struct engine_order *order, const char *home)
{
    struct status status;

    switch (order->kind) {
    case ENGINE_ORDER_PIN:
        status = homes_pin(shell->homes, home, order->uid, worker_pinned, shell,
                           (struct homes_ticket){.id = order->worker_id});
        if (!status_is_ok(&status))
            worker_gone(shell, order->worker_id, true, &status);
        break;
    case ENGINE_ORDER_LAUNCH:
        custody_launch(shell->custody, order->worker_id, order->home_fd);
        break;
    case ENGINE_ORDER_KILL:
        custody_kill(shell->custody, order->worker_id, end_reasons[order->reason]);
        break;
    case ENGINE_ORDER_END:
        custody_end(shell->custody, order->worker_id, end_reasons[order->reason]);
        break;
    }
}

static void drain_orders(struct shell *shell)
{
    struct engine_order order;
    char home[LIMIT_HOME_SIZE_MAX + 1]; /* the order lends its path until the next step only */

    lock_acquire(&shell->lock);
    if (!shell->orders_being_drained) {
        shell->orders_being_drained = true;
        while (engine_order_next(shell->engine, &order)) {
            if (order.kind == ENGINE_ORDER_PIN)
                memcpy(home, order.home, strlen(order.home) + 1);
            lock_release(&shell->lock);
            carry_out_order(shell, &order, home);
            lock_acquire(&shell->lock);
        }
        shell->orders_being_drained = false;
        if (shell->draining)
            condition_broadcast(&shell->emptied);
    }
    lock_release(&shell->lock);
}

static void carry_out(struct shell *shell, const struct actions *actions)
{
    lock_assert_none();
    for (struct engine_call *call = actions->answered, *next; call != NULL; call = next) {
        next = call->next_answered; /* read first: the call is its owner's once it is answered */
        give_back(shell, call);
    }
    for (struct engine_lease *lease = actions->leased, *next; lease != NULL; lease = next) {
        next = lease->next_leased; /* likewise */
        work_take(shell->work, lease);
    }
    if (actions->idled.worker_id != 0)
        custody_watch(shell->custody, actions->idled.worker_id, actions->idled.turn);
    if (actions->orders)
        drain_orders(shell);
    if (actions->news)
        news_wake(shell->news);
}

/* ---- what comes up from custody and work ---- */

static void worker_up(void *context, uint64_t worker_id, int32_t pid, int request_fd, int answer_fd, uint64_t spawn_ns)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;
    struct worker_channel channel = {.request_fd = request_fd, .answer_fd = answer_fd};
    uint64_t now_ns = enter(shell);

    engine_worker_up(shell->engine, now_ns, worker_id, pid, channel, spawn_ns, &actions);
    leave(shell, &actions);
}

static void worker_spoke(void *context, uint64_t worker_id, uint64_t turn)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns = enter(shell);

    engine_worker_spoke(shell->engine, now_ns, worker_id, turn, &actions);
    leave(shell, &actions);
}

static void home_settled(void *context, uint64_t home_id)
{
    struct shell *shell = context;
    struct list starts = {0};
    struct watch *watch;
    bool known;

    lock_acquire(&shell->lock);
    watch = watchlist_find_id(&shell->watchlist, home_id);
    known = watch != NULL;
    if (known) {
        watch->state = WATCH_SETTLED;
        take_starts_held(watch, &starts);
    }
    lock_release(&shell->lock);
    if (!known)
        custody_forget(shell->custody, home_id); /* it was taken off the list before custody knew of it */
    start_all_pinned(shell, &starts);
}

/* `lost`: its directory is, and with it all that was in it. */
static void home_changed_held(struct shell *shell, uint64_t home_id, const char *provider, bool lost,
                              struct actions *actions) REQUIRES(shell->lock)
{
    struct watch *watch = watchlist_find_id(&shell->watchlist, home_id);
    struct status status;

    lock_assert_held(&shell->lock);
    if (watch == NULL)
        return;
    shell->changes_seen++;
    status = fence_held(shell, clock_now_ns(), watch->home, provider,
                        lost ? "its directory is gone" : "its credentials changed", actions);
    if (!status_is_ok(&status))
        log_write(LOG_ERROR, "a change of credentials is lost",
                  LOG_FIELDS(log_text("home", watch->home), log_text("cause", status.message)));
    if (lost)
        watchlist_remove(&shell->watchlist, watch);
}

static void home_changed(void *context, uint64_t home_id, const char *provider)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;

    (void)enter(shell);
    home_changed_held(shell, home_id, provider, false, &actions);
    leave(shell, &actions);
}

static void home_lost(void *context, uint64_t home_id)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;

    (void)enter(shell);
    home_changed_held(shell, home_id, "", true, &actions);
    leave(shell, &actions);
    custody_forget(shell->custody, home_id);
}

/* Workers that are there already are other than they should be, and so may be what they answered. */
static void workers_reloaded(void *context, uint64_t reload_id, const struct status *status, bool outdated)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;
    struct status fenced = status_ok();
    uint64_t now_ns = enter(shell);

    if (outdated)
        fenced = fence_held(shell, now_ns, NULL, "", "the settings of workers changed", &actions);
    if (reload_id == shell->reload_asked) {
        shell->reload_answered = reload_id;
        shell->reload_status = status_is_ok(status) ? fenced : *status;
        condition_broadcast(&shell->reloaded);
    }
    leave(shell, &actions);
}

static bool worker_is_gone(void *context, uint64_t worker_id)
{
    struct shell *shell = context;

    return custody_is_gone(shell->custody, worker_id);
}

static void lease_returned(void *context, struct engine_lease *lease, const struct lease_outcome *outcome)
{
    struct shell *shell = context;
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns;

    if (outcome->end != LEASE_ANSWERED)
        log_write(LOG_WARN, "lease failed",
                  LOG_FIELDS(log_number("lease", (int64_t)lease->id), log_number("worker", (int64_t)lease->worker_id),
                             log_text("provider", lease->provider), log_text("cause", outcome->status.message)));
    now_ns = enter(shell);
    engine_lease_returned(shell->engine, now_ns, lease, outcome, &actions);
    leave(shell, &actions);
}

/* ---- what news asks for ---- */

static bool news_next(void *context, struct engine_news *news_out)
{
    struct shell *shell = context;
    bool found;

    lock_acquire(&shell->lock);
    found = engine_news_next(shell->engine, news_out);
    if (found && news_out->call != NULL && news_out->call->id == OWN_CALL_ID)
        news_out->cause = CAUSE_OBSERVED; /* nobody asked for it */
    if (shell->draining)
        condition_broadcast(&shell->emptied);
    lock_release(&shell->lock);
    return found;
}

static uint64_t news_epoch(void *context)
{
    struct shell *shell = context;
    uint64_t epoch;

    lock_acquire(&shell->lock);
    epoch = engine_epoch(shell->engine);
    lock_release(&shell->lock);
    return epoch;
}

static void news_answered(void *context, struct engine_call *call)
{
    give_back(context, call);
}

static bool news_admits(void *context, uint32_t uid)
{
    struct shell *shell = context;

    return homes_uid_is_admin(shell->homes, uid);
}

/* By the rules for a call.  A known home whose directory is gone is for whoever may know that it is. */
static enum news_verdict news_judge(void *context, uint32_t uid, const char *home)
{
    struct shell *shell = context;
    struct home_place place;
    struct status status;

    if (!homes_resolve_now(shell->homes, home, uid, clock_now_ns(), &place, &status))
        return NEWS_UNDECIDED;
    switch (status.code) {
    case STATUS_OK:
    case STATUS_NOT_FOUND:
        return strcmp(place.canonical, home) == 0 ? NEWS_HEARD : NEWS_NOT_HEARD;
    case STATUS_RESOURCE_EXHAUSTED:
    case STATUS_UNAVAILABLE:
    case STATUS_INTERNAL:
        return NEWS_UNDECIDED; /* nothing was learnt */
    default:
        return NEWS_NOT_HEARD;
    }
}

/* What it found is remembered by homes for a moment. */
static void news_home_looked_at(void *context, struct homes_ticket ticket, const struct status *status,
                                const struct home_place *place)
{
    struct shell *shell = context;

    (void)status;
    (void)place;
    news_looked(shell->news, (uint32_t)ticket.id);
}

static bool news_home_look(void *context, uint32_t uid, const char *home)
{
    struct shell *shell = context;
    struct status status =
        homes_resolve_later(shell->homes, home, uid, news_home_looked_at, shell, (struct homes_ticket){.id = uid});

    return status_is_ok(&status);
}

/* ---- the timer thread: time, and departures that came where nothing may be done ---- */

static void hurry(struct shell *shell)
{
    homes_hurry(shell->homes);
    custody_hurry(shell->custody);
}

static void run_timer(void *context)
{
    struct shell *shell = context;

    lock_acquire(&shell->lock);
    while (!shell->timer_stopping) {
        struct actions actions = ACTIONS_EMPTY;
        struct list_node *node = list_pop_front(&shell->departures);
        struct shell_departure *departure = node == NULL ? NULL : LIST_OWNER(node, struct shell_departure, node);
        uint64_t now_ns = clock_now_ns();
        bool hurries = shell->hurry_ns <= now_ns;

        shell->timer_asked = false;
        if (hurries)
            shell->hurry_ns = UINT64_MAX; /* set again when it still helps */
        if (departure != NULL) {
            engine_call_left(shell->engine, now_ns, departure->call, departure->id, &actions);
        } else if (engine_next_ns(shell->engine) <= now_ns) {
            engine_time_passed(shell->engine, now_ns, &actions);
        } else if (!hurries) {
            shell->timer_due_ns = timer_next_ns_held(shell);
            condition_wait(&shell->timer_wake, &shell->lock, shell->timer_due_ns);
            shell->timer_due_ns = 0;
            continue;
        }
        leave(shell, &actions);
        if (hurries)
            hurry(shell);
        if (departure != NULL)
            departure->done(departure); /* its memory is the call's owner's again */
        lock_acquire(&shell->lock);
    }
    lock_release(&shell->lock);
}

/* ---- life ---- */

static uint64_t stop_wait_ns(const struct shell_settings *settings)
{
    return settings->custody.term_grace_ms * NS_PER_MS + STOP_MARGIN_NS;
}

static struct status create_engine(struct shell *shell, const struct engine_settings *settings)
{
    struct map_seed seed;

    secret_random(&seed, sizeof seed);
    shell->engine = engine_create(settings, &seed, random_epoch());
    return shell->engine == NULL ? status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the engine") : status_ok();
}

struct status shell_create(const struct shell_settings *settings, struct homes *homes, shell_answered *answered,
                           void *context, struct shell **shell_out)
{
    static const struct custody_events custody_events = {.up = worker_up,
                                                         .gone = worker_gone,
                                                         .spoke = worker_spoke,
                                                         .settled = home_settled,
                                                         .changed = home_changed,
                                                         .lost = home_lost,
                                                         .reloaded = workers_reloaded};
    static const struct news_source news_source = {
        .next = news_next, .epoch = news_epoch, .answered = news_answered, .judge = news_judge, .look = news_home_look};
    struct news_settings news_settings = settings->news;
    struct shell *shell = calloc(1, sizeof *shell);
    struct status status;

    if (shell == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the shell");
    shell->homes = homes;
    shell->answered = answered;
    shell->context = context;
    shell->observes = settings->observe;
    watchlist_init(&shell->watchlist, WATCHED_COUNT_MAX, LET_GO_COUNT_MAX);
    shell->stop_wait_ns = stop_wait_ns(settings);
    shell->hurry_ns = UINT64_MAX;
    lock_init(&shell->lock, "engine");
    condition_init(&shell->timer_wake);
    condition_init(&shell->emptied);
    condition_init(&shell->reloaded);
    news_settings.admits = news_admits;

    status = create_engine(shell, &settings->engine);
    if (!status_is_ok(&status))
        goto free_shell;
    status = custody_create(&settings->custody, &custody_events, shell, &shell->custody);
    if (!status_is_ok(&status))
        goto destroy_engine;
    status = work_create(&settings->work, lease_returned, worker_is_gone, shell, &shell->work);
    if (!status_is_ok(&status))
        goto destroy_custody;
    status = news_create(&news_settings, &news_source, shell, &shell->news);
    if (!status_is_ok(&status))
        goto destroy_work;
    status = thread_start(&shell->timer, "timer", 0, run_timer, shell);
    if (!status_is_ok(&status))
        goto destroy_news;
    *shell_out = shell;
    return status_ok();

destroy_news:
    news_destroy(shell->news);
destroy_work:
    work_destroy(shell->work);
destroy_custody:
    custody_destroy(shell->custody);
destroy_engine:
    engine_destroy(shell->engine);
free_shell:
    watchlist_fini(&shell->watchlist);
    condition_fini(&shell->reloaded);
    condition_fini(&shell->emptied);
    condition_fini(&shell->timer_wake);
    lock_fini(&shell->lock);
    free(shell);
    return status;
}

void shell_drain(struct shell *shell)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns = enter(shell);

    shell->draining = true;
    engine_drain(shell->engine, now_ns, &actions);
    leave(shell, &actions);
}

static bool is_empty_held(struct shell *shell) REQUIRES(shell->lock)
{
    lock_assert_held(&shell->lock);
    return engine_is_empty(shell->engine) && !shell->orders_being_drained;
}

bool shell_wait_drained(struct shell *shell, uint64_t due_ns)
{
    bool empty;

    lock_assert_none();
    lock_acquire(&shell->lock);
    while (!is_empty_held(shell) && !shell->stopping && condition_wait(&shell->emptied, &shell->lock, due_ns))
        continue;
    empty = is_empty_held(shell);
    lock_release(&shell->lock);
    return empty;
}

bool shell_stop(struct shell *shell)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns = enter(shell);
    bool empty;

    shell->draining = true;
    shell->stopping = true;
    engine_stop(shell->engine, now_ns, &actions);
    leave(shell, &actions);
    lock_acquire(&shell->lock);
    while (!is_empty_held(shell) && condition_wait(&shell->emptied, &shell->lock, now_ns + shell->stop_wait_ns))
        continue;
    empty = is_empty_held(shell);
    lock_release(&shell->lock);
    if (empty)
        news_stop(shell->news); /* it asks homes, which end before we do */
    return empty;
}

void shell_destroy(struct shell *shell)
{
    if (shell == NULL)
        return;
    lock_acquire(&shell->lock);
    shell->timer_stopping = true;
    wake_timer_held(shell);
    lock_release(&shell->lock);
    thread_join(shell->timer);
    work_destroy(shell->work); /* first: a handler may still be carrying out what its last lease left to do */
    news_destroy(shell->news);
    custody_destroy(shell->custody);
    engine_destroy(shell->engine);
    watchlist_fini(&shell->watchlist);
    condition_fini(&shell->reloaded);
    condition_fini(&shell->emptied);
    condition_fini(&shell->timer_wake);
    lock_fini(&shell->lock);
    free(shell);
}

/* ---- calls ---- */

void shell_call_parked(struct shell *shell, struct engine_call *call)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns = enter(shell);

    engine_call_parked(shell->engine, now_ns, call, &actions);
    leave(shell, &actions);
}

bool shell_call_unparked(struct shell *shell, struct engine_call *call, uint64_t id)
{
    bool unparked;

    lock_acquire(&shell->lock);
    unparked = engine_call_unparked(shell->engine, call, id);
    lock_release(&shell->lock);
    return unparked;
}

void shell_probe(struct shell *shell, struct engine_call *call, const struct home_place *place)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns = enter(shell);
    struct status status = observe_held(shell, now_ns, place, &call->probe.directory, &actions);

    if (status_is_ok(&status))
        engine_probe_arrived(shell->engine, now_ns, call, place->canonical, &actions);
    leave(shell, &actions);
    if (!status_is_ok(&status))
        refuse(shell, call, &status);
}

void shell_invalidate(struct shell *shell, struct engine_call *call, const char *home)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t new_epoch = home == NULL ? random_epoch() : 0;
    uint64_t now_ns = enter(shell);

    engine_invalidate_arrived(shell->engine, now_ns, call, home, new_epoch, &actions);
    leave(shell, &actions);
}

void shell_sync(struct shell *shell, struct engine_call *call, const struct home_place *place)
{
    struct actions actions = ACTIONS_EMPTY;
    struct engine_directory directory;
    uint64_t now_ns = enter(shell);
    struct status status = observe_held(shell, now_ns, place, &directory, &actions);

    if (status_is_ok(&status))
        engine_sync_arrived(shell->engine, now_ns, call, place->canonical, &actions);
    leave(shell, &actions);
    if (!status_is_ok(&status))
        refuse(shell, call, &status);
}

void shell_call_left(struct shell *shell, struct engine_call *call, struct shell_departure *departure, uint64_t id,
                     void (*done)(struct shell_departure *departure))
{
    lock_acquire(&shell->lock);
    departure->call = call;
    departure->id = id;
    departure->done = done;
    list_push_back(&shell->departures, &departure->node);
    wake_timer_held(shell);
    lock_release(&shell->lock);
}

/* Takes one home off the list; false: there is none. */
static bool stop_observing_one(struct shell *shell)
{
    struct list starts = {0};
    struct list_node *node;
    uint64_t forgotten_id = 0;

    lock_acquire(&shell->lock);
    node = shell->watchlist.watched.first;
    if (node == NULL)
        node = shell->watchlist.let_go.first;
    if (node != NULL) {
        struct watch *watch = LIST_OWNER(node, struct watch, node);

        forgotten_id = watch->state == WATCH_LET_GO ? 0 : watch->id;
        take_starts_held(watch, &starts);
        watchlist_remove(&shell->watchlist, watch);
    }
    lock_release(&shell->lock);
    if (forgotten_id != 0)
        custody_forget(shell->custody, forgotten_id);
    start_all_pinned(shell, &starts);
    return node != NULL;
}

/* What happened while nobody looked is not known: when it begins, everything is void that was known before. */
static void observe_or_not(struct shell *shell, bool observe)
{
    struct actions actions = ACTIONS_EMPTY;
    struct status status = status_ok();
    uint64_t now_ns = enter(shell);

    if (observe && !shell->observes)
        status = fence_held(shell, now_ns, NULL, "", "credentials are looked at from now on", &actions);
    shell->observes = observe && status_is_ok(&status);
    leave(shell, &actions);
    if (!status_is_ok(&status))
        log_write(LOG_ERROR, "homes are not observed", LOG_FIELDS(log_text("cause", status.message)));
    while (!observe && stop_observing_one(shell))
        continue;
}

void shell_settings_changed(struct shell *shell, const struct shell_settings *settings)
{
    struct actions actions = ACTIONS_EMPTY;
    uint64_t now_ns;

    observe_or_not(shell, settings->observe);
    custody_grace_changed(shell->custody, settings->custody.term_grace_ms);
    news_settings_changed(shell->news, &settings->news);
    work_settings_changed(shell->work, &settings->work); /* before the engine: more leases need more handlers */
    now_ns = enter(shell);
    shell->stop_wait_ns = stop_wait_ns(settings);
    engine_settings_changed(shell->engine, &settings->engine);
    engine_time_passed(shell->engine, now_ns, &actions); /* who waits is looked at again */
    leave(shell, &actions);
}

struct status shell_reload(struct shell *shell, uint64_t due_ns)
{
    struct status status;
    uint64_t reload_id;

    lock_assert_none();
    lock_acquire(&shell->lock);
    reload_id = ++shell->reload_asked;
    lock_release(&shell->lock);
    custody_reload(shell->custody, reload_id);
    lock_acquire(&shell->lock);
    while (shell->reload_answered != reload_id && condition_wait(&shell->reloaded, &shell->lock, due_ns))
        continue;
    if (shell->reload_answered == reload_id)
        status = shell->reload_status;
    else
        status = status_make(STATUS_DEADLINE_EXCEEDED, "the custodian has not answered in time");
    lock_release(&shell->lock);
    return status;
}

bool shell_is_alive(struct shell *shell)
{
    bool alive;

    lock_acquire(&shell->lock);
    alive = !shell->timer_asked;
    shell->timer_asked = true;
    wake_timer_held(shell);
    lock_release(&shell->lock);
    return alive;
}

/* ---- looking ---- */

void shell_look(struct shell *shell, struct engine_view *view_out)
{
    lock_acquire(&shell->lock);
    engine_look(shell->engine, view_out);
    lock_release(&shell->lock);
}

size_t shell_look_homes(struct shell *shell, const char *after, struct engine_home_view *views, size_t view_count_max,
                        bool *more_out)
{
    uint64_t now_ns = enter(shell);
    size_t count = engine_look_homes(shell->engine, now_ns, after, views, view_count_max, more_out);

    lock_release(&shell->lock);
    return count;
}

size_t shell_look_workers(struct shell *shell, const char *home, uint64_t after_id, struct engine_worker_view *views,
                          size_t view_count_max, bool *more_out)
{
    uint64_t now_ns = enter(shell);
    size_t count = engine_look_workers(shell->engine, now_ns, home, after_id, views, view_count_max, more_out);

    lock_release(&shell->lock);
    return count;
}

size_t shell_look_busy_homes(struct shell *shell, struct engine_home_view *views, size_t view_count_max, bool *more_out)
{
    uint64_t now_ns = enter(shell);
    size_t count = engine_look_busy_homes(shell->engine, now_ns, views, view_count_max, more_out);

    lock_release(&shell->lock);
    return count;
}

size_t shell_look_history(struct shell *shell, struct history_event *events, size_t event_count_max)
{
    return news_look_history(shell->news, events, event_count_max);
}

void shell_look_news(struct shell *shell, struct news_counts *counts_out)
{
    news_look(shell->news, counts_out);
}

void shell_look_watches(struct shell *shell, struct shell_watch_counts *counts_out)
{
    lock_acquire(&shell->lock);
    counts_out->homes = shell->watchlist.watched.count;
    counts_out->changes = shell->changes_seen;
    lock_release(&shell->lock);
}

void shell_look_seal(struct shell *shell, char text[STATUS_MESSAGE_SIZE])
{
    custody_look_seal(shell->custody, text);
}

void shell_look_worker_seal(struct shell *shell, uint64_t worker_id, char name[CUSTODY_SEAL_NAME_SIZE])
{
    custody_look_worker_seal(shell->custody, worker_id, name);
}
