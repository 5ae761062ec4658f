/* The walk, see walk.h: open, look, judge; where nothing is to be opened, find what decides instead. */
#include "server/homes/walk.h"

#include "proto/utf8.h"
#include "server/homes/far_walk.h"
#include "server/homes/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LINK_COUNT_MAX = 40, /* as the kernel's MAXSYMLINKS */
    SHOWN_SIZE_MAX = 80  /* of a path or name in a message */
};

/* Behind the name of a directory that is gone (proc(5), /proc/<pid>/fd). */
static const char DELETED[] = " (deleted)";

struct walk {
    const struct walk_rules *rules;
    const struct walk_request *request;
    bool would_block;
    bool refused; /* refuse_peer spoke */
};

/* What is known of an open directory. */
struct facts {
    struct home_identity identity;
    mode_t mode;
    char canonical[LIMIT_HOME_SIZE_MAX + 1];
};

/* --- rights ------------------------------------------------------------------------------------------------------ */

static int compare_uids(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

bool walk_uid_is_admin(const struct walk_rules *rules, uint32_t uid)
{
    if (uid == 0 || uid == rules->daemon_uid)
        return true;
    return rules->admin_uid_count > 0 &&
           bsearch(&uid, rules->admin_uids, rules->admin_uid_count, sizeof uid, compare_uids) != NULL;
}

static bool may_use(const struct walk *walk, uint32_t owner_uid)
{
    const struct walk_rules *rules = walk->rules;

    return walk_uid_is_admin(rules, walk->request->uid) || owner_uid == walk->request->uid ||
           (!rules->as_peer && rules->daemon_uid != 0 && owner_uid == rules->daemon_uid);
}

/* Root's and administrators' paths are walked as what this process is. */
static bool walks_as_peer(const struct walk *walk)
{
    return walk->rules->as_peer && !walk_uid_is_admin(walk->rules, walk->request->uid);
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

/* The descriptor, or -1 with errno.  EAGAIN: it would block.  Links of /proc that are doors rather than paths stay
 * shut: they would lead to where this process is, not the peer. */
static int walk_open(struct walk *walk, int at_fd, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(O_PATH | O_CLOEXEC | flags), .resolve = RESOLVE_NO_MAGICLINKS};
    long fd;

    if (walk->request->cached_only)
        how.resolve |= RESOLVE_CACHED;
    do {
        fd = syscall(SYS_openat2, at_fd, path, &how, sizeof how);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return (int)fd;
    /* A kernel before 5.12, or one where openat2 is filtered, cannot tell what would block. */
    if (errno == ENOSYS || errno == EINVAL || errno == EPERM || errno == E2BIG) {
        if (!walk->request->cached_only)
            return openat(at_fd, path, O_PATH | O_CLOEXEC | flags);
        errno = EAGAIN;
    }
    if (errno == EAGAIN && walk->request->cached_only)
        walk->would_block = true;
    return -1;
}

/* /proc names a descriptor's directory; " (deleted)" may be the end of its name, or mean that it is gone. */
static bool is_gone(struct walk *walk, const struct statx *known, const char *canonical)
{
    size_t size = strlen(canonical), mark_size = sizeof DELETED - 1;
    struct statx found;
    bool same;
    int fd;

    if (size < mark_size || strcmp(canonical + size - mark_size, DELETED) != 0)
        return false;
    fd = walk_open(walk, AT_FDCWD, canonical, O_DIRECTORY);
    if (fd < 0)
        return true;
    same = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &found) == 0 &&
           found.stx_ino == known->stx_ino && found.stx_dev_major == known->stx_dev_major &&
           found.stx_dev_minor == known->stx_dev_minor;
    close(fd);
    return !same;
}

/* False with errno: ENOENT when the directory is gone or cannot be named from here. */
static bool look(struct walk *walk, int fd, struct facts *facts_out)
{
    unsigned sync = walk->request->cached_only ? AT_STATX_DONT_SYNC : AT_STATX_SYNC_AS_STAT;
    struct statx known;
    char door[40];
    ssize_t size;

    if (statx(fd, "", (int)(AT_EMPTY_PATH | sync), STATX_MODE | STATX_UID | STATX_INO | STATX_BTIME, &known) != 0)
        return false;
    snprintf(door, sizeof door, "/proc/self/fd/%d", fd);
    size = readlink(door, facts_out->canonical, sizeof facts_out->canonical);
    if (size < 0)
        return false;
    if ((size_t)size == sizeof facts_out->canonical) {
        errno = ENAMETOOLONG;
        return false;
    }
    facts_out->canonical[size] = '\0';
    if (facts_out->canonical[0] != '/' || is_gone(walk, &known, facts_out->canonical)) {
        errno = ENOENT;
        return false;
    }
    facts_out->identity = (struct home_identity){
        .device_major = known.stx_dev_major,
        .device_minor = known.stx_dev_minor,
        .inode = known.stx_ino,
        .birth_known = (known.stx_mask & STATX_BTIME) != 0,
        .birth_s = known.stx_btime.tv_sec,
        .birth_ns = known.stx_btime.tv_nsec,
        .owner_uid = known.stx_uid,
    };
    facts_out->mode = known.stx_mode;
    return true;
}

/* --- judging ----------------------------------------------------------------------------------------------------- */

/* The same for what exists and what does not: it names neither. */
static struct status refuse_peer(struct walk *walk)
{
    walk->refused = true;
    return status_make(STATUS_PERMISSION_DENIED,
                       "home is not for uid %u: its owner may use it, and administrators (server.admin_uids)",
                       (unsigned)walk->request->uid);
}

static bool is_scarcity(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* The system's own trouble: nothing was learnt. */
static struct status refuse_for(int error)
{
    return status_make(is_scarcity(error) ? STATUS_RESOURCE_EXHAUSTED : STATUS_UNAVAILABLE,
                       "home cannot be looked at: %s", strerror(error));
}

static bool is_below_a_root(const struct walk_rules *rules, const char *canonical)
{
    for (size_t i = 0; i < rules->root_count; i++) {
        if (home_path_is_below(canonical, rules->roots[i]))
            return true;
    }
    return rules->root_count == 0;
}

/* Rights first: what comes after them is for the eyes of those who have them. */
static struct status judge(struct walk *walk, const struct facts *facts)
{
    struct status status;

    if (!may_use(walk, facts->identity.owner_uid))
        return refuse_peer(walk);
    status = home_path_check(facts->canonical);
    if (!status_is_ok(&status))
        return status_make(STATUS_INVALID_ARGUMENT, "home leads elsewhere, and there: %s", status.message);
    if (!is_below_a_root(walk->rules, facts->canonical))
        return status_make(STATUS_PERMISSION_DENIED, "home is not below server.homes_root");
    if ((facts->mode & S_IWOTH) != 0)
        return status_make(STATUS_PERMISSION_DENIED, "home is a directory in which others can write (mode %04o)",
                           facts->mode & 07777U);
    return status_ok();
}

/* --- what leads nowhere ------------------------------------------------------------------------------------------ */

/* A path that leads nowhere, cut in two. */
struct dead_end {
    char path[LIMIT_HOME_SIZE_MAX + 1];
    struct home_components components;
    size_t there; /* so many components lead to a directory */
    int fd;       /* that directory */
};

/* The first `count` components, opened. */
static int open_prefix(struct walk *walk, struct dead_end *end, size_t count)
{
    size_t cut = count == 0 ? 1 : end->components.at[count - 1].end;
    char kept = end->path[cut];
    int fd;

    end->path[cut] = '\0';
    fd = walk_open(walk, AT_FDCWD, end->path, O_DIRECTORY);
    end->path[cut] = kept;
    return fd;
}

/* Finds the nearest existing directory above: of a path's beginnings those that lead to a directory come first, so that
 * halving finds the last of them in a dozen steps.  False: would block, or errno. */
static bool find_nearest(struct walk *walk, struct dead_end *end)
{
    size_t beyond;

    home_path_split(end->path, &end->components);
    beyond = end->components.count;
    end->there = 0;
    end->fd = open_prefix(walk, end, 0);
    while (end->fd >= 0 && beyond - end->there > 1) {
        size_t middle = end->there + (beyond - end->there) / 2;
        int fd = open_prefix(walk, end, middle);

        if (fd >= 0) {
            close(end->fd);
            end->fd = fd;
            end->there = middle;
        } else if (walk->would_block || is_scarcity(errno)) {
            int error = errno;

            close(end->fd);
            errno = error;
            return false;
        } else {
            beyond = middle;
        }
    }
    return end->fd >= 0;
}

/* What comes behind `there`, with its slashes. */
static const char *rest_behind(const struct dead_end *end, size_t there)
{
    return there < end->components.count ? end->path + end->components.at[there].start : "";
}

/* When what comes next is a symbolic link, rewrites the path to where that leads: the link's target, and the rest. */
static bool follow_link(struct walk *walk, struct dead_end *end, const struct facts *facts)
{
    struct home_component next;
    char name[LIMIT_HOME_SIZE_MAX + 1], target[LIMIT_HOME_SIZE_MAX + 1], path[2 * LIMIT_HOME_SIZE_MAX];
    ssize_t size;
    int fd;

    if (end->there == end->components.count)
        return false;
    next = end->components.at[end->there];
    snprintf(name, sizeof name, "%.*s", (int)(next.end - next.start), end->path + next.start);
    fd = walk_open(walk, end->fd, name, O_NOFOLLOW);
    if (fd < 0)
        return false;
    if (walk->request->cached_only) {
        struct statx known;

        /* Reading a link may block; anything else ends the search. */
        walk->would_block =
            statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &known) != 0 || S_ISLNK(known.stx_mode);
        close(fd);
        return false;
    }
    size = readlinkat(fd, "", target, sizeof target - 1);
    close(fd);
    if (size <= 0) /* no link */
        return false;
    target[size] = '\0';
    size = snprintf(path, sizeof path, "%s%s%s/%s", target[0] == '/' ? "" : facts->canonical,
                    target[0] == '/' ? "" : "/", target, rest_behind(end, end->there + 1));
    if (size < 0 || (size_t)size >= sizeof end->path)
        return false;
    memcpy(end->path, path, (size_t)size + 1);
    return true;
}

/* The name it would have: the directory that is there, and the rest.  False when there is none. */
static bool name_missing(const struct dead_end *end, const struct facts *facts, struct home_place *place_out)
{
    size_t size = strlen(strcpy(place_out->canonical, facts->canonical));
    struct status status;

    if (size == 1) /* "/" */
        size = 0;
    for (size_t i = end->there; i < end->components.count; i++) {
        struct home_component component = end->components.at[i];
        size_t component_size = (size_t)(component.end - component.start);

        if (size + 1 + component_size > LIMIT_HOME_SIZE_MAX)
            return false;
        place_out->canonical[size] = '/';
        memcpy(place_out->canonical + size + 1, end->path + component.start, component_size);
        size += 1 + component_size;
    }
    place_out->canonical[size] = '\0';
    status = home_path_check(place_out->canonical); /* a link's target may hold anything, ".." for one */
    return status_is_ok(&status);
}

/* As much of a path or name as a message has room for. */
static int shown_size(const char *text, size_t size)
{
    return (int)utf8_clip(text, size < SHOWN_SIZE_MAX ? size : SHOWN_SIZE_MAX);
}

/* Where it breaks off, for those who have the right to what is there.  `place` says whether that can be said. */
static struct status say_missing(const struct dead_end *end, const struct facts *facts, const struct home_place *place)
{
    const char *name = rest_behind(end, end->there);
    size_t name_size = strcspn(name, "/");

    if (!place->missing || name_size == 0)
        return status_make(STATUS_NOT_FOUND, "home: no such directory");
    return status_make(STATUS_NOT_FOUND, "home: no such directory: there is no directory \"%.*s\" in %.*s",
                       shown_size(name, name_size), name, shown_size(facts->canonical, strlen(facts->canonical)),
                       facts->canonical);
}

static struct status judge_missing(struct walk *walk, const struct dead_end *end, const struct facts *facts, int error,
                                   struct home_place *place_out)
{
    if (!may_use(walk, facts->identity.owner_uid))
        return refuse_peer(walk);
    place_out->missing = name_missing(end, facts, place_out);
    if (!place_out->missing)
        place_out->canonical[0] = '\0';
    if (place_out->missing ? !is_below_a_root(walk->rules, place_out->canonical) : walk->rules->root_count > 0)
        return status_make(STATUS_PERMISSION_DENIED, "home is not below server.homes_root");
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return say_missing(end, facts, place_out);
    case ELOOP:
        return status_make(STATUS_NOT_FOUND, "home: no such directory, but a circle of symbolic links");
    case EACCES:
        return status_make(STATUS_PERMISSION_DENIED, "home is behind a directory that may not be searched: %.*s",
                           shown_size(facts->canonical, strlen(facts->canonical)), facts->canonical);
    default:
        return refuse_for(error);
    }
}

