/* Formatting, limiting and writing log lines. */
#include "server/base/log.h"

#include "proto/utf8.h"
#include "server/base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_SIZE = 8192,
    END_SIZE = 3,     /* what may have to end a line: a quote, "}", and the line end */
    SLOT_COUNT = 128, /* events that are limited: there are about forty */
    NAME_SIZE = 64    /* of a field in the journal, by its own rule */
};

static _Atomic(const char *) log_program = "probed";
static atomic_int log_level = LOG_INFO;
static atomic_int log_format = LOG_FORMAT_TEXT;

/* Fixed by log_find_journal.  -1: standard error is not the journal's. */
static int journal_socket = -1;
static struct sockaddr_un journal_address = {.sun_family = AF_UNIX};

static const char *const level_names[LOG_LEVEL_COUNT] = {"error", "warn", "info", "debug", "trace"};
static const int priorities[LOG_LEVEL_COUNT] = {3, 4, 6, 7, 7}; /* syslog(3) */

struct line {
    char text[LINE_SIZE];
    size_t size;
    bool cut; /* something found no room: nothing is added any more but what ends the line */
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

/* ---- a line ---- */

/* All of it or nothing. */
static void put(struct line *line, const char *text, size_t size)
{
    line->cut = line->cut || line->size + size > LINE_SIZE - END_SIZE;
    if (line->cut)
        return;
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void put_string(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* The size of the character that begins here, of valid UTF-8. */
static size_t character_size(char lead)
{
    unsigned char c = (unsigned char)lead;

    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* What would end the quotes or the line is escaped, bytes that are no UTF-8 become '?'.  A text that is too long is cut
 * between two characters. */
static void put_escaped(struct line *line, const char *text)
{
    size_t size = strlen(text), valid = utf8_clip(text, size);

    for (size_t i = 0, step; i < size; i += step) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];

        step = 1;
        if (i == valid) {
            put(line, "?", 1);
            valid = i + 1 + utf8_clip(text + i + 1, size - i - 1);
        } else if (c == '"' || c == '\\') {
            put(line, (char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        } else {
            step = character_size(text[i]);
            put(line, text + i, step);
        }
    }
}

/* Quotes that were opened are closed: there is room for that (END_SIZE). */
static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"", 1);
    if (line->cut)
        return;
    put_escaped(line, text);
    line->text[line->size++] = '"';
}

/* A logfmt value needs quotes unless it is made of these. */
static bool is_bare(const char *text)
{
    return text[0] != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@+-") == strlen(text);
}

static void put_value(struct line *line, bool json, const char *text, int64_t number)
{
    char digits[24];

    if (text == NULL) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        put_string(line, digits);
    } else if (!json && is_bare(text)) {
        put_escaped(line, text);
    } else {
        put_quoted(line, text);
    }
}

/* A pair of which no more than the key finds room is left out. */
static void put_pair(struct line *line, bool json, const char *key, const char *text, int64_t number)
{
    size_t before = line->size, begun;

    if (line->size > (json ? 1 : 0))
        put_string(line, json ? "," : " ");
    if (json)
        put_quoted(line, key);
    else
        put_string(line, key);
    put_string(line, json ? ":" : "=");
    begun = line->size;
    if (!line->cut)
        put_value(line, json, text, number);
    if (line->cut && line->size == begun)
        line->size = before;
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

struct entry {
    enum log_level level;
    const char *event;
    const struct log_field *fields;
    size_t field_count;
};

/* The journal keeps time, level, program and event by themselves, and shows a line to a person. */
static void compose(struct line *line, const struct entry *entry, bool whole)
{
    bool json = atomic_load(&log_format) == LOG_FORMAT_JSON;

    line->size = 0;
    line->cut = false;
    if (json)
        put_string(line, "{");
    if (whole) {
        put_time(line, json);
        put_pair(line, json, "level", level_names[entry->level], 0);
        put_pair(line, json, "program", atomic_load(&log_program), 0);
    }
    if (whole || json)
        put_pair(line, json, "event", entry->event, 0);
    else
        put_string(line, entry->event);
    for (size_t i = 0; i < entry->field_count; i++)
        put_pair(line, json, entry->fields[i].key, entry->fields[i].text, entry->fields[i].number);
    if (json)
        line->text[line->size++] = '}';
    line->text[line->size++] = '\n';
}

/* ---- the journal ---- */

void log_find_journal(const char *socket_path)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat about;

    if (stream == NULL || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &about) != 0 ||
        about.st_dev != device || about.st_ino != inode)
        return;
    snprintf(journal_address.sun_path, sizeof journal_address.sun_path, "%s", socket_path);
    journal_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* "server.calls_max" is PROBED_SERVER_CALLS_MAX. */
static void name_field(const char *key, char name_out[NAME_SIZE])
{
    snprintf(name_out, NAME_SIZE, "PROBED_%s", key);
    for (char *c = name_out; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (*c == '.')
            *c = '_';
    }
}

/* A field, whole or not at all: "NAME=value", or where the value has a line end its size in eight bytes, and it. */
static void put_field(struct line *line, const char *name, const char *value)
{
    size_t size = strlen(value), name_size = strlen(name);

    if (line->size + name_size + 1 + sizeof(uint64_t) + size + 1 > LINE_SIZE - END_SIZE)
        return;
    put(line, name, name_size);
    if (strchr(value, '\n') == NULL) {
        put(line, "=", 1);
    } else {
        put(line, "\n", 1);
        for (unsigned i = 0; i < 64; i += 8)
            put(line, (char[]){(char)((uint64_t)size >> i)}, 1);
    }
    put(line, value, size);
    put(line, "\n", 1);
}

static void put_fields(struct line *line, const struct entry *entry)
{
    char name[NAME_SIZE], number[24];

    line->size = 0;
    line->cut = false;
    snprintf(number, sizeof number, "%d", priorities[entry->level]);
    put_field(line, "PRIORITY", number);
    put_field(line, "SYSLOG_IDENTIFIER", atomic_load(&log_program));
    put_field(line, "PROBED_EVENT", entry->event);
    for (size_t i = 0; i < entry->field_count; i++) {
        snprintf(number, sizeof number, "%lld", (long long)entry->fields[i].number);
        name_field(entry->fields[i].key, name);
        put_field(line, name, entry->fields[i].text == NULL ? number : entry->fields[i].text);
    }
}

/* False: the journal is not there, or takes no more at present. */
static bool tell_journal(struct line *message, const struct entry *entry)
{
    struct line fields;
    struct iovec parts[] = {
        {.iov_base = fields.text}, {.iov_base = "MESSAGE=", .iov_len = 8}, {.iov_base = message->text}};
    struct msghdr datagram = {.msg_name = &journal_address,
                              .msg_namelen = sizeof journal_address,
                              .msg_iov = parts,
                              .msg_iovlen = sizeof parts / sizeof parts[0]};

    put_fields(&fields, entry);
    parts[0].iov_len = fields.size;
    parts[2].iov_len = message->size;
    return sendmsg(journal_socket, &datagram, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* ---- writing ---- */

static void write_entry(const struct entry *entry)
{
    struct line line;
    struct iovec parts[2] = {{.iov_base = ""}, {.iov_base = line.text}};
    char prefix[8];

    compose(&line, entry, journal_socket < 0);
    if (journal_socket >= 0) {
        if (tell_journal(&line, entry))
            return;
        parts[0].iov_base = prefix;
        parts[0].iov_len = (size_t)snprintf(prefix, sizeof prefix, "<%d>", priorities[entry->level]);
    }
    parts[1].iov_len = line.size;
    if (writev(STDERR_FILENO, parts, 2) < 0)
        return; /* nobody listens to a diagnostic; there is nowhere left to say so */
}

/* ---- the limit ---- */

/* An event and its present second: the second in the upper half, how many lines in the lower. */
static struct slot {
    _Atomic(const char *) event;
    atomic_uint_fast64_t window;
} slots[SLOT_COUNT];

static uint64_t present_second(void)
{
    return clock_now_ns() / NS_PER_S & UINT32_MAX;
}

/* The event's, or a free one that is its from now on; NULL: there is none, and it is not limited. */
static struct slot *find_slot(const char *event)
{
    size_t first = (size_t)((uintptr_t)event >> 3) % SLOT_COUNT;

    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &slots[(first + i) % SLOT_COUNT];
        const char *found = atomic_load_explicit(&slot->event, memory_order_relaxed);

        if (found == event || (found == NULL && atomic_compare_exchange_strong(&slot->event, &found, event)) ||
            found == event)
            return slot;
    }
    return NULL;
}

/* A second is over, and whoever put the next in its place says what it did not show. */
static void say_left_out(const char *event, uint64_t window)
{
    uint64_t count = window & UINT32_MAX;
    const struct log_field fields[] = {log_text("of", event), log_number("lines", (int64_t)count),
                                       log_number("left_out", (int64_t)count - LOG_LINES_PER_SECOND_MAX)};

    if (count > LOG_LINES_PER_SECOND_MAX)
        write_entry(&(struct entry){LOG_WARN, "lines left out", fields, sizeof fields / sizeof fields[0]});
}

static bool may_show(const char *event)
{
    struct slot *slot = find_slot(event);
    uint64_t second = present_second(), window, next;

    if (slot == NULL)
        return true;
    window = atomic_load(&slot->window);
    do
        next = window >> 32 == second ? window + 1 : second << 32 | 1;
    while (!atomic_compare_exchange_weak(&slot->window, &window, next));
    if (window >> 32 != second)
        say_left_out(event, window);
    return (next & UINT32_MAX) <= LOG_LINES_PER_SECOND_MAX;
}

void log_flush(void)
{
    uint64_t second = present_second();

    for (size_t i = 0; i < SLOT_COUNT; i++) {
        const char *event = atomic_load(&slots[i].event);
        uint64_t window = atomic_load(&slots[i].window);

        if (event != NULL && window >> 32 != second && (window & UINT32_MAX) > LOG_LINES_PER_SECOND_MAX &&
            atomic_compare_exchange_strong(&slots[i].window, &window, second << 32))
            say_left_out(event, window);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t field_count)
{
    if (log_enabled(level) && (level >= LOG_DEBUG || may_show(event)))
        write_entry(&(struct entry){level, event, fields, field_count});
}
