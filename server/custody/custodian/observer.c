/* Observed homes, from the order to the last report; see observer.h. */
#include "server/custody/custodian/observer.h"

#include "server/base/clock.h"
#include "server/base/invariant.h"
#include "server/base/log.h"
#include "server/base/map.h"
#include "server/custody/custodian/findings.h"
#include "server/custody/custodian/mounts.h"
#include "server/custody/custodian/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEVER_NS        UINT64_MAX
#define GATHER_NS       (100 * NS_PER_MS) /* from the first sign of a change to reading: proto/README.md 4 */
#define INTERVAL_NS_MIN (200 * NS_PER_MS) /* between two readings of a home */
#define INTERVAL_NS_MAX (400 * NS_PER_MS) /* the same while nothing comes of them; seen within a second even so */
#define POLL_NS         (2 * NS_PER_S)    /* seen within three seconds */
#define QUICK_NS_MAX    (250 * NS_PER_MS)
#define READING_NS_MAX  (5 * NS_PER_S)
#define RETRY_NS_MIN    (1 * NS_PER_S) /* after a reading that failed, doubling */
#define RETRY_NS_MAX    (60 * NS_PER_S)

_Static_assert(INTERVAL_NS_MAX + GATHER_NS + QUICK_NS_MAX <= NS_PER_S, "a change is seen within a second");
_Static_assert(POLL_NS + QUICK_NS_MAX <= 3 * NS_PER_S, "within three where it is polled");

enum { EVENT_COUNT = 64, REASON_SIZE = 96, LOOK_COUNT_MAX = 8 };

/* What an epoll event is about. */
enum sign_kind { SIGN_LOOKOUT, SIGN_END, SIGN_OUTPUT };

struct sign {
    enum sign_kind kind;
    struct observed *home; /* NULL: LOOKOUT */
};

/* A watched directory of it. */
struct station {
    struct post post;
    char *folder; /* owned; as the reader named it */
};

struct observed {
    uint64_t id;
    UT_hash_handle handle;
    int fd;     /* the home; owned */
    char *path; /* when it was taken, for a person; owned; NULL: not known */
    unsigned char key[PROTOCOL_KEY_SIZE];
    struct list_node lane_node;   /* on waiting, quick, slow or condemned; or, forgotten, on leaving */
    struct list_node report_node; /* on reports */

    /* what is looked at */
    bool local;                /* its file system is one to watch */
    struct station **stations; /* owned; the home itself first; a post in one may be without a spot */
    size_t station_count;
    char poll_reason[REASON_SIZE]; /* why it is polled; "": it is not */
    bool limited;                  /* for there are no more watches */
    bool poll_said;

    /* when */
    struct heap_node due;
    bool stirred;           /* something has happened since the present, or the last, reading began */
    uint64_t stirred_ns;    /* when first */
    uint64_t interval_ns;   /* between two readings, at present */
    uint64_t started_ns;    /* of the present, or the last, reading; 0: there was none */
    unsigned failure_count; /* readings in a row that failed */
    bool hung;              /* the last one did */
    bool moved;             /* the directory is not where it was */

    /* the reading */
    struct reader reader; /* pid 0: nobody reads */
    struct sign end, output;
    bool forgotten; /* and is kept until its reader is buried */

