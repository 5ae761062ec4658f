#include "client/probeload/dice.h"

#include <math.h>
#include <stdlib.h>

uint64_t dice_roll(struct dice *dice)
{
    uint64_t value = dice->state += UINT64_C(0x9e3779b97f4a7c15);

    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

double dice_unit(struct dice *dice)
{
    return (double)(dice_roll(dice) >> 11) * 0x1p-53;
}

bool dice_chance(struct dice *dice, double share)
{
    return share > 0 && dice_unit(dice) < share;
}

size_t dice_index(struct dice *dice, size_t count)
{
    return (size_t)(dice_roll(dice) % count);
}

double dice_interval(struct dice *dice)
{
    return -log1p(-dice_unit(dice));
}

bool zipf_init(struct zipf *zipf, size_t count, double exponent)
{
    double sum = 0;

    *zipf = (struct zipf){.sums = calloc(count, sizeof *zipf->sums), .count = count};
    if (zipf->sums == NULL)
        return false;
    for (size_t rank = 0; rank < count; rank++) {
        sum += pow((double)rank + 1, -exponent);
        zipf->sums[rank] = sum;
    }
    return true;
}

void zipf_fini(struct zipf *zipf)
{
    free(zipf->sums);
    *zipf = (struct zipf){0};
}

size_t zipf_roll(const struct zipf *zipf, struct dice *dice)
{
    double wanted = dice_unit(dice) * zipf->sums[zipf->count - 1];
    size_t low = 0, high = zipf->count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zipf->sums[middle] > wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
