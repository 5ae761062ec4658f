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
    uint64_t generation; /* the newest heard, or known to be missed; 0: none yet */
    uint64_t suspected;  /* a newer one that a heartbeat has named once; 0: none */
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
}

void chronicle_fini(struct chronicle *chronicle)
{
    forget_homes(chronicle);
}

/* ---- homes ---- */

static struct chronicle_home *find_home(struct chronicle *chronicle, const char *path)
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

/* ---- gaps ---- */

static void missed(struct chronicle *chronicle, struct chronicle_home *home, uint64_t generation)
{
    char reason[128];

    snprintf(reason, sizeof reason, "generation %" PRIu64 " was reached, the last one heard of is %" PRIu64, generation,
             home->generation);
    home->generation = generation;
    home->suspected = 0;
    chronicle->gap(chronicle->context, home->path, reason);
}

void chronicle_doubt(struct chronicle *chronicle, const char *reason)
{
    chronicle->doubt_count++;
    chronicle->gap(chronicle->context, NULL, reason);
}

/* Generations of another epoch say nothing in this one; the homes are still wanted. */
static void meet_epoch(struct chronicle *chronicle, uint64_t epoch)
{
    struct chronicle_home *home, *next;
    bool changed = chronicle->epoch != 0 && chronicle->epoch != epoch;

    chronicle->epoch = epoch;
    if (!changed)
        return;
    chronicle->beat = 0;
    HASH_ITER(hh, chronicle->homes, home, next)
    {
        home->generation = 0;
        home->suspected = 0;
    }
    chronicle_doubt(chronicle, "a new epoch has begun");
}

/* ---- news ---- */

bool chronicle_hear_event(struct chronicle *chronicle, const Probed__V1__CredentialEvent *event)
{
    struct chronicle_home *home;
    uint64_t generation;

    if (event->fence == NULL)
        return false;
    meet_epoch(chronicle, event->fence->epoch);
    home = home_of(chronicle, event->home);
    if (home == NULL)
        return false;
    generation = event->fence->generation;
    if (generation <= home->generation)
        return false; /* told already, by itself or as a gap */
    if (home->generation != 0 && generation > home->generation + 1)
        missed(chronicle, home, generation - 1);
    home->generation = generation;
    if (home->suspected <= generation)
        home->suspected = 0;
    return true;
}

/* `covered`: that anything may have changed was told with this very heartbeat. */
static void hear_head(struct chronicle *chronicle, const Probed__V1__HomeHead *head, bool covered, bool beats_lost)
{
    struct chronicle_home *home = home_of(chronicle, head->home);

    if (home == NULL || head->generation <= home->generation)
        return;
    if (covered)
        home->generation = head->generation;
    else if (beats_lost || home->suspected != 0)
        missed(chronicle, home, head->generation);
    else
        home->suspected = head->generation;
}

bool chronicle_hear_beat(struct chronicle *chronicle, const Probed__V1__Heartbeat *heartbeat)
{
    uint64_t doubt_count = chronicle->doubt_count;
    uint64_t last;

    meet_epoch(chronicle, heartbeat->epoch);
    last = chronicle->beat;
    if (heartbeat->beat <= last)
        return false;
    if (chronicle->doubt_count != doubt_count)
        ; /* the epoch has said it all */
    else if (last == 0)
        chronicle_doubt(chronicle, "listening begins here");
    else if (heartbeat->beat - last >= LIMIT_BEAT_INTERVALS_RECENT)
        chronicle_doubt(chronicle, "four heartbeats or more were lost");
    else if (heartbeat->truncated)
        chronicle_doubt(chronicle, "more homes changed than a heartbeat can name");
    chronicle->beat = heartbeat->beat;
    for (size_t i = 0; i < heartbeat->n_recent; i++)
        hear_head(chronicle, heartbeat->recent[i], chronicle->doubt_count != doubt_count, heartbeat->beat - last > 1);
    return true;
}
