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

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void homes_release(struct homes *homes)
{
    if (atomic_fetch_sub(&homes->holders, 1) > 1)
        return;
    walk_rules_fini(&homes->rules);
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
    status = walk_rules_init(settings, &homes->rules);
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

/* Whether this uid's paths are walked with its rights, which takes its groups. */
static bool needs_groups(const struct homes *homes, uint32_t uid)
{
    return homes->rules.as_peer && !walk_uid_is_admin(&homes->rules, uid);
}

/* With a count for the caller; NULL when memory is short.  Blocks as the machine's name service does. */
static struct rights_groups *find_groups(struct homes *homes, uint32_t uid)
{
    uint64_t now_ns = clock_now_ns();
    struct rights_groups *groups;

    lock_acquire(&homes->lock);
    groups = homes_memory_share_groups(&homes->memory, uid, now_ns);
    lock_release(&homes->lock);
    if (groups != NULL)
        return groups;
    groups = rights_groups_look_up(uid);
    if (groups == NULL)
        return NULL;
    lock_acquire(&homes->lock);
    homes_memory_keep_groups(&homes->memory, uid, now_ns, groups);
    lock_release(&homes->lock);
    return groups;
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

/* A look on the asker's thread.  False: it would block, or takes groups that have to be asked for first. */
static bool look_now(struct homes *homes, const char *path, uint32_t uid, uint64_t now_ns,
                     struct walk_result *result_out)
{
    struct walk_request request = {.path = path, .uid = uid, .cached_only = true};
    struct rights_groups *groups = NULL;
    bool decided;

    if (needs_groups(homes, uid)) {
        lock_acquire(&homes->lock);
        groups = homes_memory_share_groups(&homes->memory, uid, now_ns);
        lock_release(&homes->lock);
        if (groups == NULL)
            return false;
    }
    request.groups = groups;
    decided = homes->walk(&homes->rules, &request, result_out);
    rights_groups_release(groups);
    return decided;
}

static bool recall_now(struct homes *homes, const char *path, uint32_t uid, uint64_t now_ns,
                       struct home_place *place_out, struct status *status_out)
{
    bool known;

    lock_acquire(&homes->lock);
    known = homes_memory_find_place(&homes->memory, path, uid, now_ns, place_out, status_out);
    lock_release(&homes->lock);
    return known;
}

bool homes_resolve_now(struct homes *homes, const char *path, uint32_t uid, uint64_t now_ns,
                       struct home_place *place_out, struct status *status_out)
{
    struct status status = home_path_check(path);
    struct walk_result result;

    place_out->canonical[0] = '\0';
    place_out->missing = false;
    if (!status_is_ok(&status)) {
        *status_out = status;
        return true;
    }
    if (recall_now(homes, path, uid, now_ns, place_out, status_out))
        return true;
    /* A refusal is a resolver's to give, at its pace: whether it could be told at once would tell what is there. */
    if (!look_now(homes, path, uid, now_ns, &result) || result.refused)
        return false;
    close_result(&result);
    remember(homes, path, uid, now_ns, &result);
    *place_out = result.place;
    *status_out = result.status;
    return true;
}

/* --- later ------------------------------------------------------------------------------------------------------- */

/* A refusal takes a whole number of these, so that its length says nothing of what is there: far more than a look takes,
 * here or by another process. */
#define REFUSAL_NS     (1 * NS_PER_MS)
#define REFUSAL_FAR_NS (10 * NS_PER_MS)

static void walk_for(struct job *job)
{
    struct homes *homes = job->homes;
    struct walk_request request = {.path = job->path, .uid = job->job.uid};
    struct rights_groups *groups = NULL;
    uint64_t walked_ns;
    bool decided;

    if (needs_groups(homes, request.uid)) {
        groups = find_groups(homes, request.uid);
        if (groups == NULL) {
            job->result->status = no_memory();
            return;
        }
    }
    request.groups = groups;
    walked_ns = clock_now_ns();
    decided = homes->walk(&homes->rules, &request, job->result);
    INVARIANT(decided);
    rights_groups_release(groups);
    if (!job->result->refused) /* else when it is told: whoever asks meanwhile must not hear of it any sooner */
        remember(homes, job->path, request.uid, walked_ns, job->result);
}

static void job_work(struct resolver_job *resolver_job)
{
    struct job *job = (struct job *)resolver_job;
    uint64_t begun_ns = clock_now_ns();
    uint64_t pace_ns = job->homes->rules.far_socket < 0 ? REFUSAL_NS : REFUSAL_FAR_NS;

    job->result = calloc(1, sizeof *job->result);
    if (job->result == NULL)
        return;
    job->result->fd = -1;
    /* Many calls may have waited for one look. */
    if (job->pinned == NULL &&
        recall_now(job->homes, job->path, job->job.uid, begun_ns, &job->result->place, &job->result->status))
        return;
    walk_for(job);
    if (job->result->refused)
        job->job.tell_ns = begun_ns + ((clock_now_ns() - begun_ns) / pace_ns + 1) * pace_ns;
}

static void job_tell_resolved(const struct job *job, const struct status *failure)
{
    static const struct home_place nowhere;
    struct status status;

    if (failure == NULL && job->result == NULL) {
        status = no_memory();
        failure = &status;
    }
    if (failure != NULL) {
        job->resolved(job->context, job->ticket, failure, &nowhere);
        return;
    }
    if (job->result->refused)
        remember(job->homes, job->path, job->job.uid, clock_now_ns(), job->result);
    job->resolved(job->context, job->ticket, &job->result->status, &job->result->place);
}

/* A start is for the very home that was asked for: had the name become a link, its target would be another one. */
static struct status judge_pin(const char *path, const struct walk_result *result)
{
    if (status_is_ok(&result->status) && strcmp(result->place.canonical, path) != 0)
        return status_make(STATUS_FAILED_PRECONDITION, "home is now a name of %s", result->place.canonical);
    return result->status;
}

static void job_tell_pinned(const struct job *job, const struct status *failure)
{
    struct status status;
    int home_fd = -1;

    if (failure != NULL)
        status = *failure;
    else if (job->result == NULL)
        status = no_memory();
    else
        status = judge_pin(job->path, job->result);
    if (status_is_ok(&status)) {
        home_fd = job->result->fd; /* given */
        job->result->fd = -1;
    }
    job->pinned(job->context, job->ticket, &status, home_fd < 0 ? NULL : &job->result->place, home_fd);
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
    job->job = (struct resolver_job){.kind = &job_kind, .uid = uid, .impatient = what->pinned != NULL};
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

/* What is in the kernel's caches is opened on the spot, so that no start waits for another one's file system.  False:
 * it is to be looked at by a resolver, with fresh eyes. */
static bool pin_now(struct homes *homes, const char *canonical, uint32_t uid, homes_pinned *pinned, void *context,
                    struct homes_ticket ticket)
{
    struct walk_result result;
    struct status status;

    if (!look_now(homes, canonical, uid, clock_now_ns(), &result))
        return false;
    status = judge_pin(canonical, &result);
    if (status_is_ok(&status))
        pinned(context, ticket, &status, &result.place, result.fd);
    else
        close_result(&result);
    return status_is_ok(&status);
}

struct status homes_pin(struct homes *homes, const char *canonical, uint32_t uid, homes_pinned *pinned, void *context,
                        struct homes_ticket ticket)
{
    lock_assert_none();
    if (pin_now(homes, canonical, uid, pinned, context, ticket))
        return status_ok();
    return submit(homes, canonical, uid, &(struct job){.pinned = pinned, .context = context, .ticket = ticket});
}

void homes_hurry(struct homes *homes)
{
    lock_assert_none();
    resolvers_hurry(homes->resolvers);
}
