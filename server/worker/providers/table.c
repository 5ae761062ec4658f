/* Every provider with a usage endpoint, by name.  One without needs no row: it is answered with the pool's marks, or as
 * unsupported. */
#include "server/worker/provider.h"

#include <string.h>

extern const struct provider provider_ai_gateway, provider_anthropic, provider_copilot, provider_crof,
    provider_deepinfra, provider_deepseek, provider_elevenlabs, provider_gemini_cli, provider_kilocode,
    provider_kimi_coding, provider_kimi_coding_cn, provider_litellm, provider_minimax, provider_minimax_cn,
    provider_moonshot, provider_nanogpt, provider_neuralwatt, provider_nous, provider_novita, provider_ollama_cloud,
    provider_openai, provider_openai_codex, provider_opencode_go, provider_openrouter, provider_poe,
    provider_siliconflow, provider_stepfun, provider_synthetic, provider_venice, provider_xai, provider_xai_oauth,
    provider_zai, provider_zenmux;

const struct provider *const providers[] = {
    &provider_ai_gateway,
    &provider_anthropic,
    &provider_copilot,
    &provider_crof,
    &provider_deepinfra,
    &provider_deepseek,
    &provider_elevenlabs,
    &provider_gemini_cli,
    &provider_kilocode,
    &provider_kimi_coding,
    &provider_kimi_coding_cn,
    &provider_litellm,
    &provider_minimax,
    &provider_minimax_cn,
    &provider_moonshot,
    &provider_nanogpt,
    &provider_neuralwatt,
    &provider_nous,
    &provider_novita,
    &provider_ollama_cloud,
    &provider_openai,
    &provider_openai_codex,
    &provider_opencode_go,
    &provider_openrouter,
    &provider_poe,
    &provider_siliconflow,
    &provider_stepfun,
    &provider_synthetic,
    &provider_venice,
    &provider_xai,
    &provider_xai_oauth,
    &provider_zai,
    &provider_zenmux,
    NULL,
};

const struct provider_alias provider_aliases[] = {{"mistralai", "mistral"}, {"x-ai", "xai"}, {NULL, NULL}};

const char *provider_id(const char *name)
{
    for (const struct provider_alias *alias = provider_aliases; alias->name != NULL; alias++) {
        if (strcmp(name, alias->name) == 0)
            return alias->id;
    }
    return name;
}

const struct provider *provider_find(const char *id)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        if (strcmp((*row)->id, id) == 0)
            return *row;
    }
    return NULL;
}

static size_t provider_add_name(const char *names[PROVIDER_NAME_COUNT_MAX], size_t count, const char *name)
{
    if (name != NULL)
        names[count++] = name;
    return count;
}

size_t provider_names(const struct provider *provider, const char *names[PROVIDER_NAME_COUNT_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < PROVIDER_VARIABLE_COUNT_MAX; i++)
        count = provider_add_name(names, count, provider->variables[i]);
    count = provider_add_name(names, count, provider->useless_variable);
    count = provider_add_name(names, count, provider->told_variable);
    count = provider_add_name(names, count, provider->base_url_variable);
    count = provider_add_name(names, count, provider->part_variable);
    for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX; i++)
        count = provider_add_name(names, count, provider->sign_ins[i].directory_variable);
    return count;
}
