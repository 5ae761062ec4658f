/* From a request to a response: what was asked for, whether it is answered, and with what.
 *
 * Threads: the room's own. */
#ifndef SERVER_HTTP_ANSWER_H
#define SERVER_HTTP_ANSWER_H

#include "server/http/figures.h"

#include <microhttpd.h>
#include <stdbool.h>

/* What answers are made of. */
struct answerer {
    struct service *service; /* lent, as is the shell */
    struct shell *shell;
    struct figures *figures; /* owned: taken anew for each answer */
};

/* NULL figures when memory is short. */
void answerer_init(struct answerer *answerer, struct service *service, struct shell *shell);
void answerer_fini(struct answerer *answerer);

/* As MHD calls it: first with the head of a request, where whatever has a body is refused, then with its end.
 * `seen` tells the two apart.  names_homes: the peer may see them. */
enum MHD_Result answerer_request(struct answerer *answerer, struct MHD_Connection *connection, bool names_homes,
                                 const char *path, const char *method, void **seen);

#endif
