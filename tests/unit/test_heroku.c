#include "actuator/heroku.h"

#include <check.h>
#include <stdlib.h>

static struct heroku_answer_store *store;
static struct act_answer answer;

static void setup(void)
{
    store = heroku_answer_store_new();
    ck_assert_ptr_nonnull(store);
}

static void teardown(void)
{
    heroku_answer_store_free(store);
}

static struct heroku_reply reply(long status, const char *body)
{
    return (struct heroku_reply){
        .sent = true, .error = "", .status = status, .body = dyn_str_from(body)};
}

static enum act_class read_as(enum act_request_kind kind, long status, const char *body)
{
    struct heroku_reply came = reply(status, body);
    heroku_read_answer(store, kind, "web", &came, 1700000000000, &answer);
    return answer.class;
}

START_TEST(a_list_of_formations_is_read)
{
    ck_assert_int_eq(read_as(ACT_READ_FORMATION, 200,
                             "[{\"type\":\"web\",\"quantity\":2,\"size\":\"Eco\",\"x\":null},"
                             "{\"type\":\"worker\",\"quantity\":0}]"),
                     ACT_OK);
    ck_assert_uint_eq(answer.formations_count, 2);
    ck_assert(dyn_str_is(answer.formations[0].type, "web"));
    ck_assert_int_eq(answer.formations[0].quantity, 2);
    ck_assert_int_eq(read_as(ACT_READ_FORMATION, 200, "[]"), ACT_OK);
    ck_assert_uint_eq(answer.formations_count, 0);
}
END_TEST

START_TEST(a_list_that_cannot_be_believed_is_no_reading)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "null",
        "[",
        "[1]",
        "[{\"type\":\"web\"}]",
        "[{\"quantity\":1}]",
        "[{\"type\":\"\",\"quantity\":1}]",
        "[{\"type\":\"web\",\"quantity\":-1}]",
        "[{\"type\":\"web\",\"quantity\":\"2\"}]",
        "[{\"type\":\"web\",\"quantity\":2.5}]",
        "[{\"type\":\"web\",\"quantity\":1e99}]",
        "[{\"type\":\"web\",\"quantity\":99999999999999}]",
        "[{\"type\":\"web\",\"quantity\":2}] trailing",
        "<html>502</html>",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ck_assert_msg(read_as(ACT_READ_FORMATION, 200, bodies[i]) == ACT_UNCERTAIN, "%s",
                      bodies[i]);
    }
    ck_assert_int_eq(read_as(ACT_READ_FORMATION, 206, "[]"), ACT_UNCERTAIN);
}
END_TEST

START_TEST(too_many_process_types_are_no_reading)
{
    struct dyn_buf body;
    dyn_buf_init(&body, 1024 * 1024);
    (void)dyn_buf_addf(&body, "[");
    for (int i = 0; i <= HEROKU_FORMATIONS_MAX; i++) {
        (void)dyn_buf_addf(&body, "%s{\"type\":\"t%d\",\"quantity\":1}", i > 0 ? "," : "", i);
    }
    (void)dyn_buf_addf(&body, "]");
    ck_assert_int_eq(read_as(ACT_READ_FORMATION, 200, dyn_buf_text(&body)), ACT_UNCERTAIN);
    dyn_buf_fini(&body);
}
END_TEST

START_TEST(a_written_formation_must_be_the_one_that_was_asked_for)
{
    ck_assert_int_eq(read_as(ACT_WRITE, 200, "{\"type\":\"web\",\"quantity\":7}"), ACT_OK);
    ck_assert_int_eq(answer.quantity, 7);
    ck_assert_int_eq(read_as(ACT_WRITE, 200, "{\"type\":\"worker\",\"quantity\":7}"),
                     ACT_UNCERTAIN);
    ck_assert_int_eq(read_as(ACT_WRITE, 200, "[]"), ACT_UNCERTAIN);
    ck_assert_int_eq(read_as(ACT_WRITE, 204, ""), ACT_UNCERTAIN);
}
END_TEST

