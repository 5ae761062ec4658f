/* The daemon's end of custody with the real custodian: what a worker is given, and how everything comes to its end.
 *
 * The worker command is "sh worker.sh": each test writes the script into its home.  Nothing here sleeps: ends are
 * waited for through pidfds, everything else through custody's own events. */
#include "server/custody/custody.h"

#include "proto/compiler.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/text.h"
#include "server/custody/custodian/landlock.h"
#include "server/custody/link.h"
#include "server/custody/protocol.h"
#include "server/threads/lock.h"
#include "tests/support/check_main.h"
#include "tests/support/patience.h"
#include "tests/support/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { WORKER_COUNT_MAX = 128, PATH_SIZE = 4096, A_SECOND_MS = 1000 * PATIENCE_SCALE };

static const char waits[] = "read line\n"; /* the script of a worker that does nothing until it is to end */
static const char stubborn[] = "trap '' TERM\necho ready\nexec sleep 1000\n";

/* ---- what was heard ---- */

struct heard {
    int event_count, up_count, gone_count, spoke_count;
    uint64_t turn; /* told with the last `spoke` */
    int32_t pid;
    int request_fd, answer_fd;
    bool by_itself;
    struct status cause;
};

static struct lock lock;
static struct condition changed;
static int settled_count; /* of observed homes */
static struct {
    uint64_t id;
    struct status status;
    bool outdated;
} reloaded; /* the last answer to a reload */
static struct heard heard[WORKER_COUNT_MAX];
static struct custody *custody;

static void on_up(void *context, uint64_t worker_id, int32_t pid, int request_fd, int answer_fd, uint64_t spawn_ns)
{
    struct heard *worker = &heard[worker_id];

    (void)context;
    lock_acquire(&lock);
    worker->event_count++;
    worker->up_count += spawn_ns > 0;
    worker->pid = pid;
    worker->request_fd = request_fd;
    worker->answer_fd = answer_fd;
    condition_broadcast(&changed);
    lock_release(&lock);
}

static void on_gone(void *context, uint64_t worker_id, bool by_itself, const struct status *cause)
{
    (void)context;
    lock_acquire(&lock);
    heard[worker_id].event_count++;
    heard[worker_id].gone_count++;
    heard[worker_id].by_itself = by_itself;
    heard[worker_id].cause = *cause;
    condition_broadcast(&changed);
    lock_release(&lock);
}

static void on_spoke(void *context, uint64_t worker_id, uint64_t turn)
{
    (void)context;
    lock_acquire(&lock);
    heard[worker_id].turn = turn;
    heard[worker_id].event_count++;
    heard[worker_id].spoke_count++;
    condition_broadcast(&changed);
    lock_release(&lock);
}

static void on_settled(void *context, uint64_t home_id)
{
    (void)context;
    lock_acquire(&lock);
    settled_count += home_id == 1;
    condition_broadcast(&changed);
    lock_release(&lock);
}

static void on_changed(void *context, uint64_t home_id, const char *provider)
{
    (void)context;
    ck_abort_msg("home %" PRIu64 " has not changed (%s)", home_id, provider);
}

static void on_lost(void *context, uint64_t home_id)
{
    (void)context;
    ck_abort_msg("home %" PRIu64 " is still there", home_id);
}

static void on_reloaded(void *context, uint64_t reload_id, const struct status *status, bool outdated)
{
    (void)context;
    lock_acquire(&lock);
    reloaded.id = reload_id;
    reloaded.status = *status;
    reloaded.outdated = outdated;
    condition_broadcast(&changed);
    lock_release(&lock);
}

/* Waits until the counter, one of `heard`, is no longer 0; what is known of the worker then. */
static struct heard await(uint64_t worker_id, const int *counter)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    struct heard copy;
    bool in_time = true;

    lock_acquire(&lock);
    while (*counter == 0 && in_time)
        in_time = condition_wait(&changed, &lock, due_ns);
    copy = heard[worker_id];
    lock_release(&lock);
    ck_assert_msg(in_time, "worker %" PRIu64 ": nothing heard; up %d, gone %d, spoke %d", worker_id, copy.up_count,
                  copy.gone_count, copy.spoke_count);
    return copy;
}

static struct heard await_up(uint64_t worker_id)
{
    struct heard worker = await(worker_id, &heard[worker_id].event_count);

    ck_assert_msg(worker.up_count == 1, "%s", worker.cause.message);
    return worker;
}

static struct heard await_gone(uint64_t worker_id)
{
    return await(worker_id, &heard[worker_id].gone_count);
}

static struct heard await_spoke(uint64_t worker_id)
{
    return await(worker_id, &heard[worker_id].spoke_count);
}

/* ---- the stage ---- */

static char home[] = "/tmp/test_custody.XXXXXX";
static int home_fd;
static char custodian[PATH_SIZE];

static void set_stage(void)
{
    const char *folder = getenv("PROBED_BIN");

    ck_assert_msg(folder != NULL, "PROBED_BIN names the folder of the programs");
    snprintf(custodian, sizeof custodian, "%s/probed-custodian", folder);
    log_setup("test", LOG_ERROR, LOG_FORMAT_TEXT);
    lock_init(&lock, "heard");
    condition_init(&changed);
    ck_assert_ptr_nonnull(mkdtemp(home));
    home_fd = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(home_fd, 0);
    setenv("XDG_RUNTIME_DIR", home, 0); /* where the sockets of a daemon that is not root would be */
}

