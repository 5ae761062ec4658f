/* probed-custodian: reads the configuration by itself, then keeps workers for the daemon that started it.
 *
 * It has no parent-death signal and does not heed TERM or INT: the daemon decides, by closing the socket or by dying.
 * Neighbours: custodian.[ch] the loop, worker.[ch] one worker's life, spawn.[ch] what happens between fork and exec,
 * environment.[ch] a worker's variables, chatter.[ch] its standard error, observer.[ch] the homes whose credentials are
 * looked at. */
#include "server/base/log.h"
#include "server/config.h"
#include "server/custody/custodian/custodian.h"
#include "server/custody/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char program[] = "probed-custodian";
static const char reader_name[] = "probed-reader"; /* lies beside it */

struct seals {
    struct seal of_workers, of_readers;
};

enum { EXIT_USAGE = 2 };

/* No descriptor of ours may come to lie where a worker's will be. */
static bool fill_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_socket(void)
{
    int kind;
    socklen_t size = sizeof kind;

    return getsockopt(PROTOCOL_SOCKET_FD, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_SEQPACKET;
}

/* The folder of this program's file, where the built-in worker lies beside it. */
static bool find_folder(char folder[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    char *slash;

    if (size < 0)
        return false;
    folder[size] = '\0';
    slash = strrchr(folder, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

static struct status settle(struct rlimit *file_limit_out)
{
    struct rlimit limit;
    sigset_t signals;

    /* Blocked, not ignored: a child inherits what is ignored, and would have to be told of a TERM that it missed. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGCHLD);
    /* Not dumpable, nor is any child until it is exec'd: what workers say on standard error passes through here. */
    if (sigprocmask(SIG_SETMASK, &signals, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || fcntl(PROTOCOL_SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return status_make(STATUS_UNAVAILABLE, "cannot settle: %s", strerror(errno));
    *file_limit_out = limit;
    limit.rlim_cur = limit.rlim_max; /* three descriptors a worker; when it is refused, the old limit holds */
    setrlimit(RLIMIT_NOFILE, &limit);
    return status_ok();
}

/* A reader may read what a worker may, and nothing else. */
static struct status prepare_seal(const struct config *config, bool of_readers, struct seal *seal_out)
{
    const char *level = config->worker.sandbox;
    const struct seal_settings settings = {
        .level = strcmp(level, "off") == 0      ? SEAL_OFF
                 : strcmp(level, "strict") == 0 ? SEAL_STRICT
                                                : SEAL_AUTO,
        .writable_home = config->worker.writable_home && !of_readers,
        .foreign_credentials = config->worker.foreign_credentials,
        .read_paths = config->worker.read_paths.words,
        .connect_ports = config->worker.connect_ports.words,
        .no_network = of_readers,
    };

    return seal_prepare(&settings, seal_find_offer(), seal_out);
}

static struct status keep_workers(const struct config *config, const struct seals *seals, const char *folder)
{
    const char *search_path = getenv("PATH");
    char directory[PATH_MAX], reader[PATH_MAX + sizeof reader_name];
    char foreign[] = "--foreign-credentials", yes[] = "yes", no[] = "no";
    char *const reader_command[] = {reader, foreign, config->worker.foreign_credentials ? yes : no, NULL};
    struct spawn_plan plan = {
        .command = config->worker.command.words,
        .search_path = search_path == NULL ? "/usr/local/bin:/usr/bin:/bin" : search_path,
        .start_directory = directory,
        .environment = {.pass = config->worker.env_pass.words, .home_env = config->worker.home_env},
        .foreign_credentials = config->worker.foreign_credentials,
        .seal = &seals->of_workers,
        .term_grace_ms = config->pool.term_grace_ms,
    };
    struct spawn_plan reader_plan;
    struct status status = settle(&plan.file_limit);

    if (!status_is_ok(&status))
        return status;
    if (getcwd(directory, sizeof directory) == NULL)
        strcpy(directory, "/nowhere"); /* only a relative command needs it, and then says that it is not there */
    snprintf(reader, sizeof reader, "%s/%s", folder, reader_name);
    reader_plan = plan;
    reader_plan.command = reader_command;
    reader_plan.dotenv_withheld = true;
    reader_plan.seal = &seals->of_readers;
    return custodian_run(PROTOCOL_SOCKET_FD, &plan, &reader_plan);
}

/* The daemon is told why, since it is the one to say so. */
static void refuse(const struct status *status)
{
    struct report report = {.kind = REPORT_REFUSED};

    memcpy(report.text, status->message, sizeof report.text);
    if (protocol_send_report(PROTOCOL_SOCKET_FD, &report, PROTOCOL_WAIT) != 0)
        log_write(LOG_ERROR, "nobody hears", LOG_FIELDS(log_text("cause", status->message)));
}

static int work(const struct config *config, const char *folder)
{
    struct seals seals = {.of_workers = {.settings = {.level = SEAL_OFF}},
                          .of_readers = {.settings = {.level = SEAL_OFF}}};
    struct status status = prepare_seal(config, false, &seals.of_workers);

    if (status_is_ok(&status))
        status = prepare_seal(config, true, &seals.of_readers);
    log_find_journal(LOG_JOURNAL_SOCKET);
    log_setup(program, (enum log_level)config->log.level, (enum log_format)config->log.format);
    if (!status_is_ok(&status)) {
        refuse(&status);
        seal_fini(&seals.of_workers);
        return EXIT_FAILURE;
    }
    status = keep_workers(config, &seals, folder);
    if (!status_is_ok(&status))
        log_write(LOG_ERROR, "the custodian cannot work", LOG_FIELDS(log_text("cause", status.message)));
    seal_fini(&seals.of_workers);
    seal_fini(&seals.of_readers);
    return status_is_ok(&status) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    char folder[PATH_MAX];
    struct config config;
    enum config_mode mode;
    struct status status;
    int result;

    if (!fill_standard_descriptors() || !find_folder(folder)) {
        fprintf(stderr, "%s: %s\n", program, strerror(errno));
        return EXIT_FAILURE;
    }
    status = config_load(program, argc, argv, folder, &config, &mode);
    if (!status_is_ok(&status)) {
        fprintf(stderr, "%s: %s\n", program, status.message);
        return EXIT_USAGE;
    }
    if (mode == CONFIG_EXIT) {
        config_fini(&config);
        return EXIT_SUCCESS;
    }
    if (!has_socket()) {
        fprintf(stderr, "%s: is started by probed, with a socket on descriptor %d; not by hand\n", program,
                PROTOCOL_SOCKET_FD);
        config_fini(&config);
        return EXIT_USAGE;
    }
    result = work(&config, folder);
    config_fini(&config);
    return result;
}
