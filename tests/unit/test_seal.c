/* The seal, from inside: a worker that tries to get out (tests/support/escaper.c), started as the custodian starts it.
 *
 * Each escape is tried twice: sealed it is refused by the layer that is named, unsealed it is not: so it is the seal
 * that refuses it. */
#include "server/base/clock.h"
#include "server/custody/custodian/landlock.h"
#include "server/custody/custodian/ports.h"
#include "server/custody/custodian/spawn.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"
#include "tests/support/samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 256, LINE_SIZE = 512 };

static char root[] = "/tmp/test_seal.XXXXXX";
static char home[PATH_SIZE], other[PATH_SIZE], program[PATH_SIZE], command[PATH_SIZE * 2];
static int listener = -1;
static uint16_t port; /* of the listener */

/* ---- the stage: two homes and a listener ---- */

static void compose(char *text, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

static void compose(char *text, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    ck_assert_int_lt(vsnprintf(text, size, format, arguments), (int)size);
    va_end(arguments);
}

static void path_to(char path[PATH_SIZE], const char *folder, const char *name)
{
    compose(path, PATH_SIZE, "%s/%s", folder, name);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_SIZE];
    int fd;

    path_to(path, folder, name);
    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static void set_stage(void)
{
    const char *folder = getenv("PROBED_BIN");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char path[PATH_SIZE];

    ck_assert_msg(folder != NULL, "PROBED_BIN names the folder of the programs");
    path_to(path, folder, "escaper");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chmod(root, 0755), 0);
    path_to(program, root, "escaper");
    process_copy_program(path, program);
    path_to(home, root, "home");
    path_to(other, root, "other");
    ck_assert_int_eq(mkdir(home, 0755), 0);
    ck_assert_int_eq(mkdir(other, 0755), 0);
    write_file(home, "own", "own");
    write_file(home, "program", "#!/bin/sh\nexit 0\n");
    write_file(home, "scrap", "");
    write_file(home, "waste", "");
    write_file(other, "secret", "secret");
    path_to(path, other, "secret");
    ck_assert_int_eq(symlinkat(path, AT_FDCWD, (path_to(command, home, "link"), command)), 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    port = ntohs(address.sin_port);
}

static void clear_stage(void)
{
    pid_t child = fork();

    if (child == 0) {
        execlp("rm", "rm", "-rf", root, (char *)NULL);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    close(listener);
}

/* ---- the worker ---- */

struct prisoner {
    struct spawned process;
    struct seal seal;
    int to, from;
};

/* Starts it with the seal that was prepared. */
static void start(struct prisoner *prisoner, const struct seal_settings *settings, const char *folder)
{
    char *const words[] = {program, NULL};
    char *const pass[] = {(char *)(uintptr_t) "PATH", (char *)(uintptr_t) "SSL_CERT_FILE", NULL};
    struct spawn_plan plan = {.command = words,
                              .search_path = "/usr/bin:/bin",
                              .start_directory = "/",
                              .environment = {.pass = pass, .home_env = "HERMES_HOME"},
                              .foreign_credentials = settings->foreign_credentials,
                              .seal = &prisoner->seal};
    int request[2], answer[2], fds[ORDER_DESCRIPTOR_COUNT], error;
    const char *step;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &plan.file_limit), 0);
    ck_assert_int_eq(pipe2(request, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(answer, O_CLOEXEC), 0);
    fds[ORDER_HOME] = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fds[ORDER_REQUEST] = request[0];
    fds[ORDER_ANSWER] = answer[1];
    ck_assert_int_ge(fds[ORDER_HOME], 0);
    error = spawn_worker(&plan, fds, -1, &prisoner->process, &step);
    ck_assert_msg(error == 0, "%s: %s", step, strerror(error));
    close(request[0]);
    close(answer[1]);
    close(fds[ORDER_HOME]);
    prisoner->to = request[1];
    prisoner->from = answer[0];
}

static void imprison_with(struct prisoner *prisoner, const struct seal_settings *settings, struct seal_offer offer)
{
    struct status status = seal_prepare(settings, offer, &prisoner->seal);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    start(prisoner, settings, home);
}

static void imprison(struct prisoner *prisoner, const struct seal_settings *settings)
{
    imprison_with(prisoner, settings, seal_find_offer());
}

/* What the child said last, for a test that fails because it is not there. */
static const char *last_words(const struct prisoner *prisoner)
{
    static char words[64];
    struct spawn_word word = {.step = -1};

    while (read(prisoner->process.word_fd, &word, sizeof word) == (ssize_t)sizeof word)
        continue;
    snprintf(words, sizeof words, "%s: %s", spawn_step_name(word.step), strerror(word.error));
    return words;
}

static void ask(const struct prisoner *prisoner, const char *attempt, char answer[LINE_SIZE])
{
    size_t size = 0;

    ck_assert_int_eq((int)dprintf(prisoner->to, "%s\n", attempt), (int)strlen(attempt) + 1);
    for (;;) {
        struct pollfd look = {.fd = prisoner->from, .events = POLLIN};

        ck_assert_msg(poll(&look, 1, PATIENCE_MS) == 1, "%s: no answer", attempt);
        ck_assert_msg(read(prisoner->from, answer + size, 1) == 1, "%s: it ended (%s)", attempt, last_words(prisoner));
        if (answer[size] == '\n')
            break;
        ck_assert_uint_lt(++size, LINE_SIZE);
    }
    answer[size] = '\0';
}

static void expect(const struct prisoner *prisoner, const char *attempt, const char *expected)
{
    char answer[LINE_SIZE];

    ask(prisoner, attempt, answer);
    ck_assert_msg(strcmp(answer, expected) == 0, "%s: %s instead of %s", attempt, answer, expected);
}

#define EXPECT(prisoner, expected, ...)                                                                                \
    do {                                                                                                               \
        char attempt_[LINE_SIZE];                                                                                      \
        snprintf(attempt_, sizeof attempt_, __VA_ARGS__);                                                              \
        expect(prisoner, attempt_, expected);                                                                          \
    } while (0)

/* Ends it; how much processor time it took from its first step on. */
static uint64_t set_free(struct prisoner *prisoner)
{
    struct rusage usage;

    close(prisoner->to);
    close(prisoner->from);
    pidfd_send_signal(prisoner->process.pidfd, SIGKILL, NULL, 0);
    ck_assert_int_eq(wait4(prisoner->process.pid, NULL, 0, &usage), prisoner->process.pid);
    close(prisoner->process.pidfd);
    close(prisoner->process.word_fd);
    close(prisoner->process.error_fd);
    seal_fini(&prisoner->seal);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static const struct seal_settings open_to_all = {.level = SEAL_OFF}, sealed = {.level = SEAL_AUTO};

/* ---- every escape ---- */

/* The layers: what they say, and the Landlock ABI they take. */
#define BY_FILES      "EACCES", LANDLOCK_ABI_FILES
#define BY_TRUNCATION "EACCES", LANDLOCK_ABI_TRUNCATE
#define BY_PORTS      "EACCES", LANDLOCK_ABI_TCP
#define BY_DEVICES    "EACCES", LANDLOCK_ABI_DEVICES
#define BY_SCOPES     "EPERM", LANDLOCK_ABI_SCOPES
#define BY_SECCOMP    "EPERM", LANDLOCK_ABI_NONE
#define BY_CLONE3     "ENOSYS", LANDLOCK_ABI_NONE /* seccomp, too */
#define BY_FILE_SIZE  "EFBIG", LANDLOCK_ABI_NONE
#define BY_LIMITS     "EPERM", LANDLOCK_ABI_NONE

/* What an attempt comes to on the running kernel. */
static const char *refused_from(enum landlock_abi abi, const char *refused, const char *otherwise)
{
    return landlock_find_abi() >= (int)abi ? refused : otherwise;
}

#define REFUSED refused_from(LANDLOCK_ABI_FILES, "EACCES", "done")

/* %o: the other home; %h: its own; %p: the listener's port; %t: this test's pid. */
static const struct escape {
    const char *attempt;
    const char *sealed;    /* what the layer that refuses it says, … */
    enum landlock_abi abi; /* … from this on */
    const char *unsealed;  /* what it comes to without; NULL: that depends on the kernel */
} escapes[] = {
    {"read %o/secret", BY_FILES, "done"},
    {"read %h/link", BY_FILES, "done"}, /* a symlink to it */
    {"read %h/../other/secret", BY_FILES, "done"},
    {"list %o", BY_FILES, "done"},
    {"list /etc", BY_FILES, "done"},
    {"read /etc/fstab", BY_FILES, NULL},
    {"read /etc/debian_version", BY_FILES, "done"},
    {"read /proc/self/environ", BY_FILES, "done"},
    {"read /proc/%t/environ", BY_FILES, NULL},
    {"list /tmp", BY_FILES, "done"},
    {"write %h/own", BY_FILES, "done"},
    {"write %o/secret", BY_FILES, "done"},
    {"truncate %h/own", BY_TRUNCATION, "done"},
    {"create %h/new", BY_FILES, "done"},
    {"create %o/new", BY_FILES, "done"},
    {"create %o/../new", BY_FILES, "done"},
    {"mkdir %h/folder", BY_FILES, "done"},
    {"fifo %h/fifo", BY_FILES, "done"},
    {"symlink %h/symlink", BY_FILES, "done"},
    {"rename %h/scrap %h/renamed", BY_FILES, "done"},
    {"link %h/own %h/linked", BY_FILES, "done"},
    {"unlink %h/waste", BY_FILES, "done"},
    {"chmod %h/own", BY_SECCOMP, "done"},
    {"chmodat2 %h/own", BY_SECCOMP, NULL}, /* Linux 6.6 */
    {"chown %h/own", BY_SECCOMP, "done"},
    {"times %h/own", BY_SECCOMP, "done"},
    {"xattr %h/own", BY_SECCOMP, NULL}, /* some file systems have none */
    {"run %h/program", BY_FILES, "done"},
    {"run %o/secret", BY_FILES, NULL},
    {"ioctl /dev/urandom", BY_DEVICES, "EINVAL"},
    {"connect %p", BY_PORTS, "done"},
    {"connect-mptcp %p", BY_SECCOMP, NULL},
    {"connect-fast %p", BY_SECCOMP, "done"},
    {"bind 0", BY_PORTS, "done"},
    {"listen", BY_SECCOMP, "done"},
    {"watch %o", BY_SECCOMP, "done"},
    {"sequenced", BY_SECCOMP, NULL},
    {"diagnostics", BY_SECCOMP, NULL},
    {"vsock", BY_SECCOMP, NULL},
    {"abstract %t-abstract", BY_SCOPES, "done"},
    {"signal %t", BY_SCOPES, "done"},
    {"limit-other %t", BY_SECCOMP, "done"},
    {"shared-memory", BY_SECCOMP, "done"},
    {"queue /%t-escape", BY_SECCOMP, "done"},
    {"trace %t", BY_SECCOMP, NULL},
    {"trace-child", BY_SECCOMP, "done"},
    {"look-into-child", BY_SECCOMP, "done"},
    {"take-descriptor", BY_SECCOMP, "done"},
    {"keyring", BY_SECCOMP, NULL}, /* some kernels have no keys, some no users' faults, … */
    {"key", BY_SECCOMP, NULL},
    {"bpf", BY_SECCOMP, NULL},
    {"mount %h/nowhere", BY_SECCOMP, "ENOENT"},
    {"open-tree %h", BY_SECCOMP, "done"},
    {"uring", BY_SECCOMP, NULL},
    {"unshare", BY_SECCOMP, NULL},
    {"clone", BY_SECCOMP, NULL},
    {"clone3", BY_CLONE3, NULL},
    {"handle %h/own", BY_SECCOMP, NULL},
    {"userfault", BY_SECCOMP, NULL},
    {"memory-file", BY_FILE_SIZE, "done"},
    {"descriptors", BY_LIMITS, NULL},
    {"core", BY_LIMITS, "EPERM"}, /* always */
};

static void fill_in(const char *pattern, char attempt[LINE_SIZE])
{
    size_t size = 0;

    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '%')
            size += (size_t)snprintf(attempt + size, LINE_SIZE - size, "%c", *pattern);
        else if (*++pattern == 'p')
            size += (size_t)snprintf(attempt + size, LINE_SIZE - size, "%u", port);
        else if (*pattern == 't')
            size += (size_t)snprintf(attempt + size, LINE_SIZE - size, "%d", (int)getpid());
        else
            size += (size_t)snprintf(attempt + size, LINE_SIZE - size, "%s", *pattern == 'o' ? other : home);
        ck_assert_uint_lt(size, LINE_SIZE);
    }
}

