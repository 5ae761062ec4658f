/* inotify and the table of posts, see lookout.h. */
#include "server/custody/custodian/lookout.h"

#include "server/base/map.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define ENTRIES (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE | IN_ATTRIB)
#define ITSELF  (IN_DELETE_SELF | IN_MOVE_SELF)

enum { READ_COUNT_MAX = 16 }; /* at one go, of dozens of events each: whoever makes them as fast has not all our time */

struct spot {
    int number; /* the kernel's */
    UT_hash_handle handle;
    struct list posts; /* never empty */
};

/* The kernel's numbers are small and dense: no stranger chooses them, so no keyed hash is needed. */
static unsigned hash_number(int number)
{
    return (unsigned)number;
}

int lookout_open(struct lookout *lookout)
{
    lookout->by_number = NULL;
    lookout->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return lookout->fd < 0 ? errno : 0;
}

void lookout_close(struct lookout *lookout)
{
    if (lookout->fd >= 0)
        close(lookout->fd);
    lookout->fd = -1;
}

static struct spot *find(const struct lookout *lookout, int number)
{
    struct spot *spot;

    HASH_FIND_BYHASHVALUE(handle, lookout->by_number, &number, sizeof number, hash_number(number), spot);
    return spot;
}

static struct spot *add(struct lookout *lookout, int number)
{
    struct spot *spot = calloc(1, sizeof *spot);
    bool added;

    if (spot == NULL)
        return NULL;
    spot->number = number;
    MAP_ADD(handle, lookout->by_number, &spot->number, sizeof spot->number, hash_number(number), spot, added);
    if (added)
        return spot;
    free(spot);
    return NULL;
}

int lookout_take(struct lookout *lookout, struct post *post, int directory_fd)
{
    char path[64];
    int number;

    INVARIANT(post->spot == NULL);
    if (lookout->fd < 0)
        return EBADF;
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory_fd);
    number = inotify_add_watch(lookout->fd, path, ENTRIES | ITSELF | IN_ONLYDIR);
    if (number < 0)
        return errno;
    post->spot = find(lookout, number);
    if (post->spot == NULL)
        post->spot = add(lookout, number);
    if (post->spot == NULL) {
        inotify_rm_watch(lookout->fd, number);
        return ENOMEM;
    }
    list_push_back(&post->spot->posts, &post->node);
    return 0;
}

void lookout_leave(struct lookout *lookout, struct post *post)
{
    struct spot *spot = post->spot;

    if (spot == NULL)
        return;
    post->spot = NULL;
    list_remove(&post->node);
    if (spot->posts.count > 0)
        return;
    inotify_rm_watch(lookout->fd, spot->number);
    HASH_DELETE(handle, lookout->by_number, spot);
    free(spot);
}

/* ---- what has happened ---- */

static void tell_posts(const struct spot *spot, enum lookout_event what, lookout_seen *seen, void *context)
{
    LIST_EACH (node, &spot->posts)
        seen(context, LIST_OWNER(node, struct post, node), what);
}

static void tell(const struct lookout *lookout, const struct inotify_event *event, lookout_seen *seen, void *context)
{
    bool moved = (event->mask & (ITSELF | IN_UNMOUNT | IN_IGNORED)) != 0;
    const struct spot *spot = find(lookout, event->wd); /* NULL: nobody's any more */

    if (spot != NULL)
        tell_posts(spot, moved ? LOOKOUT_MOVED : LOOKOUT_CHANGED, seen, context);
    if ((event->mask & IN_Q_OVERFLOW) == 0)
        return;
    for (spot = lookout->by_number; spot != NULL; spot = spot->handle.next)
        tell_posts(spot, LOOKOUT_OVERFLOWN, seen, context);
}

void lookout_read(struct lookout *lookout, lookout_seen *seen, void *context)
{
    union {
        struct inotify_event event; /* its alignment */
        char bytes[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } room;
    ssize_t size;

    for (int i = 0; i < READ_COUNT_MAX && (size = read(lookout->fd, &room, sizeof room)) > 0; i++) {
        for (const char *at = room.bytes; at < room.bytes + size;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;

            tell(lookout, event, seen, context);
            at += sizeof *event + event->len;
        }
    }
}
