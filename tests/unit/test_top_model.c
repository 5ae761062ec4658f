/* unit.top_model: samples and keys, and what is shown after them. */
#include "client/probectl/top/model.h"
#include "tests/support/check_main.h"
#include "tests/unit/top_samples.h"

#include <string.h>

enum { PAGE = 10 };

static struct model model;
static int64_t now_ms = INT64_C(1795526400000);
static uint64_t uptime_ms = 1000;

static void take_homes(size_t count)
{
    struct sample sample;

    now_ms += 2000;
    uptime_ms += 2000;
    sample = make_sample(make_look(uptime_ms, &(struct kind){"none", "INTERNAL", {1}}, 1), count, now_ms);
    model_take(&model, &sample, now_ms);
    sample_fini(&sample);
}

static void take_failure(const char *message)
{
    struct sample sample = make_failure(message);

    now_ms += 2000;
    model_take(&model, &sample, now_ms);
    sample_fini(&sample);
}

static void setup(void)
{
    model_init(&model, PANEL_HOMES, true, 2000);
    take_homes(40);
    model_set_page(&model, PAGE);
}

static void teardown(void)
{
    model_fini(&model);
}

static void press(const char *keys)
{
    for (; *keys != '\0'; keys++)
        model_press(&model, *keys);
}

static const char *first_home(void)
{
    return ((const Probed__V1__HomeInfo *)model.shown[model.offset])->home;
}

START_TEST(homes_with_the_longest_queue_come_first)
{
    ck_assert_uint_eq(model.shown_count, 40);
    ck_assert_uint_eq(((const Probed__V1__HomeInfo *)model.shown[0])->waiting, 39);
}
END_TEST

START_TEST(numbers_and_tab_choose_the_list)
{
    press("2");
    ck_assert_int_eq((int)model.panel, PANEL_WORKERS);
    ck_assert_uint_eq(model.shown_count, 3);
    press("3");
    ck_assert_int_eq((int)model.panel, PANEL_CHANGES);
    ck_assert_uint_eq(model.shown_count, 2);
    model_press(&model, MODEL_KEY_TAB);
    ck_assert_int_eq((int)model.panel, PANEL_ANSWERS);
    ck_assert_uint_eq(model.shown_count, 1);
    ck_assert_str_eq(((const struct answer_row *)model.shown[0])->name, "failed: INTERNAL");
    model_press(&model, MODEL_KEY_TAB);
    ck_assert_int_eq((int)model.panel, PANEL_HOMES);
    model_press(&model, MODEL_KEY_TAB_BACK);
    ck_assert_int_eq((int)model.panel, PANEL_ANSWERS);
    press("9");
    ck_assert_int_eq((int)model.panel, PANEL_ANSWERS);
}
END_TEST

START_TEST(the_column_that_sorts_goes_round_each_list_with_its_own)
{
    unsigned column_count = listing_panel(PANEL_HOMES)->column_count;
    unsigned sorted = model.lists[PANEL_HOMES].order.column;

    press("<<<<");
    ck_assert_uint_eq(model.lists[PANEL_HOMES].order.column, 0);
    ck_assert_str_eq(first_home(), "/home/a");
    press("r");
    ck_assert_str_eq(first_home(), "/home/z");
    press("2>1");
    ck_assert(model.lists[PANEL_HOMES].order.reversed);
    press("<");
    ck_assert_uint_eq(model.lists[PANEL_HOMES].order.column, column_count - 1);
    ck_assert(!model.lists[PANEL_HOMES].order.reversed);
    for (unsigned i = 0; i <= sorted; i++)
        model_press(&model, MODEL_KEY_RIGHT);
    ck_assert_uint_eq(model.lists[PANEL_HOMES].order.column, sorted);
    ck_assert_uint_eq(model.lists[PANEL_WORKERS].order.column, listing_panel(PANEL_WORKERS)->sorted + 1);
}
END_TEST

START_TEST(scrolling_ends_at_both_ends)
{
    model_press(&model, MODEL_KEY_UP);
    ck_assert_uint_eq(model.offset, 0);
    model_press(&model, MODEL_KEY_DOWN);
    ck_assert_uint_eq(model.offset, 1);
    model_press(&model, MODEL_KEY_PAGE_DOWN);
    ck_assert_uint_eq(model.offset, PAGE);
    model_press(&model, MODEL_KEY_END);
    ck_assert_uint_eq(model.offset, 40 - PAGE);
    model_press(&model, MODEL_KEY_PAGE_DOWN);
    ck_assert_uint_eq(model.offset, 40 - PAGE);
    model_press(&model, MODEL_KEY_PAGE_UP);
    ck_assert_uint_eq(model.offset, 40 - PAGE - (PAGE - 1));
    model_press(&model, MODEL_KEY_HOME);
    ck_assert_uint_eq(model.offset, 0);
}
END_TEST

START_TEST(a_list_that_shrinks_or_a_window_that_grows_takes_the_offset_along)
{
    model_press(&model, MODEL_KEY_END);
    model_set_page(&model, 35);
    ck_assert_uint_eq(model.offset, 5);
    take_homes(12);
    ck_assert_uint_eq(model.shown_count, 12);
    ck_assert_uint_eq(model.offset, 0);
    model_set_page(&model, 0); /* no room at all */
    model_press(&model, MODEL_KEY_END);
    ck_assert_uint_eq(model.offset, 11);
    take_homes(0);
    ck_assert_uint_eq(model.offset, 0);
}
END_TEST

