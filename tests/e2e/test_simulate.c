/*
 * `dynosaur simulate`: a golden run, and I1 (demand) recomputed here from nothing but the values of
 * the CSV that it writes, over made and over recorded traces.
 */
#include "support_cli.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUTS_MAX 8
#define ROWS_MAX 200000
#define CSV_HEADER "time,app,controller,input,value,max,estimate,target,raise_only,runs\n"

/* ---- configurations ---- */

struct rule {
    int interval_s, period_s;
    int per, min, max;
};

static void write_config(const char *name, const char *app, const struct rule *rule)
{
    cli_write(name,
              "scaler: {heroku_app_name: %s, heroku_api_key: k}\n"
              "controller_plugins:\n"
              "  - name: web\n"
              "    type: Dynosaur::Controllers::DynosControllerPlugin\n"
              "    min_resource: %d\n"
              "    max_resource: %d\n"
              "    input_plugins:\n"
              "      - name: load\n"
              "        type: Dynosaur::Inputs::SinePlugin\n"
              "        per_resource: %d\n"
              "        interval: %d\n"
              "        hysteresis_period: %d\n",
              app, rule->min, rule->max, rule->per, rule->interval_s, rule->period_s);
}

/* ---- I1, recomputed ---- */

struct row {
    int64_t at_ms;
    double value;
};

struct series {
    char name[256];
    struct row *rows;
    size_t count;
};

static struct series series[INPUTS_MAX];
static size_t series_count;

static struct series *series_of(const char *name)
{
    for (size_t i = 0; i < series_count; i++) {
        if (strcmp(series[i].name, name) == 0) {
            return &series[i];
        }
    }
    ck_assert_uint_lt(series_count, INPUTS_MAX);
    struct series *born = &series[series_count++];
    snprintf(born->name, sizeof(born->name), "%s", name);
    born->rows = calloc(ROWS_MAX, sizeof(*born->rows));
    ck_assert_ptr_nonnull(born->rows);
    born->count = 0;
    return born;
}

static void series_forget(void)
{
    for (size_t i = 0; i < series_count; i++) {
        free(series[i].rows);
    }
    series_count = 0;
}

/* The highest value in force at any time of the window that ends with the tick at `tick_ms`: each
 * holds until the next one comes. */
static double window_max(const struct series *of, int64_t tick_ms, int64_t period_ms)
{
    double max = of->rows[of->count - 1].value;
    for (size_t i = of->count - 1; i > 0 && of->rows[i].at_ms > tick_ms - period_ms; i--) {
        max = of->rows[i - 1].value > max ? of->rows[i - 1].value : max;
    }
    return max;
}

static int32_t wanted(double max, const struct rule *rule)
{
    double dynos = ceil(max / rule->per);
    dynos = dynos > rule->max ? rule->max : dynos;
    return (int32_t)(dynos < rule->min ? rule->min : dynos);
}

struct line {
    char name[256]; /* app,controller,input */
    double at, value, max;
    int estimate, target, raise_only, runs;
};

/* One line into ten fields; false when it has another number of them, or an empty one. */
static bool read_line(const char *text, struct line *out)
{
    char copy[512];
    char *fields[10] = {NULL};
    size_t count = 0;
    snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(text, "\n"), text);
    for (char *rest = copy; rest != NULL && count < 10; count++) {
        fields[count] = strsep(&rest, ",");
    }
    if (count < 10 || *fields[4] == 0 || *fields[5] == 0) {
        return false;
    }
    snprintf(out->name, sizeof(out->name), "%s/%s/%s", fields[1], fields[2], fields[3]);
    out->at = strtod(fields[0], NULL);
    out->value = strtod(fields[4], NULL);
    out->max = strtod(fields[5], NULL);
    out->estimate = (int)strtol(fields[6], NULL, 10);
    out->target = (int)strtol(fields[7], NULL, 10);
    out->raise_only = (int)strtol(fields[8], NULL, 10);
    out->runs = (int)strtol(fields[9], NULL, 10);
    return true;
}

