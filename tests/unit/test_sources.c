#include "collector/source_host.h"
#include "collector/sources.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Each source under its real host, with options written here as the file's reader would. */

static struct dyn_loop *loop;
static struct source_host *host;
static struct config_value values[8];
static struct config_field fields[8];
static struct config_type type;
static struct config_app app;
static struct config_input input;
static int answers;
static enum sample_status status;
static double value;
static char words[DYN_REASON_MAX + 1];

static void take(void *arg, struct source_host *from, enum sample_status what, double number,
                 struct dyn_str why)
{
    ck_assert_ptr_eq(arg, &answers);
    ck_assert_ptr_eq(from, host);
    answers++;
    status = what;
    value = number;
    dyn_str_copy(words, sizeof words, why);
}

static const struct config_value *find_value(const char *key)
{
    for (size_t i = 0; i < input.options.count; i++) {
        if (strcmp(fields[i].key, key) == 0) {
            return &values[i];
        }
    }
    return NULL;
}

static struct config_value *option(const char *key, enum config_value_type kind)
{
    ck_assert_ptr_null(find_value(key));
    size_t at = input.options.count++;
    ck_assert_uint_lt(at, sizeof values / sizeof values[0]);
    fields[at] = (struct config_field){.key = key, .type = kind};
    values[at] = (struct config_value){.field = &fields[at], .given = true};
    return &values[at];
}

static void setup(void)
{
    loop = dyn_loop_new();
    host = NULL;
    answers = 0;
    words[0] = '\0';
    type = (struct config_type){.kind = CONFIG_SOURCE, .name = "test"};
    app = (struct config_app){.name = "shop"};
    input =
        (struct config_input){.name = "input", .type = &type, .interval_ms = 1000, .series = 4711};
    input.options.values = values;
}

static void teardown(void)
{
    source_host_free(host);
    for (int i = 0; i < 5; i++) {
        dyn_loop_once(loop, 20); /* what was killed is reaped */
    }
    dyn_loop_free(loop);
}

static void make(const struct source_ops *ops)
{
    static struct source_host_options options;
    options = (struct source_host_options){.loop = loop, .sample = take, .arg = &answers};
    source_host_free(host);
    host = source_host_new(&options, ops, &app, &input, 7);
    ck_assert_ptr_nonnull(host);
}

/* One reading, awaited. */
static void read_at(int64_t now_ms, int64_t wall_ms)
{
    int before = answers;
    source_host_poll(host, now_ms, wall_ms);
    for (int i = 0; i < 1000 && answers == before; i++) {
        dyn_loop_once(loop, 50);
    }
    ck_assert_int_eq(answers, before + 1);
}

static void check_good(double want)
{
    ck_assert_msg(status == SAMPLE_GOOD, "%s", words);
    ck_assert_double_eq(value, want);
    ck_assert_str_eq(words, "");
}

static void check_failed(enum sample_status want, const char *part)
{
    ck_assert_int_eq(status, want);
    ck_assert_double_eq(value, 0);
    ck_assert_msg(strstr(words, part) != NULL, "says: %s", words);
}

/* ---- sine, random ---- */

START_TEST(the_sine_is_that_of_the_wall_clock)
{
    option("period", CONFIG_SECONDS)->as.i = 30000;
    make(&source_sine);
    const struct {
        int64_t wall_ms;
        double want;
    } cases[] = {
        {0, 50}, {7500, 100}, {22500, 0}, {30000, 50}, {1700000007500 / 30000 * 30000, 50}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_at(0, cases[i].wall_ms);
        check_good(cases[i].want);
    }
    read_at(0, 2500);
    check_good(ceil((sin(2 * M_PI * 2.5 / 30) + 1) * 50));
}
END_TEST

START_TEST(a_walk_stays_in_its_steps_and_repeats_with_its_seed)
{
    double first[500];
    option("seed", CONFIG_INT)->as.i = 3;
    make(&source_random);
    for (size_t i = 0; i < 500; i++) {
        read_at(0, 0);
        first[i] = value;
        ck_assert_int_eq(status, SAMPLE_GOOD);
        ck_assert_double_ge(value, 0);
        ck_assert(i == 0 ? value >= 45 && value <= 54 : fabs(value - first[i - 1]) <= 9);
    }
    make(&source_random);
    for (size_t i = 0; i < 500; i++) {
        read_at(0, 0);
        check_good(first[i]);
    }
    values[0].as.i = 4;
    make(&source_random);
    int same = 0;
    for (size_t i = 0; i < 500; i++) {
        read_at(0, 0);
        same += value == first[i] ? 1 : 0;
    }
    ck_assert_int_lt(same, 250);
}
END_TEST

