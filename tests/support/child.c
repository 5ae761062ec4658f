/* Starting, feeding and reaping other programs. */
#include "tests/support/child.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char *child_test_directory(void)
{
    static char path[4096];

    if (path[0] == '\0') {
        char *directory;

        ck_assert_int_gt(readlink("/proc/self/exe", path, sizeof path - 1), 0);
        directory = dirname(path);
        memmove(path, directory, strlen(directory) + 1);
    }
    return path;
}

const char *child_bin_directory(void)
{
    static char path[4096 + 8];

    snprintf(path, sizeof path, "%s/../bin", child_test_directory());
    return path;
}

/* Test programs lie beside this one, the product's in bin/; whatever has a slash is where it says. */
static void find_program(const char *name, char out[8192])
{
    snprintf(out, 8192, "%s", name);
    if (strchr(name, '/') != NULL)
        return;
    snprintf(out, 8192, "%s/%s", child_test_directory(), name);
    if (access(out, X_OK) != 0)
        snprintf(out, 8192, "%s/%s", child_bin_directory(), name);
    if (access(out, X_OK) != 0)
        snprintf(out, 8192, "%s", name);
}

/* The caller's environment without what `changes` names, then `changes`. */
static char **make_environment(const char *const *changes)
{
    size_t count = 0, size = 1;
    char **made;

    for (char **entry = environ; *entry != NULL; entry++)
        size++;
    for (const char *const *entry = changes; entry != NULL && *entry != NULL; entry++)
        size++;
    made = calloc(size, sizeof *made);
    ck_assert_ptr_nonnull(made);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *const *change = changes;

        while (change != NULL && *change != NULL &&
               !(strncmp(*entry, *change, strcspn(*change, "=")) == 0 && (*entry)[strcspn(*change, "=")] == '='))
            change++;
        if (change == NULL || *change == NULL)
            made[count++] = *entry;
    }
    for (const char *const *change = changes; change != NULL && *change != NULL; change++) {
        if (strchr(*change, '=') != NULL)
            made[count++] = (char *)(size_t)*change;
    }
    return made;
}

/* Descriptors 0, 1, 2 of the child; -1: inherited. */
static pid_t spawn(const char *const *argv, const char *const *changes, const int descriptors[3])
{
    posix_spawn_file_actions_t actions;
    char program[8192], **environment = make_environment(changes);
    pid_t pid;
    int error;

    find_program(argv[0], program);
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++) {
        if (descriptors[i] >= 0)
            posix_spawn_file_actions_adddup2(&actions, descriptors[i], i);
    }
    error = posix_spawnp(&pid, program, &actions, NULL, (char **)(size_t)argv, environment);
    ck_assert_msg(error == 0, "cannot start %s: %s", program, strerror(error));
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return pid;
}

static int reap(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

struct collector {
    char *bytes;
    size_t size;
};

/* One read's worth; false at the end. */
static int collect(int fd, struct collector *collector)
{
    ssize_t size;

    collector->bytes = realloc(collector->bytes, collector->size + 65537);
    ck_assert_ptr_nonnull(collector->bytes);
    size = read(fd, collector->bytes + collector->size, 65536);
    if (size > 0)
        collector->size += (size_t)size;
    collector->bytes[collector->size] = '\0';
    return size > 0;
}

/* Feeds and reads at once, so that neither side waits for the other. */
static void converse(int in, const char *input, size_t input_size, int out, int err, struct collector collectors[2])
{
    struct pollfd polled[3] = {
        {.fd = in, .events = POLLOUT}, {.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    size_t fed = 0;

    while (polled[1].fd >= 0 || polled[2].fd >= 0) {
        if (polled[0].fd >= 0 && fed == input_size) {
            close(in);
            polled[0].fd = -1;
        }
        ck_assert_int_ge(poll(polled, 3, 30000), 1);
        if (polled[0].fd >= 0 && polled[0].revents != 0) {
            ssize_t size = write(in, input + fed, input_size - fed);

            fed = size < 0 ? input_size : fed + (size_t)size;
        }
        for (int i = 1; i < 3; i++) {
            if (polled[i].fd >= 0 && polled[i].revents != 0 && !collect(polled[i].fd, &collectors[i - 1]))
                polled[i].fd = -1;
        }
    }
    if (polled[0].fd >= 0)
        close(in);
}

struct child_result child_run(const char *const *argv, const char *const *environment, const void *input,
                              size_t input_size)
{
    struct collector collectors[2] = {{NULL, 0}, {NULL, 0}};
    struct child_result result;
    int in[2], out[2], err[2];
    pid_t pid;

    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    pid = spawn(argv, environment, (int[]){in[0], out[1], err[1]});
    close(in[0]);
    close(out[1]);
    close(err[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    converse(in[1], input, input_size, out[0], err[0], collectors);
    close(out[0]);
    close(err[0]);
    result.exit_status = reap(pid);
    result.out = collectors[0].bytes;
    result.out_size = collectors[0].size;
    result.err = collectors[1].bytes;
    return result;
}

void child_result_fini(struct child_result *result)
{
    free(result->out);
    free(result->err);
}

pid_t child_start(const char *const *argv, const char *const *environment, int *out_out)
{
    int out[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    pid = spawn(argv, environment, (int[]){-1, out[1], -1});
    close(out[1]);
    *out_out = out[0];
    return pid;
}

pid_t child_start_ready(const char *const *argv)
{
    char line[6];
    int out;
    pid_t pid = child_start(argv, NULL, &out);

    for (size_t size = 0; size < sizeof line;) {
        ssize_t got = read(out, line + size, sizeof line - size);

        ck_assert_msg(got > 0, "%s ended before it was ready", argv[0]);
        size += (size_t)got;
    }
    close(out);
    return pid;
}

int child_end(pid_t pid, int signal)
{
    if (signal != 0)
        kill(pid, signal);
    return reap(pid);
}
