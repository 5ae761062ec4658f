/* What lies below a lease: processes, and the socketpairs between them.
 *
 *     bench-workers round-trip SECONDS              one byte to another process and back, by a thread that is woken for
 *                                                   it and wakes who asked: what a lease can't be faster than
 *     bench-workers pool SECONDS COUNT WORKER       COUNT of these workers, each with a thread that writes a request's
 *                                                   line and parses the answer's, over and over
 *     bench-workers one SECONDS WORKER              the same with one worker, one line after the other
 *     bench-workers spawn COUNT WORKER              posix_spawn to first answer to end, one after the other
 *
 * Each prints one JSON document, latencies in microseconds. */
#include "tests/bench/common.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKER_COUNT_MAX = 256, LINE_SIZE_MAX = 65536 };

extern char **environ;

static void die(const char *what)
{
    fprintf(stderr, "bench-workers: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void tell(const struct histogram *histogram, double seconds)
{
    printf("{\"rate\":%.1f,", (double)histogram->count / seconds);
    print_latency(stdout, histogram);
    puts("}");
}

/* ---- a worker on a socketpair ---- */

struct worker {
    pid_t pid;
    int fd;
    pthread_t thread;
    uint64_t end_ns;
    struct histogram latency;
};

static void start_worker(struct worker *worker, char *program)
{
    posix_spawn_file_actions_t actions;
    char *words[] = {program, NULL};
    int fds[2], error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        die("socketpair");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    error = posix_spawn(&worker->pid, program, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        errno = error;
        die(program);
    }
    close(fds[1]);
    worker->fd = fds[0];
}

static void end_worker(struct worker *worker)
{
    close(worker->fd);
    waitpid(worker->pid, NULL, 0);
}

static size_t read_line(int fd, char *line)
{
    size_t size = 0;

    while (size == 0 || line[size - 1] != '\n') {
        ssize_t got = read(fd, line + size, LINE_SIZE_MAX - size);

        if (got <= 0)
            die("read");
        size += (size_t)got;
    }
    return size;
}

/* One request and its answer, written and parsed as JSON. */
static void ask(struct worker *worker, json_int_t id)
{
    char line[LINE_SIZE_MAX];
    json_t *request = json_pack("{s:I, s:s, s:s, s:s, s:i}", "id", id, "provider", "openrouter", "api_key", "",
                                "env_var", "OPENROUTER_API_KEY", "timeout_ms", 30000);
    size_t size = json_dumpb(request, line, sizeof line - 1, JSON_COMPACT);
    json_t *answer;

    json_decref(request);
    line[size++] = '\n';
    if (write(worker->fd, line, size) != (ssize_t)size)
        die("write");
    size = read_line(worker->fd, line);
    answer = json_loadb(line, size, 0, NULL);
    if (json_integer_value(json_object_get(answer, "id")) != id)
        die("an answer to another question");
    json_decref(answer);
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;

    for (json_int_t id = 1;; id++) {
        uint64_t begun_ns = now_ns();

        if (begun_ns >= worker->end_ns)
            return NULL;
        ask(worker, id);
        histogram_add(&worker->latency, now_ns() - begun_ns);
    }
}

static void pool(double seconds, size_t count, char *program)
{
    static struct histogram sum;
    struct worker *workers = calloc(count, sizeof *workers);
    uint64_t begun_ns;

    if (workers == NULL)
        die("workers");
    for (size_t i = 0; i < count; i++) {
        start_worker(&workers[i], program);
        ask(&workers[i], 1);
    }
    begun_ns = now_ns();
    for (size_t i = 0; i < count; i++) {
        workers[i].end_ns = begun_ns + (uint64_t)(seconds * 1e9);
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0)
            die("thread");
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        histogram_merge(&sum, &workers[i].latency);
    }
    tell(&sum, (double)(now_ns() - begun_ns) / 1e9);
    for (size_t i = 0; i < count; i++)
        end_worker(&workers[i]);
    free(workers);
}

/* ---- one process after the other ---- */

static void print_named(const char *name, const struct histogram *histogram, const char *end)
{
    printf("\"%s\":{", name);
    print_latency(stdout, histogram);
    printf("}%s", end);
}

static void spawn(size_t count, char *program)
{
    static struct histogram call, first_answer, whole;

    for (size_t i = 0; i < count; i++) {
        struct worker worker;
        uint64_t begun_ns = now_ns();

        start_worker(&worker, program);
        histogram_add(&call, now_ns() - begun_ns);
        ask(&worker, 1);
        histogram_add(&first_answer, now_ns() - begun_ns);
        end_worker(&worker);
        histogram_add(&whole, now_ns() - begun_ns);
    }
    putchar('{');
    print_named("call", &call, ",");
    print_named("first_answer", &first_answer, ",");
    print_named("whole", &whole, "}\n");
}

/* ---- a byte there and back ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool asked, answered, over;
    int fd;
} hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void exchange(int fd)
{
    char byte = 'x';

    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
        die("exchange");
}

/* The thread that is woken for it, as a handler is for a lease. */
static void *run_hand(void *argument)
{
    pthread_mutex_lock(&hand.lock);
    while (!hand.over) {
        if (!hand.asked) {
            pthread_cond_wait(&hand.changed, &hand.lock);
            continue;
        }
        hand.asked = false;
        pthread_mutex_unlock(&hand.lock);
        exchange(hand.fd);
        pthread_mutex_lock(&hand.lock);
        hand.answered = true;
        pthread_cond_broadcast(&hand.changed);
    }
    pthread_mutex_unlock(&hand.lock);
    return argument;
}

static void ask_hand(void)
{
    pthread_mutex_lock(&hand.lock);
    hand.asked = true;
    pthread_cond_broadcast(&hand.changed);
    while (!hand.answered)
        pthread_cond_wait(&hand.changed, &hand.lock);
    hand.answered = false;
    pthread_mutex_unlock(&hand.lock);
}

/* The other process. */
static void echo_bytes(int fd)
{
    char byte;

    while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
        continue;
    _exit(0);
}

static void round_trip(double seconds)
{
    static struct histogram latency;
    pthread_t thread;
    int fds[2];
    uint64_t begun_ns, now;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        die("socketpair");
    child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        close(fds[0]);
        echo_bytes(fds[1]);
    }
    close(fds[1]);
    hand.fd = fds[0];
    if (pthread_create(&thread, NULL, run_hand, NULL) != 0)
        die("thread");
    begun_ns = now_ns();
    do {
        uint64_t from_ns = now_ns();

        ask_hand();
        now = now_ns();
        histogram_add(&latency, now - from_ns);
    } while (now - begun_ns < (uint64_t)(seconds * 1e9));
    tell(&latency, (double)(now - begun_ns) / 1e9);
    pthread_mutex_lock(&hand.lock);
    hand.over = true;
    pthread_cond_broadcast(&hand.changed);
    pthread_mutex_unlock(&hand.lock);
    pthread_join(thread, NULL);
    close(fds[0]);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "round-trip") == 0)
        round_trip(atof(argv[2]));
    else if (argc == 4 && strcmp(argv[1], "one") == 0)
        pool(atof(argv[2]), 1, argv[3]);
    else if (argc == 5 && strcmp(argv[1], "pool") == 0 && atol(argv[3]) > 0 && atol(argv[3]) <= WORKER_COUNT_MAX)
        pool(atof(argv[2]), (size_t)atol(argv[3]), argv[4]);
    else if (argc == 4 && strcmp(argv[1], "spawn") == 0)
        spawn((size_t)atol(argv[2]), argv[3]);
    else {
        fprintf(stderr, "usage: bench-workers round-trip SECONDS | one SECONDS WORKER | pool SECONDS COUNT WORKER | "
                        "spawn COUNT WORKER\n");
        return 2;
    }
    return 0;
}
