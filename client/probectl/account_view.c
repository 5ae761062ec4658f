/* ProbeResponse on a terminal:
 *
 *     openai-codex  Account limits · Plus
 *       Session  ███████░░░░░  58% used, resets in 2 h 10 min (15:30)
 *       Weekly   ██░░░░░░░░░░  14% used, resets in 3 d 4 h (Fri 17:20)
 *       Credits balance: 4.20
 *       usage_api, asked just now by a warm worker in 350 ms
 */
#include "client/probectl/account_view.h"

#include <math.h>
#include <string.h>

enum {
    INDENT = 2,
    LABEL_COLUMNS_MAX = 28,
    BAR_COLUMNS_MAX = 20,
    BAR_COLUMNS_MIN = 6,
    TEXT_COLUMNS = 46, /* "58% used, resets in 23 h 59 min (Fri 15:30)" and its surroundings */
    WARN_PERCENT = 75,
    BAD_PERCENT = 90,
};

struct columns {
    unsigned indent, label, bar, percent;
};

/* ---- windows ---- */

/* How much is used up; false: unknown. */
static bool used_percent(const Probed__V1__UsageWindow *window, double *used_out)
{
    if (window->used_case == PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT)
        *used_out = window->used_percent;
    else if (window->remaining_case == PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT)
        *used_out = 100 - window->remaining_percent;
    else
        return false;
    if (!(*used_out > 0))
        *used_out = 0;
    if (*used_out > 100)
        *used_out = 100;
    return true;
}

/* "58%", "" where that is unknown.  Never "0%" where something is used, nor "100%" where something is left. */
static void percent_words(const Probed__V1__UsageWindow *window, char out[VIEW_WORDS_SIZE])
{
    double used;

    if (!used_percent(window, &used))
        out[0] = '\0';
    else if (used > 0 && used < 1)
        snprintf(out, VIEW_WORDS_SIZE, "<1%%");
    else if (used > 99 && used < 100)
        snprintf(out, VIEW_WORDS_SIZE, ">99%%");
    else
        snprintf(out, VIEW_WORDS_SIZE, "%.0f%%", used);
}

static unsigned greater(unsigned one, unsigned other)
{
    return one > other ? one : other;
}

/* Of `windows` behind `indent` blanks: as wide a bar as fits, or none. */
static struct columns columns_of(const struct view *view, Probed__V1__UsageWindow *const *windows, size_t count,
                                 unsigned indent)
{
    struct columns columns = {.bar = BAR_COLUMNS_MAX, .indent = indent};
    unsigned rest;

    for (size_t i = 0; i < count; i++) {
        char percent[VIEW_WORDS_SIZE];

        columns.label = greater(columns.label, view_columns(view, windows[i]->label));
        percent_words(windows[i], percent);
        columns.percent = greater(columns.percent, (unsigned)strlen(percent));
    }
    if (columns.label > LABEL_COLUMNS_MAX)
        columns.label = LABEL_COLUMNS_MAX;
    rest = indent + columns.label + TEXT_COLUMNS;
    if (view->width > 0)
        columns.bar = view->width > rest ? view->width - rest : 0;
    if (columns.bar > BAR_COLUMNS_MAX)
        columns.bar = BAR_COLUMNS_MAX;
    if (columns.bar < BAR_COLUMNS_MIN)
        columns.bar = 0;
    return columns;
}

static enum view_style style_of(double used)
{
    return used >= BAD_PERCENT ? VIEW_BAD : used >= WARN_PERCENT ? VIEW_WARN : VIEW_GOOD;
}

static void print_blanks(const struct view *view, unsigned count)
{
    fprintf(view->out, "%*s", (int)count, "");
}

