/* Homes in time: what is remembered, what waits for whom, what a hung file system holds up, and the pin. */
#include "server/homes/homes_internal.h"

#include "server/base/clock.h"
#include "server/base/secret.h"
#include "server/homes/memory.h"
#include "server/homes/resolvers.h"
#include "server/threads/lock.h"
#include "server/threads/thread.h"
#include "tests/support/check_main.h"
#include "tests/support/hung_mount.h"
#include "tests/support/patience.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { UID_COUNT = 64, TOLD_COUNT_MAX = 20000 };

/* A walk that the test holds up.  "/hold…" blocks until its uid is let go; "/now…" is decided at once; all others, and
 * "/hold…", would block.  What is decided is OK, with the path as its name. */
static struct {
    struct lock lock;
    struct condition moved;
    /* guarded by lock */
    bool let_go[UID_COUNT], let_all_go;
    size_t walk_count; /* all that were begun, those that would have blocked left out */
    size_t at_work, at_work_max, at_work_of[UID_COUNT], at_work_of_max;
    int fd; /* what the next walk gives */
} stage;

static void stage_held_up(uint32_t uid) REQUIRES(stage.lock)
{
    stage.at_work++;
    stage.at_work_of[uid]++;
    if (stage.at_work > stage.at_work_max)
        stage.at_work_max = stage.at_work;
    if (stage.at_work_of[uid] > stage.at_work_of_max)
        stage.at_work_of_max = stage.at_work_of[uid];
    condition_broadcast(&stage.moved);
    while (!stage.let_go[uid] && !stage.let_all_go)
        condition_wait(&stage.moved, &stage.lock, UINT64_MAX);
    stage.at_work--;
    stage.at_work_of[uid]--;
    condition_broadcast(&stage.moved);
}

static bool stage_walk(const struct walk_rules *rules, const struct walk_request *request,
                       struct walk_result *result_out)
{
    (void)rules;
    if (request->cached_only && strncmp(request->path, "/now", 4) != 0)
        return false;
    *result_out = (struct walk_result){.status = status_ok()};
    strcpy(result_out->place.canonical, request->path);
    lock_acquire(&stage.lock);
    stage.walk_count++;
    if (strncmp(request->path, "/hold", 5) == 0)
        stage_held_up(request->uid);
    result_out->fd = stage.fd;
    stage.fd = -1;
    lock_release(&stage.lock);
    if (strcmp(request->path, "/now/refused") == 0)
        result_out->status = status_make(STATUS_PERMISSION_DENIED, "no");
    result_out->refused = strcmp(request->path, "/now/not-yours") == 0;
    if (result_out->refused)
        result_out->status = status_make(STATUS_PERMISSION_DENIED, "not for you");
    if (strcmp(request->path, "/now/trouble") == 0)
        result_out->status = status_make(STATUS_UNAVAILABLE, "trouble");
    return true;
}

/* What was told, in order. */
static struct {
    struct lock lock;
    struct condition moved;
    /* guarded by lock */
    size_t count;
    struct told {
        uint64_t id;
        enum status_code code;
        int fd;
    } each[TOLD_COUNT_MAX];
    char message[STATUS_MESSAGE_SIZE]; /* the last */
} told;

static void tell(uint64_t id, const struct status *status, int fd)
{
    lock_acquire(&told.lock);
    ck_assert_uint_lt(told.count, TOLD_COUNT_MAX);
    told.each[told.count++] = (struct told){id, status->code, fd};
    strcpy(told.message, status->message);
    condition_broadcast(&told.moved);
    lock_release(&told.lock);
}

static void on_resolved(void *context, struct homes_ticket ticket, const struct status *status,
                        const struct home_place *place)
{
    (void)context;
    (void)place;
    lock_assert_none();
    tell(ticket.id, status, -1);
}

static void on_pinned(void *context, struct homes_ticket ticket, const struct status *status,
                      const struct home_place *place, int home_fd)
{
    (void)context;
    lock_assert_none();
    ck_assert_int_eq(status_is_ok(status), home_fd >= 0);
    ck_assert_int_eq(status_is_ok(status), place != NULL);
    tell(ticket.id, status, home_fd);
}

static void wait_told(size_t count)
{
    lock_acquire(&told.lock);
    while (told.count < count)
        condition_wait(&told.moved, &told.lock, UINT64_MAX);
    lock_release(&told.lock);
}

static size_t count_told(void)
{
    size_t count;

    lock_acquire(&told.lock);
    count = told.count;
    lock_release(&told.lock);
    return count;
}

