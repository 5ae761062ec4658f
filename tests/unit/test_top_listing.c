/* unit.top_listing: what stands in the lists, in which order, and what is left out; figures in words. */
#include "client/probectl/top/listing.h"
#include "tests/support/check_main.h"
#include "tests/unit/top_samples.h"

#include <string.h>
#include <time.h>

static const struct listing_style style = {.utf8 = true, .now_ms = INT64_C(1795526400000)};

static const void *shown[64];

static size_t make(enum panel panel, ProtobufCMessage *const *rows, size_t count, unsigned column, bool reversed,
                   const char *filter)
{
    const struct listing_order order = {.column = column, .reversed = reversed};
    const void *pointers[64];

    for (size_t i = 0; i < count; i++)
        pointers[i] = rows[i];
    return listing_make(panel, pointers, count, &order, filter, &style, shown);
}

static unsigned column_of(enum panel panel, const char *head)
{
    const struct panel_kind *kind = listing_panel(panel);

    for (unsigned i = 0; i < kind->column_count; i++) {
        if (strcmp(kind->columns[i].head, head) == 0)
            return i;
    }
    ck_abort_msg("no column %s", head);
}

static const char *home_at(size_t place)
{
    return ((const Probed__V1__HomeInfo *)shown[place])->home;
}

static uint64_t worker_at(size_t place)
{
    return ((const Probed__V1__WorkerInfo *)shown[place])->worker_id;
}

START_TEST(numbers_fall_texts_rise_and_both_turn_round)
{
    Probed__V1__ListHomesResponse *homes = (Probed__V1__ListHomesResponse *)make_homes(3, false);
    ProtobufCMessage **rows = (ProtobufCMessage **)homes->homes;
    unsigned waiting = column_of(PANEL_HOMES, "WAITING"), path = column_of(PANEL_HOMES, "HOME");

    ck_assert_uint_eq(make(PANEL_HOMES, rows, 3, waiting, false, ""), 3);
    ck_assert_str_eq(home_at(0), "/home/c");
    ck_assert_uint_eq(make(PANEL_HOMES, rows, 3, waiting, true, ""), 3);
    ck_assert_str_eq(home_at(0), "/home/a");
    ck_assert_uint_eq(make(PANEL_HOMES, rows, 3, path, false, ""), 3);
    ck_assert_str_eq(home_at(0), "/home/a");
    ck_assert_uint_eq(make(PANEL_HOMES, rows, 3, path, true, ""), 3);
    ck_assert_str_eq(home_at(0), "/home/c");
    protobuf_c_message_free_unpacked(&homes->base, NULL);
}
END_TEST

START_TEST(rows_that_are_alike_keep_their_place_both_ways)
{
    Probed__V1__ListHomesResponse *homes = (Probed__V1__ListHomesResponse *)make_homes(40, false);
    unsigned leased = column_of(PANEL_HOMES, "LEASED");

    for (int reversed = 0; reversed < 2; reversed++) {
        make(PANEL_HOMES, (ProtobufCMessage **)homes->homes, 40, leased, reversed == 1, "");
        for (size_t i = 0; i < 40; i++)
            ck_assert_ptr_eq(shown[i], homes->homes[i]);
    }
    protobuf_c_message_free_unpacked(&homes->base, NULL);
}
END_TEST

START_TEST(workers_that_work_come_first)
{
    Probed__V1__ListWorkersResponse *workers = (Probed__V1__ListWorkersResponse *)make_workers();
    ProtobufCMessage **rows = (ProtobufCMessage **)workers->workers;

    make(PANEL_WORKERS, rows, 3, listing_panel(PANEL_WORKERS)->sorted, false, "");
    ck_assert_uint_eq(worker_at(0), 2);
    ck_assert_uint_eq(worker_at(2), 1);
    protobuf_c_message_free_unpacked(&workers->base, NULL);
}
END_TEST

START_TEST(a_filter_looks_at_every_column_as_it_is_shown)
{
    Probed__V1__ListWorkersResponse *workers = (Probed__V1__ListWorkersResponse *)make_workers();
    ProtobufCMessage **rows = (ProtobufCMessage **)workers->workers;

    ck_assert_uint_eq(make(PANEL_WORKERS, rows, 3, 0, false, "OpenR"), 1);
    ck_assert_uint_eq(worker_at(0), 2);
    ck_assert_uint_eq(make(PANEL_WORKERS, rows, 3, 0, false, "leased"), 2);
    ck_assert_uint_eq(make(PANEL_WORKERS, rows, 3, 0, false, "4002"), 1);
    ck_assert_uint_eq(make(PANEL_WORKERS, rows, 3, 0, false, "340 ms"), 3);
    ck_assert_uint_eq(make(PANEL_WORKERS, rows, 3, 0, false, "elsewhere"), 0);
    protobuf_c_message_free_unpacked(&workers->base, NULL);
}
END_TEST

