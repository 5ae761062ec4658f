/* Starting a worker, see spawn.h. */
#include "server/custody/custodian/spawn.h"

#include "proto/compiler.h"
#include "server/custody/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, EXIT_NOT_STARTED = 127 };

extern char **environ;

/* What the child has at hand.  The strings are in its own copy of memory, which exec gives back to the kernel. */
struct child {
    const struct spawn_plan *plan;
    pid_t custodian_pid;
    int request_fd, answer_fd, error_fd; /* to become 0, 1, 2 */
    int home_fd, word_fd;                /* needed until exec, which closes them */
    int cgroup_fd;                       /* to move into; -1: it is there, or there is none */
    char home[PATH_SIZE];                /* the path of home_fd */
    char **environment;                  /* with the home's `.env` */
    char **handed;                       /* what the program has of it */
    enum environment_file file;
    char **programs; /* where the program may lie, NULL at the end */
};

/* ---- the steps: 0 or errno ---- */

/* The kernel forgets this when the uid changes, so it is a step twice. */
static int bind_to_parent(struct child *child)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return errno;
    return getppid() == child->custodian_pid ? 0 : ESRCH; /* it died before the kernel was told to look */
}

/* Where it was forked, it moves by itself, before it starts anything.  One that may not move does without: its process
 * group is killed in any case. */
static int enter_cgroup(struct child *child)
{
    int fd = child->cgroup_fd < 0 ? -1 : openat(child->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    if (write(fd, "0", 1) < 0)
        child->cgroup_fd = -1;
    close(fd);
    return 0;
}

/* A session of its own is a process group of its own, without a controlling terminal. */
static int leave_session(struct child *child)
{
    (void)child;
    return setsid() < 0 ? errno : 0;
}

/* 0, 1 and 2 are the worker's; of the custodian's nothing is left open, however long the next steps take. */
static int take_descriptors(struct child *child)
{
    unsigned low = (unsigned)child->home_fd, high = (unsigned)child->word_fd;

    if (dup2(child->request_fd, STDIN_FILENO) < 0 || dup2(child->answer_fd, STDOUT_FILENO) < 0 ||
        dup2(child->error_fd, STDERR_FILENO) < 0)
        return errno;
    if (low > high) {
        low = (unsigned)child->word_fd;
        high = (unsigned)child->home_fd;
    }
    /* An empty range is an error to the kernel, and none to us. */
    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    return close_range(high + 1, ~0u, 0) < 0 ? errno : 0;
}

/* As a program expects them.  By the bare system call: libc hides the two signals that it keeps for itself, and whoever
 * started the daemon may have left them ignored.  From here on TERM ends the child, wherever it hangs. */
static int reset_signals(struct child *child)
{
    const unsigned long standard[4] = {0}; /* the kernel's struct sigaction: SIG_DFL, no flags, no restorer, no mask */
    sigset_t none;

    (void)child;
    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, standard, NULL, sizeof(uint64_t)); /* KILL and STOP refuse, being so */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? errno : 0;
}

