/* probectl: probed's command line.  Here are the global options and the table of commands; each command has its own
 * file, command.c is what they share. */
#include "client/probectl/command.h"

#include "proto/nng_shim.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static const struct command commands[] = {
    {"probe", "how much of an account is used up", command_probe},
    {"invalidate", "forget what older credentials answered", command_invalidate},
    {"watch", "a line for each change of credentials", command_watch},
    {"sync", "how often a home's credentials have changed", command_sync},
    {"homes", "the homes that the daemon knows", command_homes},
    {"workers", "its worker processes", command_workers},
    {"status", "how the daemon does", command_status},
    {"top", "the daemon live, in a terminal", command_top},
    {"health", "whether it serves calls", command_health},
    {"call", "any method, with packed messages", command_call},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

struct top_options {
    struct command_options common;
    int command_index; /* of the command's name in argv */
};

/* Global options up to the first word, which is the command: the rest is that one's. */
static error_t parse_top(int key, char *argument, struct argp_state *state)
{
    struct top_options *options = state->input;

    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        break;
    case ARGP_KEY_ARG:
        options->command_index = state->next - 1;
        state->next = state->argc;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command?");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The page of --help ends with the table above. */
static char *make_doc(void)
{
    char *doc = NULL;
    size_t size;
    FILE *out = open_memstream(&doc, &size);

    if (out == NULL)
        return NULL;
    fputs("Asks probed how much of AI accounts is used up, and tells it when their credentials have "
          "changed.\vCommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-12s%s\n", commands[i].name, commands[i].summary);
    fputs("\n\"probectl COMMAND --help\" tells the options of one.\n\nExit status: 0: OK; 1: an account has nothing to "
          "show; "
          "2: wrong usage; 69: the daemon can't be reached; 70: any other call that failed.",
          out);
    return fclose(out) == 0 ? doc : NULL;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static enum command_exit run_command(int argc, char **argv, struct top_options *options)
{
    const char *given = argv[options->command_index];
    const struct command *command = find_command(given);
    char name[64];

    if (command == NULL) {
        fprintf(stderr, "%s: no command \"%.64s\"; --help lists them\n", program_invocation_short_name, given);
        return COMMAND_USAGE;
    }
    snprintf(name, sizeof name, "probectl %s", command->name);
    argv[options->command_index] = name; /* what argp calls the program in its messages */
    return command->run(argc - options->command_index, argv + options->command_index, &options->common);
}

int main(int argc, char **argv)
{
    char *doc = make_doc();
    struct argp argp = {.parser = parse_top, .args_doc = "COMMAND ...", .doc = doc, .children = command_children};
    struct top_options options = {.command_index = 0};
    enum command_exit result;

    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C"); /* seconds are written with a point, and JSON is */
    argp_program_version = "probectl " PROBED_VERSION;
    argp_err_exit_status = COMMAND_USAGE;
    if (!nng_shim_active()) {
        fprintf(stderr, "%s: libnng does not reach its cure; it was not linked as it should be\n",
                program_invocation_short_name);
        return COMMAND_FAILED;
    }
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &options);
    result = run_command(argc, argv, &options);
    free(doc);
    return (int)result;
}
