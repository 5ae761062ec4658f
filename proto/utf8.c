/* UTF-8 validation by the table of RFC 3629, section 4. */
#include "proto/utf8.h"

/* The size of the character that starts at `c`, or 0 when none does within `left` bytes. */
static size_t character_size(const unsigned char *c, size_t left)
{
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t size;

    if (c[0] < 0x80)
        return 1;
    if (c[0] >= 0xc2 && c[0] <= 0xdf) {
        size = 2;
    } else if (c[0] >= 0xe0 && c[0] <= 0xef) {
        size = 3;
        low = c[0] == 0xe0 ? 0xa0 : low;
        high = c[0] == 0xed ? 0x9f : high;
    } else if (c[0] >= 0xf0 && c[0] <= 0xf4) {
        size = 4;
        low = c[0] == 0xf0 ? 0x90 : low;
        high = c[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (left < size || c[1] < low || c[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

size_t utf8_clip(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;

    while (at < size) {
        size_t step = character_size(bytes + at, size - at);

        if (step == 0)
            break;
        at += step;
    }
    return at;
}

bool utf8_has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    }
    return false;
}
