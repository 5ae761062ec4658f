/* The real probe-worker against a stand-in that is slow, silent, false or broken, and against odd lines: it answers, in
 * time, keeps its connections, and ends when nobody needs it. */
#include "server/base/clock.h"
#include "tests/support/worker_story.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 1000, BOMB_SIZE_MIN = 64 << 20, MAPPING_SIZE_MAX = 64 << 20 };

static const char key_body[] = "{\"data\":{\"usage\":3.5,\"limit\":null}}";

/* What openrouter.ai says to the key of `.env`. */
static void teach_key(int status, const void *body, size_t size, enum standin_delivery delivery,
                      const json_t *answer_headers)
{
    put(home, ".env", "OPENROUTER_API_KEY=sk-or-test-key\n");
    standin_teach(standin, &(struct standin_exchange){.host = "openrouter.ai",
                                                      .path = "/api/v1/key",
                                                      .status = status,
                                                      .answer_headers = answer_headers,
                                                      .body = body,
                                                      .body_size = size,
                                                      .delivery = delivery});
}

static void teach(enum standin_delivery delivery)
{
    teach_key(200, key_body, strlen(key_body), delivery, NULL);
}

/* ---- in time ---- */

/* Asks with a short deadline, and is answered by then, with why. */
static void expect_in_time(const char *reason)
{
    uint64_t asked_ns;
    json_t *answer;

    start();
    json_decref(probe("groq", DEADLINE_MS)); /* it runs */
    asked_ns = clock_now_ns();
    answer = probe("openrouter", DEADLINE_MS);
    if (patience_time_counts())
        ck_assert_uint_le((clock_now_ns() - asked_ns) / NS_PER_MS, DEADLINE_MS);
    expect(answer, "unavailable", reason);
    ck_assert(json_is_null(json_object_get(answer, "http_status")));
    ck_assert_msg(json_is_null(json_object_get(answer, "min_interval_s")),
                  "a provider that was not heard may be asked again");
    json_decref(answer);
    finish();
}

START_TEST(a_provider_that_never_answers_costs_the_deadline_and_no_more)
{
    teach(STANDIN_HELD);
    expect_in_time("The usage request timed out.");
    ck_assert_uint_eq(standin_request_count(standin), 1);
}
END_TEST

START_TEST(a_dripping_body_does_not_stretch_the_deadline)
{
    static char body[4096];

    memset(body, ' ', sizeof body);
    teach_key(200, body, sizeof body, STANDIN_DRIPPING, NULL);
    expect_in_time("The usage request timed out.");
}
END_TEST

START_TEST(a_stalled_tls_handshake_does_not_stretch_the_deadline)
{
    teach(STANDIN_WHOLE);
    standin_set_fault(standin, STANDIN_DEAF);
    expect_in_time("The usage request timed out.");
}
END_TEST

START_TEST(a_refused_connection_is_told_at_once)
{
    teach(STANDIN_WHOLE);
    standin_set_fault(standin, STANDIN_REFUSING);
    expect_in_time("The provider could not be reached.");
}
END_TEST

START_TEST(a_certificate_of_another_authority_is_refused)
{
    teach(STANDIN_WHOLE);
    standin_set_fault(standin, STANDIN_UNTRUSTED);
    expect_in_time("The provider could not be reached.");
    ck_assert_uint_eq(standin_request_count(standin), 0);
}
END_TEST

START_TEST(a_certificate_of_another_host_is_refused)
{
    teach(STANDIN_WHOLE);
    standin_set_fault(standin, STANDIN_MISNAMED);
    expect_in_time("The provider could not be reached.");
    ck_assert_uint_eq(standin_request_count(standin), 0);
}
END_TEST

START_TEST(a_worker_goes_on_after_a_deadline)
{
    json_t *answer;

    teach(STANDIN_HELD);
    teach(STANDIN_WHOLE);
    start();
    json_decref(probe("openrouter", DEADLINE_MS));
    answer = probe("openrouter", LONG_MS);
    expect(answer, "ok", "");
    json_decref(answer);
    finish();
}
END_TEST

