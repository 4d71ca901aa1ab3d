/* Messages against the golden files, in both directions, and against what is hostile. */
#include "common/message.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define C UINT64_C(0x1122334455667788)
#define S UINT64_C(0xcbf29ce484222325)
#define CONFIG UINT64_C(0xfeedfacecafebeef)
#define T INT64_C(1767225600000)
#define EPOCH ((uint64_t)T - 5000)
/* DYN_STR for a static initializer. */
#define TEXT(literal)                  \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
#define BYTES_MAX ((size_t)DYN_ENTRY_MAX)

static struct pack_reader *reader;
static struct dyn_buf buf;
static struct sample samples[DYN_BATCH_SAMPLES_MAX];

static void setup(void)
{
    reader = pack_reader_new();
    ck_assert_ptr_nonnull(reader);
    dyn_buf_init(&buf, BYTES_MAX);
}

static void teardown(void)
{
    pack_reader_free(reader);
    dyn_buf_fini(&buf);
}

/* ---- the golden messages, as structs ---- */

static const struct batch batch = {.member = TEXT("web-1.4711"), .seq = 42, .lost = 3, .count = 2};
static const struct sample batch_samples[2] = {
    {.series = S, .age_ms = 250, .status = SAMPLE_GOOD, .value = 117.5},
    {.series = S + 1, .status = SAMPLE_TIMEOUT, .reason = TEXT("no answer within 10 s")},
};
static const struct tick tick = {
    .epoch = (uint64_t)T,
    .elapsed_ms = 1001,
    .config = CONFIG,
    .breaks = BREAK_REDIS,
    .from = {(uint64_t)T - 600000, 2},
    .pins_count = 1,
    .pins = {{.controller = C, .rung = 12, .until_ms = INT64_MAX}},
};
static const struct target target = {
    .controller = C,
    .app = TEXT("shop"),
    .name = TEXT("web"),
    .rung = 7,
    .raise_only = true,
    .reason = TARGET_AT_MAX,
    .estimate = 9,
    .decided = {(uint64_t)T, 5},
    .log_ms = T + 1,
    .epoch = EPOCH,
    .config = CONFIG,
    .inputs_count = 2,
    .inputs = {{.name = TEXT("visitors"),
                .value = 640,
                .value_at = T - 400,
                .max = 812.5,
                .max_until = T - 60000,
                .estimate = 9,
                .health = INPUT_OK,
                .cover = COVER_YOUNG,
                .covered_at = T + 120000},
               {.name = TEXT("rpm"),
                .value = (double)NAN,
                .max = (double)NAN,
                .estimate = -1,
                .health = INPUT_NEVER,
                .cover = COVER_NEVER,
                .reason = TEXT("HTTP 401")}},
};
static const struct mark mark = {
    .partition = 3, .epoch = EPOCH, .folded = {(uint64_t)T, 5}, .config = CONFIG};
static const struct report reports[2] = {
    {.controller = C,
     .estimate = 9,
     .inputs_count = 2,
     .inputs = {{.series = S, .value = 640, .max = 812.5, .estimate = 9},
                {.series = S + 1, .value = (double)NAN, .max = (double)NAN, .estimate = -1}}},
    {.controller = C + 1, .estimate = -1},
};
static const struct actual actual = {.controller = C,
                                     .wall_ms = T,
                                     .running = 5,
                                     .target = 7,
                                     .raise_only = true,
                                     .guard = GUARD_UP_COOLDOWN,
                                     .until_ms = T + 60000};
