/* Reading what a reader wrote, and comparing it with what one wrote before; see findings.h. */
#include "server/custody/custodian/findings.h"

#include "server/base/invariant.h"

#include <stdlib.h>
#include <string.h>

/* ---- words: of a line, which ends at `end` ---- */

struct cursor {
    const char *at, *end;
};

static bool take_word(struct cursor *cursor, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(cursor->end - cursor->at) < size || memcmp(cursor->at, word, size) != 0)
        return false;
    cursor->at += size;
    return true;
}

static bool is_at_end(const struct cursor *cursor)
{
    return cursor->at == cursor->end;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    return found == NULL ? -1 : (int)(found - digits);
}

static bool take_fingerprint(struct cursor *cursor, unsigned char fingerprint_out[FINDINGS_FINGERPRINT_SIZE])
{
    if (cursor->end - cursor->at < 2 * FINDINGS_FINGERPRINT_SIZE)
        return false;
    for (size_t i = 0; i < FINDINGS_FINGERPRINT_SIZE; i++) {
        int high = hex_value(cursor->at[0]), low = hex_value(cursor->at[1]);

        if (high < 0 || low < 0)
            return false;
        fingerprint_out[i] = (unsigned char)(high << 4 | low);
        cursor->at += 2;
    }
    return true;
}

/* Of the bytes that a name (of a provider, or for a person) is made of. */
static bool take_name(struct cursor *cursor, char *name_out, size_t size_max)
{
    size_t size = 0;

    for (; cursor->at < cursor->end && *cursor->at != ' '; cursor->at++) {
        char byte = *cursor->at;
        bool allowed =
            (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';

        if (!allowed || size == size_max)
            return false;
        name_out[size++] = byte;
    }
    name_out[size] = '\0';
    return size > 0;
}

/* "." and ".claude/projects" are; "/etc", "a/../b", "./a", "a//b" and "" are not. */
static bool is_beneath(const char *folder)
{
    if (strcmp(folder, ".") == 0)
        return true;
    for (const char *at = folder;; at++) {
        size_t size = strcspn(at, "/");

        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && memcmp(at, "..", 2) == 0))
            return false;
        at += size;
        if (*at == '\0')
            return true;
    }
}

/* ---- lines ---- */

/* One more member behind the others; NULL: no memory. */
static void *grow(void *members, size_t count, size_t size)
{
    return reallocarray(members, count + 1, size);
}

static bool add_folder(struct findings *findings, const char *bytes, size_t size)
{
    char **folders = grow(findings->folders, findings->folder_count, sizeof *folders);
    char *folder = folders == NULL ? NULL : strndup(bytes, size);

    if (folders != NULL)
        findings->folders = folders;
    if (folder == NULL)
        return false;
    folders[findings->folder_count++] = folder;
    return true;
}

static bool has_folder(const struct findings *findings, const char *folder)
{
    for (size_t i = 0; i < findings->folder_count; i++) {
        if (strcmp(findings->folders[i], folder) == 0)
            return true;
    }
    return false;
}

static bool parse_watch(struct findings *findings, struct cursor *cursor)
{
    size_t size = (size_t)(cursor->end - cursor->at);
    char folder[FINDINGS_LINE_SIZE_MAX + 1];

    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)cursor->at[i] < ' ' || cursor->at[i] == 0x7f)
            return false;
        folder[i] = cursor->at[i];
    }
    folder[size] = '\0';
    if (!is_beneath(folder) || has_folder(findings, folder) ||
        (findings->folder_count == 0) != (strcmp(folder, ".") == 0))
        return false;
    return add_folder(findings, folder, size);
}

static bool parse_poll(struct findings *findings, struct cursor *cursor)
{
    char reason[FINDINGS_REASON_SIZE_MAX + 1];

    if (!take_name(cursor, reason, FINDINGS_REASON_SIZE_MAX) || !is_at_end(cursor))
        return false;
    if (findings->poll_reason[0] == '\0')
        memcpy(findings->poll_reason, reason, sizeof reason);
    return true;
}

/* Where this name is, or would be. */
static size_t find_place(const struct findings *findings, const char *name, bool *found_out)
{
    size_t place = 0;
    int order = -1;

    while (place < findings->count && (order = strcmp(findings->of[place].name, name)) < 0)
        place++;
    *found_out = place < findings->count && order == 0;
    return place;
}