/* ---- bodies ---- */

START_TEST(a_body_that_breaks_off_is_unreadable)
{
    json_t *answer;

    teach(STANDIN_BROKEN);
    start();
    answer = probe("openrouter", LONG_MS);
    expect(answer, "unavailable", "The provider returned an unreadable response.");
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "http_status")), 200);
    json_decref(answer);
    finish();
}
END_TEST

/* Bits into a deflate stream (RFC 1951), Huffman codes from their highest bit. */
struct bits {
    struct text *out;
    unsigned byte, count;
};

static void add_bits(struct bits *bits, unsigned code, unsigned count)
{
    while (count-- > 0) {
        bits->byte |= ((code >> count) & 1) << bits->count;
        if (++bits->count == 8) {
            text_add(bits->out, &(char){(char)bits->byte}, 1);
            bits->byte = bits->count = 0;
        }
    }
}

/* A gzip member of zeros: one as it is, then copies of 258 each, thirteen bits a copy. */
static void make_bomb(struct text *bomb)
{
    struct bits bits = {.out = bomb};

    text_add(bomb, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
    add_bits(&bits, 1, 1);    /* the last block */
    add_bits(&bits, 2, 2);    /* with fixed codes: 01, lowest bit first */
    add_bits(&bits, 0x30, 8); /* a zero */
    for (size_t size = 1; size < BOMB_SIZE_MIN; size += 258) {
        add_bits(&bits, 0xc5, 8); /* a copy of 258 */
        add_bits(&bits, 0, 5);    /* of what is one back */
    }
    add_bits(&bits, 0, 7); /* the end of the block */
    add_bits(&bits, 0, 7);
    ck_assert(!bomb->failed);
}

START_TEST(a_compressed_bomb_is_cut_off_where_it_grows_too_large)
{
    struct text bomb = TEXT_EMPTY;
    json_t *headers = json_pack("{s:s, s:s}", "Content-Encoding", "gzip", "Content-Type", "application/json"), *answer;

    make_bomb(&bomb);
    ck_assert_uint_lt(bomb.size, 512 * 1024); /* a bomb indeed */
    teach_key(200, bomb.bytes, bomb.size, STANDIN_WHOLE, headers);
    start();
    answer = probe("openrouter", LONG_MS);
    expect(answer, "unavailable", "The provider returned an oversized response.");
    json_decref(answer);
    json_decref(headers);
    text_fini(&bomb);
    finish();
}
END_TEST

START_TEST(endless_headers_are_cut_off)
{
    json_t *headers = json_object(), *answer;
    char value[1024] = "";

    memset(value, 'v', sizeof value - 1);
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof name, "X-Fill-%d", i);
        json_object_set_new(headers, name, json_string(value));
    }
    teach_key(200, key_body, strlen(key_body), STANDIN_WHOLE, headers);
    start();
    answer = probe("openrouter", LONG_MS);
    expect(answer, "unavailable", "The provider returned an oversized response.");
    json_decref(answer);
    json_decref(headers);
    finish();
}
END_TEST

START_TEST(an_echoed_credential_is_not_shown)
{
    static const char body[] = "{\"plan_type\":\"opaque-test-token-0123456789\",\"rate_limit\":{\"primary_window\":"
                               "{\"used_percent\":1}}}";
    json_t *answer;

    put(home, "auth.json",
        "{\"providers\":{\"openai-codex\":{\"tokens\":{\"access_token\":\"opaque-test-token-0123456789\"}}}}");
    standin_teach(standin, &(struct standin_exchange){.host = "chatgpt.com",
                                                      .path = "/backend-api/wham/usage",
                                                      .status = 200,
                                                      .body = body,
                                                      .body_size = strlen(body)});
    start();
    answer = probe("openai-codex", LONG_MS);
    expect(answer, "unavailable", "The provider returned an unreadable response.");
    ck_assert(json_is_null(json_object_get(answer, "plan")));
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "windows")), 0);
    json_decref(answer);
    finish();
}
END_TEST

