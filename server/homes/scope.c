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

bool homes_scope_admits_given(const struct homes_scope *scope, const char *path)
{
    char tidied[LIMIT_HOME_SIZE_MAX + 1];
    struct status status;

    if (scope->count == 0)
        return true;
    status = home_path_check(path);
    if (!status_is_ok(&status))
        return false;
    home_path_tidy(path, tidied);
    return homes_scope_admits(scope, tidied);
}
