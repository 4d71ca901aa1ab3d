/* `dynosaur setup` against a real Redis. */
#include "deploy/cli/online.h"
#include "support_program.h"
#include "support_redis.h"

#include <check.h>

static struct support_redis *redis;
static struct support_file *file;

static void begin(void)
{
    redis = support_redis_new(&(struct support_redis_options){
        .append_only = true,
        .arguments = (const char *const[]){"--maxmemory-policy", "noeviction", NULL}});
    file = support_file_new("fleet.yaml");
}

static void end(void)
{
    support_file_free(file);
    support_redis_free(redis);
}

static void partitions_write(int partitions)
{
    support_file_write(file,
                       "version: 2\nredis: {url: \"%s\", partitions: %d}\n"
                       "accounts: {main: {heroku_api_key: key}}\n"
                       "apps:\n  shop:\n    controller_plugins:\n"
                       "      - {name: web, type: dynos, input_plugins: [{name: a, type: sine}]}\n",
                       support_redis_url(redis), partitions);
}

static int setup(void)
{
    char *argv[2] = {NULL, NULL};
    char path[512];
    (void)snprintf(path, sizeof path, "%s", support_file_path(file));
    argv[0] = path;
    return cli_setup.run(&cli_setup, 1, argv);
}

START_TEST(it_loads_the_functions_and_stores_what_services_compare)
{
    partitions_write(4);
    ck_assert_int_eq(setup(), CLI_DONE);
    ck_assert_str_eq(support_redis_call(redis, "HGET", "dyn:setup", "partitions", NULL), "4");
    ck_assert_str_eq(support_redis_call(redis, "HGET", "dyn:setup", "functions", NULL),
                     bus_functions_version);
    ck_assert_str_eq(support_redis_call(redis, "HGET", "dyn:setup", "schema", NULL), "1");
    ck_assert_ptr_nonnull(strstr(support_redis_call(redis, "FUNCTION", "LIST", NULL), "dyn_tick"));
    ck_assert_int_eq(setup(), CLI_DONE);
}
END_TEST

START_TEST(another_number_of_partitions_is_refused_while_values_are_there)
{
    partitions_write(4);
    ck_assert_int_eq(setup(), CLI_DONE);
    (void)support_redis_call(redis, "XADD", "dyn:{3}:values", "*", "m", "x", NULL);
    partitions_write(2);
    ck_assert_int_eq(setup(), CLI_USAGE);
    ck_assert_str_eq(support_redis_call(redis, "HGET", "dyn:setup", "partitions", NULL), "4");
    (void)support_redis_call(redis, "DEL", "dyn:{3}:values", NULL);
    ck_assert_int_eq(setup(), CLI_DONE);
    ck_assert_str_eq(support_redis_call(redis, "HGET", "dyn:setup", "partitions", NULL), "2");
}
END_TEST

START_TEST(a_pin_beyond_what_the_configuration_allows_is_refused)
{
    char path[512];
    partitions_write(4);
    (void)snprintf(path, sizeof path, "%s", support_file_path(file));
    char app[] = "shop/web";
    char other[] = "shops";
    char much[] = "101";
    char some[] = "7";
    char duration[] = "--for=1h";
    char forever[] = "--for=99d";
    char *too_much[] = {app, much, duration, path};
    char *unknown[] = {other, some, duration, path};
    char *no_end[] = {app, some, path};
    char *too_long[] = {app, some, forever, path};
    char *good[] = {app, some, duration, path};
    ck_assert_int_eq(cli_pin.run(&cli_pin, 4, too_much), CLI_USAGE);
    ck_assert_int_eq(cli_pin.run(&cli_pin, 4, unknown), CLI_USAGE);
    ck_assert_int_eq(cli_pin.run(&cli_pin, 3, no_end), CLI_USAGE);
    ck_assert_int_eq(cli_pin.run(&cli_pin, 4, too_long), CLI_USAGE);
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:commands", NULL), "0");
    ck_assert_int_eq(cli_pin.run(&cli_pin, 4, good), CLI_DONE);
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:commands", NULL), "1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_setup");
    TCase *tcase = tcase_create("cli_setup");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, it_loads_the_functions_and_stores_what_services_compare);
    tcase_add_test(tcase, another_number_of_partitions_is_refused_while_values_are_there);
    tcase_add_test(tcase, a_pin_beyond_what_the_configuration_allows_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
