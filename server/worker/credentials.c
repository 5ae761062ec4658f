#include "server/worker/credentials.h"

#include "server/base/dotenv.h"
#include "server/worker/document.h"
#include "server/worker/jwt.h"
#include "server/worker/pool.h"
#include "server/worker/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SECRET_SIZE_MIN = 4 };

static const char auth_file[] = "auth.json";
static const char dotenv_file[] = ".env";

/* ---- the keyring ---- */

static void keyring_read_dotenv(struct keyring *keyring)
{
    const struct files *files = keyring->files;
    enum file_state state = files_read(files, files->home_fd, dotenv_file, &keyring->dotenv);
    struct dotenv dotenv;

    if (state == FILE_READ && !dotenv_open(&dotenv, text_string(&keyring->dotenv), keyring->dotenv.size))
        state = FILE_BROKEN;
    files_tell(files, files->home_fd, dotenv_file, state);
}

static json_t *keyring_read(const struct files *files, int directory_fd, const char *path)
{
    struct text text = TEXT_EMPTY;
    enum file_state state = files_read(files, directory_fd, path, &text);
    json_t *document = document_parse(text_string(&text), text.size);

    if (state == FILE_READ && document == NULL)
        state = FILE_BROKEN;
    files_tell(files, directory_fd, path, state);
    text_wipe(&text);
    return document;
}

void keyring_open(struct keyring *keyring, const struct files *files)
{
    *keyring = (struct keyring){.files = files};
    keyring_read_dotenv(keyring);
    keyring->auth = keyring_read(files, files->home_fd, auth_file);
}

void keyring_forget(struct keyring *keyring)
{
    while (keyring->document_count > 0)
        json_decref(keyring->documents[--keyring->document_count]);
}

void keyring_close(struct keyring *keyring)
{
    text_wipe(&keyring->dotenv);
    json_decref(keyring->auth);
    keyring_forget(keyring);
}

static void keyring_empty(const json_t *part)
{
    (void)json_array_clear((json_t *)(size_t)part);
    (void)json_object_clear((json_t *)(size_t)part);
}

void keyring_leave_rest(struct keyring *keyring)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        keyring_empty(json_object_get(json_object_get(keyring->auth, "credential_pool"), (*row)->id));
        for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX && (*row)->sign_ins[i].token != NULL; i++) {
            const struct sign_in *sign_in = &(*row)->sign_ins[i];

            if (!sign_in->foreign && strcmp(sign_in->file, auth_file) == 0)
                keyring_empty(document_at(keyring->auth, sign_in->path));
        }
    }
}

bool keyring_variable(const struct keyring *keyring, const char *name, struct text *value)
{
    struct dotenv_pair pair;
    const char *inherited;

    if (dotenv_find(text_string(&keyring->dotenv), keyring->dotenv.size, name, &pair)) {
        text_add(value, pair.value, pair.value_size);
        return pair.value_size > 0;
    }
    inherited = getenv(name);
    if (inherited == NULL || inherited[0] == '\0')
        return false;
    text_add_string(value, inherited);
    return true;
}

/* The folder that a variable names, opened; -1 when it names none. */
static int keyring_open_variable(const struct keyring *keyring, const char *name)
{
    struct text path = TEXT_EMPTY;
    int fd = -1;

    if (keyring_variable(keyring, name, &path) && text_string(&path)[0] == '/')
        fd = files_open_directory(text_string(&path));
    text_fini(&path);
    return fd;
}

/* Another tool's file; lent by the keyring. */
static const json_t *keyring_foreign(struct keyring *keyring, const struct sign_in *sign_in)
{
    char path[256];
    json_t *document;
    int fd;

    if (keyring->files->user_home_fd < 0 || keyring->document_count == KEYRING_DOCUMENT_COUNT_MAX)
        return NULL;
    fd = sign_in->directory_variable == NULL ? -1 : keyring_open_variable(keyring, sign_in->directory_variable);
    if (fd >= 0) {
        document = keyring_read(keyring->files, fd, sign_in->file);
        close(fd);
    } else {
        snprintf(path, sizeof path, "%s/%s", sign_in->directory, sign_in->file);
        document = keyring_read(keyring->files, keyring->files->user_home_fd, path);
    }
    if (document != NULL)
        keyring->documents[keyring->document_count++] = document;
    return document;
}

