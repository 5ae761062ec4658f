/* What a home holds, as fingerprints: server/reader/holdings.h, places.h, and the program probed-reader. */
#include "server/reader/holdings.h"

#include "server/base/dotenv.h"
#include "server/worker/document.h"
#include "server/worker/provider.h"
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/fixture.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 512, NOBODY = 65534 };

static struct scratch scratch;
static struct holdings holdings;
static char home[SCRATCH_PATH_SIZE + 8], user_home[SCRATCH_PATH_SIZE + 8];

static void unset_names(const struct provider *provider)
{
    const char *names[PROVIDER_NAME_COUNT_MAX];

    for (size_t i = provider_names(provider, names); i > 0; i--)
        unsetenv(names[i - 1]);
}

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), 0);
    for (const struct provider *const *row = providers; *row != NULL; row++)
        unset_names(*row);
    scratch_open(&scratch);
    snprintf(home, sizeof home, "%s/home", scratch.path);
    snprintf(user_home, sizeof user_home, "%s/user", scratch.path);
    ck_assert_int_eq(mkdir(home, 0755), 0);
    ck_assert_int_eq(mkdir(user_home, 0755), 0);
    holdings =
        (struct holdings){.home_fd = files_open_directory(home), .user_home_fd = files_open_directory(user_home)};
    secret_random(&holdings.key, sizeof holdings.key);
}

static void teardown(void)
{
    close(holdings.home_fd);
    close(holdings.user_home_fd);
    ck_assert_int_eq(chdir("/"), 0);
    scratch_close(&scratch);
}

/* ---- a home ---- */

static char *path_in(const char *directory, const char *name)
{
    static char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Makes the folders on the way. */
static void put_in(const char *directory, const char *name, const char *text)
{
    char path[PATH_SIZE];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void put(const char *name, const char *text)
{
    put_in(home, name, text);
}

static void put_json(const char *directory, const char *name, const json_t *json)
{
    char *text = json_dumps(json, 0);

    put_in(directory, name, text);
    free(text);
}

/* ---- what is told of it ---- */

struct told {
    struct text lines;
    struct places places;
};

static void told_fini(struct told *told)
{
    text_fini(&told->lines);
}

static struct told tell(void)
{
    struct told told = {.lines = TEXT_EMPTY};

    ck_assert_int_eq(holdings_read(&holdings, &told.places, &told.lines), HOLDINGS_READ);
    return told;
}

/* The line that begins so, in `line`; "" when there is none. */
static void told_line(const struct told *told, const char *whose, char line[256])
{
    size_t size = strlen(whose);

    line[0] = '\0';
    for (const char *at = text_string(&told->lines); *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, whose, size) == 0 && at[size] == ' ')
            snprintf(line, 256, "%.*s", (int)strcspn(at, "\n"), at);
    }
}

static bool told_same(const struct told *a, const struct told *b, const char *whose)
{
    char line_a[256], line_b[256];

    told_line(a, whose, line_a);
    told_line(b, whose, line_b);
    return strcmp(line_a, line_b) == 0;
}

static bool told_has(const struct told *told, const char *whose)
{
    char line[256];

    told_line(told, whose, line);
    return line[0] != '\0';
}

/* Everybody whose line is another: "provider nous", "home". */
static void told_changes(const struct told *a, const struct told *b, struct text *changes)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        char whose[128];

        snprintf(whose, sizeof whose, "provider %s", (*row)->id);
        if (!told_same(a, b, whose))
            text_format(changes, "%s\n", (*row)->id);
    }
    if (!told_same(a, b, "home"))
        text_add_string(changes, "home\n");
}

/* Tells again, and expects those lines to have changed ("nous\nhome\n"; "": none) since `before`, which it replaces. */
static void expect_changes(struct told *before, const char *expected, const char *what)
{
    struct told now = tell();
    struct text changes = TEXT_EMPTY;

    told_changes(before, &now, &changes);
    ck_assert_msg(strcmp(text_string(&changes), expected) == 0, "%s: changed is\n%snot\n%s", what,
                  text_string(&changes), expected);
    text_fini(&changes);
    told_fini(before);
    *before = now;
}

static void expect_same(struct told *before, const char *what)
{
    expect_changes(before, "", what);
}

/* ---- the table ---- */

static bool reads_variable(const struct provider *provider, const char *name)
{
    const char *names[PROVIDER_NAME_COUNT_MAX];

    for (size_t i = provider_names(provider, names); i > 0; i--) {
        if (strcmp(names[i - 1], name) == 0)
            return true;
    }
    return false;
}

static void list_readers(const char *name, struct text *readers)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        if (reads_variable(*row, name))
            text_format(readers, "%s\n", (*row)->id);
    }
}

static void try_variable(const char *name)
{
    struct told told = tell();
    struct text readers = TEXT_EMPTY;
    char line[128];

    list_readers(name, &readers);
    snprintf(line, sizeof line, "%s=/one-value\n", name);
    put(".env", line);
    expect_changes(&told, text_string(&readers), name);
    snprintf(line, sizeof line, "%s=/two-value\n", name);
    put(".env", line);
    expect_changes(&told, text_string(&readers), name);
    snprintf(line, sizeof line, "# nothing\n\n  %s = \"/two-value\"  \r\n", name);
    put(".env", line);
    expect_same(&told, name);
    put(".env", "");
    expect_changes(&told, text_string(&readers), name);
    told_fini(&told);
    text_fini(&readers);
}

