/* One table of settings: the file (INI), the environment and the flags are three ways to fill it.
 *
 * Flag beats environment beats file beats default.  An unknown key, a value out of range or an unreadable file stops
 * the start with one line that names the file, the line and the key.  Rules, names, defaults, ranges:
 * proto/README.md 2.
 *
 * Both the daemon and its custodian read it, each by itself: what is started for a home never comes in a message.
 *
 * Ownership: the struct is the caller's, what it points to is the config's: config_fini() it.
 * Threads: one while it is loaded, any number of readers afterwards. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "proto/status.h"
#include "server/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A list of words, ended by NULL for exec. */
struct config_words {
    char **words; /* owned */
    size_t count;
};

struct config_uids {
    uint32_t *uids; /* owned; names were looked up when the config was loaded */
    size_t count;
};

enum config_nng_cpu { CONFIG_NNG_CPU_ANY = -1, CONFIG_NNG_CPU_AUTO = -2 }; /* else the CPU's number */

struct config {
    struct {
        struct config_words listen, publish;
        struct config_words http;
        char *user; /* "": none */
        struct config_words homes_root;
        struct config_uids allow_uids, admin_uids;
        bool tcp_trust;
        uint64_t calls_max, calls_per_uid, connections_per_uid, homes_max;
        int64_t nng_cpu;
        uint64_t drain_ms;
        uint64_t request_bytes_max;
    } server;
    struct {
        char *certificate, *key;             /* "": none */
        struct config_words ca, user, homes; /* ROLE=… */
    } tls;
    struct {
        uint64_t workers_per_home, workers_max, reserve_per_home, reserve_wait_ms, queue_per_home, queue_max;
        uint64_t idle_ms, lifetime_ms, requests_max, term_grace_ms;
        bool prewarm;
    } pool;
    struct {
        uint64_t timeout_ms, run_ms, cache_ttl_ms, cache_entries, cache_bytes, failure_ttl_ms, keep_good_ms;
    } probe;
    struct {
        uint64_t heartbeat_ms;
        bool observe;
    } events;
    struct {
        struct config_words command; /* argv; the built-in worker when none was set */
        bool built_in;               /* none was set */
        char *home_env;
        struct config_words env_pass;
        uint64_t reply_bytes_max;
        char *sandbox; /* "off", "auto", "strict" */
        bool writable_home, foreign_credentials;
        struct config_words read_paths;
        struct config_words connect_ports;
    } worker;
    struct {
        int level;  /* enum log_level */
        int format; /* enum log_format */
    } log;

    struct config_source *sources; /* owned, one a setting: where it came from, for config_print */
    char *file;                    /* owned: --config; NULL: none */
};

/* What the command line asked for besides settings. */
enum config_mode { CONFIG_RUN, CONFIG_CHECK, CONFIG_PRINT, CONFIG_EXIT };

/* Reads everything.  argv as main got it; `program` for --help and --version ("probed"); `libexec_dir`: the folder in
 * which the built-in worker lies (where this program's file is), lent.
 * INVALID_ARGUMENT with the one line for standard error.  CONFIG_EXIT: --help or --version has been answered.
 * On success every member is set, and config_fini is due; on failure nothing is. */
MUST_USE struct status config_load(const char *program, int argc, char **argv, const char *libexec_dir,
                                   struct config *config_out, enum config_mode *mode_out);

void config_fini(struct config *config);

/* Prints every setting with value, unit and source as a valid file (--print-config). The sources are those of the last
 * config_load of this struct. */
void config_print(const struct config *config, FILE *out);

/* One setting that has another value than before. */
struct config_change {
    const char *setting;        /* "pool.idle_ms" */
    const char *before, *after; /* as they could be written; of a command, in which there may be a secret, nothing */
    const char *fixed;          /* why it takes a restart; NULL: a running daemon takes it over, config_take_live */
};
typedef void config_changed(void *context, const struct config_change *change);

/* Tells what `after` has otherwise than `before`, in the order of the table; what it tells is lent during each call.
 * How many they are. */
size_t config_compare(const struct config *before, const struct config *after, config_changed *changed, void *context);

/* Exchanges with `fresh` what a running daemon can change; the rest stays what it was started with. */
void config_take_live(struct config *config, struct config *fresh);

#endif
