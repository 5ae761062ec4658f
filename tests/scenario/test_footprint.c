/* What an idle daemon costs that knows many homes. */
#include "tests/support/process.h"
#include "tests/support/story.h"

enum { HOME_COUNT = 64, DAEMON_KIB_MAX = 12 * 1024, CUSTODIAN_KIB_MAX = 2 * 1024 };

STORY_SETUP(short_idle, "--pool-idle-ms", "100")

START_TEST(sixty_four_homes_known_cost_little)
{
    size_t daemon_kib, custodian_kib;

    for (size_t i = 0; i < HOME_COUNT; i++) {
        struct home known;
        char name[16];

        snprintf(name, sizeof name, "known%zu", i);
        home_create(&known, &stage.scratch, name);
        expect_plan(probe_begin(caller, known.path, "openrouter", NULL, 0), "one");
    }
    daemon_wait(server, "idle", 0);
    daemon_wait(server, "ending", 0);
    ck_assert_uint_eq(daemon_number(server, "homes"), HOME_COUNT);
    daemon_kib = process_private_kib(server->pid);
    custodian_kib = process_private_kib(process_child_named(server->pid, "probed-custodian"));
    printf("private memory: %zu KiB probed, %zu KiB probed-custodian\n", daemon_kib, custodian_kib);
    if (!SANITIZED) {
        ck_assert_uint_lt(daemon_kib, DAEMON_KIB_MAX);
        ck_assert_uint_lt(custodian_kib, CUSTODIAN_KIB_MAX);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("footprint");
    TCase *tcase = story_case(suite, "footprint", short_idle);

    tcase_add_test(tcase, sixty_four_homes_known_cost_little);
    return check_main(suite);
}