static int listen_abstract(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%d-abstract", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)),
                     0);
    ck_assert_int_eq(listen(fd, 8), 0);
    return fd;
}

START_TEST(every_escape_is_refused_by_its_layer)
{
    struct prisoner prisoner;
    int abstract = listen_abstract();
    char attempt[LINE_SIZE];

    imprison(&prisoner, &sealed);
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        fill_in(escapes[i].attempt, attempt);
        if (landlock_find_abi() >= (int)escapes[i].abi)
            expect(&prisoner, attempt, escapes[i].sealed);
    }
    set_free(&prisoner);
    close(abstract);
}
END_TEST

START_TEST(without_the_seal_they_are_none)
{
    struct prisoner prisoner;
    int abstract = listen_abstract();
    char attempt[LINE_SIZE], answer[LINE_SIZE];

    imprison(&prisoner, &open_to_all);
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        fill_in(escapes[i].attempt, attempt);
        ask(&prisoner, attempt, answer);
        ck_assert_msg(escapes[i].unsealed == NULL || strcmp(answer, escapes[i].unsealed) == 0, "%s: %s, not %s",
                      attempt, answer, escapes[i].unsealed);
    }
    set_free(&prisoner);
    close(abstract);
}
END_TEST

/* ---- what must go on ---- */

