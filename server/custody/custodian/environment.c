/* Composing a worker's environment, see environment.h. */
#include "server/custody/custodian/environment.h"

#include "proto/utf8.h"
#include "server/base/dotenv.h"
#include "server/base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 4096 };

/* Not for a home to say: they would change which program runs, what it loads, or whom it takes the home to be.  A '*'
 * at the end stands for anything. */
static const char *const kept_names[] = {"PATH",
                                         "HOME",
                                         "SHELL",
                                         "IFS",
                                         "ENV",
                                         "BASH_*",
                                         "SHELLOPTS",
                                         "PS4",
                                         "PROMPT_COMMAND",
                                         "LD_*",
                                         "GLIBC_TUNABLES",
                                         "MALLOC_*",
                                         "GCONV_PATH",
                                         "LOCPATH",
                                         "NLSPATH",
                                         "HOSTALIASES",
                                         "RES_OPTIONS",
                                         "OPENSSL_*",
                                         "PYTHON*",
                                         "PERL*",
                                         "RUBY*",
                                         "NODE_*",
                                         "JAVA_TOOL_OPTIONS"};

const char *environment_file_name(enum environment_file file)
{
    static const char *const names[ENVIRONMENT_FILE_COUNT] = {
        [ENVIRONMENT_FILE_ABSENT] = "is not there",          [ENVIRONMENT_FILE_READ] = "was read",
        [ENVIRONMENT_FILE_IRREGULAR] = "is no regular file", [ENVIRONMENT_FILE_TOO_LARGE] = "is larger than 1 MiB",
        [ENVIRONMENT_FILE_NOT_UTF8] = "is not UTF-8",        [ENVIRONMENT_FILE_UNREADABLE] = "cannot be read",
    };

    return (unsigned)file < ENVIRONMENT_FILE_COUNT ? names[file] : "";
}

/* At most one byte more than is allowed: enough to know that it is too large. */
static enum environment_file read_all(int fd, struct text *text)
{
    char part[READ_SIZE];
    ssize_t size = 1;

    while (size > 0 && text->size <= DOTENV_SIZE_MAX) {
        size = read(fd, part, sizeof part);
        if (size > 0)
            text_add(text, part, (size_t)size);
    }
    explicit_bzero(part, sizeof part);
    if (size < 0 || text->failed)
        return ENVIRONMENT_FILE_UNREADABLE;
    if (text->size > DOTENV_SIZE_MAX)
        return ENVIRONMENT_FILE_TOO_LARGE;
    return utf8_valid(text_string(text), text->size) ? ENVIRONMENT_FILE_READ : ENVIRONMENT_FILE_NOT_UTF8;
}

enum environment_file environment_read(int home_fd, struct text *text_out)
{
    struct text text = TEXT_EMPTY;
    enum environment_file file = ENVIRONMENT_FILE_IRREGULAR;
    struct stat kind;
    /* O_NONBLOCK: a FIFO opens at once instead of waiting for its writer. */
    int fd = openat(home_fd, ".env", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    *text_out = TEXT_EMPTY;
    if (fd < 0 && errno == ENOENT)
        return ENVIRONMENT_FILE_ABSENT;
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? ENVIRONMENT_FILE_IRREGULAR : ENVIRONMENT_FILE_UNREADABLE;
    if (fstat(fd, &kind) == 0 && S_ISREG(kind.st_mode))
        file = read_all(fd, &text);
    close(fd);
    if (file == ENVIRONMENT_FILE_READ)
        *text_out = text;
    else
        text_wipe(&text);
    return file;
}

static bool matches(const char *pattern, const char *name, size_t name_size)
{
    size_t size = strlen(pattern);

    if (pattern[size - 1] == '*')
        return name_size >= size - 1 && memcmp(name, pattern, size - 1) == 0;
    return name_size == size && memcmp(name, pattern, size) == 0;
}

bool environment_may_set(const struct environment_rules *rules, const char *name, size_t name_size)
{
    if (name_size == strlen(rules->home_env) && memcmp(name, rules->home_env, name_size) == 0)
        return false;
    for (size_t i = 0; i < sizeof kept_names / sizeof kept_names[0]; i++) {
        if (matches(kept_names[i], name, name_size))
            return false;
    }
    return true;
}

/* ---- the table: a home may name a hundred thousand variables, so finding one must not walk them ---- */

struct variable {
    char *text; /* NAME=value; owned */
    size_t name_size;
    UT_hash_handle handle;
};

struct table {
    struct variable *first;
    bool failed; /* memory was short once */
};

static struct variable *table_find(const struct table *table, const char *name, size_t name_size)
{
    struct variable *variable;
    unsigned hash;

