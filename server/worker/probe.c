#include "server/worker/probe.h"

#include "server/base/clock.h"
#include "server/worker/credentials.h"
#include "server/worker/document.h"
#include "server/worker/inquiry.h"
#include "server/worker/pool_ask.h"
#include "server/worker/provider.h"

#include <string.h>

/* Of a whole probe, whatever the request allows (PROVIDERS.md 8.3). */
enum { PROBE_TIME_MS_MAX = 35000, STATUS_UNAUTHORIZED = 401, STATUS_NOT_FOUND = 404 };

/* What one probe carries along. */
struct probe {
    const struct prober *prober;
    const struct probe_request *request;
    const struct provider *provider;
    struct snapshot *snapshot;
    struct keyring keyring;
    struct credential credential;
    struct inquiry inquiry;
    int64_t now_s;
    uint64_t deadline_ns;
    enum probe_end end;
};

static int64_t probe_now_s(const struct prober *prober)
{
    return prober->fixed_now.known ? prober->fixed_now.s : clock_wall_ms() / 1000;
}

static void probe_fail(struct probe *probe, enum failure failure)
{
    probe->snapshot->outcome = outcome_failure(failure, 0);
}

/* ---- pools ---- */

/* Every entry that its marks let through is asked about (5.2). */
static void probe_ask_pool(struct probe *probe, const struct pool *pool, struct pool_summary *summary)
{
    const struct provider *provider = probe->provider;
    const struct pool_asking asking = {.provider = provider,
                                       .keyring = &probe->keyring,
                                       .http = probe->prober->http,
                                       .now_s = probe->now_s,
                                       .deadline_ns = probe->deadline_ns};
    bool heard = false;

    switch (pool_ask(&asking, pool, summary, &heard)) {
    case POOL_ASK_DONE:
        snapshot_set_asked_pool(probe->snapshot, summary, provider->pool_source, provider->pool_reason);
        probe->snapshot->min_interval_s = heard ? provider->min_interval_s : 0;
        return;
    case POOL_ASK_ABANDONED:
        probe->end = PROBE_ABANDONED;
        break;
    case POOL_ASK_NO_MEMORY:
        probe->end = PROBE_NO_MEMORY;
        break;
    }
    pool_summary_destroy(summary);
}

/* The pool is all there is: the provider is asked about each of its entries, or there is no endpoint, or no entry that
 * can be used, and its own marks are shown (5.4).  False: no pool. */
static bool probe_show_pool(struct probe *probe)
{
    struct pool pool;
    struct pool_summary *summary;

    if (!pool_open(&pool, probe->keyring.auth, provider_id(probe->request->provider))) {
        probe->end = PROBE_NO_MEMORY;
        return true;
    }
    if (pool.count == 0)
        return false;
    summary = pool_summarise(&pool, probe->now_s);
    if (summary == NULL)
        probe->end = PROBE_NO_MEMORY;
    else if (probe->provider != NULL && probe->provider->pool_source != NULL)
        probe_ask_pool(probe, &pool, summary);
    else
        snapshot_set_local_pool(probe->snapshot, summary);
    pool_close(&pool);
    return true;
}

/* ---- the request ---- */

/* Asks for a path behind the base; NULL: for what the provider asks for first. */
static void probe_get(struct probe *probe, const char *path, struct http_answer *answer_out)
{
    struct text url = TEXT_EMPTY;

    *answer_out = (struct http_answer){.end = HTTP_UNREACHABLE};
    inquiry_address(&probe->inquiry, path, &url);
    if (url.failed)
        probe->end = PROBE_NO_MEMORY;
    else
        http_ask(probe->prober->http,
                 &(struct http_request){.url = text_string(&url),
                                        .lines = &probe->inquiry.lines,
                                        .posted = probe->provider->posted,
                                        .http_1_only = probe->provider->http_1_only,
                                        .timeout_ms = probe->provider->timeout_ms},
                 1, probe->deadline_ns, answer_out);
    if (answer_out->end == HTTP_ABANDONED)
        probe->end = PROBE_ABANDONED;
    text_fini(&url);
}

