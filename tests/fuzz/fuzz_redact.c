/* A stranger's line: a known secret in the middle of it, standing apart, is never shown; and what was redacted once is
 * redacted enough. */
#include "server/base/redact.h"
#include "tests/fuzz/input.h"

enum { LINE_SIZE = 1024, OUT_SIZE = 4096 };

static const char secret[] = " sk-canary-7f3a9c51e0d2b846 ", mark[] = "7f3a9c51e0d2b846";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[LINE_SIZE + sizeof secret], once[OUT_SIZE], twice[OUT_SIZE];
    size_t half = size < LINE_SIZE ? size / 2 : LINE_SIZE / 2, rest = (size < LINE_SIZE ? size : LINE_SIZE) - half;

    memcpy(line, data, half);
    memcpy(line + half, secret, sizeof secret - 1);
    memcpy(line + half + sizeof secret - 1, data + half, rest);
    line[half + sizeof secret - 1 + rest] = '\0';
    redact_line(line, once, sizeof once);
    INVARIANT(strlen(once) < sizeof once);
    INVARIANT(strstr(once, mark) == NULL);
    redact_line(once, twice, sizeof twice);
    INVARIANT(strstr(twice, mark) == NULL);
    redact_line(line, once, size % 64 + 1);
    INVARIANT(strlen(once) <= size % 64);
    return 0;
}
