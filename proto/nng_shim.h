/* The cure for Debian's nng 1.5.2, linked as an object into every program of ours: see nng_shim.c. */
#ifndef PROTO_NNG_SHIM_H
#define PROTO_NNG_SHIM_H

#include <stdbool.h>

/* Whether libnng really reaches our definitions (or needs none, being newer).  main refuses to run without.
 * In libprobed it is known only once there was a connection. */
bool nng_shim_active(void);

#endif
