/*
 * The configuration that is taken: both spellings, precedence, secrets, hashes, includes.
 */
#include "common/bus_config.h"
#include "common/config_internal.h"

#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *fixture(const char *name)
{
    static char path[4096];
    const char *source = getenv("DYN_SOURCE");

    (void)snprintf(path, sizeof(path), "%s/tests/unit/config/%s", source != NULL ? source : ".",
                   name);
    return path;
}

static struct config *load(const char *name)
{
    struct dyn_error error = {""};
    struct config *config = config_load(fixture(name), &error);

    ck_assert_msg(config != NULL, "%s", error.text);
    return config;
}

static struct config *load_text(const char *text)
{
    struct dyn_error error = {""};
    struct config *config = config_load_text("t", dyn_str_from(text), &error);

    ck_assert_msg(config != NULL, "%s", error.text);
    return config;
}

static void refused(const char *name, const char *words)
{
    struct dyn_error error = {""};
    char message[8192];

    (void)snprintf(message, sizeof(message), "%s:%s", fixture(name), words);
    ck_assert_ptr_null(config_load(fixture(name), &error));
    /* Long paths may cut the words; what is left must agree. */
    ck_assert_str_eq(error.text, message);
}

static const struct config_app *app_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->apps_count; i++) {
        if (strcmp(config->apps[i].name, name) == 0) {
            return &config->apps[i];
        }
    }
    ck_abort_msg("no app %s", name);
}

START_TEST(the_original_file_loads_unchanged)
{
    struct config *config = load("original.yaml");
    const struct config_app *app = &config->apps[0];
    const struct config_controller *web = &app->controllers[0];

    ck_assert_uint_eq(config->apps_count, 1);
    ck_assert_str_eq(app->name, "my-app");
    ck_assert_int_eq(app->interval_ms, 5000);
    ck_assert_uint_lt(app->partition, 8);
    ck_assert_uint_eq(config->accounts_count, 1);
    ck_assert_str_eq(config->accounts[0].name, "default");
    ck_assert_str_eq(config->accounts[0].heroku_api_key.shown, "<env HEROKU_API_KEY>");
    ck_assert_uint_eq(app->controllers_count, 1);
    ck_assert_str_eq(web->type->name, "dynos");
    ck_assert_str_eq(web->process_type, "web");
    ck_assert_int_eq(web->min_resource, 3);
    ck_assert_int_eq(web->max_resource, 40);
    ck_assert_int_eq(web->mode, CONFIG_MODE_LIVE);
    ck_assert_int_eq(web->scale_down_cooldown_ms, 60000);
    ck_assert_double_eq(web->max_step_down_percent, 25);
    ck_assert_int_eq(web->manual_hold_ms, 3600000);
    ck_assert_uint_eq(web->inputs_count, 3);
    ck_assert_int_eq(web->inputs[0].interval_ms, 60000);
    ck_assert_int_eq(web->inputs[0].hysteresis_period_ms, 300000);
    ck_assert_int_eq(web->inputs[0].max_gap_ms, 180000);
    ck_assert_int_eq(web->inputs[0].doubt_zero_ms, 300000);
    ck_assert_double_eq(web->inputs[0].per_resource, 10);
    ck_assert_int_eq(config_option(&web->inputs[0].options, "period")->as.i, 30000);
    ck_assert_int_eq(web->inputs[1].hysteresis_period_ms, 120000);
    ck_assert_int_eq(config_option(&web->inputs[1].options, "seed")->as.i, 1234);
    ck_assert_uint_eq(config->sinks_count[CONFIG_STATS], 1);
    ck_assert_uint_eq(config->sinks_count[CONFIG_ERRORS], 1);
    ck_assert_uint_eq(config->sinks[CONFIG_ERRORS][0].app, SIZE_MAX);
    ck_assert_int_eq(config->longest_window_ms, 600000);
    ck_assert_uint_eq(config->warnings_count, 3);
    config_free(config);
}
END_TEST

