/* The dialogue, step by step: look for what nobody asked for, write the request, read the line, look again.
 *
 * Descriptors are nonblocking; all waiting is in wait_ready.  What a worker wrote never comes into a message. */
#include "server/work/dialogue.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/secret.h"
#include "server/threads/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_SIZE = 16384 };

struct dialogue {
    struct worker_channel channel;
    uint64_t started_ns;
    struct dialogue_bounds bounds;
    struct status status; /* why it failed */
};

/* ---- failures ---- */

static enum lease_end fail_timed_out(struct dialogue *dialogue)
{
    uint64_t allowed_ns =
        dialogue->bounds.deadline_ns > dialogue->started_ns ? dialogue->bounds.deadline_ns - dialogue->started_ns : 0;

    dialogue->status =
        status_make(STATUS_DEADLINE_EXCEEDED, "the worker gave no answer within %" PRIu64 " ms (probe.run_ms)",
                    (allowed_ns + NS_PER_MS / 2) / NS_PER_MS);
    return LEASE_TIMED_OUT;
}

static enum lease_end fail_died(struct dialogue *dialogue, const char *when)
{
    dialogue->status = status_make(STATUS_UNAVAILABLE, "the worker ended %s", when);
    return LEASE_DIED;
}

static enum lease_end fail_breached(struct dialogue *dialogue, const char *how)
{
    dialogue->status = status_make(STATUS_INTERNAL, "the worker %s", how);
    return LEASE_BREACHED;
}

static enum lease_end fail_too_long(struct dialogue *dialogue)
{
    dialogue->status =
        status_make(STATUS_INTERNAL, "the worker's answer is longer than worker.reply_bytes_max (%zu bytes)",
                    dialogue->bounds.line_size_max);
    return LEASE_BREACHED;
}

/* ---- waiting and reading ---- */

enum wait_end { WAIT_READY, WAIT_GONE, WAIT_TOO_LATE };

enum { WAIT_PIPE_COUNT = 2 };

/* Waits for what the entries (WAIT_PIPE_COUNT at most) ask for.  GONE: none of it came, nor will it. */
static enum wait_end wait_ready(const struct dialogue *dialogue, struct pollfd *pipes, nfds_t count)
{
    struct pollfd fds[WAIT_PIPE_COUNT + 1];

    memcpy(fds, pipes, count * sizeof *fds);
    fds[count] = (struct pollfd){.fd = dialogue->bounds.gone_fd, .events = POLLIN}; /* -1: passed over */
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        uint64_t left_ns = dialogue->bounds.deadline_ns > now_ns ? dialogue->bounds.deadline_ns - now_ns : 0;
        struct timespec left = {.tv_sec = (time_t)(left_ns / NS_PER_S), .tv_nsec = (long)(left_ns % NS_PER_S)};
        int ready;

        if (left_ns == 0)
            return WAIT_TOO_LATE; /* also for a worker that never stops talking */
        ready = ppoll(fds, count + 1, &left, NULL);
        if (ready > 0) {
            memcpy(pipes, fds, count * sizeof *fds);
            return ready == 1 && fds[count].revents != 0 ? WAIT_GONE : WAIT_READY;
        }
        INVARIANT(ready == 0 || errno == EINTR || errno == ENOMEM); /* else a descriptor of ours is none */
    }
}

enum read_end { READ_BYTES, READ_NOTHING_YET, READ_END_OF_FILE };

static enum read_end read_some(int fd, char *bytes, size_t size, size_t *count_out)
{
    ssize_t count;

    do
        count = read(fd, bytes, size);
    while (count < 0 && errno == EINTR);
    if (count > 0) {
        *count_out = (size_t)count;
        return READ_BYTES;
    }
    return count < 0 && errno == EAGAIN ? READ_NOTHING_YET : READ_END_OF_FILE;
}

/* ---- the steps ---- */

/* The worker was idle until now: bytes or an end of file, of either pipe, are of no request of ours. */
static enum lease_end look_for_stray(struct dialogue *dialogue)
{
    struct pollfd fds[] = {{.fd = dialogue->channel.answer_fd, .events = POLLIN},
                           {.fd = dialogue->channel.request_fd}, /* an error is reported unasked */
                           {.fd = dialogue->bounds.gone_fd, .events = POLLIN}};

    if (poll(fds, 3, 0) <= 0)
        return LEASE_ANSWERED;
    dialogue->status = status_make(STATUS_UNAVAILABLE, "the worker %s before it was asked",
                                   fds[0].revents & POLLIN ? "had something to say" : "had ended");
    return LEASE_STRAY;
}

/* The pipe is full: until the worker reads on, anything it says is too early. */
static enum lease_end wait_writable(struct dialogue *dialogue)
{
    struct pollfd fds[] = {{.fd = dialogue->channel.answer_fd, .events = POLLIN},
                           {.fd = dialogue->channel.request_fd, .events = POLLOUT}};
    char byte;
    size_t count;

