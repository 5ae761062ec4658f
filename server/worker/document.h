/* JSON documents of strangers: providers' bodies, auth.json, other tools' files, JWT claims.
 *
 * Strict (RFC 8259, UTF-8, nothing behind the document, no NaN), bounded in depth before the parser sees it, and always
 * an object at the top.  Numbers are read as doubles, so that an integer too large for 64 bits is a number like any
 * other; of two members with one name the last counts.
 *
 * Threads: any. */
#ifndef SERVER_WORKER_DOCUMENT_H
#define SERVER_WORKER_DOCUMENT_H

#include "proto/compiler.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { DOCUMENT_DEPTH_MAX = 64 };

/* Given, json_decref() it; NULL when it is unreadable.  A byte order mark in front is passed over. */
MUST_USE json_t *document_parse(const char *text, size_t size);

/* The member at the end of a dotted path ("providers.openai-codex.tokens"); lent.  NULL when it, or an object on the
 * way, is not there.  An empty path is the object itself. */
const json_t *document_at(const json_t *object, const char *path);

/* A member that is a string without NUL and not empty; lent.  NULL otherwise. */
const char *document_string(const json_t *object, const char *name);

/* The names of an object's members in their own order, whatever order they were written in: it means nothing (RFC 8259).
 * Given, free() it; the names are lent.  NULL when there are none, or memory is short: `count_out` tells which. */
MUST_USE const char **document_names(const json_t *object, size_t *count_out);

/* Whether a member is the JSON literal true, or false; anything else is neither. */
bool document_is_true(const json_t *object, const char *name);
bool document_is_false(const json_t *object, const char *name);

#endif
