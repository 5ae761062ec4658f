/* Cells of a terminal. */
#include "client/probectl/top/canvas.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct canvas_cell blank = {.bytes = " "};

static unsigned within_side(unsigned count)
{
    return count > CANVAS_SIDE_MAX ? CANVAS_SIDE_MAX : count;
}

bool canvas_begin(struct canvas *canvas, unsigned row_count, unsigned column_count)
{
    size_t count = (size_t)within_side(row_count) * within_side(column_count);
    struct canvas_cell *cells = realloc(canvas->cells, (count + 1) * sizeof *cells);

    if (cells == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        cells[i] = blank;
    canvas->cells = cells;
    canvas->row_count = within_side(row_count);
    canvas->column_count = within_side(column_count);
    canvas->cursor = false;
    return true;
}

void canvas_fini(struct canvas *canvas)
{
    free(canvas->cells);
    canvas->cells = NULL;
    canvas->row_count = canvas->column_count = 0;
}

/* ---- putting ---- */

static const char *next_shown(const struct canvas *canvas, const char **text, size_t *size_out, unsigned *columns_out)
{
    return view_next_shown(&(struct view){.utf8 = canvas->utf8}, text, size_out, columns_out);
}

unsigned canvas_width(const struct canvas *canvas, const char *text)
{
    return view_columns(&(struct view){.utf8 = canvas->utf8}, text);
}

static struct canvas_cell *cell_at(struct canvas *canvas, unsigned row, unsigned column)
{
    return &canvas->cells[(size_t)row * canvas->column_count + column];
}

/* A mark of no columns joins the character before it; one too many for its cell is left out. */
static void join(struct canvas_cell *cell, const char *bytes, size_t size)
{
    size_t before = strlen(cell->bytes);

    if (before + size < CANVAS_CELL_SIZE) {
        memcpy(cell->bytes + before, bytes, size);
        cell->bytes[before + size] = '\0';
    }
}

/* One line of text without a cut, to `end` at most; where it ended. */
static unsigned put_line(struct canvas *canvas, unsigned row, unsigned column, unsigned end, enum canvas_style style,
                         const char *text)
{
    unsigned begin = column, last = column;

    while (*text != '\0') {
        unsigned columns;
        size_t size;
        const char *shown = next_shown(canvas, &text, &size, &columns);

        if (columns == 0 && column > begin)
            join(cell_at(canvas, row, last), shown, size);
        if (columns == 0)
            continue;
        if (column + columns > end)
            break;
        last = column;
        for (unsigned i = 0; i < columns; i++)
            *cell_at(canvas, row, column++) = (struct canvas_cell){.style = (unsigned char)style};
        memcpy(cell_at(canvas, row, last)->bytes, shown, size);
    }
    return column;
}

/* What is left of the text when its beginning is cut off until it has at most `width` columns. */
static const char *cut_begin(const struct canvas *canvas, const char *text, unsigned width)
{
    unsigned left = canvas_width(canvas, text);

    while (left > width) {
        unsigned columns;
        size_t size;

        next_shown(canvas, &text, &size, &columns);
        left -= columns;
    }
    return text;
}

unsigned canvas_put(struct canvas *canvas, unsigned row, unsigned column, unsigned width, enum canvas_style style,
                    enum canvas_cut cut, const char *text)
{
    const char *mark = canvas->utf8 ? "\xe2\x80\xa6" : cut == CANVAS_CUT_BEGIN ? "<" : ">";
    unsigned begin = column, end;

    if (row >= canvas->row_count || column >= canvas->column_count || width == 0)
        return 0;
    end = width < canvas->column_count - column ? column + width : canvas->column_count;
    if (canvas_width(canvas, text) <= end - column)
        return put_line(canvas, row, column, end, style, text) - begin;
    if (cut == CANVAS_CUT_BEGIN) {
        column = put_line(canvas, row, column, end, style, mark);
        return put_line(canvas, row, column, end, style, cut_begin(canvas, text, end - column)) - begin;
    }
    column = put_line(canvas, row, column, end - 1, style, text);
    return put_line(canvas, row, column, end, style, mark) - begin;
}

void canvas_style_row(struct canvas *canvas, unsigned row, enum canvas_style style)
{
    for (unsigned column = 0; row < canvas->row_count && column < canvas->column_count; column++)
        cell_at(canvas, row, column)->style = (unsigned char)style;
}

char *canvas_text(const struct canvas *canvas)
{
    size_t line_size = (size_t)canvas->column_count * CANVAS_CELL_SIZE + 1;
    char *text = malloc(canvas->row_count * line_size + 1), *at = text;

    for (unsigned row = 0; text != NULL && row < canvas->row_count; row++) {
        char *line = at;

        for (unsigned column = 0; column < canvas->column_count; column++)
            at = stpcpy(at, canvas->cells[(size_t)row * canvas->column_count + column].bytes);
        while (at > line && at[-1] == ' ')
            at--;
        *at++ = '\n';
    }
    if (text != NULL)
        *at = '\0';
    return text;
}

/* ---- the pen ---- */

enum { LINE_SIZE = 1024 }; /* what a pen formats is cut there: no line of ours is as long */

struct pen canvas_pen(struct canvas *canvas, unsigned row)
{
    return (struct pen){.canvas = canvas, .row = row, .end = canvas->column_count};
}

void pen_text(struct pen *pen, enum canvas_style style, const char *text)
{
    if (pen->column < pen->end)
        pen->column +=
            canvas_put(pen->canvas, pen->row, pen->column, pen->end - pen->column, style, CANVAS_CUT_END, text);
}

void pen_format(struct pen *pen, enum canvas_style style, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pen_text(pen, style, text);
}

bool pen_whole(struct pen *pen, enum canvas_style style, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (pen->column + canvas_width(pen->canvas, text) > pen->end)
        return false;
    pen_text(pen, style, text);
    return true;
}

void pen_right(struct pen *pen, enum canvas_style style, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    unsigned width;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    width = canvas_width(pen->canvas, text);
    if (width == 0 || pen->column + 2 + width > pen->end)
        return;
    canvas_put(pen->canvas, pen->row, pen->end - width, width, style, CANVAS_CUT_END, text);
    pen->end -= width + 2;
}
