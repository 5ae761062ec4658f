#include "server/reader/holdings.h"

#include "server/base/clock.h"
#include "server/base/dotenv.h"
#include "server/worker/credentials.h"
#include "server/worker/document.h"
#include "server/worker/provider.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* One look at everything. */
struct look {
    const struct holdings *holdings;
    struct keyring keyring;
    struct places *places;
    const struct provider *provider; /* whose things are looked at; NULL: the home's */
    struct text own, home;           /* fields: the provider's, the home's */
    struct text *lines;
    bool is_young; /* a file was written a moment ago */
    bool is_torn;  /* it looks as if a writer had not finished */
    bool failed;   /* memory was short */
};

/* ---- fields: what a fingerprint covers ---- */

/* Whatever is in it, a field ends where its size says: two lists of fields are equal when their bytes are. */
enum field {
    FIELD_WHOSE = 'w',
    FIELD_NAME = 'n',
    FIELD_INDEX = 'i',
    FIELD_PLACE = 'p',
    FIELD_VALUE = 'v',
    FIELD_FILE = 'f',
    FIELD_STATE = 's'
};

static void field_add(struct text *fields, enum field field, const char *bytes, size_t size)
{
    text_format(fields, "%c%zu:", field, size);
    text_add(fields, bytes, size);
}

static void field_add_string(struct text *fields, enum field field, const char *string)
{
    field_add(fields, field, string, strlen(string));
}

static void field_add_number(struct text *fields, enum field field, size_t number)
{
    text_format(fields, "%c%zu;", field, number);
}

/* ---- files ---- */

static int64_t file_age_ms(const struct stat *facts)
{
    return clock_wall_ms() - (int64_t)facts->st_ctim.tv_sec * 1000 - facts->st_ctim.tv_nsec / 1000000;
}

/* In place, a file is truncated first and written then; on a busy disk there is a while between the two, so one that is
 * empty or broken is given longer. */
static void look_judge_age(struct look *look, int directory_fd, const char *path, enum file_state state)
{
    struct stat facts;
    int64_t age_ms;

    if (fstatat(directory_fd, path, &facts, 0) != 0)
        return;
    age_ms = llabs(file_age_ms(&facts));
    look->is_young = look->is_young || age_ms < look->holdings->still_ms;
    look->is_torn = look->is_torn || ((state == FILE_BROKEN || facts.st_size == 0) && age_ms < look->holdings->torn_ms);
}

/* Told by the look-up of every file that it opens, or would. */
static void look_saw(void *context, int directory_fd, const char *path, enum file_state state)
{
    struct look *look = context;
    struct text *fields = look->provider == NULL ? &look->home : &look->own;

    places_add(look->places, directory_fd, path, state);
    look_judge_age(look, directory_fd, path, state);
    if (state == FILE_ABSENT || state == FILE_READ)
        return;
    field_add_string(fields, FIELD_FILE, path);
    field_add_number(fields, FIELD_STATE, state);
}

/* ---- credentials in JSON ---- */

bool holdings_is_credential(const char *name)
{
    static const char *const ends[] = {"token", "key", "secret", "password", "url", "id", "fingerprint"};
    size_t size = strlen(name);

    if (strncasecmp(name, "last_", 5) == 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end_size = strlen(ends[i]);

        if (size >= end_size && strcasecmp(name + size - end_size, ends[i]) == 0)
            return true;
    }
    return false;
}

/* A value of a document, and how it is reached. */
struct branch {
    const struct branch *outer; /* NULL: the document itself */
    const char *name;           /* of the member it is, or is an element of */
    size_t index;               /* among the elements; of a member 0 */
    const json_t *value;
};

static void look_add_branch(struct look *look, struct text *fields, const struct branch *branch);

static void look_add_object(struct look *look, struct text *fields, const struct branch *branch)
{
    size_t count;
    const char **names = document_names(branch->value, &count);

    look->failed = look->failed || (names == NULL && count > 0);
    for (size_t i = 0; names != NULL && i < count; i++)
        look_add_branch(look, fields, &(struct branch){branch, names[i], 0, json_object_get(branch->value, names[i])});
    free(names);
}

static void look_add_leaf(struct text *fields, const struct branch *branch)
{
    for (const struct branch *at = branch; at->outer != NULL; at = at->outer) {
        field_add_string(fields, FIELD_NAME, at->name);
        field_add_number(fields, FIELD_INDEX, at->index);
    }
    field_add(fields, FIELD_VALUE, json_string_value(branch->value), json_string_length(branch->value));
}

