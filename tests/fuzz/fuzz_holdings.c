/* A home with any `.env` and any auth.json, the same bytes in both: what a reader tells of it are the lines that were
 * agreed, and the same values written in another way give the same lines.
 *
 * It changes the working directory: folders of inputs are to be named from the root. */
#include "server/reader/holdings.h"
#include "server/worker/document.h"
#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 256, LINE_COUNT_MAX = 128, FINGERPRINT_DIGIT_COUNT = 64 };

static char home[] = "/dev/shm/fuzz-holdings-XXXXXX"; /* in memory: a disk would allow a hundred inputs a second */
static struct holdings holdings;

static void leave(void)
{
    (void)unlinkat(holdings.home_fd, ".env", 0);
    (void)unlinkat(holdings.home_fd, "auth.json", 0);
    (void)rmdir(home);
}

static void enter(void)
{
    if (holdings.home_fd > 0)
        return;
    INVARIANT(secret_setup() == 0 && mkdtemp(home) != NULL);
    holdings = (struct holdings){.home_fd = files_open_directory(home), .user_home_fd = -1};
    INVARIANT(holdings.home_fd > 0 && atexit(leave) == 0);
}

static void put(const char *name, const void *bytes, size_t size)
{
    int fd = openat(holdings.home_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    INVARIANT(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
}

static void check_lines(const char *lines)
{
    size_t count = 0;

    for (; *lines != '\0'; count++) {
        size_t size = strcspn(lines, "\n");
        const char *digits = memrchr(lines, ' ', size);

        INVARIANT(lines[size] == '\n' && size < LINE_SIZE_MAX && digits != NULL);
        INVARIANT(strncmp(lines, "provider ", 9) == 0 || strncmp(lines, "home ", 5) == 0);
        INVARIANT(strspn(digits + 1, "0123456789abcdef") == FINGERPRINT_DIGIT_COUNT);
        lines += size + 1;
    }
    INVARIANT(count >= 1 && count <= LINE_COUNT_MAX);
}

static struct text tell(void)
{
    struct text lines = TEXT_EMPTY;
    struct places places;

    INVARIANT(holdings_read(&holdings, &places, &lines) == HOLDINGS_READ);
    INVARIANT(places.count == 1 && !places.polled[POLL_LINK]);
    check_lines(text_string(&lines));
    return lines;
}

/* By name, with other blanks and escapes. */
static void rewrite(const json_t *document)
{
    char *text = json_dumps(document, JSON_SORT_KEYS | JSON_INDENT(1) | JSON_ENSURE_ASCII);

    INVARIANT(text != NULL);
    put("auth.json", text, strlen(text));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *document = document_parse((const char *)data, size);
    struct text before, after;

    enter();
    put(".env", data, size);
    put("auth.json", data, size);
    before = tell();
    if (document != NULL)
        rewrite(document);
    after = tell();
    INVARIANT(strcmp(text_string(&before), text_string(&after)) == 0);
    text_fini(&before);
    text_fini(&after);
    json_decref(document);
    return 0;
}
