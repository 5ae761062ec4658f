/* The doorman: who has connected by TCP and is no peer yet. */
#include "server/tls/doorman.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"

#include "server/base/clock.h"

#include <arpa/inet.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FEW = 4, BURST = 3 };

static nng_socket server;
static int port;

static void must(int error)
{
    ck_assert_msg(error == 0, "nng: %s", nng_strerror(error));
}

static void peer_comes(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    (void)event;
    (void)context;
    doorman_lets_in(pipe);
}

static void open_with(uint64_t visit_ns_max, size_t visitor_count_max)
{
    const struct doorman_settings settings = {
        .visit_ns_max = visit_ns_max, .visitor_count_max = visitor_count_max, .visit_burst = BURST, .visits_per_s = 1};
    nng_listener listener;
    struct status status;

    must(nng_rep0_open(&server));
    must(nng_pipe_notify(server, NNG_PIPE_EV_ADD_PRE, peer_comes, NULL));
    status = doorman_start(&settings);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    must(nng_listen(server, "tcp://127.0.0.1:0", &listener, 0));
    must(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port));
}

static void set_up_short(void)
{
    open_with(100 * NS_PER_MS, 0);
}

static void set_up_long(void)
{
    open_with(3600 * NS_PER_S, FEW);
}

static void tear_down(void)
{
    nng_close(server);
    doorman_stop();
    nng_fini();
}

/* From an address of this machine, in network order. */
static int stranger_from(in_addr_t from)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = from}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int stranger(void)
{
    return stranger_from(htonl(INADDR_LOOPBACK));
}

/* Reads nng's greeting, until the other end closes or `ms` have passed; whether it did. */
static bool is_shown_out(int fd, int ms)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    char bytes[64];

    while (poll(&waiting, 1, ms) > 0) {
        if (read(fd, bytes, sizeof bytes) <= 0)
            return true;
    }
    return false;
}