START_TEST(a_filter_is_typed_kept_and_dropped)
{
    press("/ME/B");
    ck_assert(model.filtering);
    ck_assert_str_eq(model.filter, "ME/B");
    ck_assert_uint_eq(model.shown_count, 2); /* b, b1 */
    model_press(&model, MODEL_KEY_ENTER);
    ck_assert(!model.filtering);
    take_homes(3);
    ck_assert_uint_eq(model.shown_count, 1);
    press("/");
    model_press(&model, MODEL_KEY_ERASE);
    ck_assert_str_eq(model.filter, "");
    press("q /");
    ck_assert(!model.over && !model.paused);
    model_press(&model, MODEL_KEY_ESCAPE);
    ck_assert_str_eq(model.filter, "");
    ck_assert_uint_eq(model.shown_count, 3);
    press("/c");
    model_press(&model, MODEL_KEY_ENTER);
    model_press(&model, MODEL_KEY_ESCAPE);
    ck_assert_uint_eq(model.shown_count, 3);
}
END_TEST

START_TEST(a_filter_is_erased_a_character_at_a_time_and_has_an_end)
{
    press("/a");
    model_press(&model, 0xe9);
    model_press(&model, 0x20ac);
    model_press(&model, 0x1f600);
    ck_assert_str_eq(model.filter, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    for (int i = 0; i < 3; i++)
        model_press(&model, MODEL_KEY_BACKSPACE);
    ck_assert_str_eq(model.filter, "a");
    model_press(&model, MODEL_KEY_BACKSPACE);
    ck_assert(model.filtering);
    model_press(&model, MODEL_KEY_BACKSPACE); /* nothing is left: that ends it */
    ck_assert(!model.filtering);
    press("/");
    for (int i = 0; i < 1000; i++)
        model_press(&model, 0x20ac);
    ck_assert_uint_lt(strlen(model.filter), MODEL_FILTER_SIZE);
    ck_assert_uint_eq(strlen(model.filter) % 3, 0);
}
END_TEST

START_TEST(paused_it_keeps_what_it_shows_and_asks_when_it_goes_on)
{
    ck_assert(!model_press(&model, ' '));
    take_homes(2);
    ck_assert_uint_eq(model.shown_count, 40);
    press("2");
    ck_assert_uint_eq(model.shown_count, 3);
    ck_assert(model_press(&model, ' '));
    take_homes(2);
    press("1");
    ck_assert_uint_eq(model.shown_count, 2);
}
END_TEST

START_TEST(a_lost_daemon_is_said_and_comes_back)
{
    int64_t seen_ms = now_ms;

    take_failure("nobody there");
    take_failure("still nobody there");
    ck_assert_int_eq(model.lost_ms, seen_ms + 2000);
    ck_assert_int_eq(model.seen_ms, seen_ms);
    ck_assert_str_eq(model.lost_reason, "still nobody there");
    ck_assert_uint_eq(model.shown_count, 40);
    take_homes(3);
    ck_assert_int_eq(model.lost_ms, 0);
    ck_assert_uint_eq(model.shown_count, 3);
}
END_TEST

START_TEST(a_list_that_fails_alone_says_why_and_spares_the_others)
{
    struct sample sample = make_sample(make_look(uptime_ms += 2000, NULL, 0), 3, now_ms);

    protobuf_c_message_free_unpacked(sample.answers[SAMPLE_WORKERS], NULL);
    sample.answers[SAMPLE_WORKERS] = NULL;
    sample.outcomes[SAMPLE_WORKERS] = (struct probed_status){.code = PROBED_UNIMPLEMENTED, .message = "no such method"};
    model_take(&model, &sample, now_ms);
    sample_fini(&sample);
    ck_assert_uint_eq(model.shown_count, 3);
    press("2");
    ck_assert_uint_eq(model.shown_count, 0);
    ck_assert_str_eq(model.lists[PANEL_WORKERS].failure, "no such method");
    take_homes(3);
    ck_assert_uint_eq(model.shown_count, 3);
    ck_assert_str_eq(model.lists[PANEL_WORKERS].failure, "");
}
END_TEST

START_TEST(any_key_ends_the_help_and_nothing_else)
{
    press("h");
    ck_assert(model.helping);
    press("q");
    ck_assert(!model.helping && !model.over);
    press("?");
    ck_assert(model.helping);
    press("2");
    ck_assert_int_eq((int)model.panel, PANEL_HOMES);
    press("q");
    ck_assert(model.over);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top_model");
    TCase *tcase = tcase_create("model");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, homes_with_the_longest_queue_come_first);
    tcase_add_test(tcase, numbers_and_tab_choose_the_list);
    tcase_add_test(tcase, the_column_that_sorts_goes_round_each_list_with_its_own);
    tcase_add_test(tcase, scrolling_ends_at_both_ends);
    tcase_add_test(tcase, a_list_that_shrinks_or_a_window_that_grows_takes_the_offset_along);
    tcase_add_test(tcase, a_filter_is_typed_kept_and_dropped);
    tcase_add_test(tcase, a_filter_is_erased_a_character_at_a_time_and_has_an_end);
    tcase_add_test(tcase, paused_it_keeps_what_it_shows_and_asks_when_it_goes_on);
    tcase_add_test(tcase, a_lost_daemon_is_said_and_comes_back);
    tcase_add_test(tcase, a_list_that_fails_alone_says_why_and_spares_the_others);
    tcase_add_test(tcase, any_key_ends_the_help_and_nothing_else);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