/* ---- pages ---- */

/* A page of costs, and which one is next (""; none), at the clock of the test's worker. */
static void teach_costs(const char *token, const char *next, int status)
{
    struct tm month = {0};
    time_t now = (time_t)(clock_wall_ms() / 1000);
    char path[256], body[256];
    size_t size;

    gmtime_r(&now, &month);
    month = (struct tm){.tm_year = month.tm_year, .tm_mon = month.tm_mon, .tm_mday = 1};
    snprintf(path, sizeof path, "/v1/organization/costs?start_time=%lld&bucket_width=1d&limit=31%s%s",
             (long long)timegm(&month), token[0] == '\0' ? "" : "&page=", token);
    size = (size_t)snprintf(body, sizeof body,
                            "{\"data\":[{\"results\":[{\"amount\":{\"value\":1.25,\"currency\":\"usd\"}}]}],"
                            "\"has_more\":%s,\"next_page\":\"%s\"}",
                            next[0] == '\0' ? "false" : "true", next);
    standin_teach(standin,
                  &(struct standin_exchange){
                      .host = "api.openai.com", .path = path, .status = status, .body = body, .body_size = size});
}

static json_t *probe_costs(void)
{
    put(home, ".env", "OPENAI_ADMIN_KEY=sk-admin-test-key\n");
    start();
    return probe("openai", LONG_MS);
}

START_TEST(a_sum_without_one_of_its_pages_is_not_told)
{
    json_t *answer;

    teach_costs("", "p2", 200);
    teach_costs("p2", "p3", 503);
    answer = probe_costs();
    expect(answer, "unavailable", "The provider is temporarily unavailable (HTTP 503).");
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "details")), 0);
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_sum_of_more_than_four_pages_is_told_as_a_part)
{
    json_t *answer;

    teach_costs("", "p2", 200);
    teach_costs("p2", "p3", 200);
    teach_costs("p3", "p4", 200);
    teach_costs("p4", "p5", 200);
    answer = probe_costs();
    expect(answer, "ok", "");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(answer, "details"), 0)),
                     "Spend this month: at least $5.00");
    ck_assert_uint_eq(standin_request_count(standin), 4);
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_pages_token_that_is_none_is_not_sent)
{
    json_t *answer;

    teach_costs("", "p2&x=1", 200);
    answer = probe_costs();
    expect(answer, "ok", "");
    ck_assert_uint_eq(standin_request_count(standin), 1);
    json_decref(answer);
    finish();
}
END_TEST

/* ---- warm ---- */

START_TEST(a_second_probe_opens_no_second_connection)
{
    standin_set_tireless(standin);
    teach(STANDIN_WHOLE);
    start();
    for (size_t i = 1; i <= 5; i++) {
        json_t *answer = probe("openrouter", LONG_MS);

        expect(answer, "ok", "");
        ck_assert_int_eq(json_integer_value(json_object_get(answer, "min_interval_s")), 60);
        json_decref(answer);
        ck_assert_uint_eq(standin_request_count(standin), i);
        ck_assert_uint_eq(standin_connection_count(standin), 1);
    }
    finish();
}
END_TEST

START_TEST(a_connection_that_the_provider_closed_is_made_again)
{
    json_t *headers = json_pack("{s:s}", "Connection", "close");

    standin_set_tireless(standin);
    teach_key(200, key_body, strlen(key_body), STANDIN_WHOLE, headers);
    start();
    for (size_t i = 1; i <= 3; i++) {
        json_t *answer = probe("openrouter", LONG_MS);

        expect(answer, "ok", "");
        json_decref(answer);
        ck_assert_uint_eq(standin_connection_count(standin), i);
    }
    json_decref(headers);
    finish();
}
END_TEST

