/* Finding, killing and reaping the children of this process, see offspring.h. */
#include "server/custody/offspring.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* Children are listed by the thread that brought them up; inherited ones by the main thread (proc(5)). */
static size_t kill_children_of_thread(const char *thread_id, int32_t spared_pid)
{
    char path[64];
    FILE *list;
    int32_t pid;
    size_t count = 0;

    snprintf(path, sizeof path, "/proc/self/task/%.20s/children", thread_id);
    list = fopen(path, "re");
    if (list == NULL)
        return 0;
    while (fscanf(list, "%" SCNd32, &pid) == 1) {
        if (pid != spared_pid) {
            kill(pid, SIGKILL);
            count++;
        }
    }
    fclose(list);
    return count;
}

size_t offspring_kill(int32_t spared_pid)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *thread;
    size_t count = 0;

    if (threads == NULL)
        return 0;
    while ((thread = readdir(threads)) != NULL) {
        if (thread->d_name[0] != '.')
            count += kill_children_of_thread(thread->d_name, spared_pid);
    }
    closedir(threads);
    return count;
}

void offspring_reap(int32_t spared_pid)
{
    siginfo_t child = {0};

    /* Looked at first (WNOWAIT): the spared one's end belongs to somebody else. */
    while (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0 &&
           child.si_pid != spared_pid) {
        waitid(P_PID, (id_t)child.si_pid, &child, WEXITED | WNOHANG);
        child.si_pid = 0;
    }
}
