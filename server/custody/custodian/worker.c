/* The table of workers, their signals and their ends; see worker.h. */
#include "server/custody/custodian/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TO(state) (1u << (state))

/*  STARTING --exec'd--> RUNNING;   STARTING, RUNNING --end--> ENDING --grace--> KILLED;   any but REAPED --kill-->
 * KILLED; any --its process ended--> REAPED --reported--> forgotten  */
static const unsigned worker_may_become[WORKER_STATE_COUNT] = {
    [WORKER_STARTING] = TO(WORKER_RUNNING) | TO(WORKER_ENDING) | TO(WORKER_KILLED) | TO(WORKER_REAPED),
    [WORKER_RUNNING] = TO(WORKER_ENDING) | TO(WORKER_KILLED) | TO(WORKER_REAPED),
    [WORKER_ENDING] = TO(WORKER_KILLED) | TO(WORKER_REAPED),
    [WORKER_KILLED] = TO(WORKER_REAPED),
};

struct worker *workers_add(struct workers *workers, uint64_t id, char *home, const struct spawned *spawned)
{
    struct worker *worker = calloc(1, sizeof *worker);
    bool added;

    if (worker == NULL || !heap_reserve(&workers->kills)) {
        free(worker);
        return NULL;
    }
    worker->id = id;
    MAP_ADD(handle, workers->by_id, &worker->id, sizeof worker->id, map_hash_id(id), worker, added);
    if (!added) {
        heap_unreserve(&workers->kills);
        free(worker);
        return NULL;
    }
    worker->home = home;
    worker->pid = spawned->pid;
    worker->pidfd = spawned->pidfd;
    worker->word_fd = spawned->word_fd;
    chatter_init(&worker->chatter, id, home, spawned->error_fd);
    worker->end = (struct source){SOURCE_END, worker};
    worker->word = (struct source){SOURCE_WORD, worker};
    worker->error = (struct source){SOURCE_CHATTER, worker};
    list_push_back(&workers->in_state[WORKER_STARTING], &worker->state_node);
    workers->count++;
    return worker;
}

struct worker *workers_find(const struct workers *workers, uint64_t id)
{
    struct worker *worker;

    HASH_FIND_BYHASHVALUE(handle, workers->by_id, &id, sizeof id, map_hash_id(id), worker);
    return worker;
}

struct worker *workers_find_pid(const struct workers *workers, int32_t pid)
{
    for (enum worker_state state = WORKER_STARTING; state < WORKER_REAPED; state++) {
        LIST_EACH (node, &workers->in_state[state]) {
            struct worker *worker = LIST_OWNER(node, struct worker, state_node);

            if (worker->pid == pid)
                return worker;
        }
    }
    return NULL;
}

void workers_move(struct workers *workers, struct worker *worker, enum worker_state next)
{
    INVARIANT((worker_may_become[worker->state] & TO(next)) != 0);
    worker->state = next;
    list_move(&workers->in_state[next], &worker->state_node);
}

void workers_forget(struct workers *workers, struct worker *worker)
{
    INVARIANT(worker->state == WORKER_REAPED && worker->pidfd < 0 && worker->word_fd < 0 && worker->chatter.fd < 0);
    HASH_DELETE(handle, workers->by_id, worker);
    list_remove(&worker->state_node);
    list_remove(&worker->report_node);
    list_remove(&worker->window_node);
    heap_clear(&workers->kills, &worker->kill_due);
    heap_unreserve(&workers->kills);
    workers->count--;
    free(worker->home);
    free(worker);
}

void worker_signal(const struct worker *worker, int number)
{
    INVARIANT(worker->state != WORKER_REAPED);
    if (kill(-worker->pid, number) < 0 && errno == ESRCH)
        pidfd_send_signal(worker->pidfd, number, NULL, 0);
}

bool worker_hear_child(struct worker *worker)
{
    struct spawn_word word;
    ssize_t size;

    while ((size = read(worker->word_fd, &word, sizeof word)) == (ssize_t)sizeof word) {
        worker->last_word = word;
        worker->has_spoken = true;
    }
    return size < 0 && (errno == EAGAIN || errno == EINTR);
}

bool worker_was_started(const struct worker *worker)
{
    return worker->has_spoken && worker->last_word.error == 0;
}

/* Its state and how often it went to sleep, of /proc/<pid>/status. */
static bool read_sleep(int32_t pid, char *state_out, uint64_t *count_out)
{
    char path[32], line[256];
    int found = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL)
        found += sscanf(line, "State: %c", state_out) == 1 ||
                 sscanf(line, "voluntary_ctxt_switches: %" SCNu64, count_out) == 1;
    fclose(file);
    return found == 2;
}

bool worker_is_stuck(struct worker *worker, uint64_t now_ns, uint64_t sleep_ns)
{
    uint64_t count;
    char state;

    if (!read_sleep(worker->pid, &state, &count) || (state != 'S' && state != 'D')) {
        worker->asleep_ns = 0;
        return false;
    }
    if (worker->asleep_ns == 0 || count != worker->sleep_count) {
        worker->asleep_ns = now_ns;
        worker->sleep_count = count;
    }
    return now_ns - worker->asleep_ns >= sleep_ns;
}

static const char hung_start[] = "the worker's start hung, perhaps at the home's file system";

static struct status describe_end(const struct worker *worker, const siginfo_t *end, const char *program)
{
    const char *before = worker->has_spoken ? "" : " before it was exec'd";

    if (worker->has_spoken && worker->last_word.error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot start the worker %s: %s: %s", program,
                           spawn_step_name(worker->last_word.step), strerror(worker->last_word.error));
    if (worker->hung)
        return status_make(STATUS_UNAVAILABLE, "%s", hung_start);
    if (end->si_code == CLD_EXITED)
        return status_make(STATUS_UNAVAILABLE, "the worker exited with status %d%s", end->si_status, before);
    return status_make(STATUS_UNAVAILABLE, "the worker was killed by signal %d (%s)%s", end->si_status,
                       strsignal(end->si_status), before);
}

void worker_give_up(struct worker *worker)
{
    worker->cause =
        status_make(STATUS_UNAVAILABLE, "%s",
                    worker->hung ? hung_start : "the worker was killed and does not die: the kernel holds it");
}

void worker_reap(struct worker *worker, const char *program)
{
    siginfo_t end = {0};
    int error;

    kill(-worker->pid, SIGKILL); /* while the leader is unreaped its group's number is nobody else's */
    do {
        error = waitid(P_PIDFD, (id_t)worker->pidfd, &end, WEXITED) < 0 ? errno : 0;
    } while (error == EINTR);
    INVARIANT(error == 0);
    worker->cause = describe_end(worker, &end, program);
}