static void empty_home(void)
{
    DIR *folder = opendir(home);
    struct dirent *entry;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (unlinkat(home_fd, entry->d_name, 0) < 0)
            unlinkat(home_fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(folder);
}

static void clear_stage(void)
{
    custody_destroy(custody);
    chmod(home, 0700);
    empty_home();
    close(home_fd);
    rmdir(home);
    condition_fini(&changed);
    lock_fini(&lock);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    int fd;

    unlinkat(home_fd, name, 0);
    fd = openat(home_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static void write_script(const char *script)
{
    write_file("worker.sh", script, 0644);
}

static struct status try_to_open_with(const char *program, const char *const *arguments, uint64_t grace_ms)
{
    const struct custody_settings settings = {.program = program, .arguments = arguments, .term_grace_ms = grace_ms};
    const struct custody_events events = {.up = on_up,
                                          .gone = on_gone,
                                          .spoke = on_spoke,
                                          .settled = on_settled,
                                          .changed = on_changed,
                                          .lost = on_lost,
                                          .reloaded = on_reloaded};

    return custody_create(&settings, &events, NULL, &custody);
}

static struct status try_to_open(const char *program, const char *command, const char *level, uint64_t grace_ms)
{
    const char *const arguments[] = {"--worker-command", command, "--log-level", level, NULL};

    return try_to_open_with(program, arguments, grace_ms);
}

static void open_custody(const char *command, uint64_t grace_ms)
{
    struct status status = try_to_open(custodian, command, "error", grace_ms);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void open_for_script(const char *script)
{
    write_script(script);
    open_custody("sh worker.sh", PATIENCE_MS);
}

static void launch(uint64_t worker_id)
{
    int fd = fcntl(home_fd, F_DUPFD_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    custody_launch(custody, worker_id, fd);
}

static struct heard launch_up(uint64_t worker_id)
{
    launch(worker_id);
    return await_up(worker_id);
}

/* One line from the worker, without its end. */
static void read_line(int fd, char *line, size_t size_max)
{
    size_t size = 0;

    for (;;) {
        struct pollfd look = {.fd = fd, .events = POLLIN};

        ck_assert_int_eq(poll(&look, 1, PATIENCE_MS), 1);
        ck_assert_int_eq((int)read(fd, line + size, 1), 1);
        if (line[size] == '\n')
            break;
        ck_assert_uint_lt(++size, size_max);
    }
    line[size] = '\0';
}

static int32_t read_pid(int fd)
{
    char line[32];

    read_line(fd, line, sizeof line);
    return (int32_t)strtol(line, NULL, 10);
}

static int open_pid(int32_t pid)
{
    int pidfd = pidfd_open(pid, 0);

    ck_assert_int_ge(pidfd, 0);
    return pidfd;
}

/* Waits until the process is dead, and closes its pidfd. */
static void await_death(int pidfd, int patience_ms)
{
    struct pollfd look = {.fd = pidfd, .events = POLLIN};

    ck_assert_msg(poll(&look, 1, patience_ms) == 1, "a process has outlived what it was to die of");
    close(pidfd);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* ---- looking at a process from outside ---- */

static struct text read_proc(int32_t pid, const char *name)
{
    struct text text = TEXT_EMPTY;
    char path[64], part[4096];
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    while ((size = read(fd, part, sizeof part)) > 0)
        text_add(&text, part, (size_t)size);
    close(fd);
    return text;
}

/* The rest of the line that begins with `key`, blanks squeezed. */
static void find_line(int32_t pid, const char *file, const char *key, char *value, size_t size_max)
{
    struct text text = read_proc(pid, file);
    const char *at = text_string(&text);
    size_t size = 0;

    while (at != NULL && strncmp(at, key, strlen(key)) != 0)
        at = strchr(at, '\n') == NULL ? NULL : strchr(at, '\n') + 1;
    ck_assert_msg(at != NULL, "no %s in /proc/%d/%s", key, pid, file);
    for (at += strlen(key); *at != '\n' && *at != '\0'; at++) {
        bool blank = *at == ' ' || *at == '\t';

        ck_assert_uint_lt(size + 1, size_max);
        if (!blank || (size > 0 && value[size - 1] != ' '))
            value[size++] = blank ? ' ' : *at;
    }
    while (size > 0 && value[size - 1] == ' ')
        size--;
    value[size] = '\0';
    text_fini(&text);
}

static void expect_line(int32_t pid, const char *file, const char *key, const char *expected)
{
    char value[256];

    find_line(pid, file, key, value, sizeof value);
    ck_assert_msg(strcmp(value, expected) == 0, "%s of %s is \"%s\", not \"%s\"", key, file, value, expected);
}

/* Its value in the worker's environment; NULL when it is not set. */
static char *find_variable(int32_t pid, const char *name)
{
    struct text text = read_proc(pid, "environ");
    size_t size = strlen(name);
    char *value = NULL;

    for (const char *at = text_string(&text); at < text_string(&text) + text.size; at += strlen(at) + 1) {
        if (strncmp(at, name, size) == 0 && at[size] == '=')
            value = strdup(at + size + 1);
    }
    text_fini(&text);
    return value;
}

static void expect_variable(int32_t pid, const char *name, const char *expected)
{
    char *value = find_variable(pid, name);

    if (expected == NULL)
        ck_assert_ptr_null(value);
    else
        ck_assert_pstr_eq(value, expected);
    free(value);
}

/* As root where this process can still be that: others are let see nothing of a custodian. */
static size_t count_descriptors(int32_t pid)
{
    uid_t uid = geteuid();
    bool is_root = uid == 0 || seteuid(0) == 0;
    char path[64];
    size_t count = 0;
    DIR *folder;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    ck_assert(!is_root || seteuid(uid) == 0);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 2; /* "." and ".." */
}

/* ---- the configuration is read again ---- */

/* With two scripts to choose from, and settings in a file. */
static void open_for_settings(const char *settings)
{
    char path[PATH_SIZE];
    const char *const arguments[] = {"--config", path, "--log-level", "error", NULL};
    struct status status;

    snprintf(path, sizeof path, "%s/settings", home);
    write_file("first.sh", "echo 1\nread line\n", 0644);
    write_file("second.sh", "echo 2\nread line\n", 0644);
    write_file("settings", settings, 0644);
    status = try_to_open_with(custodian, arguments, PATIENCE_MS);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void await_reload(uint64_t reload_id)
{
    uint64_t due_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;
    bool in_time = true;

    lock_acquire(&lock);
    while (reloaded.id != reload_id && in_time)
        in_time = condition_wait(&changed, &lock, due_ns);
    lock_release(&lock);
    ck_assert(in_time);
}

static void reload(uint64_t reload_id, const char *settings)
{
    write_file("settings", settings, 0644);
    custody_reload(custody, reload_id);
    await_reload(reload_id);
}

static const char settings_of_first[] = "[worker]\ncommand = sh first.sh\n";
static const char settings_of_second[] = "[worker]\ncommand = sh second.sh\n";

START_TEST(workers_are_started_by_the_settings_that_were_read_last)
{
    open_for_settings(settings_of_first);
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 1);
    reload(1, settings_of_second);
    ck_assert(status_is_ok(&reloaded.status) && reloaded.outdated);
    ck_assert_int_eq(read_pid(launch_up(2).answer_fd), 2);
    ck_assert_int_eq(heard[1].gone_count, 0); /* whose end it is, is decided elsewhere */
    reload(2, settings_of_first);
    ck_assert_int_eq(read_pid(launch_up(3).answer_fd), 1);
}
END_TEST

START_TEST(a_start_ordered_behind_a_reload_is_by_the_new_settings)
{
    open_for_settings(settings_of_first);
    write_file("settings", settings_of_second, 0644);
    custody_reload(custody, 1);
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 2);
    await_reload(1);
}
END_TEST

START_TEST(settings_that_are_no_workers_leave_workers_as_they_are)
{
    open_for_settings(settings_of_first);
    reload(1, settings_of_first);
    ck_assert(status_is_ok(&reloaded.status) && !reloaded.outdated);
    reload(2, "[worker]\ncommand = sh first.sh\nreply_bytes_max = 5000\n[pool]\nterm_grace_ms = 7\n");
    ck_assert(status_is_ok(&reloaded.status) && !reloaded.outdated);
}
END_TEST

START_TEST(settings_that_are_wrong_change_nothing_and_are_told)
{
    open_for_settings(settings_of_first);
    reload(1, "[worker]\ncommand = sh second.sh\nsandbox = maybe\n");
    ck_assert_int_eq(reloaded.status.code, STATUS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(reloaded.status.message, "settings:3: worker.sandbox: "));
    ck_assert(!reloaded.outdated);
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 1);
    reload(2, settings_of_second);
    ck_assert(status_is_ok(&reloaded.status));
    ck_assert_int_eq(read_pid(launch_up(2).answer_fd), 2);
}
END_TEST

START_TEST(a_seal_that_is_another_is_seen_at_once)
{
    char seal[STATUS_MESSAGE_SIZE], name[CUSTODY_SEAL_NAME_SIZE];

    open_for_settings(settings_of_first);
    reload(1, "[worker]\ncommand = sh first.sh\nsandbox = off\n");
    ck_assert(reloaded.outdated);
    custody_look_seal(custody, seal);
    ck_assert_str_eq(seal, "off");
    launch_up(1);
    custody_look_worker_seal(custody, 1, name);
    ck_assert_str_eq(name, "off");
}
END_TEST

START_TEST(of_two_reloads_the_last_is_answered)
{
    open_for_settings(settings_of_first);
    write_file("settings", settings_of_second, 0644);
    for (uint64_t id = 1; id <= 100; id++)
        custody_reload(custody, id);
    await_reload(100);
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 2);
}
END_TEST

START_TEST(a_reload_that_no_custodian_lived_to_answer_is_answered_by_the_next)
{
    open_for_settings(settings_of_first);
    ck_assert_int_eq(kill(custody_custodian_pid(custody), SIGSTOP), 0);
    write_file("settings", settings_of_second, 0644);
    custody_reload(custody, 1);
    ck_assert_int_eq(kill(custody_custodian_pid(custody), SIGKILL), 0);
    await_reload(1);
    ck_assert(status_is_ok(&reloaded.status));
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 2);
}
END_TEST

/* ---- what a worker is given ---- */

START_TEST(a_worker_has_three_descriptors)
{
    struct heard worker;

    open_for_script("cat\n"); /* the shell waits for it with nothing of its own open but its script */
    write_script("exec cat\n");
    worker = launch_up(1);
    ck_assert_int_eq((int)write(worker.request_fd, "x\n", 2), 2);
    ck_assert_int_eq(read_pid(worker.answer_fd), 0); /* cat speaks: the shell is gone, and its script with it */
    ck_assert_uint_eq(count_descriptors(worker.pid), 3);
}
END_TEST

START_TEST(a_worker_runs_in_its_home)
{
    char path[64], folder[PATH_SIZE] = "";
    struct heard worker;

    open_for_script(waits);
    worker = launch_up(1);
    snprintf(path, sizeof path, "/proc/%d/cwd", worker.pid);
    ck_assert_int_gt((int)readlink(path, folder, sizeof folder - 1), 0);
    ck_assert_str_eq(folder, home);
}
END_TEST

START_TEST(a_worker_leads_a_session_without_a_terminal)
{
    struct heard worker;
    struct text text;
    int terminal = -1;

    open_for_script(waits);
    worker = launch_up(1);
    ck_assert_int_eq(getsid(worker.pid), worker.pid);
    ck_assert_int_eq(getpgid(worker.pid), worker.pid);
    text = read_proc(worker.pid, "stat");
    ck_assert_int_eq(sscanf(strrchr(text_string(&text), ')'), ") %*c %*d %*d %*d %d", &terminal), 1);
    ck_assert_int_eq(terminal, 0);
    text_fini(&text);
}
END_TEST

START_TEST(a_worker_pushes_nobody_aside)
{
    struct heard worker;

    open_for_script(waits);
    worker = launch_up(1);
    ck_assert_int_eq(sched_getscheduler(worker.pid), SCHED_BATCH);
}
END_TEST

START_TEST(a_worker_gains_no_privileges_and_leaves_no_core)
{
    struct heard worker;

    open_for_script(waits);
    worker = launch_up(1);
    expect_line(worker.pid, "status", "NoNewPrivs:", "1");
    expect_line(worker.pid, "limits", "Max core file size", "0 0 bytes");
    expect_line(worker.pid, "status", "CapInh:", "0000000000000000");
    expect_line(worker.pid, "status", "CapPrm:", "0000000000000000");
    expect_line(worker.pid, "status", "CapEff:", "0000000000000000");
    expect_line(worker.pid, "status", "CapAmb:", "0000000000000000");
}
END_TEST

START_TEST(a_worker_has_signals_and_limits_as_a_program_expects_them)
{
    char ours[64];
    struct heard worker;
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 300; /* the custodian raises its own, and its own only */
    limit.rlim_max = 900; /* below what a seal leaves */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    signal(SIGPIPE, SIG_IGN); /* of the daemon, and not to be handed down */
    open_for_script("exec cat\n");
    worker = launch_up(1);
    ck_assert_int_eq((int)write(worker.request_fd, "x\n", 2), 2);
    ck_assert_int_eq(read_pid(worker.answer_fd), 0);
    expect_line(worker.pid, "status", "SigBlk:", "0000000000000000");
    expect_line(worker.pid, "status", "SigIgn:", "0000000000000000");
    find_line(getpid(), "limits", "Max open files", ours, sizeof ours);
    expect_line(worker.pid, "limits", "Max open files", ours);
}
END_TEST

START_TEST(a_worker_has_the_environment_of_the_contract)
{
    struct heard worker;

    setenv("PROBED_TEST_SECRET", "1", 1);
    setenv("TZ", "UTC", 1);
    write_file(".env", "A_KEY='k'\nHOME=/x\nLD_PRELOAD=/x\nTZ=\n", 0600);
    open_for_script(waits);
    worker = launch_up(1);
    expect_variable(worker.pid, "A_KEY", "k");
    expect_variable(worker.pid, "HOME", home);
    expect_variable(worker.pid, "HERMES_HOME", home);
    expect_variable(worker.pid, "PATH", getenv("PATH"));
    expect_variable(worker.pid, "TZ", NULL);
    expect_variable(worker.pid, "LD_PRELOAD", NULL);
    expect_variable(worker.pid, "PROBED_TEST_SECRET", NULL);
}
END_TEST

static void make_odd_dotenv(int kind)
{
    char path[PATH_SIZE];
    int fd;

    snprintf(path, sizeof path, "%s/.env", home);
    switch (kind) {
    case 0:
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        break;
    case 1:
        ck_assert_int_eq(mkdir(path, 0700), 0);
        break;
    case 2:
        write_file("other", "A_KEY=k\n", 0600);
        ck_assert_int_eq(symlink("other", path), 0);
        break;
    case 3:
        write_file(".env", "A_KEY=k\n", 0600);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_eq(ftruncate(fd, 1048577), 0);
        close(fd);
        break;
    default:
        write_file(".env", "A_KEY=k\nB=\xff\n", 0600);
    }
}

START_TEST(an_odd_dotenv_is_none_and_holds_nobody_up)
{
    struct heard worker;

    make_odd_dotenv(_i);
    open_for_script(waits);
    worker = launch_up(1);
    expect_variable(worker.pid, "A_KEY", NULL);
    expect_variable(worker.pid, "HERMES_HOME", home);
}
END_TEST

/* Uid and gid of the home, and what the worker must then have.  0: as who we are. */
static const struct {
    uid_t uid;
    gid_t gid;
    const char *uids, *gids, *groups;
} owners[] = {
    {65534, 65534, "65534 65534 65534 65534", "65534 65534 65534 65534", "65534"}, /* nobody, in the user database */
    {65534, 0, "65534 65534 65534 65534", "65534 65534 65534 65534", "65534"},     /* whose group the database knows */
    {54321, 54322, "54321 54321 54321 54321", "54322 54322 54322 54322", ""},      /* who is in none */
    {54321, 0, "54321 54321 54321 54321", "65534 65534 65534 65534", ""},          /* and never gets root's group */
    {0, 0, "0 0 0 0", "0 0 0 0", "0"},                                             /* root is root, without powers */
};

START_TEST(a_worker_run_by_root_is_the_owner_of_its_home)
{
    struct heard worker;

    if (geteuid() != 0) {
        open_for_script(waits);
        ck_assert_int_eq(kill(launch_up(1).pid, 0), 0); /* ours, as everything is */
        return;
    }
    ck_assert_int_eq(setgroups(1, (gid_t[]){4}), 0); /* of the daemon, and not to be handed down */
    write_file(".env", "A_KEY=k\n", 0400);           /* for the owner's eyes */
    ck_assert_int_eq(fchownat(home_fd, ".env", owners[_i].uid, owners[_i].gid, 0), 0);
    ck_assert_int_eq(chown(home, owners[_i].uid, owners[_i].gid), 0);
    open_for_script(waits);
    worker = launch_up(1);
    expect_line(worker.pid, "status", "Uid:", owners[_i].uids);
    expect_line(worker.pid, "status", "Gid:", owners[_i].gids);
    expect_line(worker.pid, "status", "Groups:", owners[_i].groups);
    expect_line(worker.pid, "status", "CapPrm:", "0000000000000000");
    expect_line(worker.pid, "status", "CapEff:", "0000000000000000");
    expect_line(worker.pid, "status", "CapBnd:", "0000000000000000");
    expect_variable(worker.pid, "A_KEY", "k");
}
END_TEST

START_TEST(a_worker_reads_its_home_with_its_owners_rights_only)
{
    struct heard worker;

    if (geteuid() != 0)
        return;                            /* there are no other rights to be had */
    write_file(".env", "A_KEY=k\n", 0600); /* root's */
    ck_assert_int_eq(chown(home, 65534, 65534), 0);
    open_for_script(waits);
    worker = launch_up(1);
    expect_variable(worker.pid, "A_KEY", NULL);
}
END_TEST

/* ---- starts that fail ---- */

static void expect_no_start(const char *command, const char *message)
{
    struct heard worker;

    open_custody(command, PATIENCE_MS);
    launch(1);
    worker = await_gone(1);
    ck_assert_int_eq(worker.up_count, 0);
    ck_assert_int_eq((int)worker.cause.code, STATUS_UNAVAILABLE);
    ck_assert_str_eq(worker.cause.message, message);
    custody_end(custody, 1, "the test says so"); /* nobody was told of the channel; nothing is left to close */
}

START_TEST(a_missing_program_is_told_with_its_name_and_errno)
{
    expect_no_start("/nowhere/worker --fast",
                    "cannot start the worker /nowhere/worker: exec: No such file or directory");
}
END_TEST

START_TEST(a_program_that_is_nowhere_in_path_is_missing)
{
    write_file("worker", "#!/bin/sh\n", 0755); /* in the home, which is not searched */
    setenv("PATH", "/bin:.::relative:/usr/bin", 1);
    expect_no_start("worker", "cannot start the worker worker: exec: No such file or directory");
}
END_TEST

START_TEST(a_relative_program_is_not_relative_to_the_home)
{
    write_file("worker", "#!/bin/sh\n", 0755);
    expect_no_start("./worker", "cannot start the worker ./worker: exec: No such file or directory");
}
END_TEST

START_TEST(a_program_that_is_not_executable_is_refused)
{
    expect_no_start("/etc/passwd", "cannot start the worker /etc/passwd: exec: Permission denied");
}
END_TEST

START_TEST(a_program_without_a_format_is_no_script)
{
    char path[PATH_SIZE], message[PATH_SIZE + 64];

    write_file("worker", "echo hello\n", 0755);
    snprintf(path, sizeof path, "%s/worker", home);
    snprintf(message, sizeof message, "cannot start the worker %s: exec: Exec format error", path);
    expect_no_start(path, message);
}
END_TEST

START_TEST(a_home_that_its_owner_cannot_enter_is_told_with_the_step)
{
    if (geteuid() == 0)
        ck_assert_int_eq(chown(home, 65534, 65534), 0);
    ck_assert_int_eq(chmod(home, 0), 0);
    expect_no_start("/bin/cat", "cannot start the worker /bin/cat: home: Permission denied");
}
END_TEST

START_TEST(a_home_that_was_removed_has_no_worker)
{
    ck_assert_int_eq(rmdir(home), 0);
    expect_no_start("/bin/cat", "cannot start the worker /bin/cat: path: No such file or directory");
    ck_assert_int_eq(mkdir(home, 0700), 0);
}
END_TEST

START_TEST(a_worker_that_exits_at_once_is_gone_with_its_status)
{
    struct heard worker;

    open_for_script("exit 3\n");
    launch(1);
    worker = await_gone(1);
    ck_assert_int_eq(worker.up_count, 1);
    ck_assert_str_eq(worker.cause.message, "the worker exited with status 3");
    ck_assert_int_eq((int)worker.cause.code, STATUS_UNAVAILABLE);
    ck_assert(worker.by_itself);
}
END_TEST

START_TEST(a_daemon_without_descriptors_refuses_the_start_and_goes_on)
{
    struct rlimit before, none;
    int fd = fcntl(home_fd, F_DUPFD_CLOEXEC, 0);
    struct heard worker;

    open_for_script(waits);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    custody_launch(custody, 1, fd);
    worker = await_gone(1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_str_eq(worker.cause.message, "cannot start a worker: pipe: Too many open files");
    ck_assert(!is_open(fd));
    launch_up(2);
}
END_TEST

START_TEST(a_custodian_without_descriptors_refuses_the_start_and_goes_on)
{
    struct rlimit before, none;
    struct heard worker;

    open_for_script(waits);
    ck_assert_int_eq(prlimit(custody_custodian_pid(custody), RLIMIT_NOFILE, NULL, &before), 0);
    none = before;
    none.rlim_cur = 0;
    ck_assert_int_eq(prlimit(custody_custodian_pid(custody), RLIMIT_NOFILE, &none, NULL), 0);
    launch(1);
    worker = await_gone(1);
    ck_assert_int_eq(prlimit(custody_custodian_pid(custody), RLIMIT_NOFILE, &before, NULL), 0);
    ck_assert_str_eq(worker.cause.message, "cannot start the worker sh: descriptors: Too many open files");
    launch_up(2);
}
END_TEST

/* A start that fails again and again: told each time, nothing is lost on the way, and others go on. */
static void expect_failures(const char *cause)
{
    enum { COUNT = 100 };
    size_t fd_count = 0, custodian_fd_count = 0;

    for (uint64_t id = 2; id < COUNT + 2; id++) {
        char line[16];

        launch(id);
        ck_assert_str_eq(await_gone(id).cause.message, cause);
        ck_assert_int_eq((int)write(heard[1].request_fd, "x\n", 2), 2);
        read_line(heard[1].answer_fd, line, sizeof line);
        ck_assert_str_eq(line, "x");
        if (id == 2) {
            fd_count = count_descriptors(getpid());
            custodian_fd_count = count_descriptors(custody_custodian_pid(custody));
        }
    }
    ck_assert_uint_eq(count_descriptors(getpid()), fd_count);
    /* The last order's may not be closed yet. */
    ck_assert_uint_le(count_descriptors(custody_custodian_pid(custody)), custodian_fd_count + ORDER_DESCRIPTOR_COUNT);
}

/* Root is never refused a process, so this is somebody else's daemon. */
START_TEST(a_custodian_that_may_have_no_more_processes_refuses_the_start_and_goes_on)
{
    const uid_t nobody = 65534;
    const bool is_root = geteuid() == 0;
    struct rlimit before, none;
    char program[PATH_SIZE];

    if (is_root) {
        snprintf(program, sizeof program, "%s/custodian", home);
        process_copy_program(custodian, program);
        memcpy(custodian, program, sizeof custodian);
        ck_assert_int_eq(chown(home, nobody, nobody), 0);
        ck_assert_int_eq(setgroups(0, NULL), 0);
        ck_assert_int_eq(setresgid(nobody, nobody, nobody), 0);
        ck_assert_int_eq(setresuid(nobody, nobody, 0), 0); /* and can look as root */
    }
    open_for_script("while read line; do echo $line; done\n");
    launch_up(1);
    ck_assert_int_eq(prlimit(custody_custodian_pid(custody), RLIMIT_NPROC, NULL, &before), 0);
    none = before;
    none.rlim_cur = 0;
    ck_assert_int_eq(prlimit(custody_custodian_pid(custody), RLIMIT_NPROC, &none, NULL), 0);
    expect_failures("cannot start the worker sh: fork: Resource temporarily unavailable");
    ck_assert_int_eq(prlimit(custody_custodian_pid(custody), RLIMIT_NPROC, &before, NULL), 0);
    launch_up(WORKER_COUNT_MAX - 1);
    ck_assert(is_root == (setresuid(0, 0, 0) == 0)); /* a sanitizer looks into this process at its end */
}
END_TEST

/* One that hangs is given up: scenario.homes, which can make a file system hang. */
START_TEST(a_start_that_gets_on_is_not_given_up_for_a_hurry)
{
    open_for_script(waits);
    for (uint64_t id = 1; id <= 10; id++) {
        launch(id);
        for (int i = 0; i < 100; i++)
            custody_hurry(custody);
        await_up(id);
    }
}
END_TEST

/* ---- the channel ---- */

START_TEST(a_worker_reads_requests_and_writes_answers)
{
    char line[64];
    struct heard worker;

    open_for_script("while read -r line; do echo \"got $line\"; done\n");
    worker = launch_up(1);
    ck_assert_int_eq((int)write(worker.request_fd, "this\n", 5), 5);
    read_line(worker.answer_fd, line, sizeof line);
    ck_assert_str_eq(line, "got this");
    ck_assert((fcntl(worker.request_fd, F_GETFL) & O_NONBLOCK) != 0);
    ck_assert((fcntl(worker.answer_fd, F_GETFL) & O_NONBLOCK) != 0);
}
END_TEST

START_TEST(the_channel_stays_until_it_is_ended)
{
    struct heard worker;

    open_for_script(waits);
    worker = launch_up(1);
    custody_kill(custody, 1, "the test says so");
    ck_assert_str_eq(await_gone(1).cause.message, "the worker was killed by signal 9 (Killed)");
    ck_assert(is_open(worker.request_fd) && is_open(worker.answer_fd));
    custody_end(custody, 1, "the test says so");
    ck_assert(!is_open(worker.request_fd) && !is_open(worker.answer_fd));
}
END_TEST

START_TEST(bytes_that_nobody_asked_for_are_reported_once)
{
    struct heard worker;

    open_for_script("read line\necho stray\necho more\nread line\n");
    worker = launch_up(1);
    custody_watch(custody, 1, 5);
    ck_assert_int_eq((int)write(worker.request_fd, "\n", 1), 1);
    await_spoke(1);
    custody_kill(custody, 1, "the test says so"); /* its end of file is no second word */
    ck_assert_int_eq(await_gone(1).spoke_count, 1);
    custody_watch(custody, 1, 5);
    await(1, &heard[1].spoke_count);
}
END_TEST

START_TEST(end_of_file_is_a_word_too)
{
    open_for_script("read line\nexec >&-\nread line\n");
    ck_assert_int_eq((int)write(launch_up(1).request_fd, "\n", 1), 1);
    custody_watch(custody, 1, 6);
    ck_assert_uint_eq(await_spoke(1).turn, 6);
    ck_assert_int_eq(heard[1].gone_count, 0);
}
END_TEST

START_TEST(bytes_that_were_there_before_the_watch_are_reported)
{
    struct pollfd look = {.events = POLLIN};

    open_for_script("echo early\nread line\n");
    look.fd = launch_up(1).answer_fd;
    ck_assert_int_eq(poll(&look, 1, PATIENCE_MS), 1);
    custody_watch(custody, 1, 5);
    await_spoke(1);
}
END_TEST

START_TEST(of_several_idlenesses_the_latest_is_watched)
{
    struct heard worker;

    open_for_script("read line\necho stray\nread line\n");
    worker = launch_up(1);
    custody_watch(custody, 1, 5);
    custody_watch(custody, 1, 6);
    custody_watch(custody, 1, 4); /* comes late */
    ck_assert_int_eq((int)write(worker.request_fd, "\n", 1), 1);
    ck_assert_uint_eq(await_spoke(1).turn, 6);
}
END_TEST

START_TEST(a_watch_ends_with_its_worker_before_it_has_begun)
{
    open_for_script(waits);
    launch_up(1);
    custody_watch(custody, 1, 5);
    custody_end(custody, 1, "the test says so");
    custody_watch(custody, 1, 6);
    ck_assert_int_eq(await_gone(1).spoke_count, 0);
}
END_TEST

START_TEST(nothing_is_reported_of_a_worker_that_is_not_watched)
{
    char line[16];
    struct heard worker;

    open_for_script("echo stray\nread line\n");
    worker = launch_up(1);
    read_line(worker.answer_fd, line, sizeof line);
    custody_end(custody, 1, "the test says so");
    ck_assert_int_eq(await_gone(1).spoke_count, 0);
}
END_TEST

START_TEST(orders_for_unknown_workers_are_nothing)
{
    open_for_script(waits);
    custody_kill(custody, 7, "the test says so");
    custody_end(custody, 7, "the test says so");
    custody_watch(custody, 7, 5);
    launch_up(1);
}
END_TEST

/* ---- ends ---- */

START_TEST(ending_a_worker_closes_its_input_and_lets_it_finish)
{
    open_for_script("trap '' TERM\necho ready\nread line\nexit 5\n");
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 0);
    custody_end(custody, 1, "the test says so");
    ck_assert_str_eq(await_gone(1).cause.message, "the worker exited with status 5");
}
END_TEST

START_TEST(ending_a_worker_sends_term_to_its_group)
{
    struct heard worker;
    int child;

    open_for_script("sleep 1000 &\necho $!\nexec sleep 1000\n");
    worker = launch_up(1);
    child = open_pid(read_pid(worker.answer_fd));
    custody_end(custody, 1, "the test says so");
    ck_assert_str_eq(await_gone(1).cause.message, "the worker was killed by signal 15 (Terminated)");
    await_death(child, PATIENCE_MS);
}
END_TEST

START_TEST(a_worker_that_ignores_term_is_killed_after_the_grace)
{
    write_script(stubborn);
    open_custody("sh worker.sh", 50);
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 0);
    custody_end(custody, 1, "the test says so");
    ck_assert_str_eq(await_gone(1).cause.message, "the worker was killed by signal 9 (Killed)");
}
END_TEST

START_TEST(a_killed_worker_takes_its_children_along)
{
    struct heard worker;
    int child;

    open_for_script("trap '' TERM\nsleep 1000 &\necho $!\nread line\n");
    worker = launch_up(1);
    child = open_pid(read_pid(worker.answer_fd));
    custody_kill(custody, 1, "the test says so");
    await_gone(1);
    await_death(child, PATIENCE_MS);
}
END_TEST

START_TEST(a_worker_that_ends_by_itself_leaves_no_child)
{
    struct heard worker;
    int child;

    open_for_script("trap '' TERM HUP\nsleep 1000 &\necho $!\nread line\n");
    worker = launch_up(1);
    child = open_pid(read_pid(worker.answer_fd));
    ck_assert_int_eq((int)write(worker.request_fd, "\n", 1), 1);
    await_gone(1);
    await_death(child, PATIENCE_MS);
}
END_TEST

START_TEST(each_launch_is_gone_exactly_once_even_if_ended_at_once)
{
    open_for_script(waits);
    for (uint64_t id = 1; id <= 30; id++) {
        launch(id);
        if (id % 3 == 0)
            custody_kill(custody, id, "the test says so");
        custody_end(custody, id, "the test says so");
    }
    for (uint64_t id = 1; id <= 30; id++)
        await_gone(id);
    custody_destroy(custody);
    custody = NULL;
    for (uint64_t id = 1; id <= 30; id++) {
        ck_assert_int_eq(heard[id].gone_count, 1);
        ck_assert_int_le(heard[id].up_count, 1);
    }
}
END_TEST

START_TEST(destroying_it_leaves_no_process_and_no_descriptor)
{
    size_t before = count_descriptors(getpid());
    int pidfds[51], stray;

    open_for_script("trap '' TERM\nsetsid sleep 1000 &\necho $!\nread line\n");
    for (uint64_t id = 1; id <= 50; id++)
        launch(id);
    for (uint64_t id = 1; id <= 50; id++)
        pidfds[id] = open_pid(await_up(id).pid);
    stray = open_pid(read_pid(heard[1].answer_fd)); /* has left the group */
    pidfds[0] = open_pid(custody_custodian_pid(custody));
    custody_destroy(custody);
    custody = NULL;
    for (size_t i = 0; i <= 50; i++) {
        await_death(pidfds[i], 0); /* not soon: now */
        ck_assert_int_eq(heard[i].gone_count, i > 0);
    }
    await_death(stray, 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_uint_eq(count_descriptors(getpid()), before);
}
END_TEST

START_TEST(a_custodian_that_does_not_listen_is_left_behind_in_time)
{
    uint64_t began_ns;
    int worker;

    open_for_script(stubborn);
    worker = open_pid(launch_up(1).pid);
    ck_assert_int_eq(kill(custody_custodian_pid(custody), SIGSTOP), 0);
    launch(2);
    began_ns = clock_now_ns();
    custody_destroy(custody);
    custody = NULL;
    if (patience_time_counts())
        ck_assert_uint_lt(clock_now_ns() - began_ns, 2 * NS_PER_S + NS_PER_S / 2); /* two seconds, and a busy machine */
    await_death(worker, 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(heard[1].gone_count, 1);
    ck_assert_int_eq(heard[2].gone_count, 1);
}
END_TEST

/* ---- the death of the custodian ---- */

START_TEST(when_the_custodian_is_killed_all_workers_are_gone_and_another_works)
{
    int32_t first;
    int children[8], workers[8];

    open_for_script("trap '' TERM HUP\nsetsid sleep 1000 &\necho $!\nread line\n");
    first = custody_custodian_pid(custody);
    for (uint64_t id = 0; id < 8; id++) {
        struct heard worker = launch_up(id + 1);

        workers[id] = open_pid(worker.pid);
        children[id] = open_pid(read_pid(worker.answer_fd)); /* in a session of its own */
    }
    ck_assert_int_eq(kill(first, SIGKILL), 0);
    launch(9); /* queued, or sent and lost: told in either case */
    for (uint64_t id = 1; id <= 8; id++) {
        struct heard worker = await_gone(id);

        ck_assert_str_eq(worker.cause.message, "the custodian was killed by signal 9 (Killed)");
        ck_assert(!worker.by_itself);
    }
    launch(10);
    ck_assert_int_ne(getpgid(await_up(10).pid), -1);
    ck_assert_int_ne(custody_custodian_pid(custody), first);
    for (size_t i = 0; i < 8; i++) {
        await_death(workers[i], A_SECOND_MS);
        await_death(children[i], A_SECOND_MS);
        ck_assert_int_eq(heard[i + 1].gone_count, 1);
        ck_assert(is_open(heard[i + 1].answer_fd)); /* until its lease is back */
    }
}
END_TEST

START_TEST(a_launch_that_a_dying_custodian_had_not_finished_is_taken_up_by_the_next)
{
    int32_t first;
    struct heard worker;

    open_for_script("echo hello\nread line\n");
    first = custody_custodian_pid(custody);
    ck_assert_int_eq(kill(first, SIGSTOP), 0);
    for (uint64_t id = 1; id <= 4; id++)
        launch(id);
    ck_assert_int_eq(kill(first, SIGKILL), 0);
    for (uint64_t id = 1; id <= 4; id++) {
        char line[16];

        worker = await_up(id);
        read_line(worker.answer_fd, line, sizeof line);
        ck_assert_str_eq(line, "hello");
        ck_assert_int_eq(worker.gone_count, 0);
    }
    ck_assert_int_ne(custody_custodian_pid(custody), first);
}
END_TEST

START_TEST(a_custodian_killed_again_and_again_is_replaced_each_time)
{
    open_for_script(waits);
    for (uint64_t id = 1; id <= 5; id++) {
        launch_up(2 * id);
        launch(2 * id + 1); /* caught anywhere between the order and exec */
        kill(custody_custodian_pid(custody), SIGKILL);
        await_gone(2 * id);
        await(2 * id + 1, &heard[2 * id + 1].event_count);
    }
    launch_up(20);
}
END_TEST

START_TEST(while_no_custodian_can_be_started_launches_fail_and_then_work_again)
{
    char path[PATH_SIZE];
    struct status status;
    uint64_t id = 2;

    snprintf(path, sizeof path, "%s/custodian", home);
    ck_assert_int_eq(symlink(custodian, path), 0);
    write_script(waits);
    status = try_to_open(path, "sh worker.sh", "error", PATIENCE_MS);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    launch_up(1);
    ck_assert_int_eq(unlink(path), 0);
    write_file("custodian", "#!/bin/sh\nexit 7\n", 0755);
    ck_assert_int_eq(kill(custody_custodian_pid(custody), SIGKILL), 0);
    await_gone(1);
    launch(2);
    ck_assert_str_eq(await_gone(2).cause.message, "the custodian exited with status 7");
    ck_assert_int_eq(unlink(path), 0);
    do
        launch(++id); /* the first may still be told of the old cause */
    while (strstr(await_gone(id).cause.message, "cannot start the custodian") == NULL);
    ck_assert_int_eq(custody_custodian_pid(custody), 0);
    ck_assert_int_eq(symlink(custodian, path), 0);
    do
        launch(++id);
    while (await(id, &heard[id].event_count).up_count == 0); /* until one was queued when a custodian got ready */
}
END_TEST

/* ---- the death of the daemon ---- */

/* A process that plays the daemon: opens custody, starts workers, writes all pids, and waits to be killed. */
static pid_t fork_daemon(int pids_fd)
{
    pid_t daemon = fork();

    ck_assert_int_ge(daemon, 0);
    if (daemon != 0)
        return daemon;
    if (geteuid() == 0) /* another uid for the workers: the kernel then forgets the first parent-death signal */
        ck_assert_int_eq(chown(home, 65534, 65534), 0);
    open_for_script("trap '' TERM HUP\nsetsid sleep 1000 &\necho $!\nexec sleep 1000\n");
    for (uint64_t id = 1; id <= 4; id++) {
        struct heard worker = launch_up(id);

        dprintf(pids_fd, "%d\n%d\n", worker.pid, read_pid(worker.answer_fd));
    }
    dprintf(pids_fd, "%d\n", custody_custodian_pid(custody));
    for (;;)
        pause();
}

START_TEST(when_the_daemon_is_killed_nothing_is_left_after_a_second)
{
    int pids[2], pidfds[9];
    pid_t daemon;

    ck_assert_int_eq(pipe2(pids, O_CLOEXEC), 0);
    daemon = fork_daemon(pids[1]);
    for (size_t i = 0; i < 9; i++)
        pidfds[i] = open_pid(read_pid(pids[0]));
    ck_assert_int_eq(kill(daemon, SIGKILL), 0);
    for (size_t i = 0; i < 9; i++)
        await_death(pidfds[i], A_SECOND_MS);
    ck_assert_int_eq(waitpid(daemon, NULL, 0), daemon);
    close(pids[0]);
    close(pids[1]);
}
END_TEST

START_TEST(when_daemon_and_custodian_are_killed_no_worker_is_left)
{
    int pids[2], pidfds[8];
    int32_t keeper;
    pid_t daemon;

    ck_assert_int_eq(pipe2(pids, O_CLOEXEC), 0);
    daemon = fork_daemon(pids[1]);
    for (size_t i = 0; i < 8; i++)
        pidfds[i] = open_pid(read_pid(pids[0]));
    keeper = read_pid(pids[0]);
    ck_assert_int_eq(kill(daemon, SIGSTOP), 0); /* so that neither sees the other's end */
    ck_assert_int_eq(kill(keeper, SIGSTOP), 0);
    ck_assert_int_eq(kill(daemon, SIGKILL), 0);
    ck_assert_int_eq(kill(keeper, SIGKILL), 0);
    for (size_t i = 0; i < 8; i += 2) { /* the odd ones are children that left their group: nobody is left to know */
        await_death(pidfds[i], A_SECOND_MS);
        pidfd_send_signal(pidfds[i + 1], SIGKILL, NULL, 0);
        close(pidfds[i + 1]);
    }
    ck_assert_int_eq(waitpid(daemon, NULL, 0), daemon);
    close(pids[0]);
    close(pids[1]);
}
END_TEST

/* ---- the two ends, one without the other ---- */

START_TEST(a_custodian_that_is_not_there_is_said_so)
{
    struct status status = try_to_open("/nowhere/custodian", "cat", "error", 0);

    ck_assert_int_eq((int)status.code, STATUS_UNAVAILABLE);
    ck_assert_str_eq(status.message, "cannot start the custodian /nowhere/custodian: No such file or directory");
}
END_TEST

START_TEST(a_custodian_that_does_not_get_ready_is_said_so)
{
    char path[PATH_SIZE];
    struct status status;

    write_file("custodian", "#!/bin/sh\nexit 7\n", 0755);
    snprintf(path, sizeof path, "%s/custodian", home);
    status = try_to_open(path, "cat", "error", 0);
    ck_assert_int_eq((int)status.code, STATUS_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(status.message, "the custodian exited with status 7"));
}
END_TEST

START_TEST(a_custodian_that_speaks_gibberish_is_given_up)
{
    char path[PATH_SIZE];
    struct status status;

    write_file("custodian", "#!/bin/sh\nprintf gibberish >&3\nexec sleep 1000\n", 0755);
    snprintf(path, sizeof path, "%s/custodian", home);
    status = try_to_open(path, "cat", "error", 0);
    ck_assert_int_eq((int)status.code, STATUS_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(status.message, "the custodian was killed by signal 9"));
}
END_TEST

/* A custodian on a bare link, ready. */
static struct link open_link(void)
{
    const char *const arguments[] = {"--worker-command", "sh worker.sh", "--log-level", "error", NULL};
    struct link link;
    struct status status = link_open(custodian, arguments, &link);
    struct pollfd look = {.events = POLLIN};
    struct report report;

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    look.fd = link.socket;
    ck_assert_int_eq(poll(&look, 1, PATIENCE_MS), 1);
    ck_assert_int_eq(protocol_receive_report(link.socket, &report), 0);
    ck_assert_int_eq((int)report.kind, REPORT_READY);
    return link;
}

static void await_custodian(struct link *link)
{
    struct pollfd look = {.fd = link->pidfd, .events = POLLIN};
    struct status status;

    ck_assert_int_eq(poll(&look, 1, PATIENCE_MS), 1);
    status = link_reap(link);
    ck_assert_str_eq(status.message, "the custodian exited with status 0");
}

/* What the custodian is not to understand; it then ends everything, as if the daemon had died. */
static const struct order gibberish[] = {
    {.version = PROTOCOL_VERSION + 1, .kind = ORDER_KILL, .id = 1},
    {.version = PROTOCOL_VERSION, .kind = 0, .id = 1},
    {.version = PROTOCOL_VERSION, .kind = 99, .id = 1},
    {.version = PROTOCOL_VERSION, .kind = ORDER_START, .id = 1}, /* a second time */
};

START_TEST(a_custodian_that_is_told_gibberish_ends_everything)
{
    struct link link;
    struct report report;
    struct pollfd look = {.events = POLLIN};
    int channel[2], fds[ORDER_DESCRIPTOR_COUNT], worker;

    write_script(stubborn);
    link = open_link();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
    fds[ORDER_HOME] = home_fd;
    fds[ORDER_REQUEST] = fds[ORDER_ANSWER] = channel[1];
    ck_assert_int_eq(protocol_send_order(link.socket, &(struct order){.kind = ORDER_START, .id = 1}, fds, 3), 0);
    look.fd = link.socket;
    ck_assert_int_eq(poll(&look, 1, PATIENCE_MS), 1);
    ck_assert_int_eq(protocol_receive_report(link.socket, &report), 0);
    ck_assert_int_eq((int)report.kind, REPORT_UP);
    worker = open_pid(report.pid);
    ck_assert_int_eq((int)send(link.socket, &gibberish[_i], sizeof gibberish[_i], 0), (int)sizeof gibberish[_i]);
    await_death(worker, PATIENCE_MS);
    await_custodian(&link);
    close(channel[0]);
    close(channel[1]);
}
END_TEST

START_TEST(a_custodian_that_is_told_less_or_more_than_a_message_ends)
{
    const struct order orders[2] = {{.version = PROTOCOL_VERSION, .kind = ORDER_KILL, .id = 1}};
    const size_t size = _i == 0 ? sizeof orders[0] - 1 : sizeof orders[0] + 1;
    struct link link = open_link();

    ck_assert_int_eq((int)send(link.socket, orders, size, 0), (int)size);
    await_custodian(&link);
}
END_TEST

/* A custodian that lies alone has no reader: a home cannot be read, and whoever waits for that is told so. */
START_TEST(a_home_that_cannot_be_read_is_settled_all_the_same)
{
    char alone[PATH_SIZE];
    struct status status;

    snprintf(alone, sizeof alone, "%s/probed-custodian", home);
    process_copy_program(custodian, alone);
    write_script(waits);
    status = try_to_open(alone, "sh worker.sh", "error", PATIENCE_MS);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    custody_observe(custody, 1, fcntl(home_fd, F_DUPFD_CLOEXEC, 0));
    await(0, &settled_count);
    launch_up(1); /* goes on as ever */
    custody_end(custody, 1, "the test says so");
    custody_forget(custody, 1);
    custody_forget(custody, 1); /* twice is no mistake */
    await_gone(1);
    ck_assert_int_eq(settled_count, 1);
}
END_TEST

START_TEST(a_custodian_heeds_no_terminal)
{
    struct link link = open_link();

    ck_assert_int_eq(getsid(link.pid), link.pid);
    ck_assert_int_eq(kill(link.pid, SIGINT), 0);
    ck_assert_int_eq(kill(link.pid, SIGTERM), 0);
    ck_assert_int_eq(kill(link.pid, SIGHUP), 0);
    link_hang_up(&link); /* and still ends as it should */
    await_custodian(&link);
}
END_TEST

START_TEST(a_custodian_started_by_hand_says_what_it_is)
{
    char command[PATH_SIZE + 32], line[256];
    FILE *output;
    int result;

    snprintf(command, sizeof command, "%s 2>&1 3<&-", custodian);
    output = popen(command, "re");
    ck_assert_ptr_nonnull(output);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, output));
    ck_assert_ptr_nonnull(strstr(line, "started by probed"));
    result = pclose(output);
    ck_assert_int_eq(WEXITSTATUS(result), 2);
}
END_TEST

/* ---- a cgroup, where one is delegated ---- */

static char cgroup_mount[] = "/tmp/test_custody_cgroup.XXXXXX";
static char cgroup[PATH_SIZE];

static void write_into(const char *folder, const char *name, const char *text)
{
    char path[PATH_SIZE * 2];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

/* This test, in a cgroup that is delegated as systemd does it; the hierarchy is mounted for it alone. */
static void enter_cgroup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(cgroup_mount));
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    umount2("/sys/fs/cgroup/unified", MNT_DETACH); /* that of the system, wherever it is */
    umount2("/sys/fs/cgroup", MNT_DETACH);
    ck_assert_int_eq(mount("none", cgroup_mount, "cgroup2", 0, NULL), 0);
    snprintf(cgroup, sizeof cgroup, "%s/test-custody-%d", cgroup_mount, (int)getpid());
    ck_assert_int_eq(mkdir(cgroup, 0755), 0);
    ck_assert_int_eq(setxattr(cgroup, "trusted.delegate", "1", 1, 0), 0);
    write_into(cgroup, "cgroup.procs", "0");
}

