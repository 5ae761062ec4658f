/* What probectl's commands have in common: global options, the channel, the home, how failures are said, exit statuses.
 *
 * A command parses its own words with argp, makes its calls, prints, and returns an exit status. */
#ifndef CLIENT_PROBECTL_COMMAND_H
#define CLIENT_PROBECTL_COMMAND_H

#include "client/probectl/view.h"
#include "proto/compiler.h"

#include <argp.h>
#include <probed/client.h>

/* In the order in which the worse of two wins: see command_worse(). */
enum command_exit {
    COMMAND_OK = 0,
    COMMAND_NOTHING = 1, /* an account has nothing to show */
    COMMAND_USAGE = 2,
    COMMAND_UNREACHABLE = 69, /* EX_UNAVAILABLE: there is no daemon */
    COMMAND_FAILED = 70       /* any other call that failed, or output that could not be written */
};

/* Given before or behind the command's name. */
struct command_options {
    const char *connect, *events; /* NULL: the environment, or the default */
    uint32_t timeout_ms;          /* 0: the library's */
    bool json;
    struct probed_tls tls; /* members NULL: the environment */
};

/* The parser of those; its input is the struct. */
extern const struct argp command_argp;

/* The same as a command's argp children. */
extern const struct argp_child command_children[];

/* What the parsers of commands have in common, for their `default`: hands the global options on, and, where a command
 * takes no arguments, says so: `no_arguments` is behind "takes no arguments" then, NULL where it takes some. */
error_t command_parse_common(int key, struct argp_state *state, struct command_options *common,
                             const char *no_arguments);

struct command {
    const char *name;
    const char *summary; /* one line, for --help */
    enum command_exit (*run)(int argc, char **argv, struct command_options *options);
};

enum command_exit command_probe(int argc, char **argv, struct command_options *options);
enum command_exit command_invalidate(int argc, char **argv, struct command_options *options);
enum command_exit command_watch(int argc, char **argv, struct command_options *options);
enum command_exit command_sync(int argc, char **argv, struct command_options *options);
enum command_exit command_homes(int argc, char **argv, struct command_options *options);
enum command_exit command_workers(int argc, char **argv, struct command_options *options);
enum command_exit command_status(int argc, char **argv, struct command_options *options);
enum command_exit command_top(int argc, char **argv, struct command_options *options);
enum command_exit command_health(int argc, char **argv, struct command_options *options);
enum command_exit command_call(int argc, char **argv, struct command_options *options);

/* Of several calls: no daemon before a failed call before nothing to show. */
enum command_exit command_worse(enum command_exit one, enum command_exit other);

/* For a command whose only words are global options. */
void command_parse_none(int argc, char **argv, struct command_options *options, const char *doc);

/* A non-negative number of seconds, fractions allowed, as milliseconds, rounded up; argp_error() otherwise. */
uint32_t command_parse_seconds(struct argp_state *state, const char *option, const char *text);

/* ---- homes ---- */

enum { COMMAND_HOME_SIZE = 4096 + 64 };

/* `given`, or where that is NULL $HERMES_HOME, or ~/.hermes; as an absolute path.  Says why not on standard error. */
MUST_USE bool command_home(const char *given, char out[COMMAND_HOME_SIZE]);

/* ---- calls ---- */

/* Opens a channel as the options say; says why not. */
MUST_USE enum command_exit command_open(const struct command_options *options, struct probed_channel **channel_out);

/* Says on one line what failed, why, and what would help; the exit status for it.  `what` is what was asked for. */
MUST_USE enum command_exit command_fail(const struct probed_status *status, const char *what);

/* One JSON document, or another line of it; the exit status, which tells whether it could be written. */
MUST_USE enum command_exit command_print_json(const ProtobufCMessage *message);

/* Flushes standard output; COMMAND_FAILED, said on standard error, when it could not be written. */
MUST_USE enum command_exit command_flush(void);

#endif