START_TEST(what_a_worker_needs_is_left_to_it)
{
    static const char *const needs[] = {"read %h/own",
                                        "list %h",
                                        "read /usr/bin/env",
                                        "run /usr/bin/true",
                                        "read /dev/urandom",
                                        "write /dev/null",
                                        "read /etc/passwd",
                                        "read /etc/hosts",
                                        "read /etc/nsswitch.conf",
                                        "list /etc/ssl/certs",
                                        "read /etc/ssl/certs/ca-certificates.crt",
                                        "thread",
                                        "udp %p"};
    struct prisoner prisoner;
    char attempt[LINE_SIZE];

    imprison(&prisoner, &sealed);
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        fill_in(needs[i], attempt);
        expect(&prisoner, attempt, "done");
    }
    EXPECT(&prisoner, "done", "resolve localhost 127.0.0.1");
    set_free(&prisoner);
}
END_TEST

/* What README says is not confined, is not: whoever changes that, changes it there. */
START_TEST(udp_and_the_names_of_unix_sockets_are_not_confined)
{
    struct prisoner prisoner;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    compose(address.sun_path, sizeof address.sun_path, "%s/socket", other);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "udp %u", port);
    EXPECT(&prisoner, "done", "unix %s", address.sun_path);
    set_free(&prisoner);
    close(fd);
}
END_TEST

START_TEST(a_writable_home_is_written_and_nothing_else)
{
    const struct seal_settings settings = {.level = SEAL_AUTO, .writable_home = true};
    static const char *const inside[] = {"create %h/new",
                                         "write %h/new",
                                         "truncate %h/own",
                                         "mkdir %h/folder",
                                         "create %h/folder/new",
                                         "rename %h/new %h/folder/old",
                                         "link %h/own %h/linked",
                                         "symlink %h/symlink",
                                         "fifo %h/fifo",
                                         "unlink %h/linked",
                                         "chmod %h/own",
                                         "times %h/own",
                                         "memory-file"};
    static const char *const outside[] = {"create %o/new", "write %o/secret", "mkdir %o/folder",
                                          "write %h/link", "run %h/program",  "create %o/../new"};
    struct prisoner prisoner;
    char attempt[LINE_SIZE];

    imprison(&prisoner, &settings);
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        fill_in(inside[i], attempt);
        expect(&prisoner, attempt, "done");
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        fill_in(outside[i], attempt);
        expect(&prisoner, attempt, REFUSED);
    }
    set_free(&prisoner);
}
END_TEST

