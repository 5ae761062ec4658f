/* What peers do wrong in well-formed and in ill-formed messages: each is answered once, with a code and the name of
 * what is wrong, and starts nothing. */
#include "server/base/clock.h"
#include "server/base/text.h"
#include "tests/support/raw.h"
#include "tests/support/story.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static void teardown_untouched(void)
{
    ck_assert_uint_eq(home_count(home, "start"), 0);
    story_teardown();
}

static void expect_raw(const void *bytes, size_t size, enum status_code code, const char *message)
{
    expect_failure(call_begin_raw(caller, bytes, size), code, message);
}

/* Still there for the next client. */
static void expect_well(void)
{
    struct call *call = sync_begin(caller, home->path);

    sync_response(call);
    call_end(call);
}

/* ---- the envelope ---- */

START_TEST(an_empty_message_is_answered)
{
    expect_raw("", 0, STATUS_INVALID_ARGUMENT, "method");
}
END_TEST

START_TEST(random_bytes_are_answered)
{
    unsigned char bytes[512];
    size_t count = patience_count(20000);

    srand(1);
    for (size_t i = 0; i < count; i++) {
        size_t size = 1 + (size_t)rand() % sizeof bytes;

        for (size_t j = 0; j < size; j++)
            bytes[j] = (unsigned char)(rand() >> 8);
        expect_raw(bytes, size, STATUS_INVALID_ARGUMENT, NULL);
    }
    expect_well();
}
END_TEST

START_TEST(every_beginning_of_a_message_is_answered)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    unsigned char *message;
    size_t size;

    request.home = (char *)(uintptr_t) "relative";
    request.provider = (char *)(uintptr_t) "openrouter";
    message = raw_pack(METHOD_PROBE, 60000, &request.base, &size);
    for (size_t i = 0; i < size; i++) {
        struct call *call = call_begin_raw(caller, message, i);

        call_wait(call);
        ck_assert_int_eq(call->error, 0);
        /* A beginning can end between two letters of the method, and is a method then. */
        ck_assert(call->response->code == PROBED__V1__STATUS_CODE__INVALID_ARGUMENT ||
                  call->response->code == PROBED__V1__STATUS_CODE__UNIMPLEMENTED);
        call_end(call);
    }
    free(message);
}
END_TEST

static const char *const unknown_methods[] = {
    "/probed.v1.ProbeService/Nope",
    "/probed.v1.ProbeService/",
    "/probed.v1.ProbeService/probe",
    "/probed.v1.Nope/Probe",
    "probed.v1.ProbeService/Probe",
    "/probed.v1.ProbeService/Probe/",
    "/",
    "//",
    "Probe",
    "/grpc.health.v1.Health/Watch",
    "/probed.v1.ProbeService/Probe ",
};

START_TEST(an_unknown_method_is_unimplemented)
{
    Probed__V1__SyncRequest request = PROBED__V1__SYNC_REQUEST__INIT;

    for (size_t i = 0; i < ROW_COUNT(unknown_methods); i++)
        expect_failure_of(unknown_methods[i], call_begin(caller, unknown_methods[i], 0, &request.base),
                          STATUS_UNIMPLEMENTED);
}
END_TEST

/* An envelope with these bytes for a payload. */
static struct call *begin_payload(const char *method, const void *bytes, size_t size)
{
    Probed__V1__RpcRequest envelope = PROBED__V1__RPC_REQUEST__INIT;
    unsigned char *message;
    struct call *call;

    envelope.method = (char *)(uintptr_t)method;
    envelope.payload.data = (uint8_t *)(uintptr_t)bytes;
    envelope.payload.len = size;
    message = malloc(probed__v1__rpc_request__get_packed_size(&envelope));
    ck_assert_ptr_nonnull(message);
    call = call_begin_raw(caller, message, probed__v1__rpc_request__pack(&envelope, message));
    free(message);
    return call;
}

