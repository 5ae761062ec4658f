/* Event topics: what stands before the packed message on the event socket.
 *
 * A home's topic is "home:" + canonical path + "\n"; a heartbeat's is "beat\n".  The line end stops "/h/a" from
 * matching "/h/ab", as nng compares a bare prefix.  Source: proto/probed/v1/probe.proto. */
#ifndef PROTO_TOPIC_H
#define PROTO_TOPIC_H

#include "proto/limits.h"

#include <stddef.h>

#define TOPIC_BEAT "beat\n"
#define TOPIC_HOME "home:"

enum { TOPIC_SIZE_MAX = sizeof TOPIC_HOME - 1 + LIMIT_HOME_SIZE_MAX + 1 };

/* Writes the topic of `home` without terminator into at least TOPIC_SIZE_MAX bytes; its size. `home` is canonical. */
size_t topic_write(const char *home, char *out);

/* The size of the topic that `message` begins with, its line end included; 0 when there is none. */
size_t topic_size(const void *message, size_t size);

#endif
