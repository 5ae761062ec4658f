/* Reading workers' standard error, see chatter.h. */
#include "server/custody/custodian/chatter.h"

#include "server/base/log.h"
#include "server/base/redact.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    READ_SIZE = 4096,
    READ_COUNT_MAX = 4, /* at one go: others have their turn */
    SHOWN_SIZE = 2 * CHATTER_LINE_SIZE_MAX
};

void chatter_init(struct chatter *chatter, uint64_t worker_id, const char *home, int fd)
{
    *chatter = (struct chatter){.worker_id = (int64_t)worker_id, .home = home, .fd = fd};
}

static void end_line(struct chatter *chatter)
{
    char text[SHOWN_SIZE];

    chatter->line_count++;
    if (log_enabled(LOG_INFO) && chatter->shown_count < CHATTER_LINE_COUNT_MAX) {
        if (chatter->line_size == CHATTER_LINE_SIZE_MAX) { /* half a secret does not look like one */
            while (chatter->line_size > 0 && chatter->line[chatter->line_size - 1] != ' ')
                chatter->line_size--;
        }
        chatter->line[chatter->line_size] = '\0';
        redact_line(chatter->line, text, sizeof text);
        log_write(LOG_INFO, "worker says",
                  LOG_FIELDS(log_number("worker", chatter->worker_id), log_text("home", chatter->home),
                             log_text("text", text)));
        chatter->shown_count++;
    }
    explicit_bzero(chatter->line, sizeof chatter->line);
    chatter->line_size = 0;
    chatter->line_open = false;
}

static void take(struct chatter *chatter, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            end_line(chatter);
            continue;
        }
        chatter->line_open = true;
        if (chatter->line_size < CHATTER_LINE_SIZE_MAX)
            chatter->line[chatter->line_size++] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '?';
    }
}

enum chatter_state chatter_read(struct chatter *chatter, uint64_t now_ns)
{
    char part[READ_SIZE];

    for (int i = 0; i < READ_COUNT_MAX; i++) {
        ssize_t size;

        if (chatter->byte_count >= CHATTER_BYTE_COUNT_MAX)
            return CHATTER_FULL;
        size = read(chatter->fd, part, sizeof part);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return CHATTER_OPEN;
        if (size <= 0)
            return CHATTER_ENDED;
        if (chatter->window_ns == 0)
            chatter->window_ns = now_ns;
        chatter->byte_count += (size_t)size;
        take(chatter, part, (size_t)size);
        explicit_bzero(part, (size_t)size);
    }
    return CHATTER_OPEN;
}

void chatter_close_window(struct chatter *chatter)
{
    if (chatter->line_count > chatter->shown_count)
        log_write(LOG_INFO, "worker says more than is shown",
                  LOG_FIELDS(log_number("worker", chatter->worker_id), log_text("home", chatter->home),
                             log_number("lines", (int64_t)chatter->line_count),
                             log_number("shown", (int64_t)chatter->shown_count)));
    chatter->window_ns = 0;
    chatter->line_count = chatter->shown_count = chatter->byte_count = 0;
}

void chatter_fini(struct chatter *chatter, uint64_t now_ns)
{
    if (chatter->fd < 0)
        return;
    if (chatter_read(chatter, now_ns) != CHATTER_FULL && chatter->line_open)
        end_line(chatter);
    chatter_close_window(chatter);
    close(chatter->fd);
    chatter->fd = -1;
}
