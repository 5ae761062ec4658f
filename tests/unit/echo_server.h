/* A bare nng REP server that sends back what it gets: what the defects of nng 1.5.2 are shown on, with the shim and
 * without. */
#ifndef TESTS_UNIT_ECHO_SERVER_H
#define TESTS_UNIT_ECHO_SERVER_H

#include <nng/nng.h>
#include <stddef.h>

enum { ECHO_CONTEXT_COUNT = 128 };

struct echo_server {
    nng_socket socket;
    struct echo_context {
        nng_ctx context;
        nng_aio *aio;
        int sending;
    } contexts[ECHO_CONTEXT_COUNT];
};

void echo_server_open(struct echo_server *server, const char *url);

/* Stops the contexts and closes at once, with whatever its clients are sending and reading. */
void echo_server_close(struct echo_server *server);

/* Messages echoed, connections that came and that nng said were gone; of all servers of this process. */
size_t echo_message_count(void);
size_t echo_come_count(void);
size_t echo_gone_count(void);

#endif
