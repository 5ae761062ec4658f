/* The terminal, by ncurses with wide characters. */
#include "client/probectl/top/screen.h"

#include "client/probectl/top/model.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

enum { ESCAPE_DELAY_MS = 50, CTRL_L = 'L' & 0x1f, CTRL_U = 'U' & 0x1f };

static SCREEN *terminal;
static attr_t attributes[CANVAS_STYLE_COUNT];
static short pairs[CANVAS_STYLE_COUNT];

/* ---- signals ---- */

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT};
static int signal_pipe[2] = {-1, -1};

enum { CAUGHT_COUNT = sizeof caught / sizeof caught[0] };

/* A full pipe has enough of them already. */
static void note_signal(int number)
{
    unsigned char byte = (unsigned char)number;
    int kept = errno;
    ssize_t size = write(signal_pipe[1], &byte, 1);

    (void)size;
    errno = kept;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static bool catch_signals(void)
{
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    for (int i = 0; i < CAUGHT_COUNT; i++)
        handle(caught[i], note_signal); /* in place of those of curses, which may not do what they do on any thread */
    return true;
}

static void release_signals(void)
{
    for (int i = 0; i < CAUGHT_COUNT; i++)
        handle(caught[i], SIG_DFL);
    for (int i = 0; i < 2; i++) {
        close(signal_pipe[i]);
        signal_pipe[i] = -1;
    }
}

int screen_signal_fd(void)
{
    return signal_pipe[0];
}

int screen_read_signal(void)
{
    unsigned char number;

    return read(signal_pipe[0], &number, 1) == 1 ? number : 0;
}

/* ---- open and close ---- */

static void refuse(const char *why)
{
    const char *type = getenv("TERM");

    fprintf(stderr,
            "%s: cannot draw on this terminal (TERM=%s): %s; \"probectl status\", \"probectl homes\" and \"probectl "
            "workers\" print the same figures once\n",
            program_invocation_short_name, type != NULL ? type : "", why);
}

/* Whether it can place its cursor, without which there is no screen. */
static bool look_at_terminal(void)
{
    int error;
    bool places;

    if (setupterm(NULL, STDOUT_FILENO, &error) != OK) {
        refuse("its kind is unknown");
        return false;
    }
    places = cursor_address != NULL;
    del_curterm(cur_term);
    if (!places)
        refuse("it has no cursor that can be moved");
    return places;
}

static void set_style(enum canvas_style style, attr_t attribute, short pair, short colour, bool colours)
{
    attributes[style] = attribute;
    pairs[style] = colours ? pair : 0;
    if (colours)
        init_pair(pair, colour, -1);
}

/* Without colours what is bad is bold, and no figure is told by its colour alone. */
static void set_styles(bool colours)
{
    colours = colours && has_colors() && start_color() == OK && use_default_colors() == OK;
    attributes[CANVAS_BOLD] = A_BOLD;
    attributes[CANVAS_DIM] = A_DIM;
    attributes[CANVAS_HEAD] = A_BOLD;
    attributes[CANVAS_CHOSEN] = A_REVERSE;
    set_style(CANVAS_GOOD, A_NORMAL, 1, COLOR_GREEN, colours);
    set_style(CANVAS_WARN, colours ? A_NORMAL : A_BOLD, 2, COLOR_YELLOW, colours);
    set_style(CANVAS_BAD, colours ? A_NORMAL : A_BOLD, 3, COLOR_RED, colours);
    set_style(CANVAS_TREND, A_NORMAL, 4, COLOR_CYAN, colours);
}

bool screen_open(bool colours)
{
    if (!look_at_terminal())
        return false;
    terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL) {
        refuse("it could not be set up");
        return false;
    }
    if (!catch_signals()) {
        endwin();
        delscreen(terminal);
        fprintf(stderr, "%s: no pipe for signals: %s\n", program_invocation_short_name, strerror(errno));
        return false;
    }
    set_escdelay(ESCAPE_DELAY_MS);
    set_styles(colours);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    screen_renew();
    return true;
}

