/* server/base/redact: what a stranger's line is shown as. */
#include "server/base/redact.h"
#include "tests/support/check_main.h"

#include <stdio.h>
#include <string.h>

struct row {
    const char *line, *shown;
};

#define R "[redacted]"

static const struct row secrets[] = {
    /* named */
    {"OPENROUTER_API_KEY=short", "OPENROUTER_API_KEY=" R},
    {"api_key=\"with blanks in it\" next", "api_key=" R " next"},
    {"{\"token\": \"abc\", \"n\": 1}", "{\"token\": " R ", \"n\": 1}"},
    {"apiKey: abc", "apiKey: " R},
    {"password = hunter2; more", "password = " R "; more"},
    {"PASSWORD='a b' x", "PASSWORD=" R " x"},
    {"Cookie: session=abc", "Cookie: " R},
    {"two tokens: abc", "two tokens: " R},
    {"0123456789abcdefKey: abc", R ": " R},
    {"0123456789abcdef_key=abc", R "=" R},
    {"secret=", "secret="},
    {"secret=\"open", "secret=" R},
    {"{\"password\": \"ab\\\"hunter2\", \"n\": 1}", "{\"password\": " R ", \"n\": 1}"},
    {"password=\"ends in \\", "password=" R},
    {"\"{\\\"token\\\": \\\"abc\\\"}\"", "\"{\\\"token\\\": \\" R},
    {"Authorization: Token abc; more", "Authorization: " R "; more"},
    {"Proxy-Authorization: ApiKey s3cr3t", "Proxy-Authorization: " R},
    {"authorization: abc", "authorization: " R},
    {"authorization: \"Token abc\" next", "authorization: " R " next"},
    /* presented */
    {"Authorization: Bearer abc.def", "Authorization: Bearer " R},
    {"sent bearer abc to them", "sent bearer " R " to them"},
    {"Authorization: Basic dTpw", "Authorization: Basic " R},
    {"https://user:pw@host/path", "https://" R "@host/path"},
    {"proxy //u@h", "proxy //" R "@h"},
    {"https://user:p@ss@host/@path", "https://" R "@host/@path"},
    /* known beginnings */
    {"got sk-abcde from it", "got " R " from it"},
    {"(ghp_abcd)", "(" R ")"},
    {"eyJhbGci.eyJzdWIi.c2ln end", R " end"},
    /* random */
    {"value 0123456789abcdef here", "value " R " here"},
    {"/v1/0123456789abcdef0123/x", "/v1/" R "/x"},
    {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnop", R},
    {"a1b2c3d4e5f6g7h8+i9==", R},
    {"a1b2c3d4e5f6g7h8.tail rest", R " rest"},
};

static const struct row plain[] = {
    {"", ""},
    {" ", " "},
    {"Traceback (most recent call last):", "Traceback (most recent call last):"},
    {"  File \"/usr/lib/python3.11/urllib/request.py\", line 1348, in do_open",
     "  File \"/usr/lib/python3.11/urllib/request.py\", line 1348, in do_open"},
    {"2026-11-24T10:00:00Z connect to api.example.com:443 failed: timed out",
     "2026-11-24T10:00:00Z connect to api.example.com:443 failed: timed out"},
    {"no credentials here", "no credentials here"},
    {"monkey=1 keyboard: qwerty", "monkey=1 keyboard: qwerty"},
    {"https://host/path?a=b", "https://host/path?a=b"},
    {"https://host/@scope/name //@host", "https://host/@scope/name //@host"},
    {"basically a bearer", "basically a bearer"},
};

static const char *shown(const char *line)
{
    static char out[1024];

    redact_line(line, out, sizeof out);
    return out;
}

START_TEST(what_looks_like_a_secret_goes)
{
    ck_assert_str_eq(shown(secrets[_i].line), secrets[_i].shown);
}
END_TEST

START_TEST(what_does_not_stays)
{
    ck_assert_str_eq(shown(plain[_i].line), plain[_i].shown);
}
END_TEST

START_TEST(a_line_is_cut_to_what_there_is_room_for)
{
    char out[8];

    redact_line("0123456789", out, sizeof out);
    ck_assert_str_eq(out, "0123456");
    redact_line("0123456789abcdef", out, sizeof out);
    ck_assert_str_eq(out, "[redact");
    redact_line("anything", out, 1);
    ck_assert_str_eq(out, "");
}
END_TEST

/* Wherever it stands, and whatever is around it. */
START_TEST(a_secret_goes_in_any_company)
{
    static const char *const around[] = {" ", "\"", "'", ",", "(", ")", "/", ":", ";", "?", "\\", "<", "\xc3\xa9"};
    char line[128];

    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        for (size_t j = 0; j < sizeof around / sizeof around[0]; j++) {
            snprintf(line, sizeof line, "x%ssk-canary-7f3a9c51e0d2%sy", around[i], around[j]);
            ck_assert_msg(strstr(shown(line), "canary") == NULL, "%s", shown(line));
            ck_assert_msg(strstr(shown(line), "7f3a") == NULL, "%s", shown(line));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redact");
    TCase *tcase = tcase_create("redact");

    tcase_add_loop_test(tcase, what_looks_like_a_secret_goes, 0, (int)(sizeof secrets / sizeof secrets[0]));
    tcase_add_loop_test(tcase, what_does_not_stays, 0, (int)(sizeof plain / sizeof plain[0]));
    tcase_add_test(tcase, a_line_is_cut_to_what_there_is_room_for);
    tcase_add_test(tcase, a_secret_goes_in_any_company);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
