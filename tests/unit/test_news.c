/* The publisher, with a source the test fills and real sockets in a fresh folder. */
#include "server/news/news.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "proto/topic.h"
#include "server/base/clock.h"
#include "server/threads/lock.h"
#include "tests/support/check_main.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ITEM_COUNT_MAX = LIMIT_HEADS_PER_BEAT + 8, HEARTBEAT_MS = 50, RECEIVE_MS = 10000 };

/* What the engine is to the publisher. */
static struct {
    struct lock lock;
    struct condition changed;
    struct engine_news items[ITEM_COUNT_MAX];
    size_t item_count, taken_count;
    uint64_t epoch;
    size_t answered_count;
    bool refuses; /* whoever comes from now on */
    size_t judged_count;
    enum news_verdict verdict; /* about /h/mine; any other home is somebody else's */
    size_t look_count;
} source;

static char folder[64], url[96], own_url[NEWS_URL_SIZE];
static struct news *news;

static bool next(void *context, struct engine_news *news_out)
{
    bool found;

    (void)context;
    lock_acquire(&source.lock);
    found = source.taken_count < source.item_count;
    if (found)
        *news_out = source.items[source.taken_count++];
    lock_release(&source.lock);
    return found;
}

static uint64_t epoch(void *context)
{
    uint64_t now;

    (void)context;
    lock_acquire(&source.lock);
    now = source.epoch;
    lock_release(&source.lock);
    return now;
}

static void answered(void *context, struct engine_call *call)
{
    (void)context;
    lock_acquire(&source.lock);
    source.answered_count++;
    call->result.status = status_ok();
    condition_broadcast(&source.changed);
    lock_release(&source.lock);
}

static bool admits(void *context, uint32_t uid)
{
    bool admitted;

    (void)context;
    (void)uid;
    lock_acquire(&source.lock);
    admitted = !source.refuses;
    source.judged_count++;
    condition_broadcast(&source.changed);
    lock_release(&source.lock);
    return admitted;
}

static enum news_verdict judge(void *context, uint32_t uid, const char *home)
{
    enum news_verdict verdict;

    (void)context;
    ck_assert_uint_eq(uid, getuid());
    lock_acquire(&source.lock);
    verdict = strcmp(home, "/h/mine") == 0 ? source.verdict : NEWS_NOT_HEARD;
    lock_release(&source.lock);
    return verdict;
}

static bool look(void *context, uint32_t uid, const char *home)
{
    (void)context;
    ck_assert_uint_eq(uid, getuid());
    ck_assert_str_eq(home, "/h/mine");
    lock_acquire(&source.lock);
    source.look_count++;
    condition_broadcast(&source.changed);
    lock_release(&source.lock);
    return true;
}

static const struct news_source functions = {
    .next = next, .epoch = epoch, .answered = answered, .judge = judge, .look = look};

static void setup(void)
{
    const char *urls[] = {url};
    uint32_t uid = getuid();
    struct news_settings settings = {.urls = urls,
                                     .url_count = 1,
                                     .uids = &uid,
                                     .uid_count = 1,
                                     .ipc_mode = 0600,
                                     .admits = admits,
                                     .heartbeat_ns = HEARTBEAT_MS * NS_PER_MS};
    struct status status;

    snprintf(folder, sizeof folder, "/tmp/probed-news-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(url, sizeof url, "ipc://%s/events.sock", folder);
    ck_assert(news_url_of_uid(urls, 0, uid, own_url));
    lock_init(&source.lock, "source");
    condition_init(&source.changed);
    source.epoch = 7;
    source.verdict = NEWS_HEARD;
    status = news_create(&settings, &functions, NULL, &news);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void teardown(void)
{
    news_destroy(news);
    nng_fini();
    ck_assert_int_eq(rmdir(folder), 0); /* and so no socket file is left */
}

static nng_socket subscribe_at(const char *where, const char *topic)
{
    nng_socket socket;

    ck_assert_int_eq(nng_sub0_open(&socket), 0);
    ck_assert_int_eq(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, topic, strlen(topic)), 0);
    ck_assert_int_eq(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, RECEIVE_MS), 0);
    ck_assert_int_eq(nng_socket_set_int(socket, NNG_OPT_RECVBUF, 1024), 0);
    ck_assert_int_eq(nng_dial(socket, where, NULL, 0), 0);
    return socket;
}

