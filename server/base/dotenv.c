/* Reading `.env` text, see dotenv.h. */
#include "server/base/dotenv.h"

#include "proto/utf8.h"

#include <string.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* A part of the text. */
struct span {
    const char *first, *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
    while (span.first < span.end && is_blank(*span.first))
        span.first++;
    while (span.first < span.end && is_blank(span.end[-1]))
        span.end--;
    return span;
}

static struct span unquote(struct span span)
{
    if (span.end - span.first >= 2 && (*span.first == '"' || *span.first == '\'') && *span.first == span.end[-1]) {
        span.first++;
        span.end--;
    }
    return span;
}

/* Spelled out in ASCII: isalpha() would ask the locale. */
static bool is_name(struct span span)
{
    for (const char *c = span.first; c < span.end; c++) {
        bool letter = (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || *c == '_';

        if (!letter && (c == span.first || *c < '0' || *c > '9'))
            return false;
    }
    return span.first < span.end;
}

static bool parse_line(struct span line, struct dotenv_pair *pair_out)
{
    const char *split;
    struct span name, value;

    line = trim(line);
    if (line.first == line.end || *line.first == '#')
        return false;
    split = memchr(line.first, '=', (size_t)(line.end - line.first));
    if (split == NULL || memchr(line.first, '\0', (size_t)(line.end - line.first)) != NULL)
        return false;
    name = trim((struct span){line.first, split});
    value = unquote(trim((struct span){split + 1, line.end}));
    if (!is_name(name))
        return false;
    *pair_out = (struct dotenv_pair){name.first, (size_t)(name.end - name.first), value.first,
                                     (size_t)(value.end - value.first)};
    return true;
}

bool dotenv_open(struct dotenv *dotenv, const char *text, size_t size)
{
    size_t mark_size = sizeof byte_order_mark - 1;

    *dotenv = (struct dotenv){text, text};
    if (size > DOTENV_SIZE_MAX || !utf8_valid(text, size))
        return false;
    if (size == 0)
        return true; /* `text` may be NULL then */
    dotenv->end = text + size;
    if (size >= mark_size && memcmp(text, byte_order_mark, mark_size) == 0)
        dotenv->at += mark_size;
    return true;
}

bool dotenv_next(struct dotenv *dotenv, struct dotenv_pair *pair_out)
{
    while (dotenv->at < dotenv->end) {
        struct span line = {dotenv->at, dotenv->at};

        while (line.end < dotenv->end && *line.end != '\n' && *line.end != '\r')
            line.end++;
        dotenv->at = line.end < dotenv->end ? line.end + 1 : line.end;
        if (parse_line(line, pair_out))
            return true;
    }
    return false;
}

bool dotenv_find(const char *text, size_t size, const char *name, struct dotenv_pair *pair_out)
{
    struct dotenv dotenv;
    struct dotenv_pair pair;
    size_t name_size = strlen(name);
    bool found = false;

    if (!dotenv_open(&dotenv, text, size))
        return false;
    while (dotenv_next(&dotenv, &pair)) {
        if (pair.name_size == name_size && memcmp(pair.name, name, name_size) == 0) {
            *pair_out = pair;
            found = true;
        }
    }
    return found;
}
