/* The counters' names. */
#include "server/engine/counter.h"

#include "server/base/invariant.h"

const char *engine_counter_name(enum engine_counter counter)
{
    static const char *const names[ENGINE_COUNTER_COUNT] = {
#define COUNTER(name, shown) [ENGINE_COUNTER_##name] = shown,
        ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    };

    INVARIANT((unsigned)counter < ENGINE_COUNTER_COUNT);
    return names[counter];
}
