/* TLS: who may come in by tls+tcp://, as whom, and what those who may not can do.
 *
 * Two roles: "dash" may use one home, "ops" has root's rights.  Certificates are made by openssl for this run. */
#include "tests/support/certificates.h"
#include "tests/support/child.h"
#include "tests/support/process.h"
#include "tests/support/story.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_SIZE = 160, URL_SIZE = 64, TEXT_SIZE = 1 << 20, NOBODY = 65534 };

/* Where each role comes in. */
enum door { DASH_CALLS, DASH_EVENTS, OPS_CALLS, OPS_EVENTS, DOOR_COUNT };

static uint16_t ports[DOOR_COUNT];
static char urls[DOOR_COUNT][URL_SIZE]; /* as they are dialled */

/* The daemon's own files, replaced at will. */
static char certificate[NAME_SIZE], key[NAME_SIZE], dash_ca[NAME_SIZE], ops_ca[NAME_SIZE];
static struct home other; /* that dash may not use */

/* ---- the daemon ---- */

/* Ports that are free now. */
static void choose_ports(void)
{
    int fds[DOOR_COUNT];

    for (size_t i = 0; i < DOOR_COUNT; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof address;

        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fds[i], 0);
        ck_assert_int_eq(bind(fds[i], (const struct sockaddr *)&address, size), 0);
        ck_assert_int_eq(getsockname(fds[i], (struct sockaddr *)&address, &size), 0);
        ports[i] = ntohs(address.sin_port);
        snprintf(urls[i], URL_SIZE, "tls+tcp://127.0.0.1:%u", (unsigned)ports[i]);
    }
    for (size_t i = 0; i < DOOR_COUNT; i++)
        close(fds[i]);
}

static void place(char path[NAME_SIZE], const char *name, const char *file)
{
    snprintf(path, NAME_SIZE, "%s/%s", stage.scratch.path, name);
    certificate_replace(path, file);
}

/* What the daemon has said so far. */
static const char *said(void)
{
    static char text[TEXT_SIZE];
    char path[NAME_SIZE];
    FILE *in;
    size_t size;

    snprintf(path, sizeof path, "%s/stderr", stage.scratch.path);
    in = fopen(path, "re");
    ck_assert_ptr_nonnull(in);
    size = fread(text, 1, sizeof text - 1, in);
    text[size] = '\0';
    fclose(in);
    return text;
}

static size_t count_said(const char *words)
{
    size_t count = 0;

    for (const char *at = said(); (at = strstr(at, words)) != NULL; at += strlen(words))
        count++;
    return count;
}

