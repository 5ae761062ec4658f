/* A line that a worker is said to have signed: read or refused, and what is read is written as a line that is read
 * alike. */
#include "client/probeload/statement.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct statement first, second;
    char *line = malloc(size + 1), written[STATEMENT_SIZE];

    if (line == NULL)
        return 0;
    if (size > 0)
        memcpy(line, data, size);
    line[size] = '\0';
    if (statement_read(line, &first)) {
        statement_write(&first, written);
        if (!statement_read(written, &second) || memcmp(&first, &second, sizeof first) != 0)
            abort();
    }
    free(line);
    return 0;
}
