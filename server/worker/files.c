#include "server/worker/files.h"

#include "server/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 16384 };

int files_open_directory(const char *path)
{
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Reads on to the end; false when there is too much or the system says no. */
static bool files_read_all(int fd, struct text *text)
{
    char chunk[READ_SIZE];
    ssize_t size;

    do {
        size = read(fd, chunk, sizeof chunk);
        if (size > 0)
            text_add(text, chunk, (size_t)size);
    } while ((size > 0 && text->size <= FILE_SIZE_MAX && !text->failed) || (size < 0 && errno == EINTR));
    secret_wipe(chunk, sizeof chunk);
    return size == 0 && !text->failed;
}

bool files_read(int directory_fd, const char *path, struct text *text)
{
    struct stat facts;
    bool whole;
    int fd;

    if (directory_fd < 0)
        return false;
    /* O_NONBLOCK: a FIFO must not hold the worker up. */
    fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return false;
    whole =
        fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size <= FILE_SIZE_MAX && files_read_all(fd, text);
    close(fd);
    if (!whole)
        text_wipe(text);
    return whole;
}