static void leave_cgroup(void)
{
    char path[PATH_SIZE + 16];

    custody_destroy(custody);
    custody = NULL;
    write_into(cgroup_mount, "cgroup.procs", "0");
    snprintf(path, sizeof path, "%s/daemon", cgroup);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_msg(rmdir(cgroup) == 0, "a worker's cgroup is left: %s", strerror(errno));
    ck_assert_int_eq(umount2(cgroup_mount, MNT_DETACH), 0);
    ck_assert_int_eq(rmdir(cgroup_mount), 0);
}

/* Starts a child that leaves session and group, and says its number. */
static const char leaver[] = "setsid sh -c 'echo $$; exec sleep 1000' &\nread line\n";

START_TEST(a_process_that_left_the_group_goes_with_its_worker_where_a_cgroup_is_delegated)
{
    int pidfd;

    if (geteuid() != 0)
        return; /* only root can play systemd */
    enter_cgroup();
    open_for_script(leaver);
    pidfd = open_pid(read_pid(launch_up(1).answer_fd));
    custody_kill(custody, 1, "the test says so");
    await_gone(1);
    await_death(pidfd, PATIENCE_MS);
    pidfd = open_pid(read_pid(launch_up(2).answer_fd));
    custody_end(custody, 2, "the test says so"); /* its input ends, and so does the leader, by itself */
    await_gone(2);
    await_death(pidfd, PATIENCE_MS);
    leave_cgroup();
}
END_TEST

