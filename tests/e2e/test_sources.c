/* Sources that fail in every way they can: nothing falls, people are told, and it ends well. */
#include "support_judge.h"
#include "support_source.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define HYSTERESIS_MS 4000
#define DOUBT_MS 6000
#define FAILING_MS 16000 /* four windows: what 20 minutes are to a window of 300 s */
#define OLD_FIRST_S 420  /* the log of `old` begins this long ago */
#define OLD_LAST_S 298   /* and ends this long ago: an outage within seconds */

static const struct {
    const char *app;
    enum source_way way;
    bool exec;
} cases[] = {
    {"http-error", SOURCE_ERROR, false},
    {"http-garbage", SOURCE_GARBAGE, false},
    {"http-nothing", SOURCE_NOTHING, false},
    {"http-absent", SOURCE_ABSENT, false},
    {"http-hang", SOURCE_HANG, false},
    {"exec-error", SOURCE_ERROR, true},
    {"exec-garbage", SOURCE_GARBAGE, true},
    {"exec-nothing", SOURCE_NOTHING, true},
    {"exec-absent", SOURCE_ABSENT, true},
    {"exec-hang", SOURCE_HANG, true},
    {"zero", SOURCE_GOOD, false},
};
#define CASES (sizeof cases / sizeof cases[0])
#define ZERO (CASES - 1)
#define OLD CASES /* the source of `old` */

static struct fleet *fleet;
static struct support_file *scripts[CASES];

static void say(size_t i, enum source_way way, double value)
{
    if (cases[i].exec) {
        source_script(scripts[i], way, value);
    } else {
        source_say((unsigned)i, way, value);
    }
}

static void world_write(struct dyn_buf *out)
{
    (void)dyn_buf_addf(out,
                       "%s 'apps': [{'name': 'old', 'owner': 'a@example.com', 'formation': {'web': "
                       "12}}",
                       FLEET_ACCOUNTS);
    for (size_t i = 0; i < CASES; i++) {
        (void)dyn_buf_addf(out,
                           ", {'name': '%s', 'owner': '%s@example.com', 'formation': {'web': 2}}",
                           cases[i].app, cases[i].exec ? "b" : "a");
    }
    (void)dyn_buf_addf(out, "]}");
}

static void app_write(struct dyn_buf *out, const char *name, const char *account,
                      const char *source, const char *more)
{
    (void)dyn_buf_addf(out,
                       "  %s:\n"
                       "    account: %s\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        input_plugins:\n"
                       "          - {name: load, %s, timeout: 0.8, per_resource: 100%s}\n",
                       name, account, source, more);
}

static void apps_write(struct dyn_buf *out, int port)
{
    char source[256];
    (void)dyn_buf_addf(out,
                       "accounts:\n"
                       "  a: {heroku_api_key: \"${FLEET_KEY_A}\"}\n"
                       "  b: {heroku_api_key: \"${FLEET_KEY_B}\"}\n"
                       "defaults: {interval: 1, hysteresis_period: %d, doubt_zero: %d, max_gap: 3, "
                       "scale_down_cooldown: 1, max_step_down: 100, min_resource: 1}\n"
                       "apps:\n",
                       HYSTERESIS_MS / 1000, DOUBT_MS / 1000);
    for (size_t i = 0; i < CASES; i++) {
        if (cases[i].exec) {
            (void)snprintf(source, sizeof source, "type: exec, command: [/bin/sh, %s]",
                           support_file_path(scripts[i]));
        } else {
            (void)snprintf(source, sizeof source,
                           "type: http_json, url: \"http://127.0.0.1:%d/%zu\", pointer: /value",
                           port, i);
        }
        app_write(out, cases[i].app, cases[i].exec ? "b" : "a", source, "");
    }
    (void)snprintf(source, sizeof source,
                   "type: http_json, url: \"http://127.0.0.1:%d/%zu\", pointer: /value", port, OLD);
    app_write(out, "old", "a", source, ", hysteresis_period: 200");
}

/* Values of long ago, as a collector of then would have written them. */
static void old_values_write(void)
{
    const struct config_app *app = judge_app(fleet, "old");
    for (int ago_s = OLD_FIRST_S; ago_s >= OLD_LAST_S; ago_s -= 2) {
        struct dyn_buf out;
        char key[64];
        char id[64];
        struct sample sample = {
            .series = app->controllers[0].inputs[0].series, .status = SAMPLE_GOOD, .value = 800};
        struct batch batch = {.member = DYN_STR("before"),
                              .seq = (uint64_t)(OLD_FIRST_S - ago_s) / 2 + 1,
                              .count = 1};
        dyn_buf_init(&out, DYN_ENTRY_MAX);
        message_write_batch(&out, &batch, &sample);
        (void)snprintf(key, sizeof key, "dyn:{%u}:values", (unsigned)app->partition);
        (void)snprintf(id, sizeof id, "%lld-0", (long long)fleet_now_ms() - ago_s * 1000LL);
        const char *argv[] = {"XADD", key, id, "m", dyn_buf_text(&out)};
        size_t lengths[] = {4, strlen(key), strlen(id), 1, out.len};
        ck_assert_ptr_nonnull(
            strchr(support_redis_call_bytes(fleet_redis(fleet), 5, argv, lengths), '-'));
        dyn_buf_fini(&out);
    }
}