static void wait_visitors(uint64_t count)
{
    struct doorman_counts counts;
    uint64_t tries = PATIENCE_MS;

    while (doorman_look(&counts), counts.visitors != count) {
        ck_assert_msg(tries-- > 0, "%llu visitors instead of %llu", (unsigned long long)counts.visitors,
                      (unsigned long long)count);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static uint64_t shown_out(void)
{
    struct doorman_counts counts;

    doorman_look(&counts);
    return counts.shown_out;
}

START_TEST(who_says_nothing_is_shown_out)
{
    int fd = stranger();

    ck_assert(is_shown_out(fd, PATIENCE_MS));
    ck_assert_uint_eq(shown_out(), 1);
    wait_visitors(0);
    close(fd);
}
END_TEST

/* nng's own ten seconds begin again with every byte. */
START_TEST(who_says_little_is_shown_out_as_soon)
{
    static const char greeting[] = "\0SP\0\0\x30\0";
    int fd = stranger();
    size_t sent = 0;

    while (sent < 7 && !is_shown_out(fd, 50))
        sent += send(fd, greeting + sent, 1, MSG_NOSIGNAL) == 1;
    ck_assert(sent < 7 || is_shown_out(fd, 5000));
    ck_assert_uint_eq(shown_out(), 1);
    close(fd);
}
END_TEST

START_TEST(who_became_a_peer_stays)
{
    nng_socket peer;
    nng_msg *message;
    char url[64];
    int fd;

    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", port);
    must(nng_req0_open(&peer));
    must(nng_socket_set_ms(peer, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE));
    must(nng_socket_set_ms(peer, NNG_OPT_RECVTIMEO, PATIENCE_MS));
    must(nng_dial(peer, url, NULL, 0));
    wait_visitors(0);
    fd = stranger(); /* who came later has gone: the peer's time would be over as well */
    ck_assert(is_shown_out(fd, PATIENCE_MS));
    must(nng_msg_alloc(&message, 4));
    must(nng_sendmsg(peer, message, 0));
    must(nng_recvmsg(server, &message, 0));
    must(nng_sendmsg(server, message, 0));
    must(nng_recvmsg(peer, &message, 0));
    nng_msg_free(message);
    ck_assert_uint_eq(shown_out(), 1);
    close(fd);
    nng_close(peer);
}
END_TEST

START_TEST(of_too_many_the_one_that_came_first_goes)
{
    int fds[FEW + 3];

    for (size_t i = 0; i < FEW + 3; i++) {
        fds[i] = stranger();
        wait_visitors(i < FEW ? i + 1 : FEW);
        while (shown_out() < (i < FEW ? 0 : i + 1 - FEW))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    for (size_t i = 0; i < FEW + 3; i++) {
        if (i < 3)
            ck_assert(is_shown_out(fds[i], PATIENCE_MS));
        else
            ck_assert(!is_shown_out(fds[i], 20));
        close(fds[i]);
    }
}
END_TEST

START_TEST(who_comes_by_a_unix_socket_is_no_visitor)
{
    char directory[] = "/tmp/test_doorman.XXXXXX", url[64], path[48];
    struct doorman_counts counts;
    nng_socket peer;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(url, sizeof url, "ipc://%s", path);
    must(nng_listen(server, url, NULL, 0));
    must(nng_req0_open(&peer));
    must(nng_dial(peer, url, NULL, 0));
    doorman_look(&counts);
    ck_assert_uint_eq(counts.visitors, 0);
    nng_close(peer);
    nng_close(server);
    unlink(path);
    rmdir(directory);
    must(nng_rep0_open(&server));
}
END_TEST

/* Of a port that is paced: a burst, and then one a second from each address. */
START_TEST(who_comes_too_often_is_turned_away)
{
    struct doorman_counts counts;
    size_t stayed_count = 0;
    int fds[2 * BURST];

    doorman_paces((uint16_t)port);
    for (size_t i = 0; i < 2 * BURST; i++)
        fds[i] = stranger_from(htonl(INADDR_LOOPBACK + 1));
    for (size_t i = 0; i < 2 * BURST; i++) {
        stayed_count += !is_shown_out(fds[i], 20);
        close(fds[i]);
    }
    doorman_look(&counts);
    ck_assert_uint_ge(stayed_count, BURST);
    ck_assert_uint_eq(counts.turned_away, 2 * BURST - stayed_count);
    ck_assert_uint_ge(counts.turned_away, 1);
    stayed_count = 0;
    for (size_t i = 0; i < BURST; i++) { /* a third address has a burst of its own */
        fds[i] = stranger_from(htonl(INADDR_LOOPBACK + 2));
        stayed_count += !is_shown_out(fds[i], 20);
        close(fds[i]);
    }
    ck_assert_uint_eq(stayed_count, BURST);
    for (size_t i = 0; i < 2 * BURST; i++) { /* who comes from where they come to is here, and is let be */
        fds[i] = stranger();
        ck_assert(!is_shown_out(fds[i], 20));
        close(fds[i]);
    }
}
END_TEST

START_TEST(nothing_is_left_of_who_has_gone)
{
    size_t before = process_fd_count(getpid());

    for (size_t i = 0; i < 50; i++)
        close(stranger());
    process_wait_fd_count(getpid(), before);
    wait_visitors(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("doorman");
    TCase *hurried = tcase_create("a short visit"), *patient = tcase_create("few visitors");

    tcase_add_checked_fixture(hurried, set_up_short, tear_down);
    tcase_set_timeout(hurried, patience_test_s());
    tcase_add_test(hurried, who_says_nothing_is_shown_out);
    tcase_add_test(hurried, who_says_little_is_shown_out_as_soon);
    tcase_add_test(hurried, who_became_a_peer_stays);
    tcase_add_test(hurried, who_comes_by_a_unix_socket_is_no_visitor);
    tcase_add_test(hurried, nothing_is_left_of_who_has_gone);
    suite_add_tcase(suite, hurried);
    tcase_add_checked_fixture(patient, set_up_long, tear_down);
    tcase_set_timeout(patient, patience_test_s());
    tcase_add_test(patient, who_comes_too_often_is_turned_away);
    tcase_add_test(patient, of_too_many_the_one_that_came_first_goes);
    suite_add_tcase(suite, patient);
    return check_main(suite);
}
