/* Values of the settings, see config_value.h: one reader a type, one table of them, one printer. */
#include "server/config_value.h"

#include "proto/limits.h"
#include "proto/utf8.h"
#include "server/base/loopback.h"
#include "server/base/socket_url.h"
#include "server/base/text.h"
#include "server/base/tls_url.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { ECHO_SIZE = 64, PRINT_COLUMNS = 100 };

static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char DIGITS[] = "0123456789";

static void *value_member(const struct config_row *row, struct config *config)
{
    return (char *)config + row->offset;
}

static const void *value_look(const struct config_row *row, const struct config *config)
{
    return (const char *)config + row->offset;
}

static struct status value_no_memory(void)
{
    return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings");
}

/* "<value> <what is wrong>", a long value cut short. */
static struct status value_refuse(const char *value, const char *reason)
{
    size_t size = strlen(value);

    if (size == 0)
        return status_make(STATUS_INVALID_ARGUMENT, "an empty value %s", reason);
    if (size <= ECHO_SIZE)
        return status_make(STATUS_INVALID_ARGUMENT, "%s %s", value, reason);
    return status_make(STATUS_INVALID_ARGUMENT, "%.*s... %s", (int)utf8_clip(value, ECHO_SIZE), value, reason);
}

/* Digits alone: no sign, no blanks, no other base. */
static bool parse_number(const char *text, uint64_t *number_out)
{
    if (text[0] == '\0' || text[strspn(text, DIGITS)] != '\0')
        return false;
    errno = 0;
    *number_out = strtoull(text, NULL, 10);
    if (errno == ERANGE)
        *number_out = UINT64_MAX; /* out of any row's range, and refused for that */
    return true;
}

static struct status check_range(const struct config_row *row, const char *text, uint64_t number)
{
    char reason[64];

    if (number < row->min)
        snprintf(reason, sizeof reason, "is below %" PRIu64, row->min);
    else if (number > row->max)
        snprintf(reason, sizeof reason, "is above %" PRIu64, row->max);
    else
        return status_ok();
    return value_refuse(text, reason);
}

static struct status set_number(const struct config_row *row, void *member, const char *text)
{
    uint64_t number;
    struct status status;

    if (!parse_number(text, &number))
        return value_refuse(text, "is no whole number");
    status = check_range(row, text, number);
    if (status_is_ok(&status))
        *(uint64_t *)member = number;
    return status;
}

static struct status set_yes_no(const struct config_row *row, void *member, const char *text)
{
    (void)row;
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return value_refuse(text, "is neither yes nor no");
    *(bool *)member = text[0] == 'y';
    return status_ok();
}

static struct status set_cpu(const struct config_row *row, void *member, const char *text)
{
    uint64_t number;
    struct status status = status_ok();

    if (strcmp(text, "auto") == 0) {
        *(int64_t *)member = CONFIG_NNG_CPU_AUTO;
    } else if (strcmp(text, "any") == 0) {
        *(int64_t *)member = CONFIG_NNG_CPU_ANY;
    } else if (!parse_number(text, &number)) {
        status = value_refuse(text, "is none of: auto, any, a CPU's number");
    } else {
        status = check_range(row, text, number);
        if (status_is_ok(&status))
            *(int64_t *)member = (int64_t)number;
    }
    return status;
}

static struct status set_string(void *member, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return value_no_memory();
    free(*(char **)member);
    *(char **)member = copy;
    return status_ok();
}

/* The place of `text` among the row's choices. */
static struct status find_choice(const struct config_row *row, const char *text, int *rank_out)
{
    char reason[96] = "is none of:";

    for (int rank = 0; row->choices[rank] != NULL; rank++) {
        size_t size = strlen(reason);

        if (strcmp(row->choices[rank], text) == 0) {
            *rank_out = rank;
            return status_ok();
        }
        snprintf(reason + size, sizeof reason - size, "%s %s", rank == 0 ? "" : ",", row->choices[rank]);
    }
    return value_refuse(text, reason);
}

static struct status set_choice(const struct config_row *row, void *member, const char *text)
{
    int rank;
    struct status status = find_choice(row, text, &rank);

    return status_is_ok(&status) ? set_string(member, text) : status;
}

static struct status set_rank(const struct config_row *row, void *member, const char *text)
{
    return find_choice(row, text, (int *)member);
}

static struct status check_variable(const struct config_row *row, const char *text)
{
    (void)row;
    if (text[0] == '\0' || strchr(DIGITS, text[0]) != NULL)
        return value_refuse(text, "is no name of a variable");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '_' && strchr(LETTERS, *c) == NULL && strchr(DIGITS, *c) == NULL)
            return value_refuse(text, "is no name of a variable");
    }
    return status_ok();
}