static const struct event event = {
    .level = EVENT_WARN,
    .state = EVENT_RAISED,
    .code = TEXT("input_outage"),
    .app = TEXT("shop"),
    .controller = TEXT("web"),
    .input = TEXT("rpm"),
    .service = TEXT("estimator"),
    .instance = TEXT("est-1"),
    .cause = TEXT("api.newrelic.com"),
    .text = TEXT("no good value for 300 s: HTTP 401"),
    .wall_ms = T,
};
static const struct action action = {
    .controller = C,
    .account = TEXT("main"),
    .app = TEXT("shop"),
    .name = TEXT("web"),
    .process_type = TEXT("web"),
    .from = 5,
    .to = 7,
    .target = 9,
    .outcome = ACTION_REFUSED,
    .http_status = 422,
    .request_id = TEXT("a1b2c3d4-0000-4000-8000-123456789abc"),
    .words = TEXT("Cannot run more than 6 processes"),
    .decided = {(uint64_t)T, 5},
    .epoch = EPOCH,
    .wall_ms = T,
};
static const struct intent intent = {
    .controller = C,
    .from = 5,
    .to = 7,
    .decided = {(uint64_t)T, 5},
    .epoch = EPOCH,
    .open = true,
    .confirmed = 5,
    .confirmed_wall_ms = T - 90000,
    .wall_ms = T,
    .last_up_ms = T - 90000,
    .manual_floor = -1,
};
static const struct command command = {
    .verb = COMMAND_PIN,
    .app = TEXT("shop"),
    .controller = TEXT("web"),
    .rung = 12,
    .until_ms = INT64_MAX,
    .who = TEXT("ops"),
    .why = TEXT("the launch at noon"),
};

/* ---- each kind: write the golden struct; read anything and write it back ---- */

static void write_batch(void)
{
    message_write_batch(&buf, &batch, batch_samples);
}

static dyn_err echo_batch(void)
{
    struct batch read;
    dyn_err err = message_read_batch(reader, &read, samples);
    if (err == DYN_OK) {
        message_write_batch(&buf, &read, samples);
    }
    return err;
}

static void write_reports(void)
{
    message_begin_reports(&buf, T, 2);
    message_add_report(&buf, &reports[0]);
    message_add_report(&buf, &reports[1]);
}

static dyn_err echo_reports(void)
{
    int64_t log_ms;
    uint32_t count;
    dyn_err err = message_read_reports(reader, &log_ms, &count);
    if (err != DYN_OK) {
        return err;
    }
    message_begin_reports(&buf, log_ms, count);
    struct report report;
    while ((err = message_read_report(reader, &report)) == DYN_OK) {
        message_add_report(&buf, &report);
    }
    return err == DYN_NOTFOUND ? DYN_OK : err;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): the name is a type */
#define KIND(name)                                        \
    static void write_##name(void)                        \
    {                                                     \
        message_write_##name(&buf, &name);                \
    }                                                     \
    static dyn_err echo_##name(void)                      \
    {                                                     \
        static struct name read;                          \
        dyn_err err = message_read_##name(reader, &read); \
        if (err == DYN_OK) {                              \
            message_write_##name(&buf, &read);            \
        }                                                 \
        return err;                                       \
    }
KIND(tick)
KIND(target)
KIND(mark)
KIND(actual)
KIND(event)
KIND(action)
KIND(intent)
KIND(command)
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct {
    const char *file;
    void (*write)(void);
    dyn_err (*echo)(void);
} kinds[] = {
    [MESSAGE_BATCH] = {"batch", write_batch, echo_batch},
    [MESSAGE_TICK] = {"tick", write_tick, echo_tick},
    [MESSAGE_TARGET] = {"target", write_target, echo_target},
    [MESSAGE_MARK] = {"mark", write_mark, echo_mark},
    [MESSAGE_REPORT] = {"report", write_reports, echo_reports},
    [MESSAGE_ACTUAL] = {"actual", write_actual, echo_actual},
    [MESSAGE_EVENT] = {"event", write_event, echo_event},
    [MESSAGE_ACTION] = {"action", write_action, echo_action},
    [MESSAGE_INTENT] = {"intent", write_intent, echo_intent},
    [MESSAGE_COMMAND] = {"command", write_command, echo_command},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static size_t golden_read(int kind, char *out)
{
    const char *source = getenv("DYN_SOURCE");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/tests/unit/golden/%s.hex", source != NULL ? source : ".",
                   kinds[kind].file);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    size_t len = 0;
    char digits[8];
    while (fscanf(file, "%7s", digits) == 1) {
        ck_assert_uint_lt(len, 1024);
        out[len++] = (char)strtoul(digits, NULL, 16);
    }
    (void)fclose(file);
    return len;
}

