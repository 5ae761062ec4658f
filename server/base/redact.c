/* Redaction, see redact.h: the line is taken word by word; a word is what a secret can be made of. */
#include "server/base/redact.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum {
    KNOWN_SIZE_MIN = 8,   /* with a known beginning */
    RANDOM_SIZE_MIN = 16, /* with digits */
    LETTERS_SIZE_MIN = 40 /* without */
};

static const char REPLACEMENT[] = "[redacted]";
static const char WORD_BYTES[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+=~";
static const char BLANKS[] = " \t";

static const char *const naming[] = {"key",        "apikey",        "token",  "secret",  "password", "passwd",
                                     "credential", "authorization", "cookie", "session", "auth",     "pwd"};
static const char *const presenting[] = {"bearer", "basic"};
static const char *const beginnings[] = {"sk-",  "sk_",  "pk-",   "pk_",   "rk_",   "ghp_", "gho_",   "ghs_",
                                         "ghu_", "ghr_", "xoxb-", "xoxp-", "xoxa-", "AIza", "glpat-", "eyJ"};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct output {
    char *bytes;
    size_t size, size_max;
};

static void put(struct output *output, const char *bytes, size_t size)
{
    size_t room = output->size_max - output->size;

    if (size > room)
        size = room;
    memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
}

static bool looks_like_a_secret(const char *word, size_t size)
{
    bool digits = false;

    for (size_t i = 0; i < COUNT(beginnings); i++) {
        if (size >= KNOWN_SIZE_MIN && strncmp(word, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    for (size_t i = 0; i < size; i++)
        digits = digits || (word[i] >= '0' && word[i] <= '9');
    return size >= (size_t)(digits ? RANDOM_SIZE_MIN : LETTERS_SIZE_MIN);
}

/* The word, unless it looks like a secret itself. */
static void put_word(struct output *output, const char *word, size_t size)
{
    if (looks_like_a_secret(word, size))
        put(output, REPLACEMENT, sizeof REPLACEMENT - 1);
    else
        put(output, word, size);
}

/* Whether the word ends in this name, which then stands alone or behind what joins names. */
static bool ends_in(const char *word, size_t size, const char *name)
{
    size_t name_size = strlen(name);

    if (size < name_size || strncasecmp(word + size - name_size, name, name_size) != 0)
        return false;
    return size == name_size || strchr("-_", word[size - name_size - 1]) != NULL ||
           (word[size - name_size] >= 'A' && word[size - name_size] <= 'Z'); /* apiKey */
}

/* Also its plural. */
static bool names_a_secret(const char *word, size_t size)
{
    if (size > 1 && (word[size - 1] == 's' || word[size - 1] == 'S'))
        size--;
    for (size_t i = 0; i < COUNT(naming); i++) {
        if (ends_in(word, size, naming[i]))
            return true;
    }
    return false;
}

static bool presents_a_secret(const char *word, size_t size)
{
    for (size_t i = 0; i < COUNT(presenting); i++) {
        if (strlen(presenting[i]) == size && strncasecmp(word, presenting[i], size) == 0)
            return true;
    }
    return false;
}

/* The size of what stands in quotes, with them; an escaped quote does not end it. */
static size_t quoted_size(const char *text)
{
    size_t size = 1;

    while (text[size] != '\0' && text[size] != text[0])
        size += text[size] == '\\' && text[size + 1] != '\0' ? 2 : 1;
    return text[size] == '\0' ? size : size + 1;
}

/* Where the value ends that begins here: at its closing quote, or else where a blank or a mark ends it. */
static size_t value_size(const char *value)
{
    if (value[0] == '"' || value[0] == '\'')
        return quoted_size(value);
    return strcspn(value, " \t,;&)}]\"'");
}

/* What stands between a name and its value: `=`, `: `, `": "`, and `\": \"` up to the quote; 0: no value follows. */
static size_t joint_size(const char *text)
{
    size_t size = strspn(text, "\"'\\");

    size += strspn(text + size, BLANKS);
    if (text[size] != '=' && text[size] != ':')
        return 0;
    size++;
    size += strspn(text + size, BLANKS);
    return size + strspn(text + size, "\\");
}

/* A name and its value in one word: `TOKEN=abc`.  Gives the size up to and with the '='; 0: it is none. */
static size_t named_inside(const char *word, size_t size)
{
    const char *joint = memchr(word, '=', size);

    return joint != NULL && names_a_secret(word, (size_t)(joint - word)) ? (size_t)(joint - word) + 1 : 0;
}

/* Copies what joins, and REPLACEMENT for the value; a value that presents one ("Bearer x") ends behind that.  With
 * `of_scheme` the value's first word may be the name of a scheme that we do not know, so the next goes with it. */
static const char *put_value(struct output *output, const char *at, size_t joint, bool of_scheme)
{
    const char *value = at + joint;
    size_t word_size = strspn(value, WORD_BYTES), size;

    put(output, at, joint);
    if (presents_a_secret(value, word_size) && value[word_size] == ' ') {
        put(output, value, word_size + 1);
        value += word_size + 1;
        of_scheme = false;
    }
    size = value_size(value);
    if (of_scheme && word_size > 0 && value[size] == ' ')
        size += 1 + value_size(value + size + 1);
    if (size > 0)
        put(output, REPLACEMENT, sizeof REPLACEMENT - 1);
    return value + size;
}

/* "//user:password@host": gives what lies between, up to the last '@' of the host's part; 0: there is none. */
static size_t user_info_size(const char *at)
{
    size_t size;

    if (strncmp(at, "//", 2) != 0)
        return 0;
    size = strcspn(at + 2, "/ \t\"'");
    while (size > 0 && at[2 + size] != '@')
        size--;
    return size;
}

/* A word and those joined to it by dots: the parts of a token belong together, however short one is. */
static size_t dotted_size(const char *at)
{
    size_t size = strspn(at, WORD_BYTES);

    while (at[size] == '.' && at[size + 1] != '\0' && strchr(WORD_BYTES, at[size + 1]) != NULL)
        size += 1 + strspn(at + size + 1, WORD_BYTES);
    return size;
}

/* The next word, or one byte that is part of none; gives what follows. */
static const char *take(struct output *output, const char *at)
{
    size_t size = strspn(at, WORD_BYTES), inside, joint, user_info;

    if (size == 0) {
        user_info = user_info_size(at);
        put(output, at, user_info > 0 ? 2 : 1);
        if (user_info > 0)
            put(output, REPLACEMENT, sizeof REPLACEMENT - 1);
        return at + (user_info > 0 ? 2 + user_info : 1);
    }
    inside = named_inside(at, size);
    if (inside > 0) {
        put_word(output, at, inside - 1);
        return put_value(output, at + inside - 1, 1, false);
    }
    joint = joint_size(at + size);
    if (joint > 0 && names_a_secret(at, size)) {
        put_word(output, at, size);
        return put_value(output, at + size, joint, ends_in(at, size, "authorization"));
    }
    if (presents_a_secret(at, size) && at[size] == ' ')
        return put_value(output, at, size + 1, false);
    if (looks_like_a_secret(at, size)) {
        put(output, REPLACEMENT, sizeof REPLACEMENT - 1);
        return at + dotted_size(at);
    }
    put(output, at, size);
    return at + size;
}

void redact_line(const char *line, char *out, size_t out_size)
{
    struct output output = {.bytes = out, .size_max = out_size - 1};

    while (*line != '\0' && output.size < output.size_max)
        line = take(&output, line);
    out[output.size] = '\0';
}
