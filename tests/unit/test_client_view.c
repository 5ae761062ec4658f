/* unit.client_view: what a person reads, to the byte. */
#include "client/probectl/account_view.h"
#include "client/probectl/table.h"
#include "tests/support/check_main.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Tuesday, 24 November 2026, 13:20:00 UTC. */
enum { MINUTE_MS = 60000, HOUR_MS = 60 * MINUTE_MS };
static const int64_t now_ms = INT64_C(1795526400000);

/* ---- catching output ---- */

static char *caught;
static size_t caught_size;
static struct view view;

static void begin(unsigned width, bool utf8)
{
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    setenv("TZ", "UTC", 1);
    tzset();
    view = (struct view){.out = open_memstream(&caught, &caught_size), .width = width, .utf8 = utf8, .now_ms = now_ms};
    ck_assert_ptr_nonnull(view.out);
}

static void expect(const char *text)
{
    ck_assert_int_eq(fclose(view.out), 0);
    ck_assert_str_eq(caught, text);
    free(caught);
    caught = NULL;
}

/* ---- an account ---- */

static Probed__V1__UsageWindow windows[5], *window_pointers[5];
static Probed__V1__Balance balances[3], *balance_pointers[3];
static char *details[2];
static Probed__V1__AccountUsage usage;
static Probed__V1__Receipt receipt;
static Probed__V1__ProbeResponse response;

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static Probed__V1__UsageWindow *add_window(const char *label, double used, int64_t reset_in_ms, const char *detail)
{
    Probed__V1__UsageWindow *window = &windows[usage.n_windows];

    probed__v1__usage_window__init(window);
    window->label = TEXT(label);
    window->detail = TEXT(detail);
    if (used >= 0) {
        window->used_case = PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT;
        window->used_percent = used;
    }
    if (reset_in_ms != 0)
        window->reset_at_ms = now_ms + reset_in_ms;
    window_pointers[usage.n_windows++] = window;
    return window;
}

static void add_balance(const char *label, double amount, const char *currency)
{
    Probed__V1__Balance *balance = &balances[usage.n_balances];

    probed__v1__balance__init(balance);
    balance->label = TEXT(label);
    balance->amount = amount;
    balance->currency = TEXT(currency);
    balance_pointers[usage.n_balances++] = balance;
}

static void make_account(Probed__V1__AccountStatus status)
{
    probed__v1__probe_response__init(&response);
    probed__v1__account_usage__init(&usage);
    probed__v1__receipt__init(&receipt);
    response.usage = &usage;
    response.receipt = &receipt;
    response.origin = PROBED__V1__ORIGIN__ORIGIN_WARM;
    receipt.probe_us = 350000;
    usage.provider = TEXT("openai-codex");
    usage.status = status;
    usage.source = TEXT("usage_api");
    usage.windows = window_pointers;
    usage.balances = balance_pointers;
    usage.details = details;
}

/* One that has a bit of everything. */
static void make_full_account(void)
{
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    usage.title = TEXT("Account limits");
    usage.plan = TEXT("Plus");
    add_window("Session", 58, 130 * MINUTE_MS, "");
    add_window("Weekly", 7.5, 76 * (int64_t)HOUR_MS, "");
    details[0] = TEXT("Credits balance: 4.20");
    usage.n_details = 1;
}

/* ---- accounts ---- */

START_TEST(an_account_is_a_head_a_bar_a_window_and_a_foot)
{
    begin(0, true);
    make_full_account();
    account_view_print(&view, &response);
    expect("openai-codex  Account limits \u00b7 Plus\n"
           "  Session  \u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588"
           "\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591  58% used, resets in 2 h 10 min (15:30)\n"
           "  Weekly   \u2588\u2588\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591"
           "\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591   8% used, resets in 3 d 4 h (Fri 17:20)\n"
           "  Credits balance: 4.20\n"
           "  usage_api, asked just now by a warm worker in 350 ms\n");
}
END_TEST