/* How many rows were judged, and how many of them scaled down. */
struct judged {
    size_t rows, downs;
};

static struct judged judge(const char *csv, const struct rule *rule)
{
    struct judged judged = {0};
    const char *text = cli_read(csv);
    ck_assert_int_eq(strncmp(text, CSV_HEADER, strlen(CSV_HEADER)), 0);
    int64_t first_ms = -1;
    int before[INPUTS_MAX] = {0};
    for (text += strlen(CSV_HEADER); *text != 0; text = strchr(text, '\n') + 1) {
        struct line line;
        ck_assert(read_line(text, &line));
        int64_t at_ms = llround(line.at * 1000);
        first_ms = first_ms < 0 ? at_ms : first_ms;
        int64_t tick_ms = first_ms + (at_ms - first_ms + 999) / 1000 * 1000;
        struct series *of = series_of(line.name);
        ck_assert_uint_lt(of->count, ROWS_MAX);
        of->rows[of->count++] = (struct row){at_ms, line.value};
        double max = window_max(of, tick_ms, rule->period_s * 1000LL);
        int32_t least = wanted(max, rule);
        ck_assert_msg(line.max == max, "%s at %.3f: max %.17g, not %.17g", line.name, line.at,
                      line.max, max);
        ck_assert_msg(line.target >= least && line.runs >= least,
                      "%s at %.3f: target %d and %d run, but %d are asked for", line.name, line.at,
                      line.target, line.runs, least);
        ck_assert_int_le(line.runs, rule->max);
        judged.downs += line.runs < before[of - series];
        before[of - series] = line.runs;
        judged.rows++;
    }
    series_forget();
    return judged;
}

/* ---- a small world of our own ---- */

/* A wave of 20 minutes, a sample each 60 s, from a round second on. */
static void write_wave(const char *name, int samples, int step_s)
{
    struct {
        char *text;
        size_t len;
    } all = {NULL, 0};
    FILE *memory = open_memstream(&all.text, &all.len);
    ck_assert_ptr_nonnull(memory);
    fputs("timestamp,value\n", memory);
    for (int i = 0; i < samples; i++) {
        double phase = 2 * M_PI * i * step_s / 1200;
        fprintf(memory, "%d,%.1f\n", 1000000020 + i * step_s, 500 * (1 - cos(phase)));
    }
    ck_assert_int_eq(fclose(memory), 0);
    cli_write(name, "%s", all.text);
    free(all.text);
}

static const struct rule small = {60, 300, 100, 2, 20};

