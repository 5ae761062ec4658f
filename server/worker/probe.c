#include "server/worker/probe.h"

#include "server/base/clock.h"
#include "server/worker/base_url.h"
#include "server/worker/credentials.h"
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <string.h>

/* What one probe carries along. */
struct probe {
    const struct prober *prober;
    const struct probe_request *request;
    const struct provider *provider;
    struct snapshot *snapshot;
    struct keyring keyring;
    struct credential credential;
    struct base_url base;
    enum probe_end end;
};

static int64_t probe_now_s(const struct prober *prober)
{
    return prober->fixed_now.known ? prober->fixed_now.s : clock_wall_ms() / 1000;
}

static void probe_fail(struct probe *probe, enum failure failure, int http_status)
{
    probe->snapshot->outcome = outcome_failure(failure, http_status);
}

/* ---- before the request ---- */

/* The pool's own marks are all there is to show: no endpoint, or no entry that can be used (5.4).  False: no pool. */
static bool probe_show_pool(struct probe *probe)
{
    struct pool pool;
    struct pool_summary *summary;

    if (!pool_open(&pool, probe->keyring.auth, probe->request->provider)) {
        probe->end = PROBE_NO_MEMORY;
        return true;
    }
    if (pool.count == 0)
        return false;
    summary = pool_summarise(&pool, probe_now_s(probe->prober));
    pool_close(&pool);
    if (summary == NULL)
        probe->end = PROBE_NO_MEMORY;
    else
        snapshot_set_local_pool(probe->snapshot, summary);
    return true;
}

/* Says why there is no credential. */
static void probe_show_search(struct probe *probe, enum credential_search search)
{
    switch (search) {
    case CREDENTIAL_FOUND:
        break;
    case CREDENTIAL_ABSENT:
        if (!probe_show_pool(probe))
            probe_fail(probe, FAILURE_NO_KEY, 0);
        break;
    case CREDENTIAL_UNSENDABLE:
        probe_fail(probe, FAILURE_UNSENDABLE, 0);
        break;
    case CREDENTIAL_UNSUPPORTED:
        if (probe->provider->unsupported_reason != NULL)
            probe->snapshot->outcome = outcome_unsupported(probe->provider->unsupported_reason);
        else
            probe_fail(probe, FAILURE_UNSUPPORTED, 0);
        break;
    case CREDENTIAL_PAST:
        probe_fail(probe, FAILURE_EXPIRED, 0);
        break;
    case CREDENTIAL_NO_MEMORY:
        probe->end = PROBE_NO_MEMORY;
        break;
    }
}

/* Where this credential may go.  A pool entry goes to its own base or the usual one, never to an override (5.1);
 * another tool's sign-in goes to its vendor alone (8.1). */
static bool probe_choose_base(struct probe *probe)
{
    const struct provider *provider = probe->provider;
    struct text given = TEXT_EMPTY;
    bool overridden = false, allowed;

    if (probe->credential.origin == CREDENTIAL_FROM_POOL) {
        const char *own = document_string(probe->credential.record, "base_url");

        overridden = own != NULL;
        text_add_string(&given, overridden ? own : provider->base_url);
    } else {
        overridden = provider->base_url_variable != NULL &&
                     keyring_variable(&probe->keyring, provider->base_url_variable, &given);
        if (!overridden)
            text_add_string(&given, provider->base_url);
    }
    allowed = !given.failed && base_url_parse(text_string(&given), &probe->base);
    if (allowed && overridden && probe->credential.origin == CREDENTIAL_FROM_FOREIGN)
        allowed = base_url_is_within(&probe->base, provider->own_domains);
    text_fini(&given);
    return allowed;
}

/* ---- the request ---- */