START_TEST(account_limits_and_maintenance_are_read)
{
    ck_assert_int_eq(read_as(ACT_READ_ACCOUNT, 200, "{\"id\":\"0123\",\"email\":\"a@b\"}"), ACT_OK);
    ck_assert(dyn_str_is(answer.identity, "0123"));
    ck_assert_int_eq(read_as(ACT_READ_ACCOUNT, 200, "{\"id\":7}"), ACT_UNCERTAIN);
    ck_assert_int_eq(read_as(ACT_READ_LIMITS, 200, "{\"remaining\":2399}"), ACT_OK);
    ck_assert_int_eq(answer.remaining, 2399);
    ck_assert_int_eq(read_as(ACT_READ_LIMITS, 200, "{\"remaining\":-1}"), ACT_UNCERTAIN);
    ck_assert_int_eq(read_as(ACT_READ_APP, 200, "{\"maintenance\":true}"), ACT_OK);
    ck_assert(answer.maintenance);
    ck_assert_int_eq(read_as(ACT_READ_APP, 200, "{\"maintenance\":\"no\"}"), ACT_UNCERTAIN);
}
END_TEST

START_TEST(each_status_has_its_class)
{
    static const struct {
        long status;
        const char *body;
        enum act_class class;
    } table[] = {
        {400, "{\"id\":\"bad_request\"}", ACT_REFUSED},
        {401, "{\"id\":\"unauthorized\"}", ACT_ACCOUNT_BAD},
        {402, "{\"id\":\"delinquent\"}", ACT_ACCOUNT_BAD},
        {403, "{\"id\":\"suspended\"}", ACT_ACCOUNT_BAD},
        {403, "{\"id\":\"forbidden\"}", ACT_FORBIDDEN},
        {403, "<html>", ACT_FORBIDDEN},
        {404, "{\"id\":\"not_found\"}", ACT_FORBIDDEN},
        {406, "", ACT_REFUSED},
        {408, "", ACT_UNCERTAIN},
        {409, "{\"id\":\"conflict\"}", ACT_CONFLICT},
        {410, "", ACT_REFUSED},
        {422, "{\"id\":\"invalid_params\"}", ACT_REFUSED},
        {422, "{\"id\":\"cannot_update_above_limit\",\"limit\":100}", ACT_LIMIT},
        {422, "{\"limit\":\"100\"}", ACT_REFUSED},
        {422, "{\"limit\":-1}", ACT_REFUSED},
        {423, "", ACT_REFUSED},
        {429, "", ACT_RATE_LIMITED},
        {301, "", ACT_REFUSED},
        {500, "", ACT_UNCERTAIN},
        {502, "<html>", ACT_UNCERTAIN},
        {503, "{\"id\":\"x\"}", ACT_UNCERTAIN},
        {999, "", ACT_UNCERTAIN},
        {100, "", ACT_UNCERTAIN},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ck_assert_msg(read_as(ACT_WRITE, table[i].status, table[i].body) == table[i].class,
                      "%ld %s", table[i].status, table[i].body);
    }
    (void)read_as(ACT_WRITE, 422, "{\"id\":\"cannot_update_above_limit\",\"limit\":100}");
    ck_assert_int_eq(answer.limit, 100);
}
END_TEST

START_TEST(a_failed_transport_tells_whether_it_was_sent)
{
    struct heroku_reply came = {.err = DYN_TIMEOUT, .sent = true, .error = "timed out"};
    heroku_read_answer(store, ACT_WRITE, "web", &came, 0, &answer);
    ck_assert_int_eq(answer.class, ACT_UNCERTAIN);
    ck_assert(dyn_str_is(answer.words, "timed out"));
    came.sent = false;
    heroku_read_answer(store, ACT_WRITE, "web", &came, 0, &answer);
    ck_assert_int_eq(answer.class, ACT_NOT_SENT);
}
END_TEST

START_TEST(words_are_one_bounded_line)
{
    char body[4096];
    char message[3000];
    memset(message, 'a', sizeof message);
    message[sizeof message - 1] = '\0';
    (void)snprintf(body, sizeof body, "{\"id\":\"x\",\"message\":\"one\\ntwo\\u001b[31m %s\"}",
                   message);
    ck_assert_int_eq(read_as(ACT_WRITE, 422, body), ACT_REFUSED);
    ck_assert_uint_lt(answer.words.len, 160);
    for (size_t i = 0; i < answer.words.len; i++) {
        ck_assert_int_ge(answer.words.ptr[i], ' ');
    }
    ck_assert(dyn_str_starts(answer.words, "x: one two"));
}
END_TEST

