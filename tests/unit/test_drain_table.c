/* Whose drain a token and a password are, as the configuration has them. */
#include "collector/drain_table.h"
#include "common/config_internal.h"

#include <check.h>
#include <stdlib.h>

#define TOKEN_1 "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
#define TOKEN_2 "d.0000856b-3332-4546-93de-7d0ee272c3bd"

#define DRAIN(name, more) \
    "  - {name: " name ", type: log_drain, per_resource: 1, interval: 10, " more "}\n"

static struct drain_table table;
static size_t asked;

static void configure(const char *inputs)
{
    struct dyn_error error = {""};
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_CONFIG_FILE_MAX);
    (void)dyn_buf_addf(&text,
                       "scaler: {heroku_app_name: shop, heroku_api_key: \"${KEY}\"}\n"
                       "controller_plugins:\n"
                       "- name: dynos\n"
                       "  type: dynos\n"
                       "  input_plugins:\n"
                       "  - {name: wave, type: sine}\n%s",
                       inputs);
    struct config *config = config_load_text("t", dyn_buf_str(&text), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    ck_assert_int_eq(drain_table_read(&table, config, &asked), DYN_OK);
    config_free(config); /* the table keeps nothing of it */
    dyn_buf_fini(&text);
}

static void setup(void)
{
    (void)setenv("TEST_TOKEN_1", TOKEN_1, 1);
    (void)setenv("TEST_TOKEN_2", TOKEN_2 "\n", 1); /* as a file would end it */
    (void)setenv("TEST_EMPTY", " ", 1);
    (void)unsetenv("TEST_MISSING");
    table = (struct drain_table){.count = 0};
}

static void teardown(void)
{
    drain_table_fini(&table);
}

static const struct drain_known *find(const char *token, const char *password)
{
    return drain_table_find(&table, dyn_str_from(token), dyn_str_from(password));
}

START_TEST(a_drain_is_known_by_its_token_and_its_password)
{
    configure(DRAIN("a", "token: \"${TEST_TOKEN_1}\", password: secret")
                  DRAIN("b", "token: \"${TEST_TOKEN_2}\""));
    ck_assert_uint_eq(asked, 2);
    ck_assert_uint_eq(table.count, 2);
    const struct drain_known *first = find(TOKEN_1, "secret");
    const struct drain_known *second = find(TOKEN_2, "");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    ck_assert_str_ne(first->id, second->id);
    ck_assert_uint_eq(strlen(first->id), 16);
    ck_assert_ptr_eq(find(TOKEN_2, "whatever"), second);
    ck_assert_ptr_null(find(TOKEN_1, ""));
    ck_assert_ptr_null(find(TOKEN_1, "secre"));
    ck_assert_ptr_null(find(TOKEN_1, "secret1"));
    ck_assert_ptr_null(find("d.fc6b856b-3332-4546-93de-7d0ee272c3b", "secret"));
    ck_assert_ptr_null(find("", ""));
    ck_assert_ptr_null(find("secret", TOKEN_1));
}
END_TEST

START_TEST(neither_token_nor_password_stays_in_memory)
{
    configure(DRAIN("a", "token: \"${TEST_TOKEN_1}\", password: canary-4711"));
    ck_assert_ptr_null(memmem(table.known, sizeof *table.known, "fc6b856b", 8));
    ck_assert_ptr_null(memmem(table.known, sizeof *table.known, "canary", 6));
}
END_TEST

START_TEST(inputs_of_one_drain_share_it_and_its_longest_time)
{
    configure(DRAIN("a", "token: \"${TEST_TOKEN_1}\", period: 10, delay: 5") DRAIN(
        "b", "token: \"${TEST_TOKEN_1}\", period: 600, delay: 60, value: error_rate")
                  DRAIN("c", "token: \"${TEST_TOKEN_2}\", password: p")
                      DRAIN("d", "token: \"${TEST_TOKEN_2}\", password: q"));
    ck_assert_uint_eq(table.count, 4);
    ck_assert_int_eq(find(TOKEN_1, "")->kept_s, 720);
    ck_assert_int_eq(find(TOKEN_2, "p")->kept_s, 135);
    ck_assert_str_eq(find(TOKEN_2, "p")->id, find(TOKEN_2, "q")->id);
    ck_assert_ptr_null(find(TOKEN_2, "r"));
}
END_TEST

START_TEST(a_drain_whose_secrets_cannot_be_had_is_nobodys)
{
    configure(DRAIN("a", "token: \"${TEST_MISSING}\"") DRAIN("b", "token: \"${TEST_EMPTY}\"")
                  DRAIN("c", "token: \"${TEST_TOKEN_1}\", password: \"${TEST_MISSING}\"")
                      DRAIN("d", "token: \"${TEST_TOKEN_1}\", password: \"${TEST_EMPTY}\""));
    ck_assert_uint_eq(asked, 4);
    ck_assert_uint_eq(table.count, 0);
    ck_assert_ptr_null(find(TOKEN_1, ""));
    ck_assert_ptr_null(find(" ", ""));
    configure("");
    ck_assert_uint_eq(asked, 0);
    configure(DRAIN("d", "token: \"${TEST_TOKEN_1}\""));
    ck_assert_ptr_nonnull(find(TOKEN_1, ""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drain_table");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, a_drain_is_known_by_its_token_and_its_password);
    tcase_add_test(all, neither_token_nor_password_stays_in_memory);
    tcase_add_test(all, inputs_of_one_drain_share_it_and_its_longest_time);
    tcase_add_test(all, a_drain_whose_secrets_cannot_be_had_is_nobodys);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
