/* Pauses and what they cost. */
#include "client/retry.h"

#include "client/chance.h"

void retry_budget_init(struct retry_budget *budget, uint64_t random)
{
    *budget = (struct retry_budget){.left = RETRY_BUDGET_MAX, .random = random != 0 ? random : 1};
}

void retry_budget_earn(struct retry_budget *budget)
{
    if (budget->left < RETRY_BUDGET_MAX)
        budget->left++;
}

bool retry_budget_spend(struct retry_budget *budget, const struct probed_status *status, uint32_t attempt,
                        uint64_t left_ms, uint64_t *pause_ms_out)
{
    uint64_t pause_ms = RETRY_PAUSE_MS_MIN;

    if (status->code != PROBED_UNAVAILABLE || budget->left < RETRY_COST)
        return false;
    for (uint32_t i = 0; i < attempt && pause_ms < RETRY_PAUSE_MS_MAX; i++)
        pause_ms *= 2;
    if (pause_ms > RETRY_PAUSE_MS_MAX)
        pause_ms = RETRY_PAUSE_MS_MAX;
    pause_ms = status->retry_after_ms + pause_ms / 2 + chance_draw(&budget->random, pause_ms / 2 + 1);
    if (pause_ms >= left_ms)
        return false; /* the caller rather hears the cause than waits for nothing */
    budget->left -= RETRY_COST;
    *pause_ms_out = pause_ms;
    return true;
}
