/* The cases of one provider, against the real probe-worker and the stand-in.
 *
 *     test-provider openrouter        the cases of providers/openrouter, and those of _common and _hostile that ask it
 *     test-provider none              those of _common and _hostile that ask a provider without cases of its own
 *
 * A case whose requests may come in any order is played a second time, with its first answer coming last.
 *
 * What holds for every case (tests/fixtures/providers/README.md): the answer is the expected one, within the rules of
 * comparison; exactly so many requests are made, each with the headers it must have, and no other; both homes stay as
 * they were; nothing secret is said; texts and lists are within their limits; the worker ends by answering. */
#include "proto/limits.h"
#include "proto/utf8.h"
#include "server/base/text.h"
#include "tests/support/asker.h"
#include "tests/support/check_main.h"
#include "tests/support/fixture.h"
#include "tests/support/patience.h"
#include "tests/support/scratch.h"
#include "tests/support/standin.h"
#include "tests/support/tree.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CASE_COUNT_MAX = 256,
    SECRET_COUNT_MAX = 64,
    ENVIRONMENT_COUNT_MAX = 16,
    REQUEST_ID = 7,
    TIMEOUT_MS = 20000 * PATIENCE_SCALE,
    TIMEOUT_SHORT_MS = 1500 * PATIENCE_SCALE, /* where the stand-in never answers */
    SECRET_SIZE_MIN = 5                       /* shorter ones ("r", "x") are parts of words */
};

#define TOLERANCE 0.01

static const char *cases[CASE_COUNT_MAX], *backwards[CASE_COUNT_MAX];
static size_t case_count, backwards_count;

/* ---- which cases ---- */

static bool has_own_cases(const char *root, const char *provider)
{
    char path[FIXTURE_PATH_SIZE];
    struct stat facts;

    snprintf(path, sizeof path, "%s/%s", root, provider);
    return stat(path, &facts) == 0;
}

/* Whether the case is one of those asked for on the command line. */
static bool is_chosen(const char *root, const char *chosen, const char *path)
{
    struct fixture *fixture = fixture_load(path);
    const char *provider = json_string_value(json_object_get(json_object_get(fixture->meta, "request"), "provider"));
    bool mine = strcmp(chosen, "none") == 0 ? !has_own_cases(root, provider) : strcmp(chosen, provider) == 0;

    fixture_free(fixture);
    return mine;
}

static bool is_in_any_order(const char *path)
{
    struct fixture *fixture = fixture_load(path);
    bool any_order = json_is_true(json_object_get(fixture->meta, "any_order"));

    fixture_free(fixture);
    return any_order;
}

static void choose_cases(const char *chosen)
{
    const char *source = getenv("PROBED_SOURCE");
    char root[FIXTURE_PATH_SIZE - 64], pattern[FIXTURE_PATH_SIZE];
    const char *const directories[] = {chosen, "_common", "_hostile"};

    snprintf(root, sizeof root, "%s/tests/fixtures/providers", source == NULL ? "." : source);
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        glob_t found;

        snprintf(pattern, sizeof pattern, "%s/%s/*.meta.json", root, directories[i]);
        if (glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t j = 0; j < found.gl_pathc && case_count < CASE_COUNT_MAX; j++) {
            if (!is_chosen(root, chosen, found.gl_pathv[j]))
                continue;
            cases[case_count++] = strdup(found.gl_pathv[j]);
            if (is_in_any_order(found.gl_pathv[j]))
                backwards[backwards_count++] = cases[case_count - 1];
        }
        globfree(&found);
    }
}

/* ---- one case ---- */

struct story {
    struct fixture *fixture;
    struct scratch scratch;
    struct standin *standin;
    struct asker asker;
    char home[SCRATCH_PATH_SIZE + 16], user_home[SCRATCH_PATH_SIZE + 16], elsewhere[SCRATCH_PATH_SIZE + 16];
    struct text before;
};

static const char *name_of(const struct story *story)
{
    return fixture_text(story->fixture, "case");
}