/* Header lines; they hold the credential: text_wipe() them. */
static void probe_compose_headers(const struct probe *probe, struct text *lines)
{
    const struct provider *provider = probe->provider;

    text_add_string(lines, "Accept: application/json\n");
    text_add_string(lines, provider->authorization);
    text_add(lines, text_string(&probe->credential.secret), probe->credential.secret.size);
    text_add_string(lines, "\n");
    for (const char *const *header = provider->headers; *header != NULL; header++) {
        text_add_string(lines, *header);
        text_add_string(lines, "\n");
    }
    if (provider->identify != NULL)
        provider->identify(&probe->credential, lines);
}

/* GETs base and path, or where the provider's `address` says when path is NULL. */
static void probe_get(struct probe *probe, const char *path, struct http_answer *answer_out)
{
    uint64_t due_ns = clock_now_ns() + probe->provider->timeout_ms * NS_PER_MS;
    struct text url = TEXT_EMPTY, lines = TEXT_EMPTY;

    if (path == NULL) {
        probe->provider->address(probe->base.text, &url);
    } else {
        text_add_string(&url, probe->base.text);
        text_add_string(&url, path);
    }
    probe_compose_headers(probe, &lines);
    if (url.failed || lines.failed) {
        *answer_out = (struct http_answer){.end = HTTP_UNREACHABLE};
        probe->end = PROBE_NO_MEMORY;
    } else {
        http_get(probe->prober->http, text_string(&url), &lines,
                 due_ns < probe->request->deadline_ns ? due_ns : probe->request->deadline_ns, answer_out);
    }
    if (answer_out->end == HTTP_ABANDONED)
        probe->end = PROBE_ABANDONED;
    text_fini(&url);
    text_wipe(&lines);
}

/* A sign-in that was refused: whether its owner has put another in its place since; then that is the credential. */
static bool probe_reread(struct probe *probe)
{
    struct keyring keyring;
    struct credential credential;
    bool changed;

    if (probe->credential.kind != CREDENTIAL_SIGN_IN || probe->credential.origin == CREDENTIAL_FROM_REQUEST)
        return false;
    keyring_open(&keyring, probe->prober->files);
    changed = credential_find(&keyring, probe->provider, &probe->request->api_key, probe_now_s(probe->prober),
                              &credential) == CREDENTIAL_FOUND &&
              strcmp(text_string(&credential.secret), text_string(&probe->credential.secret)) != 0;
    if (!changed) {
        credential_fini(&credential);
        keyring_close(&keyring);
        return false;
    }
    credential_fini(&probe->credential);
    keyring_close(&probe->keyring);
    probe->keyring = keyring;
    probe->credential = credential;
    return true;
}

/* ---- the answer ---- */

/* Anything but a readable 200; false: it is one. */
static bool probe_show_failure(struct probe *probe, const struct http_answer *answer)
{
    switch (answer->end) {
    case HTTP_ANSWERED:
        if (answer->status == 200)
            return false;
        probe->snapshot->outcome =
            outcome_http(answer->status, probe->credential.kind, answer->retry_after, probe_now_s(probe->prober));
        return true;
    case HTTP_OVERSIZED:
        probe_fail(probe, FAILURE_OVERSIZED, answer->status);
        return true;
    case HTTP_UNREADABLE:
        probe_fail(probe, FAILURE_UNREADABLE, answer->status);
        return true;
    case HTTP_TIMED_OUT:
        probe_fail(probe, FAILURE_TIMED_OUT, 0);
        return true;
    case HTTP_UNREACHABLE:
    case HTTP_ABANDONED:
        break;
    }
    probe_fail(probe, FAILURE_UNREACHABLE, 0);
    return true;
}

/* One more request of a provider that wants it; its failure costs nothing but its part of the reading. */
static json_t *probe_get_further(struct probe *probe, const char *path)
{
    struct http_answer answer;
    json_t *body = NULL;

    probe_get(probe, path, &answer);
    if (answer.end == HTTP_ANSWERED && answer.status == 200)
        body = document_parse(text_string(&answer.body), answer.body.size);
    http_answer_fini(&answer);
    return body;
}

