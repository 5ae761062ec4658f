/* Proofs and pauses. */
#include "client/standing.h"

#include "client/chance.h"

void standing_init(struct standing *standing, uint64_t random)
{
    *standing = (struct standing){.random = random != 0 ? random : 1};
}

/* ---- proofs ---- */

static uint64_t patience_ms(const struct standing *standing)
{
    return (uint64_t)STANDING_INTERVALS_MAX * standing->interval_ms;
}

void standing_hear_beat(struct standing *standing, uint64_t sent_ms, uint32_t interval_ms)
{
    standing->interval_ms = interval_ms > 0 ? interval_ms : 1;
    if (sent_ms > standing->sent_ms)
        standing->sent_ms = sent_ms;
}

void standing_prove(struct standing *standing, uint64_t proved_ms, uint64_t now_ms)
{
    if (proved_ms > standing->proved_ms)
        standing->proved_ms = proved_ms;
    if (now_ms < standing->proved_ms + patience_ms(standing))
        standing->proved = true;
}

void standing_lose(struct standing *standing)
{
    standing->proved = false;
}

uint64_t standing_end_ms(const struct standing *standing)
{
    return standing->proved ? standing->proved_ms + patience_ms(standing) : STANDING_NEVER;
}

bool standing_is_current(const struct standing *standing, uint64_t now_ms)
{
    return standing->proved && now_ms < standing_end_ms(standing);
}

bool standing_is_silent(const struct standing *standing, uint64_t now_ms)
{
    return standing->interval_ms == 0 || now_ms >= standing->sent_ms + patience_ms(standing);
}

/* ---- questions ---- */

static uint64_t first_pause_ms(struct standing *standing)
{
    uint64_t half_ms = standing->interval_ms / 2;

    return chance_draw(&standing->random, (half_ms < STANDING_ASK_MS_MAX ? half_ms : STANDING_ASK_MS_MAX) + 1);
}

uint64_t standing_ask_ms(struct standing *standing, uint64_t now_ms)
{
    if (standing->asking || standing_is_silent(standing, now_ms))
        return STANDING_NEVER;
    if (standing->ask_due_ms == 0)
        standing->ask_due_ms = now_ms + first_pause_ms(standing);
    return standing->ask_due_ms;
}

void standing_asked(struct standing *standing)
{
    standing->asking = true;
}

void standing_answered(struct standing *standing, uint64_t now_ms)
{
    standing->asking = false;
    standing->failure_count = 0;
    standing->ask_due_ms = now_ms; /* for the next one of this round */
}

void standing_refused(struct standing *standing, uint64_t now_ms, uint32_t retry_after_ms)
{
    uint64_t pause_ms = STANDING_RETRY_MS_MIN;

    for (uint32_t i = 0; i < standing->failure_count && pause_ms < STANDING_RETRY_MS_MAX; i++)
        pause_ms *= 2;
    if (pause_ms > STANDING_RETRY_MS_MAX)
        pause_ms = STANDING_RETRY_MS_MAX;
    standing->asking = false;
    standing->failure_count++;
    standing->ask_due_ms = now_ms + retry_after_ms + pause_ms / 2 + chance_draw(&standing->random, pause_ms / 2 + 1);
}

void standing_ask_no_more(struct standing *standing)
{
    standing->ask_due_ms = 0;
}
