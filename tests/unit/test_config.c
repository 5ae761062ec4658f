/* The settings: every row of the contract's table, and every way to fill one. */
#include "server/config.h"
#include "server/config_guess.h"
#include "tests/support/check_main.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN UINT64_MAX /* the contract names no upper bound */

/* The contract's table (proto/README.md 2), written out again: where the code's own table goes astray, this one says
 * so. */
struct promise {
    const char *section, *key, *standard;
    uint64_t min, max; /* both 0: not a number */
};

static const struct promise promises[] = {
    {"server", "listen", "ipc:///run/probed/rpc.sock", 0, 0},
    {"server", "publish", "ipc:///run/probed/events.sock", 0, 0},
    {"server", "http", "", 0, 0},
    {"server", "user", "", 0, 0},
    {"server", "homes_root", "", 0, 0},
    {"server", "allow_uids", "", 0, 0},
    {"server", "admin_uids", "", 0, 0},
    {"server", "tcp_trust", "no", 0, 0},
    {"server", "calls_max", "16384", 64, OPEN},
    {"server", "calls_per_uid", "4096", 1, OPEN},
    {"server", "connections_per_uid", "256", 1, OPEN},
    {"server", "homes_max", "1000000", 1, OPEN},
    {"server", "nng_cpu", "auto", 0, 0},
    {"server", "drain_ms", "10000", 0, 3600000},
    {"server", "request_bytes_max", "1048576", 4096, 67108864},
    {"tls", "certificate", "", 0, 0},
    {"tls", "key", "", 0, 0},
    {"tls", "ca", "", 0, 0},
    {"tls", "user", "", 0, 0},
    {"tls", "homes", "", 0, 0},
    {"pool", "workers_per_home", "2", 1, 1024},
    {"pool", "workers_max", "16", 1, 65536},
    {"pool", "reserve_per_home", "1", 0, 1024},
    {"pool", "reserve_wait_ms", "250", 0, 3600000},
    {"pool", "queue_per_home", "64", 0, 1000000},
    {"pool", "queue_max", "4096", 0, 1000000},
    {"pool", "idle_ms", "300000", 10, OPEN},
    {"pool", "lifetime_ms", "3600000", 100, OPEN},
    {"pool", "requests_max", "10000", 1, OPEN},
    {"pool", "term_grace_ms", "1000", 0, 60000},
    {"pool", "prewarm", "yes", 0, 0},
    {"probe", "timeout_ms", "35000", 10, 3600000},
    {"probe", "run_ms", "30000", 10, 3600000},
    {"probe", "cache_ttl_ms", "45000", 0, 86400000},
    {"probe", "cache_entries", "4096", 1, 16777216},
    {"probe", "cache_bytes", "67108864", 65536, OPEN},
    {"probe", "failure_ttl_ms", "1000", 0, 60000},
    {"probe", "keep_good_ms", "86400000", 0, OPEN},
    {"events", "heartbeat_ms", "1000", 50, 60000},
    {"events", "observe", "yes", 0, 0},
    {"worker", "command", "", 0, 0}, /* none: the built-in worker */
    {"worker", "home_env", "HERMES_HOME", 0, 0},
    {"worker", "env_pass", "PATH LANG LC_ALL TZ SSL_CERT_FILE SSL_CERT_DIR HTTPS_PROXY NO_PROXY", 0, 0},
    {"worker", "reply_bytes_max", "1048576", 1024, 67108864},
    {"worker", "sandbox", "auto", 0, 0},
    {"worker", "writable_home", "no", 0, 0},
    {"worker", "foreign_credentials", "no", 0, 0},
    {"worker", "read_paths", "", 0, 0},
    {"worker", "connect_ports", "443", 0, 0},
    {"log", "level", "info", 0, 0},
    {"log", "format", "text", 0, 0},
};
enum { PROMISE_COUNT = sizeof promises / sizeof promises[0], ARGUMENT_COUNT_MAX = 16 };

static char directory[64], file[96];

static void set_up(void)
{
    strcpy(directory, "/tmp/test_config.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/probed.conf", directory);
    setenv("XDG_RUNTIME_DIR", "/run", 1); /* the same defaults whether or not root runs us */
    for (size_t i = 0; environ[i] != NULL;) {
        if (strncmp(environ[i], "PROBED_", 7) == 0) {
            char name[128];

            snprintf(name, sizeof name, "%.*s", (int)strcspn(environ[i], "="), environ[i]);
            ck_assert_int_eq(unsetenv(name), 0);
        } else {
            i++;
        }
    }
}

static void tear_down(void)
{
    unlink(file);
    rmdir(directory);
}

static void write_file(const char *bytes, size_t size)
{
    FILE *out = fopen(file, "we");

    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
    ck_assert_int_eq(fclose(out), 0);
}

/* Loads with these arguments, the last of them NULL. */
static struct status load_v(struct config *config, enum config_mode *mode, va_list list)
{
    char *argv[ARGUMENT_COUNT_MAX] = {"probed"};
    int argc = 1;

    while ((argv[argc] = va_arg(list, char *)) != NULL)
        ck_assert_int_lt(++argc, ARGUMENT_COUNT_MAX);
    return config_load("probed", argc, argv, "/opt/probed", config, mode);
}

static void load_well(struct config *config, ...)
{
    enum config_mode mode;
    struct status status;
    va_list list;

    va_start(list, config);
    status = load_v(config, &mode, list);
    va_end(list);
    ck_assert_msg(status_is_ok(&status), "refused: %s", status.message);
    ck_assert_int_eq(mode, CONFIG_RUN);
}

static void expect_refusal(const char *message, ...)
{
    struct config config;
    enum config_mode mode;
    struct status status;
    va_list list;

    va_start(list, message);
    status = load_v(&config, &mode, list);
    va_end(list);
    ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    ck_assert_str_eq(status.message, message);
}

/* A file with this content is refused with "<file>:<rest>". */
static void expect_file_refusal(const char *content, const char *rest)
{
    char message[STATUS_MESSAGE_SIZE];

    write_file(content, strlen(content));
    snprintf(message, sizeof message, "%s%s", file, rest);
    expect_refusal(message, "--config", file, NULL);
}