START_TEST(without_utf8_it_is_ascii)
{
    begin(80, false);
    make_full_account();
    usage.plan = TEXT("Plus \u2605");
    account_view_print(&view, &response);
    expect("openai-codex  Account limits - Plus ?\n"
           "  Session  ############--------  58% used, resets in 2 h 10 min (15:30)\n"
           "  Weekly   ##------------------   8% used, resets in 3 d 4 h (Fri 17:20)\n"
           "  Credits balance: 4.20\n"
           "  usage_api, asked just now by a warm worker in 350 ms\n");
}
END_TEST

START_TEST(bars_shrink_with_the_terminal)
{
    begin(66, false);
    make_full_account();
    account_view_print(&view, &response);
    expect("openai-codex  Account limits - Plus\n"
           "  Session  ######-----  58% used, resets in 2 h 10 min (15:30)\n"
           "  Weekly   #----------   8% used, resets in 3 d 4 h (Fri 17:20)\n"
           "  Credits balance: 4.20\n"
           "  usage_api, asked just now by a warm worker in 350 ms\n");
}
END_TEST

START_TEST(a_narrow_terminal_has_no_bars_and_wraps_at_blanks)
{
    begin(32, false);
    make_full_account();
    account_view_print(&view, &response);
    expect("openai-codex  Account limits - Plus\n"
           "  Session  58% used, resets in 2\n"
           "    h 10 min (15:30)\n"
           "  Weekly    8% used, resets in 3\n"
           "    d 4 h (Fri 17:20)\n"
           "  Credits balance: 4.20\n"
           "  usage_api, asked just now by a\n"
           "  warm worker in 350 ms\n");
}
END_TEST

START_TEST(percentages_never_hide_that_something_is_used_or_left)
{
    begin(80, false);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    add_window("none", 0, 0, "");
    add_window("hardly", 0.01, 0, "");
    add_window("nearly all", 99.99, 0, "");
    add_window("all", 100, 0, "");
    add_window("left", -1, 0, "");
    windows[4].remaining_case = PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT;
    windows[4].remaining_percent = 75;
    response.origin = PROBED__V1__ORIGIN__ORIGIN_CACHED;
    account_view_print(&view, &response);
    expect("openai-codex\n"
           "  none        --------------------    0% used\n"
           "  hardly      #-------------------   <1% used\n"
           "  nearly all  ###################-  >99% used\n"
           "  all         ####################  100% used\n"
           "  left        #####---------------   25% used\n"
           "  usage_api, from the cache, 0 s old\n");
}
END_TEST

START_TEST(what_is_unknown_is_left_out)
{
    begin(80, false);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    usage.source = TEXT("");
    receipt.probe_us = 0;
    add_window("Requests", -1, 0, "80 of 1000 used");
    add_window("Monthly", 12, -5 * MINUTE_MS, "640 of 1000 left");
    add_window("Mystery", -1, 0, "");
    account_view_print(&view, &response);
    expect("openai-codex\n"
           "  Requests                            80 of 1000 used\n"
           "  Monthly   ##------------------  12% used, 640 of 1000 left, reset due\n"
           "  Mystery                             unknown\n"
           "  asked just now by a warm worker\n");
}
END_TEST

START_TEST(balances_line_up_and_keep_their_fractions)
{
    begin(80, false);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    add_balance("Available", 12.5, "USD");
    add_balance("Debt", -3, "CNY");
    add_balance("Dust", 0.00125, "DIEM");
    response.origin = PROBED__V1__ORIGIN__ORIGIN_COLD;
    receipt.spawn_us = 1000000;
    account_view_print(&view, &response);
    expect("openai-codex\n"
           "  Available  12.50 USD\n"
           "  Debt       -3.00 CNY\n"
           "  Dust       0.00125 DIEM\n"
           "  usage_api, asked just now by a new worker in 1.4 s\n");
}
END_TEST

static const struct {
    Probed__V1__AccountStatus status;
    const char *words;
} states[] = {
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_EXHAUSTED, "Used up"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_NO_DATA, "No data"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_NO_KEY, "No key"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_INVALID_KEY, "Key refused"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_EXPIRED, "Sign-in expired"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED, "Rate limited"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNAVAILABLE, "Unavailable"},
    {PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_UNSUPPORTED, "Not supported"},
};

