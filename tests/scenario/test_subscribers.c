/* Nothing is lost unnoticed: libprobed's subscriber behind a network that loses half, stopped, left alone, and behind a
 * daemon that is stopped or started anew; judged by a witness in a process of its own. */
#include "tests/support/listener.h"
#include "tests/support/lossy_proxy.h"
#include "tests/support/story.h"
#include "tests/support/witness.h"

#include "server/base/clock.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

enum { INTERVAL_MS = 50, STOP_FIGURE = 50, STOP_COUNT_MIN = 5 };

static struct witness *witness;
static struct listener listener;
static uint64_t generation; /* the newest that was answered */

static void open_witnessed(void)
{
    static const char *const settings[] = {"--events-heartbeat-ms", "50", NULL};

    witness = witness_start();
    stage_open(&stage, settings);
    listener_open(&listener, server->events_url);
    generation = 1;
}

static void close_witnessed(void)
{
    listener_close(&listener);
    story_teardown(); /* first: the daemon expects to leave as many children behind as it found */
    witness_end(witness);
}

static void change(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct call *call = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_FENCED);

        generation = invalidate_response(call)->fence->generation;
        call_end(call);
        witness_note(witness, generation);
    }
}

/* So many heartbeats, by who hears all of them. */
static void wait_beats(size_t count)
{
    struct heard heard;

    do { /* those that are there already */
        heard = listener_next_beat(&listener);
        if (heard.beat->sent_ns + INTERVAL_MS * NS_PER_MS / 2 > clock_now_ns())
            count--;
        heard_end(&heard);
    } while (count > 0);
}

/* ---- a bad network ---- */

START_TEST(what_is_lost_repeated_and_delayed_is_noticed)
{
    enum { FIGURE = 100000, BATCH = 100 };
    char proxy_url[DAEMON_URL_SIZE];
    const char *given = getenv("PROBED_SEED");
    struct lossy_proxy_settings settings = {
        .from_url = server->events_url,
        .to_url = proxy_url,
        .seed = given != NULL ? strtoull(given, NULL, 0) : clock_now_ns(),
        .delay_ms_max = (uint64_t)INTERVAL_MS * 4,
    };
    struct lossy_proxy_counts lost;
    struct witness_counts counts;
    struct lossy_proxy *proxy;
    size_t count = patience_count(FIGURE);

    snprintf(proxy_url, sizeof proxy_url, "ipc://%s/proxy.sock", server->scratch->path);
    proxy = lossy_proxy_create(&settings);
    witness_begin(witness, proxy_url, server->url, home->path, INTERVAL_MS);
    witness_wait_current(witness);
    lossy_proxy_be_lossy(proxy, true);
    for (size_t done = 0; done < count; done += BATCH) {
        change(BATCH);
        wait_beats(1);
    }
    witness_wait_current(witness); /* even so */
    lossy_proxy_be_lossy(proxy, false);
    change(1);
    witness_wait_current(witness);
    counts = witness_counts(witness);
    lost = lossy_proxy_destroy(proxy);
    printf("seed %" PRIu64 ": %zu passed, %zu lost, %zu repeated, %zu delayed; %" PRIu64 " events, %" PRIu64
           " gaps, %" PRIu64 " changes of state, current in %" PRIu64 " of %" PRIu64 " looks\n",
           settings.seed, lost.passed, lost.dropped, lost.repeated, lost.delayed, counts.events, counts.gaps,
           counts.transitions, counts.looks_while_current, counts.looks);
    ck_assert_uint_gt(counts.gaps, count / 20);
    ck_assert_uint_gt(counts.looks_while_current, counts.looks / 10); /* it is not honest by never being current */
}
END_TEST

