/* Preparing and applying the seal, see seal.h. */
#include "server/custody/custodian/seal.h"

#include "server/base/text.h"
#include "server/custody/custodian/landlock.h"
#include "server/custody/custodian/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { FILE_COUNT_MAX = 1024, INTERPRETER_DEPTH_MAX = 4 /* the kernel follows as many */ };

#define READ_AND_RUN (LANDLOCK_MAY_READ | LANDLOCK_MAY_RUN)

/* ---- what a worker may see: the lists ---- */

/* Programs and libraries.  Where /lib and the like are symlinks, it is what they lead to. */
static const char *const program_paths[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", NULL};

/* What resolving names, TLS, users and time need of /etc. */
const char *const seal_etc_files[] = {"ld.so.cache", "resolv.conf", "hosts",  "nsswitch.conf",
                                      "gai.conf",    "host.conf",   "passwd", "group",
                                      "services",    "localtime",   NULL};
static const char *const etc_paths[] = {"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates",
                                        "/etc/ca-certificates.conf", NULL};

/* Where the certificates are, if somebody said so to the daemon.  What a home says of them does not count: it would
 * open other homes' files. */
static const char *const certificate_variables[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", NULL};

/* Where other tools keep their sign-ins (server/worker/PROVIDERS.md 3.4), beneath a user's home directory, or where a
 * variable says. */
static const char *const sign_in_paths[] = {
    ".codex", ".claude", ".kimi-code", ".grok", ".gemini", ".config/gh", ".copilot", ".config/github-copilot", NULL};
static const char *const sign_in_variables[] = {"CODEX_HOME", "CLAUDE_CONFIG_DIR", "GROK_HOME", NULL};

/* ---- what there is, and what is missing ---- */

static const struct {
    int abi;
    const char *what;
} coverage[] = {
    {LANDLOCK_ABI_FILES, "files"},
    {LANDLOCK_ABI_TRUNCATE, "truncation"},
    {LANDLOCK_ABI_TCP, "TCP ports"},
    {LANDLOCK_ABI_DEVICES, "device controls"},
    {LANDLOCK_ABI_SCOPES, "signals and abstract sockets"},
};

enum { COVERAGE_COUNT = sizeof coverage / sizeof coverage[0] };

static const char what_would_do[] = "Linux 6.12 or later, with landlock in lsm=, would do";

static bool is_full(struct seal_offer offer)
{
    return offer.landlock_abi >= LANDLOCK_ABI_SCOPES && offer.filters;
}

static void list(struct text *text, const char *what)
{
    text_format(text, "%s%s", text->size == 0 ? "" : ", ", what);
}

/* "files, TCP ports (Landlock ABI 4), seccomp, limits" */
static struct text list_covered(struct seal_offer offer)
{
    struct text text = TEXT_EMPTY;

    for (size_t i = 0; i < COVERAGE_COUNT && coverage[i].abi <= offer.landlock_abi; i++)
        list(&text, coverage[i].what);
    if (text.size > 0)
        text_format(&text, " (Landlock ABI %d)", offer.landlock_abi);
    if (offer.filters)
        list(&text, "system calls (seccomp)");
    list(&text, "limits");
    return text;
}

static struct text list_missing(struct seal_offer offer)
{
    struct text text = TEXT_EMPTY;

    for (size_t i = 0; i < COVERAGE_COUNT; i++) {
        if (coverage[i].abi > offer.landlock_abi)
            list(&text, coverage[i].what);
    }
    if (text.size > 0)
        text_format(&text, " (Landlock ABI %d)", LANDLOCK_ABI_SCOPES);
    if (!offer.filters)
        list(&text, "system calls (seccomp)");
    return text;
}

struct seal_offer seal_find_offer(void)
{
    return (struct seal_offer){.landlock_abi = landlock_find_abi(), .filters = filter_is_offered()};
}

static struct status refuse_start(struct seal_offer offer)
{
    struct text missing = list_missing(offer);
    struct utsname kernel = {.release = "?"};
    struct status status;

    uname(&kernel);
    status = status_make(STATUS_UNAVAILABLE, "worker.sandbox is strict, and this kernel (%.40s) cannot confine: %s; %s",
                         kernel.release, text_string(&missing), what_would_do);
    text_fini(&missing);
    return status;
}

struct status seal_prepare(const struct seal_settings *settings, struct seal_offer offer, struct seal *seal_out)
{
    struct seal seal = {.settings = *settings};

    if (settings->level == SEAL_STRICT && !is_full(offer))
        return refuse_start(offer);
    if (settings->level != SEAL_OFF) {
        seal.offer = offer;
        if (offer.filters) {
            struct status status = filter_compose(
                &(struct filter_settings){.writable_home = settings->writable_home, .network = !settings->no_network},
                &seal.filter);

            if (!status_is_ok(&status))
                return status;
        }
    }
    *seal_out = seal;
    return status_ok();
}

void seal_fini(struct seal *seal)
{
    filter_fini(&seal->filter);
}

void seal_describe(const struct seal *seal, char text[STATUS_MESSAGE_SIZE])
{
    struct text covered = list_covered(seal->offer), missing = list_missing(seal->offer);

    if (seal->settings.level == SEAL_OFF)
        snprintf(text, STATUS_MESSAGE_SIZE, "off");
    else if (is_full(seal->offer))
        snprintf(text, STATUS_MESSAGE_SIZE, "%s: %s; UDP ports stay open",
                 seal->settings.level == SEAL_STRICT ? "strict" : "auto", text_string(&covered));
    else
        snprintf(text, STATUS_MESSAGE_SIZE, "auto: %s; missing for strict: %s; %s; UDP ports stay open",
                 text_string(&covered), text_string(&missing), what_would_do);
    text_fini(&covered);
    text_fini(&missing);
}

void seal_name(const struct seal *seal, char name[PROTOCOL_SEAL_NAME_SIZE])
{
    char landlock[24] = "";

    if (seal->settings.level == SEAL_OFF) {
        snprintf(name, PROTOCOL_SEAL_NAME_SIZE, "off");
        return;
    }
    if (seal->offer.landlock_abi > 0)
        snprintf(landlock, sizeof landlock, "landlock %d, ", seal->offer.landlock_abi);
    snprintf(name, PROTOCOL_SEAL_NAME_SIZE, "%s%slimits", landlock, seal->offer.filters ? "seccomp, " : "");
}

/* ---- limits ---- */

int seal_limit(const struct seal *seal)
{
    const struct rlimit no_file = {0, 0};
    struct rlimit descriptors;

    if (seal->settings.level == SEAL_OFF)
        return 0;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) < 0)
        return errno;
    if (descriptors.rlim_max > FILE_COUNT_MAX)
        descriptors.rlim_max = FILE_COUNT_MAX;
    if (descriptors.rlim_cur > descriptors.rlim_max)
        descriptors.rlim_cur = descriptors.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0 ||
        (!seal->settings.writable_home && setrlimit(RLIMIT_FSIZE, &no_file) < 0))
        return errno;
    return 0;
}