/* "used, 640 of 1000 left, resets in 2 h (15:30)", of the parts that there are: what follows the percentage. */
static void window_words(const struct view *view, const Probed__V1__UsageWindow *window, bool known, char *out,
                         size_t size)
{
    char moment[VIEW_WORDS_SIZE];
    const char *parts[3] = {0};
    size_t count = 0;

    if (known)
        parts[count++] = "used";
    if (window->detail[0] != '\0')
        parts[count++] = window->detail;
    if (window->reset_at_ms > view->now_ms) {
        snprintf(moment, sizeof moment, "resets ");
        view_moment(view, window->reset_at_ms, moment + strlen(moment), sizeof moment - strlen(moment));
        parts[count++] = moment;
    } else if (window->reset_at_ms != 0) {
        parts[count++] = "reset due";
    }
    snprintf(out, size, "%s%s%s%s%s", count > 0 ? parts[0] : "unknown", count > 1 ? ", " : "",
             count > 1 ? parts[1] : "", count > 2 ? ", " : "", count > 2 ? parts[2] : "");
}

static void print_window(const struct view *view, const Probed__V1__UsageWindow *window, const struct columns *columns)
{
    char percent[VIEW_WORDS_SIZE], words[1024];
    double used = 0;
    bool known = used_percent(window, &used);
    unsigned begun = columns->indent + greater(columns->label, view_columns(view, window->label)) + 2;

    print_blanks(view, columns->indent);
    view_padded(view, VIEW_PLAIN, window->label, columns->label, false);
    print_blanks(view, 2);
    if (columns->bar > 0) {
        if (known)
            view_bar(view, style_of(used), used / 100, columns->bar);
        else
            print_blanks(view, columns->bar);
        print_blanks(view, 2);
        begun += columns->bar + 2;
    }
    if (columns->percent > 0) {
        percent_words(window, percent);
        view_padded(view, VIEW_PLAIN, percent, columns->percent, true);
        print_blanks(view, 1);
        begun += columns->percent + 1;
    }
    window_words(view, window, known, words, sizeof words);
    view_wrapped(view, VIEW_PLAIN, words, columns->indent + INDENT, begun);
    fputc('\n', view->out);
}

static void print_windows(const struct view *view, Probed__V1__UsageWindow *const *windows, size_t count,
                          unsigned indent)
{
    struct columns columns = columns_of(view, windows, count, indent);

    for (size_t i = 0; i < count; i++)
        print_window(view, windows[i], &columns);
}

/* ---- the rest of an account ---- */

static void print_line(const struct view *view, enum view_style style, const char *text, unsigned indent)
{
    print_blanks(view, indent);
    view_wrapped(view, style, text, indent, indent);
    fputc('\n', view->out);
}

/* Two decimals, and more where that would hide something. */
static int decimals_of(double amount)
{
    int decimals = 2;

    for (double scaled = fabs(amount) * 100; decimals < 6 && fabs(scaled - round(scaled)) > 1e-4; decimals++)
        scaled *= 10;
    return decimals;
}

static void print_balances(const struct view *view, const Probed__V1__AccountUsage *usage)
{
    unsigned columns = 0;

    for (size_t i = 0; i < usage->n_balances; i++) {
        unsigned own = view_columns(view, usage->balances[i]->label);

        if (own > columns && own <= LABEL_COLUMNS_MAX)
            columns = own;
    }
    for (size_t i = 0; i < usage->n_balances; i++) {
        const Probed__V1__Balance *balance = usage->balances[i];

        print_blanks(view, INDENT);
        view_padded(view, VIEW_PLAIN, balance->label, columns, false);
        view_format(view, balance->amount < 0 ? VIEW_BAD : VIEW_PLAIN, "  %.*f %s", decimals_of(balance->amount),
                    balance->amount, balance->currency);
        fputc('\n', view->out);
    }
}

static const char *credential_words(Probed__V1__CredentialStatus status, enum view_style *style_out)
{
    switch (status) {
    case PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_AVAILABLE:
        *style_out = VIEW_GOOD;
        return "available";
    case PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_EXHAUSTED:
        *style_out = VIEW_BAD;
        return "used up";
    case PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_DEAD:
        *style_out = VIEW_BAD;
        return "dead";
    default:
        *style_out = VIEW_WARN;
        return "unavailable";
    }
}

