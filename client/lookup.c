/* Looking names up, see lookup.h.  A thread asks; when the deadline comes first, it is left behind, and frees what it
 * holds whenever it is done.  (glibc's getaddrinfo_a has threads that no sanitizer knows of.) */
#include "client/lookup.h"

#include "client/wait.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Shared by two: who waits, and who asks. */
struct lookup {
    char *host, *port; /* owned; fixed */

    pthread_mutex_t lock;
    pthread_cond_t answered;

    /* Guarded by lock. */
    int holder_count;
    bool done;
    int error;              /* getaddrinfo's */
    struct addrinfo *found; /* owned, until it is taken */
    int system_error;       /* with EAI_SYSTEM */
};

static int ask(const char *host, const char *port, int flags, struct addrinfo **found_out)
{
    const struct addrinfo hints = {.ai_flags = flags | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};

    return getaddrinfo(host, port, &hints, found_out);
}

/* Gives the lock back; with the last holder goes the lookup. */
static void let_go(struct lookup *lookup)
{
    bool last = --lookup->holder_count == 0;

    pthread_mutex_unlock(&lookup->lock);
    if (!last)
        return;
    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    pthread_cond_destroy(&lookup->answered);
    pthread_mutex_destroy(&lookup->lock);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void *run_lookup(void *context)
{
    struct lookup *lookup = context;
    struct addrinfo *found = NULL;
    int error = ask(lookup->host, lookup->port, AI_ADDRCONFIG, &found), system_error = errno;

    pthread_mutex_lock(&lookup->lock);
    lookup->error = error;
    lookup->system_error = system_error;
    lookup->found = found;
    lookup->done = true;
    pthread_cond_signal(&lookup->answered);
    let_go(lookup);
    return NULL;
}

static struct lookup *create(const char *host, const char *port)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL)
        return NULL;
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    lookup->holder_count = 1;
    pthread_mutex_init(&lookup->lock, NULL);
    wait_init(&lookup->answered);
    if (lookup->host != NULL && lookup->port != NULL)
        return lookup;
    pthread_mutex_lock(&lookup->lock);
    let_go(lookup);
    return NULL;
}

/* 0 or an errno.  The thread is to run no signal handler of the program's. */
static int start(struct lookup *lookup)
{
    pthread_attr_t detached;
    sigset_t all, before;
    pthread_t thread;
    int error;

    lookup->holder_count = 2;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &detached, run_lookup, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    if (error != 0)
        lookup->holder_count = 1;
    return error;
}

static struct probed_status refuse(const char *host, int error, int system_error)
{
    return outcome_unreachable("cannot reach probed at %.100s: %s", host,
                               error == EAI_SYSTEM ? strerror(system_error) : gai_strerror(error));
}

static struct probed_status wait_for_answer(struct lookup *lookup, uint64_t deadline_ms,
                                            struct addrinfo **addresses_out)
{
    struct probed_status status = outcome_ok();
    int error = 0;

    pthread_mutex_lock(&lookup->lock);
    while (!lookup->done && error == 0)
        error = wait_until_ms(&lookup->answered, &lookup->lock, deadline_ms);
    if (!lookup->done) {
        status = outcome_unreachable("cannot reach probed at %.100s: nobody says what address that is", lookup->host);
    } else if (lookup->error != 0) {
        status = refuse(lookup->host, lookup->error, lookup->system_error);
    } else {
        *addresses_out = lookup->found;
        lookup->found = NULL;
    }
    let_go(lookup);
    return status;
}

struct probed_status lookup_host(const char *host, const char *port, uint64_t deadline_ms,
                                 struct addrinfo **addresses_out)
{
    struct lookup *lookup;
    int error;

    if (ask(host, port, AI_NUMERICHOST, addresses_out) == 0) /* asks nobody */
        return outcome_ok();
    lookup = create(host, port);
    if (lookup == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory to look %.100s up", host);
    error = start(lookup);
    if (error == 0)
        return wait_for_answer(lookup, deadline_ms, addresses_out);
    pthread_mutex_lock(&lookup->lock);
    let_go(lookup);
    return outcome_make(PROBED_RESOURCE_EXHAUSTED, "cannot start a thread to look %.100s up: %s", host,
                        strerror(error));
}
