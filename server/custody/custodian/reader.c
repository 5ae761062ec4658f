/* Starting, hearing and ending a reader, see reader.h. */
#include "server/custody/custodian/reader.h"

#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/base/redact.h"
#include "server/custody/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_SIZE = 4096, COMPLAINT_SIZE_MAX = 512 };

/* A pipe with the key in it and nobody to write more: it reads the key, then the end. */
static int make_input(const unsigned char key[PROTOCOL_KEY_SIZE], int *fd_out)
{
    int ends[2], error = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    if (write(ends[1], key, PROTOCOL_KEY_SIZE) != PROTOCOL_KEY_SIZE) /* a new pipe has room for it */
        error = EIO;
    close(ends[1]);
    if (error != 0)
        close(ends[0]);
    else
        *fd_out = ends[0];
    return error;
}

int reader_start(struct reader *reader, const struct spawn_plan *plan, int home_fd,
                 const unsigned char key[PROTOCOL_KEY_SIZE], const char **step_out)
{
    int fds[ORDER_DESCRIPTOR_COUNT] = {[ORDER_HOME] = home_fd}, output[2], error;
    struct spawned spawned;

    *step_out = "pipe";
    error = make_input(key, &fds[ORDER_REQUEST]);
    if (error != 0)
        return error;
    error = descriptor_open_pipe(DESCRIPTOR_READS, output);
    if (error != 0)
        goto close_input;
    fds[ORDER_ANSWER] = output[1];
    error = spawn_worker(plan, fds, -1, &spawned, step_out);
    close(output[1]);
    if (error != 0)
        close(output[0]);
    else
        *reader = (struct reader){.pid = spawned.pid,
                                  .pidfd = spawned.pidfd,
                                  .word_fd = spawned.word_fd,
                                  .error_fd = spawned.error_fd,
                                  .output_fd = output[0]};
close_input:
    close(fds[ORDER_REQUEST]);
    return error;
}

/* One byte more than findings have is enough to know that it is none: whoever goes on writing is not read for ever. */
bool reader_hear(struct reader *reader)
{
    struct text *output = &reader->output;
    char part[READ_SIZE];
    ssize_t size = 1;

    while (size > 0 && output->size <= FINDINGS_SIZE_MAX && !output->failed) {
        size = read(reader->output_fd, part, sizeof part);
        if (size > 0)
            text_add(output, part, (size_t)size);
    }
    return size < 0 && (errno == EAGAIN || errno == EINTR);
}

void reader_kill(const struct reader *reader)
{
    if (kill(-reader->pid, SIGKILL) < 0) /* it has not made the group its own yet */
        pidfd_send_signal(reader->pidfd, SIGKILL, NULL, 0);
}

/* The first line on its standard error, which is not expected to have one. */
static void repeat_complaint(struct reader *reader)
{
    char line[COMPLAINT_SIZE_MAX + 1], text[2 * COMPLAINT_SIZE_MAX];
    ssize_t size = read(reader->error_fd, line, COMPLAINT_SIZE_MAX);

    if (size <= 0)
        return;
    for (ssize_t i = 0; i < size; i++) {
        if (line[i] == '\n')
            size = i;
        else if (line[i] < ' ' || line[i] > '~')
            line[i] = '?';
    }
    line[size] = '\0';
    redact_line(line, text, sizeof text);
    log_write(LOG_WARN, "a reader says", LOG_FIELDS(log_text("text", text)));
}

/* What kept it from being exec'd, if anything did. */
static struct status describe_start(struct reader *reader, const char *program)
{
    struct spawn_word word, last = {.error = 0};

    while (read(reader->word_fd, &word, sizeof word) == (ssize_t)sizeof word)
        last = word;
    reader->start_error = last.error;
    if (last.error == 0)
        return status_ok();
    return status_make(STATUS_UNAVAILABLE, "cannot start %s: %s: %s", program, spawn_step_name(last.step),
                       strerror(last.error));
}

static struct status describe_end(const siginfo_t *end)
{
    if (end->si_code != CLD_EXITED)
        return status_make(STATUS_UNAVAILABLE, "the reader was killed by signal %d (%s)", end->si_status,
                           strsignal(end->si_status));
    if (end->si_status != 0)
        return status_make(STATUS_UNAVAILABLE, "the reader exited with status %d", end->si_status);
    return status_ok();
}

static void dispose(struct reader *reader)
{
    text_fini(&reader->output);
    descriptor_close(&reader->output_fd);
    descriptor_close(&reader->word_fd);
    descriptor_close(&reader->error_fd);
    descriptor_close(&reader->pidfd);
    reader->pid = 0;
}

struct status reader_bury(struct reader *reader, const char *program, struct findings *findings_out)
{
    struct status status = describe_start(reader, program);
    siginfo_t end = {0};
    int error;

    kill(-reader->pid, SIGKILL); /* while the leader is unreaped its group's number is nobody else's */
    do {
        error = waitid(P_PIDFD, (id_t)reader->pidfd, &end, WEXITED) < 0 ? errno : 0;
    } while (error == EINTR);
    INVARIANT(error == 0);
    if (status_is_ok(&status))
        status = describe_end(&end);
    repeat_complaint(reader);
    if (reader->output_fd >= 0)
        (void)!reader_hear(reader);
    if (status_is_ok(&status) &&
        (reader->output.failed || !findings_parse(text_string(&reader->output), reader->output.size, findings_out)))
        status = status_make(STATUS_UNAVAILABLE, "what the reader wrote is not understood");
    dispose(reader);
    return status;
}

void reader_abandon(struct reader *reader)
{
    reader_kill(reader);
    dispose(reader);
}