/* Waits until they were said more often than that. */
static void wait_said(const char *words, size_t before)
{
    uint64_t tries = PATIENCE_MS;

    while (count_said(words) <= before) {
        ck_assert_msg(tries-- > 0, "\"%s\" is not said", words);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* `user`: whose rights dash has; further settings, ended by NULL. */
static void open_with(const char *user, const char *const *further)
{
    char doors[DOOR_COUNT][URL_SIZE + 8], roles[5][NAME_SIZE + 16];
    const char *settings[DAEMON_SETTING_COUNT_MAX - 8] = {"--server-listen",
                                                          doors[DASH_CALLS],
                                                          "--server-publish",
                                                          doors[DASH_EVENTS],
                                                          "--server-listen",
                                                          doors[OPS_CALLS],
                                                          "--server-publish",
                                                          doors[OPS_EVENTS],
                                                          "--tls-certificate",
                                                          certificate,
                                                          "--tls-key",
                                                          key,
                                                          "--tls-ca",
                                                          roles[0],
                                                          "--tls-ca",
                                                          roles[1],
                                                          "--tls-user",
                                                          roles[2],
                                                          "--tls-user",
                                                          "ops=root",
                                                          "--tls-homes",
                                                          roles[3],
                                                          "--events-heartbeat-ms",
                                                          "100"};
    size_t count = 24;

    scratch_open(&stage.scratch);
    home_create(&stage.home, &stage.scratch, "home");
    home_create(&other, &stage.scratch, "other");
    choose_ports();
    for (size_t i = 0; i < DOOR_COUNT; i++)
        snprintf(doors[i], sizeof doors[i], "tls+tcp://%s@127.0.0.1:%u", i < OPS_CALLS ? "dash" : "ops",
                 (unsigned)ports[i]);
    place(certificate, "server.pem", "server.pem");
    place(key, "server.key", "server.key");
    place(dash_ca, "dash-ca.pem", "dash-ca.pem");
    place(ops_ca, "ops-ca.pem", "ops-ca.pem");
    snprintf(roles[0], sizeof roles[0], "dash=%s", dash_ca);
    snprintf(roles[1], sizeof roles[1], "ops=%s", ops_ca);
    snprintf(roles[2], sizeof roles[2], "dash=%s", user);
    snprintf(roles[3], sizeof roles[3], "dash=%s", stage.home.path);
    for (; further != NULL && *further != NULL; further++)
        settings[count++] = *further;
    settings[count] = NULL;
    daemon_start(&stage.daemon, &stage.scratch, settings);
    wait_said("event=ready", 0); /* it serves on ipc before the last listener is there */
}

static void set_up(void)
{
    open_with("root", NULL);
}

static void set_up_few(void)
{
    static const char *const few[] = {"--server-connections-per-uid", "4", NULL};

    open_with("root", few);
}

/* Settings that can be changed. */
static char settings_file[] = "/tmp/probed-tls-XXXXXX";

static void write_settings(unsigned connections_per_uid)
{
    FILE *out = fopen(settings_file, "we");

    ck_assert_ptr_nonnull(out);
    fprintf(out, "[server]\nconnections_per_uid = %u\n", connections_per_uid);
    ck_assert_int_eq(fclose(out), 0);
}

static void set_up_file(void)
{
    static const char *const file[] = {"--config", settings_file, NULL};
    int fd = mkstemp(settings_file);

    ck_assert_int_ge(fd, 0);
    close(fd);
    write_settings(2);
    open_with("root", file);
}

static void tear_down_file(void)
{
    story_teardown();
    unlink(settings_file);
}

static void set_up_nobody(void)
{
    open_with("65534", NULL);
}

static void set_up_user(void)
{
    static const char *const user[] = {"--server-user", "65534", NULL};

    open_with("root", user);
}

/* Has the files read again, and waits until that is done, well or not. */
static void reload_and_expect(const char *words)
{
    size_t before = count_said(words);

    ck_assert_int_eq(kill(server->pid, SIGHUP), 0);
    wait_said(words, before);
}

static void reload(void)
{
    reload_and_expect("configuration read again");
}

/* ---- probectl, as a person would ---- */

/* Its files; NULL: none of that kind. */
struct person {
    const char *certificate, *key, *authorities, *server_name;
};

static const struct person dash = {"dash.pem", "dash.key", "server-ca.pem", "localhost"};

static struct child_result ask(enum door door, const struct person *person)
{
    char certificate_file[CERTIFICATE_PATH_SIZE], key_file[CERTIFICATE_PATH_SIZE], ca_file[CERTIFICATE_PATH_SIZE];
    const char *arguments[24] = {"probectl", "--connect", urls[door], "--timeout", "10", "sync", "--home", home->path};
    size_t count = 8;

    if (person->certificate != NULL) {
        arguments[count++] = "--tls-certificate";
        arguments[count++] = certificate_path(person->certificate, certificate_file);
    }
    if (person->key != NULL) {
        arguments[count++] = "--tls-key";
        arguments[count++] = certificate_path(person->key, key_file);
    }
    if (person->authorities != NULL) {
        arguments[count++] = "--tls-ca";
        arguments[count++] = certificate_path(person->authorities, ca_file);
    }
    if (person->server_name != NULL) {
        arguments[count++] = "--tls-server-name";
        arguments[count++] = person->server_name;
    }
    arguments[count] = NULL;
    return child_run(arguments, NULL, NULL, 0);
}

static void expect_answer(enum door door, const struct person *person)
{
    struct child_result result = ask(door, person);

    ck_assert_msg(result.exit_status == 0, "%s", result.err);
    child_result_fini(&result);
}

static void expect_reason(enum door door, const struct person *person, int exit_status, const char *reason)
{
    struct child_result result = ask(door, person);

    ck_assert_msg(strstr(result.err, reason) != NULL, "\"%s\" is not in \"%s\"", reason, result.err);
    ck_assert_int_eq(result.exit_status, exit_status);
    child_result_fini(&result);
}

/* ---- who is let in ---- */

START_TEST(a_client_with_a_certificate_of_its_role_is_served)
{
    struct caller remote;

    expect_answer(DASH_CALLS, &dash);
    caller_open_as(&remote, urls[DASH_CALLS], "dash");
    expect_plan(probe_begin(&remote, home->path, "openrouter", NULL, 0), "one");
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    caller_close(&remote);
}
END_TEST

START_TEST(who_is_refused_is_told_why)
{
    static const struct {
        enum door door;
        struct person person;
        int exit_status;
        const char *reason;
    } rows[] = {
        {DASH_CALLS,
         {"dash-expired.pem", "dash-expired.key", "server-ca.pem", "localhost"},
         69,
         "expired on 2020-02-01"},
        {DASH_CALLS,
         {"dash-early.pem", "dash-early.key", "server-ca.pem", "localhost"},
         69,
         "not accept our certificate"},
        {DASH_CALLS, {"stranger.pem", "stranger.key", "server-ca.pem", "localhost"}, 69, "not accept our certificate"},
        {DASH_CALLS, {"ops.pem", "ops.key", "server-ca.pem", "localhost"}, 69, "not accept our certificate"},
        {OPS_CALLS, {"dash.pem", "dash.key", "server-ca.pem", "localhost"}, 69, "not accept our certificate"},
        {DASH_CALLS, {"dash.pem", "dash.key", "stranger-ca.pem", "localhost"}, 69, "none of our authorities"},
        {DASH_CALLS, {"dash.pem", "dash.key", "server-ca.pem", "elsewhere.example"}, 69, "is for localhost, not for"},
        {DASH_CALLS, {"dash.pem", "dash.key", "server-ca.pem", NULL}, 69, "is for localhost, not for 127.0.0.1"},
        {DASH_EVENTS, {"dash.pem", "dash.key", "server-ca.pem", "localhost"}, 69, "a socket of another kind"},
        {DASH_CALLS, {NULL, NULL, "server-ca.pem", "localhost"}, 2, "needs our certificate"},
        {DASH_CALLS, {"dash.pem", "dash.key", NULL, "localhost"}, 2, "needs the authorities"},
        {DASH_CALLS, {"dash.pem", "ops.key", "server-ca.pem", "localhost"}, 2, "is not that of the certificate"},
        {DASH_CALLS, {"garbage.pem", "dash.key", "server-ca.pem", "localhost"}, 2, "garbage.pem"},
        {DASH_CALLS, {"dash.pem", "encrypted.key", "server-ca.pem", "localhost"}, 2, "is encrypted"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        expect_reason(rows[i].door, &rows[i].person, rows[i].exit_status, rows[i].reason);
}
END_TEST

START_TEST(who_shows_no_certificate_is_not_let_in)
{
    ck_assert(!certificate_connects(urls[DASH_CALLS], NULL));
    ck_assert(!certificate_connects(urls[DASH_EVENTS], NULL));
    ck_assert(!certificate_connects(urls[DASH_EVENTS], "ops"));
    ck_assert(!certificate_connects(urls[OPS_EVENTS], "dash"));
    ck_assert(certificate_connects(urls[DASH_CALLS], "dash"));
}
END_TEST

/* ---- as whom ---- */

START_TEST(a_role_uses_its_homes_alone)
{
    char inside[NAME_SIZE], outside[NAME_SIZE], absent[NAME_SIZE], untidy[NAME_SIZE];
    Probed__V1__GetStatusRequest status = PROBED__V1__GET_STATUS_REQUEST__INIT;
    struct caller remote;

    snprintf(inside, sizeof inside, "%s/leads-out", home->path);
    snprintf(outside, sizeof outside, "%s/leads-in", stage.scratch.path);
    snprintf(absent, sizeof absent, "%s/absent", stage.scratch.path);
    snprintf(untidy, sizeof untidy, "/.%s//./", home->path);
    ck_assert_int_eq(symlink(other.path, inside), 0);
    ck_assert_int_eq(symlink(home->path, outside), 0);
    caller_open_as(&remote, urls[DASH_CALLS], "dash");
    expect_plan(probe_begin(&remote, home->path, "openrouter", NULL, 0), "one");
    expect_plan(probe_begin(&remote, untidy, "openrouter", NULL, 0), "one");
    expect_failure(probe_begin(&remote, other.path, "openrouter", NULL, 0), STATUS_PERMISSION_DENIED, "tls.homes");
    expect_failure(probe_begin(&remote, inside, "openrouter", NULL, 0), STATUS_PERMISSION_DENIED, "tls.homes");
    expect_failure(sync_begin(&remote, outside), STATUS_PERMISSION_DENIED, "tls.homes");
    expect_failure(sync_begin(&remote, absent), STATUS_PERMISSION_DENIED, "tls.homes"); /* as of one that exists */
    expect_failure(sync_begin(&remote, "relative"), STATUS_INVALID_ARGUMENT, "absolute");
    expect_failure(invalidate_begin(&remote, other.path, "", PROBED__V1__BARRIER__BARRIER_FENCED),
                   STATUS_PERMISSION_DENIED, "tls.homes");
    expect_failure(invalidate_begin(&remote, "", "", PROBED__V1__BARRIER__BARRIER_FENCED), STATUS_PERMISSION_DENIED,
                   "administrators");
    expect_failure(call_begin(&remote, METHOD_GET_STATUS, 0, &status.base), STATUS_PERMISSION_DENIED, NULL);
    caller_close(&remote);
    ck_assert_uint_eq(home_count(&other, "start"), 0);
}
END_TEST

START_TEST(a_role_that_is_not_confined_has_its_users_rights)
{
    Probed__V1__GetStatusRequest status = PROBED__V1__GET_STATUS_REQUEST__INIT;
    struct caller remote;
    struct call *call;

    caller_open_as(&remote, urls[OPS_CALLS], "ops");
    expect_plan(probe_begin(&remote, other.path, "openrouter", NULL, 0), "one");
    call = call_begin(&remote, METHOD_GET_STATUS, 0, &status.base);
    call_expect(call, STATUS_OK, NULL);
    call_end(call);
    caller_close(&remote);
}
END_TEST

/* dash is nobody here: within tls.homes, the uid decides as it does for peers of this machine. */
START_TEST(a_role_has_no_more_rights_than_its_user)
{
    struct caller remote;
    struct call *call;
    uint64_t tries = 10000;
    uint32_t code;

    caller_open_as(&remote, urls[DASH_CALLS], "dash");
    expect_failure(sync_begin(&remote, home->path), STATUS_PERMISSION_DENIED, NULL);
    ck_assert_int_eq(chown(home->path, NOBODY, NOBODY), 0);
    do { /* the refusal is remembered for a moment */
        call = sync_begin(&remote, home->path);
        call_wait(call);
        code = call->response->code;
        call_end(call);
    } while (code != 0 && tries-- > 0);
    ck_assert_uint_eq(code, 0);
    caller_close(&remote);
}
END_TEST

START_TEST(a_role_hears_of_its_homes_alone)
{
    struct listener dash_hears, ops_hears;
    struct heard heard;
    struct caller remote;
    struct call *call;

    listener_open_as(&dash_hears, urls[DASH_EVENTS], "dash");
    listener_open_as(&ops_hears, urls[OPS_EVENTS], "ops");
    caller_open_as(&remote, urls[OPS_CALLS], "ops");
    call = invalidate_begin(&remote, other.path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
    invalidate_response(call);
    call_end(call);
    call = invalidate_begin(&remote, home->path, "", PROBED__V1__BARRIER__BARRIER_FENCED);
    invalidate_response(call);
    call_end(call);
    heard = listener_next_event(&ops_hears);
    ck_assert_str_eq(heard.event->home, other.path);
    heard_end(&heard);
    heard = listener_next_event(&ops_hears);
    ck_assert_str_eq(heard.event->home, home->path);
    heard_end(&heard);
    heard = listener_next_event(&dash_hears);
    ck_assert_str_eq(heard.event->home, home->path);
    heard_end(&heard);
    heard = listener_next_beat(&dash_hears);
    ck_assert_uint_eq(heard.beat->n_recent, 1);
    ck_assert_str_eq(heard.beat->recent[0]->home, home->path);
    heard_end(&heard);
    caller_close(&remote);
    listener_close(&dash_hears);
    listener_close(&ops_hears);
}
END_TEST

START_TEST(a_role_fills_its_own_share_of_connections)
{
    struct caller remotes[4], other_role, local;

    for (size_t i = 0; i < ROW_COUNT(remotes); i++) {
        caller_open_as(&remotes[i], urls[DASH_CALLS], "dash");
        expect_plan(probe_begin(&remotes[i], home->path, "openrouter", NULL, 0), "one");
    }
    expect_reason(DASH_CALLS, &dash, 69, "connections_per_uid");
    caller_open_as(&other_role, urls[OPS_CALLS], "ops"); /* of the same uid */
    expect_plan(probe_begin(&other_role, home->path, "openrouter", NULL, 0), "one");
    caller_open(&local, server->url);
    expect_plan(probe_begin(&local, home->path, "openrouter", NULL, 0), "one");
    caller_close(&local);
    caller_close(&other_role);
    for (size_t i = 0; i < ROW_COUNT(remotes); i++)
        caller_close(&remotes[i]);
}
END_TEST

START_TEST(a_share_that_grows_has_room_for_events_as_well)
{
    struct listener hears[3];

    listener_open_as(&hears[0], urls[DASH_EVENTS], "dash");
    listener_open_as(&hears[1], urls[DASH_EVENTS], "dash");
    write_settings(3);
    reload();
    listener_open_as(&hears[2], urls[DASH_EVENTS], "dash"); /* which hears something */
    for (size_t i = 0; i < ROW_COUNT(hears); i++)
        listener_close(&hears[i]);
}
END_TEST

/* ---- reading the files again ---- */

START_TEST(files_are_read_again_and_nobody_is_dropped)
{
    size_t round_count = patience_count(100), answered = 0;
    struct caller remote;
    struct listener hears;
    struct call *calls[16] = {NULL};
    struct heard heard;

    caller_open_as(&remote, urls[DASH_CALLS], "dash");
    listener_open_as(&hears, urls[DASH_EVENTS], "dash");
    expect_plan(probe_begin(&remote, home->path, "openrouter", NULL, 0), "one");
    for (size_t round = 0; round < round_count; round++) {
        bool next = round % 2 == 0;

        for (size_t i = 0; i < ROW_COUNT(calls); i++)
            calls[i] = probe_begin(&remote, home->path, "openrouter", NULL, 0);
        certificate_replace(certificate, next ? "server-next.pem" : "server.pem");
        certificate_replace(key, next ? "server-next.key" : "server.key");
        certificate_replace(dash_ca, next ? "stranger-ca.pem" : "dash-ca.pem");
        reload();
        for (size_t i = 0; i < ROW_COUNT(calls); i++, answered++)
            expect_plan(calls[i], "one"); /* nng tells of a connection that is lost: nothing is sent again */
        ck_assert(certificate_connects(urls[DASH_CALLS], "dash") == !next); /* the very first to come */
        ck_assert(certificate_connects(urls[DASH_CALLS], "stranger") == next);
        ck_assert(certificate_connects(urls[DASH_EVENTS], "dash") == !next);
        heard = listener_next_beat(&hears);
        heard_end(&heard);
    }
    ck_assert_uint_eq(answered, round_count * ROW_COUNT(calls));
    caller_close(&remote);
    listener_close(&hears);
}
END_TEST

START_TEST(the_servers_certificate_is_judged_by_the_client)
{
    static const struct {
        const char *pem, *key, *reason;
    } rows[] = {
        {"server-expired.pem", "server-expired.key", "its certificate expired on 2020-02-01"},
        {"server-elsewhere.pem", "server-elsewhere.key", "is for elsewhere.example, not for localhost"},
        {"server-stranger.pem", "server-stranger.key", "none of our authorities"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        certificate_replace(certificate, rows[i].pem);
        certificate_replace(key, rows[i].key);
        reload();
        ck_assert(!certificate_connects(urls[DASH_CALLS], "dash"));
        expect_reason(DASH_CALLS, &dash, 69, rows[i].reason);
    }
    ck_assert_uint_eq(count_said("the certificate has expired"), 1);
}
END_TEST

START_TEST(what_was_revoked_is_not_let_in)
{
    static const struct person revoked = {"dash-revoked.pem", "dash-revoked.key", "server-ca.pem", "localhost"};

    ck_assert(certificate_connects(urls[DASH_CALLS], "dash-revoked"));
    certificate_replace(dash_ca, "dash-ca-revoking.pem");
    reload();
    ck_assert(!certificate_connects(urls[DASH_CALLS], "dash-revoked"));
    expect_reason(DASH_CALLS, &revoked, 69, "revoked");
    ck_assert(certificate_connects(urls[DASH_CALLS], "dash"));
    certificate_replace(dash_ca, "dash-ca-lapsed.pem"); /* a list that has expired says nothing of anybody */
    reload();
    ck_assert(!certificate_connects(urls[DASH_CALLS], "dash"));
    ck_assert_uint_eq(count_said("it lets nobody in"), 1);
}
END_TEST

START_TEST(files_that_are_wrong_change_nothing)
{
    struct caller remote;

    caller_open_as(&remote, urls[DASH_CALLS], "dash");
    certificate_replace(key, "ops.key");
    reload_and_expect("is not the key of the certificate");
    ck_assert_uint_eq(count_said("configuration kept as it was"), 1);
    certificate_replace(key, "server.key");
    certificate_replace(ops_ca, "garbage.pem"); /* what is right in other files is not taken either */
    certificate_replace(dash_ca, "stranger-ca.pem");
    reload_and_expect("holds no certificate");
    ck_assert_uint_eq(count_said("configuration kept as it was"), 2);
    ck_assert(certificate_connects(urls[DASH_CALLS], "dash"));
    ck_assert(!certificate_connects(urls[DASH_CALLS], "stranger"));
    expect_plan(probe_begin(&remote, home->path, "openrouter", NULL, 0), "one");
    caller_close(&remote);
}
END_TEST

/* The key was read by root; the daemon, who is not root any more, says so, and goes on with what it has. */
START_TEST(a_daemon_that_gave_up_root_says_that_it_cannot_read_its_key)
{
    ck_assert(certificate_connects(urls[DASH_CALLS], "dash"));
    reload_and_expect("cannot read");
    ck_assert_ptr_nonnull(strstr(said(), "as uid 65534: Permission denied"));
    ck_assert(certificate_connects(urls[DASH_CALLS], "dash"));
    for (size_t i = 0; i < 4; i++) {
        const char *const files[] = {certificate, key, dash_ca, ops_ca};

        ck_assert_int_eq(chown(files[i], NOBODY, NOBODY), 0);
    }
    ck_assert_int_eq(chmod(stage.scratch.path, 0755), 0);
    reload();
    ck_assert(certificate_connects(urls[DASH_CALLS], "dash"));
}
END_TEST

/* ---- strangers ---- */

static int connect_plain(enum door door)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(ports[door]), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The beginning of a handshake that never goes on, and what is none. */
static void say_something(int fd, size_t number)
{
    static const unsigned char hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8};
    static const char http[] = "GET / HTTP/1.1\r\nHost: probed\r\n\r\n", greeting[] = "\0SP\0\0\x30\0\0";
    ssize_t sent = 0;

    switch (number % 5) {
    case 0:
        sent = send(fd, hello, 1 + number % sizeof hello, MSG_NOSIGNAL);
        break;
    case 1:
        sent = send(fd, hello, sizeof hello, MSG_NOSIGNAL);
        break;
    case 2:
        sent = send(fd, http, sizeof http - 1, MSG_NOSIGNAL);
        break;
    case 3:
        sent = send(fd, greeting, 8, MSG_NOSIGNAL);
        break;
    default:
        break; /* silence */
    }
    (void)sent; /* it may have been shown out meanwhile */
}

START_TEST(a_crowd_at_the_door_starves_nobody)
{
    enum { STRANGER_COUNT = 1000 };
    static int strangers[STRANGER_COUNT];
    size_t fds = process_fd_count(server->pid);
    struct caller inside, fresh;

    caller_open_as(&inside, urls[DASH_CALLS], "dash");
    expect_plan(probe_begin(&inside, home->path, "openrouter", NULL, 0), "one");
    for (size_t i = 0; i < STRANGER_COUNT; i++) {
        strangers[i] = connect_plain(i % 2 == 0 ? DASH_CALLS : DASH_EVENTS);
        say_something(strangers[i], i);
    }
    expect_plan(probe_begin(&inside, home->path, "openrouter", NULL, 0), "one");
    expect_origin(begin("openrouter", NULL), PROBED__V1__ORIGIN__ORIGIN_CACHED);
    for (size_t i = 0; i < 5; i++) {
        caller_open_as(&fresh, urls[DASH_CALLS], "dash"); /* dials once, and fails where it is not let in */
        expect_plan(probe_begin(&fresh, home->path, "openrouter", NULL, 0), "one");
        caller_close(&fresh);
    }
    for (size_t i = 0; i < STRANGER_COUNT; i++)
        close(strangers[i]);
    caller_close(&inside);
    if (patience_soaks())
        process_wait_fd_count(server->pid, fds);
}
END_TEST

START_TEST(truncated_handshakes_and_garbage_leave_it_as_it_was)
{
    size_t count = patience_count(5000);
    struct caller remote;

    for (size_t i = 0; i < count; i++) {
        int fd = connect_plain((enum door)(i % DOOR_COUNT));

        say_something(fd, i);
        if (i % 3 == 0) { /* a reset instead of an end */
            const struct linger now = {.l_onoff = 1, .l_linger = 0};

            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        close(fd);
    }
    caller_open_as(&remote, urls[DASH_CALLS], "dash");
    expect_plan(probe_begin(&remote, home->path, "openrouter", NULL, 0), "one");
    caller_close(&remote);
    ck_assert(certificate_connects(urls[OPS_EVENTS], "ops"));
}
END_TEST

/* ---- settings ---- */

/* What --check-config says of these files; NULL: nothing against them. */
static void expect_check(const char *const *further, const char *part)
{
    const char *arguments[32] = {"probed", "--check-config"};
    struct child_result result;
    size_t count = 2;

    for (; *further != NULL; further++)
        arguments[count++] = *further;
    arguments[count] = NULL;
    result = child_run(arguments, NULL, NULL, 0);
    if (part == NULL) {
        ck_assert_msg(result.exit_status == 0, "%s", result.err);
    } else {
        ck_assert_msg(strstr(result.err, part) != NULL, "\"%s\" is not in \"%s\"", part, result.err);
        ck_assert_int_eq(result.exit_status, 2);
    }
    child_result_fini(&result);
}

#define LISTEN "--server-listen", "tls+tcp://dash@127.0.0.1:1"

START_TEST(files_are_judged_before_anybody_is_let_in)
{
    static const struct {
        const char *certificate, *key, *authorities, *part;
    } rows[] = {
        {"server.pem", "server.key", "dash-ca.pem", NULL},
        {"server.pem", "server.key", "dash-ca-revoking.pem", NULL},
        {"server.pem", "ops.key", "dash-ca.pem", "tls.key: "},
        {"server.pem", "encrypted.key", "dash-ca.pem", "is encrypted"},
        {"server.pem", "ed25519.key", "dash-ca.pem", "tls.key: "},
        {"server.pem", "absent.key", "dash-ca.pem", "No such file"},
        {"server.pem", "empty.pem", "dash-ca.pem", "tls.key: "},
        {"garbage.pem", "server.key", "dash-ca.pem", "tls.certificate: "},
        {"empty.pem", "server.key", "dash-ca.pem", "tls.certificate: "},
        {"server.pem", "server.key", "garbage.pem", "tls.ca: "},
        {"server.pem", "server.key", "dash.pem", "certificate of no authority"},
        {"server.pem", "server.key", ".", "is no file"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char paths[3][CERTIFICATE_PATH_SIZE], ca[CERTIFICATE_PATH_SIZE + 8];
        const char *further[] = {LISTEN,   "--tls-user", "dash=root", "--tls-certificate",
                                 paths[0], "--tls-key",  paths[1],    "--tls-ca",
                                 ca,       NULL};

        certificate_path(rows[i].certificate, paths[0]);
        certificate_path(rows[i].key, paths[1]);
        snprintf(ca, sizeof ca, "dash=%s", certificate_path(rows[i].authorities, paths[2]));
        expect_check(further, rows[i].part);
    }
}
END_TEST

START_TEST(who_may_use_a_file_is_judged_as_well)
{
    char ca[NAME_SIZE + 8];
    const char *further[] = {LISTEN,     "--tls-user", "dash=root", "--tls-certificate", certificate, "--tls-key", key,
                             "--tls-ca", ca,           NULL};

    snprintf(ca, sizeof ca, "dash=%s", dash_ca);
    expect_check(further, NULL);
    ck_assert_int_eq(chmod(key, 0640), 0);
    expect_check(further, "chmod 600 helps");
    ck_assert_int_eq(chmod(key, 0604), 0);
    expect_check(further, "chmod 600 helps");
    ck_assert_int_eq(chmod(key, 0400), 0);
    expect_check(further, NULL);
    ck_assert_int_eq(chown(key, NOBODY, NOBODY), 0);
    expect_check(further, "is uid 65534's");
    ck_assert_int_eq(chown(key, 0, 0), 0);
    ck_assert_int_eq(chmod(dash_ca, 0644), 0);
    expect_check(further, NULL);
    ck_assert_int_eq(chmod(dash_ca, 0664), 0);
    expect_check(further, "others can write");
    ck_assert_int_eq(chmod(dash_ca, 0644), 0);
    ck_assert_int_eq(unlink(key), 0);
    ck_assert_int_eq(mkfifo(key, 0600), 0);
    expect_check(further, "is no file");
}
END_TEST

START_TEST(what_is_said_of_roles_fits_together)
{
    char pem[CERTIFICATE_PATH_SIZE], server_key[CERTIFICATE_PATH_SIZE], path[CERTIFICATE_PATH_SIZE];
    char ca[CERTIFICATE_PATH_SIZE + 8], typo[CERTIFICATE_PATH_SIZE + 8];
    const char *const no_ca[] = {LISTEN,     "--tls-certificate", pem,         "--tls-key",
                                 server_key, "--tls-user",        "dash=root", NULL};
    const char *const no_user[] = {LISTEN, "--tls-certificate", pem, "--tls-key", server_key, "--tls-ca", ca, NULL};
    const char *const no_certificate[] = {LISTEN, "--tls-user", "dash=root", "--tls-ca", ca, NULL};
    const char *const no_listener[] = {"--tls-user", "dash=root", NULL};
    const char *const misspelt[] = {LISTEN,      "--tls-certificate", pem, "--tls-key", server_key, "--tls-user",
                                    "dash=root", "--tls-ca",          ca,  "--tls-ca",  typo,       NULL};
    const char *const twice[] = {LISTEN,      "--tls-certificate", pem, "--tls-key", server_key, "--tls-user",
                                 "dash=root", "--tls-ca",          ca,  "--tls-ca",  ca,         NULL};
    const char *const no_directory[] = {
        LISTEN,      "--tls-certificate", pem, "--tls-key",   server_key,          "--tls-user",
        "dash=root", "--tls-ca",          ca,  "--tls-homes", "dash=/nonexistent", NULL};

    certificate_path("server.pem", pem);
    certificate_path("server.key", server_key);
    snprintf(ca, sizeof ca, "dash=%s", certificate_path("dash-ca.pem", path));
    snprintf(typo, sizeof typo, "dahs=%s", path);
    expect_check(no_ca, "tls.ca: role dash has none");
    expect_check(no_user, "tls.user: role dash has none");
    expect_check(no_certificate, "tls.certificate: ");
    expect_check(no_listener, "tls.user: role dash has no tls+tcp://dash@ADDRESS:PORT");
    expect_check(misspelt, "tls.ca: role dahs has no tls+tcp://dahs@ADDRESS:PORT");
    expect_check(twice, "tls.ca: role dash has more than one");
    expect_check(no_directory, "tls.homes: /nonexistent, for role dash: No such file");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tcase = story_case(suite, "roles", set_up);
    int result = 1;

    tcase_add_test(tcase, a_client_with_a_certificate_of_its_role_is_served);
    tcase_add_test(tcase, who_is_refused_is_told_why);
    tcase_add_test(tcase, who_shows_no_certificate_is_not_let_in);
    tcase_add_test(tcase, a_role_uses_its_homes_alone);
    tcase_add_test(tcase, a_role_that_is_not_confined_has_its_users_rights);
    tcase_add_test(tcase, a_role_hears_of_its_homes_alone);
    tcase_add_test(tcase, files_are_read_again_and_nobody_is_dropped);
    tcase_add_test(tcase, the_servers_certificate_is_judged_by_the_client);
    tcase_add_test(tcase, what_was_revoked_is_not_let_in);
    tcase_add_test(tcase, files_that_are_wrong_change_nothing);
    tcase_add_test(tcase, a_crowd_at_the_door_starves_nobody);
    tcase_add_test(tcase, truncated_handshakes_and_garbage_leave_it_as_it_was);
    tcase_add_test(tcase, files_are_judged_before_anybody_is_let_in);
    tcase_add_test(tcase, who_may_use_a_file_is_judged_as_well);
    tcase_add_test(tcase, what_is_said_of_roles_fits_together);
    tcase = story_case(suite, "few connections", set_up_few);
    tcase_add_test(tcase, a_role_fills_its_own_share_of_connections);
    tcase = tcase_create("other settings");
    tcase_add_checked_fixture(tcase, set_up_file, tear_down_file);
    tcase_set_timeout(tcase, patience_test_s());
    tcase_add_test(tcase, a_share_that_grows_has_room_for_events_as_well);
    suite_add_tcase(suite, tcase);
    tcase = story_case(suite, "nobody", set_up_nobody);
    tcase_add_test(tcase, a_role_has_no_more_rights_than_its_user);
    tcase = story_case(suite, "server.user", set_up_user);
    tcase_add_test(tcase, a_daemon_that_gave_up_root_says_that_it_cannot_read_its_key);
    if (certificates_make())
        result = check_main(suite);
    certificates_remove();
    return result;
}
