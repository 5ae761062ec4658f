/* unit.client_subscriber: events and what is missing, heard over a real socket from a daemon that loses on request. */
#include "tests/support/check_main.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

#include <errno.h>
#include <poll.h>
#include <probed/client.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the stage ---- */

enum { HEARTBEAT_MS = 50 }; /* as the daemon is told below */

static struct scratch scratch;
static char url[96], events_url[96], home[96], other_home[96];
static pid_t daemon_pid;
static struct probed_channel *channel;

static void start_daemon(void)
{
    daemon_pid = child_start_ready(
        (const char *const[]){"fake_daemon", "--heartbeat", "50", "--listen", url, "--publish", events_url, NULL});
}

static void open_stage(void)
{
    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/rpc.sock", scratch.path);
    snprintf(events_url, sizeof events_url, "ipc://%s/events.sock", scratch.path);
    snprintf(home, sizeof home, "%s/home", scratch.path);
    snprintf(other_home, sizeof other_home, "%s/home2", scratch.path);
    ck_assert_int_eq(mkdir(home, 0700), 0);
    start_daemon();
    ck_assert_int_eq(probed_channel_open(&(struct probed_channel_options){.url = url}, &channel).code, PROBED_OK);
}

static void close_stage(void)
{
    probed_channel_close(channel);
    if (daemon_pid > 0)
        child_end(daemon_pid, SIGKILL);
    scratch_close(&scratch);
}

/* Has the daemon change `where`, and lose what `how` says. */
static void change(const char *where, const char *how)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    Probed__V1__InvalidateResponse *response;
    struct probed_status status;

    request.home = (char *)(uintptr_t)where;
    request.provider = (char *)(uintptr_t) "openrouter";
    request.reason = (char *)(uintptr_t)how;
    status = probed_invalidate(channel, &request, &(struct probed_call_options){.wait_for_ready = true}, &response);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    probed__v1__invalidate_response__free_unpacked(response, NULL);
}

/* ---- what was heard ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t event_count, home_gap_count, any_gap_count, beat_count, current_count, lost_count;
    uint64_t generation; /* of the last event */
    char last_home[256], last_reason[256];
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_event(void *context, const Probed__V1__CredentialEvent *event)
{
    ck_assert_ptr_eq(context, &heard);
    pthread_mutex_lock(&heard.lock);
    heard.event_count++;
    heard.generation = event->fence->generation;
    snprintf(heard.last_home, sizeof heard.last_home, "%s", event->home);
    snprintf(heard.last_reason, sizeof heard.last_reason, "%s", event->reason);
    pthread_cond_broadcast(&heard.changed);
    pthread_mutex_unlock(&heard.lock);
}

static void on_gap(void *context, const char *where, const char *reason)
{
    ck_assert_ptr_eq(context, &heard);
    pthread_mutex_lock(&heard.lock);
    *(where != NULL ? &heard.home_gap_count : &heard.any_gap_count) += 1;
    snprintf(heard.last_home, sizeof heard.last_home, "%s", where != NULL ? where : "");
    snprintf(heard.last_reason, sizeof heard.last_reason, "%s", reason);
    pthread_cond_broadcast(&heard.changed);
    pthread_mutex_unlock(&heard.lock);
}

static void on_state(void *context, const struct probed_subscriber_state *state)
{
    ck_assert_ptr_eq(context, &heard);
    ck_assert_int_eq(state->reason[0] == '\0', state->current);
    pthread_mutex_lock(&heard.lock);
    *(state->current ? &heard.current_count : &heard.lost_count) += 1;
    pthread_cond_broadcast(&heard.changed);
    pthread_mutex_unlock(&heard.lock);
}

static void on_heartbeat(void *context, const Probed__V1__Heartbeat *heartbeat)
{
    ck_assert_ptr_eq(context, &heard);
    ck_assert_uint_eq(heartbeat->interval_ms, HEARTBEAT_MS);
    pthread_mutex_lock(&heard.lock);
    heard.beat_count++;
    pthread_cond_broadcast(&heard.changed);
    pthread_mutex_unlock(&heard.lock);
}