START_TEST(so_does_one_whose_custodian_was_killed)
{
    int pidfd;

    if (geteuid() != 0)
        return;
    enter_cgroup();
    open_for_script(leaver);
    pidfd = open_pid(read_pid(launch_up(1).answer_fd));
    ck_assert_int_eq(kill(custody_custodian_pid(custody), SIGKILL), 0);
    await_gone(1);
    await_death(pidfd, PATIENCE_MS);
    launch_up(2); /* the next custodian finds its way back */
    custody_kill(custody, 2, "the test says so");
    await_gone(2);
    leave_cgroup();
}
END_TEST

static void read_from(const char *folder, const char *name, char *text, size_t size)
{
    char path[PATH_SIZE * 2];
    ssize_t got;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    got = read(fd, text, size - 1);
    ck_assert_int_ge((int)got, 0);
    text[got] = '\0';
    close(fd);
}

/* Starts more processes than a worker may have, which wait as it does, and says how far it came. */
static const char crowding[] =
    "exec 3<&0\n"
    "(i=0; while [ $i -lt 300 ]; do read line <&3 & i=$((i+1)); done; echo all) || echo refused\n"
    "read line\n";

/* Where version 1 has the controller (the mount of the test then lacks it) there is no bound, but the end is the same. */
START_TEST(a_workers_processes_are_bounded_where_the_controller_is_there_and_all_of_them_end)
{
    char text[256], path[PATH_SIZE + 64];
    bool bounded;
    struct heard worker;

    if (geteuid() != 0)
        return;
    enter_cgroup();
    read_from(cgroup, "cgroup.controllers", text, sizeof text);
    bounded = strstr(text, "pids") != NULL;
    open_for_script(crowding);
    worker = launch_up(1);
    read_line(worker.answer_fd, text, sizeof text);
    ck_assert_str_eq(text, bounded ? "refused" : "all");
    snprintf(path, sizeof path, "%s/worker-%d-1", cgroup, (int)getpid());
    if (bounded) {
        read_from(path, "pids.max", text, sizeof text);
        ck_assert_str_eq(text, "256\n");
        read_from(path, "pids.events", text, sizeof text);
        ck_assert_msg(strstr(text, "max 0\n") == NULL, "%s", text);
    }
    launch_up(2); /* nobody else's bound is reached */
    custody_kill(custody, 1, "the test says so");
    await_gone(1);
    custody_kill(custody, 2, "the test says so");
    await_gone(2);
    leave_cgroup(); /* asserts that nothing is left in it */
}
END_TEST

