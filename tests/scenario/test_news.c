/* What subscribers hear: each change once and in order, before whoever caused it is answered; and heartbeats. */
#include "proto/limits.h"
#include "server/base/clock.h"
#include "server/base/text.h"
#include "tests/support/listener.h"
#include "tests/support/process.h"
#include "tests/support/raw.h"
#include "tests/support/story.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static struct listener listener;

static void news_setup(void)
{
    static const char *const settings[] = {"--events-heartbeat-ms", "50", NULL};

    stage_open(&stage, settings);
    listener_open(&listener, server->events_url);
}

static void news_teardown(void)
{
    listener_close(&listener);
    story_teardown();
}

static struct call *begin_invalidation(const char *path, const char *provider, const char *reason)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;

    request.home = (char *)(uintptr_t)path;
    request.provider = (char *)(uintptr_t)provider;
    request.reason = (char *)(uintptr_t)reason;
    return call_begin(caller, METHOD_INVALIDATE, 0, &request.base);
}

START_TEST(an_event_tells_what_changed)
{
    struct call *call = begin_invalidation(home->path, " OpenRouter", "rotated by hand");
    const Probed__V1__InvalidateResponse *response = invalidate_response(call);
    struct heard heard = listener_next_event(&listener);

    ck_assert_str_eq(heard.event->home, home->path);
    ck_assert_str_eq(heard.event->provider, "openrouter");
    ck_assert_str_eq(heard.event->reason, "rotated by hand");
    ck_assert_int_eq((int)heard.event->cause, PROBED__V1__CAUSE__CAUSE_REQUESTED);
    ck_assert_uint_eq(heard.event->fence->epoch, response->fence->epoch);
    ck_assert_uint_eq(heard.event->fence->generation, response->fence->generation);
    ck_assert_int_le(llabs(heard.event->at_ms - clock_wall_ms()), PATIENCE_MS);
    heard_end(&heard);
    call_end(call);
}
END_TEST

START_TEST(events_of_a_home_come_in_order_and_none_is_missing)
{
    size_t count = patience_count(10000);

    for (uint64_t generation = 2; generation < count + 2; generation++) {
        struct call *call = begin_invalidation(home->path, "", "");
        struct heard heard;

        ck_assert_uint_eq(invalidate_response(call)->fence->generation, generation);
        call_end(call);
        heard = listener_next_event(&listener);
        ck_assert_uint_eq(heard.event->fence->generation, generation);
        heard_end(&heard);
    }
    ck_assert_uint_eq(daemon_number(server, "probed_events_total"), count);
}
END_TEST

