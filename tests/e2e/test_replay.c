/*
 * `dynosaur replay` over recordings made by hand: what the core decides is found equal, one bit of
 * another kind is found, and what cannot be judged is not judged.
 */
#include "support_cli.h"

#include "deploy/cli/recording.h"
#include "estimator/fold.h"

#include <check.h>

#define CONFIG                                                                                 \
    "scaler: {heroku_app_name: shop, heroku_api_key: k}\n"                                     \
    "controller_plugins:\n"                                                                    \
    "  - name: web\n    type: dynos\n    min_resource: 1\n    max_resource: 50\n"              \
    "    input_plugins:\n"                                                                     \
    "      - {name: load, type: sine, per_resource: 10, interval: 10, hysteresis_period: 60, " \
    "doubt_zero: 0}\n"

#define BEGIN_MS UINT64_C(1000000000000)
#define SECONDS 600

enum change {
    CHANGE_NOTHING,
    CHANGE_MIDDLE,
    CHANGE_FLIP,    /* one bit of one target */
    CHANGE_INVENT,  /* a target at an entry where the fold says another thing */
    CHANGE_SWALLOW, /* every second target that changed is not published */
    CHANGE_CONFIG,  /* another hash in the head */
    CHANGE_CUT,     /* no end */
};

static FILE *file;
static uint64_t written;
static uint64_t given;
static enum change change;
static struct dyn_buf bytes;

static void add(enum recording_stream stream, struct entry_id id)
{
    /* Five seconds before the next value: until it comes nothing can be known of what was before.
     */
    if (change == CHANGE_MIDDLE && id.ms < BEGIN_MS + 205000) {
        return;
    }
    struct recording_entry entry = {stream, id, dyn_buf_str(&bytes)};
    recording_add(file, &entry);
    written++;
}

static void take_target(void *arg, const struct target *target, bool changed)
{
    (void)arg;
    given++;
    if (change == CHANGE_SWALLOW && changed && given % 2 == 0) {
        return;
    }
    dyn_buf_clear(&bytes);
    struct target said = *target;
    if (change == CHANGE_INVENT && target->decided.ms == BEGIN_MS + 300000) {
        said.rung++;
    }
    message_write_target(&bytes, &said);
    if (change == CHANGE_FLIP && target->decided.ms == BEGIN_MS + 420000) {
        bytes.ptr[bytes.len - 3] ^= 1;
    }
    add(RECORDING_TARGETS, (struct entry_id){target->decided.ms + 2, 0});
}

/* Ten minutes of a saw: a value each 10 s, a tick each second, keyframes as they come. */
static void record_values(struct fold *fold, const struct config *config)
{
    const struct fold_out out = {.target = take_target};
    uint64_t series = config->apps[0].controllers[0].inputs[0].series;
    for (uint64_t s = 0; s < SECONDS; s++) {
        struct sample sample = {series, 0, SAMPLE_GOOD, (double)(s * 7 % 400), DYN_STR("")};
        struct batch batch = {DYN_STR("c1"), s / 10 + 1, 0, 1};
        struct entry_id id = {BEGIN_MS + s * 1000, 0};
        if (s % 10 == 0) {
            dyn_buf_clear(&bytes);
            message_write_batch(&bytes, &batch, &sample);
            add(RECORDING_VALUES, id);
            fold_batch(fold, id, &batch, &sample, &out);
        }
        struct tick tick = {.epoch = 7, .elapsed_ms = s > 0 ? 1000 : 0, .config = config->hash};
        id.seq = 1;
        dyn_buf_clear(&bytes);
        message_write_tick(&bytes, &tick);
        add(RECORDING_VALUES, id);
        fold_tick(fold, id, &tick, &out);
    }
}