static void print_credential(const struct view *view, const Probed__V1__PooledCredential *credential)
{
    enum view_style style;
    const char *words = credential_words(credential->status, &style);
    char moment[VIEW_WORDS_SIZE];

    print_blanks(view, INDENT);
    view_text(view, VIEW_BOLD, credential->label);
    fputs("  ", view->out);
    view_text(view, style, words);
    if (credential->plan[0] != '\0') {
        fputs(view_separator(view), view->out);
        view_text(view, VIEW_PLAIN, credential->plan);
    }
    if (credential->retry_at_ms > view->now_ms) {
        view_moment(view, credential->retry_at_ms, moment, sizeof moment);
        view_format(view, VIEW_PLAIN, ", again %s", moment);
    }
    fputc('\n', view->out);
    if (credential->unavailable_reason[0] != '\0')
        print_line(view, VIEW_PLAIN, credential->unavailable_reason, 2 * INDENT);
    print_windows(view, credential->windows, credential->n_windows, 2 * INDENT);
    for (size_t i = 0; i < credential->n_details; i++)
        print_line(view, VIEW_PLAIN, credential->details[i], 2 * INDENT);
}

static void print_pool(const struct view *view, const Probed__V1__CredentialPool *pool)
{
    print_blanks(view, INDENT);
    view_format(view, VIEW_PLAIN, "%u of %u credentials available", pool->available, pool->total);
    if (pool->exhausted > 0)
        view_format(view, VIEW_PLAIN, ", %u used up", pool->exhausted);
    if (pool->dead > 0)
        view_format(view, VIEW_PLAIN, ", %u dead", pool->dead);
    if (pool->failed > 0)
        view_format(view, VIEW_PLAIN, ", %u failed", pool->failed);
    fputc('\n', view->out);
    for (size_t i = 0; i < pool->n_credentials; i++)
        print_credential(view, pool->credentials[i]);
}

static void print_figures(const struct view *view, const Probed__V1__AccountUsage *usage)
{
    print_windows(view, usage->windows, usage->n_windows, INDENT);
    print_balances(view, usage);
    for (size_t i = 0; i < usage->n_details; i++)
        print_line(view, VIEW_PLAIN, usage->details[i], INDENT);
    if (usage->pool != NULL)
        print_pool(view, usage->pool);
}

/* ---- head and foot ---- */

static void print_head(const struct view *view, const Probed__V1__AccountUsage *usage)
{
    view_text(view, VIEW_BOLD, usage->provider);
    if (usage->title[0] != '\0') {
        fputs("  ", view->out);
        view_text(view, VIEW_PLAIN, usage->title);
    }
    if (usage->plan[0] != '\0') {
        fputs(usage->title[0] != '\0' ? view_separator(view) : "  ", view->out);
        view_text(view, VIEW_PLAIN, usage->plan);
    }
    fputc('\n', view->out);
}

/* What an account is that is not simply all right; NULL: it is. */
static const char *status_words(Probed__V1__AccountStatus status)
{
    switch (status) {
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_EXHAUSTED:
        return "Used up";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_NO_DATA:
        return "No data";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_NO_KEY:
        return "No key";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_INVALID_KEY:
        return "Key refused";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_EXPIRED:
        return "Sign-in expired";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED:
        return "Rate limited";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE:
        return "Unavailable";
    case PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNSUPPORTED:
        return "Not supported";
    default:
        return NULL;
    }
}

