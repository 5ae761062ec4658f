#include "server/worker/inquiry.h"

#include "server/worker/document.h"

#include <string.h>
#include <strings.h>

enum { PART_SIZE_MAX = 64 };

/* ---- where it goes ---- */

/* The base that stands beside the credential in its file: a pool entry has its own and knows no other. */
static const char *inquiry_base_beside(const struct provider *provider, const struct credential *credential)
{
    const char *member = provider->base_url_member;

    if (member == NULL && credential->origin == CREDENTIAL_FROM_POOL)
        member = "base_url";
    return member == NULL ? NULL : document_string(credential->record, member);
}

/* Adds the base that somebody configured for this credential; false when nobody did. */
static bool inquiry_find_base(const struct provider *provider, const struct keyring *keyring,
                              const struct credential *credential, struct text *given)
{
    const char *beside = inquiry_base_beside(provider, credential);

    if (beside != NULL)
        text_add_string(given, beside);
    else if (credential->origin == CREDENTIAL_FROM_POOL || provider->base_url_variable == NULL)
        return false;
    else
        return keyring_variable(keyring, provider->base_url_variable, given);
    return true;
}

/* An entry of a pool names a base where the provider has one host alone: it must be that. */
static bool inquiry_fix_base(struct inquiry *inquiry)
{
    struct base_url fixed;

    if (!base_url_parse(inquiry->provider->base_url, &fixed) || strcasecmp(fixed.host, inquiry->base.host) != 0)
        return false;
    inquiry->base = fixed;
    return true;
}

/* Another tool's sign-in goes to its vendor alone. */
static bool inquiry_allows_override(struct inquiry *inquiry)
{
    const struct provider *provider = inquiry->provider;

    if (provider->own_domains_only || inquiry->credential->origin == CREDENTIAL_FROM_FOREIGN)
        return base_url_is_within(&inquiry->base, provider->own_domains);
    if (provider->base_url_variable == NULL)
        return inquiry_fix_base(inquiry);
    return true;
}

static enum inquiry_end inquiry_choose_base(struct inquiry *inquiry, const struct keyring *keyring)
{
    const struct provider *provider = inquiry->provider;
    struct text given = TEXT_EMPTY;
    bool overridden = inquiry_find_base(provider, keyring, inquiry->credential, &given);
    enum inquiry_end end = INQUIRY_READY;

    if (!overridden && provider->base_url == NULL)
        return INQUIRY_INCOMPLETE;
    if (!overridden)
        text_add_string(&given, provider->base_url);
    if (given.failed)
        end = INQUIRY_NO_MEMORY;
    else if (!base_url_parse(text_string(&given), &inquiry->base) || (overridden && !inquiry_allows_override(inquiry)))
        end = INQUIRY_NOT_ALLOWED;
    else if (provider->base_path_dropped)
        base_url_drop_path(&inquiry->base);
    text_fini(&given);
    return end;
}

/* It goes into the URL as it is: only what needs no escape is one. */
static bool inquiry_find_part(struct inquiry *inquiry, const struct keyring *keyring)
{
    struct text *part = &inquiry->part;

    return keyring_variable(keyring, inquiry->provider->part_variable, part) && part->size <= PART_SIZE_MAX &&
           strspn(text_string(part), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == part->size;
}

/* ---- what goes along ---- */

static void inquiry_compose_headers(struct inquiry *inquiry)
{
    const struct provider *provider = inquiry->provider;
    const struct text *secret = &inquiry->credential->secret;
    struct text *lines = &inquiry->lines;

    text_add_string(lines, "Accept: application/json\n");
    text_add_string(lines, provider->authorization);
    text_add(lines, text_string(secret), secret->size);
    text_add_string(lines, "\n");
    for (const char *const *header = provider->headers; *header != NULL; header++) {
        text_add_string(lines, *header);
        text_add_string(lines, "\n");
    }
    if (provider->identify != NULL)
        provider->identify(inquiry->credential, lines);
}

enum inquiry_end inquiry_open(struct inquiry *inquiry, const struct provider *provider, const struct keyring *keyring,
                              const struct credential *credential, int64_t now_s)
{
    enum inquiry_end end;

    *inquiry = (struct inquiry){.provider = provider, .credential = credential, .now_s = now_s};
    end = inquiry_choose_base(inquiry, keyring);
    if (end != INQUIRY_READY)
        return end;
    if (provider->part_variable != NULL && !inquiry_find_part(inquiry, keyring))
        return INQUIRY_INCOMPLETE;
    inquiry_compose_headers(inquiry);
    return inquiry->lines.failed || inquiry->part.failed ? INQUIRY_NO_MEMORY : INQUIRY_READY;
}

void inquiry_fini(struct inquiry *inquiry)
{
    text_fini(&inquiry->part);
    text_wipe(&inquiry->lines);
}

void inquiry_address(const struct inquiry *inquiry, const char *path, struct text *url)
{
    const struct provider *provider = inquiry->provider;

    if (path == NULL && provider->address != NULL) {
        provider->address(
            &(struct target){.base = inquiry->base.text, .part = text_string(&inquiry->part), .now_s = inquiry->now_s},
            url);
    } else {
        text_add_string(url, inquiry->base.text);
        text_add_string(url, path == NULL ? provider->path : path);
    }
}

/* ---- what comes of it ---- */

static struct outcome inquiry_judge(const struct inquiry *inquiry, const struct http_answer *answer)
{
    switch (answer->end) {
    case HTTP_ANSWERED:
        if (answer->status == inquiry->provider->limit_status)
            return outcome_limited(answer->status, answer->retry_after, inquiry->now_s);
        return outcome_http(answer->status, inquiry->credential->kind, answer->retry_after, inquiry->now_s);
    case HTTP_OVERSIZED:
        return outcome_failure(FAILURE_OVERSIZED, answer->status);
    case HTTP_UNREADABLE:
        return outcome_failure(FAILURE_UNREADABLE, answer->status);
    case HTTP_TIMED_OUT:
        return outcome_failure(FAILURE_TIMED_OUT, 0);
    case HTTP_FORBIDDEN:
        return outcome_failure(FAILURE_FORBIDDEN, 0);
    case HTTP_UNREACHABLE:
    case HTTP_ABANDONED:
        break;
    }
    return outcome_failure(FAILURE_UNREACHABLE, 0);
}

json_t *inquiry_body(const struct inquiry *inquiry, const struct http_answer *answer, struct outcome *outcome_out)
{
    json_t *body;

    if (answer->end != HTTP_ANSWERED || answer->status != 200) {
        *outcome_out = inquiry_judge(inquiry, answer);
        return NULL;
    }
    body = document_parse(text_string(&answer->body), answer->body.size);
    if (body == NULL)
        *outcome_out = outcome_failure(FAILURE_UNREADABLE, answer->status);
    return body;
}

struct outcome inquiry_read(const struct inquiry *inquiry, const struct bodies *bodies, struct reading *reading)
{
    struct outcome outcome;

    inquiry->provider->read(bodies, reading);
    if (reading->error != BODY_FINE)
        outcome = outcome_body(reading->error, reading->error_code.text);
    else if (reading_mentions(reading, text_string(&inquiry->credential->secret)))
        outcome = outcome_failure(FAILURE_UNREADABLE, 200);
    else if (!reading_is_usable(reading))
        return outcome_failure(FAILURE_NO_DATA, 200); /* a plan may be there */
    else
        return outcome_usable(reading->exhausted);
    *reading = (struct reading){.exhausted = false};
    return outcome;
}