static struct status set_variable(const struct config_row *row, void *member, const char *text)
{
    struct status status = check_variable(row, text);

    return status_is_ok(&status) ? set_string(member, text) : status;
}

struct status config_value_find_uid(const char *text, uint32_t *uid_out)
{
    uint64_t number;
    const struct passwd *entry;

    if (parse_number(text, &number)) {
        if (number >= UINT32_MAX) /* the highest one means "unchanged" to the kernel */
            return value_refuse(text, "is no uid: it is above 4294967294");
        *uid_out = (uint32_t)number;
        return status_ok();
    }
    if (text[0] == '\0')
        return value_refuse(text, "is no user");
    errno = 0;
    entry = getpwnam(text);
    if (entry == NULL)
        return value_refuse(text, errno == 0 || errno == ENOENT ? "is no user of this machine"
                                                                : "cannot be looked up among the users");
    *uid_out = entry->pw_uid;
    return status_ok();
}

static struct status set_user(const struct config_row *row, void *member, const char *text)
{
    uint32_t uid = UINT32_MAX;
    struct status status = text[0] == '\0' ? status_ok() : config_value_find_uid(text, &uid);

    (void)row;
    if (uid == 0)
        return value_refuse(text, "is root: leave the setting out for that");
    return status_is_ok(&status) ? set_string(member, text) : status;
}

static struct status check_path(const struct config_row *row, const char *text)
{
    (void)row;
    if (text[0] != '/')
        return value_refuse(text, "is no absolute path");
    if (strlen(text) > LIMIT_HOME_SIZE_MAX)
        return value_refuse(text, "has more than 4095 bytes");
    return status_ok();
}

static struct status set_file(const struct config_row *row, void *member, const char *text)
{
    struct status status = text[0] == '\0' ? status_ok() : check_path(row, text);

    return status_is_ok(&status) ? set_string(member, text) : status;
}

/* What stands behind the "=" of ROLE=…; NULL: that is not how the word is made. */
static const char *value_of_role(const char *text)
{
    const char *equals = strchr(text, '=');

    return equals != NULL && tls_role_name_is(text, (size_t)(equals - text)) ? equals + 1 : NULL;
}

static struct status check_role_path(const struct config_row *row, const char *text)
{
    const char *path = value_of_role(text);

    return path != NULL ? check_path(row, path) : value_refuse(text, "is not ROLE=/absolute/path, ROLE of [a-z0-9_-]");
}

static struct status check_role_user(const struct config_row *row, const char *text)
{
    const char *user = value_of_role(text);
    uint32_t uid;

    (void)row;
    return user != NULL ? config_value_find_uid(user, &uid)
                        : value_refuse(text, "is not ROLE=USER, ROLE of [a-z0-9_-]");
}

static struct status check_loopback(const struct config_row *row, const char *text)
{
    struct loopback loopback;
    const char *fault = loopback_parse(text, &loopback);

    (void)row;
    return fault == NULL ? status_ok() : value_refuse(text, fault);
}

static struct status check_port(const struct config_row *row, const char *text)
{
    uint64_t number;

    return parse_number(text, &number) ? check_range(row, text, number) : value_refuse(text, "is no port");
}

static struct status check_url(const struct config_row *row, const char *text)
{
    (void)row;
    return socket_url_check(text);
}

/* A command's words are its own affair. */
static struct status check_nothing(const struct config_row *row, const char *text)
{
    (void)row;
    (void)text;
    return status_ok();
}

typedef struct status value_setter(const struct config_row *row, void *member, const char *text);
typedef struct status word_checker(const struct config_row *row, const char *word);

static value_setter *const setters[] = {
    [CONFIG_NUMBER] = set_number, [CONFIG_YES_NO] = set_yes_no, [CONFIG_CHOICE] = set_choice,
    [CONFIG_RANK] = set_rank,     [CONFIG_CPU] = set_cpu,       [CONFIG_VARIABLE] = set_variable,
    [CONFIG_USER] = set_user,     [CONFIG_FILE] = set_file,
};

static word_checker *const checkers[] = {
    [CONFIG_COMMAND] = check_nothing,      [CONFIG_URLS] = check_url,
    [CONFIG_PATHS] = check_path,           [CONFIG_LOOPBACKS] = check_loopback,
    [CONFIG_VARIABLES] = check_variable,   [CONFIG_PORTS] = check_port,
    [CONFIG_ROLE_PATHS] = check_role_path, [CONFIG_ROLE_USERS] = check_role_user,
};

