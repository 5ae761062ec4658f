/* server/base/secret: shared by count, guarded, wiped. */
#include "server/base/secret.h"
#include "tests/support/check_main.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD_COUNT = 4, SHARE_COUNT = 20000 };

static void set_up(void)
{
    ck_assert_int_eq(secret_setup(), 0);
}

START_TEST(a_secret_is_a_copy_of_its_bytes)
{
    char bytes[] = "sk-\0-123";
    struct secret *secret = secret_create(bytes, sizeof bytes);

    ck_assert_ptr_nonnull(secret);
    memset(bytes, 0, sizeof bytes);
    ck_assert_uint_eq(secret_size(secret), 9);
    ck_assert_mem_eq(secret_bytes(secret), "sk-\0-123", 9);
    secret_release(secret);
}
END_TEST

START_TEST(every_size_is_aligned_and_whole)
{
    unsigned char bytes[300];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct secret *secret = secret_create(size == 0 ? NULL : bytes, size);

        ck_assert_ptr_nonnull(secret);
        ck_assert_uint_eq((uintptr_t)secret % 16, 0);
        ck_assert_uint_eq(secret_size(secret), size);
        if (size > 0)
            ck_assert_mem_eq(secret_bytes(secret), bytes, size);
        secret_release(secret);
    }
}
END_TEST

START_TEST(a_secret_lives_as_long_as_one_holder)
{
    struct secret *secret = secret_create("key", 3);

    ck_assert_ptr_eq(secret_share(secret), secret);
    secret_release(secret);
    ck_assert_mem_eq(secret_bytes(secret), "key", 3);
    secret_release(secret);
}
END_TEST

START_TEST(no_secret_can_be_shared_and_released)
{
    ck_assert_ptr_null(secret_share(NULL));
    secret_release(NULL);
}
END_TEST

static void *hold_and_let_go(void *argument)
{
    struct secret *secret = argument;

    for (size_t i = 0; i < SHARE_COUNT; i++)
        secret_release(secret_share(secret));
    secret_release(secret);
    return NULL;
}

START_TEST(any_thread_may_hold_and_let_go)
{
    struct secret *secret = secret_create("key", 3);
    pthread_t threads[THREAD_COUNT];

    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_let_go, secret_share(secret)), 0);
    secret_release(secret);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

enum { OWN_COUNT = 100 }; /* of all threads together more than are kept */

/* Each has bytes of its own, and finds them unchanged. */
static void *come_and_go(void *argument)
{
    struct secret *secrets[OWN_COUNT];
    unsigned char bytes[100];

    memset(bytes, (int)(uintptr_t)argument, sizeof bytes);
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < OWN_COUNT; i++)
            secrets[i] = secret_create(bytes, sizeof bytes);
        for (size_t i = 0; i < OWN_COUNT; i++) {
            ck_assert_mem_eq(secret_bytes(secrets[i]), bytes, sizeof bytes);
            secret_release(secrets[i]);
        }
    }
    return NULL;
}

/* libsodium's guard page: nothing behind the bytes can be read. */
START_TEST(reading_past_the_end_ends_the_process)
{
    struct secret *secret = secret_create("sixteen bytes ok", 16);
    const volatile char *bytes = secret_bytes(secret);

    signal(SIGSEGV, SIG_DFL); /* not a sanitizer's to report */
    for (size_t i = 0; i < 64; i++)
        (void)bytes[i];
}
END_TEST

/* What /proc/self/smaps says of the mapping that this byte is in: "rd wr … lo … dd". */
static void find_flags(const void *byte, char flags[256])
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512];
    unsigned long first, end;
    bool inside = false;

    ck_assert_ptr_nonnull(file);
    flags[0] = '\0';
    while (flags[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            inside = (uintptr_t)byte >= first && (uintptr_t)byte < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, 256, "%.255s", line);
    }
    fclose(file);
}

enum { MANY = 300, KEY_SIZE = 4000 }; /* more than guarded memory holds */

START_TEST(a_mebibyte_is_guarded_and_all_of_it_is_left_out_of_core_files)
{
    struct secret *secrets[MANY];
    char key[KEY_SIZE], flags[256];
    size_t guarded_count = 0;

    memset(key, 'k', sizeof key);
    for (size_t i = 0; i < MANY; i++) {
        size_t before = secret_guarded_size();

        secrets[i] = secret_create(key, sizeof key);
        ck_assert_ptr_nonnull(secrets[i]);
        guarded_count += secret_guarded_size() > before;
        find_flags(secret_bytes(secrets[i]), flags);
        ck_assert_msg(strstr(flags, " dd") != NULL, "%zu: %s", i, flags);
        ck_assert_mem_eq(secret_bytes(secrets[i]), key, sizeof key);
        ck_assert_uint_le(secret_guarded_size(), SECRET_GUARDED_SIZE_MAX);
    }
    ck_assert_uint_ge(guarded_count, 100);
    ck_assert_uint_lt(guarded_count, MANY);
    for (size_t i = 0; i < MANY; i++)
        secret_release(secrets[i]);
    ck_assert_uint_eq(secret_guarded_size(), 0);
}
END_TEST

