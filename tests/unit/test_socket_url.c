/* server/base/socket_url: where we may listen, for the settings and for whoever opens the socket. */
#include "proto/limits.h"
#include "server/base/socket_url.h"
#include "tests/support/check_main.h"

#include <stdio.h>
#include <string.h>

static void expect(const char *url, const char *part)
{
    struct status status = socket_url_check(url);

    ck_assert_msg(status.code == (part == NULL ? STATUS_OK : STATUS_INVALID_ARGUMENT), "%s: %s", url, status.message);
    if (part != NULL)
        ck_assert_msg(strstr(status.message, part) != NULL, "\"%s\" is not in \"%s\"", part, status.message);
}

START_TEST(only_urls_we_can_listen_at_are_taken)
{
    static const char alone[] = "is refused: plain tcp is for this machine alone, tcp://127.0.0.1:PORT";
    static const char no_port[] = "needs a port from 1 to 65535";
    static const char no_path[] = "does not name a socket by an absolute path";
    static const char neither[] = "is neither ipc:///absolute/path, nor tcp://127.0.0.1:PORT, nor tls+tcp://";
    static const struct {
        const char *url, *part; /* of the refusal; NULL: taken */
    } cases[] = {
        {"ipc:///run/probed/rpc.sock", NULL},
        {"tcp://127.0.0.1:7411", NULL},
        {"tcp://127.0.0.1:65535", NULL},
        {"tls+tcp://dash@*:7701", NULL},
        {"tcp://127.0.0.1:0", no_port},
        {"tcp://127.0.0.1:65536", no_port},
        {"tcp://127.0.0.1:", no_port},
        {"tcp://127.0.0.1:80x", no_port},
        {"tcp://127.0.0.1:-1", no_port},
        {"tcp://127.0.0.2:7411", alone},
        {"tcp://0.0.0.0:7411", alone},
        {"tcp://localhost:7411", alone},
        {"tcp://[::1]:7411", alone},
        {"tcp://:7411", alone},
        {"tcp://127.0.0.1", alone},
        {"tls+tcp://127.0.0.1:7411", "tls+tcp://ROLE@ADDRESS:PORT"},
        {"tls+tcp://dash@*:0", "a port is a number from 1 to 65535"},
        {"inproc://x", neither},
        {"abstract://x", neither},
        {"/run/probed/rpc.sock", neither},
        {"", neither},
        {"ipc://", no_path},
        {"ipc:///", no_path},
        {"ipc://run/probed/rpc.sock", no_path},
        {"ipc:///run/probed/", no_path},
        {"ipc:///run/a\nb", "control character"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].url, cases[i].part);
}
END_TEST

START_TEST(a_socket_path_has_at_most_107_bytes)
{
    char url[sizeof "ipc://" + LIMIT_SOCKET_PATH_SIZE_MAX + 2] = "ipc:///";

    memset(url + strlen(url), 'x', LIMIT_SOCKET_PATH_SIZE_MAX - 1);
    expect(url, NULL);
    strcat(url, "x");
    expect(url, "108 bytes, at most 107");
}
END_TEST

/* However long it is, and wherever it is cut. */
START_TEST(a_refusal_has_room_for_its_reason)
{
    char url[4096];

    for (size_t i = 0; i < 2; i++) {
        size_t size = (size_t)snprintf(url, sizeof url, "tcp://%s", i == 0 ? "" : "x");

        while (size + 3 < sizeof url)
            size += (size_t)snprintf(url + size, sizeof url - size, "\xc3\xa9");
        expect(url, "tls+tcp://ROLE@ADDRESS:PORT");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socket_url");
    TCase *tcase = tcase_create("urls");

    tcase_add_test(tcase, only_urls_we_can_listen_at_are_taken);
    tcase_add_test(tcase, a_socket_path_has_at_most_107_bytes);
    tcase_add_test(tcase, a_refusal_has_room_for_its_reason);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