START_TEST(ports_of_the_configuration_of_proxies_and_of_base_urls_are_open)
{
    char number[8], text[128];
    struct prisoner prisoner;
    const struct seal_settings settings = {.level = SEAL_AUTO, .connect_ports = (char *const[]){number, NULL}};

    snprintf(number, sizeof number, "%u", port);
    imprison(&prisoner, &settings);
    EXPECT(&prisoner, "done", "connect %u", port);
    EXPECT(&prisoner, refused_from(LANDLOCK_ABI_TCP, "EACCES", "ECONNREFUSED"), "connect %u", port - 1);
    EXPECT(&prisoner, refused_from(LANDLOCK_ABI_TCP, "EACCES", "EADDRINUSE"), "bind %u", port);
    set_free(&prisoner);
    compose(text, sizeof text, "OPENROUTER_BASE_URL=http://127.0.0.1:%u/v1\n", port);
    write_file(home, ".env", text);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "connect %u", port);
    set_free(&prisoner);
    compose(text, sizeof text, "HTTPS_PROXY=127.0.0.1:%u\n", port);
    write_file(home, ".env", text);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "connect %u", port);
    set_free(&prisoner);
    compose(text, sizeof text, "NO_PROXY=127.0.0.1:%u\nNOTE=127.0.0.1:%u\n", port, port);
    write_file(home, ".env", text);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, refused_from(LANDLOCK_ABI_TCP, "EACCES", "done"), "connect %u", port);
    set_free(&prisoner);
}
END_TEST

START_TEST(a_reader_has_no_network_whatever_is_open_to_workers)
{
    char number[8], text[128];
    struct prisoner prisoner;
    const struct seal_settings settings = {
        .level = SEAL_AUTO, .connect_ports = (char *const[]){number, NULL}, .no_network = true};

    snprintf(number, sizeof number, "%u", port);
    compose(text, sizeof text, "HTTPS_PROXY=127.0.0.1:%u\n", port);
    write_file(home, ".env", text);
    imprison(&prisoner, &settings);
    EXPECT(&prisoner, "EPERM", "connect %u", port);
    EXPECT(&prisoner, "EPERM", "udp %u", port);
    EXPECT(&prisoner, "EPERM", "unix %s", "/run/some.sock");
    EXPECT(&prisoner, "done", "read %s/.env", home);
    set_free(&prisoner);
}
END_TEST

START_TEST(ports_are_read_as_curl_reads_them)
{
    static const struct {
        const char *variable;
        uint16_t port; /* 0: none */
    } rows[] = {
        {"A_BASE_URL=https://api.example", 443},
        {"A_BASE_URL=https://api.example/v1", 443},
        {"A_BASE_URL=HTTPS://api.example:8443/v1", 8443},
        {"A_BASE_URL=http://localhost", 80},
        {"A_BASE_URL=http://[::1]:8080/x", 8080},
        {"A_BASE_URL=http://[::1]", 80},
        {"A_BASE_URL=http://[::1:8080", 0},
        {"A_BASE_URL=https://user:9@host:99?x:77", 99},
        {"A_BASE_URL=https://host:", 443},
        {"A_BASE_URL=https://host:0", 0},
        {"A_BASE_URL=https://host:65535", 65535},
        {"A_BASE_URL=https://host:65536", 0},
        {"A_BASE_URL=https://host:99999999999999999999", 0},
        {"A_BASE_URL=https://host:8x", 0},
        {"A_BASE_URL=ftp://host:8", 0},
        {"A_BASE_URL=", 0},
        {"A_BASE_URL", 0},
        {"HTTPS_PROXY=proxy.example:3128", 3128},
        {"https_proxy=http://proxy.example", 1080},
        {"ALL_PROXY=socks5h://u:p@proxy.example:9050", 9050},
        {"HTTPS_PROXY=https://proxy.example", 443},
        {"HTTPS_PROXY=proxy.example", 1080},
        {"NO_PROXY=proxy.example:3128", 0},
        {"_PROXY=proxy.example:3128", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *const environment[] = {(char *)(uintptr_t)rows[i].variable, NULL};
        struct ports ports = {.count = 0};

        ports_add_environment(&ports, environment);
        ck_assert_msg(ports.count == (rows[i].port != 0) && (ports.count == 0 || ports.numbers[0] == rows[i].port),
                      "%s: %u", rows[i].variable, ports.count == 0 ? 0 : ports.numbers[0]);
    }
}
END_TEST

START_TEST(whoever_names_many_ports_has_the_first)
{
    struct ports ports = {.count = 0};

    for (unsigned number = 1; number <= 1000; number++)
        ports_add(&ports, (uint16_t)number);
    ports_add(&ports, 1);
    ck_assert_uint_eq(ports.count, PORTS_COUNT_MAX);
    ck_assert_uint_eq(ports.numbers[PORTS_COUNT_MAX - 1], PORTS_COUNT_MAX);
}
END_TEST

START_TEST(read_paths_are_read_and_not_written)
{
    char *const paths[] = {other, (char *)(uintptr_t) "/nowhere/at/all", NULL};
    const struct seal_settings settings = {.level = SEAL_AUTO, .read_paths = paths};
    struct prisoner prisoner;

    imprison(&prisoner, &settings);
    EXPECT(&prisoner, "done", "read %s/secret", other);
    EXPECT(&prisoner, REFUSED, "write %s/secret", other);
    EXPECT(&prisoner, REFUSED, "create %s/new", other);
    set_free(&prisoner);
}
END_TEST

START_TEST(certificates_are_where_the_daemon_was_told_not_where_a_home_says)
{
    struct prisoner prisoner;
    char path[PATH_SIZE], text[PATH_SIZE + 32];

    path_to(path, other, "secret");
    compose(text, sizeof text, "SSL_CERT_FILE=%s\nSSL_CERT_DIR=%s\n", path, other);
    write_file(home, ".env", text);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "variable SSL_CERT_DIR");
    EXPECT(&prisoner, REFUSED, "read %s", path);
    set_free(&prisoner);
    setenv("SSL_CERT_FILE", path, 1);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "read %s", path);
    EXPECT(&prisoner, REFUSED, "list %s", other);
    set_free(&prisoner);
}
END_TEST

