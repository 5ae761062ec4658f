/* Rows that line up.
 *
 * Ownership: the struct is the caller's, cells are copied: table_fini() it.  Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TABLE_H
#define CLIENT_PROBECTL_TABLE_H

#include "client/probectl/view.h"

enum { TABLE_COLUMN_COUNT_MAX = 12 };

struct table {
    size_t column_count;
    const char *const *heads; /* lent; one that begins with '>' heads numbers, which line up on the right */
    char **cells;             /* owned */
    size_t cell_count, cell_capacity;
    bool failed; /* memory was short once; table_print says so */
};

void table_init(struct table *table, const char *const *heads, size_t column_count);

/* The next cell, row by row. */
void table_add(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);

/* Whether all of it was printed. */
MUST_USE bool table_print(const struct table *table, const struct view *view);
void table_fini(struct table *table);

#endif
