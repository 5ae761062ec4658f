/* unit.top_layout: the picture, to the character; and that there is one at every size. */
#include "client/probectl/top/layout.h"
#include "proto/utf8.h"
#include "tests/support/check_main.h"
#include "tests/unit/top_samples.h"

#include <locale.h>
#include <string.h>
#include <time.h>

static struct model model;
static struct canvas canvas;
static const int64_t now_ms = INT64_C(1795526400000);

static const struct kind kinds_before[] = {{"cached", "OK", {1200000, 4000}},
                                           {"joined", "OK", {0, 0, 20}},
                                           {"warm", "OK", {0, 0, 300}},
                                           {"none", "DEADLINE_EXCEEDED", {0, 0, 0, 0, 2}}};
static const struct kind kinds_now[] = {{"cached", "OK", {1208000, 4100}},
                                        {"joined", "OK", {0, 0, 20}},
                                        {"warm", "OK", {0, 0, 320, 4}},
                                        {"none", "DEADLINE_EXCEEDED", {0, 0, 0, 0, 3}}};

static void take(uint64_t uptime_ms, const struct kind *kinds, size_t home_count)
{
    struct sample sample = make_sample(make_look(uptime_ms, kinds, 4), home_count, now_ms);

    model_take(&model, &sample, now_ms);
    sample_fini(&sample);
}

static void open_model(bool utf8)
{
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    setenv("TZ", "UTC", 1);
    tzset();
    canvas.utf8 = utf8;
    model_init(&model, PANEL_HOMES, utf8, 2000);
    take(7800000, kinds_before, 3);
    take(7810000, kinds_now, 12);
}

static void setup(void)
{
    open_model(true);
}

static void teardown(void)
{
    model_fini(&model);
    canvas_fini(&canvas);
}

/* The picture of this size; free() it. */
static char *draw(unsigned row_count, unsigned column_count)
{
    char *text;

    ck_assert(canvas_begin(&canvas, row_count, column_count));
    layout_draw(&canvas, &model);
    text = canvas_text(&canvas);
    ck_assert_ptr_nonnull(text);
    return text;
}

static void expect_picture(unsigned row_count, unsigned column_count, const char *wanted)
{
    char *text = draw(row_count, column_count);

    ck_assert_msg(strcmp(text, wanted) == 0, "\n%s\ninstead of\n%s", text, wanted);
    free(text);
}

static void expect_part(unsigned row_count, unsigned column_count, const char *part, bool wanted)
{
    char *text = draw(row_count, column_count);

    ck_assert_msg((strstr(text, part) != NULL) == wanted, "\"%s\":\n%s", part, text);
    free(text);
}

static void press(int key)
{
    model_press(&model, key);
}

START_TEST(a_usual_window_has_everything)
{
    expect_picture(24, 80,
                   "probed 1.2.3  serving  up 2 h 10 min                   every 2 s, as of 13:20:00\n"
                   "3 workers: 2 leased, 1 idle\n"
                   "2 probes under way, 1 call waiting, 7 answers kept, 4 homes known\n"
                   "\n"
                   "ANSWERS          CALLS  A SECOND  of the last 10 s             MEDIAN  99 OF 100\n"
                   "cached       1,212,100       810                          \u2588     51 \u00b5s     271 \u00b5s\n"
                   "joined              20       0.0                          \u2581         -          -\n"
                   "warm               324       2.4                          \u2588   6.40 ms    94.6 ms\n"
                   "failed               3       0.1                          \u2588    100 ms     100 ms\n"
                   "\n"
                   " 1 Homes 12   2 Workers 3   3 Changes 2   4 Answers 4                 1-11 of 12\n"
                   "HOME      LEASED   IDLE   OTHER  WAITING\u25bc   LONGEST   PAUSE  LAST FAILURE\n"
                   "/home/l        1      0       0        11         -       -  -\n"
                   "/home/k        1      0       0        10         -       -  -\n"
                   "/home/j        1      0       0         9         -       -  -\n"
                   "/home/i        1      0       0         8         -       -  -\n"
                   "/home/h        1      0       0         7         -       -  -\n"
                   "/home/g        1      0       0         6         -       -  -\n"
                   "/home/f        1      0       0         5         -       -  -\n"
                   "/home/e        1      0       0         4         -       -  -\n"
                   "/home/d        1      0       0         3         -       -  -\n"
                   "/home/c        1      0       0         2         -       -  -\n"
                   "/home/b        1      0       0         1         -       -  -\n"
                   "q quit  h help  1-4 lists  / filter  < > sort  r reverse  space pause\n");
}
END_TEST

