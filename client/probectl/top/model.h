/* What `probectl top` knows and what its user wants to see: samples in, keys in; nothing of a terminal, nothing of a
 * connection, no clock.
 *
 * A sample without GetStatus changes nothing of what is shown: the daemon is lost since then, and why.  The next one with
 * it ends that.  While it is paused samples are left alone.
 *
 * Ownership: the struct is the caller's: model_init(), model_fini().  Rows and messages are the model's, lent until it
 * is told of something.  Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TOP_MODEL_H
#define CLIENT_PROBECTL_TOP_MODEL_H

#include "client/probectl/top/listing.h"
#include "client/probectl/top/sample.h"
#include "client/probectl/top/trend.h"
#include "proto/compiler.h"

/* A key is a character, or one of these. */
enum model_key {
    MODEL_KEY_UP = -100,
    MODEL_KEY_DOWN,
    MODEL_KEY_PAGE_UP,
    MODEL_KEY_PAGE_DOWN,
    MODEL_KEY_HOME,
    MODEL_KEY_END,
    MODEL_KEY_LEFT,
    MODEL_KEY_RIGHT,
    MODEL_KEY_TAB,
    MODEL_KEY_TAB_BACK,
    MODEL_KEY_ENTER,
    MODEL_KEY_ESCAPE,
    MODEL_KEY_BACKSPACE,
    MODEL_KEY_ERASE /* the whole line */
};

enum { MODEL_FILTER_SIZE = 128 };

/* What the figures of a panel are made of. */
struct model_list {
    ProtobufCMessage *answer; /* owned; NULL: none */
    const void **rows;        /* owned, with room for all; lends from the answer */
    size_t row_count;
    bool more;                                /* there are more than the daemon listed */
    char failure[PROBED_STATUS_MESSAGE_SIZE]; /* why there is no answer; empty: there is */
    struct listing_order order;
};

struct model {
    /* Fixed at init. */
    bool utf8;
    uint32_t interval_ms;

    /* What is known. */
    struct trend trend;
    struct model_list lists[PANEL_COUNT];
    struct answer_row *answers; /* owned; the rows of PANEL_ANSWERS */
    int64_t seen_ms;            /* Unix time of the newest look */
    int64_t lost_ms;            /* Unix time of the first sample since that had none; 0: it is not lost */
    int64_t now_ms;             /* Unix time of the newest sample, be it good or not */
    char lost_reason[PROBED_STATUS_MESSAGE_SIZE];
    bool short_of_memory; /* something is not shown for that */

    /* What is wanted. */
    enum panel panel;
    char filter[MODEL_FILTER_SIZE]; /* UTF-8 */
    bool filtering;                 /* it is being typed */
    bool paused, helping;
    bool over; /* the user has had enough */

    /* What is shown of the panel: its rows in order, from `offset` on, `page` of them. */
    const void **shown; /* owned; lent rows */
    size_t shown_count, offset, page;
};

void model_init(struct model *model, enum panel panel, bool utf8, uint32_t interval_ms);
void model_fini(struct model *model);

/* Takes the answers out of the sample. */
void model_take(struct model *model, struct sample *sample, int64_t now_ms);

/* A key was pressed.  Whether something is to be asked at once: what is shown is older than the user thinks. */
bool model_press(struct model *model, int key);

/* Says how many rows there is room for; the offset follows. */
void model_set_page(struct model *model, size_t page);

/* How values are written now. */
struct listing_style model_style(const struct model *model);

#endif
