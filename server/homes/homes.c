/* Homes, see homes.h: what is remembered, else a look at once, else a look on a resolver thread.
 *
 * path.c     what a path may be                        memory.c     what was found lately
 * walk.c     whose it is, and its one name             resolvers.c  the threads that may block */
#include "server/homes/homes.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/homes/homes_internal.h"
#include "server/homes/memory.h"
#include "server/homes/path.h"
#include "server/homes/resolvers.h"
#include "server/homes/walk.h"
#include "server/threads/lock.h"

#include <errno.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    USER_SIZE_MIN = 4096,   /* of an entry among the users */
    USER_SIZE_MAX = 262144, /* a larger one counts as none */
    GROUP_OF_NOBODY = 65534,
};

struct homes {
    atomic_uint holders; /* the creator and each job */

    /* fixed at create */
    struct walk_rules rules;
    walk_function *walk;
    struct resolvers *resolvers; /* owned by the creator's hold: no job touches it */

    struct lock lock;

    /* guarded by lock */
    struct homes_memory memory;
};

/* What a resolver thread is asked for: resolve (`resolved`), or pin (`pinned`). */
struct job {
    struct resolver_job job; /* first: one is the other */
    struct homes *homes;     /* shared */
    homes_resolved *resolved;
    homes_pinned *pinned;
    void *context;
    struct homes_ticket ticket;
    struct walk_result *result; /* owned, made by work; NULL: memory was short */
    char path[];
};

/* --- create, destroy --------------------------------------------------------------------------------------------- */

static void fini_rules(struct walk_rules *rules)
{
    for (size_t i = 0; i < rules->root_count; i++)
        free(rules->roots[i]);
    free(rules->roots);
    free(rules->admin_uids);
}

static void homes_release(struct homes *homes)
{
    if (atomic_fetch_sub(&homes->holders, 1) > 1)
        return;
    fini_rules(&homes->rules);
    homes_memory_fini(&homes->memory);
    lock_fini(&homes->lock);
    free(homes);
}

static struct homes *homes_share(struct homes *homes)
{
    atomic_fetch_add(&homes->holders, 1);
    return homes;
}

static struct status no_memory(void)
{
    return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to look at a home");
}

/* Copies: a walk that hangs may look at them after the settings are gone. */
static struct status init_rules(const struct homes_settings *settings, struct walk_rules *rules)
{
    struct status status = status_ok();

    rules->daemon_uid = settings->daemon_uid;
    rules->as_peer = settings->daemon_uid == 0 && geteuid() == 0;
    rules->admin_uids = calloc(settings->admin_uid_count + 1, sizeof *rules->admin_uids);
    rules->roots = calloc(settings->root_count + 1, sizeof *rules->roots);
    if (rules->admin_uids == NULL || rules->roots == NULL)
        return no_memory();
    for (size_t i = 0; i < settings->admin_uid_count; i++)
        rules->admin_uids[i] = settings->admin_uids[i];
    rules->admin_uid_count = settings->admin_uid_count;
    walk_rules_sort(rules);
    for (size_t i = 0; i < settings->root_count && status_is_ok(&status); i++) {
        char canonical[LIMIT_HOME_SIZE_MAX + 1];

        status = walk_root(settings->roots[i], canonical);
        if (!status_is_ok(&status))
            break;
        rules->roots[i] = strdup(canonical);
        if (rules->roots[i] == NULL)
            return no_memory();
        rules->root_count = i + 1;
    }
    return status;
}

struct status homes_create_walking(const struct homes_settings *settings, walk_function *walk, struct homes **homes_out)
{
    struct homes *homes = calloc(1, sizeof *homes);
    struct status status;

    if (homes == NULL)
        return no_memory();
    atomic_init(&homes->holders, 1);
    homes->walk = walk;
    lock_init(&homes->lock, "homes");
    homes_memory_init(&homes->memory);
    status = init_rules(settings, &homes->rules);
    if (status_is_ok(&status))
        status = resolvers_create(&homes->resolvers);
    if (status_is_ok(&status))
        *homes_out = homes;
    else
        homes_release(homes);
    return status;
}

