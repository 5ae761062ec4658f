/* Starting and ending the custodian process, see link.h. */
#include "server/custody/link.h"

#include "server/base/invariant.h"
#include "server/custody/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void must(int error)
{
    INVARIANT(error == 0);
}

/* Program and arguments as one vector; NULL when memory is short. */
static char **make_argv(const char *program, const char *const *arguments)
{
    size_t count = 0;
    char **argv;

    while (arguments[count] != NULL)
        count++;
    argv = calloc(count + 2, sizeof *argv);
    if (argv == NULL)
        return NULL;
    /* posix_spawn promises not to write to them; its type is older than const. */
    memcpy(argv, &program, sizeof program);
    memcpy(argv + 1, arguments, count * sizeof *argv);
    return argv;
}

/* Its own session, so that a terminal's Ctrl-C reaches the daemon alone, who decides what follows. */
static int spawn(const char *program, char **argv, int socket, pid_t *pid_out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    must(posix_spawnattr_init(&attributes));
    must(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    must(posix_spawnattr_setsigmask(&attributes, &none));
    must(posix_spawnattr_setsigdefault(&attributes, &all));
    must(posix_spawn_file_actions_init(&actions));
    /* The socket first: where the daemon was started without standard descriptors it may be one of 0 and 1. */
    error = posix_spawn_file_actions_adddup2(&actions, socket, PROTOCOL_SOCKET_FD);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(&actions, PROTOCOL_SOCKET_FD + 1);
    if (error == 0)
        error = posix_spawn(pid_out, program, &actions, &attributes, argv, environ);
    must(posix_spawn_file_actions_destroy(&actions));
    must(posix_spawnattr_destroy(&attributes));
    return error;
}

struct status link_open(const char *program, const char *const *arguments, struct link *link_out)
{
    char **argv = make_argv(program, arguments);
    int ends[2], error;
    pid_t pid;
    int pidfd;

    if (argv == NULL)
        return status_make(STATUS_UNAVAILABLE, "cannot start the custodian %s: no memory", program);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        error = errno;
        goto free_argv;
    }
    error = spawn(program, argv, ends[1], &pid);
    if (error != 0)
        goto close_ends;
    pidfd = pidfd_open(pid, 0); /* nobody else reaps it: the pid is still its own */
    if (pidfd < 0) {
        error = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        goto close_ends;
    }
    close(ends[1]);
    free(argv);
    *link_out = (struct link){.socket = ends[0], .pidfd = pidfd, .pid = pid};
    return status_ok();

close_ends:
    close(ends[0]);
    close(ends[1]);
free_argv:
    free(argv);
    return status_make(STATUS_UNAVAILABLE, "cannot start the custodian %s: %s", program, strerror(error));
}

void link_hang_up(struct link *link)
{
    if (link->socket >= 0)
        shutdown(link->socket, SHUT_WR);
}

void link_close_socket(struct link *link)
{
    if (link->socket >= 0)
        close(link->socket);
    link->socket = -1;
}

void link_kill(struct link *link)
{
    if (link->pidfd >= 0)
        pidfd_send_signal(link->pidfd, SIGKILL, NULL, 0);
}

/* Waits for its end, which is near. */
static siginfo_t reap(struct link *link)
{
    siginfo_t end = {0};
    int error;

    do {
        error = waitid(P_PIDFD, (id_t)link->pidfd, &end, WEXITED) < 0 ? errno : 0;
    } while (error == EINTR);
    INVARIANT(error == 0);
    link_leave(link);
    return end;
}

struct status link_reap(struct link *link)
{
    siginfo_t end = reap(link);

    if (end.si_code == CLD_EXITED)
        return status_make(STATUS_UNAVAILABLE, "the custodian exited with status %d", end.si_status);
    return status_make(STATUS_UNAVAILABLE, "the custodian was killed by signal %d (%s)", end.si_status,
                       strsignal(end.si_status));
}

void link_discard(struct link *link)
{
    link_kill(link);
    reap(link);
}

void link_leave(struct link *link)
{
    link_close_socket(link);
    if (link->pidfd >= 0)
        close(link->pidfd);
    *link = LINK_NONE;
}
