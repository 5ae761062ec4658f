/* The syntax of a home's path, see path.h. */
#include "server/homes/path.h"

#include "proto/utf8.h"

#include <string.h>

void home_path_split(const char *path, struct home_components *components_out)
{
    size_t at = 0;

    components_out->count = 0;
    while (path[at] != '\0') {
        size_t size;

        at += strspn(path + at, "/");
        size = strcspn(path + at, "/");
        if (size > 0 && !(size == 1 && path[at] == '.'))
            components_out->at[components_out->count++] = (struct home_component){(uint16_t)at, (uint16_t)(at + size)};
        at += size;
    }
}

void home_path_tidy(const char *path, char out[LIMIT_HOME_SIZE_MAX + 1])
{
    struct home_components components;
    size_t size = 0;

    home_path_split(path, &components);
    for (size_t i = 0; i < components.count; i++) {
        struct home_component component = components.at[i];
        size_t component_size = (size_t)(component.end - component.start);

        out[size++] = '/';
        memcpy(out + size, path + component.start, component_size);
        size += component_size;
    }
    out[size] = '\0';
}

struct status home_path_check(const char *path)
{
    struct home_components components;
    size_t size = strlen(path);

    if (path[0] != '/')
        return status_make(STATUS_INVALID_ARGUMENT, "home is no absolute path");
    if (size > LIMIT_HOME_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "home has %zu bytes, more than %d", size, LIMIT_HOME_SIZE_MAX);
    if (!utf8_valid(path, size))
        return status_make(STATUS_INVALID_ARGUMENT, "home is not UTF-8");
    if (utf8_has_control(path, size))
        return status_make(STATUS_INVALID_ARGUMENT, "home has a control character");
    home_path_split(path, &components);
    for (size_t i = 0; i < components.count; i++) {
        struct home_component component = components.at[i];

        if (component.end - component.start == 2 && memcmp(path + component.start, "..", 2) == 0)
            return status_make(STATUS_INVALID_ARGUMENT, "home has a component \"..\"");
    }
    if (components.count == 0)
        return status_make(STATUS_INVALID_ARGUMENT, "home is the root directory, which cannot be one");
    return status_ok();
}

bool home_path_is_below(const char *path, const char *root)
{
    size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);

    return strncmp(path, root, size) == 0 && path[size] == '/' && path[size + 1] != '\0';
}
