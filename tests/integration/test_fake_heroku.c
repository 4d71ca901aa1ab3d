/* The fake Heroku against what is known of the real one. */
#include "support_heroku.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char WORLD[] =
    "{'accounts': [{'email': 'ops@example.com', 'keys': ['good', {'key': 'reader', 'scope': "
    "'read'},"
    "   {'key': 'me', 'scope': 'identity'}]}, {'email': 'poor@example.com', 'key': 'poor'}],"
    " 'apps': [{'name': 'example', 'owner': 'ops@example.com', 'formation': {'web': 2,"
    "   'worker': {'quantity': 1, 'size': 'Standard-2X'}}, 'addons': [{'name': 'logs-1',"
    "   'plan': 'papertrail:choklad'}]},"
    "  {'name': 'cheap', 'owner': 'ops@example.com', 'formation': {'web': {'quantity': 1,"
    "   'size': 'Eco'}, 'worker': {'quantity': 1, 'size': 'Eco'}, 'clock': {'quantity': 0,"
    "   'size': 'Eco'}}},"
    "  {'name': 'theirs', 'owner': 'poor@example.com', 'formation': {'web': 1}}]}";

static struct heroku fake;

static void setup(void)
{
    fake = heroku_start(WORLD);
}

static void teardown(void)
{
    ck_assert_int_eq(heroku_stop(&fake), 0);
}

static struct heroku_answer get(const char *path)
{
    return heroku_ask(&fake, "good", "GET", path, NULL, NULL);
}

static struct heroku_answer patch(const char *path, const char *body)
{
    return heroku_ask(&fake, "good", "PATCH", path, body, NULL);
}

static void control(const char *path, const char *body)
{
    json_decref(heroku_control(&fake, "POST", path, body));
}

/* Status and, where there is one, the error's id; releases the answer. */
static void expect(struct heroku_answer answer, long status, const char *id)
{
    const char *found = json_string_value(json_object_get(answer.body, "id"));
    ck_assert_int_eq(answer.status, status);
    if (id != NULL) {
        ck_assert_ptr_nonnull(found);
        ck_assert_str_eq(found, id);
    }
    json_decref(answer.body);
}

static json_int_t number(struct heroku_answer answer, const char *key)
{
    const json_t *body = json_is_array(answer.body) ? json_array_get(answer.body, 0) : answer.body;
    ck_assert_int_eq(answer.status, 200);
    ck_assert(json_is_integer(json_object_get(body, key)));
    json_int_t value = json_integer_value(json_object_get(body, key));
    json_decref(answer.body);
    return value;
}

static json_int_t web(void)
{
    return number(get("/apps/example/formation/web"), "quantity");
}

START_TEST(headers_that_heroku_refuses_are_refused)
{
    const char *path = "/apps/example";
    expect(heroku_ask(&fake, "good", "GET", path, NULL, "Accept: application/json"), 406,
           "not_acceptable");
    expect(heroku_ask(&fake, "good", "GET", path, NULL,
                      "Accept: application/vnd.heroku+json; version=3.sdk"),
           200, NULL);
    expect(heroku_ask(&fake, "wrong", "GET", path, NULL, NULL), 401, "unauthorized");
    expect(heroku_ask(&fake, "", "GET", path, NULL, "Authorization: Basic Omdvb2Q="), 200, NULL);
    expect(heroku_ask(&fake, "", "GET", path, NULL, "Authorization: Basic bWU6Z29vZA=="), 401,
           "unauthorized");
    expect(heroku_ask(&fake, "good", "PATCH", "/apps/example/formation/web", "{'quantity': 3}",
                      "Content-Type: application/x-www-form-urlencoded"),
           400, "bad_request");
    expect(heroku_ask(&fake, "good", "GET", path, NULL, "User-Agent:"), 200, NULL);
    ck_assert_uint_eq(heroku_violations(&fake, "bad_accept"), 1);
    ck_assert_uint_eq(heroku_violations(&fake, "bad_content_type"), 1);
    ck_assert_uint_eq(heroku_violations(&fake, "missing_user_agent"), 1);
}
END_TEST