START_TEST(a_wave_is_followed_up_at_once_and_down_after_the_window)
{
    write_config("shop.yaml", "shop", &small);
    write_wave("wave.csv", 24, 60);
    ck_assert_int_eq(cli_run("simulate shop.yaml --trace load=wave.csv --csv out.csv"), 0);
    /* One zero, after demand, is doubted: raise_only. Falls come at most 25% a minute. */
    static const char expected[] = CSV_HEADER "1000000020,shop,web,load,0,0,0,2,1,2\n"
                                              "1000000080,shop,web,load,24.5,24.5,1,2,1,2\n"
                                              "1000000140,shop,web,load,95.5,95.5,1,2,1,2\n"
                                              "1000000200,shop,web,load,206.1,206.1,3,3,1,3\n"
                                              "1000000260,shop,web,load,345.5,345.5,4,4,1,4\n"
                                              "1000000320,shop,web,load,500,500,5,5,0,5\n"
                                              "1000000380,shop,web,load,654.5,654.5,7,7,0,7\n"
                                              "1000000440,shop,web,load,793.9,793.9,8,8,0,8\n"
                                              "1000000500,shop,web,load,904.5,904.5,10,10,0,10\n"
                                              "1000000560,shop,web,load,975.5,975.5,10,10,0,10\n"
                                              "1000000620,shop,web,load,1000,1000,10,10,0,10\n"
                                              "1000000680,shop,web,load,975.5,1000,10,10,0,10\n"
                                              "1000000740,shop,web,load,904.5,1000,10,10,0,10\n"
                                              "1000000800,shop,web,load,793.9,1000,10,10,0,10\n"
                                              "1000000860,shop,web,load,654.5,1000,10,10,0,10\n"
                                              "1000000920,shop,web,load,500,1000,10,10,0,10\n"
                                              "1000000980,shop,web,load,345.5,975.5,10,10,0,10\n"
                                              "1000001040,shop,web,load,206.1,904.5,10,10,0,10\n"
                                              "1000001100,shop,web,load,95.5,793.9,8,8,0,8\n"
                                              "1000001160,shop,web,load,24.5,654.5,7,7,0,7\n"
                                              "1000001220,shop,web,load,0,500,5,5,1,7\n"
                                              "1000001280,shop,web,load,24.5,345.5,4,4,0,6\n"
                                              "1000001340,shop,web,load,95.5,206.1,3,3,0,5\n"
                                              "1000001400,shop,web,load,206.1,206.1,3,3,0,4\n";
    const char *csv = cli_read("out.csv");
    ck_assert_msg(strcmp(csv, expected) == 0, "%s", csv);
}
END_TEST

START_TEST(no_row_of_a_long_wave_lies_below_demand)
{
    write_config("shop.yaml", "shop", &small);
    write_wave("wave.csv", 600, 60);
    ck_assert_int_eq(cli_run("simulate shop.yaml --trace shop/web/load=wave.csv --csv o.csv"), 0);
    struct judged judged = judge("o.csv", &small);
    ck_assert_uint_eq(judged.rows, 600);
    ck_assert_uint_gt(judged.downs, 30);
    ck_assert_ptr_nonnull(strstr(cli_output(), "below demand   0.0 min"));
}
END_TEST

START_TEST(rows_between_two_seconds_and_a_second_input_are_told_after_their_tick)
{
    cli_write("two.yaml",
              "scaler: {heroku_app_name: shop, heroku_api_key: k}\n"
              "controller_plugins:\n"
              "  - name: web\n    type: dynos\n    min_resource: 1\n    max_resource: 9\n"
              "    input_plugins:\n"
              "      - {name: a, type: sine, per_resource: 10, interval: 10}\n"
              "      - {name: b, type: sine, per_resource: 100, interval: 10}\n");
    cli_write("a.csv", "t,v\n1000,15\n1010.25,21\n1010.5,19\n1020,19\n");
    cli_write("b.csv", "t,v\n1010,750.5\n1020.001,0.1\n");
    ck_assert_int_eq(
        cli_run("simulate two.yaml --trace a=a.csv --trace b=b.csv --csv o.csv --start 3"), 0);
    ck_assert_str_eq(cli_read("o.csv"), CSV_HEADER "1000,shop,web,a,15,15,2,2,1,3\n"
                                                   "1010,shop,web,b,750.5,750.5,8,8,1,8\n"
                                                   "1010.250,shop,web,a,21,21,3,8,1,8\n"
                                                   "1010.500,shop,web,a,19,21,3,8,1,8\n"
                                                   "1020,shop,web,a,19,21,3,8,1,8\n"
                                                   "1020.001,shop,web,b,0.1,750.5,8,8,1,8\n");
}
END_TEST

START_TEST(what_runs_at_the_start_only_falls_when_a_whole_window_says_so)
{
    write_config("shop.yaml", "shop", &small);
    write_wave("wave.csv", 24, 60);
    ck_assert_int_eq(cli_run("simulate shop.yaml --trace load=wave.csv --csv o.csv --start 12"), 0);
    const char *csv = cli_read("o.csv");
    ck_assert_ptr_nonnull(strstr(csv, "\n1000000020,shop,web,load,0,0,0,2,1,12\n"));
    struct judged judged = judge("o.csv", &small);
    ck_assert_uint_gt(judged.downs, 0);
}
END_TEST

