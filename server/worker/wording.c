#include "server/worker/wording.h"

#include "server/base/display.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

_Static_assert(LIMIT_PLAN_CHARACTERS_MAX == LIMIT_LABEL_CHARACTERS_MAX, "a plan fits a label");

struct label wording_label(const json_t *value)
{
    struct label label = {""};

    if (json_is_string(value))
        display_text(json_string_value(value), json_string_length(value), LIMIT_LABEL_CHARACTERS_MAX, label.text);
    return label;
}

/* ASCII only: what the provider wrote in other letters stays. */
static char wording_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static char wording_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* In place: the first letter of each word up, the others down; what has a space already is left as it is written. */
static struct label wording_title(struct label plan)
{
    bool word_starts = true;

    if (strchr(plan.text, ' ') != NULL)
        return plan;
    for (char *c = plan.text; *c != '\0'; c++) {
        if (*c == '_' || *c == '-')
            *c = ' ';
        *c = word_starts ? wording_upper(*c) : wording_lower(*c);
        word_starts = *c == ' ';
    }
    display_text(plan.text, strlen(plan.text), LIMIT_PLAN_CHARACTERS_MAX, plan.text); /* "_pro": no space in front */
    return plan;
}

struct label wording_plan(const json_t *value)
{
    return wording_title(wording_label(value));
}

struct label wording_plan_behind(const json_t *value, const char *beginning)
{
    struct label plan = wording_label(value);
    size_t size = strlen(beginning);

    if (strncmp(plan.text, beginning, size) == 0)
        memmove(plan.text, plan.text + size, strlen(plan.text + size) + 1);
    return wording_title(plan);
}

struct label wording_currency(const json_t *value)
{
    struct label currency = wording_label(value);

    for (char *c = currency.text; *c != '\0'; c++)
        *c = wording_upper(*c);
    return strlen(currency.text) == 3 && strspn(currency.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3 ? currency
                                                                                                  : (struct label){""};
}

struct phrase wording_money(double amount, const char *currency)
{
    static const struct {
        const char *currency, *sign;
    } signs[] = {{"USD", "$"}, {"CNY", "\u00a5"}, {"EUR", "\u20ac"}, {"GBP", "\u00a3"}};
    const char *sign = "", *name = currency, *minus = "";
    char digits[32];
    struct phrase phrase;

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (strcmp(currency, signs[i].currency) == 0) {
            sign = signs[i].sign;
            name = "";
        }
    }
    snprintf(digits, sizeof digits, "%.2f", fabs(amount));
    if (amount < 0 && strcmp(digits, "0.00") != 0)
        minus = "-";
    snprintf(phrase.text, sizeof phrase.text, "%s%s%s%s%.3s", minus, sign, digits, *name == '\0' ? "" : " ", name);
    return phrase;
}

struct phrase wording_count(double value)
{
    struct phrase phrase;
    size_t size;

    snprintf(phrase.text, sizeof phrase.text, "%.2f", value);
    size = strlen(phrase.text);
    while (phrase.text[size - 1] == '0')
        phrase.text[--size] = '\0';
    if (phrase.text[size - 1] == '.')
        phrase.text[--size] = '\0';
    return strcmp(phrase.text, "-0") == 0 ? (struct phrase){"0"} : phrase;
}

static struct phrase wording_of(struct phrase used, struct phrase limit)
{
    struct phrase phrase;

    snprintf(phrase.text, sizeof phrase.text, "%.24s of %.24s used", used.text, limit.text);
    return phrase;
}

struct phrase wording_used(struct number used, struct number limit)
{
    if (!used.known || !limit.known)
        return (struct phrase){""};
    return wording_of(wording_count(used.value), wording_count(limit.value));
}

struct phrase wording_used_money(struct number used, struct number limit, const char *currency)
{
    if (!used.known || !limit.known)
        return (struct phrase){""};
    return wording_of(wording_money(used.value, currency), wording_money(limit.value, currency));
}

struct phrase wording_length(int64_t length_s)
{
    static const struct {
        int64_t length_s;
        const char *name;
    } whole[] = {{86400, "Daily"}, {604800, "Weekly"}, {2592000, "Monthly"}},
      units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    struct phrase phrase = {""};
    size_t unit = 0;

    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        if (length_s == whole[i].length_s) {
            snprintf(phrase.text, sizeof phrase.text, "%s", whole[i].name);
            return phrase;
        }
    }
    while (length_s % units[unit].length_s != 0)
        unit++;
    snprintf(phrase.text, sizeof phrase.text, "%lld-%s", (long long)(length_s / units[unit].length_s),
             units[unit].name);
    return phrase;
}

struct scoped wording_scoped(const char *name, struct phrase kind)
{
    struct scoped label;

    kind.text[0] = wording_lower(kind.text[0]);
    snprintf(label.text, sizeof label.text, "%s %s", name, kind.text);
    return label;
}
