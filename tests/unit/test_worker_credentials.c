/* The order of credentials, files and pools: server/worker/credentials.h, files.h, pool.h. */
#include "server/worker/credentials.h"

#include "server/worker/document.h"
#include "server/worker/pool.h"
#include "server/worker/provider.h"
#include "tests/support/check_main.h"
#include "tests/support/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_S INT64_C(1772366400) /* 2026-03-01T12:00:00Z */

/* eyJ..., with exp 1772366340 (a minute ago), 1772366430 (in half a minute) and 1772388000 (tonight). */
#define JWT_PAST  "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NzIzNjYzNDB9.x"
#define JWT_SOON  "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NzIzNjY0MzB9.x"
#define JWT_LATER "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NzIzODgwMDB9.x"

static bool test_accepts(const char *secret)
{
    return strncmp(secret, "console-", 8) != 0;
}

/* Has all there is: two variables, a pool, a sign-in of its own and one of another tool. */
static const struct provider test_provider = {
    .id = "acme",
    .kind = CREDENTIAL_SIGN_IN,
    .variables = {"ACME_TEST_TOKEN", "ACME_TEST_KEY"},
    .sign_ins = {{.file = "auth.json", .path = "providers.acme", .token = "token", .expiry = "expires_at"},
                 {.foreign = true,
                  .directory_variable = "ACME_TEST_HOME",
                  .directory = ".acme",
                  .file = "auth.json",
                  .path = "",
                  .token = "token",
                  .expiry = "expires_at"}},
    .expiry_margin_s = 60,
    .accepts = test_accepts,
};

static struct scratch scratch;
static struct files files;
static char home[SCRATCH_PATH_SIZE + 8], user_home[SCRATCH_PATH_SIZE + 8];

static void setup(void)
{
    scratch_open(&scratch);
    snprintf(home, sizeof home, "%s/home", scratch.path);
    snprintf(user_home, sizeof user_home, "%s/user", scratch.path);
    ck_assert_int_eq(mkdir(home, 0700), 0);
    ck_assert_int_eq(mkdir(user_home, 0700), 0);
    files = (struct files){.home_fd = files_open_directory(home), .user_home_fd = files_open_directory(user_home)};
    ck_assert_int_ge(files.home_fd, 0);
    ck_assert_int_ge(files.user_home_fd, 0);
}

static void teardown(void)
{
    close(files.home_fd);
    close(files.user_home_fd);
    scratch_close(&scratch);
}

