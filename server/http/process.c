#include "server/http/process.h"

#include "server/base/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void process_begin(struct process *process)
{
    process->started_ms = clock_wall_ms();
}

/* proc(5): size and resident, in pages. */
static void look_at_memory(struct process *process)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages = 0, resident = 0, page_size = (uint64_t)sysconf(_SC_PAGESIZE);

    if (file == NULL)
        return;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &pages, &resident) == 2) {
        process->virtual_size = pages * page_size;
        process->resident_size = resident * page_size;
    }
    fclose(file);
}

static uint64_t count_entries(const char *path, uint64_t of_ours)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    uint64_t count = 0;

    if (directory == NULL)
        return 0;
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - of_ours;
}

static uint64_t timeval_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_usec * (NS_PER_MS / 1000);
}

void process_look(struct process *process)
{
    struct rusage usage;
    struct rlimit descriptors;

    *process = (struct process){.started_ms = process->started_ms};
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        process->cpu_ns = timeval_ns(&usage.ru_utime) + timeval_ns(&usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0)
        process->fd_count_max = descriptors.rlim_cur;
    look_at_memory(process);
    process->fd_count = count_entries("/proc/self/fd", 1); /* without the one that reads it */
    process->thread_count = count_entries("/proc/self/task", 0);
}
