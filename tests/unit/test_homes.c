/* Whose home a path is, on a real file system: names, rules, and what a peer without the right can tell. */
#include "server/homes/homes.h"

#include "server/base/clock.h"
#include "server/base/secret.h"
#include "server/homes/scope.h"
#include "server/homes/walk.h"
#include "server/threads/lock.h"
#include "tests/support/check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = LIMIT_HOME_SIZE_MAX + 1 };

/* Peers are numbers.  Alice owns the homes (whoever runs this, if not root); of the others only root must exist. */
static uint32_t alice, bob, admin, daemon_user;
static char top[128]; /* a folder for the test, canonical */

/* --- a tree ------------------------------------------------------------------------------------------------------ */

static const char *at(const char *format, ...) PRINTF_LIKE(1, 2);

/* A path below `top`; good until the eighth call after this one. */
static const char *at(const char *format, ...)
{
    static char paths[8][PATH_SIZE];
    static size_t next;
    char *path = paths[next++ % 8];
    size_t size = (size_t)snprintf(path, PATH_SIZE, "%s", top);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(path + size, PATH_SIZE - size, format, arguments);
    va_end(arguments);
    return path;
}

static void give_to(const char *path, uint32_t uid)
{
    if (geteuid() == 0)
        ck_assert_int_eq(lchown(path, uid, uid), 0);
}

static void make_directory(const char *path, mode_t mode, uint32_t uid)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    give_to(path, uid);
}

static void make_link(const char *target, const char *path)
{
    ck_assert_int_eq(symlink(target, path), 0);
    give_to(path, alice);
}

static void set_up(void)
{
    char folder[] = "/tmp/test_homes.XXXXXX", canonical[PATH_SIZE];

    ck_assert_int_eq(secret_setup(), 0);
    alice = geteuid() == 0 ? 10001 : geteuid();
    bob = alice + 1;
    admin = alice + 2;
    daemon_user = alice + 3;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(realpath(folder, canonical));
    ck_assert_uint_lt(strlen(canonical), sizeof top);
    strcpy(top, canonical);
    ck_assert_int_eq(chmod(top, 0755), 0);
    give_to(top, alice);
    make_directory(at("/home"), 0700, alice);
    make_directory(at("/home/a"), 0755, alice);
}

