/* server/threads: locks that know their holder, conditions, and threads.  What is our own mistake ends the process:
 * those tests need Check's fork mode. */
#include "server/base/clock.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

enum { THREAD_COUNT = 4, ROUND_COUNT = 20000 };

static struct lock lock, other;
static struct condition condition;
static size_t number;  /* guarded by lock */
static bool signalled; /* likewise */

static void set_up(void)
{
    lock_init(&lock, "one");
    lock_init(&other, "other");
    condition_init(&condition);
    number = 0;
    signalled = false;
}

static void tear_down(void)
{
    condition_fini(&condition);
    lock_fini(&other);
    lock_fini(&lock);
}

static void start(pthread_t *thread, const char *name, void (*body)(void *context), void *context)
{
    struct status status = thread_start(thread, name, 0, body, context);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void count_up(void *context)
{
    (void)context;
    for (size_t i = 0; i < ROUND_COUNT; i++) {
        lock_acquire(&lock);
        number++;
        lock_release(&lock);
    }
}

START_TEST(a_lock_lets_one_thread_in_at_a_time)
{
    pthread_t threads[THREAD_COUNT];

    for (size_t i = 0; i < THREAD_COUNT; i++)
        start(&threads[i], "counter", count_up, NULL);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        thread_join(threads[i]);
    lock_acquire(&lock);
    ck_assert_uint_eq(number, THREAD_COUNT * ROUND_COUNT);
    lock_release(&lock);
}
END_TEST

START_TEST(one_lock_may_follow_another)
{
    lock_assert_none();
    lock_acquire(&lock);
    lock_assert_held(&lock);
    lock_release(&lock);
    lock_acquire(&other);
    lock_release(&other);
    lock_assert_none();
}
END_TEST

static void signal_it(void *context)
{
    (void)context;
    lock_acquire(&lock);
    signalled = true;
    condition_signal(&condition);
    lock_release(&lock);
}

START_TEST(a_waiting_thread_is_woken_and_holds_the_lock_again)
{
    pthread_t thread;
    bool in_time = true;

    lock_acquire(&lock);
    start(&thread, "signaller", signal_it, NULL); /* cannot come in before the wait */
    while (!signalled && in_time)
        in_time = condition_wait(&condition, &lock, clock_now_ns() + PATIENCE_MS * NS_PER_MS);
    lock_assert_held(&lock);
    ck_assert(signalled);
    lock_release(&lock);
    thread_join(thread);
}
END_TEST

static void wait_for_it(void *context)
{
    (void)context;
    lock_acquire(&lock);
    number++;
    while (!signalled)
        condition_wait(&condition, &lock, UINT64_MAX);
    lock_release(&lock);
}

START_TEST(a_broadcast_wakes_all)
{
    pthread_t threads[THREAD_COUNT];
    size_t waiting = 0;

    for (size_t i = 0; i < THREAD_COUNT; i++)
        start(&threads[i], "waiter", wait_for_it, NULL);
    while (waiting < THREAD_COUNT) { /* who has counted waits, or is about to: the lock is given up in the wait alone */
        lock_acquire(&lock);
        waiting = number;
        lock_release(&lock);
    }
    lock_acquire(&lock);
    signalled = true;
    condition_broadcast(&condition);
    lock_release(&lock);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        thread_join(threads[i]);
}
END_TEST

START_TEST(a_wait_ends_when_its_time_has_come)
{
    uint64_t due_ns = clock_now_ns() + 20 * NS_PER_MS;

    lock_acquire(&lock);
    while (condition_wait(&condition, &lock, due_ns)) /* woken for nothing */
        continue;
    lock_assert_held(&lock);
    ck_assert_uint_ge(clock_now_ns(), due_ns);
    ck_assert(!condition_wait(&condition, &lock, 0)); /* and one in the past at once */
    lock_release(&lock);
}
END_TEST

static void note_name(void *context)
{
    pthread_getname_np(pthread_self(), context, 16);
}

static struct semaphore there, back;

static void answer_posts(void *context)
{
    (void)context;
    for (size_t i = 0; i < ROUND_COUNT / 10; i++) {
        semaphore_wait(&there);
        number++; /* one of the two has it at a time */
        semaphore_post(&back);
    }
}

START_TEST(each_post_ends_one_wait)
{
    pthread_t thread;

    semaphore_init(&there);
    semaphore_init(&back);
    semaphore_post(&there);
    start(&thread, "answerer", answer_posts, NULL);
    for (size_t i = 0; i < ROUND_COUNT / 10; i++) {
        semaphore_wait(&back);
        ck_assert_uint_eq(number, i + 1);
        semaphore_post(&there);
    }
    thread_join(thread);
    semaphore_fini(&back);
    semaphore_fini(&there);
}
END_TEST

static cpu_set_t cpus_seen;
static int policy_seen;

static void look_around(void *context)
{
    (void)context;
    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus_seen, &cpus_seen), 0);
    policy_seen = sched_getscheduler(0);
}

