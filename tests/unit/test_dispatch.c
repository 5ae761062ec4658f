/* From a method's path to a handler, over services that do as they are told (fake_service.h). */
#include "gen/grpc/health/v1/health.pb-c.h"
#include "server/edge/dispatch.h"
#include "tests/support/check_main.h"
#include "tests/unit/fake_service.h"

#include <string.h>

/* A call whose transport keeps the reply. */
struct kept_call {
    struct rpc_call call;
    size_t reply_count;
    struct status status;
    unsigned char payload[256];
    size_t payload_size;
};

static void keep_reply(struct rpc_call *call, const struct status *status,
                       const struct envelope_piece payload[ENVELOPE_PIECE_COUNT_MAX])
{
    struct kept_call *kept = (struct kept_call *)(void *)call;

    kept->reply_count++;
    kept->status = *status;
    for (size_t i = 0; i < ENVELOPE_PIECE_COUNT_MAX; i++) {
        ck_assert_uint_le(kept->payload_size + payload[i].size, sizeof kept->payload);
        if (payload[i].size > 0)
            memcpy(kept->payload + kept->payload_size, payload[i].data, payload[i].size);
        kept->payload_size += payload[i].size;
    }
}

static const struct rpc_transport transport = {.reply = keep_reply};

static struct service *service;
static struct kept_call kept;
static struct arena arena;

static void open_service(void)
{
    service = fake_service_create();
    kept = (struct kept_call){.call = {.transport = &transport, .id = 1, .uid = 1000}};
    arena_init(&arena, NULL, 0, 4096);
}

static void close_service(void)
{
    arena_fini(&arena);
    fake_service_destroy(service);
}

/* Finds and invokes with this payload. */
static struct status dispatch(const char *path, const void *payload, size_t size)
{
    ProtobufCBinaryData data = {.data = (uint8_t *)(uintptr_t)payload, .len = size};
    struct dispatch_route route;
    struct status status = dispatch_find(service, path, &route);

    return status_is_ok(&status) ? dispatch_invoke(&route, &kept.call, &data, &arena) : status;
}

static struct status dispatch_check(const char *word)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    unsigned char packed[256];

    request.service = (char *)(uintptr_t)word;
    return dispatch("/grpc.health.v1.Health/Check", packed,
                    grpc__health__v1__health_check_request__pack(&request, packed));
}

static void expect(struct status status, enum status_code code, const char *part)
{
    ck_assert_msg(status.code == code, "%s: %s", status_code_name(status.code), status.message);
    ck_assert_msg(strstr(status.message, part) != NULL, "\"%s\" is not in \"%s\"", part, status.message);
}

START_TEST(a_path_leads_to_its_method_and_message)
{
    struct dispatch_route route;

    expect(dispatch_find(service, "/grpc.health.v1.Health/Check", &route), STATUS_OK, "");
    ck_assert_str_eq(route.table->descriptor->name, "grpc.health.v1.Health");
    ck_assert_str_eq(route.method->name, "Check");
    ck_assert_ptr_eq(route.method->input, &grpc__health__v1__health_check_request__descriptor);
    ck_assert(!route.admin);
    expect(dispatch_find(service, "/probed.v1.AdminService/ListWorkers", &route), STATUS_OK, "");
    ck_assert_str_eq(route.method->name, "ListWorkers");
    ck_assert(route.admin);
}
END_TEST

START_TEST(what_is_not_there_is_unimplemented_and_named)
{
    struct dispatch_route route;

    expect(dispatch_find(service, "/grpc.health.v1.Health/Watch", &route), STATUS_UNIMPLEMENTED,
           "grpc.health.v1.Health has no method Watch");
    expect(dispatch_find(service, "/grpc.health.v1.Health/", &route), STATUS_UNIMPLEMENTED, "Health has no method");
    expect(dispatch_find(service, "/grpc.health.v1.Health/check", &route), STATUS_UNIMPLEMENTED, "check");
    expect(dispatch_find(service, "/grpc.health.v1.Health/Check/more", &route), STATUS_UNIMPLEMENTED, "Check/more");
    expect(dispatch_find(service, "/grpc.health.v1.Healt/Check", &route), STATUS_UNIMPLEMENTED,
           "no such service: grpc.health.v1.Healt");
    expect(dispatch_find(service, "/grpc.health.v1.Healthy/Check", &route), STATUS_UNIMPLEMENTED, "Healthy");
    expect(dispatch_find(service, "//Check", &route), STATUS_UNIMPLEMENTED, "no such service");
}
END_TEST