    switch (wait_ready(dialogue, fds, 2)) {
    case WAIT_TOO_LATE:
        return fail_timed_out(dialogue);
    case WAIT_GONE:
        return fail_died(dialogue, "before it had read the whole request");
    case WAIT_READY:
        break;
    }
    if (fds[0].revents == 0)
        return LEASE_ANSWERED;
    if (read_some(dialogue->channel.answer_fd, &byte, 1, &count) == READ_BYTES)
        return fail_breached(dialogue, "answered before it had read the whole request");
    return fail_died(dialogue, "before it had read the whole request");
}

static enum lease_end write_request(struct dialogue *dialogue, const struct text *request)
{
    size_t written = 0;
    enum lease_end end = LEASE_ANSWERED;

    while (end == LEASE_ANSWERED && written < request->size) {
        ssize_t count = write(dialogue->channel.request_fd, request->bytes + written, request->size - written);

        if (count >= 0)
            written += (size_t)count;
        else if (errno == EAGAIN)
            end = wait_writable(dialogue);
        else if (errno != EINTR)
            end = fail_died(dialogue, "before it had read the whole request"); /* EPIPE */
    }
    return end;
}

/* A whole line is in: nothing may be behind it.  One look tells that there is nothing, as there should be. */
static enum lease_end look_behind(struct dialogue *dialogue)
{
    struct pollfd fds[] = {{.fd = dialogue->channel.answer_fd, .events = POLLIN},
                           {.fd = dialogue->bounds.gone_fd, .events = POLLIN}};
    char byte;
    size_t count;

    if (poll(fds, 2, 0) <= 0)
        return LEASE_ANSWERED;
    if (fds[0].revents != 0 && read_some(fds[0].fd, &byte, 1, &count) == READ_BYTES)
        return fail_breached(dialogue, "wrote more than one line");
    return fail_died(dialogue, "with its answer, which voids it");
}

/* Adds what belongs to the line; *whole_out once its end was in the chunk. */
static enum lease_end take_chunk(struct dialogue *dialogue, const char *chunk, size_t size, struct text *line,
                                 bool *whole_out)
{
    const char *line_end = memchr(chunk, '\n', size);
    size_t part = line_end == NULL ? size : (size_t)(line_end - chunk);

    if (part > dialogue->bounds.line_size_max - line->size)
        return fail_too_long(dialogue);
    if (line_end != NULL && part + 1 < size)
        return fail_breached(dialogue, "wrote more than one line");
    text_add(line, chunk, part);
    if (line->failed) {
        dialogue->status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for an answer of %zu bytes", line->size);
        return LEASE_BREACHED;
    }
    *whole_out = line_end != NULL;
    return LEASE_ANSWERED;
}

static enum lease_end fail_unfinished(struct dialogue *dialogue, const struct text *line)
{
    return fail_died(dialogue, line->size == 0 ? "without an answer" : "in the middle of its answer");
}

static enum lease_end read_line(struct dialogue *dialogue, struct text *line)
{
    struct pollfd fd = {.fd = dialogue->channel.answer_fd, .events = POLLIN};
    char chunk[CHUNK_SIZE];
    size_t size;
    bool whole = false;
    enum lease_end end = LEASE_ANSWERED;

    while (end == LEASE_ANSWERED && !whole) {
        switch (wait_ready(dialogue, &fd, 1)) {
        case WAIT_TOO_LATE:
            return fail_timed_out(dialogue);
        case WAIT_GONE:
            return fail_unfinished(dialogue, line);
        case WAIT_READY:
            break;
        }
        switch (read_some(fd.fd, chunk, sizeof chunk, &size)) {
        case READ_BYTES:
            end = take_chunk(dialogue, chunk, size, line, &whole);
            secret_wipe(chunk, size); /* a worker may repeat what it was asked with */
            break;
        case READ_END_OF_FILE:
            return fail_unfinished(dialogue, line);
        case READ_NOTHING_YET:
            break;
        }
    }
    return end == LEASE_ANSWERED ? look_behind(dialogue) : end;
}

enum lease_end dialogue_ask(struct worker_channel channel, struct text *request, const struct dialogue_bounds *bounds,
                            struct dialogue_answer *answer_out, struct status *status_out)
{
    struct dialogue dialogue = {.channel = channel, .started_ns = clock_now_ns(), .bounds = *bounds};
    struct text line = TEXT_EMPTY;
    uint64_t written_ns = 0;
    enum lease_end end;

    lock_assert_none();
    end = look_for_stray(&dialogue);
    if (end == LEASE_ANSWERED)
        end = write_request(&dialogue, request);
    text_wipe(request); /* an answer may be long in coming, and an api_key is in it */
    if (end == LEASE_ANSWERED) {
        written_ns = clock_now_ns();
        end = read_line(&dialogue, &line);
    }
    if (end == LEASE_ANSWERED) {
        *answer_out = (struct dialogue_answer){.line = line, .probe_ns = clock_now_ns() - written_ns};
    } else {
        text_wipe(&line);
        *status_out = dialogue.status;
    }
    return end;
}