/* ---- a container that forbids clone3 ---- */

static void forget_clone3(void)
{
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof instructions / sizeof instructions[0], .filter = instructions};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

START_TEST(where_clone3_is_forbidden_a_worker_is_forked_into_its_cgroup)
{
    int pidfd;

    if (geteuid() != 0)
        return;
    enter_cgroup();
    forget_clone3();
    open_for_script(leaver);
    pidfd = open_pid(read_pid(launch_up(1).answer_fd));
    custody_kill(custody, 1, "the test says so");
    await_gone(1);
    await_death(pidfd, PATIENCE_MS);
    leave_cgroup();
}
END_TEST

/* ---- files of /etc that are replaced ---- */

static void replace_file(const char *folder, const char *name)
{
    char before[PATH_SIZE], after[PATH_SIZE];
    int fd;

    snprintf(before, sizeof before, "%s/replacement", folder);
    snprintf(after, sizeof after, "%s/%s", folder, name);
    fd = open(before, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(rename(before, after), 0);
}

START_TEST(workers_sealed_before_a_system_file_was_replaced_end)
{
    char etc[] = "/tmp/test_custody_etc.XXXXXX";

    if (geteuid() != 0 || landlock_find_abi() == 0)
        return; /* only root has an /etc of its own; without Landlock every worker sees what there is */
    ck_assert_ptr_nonnull(mkdtemp(etc));
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount(etc, "/etc", NULL, MS_BIND, NULL), 0);
    open_for_script(waits);
    launch_up(1);
    replace_file("/etc", "motd"); /* nothing to a worker */
    launch_up(2);
    ck_assert_int_eq(heard[1].gone_count, 0);
    replace_file("/etc", "resolv.conf");
    ck_assert_ptr_nonnull(strstr(await_gone(1).cause.message, "Terminated"));
    await_gone(2);
    launch_up(3);
    unlink("/etc/motd");
    unlink("/etc/resolv.conf");
    ck_assert_int_eq(umount2("/etc", MNT_DETACH), 0);
    ck_assert_int_eq(rmdir(etc), 0);
}
END_TEST

