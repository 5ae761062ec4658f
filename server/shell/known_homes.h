/* Which directory each home was when something was last decided about it.
 *
 * A home is a name, and a name may come to lead to another directory: renamed away, removed and made again, a mount on
 * top.  What is known of the one must not be told of the other, so whoever decides something about a home compares.
 *
 * As many are known as the engine knows homes; the one known for longest that no call holds is forgotten first.  From
 * then on a home that is not known counts as changed, since it may be the one that was forgotten.
 *
 * Ownership: records are this module's; a call that holds one lets go of it.  Threads: none of its own, the shell's lock
 * guards it. */
#ifndef SERVER_SHELL_KNOWN_HOMES_H
#define SERVER_SHELL_KNOWN_HOMES_H

#include "server/base/list.h"
#include "server/base/map.h"
#include "server/homes/homes.h"

struct known_home {
    UT_hash_handle handle; /* by path */
    struct list_node node; /* of `unheld` */
    size_t holder_count;
    struct home_identity identity; /* by now */
    char path[];
};

struct known_homes {
    struct map_seed seed;
    size_t count_max;
    struct known_home *map;
    struct list unheld; /* the one known, or let go of, for longest first */
    bool forgot;        /* one was */
};

void known_homes_init(struct known_homes *homes, const struct map_seed *seed, size_t count_max);
void known_homes_fini(struct known_homes *homes); /* none is held */

/* NULL: not known. */
struct known_home *known_homes_find(const struct known_homes *homes, const char *path);

/* The same, made known with this identity where it is not; NULL when memory is short.  *changed_out: it was another
 * directory before, or may have been.  Its identity is left as it is: known_home_becomes, once that is dealt with. */
MUST_USE struct known_home *known_homes_obtain(struct known_homes *homes, const struct home_place *place,
                                               bool *changed_out);

static inline void known_home_becomes(struct known_home *known, const struct home_identity *identity)
{
    known->identity = *identity;
}

/* One holder more, one fewer. */
void known_home_hold(struct known_home *known);
void known_home_let_go(struct known_homes *homes, struct known_home *known);

#endif
