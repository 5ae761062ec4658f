/* sim-mutants: the simulation put to the test.  Switches on one mistake of the engine after another
 * (server/engine/mutant.h) and plays seeds until one of them notices.
 *
 * Each mistake is played in a process of its own, since a mistaken engine may end it; which seed it was stands in memory
 * that both share.  Prints in how many seeds each mistake dies; exit status 1 if one outlives them all. */
#include "server/base/secret.h"
#include "server/engine/mutant.h"
#include "tests/sim/knobs.h"
#include "tests/sim/verdict.h"
#include "tests/sim/world.h"

#include <argp.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEED_COUNT_DEFAULT = 2000 };

enum engine_mutant engine_mutant;

static const struct {
    const char *name, *text;
} mutants[ENGINE_MUTANT_COUNT] = {
#define MUTANT_ROW(name, text) [ENGINE_MUTANT_##name] = {#name, text},
    ENGINE_MUTANTS(MUTANT_ROW)
#undef MUTANT_ROW
};

static struct {
    uint64_t count;
    const char *only; /* NULL: all */
} options = {.count = SEED_COUNT_DEFAULT};

/* Written by the process that plays. */
struct story {
    uint64_t seed; /* being played */
    bool over;     /* all of them were */
    char text[256];
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    char *end;

    switch (key) {
    case 'c':
        options.count = strtoull(argument, &end, 10);
        if (end == argument || *end != '\0' || options.count == 0)
            argp_error(state, "--count takes a number above 0, not \"%s\"", argument);
        return 0;
    case 'm':
        options.only = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option argp_options[] = {
    {"count", 'c', "N", 0, "Play seeds 1 to N for each (default 2000)", 0},
    {"mutant", 'm', "NAME", 0, "Only this one", 0},
    {0},
};

static NO_RETURN void play_until_noticed(struct story *story)
{
    const struct knobs knobs = {0};
    struct world_totals totals = {0};

    for (story->seed = 1; story->seed <= options.count; story->seed++) {
        if (setjmp(*verdict_begin(TRACE_OFF)) != 0) {
            snprintf(story->text, sizeof story->text, "%s: %s", verdict_rule_name(verdict_rule()), verdict_text());
            _exit(1);
        }
        world_run(story->seed, &knobs, &totals);
    }
    story->over = true;
    _exit(0);
}

/* Whether a seed noticed it. */
static bool try_mutant(enum engine_mutant mutant, struct story *story)
{
    pid_t pid;

    *story = (struct story){0};
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

        dup2(nowhere, STDERR_FILENO); /* an invariant that breaks says so, which is what is hoped for */
        engine_mutant = mutant;
        play_until_noticed(story);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid) {
        perror("sim-mutants");
        exit(70);
    }
    return !story->over;
}

static bool is_wanted(enum engine_mutant mutant)
{
    return options.only == NULL || strcmp(options.only, mutants[mutant].name) == 0;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .doc = "Plays the simulation against an engine with a mistake, for each mistake there is.",
    };
    unsigned tried_count = 0, survivor_count = 0;
    struct story *story = mmap(NULL, sizeof *story, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    if (story == MAP_FAILED) {
        perror("sim-mutants");
        return 70;
    }
    for (enum engine_mutant mutant = ENGINE_MUTANT_NONE + 1; mutant < ENGINE_MUTANT_COUNT; mutant++) {
        if (!is_wanted(mutant))
            continue;
        tried_count++;
        if (try_mutant(mutant, story)) {
            printf("%-26s dies of seed %-5" PRIu64 " %s\n", mutants[mutant].name, story->seed,
                   story->text[0] == '\0' ? "ended the process" : story->text);
        } else {
            survivor_count++;
            printf("%-26s SURVIVES %" PRIu64 " seeds: %s\n", mutants[mutant].name, options.count, mutants[mutant].text);
        }
    }
    printf("%u of %u mutants killed\n", tried_count - survivor_count, tried_count);
    return survivor_count == 0 && tried_count > 0 ? 0 : 1;
}