/* Decode, and encode what came out into buf. */
static dyn_err echo(struct dyn_str bytes, int *out_kind)
{
    dyn_buf_clear(&buf);
    dyn_err err = pack_reader_start(reader, bytes);
    if (err != DYN_OK) {
        return err;
    }
    enum message_kind kind = message_read_kind(reader);
    if (kind == 0) {
        err = pack_reader_end(reader);
        ck_assert_int_ne(err, DYN_OK);
        return err;
    }
    *out_kind = (int)kind;
    return kinds[kind].echo();
}

START_TEST(each_kind_is_written_as_its_golden_file_says)
{
    char golden[1024];
    size_t len = golden_read(_i, golden);
    kinds[_i].write();
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_OK);
    ck_assert_uint_eq(buf.len, len);
    ck_assert_mem_eq(buf.ptr, golden, len);
}
END_TEST

START_TEST(each_golden_file_is_read_and_written_back_the_same)
{
    char golden[1024];
    size_t len = golden_read(_i, golden);
    int kind = 0;
    ck_assert_int_eq(echo((struct dyn_str){golden, len}, &kind), DYN_OK);
    ck_assert_int_eq(kind, _i);
    ck_assert_uint_eq(buf.len, len);
    ck_assert_mem_eq(buf.ptr, golden, len);
}
END_TEST

START_TEST(a_message_cut_at_any_byte_is_refused)
{
    char golden[1024];
    size_t len = golden_read(_i, golden);
    for (size_t cut = 0; cut < len; cut++) {
        int kind;
        ck_assert_int_eq(echo((struct dyn_str){golden, cut}, &kind), DYN_BADMSG);
    }
}
END_TEST

/* What a mutation leaves readable must be writable, and read again the same. */
START_TEST(every_mutation_of_one_byte_is_survived)
{
    char golden[1024];
    char again[4096];
    size_t len = golden_read(_i, golden);
    for (size_t at = 0; at < len; at++) {
        char kept = golden[at];
        for (unsigned byte = 0; byte < 256; byte++) {
            golden[at] = (char)byte;
            int kind = 0;
            if (echo((struct dyn_str){golden, len}, &kind) != DYN_OK) {
                continue;
            }
            size_t again_len = buf.len;
            ck_assert_uint_lt(again_len, sizeof(again));
            memcpy(again, buf.ptr, again_len);
            ck_assert_int_eq(echo((struct dyn_str){again, again_len}, &kind), DYN_OK);
            ck_assert_uint_eq(buf.len, again_len);
            ck_assert_mem_eq(buf.ptr, again, again_len);
        }
        golden[at] = kept;
    }
}
END_TEST

START_TEST(another_schema_version_is_unsupported)
{
    char golden[1024] = {0};
    size_t len = golden_read(_i, golden);
    char *schema = golden + ((uint8_t)golden[0] == 0xdc ? 3 : 1);
    ck_assert_int_eq(*schema, MESSAGE_SCHEMA);
    *schema = MESSAGE_SCHEMA + 1;
    int kind;
    ck_assert_int_eq(echo((struct dyn_str){golden, len}, &kind), DYN_UNSUPPORTED);
}
END_TEST

START_TEST(a_field_too_many_is_refused)
{
    dyn_buf_clear(&buf);
    pack_array(&buf, 8);
    pack_u64(&buf, 1);
    pack_u64(&buf, MESSAGE_MARK);
    for (int i = 0; i < 6; i++) {
        pack_u64(&buf, 1);
    }
    char bytes[64];
    size_t len = buf.len;
    memcpy(bytes, buf.ptr, len);
    int kind;
    ck_assert_int_eq(echo((struct dyn_str){bytes, len}, &kind), DYN_BADMSG);
}
END_TEST

/* ---- batches ---- */