/* A socket that listens on 127.0.0.1; *port_out is the system's choice. */
static int listen_somewhere(unsigned *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

/* The stand-in speaks HTTP/1.1 alone: what is offered stands in the first bytes of the handshake (RFC 7301). */
static void expect_offer(const char *provider, bool offered)
{
    static const char offer[] = "\x02h2\x08http/1.1";
    char hello[4096], catch_all[64];
    unsigned port;
    int listen_fd = listen_somewhere(&port), fd;
    ssize_t size;
    json_t *answer;

    snprintf(catch_all, sizeof catch_all, "::127.0.0.1:%u", port);
    asker_start(&asker, home, (const char *const[]){"--connect-to", catch_all, NULL}, (const char *const[]){NULL});
    write_request(provider, LONG_MS);
    fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    size = recv(fd, hello, sizeof hello, 0);
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(memmem(hello, (size_t)size, offer, sizeof offer - 1) != NULL, offered);
    close(fd);
    close(listen_fd);
    answer = read_answer();
    expect(answer, "unavailable", "The provider could not be reached.");
    json_decref(answer);
    finish();
    asker_fini(&asker);
    asker = (struct asker){.in_fd = -1};
}

START_TEST(http_2_is_offered_where_it_would_not_remember_a_key)
{
    put(home, ".env", "OPENROUTER_API_KEY=sk-or-test-key\nELEVENLABS_API_KEY=xi-test-key\n");
    expect_offer("openrouter", true);
    expect_offer("elevenlabs", false);
}
END_TEST

/* ---- sign-ins ---- */

/* What is said to the holder of this token. */
static void teach_codex(const char *host, const char *path, const char *token, int status,
                        enum standin_delivery delivery)
{
    static const char body[] = "{\"plan_type\":\"plus\",\"rate_limit\":{\"primary_window\":{\"used_percent\":1}}}";
    json_t *headers = bearer(token);

    standin_teach(standin, &(struct standin_exchange){.host = host,
                                                      .path = path,
                                                      .request_headers = headers,
                                                      .status = status,
                                                      .body = body,
                                                      .body_size = strlen(body),
                                                      .delivery = delivery});
    json_decref(headers);
}

static void put_codex(const char *token)
{
    char text[512];

    snprintf(text, sizeof text, "{\"providers\":{\"openai-codex\":{\"tokens\":{\"access_token\":\"%s\"}}}}", token);
    put(home, "auth.json", text);
}

START_TEST(a_sign_in_replaced_meanwhile_is_tried_once)
{
    json_t *answer;

    put_codex("opaque-old");
    teach_codex("chatgpt.com", "/backend-api/wham/usage", "opaque-old", 401, STANDIN_HELD);
    teach_codex("chatgpt.com", "/backend-api/wham/usage", "opaque-new", 200, STANDIN_WHOLE);
    start();
    write_request("openai-codex", LONG_MS);
    standin_wait_requests(standin, 1);
    put_codex("opaque-new");
    standin_release(standin);
    answer = read_answer();
    expect(answer, "ok", "");
    json_decref(answer);
    ck_assert_uint_eq(standin_request_count(standin), 2);
    finish();
}
END_TEST

START_TEST(a_replaced_sign_in_that_is_refused_too_is_the_end)
{
    json_t *answer;

    put_codex("opaque-old");
    teach_codex("chatgpt.com", "/backend-api/wham/usage", "opaque-old", 401, STANDIN_HELD);
    teach_codex("chatgpt.com", "/backend-api/wham/usage", "opaque-new", 401, STANDIN_HELD);
    start();
    write_request("openai-codex", LONG_MS);
    standin_wait_requests(standin, 1);
    put_codex("opaque-new");
    standin_release(standin);
    standin_wait_requests(standin, 2);
    put_codex("opaque-newest");
    standin_release(standin);
    answer = read_answer();
    expect(answer, "invalid_key",
           "The provider rejected the stored sign-in (HTTP 401); sign in again with the owning tool.");
    json_decref(answer);
    ck_assert_uint_eq(standin_request_count(standin), 2);
    ck_assert_str_eq(standin_unexpected(standin), "");
    finish();
}
END_TEST

START_TEST(the_homes_own_sign_in_goes_to_the_homes_own_gateway)
{
    json_t *answer;

    put_codex("opaque-own");
    teach_codex("gw.example.test", "/team/api/codex/usage", "opaque-own", 200, STANDIN_WHOLE);
    start_with("yes", "HERMES_CODEX_BASE_URL=https://gw.example.test/team/codex/");
    answer = probe("openai-codex", LONG_MS);
    expect(answer, "ok", "");
    json_decref(answer);
    finish();
}
END_TEST

/* A listener on this machine that speaks no TLS. */
static int listen_in_the_clear(unsigned *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

/* Answers one request there. */
static void answer_in_the_clear(int listener, const char *body)
{
    char bytes[4096];
    int fd = accept(listener, NULL, NULL), size;

    ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
    size = snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    ck_assert_int_eq(send(fd, bytes, (size_t)size, MSG_NOSIGNAL), size);
    close(fd);
}

/* What goes there in the clear stays on this machine, whatever proxy leads elsewhere. */
START_TEST(a_gateway_on_this_machine_is_asked_by_no_proxy)
{
    unsigned gateway_port, proxy_port;
    int gateway = listen_in_the_clear(&gateway_port), proxy = listen_in_the_clear(&proxy_port);
    struct pollfd arrivals[] = {{gateway, POLLIN, 0}, {proxy, POLLIN, 0}};
    char dotenv[256];
    json_t *answer;

    snprintf(dotenv, sizeof dotenv, "LITELLM_API_KEY=sk-litellm-key\nLITELLM_BASE_URL=http://127.0.0.1:%u\n",
             gateway_port);
    put(home, ".env", dotenv);
    snprintf(dotenv, sizeof dotenv, "http_proxy=http://127.0.0.1:%u", proxy_port);
    asker_start(&asker, home, (const char *const[]){NULL}, (const char *const[]){dotenv, NULL});
    write_request("litellm", LONG_MS);
    ck_assert_int_gt(poll(arrivals, 2, PATIENCE_MS), 0);
    ck_assert_msg(arrivals[1].revents == 0, "the key went to a proxy");
    answer_in_the_clear(gateway, "{\"info\":{\"spend\":1.5}}");
    answer = read_answer();
    expect(answer, "ok", "");
    json_decref(answer);
    finish();
    close(gateway);
    close(proxy);
}
END_TEST

START_TEST(another_tools_sign_in_goes_to_no_gateway)
{
    char directory[SCRATCH_PATH_SIZE + 32];
    json_t *answer;

    snprintf(directory, sizeof directory, "%s/.codex", user_home);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    put(directory, "auth.json", "{\"tokens\":{\"access_token\":\"opaque-foreign\"}}");
    teach_codex("gw.example.test", "/api/codex/usage", "opaque-foreign", 200, STANDIN_WHOLE);
    start_with("yes", "HERMES_CODEX_BASE_URL=https://gw.example.test");
    answer = probe("openai-codex", LONG_MS);
    expect(answer, "unavailable", "The configured base URL is not allowed for this credential.");
    json_decref(answer);
    ck_assert_uint_eq(standin_connection_count(standin), 0);
    finish();
}
END_TEST

START_TEST(a_sign_in_names_its_workspace_and_region)
{
    /* {"https://api.openai.com/auth":{"chatgpt_account_id":"acct-t","chatgpt_data_residency":"eu",
     *  "chatgpt_account_is_fedramp":true}} */
    static const char token[] =
        "eyJhbGciOiJub25lIn0."
        "eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoiYWNjdC10IiwiY2hhdGdwdF9kYXRhX3Jlc2lkZW"
        "5jeSI6ImV1IiwiY2hhdGdwdF9hY2NvdW50X2lzX2ZlZHJhbXAiOnRydWV9fQ.x";
    static const char body[] = "{\"plan_type\":\"plus\",\"rate_limit\":{\"primary_window\":{\"used_percent\":1}}}";
    json_t *headers = bearer(token), *answer;

    json_object_set_new(headers, "ChatGPT-Account-Id", json_string("acct-t"));
    json_object_set_new(headers, "x-openai-internal-codex-residency", json_string("eu"));
    json_object_set_new(headers, "X-OpenAI-Fedramp", json_string("true"));
    put_codex(token);
    standin_teach(standin, &(struct standin_exchange){.host = "chatgpt.com",
                                                      .path = "/backend-api/wham/usage",
                                                      .request_headers = headers,
                                                      .status = 200,
                                                      .body = body,
                                                      .body_size = strlen(body)});
    start();
    answer = probe("openai-codex", LONG_MS);
    expect(answer, "ok", "");
    json_decref(answer);
    json_decref(headers);
    finish();
}
END_TEST

START_TEST(a_pool_entry_goes_to_its_own_gateway_or_the_provider_and_to_no_other)
{
    static const struct {
        const char *entry, *key, *host, *path;
    } entries[] = {
        {"{\"access_token\":\"sk-or-gw\",\"base_url\":\"https://gw.example.test/v1/\"}", "sk-or-gw", "gw.example.test",
         "/v1/key"},
        {"{\"access_token\":\"sk-or-direct\",\"base_url\":null}", "sk-or-direct", "openrouter.ai", "/api/v1/key"},
    };

    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        json_t *headers = bearer(entries[i].key);

        standin_teach(standin, &(struct standin_exchange){.host = entries[i].host,
                                                          .path = entries[i].path,
                                                          .request_headers = headers,
                                                          .status = 200,
                                                          .body = key_body,
                                                          .body_size = strlen(key_body)});
        json_decref(headers);
    }
    start_with("no", "OPENROUTER_BASE_URL=https://other.example.test");
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        char text[256];
        json_t *answer;

        snprintf(text, sizeof text, "{\"credential_pool\":{\"openrouter\":[%s]}}", entries[i].entry);
        put(home, "auth.json", text);
        answer = probe("openrouter", LONG_MS);
        expect(answer, "ok", "");
        json_decref(answer);
    }
    finish();
}
END_TEST

