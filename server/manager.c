/* Notices to the service manager, see manager.h. */
#include "server/manager.h"

#include "server/base/clock.h"
#include "server/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { SEND_SECONDS_MAX = 2 };

/* From daemon to keeper. */
struct notice {
    uint32_t kind; /* enum manager_notice_kind */
    uint64_t number;
    char status[STATUS_MESSAGE_SIZE]; /* terminated; "": none */
};

/* ---- who listens ---- */

/* A path, or with "@" a name in Linux' own space.  False: neither, and nobody of ours. */
static bool take_address(struct manager *manager, const char *name)
{
    size_t size = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof manager->address.sun_path)
        return false;
    manager->address.sun_family = AF_UNIX;
    memcpy(manager->address.sun_path, name, size + 1);
    manager->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (name[0] == '/'));
    if (name[0] == '@')
        manager->address.sun_path[0] = '\0';
    return true;
}

/* 0: none is wanted of this process. */
static uint64_t watchdog_ns(const char *microseconds, const char *pid)
{
    if (microseconds == NULL || (pid != NULL && strtoull(pid, NULL, 10) != (unsigned long long)getpid()))
        return 0;
    return strtoull(microseconds, NULL, 10) * 1000;
}

/* A service manager that does not read must not hold the daemon up. */
static int open_socket(int kind)
{
    const struct timeval patience = {.tv_sec = SEND_SECONDS_MAX};
    int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

void manager_init(struct manager *manager_out)
{
    const char *name = getenv("NOTIFY_SOCKET");

    *manager_out = MANAGER_NONE;
    if (name != NULL && take_address(manager_out, name)) {
        manager_out->socket = open_socket(SOCK_DGRAM);
        manager_out->watchdog_ns = watchdog_ns(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void manager_fini(struct manager *manager)
{
    if (manager->socket >= 0)
        close(manager->socket);
    *manager = MANAGER_NONE;
}

bool manager_listens(const struct manager *manager)
{
    return manager->socket >= 0;
}

/* ---- what is said ---- */

/* Whatever it says stays on its line. */
static void add_status(struct text *lines, const char *status)
{
    text_add_string(lines, "STATUS=");
    for (; *status != '\0'; status++)
        text_add(lines, (unsigned char)*status < 0x20 ? " " : status, 1);
    text_add_string(lines, "\n");
}

static void add_state(struct text *lines, enum manager_notice_kind kind, uint64_t number)
{
    switch (kind) {
    case MANAGER_READY:
        text_add_string(lines, "READY=1\n");
        break;
    case MANAGER_RELOADING: /* the time tells a notify-reload service that it is this reload's */
        text_format(lines, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", clock_now_ns() / 1000);
        break;
    case MANAGER_STOPPING:
        text_format(lines, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\n", number);
        break;
    case MANAGER_ALIVE:
        text_add_string(lines, "WATCHDOG=1\n");
        break;
    case MANAGER_STATUS:
    case MANAGER_NOTICE_KIND_COUNT:
        break;
    }
}

static void tell(const struct manager *manager, const struct notice *notice)
{
    struct text lines = TEXT_EMPTY;

    add_state(&lines, (enum manager_notice_kind)notice->kind, notice->number);
    if (notice->status[0] != '\0')
        add_status(&lines, notice->status);
    if (!lines.failed && lines.size > 0)
        sendto(manager->socket, lines.bytes, lines.size, MSG_NOSIGNAL, (const struct sockaddr *)&manager->address,
               manager->address_size); /* it does without when it is not there any more */
    text_fini(&lines);
}

void manager_say(const struct manager *manager, enum manager_notice_kind kind, uint64_t number, const char *status)
{
    struct notice notice = {.kind = kind, .number = number};

    if (manager->socket < 0)
        return;
    snprintf(notice.status, sizeof notice.status, "%s", status == NULL ? "" : status);
    if (manager->relayed)
        send(manager->socket, &notice, sizeof notice, MSG_NOSIGNAL); /* without a keeper there is no daemon either */
    else
        tell(manager, &notice);
}

/* ---- through the keeper ---- */

void manager_speak_through(struct manager *manager, int socket)
{
    bool listens = manager_listens(manager);

    if (listens)
        close(manager->socket);
    else
        close(socket);
    manager->socket = listens ? socket : -1;
    manager->relayed = listens;
}

bool manager_relay(const struct manager *manager, int socket)
{
    struct notice notice;
    ssize_t size = recv(socket, &notice, sizeof notice, MSG_DONTWAIT);

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (size != (ssize_t)sizeof notice || notice.kind >= MANAGER_NOTICE_KIND_COUNT ||
        memchr(notice.status, '\0', sizeof notice.status) == NULL)
        return false;
    tell(manager, &notice);
    return true;
}
