/* scripted-worker: speaks the worker protocol (proto/README.md 5) and misbehaves on request.
 *
 * What it does with a request is decided by the provider it is asked for: the table at the end.  What it does before
 * any request, by the words in the file `start` of its home.  It holds its credential as a real worker does: the
 * content of the file `credential`, read when it starts, is the `plan` of every answer, so that a test can tell an
 * answer from before a rotation from one after it.
 *
 * Everything it is asked is one line in the file `log` of its home, written before it does anything about it:
 *
 *     start <pid>
 *     ask <pid> <request id> <provider> <size of the api_key>
 *
 * A gate is the FIFO `gate` of its home: whoever waits at it goes on for each byte that the test writes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CREDENTIAL_SIZE_MAX = 60, LOG_LINE_SIZE_MAX = 256 };

struct request {
    json_int_t id;
    const char *provider; /* lent, as is the key */
    const char *argument; /* what stands behind the behaviour's name: "slow-50" has "50" */
    const char *api_key;
    size_t api_key_size;
    unsigned number; /* of this process, from 1 */
};

static char credential[CREDENTIAL_SIZE_MAX + 1];
static bool deaf; /* to SIGTERM and to the end of the input */

/* ---- small tools ---- */

static void write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, bytes, size);

        if (count < 0 && errno != EINTR)
            exit(3); /* nobody listens any more */
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        }
    }
}

static void say(const char *text)
{
    write_all(STDOUT_FILENO, text, strlen(text));
}

static void write_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void write_log(const char *format, ...)
{
    char line[LOG_LINE_SIZE_MAX];
    va_list arguments;
    int size, fd = open("log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

    va_start(arguments, format);
    size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (fd < 0)
        return;
    write_all(fd, line, (size_t)size); /* one write, so that lines of several workers do not mix */
    close(fd);
}

/* Reads a small file of the home; "" when there is none.  A line end at its end is dropped. */
static void read_file(const char *name, char *text, size_t size)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? 0 : read(fd, text, size - 1);

    text[count < 0 ? 0 : count] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (fd >= 0)
        close(fd);
}

static void wait_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static void wait_for_ever(void)
{
    for (;;)
        pause();
}

static void become_deaf(void)
{
    deaf = true;
    signal(SIGTERM, SIG_IGN);
}

/* How often this home's workers were asked for this provider, this request included. */
static unsigned count_asked(const char *provider)
{
    char line[LOG_LINE_SIZE_MAX], asked[LOG_LINE_SIZE_MAX];
    FILE *file = fopen("log", "re");
    unsigned count = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += sscanf(line, "ask %*d %*d %255s", asked) == 1 && strcmp(asked, provider) == 0;
    if (file != NULL)
        fclose(file);
    return count;
}

/* ---- answering ---- */

/* FNV-1a, so that a test can see that a large key came through whole. */
static uint64_t hash(const char *bytes, size_t size)
{
    uint64_t value = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    return value;
}

static void answer_as(json_int_t id, const char *provider, const struct request *request)
{
    json_t *details = json_pack(
        "[o, o, o, o]", json_sprintf("pid %d", (int)getpid()), json_sprintf("request %u", request->number),
        json_sprintf("uid %u", (unsigned)getuid()),
        json_sprintf("key %zu %016" PRIx64, request->api_key_size, hash(request->api_key, request->api_key_size)));
    json_t *answer =
        json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:i}], s:o, s:b}", "id", id, "provider", provider, "status",
                  "ok", "source", "scripted", "title", "Scripted account", "plan", credential, "windows", "label",
                  "Requests", "used_percent", 12, "details", details, "available", 1);
    char *line = json_dumps(answer, JSON_COMPACT);

    if (line == NULL)
        exit(4);
    say(line);
    say("\n");
    free(line);
    json_decref(answer);
}

static void answer(const struct request *request)
{
    answer_as(request->id, request->provider, request);
}

/* ---- behaviours: states of the account ---- */

/* As the file `account` of its home says: "status [retry_after_s [min_interval_s]]", or "die". */
static void act_account(const struct request *request)
{
    char text[CREDENTIAL_SIZE_MAX + 1], status[32] = "ok";
    int retry_after_s = 0, interval_s = 0;
    json_t *json;
    char *line;

    read_file("account", text, sizeof text);
    sscanf(text, "%31s %d %d", status, &retry_after_s, &interval_s);
    if (strcmp(status, "die") == 0)
        exit(1);
    if (strcmp(status, "ok") == 0) {
        answer(request);
        return;
    }
    json = json_pack("{s:I, s:s, s:s, s:b, s:s}", "id", request->id, "provider", request->provider, "status", status,
                     "available", 0, "unavailable_reason", "Scripted.");
    if (retry_after_s > 0)
        json_object_set_new(json, "retry_after_s", json_integer(retry_after_s));
    if (interval_s > 0)
        json_object_set_new(json, "min_interval_s", json_integer(interval_s));
    line = json_dumps(json, JSON_COMPACT);
    if (line == NULL)
        exit(4);
    say(line);
    say("\n");
    free(line);
    json_decref(json);
}

