/* Homes by path, and in the order in which they were published. */
#include "server/news/recent.h"

#include <stdlib.h>
#include <string.h>

void recent_init(struct recent *recent, const struct map_seed *seed)
{
    *recent = (struct recent){.seed = *seed};
}

static void forget(struct recent *recent, struct recent_home *home)
{
    HASH_DELETE(by_path, recent->table, home);
    list_remove(&home->node);
    free(home);
}

void recent_clear(struct recent *recent)
{
    LIST_EACH_SAFE (node, &recent->homes) {
        forget(recent, LIST_OWNER(node, struct recent_home, node));
    }
    recent->missing_until = 0;
}

/* The home's record, made where there is none; NULL when memory is short. */
static struct recent_home *take_home(struct recent *recent, const char *path)
{
    size_t size = strlen(path);
    unsigned hash = map_hash(&recent->seed, path, size);
    struct recent_home *home;
    bool added;

    HASH_FIND_BYHASHVALUE(by_path, recent->table, path, size, hash, home);
    if (home != NULL)
        return home;
    home = calloc(1, sizeof *home + size + 1);
    if (home == NULL)
        return NULL;
    memcpy(home->path, path, size + 1);
    MAP_ADD(by_path, recent->table, home->path, size, hash, home, added);
    if (!added) {
        free(home);
        return NULL;
    }
    return home;
}

void recent_note_missing(struct recent *recent, uint64_t beat)
{
    if (recent->missing_until < beat + LIMIT_BEAT_INTERVALS_RECENT)
        recent->missing_until = beat + LIMIT_BEAT_INTERVALS_RECENT;
}

void recent_note(struct recent *recent, const char *path, uint64_t generation, uint64_t beat)
{
    struct recent_home *home = take_home(recent, path);

    if (home == NULL) {
        recent_note_missing(recent, beat);
        return;
    }
    home->generation = generation;
    home->beat = beat;
    list_move(&recent->homes, &home->node);
    if (recent->homes.count <= LIMIT_HEADS_PER_BEAT)
        return;
    home = LIST_OWNER(recent->homes.first, struct recent_home, node);
    recent_note_missing(recent, home->beat);
    forget(recent, home);
}

void recent_age(struct recent *recent, uint64_t beat)
{
    LIST_EACH_SAFE (node, &recent->homes) {
        struct recent_home *home = LIST_OWNER(node, struct recent_home, node);

        if (home->beat + LIMIT_BEAT_INTERVALS_RECENT >= beat)
            return; /* those behind it are younger */
        forget(recent, home);
    }
}

bool recent_is_missing_some(const struct recent *recent, uint64_t beat)
{
    return beat <= recent->missing_until;
}
