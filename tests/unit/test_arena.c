/* proto/arena: bounded memory that leaves nothing behind. */
#include "proto/arena.h"
#include "tests/support/check_main.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

START_TEST(pieces_are_aligned_and_apart)
{
    unsigned char first[256];
    unsigned char *pieces[200];
    struct arena arena;

    arena_init(&arena, first, sizeof first, 1 << 20);
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&arena, 1 + i % 97);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)i, 1 + i % 97);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < 1 + i % 97; j++)
            ck_assert_uint_eq(pieces[i][j], (unsigned char)i);
    }
    arena_fini(&arena);
}
END_TEST

START_TEST(the_callers_buffer_is_used_first_wherever_it_begins)
{
    _Alignas(max_align_t) unsigned char buffer[512];

    for (size_t shift = 0; shift < _Alignof(max_align_t); shift++) {
        struct arena arena;
        unsigned char *piece;

        arena_init(&arena, buffer + shift, sizeof buffer - shift, 1 << 20);
        piece = arena_alloc(&arena, 400);
        ck_assert(piece >= buffer + shift && piece + 400 <= buffer + sizeof buffer);
        ck_assert_ptr_null(arena.grown);
        ck_assert_ptr_nonnull(arena_alloc(&arena, 400));
        ck_assert_ptr_nonnull(arena.grown);
        arena_fini(&arena);
    }
}
END_TEST

START_TEST(the_bound_is_one_on_everything_handed_out)
{
    unsigned char first[1024];
    struct arena arena;
    size_t total = 0;

    arena_init(&arena, first, sizeof first, 100000);
    while (arena_alloc(&arena, 1000) != NULL)
        total += 1000;
    ck_assert_uint_le(total, 100000);
    ck_assert_uint_ge(total, 97000);
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 1));
    arena_fini(&arena);
}
END_TEST

START_TEST(one_piece_may_be_all_of_it_and_not_a_byte_more)
{
    struct arena arena;

    arena_init(&arena, NULL, 0, 1 << 20);
    ck_assert_ptr_null(arena_alloc(&arena, (1 << 20) + 1));
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1 << 20));
    ck_assert_ptr_null(arena_alloc(&arena, 1));
    arena_fini(&arena);
}
END_TEST

START_TEST(a_buffer_too_small_for_alignment_is_none)
{
    _Alignas(max_align_t) unsigned char buffer[2 * _Alignof(max_align_t)];
    struct arena arena;

    arena_init(&arena, buffer + 1, 4, 1000);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 8));
    ck_assert_ptr_nonnull(arena.grown);
    arena_fini(&arena);
}
END_TEST

static bool holds(const unsigned char *bytes, size_t size, const char *word)
{
    return memmem(bytes, size, word, strlen(word)) != NULL;
}

START_TEST(what_was_in_the_callers_buffer_is_wiped)
{
    unsigned char first[1024];
    struct arena arena;

    memset(first, '.', sizeof first);
    arena_init(&arena, first, sizeof first, 1 << 20);
    memcpy(arena_alloc(&arena, 16), "secret", 7);
    ck_assert(holds(first, sizeof first, "secret"));
    arena_fini(&arena);
    ck_assert(!holds(first, sizeof first, "secret"));

    arena_init(&arena, first, sizeof first, 1 << 20); /* the same when it was outgrown */
    memcpy(arena_alloc(&arena, 16), "secret", 7);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 5000));
    arena_fini(&arena);
    ck_assert(!holds(first, sizeof first, "secret"));
    ck_assert_uint_eq(first[1000], '.'); /* and what was never used is left alone */
}
END_TEST

START_TEST(an_arena_that_was_given_back_hands_out_nothing)
{
    struct arena arena;

    arena_init(&arena, NULL, 0, 1 << 20);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 100));
    arena_fini(&arena);
    ck_assert_ptr_null(arena_alloc(&arena, 1));
    arena_fini(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tcase = tcase_create("arena");

    tcase_add_test(tcase, pieces_are_aligned_and_apart);
    tcase_add_test(tcase, the_callers_buffer_is_used_first_wherever_it_begins);
    tcase_add_test(tcase, the_bound_is_one_on_everything_handed_out);
    tcase_add_test(tcase, one_piece_may_be_all_of_it_and_not_a_byte_more);
    tcase_add_test(tcase, a_buffer_too_small_for_alignment_is_none);
    tcase_add_test(tcase, what_was_in_the_callers_buffer_is_wiped);
    tcase_add_test(tcase, an_arena_that_was_given_back_hands_out_nothing);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
