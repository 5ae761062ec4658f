/* Whose a socket's path is: real directories, locks and other processes. */
#include "server/edge/socket_path.h"
#include "tests/support/check_main.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 256, FAR_UID = 65534 };

static struct scratch scratch;
static char directory[PATH_SIZE], path[PATH_SIZE], lock_path[PATH_SIZE], url[PATH_SIZE];
static struct socket_claims *claims;

static void open_scratch(void)
{
    struct status status;

    scratch_open(&scratch);
    snprintf(directory, sizeof directory, "%s/probed", scratch.path);
    snprintf(path, sizeof path, "%s/probed/rpc.sock", scratch.path);
    snprintf(lock_path, sizeof lock_path, "%s/probed/rpc.sock.lock", scratch.path);
    snprintf(url, sizeof url, "ipc://%s/probed/rpc.sock", scratch.path);
    status = socket_claims_create(&claims);
    ck_assert_int_eq(status.code, STATUS_OK);
}

static void close_scratch(void)
{
    socket_claims_destroy(claims);
    scratch_close(&scratch);
}

static void expect(struct status status, enum status_code code, const char *part)
{
    ck_assert_msg(status.code == code, "%s: %s", status_code_name(status.code), status.message);
    ck_assert_msg(strstr(status.message, part) != NULL, "\"%s\" is not in \"%s\"", part, status.message);
}

static mode_t mode_of(const char *of)
{
    struct stat found;

    ck_assert_int_eq(lstat(of, &found), 0);
    return found.st_mode & 07777;
}

static void make_file(const char *at)
{
    FILE *file = fopen(at, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("precious\n", file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(the_directory_is_made_for_us_or_for_others)
{
    umask(077);
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    ck_assert_uint_eq(mode_of(directory), 0700);
    ck_assert_uint_eq(mode_of(lock_path), 0600);
    socket_claims_destroy(claims);
    expect(socket_claims_create(&claims), STATUS_OK, "");
    expect(socket_path_claim(claims, url, true), STATUS_OK, ""); /* made 0700 by an earlier start */
    ck_assert_uint_eq(mode_of(directory), 0711);
    socket_claims_destroy(claims);
    expect(socket_claims_create(&claims), STATUS_OK, "");
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    ck_assert_uint_eq(mode_of(directory), 0700);
}
END_TEST

START_TEST(a_directory_with_a_mode_of_its_own_keeps_it)
{
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    ck_assert_int_eq(chmod(directory, 0750), 0);
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    ck_assert_uint_eq(mode_of(directory), 0750);
}
END_TEST

START_TEST(a_directory_in_which_others_can_replace_the_socket_is_refused)
{
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    ck_assert_int_eq(chmod(directory, 0777), 0);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "others can write in");
    ck_assert_int_eq(chmod(directory, 01777), 0); /* as /tmp: nobody removes what is another's */
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    socket_claims_destroy(claims);
    expect(socket_claims_create(&claims), STATUS_OK, "");
    ck_assert_int_eq(chmod(directory, 0700), 0);
    ck_assert_int_eq(chown(directory, FAR_UID, FAR_UID), 0);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "65534");
}
END_TEST

START_TEST(only_one_directory_is_made)
{
    char far_url[PATH_SIZE];

    snprintf(far_url, sizeof far_url, "ipc://%s/a/b/rpc.sock", scratch.path);
    expect(socket_path_claim(claims, far_url, false), STATUS_FAILED_PRECONDITION, "cannot make");
    make_file(directory);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "no directory");
}
END_TEST

/* Another process's claim on the same path, kept until it ends. */
static struct status claim_again(void)
{
    struct socket_claims *own;
    struct status status = socket_claims_create(&own);

    return status_is_ok(&status) ? socket_path_claim(own, url, false) : status;
}

static int claim_in_child(void *context)
{
    (void)context;
    return (int)claim_again().code;
}