static bool insert(struct findings *findings, size_t place, const struct finding *finding)
{
    struct finding *of = grow(findings->of, findings->count, sizeof *of);

    if (of == NULL)
        return false;
    findings->of = of;
    memmove(of + place + 1, of + place, (findings->count - place) * sizeof *of);
    of[place] = *finding;
    findings->count++;
    return true;
}

static bool parse_fingerprint(struct findings *findings, struct cursor *cursor, const char *name)
{
    struct finding finding = {.name = ""};
    bool found;
    size_t place;

    strcpy(finding.name, name);
    if (!take_fingerprint(cursor, finding.fingerprint) || !is_at_end(cursor))
        return false;
    place = find_place(findings, finding.name, &found);
    return !found && insert(findings, place, &finding);
}

static bool parse_provider(struct findings *findings, struct cursor *cursor)
{
    char name[LIMIT_PROVIDER_SIZE_MAX + 1];

    return take_name(cursor, name, LIMIT_PROVIDER_SIZE_MAX) && take_word(cursor, " ") &&
           parse_fingerprint(findings, cursor, name);
}

static bool parse_line(struct findings *findings, struct cursor *cursor)
{
    if (take_word(cursor, "watch "))
        return parse_watch(findings, cursor);
    if (take_word(cursor, "poll "))
        return parse_poll(findings, cursor);
    if (take_word(cursor, "provider "))
        return parse_provider(findings, cursor);
    return take_word(cursor, "home ") && parse_fingerprint(findings, cursor, "");
}

/* Whether this was the last line, and a whole one: nothing may stand behind it. */
static bool parse_lines(struct findings *findings, const char *bytes, size_t size)
{
    const char *at = bytes, *end = bytes + size;

    for (size_t count = 0; count < FINDINGS_LINE_COUNT_MAX && at < end; count++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        struct cursor cursor = {at, line_end};

        if (line_end == NULL || line_end - at >= FINDINGS_LINE_SIZE_MAX)
            return false;
        at = line_end + 1;
        if (take_word(&cursor, "end") && is_at_end(&cursor))
            return at == end && findings->folder_count > 0;
        if (!parse_line(findings, &cursor))
            return false;
    }
    return false;
}

bool findings_parse(const char *bytes, size_t size, struct findings *findings_out)
{
    struct findings findings = {.count = 0};

    if (!parse_lines(&findings, bytes, size)) {
        findings_fini(&findings);
        return false;
    }
    *findings_out = findings;
    return true;
}

void findings_fini(struct findings *findings)
{
    for (size_t i = 0; i < findings->folder_count; i++)
        free(findings->folders[i]);
    free(findings->folders);
    free(findings->of);
    *findings = (struct findings){.count = 0};
}

/* ---- comparing ---- */

static bool is_same(const struct finding *one, const struct finding *other)
{
    return strcmp(one->name, other->name) == 0 &&
           memcmp(one->fingerprint, other->fingerprint, sizeof one->fingerprint) == 0;
}

const char *findings_difference(const struct findings *one, const struct findings *other)
{
    size_t i = 0;

    /* Both are in order, so they differ first where they have not the same in the same place. */
    while (i < one->count && i < other->count && is_same(&one->of[i], &other->of[i]))
        i++;
    if (i == one->count)
        return i == other->count ? NULL : other->of[i].name;
    if (i == other->count || strcmp(one->of[i].name, other->of[i].name) <= 0)
        return one->of[i].name;
    return other->of[i].name;
}

static void drop(struct findings *findings, size_t place)
{
    findings->count--;
    memmove(findings->of + place, findings->of + place + 1, (findings->count - place) * sizeof *findings->of);
}

bool findings_adopt(struct findings *findings, const struct findings *other, const char *name)
{
    bool here, there;
    size_t place = find_place(findings, name, &here), other_place = find_place(other, name, &there);

    if (!there && here)
        drop(findings, place);
    if (there && here)
        findings->of[place] = other->of[other_place];
    return here || !there || insert(findings, place, &other->of[other_place]);
}

/* FNV-1a: what goes in is as good as random, and the order is that of the names. */
static uint64_t stir(uint64_t digest, const void *bytes, size_t size)
{
    for (const unsigned char *at = bytes, *end = at + size; at < end; at++)
        digest = (digest ^ *at) * UINT64_C(0x100000001b3);
    return digest;
}

uint64_t findings_digest(const struct findings *findings)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < findings->count; i++) {
        digest = stir(digest, findings->of[i].name, strlen(findings->of[i].name) + 1);
        digest = stir(digest, findings->of[i].fingerprint, FINDINGS_FINGERPRINT_SIZE);
    }
    return digest == 0 ? 1 : digest;
}
