/* The daemon's program: builds the floors bottom up, waits for a signal, takes them down in reverse. */
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/secret.h"
#include "server/config.h"
#include "server/edge/edge.h"
#include "server/edge/nng_start.h"
#include "server/edge/socket_path.h"
#include "server/http/http.h"
#include "server/keeper.h"
#include "server/manager.h"
#include "server/roles.h"
#include "server/service/service.h"
#include "server/shell/shell.h"
#include "server/threads/thread.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HOMES_WAIT_MS = 200,      /* for resolvers at the end; a hung one is left behind */
    STOP_SECONDS_MAX = 10,    /* beyond the grace: then the process ends itself */
    SIGNAL_DRAINED = SIGUSR2, /* from the drainer thread to main */
    RELOAD_WAIT_MS = 2000,    /* for the custodian to read the configuration again */
    TICK_MS = 1000,           /* between two looks at ourselves, unless the watchdog wants them closer */
    FEEDS_PER_WATCHDOG = 3,
};

/* Everything that is up, in order of building. */
struct daemon {
    struct config config;
    char libexec_dir[LIMIT_HOME_SIZE_MAX + 1];
    int argc;
    char **argv;
    struct manager manager;
    char told[STATUS_MESSAGE_SIZE]; /* the service manager, last: its STATUS= */
    uint64_t alive_ns;              /* when we last found ourselves alive */
    bool hangs;                     /* and said so */
    uint64_t tick_due_ns;
    struct socket_claims *claims;
    bool gives_up_root; /* server.user: to become `user`, asking the keeper at keeper_socket */
    struct keeper_user user;
    int keeper_socket;   /* -1: there is none */
    uint32_t *news_uids; /* owned: who may call and hears of its own homes alone */
    size_t news_uid_count;
    struct roles roles;
    struct tls *tls; /* NULL: no URL takes it */
    struct homes *homes;
    struct service *service;
    struct shell *shell;
    struct edge *edge;
    struct http *http; /* NULL: server.http is off */
    bool stopped;      /* shell_stop was called */
    bool emptied;      /* and said that nothing is left */
};

/* ---- settings, as each room wants them ---- */

/* Whose uid counts like root's: ours, or that which we are about to take. */
static uint32_t daemon_uid(const struct daemon *daemon)
{
    return daemon->gives_up_root ? daemon->user.uid : geteuid();
}

static struct engine_settings engine_settings(const struct daemon *daemon, const struct config *config)
{
    return (struct engine_settings){
        .homes_max = config->server.homes_max,
        .workers_per_home = config->pool.workers_per_home,
        .workers_max = config->pool.workers_max,
        .reserve_per_home = config->pool.reserve_per_home,
        .reserve_wait_ns = config->pool.reserve_wait_ms * NS_PER_MS,
        .prewarm = config->pool.prewarm,
        .queue_per_home = config->pool.queue_per_home,
        .queue_max = config->pool.queue_max,
        .idle_ns_max = config->pool.idle_ms * NS_PER_MS,
        .lifetime_ns = config->pool.lifetime_ms * NS_PER_MS,
        .requests_max = config->pool.requests_max,
        .run_ns_max = config->probe.run_ms * NS_PER_MS,
        .cache_ttl_ns = config->probe.cache_ttl_ms * NS_PER_MS,
        .cache_entries_max = config->probe.cache_entries,
        .cache_bytes_max = config->probe.cache_bytes,
        .failure_ttl_ns = config->probe.failure_ttl_ms * NS_PER_MS,
        .keep_good_ns = config->probe.keep_good_ms * NS_PER_MS,
        .daemon_uid = daemon_uid(daemon),
    };
}

static struct work_settings work_settings(const struct config *config)
{
    return (struct work_settings){
        .handler_count_max = config->pool.workers_max,
        .answer_line_size_max = config->worker.reply_bytes_max,
        .run_ms = config->probe.run_ms,
    };
}

