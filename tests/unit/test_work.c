/* work: leases go in, outcomes come back; the test plays the workers on the other ends of their pipes. */
#include "server/work/work.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "server/base/clock.h"
#include "server/threads/lock.h"
#include "tests/support/check_main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEASE_COUNT = 8, REQUEST_SIZE_MAX = 512 };

static const uint64_t patience_ns = 20 * NS_PER_S; /* no test waits so long unless it fails */

/* A lease, its worker's ends of the pipes, and what became of it. */
struct bench {
    struct engine_lease lease; /* first: a lease is its bench */
    int request_fd, answer_fd;
    pthread_t thread; /* that handed it back */
    struct lease_outcome outcome;
    bool returned;
};

static struct bench benches[LEASE_COUNT];
static struct work *work;
static struct lock lock;
static struct condition came_back;
static size_t next_count; /* of the leases behind it that the first outcome sets off */
static bool next_dies;    /* their worker is gone before they are asked */

static void be_gone(uint64_t worker_id);

static void returned(void *context, struct engine_lease *lease, const struct lease_outcome *outcome)
{
    struct bench *bench = (struct bench *)lease;
    size_t count;
    bool dies;

    lock_assert_none();
    ck_assert_ptr_eq(context, benches);
    lock_acquire(&lock);
    ck_assert(!bench->returned);
    bench->outcome = *outcome;
    bench->thread = pthread_self();
    bench->returned = true;
    count = next_count;
    dies = next_dies;
    next_count = 0;
    condition_broadcast(&came_back);
    lock_release(&lock);
    for (size_t i = 1; i <= count; i++)
        work_take(work, &bench[i].lease);
    if (count > 0 && dies) {
        be_gone(bench[1].lease.worker_id);
        work_worker_gone(work, bench[1].lease.worker_id);
    }
}

static uint64_t gone_id; /* guarded by lock: whose process is gone; 0: nobody's */

static bool is_gone(void *context, uint64_t worker_id)
{
    bool gone;

    ck_assert_ptr_eq(context, benches);
    lock_acquire(&lock);
    gone = worker_id == gone_id;
    lock_release(&lock);
    return gone;
}

static void be_gone(uint64_t worker_id)
{
    lock_acquire(&lock);
    gone_id = worker_id;
    lock_release(&lock);
}

static const struct lease_outcome *wait_returned(struct bench *bench)
{
    uint64_t due_ns = clock_now_ns() + patience_ns;

    lock_acquire(&lock);
    while (!bench->returned)
        ck_assert(condition_wait(&came_back, &lock, due_ns));
    lock_release(&lock);
    return &bench->outcome;
}

