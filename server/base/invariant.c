#include "server/base/invariant.h"

#include "server/base/log.h"

#include <stdlib.h>

void invariant_broken(const char *file, int line, const char *condition)
{
    log_write(LOG_ERROR, "invariant broken",
              LOG_FIELDS(log_text("file", file), log_number("line", line), log_text("condition", condition)));
    abort();
}