/* ---- the dialogue ---- */

/* The next answer, and that it is this text. */
static void expect_line(const char *expected)
{
    size_t size;
    const char *line = asker_read(&asker, &size);

    ck_assert_msg(size == strlen(expected) + 1 && memcmp(line, expected, size - 1) == 0, "answered: %.*s", (int)size,
                  line);
}

START_TEST(a_line_that_is_no_request_is_answered_with_null_and_the_next_is_fine)
{
    static const char *const lines[] = {"garbage", "[]", "{}", "{\"provider\":\"Open Router\"}", "\xff\xfe", "17"};
    json_t *answer;

    start();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        asker_write(&asker, lines[i]);
        expect_line("null");
    }
    asker_write(&asker, "");
    asker_write(&asker, " \t\r");
    answer = probe("groq", LONG_MS); /* blank lines are no requests */
    expect(answer, "unsupported", "This provider has no usage endpoint for this kind of credential.");
    json_decref(answer);
    finish();
    ck_assert_uint_eq(asker.read_size, asker.out.size);
}
END_TEST

START_TEST(another_name_of_a_vendor_is_answered_under_that_name)
{
    json_t *answer;

    put(home, "auth.json", "{\"credential_pool\":{\"mistral\":[{\"access_token\":\"opaque\"}]}}");
    start();
    answer = probe("x-ai", LONG_MS);
    expect(answer, "no_key", "No credential is configured for this provider.");
    ck_assert_str_eq(text_of(answer, "provider"), "x-ai");
    ck_assert_str_eq(text_of(answer, "source"), "management_api");
    json_decref(answer);
    answer = probe("mistralai", LONG_MS);
    expect(answer, "ok", "");
    ck_assert_str_eq(text_of(answer, "provider"), "mistralai");
    ck_assert_str_eq(text_of(answer, "source"), "local_pool");
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(the_id_comes_back_whatever_it_is)
{
    static const char *const ids[] = {"7",  "-1", "\"text \\u20ac\"", "null", "[1,{\"a\":true}]", "9007199254740993",
                                      "1.5"};

    start();
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char line[128];
        json_t *answer, *id = json_loads(ids[i], JSON_DECODE_ANY, NULL);

        snprintf(line, sizeof line, "{\"id\":%s,\"provider\":\"groq\"}", ids[i]);
        asker_write(&asker, line);
        answer = read_answer();
        ck_assert_msg(json_equal(json_object_get(answer, "id"), id), "%s", ids[i]);
        json_decref(answer);
        json_decref(id);
    }
    finish();
}
END_TEST

