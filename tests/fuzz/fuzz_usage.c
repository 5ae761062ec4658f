/* A worker's answer line: whatever it is, what comes out is a packed ProbeResponse within limits.h, or a breach. */
#include "server/work/usage.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "proto/arena.h"
#include "proto/utf8.h"
#include "proto/wire.h"
#include "tests/fuzz/input.h"

#include <math.h>

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void check_text(const char *text, size_t character_count_max)
{
    INVARIANT(count_characters(text) <= character_count_max);
    INVARIANT(!utf8_has_control(text, strlen(text)));
}

static void check_window(const Probed__V1__UsageWindow *window)
{
    INVARIANT(window->label[0] != '\0');
    check_text(window->label, LIMIT_LABEL_CHARACTERS_MAX);
    check_text(window->detail, LIMIT_TEXT_CHARACTERS_MAX);
    INVARIANT(window->used_percent >= 0 && window->used_percent <= 100);
    INVARIANT(window->remaining_percent >= 0 && window->remaining_percent <= 100);
    INVARIANT(window->reset_at_ms >= 0);
}

static void check_usage(const Probed__V1__AccountUsage *usage)
{
    INVARIANT(usage->n_windows <= LIMIT_WINDOW_COUNT_MAX && usage->n_details <= LIMIT_DETAIL_COUNT_MAX &&
              usage->n_balances <= LIMIT_BALANCE_COUNT_MAX);
    for (size_t i = 0; i < usage->n_windows; i++)
        check_window(usage->windows[i]);
    for (size_t i = 0; i < usage->n_details; i++)
        check_text(usage->details[i], LIMIT_TEXT_CHARACTERS_MAX);
    for (size_t i = 0; i < usage->n_balances; i++)
        INVARIANT(isfinite(usage->balances[i]->amount));
    check_text(usage->plan, LIMIT_PLAN_CHARACTERS_MAX);
    check_text(usage->unavailable_reason, LIMIT_TEXT_CHARACTERS_MAX);
    INVARIANT(!usage->available || usage->unavailable_reason[0] == '\0');
    INVARIANT(usage->status > PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNSPECIFIED &&
              usage->status <= PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNSUPPORTED);
    INVARIANT(usage->pool == NULL || usage->pool->n_credentials <= LIMIT_CREDENTIAL_COUNT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct engine_lease lease = {.id = 7, .worker_id = 1, .provider = "openai-codex"};
    const struct usage_receipt receipt = {.probe_ns = 1, .wall_ms = 1};
    struct answer *answer;
    struct arena arena;
    ProtobufCMessage *message;
    struct status status;

    if (usage_from_line(&lease, (const char *)data, size, &receipt, &answer, &status) != LEASE_ANSWERED) {
        INVARIANT(!status_is_ok(&status));
        return 0;
    }
    arena_init(&arena, NULL, 0, 64 * 1024 * 1024);
    status = wire_unpack(&probed__v1__probe_response__descriptor, answer->bytes, answer->size, &arena, &message);
    INVARIANT(status_is_ok(&status));
    check_usage(((Probed__V1__ProbeResponse *)message)->usage);
    arena_fini(&arena);
    answer_release(answer);
    return 0;
}