/* "Rate limited: The usage endpoint is rate limited (HTTP 429).  Again in 50 s (15:30)." */
static void print_state(const struct view *view, const Probed__V1__AccountUsage *usage)
{
    const char *words = status_words(usage->status);
    bool usable = usage->status == PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_NO_DATA ||
                  usage->status == PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED;
    char text[1024], moment[VIEW_WORDS_SIZE];

    if (words == NULL && usage->unavailable_reason[0] == '\0')
        return;
    snprintf(text, sizeof text, "%s%s%s", words != NULL ? words : "",
             words != NULL && usage->unavailable_reason[0] != '\0' ? ": " : "", usage->unavailable_reason);
    if (usage->retry_at_ms > view->now_ms) {
        view_moment(view, usage->retry_at_ms, moment, sizeof moment);
        strncat(text, usage->unavailable_reason[0] != '\0' ? " Again " : ", again ", sizeof text - strlen(text) - 1);
        strncat(text, moment, sizeof text - strlen(text) - 1);
    }
    print_line(view, usable ? VIEW_WARN : VIEW_BAD, text, INDENT);
}

/* "as of 12 min ago (the provider asks to wait)", above figures that are not of now. */
static void print_as_of(const struct view *view, const Probed__V1__ProbeResponse *response, const char *why)
{
    char age[VIEW_WORDS_SIZE], text[VIEW_WORDS_SIZE + 320];

    view_duration(response->last_good_age_ms, age);
    snprintf(text, sizeof text, "as of %s ago (%s)", age, why);
    print_line(view, VIEW_WARN, text, INDENT);
}

static void print_last_good(const struct view *view, const Probed__V1__ProbeResponse *response)
{
    bool limited = response->usage->status == PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED;

    print_as_of(view, response, limited ? "the provider asks to wait" : "the provider has no answer now");
    print_figures(view, response->last_good);
}

/* How long the worker took for it; "" when that is not known. */
static void run_words(const Probed__V1__Receipt *receipt, char out[VIEW_WORDS_SIZE])
{
    uint64_t us = receipt != NULL ? (uint64_t)receipt->spawn_us + receipt->probe_us : 0;

    if (us == 0)
        out[0] = '\0';
    else if (us < 1000000)
        snprintf(out, VIEW_WORDS_SIZE, " in %.0f ms", us < 1000 ? 1.0 : (double)us / 1000);
    else
        snprintf(out, VIEW_WORDS_SIZE, " in %.1f s", (double)us / 1000000);
}

static void print_foot(const struct view *view, const Probed__V1__ProbeResponse *response)
{
    const char *source = response->usage->source;
    char text[256], age[VIEW_WORDS_SIZE], run[VIEW_WORDS_SIZE];

    view_duration(response->age_ms, age);
    run_words(response->receipt, run);
    switch (response->origin) {
    case PROBED__V1__ORIGIN__ORIGIN_CACHED:
        snprintf(text, sizeof text, "from the cache, %s old", age);
        break;
    case PROBED__V1__ORIGIN__ORIGIN_JOINED:
        snprintf(text, sizeof text, "asked just now, together with another call");
        break;
    case PROBED__V1__ORIGIN__ORIGIN_COLD:
        snprintf(text, sizeof text, "asked just now by a new worker%s", run);
        break;
    default:
        snprintf(text, sizeof text, "asked just now by a warm worker%s", run);
    }
    print_blanks(view, INDENT);
    if (source[0] != '\0')
        view_format(view, VIEW_DIM, "%s, ", source);
    view_wrapped(view, VIEW_DIM, text, INDENT, INDENT + (source[0] != '\0' ? view_columns(view, source) + 2 : 0));
    fputc('\n', view->out);
}

void account_view_print(const struct view *view, const Probed__V1__ProbeResponse *response)
{
    if (response->usage == NULL) {
        view_text(view, VIEW_BAD, "An answer without an account.");
        fputc('\n', view->out);
        return;
    }
    print_head(view, response->usage);
    if (response->stale_reason[0] != '\0')
        print_as_of(view, response, response->stale_reason);
    print_state(view, response->usage);
    print_figures(view, response->usage);
    if (response->last_good != NULL && response->stale_reason[0] == '\0')
        print_last_good(view, response);
    print_foot(view, response);
}
