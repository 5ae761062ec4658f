/* Composing the filter with libseccomp, see filter.h. */
#include "server/custody/custodian/filter.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSE       SCMP_ACT_ERRNO(EPERM)
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Of calls that are younger than Debian 12's headers; from 424 on every processor but alpha has the same numbers. */
enum {
    CALL_FCHMODAT2 = 452,
    CALL_SETXATTRAT = 463,
    CALL_REMOVEXATTRAT = 466,
    CALL_OPEN_TREE_ATTR = 467,
    CALL_FILE_SETATTR = 469,
};

static const int refused[] = {
    /* other processes */
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
    SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    /* memory and queues shared by number or name with whoever has the same uid */
    SCMP_SYS(shmget), SCMP_SYS(shmat), SCMP_SYS(shmctl), SCMP_SYS(msgget), SCMP_SYS(msgsnd), SCMP_SYS(msgrcv),
    SCMP_SYS(msgctl), SCMP_SYS(semget), SCMP_SYS(semop), SCMP_SYS(semtimedop), SCMP_SYS(semctl), SCMP_SYS(mq_open),
    SCMP_SYS(mq_unlink),
    /* keys, and programs for the kernel */
    SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(bpf),
    /* mounts */
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
    SCMP_SYS(open_tree), CALL_OPEN_TREE_ATTR, SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(quotactl), SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    /* serving others, and being told of other homes' files */
    SCMP_SYS(listen), SCMP_SYS(inotify_add_watch), SCMP_SYS(fanotify_init), SCMP_SYS(fanotify_mark),
    /* calls made by the kernel on one's behalf */
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    /* namespaces, see also clone */
    SCMP_SYS(unshare), SCMP_SYS(setns),
    /* the machine */
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(acct), SCMP_SYS(syslog), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(vhangup),
    SCMP_SYS(lookup_dcookie), SCMP_SYS(nfsservctl)};

static const int refused_in_read_only_homes[] = {
    SCMP_SYS(chmod),     SCMP_SYS(fchmod),      SCMP_SYS(fchmodat),     CALL_FCHMODAT2,         SCMP_SYS(chown),
    SCMP_SYS(fchown),    SCMP_SYS(lchown),      SCMP_SYS(fchownat),     SCMP_SYS(utime),        SCMP_SYS(utimes),
    SCMP_SYS(futimesat), SCMP_SYS(utimensat),   SCMP_SYS(setxattr),     SCMP_SYS(lsetxattr),    SCMP_SYS(fsetxattr),
    CALL_SETXATTRAT,     SCMP_SYS(removexattr), SCMP_SYS(lremovexattr), SCMP_SYS(fremovexattr), CALL_REMOVEXATTRAT,
    CALL_FILE_SETATTR};

/* The rules as they are added; the first error stays. */
struct composition {
    scmp_filter_ctx context;
    int error;
};

/* What an argument has to be. */
static struct scmp_arg_cmp is(unsigned argument, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value};
}

static struct scmp_arg_cmp is_not(unsigned argument, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_NE, .datum_a = value};
}

static struct scmp_arg_cmp is_above(unsigned argument, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_GT, .datum_a = value};
}

static struct scmp_arg_cmp has(unsigned argument, uint64_t bits, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = bits, .datum_b = value};
}

/* A call that this processor does not have (as iopl on some) needs no rule. */
static void add(struct composition *composition, int call, unsigned condition_count,
                const struct scmp_arg_cmp *conditions)
{
    if (composition->error == 0 && call >= 0)
        composition->error = -seccomp_rule_add_array(composition->context, REFUSE, call, condition_count, conditions);
}

static void refuse_if(struct composition *composition, int call, struct scmp_arg_cmp condition)
{
    add(composition, call, 1, &condition);
}

static void refuse_if_both(struct composition *composition, int call, struct scmp_arg_cmp one,
                           struct scmp_arg_cmp other)
{
    add(composition, call, 2, (struct scmp_arg_cmp[]){one, other});
}

static void refuse_all(struct composition *composition, const int *calls, size_t call_count)
{
    for (size_t i = 0; i < call_count; i++)
        add(composition, calls[i], 0, NULL);
}

/* 0 is oneself. */
static void refuse_others(struct composition *composition)
{
    refuse_if(composition, SCMP_SYS(prlimit64), is_not(0, 0));
    refuse_if(composition, SCMP_SYS(move_pages), is_not(0, 0));
    refuse_if(composition, SCMP_SYS(migrate_pages), is_not(0, 0));
}

