/* The only place that asks the system for time; the engine is told. */
#ifndef SERVER_BASE_CLOCK_H
#define SERVER_BASE_CLOCK_H

#include "server/base/duration.h"

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);

/* Milliseconds of Unix time. */
int64_t clock_wall_ms(void);

#endif
