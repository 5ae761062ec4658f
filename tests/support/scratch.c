#include "tests/support/scratch.h"

#include "server/base/clock.h"
#include "tests/support/patience.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOLD_SIZE_MAX = 16384 }; /* of the daemon's standard error */

/* ---- the keeper ---- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    remove(path);
    return 0;
}

static void remove_all(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The end of what the daemon wrote to its standard error. */
static void tell(const char *path)
{
    char file_path[SCRATCH_PATH_SIZE + 16], text[TOLD_SIZE_MAX];
    ssize_t size;
    int fd;

    snprintf(file_path, sizeof file_path, "%s/stderr", path);
    fd = open(file_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (lseek(fd, -TOLD_SIZE_MAX, SEEK_END) < 0)
        lseek(fd, 0, SEEK_SET);
    size = read(fd, text, sizeof text);
    close(fd);
    if (size > 0) {
        fprintf(stderr, "---- the daemon of %s said:\n%.*s----\n", path, (int)size, text);
        fflush(stderr);
    }
}

static void keep(const char *path, int fd)
{
    char byte;
    ssize_t count;

    setpgid(0, 0); /* Check ends a test that takes too long with its whole group */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    do
        count = read(fd, &byte, 1);
    while (count < 0 && errno == EINTR);
    if (count == 0)
        tell(path); /* no goodbye */
    remove_all(path);
    _exit(0);
}

void scratch_open(struct scratch *scratch)
{
    const char *parent = getenv("TMPDIR");
    int ends[2];
    int size = snprintf(scratch->path, sizeof scratch->path, "%s/probed-XXXXXX", parent == NULL ? "/tmp" : parent);

    ck_assert_int_lt(size, (int)sizeof scratch->path);
    ck_assert_ptr_nonnull(mkdtemp(scratch->path));
    ck_assert_int_eq(chmod(scratch->path, 0755), 0); /* homes of others are in it, too */
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    scratch->keeper = fork();
    ck_assert_int_ge(scratch->keeper, 0);
    if (scratch->keeper == 0) {
        close(ends[1]);
        keep(scratch->path, ends[0]);
    }
    close(ends[0]);
    scratch->keeper_fd = ends[1];
    /* Whoever loses its parent becomes ours: nothing that is left behind can hide. */
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

void scratch_close(struct scratch *scratch)
{
    ck_assert_int_eq(write(scratch->keeper_fd, "k", 1), 1);
    close(scratch->keeper_fd);
    ck_assert_int_eq(waitpid(scratch->keeper, NULL, 0), scratch->keeper);
}

/* ---- homes ---- */

static void join(char *path, const struct home *home, const char *file)
{
    ck_assert_int_lt(snprintf(path, HOME_PATH_SIZE, "%s/%s", home->path, file), HOME_PATH_SIZE);
}

void home_create(struct home *home, const struct scratch *scratch, const char *name)
{
    char gate[HOME_PATH_SIZE];

    *home = (struct home){.gate_fd = -1};
    snprintf(home->path, sizeof home->path, "%s/%s", scratch->path, name);
    ck_assert_int_eq(mkdir(home->path, 0700), 0);
    join(gate, home, "gate");
    ck_assert_int_eq(mkfifo(gate, 0600), 0);
    home_write(home, "credential", "one");
}

void home_write(const struct home *home, const char *file, const char *text)
{
    char path[HOME_PATH_SIZE], temporary[HOME_PATH_SIZE];
    FILE *stream;

    join(path, home, file);
    join(temporary, home, "temporary");
    stream = fopen(temporary, "we");
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_ge(fputs(text, stream), 0);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_int_eq(rename(temporary, path), 0);
}

void home_open_gate(struct home *home, size_t count)
{
    char path[HOME_PATH_SIZE];

    if (home->gate_fd < 0) {
        join(path, home, "gate");
        home->gate_fd = open(path, O_RDWR | O_CLOEXEC); /* both ends: no open waits for the other, no end of file */
        ck_assert_int_ge(home->gate_fd, 0);
    }
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(write(home->gate_fd, "g", 1), 1);
}

static FILE *open_log(const struct home *home)
{
    char path[HOME_PATH_SIZE];

    join(path, home, "log");
    return fopen(path, "re");
}

static bool begins_with(const char *line, const char *word)
{
    size_t size = strlen(word);

    return strncmp(line, word, size) == 0 && line[size] == ' ';
}

size_t home_count(const struct home *home, const char *word)
{
    char line[512];
    size_t count = 0;
    FILE *log = open_log(home);

    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        count += begins_with(line, word);
    if (log != NULL)
        fclose(log);
    return count;
}

void home_wait(const struct home *home, const char *word, size_t count)
{
    struct pollfd changed = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    char events[4096];

    ck_assert_int_ge(changed.fd, 0);
    ck_assert_int_ge(inotify_add_watch(changed.fd, home->path, IN_MODIFY), 0);
    while (home_count(home, word) < count) { /* after the watch is there: no change is missed */
        ck_assert_msg(clock_now_ns() < due_ns, "%zu times \"%s\" instead of %zu", home_count(home, word), word, count);
        poll(&changed, 1, 100);
        while (read(changed.fd, events, sizeof events) > 0)
            continue;
    }
    close(changed.fd);
}

size_t home_processes(const struct home *home, pid_t *pids)
{
    char line[512];
    size_t count = 0;
    FILE *log = open_log(home);

    while (log != NULL && count < HOME_PROCESS_COUNT_MAX && fgets(line, sizeof line, log) != NULL)
        count += sscanf(line, "start %d", &pids[count]) == 1;
    if (log != NULL)
        fclose(log);
    return count;
}
