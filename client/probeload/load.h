/* The engine of probeload: keeps calls in flight, times them, and checks every answer.
 *
 * A closed loop: whoever got an answer asks the next question, on the thread of nng's that brought it.  There is no
 * thread a call.
 *
 * What is checked of an answer: that it can be read, is about the provider asked, says how it came about, and that no
 * call which began after an answer of some generation is given one of an earlier generation, for the same question.
 * The first that breaks this ends the run, and is told. */
#ifndef CLIENT_PROBELOAD_LOAD_H
#define CLIENT_PROBELOAD_LOAD_H

#include "client/probeload/histogram.h"
#include "proto/compiler.h"

#include <probed/client.h>

enum { LOAD_CODE_COUNT = 17, LOAD_ORIGIN_COUNT = 5, LOAD_EVIDENCE_SIZE = 512 };

struct load_plan {
    const char *url;
    const char *const *homes;
    size_t home_count;
    const char *provider;
    size_t key_count; /* different api_keys, in turn; 0: none */
    size_t connection_count;
    size_t in_flight;     /* calls, of all connections together */
    uint64_t duration_ns; /* 0: no bound */
    uint64_t call_count;  /* 0: no bound */
    uint32_t timeout_ms;  /* of a call; 0: the library's */
};

struct load_result {
    struct histogram latency; /* ns, of all calls */
    uint64_t elapsed_ns;
    uint64_t by_code[LOAD_CODE_COUNT];
    uint64_t by_origin[LOAD_ORIGIN_COUNT];
    bool unreachable;                  /* the connection was lost, or calls could not be started any more */
    struct probed_status failure;      /* the first that was not OK */
    char evidence[LOAD_EVIDENCE_SIZE]; /* of a broken promise; "": none */
};

/* Connects, and runs until the duration or the count is reached, a promise is broken, or load_stop(). Anything but OK:
 * nothing was run.  `result_out` is large: not for a stack. */
MUST_USE struct probed_status load_run(const struct load_plan *plan, struct load_result *result_out);

/* From a signal handler: no further calls are begun. */
void load_stop(void);

#endif