START_TEST(a_line_of_the_older_protocol_is_answered_without_an_id)
{
    json_t *answer;

    start();
    asker_write(&asker, "{\"provider\":\"openrouter\",\"api_key\":null,\"env_var\":\"OPENROUTER_API_KEY\"}");
    answer = read_answer();
    expect(answer, "no_key", "No credential is configured for this provider.");
    ck_assert_str_eq(text_of(answer, "provider"), "openrouter");
    ck_assert_ptr_null(json_object_get(answer, "id"));
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_key_with_a_line_end_is_not_sent)
{
    json_t *answer;

    teach(STANDIN_WHOLE);
    start();
    asker_write(&asker, "{\"id\":1,\"provider\":\"openrouter\",\"api_key\":\"sk-or\\r\\nX-Injected: yes\"}");
    answer = read_answer();
    ck_assert_str_eq(text_of(answer, "status"), "invalid_key");
    json_decref(answer);
    ck_assert_uint_eq(standin_connection_count(standin), 0);
    finish();
}
END_TEST

START_TEST(end_of_file_during_a_probe_lets_it_finish)
{
    json_t *answer;

    teach(STANDIN_HELD);
    start();
    write_request("openrouter", LONG_MS);
    standin_wait_requests(standin, 1);
    asker_end_input(&asker);
    standin_release(standin);
    answer = read_answer();
    expect(answer, "ok", "");
    json_decref(answer);
    finish();
}
END_TEST