static void make_directory(const struct story *story, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", story->scratch.path, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void describe_homes(const struct story *story, struct text *state)
{
    tree_describe(story->home, state);
    tree_describe(story->user_home, state);
}

static void story_open(struct story *story, const char *path)
{
    *story = (struct story){.fixture = fixture_load(path)};
    scratch_open(&story->scratch);
    make_directory(story, "home", story->home, sizeof story->home);
    make_directory(story, "user", story->user_home, sizeof story->user_home);
    make_directory(story, "elsewhere", story->elsewhere, sizeof story->elsewhere);
    fixture_write_home(story->fixture, "home_files", story->home);
    fixture_write_home(story->fixture, "user_home_files", story->user_home);
    describe_homes(story, &story->before);
    story->standin = standin_create(story->elsewhere);
    standin_teach_fixture(story->standin, story->fixture);
}

static void story_close(struct story *story)
{
    standin_destroy(story->standin);
    asker_fini(&story->asker);
    text_fini(&story->before);
    scratch_close(&story->scratch);
    fixture_free(story->fixture);
}

/* Every host and port leads to the stand-in, so that a request that goes astray is counted there. */
static void start_worker(struct story *story)
{
    char catch_all[64], home[SCRATCH_PATH_SIZE + 32], variables[ENVIRONMENT_COUNT_MAX][256];
    const char *environment[ENVIRONMENT_COUNT_MAX + 2] = {home};
    const char *words[] = {"--now",
                           fixture_text(story->fixture, "now"),
                           "--cacert",
                           standin_ca_file(story->standin),
                           "--connect-to",
                           catch_all,
                           "--user-home",
                           story->user_home,
                           "--foreign-credentials",
                           "yes",
                           NULL};
    const char *name;
    json_t *value;
    size_t count = 0;

    snprintf(catch_all, sizeof catch_all, "::127.0.0.1:%u", standin_port(story->standin));
    snprintf(home, sizeof home, "HERMES_HOME=%s", story->home);
    json_object_foreach(json_object_get(story->fixture->meta, "env"), name, value)
    {
        ck_assert_uint_lt(count, ENVIRONMENT_COUNT_MAX);
        snprintf(variables[count], sizeof *variables, "%s=%s", name, json_string_value(value));
        environment[1 + count] = variables[count];
        count++;
    }
    asker_start(&story->asker, story->home, words, environment);
}

static const char *transport_error(const struct story *story)
{
    const json_t *exchange = json_array_get(json_object_get(story->fixture->meta, "exchanges"), 0);
    const char *error = json_string_value(json_object_get(json_object_get(exchange, "respond"), "transport_error"));

    return error == NULL ? "" : error;
}

static size_t request_count_of(const struct story *story)
{
    return (size_t)json_integer_value(json_object_get(story->fixture->meta, "max_requests"));
}

/* PROVIDERS.md 8.7; by what answered: a key may belong to another provider. */
static json_int_t interval_of(const json_t *answer)
{
    static const struct {
        const char *provider, *source;
        json_int_t interval_s;
    } others[] = {
        {"anthropic", "oauth_usage_api", 300}, {"kimi-coding", "usage_api", 300}, {"neuralwatt", "quota_api", 1}};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(json_string_value(json_object_get(answer, "provider")), others[i].provider) == 0 &&
            strcmp(json_string_value(json_object_get(answer, "source")), others[i].source) == 0)
            return others[i].interval_s;
    }
    return 60;
}

/* Takes the polling manners out of the answer: they are there when the provider was heard. */
static void expect_manners(const struct story *story, json_t *answer)
{
    const json_t *queried = json_object_get(json_object_get(answer, "pool"), "queried_credentials");
    bool heard = json_is_integer(json_object_get(answer, "http_status")) || json_integer_value(queried) > 0;
    const json_t *interval = json_object_get(answer, "min_interval_s");

    ck_assert_msg(heard ? json_integer_value(interval) == interval_of(answer) : json_is_null(interval),
                  "%s: min_interval_s is not as it should be", name_of(story));
    json_object_del(answer, "min_interval_s");
}

/* Holds the first answer back until the others are there. */
static void turn_around(const struct story *story)
{
    standin_wait_requests(story->standin, request_count_of(story));
    standin_wait_answers(story->standin, request_count_of(story) - 1);
    standin_release(story->standin);
}