struct status homes_create(const struct homes_settings *settings, struct homes **homes_out)
{
    return homes_create_walking(settings, walk_home, homes_out);
}

void homes_destroy(struct homes *homes, uint64_t wait_ns)
{
    if (homes == NULL)
        return;
    resolvers_destroy(homes->resolvers, wait_ns);
    homes_release(homes);
}

bool homes_uid_is_admin(const struct homes *homes, uint32_t uid)
{
    return walk_uid_is_admin(&homes->rules, uid);
}

/* --- what a walk needs, and what it leaves ----------------------------------------------------------------------- */

/* Whether this uid's paths are walked with its rights, which takes its group. */
static bool needs_group(const struct homes *homes, uint32_t uid)
{
    return homes->rules.as_peer && !walk_uid_is_admin(&homes->rules, uid);
}

/* The primary group among the users; nobody's when there is none.  Blocks as the machine's name service does. */
static gid_t look_up_group(uint32_t uid)
{
    gid_t gid = GROUP_OF_NOBODY;

    lock_assert_none();
    for (size_t size = USER_SIZE_MIN; size <= USER_SIZE_MAX; size *= 4) {
        struct passwd entry, *found = NULL;
        char *memory = malloc(size);
        int error = memory == NULL ? ENOMEM : getpwuid_r(uid, &entry, memory, size, &found);

        if (error == 0 && found != NULL)
            gid = entry.pw_gid;
        free(memory);
        if (error != ERANGE)
            break;
    }
    return gid;
}

static gid_t find_group(struct homes *homes, uint32_t uid)
{
    uint64_t now_ns = clock_now_ns();
    gid_t gid;
    bool known;

    lock_acquire(&homes->lock);
    known = homes_memory_find_group(&homes->memory, uid, now_ns, &gid);
    lock_release(&homes->lock);
    if (known)
        return gid;
    gid = look_up_group(uid);
    lock_acquire(&homes->lock);
    homes_memory_keep_group(&homes->memory, uid, now_ns, gid);
    lock_release(&homes->lock);
    return gid;
}

/* Refusals are worth remembering, the system's own trouble is not. */
static bool is_about_the_path(enum status_code code)
{
    return code == STATUS_OK || code == STATUS_NOT_FOUND || code == STATUS_PERMISSION_DENIED ||
           code == STATUS_INVALID_ARGUMENT;
}

static void remember(struct homes *homes, const char *path, uint32_t uid, uint64_t walked_ns,
                     const struct walk_result *result)
{
    if (!is_about_the_path(result->status.code))
        return;
    lock_acquire(&homes->lock);
    homes_memory_keep_place(&homes->memory, path, uid, walked_ns, &result->place, &result->status);
    lock_release(&homes->lock);
}

static void close_result(struct walk_result *result)
{
    if (result->fd >= 0)
        close(result->fd);
    result->fd = -1;
}

/* --- now --------------------------------------------------------------------------------------------------------- */

bool homes_resolve_now(struct homes *homes, const char *path, uint32_t uid, uint64_t now_ns,
                       struct home_place *place_out, struct status *status_out)
{
    struct status status = home_path_check(path);
    struct walk_request request = {.path = path, .uid = uid, .cached_only = true};
    struct walk_result result;
    bool known, walkable;

    place_out->canonical[0] = '\0';
    place_out->missing = false;
    if (!status_is_ok(&status)) {
        *status_out = status;
        return true;
    }
    lock_acquire(&homes->lock);
    known = homes_memory_find_place(&homes->memory, path, uid, now_ns, place_out, status_out);
    walkable =
        !known && (!needs_group(homes, uid) || homes_memory_find_group(&homes->memory, uid, now_ns, &request.gid));
    lock_release(&homes->lock);
    if (known || !walkable)
        return known;
    if (!homes->walk(&homes->rules, &request, &result))
        return false;
    close_result(&result);
    remember(homes, path, uid, now_ns, &result);
    *place_out = result.place;
    *status_out = result.status;
    return true;
}

/* --- later ------------------------------------------------------------------------------------------------------- */

