/* Every provider with a usage endpoint, by name.  One without needs no row: it is answered with the pool's marks, or as
 * unsupported. */
#include "server/worker/provider.h"

#include <string.h>

extern const struct provider provider_anthropic, provider_openai_codex, provider_openrouter;

const struct provider *const providers[] = {
    &provider_anthropic,
    &provider_openai_codex,
    &provider_openrouter,
    NULL,
};

const struct provider *provider_find(const char *id)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        if (strcmp((*row)->id, id) == 0 || ((*row)->alias != NULL && strcmp((*row)->alias, id) == 0))
            return *row;
    }
    return NULL;
}