START_TEST(a_trace_with_steps_beyond_max_gap_never_falls_and_says_what_to_set)
{
    write_config("shop.yaml", "shop", &small);
    write_wave("coarse.csv", 100, 300);
    ck_assert_int_eq(cli_run("simulate shop.yaml --trace load=coarse.csv --csv o.csv"), 0);
    ck_assert_ptr_nonnull(strstr(cli_output(), "nothing will ever fall; set interval: 300"));
    ck_assert_uint_eq(judge("o.csv", &small).downs, 0);
}
END_TEST

START_TEST(a_mode_that_is_not_live_is_simulated_as_live_and_told)
{
    cli_write("dry.yaml", "scaler: {heroku_app_name: shop, heroku_api_key: k, dry_run: true}\n"
                          "controller_plugins:\n"
                          "  - name: web\n    type: dynos\n    input_plugins:\n"
                          "      - {name: load, type: sine, per_resource: 100}\n");
    write_wave("wave.csv", 24, 60);
    ck_assert_int_eq(cli_run("simulate dry.yaml --trace load=wave.csv"), 0);
    ck_assert_ptr_nonnull(strstr(cli_output(), "the file says shadow; simulated as live"));
    ck_assert_ptr_nonnull(strstr(cli_output(), "10 running, target 10"));
}
END_TEST