/* Whether others than root and the daemon's uid may call: then the sockets are open and the peer's uid decides. */
static bool serves_others(const struct config *config)
{
    return config->server.allow_uids.count + config->server.admin_uids.count > 0;
}

static int ipc_mode(const struct config *config)
{
    return serves_others(config) ? 0666 : 0600;
}

static struct homes_settings homes_settings(const struct daemon *daemon)
{
    const struct config *config = &daemon->config;

    return (struct homes_settings){
        .daemon_uid = daemon_uid(daemon),
        .run_by_root = daemon->gives_up_root,
        .admin_uids = config->server.admin_uids.uids,
        .admin_uid_count = config->server.admin_uids.count,
        .roots = (const char *const *)config->server.homes_root.words,
        .root_count = config->server.homes_root.count,
    };
}

static bool is_among(uint32_t uid, const uint32_t *uids, size_t uid_count)
{
    for (size_t i = 0; i < uid_count; i++) {
        if (uids[i] == uid)
            return true;
    }
    return false;
}

/* allow_uids without those that may hear everything, each once. */
static struct status choose_news_uids(struct daemon *daemon)
{
    const struct config *config = &daemon->config;

    daemon->news_uids = calloc(config->server.allow_uids.count + 1, sizeof daemon->news_uids[0]);
    if (daemon->news_uids == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for server.allow_uids");
    for (size_t i = 0; i < config->server.allow_uids.count; i++) {
        uint32_t uid = config->server.allow_uids.uids[i];

        if (uid == 0 || uid == daemon_uid(daemon) ||
            is_among(uid, config->server.admin_uids.uids, config->server.admin_uids.count) ||
            is_among(uid, daemon->news_uids, daemon->news_uid_count))
            continue;
        daemon->news_uids[daemon->news_uid_count++] = uid;
    }
    return status_ok();
}

/* ---- start ---- */

/* The folder of this program: the custodian and the built-in worker lie beside it. */
static void find_libexec_dir(struct daemon *daemon)
{
    ssize_t size = readlink("/proc/self/exe", daemon->libexec_dir, sizeof daemon->libexec_dir - 1);
    char *slash;

    daemon->libexec_dir[size < 0 ? 0 : size] = '\0';
    slash = strrchr(daemon->libexec_dir, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* An api_key may be in memory: no core file, and no process of the same uid may look (ptrace, /proc/<pid>/mem).  A limit
 * does not keep a core from a program that core_pattern pipes to; not being dumpable does. */
static void seal_memory(void)
{
    const struct rlimit no_core = {0, 0};

    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* As many descriptors as the system lets us have. */
static void set_limits(void)
{
    struct rlimit descriptors;

    umask(077);
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
}

/* Before any thread: all of them inherit it.  A fault's own signals stay as they are. */
static void block_signals(void)
{
    sigset_t blocked;

    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGABRT);
    sigdelset(&blocked, SIGALRM); /* the last resort of a stop that hangs: its default ends the process */
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}

static struct shell_settings shell_settings(const struct daemon *daemon, const struct config *config)
{
    return (struct shell_settings){
        .engine = engine_settings(daemon, config),
        .custody = {.arguments = (const char *const *)(daemon->argv + 1),
                    .term_grace_ms = config->pool.term_grace_ms,
                    .irreplaceable = daemon->gives_up_root},
        .work = work_settings(config),
        .news = {.urls = (const char *const *)config->server.publish.words,
                 .url_count = config->server.publish.count,
                 .uids = daemon->news_uids,
                 .uid_count = daemon->news_uid_count,
                 .ipc_mode = ipc_mode(config),
                 .tcp_trust = config->server.tcp_trust,
                 .tls = daemon->tls,
                 .connections_per_role = config->server.connections_per_uid,
                 .heartbeat_ns = config->events.heartbeat_ms * NS_PER_MS},
        .observe = config->events.observe,
    };
}

static struct status create_shell(struct daemon *daemon)
{
    char custodian[sizeof daemon->libexec_dir + sizeof "/probed-custodian"];
    struct shell_settings settings = shell_settings(daemon, &daemon->config);

    settings.custody.program = custodian;
    snprintf(custodian, sizeof custodian, "%s/probed-custodian", daemon->libexec_dir);
    return shell_create(&settings, daemon->homes, service_answered, daemon->service, &daemon->shell);
}

static struct edge_settings edge_settings(const struct daemon *daemon, const struct config *config)
{
    return (struct edge_settings){
        .urls = (const char *const *)config->server.listen.words,
        .url_count = config->server.listen.count,
        .ipc_mode = ipc_mode(config),
        .daemon_uid = daemon_uid(daemon),
        .allow_uids = config->server.allow_uids.uids,
        .allow_uid_count = config->server.allow_uids.count,
        .tcp_trust = config->server.tcp_trust,
        .tls = daemon->tls,
        .calls_max = config->server.calls_max,
        .calls_per_uid = config->server.calls_per_uid,
        .connections_per_uid = config->server.connections_per_uid,
        .request_size_max = config->server.request_bytes_max,
        .timeout_ns_max = config->probe.timeout_ms * NS_PER_MS,
    };
}

static struct status create_edge(struct daemon *daemon)
{
    struct edge_settings settings = edge_settings(daemon, &daemon->config);

    return edge_create(&settings, daemon->service, daemon->homes, &daemon->edge);
}

static struct status create_http(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    struct http_settings settings = {
        .addresses = (const char *const *)config->server.http.words,
        .address_count = config->server.http.count,
        .socket_mode = config->server.admin_uids.count > 0 ? 0666 : 0600,
        .tcp_trust = config->server.tcp_trust,
        .wait_ns_max = HTTP_WAIT_NS_MAX,
    };

    if (settings.address_count == 0)
        return status_ok();
    return http_create(&settings, daemon->service, daemon->shell, daemon->homes, &daemon->http);
}

static struct status create_homes(struct daemon *daemon)
{
    struct homes_settings settings = homes_settings(daemon);

    settings.far_socket_given = daemon->gives_up_root;
    settings.far_socket = daemon->keeper_socket;
    return homes_create(&settings, &daemon->homes);
}

static struct status create_service(struct daemon *daemon)
{
    struct service_settings settings;

    secret_random(&settings.fingerprint_key, sizeof settings.fingerprint_key);
    return service_create(&settings, &daemon->service);
}

/* The `index`-th address of server.http as a socket's URL; false: it is none. */
static bool http_socket_url(const struct daemon *daemon, size_t index,
                            char url[sizeof "ipc://" + LIMIT_SOCKET_PATH_SIZE_MAX])
{
    const char *address = daemon->config.server.http.words[index];

    snprintf(url, sizeof "ipc://" + LIMIT_SOCKET_PATH_SIZE_MAX, "ipc://%s", address);
    return address[0] == '/';
}

/* The unix sockets that the page is shown on. */
static struct status claim_http_sockets(struct daemon *daemon)
{
    struct status status = status_ok();
    char url[sizeof "ipc://" + LIMIT_SOCKET_PATH_SIZE_MAX];

    for (size_t i = 0; status_is_ok(&status) && i < daemon->config.server.http.count; i++) {
        if (http_socket_url(daemon, i, url))
            status = socket_path_claim(daemon->claims, url, serves_others(&daemon->config));
    }
    return status;
}

/* events.<uid>.sock beside the `index`-th socket that events are published on. */
static struct status claim_news_sockets(struct daemon *daemon, size_t index)
{
    const char *const *urls = (const char *const *)daemon->config.server.publish.words;
    struct status status = status_ok();
    char url[NEWS_URL_SIZE];

    for (size_t i = 0; status_is_ok(&status) && i < daemon->news_uid_count; i++) {
        if (news_url_of_uid(urls, index, daemon->news_uids[i], url))
            status = socket_path_claim(daemon->claims, url, true);
    }
    return status;
}

static struct status claim_sockets(struct daemon *daemon)
{
    const struct config_words *lists[] = {&daemon->config.server.listen, &daemon->config.server.publish};
    struct status status = socket_claims_create(&daemon->claims);

    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (size_t i = 0; status_is_ok(&status) && i < lists[list]->count; i++)
            status = socket_path_claim(daemon->claims, lists[list]->words[i], serves_others(&daemon->config));
    }
    for (size_t i = 0; status_is_ok(&status) && i < daemon->config.server.publish.count; i++)
        status = claim_news_sockets(daemon, i);
    return status_is_ok(&status) ? claim_http_sockets(daemon) : status;
}

/* With server.user, this is the daemon's process from here on, or (keeper_socket -1) the keeper's, after it. */
static struct status part(struct daemon *daemon, int *exit_status_out)
{
    struct homes_settings settings = homes_settings(daemon);

    return keeper_part(&settings, &daemon->manager, &daemon->keeper_socket, exit_status_out);
}

/* Whatever was built when it fails is taken down by `stop`. */
static struct status start(struct daemon *daemon)
{
    struct status status = nng_start(daemon->config.server.nng_cpu);

    if (status_is_ok(&status) && daemon->roles.tls.role_count > 0)
        status = tls_create(&daemon->roles.tls, &daemon->tls); /* while the key can be read: see server.user */
    if (status_is_ok(&status))
        status = create_homes(daemon);
    if (status_is_ok(&status))
        status = create_service(daemon);
    if (status_is_ok(&status))
        status = create_shell(daemon);
    if (status_is_ok(&status)) {
        service_attach(daemon->service, daemon->shell, daemon->homes);
        status = create_edge(daemon);
    }
    if (status_is_ok(&status))
        status = create_http(daemon);
    if (status_is_ok(&status) && daemon->gives_up_root)
        status = keeper_give_up_root(&daemon->user);
    return status;
}

static void say_ready(const struct daemon *daemon)
{
    char seal[STATUS_MESSAGE_SIZE];

    shell_look_seal(daemon->shell, seal);
    log_write(LOG_INFO, "workers are sealed", LOG_FIELDS(log_text("sandbox", seal)));
    for (size_t i = 0; i < daemon->config.server.listen.count; i++)
        log_write(LOG_INFO, "listening", LOG_FIELDS(log_text("url", daemon->config.server.listen.words[i])));
    for (size_t i = 0; i < daemon->config.server.publish.count; i++)
        log_write(LOG_INFO, "publishing", LOG_FIELDS(log_text("url", daemon->config.server.publish.words[i])));
    for (size_t i = 0; i < daemon->config.server.http.count; i++)
        log_write(LOG_INFO, "showing metrics and a page",
                  LOG_FIELDS(log_text("address", daemon->config.server.http.words[i])));
    log_write(
        LOG_INFO, "ready",
        LOG_FIELDS(log_text("version", PROBED_VERSION), log_number("pid", getpid()), log_text("nng", nng_version())));
}

/* ---- what the service manager is told ---- */

static uint64_t worker_count(const struct engine_view *view)
{
    uint64_t count = 0;

    for (enum worker_state state = WORKER_STARTING; state < WORKER_STATE_COUNT; state++)
        count += view->workers[state];
    return count;
}

/* In a line, for `systemctl status`: what does not change with every call, so that it is seldom sent. */
static void describe(const struct daemon *daemon, char text[STATUS_MESSAGE_SIZE])
{
    struct engine_view view;

    shell_look(daemon->shell, &view);
    if (view.draining)
        snprintf(text, STATUS_MESSAGE_SIZE, "Draining: %" PRIu64 " calls in progress, %" PRIu64 " workers", view.aboard,
                 worker_count(&view));
    else
        snprintf(text, STATUS_MESSAGE_SIZE,
                 "Serving: %" PRIu64 " homes, %" PRIu64 " workers, %" PRIu64 " of them leased, %" PRIu64
                 " calls waiting",
                 view.homes, worker_count(&view), view.workers[WORKER_LEASED], view.waiting);
}

static void tell_manager(struct daemon *daemon, enum manager_notice_kind kind, uint64_t number)
{
    if (!manager_listens(&daemon->manager))
        return;
    describe(daemon, daemon->told);
    manager_say(&daemon->manager, kind, number, daemon->told);
}

/* That main comes here, gets the locks that every call takes, and finds that the timer has gone round since the last
 * time: then calls are answered and deadlines kept. */
static bool is_alive(struct daemon *daemon)
{
    struct edge_counts counts;
    uint64_t now_ns;
    bool alive;

    edge_look(daemon->edge, &counts);
    alive = shell_is_alive(daemon->shell);
    now_ns = clock_now_ns();
    if (alive) {
        daemon->alive_ns = now_ns;
        daemon->hangs = false;
    } else if (!daemon->hangs && now_ns - daemon->alive_ns > daemon->manager.watchdog_ns / 2) { /* not merely busy */
        log_write(LOG_ERROR, "the timer hangs: the watchdog is not fed", LOG_NO_FIELDS);
        daemon->hangs = true;
    }
    return alive;
}

static uint64_t tick_ns(const struct daemon *daemon)
{
    uint64_t watchdog_ns = daemon->manager.watchdog_ns / FEEDS_PER_WATCHDOG;

    return watchdog_ns > 0 && watchdog_ns < TICK_MS * NS_PER_MS ? watchdog_ns : TICK_MS * NS_PER_MS;
}

static void tick(struct daemon *daemon)
{
    char text[STATUS_MESSAGE_SIZE];

    daemon->tick_due_ns = clock_now_ns() + tick_ns(daemon);
    log_flush();
    if (!manager_listens(&daemon->manager))
        return;
    if (daemon->manager.watchdog_ns > 0 && is_alive(daemon))
        manager_say(&daemon->manager, MANAGER_ALIVE, 0, NULL);
    describe(daemon, text);
    if (strcmp(text, daemon->told) != 0)
        tell_manager(daemon, MANAGER_STATUS, 0);
}

/* ---- signals ---- */

/* To begin or to end with TLS takes a restart: until then the listeners go on with the files they have. */
static bool keeps_tls(const struct daemon *daemon, const struct config *fresh)
{
    return daemon->tls != NULL && fresh->tls.certificate[0] != '\0';
}

/* Whether all of [tls] would do, and what is in its files, which is in force with exchange_tls: certificate and key may
 * have moved, the authorities are looked for where they were. */
static struct status prepare_tls(struct daemon *daemon, const struct config *fresh)
{
    struct tls_settings settings = daemon->roles.tls;
    struct roles roles;
    struct status status = roles_init(fresh, &roles);

    if (!status_is_ok(&status))
        return status;
    roles_fini(&roles);
    settings.certificate_file = fresh->tls.certificate;
    settings.key_file = fresh->tls.key;
    return keeps_tls(daemon, fresh) ? tls_prepare(daemon->tls, &settings) : status;
}

static void exchange_tls(struct daemon *daemon, bool wanted)
{
    if (daemon->tls != NULL)
        tls_exchange(daemon->tls, wanted);
}

/* The custodian reads what workers are for itself. */
static struct status reload_workers(struct daemon *daemon)
{
    char before[STATUS_MESSAGE_SIZE], now[STATUS_MESSAGE_SIZE];
    struct status status;

    shell_look_seal(daemon->shell, before);
    status = shell_reload(daemon->shell, clock_now_ns() + RELOAD_WAIT_MS * NS_PER_MS);
    shell_look_seal(daemon->shell, now);
    if (strcmp(before, now) != 0)
        log_write(LOG_INFO, "workers are sealed", LOG_FIELDS(log_text("sandbox", now)));
    return status;
}

static void say_changed(void *context, const struct config_change *change)
{
    (void)context;
    if (change->fixed == NULL)
        log_write(LOG_INFO, "setting changed",
                  LOG_FIELDS(log_text("setting", change->setting), log_text("before", change->before),
                             log_text("now", change->after)));
    else
        log_write(LOG_WARN, "setting takes a restart",
                  LOG_FIELDS(log_text("setting", change->setting), log_text("now", change->before),
                             log_text("wanted", change->after), log_text("why", change->fixed)));
}

/* What can change while it runs does; the rest stays what it was started with, and is named each time. */
static void apply(struct daemon *daemon, struct config *fresh)
{
    size_t count = config_compare(&daemon->config, fresh, say_changed, NULL);
    struct shell_settings shell;
    struct edge_settings edge;

    config_take_live(&daemon->config, fresh);
    daemon->roles.tls.certificate_file = daemon->config.tls.certificate; /* lent */
    daemon->roles.tls.key_file = daemon->config.tls.key;
    shell = shell_settings(daemon, &daemon->config);
    edge = edge_settings(daemon, &daemon->config);
    shell_settings_changed(daemon->shell, &shell);
    edge_settings_changed(daemon->edge, &edge);
    log_write(LOG_INFO, "configuration read again", LOG_FIELDS(log_number("changed", (int64_t)count)));
    log_setup("probed", (enum log_level)daemon->config.log.level, (enum log_format)daemon->config.log.format);
}

/* What can refuse comes first, so that nothing is taken over by halves. */
static struct status reload_all(struct daemon *daemon, struct config *fresh)
{
    struct status status = prepare_tls(daemon, fresh);

    if (status_is_ok(&status))
        status = reload_workers(daemon);
    exchange_tls(daemon, status_is_ok(&status));
    if (status_is_ok(&status))
        apply(daemon, fresh);
    return status;
}

/* All or nothing: a configuration that is not good as a whole changes nothing. */
static void reload(struct daemon *daemon)
{
    struct config fresh;
    enum config_mode mode;
    struct status status;

    tell_manager(daemon, MANAGER_RELOADING, 0);
    status = config_load("probed", daemon->argc, daemon->argv, daemon->libexec_dir, &fresh, &mode);
    if (status_is_ok(&status)) {
        status = reload_all(daemon, &fresh);
        config_fini(&fresh);
    }
    if (!status_is_ok(&status))
        log_write(LOG_ERROR, "configuration kept as it was",
                  LOG_FIELDS(log_text("cause", status.message), log_number("uid", geteuid())));
    tell_manager(daemon, MANAGER_READY, 0);
}

struct drainer {
    struct daemon *daemon;
    pthread_t main;
    uint64_t due_ns;
    atomic_bool done; /* tells our signal from a stranger's */
};

static void run_drainer(void *context)
{
    struct drainer *drainer = context;

    shell_wait_drained(drainer->daemon->shell, drainer->due_ns);
    atomic_store(&drainer->done, true);
    pthread_kill(drainer->main, SIGNAL_DRAINED);
}

/* The signal; 0: none came until then. */
static int wait_signal(const sigset_t *waited, uint64_t due_ns)
{
    uint64_t now_ns = clock_now_ns(), left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    const struct timespec left = {.tv_sec = (time_t)(left_ns / NS_PER_S), .tv_nsec = (long)(left_ns % NS_PER_S)};
    int signal_number = sigtimedwait(waited, NULL, &left);

    return signal_number < 0 ? 0 : signal_number;
}

/* Until SIGTERM or SIGINT (true), or until it is drained. */
static bool wait_for_end(struct daemon *daemon, const struct drainer *drainer)
{
    sigset_t waited;
    int signal_number;

    sigemptyset(&waited);
    sigaddset(&waited, SIGTERM);
    sigaddset(&waited, SIGINT);
    sigaddset(&waited, SIGNAL_DRAINED);
    sigaddset(&waited, SIGHUP);
    for (;;) {
        signal_number = wait_signal(&waited, daemon->tick_due_ns);
        if (clock_now_ns() >= daemon->tick_due_ns)
            tick(daemon);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return true;
        if (drainer != NULL && atomic_load(&drainer->done))
            return false;
        if (signal_number == SIGHUP && drainer == NULL)
            reload(daemon);
    }
}

/* How long a stop may take behind the drain. */
static unsigned stop_seconds_max(const struct daemon *daemon)
{
    return (unsigned)(STOP_SECONDS_MAX + daemon->config.pool.term_grace_ms / 1000);
}

/* From here on the process ends, whatever hangs. */
static void arm_last_resort(const struct daemon *daemon)
{
    alarm(stop_seconds_max(daemon));
}

/* Once: a second wait would be as long as the first. */
static void stop_shell(struct daemon *daemon)
{
    arm_last_resort(daemon);
    edge_drain(daemon->edge);
    if (daemon->shell != NULL && !daemon->stopped)
        daemon->emptied = shell_stop(daemon->shell);
    daemon->stopped = true;
}

/* Calls aboard may finish, until drain_ms or a second signal. */
static void drain(struct daemon *daemon)
{
    struct drainer drainer = {.daemon = daemon,
                              .main = pthread_self(),
                              .due_ns = clock_now_ns() + daemon->config.server.drain_ms * NS_PER_MS};
    pthread_t thread;
    struct status status;

    log_write(LOG_INFO, "draining", LOG_FIELDS(log_number("drain_ms", (int64_t)daemon->config.server.drain_ms)));
    service_drain(daemon->service);
    shell_drain(daemon->shell);
    tell_manager(daemon, MANAGER_STOPPING,
                 daemon->config.server.drain_ms * 1000 + stop_seconds_max(daemon) * UINT64_C(1000000));
    status = thread_start(&thread, "drainer", 0, run_drainer, &drainer);
    if (!status_is_ok(&status)) {
        log_write(LOG_WARN, "ending without waiting", LOG_FIELDS(log_text("cause", status.message)));
        return;
    }
    if (wait_for_end(daemon, &drainer))
        log_write(LOG_WARN, "second signal: ending at once", LOG_NO_FIELDS);
    stop_shell(daemon); /* which ends the drainer's wait */
    thread_join(thread);
}

/* The very last thing.  Where there is a keeper, who ends after us, they are the keeper's. */
static void let_go_of_sockets(struct daemon *daemon)
{
    if (daemon->keeper_socket < 0)
        socket_claims_destroy(daemon->claims);
}

/* In reverse; what was never built is NULL. */
static void stop(struct daemon *daemon)
{
    stop_shell(daemon);
    http_destroy(daemon->http);
    edge_close(daemon->edge);
    if (daemon->shell != NULL && !daemon->emptied) {
        log_write(LOG_WARN, "a worker or a file system hangs: ending without it", LOG_NO_FIELDS);
        let_go_of_sockets(daemon);
        _exit(0); /* the custodian notices, and kills what is left */
    }
    homes_destroy(daemon->homes, HOMES_WAIT_MS * NS_PER_MS);
    shell_destroy(daemon->shell);
    edge_destroy(daemon->edge);
    service_destroy(daemon->service);
    tls_destroy(daemon->tls);
    nng_stop();
    let_go_of_sockets(daemon);
    roles_fini(&daemon->roles);
    free(daemon->news_uids);
}

static void remove_socket(const char *url)
{
    if (strncmp(url, "ipc://", 6) == 0)
        unlink(url + 6);
}

/* What the daemon has no right to remove any more. */
static void remove_sockets(const struct daemon *daemon)
{
    const struct config_words *lists[] = {&daemon->config.server.listen, &daemon->config.server.publish};
    char url[NEWS_URL_SIZE];

    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (size_t i = 0; i < lists[list]->count; i++)
            remove_socket(lists[list]->words[i]);
    }
    for (size_t i = 0; i < daemon->config.server.publish.count; i++) {
        for (size_t uid = 0; uid < daemon->news_uid_count; uid++) {
            if (news_url_of_uid((const char *const *)daemon->config.server.publish.words, i, daemon->news_uids[uid],
                                url))
                remove_socket(url);
        }
    }
    for (size_t i = 0; i < daemon->config.server.http.count; i++) {
        if (daemon->config.server.http.words[i][0] == '/')
            unlink(daemon->config.server.http.words[i]);
    }
    socket_claims_destroy(daemon->claims);
}

/* Who we are to be, and whose sockets there are. */
static struct status prepare(struct daemon *daemon)
{
    struct status status = status_ok();