START_TEST(all_sections_of_the_original_load)
{
    ck_assert_int_eq(setenv("GA_EMAIL", "a@example.com", 1), 0);
    ck_assert_int_eq(setenv("LIBRATO_EMAIL", "a@example.com", 1), 0);
    struct config *config = load("original_all_sections.yaml");

    ck_assert_uint_eq(config->apps[0].controllers_count, 3);
    ck_assert_uint_eq(config->sinks_count[CONFIG_STATS], 2);
    ck_assert_uint_eq(config->sinks_count[CONFIG_ERRORS], 3);
    ck_assert_uint_eq(config->sinks_count[CONFIG_SUCCESS], 1);
    config_free(config);
}
END_TEST

START_TEST(a_fleet_loads_with_its_precedence)
{
    struct config *config = load("fleet.yaml");
    const struct config_app *shop = app_of(config, "shop");
    const struct config_controller *web = &shop->controllers[0];
    const struct config_controller *worker = &shop->controllers[1];

    ck_assert_uint_eq(config->apps_count, 4);
    ck_assert_str_eq(config->redis.prefix, "fleet");
    ck_assert_uint_eq(config->redis.partitions, 4);
    ck_assert_double_eq(config->accounts[0].reserve_percent, 30);
    ck_assert_int_eq(shop->interval_ms, 10000);
    ck_assert_int_eq(app_of(config, "forum")->interval_ms, 60000);
    ck_assert_int_eq(web->min_resource, 4);
    ck_assert_int_eq(web->max_resource, 50);
    ck_assert_int_eq(web->scale_down_cooldown_ms, 120000);
    ck_assert_double_eq(web->max_step_down_percent, 10);
    ck_assert_int_eq(web->inputs[0].interval_ms, 20000);
    ck_assert_int_eq(web->inputs[0].on_outage, CONFIG_IGNORE);
    ck_assert_int_eq(web->inputs[0].doubt_zero_ms, 0);
    ck_assert_int_eq(web->inputs[1].on_outage, CONFIG_FALLBACK);
    ck_assert_int_eq(web->inputs[1].fallback, 3);
    ck_assert_int_eq(worker->inputs[0].hysteresis_period_ms, 3600000);
    ck_assert_uint_eq(app_of(config, "blog")->account, 1);
    /* The most careful mode wins. */
    ck_assert_int_eq(web->mode, CONFIG_MODE_RAISE_ONLY);
    ck_assert_int_eq(worker->mode, CONFIG_MODE_SHADOW);
    ck_assert_int_eq(app_of(config, "forum")->controllers[0].mode, CONFIG_MODE_OFF);
    ck_assert_str_eq(config_option(&web->inputs[1].options, "command")->as.list.items[2],
                     "${literal}");
    ck_assert_str_eq(config->sinks[CONFIG_ERRORS][0].name, "blog/console");
    config_free(config);
}
END_TEST

#define ACCOUNT "version: 2\naccounts: {main: {heroku_api_key: \"${K}\"}}\n"
#define ONE(options) \
    "{controller_plugins: [{name: web, type: dynos, input_plugins: [{" options "}]}]}"

/* A leader must find the last value of whatever counts as covered. */
START_TEST(the_longest_window_reaches_over_a_max_gap)
{
    struct config *config = load_text(
        ACCOUNT "apps: {shop: " ONE("name: w, type: sine, interval: 1h, doubt_zero: 0") "}\n");
    ck_assert_int_eq(config->apps[0].controllers[0].inputs[0].hysteresis_period_ms, 3600000);
    ck_assert_int_eq(config->longest_window_ms, 3 * 3600000);
    config_free(config);
}
END_TEST

