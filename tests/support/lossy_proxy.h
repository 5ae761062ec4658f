/* A PUB socket that tells what another one does, and loses, repeats and delays half of it: a bad network, on request.
 *
 * What becomes of a message is drawn from a seed.  One that is delayed is overtaken by those behind it.
 *
 * Threads: one of its own. */
#ifndef TESTS_SUPPORT_LOSSY_PROXY_H
#define TESTS_SUPPORT_LOSSY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lossy_proxy;

struct lossy_proxy_settings {
    const char *from_url, *to_url;
    uint64_t seed;
    uint64_t delay_ms_max;
};

struct lossy_proxy_counts {
    size_t passed, dropped, repeated, delayed;
};

struct lossy_proxy *lossy_proxy_create(const struct lossy_proxy_settings *settings);

/* From now on everything comes so much later, in order; 0: no more. */
void lossy_proxy_lag(struct lossy_proxy *proxy, uint64_t lag_ms);

/* From now on it loses, or no more; it begins with losing nothing. */
void lossy_proxy_be_lossy(struct lossy_proxy *proxy, bool lossy);

struct lossy_proxy_counts lossy_proxy_destroy(struct lossy_proxy *proxy);

#endif
