/* The two outboxes: marked here, emptied by whoever carries them out. */
#include "server/engine/outbox.h"

#include "server/engine/state.h"

#include <string.h>

/* ---- orders ---- */

void outbox_order(struct engine *engine, struct worker *worker, enum engine_order_kind kind)
{
    worker->orders |= TO(kind);
    if (worker->in_orders.list == NULL)
        list_push_back(&engine->orders, &worker->in_orders);
}

bool outbox_take_back(struct worker *worker, enum engine_order_kind kind)
{
    if (!(worker->orders & TO(kind)))
        return false;
    worker->orders &= ~TO(kind);
    if (worker->orders == 0)
        list_remove(&worker->in_orders);
    return true;
}

static enum engine_order_kind first_order(const struct worker *worker)
{
    enum engine_order_kind kind = ENGINE_ORDER_PIN;

    while (!(worker->orders & TO(kind)))
        kind++;
    return kind;
}

bool engine_order_next(struct engine *engine, struct engine_order *order_out)
{
    struct worker *worker;
    enum engine_order_kind kind;

    if (engine->orders.count == 0)
        return false;
    worker = LIST_OWNER(engine->orders.first, struct worker, in_orders);
    kind = first_order(worker);
    *order_out = (struct engine_order){
        .kind = kind,
        .worker_id = worker->id,
        .reason = worker->end_reason,
        .home = kind == ENGINE_ORDER_PIN ? worker->household->home->path : NULL,
        .uid = worker->uid,
        .home_fd = kind == ENGINE_ORDER_LAUNCH ? worker->home_fd : -1,
        .channel = kind == ENGINE_ORDER_END ? worker->channel : (struct worker_channel){-1, -1},
        .gone = kind == ENGINE_ORDER_END && worker->gone,
    };
    (void)outbox_take_back(worker, kind);
    if (worker->orders == 0 && worker->household == NULL)
        pool_free_seat(engine, worker);
    return true;
}

/* ---- news ---- */

static void put(struct engine *engine, struct engine_call *call, struct engine_news_item *item)
{
    item->call = call;
    if (MUTANT(NEWS_REVERSED))
        list_push_front(&engine->news, &item->node);
    else
        list_push_back(&engine->news, &item->node);
}

void outbox_event(struct engine *engine, struct engine_call *call)
{
    if (call->home != NULL)
        home_hold(call->home);
    put(engine, call, &call->event_item);
}

void outbox_answer(struct engine *engine, struct engine_call *call)
{
    put(engine, call, &call->answer_item);
}

static void describe_event(struct engine *engine, struct engine_call *call, struct engine_news *news)
{
    news->kind = call->home == NULL ? ENGINE_NEWS_BEAT : ENGINE_NEWS_EVENT;
    news->fence = call->result.fence;
    news->cause = CAUSE_REQUESTED;
    memcpy(news->provider, call->provider, sizeof news->provider);
    memcpy(news->reason, call->invalidate.reason, sizeof news->reason);
    if (call->home == NULL)
        return;
    memcpy(news->home, call->home->path, strlen(call->home->path) + 1);
    home_release(engine, call->home);
}

bool engine_news_next(struct engine *engine, struct engine_news *news_out)
{
    struct list_node *node = list_pop_front(&engine->news);
    struct engine_news_item *item;
    struct engine_call *call;

    if (node == NULL)
        return false;
    item = LIST_OWNER(node, struct engine_news_item, node);
    call = item->call;
    news_out->kind = ENGINE_NEWS_ANSWER;
    news_out->fence = call->result.fence;
    news_out->cause = CAUSE_UNSPECIFIED;
    news_out->home[0] = news_out->provider[0] = news_out->reason[0] = '\0';
    news_out->call = NULL;
    if (item == &call->event_item)
        describe_event(engine, call, news_out);
    if (call->place == ENGINE_CALL_IN_NEWS && call->answer_item.node.list == NULL) {
        call->place = ENGINE_CALL_NOWHERE;
        news_out->call = call;
    }
    return true;
}
