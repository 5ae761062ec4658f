#include "server/worker/reading.h"

#include "proto/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    DETAIL_DRAFT_SIZE = 2 * TEXT_SIZE, /* details are made of phrases and labels; more is cut anyway */
    SECRET_SIZE_TOLD = 20              /* so much of a secret is told from a word */
};

void reading_set_plan(struct reading *reading, const char *plan)
{
    display_text(plan, strlen(plan), LIMIT_PLAN_CHARACTERS_MAX, reading->plan);
}

void reading_add_window(struct reading *reading, const struct window *window)
{
    struct number used_percent = number_percent(window->used_percent);
    struct reading_window *row = &reading->windows[reading->window_count];

    if (!used_percent.known || window->label[0] == '\0' || reading->window_count == LIMIT_WINDOW_COUNT_MAX)
        return;
    display_text(window->label, strlen(window->label), LIMIT_LABEL_CHARACTERS_MAX, row->label);
    row->used_percent = used_percent.value;
    row->reset_at = window->reset_at;
    if (window->detail != NULL)
        display_text(window->detail, strlen(window->detail), LIMIT_TEXT_CHARACTERS_MAX, row->detail);
    row->scope = window->scope;
    row->length_s = window->length_s;
    reading->window_count++;
}

bool reading_has_window(const struct reading *reading, const char *label)
{
    for (size_t i = 0; i < reading->window_count; i++) {
        if (strcasecmp(reading->windows[i].label, label) == 0)
            return true;
    }
    return false;
}

void reading_add_detail(struct reading *reading, const char *format, ...)
{
    char draft[DETAIL_DRAFT_SIZE];
    va_list arguments;
    int size;

    if (reading->detail_count == LIMIT_DETAIL_COUNT_MAX)
        return;
    va_start(arguments, format);
    size = vsnprintf(draft, sizeof draft, format, arguments);
    va_end(arguments);
    if (size > 0)
        display_text(draft, utf8_clip(draft, strlen(draft)), LIMIT_TEXT_CHARACTERS_MAX,
                     reading->details[reading->detail_count++]);
}

void reading_add_balance(struct reading *reading, const char *label, double amount, const char *currency)
{
    struct reading_balance *row = &reading->balances[reading->balance_count];

    if (reading->balance_count == LIMIT_BALANCE_COUNT_MAX)
        return;
    display_text(label, strlen(label), LIMIT_LABEL_CHARACTERS_MAX, row->label);
    display_text(currency, strlen(currency), LIMIT_LABEL_CHARACTERS_MAX, row->currency);
    row->amount = amount;
    reading->balance_count++;
}

void reading_add_money(struct reading *reading, const char *name, const char *label, struct number amount,
                       const char *currency)
{
    if (!amount.known)
        return;
    reading_add_detail(reading, "%s: %s", name, wording_money(amount.value, currency).text);
    if (label != NULL)
        reading_add_balance(reading, label, amount.value, currency);
}

void reading_add_total(struct reading *reading, const char *label, struct number total, const char *currency,
                       const struct balance_part *parts)
{
    char inner[BALANCE_PART_COUNT * (PHRASE_SIZE + sizeof "topped up , ")] = "";
    struct phrase money = wording_money(total.value, currency);
    size_t size = 0;

    if (!total.known || currency[0] == '\0')
        return;
    for (size_t i = 0; parts != NULL && i < BALANCE_PART_COUNT; i++) {
        if (parts[i].name != NULL && parts[i].amount.known)
            size += (size_t)snprintf(inner + size, sizeof inner - size, "%s%s %s", size == 0 ? " (" : ", ",
                                     parts[i].name, wording_money(parts[i].amount.value, currency).text);
    }
    /* The sign of a currency is several countries': its name stands behind it. */
    reading_add_detail(reading, "Balance: %s%s%s%s%s", money.text, strstr(money.text, currency) == NULL ? " " : "",
                       strstr(money.text, currency) == NULL ? currency : "", inner, size == 0 ? "" : ")");
    reading_add_balance(reading, label, total.value, currency);
}

const char reading_insufficient[] = "Balance is insufficient for API calls.";

void reading_set_exhausted(struct reading *reading, const char *detail)
{
    reading->exhausted = true;
    if (detail != NULL)
        reading_add_detail(reading, "%s", detail);
}

void reading_set_error(struct reading *reading, enum body_error error, const json_t *code)
{
    struct number number = number_read_decimal(code);

    reading->error = error;
    if (number.known)
        reading->error_code = wording_count(number.value);
}

bool reading_is_usable(const struct reading *reading)
{
    return reading->window_count + reading->detail_count + reading->balance_count > 0;
}

/* What wording_plan leaves recognisable: letters and digits in lower case, everything else a blank. */
static char reading_fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : ' ';
}

static bool reading_text_mentions(const char *text, const char *secret)
{
    for (; *text != '\0'; text++) {
        size_t size = 0;

        while (size < SECRET_SIZE_TOLD && reading_fold(text[size]) == reading_fold(secret[size]) && text[size] != '\0')
            size++;
        if (size == SECRET_SIZE_TOLD)
            return true;
    }
    return false;
}

bool reading_mentions(const struct reading *reading, const char *secret)
{
    bool found;

    if (strlen(secret) < SECRET_SIZE_TOLD)
        return false;
    found = reading_text_mentions(reading->plan, secret);
    for (size_t i = 0; i < reading->window_count; i++)
        found = found || reading_text_mentions(reading->windows[i].label, secret) ||
                reading_text_mentions(reading->windows[i].detail, secret);
    for (size_t i = 0; i < reading->detail_count; i++)
        found = found || reading_text_mentions(reading->details[i], secret);
    for (size_t i = 0; i < reading->balance_count; i++)
        found = found || reading_text_mentions(reading->balances[i].label, secret) ||
                reading_text_mentions(reading->balances[i].currency, secret);
    return found;
}
