/* JSON of strangers and JWT claims: server/worker/document.h, jwt.h. */
#include "server/worker/document.h"

#include "server/worker/jwt.h"
#include "tests/support/check_main.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static json_t *parse(const char *text)
{
    return document_parse(text, strlen(text));
}

START_TEST(only_an_object_and_nothing_behind_it_is_a_document)
{
    static const char *const table[] = {
        "",
        "   ",
        "null",
        "true",
        "17",
        "\"ok\"",
        "[{\"a\":1}]",
        "{",
        "{\"a\":1",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1} <!-- served by edge -->",
        "{\"a\":1}{}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":\"\\ud800\"}",
        "<html>",
        "{\"a\":1e400}",
        "// no\n{}",
    };

    for (size_t i = 0; i < COUNT(table); i++)
        ck_assert_msg(parse(table[i]) == NULL, "%s is read", table[i]);
}
END_TEST

START_TEST(a_document_may_begin_with_a_byte_order_mark)
{
    json_t *document = parse("\xef\xbb\xbf{\"a\":1}\n");

    ck_assert_ptr_nonnull(document);
    json_decref(document);
}
END_TEST

START_TEST(an_integer_of_any_size_is_a_number)
{
    json_t *document = parse("{\"a\":99999999999999999999999,\"b\":7}");

    ck_assert_double_eq(json_number_value(json_object_get(document, "a")), 1e23);
    ck_assert_double_eq(json_number_value(json_object_get(document, "b")), 7);
    json_decref(document);
}
END_TEST

START_TEST(depth_is_bounded_and_brackets_in_strings_do_not_count)
{
    char text[4 * DOCUMENT_DEPTH_MAX + 64] = "{\"a\":";
    size_t size = strlen(text);
    json_t *document;

    memset(text + size, '[', DOCUMENT_DEPTH_MAX - 1);
    memset(text + size + DOCUMENT_DEPTH_MAX - 1, ']', DOCUMENT_DEPTH_MAX - 1);
    strcpy(text + size + 2 * (DOCUMENT_DEPTH_MAX - 1), "}");
    document = parse(text);
    ck_assert_ptr_nonnull(document);
    json_decref(document);
    memset(text + size, '[', DOCUMENT_DEPTH_MAX);
    memset(text + size + DOCUMENT_DEPTH_MAX, ']', DOCUMENT_DEPTH_MAX);
    strcpy(text + size + 2 * DOCUMENT_DEPTH_MAX, "}");
    ck_assert_ptr_null(parse(text));
    text[size] = '"';
    memset(text + size + 1, '[', 2 * DOCUMENT_DEPTH_MAX);
    strcpy(text + size + 1 + 2 * DOCUMENT_DEPTH_MAX, "\\\"[\"}");
    document = parse(text);
    ck_assert_ptr_nonnull(document);
    json_decref(document);
}
END_TEST

START_TEST(a_path_leads_through_objects_alone)
{
    json_t *document =
        parse("{\"providers\":{\"openai-codex\":{\"tokens\":{\"access_token\":\"t\"}},\"list\":[{}]},\"s\":\"\"}");
    const json_t *tokens = document_at(document, "providers.openai-codex.tokens");

    ck_assert_str_eq(document_string(tokens, "access_token"), "t");
    ck_assert_ptr_eq(document_at(document, ""), document);
    ck_assert_ptr_null(document_at(document, "providers.list.tokens"));
    ck_assert_ptr_null(document_at(document, "s.t"));
    ck_assert_ptr_null(document_at(document, "nothing"));
    ck_assert_ptr_null(document_at(NULL, "providers"));
    ck_assert_ptr_null(document_string(document, "s")); /* empty */
    ck_assert_ptr_null(document_string(document, "providers"));
    json_decref(document);
}
END_TEST

START_TEST(a_string_with_a_nul_is_no_c_string)
{
    json_t *document = parse("{\"a\":\"key\\u0000more\"}");

    ck_assert_ptr_nonnull(document);
    ck_assert_ptr_null(document_string(document, "a"));
    json_decref(document);
}
END_TEST

START_TEST(claims_are_read_from_what_has_three_parts)
{
    /* {"sub":"user-z","exp":1772366340} */
    static const char token[] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLXoiLCJleHAiOjE3NzIzNjYzNDB9.fixture";
    static const char *const none[] = {
        "",
        "opaque",
        "a.b",
        "a.b.c",
        "a.!!!.c",
        "a..c",
        "a.eyJhIjo.c",
        "a.eyJhIjoxfQ.c.d",
        "a.Ww.c",
        "..",
        "a.eyJhIjoxfQ==.c" /* padded */,
    };
    json_t *claims = jwt_claims(token);

    ck_assert_str_eq(document_string(claims, "sub"), "user-z");
    ck_assert_int_eq(jwt_expiry(token).s, 1772366340);
    json_decref(claims);
    for (size_t i = 0; i < COUNT(none); i++) {
        ck_assert_msg(jwt_claims(none[i]) == NULL, "%s", none[i]);
        ck_assert(!jwt_expiry(none[i]).known);
    }
}
END_TEST

START_TEST(claims_of_any_size_do_no_harm)
{
    size_t size = 4 * JWT_CLAIMS_SIZE_MAX;
    char *token = malloc(size + 1);

    memset(token, 'A', size);
    token[size] = '\0';
    token[1] = '.';
    token[size - 2] = '.';
    ck_assert_ptr_null(jwt_claims(token));
    free(token);
}
END_TEST

START_TEST(the_members_of_an_object_have_an_order_of_their_own)
{
    json_t *document = parse("{\"b\":1,\"a\":{\"z\":1},\"\":2,\"B\":3}");
    static const char *const expected[] = {"", "B", "a", "b"};
    size_t count;
    const char **names = document_names(document, &count);

    ck_assert_uint_eq(count, COUNT(expected));
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(names[i], expected[i]);
    free(names);
    json_decref(document);
    ck_assert_ptr_null(document_names(NULL, &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_document");
    TCase *document = tcase_create("document"), *jwt = tcase_create("jwt");

    tcase_add_test(document, only_an_object_and_nothing_behind_it_is_a_document);
    tcase_add_test(document, a_document_may_begin_with_a_byte_order_mark);
    tcase_add_test(document, an_integer_of_any_size_is_a_number);
    tcase_add_test(document, depth_is_bounded_and_brackets_in_strings_do_not_count);
    tcase_add_test(document, a_path_leads_through_objects_alone);
    tcase_add_test(document, a_string_with_a_nul_is_no_c_string);
    tcase_add_test(document, the_members_of_an_object_have_an_order_of_their_own);
    suite_add_tcase(suite, document);
    tcase_add_test(jwt, claims_are_read_from_what_has_three_parts);
    tcase_add_test(jwt, claims_of_any_size_do_no_harm);
    suite_add_tcase(suite, jwt);
    return check_main(suite);
}