static void wait_at_work(size_t count)
{
    lock_acquire(&stage.lock);
    while (stage.at_work != count)
        condition_wait(&stage.moved, &stage.lock, UINT64_MAX);
    lock_release(&stage.lock);
}

static void let_go(uint32_t uid)
{
    lock_acquire(&stage.lock);
    stage.let_go[uid] = true;
    condition_broadcast(&stage.moved);
    lock_release(&stage.lock);
}

static void let_all_go(void)
{
    lock_acquire(&stage.lock);
    stage.let_all_go = true;
    condition_broadcast(&stage.moved);
    lock_release(&stage.lock);
}

static size_t count_walks(void)
{
    size_t count;

    lock_acquire(&stage.lock);
    count = stage.walk_count;
    lock_release(&stage.lock);
    return count;
}

/* The next walk gives a descriptor, as that of a pin must. */
static void stage_give_fd(void)
{
    lock_acquire(&stage.lock);
    stage.fd = open("/", O_PATH | O_CLOEXEC);
    lock_release(&stage.lock);
}

static struct homes *homes;
static char top[64];

static void set_up(void)
{
    struct homes_settings settings = {.daemon_uid = 4242};
    struct status status;

    ck_assert_int_eq(secret_setup(), 0);
    memset(&stage, 0, sizeof stage);
    memset(&told, 0, sizeof told);
    stage.fd = -1;
    lock_init(&stage.lock, "stage");
    condition_init(&stage.moved);
    lock_init(&told.lock, "told");
    condition_init(&told.moved);
    status = homes_create_walking(&settings, stage_walk, &homes);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void tear_down(void)
{
    let_all_go();
    homes_destroy(homes, 10 * NS_PER_S);
    homes = NULL;
}

static void ask_later(const char *path, uint32_t uid, uint64_t id)
{
    struct status status = homes_resolve_later(homes, path, uid, on_resolved, NULL, (struct homes_ticket){.id = id});

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static struct status ask_now(const char *path, uint32_t uid, uint64_t now_ns)
{
    struct home_place place;
    struct status status;

    ck_assert(homes_resolve_now(homes, path, uid, now_ns, &place, &status));
    if (status_is_ok(&status))
        ck_assert_str_eq(place.canonical, path);
    return status;
}

/* --- what is remembered ------------------------------------------------------------------------------------------ */

START_TEST(an_answer_is_remembered_for_250_ms)
{
    ask_now("/now", 1, 1000 * NS_PER_MS);
    ck_assert_uint_eq(count_walks(), 1);
    ask_now("/now", 1, 1249 * NS_PER_MS);
    ck_assert_uint_eq(count_walks(), 1);
    ask_now("/now", 1, 1250 * NS_PER_MS);
    ck_assert_uint_eq(count_walks(), 2);
    ask_now("/now", 1, 1499 * NS_PER_MS); /* counted from the second look */
    ck_assert_uint_eq(count_walks(), 2);
}
END_TEST

START_TEST(a_refusal_is_remembered_too_but_trouble_is_not)
{
    struct status first = ask_now("/now/refused", 1, 0), second = ask_now("/now/refused", 1, 1);

    ck_assert_int_eq(first.code, STATUS_PERMISSION_DENIED);
    ck_assert_str_eq(first.message, second.message);
    ck_assert_uint_eq(count_walks(), 1);
    ask_now("/now/trouble", 1, 0);
    ask_now("/now/trouble", 1, 1);
    ck_assert_uint_eq(count_walks(), 3);
}
END_TEST

START_TEST(an_answer_is_for_this_uid_and_this_spelling_alone)
{
    ask_now("/now", 1, 0);
    ask_now("/now", 2, 0);
    ask_now("/now/", 1, 0);
    ck_assert_uint_eq(count_walks(), 3);
}
END_TEST

START_TEST(what_a_resolver_found_is_decided_at_once_afterwards)
{
    struct home_place place;
    struct status status;
    uint64_t now_ns = clock_now_ns();

    ck_assert(!homes_resolve_now(homes, "/later", 1, now_ns, &place, &status));
    ask_later("/later", 1, 1);
    wait_told(1);
    ck_assert(homes_resolve_now(homes, "/later", 1, now_ns, &place, &status));
    ck_assert(status_is_ok(&status));
    ck_assert_str_eq(place.canonical, "/later");
}
END_TEST

START_TEST(many_who_wait_for_one_look_share_it)
{
    ask_later("/hold", 1, 0);
    wait_at_work(1);
    for (uint64_t i = 1; i <= 10; i++)
        ask_later("/x", 1, i);
    let_go(1);
    wait_told(11);
    ck_assert_uint_lt(count_walks(), 11); /* 2, unless this machine stands still for a quarter of a second */
}
END_TEST

START_TEST(the_memory_is_bounded_and_forgets_the_oldest_first)
{
    char path[32];

    for (int i = 0; i <= HOMES_PLACE_COUNT_MAX; i++) {
        snprintf(path, sizeof path, "/now/%d", i);
        ask_now(path, 1, (uint64_t)i);
    }
    ck_assert_uint_eq(count_walks(), HOMES_PLACE_COUNT_MAX + 1);
    ask_now("/now/1", 1, 2000);
    ck_assert_uint_eq(count_walks(), HOMES_PLACE_COUNT_MAX + 1);
    ask_now("/now/0", 1, 2000);
    ck_assert_uint_eq(count_walks(), HOMES_PLACE_COUNT_MAX + 2);
}
END_TEST

static void keep_group(struct homes_memory *memory, uint32_t uid, uint64_t asked_ns, gid_t gid)
{
    struct rights_groups *groups = rights_groups_make(gid, NULL, 0);

    ck_assert_ptr_nonnull(groups);
    homes_memory_keep_groups(memory, uid, asked_ns, groups);
    rights_groups_release(groups);
}

/* -1: none is known. */
static int64_t known_group(const struct homes_memory *memory, uint32_t uid, uint64_t now_ns)
{
    struct rights_groups *groups = homes_memory_share_groups(memory, uid, now_ns);
    int64_t gid = groups == NULL ? -1 : (int64_t)rights_groups_primary(groups);

    rights_groups_release(groups);
    return gid;
}

START_TEST(groups_are_remembered_for_a_minute_and_bounded)
{
    struct homes_memory memory;

    homes_memory_init(&memory);
    for (uint32_t uid = 0; uid <= HOMES_GROUP_COUNT_MAX; uid++)
        keep_group(&memory, uid, NS_PER_S, uid + 1);
    ck_assert_int_eq(known_group(&memory, 0, NS_PER_S), -1);
    ck_assert_int_eq(known_group(&memory, 1, 61 * NS_PER_S - 1), 2);
    ck_assert_int_eq(known_group(&memory, 1, 61 * NS_PER_S), -1);
    keep_group(&memory, 1, 61 * NS_PER_S, 7);
    ck_assert_int_eq(known_group(&memory, 1, 61 * NS_PER_S), 7);
    homes_memory_fini(&memory);
}
END_TEST

/* --- who waits for whom ------------------------------------------------------------------------------------------ */

START_TEST(a_hung_mount_delays_its_own_uid_alone)
{
    ask_later("/hold/1", 1, 1);
    ask_later("/fine/1", 1, 2);
    wait_at_work(1);
    for (uint32_t uid = 2; uid < 42; uid++)
        ask_later("/fine", uid, uid + 100);
    wait_told(40);
    for (size_t i = 0; i < 40; i++)
        ck_assert_uint_ge(told.each[i].id, 102);
    ask_now("/now", 1, 0); /* and what needs no look is answered even to that uid */

    let_go(1);
    wait_told(42);
    ck_assert_uint_eq(told.each[40].id, 1);
    ck_assert_uint_eq(told.each[41].id, 2);
}
END_TEST

START_TEST(one_job_a_uid_and_sixteen_in_all)
{
    for (uint32_t uid = 1; uid <= 20; uid++) {
        ask_later("/hold/a", uid, uid);
        ask_later("/hold/b", uid, uid);
    }
    wait_at_work(RESOLVER_COUNT_MAX);
    let_all_go();
    wait_told(40);
    ck_assert_uint_eq(stage.at_work_max, RESOLVER_COUNT_MAX);
    ck_assert_uint_eq(stage.at_work_of_max, 1);
}
END_TEST

START_TEST(uids_take_turns)
{
    static const uint64_t expected[] = {99, 1, 11, 2, 12, 3};

    for (uint32_t uid = 20; uid < 20 + RESOLVER_COUNT_MAX - 1; uid++)
        ask_later("/hold", uid, 0);
    wait_at_work(RESOLVER_COUNT_MAX - 1);
    ask_later("/hold", 9, 99); /* the last free thread: from now on one thread does all the rest */
    wait_at_work(RESOLVER_COUNT_MAX);
    for (uint64_t i = 1; i <= 3; i++)
        ask_later(i == 1 ? "/1" : i == 2 ? "/2" : "/3", 1, i);
    ask_later("/11", 2, 11);
    ask_later("/12", 2, 12);
    let_go(9);
    wait_told(6);
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_eq(told.each[i].id, expected[i]);
}
END_TEST

START_TEST(the_line_of_a_uid_is_bounded)
{
    struct status status;

    ask_later("/hold", 1, 0);
    wait_at_work(1);
    for (size_t i = 0; i < RESOLVER_JOB_COUNT_PER_UID_MAX; i++)
        ask_later("/x", 1, 1);
    status = homes_resolve_later(homes, "/x", 1, on_resolved, NULL, (struct homes_ticket){0});
    ck_assert_int_eq(status.code, STATUS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(status.message, "1024 homes of uid 1 wait to be looked at, no more may");
    ask_later("/x", 2, 2);
    wait_told(1);
    ck_assert_uint_eq(told.each[0].id, 2);
    let_go(1);
    wait_told(RESOLVER_JOB_COUNT_PER_UID_MAX + 2);
    ask_later("/x", 1, 1);
    wait_told(RESOLVER_JOB_COUNT_PER_UID_MAX + 3);
}
END_TEST

START_TEST(all_lines_together_are_bounded)
{
    struct status status;

    for (uint32_t uid = 1; uid <= RESOLVER_COUNT_MAX; uid++)
        ask_later("/hold", uid, 0);
    wait_at_work(RESOLVER_COUNT_MAX);
    for (size_t i = 0; i < RESOLVER_JOB_COUNT_MAX; i++)
        ask_later("/x", 1 + (uint32_t)(i % RESOLVER_COUNT_MAX), 1);
    status = homes_resolve_later(homes, "/x", 40, on_resolved, NULL, (struct homes_ticket){0});
    ck_assert_int_eq(status.code, STATUS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(status.message, "16384 homes wait to be looked at, no more may");
    let_all_go();
    wait_told(RESOLVER_COUNT_MAX + RESOLVER_JOB_COUNT_MAX);
}
END_TEST

static void pin_later(const char *path, uint32_t uid, uint64_t id)
{
    struct status status = homes_pin(homes, path, uid, on_pinned, NULL, (struct homes_ticket){.id = id});

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

START_TEST(a_pin_of_what_is_in_the_caches_waits_for_nobody)
{
    pin_later("/hold", 1, 1);
    wait_at_work(1);
    stage_give_fd();
    pin_later("/now", 1, 2);
    ck_assert_uint_eq(count_told(), 1);
    ck_assert_uint_eq(told.each[0].id, 2);
    close(told.each[0].fd);
    stage_give_fd(); /* to the one that is held up */
}
END_TEST

START_TEST(a_second_pin_of_a_uid_that_hangs_is_refused)
{
    const char *message = "another home of uid 1 is looked at and does not answer: its file system hangs";
    struct status status;

    pin_later("/hold", 1, 1);
    wait_at_work(1);
    for (uint64_t id = 2; id < 20; id++)
        pin_later("/x", 1, id);
    ask_later("/x", 1, 20);
    wait_told(18); /* the one that hangs is neither told nor disturbed; nor is a call, which has its own deadline */
    for (size_t i = 0; i < 18; i++) {
        ck_assert_uint_eq(told.each[i].id, i + 2);
        ck_assert_int_eq(told.each[i].code, STATUS_UNAVAILABLE);
    }
    ck_assert_str_eq(told.message, message);
    status = homes_pin(homes, "/x", 1, on_pinned, NULL, (struct homes_ticket){.id = 21});
    ck_assert_int_eq(status.code, STATUS_UNAVAILABLE);
    ck_assert_str_eq(status.message, message);

    ask_later("/x", 2, 22); /* nobody else hears of it */
    wait_told(19);
    ck_assert_uint_eq(told.each[18].id, 22);
    ck_assert_int_eq(told.each[18].code, STATUS_OK);
    stage_give_fd();
    let_go(1);
    wait_told(21);
    ck_assert_uint_eq(told.each[20].id, 20);
    close(told.each[19].fd);
}
END_TEST

START_TEST(a_hurried_pin_does_not_wait_for_what_hangs)
{
    uint64_t begun_ns = clock_now_ns();

    pin_later("/hold", 1, 1);
    wait_at_work(1);
    pin_later("/x", 1, 2);
    ask_later("/x", 1, 3);
    while (count_told() == 0)
        homes_hurry(homes); /* from the haste on it is told */
    ck_assert_uint_ge(clock_now_ns() - begun_ns, RESOLVER_HASTE_NS);
    ck_assert(!patience_time_counts() || clock_now_ns() - begun_ns < RESOLVER_PATIENCE_NS);
    ck_assert_uint_eq(count_told(), 1); /* neither the one that hangs nor the call, which has its own deadline */
    ck_assert_uint_eq(told.each[0].id, 2);
    ck_assert_int_eq(told.each[0].code, STATUS_UNAVAILABLE);
    stage_give_fd();
}
END_TEST

START_TEST(a_pin_waits_a_second_at_most_whoever_is_in_its_way)
{
    for (uint32_t uid = 1; uid <= RESOLVER_COUNT_MAX; uid++)
        ask_later("/hold", uid, 0);
    wait_at_work(RESOLVER_COUNT_MAX);
    pin_later("/x", 40, 1);
    while (count_told() == 0) { /* no resolver is left to tell it: whoever asks next does */
        ask_later("/x", 41, 0);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    ck_assert_uint_eq(told.each[0].id, 1);
    ck_assert_int_eq(told.each[0].code, STATUS_UNAVAILABLE);
}
END_TEST

/* --- refusals ---------------------------------------------------------------------------------------------------- */

START_TEST(a_refusal_takes_a_whole_millisecond_and_is_nobodys_to_give_at_once)
{
    struct home_place place;
    struct status status;
    uint64_t begun_ns = clock_now_ns();

    ck_assert(!homes_resolve_now(homes, "/now/not-yours", 1, begun_ns, &place, &status));
    ask_later("/now/not-yours", 1, 1);
    while (count_told() == 0) /* nor does whoever asks meanwhile hear of it any sooner */
        ck_assert(!homes_resolve_now(homes, "/now/not-yours", 1, clock_now_ns(), &place, &status) ||
                  clock_now_ns() - begun_ns >= NS_PER_MS);
    ck_assert_uint_ge(clock_now_ns() - begun_ns, NS_PER_MS);
    ck_assert_int_eq(told.each[0].code, STATUS_PERMISSION_DENIED);
    ck_assert(homes_resolve_now(homes, "/now/not-yours", 1, clock_now_ns(), &place, &status)); /* remembered */
    ck_assert_int_eq(status.code, STATUS_PERMISSION_DENIED);
}
END_TEST

START_TEST(the_end_waits_for_no_pace)
{
    ask_later("/now/not-yours", 1, 1);
    homes_destroy(homes, NS_PER_S);
    homes = NULL;
    ck_assert_uint_eq(count_told(), 1);
}
END_TEST

/* --- the end ----------------------------------------------------------------------------------------------------- */

START_TEST(at_the_end_every_job_is_told_and_a_hung_one_left_behind)
{
    int ends[2];
    struct pollfd watched;
    char byte;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ask_later("/hold", 1, 1);
    ask_later("/x", 1, 2);
    ck_assert_int_eq(homes_pin(homes, "/hold", 2, on_pinned, NULL, (struct homes_ticket){.id = 3}).code, STATUS_OK);
    wait_at_work(2);
    homes_destroy(homes, 0);
    homes = NULL;
    ck_assert_uint_eq(count_told(), 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(told.each[i].code, STATUS_UNAVAILABLE);
        ck_assert_int_eq(told.each[i].fd, -1);
    }
    ck_assert_uint_eq(told.each[0].id, 2); /* those that waited first */
    ck_assert_uint_eq(told.each[1].id + told.each[2].id, 4);

    /* What the hung pin opens in the end is closed, and told to nobody. */
    lock_acquire(&stage.lock);
    stage.fd = ends[1];
    lock_release(&stage.lock);
    let_go(2);
    watched = (struct pollfd){.fd = ends[0], .events = POLLIN};
    ck_assert_int_eq(poll(&watched, 1, -1), 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0);
    let_go(1);
    wait_at_work(0);
    ck_assert_uint_eq(count_told(), 3);
    close(ends[0]);
}
END_TEST

static void destroy_slowly(void *context)
{
    homes_destroy(context, 60 * NS_PER_S);
}

START_TEST(at_the_end_a_job_that_comes_back_in_time_is_told_what_it_found)
{
    pthread_t destroyer;
    struct status status;

    ask_later("/hold", 1, 1);
    ask_later("/x", 1, 2);
    wait_at_work(1);
    status = thread_start(&destroyer, "destroyer", 0, destroy_slowly, homes);
    ck_assert(status_is_ok(&status));
    wait_told(1); /* it has begun: the one that waited was told */
    let_go(1);
    thread_join(destroyer);
    homes = NULL;
    ck_assert_uint_eq(told.count, 2);
    ck_assert_uint_eq(told.each[0].id, 2);
    ck_assert_int_eq(told.each[0].code, STATUS_UNAVAILABLE);
    ck_assert_uint_eq(told.each[1].id, 1);
    ck_assert_int_eq(told.each[1].code, STATUS_OK);
}
END_TEST

static void ask_again(void *context, struct homes_ticket ticket, const struct status *status,
                      const struct home_place *place)
{
    (void)context;
    (void)status;
    (void)place;
    if (ticket.id < 50) {
        ticket.id++;
        ck_assert_int_eq(homes_resolve_later(homes, "/x", 1, ask_again, NULL, ticket).code, STATUS_OK);
    } else {
        tell(ticket.id, status, -1);
    }
}

START_TEST(whoever_is_told_may_ask_again)
{
    ck_assert_int_eq(homes_resolve_later(homes, "/x", 1, ask_again, NULL, (struct homes_ticket){0}).code, STATUS_OK);
    wait_told(1);
    ck_assert_uint_eq(told.each[0].id, 50);
}
END_TEST

/* --- the pin, on a real file system ------------------------------------------------------------------------------ */

static const char *at(const char *name)
{
    static char paths[4][128];
    static size_t next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s%s", top, name);
    return path;
}

static void set_up_real(void)
{
    char folder[] = "/tmp/test_homes.XXXXXX", canonical[LIMIT_HOME_SIZE_MAX + 1];
    struct homes_settings settings = {.daemon_uid = 4242};
    struct status status;

    set_up();
    homes_destroy(homes, 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(realpath(folder, canonical));
    ck_assert_uint_lt(strlen(canonical), sizeof top);
    strcpy(top, canonical);
    ck_assert_int_eq(mkdir(at("/a"), 0700), 0);
    status = homes_create(&settings, &homes);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
}

static void tear_down_real(void)
{
    char command[128];

    homes_destroy(homes, 10 * NS_PER_S);
    snprintf(command, sizeof command, "rm -r %s", top);
    ck_assert_int_eq(system(command), 0);
}

/* The owner pins; the last of what was told is the answer. */
static struct told pin(const char *path, uint32_t uid)
{
    size_t count = count_told();
    struct status status = homes_pin(homes, path, uid, on_pinned, NULL, (struct homes_ticket){.id = 1});

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    wait_told(count + 1);
    return told.each[count];
}

static void expect_pin_refused(const char *path, uint32_t uid, enum status_code code, const char *message)
{
    struct told answer = pin(path, uid);

    ck_assert_int_eq(answer.code, code);
    ck_assert_str_eq(told.message, message);
    ck_assert_int_eq(answer.fd, -1);
}

START_TEST(what_is_in_the_kernels_caches_is_decided_at_once)
{
    struct home_place place;
    struct status status;

    ck_assert(homes_resolve_now(homes, at("/a"), geteuid(), 0, &place, &status));
    ck_assert(status_is_ok(&status));
    ck_assert_str_eq(place.canonical, at("/a"));
}
END_TEST

START_TEST(a_pin_is_the_directory_that_was_checked)
{
    struct told answer = pin(at("/a"), geteuid());
    struct stat pinned, named;

    ck_assert_int_eq(answer.code, STATUS_OK);
    ck_assert_int_eq(fstat(answer.fd, &pinned), 0);
    ck_assert_int_eq(stat(at("/a"), &named), 0);
    ck_assert_uint_eq(pinned.st_ino, named.st_ino);
    ck_assert_int_ne(fcntl(answer.fd, F_GETFL) & O_PATH, 0);
    ck_assert_int_ne(fcntl(answer.fd, F_GETFD) & FD_CLOEXEC, 0);
    close(answer.fd);
}
END_TEST

static const char *missing_message(const char *name)
{
    static char message[STATUS_MESSAGE_SIZE];

    snprintf(message, sizeof message, "home: no such directory: there is no directory \"%s\" in %s", name, top);
    return message;
}

START_TEST(a_pin_remembers_nothing)
{
    struct home_place place;
    struct status status;
    uint64_t now_ns = clock_now_ns();

    ck_assert(homes_resolve_now(homes, at("/a"), geteuid(), now_ns, &place, &status));
    ck_assert(status_is_ok(&status));
    ck_assert_int_eq(chmod(at("/a"), 0707), 0);
    ck_assert(homes_resolve_now(homes, at("/a"), geteuid(), now_ns, &place, &status));
    ck_assert(status_is_ok(&status));
    expect_pin_refused(at("/a"), geteuid(), STATUS_PERMISSION_DENIED,
                       "home is a directory in which others can write (mode 0707)");
    ck_assert_int_eq(rmdir(at("/a")), 0);
    expect_pin_refused(at("/a"), geteuid(), STATUS_NOT_FOUND, missing_message("a"));
}
END_TEST

START_TEST(a_pin_follows_the_uid_it_is_given)
{
    char message[STATUS_MESSAGE_SIZE];
    struct told answer = pin(at("/a"), 4242);

    ck_assert_int_eq(answer.code, STATUS_OK);
    close(answer.fd);
    snprintf(message, sizeof message,
             "home is not for uid %u: its owner may use it, and administrators (server.admin_uids)", 4243U);
    expect_pin_refused(at("/a"), 4243, STATUS_PERMISSION_DENIED, message);
}
END_TEST

START_TEST(a_pin_is_for_the_name_that_was_asked_for)
{
    char message[STATUS_MESSAGE_SIZE];

    ck_assert_int_eq(mkdir(at("/b"), 0700), 0);
    ck_assert_int_eq(rmdir(at("/a")), 0);
    ck_assert_int_eq(symlink("b", at("/a")), 0);
    snprintf(message, sizeof message, "home is now a name of %s", at("/b"));
    expect_pin_refused(at("/a"), geteuid(), STATUS_FAILED_PRECONDITION, message);
}
END_TEST

static atomic_bool swapping;

/* /a is a directory and a link to /b in turns. */
static void swap(void *context)
{
    (void)context;
    while (atomic_load(&swapping)) {
        ck_assert_int_eq(rename(at("/a"), at("/real")), 0);
        ck_assert_int_eq(symlink("b", at("/a")), 0);
        ck_assert_int_eq(unlink(at("/a")), 0);
        ck_assert_int_eq(rename(at("/real"), at("/a")), 0);
    }
}

START_TEST(swapping_a_link_in_gives_the_pinned_one_or_a_refusal)
{
    struct stat real, pinned;
    pthread_t swapper;
    struct status status;
    size_t ok_count = 0;
    char path[128];

    strcpy(path, at("/a"));
    ck_assert_int_eq(stat(path, &real), 0);
    ck_assert_int_eq(mkdir(at("/b"), 0700), 0);
    atomic_store(&swapping, true);
    status = thread_start(&swapper, "swapper", 0, swap, NULL);
    ck_assert(status_is_ok(&status));
    for (size_t i = 0; i < 3000; i++) {
        struct told answer = pin(path, geteuid());

        if (answer.code == STATUS_OK) {
            ck_assert_int_eq(fstat(answer.fd, &pinned), 0);
            ck_assert_uint_eq(pinned.st_ino, real.st_ino);
            close(answer.fd);
            ok_count++;
        } else {
            ck_assert(answer.code == STATUS_NOT_FOUND || answer.code == STATUS_FAILED_PRECONDITION);
        }
    }
    atomic_store(&swapping, false);
    thread_join(swapper);
    ck_assert_uint_gt(ok_count, 0);
}
END_TEST

/* --- a file system that really hangs ----------------------------------------------------------------------------- */

static struct hung_mount hung;

static void set_up_hung(void)
{
    static char directory[128];

    set_up_real();
    homes_destroy(homes, 0); /* its thread: the namespace comes first */
    snprintf(directory, sizeof directory, "%s", at("/hung"));
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    ck_assert(hung_mount_open(&hung, directory, false, 0));
    ck_assert_int_eq(homes_create(&(struct homes_settings){.daemon_uid = 4242}, &homes).code, STATUS_OK);
}

static void tear_down_hung(void)
{
    hung_mount_close(&hung);
    tear_down_real();
}

/* Root may use everything, the hung one too; 4242 is the daemon's uid. */
START_TEST(a_hung_file_system_is_left_to_a_resolver_and_delays_nobody_else)
{
    struct home_place place;
    struct status status;
    uint64_t now_ns = clock_now_ns();

    ck_assert(!homes_resolve_now(homes, at("/hung/h"), 0, now_ns, &place, &status));
    ask_later(at("/hung/h"), 0, 1);
    hung_mount_wait(&hung);
    ck_assert(!homes_resolve_now(homes, at("/hung/h"), 4242, now_ns, &place, &status)); /* nor does it block here */
    ck_assert(homes_resolve_now(homes, at("/a"), 0, now_ns, &place, &status));
    ask_later(at("/a"), 4242, 2);
    wait_told(1);
    ck_assert_uint_eq(told.each[0].id, 2);
    ck_assert_int_eq(told.each[0].code, STATUS_OK);

    homes_destroy(homes, 0);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_uint_eq(told.each[1].id, 1);
    ck_assert_int_eq(told.each[1].code, STATUS_UNAVAILABLE);
    homes = NULL;
}
END_TEST

/* For those who may mount; the staged walk above shows the same to all. */
static TCase *create_hung(void)
{
    TCase *real = tcase_create("hung");

    tcase_add_checked_fixture(real, set_up_hung, tear_down_hung);
    tcase_add_test(real, a_hung_file_system_is_left_to_a_resolver_and_delays_nobody_else);
    return real;
}

int main(void)
{
    Suite *suite = suite_create("homes_threads");
    TCase *memory = tcase_create("memory"), *lines = tcase_create("lines"), *end = tcase_create("end"),
          *refusals = tcase_create("refusals"), *pins = tcase_create("pins");

    tcase_add_checked_fixture(memory, set_up, tear_down);
    tcase_add_checked_fixture(lines, set_up, tear_down);
    tcase_add_checked_fixture(refusals, set_up, tear_down);
    tcase_add_checked_fixture(end, set_up, tear_down);
    tcase_add_checked_fixture(pins, set_up_real, tear_down_real);
    tcase_set_timeout(lines, 20);
    tcase_set_timeout(pins, 20);

    tcase_add_test(memory, an_answer_is_remembered_for_250_ms);
    tcase_add_test(memory, a_refusal_is_remembered_too_but_trouble_is_not);
    tcase_add_test(memory, an_answer_is_for_this_uid_and_this_spelling_alone);
    tcase_add_test(memory, what_a_resolver_found_is_decided_at_once_afterwards);
    tcase_add_test(memory, many_who_wait_for_one_look_share_it);
    tcase_add_test(memory, the_memory_is_bounded_and_forgets_the_oldest_first);
    tcase_add_test(memory, groups_are_remembered_for_a_minute_and_bounded);

    tcase_add_test(lines, a_hung_mount_delays_its_own_uid_alone);
    tcase_add_test(lines, one_job_a_uid_and_sixteen_in_all);
    tcase_add_test(lines, uids_take_turns);
    tcase_add_test(lines, the_line_of_a_uid_is_bounded);
    tcase_add_test(lines, all_lines_together_are_bounded);
    tcase_add_test(lines, whoever_is_told_may_ask_again);

    tcase_add_test(lines, a_pin_of_what_is_in_the_caches_waits_for_nobody);
    tcase_add_test(lines, a_second_pin_of_a_uid_that_hangs_is_refused);
    tcase_add_test(lines, a_hurried_pin_does_not_wait_for_what_hangs);
    tcase_add_test(lines, a_pin_waits_a_second_at_most_whoever_is_in_its_way);

    tcase_add_test(refusals, a_refusal_takes_a_whole_millisecond_and_is_nobodys_to_give_at_once);
    tcase_add_test(refusals, the_end_waits_for_no_pace);

    tcase_add_test(end, at_the_end_every_job_is_told_and_a_hung_one_left_behind);
    tcase_add_test(end, at_the_end_a_job_that_comes_back_in_time_is_told_what_it_found);

    tcase_add_test(pins, what_is_in_the_kernels_caches_is_decided_at_once);
    tcase_add_test(pins, a_pin_is_the_directory_that_was_checked);
    tcase_add_test(pins, a_pin_remembers_nothing);
    tcase_add_test(pins, a_pin_follows_the_uid_it_is_given);
    tcase_add_test(pins, a_pin_is_for_the_name_that_was_asked_for);
    tcase_add_test(pins, swapping_a_link_in_gives_the_pinned_one_or_a_refusal);

    suite_add_tcase(suite, memory);
    suite_add_tcase(suite, lines);
    suite_add_tcase(suite, refusals);
    suite_add_tcase(suite, end);
    suite_add_tcase(suite, pins);
    if (hung_mount_possible())
        suite_add_tcase(suite, create_hung());
    return check_main(suite);
}
