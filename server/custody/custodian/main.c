/* probed-custodian: reads the configuration by itself, then keeps workers for the daemon that started it.
 *
 * It has no parent-death signal and does not heed TERM or INT: the daemon decides, by closing the socket or by dying.
 * Neighbours: plans.[ch] what the configuration makes of workers, custodian.[ch] the loop, worker.[ch] one worker's
 * life, spawn.[ch] what happens between fork and exec, environment.[ch] a worker's variables, chatter.[ch] its standard
 * error, observer.[ch] the homes whose credentials are looked at. */
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

/* The daemon is told why, since it is the one to say so. */
static void refuse(const struct status *status)
{
    struct report report = {.kind = REPORT_REFUSED};

    memcpy(report.text, status->message, sizeof report.text);
    if (protocol_send_report(PROTOCOL_SOCKET_FD, &report, PROTOCOL_WAIT) != 0)
        log_write(LOG_ERROR, "nobody hears", LOG_FIELDS(log_text("cause", status->message)));
}

/* Takes the config. */
static struct status keep_workers(const struct plans_source *source, struct config *config)
{
    struct plans *plans;
    struct status status;

    log_find_journal(LOG_JOURNAL_SOCKET);
    log_setup(program, (enum log_level)config->log.level, (enum log_format)config->log.format);
    status = plans_make(source, config, &plans);
    if (!status_is_ok(&status)) {
        refuse(&status);
        return status;
    }
    status = custodian_run(PROTOCOL_SOCKET_FD, source, plans);
    if (!status_is_ok(&status))
        log_write(LOG_ERROR, "the custodian cannot work", LOG_FIELDS(log_text("cause", status.message)));
    return status;
}

static int work(int argc, char **argv, const char *folder, struct config *config)
{
    const char *search_path = getenv("PATH");
    char directory[PATH_MAX];
    struct plans_source source = {.program = program,
                                  .argc = argc,
                                  .argv = argv,
                                  .folder = folder,
                                  .search_path = search_path == NULL ? "/usr/local/bin:/usr/bin:/bin" : search_path,
                                  .start_directory = directory};
    struct status status = settle(&source.file_limit);

    if (getcwd(directory, sizeof directory) == NULL)
        strcpy(directory, "/nowhere"); /* only a relative command needs it, and then says that it is not there */
    if (status_is_ok(&status)) {
        status = keep_workers(&source, config);
    } else {
        refuse(&status);
        config_fini(config);
    }
    return status_is_ok(&status) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    char folder[PATH_MAX];
    struct config config;
    enum config_mode mode;
    struct status status;

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
    return work(argc, argv, folder, &config);
}
