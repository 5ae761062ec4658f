/* From JSON to protobuf, field by field.
 *
 * The line is bounded in shape (shape.h), parsed by jansson, and mapped to protobuf-c structs in an arena, whose bound
 * no line that keeps limits.h can reach.  A mapping that runs short of memory is remembered and looked at once. */
#include "server/work/usage.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "proto/arena.h"
#include "proto/limits.h"
#include "server/base/display.h"
#include "server/base/duration.h"
#include "server/base/moment.h"
#include "server/base/secret.h"
#include "server/work/shape.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum {
    ARENA_FIRST_SIZE = 8192,          /* on the handler's stack: most answers need no more */
    ARENA_SIZE_MAX = 8 * 1024 * 1024, /* 64 credentials of 32 windows and 32 details take about 4 MiB */
    RETRY_S_MAX = 86400,
    INTERVAL_S_MAX = 600,
    HTTP_STATUS_MAX = 999,
};

#define AMOUNT_BOUND 1e12 /* amounts and counts from here on are absent: PROVIDERS.md 2.2 */

_Static_assert((int)ACCOUNT_OK == (int)PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK &&
                   (int)ACCOUNT_RATE_LIMITED == (int)PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED &&
                   (int)ACCOUNT_UNSUPPORTED == (int)PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNSUPPORTED,
               "the engine and the wire number account states alike");

struct mapping {
    struct arena arena;
    bool failed; /* memory was short once; what was mapped is void */
};

static void *take_memory(struct mapping *mapping, size_t size)
{
    void *memory = arena_alloc(&mapping->arena, size);

    if (memory == NULL)
        mapping->failed = true;
    return memory;
}

static bool string_is(const json_t *json, const char *wanted)
{
    size_t size = strlen(wanted);

    return json_is_string(json) && json_string_length(json) == size &&
           memcmp(json_string_value(json), wanted, size) == 0;
}

/* ---- members of an object; absent and of the wrong type are the same ---- */

static char *map_string(struct mapping *mapping, const json_t *json, size_t character_count_max)
{
    size_t size = json_is_string(json) ? json_string_length(json) : 0;
    size_t bound = character_count_max * DISPLAY_CHARACTER_SIZE_MAX;
    char *text = size == 0 ? NULL : take_memory(mapping, (size < bound ? size : bound) + 1);

    if (text == NULL)
        return (char *)(uintptr_t)protobuf_c_empty_string;
    display_text(json_string_value(json), size, character_count_max, text);
    return text;
}

static char *map_text(struct mapping *mapping, const json_t *object, const char *key, size_t character_count_max)
{
    return map_string(mapping, json_object_get(object, key), character_count_max);
}

static bool number_of(const json_t *object, const char *key, double *number_out)
{
    const json_t *json = json_object_get(object, key);

    if (!json_is_number(json) || !isfinite(json_number_value(json)))
        return false;
    *number_out = json_number_value(json);
    return true;
}

/* A whole number above 0, no more than `max`; 0: absent. */
static uint64_t count_of(const json_t *object, const char *key, uint64_t max)
{
    double number;

    if (!number_of(object, key, &number) || number <= 0 || number >= AMOUNT_BOUND || trunc(number) != number)
        return 0;
    return number > (double)max ? max : (uint64_t)number;
}

static int64_t stamp_of(const json_t *object, const char *key)
{
    const json_t *json = json_object_get(object, key);

    if (json_is_string(json))
        return moment_from_text(json_string_value(json), json_string_length(json));
    return json_is_number(json) ? moment_from_number(json_number_value(json)) : 0;
}

/* ---- lists ---- */

/* Gives one element, or NULL for one that does not count. */
typedef void *map_element(struct mapping *mapping, const json_t *json);

