/* server/homes/far_walk: a look taken by another process is the same look. */
#include "server/homes/far_walk.h"

#include "server/base/secret.h"
#include "tests/support/check_main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[64];
static struct walk_rules rules;
static int ends[2]; /* ours, theirs */
static pid_t server;

static _Noreturn void serve(void)
{
    signal(SIGCHLD, SIG_IGN); /* those that look reap themselves */
    while (far_walk_serve(ends[1], &rules))
        continue;
    _exit(0);
}

static void set_up(void)
{
    char folder[] = "/tmp/test_far_walk.XXXXXX";
    struct homes_settings settings = {.daemon_uid = geteuid() == 0 ? 0 : geteuid()};

    ck_assert_int_eq(secret_setup(), 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(realpath(folder, top));
    ck_assert_int_eq(walk_rules_init(&settings, &rules).code, STATUS_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server == 0) {
        close(ends[0]);
        serve();
    }
    close(ends[1]);
}

static void tear_down(void)
{
    close(ends[0]);
    ck_assert_int_eq(waitpid(server, NULL, 0), server); /* it ends with the socket */
    walk_rules_fini(&rules);
    rmdir(top);
}

/* Both looks, which have to agree; the far one's result. */
static struct walk_result look(const char *path, uint32_t uid)
{
    struct rights_groups *groups = rights_groups_look_up(uid);
    struct walk_request request = {.path = path, .uid = uid, .groups = groups};
    struct walk_result far, near;

    far_walk(ends[0], &request, &far);
    ck_assert(walk_home(&rules, &request, &near));
    ck_assert_int_eq(far.status.code, near.status.code);
    ck_assert_str_eq(far.status.message, near.status.message);
    ck_assert_int_eq(far.refused, near.refused);
    ck_assert_str_eq(far.place.canonical, near.place.canonical);
    ck_assert_int_eq(far.place.missing, near.place.missing);
    ck_assert_int_eq(far.fd >= 0, near.fd >= 0);
    if (near.fd >= 0) {
        ck_assert_uint_eq(far.place.identity.inode, near.place.identity.inode);
        ck_assert_uint_eq(far.place.identity.owner_uid, near.place.identity.owner_uid);
        ck_assert_int_eq(far.place.identity.birth_s, near.place.identity.birth_s);
        close(near.fd);
    }
    rights_groups_release(groups);
    return far;
}

START_TEST(it_finds_the_same_and_gives_the_directory)
{
    struct walk_result result = look(top, geteuid());
    struct stat given, named;

    ck_assert_int_eq(result.status.code, STATUS_OK);
    ck_assert_int_eq(fstat(result.fd, &given), 0);
    ck_assert_int_eq(stat(top, &named), 0);
    ck_assert_uint_eq(given.st_ino, named.st_ino);
    ck_assert_int_ne(fcntl(result.fd, F_GETFL) & O_PATH, 0);
    ck_assert_int_ne(fcntl(result.fd, F_GETFD) & FD_CLOEXEC, 0);
    close(result.fd);
}
END_TEST

START_TEST(it_refuses_the_same)
{
    char missing[96];

    snprintf(missing, sizeof missing, "%s/none", top);
    ck_assert_int_eq(look(missing, geteuid()).status.code, STATUS_NOT_FOUND);
    ck_assert_int_eq(look("/", geteuid()).status.code, STATUS_INVALID_ARGUMENT);
    if (geteuid() == 0) {
        struct walk_result result = look(missing, 65534);

        ck_assert_int_eq(result.status.code, STATUS_PERMISSION_DENIED);
        ck_assert(result.refused);
    }
}
END_TEST

START_TEST(what_is_no_request_is_dropped_and_the_next_one_answered)
{
    ck_assert_int_eq((int)send(ends[0], "?", 1, 0), 1);
    close(look(top, geteuid()).fd);
}
END_TEST

START_TEST(nobody_there_is_no_refusal)
{
    struct walk_request request = {.path = top, .uid = geteuid()};
    struct walk_result result;

    ck_assert_int_eq(kill(server, SIGKILL), 0);
    far_walk(ends[0], &request, &result);
    ck_assert_int_eq(result.status.code, STATUS_UNAVAILABLE);
    ck_assert(!result.refused);
    ck_assert_int_eq(result.fd, -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("far_walk");
    TCase *tcase = tcase_create("far_walk");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, it_finds_the_same_and_gives_the_directory);
    tcase_add_test(tcase, it_refuses_the_same);
    tcase_add_test(tcase, what_is_no_request_is_dropped_and_the_next_one_answered);
    tcase_add_test(tcase, nobody_there_is_no_refusal);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
