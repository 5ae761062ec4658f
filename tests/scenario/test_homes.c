/* Whose home it is, with real uids: who may use what, names that come to lead to other directories, and a file system
 * that hangs.  The tests run as root. */
#include "server/base/clock.h"
#include "tests/support/hung_mount.h"
#include "tests/support/process.h"
#include "tests/support/raw.h"
#include "tests/support/samples.h"
#include "tests/support/story.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ALICE = 65533, BOB = 65532, ADMIN = 65531, STRANGER = 65530 };

static const char *below(const struct home *parent, const char *name)
{
    static char paths[4][HOME_PATH_SIZE * 2];
    static size_t next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", parent->path, name);
    return path;
}

static void give_to(const struct home *given, uid_t uid)
{
    static const char *const files[] = {"", "gate", "credential"};

    for (size_t i = 0; i < ROW_COUNT(files); i++)
        ck_assert_int_eq(chown(below(given, files[i]), uid, uid), 0);
}

/* A home of this uid's, whose credential is `plan`. */
static void make_home(struct home *made, const char *name, uid_t uid, const char *plan)
{
    home_create(made, &stage.scratch, name);
    home_write(made, "credential", plan);
    give_to(made, uid);
}

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- a client of another uid, in a child: nothing of nng, nothing that asserts ---- */

struct probe {
    const char *path, *provider, *api_key;
    bool refresh;
};

/* The reply, or NULL; its plan is in *plan_out when it is OK. */
static Probed__V1__RpcResponse *ask(int fd, uint32_t id, const struct probe *probe)
{
    Probed__V1__ProbeRequest request = PROBED__V1__PROBE_REQUEST__INIT;
    Probed__V1__RpcResponse *response = NULL;
    unsigned char *message;
    size_t size;

    request.home = (char *)(uintptr_t)probe->path;
    request.provider = (char *)(uintptr_t)probe->provider;
    if (probe->api_key != NULL)
        request.api_key = (char *)(uintptr_t)probe->api_key;
    request.refresh = probe->refresh;
    message = raw_pack(METHOD_PROBE, 0, &request.base, &size);
    if (raw_send(fd, id, message, size))
        response = raw_receive(fd);
    free(message);
    return response;
}

/* ---- the matrix ---- */

STORY_SETUP(with_peers, "--server-allow-uids", "65533 65532", "--server-admin-uids", "65531")

struct asked {
    const char *path;
    char message[512]; /* what was answered; shared with the child */
    uint64_t taken_ns;
};

static int act_probe(void *context)
{
    struct asked *asked = context;
    const struct probe probe = {.path = asked->path, .provider = "openrouter"};
    int fd = raw_connect(server->url), code = 127;
    Probed__V1__RpcResponse *response = NULL;
    uint64_t begun_ns;

    if (fd >= 0 && raw_greet(fd, RAW_REQ)) {
        begun_ns = clock_now_ns();
        response = ask(fd, 1, &probe);
        asked->taken_ns = clock_now_ns() - begun_ns;
    }
    if (response != NULL) {
        code = (int)response->code;
        snprintf(asked->message, sizeof asked->message, "%s", response->message);
        probed__v1__rpc_response__free_unpacked(response, NULL);
    }
    if (fd >= 0)
        close(fd);
    return code;
}

/* In memory that a child shares. */
static struct asked *asked;

static int probe_as(uid_t uid, const char *path)
{
    asked->path = path;
    return process_as(uid, act_probe, asked);
}

