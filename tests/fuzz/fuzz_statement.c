/* A line that a worker is said to have signed: read or refused, and what is read is written as a line that is read
 * alike. */
#include "client/probeload/statement.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct statement first, second;
    char *line = input_string(data, size), written[STATEMENT_SIZE];

    if (statement_read(line, &first)) {
        statement_write(&first, written);
        if (!statement_read(written, &second) || memcmp(&first, &second, sizeof first) != 0)
            abort();
    }
    free(line);
    return 0;
}
