#include "server/reader/places.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path of an open directory, by way of the working directory: /proc may be out of reach.  "": it cannot be told. */
static void place_find_path(int directory_fd, char path[PATH_MAX])
{
    if (fchdir(directory_fd) != 0 || getcwd(path, PATH_MAX) == NULL || path[0] != '/')
        path[0] = '\0';
}

void places_init(struct places *places, int home_fd)
{
    *places = (struct places){.home_fd = home_fd, .directories = {"."}, .count = 1};
    place_find_path(home_fd, places->home);
}

static bool place_is_printable(const char *path, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return false;
    }
    return size <= PLACE_SIZE_MAX;
}

/* A directory of the home, by the first `size` bytes of a path from it. */
static void places_add_directory(struct places *places, const char *path, size_t size)
{
    if (!place_is_printable(path, size)) {
        places->polled[POLL_NAME] = true;
        return;
    }
    for (size_t i = 0; i < places->count; i++) {
        if (strncmp(places->directories[i], path, size) == 0 && places->directories[i][size] == '\0')
            return;
    }
    if (places->count == PLACE_COUNT_MAX)
        places->polled[POLL_CROWD] = true;
    else
        snprintf(places->directories[places->count++], PLACE_SIZE_MAX + 1, "%.*s", (int)size, path);
}

/* The directories on the way to a file of the home, as far as they are there; `path` is from the home. */
static void places_add_way(struct places *places, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        char directory[PATH_MAX];
        struct stat facts;

        if (slash == path || slash[-1] == '/')
            continue;
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
        if (fstatat(places->home_fd, directory, &facts, AT_SYMLINK_NOFOLLOW) != 0)
            return;
        if (S_ISLNK(facts.st_mode))
            places->polled[POLL_LINK] = true;
        if (!S_ISDIR(facts.st_mode))
            return;
        places_add_directory(places, path, (size_t)(slash - path));
    }
}

/* What leads from the home to a directory in it: "" to itself; NULL: it lies elsewhere. */
static const char *places_within(const struct places *places, const char *directory)
{
    size_t size = strlen(places->home);

    if (size <= 1 || strncmp(directory, places->home, size) != 0)
        return NULL;
    if (directory[size] == '\0')
        return "";
    return directory[size] == '/' ? directory + size + 1 : NULL;
}

/* A directory that was named by a variable, or the user's own, can come to be another without a word in this home: it is
 * polled, and watched besides when it lies here. */
static void places_add_foreign(struct places *places, int directory_fd, const char *path)
{
    char directory[PATH_MAX], whole[PATH_MAX];
    const char *within;

    places->polled[POLL_FOREIGN] = true;
    place_find_path(directory_fd, directory);
    within = places_within(places, directory);
    (void)!fchdir(places->home_fd);
    if (within != NULL && snprintf(whole, sizeof whole, "%s/%s", within, path) < (int)sizeof whole)
        places_add_way(places, whole + strspn(whole, "/"));
}

void places_add(struct places *places, int directory_fd, const char *path, enum file_state state)
{
    if (state == FILE_LINK)
        places->polled[POLL_LINK] = true;
    if (directory_fd == places->home_fd)
        places_add_way(places, path);
    else
        places_add_foreign(places, directory_fd, path);
}

void places_write(const struct places *places, struct text *lines)
{
    static const char *const reasons[POLL_REASON_COUNT] = {
        [POLL_FOREIGN] = "foreign", [POLL_LINK] = "link", [POLL_NAME] = "name", [POLL_CROWD] = "crowd"};

    for (size_t i = 0; i < places->count; i++)
        text_format(lines, "watch %s\n", places->directories[i]);
    for (size_t i = 0; i < POLL_REASON_COUNT; i++) {
        if (places->polled[i])
            text_format(lines, "poll %s\n", reasons[i]);
    }
}
