/* server/shell/known_homes: which directory a home was, and what counts as a change. */
#include "server/shell/known_homes.h"

#include "server/base/secret.h"
#include "tests/support/check_main.h"

#include <stdio.h>
#include <string.h>

enum { COUNT_MAX = 4 };

static struct known_homes homes;

static void set_up(void)
{
    struct map_seed seed = {{1}};

    ck_assert_int_eq(secret_setup(), 0);
    known_homes_init(&homes, &seed, COUNT_MAX);
}

static void tear_down(void)
{
    known_homes_fini(&homes);
}

/* Whether this counts as a change. */
static bool changes(const char *path, uint64_t inode)
{
    struct home_place place = {.identity = {.inode = inode}};
    bool changed = false;

    snprintf(place.canonical, sizeof place.canonical, "%s", path);
    ck_assert_ptr_nonnull(known_homes_obtain(&homes, &place, &changed));
    return changed;
}

START_TEST(a_home_changes_when_it_is_another_directory)
{
    ck_assert(!changes("/a", 1));
    ck_assert(!changes("/a", 1));
    ck_assert(!changes("/b", 2));
    ck_assert(changes("/a", 2));
    ck_assert(changes("/a", 2)); /* until that is dealt with */
    known_home_becomes(known_homes_find(&homes, "/a"), &(struct home_identity){.inode = 2});
    ck_assert(!changes("/a", 2));
    ck_assert(changes("/a", 1));
}
END_TEST

START_TEST(what_is_not_known_is_not_found)
{
    ck_assert_ptr_null(known_homes_find(&homes, "/a"));
    ck_assert(!changes("/a", 1));
    ck_assert_str_eq(known_homes_find(&homes, "/a")->path, "/a");
    ck_assert_ptr_null(known_homes_find(&homes, "/a/"));
}
END_TEST

START_TEST(once_one_was_forgotten_a_stranger_counts_as_changed)
{
    for (uint64_t i = 1; i <= COUNT_MAX; i++)
        ck_assert(!changes(i == 1 ? "/1" : i == 2 ? "/2" : i == 3 ? "/3" : "/4", i));
    ck_assert(!changes("/5", 5)); /* the last that cannot have been forgotten */
    ck_assert_ptr_null(known_homes_find(&homes, "/1"));
    ck_assert(changes("/1", 1));
    ck_assert_ptr_null(known_homes_find(&homes, "/2"));
    ck_assert(!changes("/5", 5));
}
END_TEST

START_TEST(one_that_a_call_holds_is_not_forgotten)
{
    struct known_home *held;
    char path[16];

    ck_assert(!changes("/held", 1));
    held = known_homes_find(&homes, "/held");
    known_home_hold(held);
    known_home_hold(held);
    for (uint64_t i = 0; i < 2 * COUNT_MAX; i++) {
        snprintf(path, sizeof path, "/%d", (int)i);
        (void)changes(path, i);
    }
    ck_assert_ptr_eq(known_homes_find(&homes, "/held"), held);
    known_home_let_go(&homes, held);
    known_home_let_go(&homes, held);
    for (uint64_t i = 0; i < 2 * COUNT_MAX; i++) {
        snprintf(path, sizeof path, "/more%d", (int)i);
        (void)changes(path, i);
    }
    ck_assert_ptr_null(known_homes_find(&homes, "/held"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("known_homes");
    TCase *tcase = tcase_create("known_homes");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_home_changes_when_it_is_another_directory);
    tcase_add_test(tcase, what_is_not_known_is_not_found);
    tcase_add_test(tcase, once_one_was_forgotten_a_stranger_counts_as_changed);
    tcase_add_test(tcase, one_that_a_call_holds_is_not_forgotten);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
