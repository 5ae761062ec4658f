#include "tests/unit/fake_service.h"

#include "gen/grpc/health/v1/health.pb-c.h"
#include "gen/probed/v1/admin.pb-c.h"
#include "server/base/clock.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"
#include "tests/support/patience.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_COUNT = 2, HELD_COUNT_MAX = 32768, PACKED_SIZE_MAX = 4096 };

/* A call that waits for its reply. */
struct held {
    struct rpc_call *call;
    uint64_t id;
    enum { HELD_WAITING, HELD_RELEASED, HELD_LEFT } state;
};

struct service {
    Grpc__Health__V1__Health_Service health;
    Probed__V1__AdminService_Service admin;
    struct service_row rows[ROW_COUNT];
    pthread_t replier;

    struct lock lock;
    struct condition changed;
    struct held held[HELD_COUNT_MAX];
    struct fake_counts counts;
    size_t due_count; /* of held, to be replied to by the replier */
    bool may_return, ending;
};

static const struct envelope_piece no_payload[ENVELOPE_PIECE_COUNT_MAX];

/* ---- what the edge needs of server/service and server/homes ---- */

bool homes_uid_is_admin(const struct homes *homes, uint32_t uid)
{
    (void)homes;
    return uid == 0 || uid == FAKE_ADMIN_UID;
}

const struct service_row *service_rows(struct service *service, size_t *row_count_out)
{
    *row_count_out = ROW_COUNT;
    return service->rows;
}

void rpc_call_fail(struct rpc_call *call, const struct status *status)
{
    call->transport->reply(call, status, no_payload);
}

static void reply_bytes(struct rpc_call *call, const void *bytes, size_t size)
{
    struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX] = {{.data = bytes, .size = size}};
    struct status status = status_ok();

    call->transport->reply(call, &status, payload);
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    unsigned char packed[PACKED_SIZE_MAX];

    ck_assert_uint_le(protobuf_c_message_get_packed_size(message), sizeof packed);
    reply_bytes(call, packed, protobuf_c_message_pack(message, packed));
}

/* On nng's reaper thread: only noted, the replier acts. */
void service_call_left(struct service *service, struct rpc_call *call, uint64_t id)
{
    bool found = false;

    lock_acquire(&service->lock);
    for (size_t i = 0; i < service->counts.held && !found; i++) {
        struct held *held = &service->held[i];

        if (held->call != call || held->id != id || held->state == HELD_LEFT)
            continue;
        found = true;
        if (held->state == HELD_WAITING)
            service->due_count++;
        held->state = HELD_LEFT;
    }
    service->counts.left += found;
    service->counts.stray += !found;
    condition_broadcast(&service->changed);
    lock_release(&service->lock);
    call->transport->departed(call);
}

/* ---- handlers ---- */

static void hold(struct service *service, struct rpc_call *call, bool soon)
{
    lock_acquire(&service->lock);
    ck_assert_uint_lt(service->counts.held, HELD_COUNT_MAX);
    service->held[service->counts.held++] =
        (struct held){.call = call, .id = call->id, .state = soon ? HELD_RELEASED : HELD_WAITING};
    service->due_count += soon;
    condition_broadcast(&service->changed);
    lock_release(&service->lock);
}

static void linger(struct service *service)
{
    lock_acquire(&service->lock);
    while (!service->may_return)
        condition_wait(&service->changed, &service->lock, UINT64_MAX);
    lock_release(&service->lock);
}

static void reply_sized(struct rpc_call *call, size_t size)
{
    unsigned char *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', size);
    reply_bytes(call, bytes, size);
    free(bytes);
}

static void reply_text(struct rpc_call *call, const char *word)
{
    char text[64];

    if (strcmp(word, "time") == 0)
        snprintf(text, sizeof text, "%" PRIu64, (call->deadline_ns - call->arrived_ns) / NS_PER_MS);
    else
        snprintf(text, sizeof text, "%" PRIu32 " %s", call->uid, call->admin ? "admin" : "user");
    reply_bytes(call, text, strlen(text));
}

static void fake_check(Grpc__Health__V1__Health_Service *table, const Grpc__Health__V1__HealthCheckRequest *request,
                       Grpc__Health__V1__HealthCheckResponse_Closure closure, void *closure_data)
{
    struct service *service = (struct service *)(void *)((char *)table - offsetof(struct service, health));
    struct rpc_call *call = closure_data;
    const char *word = request->service;
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    lock_acquire(&service->lock);
    service->counts.started++;
    condition_broadcast(&service->changed);
    lock_release(&service->lock);
    if (strcmp(word, "closure") == 0) {
        closure(&response, closure_data);
    } else if (strcmp(word, "failure") == 0) {
        closure(NULL, closure_data);
    } else if (strcmp(word, "refuse") == 0) {
        struct status status = status_make(STATUS_ABORTED, "as you wish");

        rpc_call_fail(call, &status);
    } else if (strcmp(word, "late") == 0) {
        hold(service, call, true);
    } else if (strcmp(word, "hold") == 0) {
        hold(service, call, false);
    } else if (strcmp(word, "linger") == 0) {
        linger(service);
        hold(service, call, false);
    } else if (strncmp(word, "size ", 5) == 0) {
        reply_sized(call, strtoul(word + 5, NULL, 10));
    } else if (strcmp(word, "time") == 0 || strcmp(word, "who") == 0) {
        reply_text(call, word);
    } else {
        rpc_call_reply(call, &response.base);
    }
}

