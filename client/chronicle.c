/* What was heard, and what that says of what was not. */
#include "client/chronicle.h"

#include "proto/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failed insertion leaves the table as it was, and says so. */
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) (inserted = false)
#include <uthash.h>

struct chronicle_home {
    UT_hash_handle hh;
    uint64_t generation; /* the newest heard, or told to be missed; 0: none yet */
    uint64_t answered;   /* what the daemon said it is at: to be heard before the chronicle is settled; 0: nothing */
    char path[];
};

void chronicle_init(struct chronicle *chronicle, bool all_homes, chronicle_gap *gap, void *context)
{
    *chronicle = (struct chronicle){.all_homes = all_homes, .gap = gap, .context = context};
}

static void forget_homes(struct chronicle *chronicle)
{
    struct chronicle_home *home, *next;

    HASH_ITER(hh, chronicle->homes, home, next)
    {
        HASH_DEL(chronicle->homes, home);
        free(home);
    }
    chronicle->home_count = 0;
    chronicle->ask = NULL;
}

void chronicle_fini(struct chronicle *chronicle)
{
    forget_homes(chronicle);
}

/* ---- homes ---- */

static struct chronicle_home *find_home(const struct chronicle *chronicle, const char *path)
{
    struct chronicle_home *home;

    HASH_FIND_STR(chronicle->homes, path, home);
    return home;
}

static struct chronicle_home *add_home(struct chronicle *chronicle, const char *path)
{
    struct chronicle_home *home = calloc(1, sizeof *home + strlen(path) + 1);
    bool inserted = true;

    if (home == NULL)
        return NULL;
    strcpy(home->path, path);
    HASH_ADD_STR(chronicle->homes, path, home);
    if (!inserted) {
        free(home);
        return NULL;
    }
    chronicle->home_count++;
    return home;
}

bool chronicle_want(struct chronicle *chronicle, const char *home)
{
    return find_home(chronicle, home) != NULL || add_home(chronicle, home) != NULL;
}

/* The home if it counts, remembered from now on; NULL if it does not, or there is no room for it. */
static struct chronicle_home *home_of(struct chronicle *chronicle, const char *path)
{
    struct chronicle_home *home = find_home(chronicle, path);

    if (home != NULL || !chronicle->all_homes)
        return home;
    if (chronicle->home_count < CHRONICLE_HOME_COUNT_MAX)
        home = add_home(chronicle, path);
    if (home == NULL) {
        forget_homes(chronicle);
        chronicle_doubt(chronicle, "more homes change than can be remembered");
    }
    return home;
}

uint64_t chronicle_generation(const struct chronicle *chronicle, const char *home)
{
    const struct chronicle_home *found = find_home(chronicle, home);

    return found != NULL ? found->generation : 0;
}

/* ---- gaps ---- */

static void missed(struct chronicle *chronicle, struct chronicle_home *home, uint64_t generation)
{
    char reason[128];

    snprintf(reason, sizeof reason, "generation %" PRIu64 " was reached, the last one heard of is %" PRIu64, generation,
             home->generation);
    home->generation = generation;
    chronicle->gap(chronicle->context, home->path, reason);
}

/* All that was asked for is to be asked of the daemon, from the first heartbeat on that is heard now. */
static void unsettle(struct chronicle *chronicle)
{
    chronicle->settled = false;
    chronicle->incomplete = false;
    chronicle->round++;
    chronicle->ask = chronicle->all_homes ? NULL : chronicle->homes;
    chronicle->asked_ns = 0;
    chronicle->answered_ns = 0;
}

void chronicle_doubt(struct chronicle *chronicle, const char *reason)
{
    unsettle(chronicle);
    if (chronicle->begun) /* else all that there is will be told, once it begins */
        chronicle->gap(chronicle->context, NULL, reason);
}

/* ---- epochs ---- */

static bool is_past(const struct chronicle *chronicle, uint64_t epoch)
{
    size_t count =
        chronicle->past_count < CHRONICLE_EPOCH_COUNT_MAX ? chronicle->past_count : CHRONICLE_EPOCH_COUNT_MAX;

    for (size_t i = 0; i < count; i++) {
        if (chronicle->past[i] == epoch)
            return true;
    }
    return false;
}

/* In a new epoch every home is at generation 1.  False: what is said is of one that is over, or of none. */
static bool meet_epoch(struct chronicle *chronicle, uint64_t epoch)
{
    struct chronicle_home *home, *next;

    if (epoch == chronicle->epoch)
        return epoch != 0;
    if (epoch == 0 || is_past(chronicle, epoch))
        return false;
    if (chronicle->epoch != 0)
        chronicle->past[chronicle->past_count++ % CHRONICLE_EPOCH_COUNT_MAX] = chronicle->epoch;
    chronicle->epoch = epoch;
    chronicle->beat = 0;
    HASH_ITER(hh, chronicle->homes, home, next)
    {
        home->generation = chronicle->begun ? 1 : 0;
        home->answered = 0;
    }
    chronicle_doubt(chronicle, "a new epoch has begun");
    return true;
}

