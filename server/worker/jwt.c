#include "server/worker/jwt.h"

#include "server/base/secret.h"
#include "server/worker/document.h"

#include <sodium.h>
#include <string.h>

json_t *jwt_claims(const char *token)
{
    char claims[JWT_CLAIMS_SIZE_MAX];
    const char *payload = strchr(token, '.'), *payload_end;
    size_t size;
    json_t *document = NULL;

    payload_end = payload == NULL ? NULL : strchr(++payload, '.');
    if (payload_end == NULL || strchr(payload_end + 1, '.') != NULL)
        return NULL;
    if (sodium_base642bin((unsigned char *)claims, sizeof claims, payload, (size_t)(payload_end - payload), NULL, &size,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
        document = document_parse(claims, size);
    secret_wipe(claims, sizeof claims);
    return document;
}

struct stamp jwt_expiry(const char *token)
{
    json_t *claims = jwt_claims(token);
    struct stamp expiry = stamp_read_epoch(number_read(json_object_get(claims, "exp")));

    json_decref(claims);
    return expiry;
}
