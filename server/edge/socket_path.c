/* Claims on socket paths, see socket_path.h. */
#include "server/edge/socket_path.h"

#include "proto/limits.h"
#include "server/base/socket_url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define IPC_SCHEME  "ipc://"
#define LOCK_SUFFIX ".lock"

enum {
    DIRECTORY_MODE_OURS = 0700,
    DIRECTORY_MODE_OTHERS = 0711, /* others may pass through to the socket, and list nothing */
    LOCK_PATH_SIZE = LIMIT_SOCKET_PATH_SIZE_MAX + sizeof LOCK_SUFFIX,
    LOCK_TRIES_MAX = 16, /* each lost try is a daemon that has just ended */
};

struct socket_claim {
    struct socket_claim *next;
    int lock_fd;
    char lock_path[LOCK_PATH_SIZE];
};

struct socket_claims {
    struct socket_claim *first; /* owned */
};

/* ---- the directory ---- */

static struct status check_directory(const char *url, const char *directory, const struct stat *found)
{
    if (!S_ISDIR(found->st_mode))
        return status_make(STATUS_FAILED_PRECONDITION, "%s: %s is no directory", url, directory);
    if (found->st_uid != 0 && found->st_uid != geteuid())
        return status_make(STATUS_FAILED_PRECONDITION, "%s: %s is uid %u's, who could replace what is in it", url,
                           directory, (unsigned)found->st_uid);
    if ((found->st_mode & S_IWOTH) != 0 && (found->st_mode & S_ISVTX) == 0)
        return status_make(STATUS_FAILED_PRECONDITION, "%s: others can write in %s: chmod o-w would help", url,
                           directory);
    return status_ok();
}

static bool is_other_mode(mode_t mode, mode_t wanted)
{
    mode &= 07777;
    return mode != wanted && (mode == DIRECTORY_MODE_OURS || mode == DIRECTORY_MODE_OTHERS);
}

/* The folder that the socket lies in; `out` has room for any socket's path. */
static void directory_of(const char *path, char *out)
{
    size_t size = (size_t)(strrchr(path, '/') - path);

    memcpy(out, path, size);
    out[size] = '\0';
    if (size == 0)
        strcpy(out, "/");
}

static struct status prepare_directory(const char *url, const char *path)
{
    char directory[LIMIT_SOCKET_PATH_SIZE_MAX + 1];
    struct stat found;

    directory_of(path, directory);
    if (mkdir(directory, DIRECTORY_MODE_OURS) != 0 && errno != EEXIST)
        return status_make(STATUS_FAILED_PRECONDITION, "%s: cannot make %s: %s", url, directory, strerror(errno));
    if (stat(directory, &found) != 0)
        return status_make(STATUS_FAILED_PRECONDITION, "%s: cannot look at %s: %s", url, directory, strerror(errno));
    return check_directory(url, directory, &found);
}

/* With the lock held: another daemon's folder is left as it is. */
static struct status settle_directory(const char *url, const char *path, bool serves_others)
{
    char directory[LIMIT_SOCKET_PATH_SIZE_MAX + 1];
    mode_t mode = serves_others ? DIRECTORY_MODE_OTHERS : DIRECTORY_MODE_OURS;
    struct stat found;

    directory_of(path, directory);
    if (stat(directory, &found) == 0 && found.st_uid == geteuid() && is_other_mode(found.st_mode, mode) &&
        chmod(directory, mode) != 0)
        return status_make(STATUS_FAILED_PRECONDITION, "%s: cannot set the mode of %s: %s", url, directory,
                           strerror(errno));
    return status_ok();
}

/* ---- the lock ---- */

