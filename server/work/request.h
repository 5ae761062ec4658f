/* What a worker is asked: one line of JSON, proto/README.md 5.
 *
 * The line may hold an api_key; whoever asked for it wipes it (text_wipe) once it is written.
 * Threads: any. */
#ifndef SERVER_WORK_REQUEST_H
#define SERVER_WORK_REQUEST_H

#include "server/base/text.h"
#include "server/engine/engine.h"

#include <stdint.h>

/* Adds the line of this lease, with its line end.  line->failed when memory was short. */
void request_write(const struct engine_lease *lease, uint64_t run_ms, struct text *line);

#endif