static nng_socket subscribe(const char *topic)
{
    return subscribe_at(url, topic);
}

static nng_msg *receive(nng_socket socket)
{
    nng_msg *message;

    ck_assert_int_eq(nng_recvmsg(socket, &message, 0), 0);
    return message;
}

static Probed__V1__Heartbeat *receive_beat(nng_socket socket)
{
    nng_msg *message = receive(socket);
    size_t topic = topic_size(nng_msg_body(message), nng_msg_len(message));
    Probed__V1__Heartbeat *beat =
        probed__v1__heartbeat__unpack(NULL, nng_msg_len(message) - topic, (uint8_t *)nng_msg_body(message) + topic);

    ck_assert_uint_eq(topic, strlen(TOPIC_BEAT));
    ck_assert_ptr_nonnull(beat);
    nng_msg_free(message);
    return beat;
}

static void add_item_of(const char *home, enum engine_news_kind kind, uint64_t generation, struct engine_call *call)
{
    struct engine_news *item;

    lock_acquire(&source.lock);
    item = &source.items[source.item_count++];
    item->kind = kind;
    item->fence = (struct fence){source.epoch, generation};
    item->cause = CAUSE_REQUESTED;
    item->call = call;
    snprintf(item->home, sizeof item->home, "%s", home);
    snprintf(item->reason, sizeof item->reason, "rotated");
    lock_release(&source.lock);
    news_wake(news);
}

static void add_item(enum engine_news_kind kind, uint64_t generation, struct engine_call *call)
{
    add_item_of("/h/a", kind, generation, call);
}

static void await(const size_t *counter, size_t count)
{
    lock_acquire(&source.lock);
    while (*counter < count)
        ck_assert(condition_wait(&source.changed, &source.lock, clock_now_ns() + RECEIVE_MS * NS_PER_MS));
    lock_release(&source.lock);
}

/* The first heartbeat that names somebody. */
static Probed__V1__Heartbeat *receive_naming_beat(nng_socket socket)
{
    for (;;) {
        Probed__V1__Heartbeat *beat = receive_beat(socket);

        if (beat->n_recent > 0)
            return beat;
        probed__v1__heartbeat__free_unpacked(beat, NULL);
    }
}

START_TEST(heartbeats_count_up_and_the_four_behind_an_event_name_its_home)
{
    nng_socket socket = subscribe(TOPIC_BEAT);
    Probed__V1__Heartbeat *beat = receive_beat(socket);
    uint64_t number = beat->beat;

    ck_assert_uint_eq(beat->epoch, 7);
    ck_assert_uint_eq(beat->interval_ms, HEARTBEAT_MS);
    ck_assert_uint_eq(beat->n_recent, 0);
    probed__v1__heartbeat__free_unpacked(beat, NULL);
    add_item(ENGINE_NEWS_EVENT, 8, NULL);
    add_item(ENGINE_NEWS_EVENT, 9, NULL);
    beat = receive_naming_beat(socket);
    for (size_t i = 0; i < LIMIT_BEAT_INTERVALS_RECENT; i++) {
        ck_assert_uint_gt(beat->beat, number);
        number = beat->beat;
        ck_assert_uint_eq(beat->n_recent, 1);
        ck_assert_str_eq(beat->recent[0]->home, "/h/a");
        ck_assert_uint_eq(beat->recent[0]->generation, 9);
        ck_assert_uint_le(beat->sent_ns, clock_now_ns());
        ck_assert_uint_gt(beat->sent_ns, 0);
        ck_assert(!beat->truncated);
        probed__v1__heartbeat__free_unpacked(beat, NULL);
        beat = receive_beat(socket);
        ck_assert_uint_eq(beat->beat, number + 1);
    }
    ck_assert_uint_eq(beat->n_recent, 0);
    probed__v1__heartbeat__free_unpacked(beat, NULL);
    nng_close(socket);
}
END_TEST