START_TEST(the_hash_tells_what_decides_and_nothing_else)
{
    struct config *a = load_text(ACCOUNT "apps: {shop: " ONE(
        "name: w, type: sine, period: 30") ", blog: " ONE("name: w, type: sine") "}\n");
    struct config *b =
        load_text("version: 2\napps: {blog: " ONE("type: sine, name: w") ", shop: " ONE(
            "period: 30s, type: SinePlugin, name: w") "}\naccounts: {main: {heroku_api_key: "
                                                      "other}}\n");
    struct config *c = load_text(ACCOUNT "apps: {shop: " ONE(
        "name: w, type: sine, period: 31") ", blog: " ONE("name: w, type: sine") "}\n");
    struct config *d = load_text(ACCOUNT "apps: {shop: " ONE(
        "name: w, type: sine, per_resource: 7") ", blog: " ONE("name: w, type: sine") "}\n");

    ck_assert(a->hash == b->hash);
    ck_assert(a->hash != c->hash);
    ck_assert(a->hash != d->hash);
    ck_assert(a->apps[0].controllers[0].inputs[0].series !=
              c->apps[0].controllers[0].inputs[0].series);
    /* A changed ratio applies to the window that is there. */
    ck_assert(a->apps[0].controllers[0].inputs[0].series ==
              d->apps[0].controllers[0].inputs[0].series);
    ck_assert(a->apps[0].controllers[0].inputs[0].series !=
              a->apps[1].controllers[0].inputs[0].series);
    config_free(a);
    config_free(b);
    config_free(c);
    config_free(d);
}
END_TEST

static void names_add(void *arg, const char *name)
{
    (void)dyn_buf_addf(arg, "%s ", name);
}

START_TEST(each_service_needs_its_own_secrets_and_no_others)
{
    static const char *const wanted[] = {
        "DYN_TEST_APP DYN_TEST_DRY_RUN METRICS_KEY METRICS_TOKEN REDIS_URL ",
        "DYN_TEST_APP DYN_TEST_DRY_RUN REDIS_URL ",
        "DYN_TEST_APP DYN_TEST_DRY_RUN HEROKU_API_KEY REDIS_URL ",
        "DYN_TEST_APP DYN_TEST_DRY_RUN REDIS_URL "};
    struct config *config = load("original.yaml");

    for (int service = CONFIG_COLLECTOR; service <= CONFIG_REPORTER; service++) {
        struct dyn_buf names;

        dyn_buf_init(&names, 1024);
        config_service_variables(config, (enum config_service)service, names_add, &names);
        ck_assert_str_eq(dyn_buf_text(&names), wanted[service]);
        dyn_buf_fini(&names);
    }
    config_free(config);
}
END_TEST

START_TEST(a_secret_is_resolved_when_it_is_asked_for)
{
    struct config *config = load("original.yaml");
    const struct config_options *options = &config->apps[0].controllers[0].inputs[2].options;
    const struct config_value *headers = config_option(options, "headers");
    const struct config_secret *url = &config_option(options, "url")->as.secret;
    struct dyn_error error = {""};
    struct dyn_buf out;

    dyn_buf_init(&out, DYN_SECRET_MAX);
    ck_assert_int_eq(unsetenv("METRICS_KEY"), 0);
    ck_assert_int_eq(config_secret_resolve(&headers->as.headers.values[0], &out, &error),
                     DYN_NOTFOUND);
    ck_assert_str_eq(error.text, "environment variable METRICS_KEY is not set");
    ck_assert_int_eq(setenv("METRICS_KEY", "-- BEGIN\nabc: {x}\n-- END", 1), 0);
    ck_assert_int_eq(config_secret_resolve(&headers->as.headers.values[0], &out, &error), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&out), "Bearer -- BEGIN|abc: {x}|-- END");
    ck_assert_int_eq(setenv("METRICS_TOKEN", "t", 1), 0);
    ck_assert_int_eq(config_secret_resolve(url, &out, &error), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&out), "https://metrics.example.com/now?token=t");
    dyn_buf_wipe(&out);
    config_free(config);
}
END_TEST

