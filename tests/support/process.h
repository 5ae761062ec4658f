/* What the system says of a process: /proc, read. */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Open descriptors. */
size_t process_fd_count(pid_t pid);

/* Waits until there are no more than that: a descriptor is closed behind the answer, and nobody tells of it. */
void process_wait_fd_count(pid_t pid, size_t count_max);

/* Directories and files that it has inotify watch. */
size_t process_watch_count(pid_t pid);

/* Memory that it shares with nobody, in KiB. */
size_t process_private_kib(pid_t pid);

/* What this process has allocated and not given back, in bytes; 0 under a sanitizer, which looks for leaks itself. */
size_t process_heap_size(void);

/* Its children, dead ones that nobody has reaped included; at most count_max of them, how many there are. */
size_t process_children(pid_t pid, pid_t *children, size_t count_max);

/* The only child whose program is called so; -1: there is none. */
pid_t process_child_named(pid_t pid, const char *name);

/* Whether there is such a process that still runs: a dead one that nobody has reaped does not. */
bool process_runs(pid_t pid);

/* How often these bytes are found in its memory, wherever it may be read; what the kernel maps for itself left out.
 * For root. */
size_t process_memory_count(pid_t pid, const void *bytes, size_t size);

/* Lets a forked child do this with another uid (and its gid alone); what it gave back, 0 to 127. */
int process_as(uid_t uid, int (*act)(void *context), void *context);

/* Copies an executable, to where anybody may run it. */
void process_copy_program(const char *from, const char *to);

#endif
