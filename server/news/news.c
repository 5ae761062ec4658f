/* The publisher thread: from the outbox to the outlets.
 *
 * Neighbours: the shell hands over the source (the engine's news outbox) and takes the answers that were waiting behind
 * their event. */
#include "server/news/news.h"

#include "gen/probed/v1/probe.pb-c.h"
#include "proto/topic.h"
#include "server/base/clock.h"
#include "server/news/history.h"
#include "server/news/outlet.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    BEAT_SIZE_MAX = 32 << 10, /* bytes of homes in a heartbeat; more: `truncated` */
    HEAD_SIZE_MAX = 16,       /* a head's bytes beside its path */
};

struct news {
    /* Fixed at create. */
    struct news_source source;
    void *context;
    pthread_t publisher;
    size_t outlet_count;
    bool stopped; /* whoever ends it */

    /* The publisher's own. */
    struct engine_news item;
    Probed__V1__HomeHead heads[LIMIT_HEADS_PER_BEAT];
    Probed__V1__HomeHead *head_pointers[LIMIT_HEADS_PER_BEAT];
    uint64_t epoch; /* of what is published, and what `beat` counts in */
    uint64_t beat;
    uint64_t heartbeat_ns, beat_due_ns;

    /* Guarded by lock. */
    struct lock lock;
    struct condition wake;
    bool woken;
    bool judge_again;
    uint64_t next_heartbeat_ns; /* the interval that is wanted */
    bool stopping;
    struct history history;

    atomic_uint_fast64_t event_count, beat_count, subscriber_count;

    struct outlet outlets[]; /* the first carries everything */
};

/* Behind the publication: who sees it here may rely on its having gone out. */
static void note(struct news *news, int64_t at_ms)
{
    lock_acquire(&news->lock);
    history_note(&news->history, &news->item, at_ms);
    lock_release(&news->lock);
}

/* ---- events ---- */

/* By the outlet's audience, homes that it is confined to first: they need no look. */
static enum news_verdict judge(struct news *news, const struct outlet *outlet, const char *home)
{
    const struct tls_role *role = outlet->audience.role;

    if (role != NULL && !homes_scope_admits(&role->scope, home))
        return NEWS_NOT_HEARD;
    return news->source.judge(news->context, outlet->audience.uid, home);
}

static void look_at(struct news *news, struct outlet *outlet, const char *home)
{
    if (atomic_exchange(&outlet->looking, true))
        return; /* its turn comes */
    if (!news->source.look(news->context, outlet->audience.uid, home))
        atomic_store(&outlet->looking, false);
}

/* Events that wait for a verdict: those of one home stay in order, whatever is decided in between. */
static void judge_held(struct news *news, struct outlet *outlet)
{
    LIST_EACH_SAFE (node, &outlet->held) {
        struct held_event *event = LIST_OWNER(node, struct held_event, node);
        enum news_verdict verdict = NEWS_UNDECIDED;

        if (!outlet_holds(outlet, event->home, node))
            verdict = judge(news, outlet, event->home);
        if (verdict == NEWS_UNDECIDED)
            look_at(news, outlet, event->home);
        else
            outlet_let_go(outlet, event, verdict == NEWS_HEARD, news->beat);
    }
}

/* Takes the message. */
static void tell(struct news *news, struct outlet *outlet, const struct engine_news *item, nng_msg *message)
{
    enum news_verdict verdict = NEWS_HEARD;

    if (!outlet->audience.everything) {
        if (outlet_holds(outlet, item->home, NULL))
            judge_held(news, outlet);
        verdict = outlet_holds(outlet, item->home, NULL) ? NEWS_UNDECIDED : judge(news, outlet, item->home);
    }
    if (verdict == NEWS_UNDECIDED) {
        outlet_hold(outlet, message, item->home, item->fence.generation, news->beat);
        look_at(news, outlet, item->home);
    } else if (verdict == NEWS_HEARD) {
        outlet_publish(outlet, message);
        recent_note(&outlet->recent, item->home, item->fence.generation, news->beat);
    } else {
        nng_msg_free(message);
    }
}

static void publish_event(struct news *news, struct engine_news *item)
{
    Probed__V1__CredentialEvent event = PROBED__V1__CREDENTIAL_EVENT__INIT;
    Probed__V1__Fence fence = PROBED__V1__FENCE__INIT;
    char topic[TOPIC_SIZE_MAX];
    size_t topic_size = topic_write(item->home, topic);

    fence.epoch = item->fence.epoch;
    fence.generation = item->fence.generation;
    event.fence = &fence;
    event.home = item->home;
    event.provider = item->provider;
    event.cause = (Probed__V1__Cause)item->cause;
    event.reason = item->reason;
    event.at_ms = clock_wall_ms();
    for (size_t i = 0; i < news->outlet_count; i++)
        tell(news, &news->outlets[i], item, outlet_pack(topic, topic_size, &event.base));
    atomic_fetch_add(&news->event_count, 1);
    note(news, event.at_ms);
}

