/* proto/envelope: requests opened, replies written. */
#include "proto/envelope.h"
#include "proto/limits.h"
#include "tests/support/check_main.h"

#include <stdlib.h>
#include <string.h>

enum { PACKED_SIZE = 65536 };

static struct arena arena;
static unsigned char packed[PACKED_SIZE];
static Probed__V1__Metadata entries[LIMIT_METADATA_COUNT_MAX + 1];
static Probed__V1__Metadata *pointers[LIMIT_METADATA_COUNT_MAX + 1];
static Probed__V1__RpcRequest request;

/* A request that is in order, for a test to change. */
static void prepare(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
    probed__v1__rpc_request__init(&request);
    request.method = (char *)(uintptr_t) "/probed.v1.ProbeService/Probe";
    for (size_t i = 0; i < LIMIT_METADATA_COUNT_MAX + 1; i++) {
        probed__v1__metadata__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t) "key";
        pointers[i] = &entries[i];
    }
    request.metadata = pointers;
}

static void dispose(void)
{
    arena_fini(&arena);
}

static struct status open_request(Probed__V1__RpcRequest **opened_out)
{
    ck_assert_uint_le(probed__v1__rpc_request__get_packed_size(&request), sizeof packed);
    return envelope_open_request(packed, probed__v1__rpc_request__pack(&request, packed), &arena, opened_out);
}

static void expect_refused(const char *part)
{
    Probed__V1__RpcRequest *opened = NULL;
    struct status status = open_request(&opened);

    ck_assert_msg(status.code == STATUS_INVALID_ARGUMENT, "%s", status_code_name(status.code));
    ck_assert_msg(strstr(status.message, part) != NULL, "\"%s\" is not in \"%s\"", part, status.message);
    ck_assert_ptr_null(opened);
}

static Probed__V1__RpcRequest *expect_opened(void)
{
    Probed__V1__RpcRequest *opened = NULL;
    struct status status = open_request(&opened);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    return opened;
}

/* So many of `letter`; lent until the next. */
static char *letters(char letter, size_t size)
{
    static char text[4096];

    memset(text, letter, size);
    text[size] = '\0';
    return text;
}

START_TEST(a_request_is_opened_as_it_was_sent)
{
    Probed__V1__RpcRequest *opened;

    request.timeout_ms = 250;
    request.payload.data = (uint8_t *)(uintptr_t) "\0\1\2";
    request.payload.len = 3;
    request.n_metadata = 2;
    entries[0].key = (char *)(uintptr_t) "traceparent";
    entries[0].value = (char *)(uintptr_t) "00-1";
    entries[1].key = (char *)(uintptr_t) "request-id";
    entries[1].value = (char *)(uintptr_t) "r\xc3\xa9";
    opened = expect_opened();
    ck_assert_str_eq(opened->method, request.method);
    ck_assert_uint_eq(opened->timeout_ms, 250);
    ck_assert_uint_eq(opened->payload.len, 3);
    ck_assert_mem_eq(opened->payload.data, "\0\1\2", 3);
    ck_assert_str_eq(envelope_metadata(opened, "request-id"), "r\xc3\xa9");
    ck_assert_str_eq(envelope_metadata(opened, "traceparent"), "00-1");
    ck_assert_ptr_null(envelope_metadata(opened, "request"));
}
END_TEST

START_TEST(a_method_has_1_to_128_bytes)
{
    request.method = letters('m', LIMIT_METHOD_SIZE_MAX);
    expect_opened();
    request.method = letters('m', LIMIT_METHOD_SIZE_MAX + 1);
    expect_refused("RpcRequest.method has 129 bytes, more than 128");
    request.method = (char *)(uintptr_t) "";
    expect_refused("RpcRequest.method is empty");
}
END_TEST

START_TEST(metadata_has_at_most_16_entries)
{
    request.n_metadata = LIMIT_METADATA_COUNT_MAX;
    expect_opened();
    request.n_metadata = LIMIT_METADATA_COUNT_MAX + 1;
    expect_refused("metadata has 17 entries, more than 16");
}
END_TEST

START_TEST(a_metadata_key_is_a_lower_case_word)
{
    static const char *const bad[] = {"", "Request-Id", "a b", "a:b", "\xc3\xa9", "a\nb"};

    request.n_metadata = 1;
    entries[0].key = (char *)(uintptr_t) "0az_.-9";
    expect_opened();
    entries[0].key = letters('k', LIMIT_METADATA_KEY_SIZE_MAX);
    expect_opened();
    entries[0].key = letters('k', LIMIT_METADATA_KEY_SIZE_MAX + 1);
    expect_refused("metadata key 0");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        entries[0].key = (char *)(uintptr_t)bad[i];
        expect_refused("metadata key 0");
    }
}
END_TEST

START_TEST(a_metadata_value_has_at_most_1024_bytes)
{
    request.n_metadata = 1;
    entries[0].value = letters('v', LIMIT_METADATA_VALUE_SIZE_MAX);
    expect_opened();
    entries[0].value = letters('v', LIMIT_METADATA_VALUE_SIZE_MAX + 1);
    expect_refused("metadata value of \"key\" has 1025 bytes, more than 1024");
}
END_TEST