START_TEST(a_worker_whose_answers_nobody_reads_ends_at_once)
{
    teach(STANDIN_HELD);
    start();
    write_request("openrouter", LONG_MS);
    standin_wait_requests(standin, 1);
    asker_turn_away(&asker);
    while (asker.err_fd >= 0) { /* its end: while its input is still open, and an hour before its deadline */
        char byte;

        if (read(asker.err_fd, &byte, 1) <= 0)
            break;
    }
    finish();
}
END_TEST

/* ---- secrets ---- */

/* Whether the text stands anywhere in the memory of the process that it may write to. */
static bool memory_holds(int memory_fd, const char *text)
{
    char maps_path[64], line[512];
    bool found = false;
    FILE *maps;

    snprintf(maps_path, sizeof maps_path, "/proc/%d/maps", (int)asker.pid);
    maps = fopen(maps_path, "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL && !found) {
        unsigned long first, end;
        char rights[8], *bytes;
        ssize_t size;

        if (sscanf(line, "%lx-%lx %7s", &first, &end, rights) != 3 || strncmp(rights, "rw", 2) != 0 ||
            end - first > MAPPING_SIZE_MAX)
            continue;
        bytes = malloc(end - first);
        ck_assert_ptr_nonnull(bytes);
        size = pread(memory_fd, bytes, end - first, (off_t)first);
        found = size > 0 && memmem(bytes, (size_t)size, text, strlen(text)) != NULL;
        free(bytes);
    }
    fclose(maps);
    return found;
}

