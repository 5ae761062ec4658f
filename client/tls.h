/* What a client shows and whom it trusts, for tls+tcp:// URLs: the files, read and judged once, when a link is opened.
 *
 * nng says "cryptographic error" of whatever is wrong with them, or of what the daemon thinks of them.  So they are read
 * here, and kept for whoever looks why there is no connection (tls_look.h).
 *
 * Ownership: a choice is the caller's; its key is wiped with it.  Threads: any, once it is made. */
#ifndef CLIENT_TLS_H
#define CLIENT_TLS_H

#include "client/address.h"
#include "client/outcome.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

enum { TLS_NAME_SIZE_MAX = 255 }; /* a host's name has at most 253 bytes */

struct tls_choice {
    /* Where the far end is, and what it must be called. */
    char host[ADDRESS_SIZE_MAX], port[8];
    char server_name[TLS_NAME_SIZE_MAX + 1];

    /* As text for nng, owned; and read, for a look. */
    char *authorities_text, *certificate_text, *key_text;
    mbedtls_x509_crt authorities, certificate;
    mbedtls_pk_context key;
};

bool tls_is_url(const char *url);

/* `given` and its members may be NULL: see client.h.  INVALID_ARGUMENT says what is wrong with the URL, or with which
 * file; RESOURCE_EXHAUSTED. */
MUST_USE struct probed_status tls_choose(const struct probed_tls *given, const char *url,
                                         struct tls_choice **choice_out);

/* NULL is fine. */
void tls_choice_destroy(struct tls_choice *choice);

/* For a dialer; nng_tls_config_free() it.  RESOURCE_EXHAUSTED, INVALID_ARGUMENT. */
MUST_USE struct probed_status tls_make_config(const struct tls_choice *choice, nng_tls_config **config_out);

#endif