START_TEST(whatever_is_wrong_with_an_account_is_said_with_its_reason_and_when_to_come_again)
{
    char expected[256];

    begin(0, false);
    make_account(states[_i].status);
    usage.unavailable_reason = TEXT("So it is.");
    usage.retry_at_ms = now_ms + 50000;
    response.origin = PROBED__V1__ORIGIN__ORIGIN_JOINED;
    account_view_print(&view, &response);
    snprintf(expected, sizeof expected,
             "openai-codex\n  %s: So it is. Again in 50 s (13:20)\n"
             "  usage_api, asked just now, together with another call\n",
             states[_i].words);
    expect(expected);
}
END_TEST

START_TEST(an_account_that_is_used_up_says_until_when)
{
    begin(80, false);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_EXHAUSTED);
    usage.retry_at_ms = now_ms + 24 * (int64_t)HOUR_MS * 40;
    add_window("Session", 100, 0, "");
    account_view_print(&view, &response);
    expect("openai-codex\n"
           "  Used up, again in 40 d (3 Jan 2027)\n"
           "  Session  ####################  100% used\n"
           "  usage_api, asked just now by a warm worker in 350 ms\n");
}
END_TEST

START_TEST(the_last_good_answer_stands_beside_a_bad_one)
{
    Probed__V1__AccountUsage bad = PROBED__V1__ACCOUNT_USAGE__INIT;

    begin(80, false);
    make_full_account();
    bad.provider = TEXT("openai-codex");
    bad.status = PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_RATE_LIMITED;
    bad.unavailable_reason = TEXT("The usage endpoint is rate limited (HTTP 429).");
    response.last_good = response.usage;
    response.last_good_age_ms = 5 * MINUTE_MS;
    response.usage = &bad;
    response.origin = PROBED__V1__ORIGIN__ORIGIN_CACHED;
    response.age_ms = 12000;
    account_view_print(&view, &response);
    expect("openai-codex\n"
           "  Rate limited: The usage endpoint is rate limited (HTTP 429).\n"
           "  as of 5 min ago (the provider asks to wait)\n"
           "  Session  ############--------  58% used, resets in 2 h 10 min (15:30)\n"
           "  Weekly   ##------------------   8% used, resets in 3 d 4 h (Fri 17:20)\n"
           "  Credits balance: 4.20\n"
           "  from the cache, 12 s old\n");
}
END_TEST

START_TEST(what_stands_in_for_an_error_says_how_old_it_is_and_why)
{
    begin(80, false);
    make_full_account();
    response.usage->provider = TEXT("openai-codex");
    response.last_good = response.usage;
    response.last_good_age_ms = response.age_ms = 12 * MINUTE_MS;
    response.stale_reason = TEXT("no lease within 250 ms");
    response.origin = PROBED__V1__ORIGIN__ORIGIN_CACHED;
    account_view_print(&view, &response);
    expect("openai-codex  Account limits - Plus\n"
           "  as of 12 min ago (no lease within 250 ms)\n"
           "  Session  ############--------  58% used, resets in 2 h 10 min (15:30)\n"
           "  Weekly   ##------------------   8% used, resets in 3 d 4 h (Fri 17:20)\n"
           "  Credits balance: 4.20\n"
           "  usage_api, from the cache, 12 min old\n");
}
END_TEST

START_TEST(a_pool_shows_each_credential)
{
    Probed__V1__CredentialPool pool = PROBED__V1__CREDENTIAL_POOL__INIT;
    Probed__V1__PooledCredential alpha = PROBED__V1__POOLED_CREDENTIAL__INIT,
                                 beta = PROBED__V1__POOLED_CREDENTIAL__INIT;
    Probed__V1__PooledCredential *credentials[] = {&alpha, &beta};

    begin(80, false);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    add_window("Session", 30, 0, "");
    usage.pool = &pool;
    pool.total = 2;
    pool.available = pool.exhausted = 1;
    pool.credentials = credentials;
    pool.n_credentials = 2;
    alpha.label = TEXT("alpha");
    alpha.status = PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_AVAILABLE;
    alpha.plan = TEXT("Plus");
    alpha.windows = window_pointers;
    alpha.n_windows = 1;
    beta.label = TEXT("beta");
    beta.status = PROBED__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_EXHAUSTED;
    beta.retry_at_ms = now_ms + HOUR_MS;
    beta.unavailable_reason = TEXT("Nothing left.");
    usage.n_windows = 0;
    account_view_print(&view, &response);
    expect("openai-codex\n"
           "  1 of 2 credentials available, 1 used up\n"
           "  alpha  available - Plus\n"
           "    Session  ######--------------  30% used\n"
           "  beta  used up, again in 1 h (14:20)\n"
           "    Nothing left.\n"
           "  usage_api, asked just now by a warm worker in 350 ms\n");
}
END_TEST

