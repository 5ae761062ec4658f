#include "server/work/provider_env.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *provider;
    const char *name;
};

/* In order of provider: it is searched by halves. */
static const struct row rows[] = {
    {"ai-gateway", "AI_GATEWAY_API_KEY"},
    {"anthropic", "ANTHROPIC_TOKEN"},
    {"copilot", "COPILOT_GITHUB_TOKEN"},
    {"crof", "CROF_API_KEY"},
    {"deepinfra", "DEEPINFRA_API_KEY"},
    {"deepseek", "DEEPSEEK_API_KEY"},
    {"elevenlabs", "ELEVENLABS_API_KEY"},
    {"kilocode", "KILOCODE_API_KEY"},
    {"kimi-coding", "KIMI_API_KEY"},
    {"kimi-coding-cn", "KIMI_CN_API_KEY"},
    {"litellm", "LITELLM_API_KEY"},
    {"minimax", "MINIMAX_API_KEY"},
    {"minimax-cn", "MINIMAX_CN_API_KEY"},
    {"moonshot", "MOONSHOT_API_KEY"},
    {"nanogpt", "NANOGPT_API_KEY"},
    {"neuralwatt", "NEURALWATT_API_KEY"},
    {"novita", "NOVITA_API_KEY"},
    {"ollama-cloud", "OLLAMA_API_KEY"},
    {"openai", "OPENAI_ADMIN_KEY"},
    {"openai-codex", "OPENAI_API_KEY"}, /* proto/README.md 5 */
    {"opencode-go", "OPENCODE_GO_API_KEY"},
    {"openrouter", "OPENROUTER_API_KEY"},
    {"poe", "POE_API_KEY"},
    {"siliconflow", "SILICONFLOW_API_KEY"},
    {"stepfun", "STEPFUN_API_KEY"},
    {"synthetic", "SYNTHETIC_API_KEY"},
    {"venice", "VENICE_API_KEY"},
    {"x-ai", "XAI_MANAGEMENT_API_KEY"},
    {"xai", "XAI_MANAGEMENT_API_KEY"},
    {"zai", "GLM_API_KEY"},
    {"zenmux", "ZENMUX_MANAGEMENT_API_KEY"},
};

static int compare(const void *provider, const void *row)
{
    return strcmp(provider, ((const struct row *)row)->provider);
}

const char *provider_env_name(const char *provider)
{
    const struct row *row = bsearch(provider, rows, sizeof rows / sizeof rows[0], sizeof rows[0], compare);

    return row == NULL ? NULL : row->name;
}