/* ---- Landlock ---- */

/* A ruleset while it grows; the first error stays. */
struct ruleset {
    int fd, abi, error;
};

/* What is not there, or is not to be found by this owner, needs no rule. */
static void allow_at(struct ruleset *ruleset, int directory_fd, const char *path, uint64_t allowed)
{
    int fd;

    if (ruleset->error != 0)
        return;
    fd = openat(directory_fd, path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            ruleset->error = errno;
        return;
    }
    ruleset->error = landlock_allow_beneath(ruleset->fd, ruleset->abi, fd, allowed);
    close(fd);
}

static void allow(struct ruleset *ruleset, const char *path, uint64_t allowed)
{
    if (path[0] == '/')
        allow_at(ruleset, AT_FDCWD, path, allowed);
}

static void allow_all(struct ruleset *ruleset, const char *const *paths, uint64_t allowed)
{
    for (; *paths != NULL; paths++)
        allow(ruleset, *paths, allowed);
}

/* The value of a variable; "" when it is not there. */
static const char *find_variable(char *const *environment, const char *name)
{
    size_t size = strlen(name);

    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
            return *environment + size + 1;
    }
    return "";
}

static void allow_variables(struct ruleset *ruleset, char *const *environment, const char *const *names)
{
    for (; *names != NULL; names++)
        allow(ruleset, find_variable(environment, *names), LANDLOCK_MAY_READ);
}

/* A `#!` line's interpreter; false when there is none that can be read. */
static bool find_interpreter(const char *program, char interpreter[PATH_MAX])
{
    char head[256] = "";
    int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t size = fd < 0 ? -1 : read(fd, head, sizeof head - 1);
    const char *at = head + 2;

    if (fd >= 0)
        close(fd);
    if (size < 2 || memcmp(head, "#!", 2) != 0)
        return false;
    head[size] = '\0';
    at += strspn(at, " \t");
    snprintf(interpreter, PATH_MAX, "%.*s", (int)strcspn(at, " \t\n"), at);
    return true;
}

static void allow_program(struct ruleset *ruleset, const char *program)
{
    char path[PATH_MAX], interpreter[PATH_MAX];

    allow(ruleset, program, READ_AND_RUN);
    snprintf(path, sizeof path, "%s", program);
    for (int depth = 0; depth < INTERPRETER_DEPTH_MAX && find_interpreter(path, interpreter); depth++) {
        allow(ruleset, interpreter, READ_AND_RUN);
        memcpy(path, interpreter, sizeof path);
    }
}