START_TEST(a_payload_that_is_another_message_is_refused)
{
    static const char wrong_type[] = "\x08\x01"; /* home as a number */
    static const char cut[] = "\x0a\x20/home";   /* 32 bytes announced, 5 given */
    static const char group[] = "\x0b\x0c";      /* groups are no more */
    static const char field_0[] = "\x02\x01x";

    expect_failure(begin_payload(METHOD_PROBE, wrong_type, sizeof wrong_type - 1), STATUS_INVALID_ARGUMENT,
                   "ProbeRequest");
    expect_failure(begin_payload(METHOD_PROBE, cut, sizeof cut - 1), STATUS_INVALID_ARGUMENT, "ProbeRequest");
    expect_failure(begin_payload(METHOD_SYNC, group, sizeof group - 1), STATUS_INVALID_ARGUMENT, "SyncRequest");
    expect_failure(begin_payload(METHOD_INVALIDATE, field_0, sizeof field_0 - 1), STATUS_INVALID_ARGUMENT,
                   "InvalidateRequest");
    expect_failure(begin_payload(METHOD_PROBE, "", 0), STATUS_INVALID_ARGUMENT, NULL);
}
END_TEST

START_TEST(a_NUL_in_a_string_is_refused_by_name)
{
    static const char in_home[] = "\x0a\x04/a\0b\x12\x01x";
    static const char in_provider[] = "\x0a\x02/a\x12\x03x\0y";
    static const char in_key[] = "\x0a\x02/a\x12\x01x\x1a\x03k\0k";
    static const char in_reason[] = "\x0a\x02/a\x22\x03r\0r";

    expect_failure(begin_payload(METHOD_PROBE, in_home, sizeof in_home - 1), STATUS_INVALID_ARGUMENT, "home");
    expect_failure(begin_payload(METHOD_PROBE, in_provider, sizeof in_provider - 1), STATUS_INVALID_ARGUMENT,
                   "provider");
    expect_failure(begin_payload(METHOD_PROBE, in_key, sizeof in_key - 1), STATUS_INVALID_ARGUMENT, "api_key");
    expect_failure(begin_payload(METHOD_INVALIDATE, in_reason, sizeof in_reason - 1), STATUS_INVALID_ARGUMENT,
                   "reason");
}
END_TEST

START_TEST(bytes_that_are_no_UTF8_are_refused_by_name)
{
    static const char in_home[] = "\x0a\x03/\xff\xfe\x12\x01x";
    static const char in_key[] = "\x0a\x02/a\x12\x01x\x1a\x02\xc0\xaf";

    expect_failure(begin_payload(METHOD_PROBE, in_home, sizeof in_home - 1), STATUS_INVALID_ARGUMENT, "home");
    expect_failure(begin_payload(METHOD_PROBE, in_key, sizeof in_key - 1), STATUS_INVALID_ARGUMENT, "api_key");
}
END_TEST

START_TEST(a_message_too_large_ends_the_connection_and_nothing_else)
{
    enum { SIZE_MAX_DEFAULT = 1048576 };
    unsigned char *bytes = calloc(1, SIZE_MAX_DEFAULT + 1);
    struct caller large;
    struct call *call;

    ck_assert_ptr_nonnull(bytes);
    expect_raw(bytes, SIZE_MAX_DEFAULT, STATUS_INVALID_ARGUMENT, NULL);
    caller_open(&large, server->url);
    call = call_begin_raw(&large, bytes, SIZE_MAX_DEFAULT + 1);
    call_wait(call);
    ck_assert_int_eq(call->error, NNG_ECONNRESET);
    call_end(call);
    caller_close(&large);
    expect_well();
    free(bytes);
}
END_TEST

