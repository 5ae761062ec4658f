/* Text on a terminal. */
#include "client/probectl/view.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { WIDTH_DEFAULT = 80, WIDTH_MIN = 20, WIDTH_MAX = 1000 };

static unsigned width_of(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    long wanted = columns != NULL ? strtol(columns, NULL, 10) : 0;
    struct winsize size;

    if (wanted <= 0)
        wanted = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_DEFAULT;
    return wanted < WIDTH_MIN ? WIDTH_MIN : wanted > WIDTH_MAX ? WIDTH_MAX : (unsigned)wanted;
}

void view_init(struct view *view, FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool is_terminal = isatty(fileno(out));
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    *view = (struct view){
        .out = out,
        .width = is_terminal ? width_of(out) : 0,
        .colours = is_terminal && (no_colour == NULL || no_colour[0] == '\0') && terminal != NULL &&
                   strcmp(terminal, "dumb") != 0,
        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
    };
}

/* ---- characters ---- */

/* The character that `text` begins with, and its size; 0xfffd for a byte that begins none. */
static wchar_t next_character(const char *text, size_t *size_out)
{
    static const wchar_t least[] = {[2] = 0x80, [3] = 0x800, [4] = 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned size = bytes[0] < 0x80 ? 1 : (bytes[0] & 0xe0) == 0xc0 ? 2 : (bytes[0] & 0xf0) == 0xe0 ? 3 : 4;
    wchar_t value = size == 1 ? bytes[0] : bytes[0] & (0x7f >> size);

    *size_out = 1;
    if (bytes[0] >= 0xf8 || (bytes[0] & 0xc0) == 0x80)
        return 0xfffd;
    for (unsigned i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0xfffd;
        value = (wchar_t)(value << 6 | (bytes[i] & 0x3f));
    }
    if (value < least[size]) /* a longer form than it needs is no UTF-8 */
        return 0xfffd;
    *size_out = size;
    return value;
}

/* What a terminal would obey rather than show: C0, DEL, C1, line and paragraph separators, marks that turn the
 * direction of writing. */
static bool is_unfit(wchar_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x061c || c == 0xfeff;
}

const char *view_next_shown(const struct view *view, const char **text, size_t *size_out, unsigned *columns_out)
{
    const char *begin = *text;
    size_t size;
    wchar_t c = next_character(begin, &size);
    int columns = wcwidth(c);

    *text += size;
    *size_out = size;
    *columns_out = columns > 0 ? (unsigned)columns : 0;
    if (!is_unfit(c) && c != 0xfffd && (c < 0x80 || (view->utf8 && columns >= 0)))
        return begin;
    *columns_out = 1;
    *size_out = is_unfit(c) || !view->utf8 ? 1 : 3;
    return is_unfit(c) ? " " : view->utf8 ? "\xef\xbf\xbd" : "?";
}

unsigned view_columns(const struct view *view, const char *text)
{
    unsigned total = 0;

    while (*text != '\0') {
        unsigned columns;
        size_t size;

        view_next_shown(view, &text, &size, &columns);
        total += columns;
    }
    return total;
}

/* ---- styles ---- */

static void begin_style(const struct view *view, enum view_style style)
{
    static const char *const codes[VIEW_STYLE_COUNT] = {
        [VIEW_BOLD] = "1", [VIEW_DIM] = "2", [VIEW_GOOD] = "32", [VIEW_WARN] = "33", [VIEW_BAD] = "31"};

    if (view->colours && codes[style] != NULL)
        fprintf(view->out, "\033[%sm", codes[style]);
}

static void end_style(const struct view *view, enum view_style style)
{
    if (view->colours && style != VIEW_PLAIN)
        fputs("\033[0m", view->out);
}

/* `size` bytes of text, cleaned. */
static void put_clean(const struct view *view, const char *text, size_t size)
{
    const char *end = text + size;

    while (text < end) {
        unsigned columns;
        size_t shown_size;
        const char *shown = view_next_shown(view, &text, &shown_size, &columns);

        fwrite(shown, 1, shown_size, view->out);
    }
}

void view_text(const struct view *view, enum view_style style, const char *text)
{
    begin_style(view, style);
    put_clean(view, text, strlen(text));
    end_style(view, style);
}

static void format_from(const struct view *view, enum view_style style, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void format_from(const struct view *view, enum view_style style, const char *format, va_list arguments)
{
    char *text;

    if (vasprintf(&text, format, arguments) < 0)
        return;
    view_text(view, style, text);
    free(text);
}

void view_format(const struct view *view, enum view_style style, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_from(view, style, format, arguments);
    va_end(arguments);
}

void view_line(const struct view *view, enum view_style style, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_from(view, style, format, arguments);
    va_end(arguments);
    fputc('\n', view->out);
}

static void put_blanks(const struct view *view, unsigned count)
{
    fprintf(view->out, "%*s", (int)count, "");
}

void view_padded(const struct view *view, enum view_style style, const char *text, unsigned columns, bool to_the_right)
{
    unsigned own = view_columns(view, text);
    unsigned missing = own < columns ? columns - own : 0;

    if (to_the_right)
        put_blanks(view, missing);
    view_text(view, style, text);
    if (!to_the_right)
        put_blanks(view, missing);
}

void view_wrapped(const struct view *view, enum view_style style, const char *text, unsigned indent, unsigned begun)
{
    bool at_begin = true; /* of a line: a word goes there however long it is */

    begin_style(view, style);
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        char *word = strndup(text, size);
        unsigned columns = word != NULL ? view_columns(view, word) : 0;

        if (!at_begin && view->width > 0 && begun + 1 + columns > view->width) {
            fputc('\n', view->out);
            put_blanks(view, indent);
            begun = indent;
            at_begin = true;
        }
        if (!at_begin) {
            fputc(' ', view->out);
            begun++;
        }
        put_clean(view, text, size);
        free(word);
        begun += columns;
        at_begin = false;
        text += size;
        text += strspn(text, " ");
    }
    end_style(view, style);
}

void view_bar(const struct view *view, enum view_style style, double part, unsigned columns)
{
    unsigned full = (unsigned)(part * columns + 0.5);

    if (full == 0 && part > 0)
        full = 1;
    if (full >= columns)
        full = part < 1 ? columns - 1 : columns;
    begin_style(view, style);
    for (unsigned i = 0; i < full; i++)
        fputs(view->utf8 ? "\xe2\x96\x88" : "#", view->out);
    end_style(view, style);
    begin_style(view, VIEW_DIM);
    for (unsigned i = full; i < columns; i++)
        fputs(view->utf8 ? "\xe2\x96\x91" : "-", view->out);
    end_style(view, VIEW_DIM);
}

const char *view_separator(const struct view *view)
{
    return view->utf8 ? " \xc2\xb7 " : " - ";
}

/* ---- times ---- */

void view_duration(uint64_t ms, char out[VIEW_WORDS_SIZE])
{
    unsigned long long seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

    if (seconds < 60)
        snprintf(out, VIEW_WORDS_SIZE, "%llu s", seconds);
    else if (minutes < 60)
        snprintf(out, VIEW_WORDS_SIZE, "%llu min", minutes);
    else if (hours < 24 && minutes % 60 != 0)
        snprintf(out, VIEW_WORDS_SIZE, "%llu h %llu min", hours, minutes % 60);
    else if (hours < 24)
        snprintf(out, VIEW_WORDS_SIZE, "%llu h", hours);
    else if (hours % 24 != 0)
        snprintf(out, VIEW_WORDS_SIZE, "%llu d %llu h", days, hours % 24);
    else
        snprintf(out, VIEW_WORDS_SIZE, "%llu d", days);
}

void view_moment(const struct view *view, int64_t at_ms, char *out, size_t size)
{
    enum { DAY_S = 24 * 60 * 60 };
    time_t at = (time_t)(at_ms / 1000), now = (time_t)(view->now_ms / 1000);
    struct tm at_parts, now_parts;
    char duration[VIEW_WORDS_SIZE], clock[32];

    if (at_ms <= view->now_ms) {
        snprintf(out, size, "now");
        return;
    }
    view_duration((uint64_t)(at_ms - view->now_ms), duration);
    if (localtime_r(&at, &at_parts) == NULL || localtime_r(&now, &now_parts) == NULL) {
        snprintf(out, size, "in %.30s", duration);
        return;
    }
    if (at_parts.tm_year == now_parts.tm_year && at_parts.tm_yday == now_parts.tm_yday)
        strftime(clock, sizeof clock, "%H:%M", &at_parts);
    else if (at - now < 6 * DAY_S)
        strftime(clock, sizeof clock, "%a %H:%M", &at_parts);
    else if (at_parts.tm_year == now_parts.tm_year)
        strftime(clock, sizeof clock, "%e %b", &at_parts);
    else
        strftime(clock, sizeof clock, "%e %b %Y", &at_parts);
    snprintf(out, size, "in %.30s (%s)", duration, clock + strspn(clock, " "));
}
