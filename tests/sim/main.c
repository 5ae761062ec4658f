/* sim: the engine under seeds.  Plays them one by one, says what broke and how to see it again. */
#include "tests/sim/shrink.h"
#include "tests/sim/verdict.h"
#include "tests/sim/world.h"

#include "proto/compiler.h"
#include "server/base/clock.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if SANITIZED
#include <sanitizer/common_interface_defs.h>
enum { SEED_COUNT_DEFAULT = 200 };
#else
#include <signal.h>
enum { SEED_COUNT_DEFAULT = 2000 };
#endif

static struct {
    uint64_t first, last;
    bool trace, as_it_is;
    struct knobs knobs;
    const char *regressions;
    uint64_t shown_count;
} options = {.first = 1, .last = SEED_COUNT_DEFAULT, .shown_count = 5};

static struct {
    uint64_t passed, failed;
    uint64_t by_rule[RULE_COUNT];
    struct world_totals totals;
    char playing[64]; /* what to say should the process die of this seed */
} results;

/* ---- options ---- */

static bool parse_number(const char *text, const char **end_out, uint64_t *number_out)
{
    char *end;

    errno = 0;
    *number_out = strtoull(text, &end, 0);
    *end_out = end;
    return end != text && errno == 0 && text[0] != '-';
}