static void wait_for_at_least(const size_t *count, size_t wanted)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&heard.lock);
    while (*count < wanted)
        ck_assert_int_eq(pthread_cond_timedwait(&heard.changed, &heard.lock, &until), 0);
    pthread_mutex_unlock(&heard.lock);
}

static size_t count_of(const size_t *count)
{
    size_t now;

    pthread_mutex_lock(&heard.lock);
    now = *count;
    pthread_mutex_unlock(&heard.lock);
    return now;
}

static bool reason_has(const char *part)
{
    bool has;

    pthread_mutex_lock(&heard.lock);
    has = strstr(heard.last_reason, part) != NULL;
    pthread_mutex_unlock(&heard.lock);
    return has;
}

static void wait_for_more(const size_t *count, size_t more)
{
    wait_for_at_least(count, count_of(count) + more);
}

static void wait_for(const size_t *count, size_t wanted)
{
    wait_for_at_least(count, wanted);
    pthread_mutex_lock(&heard.lock);
    ck_assert_uint_eq(*count, wanted);
    pthread_mutex_unlock(&heard.lock);
}

static struct probed_subscriber_options options_for(const char *const *homes, size_t home_count)
{
    return (struct probed_subscriber_options){
        .url = events_url,
        .calls_url = url,
        .homes = homes,
        .home_count = home_count,
        .all_homes = home_count == 0,
        .on_event = on_event,
        .on_gap = on_gap,
        .on_heartbeat = on_heartbeat,
        .on_state = on_state,
        .context = &heard,
    };
}

static struct probed_subscriber *subscribe_as(const struct probed_subscriber_options *options)
{
    struct probed_subscriber *subscriber;
    struct probed_status status = probed_subscriber_open(options, &subscriber);

    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    status = probed_subscriber_connect(subscriber, PATIENCE_MS);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    return subscriber;
}

/* To the one home. */
static struct probed_subscriber *subscribe(void)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);

    return subscribe_as(&options);
}

/* ---- claims ---- */

