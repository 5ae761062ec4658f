/* escaper: a worker that tries to get out of its seal, on request.
 *
 * Each line it reads names an attempt and what it is about ("connect 8443"); it answers in one line: "done", or the
 * name of the errno that it was refused with.  What is asked of it is not the worker protocol: its tests hold its pipes
 * themselves. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

enum { ARGUMENT_COUNT_MAX = 2, EXIT_REFUSED = 100 };

/* What the kernel said to a call that gives a negative number when it fails. */
static int said(long result)
{
    return result < 0 ? errno : 0;
}

static int said_closing(int fd)
{
    int error = said(fd);

    if (fd >= 0)
        close(fd);
    return error;
}

/* ---- files ---- */

static int try_read(char *const *arguments)
{
    int fd = open(arguments[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = said(fd);
    char byte;

    if (fd >= 0) {
        error = said(read(fd, &byte, 1));
        close(fd);
    }
    return error;
}

static int try_list(char *const *arguments)
{
    DIR *folder = opendir(arguments[0]);

    if (folder == NULL)
        return errno;
    closedir(folder);
    return 0;
}

static int try_write(char *const *arguments)
{
    return said_closing(open(arguments[0], O_WRONLY | O_CLOEXEC));
}

static int try_create(char *const *arguments)
{
    return said_closing(open(arguments[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

static int try_truncate(char *const *arguments)
{
    return said(truncate(arguments[0], 0));
}

static int try_mkdir(char *const *arguments)
{
    return said(mkdir(arguments[0], 0700));
}

static int try_fifo(char *const *arguments)
{
    return said(mkfifo(arguments[0], 0600));
}

static int try_symlink(char *const *arguments)
{
    return said(symlink("somewhere", arguments[0]));
}

static int try_unlink(char *const *arguments)
{
    return said(unlink(arguments[0]));
}

static int try_rename(char *const *arguments)
{
    return said(rename(arguments[0], arguments[1]));
}

static int try_link(char *const *arguments)
{
    return said(link(arguments[0], arguments[1]));
}

static int try_chmod(char *const *arguments)
{
    return said(chmod(arguments[0], 0640));
}

static int try_chmodat2(char *const *arguments)
{
    return said(syscall(452, AT_FDCWD, arguments[0], 0640, 0));
}

static int try_chown(char *const *arguments)
{
    return said(chown(arguments[0], (uid_t)-1, (gid_t)-1));
}

static int try_times(char *const *arguments)
{
    return said(utimensat(AT_FDCWD, arguments[0], NULL, 0));
}

static int try_xattr(char *const *arguments)
{
    return said(setxattr(arguments[0], "user.escape", "x", 1, 0));
}

/* A device's own language: this one has none, and says ENOTTY. */
static int try_ioctl(char *const *arguments)
{
    struct termios settings;
    int fd = open(arguments[0], O_RDONLY | O_CLOEXEC), error = said(fd);

    if (fd >= 0) {
        error = said(ioctl(fd, TCGETS, &settings));
        close(fd);
    }
    return error;
}

static int status_of(pid_t child)
{
    int status;

    if (child < 0)
        return errno;
    if (waitpid(child, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int try_run(char *const *arguments)
{
    pid_t child = fork();

    if (child == 0) {
        execve(arguments[0], (char *[]){arguments[0], NULL}, (char *[]){NULL});
        _exit(errno);
    }
    return status_of(child);
}

/* ---- the network ---- */

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int connect_by(int kind, int protocol, const char *port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, kind | SOCK_CLOEXEC, protocol), error = said(fd);

    if (fd >= 0) {
        error = said(connect(fd, (const struct sockaddr *)&address, sizeof address));
        close(fd);
    }
    return error;
}

static int try_connect(char *const *arguments)
{
    return connect_by(SOCK_STREAM, 0, arguments[0]);
}

static int try_connect_mptcp(char *const *arguments)
{
    return connect_by(SOCK_STREAM, IPPROTO_MPTCP, arguments[0]);
}

static int try_connect_fast(char *const *arguments)
{
    struct sockaddr_in address = loopback(arguments[0]);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = said(fd);

    if (fd >= 0) {
        error = said(sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&address, sizeof address));
        close(fd);
    }
    return error;
}

static int try_bind(char *const *arguments)
{
    struct sockaddr_in address = loopback(arguments[0]);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = said(fd);

    if (fd >= 0) {
        error = said(bind(fd, (const struct sockaddr *)&address, sizeof address));
        close(fd);
    }
    return error;
}

/* Without a bind before: the kernel chooses a port. */
static int try_listen(char *const *arguments)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = said(fd);

    (void)arguments;
    if (fd >= 0) {
        error = said(listen(fd, 1));
        close(fd);
    }
    return error;
}

/* To be told what happens in a directory: names, not contents. */
static int try_watch(char *const *arguments)
{
    int fd = inotify_init1(IN_CLOEXEC), error = said(fd);

    if (fd >= 0) {
        error = said(inotify_add_watch(fd, arguments[0], IN_ALL_EVENTS));
        close(fd);
    }
    return error;
}

static int try_udp(char *const *arguments)
{
    struct sockaddr_in address = loopback(arguments[0]);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = said(fd);

    if (fd >= 0) {
        error = said(sendto(fd, "x", 1, 0, (const struct sockaddr *)&address, sizeof address));
        close(fd);
    }
    return error;
}

static int try_sequenced(char *const *arguments)
{
    (void)arguments;
    return said_closing(socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)); /* SCTP, where it is loaded */
}

static int try_diagnostics(char *const *arguments)
{
    (void)arguments;
    return said_closing(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)); /* everybody's connections */
}

static int try_vsock(char *const *arguments)
{
    (void)arguments;
    return said_closing(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int connect_unix(const char *name, size_t name_size, bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = said(fd);

    memcpy(address.sun_path + abstract, name, name_size);
    if (fd >= 0) {
        error = said(connect(fd, (const struct sockaddr *)&address,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + name_size)));
        close(fd);
    }
    return error;
}

static int try_abstract(char *const *arguments)
{
    return connect_unix(arguments[0], strlen(arguments[0]), true);
}

static int try_unix(char *const *arguments)
{
    return connect_unix(arguments[0], strlen(arguments[0]) + 1, false);
}

/* ENOENT: there is no such name; EAGAIN: nobody says. */
static int try_resolve(char *const *arguments)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(arguments[0], NULL, &hints, &found);
    struct sockaddr_in address;

    if (result != 0)
        return result == EAI_AGAIN ? EAGAIN : ENOENT;
    memcpy(&address, found->ai_addr, sizeof address);
    freeaddrinfo(found);
    return strcmp(inet_ntoa(address.sin_addr), arguments[1]) == 0 ? 0 : EADDRNOTAVAIL;
}

/* ---- other processes ---- */

static int try_signal(char *const *arguments)
{
    return said(kill((pid_t)strtol(arguments[0], NULL, 10), 0));
}

static int try_trace(char *const *arguments)
{
    return said(ptrace(PTRACE_SEIZE, (pid_t)strtol(arguments[0], NULL, 10), NULL, NULL));
}

/* With a child of one's own, whom nothing but a filter keeps from being looked into. */
static int with_child(int (*act)(pid_t child))
{
    pid_t child = fork();
    int error;

    if (child == 0) {
        for (;;)
            pause();
    }
    if (child < 0)
        return errno;
    error = act(child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return error;
}

static int trace(pid_t child)
{
    return said(ptrace(PTRACE_SEIZE, child, NULL, NULL));
}

static int try_trace_child(char *const *arguments)
{
    (void)arguments;
    return with_child(trace);
}

static int look(pid_t child)
{
    static char here[8];
    char there[8];

    return said(
        process_vm_readv(child, &(struct iovec){there, sizeof there}, 1, &(struct iovec){here, sizeof here}, 1, 0));
}

static int try_look_into_child(char *const *arguments)
{
    (void)arguments;
    return with_child(look);
}

static int take_descriptor(pid_t child)
{
    int pidfd = pidfd_open(child, 0), error;

    error = said_closing(pidfd_getfd(pidfd, 0, 0));
    close(pidfd);
    return error;
}

static int try_take_descriptor(char *const *arguments)
{
    (void)arguments;
    return with_child(take_descriptor);
}

static int try_limit_other(char *const *arguments)
{
    struct rlimit limit;

    return said(prlimit((pid_t)strtol(arguments[0], NULL, 10), RLIMIT_NOFILE, NULL, &limit));
}

static int try_shared_memory(char *const *arguments)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600), error = said(id);

    (void)arguments;
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    return error;
}

static int try_queue(char *const *arguments)
{
    mqd_t queue = mq_open(arguments[0], O_RDWR | O_CREAT, 0600, NULL);
    int error = said(queue);

    if (queue >= 0) {
        mq_close(queue);
        mq_unlink(arguments[0]);
    }
    return error;
}

/* ---- the kernel ---- */

static int try_keyring(char *const *arguments)
{
    (void)arguments;
    return said(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
}

static int try_key(char *const *arguments)
{
    (void)arguments;
    return said(syscall(SYS_add_key, "user", "escape", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

static int try_bpf(char *const *arguments)
{
    char attributes[8192] = ""; /* larger than any kernel's: E2BIG, or no right to ask */

    (void)arguments;
    attributes[sizeof attributes - 1] = 1;
    return said(syscall(SYS_bpf, 0, attributes, sizeof attributes));
}

static int try_mount(char *const *arguments)
{
    return said(mount("none", arguments[0], "tmpfs", 0, NULL));
}

static int try_open_tree(char *const *arguments)
{
    return said_closing((int)syscall(SYS_open_tree, AT_FDCWD, arguments[0], 0));
}

static int try_uring(char *const *arguments)
{
    char parameters[256] = "";

    (void)arguments;
    return said_closing((int)syscall(SYS_io_uring_setup, 1, parameters));
}

static int try_unshare(char *const *arguments)
{
    (void)arguments;
    return said(unshare(CLONE_NEWUSER));
}

/* In a child: one that is in a new namespace is not the one to go on. */
static int try_clone(char *const *arguments)
{
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, NULL, NULL, 0);

    (void)arguments;
    if (child == 0)
        _exit(0);
    return status_of((pid_t)child);
}

static int try_clone3(char *const *arguments)
{
    uint64_t arguments_of_clone[8] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
    long child = syscall(SYS_clone3, arguments_of_clone, sizeof arguments_of_clone);

    (void)arguments;
    if (child == 0)
        _exit(0);
    return status_of((pid_t)child);
}

static int try_handle(char *const *arguments)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } file = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount_id;

    return said(name_to_handle_at(AT_FDCWD, arguments[0], &file.handle, &mount_id, 0));
}

static int try_userfault(char *const *arguments)
{
    (void)arguments;
    return said_closing((int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* of user mode only */));
}

/* ---- limits ---- */

static int try_memory_file(char *const *arguments)
{
    int fd = memfd_create("escape", MFD_CLOEXEC), error = said(fd);

    (void)arguments;
    signal(SIGXFSZ, SIG_IGN);
    if (fd >= 0) {
        error = said(write(fd, "x", 1));
        close(fd);
    }
    return error;
}

static int try_descriptors(char *const *arguments)
{
    struct rlimit limit = {.rlim_cur = 2048, .rlim_max = 2048};

    (void)arguments;
    return said(setrlimit(RLIMIT_NOFILE, &limit));
}

static int try_core(char *const *arguments)
{
    struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};

    (void)arguments;
    return said(setrlimit(RLIMIT_CORE, &limit));
}

/* ---- what must go on ---- */

static void *do_nothing(void *context)
{
    return context;
}

static int try_thread(char *const *arguments)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, do_nothing, NULL);

    (void)arguments;
    if (error == 0)
        pthread_join(thread, NULL);
    return error;
}

static int try_variable(char *const *arguments)
{
    const char *value = getenv(arguments[0]);

    return value == NULL ? ENOENT : 0;
}

/* ---- the table ---- */

static const struct attempt {
    const char *name;
    int (*act)(char *const *arguments);
} attempts[] = {
    {"read", try_read},
    {"list", try_list},
    {"write", try_write},
    {"create", try_create},
    {"truncate", try_truncate},
    {"mkdir", try_mkdir},
    {"fifo", try_fifo},
    {"symlink", try_symlink},
    {"unlink", try_unlink},
    {"rename", try_rename},
    {"link", try_link},
    {"chmod", try_chmod},
    {"chmodat2", try_chmodat2},
    {"chown", try_chown},
    {"times", try_times},
    {"xattr", try_xattr},
    {"ioctl", try_ioctl},
    {"run", try_run},
    {"connect", try_connect},
    {"connect-mptcp", try_connect_mptcp},
    {"connect-fast", try_connect_fast},
    {"bind", try_bind},
    {"listen", try_listen},
    {"watch", try_watch},
    {"udp", try_udp},
    {"sequenced", try_sequenced},
    {"diagnostics", try_diagnostics},
    {"vsock", try_vsock},
    {"abstract", try_abstract},
    {"unix", try_unix},
    {"resolve", try_resolve},
    {"signal", try_signal},
    {"limit-other", try_limit_other},
    {"shared-memory", try_shared_memory},
    {"queue", try_queue},
    {"trace", try_trace},
    {"trace-child", try_trace_child},
    {"look-into-child", try_look_into_child},
    {"take-descriptor", try_take_descriptor},
    {"keyring", try_keyring},
    {"key", try_key},
    {"bpf", try_bpf},
    {"mount", try_mount},
    {"open-tree", try_open_tree},
    {"uring", try_uring},
    {"unshare", try_unshare},
    {"clone", try_clone},
    {"clone3", try_clone3},
    {"handle", try_handle},
    {"userfault", try_userfault},
    {"memory-file", try_memory_file},
    {"descriptors", try_descriptors},
    {"core", try_core},
    {"thread", try_thread},
    {"variable", try_variable},
};

/* The words of a line are separated by single blanks. */
static int attempt_line(char *line)
{
    char *arguments[ARGUMENT_COUNT_MAX + 1] = {0};
    char *word = strtok(line, " \n");

    if (word == NULL)
        return EINVAL;
    for (size_t i = 0; i < ARGUMENT_COUNT_MAX; i++)
        arguments[i] = strtok(NULL, " \n");
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        if (strcmp(word, attempts[i].name) == 0)
            return attempts[i].act(arguments);
    }
    return EINVAL;
}

int main(void)
{
    char line[1024];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        int error = attempt_line(line);
        const char *name = error == 0 ? "done" : strerrorname_np(error);

        printf("%s\n", name == NULL ? "?" : name);
    }
    return 0;
}
