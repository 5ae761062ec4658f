/* What every scenario file begins with: one stage a test, and short names for what is on it.
 *
 *     STORY_SETUP(one_worker, "--pool-workers-per-home", "1")      a fixture with these settings
 *     story_case(suite, "queue", one_worker)                       a case whose tests each get a fresh daemon */
#ifndef TESTS_SUPPORT_STORY_H
#define TESTS_SUPPORT_STORY_H

#include "tests/support/check_main.h"
#include "tests/support/daemon.h"
#include "tests/support/patience.h"

#include <stdio.h>

static struct stage stage;
static struct daemon *const server = &stage.daemon;
static struct caller *const caller = &stage.daemon.caller;
static struct home *const home = &stage.home;

#define STORY_SETUP(name, ...)                                                                                         \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        static const char *const settings[] = {__VA_ARGS__, NULL};                                                     \
        stage_open(&stage, settings);                                                                                  \
    }

static inline void story_setup(void)
{
    stage_open(&stage, NULL);
}

static inline void story_teardown(void)
{
    stage_close(&stage);
}

static inline TCase *story_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, story_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    return tcase;
}

/* A probe in the story's home. */
static inline struct call *begin(const char *provider, const char *api_key)
{
    return probe_begin(caller, home->path, provider, api_key, 0);
}

/* The same, once its worker has it. */
static inline struct call *begin_leased(const char *provider, const char *api_key)
{
    size_t asked = home_count(home, "ask");
    struct call *call = begin(provider, api_key);

    home_wait(home, "ask", asked + 1);
    return call;
}

/* The same with `refresh`. */
static inline struct call *begin_refresh(const char *provider)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = home->path;
    request.provider = (char *)(uintptr_t)provider;
    request.refresh = true;
    return call_begin(caller, METHOD_PROBE, 0, &request.base);
}

/* Waits, asserts, and ends the call. */
static inline void expect_origin(struct call *call, Probed__V1__Origin origin)
{
    ck_assert_int_eq((int)probe_response(call)->origin, (int)origin);
    call_end(call);
}

static inline void expect_plan(struct call *call, const char *plan)
{
    ck_assert_str_eq(probe_response(call)->usage->plan, plan);
    call_end(call);
}

/* The process that answered. */
static inline pid_t worker_pid(const Probed__V1__ProbeResponse *response)
{
    int pid = 0;

    ck_assert_uint_ge(response->usage->n_details, 1);
    ck_assert_int_eq(sscanf(response->usage->details[0], "pid %d", &pid), 1);
    return pid;
}

/* Two workers in a row that end unanswered make their home pause; an invalidation ends that. */
static inline void end_pause(const char *path)
{
    struct call *call = invalidate_begin(caller, path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);

    invalidate_response(call);
    call_end(call);
}

static inline void expect_failure(struct call *call, enum status_code code, const char *message)
{
    call_expect(call, code, message);
    call_end(call);
}

/* The same for a row of a table, which is told when it fails. */
static inline void expect_failure_of(const char *row, struct call *call, enum status_code code)
{
    call_wait(call);
    ck_assert_msg(call->error == 0, "\"%s\": no reply: %s", row, nng_strerror(call->error));
    ck_assert_msg((int)call->response->code == (int)code, "\"%s\": %s instead of %s: %s", row,
                  status_code_name((enum status_code)call->response->code), status_code_name(code),
                  call->response->message);
    call_end(call);
}

/* Asserts a bound in time: `round` tries once, asserts what has nothing to do with time, and tells whether it kept to
 * the bound. */
static inline void expect_in_time(bool (*round)(size_t number))
{
    bool in_time = false;

    for (size_t number = 0; number < PATIENCE_ROUNDS && !in_time; number++)
        in_time = round(number);
    ck_assert_msg(in_time || !patience_time_counts(), "too late in each of %d rounds", PATIENCE_ROUNDS);
}

/* From sending to the reply. */
static inline uint64_t taken_ns(const struct call *call)
{
    return call->answered_ns - call->sent_ns;
}

#define ROW_COUNT(table) (sizeof(table) / sizeof((table)[0]))

#endif