static void put(const char *directory, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* Searches for the provider's, and expects this secret, or none and this end. */
static void expect_of(const struct provider *provider, const char *request_key, enum credential_search end,
                      const char *secret)
{
    struct keyring keyring;
    struct credential credential;
    struct text key = TEXT_EMPTY;
    enum credential_search found;

    text_add_string(&key, request_key);
    keyring_open(&keyring, &files);
    found = credential_find(&keyring, provider, &key, NOW_S, &credential);
    ck_assert_int_eq(found, end);
    if (found == CREDENTIAL_FOUND)
        ck_assert_str_eq(text_string(&credential.secret), secret);
    credential_fini(&credential);
    keyring_close(&keyring);
    text_wipe(&key);
}

static void expect(const char *request_key, enum credential_search end, const char *secret)
{
    expect_of(&test_provider, request_key, end, secret);
}

static void put_auth(const char *pool, const char *own)
{
    char text[2048];

    snprintf(text, sizeof text, "{\"providers\":{\"acme\":%s},\"credential_pool\":{\"acme\":%s}}", own, pool);
    put(home, "auth.json", text);
}

START_TEST(the_order_is_request_dotenv_environment_pool_own_and_foreign_sign_in)
{
    expect("", CREDENTIAL_ABSENT, NULL);
    ck_assert_int_eq(mkdirat(files.user_home_fd, ".acme", 0700), 0);
    put(user_home, ".acme/auth.json", "{\"token\":\"foreign-token\"}");
    expect("", CREDENTIAL_FOUND, "foreign-token");
    put_auth("[]", "{\"token\":\"own-token\"}");
    expect("", CREDENTIAL_FOUND, "own-token");
    put_auth("[{\"access_token\":\"pool-token\"}]", "{\"token\":\"own-token\"}");
    expect("", CREDENTIAL_FOUND, "pool-token");
    ck_assert_int_eq(setenv("ACME_TEST_KEY", "env-key", 1), 0);
    expect("", CREDENTIAL_FOUND, "env-key");
    put(home, ".env", "ACME_TEST_KEY=dotenv-key\n");
    expect("", CREDENTIAL_FOUND, "dotenv-key");
    ck_assert_int_eq(setenv("ACME_TEST_TOKEN", "env-token", 1), 0); /* the name that comes first */
    expect("", CREDENTIAL_FOUND, "env-token");
    expect("request-key", CREDENTIAL_FOUND, "request-key");
}
END_TEST

START_TEST(a_foreign_sign_in_is_read_only_when_allowed)
{
    int allowed_fd = files.user_home_fd;

    ck_assert_int_eq(mkdirat(files.user_home_fd, ".acme", 0700), 0);
    put(user_home, ".acme/auth.json", "{\"token\":\"foreign-token\"}");
    files.user_home_fd = -1;
    expect("", CREDENTIAL_ABSENT, NULL);
    files.user_home_fd = allowed_fd;
    expect("", CREDENTIAL_FOUND, "foreign-token");
}
END_TEST

START_TEST(a_variable_may_say_where_a_tool_keeps_its_sign_in)
{
    put(scratch.path, "auth.json", "{\"token\":\"moved-token\"}");
    ck_assert_int_eq(setenv("ACME_TEST_HOME", scratch.path, 1), 0);
    expect("", CREDENTIAL_FOUND, "moved-token");
    ck_assert_int_eq(setenv("ACME_TEST_HOME", "relative", 1), 0);
    expect("", CREDENTIAL_ABSENT, NULL);
}
END_TEST

START_TEST(an_empty_value_in_dotenv_unsets_the_variable)
{
    ck_assert_int_eq(setenv("ACME_TEST_KEY", "env-key", 1), 0);
    put(home, ".env", "ACME_TEST_KEY=\n");
    expect("", CREDENTIAL_ABSENT, NULL);
}
END_TEST

START_TEST(a_placeholder_is_passed_over)
{
    static const char *const placeholders[] = {"changeme", "YOUR_API_KEY", "dummy", "null",
                                               "None",     "placeholder",  "abc"};

    for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
        ck_assert(credential_is_placeholder(placeholders[i]));
        expect(placeholders[i], CREDENTIAL_ABSENT, NULL);
    }
    put(home, ".env", "ACME_TEST_TOKEN=changeme\nACME_TEST_KEY=real-key\n");
    expect("null", CREDENTIAL_FOUND, "real-key");
}
END_TEST

START_TEST(a_key_that_cannot_be_sent_is_told_and_no_other_is_used_instead)
{
    put(home, ".env", "ACME_TEST_KEY=real-key\n");
    expect("two words", CREDENTIAL_UNSENDABLE, NULL);
    expect("injected\r\nHost: other", CREDENTIAL_UNSENDABLE, NULL);
    expect("k\xc3\xa4se-key", CREDENTIAL_UNSENDABLE, NULL);
    put(home, ".env", "ACME_TEST_TOKEN=two words\nACME_TEST_KEY=real-key\n"); /* of a file the next is */
    expect("", CREDENTIAL_FOUND, "real-key");
    put(home, ".env", "ACME_TEST_TOKEN=two words\n");
    expect("", CREDENTIAL_UNSENDABLE, NULL);
}
END_TEST

START_TEST(a_sign_in_past_its_time_is_passed_over_and_explains_best)
{
    put(home, ".env", "ACME_TEST_TOKEN=" JWT_PAST "\n");
    expect("", CREDENTIAL_PAST, NULL);
    expect("console-key", CREDENTIAL_PAST, NULL);
    put(home, ".env", "ACME_TEST_TOKEN=" JWT_SOON "\n"); /* within the margin */
    expect("", CREDENTIAL_PAST, NULL);
    put(home, ".env", "ACME_TEST_TOKEN=" JWT_LATER "\n");
    expect("", CREDENTIAL_FOUND, JWT_LATER);
    put(home, ".env", "");
    put_auth("[]", "{\"token\":\"own-token\",\"expires_at\":1772366459}");
    expect("", CREDENTIAL_PAST, NULL);
    put_auth("[]", "{\"token\":\"own-token\",\"expires_at\":1772366461000}");
    expect("", CREDENTIAL_FOUND, "own-token");
    put_auth("[]", "{\"token\":\"own-token\",\"expires_at\":\"whenever\"}");
    expect("", CREDENTIAL_FOUND, "own-token");
}
END_TEST