/* Asks, and gives the answer without what no expected.json has. */
static json_t *ask(struct story *story, bool is_backwards)
{
    json_t *request = json_object_get(story->fixture->meta, "request"), *answer;
    bool silent = strcmp(transport_error(story), "timeout") == 0;
    json_t *line =
        json_pack("{s:i, s:O, s:O, s:i}", "id", REQUEST_ID, "provider", json_object_get(request, "provider"), "api_key",
                  json_object_get(request, "api_key"), "timeout_ms", silent ? TIMEOUT_SHORT_MS : TIMEOUT_MS);
    char *text = json_dumps(line, JSON_COMPACT);
    const char *given;
    size_t size;

    asker_write(&story->asker, text);
    if (is_backwards)
        turn_around(story);
    given = asker_read(&story->asker, &size);
    ck_assert_msg(utf8_valid(given, size), "%s: the answer is not UTF-8", name_of(story));
    ck_assert_msg(!utf8_has_control(given, size - 1), "%s: the answer has a control character", name_of(story));
    answer = json_loadb(given, size, 0, NULL);
    ck_assert_msg(json_is_object(answer), "%s: the answer is no object: %.*s", name_of(story), (int)size, given);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), REQUEST_ID);
    json_object_del(answer, "id");
    expect_manners(story, answer);
    free(text);
    json_decref(line);
    return answer;
}

/* ---- comparing ---- */

struct difference {
    char where[1024]; /* a path such as windows.0.label */
};

static bool same(const json_t *expected, const json_t *answer, const char *where, struct difference *difference);

static bool differ(const char *where, struct difference *difference)
{
    snprintf(difference->where, sizeof difference->where, "%s", where);
    return false;
}

static bool same_object(const json_t *expected, const json_t *answer, const char *where, struct difference *difference)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(size_t)expected, name, value)
    {
        char below[1024];

        snprintf(below, sizeof below, "%.900s.%.100s", where, name);
        if (!same(value, json_object_get(answer, name), below, difference))
            return false;
    }
    return json_object_size(expected) == json_object_size(answer) || differ(where, difference);
}

static bool same_array(const json_t *expected, const json_t *answer, const char *where, struct difference *difference)
{
    if (json_array_size(expected) != json_array_size(answer))
        return differ(where, difference);
    for (size_t i = 0; i < json_array_size(expected); i++) {
        char below[1024];

        snprintf(below, sizeof below, "%.900s.%zu", where, i);
        if (!same(json_array_get(expected, i), json_array_get(answer, i), below, difference))
            return false;
    }
    return true;
}

/* Numbers within the tolerance, everything else exactly. */
static bool same(const json_t *expected, const json_t *answer, const char *where, struct difference *difference)
{
    if (json_is_number(expected) && json_is_number(answer))
        return fabs(json_number_value(expected) - json_number_value(answer)) <= TOLERANCE || differ(where, difference);
    if (answer == NULL || json_typeof(expected) != json_typeof(answer))
        return differ(where, difference);
    if (json_is_object(expected))
        return same_object(expected, answer, where, difference);
    if (json_is_array(expected))
        return same_array(expected, answer, where, difference);
    return json_equal(expected, answer) || differ(where, difference);
}

static void compare(const struct story *story, const json_t *answer)
{
    json_t *expected = fixture_expected(story->fixture);
    const json_t *accepted = json_object_get(story->fixture->meta, "accept_status");
    struct difference difference = {""};
    bool fine = false;
    char *text = json_dumps(answer, JSON_COMPACT);

    if (strcmp(fixture_text(story->fixture, "compare"), "full") == 0) {
        fine = same(expected, answer, "answer", &difference);
    } else {
        for (size_t i = 0; i < json_array_size(accepted); i++)
            fine = fine || json_equal(json_array_get(accepted, i), json_object_get(answer, "status"));
    }
    ck_assert_msg(fine, "%s: not as expected at %s: %s", name_of(story), difference.where, text);
    free(text);
    json_decref(expected);
}

/* ---- what holds for every answer ---- */

static size_t character_count(const json_t *text)
{
    const char *bytes = json_string_value(text);
    size_t count = 0;

    for (; bytes != NULL && *bytes != '\0'; bytes++)
        count += (*bytes & 0xc0) != 0x80;
    return count;
}