/* ---- csv ---- */

static char path[] = "/tmp/dyn-csv-XXXXXX";

static void csv_options(const char *text, double speed, const char *at_end)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    option("file", CONFIG_STRING)->as.s = path;
    option("time_column", CONFIG_STRING)->given = false;
    option("value_column", CONFIG_STRING)->given = false;
    option("row_interval", CONFIG_SECONDS)->given = false;
    option("speed", CONFIG_NUMBER)->as.d = speed;
    option("at_end", CONFIG_ENUM)->as.s = at_end;
}

START_TEST(a_trace_is_played_from_its_first_row_at_its_speed)
{
    csv_options("time,value\n1000,1\n1010,2\n1020,3\n", 10, "loop");
    make(&source_csv);
    int64_t from = dyn_loop_now_ms(loop);
    (void)unlink(path); /* it is read once */
    const struct {
        int64_t at_ms;
        double want;
    } cases[] = {{0, 1},    {999, 1},  {1000, 2}, {2000, 3},
                 {2999, 3}, {3000, 1}, {4000, 2}, {3000000, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_at(from + cases[i].at_ms, 0);
        check_good(cases[i].want);
    }
}
END_TEST

START_TEST(a_trace_that_has_ended_says_so)
{
    csv_options("1000,1\n1010,2\n", 1, "stop");
    make(&source_csv);
    (void)unlink(path);
    int64_t from = dyn_loop_now_ms(loop);
    read_at(from + 19999, 0);
    check_good(2);
    read_at(from + 20000, 0);
    check_failed(SAMPLE_ERROR, "trace ended");
}
END_TEST

START_TEST(a_trace_that_cannot_be_read_disables_its_input)
{
    csv_options("nothing\n", 1, "stop");
    make(&source_csv);
    (void)unlink(path);
    ck_assert_ptr_nonnull(source_host_disabled(host));
    read_at(0, 0);
    check_failed(SAMPLE_DISABLED, "column");
    read_at(1000, 0);
    ck_assert_int_eq(answers, 2);
}
END_TEST

/* ---- exec ---- */

static const char *command[4];

static void exec_make(const char *program, const char *first, const char *second)
{
    input.options.count = 0;
    command[0] = program;
    command[1] = first;
    command[2] = second;
    struct config_value *list = option("command", CONFIG_STRINGS);
    list->as.list.items = command;
    list->as.list.count = first == NULL ? 1 : second == NULL ? 2 : 3;
    option("timeout", CONFIG_SECONDS)->as.i = 5000;
    option("env", CONFIG_HEADERS)->given = false;
    make(&source_exec);
}

START_TEST(what_a_program_prints_is_its_value)
{
    exec_make("echo", " \t12.25 ", NULL);
    read_at(0, 0);
    check_good(12.25);
    read_at(0, 0);
    check_good(12.25);
}
END_TEST

START_TEST(all_else_that_a_program_prints_is_an_error_that_quotes_it)
{
    const char *const bad[] = {"", "12 13", "seven", "0x10", "inf", "nan", "1e999", "12a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        exec_make("echo", bad[i], NULL);
        read_at(0, 0);
        check_failed(SAMPLE_ERROR, "printed no number");
        ck_assert_ptr_nonnull(strstr(words, bad[i]));
    }
    exec_make("echo", "-2", NULL);
    read_at(0, 0);
    check_failed(SAMPLE_ERROR, "-2 is not a finite number");
    exec_make("printf", "\\033[31m%0100d", "x");
    read_at(0, 0);
    ck_assert_int_eq(status, SAMPLE_ERROR);
    ck_assert_uint_lt(strlen(words), 100);
    ck_assert_ptr_null(strchr(words, '\033'));
}
END_TEST

START_TEST(a_program_sees_path_and_lang_and_nothing_else)
{
    setenv("DYN_TEST_SECRET", "s3cret", 1);
    exec_make("/usr/bin/env", NULL, NULL);
    read_at(0, 0);
    check_failed(SAMPLE_ERROR, "PATH=/usr/local/bin:/usr/bin:/bin");
    ck_assert_ptr_nonnull(strstr(words, "LANG=C\""));
}
END_TEST

START_TEST(a_program_that_takes_too_long_is_killed_by_its_timeout)
{
    exec_make("sleep", "60", NULL);
    values[1].as.i = 50;
    read_at(0, 0);
    check_failed(SAMPLE_TIMEOUT, "was killed");
    exec_make("echo", "5", NULL);
    read_at(0, 0);
    check_good(5);
}
END_TEST

START_TEST(a_reading_that_was_given_up_is_one_timeout_and_the_next_one_counts)
{
    exec_make("sleep", "60", NULL);
    source_host_poll(host, 0, 0);
    ck_assert(source_host_reading(host));
    source_host_expire(host);
    ck_assert_int_eq(answers, 1);
    check_failed(SAMPLE_TIMEOUT, "no answer within 1 s");
    ck_assert(!source_host_reading(host));
    command[0] = "echo";
    command[1] = "6";
    read_at(0, 0);
    check_good(6);
    ck_assert_int_eq(answers, 2);
}
END_TEST

/* ---- the host ---- */

static double odd_value;
static bool odd_twice;

static dyn_err odd_init(void *state, struct source_host *of, struct dyn_error *error)
{
    (void)state;
    (void)of;
    if (isfinite(odd_value) && odd_value > 1000) {
        return dyn_error_set(error, DYN_NOTFOUND, "no secret");
    }
    return DYN_OK;
}

static void odd_poll(void *state, struct source_host *of, int64_t now_ms, int64_t wall_ms)
{
    (void)state;
    (void)now_ms;
    (void)wall_ms;
    source_good(of, odd_value);
    if (odd_twice) {
        source_failed(of, SAMPLE_ERROR, "once more");
    }
}

static const struct source_ops odd = {.name = "odd", .init = odd_init, .poll = odd_poll};

START_TEST(numbers_that_are_none_become_errors)
{
    const double bad[] = {NAN, INFINITY, -INFINITY, -1, -1e-300};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        odd_value = bad[i];
        make(&odd);
        read_at(0, 0);
        check_failed(SAMPLE_ERROR, "not a finite number");
    }
    odd_value = 0;
    make(&odd);
    read_at(0, 0);
    check_good(0);
}
END_TEST