static void tear_down(void)
{
    char command[512];

    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -r %s", top, top);
    ck_assert_int_eq(system(command), 0);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

struct answer {
    struct lock lock;
    struct condition told;
    bool known; /* guarded by lock, as all below */
    struct status status;
    struct home_place place;
};

static void on_resolved(void *context, struct homes_ticket ticket, const struct status *status,
                        const struct home_place *place)
{
    struct answer *answer = context;

    ck_assert_ptr_eq(ticket.object, answer);
    ck_assert_uint_eq(ticket.id, 7);
    lock_acquire(&answer->lock);
    answer->known = true;
    answer->status = *status;
    answer->place = *place;
    condition_signal(&answer->told);
    lock_release(&answer->lock);
}

/* By a resolver thread. */
static void ask_later(struct homes *homes, const char *path, uint32_t uid, struct answer *answer)
{
    struct status status;

    *answer = (struct answer){0};
    lock_init(&answer->lock, "answer");
    condition_init(&answer->told);
    status =
        homes_resolve_later(homes, path, uid, on_resolved, answer, (struct homes_ticket){.object = answer, .id = 7});
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    lock_acquire(&answer->lock);
    while (!answer->known)
        condition_wait(&answer->told, &answer->lock, UINT64_MAX);
    lock_release(&answer->lock);
    condition_fini(&answer->told);
    lock_fini(&answer->lock);
}

/* A fresh `homes` is asked by both ways, which have to agree; the first may leave it to the second. */
static struct status ask_with(const struct homes_settings *settings, const char *path, uint32_t uid,
                              struct home_place *place)
{
    struct homes *homes;
    struct answer answer;
    struct status status = homes_create(settings, &homes), now_status;
    struct home_place now_place;
    uint64_t now_ns = clock_now_ns();

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    ask_later(homes, path, uid, &answer);
    /* A second on, nothing is remembered but the uid's group. */
    if (homes_resolve_now(homes, path, uid, now_ns + NS_PER_S, &now_place, &now_status)) {
        ck_assert_int_eq(now_status.code, answer.status.code);
        ck_assert_str_eq(now_status.message, answer.status.message);
        ck_assert_str_eq(now_place.canonical, answer.place.canonical);
        ck_assert_int_eq(now_place.missing, answer.place.missing);
    }
    homes_destroy(homes, NS_PER_S);
    *place = answer.place;
    return answer.status;
}

static struct homes_settings run_by(uint32_t daemon_uid)
{
    return (struct homes_settings){.daemon_uid = daemon_uid, .admin_uids = &admin, .admin_uid_count = 1};
}

static void expect_home(const char *path, const char *canonical)
{
    struct homes_settings settings = run_by(daemon_user);
    struct home_place place;
    struct status status = ask_with(&settings, path, alice, &place);

    ck_assert_msg(status_is_ok(&status), "%s: %s", path, status.message);
    ck_assert_str_eq(place.canonical, canonical);
    ck_assert(!place.missing);
}

/* Where a path breaks off, said to those who may know. */
static const char *not_in(const char *directory, const char *name)
{
    static char message[STATUS_MESSAGE_SIZE];

    snprintf(message, sizeof message, "home: no such directory: there is no directory \"%s\" in %s", name,
             at("%s", directory));
    return message;
}

/* What anybody hears of what is not theirs. */
static const char *not_for(uint32_t uid)
{
    static char message[STATUS_MESSAGE_SIZE];

    snprintf(message, sizeof message,
             "home is not for uid %u: its owner may use it, and administrators (server.admin_uids)", (unsigned)uid);
    return message;
}

static void expect_refusal(const char *path, enum status_code code, const char *message)
{
    struct homes_settings settings = run_by(daemon_user);
    struct home_place place;
    struct status status = ask_with(&settings, path, alice, &place);

    ck_assert_int_eq(status.code, code);
    ck_assert_str_eq(status.message, message);
    if (code != STATUS_NOT_FOUND)
        ck_assert(!place.missing);
}

/* `canonical`: where it would be; NULL: it cannot be named. */
static void expect_missing(const char *path, const char *canonical)
{
    struct homes_settings settings = run_by(daemon_user);
    struct home_place place;
    struct status status = ask_with(&settings, path, alice, &place);

    ck_assert_int_eq(status.code, STATUS_NOT_FOUND);
    ck_assert_int_eq(place.missing, canonical != NULL);
    ck_assert_str_eq(place.canonical, canonical == NULL ? "" : canonical);
}

/* --- the path as text -------------------------------------------------------------------------------------------- */

START_TEST(a_scope_has_its_directories_and_what_lies_below)
{
    static const char *const directories[] = {"/srv/homes", "/h/a"};
    static const struct homes_scope scope = {directories, 2}, none = {NULL, 0};
    static const char *const in[] = {"/srv/homes", "/srv/homes/b", "/srv/homes/b/c", "/h/a"};
    static const char *const out[] = {"/srv", "/srv/homes2", "/h/ab", "/h", "/h/A", "/"};
    static const char *const untidy[] = {"//srv/homes/", "/srv/./homes//x/.", "/./h/a"};
    static const char *const refused[] = {"/srv/homes/../homes", "srv/homes", "", "/srv/homes/a\nb", "/srv//homes2"};

    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
        ck_assert(homes_scope_admits(&scope, in[i]) && homes_scope_admits_given(&scope, in[i]));
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        ck_assert(!homes_scope_admits(&scope, out[i]) && !homes_scope_admits_given(&scope, out[i]));
        ck_assert(homes_scope_admits(&none, out[i]) && homes_scope_admits_given(&none, out[i]));
    }
    for (size_t i = 0; i < sizeof untidy / sizeof untidy[0]; i++)
        ck_assert(homes_scope_admits_given(&scope, untidy[i]));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        ck_assert(!homes_scope_admits_given(&scope, refused[i]));
}
END_TEST

START_TEST(a_malformed_path_is_refused_on_the_spot)
{
    static const struct {
        const char *path, *message;
    } bad[] = {
        {"", "home is no absolute path"},
        {"h", "home is no absolute path"},
        {"./h", "home is no absolute path"},
        {"~/h", "home is no absolute path"},
        {"/", "home is the root directory, which cannot be one"},
        {"//", "home is the root directory, which cannot be one"},
        {"/./.", "home is the root directory, which cannot be one"},
        {"/..", "home has a component \"..\""},
        {"/h/../a", "home has a component \"..\""},
        {"/h/a/..", "home has a component \"..\""},
        {"/h/a/../", "home has a component \"..\""},
        {"/h\n", "home has a control character"},
        {"/h\tb", "home has a control character"},
        {"/h\x7f", "home has a control character"},
        {"/h\xff", "home is not UTF-8"},
        {"/h\xc3", "home is not UTF-8"},
        {"/h\xed\xa0\x80", "home is not UTF-8"},
    };
    struct homes_settings settings = run_by(daemon_user);
    struct homes *homes;
    struct status status = homes_create(&settings, &homes);

    ck_assert(status_is_ok(&status));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct home_place place;

        ck_assert(homes_resolve_now(homes, bad[i].path, alice, 0, &place, &status));
        ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
        ck_assert_str_eq(status.message, bad[i].message);
        status = homes_resolve_later(homes, bad[i].path, alice, on_resolved, NULL, (struct homes_ticket){0});
        ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    }
    homes_destroy(homes, NS_PER_S);
}
END_TEST