static void share_memory(void)
{
    asked = mmap(NULL, sizeof *asked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(asked, MAP_FAILED);
}

static void expect_code(uid_t uid, const char *path, int wanted)
{
    int code = probe_as(uid, path);

    ck_assert_msg(code == wanted, "uid %u, %s: %s (%s) instead of %s", (unsigned)uid, path,
                  status_code_name((enum status_code)code), asked->message, status_code_name((enum status_code)wanted));
}

START_TEST(who_may_use_which_home)
{
    static const uid_t peers[] = {ALICE, BOB, ADMIN, 0, STRANGER};
    enum { OK = STATUS_OK, NO = STATUS_PERMISSION_DENIED, NONE = STATUS_NOT_FOUND };
    struct home alices, bobs, private;
    char hidden[HOME_PATH_SIZE * 2];

    share_memory();
    make_home(&alices, "alices", ALICE, "alice");
    make_home(&bobs, "bobs", BOB, "bob");
    make_home(&private, "private", BOB, "bob");
    ck_assert_int_eq(chmod(private.path, 0700), 0);
    snprintf(hidden, sizeof hidden, "%s/alices", private.path); /* hers, behind his door */
    ck_assert_int_eq(mkdir(hidden, 0755), 0);
    ck_assert_int_eq(chown(hidden, ALICE, ALICE), 0);

    const struct {
        const char *path;
        int codes[ROW_COUNT(peers)]; /* in their order */
    } rows[] = {
        {alices.path, {OK, NO, OK, OK, NO}},
        {bobs.path, {NO, OK, OK, OK, NO}},
        {home->path, {NO, NO, OK, OK, NO}}, /* root's, who runs the daemon: that makes it nobody else's */
        {below(&alices, "none"), {NONE, NO, NONE, NONE, NO}},
        {below(&bobs, "none/deeper"), {NO, NONE, NONE, NONE, NO}},
        {hidden, {NO, NO, OK, OK, NO}}, /* she may not walk there, and he does not own it */
        {below(&private, "none"), {NO, NONE, NONE, NONE, NO}},
        {"/nowhere", {NO, NO, NONE, NONE, NO}},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        for (size_t j = 0; j < ROW_COUNT(peers); j++)
            expect_code(peers[j], rows[i].path, rows[i].codes[j]);
    }
}
END_TEST

/* ---- the same for a daemon that is not root's ---- */

enum { DAEMON = 65529 };

/* It runs its workers as itself, so it serves what its own uid may enter. */
static void with_daemon_of_its_own_uid(void)
{
    static const char *const settings[] = {"--server-allow-uids", "65533 65532", "--server-admin-uids", "65531", NULL};

    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    daemon_start_as(server, &stage.scratch, DAEMON, settings);
}

static void open_to_all(const struct home *opened)
{
    ck_assert_int_eq(chmod(opened->path, 0755), 0);
    ck_assert_int_eq(chmod(below(opened, "credential"), 0644), 0);
}

START_TEST(who_may_use_which_home_of_a_daemon_that_is_not_root)
{
    static const uid_t peers[] = {ALICE, BOB, ADMIN, 0, DAEMON, STRANGER};
    enum { OK = STATUS_OK, NO = STATUS_PERMISSION_DENIED, NONE = STATUS_NOT_FOUND, OFF = STATUS_UNAVAILABLE };
    struct home alices, daemons, private;
    char hidden[HOME_PATH_SIZE * 2];

    share_memory();
    make_home(&alices, "alices", ALICE, "alice");
    open_to_all(&alices);
    make_home(&daemons, "daemons", DAEMON, "daemon");
    make_home(&private, "private", BOB, "bob");
    snprintf(hidden, sizeof hidden, "%s/alices", private.path); /* hers, behind his door */
    ck_assert_int_eq(mkdir(hidden, 0755), 0);
    ck_assert_int_eq(chown(hidden, ALICE, ALICE), 0);

    const struct {
        const char *path;
        int codes[ROW_COUNT(peers)]; /* in their order */
    } rows[] = {
        {alices.path, {OK, NO, OK, OK, OK, NO}},
        {daemons.path, {OK, OK, OK, OK, OK, NO}},
        {home->path, {NO, NO, OFF, OFF, OFF, NO}},    /* root's, and private: who asks may be root, the worker is not */
        {private.path, {NO, OFF, OFF, OFF, OFF, NO}}, /* his own, but he would have to open it */
        {hidden, {NO, NO, NO, NO, NO, NO}},           /* nobody walks there, not even for the owner of what is behind */
        {below(&private, "none"), {NO, NO, NO, NO, NO, NO}},
        {below(&alices, "none"), {NONE, NO, NONE, NONE, NONE, NO}},
        {below(&daemons, "none"), {NONE, NONE, NONE, NONE, NONE, NO}},
        {"/nowhere", {NO, NO, NONE, NONE, NONE, NO}},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        for (size_t j = 0; j < ROW_COUNT(peers); j++)
            expect_code(peers[j], rows[i].path, rows[i].codes[j]);
    }
}
END_TEST

START_TEST(its_workers_are_its_own_uids)
{
    struct home alices;
    struct call *call;

    make_home(&alices, "alices", ALICE, "alice");
    open_to_all(&alices);
    call = probe_begin(caller, alices.path, "openrouter", NULL, 0);
    ck_assert_str_eq(probe_response(call)->usage->details[2], "uid 65529");
    call_end(call);
}
END_TEST

START_TEST(a_refusal_is_the_same_byte_for_byte_whatever_is_there)
{
    const char *paths[4];
    char first[sizeof asked->message];
    struct home alices;

    share_memory();
    make_home(&alices, "alices", ALICE, "alice");
    paths[0] = alices.path;
    paths[1] = below(&alices, "none");
    paths[2] = below(&alices, "none/deeper");
    paths[3] = below(&alices, "credential");
    ck_assert_int_eq(probe_as(BOB, paths[0]), STATUS_PERMISSION_DENIED);
    memcpy(first, asked->message, sizeof first);
    for (size_t i = 0; i < 2 * ROW_COUNT(paths); i++) { /* then as it is remembered */
        ck_assert_int_eq(probe_as(BOB, paths[i % ROW_COUNT(paths)]), STATUS_PERMISSION_DENIED);
        ck_assert_str_eq(asked->message, first);
    }
}
END_TEST

/* How long refusals take, of a home that is there and of one that is not, asked for by turns. */
enum { TIMED_COUNT = 201, SPELLING_SIZE = HOME_PATH_SIZE * 8 };

struct timing {
    char path[HOME_PATH_SIZE];
    uint64_t there_ns[TIMED_COUNT], missing_ns[TIMED_COUNT];
};

static struct timing *timing; /* in memory that the child shares */

/* A spelling that nobody used before: nothing is remembered of it. */
static uint64_t time_refusal(int fd, uint32_t number, const char *name)
{
    char path[SPELLING_SIZE];
    struct probe probe = {.path = path, .provider = "openrouter"};
    Probed__V1__RpcResponse *response;
    size_t size = (size_t)snprintf(path, sizeof path, "%s/%s", timing->path, name);
    uint64_t begun_ns = clock_now_ns(), taken_ns;

    for (uint32_t i = 0; i < number; i++)
        size += (size_t)snprintf(path + size, sizeof path - size, "/.");
    response = ask(fd, 2 * number + (name[0] == 'n'), &probe);
    taken_ns = clock_now_ns() - begun_ns;
    if (response == NULL || response->code != PROBED__V1__STATUS_CODE__PERMISSION_DENIED)
        _exit(3);
    probed__v1__rpc_response__free_unpacked(response, NULL);
    return taken_ns;
}

static int act_time(void *context)
{
    int fd = raw_connect(server->url);

    (void)context;
    if (fd < 0 || !raw_greet(fd, RAW_REQ))
        return 1;
    for (uint32_t i = 0; i < TIMED_COUNT; i++) {
        timing->there_ns[i] = time_refusal(fd, i, "home");
        timing->missing_ns[i] = time_refusal(fd, i, "none");
    }
    return 0;
}

static bool refusals_take_as_long(size_t number)
{
    uint64_t there_ns, missing_ns, spread_ns;

    (void)number;
    ck_assert_int_eq(process_as(BOB, act_time, NULL), 0);
    there_ns = samples_at(timing->there_ns, TIMED_COUNT, 50);
    missing_ns = samples_at(timing->missing_ns, TIMED_COUNT, 50);
    spread_ns = samples_at(timing->there_ns, TIMED_COUNT, 90) - samples_at(timing->there_ns, TIMED_COUNT, 10);
    printf("a refusal of what is there takes %llu us, of what is not %llu us, with a spread of %llu us\n",
           (unsigned long long)there_ns / 1000, (unsigned long long)missing_ns / 1000,
           (unsigned long long)spread_ns / 1000);
    ck_assert_uint_ge(timing->there_ns[0], NS_PER_MS); /* each is paced */
    ck_assert_uint_ge(timing->missing_ns[0], NS_PER_MS);
    return there_ns <= missing_ns + spread_ns && missing_ns <= there_ns + spread_ns;
}

START_TEST(a_refusal_takes_as_long_whatever_is_there)
{
    timing = mmap(NULL, sizeof *timing, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(timing, MAP_FAILED);
    snprintf(timing->path, HOME_PATH_SIZE, "%s", stage.scratch.path);
    expect_in_time(refusals_take_as_long);
}
END_TEST

/* ---- names that come to lead elsewhere ---- */

enum { RACE_COUNT = 20000, RACER_COUNT = 4 };

struct race {
    char paths[3][HOME_PATH_SIZE]; /* two that are exchanged, and a link to either */
    atomic_bool over;
    atomic_size_t swaps;
    struct {
        atomic_size_t own, refused, others, odd;
        char message[256]; /* the first odd one */
    } racers[RACER_COUNT];
};

static struct race *race;

static void point_link(size_t target)
{
    char next[HOME_PATH_SIZE + 8];

    snprintf(next, sizeof next, "%s.next", race->paths[2]);
    if (symlink(race->paths[target], next) != 0 || rename(next, race->paths[2]) != 0)
        _exit(2);
}

static _Noreturn void be_swapper(void)
{
    for (size_t i = 0; !atomic_load(&race->over); i++) {
        if (renameat2(AT_FDCWD, race->paths[0], AT_FDCWD, race->paths[1], RENAME_EXCHANGE) != 0)
            _exit(1);
        point_link(i / 2 % 2); /* to hers and to his in turns, since the names are exchanged as well */
        atomic_fetch_add(&race->swaps, 1);
        nanosleep(&(struct timespec){.tv_nsec = (long)(i % 40) * 100000}, NULL);
    }
    _exit(0);
}

static bool is_fair_refusal(const Probed__V1__RpcResponse *response)
{
    switch (response->code) {
    case PROBED__V1__STATUS_CODE__PERMISSION_DENIED:
    case PROBED__V1__STATUS_CODE__NOT_FOUND:
    case PROBED__V1__STATUS_CODE__ABORTED:
    case PROBED__V1__STATUS_CODE__UNAVAILABLE:
    case PROBED__V1__STATUS_CODE__RESOURCE_EXHAUSTED:
        return true;
    default:
        return false;
    }
}

static void take_reply(size_t number, const char *plan, const Probed__V1__RpcResponse *response)
{
    Probed__V1__ProbeResponse *probed = NULL;

    if (response->code == PROBED__V1__STATUS_CODE__OK)
        probed = probed__v1__probe_response__unpack(NULL, response->payload.len, response->payload.data);
    if (probed != NULL)
        atomic_fetch_add(
            strcmp(probed->usage->plan, plan) == 0 ? &race->racers[number].own : &race->racers[number].others, 1);
    else if (is_fair_refusal(response))
        atomic_fetch_add(&race->racers[number].refused, 1);
    else if (atomic_fetch_add(&race->racers[number].odd, 1) == 0)
        snprintf(race->racers[number].message, sizeof race->racers[number].message, "%s: %s",
                 status_code_name((enum status_code)response->code), response->message);
    if (probed != NULL)
        probed__v1__probe_response__free_unpacked(probed, NULL);
}

/* One of the three names, in one of many spellings, so that it is looked at anew more often than remembered. */
static void spell(size_t number, char path[HOME_PATH_SIZE * 2])
{
    size_t size = (size_t)snprintf(path, HOME_PATH_SIZE * 2, "%s", race->paths[number % 3]);

    for (size_t i = 0; i < number / 3 % 32; i++)
        size += (size_t)snprintf(path + size, HOME_PATH_SIZE * 2 - size, "/.");
}

/* Asks for all three names by turns: whatever they lead to, what comes is of this uid's own home. */
static _Noreturn void be_racer(size_t number, size_t count)
{
    uid_t uid = number % 2 == 0 ? ALICE : BOB;
    const char *plan = number % 2 == 0 ? "alice" : "bob";
    int fd;

    if (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
        _exit(1);
    fd = raw_connect(server->url);
    if (fd < 0 || !raw_greet(fd, RAW_REQ))
        _exit(2);
    for (size_t i = 0; i < count; i++) {
        char path[HOME_PATH_SIZE * 2];
        const struct probe probe = {.path = path, .provider = "openrouter", .refresh = i % 4 == 3};
        Probed__V1__RpcResponse *response;

        spell(i, path);
        response = ask(fd, (uint32_t)i + 1, &probe);

        if (response == NULL)
            _exit(3);
        take_reply(number, plan, response);
        probed__v1__rpc_response__free_unpacked(response, NULL);
    }
    _exit(0);
}

static pid_t fork_racer(size_t number, size_t count)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        be_racer(number, count);
    return pid;
}

static void expect_end(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with %#x", (unsigned)status);
}

static void set_race(void)
{
    struct home alices, bobs;

    race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(race, MAP_FAILED);
    make_home(&alices, "alices", ALICE, "alice");
    make_home(&bobs, "bobs", BOB, "bob");
    snprintf(race->paths[0], sizeof race->paths[0], "%s", alices.path);
    snprintf(race->paths[1], sizeof race->paths[1], "%s", bobs.path);
    snprintf(race->paths[2], sizeof race->paths[2], "%s/link", stage.scratch.path);
    point_link(0);
}

/* Exchanged under the daemon's eyes, two homes never answer for each other. */
START_TEST(swapping_names_never_gives_another_homes_data)
{
    size_t count = patience_count(RACE_COUNT), own[2] = {0};
    pid_t racers[RACER_COUNT], swapper;

    set_race();
    swapper = fork();
    ck_assert_int_ge(swapper, 0);
    if (swapper == 0)
        be_swapper();
    for (size_t i = 0; i < RACER_COUNT; i++)
        racers[i] = fork_racer(i, count / RACER_COUNT);
    for (size_t i = 0; i < RACER_COUNT; i++)
        expect_end(racers[i]);
    atomic_store(&race->over, true);
    expect_end(swapper);
    for (size_t i = 0; i < RACER_COUNT; i++) {
        printf("%s: own %zu, refused %zu, another's %zu\n", i % 2 == 0 ? "alice" : "bob", race->racers[i].own,
               race->racers[i].refused, race->racers[i].others);
        ck_assert_uint_eq(race->racers[i].others, 0);
        ck_assert_msg(race->racers[i].odd == 0, "%s", race->racers[i].message);
        own[i % 2] += race->racers[i].own;
    }
    printf("%zu exchanges during %zu probes\n", race->swaps, count);
    ck_assert_uint_gt(own[0], 0); /* it was a race, and not all were refused */
    ck_assert_uint_gt(own[1], 0);
    ck_assert_uint_gt(race->swaps, 10);
}
END_TEST

/* Who resolves it again: past the 250 ms that a resolution may be reused for. */
static void let_resolutions_age(void)
{
    wait_ms(260);
}

START_TEST(a_directory_made_again_is_the_same_home_one_generation_on)
{
    struct call *call;
    struct home again;
    uint64_t generation;
    char aside[HOME_PATH_SIZE + 8];

    expect_plan(begin("openrouter", NULL), "one");
    call = sync_begin(caller, home->path);
    generation = sync_response(call)->fence->generation;
    call_end(call);
    snprintf(aside, sizeof aside, "%s.aside", home->path);
    ck_assert_int_eq(rename(home->path, aside), 0);
    home_create(&again, &stage.scratch, "home");
    home_write(&again, "credential", "two");
    let_resolutions_age();
    expect_plan(begin("openrouter", NULL), "two"); /* neither the cached answer nor the warm worker of the other one */
    call = sync_begin(caller, home->path);
    ck_assert_uint_eq(sync_response(call)->fence->generation, generation + 1);
    call_end(call);
}
END_TEST

/* ---- .env ---- */

enum { DOTENV_SIZE_MAX = 1048576 }; /* proto/README.md 5: what is larger counts as none */

/* A file of this size that begins with these lines and goes on as a comment. */
static void write_dotenv(const char *path, const char *lines, size_t size)
{
    static char text[DOTENV_SIZE_MAX + 1];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    memset(text, '#', sizeof text);
    memcpy(text, lines, strlen(lines));
    ck_assert_int_eq((int)write(fd, text, size), (int)size);
    close(fd);
}

static void make_good(const char *path)
{
    write_dotenv(path, "CANARY=1\n", DOTENV_SIZE_MAX);
}

static void make_too_large(const char *path)
{
    write_dotenv(path, "CANARY=1\n", DOTENV_SIZE_MAX + 1);
}

static void make_not_utf8(const char *path)
{
    write_dotenv(path, "CANARY=1\nOTHER=\xff\n", 64);
}

static void make_fifo(const char *path)
{
    ck_assert_int_eq(mkfifo(path, 0644), 0);
}

static void make_directory(const char *path)
{
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_device(const char *path)
{
    ck_assert_int_eq(mknod(path, S_IFCHR | 0644, makedev(1, 5)), 0); /* /dev/zero: it never ends */
}

static void make_link(const char *path)
{
    write_dotenv(below(home, "elsewhere"), "CANARY=1\n", 64); /* another home's file */
    ck_assert_int_eq(symlink(below(home, "elsewhere"), path), 0);
}

static void make_unreadable(const char *path)
{
    write_dotenv(path, "CANARY=1\n", 64);
    ck_assert_int_eq(chown(path, 0, 0), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

/* Whether this process has that variable. */
static bool has_canary(pid_t pid)
{
    static char text[65536];
    char path[64];
    ssize_t size;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    size = read(fd, text, sizeof text);
    ck_assert_int_gt((int)size, 0);
    close(fd);
    return memmem(text, (size_t)size, "CANARY=1", 9) != NULL;
}

START_TEST(an_env_that_is_none_neither_counts_nor_hangs_a_start)
{
    static const struct {
        const char *name;
        void (*make)(const char *path);
        bool counts;
    } rows[] = {
        {"good", make_good, true},  {"large", make_too_large, false},     {"latin", make_not_utf8, false},
        {"fifo", make_fifo, false}, {"directory", make_directory, false}, {"device", make_device, false},
        {"link", make_link, false}, {"roots", make_unreadable, false},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct home odd;
        struct call *call;

        make_home(&odd, rows[i].name, ALICE, "alice");
        rows[i].make(below(&odd, ".env"));
        call = probe_begin(caller, odd.path, "openrouter", NULL, 0);
        ck_assert_str_eq(probe_response(call)->usage->plan, "alice");
        ck_assert_msg(has_canary(worker_pid(probe_response(call))) == rows[i].counts, "%s", rows[i].name);
        if (patience_time_counts())
            ck_assert_uint_lt(taken_ns(call), 2 * NS_PER_S);
        call_end(call);
    }
}
END_TEST

/* ---- a file system that hangs ---- */

enum { HUNG_COUNT = 20 };

/* How long callers of what hangs wait; what others are promised is tried meanwhile. */
static uint32_t hung_timeout_ms(void)
{
    return patience_time_counts() ? 1500 : 3000;
}

static struct hung_mount hung;

/* The namespace and the mount come before the daemon, and before any thread. */
static void open_hung(bool well, unsigned keep_s, uid_t uid, const char *const *settings)
{
    static char directory[SCRATCH_PATH_SIZE + 8];

    scratch_open(&stage.scratch);
    home_create(home, &stage.scratch, "home");
    snprintf(directory, sizeof directory, "%s/hung", stage.scratch.path);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    ck_assert(hung_mount_open(&hung, directory, well, keep_s));
    if (uid == geteuid())
        daemon_start(server, &stage.scratch, settings);
    else
        daemon_start_as(server, &stage.scratch, uid, settings);
}

/* So that it is the probe that starts the worker. */
static const char *const no_starts_ahead[] = {"--pool-prewarm", "no", NULL};

static void hung_setup(void)
{
    open_hung(false, 0, geteuid(), no_starts_ahead);
}

static const char *const room_for_twenty[] = {
    "--pool-workers-max", "20", "--pool-workers-per-home", "1", "--pool-prewarm", "no", NULL};

static void hangs_later_setup(void)
{
    open_hung(true, 0, geteuid(), room_for_twenty);
}

/* The kernel knows the directories by heart, so it is the workers' children that hang. */
static void hangs_below_setup(void)
{
    open_hung(true, 3600, geteuid(), room_for_twenty);
}

/* The same for a daemon of the homes' owner, whose children need not change their uid. */
static void hangs_below_owner_setup(void)
{
    open_hung(true, 3600, HUNG_MOUNT_OWNER, room_for_twenty);
}

static void hung_teardown(void)
{
    hung_mount_close(&hung);
    story_teardown();
}

static void begin_hung(struct call *calls[HUNG_COUNT], uint32_t timeout_ms)
{
    char path[HOME_PATH_SIZE];

    for (size_t i = 0; i < HUNG_COUNT; i++) {
        snprintf(path, sizeof path, "%s/h%zu", hung.directory, i);
        calls[i] = probe_begin(caller, path, "openrouter", NULL, timeout_ms);
    }
}

/* A cached answer, an Invalidate, a start in a home that was in use and one in a home that never was. */
static bool others_are_unaffected(size_t number)
{
    static size_t fresh_count;
    struct home fresh;
    char name[16];
    struct call *call = begin("openrouter", NULL);
    bool in_time;

    (void)number;
    expect_plan(call, "one");
    call = begin("openrouter", NULL);
    in_time = (int)probe_response(call)->origin == PROBED__V1__ORIGIN__ORIGIN_CACHED && taken_ns(call) < 10 * NS_PER_MS;
    call_end(call);
    call = invalidate_begin(caller, home->path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
    call_expect(call, STATUS_OK, NULL);
    in_time &= taken_ns(call) < 10 * NS_PER_MS;
    call_end(call);
    call = begin("openrouter", NULL);
    ck_assert_int_eq((int)probe_response(call)->origin, PROBED__V1__ORIGIN__ORIGIN_COLD);
    in_time &= taken_ns(call) < 500 * NS_PER_MS;
    call_end(call);
    snprintf(name, sizeof name, "fresh%zu", fresh_count++);
    home_create(&fresh, &stage.scratch, name);
    call = probe_begin(caller, fresh.path, "openrouter", NULL, 0);
    ck_assert_int_eq((int)probe_response(call)->origin, PROBED__V1__ORIGIN__ORIGIN_COLD);
    in_time &= taken_ns(call) < 500 * NS_PER_MS;
    call_end(call);
    return in_time;
}

START_TEST(twenty_homes_on_a_hung_mount_delay_nobody_else)
{
    struct call *calls[HUNG_COUNT];

    begin_hung(calls, hung_timeout_ms());
    hung_mount_wait(&hung); /* one look hangs in the kernel, the others wait behind it */
    expect_in_time(others_are_unaffected);
    for (size_t i = 0; i < HUNG_COUNT; i++) {
        call_expect(calls[i], STATUS_DEADLINE_EXCEEDED, NULL);
        if (patience_time_counts())
            ck_assert_uint_le(taken_ns(calls[i]), (hung_timeout_ms() + 50) * NS_PER_MS);
        call_end(calls[i]);
    }
    expect_in_time(others_are_unaffected);
}
END_TEST

/* Their workers were started while it was well, and there is room for no more: then it hangs, and all of them are to be
 * started again.  Somebody else's start does not wait for that. */
static void expect_room(bool deaf, size_t starting_count)
{
    struct call *calls[HUNG_COUNT], *call;

    begin_hung(calls, PATIENCE_MS);
    for (size_t i = 0; i < HUNG_COUNT; i++)
        expect_origin(calls[i], PROBED__V1__ORIGIN__ORIGIN_COLD);
    daemon_wait(server, "idle", HUNG_COUNT);
    begin_hung(calls, PATIENCE_MS); /* so that they are resolved */
    for (size_t i = 0; i < HUNG_COUNT; i++)
        expect_origin(calls[i], PROBED__V1__ORIGIN__ORIGIN_CACHED);
    hung_mount_hang(&hung, deaf);
    call = invalidate_begin(caller, "", "", PROBED__V1__BARRIER__BARRIER_FENCED);
    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    begin_hung(calls, hung_timeout_ms());
    daemon_wait_at_least(server, "starting", starting_count);
    call = begin("openrouter", NULL); /* waits for a seat */
    call_expect(call, STATUS_OK, NULL);
    printf("a start took %llu ms while twenty others hung\n", (unsigned long long)(taken_ns(call) / NS_PER_MS));
    if (patience_time_counts())
        ck_assert_uint_le(taken_ns(call), 500 * NS_PER_MS);
    call_end(call);
    for (size_t i = 0; i < HUNG_COUNT; i++) {
        call_wait(calls[i]);
        ck_assert_int_ne((int)calls[i]->response->code, STATUS_OK);
        call_end(calls[i]);
    }
    expect_in_time(others_are_unaffected);
}

START_TEST(twenty_starts_on_a_mount_that_hangs_by_now_leave_room_for_others)
{
    expect_room(false, 1); /* one look hangs in the kernel, the others wait behind it */
}
END_TEST

START_TEST(twenty_starts_that_hang_between_fork_and_exec_leave_room_for_others)
{
    expect_room(true, HUNG_COUNT);
}
END_TEST

/* As where a server has read what is asked, and does not answer. */
START_TEST(so_do_twenty_that_cannot_even_be_killed)
{
    expect_room(false, HUNG_COUNT);
}
END_TEST

/* What a line of this process's status says: "Uid:", "CapEff:"; false: there is no such process. */
static bool try_status(pid_t pid, const char *key, char value[128])
{
    char path[64], line[256];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    value[0] = '\0';
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            snprintf(value, 128, "%.127s", line + strlen(key));
    }
    fclose(file);
    return true;
}

static void read_status(pid_t pid, const char *key, char value[128])
{
    ck_assert(try_status(pid, key, value));
}

/* What a process may look at: another's variables and memory. */
static int act_look(void *context)
{
    static const char *const files[] = {"environ", "mem", "maps", "fd"};
    const pid_t *pid = context;
    int seen = 0;

    for (size_t i = 0; i < ROW_COUNT(files); i++) {
        char path[64];
        int fd;

        snprintf(path, sizeof path, "/proc/%d/%s", (int)*pid, files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        seen |= (fd >= 0) << i;
        if (fd >= 0)
            close(fd);
    }
    return seen;
}

/* A process of this uid that hides nothing, so that the looking is seen to see. */
static pid_t fork_open_book(uid_t uid)
{
    int ready[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0 ||
            prctl(PR_SET_DUMPABLE, 1) != 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* The custodian's only child, once it has become the home's owner; where it then hangs. */
static pid_t await_owned_child(uid_t uid)
{
    char wanted[64], value[128] = "";
    pid_t child;

    snprintf(wanted, sizeof wanted, "\t%u\t%u\t%u\t%u\n", (unsigned)uid, (unsigned)uid, (unsigned)uid, (unsigned)uid);
    while (strcmp(value, wanted) != 0) { /* else Check ends this */
        wait_ms(1);
        if (process_children(process_child_named(server->pid, "probed-custodian"), &child, 1) == 1)
            try_status(child, "Uid:", value);
    }
    return child;
}

START_TEST(nobody_of_its_uid_looks_into_a_daemon_or_its_custodian)
{
    pid_t pids[] = {server->pid, process_child_named(server->pid, "probed-custodian")}, book = fork_open_book(DAEMON);

    ck_assert_int_ne(process_as(DAEMON, act_look, &book), 0);
    for (size_t i = 0; i < ROW_COUNT(pids); i++)
        ck_assert_int_eq(process_as(DAEMON, act_look, &pids[i]), 0);
    ck_assert_int_eq(kill(book, SIGKILL), 0);
    ck_assert_int_eq(waitpid(book, NULL, 0), book);
}
END_TEST

START_TEST(nobody_looks_into_a_child_between_fork_and_exec_not_even_of_its_uid)
{
    char path[HOME_PATH_SIZE];
    struct call *call;
    pid_t child, book = fork_open_book(HUNG_MOUNT_OWNER);

    snprintf(path, sizeof path, "%s/n1", hung.directory);
    expect_origin(probe_begin(caller, path, "openrouter", NULL, 0), PROBED__V1__ORIGIN__ORIGIN_COLD);
    call = invalidate_begin(caller, path, "", PROBED__V1__BARRIER__BARRIER_QUIESCED);
    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    hung_mount_hang(&hung, true);
    call = probe_begin(caller, path, "openrouter", NULL, 0);
    child = await_owned_child(HUNG_MOUNT_OWNER);
    ck_assert_int_ne(process_as(HUNG_MOUNT_OWNER, act_look, &book), 0);
    ck_assert_int_eq(process_as(HUNG_MOUNT_OWNER, act_look, &child), 0);
    ck_assert_int_ne(process_as(0, act_look, &child), 0); /* it was there all the time */
    ck_assert_int_eq(kill(book, SIGKILL), 0);
    ck_assert_int_eq(waitpid(book, NULL, 0), book);
    call_end(call);
}
END_TEST

/* ---- run by root, which the daemon gives up ---- */

STORY_SETUP(without_root, "--server-user", "65529", "--server-allow-uids", "65533 65532", "--server-admin-uids",
            "65531")

/* The daemon proper, below the keeper. */
static pid_t find_daemon(void)
{
    pid_t pid = process_child_named(server->pid, "probed");

    ck_assert_int_gt(pid, 0);
    return pid;
}

START_TEST(the_daemon_has_given_up_root_in_all_of_its_threads_and_its_custodian_has_not)
{
    pid_t pid = find_daemon();
    char path[64], value[128];
    size_t count = 0;
    DIR *threads;

    expect_plan(begin("openrouter", NULL), "one"); /* so that every kind of thread is there */
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    threads = opendir(path);
    ck_assert_ptr_nonnull(threads);
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        read_status(atoi(entry->d_name), "Uid:", value);
        ck_assert_str_eq(value, "\t65529\t65529\t65529\t65529\n");
        read_status(atoi(entry->d_name), "Groups:", value);
        ck_assert_str_eq(value, "\t \n");
        for (size_t i = 0; i < 2; i++) {
            read_status(atoi(entry->d_name), i == 0 ? "CapEff:" : "CapPrm:", value);
            ck_assert_str_eq(value, "\t0000000000000000\n");
        }
    }
    closedir(threads);
    ck_assert_uint_gt(count, 5);
    read_status(process_child_named(pid, "probed-custodian"), "Uid:", value);
    ck_assert_str_eq(value, "\t0\t0\t0\t0\n");
}
END_TEST

START_TEST(a_worker_is_its_homes_owner_all_the_same)
{
    struct home alices;
    struct call *call;

    share_memory();
    make_home(&alices, "alices", ALICE, "alice");
    ck_assert_int_eq(chmod(alices.path, 0700), 0);
    ck_assert_int_eq(probe_as(ALICE, alices.path), STATUS_OK);
    call = probe_begin(caller, alices.path, "openrouter", NULL, 0);
    ck_assert_str_eq(probe_response(call)->usage->details[2], "uid 65533");
    call_end(call);
}
END_TEST

/* Its answer is of no interest. */
static void begin_and_forget(const char *provider)
{
    struct call *call = begin_leased(provider, NULL);

    call_wait(call);
    call_end(call);
}

/* Kills one of the three, with a worker's deaf child about: all end, and nothing is left. */
static void expect_all_gone(pid_t victim)
{
    begin_and_forget("brood");
    ck_assert_int_eq(kill(victim, SIGKILL), 0);
    daemon_wait_alone(server, 1000 * PATIENCE_SCALE);
    server->pid = -1;
    caller_close(caller);
}

/* So that a service manager starts it again. */
START_TEST(a_daemon_that_is_killed_has_failed)
{
    int wait_status;

    ck_assert_int_eq(kill(find_daemon(), SIGKILL), 0);
    ck_assert_int_eq(waitpid(server->pid, &wait_status, 0), server->pid);
    ck_assert(WIFEXITED(wait_status));
    ck_assert_int_eq(WEXITSTATUS(wait_status), EXIT_FAILURE);
    server->pid = -1;
    caller_close(caller);
}
END_TEST

START_TEST(nothing_is_left_when_the_daemon_is_killed)
{
    expect_all_gone(find_daemon());
}
END_TEST

START_TEST(nothing_is_left_when_the_keeper_is_killed)
{
    expect_all_gone(server->pid);
}
END_TEST

START_TEST(nothing_is_left_when_the_custodian_is_killed)
{
    expect_all_gone(process_child_named(find_daemon(), "probed-custodian"));
}
END_TEST

static void add_without_root(Suite *suite)
{
    TCase *tcase = story_case(suite, "without root", without_root);

    tcase_add_test(tcase, the_daemon_has_given_up_root_in_all_of_its_threads_and_its_custodian_has_not);
    tcase_add_test(tcase, a_worker_is_its_homes_owner_all_the_same);
    tcase_add_test(tcase, who_may_use_which_home);
    tcase_add_test(tcase, a_refusal_is_the_same_byte_for_byte_whatever_is_there);
    tcase_add_test(tcase, a_refusal_takes_as_long_whatever_is_there);
    tcase_add_test(tcase, swapping_names_never_gives_another_homes_data);
    tcase_add_test(tcase, a_daemon_that_is_killed_has_failed);
    tcase_add_test(tcase, nothing_is_left_when_the_daemon_is_killed);
    tcase_add_test(tcase, nothing_is_left_when_the_keeper_is_killed);
    tcase_add_test(tcase, nothing_is_left_when_the_custodian_is_killed);
}

static void add_hung(Suite *suite)
{
    TCase *tcase = tcase_create("hung");

    tcase_add_checked_fixture(tcase, hung_setup, hung_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, twenty_homes_on_a_hung_mount_delay_nobody_else);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("hangs later");
    tcase_add_checked_fixture(tcase, hangs_later_setup, hung_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, twenty_starts_on_a_mount_that_hangs_by_now_leave_room_for_others);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("hangs below");
    tcase_add_checked_fixture(tcase, hangs_below_setup, hung_teardown);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, twenty_starts_that_hang_between_fork_and_exec_leave_room_for_others);
    tcase_add_test(tcase, so_do_twenty_that_cannot_even_be_killed);
    suite_add_tcase(suite, tcase);
    for (size_t i = 0; i < 2 && geteuid() == 0; i++) {
        tcase = tcase_create(i == 0 ? "hangs below root's" : "hangs below its owner's");
        tcase_add_checked_fixture(tcase, i == 0 ? hangs_below_setup : hangs_below_owner_setup, hung_teardown);
        tcase_set_timeout(tcase, patience_test_s());
        tcase_add_test(tcase, nobody_looks_into_a_child_between_fork_and_exec_not_even_of_its_uid);
        suite_add_tcase(suite, tcase);
    }
}

int main(void)
{
    Suite *suite = suite_create("homes");
    TCase *tcase;

    tcase = story_case(suite, "again", story_setup);
    tcase_add_test(tcase, a_directory_made_again_is_the_same_home_one_generation_on);
    if (geteuid() == 0) { /* only root can be somebody else */
        tcase = story_case(suite, "peers", with_peers);
        tcase_add_test(tcase, who_may_use_which_home);
        tcase_add_test(tcase, a_refusal_is_the_same_byte_for_byte_whatever_is_there);
        tcase_add_test(tcase, a_refusal_takes_as_long_whatever_is_there);
        tcase_add_test(tcase, swapping_names_never_gives_another_homes_data);
        tcase_add_test(tcase, an_env_that_is_none_neither_counts_nor_hangs_a_start);
        add_without_root(suite);
        tcase = story_case(suite, "own uid", with_daemon_of_its_own_uid);
        tcase_add_test(tcase, who_may_use_which_home_of_a_daemon_that_is_not_root);
        tcase_add_test(tcase, its_workers_are_its_own_uids);
        tcase_add_test(tcase, nobody_of_its_uid_looks_into_a_daemon_or_its_custodian);
    }
    if (hung_mount_possible())
        add_hung(suite);
    return check_main(suite);
}