START_TEST(a_secret_in_a_file_loses_its_last_newline_and_must_not_be_empty)
{
    char path[] = "/tmp/dyn-config-XXXXXX";
    int fd = mkstemp(path);
    char text[512];
    struct config *config;
    struct dyn_error error = {""};
    struct dyn_buf out;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "s3cret\n", 7), 7);
    (void)snprintf(text, sizeof(text),
                   "version: 2\naccounts: {main: {heroku_api_key: \"${file:%s}\"}}\napps: {shop: "
                   "%s}\n",
                   path, ONE("name: w, type: sine"));
    config = load_text(text);
    dyn_buf_init(&out, DYN_SECRET_MAX);
    ck_assert_int_eq(config_secret_resolve(&config->accounts[0].heroku_api_key, &out, &error),
                     DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&out), "s3cret");
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(config_secret_resolve(&config->accounts[0].heroku_api_key, &out, &error),
                     DYN_NOTFOUND);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(config_secret_resolve(&config->accounts[0].heroku_api_key, &out, &error),
                     DYN_NOTFOUND);
    ck_assert_ptr_null(strstr(error.text, "s3cret"));
    (void)close(fd);
    dyn_buf_wipe(&out);
    config_free(config);
}
END_TEST

START_TEST(the_printed_configuration_holds_no_secret)
{
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    struct config *config;

    ck_assert_int_eq(setenv("K", "canary-env", 1), 0);
    config = load_text("scaler: {heroku_app_name: my-app, heroku_api_key: canary-literal}\n"
                       "controller_plugins: [{name: web, type: dynos, input_plugins: [{name: w, "
                       "type: http_json, url: \"https://x/?${K}canary\", pointer: /a, headers: "
                       "{A: canary}, per_resource: 1}]}]\n");
    config_print(config, out);
    (void)fclose(out);
    ck_assert_ptr_null(strstr(printed, "canary"));
    ck_assert_ptr_nonnull(strstr(printed, "heroku_api_key: <literal>"));
    ck_assert_ptr_nonnull(strstr(printed, "url: <literal><env K><literal>"));
    ck_assert_uint_eq(config->warnings_count, 1);
    ck_assert_str_eq(config->warnings[0],
                     "t:1:35: heroku_api_key: is a secret written in the file; better <%= "
                     "ENV['X'] %>, ${X} or ${file:/run/secrets/x}");
    free(printed);
    config_free(config);
}
END_TEST

START_TEST(a_variable_is_never_read_as_structure)
{
    struct config *config;

    ck_assert_int_eq(setenv("DYN_EVIL", "x\n    per_resource: 1\n  - {name: evil, # \"", 1), 0);
    config = load_text("scaler: {heroku_app_name: my-app, heroku_api_key: <%= ENV['K'] %>}\n"
                       "controller_plugins: [{name: web, type: dynos, input_plugins: [{name: w, "
                       "type: exec, command: [a, <%= ENV['DYN_EVIL'] %>], per_resource: 1}]}]\n");
    ck_assert_uint_eq(config->apps[0].controllers[0].inputs_count, 1);
    ck_assert_str_eq(config_option(&config->apps[0].controllers[0].inputs[0].options, "command")
                         ->as.list.items[1],
                     getenv("DYN_EVIL"));
    config_free(config);
}
END_TEST