/* As protobuf-c keeps a repeated field: an array of pointers.  What is beyond the bound is left out. */
static void **map_list(struct mapping *mapping, const json_t *object, const char *key, map_element *map,
                       size_t count_max, size_t *count_out)
{
    const json_t *list = json_object_get(object, key);
    size_t given = json_array_size(list), count = 0;
    void **elements;

    *count_out = 0;
    if (given == 0)
        return NULL;
    elements = take_memory(mapping, (given < count_max ? given : count_max) * sizeof *elements);
    if (elements == NULL)
        return NULL;
    for (size_t i = 0; i < given && count < count_max; i++) {
        elements[count] = map(mapping, json_array_get(list, i));
        if (elements[count] != NULL)
            count++;
    }
    *count_out = count;
    return elements;
}

static void *map_line(struct mapping *mapping, const json_t *json, size_t character_count_max)
{
    char *text = map_string(mapping, json, character_count_max);

    return text[0] == '\0' ? NULL : text;
}

static void *map_detail(struct mapping *mapping, const json_t *json)
{
    return map_line(mapping, json, LIMIT_TEXT_CHARACTERS_MAX);
}

static void *map_plan(struct mapping *mapping, const json_t *json)
{
    return map_line(mapping, json, LIMIT_PLAN_CHARACTERS_MAX);
}

/* ---- windows and balances ---- */

static double clamp_percent(double percent)
{
    return percent < 0 ? 0 : percent > 100 ? 100 : percent;
}

static void map_percents(const json_t *json, Probed__V1__UsageWindow *window)
{
    double percent;

    if (number_of(json, "used_percent", &percent)) {
        window->used_case = PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT;
        window->used_percent = clamp_percent(percent);
        window->remaining_case = PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT;
        window->remaining_percent = 100 - window->used_percent;
    }
    if (number_of(json, "remaining_percent", &percent)) {
        window->remaining_case = PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT;
        window->remaining_percent = clamp_percent(percent);
    }
}

static Probed__V1__WindowScope scope_of(const json_t *json)
{
    const json_t *name = json_object_get(json, "scope");

    if (string_is(name, "account"))
        return PROBED__V1__WINDOW_SCOPE__WINDOW_SCOPE_ACCOUNT;
    if (string_is(name, "model"))
        return PROBED__V1__WINDOW_SCOPE__WINDOW_SCOPE_MODEL;
    return PROBED__V1__WINDOW_SCOPE__WINDOW_SCOPE_UNSPECIFIED;
}

/* NULL for a window without a label. */
static void *map_window(struct mapping *mapping, const json_t *json)
{
    char *label = map_text(mapping, json, "label", LIMIT_LABEL_CHARACTERS_MAX);
    Probed__V1__UsageWindow *window = label[0] == '\0' ? NULL : take_memory(mapping, sizeof *window);

    if (window == NULL)
        return NULL;
    probed__v1__usage_window__init(window);
    window->label = label;
    map_percents(json, window);
    window->reset_at_ms = stamp_of(json, "reset_at");
    window->detail = map_text(mapping, json, "detail", LIMIT_TEXT_CHARACTERS_MAX);
    window->scope = scope_of(json);
    window->window_seconds = count_of(json, "window_seconds", UINT64_MAX);
    return window;
}

/* NULL for a balance without an amount: absent is never 0. */
static void *map_balance(struct mapping *mapping, const json_t *json)
{
    double amount;
    Probed__V1__Balance *balance;

    if (!number_of(json, "amount", &amount) || fabs(amount) >= AMOUNT_BOUND)
        return NULL;
    balance = take_memory(mapping, sizeof *balance);
    if (balance == NULL)
        return NULL;
    probed__v1__balance__init(balance);
    balance->amount = amount;
    balance->label = map_text(mapping, json, "label", LIMIT_LABEL_CHARACTERS_MAX);
    balance->currency = map_text(mapping, json, "currency", LIMIT_LABEL_CHARACTERS_MAX);
    return balance;
}

/* ---- the pool: PROVIDERS.md 5.3 ---- */

static Probed__V1__CredentialStatus credential_status_of(const json_t *json)
{
    const json_t *name = json_object_get(json, "status");

    if (string_is(name, "available"))
        return PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_AVAILABLE;
    if (string_is(name, "exhausted"))
        return PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_EXHAUSTED;
    if (string_is(name, "dead"))
        return PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_DEAD;
    return PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_UNAVAILABLE;
}