static void least_poll(void *state, struct source_host *of, int64_t now_ms, int64_t wall_ms)
{
    (void)state;
    (void)now_ms;
    (void)wall_ms;
    source_at_least(of, odd_value, "%d lines are missing", 11);
}

static const struct source_ops least = {.name = "least", .poll = least_poll, .init = odd_init};

START_TEST(what_is_known_to_be_reached_at_least_is_an_error_with_a_value)
{
    const double bad[] = {NAN, INFINITY, -INFINITY, -1, 0, DYN_VALUE_MAX * 2};
    odd_value = 600;
    make(&least);
    read_at(0, 0);
    ck_assert_int_eq(status, SAMPLE_ERROR);
    ck_assert_double_eq(value, 600);
    ck_assert_str_eq(words, "11 lines are missing");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        odd_value = 5;
        make(&least);
        odd_value = bad[i];
        read_at(0, 0);
        check_failed(SAMPLE_ERROR, "11 lines are missing");
    }
}
END_TEST

START_TEST(an_answer_that_nobody_waits_for_is_counted_and_not_taken)
{
    odd_value = 1;
    odd_twice = true;
    make(&odd);
    read_at(0, 0);
    check_good(1);
    ck_assert_int_eq(answers, 1);
    ck_assert_uint_eq(source_host_stray_answers(host), 1);
    odd_twice = false;
}
END_TEST

START_TEST(a_source_that_cannot_start_is_disabled_until_a_reload_cures_it)
{
    odd_value = 2000;
    make(&odd);
    ck_assert_str_eq(source_host_disabled(host), "no secret");
    read_at(0, 0);
    check_failed(SAMPLE_DISABLED, "no secret");
    odd_value = 5;
    ck_assert(source_host_same(host, &input));
    source_host_reload(host, &app, &input);
    ck_assert_ptr_null(source_host_disabled(host));
    read_at(0, 0);
    check_good(5);
}
END_TEST

