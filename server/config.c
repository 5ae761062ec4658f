/* The settings out of the file, the environment and the flags, and printed again.
 *
 * config_table.c says which settings there are, config_value.c what their values may be; here is where values come from
 * and in which order.  A refusal is made whole here: where it stood, which setting, what is wrong. */
#include "server/config.h"

#include "proto/utf8.h"
#include "server/base/text.h"
#include "server/config_guess.h"
#include "server/config_table.h"
#include "server/config_value.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_SIZE_MAX = 1048576,
    LINE_SIZE_MAX = CONFIG_VALUE_SIZE_MAX + 256, /* a key and some blanks beside the longest value */
    NAME_SIZE = 64,                              /* PROBED_SERVER_CONNECTIONS_PER_UID has 33 */
    GUESS_SIZE = NAME_SIZE + 16,
    PATH_SHOWN_SIZE = 96, /* of a file in a message, so that there is room for the reason */
};

/* Keys of the flags, none of them a letter; a row's is KEY_ROWS + its place. */
enum { KEY_CONFIG = 1000, KEY_CHECK, KEY_PRINT, KEY_HELP, KEY_VERSION, KEY_ROWS };

enum config_origin { ORIGIN_NONE, ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct config_source {
    enum config_origin origin;
    int line; /* ORIGIN_FILE: of the last value */
};

/* A flag as it stood on the command line; it is applied last. */
struct flag {
    size_t row_index;
    const char *text; /* lent by argv */
};

struct loader {
    const char *program;
    const struct config_row *rows;
    size_t row_count;
    struct config config; /* under construction */
    struct flag *flags;   /* owned */
    size_t flag_count;
    const char *file; /* --config, lent by argv; NULL: none */
    enum config_mode mode;
    struct status status; /* of the callbacks of argp and inih, which have no way to hand one up */
};

/* "--pool-workers-max" and "PROBED_POOL_WORKERS_MAX". */
static void name_flag(const struct config_row *row, char name_out[NAME_SIZE])
{
    snprintf(name_out, NAME_SIZE, "--%s-%s", row->section, row->key);
    for (char *c = name_out; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
}

static void name_variable(const struct config_row *row, char name_out[NAME_SIZE])
{
    snprintf(name_out, NAME_SIZE, "PROBED_%s_%s", row->section, row->key);
    for (char *c = name_out; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
}

/* "pool.workers_max" and "[pool]". */
static void name_in_file(const struct config_row *row, char name_out[NAME_SIZE])
{
    snprintf(name_out, NAME_SIZE, "%s.%s", row->section, row->key);
}

static void name_section(const struct config_row *row, char name_out[NAME_SIZE])
{
    snprintf(name_out, NAME_SIZE, "[%s]", row->section);
}

/* Behind the refusal of a name: "; perhaps pool.workers_max", or nothing where none is near. */
static void guess(const char *name, void (*spell)(const struct config_row *row, char name_out[NAME_SIZE]),
                  char guess_out[GUESS_SIZE])
{
    size_t row_count, nearest = CONFIG_GUESS_DISTANCE_MAX + 1;
    const struct config_row *rows = config_rows(&row_count);

    guess_out[0] = '\0';
    for (size_t i = 0; i < row_count; i++) {
        char spelled[NAME_SIZE];
        size_t distance;

        spell(&rows[i], spelled);
        distance = config_guess_distance(name, spelled);
        if (distance < nearest)
            snprintf(guess_out, GUESS_SIZE, "; perhaps %s", spelled);
        nearest = distance < nearest ? distance : nearest;
    }
}

/* The file's name as a message can hold it: its end when it is long. */
static const char *show_file(const char *file)
{
    size_t size = strlen(file);

    if (!utf8_valid(file, size))
        return "the configuration file";
    if (size <= PATH_SHOWN_SIZE)
        return file;
    file += size - PATH_SHOWN_SIZE;
    while ((*file & 0xc0) == 0x80)
        file++;
    return file;
}

/* --- one value ------------------------------------------------------------------------------------------------- */

static struct status place_refusal(const struct loader *loader, const struct config_row *row,
                                   struct config_source source, const struct status *reason)
{
    char name[NAME_SIZE];

    switch (source.origin) {
    case ORIGIN_FILE:
        return status_make(reason->code, "%s:%d: %s.%s: %s", show_file(loader->file), source.line, row->section,
                           row->key, reason->message);
    case ORIGIN_ENVIRONMENT:
        name_variable(row, name);
        return status_make(reason->code, "%s: %s", name, reason->message);
    case ORIGIN_FLAG:
        name_flag(row, name);
        return status_make(reason->code, "%s: %s", name, reason->message);
    default:
        return status_make(reason->code, "%s.%s: %s", row->section, row->key, reason->message);
    }
}

/* A list from a stronger source replaces what a weaker one said; within one source it grows. */
static struct status set_value(struct loader *loader, size_t row_index, struct config_source source, const char *text)
{
    const struct config_row *row = &loader->rows[row_index];
    struct status status;

    if (loader->config.sources[row_index].origin != source.origin)
        config_value_clear(row, &loader->config);
    loader->config.sources[row_index] = source;
    status = config_value_set(row, &loader->config, text);
    return status_is_ok(&status) ? status : place_refusal(loader, row, source, &status);
}

/* The sockets' defaults depend on who runs us and are looked up when they are needed: settle(). */
static struct status set_defaults(struct loader *loader)
{
    struct status status = status_ok();

    for (size_t i = 0; i < loader->row_count && status_is_ok(&status); i++) {
        if (loader->rows[i].type != CONFIG_URLS)
            status = set_value(loader, i, (struct config_source){.origin = ORIGIN_DEFAULT}, loader->rows[i].standard);
    }
    return status;
}

/* --- the file -------------------------------------------------------------------------------------------------- */

struct file_reader {
    struct loader *loader;
    const char *at, *end;
    int line; /* of the line handed out last */
};

static struct status refuse_line(const struct file_reader *reader, const char *reason)
{
    return status_make(STATUS_INVALID_ARGUMENT, "%s:%d: %s", show_file(reader->loader->file), reader->line, reason);
}

/* inih passes over what follows "]" and over sections without keys: a misspelt one would go unnoticed. */
static bool check_section_line(struct file_reader *reader, const char *line, size_t size)
{
    const char *open = line, *close;
    char section[NAME_SIZE];

    while (size > 0 && isspace((unsigned char)line[size - 1]))
        size--;
    while (open < line + size && isspace((unsigned char)*open))
        open++;
    if (open == line + size || *open != '[')
        return true;
    close = memchr(open, ']', (size_t)(line + size - open));
    if (close == NULL || close != line + size - 1) {
        reader->loader->status = refuse_line(reader, "a section is a line with [name] and nothing else");
        return false;
    }
    snprintf(section, sizeof section, "%.*s", (int)(close - open - 1), open + 1);
    if (config_section_meaning(section) == NULL) {
        char bracketed[NAME_SIZE + 2], perhaps[GUESS_SIZE], reason[NAME_SIZE + GUESS_SIZE + 32];

        snprintf(bracketed, sizeof bracketed, "[%s]", section);
        guess(bracketed, name_section, perhaps);
        snprintf(reason, sizeof reason, "%s: unknown section%s", bracketed, perhaps);
        reader->loader->status = refuse_line(reader, reason);
        return false;
    }
    return true;
}

/* inih's fgets: the next line, whole or not at all (its own would hand out a long one in parts). */
static char *read_line(char *line_out, int line_size, void *stream)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct file_reader *reader = stream;
    const char *newline;
    size_t size;

    if (reader->at == reader->end || !status_is_ok(&reader->loader->status))
        return NULL;
    if (reader->line == 0 && (size_t)(reader->end - reader->at) > 3 && memcmp(reader->at, byte_order_mark, 3) == 0)
        reader->at += 3;
    newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    size = (size_t)((newline == NULL ? reader->end : newline + 1) - reader->at);
    reader->line++;
    if (size >= (size_t)line_size) {
        reader->loader->status = refuse_line(reader, "the line is longer than any setting");
        return NULL;
    }
    if (!check_section_line(reader, reader->at, size))
        return NULL;
    memcpy(line_out, reader->at, size);
    line_out[size] = '\0';
    reader->at += size;
    return line_out;
}

/* One "key = value" of the file; 0 tells inih to stop. */
static int on_file_value(void *user, const char *section, const char *key, const char *value)
{
    struct file_reader *reader = user;
    struct loader *loader = reader->loader;
    char name[2 * NAME_SIZE], perhaps[GUESS_SIZE], reason[2 * NAME_SIZE + GUESS_SIZE + 32];

    for (size_t i = 0; i < loader->row_count; i++) {
        if (strcmp(loader->rows[i].section, section) == 0 && strcmp(loader->rows[i].key, key) == 0) {
            loader->status = set_value(loader, i, (struct config_source){ORIGIN_FILE, reader->line}, value);
            return status_is_ok(&loader->status);
        }
    }
    snprintf(name, sizeof name, "%.50s.%.50s", section, key);
    guess(name, name_in_file, perhaps);
    if (section[0] == '\0')
        snprintf(reason, sizeof reason, "%.50s: no section above it", key);
    else
        snprintf(reason, sizeof reason, "%s: unknown setting%s", name, perhaps);
    loader->status = refuse_line(reader, reason);
    return 0;
}

static struct status parse_file(struct loader *loader, const struct text *content)
{
    struct file_reader reader = {.loader = loader, .at = content->bytes, .end = content->bytes + content->size};
    int error;

    /* Debian's inih takes these at run time.  A line in our own memory, never cut; no joining of indented lines to the
     * one before; no comments behind a value, where a ';' may be meant. */
    ini_use_stack = false;
    ini_initial_alloc = ini_max_line = LINE_SIZE_MAX;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    ini_stop_on_first_error = true;
    error = ini_parse_stream(read_line, &reader, on_file_value, &reader);
    if (!status_is_ok(&loader->status))
        return loader->status;
    if (error < 0)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to read %s", show_file(loader->file));
    return error == 0 ? status_ok() : refuse_line(&reader, "neither [section] nor key = value");
}

/* The whole file, at most FILE_SIZE_MAX bytes. */
static struct status slurp_file(const char *file, struct text *content)
{
    FILE *stream = fopen(file, "re");
    char block[4096];
    size_t size = 0;
    bool failed;

    if (stream == NULL)
        return status_make(STATUS_INVALID_ARGUMENT, "%s: %s", show_file(file), strerror(errno));
    errno = 0;
    while (content->size <= FILE_SIZE_MAX && (size = fread(block, 1, sizeof block, stream)) > 0)
        text_add(content, block, size);
    failed = ferror(stream) != 0;
    fclose(stream);
    if (failed)
        return status_make(STATUS_INVALID_ARGUMENT, "%s: %s", show_file(file), strerror(errno));
    if (content->failed)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory to read %s", show_file(file));
    if (content->size > FILE_SIZE_MAX)
        return status_make(STATUS_INVALID_ARGUMENT, "%s: more than %d bytes", show_file(file), FILE_SIZE_MAX);
    return status_ok();
}

/* Bytes that cannot be text stop the start before inih meets them: it ends a line at a NUL. */
static struct status check_content(const struct loader *loader, const struct text *content)
{
    size_t valid = utf8_clip(content->bytes, content->size);
    const char *nul = memchr(content->bytes, '\0', valid);
    const char *fault = nul != NULL ? nul : content->bytes + valid;
    struct file_reader reader = {.loader = (struct loader *)loader, .line = 1};

    if (nul == NULL && valid == content->size)
        return status_ok();
    for (const char *c = content->bytes; c < fault; c++)
        reader.line += *c == '\n';
    return refuse_line(&reader, nul != NULL ? "a NUL byte" : "not UTF-8");
}

static struct status read_file(struct loader *loader)
{
    struct text content = TEXT_EMPTY;
    struct status status;

    if (loader->file == NULL)
        return status_ok();
    status = slurp_file(loader->file, &content);
    if (status_is_ok(&status) && content.size > 0)
        status = check_content(loader, &content);
    if (status_is_ok(&status) && content.size > 0)
        status = parse_file(loader, &content);
    text_fini(&content);
    return status;
}

/* --- the environment ------------------------------------------------------------------------------------------- */

/* Whether a variable's name is meant for us: PROBED_<SECTION>_…; PROBED_CONNECT, for one, is the client's. */
static bool is_ours(const struct loader *loader, const char *variable)
{
    for (size_t i = 0; i < loader->row_count; i++) {
        char name[NAME_SIZE];

        name_variable(&loader->rows[i], name);
        if (strncmp(variable, name, strlen("PROBED_") + strlen(loader->rows[i].section) + 1) == 0)
            return true;
    }
    return false;
}

static struct status refuse_variable(const char *variable, size_t name_size)
{
    char name[NAME_SIZE + 16], perhaps[GUESS_SIZE];

    snprintf(name, sizeof name, "%.*s", (int)(name_size < sizeof name ? name_size : sizeof name - 1), variable);
    guess(name, name_variable, perhaps);
    return status_make(STATUS_INVALID_ARGUMENT, "%s: unknown setting%s", name, perhaps);
}

static struct status read_variable(struct loader *loader, const char *variable)
{
    const char *equals = strchr(variable, '=');
    size_t name_size = equals == NULL ? strlen(variable) : (size_t)(equals - variable);

    for (size_t i = 0; i < loader->row_count && equals != NULL; i++) {
        char name[NAME_SIZE];

        name_variable(&loader->rows[i], name);
        if (strlen(name) == name_size && strncmp(variable, name, name_size) == 0)
            return set_value(loader, i, (struct config_source){.origin = ORIGIN_ENVIRONMENT}, equals + 1);
    }
    return is_ours(loader, variable) ? refuse_variable(variable, name_size) : status_ok();
}

static struct status read_environment(struct loader *loader)
{
    struct status status = status_ok();

    for (char **variable = environ; variable != NULL && *variable != NULL && status_is_ok(&status); variable++)
        status = read_variable(loader, *variable);
    return status;
}

/* --- words about a setting ------------------------------------------------------------------------------------- */

static void describe_range(const struct config_row *row, struct text *text)
{
    const char *unit = row->unit == NULL ? "" : row->unit, *gap = row->unit == NULL ? "" : " ";

    if (row->choices != NULL) {
        text_add_string(text, "; one of");
        for (size_t i = 0; row->choices[i] != NULL; i++)
            text_format(text, "%s %s", i == 0 ? "" : ",", row->choices[i]);
    } else if (row->type == CONFIG_NUMBER && row->max >= UINT32_MAX) {
        text_format(text, "; at least %" PRIu64 "%s%s", row->min, gap, unit);
    } else if (row->type == CONFIG_NUMBER) {
        text_format(text, "; %" PRIu64 " to %" PRIu64 "%s%s", row->min, row->max, gap, unit);
    } else if (row->type == CONFIG_YES_NO) {
        text_add_string(text, "; yes or no");
    } else if (row->type != CONFIG_COMMAND && config_type_is_list(row->type)) {
        text_add_string(text, "; may be repeated");
    }
}

static void describe_default(const struct config_row *row, struct text *text)
{
    if (row->type == CONFIG_URLS)
        text_format(text, "; default ipc://$XDG_RUNTIME_DIR/probed/%s, as root ipc:///run/probed/%s", row->standard,
                    row->standard);
    else
        text_format(text, "; default %s", row->standard[0] == '\0' ? "none" : row->standard);
    if (row->fixed != NULL)
        text_format(text, "; a change takes a restart: %s", row->fixed);
}

static void describe_row(const struct config_row *row, struct text *text)
{
    text_add_string(text, row->meaning);
    describe_range(row, text);
    describe_default(row, text);
}

/* --- the flags ------------------------------------------------------------------------------------------------- */

/* What argp needs for as long as it runs. */
struct flag_table {
    struct argp_option *options;
    char (*names)[NAME_SIZE];     /* of each row's flag */
    char (*arguments)[NAME_SIZE]; /* what its value is called in --help */
};

static void flag_table_fini(struct flag_table *table)
{
    free(table->options);
    free(table->names);
    free(table->arguments);
}

static void name_argument(const struct config_row *row, char name_out[NAME_SIZE])
{
    static const char *const names[] = {
        [CONFIG_YES_NO] = "yes|no",        [CONFIG_CPU] = "auto|any|CPU",
        [CONFIG_VARIABLE] = "NAME",        [CONFIG_USER] = "USER",
        [CONFIG_COMMAND] = "COMMAND",      [CONFIG_URLS] = "URL",
        [CONFIG_PATHS] = "PATH",           [CONFIG_VARIABLES] = "NAME",
        [CONFIG_PORTS] = "PORT",           [CONFIG_UIDS] = "USER",
        [CONFIG_LOOPBACKS] = "ADDRESS",    [CONFIG_FILE] = "FILE",
        [CONFIG_ROLE_PATHS] = "ROLE=PATH", [CONFIG_ROLE_USERS] = "ROLE=USER",
    };
    size_t size = 0;

    if (row->choices != NULL) {
        for (size_t i = 0; row->choices[i] != NULL && size < NAME_SIZE; i++)
            size += (size_t)snprintf(name_out + size, NAME_SIZE - size, "%s%s", i == 0 ? "" : "|", row->choices[i]);
    } else if (row->type == CONFIG_NUMBER) {
        snprintf(name_out, NAME_SIZE, "%s", row->unit == NULL ? "COUNT" : row->unit);
        for (char *c = name_out; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
    } else {
        snprintf(name_out, NAME_SIZE, "%s", names[row->type]);
    }
}

/* The options in the order of the rows, a heading before each section, an empty one at the end. */
static struct status flag_table_init(struct flag_table *table_out, const struct config_row *rows, size_t row_count)
{
    static const struct argp_option others[] = {
        {"config", KEY_CONFIG, "FILE", 0, "read this file of settings", 1},
        {"check-config", KEY_CHECK, NULL, 0, "only check the settings", 1},
        {"print-config", KEY_PRINT, NULL, 0, "print every setting as a file of settings", 1},
        {"help", KEY_HELP, NULL, 0, "print this text", 1},
        {"version", KEY_VERSION, NULL, 0, "print the version", 1},
    };
    struct flag_table table = {
        .options = calloc(sizeof others / sizeof others[0] + 2 * row_count + 1, sizeof *table.options),
        .names = calloc(row_count, sizeof *table.names),
        .arguments = calloc(row_count, sizeof *table.arguments),
    };
    struct argp_option *option = table.options;
    int group = 1;

    if (table.options == NULL || table.names == NULL || table.arguments == NULL) {
        flag_table_fini(&table);
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings");
    }
    memcpy(option, others, sizeof others);
    option += sizeof others / sizeof others[0];
    for (size_t i = 0; i < row_count; i++) {
        if (i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0)
            *option++ = (struct argp_option){.doc = config_section_meaning(rows[i].section), .group = ++group};
        name_flag(&rows[i], table.names[i]);
        name_argument(&rows[i], table.arguments[i]);
        *option++ = (struct argp_option){.name = table.names[i] + 2,
                                         .key = KEY_ROWS + (int)i,
                                         .arg = table.arguments[i],
                                         .doc = rows[i].meaning,
                                         .group = group};
    }
    *table_out = table;
    return status_ok();
}

/* Adds range and default to a setting's line of --help. */
static char *filter_help(int key, const char *text, void *input)
{
    size_t row_count, index = (size_t)(key - KEY_ROWS);
    const struct config_row *rows = config_rows(&row_count);
    struct text line = TEXT_EMPTY;

    (void)input;
    if (key < KEY_ROWS || index >= row_count)
        return (char *)text;
    describe_row(&rows[index], &line);
    if (line.failed) {
        text_fini(&line);
        return (char *)text;
    }
    return line.bytes; /* given: argp frees it */
}

/* argp's own layout puts long flags and their meaning on top of each other; the reader's ARGP_HELP_FMT wins. */
static void print_help(const struct loader *loader, const struct argp *argp)
{
    bool theirs = getenv("ARGP_HELP_FMT") != NULL;

    if (!theirs)
        setenv("ARGP_HELP_FMT", "long-opt-col=2,opt-doc-col=6,header-col=0,rmargin=100", 1);
    argp_help(argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_DOC | ARGP_HELP_LONG, (char *)loader->program);
    if (!theirs)
        unsetenv("ARGP_HELP_FMT");
}

/* getopt has gone one past what it could not use. */
static struct status refuse_flag(const struct loader *loader, const char *argument)
{
    char name[NAME_SIZE], perhaps[GUESS_SIZE];

    for (size_t i = 0; i < loader->row_count; i++) {
        name_flag(&loader->rows[i], name);
        if (strcmp(argument, name) == 0)
            return status_make(STATUS_INVALID_ARGUMENT, "%s: needs a value", name);
    }
    if (strcmp(argument, "--config") == 0)
        return status_make(STATUS_INVALID_ARGUMENT, "--config: needs a file");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
    guess(name, name_flag, perhaps);
    return status_make(STATUS_INVALID_ARGUMENT, "%.*s: unknown flag%s; --help lists them",
                       (int)utf8_clip(argument, strnlen(argument, PATH_SHOWN_SIZE)), argument, perhaps);
}

/* argp's callback: keeps what was said, decides nothing but when to stop. */
static error_t on_flag(int key, char *argument, struct argp_state *state)
{
    struct loader *loader = state->input;

    switch (key) {
    case KEY_CHECK:
        loader->mode = CONFIG_CHECK;
        return 0;
    case KEY_PRINT:
        loader->mode = CONFIG_PRINT;
        return 0;
    case KEY_CONFIG:
        loader->file = argument;
        return 0;
    case KEY_HELP:
        print_help(loader, state->root_argp);
        loader->mode = CONFIG_EXIT;
        return ECANCELED;
    case KEY_VERSION:
        printf("%s %s\n", loader->program, PROBED_VERSION);
        loader->mode = CONFIG_EXIT;
        return ECANCELED;
    case ARGP_KEY_ARG:
        loader->status = status_make(STATUS_INVALID_ARGUMENT, "%.*s: not a flag; --help lists them",
                                     (int)utf8_clip(argument, strnlen(argument, PATH_SHOWN_SIZE)), argument);
        return ECANCELED;
    case ARGP_KEY_ERROR:
        if (status_is_ok(&loader->status) && loader->mode != CONFIG_EXIT)
            loader->status = refuse_flag(loader, state->argv[state->next - 1]);
        return 0;
    default:
        if (key < KEY_ROWS || (size_t)(key - KEY_ROWS) >= loader->row_count)
            return ARGP_ERR_UNKNOWN;
        loader->flags[loader->flag_count++] = (struct flag){(size_t)(key - KEY_ROWS), argument};
        return 0;
    }
}

static struct status parse_flags(struct loader *loader, int argc, char **argv)
{
    static const char doc[] =
        "probed tells how much of AI accounts is used up, asked once for everyone who wants to know; probed-custodian, "
        "which it starts, keeps its workers.  These are the settings of both: a flag beats the environment, that beats "
        "the file, that beats the default.\v--pool-workers-max 8 on the command line, PROBED_POOL_WORKERS_MAX=8 in the "
        "environment, and \"workers_max = 8\" below \"[pool]\" in the file say the same.  A list "
        "is words, split and quoted as in a shell; given again in one place it grows, given in "
        "a stronger place it replaces.";
    struct flag_table table = {0};
    struct status status = flag_table_init(&table, loader->rows, loader->row_count);
    struct argp argp = {.parser = on_flag, .doc = doc, .help_filter = filter_help};
    error_t error;

    if (!status_is_ok(&status))
        return status;
    argp.options = table.options;
    error = argp_parse(&argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP | ARGP_NO_EXIT, NULL, loader);
    flag_table_fini(&table);
    if (error == ENOMEM)
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings");
    return loader->status;
}

static struct status apply_flags(struct loader *loader)
{
    struct status status = status_ok();

    for (size_t i = 0; i < loader->flag_count && status_is_ok(&status); i++)
        status = set_value(loader, loader->flags[i].row_index, (struct config_source){.origin = ORIGIN_FLAG},
                           loader->flags[i].text);
    return status;
}

/* --- the whole ------------------------------------------------------------------------------------------------- */

/* Whether root started us, as the first load of this process found: the defaults stay root's when the daemon has become
 * somebody else (server.user) and reads its configuration again. */
static bool is_run_by_root(void)
{
    static int found = -1;

    if (found < 0)
        found = geteuid() == 0;
    return found;
}

/* Gives a socket list without a word its default, which depends on who runs us. */
static struct status settle_sockets(struct loader *loader, size_t row_index)
{
    const struct config_row *row = &loader->rows[row_index];
    struct config_source *source = &loader->config.sources[row_index];
    const char *directory = is_run_by_root() ? "/run" : getenv("XDG_RUNTIME_DIR");
    struct text url = TEXT_EMPTY;
    struct status status;

    if (config_value_word_count(row, &loader->config) > 0)
        return status_ok();
    if (source->origin != ORIGIN_NONE) {
        status = status_make(STATUS_INVALID_ARGUMENT, "needs at least one URL");
        return place_refusal(loader, row, *source, &status);
    }
    source->origin = ORIGIN_DEFAULT;
    if (directory == NULL || directory[0] == '\0')
        return status_make(STATUS_INVALID_ARGUMENT,
                           "server.%s: no default without XDG_RUNTIME_DIR; set that, or --server-%s "
                           "ipc:///absolute/path/%s",
                           row->key, row->key, row->standard);
    text_format(&url, "ipc://%s/probed/%s", directory, row->standard);
    status = url.failed ? status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings")
                        : config_value_add_word(row, &loader->config, text_string(&url));
    text_fini(&url);
    return status_is_ok(&status) ? status : place_refusal(loader, row, *source, &status);
}

static struct status check_sockets(const struct config *config)
{
    const struct config_words *listen = &config->server.listen, *publish = &config->server.publish;

    for (size_t i = 0; i < listen->count; i++) {
        for (size_t j = 0; j < publish->count; j++) {
            if (strcmp(listen->words[i], publish->words[j]) == 0)
                return status_make(STATUS_INVALID_ARGUMENT, "server.publish: %s is in server.listen as well",
                                   publish->words[j]);
        }
    }
    return status_ok();
}

/* No command: the worker that lies beside this program. */
static struct status settle_command(struct loader *loader, size_t row_index, const char *libexec_dir)
{
    const struct config_row *row = &loader->rows[row_index];
    struct config *config = &loader->config;
    struct text path = TEXT_EMPTY;
    struct status status;

    config->worker.built_in = config->worker.command.count == 0;
    if (!config->worker.built_in)
        return status_ok();
    text_format(&path, "%s/probe-worker", libexec_dir);
    status = path.failed ? status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings")
                         : config_value_add_word(row, config, text_string(&path));
    text_fini(&path);
    if (status_is_ok(&status))
        status = config_value_add_word(row, config, "--foreign-credentials");
    if (status_is_ok(&status))
        status = config_value_add_word(row, config, config->worker.foreign_credentials ? "yes" : "no");
    return status;
}

/* 0, or why this file is no program. */
static int program_error(const char *path)
{
    struct stat about;

    if (stat(path, &about) != 0)
        return errno;
    if (S_ISDIR(about.st_mode))
        return EISDIR;
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* As the custodian will look for it: a bare name along PATH, absolute folders only.  The errno that tells most. */
static int search_error(const char *name)
{
    const char *directory = getenv("PATH");
    int result = ENOENT;

    while (directory != NULL && directory[0] != '\0') {
        size_t size = strcspn(directory, ":");
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%.*s/%s", (int)size, directory, name);
        int error = directory[0] == '/' && length > 0 && (size_t)length < sizeof path ? program_error(path) : ENOENT;

        if (error == 0)
            return 0;
        if (error != ENOENT && error != ENOTDIR)
            result = error;
        directory += size + (directory[size] == ':' ? 1 : 0);
    }
    return result;
}

/* For --check-config: that there is such a program, and that it may be run. */
static struct status check_command(struct loader *loader, size_t row_index)
{
    const char *program = loader->config.worker.command.words[0];
    int error = strchr(program, '/') == NULL ? search_error(program) : program_error(program);
    struct status status;

    if (error == 0)
        return status_ok();
    status = status_make(STATUS_INVALID_ARGUMENT, "%.*s: %s",
                         (int)utf8_clip(program, strnlen(program, PATH_SHOWN_SIZE)), program, strerror(error));
    return place_refusal(loader, &loader->rows[row_index], loader->config.sources[row_index], &status);
}

/* What can be said only when every source has spoken. */
static struct status settle(struct loader *loader, const char *libexec_dir)
{
    struct status status = status_ok();

    for (size_t i = 0; i < loader->row_count && status_is_ok(&status); i++) {
        if (loader->rows[i].type == CONFIG_URLS)
            status = settle_sockets(loader, i);
        else if (loader->rows[i].type == CONFIG_COMMAND)
            status = settle_command(loader, i, libexec_dir);
        if (status_is_ok(&status) && loader->mode == CONFIG_CHECK && loader->rows[i].type == CONFIG_COMMAND)
            status = check_command(loader, i);
    }
    return status_is_ok(&status) ? check_sockets(&loader->config) : status;
}

static struct status load_all(struct loader *loader, int argc, char **argv, const char *libexec_dir)
{
    struct status status = parse_flags(loader, argc, argv);

    if (!status_is_ok(&status) || loader->mode == CONFIG_EXIT)
        return status;
    status = set_defaults(loader);
    if (status_is_ok(&status))
        status = read_file(loader);
    if (status_is_ok(&status))
        status = read_environment(loader);
    if (status_is_ok(&status))
        status = apply_flags(loader);
    if (status_is_ok(&status))
        status = settle(loader, libexec_dir);
    if (status_is_ok(&status) && loader->file != NULL) {
        loader->config.file = strdup(loader->file);
        if (loader->config.file == NULL)
            status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings");
    }
    return status;
}

struct status config_load(const char *program, int argc, char **argv, const char *libexec_dir,
                          struct config *config_out, enum config_mode *mode_out)
{
    struct loader loader = {.program = program, .mode = CONFIG_RUN, .status = status_ok()};
    struct status status;

    loader.rows = config_rows(&loader.row_count);
    loader.config.sources = calloc(loader.row_count, sizeof *loader.config.sources);
    loader.flags = calloc((size_t)argc + 1, sizeof *loader.flags);
    if (loader.config.sources == NULL || loader.flags == NULL)
        status = status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings");
    else
        status = load_all(&loader, argc, argv, libexec_dir);
    free(loader.flags);
    if (!status_is_ok(&status)) {
        config_fini(&loader.config);
        return status;
    }
    *config_out = loader.config;
    *mode_out = loader.mode;
    return status;
}

void config_fini(struct config *config)
{
    size_t row_count;
    const struct config_row *rows = config_rows(&row_count);

    for (size_t i = 0; i < row_count; i++)
        config_value_clear(&rows[i], config);
    free(config->sources);
    free(config->file);
    *config = (struct config){0};
}

static void print_source(const struct config *config, const struct config_row *row, struct config_source source,
                         FILE *out)
{
    char name[NAME_SIZE];

    switch (source.origin) {
    case ORIGIN_FILE:
        fprintf(out, "set by %s:%d", show_file(config->file), source.line);
        break;
    case ORIGIN_ENVIRONMENT:
        name_variable(row, name);
        fprintf(out, "set by %s", name);
        break;
    case ORIGIN_FLAG:
        name_flag(row, name);
        fprintf(out, "set by %s", name);
        break;
    default:
        fprintf(out, "not set");
    }
}

void config_print(const struct config *config, FILE *out)
{
    size_t row_count;
    const struct config_row *rows = config_rows(&row_count);
    struct text line = TEXT_EMPTY;

    fprintf(out, "# The settings of probed %s.\n", PROBED_VERSION);
    for (size_t i = 0; i < row_count; i++) {
        if (i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0)
            fprintf(out, "\n# %s\n[%s]\n", config_section_meaning(rows[i].section), rows[i].section);
        text_reset(&line);
        describe_row(&rows[i], &line);
        fprintf(out, "# %s; ", text_string(&line));
        print_source(config, &rows[i], config->sources[i], out);
        fputc('\n', out);
        if (rows[i].type == CONFIG_COMMAND && config->worker.built_in)
            fprintf(out, "%s =\n", rows[i].key);
        else
            config_value_print(&rows[i], config, out);
    }
    text_fini(&line);
}

/* --- another configuration ------------------------------------------------------------------------------------- */

/* The built-in worker's words follow from other settings. */
static bool is_derived(const struct config_row *row, const struct config *before, const struct config *after)
{
    return row->type == CONFIG_COMMAND && before->worker.built_in && after->worker.built_in;
}

static bool differs(const struct config_row *row, const struct config *before, const struct config *after,
                    struct text *before_out, struct text *after_out)
{
    text_reset(before_out);
    text_reset(after_out);
    if (is_derived(row, before, after))
        return false;
    config_value_show(row, before, before_out);
    config_value_show(row, after, after_out);
    return before_out->failed || after_out->failed || strcmp(text_string(before_out), text_string(after_out)) != 0;
}

size_t config_compare(const struct config *before, const struct config *after, config_changed *changed, void *context)
{
    size_t row_count, count = 0;
    const struct config_row *rows = config_rows(&row_count);
    struct text old = TEXT_EMPTY, new = TEXT_EMPTY;

    for (size_t i = 0; i < row_count; i++) {
        bool shown = rows[i].type != CONFIG_COMMAND;
        char setting[NAME_SIZE];

        if (!differs(&rows[i], before, after, &old, &new))
            continue;
        snprintf(setting, sizeof setting, "%s.%s", rows[i].section, rows[i].key);
        changed(context, &(struct config_change){.setting = setting,
                                                 .before = shown ? text_string(&old) : "(not shown)",
                                                 .after = shown ? text_string(&new) : "(not shown)",
                                                 .fixed = rows[i].fixed});
        count++;
    }
    text_fini(&old);
    text_fini(&new);
    return count;
}

void config_take_live(struct config *config, struct config *fresh)
{
    size_t row_count;
    const struct config_row *rows = config_rows(&row_count);

    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].fixed == NULL)
            config_value_swap(&rows[i], config, fresh);
    }
    config->worker.built_in = fresh->worker.built_in;
}