START_TEST(a_secret_larger_than_guarded_memory_is_one_like_any_other)
{
    size_t size = 2 * (size_t)SECRET_GUARDED_SIZE_MAX;
    char *key = malloc(size);
    struct secret *secret;

    ck_assert_ptr_nonnull(key);
    memset(key, 'k', size);
    secret = secret_create(key, size);
    ck_assert_ptr_nonnull(secret);
    ck_assert_uint_eq(secret_guarded_size(), 0);
    ck_assert_mem_eq(secret_bytes(secret), key, size);
    secret_release(secret);
    free(key);
}
END_TEST

START_TEST(guarded_memory_is_used_again_and_keeps_nothing_of_who_had_it)
{
    char key[1000], flags[256];
    struct secret *secret;
    const char *end;

    memset(key, 'k', sizeof key);
    secret = secret_create(key, sizeof key);
    end = secret_bytes(secret) + sizeof key;
    secret_release(secret);
    for (const char *byte = end - sizeof key; byte < end; byte++)
        ck_assert_int_eq(*byte, 0);

    secret = secret_create("short", 5);
    ck_assert_ptr_eq(secret_bytes(secret) + 5 + (16 - 5 % 16) % 16, end + (16 - sizeof key % 16) % 16);
    find_flags(secret_bytes(secret), flags);
    ck_assert_msg(strstr(flags, " dd") != NULL, "%s", flags);
    secret_release(secret);
}
END_TEST

START_TEST(any_thread_may_bring_a_secret)
{
    pthread_t threads[THREAD_COUNT];

    for (uintptr_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(secret_guarded_size(), 0);
}
END_TEST

START_TEST(a_fingerprint_depends_on_the_key_and_on_every_byte)
{
    struct fingerprint_key key, other_key;
    struct fingerprint one, same, other;

    secret_random(&key, sizeof key);
    other_key = key;
    other_key.bytes[31] ^= 1;
    secret_fingerprint(&key, "sk-1", 4, &one);
    secret_fingerprint(&key, "sk-1", 4, &same);
    ck_assert_mem_eq(&one, &same, sizeof one);
    secret_fingerprint(&key, "sk-2", 4, &other);
    ck_assert_mem_ne(&one, &other, sizeof one);
    secret_fingerprint(&key, "sk-1", 3, &other);
    ck_assert_mem_ne(&one, &other, sizeof one);
    secret_fingerprint(&key, "", 0, &other);
    ck_assert_mem_ne(&one, &other, sizeof one);
    secret_fingerprint(&other_key, "sk-1", 4, &other);
    ck_assert_mem_ne(&one, &other, sizeof one);
}
END_TEST

START_TEST(random_bytes_are_never_the_same)
{
    unsigned char one[32] = {0}, other[32] = {0};

    secret_random(one, sizeof one);
    secret_random(other, sizeof other);
    ck_assert_mem_ne(one, other, sizeof one);
}
END_TEST

START_TEST(wiped_bytes_are_zero)
{
    unsigned char bytes[64];

    memset(bytes, 0xaa, sizeof bytes);
    secret_wipe(bytes, 63);
    for (size_t i = 0; i < 63; i++)
        ck_assert_uint_eq(bytes[i], 0);
    ck_assert_uint_eq(bytes[63], 0xaa);
    secret_wipe(NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("secret");
    TCase *tcase = tcase_create("secret");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_secret_is_a_copy_of_its_bytes);
    tcase_add_test(tcase, every_size_is_aligned_and_whole);
    tcase_add_test(tcase, a_secret_lives_as_long_as_one_holder);
    tcase_add_test(tcase, no_secret_can_be_shared_and_released);
    tcase_add_test(tcase, any_thread_may_hold_and_let_go);
    tcase_add_test_raise_signal(tcase, reading_past_the_end_ends_the_process, SIGSEGV);
    tcase_add_test(tcase, a_mebibyte_is_guarded_and_all_of_it_is_left_out_of_core_files);
    tcase_add_test(tcase, a_secret_larger_than_guarded_memory_is_one_like_any_other);
    tcase_add_test(tcase, guarded_memory_is_used_again_and_keeps_nothing_of_who_had_it);
    tcase_add_test(tcase, any_thread_may_bring_a_secret);
    tcase_add_test(tcase, a_fingerprint_depends_on_the_key_and_on_every_byte);
    tcase_add_test(tcase, random_bytes_are_never_the_same);
    tcase_add_test(tcase, wiped_bytes_are_zero);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
