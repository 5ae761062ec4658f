/* The least of FUSE that makes a path hang, see hung_mount.h; the protocol is in <linux/fuse.h>. */
#include "tests/support/hung_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    REQUEST_SIZE = 65536,
    WRITE_SIZE_MAX = 4096,
    ATTRIBUTES_VALID_S = 3600,
    OWNED_NODE = 1 << 20,
    ENV_NODE = 1 << 24
};

bool hung_mount_possible(void)
{
    int result = -1;
    pid_t child = fork(); /* a namespace that was entered is not left again */

    if (child == 0)
        _exit(access("/dev/fuse", R_OK | W_OK) == 0 && unshare(CLONE_NEWNS) == 0 ? 0 : 1);
    return child > 0 && waitpid(child, &result, 0) == child && result == 0;
}

/* `error`: 0, or an errno and no body. */
static void answer(int device, uint64_t unique, int error, const void *body, size_t size)
{
    char reply[256];
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + size), .error = -error, .unique = unique};

    memcpy(reply, &head, sizeof head);
    if (size > 0)
        memcpy(reply + sizeof head, body, size);
    if (write(device, reply, sizeof head + size) < 0)
        perror("hung_mount: answer");
}

static struct fuse_attr directory_of(uint64_t node)
{
    uint32_t owner = node >= OWNED_NODE ? HUNG_MOUNT_OWNER : 0;

    return (struct fuse_attr){.ino = node, .mode = S_IFDIR | 0755, .nlink = 2, .uid = owner, .gid = owner};
}

static struct fuse_attr attributes_of(const struct hung_mount *mount, uint64_t node)
{
    struct fuse_attr attributes = directory_of(node);
    const char *env = atomic_load(&mount->env);

    if ((node & ENV_NODE) == 0)
        return attributes;
    attributes.mode = S_IFREG | 0644;
    attributes.nlink = 1;
    attributes.size = env == NULL ? 0 : strlen(env);
    return attributes;
}

/* The `.env` of a directory; whether it was that what was asked for. */
static bool answer_env(const struct hung_mount *mount, const struct fuse_in_header *head, const char *request)
{
    const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
    const char *env = atomic_load(&mount->env);
    struct fuse_entry_out entry = {.nodeid = head->nodeid | ENV_NODE};
    struct fuse_read_in part;

    entry.attr = attributes_of(mount, entry.nodeid);
    if (env == NULL)
        return false;
    if (head->opcode == FUSE_LOOKUP && head->nodeid != FUSE_ROOT_ID && strcmp(request, ".env") == 0) {
        answer(mount->device, head->unique, 0, &entry, sizeof entry);
    } else if (head->opcode == FUSE_OPEN) {
        answer(mount->device, head->unique, 0, &opened, sizeof opened);
    } else if (head->opcode == FUSE_READ) {
        memcpy(&part, request, sizeof part);
        answer(mount->device, head->unique, 0, env, part.offset == 0 ? strlen(env) : 0);
    } else {
        return false;
    }
    return true;
}

/* Whatever is asked while it is well; `name` is what stands behind the head. */
static void answer_well(const struct hung_mount *mount, const struct fuse_in_header *head, const char *name)
{
    uint64_t first_node = name[0] == 'n' ? OWNED_NODE : FUSE_ROOT_ID + 1;
    struct fuse_entry_out entry = {.nodeid = first_node + (uint64_t)strtoul(name + 1, NULL, 10)};
    struct fuse_attr_out attributes = {.attr_valid = mount->keep_s, .attr = attributes_of(mount, head->nodeid)};

    if (answer_env(mount, head, name))
        return;
    entry.entry_valid = entry.attr_valid = mount->keep_s;
    entry.attr = directory_of(entry.nodeid);
    if (head->opcode == FUSE_GETATTR)
        answer(mount->device, head->unique, 0, &attributes, sizeof attributes);
    else if (head->opcode == FUSE_LOOKUP && (name[0] == 'h' || name[0] == 'n'))
        answer(mount->device, head->unique, 0, &entry, sizeof entry);
    else if (head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET && head->opcode != FUSE_INTERRUPT)
        answer(mount->device, head->unique, head->opcode == FUSE_LOOKUP ? ENOENT : ENOSYS, NULL, 0);
}

/* Looks before it reads: what is there when it has become deaf stays where it is.  False: the mount is gone. */
static bool next_request(const struct hung_mount *mount, char request[REQUEST_SIZE])
{
    struct pollfd device = {.fd = mount->device, .events = POLLIN};

    if (poll(&device, 1, -1) < 0 || (device.revents & POLLERR) != 0)
        return false;
    if (!atomic_load(&mount->deaf))
        return read(mount->device, request, REQUEST_SIZE) > 0;
    device.events = 0;
    poll(&device, 1, -1);
    return false;
}

/* Until the mount is gone. */
static void *serve(void *context)
{
    const struct hung_mount *mount = context;
    static char request[REQUEST_SIZE];
    const struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = WRITE_SIZE_MAX};
    const struct fuse_attr_out root = {.attr_valid = ATTRIBUTES_VALID_S, .attr = directory_of(FUSE_ROOT_ID)};

    while (next_request(mount, request)) {
        struct fuse_in_header head;

        memcpy(&head, request, sizeof head);
        if (head.opcode == FUSE_INIT)
            answer(mount->device, head.unique, 0, &init, sizeof init);
        else if (atomic_load(&mount->well))
            answer_well(mount, &head, request + sizeof head);
        else if (head.opcode == FUSE_GETATTR && head.nodeid == FUSE_ROOT_ID)
            answer(mount->device, head.unique, 0, &root, sizeof root);
        else if (head.opcode == FUSE_LOOKUP && write(mount->hung[1], "", 1) < 0)
            perror("hung_mount: note");
    }
    return NULL;
}

/* In a namespace of this process's own, from which nothing spreads. */
static bool mount_in_private(const char *directory, const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("hung", directory, "fuse", 0, options) == 0;
}

bool hung_mount_open(struct hung_mount *mount, const char *directory, bool well, unsigned keep_s)
{
    char options[128];

    mount->directory = directory;
    mount->keep_s = keep_s;
    atomic_init(&mount->well, well);
    atomic_init(&mount->deaf, false);
    atomic_init(&mount->env, NULL);
    mount->device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (mount->device < 0)
        return false;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", mount->device);
    if (pipe2(mount->hung, O_CLOEXEC) == 0) {
        if (mount_in_private(directory, options) && pthread_create(&mount->server, NULL, serve, mount) == 0)
            return true;
        close(mount->hung[0]);
        close(mount->hung[1]);
    }
    close(mount->device);
    return false;
}

void hung_mount_write(struct hung_mount *mount, const char *env)
{
    atomic_store(&mount->env, env);
}

void hung_mount_hang(struct hung_mount *mount, bool deaf)
{
    atomic_store(&mount->deaf, deaf);
    atomic_store(&mount->well, false);
}

void hung_mount_wait(struct hung_mount *mount)
{
    char byte;

    if (read(mount->hung[0], &byte, 1) != 1)
        abort();
}

void hung_mount_close(struct hung_mount *mount)
{
    umount2(mount->directory, MNT_FORCE | MNT_DETACH);
    pthread_join(mount->server, NULL);
    close(mount->device);
    close(mount->hung[0]);
    close(mount->hung[1]);
}
