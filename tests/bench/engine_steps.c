/* bench-engine: what a step of the engine takes with few and with many homes known, and what a home costs.
 *
 * No threads, no clock but for the measuring: workers start and answer at once, in virtual time.  Every home has one
 * answer of 600 bytes in the cache.  Asked for are 64 of them, which shows what the number of homes known costs; or all
 * in turn at random, so that most of what a step touches is in no cache of the CPU, which shows what memory costs.
 *
 *     bench-engine [json]
 *
 * Prints the median of each kind of step, the clock's own cost taken off; as a table, or as one line of JSON. */
#include "server/base/clock.h"
#include "server/base/duration.h"
#include "server/base/secret.h"
#include "server/engine/engine.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_SIZE = 600, STEP_COUNT = 100000, CALL_COUNT = 16, FEW = 64, MANY = 100000 };

static struct engine *engine;
static uint64_t now_ns = NS_PER_S, call_ids;
static struct engine_call calls[CALL_COUNT];
static uint64_t random_state = 88172645463325252u;

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench-engine: %s\n", what);
    exit(1);
}

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void path_of(uint64_t home, char *path_out, size_t size)
{
    snprintf(path_out, size, "/home/user%06" PRIu64 "/.hermes", home);
}

/* ---- a world that does what it is told at once ---- */

static void answer_lease(struct engine_lease *lease, struct actions *actions)
{
    struct answer *answer = answer_create(ANSWER_SIZE);

    require(answer != NULL, "no memory");
    memset(answer->bytes, 'a', ANSWER_SIZE);
    answer->account = ACCOUNT_OK;
    answer->figures = true;
    engine_lease_returned(engine, now_ns, lease, &(struct lease_outcome){.end = LEASE_ANSWERED, .answer = answer},
                          actions);
}

static void carry_out(struct actions *actions);

static void carry_out_orders(void)
{
    const struct status gone = status_make(STATUS_UNAVAILABLE, "ended");
    struct engine_order order;

    while (engine_order_next(engine, &order)) {
        struct actions actions = ACTIONS_EMPTY;

        if (order.kind == ENGINE_ORDER_PIN)
            require(engine_worker_pinned(engine, now_ns, order.worker_id, 0, &actions), "a start is not wanted");
        else if (order.kind == ENGINE_ORDER_LAUNCH)
            engine_worker_up(engine, now_ns, order.worker_id, 1, (struct worker_channel){0, 0}, 1, &actions);
        else
            engine_worker_gone(engine, now_ns, order.worker_id, ENGINE_BLAME_WORKER, &gone, &actions);
        carry_out(&actions);
    }
}

static void carry_out(struct actions *actions)
{
    struct engine_news news;

    for (struct engine_call *call = actions->answered; call != NULL; call = call->next_answered)
        answer_release(call->result.answer);
    for (struct engine_lease *lease = actions->leased, *next; lease != NULL; lease = next) {
        struct actions then = ACTIONS_EMPTY;

        next = lease->next_leased;
        answer_lease(lease, &then);
        carry_out(&then);
    }
    while (engine_news_next(engine, &news))
        continue;
    carry_out_orders();
}

static struct engine_call *prepare(enum engine_call_kind kind, bool refresh)
{
    struct engine_call *call = &calls[call_ids % CALL_COUNT];

    *call = (struct engine_call){
        .id = ++call_ids,
        .kind = kind,
        .arrived_ns = now_ns,
        .deadline_ns = now_ns + 35 * NS_PER_S,
    };
    memcpy(call->provider, "openrouter", sizeof "openrouter");
    if (kind == ENGINE_CALL_PROBE)
        call->probe.refresh = refresh;
    return call;
}

/* ---- kinds of steps ---- */

static void step_cached(const char *path, struct actions *actions)
{
    engine_probe_arrived(engine, now_ns, prepare(ENGINE_CALL_PROBE, false), path, actions);
}

static void step_lease(const char *path, struct actions *actions)
{
    engine_probe_arrived(engine, now_ns, prepare(ENGINE_CALL_PROBE, true), path, actions);
}

static void step_invalidate(const char *path, struct actions *actions)
{
    engine_invalidate_arrived(engine, now_ns, prepare(ENGINE_CALL_INVALIDATE, false), path, 0, actions);
}

static void step_sync(const char *path, struct actions *actions)
{
    engine_sync_arrived(engine, now_ns, prepare(ENGINE_CALL_SYNC, false), path, actions);
}

static const struct {
    const char *name;
    void (*step)(const char *path, struct actions *actions);
} kinds[] = {
    {"probe, cached", step_cached},
    {"probe, needs a lease", step_lease},
    {"sync", step_sync},
    {"invalidate", step_invalidate},
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

/* Of home_count homes known, asked_count are asked for, spread evenly. */
static uint64_t median_ns(void (*step)(const char *path, struct actions *actions), uint64_t home_count,
                          uint64_t asked_count)
{
    static uint64_t taken_ns[STEP_COUNT];
    char path[64];

    for (size_t i = 0; i < STEP_COUNT; i++) {
        struct actions actions = ACTIONS_EMPTY;
        uint64_t began_ns;

        path_of(draw(asked_count) * (home_count / asked_count), path, sizeof path);
        now_ns += 1000;
        began_ns = clock_now_ns();
        if (step != NULL)
            step(path, &actions);
        taken_ns[i] = clock_now_ns() - began_ns;
        carry_out(&actions);
    }
    qsort(taken_ns, STEP_COUNT, sizeof taken_ns[0], compare);
    return taken_ns[STEP_COUNT / 2];
}

/* ---- memory ---- */

static uint64_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}