static void probe_show_reading(struct probe *probe)
{
    struct snapshot *snapshot = probe->snapshot;
    struct reading *reading = &snapshot->reading;

    if (reading_mentions(reading, text_string(&probe->credential.secret))) {
        *reading = (struct reading){.exhausted = false};
        probe_fail(probe, FAILURE_UNREADABLE, 200);
        return;
    }
    if (reading->source != NULL)
        snapshot->source = reading->source;
    if (reading_is_usable(reading))
        snapshot->outcome = outcome_usable(reading->exhausted);
    else
        probe_fail(probe, FAILURE_NO_DATA, 200);
}

/* Reads the first body, asks for what the provider wants beside it, and has it all turned into a reading. */
static void probe_read(struct probe *probe, json_t *first)
{
    struct bodies bodies = {
        .bodies = {first}, .count = 1, .credential = &probe->credential, .now_s = probe_now_s(probe->prober)};
    json_t *further[PROVIDER_BODY_COUNT_MAX] = {NULL};

    while (probe->provider->further != NULL && bodies.count < PROVIDER_BODY_COUNT_MAX && probe->end == PROBE_DONE) {
        const char *path = probe->provider->further(&bodies);

        if (path == NULL)
            break;
        further[bodies.count] = probe_get_further(probe, path);
        bodies.bodies[bodies.count] = further[bodies.count];
        bodies.count++;
    }
    probe->provider->read(&bodies, &probe->snapshot->reading);
    probe_show_reading(probe);
    for (size_t i = 0; i < PROVIDER_BODY_COUNT_MAX; i++)
        json_decref(further[i]);
}

/* With a credential at hand: asks, and shows what came of it. */
static void probe_ask(struct probe *probe, bool again)
{
    struct http_answer answer;
    json_t *body;

    if (!probe_choose_base(probe)) {
        probe_fail(probe, FAILURE_BASE_URL, 0);
        return;
    }
    probe_get(probe, probe->provider->address == NULL ? probe->provider->path : NULL, &answer);
    if (answer.end == HTTP_ANSWERED && answer.status == 401 && !again && probe_reread(probe)) {
        http_answer_fini(&answer);
        probe_ask(probe, true);
        return;
    }
    if (!probe_show_failure(probe, &answer)) {
        body = document_parse(text_string(&answer.body), answer.body.size);
        if (body == NULL)
            probe_fail(probe, FAILURE_UNREADABLE, answer.status);
        else
            probe_read(probe, body);
        json_decref(body);
    }
    http_answer_fini(&answer);
    if (probe->snapshot->outcome.http_status != 0)
        probe->snapshot->min_interval_s = probe->provider->min_interval_s;
}

static void probe_walk(struct probe *probe)
{
    const struct provider *provider = probe->provider;
    enum credential_search search;

    if (provider == NULL) {
        probe->snapshot->source = "none";
        probe->snapshot->title = "Account limits";
        if (!probe_show_pool(probe))
            probe_fail(probe, FAILURE_UNSUPPORTED, 0);
        return;
    }
    probe->snapshot->source = provider->source;
    probe->snapshot->title = provider->title;
    search = credential_find(&probe->keyring, provider, &probe->request->api_key, probe_now_s(probe->prober),
                             &probe->credential);
    if (search == CREDENTIAL_FOUND)
        probe_ask(probe, false);
    else
        probe_show_search(probe, search);
    credential_fini(&probe->credential);
}

enum probe_end probe_run(const struct prober *prober, const struct probe_request *request,
                         struct snapshot **snapshot_out)
{
    struct probe probe = {.prober = prober,
                          .request = request,
                          .provider = provider_find(request->provider),
                          .snapshot = snapshot_create(request->provider),
                          .end = PROBE_DONE};

    if (probe.snapshot == NULL)
        return PROBE_NO_MEMORY;
    keyring_open(&probe.keyring, prober->files);
    probe_walk(&probe);
    keyring_close(&probe.keyring);
    probe.snapshot->fetched_at_s = probe_now_s(prober);
    if (probe.end == PROBE_DONE)
        *snapshot_out = probe.snapshot;
    else
        snapshot_destroy(probe.snapshot);
    return probe.end;
}
