/* A subscriber that hears everything, in order, and shows what it heard. */
#ifndef TESTS_SUPPORT_LISTENER_H
#define TESTS_SUPPORT_LISTENER_H

#include "gen/probed/v1/probe.pb-c.h"

#include <nng/nng.h>
#include <stdbool.h>

struct listener {
    nng_socket socket;
};

/* One thing that was published: an event of a home, or a heartbeat. */
struct heard {
    Probed__V1__CredentialEvent *event; /* one of the two is NULL */
    Probed__V1__Heartbeat *beat;
};

/* Returns once it hears something: what is published from then on reaches it. */
void listener_open(struct listener *listener, const char *url);

/* Only the socket, set up: for who dials it in another way. */
void listener_init(struct listener *listener);
void listener_close(struct listener *listener);

/* The next; heard_end() it. */
struct heard listener_next(struct listener *listener);

/* The next event, or the next heartbeat; others are passed over. */
struct heard listener_next_event(struct listener *listener);
struct heard listener_next_beat(struct listener *listener);

void heard_end(struct heard *heard);

#endif