/* ---- standard error ---- */

static int log_fd;

/* From here on the custodian's log goes to a file in the home. */
static void catch_log(const char *level)
{
    struct status status;
    int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    log_fd = openat(home_fd, "log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(log_fd, 0);
    ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
    status = try_to_open(custodian, "sh worker.sh", level, PATIENCE_MS);
    ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
    close(before);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void read_log(char *text, size_t size_max)
{
    ssize_t size = pread(log_fd, text, size_max - 1, 0);

    ck_assert_int_ge((int)size, 0);
    text[size] = '\0';
    close(log_fd);
}

START_TEST(what_a_worker_says_is_logged_with_worker_and_home_and_without_secrets)
{
    char text[8192], expected[PATH_SIZE];

    write_script("echo token=a-secret >&2\necho more >&2\nprintf half >&2\n");
    catch_log("info");
    launch(1);
    await_gone(1);
    custody_destroy(custody);
    custody = NULL;
    read_log(text, sizeof text);
    snprintf(expected, sizeof expected, "event=\"worker says\" worker=1 home=%s text=half", home);
    ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "token=[redacted]"));
    ck_assert_ptr_null(strstr(text, "a-secret"));
}
END_TEST

START_TEST(what_it_says_is_printable_and_bounded)
{
    char text[65536];

    write_script("printf 'a\\033[31m\\377b\\n' >&2\ni=0\n"
                 "while [ $i -lt 100 ]; do echo again >&2; i=$((i+1)); done\n"
                 "printf '%0600d\\n' 0 >&2\n");
    catch_log("info");
    launch(1);
    await_gone(1);
    custody_destroy(custody);
    custody = NULL;
    read_log(text, sizeof text);
    ck_assert_msg(strstr(text, "a?[31m?b") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "lines=102 shown=20") != NULL, "%s", text);
}
END_TEST

