/* Scopes, see scope.h. */
#include "server/homes/scope.h"

#include "server/homes/path.h"

#include <string.h>

bool homes_scope_admits(const struct homes_scope *scope, const char *canonical)
{
    for (size_t i = 0; i < scope->count; i++) {
        if (strcmp(canonical, scope->directories[i]) == 0 || home_path_is_below(canonical, scope->directories[i]))
            return true;
    }
    return scope->count == 0;
}

/* The path with its components alone, each behind one "/". */
static void tidy(const char *path, char out[LIMIT_HOME_SIZE_MAX + 1])
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

bool homes_scope_admits_given(const struct homes_scope *scope, const char *path)
{
    char tidied[LIMIT_HOME_SIZE_MAX + 1];
    struct status status;

    if (scope->count == 0)
        return true;
    status = home_path_check(path);
    if (!status_is_ok(&status))
        return false;
    tidy(path, tidied);
    return homes_scope_admits(scope, tidied);
}