START_TEST(other_tools_sign_ins_are_read_when_the_configuration_says_so)
{
    const struct seal_settings settings = {.level = SEAL_AUTO, .foreign_credentials = true};
    char path[PATH_SIZE], text[PATH_SIZE + 32];
    struct prisoner prisoner;

    compose(text, sizeof text, "CODEX_HOME=%s\n", other);
    write_file(home, ".env", text);
    path_to(path, other, "secret");
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, REFUSED, "read %s", path);
    set_free(&prisoner);
    imprison(&prisoner, &settings);
    EXPECT(&prisoner, "done", "read %s", path);
    EXPECT(&prisoner, REFUSED, "write %s", path);
    set_free(&prisoner);
}
END_TEST

static bool can_open(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    int fd;

    path_to(path, folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* By the step alone: the worker of a test has no user's home directory of its own. */
START_TEST(sign_ins_are_where_the_owners_home_directory_has_them)
{
    const struct seal_settings settings = {.level = SEAL_AUTO, .foreign_credentials = true};
    char *const none[] = {NULL};
    struct seal_subject subject = {.programs = none, .command = none, .environment = none, .inherited = none};
    struct seal seal;
    struct status status = seal_prepare(&settings, seal_find_offer(), &seal);
    char codex[PATH_SIZE];
    int result;
    pid_t child;

    ck_assert(status_is_ok(&status));
    path_to(codex, other, ".codex");
    ck_assert_int_eq(mkdir(codex, 0755), 0);
    write_file(codex, "auth.json", "{}");
    subject.home_fd = open(home, O_PATH | O_CLOEXEC);
    subject.user_home = other;
    child = fork();
    if (child == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (seal_confine(&seal, &subject) != 0)
            _exit(2);
        _exit(can_open(codex, "auth.json") && (!can_open(other, "secret") || seal.offer.landlock_abi == 0) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &result, 0), child);
    ck_assert_int_eq(WEXITSTATUS(result), 0);
    close(subject.home_fd);
    seal_fini(&seal);
}
END_TEST

/* ---- programs ---- */

/* Sends one line to a command and expects one back. */
static void expect_answer(char *const *words, const char *answer)
{
    struct seal seal;
    struct status status = seal_prepare(&sealed, seal_find_offer(), &seal);
    struct spawn_plan plan = {.command = words,
                              .search_path = other,
                              .start_directory = other,
                              .environment = {.home_env = "HERMES_HOME"},
                              .seal = &seal};
    struct prisoner prisoner;
    int request[2], answers[2], error;
    const char *step;

    ck_assert(status_is_ok(&status));
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &plan.file_limit), 0);
    ck_assert_int_eq(pipe2(request, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
    {
        const int fds[ORDER_DESCRIPTOR_COUNT] = {open(home, O_PATH | O_CLOEXEC), request[0], answers[1]};

        error = spawn_worker(&plan, fds, -1, &prisoner.process, &step);
        ck_assert_msg(error == 0, "%s: %s", step, strerror(error));
        close(fds[0]);
    }
    close(request[0]);
    close(answers[1]);
    prisoner.to = request[1];
    prisoner.from = answers[0];
    prisoner.seal = seal;
    expect(&prisoner, "anything", answer);
    set_free(&prisoner);
}

START_TEST(a_worker_may_read_and_run_its_own_program_wherever_it_lies)
{
    char path[PATH_SIZE], interpreter[PATH_SIZE];

    write_file(other, "script", "#!/bin/sh\nread line\necho \"$line\"\nread line\n");
    path_to(path, other, "script");
    expect_answer((char *const[]){path, NULL}, "anything");
    expect_answer((char *const[]){(char *)(uintptr_t) "script", NULL}, "anything");
    expect_answer((char *const[]){(char *)(uintptr_t) "./script", NULL}, "anything");
    expect_answer((char *const[]){(char *)(uintptr_t) "/bin/sh", path, NULL}, "anything");
    path_to(interpreter, other, "interpreter");
    ck_assert_int_eq(link(program, interpreter), 0);
    compose(interpreter, sizeof interpreter, "#!%s/interpreter\n", other);
    write_file(other, "second", interpreter);
    path_to(path, other, "second");
    expect_answer((char *const[]){path, NULL}, "EINVAL"); /* escaper does not know "anything" */
}
END_TEST

/* ---- the owner ---- */

START_TEST(a_worker_of_another_owner_is_sealed_as_well)
{
    struct prisoner prisoner;
    const uid_t owner = 65534;

    if (geteuid() != 0)
        return; /* only root has workers of others */
    ck_assert_int_eq(chown(home, owner, owner), 0);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "read %s/own", home);
    EXPECT(&prisoner, REFUSED, "read %s/secret", other);
    EXPECT(&prisoner, REFUSED, "create %s/new", home);
    EXPECT(&prisoner, "EPERM", "unshare");
    set_free(&prisoner);
}
END_TEST

/* ---- older kernels, as far as a newer one can tell ---- */

START_TEST(strict_is_auto_where_there_is_everything)
{
    const struct seal_settings settings = {.level = SEAL_STRICT};
    struct prisoner prisoner;

    if (landlock_find_abi() < LANDLOCK_ABI_SCOPES)
        return; /* then it is refused: see below */
    imprison(&prisoner, &settings);
    EXPECT(&prisoner, REFUSED, "read %s/secret", other);
    EXPECT(&prisoner, "EPERM", "signal %d", (int)getpid());
    set_free(&prisoner);
}
END_TEST

START_TEST(less_landlock_confines_what_it_knows)
{
    const struct seal_settings settings = {.level = SEAL_AUTO};

    for (int abi = LANDLOCK_ABI_NONE; abi <= landlock_find_abi(); abi++) {
        struct prisoner prisoner;

        imprison_with(&prisoner, &settings, (struct seal_offer){.landlock_abi = abi, .filters = true});
        EXPECT(&prisoner, "done", "read %s/own", home);
        EXPECT(&prisoner, abi >= LANDLOCK_ABI_FILES ? "EACCES" : "done", "read %s/secret", other);
        EXPECT(&prisoner, abi >= LANDLOCK_ABI_FILES ? "EACCES" : "done", "write %s/secret", other);
        EXPECT(&prisoner, abi >= LANDLOCK_ABI_TRUNCATE ? "EACCES" : "done", "truncate %s/own", home);
        EXPECT(&prisoner, abi >= LANDLOCK_ABI_TCP ? "EACCES" : "done", "connect %u", port);
        EXPECT(&prisoner, abi >= LANDLOCK_ABI_DEVICES ? "EACCES" : "EINVAL", "ioctl /dev/urandom");
        EXPECT(&prisoner, abi >= LANDLOCK_ABI_SCOPES ? "EPERM" : "done", "signal %d", (int)getpid());
        EXPECT(&prisoner, "EPERM", "trace-child");
        set_free(&prisoner);
        write_file(home, "own", "own");
        write_file(other, "secret", "secret");
    }
}
END_TEST

START_TEST(without_seccomp_the_other_layers_hold)
{
    const struct seal_settings settings = {.level = SEAL_AUTO};
    struct prisoner prisoner;

    imprison_with(&prisoner, &settings, (struct seal_offer){.landlock_abi = landlock_find_abi()});
    EXPECT(&prisoner, REFUSED, "read %s/secret", other);
    EXPECT(&prisoner, "EFBIG", "memory-file");
    EXPECT(&prisoner, "done", "trace-child");
    set_free(&prisoner);
}
END_TEST

START_TEST(what_there_is_and_what_is_missing_is_said_whole)
{
    static const struct {
        struct seal_offer offer;
        const char *name, *text;
    } rows[] = {
        {{0, false},
         "limits",
         "auto: limits; missing for strict: files, truncation, TCP ports, device controls, signals and abstract "
         "sockets (Landlock ABI 6), system calls (seccomp); Linux 6.12 or later, with landlock in lsm=, would do; UDP "
         "ports "
         "stay open"},
        {{1, true},
         "landlock 1, seccomp, limits",
         "auto: files (Landlock ABI 1), system calls (seccomp), limits; missing for strict: truncation, TCP ports, "
         "device controls, signals and abstract sockets (Landlock ABI 6); Linux 6.12 or later, with landlock in lsm=, "
         "would do; UDP ports stay open"},
        {{4, true},
         "landlock 4, seccomp, limits",
         "auto: files, truncation, TCP ports (Landlock ABI 4), system calls (seccomp), limits; missing for strict: "
         "device controls, signals and abstract sockets (Landlock ABI 6); Linux 6.12 or later, with landlock in lsm=, "
         "would do; UDP ports stay open"},
        {{7, true},
         "landlock 7, seccomp, limits",
         "auto: files, truncation, TCP ports, device controls, signals and abstract sockets (Landlock ABI 7), system "
         "calls (seccomp), limits; UDP ports stay open"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct seal_settings settings = {.level = SEAL_AUTO};
        char text[STATUS_MESSAGE_SIZE], name[PROTOCOL_SEAL_NAME_SIZE];
        struct seal seal;
        struct status status = seal_prepare(&settings, rows[i].offer, &seal);

        ck_assert(status_is_ok(&status));
        seal_describe(&seal, text);
        seal_name(&seal, name);
        ck_assert_str_eq(text, rows[i].text);
        ck_assert_str_eq(name, rows[i].name);
        seal_fini(&seal);
    }
}
END_TEST

START_TEST(strict_refuses_and_names_what_is_missing_and_the_kernel_that_would_do)
{
    static const struct {
        struct seal_offer offer;
        const char *missing;
    } rows[] = {
        {{0, false},
         "cannot confine: files, truncation, TCP ports, device controls, signals and abstract sockets (Landlock ABI "
         "6), system calls (seccomp); Linux 6.12 or later, with landlock in lsm=, would do"},
        {{2, true},
         "cannot confine: truncation, TCP ports, device controls, signals and abstract sockets (Landlock ABI 6); "
         "Linux 6.12 or later"},
        {{5, true}, "cannot confine: signals and abstract sockets (Landlock ABI 6); Linux 6.12 or later"},
        {{6, false}, "cannot confine: system calls (seccomp); Linux 6.12 or later"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct seal_settings settings = {.level = SEAL_STRICT};
        struct seal seal;
        struct status status = seal_prepare(&settings, rows[i].offer, &seal);

        ck_assert_int_eq((int)status.code, STATUS_UNAVAILABLE);
        ck_assert_msg(strstr(status.message, rows[i].missing) != NULL, "%s", status.message);
        ck_assert_ptr_nonnull(strstr(status.message, "worker.sandbox is strict"));
    }
}
END_TEST

/* ---- names: in a mount and a network namespace of the test's own, with name servers that tell who was asked ---- */

/* 127.0.0.N answers every question with 192.0.2.N. */
NO_RETURN static void serve_names(const int *sockets, size_t socket_count)
{
    struct pollfd looks[4];

    for (size_t i = 0; i < socket_count; i++)
        looks[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
    for (;;) {
        poll(looks, (nfds_t)socket_count, -1);
        for (size_t i = 0; i < socket_count; i++) {
            static const unsigned char answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2};
            unsigned char message[600];
            struct sockaddr_in client, own;
            socklen_t size = sizeof client, own_size = sizeof own;
            ssize_t count = recvfrom(sockets[i], message, 512, MSG_DONTWAIT, (struct sockaddr *)&client, &size);
            size_t end = 12;

            if (count < 17 || getsockname(sockets[i], (struct sockaddr *)&own, &own_size) < 0)
                continue;
            while (message[end] != 0 && end < 500) /* the labels of the name asked for */
                end += message[end] + 1u;
            end += 5;
            message[2] = 0x81; /* an answer, and it recurses */
            message[3] = 0x80;
            message[7] = message[end - 3] == 1; /* one answer, to a question for an A */
            message[9] = message[11] = 0;
            memcpy(message + end, answer, sizeof answer);
            message[end + sizeof answer] = (unsigned char)ntohl(own.sin_addr.s_addr);
            sendto(sockets[i], message, end + (message[7] == 1 ? sizeof answer + 1 : 0), 0,
                   (const struct sockaddr *)&client, size);
        }
    }
}

static void start_name_servers(void)
{
    static const unsigned char hosts[] = {1, 2, 53};
    int sockets[sizeof hosts];

    for (size_t i = 0; i < sizeof hosts; i++) {
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f000000u + hosts[i])};

        sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(sockets[i], (const struct sockaddr *)&address, sizeof address), 0);
    }
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_names(sockets, sizeof hosts);
    }
    for (size_t i = 0; i < sizeof hosts; i++)
        close(sockets[i]);
}

