/* Services for tests of the edge alone, in place of server/service (and of homes, for who is an administrator).
 *
 * grpc.health.v1.Health/Check does what `service` of its request says; AdminService/GetStatus answers an empty
 * message and is for administrators.
 *
 *     ""  "now"       replies in place, SERVING
 *     "closure"       the same through the closure, as protobuf-c means it;  "failure"  NULL to the closure
 *     "refuse"        fails with ABORTED "as you wish"
 *     "late"          replies from another thread, soon
 *     "hold"          replies when fake_release is called, or CANCELLED when the client has gone
 *     "linger"        returns from the handler only when fake_let_return was called, and holds then
 *     "size N"        replies N bytes that are no message
 *     "time"          replies, as a text, the milliseconds from arrival to deadline
 *     "who"           replies, as a text, the uid and whether it is an administrator
 *
 * What it counts can be waited for.  Threads: any. */
#ifndef TESTS_UNIT_FAKE_SERVICE_H
#define TESTS_UNIT_FAKE_SERVICE_H

#include "server/service/service.h"

#include <stdbool.h>
#include <stddef.h>

enum { FAKE_ADMIN_UID = 65533 }; /* besides root */

struct fake_counts {
    size_t started; /* handlers that were invoked */
    size_t held;    /* calls that wait for fake_release or for their client's departure */
    size_t left;    /* departures reported of calls that were held */
    size_t stray;   /* departures reported of calls that were not, or twice: none is right */
};

struct service *fake_service_create(void);
void fake_service_destroy(struct service *service); /* nothing may be held */

void fake_release(struct service *service);
void fake_let_return(struct service *service);

struct fake_counts fake_count(struct service *service);

/* Waits until so many calls are held; fails the test when they are not. */
void fake_wait_held(struct service *service, size_t count);

/* Waits until every call that was held has been released or given up. */
void fake_wait_none_held(struct service *service);

#endif
