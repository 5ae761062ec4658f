/* The fuzzer's bytes as what the targets read. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "server/base/invariant.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer calls; it wants 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A C string of them, to free().  Not strndup(): the bytes end without a NUL, and the sanitizer that checks strings
 * strictly counts looking for one as reading past them. */
static inline char *input_string(const uint8_t *data, size_t size)
{
    char *string = malloc(size + 1);

    INVARIANT(string != NULL);
    if (size > 0)
        memcpy(string, data, size);
    string[size] = '\0';
    return string;
}

#endif
