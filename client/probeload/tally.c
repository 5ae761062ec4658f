#include "client/probeload/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Guarded by its lock. */
struct shard {
    pthread_mutex_t lock;
    struct histogram kinds[TALLY_KIND_COUNT];
    struct histogram intervals[2]; /* one fills while the watcher reads the other */
    unsigned filling;
    uint64_t by_code[2][TALLY_CODE_COUNT]; /* probes, invalidations */
};

struct tally {
    struct shard *shards; /* owned */
    size_t shard_count;
    struct tally_sum sum;      /* the watcher's, as the next two */
    struct histogram interval; /* of all shards */
    struct tally_row spare;    /* once the rows are full */
};

const char *tally_kind_name(enum tally_kind kind)
{
    static const char *const names[TALLY_KIND_COUNT] = {"failed", "warm",       "cold", "joined",
                                                        "cached", "invalidate", "event"};

    return names[kind];
}

struct tally *tally_create(size_t shard_count)
{
    struct tally *tally = calloc(1, sizeof *tally);

    if (tally == NULL)
        return NULL;
    tally->shards = calloc(shard_count, sizeof *tally->shards);
    if (tally->shards == NULL) {
        free(tally);
        return NULL;
    }
    tally->shard_count = shard_count;
    for (size_t i = 0; i < shard_count; i++)
        pthread_mutex_init(&tally->shards[i].lock, NULL);
    return tally;
}

void tally_destroy(struct tally *tally)
{
    if (tally == NULL)
        return;
    for (size_t i = 0; i < tally->shard_count; i++)
        pthread_mutex_destroy(&tally->shards[i].lock);
    free(tally->shards);
    free(tally);
}

void tally_note(struct tally *tally, size_t shard_index, enum tally_kind kind, enum probed_code code,
                uint64_t latency_ns)
{
    struct shard *shard = &tally->shards[shard_index];
    unsigned known_code = (unsigned)code < TALLY_CODE_COUNT ? code : PROBED_UNKNOWN;

    pthread_mutex_lock(&shard->lock);
    histogram_add(&shard->kinds[kind], latency_ns);
    if (kind != TALLY_EVENT) {
        histogram_add(&shard->intervals[shard->filling], latency_ns);
        shard->by_code[kind == TALLY_INVALIDATED][known_code]++;
    }
    pthread_mutex_unlock(&shard->lock);
}

const struct tally_row *tally_cut(struct tally *tally, double at_s, double seconds)
{
    struct tally_row *row =
        tally->sum.row_count < TALLY_ROW_COUNT_MAX ? &tally->sum.rows[tally->sum.row_count++] : &tally->spare;

    histogram_reset(&tally->interval);
    for (size_t i = 0; i < tally->shard_count; i++) {
        struct shard *shard = &tally->shards[i];
        struct histogram *filled;

        pthread_mutex_lock(&shard->lock);
        filled = &shard->intervals[shard->filling];
        shard->filling = !shard->filling;
        pthread_mutex_unlock(&shard->lock);
        histogram_merge(&tally->interval, filled);
        histogram_reset(filled);
    }
    *row = (struct tally_row){.at_s = at_s,
                              .seconds = seconds,
                              .call_count = tally->interval.count,
                              .p50_ns = histogram_value_at(&tally->interval, 0.5),
                              .p99_ns = histogram_value_at(&tally->interval, 0.99),
                              .max_ns = tally->interval.max};
    return row;
}

static void add_shard(struct tally_sum *sum, struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    for (size_t kind = 0; kind < TALLY_KIND_COUNT; kind++)
        histogram_merge(&sum->kinds[kind], &shard->kinds[kind]);
    for (size_t code = 0; code < TALLY_CODE_COUNT; code++) {
        sum->probes_by_code[code] += shard->by_code[0][code];
        sum->invalidations_by_code[code] += shard->by_code[1][code];
    }
    pthread_mutex_unlock(&shard->lock);
}

struct tally_sum *tally_add_up(struct tally *tally)
{
    struct tally_sum *sum = &tally->sum;

    for (size_t kind = 0; kind < TALLY_KIND_COUNT; kind++)
        histogram_reset(&sum->kinds[kind]);
    memset(sum->probes_by_code, 0, sizeof sum->probes_by_code);
    memset(sum->invalidations_by_code, 0, sizeof sum->invalidations_by_code);
    histogram_reset(&sum->probes);
    for (size_t i = 0; i < tally->shard_count; i++)
        add_shard(sum, &tally->shards[i]);
    for (size_t kind = TALLY_FAILED; kind <= TALLY_CACHED; kind++)
        histogram_merge(&sum->probes, &sum->kinds[kind]);
    return sum;
}