/* A script, a certificate: files alone, since a directory among the words is more likely one to work on. */
static void allow_words(struct ruleset *ruleset, char *const *words)
{
    for (; *words != NULL; words++) {
        struct stat kind;

        if ((*words)[0] == '/' && stat(*words, &kind) == 0 && S_ISREG(kind.st_mode))
            allow(ruleset, *words, LANDLOCK_MAY_READ);
    }
}

/* The resolver's file is often a symlink to one below /run that is replaced by a rename whenever the network changes:
 * the folder is allowed, so that a living worker sees the new one.  Where the file lies in /etc it is allowed alone: a
 * folder's rule would open all of /etc (custodian.c ends those who were sealed before it was replaced). */
static void allow_resolver(struct ruleset *ruleset)
{
    char target[PATH_MAX], *slash;

    if (realpath("/etc/resolv.conf", target) == NULL)
        return;
    slash = strrchr(target, '/');
    *slash = '\0';
    if (strncmp(target, "/run/", 5) == 0)
        allow(ruleset, target, LANDLOCK_MAY_READ);
}

static void allow_etc(struct ruleset *ruleset)
{
    int fd = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    for (const char *const *file = seal_etc_files; *file != NULL; file++)
        allow_at(ruleset, fd, *file, LANDLOCK_MAY_READ);
    close(fd);
    allow_all(ruleset, etc_paths, LANDLOCK_MAY_READ);
    allow_resolver(ruleset);
}

static void allow_sign_ins(struct ruleset *ruleset, const struct seal_subject *subject)
{
    int fd = open(subject->user_home, O_PATH | O_DIRECTORY | O_CLOEXEC);

    allow_variables(ruleset, subject->environment, sign_in_variables);
    if (fd < 0)
        return;
    for (const char *const *path = sign_in_paths; *path != NULL; path++)
        allow_at(ruleset, fd, *path, LANDLOCK_MAY_READ);
    close(fd);
}

static void allow_ports(struct ruleset *ruleset, const struct seal *seal, const struct seal_subject *subject)
{
    struct ports ports = {.count = 0};

    ports_add(&ports, PORT_DNS);
    ports_add_words(&ports, seal->settings.connect_ports);
    ports_add_environment(&ports, subject->environment);
    for (size_t i = 0; i < ports.count && ruleset->error == 0; i++)
        ruleset->error = landlock_allow_connect(ruleset->fd, ruleset->abi, ports.numbers[i]);
}

static void allow_home(struct ruleset *ruleset, const struct seal *seal, int home_fd)
{
    uint64_t allowed = LANDLOCK_MAY_READ;

    if (seal->settings.writable_home)
        allowed |= LANDLOCK_MAY_WRITE | LANDLOCK_MAY_CHANGE;
    if (ruleset->error == 0)
        ruleset->error = landlock_allow_beneath(ruleset->fd, ruleset->abi, home_fd, allowed);
}

int seal_confine(const struct seal *seal, const struct seal_subject *subject)
{
    struct ruleset ruleset = {.abi = seal->offer.landlock_abi};

    if (ruleset.abi == LANDLOCK_ABI_NONE)
        return 0;
    ruleset.fd = landlock_open(ruleset.abi);
    if (ruleset.fd < 0)
        return errno;
    allow_home(&ruleset, seal, subject->home_fd);
    allow_all(&ruleset, program_paths, READ_AND_RUN);
    allow_etc(&ruleset);
    allow(&ruleset, "/dev/null", LANDLOCK_MAY_READ | LANDLOCK_MAY_WRITE);
    allow(&ruleset, "/dev/urandom", LANDLOCK_MAY_READ);
    allow_variables(&ruleset, subject->inherited, certificate_variables);
    for (char *const *path = seal->settings.read_paths; path != NULL && *path != NULL; path++)
        allow(&ruleset, *path, READ_AND_RUN);
    for (char *const *program = subject->programs; *program != NULL; program++)
        allow_program(&ruleset, *program);
    allow_words(&ruleset, subject->command);
    if (seal->settings.foreign_credentials)
        allow_sign_ins(&ruleset, subject);
    if (!seal->settings.no_network)
        allow_ports(&ruleset, seal, subject);
    if (ruleset.error == 0)
        ruleset.error = landlock_enter(ruleset.fd);
    close(ruleset.fd);
    return ruleset.error;
}

/* ---- seccomp ---- */

int seal_filter(const struct seal *seal)
{
    return seal->offer.filters ? filter_enter(&seal->filter) : 0;
}
