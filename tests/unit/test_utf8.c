/* proto/utf8: RFC 3629, its table tried at every edge. */
#include "proto/utf8.h"
#include "tests/support/check_main.h"

#include <stdint.h>
#include <string.h>

/* What an encoder would make of the code point; its size. */
static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

START_TEST(every_character_is_valid_and_nothing_else_of_its_form)
{
    for (uint32_t point = 0; point <= 0x1fffff; point++) {
        bool is_character = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        char text[4];
        size_t size = encode(point, text);

        if (utf8_valid(text, size) != is_character) /* two million of Check's assertions take longer than all else */
            ck_abort_msg("U+%06X", (unsigned)point);
    }
}
END_TEST

START_TEST(a_cut_character_is_clipped_whole)
{
    static const uint32_t points[] = {0xe9, 0x20ac, 0x1f600};

    for (size_t i = 0; i < 3; i++) {
        char text[8] = "ab";
        size_t size = 2 + encode(points[i], text + 2);

        ck_assert_uint_eq(utf8_clip(text, size), size);
        for (size_t cut = 2; cut < size; cut++)
            ck_assert_uint_eq(utf8_clip(text, cut), 2);
    }
}
END_TEST

START_TEST(what_is_no_character_ends_the_valid_part)
{
    static const char *const bad[] = {
        "\x80", /* a continuation alone */
        "\xbf",
        "\xc0\x80",     /* overlong NUL */
        "\xc1\xbf",     /* overlong U+7F */
        "\xe0\x80\x80", /* overlong */
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xc3x", /* a character that another interrupts */
        "\xe2\x82x",
        "\xf0\x9f\x98x",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[16];
        size_t size = strlen(bad[i]);

        memcpy(text, "ok", 2);
        memcpy(text + 2, bad[i], size);
        text[2 + size] = '.';
        ck_assert_msg(utf8_clip(text, size + 3) == 2, "case %zu: %zu", i, utf8_clip(text, size + 3));
    }
}
END_TEST

START_TEST(a_nul_is_a_character_and_nothing_is_valid)
{
    ck_assert(utf8_valid("a\0b", 3));
    ck_assert(utf8_valid("", 0));
    ck_assert(utf8_valid(NULL, 0));
}
END_TEST

START_TEST(control_characters_are_those_of_ascii)
{
    for (unsigned c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};

        ck_assert_msg(utf8_has_control(text, 3) == (c < 0x20 || c == 0x7f), "%u", c);
    }
    ck_assert(!utf8_has_control("", 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tcase = tcase_create("utf8");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_character_is_valid_and_nothing_else_of_its_form);
    tcase_add_test(tcase, a_cut_character_is_clipped_whole);
    tcase_add_test(tcase, what_is_no_character_ends_the_valid_part);
    tcase_add_test(tcase, a_nul_is_a_character_and_nothing_is_valid);
    tcase_add_test(tcase, control_characters_are_those_of_ascii);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