/* An /etc and a /run of the test's own, and a network with nothing but a loopback. */
static void enter_namespaces(void)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    char etc[PATH_SIZE];
    int fd;

    path_to(etc, root, "etc");
    ck_assert_int_eq(mkdir(etc, 0755), 0);
    write_file(etc, "nsswitch.conf", "hosts: files dns\n");
    write_file(etc, "hosts", "127.0.0.1 localhost\n");
    write_file(etc, "passwd", "root:x:0:0::/:/bin/sh\n");
    ck_assert_int_eq(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
    ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount(etc, "/etc", NULL, MS_BIND, NULL), 0);
    ck_assert_int_eq(mount("none", "/run", "tmpfs", 0, NULL), 0);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &loopback), 0);
    close(fd);
    start_name_servers();
}

static const struct layout {
    const char *link;           /* what /etc/resolv.conf leads to; NULL: it is the file */
    const char *folder, *upper; /* where that lies, and above it */
    const char *name, *text;
    const char *answer;
} layouts[] = {
    {NULL, "/etc", "/", "resolv.conf", "nameserver 127.0.0.1\n", "192.0.2.1"},
    {"../run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve", "/run/systemd", "stub-resolv.conf",
     "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", "192.0.2.53"},
    {"/run/NetworkManager/resolv.conf", "/run/NetworkManager", "/run", "resolv.conf",
     "# Generated by NetworkManager\nnameserver 127.0.0.2\n", "192.0.2.2"},
};