bool config_type_is_list(enum config_type type)
{
    return type >= CONFIG_COMMAND;
}

static struct status add_uid(struct config_uids *uids, const char *word)
{
    uint32_t uid, *grown;
    struct status status = config_value_find_uid(word, &uid);

    if (!status_is_ok(&status))
        return status;
    grown = realloc(uids->uids, (uids->count + 1) * sizeof *grown);
    if (grown == NULL)
        return value_no_memory();
    grown[uids->count++] = uid;
    uids->uids = grown;
    return status_ok();
}

static struct status add_word(struct config_words *words, const char *word)
{
    char **grown = realloc(words->words, (words->count + 2) * sizeof *grown);

    if (grown == NULL)
        return value_no_memory();
    words->words = grown;
    grown[words->count] = strdup(word);
    if (grown[words->count] == NULL)
        return value_no_memory();
    grown[++words->count] = NULL;
    return status_ok();
}

size_t config_value_word_count(const struct config_row *row, const struct config *config)
{
    const void *member = value_look(row, config);

    return row->type == CONFIG_UIDS ? ((const struct config_uids *)member)->count
                                    : ((const struct config_words *)member)->count;
}

struct status config_value_add_word(const struct config_row *row, struct config *config, const char *word)
{
    struct status status;

    if (config_value_word_count(row, config) >= CONFIG_WORD_COUNT_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "more than %d words", CONFIG_WORD_COUNT_MAX);
    if (row->type == CONFIG_UIDS)
        return add_uid(value_member(row, config), word);
    status = checkers[row->type](row, word);
    return status_is_ok(&status) ? add_word(value_member(row, config), word) : status;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word off `*at`, as a shell would: blanks part words; '...' is literal; in "..." a backslash escapes
 * what has a meaning there; elsewhere it escapes anything.  False at the end, and with *fault_out set when a word is
 * broken.
 */
static bool take_word(const char **at, struct text *word, const char **fault_out)
{
    const char *c = *at + strspn(*at, " \t");
    char quote = '\0';

    text_reset(word);
    if (*c == '\0')
        return false;
    for (; *c != '\0' && (quote != '\0' || !is_blank(*c)); c++) {
        if (quote == '\0' && (*c == '\'' || *c == '"')) {
            quote = *c;
        } else if (quote != '\0' && *c == quote) {
            quote = '\0';
        } else if (*c == '\\' && (quote == '\0' || (quote == '"' && strchr("\"\\$`", c[1]) != NULL))) {
            if (*++c == '\0') {
                *fault_out = "ends in a backslash";
                return false;
            }
            text_add(word, c, 1);
        } else {
            text_add(word, c, 1);
        }
    }
    if (quote != '\0')
        *fault_out = "has a quote that is not closed";
    *at = c;
    return quote == '\0';
}

static struct status add_words(const struct config_row *row, struct config *config, const char *text)
{
    const char *at = text, *fault = NULL;
    struct text word = TEXT_EMPTY;
    struct status status = status_ok();

    while (status_is_ok(&status) && take_word(&at, &word, &fault))
        status = word.failed ? value_no_memory() : config_value_add_word(row, config, text_string(&word));
    if (fault != NULL)
        status = value_refuse(text, fault);
    text_fini(&word);
    return status;
}

/* What holds for every value: bounded, UTF-8, one line. */
static struct status check_text(const char *text)
{
    size_t size = strlen(text);

    if (size > CONFIG_VALUE_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "the value has %zu bytes, at most %d are read", size,
                           CONFIG_VALUE_SIZE_MAX);
    if (!utf8_valid(text, size))
        return status_make(STATUS_INVALID_ARGUMENT, "the value is not UTF-8");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '\t' && utf8_has_control(c, 1))
            return status_make(STATUS_INVALID_ARGUMENT, "the value has a control character (0x%02x)", (unsigned)*c);
    }
    return status_ok();
}

struct status config_value_set(const struct config_row *row, struct config *config, const char *text)
{
    struct status status = check_text(text);

    if (!status_is_ok(&status))
        return status;
    if (config_type_is_list(row->type)) {
        if (row->type == CONFIG_COMMAND)
            config_value_clear(row, config);
        status = add_words(row, config, text);
    } else {
        status = setters[row->type](row, value_member(row, config), text);
    }
    return status;
}

