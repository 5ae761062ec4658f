/* Paths, methods, Host and headers; what is in an answer is written by the views. */
#include "server/http/answer.h"

#include "server/http/views.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"

/* ---- what there is ---- */

static unsigned write_health(struct text *body, const struct figures *figures)
{
    (void)figures; /* taking them had the engine's lock: it answers */
    text_add_string(body, "ok\n");
    return MHD_HTTP_OK;
}

static unsigned write_readiness(struct text *body, const struct figures *figures)
{
    text_add_string(body, figures->overview.draining ? "draining\n" : "ready\n");
    return figures->overview.draining ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
}

static unsigned write_metrics(struct text *body, const struct figures *figures)
{
    metrics_write(body, figures);
    return MHD_HTTP_OK;
}

static unsigned write_report(struct text *body, const struct figures *figures)
{
    report_write(body, figures);
    return MHD_HTTP_OK;
}

static unsigned write_page(struct text *body, const struct figures *figures)
{
    page_write(body, figures);
    return MHD_HTTP_OK;
}

static const struct resource {
    const char *path, *type;
    bool lists; /* shows homes, workers and events, to whom they may be shown */
    unsigned (*write)(struct text *body, const struct figures *figures);
} resources[] = {
    {"/", "text/html; charset=utf-8", true, write_page},
    {"/api/status", "application/json", true, write_report},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", false, write_metrics},
    {"/healthz", TEXT_PLAIN, false, write_health},
    {"/readyz", TEXT_PLAIN, false, write_readiness},
};

/* ---- what may be asked ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Whether it is a name of this machine, with any port: a tunnel (ssh -L) has another than we listen at. */
static bool is_loopback_name(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size = strlen(names[i]);

        if (strncasecmp(host, names[i], size) == 0 &&
            (host[size] == '\0' ||
             (host[size] == ':' && host[size + 1 + strspn(host + size + 1, "0123456789")] == '\0')))
            return true;
    }
    return false;
}

struct refusal {
    unsigned code; /* 0: none */
    const char *why;
};

/* By the head of a request alone. */
static struct refusal judge(struct MHD_Connection *connection, const char *method)
{
    const char *host = header(connection, MHD_HTTP_HEADER_HOST);
    const char *size = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return (struct refusal){MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD: nothing can be changed here\n"};
    if (header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL || (size != NULL && strcmp(size, "0") != 0))
        return (struct refusal){MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here\n"};
    if (host == NULL)
        return (struct refusal){MHD_HTTP_BAD_REQUEST, "a request says which Host it means: localhost\n"};
    if (!is_loopback_name(host))
        return (struct refusal){MHD_HTTP_MISDIRECTED_REQUEST,
                                "this Host is no name of this machine: localhost, 127.0.0.1 or [::1] would be\n"};
    return (struct refusal){0, NULL};
}

/* ---- responses ---- */

static void add_headers(struct MHD_Response *response, const char *type)
{
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
    };

    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, "Content-Security-Policy", page_policy());
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned code, struct MHD_Response *response,
                             const char *type)
{
    enum MHD_Result queued;

    if (response == NULL)
        return MHD_NO; /* no memory: the connection is closed */
    add_headers(response, type);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    queued = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned code, const char *why)
{
    return queue(connection, code,
                 MHD_create_response_from_buffer(strlen(why), (void *)(uintptr_t)why, MHD_RESPMEM_PERSISTENT),
                 TEXT_PLAIN);
}

/* Takes the body. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned code, const char *type, struct text *body)
{
    struct MHD_Response *response;

    if (body->failed) {
        text_fini(body);
        return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for this answer\n");
    }
    response = MHD_create_response_from_buffer(body->size, body->bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        text_fini(body);
    return queue(connection, code, response, type);
}

static enum MHD_Result show(struct answerer *answerer, struct MHD_Connection *connection,
                            const struct resource *resource, bool names_homes)
{
    struct text body = TEXT_EMPTY;
    unsigned code;

    figures_take(answerer->figures, answerer->service, answerer->shell, resource->lists, names_homes);
    code = resource->write(&body, answerer->figures);
    return reply(connection, code, resource->type, &body);
}

enum MHD_Result answerer_request(struct answerer *answerer, struct MHD_Connection *connection, bool names_homes,
                                 const char *path, const char *method, void **seen)
{
    struct refusal refusal;

    if (*seen == NULL) {
        *seen = answerer;
        refusal = judge(connection, method);
        return refusal.code == 0 ? MHD_YES : refuse(connection, refusal.code, refusal.why);
    }
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        if (strcmp(resources[i].path, path) == 0)
            return show(answerer, connection, &resources[i], names_homes);
    }
    return refuse(connection, MHD_HTTP_NOT_FOUND, "there are /, /api/status, /metrics, /healthz and /readyz\n");
}

void answerer_init(struct answerer *answerer, struct service *service, struct shell *shell)
{
    *answerer = (struct answerer){.service = service, .shell = shell, .figures = calloc(1, sizeof *answerer->figures)};
    if (answerer->figures != NULL)
        process_begin(&answerer->figures->process);
}

void answerer_fini(struct answerer *answerer)
{
    free(answerer->figures);
}