/* Starts another from a thread that is kept on one CPU, in batch. */
static void start_from_elsewhere(void *context)
{
    cpu_set_t one;
    pthread_t thread;

    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    thread_become_batch();
    ck_assert_int_eq(sched_getscheduler(0), SCHED_BATCH);
    start(&thread, "child", look_around, context);
    thread_join(thread);
}

START_TEST(a_thread_runs_as_the_first_one_whoever_starts_it)
{
    cpu_set_t cpus;
    pthread_t thread;

    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    start(&thread, "parent", start_from_elsewhere, NULL);
    thread_join(thread);
    ck_assert(CPU_EQUAL(&cpus, &cpus_seen));
    ck_assert_int_eq(policy_seen, sched_getscheduler(0));
}
END_TEST

START_TEST(a_thread_has_its_name)
{
    char name[16] = "";
    pthread_t thread;

    start(&thread, "fifteen letters", note_name, name);
    thread_join(thread);
    ck_assert_str_eq(name, "fifteen letters");
}
END_TEST

START_TEST(a_stack_that_cannot_be_had_is_reported)
{
    pthread_t thread;
    struct status status = thread_start(&thread, "huge", (size_t)1 << 46, note_name, NULL);

    ck_assert_int_eq(status.code, STATUS_RESOURCE_EXHAUSTED);
    ck_assert_msg(strstr(status.message, "huge") != NULL, "%s", status.message);
}
END_TEST

/* ---- mistakes: clang would find most of them, and is told to look away ---- */

static void take_twice(void) NO_THREAD_ANALYSIS
{
    lock_acquire(&lock);
    lock_acquire(&lock);
}

START_TEST(taking_a_lock_twice_ends_the_process)
{
    take_twice();
}
END_TEST

static void take_two(void) NO_THREAD_ANALYSIS
{
    lock_acquire(&lock);
    lock_acquire(&other);
}

START_TEST(taking_a_second_lock_ends_the_process)
{
    take_two();
}
END_TEST

static void release_unheld(void) NO_THREAD_ANALYSIS
{
    lock_release(&lock);
}

START_TEST(releasing_a_lock_that_is_not_held_ends_the_process)
{
    release_unheld();
}
END_TEST

static void assert_unheld(void) NO_THREAD_ANALYSIS
{
    lock_acquire(&lock);
    lock_assert_held(&other);
}

START_TEST(asserting_a_lock_that_is_not_held_ends_the_process)
{
    assert_unheld();
}
END_TEST

static void block_holding(void) NO_THREAD_ANALYSIS
{
    lock_acquire(&lock);
    lock_assert_none();
}

START_TEST(blocking_with_a_lock_held_ends_the_process)
{
    block_holding();
}
END_TEST

static void wait_unheld(void) NO_THREAD_ANALYSIS
{
    condition_wait(&condition, &lock, 0);
}

START_TEST(awaiting_a_post_with_a_lock_held_ends_the_process)
{
    semaphore_init(&there);
    semaphore_post(&there);
    lock_acquire(&lock);
    semaphore_wait(&there);
    lock_release(&lock);
}
END_TEST

START_TEST(waiting_without_the_lock_ends_the_process)
{
    wait_unheld();
}
END_TEST

static void release_it(void *context) NO_THREAD_ANALYSIS
{
    lock_release(context);
}

static void have_it_released(void) NO_THREAD_ANALYSIS
{
    pthread_t thread;

    lock_acquire(&lock);
    start(&thread, "thief", release_it, &lock);
    pthread_join(thread, NULL); /* thread_join would find the lock held, and that is not what is tried here */
}

START_TEST(releasing_another_threads_lock_ends_the_process)
{
    have_it_released();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock");
    TCase *good = tcase_create("good"), *mistakes = tcase_create("mistakes");

    tcase_set_timeout(good, patience_test_s());
    tcase_add_checked_fixture(good, set_up, tear_down);
    tcase_add_test(good, a_lock_lets_one_thread_in_at_a_time);
    tcase_add_test(good, one_lock_may_follow_another);
    tcase_add_test(good, a_waiting_thread_is_woken_and_holds_the_lock_again);
    tcase_add_test(good, a_broadcast_wakes_all);
    tcase_add_test(good, a_wait_ends_when_its_time_has_come);
    tcase_add_test(good, each_post_ends_one_wait);
    tcase_add_test(good, a_thread_has_its_name);
    tcase_add_test(good, a_thread_runs_as_the_first_one_whoever_starts_it);
    tcase_add_test(good, a_stack_that_cannot_be_had_is_reported);
    tcase_set_timeout(mistakes, patience_test_s());
    tcase_add_checked_fixture(mistakes, set_up, NULL);
    tcase_add_test_raise_signal(mistakes, taking_a_lock_twice_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, taking_a_second_lock_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, releasing_a_lock_that_is_not_held_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, asserting_a_lock_that_is_not_held_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, blocking_with_a_lock_held_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, awaiting_a_post_with_a_lock_held_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, waiting_without_the_lock_ends_the_process, SIGABRT);
    tcase_add_test_raise_signal(mistakes, releasing_another_threads_lock_ends_the_process, SIGABRT);
    suite_add_tcase(suite, good);
    suite_add_tcase(suite, mistakes);
    return check_main(suite);
}