/* ---- heartbeats ---- */

/* The newest first, as many as fit; false: some did not. */
static bool gather_heads(struct news *news, struct outlet *outlet, Probed__V1__Heartbeat *heartbeat)
{
    size_t size = 0;

    for (struct list_node *node = outlet->recent.homes.last; node != NULL; node = node->previous) {
        struct recent_home *home = LIST_OWNER(node, struct recent_home, node);
        Probed__V1__HomeHead *head = &news->heads[heartbeat->n_recent];

        size += strlen(home->path) + HEAD_SIZE_MAX;
        if (size > BEAT_SIZE_MAX)
            return false;
        probed__v1__home_head__init(head);
        head->home = home->path;
        head->generation = home->generation;
        news->head_pointers[heartbeat->n_recent++] = head;
    }
    return true;
}

/* Names every home that changed within the last intervals, so that who missed its event learns of it here. */
static void publish_outlet_beat(struct news *news, struct outlet *outlet)
{
    Probed__V1__Heartbeat heartbeat = PROBED__V1__HEARTBEAT__INIT;

    if (!outlet->audience.everything)
        judge_held(news, outlet);
    recent_age(&outlet->recent, news->beat);
    heartbeat.epoch = news->epoch;
    heartbeat.beat = news->beat;
    heartbeat.interval_ms = (uint32_t)(news->heartbeat_ns / NS_PER_MS);
    heartbeat.recent = news->head_pointers;
    heartbeat.truncated =
        !gather_heads(news, outlet, &heartbeat) || recent_is_missing_some(&outlet->recent, news->beat);
    heartbeat.sent_ns = clock_now_ns();
    outlet_publish(outlet, outlet_pack(TOPIC_BEAT, sizeof TOPIC_BEAT - 1, &heartbeat.base));
}

static void publish_beat(struct news *news)
{
    news->beat++;
    for (size_t i = 0; i < news->outlet_count; i++)
        publish_outlet_beat(news, &news->outlets[i]);
    atomic_fetch_add(&news->beat_count, 1);
}

/* All homes are at generation 1: what was published before means nothing any more. */
static void begin_epoch(struct news *news, uint64_t epoch)
{
    for (size_t i = 0; i < news->outlet_count; i++) {
        recent_clear(&news->outlets[i].recent);
        outlet_drop_held(&news->outlets[i]);
    }
    news->epoch = epoch;
    news->beat = 0;
    publish_beat(news);
}

/* Every home was invalidated. */
static void announce_epoch(struct news *news)
{
    begin_epoch(news, news->item.fence.epoch);
    note(news, clock_wall_ms());
}

/* ---- the thread ---- */

static void publish_what_is_left(struct news *news)
{
    while (news->source.next(news->context, &news->item)) {
        if (news->item.kind == ENGINE_NEWS_EVENT)
            publish_event(news, &news->item);
        else if (news->item.kind == ENGINE_NEWS_BEAT)
            announce_epoch(news);
        if (news->item.call != NULL)
            news->source.answered(news->context, news->item.call);
    }
}

/* On time as long as we are; after a delay the count goes on from now, nothing is made up for. */
static void publish_beat_if_due(struct news *news)
{
    uint64_t now_ns = clock_now_ns();

    if (now_ns < news->beat_due_ns)
        return;
    publish_beat(news);
    news->beat_due_ns += news->heartbeat_ns;
    if (news->beat_due_ns <= now_ns)
        news->beat_due_ns = now_ns + news->heartbeat_ns;
}

/* A heartbeat of another interval is due at once. */
static void take_heartbeat_held(struct news *news) REQUIRES(news->lock)
{
    if (news->heartbeat_ns == news->next_heartbeat_ns)
        return;
    news->heartbeat_ns = news->next_heartbeat_ns;
    news->beat_due_ns = clock_now_ns();
}

static void run_publisher(void *context)
{
    struct news *news = context;
    bool stopping = false, judge_again;

    while (!stopping) {
        publish_what_is_left(news);
        publish_beat_if_due(news);
        lock_acquire(&news->lock);
        while (!news->woken && !news->stopping && condition_wait(&news->wake, &news->lock, news->beat_due_ns))
            ;
        news->woken = false;
        judge_again = news->judge_again;
        news->judge_again = false;
        take_heartbeat_held(news);
        stopping = news->stopping;
        lock_release(&news->lock);
        for (size_t i = 1; judge_again && i < news->outlet_count; i++)
            judge_held(news, &news->outlets[i]);
    }
    publish_what_is_left(news);
}

