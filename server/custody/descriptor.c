#include "server/custody/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void descriptor_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int descriptor_open_pipe(enum descriptor_end ours, int ends_out[2])
{
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    if (fcntl(ends[ours], F_SETFL, O_NONBLOCK) < 0) {
        error = errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    memcpy(ends_out, ends, sizeof ends);
    return 0;
}

char *descriptor_find_path(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t size;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof path);
    return size < 0 ? NULL : strndup(path, (size_t)size);
}
