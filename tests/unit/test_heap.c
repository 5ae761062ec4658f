/* server/base/heap: due times, tried against a plain array. */
#include "server/base/heap.h"
#include "tests/support/check_main.h"

#include <signal.h>
#include <stdlib.h>

enum { NODE_COUNT = 500, STEP_COUNT = 50000 };

static struct heap_node nodes[NODE_COUNT];

static void reserve(struct heap *heap, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert(heap_reserve(heap));
}

START_TEST(an_empty_heap_has_no_first)
{
    struct heap heap = {0};

    ck_assert_ptr_null(heap_first(&heap));
    heap_fini(&heap);
}
END_TEST

START_TEST(what_is_due_first_comes_first)
{
    static const uint64_t dues[] = {50, 10, 40, UINT64_MAX, 20, 0, 30, 10};
    static const uint64_t sorted[] = {0, 10, 10, 20, 30, 40, 50, UINT64_MAX};
    struct heap heap = {0};

    reserve(&heap, 8);
    for (size_t i = 0; i < 8; i++)
        heap_set(&heap, &nodes[i], dues[i]);
    for (size_t i = 0; i < 8; i++) {
        struct heap_node *first = heap_first(&heap);

        ck_assert_uint_eq(first->due_ns, sorted[i]);
        heap_clear(&heap, first);
        ck_assert_uint_eq(first->place, 0);
    }
    ck_assert_ptr_null(heap_first(&heap));
    heap_fini(&heap);
}
END_TEST

START_TEST(a_time_can_be_moved_both_ways)
{
    struct heap heap = {0};

    reserve(&heap, 3);
    heap_set(&heap, &nodes[0], 10);
    heap_set(&heap, &nodes[1], 20);
    heap_set(&heap, &nodes[2], 30);
    heap_set(&heap, &nodes[0], 40);
    ck_assert_ptr_eq(heap_first(&heap), &nodes[1]);
    heap_set(&heap, &nodes[2], 5);
    ck_assert_ptr_eq(heap_first(&heap), &nodes[2]);
    heap_set(&heap, &nodes[2], 5);
    ck_assert_uint_eq(heap.count, 3);
    heap_fini(&heap);
}
END_TEST

START_TEST(clearing_what_is_not_in_changes_nothing)
{
    struct heap heap = {0};

    reserve(&heap, 1);
    heap_clear(&heap, &nodes[1]);
    heap_set(&heap, &nodes[0], 1);
    heap_clear(&heap, &nodes[0]);
    heap_clear(&heap, &nodes[0]);
    ck_assert_uint_eq(heap.count, 0);
    heap_fini(&heap);
}
END_TEST

/* The earliest time of those that are in; UINT64_MAX when none is. */
static uint64_t earliest(void)
{
    uint64_t due_ns = UINT64_MAX;

    for (size_t i = 0; i < NODE_COUNT; i++) {
        if (nodes[i].place != 0 && nodes[i].due_ns < due_ns)
            due_ns = nodes[i].due_ns;
    }
    return due_ns;
}

START_TEST(whatever_is_set_and_cleared_the_first_is_the_earliest)
{
    struct heap heap = {0};
    unsigned seed = (unsigned)_i;

    reserve(&heap, NODE_COUNT);
    for (size_t step = 0; step < STEP_COUNT; step++) {
        struct heap_node *node = &nodes[(size_t)rand_r(&seed) % NODE_COUNT];

        if (rand_r(&seed) % 3 == 0)
            heap_clear(&heap, node);
        else
            heap_set(&heap, node, (uint64_t)rand_r(&seed) % 1000);
        if (heap.count > 0)
            ck_assert_uint_eq(heap_first(&heap)->due_ns, earliest());
        else
            ck_assert_uint_eq(earliest(), UINT64_MAX);
    }
    heap_fini(&heap);
}
END_TEST

START_TEST(room_that_was_reserved_is_there_and_is_given_back)
{
    struct heap heap = {0};

    reserve(&heap, NODE_COUNT);
    for (size_t i = 0; i < NODE_COUNT; i++)
        heap_set(&heap, &nodes[i], NODE_COUNT - i);
    for (size_t i = 0; i < NODE_COUNT; i++) {
        heap_clear(&heap, &nodes[i]);
        heap_unreserve(&heap);
    }
    ck_assert_uint_eq(heap.reserved_count, 0);
    heap_fini(&heap);
}
END_TEST

START_TEST(setting_without_reserved_room_is_a_broken_invariant)
{
    struct heap heap = {0};

    reserve(&heap, 1);
    heap_set(&heap, &nodes[0], 1);
    heap_set(&heap, &nodes[1], 1);
}
END_TEST

START_TEST(giving_back_room_that_is_in_use_is_a_broken_invariant)
{
    struct heap heap = {0};

    reserve(&heap, 1);
    heap_set(&heap, &nodes[0], 1);
    heap_unreserve(&heap);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heap");
    TCase *tcase = tcase_create("heap");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, an_empty_heap_has_no_first);
    tcase_add_test(tcase, what_is_due_first_comes_first);
    tcase_add_test(tcase, a_time_can_be_moved_both_ways);
    tcase_add_test(tcase, clearing_what_is_not_in_changes_nothing);
    tcase_add_loop_test(tcase, whatever_is_set_and_cleared_the_first_is_the_earliest, 1, 5);
    tcase_add_test(tcase, room_that_was_reserved_is_there_and_is_given_back);
    tcase_add_test_raise_signal(tcase, setting_without_reserved_room_is_a_broken_invariant, SIGABRT);
    tcase_add_test_raise_signal(tcase, giving_back_room_that_is_in_use_is_a_broken_invariant, SIGABRT);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