START_TEST(an_event_is_heard_with_all_that_is_in_it)
{
    struct probed_subscriber *subscriber = subscribe();

    ck_assert_uint_eq(count_of(&heard.any_gap_count), 1); /* where listening begins */
    ck_assert_uint_eq(count_of(&heard.current_count), 1);
    change(home, "key rotated");
    wait_for(&heard.event_count, 1);
    ck_assert_str_eq(heard.last_home, home);
    ck_assert_str_eq(heard.last_reason, "key rotated");
    ck_assert_uint_eq(heard.generation, 2);
    ck_assert_str_eq(probed_subscriber_url(subscriber), events_url);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(only_the_homes_asked_for_are_heard)
{
    struct probed_subscriber *subscriber = subscribe();

    change(other_home, "not this one"); /* its path begins with the other's */
    change(home, "this one");
    wait_for(&heard.event_count, 1);
    ck_assert_str_eq(heard.last_reason, "this one");
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(all_homes_are_heard_by_who_asks_for_them)
{
    struct probed_subscriber_options options = options_for(NULL, 0);
    struct probed_subscriber *subscriber = subscribe_as(&options);

    change(other_home, "one");
    change(home, "two");
    wait_for(&heard.event_count, 2);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_home_is_heard_by_its_canonical_path)
{
    char link_path[128], crooked[160];
    struct probed_subscriber_options options;
    struct probed_subscriber *subscriber;

    snprintf(link_path, sizeof link_path, "%s/link", scratch.path);
    ck_assert_int_eq(symlink(home, link_path), 0);
    snprintf(crooked, sizeof crooked, "%s//./link/", scratch.path);
    options = options_for((const char *const[]){crooked}, 1);
    subscriber = subscribe_as(&options);
    change(home, "the same");
    wait_for(&heard.event_count, 1);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(an_event_that_comes_twice_is_told_once)
{
    struct probed_subscriber *subscriber = subscribe();

    change(home, "again");
    change(home, "next");
    wait_for(&heard.event_count, 2);
    ck_assert_str_eq(heard.last_reason, "next");
    ck_assert_uint_eq(count_of(&heard.home_gap_count), 0);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(an_event_that_was_lost_is_noticed_by_the_heartbeats)
{
    struct probed_subscriber *subscriber = subscribe();

    change(home, "lost");
    wait_for(&heard.home_gap_count, 1);
    ck_assert_str_eq(heard.last_home, home);
    ck_assert_uint_eq(count_of(&heard.event_count), 0);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(events_that_were_lost_are_noticed_by_the_next_one)
{
    struct probed_subscriber *subscriber = subscribe();

    change(home, "first");
    change(home, "skip-3");
    wait_for(&heard.event_count, 2);
    ck_assert_uint_eq(count_of(&heard.home_gap_count), 1);
    ck_assert_uint_eq(heard.generation, 6);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(lost_heartbeats_are_noticed)
{
    struct probed_subscriber *subscriber = subscribe();

    change(home, "beats-10");
    wait_for(&heard.any_gap_count, 2);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(silence_is_noticed_and_told_once_and_ends)
{
    struct probed_subscriber *subscriber = subscribe();
    struct probed_subscriber_state state;

    change(home, "hush");
    wait_for(&heard.any_gap_count, 2);
    ck_assert(reason_has("no heartbeat for"));
    wait_for(&heard.lost_count, 1);
    probed_subscriber_state(subscriber, &state);
    ck_assert(!state.current);
    ck_assert_uint_gt(state.proved_ms, 0);
    ck_assert_ptr_nonnull(strstr(state.reason, "no heartbeat for"));
    change(home, "still an event");
    wait_for(&heard.event_count, 1);
    ck_assert_uint_eq(count_of(&heard.any_gap_count), 2);
    change(home, "speak");
    wait_for(&heard.current_count, 2);
    ck_assert_uint_eq(count_of(&heard.home_gap_count), 0);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(what_changed_in_silence_is_a_gap_of_that_home)
{
    struct probed_subscriber *subscriber = subscribe();
    struct probed_fence fence;

    change(home, "hush");
    wait_for(&heard.lost_count, 1);
    change(home, "lost");
    change(home, "beats-10"); /* and the heartbeats that would have named it */
    change(home, "speak");
    wait_for(&heard.current_count, 2);
    ck_assert(probed_subscriber_fence(subscriber, home, &fence));
    ck_assert_uint_eq(fence.generation, 2);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(old_heartbeats_do_not_make_current)
{
    struct probed_subscriber *subscriber = subscribe();
    struct probed_subscriber_state state;

    change(home, "late-250"); /* five intervals */
    wait_for(&heard.lost_count, 1);
    wait_for_more(&heard.beat_count, 10);
    probed_subscriber_state(subscriber, &state);
    ck_assert(!state.current);
    ck_assert_uint_eq(count_of(&heard.any_gap_count), 2);
    change(home, "late-0");
    wait_for(&heard.current_count, 2);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_daemon_that_does_not_say_when_it_sent_is_believed)
{
    struct probed_subscriber *subscriber;

    change(home, "late--1");
    subscriber = subscribe();
    change(home, "heard");
    wait_for(&heard.event_count, 1);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(heartbeats_that_cannot_name_all_are_made_up_for_unnoticed)
{
    struct probed_subscriber *subscriber = subscribe();

    change(home, "truncate-5");
    change(home, "heard");
    wait_for(&heard.event_count, 1);
    wait_for_more(&heard.beat_count, 20);
    /* Where the machine stood still for three intervals, that was told, too, and nothing else. */
    ck_assert_uint_eq(count_of(&heard.any_gap_count), 1 + count_of(&heard.lost_count));
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_daemon_that_does_not_answer_for_a_home_keeps_it_from_being_current)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);
    struct probed_subscriber *subscriber;
    struct probed_status status;

    change(home, "deny-1000");
    ck_assert_int_eq(probed_subscriber_open(&options, &subscriber).code, PROBED_OK);
    status = probed_subscriber_connect(subscriber, 300);
    ck_assert_int_eq(status.code, PROBED_DEADLINE_EXCEEDED);
    ck_assert_ptr_nonnull(strstr(status.message, "not yours"));
    change(home, "deny-0");
    status = probed_subscriber_connect(subscriber, PATIENCE_MS);
    ck_assert_msg(status.code == PROBED_OK, "%s", status.message);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_fence_is_known_by_either_name_of_a_home)
{
    char link_path[128];
    struct probed_subscriber_options options;
    struct probed_subscriber *subscriber;
    struct probed_fence by_link, by_path;

    snprintf(link_path, sizeof link_path, "%s/link", scratch.path);
    ck_assert_int_eq(symlink(home, link_path), 0);
    change(home, "once");
    options = options_for((const char *const[]){link_path}, 1);
    subscriber = subscribe_as(&options);
    change(home, "twice");
    wait_for(&heard.event_count, 1);
    ck_assert(probed_subscriber_fence(subscriber, link_path, &by_link));
    ck_assert(probed_subscriber_fence(subscriber, home, &by_path));
    ck_assert_uint_eq(by_link.generation, 3);
    ck_assert_uint_eq(by_path.generation, 3);
    ck_assert_uint_eq(by_link.epoch, by_path.epoch);
    ck_assert(!probed_subscriber_fence(subscriber, other_home, &by_path));
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_channel_may_be_lent)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);
    struct probed_subscriber *subscriber;

    options.calls_url = NULL;
    options.channel = channel;
    subscriber = subscribe_as(&options);
    probed_subscriber_close(subscriber);
    change(home, "the channel is still there");
}
END_TEST

/* ---- poll mode ---- */

/* Processes until it is so. */
static void process_until(struct probed_subscriber *subscriber, const size_t *count, size_t wanted)
{
    struct pollfd due = {.fd = probed_subscriber_fd(subscriber), .events = POLLIN};

    while (count_of(count) < wanted) {
        ck_assert_int_eq(poll(&due, 1, PATIENCE_MS), 1);
        ck_assert_int_eq(probed_subscriber_process(subscriber).code, PROBED_OK);
    }
}

static size_t thread_count(void)
{
    char line[256];
    size_t count = 0;
    FILE *status = fopen("/proc/self/status", "r");

    while (fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Threads: %zu", &count);
    fclose(status);
    return count;
}

START_TEST(an_event_loop_needs_no_thread)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);
    size_t count = thread_count();
    struct probed_subscriber *subscriber;

    options.poll = true;
    subscriber = subscribe_as(&options);
    ck_assert_uint_eq(thread_count(), count);
    ck_assert_uint_eq(count_of(&heard.current_count), 1);
    change(home, "heard");
    process_until(subscriber, &heard.event_count, 1);
    change(home, "hush");
    process_until(subscriber, &heard.lost_count, 1); /* nothing comes, and that wakes it, too */
    change(home, "speak");
    process_until(subscriber, &heard.current_count, 2);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(who_does_not_process_is_not_current_for_long)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);
    struct probed_subscriber *subscriber;
    struct probed_subscriber_state state;

    options.poll = true;
    subscriber = subscribe_as(&options);
    do
        probed_subscriber_state(subscriber, &state);
    while (state.current);
    ck_assert_uint_eq(count_of(&heard.lost_count), 0); /* nobody was told, and it is so all the same */
    process_until(subscriber, &heard.lost_count, 1);
    process_until(subscriber, &heard.current_count, 2);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_subscriber_with_a_thread_is_not_processed)
{
    struct probed_subscriber *subscriber = subscribe();

    ck_assert_int_eq(probed_subscriber_process(subscriber).code, PROBED_FAILED_PRECONDITION);
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_new_epoch_is_noticed)
{
    struct probed_subscriber *subscriber = subscribe();

    change("", "");
    wait_for(&heard.any_gap_count, 2);
    ck_assert(reason_has("epoch"));
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(what_cannot_be_read_is_a_gap)
{
    struct probed_subscriber *subscriber = subscribe();

    change(home, "junk");
    wait_for(&heard.event_count, 1);
    wait_for(&heard.any_gap_count, 2);
    ck_assert(reason_has("read"));
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_daemon_that_was_started_anew_is_found_and_noticed)
{
    struct probed_subscriber *subscriber = subscribe();

    for (size_t i = 0; i < 3; i++) {
        size_t gap_count = count_of(&heard.any_gap_count), event_count = count_of(&heard.event_count);
        struct probed_subscriber_state before, now;

        probed_subscriber_state(subscriber, &before);
        child_end(daemon_pid, SIGKILL);
        start_daemon();
        do {
            wait_for_more(&heard.beat_count, 1);
            probed_subscriber_state(subscriber, &now);
        } while (!now.current || now.epoch == before.epoch);
        ck_assert_uint_gt(count_of(&heard.any_gap_count), gap_count);
        change(home, "after it");
        wait_for(&heard.event_count, event_count + 1);
    }
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(an_absent_daemon_is_told_at_once)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);
    struct probed_subscriber *subscriber;
    struct probed_status status;

    child_end(daemon_pid, SIGKILL);
    daemon_pid = 0;
    ck_assert_int_eq(probed_subscriber_open(&options, &subscriber).code, PROBED_OK);
    status = probed_subscriber_connect(subscriber, 60000);
    ck_assert_int_eq(status.code, PROBED_UNAVAILABLE);
    ck_assert(status.unreachable);
    ck_assert_ptr_nonnull(strstr(status.message, strerror(ECONNREFUSED)));
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(a_daemon_that_lets_nothing_be_heard_is_given_up_at_the_deadline)
{
    struct probed_subscriber_options options = options_for((const char *const[]){home}, 1);
    struct probed_subscriber *subscriber;
    struct probed_status status;

    change(home, "hush");
    ck_assert_int_eq(probed_subscriber_open(&options, &subscriber).code, PROBED_OK);
    status = probed_subscriber_connect(subscriber, 200);
    ck_assert_int_eq(status.code, PROBED_DEADLINE_EXCEEDED);
    ck_assert_ptr_nonnull(strstr(status.message, "administrators"));
    probed_subscriber_close(subscriber);
}
END_TEST

START_TEST(what_cannot_be_listened_to_is_refused)
{
    static const struct probed_subscriber_options nothing;
    struct probed_subscriber_options relative = options_for((const char *const[]){"relative"}, 1);
    struct probed_subscriber_options wrong_url = options_for((const char *const[]){home}, 1);
    struct probed_subscriber *subscriber;

    setenv("PROBED_EVENTS", events_url, 1);
    ck_assert_int_eq(probed_subscriber_open(&nothing, &subscriber).code, PROBED_INVALID_ARGUMENT);
    ck_assert_int_eq(probed_subscriber_open(&relative, &subscriber).code, PROBED_INVALID_ARGUMENT);
    wrong_url.url = "nowhere";
    ck_assert_int_eq(probed_subscriber_open(&wrong_url, &subscriber).code, PROBED_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_subscriber_need_not_want_to_be_told)
{
    struct probed_subscriber_options options = {.url = events_url, .all_homes = true};
    struct probed_subscriber *subscriber = subscribe_as(&options);

    change(home, "unheard");
    change(home, "skip-2");
    probed_subscriber_close(subscriber);
    probed_subscriber_close(NULL);
}
END_TEST

enum { HEAP_GROWTH_MAX = 16384 }; /* what is kept for the next; of ten thousand, a byte each */

START_TEST(opening_and_closing_leaves_nothing_behind)
{
    struct probed_subscriber_options options = {.url = events_url, .all_homes = true};
    size_t fd_count, heap_size = 0, count = patience_count(10000);
    struct probed_subscriber *subscriber;

    probed_subscriber_close(subscribe_as(&options));
    fd_count = process_fd_count(getpid());
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(probed_subscriber_open(&options, &subscriber).code, PROBED_OK);
        if (i % 2 == 0)
            ck_assert_int_eq(probed_subscriber_connect(subscriber, PATIENCE_MS).code, PROBED_OK);
        probed_subscriber_close(subscriber);
        if (i == count / 10)
            heap_size = process_heap_size();
    }
    process_wait_fd_count(getpid(), fd_count); /* the last is closed by a thread of nng's */
    ck_assert_uint_le(process_heap_size(), heap_size + HEAP_GROWTH_MAX);
}
END_TEST

START_TEST(a_forked_child_is_refused_and_its_parent_unharmed)
{
    struct probed_subscriber *subscriber = subscribe();
    int wait_status;
    pid_t pid = fork();

    if (pid == 0) {
        struct probed_status status = probed_subscriber_connect(subscriber, 0);

        probed_subscriber_close(subscriber);
        _exit(status.code == PROBED_FAILED_PRECONDITION ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &wait_status, 0), pid);
    ck_assert_int_eq(wait_status, 0);
    change(home, "still heard");
    wait_for(&heard.event_count, 1);
    probed_subscriber_close(subscriber);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_subscriber");
    TCase *tests = tcase_create("hearing");

    tcase_add_checked_fixture(tests, open_stage, close_stage);
    tcase_set_timeout(tests, patience_test_s());
    tcase_add_test(tests, an_event_is_heard_with_all_that_is_in_it);
    tcase_add_test(tests, only_the_homes_asked_for_are_heard);
    tcase_add_test(tests, all_homes_are_heard_by_who_asks_for_them);
    tcase_add_test(tests, a_home_is_heard_by_its_canonical_path);
    tcase_add_test(tests, an_event_that_comes_twice_is_told_once);
    tcase_add_test(tests, an_event_that_was_lost_is_noticed_by_the_heartbeats);
    tcase_add_test(tests, events_that_were_lost_are_noticed_by_the_next_one);
    tcase_add_test(tests, lost_heartbeats_are_noticed);
    tcase_add_test(tests, silence_is_noticed_and_told_once_and_ends);
    tcase_add_test(tests, what_changed_in_silence_is_a_gap_of_that_home);
    tcase_add_test(tests, old_heartbeats_do_not_make_current);
    tcase_add_test(tests, a_daemon_that_does_not_say_when_it_sent_is_believed);
    tcase_add_test(tests, heartbeats_that_cannot_name_all_are_made_up_for_unnoticed);
    tcase_add_test(tests, a_daemon_that_does_not_answer_for_a_home_keeps_it_from_being_current);
    tcase_add_test(tests, a_fence_is_known_by_either_name_of_a_home);
    tcase_add_test(tests, a_channel_may_be_lent);
    tcase_add_test(tests, an_event_loop_needs_no_thread);
    tcase_add_test(tests, who_does_not_process_is_not_current_for_long);
    tcase_add_test(tests, a_subscriber_with_a_thread_is_not_processed);
    tcase_add_test(tests, a_new_epoch_is_noticed);
    tcase_add_test(tests, what_cannot_be_read_is_a_gap);
    tcase_add_test(tests, a_daemon_that_was_started_anew_is_found_and_noticed);
    tcase_add_test(tests, an_absent_daemon_is_told_at_once);
    tcase_add_test(tests, a_daemon_that_lets_nothing_be_heard_is_given_up_at_the_deadline);
    tcase_add_test(tests, what_cannot_be_listened_to_is_refused);
    tcase_add_test(tests, a_subscriber_need_not_want_to_be_told);
    tcase_add_test(tests, opening_and_closing_leaves_nothing_behind);
    tcase_add_test(tests, a_forked_child_is_refused_and_its_parent_unharmed);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
