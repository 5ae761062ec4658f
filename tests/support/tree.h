/* A directory's whole state as a text: names, modes, times of change, contents.  Equal texts: nothing was touched. */
#ifndef TESTS_SUPPORT_TREE_H
#define TESTS_SUPPORT_TREE_H

#include "server/base/text.h"

/* Adds to `state`.  Symlinks are told, not followed. */
void tree_describe(const char *path, struct text *state);

#endif
