#include "client/chance.h"

#include "client/outcome.h"

#include <sys/random.h>

uint64_t chance_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = outcome_now_ns();
    return seed != 0 ? seed : 1;
}

/* xorshift64* (Vigna: An experimental exploration of Marsaglia's xorshift generators, scrambled, 2016). */
uint64_t chance_draw(uint64_t *state, uint64_t below)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * 0x2545F4914F6CDD1DU >> 32) % below;
}