static int set_limits(struct child *child)
{
    const struct rlimit no_core = {0, 0};

    umask(077);
    /* Not dumpable: until exec, which ends that, its memory holds what the `.env` says, and may be its owner's already;
     * no other process of theirs may look in. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
        setrlimit(RLIMIT_NOFILE, &child->plan->file_limit) < 0)
        return errno;
    return 0;
}

/* A worker that is woken does not push aside who runs (sched(7)): what it waits for takes long, the calls that are
 * answered meanwhile do not.  Where the administrator chose another policy it keeps that. */
static int become_batch(struct child *child)
{
    const struct sched_param parameters = {.sched_priority = 0};

    (void)child;
    if (sched_getscheduler(0) == SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_BATCH, &parameters); /* refused by a sandbox: it is only slower */
    return 0;
}

/* The path at this moment; a directory that was removed has none. */
static int find_path(struct child *child)
{
    char link[64];
    struct stat home;
    ssize_t size;

    if (fstat(child->home_fd, &home) < 0)
        return errno;
    if (home.st_nlink == 0)
        return ENOENT;
    snprintf(link, sizeof link, "/proc/self/fd/%d", child->home_fd);
    size = readlink(link, child->home, sizeof child->home);
    if (size < 0)
        return errno;
    if ((size_t)size == sizeof child->home)
        return ENAMETOOLONG;
    child->home[size] = '\0';
    return 0;
}

/* The groups of the home's owner.  One who is in no user database has none, and the directory's gid, unless that is
 * root's: a directory may keep it by accident. */
static int take_groups(const struct stat *home)
{
    const gid_t nogroup = 65534;
    const struct passwd *owner = getpwuid(home->st_uid);
    gid_t gid = home->st_gid != 0 ? home->st_gid : nogroup;
    int result;

    if (owner != NULL) {
        gid = owner->pw_gid;
        result = initgroups(owner->pw_name, gid);
    } else {
        result = setgroups(0, NULL);
    }
    if (result < 0 || setresgid(gid, gid, gid) < 0)
        return errno;
    return 0;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
        return errno;
    return 0;
}

/* Run by root: the home's owner, who may be root; without capabilities in either case.  That exec gives uid 0 none back
 * is the doing of no_new_privs; emptying the bounding set as well needs CAP_SETPCAP, which a container may lack. */
static int become_owner(struct child *child)
{
    struct stat home;
    int error;

    if (geteuid() != 0)
        return drop_capabilities();
    if (fstat(child->home_fd, &home) < 0)
        return errno;
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    error = take_groups(&home);
    if (error != 0)
        return error;
    if (setresuid(home.st_uid, home.st_uid, home.st_uid) < 0)
        return errno;
    return drop_capabilities();
}

static int enter_home(struct child *child)
{
    return fchdir(child->home_fd) < 0 ? errno : 0;
}

static int renounce_privileges(struct child *child)
{
    (void)child;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
}

/* What HOME is: the home, or that of the home's owner where other tools' sign-ins may be read. */
static const char *user_home(const struct child *child)
{
    struct stat home;
    const struct passwd *owner = NULL;

    if (child->plan->foreign_credentials && fstat(child->home_fd, &home) == 0)
        owner = getpwuid(home.st_uid);
    return owner == NULL ? child->home : owner->pw_dir;
}

static int compose_environment(struct child *child)
{
    struct text text;

    child->file = environment_read(child->home_fd, &text);
    child->environment = environment_make(&child->plan->environment, environ, child->home, user_home(child), &text);
    text_wipe(&text);
    child->handed = child->environment;
    if (child->plan->dotenv_withheld)
        child->handed =
            environment_make(&child->plan->environment, environ, child->home, user_home(child), &TEXT_EMPTY);
    return child->environment == NULL || child->handed == NULL ? ENOMEM : 0;
}

/* ---- which program it is ---- */

static int add_program(struct child *child, size_t *count, const char *folder, size_t folder_size)
{
    char path[PATH_SIZE];
    int size = snprintf(path, sizeof path, "%.*s/%s", (int)folder_size, folder, child->plan->command[0]);

    if (size < 0 || (size_t)size >= sizeof path)
        return 0; /* too long to be there */
    child->programs[*count] = strdup(path);
    return child->programs[(*count)++] == NULL ? ENOMEM : 0;
}

/* As execvp looks, but no relative folder is searched: it would be relative to the home. */
static int search_program(struct child *child)
{
    const char *folder = child->plan->search_path;
    size_t count = 0;
    int error = 0;

    while (error == 0) {
        size_t size = strcspn(folder, ":");

        if (folder[0] == '/')
            error = add_program(child, &count, folder, size);
        if (folder[size] == '\0')
            break;
        folder += size + 1;
    }
    return error;
}

static int find_programs(struct child *child)
{
    const char *program = child->plan->command[0], *folder = child->plan->start_directory;
    size_t count_max = 2; /* one, and the end */

    for (const char *at = child->plan->search_path; *at != '\0'; at++)
        count_max += *at == ':';
    child->programs = calloc(count_max, sizeof *child->programs);
    if (child->programs == NULL)
        return ENOMEM;
    if (strchr(program, '/') == NULL)
        return search_program(child);
    if (program[0] != '/')
        return add_program(child, &(size_t){0}, folder, strlen(folder));
    child->programs[0] = strdup(program);
    return child->programs[0] == NULL ? ENOMEM : 0;
}

/* No file without a "#!" becomes a shell script.  The errno that tells most: of the last file that was there. */
static int run_program(struct child *child)
{
    int result = 0;

    for (char **program = child->programs; *program != NULL; program++) {
        execve(*program, child->plan->command, child->handed);
        if (result == 0 || (errno != ENOENT && errno != ENOTDIR))
            result = errno;
    }
    return result == 0 ? ENOENT : result;
}

/* ---- the seal ---- */

static int limit(struct child *child)
{
    return seal_limit(child->plan->seal);
}

static int confine(struct child *child)
{
    return seal_confine(child->plan->seal, &(struct seal_subject){.home_fd = child->home_fd,
                                                                  .programs = child->programs,
                                                                  .command = child->plan->command,
                                                                  .environment = child->environment,
                                                                  .inherited = environ,
                                                                  .user_home = user_home(child)});
}

static int filter(struct child *child)
{
    return seal_filter(child->plan->seal);
}

/* ---- all of them ---- */

static void say(const struct child *child, int32_t step, int error)
{
    struct spawn_word word = {.step = step, .error = error, .file = (int32_t)child->file};

    /* The pipe has room for many; and nobody is left to hear that nobody hears. */
    if (write(child->word_fd, &word, sizeof word) < 0)
        _exit(EXIT_NOT_STARTED);
}

static const struct {
    const char *name;
    int (*take)(struct child *child);
} steps[] = {
    {"parent", bind_to_parent},
    {"cgroup", enter_cgroup},
    {"session", leave_session},
    {"descriptors", take_descriptors},
    {"limits", set_limits},
    {"scheduling", become_batch},
    {"path", find_path},
    {"identity", become_owner},
    {"signals", reset_signals}, /* behind identity: libc may change uids with the help of one of its own signals */
    {"parent", bind_to_parent},
    {"home", enter_home},
    {"privileges", renounce_privileges},
    {"environment", compose_environment},
    {"program", find_programs},
    {"seal", limit},
    {"landlock", confine},
    {"seccomp", filter},   /* behind everything that it refuses */
    {"exec", run_program}, /* the last; does not come back when it succeeds */
};

enum { STEP_COUNT = sizeof steps / sizeof steps[0] };

const char *spawn_step_name(int32_t step)
{
    return step >= 0 && step < STEP_COUNT ? steps[step].name : "start";
}

NO_RETURN static void run_child(struct child *child)
{
    for (int32_t step = 0; step < STEP_COUNT; step++) {
        int error;

        if (step == STEP_COUNT - 1)
            say(child, step, 0);
        error = steps[step].take(child);
        if (error != 0) {
            say(child, step, error);
            break;
        }
    }
    _exit(EXIT_NOT_STARTED);
}

/* ---- the custodian's side ---- */

/* fork, with a pidfd in the same breath: there is no moment at which the child is known by a number alone, nor one at
 * which it is outside its cgroup. */
static pid_t clone_child(int cgroup_fd, int *pidfd_out)
{
    struct clone_args arguments = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd_out, .exit_signal = SIGCHLD};

#if SANITIZES_THREADS /* the sanitizer has a thread of its own, whose locks only libc's fork takes care of */
    errno = ENOSYS;
    return -1;
#endif
    if (cgroup_fd >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (unsigned)cgroup_fd;
    }
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

/* Where clone3 is forbidden (some containers answer ENOSYS). */
static pid_t fork_child(int *pidfd_out)
{
    pid_t pid = fork();

    if (pid <= 0)
        return pid;
    *pidfd_out = pidfd_open(pid, 0); /* we alone reap it, so the number is still its own */
    if (*pidfd_out < 0) {
        int error = errno;

        kill(pid, SIGKILL); /* and is reaped as one that nobody knows */
        errno = error;
        return -1;
    }
    return pid;
}

static int start_child(struct child *child, int cgroup_fd, struct spawned *spawned_out)
{
    int pidfd = -1;
    pid_t pid = clone_child(cgroup_fd, &pidfd);

    if (pid < 0 && cgroup_fd >= 0 && errno != EAGAIN && errno != ENOMEM && errno != ENOSYS)
        pid = clone_child(-1, &pidfd); /* what was delegated does not take it */
    if (pid < 0 && errno == ENOSYS) {
        child->cgroup_fd = cgroup_fd;
        pid = fork_child(&pidfd);
    }
    if (pid == 0)
        run_child(child);
    if (pid < 0)
        return errno;
    spawned_out->pid = (int32_t)pid;
    spawned_out->pidfd = pidfd;
    return 0;
}

int spawn_worker(const struct spawn_plan *plan, const int fds[ORDER_DESCRIPTOR_COUNT], int cgroup_fd,
                 struct spawned *spawned_out, const char **step_out)
{
    struct child child = {.plan = plan,
                          .custodian_pid = getpid(),
                          .request_fd = fds[ORDER_REQUEST],
                          .answer_fd = fds[ORDER_ANSWER],
                          .home_fd = fds[ORDER_HOME],
                          .cgroup_fd = -1};
    struct spawned spawned;
    int word[2], errors[2], error;

    *step_out = "pipe";
    error = descriptor_open_pipe(DESCRIPTOR_READS, word);
    if (error != 0)
        return error;
    error = descriptor_open_pipe(DESCRIPTOR_READS, errors);
    if (error != 0)
        goto close_word;
    child.word_fd = word[1];
    child.error_fd = errors[1];
    *step_out = "fork";
    error = start_child(&child, cgroup_fd, &spawned);
    if (error != 0)
        goto close_errors;
    close(word[1]);
    close(errors[1]);
    spawned.word_fd = word[0];
    spawned.error_fd = errors[0];
    *spawned_out = spawned;
    return 0;

close_errors:
    close(errors[0]);
    close(errors[1]);
close_word:
    close(word[0]);
    close(word[1]);
    return error;
}