static void walk_for(struct job *job)
{
    struct homes *homes = job->homes;
    struct walk_request request = {.path = job->path, .uid = job->job.uid};
    uint64_t walked_ns;
    bool decided;

    if (needs_group(homes, request.uid))
        request.gid = find_group(homes, request.uid);
    walked_ns = clock_now_ns();
    decided = homes->walk(&homes->rules, &request, job->result);
    INVARIANT(decided);
    remember(homes, job->path, request.uid, walked_ns, job->result);
}

/* Many calls may have waited for one look. */
static bool recall(struct job *job)
{
    struct homes *homes = job->homes;
    uint64_t now_ns = clock_now_ns();
    bool known;

    lock_acquire(&homes->lock);
    known = homes_memory_find_place(&homes->memory, job->path, job->job.uid, now_ns, &job->result->place,
                                    &job->result->status);
    lock_release(&homes->lock);
    return known;
}

static void job_work(struct resolver_job *resolver_job)
{
    struct job *job = (struct job *)resolver_job;

    job->result = malloc(sizeof *job->result);
    if (job->result == NULL)
        return;
    job->result->fd = -1;
    if (job->pinned != NULL || !recall(job))
        walk_for(job);
}

static void job_tell_resolved(const struct job *job, const struct status *failure)
{
    static const struct home_place nowhere;
    struct status status;

    if (failure == NULL && job->result == NULL) {
        status = no_memory();
        failure = &status;
    }
    if (failure != NULL)
        job->resolved(job->context, job->ticket, failure, &nowhere);
    else
        job->resolved(job->context, job->ticket, &job->result->status, &job->result->place);
}

/* A start is for the very home that was asked for: had the name become a link, its target would be another one. */
static void job_tell_pinned(const struct job *job, const struct status *failure)
{
    struct status status;
    int home_fd = -1;

    if (failure != NULL) {
        status = *failure;
    } else if (job->result == NULL) {
        status = no_memory();
    } else {
        status = job->result->status;
        if (status_is_ok(&status) && strcmp(job->result->place.canonical, job->path) != 0)
            status = status_make(STATUS_FAILED_PRECONDITION, "home is now a name of %s", job->result->place.canonical);
        if (status_is_ok(&status)) {
            home_fd = job->result->fd; /* given */
            job->result->fd = -1;
        }
    }
    job->pinned(job->context, job->ticket, &status, home_fd);
}

static void job_tell(struct resolver_job *resolver_job, const struct status *failure)
{
    const struct job *job = (const struct job *)resolver_job;

    if (job->resolved != NULL)
        job_tell_resolved(job, failure);
    else
        job_tell_pinned(job, failure);
}

static void job_drop(struct resolver_job *resolver_job)
{
    struct job *job = (struct job *)resolver_job;

    if (job->result != NULL)
        close_result(job->result);
    free(job->result);
    homes_release(job->homes);
    free(job);
}

static const struct resolver_job_kind job_kind = {.work = job_work, .tell = job_tell, .drop = job_drop};

static struct status submit(struct homes *homes, const char *path, uint32_t uid, const struct job *what)
{
    struct status status = home_path_check(path);
    size_t size = strlen(path) + 1;
    struct job *job;

    if (!status_is_ok(&status))
        return status;
    job = malloc(sizeof *job + size);
    if (job == NULL)
        return no_memory();
    *job = *what;
    job->job = (struct resolver_job){.kind = &job_kind, .uid = uid};
    job->homes = homes_share(homes);
    memcpy(job->path, path, size);
    status = resolvers_submit(homes->resolvers, &job->job);
    if (!status_is_ok(&status))
        job_drop(&job->job);
    return status;
}

struct status homes_resolve_later(struct homes *homes, const char *path, uint32_t uid, homes_resolved *resolved,
                                  void *context, struct homes_ticket ticket)
{
    return submit(homes, path, uid, &(struct job){.resolved = resolved, .context = context, .ticket = ticket});
}

struct status homes_pin(struct homes *homes, const char *canonical, uint32_t uid, homes_pinned *pinned, void *context,
                        struct homes_ticket ticket)
{
    return submit(homes, canonical, uid, &(struct job){.pinned = pinned, .context = context, .ticket = ticket});
}
