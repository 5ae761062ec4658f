/* One call: which question it is, its request, and what is made of its answer. */
#include "client/probeload/load_inside.h"

#include "client/probeload/clock.h"
#include "proto/limits.h"
#include "proto/wire.h"

#include <stdlib.h>

enum {
    UNPACKED_SIZE_MAX = 16 << 20,
    REQUEST_SIZE_MAX = LIMIT_HOME_SIZE_MAX + LIMIT_PROVIDER_SIZE_MAX + LEDGER_KEY_SIZE + LEDGER_REASON_SIZE + 64,
};

static const char probe_method[] = "/probed.v1.ProbeService/Probe";
static const char invalidate_method[] = "/probed.v1.ProbeService/Invalidate";

/* How often an Invalidate names the provider instead of the whole home. */
static const double PROVIDER_SHARE = 0.5;

/* ---- which question ---- */

static void draw_in_turn(struct slot *slot)
{
    const struct load_plan *plan = slot->load->plan;
    size_t keys = plan->key_count == 0 ? 1 : plan->key_count;
    uint64_t turn = atomic_fetch_add_explicit(&slot->load->turn, 1, memory_order_relaxed);

    slot->call.key = turn % keys;
    slot->call.provider = turn / keys % plan->provider_count;
    slot->call.home = turn / keys / plan->provider_count % plan->home_count;
}

static void draw(struct slot *slot)
{
    const struct load_plan *plan = slot->load->plan;

    slot->call = (struct ledger_call){0};
    if (plan->spread == LOAD_IN_TURN) {
        draw_in_turn(slot);
    } else {
        slot->call.home = plan->spread == LOAD_ZIPF ? zipf_roll(&slot->load->zipf, &slot->dice)
                                                    : dice_index(&slot->dice, plan->home_count);
        slot->call.provider = dice_index(&slot->dice, plan->provider_count);
        slot->call.key = plan->key_count == 0 ? 0 : dice_index(&slot->dice, plan->key_count);
    }
    slot->invalidates = dice_chance(&slot->dice, plan->invalidation_share);
    if (!slot->invalidates)
        slot->call.refresh = dice_chance(&slot->dice, plan->refresh_share);
    else if (!dice_chance(&slot->dice, PROVIDER_SHARE))
        slot->call.provider = LEDGER_EVERY_PROVIDER;
}

/* ---- the request ---- */

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text; /* protoc-c's strings are not const; packing reads them */
}

static size_t pack_probe(struct slot *slot, uint8_t *out)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    char key[LEDGER_KEY_SIZE];

    ledger_key(slot->load->ledger, slot->call.key, key);
    request.home = text_of(slot->load->plan->homes[slot->call.home]);
    request.provider = text_of(slot->load->plan->providers[slot->call.provider]);
    request.api_key = key;
    request.refresh = slot->call.refresh;
    ledger_probe_begins(slot->load->ledger, &slot->call, now_ns());
    return probed__v1__probe_request__pack(&request, out);
}

static size_t pack_invalidate(struct slot *slot, uint8_t *out)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    char reason[LEDGER_REASON_SIZE];

    request.home = text_of(slot->load->plan->homes[slot->call.home]);
    if (slot->call.provider != LEDGER_EVERY_PROVIDER)
        request.provider = text_of(slot->load->plan->providers[slot->call.provider]);
    ledger_invalidation_begins(slot->load->ledger, &slot->call, now_ns(), reason);
    request.reason = reason;
    return probed__v1__invalidate_request__pack(&request, out);
}

static size_t prepare(struct slot *slot, uint64_t due_ns, uint8_t out[REQUEST_SIZE_MAX])
{
    draw(slot);
    slot->due_ns = due_ns;
    atomic_store(&slot->in_flight, true);
    return slot->invalidates ? pack_invalidate(slot, out) : pack_probe(slot, out);
}

static const char *method_of(const struct slot *slot)
{
    return slot->invalidates ? invalidate_method : probe_method;
}

