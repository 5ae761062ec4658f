/* What the custodian makes of whatever a reader writes: a reader has read what strangers wrote. */
#include "server/custody/custodian/findings.h"
#include "tests/fuzz/input.h"

static void check_folder(const char *folder)
{
    INVARIANT(folder[0] != '/' && folder[0] != '\0');
    INVARIANT(strcmp(folder, "..") != 0 && strncmp(folder, "../", 3) != 0 && strstr(folder, "/../") == NULL);
}

/* Half of the bytes against the other half: adopting what differs ends, in what is the same. */
static void check_pair(struct findings *one, const struct findings *other)
{
    const char *difference;
    size_t count = 0;

    while ((difference = findings_difference(one, other)) != NULL) {
        char name[LIMIT_PROVIDER_SIZE_MAX + 1];

        strcpy(name, difference);
        INVARIANT(findings_adopt(one, other, name));
        INVARIANT(++count <= 2 * FINDINGS_LINE_COUNT_MAX);
    }
    INVARIANT(findings_digest(one) == findings_digest(other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *string = input_string(data, size);
    struct findings whole, head = {.count = 0}, tail = {.count = 0};

    if (findings_parse(string, size, &whole)) {
        for (size_t i = 0; i < whole.folder_count; i++)
            check_folder(whole.folders[i]);
        INVARIANT(strcmp(whole.folders[0], ".") == 0 && whole.count < FINDINGS_LINE_COUNT_MAX);
        findings_fini(&whole);
    }
    if (findings_parse(string, size / 2, &head) && findings_parse(string + size / 2, size - size / 2, &tail))
        check_pair(&head, &tail);
    findings_fini(&head);
    findings_fini(&tail);
    free(string);
    return 0;
}