static void *map_credential(struct mapping *mapping, const json_t *json)
{
    Probed__V1__PooledCredential *credential = json_is_object(json) ? take_memory(mapping, sizeof *credential) : NULL;

    if (credential == NULL)
        return NULL;
    probed__v1__pooled_credential__init(credential);
    credential->label = map_text(mapping, json, "label", LIMIT_LABEL_CHARACTERS_MAX);
    credential->status = credential_status_of(json);
    credential->plan = map_text(mapping, json, "plan", LIMIT_PLAN_CHARACTERS_MAX);
    credential->windows = (Probed__V1__UsageWindow **)map_list(mapping, json, "windows", map_window,
                                                               LIMIT_WINDOW_COUNT_MAX, &credential->n_windows);
    credential->details =
        (char **)map_list(mapping, json, "details", map_detail, LIMIT_DETAIL_COUNT_MAX, &credential->n_details);
    credential->unavailable_reason = map_text(mapping, json, "unavailable_reason", LIMIT_TEXT_CHARACTERS_MAX);
    credential->retry_at_ms = stamp_of(json, "retry_after");
    credential->fetched_at_ms = stamp_of(json, "fetched_at");
    return credential;
}

static void *map_best(struct mapping *mapping, const json_t *json)
{
    Probed__V1__UsageWindow *window = map_window(mapping, json);
    Probed__V1__BestWindow *best = window == NULL ? NULL : take_memory(mapping, sizeof *best);

    if (best == NULL)
        return NULL;
    probed__v1__best_window__init(best);
    best->window = window;
    best->credential_label = map_text(mapping, json, "credential_label", LIMIT_LABEL_CHARACTERS_MAX);
    return best;
}

static Probed__V1__CredentialPool *map_pool(struct mapping *mapping, const json_t *json)
{
    Probed__V1__CredentialPool *pool = json_is_object(json) ? take_memory(mapping, sizeof *pool) : NULL;

    if (pool == NULL)
        return NULL;
    probed__v1__credential_pool__init(pool);
    pool->total = (uint32_t)count_of(json, "total_credentials", UINT32_MAX);
    pool->queried = (uint32_t)count_of(json, "queried_credentials", UINT32_MAX);
    pool->available = (uint32_t)count_of(json, "available_credentials", UINT32_MAX);
    pool->exhausted = (uint32_t)count_of(json, "exhausted_credentials", UINT32_MAX);
    pool->dead = (uint32_t)count_of(json, "dead_credentials", UINT32_MAX);
    pool->failed = (uint32_t)count_of(json, "failed_credentials", UINT32_MAX);
    pool->plans = (char **)map_list(mapping, json, "plans", map_plan, LIMIT_CREDENTIAL_COUNT_MAX, &pool->n_plans);
    pool->next_reset_at_ms = stamp_of(json, "next_reset_at");
    pool->best = (Probed__V1__BestWindow **)map_list(mapping, json, "best_remaining_by_window", map_best,
                                                     LIMIT_WINDOW_COUNT_MAX, &pool->n_best);
    pool->credentials = (Probed__V1__PooledCredential **)map_list(mapping, json, "credentials", map_credential,
                                                                  LIMIT_CREDENTIAL_COUNT_MAX, &pool->n_credentials);
    return pool;
}

/* ---- the account ---- */

static const char *const account_names[ACCOUNT_STATUS_COUNT] = {
    [ACCOUNT_OK] = "ok",
    [ACCOUNT_EXHAUSTED] = "exhausted",
    [ACCOUNT_NO_DATA] = "no_data",
    [ACCOUNT_NO_KEY] = "no_key",
    [ACCOUNT_INVALID_KEY] = "invalid_key",
    [ACCOUNT_EXPIRED] = "expired",
    [ACCOUNT_RATE_LIMITED] = "rate_limited",
    [ACCOUNT_UNAVAILABLE] = "unavailable",
    [ACCOUNT_UNSUPPORTED] = "unsupported",
};