/* ---- news ---- */

bool chronicle_hear_event(struct chronicle *chronicle, const Probed__V1__CredentialEvent *event)
{
    struct chronicle_home *home;
    uint64_t generation;

    if (event->fence == NULL || !meet_epoch(chronicle, event->fence->epoch))
        return false;
    home = home_of(chronicle, event->home);
    generation = event->fence->generation;
    if (home == NULL || generation <= home->generation)
        return false; /* told already, by itself or as a gap */
    if (home->generation != 0 && generation > home->generation + 1)
        missed(chronicle, home, generation - 1);
    home->generation = generation;
    return true;
}

/* `covered`: that anything may have changed is told with this very heartbeat, or when the chronicle begins. */
static void hear_head(struct chronicle *chronicle, const Probed__V1__HomeHead *head, bool covered)
{
    struct chronicle_home *home = home_of(chronicle, head->home);

    if (home == NULL || head->generation <= home->generation)
        return;
    if (covered)
        home->generation = head->generation;
    else
        missed(chronicle, home, head->generation);
}

/* Whether `heartbeat` shows that changes may be missing of which it does not say whose.  Told if they are. */
static bool shows_doubt(struct chronicle *chronicle, const Probed__V1__Heartbeat *heartbeat)
{
    /* From an epoch's beginning on the first four heartbeats name all there is. */
    uint64_t jump = heartbeat->beat - chronicle->beat;

    if (jump >= LIMIT_BEAT_INTERVALS_RECENT + (chronicle->beat == 0)) {
        chronicle_doubt(chronicle, "four heartbeats or more were lost");
        return true;
    }
    if (!heartbeat->truncated || !chronicle->all_homes)
        return false; /* else the daemon is asked of each that is wanted */
    chronicle_doubt(chronicle, "more homes changed than a heartbeat can name");
    return true;
}

static bool is_sent_since(const Probed__V1__Heartbeat *heartbeat, uint64_t since_ns)
{
    return heartbeat->sent_ns == 0 || heartbeat->sent_ns >= since_ns;
}

/* Of what was published before the asking began nothing is missing any more but what is told here. */
static void settle(struct chronicle *chronicle)
{
    struct chronicle_home *home, *next;

    chronicle->settled = true;
    chronicle->proved_ns = chronicle->asked_ns;
    if (!chronicle->begun) {
        chronicle->begun = true;
        chronicle->gap(chronicle->context, NULL, "listening begins here");
    }
    HASH_ITER(hh, chronicle->homes, home, next)
    {
        if (home->answered > home->generation)
            missed(chronicle, home, home->answered);
        home->answered = 0;
    }
}

bool chronicle_hear_beat(struct chronicle *chronicle, const Probed__V1__Heartbeat *heartbeat)
{
    bool epoch_is_new = heartbeat->epoch != chronicle->epoch, covered;

    if (!meet_epoch(chronicle, heartbeat->epoch) || heartbeat->beat <= chronicle->beat)
        return false;
    covered = epoch_is_new || shows_doubt(chronicle, heartbeat) || !chronicle->begun;
    chronicle->beat = heartbeat->beat;
    for (size_t i = 0; i < heartbeat->n_recent; i++)
        hear_head(chronicle, heartbeat->recent[i], covered);
    if (!chronicle->settled && chronicle->ask == NULL && is_sent_since(heartbeat, chronicle->answered_ns))
        settle(chronicle);
    if (heartbeat->truncated && !chronicle->all_homes)
        chronicle->incomplete = true;
    if (chronicle->settled && chronicle->incomplete)
        unsettle(chronicle);
    if (chronicle->settled)
        chronicle->proved_ns = heartbeat->sent_ns != 0 ? heartbeat->sent_ns : CHRONICLE_NOW;
    return true;
}

/* ---- the daemon's word ---- */

const char *chronicle_ask(const struct chronicle *chronicle)
{
    return chronicle->beat != 0 && chronicle->ask != NULL ? chronicle->ask->path : NULL;
}

void chronicle_hear_answer(struct chronicle *chronicle, const struct chronicle_answer *answer)
{
    struct chronicle_home *home = chronicle->ask;

    if (answer->round != chronicle->round || home == NULL || !meet_epoch(chronicle, answer->epoch) ||
        answer->round != chronicle->round) /* it told of a new epoch */
        return;
    if (home->generation == 0)
        home->generation = answer->generation;
    home->answered = answer->generation;
    if (chronicle->asked_ns == 0)
        chronicle->asked_ns = answer->asked_ns;
    chronicle->answered_ns = answer->answered_ns;
    chronicle->ask = home->hh.next;
}