    if (daemon->config.server.user[0] != '\0') {
        status = keeper_find_user(daemon->config.server.user, &daemon->user);
        daemon->gives_up_root = status_is_ok(&status);
    }
    if (status_is_ok(&status))
        status = roles_init(&daemon->config, &daemon->roles);
    if (status_is_ok(&status))
        status = choose_news_uids(daemon);
    return status_is_ok(&status) ? claim_sockets(daemon) : status;
}

static int run(struct daemon *daemon)
{
    struct status status = prepare(daemon);
    int exit_status;

    if (status_is_ok(&status) && daemon->gives_up_root) {
        status = part(daemon, &exit_status);
        if (status_is_ok(&status) && daemon->keeper_socket < 0) {
            remove_sockets(daemon);
            return exit_status;
        }
    }
    if (status_is_ok(&status))
        status = start(daemon);
    if (status_is_ok(&status)) {
        say_ready(daemon);
        tell_manager(daemon, MANAGER_READY, 0);
        wait_for_end(daemon, NULL);
        drain(daemon);
    }
    stop(daemon);
    if (!status_is_ok(&status)) {
        manager_say(&daemon->manager, MANAGER_STATUS, 0, status.message);
        fprintf(stderr, "probed: %s\n", status.message);
        return 1;
    }
    log_write(LOG_INFO, "ended", LOG_NO_FIELDS);
    return 0;
}

/* --check-config, beyond what the settings say by themselves. */
static int check(const struct config *config)
{
    struct roles roles;
    struct status status = roles_init(config, &roles);

    if (status_is_ok(&status)) {
        if (roles.tls.role_count > 0)
            status = tls_check(&roles.tls);
        roles_fini(&roles);
    }
    if (status_is_ok(&status))
        return 0;
    fprintf(stderr, "probed: %s\n", status.message);
    return 2;
}

int main(int argc, char **argv)
{
    static struct daemon daemon = {.manager = {.socket = -1}, .keeper_socket = -1}; /* else zero: nothing is up */
    enum config_mode mode;
    struct status status;
    int result = 0;

    daemon.argc = argc;
    daemon.argv = argv;
    find_libexec_dir(&daemon);
    log_find_journal(LOG_JOURNAL_SOCKET);
    status = config_load("probed", argc, argv, daemon.libexec_dir, &daemon.config, &mode);
    if (!status_is_ok(&status)) {
        fprintf(stderr, "probed: %s\n", status.message);
        return 2;
    }
    log_setup("probed", (enum log_level)daemon.config.log.level, (enum log_format)daemon.config.log.format);
    if (mode == CONFIG_PRINT) {
        config_print(&daemon.config, stdout);
    } else if (mode == CONFIG_CHECK) {
        result = check(&daemon.config);
    } else if (mode == CONFIG_RUN) { /* else --help was answered */
        manager_init(&daemon.manager);
        seal_memory();
        set_limits();
        block_signals();
        if (secret_setup() != 0) {
            fprintf(stderr, "probed: libsodium cannot start\n");
            result = 1;
        } else {
            result = run(&daemon);
        }
    }
    manager_fini(&daemon.manager);
    config_fini(&daemon.config);
    return result;
}