START_TEST(a_flood_on_standard_error_holds_nobody_up)
{
    open_for_script("echo 1\nyes >&2\n");
    ck_assert_int_eq(read_pid(launch_up(1).answer_fd), 1); /* its shell has read the script, which is another now */
    write_script("while read -r line; do echo 1; done\n");
    for (uint64_t id = 2; id < 6; id++) {
        struct heard worker = launch_up(id);

        ck_assert_int_eq((int)write(worker.request_fd, "\n", 1), 1);
        ck_assert_int_eq(read_pid(worker.answer_fd), 1);
    }
    ck_assert_int_eq(heard[1].gone_count, 0);
}
END_TEST

#if !SANITIZED
START_TEST(an_idle_custodian_is_small)
{
    char value[64];
    long size_kib = 0;

    open_for_script(waits);
    for (uint64_t id = 1; id <= 16; id++)
        launch_up(id);
    for (uint64_t id = 1; id <= 16; id++) {
        custody_end(custody, id, "the test says so");
        await_gone(id);
    }
    find_line(custody_custodian_pid(custody), "smaps_rollup", "Private_Clean:", value, sizeof value);
    size_kib += strtol(value, NULL, 10);
    find_line(custody_custodian_pid(custody), "smaps_rollup", "Private_Dirty:", value, sizeof value);
    size_kib += strtol(value, NULL, 10);
    ck_assert_int_gt((int)size_kib, 0);
    ck_assert_int_lt((int)size_kib, 2048);
}
END_TEST
#endif

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, set_stage, clear_stage);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_starts(Suite *suite)
{
    TCase *given = add_case(suite, "given"), *failing = add_case(suite, "failing");

    tcase_add_test(given, workers_are_started_by_the_settings_that_were_read_last);
    tcase_add_test(given, a_start_ordered_behind_a_reload_is_by_the_new_settings);
    tcase_add_test(given, settings_that_are_no_workers_leave_workers_as_they_are);
    tcase_add_test(given, settings_that_are_wrong_change_nothing_and_are_told);
    tcase_add_test(given, a_seal_that_is_another_is_seen_at_once);
    tcase_add_test(given, of_two_reloads_the_last_is_answered);
    tcase_add_test(given, a_reload_that_no_custodian_lived_to_answer_is_answered_by_the_next);
    tcase_add_test(given, a_worker_has_three_descriptors);
    tcase_add_test(given, a_worker_runs_in_its_home);
    tcase_add_test(given, a_worker_leads_a_session_without_a_terminal);
    tcase_add_test(given, a_worker_pushes_nobody_aside);
    tcase_add_test(given, a_worker_gains_no_privileges_and_leaves_no_core);
    tcase_add_test(given, a_worker_has_signals_and_limits_as_a_program_expects_them);
    tcase_add_test(given, a_worker_has_the_environment_of_the_contract);
    tcase_add_loop_test(given, an_odd_dotenv_is_none_and_holds_nobody_up, 0, 5);
    tcase_add_loop_test(given, a_worker_run_by_root_is_the_owner_of_its_home, 0,
                        (int)(sizeof owners / sizeof owners[0]));
    tcase_add_test(given, a_worker_reads_its_home_with_its_owners_rights_only);

    tcase_add_test(failing, a_missing_program_is_told_with_its_name_and_errno);
    tcase_add_test(failing, a_program_that_is_nowhere_in_path_is_missing);
    tcase_add_test(failing, a_relative_program_is_not_relative_to_the_home);
    tcase_add_test(failing, a_program_that_is_not_executable_is_refused);
    tcase_add_test(failing, a_program_without_a_format_is_no_script);
    tcase_add_test(failing, a_home_that_its_owner_cannot_enter_is_told_with_the_step);
    tcase_add_test(failing, a_home_that_was_removed_has_no_worker);
    tcase_add_test(failing, a_worker_that_exits_at_once_is_gone_with_its_status);
    tcase_add_test(failing, a_daemon_without_descriptors_refuses_the_start_and_goes_on);
    tcase_add_test(failing, a_custodian_without_descriptors_refuses_the_start_and_goes_on);
    tcase_add_test(failing, a_custodian_that_may_have_no_more_processes_refuses_the_start_and_goes_on);
    tcase_add_test(failing, a_start_that_gets_on_is_not_given_up_for_a_hurry);
}

