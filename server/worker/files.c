#include "server/worker/files.h"

#include "server/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 16384 };

int files_open_directory(const char *path)
{
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Reads on to the end. */
static enum file_state files_read_all(int fd, struct text *text)
{
    char chunk[READ_SIZE];
    ssize_t size;

    do {
        size = read(fd, chunk, sizeof chunk);
        if (size > 0)
            text_add(text, chunk, (size_t)size);
    } while ((size > 0 && text->size <= FILE_SIZE_MAX && !text->failed) || (size < 0 && errno == EINTR));
    secret_wipe(chunk, sizeof chunk);
    if (size < 0 || text->failed)
        return FILE_UNREADABLE;
    return text->size <= FILE_SIZE_MAX ? FILE_READ : FILE_TOO_LARGE;
}

static enum file_state files_read_open(int fd, struct text *text)
{
    struct stat facts;
    enum file_state state;

    if (fstat(fd, &facts) != 0)
        return FILE_UNREADABLE;
    if (!S_ISREG(facts.st_mode))
        return FILE_IRREGULAR;
    if (facts.st_size > FILE_SIZE_MAX)
        return FILE_TOO_LARGE;
    state = files_read_all(fd, text);
    if (state != FILE_READ)
        text_wipe(text);
    return state;
}

/* Why it could not be opened. */
static enum file_state files_refusal(int error)
{
    if (error == ENOENT || error == ENOTDIR)
        return FILE_ABSENT;
    return error == ELOOP ? FILE_LINK : FILE_UNREADABLE;
}

static enum file_state files_read_at(int directory_fd, const char *path, int follow, struct text *text)
{
    /* O_NONBLOCK: a FIFO must not hold the worker up. */
    int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | follow);
    enum file_state state;

    if (fd < 0)
        return files_refusal(errno);
    state = files_read_open(fd, text);
    close(fd);
    return state;
}

/* A device must not be opened because somebody's link leads to it. */
static bool files_leads_to_file(int directory_fd, const char *path)
{
    struct stat facts;

    return fstatat(directory_fd, path, &facts, 0) == 0 && S_ISREG(facts.st_mode);
}

/* The kernel keeps names and attributes of another machine's file system for up to a minute (nfs(5), acdirmax), also
 * that a name is not there: of the directories on the way to a file, and of it, they are had anew. */
static void files_ask(int directory_fd, const char *path)
{
    char part[PATH_MAX];
    size_t size = 0, path_size = strlen(path);
    struct statx facts;

    if (path_size >= sizeof part)
        return;
    (void)statx(directory_fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_CTIME, &facts);
    while (size < path_size) {
        size += 1 + strcspn(path + size + 1, "/");
        snprintf(part, sizeof part, "%.*s", (int)size, path);
        if (statx(directory_fd, part, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_CTIME, &facts) != 0)
            return;
    }
}

enum file_state files_read(const struct files *files, int directory_fd, const char *path, struct text *text)
{
    enum file_state state;

    if (files->asks_anew && directory_fd >= 0)
        files_ask(directory_fd, path);
    state = directory_fd < 0 ? FILE_ABSENT : files_read_at(directory_fd, path, O_NOFOLLOW, text);
    if (state == FILE_LINK && files->follows_links && files_leads_to_file(directory_fd, path))
        (void)!files_read_at(directory_fd, path, 0, text);
    return state;
}

void files_tell(const struct files *files, int directory_fd, const char *path, enum file_state state)
{
    if (files->saw != NULL)
        files->saw(files->context, directory_fd, path, state);
}
