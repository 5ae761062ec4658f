/* A probe sent after Invalidate was answered never gets an older answer: tried many times, with a probe in the air at
 * the fence in most of them.
 *
 * Each home's credential is the number of its latest rotation.  A worker reads it when it starts and answers with it
 * for ever, so any worker, flight or cached answer that outlives its fence shows. */
#include "server/base/clock.h"
#include "tests/support/story.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

enum {
    TRY_COUNT = 100000,       /* of which ... */
    IN_THE_AIR_COUNT = 10000, /* ... at least so many with a probe in the air at the fence */
    LANE_COUNT = 4,           /* homes at once */
    HEAD_START_US_MAX = 1500  /* of the probe in the air: from too late to answered before the fence */
};

struct lane {
    struct home home;
    uint64_t rotation;
    struct call *before, *fence, *after;
};

static struct lane lanes[LANE_COUNT];
static size_t in_the_air_count;

static struct call *refresh(const struct lane *lane)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;

    request.home = (char *)(uintptr_t)lane->home.path;
    request.provider = (char *)(uintptr_t) "slow-1";
    request.refresh = true;
    return call_begin(caller, METHOD_PROBE, 0, &request.base);
}

static void spin_us(uint64_t us)
{
    uint64_t due_ns = clock_now_ns() + us * 1000;

    while (clock_now_ns() < due_ns)
        sched_yield();
}

/* Rotates, with a probe on its way, and fences. */
static void begin_try(struct lane *lane)
{
    char credential[32];

    lane->rotation++;
    lane->before = refresh(lane);
    spin_us((uint64_t)rand() % HEAD_START_US_MAX);
    snprintf(credential, sizeof credential, "%" PRIu64, lane->rotation);
    home_write(&lane->home, "credential", credential);
    lane->fence = invalidate_begin(caller, lane->home.path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
}

/* The fence was answered: from now on only the rotation's answer counts. */
static void probe_behind_fence(struct lane *lane)
{
    const Probed__V1__InvalidateResponse *response = invalidate_response(lane->fence);

    in_the_air_count += response->workers_draining > 0;
    ck_assert_uint_eq(response->fence->generation, lane->rotation + 1);
    lane->after = probe_begin(caller, lane->home.path, "slow-1", NULL, 0);
}

static uint64_t rotation_of(const Probed__V1__ProbeResponse *response)
{
    return strtoull(response->usage->plan, NULL, 10);
}

static void end_try(struct lane *lane)
{
    const Probed__V1__ProbeResponse *after = probe_response(lane->after), *before = probe_response(lane->before);

    ck_assert_msg(rotation_of(after) == lane->rotation, "rotation %" PRIu64 " was answered with %s", lane->rotation,
                  after->usage->plan);
    ck_assert_uint_eq(after->fence->generation, lane->rotation + 1);
    /* What an answer says of itself is true: never newer than the credential it was computed with. */
    ck_assert_uint_ge(rotation_of(before) + 1, before->fence->generation);
    call_end(lane->before);
    call_end(lane->fence);
    call_end(lane->after);
}

START_TEST(nothing_older_than_the_fence_is_answered_behind_it)
{
    size_t count = patience_count(TRY_COUNT);

    srand(1);
    for (size_t i = 0; i < LANE_COUNT; i++) {
        char name[16];

        snprintf(name, sizeof name, "lane%zu", i);
        home_create(&lanes[i].home, &stage.scratch, name);
        home_write(&lanes[i].home, "credential", "0");
    }
    for (size_t done = 0; done < count; done += LANE_COUNT) {
        for (size_t i = 0; i < LANE_COUNT; i++)
            begin_try(&lanes[i]);
        for (size_t i = 0; i < LANE_COUNT; i++)
            probe_behind_fence(&lanes[i]);
        for (size_t i = 0; i < LANE_COUNT; i++)
            end_try(&lanes[i]);
    }
    printf("%zu tries, %zu with a probe in the air at the fence\n", count, in_the_air_count);
    ck_assert_uint_ge(in_the_air_count, patience_count(IN_THE_AIR_COUNT));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("races");
    TCase *tcase = story_case(suite, "races", story_setup);

    tcase_add_test(tcase, nothing_older_than_the_fence_is_answered_behind_it);
    return check_main(suite);
}
