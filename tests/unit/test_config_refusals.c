/*
 * Each way in which a configuration is refused, with the words that a person reads.
 */
#include "common/config_internal.h"

#include <check.h>
#include <time.h>

#define HEAD                                                        \
    "scaler: {heroku_app_name: my-app, heroku_api_key: \"${K}\"}\n" \
    "controller_plugins:\n"
#define CONTROLLER HEAD "- name: web\n  type: dynos\n"
#define INPUT CONTROLLER "  input_plugins:\n  - name: wave\n    type: sine\n"
#define TYPED(type) CONTROLLER "  input_plugins:\n  - name: in\n    type: " type "\n"
#define FLEET      \
    "version: 2\n" \
    "accounts: {main: {heroku_api_key: \"${K}\"}}\n"
#define APP \
    "{controller_plugins: [{name: web, type: dynos, input_plugins: [{name: w, type: sine}]}]}"
#define ERB_WORDS                                                                                 \
    ", expected <%= ENV['X'] %> or <%= ENV.fetch('X', 'default') %>, with .gsub(\"\\n\", \"|\") " \
    "behind it or not"

static const struct {
    const char *text;
    const char *message;
} refusals[] = {
    /* not a configuration at all */
    {"", "t:1:1: found an empty file, expected scaler and controller_plugins, or version: 2 and "
         "apps"},
    {"# only this\n", "t:1:1: found an empty file, expected scaler and controller_plugins, or "
                      "version: 2 and apps"},
    {"- a\n", "t:1:1: found a list, expected keys such as scaler and controller_plugins"},
    {"words\n", "t:1:1: found a text, expected keys such as scaler and controller_plugins"},
    {"a: b: c\n", "t:1:5: not valid YAML: mapping values are not allowed in this context"},
    {"a: \xff\n", "t:1:4: found bytes that are no YAML text (invalid leading UTF-8 octet), "
                  "expected UTF-8"},
    {"a: 1\n---\nb: 1\n", "t:2:1: found a second document (---), expected one"},
    /* what YAML has and a configuration does not need */
    {"a: &x 1\n", "t:1:4: found an anchor (text that begins with &), expected text in quotes"},
    {"a: *x\n", "t:1:4: found an alias (text that begins with *), expected text in quotes"},
    {"a: !x 1\n", "t:1:4: found a tag (text that begins with !), expected text in quotes"},
    {"a: !x {}\n", "t:1:4: found a tag (text that begins with !), expected text in quotes"},
    {"[a]: 1\n", "t:1:1: found a list or map as a key, expected a plain word"},
    {"scaler: {}\nscaler: {}\n",
     "t:2:1: scaler: found the key again, expected it once (first on line 1)"},
    {"a: \"x\\0y\"\n", "t:1:4: found a NUL in a text, expected none"},
    {"a: \xEE\x80\x80\n", "t:1:4: found a private-use character, expected text"},
    {"a: \"\\uE000\"\n", "t:1:4: found a private-use character, expected text"},
    /* ERB and variables */
    {"a: <%= `date` %>\n", "t:1:4: ERB: found other Ruby code" ERB_WORDS},
    {"a: <% if x %>\n", "t:1:4: ERB: found other Ruby code" ERB_WORDS},
    {"a: \"<%= ENV['X'].strip %>\"\n", "t:1:5: ERB: found other Ruby code" ERB_WORDS},
    {"a: <%= ENV['X']\n", "t:1:4: ERB: found <% without %>" ERB_WORDS},
    {"a: <%= ENV['X']\n  %>\n", "t:1:4: ERB: found a tag over several lines" ERB_WORDS},
    {"<%= ENV['X'] %>: 1\n", "t:1:1: found a variable as a key, expected a plain word"},
    {"a: x${Y\n",
     "t:1:4: found ${ that is none of ${X}, ${X:-default}, ${file:PATH}, expected one of these "
     "($${ stands for a plain ${)"},
    {"scaler: {heroku_app_name: \"${DYN_NOT_SET}\", heroku_api_key: k}\n",
     "t:1:27: heroku_app_name: found no value (environment variable DYN_NOT_SET is not set), "
     "expected a text"},
    /* keys */
    {"scaller: {}\n", "t:1:1: scaller: found an unknown key, expected one of the keys for this "
                      "place (did you mean \"scaler\"?)"},
    {"accounts: {}\n", "t:1:1: accounts: found a key of version 2, expected also \"version: 2\" "
                       "in the file"},
    {"version: 3\n", "t:1:10: version: found \"3\", expected a whole number from 1 to 2"},
    {INPUT "    perod: 30\n", "t:8:5: perod: found an unknown key, expected one of the keys for "
                              "this place (did you mean \"period\"?)"},
    {CONTROLLER "  min_web_dynos: 1\n  min_resource: 1\n",
     "t:6:3: min_resource: found a second name for min_web_dynos, expected one (also on line 5)"},
    /* what must be there */
    {"controller_plugins: []\n",
     "t:1:1: scaler: found nothing, expected a map with heroku_app_name"},
    {"scaler: []\n", "t:1:9: scaler: found a list, expected a map of keys"},
    {"scaler: {heroku_api_key: k}\n", "t:1:9: heroku_app_name: found nothing, expected a text"},
    {"scaler: {heroku_app_name: my-app}\n",
     "t:1:9: heroku_api_key: found nothing, expected a text"},
    {HEAD, "t:1:1: controller_plugins: found none, expected a list with at least one"},
    {HEAD "  {}\n", "t:3:3: controller_plugins: found a map, expected a list (lines that begin "
                    "with -)"},
    {HEAD "- words\n", "t:3:3: controller_plugins: found a text, expected a map with a type"},
    {HEAD "- name: web\n", "t:3:3: type: found nothing, expected a text"},
    {HEAD "- type: dynos\n", "t:3:3: name: found nothing, expected a text"},
    {CONTROLLER, "t:3:3: input_plugins: found none, expected a list with at least one"},
    {TYPED("exec"), "t:6:5: command: found nothing, expected a list of texts"},
    {TYPED("exec") "    command: [a]\n",
     "t:6:5: per_resource: found nothing, expected the value that one resource serves"},
    {TYPED("csv") "    file: f\n    value_column: v\n    time_column: t\n    row_interval: 5\n",
     "t:11:19: row_interval: found row_interval beside time_column, expected one"},
    {TYPED("http_json") "    url: u\n    pointer: a\n",
     "t:9:14: pointer: found a text without / at its start, expected a JSON pointer such as "
     "/data/0/active"},
    /* types and ranges */
    {HEAD "- {name: web, type: dyno}\n",
     "t:3:21: type: found the unknown type \"dyno\", expected "
     "one of dynos, rediscloud, papertrail (did you mean \"dynos\"?)"},
    {TYPED("Dynosaur::Inputs::SinPlugin"),
     "t:7:11: type: found the unknown type \"Dynosaur::Inputs::SinPlugin\", expected one of sine, "
     "random, csv, file, exec, http_json, google_analytics, new_relic, papertrail, "
     "rediscloud_memory, "
     "rediscloud_connections, rediscloud_random, papertrail_random, prometheus, redis, hirefire, "
     "log_drain (did you mean \"SinePlugin\"?)"},
    {TYPED("log_drain") "    token: ${T}\n    period: 15\n    per_resource: 1\n",
     "t:9:13: period: found another time, expected a multiple of 10 s"},
    {TYPED("log_drain") "    token: ${T}\n    value: p95\n    per_resource: 1\n",
     "t:9:12: value: found \"p95\", expected one of rpm, service_p50, service_p95, service_p99, "
     "connect_p50, connect_p95, connect_p99, error_rate"},
    {TYPED("log_drain") "    token: ${T}\n    interval: 601\n    per_resource: 1\n",
     "t:6:5: interval: found 601 s, expected at most 600 s: counts are kept for minutes"},
    {TYPED("log_drain") "    per_resource: 1\n", "t:6:5: token: found nothing, expected a text"},
    {INPUT "    interval: soon\n", "t:8:15: interval: found \"soon\", expected seconds from 0.1 "
                                   "to 86400, or such as 90s, 5m, 2h, 1d"},
    {INPUT "    interval: .nan\n", "t:8:15: interval: found \".nan\", expected seconds from 0.1 "
                                   "to 86400, or such as 90s, 5m, 2h, 1d"},
    {INPUT "    interval: nan\n", "t:8:15: interval: found \"nan\", expected seconds from 0.1 to "
                                  "86400, or such as 90s, 5m, 2h, 1d"},
    {INPUT "    per_resource: nan\n",
     "t:8:19: per_resource: found \"nan\", expected a number from 1e-09 to 1e+15"},
    {INPUT "    interval: [5]\n", "t:8:15: interval: found a list, expected seconds from 0.1 to "
                                  "86400, or such as 90s, 5m, 2h, 1d"},
    {INPUT "    interval: 2d\n", "t:8:15: interval: found \"2d\", expected seconds from 0.1 to "
                                 "86400, or such as 90s, 5m, 2h, 1d"},
    /* how values become resources */
    {INPUT "    target: 0\n", "t:8:13: target: found \"0\", expected a number from 1e-09 to 1e+15"},
    {INPUT "    target: nan\n",
     "t:8:13: target: found \"nan\", expected a number from 1e-09 to 1e+15"},
    {INPUT "    target: 5\n    tolerance: 60%\n",
     "t:9:16: tolerance: found \"60%\", expected percent from 0 to 50, such as 25 or \"25%\""},
    {INPUT "    target: 5\n    settle: 2h\n",
     "t:9:13: settle: found \"2h\", expected seconds from 0 to 3600, or such as 90s, 5m, 2h, 1d"},
    {INPUT "    target: 5\n    settle: 301\n",
     "t:6:5: settle: found 301 s, expected at most the hysteresis_period (300 s)"},
    {INPUT "    target: 5\n    per_resource: 5\n",
     "t:8:5: target: found it beside per_resource, expected one of them"},
    {INPUT "    target: 5\n    step: {1: 4}\n",
     "t:8:5: target: found it beside step, expected one of them"},
    {TYPED("new_relic") "    key: \"${K}\"\n    app_id: 1\n    rpm_per_dyno: 5\n    step: {1: 4}\n",
     "t:11:5: step: found it beside rpm_per_dyno, expected one of them"},
    {INPUT "    settle: 5\n", "t:8:5: settle: found it without target, expected both"},
    {INPUT "    step: {1: 4}\n    tolerance: 5\n",
     "t:9:5: tolerance: found it without target, expected both"},
    {TYPED("papertrail") "    papertrail_api_key: \"${K}\"\n    target: 5\n",
     "t:9:5: target: found it for what grows all day, whatever runs; expected per_resource or "
     "step"},
    {INPUT "    step: 5\n", "t:8:11: step: found another thing than a map of 1 to 64 steps, "
                            "expected such as step: {0: 2, 300: 4}"},
    {INPUT "    step: {}\n", "t:8:11: step: found another thing than a map of 1 to 64 steps, "
                             "expected such as step: {0: 2, 300: 4}"},
    {INPUT "    step: [[1, 4]]\n", "t:8:11: step: found another thing than a map of 1 to 64 steps, "
                                   "expected such as step: {0: 2, 300: 4}"},
    {INPUT "    step: {many: 4}\n", "t:8:12: many: found a key that is no value of at least 0, "
                                    "expected such as step: {0: 2, 300: 4}"},
    {INPUT "    step: {-1: 4}\n", "t:8:12: -1: found a key that is no value of at least 0, "
                                  "expected such as step: {0: 2, 300: 4}"},
    {INPUT "    step: {1e16: 4}\n", "t:8:12: 1e16: found a key that is no value of at least 0, "
                                    "expected such as step: {0: 2, 300: 4}"},
    {INPUT "    step: {1: 2.5}\n",
     "t:8:15: 1: found \"2.5\", expected a whole number from 0 to 255"},
    {INPUT "    step: {1: 256}\n",
     "t:8:15: 1: found \"256\", expected a whole number from 0 to 255"},
    {INPUT "    step: {1: }\n", "t:8:12: 1: found nothing, expected a whole number"},
    {INPUT "    step: {5: 3, 5.0: 4}\n",
     "t:8:18: 5.0: found 5 behind 5, expected values that rise"},
    {INPUT "    step: {5: 3, 4: 4}\n", "t:8:18: 4: found 4 behind 5, expected values that rise"},
    {INPUT "    step: {5: 3, 6: 3}\n", "t:8:21: 6: found 3 behind 3, expected resources that rise"},
    {INPUT "    step: {5: 3, 6: 1}\n", "t:8:21: 6: found 1 behind 3, expected resources that rise"},
    {INPUT "    step: {5: 1, 6: 2}\n",
     "t:8:11: step: found a table that never asks for more than min_resource (2)"},
    {INPUT "    on_outage: holt\n", "t:8:16: on_outage: found \"holt\", expected one of hold, "
                                    "ignore, fallback (did you mean \"hold\"?)"},
    {INPUT "    on_outage: fallback\n",
     "t:8:16: on_outage: found fallback without a number, expected also fallback: N"},
    {INPUT "    interval: 60\n    hysteresis_period: 30\n",
     "t:9:24: hysteresis_period: found 30 s, expected at least the interval (60 s)"},
    {INPUT "    interval: 60\n    max_gap: 30\n",
     "t:9:14: max_gap: found 30 s, expected at least the interval (60 s)"},
    {INPUT "  - name: wave\n    type: random\n",
     "t:8:11: name: found \"wave\" again, expected each input's name once in a controller (first "
     "on line 6)"},
    {INPUT "- name: web\n  type: dynos\n  input_plugins: [{name: w, type: sine}]\n",
     "t:8:9: name: found \"web\" again, expected each controller's name once in an app (first on "
     "line 3)"},
    {INPUT "- name: more\n  type: dynos\n  input_plugins: [{name: w, type: sine}]\n",
     "t:8:3: process_type: found web, which controller \"web\" scales already, expected another"},
    {CONTROLLER "  min_resource: 5\n  max_resource: 4\n",
     "t:5:17: min_resource: found 5, expected at most max_resource (4)"},
    {CONTROLLER "  max_resource: 1\n",
     "t:5:17: max_resource: found 1, expected at least min_resource (2)"},
    {CONTROLLER "  max_resource: 256\n", "t:5:17: max_resource: found \"256\", expected a whole "
                                         "number from 1 to 255, or a plan's name in full"},
    {CONTROLLER "  dry_run: maybe\n", "t:5:12: dry_run: found \"maybe\", expected true or false"},
    {CONTROLLER "  process_type: we b\n", "t:5:17: process_type: found another name, expected a "
                                          "process type: 1 to 128 letters, digits, - or _"},
    {"scaler: {heroku_app_name: My_App, heroku_api_key: k}\n",
     "t:1:27: heroku_app_name: found another name, expected an app's: 3 to 30 lower-case letters, "
     "digits and -, a letter first"},
    {"scaler: {heroku_app_name: my-app, heroku_api_key: [k]}\n",
     "t:1:51: heroku_api_key: found a list, expected a text"},
    /* version 2 */
    {FLEET, "t:1:1: apps: found no app, expected at least one"},
    {FLEET "scaler: {}\n", "t:3:1: scaler: found a key of one app, expected it under apps: NAME:"},
    {FLEET "apps: {shop: {account: mian}}\n",
     "t:3:24: account: found \"mian\", expected a name under accounts (did you mean \"main\"?)"},
    {FLEET "apps:\n- controller_plugins: []\n",
     "t:4:3: scaler: found nothing, expected a map with heroku_app_name"},
    {FLEET "apps: {s: {}}\n", "t:3:8: s: found another name, expected an app's: 3 to 30 "
                              "lower-case letters, digits and -, a letter first"},
    {FLEET "redis: {partitions: 65}\n",
     "t:3:21: partitions: found \"65\", expected a whole number from 1 to 64"},
    {FLEET "redis: {sentinel: {nodes: [one]}}\n", "t:3:19: master: found nothing, expected a text"},
    {FLEET "redis: {sentinel: {master: fleet}}\n",
     "t:3:19: nodes: found nothing, expected a list of texts"},
    {FLEET "redis: {sentinel: {master: fleet, nodes: [one, \"two:0\"]}}\n",
     "t:3:48: nodes: found another text, expected host:port of a Sentinel, or [address]:port"},
    {FLEET "redis: {sentinel: {master: \"\", nodes: one}}\n",
     "t:3:28: master: found an empty or too long text, expected the name in `sentinel monitor NAME "
     "...`"},
    {FLEET "redis: {sentinel: {master: m, nodes: [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]}}\n",
     "t:3:38: nodes: found 17, expected at most 16 Sentinels"},
    {FLEET "redis: {sentinel: {master: m, nodes: a, username: u}}\n",
     "t:3:51: username: found a username without password, expected both"},
    {FLEET "redis: {sentinel: {master: m, node: a}}\n",
     "t:3:31: node: found an unknown key, expected one of the keys for this place (did you mean "
     "\"nodes\"?)"},
    {FLEET "redis: {username: u}\n",
     "t:3:19: username: found a username without password, expected both"},
    {FLEET "redis: {tls_key: k}\n",
     "t:3:18: tls_key: found one of tls_cert and tls_key, expected both"},
    {FLEET "redis: {replicas: 17}\n",
     "t:3:19: replicas: found \"17\", expected a whole number from 0 to 16"},
    {FLEET "redis: {prefix: \"a b\"}\n",
     "t:3:17: prefix: found another text, expected 1 to 64 letters, digits, - _ or :"},
    {FLEET "defaults: {intervall: 5}\n",
     "t:3:12: intervall: found an unknown key, expected one of the keys for this place (did you "
     "mean \"interval\"?)"},
    {FLEET "defaults: {max_step_down: 101%}\n",
     "t:3:27: max_step_down: found \"101%\", expected percent from 1 to 100, such as 25 or "
     "\"25%\""},
    {FLEET "heroku_api_url: http://example.com\n",
     "t:3:17: heroku_api_url: found http:// for a host that is not this machine, expected "
     "https://"},
    {FLEET "heroku_api_url: ftp://x\n",
     "t:3:17: heroku_api_url: found another text, expected an https:// address"},
    {FLEET "include: x.yaml\napps: {shop: " APP "}\n",
     "t:3:10: include: found a file to include, expected none here"},
    {FLEET "stats_plugins: [{type: console}, {type: console}]\napps: {shop: " APP "}\n",
     "t:3:34: stats_plugins: found two named \"console\", expected a name: of its own for each "
     "(first on line 3)"},
    {"version: 2\naccounts: {a b: {heroku_api_key: k}}\n",
     "t:2:12: a b: found another name, expected 1 to 64 letters, digits, - or _"},
    {"version: 2\naccounts: words\n", "t:2:11: accounts: found a text, expected a map of keys"},
    {"version: 2\naccounts: {a: {}}\n", "t:2:15: heroku_api_key: found nothing, expected a text"},
    {"version: 2\napps: {shop: " APP "}\n",
     "t:2:14: heroku_api_key: found nothing, expected a text, or an account under accounts"},
};

