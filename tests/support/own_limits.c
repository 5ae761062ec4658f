/* The namespace and its maps, see own_limits.h and user_namespaces(7). */
#include "tests/support/own_limits.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Maps each id of ours to itself, in a process that has entered a namespace. */
static bool write_map(pid_t pid, const char *name)
{
    unsigned long first, outside, count;
    char text[1024], path[64];
    size_t size = 0;
    ssize_t written;
    FILE *ours;
    int fd;

    snprintf(path, sizeof path, "/proc/self/%s", name);
    ours = fopen(path, "re");
    if (ours == NULL)
        return false;
    while (size < sizeof text - 64 && fscanf(ours, "%lu %lu %lu", &first, &outside, &count) == 3)
        size += (size_t)snprintf(text + size, sizeof text - size, "%lu %lu %lu\n", first, first, count);
    fclose(ours);
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    written = write(fd, text, size); /* all at once, and once */
    close(fd);
    return written == (ssize_t)size;
}

/* Somebody who stays outside writes the maps, once a byte tells that there is a namespace. */
static _Noreturn void map_from_outside(pid_t pid, int entered_fd)
{
    char byte;

    if (read(entered_fd, &byte, 1) != 1)
        _exit(1);
    _exit(write_map(pid, "uid_map") && write_map(pid, "gid_map") ? 0 : 1);
}

bool own_limits_enter(void)
{
    pid_t pid = getpid(), outside;
    int entered[2], result = -1;
    bool done;

    if (pipe2(entered, O_CLOEXEC) != 0)
        return false;
    outside = fork();
    if (outside == 0) {
        close(entered[1]);
        map_from_outside(pid, entered[0]);
    }
    close(entered[0]);
    done = outside > 0 && unshare(CLONE_NEWUSER) == 0 && write(entered[1], "", 1) == 1;
    close(entered[1]);
    return outside > 0 && waitpid(outside, &result, 0) == outside && done && result == 0;
}

bool own_limits_set(const char *name, unsigned long count)
{
    char path[64];
    FILE *file;
    bool done;

    snprintf(path, sizeof path, "/proc/sys/user/%s", name);
    file = fopen(path, "we");
    if (file == NULL)
        return false;
    done = fprintf(file, "%lu\n", count) > 0;
    return fclose(file) == 0 && done;
}

bool own_limits_possible(void)
{
    int result = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(own_limits_enter() && own_limits_set("max_inotify_watches", 0) ? 0 : 1);
    return child > 0 && waitpid(child, &result, 0) == child && result == 0;
}
