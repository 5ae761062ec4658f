#include "tests/support/authority.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SERIAL_SIZE = 16, DAY_S = 86400 };

static void check(int code, const char *what)
{
    if (code >= 0)
        return;
    fprintf(stderr, "authority: %s: %s\n", what, gnutls_strerror(code));
    exit(EXIT_FAILURE);
}

static gnutls_x509_privkey_t make_key(void)
{
    gnutls_x509_privkey_t key;

    check(gnutls_x509_privkey_init(&key), "key");
    check(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
          "key");
    return key;
}

/* What both certificates have: a name, a serial number, a day. */
static gnutls_x509_crt_t make_certificate(gnutls_x509_privkey_t key, const char *name)
{
    gnutls_x509_crt_t certificate;
    unsigned char serial[SERIAL_SIZE];

    check(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial), "serial");
    serial[0] &= 0x7f; /* positive */
    check(gnutls_x509_crt_init(&certificate), name);
    check(gnutls_x509_crt_set_version(certificate, 3), name);
    check(gnutls_x509_crt_set_serial(certificate, serial, sizeof serial), name);
    check(gnutls_x509_crt_set_activation_time(certificate, time(NULL) - DAY_S / 2), name);
    check(gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + DAY_S / 2), name);
    check(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name)),
          name);
    check(gnutls_x509_crt_set_key(certificate, key), name);
    return certificate;
}

static void add_pem(struct text *text, gnutls_datum_t *pem, const char *what)
{
    text_add(text, pem->data, pem->size);
    gnutls_free(pem->data);
    check(text->failed ? GNUTLS_E_MEMORY_ERROR : 0, what);
}

static void add_certificate(struct text *text, gnutls_x509_crt_t certificate)
{
    gnutls_datum_t pem;

    check(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem), "export");
    add_pem(text, &pem, "export");
}

void authority_make(struct authority *authority, const char *const *hosts, size_t host_count)
{
    gnutls_x509_privkey_t ca_key = make_key(), key = make_key();
    gnutls_x509_crt_t ca = make_certificate(ca_key, "stand-in authority");
    gnutls_x509_crt_t certificate = make_certificate(key, "stand-in");
    gnutls_datum_t pem;

    *authority = (struct authority){.ca = TEXT_EMPTY};
    check(gnutls_x509_crt_set_basic_constraints(ca, 1, -1), "authority");
    check(gnutls_x509_crt_set_key_usage(ca, GNUTLS_KEY_KEY_CERT_SIGN), "authority");
    check(gnutls_x509_crt_sign2(ca, ca, ca_key, GNUTLS_DIG_SHA256, 0), "authority");
    for (size_t i = 0; i < host_count; i++)
        check(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, hosts[i],
                                                   (unsigned)strlen(hosts[i]), GNUTLS_FSAN_APPEND),
              "name");
    check(gnutls_x509_crt_sign2(certificate, ca, ca_key, GNUTLS_DIG_SHA256, 0), "signature");
    add_certificate(&authority->ca, ca);
    add_certificate(&authority->certificate, certificate);
    check(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), "export");
    add_pem(&authority->key, &pem, "export");
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_crt_deinit(ca);
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_privkey_deinit(ca_key);
}

void authority_fini(struct authority *authority)
{
    text_fini(&authority->ca);
    text_fini(&authority->certificate);
    text_fini(&authority->key);
}