START_TEST(what_is_wrong_is_refused_with_words)
{
    write_config("shop.yaml", "shop", &small);
    write_wave("wave.csv", 24, 60);
    cli_write("empty.csv", "t,v\n");
    static const struct {
        const char *arguments, *words;
    } cases[] = {
        {"shop.yaml", "shop/web/load has no trace"},
        {"--trace load=wave.csv", "configuration file is missing"},
        {"shop.yaml --trace lode=wave.csv", "no inputs are called lode; the file has "
                                            "shop/web/load"},
        {"shop.yaml --trace load", "must be INPUT=FILE.csv"},
        {"shop.yaml --trace load=wave.csv --trace shop/web/load=wave.csv", "has two traces"},
        {"shop.yaml --trace load=gone.csv", "gone.csv"},
        {"shop.yaml --trace load=empty.csv", "empty.csv"},
        {"shop.yaml --trace load=wave.csv --start 0", "--start must be a whole number"},
        {"shop.yaml --trace load=wave.csv --start", "--start needs a value"},
        {"shop.yaml --trase load=wave.csv", "did you mean --trace?"},
        {"gone.yaml --trace load=wave.csv", "gone.yaml"},
        {"shop.yaml wave.csv", "one FILE at a time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(cli_run("simulate %s", cases[i].arguments), 2);
        ck_assert_msg(strstr(cli_output(), cases[i].words) != NULL, "%s gave: %s",
                      cases[i].arguments, cli_output());
    }
}
END_TEST

START_TEST(a_name_that_two_inputs_have_needs_its_path)
{
    cli_write("two.yaml", "version: 2\n"
                          "accounts: {default: {heroku_api_key: k}}\n"
                          "apps:\n"
                          "  one: {controller_plugins: [{name: web, type: dynos, input_plugins: "
                          "[{name: load, type: sine}]}]}\n"
                          "  two: {controller_plugins: [{name: web, type: dynos, input_plugins: "
                          "[{name: load, type: sine}]}]}\n");
    write_wave("wave.csv", 24, 60);
    ck_assert_int_eq(cli_run("simulate two.yaml --trace load=wave.csv"), 2);
    ck_assert_ptr_nonnull(strstr(
        cli_output(), "several inputs are called load; the file has one/web/load two/web/load"));
    ck_assert_int_eq(cli_run("simulate two.yaml --trace one/web/load=wave.csv "
                             "--trace two/web/load=wave.csv --csv o.csv"),
                     0);
    ck_assert_ptr_nonnull(strstr(cli_output(), "one/web\n"));
    ck_assert_ptr_nonnull(strstr(cli_output(), "two/web\n"));
}
END_TEST

START_TEST(rows_out_of_order_are_skipped_and_counted)
{
    write_config("shop.yaml", "shop", &small);
    cli_write("mixed.csv", "t,v\n1000,1\n1060,2\n1030,3\n1120,x\n1180,4\n");
    ck_assert_int_eq(cli_run("simulate shop.yaml --trace load=mixed.csv"), 0);
    ck_assert_ptr_nonnull(
        strstr(cli_output(), "skipped 1 rows that cannot be read and 1 out of order"));
    ck_assert_ptr_nonnull(strstr(cli_output(), "samples        3 of load"));
}
END_TEST

START_TEST(a_plot_is_a_picture_and_its_absence_is_told)
{
    write_config("shop.yaml", "shop", &small);
    write_wave("wave.csv", 24, 60);
    ck_assert_int_eq(cli_run("simulate shop.yaml --trace load=wave.csv --plot o.gif"), 2);
    ck_assert_ptr_nonnull(strstr(cli_output(), "must end in .svg or .png"));
    int status = cli_run("simulate shop.yaml --trace load=wave.csv --plot o.svg");
    if (strstr(cli_output(), "gnuplot, which is not installed") != NULL) {
        ck_assert_int_eq(status, 1);
        return;
    }
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(strstr(cli_read("o.svg"), "window maximum"));
}
END_TEST

/* A latency of 100 at what the load needs, recorded while 4 dynos ran, in three plateaus: it is
 * twice too high, as it should be, and four times too low. */
START_TEST(a_target_converges_in_each_plateau_and_stays)
{
    cli_write("slow.yaml", "scaler: {heroku_app_name: shop, heroku_api_key: k}\n"
                           "controller_plugins:\n"
                           "  - name: web\n    type: dynos\n    min_resource: 1\n"
                           "    max_step_down: 100\n    scale_down_cooldown: 0\n"
                           "    input_plugins:\n"
                           "      - {name: p95, type: sine, target: 100, interval: 10}\n");
    FILE *trace = fopen(cli_path("p95.csv"), "w");
    ck_assert_ptr_nonnull(trace);
    fputs("t,v\n", trace);
    for (int i = 0; i < 600; i++) {
        fprintf(trace, "%d,%d\n", 1000 + 10 * i, i < 200 ? 200 : i < 400 ? 100 : 25);
    }
    ck_assert_int_eq(fclose(trace), 0);
    ck_assert_int_eq(cli_run("simulate slow.yaml --trace p95=p95.csv --start 4 --csv o.csv"), 0);
    const char *output = cli_output();
    ck_assert_msg(strstr(output, "target         100; values are taken as measured at 4 dynos") !=
                          NULL &&
                      strstr(output, "changes        3 (1 up, 2 down)") != NULL,
                  "%s", output);
    const char *csv = cli_read("o.csv");
    ck_assert_ptr_nonnull(strstr(csv, "\n1010,shop,web,p95,100,200,8,8,1,8\n"));
    ck_assert_ptr_nonnull(strstr(csv, "\n2990,shop,web,p95,100,100,8,8,0,8\n"));
    ck_assert_ptr_nonnull(strstr(csv, "\n4990,shop,web,p95,100,100,4,4,0,4\n"));
    ck_assert_ptr_nonnull(strstr(csv, "\n6990,shop,web,p95,100,100,1,1,0,1\n"));
}
END_TEST

/* ---- recorded traces ---- */

static bool have_traces(char *out, size_t size)
{
    const char *source = getenv("DYN_SOURCE");
    ck_assert_ptr_nonnull(source);
    snprintf(out, size, "%s/../shared/traces", source);
    if (access(out, R_OK) == 0) {
        return true;
    }
    printf("skipped: no traces in %s\n", out);
    return false;
}

static void judge_recorded(const char *file, const struct rule *rule, size_t rows, bool falls)
{
    char traces[512];
    if (!have_traces(traces, sizeof(traces))) {
        return;
    }
    write_config("app.yaml", "app", rule);
    ck_assert_int_eq(cli_run("simulate app.yaml --trace 'load=%s/%s' --csv o.csv", traces, file),
                     0);
    struct judged judged = judge("o.csv", rule);
    ck_assert_uint_ge(judged.rows, rows);
    ck_assert_msg((judged.downs > 0) == falls, "%s: %zu scaled down", file, judged.downs);
    printf("%s: %zu rows, %zu with fewer dynos than the row before\n", file, judged.rows,
           judged.downs);
}

START_TEST(no_minute_of_the_world_cup_lies_below_demand)
{
    judge_recorded("worldcup98_requests_per_minute.csv", &(struct rule){60, 300, 1500, 2, 100},
                   64000, true);
}
END_TEST

START_TEST(no_minute_of_the_world_cup_lies_below_demand_with_a_long_window)
{
    judge_recorded("worldcup98_requests_per_minute.csv", &(struct rule){60, 3600, 700, 1, 60},
                   64000, true);
}
END_TEST

START_TEST(no_row_of_the_small_traces_lies_below_demand)
{
    static const struct {
        const char *file;
        struct rule rule;
        bool falls;
    } cases[] = {
        {"nab_elb_request_count_8c0756.csv", {300, 900, 20, 1, 30}, true},
        {"nab_elb_request_count_8c0756.csv", {300, 7200, 7, 2, 100}, true},
        {"nab_elb_request_count_8c0756.csv", {60, 300, 20, 1, 30}, false}, /* beyond max_gap */
        {"nab_twitter_volume_AAPL.csv", {300, 900, 20, 1, 30}, true},
        {"nab_twitter_volume_AMZN.csv", {300, 3600, 7, 2, 100}, true},
        {"nab_twitter_volume_CRM.csv", {300, 900, 2, 1, 60}, true},
        {"nab_twitter_volume_GOOG.csv", {60, 300, 20, 1, 30}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        judge_recorded(cases[i].file, &cases[i].rule, 4000, cases[i].falls);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("simulate");
    TCase *tcase = tcase_create("simulate");
    tcase_set_timeout(tcase, 250);
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, a_wave_is_followed_up_at_once_and_down_after_the_window);
    tcase_add_test(tcase, no_row_of_a_long_wave_lies_below_demand);
    tcase_add_test(tcase, a_target_converges_in_each_plateau_and_stays);
    tcase_add_test(tcase, rows_between_two_seconds_and_a_second_input_are_told_after_their_tick);
    tcase_add_test(tcase, what_runs_at_the_start_only_falls_when_a_whole_window_says_so);
    tcase_add_test(tcase, a_trace_with_steps_beyond_max_gap_never_falls_and_says_what_to_set);
    tcase_add_test(tcase, a_mode_that_is_not_live_is_simulated_as_live_and_told);
    tcase_add_test(tcase, what_is_wrong_is_refused_with_words);
    tcase_add_test(tcase, a_name_that_two_inputs_have_needs_its_path);
    tcase_add_test(tcase, rows_out_of_order_are_skipped_and_counted);
    tcase_add_test(tcase, a_plot_is_a_picture_and_its_absence_is_told);
    tcase_add_test(tcase, no_minute_of_the_world_cup_lies_below_demand);
    tcase_add_test(tcase, no_minute_of_the_world_cup_lies_below_demand_with_a_long_window);
    tcase_add_test(tcase, no_row_of_the_small_traces_lies_below_demand);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