static struct config *load(const char *text, struct dyn_error *error)
{
    return config_load_text("t", dyn_str_from(text), error);
}

START_TEST(each_refusal_has_its_words)
{
    struct dyn_error error = {""};

    ck_assert_ptr_null(load(refusals[_i].text, &error));
    ck_assert_str_eq(error.text, refusals[_i].message);
}
END_TEST

START_TEST(a_key_of_an_unbuilt_type_is_checked_before_the_type_is_refused)
{
    static const enum config_kind kinds[] = {CONFIG_STATS, CONFIG_ERRORS, CONFIG_SUCCESS};

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (const struct config_type *t = config_types(kinds[k]); t->name != NULL; t++) {
            struct dyn_error error = {""};
            char text[512];

            (void)snprintf(text, sizeof(text), FLEET "%s: [{type: %s, zzz: 1}]\n",
                           config_kind_section(kinds[k]), t->name);
            ck_assert_ptr_null(load(text, &error));
            ck_assert_msg(strstr(error.text, "zzz: found an unknown key") != NULL, "%s",
                          error.text);
        }
    }
}
END_TEST

START_TEST(no_message_holds_what_a_variable_or_a_secret_holds)
{
    struct dyn_error error = {""};

    ck_assert_int_eq(setenv("DYN_CANARY", "canary-4711", 1), 0);
    ck_assert_ptr_null(load(INPUT "    interval: <%= ENV['DYN_CANARY'] %>\n", &error));
    ck_assert_str_eq(error.text, "t:8:15: interval: found what <env DYN_CANARY> holds, expected "
                                 "seconds from 0.1 to 86400, or such as 90s, 5m, 2h, 1d");
    ck_assert_ptr_null(
        load("scaler: {heroku_app_name: \"${DYN_CANARY}!\", heroku_api_key: k}\n", &error));
    ck_assert_ptr_null(strstr(error.text, "canary"));
}
END_TEST