START_TEST(scopes_and_access_are_checked)
{
    expect(heroku_ask(&fake, "me", "GET", "/account", NULL, NULL), 200, NULL);
    expect(heroku_ask(&fake, "me", "GET", "/apps", NULL, NULL), 403, "forbidden");
    expect(heroku_ask(&fake, "reader", "GET", "/apps/example", NULL, NULL), 200, NULL);
    expect(heroku_ask(&fake, "reader", "PATCH", "/apps/example/formation/web", "{'quantity': 3}",
                      NULL),
           403, "forbidden");
    expect(get("/apps/theirs"), 403, "forbidden");
    expect(get("/apps/nowhere"), 404, "not_found");
    expect(get("/apps/example/formation/nope"), 404, "not_found");
    expect(get("/nope"), 404, "not_found");
}
END_TEST

START_TEST(keys_of_one_account_share_its_id_and_its_pool)
{
    struct heroku_answer first = heroku_ask(&fake, "good", "GET", "/account", NULL, NULL);
    struct heroku_answer second = heroku_ask(&fake, "reader", "GET", "/account", NULL, NULL);
    struct heroku_answer other = heroku_ask(&fake, "poor", "GET", "/account", NULL, NULL);
    ck_assert(json_equal(first.body, second.body));
    ck_assert(!json_equal(first.body, other.body));
    json_decref(first.body);
    json_decref(second.body);
    json_decref(other.body);
    ck_assert_int_eq(number(get("/account/rate-limits"), "remaining"), 4498);
}
END_TEST

START_TEST(an_empty_pool_answers_429_until_it_refills)
{
    char left[20];
    control("/state", "{'accounts': [{'email': 'poor@example.com', 'remaining': 1}]}");
    struct heroku_answer answer = heroku_ask(&fake, "poor", "GET", "/apps/theirs", NULL, NULL);
    ck_assert(heroku_header(&answer, "RateLimit-Remaining", left, sizeof left));
    ck_assert_str_eq(left, "0");
    expect(answer, 200, NULL);
    answer = heroku_ask(&fake, "poor", "GET", "/apps/theirs", NULL, NULL);
    ck_assert(heroku_header(&answer, "RateLimit-Remaining", left, sizeof left));
    ck_assert_str_eq(left, "0");
    expect(answer, 429, "rate_limit");
    expect(heroku_ask(&fake, "poor", "GET", "/account/rate-limits", NULL, NULL), 200, NULL);
    control("/clock", "{'advance_ms': 1600}");
    expect(heroku_ask(&fake, "poor", "GET", "/apps/theirs", NULL, NULL), 200, NULL);
    expect(get("/apps/example"), 200, NULL);
}
END_TEST

START_TEST(quantities_come_as_integers_decimal_strings_and_signed_strings)
{
    const char *one = "/apps/example/formation/web";
    const char *all = "/apps/example/formation";
    ck_assert_int_eq(number(patch(one, "{'quantity': 3}"), "quantity"), 3);
    ck_assert_int_eq(number(patch(one, "{'quantity': '4'}"), "quantity"), 4);
    ck_assert_int_eq(
        number(patch(all, "{'updates': [{'type': 'web', 'quantity': '+2'}]}"), "quantity"), 6);
    ck_assert_int_eq(
        number(patch(all, "{'updates': [{'type': 'web', 'quantity': '-1'}]}"), "quantity"), 5);
    expect(patch(one, "{'quantity': -1}"), 422, "invalid_params");
    expect(patch(one, "{'quantity': '-9'}"), 422, "invalid_params");
    expect(patch(one, "{'quantity': 2.5}"), 422, "invalid_params");
    expect(patch(one, "{'quantity': 'many'}"), 422, "invalid_params");
    expect(patch(one, "{'amount': 2}"), 422, "invalid_params");
    expect(patch(one, "{}"), 422, "invalid_params");
    expect(patch(one, "{'quantity'"), 400, "bad_request");
    ck_assert_int_eq(web(), 5);
}
END_TEST

START_TEST(apps_and_types_are_found_by_name_and_by_id)
{
    struct heroku_answer list = get("/apps/example/formation");
    const json_t *first = json_array_get(list.body, 0);
    char path[200];
    ck_assert_uint_eq(json_array_size(list.body), 2);
    snprintf(path, sizeof path, "/apps/%s/formation/%s",
             json_string_value(json_object_get(json_object_get(first, "app"), "id")),
             json_string_value(json_object_get(first, "id")));
    json_decref(list.body);
    ck_assert_int_eq(number(get(path), "quantity"), 2);
}
END_TEST

