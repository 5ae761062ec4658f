/* What the custodian reads of a home's variables: the ports they speak of. */
#include "server/custody/custodian/ports.h"
#include "tests/fuzz/input.h"

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
    char *line = input_string(data, size);

    check_ports(line);
    free(line);
    return 0;
}
