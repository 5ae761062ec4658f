/* A peer's rights, see rights.h. */
#include "server/homes/rights.h"

#include "server/base/invariant.h"
#include "server/threads/lock.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where a machine's first gids had 16 bits, the call that takes whole ones has another name. */
#ifdef SYS_setgroups32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_GROUPS SYS_setgroups
#endif

enum {
    USER_SIZE_MIN = 4096,   /* of an entry among the users */
    USER_SIZE_MAX = 262144, /* a larger one counts as none */
    GROUP_OF_NOBODY = 65534,
    GROUP_COUNT_FIRST = 64,
    GROUP_COUNT_MAX = 65536 /* the kernel's NGROUPS_MAX */
};

struct rights_groups {
    atomic_uint holders;
    gid_t primary;
    size_t other_count;
    gid_t others[];
};

/* --- groups ------------------------------------------------------------------------------------------------------ */

struct rights_groups *rights_groups_make(gid_t primary, const gid_t *others, size_t other_count)
{
    struct rights_groups *groups = malloc(sizeof *groups + other_count * sizeof *others);

    if (groups == NULL)
        return NULL;
    atomic_init(&groups->holders, 1);
    groups->primary = primary;
    groups->other_count = other_count;
    if (other_count > 0)
        memcpy(groups->others, others, other_count * sizeof *others);
    return groups;
}

/* All groups that the database puts this user in, the primary one among them. */
static struct rights_groups *list_groups(const char *user, gid_t primary)
{
    struct rights_groups *groups = NULL;
    int count = GROUP_COUNT_FIRST, room;
    gid_t *list = NULL;

    do {
        room = count;
        free(list);
        list = malloc((size_t)room * sizeof *list);
        if (list == NULL)
            return NULL;
    } while (getgrouplist(user, primary, list, &count) < 0 && count > room && count <= GROUP_COUNT_MAX);
    groups = rights_groups_make(primary, list, (size_t)(count < room ? count : room));
    free(list);
    return groups;
}

struct rights_groups *rights_groups_look_up(uint32_t uid)
{
    struct rights_groups *groups = NULL;
    bool found = false;

    lock_assert_none();
    for (size_t size = USER_SIZE_MIN; size <= USER_SIZE_MAX; size *= 4) {
        struct passwd entry, *user = NULL;
        char *memory = malloc(size);
        int error = memory == NULL ? ENOMEM : getpwuid_r(uid, &entry, memory, size, &user);

        found = error == 0 && user != NULL;
        if (found)
            groups = list_groups(entry.pw_name, entry.pw_gid);
        free(memory);
        if (error != ERANGE)
            break;
    }
    return found ? groups : rights_groups_make(GROUP_OF_NOBODY, NULL, 0);
}

struct rights_groups *rights_groups_own(void)
{
    int count = getgroups(0, NULL);
    gid_t *list = calloc((size_t)count + 1, sizeof *list);
    struct rights_groups *groups = NULL;

    if (list != NULL) {
        count = getgroups(count, list);
        groups = rights_groups_make(getegid(), list, count < 0 ? 0 : (size_t)count);
    }
    free(list);
    return groups;
}

struct rights_groups *rights_groups_share(struct rights_groups *groups)
{
    atomic_fetch_add(&groups->holders, 1);
    return groups;
}

void rights_groups_release(struct rights_groups *groups)
{
    if (groups != NULL && atomic_fetch_sub(&groups->holders, 1) == 1)
        free(groups);
}

gid_t rights_groups_primary(const struct rights_groups *groups)
{
    return groups->primary;
}

/* --- taking and giving back -------------------------------------------------------------------------------------- */

static bool set_others(const struct rights_groups *groups)
{
    return syscall(SET_GROUPS, groups->other_count, groups->others) == 0;
}

/* What is root's own comes back without asking: only memory could be short. */
void rights_give_back(const struct rights *rights)
{
    setfsuid(rights->uid);
    setfsgid(rights->gid);
    INVARIANT(set_others(rights->own));
}

bool rights_take(uint32_t uid, const struct rights_groups *groups, const struct rights_groups *own,
                 struct rights *rights_out)
{
    struct rights rights = {.own = own};

    if (!set_others(groups))
        return false;
    rights.gid = (gid_t)setfsgid(groups->primary);
    rights.uid = (uid_t)setfsuid(uid);
    /* The two give no error: one asks again. */
    if ((uid_t)setfsuid((uid_t)-1) != uid || (gid_t)setfsgid((gid_t)-1) != groups->primary) {
        rights_give_back(&rights);
        return false;
    }
    *rights_out = rights;
    return true;
}
