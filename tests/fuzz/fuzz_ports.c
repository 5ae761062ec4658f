/* What the custodian reads of a home's variables: the ports they speak of. */
#include "server/base/invariant.h"
#include "server/custody/custodian/ports.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ports(char *line)
{
    char *const environment[] = {line, NULL};
    struct ports ports = {.count = 0};

    ports_add_environment(&ports, environment);
    INVARIANT(ports.count <= 1);
    INVARIANT(ports.count == 0 || ports.numbers[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);

    INVARIANT(line != NULL);
    memcpy(line, data, size);
    line[size] = '\0';
    check_ports(line);
    free(line);
    return 0;
}
