/* Limits of the kernel's that hold for this process alone, and for what it starts: a user namespace of its own, in which
 * every uid is who it was, and root may do what it could, to whatever is in it.
 *
 * A namespace that was entered is not left again.  Threads: enter it before there is another. */
#ifndef TESTS_SUPPORT_OWN_LIMITS_H
#define TESTS_SUPPORT_OWN_LIMITS_H

#include <stdbool.h>

/* Whether the system lets this process have them. */
bool own_limits_possible(void);

bool own_limits_enter(void);

/* One of /proc/sys/user, for every uid in here; what is beyond it already stays.  False: it is not to be set. */
bool own_limits_set(const char *name, unsigned long count);

#endif