/* A name that is none of ours counts as unavailable; without one, it is whether the account is available. */
static enum account_status account_status_of(const json_t *root, bool available)
{
    const json_t *name = json_object_get(root, "status");

    if (!json_is_string(name))
        return available ? ACCOUNT_OK : ACCOUNT_UNAVAILABLE;
    for (enum account_status status = ACCOUNT_OK; status < ACCOUNT_STATUS_COUNT; status++) {
        if (string_is(name, account_names[status]))
            return status;
    }
    return ACCOUNT_UNAVAILABLE;
}

/* Where the worker does not say: something to show, and no reason against it. */
static bool is_available(const json_t *root, const Probed__V1__AccountUsage *usage)
{
    const json_t *json = json_object_get(root, "available");

    if (json_is_boolean(json))
        return json_is_true(json);
    return usage->n_windows + usage->n_details + usage->n_balances > 0 && usage->unavailable_reason[0] == '\0';
}

static void map_account(struct mapping *mapping, const json_t *root, int64_t wall_ms, Probed__V1__AccountUsage *usage)
{
    uint64_t retry_s = count_of(root, "retry_after_s", RETRY_S_MAX);
    int64_t fetched_at_ms = stamp_of(root, "fetched_at");

    usage->source = map_text(mapping, root, "source", LIMIT_LABEL_CHARACTERS_MAX);
    usage->title = map_text(mapping, root, "title", LIMIT_LABEL_CHARACTERS_MAX);
    usage->plan = map_text(mapping, root, "plan", LIMIT_PLAN_CHARACTERS_MAX);
    usage->windows = (Probed__V1__UsageWindow **)map_list(mapping, root, "windows", map_window, LIMIT_WINDOW_COUNT_MAX,
                                                          &usage->n_windows);
    usage->details = (char **)map_list(mapping, root, "details", map_detail, LIMIT_DETAIL_COUNT_MAX, &usage->n_details);
    usage->balances = (Probed__V1__Balance **)map_list(mapping, root, "balances", map_balance, LIMIT_BALANCE_COUNT_MAX,
                                                       &usage->n_balances);
    usage->unavailable_reason = map_text(mapping, root, "unavailable_reason", LIMIT_TEXT_CHARACTERS_MAX);
    usage->available = is_available(root, usage);
    if (usage->available)
        usage->unavailable_reason = (char *)(uintptr_t)protobuf_c_empty_string;
    usage->status = (Probed__V1__AccountStatus)account_status_of(root, usage->available);
    usage->fetched_at_ms = fetched_at_ms == 0 ? wall_ms : fetched_at_ms;
    usage->pool = map_pool(mapping, json_object_get(root, "pool"));
    usage->retry_at_ms = retry_s == 0 ? 0 : wall_ms + (int64_t)retry_s * 1000;
    usage->http_status = (uint32_t)count_of(root, "http_status", HTTP_STATUS_MAX);
    usage->min_interval_s = (uint32_t)count_of(root, "min_interval_s", INTERVAL_S_MAX);
}

/* `null` instead of an object. */
static void map_no_answer(int64_t wall_ms, Probed__V1__AccountUsage *usage)
{
    usage->status = PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE;
    usage->unavailable_reason = (char *)(uintptr_t) "The worker had no answer.";
    usage->fetched_at_ms = wall_ms;
}

/* ---- the answer ---- */

static uint32_t microseconds(uint64_t ns)
{
    return ns / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 1000);
}

