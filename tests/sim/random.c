/* The generator itself, and the shapes that chance is drawn in. */
#include "tests/sim/random.h"

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

void random_seed(struct random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t mixed = seed += UINT64_C(0x9e3779b97f4a7c15);

        mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
        random->state[i] = mixed ^ mixed >> 31;
    }
}

uint64_t random_next(struct random *random)
{
    uint64_t *state = random->state;
    uint64_t next = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return next;
}

/* The remainder favours small numbers by less than bound / 2^64: no matter here. */
uint64_t random_below(struct random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

uint64_t random_between(struct random *random, uint64_t first, uint64_t last)
{
    return last <= first ? first : first + random_below(random, last - first + 1);
}

uint64_t random_spread(struct random *random, uint64_t first, uint64_t last)
{
    uint64_t low = first == 0 ? 1 : first;
    uint64_t doublings = 0, from, to;

    while (low << (doublings + 1) <= last && low << doublings < UINT64_C(1) << 62)
        doublings++;
    from = low << random_below(random, doublings + 1);
    to = from * 2 < last ? from * 2 : last;
    return random_between(random, from, to);
}

bool random_chance(struct random *random, unsigned per_mille)
{
    return per_mille > 0 && random_below(random, 1000) < per_mille;
}

uint64_t random_pick(struct random *random, const uint64_t *numbers, size_t count)
{
    return numbers[random_below(random, count)];
}
