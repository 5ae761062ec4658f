/* Our own mistakes: checked in every build, and the end of the process.  A peer's mistake is a struct status. */
#ifndef SERVER_BASE_INVARIANT_H
#define SERVER_BASE_INVARIANT_H

#include "proto/compiler.h"

NO_RETURN void invariant_broken(const char *file, int line, const char *condition);

#define INVARIANT(condition) ((condition) ? (void)0 : invariant_broken(__FILE__, __LINE__, #condition))

#endif
