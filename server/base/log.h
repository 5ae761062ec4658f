/* One line an event on standard error: logfmt or JSON, one write(2) a line, so that lines of several threads and
 * processes do not mix.  A secret never comes here; `log_text` escapes what it is given.
 *
 * Where standard error is the journal's (systemd.exec(5), JOURNAL_STREAM) an event goes to the journal's own socket,
 * each field a field there: PRIORITY, SYSLOG_IDENTIFIER, PROBED_EVENT, PROBED_WORKER, …, and the line as MESSAGE.
 *
 * Errors, warnings and infos are limited: of one event LOG_LINES_PER_SECOND_MAX a second are shown, and how many were
 * not is said when that second is over.  Debug and trace are for whoever asked for all of it.
 *
 * Threads: any, once log_setup was called; it may be called again at any time. */
#ifndef SERVER_BASE_LOG_H
#define SERVER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_LEVEL_COUNT };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum { LOG_LINES_PER_SECOND_MAX = 100 };

struct log_field {
    const char *key;  /* lower case, digits, '_' and '.' */
    const char *text; /* lent; NULL: a number */
    int64_t number;
};

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){key, text == NULL ? "" : text, 0};
}

static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){key, NULL, number};
}

/* LOG_FIELDS(log_text(…), log_number(…)): the two last arguments of log_write. */
#define LOG_FIELDS(...)                                                                                                \
    (const struct log_field[]){__VA_ARGS__}, sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)
#define LOG_NO_FIELDS NULL, 0

/* Who speaks ("probed", lent for ever), from which level on, and how.  Before it: LOG_INFO, text, "probed". */
void log_setup(const char *program, enum log_level level, enum log_format format);

/* Looks whether standard error is the journal's, which takes entries at `socket_path`.  Once, before any thread. */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
void log_find_journal(const char *socket_path);

bool log_enabled(enum log_level level);

/* `event` says what happened in a few words, lent for ever; the fields say to whom.  A line has at most 8 KiB:
 * the value that reaches there is cut, what comes behind it is left out, and JSON stays JSON. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t field_count);

/* Says what was left out of seconds that are over; so does the next line of that event. */
void log_flush(void);

#endif