static int slow_starts;

static dyn_err slow_init(void *state, struct source_host *of, struct dyn_error *error)
{
    (void)state;
    (void)of;
    (void)error;
    slow_starts++;
    return DYN_OK;
}

static void slow_poll(void *state, struct source_host *of, int64_t now_ms, int64_t wall_ms)
{
    (void)state;
    (void)of;
    (void)now_ms;
    (void)wall_ms;
}

static const struct source_ops slow = {.name = "slow", .init = slow_init, .poll = slow_poll};

START_TEST(an_answer_under_way_is_taken_over_a_reload_and_new_secrets_come_after_it)
{
    option("key", CONFIG_SECRET);
    make(&slow);
    ck_assert_int_eq(slow_starts, 1);
    source_host_reload(host, &app, &input);
    ck_assert_int_eq(slow_starts, 2);
    source_host_poll(host, 0, 0);
    source_host_reload(host, &app, &input);
    ck_assert(source_host_reading(host));
    source_good(host, 5);
    check_good(5);
    ck_assert_int_eq(slow_starts, 2);
    source_host_poll(host, 0, 0);
    ck_assert_int_eq(slow_starts, 3);
    source_good(host, 6);
    source_host_poll(host, 0, 0);
    ck_assert_int_eq(slow_starts, 3);
}
END_TEST

START_TEST(a_type_without_a_source_is_disabled)
{
    make(source_find("no such source"));
    read_at(0, 0);
    check_failed(SAMPLE_DISABLED, "no source for type test");
}
END_TEST

/* ---- file, which the README shows as its example ---- */

static char file_path[] = "/tmp/dyn-file-XXXXXX";

static void file_make(const char *name)
{
    option("file", CONFIG_STRING)->as.s = name;
    option("max_age", CONFIG_SECONDS)->as.i = 60000;
    make(&source_file);
}

