/* Looking names up, see lookup.h.  A thread of glibc's asks; when the deadline comes first, it frees what it holds
 * whenever it is done. */
#include "client/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Shared by count: by whoever waits, and by glibc until it has told. */
struct lookup {
    atomic_int holders;
    struct addrinfo hints;
    struct gaicb request;
    char *host, *port; /* owned */
};

static void lookup_release(struct lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    if (lookup->request.ar_result != NULL)
        freeaddrinfo(lookup->request.ar_result);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void told(union sigval value)
{
    lookup_release(value.sival_ptr);
}

static struct lookup *lookup_create(const char *host, const char *port)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL)
        return NULL;
    atomic_init(&lookup->holders, 1);
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    lookup->hints = (struct addrinfo){.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
    lookup->request = (struct gaicb){.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &lookup->hints};
    if (lookup->host != NULL && lookup->port != NULL)
        return lookup;
    lookup_release(lookup);
    return NULL;
}

/* Begins; 0 or one of getaddrinfo's errors.  Its threads are to run no signal handler of the program's. */
static int ask(struct lookup *lookup)
{
    struct gaicb *list[] = {&lookup->request};
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = lookup, .sigev_notify_function = told};
    sigset_t all, before;
    int error;

    atomic_fetch_add(&lookup->holders, 1);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = getaddrinfo_a(GAI_NOWAIT, list, 1, &event);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        lookup_release(lookup); /* nobody will tell */
    return error;
}

static int wait_for_answer(const struct lookup *lookup, uint64_t deadline_ms)
{
    const struct gaicb *const list[] = {&lookup->request};
    int error;

    while ((error = gai_error((struct gaicb *)(uintptr_t)&lookup->request)) == EAI_INPROGRESS) {
        uint64_t left_ms = outcome_left_ms(deadline_ms);
        struct timespec left = {.tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000};

        if (left_ms == 0)
            break;
        (void)gai_suspend(list, 1, &left);
    }
    return error;
}

struct probed_status lookup_host(const char *host, const char *port, uint64_t deadline_ms,
                                 struct addrinfo **addresses_out)
{
    struct lookup *lookup = lookup_create(host, port);
    struct probed_status status = outcome_ok();
    int error;

    if (lookup == NULL)
        return outcome_make(PROBED_RESOURCE_EXHAUSTED, "no memory to look %.100s up", host);
    error = ask(lookup);
    if (error == 0)
        error = wait_for_answer(lookup, deadline_ms);
    if (error == 0) {
        *addresses_out = lookup->request.ar_result;
        lookup->request.ar_result = NULL;
    } else if (error == EAI_INPROGRESS) {
        status = outcome_unreachable("cannot reach probed at %.100s: nobody says what address that is", host);
    } else {
        status = outcome_unreachable("cannot reach probed at %.100s: %s", host,
                                     error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    }
    lookup_release(lookup);
    return status;
}
