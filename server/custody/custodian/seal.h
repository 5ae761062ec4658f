/* The seal of a worker: what it is confined to before it is exec'd, in layers.
 *
 *   limits    core files of 0 bytes, few descriptors, and no file written
 *   Landlock  files, TCP ports, signals and abstract sockets: what is not allowed is refused (EACCES, EPERM)
 *   seccomp   system calls that get around that, or are of no use (filter.h)
 *
 * It is prepared once, from what is asked for and what the running kernel has, and applied by each child between fork
 * and exec, as the owner of its home: what the owner may not look up, the seal does not open.  What it is made of, and
 * what it does not confine: server/custody/README.md.
 *
 * Threads: any. */
#ifndef SERVER_CUSTODY_CUSTODIAN_SEAL_H
#define SERVER_CUSTODY_CUSTODIAN_SEAL_H

#include "proto/compiler.h"
#include "proto/status.h"
#include "server/custody/custodian/filter.h"
#include "server/custody/protocol.h"

#include <stdbool.h>

enum seal_level {
    SEAL_OFF,
    SEAL_AUTO,  /* what the kernel has */
    SEAL_STRICT /* all of it, or nothing is started */
};

/* The words are lent for the life of the seal; NULL at their end. */
struct seal_settings {
    enum seal_level level;
    bool writable_home;
    bool foreign_credentials;   /* other tools' sign-ins may be read */
    char *const *read_paths;    /* what else may be read */
    char *const *connect_ports; /* decimal numbers */
    bool no_network;            /* not even those: no port, and where there are filters no socket */
};

/* What the running kernel has. */
struct seal_offer {
    int landlock_abi; /* 0: no Landlock */
    bool filters;     /* seccomp */
};

struct seal {
    struct seal_settings settings;
    struct seal_offer offer; /* as far as it is used */
    struct filter filter;    /* when `offer.filters` */
};

struct seal_offer seal_find_offer(void);

/* UNAVAILABLE: level STRICT asks for what is not on offer, which is named, with the kernel that would do; or the filter
 * cannot be composed. */
MUST_USE struct status seal_prepare(const struct seal_settings *settings, struct seal_offer offer,
                                    struct seal *seal_out);
void seal_fini(struct seal *seal);

/* For a person: the level in force, and what is missing for strict. */
void seal_describe(const struct seal *seal, char text[STATUS_MESSAGE_SIZE]);

/* The same in a word or two, for a list: "off", "landlock 6, seccomp, limits". */
void seal_name(const struct seal *seal, char name[PROTOCOL_SEAL_NAME_SIZE]);

/* ---- by the child, in this order; with no_new_privs; 0 or errno ---- */

/* Of whom the child is about to become the worker.  All lent. */
struct seal_subject {
    int home_fd;
    char *const *programs;    /* where the program may lie, NULL at the end */
    char *const *command;     /* its argv: files that it names are read (a script, a certificate) */
    char *const *environment; /* the worker's */
    char *const *inherited;   /* the custodian's */
    const char *user_home;    /* where other tools keep their sign-ins */
};

MUST_USE int seal_limit(const struct seal *seal);
MUST_USE int seal_confine(const struct seal *seal, const struct seal_subject *subject); /* Landlock */
MUST_USE int seal_filter(const struct seal *seal);                                      /* seccomp; the last */

/* The names in /etc that a seal opens one by one: a worker that was sealed before one was replaced does not see the new
 * one.  NULL at the end. */
extern const char *const seal_etc_files[];

#endif