START_TEST(a_burst_of_events_stays_in_order)
{
    enum { COUNT = 100 };
    struct call *calls[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        calls[i] = begin_invalidation(home->path, "", "");
    for (uint64_t generation = 2; generation < COUNT + 2; generation++) {
        struct heard heard = listener_next_event(&listener);

        ck_assert_uint_eq(heard.event->fence->generation, generation);
        heard_end(&heard);
    }
    for (size_t i = 0; i < COUNT; i++) {
        call_expect(calls[i], STATUS_OK, NULL);
        call_end(calls[i]);
    }
}
END_TEST

START_TEST(heartbeats_are_dense)
{
    struct heard first = listener_next_beat(&listener);

    ck_assert_uint_ne(first.beat->epoch, 0);
    ck_assert_uint_eq(first.beat->interval_ms, 50);
    for (uint64_t i = 1; i < 10; i++) {
        struct heard next = listener_next_beat(&listener);

        ck_assert_uint_eq(next.beat->beat, first.beat->beat + i);
        ck_assert_uint_eq(next.beat->epoch, first.beat->epoch);
        heard_end(&next);
    }
    ck_assert_uint_ge(daemon_number(server, "probed_beats_total"), 10);
    heard_end(&first);
}
END_TEST

/* How many of the next heartbeats name the home with this generation, until one does not. */
static size_t count_beats_naming(uint64_t generation)
{
    for (size_t count = 0;; count++) {
        struct heard heard = listener_next_beat(&listener);
        bool named = false;

        for (size_t i = 0; i < heard.beat->n_recent; i++)
            named = named || (strcmp(heard.beat->recent[i]->home, home->path) == 0 &&
                              heard.beat->recent[i]->generation == generation);
        ck_assert(!heard.beat->truncated);
        heard_end(&heard);
        if (!named && count > 0)
            return count;
        ck_assert(named || count == 0);
    }
}

START_TEST(a_heartbeat_names_what_changed_lately)
{
    struct call *call = begin_invalidation(home->path, "", "");
    size_t count;

    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    count = count_beats_naming(2);
    ck_assert_uint_ge(count, 3); /* for four intervals, of which one has begun */
    if (patience_time_counts())
        ck_assert_uint_le(count, 5);
}
END_TEST

START_TEST(a_new_epoch_is_a_heartbeat)
{
    struct call *call = begin_invalidation("", "", "everything");
    const Probed__V1__InvalidateResponse *response = invalidate_response(call);
    struct heard heard = listener_next_beat(&listener);

    while (heard.beat->epoch != response->fence->epoch) { /* one of the old epoch may have been before it */
        ck_assert_uint_eq(heard.beat->n_recent, 0);
        heard_end(&heard);
        heard = listener_next_beat(&listener);
    }
    heard_end(&heard);
    call_end(call);
}
END_TEST

START_TEST(a_subscriber_that_does_not_read_costs_others_nothing)
{
    int fd = raw_connect(server->events_url);

    ck_assert_int_ge(fd, 0);
    ck_assert(raw_greet(fd, RAW_SUB));
    for (uint64_t generation = 2; generation < 3000; generation++) {
        struct call *call = begin_invalidation(home->path, "", "a reason that fills the socket of who does not read");
        struct heard heard;

        ck_assert_uint_eq(invalidate_response(call)->fence->generation, generation);
        call_end(call);
        heard = listener_next_event(&listener);
        ck_assert_uint_eq(heard.event->fence->generation, generation);
        heard_end(&heard);
    }
    close(fd);
}
END_TEST

STORY_SETUP(rare_beats, "--events-heartbeat-ms", "60000")

/* Both sockets by hand, no thread between: when the reply has been read, the event has been written.  Only where nng is
 * not yet done with the event before, which this process cannot see, does it wait in its queue for a moment. */
START_TEST(an_event_is_out_before_its_cause_is_answered)
{
    Probed__V1__InvalidateRequest request = PROBED__V1__INVALIDATE_REQUEST__INIT;
    size_t count = patience_count(20000), early_count = 0, size;
    unsigned char *message, bytes[8192];
    int calls_fd = raw_connect(server->url), events_fd = raw_connect(server->events_url);

    request.home = home->path;
    message = raw_pack(METHOD_INVALIDATE, 0, &request.base, &size);
    ck_assert(raw_greet(calls_fd, RAW_REQ) && raw_greet(events_fd, RAW_SUB));
    daemon_wait(server, "probed_subscribers", 1);
    for (uint32_t i = 0; i < count; i++) {
        Probed__V1__RpcResponse *response;
        ssize_t heard;

        ck_assert(raw_send(calls_fd, i, message, size));
        response = raw_receive(calls_fd);
        heard = recv(events_fd, bytes, sizeof bytes, MSG_DONTWAIT);
        early_count += heard > 0;
        ck_assert_ptr_nonnull(response);
        ck_assert_int_eq((int)response->code, STATUS_OK);
        probed__v1__rpc_response__free_unpacked(response, NULL);
        if (heard < 0)
            ck_assert_int_gt(recv(events_fd, bytes, sizeof bytes, 0), 0);
    }
    ck_assert_uint_ge(early_count, count * 95 / 100);
    close(calls_fd);
    close(events_fd);
    free(message);
}
END_TEST

/* ---- who may listen; the tests run as root ---- */

static int act_listen(void *context)
{
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = raw_connect(server->events_url);
    char byte;

    (void)context;
    if (fd < 0)
        return errno == EACCES ? 1 : 2;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!raw_greet(fd, RAW_SUB))
        return 3;
    return read(fd, &byte, 1) == 1 ? 0 : 3; /* something was heard, or the connection was closed */
}