START_TEST(a_heartbeat_that_cannot_name_all_says_so_as_long_as_it_is_so)
{
    nng_socket socket = subscribe(TOPIC_BEAT);
    size_t truncated_count = 0;
    bool truncated;

    probed__v1__heartbeat__free_unpacked(receive_beat(socket), NULL);
    lock_acquire(&source.lock);
    for (size_t i = 0; i < LIMIT_HEADS_PER_BEAT + 1; i++) {
        struct engine_news *item = &source.items[source.item_count++];

        *item = (struct engine_news){.kind = ENGINE_NEWS_EVENT, .fence = {7, 2}};
        snprintf(item->home, sizeof item->home, "/h/%zu", i);
    }
    lock_release(&source.lock);
    news_wake(news);
    do {
        Probed__V1__Heartbeat *beat = receive_beat(socket);

        truncated = beat->truncated;
        truncated_count += truncated;
        ck_assert_uint_le(beat->n_recent, LIMIT_HEADS_PER_BEAT);
        if (truncated)
            ck_assert_str_eq(beat->recent[0]->home, "/h/256"); /* the newest are named */
        probed__v1__heartbeat__free_unpacked(beat, NULL);
    } while (truncated || truncated_count == 0);
    ck_assert_uint_eq(truncated_count, LIMIT_BEAT_INTERVALS_RECENT);
    nng_close(socket);
}
END_TEST

START_TEST(events_of_a_home_come_in_order_under_its_topic_and_their_calls_are_answered)
{
    static struct engine_call calls[ITEM_COUNT_MAX];
    nng_socket socket = subscribe("home:/h/a\n");
    nng_socket beats = subscribe(TOPIC_BEAT);

    /* A beat that arrived shows that the publisher has the second subscriber, which dialled after the first. */
    probed__v1__heartbeat__free_unpacked(receive_beat(beats), NULL);
    for (uint64_t i = 0; i < 16; i++)
        add_item(ENGINE_NEWS_EVENT, i + 2, &calls[i]);
    for (uint64_t i = 0; i < 16; i++) {
        nng_msg *message = receive(socket);
        size_t topic = topic_size(nng_msg_body(message), nng_msg_len(message));
        Probed__V1__CredentialEvent *event = probed__v1__credential_event__unpack(
            NULL, nng_msg_len(message) - topic, (uint8_t *)nng_msg_body(message) + topic);

        ck_assert_ptr_nonnull(event);
        ck_assert_uint_eq(event->fence->generation, i + 2);
        ck_assert_uint_eq(event->fence->epoch, 7);
        ck_assert_str_eq(event->home, "/h/a");
        ck_assert_str_eq(event->reason, "rotated");
        ck_assert_int_eq(event->cause, PROBED__V1__CAUSE__CAUSE_REQUESTED);
        ck_assert_int_gt(event->at_ms, 0);
        probed__v1__credential_event__free_unpacked(event, NULL);
        nng_msg_free(message);
    }
    await(&source.answered_count, 16);
    nng_close(socket);
    nng_close(beats);
}
END_TEST

START_TEST(a_new_epoch_is_beaten_before_its_call_is_answered_and_counts_from_one)
{
    static struct engine_call call;
    nng_socket socket = subscribe(TOPIC_BEAT);
    Probed__V1__Heartbeat *beat;

    probed__v1__heartbeat__free_unpacked(receive_beat(socket), NULL);
    add_item(ENGINE_NEWS_EVENT, 3, NULL); /* of the old epoch, and out before the new one begins */
    lock_acquire(&source.lock);
    source.epoch = 8;
    lock_release(&source.lock);
    add_item(ENGINE_NEWS_BEAT, 1, &call);
    await(&source.answered_count, 1);
    do {
        beat = receive_beat(socket);
        if (beat->epoch == 8)
            break;
        probed__v1__heartbeat__free_unpacked(beat, NULL);
    } while (true);
    ck_assert_uint_eq(beat->beat, 1);
    ck_assert_uint_eq(beat->n_recent, 0); /* generations of another epoch mean nothing in this one */
    probed__v1__heartbeat__free_unpacked(beat, NULL);
    nng_close(socket);
}
END_TEST

START_TEST(a_peer_that_is_not_admitted_hears_nothing_and_is_not_counted)
{
    nng_socket friend = subscribe(TOPIC_BEAT), stranger;
    nng_msg *message;
    struct news_counts counts;

    await(&source.judged_count, 1);
    lock_acquire(&source.lock);
    source.refuses = true;
    lock_release(&source.lock);
    stranger = subscribe("");
    await(&source.judged_count, 2);
    probed__v1__heartbeat__free_unpacked(receive_beat(friend), NULL);
    probed__v1__heartbeat__free_unpacked(receive_beat(friend), NULL);
    ck_assert_int_eq(nng_recvmsg(stranger, &message, NNG_FLAG_NONBLOCK), NNG_EAGAIN);
    nng_close(stranger);
    /* A refused pipe is counted until nng's reaper has it; a beat or two later it has. */
    do {
        probed__v1__heartbeat__free_unpacked(receive_beat(friend), NULL);
        news_look(news, &counts);
    } while (counts.subscribers != 1);
    nng_close(friend);
}
END_TEST