struct probed_status call_begin(struct slot *slot, uint64_t due_ns, probed_call_done *done)
{
    struct probed_call_options options = {.timeout_ms = slot->load->plan->timeout_ms};
    uint8_t request[REQUEST_SIZE_MAX];
    size_t size = prepare(slot, due_ns, request);

    return probed_call_start(slot->channel, method_of(slot), request, size, &options, done, slot);
}

void call_make(struct slot *slot, uint64_t due_ns)
{
    struct probed_call_options options = {.timeout_ms = slot->load->plan->timeout_ms};
    uint8_t request[REQUEST_SIZE_MAX];
    size_t size = prepare(slot, due_ns, request), response_size = 0;
    void *response = NULL;
    struct probed_status status =
        probed_call_raw(slot->channel, method_of(slot), request, size, &options, &response, &response_size);

    call_answered(slot, &status, response, response_size);
    free(response);
}

/* ---- the answer ---- */

static enum tally_kind check_probe(struct slot *slot, const ProtobufCMessage *message, uint64_t answered_ns)
{
    const Probed__V1__ProbeResponse *response = (const Probed__V1__ProbeResponse *)message;

    if (!ledger_probe_answered(slot->load->ledger, &slot->call, response, answered_ns))
        return TALLY_FAILED;
    return (enum tally_kind)response->origin; /* checked: one of the four */
}

static enum tally_kind check_invalidation(struct slot *slot, const ProtobufCMessage *message)
{
    const Probed__V1__InvalidateResponse *response = (const Probed__V1__InvalidateResponse *)message;

    (void)ledger_invalidation_answered(slot->load->ledger, &slot->call, response); /* the ledger keeps the evidence */
    return TALLY_INVALIDATED;
}

/* Reads and checks an answer that is OK. */
static enum tally_kind take_answer(struct slot *slot, const void *payload, size_t size, uint64_t answered_ns)
{
    unsigned char first[8192];
    enum tally_kind kind = slot->invalidates ? TALLY_INVALIDATED : TALLY_FAILED;
    ProtobufCMessage *message;
    struct arena arena;
    struct status status;

    arena_init(&arena, first, sizeof first, UNPACKED_SIZE_MAX);
    status = wire_unpack(slot->invalidates ? &probed__v1__invalidate_response__descriptor
                                           : &probed__v1__probe_response__descriptor,
                         payload, size, &arena, &message);
    if (!status_is_ok(&status))
        ledger_break(slot->load->ledger, "an answer that cannot be read: %s", status.message);
    else
        kind = slot->invalidates ? check_invalidation(slot, message) : check_probe(slot, message, answered_ns);
    arena_fini(&arena);
    return kind;
}

static void count(struct slot *slot, enum tally_kind kind, const struct probed_status *status, uint64_t answered_ns)
{
    struct load *load = slot->load;

    if (slot->due_ns < load->measure_from_ns)
        return;
    tally_note(load->tally, slot->shard, kind, status->code, answered_ns - slot->due_ns);
    atomic_fetch_add_explicit(&load->counted_count, 1, memory_order_relaxed);
    if (status->code != PROBED_OK)
        atomic_fetch_add_explicit(&load->failed_count, 1, memory_order_relaxed);
}

void call_answered(struct slot *slot, const struct probed_status *status, const void *response, size_t response_size)
{
    uint64_t answered_ns = now_ns();
    enum tally_kind kind = slot->invalidates ? TALLY_INVALIDATED : TALLY_FAILED;

    if (!atomic_exchange(&slot->in_flight, false)) {
        ledger_break(slot->load->ledger, "a call was answered twice, the second time with %s %s",
                     probed_code_name(status->code), status->message);
        return;
    }
    if (status->code == PROBED_OK)
        kind = take_answer(slot, response, response_size, answered_ns);
    else
        load_note_failure(slot->load, status);
    count(slot, kind, status, answered_ns);
}
