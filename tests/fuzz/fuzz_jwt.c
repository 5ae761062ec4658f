/* A token that may be a JSON Web Token: its claims are an object or nothing, its expiry a moment or nothing, and the
 * headers that follow from it are lines. */
#include "server/worker/credentials.h"
#include "server/worker/jwt.h"
#include "server/worker/provider.h"
#include "tests/fuzz/input.h"

static void check_headers(const char *token)
{
    const struct provider *codex = provider_find("openai-codex");
    struct credential credential = {.kind = CREDENTIAL_SIGN_IN};
    struct text lines = TEXT_EMPTY, account = TEXT_EMPTY;

    text_add_string(&credential.secret, token);
    codex->identify(&credential, &lines);
    codex->account(&credential, &account);
    INVARIANT(lines.size == 0 || lines.bytes[lines.size - 1] == '\n');
    for (size_t i = 0; i < lines.size; i++)
        INVARIANT(lines.bytes[i] == '\n' || (lines.bytes[i] >= ' ' && lines.bytes[i] <= '~'));
    text_fini(&account);
    text_fini(&lines);
    credential_fini(&credential);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *token = input_string(data, size);
    json_t *claims;
    struct stamp expiry;

    claims = jwt_claims(token);
    INVARIANT(claims == NULL || json_is_object(claims));
    expiry = jwt_expiry(token);
    INVARIANT(!expiry.known || (claims != NULL && expiry.s > 0 && expiry.s <= STAMP_S_MAX));
    check_headers(token);
    json_decref(claims);
    free(token);
    return 0;
}