START_TEST(a_variable_is_of_the_providers_that_read_it)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        const char *names[PROVIDER_NAME_COUNT_MAX];

        for (size_t i = provider_names(*row, names); i > 0; i--)
            try_variable(names[i - 1]);
    }
}
END_TEST

/* {"credential_pool":{ID:[...]}}, as an agent writes it. */
static void put_pool(const char *id, const char *token, const char *status, double moment)
{
    json_t *auth =
        json_pack("{s:i, s:f, s:{s:[{s:s, s:s, s:i, s:s, s:s, s:f, s:i}]}}", "version", 1, "updated_at", moment,
                  "credential_pool", id, "id", "entry-1", "access_token", token, "priority", 0, "label", "work",
                  "last_status", status, "last_status_at", moment, "request_count", (int)moment);

    ck_assert_ptr_nonnull(auth);
    put_json(home, "auth.json", auth);
    json_decref(auth);
}

static void remove_home_file(const char *name)
{
    if (unlinkat(holdings.home_fd, name, 0) != 0)
        ck_assert_int_eq(unlinkat(holdings.home_fd, name, AT_REMOVEDIR), 0);
}

static void try_pool(const char *id)
{
    char expected[128];
    struct told told = tell();

    snprintf(expected, sizeof expected, "%s\n", id);
    put_pool(id, "token-one", "ok", 1);
    expect_changes(&told, expected, "a pool");
    put_pool(id, "token-one", "exhausted", 2);
    expect_same(&told, "a mark");
    put_pool(id, "token-two", "exhausted", 2);
    expect_changes(&told, expected, "another token");
    remove_home_file("auth.json");
    expect_changes(&told, expected, "no pool");
    told_fini(&told);
}

START_TEST(a_pool_is_of_its_provider_and_its_marks_are_nobodys)
{
    for (const struct provider *const *row = providers; *row != NULL; row++)
        try_pool((*row)->id);
}
END_TEST

/* An object at the end of a dotted path, in objects of its own; "*": a member of any name. */
static json_t *wrap(const char *path, json_t *record)
{
    const char *dot = strrchr(path, '.');
    char outer[128];
    json_t *object;

    if (path[0] == '\0')
        return record;
    object = json_object();
    json_object_set_new(object, strcmp(path, "*") == 0 ? "any" : dot == NULL ? path : dot + 1, record);
    if (dot == NULL)
        return object;
    snprintf(outer, sizeof outer, "%.*s", (int)(dot - path), path);
    return wrap(outer, object);
}

static const char *sign_in_path(const struct sign_in *sign_in)
{
    static char path[PATH_SIZE];

    if (sign_in->foreign)
        snprintf(path, sizeof path, "%s/%s/%s", user_home, sign_in->directory, sign_in->file);
    else
        snprintf(path, sizeof path, "%s/%s", home, sign_in->file);
    return path;
}

static void put_sign_in(const struct sign_in *sign_in, const char *token, const char *further, double moment)
{
    json_t *document =
        wrap(sign_in->path, json_pack("{s:f, s:s, s:s, s:f, s:f}", "updated_at", moment, sign_in->token, token,
                                      "refreshToken", further, "expires", moment, "last_refresh", moment));

    ck_assert_ptr_nonnull(document);
    put_json("", sign_in_path(sign_in), document);
    json_decref(document);
}

static void try_sign_in(const struct provider *provider, const struct sign_in *sign_in)
{
    char expected[128];
    struct told told = tell();

    snprintf(expected, sizeof expected, "%s\n", provider->id);
    put_sign_in(sign_in, "token-one", "refresh-one", 1);
    expect_changes(&told, expected, sign_in->file);
    put_sign_in(sign_in, "token-one", "refresh-one", 2);
    expect_same(&told, "bookkeeping");
    put_sign_in(sign_in, "token-one", "refresh-two", 2);
    expect_changes(&told, expected, "the token to refresh with");
    put_sign_in(sign_in, "token-two", "refresh-two", 2);
    expect_changes(&told, expected, "the token");
    ck_assert_int_eq(unlink(sign_in_path(sign_in)), 0);
    expect_changes(&told, expected, "no sign-in");
    told_fini(&told);
}

START_TEST(a_sign_in_is_of_its_provider_wherever_it_is_stored)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX && (*row)->sign_ins[i].token != NULL; i++)
            try_sign_in(*row, &(*row)->sign_ins[i]);
    }
}
END_TEST

static void put_foreign_sign_ins(const struct provider *provider, const char *token)
{
    for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX && provider->sign_ins[i].token != NULL; i++) {
        if (provider->sign_ins[i].foreign)
            put_sign_in(&provider->sign_ins[i], token, "refresh", 1);
    }
}

START_TEST(sign_ins_of_all_tools_are_read_side_by_side)
{
    struct told told = tell();

    for (const struct provider *const *row = providers; *row != NULL; row++)
        put_foreign_sign_ins(*row, "token-one");
    expect_changes(&told, "anthropic\ngemini-cli\nkimi-coding\nopenai-codex\nxai-oauth\n", "other tools' tokens");
    for (const struct provider *const *row = providers; *row != NULL; row++)
        put_foreign_sign_ins(*row, "token-two");
    expect_changes(&told, "anthropic\ngemini-cli\nkimi-coding\nopenai-codex\nxai-oauth\n", "others");
    told_fini(&told);
}
END_TEST

