/* Taking out of a stranger's line what may be a secret, before it is shown to anybody.
 *
 * Who wrote the line is not trusted to have kept it clean, and what its secrets are is not known here: so everything
 * that looks like one goes, and "[redacted]" stands in its place:
 *
 *   - what is named: the value behind `key`, `token`, `secret`, `password`, `passwd`, `credential`, `authorization`,
 *     `cookie`, `session` or `auth`, as the whole or the end of a name, and '=' or ':' (`API_KEY=…`, `"token": "…"`);
 *     behind `authorization:` two words, of which the first may be a scheme;
 *   - what is presented: the word behind `Bearer` or `Basic`, and user and password in a URL;
 *   - what has a known beginning: `sk-`, `ghp_`, `xoxb-`, `eyJ` and their like;
 *   - what looks drawn at random: sixteen or more letters, digits, '-', '_', '+', '=' in a row with digits among them,
 *     forty without, and what hangs on to it by dots.
 *
 * A word that merely looks so is lost as well: a diagnostic is worth less than a credential.  Threads: any. */
#ifndef SERVER_BASE_REDACT_H
#define SERVER_BASE_REDACT_H

#include <stddef.h>

/* Writes the line without its secrets into `out`, cut to `out_size` - 1 bytes and terminated.  `line` is terminated and
 * lies elsewhere; out_size is not 0. */
void redact_line(const char *line, char *out, size_t out_size);

#endif
