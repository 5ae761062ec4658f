/* What a subscriber makes of whatever is published: any messages in any order, answers and doubts in between.  No home
 * goes backwards within an epoch, no jump is silent, and what is settled has nothing left to ask.
 *
 * The input is a row of pieces: what it is, how long, and its bytes. */
#include "client/chronicle.h"
#include "proto/arena.h"
#include "proto/wire.h"
#include "tests/fuzz/input.h"

enum { ARENA_SIZE_MAX = 1024 * 1024, PIECE_COUNT_MAX = 256 };

static const char home[] = "/a";

static struct chronicle chronicle;
static bool gap_told; /* of the home, or of any, since the last piece */

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void on_gap(void *context, const char *path, const char *reason)
{
    check(context == &chronicle && reason != NULL);
    gap_told = gap_told || path == NULL || strcmp(path, home) == 0;
}

static void hear(bool is_beat, const uint8_t *data, size_t size)
{
    uint64_t before = chronicle_generation(&chronicle, home), epoch = chronicle.epoch, now;
    bool begun = chronicle.begun, is_news = false;
    ProtobufCMessage *message;
    struct arena arena;
    struct status status;

    arena_init(&arena, NULL, 0, ARENA_SIZE_MAX);
    status = wire_unpack(is_beat ? &probed__v1__heartbeat__descriptor : &probed__v1__credential_event__descriptor, data,
                         size, &arena, &message);
    if (!status_is_ok(&status))
        chronicle_doubt(&chronicle, "unreadable");
    else if (is_beat)
        chronicle_hear_beat(&chronicle, (const Probed__V1__Heartbeat *)message);
    else
        is_news = chronicle_hear_event(&chronicle, (const Probed__V1__CredentialEvent *)message);
    arena_fini(&arena);
    now = chronicle_generation(&chronicle, home);
    if (epoch == chronicle.epoch) {
        check(now >= before);
        check(now == before || before == 0 || !begun || gap_told || (is_news && now == before + 1));
    } else {
        check(!begun || gap_told);
    }
}

static void answer(const uint8_t *data, size_t size)
{
    struct chronicle_answer answer = {.round = chronicle.round, .epoch = chronicle.epoch, .generation = size};

    if (chronicle_ask(&chronicle) == NULL)
        return;
    if (size > 0) { /* late, or of another epoch */
        answer.round -= data[0] & 1;
        answer.epoch += data[0] >> 1 & 1;
    }
    chronicle_hear_answer(&chronicle, &answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chronicle_init(&chronicle, size > 0 && (data[0] & 0x80) != 0, on_gap, &chronicle);
    check(chronicle_want(&chronicle, home));
    for (size_t i = 0; size >= 2 && i < PIECE_COUNT_MAX; i++) {
        size_t piece_size = data[1] < size - 2 ? data[1] : size - 2;

        gap_told = false;
        switch (data[0] & 3) {
        case 0:
        case 1:
            hear((data[0] & 1) != 0, data + 2, piece_size);
            break;
        case 2:
            answer(data + 2, piece_size);
            break;
        default:
            chronicle_doubt(&chronicle, "a doubt");
        }
        check(!chronicle.settled || chronicle_ask(&chronicle) == NULL);
        data += 2 + piece_size;
        size -= 2 + piece_size;
    }
    chronicle_fini(&chronicle);
    return 0;
}