START_TEST(a_credential_is_known_by_its_members_name)
{
    static const struct {
        const char *name;
        bool is_credential;
    } table[] = {
        {"access_token", true}, {"refreshToken", true},       {"agent_key", true},        {"OPENAI_API_KEY", true},
        {"account_id", true},   {"organizationUuid", true},   {"base_url", true},         {"client_secret", true},
        {"id", true},           {"secret_fingerprint", true}, {"last_request_id", false}, {"last_refresh", false},
        {"updated_at", false},  {"expires_at", false},        {"request_count", false},   {"label", false},
        {"token_type", false},  {"last_error_reason", false}, {"scopes", false},          {"", false},
        {"last_status", false}, {"subscriptionType", false},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_msg(holdings_is_credential(table[i].name) == table[i].is_credential, "%s", table[i].name);
}
END_TEST

/* ---- fixtures ---- */

/* Every leaf of a document, with the name of the member that it is in. */
struct leaf {
    json_t *parent; /* object or array */
    const char *name;
    size_t index;
    const char *key; /* in an object */
};

static size_t count_leaves(json_t *json)
{
    size_t count = 0, index;
    const char *key;
    json_t *value;

    if (!json_is_object(json) && !json_is_array(json))
        return 1;
    json_object_foreach(json, key, value) count += count_leaves(value);
    json_array_foreach(json, index, value) count += count_leaves(value);
    return count;
}

/* The leaf of that number; false: it lies behind. */
static bool find_leaf(json_t *json, const char *name, size_t *number, struct leaf *leaf_out)
{
    size_t index;
    const char *key;
    json_t *value;

    json_object_foreach(json, key, value)
    {
        if (!json_is_object(value) && !json_is_array(value) && (*number)-- == 0) {
            *leaf_out = (struct leaf){json, key, 0, key};
            return true;
        }
        if (find_leaf(value, key, number, leaf_out))
            return true;
    }
    json_array_foreach(json, index, value)
    {
        if (!json_is_object(value) && !json_is_array(value) && (*number)-- == 0) {
            *leaf_out = (struct leaf){json, name, index, NULL};
            return true;
        }
        if (find_leaf(value, name, number, leaf_out))
            return true;
    }
    return false;
}

static json_t *leaf_value(const struct leaf *leaf)
{
    return leaf->key != NULL ? json_object_get(leaf->parent, leaf->key) : json_array_get(leaf->parent, leaf->index);
}

/* Makes it another: a text grows, a number is one more.  Whether it is a credential that grew. */
static bool change_leaf(const struct leaf *leaf)
{
    json_t *value = leaf_value(leaf), *changed;
    bool is_text = json_is_string(value);

    changed = is_text ? json_sprintf("%s-changed", json_string_value(value))
                      : json_real(json_is_number(value) ? json_number_value(value) + 1 : 1);
    if (leaf->key != NULL)
        json_object_set_new(leaf->parent, leaf->key, changed);
    else
        json_array_set_new(leaf->parent, leaf->index, changed);
    return is_text && holdings_is_credential(leaf->name);
}

static json_t *reversed(const json_t *json)
{
    size_t count, index;
    const char **names = document_names(json, &count);
    json_t *copy = json_is_object(json) ? json_object() : json_is_array(json) ? json_array() : json_deep_copy(json);
    json_t *value;

    for (size_t i = count; names != NULL && i > 0; i--)
        json_object_set_new(copy, names[i - 1], reversed(json_object_get(json, names[i - 1])));
    json_array_foreach(json, index, value) json_array_append_new(copy, reversed(value));
    free(names);
    return copy;
}

/* The same values, written in another way. */
static void rewrite(const char *directory, const char *name, const json_t *document)
{
    json_t *other = reversed(document);
    char *text = json_dumps(other, JSON_INDENT(7) | JSON_ENSURE_ASCII);

    put_in(directory, name, text);
    ck_assert_int_eq(chmod(path_in(directory, name), 0400), 0);
    free(text);
    json_decref(other);
}

/* Changes each leaf of a file in turn: a credential changes one line, which is the provider's wherever it has one;
 * anything else changes none. */
static void try_document(const char *directory, const char *name, const char *text, const char *provider)
{
    json_t *document = json_loads(text, 0, NULL);
    struct told before = tell();
    char whose[128];

    ck_assert_ptr_nonnull(document);
    snprintf(whose, sizeof whose, "%s\n", provider_find(provider) == NULL ? "home" : provider);
    rewrite(directory, name, document);
    expect_same(&before, name);
    for (size_t i = 0; i < count_leaves(document); i++) {
        json_t *copy = json_deep_copy(document);
        struct leaf leaf;
        size_t number = i;
        bool is_credential;

        ck_assert(find_leaf(copy, "", &number, &leaf));
        is_credential = change_leaf(&leaf);
        put_json(directory, name, copy);
        expect_changes(&before, is_credential ? whose : "", leaf.name);
        put_json(directory, name, document);
        expect_changes(&before, is_credential ? whose : "", leaf.name);
        json_decref(copy);
    }
    told_fini(&before);
    json_decref(document);
}

static void try_files(const struct fixture *fixture, const char *member, const char *directory)
{
    const char *provider = json_string_value(json_object_get(json_object_get(fixture->meta, "request"), "provider"));
    const char *name;
    json_t *text;

    fixture_write_home(fixture, member, directory);
    json_object_foreach(json_object_get(fixture->meta, member), name, text)
    {
        if (json_string_value(text)[0] == '{')
            try_document(directory, name, json_string_value(text), provider);
    }
}

static void remove_files(const struct fixture *fixture, const char *member, const char *directory)
{
    const char *name;
    json_t *text;

    json_object_foreach(json_object_get(fixture->meta, member), name, text)
        ck_assert_int_eq(unlink(path_in(directory, name)), 0);
}

/* The files of homes, each once, of all cases. */
START_TEST(of_every_file_of_the_fixtures_credentials_count_and_nothing_else)
{
    json_t *seen = json_object();
    char pattern[PATH_MAX];
    size_t tried_count = 0;
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/tests/fixtures/providers/*/*.meta.json", getenv("PROBED_SOURCE"));
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct fixture *fixture = fixture_load(found.gl_pathv[i]);
        json_t *both = json_pack("[O?, O?]", json_object_get(fixture->meta, "home_files"),
                                 json_object_get(fixture->meta, "user_home_files"));
        char *text = json_dumps(both, JSON_SORT_KEYS);

        if (json_object_get(seen, text) == NULL && strstr(text, "_hostile") == NULL) {
            json_object_set_new(seen, text, json_true());
            try_files(fixture, "home_files", home);
            try_files(fixture, "user_home_files", user_home);
            remove_files(fixture, "home_files", home);
            remove_files(fixture, "user_home_files", user_home);
            tried_count++;
        }
        free(text);
        json_decref(both);
        fixture_free(fixture);
    }
    globfree(&found);
    json_decref(seen);
    ck_assert_uint_ge(tried_count, 50);
}
END_TEST

/* ---- the home's own ---- */

START_TEST(what_no_provider_reads_is_the_homes)
{
    struct told told = tell();

    put(".env", "UNHEARD_OF=one\n");
    expect_changes(&told, "home\n", "a variable");
    put(".env", "UNHEARD_OF=two\n");
    expect_changes(&told, "home\n", "its value");
    put(".env", "UNHEARD_OF=one\nUNHEARD_OF='two'\n");
    expect_same(&told, "the last counts");
    put(".env", "A=1\nUNHEARD_OF=two\nB=2\n");
    expect_changes(&told, "home\n", "two more");
    put(".env", "\xef\xbb\xbf# order\nB=2\n\nUNHEARD_OF=two\r\nA=1");
    expect_same(&told, "the order of lines");
    put("auth.json", "{\"providers\":{\"qwen-oauth\":{\"tokens\":{\"access_token\":\"one\",\"expires\":1}}}}");
    expect_changes(&told, "home\n", "a sign-in of a provider without a row");
    put("auth.json", "{\"providers\":{\"qwen-oauth\":{\"tokens\":{\"access_token\":\"one\",\"expires\":2}}}}");
    expect_same(&told, "when it ends");
    put("auth.json", "{\"providers\":{\"qwen-oauth\":{\"tokens\":{\"access_token\":\"two\",\"expires\":2}}}}");
    expect_changes(&told, "home\n", "its token");
    told_fini(&told);
}
END_TEST

/* No row reads them, other workers may. */
START_TEST(of_other_tools_files_without_a_row_lines_with_tokens_count)
{
    struct told told = tell();

    put_in(user_home, ".config/gh/hosts.yml", "github.com:\n    oauth_token: gho_one\n    git_protocol: https\n");
    expect_changes(&told, "home\n", "a token");
    put_in(user_home, ".config/gh/hosts.yml", "github.com:\r\n  git_protocol: ssh\r\n  oauth_token: gho_one\r\n");
    expect_same(&told, "another protocol");
    put_in(user_home, ".config/gh/hosts.yml", "github.com:\n    oauth_token: gho_two\n");
    expect_changes(&told, "home\n", "another token");
    told_fini(&told);
}
END_TEST

START_TEST(a_provider_has_a_line_for_each_of_its_names)
{
    struct told told;
    char one[256], two[256];

    put(".env", "XAI_MANAGEMENT_API_KEY=real-key\n");
    told = tell();
    told_line(&told, "provider xai", one);
    told_line(&told, "provider x-ai", two);
    ck_assert_str_ne(one, "");
    ck_assert_str_eq(strrchr(one, ' '), strrchr(two, ' '));
    told_fini(&told);
}
END_TEST

START_TEST(an_empty_home_has_one_line)
{
    struct told told = tell();

    ck_assert_uint_eq(told.lines.size, strlen("home ") + 64 + 1);
    ck_assert(told_has(&told, "home"));
    told_fini(&told);
}
END_TEST

START_TEST(the_order_of_a_pool_counts_and_the_order_of_its_lines_does_not)
{
    struct told told = tell();

    put("auth.json", "{\"credential_pool\":{\"nous\":[{\"priority\":1,\"access_token\":\"one\"},"
                     "{\"priority\":2,\"access_token\":\"two\"}]}}");
    expect_changes(&told, "nous\n", "a pool");
    put("auth.json", "{\"credential_pool\":{\"nous\":[{\"priority\":5,\"access_token\":\"two\"},"
                     "{\"access_token\":\"one\",\"priority\":0}]}}");
    expect_same(&told, "another numbering");
    put("auth.json", "{\"credential_pool\":{\"nous\":[{\"priority\":1,\"access_token\":\"two\"},"
                     "{\"priority\":2,\"access_token\":\"one\"}]}}");
    expect_changes(&told, "nous\n", "another order");
    told_fini(&told);
}
END_TEST

/* ---- fingerprints ---- */

START_TEST(two_keys_give_fingerprints_that_have_nothing_in_common)
{
    struct told one, two;
    char line_one[256], line_two[256];

    put(".env", "OPENROUTER_API_KEY=sk-or-secret\nUNHEARD_OF=secret\n");
    one = tell();
    secret_random(&holdings.key, sizeof holdings.key);
    two = tell();
    told_line(&one, "provider openrouter", line_one);
    told_line(&two, "provider openrouter", line_two);
    ck_assert_str_ne(line_one, line_two);
    ck_assert(!told_same(&one, &two, "home"));
    told_fini(&one);
    told_fini(&two);
}
END_TEST

START_TEST(one_secret_of_two_providers_is_not_to_be_recognized)
{
    struct told told;
    char one[256], two[256];

    put(".env", "POE_API_KEY=the-same\nCROF_API_KEY=the-same\n");
    put("auth.json", "{\"credential_pool\":{\"venice\":[{\"access_token\":\"the-same\"}],"
                     "\"novita\":[{\"access_token\":\"the-same\"}]}}");
    told = tell();
    told_line(&told, "provider venice", one);
    told_line(&told, "provider novita", two);
    ck_assert_str_ne(strrchr(one, ' '), strrchr(two, ' '));
    told_line(&told, "provider poe", one);
    told_line(&told, "provider crof", two);
    ck_assert_str_ne(strrchr(one, ' '), strrchr(two, ' '));
    told_fini(&told);
}
END_TEST

/* A secret that moves from one member to another, or grows out of two, is another. */
START_TEST(values_do_not_run_into_each_other)
{
    struct told told = tell();

    put("auth.json", "{\"providers\":{\"nous\":{\"access_token\":\"ab\",\"refresh_token\":\"c\"}}}");
    expect_changes(&told, "nous\n", "ab, c");
    put("auth.json", "{\"providers\":{\"nous\":{\"access_token\":\"a\",\"refresh_token\":\"bc\"}}}");
    expect_changes(&told, "nous\n", "a, bc");
    put(".env", "NEW_A=12\nNEW_B=3\n");
    expect_changes(&told, "home\n", "12, 3");
    put(".env", "NEW_A=1\nNEW_B=23\n");
    expect_changes(&told, "home\n", "1, 23");
    put(".env", "NEW_A=1n:NEW_Bv:23\n"); /* what could come to the same without sizes */
    expect_changes(&told, "home\n", "1n:NEW_Bv:23");
    told_fini(&told);
}
END_TEST

/* ---- files that cannot be read ---- */

static void make_large(const char *name)
{
    put(name, "");
    ck_assert_int_eq(truncate(path_in(home, name), FILE_SIZE_MAX + 1), 0);
}

static void make_fifo(const char *name)
{
    ck_assert_int_eq(mkfifoat(holdings.home_fd, name, 0600), 0);
}

static void make_directory(const char *name)
{
    ck_assert_int_eq(mkdirat(holdings.home_fd, name, 0700), 0);
}

static void make_device(const char *name)
{
    ck_assert_int_eq(mknodat(holdings.home_fd, name, S_IFCHR | 0600, makedev(1, 5)), 0); /* zeros without end */
}

static void make_loop(const char *name)
{
    ck_assert_int_eq(symlinkat(name, holdings.home_fd, name), 0);
}

static void make_link_to_device(const char *name)
{
    ck_assert_int_eq(symlinkat("/dev/zero", holdings.home_fd, name), 0);
}

static void make_invalid(const char *name)
{
    put(name, "\xff\xfe=\xc0\xaf");
}

/* Another state than that of an absent file, and than that of one that can be read; never a hang. */
START_TEST(what_cannot_be_read_is_a_state)
{
    static void (*const make[])(const char *name) = {make_large, make_fifo,    make_directory,     make_device,
                                                     make_loop,  make_invalid, make_link_to_device};
    static const char *const names[] = {".env", "auth.json"};

    for (size_t i = 0; i < sizeof make / sizeof *make; i++) {
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            const char *readable =
                j == 0 ? "POE_API_KEY=real-key\n" : "{\"credential_pool\":{\"poe\":[{\"access_token\":\"real-key\"}]}}";
            struct told told = tell();

            make[i](names[j]);
            expect_changes(&told, "home\n", names[j]);
            expect_same(&told, "looked at again");
            remove_home_file(names[j]);
            put(names[j], readable);
            expect_changes(&told, "poe\nhome\n", names[j]);
            remove_home_file(names[j]);
            expect_changes(&told, "poe\n", names[j]);
            told_fini(&told);
        }
    }
}
END_TEST

START_TEST(another_tools_file_that_cannot_be_read_is_its_providers_state)
{
    struct told told = tell();

    put_in(user_home, ".claude/.credentials.json", "{\"claudeAiOauth\":");
    expect_changes(&told, "anthropic\n", "no JSON");
    put_in(user_home, ".claude/.credentials.json", "{}");
    expect_changes(&told, "anthropic\n", "JSON, and nothing in it");
    put(".anthropic_oauth.json", "nonsense");
    expect_changes(&told, "anthropic\n", "a file of the home that only one provider reads");
    told_fini(&told);
}
END_TEST

/* As a stranger to whom the file is forbidden: 0 when that is a state of its own. */
static int tell_forbidden(void *context)
{
    const struct told *as_root = context;
    struct told told = {.lines = TEXT_EMPTY};
    bool done = holdings_read(&holdings, &told.places, &told.lines) == HOLDINGS_READ;

    return done && !told_same(as_root, &told, "home") && told_has(as_root, "provider poe") &&
                   !told_has(&told, "provider poe")
               ? 0
               : 1;
}

START_TEST(a_file_that_is_forbidden_is_a_state)
{
    struct told told;

    put(".env", "POE_API_KEY=real-key\n");
    ck_assert_int_eq(chmod(path_in(home, ".env"), 0600), 0);
    told = tell();
    ck_assert_int_eq(process_as(NOBODY, tell_forbidden, &told), 0);
    told_fini(&told);
}
END_TEST

START_TEST(deep_and_wide_documents_are_read_or_refused)
{
    static char text[FILE_SIZE_MAX];
    struct told told = tell();

    memset(text, '[', sizeof text - 1);
    put("auth.json", text);
    expect_changes(&told, "home\n", "brackets alone");
    memcpy(text, "{\"providers\":[", 14);
    for (size_t i = 14; i + 4 < sizeof text; i += 3)
        memcpy(text + i, "{},", 4);
    memcpy(text + sizeof text - 6, "0]} ", 5);
    put("auth.json", text);
    told_fini(&told);
    told = tell();
    ck_assert(told_has(&told, "home"));
    told_fini(&told);
}
END_TEST

/* ---- symlinks ---- */

START_TEST(a_symlink_is_followed_polled_and_a_state)
{
    struct told told, linked;

    put(".env", "POE_API_KEY=real-key\n");
    told = tell();
    ck_assert(!told.places.polled[POLL_LINK]);
    ck_assert_int_eq(renameat(holdings.home_fd, ".env", holdings.home_fd, "elsewhere"), 0);
    ck_assert_int_eq(symlinkat("elsewhere", holdings.home_fd, ".env"), 0);
    expect_changes(&told, "home\n", "the same, through a symlink");
    ck_assert(told.places.polled[POLL_LINK]);
    put("elsewhere", "POE_API_KEY=other-key\n");
    expect_changes(&told, "poe\n", "its target rewritten");
    put("elsewhere-2", "POE_API_KEY=third-key\n");
    ck_assert_int_eq(symlinkat("elsewhere-2", holdings.home_fd, "new"), 0);
    ck_assert_int_eq(renameat(holdings.home_fd, "new", holdings.home_fd, ".env"), 0);
    expect_changes(&told, "poe\n", "another symlink in its place");
    linked = tell();
    ck_assert_str_eq(text_string(&linked.lines), text_string(&told.lines));
    told_fini(&linked);
    told_fini(&told);
}
END_TEST

/* ---- where to watch ---- */

static void expect_places(const char *expected)
{
    struct told told = tell();
    struct text lines = TEXT_EMPTY;

    places_write(&told.places, &lines);
    ck_assert_str_eq(text_string(&lines), expected);
    text_fini(&lines);
    told_fini(&told);
}

START_TEST(the_home_is_watched_and_what_lies_outside_is_polled)
{
    expect_places("watch .\npoll foreign\n");
    close(holdings.user_home_fd);
    holdings.user_home_fd = -1;
    expect_places("watch .\n");
}
END_TEST

START_TEST(other_tools_files_are_not_looked_at_unless_they_may_be)
{
    struct told told;

    put_in(user_home, ".claude/.credentials.json", "{\"claudeAiOauth\":{\"accessToken\":\"cc-token\"}}");
    told = tell();
    ck_assert(told_has(&told, "provider anthropic"));
    told_fini(&told);
    close(holdings.user_home_fd);
    holdings.user_home_fd = -1;
    told = tell();
    ck_assert(!told_has(&told, "provider anthropic"));
    told_fini(&told);
}
END_TEST

START_TEST(a_tools_directory_in_the_home_is_watched_with_those_above_it)
{
    char line[PATH_SIZE];

    snprintf(line, sizeof line, "CODEX_HOME=%s/tools/codex\n", home);
    put(".env", line);
    expect_places("watch .\npoll foreign\n"); /* not there: its birth is seen from above, or polled */
    put("tools/codex/auth.json", "{\"tokens\":{\"access_token\":\"codex-token\"}}");
    expect_places("watch .\nwatch tools\nwatch tools/codex\npoll foreign\n");
}
END_TEST

/* The home is the user's own directory: its dot directories are watched once they are there. */
START_TEST(a_directory_that_is_not_there_is_watched_from_above)
{
    close(holdings.user_home_fd);
    holdings.user_home_fd = files_open_directory(home);
    expect_places("watch .\npoll foreign\n");
    make_directory(".kimi-code");
    expect_places("watch .\nwatch .kimi-code\npoll foreign\n");
    put(".kimi-code/credentials/kimi-code.json", "{}");
    expect_places("watch .\nwatch .kimi-code\nwatch .kimi-code/credentials\npoll foreign\n");
    ck_assert_int_eq(symlinkat(user_home, holdings.home_fd, ".claude"), 0);
    expect_places("watch .\nwatch .kimi-code\nwatch .kimi-code/credentials\npoll foreign\npoll link\n");
}
END_TEST

START_TEST(a_directory_whose_name_stands_in_no_line_is_polled)
{
    struct places places;

    places_init(&places, holdings.home_fd);
    make_directory("line\nend");
    places_add(&places, holdings.home_fd, "line\nend/file", FILE_ABSENT);
    ck_assert_uint_eq(places.count, 1);
    ck_assert(places.polled[POLL_NAME]);
}
END_TEST

START_TEST(more_directories_than_there_is_room_for_are_polled)
{
    struct places places;

    places_init(&places, holdings.home_fd);
    for (int i = 0; i < PLACE_COUNT_MAX + 3; i++) {
        char name[32];

        snprintf(name, sizeof name, "tool-%d", i);
        make_directory(name);
        snprintf(name, sizeof name, "tool-%d/file", i);
        places_add(&places, holdings.home_fd, name, FILE_READ);
    }
    ck_assert_uint_eq(places.count, PLACE_COUNT_MAX);
    ck_assert(places.polled[POLL_CROWD]);
}
END_TEST

/* ---- writers ---- */

static const char written[] =
    "{\"credential_pool\":{\"poe\":[{\"access_token\":\"real-key\",\"last_status\":\"ok\"}]}}";

static _Noreturn void rewrite_in_place(void)
{
    for (;;)
        put("auth.json", written);
}

static _Noreturn void rotate(void)
{
    for (int i = 0;; i++) {
        char line[64];

        snprintf(line, sizeof line, "POE_API_KEY=key-%d\n", i);
        put("new", line);
        ck_assert_int_eq(renameat(holdings.home_fd, "new", holdings.home_fd, ".env"), 0);
    }
}

/* A process that writes until it is ended. */
static pid_t start_writer(void (*write_on)(void))
{
    pid_t writer = fork();

    ck_assert_int_ge(writer, 0);
    if (writer == 0)
        write_on();
    return writer;
}

static void end_writer(pid_t writer)
{
    ck_assert_int_eq(kill(writer, SIGKILL), 0);
    ck_assert_int_eq(waitpid(writer, NULL, 0), writer);
}

static void be_patient(void)
{
    holdings.still_ms = HOLDINGS_STILL_MS;
    holdings.torn_ms = HOLDINGS_TORN_MS;
}

/* What is told meanwhile is what stands there before and after, or nothing. */
START_TEST(a_writer_is_not_caught_in_the_middle)
{
    struct told told, meanwhile = {.lines = TEXT_EMPTY};
    pid_t writer;

    put("auth.json", written);
    be_patient();
    told = tell();
    writer = start_writer(rewrite_in_place);
    for (int i = 0; i < 3; i++) {
        enum holdings_end end = holdings_read(&holdings, &meanwhile.places, &meanwhile.lines);

        ck_assert_int_ne(end, HOLDINGS_NO_MEMORY);
        if (end == HOLDINGS_READ)
            ck_assert_str_eq(text_string(&meanwhile.lines), text_string(&told.lines));
        text_reset(&meanwhile.lines);
    }
    end_writer(writer);
    told_fini(&meanwhile);
    told_fini(&told);
}
END_TEST

START_TEST(a_file_that_stays_broken_is_a_state_after_a_while)
{
    struct told told;

    be_patient();
    told = tell();
    put("auth.json", "{\"credential_pool\":{\"poe\":[");
    expect_changes(&told, "home\n", "half a document");
    put("auth.json", "");
    expect_same(&told, "none at all");
    told_fini(&told);
}
END_TEST

/* What stands in it by then: half of it, or nothing yet. */
START_TEST(a_file_that_was_just_begun_is_not_told_of)
{
    static const char *const files[][2] = {{"auth.json", "{\"credential_pool\":{"}, {"auth.json", ""}, {".env", ""}};
    struct told told = {.lines = TEXT_EMPTY};

    holdings.still_ms = 1;
    holdings.torn_ms = 3600000;
    put(files[_i][0], files[_i][1]);
    ck_assert_int_eq(holdings_read(&holdings, &told.places, &told.lines), HOLDINGS_RESTLESS);
    told_fini(&told);
}
END_TEST

START_TEST(values_that_change_all_the_time_are_told_as_they_are)
{
    struct told told;
    pid_t writer = start_writer(rotate);

    be_patient();
    while (faccessat(holdings.home_fd, ".env", F_OK, 0) != 0)
        sched_yield();
    told = tell();
    ck_assert(told_has(&told, "provider poe"));
    end_writer(writer);
    told_fini(&told);
}
END_TEST

/* ---- the program ---- */

static struct child_result run_with(size_t key_size, const char *foreign)
{
    const char *const argv[] = {"probed-reader", "--foreign-credentials", foreign, NULL};
    char variable[PATH_SIZE];
    const char *const environment[] = {variable, NULL};
    static const char key[64] = "a key of 32 bytes, and then some";

    snprintf(variable, sizeof variable, "HOME=%s", user_home);
    ck_assert_int_eq(chdir(home), 0);
    return child_run(argv, environment, key, key_size);
}

START_TEST(it_ends_with_end_and_with_0)
{
    struct child_result result;
    size_t line_count = 0;

    put(".env", "POE_API_KEY=the-secret-key\n");
    put_in(user_home, ".codex/auth.json", "{\"tokens\":{\"access_token\":\"the-secret-token\"}}");
    result = run_with(32, "yes");
    ck_assert_int_eq(result.exit_status, 0);
    ck_assert_str_eq(result.err, "");
    ck_assert_int_eq(strncmp(result.out, "watch .\npoll foreign\nprovider openai-codex ", 43), 0);
    ck_assert_str_eq(result.out + result.out_size - 5, "\nend\n");
    ck_assert_ptr_null(strstr(result.out, "secret"));
    for (const char *at = result.out; *at != '\0'; at = strchr(at, '\n') + 1) {
        ck_assert_uint_le(strcspn(at, "\n") + 1, 256);
        line_count++;
    }
    ck_assert_uint_eq(line_count, 6);
    child_result_fini(&result);
}
END_TEST

START_TEST(other_tools_are_looked_at_only_when_it_is_told_so)
{
    struct child_result result;

    put_in(user_home, ".codex/auth.json", "{\"tokens\":{\"access_token\":\"the-secret-token\"}}");
    result = run_with(32, "no");
    ck_assert_int_eq(result.exit_status, 0);
    ck_assert_int_eq(strncmp(result.out, "watch .\nhome ", 13), 0);
    child_result_fini(&result);
}
END_TEST

START_TEST(the_key_is_32_bytes)
{
    static const size_t sizes[] = {0, 1, 31, 33, 64};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct child_result result = run_with(sizes[i], "no");

        ck_assert_int_eq(result.exit_status, 1);
        ck_assert_str_eq(result.out, "");
        child_result_fini(&result);
    }
}
END_TEST

