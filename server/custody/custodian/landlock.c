#include "server/custody/custodian/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's own structures, as long as ABI 6 has them: an older kernel is handed the part that it knows. */
struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct port_attributes {
    uint64_t allowed_access;
    uint64_t port;
};

enum { RULE_NET_PORT = 2 };

#define ACCESS_NET_BIND_TCP    (UINT64_C(1) << 0)
#define ACCESS_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX    (UINT64_C(1) << 0)
#define SCOPE_SIGNAL           (UINT64_C(1) << 1)

/* What a rule for a file, as against a directory, may hold. */
#define OF_FILES (UINT64_C(1) << 0 | UINT64_C(1) << 1 | UINT64_C(1) << 2 | UINT64_C(1) << 14 | UINT64_C(1) << 15)

/* Every right beneath a path that this ABI knows: they were numbered as they came. */
static uint64_t known_rights(int abi)
{
    static const unsigned right_count[LANDLOCK_ABI_MAX + 1] = {0, 13, 14, 15, 15, 16, 16};

    return (UINT64_C(1) << right_count[abi]) - 1;
}

static size_t attributes_size(int abi)
{
    if (abi >= LANDLOCK_ABI_SCOPES)
        return sizeof(struct ruleset_attributes);
    return abi >= LANDLOCK_ABI_TCP ? offsetof(struct ruleset_attributes, scoped)
                                   : offsetof(struct ruleset_attributes, handled_access_net);
}

int landlock_find_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? LANDLOCK_ABI_NONE : (int)abi;
}

static int capped(int abi)
{
    return abi < LANDLOCK_ABI_MAX ? abi : LANDLOCK_ABI_MAX;
}

int landlock_open(int abi)
{
    struct ruleset_attributes attributes = {
        .handled_access_fs = known_rights(capped(abi)),
        .handled_access_net = ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP,
        .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL,
    };

    return (int)syscall(SYS_landlock_create_ruleset, &attributes, attributes_size(capped(abi)), 0);
}

int landlock_allow_beneath(int ruleset_fd, int abi, int fd, uint64_t allowed)
{
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    struct stat kind;

    if (fstat(fd, &kind) < 0)
        return errno;
    rule.allowed_access = allowed & known_rights(capped(abi));
    if (!S_ISDIR(kind.st_mode))
        rule.allowed_access &= OF_FILES;
    return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? errno : 0;
}

int landlock_allow_connect(int ruleset_fd, int abi, uint16_t port)
{
    struct port_attributes rule = {.allowed_access = ACCESS_NET_CONNECT_TCP, .port = port};

    if (abi < LANDLOCK_ABI_TCP)
        return 0;
    return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_NET_PORT, &rule, 0) < 0 ? errno : 0;
}

int landlock_enter(int ruleset_fd)
{
    return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0 ? errno : 0;
}
