/* Retry-After, HTTP dates and ISO texts: a moment between 1970 and 9999 or none, a wait of a day at most or none, and
 * what is written is read again as the same. */
#include "server/worker/outcome.h"
#include "server/worker/stamp.h"
#include "tests/fuzz/input.h"

enum { NOW_S = 1772366400 /* 2026-03-01T12:00:00Z */ };

static void check_stamp(struct stamp stamp)
{
    struct stamp_text text;
    struct stamp again;

    if (!stamp.known)
        return;
    INVARIANT(stamp.s > 0 && stamp.s <= STAMP_S_MAX);
    text = stamp_write(stamp.s);
    again = stamp_read_iso(text.text, strlen(text.text));
    INVARIANT(again.known && again.s == stamp.s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = input_string(data, size);
    int64_t wait_s;

    check_stamp(stamp_read_iso((const char *)data, size));
    check_stamp(stamp_read_http_date(text));
    wait_s = outcome_retry_after(text, NOW_S);
    INVARIANT(wait_s >= 0 && wait_s <= RETRY_AFTER_S_MAX);
    free(text);
    return 0;
}