START_TEST(a_kind_without_an_endpoint_hides_no_other)
{
    expect("console-key", CREDENTIAL_UNSUPPORTED, NULL);
    put_auth("[]", "{\"token\":\"own-token\"}");
    expect("console-key", CREDENTIAL_FOUND, "own-token");
}
END_TEST

START_TEST(what_is_no_small_regular_file_of_the_home_counts_as_none)
{
    char big[128];
    int fd;

    put(scratch.path, "outside", "ACME_TEST_KEY=outside-key\n");
    ck_assert_int_eq(symlinkat("../outside", files.home_fd, ".env"), 0);
    expect("", CREDENTIAL_ABSENT, NULL);
    ck_assert_int_eq(unlinkat(files.home_fd, ".env", 0), 0);
    ck_assert_int_eq(mkfifoat(files.home_fd, ".env", 0600), 0); /* and nobody waits for its writer */
    expect("", CREDENTIAL_ABSENT, NULL);
    ck_assert_int_eq(unlinkat(files.home_fd, ".env", 0), 0);
    ck_assert_int_eq(mkdirat(files.home_fd, ".env", 0700), 0);
    expect("", CREDENTIAL_ABSENT, NULL);
    ck_assert_int_eq(unlinkat(files.home_fd, ".env", AT_REMOVEDIR), 0);
    put(home, ".env", "ACME_TEST_KEY=real-key\n");
    snprintf(big, sizeof big, "%s/.env", home);
    fd = open(big, O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, FILE_SIZE_MAX + 1), 0);
    close(fd);
    expect("", CREDENTIAL_ABSENT, NULL);
}
END_TEST

START_TEST(odd_files_hurt_nobody)
{
    static const char *const table[] = {
        "",
        "null",
        "[]",
        "{\"providers\":[\"x\"],\"credential_pool\":{\"acme\":\"nope\"}}",
        "{\"credential_pool\":{\"acme\":[17,null,{\"access_token\":[\"x\"],\"priority\":\"high\",\"label\":{}}]}}",
        "{\"providers\":{\"acme\":{\"token\":17}}}",
        "{\"providers\":{\"acme\":{\"token\":\"\"}}}",
        "{\"providers\":{\"acme\":{\"token\":\"a\\u0000bcdef\"}}}",
        "\xff\xfe",
        "{\"providers\":",
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        put(home, "auth.json", table[i]);
        expect("", CREDENTIAL_ABSENT, NULL);
    }
}
END_TEST

/* ---- pools ---- */

START_TEST(the_first_pool_entry_by_priority_that_may_be_used_is)
{
    put_auth("[{\"priority\":2,\"access_token\":\"second\"},"
             "{\"priority\":-1,\"access_token\":\"dead-one\",\"last_status\":\"dead\"},"
             "{\"access_token\":\"waiting\",\"last_status\":\"exhausted\",\"last_error_reset_at\":1772366401},"
             "{\"priority\":1,\"last_status\":\"ok\"},"
             "{\"priority\":1,\"access_token\":\"ignored\",\"agent_key\":\"agent-key\"}]",
             "null");
    expect("", CREDENTIAL_FOUND, "agent-key");
    put_auth("[{\"priority\":1,\"access_token\":\"tie-first\"},{\"priority\":1,\"access_token\":\"tie-last\"}]",
             "null");
    expect("", CREDENTIAL_FOUND, "tie-first");
    put_auth("[{\"access_token\":\"ignored\",\"agent_key\":\"ignored\",\"runtime_api_key\":\"runtime\"}]", "null");
    expect("", CREDENTIAL_FOUND, "runtime");
    put_auth("[{\"access_token\":\"past-token\",\"expires_at_ms\":1772366400000},{\"access_token\":\"next-token\"}]",
             "null");
    expect("", CREDENTIAL_FOUND, "next-token");
}
END_TEST

