/* Formatting and writing log lines. */
#include "server/base/log.h"

#include "proto/utf8.h"
#include "server/base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 8192 };

static _Atomic(const char *) log_program = "probed";
static atomic_int log_level = LOG_INFO;
static atomic_int log_format = LOG_FORMAT_TEXT;

static const char *const level_names[LOG_LEVEL_COUNT] = {"error", "warn", "info", "debug", "trace"};

struct line {
    char text[LINE_SIZE];
    size_t size;
};

void log_setup(const char *program, enum log_level level, enum log_format format)
{
    atomic_store(&log_program, program);
    atomic_store(&log_level, (int)level);
    atomic_store(&log_format, (int)format);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static void put(struct line *line, const char *text, size_t size)
{
    size_t room = LINE_SIZE - 1 - line->size; /* the last byte is the line end's */

    if (size > room)
        size = room;
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void put_string(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Quoted, with what would end the quotes or the line escaped; bytes that are no UTF-8 become '?'. */
static void put_quoted(struct line *line, const char *text)
{
    size_t size = strlen(text), valid = utf8_clip(text, size);

    put(line, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];

        if (i == valid) {
            put(line, "?", 1);
            valid = i + 1 + utf8_clip(text + i + 1, size - i - 1);
        } else if (c == '"' || c == '\\') {
            put(line, (char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        } else {
            put(line, text + i, 1);
        }
    }
    put(line, "\"", 1);
}

/* A logfmt value needs quotes unless it is made of these. */
static bool is_bare(const char *text)
{
    return text[0] != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@+-") == strlen(text);
}

static void put_pair(struct line *line, bool json, const char *key, const char *text, int64_t number)
{
    char digits[24];

    if (line->size > 1)
        put_string(line, json ? "," : " ");
    if (json) {
        put_quoted(line, key);
        put_string(line, ":");
    } else {
        put_string(line, key);
        put_string(line, "=");
    }
    if (text == NULL) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        put_string(line, digits);
    } else if (!json && is_bare(text)) {
        put_string(line, text);
    } else {
        put_quoted(line, text);
    }
}

static void put_time(struct line *line, bool json)
{
    int64_t now_ms = clock_wall_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm parts;
    char stamp[40];
    size_t size;

    gmtime_r(&now_s, &parts);
    size = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp + size, sizeof stamp - size, ".%03dZ", (int)(now_ms % 1000));
    put_pair(line, json, "time", stamp, 0);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t field_count)
{
    struct line line;
    bool json = atomic_load(&log_format) == LOG_FORMAT_JSON;

    if (!log_enabled(level))
        return;
    line.size = 0;
    if (json)
        put_string(&line, "{");
    put_time(&line, json);
    put_pair(&line, json, "level", level_names[level], 0);
    put_pair(&line, json, "program", atomic_load(&log_program), 0);
    put_pair(&line, json, "event", event, 0);
    for (size_t i = 0; i < field_count; i++)
        put_pair(&line, json, fields[i].key, fields[i].text, fields[i].number);
    if (json)
        put_string(&line, "}");
    line.text[line.size++] = '\n';
    if (write(STDERR_FILENO, line.text, line.size) < 0)
        return; /* nobody listens to a diagnostic; there is nowhere left to say so */
}
