/* Answers of a daemon for the tests of `probectl top`: messages as they come out of the library, owned by whoever takes
 * them. */
#ifndef TESTS_UNIT_TOP_SAMPLES_H
#define TESTS_UNIT_TOP_SAMPLES_H

#include "client/probectl/top/sample.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKET_COUNT = 5, KIND_COUNT_MAX = 8 };

#define LENT(literal) ((char *)(uintptr_t)(literal))

/* Of calls that took up to 0.1, 1, 10, 100 ms, and longer. */
struct kind {
    const char *origin, *status;
    uint64_t buckets[BUCKET_COUNT];
};

/* The message as if it had come from elsewhere. */
static inline ProtobufCMessage *arrived(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    ProtobufCMessage *copy;

    ck_assert_ptr_nonnull(bytes);
    protobuf_c_message_pack(message, bytes);
    copy = protobuf_c_message_unpack(message->descriptor, NULL, size, bytes);
    ck_assert_ptr_nonnull(copy);
    free(bytes);
    return copy;
}

static inline Probed__V1__GetStatusResponse *make_look(uint64_t uptime_ms, const struct kind *kinds, size_t kind_count)
{
    Probed__V1__GetStatusResponse look = PROBED__V1__GET_STATUS_RESPONSE__INIT;
    Probed__V1__WorkerCounts workers = PROBED__V1__WORKER_COUNTS__INIT;
    Probed__V1__CallTimes times[KIND_COUNT_MAX], *pointers[KIND_COUNT_MAX];
    uint32_t bounds_us[] = {100, 1000, 10000, 100000};

    for (size_t i = 0; i < kind_count; i++) {
        probed__v1__call_times__init(&times[i]);
        times[i].origin = LENT(kinds[i].origin);
        times[i].status = LENT(kinds[i].status);
        times[i].buckets = (uint64_t *)(uintptr_t)kinds[i].buckets;
        times[i].n_buckets = BUCKET_COUNT;
        pointers[i] = &times[i];
    }
    workers.leased = 2;
    workers.idle = 1;
    look.version = LENT("1.2.3");
    look.uptime_ms = uptime_ms;
    look.homes = 4;
    look.cache_entries = 7;
    look.flights = 2;
    look.waiting = 1;
    look.workers = &workers;
    look.times = pointers;
    look.n_times = kind_count;
    look.time_bounds_us = bounds_us;
    look.n_time_bounds_us = sizeof bounds_us / sizeof bounds_us[0];
    return (Probed__V1__GetStatusResponse *)arrived(&look.base);
}

/* Homes whose number of waiting calls is their place: /home/a has 0, /home/b 1, … */
static inline ProtobufCMessage *make_homes(size_t count, bool more)
{
    enum { COUNT_MAX = 64, PATH_SIZE = 32 };
    Probed__V1__ListHomesResponse response = PROBED__V1__LIST_HOMES_RESPONSE__INIT;
    Probed__V1__WorkerCounts workers = PROBED__V1__WORKER_COUNTS__INIT;
    Probed__V1__HomeInfo homes[COUNT_MAX], *pointers[COUNT_MAX];
    char paths[COUNT_MAX][PATH_SIZE];

    ck_assert_uint_le(count, COUNT_MAX);
    workers.leased = 1;
    for (size_t i = 0; i < count; i++) {
        probed__v1__home_info__init(&homes[i]);
        snprintf(paths[i], PATH_SIZE, i < 26 ? "/home/%c" : "/home/%c%zu", (char)('a' + i % 26), i / 26);
        homes[i].home = paths[i];
        homes[i].waiting = (uint32_t)i;
        homes[i].generation = 1;
        homes[i].workers = &workers;
        pointers[i] = &homes[i];
    }
    response.homes = pointers;
    response.n_homes = count;
    response.more = more;
    return arrived(&response.base);
}

static inline ProtobufCMessage *make_workers(void)
{
    Probed__V1__ListWorkersResponse response = PROBED__V1__LIST_WORKERS_RESPONSE__INIT;
    Probed__V1__WorkerInfo workers[3], *pointers[3];
    static const Probed__V1__WorkerState states[] = {PROBED__V1__WORKER_STATE__WORKER_STATE_IDLE,
                                                     PROBED__V1__WORKER_STATE__WORKER_STATE_LEASED,
                                                     PROBED__V1__WORKER_STATE__WORKER_STATE_LEASED};

    for (size_t i = 0; i < 3; i++) {
        probed__v1__worker_info__init(&workers[i]);
        workers[i].worker_id = i + 1;
        workers[i].pid = 4000 + (int32_t)i;
        workers[i].home = LENT("/home/a");
        workers[i].state = states[i];
        workers[i].state_ms = 340;
        workers[i].provider = LENT(i == 0 ? "" : i == 1 ? "openrouter" : "anthropic");
        workers[i].callers = i == 0 ? 0 : 3;
        workers[i].age_ms = 61000;
        pointers[i] = &workers[i];
    }
    response.workers = pointers;
    response.n_workers = 3;
    return arrived(&response.base);
}

static inline ProtobufCMessage *make_events(int64_t at_ms)
{
    Probed__V1__ListEventsResponse response = PROBED__V1__LIST_EVENTS_RESPONSE__INIT;
    Probed__V1__EventInfo events[2], *pointers[] = {&events[0], &events[1]};

    for (size_t i = 0; i < 2; i++) {
        probed__v1__event_info__init(&events[i]);
        events[i].at_ms = at_ms - 60000 * (int64_t)i;
        events[i].home = LENT(i == 0 ? "" : "/home/a");
        events[i].generation = i;
        events[i].cause = i == 0 ? PROBED__V1__CAUSE__CAUSE_REQUESTED : PROBED__V1__CAUSE__CAUSE_OBSERVED;
        events[i].reason = LENT(i == 0 ? "rotated" : "");
    }
    response.events = pointers;
    response.n_events = 2;
    return arrived(&response.base);
}

/* A whole sample. */
static inline struct sample make_sample(Probed__V1__GetStatusResponse *look, size_t home_count, int64_t at_ms)
{
    struct sample sample = {
        .answers = {&look->base, make_homes(home_count, false), make_workers(), make_events(at_ms)}};

    return sample;
}

/* One of a daemon that can't be reached. */
static inline struct sample make_failure(const char *message)
{
    struct sample sample = {.answers = {NULL}};

    for (int part = 0; part < SAMPLE_PART_COUNT; part++) {
        sample.outcomes[part].code = PROBED_UNAVAILABLE;
        snprintf(sample.outcomes[part].message, sizeof sample.outcomes[part].message, "%s", message);
    }
    return sample;
}

#endif