START_TEST(no_copy_of_a_key_outlives_its_answer)
{
    static const char dotenv_key[] = "sk-or-test-key", request_key[] = "sk-or-request-key-0123456789";
    char line[128], memory_path[64];
    int memory_fd;

    standin_set_tireless(standin);
    teach(STANDIN_WHOLE);
    start();
    json_decref(probe("openrouter", LONG_MS));
    snprintf(line, sizeof line, "{\"provider\":\"openrouter\",\"api_key\":\"%s\"}", request_key);
    asker_write(&asker, line);
    json_decref(read_answer());
    ck_assert_uint_eq(standin_request_count(standin), 2);
    snprintf(memory_path, sizeof memory_path, "/proc/%d/mem", (int)asker.pid);
    memory_fd = open(memory_path, O_RDONLY | O_CLOEXEC);
    if (geteuid() != 0) {
        ck_assert_msg(memory_fd < 0, "the worker lets others look into its memory");
    } else {
        ck_assert(memory_holds(memory_fd, "openrouter")); /* it can be found */
        ck_assert(!memory_holds(memory_fd, dotenv_key));
        ck_assert(!memory_holds(memory_fd, request_key));
        close(memory_fd);
    }
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker");
    TCase *in_time = add_case(suite, "in time"), *bodies = add_case(suite, "bodies"), *warm = add_case(suite, "warm"),
          *sign_ins = add_case(suite, "sign-ins"), *dialogue = add_case(suite, "dialogue"),
          *secrets = add_case(suite, "secrets");

    tcase_add_test(in_time, a_provider_that_never_answers_costs_the_deadline_and_no_more);
    tcase_add_test(in_time, a_dripping_body_does_not_stretch_the_deadline);
    tcase_add_test(in_time, a_stalled_tls_handshake_does_not_stretch_the_deadline);
    tcase_add_test(in_time, a_refused_connection_is_told_at_once);
    tcase_add_test(in_time, a_certificate_of_another_authority_is_refused);
    tcase_add_test(in_time, a_certificate_of_another_host_is_refused);
    tcase_add_test(in_time, a_worker_goes_on_after_a_deadline);
    tcase_add_test(bodies, a_body_that_breaks_off_is_unreadable);
    tcase_add_test(bodies, a_compressed_bomb_is_cut_off_where_it_grows_too_large);
    tcase_add_test(bodies, endless_headers_are_cut_off);
    tcase_add_test(bodies, an_echoed_credential_is_not_shown);
    tcase_add_test(bodies, a_sum_without_one_of_its_pages_is_not_told);
    tcase_add_test(bodies, a_sum_of_more_than_four_pages_is_told_as_a_part);
    tcase_add_test(bodies, a_pages_token_that_is_none_is_not_sent);
    tcase_add_test(warm, a_second_probe_opens_no_second_connection);
    tcase_add_test(warm, a_connection_that_the_provider_closed_is_made_again);
    tcase_add_test(warm, http_2_is_offered_where_it_would_not_remember_a_key);
    tcase_add_test(sign_ins, a_sign_in_replaced_meanwhile_is_tried_once);
    tcase_add_test(sign_ins, a_replaced_sign_in_that_is_refused_too_is_the_end);
    tcase_add_test(sign_ins, the_homes_own_sign_in_goes_to_the_homes_own_gateway);
    tcase_add_test(sign_ins, a_gateway_on_this_machine_is_asked_by_no_proxy);
    tcase_add_test(sign_ins, another_tools_sign_in_goes_to_no_gateway);
    tcase_add_test(dialogue, a_line_that_is_no_request_is_answered_with_null_and_the_next_is_fine);
    tcase_add_test(dialogue, another_name_of_a_vendor_is_answered_under_that_name);
    tcase_add_test(dialogue, the_id_comes_back_whatever_it_is);
    tcase_add_test(dialogue, a_line_of_the_older_protocol_is_answered_without_an_id);
    tcase_add_test(dialogue, a_key_with_a_line_end_is_not_sent);
    tcase_add_test(dialogue, end_of_file_during_a_probe_lets_it_finish);
    tcase_add_test(dialogue, a_worker_whose_answers_nobody_reads_ends_at_once);
    tcase_add_test(sign_ins, a_sign_in_names_its_workspace_and_region);
    tcase_add_test(sign_ins, a_pool_entry_goes_to_its_own_gateway_or_the_provider_and_to_no_other);
    tcase_add_test(secrets, no_copy_of_a_key_outlives_its_answer);
    return check_main(suite);
}
