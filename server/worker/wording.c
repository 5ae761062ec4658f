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

struct label wording_plan(const json_t *value)
{
    struct label plan = wording_label(value);
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

struct phrase wording_money(double amount, const char *currency)
{
    static const struct {
        const char *currency, *sign;
    } signs[] = {{"USD", "$"}, {"CNY", "\u00a5"}, {"EUR", "\u20ac"}, {"GBP", "\u00a3"}};
    const char *sign = "", *name = currency, *minus = "";
    char digits[PHRASE_SIZE - 16];
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