static void batch_write_raw(double value, int64_t age_ms, uint64_t status)
{
    pack_array(&buf, 6);
    pack_u64(&buf, MESSAGE_SCHEMA);
    pack_u64(&buf, MESSAGE_BATCH);
    pack_text(&buf, "m");
    pack_u64(&buf, 1);
    pack_u64(&buf, 0);
    pack_array(&buf, 8);
    pack_u64(&buf, S);
    pack_i64(&buf, age_ms);
    pack_u64(&buf, status);
    if (status == SAMPLE_GOOD) {
        pack_f64(&buf, value);
    } else {
        pack_text(&buf, "words");
    }
    pack_u64(&buf, S + 1);
    pack_i64(&buf, 0);
    pack_u64(&buf, SAMPLE_GOOD);
    pack_f64(&buf, 2);
}

START_TEST(a_bad_sample_does_not_spoil_its_batch)
{
    static const struct {
        double value;
        int64_t age_ms;
        uint64_t status;
    } bad[] = {
        {(double)NAN, 0, 0}, {(double)INFINITY, 0, 0},    {-1, 0, 0},         {1, -5, 0},
        {1, INT64_MAX, 0},   {0, 0, SAMPLE_STATUS_COUNT}, {0, 0, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        dyn_buf_clear(&buf);
        batch_write_raw(bad[i].value, bad[i].age_ms, bad[i].status);
        struct batch read;
        ck_assert_int_eq(pack_reader_start(reader, dyn_buf_str(&buf)), DYN_OK);
        ck_assert_int_eq(message_read_kind(reader), MESSAGE_BATCH);
        ck_assert_int_eq(message_read_batch(reader, &read, samples), DYN_OK);
        ck_assert_uint_eq(read.count, 2);
        ck_assert_int_eq(samples[0].status, SAMPLE_ERROR);
        ck_assert(samples[0].value == 0);
        ck_assert_uint_gt(samples[0].reason.len, 0);
        ck_assert(samples[0].age_ms >= 0 && samples[0].age_ms <= SAMPLE_AGE_MAX_MS);
        ck_assert_int_eq(samples[1].status, SAMPLE_GOOD);
        ck_assert(samples[1].value == 2);
    }
}
END_TEST

START_TEST(a_full_batch_of_long_reasons_fits_an_entry)
{
    static struct sample many[DYN_BATCH_SAMPLES_MAX];
    static char reason[DYN_REASON_MAX * 2];
    memset(reason, 'x', sizeof(reason));
    /* A two-byte character over the bound goes as a whole. */
    reason[DYN_REASON_MAX - 1] = '\xc3';
    reason[DYN_REASON_MAX] = '\xa4';
    for (size_t i = 0; i < DYN_BATCH_SAMPLES_MAX; i++) {
        many[i] = (struct sample){.series = UINT64_MAX - i,
                                  .age_ms = SAMPLE_AGE_MAX_MS,
                                  .status = SAMPLE_ERROR,
                                  .reason = {reason, sizeof(reason)}};
    }
    struct batch full = {.member = DYN_STR("m"), .seq = 1, .count = DYN_BATCH_SAMPLES_MAX};
    message_write_batch(&buf, &full, many);
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_OK);
    ck_assert_int_eq(pack_reader_start(reader, dyn_buf_str(&buf)), DYN_OK);
    ck_assert_int_eq(message_read_kind(reader), MESSAGE_BATCH);
    struct batch read;
    ck_assert_int_eq(message_read_batch(reader, &read, samples), DYN_OK);
    ck_assert_uint_eq(read.count, DYN_BATCH_SAMPLES_MAX);
    ck_assert_uint_eq(samples[255].reason.len, DYN_REASON_MAX - 1);
}
END_TEST

START_TEST(a_batch_without_member_or_number_is_refused)
{
    const struct batch nobody = {.seq = 1};
    const struct batch unnumbered = {.member = DYN_STR("m")};
    const struct batch *const wrong[] = {&nobody, &unnumbered};
    for (size_t i = 0; i < 2; i++) {
        struct batch read;
        dyn_buf_clear(&buf);
        message_write_batch(&buf, wrong[i], NULL);
        ck_assert_int_eq(pack_reader_start(reader, dyn_buf_str(&buf)), DYN_OK);
        ck_assert_int_eq(message_read_kind(reader), MESSAGE_BATCH);
        ck_assert_int_eq(message_read_batch(reader, &read, samples), DYN_BADMSG);
    }
}
END_TEST