static struct answer *pack(const struct engine_lease *lease, Probed__V1__AccountUsage *usage, uint64_t probe_ns,
                           uint64_t retry_s)
{
    Probed__V1__ProbeResponse response = PROBED__V1__PROBE_RESPONSE__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    Probed__V1__Receipt receipt = PROBED__V1__RECEIPT__INIT;
    struct answer *answer;

    fence.epoch = lease->fence.epoch;
    fence.generation = lease->fence.generation;
    receipt.lease_id = lease->id;
    receipt.worker_id = lease->worker_id;
    receipt.queue_us = microseconds(lease->queue_ns);
    receipt.spawn_us = microseconds(lease->spawn_ns);
    receipt.probe_us = microseconds(probe_ns);
    response.usage = usage;
    response.fence = &fence;
    response.receipt = &receipt;

    answer = answer_create(probed__v1__probe_response__get_packed_size(&response));
    if (answer == NULL)
        return NULL;
    probed__v1__probe_response__pack(&response, answer->bytes);
    answer->account = (enum account_status)usage->status;
    answer->figures = usage->available;
    answer->retry_ns = retry_s * NS_PER_S;
    answer->interval_ns_min = usage->min_interval_s * NS_PER_S;
    return answer;
}

/* `root` is an object or null. */
static struct answer *map_answer(const struct engine_lease *lease, const json_t *root,
                                 const struct usage_receipt *receipt)
{
    unsigned char first[ARENA_FIRST_SIZE];
    struct mapping mapping = {.failed = false};
    Probed__V1__AccountUsage usage = PROBED__V1__ACCOUNT_USAGE__INIT;
    struct answer *answer = NULL;

    arena_init(&mapping.arena, first, sizeof first, ARENA_SIZE_MAX);
    usage.provider = (char *)(uintptr_t)lease->provider;
    if (json_is_null(root))
        map_no_answer(receipt->wall_ms, &usage);
    else
        map_account(&mapping, root, receipt->wall_ms, &usage);
    if (!mapping.failed)
        answer = pack(lease, &usage, receipt->probe_ns, count_of(root, "retry_after_s", RETRY_S_MAX));
    arena_fini(&mapping.arena);
    return answer;
}

/* ---- the line ---- */

/* Whether the answer is one to this request.  An id may be left out, but one that is there, of whatever type, counts.
 */
static struct status check_addressee(const struct engine_lease *lease, const json_t *root)
{
    const json_t *id = json_object_get(root, "id");
    const json_t *provider = json_object_get(root, "provider");

    if (id != NULL && (!json_is_number(id) || json_number_value(id) != (double)lease->id))
        return status_make(STATUS_INTERNAL, "the worker's answer has another id than the request");
    if (json_is_string(provider) && !string_is(provider, lease->provider))
        return status_make(STATUS_INTERNAL, "the worker's answer is about another provider than the request");
    return status_ok();
}

/* Gives the parsed line: an object or null. */
static struct status parse(const char *line, size_t line_size, json_t **root_out)
{
    struct status status = shape_check(line, line_size);
    json_error_t error;
    json_t *root;

    if (!status_is_ok(&status))
        return status;
    root = json_loadb(line, line_size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to read an answer of %zu bytes", line_size);
    secret_wipe(error.text, sizeof error.text); /* it may quote the line */
    if (root == NULL)
        return status_make(STATUS_INTERNAL, "the worker's answer is no JSON (at byte %d of %zu)", error.position,
                           line_size);
    if (!json_is_object(root) && !json_is_null(root)) {
        json_decref(root);
        return status_make(STATUS_INTERNAL, "the worker's answer is JSON, but neither an object nor null");
    }
    *root_out = root;
    return status_ok();
}

enum lease_end usage_from_line(const struct engine_lease *lease, const char *line, size_t line_size,
                               const struct usage_receipt *receipt, struct answer **answer_out,
                               struct status *status_out)
{
    struct answer *answer = NULL;
    json_t *root;
    struct status status = parse(line, line_size, &root);

    if (status_is_ok(&status)) {
        status = check_addressee(lease, root);
        if (status_is_ok(&status)) {
            answer = map_answer(lease, root, receipt);
            if (answer == NULL)
                status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to keep an answer of %zu bytes", line_size);
        }
        json_decref(root);
    }
    if (answer == NULL) {
        *status_out = status;
        return LEASE_BREACHED;
    }
    *answer_out = answer;
    return LEASE_ANSWERED;
}
