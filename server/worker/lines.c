#include "server/worker/lines.h"

#include "server/base/secret.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 65536, CAPACITY_KEPT = 2 * READ_SIZE };

void lines_init(struct lines *lines, int fd)
{
    *lines = (struct lines){.fd = fd, .pending = TEXT_EMPTY};
}

void lines_fini(struct lines *lines)
{
    text_wipe(&lines->pending);
}

/* Drops and wipes the first bytes. */
static void lines_drop(struct lines *lines, size_t size)
{
    struct text *pending = &lines->pending;
    size_t left = pending->size - size;

    if (size == 0)
        return;
    memmove(pending->bytes, pending->bytes + size, left);
    secret_wipe(pending->bytes + left, size);
    pending->size = left;
    if (left == 0 && pending->capacity > CAPACITY_KEPT)
        text_wipe(pending);
}

static void lines_read(struct lines *lines)
{
    char chunk[READ_SIZE];
    ssize_t size;

    do {
        size = read(lines->fd, chunk, sizeof chunk);
    } while (size < 0 && errno == EINTR);
    if (size > 0)
        text_add(&lines->pending, chunk, (size_t)size);
    lines->ended = size <= 0 || lines->pending.failed;
    secret_wipe(chunk, sizeof chunk);
}

/* Gives the first `size` bytes; its end follows unless the file ended first. */
static enum lines_next lines_give(struct lines *lines, size_t size, bool has_end, struct line *line_out)
{
    lines->given_size = size + (has_end ? 1 : 0);
    if (lines->skipping) {
        lines->skipping = false;
        return LINES_TOO_LONG;
    }
    *line_out = (struct line){lines->pending.bytes, size};
    return LINES_LINE;
}

void lines_forget(struct lines *lines)
{
    lines_drop(lines, lines->given_size);
    lines->given_size = 0;
}

enum lines_next lines_next(struct lines *lines, struct line *line_out)
{
    size_t searched = 0;

    lines_forget(lines);
    for (;;) {
        struct text *pending = &lines->pending;
        const char *end =
            pending->size > searched ? memchr(pending->bytes + searched, '\n', pending->size - searched) : NULL;

        if (end != NULL)
            return lines_give(lines, (size_t)(end - pending->bytes), true, line_out);
        if (pending->size > LINE_SIZE_MAX || lines->skipping) {
            lines->skipping = true;
            lines_drop(lines, pending->size);
        }
        if (pending->failed)
            return LINES_END;
        if (lines->ended)
            return pending->size > 0 || lines->skipping ? lines_give(lines, pending->size, false, line_out) : LINES_END;
        searched = pending->size;
        lines_read(lines);
    }
}
