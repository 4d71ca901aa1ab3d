#include "actuator/core.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* More apps of one account than requests may be under way at once. */

#define APPS 100

static char names[APPS][16];
static struct config_controller controllers[APPS];
static struct config_app apps[APPS];
static struct config_account account = {.name = "main"};
static const struct config config = {.accounts = &account,
                                     .accounts_count = 1,
                                     .apps = apps,
                                     .apps_count = APPS,
                                     .redis = {.partitions = 1}};

static struct act_core *core;
static struct act_now now;
static struct act_request waiting[ACT_FLIGHTS_MAX];
static size_t waiting_count;
static size_t readings;
static size_t most_under_way;

static void on_send(void *arg, const struct act_request *request)
{
    (void)arg;
    ck_assert_uint_lt(waiting_count, ACT_FLIGHTS_MAX);
    waiting[waiting_count++] = *request;
    most_under_way = waiting_count > most_under_way ? waiting_count : most_under_way;
}

static void on_begin(void *arg, uint64_t token, size_t at, const char *app,
                     const struct intent *intent)
{
    (void)arg;
    (void)token;
    (void)at;
    (void)app;
    (void)intent;
    ck_abort_msg("there is no target, so nothing may be written");
}

static void on_end(void *arg, size_t at, const char *app, const struct intent *intent,
                   const struct action *action)
{
    (void)arg;
    (void)at;
    (void)app;
    (void)intent;
    ck_assert_ptr_null(action);
}

static void on_event(void *arg, const struct event *event)
{
    (void)arg;
    (void)event;
}

static void on_actual(void *arg, size_t at, const struct actual *actual, bool changed)
{
    (void)arg;
    (void)at;
    (void)actual;
    (void)changed;
}

static void setup(void)
{
    for (size_t i = 0; i < APPS; i++) {
        snprintf(names[i], sizeof(names[i]), "app-%zu", i);
        controllers[i] = (struct config_controller){.name = "web",
                                                    .id = i + 1,
                                                    .process_type = "web",
                                                    .min_resource = 1,
                                                    .max_resource = 50,
                                                    .mode = CONFIG_MODE_LIVE};
        apps[i] = (struct config_app){.name = names[i],
                                      .interval_ms = 5000,
                                      .controllers = &controllers[i],
                                      .controllers_count = 1};
    }
    struct act_effects effects = {
        .send = on_send, .begin = on_begin, .end = on_end, .event = on_event, .actual = on_actual};
    now = (struct act_now){1000000, 1700000000000};
    waiting_count = readings = most_under_way = 0;
    core = act_core_new(&config, &effects, 1, now);
    act_lead(core, 0, 7, NULL, now);
    act_journal_loaded(core, 0, now);
}

static void teardown(void)
{
    act_core_free(core);
}

static void answer_oldest(void)
{
    struct act_request request = waiting[0];
    struct act_formation web = {DYN_STR("web"), 4};
    struct act_answer answer = {.status = 200,
                                .remaining = 4000,
                                .retry_after_ms = -1,
                                .limit = -1,
                                .identity = DYN_STR("one"),
                                .formations = &web,
                                .formations_count = 1};
    readings += request.kind == ACT_READ_FORMATION;
    waiting_count--;
    memmove(waiting, waiting + 1, waiting_count * sizeof(waiting[0]));
    act_answer(core, request.token, &answer, now);
}

START_TEST(a_request_that_ends_makes_room_for_those_that_wait)
{
    while (readings == 0) {
        now.boot_ms += ACT_TICK_MS;
        act_tick(core, now);
        while (waiting_count > 0 && waiting[0].kind != ACT_READ_FORMATION) {
            answer_oldest();
        }
        if (waiting_count > 0) {
            answer_oldest();
        }
    }
    /* No tick any more from here on. */
    while (waiting_count > 0) {
        now.boot_ms += 5;
        answer_oldest();
    }
    ck_assert_uint_eq(readings, APPS);
    ck_assert_uint_eq(most_under_way, ACT_FLIGHTS_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("actuator backlog");
    TCase *tests = tcase_create("actuator backlog");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_request_that_ends_makes_room_for_those_that_wait);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
