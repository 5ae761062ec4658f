#include "client/probeload/selfhost.h"

#include "client/probeload/clock.h"
#include "client/probeload/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    START_S_MAX = 20,
    STOP_S_MAX = 15, /* the daemon drains for ten by default */
    WORD_COUNT_MAX = 128,
    LOOK_MS = 5, /* how often we look whether it serves already */
    FOLDER_DEPTH_MAX = 16,
};

extern char **environ;

static struct probed_status failure(const char *format, ...) PRINTF_LIKE(1, 2);

static struct probed_status failure(const char *format, ...)
{
    struct probed_status status = {.code = PROBED_UNAVAILABLE};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(status.message, sizeof status.message, format, arguments);
    va_end(arguments);
    return status;
}

static const struct probed_status ok = {.code = PROBED_OK};

/* ---- the folder ---- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    remove(path); /* what can't be removed is left, and its folder with it */
    return 0;
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t size = (ssize_t)strlen(text);
    bool written = fd >= 0 && write(fd, text, (size_t)size) == size;

    return fd >= 0 && close(fd) == 0 && written;
}

static bool make_home(struct selfhost *host, size_t index)
{
    char path[PATH_MAX], line[128];

    snprintf(path, sizeof path, "%s/home-%04zu", host->folder, index);
    host->homes[index] = strdup(path);
    if (host->homes[index] == NULL || mkdir(path, 0700) != 0)
        return false;
    snprintf(path, sizeof path, "%s/home-%04zu/.env", host->folder, index);
    snprintf(line, sizeof line, "%s=%s\n", STATEMENT_SECRET_ENV, host->secret);
    return write_file(path, line);
}

static bool make_secret(char out[40])
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static bool make_folder(struct selfhost *host, size_t home_count)
{
    const char *above = getenv("TMPDIR");
    char folder[sizeof host->folder];

    /* A socket's path is short. */
    if (above == NULL || snprintf(folder, sizeof folder, "%s/probeload-XXXXXX", above) >= (int)sizeof folder)
        strcpy(folder, "/tmp/probeload-XXXXXX");
    if (!make_secret(host->secret) || mkdtemp(folder) == NULL)
        return false;
    strcpy(host->folder, folder);
    snprintf(host->url, sizeof host->url, "ipc://%s/rpc.sock", folder);
    snprintf(host->events_url, sizeof host->events_url, "ipc://%s/events.sock", folder);
    host->homes = calloc(home_count + 1, sizeof *host->homes);
    if (host->homes == NULL)
        return false;
    for (host->home_count = 0; host->home_count < home_count; host->home_count++) {
        if (!make_home(host, host->home_count))
            return false;
    }
    return true;
}

/* ---- the daemon ---- */

/* Programs stand beside ours. */
static bool program_path(const char *name, char out[PATH_MAX])
{
    char own[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    char *slash;

    if (size <= 0)
        return false;
    own[size] = '\0';
    slash = strrchr(own, '/');
    return slash != NULL && snprintf(out, PATH_MAX, "%.*s/%s", (int)(slash - own), own, name) < PATH_MAX &&
           access(out, X_OK) == 0;
}

/* The caller's settings in the environment are for its own daemon. */
static void drop_settings(void)
{
    for (char **entry = environ; *entry != NULL;) {
        char name[128];

        if (strncmp(*entry, "PROBED_", 7) == 0 &&
            snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry) < (int)sizeof name &&
            unsetenv(name) == 0)
            entry = environ; /* they have moved */
        else
            entry++;
    }
}

/* Never returns. */
static void become_daemon(const char *const *words, pid_t parent)
{
    setpgid(0, 0); /* an interrupt from the terminal is for us, who end it in order */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    drop_settings();
    execv(words[0], (char *const *)(uintptr_t)words);
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, words[0], strerror(errno));
    _exit(127);
}

static struct probed_status start_daemon(struct selfhost *host, const struct selfhost_plan *plan)
{
    char program[PATH_MAX], worker[PATH_MAX], command[PATH_MAX + 64];
    const char *words[WORD_COUNT_MAX] = {
        program, "--server-listen", host->url, "--server-publish", host->events_url, "--worker-command",
        command, "--log-level",     "warn"};
    size_t count = 9;
    pid_t parent = getpid();

    if (!program_path("probed", program) || !program_path("probeload-worker", worker))
        return failure("probed and probeload-worker must stand beside probeload: %s", strerror(errno));
    snprintf(command, sizeof command, "'%s' --delay %u", worker, plan->worker_delay_ms);
    for (size_t i = 0; plan->words != NULL && plan->words[i] != NULL && count < WORD_COUNT_MAX - 1; i++)
        words[count++] = plan->words[i];
    host->pid = fork();
    if (host->pid == 0)
        become_daemon(words, parent);
    if (host->pid < 0) {
        host->pid = 0;
        return failure("cannot start probed: %s", strerror(errno));
    }
    return ok;
}

/* Whether it has ended, within this time; it is reaped then. */
static bool has_ended(struct selfhost *host, uint64_t within_ns)
{
    struct timespec pause = timespec_of(LOOK_MS * NS_PER_MS);
    uint64_t deadline_ns = now_ns() + within_ns;

    while (waitpid(host->pid, NULL, WNOHANG) == 0) {
        if (now_ns() >= deadline_ns)
            return false;
        nanosleep(&pause, NULL);
    }
    host->pid = 0;
    return true;
}

static struct probed_status await_service(struct selfhost *host)
{
    struct probed_channel_options options = {.url = host->url};
    struct probed_channel *channel;
    struct probed_status status = probed_channel_open(&options, &channel);
    uint64_t deadline_ns = now_ns() + START_S_MAX * NS_PER_S;
    bool serving = false;

    if (status.code != PROBED_OK)
        return status;
    while (!serving) {
        status = probed_health(channel, NULL, NULL, &serving);
        if (status.code == PROBED_OK && serving)
            break;
        if (has_ended(host, LOOK_MS * NS_PER_MS)) {
            status = failure("probed ended before it served; what it said stands above");
            break;
        }
        if (now_ns() >= deadline_ns) {
            status = failure("probed does not serve after %d s", START_S_MAX);
            break;
        }
    }
    probed_channel_close(channel);
    return status;
}

struct probed_status selfhost_start(struct selfhost *host, const struct selfhost_plan *plan)
{
    struct probed_status status;

    *host = (struct selfhost){0};
    if (make_folder(host, plan->home_count))
        status = start_daemon(host, plan);
    else
        status = failure("cannot make a folder with %zu homes: %s", plan->home_count, strerror(errno));
    if (status.code == PROBED_OK)
        status = await_service(host);
    if (status.code != PROBED_OK)
        selfhost_stop(host);
    return status;
}

void selfhost_stop(struct selfhost *host)
{
    if (host->pid > 0) {
        kill(host->pid, SIGTERM);
        if (!has_ended(host, STOP_S_MAX * NS_PER_S)) {
            kill(host->pid, SIGKILL);
            waitpid(host->pid, NULL, 0);
        }
    }
    for (size_t i = 0; host->homes != NULL && host->homes[i] != NULL; i++)
        free(host->homes[i]);
    free(host->homes);
    if (host->folder[0] != '\0')
        nftw(host->folder, remove_one, FOLDER_DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
    *host = (struct selfhost){0};
}