enum { OTHER_UID = 65534 };

START_TEST(the_event_socket_is_not_for_everybody)
{
    ck_assert_int_eq(process_as(OTHER_UID, act_listen, NULL), 1);
}
END_TEST

STORY_SETUP(admitting, "--server-allow-uids", "65534", "--events-heartbeat-ms", "50")

START_TEST(who_may_call_may_not_listen_to_everything)
{
    ck_assert_int_eq(process_as(OTHER_UID, act_listen, NULL), 3);
}
END_TEST

/* ---- what is on one uid's wire ---- */

enum { OWNER_UID = 65533, FOREIGN_COUNT = 500, OWN_COUNT = 50 };

STORY_SETUP(two_users, "--server-allow-uids", "65533 65534 65534", "--events-heartbeat-ms", "50")

/* Connects as somebody else: the kernel notes who connects, of this thread alone. */
static int connect_as(uid_t uid, const char *url)
{
    int fd;

    ck_assert_int_eq((int)syscall(SYS_setresuid, -1, uid, -1), 0);
    fd = raw_connect(url);
    ck_assert_int_eq((int)syscall(SYS_setresuid, -1, 0, -1), 0);
    return fd;
}

static void uid_url(uid_t uid, char url[DAEMON_URL_SIZE])
{
    snprintf(url, DAEMON_URL_SIZE, "ipc://%s/events.%u.sock", server->scratch->path, (unsigned)uid);
}

static struct text captured;

static bool is_captured(const char *bytes)
{
    return captured.size > 0 && memmem(captured.bytes, captured.size, bytes, strlen(bytes)) != NULL;
}

/* Adds what is there to what was captured, or waits for something. */
static void capture(int fd, bool wait)
{
    char bytes[65536];
    ssize_t size = recv(fd, bytes, sizeof bytes, wait ? 0 : MSG_DONTWAIT);

    ck_assert_msg(size > 0 || (size < 0 && !wait && errno == EAGAIN), "the connection was closed");
    if (size > 0)
        text_add(&captured, bytes, (size_t)size);
}

static void invalidate(const char *path, const char *reason)
{
    struct call *call = begin_invalidation(path, "openrouter", reason);

    call_expect(call, STATUS_OK, NULL);
    call_end(call);
}

START_TEST(no_byte_about_anothers_home_is_on_a_uids_wire)
{
    struct home others;
    char url[DAEMON_URL_SIZE];
    int fd;

    home_create(&others, server->scratch, "somebody-elses");
    ck_assert_int_eq(chown(others.path, OTHER_UID, OTHER_UID), 0);
    ck_assert_int_eq(chown(home->path, OWNER_UID, OWNER_UID), 0);
    uid_url(OWNER_UID, url);
    fd = connect_as(OWNER_UID, url);
    ck_assert_int_ge(fd, 0);
    ck_assert(raw_greet(fd, RAW_SUB));
    while (!is_captured("beat\n"))
        capture(fd, true);
    for (size_t i = 0; i < FOREIGN_COUNT; i++) {
        invalidate(others.path, "a-reason-of-somebody-else");
        if (i % (FOREIGN_COUNT / OWN_COUNT) == 0)
            invalidate(home->path, "my-own-reason");
        capture(fd, false);
    }
    invalidate(home->path, "the-last-word");
    while (!is_captured("the-last-word"))
        capture(fd, true);
    for (size_t beats = 0; beats < LIMIT_BEAT_INTERVALS_RECENT + 1; beats++) /* and what heartbeats name */
        capture(fd, true);
    ck_assert(is_captured("my-own-reason"));
    ck_assert(is_captured(home->path));
    ck_assert(!is_captured("somebody-elses"));
    ck_assert(!is_captured("a-reason-of-somebody-else"));
    text_fini(&captured);
    close(fd);
}
END_TEST