static void lay_out(const struct layout *layout)
{
    enter_namespaces();
    mkdir(layout->upper, 0755);
    mkdir(layout->folder, 0755);
    write_file(layout->folder, layout->name, layout->text);
    if (layout->link != NULL)
        ck_assert_int_eq(symlink(layout->link, "/etc/resolv.conf"), 0);
}

static void replace_file(const char *folder, const char *name, const char *text)
{
    char before[PATH_SIZE], after[PATH_SIZE];

    write_file(folder, "replacement", text);
    path_to(before, folder, "replacement");
    path_to(after, folder, name);
    ck_assert_int_eq(rename(before, after), 0);
}

START_TEST(names_are_resolved_wherever_resolv_conf_leads)
{
    const struct layout *layout = &layouts[_i];
    struct prisoner prisoner;

    if (geteuid() != 0)
        return; /* only root has such namespaces */
    lay_out(layout);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "resolve provider.example %s", layout->answer);
    EXPECT(&prisoner, REFUSED, "list /etc");
    set_free(&prisoner);
}
END_TEST

START_TEST(a_living_worker_sees_a_resolv_conf_that_was_replaced_below_run)
{
    const struct layout *layout = &layouts[_i];
    struct prisoner prisoner;

    if (geteuid() != 0)
        return;
    lay_out(layout);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "resolve provider.example %s", layout->answer);
    replace_file(layout->folder, layout->name, "nameserver 127.0.0.1\noptions timeout:1\n");
    EXPECT(&prisoner, "done", "resolve provider.example 192.0.2.1");
    set_free(&prisoner);
}
END_TEST