static bool probe_was_answered(const struct http_answer *answer, int status)
{
    return answer->end == HTTP_ANSWERED && answer->status == status;
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
    changed = credential_find(&keyring, probe->provider, &probe->request->api_key, probe->now_s, &credential) ==
                  CREDENTIAL_FOUND &&
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

/* One more request of a provider that wants it; false: it failed, and with it the probe. */
static bool probe_get_further(struct probe *probe, const char *path, json_t **body_out)
{
    struct http_answer answer;
    struct outcome outcome;

    probe_get(probe, path, &answer);
    *body_out = inquiry_body(&probe->inquiry, &answer, &outcome);
    http_answer_fini(&answer);
    if (*body_out != NULL || !probe->provider->further_is_needed)
        return true;
    probe->snapshot->outcome = outcome;
    return false;
}

/* The bodies that the provider wants beside the first; false: one that it needs failed. */
static bool probe_gather(struct probe *probe, struct bodies *bodies, json_t **further)
{
    bool complete = true, more = probe->provider->further != NULL;

    while (more && complete && bodies->count < PROVIDER_BODY_COUNT_MAX && probe->end == PROBE_DONE) {
        struct text path = TEXT_EMPTY;

        more = probe->provider->further(bodies, &path);
        if (more && path.failed)
            probe->end = PROBE_NO_MEMORY;
        else if (more) {
            complete = probe_get_further(probe, text_string(&path), &further[bodies->count]);
            bodies->bodies[bodies->count] = further[bodies->count];
            bodies->count++;
        }
        text_fini(&path);
    }
    return complete;
}

/* Reads the first body, asks for what the provider wants beside it, and has it all turned into a reading. */
static void probe_read(struct probe *probe, json_t *first, bool is_otherwise)
{
    struct snapshot *snapshot = probe->snapshot;
    struct bodies bodies = {.bodies = {first},
                            .count = 1,
                            .is_otherwise = is_otherwise,
                            .base = &probe->inquiry.base,
                            .credential = &probe->credential,
                            .now_s = probe->now_s};
    json_t *further[PROVIDER_BODY_COUNT_MAX] = {NULL};

    if (probe_gather(probe, &bodies, further)) {
        snapshot->outcome = inquiry_read(&probe->inquiry, &bodies, &snapshot->reading);
        if (snapshot->reading.source != NULL)
            snapshot->source = snapshot->reading.source;
    }
    for (size_t i = 0; i < PROVIDER_BODY_COUNT_MAX; i++)
        json_decref(further[i]);
}

static void probe_take(struct probe *probe, const struct http_answer *answer, bool is_otherwise)
{
    json_t *body = inquiry_body(&probe->inquiry, answer, &probe->snapshot->outcome);

    if (body != NULL)
        probe_read(probe, body, is_otherwise);
    json_decref(body);
    if (probe->snapshot->outcome.http_status != 0)
        probe->snapshot->min_interval_s = probe->provider->min_interval_s;
}

/* Sends it, to the other path where the first is not there; true: it was refused, and there is another sign-in now. */
static bool probe_send(struct probe *probe, bool may_reread)
{
    const char *otherwise = probe->provider->path_otherwise;
    struct http_answer answer;
    bool is_otherwise, is_renewed;

    probe_get(probe, NULL, &answer);
    is_otherwise = otherwise != NULL && probe_was_answered(&answer, STATUS_NOT_FOUND);
    if (is_otherwise) {
        http_answer_fini(&answer);
        probe_get(probe, otherwise, &answer);
    }
    is_renewed = may_reread && probe_was_answered(&answer, STATUS_UNAUTHORIZED) && probe_reread(probe);
    if (!is_renewed)
        probe_take(probe, &answer, is_otherwise);
    http_answer_fini(&answer);
    return is_renewed;
}

/* With a credential at hand: asks, and shows what came of it. */
static void probe_ask(struct probe *probe)
{
    bool is_due = true;

    for (int turn = 0; is_due && turn < 2; turn++) {
        is_due = false;
        switch (inquiry_open(&probe->inquiry, probe->provider, &probe->keyring, &probe->credential, probe->now_s)) {
        case INQUIRY_READY:
            is_due = probe_send(probe, turn == 0);
            break;
        case INQUIRY_NOT_ALLOWED:
            probe_fail(probe, FAILURE_BASE_URL);
            break;
        case INQUIRY_INCOMPLETE:
            probe_fail(probe, FAILURE_NO_KEY);
            break;
        case INQUIRY_NO_MEMORY:
            probe->end = PROBE_NO_MEMORY;
            break;
        }
        inquiry_fini(&probe->inquiry);
    }
}

/* ---- the walk ---- */

/* Says why there is no credential. */
static void probe_show_search(struct probe *probe, enum credential_search search)
{
    switch (search) {
    case CREDENTIAL_FOUND:
        break;
    case CREDENTIAL_ABSENT:
        if (!probe_show_pool(probe))
            probe_fail(probe, FAILURE_NO_KEY);
        break;
    case CREDENTIAL_UNSENDABLE:
        probe_fail(probe, FAILURE_UNSENDABLE);
        break;
    case CREDENTIAL_UNSUPPORTED:
        if (probe->provider->unsupported_reason != NULL)
            probe->snapshot->outcome = outcome_unsupported(probe->provider->unsupported_reason);
        else
            probe_fail(probe, FAILURE_UNSUPPORTED);
        break;
    case CREDENTIAL_PAST:
        probe_fail(probe, FAILURE_EXPIRED);
        break;
    case CREDENTIAL_NO_MEMORY:
        probe->end = PROBE_NO_MEMORY;
        break;
    }
}

/* The row counts: the provider's, or that of another which the credential belongs to. */
static void probe_follow(struct probe *probe, const struct provider *provider)
{
    probe->provider = provider;
    probe->snapshot->source = provider->source;
    probe->snapshot->title = provider->title;
}

static void probe_walk_single(struct probe *probe)
{
    enum credential_search search =
        credential_find(&probe->keyring, probe->provider, &probe->request->api_key, probe->now_s, &probe->credential);
    const struct provider *(*belongs)(const struct credential *) = probe->provider->belongs;
    const struct provider *other = search == CREDENTIAL_FOUND && belongs != NULL ? belongs(&probe->credential) : NULL;

    if (other != NULL)
        probe_follow(probe, other);
    probe->snapshot->place = probe->credential.place;
    if (search == CREDENTIAL_FOUND)
        probe_ask(probe);
    else
        probe_show_search(probe, search);
    credential_fini(&probe->credential);
}

static void probe_walk(struct probe *probe)
{
    const struct provider *provider = probe->provider;

    if (provider == NULL) {
        probe->snapshot->source = "none";
        probe->snapshot->title = "Account limits";
        if (!probe_show_pool(probe))
            probe_fail(probe, FAILURE_UNSUPPORTED);
        return;
    }
    probe_follow(probe, provider);
    /* A pool that is asked about leaves no place for a single credential, but for one that came with the request. */
    if (provider->pool_source == NULL || probe->request->api_key.size > 0 || !probe_show_pool(probe))
        probe_walk_single(probe);
}

enum probe_end probe_run(const struct prober *prober, const struct probe_request *request,
                         struct snapshot **snapshot_out)
{
    uint64_t due_ns = clock_now_ns() + PROBE_TIME_MS_MAX * NS_PER_MS;
    struct probe probe = {.prober = prober,
                          .request = request,
                          .provider = provider_find(provider_id(request->provider)),
                          .snapshot = snapshot_create(request->provider),
                          .now_s = probe_now_s(prober),
                          .deadline_ns = due_ns < request->deadline_ns ? due_ns : request->deadline_ns,
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