/* Whether the file behind `fd` is the one at `path`. */
static bool is_at(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

static struct status held_by_another(const char *url, int lock_fd)
{
    char text[16] = "";
    ssize_t size = pread(lock_fd, text, sizeof text - 1, 0);
    long pid = size > 0 ? strtol(text, NULL, 10) : 0;

    if (pid == getpid())
        return status_make(STATUS_INVALID_ARGUMENT, "%s is named twice", url);
    if (pid <= 0)
        return status_make(STATUS_UNAVAILABLE, "another probed serves %s", url);
    return status_make(STATUS_UNAVAILABLE, "another probed (pid %ld) serves %s", pid, url);
}

/* Who ends removes the file with the lock held: a lock on a file that is there no more is none. */
static struct status take_lock(const char *url, const char *lock_path, int *lock_fd_out)
{
    for (int i = 0; i < LOCK_TRIES_MAX; i++) {
        int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        struct status status;

        if (fd < 0)
            return status_make(STATUS_FAILED_PRECONDITION, "%s: cannot open %s: %s", url, lock_path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            status = errno == EWOULDBLOCK ? held_by_another(url, fd)
                                          : status_make(STATUS_FAILED_PRECONDITION, "%s: cannot lock %s: %s", url,
                                                        lock_path, strerror(errno));
            close(fd);
            return status;
        }
        if (is_at(fd, lock_path)) {
            *lock_fd_out = fd;
            return status_ok();
        }
        close(fd);
    }
    return status_make(STATUS_UNAVAILABLE, "%s: %s is made and removed all the time", url, lock_path);
}

/* For the message of whoever comes second; without it the lock holds all the same. */
static void note_pid(int lock_fd)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(lock_fd, 0) != 0 || pwrite(lock_fd, text, (size_t)size, 0) != size)
        return;
}

/* ---- the path itself ---- */

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "a file";
    case S_IFLNK:
        return "a symlink";
    case S_IFDIR:
        return "a directory";
    default:
        return "something that is no socket";
    }
}

/* A socket may lie there: a daemon that was killed left it, and nng replaces it. */
static struct status check_vacant(const char *url, const char *path)
{
    struct stat found;

    if (lstat(path, &found) != 0) {
        if (errno == ENOENT)
            return status_ok();
        return status_make(STATUS_FAILED_PRECONDITION, "%s: cannot look at it: %s", url, strerror(errno));
    }
    if (!S_ISSOCK(found.st_mode))
        return status_make(STATUS_FAILED_PRECONDITION, "%s: %s is there: remove it, or choose another path", url,
                           kind_of(found.st_mode));
    return status_ok();
}

/* ---- claims ---- */

struct status socket_claims_create(struct socket_claims **claims_out)
{
    struct socket_claims *claims = calloc(1, sizeof *claims);

    if (claims == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to claim sockets");
    *claims_out = claims;
    return status_ok();
}

static void let_go(struct socket_claim *claim)
{
    if (is_at(claim->lock_fd, claim->lock_path))
        unlink(claim->lock_path);
    close(claim->lock_fd);
    free(claim);
}

void socket_claims_destroy(struct socket_claims *claims)
{
    if (claims == NULL)
        return;
    while (claims->first != NULL) {
        struct socket_claim *claim = claims->first;

        claims->first = claim->next;
        let_go(claim);
    }
    free(claims);
}

struct status socket_path_claim(struct socket_claims *claims, const char *url, bool serves_others)
{
    struct status status = socket_url_check(url);
    struct socket_claim *claim;
    const char *path;

    if (!status_is_ok(&status) || strncmp(url, IPC_SCHEME, strlen(IPC_SCHEME)) != 0)
        return status;
    path = url + strlen(IPC_SCHEME);
    status = prepare_directory(url, path);
    if (!status_is_ok(&status))
        return status;
    claim = calloc(1, sizeof *claim);
    if (claim == NULL)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to claim %s", url);
    snprintf(claim->lock_path, sizeof claim->lock_path, "%s%s", path, LOCK_SUFFIX);
    status = take_lock(url, claim->lock_path, &claim->lock_fd);
    if (!status_is_ok(&status)) {
        free(claim);
        return status;
    }
    note_pid(claim->lock_fd);
    status = check_vacant(url, path);
    if (status_is_ok(&status))
        status = settle_directory(url, path, serves_others);
    if (!status_is_ok(&status)) {
        let_go(claim);
        return status;
    }
    claim->next = claims->first;
    claims->first = claim;
    return status_ok();
}
