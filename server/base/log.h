/* One line an event on standard error: logfmt or JSON, one write(2) a line, so that lines of several threads and
 * processes do not mix.  A secret never comes here; `log_text` escapes what it is given.
 *
 * Threads: any, once log_setup was called; it may be called again at any time. */
#ifndef SERVER_BASE_LOG_H
#define SERVER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_LEVEL_COUNT };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *key;
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

bool log_enabled(enum log_level level);

/* `event` says what happened in a few words; the fields say to whom.  A line is cut at 8 KiB. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t field_count);

#endif
