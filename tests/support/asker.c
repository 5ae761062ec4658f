#include "tests/support/asker.h"

#include "server/base/clock.h"
#include "tests/support/child.h"
#include "tests/support/patience.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { END_COUNT = 6 };

/* In the child: the ends to 0, 1 and 2, and the program.  Test programs have threads: nothing but system calls. */
static void become(const char *program, const char *directory, const char **argv, const char *const *environment,
                   const int *ends)
{
    if (dup2(ends[0], 0) == 0 && dup2(ends[3], 1) == 1 && dup2(ends[5], 2) == 2 && chdir(directory) == 0)
        execve(program, (char *const *)(size_t)argv, (char *const *)(size_t)environment);
    _exit(127);
}

void asker_start(struct asker *asker, const char *directory, const char *const *words, const char *const *environment)
{
    char program[4096 + 64];
    const char *argv[ASKER_WORD_COUNT_MAX + 2] = {"probe-worker"};
    int ends[END_COUNT];
    size_t count = 0;

    for (; words[count] != NULL; count++) {
        ck_assert_uint_lt(count, ASKER_WORD_COUNT_MAX);
        argv[count + 1] = words[count];
    }
    snprintf(program, sizeof program, "%s/probe-worker", child_bin_directory());
    for (int i = 0; i < END_COUNT; i += 2)
        ck_assert_int_eq(pipe2(ends + i, O_CLOEXEC), 0);
    *asker = (struct asker){.in_fd = ends[1], .out_fd = ends[2], .err_fd = ends[4]};
    asker->pid = fork();
    ck_assert_int_ge(asker->pid, 0);
    if (asker->pid == 0)
        become(program, directory, argv, environment, ends);
    close(ends[0]);
    close(ends[3]);
    close(ends[5]);
}

void asker_write(struct asker *asker, const char *line)
{
    size_t size = strlen(line), sent = 0;

    while (sent < size) {
        ssize_t written = write(asker->in_fd, line + sent, size - sent);

        ck_assert_msg(written > 0 || errno == EINTR, "the worker does not read: %s", strerror(errno));
        sent += written > 0 ? (size_t)written : 0;
    }
    ck_assert_int_eq(write(asker->in_fd, "\n", 1), 1);
}

/* Reads what is there of one output; closes it at its end. */
static void take(int *fd, struct text *text)
{
    char chunk[65536];
    ssize_t size = read(*fd, chunk, sizeof chunk);

    if (size > 0) {
        text_add(text, chunk, (size_t)size);
        return;
    }
    ck_assert_msg(size == 0 || errno == EINTR, "read: %s", strerror(errno));
    if (size == 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Waits until one of the outputs has something, and takes it. */
static void take_either(struct asker *asker, uint64_t due_ns)
{
    struct pollfd outputs[] = {{asker->out_fd, POLLIN, 0}, {asker->err_fd, POLLIN, 0}};
    uint64_t now_ns = clock_now_ns();

    ck_assert_msg(now_ns < due_ns, "the worker is silent; it said: %s", text_string(&asker->err));
    ck_assert_int_ge(poll(outputs, 2, (int)((due_ns - now_ns) / NS_PER_MS) + 1), 0);
    if (outputs[0].revents != 0)
        take(&asker->out_fd, &asker->out);
    if (outputs[1].revents != 0)
        take(&asker->err_fd, &asker->err);
}

const char *asker_read(struct asker *asker, size_t *size_out)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

    for (;;) {
        const char *line = text_string(&asker->out) + asker->read_size;
        const char *end = memchr(line, '\n', asker->out.size - asker->read_size);

        if (end != NULL) {
            *size_out = (size_t)(end - line) + 1;
            asker->read_size += *size_out;
            return line;
        }
        ck_assert_msg(asker->out_fd >= 0, "the worker ended; it said: %s", text_string(&asker->err));
        take_either(asker, due_ns);
    }
}

void asker_end_input(struct asker *asker)
{
    if (asker->in_fd >= 0)
        close(asker->in_fd);
    asker->in_fd = -1;
}

void asker_turn_away(struct asker *asker)
{
    close(asker->out_fd);
    asker->out_fd = -1;
}

int asker_finish(struct asker *asker)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    int status;

    asker_end_input(asker);
    while (asker->out_fd >= 0 || asker->err_fd >= 0)
        take_either(asker, due_ns);
    ck_assert_int_eq(waitpid(asker->pid, &status, 0), asker->pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void asker_fini(struct asker *asker)
{
    text_fini(&asker->out);
    text_fini(&asker->err);
}