START_TEST(an_include_stays_in_its_directory)
{
    struct dyn_error error = {""};

    ck_assert_ptr_null(config_load(fixture("escape/climbs.yaml"), &error));
    ck_assert_ptr_nonnull(strstr(error.text,
                                 "climbs.yaml:3:10: include: found \"../fleet/*.yaml\", "
                                 "which leads out of the directory of "));
    ck_assert_ptr_null(config_load(fixture("escape/linked.yaml"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "linked.yaml:3:10: include: found "));
    ck_assert_ptr_nonnull(strstr(error.text, "link.yaml, which leads out of the directory of "));
    ck_assert_ptr_null(config_load(fixture("escape/missing.yaml"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "missing.yaml:3:10: include: found no file "));
    ck_assert_ptr_null(config_load(fixture("escape/twice.yaml"), &error));
    ck_assert_ptr_nonnull(strstr(error.text,
                                 "twin.yaml:1:1: shop: found the app again, expected it "
                                 "once (first at "));
}
END_TEST

START_TEST(a_file_that_is_missing_or_a_directory_is_refused)
{
    refused("none.yaml", " cannot be read: No such file or directory");
    refused("fleet", " cannot be read: Is a directory");
}
END_TEST

START_TEST(redis_bytes_follow_the_formula)
{
    struct config *config = load_text(ACCOUNT "redis: {partitions: 2}\napps: {shop: " ONE(
        "name: w, type: sine, interval: 10, hysteresis_period: 300, doubt_zero: 0") "}\n");
    /* retention 600 s: 60 samples of 24, 2 x 600 ticks of 60; 10 targets; 60 reports. */
    int64_t wanted = 2097152 + 60 * 24 + 2 * 600 * 60 + 10 * 450 + 60 * 30;

    ck_assert_int_eq(config_redis_bytes(config), wanted);
    config_free(config);
    config = load_text(ACCOUNT "redis: {partitions: 2}\napps: {shop: " ONE(
        "name: d, type: log_drain, token: \"${T}\", per_resource: 1, interval: 10, "
        "hysteresis_period: 300, doubt_zero: 0") "}\n");
    ck_assert_int_eq(config_redis_bytes(config), wanted + 4200 + 1000 * (60 + 15 + 60) / 10);
    config_free(config);
}
END_TEST

static void fleet_write(const char *directory)
{
    char path[256];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/main.yaml", directory);
    out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    (void)fputs(ACCOUNT "include: part-*.yaml\n", out);
    (void)fclose(out);
    for (int part = 0; part < 100; part++) {
        (void)snprintf(path, sizeof(path), "%s/part-%02d.yaml", directory, part);
        out = fopen(path, "w");
        ck_assert_ptr_nonnull(out);
        (void)fputs("apps:\n", out);
        for (int i = 0; i < 100; i++) {
            fprintf(out,
                    "  app-%d-%d:\n    controller_plugins:\n    - name: web\n"
                    "      type: dynos\n      input_plugins:\n      - name: wave\n"
                    "        type: sine\n",
                    part, i);
        }
        (void)fclose(out);
    }
}

START_TEST(ten_thousand_apps_load)
{
    char directory[] = "/tmp/dyn-config-XXXXXX";
    char path[256];
    struct dyn_error error = {""};
    struct config *config;
    clock_t start;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    fleet_write(directory);
    (void)snprintf(path, sizeof(path), "%s/main.yaml", directory);
    start = clock();
    config = config_load(path, &error);
    printf("10000 apps of 100 files: %.3f s\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    (void)unlink(path);
    for (int part = 0; part < 100; part++) {
        (void)snprintf(path, sizeof(path), "%s/part-%02d.yaml", directory, part);
        (void)unlink(path);
    }
    (void)rmdir(directory);
    ck_assert_msg(config != NULL, "%s", error.text);
    ck_assert_uint_eq(config->apps_count, 10000);
    config_free(config);
}
END_TEST

START_TEST(redis_and_its_sentinels_are_read_with_their_secrets_late)
{
    ck_assert_int_eq(setenv("DYN_TEST_USER", "worker", 1), 0);
    struct config *config = load_text(ACCOUNT "redis:\n"
                                              "  url: rediss://ignored:6380/2\n"
                                              "  username: collector\n"
                                              "  password: ${file:/nowhere/redis}\n"
                                              "  tls_insecure: true\n"
                                              "  sentinel:\n"
                                              "    master: fleet\n"
                                              "    nodes: [one, \"two:26380\", \"[::1]:5\"]\n"
                                              "    username: ${DYN_TEST_USER}\n"
                                              "    password: ${DYN_TEST_SENTINEL}\n"
                                              "apps: {shop: " ONE("name: w, type: sine") "}\n");
    const struct config_redis *redis = &config->redis;
    struct bus_config resolved;
    struct dyn_error error = {""};
    char *printed = NULL;
    size_t printed_size = 0;
    FILE *out = open_memstream(&printed, &printed_size);

    ck_assert_uint_eq(config->warnings_count, 0);
    ck_assert_str_eq(redis->sentinel.master, "fleet");
    ck_assert_str_eq(redis->sentinel.nodes[2], "[::1]:5");
    ck_assert_ptr_null(redis->sentinel.nodes[3]);
    ck_assert(redis->tls_insecure);
    ck_assert_uint_eq(redis->replicas, 1);
    ck_assert_ptr_nonnull(out);
    config_print(config, out);
    (void)fclose(out);
    ck_assert_ptr_nonnull(strstr(printed, "  password: <file /nowhere/redis>\n"));
    ck_assert_ptr_nonnull(strstr(printed, "    nodes: one, two:26380, [::1]:5\n"));
    ck_assert_ptr_nonnull(strstr(printed, "    password: <env DYN_TEST_SENTINEL>\n"));
    ck_assert_ptr_nonnull(strstr(printed, "  replicas: 1\n"));
    ck_assert_ptr_nonnull(strstr(printed, "  collector: DYN_TEST_SENTINEL DYN_TEST_USER\n"));
    free(printed);
    ck_assert_int_eq(bus_config_resolve(redis, NULL, &resolved, &error), DYN_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(error.text, "redis.password: "));
    /* Another server: nothing of how this one is reached counts. */
    ck_assert_int_eq(bus_config_resolve(redis, "redis://other", &resolved, &error), DYN_OK);
    ck_assert_str_eq(resolved.url, "redis://other");
    ck_assert_ptr_null(resolved.access.password);
    ck_assert_ptr_null(resolved.access.sentinel_master);
    ck_assert(!resolved.access.tls_insecure);
    ck_assert_uint_eq(resolved.access.replicas, 0);
    bus_config_fini(&resolved);
    config_free(config);
}
END_TEST

START_TEST(what_reaches_redis_is_resolved_whole_and_compared)
{
    char path[] = "/tmp/dyn-secret-XXXXXX";
    char text[1024];
    struct bus_config first;
    struct bus_config second;
    struct dyn_error error = {""};
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "p@ss%word\n", 10), 10);
    (void)snprintf(text, sizeof(text),
                   ACCOUNT "redis:\n"
                           "  url: redis://u:${file:%s}@host\n"
                           "  password: ${file:%s}\n"
                           "  replicas: 2\n"
                           "  sentinel: {master: fleet, nodes: one, password: \"${file:%s}\"}\n"
                           "apps: {shop: " ONE("name: w, type: sine") "}\n",
                   path, path, path);
    struct config *config = load_text(text);
    ck_assert_int_eq(bus_config_resolve(&config->redis, NULL, &first, &error), DYN_OK);
    ck_assert_str_eq(first.url, "redis://u:p@ss%word@host");
    ck_assert_str_eq(first.access.password, "p@ss%word");
    ck_assert_str_eq(first.access.sentinel_password, "p@ss%word");
    ck_assert_str_eq(first.access.sentinel_nodes[0], "one");
    ck_assert_ptr_null(first.access.sentinel_nodes[1]);
    ck_assert_uint_eq(first.access.replicas, 2);
    ck_assert_int_eq(bus_config_resolve(&config->redis, NULL, &second, &error), DYN_OK);
    ck_assert(bus_config_same(&first, &second));
    bus_config_fini(&second);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    ck_assert_int_eq(bus_config_resolve(&config->redis, NULL, &second, &error), DYN_OK);
    ck_assert(!bus_config_same(&first, &second));
    bus_config_fini(&second);
    bus_config_fini(&first);
    config_free(config);
    (void)close(fd);
    (void)unlink(path);
}
END_TEST

static void fields_documented(const char *text, const struct config_field *fields)
{
    for (; fields != NULL && fields->key != NULL; fields++) {
        char wanted[128];

        (void)snprintf(wanted, sizeof(wanted), "`%s`", fields->key);
        ck_assert_msg(strstr(text, wanted) != NULL, "%s is not documented", wanted);
        for (size_t i = 0; i < 3 && fields->aliases[i] != NULL; i++) {
            (void)snprintf(wanted, sizeof(wanted), "`%s`", fields->aliases[i]);
            ck_assert_msg(strstr(text, wanted) != NULL, "%s is not documented", wanted);
        }
    }
}

START_TEST(papertrails_volume_is_a_daily_counter_and_nothing_else_is)
{
    struct config *config = load_text(
        "scaler: {heroku_app_name: shop, heroku_api_key: \"${K}\"}\n"
        "controller_plugins:\n"
        "- name: web\n"
        "  type: dynos\n"
        "  input_plugins:\n"
        "  - {name: a, type: Dynosaur::Inputs::PapertrailInputPlugin, papertrail_api_key: "
        "\"${P}\", "
        "per_resource: 1}\n"
        "  - {name: b, type: Dynosaur::Inputs::PapertrailRandomInputPlugin, per_resource: 1}\n"
        "  - {name: c, type: sine}\n");
    const struct config_input *inputs = config->apps[0].controllers[0].inputs;

    ck_assert(inputs[0].counter);
    ck_assert(!inputs[1].counter);
    ck_assert(!inputs[2].counter);
    config_free(config);
}
END_TEST

START_TEST(values_become_resources_by_a_ratio_a_target_or_a_table)
{
    struct config *config = load_text(
        "scaler: {heroku_app_name: shop, heroku_api_key: \"${K}\"}\n"
        "controller_plugins:\n"
        "- name: web\n"
        "  type: dynos\n"
        "  max_resource: 8\n"
        "  input_plugins:\n"
        "  - {name: a, type: exec, command: x, target: 300}\n"
        "  - {name: b, type: new_relic, key: \"${K}\", app_id: 1, target: 0.5, tolerance: "
        "\"20%\", settle: 2m}\n"
        "  - {name: c, type: exec, command: x, step: {0: 2, 300: 4, 8e2: 9}}\n"
        "  - {name: d, type: sine}\n"
        "- name: worker\n"
        "  type: dynos\n"
        "  process_type: worker\n"
        "  input_plugins:\n"
        "  - {name: a, type: sine, step: {3: 9}}\n");
    const struct config_controller *controllers = config->apps[0].controllers;
    const struct config_input *inputs = controllers[0].inputs;

    ck_assert_int_eq(inputs[0].conversion, CONFIG_TARGET);
    ck_assert_double_eq(inputs[0].target, 300);
    ck_assert_double_eq(inputs[0].tolerance, 0.1);
    ck_assert_int_eq(inputs[0].settle_ms, 60000);
    ck_assert_int_eq(inputs[1].conversion, CONFIG_TARGET);
    ck_assert_double_eq(inputs[1].target, 0.5);
    ck_assert_double_eq(inputs[1].tolerance, 0.2);
    ck_assert_int_eq(inputs[1].settle_ms, 120000);
    ck_assert_int_eq(inputs[2].conversion, CONFIG_STEP);
    ck_assert_uint_eq(inputs[2].steps_count, 3);
    ck_assert_double_eq(inputs[2].steps[2].from, 800);
    ck_assert_int_eq(inputs[2].steps[2].resources, 9);
    ck_assert_int_eq(inputs[3].conversion, CONFIG_PER_RESOURCE);
    ck_assert_double_eq(inputs[3].per_resource, 10);
    ck_assert(controllers[0].needs_running);
    ck_assert(!controllers[1].needs_running);
    ck_assert_uint_ne(controllers[0].running_series, controllers[1].running_series);
    ck_assert_uint_eq(config->warnings_count, 1); /* 9 of at most 8 */
    config_free(config);
}
END_TEST

START_TEST(the_hash_tells_how_values_become_resources)
{
    static const char *const ways[] = {
        "per_resource: 300",
        "target: 300",
        "target: 301",
        "target: 300, tolerance: 11%",
        "target: 300, settle: 61",
        "step: {300: 4}",
        "step: {301: 4}",
        "step: {300: 5}",
        "step: {300: 4, 301: 5}",
    };
    uint64_t hashes[sizeof ways / sizeof ways[0]];
    uint64_t series = 0;

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "scaler: {heroku_app_name: shop, heroku_api_key: \"${K}\"}\n"
                       "controller_plugins:\n"
                       "- {name: web, type: dynos, input_plugins: [{name: a, type: sine, %s}]}\n",
                       ways[i]);
        struct config *config = load_text(text);
        const struct config_input *in = &config->apps[0].controllers[0].inputs[0];

        hashes[i] = config->hash;
        ck_assert(i == 0 || in->series == series);
        series = in->series; /* the same values: the window is re-read with the new rule */
        for (size_t k = 0; k < i; k++) {
            ck_assert_msg(hashes[k] != hashes[i], "%s and %s", ways[k], ways[i]);
        }
        config_free(config);
    }
}
END_TEST

