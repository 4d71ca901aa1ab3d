#include "deploy/cli/environment.h"

#include <check.h>
#include <unistd.h>

static struct config *config;

static const char file_text[] =
    "version: 2\n"
    "accounts: {main: {heroku_api_key: \"${TEST_HEROKU_KEY}\"}}\n"
    "apps:\n"
    "  shop:\n"
    "    controller_plugins:\n"
    "      - name: web\n"
    "        type: dynos\n"
    "        process_type: ${TEST_PROCESS:-web}\n"
    "        input_plugins:\n"
    "          - {name: a, type: exec, command: [\"true\"], per_resource: 1,\n"
    "             env: {TOKEN: \"${TEST_TOKEN}\"}}\n";

static void begin(void)
{
    char path[] = "/tmp/dyn-environment-XXXXXX";
    struct dyn_error error = {""};
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, file_text, strlen(file_text)), (ssize_t)strlen(file_text));
    (void)close(fd);
    config = config_load(path, &error);
    (void)unlink(path);
    ck_assert_msg(config != NULL, "%s", error.text);
    ck_assert_int_eq(setenv("TEST_HEROKU_KEY", "heroku-secret", 1), 0);
    ck_assert_int_eq(setenv("TEST_TOKEN", "source-secret", 1), 0);
    ck_assert_int_eq(setenv("TEST_PROCESS", "worker", 1), 0);
    ck_assert_int_eq(setenv("TEST_OTHER", "nobody's", 1), 0);
    ck_assert_int_eq(setenv("XDG_STATE_HOME", "/tmp/state", 1), 0);
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
}

static void end(void)
{
    config_free(config);
}

static bool has(const struct environment *environment, const char *item)
{
    for (size_t i = 0; i < environment->count; i++) {
        if (strcmp(environment->items[i], item) == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(each_service_sees_its_own_secrets_only)
{
    static const enum config_service services[] = {CONFIG_COLLECTOR, CONFIG_ESTIMATOR,
                                                   CONFIG_ACTUATOR, CONFIG_REPORTER};
    for (size_t i = 0; i < 4; i++) {
        struct environment environment;
        ck_assert_int_eq(environment_of(config, services[i], &environment), DYN_OK);
        ck_assert_ptr_null(environment.items[environment.count]);
        ck_assert_int_eq(has(&environment, "TEST_HEROKU_KEY=heroku-secret"),
                         services[i] == CONFIG_ACTUATOR);
        ck_assert_int_eq(has(&environment, "TEST_TOKEN=source-secret"),
                         services[i] == CONFIG_COLLECTOR);
        ck_assert(has(&environment, "TEST_PROCESS=worker"));
        ck_assert(has(&environment, "XDG_STATE_HOME=/tmp/state"));
        ck_assert(has(&environment, "TZ=UTC"));
        ck_assert(!has(&environment, "TEST_OTHER=nobody's"));
        environment_fini(&environment);
        ck_assert_uint_eq(environment.count, 0);
    }
}
END_TEST

START_TEST(a_plain_environment_has_no_variable_of_the_configuration)
{
    struct environment environment;
    ck_assert_int_eq(environment_plain(&environment), DYN_OK);
    ck_assert(has(&environment, "TZ=UTC"));
    ck_assert(!has(&environment, "TEST_PROCESS=worker"));
    ck_assert(!has(&environment, "TEST_HEROKU_KEY=heroku-secret"));
    environment_fini(&environment);
}
END_TEST

START_TEST(two_environments_are_the_same_when_every_variable_is)
{
    struct environment a;
    struct environment b;
    ck_assert_int_eq(environment_of(config, CONFIG_ACTUATOR, &a), DYN_OK);
    ck_assert_int_eq(environment_of(config, CONFIG_ACTUATOR, &b), DYN_OK);
    ck_assert(environment_same(&a, &b));
    environment_fini(&b);
    ck_assert(!environment_same(&a, &b));
    ck_assert_int_eq(setenv("TEST_HEROKU_KEY", "another", 1), 0);
    ck_assert_int_eq(environment_of(config, CONFIG_ACTUATOR, &b), DYN_OK);
    ck_assert(!environment_same(&a, &b));
    environment_fini(&a);
    environment_fini(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("environment");
    TCase *tcase = tcase_create("environment");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, each_service_sees_its_own_secrets_only);
    tcase_add_test(tcase, a_plain_environment_has_no_variable_of_the_configuration);
    tcase_add_test(tcase, two_environments_are_the_same_when_every_variable_is);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