START_TEST(what_comes_late_makes_nobody_current)
{
    char proxy_url[DAEMON_URL_SIZE];
    struct lossy_proxy_settings settings = {.from_url = server->events_url, .to_url = proxy_url};
    struct lossy_proxy *proxy;

    snprintf(proxy_url, sizeof proxy_url, "ipc://%s/proxy.sock", server->scratch->path);
    proxy = lossy_proxy_create(&settings);
    witness_begin(witness, proxy_url, server->url, home->path, INTERVAL_MS);
    for (size_t i = 0; i < STOP_COUNT_MIN; i++) {
        uint64_t beats;

        change(1);
        witness_wait_current(witness);
        lossy_proxy_lag(proxy, (uint64_t)INTERVAL_MS * 5);
        witness_wait_not_current(witness);
        beats = witness_counts(witness).beats;
        while (witness_counts(witness).beats < beats + 10) /* they come, five intervals old */
            change(1);
        witness_wait_not_current(witness);
        lossy_proxy_lag(proxy, 0);
    }
    lossy_proxy_destroy(proxy);
}
END_TEST

/* ---- stopped ---- */

static size_t stop_count(void)
{
    size_t count = patience_count(STOP_FIGURE);

    return count > STOP_COUNT_MIN ? count : STOP_COUNT_MIN;
}

START_TEST(a_stopped_subscriber_is_never_current_with_what_it_missed)
{
    witness_begin(witness, server->events_url, server->url, home->path, INTERVAL_MS);
    for (size_t i = 0; i < stop_count(); i++) {
        uint64_t transitions;

        change(3);
        witness_wait_current(witness);
        transitions = witness_counts(witness).transitions;
        kill(witness_pid(witness), SIGSTOP);
        change(10);
        wait_beats(i % 2 == 0 ? 5 : 10);
        kill(witness_pid(witness), SIGCONT);
        witness_wait_current(witness);
        ck_assert_uint_ge(witness_counts(witness).transitions, transitions + 2); /* it said so, too */
    }
}
END_TEST

START_TEST(a_stopped_daemon_is_noticed_and_so_is_its_return)
{
    witness_begin(witness, server->events_url, server->url, home->path, INTERVAL_MS);
    for (size_t i = 0; i < stop_count(); i++) {
        change(3);
        witness_wait_current(witness);
        kill(server->pid, SIGSTOP);
        witness_wait_not_current(witness);
        kill(server->pid, SIGCONT);
        witness_wait_current(witness);
    }
}
END_TEST

/* ---- started anew ---- */

START_TEST(a_daemon_started_anew_is_noticed)
{
    static const char *const settings[] = {"--events-heartbeat-ms", "50", NULL};

    witness_begin(witness, server->events_url, server->url, home->path, INTERVAL_MS);
    for (size_t i = 0; i < STOP_COUNT_MIN; i++) {
        change(1 + i);
        witness_wait_current(witness);
        witness_forget(witness);
        daemon_kill(server);
        daemon_wait_alone(server, PATIENCE_MS);
        daemon_start(server, &stage.scratch, settings);
        change(i % 2); /* at generation 1 it is told by the epoch alone */
        witness_wait_current(witness);
    }
}
END_TEST

START_TEST(a_new_epoch_is_noticed)
{
    witness_begin(witness, server->events_url, server->url, home->path, INTERVAL_MS);
    for (size_t i = 0; i < STOP_COUNT_MIN; i++) {
        struct call *call;

        change(3);
        witness_wait_current(witness);
        witness_forget(witness);
        call = invalidate_begin(caller, "", "", PROBED__V1__BARRIER__BARRIER_FENCED);
        call_expect(call, STATUS_OK, NULL);
        call_end(call);
        witness_wait_current(witness);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subscribers");
    TCase *tcase = tcase_create("witnessed");

    tcase_add_checked_fixture(tcase, open_witnessed, close_witnessed);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, what_is_lost_repeated_and_delayed_is_noticed);
    tcase_add_test(tcase, what_comes_late_makes_nobody_current);
    tcase_add_test(tcase, a_stopped_subscriber_is_never_current_with_what_it_missed);
    tcase_add_test(tcase, a_stopped_daemon_is_noticed_and_so_is_its_return);
    tcase_add_test(tcase, a_daemon_started_anew_is_noticed);
    tcase_add_test(tcase, a_new_epoch_is_noticed);
    return check_main(suite);
}