/* What --print-config prints; free() it. */
static char *print(const struct config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    config_print(config, out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

/* The value of a setting in a printed file, several lines joined by blanks; NULL: no such line.  free() it. */
static char *find_printed(const char *printed, const char *section, const char *key)
{
    char *copy = strdup(printed), *rest = copy, *line, *found = NULL;
    char heading[64], start[64];

    snprintf(heading, sizeof heading, "[%s]", section);
    snprintf(start, sizeof start, "%s =", key);
    for (bool within = false; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '[')
            within = strcmp(line, heading) == 0;
        if (!within || strncmp(line, start, strlen(start)) != 0)
            continue;
        line += strlen(start);
        line += line[0] == ' ';
        if (found == NULL) {
            found = strdup(line);
        } else {
            found = realloc(found, strlen(found) + strlen(line) + 2);
            strcat(strcat(found, " "), line);
        }
    }
    free(copy);
    return found;
}

static void name_flag(const struct promise *promise, char *name_out, size_t size)
{
    snprintf(name_out, size, "--%s-%s", promise->section, promise->key);
    for (char *c = name_out; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
}

START_TEST(every_default_is_the_contracts)
{
    const struct promise *promise = &promises[_i];
    struct config config;
    char *printed, *value;

    load_well(&config, NULL);
    printed = print(&config);
    value = find_printed(printed, promise->section, promise->key);
    ck_assert_ptr_nonnull(value);
    ck_assert_str_eq(value, promise->standard);
    free(value);
    free(printed);
    config_fini(&config);
}
END_TEST

START_TEST(there_is_no_setting_that_the_contract_does_not_name)
{
    struct config config;
    size_t line_count = 0, section_count = 0;
    char *printed;

    load_well(&config, NULL);
    printed = print(&config);
    for (const char *line = printed; *line != '\0'; line = strchr(line, '\n') + 1) {
        section_count += *line == '[';
        line_count += *line != '#' && *line != '[' && *line != '\n';
    }
    ck_assert_uint_eq(line_count, PROMISE_COUNT);
    ck_assert_uint_eq(section_count, 7);
    free(printed);
    config_fini(&config);
}
END_TEST

static void expect_number(const char *flag, uint64_t number, const char *refusal)
{
    char text[24], message[STATUS_MESSAGE_SIZE];

    snprintf(text, sizeof text, "%" PRIu64, number);
    if (refusal == NULL) {
        struct config config;

        load_well(&config, flag, text, NULL);
        config_fini(&config);
    } else {
        snprintf(message, sizeof message, "%s: %s", flag, refusal);
        expect_refusal(message, flag, text, NULL);
    }
}

START_TEST(a_number_is_held_to_its_range_on_both_sides)
{
    const struct promise *promise = &promises[_i];
    char flag[64], refusal[64];

    if (promise->max == 0)
        return; /* not a number */
    name_flag(promise, flag, sizeof flag);
    expect_number(flag, promise->min, NULL);
    if (promise->min > 0) {
        snprintf(refusal, sizeof refusal, "%" PRIu64 " is below %" PRIu64, promise->min - 1, promise->min);
        expect_number(flag, promise->min - 1, refusal);
    }
    expect_number(flag, promise->max == OPEN ? UINT32_MAX : promise->max, NULL);
    if (promise->max != OPEN) {
        snprintf(refusal, sizeof refusal, "%" PRIu64 " is above %" PRIu64, promise->max + 1, promise->max);
        expect_number(flag, promise->max + 1, refusal);
    }
}
END_TEST

START_TEST(what_is_no_whole_number_is_none)
{
    static const char *const values[] = {"-1", "+1", " 5", "5 ", "0x10", "1e3", "1.5", "five", "5s"};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char message[128];

        snprintf(message, sizeof message, "--pool-workers-max: %s is no whole number", values[i]);
        expect_refusal(message, "--pool-workers-max", values[i], NULL);
    }
    expect_refusal("--pool-workers-max: an empty value is no whole number", "--pool-workers-max", "", NULL);
    expect_refusal("--pool-workers-max: 99999999999999999999999 is above 65536", "--pool-workers-max",
                   "99999999999999999999999", NULL);
    expect_refusal("--pool-idle-ms: 18446744073709551615 is above 9223372036854", "--pool-idle-ms",
                   "18446744073709551615", NULL);
}
END_TEST

START_TEST(flag_beats_environment_beats_file_beats_default)
{
    struct config config;
    static const char content[] = "[pool]\nworkers_max = 3\nqueue_max = 3\nidle_ms = 33\n";

    write_file(content, strlen(content));
    setenv("PROBED_POOL_WORKERS_MAX", "4", 1);
    setenv("PROBED_POOL_QUEUE_MAX", "4", 1);
    load_well(&config, "--pool-workers-max", "5", "--config", file, NULL);
    ck_assert_uint_eq(config.pool.workers_max, 5);
    ck_assert_uint_eq(config.pool.queue_max, 4);
    ck_assert_uint_eq(config.pool.idle_ms, 33);
    ck_assert_uint_eq(config.pool.queue_per_home, 64);
    config_fini(&config);
    unsetenv("PROBED_POOL_WORKERS_MAX");
    unsetenv("PROBED_POOL_QUEUE_MAX");
}
END_TEST

START_TEST(of_two_values_in_one_place_the_last_counts)
{
    struct config config;
    static const char content[] = "[pool]\nworkers_max = 3\n[log]\nlevel = warn\n[pool]\nworkers_max = 4\n";

    write_file(content, strlen(content));
    load_well(&config, "--config", file, "--pool-queue-max", "1", "--pool-queue-max=2", NULL);
    ck_assert_uint_eq(config.pool.workers_max, 4);
    ck_assert_uint_eq(config.pool.queue_max, 2);
    ck_assert_int_eq(config.log.level, LOG_WARN);
    config_fini(&config);
}
END_TEST

static void expect_words(const struct config_words *words, ...)
{
    va_list list;
    const char *word;
    size_t count = 0;

    va_start(list, words);
    for (; (word = va_arg(list, const char *)) != NULL; count++) {
        ck_assert_uint_lt(count, words->count);
        ck_assert_str_eq(words->words[count], word);
    }
    va_end(list);
    ck_assert_uint_eq(words->count, count);
    if (count > 0)
        ck_assert_ptr_null(words->words[count]);
}

START_TEST(a_list_grows_within_a_source_and_is_replaced_by_a_stronger_one)
{
    struct config config;
    static const char content[] = "[worker]\nenv_pass = A B\nenv_pass = C\n[server]\nhomes_root = /a\nhomes_root = /b\n"
                                  "listen = ipc:///a\nlisten = tcp://127.0.0.1:7\n";

    write_file(content, strlen(content));
    load_well(&config, "--config", file, NULL);
    expect_words(&config.worker.env_pass, "A", "B", "C", NULL);
    expect_words(&config.server.homes_root, "/a", "/b", NULL);
    expect_words(&config.server.listen, "ipc:///a", "tcp://127.0.0.1:7", NULL);
    config_fini(&config);

    setenv("PROBED_WORKER_ENV_PASS", "D  E", 1);
    load_well(&config, "--config", file, "--server-homes-root", "/c", "--server-homes-root", "/d", NULL);
    expect_words(&config.worker.env_pass, "D", "E", NULL);
    expect_words(&config.server.homes_root, "/c", "/d", NULL);
    config_fini(&config);

    setenv("PROBED_WORKER_ENV_PASS", "", 1);
    load_well(&config, "--config", file, NULL);
    expect_words(&config.worker.env_pass, NULL);
    config_fini(&config);
    unsetenv("PROBED_WORKER_ENV_PASS");
}
END_TEST

START_TEST(a_command_is_split_as_a_shell_splits_words)
{
    struct config config;

    load_well(&config, "--worker-command", "python3  -c\t'print(\"a b\")' ; \"x \\\"y\\\" \\z $HOME\" a\\ b ''", NULL);
    expect_words(&config.worker.command, "python3", "-c", "print(\"a b\")", ";", "x \"y\" \\z $HOME", "a b", "", NULL);
    ck_assert(!config.worker.built_in);
    config_fini(&config);
    expect_refusal("--worker-command: 'a has a quote that is not closed", "--worker-command", "'a", NULL);
    expect_refusal("--worker-command: \"a\\ ends in a backslash", "--worker-command", "\"a\\", NULL);
    expect_refusal("--worker-command: a\\ ends in a backslash", "--worker-command", "a\\", NULL);
}
END_TEST

START_TEST(a_second_command_replaces_the_first)
{
    struct config config;

    load_well(&config, "--worker-command", "a b", "--worker-command", "c", NULL);
    expect_words(&config.worker.command, "c", NULL);
    config_fini(&config);
}
END_TEST

START_TEST(a_semicolon_behind_a_value_is_part_of_it)
{
    struct config config;
    static const char content[] = "[worker]\n# a comment\n; another\ncommand = sh -c 'a ; b # c'\n";

    write_file(content, strlen(content));
    load_well(&config, "--config", file, NULL);
    expect_words(&config.worker.command, "sh", "-c", "a ; b # c", NULL);
    config_fini(&config);
}
END_TEST

START_TEST(without_a_command_it_is_the_worker_beside_this_program)
{
    struct config config;

    load_well(&config, NULL);
    expect_words(&config.worker.command, "/opt/probed/probe-worker", "--foreign-credentials", "no", NULL);
    ck_assert(config.worker.built_in);
    config_fini(&config);
    load_well(&config, "--worker-foreign-credentials", "yes", "--worker-command", "", NULL);
    expect_words(&config.worker.command, "/opt/probed/probe-worker", "--foreign-credentials", "yes", NULL);
    config_fini(&config);
}
END_TEST

START_TEST(sockets_are_ipc_or_loopback_tcp)
{
    static const char *const good[] = {"ipc:///run/x.sock", "tcp://127.0.0.1:1", "tcp://127.0.0.1:65535"};
    static const char no_tls[] =
        "is refused: plain tcp is for this machine alone, tcp://127.0.0.1:PORT; beyond it, it is "
        "tls+tcp://ROLE@ADDRESS:PORT";
    static const char no_port[] = "needs a port from 1 to 65535";
    static const char no_path[] = "does not name a socket by an absolute path: ipc:///run/…/name.sock";
    static const char neither[] = "is neither ipc:///absolute/path, nor tcp://127.0.0.1:PORT, nor tls+tcp://";
    const struct {
        const char *url, *reason;
    } bad[] = {
        {"tcp://0.0.0.0:1", no_tls},
        {"tcp://:1", no_tls},
        {"tcp://*:1", no_tls},
        {"tcp://192.0.2.1:1", no_tls},
        {"tcp://127.0.0.1.example:1", no_tls},
        {"tcp://localhost:1", no_tls},
        {"tcp://[::1]:1", no_tls},
        {"tcp://127.0.0.1:", no_port},
        {"tcp://127.0.0.1:0", no_port},
        {"tcp://127.0.0.1:65536", no_port},
        {"tcp://127.0.0.1:80x", no_port},
        {"ipc://relative", no_path},
        {"ipc:///", no_path},
        {"ipc://", no_path},
        {"ws://127.0.0.1:1", neither},
        {"inproc://x", neither},
        {"/run/x.sock", neither},
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct config config;

        load_well(&config, "--server-listen", good[i], NULL);
        expect_words(&config.server.listen, good[i], NULL);
        config_fini(&config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[STATUS_MESSAGE_SIZE];

        snprintf(message, sizeof message, "--server-publish: %s %s", bad[i].url, bad[i].reason);
        expect_refusal(message, "--server-publish", bad[i].url, NULL);
    }
}
END_TEST

/* Refused, and the message has this part. */
static void expect_refusal_with(const char *part, const char *flag, const char *value)
{
    char *argv[] = {"probed", (char *)(uintptr_t)flag, (char *)(uintptr_t)value, NULL};
    struct config config;
    enum config_mode mode;
    struct status status = config_load("probed", 3, argv, "/opt/probed", &config, &mode);

    ck_assert_int_eq(status.code, STATUS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(status.message, part) != NULL, "\"%s\" is not in \"%s\"", part, status.message);
}

START_TEST(a_tls_listener_says_whom_it_is_for)
{
    static const char *const good[] = {"tls+tcp://dash@127.0.0.1:1", "tls+tcp://a-b_9@*:65535", "tls+tcp://x@[::]:7",
                                       "tls+tcp://x@host.example:7"};
    static const struct {
        const char *url, *part;
    } bad[] = {
        {"tls+tcp://127.0.0.1:1", "says whom it is for"},
        {"tls+tcp://@127.0.0.1:1", "says whom it is for"},
        {"tls+tcp://Dash@127.0.0.1:1", "says whom it is for"},
        {"tls+tcp://a23456789012345678901234567890123@h:1", "says whom it is for"},
        {"tls+tcp://dash@127.0.0.1", "ADDRESS:PORT"},
        {"tls+tcp://dash@:1", "ADDRESS:PORT"},
        {"tls+tcp://dash@::1:1", "ADDRESS:PORT"},
        {"tls+tcp://dash@h:1/path", "a port is a number"},
        {"tls+tcp://dash@h/x:1", "ADDRESS:PORT"},
        {"tls+tcp://dash@h:65536", "a port is a number"},
        {"tls+tcp://dash@h:", "a port is a number"},
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct config config;

        load_well(&config, "--server-listen", good[i], NULL);
        expect_words(&config.server.listen, good[i], NULL);
        config_fini(&config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_refusal_with(bad[i].part, "--server-listen", bad[i].url);
}
END_TEST

START_TEST(what_is_said_of_a_role_names_it)
{
    static const struct {
        const char *flag, *value, *part;
    } bad[] = {
        {"--tls-ca", "/etc/ca.pem", "is not ROLE=/absolute/path"},
        {"--tls-ca", "=/etc/ca.pem", "is not ROLE=/absolute/path"},
        {"--tls-ca", "Dash=/etc/ca.pem", "is not ROLE=/absolute/path"},
        {"--tls-ca", "dash=ca.pem", "is no absolute path"},
        {"--tls-homes", "dash", "is not ROLE=/absolute/path"},
        {"--tls-user", "root", "is not ROLE=USER"},
        {"--tls-user", "dash=nobody-of-that-name", "is no user of this machine"},
        {"--tls-user", "dash=4294967295", "is no uid"},
        {"--tls-certificate", "server.pem", "is no absolute path"},
    };
    struct config config;

    load_well(&config, "--tls-ca", "dash=/etc/a.pem 'ops=/etc/b c.pem'", "--tls-user", "dash=root ops=7", NULL);
    expect_words(&config.tls.ca, "dash=/etc/a.pem", "ops=/etc/b c.pem", NULL);
    expect_words(&config.tls.user, "dash=root", "ops=7", NULL);
    config_fini(&config);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_refusal_with(bad[i].part, bad[i].flag, bad[i].value);
}
END_TEST

START_TEST(the_page_is_for_this_machine_alone)
{
    static const char forms[] = "127.0.0.1:PORT, localhost:PORT, [::1]:PORT, or the absolute path of a socket";
    static const struct {
        const char *address, *reason;
        bool forms;
    } bad[] = {
        {"0.0.0.0:9180", "is refused, since it is for this machine alone: ", true},
        {"192.0.2.1:9180", "is refused, since it is for this machine alone: ", true},
        {"[::]:9180", "is refused, since it is for this machine alone: ", true},
        {"127.0.0.1.example:9180", "is refused, since it is for this machine alone: ", true},
        {"http.sock", "is refused, since it is for this machine alone: ", true},
        {"9180", "does not name a loopback address: ", true},
        {":9180", "does not name a loopback address: ", true},
        {"http://127.0.0.1:9180", "is a URL; what is wanted has no scheme: ", true},
        {"ipc:///run/http.sock", "is a URL; what is wanted has no scheme: ", true},
        {"127.0.0.1", "needs a port from 1 to 65535", false},
        {"localhost:0", "needs a port from 1 to 65535", false},
        {"[::1]:65536", "needs a port from 1 to 65535", false},
        {"127.0.0.1:80x", "needs a port from 1 to 65535", false},
        {"127.0.0.1:000080", "needs a port from 1 to 65535", false},
        {"/run/probed/", "is a directory's path: name the socket in it", false},
    };
    struct config config;

    load_well(&config, "--server-http", "127.0.0.1:9180 localhost:1", "--server-http", "[::1]:65535", "--server-http",
              "/run/probed/http.sock", NULL);
    expect_words(&config.server.http, "127.0.0.1:9180", "localhost:1", "[::1]:65535", "/run/probed/http.sock", NULL);
    config_fini(&config);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[STATUS_MESSAGE_SIZE];

        snprintf(message, sizeof message, "--server-http: %s %s%s", bad[i].address, bad[i].reason,
                 bad[i].forms ? forms : "");
        expect_refusal(message, "--server-http", bad[i].address, NULL);
    }
}
END_TEST

START_TEST(a_socket_path_has_at_most_107_bytes)
{
    char url[128] = "ipc:///";
    struct config config;
    char message[STATUS_MESSAGE_SIZE];

    memset(url + strlen(url), 'a', 106);
    load_well(&config, "--server-listen", url, NULL);
    config_fini(&config);
    strcat(url, "b");
    snprintf(message, sizeof message, "--server-listen: the socket path has 108 bytes, at most 107 are possible: %s",
             url);
    expect_refusal(message, "--server-listen", url, NULL);
}
END_TEST

START_TEST(listening_and_publishing_need_addresses_of_their_own)
{
    expect_refusal("server.publish: ipc:///a is in server.listen as well", "--server-listen", "ipc:///a",
                   "--server-publish", "ipc:///a", NULL);
    expect_refusal("--server-listen: needs at least one URL", "--server-listen", "", NULL);
    expect_file_refusal("[server]\npublish =\n", ":2: server.publish: needs at least one URL");
}
END_TEST

START_TEST(the_default_sockets_are_the_users_own)
{
    struct config config;
    uid_t self = geteuid();

    if (self == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    setenv("XDG_RUNTIME_DIR", "/run/user/7 b", 1);
    load_well(&config, NULL);
    expect_words(&config.server.listen, "ipc:///run/user/7 b/probed/rpc.sock", NULL);
    expect_words(&config.server.publish, "ipc:///run/user/7 b/probed/events.sock", NULL);
    config_fini(&config);

    unsetenv("XDG_RUNTIME_DIR");
    expect_refusal("server.listen: no default without XDG_RUNTIME_DIR; set that, or --server-listen "
                   "ipc:///absolute/path/rpc.sock",
                   NULL);
    load_well(&config, "--server-listen", "ipc:///a", "--server-publish", "ipc:///b", NULL);
    config_fini(&config);
    ck_assert_int_eq(seteuid(self), 0);
}
END_TEST

START_TEST(a_daemon_that_gave_up_root_has_its_defaults_still)
{
    struct config config;

    if (geteuid() != 0)
        return; /* there is nothing to give up */
    unsetenv("XDG_RUNTIME_DIR");
    load_well(&config, NULL);
    config_fini(&config);
    ck_assert_int_eq(seteuid(65534), 0);
    load_well(&config, NULL);
    expect_words(&config.server.listen, "ipc:///run/probed/rpc.sock", NULL);
    config_fini(&config);
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(users_are_numbers_or_names)
{
    struct config config;
    const struct passwd *first;

    setpwent();
    first = getpwent();
    ck_assert_ptr_nonnull(first);
    load_well(&config, "--server-allow-uids", "1000 4294967294", "--server-allow-uids", first->pw_name, NULL);
    ck_assert_uint_eq(config.server.allow_uids.count, 3);
    ck_assert_uint_eq(config.server.allow_uids.uids[0], 1000);
    ck_assert_uint_eq(config.server.allow_uids.uids[1], 4294967294);
    ck_assert_uint_eq(config.server.allow_uids.uids[2], first->pw_uid);
    endpwent();
    config_fini(&config);
    expect_refusal("--server-admin-uids: 4294967295 is no uid: it is above 4294967294", "--server-admin-uids",
                   "4294967295", NULL);
    expect_refusal("--server-admin-uids: no-such-user is no user of this machine", "--server-admin-uids",
                   "no-such-user", NULL);
}
END_TEST

START_TEST(every_other_type_refuses_what_it_is_not)
{
    expect_refusal("--server-tcp-trust: true is neither yes nor no", "--server-tcp-trust", "true", NULL);
    expect_refusal("--log-level: loud is none of: error, warn, info, debug, trace", "--log-level", "loud", NULL);
    expect_refusal("--log-format: xml is none of: text, json", "--log-format", "xml", NULL);
    expect_refusal("--worker-sandbox: on is none of: off, auto, strict", "--worker-sandbox", "on", NULL);
    expect_refusal("--server-nng-cpu: some is none of: auto, any, a CPU's number", "--server-nng-cpu", "some", NULL);
    expect_refusal("--server-nng-cpu: 1024 is above 1023", "--server-nng-cpu", "1024", NULL);
    expect_refusal("--worker-home-env: 1A is no name of a variable", "--worker-home-env", "1A", NULL);
    expect_refusal("--worker-home-env: an empty value is no name of a variable", "--worker-home-env", "", NULL);
    expect_refusal("--worker-env-pass: A=B is no name of a variable", "--worker-env-pass", "A=B", NULL);
    expect_refusal("--server-homes-root: home is no absolute path", "--server-homes-root", "home", NULL);
    expect_refusal("--server-user: root is root: leave the setting out for that", "--server-user", "root", NULL);
    expect_refusal("--server-user: 0 is root: leave the setting out for that", "--server-user", "0", NULL);
    expect_refusal("--worker-connect-ports: 0 is below 1", "--worker-connect-ports", "0", NULL);
    expect_refusal("--worker-connect-ports: 65536 is above 65535", "--worker-connect-ports", "65536", NULL);
    expect_refusal("--worker-connect-ports: https is no port", "--worker-connect-ports", "https", NULL);
}
END_TEST

START_TEST(a_cpu_is_a_number_or_a_word)
{
    struct config config;

    load_well(&config, NULL);
    ck_assert_int_eq(config.server.nng_cpu, CONFIG_NNG_CPU_AUTO);
    config_fini(&config);
    load_well(&config, "--server-nng-cpu", "any", NULL);
    ck_assert_int_eq(config.server.nng_cpu, CONFIG_NNG_CPU_ANY);
    config_fini(&config);
    load_well(&config, "--server-nng-cpu", "3", NULL);
    ck_assert_int_eq(config.server.nng_cpu, 3);
    config_fini(&config);
}
END_TEST

START_TEST(a_mistake_in_the_file_is_named_by_file_line_and_key)
{
    expect_file_refusal("[pool]\n# text\n\nworkers_max = 0\n", ":4: pool.workers_max: 0 is below 1");
    expect_file_refusal("[pool]\nworkers = 1\n", ":2: pool.workers: unknown setting");
    expect_file_refusal("[pool]\n\n[pools]\nworkers_max = 1\n", ":3: [pools]: unknown section; perhaps [pool]");
    expect_file_refusal("[pools]\n", ":1: [pools]: unknown section; perhaps [pool]");
    expect_file_refusal("\xef\xbb\xbf[pools]\n", ":1: [pools]: unknown section; perhaps [pool]");
    expect_file_refusal("workers_max = 1\n", ":1: workers_max: no section above it");
    expect_file_refusal("[pool] workers_max = 1\n", ":1: a section is a line with [name] and nothing else");
    expect_file_refusal("[pool\n", ":1: a section is a line with [name] and nothing else");
    expect_file_refusal("[pool]\nworkers_max\n", ":2: neither [section] nor key = value");
    expect_file_refusal("[pool]\nworkers_max = 1\n  2\n", ":3: neither [section] nor key = value");
    expect_file_refusal("[worker]\ncommand = a \x1b[0m\n",
                        ":2: worker.command: the value has a control character (0x1b)");
}
END_TEST

START_TEST(a_mistake_in_the_environment_is_named_by_its_variable)
{
    setenv("PROBED_POOL_WORKERS_MAX", "0", 1);
    expect_refusal("PROBED_POOL_WORKERS_MAX: 0 is below 1", NULL);
    unsetenv("PROBED_POOL_WORKERS_MAX");
    setenv("PROBED_POOL_WORKERS", "1", 1);
    expect_refusal("PROBED_POOL_WORKERS: unknown setting", NULL);
    unsetenv("PROBED_POOL_WORKERS");
    setenv("PROBED_WORKER_COMMAND", "\xff", 1);
    expect_refusal("PROBED_WORKER_COMMAND: the value is not UTF-8", NULL);
    unsetenv("PROBED_WORKER_COMMAND");
}
END_TEST

START_TEST(what_was_meant_is_guessed_where_it_is_a_slip)
{
    expect_file_refusal("[pool]\nworker_max = 1\n", ":2: pool.worker_max: unknown setting; perhaps pool.workers_max");
    expect_file_refusal("[poool]\n", ":1: [poool]: unknown section; perhaps [pool]");
    expect_file_refusal("[tables]\n", ":1: [tables]: unknown section");
    expect_refusal("--pool-workers: unknown flag; --help lists them", "--pool-workers", "1", NULL);
    expect_refusal("--pool-worker-max=1: unknown flag; perhaps --pool-workers-max; --help lists them",
                   "--pool-worker-max=1", NULL);
    setenv("PROBED_POOL_WORKER_MAX", "1", 1);
    expect_refusal("PROBED_POOL_WORKER_MAX: unknown setting; perhaps PROBED_POOL_WORKERS_MAX", NULL);
    unsetenv("PROBED_POOL_WORKER_MAX");
}
END_TEST

START_TEST(a_distance_is_what_must_be_changed)
{
    ck_assert_uint_eq(config_guess_distance("", ""), 0);
    ck_assert_uint_eq(config_guess_distance("pool", "pool"), 0);
    ck_assert_uint_eq(config_guess_distance("pool", "pol"), 1);
    ck_assert_uint_eq(config_guess_distance("pol", "pool"), 1);
    ck_assert_uint_eq(config_guess_distance("pool", "poll"), 1);
    ck_assert_uint_eq(config_guess_distance("opol", "pool"), 2);
    ck_assert_uint_eq(config_guess_distance("", "ab"), 2);
    ck_assert_uint_eq(config_guess_distance("abc", ""), 3);
    ck_assert_uint_eq(config_guess_distance("loop", "tail"), 3); /* and more */
}
END_TEST

START_TEST(variables_of_others_are_left_alone)
{
    struct config config;

    setenv("PROBED_CONNECT", "ipc:///x", 1);
    setenv("PROBED_EVENTS", "ipc:///y", 1);
    setenv("PROBED_BIN", "/x", 1);
    load_well(&config, NULL);
    config_fini(&config);
    unsetenv("PROBED_CONNECT");
    unsetenv("PROBED_EVENTS");
    unsetenv("PROBED_BIN");
}
END_TEST

START_TEST(a_mistake_in_the_flags_is_named_by_its_flag)
{
    expect_refusal("--bogus: unknown flag; --help lists them", "--bogus", NULL);
    expect_refusal("--bogus=1: unknown flag; --help lists them", "--bogus=1", NULL);
    expect_refusal("-x: unknown flag; --help lists them", "--pool-workers-max", "3", "-x", NULL);
    expect_refusal("--pool-workers-max: needs a value", "--pool-queue-max", "3", "--pool-workers-max", NULL);
    expect_refusal("--config: needs a file", "--config", NULL);
    expect_refusal("start: not a flag; --help lists them", "start", NULL);
    expect_refusal("--worker-command: the value is not UTF-8", "--worker-command", "a\xc3", NULL);
    expect_refusal("--worker-command: the value has a control character (0x0a)", "--worker-command", "a\nb", NULL);
}
END_TEST

START_TEST(an_unreadable_file_stops_the_start)
{
    char message[STATUS_MESSAGE_SIZE];

    snprintf(message, sizeof message, "%s: No such file or directory", file);
    expect_refusal(message, "--config", file, NULL);
    snprintf(message, sizeof message, "%s: Is a directory", directory);
    expect_refusal(message, "--config", directory, NULL);
}
END_TEST

START_TEST(a_long_file_name_leaves_room_for_the_reason)
{
    char name[512], expected[STATUS_MESSAGE_SIZE];

    memset(name, 'd', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    snprintf(expected, sizeof expected, "%s: File name too long", name + sizeof name - 1 - 96);
    expect_refusal(expected, "--config", name, NULL);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_named_by_their_line)
{
    static const char nul[] = "[pool]\nworkers_max = 1\0 \n", bad[] = "[pool]\n\n# caf\xe9\nworkers_max = 1\n";
    char message[STATUS_MESSAGE_SIZE];

    write_file(nul, sizeof nul - 1);
    snprintf(message, sizeof message, "%s:2: a NUL byte", file);
    expect_refusal(message, "--config", file, NULL);
    write_file(bad, sizeof bad - 1);
    snprintf(message, sizeof message, "%s:3: not UTF-8", file);
    expect_refusal(message, "--config", file, NULL);
}
END_TEST

/* The longest value there may be, one byte more, and a mebibyte, by file and by flag. */
START_TEST(a_value_is_bounded)
{
    enum { MEBIBYTE = 1048576, START = 17 };
    char *content = malloc(MEBIBYTE + 64), message[STATUS_MESSAGE_SIZE];
    struct config config;

    ck_assert_ptr_nonnull(content);
    memset(content, 'a', MEBIBYTE + 64);
    memcpy(content, "[worker]\ncommand=", START);
    write_file(content, START + 65536);
    load_well(&config, "--config", file, NULL);
    ck_assert_uint_eq(strlen(config.worker.command.words[0]), 65536);
    config_fini(&config);

    write_file(content, START + 65537);
    snprintf(message, sizeof message, "%s:2: worker.command: the value has 65537 bytes, at most 65536 are read", file);
    expect_refusal(message, "--config", file, NULL);
    write_file(content, MEBIBYTE);
    snprintf(message, sizeof message, "%s:2: the line is longer than any setting", file);
    expect_refusal(message, "--config", file, NULL);
    write_file(content, MEBIBYTE + 1);
    snprintf(message, sizeof message, "%s: more than 1048576 bytes", file);
    expect_refusal(message, "--config", file, NULL);

    content[START + MEBIBYTE] = '\0';
    expect_refusal("--worker-command: the value has 1048576 bytes, at most 65536 are read", "--worker-command",
                   content + START, NULL);
    free(content);
}
END_TEST

START_TEST(a_list_is_bounded)
{
    char words[2 * 4097 + 1];
    struct config config;

    for (size_t i = 0; i < 4097; i++)
        memcpy(words + 2 * i, "1 ", 3);
    expect_refusal("--server-allow-uids: more than 4096 words", "--server-allow-uids", words, NULL);
    words[2 * 4096] = '\0';
    load_well(&config, "--server-allow-uids", words, NULL);
    ck_assert_uint_eq(config.server.allow_uids.count, 4096);
    config_fini(&config);
}
END_TEST

START_TEST(lines_may_end_as_elsewhere)
{
    struct config config;
    static const char content[] =
        "\xef\xbb\xbf[pool]\r\n  workers_max = 3\r\n\r\nqueue_max=7\r\n[log]\r\nlevel = debug";

    write_file(content, sizeof content - 1);
    load_well(&config, "--config", file, NULL);
    ck_assert_uint_eq(config.pool.workers_max, 3);
    ck_assert_uint_eq(config.pool.queue_max, 7);
    ck_assert_int_eq(config.log.level, LOG_DEBUG);
    config_fini(&config);
}
END_TEST

START_TEST(an_empty_file_says_nothing)
{
    struct config config;

    write_file("", 0);
    load_well(&config, "--config", file, NULL);
    config_fini(&config);
    write_file("\xef\xbb\xbf", 3);
    load_well(&config, "--config", file, NULL);
    config_fini(&config);
}
END_TEST

/* The lines that are settings or sections. */
static char *strip_comments(const char *printed)
{
    char *stripped = calloc(1, strlen(printed) + 1), *out = stripped;

    ck_assert_ptr_nonnull(stripped);
    for (const char *line = printed; *line != '\0';) {
        size_t size = strcspn(line, "\n") + 1;

        if (line[0] != '#')
            out = mempcpy(out, line, size);
        line += size;
    }
    return stripped;
}

static void expect_round_trip(const struct config *config)
{
    char *first = print(config), *second, *first_values, *second_values;
    struct config again;

    write_file(first, strlen(first));
    load_well(&again, "--config", file, NULL);
    second = print(&again);
    first_values = strip_comments(first);
    second_values = strip_comments(second);
    ck_assert_str_eq(first_values, second_values);
    ck_assert_uint_eq(config->worker.command.count, again.worker.command.count);
    for (size_t i = 0; i < again.worker.command.count; i++)
        ck_assert_str_eq(config->worker.command.words[i], again.worker.command.words[i]);
    config_fini(&again);
    free(first_values);
    free(second_values);
    free(first);
    free(second);
}

START_TEST(what_is_printed_reads_back_as_the_same)
{
    struct config config;
    char roots[4096] = "";

    load_well(&config, NULL);
    expect_round_trip(&config);
    config_fini(&config);

    for (size_t i = 0; i < 60; i++)
        snprintf(roots + strlen(roots), sizeof roots - strlen(roots), " \"/a root's %zu\" /b\\\\%zu", i, i);
    load_well(&config, "--server-homes-root", roots, "--worker-command", "'it'\\''s' \"a;b\" '#c' '' \\\\ \"\td\"",
              "--server-allow-uids", "7 8", "--server-nng-cpu", "0", "--log-format", "json", "--worker-env-pass", "",
              NULL);
    ck_assert_uint_eq(config.server.homes_root.count, 120);
    ck_assert_str_eq(config.server.homes_root.words[0], "/a root's 0");
    expect_words(&config.worker.command, "it's", "a;b", "#c", "", "\\", "\td", NULL);
    expect_round_trip(&config);
    config_fini(&config);
}
END_TEST

START_TEST(what_is_printed_names_its_source_and_unit)
{
    struct config config;
    static const char content[] = "[pool]\nqueue_max = 3\n";
    char *printed, expected[256];

    write_file(content, strlen(content));
    setenv("PROBED_POOL_IDLE_MS", "20", 1);
    load_well(&config, "--pool-workers-max", "5", "--config", file, NULL);
    printed = print(&config);
    snprintf(expected, sizeof expected, "; set by %s:2\nqueue_max = 3\n", file);
    ck_assert_ptr_nonnull(strstr(printed, expected));
    ck_assert_ptr_nonnull(
        strstr(printed, "; at least 10 ms; default 300000; set by PROBED_POOL_IDLE_MS\nidle_ms = 20\n"));
    ck_assert_ptr_nonnull(strstr(printed, "; 1 to 65536; default 16; set by --pool-workers-max\nworkers_max = 5\n"));
    ck_assert_ptr_nonnull(strstr(printed, "; default 64; not set\nqueue_per_home = 64\n"));
    free(printed);
    config_fini(&config);
    unsetenv("PROBED_POOL_IDLE_MS");
}
END_TEST

/* What config_compare tells, a line a change. */
static void note_change(void *context, const struct config_change *change)
{
    char *out = context;

    sprintf(out + strlen(out), "%s %s: %s -> %s\n", change->fixed == NULL ? "live" : "restart", change->setting,
            change->before, change->after);
}

START_TEST(another_configuration_is_compared_setting_by_setting)
{
    struct config config, fresh;
    char changes[1024] = "";

    load_well(&config, "--server-allow-uids", "7", "--worker-command", "a secret", NULL);
    load_well(&fresh, "--server-allow-uids", "7 8", "--worker-command", "a 'secret '", "--pool-idle-ms", "20",
              "--server-nng-cpu", "any", "--log-level", "debug", "--worker-writable-home", "yes", NULL);
    ck_assert_uint_eq(config_compare(&config, &config, note_change, changes), 0);
    ck_assert_uint_eq(config_compare(&config, &fresh, note_change, changes), 6);
    ck_assert_str_eq(changes, "restart server.allow_uids: 7 -> 7 8\nrestart server.nng_cpu: auto -> any\n"
                              "live pool.idle_ms: 300000 -> 20\nlive worker.command: (not shown) -> (not shown)\n"
                              "live worker.writable_home: no -> yes\nlive log.level: info -> debug\n");
    config_fini(&config);
    config_fini(&fresh);
}
END_TEST

START_TEST(the_built_in_workers_words_are_no_setting)
{
    struct config config, fresh;
    char changes[256] = "";

    load_well(&config, NULL);
    load_well(&fresh, "--worker-foreign-credentials", "yes", NULL);
    ck_assert_uint_eq(config_compare(&config, &fresh, note_change, changes), 1);
    ck_assert_str_eq(changes, "live worker.foreign_credentials: no -> yes\n");
    config_fini(&config);
    config_fini(&fresh);
}
END_TEST

START_TEST(what_is_live_is_taken_over_and_nothing_else)
{
    struct config config, fresh;

    load_well(&config, NULL);
    load_well(&fresh, "--pool-idle-ms", "20", "--pool-prewarm", "no", "--log-format", "json", "--server-allow-uids",
              "7", "--worker-sandbox", "off", "--worker-command", "/bin/true", NULL);
    config_take_live(&config, &fresh);
    ck_assert_uint_eq(config.pool.idle_ms, 20);
    ck_assert(!config.pool.prewarm);
    ck_assert_int_eq(config.log.format, LOG_FORMAT_JSON);
    ck_assert_uint_eq(config.server.allow_uids.count, 0);
    ck_assert_str_eq(config.worker.sandbox, "off");
    ck_assert_str_eq(config.worker.command.words[0], "/bin/true");
    ck_assert(!config.worker.built_in);
    ck_assert_uint_eq(fresh.pool.idle_ms, 300000);
    config_fini(&config);
    config_fini(&fresh);
}
END_TEST

START_TEST(the_modes_are_told_and_the_settings_still_checked)
{
    struct config config;
    enum config_mode mode;
    char *check[] = {"probed", "--check-config", "--worker-command", "/bin/true", NULL},
         *show[] = {"probed", "--print-config", NULL};
    struct status status = config_load("probed", 4, check, "/opt/probed", &config, &mode);

    ck_assert(status_is_ok(&status));
    ck_assert_int_eq(mode, CONFIG_CHECK);
    config_fini(&config);
    status = config_load("probed", 2, show, "/opt/probed", &config, &mode);
    ck_assert(status_is_ok(&status));
    ck_assert_int_eq(mode, CONFIG_PRINT);
    config_fini(&config);
    expect_refusal("--pool-workers-max: 0 is below 1", "--check-config", "--pool-workers-max", "0", NULL);
}
END_TEST

START_TEST(checking_looks_for_the_workers_program)
{
    struct config config;
    enum config_mode mode;
    char *bare[] = {"probed", "--check-config", "--worker-command", "sh -c true", NULL};
    struct status status = config_load("probed", 4, bare, "/opt/probed", &config, &mode);

    ck_assert_msg(status_is_ok(&status), "%s", status.message);
    config_fini(&config);
    expect_refusal("--worker-command: /nowhere/worker: No such file or directory", "--check-config", "--worker-command",
                   "/nowhere/worker --flag", NULL);
    expect_refusal("--worker-command: no-such-program: No such file or directory", "--check-config", "--worker-command",
                   "no-such-program", NULL);
    expect_refusal("--worker-command: /etc/passwd: Permission denied", "--check-config", "--worker-command",
                   "/etc/passwd", NULL);
    expect_refusal("--worker-command: /etc: Is a directory", "--check-config", "--worker-command", "/etc", NULL);
}
END_TEST

/* What config_load prints on standard output for one flag; free() it. */
static char *capture_output(char *flag)
{
    char *argv[] = {"probed", flag, NULL}, *text = calloc(1, 65536);
    struct config config;
    enum config_mode mode;
    struct status status;
    int saved = dup(STDOUT_FILENO);
    FILE *capture = tmpfile();

    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(capture);
    fflush(stdout);
    ck_assert_int_ge(dup2(fileno(capture), STDOUT_FILENO), 0);
    status = config_load("probed", 2, argv, "/opt/probed", &config, &mode);
    fflush(stdout);
    ck_assert_int_ge(dup2(saved, STDOUT_FILENO), 0);
    close(saved);
    ck_assert(status_is_ok(&status));
    ck_assert_int_eq(mode, CONFIG_EXIT);
    config_fini(&config);
    rewind(capture);
    ck_assert_uint_gt(fread(text, 1, 65535, capture), 0);
    fclose(capture);
    return text;
}

START_TEST(help_lists_every_setting)
{
    char *help = capture_output("--help");

    for (size_t i = 0; i < PROMISE_COUNT; i++) {
        char flag[64];

        name_flag(&promises[i], flag, sizeof flag - 1);
        ck_assert_msg(strstr(help, strcat(flag, "=")) != NULL, "%s is not in --help", flag);
    }
    ck_assert_ptr_nonnull(strstr(help, "worker processes in all: starting, idle, leased, draining and ending; 1 to "
                                       "65536; default 16"));
    for (const char *line = help; *line != '\0'; line = strchr(line, '\n') + 1)
        ck_assert_uint_le(strcspn(line, "\n"), 100);
    free(help);
}
END_TEST

START_TEST(version_names_the_program)
{
    char *version = capture_output("--version");

    ck_assert_str_eq(version, "probed " PROBED_VERSION "\n");
    free(version);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *each = tcase_create("each setting"), *values = tcase_create("values"), *sources = tcase_create("sources"),
          *output = tcase_create("output");

    tcase_add_checked_fixture(each, set_up, tear_down);
    tcase_add_checked_fixture(values, set_up, tear_down);
    tcase_add_checked_fixture(sources, set_up, tear_down);
    tcase_add_checked_fixture(output, set_up, tear_down);

    tcase_add_loop_test(each, every_default_is_the_contracts, 0, PROMISE_COUNT);
    tcase_add_loop_test(each, a_number_is_held_to_its_range_on_both_sides, 0, PROMISE_COUNT);
    tcase_add_test(each, there_is_no_setting_that_the_contract_does_not_name);

    tcase_add_test(values, what_is_no_whole_number_is_none);
    tcase_add_test(values, a_command_is_split_as_a_shell_splits_words);
    tcase_add_test(values, a_second_command_replaces_the_first);
    tcase_add_test(values, a_semicolon_behind_a_value_is_part_of_it);
    tcase_add_test(values, without_a_command_it_is_the_worker_beside_this_program);
    tcase_add_test(values, sockets_are_ipc_or_loopback_tcp);
    tcase_add_test(values, a_tls_listener_says_whom_it_is_for);
    tcase_add_test(values, what_is_said_of_a_role_names_it);
    tcase_add_test(values, the_page_is_for_this_machine_alone);
    tcase_add_test(values, a_socket_path_has_at_most_107_bytes);
    tcase_add_test(values, listening_and_publishing_need_addresses_of_their_own);
    tcase_add_test(values, the_default_sockets_are_the_users_own);
    tcase_add_test(values, a_daemon_that_gave_up_root_has_its_defaults_still);
    tcase_add_test(values, users_are_numbers_or_names);
    tcase_add_test(values, every_other_type_refuses_what_it_is_not);
    tcase_add_test(values, a_cpu_is_a_number_or_a_word);
    tcase_add_test(values, a_value_is_bounded);
    tcase_add_test(values, a_list_is_bounded);

    tcase_add_test(sources, flag_beats_environment_beats_file_beats_default);
    tcase_add_test(sources, of_two_values_in_one_place_the_last_counts);
    tcase_add_test(sources, a_list_grows_within_a_source_and_is_replaced_by_a_stronger_one);
    tcase_add_test(sources, a_mistake_in_the_file_is_named_by_file_line_and_key);
    tcase_add_test(sources, a_mistake_in_the_environment_is_named_by_its_variable);
    tcase_add_test(sources, a_mistake_in_the_flags_is_named_by_its_flag);
    tcase_add_test(sources, what_was_meant_is_guessed_where_it_is_a_slip);
    tcase_add_test(sources, a_distance_is_what_must_be_changed);
    tcase_add_test(sources, variables_of_others_are_left_alone);
    tcase_add_test(sources, an_unreadable_file_stops_the_start);
    tcase_add_test(sources, a_long_file_name_leaves_room_for_the_reason);
    tcase_add_test(sources, bytes_that_are_no_text_are_named_by_their_line);
    tcase_add_test(sources, lines_may_end_as_elsewhere);
    tcase_add_test(sources, an_empty_file_says_nothing);

    tcase_add_test(output, what_is_printed_reads_back_as_the_same);
    tcase_add_test(output, what_is_printed_names_its_source_and_unit);
    tcase_add_test(output, another_configuration_is_compared_setting_by_setting);
    tcase_add_test(output, the_built_in_workers_words_are_no_setting);
    tcase_add_test(output, what_is_live_is_taken_over_and_nothing_else);
    tcase_add_test(output, the_modes_are_told_and_the_settings_still_checked);
    tcase_add_test(output, checking_looks_for_the_workers_program);
    tcase_add_test(output, help_lists_every_setting);
    tcase_add_test(output, version_names_the_program);

    suite_add_tcase(suite, each);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, sources);
    suite_add_tcase(suite, output);
    return check_main(suite);
}