START_TEST(the_headers_are_read_with_bounds)
{
    struct heroku_reply came = reply(429, "");
    came.remaining = DYN_STR("17");
    came.retry_after = DYN_STR("30");
    came.request_id = DYN_STR("abc");
    heroku_read_answer(store, ACT_WRITE, "web", &came, 0, &answer);
    ck_assert_int_eq(answer.remaining, 17);
    ck_assert_int_eq(answer.retry_after_ms, 30000);
    ck_assert(dyn_str_is(answer.request_id, "abc"));
    came.remaining = DYN_STR("-3");
    came.retry_after = DYN_STR("999999999999");
    heroku_read_answer(store, ACT_WRITE, "web", &came, 0, &answer);
    ck_assert_int_eq(answer.remaining, -1);
    ck_assert_int_le(answer.retry_after_ms, HEROKU_RETRY_AFTER_MAX_S * 1000);
    came.remaining = DYN_STR("many");
    came.retry_after = DYN_STR("soon");
    heroku_read_answer(store, ACT_WRITE, "web", &came, 0, &answer);
    ck_assert_int_eq(answer.remaining, -1);
    ck_assert_int_eq(answer.retry_after_ms, -1);
}
END_TEST

#define ADDON(state)                                                                           \
    "{\"addon_service\":{\"name\":\"rediscloud\",\"id\":\"s\"},\"id\":\"0123\",\"name\":"      \
    "\"redis-round-1\",\"plan\":{\"id\":\"p\",\"name\":\"rediscloud:100\"},\"state\":\"" state \
    "\",\"billed_price\":null}"

static enum act_class read_plan(long status, const char *body)
{
    struct heroku_reply came = reply(status, body);
    heroku_read_answer(store, ACT_WRITE_PLAN, "rediscloud", &came, 0, &answer);
    return answer.class;
}

START_TEST(a_list_of_add_ons_is_read)
{
    ck_assert_int_eq(
        read_as(ACT_READ_ADDONS, 200,
                "[" ADDON("provisioned") "," ADDON("provisioning") "," ADDON("deprovisioned") "]"),
        ACT_OK);
    ck_assert_uint_eq(answer.addons_count, 3);
    ck_assert(dyn_str_is(answer.addons[0].service, "rediscloud"));
    ck_assert(dyn_str_is(answer.addons[0].id, "0123"));
    ck_assert(dyn_str_is(answer.addons[0].name, "redis-round-1"));
    ck_assert(dyn_str_is(answer.addons[0].plan, "rediscloud:100"));
    ck_assert(!answer.addons[0].provisioning && !answer.addons[0].leaving);
    ck_assert(answer.addons[1].provisioning && !answer.addons[1].leaving);
    ck_assert(answer.addons[2].leaving);
    ck_assert_int_eq(read_as(ACT_READ_ADDONS, 200, "[]"), ACT_OK);
    ck_assert_uint_eq(answer.addons_count, 0);
}
END_TEST

START_TEST(add_ons_that_cannot_be_believed_are_no_reading)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "[1]",
        "[{}]",
        "[" ADDON("") "]",
        "[{\"addon_service\":\"rediscloud\",\"id\":\"1\",\"name\":\"a\",\"plan\":{\"name\":\"x\"},"
        "\"state\":\"provisioned\"}]",
        "[{\"addon_service\":{\"name\":\"a\"},\"id\":\"\",\"name\":\"a\",\"plan\":{\"name\":\"x\"},"
        "\"state\":\"provisioned\"}]",
        "[{\"addon_service\":{\"name\":\"a\"},\"id\":\"1\",\"name\":\"a\",\"plan\":null,"
        "\"state\":\"provisioned\"}]",
        "[{\"addon_service\":{\"name\":\"a\"},\"id\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123\",\"name\":\"a\","
        "\"plan\":{\"name\":\"x\"},\"state\":\"provisioned\"}]",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ck_assert_msg(read_as(ACT_READ_ADDONS, 200, bodies[i]) == ACT_UNCERTAIN, "%s", bodies[i]);
    }
    ck_assert_int_eq(read_as(ACT_READ_ADDONS, 206, "[]"), ACT_UNCERTAIN);
}
END_TEST

