/* The cure for Debian's nng 1.5.2, linked as an object into every program of ours: see nng_shim.c. */
#ifndef PROTO_NNG_SHIM_H
#define PROTO_NNG_SHIM_H

#include <stdbool.h>

/* Whether libnng really reaches our definitions (or needs none, being newer).  main refuses to run without.
 * In libprobed it is known only once there was a connection. */
bool nng_shim_active(void);

/* For the time of nng's first call by this thread: nng finds one CPU, and starts the two task threads that it starts
 * there.  It starts two for each CPU of the machine otherwise, wherever they may run; on one CPU all but two of them only
 * stand in each other's way.  Without effect under sanitizers, and in libprobed. */
void nng_shim_one_cpu(bool one);

/* Has each connection that is accepted shown to this function, before nng knows of it: on whatever thread of nng's
 * accepts, with a lock of nng's held, so nothing of nng may be called.  The descriptor is lent.  False: it is closed, and
 * nng never hears of it.  NULL: no function.  Not in libprobed. */
void nng_shim_watch_accept(bool (*watch)(int fd));

#endif
