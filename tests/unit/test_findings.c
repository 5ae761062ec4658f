/* What a reader writes, and nothing else, is understood; and two findings differ where they do. */
#include "server/custody/custodian/findings.h"

#include "server/base/text.h"
#include "tests/support/check_main.h"

#include <string.h>

#define ONES "1111111111111111111111111111111111111111111111111111111111111111"
#define TWOS "2222222222222222222222222222222222222222222222222222222222222222"

static struct findings parse(const char *text)
{
    struct findings findings;

    ck_assert_msg(findings_parse(text, strlen(text), &findings), "not understood: %s", text);
    return findings;
}

START_TEST(what_a_reader_writes_is_understood)
{
    struct findings findings = parse("watch .\nwatch .claude\nwatch a/b c\npoll link\npoll foreign\n"
                                     "provider xai " ONES "\nprovider anthropic " TWOS "\nhome " ONES "\nend\n");

    ck_assert_uint_eq(findings.folder_count, 3);
    ck_assert_str_eq(findings.folders[0], ".");
    ck_assert_str_eq(findings.folders[2], "a/b c");
    ck_assert_str_eq(findings.poll_reason, "link");
    ck_assert_uint_eq(findings.count, 3);
    ck_assert_str_eq(findings.of[0].name, ""); /* in order of names */
    ck_assert_str_eq(findings.of[1].name, "anthropic");
    ck_assert_str_eq(findings.of[2].name, "xai");
    ck_assert_uint_eq(findings.of[1].fingerprint[31], 0x22);
    findings_fini(&findings);
}
END_TEST

static const char *const refused[] = {
    "",
    "end\n",            /* a home has a directory */
    "watch .\n",        /* no end */
    "watch .\nend",     /* half a line */
    "watch .\nend\n\n", /* something behind it */
    "watch .\nend\nend\n",
    "watch .\nended\n",
    "watch .\n\nend\n",
    "watch .claude\nend\n", /* not the home first */
    "watch .\nwatch .\nend\n",
    "watch .\nwatch /etc\nend\n",
    "watch .\nwatch ..\nend\n",
    "watch .\nwatch a/../../b\nend\n",
    "watch .\nwatch ./a\nend\n",
    "watch .\nwatch a//b\nend\n",
    "watch .\nwatch a/\nend\n",
    "watch .\nwatch \nend\n",
    "watch .\nwatch a\tb\nend\n",
    "watch .\npoll\nend\n",
    "watch .\npoll two words\nend\n",
    "watch .\nprovider openai\nend\n",
    "watch .\nprovider openai " ONES "1\nend\n", /* too long */
    "watch .\nprovider openai 1" TWOS "\nend\n",
    "watch .\nprovider openai g111111111111111111111111111111111111111111111111111111111111111\nend\n",
    "watch .\nprovider openai A111111111111111111111111111111111111111111111111111111111111111\nend\n",
    "watch .\nprovider OpenAI " ONES "\nend\n",
    "watch .\nprovider openai  " ONES "\nend\n",
    "watch .\nprovider  " ONES "\nend\n",
    "watch .\nprovider openai " ONES "\nprovider openai " TWOS "\nend\n",
    "watch .\nhome " ONES "\nhome " ONES "\nend\n",
    "watch .\nhome 11\nend\n",
    "watch .\nopenai " ONES "\nend\n",
};

START_TEST(nothing_else_is)
{
    struct findings findings;

    ck_assert_msg(!findings_parse(refused[_i], strlen(refused[_i]), &findings), "understood: %s", refused[_i]);
}
END_TEST

START_TEST(a_nul_ends_no_line)
{
    static const char text[] = "watch .\nwatch a\0b\nend\n";
    struct findings findings;

    ck_assert(!findings_parse(text, sizeof text - 1, &findings));
}
END_TEST

/* `size` bytes with the line end, of a directory's name. */
static void add_line(struct text *text, size_t size)
{
    text_add_string(text, "watch ");
    for (size_t i = 7; i < size; i++)
        text_add_string(text, "a");
    text_add_string(text, "\n");
}