static void time_passes(uint64_t until_ns)
{
    while (now_ns < until_ns) {
        struct actions actions = ACTIONS_EMPTY;
        uint64_t next_ns = engine_next_ns(engine);

        now_ns = next_ns > now_ns && next_ns < until_ns ? next_ns : next_ns >= until_ns ? until_ns : now_ns;
        engine_time_passed(engine, now_ns, &actions);
        carry_out(&actions);
        if (next_ns >= until_ns)
            return;
    }
}

static void know(uint64_t home_count)
{
    char path[64];

    for (uint64_t home = 0; home < home_count; home++) {
        struct actions actions = ACTIONS_EMPTY;

        path_of(home, path, sizeof path);
        step_cached(path, &actions);
        carry_out(&actions);
    }
}

static void measure_steps(uint64_t home_count, uint64_t asked_count, uint64_t medians[KIND_COUNT])
{
    uint64_t clock_ns = median_ns(NULL, home_count, asked_count);

    for (size_t i = 0; i < KIND_COUNT; i++)
        medians[i] = median_ns(kinds[i].step, home_count, asked_count) - clock_ns;
}

/* What was found with so many homes known. */
struct findings {
    uint64_t home_count;
    uint64_t bytes_with_answer, bytes_bare;          /* a home */
    uint64_t few_ns[KIND_COUNT], all_ns[KIND_COUNT]; /* 64 of them asked for, or all */
};

static void measure(struct findings *findings)
{
    const struct engine_settings settings = {
        .homes_max = 1000000,
        .workers_per_home = 2,
        .workers_max = 16,
        .reserve_per_home = 1,
        .reserve_wait_ns = 250 * NS_PER_MS,
        .prewarm = true,
        .queue_per_home = 64,
        .queue_max = 4096,
        .idle_ns_max = 300 * NS_PER_S,
        .lifetime_ns = 3600 * NS_PER_S,
        .requests_max = 10000,
        .run_ns_max = 30 * NS_PER_S,
        .cache_ttl_ns = 3600 * NS_PER_S,
        .cache_entries_max = 1000000,
        .cache_bytes_max = 1 << 30,
        .failure_ttl_ns = NS_PER_S,
        .keep_good_ns = 86400 * NS_PER_S,
    };
    const struct map_seed seed = {{1, 2, 3}};
    uint64_t before_bytes = heap_bytes();
    struct actions actions = ACTIONS_EMPTY;

    engine = engine_create(&settings, &seed, 1);
    require(engine != NULL, "no memory");
    know(findings->home_count);
    time_passes(now_ns + 400 * NS_PER_S);
    findings->bytes_with_answer = (heap_bytes() - before_bytes) / findings->home_count;
    measure_steps(findings->home_count, FEW, findings->few_ns);
    measure_steps(findings->home_count, findings->home_count, findings->all_ns);
    time_passes(now_ns + 2 * 86400 * NS_PER_S);
    findings->bytes_bare = (heap_bytes() - before_bytes) / findings->home_count;
    engine_stop(engine, now_ns, &actions);
    carry_out(&actions);
    engine_destroy(engine);
}

static void print_table(const struct findings *few, const struct findings *many)
{
    const struct findings *const both[] = {few, many};

    for (size_t i = 0; i < 2; i++)
        printf("%7" PRIu64 " homes: %" PRIu64 " bytes each with an answer of %d, %" PRIu64 " without, or a worker\n",
               both[i]->home_count, both[i]->bytes_with_answer, ANSWER_SIZE, both[i]->bytes_bare);
    printf("%-22s %10s %17s %6s %20s\n", "median of a step", "64 known", "64 of 100,000", "ratio",
           "100,000 of 100,000");
    for (size_t i = 0; i < KIND_COUNT; i++)
        printf("%-22s %7" PRIu64 " ns %14" PRIu64 " ns %6.2f %17" PRIu64 " ns\n", kinds[i].name, few->few_ns[i],
               many->few_ns[i], (double)many->few_ns[i] / (double)few->few_ns[i], many->all_ns[i]);
}

static void print_json(const struct findings *few, const struct findings *many)
{
    printf("{\"homes\":%" PRIu64 ",\"bytes_with_answer\":%" PRIu64 ",\"bytes_bare\":%" PRIu64 ",\"steps\":{",
           many->home_count, many->bytes_with_answer, many->bytes_bare);
    for (size_t i = 0; i < KIND_COUNT; i++)
        printf("%s\"%s\":{\"few_ns\":%" PRIu64 ",\"few_of_many_ns\":%" PRIu64 ",\"many_ns\":%" PRIu64 "}",
               i == 0 ? "" : ",", kinds[i].name, few->few_ns[i], many->few_ns[i], many->all_ns[i]);
    printf("}}\n");
}

int main(int argc, char **argv)
{
    static struct findings few = {.home_count = FEW}, many = {.home_count = MANY};
    bool json = argc == 2 && strcmp(argv[1], "json") == 0;

    if (argc > 1 && !json) {
        fprintf(stderr, "usage: bench-engine [json]\n");
        return 2;
    }
    require(secret_setup() == 0, "libsodium cannot start");
    measure(&few);
    measure(&many);
    (json ? print_json : print_table)(&few, &many);
    return 0;
}