static void fake_get_status(Probed__V1__AdminService_Service *table, const Probed__V1__GetStatusRequest *request,
                            Probed__V1__GetStatusResponse_Closure closure, void *closure_data)
{
    Probed__V1__GetStatusResponse response = PROBED__V1__GET_STATUS_RESPONSE__INIT;

    (void)table;
    (void)request;
    closure(&response, closure_data);
}

/* ---- the replier: released and given up calls get their reply ---- */

static struct held take_due_held(struct service *service) REQUIRES(service->lock)
{
    size_t i = 0;
    struct held due;

    while (service->held[i].state == HELD_WAITING)
        i++;
    due = service->held[i];
    service->held[i] = service->held[--service->counts.held];
    service->due_count--;
    return due;
}

static void run_replier(void *context)
{
    struct service *service = context;
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct status cancelled = status_make(STATUS_CANCELLED, "its client has gone");

    lock_acquire(&service->lock);
    while (!service->ending) {
        struct held due;

        if (service->due_count == 0) {
            condition_wait(&service->changed, &service->lock, UINT64_MAX);
            continue;
        }
        due = take_due_held(service);
        condition_broadcast(&service->changed);
        lock_release(&service->lock);
        if (due.state == HELD_LEFT)
            rpc_call_fail(due.call, &cancelled);
        else
            rpc_call_reply(due.call, &response.base);
        lock_acquire(&service->lock);
    }
    lock_release(&service->lock);
}

/* ---- for tests ---- */

struct service *fake_service_create(void)
{
    static const Grpc__Health__V1__Health_Service health = GRPC__HEALTH__V1__HEALTH__INIT(fake_);
    struct service *service = calloc(1, sizeof *service);
    struct status status;

    ck_assert_ptr_nonnull(service);
    service->health = health;
    probed__v1__admin_service__init(&service->admin, NULL);
    service->admin.base.invoke = protobuf_c_service_invoke_internal;
    service->admin.get_status = fake_get_status;
    service->rows[0] = (struct service_row){.table = &service->admin.base, .admin = true};
    service->rows[1] = (struct service_row){.table = &service->health.base};
    lock_init(&service->lock, "fake service");
    condition_init(&service->changed);
    status = thread_start(&service->replier, "replier", 0, run_replier, service);
    ck_assert_int_eq(status.code, STATUS_OK);
    return service;
}

void fake_service_destroy(struct service *service)
{
    lock_acquire(&service->lock);
    ck_assert_uint_eq(service->counts.held, 0);
    service->ending = true;
    condition_broadcast(&service->changed);
    lock_release(&service->lock);
    thread_join(service->replier);
    condition_fini(&service->changed);
    lock_fini(&service->lock);
    free(service);
}

void fake_release(struct service *service)
{
    lock_acquire(&service->lock);
    for (size_t i = 0; i < service->counts.held; i++) {
        if (service->held[i].state == HELD_WAITING) {
            service->held[i].state = HELD_RELEASED;
            service->due_count++;
        }
    }
    condition_broadcast(&service->changed);
    lock_release(&service->lock);
}

void fake_let_return(struct service *service)
{
    lock_acquire(&service->lock);
    service->may_return = true;
    condition_broadcast(&service->changed);
    lock_release(&service->lock);
}

struct fake_counts fake_count(struct service *service)
{
    struct fake_counts counts;

    lock_acquire(&service->lock);
    counts = service->counts;
    lock_release(&service->lock);
    return counts;
}

static void wait_held(struct service *service, size_t low, size_t high)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    size_t count;
    bool in_time = true;

    lock_acquire(&service->lock);
    while (in_time && (service->counts.held < low || service->counts.held > high))
        in_time = condition_wait(&service->changed, &service->lock, due_ns);
    count = service->counts.held;
    lock_release(&service->lock);
    ck_assert_msg(count >= low && count <= high, "%zu calls are held, not %zu", count, low);
}

void fake_wait_held(struct service *service, size_t count)
{
    wait_held(service, count, count);
}

void fake_wait_none_held(struct service *service)
{
    wait_held(service, 0, 0);
}
