/* The table of settings, see config_table.h.  Names, defaults, ranges, meanings: proto/README.md 2. */
#include "server/config_table.h"

#include "server/config.h"

#include <string.h>

/* Where the contract names no upper bound, one that keeps the arithmetic honest: nanoseconds in 63 bits, counts in 32
 * bits, bytes in 48. */
#define MS_MAX    (INT64_MAX / 1000000)
#define COUNT_MAX UINT32_MAX
#define BYTES_MAX (UINT64_C(1) << 48)

static const char *const sandboxes[] = {"off", "auto", "strict", NULL};
static const char *const levels[LOG_LEVEL_COUNT + 1] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace"};
static const char *const formats[] = {[LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};

/* Why a running daemon cannot take another value over. */
#define SOCKETS "its sockets are opened at the start, with the rights of that moment"
#define UIDS    "sockets and their modes follow from it, and are made at the start"
#define ROLES   "roles are made with their listeners, at the start"

/* One setting: ROW(type, section, key, default, members of struct config_row…). */
#define ROW(type_, section_, key_, standard_, ...)                                                                     \
    {                                                                                                                  \
        .section = #section_, .key = #key_, .type = (type_), .offset = offsetof(struct config, section_.key_),         \
        .standard = (standard_), __VA_ARGS__                                                                           \
    }

static const struct config_row rows[] = {
    ROW(CONFIG_URLS, server, listen, "rpc.sock", .fixed = SOCKETS, .meaning = "where calls are answered"),
    ROW(CONFIG_URLS, server, publish, "events.sock", .fixed = SOCKETS, .meaning = "where events are published"),
    ROW(CONFIG_LOOPBACKS, server, http, "", .fixed = SOCKETS,
        .meaning = "where metrics and a page are shown: loopback address:port or a socket's path; none: nowhere"),
    ROW(CONFIG_USER, server, user, "", .fixed = "root is given up once, for good",
        .meaning = "run by root: the uid taken once the sockets are open (the custodian keeps root)"),
    ROW(CONFIG_PATHS, server, homes_root, "", .fixed = "the process that keeps root is told of it once",
        .meaning = "only homes below one of these are served; none: anywhere"),
    ROW(CONFIG_UIDS, server, allow_uids, "", .fixed = UIDS,
        .meaning = "further peers admitted on ipc, besides root and the daemon's uid"),
    ROW(CONFIG_UIDS, server, admin_uids, "", .fixed = UIDS,
        .meaning = "admitted peers that may use every home and call the admin service"),
    ROW(CONFIG_YES_NO, server, tcp_trust, "no", .fixed = "peers that are in would keep what they were given",
        .meaning = "whether tcp peers, who have no uid, count as the daemon's uid"),
    ROW(CONFIG_NUMBER, server, calls_max, "16384", .min = 64, .max = COUNT_MAX,
        .meaning = "calls in progress, waiting and joined ones included"),
    ROW(CONFIG_NUMBER, server, calls_per_uid, "4096", .min = 1, .max = COUNT_MAX,
        .meaning = "the same, of one peer uid"),
    ROW(CONFIG_NUMBER, server, connections_per_uid, "256", .min = 1, .max = COUNT_MAX,
        .meaning = "connections of one peer uid; more are closed on arrival"),
    ROW(CONFIG_NUMBER, server, homes_max, "1000000", .min = 1, .max = COUNT_MAX,
        .meaning = "homes remembered, at most a sixteenth of them for one uid"),
    ROW(CONFIG_CPU, server, nng_cpu, "auto", .min = 0, .max = 1023, .fixed = "threads are placed as they start",
        .meaning = "where nng's own threads run: auto (on one CPU where that is faster), any, or a CPU's number"),
    ROW(CONFIG_NUMBER, server, drain_ms, "10000", .min = 0, .max = 3600000, .unit = "ms",
        .meaning = "how long SIGTERM waits for calls in progress"),
    ROW(CONFIG_NUMBER, server, request_bytes_max, "1048576", .min = 4096, .max = 67108864, .unit = "bytes",
        .fixed = "connections have it from the listeners, which have it from the start",
        .meaning = "a larger message is refused before it is read"),

    ROW(CONFIG_FILE, tls, certificate, "",
        .meaning = "this machine's certificate for tls+tcp:// URLs, and those that vouch for it (PEM)"),
    ROW(CONFIG_FILE, tls, key, "", .meaning = "its private key, readable by its owner alone (PEM, no passphrase)"),
    ROW(CONFIG_ROLE_PATHS, tls, ca, "", .fixed = ROLES,
        .meaning = "ROLE=FILE: who vouches for the clients of a role, and what was revoked (PEM); each role has one"),
    ROW(CONFIG_ROLE_USERS, tls, user, "", .fixed = ROLES,
        .meaning = "ROLE=USER: whose rights the clients of a role have"),
    ROW(CONFIG_ROLE_PATHS, tls, homes, "", .fixed = ROLES,
        .meaning = "ROLE=DIR: the role may use the homes in DIR alone, and is never an administrator"),

    ROW(CONFIG_NUMBER, pool, workers_per_home, "2", .min = 1, .max = 1024, .meaning = "workers of one home"),
    ROW(CONFIG_NUMBER, pool, workers_max, "16", .min = 1, .max = 65536,
        .meaning = "worker processes in all: starting, idle, leased, draining and ending"),
    ROW(CONFIG_NUMBER, pool, reserve_per_home, "1", .min = 0, .max = 1024,
        .meaning = "further workers a home may start once a call has waited reserve_wait_ms"),
    ROW(CONFIG_NUMBER, pool, reserve_wait_ms, "250", .min = 0, .max = 3600000, .unit = "ms",
        .meaning = "how long a call waits before a reserve worker is started for it"),
    ROW(CONFIG_NUMBER, pool, queue_per_home, "64", .min = 0, .max = 1000000,
        .meaning = "probes that may wait for a lease in one home"),
    ROW(CONFIG_NUMBER, pool, queue_max, "4096", .min = 0, .max = 1000000,
        .meaning = "probes that may wait for a lease in all homes"),
    ROW(CONFIG_NUMBER, pool, idle_ms, "300000", .min = 10, .max = MS_MAX, .unit = "ms",
        .meaning = "an idle worker older than this is ended, whether or not calls come"),
    ROW(CONFIG_NUMBER, pool, lifetime_ms, "3600000", .min = 100, .max = MS_MAX, .unit = "ms",
        .meaning = "a worker is replaced after this, a tenth more or less, never during a lease"),
    ROW(CONFIG_NUMBER, pool, requests_max, "10000", .min = 1, .max = COUNT_MAX,
        .meaning = "a worker is replaced after this many leases"),
    ROW(CONFIG_NUMBER, pool, term_grace_ms, "1000", .min = 0, .max = 60000, .unit = "ms",
        .meaning = "between SIGTERM and SIGKILL of a worker's process group"),
    ROW(CONFIG_YES_NO, pool, prewarm, "yes",
        .meaning = "after an invalidation, start one replacement for a home that had a worker"),

    ROW(CONFIG_NUMBER, probe, timeout_ms, "35000", .min = 10, .max = 3600000, .unit = "ms",
        .meaning = "default and upper bound of a call's deadline"),
    ROW(CONFIG_NUMBER, probe, run_ms, "30000", .min = 10, .max = 3600000, .unit = "ms",
        .meaning = "longest that a worker may take from request to answer"),
    ROW(CONFIG_NUMBER, probe, cache_ttl_ms, "45000", .min = 0, .max = 86400000, .unit = "ms",
        .meaning = "how long an answer is served again; 0: never"),
    ROW(CONFIG_NUMBER, probe, cache_entries, "4096", .min = 1, .max = 16777216,
        .meaning = "answers kept, least recently used go first"),
    ROW(CONFIG_NUMBER, probe, cache_bytes, "67108864", .min = 65536, .max = BYTES_MAX, .unit = "bytes",
        .meaning = "the same answers, in bytes"),
    ROW(CONFIG_NUMBER, probe, failure_ttl_ms, "1000", .min = 0, .max = 60000, .unit = "ms",
        .meaning = "how long a failure is remembered for its key"),
    ROW(CONFIG_NUMBER, probe, keep_good_ms, "86400000", .min = 0, .max = MS_MAX, .unit = "ms",
        .meaning = "how long the last good answer is kept to stand beside a bad one"),

    ROW(CONFIG_NUMBER, events, heartbeat_ms, "1000", .min = 50, .max = 60000, .unit = "ms",
        .meaning = "between two heartbeats"),
    ROW(CONFIG_YES_NO, events, observe, "yes", .meaning = "watch the credentials of homes in use"),

    ROW(CONFIG_COMMAND, worker, command, "",
        .meaning = "what a worker is, run without a shell; none: the built-in worker"),
    ROW(CONFIG_VARIABLE, worker, home_env, "HERMES_HOME", .meaning = "the variable that names the home to a worker"),
    ROW(CONFIG_VARIABLES, worker, env_pass, "PATH LANG LC_ALL TZ SSL_CERT_FILE SSL_CERT_DIR HTTPS_PROXY NO_PROXY",
        .meaning = "the only variables a worker inherits"),
    ROW(CONFIG_NUMBER, worker, reply_bytes_max, "1048576", .min = 1024, .max = 67108864, .unit = "bytes",
        .meaning = "longest answer line, without its line end"),
    ROW(CONFIG_CHOICE, worker, sandbox, "auto", .choices = sandboxes,
        .meaning = "auto: what the kernel offers; strict: refuse to start below the full set"),
    ROW(CONFIG_YES_NO, worker, writable_home, "no", .meaning = "let a sandboxed worker write in its own home"),
    ROW(CONFIG_YES_NO, worker, foreign_credentials, "no",
        .meaning = "let a worker read other tools' sign-ins in the home directory of the home's owner"),
    ROW(CONFIG_PATHS, worker, read_paths, "", .meaning = "what else a sandboxed worker may read"),
    ROW(CONFIG_PORTS, worker, connect_ports, "443", .min = 1, .max = 65535,
        .meaning = "where a sandboxed worker may connect to by TCP, besides 53, the proxy's port, and those of a "
                   "home's base URLs"),

    ROW(CONFIG_RANK, log, level, "info", .choices = levels, .meaning = "what is worth a line on standard error"),
    ROW(CONFIG_RANK, log, format, "text", .choices = formats, .meaning = "text is logfmt"),
};

static const struct {
    const char *name, *meaning;
} sections[] = {
    {"server", "server: sockets, peers and their limits"},
    {"tls", "tls: peers on other machines"},
    {"pool", "pool: worker processes"},
    {"probe", "probe: probes and what is remembered of them"},
    {"events", "events: what subscribers hear"},
    {"worker", "worker: what a worker is and may do"},
    {"log", "log: diagnostics"},
};

const struct config_row *config_rows(size_t *row_count_out)
{
    *row_count_out = sizeof rows / sizeof rows[0];
    return rows;
}

const char *config_section_meaning(const char *section)
{
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (strcmp(sections[i].name, section) == 0)
            return sections[i].meaning;
    }
    return NULL;
}
