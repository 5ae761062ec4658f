/* proto/wire: what protobuf-c leaves to its users is checked, field by field. */
#include "gen/probed/v1/probe.pb-c.h"
#include "gen/probed/v1/rpc.pb-c.h"
#include "proto/wire.h"
#include "tests/support/check_main.h"

#include <stdlib.h>
#include <string.h>

static struct arena arena;

static void open_arena(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
}

static void close_arena(void)
{
    arena_fini(&arena);
}

/* A literal with its NULs. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static struct status unpack(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t size)
{
    ProtobufCMessage *message = NULL;
    struct status checked = wire_check(descriptor, bytes, size);
    struct status status = wire_unpack(descriptor, bytes, size, &arena, &message);

    ck_assert_int_eq(status_is_ok(&status), message != NULL);
    if (!status_is_ok(&checked))
        ck_assert_str_eq(checked.message, status.message); /* the same checks, found first */
    return status;
}

static void expect(struct status status, enum status_code code, const char *message)
{
    ck_assert_msg(status.code == code, "%s: %s", status_code_name(status.code), status.message);
    ck_assert_str_eq(status.message, message);
}

START_TEST(what_was_packed_comes_out)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT, *copy;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    ProtobufCMessage *message;
    unsigned char packed[256];
    struct status status;

    fence.epoch = 7;
    fence.generation = 3;
    request.home = (char *)(uintptr_t) "/h/\xc3\xa9";
    request.provider = (char *)(uintptr_t) "openrouter";
    request.refresh = 1;
    request.at_least = &fence;
    status = wire_unpack(&probed__v1__probe_request__descriptor, packed,
                         probed__v1__probe_request__pack(&request, packed), &arena, &message);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    copy = (Probed__V1__ProbeRequest *)message;
    ck_assert_str_eq(copy->home, request.home);
    ck_assert_str_eq(copy->provider, "openrouter");
    ck_assert_str_eq(copy->api_key, "");
    ck_assert(copy->refresh);
    ck_assert_uint_eq(copy->at_least->epoch, 7);
    ck_assert_uint_eq(copy->at_least->generation, 3);
}
END_TEST

START_TEST(nothing_is_a_message_of_defaults)
{
    expect(unpack(&probed__v1__probe_request__descriptor, NULL, 0), STATUS_OK, "");
    expect(unpack(&probed__v1__fence__descriptor, "", 0), STATUS_OK, "");
}
END_TEST

START_TEST(a_nul_in_a_string_is_refused_by_the_fields_name)
{
    expect(unpack(&probed__v1__probe_request__descriptor, BYTES("\x0a\x03/\0h")), STATUS_INVALID_ARGUMENT,
           "ProbeRequest.home contains a NUL byte");
    expect(unpack(&probed__v1__probe_request__descriptor, BYTES("\x0a\x02/h\x12\x01\0")), STATUS_INVALID_ARGUMENT,
           "ProbeRequest.provider contains a NUL byte");
    expect(unpack(&probed__v1__probe_request__descriptor, BYTES("\x1a\x02k\0")), STATUS_INVALID_ARGUMENT,
           "ProbeRequest.api_key contains a NUL byte");
}
END_TEST

START_TEST(a_string_that_is_not_utf_8_is_refused_by_the_fields_name)
{
    expect(unpack(&probed__v1__probe_request__descriptor, BYTES("\x0a\x02/\xff")), STATUS_INVALID_ARGUMENT,
           "ProbeRequest.home is not UTF-8");
    expect(unpack(&probed__v1__probe_request__descriptor, BYTES("\x0a\x02/\xc3")), STATUS_INVALID_ARGUMENT,
           "ProbeRequest.home is not UTF-8");
}
END_TEST

START_TEST(an_earlier_string_of_the_same_field_is_checked_as_well)
{
    expect(unpack(&probed__v1__probe_request__descriptor, BYTES("\x0a\x01\xff\x0a\x02/h")), STATUS_INVALID_ARGUMENT,
           "ProbeRequest.home is not UTF-8");
}
END_TEST

START_TEST(strings_deep_inside_and_in_lists_are_checked)
{
    /* ProbeResponse.usage.pool.credentials[1].windows[0].label */
    expect(
        unpack(&probed__v1__probe_response__descriptor, BYTES("\x0a\x0b\x52\x09\x52\x00\x52\x05\x22\x03\x0a\x01\xff")),
        STATUS_INVALID_ARGUMENT, "UsageWindow.label is not UTF-8");
    expect(unpack(&probed__v1__probe_response__descriptor, BYTES("\x0a\x0b\x52\x09\x52\x00\x52\x05\x22\x03\x0a\x01y")),
           STATUS_OK, "");
    /* AccountUsage.details, a repeated string */
    expect(unpack(&probed__v1__account_usage__descriptor, BYTES("\x3a\x01x\x3a\x01\0")), STATUS_INVALID_ARGUMENT,
           "AccountUsage.details contains a NUL byte");
}
END_TEST

