/* Both ends of a look that another process takes, see far_walk.h. */
#include "server/homes/far_walk.h"

#include "server/homes/rights.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct far_request {
    uint32_t uid;
    char path[LIMIT_HOME_SIZE_MAX + 1];
};

/* A message with at most one descriptor. */
union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* `fd` is lent; -1: none. */
static bool send_with(int socket, const void *body, size_t size, int fd)
{
    struct iovec part = {(void *)(uintptr_t)body, size};
    union control control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size;
}

/* Gives the size of what came, 0 at the end of the connection; *fd_out is -1 when none came. */
static size_t receive_with(int socket, void *body, size_t size, int *fd_out)
{
    struct iovec part = {body, size};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    const struct cmsghdr *head;
    ssize_t got;

    do {
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    *fd_out = -1;
    head = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (head != NULL && head->cmsg_type == SCM_RIGHTS)
        memcpy(fd_out, CMSG_DATA(head), sizeof *fd_out);
    return got < 0 ? 0 : (size_t)got;
}

/* ---- asking ---- */

static struct status nobody(const char *what)
{
    return status_make(STATUS_UNAVAILABLE, "home cannot be looked at: %s", what);
}

static void await_answer(int socket, struct walk_result *result_out)
{
    int fd;

    if (receive_with(socket, result_out, sizeof *result_out, &fd) == sizeof *result_out) {
        result_out->fd = fd;
        return;
    }
    if (fd >= 0)
        close(fd);
    *result_out = (struct walk_result){.fd = -1, .status = nobody("who looks for us has ended")};
}

void far_walk(int socket, const struct walk_request *request, struct walk_result *result_out)
{
    struct far_request far = {.uid = request->uid};
    int ends[2];
    bool sent;

    *result_out = (struct walk_result){.fd = -1};
    strcpy(far.path, request->path);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        result_out->status = nobody(strerror(errno));
        return;
    }
    sent = send_with(socket, &far, sizeof far, ends[1]);
    close(ends[1]); /* so that the answer ends with whoever is to give it */
    if (sent)
        await_answer(ends[0], result_out);
    else
        result_out->status = nobody("who looks for us has ended");
    close(ends[0]);
}

/* ---- serving ---- */

static void look(const struct walk_rules *rules, const struct far_request *far, struct walk_result *result_out)
{
    struct walk_request request = {.path = far->path, .uid = far->uid};
    struct rights_groups *groups = NULL;

    if (!walk_uid_is_admin(rules, far->uid)) {
        groups = rights_groups_look_up(far->uid);
        if (groups == NULL) {
            result_out->status = nobody("no memory");
            return;
        }
    }
    request.groups = groups;
    if (!walk_home(rules, &request, result_out))
        result_out->status = nobody("it would block"); /* it was not asked to give up */
    rights_groups_release(groups);
}

/* In a child: whether the answer was given. */
static bool answer(int reply, const struct walk_rules *rules, const struct far_request *far)
{
    struct walk_result result = {.fd = -1};
    int fd;

    look(rules, far, &result);
    fd = result.fd;
    result.fd = -1;
    return send_with(reply, &result, sizeof result, fd);
}

bool far_walk_serve(int socket, const struct walk_rules *rules)
{
    struct far_request far;
    int reply;
    size_t size = receive_with(socket, &far, sizeof far, &reply);

    if (size == 0 && reply < 0)
        return false;
    /* What is no request, or has no path in it, is dropped: its asker sees the end of its socket. */
    if (size == sizeof far && reply >= 0 && memchr(far.path, '\0', sizeof far.path) != NULL && fork() == 0) {
        close(socket);
        _exit(answer(reply, rules, &far) ? 0 : 1);
    }
    if (reply >= 0)
        close(reply);
    return true;
}