/* A file of the home; lent by the keyring. */
static const json_t *keyring_own(struct keyring *keyring, const struct sign_in *sign_in)
{
    json_t *document;

    if (strcmp(sign_in->file, auth_file) == 0)
        return keyring->auth;
    if (keyring->document_count == KEYRING_DOCUMENT_COUNT_MAX)
        return NULL;
    document = keyring_read(keyring->files, keyring->files->home_fd, sign_in->file);
    if (document != NULL)
        keyring->documents[keyring->document_count++] = document;
    return document;
}

/* ---- what is stored ---- */

struct walk {
    struct keyring *keyring;
    const struct provider *provider;
    bool (*see)(void *context, const struct candidate *candidate);
    void *context;
    bool failed; /* memory was short */
};

/* Whether the walk is over. */
static bool walk_show(struct walk *walk, struct candidate candidate)
{
    candidate.size = candidate.secret == NULL ? 0 : strlen(candidate.secret);
    return walk->see(walk->context, &candidate);
}

static bool walk_pool_entry(struct walk *walk, const json_t *entry)
{
    const char *own = walk->provider->pool_token;

    return walk_show(walk,
                     (struct candidate){.secret = own != NULL ? document_string(entry, own) : pool_entry_token(entry),
                                        .kind = walk->provider->kind,
                                        .origin = CREDENTIAL_FROM_POOL,
                                        .place = "the pool of auth.json",
                                        .record = entry,
                                        .expiry = stamp_read(json_object_get(entry, "expires_at_ms"))});
}

static bool walk_pool(struct walk *walk)
{
    struct pool pool;
    bool over = false;

    if (!pool_open(&pool, walk->keyring->auth, walk->provider->id)) {
        walk->failed = true;
        return true;
    }
    for (size_t i = 0; i < pool.count && !over; i++)
        over = walk_pool_entry(walk, pool.entries[i].json);
    pool_close(&pool);
    return over;
}

static bool walk_record(struct walk *walk, const struct sign_in *sign_in, const json_t *record)
{
    return record != NULL &&
           walk_show(walk,
                     (struct candidate){.secret = document_string(record, sign_in->token),
                                        .kind = CREDENTIAL_SIGN_IN,
                                        .origin = sign_in->foreign ? CREDENTIAL_FROM_FOREIGN : CREDENTIAL_FROM_HOME,
                                        .place = sign_in->file,
                                        .record = record,
                                        .expiry = sign_in->expiry == NULL
                                                      ? STAMP_ABSENT
                                                      : stamp_read(json_object_get(record, sign_in->expiry))});
}

/* Each member in turn, by name. */
static bool walk_records(struct walk *walk, const struct sign_in *sign_in, const json_t *document)
{
    size_t count;
    const char **names = document_names(document, &count);
    bool over = false;

    if (names == NULL && count > 0) {
        walk->failed = true;
        return true;
    }
    for (size_t i = 0; i < count && !over; i++)
        over = walk_record(walk, sign_in, json_object_get(document, names[i]));
    free(names);
    return over;
}

static bool walk_sign_in(struct walk *walk, const struct sign_in *sign_in)
{
    const json_t *document =
        sign_in->foreign ? keyring_foreign(walk->keyring, sign_in) : keyring_own(walk->keyring, sign_in);

    if (strcmp(sign_in->path, "*") == 0)
        return walk_records(walk, sign_in, document);
    return walk_record(walk, sign_in, document_at(document, sign_in->path));
}

static bool walk_sign_ins(struct walk *walk)
{
    for (size_t i = 0; i < PROVIDER_SIGN_IN_COUNT_MAX && walk->provider->sign_ins[i].token != NULL; i++) {
        if (walk_sign_in(walk, &walk->provider->sign_ins[i]))
            return true;
    }
    return false;
}

bool credential_walk(struct keyring *keyring, const struct provider *provider,
                     bool (*see)(void *context, const struct candidate *candidate), void *context)
{
    struct walk walk = {keyring, provider, see, context, false};

    (void)(walk_pool(&walk) || walk_sign_ins(&walk));
    return !walk.failed;
}

/* ---- the search ---- */

struct search {
    struct keyring *keyring;
    const struct provider *provider;
    int64_t now_s;
    enum credential_search end; /* the best so far: later ones of the enum explain more */
    struct credential *credential;
};

bool credential_is_placeholder(const char *secret)
{
    static const char *const placeholders[] = {"changeme", "your_api_key", "dummy", "null", "none", "placeholder"};

    for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
        if (strcasecmp(secret, placeholders[i]) == 0)
            return true;
    }
    return strlen(secret) < SECRET_SIZE_MIN;
}

bool credential_is_sendable(const char *secret, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (secret[i] < 0x21 || secret[i] > 0x7e)
            return false;
    }
    return true;
}

