#include "server/worker/document.h"

#include <stdlib.h>
#include <string.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* jansson's own bound is 2,048 levels, deep enough to cost time and stack.  Brackets inside strings do not count. */
static bool document_is_shallow(const char *text, size_t size)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '[' || text[i] == '{') && ++depth > DOCUMENT_DEPTH_MAX)
            return false;
        else if (!in_string && (text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
    }
    return true;
}

json_t *document_parse(const char *text, size_t size)
{
    size_t mark_size = sizeof byte_order_mark - 1;
    json_t *document;

    if (size >= mark_size && memcmp(text, byte_order_mark, mark_size) == 0) {
        text += mark_size;
        size -= mark_size;
    }
    if (size == 0 || !document_is_shallow(text, size))
        return NULL;
    document = json_loadb(text, size, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    if (json_is_object(document))
        return document;
    json_decref(document);
    return NULL;
}

const json_t *document_at(const json_t *object, const char *path)
{
    while (object != NULL && *path != '\0') {
        size_t size = strcspn(path, ".");
        char name[64];

        if (size >= sizeof name)
            return NULL;
        memcpy(name, path, size);
        name[size] = '\0';
        object = json_object_get(object, name);
        path += size + (path[size] == '.' ? 1 : 0);
    }
    return object;
}

const char *document_string(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    size_t size = json_string_length(value);

    if (size == 0 || strlen(json_string_value(value)) != size)
        return NULL;
    return json_string_value(value);
}

static int document_compare(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

const char **document_names(const json_t *object, size_t *count_out)
{
    size_t count = json_object_size(object), at = 0;
    const char **names = count == 0 ? NULL : calloc(count, sizeof *names);
    const char *name;
    json_t *value;

    *count_out = count;
    if (names == NULL)
        return NULL;
    json_object_foreach((json_t *)(size_t)object, name, value) names[at++] = name;
    qsort(names, count, sizeof *names, document_compare);
    return names;
}

bool document_is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

bool document_is_false(const json_t *object, const char *name)
{
    return json_is_false(json_object_get(object, name));
}
