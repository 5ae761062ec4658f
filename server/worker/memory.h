/* Memory that is overwritten when it is given back, for the libraries that hold credentials on our behalf: libcurl
 * keeps request headers, jansson the strings of auth.json, and neither wipes what it frees.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_MEMORY_H
#define SERVER_WORKER_MEMORY_H

#include <stddef.h>

void memory_free(void *memory); /* NULL is fine */
void *memory_resize(void *memory, size_t size);

/* Has jansson use them; libcurl is told by http_create.  Before the first use of jansson. */
void memory_setup(void);

#endif