START_TEST(the_newest_events_are_kept_for_a_person_the_newest_first)
{
    static struct engine_call calls[2];
    static struct history_event events[HISTORY_EVENT_COUNT_MAX + 1];

    for (uint64_t i = 1; i <= HISTORY_EVENT_COUNT_MAX; i++)
        add_item_of("/h/a", ENGINE_NEWS_EVENT, i, i == HISTORY_EVENT_COUNT_MAX ? &calls[0] : NULL);
    await(&source.answered_count, 1);
    ck_assert_uint_eq(news_look_history(news, events, HISTORY_EVENT_COUNT_MAX + 1), HISTORY_EVENT_COUNT_MAX);
    ck_assert_uint_eq(events[0].generation, HISTORY_EVENT_COUNT_MAX);
    ck_assert_str_eq(events[0].home, "/h/a");
    ck_assert_int_ge(events[0].at_ms, events[1].at_ms);
    ck_assert_uint_eq(events[HISTORY_EVENT_COUNT_MAX - 1].generation, 1);
    add_item_of("", ENGINE_NEWS_BEAT, 1, &calls[1]); /* every home */
    await(&source.answered_count, 2);
    ck_assert_uint_eq(news_look_history(news, events, 2), 2);
    ck_assert_str_eq(events[0].home, "");
    ck_assert_uint_eq(events[1].generation, HISTORY_EVENT_COUNT_MAX);
}
END_TEST

/* ---- a uid's own socket ---- */

START_TEST(a_uid_hears_of_its_own_homes_alone)
{
    nng_socket socket = subscribe_at(own_url, ""), all = subscribe("home:");
    nng_msg *message;
    bool heard_event = false, heard_head = false;

    probed__v1__heartbeat__free_unpacked(receive_beat(socket), NULL);
    for (uint64_t i = 2; i < 10; i++)
        add_item_of("/h/theirs", ENGINE_NEWS_EVENT, i, NULL);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 2, NULL);
    while (!heard_event || !heard_head) {
        message = receive(socket);
        ck_assert_ptr_null(memmem(nng_msg_body(message), nng_msg_len(message), "theirs", strlen("theirs")));
        if (memmem(nng_msg_body(message), nng_msg_len(message), "/h/mine", strlen("/h/mine")) != NULL)
            *(topic_size(nng_msg_body(message), nng_msg_len(message)) == strlen(TOPIC_BEAT) ? &heard_head
                                                                                            : &heard_event) = true;
        nng_msg_free(message);
    }
    for (size_t i = 0; i < 9; i++)
        nng_msg_free(receive(all)); /* and who may hear everything does */
    nng_close(socket);
    nng_close(all);
}
END_TEST

static void expect_event(nng_socket socket, uint64_t generation)
{
    nng_msg *message = receive(socket);
    size_t topic = topic_size(nng_msg_body(message), nng_msg_len(message));
    Probed__V1__CredentialEvent *event = probed__v1__credential_event__unpack(NULL, nng_msg_len(message) - topic,
                                                                              (uint8_t *)nng_msg_body(message) + topic);

    ck_assert_ptr_nonnull(event);
    ck_assert_uint_eq(event->fence->generation, generation);
    probed__v1__credential_event__free_unpacked(event, NULL);
    nng_msg_free(message);
}