START_TEST(what_is_no_path_is_told_how_one_is_spelled)
{
    static const char *const paths[] = {"", "/", "Check", "grpc.health.v1.Health/Check", "/grpc.health.v1.Health"};
    struct dispatch_route route;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        expect(dispatch_find(service, paths[i], &route), STATUS_UNIMPLEMENTED, "/package.Service/Method");
}
END_TEST

START_TEST(a_handler_gets_its_request_and_replies)
{
    expect(dispatch_check("who"), STATUS_OK, "");
    ck_assert_uint_eq(kept.reply_count, 1);
    ck_assert_int_eq(kept.status.code, STATUS_OK);
    ck_assert_uint_eq(kept.payload_size, strlen("1000 user"));
    ck_assert_mem_eq(kept.payload, "1000 user", kept.payload_size);
}
END_TEST

START_TEST(a_request_may_be_empty)
{
    expect(dispatch("/grpc.health.v1.Health/Check", NULL, 0), STATUS_OK, "");
    ck_assert_uint_eq(kept.reply_count, 1);
    ck_assert_int_eq(kept.status.code, STATUS_OK);
}
END_TEST

START_TEST(a_handler_may_use_the_closure_as_protobuf_c_means_it)
{
    expect(dispatch_check("closure"), STATUS_OK, "");
    ck_assert_uint_eq(kept.reply_count, 1);
    ck_assert_int_eq(kept.status.code, STATUS_OK);
    ck_assert_uint_eq(kept.payload_size, 2); /* status: SERVING */
    expect(dispatch_check("failure"), STATUS_OK, "");
    ck_assert_uint_eq(kept.reply_count, 2);
    ck_assert_int_eq(kept.status.code, STATUS_INTERNAL);
}
END_TEST

START_TEST(a_payload_that_is_none_never_reaches_the_handler)
{
    expect(dispatch("/grpc.health.v1.Health/Check", "\x0a\xff", 2), STATUS_INVALID_ARGUMENT, "HealthCheckRequest");
    expect(dispatch("/grpc.health.v1.Health/Check", "\x0a\x01\x00", 3), STATUS_INVALID_ARGUMENT,
           "HealthCheckRequest.service contains a NUL");
    expect(dispatch("/grpc.health.v1.Health/Check", "\x0a\x01\xff", 3), STATUS_INVALID_ARGUMENT,
           "HealthCheckRequest.service is not UTF-8");
    ck_assert_uint_eq(kept.reply_count, 0);
    ck_assert_uint_eq(fake_count(service).started, 0);
}
END_TEST

START_TEST(administration_is_refused_before_the_payload_is_looked_at)
{
    expect(dispatch("/probed.v1.AdminService/GetStatus", "\xff", 1), STATUS_PERMISSION_DENIED, "uid 1000");
    ck_assert_uint_eq(kept.reply_count, 0);
    kept.call.admin = true;
    expect(dispatch("/probed.v1.AdminService/GetStatus", NULL, 0), STATUS_OK, "");
    ck_assert_uint_eq(kept.reply_count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *tcase = tcase_create("dispatch");

    tcase_add_checked_fixture(tcase, open_service, close_service);
    tcase_add_test(tcase, a_path_leads_to_its_method_and_message);
    tcase_add_test(tcase, what_is_not_there_is_unimplemented_and_named);
    tcase_add_test(tcase, what_is_no_path_is_told_how_one_is_spelled);
    tcase_add_test(tcase, a_handler_gets_its_request_and_replies);
    tcase_add_test(tcase, a_request_may_be_empty);
    tcase_add_test(tcase, a_handler_may_use_the_closure_as_protobuf_c_means_it);
    tcase_add_test(tcase, a_payload_that_is_none_never_reaches_the_handler);
    tcase_add_test(tcase, administration_is_refused_before_the_payload_is_looked_at);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
