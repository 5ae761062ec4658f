/* Whose trace a call belongs to: the ids out of a traceparent (W3C Trace Context, section 3.2), for the call's line in
 * the log.
 *
 * What is no traceparent by the letter is none: nothing is guessed.  Threads: any. */
#ifndef SERVER_EDGE_TRACE_H
#define SERVER_EDGE_TRACE_H

#include "proto/compiler.h"

#include <stdbool.h>

enum { TRACE_ID_SIZE = 32, TRACE_PARENT_ID_SIZE = 16 };

struct trace {
    char trace_id[TRACE_ID_SIZE + 1];         /* "": none */
    char parent_id[TRACE_PARENT_ID_SIZE + 1]; /* of the caller's span */
};

#define TRACE_NONE ((struct trace){.trace_id = ""})

/* TRACE_NONE for what is no traceparent, or NULL. */
struct trace trace_of(const char *traceparent);

#endif