    /* what was found, and what of it was said */
    uint64_t expected_digest; /* of an earlier custodian's last reading; 0: none */
    bool told_known;          /* `told` is what the daemon takes the credentials to be */
    bool found_known;         /* `found` is what they are; not (any more) the same */
    struct findings told, found;
    uint64_t digest, said_digest;   /* of `told`; the one that was last reported; 0: none */
    bool disturbed;                 /* before the first reading was over */
    bool all_changed, unread, lost; /* to be said */
    bool unread_said;
};

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static uint64_t later(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

static bool attend(struct observer *observer, int fd, struct sign *sign)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = sign};

    return epoll_ctl(observer->fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void ignore(struct observer *observer, int fd)
{
    epoll_ctl(observer->fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- stations ---- */

static void station_destroy(struct observer *observer, struct station *station)
{
    if (station == NULL)
        return;
    lookout_leave(&observer->lookout, &station->post);
    free(station->folder);
    free(station);
}

static struct station *station_create(struct observed *home, const char *folder)
{
    struct station *station = calloc(1, sizeof *station);

    if (station == NULL)
        return NULL;
    station->post.owner = home;
    station->folder = strdup(folder);
    if (station->folder != NULL)
        return station;
    free(station);
    return NULL;
}

/* A directory of the home, on its own file system, without following anything, and only if the kernel knows of it
 * already: the reader has just looked at it.  -1 with errno. */
static int open_folder(const struct observed *home, const char *folder)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                                            RESOLVE_NO_XDEV | RESOLVE_CACHED};

    return (int)syscall(SYS_openat2, home->fd, folder, &how, sizeof how);
}

/* 0 or errno. */
static int man_station(struct observer *observer, const struct observed *home, struct station *station)
{
    int fd = -1, error;

    if (strcmp(station->folder, ".") == 0)
        return lookout_take(&observer->lookout, &station->post, home->fd);
    for (int i = 0; i < LOOK_COUNT_MAX && fd < 0; i++) {
        fd = open_folder(home, station->folder);
        if (fd < 0 &&
            errno != EAGAIN) /* else somebody renames something at this moment, or the kernel would have to ask */
            break;
    }
    if (fd < 0)
        return errno;
    error = lookout_take(&observer->lookout, &station->post, fd);
    close(fd);
    return error;
}

static const struct spot *find_spot(const struct observed *home, const char *folder)
{
    for (size_t i = 0; i < home->station_count; i++) {
        if (strcmp(home->stations[i]->folder, folder) == 0)
            return home->stations[i]->post.spot;
    }
    return NULL;
}

static void leave_stations(struct observer *observer, struct observed *home)
{
    for (size_t i = 0; i < home->station_count; i++)
        station_destroy(observer, home->stations[i]);
    free(home->stations);
    home->stations = NULL;
    home->station_count = 0;
}

/* ---- where nobody tells ---- */

/* Nobody to tell: an instance of inotify (fs.inotify.max_user_instances), or a descriptor, was not to be had.  Each
 * reading of a home tries again. */
static void want_lookout(struct observer *observer)
{
    static struct sign of_lookout = {SIGN_LOOKOUT, NULL};
    int error;

    if (observer->lookout.fd >= 0)
        return;
    error = lookout_open(&observer->lookout);
    if (error == 0 && !attend(observer, observer->lookout.fd, &of_lookout))
        error = errno;
    if (error != 0) {
        lookout_close(&observer->lookout);
        if (!observer->blind_said)
            log_write(LOG_WARN, "nobody tells of changes in homes: all are polled",
                      LOG_FIELDS(log_text("cause", strerror(error))));
        observer->blind_said = true;
    } else if (observer->blind_said) {
        observer->blind_said = false;
        log_write(LOG_INFO, "changes in homes are told of again", LOG_NO_FIELDS);
    }
}

static const char *describe_refusal(int error)
{
    return error == ENOSPC  ? "the limit of watches (fs.inotify.max_user_watches)"
           : error == EBADF ? "there is no instance of inotify (fs.inotify.max_user_instances)"
                            : strerror(error);
}

/* A reason to poll; the first one stays. */
static void want_polling(struct observed *home, const char *what, const char *why)
{
    if (home->poll_reason[0] == '\0')
        snprintf(home->poll_reason, sizeof home->poll_reason, "%s: %s", what, why);
}

/* Of each home once; a warning when it is the first at a limit that somebody can raise. */
static void say_polling(struct observer *observer, struct observed *home)
{
    if (home->poll_reason[0] == '\0' || home->poll_said)
        return;
    home->poll_said = true;
    log_write(home->limited && !observer->limit_said ? LOG_WARN : LOG_INFO, "a home's credentials are polled",
              LOG_FIELDS(log_text("home", home->path), log_text("cause", home->poll_reason)));
    observer->limit_said = observer->limit_said || home->limited;
}

/* Mans the stations that these folders are, and leaves the others; whether one is at a directory that had none, which
 * was not watched while the home was read.  All are taken anew, since a folder may be another directory by now; those
 * at the same one as before share its spot. */
static bool take_stations(struct observer *observer, struct observed *home, char *const *folders, size_t folder_count)
{
    struct station **stations = calloc(folder_count, sizeof(struct station *));
    size_t count = 0;
    bool is_new = false;

    want_lookout(observer);
    home->poll_reason[0] = '\0';
    home->limited = false;
    for (size_t i = 0; stations != NULL && i < folder_count; i++) {
        struct station *station = station_create(home, folders[i]);
        int error = station == NULL ? ENOMEM : man_station(observer, home, station);

        if (station != NULL)
            stations[count++] = station;
        if (error != 0)
            want_polling(home, folders[i], describe_refusal(error));
        else if (find_spot(home, folders[i]) != station->post.spot)
            is_new = true;
        home->limited = home->limited || error == ENOSPC;
    }
    if (stations == NULL)
        want_polling(home, "no memory", strerror(ENOMEM));
    leave_stations(observer, home);
    home->stations = stations;
    home->station_count = count;
    return is_new;
}

/* What is watched, and what is not, as far as it is known. */
static bool look_out(struct observer *observer, struct observed *home, const char *kind,
                     const struct findings *findings)
{
    static char itself[] = ".";
    char *const only_itself[] = {itself};
    bool is_new = false;

    if (home->local && findings != NULL)
        is_new = take_stations(observer, home, findings->folders, findings->folder_count);
    else if (home->local)
        is_new = take_stations(observer, home, only_itself, 1);
    else
        want_polling(home, "file system", kind);
    if (findings != NULL && findings->poll_reason[0] != '\0')
        want_polling(home, "the reader", findings->poll_reason);
    say_polling(observer, home);
    return is_new;
}

/* ---- when a home is read ---- */

/* Unless it waits already, or is being read: then it is looked at when that is over. */
static void plan(struct observer *observer, struct observed *home, uint64_t due_ns)
{
    if (home->lane_node.list == NULL && !home->lost && !home->forgotten)
        heap_set(&observer->due, &home->due, due_ns);
}

static void plan_next(struct observer *observer, struct observed *home)
{
    uint64_t due_ns = home->poll_reason[0] != '\0' ? home->started_ns + POLL_NS : NEVER_NS;

    if (home->stirred)
        due_ns = earlier(due_ns, later(home->stirred_ns + GATHER_NS, home->started_ns + home->interval_ns));
    if (due_ns == NEVER_NS)
        heap_clear(&observer->due, &home->due);
    else
        plan(observer, home, due_ns);
}

static void stir(struct observer *observer, struct observed *home, uint64_t now_ns)
{
    home->disturbed = home->disturbed || !home->told_known;
    if (home->stirred)
        return;
    home->stirred = true;
    home->stirred_ns = now_ns;
    if (home->failure_count == 0) /* else it is tried again at its time */
        plan_next(observer, home);
}

struct sight {
    struct observer *observer;
    uint64_t now_ns;
};

static void see(void *context, struct post *post, enum lookout_event event)
{
    struct sight *sight = context;
    struct observed *home = post->owner;

    if (event == LOOKOUT_MOVED && home->station_count > 0 && post == &home->stations[0]->post)
        home->moved = true;
    stir(sight->observer, home, sight->now_ns);
}

/* ---- reports ---- */

static bool has_report(const struct observed *home)
{
    return !home->forgotten &&
           (home->lost || home->unread || home->all_changed || home->found_known || home->digest != home->said_digest);
}

/* Puts it where its reports are asked for, or takes it away when there are none (any more). */
static void want_report(struct observer *observer, struct observed *home)
{
    if (!has_report(home))
        list_remove(&home->report_node);
    else if (home->report_node.list == NULL)
        list_push_back(&observer->reports, &home->report_node);
}

bool observer_next_report(const struct observer *observer, struct report *report_out)
{
    const struct observed *home;
    struct report report = {.kind = REPORT_CHANGED};

    if (observer->reports.first == NULL)
        return false;
    home = LIST_OWNER(observer->reports.first, struct observed, report_node);
    report.id = home->id;
    if (home->lost)
        report.kind = REPORT_LOST;
    else if (home->unread)
        report.kind = REPORT_UNREAD;
    else if (home->found_known && !home->all_changed)
        snprintf(report.text, sizeof report.text, "%s", findings_difference(&home->told, &home->found));
    else if (!home->all_changed)
        report.kind = REPORT_READ;
    report.digest = home->digest;
    report.disturbed = home->disturbed;
    *report_out = report;
    return true;
}

/* From here on the daemon knows all of it. */
static void tell_all(struct observed *home)
{
    home->all_changed = false;
    if (!home->found_known)
        return;
    findings_fini(&home->told);
    home->told = home->found;
    home->found = (struct findings){.count = 0};
    home->found_known = false;
    home->digest = findings_digest(&home->told);
}

static void tell_one(struct observed *home, const char *name)
{
    if (!findings_adopt(&home->told, &home->found, name))
        home->all_changed = true; /* rather too much than too little */
    else if (findings_difference(&home->told, &home->found) == NULL)
        tell_all(home);
}

void observer_note_sent(struct observer *observer, const struct report *report)
{
    struct observed *home = LIST_OWNER(observer->reports.first, struct observed, report_node);

    INVARIANT(home->id == report->id);
    switch ((enum report_kind)report->kind) {
    case REPORT_CHANGED:
        if (report->text[0] == '\0')
            tell_all(home);
        else
            tell_one(home, report->text);
        break;
    case REPORT_READ:
        home->said_digest = report->digest;
        break;
    case REPORT_UNREAD:
        home->unread = false;
        break;
    default: /* LOST: nothing more is to be said of it */
        home->lost = false;
        home->found_known = home->all_changed = home->unread = false;
        home->said_digest = home->digest;
    }
    want_report(observer, home);
}

/* ---- a reading and what comes of it ---- */

static bool is_gone(const struct observed *home)
{
    struct statx directory;

    if (home->moved)
        return true;
    return statx(home->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_NLINK, &directory) == 0 &&
           directory.stx_nlink == 0;
}

/* Its credentials are gone with it, or nobody knows where it will be; the daemon looks again when it is asked for. */
static void lose(struct observer *observer, struct observed *home)
{
    leave_stations(observer, home);
    heap_clear(&observer->due, &home->due);
    home->lost = true;
    want_report(observer, home);
    log_write(LOG_DEBUG, "an observed home is gone", LOG_FIELDS(log_text("home", home->path)));
}

static void fail(struct observer *observer, struct observed *home, const struct status *cause, uint64_t now_ns)
{
    uint64_t retry_ns = RETRY_NS_MAX;

    if (home->failure_count < 6)
        retry_ns = earlier(RETRY_NS_MIN << home->failure_count, RETRY_NS_MAX);
    if (home->failure_count++ == 0)
        log_write(observer->said ? LOG_INFO : LOG_WARN, "a home's credentials cannot be read; it is tried again",
                  LOG_FIELDS(log_text("home", home->path), log_text("cause", cause->message)));
    observer->said = true;
    if (!home->told_known && !home->unread_said)
        home->unread = home->unread_said = true;
    want_report(observer, home);
    plan(observer, home, now_ns + retry_ns);
}

/* Compares with what the daemon knows; takes `found`. */
static void judge(struct observer *observer, struct observed *home, struct findings *found)
{
    bool is_first = !home->told_known;

    findings_fini(&home->found);
    home->found_known = false;
    if (is_first) {
        home->told = *found;
        home->told_known = true;
        home->digest = findings_digest(&home->told);
        home->all_changed = home->expected_digest != 0 && home->expected_digest != home->digest;
    } else if (findings_difference(&home->told, found) != NULL) {
        home->found = *found;
        home->found_known = true;
    } else {
        findings_fini(found);
        home->digest = findings_digest(&home->told); /* of a change that is undone a part may have been told */
    }
    home->interval_ns = home->found_known ? INTERVAL_NS_MIN : earlier(2 * home->interval_ns, INTERVAL_NS_MAX);
    want_report(observer, home);
}

static void succeed(struct observer *observer, struct observed *home, struct findings *found)
{
    bool was_unwatched = look_out(observer, home, "", found);

    home->failure_count = 0;
    home->disturbed = home->disturbed || (!home->told_known && (was_unwatched || home->poll_reason[0] != '\0'));
    judge(observer, home, found);
    if (was_unwatched && !home->stirred) {
        home->stirred = true; /* what happened there meanwhile was seen by nobody */
        home->stirred_ns = home->started_ns;
    }
    plan_next(observer, home);
}

static void end_reading(struct observer *observer, struct observed *home, uint64_t now_ns)
{
    bool hung = home->lane_node.list == &observer->condemned;
    struct findings found;
    struct status status;

    ignore(observer, home->reader.pidfd);
    if (home->reader.output_fd >= 0)
        ignore(observer, home->reader.output_fd);
    status = reader_bury(&home->reader, observer->plan->command[0], &found);
    list_remove(&home->lane_node);
    if (home->forgotten) {
        if (status_is_ok(&status))
            findings_fini(&found);
        list_push_back(&observer->leaving, &home->lane_node);
        return;
    }
    home->hung = hung && !status_is_ok(&status);
    if (home->hung)
        status = status_make(STATUS_UNAVAILABLE, "the reader hung, perhaps at the home's file system");
    if (status_is_ok(&status))
        succeed(observer, home, &found);
    else if (is_gone(home) || home->reader.start_error == ESTALE) /* of a network's file system: removed by others */
        lose(observer, home);
    else
        fail(observer, home, &status, now_ns);
}

static void begin_reading(struct observer *observer, struct observed *home, struct list *lane, uint64_t now_ns)
{
    struct status status;
    const char *step;
    int error;

    list_remove(&home->lane_node);
    if (is_gone(home)) {
        lose(observer, home);
        return;
    }
    home->started_ns = now_ns;
    home->stirred = false;
    error = reader_start(&home->reader, observer->plan, home->fd, home->key, &step);
    if (error != 0) {
        status = status_make(STATUS_UNAVAILABLE, "cannot start a reader: %s: %s", step, strerror(error));
        fail(observer, home, &status, now_ns);
        return;
    }
    list_push_back(lane, &home->lane_node);
    if (!attend(observer, home->reader.pidfd, &home->end) || !attend(observer, home->reader.output_fd, &home->output))
        reader_kill(&home->reader); /* SIGCHLD tells of its end */
}

/* ---- who is read now ---- */

static struct observed *first_of(const struct list *lane)
{
    return lane->first == NULL ? NULL : LIST_OWNER(lane->first, struct observed, lane_node);
}

/* Readers that take long leave room for others; those that take too long end. */
static void age_readers(struct observer *observer, uint64_t now_ns)
{
    struct list *lanes[] = {&observer->quick, &observer->slow};
    struct observed *home;

    while ((home = first_of(&observer->quick)) != NULL && home->started_ns + QUICK_NS_MAX <= now_ns &&
           observer->slow.count < OBSERVER_SLOW_COUNT_MAX)
        list_move(&observer->slow, &home->lane_node);
    for (size_t i = 0; i < 2; i++) {
        while ((home = first_of(lanes[i])) != NULL && home->started_ns + READING_NS_MAX <= now_ns) {
            reader_kill(&home->reader);
            list_move(&observer->condemned, &home->lane_node);
        }
    }
}

static void call_due(struct observer *observer, uint64_t now_ns)
{
    struct heap_node *node;

    while ((node = heap_first(&observer->due)) != NULL && node->due_ns <= now_ns) {
        heap_clear(&observer->due, node);
        list_push_back(&observer->waiting, &LIST_OWNER(node, struct observed, due)->lane_node);
    }
}

/* Where a reading hung, or may, being on a file system that waits for others, it takes none of the quick places, and
 * half of the slow ones at most. */
static struct list *find_room(struct observer *observer, const struct observed *home)
{
    if (home->hung || !home->local)
        return observer->slow.count < OBSERVER_SLOW_COUNT_MAX / 2 ? &observer->slow : NULL;
    return observer->quick.count < OBSERVER_QUICK_COUNT_MAX ? &observer->quick : NULL;
}

static void admit_waiting(struct observer *observer, uint64_t now_ns)
{
    LIST_EACH_SAFE (node, &observer->waiting) {
        struct observed *home = LIST_OWNER(node, struct observed, lane_node);
        struct list *lane = find_room(observer, home);

        if (lane != NULL)
            begin_reading(observer, home, lane, now_ns);
    }
}

uint64_t observer_next_ns(const struct observer *observer)
{
    const struct heap_node *due = heap_first(&observer->due);
    const struct observed *quick = first_of(&observer->quick), *slow = first_of(&observer->slow);
    uint64_t due_ns = due == NULL ? NEVER_NS : due->due_ns;

    if (quick != NULL)
        due_ns = earlier(due_ns, quick->started_ns +
                                     (observer->slow.count < OBSERVER_SLOW_COUNT_MAX ? QUICK_NS_MAX : READING_NS_MAX));
    if (slow != NULL)
        due_ns = earlier(due_ns, slow->started_ns + READING_NS_MAX);
    return due_ns;
}

/* ---- homes ---- */

static struct observed *find(const struct observer *observer, uint64_t id)
{
    struct observed *home;

    HASH_FIND_BYHASHVALUE(handle, observer->by_id, &id, sizeof id, map_hash_id(id), home);
    return home;
}

bool observer_knows(const struct observer *observer, uint64_t id)
{
    return find(observer, id) != NULL;
}

static struct observed *create(struct observer *observer, uint64_t id)
{
    struct observed *home = calloc(1, sizeof *home);
    bool added;

    if (home == NULL || !heap_reserve(&observer->due)) {
        free(home);
        return NULL;
    }
    home->id = id;
    MAP_ADD(handle, observer->by_id, &home->id, sizeof home->id, map_hash_id(id), home, added);
    if (added)
        return home;
    heap_unreserve(&observer->due);
    free(home);
    return NULL;
}

static void destroy(struct observer *observer, struct observed *home)
{
    leave_stations(observer, home);
    heap_clear(&observer->due, &home->due);
    heap_unreserve(&observer->due);
    list_remove(&home->lane_node);
    list_remove(&home->report_node);
    findings_fini(&home->told);
    findings_fini(&home->found);
    close(home->fd);
    free(home->path);
    free(home);
}

int observer_take(struct observer *observer, const struct order *order, int home_fd, char *path, uint64_t now_ns)
{
    struct observed *home = create(observer, order->id);
    char kind[MOUNTS_KIND_SIZE];

    if (home == NULL)
        return ENOMEM;
    home->fd = home_fd;
    home->path = path;
    memcpy(home->key, order->key, sizeof home->key);
    home->expected_digest = order->digest;
    home->interval_ns = INTERVAL_NS_MIN;
    home->end = (struct sign){SIGN_END, home};
    home->output = (struct sign){SIGN_OUTPUT, home};
    mounts_find_kind(home_fd, kind);
    home->local = mounts_kind_is_local(kind);
    (void)look_out(observer, home, kind, NULL);
    home->disturbed = home->poll_reason[0] != '\0';
    plan(observer, home, now_ns);
    return 0;
}

/* One that is being read is kept until its reader is buried; and each until no event of this turn can speak of it. */
void observer_forget(struct observer *observer, uint64_t id)
{
    struct observed *home = find(observer, id);

    if (home == NULL)
        return;
    HASH_DELETE(handle, observer->by_id, home);
    home->forgotten = true;
    list_remove(&home->report_node);
    leave_stations(observer, home);
    heap_clear(&observer->due, &home->due);
    if (home->reader.pid != 0) {
        reader_kill(&home->reader);
        list_move(&observer->condemned, &home->lane_node);
        return;
    }
    list_move(&observer->leaving, &home->lane_node);
}

/* ---- the turn ---- */

static void handle(struct observer *observer, const struct sign *sign, uint64_t now_ns)
{
    struct observed *home = sign->home;

    switch (sign->kind) {
    case SIGN_LOOKOUT:
        lookout_read(&observer->lookout, see, &(struct sight){observer, now_ns});
        break;
    case SIGN_OUTPUT:
        if (home->reader.pid != 0 && home->reader.output_fd >= 0 && !reader_hear(&home->reader)) {
            ignore(observer, home->reader.output_fd);
            close(home->reader.output_fd);
            home->reader.output_fd = -1;
        }
        break;
    case SIGN_END:
        if (home->reader.pid != 0)
            end_reading(observer, home, now_ns);
        break;
    }
}

void observer_work(struct observer *observer, uint64_t now_ns)
{
    struct epoll_event events[EVENT_COUNT];
    struct list_node *node;
    int count = epoll_wait(observer->fd, events, EVENT_COUNT, 0);

    for (int i = 0; i < count; i++)
        handle(observer, events[i].data.ptr, now_ns);
    age_readers(observer, now_ns);
    call_due(observer, now_ns);
    admit_waiting(observer, now_ns);
    while ((node = list_pop_front(&observer->leaving)) != NULL)
        destroy(observer, LIST_OWNER(node, struct observed, lane_node));
}

bool observer_bury(struct observer *observer, int32_t pid, uint64_t now_ns)
{
    struct list *lanes[] = {&observer->quick, &observer->slow, &observer->condemned};

    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        LIST_EACH (node, lanes[i]) {
            struct observed *home = LIST_OWNER(node, struct observed, lane_node);

            if (home->reader.pid != pid)
                continue;
            end_reading(observer, home, now_ns);
            return true;
        }
    }
    return false;
}

