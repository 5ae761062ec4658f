#include "server/engine/answer.h"

#include "server/base/invariant.h"

#include <stdint.h>
#include <stdlib.h>

struct answer *answer_create(size_t size)
{
    struct answer *answer = size > SIZE_MAX - sizeof *answer ? NULL : malloc(sizeof *answer + size);

    if (answer == NULL)
        return NULL;
    *answer = (struct answer){.size = size};
    atomic_init(&answer->holders, 1);
    return answer;
}

struct answer *answer_share(struct answer *answer)
{
    if (answer != NULL)
        atomic_fetch_add_explicit(&answer->holders, 1, memory_order_relaxed);
    return answer;
}

void answer_release(struct answer *answer)
{
    unsigned before;

    if (answer == NULL)
        return;
    before = atomic_fetch_sub_explicit(&answer->holders, 1, memory_order_acq_rel);
    INVARIANT(before > 0);
    if (before == 1)
        free(answer);
}