static void file_write(const char *text)
{
    FILE *file = fopen(file_path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(what_a_file_holds_is_its_value_while_it_is_young)
{
    static const char *const wrong[] = {"", "\n", "seven", "1 2", "nan", "0x10", "1,5"};
    int fd = mkstemp(file_path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    file_make(file_path);
    file_write(" 42.5\n");
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    read_at(0, now_ms);
    check_good(42.5);
    read_at(0, now_ms + 59000);
    check_good(42.5);
    read_at(0, now_ms + 62000);
    check_failed(SAMPLE_ERROR, "was not written for 6");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        file_write(wrong[i]);
        read_at(0, now_ms);
        check_failed(SAMPLE_ERROR, "holds no number");
    }
    file_write("-1");
    read_at(0, now_ms);
    check_failed(SAMPLE_ERROR, "-1 is not");
    file_write("000000000000000000000000000000000000000000000000000000000000001234");
    read_at(0, now_ms);
    check_failed(SAMPLE_ERROR, "holds no number"); /* rather than the number that it begins with */
    ck_assert_int_eq(unlink(file_path), 0);
    read_at(0, now_ms);
    check_failed(SAMPLE_ERROR, "No such file or directory");
    values[0].as.s = "relative";
    make(&source_file);
    ck_assert_str_eq(source_host_disabled(host), "file: no absolute path");
}
END_TEST

START_TEST(what_is_no_file_is_an_error_and_never_waited_for)
{
    char fifo[] = "/tmp/dyn-fifo-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(fifo));
    file_make(fifo);
    read_at(0, 0);
    check_failed(SAMPLE_ERROR, "no regular file");
    ck_assert_int_eq(rmdir(fifo), 0);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    read_at(0, 0);
    check_failed(SAMPLE_ERROR, "no regular file");
    ck_assert_int_eq(unlink(fifo), 0);
}
END_TEST

static char *text_of(const char *name)
{
    char full[1024];
    size_t len = 0;
    char *text = calloc(1, 262144);
    (void)snprintf(full, sizeof full, "%s/%s", getenv("DYN_SOURCE"), name);
    FILE *file = fopen(full, "r");
    ck_assert_msg(file != NULL && text != NULL, "%s", full);
    len = fread(text, 1, 262143, file);
    ck_assert_uint_lt(len, 262143);
    ck_assert_int_eq(fclose(file), 0);
    return text;
}

/* Lines that begin so in the README stand in the file that is named. */
static size_t lines_stand_in(const char *readme, const char *mark, const char *name)
{
    char *text = text_of(name);
    const char *block = strstr(readme, mark);
    size_t count = 0;
    ck_assert_msg(block != NULL, "%s", mark);
    block = strchr(block, '\n') + 1;
    const char *end = strstr(block, "```");
    for (const char *line = block; line < end; line = strchr(line, '\n') + 1) {
        char wanted[256];
        (void)snprintf(wanted, sizeof wanted, "%.*s", (int)strcspn(line, "\n") + 1, line);
        ck_assert_msg(strstr(text, wanted) != NULL, "%s has no line: %s", name, wanted);
        count++;
    }
    free(text);
    return count;
}

START_TEST(the_example_of_a_plugin_in_the_readme_is_what_is_built_and_under_80_lines)
{
    char *readme = text_of("services/collector/README.md");
    char *source = text_of("services/collector/sources/file.c");
    const char *block = strstr(readme, "```c sources/file.c\n");
    ck_assert_ptr_nonnull(block);
    block = strchr(block, '\n') + 1;
    const char *end = strstr(block, "```");
    ck_assert_ptr_nonnull(end);
    ck_assert_uint_eq((size_t)(end - block), strlen(source));
    ck_assert_int_eq(memcmp(block, source, strlen(source)), 0);
    size_t lines = 0;
    for (const char *c = source; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    lines += lines_stand_in(readme, "```c sources.h\n", "services/collector/sources.h");
    lines += lines_stand_in(readme, "```c sources.c\n", "services/collector/sources.c");
    lines += lines_stand_in(readme, "```c common/config_types.c\n", "common/config_types.c");
    ck_assert_uint_lt(lines, 80);
    free(source);
    free(readme);
}
END_TEST

START_TEST(every_source_is_found_by_its_name_in_the_vocabulary)
{
    size_t found = 0;
    for (const struct config_type *t = config_types(CONFIG_SOURCE); t->name != NULL; t++) {
        bool built = source_find(t->name) != NULL;
        ck_assert_msg(built, "%s can be configured, but has no source", t->name);
        found += built ? 1 : 0;
    }
    ck_assert_uint_ge(found, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sources");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, the_sine_is_that_of_the_wall_clock);
    tcase_add_test(all, a_walk_stays_in_its_steps_and_repeats_with_its_seed);
    tcase_add_test(all, a_trace_is_played_from_its_first_row_at_its_speed);
    tcase_add_test(all, a_trace_that_has_ended_says_so);
    tcase_add_test(all, a_trace_that_cannot_be_read_disables_its_input);
    tcase_add_test(all, what_a_program_prints_is_its_value);
    tcase_add_test(all, all_else_that_a_program_prints_is_an_error_that_quotes_it);
    tcase_add_test(all, a_program_sees_path_and_lang_and_nothing_else);
    tcase_add_test(all, a_program_that_takes_too_long_is_killed_by_its_timeout);
    tcase_add_test(all, a_reading_that_was_given_up_is_one_timeout_and_the_next_one_counts);
    tcase_add_test(all, numbers_that_are_none_become_errors);
    tcase_add_test(all, what_is_known_to_be_reached_at_least_is_an_error_with_a_value);
    tcase_add_test(all, an_answer_that_nobody_waits_for_is_counted_and_not_taken);
    tcase_add_test(all, a_source_that_cannot_start_is_disabled_until_a_reload_cures_it);
    tcase_add_test(all, an_answer_under_way_is_taken_over_a_reload_and_new_secrets_come_after_it);
    tcase_add_test(all, a_type_without_a_source_is_disabled);
    tcase_add_test(all, what_a_file_holds_is_its_value_while_it_is_young);
    tcase_add_test(all, what_is_no_file_is_an_error_and_never_waited_for);
    tcase_add_test(all, the_example_of_a_plugin_in_the_readme_is_what_is_built_and_under_80_lines);
    tcase_add_test(all, every_source_is_found_by_its_name_in_the_vocabulary);
    tcase_set_timeout(all, 30);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