START_TEST(bytes_that_are_no_request_are_told_so)
{
    Probed__V1__RpcRequest *opened = NULL;
    struct status status = envelope_open_request("\xff\xff", 2, &arena, &opened);

    ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    ck_assert_str_eq(status.message, "the bytes are no probed.v1.RpcRequest");
    ck_assert_ptr_null(opened);
}
END_TEST

START_TEST(an_arena_too_small_is_no_fault_of_the_bytes)
{
    struct arena small;
    Probed__V1__RpcRequest *opened = NULL;
    struct status status;

    arena_init(&small, NULL, 0, 16);
    status = envelope_open_request(packed, probed__v1__rpc_request__pack(&request, packed), &small, &opened);
    ck_assert_int_eq(status.code, STATUS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_null(opened);
    arena_fini(&small);
}
END_TEST

/* ---- replies ---- */

/* Writes into exactly as much memory as was announced, and reads it with the generated code. */
static Probed__V1__RpcResponse *write_reply(const struct envelope_reply *reply)
{
    size_t size = envelope_reply_size(reply);
    unsigned char *bytes = malloc(size + 1);
    Probed__V1__RpcResponse *response;

    ck_assert_ptr_nonnull(bytes);
    bytes[size] = 0xa5;
    envelope_reply_write(reply, bytes);
    ck_assert_uint_eq(bytes[size], 0xa5);
    response = probed__v1__rpc_response__unpack(NULL, size, bytes);
    ck_assert_ptr_nonnull(response);
    free(bytes);
    return response;
}

START_TEST(a_reply_carries_its_pieces_as_one_payload)
{
    static const size_t sizes[] = {0, 1, 126, 127, 128, 16383, 16384, 70000};
    static unsigned char bytes[70000];
    struct status status = status_ok();

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t one = sizes[i] / 3, two = sizes[i] / 5, three = sizes[i] - one - two;
        struct envelope_reply reply = {.status = &status,
                                       .payload = {{bytes, one}, {bytes + one, two}, {bytes + one + two, three}}};
        Probed__V1__RpcResponse *response = write_reply(&reply);

        ck_assert_uint_eq(response->code, PROBED__V1__STATUS_CODE__OK);
        ck_assert_uint_eq(response->payload.len, sizes[i]);
        if (sizes[i] > 0)
            ck_assert_mem_eq(response->payload.data, bytes, sizes[i]);
        ck_assert_uint_eq(response->n_metadata, 0);
        probed__v1__rpc_response__free_unpacked(response, NULL);
    }
}
END_TEST

START_TEST(a_piece_in_the_middle_may_be_missing)
{
    struct status status = status_ok();
    struct envelope_reply reply = {.status = &status, .payload = {{NULL, 0}, {"ab", 2}, {NULL, 0}}};
    Probed__V1__RpcResponse *response = write_reply(&reply);

    ck_assert_uint_eq(response->payload.len, 2);
    ck_assert_mem_eq(response->payload.data, "ab", 2);
    probed__v1__rpc_response__free_unpacked(response, NULL);
}
END_TEST

START_TEST(a_failure_carries_no_payload)
{
    struct status status = status_make_retry(STATUS_RESOURCE_EXHAUSTED, 250, "64 calls wait");
    struct envelope_reply reply = {.status = &status, .payload = {{"secret", 6}}};
    Probed__V1__RpcResponse *response = write_reply(&reply);

    ck_assert_uint_eq(response->code, PROBED__V1__STATUS_CODE__RESOURCE_EXHAUSTED);
    ck_assert_str_eq(response->message, "64 calls wait");
    ck_assert_uint_eq(response->retry_after_ms, 250);
    ck_assert_uint_eq(response->payload.len, 0);
    probed__v1__rpc_response__free_unpacked(response, NULL);
}
END_TEST

START_TEST(a_request_id_is_echoed_when_there_is_one)
{
    struct status status = status_make(STATUS_NOT_FOUND, "no");
    struct envelope_reply reply = {.status = &status, .request_id = "r-1"};
    Probed__V1__RpcResponse *response = write_reply(&reply);

    ck_assert_uint_eq(response->n_metadata, 1);
    ck_assert_str_eq(response->metadata[0]->key, "request-id");
    ck_assert_str_eq(response->metadata[0]->value, "r-1");
    probed__v1__rpc_response__free_unpacked(response, NULL);
    reply.request_id = "";
    response = write_reply(&reply);
    ck_assert_uint_eq(response->n_metadata, 0);
    probed__v1__rpc_response__free_unpacked(response, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("envelope");
    TCase *tcase = tcase_create("envelope");

    tcase_add_checked_fixture(tcase, prepare, dispose);
    tcase_add_test(tcase, a_request_is_opened_as_it_was_sent);
    tcase_add_test(tcase, a_method_has_1_to_128_bytes);
    tcase_add_test(tcase, metadata_has_at_most_16_entries);
    tcase_add_test(tcase, a_metadata_key_is_a_lower_case_word);
    tcase_add_test(tcase, a_metadata_value_has_at_most_1024_bytes);
    tcase_add_test(tcase, bytes_that_are_no_request_are_told_so);
    tcase_add_test(tcase, an_arena_too_small_is_no_fault_of_the_bytes);
    tcase_add_test(tcase, a_reply_carries_its_pieces_as_one_payload);
    tcase_add_test(tcase, a_piece_in_the_middle_may_be_missing);
    tcase_add_test(tcase, a_failure_carries_no_payload);
    tcase_add_test(tcase, a_request_id_is_echoed_when_there_is_one);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