START_TEST(every_key_and_type_is_documented)
{
    const struct config_field *const tables[] = {
        config_keys_root,    config_keys_app,        config_keys_app_only,
        config_keys_redis,   config_keys_sentinel,   config_keys_account,
        config_keys_scaler,  config_keys_controller, config_keys_input,
        config_keys_sink,    config_policy_app,      config_policy_controller,
        config_policy_input, config_keys_plan_input, config_plan_keys(0),
        config_plan_keys(1), config_keys_conversion};
    struct dyn_error error = {""};
    struct dyn_buf text;
    char wanted[128];

    dyn_buf_init(&text, (size_t)1024 * 1024);
    ck_assert_int_eq(
        config_file_read(fixture("../../../common/CONFIGURATION.md"), true, &text, &error), DYN_OK);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        fields_documented(dyn_buf_text(&text), tables[i]);
    }
    for (int kind = 0; kind < CONFIG_KINDS; kind++) {
        for (const struct config_type *t = config_types((enum config_kind)kind); t->name != NULL;
             t++) {
            (void)snprintf(wanted, sizeof(wanted), "`%s`", t->name);
            ck_assert_msg(strstr(dyn_buf_text(&text), wanted) != NULL, "%s", wanted);
            fields_documented(dyn_buf_text(&text), t->fields);
        }
    }
    dyn_buf_fini(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, the_original_file_loads_unchanged);
    tcase_add_test(tc, all_sections_of_the_original_load);
    tcase_add_test(tc, the_longest_window_reaches_over_a_max_gap);
    tcase_add_test(tc, a_fleet_loads_with_its_precedence);
    tcase_add_test(tc, the_hash_tells_what_decides_and_nothing_else);
    tcase_add_test(tc, each_service_needs_its_own_secrets_and_no_others);
    tcase_add_test(tc, a_secret_is_resolved_when_it_is_asked_for);
    tcase_add_test(tc, a_secret_in_a_file_loses_its_last_newline_and_must_not_be_empty);
    tcase_add_test(tc, the_printed_configuration_holds_no_secret);
    tcase_add_test(tc, a_variable_is_never_read_as_structure);
    tcase_add_test(tc, an_include_stays_in_its_directory);
    tcase_add_test(tc, a_file_that_is_missing_or_a_directory_is_refused);
    tcase_add_test(tc, redis_bytes_follow_the_formula);
    tcase_add_test(tc, redis_and_its_sentinels_are_read_with_their_secrets_late);
    tcase_add_test(tc, what_reaches_redis_is_resolved_whole_and_compared);
    tcase_add_test(tc, ten_thousand_apps_load);
    tcase_add_test(tc, papertrails_volume_is_a_daily_counter_and_nothing_else_is);
    tcase_add_test(tc, values_become_resources_by_a_ratio_a_target_or_a_table);
    tcase_add_test(tc, the_hash_tells_how_values_become_resources);
    tcase_add_test(tc, every_key_and_type_is_documented);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
