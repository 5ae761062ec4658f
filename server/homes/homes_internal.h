/* For the tests: homes with another walk, one that can be held up. */
#ifndef SERVER_HOMES_HOMES_INTERNAL_H
#define SERVER_HOMES_HOMES_INTERNAL_H

#include "server/homes/homes.h"
#include "server/homes/walk.h"

/* As homes_create, with `walk` in the place of walk_home. */
MUST_USE struct status homes_create_walking(const struct homes_settings *settings, walk_function *walk,
                                            struct homes **homes_out);

#endif
