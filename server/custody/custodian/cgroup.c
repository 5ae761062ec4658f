#include "server/custody/custodian/cgroup.h"

#include "server/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NAME_SIZE = 64 };

static const char daemon_name[] = "daemon";

/* ---- its files ---- */

static bool write_at(int folder_fd, const char *name, const char *text)
{
    int fd = openat(folder_fd, name, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return written;
}

static bool write_number_at(int folder_fd, const char *name, long number)
{
    char text[24];

    snprintf(text, sizeof text, "%ld", number);
    return write_at(folder_fd, name, text);
}

static void name_worker(const struct cgroups *cgroups, uint64_t worker_id, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "worker-%d-%" PRIu64, (int)cgroups->daemon_pid, worker_id);
}

/* ---- finding it ---- */

/* Our path below the mount of version 2: the line "0::/path". */
static bool find_path(char path[PATH_MAX])
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strncmp(line, "0::/", 4) == 0;
    }
    if (file != NULL)
        fclose(file);
    if (found)
        memcpy(path, line + 3, strlen(line + 3) + 1);
    return found;
}

/* Where version 2 is mounted, whole: "… … … / mountpoint … - cgroup2 …" (proc_pid_mountinfo(5)). */
static bool find_mount(char mount[PATH_MAX])
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[2 * PATH_MAX], root[PATH_MAX];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strstr(line, " - cgroup2 ") != NULL && sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) == 2 &&
                strcmp(root, "/") == 0;
    if (file != NULL)
        fclose(file);
    return found;
}

static bool is_marked(int fd, const char *attribute)
{
    char value[8];

    return fgetxattr(fd, attribute, value, sizeof value) == 1 && value[0] == '1';
}

static int open_delegated(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && !is_marked(fd, "trusted.delegate") && !is_marked(fd, "user.delegate")) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The one we are in, or that above it when an earlier custodian has moved the daemon down. */
static int find_delegated(void)
{
    char mount[PATH_MAX], path[PATH_MAX], whole[2 * PATH_MAX], *name;
    int fd;

    if (!find_path(path) || !find_mount(mount))
        return -1;
    snprintf(whole, sizeof whole, "%s%s", mount, path);
    fd = open_delegated(whole);
    name = strrchr(whole, '/');
    if (fd < 0 && strcmp(name + 1, daemon_name) == 0) {
        *name = '\0';
        fd = open_delegated(whole);
    }
    return fd;
}

/* ---- preparing it ---- */

/* Where daemon, custodian and keeper are; -1: it cannot be made. */
static int open_daemons(int delegated_fd)
{
    if (mkdirat(delegated_fd, daemon_name, 0755) < 0 && errno != EEXIST)
        return -1;
    return openat(delegated_fd, daemon_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void cgroups_step_down(void)
{
    int delegated_fd = find_delegated(), fd = delegated_fd < 0 ? -1 : open_daemons(delegated_fd);

    if (fd >= 0) {
        write_number_at(fd, "cgroup.procs", getpid());
        close(fd);
    }
    if (delegated_fd >= 0)
        close(delegated_fd);
}

/* Whether the workers' can be bounded.  Where others are in the cgroup, too, it cannot hand the controller on. */
static bool bound(const struct cgroups *cgroups)
{
    int fd = open_daemons(cgroups->fd);

    if (fd < 0)
        return false;
    write_number_at(fd, "cgroup.procs", cgroups->daemon_pid);
    write_number_at(fd, "cgroup.procs", getpid());
    close(fd);
    return write_at(cgroups->fd, "cgroup.subtree_control", "+pids");
}

/* Each of the workers' there; `kill` those of this daemon first. */
static void remove_all(const struct cgroups *cgroups, bool kill, unsigned *left_out)
{
    int copy = openat(cgroups->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    char ours[NAME_SIZE];
    const struct dirent *entry;

    *left_out = 0;
    snprintf(ours, sizeof ours, "worker-%d-", (int)cgroups->daemon_pid);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[NAME_MAX + sizeof "/cgroup.kill"];
        bool is_ours = strncmp(entry->d_name, ours, strlen(ours)) == 0;

        if (strncmp(entry->d_name, "worker-", 7) != 0)
            continue;
        snprintf(path, sizeof path, "%s/cgroup.kill", entry->d_name);
        if (kill && is_ours)
            write_at(cgroups->fd, path, "1");
        if (unlinkat(cgroups->fd, entry->d_name, AT_REMOVEDIR) < 0 && is_ours)
            (*left_out)++;
    }
    if (folder != NULL)
        closedir(folder);
    else if (copy >= 0)
        close(copy);
}

void cgroups_open(struct cgroups *cgroups, pid_t daemon_pid)
{
    *cgroups = (struct cgroups){.fd = find_delegated(), .daemon_pid = daemon_pid};
    if (cgroups->fd < 0)
        return;
    remove_all(cgroups, true, &cgroups->pending);
    cgroups->bounded = bound(cgroups);
    log_write(LOG_INFO, "workers have control groups",
              LOG_FIELDS(log_number("processes_max", cgroups->bounded ? CGROUP_PROCESS_COUNT_MAX : 0)));
}

void cgroups_close(struct cgroups *cgroups)
{
    if (cgroups->fd < 0)
        return;
    remove_all(cgroups, true, &cgroups->pending);
    close(cgroups->fd);
    *cgroups = CGROUPS_NONE;
}

/* ---- a worker's ---- */

int cgroups_make(struct cgroups *cgroups, uint64_t worker_id)
{
    char name[NAME_SIZE];
    int fd;

    if (cgroups->fd < 0)
        return -1;
    name_worker(cgroups, worker_id, name);
    if (mkdirat(cgroups->fd, name, 0755) < 0)
        return -1;
    fd = openat(cgroups->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && cgroups->bounded && !write_number_at(fd, "pids.max", CGROUP_PROCESS_COUNT_MAX))
        log_write(LOG_WARN, "a worker's processes are not bounded", LOG_FIELDS(log_text("cause", strerror(errno))));
    return fd;
}

void cgroups_kill(const struct cgroups *cgroups, uint64_t worker_id)
{
    char name[NAME_SIZE], path[NAME_SIZE + sizeof "/cgroup.kill"];

    if (cgroups->fd < 0)
        return;
    name_worker(cgroups, worker_id, name);
    snprintf(path, sizeof path, "%s/cgroup.kill", name);
    write_at(cgroups->fd, path, "1"); /* there may be none: then the process group has to do */
}

void cgroups_remove(struct cgroups *cgroups, uint64_t worker_id)
{
    char name[NAME_SIZE];

    if (cgroups->fd < 0)
        return;
    name_worker(cgroups, worker_id, name);
    if (unlinkat(cgroups->fd, name, AT_REMOVEDIR) < 0 && errno == EBUSY)
        cgroups->pending++;
}

/* Those of living workers refuse to be removed, and are counted again. */
void cgroups_tidy(struct cgroups *cgroups)
{
    if (cgroups->fd >= 0 && cgroups->pending > 0)
        remove_all(cgroups, false, &cgroups->pending);
}
