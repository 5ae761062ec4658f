/* What the stories of observed rotation begin with: a daemon that observes, somebody who listens, and ways to change a
 * credential of the story's home.
 *
 * What must not be an event is shown by the next one that must be: generations are dense. */
#ifndef TESTS_SUPPORT_ROTATION_H
#define TESTS_SUPPORT_ROTATION_H

#include "server/base/clock.h"
#include "tests/support/listener.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <stdlib.h>
#include <unistd.h>

/* The contract's: where changes are told of, and where they must be looked for. */
enum { SEEN_MS = 1000, POLLED_MS = 3000, CREDENTIAL_SIZE = 512 };

static struct listener listener;
static uint64_t generation; /* of the home, as last heard */
static struct home writers; /* the home as those see it who write in it; lent to nobody */

/* The address sanitizer looks for leaks, and for its options, in /proc, which a sealed reader cannot see, and calls that
 * a failure: there, readers are not sealed and look for no leaks. */
static const char *const observing[] = {"--events-observe",
                                        "yes",
                                        "--events-heartbeat-ms",
                                        "50",
                                        "--worker-env-pass",
                                        "PATH ASAN_OPTIONS",
                                        "--worker-sandbox",
                                        SANITIZED ? "off" : "auto",
                                        NULL};

static inline void excuse_readers(void)
{
    const char *options = getenv("ASAN_OPTIONS");
    char excused[512];

    snprintf(excused, sizeof excused, "%s:detect_leaks=0", options == NULL ? "" : options);
    ck_assert_int_eq(setenv("ASAN_OPTIONS", excused, 1), 0);
}

/* On a stage that is open, with a home in it. */
static inline void rotation_start(const char *const *settings)
{
    excuse_readers();
    daemon_start(server, &stage.scratch, settings);
    listener_open(&listener, server->events_url);
    generation = 1;
    writers = *home;
}

static inline void rotation_open(const char *const *settings)
{
    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    rotation_start(settings);
}

static inline void rotation_close(void)
{
    listener_close(&listener);
    story_teardown();
}

static inline pid_t custodian(void)
{
    pid_t pid = process_child_named(server->pid, "probed-custodian");

    ck_assert_int_gt(pid, 0);
    return pid;
}

/* ---- what a home holds ---- */

static inline const char *in_home(const char *file)
{
    static char paths[4][HOME_PATH_SIZE * 2];
    static size_t next;
    char *path = paths[next++ % ROW_COUNT(paths)];

    snprintf(path, sizeof paths[0], "%s/%s", writers.path, file);
    return path;
}

static inline void write_in_place(const char *path, const char *text)
{
    FILE *stream = fopen(path, "we");

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_ge(fputs(text, stream), 0);
    ck_assert_int_eq(fclose(stream), 0);
}

/* A `.env` with this number of a key. */
static inline void env_of(size_t number, char text[CREDENTIAL_SIZE])
{
    snprintf(text, CREDENTIAL_SIZE, "OPENROUTER_API_KEY=sk-or-v1-%064zu\n", number);
}

/* A pool of auth.json: the token is a credential, the marks behind it are not. */
static inline void pool_of(size_t token, size_t mark, char text[CREDENTIAL_SIZE])
{
    snprintf(text, CREDENTIAL_SIZE,
             "{\"credential_pool\": {\"openrouter\": [{\"id\": \"a1\", \"access_token\": \"sk-or-v1-%064zu\", "
             "\"last_status_at\": %zu, \"request_count\": %zu}]}, \"updated_at\": \"2026-11-24T10:00:%02zuZ\"}\n",
             token, mark, mark, mark % 60);
}

/* ---- ways to change a credential ---- */

static inline void change_in_place(size_t number)
{
    char text[CREDENTIAL_SIZE];

    env_of(number, text);
    write_in_place(in_home(".env"), text);
}

static inline void change_by_rename(size_t number)
{
    char text[CREDENTIAL_SIZE];

    env_of(number, text);
    home_write(&writers, ".env", text);
}

/* Gone; and where it is gone, there again. */
static inline void change_by_removal(size_t number)
{
    if (unlink(in_home(".env")) != 0)
        change_in_place(number);
}

/* A link that leads to one file and then, in an instant, to another. */
static inline void change_by_link(size_t number)
{
    char target[32], text[CREDENTIAL_SIZE];

    snprintf(target, sizeof target, "pool-%zu", number % 2);
    pool_of(number, 0, text);
    write_in_place(in_home(target), text);
    unlink(in_home("link"));
    ck_assert_int_eq(symlink(target, in_home("link")), 0);
    ck_assert_int_eq(rename(in_home("link"), in_home("auth.json")), 0);
}

static void (*const changes[])(size_t number) = {change_in_place, change_by_rename, change_by_removal, change_by_link};

/* ---- what is heard ---- */

/* From the first probe on it is observed. */
static inline void begin_observing(void)
{
    expect_plan(begin("openrouter", NULL), "one");
    ck_assert_uint_eq(daemon_number(server, "probed_observed_homes"), 1);
}

static inline uint64_t fence_generation(void)
{
    struct call *call = sync_begin(caller, home->path);
    uint64_t now = sync_response(call)->fence->generation;

    call_end(call);
    return now;
}

/* What has happened up to now is nothing to whoever listens. */
static inline void forget_heard(void)
{
    generation = fence_generation();
    listener_close(&listener); /* and what it has not read */
    listener_open(&listener, server->events_url);
}

/* The next event is the next generation, of this provider (NULL: whichever), seen and not asked for; how many
 * milliseconds that is behind `since_ns`. */
static inline uint64_t expect_change(const char *provider, uint64_t since_ns)
{
    struct heard heard = listener_next_event(&listener);
    uint64_t ms = (clock_now_ns() - since_ns) / NS_PER_MS;

    generation++;
    ck_assert_str_eq(heard.event->home, home->path);
    if (provider != NULL)
        ck_assert_str_eq(heard.event->provider, provider);
    ck_assert_int_eq((int)heard.event->cause, PROBED__V1__CAUSE__CAUSE_OBSERVED);
    ck_assert_uint_eq(heard.event->fence->generation, generation);
    heard_end(&heard);
    return ms;
}

#endif