START_TEST(metadata_has_its_bounds)
{
    enum { COUNT = 17 };
    Probed__V1__RpcRequest envelope = PROBED__V1__RPC_REQUEST__INIT;
    Probed__V1__Metadata entries[COUNT], *pointers[COUNT];
    unsigned char message[4096];

    envelope.method = (char *)(uintptr_t)METHOD_SYNC;
    envelope.metadata = pointers;
    for (size_t i = 0; i < COUNT; i++) {
        probed__v1__metadata__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t) "key";
        pointers[i] = &entries[i];
    }
    envelope.n_metadata = COUNT;
    expect_raw(message, probed__v1__rpc_request__pack(&envelope, message), STATUS_INVALID_ARGUMENT, "metadata");
    envelope.n_metadata = 1;
    entries[0].key = (char *)(uintptr_t) "Upper";
    expect_raw(message, probed__v1__rpc_request__pack(&envelope, message), STATUS_INVALID_ARGUMENT, "metadata");
}
END_TEST

START_TEST(a_request_id_is_echoed)
{
    Probed__V1__RpcRequest envelope = PROBED__V1__RPC_REQUEST__INIT;
    Probed__V1__Metadata entry = PROBED__V1__METADATA__INIT, *entries = &entry;
    unsigned char message[256];
    struct call *call;

    envelope.method = (char *)(uintptr_t) "/nobody/knows";
    envelope.metadata = &entries;
    envelope.n_metadata = 1;
    entry.key = (char *)(uintptr_t) "request-id";
    entry.value = (char *)(uintptr_t) "a-17";
    call = call_begin_raw(caller, message, probed__v1__rpc_request__pack(&envelope, message));
    call_expect(call, STATUS_UNIMPLEMENTED, NULL);
    ck_assert_uint_eq(call->response->n_metadata, 1);
    ck_assert_str_eq(call->response->metadata[0]->key, "request-id");
    ck_assert_str_eq(call->response->metadata[0]->value, "a-17");
    call_end(call);
}
END_TEST

/* ---- homes ---- */

static const struct {
    const char *home;
    enum status_code code;
} homes[] = {
    {"", STATUS_INVALID_ARGUMENT},           {"relative/home", STATUS_INVALID_ARGUMENT},
    {"~/.hermes", STATUS_INVALID_ARGUMENT},  {"/", STATUS_INVALID_ARGUMENT},
    {"//", STATUS_INVALID_ARGUMENT},         {"/..", STATUS_INVALID_ARGUMENT},
    {"/tmp/..", STATUS_INVALID_ARGUMENT},    {"/tmp/../etc", STATUS_INVALID_ARGUMENT},
    {"/tmp/\n", STATUS_INVALID_ARGUMENT},    {"/tmp/a\tb", STATUS_INVALID_ARGUMENT},
    {"/tmp/a\x7f", STATUS_INVALID_ARGUMENT}, {"/nonexistent/home", STATUS_NOT_FOUND},
    {"/tmp", STATUS_PERMISSION_DENIED}, /* others can write there */
};

START_TEST(a_bad_home_is_refused_by_every_method)
{
    for (size_t i = 0; i < ROW_COUNT(homes); i++) {
        const char *path = homes[i].home;

        expect_failure_of(path, probe_begin(caller, path, "openrouter", NULL, 0), homes[i].code);
        expect_failure_of(path, sync_begin(caller, path), homes[i].code);
        if (path[0] != '\0') /* which means every home there */
            expect_failure_of(path, invalidate_begin(caller, path, "", PROBED__V1__BARRIER__BARRIER_FENCED),
                              homes[i].code);
    }
}
END_TEST

START_TEST(a_home_that_is_a_file_is_refused)
{
    char path[HOME_PATH_SIZE + 16];

    snprintf(path, sizeof path, "%s/credential", home->path);
    expect_failure(probe_begin(caller, path, "openrouter", NULL, 0), STATUS_NOT_FOUND, NULL);
    snprintf(path, sizeof path, "%s/gate", home->path);
    expect_failure(probe_begin(caller, path, "openrouter", NULL, 0), STATUS_NOT_FOUND, NULL);
}
END_TEST