/* ---- behaviours: slow ---- */

static void act_slow(const struct request *request)
{
    wait_ms(atol(request->argument));
    answer(request);
}

static void act_gate(const struct request *request)
{
    char byte;
    int fd = open("gate", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, &byte, 1) != 1)
        exit(5);
    close(fd);
    answer(request);
}

static void act_stall(const struct request *request)
{
    (void)request;
    wait_for_ever();
}

static void act_stall_deaf(const struct request *request)
{
    (void)request;
    become_deaf();
    wait_for_ever();
}

static void act_deaf(const struct request *request)
{
    become_deaf();
    answer(request);
}

/* Answers, and leaves a child behind that is as deaf and holds its pipes. */
static void act_brood(const struct request *request)
{
    pid_t child = fork();

    if (child == 0) {
        become_deaf();
        write_log("start %d\n", (int)getpid());
        wait_for_ever();
    }
    answer(request);
}

/* ---- behaviours: deaths ---- */

static void act_die(const struct request *request)
{
    (void)request;
    exit(1);
}

/* Only the first request of the home for this provider. */
static void act_die_first(const struct request *request)
{
    if (count_asked(request->provider) == 1)
        exit(1);
    answer(request);
}

static void act_half(const struct request *request)
{
    (void)request;
    say("{\"id\":1,\"provider\":\"ha");
    exit(0);
}

static void act_close(const struct request *request)
{
    (void)request;
    close(STDOUT_FILENO);
    wait_for_ever();
}

/* A line of 600 bytes, of which so many are written before it is killed. */
static void act_cut(const struct request *request)
{
    enum { LINE_SIZE = 600 };
    char line[LINE_SIZE + 1];
    size_t count = (size_t)atol(request->argument);
    int size = snprintf(line, sizeof line,
                        "{\"id\":%" JSON_INTEGER_FORMAT
                        ",\"available\":true,\"plan\":\"cut\",\"details\":[\"whole\"],\"x\":\"",
                        request->id);

    memset(line + size, 'x', LINE_SIZE - (size_t)size);
    memcpy(line + LINE_SIZE - 3, "\"}\n", 3);
    write_all(STDOUT_FILENO, line, count < LINE_SIZE ? count : LINE_SIZE);
    kill(getpid(), SIGKILL);
}

/* A child that leaves the session, and with it the group, and holds the pipes; back once it has left. */
static void leave_child_behind(void)
{
    char byte;
    int left[2];
    pid_t child;

    if (pipe(left) < 0)
        exit(7);
    child = fork();
    if (child == 0) {
        setsid();
        become_deaf();
        write_log("start %d\n", (int)getpid());
        close(left[0]);
        close(left[1]);
        wait_for_ever();
    }
    close(left[1]);
    if (read(left[0], &byte, 1) != 0)
        exit(7);
    close(left[0]);
}

/* As hard to be rid of as can be: deaf, with a deaf child in its group and one that has left it. */
static void act_litter(const struct request *request)
{
    become_deaf();
    leave_child_behind();
    act_brood(request);
}

/* Dies when it is first asked, and leaves such a child behind; answers the second time. */
static void act_orphan(const struct request *request)
{
    if (count_asked(request->provider) == 1) {
        leave_child_behind();
        kill(getpid(), SIGKILL);
    }
    answer(request);
}

/* The answer and the end of file in one go, as far as a pipe allows. */
static void act_answer_and_exit(const struct request *request)
{
    answer(request);
    exit(0);
}

/* ---- behaviours: lies ---- */

static void act_garbage(const struct request *request)
{
    (void)request;
    say("Traceback (most recent call last):\n");
}

static void act_nan(const struct request *request)
{
    (void)request;
    say("{\"available\":true,\"windows\":[{\"label\":\"W\",\"used_percent\":NaN}]}\n");
}

static void act_array(const struct request *request)
{
    (void)request;
    say("[1,2,3]\n");
}

static void act_null(const struct request *request)
{
    (void)request;
    say("null\n");
}

static void act_deep(const struct request *request)
{
    (void)request;
    say("{\"available\":true,\"deep\":");
    for (int i = 0; i < 100000; i++)
        say("[");
    for (int i = 0; i < 100000; i++)
        say("]");
    say("}\n");
}

static void act_two(const struct request *request)
{
    (void)request;
    say("{\"available\":true,\"plan\":\"one\"}\n{\"available\":true,\"plan\":\"two\"}\n");
}