    HASH_VALUE(name, name_size, hash);
    HASH_FIND_BYHASHVALUE(handle, table->first, name, name_size, hash, variable);
    return variable;
}

static void table_unset(struct table *table, const char *name, size_t name_size)
{
    struct variable *variable = table_find(table, name, name_size);

    if (variable == NULL)
        return;
    HASH_DELETE(handle, table->first, variable);
    free(variable->text);
    free(variable);
}

static void table_set(struct table *table, const struct dotenv_pair *pair)
{
    struct variable *variable;
    bool added = false;
    unsigned hash;

    table_unset(table, pair->name, pair->name_size);
    variable = calloc(1, sizeof *variable);
    if (variable != NULL)
        variable->text = malloc(pair->name_size + 1 + pair->value_size + 1);
    if (variable != NULL && variable->text != NULL) {
        memcpy(variable->text, pair->name, pair->name_size);
        variable->text[pair->name_size] = '=';
        memcpy(variable->text + pair->name_size + 1, pair->value, pair->value_size);
        variable->text[pair->name_size + 1 + pair->value_size] = '\0';
        variable->name_size = pair->name_size;
        HASH_VALUE(variable->text, variable->name_size, hash);
        MAP_ADD(handle, table->first, variable->text, variable->name_size, hash, variable, added);
    }
    if (!added) {
        if (variable != NULL)
            free(variable->text);
        free(variable);
        table->failed = true;
    }
}

static void table_set_string(struct table *table, const char *name, const char *value)
{
    table_set(table, &(struct dotenv_pair){name, strlen(name), value, strlen(value)});
}

/* Hands the texts over and empties the table; NULL when memory is or was short. */
static char **table_finish(struct table *table)
{
    char **environment = table->failed ? NULL : calloc(HASH_CNT(handle, table->first) + 1, sizeof *environment);
    size_t count = 0;

    while (table->first != NULL) {
        struct variable *variable = table->first;

        HASH_DELETE(handle, table->first, variable);
        if (environment != NULL)
            environment[count++] = variable->text;
        else
            free(variable->text);
        free(variable);
    }
    return environment;
}

/* ---- the layers ---- */

static void pass_inherited(struct table *table, const struct environment_rules *rules, char *const *inherited)
{
    for (char *const *name = rules->pass; name != NULL && *name != NULL; name++) {
        size_t size = strlen(*name);

        for (char *const *text = inherited; *text != NULL; text++) {
            if (strncmp(*text, *name, size) == 0 && (*text)[size] == '=')
                table_set_string(table, *name, *text + size + 1);
        }
    }
}

static void apply_dotenv(struct table *table, const struct environment_rules *rules, const struct text *text)
{
    struct dotenv dotenv;
    struct dotenv_pair pair;

    if (!dotenv_open(&dotenv, text_string(text), text->size))
        return;
    while (dotenv_next(&dotenv, &pair)) {
        if (!environment_may_set(rules, pair.name, pair.name_size))
            continue;
        if (pair.value_size == 0)
            table_unset(table, pair.name, pair.name_size);
        else
            table_set(table, &pair);
    }
}

char **environment_make(const struct environment_rules *rules, char *const *inherited, const char *home,
                        const char *user_home, const struct text *text)
{
    struct table table = {0};

    pass_inherited(&table, rules, inherited);
    apply_dotenv(&table, rules, text);
    table_set_string(&table, "HOME", user_home);
    table_set_string(&table, rules->home_env, home);
    return table_finish(&table);
}

void environment_free(char **environment)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
        free(environment[i]);
    free(environment);
}
