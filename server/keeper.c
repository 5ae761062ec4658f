/* The keeper, see keeper.h. */
#include "server/keeper.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/custody/custodian/cgroup.h"
#include "server/custody/offspring.h"
#include "server/homes/far_walk.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SWEEP_MS = 5, SWEEP_MS_MAX = 2000 }; /* between two looks at what is left, and for how long */

struct keeper {
    pid_t daemon_pid; /* 0: it has ended */
    int exit_status;
    int signal_fd, socket, notices; /* -1: the daemon has let go of it */
    const struct manager *manager;  /* lent */
    struct walk_rules rules;
};

struct status keeper_find_user(const char *user, struct keeper_user *user_out)
{
    const struct passwd *entry = getpwnam(user);
    char *end;
    unsigned long number = strtoul(user, &end, 10);

    if (geteuid() != 0)
        return status_make(STATUS_FAILED_PRECONDITION, "server.user: only root can become somebody else");
    if (entry == NULL && *end == '\0')
        entry = getpwuid((uid_t)number);
    *user_out = (struct keeper_user){.uid = (uid_t)number, .gid = (gid_t)number};
    if (entry != NULL) {
        *user_out = (struct keeper_user){.uid = entry->pw_uid, .gid = entry->pw_gid};
        snprintf(user_out->name, sizeof user_out->name, "%s", entry->pw_name);
    } else if (*end != '\0') {
        return status_make(STATUS_INVALID_ARGUMENT, "server.user: there is no user %.32s", user);
    }
    return status_ok();
}

/* ---- the keeper's loop ---- */

static void daemon_ended(struct keeper *keeper, int wait_status)
{
    keeper->daemon_pid = 0;
    keeper->exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : EXIT_FAILURE;
    if (WIFSIGNALED(wait_status))
        log_write(LOG_ERROR, "the daemon was killed", LOG_FIELDS(log_text("by", strsignal(WTERMSIG(wait_status)))));
}

/* Children that looked, or that the daemon or its custodian left. */
static void reap(struct keeper *keeper)
{
    int wait_status;
    pid_t pid;

    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        if (pid == keeper->daemon_pid)
            daemon_ended(keeper, wait_status);
    }
}

/* What the service manager wants of us is meant for the daemon. */
static void take_signal(struct keeper *keeper)
{
    struct signalfd_siginfo info;

    if (read(keeper->signal_fd, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGCHLD &&
        keeper->daemon_pid > 0)
        kill(keeper->daemon_pid, (int)info.ssi_signo);
    reap(keeper);
}

static void let_go(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void keep(struct keeper *keeper)
{
    while (keeper->daemon_pid > 0) {
        struct pollfd fds[] = {{.fd = keeper->signal_fd, .events = POLLIN},
                               {.fd = keeper->socket, .events = POLLIN},
                               {.fd = keeper->notices, .events = POLLIN}};

        if (poll(fds, sizeof fds / sizeof fds[0], -1) < 0)
            continue;
        if (fds[2].revents != 0 && !manager_relay(keeper->manager, keeper->notices))
            let_go(&keeper->notices);
        if (fds[1].revents != 0 && !far_walk_serve(keeper->socket, &keeper->rules))
            let_go(&keeper->socket);
        if (fds[0].revents != 0)
            take_signal(keeper);
    }
}

/* Workers' children that left their group, a look that hangs: all of them are ours by now. */
static void sweep(void)
{
    uint64_t due_ns = clock_now_ns() + SWEEP_MS_MAX * NS_PER_MS;

    while (offspring_kill(0) > 0 && clock_now_ns() < due_ns) {
        poll(NULL, 0, SWEEP_MS);
        offspring_reap(0);
    }
    offspring_reap(0);
}

/* ---- parting ---- */

static struct status failed(const char *what)
{
    return status_make(STATUS_UNAVAILABLE, "server.user: %s: %s", what, strerror(errno));
}

static struct status prepare(struct keeper *keeper, const struct homes_settings *homes, int looks[2], int notices[2])
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    keeper->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (keeper->signal_fd < 0)
        return failed("signalfd");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return failed("subreaper");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, looks) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, notices) < 0)
        return failed("socketpair");
    return walk_rules_init(homes, &keeper->rules);
}

/* Without its keeper nobody would remove what it leaves.  The kernel forgets this when the uid changes. */
static bool bind_to_keeper(pid_t keeper_pid)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == keeper_pid;
}

/* The daemon's side of the fork. */
static struct status leave_keeper(struct keeper *keeper, pid_t keeper_pid, const int looks[2], const int notices[2],
                                  struct manager *manager, int *socket_out)
{
    close(looks[0]);
    close(notices[0]);
    close(keeper->signal_fd);
    walk_rules_fini(&keeper->rules);
    manager_speak_through(manager, notices[1]);
    *socket_out = looks[1];
    return bind_to_keeper(keeper_pid) ? status_ok() : failed("the keeper has ended");
}

struct status keeper_part(const struct homes_settings *homes, struct manager *manager, int *socket_out,
                          int *exit_status_out)
{
    struct keeper keeper = {.socket = -1, .notices = -1, .manager = manager};
    int looks[2] = {-1, -1}, notices[2] = {-1, -1};
    struct status status = prepare(&keeper, homes, looks, notices);
    pid_t own = getpid();

    if (!status_is_ok(&status))
        return status;
    cgroups_step_down();
    keeper.daemon_pid = fork();
    if (keeper.daemon_pid < 0)
        return failed("fork");
    if (keeper.daemon_pid == 0)
        return leave_keeper(&keeper, own, looks, notices, manager, socket_out);
    close(looks[1]);
    close(notices[1]);
    keeper.socket = looks[0];
    keeper.notices = notices[0];
    keep(&keeper);
    sweep();
    let_go(&keeper.socket);
    let_go(&keeper.notices);
    close(keeper.signal_fd);
    walk_rules_fini(&keeper.rules);
    *socket_out = -1;
    *exit_status_out = keeper.exit_status;
    return status_ok();
}

/* ---- giving up ---- */

struct status keeper_give_up_root(const struct keeper_user *user)
{
    pid_t keeper_pid = getppid();

    if ((user->name[0] != '\0' ? initgroups(user->name, user->gid) : setgroups(0, NULL)) < 0 ||
        setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
        return failed("cannot become that user");
    if (setresuid(0, 0, 0) == 0)
        return status_make(STATUS_INTERNAL, "server.user: root could be taken back");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return bind_to_keeper(keeper_pid) ? status_ok() : failed("the keeper has ended");
}
