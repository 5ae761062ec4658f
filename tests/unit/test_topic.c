/* proto/topic: what subscribers compare. */
#include "proto/topic.h"
#include "tests/support/check_main.h"

#include <string.h>

START_TEST(a_homes_topic_is_its_path_and_a_line_end)
{
    char topic[TOPIC_SIZE_MAX];
    size_t size = topic_write("/h/a", topic);

    ck_assert_uint_eq(size, 10);
    ck_assert_mem_eq(topic, "home:/h/a\n", size);
    ck_assert_uint_eq(topic_size(topic, size), size);
}
END_TEST

START_TEST(no_topic_is_the_beginning_of_another)
{
    static const char *const homes[] = {"/h", "/h/a", "/h/ab", "/h/a/b", "/"};
    char one[TOPIC_SIZE_MAX], other[TOPIC_SIZE_MAX];

    for (size_t i = 0; i < 5; i++) {
        size_t size = topic_write(homes[i], one);

        ck_assert(size < strlen(TOPIC_BEAT) || memcmp(one, TOPIC_BEAT, strlen(TOPIC_BEAT)) != 0);
        for (size_t j = 0; j < 5; j++) {
            size_t other_size = topic_write(homes[j], other);

            ck_assert_int_eq(other_size >= size && memcmp(one, other, size) == 0, i == j);
        }
    }
}
END_TEST

START_TEST(the_longest_home_fits)
{
    static char home[LIMIT_HOME_SIZE_MAX + 1], topic[TOPIC_SIZE_MAX];

    memset(home, 'h', LIMIT_HOME_SIZE_MAX);
    ck_assert_uint_eq(topic_write(home, topic), TOPIC_SIZE_MAX);
    ck_assert_int_eq(topic[TOPIC_SIZE_MAX - 1], '\n');
}
END_TEST

START_TEST(a_topic_ends_at_the_first_line_end)
{
    ck_assert_uint_eq(topic_size("beat\n\n\x08\x01", 8), 5);
    ck_assert_uint_eq(topic_size("home:/a\nx", 9), 8);
    ck_assert_uint_eq(topic_size("\n", 1), 1);
    ck_assert_uint_eq(topic_size("home:/a", 7), 0);
    ck_assert_uint_eq(topic_size("beat\n", 4), 0);
    ck_assert_uint_eq(topic_size(NULL, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("topic");
    TCase *tcase = tcase_create("topic");

    tcase_add_test(tcase, a_homes_topic_is_its_path_and_a_line_end);
    tcase_add_test(tcase, no_topic_is_the_beginning_of_another);
    tcase_add_test(tcase, the_longest_home_fits);
    tcase_add_test(tcase, a_topic_ends_at_the_first_line_end);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
