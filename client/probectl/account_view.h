/* An account's usage for a person: who it is, a line and a bar per window, what else is known, and how old that is. */
#ifndef CLIENT_PROBECTL_ACCOUNT_VIEW_H
#define CLIENT_PROBECTL_ACCOUNT_VIEW_H

#include "client/probectl/view.h"
#include "gen/probed/v1/probe.pb-c.h"

/* Ends with a line end. */
void account_view_print(const struct view *view, const Probed__V1__ProbeResponse *response);

#endif
