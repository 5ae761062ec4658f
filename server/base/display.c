#include "server/base/display.h"

#include <stdbool.h>
#include <string.h>

static const char cut_mark[] = "...";

enum { CUT_MARK_SIZE = sizeof cut_mark - 1 };

/* The size of the character that starts here, of valid UTF-8. */
static size_t character_size(const char *text)
{
    unsigned char lead = (unsigned char)*text;

    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* A space or a control character: U+0000 to U+0020, U+007F to U+009F. */
static bool is_blank(const char *text)
{
    unsigned char lead = (unsigned char)text[0];

    return lead <= 0x20 || lead == 0x7f || (lead == 0xc2 && (unsigned char)text[1] <= 0x9f);
}

size_t display_text(const char *text, size_t size, size_t character_count_max, char *out)
{
    size_t written = 0, count = 0;
    size_t cut_at = 0; /* where the text ends should it turn out too long */
    bool blank_before = false;

    for (size_t at = 0, step; at < size; at += step) {
        step = character_size(text + at);
        if (is_blank(text + at)) {
            blank_before = written > 0;
            continue;
        }
        if (count + (blank_before ? 2 : 1) > character_count_max) {
            memcpy(out + cut_at, cut_mark, sizeof cut_mark);
            return cut_at + CUT_MARK_SIZE;
        }
        if (blank_before) {
            out[written++] = ' ';
            count++;
            blank_before = false;
        }
        memmove(out + written, text + at, step); /* in place, as a rule onto itself */
        written += step;
        count++;
        if (count <= character_count_max - CUT_MARK_SIZE)
            cut_at = written;
    }
    out[written] = '\0';
    return written;
}
