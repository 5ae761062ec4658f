#include "server/edge/nng_start.h"

#include "proto/nng_shim.h"
#include "server/threads/thread.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

static bool on_one_cpu; /* written before nng has threads */

/* The last CPU in the mask; -1 when there are fewer than two to choose from. */
static int64_t last_of_several(const cpu_set_t *allowed)
{
    int64_t last = -1;

    if (CPU_COUNT(allowed) < 2)
        return NNG_START_ANY_CPU;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, allowed))
            last = (int64_t)cpu;
    }
    return last;
}

static struct status first_call(void)
{
    nng_socket socket;
    int error;

    nng_shim_one_cpu(on_one_cpu);
    error = nng_rep0_open(&socket);
    nng_shim_one_cpu(false);
    if (error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot start nng: %s", nng_strerror(error));
    nng_close(socket);
    return status_ok();
}

struct status nng_start(int64_t cpu)
{
    cpu_set_t allowed, one;
    struct status status;

    if (!nng_shim_active())
        return status_make(STATUS_UNAVAILABLE, "nng %s runs without its shim: this program was linked wrongly",
                           nng_version());
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot read this process's CPUs: %s", strerror(errno));
    if (cpu == NNG_START_AUTO)
        cpu = last_of_several(&allowed);
    on_one_cpu = cpu != NNG_START_ANY_CPU || CPU_COUNT(&allowed) == 1;
    if (cpu == NNG_START_ANY_CPU)
        return first_call();
    CPU_ZERO(&one);
    if (cpu < CPU_SETSIZE)
        CPU_SET((size_t)cpu, &one);
    if (cpu >= CPU_SETSIZE || !CPU_ISSET((size_t)cpu, &allowed) || sched_setaffinity(0, sizeof one, &one) != 0)
        return status_make(STATUS_INVALID_ARGUMENT, "server.nng_cpu: this process may not use CPU %lld",
                           (long long)cpu);
    status = first_call();
    if (sched_setaffinity(0, sizeof allowed, &allowed) != 0 && status_is_ok(&status))
        status = status_make(STATUS_UNAVAILABLE, "cannot put back this process's CPUs: %s", strerror(errno));
    return status;
}

void nng_start_callback(void)
{
    static _Thread_local bool seen;

    if (seen || !on_one_cpu)
        return;
    seen = true;
    thread_become_batch();
}

enum { SETTLE_MS = 50 };

void nng_stop(void)
{
    nng_msleep(SETTLE_MS);
    nng_fini();
}