START_TEST(a_home_of_5000_bytes_is_refused)
{
    char path[5001];

    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 50 == 0 ? '/' : 'x';
    path[sizeof path - 1] = '\0';
    expect_failure(probe_begin(caller, path, "openrouter", NULL, 0), STATUS_INVALID_ARGUMENT, "4095");
    path[4096] = '\0';
    expect_failure(probe_begin(caller, path, "openrouter", NULL, 0), STATUS_INVALID_ARGUMENT, "4095");
    path[4095] = '\0';
    expect_failure(probe_begin(caller, path, "openrouter", NULL, 0), STATUS_NOT_FOUND, NULL);
}
END_TEST

START_TEST(a_loop_of_symlinks_is_no_home)
{
    char path[HOME_PATH_SIZE + 16];
    struct call *call;

    snprintf(path, sizeof path, "%s/loop", stage.scratch.path);
    ck_assert_int_eq(symlink("loop", path), 0);
    call = probe_begin(caller, path, "openrouter", NULL, 0);
    call_wait(call);
    ck_assert_int_ne((int)call->response->code, STATUS_OK);
    ck_assert_int_ne((int)call->response->code, STATUS_INTERNAL);
    call_end(call);
}
END_TEST

/* ---- providers ---- */

#define SIXTY_FOUR "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const bad_providers[] = {
    "",    " ",     " \t\r\n", "open router",  "öpenrouter", "\xc4\xb0", "openrouter\xc4\xb1",     SIXTY_FOUR "0",
    "a/b", "a\x01", "a\vb",    "openrouter\v", "a+b",        "..\\",     "\xef\xbb\xbfopenrouter",
};

START_TEST(a_bad_provider_is_refused)
{
    for (size_t i = 0; i < ROW_COUNT(bad_providers); i++)
        expect_failure_of(bad_providers[i], begin(bad_providers[i], NULL), STATUS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(blanks_alone_are_no_provider_for_an_invalidation)
{
    expect_failure(invalidate_begin(caller, home->path, " ", PROBED__V1__BARRIER__BARRIER_FENCED),
                   STATUS_INVALID_ARGUMENT, "provider");
}
END_TEST

START_TEST(a_reason_has_its_bounds)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    char reason[258];

    memset(reason, 'r', sizeof reason - 1);
    reason[257] = '\0';
    request.home = home->path;
    request.reason = reason;
    expect_failure(call_begin(caller, METHOD_INVALIDATE, 0, &request.base), STATUS_INVALID_ARGUMENT, "reason");
    request.reason = (char *)(uintptr_t) "two\nlines";
    expect_failure(call_begin(caller, METHOD_INVALIDATE, 0, &request.base), STATUS_INVALID_ARGUMENT, "reason");
    reason[256] = '\0';
    request.reason = reason;
    expect_failure(call_begin(caller, METHOD_INVALIDATE, 0, &request.base), STATUS_OK, NULL);
    request.barrier = (Probed__V1__Barrier)3;
    expect_failure(call_begin(caller, METHOD_INVALIDATE, 0, &request.base), STATUS_INVALID_ARGUMENT, "barrier");
}
END_TEST

START_TEST(a_key_of_300_kB_is_refused)
{
    char *key = malloc(300001);

    ck_assert_ptr_nonnull(key);
    memset(key, 'k', 300000);
    key[300000] = '\0';
    expect_failure(begin("openrouter", key), STATUS_INVALID_ARGUMENT, "api_key");
    key[262145] = '\0';
    expect_failure(begin("openrouter", key), STATUS_INVALID_ARGUMENT, "262144");
    free(key);
}
END_TEST

/* ---- what looks bad and is not ---- */

START_TEST(blanks_around_a_provider_and_capitals_do_not_matter)
{
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_COLD);
    expect_origin(begin(" OpenRouter\t\r\n", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    expect_origin(begin(SIXTY_FOUR, NULL), PROBED__V1__ORIGIN__ORIGIN_WARM);
}
END_TEST

/* FNV-1a, as the scripted worker tells it. */
static uint64_t hash(const char *bytes, size_t size)
{
    uint64_t value = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    return value;
}

START_TEST(a_large_key_with_a_line_end_comes_through_whole)
{
    static const size_t sizes[] = {204800, 262144};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *key = malloc(sizes[i] + 1), wanted[64];
        const Probed__V1__ProbeResponse *response;
        struct call *call;

        ck_assert_ptr_nonnull(key);
        for (size_t j = 0; j < sizes[i]; j++)
            key[j] = (char)(1 + j % 127); /* every ASCII character, the line end among them */
        key[sizes[i]] = '\0';
        call = begin("openrouter", key);
        response = probe_response(call);
        snprintf(wanted, sizeof wanted, "key %zu %016" PRIx64, sizes[i], hash(key, sizes[i]));
        ck_assert_str_eq(response->usage->details[response->usage->n_details - 1], wanted);
        call_end(call);
        free(key);
    }
}
END_TEST

START_TEST(a_secret_appears_in_no_log_and_no_error)
{
    static const char key[] = "sk-very-secret-0123456789";
    static const char *const providers[] = {"openrouter", "garbage", "die", "wrong-id", "not a provider"};
    char path[SCRATCH_PATH_SIZE + 16], *line = NULL;
    size_t capacity = 0;
    FILE *log;

    for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
        struct call *call = begin(providers[i], key);

        call_wait(call);
        ck_assert_ptr_null(strstr(call->response->message, "secret"));
        call_end(call);
    }
    snprintf(path, sizeof path, "%s/stderr", stage.scratch.path);
    log = fopen(path, "re");
    ck_assert_ptr_nonnull(log);
    while (getline(&line, &capacity, log) > 0)
        ck_assert_ptr_null(strstr(line, "secret"));
    free(line);
    fclose(log);
}
END_TEST

