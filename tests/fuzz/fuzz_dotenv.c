/* The lines of a `.env`: every pair lies within the text, has a name, and is found again by it. */
#include "server/base/dotenv.h"
#include "tests/fuzz/input.h"

static void check_pair(const char *text, size_t size, const struct dotenv_pair *pair)
{
    struct dotenv_pair last;
    char *name = malloc(pair->name_size + 1);

    INVARIANT(name != NULL);
    INVARIANT(pair->name_size > 0);
    INVARIANT(pair->name >= text && pair->name + pair->name_size <= text + size);
    INVARIANT(pair->value >= pair->name && pair->value + pair->value_size <= text + size);
    INVARIANT(memchr(pair->value, '\n', pair->value_size) == NULL);
    memcpy(name, pair->name, pair->name_size);
    name[pair->name_size] = '\0';
    INVARIANT(strchr(name, '=') == NULL);
    INVARIANT(dotenv_find(text, size, name, &last));
    INVARIANT(last.name >= pair->name);
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { PAIR_COUNT_CHECKED = 16 }; /* looking each up is quadratic */
    const char *text = (const char *)data;
    struct dotenv dotenv;
    struct dotenv_pair pair;
    size_t count = 0;

    if (!dotenv_open(&dotenv, text, size)) {
        INVARIANT(!dotenv_next(&dotenv, &pair));
        return 0;
    }
    while (dotenv_next(&dotenv, &pair)) {
        if (count++ < PAIR_COUNT_CHECKED)
            check_pair(text, size, &pair);
    }
    return 0;
}
