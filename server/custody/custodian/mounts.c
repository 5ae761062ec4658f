#include "server/custody/custodian/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those that are known to be; whatever else there is, or will be, is polled. */
static const char *const local_kinds[] = {"ext2",     "ext3",     "ext4",  "xfs",   "btrfs", "f2fs",     "tmpfs",
                                          "ramfs",    "overlay",  "zfs",   "jfs",   "vfat",  "exfat",    "nilfs2",
                                          "bcachefs", "reiserfs", "ntfs3", "erofs", "udf",   "squashfs", NULL};

bool mounts_kind_is_local(const char *kind)
{
    for (const char *const *local = local_kinds; *local != NULL; local++) {
        if (strcmp(kind, *local) == 0)
            return true;
    }
    return false;
}

/* The number of the mount that it was opened on; -1: not known. */
static int find_mount(int fd)
{
    char path[64], line[256];
    int mount = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    file = fopen(path, "re");
    while (file != NULL && mount < 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "mnt_id: %d", &mount) != 1)
            mount = -1;
    }
    if (file != NULL)
        fclose(file);
    return mount;
}

/* A line: its number, more words, of which some are optional, then " - ", then the kind. */
static bool read_kind(const char *line, int mount, char kind_out[MOUNTS_KIND_SIZE])
{
    const char *separator = strstr(line, " - ");

    if (strtol(line, NULL, 10) != mount || separator == NULL)
        return false;
    separator += 3;
    snprintf(kind_out, MOUNTS_KIND_SIZE, "%.*s", (int)strcspn(separator, " \n"), separator);
    return true;
}

void mounts_find_kind(int fd, char kind_out[MOUNTS_KIND_SIZE])
{
    int mount = find_mount(fd);
    FILE *file = mount < 0 ? NULL : fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;

    strcpy(kind_out, "?");
    while (file != NULL && !found && getline(&line, &capacity, file) >= 0)
        found = read_kind(line, mount, kind_out);
    free(line);
    if (file != NULL)
        fclose(file);
}
