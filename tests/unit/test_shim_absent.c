/* What the shim is for: this program is linked without it, and a listener of nng 1.5.2 goes deaf.  It is why unit.shim
 * can fail; on another nng it hears. */
#include "tests/support/check_main.h"
#include "tests/support/raw.h"
#include "tests/support/scratch.h"
#include "tests/unit/echo_server.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HANG_UP_COUNT = 500, ROUND_COUNT_MAX = 50, EAR_S = 2 };

/* Whether a newcomer is answered.  A deaf listener still greets, and never answers: waiting longer would change
 * nothing. */
static bool hears(const char *url)
{
    struct timeval limit = {.tv_sec = EAR_S};
    int fd = raw_connect(url);
    Probed__V1__RpcResponse *response = NULL;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    if (raw_greet(fd, RAW_REQ) && raw_send(fd, 1, "", 0))
        response = raw_receive(fd);
    close(fd);
    if (response != NULL)
        probed__v1__rpc_response__free_unpacked(response, NULL);
    return response != NULL;
}

START_TEST(without_the_shim_a_listener_goes_deaf)
{
    static struct echo_server server;
    bool is_concerned = strcmp(nng_version(), "1.5.2") == 0, is_deaf = false;
    struct scratch scratch;
    char url[SCRATCH_PATH_SIZE + 32];

    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/echo.sock", scratch.path);
    echo_server_open(&server, url);
    ck_assert(hears(url));
    for (size_t round = 0; round < ROUND_COUNT_MAX && !is_deaf; round++) {
        for (size_t i = 0; i < HANG_UP_COUNT; i++) /* each has a chance: it must come between accept and greeting */
            close(raw_connect(url));
        is_deaf = !hears(url);
    }
    ck_assert_int_eq(is_deaf, is_concerned);
    echo_server_close(&server);
    scratch_close(&scratch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shim_absent");
    TCase *tcase = tcase_create("shim_absent");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, without_the_shim_a_listener_goes_deaf);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
