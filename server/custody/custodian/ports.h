/* The TCP ports a sealed worker may connect to: those of the configuration, and those its own variables speak of.
 *
 * A home's `.env` may name a proxy (HTTPS_PROXY, all_proxy, …) or base URLs of providers (https://host:8443/v1): their
 * ports are added, so that what a person configured works under the seal.
 *
 * Threads: any. */
#ifndef SERVER_CUSTODY_CUSTODIAN_PORTS_H
#define SERVER_CUSTODY_CUSTODIAN_PORTS_H

#include "proto/compiler.h"

#include <stddef.h>
#include <stdint.h>

enum {
    PORTS_COUNT_MAX = 64, /* whoever names more has the first ones */
    PORT_DNS = 53
};

struct ports {
    uint16_t numbers[PORTS_COUNT_MAX]; /* each once */
    size_t count;
};

/* 0, a port that is there already, and one too many are nothing. */
void ports_add(struct ports *ports, uint16_t number);

/* Those of the words (decimal numbers, checked by the configuration; NULL at the end). */
void ports_add_words(struct ports *ports, char *const *words);

/* Those of a worker's variables (NAME=value, NULL at the end). */
void ports_add_environment(struct ports *ports, char *const *environment);

#endif