START_TEST(a_path_has_at_most_4095_bytes)
{
    char path[5001];
    struct homes_settings settings = run_by(daemon_user);
    struct homes *homes;
    struct home_place place;
    struct status status = homes_create(&settings, &homes);

    ck_assert(status_is_ok(&status));
    memset(path, 'a', sizeof path);
    for (size_t i = 0; i < sizeof path; i += 200)
        path[i] = '/';
    path[5000] = '\0';
    ck_assert(homes_resolve_now(homes, path, alice, 0, &place, &status));
    ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    ck_assert_str_eq(status.message, "home has 5000 bytes, more than 4095");
    path[4096] = '\0';
    ck_assert(homes_resolve_now(homes, path, alice, 0, &place, &status));
    ck_assert_str_eq(status.message, "home has 4096 bytes, more than 4095");
    homes_destroy(homes, NS_PER_S);

    memmove(path + strlen(top), path, 4095 - strlen(top));
    memcpy(path, top, strlen(top));
    path[4095] = '\0';
    expect_missing(path, path);
}
END_TEST

START_TEST(dots_are_fine_where_they_are_part_of_a_name)
{
    make_directory(at("/home/..a"), 0755, alice);
    make_directory(at("/home/..."), 0755, alice);
    make_directory(at("/home/.b"), 0755, alice);
    make_directory(at("/home/\xc3\xa9 \xf0\x9f\x8f\xa0"), 0755, alice);
    expect_home(at("/home/..a"), at("/home/..a"));
    expect_home(at("/home/..."), at("/home/..."));
    expect_home(at("/home/.b"), at("/home/.b"));
    expect_home(at("/home/\xc3\xa9 \xf0\x9f\x8f\xa0"), at("/home/\xc3\xa9 \xf0\x9f\x8f\xa0"));
}
END_TEST

/* --- one home, many names ---------------------------------------------------------------------------------------- */

START_TEST(a_home_has_one_name_however_it_is_written)
{
    expect_home(at("/home/a"), at("/home/a"));
    expect_home(at("/home/a/"), at("/home/a"));
    expect_home(at("/home//a"), at("/home/a"));
    expect_home(at("/home/./a/."), at("/home/a"));
    make_link("a", at("/home/relative"));
    expect_home(at("/home/relative"), at("/home/a"));
    make_link(at("/home"), at("/absolute"));
    expect_home(at("/absolute/relative/"), at("/home/a"));
    make_link("../home/./a/../relative", at("/home/winding"));
    expect_home(at("/home/winding"), at("/home/a"));
}
END_TEST

START_TEST(a_name_that_looks_deleted_is_a_name_like_any_other)
{
    make_directory(at("/home/b (deleted)"), 0755, alice);
    expect_home(at("/home/b (deleted)"), at("/home/b (deleted)"));
}
END_TEST

START_TEST(a_link_to_what_cannot_be_a_home_is_refused)
{
    make_directory(at("/home/b\nc"), 0755, alice);
    make_link("b\nc", at("/home/newline"));
    expect_refusal(at("/home/newline"), STATUS_INVALID_ARGUMENT,
                   "home leads elsewhere, and there: home has a control character");
    make_directory(at("/home/b\xff"), 0755, alice);
    make_link("b\xff", at("/home/bytes"));
    expect_refusal(at("/home/bytes"), STATUS_INVALID_ARGUMENT, "home leads elsewhere, and there: home is not UTF-8");
}
END_TEST

START_TEST(a_link_to_the_root_is_refused)
{
    struct homes_settings settings = run_by(daemon_user);
    struct home_place place;
    struct status status;

    make_link("/", at("/home/everything"));
    status = ask_with(&settings, at("/home/everything"), 0, &place);
    ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    ck_assert_str_eq(status.message,
                     "home leads elsewhere, and there: home is the root directory, which cannot be one");
}
END_TEST

START_TEST(a_door_of_proc_is_no_path)
{
    struct homes_settings settings = run_by(daemon_user);
    struct home_place place;
    struct status status = ask_with(&settings, "/proc/self/cwd", 0, &place);

    ck_assert_int_eq(status.code, STATUS_NOT_FOUND);
}
END_TEST