START_TEST(a_changed_add_on_must_be_of_the_service_that_was_asked_for)
{
    ck_assert_int_eq(read_plan(200, ADDON("provisioned")), ACT_OK);
    ck_assert_uint_eq(answer.addons_count, 1);
    ck_assert(!answer.addons[0].provisioning);
    ck_assert_int_eq(read_plan(202, ADDON("provisioning")), ACT_OK);
    ck_assert(answer.addons[0].provisioning);
    ck_assert_int_eq(read_as(ACT_WRITE_PLAN, 200, ADDON("provisioned")), ACT_UNCERTAIN);
    ck_assert_int_eq(read_plan(200, "[" ADDON("provisioned") "]"), ACT_UNCERTAIN);
    ck_assert_int_eq(read_plan(202, ""), ACT_UNCERTAIN);
    ck_assert_int_eq(read_plan(422, "{\"id\":\"invalid_params\"}"), ACT_REFUSED);
    ck_assert_int_eq(read_plan(423, "{\"id\":\"confirmation_required\"}"), ACT_REFUSED);
}
END_TEST

START_TEST(paths_hold_no_surprises)
{
    struct dyn_buf path;
    dyn_buf_init(&path, 1024);
    struct act_request request = {.kind = ACT_WRITE, .app = "shop", .process_type = "web"};
    ck_assert_int_eq(heroku_path(&path, &request), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&path), "/apps/shop/formation/web");
    dyn_buf_clear(&path);
    request.kind = ACT_READ_ADDONS;
    ck_assert_int_eq(heroku_path(&path, &request), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&path), "/apps/shop/addons");
    dyn_buf_clear(&path);
    request.kind = ACT_WRITE_PLAN;
    request.addon = "../x";
    ck_assert_int_eq(heroku_path(&path, &request), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&path), "/apps/shop/addons/..%2Fx");
    dyn_buf_clear(&path);
    request.kind = ACT_WRITE;
    request.app = "a/../b?c#d e";
    ck_assert_int_eq(heroku_path(&path, &request), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&path), "/apps/a%2F..%2Fb%3Fc%23d%20e/formation/web");
    request.app = "..";
    ck_assert_int_eq(heroku_path(&path, &request), DYN_BADMSG);
    request.app = "";
    ck_assert_int_eq(heroku_path(&path, &request), DYN_BADMSG);
    dyn_buf_fini(&path);
}
END_TEST

START_TEST(a_key_must_fit_into_a_header)
{
    ck_assert(heroku_key_ok(DYN_STR("HRKU-01234567-89ab-cdef-0123-456789abcdef")));
    ck_assert(!heroku_key_ok(DYN_STR("")));
    ck_assert(!heroku_key_ok(DYN_STR("two words")));
    ck_assert(!heroku_key_ok(DYN_STR("line\r\nHost: x")));
    ck_assert(!heroku_key_ok(DYN_STR("caf\xc3\xa9")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heroku");
    TCase *tcase = tcase_create("heroku");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_list_of_formations_is_read);
    tcase_add_test(tcase, a_list_that_cannot_be_believed_is_no_reading);
    tcase_add_test(tcase, too_many_process_types_are_no_reading);
    tcase_add_test(tcase, a_written_formation_must_be_the_one_that_was_asked_for);
    tcase_add_test(tcase, a_list_of_add_ons_is_read);
    tcase_add_test(tcase, add_ons_that_cannot_be_believed_are_no_reading);
    tcase_add_test(tcase, a_changed_add_on_must_be_of_the_service_that_was_asked_for);
    tcase_add_test(tcase, account_limits_and_maintenance_are_read);
    tcase_add_test(tcase, each_status_has_its_class);
    tcase_add_test(tcase, a_failed_transport_tells_whether_it_was_sent);
    tcase_add_test(tcase, words_are_one_bounded_line);
    tcase_add_test(tcase, the_headers_are_read_with_bounds);
    tcase_add_test(tcase, paths_hold_no_surprises);
    tcase_add_test(tcase, a_key_must_fit_into_a_header);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