void news_wake(struct news *news)
{
    lock_acquire(&news->lock);
    news->woken = true;
    condition_signal(&news->wake);
    lock_release(&news->lock);
}

void news_settings_changed(struct news *news, const struct news_settings *settings)
{
    for (size_t i = 0; i < news->outlet_count; i++)
        atomic_store(&news->outlets[i].connections_per_role, settings->connections_per_role);
    lock_acquire(&news->lock);
    news->next_heartbeat_ns = settings->heartbeat_ns;
    news->woken = true;
    condition_signal(&news->wake);
    lock_release(&news->lock);
}

void news_looked(struct news *news, uint32_t uid)
{
    for (size_t i = 1; i < news->outlet_count; i++) {
        if (news->outlets[i].audience.uid == uid)
            atomic_store(&news->outlets[i].looking, false);
    }
    lock_acquire(&news->lock);
    news->woken = true;
    news->judge_again = true;
    condition_signal(&news->wake);
    lock_release(&news->lock);
}

/* ---- life ---- */

static void close_outlets(struct news *news)
{
    while (news->outlet_count > 0)
        outlet_close(&news->outlets[--news->outlet_count]);
}

static struct status open_outlet(struct news *news, const struct news_settings *settings,
                                 const struct outlet_audience *audience)
{
    struct status status =
        outlet_open(&news->outlets[news->outlet_count], settings, audience, news->context, &news->subscriber_count);

    if (status_is_ok(&status))
        news->outlet_count++;
    return status;
}

/* One for everything, one for each uid, and one for each role that does not hear everything. */
static struct status open_outlets(struct news *news, const struct news_settings *settings)
{
    struct status status = open_outlet(news, settings, &(struct outlet_audience){.everything = true});
    size_t role_count;
    const struct tls_role *roles = tls_roles(settings->tls, &role_count);

    for (size_t i = 0; status_is_ok(&status) && i < settings->uid_count; i++)
        status = open_outlet(news, settings, &(struct outlet_audience){.uid = settings->uids[i]});
    for (size_t i = 0; status_is_ok(&status) && i < role_count; i++) {
        if (!outlet_role_hears_all(settings, &roles[i], news->context))
            status = open_outlet(news, settings, &(struct outlet_audience){.uid = roles[i].uid, .role = &roles[i]});
    }
    if (!status_is_ok(&status))
        close_outlets(news);
    return status;
}

/* At most. */
static size_t outlet_count_max(const struct news_settings *settings)
{
    size_t role_count;

    tls_roles(settings->tls, &role_count);
    return 1 + settings->uid_count + role_count;
}

struct status news_create(const struct news_settings *settings, const struct news_source *source, void *context,
                          struct news **news_out)
{
    struct news *news = calloc(1, sizeof *news + outlet_count_max(settings) * sizeof news->outlets[0]);
    struct status status;

    if (news == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the publisher");
    news->source = *source;
    news->context = context;
    news->heartbeat_ns = news->next_heartbeat_ns = settings->heartbeat_ns;
    news->epoch = source->epoch(context);
    lock_init(&news->lock, "news");
    condition_init(&news->wake);
    status = open_outlets(news, settings);
    if (!status_is_ok(&status))
        goto free_news;
    status = thread_start(&news->publisher, "publisher", 0, run_publisher, news);
    if (!status_is_ok(&status))
        goto close_outlets;
    *news_out = news;
    return status_ok();

close_outlets:
    close_outlets(news);
free_news:
    condition_fini(&news->wake);
    lock_fini(&news->lock);
    free(news);
    return status;
}

void news_stop(struct news *news)
{
    if (news->stopped)
        return;
    lock_acquire(&news->lock);
    news->stopping = true;
    condition_signal(&news->wake);
    lock_release(&news->lock);
    thread_join(news->publisher);
    news->stopped = true;
}

void news_destroy(struct news *news)
{
    if (news == NULL)
        return;
    news_stop(news);
    close_outlets(news);
    condition_fini(&news->wake);
    lock_fini(&news->lock);
    free(news);
}

void news_look(struct news *news, struct news_counts *counts_out)
{
    counts_out->events = atomic_load(&news->event_count);
    counts_out->beats = atomic_load(&news->beat_count);
    counts_out->subscribers = atomic_load(&news->subscriber_count);
}

size_t news_look_history(struct news *news, struct history_event *events, size_t event_count_max)
{
    size_t count;

    lock_acquire(&news->lock);
    count = history_look(&news->history, events, event_count_max);
    lock_release(&news->lock);
    return count;
}
