#include "server/custody/custodian/etc.h"

#include "server/custody/custodian/seal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int etc_watch(void)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), error;

    if (fd < 0)
        return -1;
    if (inotify_add_watch(fd, "/etc", IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static bool is_sealed_with(const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true;
    for (const char *const *file = seal_etc_files; *file != NULL; file++) {
        if (event->len > 0 && strcmp(event->name, *file) == 0)
            return true;
    }
    return false;
}

bool etc_was_changed(int fd)
{
    union {
        struct inotify_event event; /* its alignment */
        char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } room;
    ssize_t size;
    bool changed = false;

    while ((size = read(fd, &room, sizeof room)) > 0) {
        for (const char *at = room.bytes; at < room.bytes + size;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;

            changed = is_sealed_with(event) || changed;
            at += sizeof *event + event->len;
        }
    }
    return changed;
}