START_TEST(the_limit_counts_every_process_type)
{
    struct heroku_answer answer = patch("/apps/example/formation/web", "{'quantity': 100}");
    ck_assert_int_eq(json_integer_value(json_object_get(answer.body, "limit")), 100);
    expect(answer, 422, "cannot_update_above_limit");
    expect(patch("/apps/example/formation/web", "{'quantity': 100}"), 422,
           "cannot_update_above_limit");
    ck_assert_uint_eq(heroku_violations(&fake, "repeated_above_limit"), 1);
    ck_assert_int_eq(number(patch("/apps/example/formation/web", "{'quantity': 99}"), "quantity"),
                     99);
}
END_TEST

START_TEST(eco_dynos_have_limits_of_their_own)
{
    expect(patch("/apps/cheap/formation/web", "{'quantity': 2}"), 422, "cannot_run_above_limit");
    expect(patch("/apps/cheap/formation/clock", "{'quantity': 1}"), 422, "cannot_run_above_limit");
    expect(patch("/apps/cheap/formation",
                 "{'updates': [{'type': 'worker', 'quantity': 0}, {'type': 'clock',"
                 " 'quantity': 1}]}"),
           200, NULL);
}
END_TEST

START_TEST(a_refused_batch_changes_nothing)
{
    expect(patch("/apps/example/formation",
                 "{'updates': [{'type': 'web', 'quantity': 5}, {'type': 'nope', 'quantity': 1}]}"),
           404, "not_found");
    ck_assert_int_eq(web(), 2);
}
END_TEST

static size_t dynos_in_state(const char *state)
{
    struct heroku_answer answer = get("/apps/example/dynos");
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(answer.body); i++) {
        const json_t *dyno = json_array_get(answer.body, i);
        count += strcmp(json_string_value(json_object_get(dyno, "state")), state) == 0 ? 1 : 0;
    }
    json_decref(answer.body);
    return count;
}

START_TEST(new_dynos_start_and_then_are_up)
{
    ck_assert_uint_eq(dynos_in_state("up"), 3);
    expect(patch("/apps/example/formation/web", "{'quantity': 4}"), 200, NULL);
    ck_assert_uint_eq(dynos_in_state("starting"), 2);
    control("/clock", "{'advance_ms': 400}");
    ck_assert_uint_eq(dynos_in_state("up"), 5);
}
END_TEST

START_TEST(lists_are_cut_into_pages)
{
    char header[300] = "Range: name ..; max=1";
    char next[200];
    struct heroku_answer page = heroku_ask(&fake, "good", "GET", "/apps", NULL, header);
    ck_assert_int_eq(page.status, 206);
    ck_assert_uint_eq(json_array_size(page.body), 1);
    ck_assert(heroku_header(&page, "Next-Range", next, sizeof next));
    ck_assert_str_eq(next, "name ]cheap..; max=1");
    json_decref(page.body);
    snprintf(header, sizeof header, "Range: %s", next);
    page = heroku_ask(&fake, "good", "GET", "/users/~/apps", NULL, header);
    ck_assert_int_eq(page.status, 200);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(page.body, 0), "name")),
                     "example");
    ck_assert(!heroku_header(&page, "Next-Range", next, sizeof next));
    json_decref(page.body);
    expect(heroku_ask(&fake, "good", "GET", "/apps", NULL, "Range: bytes=0-100"), 416,
           "requested_range_not_satisfiable");
}
END_TEST

