#include "common/metrics.h"

#include <check.h>
#include <math.h>
#include <signal.h>

static struct metrics *metrics;
static struct dyn_buf out;

static void set_up(void)
{
    metrics = metrics_new();
    ck_assert_ptr_nonnull(metrics);
    dyn_buf_init(&out, 1 << 20);
}

static void tear_down(void)
{
    metrics_free(metrics);
    dyn_buf_fini(&out);
}

static const char *written(void)
{
    dyn_buf_clear(&out);
    metrics_write(metrics, &out);
    ck_assert_int_eq(dyn_buf_result(&out), DYN_OK);
    return dyn_buf_text(&out);
}

START_TEST(nothing_measured_is_nothing_written)
{
    ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(a_family_is_written_once_with_all_its_series)
{
    metrics_counter(metrics, "a_total", "app=\"x\"", "What is counted.")->value = 3;
    metrics_gauge(metrics, "b", "", "What is measured.")->value = -1.5;
    metrics_counter(metrics, "a_total", "app=\"y\"", "What is counted.")->value = 4;
    ck_assert_str_eq(written(), "# HELP a_total What is counted.\n"
                                "# TYPE a_total counter\n"
                                "a_total{app=\"x\"} 3\n"
                                "a_total{app=\"y\"} 4\n"
                                "# HELP b What is measured.\n"
                                "# TYPE b gauge\n"
                                "b -1.5\n");
}
END_TEST

START_TEST(the_same_name_and_labels_give_the_same_metric)
{
    struct metric *first = metrics_counter(metrics, "a_total", "k=\"1\"", "h");
    ck_assert_ptr_eq(metrics_counter(metrics, "a_total", "k=\"1\"", "h"), first);
    ck_assert_ptr_ne(metrics_counter(metrics, "a_total", "k=\"2\"", "h"), first);
    ck_assert_ptr_ne(metrics_counter(metrics, "a_total", "", "h"), first);
    for (int i = 0; i < 100; i++) {
        char labels[32];
        (void)snprintf(labels, sizeof labels, "n=\"%d\"", i);
        (void)metrics_counter(metrics, "a_total", labels, "h");
    }
    ck_assert_ptr_eq(metrics_counter(metrics, "a_total", "k=\"1\"", "h"), first);
}
END_TEST

START_TEST(label_values_and_help_are_escaped)
{
    struct dyn_buf labels;
    dyn_buf_init(&labels, 1024);
    metrics_label(&labels, "app", DYN_STR("a\"b\\c\nd"));
    metrics_label(&labels, "input", DYN_STR("plain"));
    ck_assert_str_eq(dyn_buf_text(&labels), "app=\"a\\\"b\\\\c\\nd\",input=\"plain\"");
    metrics_gauge(metrics, "g", dyn_buf_text(&labels), "one \"line\"\nand \\ more")->value = 1;
    ck_assert_str_eq(written(), "# HELP g one \"line\"\\nand \\\\ more\n"
                                "# TYPE g gauge\n"
                                "g{app=\"a\\\"b\\\\c\\nd\",input=\"plain\"} 1\n");
    dyn_buf_fini(&labels);
}
END_TEST

START_TEST(numbers_read_back_as_they_were)
{
    struct metric *metric = metrics_gauge(metrics, "g", "", "h");
    const char *head = "# HELP g h\n# TYPE g gauge\n";
    struct {
        double value;
        const char *text;
    } cases[] = {{0, "g 0\n"},           {1767225600, "g 1767225600\n"},
                 {0.1, "g 0.1\n"},       {1.0 / 3, "g 0.33333333333333331\n"},
                 {1e300, "g 1e+300\n"},  {NAN, "g NaN\n"},
                 {INFINITY, "g +Inf\n"}, {-INFINITY, "g -Inf\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metric->value = cases[i].value;
        ck_assert_str_eq(written() + strlen(head), cases[i].text);
    }
}
END_TEST

START_TEST(a_family_too_many_is_not_printed_and_harms_nobody)
{
    for (int i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "g_%d", i);
        metrics_gauge(metrics, name, "", "h")->value = i;
    }
    ck_assert_ptr_nonnull(strstr(written(), "g_255 255\n"));
    ck_assert_ptr_null(strstr(written(), "g_256"));
}
END_TEST

START_TEST(a_counter_without_total_is_our_mistake)
{
    (void)metrics_counter(metrics, "requests", "", "h");
}
END_TEST

START_TEST(a_name_that_prometheus_refuses_is_our_mistake)
{
    (void)metrics_gauge(metrics, "9lives", "", "h");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, nothing_measured_is_nothing_written);
    tcase_add_test(tests, a_family_is_written_once_with_all_its_series);
    tcase_add_test(tests, the_same_name_and_labels_give_the_same_metric);
    tcase_add_test(tests, label_values_and_help_are_escaped);
    tcase_add_test(tests, numbers_read_back_as_they_were);
    tcase_add_test(tests, a_family_too_many_is_not_printed_and_harms_nobody);
    tcase_add_test_raise_signal(tests, a_counter_without_total_is_our_mistake, SIGABRT);
    tcase_add_test_raise_signal(tests, a_name_that_prometheus_refuses_is_our_mistake, SIGABRT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
