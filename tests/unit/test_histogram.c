#include "collector/histogram.h"

#include <check.h>
#include <stdlib.h>

START_TEST(every_time_lies_in_its_bin_and_a_bin_is_at_most_a_sixteenth_wide)
{
    size_t before = 0;
    for (uint32_t ms = 0; ms <= HISTOGRAM_LONGEST_MS; ms++) {
        size_t bin = histogram_bin(ms);
        ck_assert_uint_lt(bin, HISTOGRAM_BINS);
        ck_assert(bin == before || bin == before + 1);
        ck_assert_uint_ge(histogram_bin_longest_ms(bin), ms);
        ck_assert_uint_le(histogram_bin_longest_ms(bin), ms + ms / 16);
        ck_assert_uint_eq(histogram_bin(histogram_bin_longest_ms(bin)), bin);
        before = bin;
    }
    ck_assert_uint_eq(before, HISTOGRAM_BINS - 1);
    ck_assert_uint_eq(histogram_bin(HISTOGRAM_LONGEST_MS + 1), HISTOGRAM_BINS - 1);
    ck_assert_uint_eq(histogram_bin(UINT32_MAX), HISTOGRAM_BINS - 1);
}
END_TEST

static uint64_t bits = 7;

static uint32_t draw(uint32_t below)
{
    bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(bits >> 33) % below;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

START_TEST(a_percentile_is_never_below_the_nearest_rank_and_hardly_above)
{
    static uint32_t times[3000];
    static const unsigned percents[] = {1, 50, 95, 99, 100};
    for (int round = 0; round < 200; round++) {
        struct histogram parts[3] = {{{0}}};
        struct histogram merged = {{0}};
        size_t count = 1 + draw(3000);
        uint32_t longest = 1U << (1 + draw(16));
        for (size_t i = 0; i < count; i++) {
            times[i] = draw(longest);
            histogram_add(&parts[i % 3], histogram_bin(times[i]), 1);
        }
        for (size_t part = 0; part < 3; part++) {
            for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
                histogram_add(&merged, bin, parts[part].counts[bin]);
            }
        }
        qsort(times, count, sizeof times[0], compare);
        ck_assert_uint_eq(histogram_total(&merged), count);
        for (size_t p = 0; p < sizeof percents / sizeof percents[0]; p++) {
            uint32_t truth = times[(count * percents[p] + 99) / 100 - 1];
            uint32_t told = histogram_percentile(&merged, percents[p]);
            ck_assert_uint_ge(told, truth);
            ck_assert_uint_le(told, truth + truth / 16);
        }
    }
}
END_TEST

START_TEST(nothing_has_the_percentile_zero_and_counts_saturate)
{
    struct histogram histogram = {{0}};
    ck_assert_uint_eq(histogram_percentile(&histogram, 95), 0);
    histogram_add(&histogram, 3, UINT64_MAX);
    histogram_add(&histogram, 3, 1);
    ck_assert_uint_eq(histogram.counts[3], UINT32_MAX);
    ck_assert_uint_eq(histogram_percentile(&histogram, 1), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *all = tcase_create("all");
    tcase_add_test(all, every_time_lies_in_its_bin_and_a_bin_is_at_most_a_sixteenth_wide);
    tcase_add_test(all, a_percentile_is_never_below_the_nearest_rank_and_hardly_above);
    tcase_add_test(all, nothing_has_the_percentile_zero_and_counts_saturate);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
