/* Where a credential may be sent: server/worker/base_url.h. */
#include "server/worker/base_url.h"

#include "tests/support/check_main.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

START_TEST(a_base_url_that_is_allowed_loses_its_slashes_and_nothing_else)
{
    static const struct {
        const char *given, *text, *host;
    } table[] = {
        {"https://gateway.example.test/or/v1/", "https://gateway.example.test/or/v1", "gateway.example.test"},
        {"https://gateway.example.test", "https://gateway.example.test", "gateway.example.test"},
        {"https://gateway.example.test///", "https://gateway.example.test", "gateway.example.test"},
        {"https://gateway.example.test:8443/v1", "https://gateway.example.test:8443/v1", "gateway.example.test"},
        {"HTTPS://Gateway.Example.Test/", "HTTPS://Gateway.Example.Test", "Gateway.Example.Test"},
        {"https://192.0.2.7/api", "https://192.0.2.7/api", "192.0.2.7"},
        {"https://[2001:db8::7]:8443/api", "https://[2001:db8::7]:8443/api", "[2001:db8::7]"},
        {"https://my_gateway--2.internal/x", "https://my_gateway--2.internal/x", "my_gateway--2.internal"},
        {"https://h/a%20b/~c;d=1,e", "https://h/a%20b/~c;d=1,e", "h"},
        {"http://localhost:8080/v1", "http://localhost:8080/v1", "localhost"},
        {"http://127.0.0.1/", "http://127.0.0.1", "127.0.0.1"},
        {"http://[::1]:9/", "http://[::1]:9", "[::1]"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct base_url url;

        ck_assert_msg(base_url_parse(table[i].given, &url), "%s is refused", table[i].given);
        ck_assert_str_eq(url.text, table[i].text);
        ck_assert_str_eq(url.host, table[i].host);
    }
}
END_TEST

START_TEST(whatever_could_lead_a_key_astray_is_refused)
{
    static const char *const table[] = {
        "",
        "gateway.example.test",
        "https://",
        "https:///path",
        "https:gateway.example.test",
        "//gateway.example.test",
        "ftp://gateway.example.test",
        "file:///etc/passwd",
        "http://198.51.100.7/api/v1",
        "http://gateway.example.test",
        "http://127.0.0.2/",
        "http://localhost.example.test",
        "http://127.0.0.1.example.test",
        "http://[::2]/",
        "http://localhost@example.test/",
        "https://user@gateway.example.test",
        "https://user:word@gateway.example.test",
        "https://gateway.example.test?x=1",
        "https://gateway.example.test/?x=1",
        "https://gateway.example.test/#f",
        "https://gateway.example.test\\@other",
        "https://gateway.example.test:",
        "https://gateway.example.test:0",
        "https://gateway.example.test:65536",
        "https://gateway.example.test:99999999",
        "https://gateway.example.test:8o",
        "https://gateway.example.test:443x",
        "https://gateway..test",
        "https://.test",
        "https://-gateway.test",
        "https://gateway.test.",
        "https://[::1",
        "https://[]/",
        "https://[::1]x",
        "https://gateway example.test",
        "https://gateway.example.test/a b",
        "https://gateway.example.test/\n",
        "https://gateway.example.test/\x7f",
        "https://g\xc3\xa4teway.test",
        "https://gateway.example.test/\xc3\xa4",
        " https://gateway.example.test",
        "https://gateway.example.test/<x>",
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct base_url url;

        ck_assert_msg(!base_url_parse(table[i], &url), "%s is allowed", table[i]);
    }
}
END_TEST

START_TEST(an_endless_url_is_refused)
{
    char *given = malloc(BASE_URL_SIZE_MAX + 2);
    struct base_url url;

    memset(given, 'a', BASE_URL_SIZE_MAX + 1);
    given[BASE_URL_SIZE_MAX + 1] = '\0';
    memcpy(given, "https://h/", 10);
    ck_assert(!base_url_parse(given, &url));
    given[BASE_URL_SIZE_MAX] = '\0';
    ck_assert(base_url_parse(given, &url));
    memset(given + 8, 'a', BASE_URL_HOST_SIZE_MAX + 1);
    given[8 + BASE_URL_HOST_SIZE_MAX + 1] = '/';
    ck_assert(!base_url_parse(given, &url));
    free(given);
}
END_TEST

START_TEST(a_domain_ends_at_a_dot)
{
    static const char *const domains[] = {"chatgpt.com", "openai.com", NULL};
    static const struct {
        const char *given;
        bool within;
    } table[] = {
        {"https://chatgpt.com/x", true},    {"https://CHATGPT.com", true},          {"https://eu.openai.com", true},
        {"https://evilchatgpt.com", false}, {"https://chatgpt.com.example", false}, {"https://com", false},
        {"https://gateway.example", false},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct base_url url;

        ck_assert(base_url_parse(table[i].given, &url));
        ck_assert_msg(base_url_is_within(&url, domains) == table[i].within, "%s", table[i].given);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_base_url");
    TCase *tcase = tcase_create("base_url");

    tcase_add_test(tcase, a_base_url_that_is_allowed_loses_its_slashes_and_nothing_else);
    tcase_add_test(tcase, whatever_could_lead_a_key_astray_is_refused);
    tcase_add_test(tcase, an_endless_url_is_refused);
    tcase_add_test(tcase, a_domain_ends_at_a_dot);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