static void expect_limits(const struct story *story, const json_t *owner)
{
    static const struct {
        const char *list;
        size_t count_max;
    } lists[] = {{"windows", LIMIT_WINDOW_COUNT_MAX},
                 {"details", LIMIT_DETAIL_COUNT_MAX},
                 {"balances", LIMIT_BALANCE_COUNT_MAX},
                 {"credentials", LIMIT_CREDENTIAL_COUNT_MAX}};
    static const struct {
        const char *text;
        size_t character_count_max;
    } texts[] = {{"label", LIMIT_LABEL_CHARACTERS_MAX},
                 {"plan", LIMIT_PLAN_CHARACTERS_MAX},
                 {"detail", LIMIT_TEXT_CHARACTERS_MAX},
                 {"unavailable_reason", LIMIT_TEXT_CHARACTERS_MAX}};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        ck_assert_msg(json_array_size(json_object_get(owner, lists[i].list)) <= lists[i].count_max, "%s: too many %s",
                      name_of(story), lists[i].list);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(character_count(json_object_get(owner, texts[i].text)) <= texts[i].character_count_max,
                      "%s: %s is too long", name_of(story), texts[i].text);
}

static void expect_percentages(const struct story *story, const json_t *window)
{
    const json_t *used = json_object_get(window, "used_percent"), *left = json_object_get(window, "remaining_percent");
    double sum = json_number_value(used) + json_number_value(left);

    ck_assert_msg(json_is_number(used) && json_is_number(left) && json_number_value(used) >= 0 &&
                      json_number_value(left) >= 0 && fabs(sum - 100) <= TOLERANCE,
                  "%s: a window's percentages are no percentages", name_of(story));
}

/* Limits hold for the answer, and for whatever is in it. */
static void expect_sound(const struct story *story, const json_t *value)
{
    const char *name;
    json_t *member;
    size_t index;

    if (json_is_string(value))
        ck_assert_msg(!utf8_has_control(json_string_value(value), json_string_length(value)),
                      "%s: a control character in %s", name_of(story), json_string_value(value));
    if (json_object_get(value, "used_percent") != NULL)
        expect_percentages(story, value);
    expect_limits(story, value);
    json_object_foreach((json_t *)(size_t)value, name, member) expect_sound(story, member);
    json_array_foreach(value, index, member) expect_sound(story, member);
}

static void expect_reason(const struct story *story, const json_t *answer)
{
    ck_assert_msg(json_is_true(json_object_get(answer, "available")) ==
                      json_is_null(json_object_get(answer, "unavailable_reason")),
                  "%s: `available` and the reason contradict each other", name_of(story));
}

/* ---- secrets ---- */

struct secrets {
    char *texts[SECRET_COUNT_MAX];
    size_t count;
};

static void add_secret(struct secrets *secrets, const char *text, size_t size)
{
    if (size < SECRET_SIZE_MIN)
        return;
    ck_assert_uint_lt(secrets->count, SECRET_COUNT_MAX);
    secrets->texts[secrets->count++] = strndup(text, size);
}

/* Strings under names that hold credentials or say whose they are. */
static void gather_json(struct secrets *secrets, const json_t *value)
{
    static const char *const names[] = {
        "access_token", "refresh_token", "id_token",        "accessToken",       "refreshToken",
        "agent_key",    "api_key",       "runtime_api_key", "account_id",        "email",
        "user_id",      "key",           "Authorization",   "ChatGPT-Account-Id"};
    const char *name;
    json_t *member;
    size_t index;

    json_object_foreach((json_t *)(size_t)value, name, member)
    {
        bool secret = false;

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            secret = secret || strcmp(name, names[i]) == 0;
        if (secret && json_is_string(member)) {
            const char *text = json_string_value(member), *bearer = "Bearer ";
            size_t skipped = strncmp(text, bearer, strlen(bearer)) == 0 ? strlen(bearer) : 0;

            add_secret(secrets, text + skipped, strlen(text + skipped));
        }
        gather_json(secrets, member);
    }
    json_array_foreach(value, index, member) gather_json(secrets, member);
}

/* The values of a `.env`, but for base URLs; else JSON. */
static void gather_file(struct secrets *secrets, const char *name, const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    if (json != NULL)
        gather_json(secrets, json);
    json_decref(json);
    if (strcmp(name, ".env") != 0)
        return;
    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *split = memchr(line, '=', size);

        if (split != NULL && memmem(line, size, "_URL", 4) == NULL) {
            const char *first = split + 1 + strspn(split + 1, " \"'");

            if (first < line + size)
                add_secret(secrets, first, strcspn(first, " \"'\n"));
        }
        line += size + (line[size] == '\n' ? 1 : 0);
    }
}