/* Nothing but a closed connection, where it would have heard a heartbeat by now. */
static bool is_turned_away(uid_t uid, const char *url)
{
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = connect_as(uid, url);
    char byte;
    bool turned_away;

    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    turned_away = !raw_greet(fd, RAW_SUB) || read(fd, &byte, 1) == 0;
    close(fd);
    return turned_away;
}

START_TEST(a_uids_socket_is_for_nobody_else_but_administrators)
{
    char url[DAEMON_URL_SIZE];

    uid_url(OWNER_UID, url);
    ck_assert(is_turned_away(OTHER_UID, url));
    ck_assert(is_turned_away(OWNER_UID, server->events_url));
    ck_assert(!is_turned_away(OWNER_UID, url));
    ck_assert(!is_turned_away(0, url));
}
END_TEST

START_TEST(a_change_of_owner_changes_who_hears)
{
    char url[DAEMON_URL_SIZE];
    int fd;

    ck_assert_int_eq(chown(home->path, OTHER_UID, OTHER_UID), 0);
    uid_url(OWNER_UID, url);
    fd = connect_as(OWNER_UID, url);
    ck_assert(raw_greet(fd, RAW_SUB));
    invalidate(home->path, "not-yet-mine");
    for (size_t beats = 0; beats < 2; beats++) /* whose it is, is found out by then */
        capture(fd, true);
    ck_assert_int_eq(chown(home->path, OWNER_UID, OWNER_UID), 0);
    do { /* what was found out is remembered for 250 ms */
        invalidate(home->path, "mine-by-now");
        capture(fd, true);
    } while (!is_captured("mine-by-now"));
    ck_assert(!is_captured("not-yet-mine"));
    text_fini(&captured);
    close(fd);
}
END_TEST

STORY_SETUP(with_administrator, "--server-admin-uids", "65534", "--events-heartbeat-ms", "50")

START_TEST(an_administrator_may_listen)
{
    ck_assert_int_eq(process_as(OTHER_UID, act_listen, NULL), 0);
}
END_TEST

static void add_news(Suite *suite)
{
    TCase *tcase = tcase_create("news");

    tcase_add_checked_fixture(tcase, news_setup, news_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, an_event_tells_what_changed);
    tcase_add_test(tcase, events_of_a_home_come_in_order_and_none_is_missing);
    tcase_add_test(tcase, a_burst_of_events_stays_in_order);
    tcase_add_test(tcase, heartbeats_are_dense);
    tcase_add_test(tcase, a_heartbeat_names_what_changed_lately);
    tcase_add_test(tcase, a_new_epoch_is_a_heartbeat);
    tcase_add_test(tcase, a_subscriber_that_does_not_read_costs_others_nothing);
}

static void add_uids(Suite *suite)
{
    TCase *tcase = story_case(suite, "closed", story_setup);

    tcase_add_test(tcase, the_event_socket_is_not_for_everybody);
    tcase = story_case(suite, "admitting", admitting);
    tcase_add_test(tcase, who_may_call_may_not_listen_to_everything);
    tcase = story_case(suite, "users", two_users);
    tcase_add_test(tcase, no_byte_about_anothers_home_is_on_a_uids_wire);
    tcase_add_test(tcase, a_uids_socket_is_for_nobody_else_but_administrators);
    tcase_add_test(tcase, a_change_of_owner_changes_who_hears);
    tcase = story_case(suite, "administrator", with_administrator);
    tcase_add_test(tcase, an_administrator_may_listen);
}

int main(void)
{
    Suite *suite = suite_create("news");

    add_news(suite);
    tcase_add_test(story_case(suite, "order", rare_beats), an_event_is_out_before_its_cause_is_answered);
    if (geteuid() == 0) /* only root can be somebody else */
        add_uids(suite);
    return check_main(suite);
}