static bool search_is_past(const struct search *search, struct stamp expiry)
{
    return expiry.known && expiry.s - (int64_t)search->provider->expiry_margin_s <= search->now_s;
}

/* What would come of using it. */
static enum credential_search search_judge(const struct search *search, const struct candidate *candidate)
{
    if (!credential_is_sendable(candidate->secret, candidate->size))
        return CREDENTIAL_UNSENDABLE;
    if (candidate->kind == CREDENTIAL_SIGN_IN && search_is_past(search, candidate->expiry))
        return CREDENTIAL_PAST;
    if (credential_is_placeholder(candidate->secret))
        return CREDENTIAL_ABSENT;
    if (search->provider->accepts != NULL && !search->provider->accepts(candidate->secret))
        return CREDENTIAL_UNSUPPORTED;
    if (candidate->kind == CREDENTIAL_SIGN_IN && search_is_past(search, jwt_expiry(candidate->secret)))
        return CREDENTIAL_PAST;
    return CREDENTIAL_FOUND;
}

/* Takes the candidate if it can be used; true: the search is over. */
static bool search_consider(struct search *search, const struct candidate *candidate)
{
    enum credential_search judged = search_judge(search, candidate);

    if (judged != CREDENTIAL_FOUND) {
        search->end = judged > search->end ? judged : search->end;
        /* Whoever gave a key wants to know about that one. */
        return candidate->origin == CREDENTIAL_FROM_REQUEST && judged == CREDENTIAL_UNSENDABLE;
    }
    *search->credential = (struct credential){
        .kind = candidate->kind, .origin = candidate->origin, .place = candidate->place, .record = candidate->record};
    text_add(&search->credential->secret, candidate->secret, candidate->size);
    search->end = search->credential->secret.failed ? CREDENTIAL_NO_MEMORY : CREDENTIAL_FOUND;
    return true;
}

static bool search_request(struct search *search, const struct text *key)
{
    return key->size > 0 && search_consider(search, &(struct candidate){.secret = text_string(key),
                                                                        .size = key->size,
                                                                        .kind = search->provider->kind,
                                                                        .origin = CREDENTIAL_FROM_REQUEST});
}

static bool search_variables(struct search *search)
{
    for (const char *const *name = search->provider->variables; *name != NULL; name++) {
        struct text value = TEXT_EMPTY;
        bool over = keyring_variable(search->keyring, *name, &value) &&
                    search_consider(search, &(struct candidate){.secret = text_string(&value),
                                                                .size = value.size,
                                                                .kind = search->provider->kind,
                                                                .origin = CREDENTIAL_FROM_VARIABLE,
                                                                .place = *name});

        text_wipe(&value);
        if (over)
            return true;
    }
    return false;
}

/* A key of a kind that has no endpoint is worth a word. */
static bool search_useless(struct search *search)
{
    struct text value = TEXT_EMPTY;

    if (search->provider->useless_variable != NULL &&
        keyring_variable(search->keyring, search->provider->useless_variable, &value) &&
        !credential_is_placeholder(text_string(&value)) && search->end < CREDENTIAL_UNSUPPORTED)
        search->end = CREDENTIAL_UNSUPPORTED;
    text_wipe(&value);
    return false;
}

/* An entry of the pool that its marks rule out is passed over. */
static bool search_stored(void *context, const struct candidate *candidate)
{
    struct search *search = context;

    if (candidate->secret == NULL)
        return false;
    if (candidate->origin == CREDENTIAL_FROM_POOL) {
        struct stamp until;
        enum pool_mark mark = pool_entry_mark(candidate->record, search->now_s, &until);

        if (mark != POOL_USABLE && mark != POOL_EXPIRED)
            return false;
    }
    return search_consider(search, candidate);
}

static bool search_storage(struct search *search)
{
    if (!credential_walk(search->keyring, search->provider, search_stored, search))
        search->end = CREDENTIAL_NO_MEMORY;
    return true;
}

enum credential_search credential_find(struct keyring *keyring, const struct provider *provider,
                                       const struct text *request_key, int64_t now_s, struct credential *credential_out)
{
    struct search search = {keyring, provider, now_s, CREDENTIAL_ABSENT, credential_out};

    *credential_out = (struct credential){.secret = TEXT_EMPTY};
    (void)(search_request(&search, request_key) || search_variables(&search) || search_useless(&search) ||
           search_storage(&search));
    return search.end;
}

void credential_fini(struct credential *credential)
{
    text_wipe(&credential->secret);
}
