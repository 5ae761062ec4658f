/* Sending and receiving the messages of protocol.h. */
#include "server/custody/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The control part of a message, aligned as the kernel wants it. */
union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(ORDER_DESCRIPTOR_COUNT * sizeof(int))];
};

static int send_message(int socket, struct iovec body, const int *fds, size_t fd_count, int flags)
{
    union control control = {0};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};

    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
    }
    while (sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0) {
        /* ETOOMANYREFS: too many descriptors under way to a peer that has not read them yet (unix(7)). */
        if (errno != EINTR)
            return errno == ETOOMANYREFS ? EAGAIN : errno;
    }
    return 0;
}

int protocol_send_order(int socket, const struct order *order, const int *fds, size_t fd_count)
{
    struct order message = *order;

    message.version = PROTOCOL_VERSION;
    return send_message(socket, (struct iovec){&message, sizeof message}, fds, fd_count, MSG_DONTWAIT);
}

int protocol_send_report(int socket, const struct report *report, enum protocol_patience patience)
{
    struct report message = *report;

    message.version = PROTOCOL_VERSION;
    return send_message(socket, (struct iovec){&message, sizeof message}, NULL, 0,
                        patience == PROTOCOL_NOW ? MSG_DONTWAIT : 0);
}

/* Takes the descriptors out: as many as one of the orders has, or none.  Those of an incomplete set are closed. */
static void take_descriptors(struct msghdr *message, int fds_out[ORDER_DESCRIPTOR_COUNT])
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    size_t count = 0;
    int fds[ORDER_DESCRIPTOR_COUNT];
    bool complete;

    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(head), count * sizeof(int)); /* no more fit into union control */
    }
    complete = (count == ORDER_DESCRIPTOR_COUNT || count == 1) && (message->msg_flags & MSG_CTRUNC) == 0;
    for (size_t i = 0; i < ORDER_DESCRIPTOR_COUNT; i++) {
        if (i < count && !complete)
            close(fds[i]);
        fds_out[i] = i < count && complete ? fds[i] : -1;
    }
}

/* Receives exactly one message of this size and of our version. */
static int receive_message(int socket, struct iovec body, int fds_out[ORDER_DESCRIPTOR_COUNT])
{
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_LEN(ORDER_DESCRIPTOR_COUNT * sizeof(int)), /* CMSG_SPACE has room for one too many */
    };
    uint32_t version;
    ssize_t size;

    do {
        size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return errno;
    take_descriptors(&message, fds_out);
    if (size == 0)
        return ECONNRESET;
    if ((size_t)size != body.iov_len || (message.msg_flags & MSG_TRUNC) != 0)
        return EPROTO;
    memcpy(&version, body.iov_base, sizeof version);
    return version == PROTOCOL_VERSION ? 0 : EPROTO;
}

static void close_all(const int fds[ORDER_DESCRIPTOR_COUNT])
{
    for (size_t i = 0; i < ORDER_DESCRIPTOR_COUNT; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

int protocol_receive_order(int socket, struct order *order_out, int fds_out[ORDER_DESCRIPTOR_COUNT])
{
    struct order order;
    int fds[ORDER_DESCRIPTOR_COUNT] = {-1, -1, -1};
    int error = receive_message(socket, (struct iovec){&order, sizeof order}, fds);

    if (error != 0) {
        close_all(fds);
        return error;
    }
    *order_out = order;
    memcpy(fds_out, fds, sizeof fds);
    return 0;
}

int protocol_receive_report(int socket, struct report *report_out)
{
    struct report report;
    int fds[ORDER_DESCRIPTOR_COUNT] = {-1, -1, -1}; /* none is expected, none is kept */
    int error = receive_message(socket, (struct iovec){&report, sizeof report}, fds);

    close_all(fds);
    if (error != 0)
        return error;
    report.text[sizeof report.text - 1] = '\0';
    *report_out = report;
    return 0;
}
