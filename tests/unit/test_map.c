/* server/base/map: a keyed hash, and insertions that can fail. */
#include <stddef.h>

/* What uthash allocates with in this file: it fails when it is told to. */
static void *short_malloc(size_t size);
#define uthash_malloc(size) short_malloc(size)

#include "server/base/map.h"
#include "tests/support/check_main.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBER_COUNT = 5000 };

struct member {
    char key[16];
    UT_hash_handle handle;
};

static size_t malloc_count_left = SIZE_MAX;
static struct member members[MEMBER_COUNT];

static void *short_malloc(size_t size)
{
    if (malloc_count_left == 0)
        return NULL;
    malloc_count_left--;
    return malloc(size);
}

static const struct map_seed seed = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static bool add(struct member **map, size_t i)
{
    struct member *member = &members[i];
    unsigned hash;
    bool added;

    snprintf(member->key, sizeof member->key, "%zu", i);
    hash = map_hash(&seed, member->key, strlen(member->key));
    MAP_ADD(handle, *map, member->key, strlen(member->key), hash, member, added);
    return added;
}

static struct member *find(struct member *map, const char *key)
{
    unsigned hash = map_hash(&seed, key, strlen(key));
    struct member *found;

    HASH_FIND_BYHASHVALUE(handle, map, key, strlen(key), hash, found);
    return found;
}

static void empty(struct member **map)
{
    struct member *member, *next;

    HASH_ITER(handle, *map, member, next)
    {
        HASH_DELETE(handle, *map, member);
    }
}

START_TEST(what_was_added_is_found_until_it_is_deleted)
{
    struct member *map = NULL;
    char key[16];

    for (size_t i = 0; i < MEMBER_COUNT; i++)
        ck_assert(add(&map, i));
    ck_assert_uint_eq(HASH_CNT(handle, map), MEMBER_COUNT);
    for (size_t i = 0; i < MEMBER_COUNT; i += 2)
        HASH_DELETE(handle, map, &members[i]);
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        snprintf(key, sizeof key, "%zu", i);
        ck_assert_ptr_eq(find(map, key), i % 2 == 0 ? NULL : &members[i]);
    }
    ck_assert_ptr_null(find(map, "none"));
    empty(&map);
}
END_TEST

START_TEST(an_insertion_that_finds_no_memory_leaves_the_map_as_it_was)
{
    size_t failed_count = 0;
    struct member *map = NULL;
    char key[16];

    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        malloc_count_left = 0; /* the first needs a table, a later one more buckets now and then */
        if (!add(&map, i)) {
            failed_count++;
            snprintf(key, sizeof key, "%zu", i);
            ck_assert_ptr_null(find(map, key));
            malloc_count_left = SIZE_MAX;
            ck_assert(add(&map, i));
        }
    }
    ck_assert_uint_gt(failed_count, 1);
    malloc_count_left = SIZE_MAX;
    ck_assert_uint_eq(HASH_CNT(handle, map), MEMBER_COUNT);
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        snprintf(key, sizeof key, "%zu", i);
        ck_assert_ptr_eq(find(map, key), &members[i]);
    }
    empty(&map);
}
END_TEST

START_TEST(a_table_half_made_is_given_back)
{
    struct member *map = NULL;

    for (size_t count = 0; count < 2; count++) {
        malloc_count_left = count;
        ck_assert(!add(&map, 0));
        ck_assert_ptr_null(map);
    }
    malloc_count_left = SIZE_MAX;
    ck_assert(add(&map, 0));
    empty(&map);
}
END_TEST

START_TEST(a_hash_depends_on_the_key_and_on_the_seed)
{
    struct map_seed other = seed;
    size_t equal_count = 0;
    char key[16];

    other.bytes[15] ^= 1;
    for (size_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%zu", i);
        ck_assert_uint_eq(map_hash(&seed, key, strlen(key)), map_hash(&seed, key, strlen(key)));
        equal_count += map_hash(&seed, key, strlen(key)) == map_hash(&other, key, strlen(key));
    }
    ck_assert_uint_le(equal_count, 1);
    ck_assert_uint_ne(map_hash(&seed, "a", 1), map_hash(&seed, "a\0", 2));
}
END_TEST

START_TEST(keys_are_spread_over_the_low_bits)
{
    size_t counts[64] = {0};
    char key[16];

    for (size_t i = 0; i < 64 * 100; i++) {
        snprintf(key, sizeof key, "/home/u%zu", i);
        counts[map_hash(&seed, key, strlen(key)) % 64]++;
    }
    for (size_t i = 0; i < 64; i++)
        ck_assert_msg(counts[i] > 50 && counts[i] < 150, "bucket %zu: %zu", i, counts[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("map");
    TCase *tcase = tcase_create("map");

    tcase_add_test(tcase, what_was_added_is_found_until_it_is_deleted);
    tcase_add_test(tcase, an_insertion_that_finds_no_memory_leaves_the_map_as_it_was);
    tcase_add_test(tcase, a_table_half_made_is_given_back);
    tcase_add_test(tcase, a_hash_depends_on_the_key_and_on_the_seed);
    tcase_add_test(tcase, keys_are_spread_over_the_low_bits);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