static void record(enum change what)
{
    struct dyn_error error = {.text = ""};
    cli_write("shop.yaml", CONFIG);
    struct config *config = config_load(cli_path("shop.yaml"), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    struct fold *fold = fold_new(config, config->apps[0].partition);
    ck_assert_ptr_nonnull(fold);
    file = fopen(cli_path("shop.rec"), "w");
    ck_assert_ptr_nonnull(file);
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    change = what;
    written = 0;
    given = 0;
    struct recording_head head = {config->hash + (what == CHANGE_CONFIG), config->apps[0].partition,
                                  (int64_t)BEGIN_MS};
    recording_begin(file, &head);
    record_values(fold, config);
    if (what != CHANGE_CUT) {
        recording_end(file, written);
    }
    ck_assert_int_eq(fclose(file), 0);
    dyn_buf_fini(&bytes);
    fold_free(fold);
    config_free(config);
}

static int64_t count_of(const char *label)
{
    const char *at = strstr(cli_output(), label);
    ck_assert_msg(at != NULL, "no '%s' in: %s", label, cli_output());
    return strtoll(at + strlen(label), NULL, 10);
}

START_TEST(what_the_core_decided_is_found_equal)
{
    record(CHANGE_NOTHING);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 0);
    ck_assert_int_eq(count_of("entries "), SECONDS + SECONDS / 10);
    ck_assert_int_eq(count_of("samples "), SECONDS / 10);
    ck_assert_int_eq(count_of("ticks "), SECONDS);
    ck_assert_int_gt(count_of("compared "), 50);
    ck_assert_int_eq(count_of("  equal "), count_of("compared "));
    ck_assert_int_eq(count_of("  different "), 0);
    ck_assert_int_eq(count_of("not published "), 0);
    ck_assert_int_gt(count_of("not judged "), 0);
    ck_assert_int_eq(count_of("compared ") + count_of("not judged "), (int64_t)given);
}
END_TEST

START_TEST(a_recording_that_begins_in_the_middle_of_a_log_is_judged_once_it_can_be)
{
    record(CHANGE_MIDDLE);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 0);
    ck_assert_int_gt(count_of("compared "), 50);
    ck_assert_int_eq(count_of("  equal "), count_of("compared "));
    ck_assert_int_gt(count_of("not judged "), 0);
}
END_TEST

START_TEST(one_flipped_bit_is_found)
{
    record(CHANGE_FLIP);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 1);
    ck_assert_int_eq(count_of("  different "), 1);
    ck_assert_ptr_nonnull(strstr(cli_output(), "the first difference at byte "));
}
END_TEST

START_TEST(a_target_of_another_size_is_spelled_out_beside_ours)
{
    record(CHANGE_INVENT);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 1);
    ck_assert_int_ge(count_of("  different "), 1);
    const char *recorded = strstr(cli_output(), "recorded  target ");
    const char *folded = strstr(cli_output(), "folded    target ");
    ck_assert(recorded != NULL && folded != NULL);
    ck_assert_int_eq(strtol(recorded + 17, NULL, 10), strtol(folded + 17, NULL, 10) + 1);
}
END_TEST

START_TEST(targets_that_were_never_published_are_counted_and_no_difference)
{
    record(CHANGE_SWALLOW);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 0);
    ck_assert_int_gt(count_of("not published "), 0);
    ck_assert_int_eq(count_of("  different "), 0);
}
END_TEST

START_TEST(another_configuration_is_refused)
{
    record(CHANGE_CONFIG);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 1);
    ck_assert_ptr_nonnull(strstr(cli_output(), "made with another configuration"));
}
END_TEST

START_TEST(a_recording_that_was_cut_off_is_used_and_told)
{
    record(CHANGE_CUT);
    ck_assert_int_eq(cli_run("replay shop.yaml shop.rec"), 0);
    ck_assert_ptr_nonnull(strstr(cli_output(), "the recording is cut off"));
    ck_assert_int_gt(count_of("  equal "), 50);
}
END_TEST

START_TEST(what_is_no_recording_is_refused)
{
    cli_write("shop.yaml", CONFIG);
    cli_write("other", "something else, longer than the head of a recording");
    cli_write("newer", "DYNOREC2........................");
    ck_assert_int_eq(cli_run("replay shop.yaml other"), 1);
    ck_assert_ptr_nonnull(strstr(cli_output(), "is no recording"));
    ck_assert_int_eq(cli_run("replay shop.yaml newer"), 1);
    ck_assert_ptr_nonnull(strstr(cli_output(), "of version 2"));
    ck_assert_int_eq(cli_run("replay shop.yaml gone"), 1);
    ck_assert_int_eq(cli_run("replay shop.yaml"), 2);
    ck_assert_ptr_nonnull(strstr(cli_output(), "the recording is missing"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tcase = tcase_create("replay");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, what_the_core_decided_is_found_equal);
    tcase_add_test(tcase, a_recording_that_begins_in_the_middle_of_a_log_is_judged_once_it_can_be);
    tcase_add_test(tcase, one_flipped_bit_is_found);
    tcase_add_test(tcase, a_target_of_another_size_is_spelled_out_beside_ours);
    tcase_add_test(tcase, targets_that_were_never_published_are_counted_and_no_difference);
    tcase_add_test(tcase, another_configuration_is_refused);
    tcase_add_test(tcase, a_recording_that_was_cut_off_is_used_and_told);
    tcase_add_test(tcase, what_is_no_recording_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
