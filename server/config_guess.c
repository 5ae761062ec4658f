/* The distance of two names, see config_guess.h. */
#include "server/config_guess.h"

#include <string.h>

enum { NAME_SIZE_MAX = 64, FAR = CONFIG_GUESS_DISTANCE_MAX + 1 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

/* Levenshtein's, a row at a time: costs[i] is the distance of what of `one` was looked at to the first i letters of
 * `other`. */
size_t config_guess_distance(const char *one, const char *other)
{
    size_t costs[NAME_SIZE_MAX + 1], size = strlen(other);

    if (size > NAME_SIZE_MAX || strlen(one) > NAME_SIZE_MAX)
        return FAR;
    for (size_t i = 0; i <= size; i++)
        costs[i] = i;
    for (size_t row = 0; one[row] != '\0'; row++) {
        size_t diagonal = costs[0];

        costs[0] = row + 1;
        for (size_t i = 0; i < size; i++) {
            size_t exchanged = diagonal + (one[row] == other[i] ? 0 : 1);

            diagonal = costs[i + 1];
            costs[i + 1] = least(exchanged, costs[i] + 1, costs[i + 1] + 1);
        }
    }
    return costs[size] < FAR ? costs[size] : FAR;
}
