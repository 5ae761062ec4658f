/* Remembered places and groups, see memory.h. */
#include "server/homes/memory.h"

#include "server/base/duration.h"
#include "server/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define PLACE_AGE_NS_MAX (250 * NS_PER_MS)
#define GROUP_AGE_NS_MAX (60 * NS_PER_S)

struct homes_place {
    UT_hash_handle handle; /* by `key`, oldest first */
    uint64_t walked_ns;
    struct status status;
    struct home_identity identity;
    bool missing;
    size_t key_size;
    char text[]; /* the key, and behind it the canonical path, terminated */
};

struct homes_group {
    UT_hash_handle handle;
    uint64_t asked_ns;
    uint32_t uid;
    struct rights_groups *groups; /* a count */
};

/* A place's key: the uid's bytes, then the path's. */
struct key {
    char bytes[sizeof(uint32_t) + LIMIT_HOME_SIZE_MAX];
    size_t size;
    unsigned hash;
};

static void make_key(const struct homes_memory *memory, const char *path, uint32_t uid, struct key *key_out)
{
    size_t size = strlen(path);

    memcpy(key_out->bytes, &uid, sizeof uid);
    memcpy(key_out->bytes + sizeof uid, path, size);
    key_out->size = sizeof uid + size;
    key_out->hash = map_hash(&memory->seed, key_out->bytes, key_out->size);
}

/* A look that began later than "now" (two threads read the clock at the same time) is a fresh one. */
static bool is_fresh(uint64_t then_ns, uint64_t now_ns, uint64_t age_ns_max)
{
    return now_ns < then_ns || now_ns - then_ns < age_ns_max;
}

void homes_memory_init(struct homes_memory *memory)
{
    *memory = (struct homes_memory){0};
    secret_random(&memory->seed, sizeof memory->seed);
}

static void drop_place(struct homes_memory *memory, struct homes_place *place)
{
    HASH_DELETE(handle, memory->places, place);
    free(place);
}

static void drop_group(struct homes_memory *memory, struct homes_group *group)
{
    HASH_DELETE(handle, memory->groups, group);
    rights_groups_release(group->groups);
    free(group);
}

void homes_memory_fini(struct homes_memory *memory)
{
    while (memory->places != NULL)
        drop_place(memory, memory->places);
    while (memory->groups != NULL)
        drop_group(memory, memory->groups);
}

static struct homes_place *find_place(const struct homes_memory *memory, const struct key *key)
{
    struct homes_place *place;

    HASH_FIND_BYHASHVALUE(handle, memory->places, key->bytes, key->size, key->hash, place);
    return place;
}

bool homes_memory_find_place(const struct homes_memory *memory, const char *path, uint32_t uid, uint64_t now_ns,
                             struct home_place *place_out, struct status *status_out)
{
    struct key key;
    const struct homes_place *place;

    make_key(memory, path, uid, &key);
    place = find_place(memory, &key);
    if (place == NULL || !is_fresh(place->walked_ns, now_ns, PLACE_AGE_NS_MAX))
        return false;
    *status_out = place->status;
    place_out->identity = place->identity;
    place_out->missing = place->missing;
    strcpy(place_out->canonical, place->text + place->key_size);
    return true;
}

/* Those of no use any more, and one that may still be of some when there is no room otherwise. */
static void make_room_for_place(struct homes_memory *memory, uint64_t now_ns)
{
    while (memory->places != NULL && !is_fresh(memory->places->walked_ns, now_ns, PLACE_AGE_NS_MAX))
        drop_place(memory, memory->places);
    if (HASH_CNT(handle, memory->places) >= HOMES_PLACE_COUNT_MAX)
        drop_place(memory, memory->places);
}

void homes_memory_keep_place(struct homes_memory *memory, const char *path, uint32_t uid, uint64_t walked_ns,
                             const struct home_place *place, const struct status *status)
{
    size_t canonical_size = strlen(place->canonical) + 1;
    struct homes_place *kept;
    struct key key;
    bool added;

    make_key(memory, path, uid, &key);
    kept = find_place(memory, &key);
    if (kept != NULL)
        drop_place(memory, kept);
    make_room_for_place(memory, walked_ns);
    kept = malloc(sizeof *kept + key.size + canonical_size);
    if (kept == NULL)
        return;
    *kept = (struct homes_place){.walked_ns = walked_ns,
                                 .status = *status,
                                 .identity = place->identity,
                                 .missing = place->missing,
                                 .key_size = key.size};
    memcpy(kept->text, key.bytes, key.size);
    memcpy(kept->text + key.size, place->canonical, canonical_size);
    MAP_ADD(handle, memory->places, kept->text, key.size, key.hash, kept, added);
    if (!added)
        free(kept);
}

static struct homes_group *find_group(const struct homes_memory *memory, uint32_t uid)
{
    struct homes_group *group;

    HASH_FIND_BYHASHVALUE(handle, memory->groups, &uid, sizeof uid, map_hash(&memory->seed, &uid, sizeof uid), group);
    return group;
}

struct rights_groups *homes_memory_share_groups(const struct homes_memory *memory, uint32_t uid, uint64_t now_ns)
{
    const struct homes_group *group = find_group(memory, uid);

    if (group == NULL || !is_fresh(group->asked_ns, now_ns, GROUP_AGE_NS_MAX))
        return NULL;
    return rights_groups_share(group->groups);
}

void homes_memory_keep_groups(struct homes_memory *memory, uint32_t uid, uint64_t asked_ns,
                              struct rights_groups *groups)
{
    struct homes_group *kept = find_group(memory, uid);
    bool added;

    if (kept != NULL)
        drop_group(memory, kept);
    if (HASH_CNT(handle, memory->groups) >= HOMES_GROUP_COUNT_MAX)
        drop_group(memory, memory->groups);
    kept = malloc(sizeof *kept);
    if (kept == NULL)
        return;
    *kept = (struct homes_group){.asked_ns = asked_ns, .uid = uid, .groups = groups};
    MAP_ADD(handle, memory->groups, &kept->uid, sizeof kept->uid, map_hash(&memory->seed, &uid, sizeof uid), kept,
            added);
    if (added)
        rights_groups_share(groups);
    else
        free(kept);
}
