#include "deploy/cli/keeper.h"

#include <check.h>
#include <signal.h>
#include <unistd.h>

static struct dyn_loop *loop;
static struct keeper *keeper;
static int wrongs;
static int stops;
static char wrong_words[DYN_ERROR_TEXT_MAX];

static void on_wrong(void *arg, const char *why)
{
    (void)arg;
    wrongs++;
    dyn_str_copy(wrong_words, sizeof wrong_words, dyn_str_from(why));
}

static void on_stopped(void *arg)
{
    (void)arg;
    stops++;
}

static void make(const char *const *argv, const char *const *env)
{
    struct keeper_options options = {
        .name = "the child", .argv = argv, .env = env, .wrong = on_wrong, .stopped = on_stopped};
    wrongs = 0;
    stops = 0;
    loop = dyn_loop_new();
    keeper = keeper_new(loop, &options);
    ck_assert_ptr_nonnull(keeper);
    keeper_start(keeper);
}

static void end(void)
{
    keeper_free(keeper);
    dyn_loop_free(loop);
}

static void await_another(int before)
{
    for (int i = 0; i < 200 && (keeper_pid(keeper) == 0 || keeper_pid(keeper) == before); i++) {
        dyn_loop_once(loop, 50);
    }
    ck_assert_int_ne(keeper_pid(keeper), 0);
    ck_assert_int_ne(keeper_pid(keeper), before);
}

static void await_count(const int *count)
{
    for (int i = 0; i < 200 && *count == 0; i++) {
        dyn_loop_once(loop, 50);
    }
    ck_assert_int_eq(*count, 1);
}

static const char *const env_none[] = {"PATH=/usr/bin:/bin", NULL};
static const char *const argv_sleep[] = {"sleep", "1000", NULL};

START_TEST(a_child_that_is_killed_is_started_again)
{
    make(argv_sleep, env_none);
    int first = keeper_pid(keeper);
    ck_assert_int_ne(first, 0);
    keeper_signal(keeper, SIGKILL);
    await_another(first);
    ck_assert_int_eq(wrongs, 0);
}
END_TEST

START_TEST(a_child_that_refuses_its_configuration_is_not_started_again)
{
    static const char *const argv[] = {"sh", "-c", "exit 2", NULL};
    make(argv, env_none);
    await_count(&wrongs);
    ck_assert_str_eq(wrong_words, "the child refuses its configuration");
    ck_assert_int_eq(keeper_pid(keeper), 0);
    keeper_stop(keeper);
    ck_assert_int_eq(stops, 1);
}
END_TEST

START_TEST(a_program_that_is_missing_is_told)
{
    static const char *const argv[] = {"/nowhere/at/all", NULL};
    make(argv, env_none);
    ck_assert_int_eq(wrongs, 1);
    ck_assert_ptr_nonnull(strstr(wrong_words, "/nowhere/at/all"));
}
END_TEST

START_TEST(a_stop_ends_the_child_and_is_told_once)
{
    make(argv_sleep, env_none);
    int pid = keeper_pid(keeper);
    keeper_stop(keeper);
    ck_assert_int_eq(stops, 0);
    await_count(&stops);
    ck_assert_int_eq(keeper_pid(keeper), 0);
    ck_assert_int_ne(kill(pid, 0), 0);
}
END_TEST

START_TEST(a_stop_while_it_waits_is_told_at_once)
{
    static const char *const argv[] = {"false", NULL};
    make(argv, env_none);
    while (keeper_pid(keeper) != 0) {
        dyn_loop_once(loop, 50);
    }
    keeper_stop(keeper);
    ck_assert_int_eq(stops, 1);
    ck_assert_int_eq(wrongs, 0);
}
END_TEST

START_TEST(a_renewal_starts_it_with_another_environment)
{
    /* It stays only when it has been given the variable; without it, it ignores nothing. */
    static const char *const argv[] = {"sh", "-c", "exec sleep ${LONG:-999}", NULL};
    static const char *const env_long[] = {"PATH=/usr/bin:/bin", "LONG=1000", NULL};
    char path[64];
    char line[64] = "";
    make(argv, env_none);
    int first = keeper_pid(keeper);
    keeper_renew(keeper, env_long);
    await_another(first);
    for (int i = 0; i < 200 && strcmp(line, "sleep") != 0; i++) {
        (void)snprintf(path, sizeof path, "/proc/%d/cmdline", keeper_pid(keeper));
        FILE *file = fopen(path, "re");
        ck_assert_ptr_nonnull(file);
        size_t length = fread(line, 1, sizeof line - 1, file);
        line[length] = '\0';
        (void)fclose(file);
        dyn_loop_once(loop, 10);
    }
    ck_assert_str_eq(line + strlen("sleep") + 1, "1000");
    ck_assert_int_eq(stops, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *tcase = tcase_create("keeper");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, NULL, end);
    tcase_add_test(tcase, a_child_that_is_killed_is_started_again);
    tcase_add_test(tcase, a_child_that_refuses_its_configuration_is_not_started_again);
    tcase_add_test(tcase, a_program_that_is_missing_is_told);
    tcase_add_test(tcase, a_stop_ends_the_child_and_is_told_once);
    tcase_add_test(tcase, a_stop_while_it_waits_is_told_at_once);
    tcase_add_test(tcase, a_renewal_starts_it_with_another_environment);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