START_TEST(a_mark_holds_until_its_moment)
{
    static const struct {
        const char *entry;
        enum pool_mark mark;
        int64_t until_s;
    } table[] = {
        {"{\"access_token\":\"t\",\"last_status\":\"dead\"}", POOL_DEAD, 0},
        {"{\"access_token\":\"t\",\"last_status\":\"ok\"}", POOL_USABLE, 0},
        {"{\"access_token\":\"t\",\"last_status\":null}", POOL_USABLE, 0},
        {"{\"last_status\":\"ok\"}", POOL_TOKENLESS, 0},
        {"{\"access_token\":\"" JWT_PAST "\"}", POOL_EXPIRED, 0},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\"}", POOL_USABLE, 0}, /* since when is not known */
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_error_reset_at\":1772380800}", POOL_WAITING,
         1772380800},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_error_reset_at\":1772380800000}", POOL_WAITING,
         1772380800},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_error_reset_at\":\"2026-03-01T16:00:00Z\"}",
         POOL_WAITING, 1772380800},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_error_reset_at\":1772366400}", POOL_USABLE, 0},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_status_at\":1772364600.5}", POOL_WAITING,
         1772368200},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_status_at\":1772366200,\"last_error_code\":401}",
         POOL_WAITING, 1772366500},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_status_at\":1772366000,\"last_error_code\":401}",
         POOL_USABLE, 0},
        {"{\"access_token\":\"t\",\"last_status\":\"exhausted\",\"last_status_at\":1772366000,\"last_error_code\":402}",
         POOL_WAITING, 1772369600},
        {"17", POOL_TOKENLESS, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        json_t *entry = json_loads(table[i].entry, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
        struct stamp until = STAMP_ABSENT;

        ck_assert_ptr_nonnull(entry);
        ck_assert_msg(pool_entry_mark(entry, NOW_S, &until) == table[i].mark, "%s", table[i].entry);
        ck_assert_int_eq(until.s, table[i].until_s);
        json_decref(entry);
    }
}
END_TEST

START_TEST(a_summary_counts_all_and_shows_64)
{
    json_t *auth = json_object(), *entries = json_array();
    struct pool_summary *summary;
    struct pool pool;

    json_object_set_new(auth, "credential_pool", json_pack("{s:o}", "acme", entries));
    for (int i = 0; i < 100; i++)
        json_array_append_new(entries, json_pack("{s:s, s:f, s:s}", "access_token", "token", "priority",
                                                 (double)(100 - i), "last_status", i % 2 == 0 ? "dead" : "ok"));
    ck_assert(pool_open(&pool, auth, "acme"));
    summary = pool_summarise(&pool, NOW_S);
    ck_assert_uint_eq(summary->total, 100);
    ck_assert_uint_eq(summary->counts[POOL_ROW_DEAD], 50);
    ck_assert_uint_eq(summary->counts[POOL_ROW_AVAILABLE], 50);
    ck_assert_uint_eq(summary->row_count, LIMIT_CREDENTIAL_COUNT_MAX);
    ck_assert_str_eq(summary->rows[0].label, "Credential 1");
    ck_assert_int_eq(summary->rows[0].status, POOL_ROW_AVAILABLE); /* the last of the file has the lowest priority */
    pool_summary_give_up_rest(summary);                            /* 18 of the 36 without a row */
    ck_assert_uint_eq(summary->counts[POOL_ROW_AVAILABLE], 32);
    ck_assert_uint_eq(summary->counts[POOL_ROW_UNAVAILABLE], 18);
    pool_summary_destroy(summary);
    pool_close(&pool);
    json_decref(auth);
}
END_TEST

START_TEST(each_member_of_a_file_may_be_the_sign_in)
{
    static const struct provider many = {.id = "acme",
                                         .kind = CREDENTIAL_SIGN_IN,
                                         .sign_ins = {{.foreign = true,
                                                       .directory = ".acme",
                                                       .file = "auth.json",
                                                       .path = "*",
                                                       .token = "key",
                                                       .expiry = "expires_at"}}};

    ck_assert_int_eq(mkdirat(files.user_home_fd, ".acme", 0700), 0);
    expect_of(&many, "", CREDENTIAL_ABSENT, NULL);
    put(user_home, ".acme/auth.json", "{\"a\":17,\"b\":{\"key\":\"past-token\",\"expires_at\":1772366340}}");
    expect_of(&many, "", CREDENTIAL_PAST, NULL);
    put(user_home, ".acme/auth.json",
        "{\"a\":17,\"b\":{\"key\":\"past-token\",\"expires_at\":1772366340},\"c\":{\"key\":\"good-token\"}}");
    expect_of(&many, "", CREDENTIAL_FOUND, "good-token");
    put(user_home, ".acme/auth.json", "{\"b\":{\"key\":\"later-token\"},\"a\":{\"key\":\"first-token\"}}");
    expect_of(&many, "", CREDENTIAL_FOUND, "first-token"); /* by name: the order in a file means nothing */
}
END_TEST

