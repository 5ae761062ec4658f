#include "tests/support/process.h"

#include "server/base/clock.h"
#include "tests/support/patience.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 64 };

size_t process_fd_count(pid_t pid)
{
    char path[PATH_SIZE];
    size_t count = 0;
    DIR *directory;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

void process_wait_fd_count(pid_t pid, size_t count_max)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    size_t count;

    while (count = process_fd_count(pid), count > count_max) {
        ck_assert_msg(clock_now_ns() < due_ns, "%zu descriptors instead of %zu", count, count_max);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static size_t count_watches(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[256];
    size_t count = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += strncmp(line, "inotify wd:", 11) == 0;
    if (file != NULL)
        fclose(file);
    return count;
}

size_t process_watch_count(pid_t pid)
{
    char path[PATH_SIZE + 300];
    size_t count = 0;
    DIR *directory;

    snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)pid);
    directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%s", (int)pid, entry->d_name);
        count += entry->d_name[0] == '.' ? 0 : count_watches(path);
    }
    closedir(directory);
    return count;
}

size_t process_private_kib(pid_t pid)
{
    char path[PATH_SIZE], line[256];
    size_t total = 0, kib;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Private_Clean: %zu kB", &kib) == 1 || sscanf(line, "Private_Dirty: %zu kB", &kib) == 1)
            total += kib;
    }
    fclose(file);
    return total;
}

size_t process_heap_size(void)
{
    return mallinfo2().uordblks;
}

/* Those that each of its threads has. */
size_t process_children(pid_t pid, pid_t *children, size_t count_max)
{
    char path[PATH_SIZE + 300];
    size_t count = 0;
    DIR *threads;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    threads = opendir(path);
    for (const struct dirent *entry; threads != NULL && (entry = readdir(threads)) != NULL;) {
        FILE *file;
        int child;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, entry->d_name);
        file = fopen(path, "re");
        while (file != NULL && fscanf(file, "%d", &child) == 1) {
            if (count < count_max)
                children[count] = child;
            count++;
        }
        if (file != NULL)
            fclose(file);
    }
    if (threads != NULL)
        closedir(threads);
    return count;
}

/* One word of /proc/<pid>/stat: the name (in brackets, cut at 15 bytes) and the state. */
static bool read_stat(pid_t pid, char name_out[16], char *state_out)
{
    char path[PATH_SIZE];
    FILE *file;
    bool read;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    read = fscanf(file, "%*d (%15[^)]) %c", name_out, state_out) == 2;
    fclose(file);
    return read;
}

pid_t process_child_named(pid_t pid, const char *name)
{
    pid_t children[256], found = -1;
    size_t count = process_children(pid, children, 256);
    char given[16], state;

    for (size_t i = 0; i < count && i < 256; i++) {
        if (read_stat(children[i], given, &state) && strncmp(given, name, 15) == 0) {
            ck_assert_int_eq(found, -1);
            found = children[i];
        }
    }
    return found;
}

bool process_runs(pid_t pid)
{
    char name[16], state;

    return read_stat(pid, name, &state) && state != 'Z' && state != 'X';
}

int process_as(uid_t uid, int (*act)(void *context), void *context)
{
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
            _exit(126);
        _exit(act(context));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 126, "a child of uid %u ended with status %#x",
                  (unsigned)uid, (unsigned)status);
    return WEXITSTATUS(status);
}

/* ---- memory ---- */

enum { CHUNK_SIZE = 1 << 20 };

static size_t count_in(const char *text, size_t text_size, const void *bytes, size_t size)
{
    const char *at = text, *end = text + text_size;
    size_t count = 0;

    while ((at = memmem(at, (size_t)(end - at), bytes, size)) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* Chunks overlap by what is looked for less one byte, so that nothing is cut in two, or counted twice. */
static size_t count_in_mapping(int fd, uint64_t first, uint64_t end, const void *bytes, size_t size)
{
    static char chunk[CHUNK_SIZE];
    size_t count = 0;

    while (first < end) {
        size_t wanted = end - first < sizeof chunk ? (size_t)(end - first) : sizeof chunk;
        ssize_t got = pread(fd, chunk, wanted, (off_t)first);

        if (got < (ssize_t)size)
            break; /* a guard page, or the end */
        count += count_in(chunk, (size_t)got, bytes, size);
        first += (uint64_t)got - (first + (uint64_t)got < end ? size - 1 : 0);
    }
    return count;
}

size_t process_memory_count(pid_t pid, const void *bytes, size_t size)
{
    char path[64], line[512], rights[5];
    uint64_t first, end;
    size_t count = 0;
    FILE *maps;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_ptr_nonnull(maps);
    ck_assert_int_ge(fd, 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &first, &end, rights) == 3 && rights[0] == 'r' &&
            strstr(line, "[v") == NULL)
            count += count_in_mapping(fd, first, end, bytes, size);
    }
    fclose(maps);
    close(fd);
    return count;
}

/* ---- programs ---- */

void process_copy_program(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

    ck_assert_msg(in >= 0 && out >= 0, "%s to %s: %s", from, to, strerror(errno));
    ck_assert_int_eq(fchmod(out, 0755), 0);
    while (sendfile(out, in, NULL, 1 << 20) > 0)
        continue;
    ck_assert_int_eq((int)lseek(in, 0, SEEK_CUR), (int)lseek(out, 0, SEEK_CUR));
    close(in);
    close(out);
}