void screen_close(void)
{
    curs_set(1);
    endwin();
    delscreen(terminal);
    terminal = NULL;
    release_signals();
}

/* ---- showing ---- */

void screen_size(unsigned *row_count_out, unsigned *column_count_out)
{
    *row_count_out = (unsigned)(LINES > 0 ? LINES : 1);
    *column_count_out = (unsigned)(COLS > 0 ? COLS : 1);
}

void screen_renew(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
    clearok(curscr, TRUE);
}

/* The cells from `column` on that have one style; behind them. */
static unsigned show_run(const struct canvas *canvas, const struct canvas_cell *cells, unsigned row, unsigned column)
{
    unsigned char style = cells[column].style;

    attr_set(attributes[style], pairs[style], NULL);
    move((int)row, (int)column);
    for (; column < canvas->column_count && cells[column].style == style; column++)
        addstr(cells[column].bytes);
    return column;
}

void screen_show(const struct canvas *canvas)
{
    erase();
    for (unsigned row = 0; row < canvas->row_count; row++) {
        const struct canvas_cell *cells = &canvas->cells[(size_t)row * canvas->column_count];

        for (unsigned column = 0; column < canvas->column_count;)
            column = show_run(canvas, cells, row, column);
    }
    curs_set(canvas->cursor ? 1 : 0);
    if (canvas->cursor)
        move((int)canvas->cursor_row, (int)canvas->cursor_column);
    refresh();
}

/* ---- keys ---- */

int screen_key_fd(void)
{
    return STDIN_FILENO;
}

static const struct {
    int code, key;
} function_keys[] = {
    {KEY_UP, MODEL_KEY_UP},           {KEY_DOWN, MODEL_KEY_DOWN},           {KEY_PPAGE, MODEL_KEY_PAGE_UP},
    {KEY_NPAGE, MODEL_KEY_PAGE_DOWN}, {KEY_HOME, MODEL_KEY_HOME},           {KEY_END, MODEL_KEY_END},
    {KEY_LEFT, MODEL_KEY_LEFT},       {KEY_RIGHT, MODEL_KEY_RIGHT},         {KEY_BTAB, MODEL_KEY_TAB_BACK},
    {KEY_ENTER, MODEL_KEY_ENTER},     {KEY_BACKSPACE, MODEL_KEY_BACKSPACE}, {KEY_F(1), '?'},
};

static const struct {
    wint_t character;
    int key;
} control_keys[] = {
    {'\t', MODEL_KEY_TAB},       {'\r', MODEL_KEY_ENTER},     {'\n', MODEL_KEY_ENTER},   {27, MODEL_KEY_ESCAPE},
    {0x7f, MODEL_KEY_BACKSPACE}, {'\b', MODEL_KEY_BACKSPACE}, {CTRL_U, MODEL_KEY_ERASE},
};

/* 0: of no use. */
static int key_of_code(wint_t code)
{
    for (size_t i = 0; i < sizeof function_keys / sizeof function_keys[0]; i++) {
        if ((wint_t)function_keys[i].code == code)
            return function_keys[i].key;
    }
    return 0;
}

static int key_of_character(wint_t character)
{
    for (size_t i = 0; i < sizeof control_keys / sizeof control_keys[0]; i++) {
        if (control_keys[i].character == character)
            return control_keys[i].key;
    }
    return character >= 0x20 && character < 0x110000 ? (int)character : 0;
}

bool screen_read_key(int *key_out)
{
    wint_t read_key;
    int kind, key;

    do {
        kind = get_wch(&read_key);
        if (kind == ERR)
            return false;
        if (kind == OK && read_key == CTRL_L)
            screen_renew();
        key = kind == KEY_CODE_YES ? key_of_code(read_key) : key_of_character(read_key);
    } while (key == 0);
    *key_out = key;
    return true;
}

/* ---- Ctrl-Z ---- */

void screen_suspend(void)
{
    curs_set(1);
    endwin();
    handle(SIGTSTP, SIG_DFL);
    raise(SIGTSTP); /* here it stops; where nobody could make it go on, the system does not stop it */
    handle(SIGTSTP, note_signal);
    screen_renew();
}