/* `error` is why the path could not be opened. */
static struct status decide_missing(struct walk *walk, int error, struct home_place *place_out)
{
    struct dead_end end;
    struct facts facts;
    struct status status;

    strcpy(end.path, walk->request->path);
    for (int link_count = 0;; link_count++) {
        if (!find_nearest(walk, &end))
            return refuse_for(errno);
        if (!look(walk, end.fd, &facts)) {
            status = refuse_for(errno);
            break;
        }
        if (link_count == LINK_COUNT_MAX || !follow_link(walk, &end, &facts)) {
            status = judge_missing(walk, &end, &facts, error, place_out);
            break;
        }
        close(end.fd);
    }
    close(end.fd);
    return status;
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static void decide(struct walk *walk, struct walk_result *result)
{
    struct facts facts;
    int fd = walk_open(walk, AT_FDCWD, walk->request->path, O_DIRECTORY);

    if (fd >= 0 && look(walk, fd, &facts)) {
        result->status = judge(walk, &facts);
        if (status_is_ok(&result->status)) {
            strcpy(result->place.canonical, facts.canonical);
            result->place.identity = facts.identity;
            result->fd = fd;
            return;
        }
        close(fd);
        return;
    }
    if (fd >= 0) {
        int error = errno;

        close(fd);
        errno = error;
    }
    if (walk->would_block)
        return;
    result->status = is_scarcity(errno) ? refuse_for(errno) : decide_missing(walk, errno, &result->place);
}

bool walk_home(const struct walk_rules *rules, const struct walk_request *request, struct walk_result *result_out)
{
    struct walk walk = {.rules = rules, .request = request};
    bool as_peer = walks_as_peer(&walk);
    struct rights rights;

    result_out->place.canonical[0] = '\0';
    result_out->place.missing = false;
    result_out->fd = -1;
    result_out->refused = false;
    if (rules->far_socket >= 0) {
        if (!request->cached_only)
            far_walk(rules->far_socket, request, result_out);
        return !request->cached_only;
    }
    if (as_peer && !rights_take(request->uid, request->groups, rules->own_groups, &rights)) {
        result_out->status =
            status_make(STATUS_INTERNAL, "the rights of uid %u cannot be taken", (unsigned)request->uid);
        return true;
    }
    decide(&walk, result_out);
    result_out->refused = walk.refused;
    if (as_peer)
        rights_give_back(&rights);
    return !walk.would_block;
}

/* --- rules ------------------------------------------------------------------------------------------------------- */

void walk_rules_fini(struct walk_rules *rules)
{
    for (size_t i = 0; i < rules->root_count; i++)
        free(rules->roots[i]);
    free(rules->roots);
    free(rules->admin_uids);
    rights_groups_release(rules->own_groups);
}

static struct status no_memory(void)
{
    return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the rules of homes");
}

static struct status add_roots(const struct homes_settings *settings, struct walk_rules *rules)
{
    for (size_t i = 0; i < settings->root_count; i++) {
        char canonical[LIMIT_HOME_SIZE_MAX + 1];
        struct status status = walk_root(settings->roots[i], canonical);

        if (!status_is_ok(&status))
            return status;
        rules->roots[i] = strdup(canonical);
        if (rules->roots[i] == NULL)
            return no_memory();
        rules->root_count = i + 1;
    }
    return status_ok();
}

struct status walk_rules_init(const struct homes_settings *settings, struct walk_rules *rules)
{
    *rules = (struct walk_rules){.daemon_uid = settings->daemon_uid, .far_socket = -1};
    if (settings->far_socket_given)
        rules->far_socket = settings->far_socket;
    rules->as_peer = geteuid() == 0 && rules->far_socket < 0 && (settings->daemon_uid == 0 || settings->run_by_root);
    rules->admin_uids = calloc(settings->admin_uid_count + 1, sizeof *rules->admin_uids);
    rules->roots = calloc(settings->root_count + 1, sizeof *rules->roots);
    if (rules->as_peer)
        rules->own_groups = rights_groups_own();
    if (rules->admin_uids == NULL || rules->roots == NULL || (rules->as_peer && rules->own_groups == NULL))
        return no_memory();
    for (size_t i = 0; i < settings->admin_uid_count; i++)
        rules->admin_uids[i] = settings->admin_uids[i];
    rules->admin_uid_count = settings->admin_uid_count;
    qsort(rules->admin_uids, rules->admin_uid_count, sizeof *rules->admin_uids, compare_uids);
    return add_roots(settings, rules);
}

struct status walk_root(const char *path, char canonical_out[LIMIT_HOME_SIZE_MAX + 1])
{
    struct walk_rules rules = {.far_socket = -1};
    struct walk_request request = {.path = path};
    struct walk walk = {.rules = &rules, .request = &request};
    struct facts facts;
    int fd = walk_open(&walk, AT_FDCWD, path, O_DIRECTORY);

    if (fd < 0 || !look(&walk, fd, &facts)) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        return status_make(STATUS_INVALID_ARGUMENT, "server.homes_root: %s: %s", path, strerror(error));
    }
    close(fd);
    strcpy(canonical_out, facts.canonical);
    return status_ok();
}