/* Which is why the custodian ends it (unit.custody). */
START_TEST(one_that_lies_in_etc_is_not_seen_by_who_was_sealed_before)
{
    struct prisoner prisoner;

    if (geteuid() != 0)
        return;
    lay_out(&layouts[0]);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "read /etc/resolv.conf");
    replace_file("/etc", "resolv.conf", "nameserver 127.0.0.2\n");
    EXPECT(&prisoner, REFUSED, "read /etc/resolv.conf");
    set_free(&prisoner);
    imprison(&prisoner, &sealed);
    EXPECT(&prisoner, "done", "resolve provider.example 192.0.2.2");
    set_free(&prisoner);
}
END_TEST

/* ---- what it costs ---- */

enum { PAIR_COUNT = SANITIZED ? 3 : 101 };

/* Of starts, from the order to the worker's first answer. */
struct costs {
    uint64_t wall_ns[PAIR_COUNT], processor_ns[PAIR_COUNT];
};

static void take_cost(struct costs *costs, size_t i, const struct seal_settings *settings)
{
    struct prisoner prisoner;
    struct status status = seal_prepare(settings, seal_find_offer(), &prisoner.seal); /* once a custodian */
    uint64_t from_ns = clock_now_ns();

    ck_assert(status_is_ok(&status));
    start(&prisoner, settings, home);
    expect(&prisoner, "variable PATH", "done");
    costs->wall_ns[i] = clock_now_ns() - from_ns;
    costs->processor_ns[i] = set_free(&prisoner);
}

static double median_ms(uint64_t values_ns[PAIR_COUNT])
{
    return (double)samples_at(values_ns, PAIR_COUNT, 50) / 1e6;
}

/* Side by side, so that what else goes on is in both; asserted is processor time, which others cannot take. */
START_TEST(a_sealed_start_takes_less_than_a_millisecond_more)
{
    static struct costs with, without;
    double with_ms, without_ms;

    for (size_t i = 0; i < PAIR_COUNT; i++) {
        take_cost(&without, i, &open_to_all);
        take_cost(&with, i, &sealed);
    }
    with_ms = median_ms(with.processor_ns);
    without_ms = median_ms(without.processor_ns);
    printf("a start takes %.2f ms, %.2f ms of them processor time; sealed %.2f and %.2f (medians of %d)\n",
           median_ms(without.wall_ns), without_ms, median_ms(with.wall_ns), with_ms, PAIR_COUNT);
    ck_assert(!patience_time_counts() || with_ms < without_ms + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seal");
    TCase *tcase = tcase_create("escapes");

    tcase_add_checked_fixture(tcase, set_stage, clear_stage);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_escape_is_refused_by_its_layer);
    tcase_add_test(tcase, without_the_seal_they_are_none);
    tcase_add_test(tcase, what_a_worker_needs_is_left_to_it);
    tcase_add_test(tcase, udp_and_the_names_of_unix_sockets_are_not_confined);
    tcase_add_test(tcase, a_writable_home_is_written_and_nothing_else);
    tcase_add_test(tcase, ports_of_the_configuration_of_proxies_and_of_base_urls_are_open);
    tcase_add_test(tcase, a_reader_has_no_network_whatever_is_open_to_workers);
    tcase_add_test(tcase, read_paths_are_read_and_not_written);
    tcase_add_test(tcase, certificates_are_where_the_daemon_was_told_not_where_a_home_says);
    tcase_add_test(tcase, other_tools_sign_ins_are_read_when_the_configuration_says_so);
    tcase_add_test(tcase, sign_ins_are_where_the_owners_home_directory_has_them);
    tcase_add_test(tcase, a_worker_may_read_and_run_its_own_program_wherever_it_lies);
    tcase_add_test(tcase, a_worker_of_another_owner_is_sealed_as_well);
    tcase_add_test(tcase, strict_is_auto_where_there_is_everything);
    tcase_add_test(tcase, less_landlock_confines_what_it_knows);
    tcase_add_test(tcase, without_seccomp_the_other_layers_hold);
    tcase_add_test(tcase, a_sealed_start_takes_less_than_a_millisecond_more);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("names");
    tcase_add_checked_fixture(tcase, set_stage, clear_stage);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, names_are_resolved_wherever_resolv_conf_leads, 0, sizeof layouts / sizeof layouts[0]);
    tcase_add_loop_test(tcase, a_living_worker_sees_a_resolv_conf_that_was_replaced_below_run, 1,
                        sizeof layouts / sizeof layouts[0]);
    tcase_add_test(tcase, one_that_lies_in_etc_is_not_seen_by_who_was_sealed_before);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("words");
    tcase_add_test(tcase, ports_are_read_as_curl_reads_them);
    tcase_add_test(tcase, whoever_names_many_ports_has_the_first);
    tcase_add_test(tcase, what_there_is_and_what_is_missing_is_said_whole);
    tcase_add_test(tcase, strict_refuses_and_names_what_is_missing_and_the_kernel_that_would_do);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