static void setup(void)
{
    struct dyn_buf text;
    int port = source_server_start();
    for (size_t i = 0; i < CASES; i++) {
        scripts[i] = support_file_new("source.sh");
        say(i, SOURCE_GOOD, 800);
    }
    source_say((unsigned)OLD, SOURCE_ERROR, 0);
    dyn_buf_init(&text, 32768);
    world_write(&text);
    fleet = fleet_new(&(struct fleet_options){.world = dyn_buf_text(&text), .partitions = 2});
    dyn_buf_clear(&text);
    apps_write(&text, port);
    fleet_configure(fleet, "%s", dyn_buf_text(&text));
    dyn_buf_fini(&text);
    old_values_write();
}

static void teardown(void)
{
    fleet_free(fleet);
    for (size_t i = 0; i < CASES; i++) {
        support_file_free(scripts[i]);
    }
}

/* Whether the reporter's console has a line about this app's input with all three texts. */
static bool told(const char *app, const char *code, const char *state, const char *words)
{
    char name[64];
    const char *output = program_output(fleet_program(fleet, FLEET_REPORTER));
    (void)snprintf(name, sizeof name, " app=%s ", app);
    for (const char *line = output; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (memmem(line, len, name, strlen(name)) != NULL &&
            memmem(line, len, code, strlen(code)) != NULL &&
            memmem(line, len, state, strlen(state)) != NULL &&
            memmem(line, len, words, strlen(words)) != NULL) {
            return true;
        }
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    return false;
}

static void await_told(const char *app, const char *code, const char *state, const char *words)
{
    for (int i = 0; !told(app, code, state, words); i++) {
        if (i > 100) {
            fleet_fail(fleet, "the reporter did not tell %s %s %s of %s", code, state, words, app);
        }
        fleet_pass(fleet, 100);
    }
}

static void failures_are_told(void)
{
    static const char *const words[] = {
        [SOURCE_ERROR] = "status",
        [SOURCE_GARBAGE] = "",
        [SOURCE_NOTHING] = "",
        [SOURCE_ABSENT] = "",
        [SOURCE_HANG] = "the last poll said",
    };
    for (size_t i = 0; i < ZERO; i++) {
        await_told(cases[i].app, "event=input_stale", "state=raised", "nothing is scaled down");
        await_told(cases[i].app, "event=input_stale", "state=raised", words[cases[i].way]);
    }
}

/* The first change that lowers; 0: none. */
static int64_t first_fall_ms(const char *app)
{
    struct fleet_changes changes = fleet_changes(fleet, app, 2);
    int64_t at_ms = 0;
    int before = changes.first;
    for (size_t i = 0; i < changes.count && at_ms == 0; i++) {
        at_ms = changes.changes[i].quantity < before ? changes.changes[i].at_ms : 0;
        before = changes.changes[i].quantity;
    }
    free(changes.changes);
    return at_ms;
}

START_TEST(no_way_to_fail_lowers_anything_and_zeros_are_doubted)
{
    fleet_start_all(fleet);
    for (size_t i = 0; i < CASES; i++) {
        fleet_await_quantity(fleet, cases[i].app, 8, 40);
    }
    fleet_pass(fleet, HYSTERESIS_MS + 1000);
    /* A low value first: the high one leaves the window while nothing but failures come. */
    int64_t failing_ms = fleet_now_ms();
    say(ZERO, SOURCE_GOOD, 0);
    for (size_t i = 0; i < ZERO; i++) {
        say(i, SOURCE_GOOD, 300);
    }
    fleet_pass(fleet, 1800);
    for (size_t i = 0; i < ZERO; i++) {
        say(i, cases[i].way, 0);
    }
    fleet_pass(fleet, FAILING_MS);
    for (size_t i = 0; i < ZERO; i++) {
        ck_assert_msg(first_fall_ms(cases[i].app) == 0, "%s fell", cases[i].app);
        ck_assert_int_eq(fleet_quantity(fleet, cases[i].app), 8);
    }
    failures_are_told();
    fleet_await_quantity(fleet, "zero", 1, 10);
    ck_assert_int_ge(first_fall_ms("zero"), failing_ms + HYSTERESIS_MS + DOUBT_MS);
    await_told("old", "event=input_outage", "state=raised", "nothing is scaled down");
    ck_assert(!told("old", "event=input_outage", "state=over", ""));

    int64_t good_ms = fleet_now_ms();
    for (size_t i = 0; i < ZERO; i++) {
        say(i, SOURCE_GOOD, 300);
    }
    source_say((unsigned)OLD, SOURCE_GOOD, 300);
    for (size_t i = 0; i < ZERO; i++) {
        await_told(cases[i].app, "event=input_stale", "state=over", "values are back");
        fleet_await_quantity(fleet, cases[i].app, 3, 20);
        ck_assert_int_ge(first_fall_ms(cases[i].app), good_ms + HYSTERESIS_MS);
    }
    await_told("old", "event=input_outage", "state=over", "values are back");
    ck_assert_int_eq(fleet_quantity(fleet, "old"), 12);
    printf("sources: %zu targets equal when folded again, ", judge_replay(fleet));
    printf("%zu of them may lower\n", judge_targets(fleet));
    for (size_t i = 0; i < CASES; i++) {
        (void)judge_changes(fleet, cases[i].app, 2);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sources");
    TCase *tests = tcase_create("sources");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, no_way_to_fail_lowers_anything_and_zeros_are_doubted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
