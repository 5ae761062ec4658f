/* proto/nng_shim.c: the four defects of nng 1.5.2 (proto/nng_shim.c names them), each shown to be gone.
 *
 * unit.shim_absent shows the first of them without the shim, so that this suite is known to be able to fail. */
#include "proto/nng_shim.h"
#include "server/base/clock.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"
#include "tests/support/raw.h"
#include "tests/support/scratch.h"
#include "tests/unit/echo_server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_FLIGHT = 64, REQUEST_SIZE = 3000 };

static struct scratch scratch;
static char url[SCRATCH_PATH_SIZE + 32];
static struct echo_server server;

static void open_scratch(void)
{
    scratch_open(&scratch);
    snprintf(url, sizeof url, "ipc://%s/echo.sock", scratch.path);
}

/* nng_fini does not wait for connections that were being greeted when their socket was closed: nothing tells when those
 * are gone, but it takes them no time. */
enum { SETTLE_MS = 50 };

static void close_scratch(void)
{
    nng_msleep(SETTLE_MS);
    nng_fini();
    scratch_close(&scratch);
}

typedef size_t counter(void);

static void wait_at_least(counter *count, size_t low)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    while (count() < low && clock_now_ns() < due_ns)
        usleep(500);
    ck_assert_uint_ge(count(), low);
}

/* An empty RpcResponse comes back for an empty message. */
static void newcomer_is_answered(void)
{
    ck_assert_int_eq(raw_call(url, "", 0), 0);
}

/* The body of a client that sends all it can, reads all it gets, and is always killed in the middle. */
static void talk(void)
{
    static const unsigned char request[REQUEST_SIZE];
    char bytes[4096];
    uint32_t id = 0;
    int fd = -1;

    for (;;) {
        bool up = fd >= 0;

        if (!up) {
            fd = raw_connect(url);
            up = fd >= 0 && raw_greet(fd, RAW_REQ);
            for (size_t i = 0; i < IN_FLIGHT && up; i++)
                up = raw_send(fd, id++, request, sizeof request);
        }
        up = up && read(fd, bytes, sizeof bytes) > 0 && raw_send(fd, id++, request, sizeof request);
        if (!up && fd >= 0) {
            close(fd);
            fd = -1;
        }
    }
}

static pid_t talker_start(void)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        talk();
    }
    return child;
}

static void talker_kill(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(nng_reaches_the_shim)
{
    ck_assert(nng_shim_active());
}
END_TEST

static size_t task_thread_count(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    size_t count = 0;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[320], name[16] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file != NULL) {
            count += fgets(name, sizeof name, file) != NULL && strcmp(name, "nng:task\n") == 0;
            fclose(file);
        }
    }
    closedir(folder);
    return count;
}

/* The machine has more than it is told of here wherever this can fail. */
START_TEST(nng_starts_as_many_threads_as_on_one_cpu_when_told)
{
    long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);

    ck_assert_int_ge(cpu_count, 1);
    nng_shim_one_cpu(true);
    if (!SANITIZED)
        ck_assert_int_eq(sysconf(_SC_NPROCESSORS_ONLN), 1);
    ck_assert_int_gt(sysconf(_SC_PAGESIZE), 1);
    echo_server_open(&server, url);
    nng_shim_one_cpu(false);
    ck_assert_int_eq(sysconf(_SC_NPROCESSORS_ONLN), cpu_count);
    newcomer_is_answered();
    if (!SANITIZED)
        wait_at_least(task_thread_count, 2); /* a thread gives itself its name */
    if (!SANITIZED)
        ck_assert_uint_eq(task_thread_count(), 2);
    echo_server_close(&server);
}
END_TEST

START_TEST(a_lost_peer_reads_as_a_reset)
{
    struct iovec bytes = {.iov_base = (char[]){'x'}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert_int_eq(sendmsg(ends[0], &message, MSG_NOSIGNAL), 1);
    close(ends[1]);
    ck_assert_int_eq(sendmsg(ends[0], &message, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, strcmp(nng_version(), "1.5.2") == 0 ? ECONNRESET : EPIPE);
    close(ends[0]);
}
END_TEST

START_TEST(an_accepted_descriptor_is_never_inherited)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}; /* no path: the system names it */
    socklen_t size = sizeof address;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), near, far;

    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    far = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(far, (const struct sockaddr *)&address, size), 0);
    near = accept(listener, NULL, NULL);
    ck_assert_int_ge(near, 0);
    ck_assert_int_eq(fcntl(near, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(near);
    close(far);
    close(listener);
}
END_TEST

START_TEST(a_listener_hears_after_peers_that_hung_up_before_its_greeting)
{
    echo_server_open(&server, url);
    for (size_t i = 0; i < 5000; i++)
        close(raw_connect(url));
    newcomer_is_answered();
    echo_server_close(&server);
}
END_TEST

START_TEST(a_second_listener_on_the_path_does_not_deafen_the_first)
{
    nng_socket second;

    echo_server_open(&server, url);
    for (size_t i = 0; i < 20; i++) {
        ck_assert_int_eq(nng_rep0_open(&second), 0);
        ck_assert_int_eq(nng_listen(second, url, NULL, 0), NNG_EADDRINUSE);
        nng_close(second);
    }
    newcomer_is_answered();
    echo_server_close(&server);
}
END_TEST

START_TEST(every_connection_of_a_killed_client_is_noticed)
{
    size_t base;

    echo_server_open(&server, url);
    newcomer_is_answered();
    wait_at_least(echo_gone_count, 1);
    base = process_fd_count(getpid());
    for (size_t i = 0; i < patience_count(400); i++) {
        size_t before = echo_message_count();
        pid_t child = talker_start();

        wait_at_least(echo_message_count, before + IN_FLIGHT + i * 7);
        talker_kill(child);
        wait_at_least(echo_gone_count, i + 2);
    }
    ck_assert_uint_eq(echo_come_count(), echo_gone_count());
    newcomer_is_answered();
    wait_at_least(echo_gone_count, echo_come_count());
    for (uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
         process_fd_count(getpid()) > base && clock_now_ns() < due_ns;)
        usleep(500);
    ck_assert_uint_le(process_fd_count(getpid()), base);
    echo_server_close(&server);
}
END_TEST

START_TEST(a_socket_closes_with_messages_in_flight)
{
    pid_t child = talker_start();

    for (size_t i = 0; i < patience_count(400); i++) {
        size_t before = echo_message_count();

        echo_server_open(&server, url);
        wait_at_least(echo_message_count, before + 2 * IN_FLIGHT + i * 7);
        echo_server_close(&server);
    }
    talker_kill(child);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shim");
    TCase *tcase = tcase_create("shim");

    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_checked_fixture(tcase, open_scratch, close_scratch);
    tcase_add_test(tcase, nng_reaches_the_shim);
    tcase_add_test(tcase, nng_starts_as_many_threads_as_on_one_cpu_when_told);
    tcase_add_test(tcase, a_lost_peer_reads_as_a_reset);
    tcase_add_test(tcase, an_accepted_descriptor_is_never_inherited);
    tcase_add_test(tcase, a_listener_hears_after_peers_that_hung_up_before_its_greeting);
    tcase_add_test(tcase, a_second_listener_on_the_path_does_not_deafen_the_first);
    tcase_add_test(tcase, every_connection_of_a_killed_client_is_noticed);
    tcase_add_test(tcase, a_socket_closes_with_messages_in_flight);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