struct status observer_open(struct observer *observer, const struct spawn_plan *plan_of_readers)
{
    *observer = (struct observer){.plan = plan_of_readers, .lookout = {.fd = -1}};
    observer->fd = epoll_create1(EPOLL_CLOEXEC);
    if (observer->fd < 0)
        return status_make(STATUS_UNAVAILABLE, "cannot observe homes: %s", strerror(errno));
    want_lookout(observer);
    return status_ok();
}

void observer_plan_changed(struct observer *observer, const struct spawn_plan *plan_of_readers, bool differs,
                           uint64_t now_ns)
{
    observer->plan = plan_of_readers;
    for (struct observed *home = observer->by_id; differs && home != NULL; home = home->handle.next)
        stir(observer, home, now_ns);
}

static void abandon(struct observer *observer, struct observed *home)
{
    if (home->reader.pid != 0)
        reader_abandon(&home->reader);
    destroy(observer, home);
}

void observer_close(struct observer *observer)
{
    struct list *lists[] = {&observer->condemned, &observer->leaving}; /* those not known by id any more */
    struct observed *home, *next;

    if (observer->fd < 0)
        return;
    for (home = observer->by_id; home != NULL; home = next) {
        next = home->handle.next;
        HASH_DELETE(handle, observer->by_id, home);
        abandon(observer, home);
    }
    for (size_t i = 0; i < 2; i++) {
        while ((home = first_of(lists[i])) != NULL)
            abandon(observer, home);
    }
    lookout_close(&observer->lookout);
    heap_fini(&observer->due);
    close(observer->fd);
    observer->fd = -1;
}