START_TEST(the_widest_target_fits_an_entry)
{
    static struct target wide;
    static char text[DYN_ERROR_TEXT_MAX];
    memset(text, 'x', sizeof(text));
    wide = target;
    wide.inputs_count = DYN_CONFIG_INPUTS_MAX;
    for (size_t i = 0; i < DYN_CONFIG_INPUTS_MAX; i++) {
        wide.inputs[i] = target.inputs[0];
        wide.inputs[i].name = (struct dyn_str){text, sizeof(text)};
        wide.inputs[i].reason = (struct dyn_str){text, sizeof(text)};
    }
    message_write_target(&buf, &wide);
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_OK);
    ck_assert_uint_lt(buf.len, 16384);
}
END_TEST

/* ---- IDs and names ---- */

START_TEST(entry_ids_are_parsed_printed_and_ordered)
{
    struct entry_id id = {7, 7};
    char text[ENTRY_ID_TEXT];
    ck_assert_int_eq(entry_id_parse(DYN_STR("18446744073709551615-18446744073709551615"), &id),
                     DYN_OK);
    ck_assert(id.ms == UINT64_MAX && id.seq == UINT64_MAX);
    entry_id_format(id, text, sizeof(text));
    ck_assert_str_eq(text, "18446744073709551615-18446744073709551615");
    static const char *const wrong[] = {"",      "-",   "1",   "1-",   "-1",
                                        "1-2-3", "a-1", "1-b", "1 -1", "18446744073709551616-0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_int_ne(entry_id_parse(dyn_str_from(wrong[i]), &id), DYN_OK);
        ck_assert(id.ms == UINT64_MAX);
    }
    const struct entry_id a = {1, 9};
    const struct entry_id b = {2, 0};
    ck_assert_int_lt(entry_id_compare(a, b), 0);
    ck_assert_int_gt(entry_id_compare(b, a), 0);
    ck_assert_int_eq(entry_id_compare(a, a), 0);
}
END_TEST

START_TEST(every_number_has_a_name)
{
    for (int i = 0; i < GUARD_COUNT; i++) {
        ck_assert_ptr_nonnull(guard_text((enum guard)i));
        ck_assert_uint_gt(strlen(guard_words((enum guard)i)), 10);
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(guard_text((enum guard)i), guard_text((enum guard)j));
        }
    }
    ck_assert_str_eq(guard_text(GUARD_DOWN_COOLDOWN), "down_cooldown");
    ck_assert_str_eq(guard_text(GUARD_COUNT), "unknown");
    ck_assert_str_eq(input_health_text(INPUT_OUTAGE), "outage");
    ck_assert_str_eq(input_cover_text(COVER_FALLBACK), "fallback");
    ck_assert_str_eq(target_reason_text(TARGET_PINNED), "pinned");
    ck_assert_str_eq(action_outcome_text(ACTION_FAILED), "failed");
    ck_assert_str_eq(action_outcome_text((enum action_outcome)99), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message");
    TCase *tests = tcase_create("message");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_kind_is_written_as_its_golden_file_says, 1, KINDS);
    tcase_add_loop_test(tests, each_golden_file_is_read_and_written_back_the_same, 1, KINDS);
    tcase_add_loop_test(tests, a_message_cut_at_any_byte_is_refused, 1, KINDS);
    tcase_add_loop_test(tests, every_mutation_of_one_byte_is_survived, 1, KINDS);
    tcase_add_loop_test(tests, another_schema_version_is_unsupported, 1, KINDS);
    tcase_add_test(tests, a_field_too_many_is_refused);
    tcase_add_test(tests, a_bad_sample_does_not_spoil_its_batch);
    tcase_add_test(tests, a_full_batch_of_long_reasons_fits_an_entry);
    tcase_add_test(tests, a_batch_without_member_or_number_is_refused);
    tcase_add_test(tests, the_widest_target_fits_an_entry);
    tcase_add_test(tests, entry_ids_are_parsed_printed_and_ordered);
    tcase_add_test(tests, every_number_has_a_name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
