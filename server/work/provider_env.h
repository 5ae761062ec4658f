/* Which variable a provider's key usually has: the first name of each provider in PROVIDERS.md 3.2. */
#ifndef SERVER_WORK_PROVIDER_ENV_H
#define SERVER_WORK_PROVIDER_ENV_H

/* NULL when none is known; lent for ever. */
const char *provider_env_name(const char *provider);

#endif
