#include "tests/support/tree.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_name(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static void add_contents(const char *path, struct text *state)
{
    char chunk[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
    ssize_t size;

    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    while ((size = read(fd, chunk, sizeof chunk)) > 0)
        text_add(state, chunk, (size_t)size);
    ck_assert_int_eq(size, 0);
    close(fd);
}

void tree_describe(const char *path, struct text *state)
{
    char *paths[] = {(char *)(size_t)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;

    ck_assert_ptr_nonnull(tree);
    while ((entry = fts_read(tree)) != NULL) {
        const struct stat *facts = entry->fts_statp;

        if (entry->fts_info == FTS_DP)
            continue; /* a directory on the way out */
        text_format(state, "%s inode %ju mode %o size %jd changed %jd.%09ld %jd.%09ld\n", entry->fts_path,
                    (uintmax_t)facts->st_ino, facts->st_mode, (intmax_t)facts->st_size, (intmax_t)facts->st_mtim.tv_sec,
                    facts->st_mtim.tv_nsec, (intmax_t)facts->st_ctim.tv_sec, facts->st_ctim.tv_nsec);
        if (entry->fts_info == FTS_F)
            add_contents(entry->fts_accpath, state);
    }
    fts_close(tree);
    ck_assert(!state->failed);
}