START_TEST(bytes_may_hold_anything)
{
    expect(unpack(&probed__v1__rpc_request__descriptor, BYTES("\x1a\x04\0\xff\0\xfe")), STATUS_OK, "");
}
END_TEST

START_TEST(unknown_fields_are_passed_over)
{
    expect(unpack(&probed__v1__probe_request__descriptor,
                  BYTES("\xa2\x06\x03\0\xff\0" /* 100, sized */ "\xa0\x06\x01" /* varint */
                        "\xa1\x06\1\2\3\4\5\6\7\x08"                           /* fixed 64 */
                        "\xa5\x06\1\2\3\4"                                     /* fixed 32 */
                        "\x0a\x02/h")),
           STATUS_OK, "");
}
END_TEST

START_TEST(what_is_no_message_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {BYTES("\x0a")},                     /* a key alone */
        {BYTES("\x0a\x05/h")},               /* longer than what is there */
        {BYTES("\x0a\xff\xff\xff\xff\x0f")}, /* much longer */
        {BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {BYTES("\x0a\x80")}, /* a size that does not end */
        {BYTES("\x80")},     /* a key that does not end */
        {BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
        {BYTES("\x02\x00")}, /* field 0 */
        {BYTES("\x0b\x0c")}, /* groups */
        {BYTES("\x0c")},
        {BYTES("\x0e\x00")}, /* wire types that are none */
        {BYTES("\x0f\x00")},
        {BYTES("\x08\x01")},                 /* a string that comes as a number */
        {BYTES("\x2a\x01x")},                /* a number that comes as bytes */
        {BYTES("\x32\x02\x09\x01")},         /* a submessage that is cut */
        {BYTES("\x82\x80\x80\x80\x10\x00")}, /* field 2^29 */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct status status = unpack(&probed__v1__probe_request__descriptor, cases[i].bytes, cases[i].size);

        ck_assert_msg(status.code == STATUS_INVALID_ARGUMENT, "case %zu: %s", i, status_code_name(status.code));
        ck_assert_msg(strncmp(status.message, "the bytes are no probed.v1.", 27) == 0, "%s", status.message);
    }
}
END_TEST

START_TEST(every_beginning_of_a_message_is_a_message_or_refused)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    unsigned char packed[256], *exact;
    size_t size;

    fence.epoch = UINT64_MAX;
    request.home = (char *)(uintptr_t) "/home/\xe2\x82\xac";
    request.api_key = (char *)(uintptr_t) "key";
    request.max_age_ms = 300;
    request.at_least = &fence;
    size = probed__v1__probe_request__pack(&request, packed);
    for (size_t cut = 0; cut <= size; cut++) {
        struct status status;

        exact = malloc(cut + 1); /* so that a sanitizer sees a byte too many */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, packed, cut);
        status = unpack(&probed__v1__probe_request__descriptor, exact, cut);
        ck_assert(status.code == STATUS_OK || status.code == STATUS_INVALID_ARGUMENT);
        free(exact);
    }
}
END_TEST

START_TEST(a_message_that_swells_beyond_the_arena_is_refused)
{
    size_t size = 100000; /* 50,000 empty metadata entries: 3 MB of structs */
    unsigned char *bytes = malloc(size);
    struct status status;

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = i % 2 == 0 ? 4 << 3 | 2 : 0;
    status = unpack(&probed__v1__rpc_request__descriptor, bytes, size);
    ck_assert_int_eq(status.code, STATUS_RESOURCE_EXHAUSTED);
    ck_assert_msg(strstr(status.message, "1048576") != NULL, "%s", status.message);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");

    tcase_add_checked_fixture(tcase, open_arena, close_arena);
    tcase_add_test(tcase, what_was_packed_comes_out);
    tcase_add_test(tcase, nothing_is_a_message_of_defaults);
    tcase_add_test(tcase, a_nul_in_a_string_is_refused_by_the_fields_name);
    tcase_add_test(tcase, a_string_that_is_not_utf_8_is_refused_by_the_fields_name);
    tcase_add_test(tcase, an_earlier_string_of_the_same_field_is_checked_as_well);
    tcase_add_test(tcase, strings_deep_inside_and_in_lists_are_checked);
    tcase_add_test(tcase, bytes_may_hold_anything);
    tcase_add_test(tcase, unknown_fields_are_passed_over);
    tcase_add_test(tcase, what_is_no_message_is_refused);
    tcase_add_test(tcase, every_beginning_of_a_message_is_a_message_or_refused);
    tcase_add_test(tcase, a_message_that_swells_beyond_the_arena_is_refused);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
