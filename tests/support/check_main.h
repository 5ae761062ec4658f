/* The main of a Check program: runs one suite, fails when nothing was run (a misspelt CK_RUN_CASE would pass). */
#ifndef TESTS_SUPPORT_CHECK_MAIN_H
#define TESTS_SUPPORT_CHECK_MAIN_H

#include <check.h>

static inline int check_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int run_count, failed_count;

    srunner_run_all(runner, CK_ENV);
    run_count = srunner_ntests_run(runner);
    failed_count = srunner_ntests_failed(runner);
    srunner_free(runner);
    return run_count > 0 && failed_count == 0 ? 0 : 1;
}

#endif
