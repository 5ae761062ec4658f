/* server/base/list: threaded lists that count. */
#include "server/base/list.h"
#include "tests/support/check_main.h"

#include <signal.h>

enum { THING_COUNT = 8 };

struct thing {
    int number;
    struct list_node node;
};

static struct thing things[THING_COUNT];
static struct list list, other;

static void fill(void)
{
    list = other = (struct list){0};
    for (int i = 0; i < THING_COUNT; i++) {
        things[i] = (struct thing){.number = i};
        list_push_back(&list, &things[i].node);
    }
}

static struct thing *thing_of(struct list_node *node)
{
    return LIST_OWNER(node, struct thing, node);
}

/* The list is these, forwards and backwards. */
static void expect(const struct list *of, size_t count, const int *numbers)
{
    struct list_node *back = of->last;
    size_t i = 0;

    ck_assert_uint_eq(of->count, count);
    LIST_EACH (node, of) {
        ck_assert_uint_lt(i, count);
        ck_assert_int_eq(thing_of(node)->number, numbers[i++]);
        ck_assert_ptr_eq(node->list, of);
    }
    ck_assert_uint_eq(i, count);
    for (; back != NULL; back = back->previous)
        ck_assert_int_eq(thing_of(back)->number, numbers[--i]);
    ck_assert_uint_eq(i, 0);
}

START_TEST(members_stand_in_the_order_in_which_they_were_put)
{
    expect(&list, 8, (int[]){0, 1, 2, 3, 4, 5, 6, 7});
    list_remove(&things[7].node);
    list_push_front(&list, &things[7].node);
    expect(&list, 8, (int[]){7, 0, 1, 2, 3, 4, 5, 6});
}
END_TEST

START_TEST(a_member_can_be_taken_off_wherever_it_stands)
{
    list_remove(&things[3].node);
    list_remove(&things[0].node);
    list_remove(&things[7].node);
    expect(&list, 5, (int[]){1, 2, 4, 5, 6});
    ck_assert_ptr_null(things[3].node.list);
    ck_assert_ptr_null(things[3].node.next);
}
END_TEST

START_TEST(taking_off_what_is_on_no_list_changes_nothing)
{
    list_remove(&things[3].node);
    list_remove(&things[3].node);
    expect(&list, 7, (int[]){0, 1, 2, 4, 5, 6, 7});
}
END_TEST

START_TEST(the_last_one_leaves_an_empty_list)
{
    for (int i = 0; i < THING_COUNT; i++)
        ck_assert_int_eq(thing_of(list_pop_front(&list))->number, i);
    ck_assert_ptr_null(list_pop_front(&list));
    expect(&list, 0, NULL);
    ck_assert_ptr_null(list.first);
    ck_assert_ptr_null(list.last);
}
END_TEST

START_TEST(a_member_moves_from_list_to_list_and_both_count)
{
    list_move(&other, &things[2].node);
    list_move(&other, &things[0].node);
    expect(&list, 6, (int[]){1, 3, 4, 5, 6, 7});
    expect(&other, 2, (int[]){2, 0});
    list_move(&other, &things[2].node); /* to the end of where it is */
    expect(&other, 2, (int[]){0, 2});
}
END_TEST

START_TEST(a_member_goes_behind_another_or_to_the_front)
{
    for (int i = 4; i < THING_COUNT; i++)
        list_remove(&things[i].node);
    list_insert_behind(&list, &things[1].node, &things[4].node);
    list_insert_behind(&list, &things[3].node, &things[5].node);
    list_insert_behind(&list, NULL, &things[6].node);
    expect(&list, 7, (int[]){6, 0, 1, 4, 2, 3, 5});
    list_insert_behind(&other, NULL, &things[7].node);
    expect(&other, 1, (int[]){7});
}
END_TEST

START_TEST(members_may_leave_while_they_are_walked)
{
    LIST_EACH_SAFE (node, &list) {
        if (thing_of(node)->number % 2 == 0)
            list_move(&other, node);
    }
    expect(&list, 4, (int[]){1, 3, 5, 7});
    expect(&other, 4, (int[]){0, 2, 4, 6});
}
END_TEST

START_TEST(being_put_on_a_second_list_is_a_broken_invariant)
{
    list_push_back(&other, &things[0].node);
}
END_TEST

START_TEST(going_behind_a_stranger_is_a_broken_invariant)
{
    list_remove(&things[0].node);
    list_insert_behind(&other, &things[1].node, &things[0].node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("list");
    TCase *tcase = tcase_create("list");

    tcase_add_checked_fixture(tcase, fill, NULL);
    tcase_add_test(tcase, members_stand_in_the_order_in_which_they_were_put);
    tcase_add_test(tcase, a_member_can_be_taken_off_wherever_it_stands);
    tcase_add_test(tcase, taking_off_what_is_on_no_list_changes_nothing);
    tcase_add_test(tcase, the_last_one_leaves_an_empty_list);
    tcase_add_test(tcase, a_member_moves_from_list_to_list_and_both_count);
    tcase_add_test(tcase, a_member_goes_behind_another_or_to_the_front);
    tcase_add_test(tcase, members_may_leave_while_they_are_walked);
    tcase_add_test_raise_signal(tcase, being_put_on_a_second_list_is_a_broken_invariant, SIGABRT);
    tcase_add_test_raise_signal(tcase, going_behind_a_stranger_is_a_broken_invariant, SIGABRT);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
