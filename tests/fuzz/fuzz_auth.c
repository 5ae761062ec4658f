/* auth.json, and the files of other tools: whatever is in them, a credential that is found can be sent, goes where it
 * may, and a pool is within its limits. */
#include "server/worker/document.h"
#include "server/worker/inquiry.h"
#include "server/worker/pool.h"
#include "server/worker/snapshot.h"
#include "tests/fuzz/input.h"

enum { NOW_S = 1772366400 /* 2026-03-01T12:00:00Z */ };

/* Every header is one line, and the lines are all there is. */
static void check_inquiry(const struct provider *provider, const struct keyring *keyring,
                          const struct credential *credential)
{
    struct inquiry inquiry;
    struct text url = TEXT_EMPTY, account = TEXT_EMPTY;

    if (inquiry_open(&inquiry, provider, keyring, credential, NOW_S) == INQUIRY_READY) {
        inquiry_address(&inquiry, NULL, &url);
        INVARIANT(strncmp(text_string(&url), "https://", 8) == 0 || strncmp(text_string(&url), "http://", 7) == 0 ||
                  base_url_is_plain(text_string(&url)) || strncasecmp(text_string(&url), "https://", 8) == 0);
        INVARIANT(strpbrk(text_string(&url), " \r\n") == NULL);
        INVARIANT(strchr(text_string(&inquiry.lines), '\r') == NULL);
        INVARIANT(strstr(text_string(&inquiry.lines), "\n\n") == NULL);
        INVARIANT(inquiry.lines.size == strlen(text_string(&inquiry.lines)));
    }
    if (provider->account != NULL)
        provider->account(credential, &account);
    text_fini(&account);
    text_fini(&url);
    inquiry_fini(&inquiry);
}

static void check_credential(const struct provider *provider, struct keyring *keyring)
{
    const struct text none = TEXT_EMPTY;
    struct credential credential;

    if (credential_find(keyring, provider, &none, NOW_S, &credential) == CREDENTIAL_FOUND) {
        INVARIANT(credential_is_sendable(text_string(&credential.secret), credential.secret.size));
        INVARIANT(!credential_is_placeholder(text_string(&credential.secret)));
        check_inquiry(provider, keyring, &credential);
    }
    credential_fini(&credential);
}

static void check_pool(const struct provider *provider, const json_t *auth)
{
    struct snapshot *snapshot = snapshot_create(provider->id);
    struct text line = TEXT_EMPTY;
    struct pool pool;

    INVARIANT(snapshot != NULL && pool_open(&pool, auth, provider->id));
    if (pool.count > 0) {
        struct pool_summary *summary = pool_summarise(&pool, NOW_S);
        size_t sum = 0;

        INVARIANT(summary != NULL && summary->row_count <= LIMIT_CREDENTIAL_COUNT_MAX);
        for (size_t i = 0; i < POOL_ROW_STATUS_COUNT; i++)
            sum += summary->counts[i];
        INVARIANT(sum == pool.count);
        snapshot_set_local_pool(snapshot, summary);
        INVARIANT(snapshot_write(snapshot, NULL, &line));
        INVARIANT(memchr(line.bytes, '\n', line.size) == NULL);
    }
    pool_close(&pool);
    text_fini(&line);
    snapshot_destroy(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct files no_files = {.home_fd = -1, .user_home_fd = -1};
    struct keyring keyring = {.files = &no_files, .auth = document_parse((const char *)data, size)};

    for (const struct provider *const *row = providers; keyring.auth != NULL && *row != NULL; row++) {
        check_credential(*row, &keyring);
        check_pool(*row, keyring.auth);
    }
    keyring_close(&keyring);
    return 0;
}