START_TEST(a_line_has_its_bound)
{
    for (size_t size = FINDINGS_LINE_SIZE_MAX; size <= FINDINGS_LINE_SIZE_MAX + 1; size++) {
        struct text text = TEXT_EMPTY;
        struct findings findings = {.count = 0};

        text_add_string(&text, "watch .\n");
        add_line(&text, size);
        text_add_string(&text, "end\n");
        ck_assert_int_eq(findings_parse(text_string(&text), text.size, &findings), size <= FINDINGS_LINE_SIZE_MAX);
        findings_fini(&findings);
        text_fini(&text);
    }
}
END_TEST

START_TEST(lines_have_their_bound)
{
    for (size_t count = FINDINGS_LINE_COUNT_MAX; count <= FINDINGS_LINE_COUNT_MAX + 1; count++) {
        struct text text = TEXT_EMPTY;
        struct findings findings = {.count = 0};

        text_add_string(&text, "watch .\n");
        for (size_t i = 2; i < count; i++)
            text_format(&text, "provider p%zu " ONES "\n", i);
        text_add_string(&text, "end\n");
        ck_assert_int_eq(findings_parse(text_string(&text), text.size, &findings), count <= FINDINGS_LINE_COUNT_MAX);
        findings_fini(&findings);
        text_fini(&text);
    }
}
END_TEST

/* ---- comparing ---- */

static const struct {
    const char *one, *other;
    const char *difference; /* NULL: none */
} pairs[] = {
    {"watch .\nend\n", "watch .\nwatch a\npoll link\nend\n", NULL}, /* where to look is no credential */
    {"watch .\nprovider a " ONES "\nprovider b " TWOS "\nend\n",
     "watch .\nprovider b " TWOS "\nprovider a " ONES "\nend\n", NULL},
    {"watch .\nprovider a " ONES "\nend\n", "watch .\nprovider a " TWOS "\nend\n", "a"},
    {"watch .\nprovider a " ONES "\nprovider b " ONES "\nend\n",
     "watch .\nprovider a " ONES "\nprovider b " TWOS "\nend\n", "b"},
    {"watch .\nend\n", "watch .\nprovider a " ONES "\nend\n", "a"},
    {"watch .\nprovider a " ONES "\nprovider c " ONES "\nend\n",
     "watch .\nprovider a " ONES "\nprovider b " ONES "\nprovider c " ONES "\nend\n", "b"},
    {"watch .\nprovider a " ONES "\nend\n", "watch .\nprovider b " ONES "\nend\n", "a"},
    {"watch .\nhome " ONES "\nend\n", "watch .\nhome " TWOS "\nend\n", ""},
};

START_TEST(two_differ_where_they_do)
{
    struct findings one = parse(pairs[_i].one), other = parse(pairs[_i].other);
    const char *there = findings_difference(&one, &other), *back = findings_difference(&other, &one);

    if (pairs[_i].difference == NULL) {
        ck_assert_ptr_null(there);
        ck_assert_ptr_null(back);
        ck_assert_uint_eq(findings_digest(&one), findings_digest(&other));
    } else {
        ck_assert_str_eq(there, pairs[_i].difference);
        ck_assert_str_eq(back, pairs[_i].difference);
        ck_assert_uint_ne(findings_digest(&one), findings_digest(&other));
    }
    findings_fini(&one);
    findings_fini(&other);
}
END_TEST

START_TEST(adopting_each_difference_makes_them_the_same)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct findings one = parse(pairs[i].one), other = parse(pairs[i].other);
        const char *difference;
        size_t count = 0;

        while ((difference = findings_difference(&one, &other)) != NULL) {
            char name[LIMIT_PROVIDER_SIZE_MAX + 1];

            strcpy(name, difference);
            ck_assert(findings_adopt(&one, &other, name));
            ck_assert_uint_le(++count, 2);
        }
        ck_assert_uint_eq(findings_digest(&one), findings_digest(&other));
        findings_fini(&one);
        findings_fini(&other);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("findings");
    TCase *tcase = tcase_create("findings");

    tcase_add_test(tcase, what_a_reader_writes_is_understood);
    tcase_add_loop_test(tcase, nothing_else_is, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(tcase, a_nul_ends_no_line);
    tcase_add_test(tcase, a_line_has_its_bound);
    tcase_add_test(tcase, lines_have_their_bound);
    tcase_add_loop_test(tcase, two_differ_where_they_do, 0, sizeof pairs / sizeof pairs[0]);
    tcase_add_test(tcase, adopting_each_difference_makes_them_the_same);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