void config_value_clear(const struct config_row *row, struct config *config)
{
    void *member = value_member(row, config);

    if (row->type == CONFIG_UIDS) {
        struct config_uids *uids = member;

        free(uids->uids);
        *uids = (struct config_uids){0};
    } else if (config_type_is_list(row->type)) {
        struct config_words *words = member;

        for (size_t i = 0; i < words->count; i++)
            free(words->words[i]);
        free(words->words);
        *words = (struct config_words){0};
    } else if (row->type == CONFIG_CHOICE || row->type == CONFIG_VARIABLE || row->type == CONFIG_USER ||
               row->type == CONFIG_FILE) {
        free(*(char **)member);
        *(char **)member = NULL;
    }
}

static size_t member_size(enum config_type type)
{
    switch (type) {
    case CONFIG_NUMBER:
        return sizeof(uint64_t);
    case CONFIG_YES_NO:
        return sizeof(bool);
    case CONFIG_RANK:
        return sizeof(int);
    case CONFIG_CPU:
        return sizeof(int64_t);
    case CONFIG_CHOICE:
    case CONFIG_VARIABLE:
    case CONFIG_USER:
    case CONFIG_FILE:
        return sizeof(char *);
    case CONFIG_UIDS:
        return sizeof(struct config_uids);
    default:
        return sizeof(struct config_words);
    }
}

void config_value_swap(const struct config_row *row, struct config *one, struct config *other)
{
    unsigned char kept[sizeof(struct config_words) + sizeof(uint64_t)];
    size_t size = member_size(row->type);

    memcpy(kept, value_member(row, one), size);
    memcpy(value_member(row, one), value_member(row, other), size);
    memcpy(value_member(row, other), kept, size);
}

/* As take_word reads it: bare where it can be, else in single quotes. */
static void quote_word(struct text *text, const char *word)
{
    if (word[0] != '\0' && strpbrk(word, " \t'\"\\;#") == NULL) {
        text_add_string(text, word);
        return;
    }
    text_add_string(text, "'");
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '\'')
            text_add_string(text, "'\\''");
        else
            text_add(text, c, 1);
    }
    text_add_string(text, "'");
}

static void show_cpu(int64_t cpu, struct text *out)
{
    if (cpu >= 0)
        text_format(out, "%" PRId64, cpu);
    else
        text_add_string(out, cpu == CONFIG_NNG_CPU_ANY ? "any" : "auto");
}

static void show_word(const struct config_row *row, const void *member, size_t index, struct text *out)
{
    if (row->type == CONFIG_UIDS)
        text_format(out, "%" PRIu32, ((const struct config_uids *)member)->uids[index]);
    else
        quote_word(out, ((const struct config_words *)member)->words[index]);
}

void config_value_show(const struct config_row *row, const struct config *config, struct text *out)
{
    const void *member = value_look(row, config);

    switch (row->type) {
    case CONFIG_NUMBER:
        text_format(out, "%" PRIu64, *(const uint64_t *)member);
        break;
    case CONFIG_YES_NO:
        text_add_string(out, *(const bool *)member ? "yes" : "no");
        break;
    case CONFIG_RANK:
        text_add_string(out, row->choices[*(const int *)member]);
        break;
    case CONFIG_CPU:
        show_cpu(*(const int64_t *)member, out);
        break;
    case CONFIG_CHOICE:
    case CONFIG_VARIABLE:
    case CONFIG_USER:
    case CONFIG_FILE:
        text_add_string(out, *(char *const *)member);
        break;
    default:
        for (size_t i = 0; i < config_value_word_count(row, config); i++) {
            text_add_string(out, i == 0 ? "" : " ");
            show_word(row, member, i, out);
        }
    }
}

/* Several lines when one would be long; a command stays on one, since its lines do not add up. */
static void print_list(const struct config_row *row, const struct config *config, FILE *out)
{
    const void *member = value_look(row, config);
    size_t count = config_value_word_count(row, config);
    struct text line = TEXT_EMPTY;

    for (size_t i = 0; i < count; i++) {
        text_add_string(&line, line.size == 0 ? "" : " ");
        show_word(row, member, i, &line);
        if (line.size > PRINT_COLUMNS && row->type != CONFIG_COMMAND && i + 1 < count) {
            fprintf(out, "%s = %s\n", row->key, text_string(&line));
            text_reset(&line);
        }
    }
    fprintf(out, "%s =%s%s\n", row->key, line.size == 0 ? "" : " ", text_string(&line));
    text_fini(&line);
}

void config_value_print(const struct config_row *row, const struct config *config, FILE *out)
{
    struct text value = TEXT_EMPTY;

    if (config_type_is_list(row->type)) {
        print_list(row, config, out);
        return;
    }
    config_value_show(row, config, &value);
    fprintf(out, "%s =%s%s\n", row->key, value.size == 0 ? "" : " ", text_string(&value));
    text_fini(&value);
}
