/* A worker's environment: the layers, what a home may not say, and a `.env` that is none. */
#include "server/custody/custodian/environment.h"

#include "server/base/dotenv.h"
#include "tests/support/check_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char *const pass[] = {"PATH", "TZ", "HTTPS_PROXY", NULL};
static const struct environment_rules rules = {.pass = pass, .home_env = "HERMES_HOME"};
static char *const inherited[] = {"PATH=/bin", "TZ=", "HTTPS_PROXY=http://proxy", "SECRET=1", "PATHS=2", NULL};

static char **made;
static char folder[] = "/tmp/test_environment.XXXXXX";
static int home_fd;

static void make(const char *dotenv)
{
    struct text text = TEXT_EMPTY;

    text_add_string(&text, dotenv);
    made = environment_make(&rules, inherited, "/h", "/users/owner", &text);
    text_fini(&text);
    ck_assert_ptr_nonnull(made);
}

static const char *value_of(const char *name)
{
    const char *found = NULL;
    size_t size = strlen(name);

    for (size_t i = 0; made[i] != NULL; i++) {
        if (strncmp(made[i], name, size) == 0 && made[i][size] == '=') {
            ck_assert_msg(found == NULL, "%s is there twice", name);
            found = made[i] + size + 1;
        }
    }
    return found;
}

static void unmake(void)
{
    environment_free(made);
    made = NULL;
}

static void open_home(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    home_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(home_fd, 0);
}

static void close_home(void)
{
    unlinkat(home_fd, ".env", 0);
    unlinkat(home_fd, ".env", AT_REMOVEDIR);
    unlinkat(home_fd, "elsewhere", 0);
    close(home_fd);
    rmdir(folder);
}

static void write_file(const char *name, const char *bytes, size_t size)
{
    int fd = openat(home_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, bytes, size), (int)size);
    close(fd);
}

static void expect(enum environment_file expected)
{
    struct text text;

    ck_assert_str_eq(environment_file_name(environment_read(home_fd, &text)), environment_file_name(expected));
    ck_assert(expected == ENVIRONMENT_FILE_READ || text.size == 0);
    text_fini(&text);
}

START_TEST(only_what_is_passed_is_inherited)
{
    make("");
    ck_assert_str_eq(value_of("PATH"), "/bin");
    ck_assert_str_eq(value_of("TZ"), "");
    ck_assert_ptr_null(value_of("SECRET"));
    ck_assert_ptr_null(value_of("PATHS"));
    ck_assert_ptr_null(made[5]);
}
END_TEST

START_TEST(nothing_need_be_passed)
{
    const struct environment_rules none = {.pass = NULL, .home_env = "H"};
    struct text text = TEXT_EMPTY;

    made = environment_make(&none, inherited, "/h", "/h", &text);
    ck_assert_str_eq(value_of("HOME"), "/h");
    ck_assert_str_eq(value_of("H"), "/h");
    ck_assert_ptr_null(made[2]);
}
END_TEST

START_TEST(the_home_has_the_word_over_what_is_passed)
{
    make("HTTPS_PROXY=http://other\nNEW=n\nTZ=UTC\nTZ=CET\n");
    ck_assert_str_eq(value_of("HTTPS_PROXY"), "http://other");
    ck_assert_str_eq(value_of("NEW"), "n");
    ck_assert_str_eq(value_of("TZ"), "CET");
}
END_TEST

START_TEST(an_empty_value_unsets)
{
    make("A=1\nHTTPS_PROXY=\nA=''\n");
    ck_assert_ptr_null(value_of("HTTPS_PROXY"));
    ck_assert_ptr_null(value_of("A"));
}
END_TEST

START_TEST(the_home_is_named_by_us_alone)
{
    make("HOME=/x\nHERMES_HOME=/x\nHERMES_HOME_TOO=/y\n");
    ck_assert_str_eq(value_of("HOME"), "/users/owner");
    ck_assert_str_eq(value_of("HERMES_HOME"), "/h");
    ck_assert_str_eq(value_of("HERMES_HOME_TOO"), "/y");
}
END_TEST

static const char *const kept[] = {"HERMES_HOME",
                                   "PATH",
                                   "HOME",
                                   "SHELL",
                                   "IFS",
                                   "ENV",
                                   "BASH_ENV",
                                   "BASH_",
                                   "SHELLOPTS",
                                   "PS4",
                                   "PROMPT_COMMAND",
                                   "LD_PRELOAD",
                                   "LD_LIBRARY_PATH",
                                   "LD_AUDIT",
                                   "GLIBC_TUNABLES",
                                   "MALLOC_CHECK_",
                                   "GCONV_PATH",
                                   "LOCPATH",
                                   "NLSPATH",
                                   "HOSTALIASES",
                                   "RES_OPTIONS",
                                   "OPENSSL_CONF",
                                   "PYTHONPATH",
                                   "PYTHON",
                                   "PERL5LIB",
                                   "RUBYOPT",
                                   "NODE_OPTIONS",
                                   "JAVA_TOOL_OPTIONS"};
static const char *const free_names[] = {
    "PATHS", "XPATH", "LD", "ENVIRONMENT", "BASH", "BASHOPTS", "MALLOC", "NODE", "OPENROUTER_API_KEY", "PS1", "path"};

START_TEST(a_home_may_not_say_what_runs_or_what_it_loads)
{
    char line[128];

    snprintf(line, sizeof line, "%s=x\n", kept[_i]);
    ck_assert_msg(!environment_may_set(&rules, kept[_i], strlen(kept[_i])), "%s", kept[_i]);
    make(line);
    ck_assert(value_of(kept[_i]) == NULL || strcmp(value_of(kept[_i]), "x") != 0);
    unmake();
    snprintf(line, sizeof line, "%s=\n", kept[_i]); /* nor unset it */
    make(line);
    ck_assert_str_eq(value_of("PATH"), "/bin");
    ck_assert_str_eq(value_of("HOME"), "/users/owner");
}
END_TEST

