#include "tests/support/fixture.h"

#include "server/worker/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char meta_end[] = ".meta.json";

/* Numbers within these are moments: no count, amount or length of a window is so large. */
enum { EPOCH_S_MIN = 1000000000 };
#define EPOCH_S_MAX  4000000000.0
#define EPOCH_MS_MIN (EPOCH_S_MIN * 1000.0)
#define EPOCH_MS_MAX (EPOCH_S_MAX * 1000.0)

static void fail(const char *path, const char *why)
{
    fprintf(stderr, "fixture: %s: %s\n", path, why);
    exit(EXIT_FAILURE);
}

static json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);

    if (json == NULL)
        fail(path, error.text);
    return json;
}

static void join(char out[FIXTURE_PATH_SIZE], const char *first, const char *between, const char *last)
{
    if (snprintf(out, FIXTURE_PATH_SIZE, "%s%s%s", first, between, last) >= FIXTURE_PATH_SIZE)
        fail(last, "its path is too long");
}

struct fixture *fixture_load(const char *path)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char meta_path[FIXTURE_PATH_SIZE];
    size_t size = strlen(path), end_size = strlen(meta_end);

    if (fixture == NULL)
        fail(path, "memory is short");
    if (size > end_size && strcmp(path + size - end_size, meta_end) == 0)
        size -= end_size;
    snprintf(fixture->stem, sizeof fixture->stem, "%.*s", (int)size, path);
    join(meta_path, fixture->stem, "", meta_end);
    fixture->meta = load_json(meta_path);
    snprintf(fixture->directory, sizeof fixture->directory, "%s", dirname(meta_path));
    return fixture;
}

void fixture_free(struct fixture *fixture)
{
    if (fixture == NULL)
        return;
    json_decref(fixture->meta);
    free(fixture);
}

const char *fixture_text(const struct fixture *fixture, const char *name)
{
    const char *text = json_string_value(json_object_get(fixture->meta, name));

    return text == NULL ? "" : text;
}

json_t *fixture_expected(const struct fixture *fixture)
{
    char path[FIXTURE_PATH_SIZE];

    join(path, fixture->stem, "", ".expected.json");
    return load_json(path);
}

void fixture_read(const struct fixture *fixture, const char *file, struct text *bytes)
{
    char path[FIXTURE_PATH_SIZE], chunk[65536];
    FILE *stream;
    size_t size;

    join(path, fixture->directory, "/", file);
    stream = fopen(path, "rb");
    if (stream == NULL)
        fail(path, strerror(errno));
    while ((size = fread(chunk, 1, sizeof chunk, stream)) > 0)
        text_add(bytes, chunk, size);
    if (ferror(stream) || bytes->failed)
        fail(path, "cannot be read");
    fclose(stream);
}

/* The folders on the way to a file. */
static void make_directories(const char *path)
{
    char partial[FIXTURE_PATH_SIZE];

    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(partial, sizeof partial, "%.*s", (int)(slash - path), path);
        if (mkdir(partial, 0700) != 0 && errno != EEXIST)
            fail(partial, strerror(errno));
    }
}

static void write_file(const char *path, const char *text, bool add)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (add ? O_APPEND : O_EXCL), 0600);
    size_t size = strlen(text);

    if (fd < 0 || write(fd, text, size) != (ssize_t)size || close(fd) != 0)
        fail(path, strerror(errno));
}

void fixture_write_home(const struct fixture *fixture, const char *member, const char *directory)
{
    json_t *files = json_object_get(fixture->meta, member);
    const char *name;
    json_t *text;

    json_object_foreach(files, name, text)
    {
        char path[FIXTURE_PATH_SIZE];

        join(path, directory, "/", name);
        make_directories(path);
        write_file(path, json_string_value(text), strcmp(name, ".env") == 0);
    }
}

static json_t *shift_number(double number, int64_t shift_s)
{
    if (number >= EPOCH_S_MIN && number < EPOCH_S_MAX)
        return json_integer((json_int_t)number + shift_s);
    return number >= EPOCH_MS_MIN && number < EPOCH_MS_MAX ? json_integer((json_int_t)number + shift_s * 1000) : NULL;
}

json_t *fixture_shift(const json_t *body, int64_t shift_s)
{
    json_t *shifted = NULL, *value;
    const char *name;
    size_t index;

    if (json_is_object(body)) {
        shifted = json_object();
        json_object_foreach((json_t *)(size_t)body, name, value)
            json_object_set_new(shifted, name, fixture_shift(value, shift_s));
    } else if (json_is_array(body)) {
        shifted = json_array();
        json_array_foreach(body, index, value) json_array_append_new(shifted, fixture_shift(value, shift_s));
    } else if (json_is_string(body)) {
        struct stamp stamp = stamp_read(body);

        if (stamp.known)
            shifted = json_string(stamp_write(stamp.s + shift_s).text);
    } else if (json_is_number(body)) {
        shifted = shift_number(json_number_value(body), shift_s);
    }
    return shifted != NULL ? shifted : json_deep_copy(body);
}