static void set_bench(struct bench *bench, uint64_t id)
{
    int request[2], answer[2];

    ck_assert_int_eq(pipe2(request, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(answer, O_CLOEXEC), 0);
    ck_assert_int_eq(fcntl(request[1], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(answer[0], F_SETFL, O_NONBLOCK), 0);
    *bench = (struct bench){.lease = {.id = id,
                                      .worker_id = id,
                                      .channel = {.request_fd = request[1], .answer_fd = answer[0]},
                                      .fence = {.epoch = 1, .generation = 1},
                                      .provider = "openrouter",
                                      .run_deadline_ns = clock_now_ns() + patience_ns},
                            .request_fd = request[0],
                            .answer_fd = answer[1]};
}

static void end_worker(struct bench *bench)
{
    close(bench->request_fd);
    close(bench->answer_fd);
    bench->request_fd = bench->answer_fd = -1;
}

static void create(size_t handler_count_max)
{
    struct work_settings settings = {
        .handler_count_max = handler_count_max, .answer_line_size_max = 1000, .run_ms = 30000};
    struct status status = work_create(&settings, returned, is_gone, benches, &work);

    ck_assert(status_is_ok(&status));
}

static void setup(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGPIPE); /* as main does */
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    ck_assert_int_eq(secret_setup(), 0);
    lock_init(&lock, "test");
    condition_init(&came_back);
    for (size_t i = 0; i < LEASE_COUNT; i++)
        set_bench(&benches[i], i + 1);
    create(LEASE_COUNT);
}

static void teardown(void)
{
    work_destroy(work);
    for (size_t i = 0; i < LEASE_COUNT; i++) {
        if (benches[i].request_fd >= 0)
            end_worker(&benches[i]);
        close(benches[i].lease.channel.request_fd);
        close(benches[i].lease.channel.answer_fd);
        answer_release(benches[i].outcome.answer);
    }
    condition_fini(&came_back);
    lock_fini(&lock);
}

/* Reads one request line; its text. */
static const char *hear(struct bench *bench)
{
    static char request[REQUEST_SIZE_MAX];
    ssize_t size = read(bench->request_fd, request, sizeof request - 1);

    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(request[size - 1], '\n');
    request[size] = '\0';
    return request;
}

static void say(struct bench *bench, const char *text)
{
    ck_assert_int_eq(write(bench->answer_fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void answer(struct bench *bench)
{
    char line[64];

    snprintf(line, sizeof line, "{\"id\":%d,\"plan\":\"Plus\",\"available\":true}\n", (int)bench->lease.id);
    say(bench, line);
}

static void run(struct bench *bench)
{
    work_take(work, &bench->lease);
    hear(bench);
    answer(bench);
    ck_assert_int_eq(wait_returned(bench)->end, LEASE_ANSWERED);
}

START_TEST(a_lease_comes_back_with_its_answer)
{
    const struct lease_outcome *outcome;

    benches[0].lease.api_key = secret_create("sk-1", 4);
    work_take(work, &benches[0].lease);
    ck_assert_str_eq(hear(&benches[0]), "{\"id\":1,\"provider\":\"openrouter\",\"api_key\":\"sk-1\",\"env_var\":"
                                        "\"OPENROUTER_API_KEY\",\"timeout_ms\":30000}\n");
    answer(&benches[0]);
    outcome = wait_returned(&benches[0]);
    ck_assert_int_eq(outcome->end, LEASE_ANSWERED);
    ck_assert_ptr_nonnull(outcome->answer);
    ck_assert_int_eq(outcome->answer->account, ACCOUNT_OK);
    secret_release(benches[0].lease.api_key);
}
END_TEST

START_TEST(leases_run_side_by_side)
{
    for (size_t i = 0; i < LEASE_COUNT; i++)
        work_take(work, &benches[i].lease);
    for (size_t i = 0; i < LEASE_COUNT; i++)
        hear(&benches[i]); /* all are asked before any has answered */
    for (size_t i = LEASE_COUNT; i-- > 0;) {
        answer(&benches[i]);
        ck_assert_int_eq(wait_returned(&benches[i])->end, LEASE_ANSWERED);
    }
}
END_TEST

START_TEST(what_a_worker_does_wrong_comes_back)
{
    const struct lease_outcome *outcome;

    work_take(work, &benches[0].lease);
    hear(&benches[0]);
    say(&benches[0], "garbage\n");
    outcome = wait_returned(&benches[0]);
    ck_assert_int_eq(outcome->end, LEASE_BREACHED);
    ck_assert_int_eq(outcome->status.code, STATUS_INTERNAL);

    work_take(work, &benches[1].lease);
    hear(&benches[1]);
    end_worker(&benches[1]);
    outcome = wait_returned(&benches[1]);
    ck_assert_int_eq(outcome->end, LEASE_DIED);
    ck_assert_int_eq(outcome->status.code, STATUS_UNAVAILABLE);

    benches[2].lease.run_deadline_ns = clock_now_ns() + 20 * NS_PER_MS;
    work_take(work, &benches[2].lease);
    outcome = wait_returned(&benches[2]);
    ck_assert_int_eq(outcome->end, LEASE_TIMED_OUT);
    ck_assert_int_eq(outcome->status.code, STATUS_DEADLINE_EXCEEDED);

    say(&benches[3], "stray");
    work_take(work, &benches[3].lease);
    ck_assert_int_eq(wait_returned(&benches[3])->end, LEASE_STRAY);
}
END_TEST

/* Between two leases the handler has to lie down again, which the test cannot see: on a busy machine others may be
 * started before it has, but not one a lease. */
START_TEST(a_worker_that_is_gone_ends_its_own_lease_alone)
{
    work_take(work, &benches[0].lease);
    work_take(work, &benches[1].lease);
    hear(&benches[0]);
    hear(&benches[1]);
    be_gone(1);
    work_worker_gone(work, 1);
    ck_assert_int_eq((int)wait_returned(&benches[0])->end, LEASE_DIED); /* its pipes are open as ever */
    end_worker(&benches[1]);
    ck_assert_int_eq((int)wait_returned(&benches[1])->end, LEASE_DIED);
}
END_TEST

START_TEST(one_that_was_gone_before_its_lease_was_taken_is_noticed_too)
{
    be_gone(1);
    work_worker_gone(work, 1);
    work_take(work, &benches[0].lease);
    ck_assert_int_eq((int)wait_returned(&benches[0])->end, LEASE_STRAY);
}
END_TEST

START_TEST(what_was_said_of_one_worker_is_not_held_against_the_next)
{
    be_gone(1);
    work_take(work, &benches[0].lease);
    wait_returned(&benches[0]);
    work_worker_gone(work, 1); /* too late */
    work_take(work, &benches[1].lease);
    hear(&benches[1]);
    end_worker(&benches[1]);
    ck_assert_int_eq((int)wait_returned(&benches[1])->end, LEASE_DIED);
}
END_TEST

START_TEST(handlers_are_kept_for_the_next_lease)
{
    size_t same_count = 0;

    for (size_t i = 0; i < LEASE_COUNT; i++)
        run(&benches[i]);
    for (size_t i = 1; i < LEASE_COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            if (pthread_equal(benches[i].thread, benches[j].thread)) {
                same_count++;
                break;
            }
        }
    }
    ck_assert_uint_ge(same_count, 1);
}
END_TEST

START_TEST(what_an_outcome_sets_off_needs_no_other_handler)
{
    work_destroy(work);
    create(1);
    next_count = 1;
    run(&benches[0]);
    hear(&benches[1]);
    answer(&benches[1]);
    ck_assert_int_eq(wait_returned(&benches[1])->end, LEASE_ANSWERED);
    ck_assert(pthread_equal(benches[0].thread, benches[1].thread));
}
END_TEST

START_TEST(of_several_that_it_sets_off_none_waits_for_another)
{
    next_count = 3;
    run(&benches[0]);
    for (size_t i = 1; i <= 3; i++)
        hear(&benches[i]);
    for (size_t i = 3; i >= 1; i--) {
        answer(&benches[i]);
        ck_assert_int_eq(wait_returned(&benches[i])->end, LEASE_ANSWERED);
    }
}
END_TEST

START_TEST(a_worker_that_goes_before_it_is_asked_by_the_same_handler_is_noticed)
{
    next_count = 1;
    next_dies = true;
    run(&benches[0]);
    ck_assert_int_eq((int)wait_returned(&benches[1])->end, LEASE_STRAY);
}
END_TEST

START_TEST(a_lease_no_handler_can_be_started_for_comes_back_at_once)
{
    const struct lease_outcome *outcome = &benches[0].outcome;

    work_destroy(work);
    create(0);
    work_take(work, &benches[0].lease);
    ck_assert(benches[0].returned);
    ck_assert(pthread_equal(benches[0].thread, pthread_self()));
    ck_assert_int_eq(outcome->end, LEASE_STRAY);
    ck_assert_int_eq(outcome->status.code, STATUS_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(changed_settings_hold_for_the_next_lease)
{
    struct work_settings settings = {.handler_count_max = 1, .answer_line_size_max = 20, .run_ms = 77};

    work_settings_changed(work, &settings);
    work_take(work, &benches[0].lease);
    ck_assert_ptr_nonnull(strstr(hear(&benches[0]), "\"timeout_ms\":77}"));
    answer(&benches[0]);
    ck_assert_int_eq(wait_returned(&benches[0])->end, LEASE_BREACHED);
    for (size_t i = 1; i < LEASE_COUNT; i++)
        work_take(work, &benches[i].lease); /* the lower bound does not hold back what was possible */
    for (size_t i = 1; i < LEASE_COUNT; i++) {
        hear(&benches[i]);
        say(&benches[i], "null\n");
        ck_assert_int_eq(wait_returned(&benches[i])->end, LEASE_ANSWERED);
    }
}
END_TEST

START_TEST(nothing_is_destroyed_quietly)
{
    work_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("work");
    TCase *tcase = tcase_create("work");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, a_lease_comes_back_with_its_answer);
    tcase_add_test(tcase, leases_run_side_by_side);
    tcase_add_test(tcase, what_a_worker_does_wrong_comes_back);
    tcase_add_test(tcase, a_worker_that_is_gone_ends_its_own_lease_alone);
    tcase_add_test(tcase, one_that_was_gone_before_its_lease_was_taken_is_noticed_too);
    tcase_add_test(tcase, what_was_said_of_one_worker_is_not_held_against_the_next);
    tcase_add_test(tcase, handlers_are_kept_for_the_next_lease);
    tcase_add_test(tcase, what_an_outcome_sets_off_needs_no_other_handler);
    tcase_add_test(tcase, of_several_that_it_sets_off_none_waits_for_another);
    tcase_add_test(tcase, a_worker_that_goes_before_it_is_asked_by_the_same_handler_is_noticed);
    tcase_add_test(tcase, a_lease_no_handler_can_be_started_for_comes_back_at_once);
    tcase_add_test(tcase, changed_settings_hold_for_the_next_lease);
    tcase_add_test(tcase, nothing_is_destroyed_quietly);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