START_TEST(events_of_a_home_of_unknown_owner_wait_in_order_and_hold_up_nobody)
{
    static struct engine_call call;
    nng_socket socket = subscribe_at(own_url, "home:"), beats = subscribe_at(own_url, TOPIC_BEAT);
    Probed__V1__Heartbeat *beat;

    probed__v1__heartbeat__free_unpacked(receive_beat(beats), NULL);
    lock_acquire(&source.lock);
    source.verdict = NEWS_UNDECIDED;
    lock_release(&source.lock);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 5, NULL);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 6, &call);
    await(&source.answered_count, 1);
    await(&source.look_count, 1);
    for (size_t i = 0; i < 2 * LIMIT_BEAT_INTERVALS_RECENT; i++) {
        beat = receive_beat(beats);
        ck_assert_uint_eq(beat->n_recent, 0);
        probed__v1__heartbeat__free_unpacked(beat, NULL);
    }
    ck_assert_uint_eq(source.look_count, 1); /* one at a time */
    lock_acquire(&source.lock);
    source.verdict = NEWS_HEARD;
    lock_release(&source.lock);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 7, NULL); /* does not overtake */
    expect_event(socket, 5);
    expect_event(socket, 6);
    expect_event(socket, 7);
    beat = receive_naming_beat(beats);
    ck_assert_str_eq(beat->recent[0]->home, "/h/mine");
    ck_assert_uint_eq(beat->recent[0]->generation, 7);
    probed__v1__heartbeat__free_unpacked(beat, NULL);
    nng_close(socket);
    nng_close(beats);
}
END_TEST

START_TEST(what_waited_is_published_once_somebody_has_looked)
{
    nng_socket socket = subscribe_at(own_url, "");

    probed__v1__heartbeat__free_unpacked(receive_beat(socket), NULL);
    lock_acquire(&source.lock);
    source.verdict = NEWS_UNDECIDED;
    lock_release(&source.lock);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 5, NULL);
    await(&source.look_count, 1);
    lock_acquire(&source.lock);
    source.verdict = NEWS_NOT_HEARD;
    lock_release(&source.lock);
    news_looked(news, getuid());
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 6, NULL);
    for (size_t i = 0; i < LIMIT_BEAT_INTERVALS_RECENT; i++) { /* it was not for this uid, and nothing was said of it */
        Probed__V1__Heartbeat *beat = receive_beat(socket);

        ck_assert_uint_eq(beat->n_recent, 0);
        ck_assert(!beat->truncated);
        probed__v1__heartbeat__free_unpacked(beat, NULL);
    }
    lock_acquire(&source.lock);
    source.verdict = NEWS_UNDECIDED;
    lock_release(&source.lock);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 7, NULL);
    await(&source.look_count, 2);
    lock_acquire(&source.lock);
    source.verdict = NEWS_HEARD;
    lock_release(&source.lock);
    news_looked(news, getuid());
    for (;;) {
        nng_msg *message = receive(socket);
        bool is_event = topic_size(nng_msg_body(message), nng_msg_len(message)) != strlen(TOPIC_BEAT);

        nng_msg_free(message);
        if (is_event)
            break;
    }
    nng_close(socket);
}
END_TEST

START_TEST(more_events_than_can_wait_are_lost_and_the_heartbeats_say_so)
{
    nng_socket socket = subscribe_at(own_url, "home:"), beats = subscribe_at(own_url, TOPIC_BEAT);
    size_t truncated_count = 0;
    bool truncated;

    probed__v1__heartbeat__free_unpacked(receive_beat(beats), NULL);
    lock_acquire(&source.lock);
    source.verdict = NEWS_UNDECIDED;
    for (uint64_t i = 0; i < LIMIT_HEADS_PER_BEAT + 1; i++) { /* one too many */
        struct engine_news *item = &source.items[source.item_count++];

        *item = (struct engine_news){.kind = ENGINE_NEWS_EVENT, .fence = {7, 2 + i}, .home = "/h/mine"};
    }
    lock_release(&source.lock);
    news_wake(news);
    do {
        Probed__V1__Heartbeat *beat = receive_beat(beats);

        truncated = beat->truncated;
        truncated_count += truncated;
        ck_assert_uint_eq(beat->n_recent, 0);
        probed__v1__heartbeat__free_unpacked(beat, NULL);
    } while (truncated || truncated_count == 0);
    ck_assert_uint_eq(truncated_count, LIMIT_BEAT_INTERVALS_RECENT);
    lock_acquire(&source.lock);
    source.verdict = NEWS_HEARD;
    lock_release(&source.lock);
    news_looked(news, getuid());
    for (uint64_t i = 0; i < LIMIT_HEADS_PER_BEAT; i++)
        expect_event(socket, 2 + i);
    nng_close(socket);
    nng_close(beats);
}
END_TEST

