/* What the suites of probe-worker begin with: two homes, a stand-in for every host, and the worker itself.
 *
 * A test teaches the stand-in first, then starts both, then asks; what is put into a home meanwhile is put there by a
 * rename, as tools that rotate credentials do. */
#ifndef TESTS_SUPPORT_WORKER_STORY_H
#define TESTS_SUPPORT_WORKER_STORY_H

#include "server/base/text.h"
#include "tests/support/asker.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/scratch.h"
#include "tests/support/standin.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LONG_MS = 3600000 };

static struct scratch scratch;
static struct standin *standin;
static struct asker asker;
static char home[SCRATCH_PATH_SIZE + 8], user_home[SCRATCH_PATH_SIZE + 8];

static inline void setup(void)
{
    scratch_open(&scratch);
    snprintf(home, sizeof home, "%s/home", scratch.path);
    snprintf(user_home, sizeof user_home, "%s/user", scratch.path);
    ck_assert_int_eq(mkdir(home, 0700), 0);
    ck_assert_int_eq(mkdir(user_home, 0700), 0);
    standin = standin_create(scratch.path);
    asker = (struct asker){.in_fd = -1};
}

static inline void teardown(void)
{
    standin_destroy(standin);
    asker_fini(&asker);
    scratch_close(&scratch);
}

/* Replaces a file below the home or the user's. */
static inline void put(const char *directory, const char *name, const char *text)
{
    char path[256], draft[256 + 8];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(draft, sizeof draft, "%s.draft", path);
    file = fopen(draft, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(rename(draft, path), 0);
}

/* Starts both; every host leads to the stand-in. */
static inline void start_with(const char *foreign, const char *variable)
{
    char catch_all[64], home_variable[SCRATCH_PATH_SIZE + 32];
    const char *environment[] = {home_variable, variable, NULL};

    standin_start(standin, 0);
    snprintf(catch_all, sizeof catch_all, "::127.0.0.1:%u", standin_port(standin));
    snprintf(home_variable, sizeof home_variable, "HERMES_HOME=%s", home);
    asker_start(&asker, scratch.path,
                (const char *const[]){"--cacert", standin_ca_file(standin), "--connect-to", catch_all, "--user-home",
                                      user_home, "--foreign-credentials", foreign, NULL},
                environment);
}

static inline void start(void)
{
    start_with("no", NULL);
}

static inline void write_request(const char *provider, unsigned timeout_ms)
{
    char line[256];

    snprintf(line, sizeof line, "{\"id\":1,\"provider\":\"%s\",\"timeout_ms\":%u}", provider, timeout_ms);
    asker_write(&asker, line);
}

static inline json_t *read_answer(void)
{
    size_t size;
    const char *line = asker_read(&asker, &size);
    json_t *answer = json_loadb(line, size, JSON_DECODE_ANY, NULL);

    ck_assert_msg(answer != NULL, "no JSON: %.*s", (int)size, line);
    return answer;
}

static inline json_t *probe(const char *provider, unsigned timeout_ms)
{
    write_request(provider, timeout_ms);
    return read_answer();
}

static inline const char *text_of(const json_t *answer, const char *name)
{
    const char *text = json_string_value(json_object_get(answer, name));

    return text == NULL ? "" : text;
}

static inline void expect(const json_t *answer, const char *status, const char *reason)
{
    ck_assert_str_eq(text_of(answer, "status"), status);
    ck_assert_str_eq(text_of(answer, "unavailable_reason"), reason);
}

static inline void finish(void)
{
    ck_assert_int_eq(asker_finish(&asker), 0);
}

/* The headers of a request with this token; given. */
static inline json_t *bearer(const char *token)
{
    char value[512];

    snprintf(value, sizeof value, "Bearer %s", token);
    return json_pack("{s:s}", "Authorization", value);
}

static inline TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    return tcase;
}

#endif
