#include "tests/unit/echo_server.h"

#include <check.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdatomic.h>

static atomic_size_t messages, come, gone;

static void must(int error)
{
    ck_assert_msg(error == 0, "nng: %s", nng_strerror(error));
}

static void step(void *argument)
{
    struct echo_context *context = argument;

    if (nng_aio_result(context->aio) != 0) {
        if (context->sending)
            nng_msg_free(nng_aio_get_msg(context->aio));
        return; /* the socket was closed */
    }
    context->sending = !context->sending;
    if (context->sending) {
        atomic_fetch_add(&messages, 1);
        nng_ctx_send(context->context, context->aio);
    } else {
        nng_ctx_recv(context->context, context->aio);
    }
}

static void pipe_changes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    (void)pipe;
    (void)context;
    atomic_fetch_add(event == NNG_PIPE_EV_ADD_POST ? &come : &gone, 1);
}

void echo_server_open(struct echo_server *server, const char *url)
{
    must(nng_rep0_open(&server->socket));
    must(nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_POST, pipe_changes, NULL));
    must(nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, pipe_changes, NULL));
    for (size_t i = 0; i < ECHO_CONTEXT_COUNT; i++) {
        struct echo_context *context = &server->contexts[i];

        context->sending = 0;
        must(nng_aio_alloc(&context->aio, step, context));
        must(nng_ctx_open(&context->context, server->socket));
        nng_ctx_recv(context->context, context->aio);
    }
    must(nng_listen(server->socket, url, NULL, 0));
}

void echo_server_close(struct echo_server *server)
{
    for (size_t i = 0; i < ECHO_CONTEXT_COUNT; i++)
        nng_aio_stop(server->contexts[i].aio);
    nng_close(server->socket);
    for (size_t i = 0; i < ECHO_CONTEXT_COUNT; i++)
        nng_aio_free(server->contexts[i].aio);
}

size_t echo_message_count(void)
{
    return atomic_load(&messages);
}

size_t echo_come_count(void)
{
    return atomic_load(&come);
}

size_t echo_gone_count(void)
{
    return atomic_load(&gone);
}
