/* A question to a provider about one credential: where it goes, what goes along, and what comes of the answer.
 *
 * Here it is decided where a credential may be sent (PROVIDERS.md 5.1, 8.1): what is not allowed is refused before any
 * socket is opened.  Nothing is sent here.
 *
 * Ownership: inquiry_fini() wipes the headers; provider, keyring and credential are lent, and outlive it.
 * Threads: none of its own. */
#ifndef SERVER_WORKER_INQUIRY_H
#define SERVER_WORKER_INQUIRY_H

#include "proto/compiler.h"
#include "server/base/text.h"
#include "server/worker/http.h"
#include "server/worker/provider.h"

#include <jansson.h>
#include <stdint.h>

struct inquiry {
    const struct provider *provider;
    const struct credential *credential;
    struct base_url base;
    struct text part;  /* of the URL, where the provider has one */
    struct text lines; /* the headers; they hold the credential */
    int64_t now_s;
};

enum inquiry_end {
    INQUIRY_READY,
    INQUIRY_NOT_ALLOWED, /* the configured base URL, for this credential */
    INQUIRY_INCOMPLETE,  /* what is needed beside the credential is not configured */
    INQUIRY_NO_MEMORY
};

/* Whatever comes of it, inquiry_fini() it. */
MUST_USE enum inquiry_end inquiry_open(struct inquiry *inquiry, const struct provider *provider,
                                       const struct keyring *keyring, const struct credential *credential,
                                       int64_t now_s);
void inquiry_fini(struct inquiry *inquiry);

/* Adds the URL: of a path behind the base; NULL: of the provider's first request. */
void inquiry_address(const struct inquiry *inquiry, const char *path, struct text *url);

/* The body that was answered; given, json_decref() it.  NULL: there is none to read, and *outcome_out says why. */
MUST_USE json_t *inquiry_body(const struct inquiry *inquiry, const struct http_answer *answer,
                              struct outcome *outcome_out);

/* Has the bodies read.  `reading` is empty before; where the outcome has a reason it tells a plan at most. */
MUST_USE struct outcome inquiry_read(const struct inquiry *inquiry, const struct bodies *bodies,
                                     struct reading *reading);

#endif
