#include "server/worker/pool_ask.h"

#include "server/worker/document.h"
#include "server/worker/inquiry.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_TIMEOUT_MS = 4000, STATUS_UNAUTHORIZED = 401 };

/* About one row. */
struct pool_question {
    struct pool_row *row;
    struct credential credential;
    struct inquiry inquiry;
    struct text account; /* empty: unknown */
    struct text url;
    const struct pool_question *same; /* the account was asked about already; NULL: it was not */
    bool is_due, is_asked;
    struct outcome outcome;
    const struct reading *reading; /* the summary's; NULL: nothing was told */
};

struct pool_round {
    const struct pool_asking *asking;
    struct pool_summary *summary;
    struct pool_question *questions; /* owned, LIMIT_CREDENTIAL_COUNT_MAX at most */
    size_t count;
    bool is_heard;
    enum pool_ask_end end;
};

/* ---- questions ---- */

static void question_fini(struct pool_question *question)
{
    inquiry_fini(&question->inquiry);
    credential_fini(&question->credential);
    text_fini(&question->account);
    text_fini(&question->url);
}

/* Why the entry cannot be asked about; NULL: it can. */
static const char *question_fill(struct pool_round *round, struct pool_question *question, const json_t *entry)
{
    const struct pool_asking *asking = round->asking;
    const char *token = pool_entry_token(entry);
    enum inquiry_end end;

    question->credential =
        (struct credential){.kind = asking->provider->kind, .origin = CREDENTIAL_FROM_POOL, .record = entry};
    text_add_string(&question->credential.secret, token);
    if (!credential_is_sendable(token, strlen(token)))
        return outcome_reason(FAILURE_UNSENDABLE);
    if (credential_is_placeholder(token))
        return pool_mark_reason(POOL_TOKENLESS);
    end = inquiry_open(&question->inquiry, asking->provider, asking->keyring, &question->credential, asking->now_s);
    if (end == INQUIRY_NOT_ALLOWED || end == INQUIRY_INCOMPLETE)
        return outcome_reason(FAILURE_BASE_URL);
    inquiry_address(&question->inquiry, NULL, &question->url);
    if (asking->provider->account != NULL)
        asking->provider->account(&question->credential, &question->account);
    if (end == INQUIRY_NO_MEMORY || question->url.failed || question->credential.secret.failed)
        round->end = POOL_ASK_NO_MEMORY;
    question->is_due = true;
    return NULL;
}

/* The question before this one that asks about the same account at the same place. */
static const struct pool_question *question_same(const struct pool_round *round, const struct pool_question *question)
{
    if (question->account.size == 0)
        return NULL;
    for (const struct pool_question *other = round->questions; other < question; other++) {
        if (other->same == NULL && strcmp(text_string(&other->account), text_string(&question->account)) == 0 &&
            strcmp(other->inquiry.base.text, question->inquiry.base.text) == 0)
            return other;
    }
    return NULL;
}

static void round_gather(struct pool_round *round, const struct pool *pool)
{
    for (size_t i = 0; i < round->summary->row_count; i++) {
        struct pool_question *question = &round->questions[round->count];
        struct pool_row *row = &round->summary->rows[i];
        const char *reason;

        if (row->status != POOL_ROW_AVAILABLE)
            continue;
        *question = (struct pool_question){.row = row};
        reason = question_fill(round, question, pool->entries[i].json);
        if (reason != NULL) {
            pool_row_set(round->summary, row, POOL_ROW_UNAVAILABLE, reason);
            question_fini(question);
            continue;
        }
        question->same = question_same(round, question);
        question->is_due = question->same == NULL;
        round->count++;
    }
}

/* ---- asking ---- */

static void question_take(struct pool_round *round, struct pool_question *question, const struct http_answer *answer)
{
    struct pool_summary *summary = round->summary;
    struct reading *reading;
    json_t *body = inquiry_body(&question->inquiry, answer, &question->outcome);

    round->is_heard = round->is_heard || answer->status != 0;
    summary->request_count += answer->is_asked ? 1 : 0;
    question->is_asked = question->is_asked || answer->is_asked;
    question->is_due = false;
    if (body == NULL)
        return;
    reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        round->end = POOL_ASK_NO_MEMORY;
    } else {
        struct bodies bodies = {.bodies = {body},
                                .count = 1,
                                .base = &question->inquiry.base,
                                .credential = &question->credential,
                                .now_s = round->asking->now_s};

        summary->readings[summary->reading_count++] = reading;
        question->outcome = inquiry_read(&question->inquiry, &bodies, reading);
        question->reading = question->outcome.reason[0] == '\0' ? reading : NULL;
    }
    json_decref(body);
}

