/* Where what is known stands: the model, drawn on a canvas of whatever size.
 *
 * From the top: the daemon, its workers and calls, answers by origin; then the tabs of the lists, the list that is
 * chosen, and a line of keys.  In a low window the figures shrink to fewer lines, in a narrow one columns go, the least
 * important first; below LAYOUT_COLUMNS_MIN by LAYOUT_ROWS_MIN it says so and nothing else.
 *
 * Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TOP_LAYOUT_H
#define CLIENT_PROBECTL_TOP_LAYOUT_H

#include "client/probectl/top/canvas.h"
#include "client/probectl/top/model.h"

enum { LAYOUT_COLUMNS_MIN = 40, LAYOUT_ROWS_MIN = 8 };

/* Draws on a canvas that was begun; tells the model how many rows of its list have room. */
void layout_draw(struct canvas *canvas, struct model *model);

#endif