/* Each namespace has a bit in clone's flags. */
static void refuse_namespaces(struct composition *composition)
{
    static const unsigned long bits[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                         CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

    for (size_t i = 0; i < COUNT(bits); i++)
        refuse_if(composition, SCMP_SYS(clone), has(0, bits[i], bits[i]));
    if (composition->error == 0)
        composition->error = -seccomp_rule_add(composition->context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Streams and datagrams by TCP and UDP: what Landlock does not take for TCP must not reach what TCP reaches.  socket's
 * arguments are family, kind, protocol. */
static void refuse_rarer_protocols(struct composition *composition, uint64_t family)
{
    enum { KIND_MASK = 0xf, TCP = 6, UDP = 17 };

    for (uint64_t kind = 0; kind <= KIND_MASK; kind++) {
        if (kind != SOCK_STREAM && kind != SOCK_DGRAM)
            refuse_if_both(composition, SCMP_SYS(socket), is(0, family), has(1, KIND_MASK, kind));
    }
    for (uint64_t protocol = 1; protocol < UDP; protocol++) {
        if (protocol != TCP)
            refuse_if_both(composition, SCMP_SYS(socket), is(0, family), is(2, protocol));
    }
    refuse_if_both(composition, SCMP_SYS(socket), is(0, family), is_above(2, UDP));
}

/* Left are Unix sockets, IPv4, IPv6, and netlink, which the resolver asks for addresses.  The kernel looks at the lower
 * half of an argument, the filter at all of it; a family with anything in its upper half is above the last one. */
static void refuse_rarer_sockets(struct composition *composition)
{
    for (uint64_t family = 0; family < AF_NETLINK; family++) {
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
            refuse_if(composition, SCMP_SYS(socket), is(0, family));
    }
    refuse_if(composition, SCMP_SYS(socket), is_above(0, AF_NETLINK));
    refuse_if_both(composition, SCMP_SYS(socket), is(0, AF_NETLINK), is_not(2, NETLINK_ROUTE));
    refuse_rarer_protocols(composition, AF_INET);
    refuse_rarer_protocols(composition, AF_INET6);
    refuse_if(composition, SCMP_SYS(sendto), has(3, MSG_FASTOPEN, MSG_FASTOPEN));
    refuse_if(composition, SCMP_SYS(sendmsg), has(2, MSG_FASTOPEN, MSG_FASTOPEN));
    refuse_if(composition, SCMP_SYS(sendmmsg), has(3, MSG_FASTOPEN, MSG_FASTOPEN));
}

/* The instructions, out of libseccomp by way of a file in memory: the child needs no library to install them. */
static int take_program(const struct composition *composition, struct filter *filter_out)
{
    int fd = memfd_create("filter", MFD_CLOEXEC), error = 0;
    struct sock_filter *instructions;
    struct stat file = {0};

    if (fd < 0)
        return errno;
    error = -seccomp_export_bpf(composition->context, fd);
    if (error == 0 && fstat(fd, &file) < 0)
        error = errno;
    instructions = malloc((size_t)file.st_size);
    if (error == 0 && instructions == NULL)
        error = ENOMEM;
    if (error == 0 && pread(fd, instructions, (size_t)file.st_size, 0) != file.st_size)
        error = EIO;
    close(fd);
    if (error != 0) {
        free(instructions);
        return error;
    }
    filter_out->program.filter = instructions;
    filter_out->program.len = (unsigned short)((size_t)file.st_size / sizeof *instructions);
    return 0;
}

bool filter_is_offered(void)
{
    /* A filter at no address is EFAULT where filters are known, and changes nothing. */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}

struct status filter_compose(const struct filter_settings *settings, struct filter *filter_out)
{
    struct composition composition = {.context = seccomp_init(SCMP_ACT_ALLOW)};

    if (composition.context == NULL)
        return status_make(STATUS_UNAVAILABLE, "cannot compose the seccomp filter: no memory");
    composition.error = -seccomp_attr_set(composition.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (composition.error == 0) /* a tree instead of a list: every call of a worker goes through it */
        composition.error = -seccomp_attr_set(composition.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    refuse_all(&composition, refused, COUNT(refused));
    if (!settings->writable_home)
        refuse_all(&composition, refused_in_read_only_homes, COUNT(refused_in_read_only_homes));
    refuse_others(&composition);
    refuse_namespaces(&composition);
    if (settings->network)
        refuse_rarer_sockets(&composition);
    else
        add(&composition, SCMP_SYS(socket), 0, NULL);
    if (composition.error == 0)
        composition.error = take_program(&composition, filter_out);
    seccomp_release(composition.context);
    if (composition.error != 0)
        return status_make(STATUS_UNAVAILABLE, "cannot compose the seccomp filter: %s", strerror(composition.error));
    return status_ok();
}

void filter_fini(struct filter *filter)
{
    free(filter->program.filter);
    *filter = (struct filter){0};
}

int filter_enter(const struct filter *filter)
{
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter->program, 0, 0) < 0 ? errno : 0;
}