START_TEST(what_waited_is_void_when_an_epoch_begins)
{
    static struct engine_call call;
    nng_socket socket = subscribe_at(own_url, "home:"), beats = subscribe_at(own_url, TOPIC_BEAT);

    probed__v1__heartbeat__free_unpacked(receive_beat(beats), NULL);
    lock_acquire(&source.lock);
    source.verdict = NEWS_UNDECIDED;
    lock_release(&source.lock);
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 5, NULL);
    await(&source.look_count, 1);
    lock_acquire(&source.lock);
    source.epoch = 8;
    lock_release(&source.lock);
    add_item(ENGINE_NEWS_BEAT, 1, &call);
    await(&source.answered_count, 1);
    lock_acquire(&source.lock);
    source.verdict = NEWS_HEARD;
    lock_release(&source.lock);
    news_looked(news, getuid());
    add_item_of("/h/mine", ENGINE_NEWS_EVENT, 2, NULL);
    expect_event(socket, 2); /* and not the one of the epoch that is over */
    nng_close(socket);
    nng_close(beats);
}
END_TEST

START_TEST(a_uid_socket_lies_beside_each_ipc_socket_once)
{
    static const char *const urls[] = {"ipc:///run/a/news.sock", "tcp://127.0.0.1:7", "ipc:///run/a/more.sock",
                                       "ipc:///run/b/news.sock"};
    char out[NEWS_URL_SIZE];

    ck_assert(news_url_of_uid(urls, 0, 1000, out));
    ck_assert_str_eq(out, "ipc:///run/a/events.1000.sock");
    ck_assert(!news_url_of_uid(urls, 1, 1000, out));
    ck_assert(!news_url_of_uid(urls, 2, 1000, out));
    ck_assert(news_url_of_uid(urls, 3, 4294967294U, out));
    ck_assert_str_eq(out, "ipc:///run/b/events.4294967294.sock");
}
END_TEST

START_TEST(what_is_in_the_outbox_at_the_end_is_published_and_answered)
{
    static struct engine_call calls[8];

    lock_acquire(&source.lock);
    for (size_t i = 0; i < 8; i++)
        source.items[source.item_count++] =
            (struct engine_news){.kind = ENGINE_NEWS_EVENT, .home = "/h/a", .call = &calls[i]};
    lock_release(&source.lock);
    news_destroy(news);
    news = NULL;
    ck_assert_uint_eq(source.answered_count, 8);
}
END_TEST

START_TEST(a_socket_that_cannot_be_opened_is_named)
{
    const char *urls[] = {"ipc:///nowhere/at/all.sock"};
    struct news_settings settings = {
        .urls = urls, .url_count = 1, .ipc_mode = 0600, .admits = admits, .heartbeat_ns = NS_PER_S};
    struct news *other;
    struct status status = news_create(&settings, &functions, NULL, &other);

    ck_assert_int_eq(status.code, STATUS_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(status.message, "ipc:///nowhere/at/all.sock"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("news");
    TCase *tcase = tcase_create("publisher");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, heartbeats_count_up_and_the_four_behind_an_event_name_its_home);
    tcase_add_test(tcase, a_heartbeat_that_cannot_name_all_says_so_as_long_as_it_is_so);
    tcase_add_test(tcase, a_uid_hears_of_its_own_homes_alone);
    tcase_add_test(tcase, events_of_a_home_of_unknown_owner_wait_in_order_and_hold_up_nobody);
    tcase_add_test(tcase, what_waited_is_published_once_somebody_has_looked);
    tcase_add_test(tcase, more_events_than_can_wait_are_lost_and_the_heartbeats_say_so);
    tcase_add_test(tcase, what_waited_is_void_when_an_epoch_begins);
    tcase_add_test(tcase, a_uid_socket_lies_beside_each_ipc_socket_once);
    tcase_add_test(tcase, events_of_a_home_come_in_order_under_its_topic_and_their_calls_are_answered);
    tcase_add_test(tcase, a_new_epoch_is_beaten_before_its_call_is_answered_and_counts_from_one);
    tcase_add_test(tcase, a_peer_that_is_not_admitted_hears_nothing_and_is_not_counted);
    tcase_add_test(tcase, the_newest_events_are_kept_for_a_person_the_newest_first);
    tcase_add_test(tcase, what_is_in_the_outbox_at_the_end_is_published_and_answered);
    tcase_add_test(tcase, a_socket_that_cannot_be_opened_is_named);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
