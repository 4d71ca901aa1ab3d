#include "tests/unit/support_fold.h"

struct config_input shop_inputs[2];
struct config_input blog_inputs[1];
struct config_controller shop_controller;
struct config_controller blog_controller;
static struct config_app apps[2];
struct config config;

struct fold *fold;
uint64_t epoch;
int64_t ticked_at;
uint64_t batch_seq;

struct fold_got shop_got, blog_got;
size_t keyframes;
size_t reports;
struct report shop_report;
char events[4096];
uint64_t told_epoch;

static struct config_input input_of(const char *name, uint64_t series)
{
    return (struct config_input){.name = name,
                                 .interval_ms = 60000,
                                 .hysteresis_period_ms = 300000,
                                 .max_gap_ms = 180000,
                                 .doubt_zero_ms = 300000,
                                 .per_resource = 100,
                                 .series = series};
}

static void make_config(void)
{
    shop_inputs[0] = input_of("users", SERIES_USERS);
    shop_inputs[1] = input_of("rpm", SERIES_RPM);
    blog_inputs[0] = input_of("users", SERIES_BLOG);
    shop_controller = (struct config_controller){.name = "dynos",
                                                 .id = SHOP,
                                                 .min_resource = 2,
                                                 .max_resource = 20,
                                                 .inputs = shop_inputs,
                                                 .inputs_count = 2};
    blog_controller = (struct config_controller){.name = "dynos",
                                                 .id = BLOG,
                                                 .min_resource = 2,
                                                 .max_resource = 20,
                                                 .inputs = blog_inputs,
                                                 .inputs_count = 1};
    apps[0] = (struct config_app){.name = "shop",
                                  .interval_ms = 5000,
                                  .controllers = &shop_controller,
                                  .controllers_count = 1};
    apps[1] = (struct config_app){.name = "blog",
                                  .interval_ms = 5000,
                                  .controllers = &blog_controller,
                                  .controllers_count = 1};
    config = (struct config){.apps = apps, .apps_count = 2, .hash = 77};
}

static void take_target(void *arg, const struct target *target, bool changed)
{
    (void)arg;
    keyframes += !changed;
    if (target->controller == SHOP) {
        shop_got.count += changed;
        shop_got.last = *target;
        shop_got.changed = changed;
    } else {
        blog_got.count += changed;
        blog_got.last = *target;
        blog_got.changed = changed;
    }
}

static void take_report(void *arg, const struct report *report)
{
    (void)arg;
    reports++;
    if (report->controller == SHOP) {
        shop_report = *report;
    }
}

static void take_event(void *arg, const struct event *event)
{
    (void)arg;
    size_t len = strlen(events);
    told_epoch = fold_epoch(fold);
    snprintf(events + len, sizeof(events) - len, "%.*s %.*s %s\n", DYN_STR_ARG(event->code),
             DYN_STR_ARG(event->input),
             event->state == EVENT_RAISED ? "raised"
             : event->state == EVENT_OVER ? "over"
                                          : "once");
}

const struct fold_out out = {take_target, take_report, take_event, NULL};

void fold_setup(void)
{
    make_config();
    fold = fold_new(&config, 0);
    ck_assert_ptr_nonnull(fold);
    epoch = 1;
    ticked_at = -1;
    memset(&shop_got, 0, sizeof(shop_got));
    memset(&blog_got, 0, sizeof(blog_got));
    keyframes = 0;
    reports = 0;
    events[0] = 0;
}

void fold_teardown(void)
{
    fold_free(fold);
}

void fold_again(void)
{
    fold_free(fold);
    fold = fold_new(&config, 0);
    ck_assert_ptr_nonnull(fold);
}

void send_at(int64_t now_ms, uint64_t series, int64_t age_ms, enum sample_status status,
             double value)
{
    struct sample sample = {.series = series,
                            .age_ms = age_ms,
                            .status = status,
                            .value = value,
                            .reason = status == SAMPLE_GOOD ? DYN_STR("") : DYN_STR("HTTP 500")};
    struct batch batch = {.member = DYN_STR("c1"), .seq = ++batch_seq, .count = 1};
    fold_batch(fold, (struct entry_id){(uint64_t)now_ms, 0}, &batch, &sample, &out);
}

void say(int64_t now_s, uint64_t series, double value)
{
    send_at(now_s * 1000, series, 0, SAMPLE_GOOD, value);
}

void say_failure(int64_t now_s, uint64_t series)
{
    send_at(now_s * 1000, series, 0, SAMPLE_ERROR, 0);
}

void tick_with(int64_t now_ms, struct tick tick)
{
    tick.epoch = tick.epoch != 0 ? tick.epoch : epoch;
    tick.config = tick.config != 0 ? tick.config : 77;
    fold_tick(fold, (struct entry_id){(uint64_t)now_ms, 1}, &tick, &out);
    ticked_at = now_ms;
}

void tick(int64_t now_s)
{
    int64_t elapsed = ticked_at < 0 ? 0 : now_s * 1000 - ticked_at;
    tick_with(now_s * 1000, (struct tick){.elapsed_ms = elapsed});
}

void take_over(void)
{
    epoch++;
    ticked_at = -1;
}

void run(int64_t from_s, int64_t to_s, double value)
{
    for (int64_t t = from_s; t < to_s; t++) {
        if (t % 60 == 0) {
            say(t, SERIES_USERS, value);
            say(t, SERIES_RPM, value);
            say(t, SERIES_BLOG, value);
        }
        tick(t);
    }
}

void blog_scales_plans(enum plan_measure measure)
{
    const struct plan_table *plans = plan_table_find("rediscloud");
    blog_controller.plans = plans;
    blog_controller.min_resource = plan_rung(plans, "rediscloud:100");
    blog_controller.max_resource = plans->count;
    blog_inputs[0].per_resource = 0;
    blog_inputs[0].plans = plans;
    blog_inputs[0].measure = measure;
    blog_inputs[0].threshold_percent = 90;
}
