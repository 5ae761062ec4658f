/* The terminal: a canvas shown, keys and signals read.  Nothing but this file knows of curses.
 *
 * While it is open the terminal is ours: SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP and SIGCONT become bytes that
 * screen_read_signal() gives out, on whichever thread they arrive.  screen_close() gives all of it back.
 *
 * Threads: one.  There is one screen. */
#ifndef CLIENT_PROBECTL_TOP_SCREEN_H
#define CLIENT_PROBECTL_TOP_SCREEN_H

#include "client/probectl/top/canvas.h"

#include <stdbool.h>

/* `colours`: as view_init() found.  False, and says on standard error why and what would help: the terminal can't do it. */
MUST_USE bool screen_open(bool colours);
void screen_close(void);

/* How large it is now. */
void screen_size(unsigned *row_count_out, unsigned *column_count_out);

void screen_show(const struct canvas *canvas);

/* Forgets what it believes to be there: the next picture is drawn whole, at the size that the terminal has now. */
void screen_renew(void);

/* The next key, as model.h has them; false: none so far. */
MUST_USE bool screen_read_key(int *key_out);

/* For poll(): keys, and signals. */
int screen_key_fd(void);
int screen_signal_fd(void);

/* The next signal; 0: none so far. */
int screen_read_signal(void);

/* Stops the process as Ctrl-Z does, with the terminal given back meanwhile; returns when it goes on. */
void screen_suspend(void);

#endif