static void expect_words(enum panel panel, const void *row, const char *head, const char *words)
{
    char out[WORDS_SIZE];

    ck_assert_str_eq(listing_words(&listing_panel(panel)->columns[column_of(panel, head)], row, &style, out), words);
}

START_TEST(what_is_missing_is_a_dash_and_what_is_general_is_all)
{
    Probed__V1__HomeInfo home = PROBED__V1__HOME_INFO__INIT;
    Probed__V1__WorkerInfo worker = PROBED__V1__WORKER_INFO__INIT;
    Probed__V1__EventInfo event = PROBED__V1__EVENT_INFO__INIT;

    expect_words(PANEL_HOMES, &home, "LEASED", "0"); /* a message without counts of workers */
    expect_words(PANEL_HOMES, &home, "LONGEST", "-");
    expect_words(PANEL_HOMES, &home, "LAST FAILURE", "-");
    expect_words(PANEL_WORKERS, &worker, "STATE", "unknown");
    expect_words(PANEL_WORKERS, &worker, "PROVIDER", "-");
    expect_words(PANEL_CHANGES, &event, "HOME", "all");
    expect_words(PANEL_CHANGES, &event, "PROVIDER", "all");
    expect_words(PANEL_CHANGES, &event, "CAUSE", "unknown");
    expect_words(PANEL_ANSWERS, &(struct answer_row){.name = "warm", .figures = {.half_s = -1}}, "MEDIAN", "-");
}
END_TEST

START_TEST(counts_have_commas_and_rates_no_more_digits_than_they_deserve)
{
    static const struct {
        uint64_t count;
        const char *words;
    } counts[] = {
        {0, "0"}, {999, "999"}, {1000, "1,000"}, {1204311, "1,204,311"}, {UINT64_MAX, "18,446,744,073,709,551,615"}};
    static const struct {
        double rate;
        const char *words;
    } rates[] = {{0, "0.0"}, {0.04, "0.0"}, {9.94, "9.9"}, {9.96, "10"}, {81234.4, "81,234"}};
    char out[WORDS_SIZE];

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        words_count(counts[i].count, out);
        ck_assert_str_eq(out, counts[i].words);
    }
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        words_rate(rates[i].rate, out);
        ck_assert_str_eq(out, rates[i].words);
    }
}
END_TEST

START_TEST(times_have_three_digits_and_a_unit)
{
    static const struct {
        double seconds;
        const char *words;
    } times[] = {{0, "0 us"},          {41e-6, "41 us"},   {0.0009996, "1.00 ms"}, {0.0032, "3.20 ms"},
                 {0.01249, "12.5 ms"}, {0.3504, "350 ms"}, {0.9996, "1.00 s"},     {59.96, "60.0 s"}};
    static const struct {
        uint64_t ms;
        const char *words;
    } spans[] = {{999, "999 ms"},      {1000, "1.0 s"},         {59999, "59.9 s"},     {60000, "1 min"},
                 {65000, "1 min 5 s"}, {7800000, "2 h 10 min"}, {273600000, "3 d 4 h"}};
    char out[WORDS_SIZE];

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        words_seconds(times[i].seconds, false, out);
        ck_assert_str_eq(out, times[i].words);
    }
    words_seconds(41e-6, true, out);
    ck_assert_str_eq(out, "41 \xc2\xb5s");
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        words_span(spans[i].ms, out);
        ck_assert_str_eq(out, spans[i].words);
    }
}
END_TEST

START_TEST(a_moment_of_another_day_has_its_day)
{
    char out[WORDS_SIZE];

    setenv("TZ", "UTC", 1);
    tzset();
    words_moment(style.now_ms - 3600000, style.now_ms, out);
    ck_assert_str_eq(out, "12:20:00");
    words_moment(style.now_ms - 20 * 86400000LL, style.now_ms, out);
    ck_assert_str_eq(out, "4 Nov 13:20");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top_listing");
    TCase *tcase = tcase_create("listing");

    tcase_add_test(tcase, numbers_fall_texts_rise_and_both_turn_round);
    tcase_add_test(tcase, rows_that_are_alike_keep_their_place_both_ways);
    tcase_add_test(tcase, workers_that_work_come_first);
    tcase_add_test(tcase, a_filter_looks_at_every_column_as_it_is_shown);
    tcase_add_test(tcase, what_is_missing_is_a_dash_and_what_is_general_is_all);
    tcase_add_test(tcase, counts_have_commas_and_rates_no_more_digits_than_they_deserve);
    tcase_add_test(tcase, times_have_three_digits_and_a_unit);
    tcase_add_test(tcase, a_moment_of_another_day_has_its_day);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
