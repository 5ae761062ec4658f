/* The cure for four defects of Debian's libnng 1.5.2, linked as an object into every program of ours.
 *
 * libnng.so calls sendmsg, accept, nng_stream_recv and nng_stream_send through its procedure linkage table, so that a
 * definition in the executable wins.
 *   - A peer that connects to a unix socket and closes it before nng has greeted it makes sendmsg fail with EPIPE; nng
 *     takes that for "the listener was closed" and goes deaf for ever (nng issue 1518, fixed in 1.6).  Another errno
 *     cures it.
 *   - accept() leaves a descriptor inheritable for an instant.
 *   - A stream operation begun on a stopped aio is dropped without its callback, and the one reaper thread waits for it
 *     for ever: lost connections leak, clients never reconnect, nng_close never returns (in part nng issues 1636 and
 *     1813, fixed in 1.6 and 1.8).  Such an operation is finished here.  Reading the result after the call is safe:
 *     every caller inside nng holds the lock that the aio's callback must take first, and a stream aio is closed
 *     (NNG_ECLOSED) before it is stopped, so NNG_ECANCELED means "dropped" there.
 *
 * On any other version all of it passes through, since later releases do call back on a stopped aio.
 * It replaces sendmsg and accept for the whole process: own code that wants EPIPE uses send or write.
 *
 * And sysconf: nng asks it how many threads to start, and is answered as nng_shim_one_cpu says.
 *
 * With NNG_SHIM_STREAMS_ONLY it is what libprobed carries: the two stream functions, which a client needs to connect
 * again, and nothing that would change a stranger's process.  There the order of linking decides whether libnng finds
 * us, and loading must not fail over it. */
#include "proto/nng_shim.h"

#include "proto/compiler.h"

#include <dlfcn.h>
#include <errno.h>
#include <nng/nng.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default"), used))

typedef void stream_operation(nng_stream *stream, nng_aio *aio);

static stream_operation *nng_recv_of_library, *nng_send_of_library;
static bool cure_needed;
static atomic_bool reached; /* libnng has called one of the two */

/* What stands behind ours; where libnng stands before us, its own. */
static stream_operation *find_of_library(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    stream_operation *operation;

#ifdef NNG_SHIM_STREAMS_ONLY
    if (found == NULL)
        found = dlsym(RTLD_DEFAULT, name);
#endif
    *(void **)&operation = found;
    return operation;
}

__attribute__((constructor)) static void find_library(void)
{
    cure_needed = strcmp(nng_version(), "1.5.2") == 0;
    nng_recv_of_library = find_of_library("nng_stream_recv");
    nng_send_of_library = find_of_library("nng_stream_send");
    if (nng_recv_of_library == NULL || nng_send_of_library == NULL)
        abort(); /* nothing can be said yet: no log, no main */
}

#ifndef NNG_SHIM_STREAMS_ONLY

EXPORTED ssize_t sendmsg(int socket, const struct msghdr *message, int flags)
{
    ssize_t size = syscall(SYS_sendmsg, socket, message, flags);

    if (size < 0 && errno == EPIPE && cure_needed)
        errno = ECONNRESET;
    return size;
}

static bool (*_Atomic accept_watch)(int fd);

/* To nng, who is turned away has gone by itself. */
EXPORTED int accept(int socket, __SOCKADDR_ARG address, socklen_t *restrict address_size)
{
    int fd = accept4(socket, address, address_size, SOCK_CLOEXEC);
    bool (*watch)(int) = fd < 0 ? NULL : atomic_load_explicit(&accept_watch, memory_order_acquire);

    if (watch == NULL || watch(fd))
        return fd;
    close(fd);
    errno = ECONNABORTED;
    return -1;
}

void nng_shim_watch_accept(bool (*watch)(int fd))
{
    atomic_store(&accept_watch, watch);
}

static _Thread_local bool finds_one_cpu;

void nng_shim_one_cpu(bool one)
{
    finds_one_cpu = one;
}

#if !SANITIZED /* whose runtimes call sysconf before anything of a program may run */

/* Also called before find_library, by other libraries as they are loaded. */
EXPORTED long sysconf(int name)
{
    typedef long function(int name);
    static _Atomic(function *) of_library;
    function *known = atomic_load_explicit(&of_library, memory_order_relaxed);

    if (name == _SC_NPROCESSORS_ONLN && finds_one_cpu)
        return 1;
    if (known == NULL) {
        *(void **)&known = dlsym(RTLD_NEXT, "sysconf");
        atomic_store_explicit(&of_library, known, memory_order_relaxed);
    }
    return known(name);
}

#endif
#endif

static void finish_dropped(nng_aio *aio)
{
    if (!atomic_load_explicit(&reached, memory_order_relaxed))
        atomic_store(&reached, true);
    if (cure_needed && nng_aio_result(aio) == NNG_ECANCELED)
        nng_aio_finish(aio, NNG_ECLOSED);
}

EXPORTED void nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
    nng_recv_of_library(stream, aio);
    finish_dropped(aio);
}

EXPORTED void nng_stream_send(nng_stream *stream, nng_aio *aio)
{
    nng_send_of_library(stream, aio);
    finish_dropped(aio);
}

bool nng_shim_active(void)
{
#ifdef NNG_SHIM_STREAMS_ONLY
    return !cure_needed || atomic_load(&reached);
#else
    return !cure_needed || atomic_load(&reached) ||
           dlsym(RTLD_DEFAULT, "nng_stream_recv") == *(void **)&(stream_operation *){nng_stream_recv};
#endif
}