START_TEST(a_home_may_say_anything_else)
{
    char line[128];

    snprintf(line, sizeof line, "%s=x\n", free_names[_i]);
    make(line);
    ck_assert_str_eq(value_of(free_names[_i]), "x");
}
END_TEST

START_TEST(a_hundred_thousand_variables_take_no_time_to_speak_of)
{
    struct text text = TEXT_EMPTY;
    size_t count = 0;

    for (int i = 0; i < 100000; i++)
        text_format(&text, "V%d=1\n", i);
    ck_assert(text.size <= DOTENV_SIZE_MAX);
    made = environment_make(&rules, inherited, "/h", "/h", &text); /* a walk for each would outlast Check's patience */
    text_fini(&text);
    while (made[count] != NULL)
        count++;
    ck_assert_uint_eq(count, 100005);
}
END_TEST

START_TEST(a_regular_file_is_read)
{
    struct text text;

    write_file(".env", "A=1\n", 4);
    ck_assert_int_eq(environment_read(home_fd, &text), ENVIRONMENT_FILE_READ);
    ck_assert_str_eq(text_string(&text), "A=1\n");
    text_fini(&text);
}
END_TEST

START_TEST(none_at_all_is_no_fault)
{
    expect(ENVIRONMENT_FILE_ABSENT);
}
END_TEST

START_TEST(an_empty_one_is_read)
{
    write_file(".env", "", 0);
    expect(ENVIRONMENT_FILE_READ);
}
END_TEST

START_TEST(a_fifo_is_none_and_nobody_waits_for_its_writer)
{
    ck_assert_int_eq(mkfifoat(home_fd, ".env", 0600), 0);
    expect(ENVIRONMENT_FILE_IRREGULAR);
}
END_TEST

START_TEST(a_directory_is_none)
{
    ck_assert_int_eq(mkdirat(home_fd, ".env", 0700), 0);
    expect(ENVIRONMENT_FILE_IRREGULAR);
}
END_TEST

START_TEST(a_symlink_is_none_wherever_it_leads)
{
    write_file("elsewhere", "A=1\n", 4);
    ck_assert_int_eq(symlinkat("elsewhere", home_fd, ".env"), 0);
    expect(ENVIRONMENT_FILE_IRREGULAR);
}
END_TEST

START_TEST(a_device_is_none)
{
    if (mknodat(home_fd, ".env", S_IFCHR | 0600, makedev(1, 5)) < 0) /* /dev/zero */
        ck_assert_int_ne((int)geteuid(), 0);
    else
        expect(ENVIRONMENT_FILE_IRREGULAR);
}
END_TEST

START_TEST(one_byte_too_many_and_it_is_none)
{
    char *bytes = malloc(DOTENV_SIZE_MAX + 1);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, '#', DOTENV_SIZE_MAX + 1);
    write_file(".env", bytes, DOTENV_SIZE_MAX);
    expect(ENVIRONMENT_FILE_READ);
    unlinkat(home_fd, ".env", 0);
    write_file(".env", bytes, DOTENV_SIZE_MAX + 1);
    expect(ENVIRONMENT_FILE_TOO_LARGE);
    free(bytes);
}
END_TEST

START_TEST(what_is_not_utf8_is_none)
{
    write_file(".env", "A=\xff\n", 4);
    expect(ENVIRONMENT_FILE_NOT_UTF8);
}
END_TEST

START_TEST(what_the_owner_may_not_read_is_none)
{
    write_file(".env", "A=1\n", 4);
    ck_assert_int_eq(fchmodat(home_fd, ".env", 0, 0), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    expect(ENVIRONMENT_FILE_UNREADABLE);
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("environment");
    TCase *layers = tcase_create("layers"), *file = tcase_create("file");

    tcase_add_checked_fixture(layers, NULL, unmake);
    tcase_add_test(layers, only_what_is_passed_is_inherited);
    tcase_add_test(layers, nothing_need_be_passed);
    tcase_add_test(layers, the_home_has_the_word_over_what_is_passed);
    tcase_add_test(layers, an_empty_value_unsets);
    tcase_add_test(layers, the_home_is_named_by_us_alone);
    tcase_add_loop_test(layers, a_home_may_not_say_what_runs_or_what_it_loads, 0, (int)(sizeof kept / sizeof kept[0]));
    tcase_add_loop_test(layers, a_home_may_say_anything_else, 0, (int)(sizeof free_names / sizeof free_names[0]));
    tcase_add_test(layers, a_hundred_thousand_variables_take_no_time_to_speak_of);
    suite_add_tcase(suite, layers);

    tcase_add_checked_fixture(file, open_home, close_home);
    tcase_add_test(file, a_regular_file_is_read);
    tcase_add_test(file, none_at_all_is_no_fault);
    tcase_add_test(file, an_empty_one_is_read);
    tcase_add_test(file, a_fifo_is_none_and_nobody_waits_for_its_writer);
    tcase_add_test(file, a_directory_is_none);
    tcase_add_test(file, a_symlink_is_none_wherever_it_leads);
    tcase_add_test(file, a_device_is_none);
    tcase_add_test(file, one_byte_too_many_and_it_is_none);
    tcase_add_test(file, what_is_not_utf8_is_none);
    tcase_add_test(file, what_the_owner_may_not_read_is_none);
    suite_add_tcase(suite, file);
    return check_main(suite);
}
