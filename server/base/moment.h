/* Points in time as workers and providers write them: ISO 8601 text or a number since 1970.  Rules:
 * server/worker/PROVIDERS.md 2.3.
 *
 * Text: YYYY-MM-DD (midnight UTC) or YYYY-MM-DDTHH:MM:SS[.1 to 9 digits][Z|+HH:MM|+HHMM]; no zone is UTC.
 * Number: seconds, or milliseconds from 1e12 on.
 * Whatever is impossible, before 1970 or behind the year 9999 counts as absent.
 *
 * Threads: any. */
#ifndef SERVER_BASE_MOMENT_H
#define SERVER_BASE_MOMENT_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds of Unix time; 0: absent. */
int64_t moment_from_text(const char *text, size_t size);
int64_t moment_from_number(double number);

#endif
