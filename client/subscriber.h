/* The subscriber's inside: what the cache calls. */
#ifndef CLIENT_SUBSCRIBER_H
#define CLIENT_SUBSCRIBER_H

#include <probed/client.h>

/* The path by which events call this home, if it is one of those listened to; else `home` itself.  Lent as both are. */
const char *subscriber_canonical(const struct probed_subscriber *subscriber, const char *home);

#endif