START_TEST(nothing_that_came_from_elsewhere_reaches_the_terminal_as_a_command)
{
    begin(0, true);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    usage.provider = TEXT("a\033[31mb");
    usage.title = TEXT("c\xc2\x9b"
                       "d\u202ee\nf");
    usage.plan = TEXT("g\177h\ri");
    details[0] = TEXT("j\tk\u2028l\u200fz");
    usage.n_details = 1;
    usage.source = TEXT("m\bn");
    account_view_print(&view, &response);
    expect("a [31mb  c d e f \u00b7 g h i\n"
           "  j k l z\n"
           "  m n, asked just now by a warm worker in 350 ms\n");
}
END_TEST

START_TEST(an_answer_without_an_account_is_said_to_be_one)
{
    begin(0, false);
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    response.usage = NULL;
    account_view_print(&view, &response);
    expect("An answer without an account.\n");
}
END_TEST

START_TEST(colours_are_for_who_is_better_or_worse_off)
{
    begin(80, false);
    view.colours = true;
    make_account(PROBED__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OK);
    add_window("a", 50, 0, "");
    add_window("b", 80, 0, "");
    add_window("c", 95, 0, "");
    account_view_print(&view, &response);
    expect("\033[1mopenai-codex\033[0m\n"
           "  a  \033[32m##########\033[0m\033[2m----------\033[0m  50% used\n"
           "  b  \033[33m################\033[0m\033[2m----\033[0m  80% used\n"
           "  c  \033[31m###################\033[0m\033[2m-\033[0m  95% used\n"
           "  \033[2musage_api, \033[0m\033[2masked just now by a warm worker in 350 ms\033[0m\n");
}
END_TEST

/* ---- parts ---- */

START_TEST(wide_characters_take_two_columns)
{
    begin(80, true);
    ck_assert_uint_eq(view_columns(&view, "a\u7b2cb"), 4);
    ck_assert_uint_eq(view_columns(&view, "e\u0301"), 1);
    view_padded(&view, VIEW_PLAIN, "\u7b2c", 4, false);
    view_padded(&view, VIEW_PLAIN, "\u7b2c", 4, true);
    expect("\u7b2c    \u7b2c");
}
END_TEST

START_TEST(bytes_that_are_no_characters_are_shown_as_such)
{
    begin(80, true);
    view_text(&view, VIEW_PLAIN, "a\xff\xc3z\xe2\x82");
    expect("a\ufffd\ufffdz\ufffd\ufffd");
}
END_TEST

static const struct {
    uint64_t ms;
    const char *words;
} durations[] = {
    {0, "0 s"},
    {59999, "59 s"},
    {60000, "1 min"},
    {3599999, "59 min"},
    {3600000, "1 h"},
    {3660000, "1 h 1 min"},
    {86399999, "23 h 59 min"},
    {86400000, "1 d"},
    {90000000, "1 d 1 h"},
    {UINT64_MAX, "213503982334 d 14 h"},
};

START_TEST(durations_are_said_in_two_words_at_most)
{
    char words[VIEW_WORDS_SIZE];

    view_duration(durations[_i].ms, words);
    ck_assert_str_eq(words, durations[_i].words);
}
END_TEST