START_TEST(a_low_and_narrow_window_has_what_matters_most)
{
    expect_picture(10, 40,
                   "probed 1.2.3  serving  up 2 h 10 min\n"
                   "3 workers: 2 leased, 1 idle\n"
                   "813/s, median 51 \u00b5s, 99 of 100 494 \u00b5s\n"
                   "1 Homes 2 Workers 3 Changes 4 Answers\n"
                   "HOME      LEASED   IDLE  WAITING\u25bc\n"
                   "/home/l        1      0        11\n"
                   "/home/k        1      0        10\n"
                   "/home/j        1      0         9\n"
                   "/home/i        1      0         8\n"
                   "q quit  h help  1-4 lists  / filter\n");
}
END_TEST

START_TEST(the_smallest_window_has_three_rows)
{
    expect_picture(8, 40,
                   "probed 1.2.3  serving  up 2 h 10 min\n"
                   "3 workers: 2 leased, 1 idle\n"
                   "1 Homes 2 Workers 3 Changes 4 Answers\n"
                   "HOME      LEASED   IDLE  WAITING\u25bc\n"
                   "/home/l        1      0        11\n"
                   "/home/k        1      0        10\n"
                   "/home/j        1      0         9\n"
                   "q quit  h help  1-4 lists  / filter\n");
}
END_TEST

START_TEST(a_smaller_one_says_so)
{
    expect_picture(7, 40, "too small: 40 by 8 or more\n\n\n\n\n\n\n");
    expect_picture(1, 5, "too \xe2\x80\xa6\n");
    expect_picture(2, 1, "\xe2\x80\xa6\n\n");
}
END_TEST

START_TEST(without_utf8_there_is_nothing_but_ascii)
{
    char *text;

    teardown();
    open_model(false);
    text = draw(24, 80);
    for (const char *at = text; *at != '\0'; at++)
        ck_assert_msg((*at >= 0x20 && *at < 0x7f) || *at == '\n', "%#x in\n%s", (unsigned)*at, text);
    ck_assert_ptr_nonnull(strstr(text, "WAITINGv"));
    free(text);
}
END_TEST

/* Cells hold whole characters, rows have the columns they should, nothing but text gets in. */
static void expect_sound(unsigned row_count, unsigned column_count)
{
    char *text = draw(row_count, column_count);
    const struct view view = {.utf8 = true};
    char *line = text;

    ck_assert_uint_eq(canvas.row_count, row_count);
    ck_assert(utf8_valid(text, strlen(text)));
    for (unsigned row = 0; row < row_count; row++) {
        char *end = strchr(line, '\n');

        ck_assert_ptr_nonnull(end);
        *end = '\0';
        if (utf8_has_control(line, strlen(line)) || view_columns(&view, line) > column_count)
            ck_abort_msg("%u columns, controls or too wide: \"%s\"", column_count, line);
        line = end + 1;
    }
    ck_assert(!canvas.cursor || (canvas.cursor_row < row_count && canvas.cursor_column < column_count));
    free(text);
}

START_TEST(there_is_a_picture_at_every_size_of_every_list)
{
    for (unsigned row_count = 1; row_count < 50; row_count++) {
        for (unsigned column_count = 1; column_count < 160; column_count += 3) {
            press('1' + (int)((row_count + column_count) % PANEL_COUNT));
            model.helping = column_count % 4 == 0;
            model.filtering = column_count % 5 == 0;
            expect_sound(row_count, column_count);
        }
    }
}
END_TEST

/* What a stranger can have put into a name: an escape sequence, half a character, one that turns the direction of
 * writing; wide ones and such that join. */