static bool parse_seeds(const char *text)
{
    const char *end;

    if (!parse_number(text, &end, &options.first) || strncmp(end, "..", 2) != 0)
        return false;
    return parse_number(end + 2, &end, &options.last) && *end == '\0' && options.first <= options.last;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    const char *end = NULL;
    uint64_t number = 0;

    switch (key) {
    case 's':
        if (!parse_number(argument, &end, &number) || *end != '\0')
            argp_error(state, "--seed takes a number, not \"%s\"", argument);
        options.first = options.last = number;
        return 0;
    case 'r':
        if (!parse_seeds(argument))
            argp_error(state, "--seeds takes FIRST..LAST, not \"%s\"", argument);
        return 0;
    case 'c':
        if (!parse_number(argument, &end, &number) || *end != '\0' || number == 0)
            argp_error(state, "--count takes a number above 0, not \"%s\"", argument);
        options.first = 1;
        options.last = number;
        return 0;
    case 't':
        options.trace = true;
        return 0;
    case 'k':
        if (!knobs_parse(&options.knobs, argument))
            argp_error(state, "--set takes NAME=NUMBER, and there is no \"%s\"", argument);
        return 0;
    case 'n':
        if (!parse_number(argument, &end, &options.shown_count) || *end != '\0')
            argp_error(state, "--show takes a number, not \"%s\"", argument);
        return 0;
    case 'a':
        options.as_it_is = true;
        return 0;
    case 'f':
        options.regressions = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option argp_options[] = {
    {"seed", 's', "N", 0, "Play one seed", 0},
    {"seeds", 'r', "FIRST..LAST", 0, "Play these seeds", 0},
    {"count", 'c', "N", 0, "Play seeds 1 to N (default: $PROBED_SIM_COUNT, else 2000, under sanitizers 200)", 0},
    {"trace", 't', NULL, 0, "Print what happens as it happens", 0},
    {"set", 'k', "NAME=NUMBER", 0, "Turn the world down: arrivals, homes, uids, … (knobs.c has them all)", 0},
    {"show", 'n', "COUNT", 0, "Tell of so many that fail, with their last steps (default: 5)", 0},
    {"as-it-is", 'a', NULL, 0, "Do not shrink what fails", 0},
    {"regressions", 'f', "FILE", 0, "Play the seeds listed in FILE, one a line, # begins a comment", 0},
    {0},
};

/* ---- dying ---- */

/* The last word of a process that an error of memory ends: which seed did it. */
static void say_seed(void)
{
    if (write(STDERR_FILENO, results.playing, strlen(results.playing)) < 0)
        return;
}

#if SANITIZED
static void prepare_for_death(void)
{
    __sanitizer_set_death_callback(say_seed);
}
#else
static void die_of(int signal_number)
{
    say_seed();
    raise(signal_number); /* whose default action is back in force */
}

static void prepare_for_death(void)
{
    static const int deaths[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_handler = die_of, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++)
        sigaction(deaths[i], &action, NULL);
}
#endif

/* ---- playing ---- */

static bool play(uint64_t seed, const struct knobs *knobs, enum trace_mode mode, struct world_totals *totals)
{
    if (setjmp(*verdict_begin(mode)) != 0)
        return false;
    world_run(seed, knobs, totals);
    return true;
}

static bool play_in_silence(uint64_t seed, const struct knobs *knobs)
{
    struct world_totals totals = {0};

    return play(seed, knobs, TRACE_OFF, &totals);
}

static void print_command(uint64_t seed, const struct knobs *knobs)
{
    printf("  replay it with: sim --seed %" PRIu64, seed);
    for (unsigned knob = 0; knob < knobs_count(); knob++)
        if (knobs->turned[knob])
            printf(" --set %s=%" PRIu64, knobs_name(knob), knobs->values[knob]);
    printf(" --trace\n");
}

/* A seed that failed is made as short as it can be, and played again for its last lines; that costs the others
 * nothing. */
static void show(uint64_t seed)
{
    struct world_totals again = {0};
    struct knobs knobs = options.knobs;

    printf("seed %" PRIu64 " broke a promise: %s\n", seed, verdict_text());
    if (options.trace)
        return;
    if (!options.as_it_is)
        printf("  shrunk in %u worlds\n", shrink(seed, verdict_rule(), play_in_silence, &knobs));
    if (play(seed, &knobs, TRACE_KEPT, &again))
        printf("  and kept it when played again: the simulation is not deterministic\n");
    else
        printf("  %s\n", verdict_text());
    verdict_print_kept();
    print_command(seed, &knobs);
}

static void play_seed(uint64_t seed)
{
    snprintf(results.playing, sizeof results.playing, "sim: died of seed %" PRIu64 "\n", seed);
    if (play(seed, &options.knobs, options.trace ? TRACE_PRINTED : TRACE_OFF, &results.totals)) {
        results.passed++;
        return;
    }
    results.by_rule[verdict_rule()]++;
    if (results.failed++ < options.shown_count)
        show(seed);
    fflush(stdout);
}

static int play_regressions(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];

    if (file == NULL) {
        fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        const char *end;
        uint64_t seed;

        if (line[strspn(line, " \t\n")] != '#' && parse_number(line, &end, &seed))
            play_seed(seed);
    }
    fclose(file);
    return 0;
}

static void print_results(uint64_t took_ns)
{
    double seconds = (double)(took_ns == 0 ? 1 : took_ns) / 1e9, hours = (double)results.totals.virtual_ns / 3.6e12;

    printf("%" PRIu64 " seeds, %" PRIu64 " steps, %.1f virtual hours in %.1f s: %.0f steps and %.0f virtual seconds a "
           "second\n",
           results.passed + results.failed, results.totals.steps, hours, seconds,
           (double)results.totals.steps / seconds, (double)results.totals.virtual_ns / 1e9 / seconds);
    for (enum rule rule = RULE_NONE; rule < RULE_COUNT; rule++)
        if (results.by_rule[rule] > 0)
            printf("broken: %s, in %" PRIu64 " seeds\n", verdict_rule_name(rule), results.by_rule[rule]);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", results.passed, results.failed);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .doc = "Plays the engine in a simulated world, each from one seed, and judges every step of it.",
    };
    const char *count = getenv("PROBED_SIM_COUNT"), *end;
    uint64_t number, started_ns;

    if (count != NULL && parse_number(count, &end, &number) && *end == '\0' && number > 0)
        options.last = number;
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    prepare_for_death();
    started_ns = clock_now_ns();
    if (options.regressions == NULL) {
        for (uint64_t seed = options.first; seed <= options.last && seed >= options.first; seed++)
            play_seed(seed);
    } else if (play_regressions(options.regressions) != 0) {
        return 70;
    }
    print_results(clock_now_ns() - started_ns);
    if (results.failed == 0)
        return 0;
    fflush(NULL);
    _Exit(1); /* a broken run leaves its memory behind, which is no news to a leak checker */
}