static void add_lives(Suite *suite)
{
    TCase *channel = add_case(suite, "channel"), *errors = add_case(suite, "standard error");

    tcase_add_test(channel, a_worker_reads_requests_and_writes_answers);
    tcase_add_test(channel, the_channel_stays_until_it_is_ended);
    tcase_add_test(channel, bytes_that_nobody_asked_for_are_reported_once);
    tcase_add_test(channel, end_of_file_is_a_word_too);
    tcase_add_test(channel, bytes_that_were_there_before_the_watch_are_reported);
    tcase_add_test(channel, of_several_idlenesses_the_latest_is_watched);
    tcase_add_test(channel, a_watch_ends_with_its_worker_before_it_has_begun);
    tcase_add_test(channel, nothing_is_reported_of_a_worker_that_is_not_watched);
    tcase_add_test(channel, orders_for_unknown_workers_are_nothing);

    tcase_add_test(errors, a_process_that_left_the_group_goes_with_its_worker_where_a_cgroup_is_delegated);
    tcase_add_test(errors, so_does_one_whose_custodian_was_killed);
    tcase_add_test(errors, a_workers_processes_are_bounded_where_the_controller_is_there_and_all_of_them_end);
    tcase_add_test(errors, where_clone3_is_forbidden_a_worker_is_forked_into_its_cgroup);
    tcase_add_test(errors, workers_sealed_before_a_system_file_was_replaced_end);
    tcase_add_test(errors, what_a_worker_says_is_logged_with_worker_and_home_and_without_secrets);
    tcase_add_test(errors, what_it_says_is_printable_and_bounded);
    tcase_add_test(errors, a_flood_on_standard_error_holds_nobody_up);
#if !SANITIZED
    tcase_add_test(errors, an_idle_custodian_is_small);
#endif
}

static void add_ends(Suite *suite)
{
    TCase *ends = add_case(suite, "ends"), *deaths = add_case(suite, "deaths"), *links = add_case(suite, "links");

    tcase_add_test(ends, ending_a_worker_closes_its_input_and_lets_it_finish);
    tcase_add_test(ends, ending_a_worker_sends_term_to_its_group);
    tcase_add_test(ends, a_worker_that_ignores_term_is_killed_after_the_grace);
    tcase_add_test(ends, a_killed_worker_takes_its_children_along);
    tcase_add_test(ends, a_worker_that_ends_by_itself_leaves_no_child);
    tcase_add_test(ends, each_launch_is_gone_exactly_once_even_if_ended_at_once);
    tcase_add_test(ends, destroying_it_leaves_no_process_and_no_descriptor);
    tcase_add_test(ends, a_custodian_that_does_not_listen_is_left_behind_in_time);

    tcase_add_test(deaths, when_the_custodian_is_killed_all_workers_are_gone_and_another_works);
    tcase_add_test(deaths, a_launch_that_a_dying_custodian_had_not_finished_is_taken_up_by_the_next);
    tcase_add_test(deaths, a_custodian_killed_again_and_again_is_replaced_each_time);
    tcase_add_test(deaths, while_no_custodian_can_be_started_launches_fail_and_then_work_again);
    tcase_add_test(deaths, when_the_daemon_is_killed_nothing_is_left_after_a_second);
    tcase_add_test(deaths, when_daemon_and_custodian_are_killed_no_worker_is_left);

    tcase_add_test(links, a_custodian_that_is_not_there_is_said_so);
    tcase_add_test(links, a_custodian_that_does_not_get_ready_is_said_so);
    tcase_add_test(links, a_custodian_that_speaks_gibberish_is_given_up);
    tcase_add_loop_test(links, a_custodian_that_is_told_gibberish_ends_everything, 0,
                        (int)(sizeof gibberish / sizeof gibberish[0]));
    tcase_add_loop_test(links, a_custodian_that_is_told_less_or_more_than_a_message_ends, 0, 2);
    tcase_add_test(links, a_home_that_cannot_be_read_is_settled_all_the_same);
    tcase_add_test(links, a_custodian_heeds_no_terminal);
    tcase_add_test(links, a_custodian_started_by_hand_says_what_it_is);
}

int main(void)
{
    Suite *suite = suite_create("custody");

    add_starts(suite);
    add_lives(suite);
    add_ends(suite);
    return check_main(suite);
}
