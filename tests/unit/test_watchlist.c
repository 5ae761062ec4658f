/* Who is looked out for, who waits, and who is let go. */
#include "server/shell/watchlist.h"

#include "tests/support/check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct watchlist list;

static void open_list(void)
{
    watchlist_init(&list, 3, 2);
}

static void close_list(void)
{
    watchlist_fini(&list);
    ck_assert_ptr_null(list.by_home);
    ck_assert_ptr_null(list.by_id);
}

static struct watch *add(unsigned number)
{
    struct engine_directory directory = {{number, 0, 0}};
    struct watch *watch;
    char home[32];

    snprintf(home, sizeof home, "/h/%u", number);
    watch = watchlist_add(&list, home, &directory);
    ck_assert_ptr_nonnull(watch);
    return watch;
}

static struct watch *add_settled(unsigned number)
{
    struct watch *watch = add(number);

    watch->state = WATCH_SETTLED;
    return watch;
}

START_TEST(a_home_is_found_by_its_path_and_by_its_id)
{
    struct watch *watch = add(1);

    ck_assert_ptr_eq(watchlist_find(&list, "/h/1"), watch);
    ck_assert_ptr_eq(watchlist_find_id(&list, watch->id), watch);
    ck_assert_ptr_null(watchlist_find(&list, "/h/2"));
    ck_assert_ptr_null(watchlist_find_id(&list, watch->id + 1));
    ck_assert_uint_eq(watchlist_let_go(&list), 0);
}
END_TEST

START_TEST(an_id_is_never_used_again)
{
    uint64_t id = add(1)->id;

    watchlist_remove(&list, watchlist_find(&list, "/h/1"));
    ck_assert_uint_gt(add(1)->id, id);
}
END_TEST

START_TEST(who_was_asked_for_longest_ago_is_let_go)
{
    struct watch *first = add_settled(1), *second = add_settled(2);
    uint64_t id = second->id;

    add_settled(3);
    watchlist_touch(&list, first);
    add(4);
    ck_assert_uint_eq(watchlist_let_go(&list), id);
    ck_assert_uint_eq(watchlist_let_go(&list), 0); /* they are no more than allowed */
    ck_assert_int_eq((int)watchlist_find(&list, "/h/2")->state, WATCH_LET_GO);
    ck_assert_ptr_null(watchlist_find_id(&list, id));
    ck_assert_ptr_nonnull(watchlist_find_id(&list, first->id));
}
END_TEST

START_TEST(who_waits_for_its_first_reading_stays)
{
    for (unsigned i = 1; i <= 4; i++)
        add(i);
    ck_assert_uint_eq(watchlist_let_go(&list), 0);
}
END_TEST

START_TEST(those_let_go_are_remembered_and_not_for_ever)
{
    for (unsigned i = 1; i <= 6; i++) {
        add_settled(i);
        ck_assert_int_eq(watchlist_let_go(&list) != 0, i > 3);
    }
    ck_assert_ptr_null(watchlist_find(&list, "/h/1"));
    ck_assert_int_eq((int)watchlist_find(&list, "/h/2")->state, WATCH_LET_GO);
    ck_assert_int_eq((int)watchlist_find(&list, "/h/3")->state, WATCH_LET_GO);
    watchlist_touch(&list, watchlist_find(&list, "/h/2")); /* which brings nobody back */
    ck_assert_uint_eq(list.watched.count, 3);
}
END_TEST

START_TEST(ages_matter_once_half_of_the_places_are_taken)
{
    add_settled(1);
    ck_assert(!watchlist_is_crowded(&list));
    add_settled(2);
    ck_assert(watchlist_is_crowded(&list));
}
END_TEST

START_TEST(a_start_that_waits_is_closed_with_its_home)
{
    int fd = open("/", O_PATH | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert(watch_add_start(add(1), 7, fd));
    watchlist_remove(&list, watchlist_find(&list, "/h/1"));
    ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watchlist");
    TCase *tcase = tcase_create("watchlist");

    tcase_add_checked_fixture(tcase, open_list, close_list);
    tcase_add_test(tcase, a_home_is_found_by_its_path_and_by_its_id);
    tcase_add_test(tcase, an_id_is_never_used_again);
    tcase_add_test(tcase, who_was_asked_for_longest_ago_is_let_go);
    tcase_add_test(tcase, who_waits_for_its_first_reading_stays);
    tcase_add_test(tcase, those_let_go_are_remembered_and_not_for_ever);
    tcase_add_test(tcase, ages_matter_once_half_of_the_places_are_taken);
    tcase_add_test(tcase, a_start_that_waits_is_closed_with_its_home);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