/* All strings in it whose names say that they are credentials; as deep as documents are (DOCUMENT_DEPTH_MAX). */
static void look_add_branch(struct look *look, struct text *fields, const struct branch *branch)
{
    const json_t *element;
    size_t index;

    if (json_is_object(branch->value))
        look_add_object(look, fields, branch);
    else if (json_is_string(branch->value) && branch->outer != NULL && holdings_is_credential(branch->name))
        look_add_leaf(fields, branch);
    json_array_foreach(branch->value, index, element)
        look_add_branch(look, fields, &(struct branch){branch, branch->name, index, element});
}

/* ---- providers ---- */

static void look_add_variables(struct look *look)
{
    const char *names[PROVIDER_NAME_COUNT_MAX];
    size_t count = provider_names(look->provider, names);

    for (size_t i = 0; i < count; i++) {
        struct text value = TEXT_EMPTY;

        if (keyring_variable(&look->keyring, names[i], &value)) {
            field_add_string(&look->own, FIELD_NAME, names[i]);
            field_add(&look->own, FIELD_VALUE, text_string(&value), value.size);
        }
        look->failed = look->failed || value.failed;
        text_wipe(&value);
    }
}

static bool look_see(void *context, const struct candidate *candidate)
{
    struct look *look = context;
    const char *base_member = look->provider->base_url_member;
    const char *base = base_member == NULL ? NULL : document_string(candidate->record, base_member);

    field_add_string(&look->own, FIELD_PLACE, candidate->place);
    field_add(&look->own, FIELD_VALUE, candidate->secret, candidate->size);
    field_add_string(&look->own, FIELD_VALUE, base == NULL ? "" : base);
    look_add_branch(look, &look->own, &(struct branch){NULL, "", 0, candidate->record});
    return false;
}

static void look_add_line(struct look *look, const struct text *fields, const char *whose, const char *name)
{
    struct fingerprint fingerprint;

    secret_fingerprint(&look->holdings->key, text_string(fields), fields->size, &fingerprint);
    text_format(look->lines, "%s%s ", whose, name);
    for (size_t i = 0; i < sizeof fingerprint.bytes; i++)
        text_format(look->lines, "%02x", fingerprint.bytes[i]);
    text_add_string(look->lines, "\n");
}

/* Under each name that the provider is asked for by. */
static void look_add_provider_lines(struct look *look)
{
    const char *id = look->provider->id;

    look_add_line(look, &look->own, "provider ", id);
    for (const struct provider_alias *alias = provider_aliases; alias->name != NULL; alias++) {
        if (strcmp(alias->id, id) == 0)
            look_add_line(look, &look->own, "provider ", alias->name);
    }
}

/* No line when there is nothing. */
static void look_at_provider(struct look *look, const struct provider *provider)
{
    size_t size;

    look->provider = provider;
    field_add_string(&look->own, FIELD_WHOSE, provider->id); /* one key of two providers has two fingerprints */
    size = look->own.size;
    look_add_variables(look);
    if (!credential_walk(&look->keyring, provider, look_see, look))
        look->failed = true;
    keyring_forget(&look->keyring);
    if (look->own.size > size)
        look_add_provider_lines(look);
    look->failed = look->failed || look->own.failed;
    text_wipe(&look->own);
    look->provider = NULL;
}

/* ---- what belongs to no provider ---- */

static bool provider_reads(const struct provider *provider, const struct dotenv_pair *pair)
{
    const char *names[PROVIDER_NAME_COUNT_MAX];
    size_t count = provider_names(provider, names);

    for (size_t i = 0; i < count; i++) {
        if (strncmp(names[i], pair->name, pair->name_size) == 0 && names[i][pair->name_size] == '\0')
            return true;
    }
    return false;
}

static bool any_provider_reads(const struct dotenv_pair *pair)
{
    for (const struct provider *const *row = providers; *row != NULL; row++) {
        if (provider_reads(*row, pair))
            return true;
    }
    return false;
}

/* By name; of one name in the order of the file, whose text they point into. */
static int pair_compare(const void *left, const void *right)
{
    const struct dotenv_pair *a = left, *b = right;
    size_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
    int order = memcmp(a->name, b->name, size);

    if (order != 0)
        return order;
    if (a->name_size != b->name_size)
        return a->name_size < b->name_size ? -1 : 1;
    return a->name < b->name ? -1 : 1;
}

static bool pair_is_same(const struct dotenv_pair *a, const struct dotenv_pair *b)
{
    return a->name_size == b->name_size && memcmp(a->name, b->name, a->name_size) == 0;
}

static void look_add_pairs(struct look *look, struct dotenv_pair *pairs, size_t count)
{
    qsort(pairs, count, sizeof *pairs, pair_compare);
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count || !pair_is_same(&pairs[i], &pairs[i + 1]);

        if (!is_last || any_provider_reads(&pairs[i]))
            continue;
        field_add(&look->home, FIELD_NAME, pairs[i].name, pairs[i].name_size);
        field_add(&look->home, FIELD_VALUE, pairs[i].value, pairs[i].value_size);
    }
}

