/* The system calls a sealed worker is refused: a seccomp filter, composed once and installed by each child.
 *
 * It refuses, with EPERM, what a program that asks a provider over HTTPS has no use for and what gets around the rest
 * of the seal: looking into other processes and sharing memory with them, keys, BPF, mounts, io_uring (which does by
 * proxy what is filtered), new namespaces, sockets of rarer kinds.  Some are about what Landlock does not see: to it
 * MPTCP sockets are not TCP, a sendto(2) with MSG_FASTOPEN connects without connect(2), and a listen(2) without bind(2)
 * takes a port that the kernel chooses; and whoever watches a directory is told the names of what happens in it.
 * clone3 is answered ENOSYS: a filter cannot see its flags, and libc falls back to clone.  Unless the home is writable,
 * calls that change what a file is known by (mode, owner, times, attributes) are refused, too: Landlock knows nothing
 * of them.
 *
 * Calls by another ABI of the processor (32 bit, x32) are answered ENOSYS: filters are by call number.
 *
 * Threads: any. */
#ifndef SERVER_CUSTODY_CUSTODIAN_FILTER_H
#define SERVER_CUSTODY_CUSTODIAN_FILTER_H

#include "proto/status.h"

#include <linux/filter.h>
#include <stdbool.h>

struct filter_settings {
    bool writable_home;
    bool network; /* else no socket is made at all */
};

struct filter {
    struct sock_fprog program; /* its instructions are owned */
};

/* Whether the running kernel takes filters. */
bool filter_is_offered(void);

/* UNAVAILABLE with the cause. */
MUST_USE struct status filter_compose(const struct filter_settings *settings, struct filter *filter_out);
void filter_fini(struct filter *filter);

/* From here on, for this thread and all that comes of it; needs no_new_privs.  0 or errno. */
MUST_USE int filter_enter(const struct filter *filter);

#endif