STORY_SETUP(verbose, "--log-level", "trace")

int main(void)
{
    Suite *suite = suite_create("bad requests");
    TCase *tcase = tcase_create("refused");

    tcase_add_checked_fixture(tcase, story_setup, teardown_untouched);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, an_empty_message_is_answered);
    tcase_add_test(tcase, random_bytes_are_answered);
    tcase_add_test(tcase, every_beginning_of_a_message_is_answered);
    tcase_add_test(tcase, an_unknown_method_is_unimplemented);
    tcase_add_test(tcase, a_payload_that_is_another_message_is_refused);
    tcase_add_test(tcase, a_NUL_in_a_string_is_refused_by_name);
    tcase_add_test(tcase, bytes_that_are_no_UTF8_are_refused_by_name);
    tcase_add_test(tcase, a_message_too_large_ends_the_connection_and_nothing_else);
    tcase_add_test(tcase, metadata_has_its_bounds);
    tcase_add_test(tcase, a_request_id_is_echoed);
    tcase_add_test(tcase, a_bad_home_is_refused_by_every_method);
    tcase_add_test(tcase, a_home_that_is_a_file_is_refused);
    tcase_add_test(tcase, a_home_of_5000_bytes_is_refused);
    tcase_add_test(tcase, a_loop_of_symlinks_is_no_home);
    tcase_add_test(tcase, a_bad_provider_is_refused);
    tcase_add_test(tcase, blanks_alone_are_no_provider_for_an_invalidation);
    tcase_add_test(tcase, a_reason_has_its_bounds);
    tcase_add_test(tcase, a_key_of_300_kB_is_refused);
    tcase = story_case(suite, "taken", story_setup);
    tcase_add_test(tcase, blanks_around_a_provider_and_capitals_do_not_matter);
    tcase_add_test(tcase, a_large_key_with_a_line_end_comes_through_whole);
    tcase = story_case(suite, "secrets", verbose);
    tcase_add_test(tcase, a_secret_appears_in_no_log_and_no_error);
    return check_main(suite);
}