START_TEST(a_second_daemon_is_told_who_has_the_path)
{
    struct status status;
    char expected[64];
    int exit_status;
    pid_t child;

    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        snprintf(expected, sizeof expected, "another probed (pid %d) serves ipc://", (int)getppid());
        status = claim_again();
        _exit(status.code == STATUS_UNAVAILABLE && strstr(status.message, expected) != NULL ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &exit_status, 0), child);
    ck_assert_int_eq(exit_status, 0);
}
END_TEST

START_TEST(a_path_named_twice_is_refused)
{
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    expect(socket_path_claim(claims, url, false), STATUS_INVALID_ARGUMENT, "named twice");
}
END_TEST

START_TEST(a_claim_ends_with_its_process_however_that_ends)
{
    int ends[2];
    char byte;
    pid_t child;

    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (claim_in_child(NULL) != 0 || write(ends[1], "c", 1) != 1)
            _exit(1);
        pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    expect(socket_path_claim(claims, url, false), STATUS_UNAVAILABLE, "another probed");
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_claim_that_was_let_go_leaves_no_file_and_takes_none_of_anothers)
{
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    ck_assert_int_eq(unlink(lock_path), 0);
    make_file(lock_path); /* another daemon's, after somebody has removed ours */
    socket_claims_destroy(claims);
    ck_assert_int_eq(access(lock_path, F_OK), 0);
    ck_assert_int_eq(unlink(lock_path), 0);
    expect(socket_claims_create(&claims), STATUS_OK, "");
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    socket_claims_destroy(claims);
    ck_assert_int_eq(rmdir(directory), 0);
    expect(socket_claims_create(&claims), STATUS_OK, "");
}
END_TEST

START_TEST(what_lies_at_the_path_and_is_no_socket_is_left_alone)
{
    char target[PATH_SIZE];
    struct stat found;

    snprintf(target, sizeof target, "%s/target", scratch.path);
    make_file(target);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    make_file(path);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "a file is there");
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_int_eq(found.st_size, (off_t)strlen("precious\n"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(target, path), 0);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "a symlink is there");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "a directory is there");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_ne(access(lock_path, F_OK), 0); /* none of these kept its lock */
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
}
END_TEST

START_TEST(a_socket_left_behind_is_no_obstacle)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    expect(socket_path_claim(claims, url, false), STATUS_OK, "");
    ck_assert_int_eq(access(path, F_OK), 0); /* nng's to replace */
}
END_TEST

START_TEST(a_lock_file_that_is_a_symlink_is_not_followed)
{
    char target[PATH_SIZE];

    snprintf(target, sizeof target, "%s/target", scratch.path);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    ck_assert_int_eq(symlink(target, lock_path), 0);
    expect(socket_path_claim(claims, url, false), STATUS_FAILED_PRECONDITION, "cannot open");
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(a_directory_we_cannot_write_in_is_told)
{
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    ck_assert_int_eq(process_as(FAR_UID, claim_in_child, NULL), STATUS_FAILED_PRECONDITION);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socket_path");
    TCase *tcase = tcase_create("claims");

    tcase_add_checked_fixture(tcase, open_scratch, close_scratch);
    tcase_add_test(tcase, the_directory_is_made_for_us_or_for_others);
    tcase_add_test(tcase, a_directory_with_a_mode_of_its_own_keeps_it);
    tcase_add_test(tcase, a_directory_in_which_others_can_replace_the_socket_is_refused);
    tcase_add_test(tcase, only_one_directory_is_made);
    tcase_add_test(tcase, a_second_daemon_is_told_who_has_the_path);
    tcase_add_test(tcase, a_path_named_twice_is_refused);
    tcase_add_test(tcase, a_claim_ends_with_its_process_however_that_ends);
    tcase_add_test(tcase, a_claim_that_was_let_go_leaves_no_file_and_takes_none_of_anothers);
    tcase_add_test(tcase, what_lies_at_the_path_and_is_no_socket_is_left_alone);
    tcase_add_test(tcase, a_socket_left_behind_is_no_obstacle);
    tcase_add_test(tcase, a_lock_file_that_is_a_symlink_is_not_followed);
    tcase_add_test(tcase, a_directory_we_cannot_write_in_is_told);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