START_TEST(no_name_commands_the_terminal)
{
    static const char *const names[] = {"/h/\x1b[2J\x07\x9b",
                                        ("/h/\xe2\x80\xae"
                                         "cod.exe"),
                                        "/h/\xc3",
                                        "/h/\xc1\x81",
                                        "/h/a\nb\tc\rd",
                                        "/h/\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0\xe5\xa5\xbd",
                                        "/h/e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81"};
    Probed__V1__ListHomesResponse *homes = (Probed__V1__ListHomesResponse *)model.lists[PANEL_HOMES].answer;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        free(homes->homes[i]->home);
        homes->homes[i]->home = strdup(names[i]);
        homes->homes[i]->last_failure = strdup(names[i]);
    }
    press('r'); /* these are the first */
    for (unsigned column_count = LAYOUT_COLUMNS_MIN; column_count < 200; column_count++)
        expect_sound(24, column_count);
    expect_part(24, 80, "/h/\xe4\xbd\xa0", true);
    expect_part(24, 80, "/h/ cod.exe", true);
}
END_TEST

START_TEST(the_column_that_sorts_stays_however_narrow_it_is)
{
    expect_part(24, 40, "GENERATION", false);
    for (int i = 0; i < 3; i++)
        press('>');
    expect_part(24, 40, "GENERATION\xe2\x96\xbc", true);
}
END_TEST

START_TEST(a_path_that_is_cut_keeps_its_end)
{
    Probed__V1__ListHomesResponse *homes = (Probed__V1__ListHomesResponse *)model.lists[PANEL_HOMES].answer;

    free(homes->homes[11]->home);
    homes->homes[11]->home = strdup("/srv/a/very/long/way/down/to/the/last/of/the/homes/alice/.hermes");
    expect_part(24, 60,
                "\xe2\x80\xa6"
                "omes/alice/.hermes",
                false);
    expect_part(24, 40, "ce/.hermes", true);
    expect_part(24, 40, "/srv", false);
}
END_TEST

START_TEST(a_lost_daemon_is_told_with_the_reason_and_the_age_of_all_this)
{
    struct sample sample = make_failure("cannot reach probed at ipc:///x: not connected");

    model_take(&model, &sample, now_ms + 14000);
    sample_fini(&sample);
    expect_part(24, 80, "no answer  up 2 h 10 min", true);
    expect_part(24, 80, "All this is 14.0 s old; trying again.  cannot reach probed", true);
    expect_part(8, 40, "All this is 14.0 s old", true);
    expect_part(24, 80, "/home/l", true);
}
END_TEST

START_TEST(a_filter_says_how_many_rows_it_leaves)
{
    press('/');
    press('j');
    expect_part(24, 80, "1-1 of 1", true);
    expect_part(24, 80, "/j   Enter keep", true);
    ck_assert(canvas.cursor);
    ck_assert_uint_eq(canvas.cursor_column, 2);
    press('!');
    expect_part(24, 80, "0-0 of 0", true);
    expect_part(24, 80, "no row has \"j!\"", true);
    press(MODEL_KEY_ENTER);
    expect_part(24, 80, "/j!  Esc all rows", true);
    ck_assert(!canvas.cursor);
}
END_TEST

START_TEST(the_help_fits_the_smallest_window)
{
    press('h');
    expect_part(8, 40, "any key goes back", true);
    expect_part(8, 40, "quit", true);
    expect_part(24, 80, "a worker that was started for it", true);
}
END_TEST

START_TEST(the_page_of_a_list_is_what_has_room)
{
    free(draw(24, 80));
    ck_assert_uint_eq(model.page, 11);
    press(MODEL_KEY_END);
    expect_part(24, 80, "2-12 of 12", true);
    free(draw(8, 40));
    ck_assert_uint_eq(model.page, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top_layout");
    TCase *tcase = tcase_create("layout");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_usual_window_has_everything);
    tcase_add_test(tcase, a_low_and_narrow_window_has_what_matters_most);
    tcase_add_test(tcase, the_smallest_window_has_three_rows);
    tcase_add_test(tcase, a_smaller_one_says_so);
    tcase_add_test(tcase, without_utf8_there_is_nothing_but_ascii);
    tcase_add_test(tcase, there_is_a_picture_at_every_size_of_every_list);
    tcase_add_test(tcase, no_name_commands_the_terminal);
    tcase_add_test(tcase, the_column_that_sorts_stays_however_narrow_it_is);
    tcase_add_test(tcase, a_path_that_is_cut_keeps_its_end);
    tcase_add_test(tcase, a_lost_daemon_is_told_with_the_reason_and_the_age_of_all_this);
    tcase_add_test(tcase, a_filter_says_how_many_rows_it_leaves);
    tcase_add_test(tcase, the_help_fits_the_smallest_window);
    tcase_add_test(tcase, the_page_of_a_list_is_what_has_room);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