/* --- what is no directory ---------------------------------------------------------------------------------------- */

START_TEST(what_is_missing_is_named_where_it_would_be)
{
    expect_missing(at("/home/none"), at("/home/none"));
    expect_missing(at("/home//none/./x/"), at("/home/none/x"));
    expect_refusal(at("/home/none"), STATUS_NOT_FOUND, not_in("/home", "none"));
    expect_refusal(at("/home/none/x"), STATUS_NOT_FOUND, not_in("/home", "none"));
    make_link("home", at("/link"));
    expect_missing(at("/link/none"), at("/home/none"));
    expect_missing(at("/home/a/b/c/d/e/f"), at("/home/a/b/c/d/e/f"));
}
END_TEST

START_TEST(a_file_is_no_home)
{
    int fd = open(at("/home/file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
    give_to(at("/home/file"), alice);
    expect_refusal(at("/home/file"), STATUS_NOT_FOUND, not_in("/home", "file"));
    expect_refusal(at("/home/file/x"), STATUS_NOT_FOUND, not_in("/home", "file"));
    expect_refusal("/dev/null/x", STATUS_PERMISSION_DENIED, not_for(alice));
}
END_TEST

START_TEST(a_link_that_leads_nowhere_is_followed_there)
{
    make_link("none", at("/home/dangling"));
    expect_missing(at("/home/dangling"), at("/home/none"));
    expect_missing(at("/home/dangling/x"), at("/home/none/x"));
    make_link(at("/home/dangling/y"), at("/home/again"));
    expect_missing(at("/home/again"), at("/home/none/y"));
    make_link("none/../a", at("/home/winding"));
    expect_missing(at("/home/winding"), NULL);
}
END_TEST

START_TEST(a_circle_of_links_ends)
{
    make_link("b", at("/home/c"));
    make_link("c", at("/home/b"));
    expect_refusal(at("/home/b"), STATUS_NOT_FOUND, "home: no such directory, but a circle of symbolic links");
    make_link("self/self", at("/home/self"));
    expect_refusal(at("/home/self"), STATUS_NOT_FOUND, "home: no such directory, but a circle of symbolic links");
}
END_TEST

START_TEST(a_name_too_long_for_the_file_system_is_missing)
{
    char name[257];

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_missing(at("/home/%s", name), at("/home/%s", name));
}
END_TEST

/* --- the rules --------------------------------------------------------------------------------------------------- */

START_TEST(a_directory_that_others_can_write_is_refused)
{
    make_directory(at("/home/open"), 0757, alice);
    expect_refusal(at("/home/open"), STATUS_PERMISSION_DENIED,
                   "home is a directory in which others can write (mode 0757)");
    make_directory(at("/home/sticky"), 01777, alice);
    expect_refusal(at("/home/sticky"), STATUS_PERMISSION_DENIED,
                   "home is a directory in which others can write (mode 1777)");
    make_directory(at("/home/group"), 0770, alice);
    expect_home(at("/home/group"), at("/home/group"));
}
END_TEST

/* Who asks, and for what. */
enum peer { PEER_OWNER, PEER_OTHER, PEER_ADMIN, PEER_ROOT, PEER_DAEMON, PEER_COUNT };
static const char *const peer_names[] = {"owner", "other", "admin", "root", "daemon"};

static uint32_t uid_of(enum peer peer, uint32_t daemon_uid)
{
    const uint32_t uids[PEER_COUNT] = {alice, bob, admin, 0, daemon_uid};

    return uids[peer];
}

static void expect_codes(uint32_t daemon_uid, const char *path, const enum status_code expected[PEER_COUNT])
{
    struct homes_settings settings = run_by(daemon_uid);

    for (enum peer peer = PEER_OWNER; peer < PEER_COUNT; peer++) {
        struct home_place place;
        struct status status = ask_with(&settings, path, uid_of(peer, daemon_uid), &place);

        ck_assert_msg(status.code == expected[peer], "%s asks for %s, daemon is %u: %s (%s), not %s", peer_names[peer],
                      path, daemon_uid, status_code_name(status.code), status.message,
                      status_code_name(expected[peer]));
    }
}

static const enum status_code all[] = {STATUS_OK, STATUS_OK, STATUS_OK, STATUS_OK, STATUS_OK};
static const enum status_code all_missing[] = {STATUS_NOT_FOUND, STATUS_NOT_FOUND, STATUS_NOT_FOUND, STATUS_NOT_FOUND,
                                               STATUS_NOT_FOUND};
static const enum status_code own[] = {STATUS_OK, STATUS_PERMISSION_DENIED, STATUS_OK, STATUS_OK, STATUS_OK};
static const enum status_code own_missing[] = {STATUS_NOT_FOUND, STATUS_PERMISSION_DENIED, STATUS_NOT_FOUND,
                                               STATUS_NOT_FOUND, STATUS_NOT_FOUND};

START_TEST(a_home_is_for_its_owner_and_administrators)
{
    expect_codes(daemon_user, at("/home/a"), own);
    expect_codes(daemon_user, at("/home/none"), own_missing);
}
END_TEST

START_TEST(a_home_of_the_daemons_uid_is_for_everybody_admitted)
{
    expect_codes(alice, at("/home/a"), all);
    expect_codes(alice, at("/home/none"), all_missing);
}
END_TEST

START_TEST(only_homes_below_a_root_are_served_to_anybody)
{
    const char *roots[2] = {strdup(at("/home/link")), strdup(at("/home/a"))};
    struct homes_settings settings = run_by(daemon_user);
    const uint32_t uids[] = {alice, admin, 0};

    settings.roots = roots;
    settings.root_count = 2;
    make_directory(at("/home/srv"), 0755, alice);
    make_link("srv", roots[0]);
    make_directory(at("/home/srv/h"), 0755, alice);
    make_directory(at("/home/srv2"), 0755, alice);
    make_directory(at("/home/srv2/h"), 0755, alice);
    make_link("../srv2/h", at("/home/srv/out"));
    make_link("../srv2/none", at("/home/srv/nowhere"));
    make_link("srv/h", at("/home/in"));
    for (size_t i = 0; i < sizeof uids / sizeof uids[0]; i++) {
        const struct {
            const char *path;
            enum status_code code;
        } cases[] = {
            {"/home/srv/h", STATUS_OK},
            {"/home/link/h", STATUS_OK},
            {"/home/in", STATUS_OK},
            {"/home/srv/none", STATUS_NOT_FOUND},
            {"/home/a/none", STATUS_NOT_FOUND},
            {"/home/srv", STATUS_PERMISSION_DENIED}, /* not below */
            {"/home/a", STATUS_PERMISSION_DENIED},
            {"/home/srv2/h", STATUS_PERMISSION_DENIED}, /* a longer name */
            {"/home/srv/out", STATUS_PERMISSION_DENIED},
            {"/home/srv/nowhere", STATUS_PERMISSION_DENIED},
            {"/home/none", STATUS_PERMISSION_DENIED},
            {"/home", STATUS_PERMISSION_DENIED},
        };

        for (size_t j = 0; j < sizeof cases / sizeof cases[0]; j++) {
            struct home_place place;
            struct status status = ask_with(&settings, at("%s", cases[j].path), uids[i], &place);

            ck_assert_msg(status.code == cases[j].code, "uid %u, %s: %s (%s)", uids[i], cases[j].path,
                          status_code_name(status.code), status.message);
            if (status.code == STATUS_PERMISSION_DENIED)
                ck_assert_str_eq(status.message, "home is not below server.homes_root");
        }
    }
    free((char *)roots[0]);
    free((char *)roots[1]);
}
END_TEST

START_TEST(the_root_directory_as_a_root_means_anywhere)
{
    const char *roots[] = {"/"};
    struct homes_settings settings = run_by(daemon_user);
    struct home_place place;
    struct status status;

    settings.roots = roots;
    settings.root_count = 1;
    status = ask_with(&settings, at("/home/a"), alice, &place);
    ck_assert(status_is_ok(&status));
}
END_TEST

START_TEST(a_root_that_is_no_directory_stops_the_start)
{
    const char *roots[] = {at("/none")};
    struct homes_settings settings = {.roots = roots, .root_count = 1};
    struct homes *homes;
    struct status status = homes_create(&settings, &homes);
    char message[STATUS_MESSAGE_SIZE];

    ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    snprintf(message, sizeof message, "server.homes_root: %s: No such file or directory", roots[0]);
    ck_assert_str_eq(status.message, message);
}
END_TEST

START_TEST(administrators_are_root_the_daemon_and_those_named)
{
    uint32_t admins[] = {bob, admin, 7, 9, 8};
    struct homes_settings settings = {.daemon_uid = daemon_user, .admin_uids = admins, .admin_uid_count = 5};
    struct homes *homes;
    struct status status = homes_create(&settings, &homes);

    ck_assert(status_is_ok(&status));
    memset(admins, 0xee, sizeof admins); /* they were copied */
    ck_assert(homes_uid_is_admin(homes, 0));
    ck_assert(homes_uid_is_admin(homes, daemon_user));
    ck_assert(homes_uid_is_admin(homes, bob));
    ck_assert(homes_uid_is_admin(homes, 7));
    ck_assert(homes_uid_is_admin(homes, 8));
    ck_assert(homes_uid_is_admin(homes, 9));
    ck_assert(!homes_uid_is_admin(homes, alice));
    ck_assert(!homes_uid_is_admin(homes, 10));
    homes_destroy(homes, NS_PER_S);
}
END_TEST

/* --- what a peer without the right can tell ---------------------------------------------------------------------- */

static bool is_same(const struct home_identity *one, const struct home_identity *other)
{
    return one->device_major == other->device_major && one->device_minor == other->device_minor &&
           one->inode == other->inode && one->birth_known == other->birth_known && one->birth_s == other->birth_s &&
           one->birth_ns == other->birth_ns && one->owner_uid == other->owner_uid;
}

START_TEST(a_home_is_the_directory_and_not_its_name)
{
    struct homes_settings settings = run_by(daemon_user);
    struct home_place first, again, other;

    make_directory(at("/home/b"), 0755, alice);
    (void)ask_with(&settings, at("/home/a"), alice, &first);
    (void)ask_with(&settings, at("/home/b"), alice, &other);
    ck_assert(!is_same(&first.identity, &other.identity));
    ck_assert_int_eq(rename(at("/home/a"), at("/home/c")), 0);
    (void)ask_with(&settings, at("/home/c"), alice, &again);
    ck_assert(is_same(&first.identity, &again.identity));
    make_directory(at("/home/a"), 0755, alice);
    (void)ask_with(&settings, at("/home/a"), alice, &again);
    ck_assert(!is_same(&first.identity, &again.identity));
}
END_TEST

/* Bob hears the same of both, byte for byte. */
static void expect_same(uint32_t daemon_uid, const char *existing, const char *missing)
{
    struct homes_settings settings = run_by(daemon_uid);
    struct home_place place;
    struct status there = ask_with(&settings, existing, bob, &place), not_there;

    ck_assert_int_eq(place.missing, false);
    ck_assert_str_eq(place.canonical, "");
    not_there = ask_with(&settings, missing, bob, &place);
    ck_assert_int_eq(place.missing, false);
    ck_assert_str_eq(place.canonical, "");
    ck_assert_int_eq(there.code, STATUS_PERMISSION_DENIED);
    ck_assert_int_eq(not_there.code, STATUS_PERMISSION_DENIED);
    ck_assert_uint_eq(there.retry_after_ms, not_there.retry_after_ms);
    ck_assert_str_eq(there.message, not_there.message);
}

START_TEST(without_the_right_missing_and_existing_are_the_same)
{
    char inside[PATH_SIZE];

    make_directory(at("/home/a/b"), 0755, alice);
    make_directory(at("/home/open"), 0777, alice);
    make_directory(at("/bobs"), 0700, bob);
    make_link(at("/home/a"), at("/bobs/there"));
    make_link(at("/home/none"), at("/bobs/not_there"));
    make_link(at("/home/none/none"), at("/bobs/not_there_either"));
    if (geteuid() == 0) {
        give_to(at("/bobs/there"), bob);
        give_to(at("/bobs/not_there"), bob);
        give_to(at("/bobs/not_there_either"), bob);
    }
    strcpy(inside, at("/home/a"));
    for (int daemon_is_root = 0; daemon_is_root < 2; daemon_is_root++) {
        uint32_t daemon_uid = daemon_is_root ? 0 : daemon_user;

        expect_same(daemon_uid, at("/home"), at("/home/none"));
        expect_same(daemon_uid, inside, at("/home/none"));
        expect_same(daemon_uid, inside, at("/home/none/none"));
        expect_same(daemon_uid, inside, at("/home/a/none"));
        expect_same(daemon_uid, at("/home/a/b"), at("/home/a/none"));
        expect_same(daemon_uid, at("/home/open"), at("/home/none"));
        expect_same(daemon_uid, at("/bobs/there"), at("/bobs/not_there"));
        expect_same(daemon_uid, at("/bobs/there"), at("/bobs/not_there_either"));
    }
}
END_TEST

START_TEST(behind_a_private_directory_it_is_the_same)
{
    ck_assert_int_eq(chmod(at("/home"), 0700), 0);
    make_directory(at("/home/bobs"), 0755, bob); /* his, but behind alice's door */
    expect_same(0, at("/home/bobs"), at("/home/none"));
    expect_same(0, at("/home/bobs"), at("/home/none/none"));
    expect_same(0, at("/home/bobs"), at("/home"));
}
END_TEST

/* --- run by root ------------------------------------------------------------------------------------------------- */

static const enum status_code nobody_else[] = {STATUS_PERMISSION_DENIED, STATUS_PERMISSION_DENIED, STATUS_OK, STATUS_OK,
                                               STATUS_OK};

START_TEST(run_by_root_a_home_of_root_is_not_for_everybody)
{
    expect_codes(0, at("/home/a"), own);
    expect_codes(0, at("/home/none"), own_missing);
    make_directory(at("/roots"), 0755, 0);
    expect_codes(0, at("/roots"), nobody_else);
}
END_TEST

START_TEST(run_by_root_a_path_is_walked_with_the_peers_rights)
{
    make_directory(at("/private"), 0700, bob);
    make_directory(at("/private/alices"), 0755, alice);
    expect_codes(0, at("/private/alices"), nobody_else);
    ck_assert_int_eq(chmod(at("/private"), 0711), 0);
    expect_codes(0, at("/private/alices"), own);
    ck_assert_int_eq(setfsuid((uid_t)-1), 0); /* given back */
    ck_assert_int_eq(setfsgid((gid_t)-1), 0);
}
END_TEST

START_TEST(not_run_by_root_it_is_walked_with_the_daemons_rights)
{
    make_directory(at("/private"), 0700, bob);
    make_directory(at("/private/alices"), 0755, alice);
    expect_codes(daemon_user, at("/private/alices"), own); /* this process is root and may pass */
}
END_TEST

START_TEST(run_by_root_the_peers_primary_group_counts)
{
    const struct passwd *entry;
    struct homes_settings settings = run_by(0);
    struct home_place place;
    struct status status;

    setpwent();
    do {
        entry = getpwent();
        ck_assert_msg(entry != NULL, "this machine has no user but root");
    } while (entry->pw_uid == 0 || entry->pw_gid == 0);
    make_directory(at("/grouped"), 0750, 0);
    ck_assert_int_eq(chown(at("/grouped"), 0, entry->pw_gid), 0);
    make_directory(at("/grouped/h"), 0755, entry->pw_uid);
    status = ask_with(&settings, at("/grouped/h"), entry->pw_uid, &place);
    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    ck_assert_int_eq(chmod(at("/grouped"), 0700), 0);
    status = ask_with(&settings, at("/grouped/h"), entry->pw_uid, &place);
    ck_assert_int_eq(status.code, STATUS_PERMISSION_DENIED);
    endpwent();
}
END_TEST

/* Behind this directory there is a home of alice's: can she walk there with these groups? */
static bool can_pass(const char *directory, gid_t primary, const gid_t *others, size_t other_count)
{
    struct rights_groups *groups = rights_groups_make(primary, others, other_count), *daemons = rights_groups_own();
    struct walk_rules rules_of_root = {.far_socket = -1, .as_peer = true, .own_groups = daemons};
    struct walk_request request = {.path = at("%s/h", directory), .uid = alice, .groups = groups};
    struct walk_result result;

    ck_assert_ptr_nonnull(groups);
    ck_assert_ptr_nonnull(daemons);
    ck_assert(walk_home(&rules_of_root, &request, &result));
    if (result.fd >= 0)
        close(result.fd);
    rights_groups_release(groups);
    rights_groups_release(daemons);
    return status_is_ok(&result.status);
}

START_TEST(run_by_root_the_peers_other_groups_count_and_the_daemons_do_not)
{
    enum { PEERS = 10101, DAEMONS = 10102, NEITHERS = 10103 };
    const gid_t peers[] = {10104, PEERS}, daemons[] = {DAEMONS, 10105};
    gid_t after[4];

    ck_assert_int_eq(setgroups(2, daemons), 0);
    make_directory(at("/peers"), 0750, 0);
    ck_assert_int_eq(chown(at("/peers"), 0, PEERS), 0);
    make_directory(at("/peers/h"), 0755, alice);
    make_directory(at("/daemons"), 0750, 0);
    ck_assert_int_eq(chown(at("/daemons"), 0, DAEMONS), 0);
    make_directory(at("/daemons/h"), 0755, alice);

    ck_assert(can_pass("/peers", NEITHERS, peers, 2));
    ck_assert(can_pass("/peers", PEERS, NULL, 0));
    ck_assert(!can_pass("/peers", NEITHERS, NULL, 0));
    ck_assert(!can_pass("/daemons", NEITHERS, peers, 2));
    ck_assert_int_eq(getgroups(4, after), 2); /* given back */
    ck_assert_mem_eq(after, daemons, sizeof daemons);
}
END_TEST

START_TEST(the_groups_of_a_uid_are_those_of_the_user_database)
{
    struct rights_groups *nobodys = rights_groups_look_up(4000000000), *roots = rights_groups_look_up(0);

    ck_assert_uint_eq(rights_groups_primary(nobodys), 65534);
    ck_assert_uint_eq(rights_groups_primary(roots), 0);
    rights_groups_release(nobodys);
    rights_groups_release(roots);
}
END_TEST

START_TEST(a_directory_of_ones_own_that_may_not_be_searched_is_said_to_be_so)
{
    char message[STATUS_MESSAGE_SIZE];
    struct homes_settings settings = run_by(0);
    struct home_place place;
    struct status status;

    make_directory(at("/shut"), 0600, alice);
    make_directory(at("/shut/h"), 0755, alice);
    status = ask_with(&settings, at("/shut/h"), alice, &place);
    ck_assert_int_eq(status.code, STATUS_PERMISSION_DENIED);
    snprintf(message, sizeof message, "home is behind a directory that may not be searched: %s", at("/shut"));
    ck_assert_str_eq(status.message, message);
}
END_TEST

/* Homes of several owners, and rights to give away: only root can make these. */
static TCase *create_by_root(void)
{
    TCase *by_root = tcase_create("run by root");

    tcase_add_checked_fixture(by_root, set_up, tear_down);
    tcase_add_test(by_root, behind_a_private_directory_it_is_the_same);
    tcase_add_test(by_root, run_by_root_a_home_of_root_is_not_for_everybody);
    tcase_add_test(by_root, run_by_root_a_path_is_walked_with_the_peers_rights);
    tcase_add_test(by_root, not_run_by_root_it_is_walked_with_the_daemons_rights);
    tcase_add_test(by_root, run_by_root_the_peers_primary_group_counts);
    tcase_add_test(by_root, run_by_root_the_peers_other_groups_count_and_the_daemons_do_not);
    tcase_add_test(by_root, the_groups_of_a_uid_are_those_of_the_user_database);
    tcase_add_test(by_root, a_directory_of_ones_own_that_may_not_be_searched_is_said_to_be_so);
    return by_root;
}

int main(void)
{
    Suite *suite = suite_create("homes");
    TCase *names = tcase_create("names"), *rules = tcase_create("rules");

    tcase_add_checked_fixture(names, set_up, tear_down);
    tcase_add_checked_fixture(rules, set_up, tear_down);

    tcase_add_test(names, a_scope_has_its_directories_and_what_lies_below);
    tcase_add_test(names, a_malformed_path_is_refused_on_the_spot);
    tcase_add_test(names, a_path_has_at_most_4095_bytes);
    tcase_add_test(names, dots_are_fine_where_they_are_part_of_a_name);
    tcase_add_test(names, a_home_has_one_name_however_it_is_written);
    tcase_add_test(names, a_name_that_looks_deleted_is_a_name_like_any_other);
    tcase_add_test(names, a_link_to_what_cannot_be_a_home_is_refused);
    tcase_add_test(names, a_link_to_the_root_is_refused);
    tcase_add_test(names, a_door_of_proc_is_no_path);
    tcase_add_test(names, what_is_missing_is_named_where_it_would_be);
    tcase_add_test(names, a_file_is_no_home);
    tcase_add_test(names, a_link_that_leads_nowhere_is_followed_there);
    tcase_add_test(names, a_circle_of_links_ends);
    tcase_add_test(names, a_name_too_long_for_the_file_system_is_missing);

    tcase_add_test(rules, a_directory_that_others_can_write_is_refused);
    tcase_add_test(rules, a_home_is_for_its_owner_and_administrators);
    tcase_add_test(rules, a_home_of_the_daemons_uid_is_for_everybody_admitted);
    tcase_add_test(rules, only_homes_below_a_root_are_served_to_anybody);
    tcase_add_test(rules, the_root_directory_as_a_root_means_anywhere);
    tcase_add_test(rules, a_root_that_is_no_directory_stops_the_start);
    tcase_add_test(rules, administrators_are_root_the_daemon_and_those_named);
    tcase_add_test(rules, a_home_is_the_directory_and_not_its_name);
    tcase_add_test(rules, without_the_right_missing_and_existing_are_the_same);

    suite_add_tcase(suite, names);
    suite_add_tcase(suite, rules);
    if (geteuid() == 0)
        suite_add_tcase(suite, create_by_root());
    return check_main(suite);
}