START_TEST(a_variable_of_a_useless_kind_explains_and_is_never_used)
{
    static const struct provider picky = {.id = "acme",
                                          .kind = CREDENTIAL_API_KEY,
                                          .variables = {"ACME_TEST_ADMIN"},
                                          .useless_variable = "ACME_TEST_PROJECT"};

    expect_of(&picky, "", CREDENTIAL_ABSENT, NULL);
    put(home, ".env", "ACME_TEST_PROJECT=changeme\n");
    expect_of(&picky, "", CREDENTIAL_ABSENT, NULL);
    put(home, ".env", "ACME_TEST_PROJECT=project-key\n");
    expect_of(&picky, "", CREDENTIAL_UNSUPPORTED, NULL);
    put(home, ".env", "ACME_TEST_PROJECT=project-key\nACME_TEST_ADMIN=admin-key\n");
    expect_of(&picky, "", CREDENTIAL_FOUND, "admin-key");
}
END_TEST

START_TEST(a_pool_entrys_other_keys_can_be_of_no_use)
{
    static const struct provider portal = {.id = "acme", .kind = CREDENTIAL_SIGN_IN, .pool_token = "access_token"};

    put_auth("[{\"agent_key\":\"inference-key\"}]", "{}");
    expect_of(&portal, "", CREDENTIAL_ABSENT, NULL);
    put_auth("[{\"agent_key\":\"inference-key\",\"access_token\":\"portal-token\"}]", "{}");
    expect_of(&portal, "", CREDENTIAL_FOUND, "portal-token");
}
END_TEST

START_TEST(what_its_file_calls_past_is_past_however_short)
{
    put_auth("[]", "{\"token\":\"x\",\"expires_at\":1772366340}");
    expect("", CREDENTIAL_PAST, NULL);
    put_auth("[]", "{\"token\":\"x\"}");
    expect("", CREDENTIAL_ABSENT, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_credentials");
    TCase *credentials = tcase_create("credentials"), *pools = tcase_create("pools");

    tcase_add_checked_fixture(credentials, setup, teardown);
    tcase_add_test(credentials, the_order_is_request_dotenv_environment_pool_own_and_foreign_sign_in);
    tcase_add_test(credentials, a_foreign_sign_in_is_read_only_when_allowed);
    tcase_add_test(credentials, a_variable_may_say_where_a_tool_keeps_its_sign_in);
    tcase_add_test(credentials, an_empty_value_in_dotenv_unsets_the_variable);
    tcase_add_test(credentials, a_placeholder_is_passed_over);
    tcase_add_test(credentials, a_key_that_cannot_be_sent_is_told_and_no_other_is_used_instead);
    tcase_add_test(credentials, a_sign_in_past_its_time_is_passed_over_and_explains_best);
    tcase_add_test(credentials, a_kind_without_an_endpoint_hides_no_other);
    tcase_add_test(credentials, what_is_no_small_regular_file_of_the_home_counts_as_none);
    tcase_add_test(credentials, odd_files_hurt_nobody);
    tcase_add_test(credentials, each_member_of_a_file_may_be_the_sign_in);
    tcase_add_test(credentials, a_variable_of_a_useless_kind_explains_and_is_never_used);
    tcase_add_test(credentials, a_pool_entrys_other_keys_can_be_of_no_use);
    tcase_add_test(credentials, what_its_file_calls_past_is_past_however_short);
    suite_add_tcase(suite, credentials);
    tcase_add_checked_fixture(pools, setup, teardown);
    tcase_add_test(pools, the_first_pool_entry_by_priority_that_may_be_used_is);
    tcase_add_test(pools, a_mark_holds_until_its_moment);
    tcase_add_test(pools, a_summary_counts_all_and_shows_64);
    suite_add_tcase(suite, pools);
    return check_main(suite);
}
