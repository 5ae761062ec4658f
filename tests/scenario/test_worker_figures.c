/* What probe-worker promises about time and memory (server/worker/README.md): measured, printed, and held to.
 *
 * The machine has other things to do: a start is tried a few times, and everything else is judged by the worker's own
 * time, which the kernel counts (/proc/<pid>/schedstat); neither the stand-in nor the loopback is in it. */
#include "server/base/clock.h"
#include "tests/support/process.h"
#include "tests/support/samples.h"
#include "tests/support/worker_story.h"

#include <stdlib.h>

enum {
    PROBE_COUNT = 201,
    START_COUNT = 12, /* until one is in time */
    HOSTILE_COUNT = 5,
    START_US_MAX = 30000,
    MEMORY_KIB_MAX = 8192,
    OWN_US_MAX = 300,
    HOSTILE_US_MAX = 20000,
    HOSTILE_SIZE = 1048576,
    HOSTILE_DEPTH = 100000
};

static const char key_body[] = "{\"data\":{\"usage\":3.5,\"limit\":null}}";

static void teach(const void *body, size_t size)
{
    put(home, ".env", "OPENROUTER_API_KEY=sk-or-test-key\n");
    standin_set_tireless(standin);
    standin_teach(standin,
                  &(struct standin_exchange){
                      .host = "openrouter.ai", .path = "/api/v1/key", .status = 200, .body = body, .body_size = size});
}

static uint64_t probe_us(const char *provider, const char *status)
{
    uint64_t asked_ns = clock_now_ns(), taken_ns;
    json_t *answer = probe(provider, LONG_MS);

    taken_ns = clock_now_ns() - asked_ns;
    ck_assert_str_eq(text_of(answer, "status"), status);
    json_decref(answer);
    return taken_ns / 1000;
}

/* Nanoseconds on a processor, so far. */
static uint64_t own_ns(void)
{
    char path[64];
    unsigned long long ns;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)asker.pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%llu", &ns), 1);
    fclose(file);
    return ns;
}

START_TEST(a_worker_is_ready_soon)
{
    uint64_t best_us = UINT64_MAX;

    teach(key_body, strlen(key_body));
    standin_start(standin, 0);
    for (int round = 0; round < START_COUNT && (round < PATIENCE_ROUNDS || best_us >= START_US_MAX); round++) {
        uint64_t begun_ns = clock_now_ns(), taken_us;

        asker_start(&asker, home, (const char *const[]){"--home", home, NULL}, (const char *const[]){NULL});
        json_decref(probe("groq", LONG_MS)); /* needs no network: what it takes is the start */
        taken_us = (clock_now_ns() - begun_ns) / 1000;
        best_us = taken_us < best_us ? taken_us : best_us;
        finish();
        asker_fini(&asker);
    }
    asker = (struct asker){.in_fd = -1};
    printf("start to first answer: %llu us\n", (unsigned long long)best_us);
    if (patience_time_counts())
        ck_assert_uint_lt(best_us, START_US_MAX);
}
END_TEST

/* Adds the system's authorities to the stand-in's: a worker in the field trusts all of them. */
static void trust_the_system(void)
{
    FILE *from = fopen("/etc/ssl/certs/ca-certificates.crt", "r"), *to = fopen(standin_ca_file(standin), "a");
    char chunk[65536];
    size_t size;

    ck_assert_ptr_nonnull(from);
    ck_assert_ptr_nonnull(to);
    while ((size = fread(chunk, 1, sizeof chunk, from)) > 0)
        ck_assert_uint_eq(fwrite(chunk, 1, size, to), size);
    fclose(from);
    ck_assert_int_eq(fclose(to), 0);
}

START_TEST(a_worker_that_asked_over_https_is_small)
{
    size_t kib;

    teach(key_body, strlen(key_body));
    start();
    trust_the_system(); /* before its first question, which reads them */
    probe_us("openrouter", "ok");
    kib = process_private_kib(asker.pid);
    printf("private memory after the first HTTPS answer: %zu KiB\n", kib);
    if (patience_time_counts()) /* a sanitizer's own is in it */
        ck_assert_uint_lt(kib, MEMORY_KIB_MAX);
    finish();
}
END_TEST

START_TEST(a_warm_probe_costs_little)
{
    uint64_t own_us[PROBE_COUNT], whole_us[PROBE_COUNT], cold_us, own_p50_us;

    teach(key_body, strlen(key_body));
    start();
    json_decref(probe("groq", LONG_MS)); /* it runs */
    cold_us = probe_us("openrouter", "ok");
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        uint64_t before_ns = own_ns();

        whole_us[i] = probe_us("openrouter", "ok");
        own_us[i] = (own_ns() - before_ns) / 1000;
    }
    ck_assert_uint_eq(standin_connection_count(standin), 1);
    own_p50_us = samples_at(own_us, PROBE_COUNT, 50);
    printf("first probe: %llu us; warm, p50: %llu us, of them the worker's own: %llu us\n", (unsigned long long)cold_us,
           (unsigned long long)samples_at(whole_us, PROBE_COUNT, 50), (unsigned long long)own_p50_us);
    if (patience_time_counts())
        ck_assert_uint_lt(own_p50_us, OWN_US_MAX);
    finish();
}
END_TEST

START_TEST(a_hostile_body_is_refused_soon)
{
    char *body = malloc(HOSTILE_SIZE);
    uint64_t best_us = UINT64_MAX, best_own_us = UINT64_MAX;

    ck_assert_ptr_nonnull(body);
    memset(body, ' ', HOSTILE_SIZE);
    memcpy(body, "{\"data\":", 8);
    memset(body + 8, '[', HOSTILE_DEPTH);
    memset(body + HOSTILE_SIZE - HOSTILE_DEPTH - 1, ']', HOSTILE_DEPTH);
    body[HOSTILE_SIZE - 1] = '}';
    teach(body, HOSTILE_SIZE);
    start();
    json_decref(probe("groq", LONG_MS)); /* it runs */
    for (int round = 0; round < HOSTILE_COUNT; round++) {
        uint64_t before_ns = own_ns(), taken_us = probe_us("openrouter", "unavailable");
        uint64_t own_us = (own_ns() - before_ns) / 1000;

        best_us = taken_us < best_us ? taken_us : best_us;
        best_own_us = own_us < best_own_us ? own_us : best_own_us;
    }
    printf("1 MiB, 100,000 arrays deep: refused in %llu us, of them the worker's own: %llu us\n",
           (unsigned long long)best_us, (unsigned long long)best_own_us);
    if (patience_time_counts())
        ck_assert_uint_lt(best_own_us, HOSTILE_US_MAX);
    free(body);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_figures");
    TCase *tcase = add_case(suite, "figures");

    tcase_add_test(tcase, a_worker_is_ready_soon);
    tcase_add_test(tcase, a_worker_that_asked_over_https_is_small);
    tcase_add_test(tcase, a_warm_probe_costs_little);
    tcase_add_test(tcase, a_hostile_body_is_refused_soon);
    return check_main(suite);
}