/* Asks those that are due. */
static void round_ask(struct pool_round *round)
{
    struct http_request requests[LIMIT_CREDENTIAL_COUNT_MAX] = {{.url = NULL}};
    struct pool_question *asked[LIMIT_CREDENTIAL_COUNT_MAX];
    struct http_answer *answers = calloc(LIMIT_CREDENTIAL_COUNT_MAX, sizeof *answers);
    size_t count = 0;

    for (size_t i = 0; i < round->count; i++) {
        struct pool_question *question = &round->questions[i];

        if (!question->is_due)
            continue;
        asked[count] = question;
        requests[count++] = (struct http_request){.url = text_string(&question->url),
                                                  .lines = &question->inquiry.lines,
                                                  .posted = round->asking->provider->posted,
                                                  .http_1_only = round->asking->provider->http_1_only,
                                                  .timeout_ms = ROW_TIMEOUT_MS};
    }
    if (answers == NULL) {
        round->end = POOL_ASK_NO_MEMORY;
        return;
    }
    http_ask(round->asking->http, requests, count, round->asking->deadline_ns, answers);
    for (size_t i = 0; i < count; i++) {
        if (answers[i].end == HTTP_ABANDONED)
            round->end = POOL_ASK_ABANDONED;
        question_take(round, asked[i], &answers[i]);
        http_answer_fini(&answers[i]);
    }
    free(answers);
}

/* ---- once more ---- */

/* The entry that has this id now; NULL: none, or one that cannot be used. */
static const json_t *pool_find(const struct pool *pool, const char *id, int64_t now_s)
{
    for (size_t i = 0; id != NULL && i < pool->count; i++) {
        const json_t *entry = pool->entries[i].json;
        const char *other = document_string(entry, "id");
        struct stamp until;

        if (other != NULL && strcmp(other, id) == 0)
            return pool_entry_mark(entry, now_s, &until) == POOL_USABLE ? entry : NULL;
    }
    return NULL;
}

/* Makes due again those that were unauthorized and have another token now; whether there is one. */
static bool round_renew(struct pool_round *round, const struct pool *pool)
{
    bool is_due = false;

    for (size_t i = 0; i < round->count; i++) {
        struct pool_question *question = &round->questions[i];
        const char *reason;
        const json_t *entry;

        if (question->same != NULL || question->outcome.http_status != STATUS_UNAUTHORIZED)
            continue;
        entry = pool_find(pool, document_string(question->credential.record, "id"), round->asking->now_s);
        if (entry == NULL || strcmp(pool_entry_token(entry), text_string(&question->credential.secret)) == 0)
            continue;
        question_fini(question);
        *question = (struct pool_question){.row = question->row, .is_asked = true};
        reason = question_fill(round, question, entry);
        if (reason != NULL)
            question->outcome = outcome_unavailable(reason);
        is_due = is_due || question->is_due;
    }
    return is_due;
}

static bool round_has_unauthorized(const struct pool_round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        if (round->questions[i].outcome.http_status == STATUS_UNAUTHORIZED)
            return true;
    }
    return false;
}

/* Reads auth.json again; what lies in it is lent to the questions until their answers are there. */
static void round_ask_again(struct pool_round *round)
{
    struct keyring keyring;
    struct pool pool;

    keyring_open(&keyring, round->asking->keyring->files);
    if (!pool_open(&pool, keyring.auth, round->asking->provider->id))
        round->end = POOL_ASK_NO_MEMORY;
    else if (round_renew(round, &pool))
        round_ask(round);
    pool_close(&pool);
    keyring_close(&keyring);
}

/* ---- rows ---- */

static void question_show(const struct pool_round *round, const struct pool_question *question)
{
    const struct pool_question *asked = question->same == NULL ? question : question->same;
    const struct outcome *outcome = &asked->outcome;
    struct pool_row *row = question->row;

    row->is_asked = asked->is_asked;
    row->reading = asked->reading;
    if (row->reading != NULL)
        return;
    pool_row_set(round->summary, row, outcome->status == ACCOUNT_EXHAUSTED ? POOL_ROW_EXHAUSTED : POOL_ROW_UNAVAILABLE,
                 outcome->reason);
    if (outcome->retry_after_s > 0)
        row->retry_after = stamp_make(round->asking->now_s + outcome->retry_after_s);
}

static void round_run(struct pool_round *round, const struct pool *pool)
{
    round_gather(round, pool);
    round_ask(round);
    if (round->end == POOL_ASK_DONE && round_has_unauthorized(round))
        round_ask_again(round);
    for (size_t i = 0; i < round->count; i++)
        question_show(round, &round->questions[i]);
    for (size_t i = 0; i < round->count; i++)
        question_fini(&round->questions[i]);
}

enum pool_ask_end pool_ask(const struct pool_asking *asking, const struct pool *pool, struct pool_summary *summary,
                           bool *heard_out)
{
    struct pool_round round = {.asking = asking, .summary = summary, .end = POOL_ASK_DONE};

    round.questions = calloc(LIMIT_CREDENTIAL_COUNT_MAX, sizeof *round.questions);
    if (round.questions == NULL)
        return POOL_ASK_NO_MEMORY;
    round_run(&round, pool);
    free(round.questions);
    pool_summary_give_up_rest(summary);
    pool_summary_compare(summary);
    *heard_out = round.is_heard;
    return round.end;
}
