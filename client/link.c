/* A socket, its dialer and its one connection. */
#include "client/link.h"

#include "client/tls_look.h"
#include "client/wait.h"
#include "proto/nng_shim.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
    RECONNECT_MS_MIN = 50,
    RECONNECT_MS_MAX = 1000,
    /* How long a connection that is just being made is waited for before somebody looks why there is none. */
    CONNECT_GRACE_MS = 25,
    CONNECT_GRACE_TLS_MS = 250, /* some round trips, and the arithmetic of a handshake on both sides */
    /* How long a first connection may take before its link can be closed, where somebody greets.  nng 1.5.2 loses one
     * that was greeted and not yet taken over, with its descriptor: whoever opened and closed in one breath would leak
     * one each time. */
    SETTLE_MS = 1000,
};

/* The process in which nng was used first: in a fork of it nng panics. */
static _Atomic pid_t process_of_nng;

static struct probed_status check_process(void)
{
    pid_t unused = 0, own = getpid();

    if (atomic_compare_exchange_strong(&process_of_nng, &unused, own) || unused == own)
        return outcome_ok();
    return outcome_make(PROBED_FAILED_PRECONDITION,
                        "process %ld is a fork of %ld, which has used nng already: exec a program first", (long)own,
                        (long)unused);
}

struct probed_status link_usable(const struct link *link)
{
    pid_t own = getpid();

    if (own != link->pid)
        return outcome_make(PROBED_FAILED_PRECONDITION,
                            "the connection belongs to process %ld, and this is %ld, a fork of it", (long)link->pid,
                            (long)own);
    return outcome_ok();
}

/* ---- what the connection does ---- */

static void pipe_appears(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct link *link = context;

    (void)event;
    pthread_mutex_lock(&link->lock);
    link->pipe_id = nng_pipe_id(pipe);
    link->pipe_gone = false;
    pthread_mutex_unlock(&link->lock);
}

/* Says once what will go wrong if Debian's nng goes without its cure: by now it has called us, or it never will. */
static void check_cure(void)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;

    if (!nng_shim_active() && !atomic_flag_test_and_set(&told))
        fprintf(stderr,
                "libprobed: the defects of nng %s are not cured in this process, and lost connections may stay "
                "lost: link -lprobed before -lnng\n",
                nng_version());
}

static void pipe_is_up(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct link *link = context;

    (void)event;
    check_cure();
    pthread_mutex_lock(&link->lock);
    if (link->pipe_id == nng_pipe_id(pipe) && !link->pipe_gone) {
        link->up = true;
        link->settled = true;
        pthread_cond_broadcast(&link->changed);
    }
    pthread_mutex_unlock(&link->lock);
}

static void pipe_goes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct link *link = context;

    (void)event;
    pthread_mutex_lock(&link->lock);
    if (link->pipe_id == nng_pipe_id(pipe)) {
        link->pipe_gone = true;
        link->up = false;
    }
    pthread_mutex_unlock(&link->lock);
}

/* ---- opening ---- */

static struct probed_status out_of(const char *what, int error)
{
    return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot %s: %s", what, nng_strerror(error));
}

/* nng starts its threads in the first call; none of them is to run a signal handler of the program's. */
static int open_with_signals_blocked(const struct link_kind *kind, nng_socket *socket_out)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = kind->open(socket_out);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int set_up(struct link *link)
{
    int error = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMINT, RECONNECT_MS_MIN);

    if (error == 0)
        error = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMAXT, RECONNECT_MS_MAX);
    if (error == 0)
        error = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_PRE, pipe_appears, link);
    if (error == 0)
        error = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, pipe_is_up, link);
    if (error == 0)
        error = nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, pipe_goes, link);
    return error;
}

struct probed_status link_open(struct link *link, const struct link_kind *kind, const char *url,
                               const struct probed_tls *tls)
{
    struct probed_status status = check_process();
    int error;

    if (!outcome_is_ok(&status))
        return status;
    *link = (struct link){.far_protocol = kind->far_protocol, .pid = getpid()};
    snprintf(link->url, sizeof link->url, "%s", url);
    if (tls_is_url(url))
        status = tls_choose(tls, url, &link->tls);
    if (!outcome_is_ok(&status))
        return status;
    error = open_with_signals_blocked(kind, &link->socket);
    if (error != 0) {
        tls_choice_destroy(link->tls);
        return out_of("open a socket", error);
    }
    pthread_mutex_init(&link->lock, NULL);
    wait_init(&link->changed);
    error = set_up(link);
    if (error == 0)
        return outcome_ok();
    link_close(link);
    link_fini(link);
    return out_of("set a socket up", error);
}

