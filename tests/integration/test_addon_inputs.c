/* Papertrail and Redis Cloud inputs against a fake that judges their requests. */
#include "tests/integration/support_input.h"
#include "tests/integration/support_metrics.h"

#include <check.h>
#include <math.h>

#define PAPERTRAIL                                                                                 \
    "type: Dynosaur::Inputs::PapertrailInputPlugin, api_url: \"http://127.0.0.1:%u/papertrail\", " \
    "papertrail_api_key: %s, per_resource: 52428800"
#define REDISCLOUD                                                                     \
    "type: Dynosaur::Inputs::Rediscloud%sUsageInputPlugin, api_url: "                  \
    "\"http://127.0.0.1:%u/new_relic\", new_relic_api_key: rest-1, component_id: %s, " \
    "per_resource: 90"

static struct metrics fake;

static void setup(void)
{
    input_setup();
    fake = metrics_start(
        "{'papertrail': {'tokens': {"
        "'token-1': {'used': 2705535, 'plan_limit': 10485760},"
        "'token-2': {'used': 21474836480, 'plan_limit': 21474836480, 'as_text': true},"
        "'token-3': {'used': 0, 'plan_limit': 0}}},"
        "'new_relic': {'keys': {'rest-1': {'kind': 'rest'}}, 'components': {'77': {"
        "'Component/redis/Used memory[megabytes]': {'values': {'average_value': 95.5}},"
        "'Component/redis/Connections[connections]': {'values': {'average_value': 240}}}, '78': "
        "{}}}}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    input_teardown();
}

START_TEST(papertrail_tells_the_bytes_of_its_period)
{
    input_configure(PAPERTRAIL, fake.port, "token-1");
    input_is(input_read(), 2705535);
    input_configure(PAPERTRAIL, fake.port, "token-2"); /* beyond 32 bits, in quotes */
    input_is(input_read(), 21474836480.0);
    input_configure(PAPERTRAIL, fake.port, "token-3");
    input_is(input_read(), 0);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_wrong_token_is_told_and_not_shown)
{
    input_configure(PAPERTRAIL, fake.port, "token-c4nary");
    struct input_sample sample = input_read();
    input_fails(sample, "127.0.0.1: answered with status 401: Unauthorized");
    ck_assert_ptr_null(strstr(sample.words, "c4nary"));
    ck_assert_uint_eq(metrics_violations(&fake, "bad_token"), 1);
}
END_TEST

START_TEST(a_component_tells_its_memory_and_its_connections)
{
    input_configure(REDISCLOUD, "Memory", fake.port, "77");
    ck_assert(input_warns("New Relic has ended plug-ins' components"));
    input_is(input_read(), 95.5);
    input_configure(REDISCLOUD, "Connection", fake.port, "77");
    input_is(input_read(), 240);
    input_configure(REDISCLOUD, "Connection", fake.port, "78");
    input_fails(input_read(), "knows no metric Component/redis/Connections[connections]");
    input_configure(REDISCLOUD, "Memory", fake.port, "79");
    input_fails(input_read(), "status 404");
    metrics_are_content(&fake);
}
END_TEST

START_TEST(random_sizes_walk_and_repeat_with_their_seed)
{
    static const struct {
        const char *type;
        double least, most, step;
    } cases[] = {{"RediscloudRandomInputPlugin", 112.5, 135, 22.5},
                 {"PapertrailRandomInputPlugin", 45.0 * 1048576, 54.0 * 1048576, 9.0 * 1048576}};
    double first[50] = {0};
    for (int run = 0; run < 2; run++) {
        input_configure("type: Dynosaur::Inputs::%s, seed: 7, per_resource: 1", cases[_i].type);
        for (size_t i = 0; i < 50; i++) {
            struct input_sample sample = input_read();
            ck_assert_int_eq(sample.status, SAMPLE_GOOD);
            ck_assert_double_ge(sample.value, i == 0 ? cases[_i].least : 0);
            ck_assert(i > 0 || sample.value <= cases[_i].most);
            ck_assert(run == 0 || sample.value == first[i]);
            first[i] = sample.value;
            ck_assert(i == 0 || fabs(first[i] - first[i - 1]) <= cases[_i].step);
        }
    }
}
END_TEST

START_TEST(ids_that_are_no_numbers_are_refused)
{
    const char *words = input_refused(REDISCLOUD, "Memory", 1U, "7/../8");
    ck_assert_ptr_nonnull(strstr(words, "component_id: found another text"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("addon_inputs");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, papertrail_tells_the_bytes_of_its_period);
    tcase_add_test(all, a_wrong_token_is_told_and_not_shown);
    tcase_add_test(all, a_component_tells_its_memory_and_its_connections);
    tcase_add_loop_test(all, random_sizes_walk_and_repeat_with_their_seed, 0, 2);
    tcase_add_test(all, ids_that_are_no_numbers_are_refused);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
