/* The figures in three forms, and what these have in common.
 *
 * Each adds to `body`, which remembers whether memory was short.  Threads: the room's own. */
#ifndef SERVER_HTTP_VIEWS_H
#define SERVER_HTTP_VIEWS_H

#include "server/base/text.h"
#include "server/http/figures.h"

void metrics_write(struct text *body, const struct figures *figures); /* Prometheus' text format 0.0.4 */
void report_write(struct text *body, const struct figures *figures);  /* JSON */
void page_write(struct text *body, const struct figures *figures);    /* HTML */

/* The page's Content-Security-Policy: our style and our script, named by their hashes, and nothing else.  After
 * page_setup, which is called once. */
const char *page_policy(void);
void page_setup(void);

/* "draining" and so on. */
const char *view_worker_state(enum worker_state state);

/* The time that the share `quantile` of the calls kept to, estimated within its bucket. */
double view_quantile_s(const struct timing_view *timing, double quantile);

#endif