static const struct {
    int64_t in_ms;
    const char *words;
} moments[] = {
    {-1, "now"},
    {1000, "in 1 s (13:20)"},
    {10 * (int64_t)HOUR_MS, "in 10 h (23:20)"},
    {11 * (int64_t)HOUR_MS, "in 11 h (Wed 00:20)"},
    {5 * 24 * (int64_t)HOUR_MS, "in 5 d (Sun 13:20)"},
    {7 * 24 * (int64_t)HOUR_MS, "in 7 d (1 Dec)"},
    {60 * 24 * (int64_t)HOUR_MS, "in 60 d (23 Jan 2027)"},
    {365 * 24 * (int64_t)HOUR_MS, "in 365 d (24 Nov 2027)"}, /* the same day, of another year */
};

START_TEST(moments_are_said_as_near_as_they_are)
{
    char words[VIEW_WORDS_SIZE];

    begin(0, false);
    view_moment(&view, now_ms + moments[_i].in_ms, words, sizeof words);
    ck_assert_str_eq(words, moments[_i].words);
    expect("");
}
END_TEST

START_TEST(rows_line_up_numbers_on_the_right)
{
    static const char *const heads[] = {"NAME", ">COUNT", "NOTE"};
    struct table table;

    begin(80, true);
    table_init(&table, heads, 3);
    for (int i = 0; i < 3; i++) {
        table_add(&table, "%s", i == 1 ? "\u00e9t\u00e9 long" : "x");
        table_add(&table, "%d", i * 1000);
        table_add(&table, "%s", i == 0 ? "first\033[2J" : "");
    }
    ck_assert(table_print(&table, &view));
    table_fini(&table);
    expect("NAME      COUNT  NOTE\n"
           "x             0  first [2J\n"
           "\u00e9t\u00e9 long   1000\n"
           "x          2000\n");
}
END_TEST

START_TEST(a_table_without_rows_is_its_head)
{
    static const char *const heads[] = {"NAME", ">COUNT"};
    struct table table;

    begin(80, true);
    table_init(&table, heads, 2);
    ck_assert(table_print(&table, &view));
    table_fini(&table);
    expect("NAME  COUNT\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_view");
    TCase *accounts = tcase_create("accounts"), *parts = tcase_create("parts");

    tcase_add_test(accounts, an_account_is_a_head_a_bar_a_window_and_a_foot);
    tcase_add_test(accounts, without_utf8_it_is_ascii);
    tcase_add_test(accounts, bars_shrink_with_the_terminal);
    tcase_add_test(accounts, a_narrow_terminal_has_no_bars_and_wraps_at_blanks);
    tcase_add_test(accounts, percentages_never_hide_that_something_is_used_or_left);
    tcase_add_test(accounts, what_is_unknown_is_left_out);
    tcase_add_test(accounts, balances_line_up_and_keep_their_fractions);
    tcase_add_loop_test(accounts, whatever_is_wrong_with_an_account_is_said_with_its_reason_and_when_to_come_again, 0,
                        sizeof states / sizeof states[0]);
    tcase_add_test(accounts, an_account_that_is_used_up_says_until_when);
    tcase_add_test(accounts, the_last_good_answer_stands_beside_a_bad_one);
    tcase_add_test(accounts, what_stands_in_for_an_error_says_how_old_it_is_and_why);
    tcase_add_test(accounts, a_pool_shows_each_credential);
    tcase_add_test(accounts, nothing_that_came_from_elsewhere_reaches_the_terminal_as_a_command);
    tcase_add_test(accounts, an_answer_without_an_account_is_said_to_be_one);
    tcase_add_test(accounts, colours_are_for_who_is_better_or_worse_off);
    tcase_add_test(parts, wide_characters_take_two_columns);
    tcase_add_test(parts, bytes_that_are_no_characters_are_shown_as_such);
    tcase_add_loop_test(parts, durations_are_said_in_two_words_at_most, 0, sizeof durations / sizeof durations[0]);
    tcase_add_loop_test(parts, moments_are_said_as_near_as_they_are, 0, sizeof moments / sizeof moments[0]);
    tcase_add_test(parts, rows_line_up_numbers_on_the_right);
    tcase_add_test(parts, a_table_without_rows_is_its_head);
    suite_add_tcase(suite, accounts);
    suite_add_tcase(suite, parts);
    return check_main(suite);
}
