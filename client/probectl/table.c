/* Rows that line up. */
#include "client/probectl/table.h"

#include <stdarg.h>
#include <stdlib.h>

void table_init(struct table *table, const char *const *heads, size_t column_count)
{
    *table = (struct table){.heads = heads, .column_count = column_count};
}

static bool make_room(struct table *table)
{
    size_t capacity = table->cell_capacity == 0 ? 64 : 2 * table->cell_capacity;
    char **cells;

    if (table->cell_count < table->cell_capacity)
        return true;
    cells = realloc(table->cells, capacity * sizeof *cells);
    if (cells == NULL)
        return false;
    table->cells = cells;
    table->cell_capacity = capacity;
    return true;
}

void table_add(struct table *table, const char *format, ...)
{
    char *cell;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&cell, format, arguments) < 0)
        cell = NULL;
    va_end(arguments);
    if (cell == NULL || !make_room(table)) {
        table->failed = true;
        free(cell);
        return;
    }
    table->cells[table->cell_count++] = cell;
}

static bool is_number(const struct table *table, size_t column)
{
    return table->heads[column][0] == '>';
}

static const char *head_of(const struct table *table, size_t column)
{
    return table->heads[column] + is_number(table, column);
}

/* Without blanks at the end of the line. */
static void print_row(const struct table *table, const struct view *view, enum view_style style, const unsigned *widths,
                      char *const *cells)
{
    size_t count = table->column_count;

    while (cells != NULL && count > 0 && cells[count - 1][0] == '\0')
        count--;
    for (size_t i = 0; i < count; i++) {
        const char *text = cells != NULL ? cells[i] : head_of(table, i);
        bool last = i + 1 == count;

        if (i > 0)
            fputs("  ", view->out);
        view_padded(view, style, text, last && !is_number(table, i) ? 0 : widths[i], is_number(table, i));
    }
    fputc('\n', view->out);
}

bool table_print(const struct table *table, const struct view *view)
{
    unsigned widths[TABLE_COLUMN_COUNT_MAX] = {0};

    for (size_t i = 0; i < table->column_count; i++)
        widths[i] = view_columns(view, head_of(table, i));
    for (size_t i = 0; i < table->cell_count; i++) {
        unsigned columns = view_columns(view, table->cells[i]);

        if (columns > widths[i % table->column_count])
            widths[i % table->column_count] = columns;
    }
    print_row(table, view, VIEW_DIM, widths, NULL);
    for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count)
        print_row(table, view, VIEW_PLAIN, widths, &table->cells[i]);
    return !table->failed;
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
}