START_TEST(every_line_there_can_be_fits_what_was_agreed)
{
    size_t provider_count = 0;

    while (providers[provider_count] != NULL) {
        ck_assert_uint_le(strlen("provider ") + strlen(providers[provider_count]->id) + 1 + 64 + 1, 256);
        provider_count++;
    }
    for (const struct provider_alias *alias = provider_aliases; alias->name != NULL; alias++)
        provider_count++;
    ck_assert_uint_le(PLACE_COUNT_MAX + POLL_REASON_COUNT + provider_count + 2, 128);
    ck_assert_uint_le(strlen("watch ") + PLACE_SIZE_MAX + 1, 256);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("reader");
    TCase *values = add_case(suite, "values"), *states = add_case(suite, "states");
    TCase *places = add_case(suite, "places"), *program = add_case(suite, "program");

    tcase_add_test(values, a_variable_is_of_the_providers_that_read_it);
    tcase_add_test(values, a_pool_is_of_its_provider_and_its_marks_are_nobodys);
    tcase_add_test(values, a_sign_in_is_of_its_provider_wherever_it_is_stored);
    tcase_add_test(values, sign_ins_of_all_tools_are_read_side_by_side);
    tcase_add_test(values, a_credential_is_known_by_its_members_name);
    tcase_add_test(values, of_every_file_of_the_fixtures_credentials_count_and_nothing_else);
    tcase_add_test(values, what_no_provider_reads_is_the_homes);
    tcase_add_test(values, of_other_tools_files_without_a_row_lines_with_tokens_count);
    tcase_add_test(values, a_provider_has_a_line_for_each_of_its_names);
    tcase_add_test(values, an_empty_home_has_one_line);
    tcase_add_test(values, the_order_of_a_pool_counts_and_the_order_of_its_lines_does_not);
    tcase_add_test(values, two_keys_give_fingerprints_that_have_nothing_in_common);
    tcase_add_test(values, one_secret_of_two_providers_is_not_to_be_recognized);
    tcase_add_test(values, values_do_not_run_into_each_other);
    tcase_add_test(states, what_cannot_be_read_is_a_state);
    tcase_add_test(states, another_tools_file_that_cannot_be_read_is_its_providers_state);
    tcase_add_test(states, a_file_that_is_forbidden_is_a_state);
    tcase_add_test(states, deep_and_wide_documents_are_read_or_refused);
    tcase_add_test(states, a_symlink_is_followed_polled_and_a_state);
    tcase_add_test(states, a_writer_is_not_caught_in_the_middle);
    tcase_add_test(states, a_file_that_stays_broken_is_a_state_after_a_while);
    tcase_add_loop_test(states, a_file_that_was_just_begun_is_not_told_of, 0, 3);
    tcase_add_test(states, values_that_change_all_the_time_are_told_as_they_are);
    tcase_add_test(places, the_home_is_watched_and_what_lies_outside_is_polled);
    tcase_add_test(places, other_tools_files_are_not_looked_at_unless_they_may_be);
    tcase_add_test(places, a_tools_directory_in_the_home_is_watched_with_those_above_it);
    tcase_add_test(places, a_directory_that_is_not_there_is_watched_from_above);
    tcase_add_test(places, a_directory_whose_name_stands_in_no_line_is_polled);
    tcase_add_test(places, more_directories_than_there_is_room_for_are_polled);
    tcase_add_test(program, it_ends_with_end_and_with_0);
    tcase_add_test(program, other_tools_are_looked_at_only_when_it_is_told_so);
    tcase_add_test(program, the_key_is_32_bytes);
    tcase_add_test(program, every_line_there_can_be_fits_what_was_agreed);
    return check_main(suite);
}