static void gather_secrets(struct secrets *secrets, const struct story *story)
{
    static const char *const homes[] = {"home_files", "user_home_files"};
    const char *name;
    json_t *member;
    size_t index;

    gather_json(secrets, json_object_get(story->fixture->meta, "request"));
    gather_json(secrets, json_object_get(story->fixture->meta, "exchanges"));
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        json_object_foreach(json_object_get(story->fixture->meta, homes[i]), name, member)
            gather_file(secrets, name, json_string_value(member));
    }
    json_array_foreach(json_object_get(story->fixture->meta, "exchanges"), index, member)
    {
        const char *file = json_string_value(json_object_get(json_object_get(member, "respond"), "body_file"));
        struct text body = TEXT_EMPTY;

        if (file != NULL)
            fixture_read(story->fixture, file, &body);
        gather_file(secrets, "body", text_string(&body));
        text_fini(&body);
    }
}

static void expect_discretion(const struct story *story)
{
    struct secrets secrets = {.count = 0};

    gather_secrets(&secrets, story);
    for (size_t i = 0; i < secrets.count; i++) {
        ck_assert_msg(strstr(text_string(&story->asker.out), secrets.texts[i]) == NULL, "%s: the answer says %s",
                      name_of(story), secrets.texts[i]);
        ck_assert_msg(strstr(text_string(&story->asker.err), secrets.texts[i]) == NULL, "%s: standard error says %s",
                      name_of(story), secrets.texts[i]);
        free(secrets.texts[i]);
    }
}

static void expect_requests(const struct story *story)
{
    size_t expected_count = request_count_of(story);
    /* Behind a certificate that is refused no request is ever read: there an attempt is a connection. */
    bool refused = strcmp(transport_error(story), "tls") == 0;
    size_t count = refused ? standin_connection_count(story->standin) : standin_request_count(story->standin);

    ck_assert_msg(standin_unexpected(story->standin)[0] == '\0', "%s: asked for what nobody expected: %s",
                  name_of(story), standin_unexpected(story->standin));
    ck_assert_msg(count == expected_count, "%s: %zu requests instead of %zu", name_of(story), count, expected_count);
    ck_assert_msg(expected_count > 0 || standin_connection_count(story->standin) == 0,
                  "%s: a connection although there was nothing to ask", name_of(story));
}

static void expect_homes_untouched(const struct story *story)
{
    struct text after = TEXT_EMPTY;

    describe_homes(story, &after);
    ck_assert_msg(after.size == story->before.size && memcmp(after.bytes, story->before.bytes, after.size) == 0,
                  "%s: a home was touched", name_of(story));
    text_fini(&after);
}

static void play(const char *path, bool is_backwards)
{
    struct story story;
    json_t *answer;

    story_open(&story, path);
    if (is_backwards)
        standin_set_backwards(story.standin);
    standin_start(story.standin, 0);
    start_worker(&story);
    answer = ask(&story, is_backwards);
    ck_assert_int_eq(asker_finish(&story.asker), 0);
    ck_assert_msg(story.asker.read_size == story.asker.out.size, "%s: more than one line", name_of(&story));
    ck_assert_msg(story.asker.err.size == 0, "%s: it said: %s", name_of(&story), text_string(&story.asker.err));
    compare(&story, answer);
    expect_sound(&story, answer);
    expect_reason(&story, answer);
    expect_requests(&story);
    expect_discretion(&story);
    expect_homes_untouched(&story);
    json_decref(answer);
    story_close(&story);
}

START_TEST(a_case_is_answered_as_expected_and_nothing_else_happens)
{
    play(cases[_i], false);
}
END_TEST

START_TEST(the_order_of_the_answers_does_not_matter)
{
    play(backwards[_i], true);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("provider");
    TCase *tcase = tcase_create("cases");
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: test-provider ID|none\n");
        return 2;
    }
    choose_cases(argv[1]);
    printf("%s: %zu cases\n", argv[1], case_count);
    fflush(stdout); /* each case is a child */
    tcase_add_loop_test(tcase, a_case_is_answered_as_expected_and_nothing_else_happens, 0, (int)case_count);
    if (backwards_count > 0)
        tcase_add_loop_test(tcase, the_order_of_the_answers_does_not_matter, 0, (int)backwards_count);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    status = check_main(suite);
    while (case_count > 0)
        free((char *)(size_t)cases[--case_count]);
    return status;
}