/* The variables of `.env` that no row names. */
static void look_add_dotenv(struct look *look)
{
    const struct text *text = &look->keyring.dotenv;
    struct dotenv dotenv;
    struct dotenv_pair pair, *pairs;
    size_t count = 0;

    if (!dotenv_open(&dotenv, text_string(text), text->size))
        return;
    while (dotenv_next(&dotenv, &pair))
        count++;
    pairs = calloc(count + 1, sizeof *pairs);
    if (pairs == NULL) {
        look->failed = true;
        return;
    }
    count = 0;
    (void)!dotenv_open(&dotenv, text_string(text), text->size);
    while (dotenv_next(&dotenv, &pairs[count]))
        count++;
    look_add_pairs(look, pairs, count);
    free(pairs);
}

/* A file of another tool's that no row reads, but a worker of another kind may (PROVIDERS.md 3.4), YAML or JSON with
 * comments: its lines that speak of a token. */
static void look_add_lines_of(struct look *look, const char *path)
{
    const struct files *files = look->keyring.files;
    struct text text = TEXT_EMPTY;
    char *rest = NULL;

    look_saw(look, files->user_home_fd, path, files_read(files, files->user_home_fd, path, &text));
    for (char *line = text.size == 0 ? NULL : strtok_r(text.bytes, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        if (strcasestr(line, "token") == NULL)
            continue;
        field_add_string(&look->home, FIELD_PLACE, path);
        field_add_string(&look->home, FIELD_VALUE, line + strspn(line, " \t"));
    }
    text_wipe(&text);
}

static void look_add_unread(struct look *look)
{
    static const char *const paths[] = {".config/gh/hosts.yml", ".config/github-copilot/apps.json",
                                        ".copilot/config.json"};

    for (size_t i = 0; look->holdings->user_home_fd >= 0 && i < sizeof paths / sizeof *paths; i++)
        look_add_lines_of(look, paths[i]);
}

static void look_at_rest(struct look *look)
{
    look_add_dotenv(look);
    look_add_unread(look);
    keyring_leave_rest(&look->keyring);
    look_add_branch(look, &look->home, &(struct branch){NULL, "", 0, look->keyring.auth});
    look_add_line(look, &look->home, "home", "");
    look->failed = look->failed || look->home.failed;
    text_wipe(&look->home);
}

/* ---- looks ---- */

/* False: memory was short. */
static bool look_at_all(struct look *look)
{
    const struct files files = {.home_fd = look->holdings->home_fd,
                                .user_home_fd = look->holdings->user_home_fd,
                                .follows_links = true,
                                .asks_anew = true,
                                .saw = look_saw,
                                .context = look};

    keyring_open(&look->keyring, &files);
    for (const struct provider *const *row = providers; *row != NULL; row++)
        look_at_provider(look, *row);
    look_at_rest(look);
    keyring_close(&look->keyring);
    return !look->failed && !look->lines->failed;
}

/* Looks at everything, once. */
static bool holdings_look(struct look *look, const struct holdings *holdings, struct places *places, struct text *lines)
{
    *look = (struct look){.holdings = holdings, .places = places, .lines = lines};
    places_init(places, holdings->home_fd);
    text_reset(lines);
    return look_at_all(look);
}

/* Looks until a look can be believed; `whole` is what the last one said that found no file half written. */
static enum holdings_end holdings_settle(const struct holdings *holdings, struct places *places, struct text *now,
                                         struct text *whole)
{
    struct look look;

    for (int i = 1; holdings_look(&look, holdings, places, now); i++) {
        bool is_still = !look.is_young || strcmp(text_string(now), text_string(whole)) == 0;

        if (!look.is_torn && (is_still || i == HOLDINGS_LOOK_COUNT_MAX))
            return HOLDINGS_READ;
        if (i == HOLDINGS_LOOK_COUNT_MAX)
            return HOLDINGS_RESTLESS;
        if (!look.is_torn) {
            text_reset(whole);
            text_add(whole, text_string(now), now->size);
        }
        (void)poll(NULL, 0, holdings->still_ms);
    }
    return HOLDINGS_NO_MEMORY;
}

enum holdings_end holdings_read(const struct holdings *holdings, struct places *places, struct text *lines)
{
    struct text now = TEXT_EMPTY, whole = TEXT_EMPTY;
    enum holdings_end end = holdings_settle(holdings, places, &now, &whole);

    if (end == HOLDINGS_READ)
        text_add(lines, text_string(&now), now.size);
    text_fini(&now);
    text_fini(&whole);
    return lines->failed ? HOLDINGS_NO_MEMORY : end;
}
