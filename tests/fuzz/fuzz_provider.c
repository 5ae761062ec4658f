/* A provider's body: whatever it is, every provider makes a snapshot of it that is one line of sound JSON, within
 * limits.h, without the credential in it. */
#include "server/worker/document.h"
#include "server/worker/inquiry.h"
#include "server/worker/snapshot.h"

#include "proto/utf8.h"
#include "tests/fuzz/input.h"

#include <math.h>

static const char secret[] = "sk-fuzz-0123456789-abcdefghij";

enum { NOW_S = 1772366400 /* 2026-03-01T12:00:00Z */ };

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void check_text(const char *text, size_t character_count_max)
{
    INVARIANT(count_characters(text) <= character_count_max);
    INVARIANT(utf8_valid(text, strlen(text)) && !utf8_has_control(text, strlen(text)));
}

static void check_reading(const struct reading *reading)
{
    INVARIANT(reading->window_count <= LIMIT_WINDOW_COUNT_MAX && reading->detail_count <= LIMIT_DETAIL_COUNT_MAX &&
              reading->balance_count <= LIMIT_BALANCE_COUNT_MAX);
    check_text(reading->plan, LIMIT_PLAN_CHARACTERS_MAX);
    for (size_t i = 0; i < reading->window_count; i++) {
        const struct reading_window *window = &reading->windows[i];

        INVARIANT(window->label[0] != '\0' && window->used_percent >= 0 && window->used_percent <= 100);
        INVARIANT(window->length_s >= 0);
        INVARIANT(!window->reset_at.known || (window->reset_at.s > 0 && window->reset_at.s <= STAMP_S_MAX));
        check_text(window->label, LIMIT_LABEL_CHARACTERS_MAX);
        check_text(window->detail, LIMIT_TEXT_CHARACTERS_MAX);
    }
    for (size_t i = 0; i < reading->detail_count; i++)
        check_text(reading->details[i], LIMIT_TEXT_CHARACTERS_MAX);
    for (size_t i = 0; i < reading->balance_count; i++) {
        INVARIANT(isfinite(reading->balances[i].amount));
        check_text(reading->balances[i].label, LIMIT_LABEL_CHARACTERS_MAX);
        check_text(reading->balances[i].currency, LIMIT_LABEL_CHARACTERS_MAX);
    }
}

static void check_line(const struct snapshot *snapshot)
{
    struct text line = TEXT_EMPTY;
    json_t *json;

    INVARIANT(snapshot_write(snapshot, NULL, &line));
    INVARIANT(memchr(line.bytes, '\n', line.size) == NULL);
    INVARIANT(memmem(line.bytes, line.size, secret, strlen(secret)) == NULL);
    json = json_loadb(line.bytes, line.size, JSON_REJECT_DUPLICATES, NULL);
    INVARIANT(json_is_object(json));
    INVARIANT(json_is_true(json_object_get(json, "available")) ==
              json_is_null(json_object_get(json, "unavailable_reason")));
    json_decref(json);
    text_fini(&line);
}

static void ask(const struct provider *provider, const struct credential *credential, const json_t *body, bool again)
{
    static struct snapshot snapshot; /* clean here: 70 KiB are not cleaned for each provider that finds nothing */
    struct inquiry inquiry = {.provider = provider, .credential = credential, .now_s = NOW_S};
    struct bodies bodies = {.bodies = {body, body},
                            .count = again ? 2 : 1,
                            .is_otherwise = again,
                            .base = &inquiry.base,
                            .credential = credential,
                            .now_s = NOW_S};
    struct text path = TEXT_EMPTY;

    if (provider->base_url != NULL)
        INVARIANT(base_url_parse(provider->base_url, &inquiry.base));
    if (provider->further != NULL && provider->further(&bodies, &path))
        INVARIANT(strpbrk(text_string(&path), " #\\\r\n") == NULL);
    snapshot.source = provider->source;
    snapshot.title = provider->title;
    snapshot.fetched_at_s = NOW_S;
    snapshot.outcome = inquiry_read(&inquiry, &bodies, &snapshot.reading);
    if (snapshot.outcome.status != ACCOUNT_NO_DATA || snapshot.reading.plan[0] != '\0' || snapshot.reading.exhausted) {
        check_reading(&snapshot.reading);
        check_line(&snapshot);
        snapshot = (struct snapshot){.source = NULL};
    }
    text_fini(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *body = document_parse((const char *)data, size);
    struct credential credential = {.kind = CREDENTIAL_API_KEY, .record = body};

    text_add_string(&credential.secret, secret);
    for (const struct provider *const *row = providers; body != NULL && *row != NULL; row++) {
        ask(*row, &credential, body, false);
        if ((*row)->further != NULL || (*row)->path_otherwise != NULL)
            ask(*row, &credential, body, true);
    }
    credential_fini(&credential);
    json_decref(body);
    return 0;
}