START_TEST(a_file_of_brackets_ends_at_once)
{
    const size_t len = 200000;
    char *text = malloc(len + 1);
    static const char *const patterns[] = {"[", "[\n", "{a: ", "- ", "? ", "[[\"\n"};

    ck_assert_ptr_nonnull(text);
    for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
        struct dyn_error error = {""};
        size_t width = strlen(patterns[p]);
        clock_t start = clock();

        for (size_t i = 0; i < len; i++) {
            text[i] = patterns[p][i % width];
        }
        text[len] = '\0';
        ck_assert_ptr_null(load(text, &error));
        ck_assert_str_ne(error.text, "");
        printf("%zu bytes of a nested pattern: %.3f s\n", len,
               (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    free(text);
}
END_TEST

START_TEST(depth_and_size_are_bounded_and_the_bound_itself_is_taken)
{
    struct dyn_error error = {""};
    char deep[128] = "a: ";
    char *big = malloc(DYN_CONFIG_FILE_MAX + 2);

    ck_assert_ptr_nonnull(big);
    memset(deep + 3, '[', 31);
    memset(deep + 34, ']', 31);
    ck_assert_ptr_null(load(deep, &error));
    ck_assert_str_eq(error.text, "t:1:1: a: found an unknown key, expected one of the keys for "
                                 "this place");
    memset(deep + 3, '[', 32);
    memset(deep + 35, ']', 32);
    ck_assert_ptr_null(load(deep, &error));
    ck_assert_str_eq(error.text, "t:1:35: found more than 32 lists and maps inside one another, "
                                 "expected at most that");
    memset(big, '#', DYN_CONFIG_FILE_MAX + 1);
    big[DYN_CONFIG_FILE_MAX + 1] = '\0';
    ck_assert_ptr_null(load(big, &error));
    ck_assert_str_eq(error.text, "t:1:1: found more than 262144 bytes, expected a smaller file "
                                 "(include brings in others)");
    big[DYN_CONFIG_FILE_MAX] = '\0';
    ck_assert_ptr_null(load(big, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "found an empty file"));
    free(big);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config_refusals");
    TCase *tc = tcase_create("refusals");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, each_refusal_has_its_words, 0,
                        (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(tc, a_key_of_an_unbuilt_type_is_checked_before_the_type_is_refused);
    tcase_add_test(tc, no_message_holds_what_a_variable_or_a_secret_holds);
    tcase_add_test(tc, a_file_of_brackets_ends_at_once);
    tcase_add_test(tc, depth_and_size_are_bounded_and_the_bound_itself_is_taken);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