struct probed_status link_dial(struct link *link, size_t receive_size_max)
{
    nng_tls_config *config = NULL;
    struct probed_status status = link->tls == NULL ? outcome_ok() : tls_make_config(link->tls, &config);
    nng_dialer dialer;
    int error;

    if (!outcome_is_ok(&status))
        return status;
    error = nng_dialer_create(&dialer, link->socket, link->url);
    if (error == 0)
        error = nng_dialer_set_size(dialer, NNG_OPT_RECVMAXSZ, receive_size_max);
    if (error == 0 && config != NULL)
        error = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config);
    if (config != NULL)
        nng_tls_config_free(config); /* the dialer has its own hold */
    if (error == 0)
        error = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    if (error == 0)
        link->dialled_ms = outcome_now_ms();
    if (error == NNG_ENOMEM)
        return out_of("dial", error);
    if (error != 0)
        return outcome_make(PROBED_INVALID_ARGUMENT,
                            "cannot dial \"%s\": %s; an address is ipc:///absolute/path, tcp://HOST:PORT or "
                            "tls+tcp://HOST:PORT",
                            link->url, nng_strerror(error));
    return outcome_ok();
}

/* ---- waiting ---- */

bool link_is_up(struct link *link)
{
    bool up;

    pthread_mutex_lock(&link->lock);
    up = link->up;
    pthread_mutex_unlock(&link->lock);
    return up;
}

/* Until the connection is up, the link closes or the time has come; whether it is one of the former two. */
static bool wait_until(struct link *link, uint64_t until_ms, bool *closing_out)
{
    bool done;
    int error = 0;

    pthread_mutex_lock(&link->lock);
    while (!link->up && !link->closing && error == 0)
        error = wait_until_ms(&link->changed, &link->lock, until_ms);
    done = link->up || link->closing;
    *closing_out = link->closing;
    pthread_mutex_unlock(&link->lock);
    return done;
}

static void settle(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->settled = true;
    pthread_mutex_unlock(&link->lock);
}

static uint64_t grace_ms(const struct link *link)
{
    return link->tls != NULL ? CONNECT_GRACE_TLS_MS : CONNECT_GRACE_MS;
}

/* A connection of our own, to learn why there is none. */
static struct probed_status try_for_ourselves(const struct link *link, uint64_t deadline_ms)
{
    return link->tls != NULL ? tls_look(link->url, link->tls, link->far_protocol, deadline_ms)
                             : address_try(link->url, link->far_protocol, deadline_ms);
}

struct probed_status link_look(struct link *link, uint64_t deadline_ms)
{
    uint64_t look_ms = outcome_now_ms() + grace_ms(link);
    struct probed_status status = outcome_ok();
    bool closing;

    if (look_ms < deadline_ms && !wait_until(link, look_ms, &closing))
        status = try_for_ourselves(link, deadline_ms);
    if (link_is_up(link))
        return outcome_ok();
    if (!outcome_is_ok(&status))
        settle(link);
    return status;
}

struct probed_status link_wait(struct link *link, uint64_t deadline_ms, bool may_give_up)
{
    uint64_t begin_ms = outcome_now_ms();
    struct probed_status status = may_give_up ? link_look(link, deadline_ms) : outcome_ok();
    bool closing;

    if (!outcome_is_ok(&status))
        return status;
    if (!wait_until(link, deadline_ms, &closing))
        return outcome_unreachable("cannot reach probed at %s: no connection within %llu ms", link->url,
                                   (unsigned long long)(outcome_now_ms() - begin_ms));
    if (closing)
        return outcome_make(PROBED_CANCELLED, "the connection to %s is closed", link->url);
    return outcome_ok();
}

/* ---- closing ---- */

/* Whether it is, by then. */
static bool wait_until_settled(struct link *link, uint64_t until_ms)
{
    bool settled;
    int error = 0;

    pthread_mutex_lock(&link->lock);
    while (!link->settled && error == 0)
        error = wait_until_ms(&link->changed, &link->lock, until_ms);
    settled = link->settled;
    pthread_mutex_unlock(&link->lock);
    return settled;
}

/* A connection that is being made is made; where nobody is there to connect to, there is nothing to wait for. */
static void let_settle(struct link *link)
{
    uint64_t until_ms = outcome_now_ms() + SETTLE_MS;
    struct probed_status status;

    if (link->dialled_ms == 0 || wait_until_settled(link, link->dialled_ms + grace_ms(link)))
        return;
    status = try_for_ourselves(link, until_ms);
    if (outcome_is_ok(&status))
        wait_until_settled(link, until_ms);
}

void link_close(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->closing = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
    let_settle(link);
    nng_close(link->socket); /* returns when every pipe has gone, and with it the last event */
}

void link_fini(struct link *link)
{
    tls_choice_destroy(link->tls);
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->lock);
}
