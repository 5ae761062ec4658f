/* What somebody may have meant by a name that is none: "perhaps pool.workers_max".
 *
 * Threads: any; everything here is pure. */
#ifndef SERVER_CONFIG_GUESS_H
#define SERVER_CONFIG_GUESS_H

#include <stddef.h>

enum { CONFIG_GUESS_DISTANCE_MAX = 2 }; /* a slip of the finger, a forgotten letter or two */

/* How many letters must be put in, left out or exchanged to get from one to the other; CONFIG_GUESS_DISTANCE_MAX + 1:
 * more than a slip, or too long to be compared. */
size_t config_guess_distance(const char *one, const char *other);

#endif