START_TEST(plans_change_and_wait_while_provisioning)
{
    const char *path = "/apps/example/addons/logs-1";
    expect(patch(path, "{'plan': 'papertrail:fixa'}"), 200, NULL);
    expect(patch(path, "{'plan': {'name': 'papertrail:ludvig'}}"), 200, NULL);
    expect(patch(path, "{'plan': 'papertrail:nope'}"), 422, "invalid_params");
    expect(patch(path, "{'plan': 'rediscloud:100'}"), 422, "invalid_params");
    control("/state", "{'apps': [{'name': 'example', 'addons': [{'name': 'logs-1',"
                      " 'provision_ms': 5000}]}]}");
    expect(patch(path, "{'plan': 'papertrail:forsta'}"), 202, NULL);
    expect(patch(path, "{'plan': 'papertrail:volmar'}"), 422, NULL);
    control("/clock", "{'advance_ms': 5000}");
    expect(patch(path, "{'plan': 'papertrail:volmar'}"), 202, NULL);
    struct heroku_answer found = heroku_ask(&fake, "good", "POST", "/actions/addons/resolve",
                                            "{'addon': 'papertrail'}", NULL);
    ck_assert_int_eq(found.status, 200);
    ck_assert_uint_eq(json_array_size(found.body), 1);
    json_decref(found.body);
    struct heroku_answer plans = get("/addon-services/papertrail/plans");
    ck_assert_uint_eq(json_array_size(plans.body), 11);
    json_decref(plans.body);
    struct heroku_answer addons = get("/addons");
    ck_assert_uint_eq(json_array_size(addons.body), 1);
    json_decref(addons.body);
}
END_TEST

START_TEST(request_ids_are_echoed_along)
{
    char id[200];
    struct heroku_answer answer =
        heroku_ask(&fake, "good", "GET", "/account", NULL, "Request-Id: mine-1");
    ck_assert(heroku_header(&answer, "Request-Id", id, sizeof id));
    ck_assert_ptr_nonnull(strstr(id, ",mine-1"));
    json_decref(answer.body);
}
END_TEST

START_TEST(faults_come_when_asked_for_and_no_longer)
{
    control("/faults", "[{'match': {'method': 'GET', 'app': 'example'}, 'after': 1, 'times': 2,"
                       " 'do': {'status': 429, 'headers': {'Retry-After': '7'}}}]");
    char retry[20];
    expect(get("/apps/cheap"), 200, NULL);
    expect(get("/apps/example"), 200, NULL);
    struct heroku_answer answer = get("/apps/example");
    ck_assert(heroku_header(&answer, "Retry-After", retry, sizeof retry));
    ck_assert_str_eq(retry, "7");
    expect(answer, 429, "rate_limit");
    expect(get("/apps/example"), 429, "rate_limit");
    expect(get("/apps/example"), 200, NULL);
    control("/faults", "{'times': -1, 'do': {'status': 403, 'id': 'suspended'}}");
    expect(get("/apps/example"), 403, "suspended");
    json_decref(heroku_control(&fake, "DELETE", "/faults", NULL));
    expect(get("/apps/example"), 200, NULL);
}
END_TEST

START_TEST(answers_can_be_lost_before_and_after_the_change)
{
    const char *path = "/apps/example/formation/web";
    control("/faults", "[{'do': {'drop_before': true}}]");
    expect(patch(path, "{'quantity': 5}"), 0, NULL);
    ck_assert_int_eq(web(), 2);
    control("/faults", "[{'do': {'drop_after_apply': true}}]");
    expect(patch(path, "{'quantity': 5}"), 0, NULL);
    ck_assert_int_eq(web(), 5);
    control("/faults", "[{'do': {'accept_but_ignore': true}}]");
    ck_assert_int_eq(number(patch(path, "{'quantity': 6}"), "quantity"), 5);
    control("/faults", "[{'do': {'status': 503, 'apply': true}}]");
    expect(patch(path, "{'quantity': 7}"), 503, NULL);
    ck_assert_int_eq(web(), 7);
}
END_TEST

START_TEST(bodies_can_be_spoiled)
{
    control("/faults", "[{'do': {'truncate_body': true}}, {'do': {'garbage_body': true}},"
                       " {'do': {'empty_body': true}}, {'do': {'wrong_shape': true}},"
                       " {'do': {'status': 502}}, {'do': {'huge_body': 4}}]");
    expect(get("/apps/example"), 0, NULL);
    for (int i = 0; i < 2; i++) {
        struct heroku_answer answer = get("/apps/example");
        ck_assert_int_eq(answer.status, 200);
        ck_assert_ptr_null(answer.body);
    }
    struct heroku_answer answer = get("/apps/example");
    ck_assert(json_is_array(answer.body));
    json_decref(answer.body);
    answer = get("/apps/example");
    ck_assert_int_eq(answer.status, 502);
    ck_assert_ptr_null(answer.body);
    answer = get("/apps/example");
    ck_assert_int_eq(answer.status, 200);
    json_decref(answer.body);
}
END_TEST