/* 1 GiB without a line end. */
static void act_flood(const struct request *request)
{
    char chunk[65536];

    (void)request;
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 16384; i++)
        write_all(STDOUT_FILENO, chunk, sizeof chunk);
    say("\n");
}

static void act_wrong_id(const struct request *request)
{
    answer_as(request->id + 1, request->provider, request);
}

static void act_wrong_provider(const struct request *request)
{
    answer_as(request->id, "somebody-else", request);
}

/* Answers, and some milliseconds later says once more what nobody asked for. */
static void act_stray(const struct request *request)
{
    answer(request);
    wait_ms(atol(request->argument));
    strcpy(credential, "stray");
    answer(request);
}

/* ---- behaviours: indiscretion ---- */

/* Says all it knows on its standard error, in the forms that programs do, and answers. */
static void act_babble(const struct request *request)
{
    const char *token = getenv("CANARY_TOKEN");

    fprintf(stderr, "Authorization: Bearer %s\n", request->api_key);
    fprintf(stderr, "connecting with key %s and {\"token\": \"%s\"}\n", request->api_key, token);
    fprintf(stderr, "CANARY_TOKEN=%s\nhttps://user:%s@host/%s?k=%s\n", token, token, token, request->api_key);
    fprintf(stderr, "%0500d %s\n", 0, request->api_key); /* cut in the middle of it */
    answer(request);
}

/* Its answer is none, and tells the key. */
static void act_parrot(const struct request *request)
{
    say(request->api_key);
    say("\n");
}

static void act_parrot_id(const struct request *request)
{
    json_t *answer = json_pack("{s:s, s:s, s:s}", "id", request->api_key, "provider", request->api_key, "status", "ok");
    char *line = json_dumps(answer, JSON_COMPACT);

    if (line == NULL)
        exit(4);
    say(line);
    say("\n");
    free(line);
    json_decref(answer);
}

/* ---- the table ---- */

struct behaviour {
    const char *name; /* one that ends in '-' takes an argument */
    void (*act)(const struct request *request);
};

/* A provider that is not here is answered at once. */
static const struct behaviour behaviours[] = {
    {"account", act_account},
    {"slow-", act_slow},
    {"gate", act_gate},
    {"stall", act_stall},
    {"stall-deaf", act_stall_deaf},
    {"deaf", act_deaf},
    {"brood", act_brood},
    {"die", act_die},
    {"die-first", act_die_first},
    {"half", act_half},
    {"close", act_close},
    {"answer-and-exit", act_answer_and_exit},
    {"cut-", act_cut},
    {"orphan", act_orphan},
    {"litter", act_litter},
    {"garbage", act_garbage},
    {"nan", act_nan},
    {"array", act_array},
    {"null", act_null},
    {"deep", act_deep},
    {"two", act_two},
    {"flood", act_flood},
    {"wrong-id", act_wrong_id},
    {"wrong-provider", act_wrong_provider},
    {"stray-", act_stray},
    {"babble", act_babble},
    {"parrot", act_parrot},
    {"parrot-id", act_parrot_id},
};

static void act(struct request *request)
{
    for (size_t i = 0; i < sizeof behaviours / sizeof behaviours[0]; i++) {
        const char *name = behaviours[i].name;
        size_t size = strlen(name);
        bool takes_argument = name[size - 1] == '-';

        if (strcmp(request->provider, name) == 0 ||
            (takes_argument && strncmp(request->provider, name, size) == 0 && request->provider[size] >= '0' &&
             request->provider[size] <= '9')) {
            request->argument = request->provider + size;
            behaviours[i].act(request);
            return;
        }
    }
    answer(request);
}

static void serve(const char *line, size_t size, unsigned number)
{
    struct request request = {.number = number};
    json_t *json = json_loadb(line, size, 0, NULL);

    if (json_unpack(json, "{s:I, s:s, s:s%}", "id", &request.id, "provider", &request.provider, "api_key",
                    &request.api_key, &request.api_key_size) != 0)
        exit(6);
    write_log("ask %d %" JSON_INTEGER_FORMAT " %s %zu\n", (int)getpid(), request.id, request.provider,
              request.api_key_size);
    act(&request);
    json_decref(json);
}

/* The words of the file `start`. */
static void start(void)
{
    char words[64];

    read_file("credential", credential, sizeof credential);
    read_file("start", words, sizeof words);
    write_log("start %d\n", (int)getpid());
    if (strstr(words, "deaf") != NULL)
        become_deaf();
    if (strstr(words, "exit") != NULL)
        exit(1);
    if (strstr(words, "close") != NULL)
        close(STDOUT_FILENO);
    if (strstr(words, "greet") != NULL)
        say("Hello!\n");
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    start();
    for (unsigned number = 1; (size = getline(&line, &capacity, stdin)) > 0; number++)
        serve(line, (size_t)size, number);
    free(line);
    if (deaf)
        wait_for_ever();
    return 0;
}