static void *write_in_thread(void *cls)
{
    json_decref(patch("/apps/example/formation/web", cls).body);
    return NULL;
}

START_TEST(two_writes_at_once_are_a_violation)
{
    pthread_t thread;
    control("/faults", "{'match': {'method': 'PATCH'}, 'do': {'stall_after_apply_ms': 1500}}");
    ck_assert_int_eq(pthread_create(&thread, NULL, write_in_thread, "{'quantity': 3}"), 0);
    while (web() != 3) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    json_decref(patch("/apps/example/formation/web", "{'quantity': 4}").body);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(heroku_violations(&fake, "write_overlap"), 1);
    json_decref(patch("/apps/example/formation/web", "{'quantity': 5}").body);
    ck_assert_uint_eq(heroku_violations(&fake, NULL), 1);
    json_decref(patch("/apps/example/formation/web", "{'quantity': 5}").body);
    ck_assert_uint_eq(heroku_violations(&fake, "equal_quantity"), 1);
}
END_TEST

START_TEST(requests_are_recorded_without_their_keys)
{
    expect(patch("/apps/example/formation/web", "{'quantity': 3}"), 200, NULL);
    json_t *seen = heroku_control(&fake, "GET", "/requests?since=0", NULL);
    const json_t *entry = json_array_get(json_object_get(seen, "requests"), 0);
    const json_t *headers = json_object_get(entry, "headers");
    ck_assert_str_eq(json_string_value(json_object_get(entry, "app")), "example");
    ck_assert_str_eq(json_string_value(json_object_get(entry, "account")), "ops@example.com");
    ck_assert_str_eq(json_string_value(json_object_get(entry, "body")), "{\"quantity\": 3}");
    ck_assert_int_eq(json_integer_value(json_object_get(entry, "status")), 200);
    ck_assert_str_eq(json_string_value(json_object_get(headers, "authorization")), "Bearer");
    ck_assert_str_eq(json_string_value(json_object_get(headers, "user-agent")), "dynosaur/1.0");
    json_decref(seen);
    seen = heroku_control(&fake, "GET", "/requests?since=1", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(seen, "requests")), 0);
    json_decref(seen);
}
END_TEST

START_TEST(a_human_changes_the_world_through_the_control_port)
{
    control("/state", "{'apps': [{'name': 'example', 'maintenance': true, 'formation': {'web': 9,"
                      " 'worker': null}}, {'name': 'cheap', 'delete': true}, {'name': 'fresh',"
                      " 'owner': 'ops@example.com', 'formation': {'web': 1}}]}");
    ck_assert_int_eq(web(), 9);
    expect(get("/apps/example/formation/worker"), 404, "not_found");
    expect(get("/apps/cheap"), 404, "not_found");
    expect(get("/apps/fresh"), 200, NULL);
    struct heroku_answer app = get("/apps/example");
    ck_assert(json_is_true(json_object_get(app.body, "maintenance")));
    json_decref(app.body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fake_heroku");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, headers_that_heroku_refuses_are_refused);
    tcase_add_test(all, scopes_and_access_are_checked);
    tcase_add_test(all, keys_of_one_account_share_its_id_and_its_pool);
    tcase_add_test(all, an_empty_pool_answers_429_until_it_refills);
    tcase_add_test(all, quantities_come_as_integers_decimal_strings_and_signed_strings);
    tcase_add_test(all, apps_and_types_are_found_by_name_and_by_id);
    tcase_add_test(all, the_limit_counts_every_process_type);
    tcase_add_test(all, eco_dynos_have_limits_of_their_own);
    tcase_add_test(all, a_refused_batch_changes_nothing);
    tcase_add_test(all, new_dynos_start_and_then_are_up);
    tcase_add_test(all, lists_are_cut_into_pages);
    tcase_add_test(all, plans_change_and_wait_while_provisioning);
    tcase_add_test(all, request_ids_are_echoed_along);
    tcase_add_test(all, faults_come_when_asked_for_and_no_longer);
    tcase_add_test(all, answers_can_be_lost_before_and_after_the_change);
    tcase_add_test(all, bodies_can_be_spoiled);
    tcase_add_test(all, two_writes_at_once_are_a_violation);
    tcase_add_test(all, requests_are_recorded_without_their_keys);
    tcase_add_test(all, a_human_changes_the_world_through_the_control_port);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
