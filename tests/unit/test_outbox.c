#include "collector/outbox.h"

#include <check.h>

#define SENT_MAX 64

/* What came out of the outbox, decoded. */
struct sent {
    uint32_t partition;
    struct batch batch;
    struct sample samples[DYN_BATCH_SAMPLES_MAX];
    char message[DYN_ENTRY_MAX];
};

static struct outbox *outbox;
static struct pack_reader *reader;
static struct sent *sent;
static size_t sent_count;
static dyn_err send_says;

static dyn_err send_mock(void *arg, uint32_t partition, struct dyn_str message)
{
    ck_assert_ptr_null(arg);
    if (send_says != DYN_OK) {
        return send_says;
    }
    ck_assert_uint_lt(sent_count, SENT_MAX);
    struct sent *to = &sent[sent_count++];
    to->partition = partition;
    memcpy(to->message, message.ptr, message.len);
    ck_assert_int_eq(pack_reader_start(reader, (struct dyn_str){to->message, message.len}), DYN_OK);
    ck_assert_int_eq(message_read_kind(reader), MESSAGE_BATCH);
    ck_assert_int_eq(message_read_batch(reader, &to->batch, to->samples), DYN_OK);
    ck_assert(dyn_str_is(to->batch.member, "host-1"));
    return DYN_OK;
}

static void make(uint32_t samples_max)
{
    struct outbox_options options = {
        .member = DYN_STR("host-1"),
        .partitions = 4,
        .samples_max = samples_max,
        .linger_ms = OUTBOX_LINGER_MS,
        .age_max_ms = 600000,
        .send = send_mock,
    };
    outbox_free(outbox);
    outbox = outbox_new(&options);
    ck_assert_ptr_nonnull(outbox);
    outbox_online(outbox, true);
}

static void setup(void)
{
    reader = pack_reader_new();
    sent = calloc(SENT_MAX, sizeof *sent);
    ck_assert(reader != NULL && sent != NULL);
    sent_count = 0;
    send_says = DYN_OK;
    make(0);
}

static void teardown(void)
{
    outbox_free(outbox);
    outbox = NULL;
    pack_reader_free(reader);
    free(sent);
}

static void add(uint32_t partition, double value, int64_t now_ms)
{
    struct sample sample = {.series = 42, .status = SAMPLE_GOOD, .value = value};
    outbox_add(outbox, partition, &sample, now_ms);
}

START_TEST(samples_linger_and_leave_together)
{
    add(1, 7, 1000);
    ck_assert_int_eq(outbox_next_ms(outbox), 1005);
    add(1, 8, 1003);
    add(2, 9, 1004);
    outbox_turn(outbox, 1004, false);
    ck_assert_uint_eq(sent_count, 0);
    outbox_turn(outbox, 1005, false);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent[0].partition, 1);
    ck_assert_uint_eq(sent[0].batch.seq, 1);
    ck_assert_uint_eq(sent[0].batch.lost, 0);
    ck_assert_uint_eq(sent[0].batch.count, 2);
    ck_assert_int_eq(sent[0].samples[0].age_ms, 5);
    ck_assert_int_eq(sent[0].samples[1].age_ms, 2);
    ck_assert_double_eq(sent[0].samples[1].value, 8);
    ck_assert_int_eq(outbox_next_ms(outbox), 1009);
    outbox_turn(outbox, 1005, true);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(sent[1].batch.seq, 1);
}
END_TEST

START_TEST(a_full_batch_does_not_linger_and_one_is_under_way_at_a_time)
{
    for (int i = 0; i < 600; i++) {
        add(0, i, 1000);
    }
    ck_assert_int_le(outbox_next_ms(outbox), 1000);
    outbox_turn(outbox, 1000, false);
    outbox_turn(outbox, 2000, true);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent[0].batch.count, DYN_BATCH_SAMPLES_MAX);
    ck_assert_int_eq(outbox_next_ms(outbox), INT64_MAX);
    for (size_t i = 0; i < 3; i++) {
        outbox_answer(outbox, 0, DYN_OK, 2000);
        outbox_turn(outbox, 2000, false);
    }
    ck_assert_uint_eq(sent_count, 3);
    ck_assert_uint_eq(sent[2].batch.seq, 3);
    ck_assert_uint_eq(sent[2].batch.count, 600 - 2 * DYN_BATCH_SAMPLES_MAX);
    ck_assert_double_eq(sent[2].samples[0].value, 2 * DYN_BATCH_SAMPLES_MAX);
    ck_assert_uint_eq(outbox_counts(outbox)->delivered, 600);
    ck_assert_uint_eq(outbox_counts(outbox)->queued, 0);
}
END_TEST

START_TEST(an_unanswered_batch_is_sent_again_with_its_number_and_fresh_ages)
{
    add(0, 1, 1000);
    outbox_turn(outbox, 1005, false);
    add(0, 2, 1100);
    outbox_answer(outbox, 0, DYN_CLOSED, 1200);
    outbox_online(outbox, false);
    ck_assert_int_eq(outbox_next_ms(outbox), INT64_MAX);
    outbox_turn(outbox, 5000, true);
    ck_assert_uint_eq(sent_count, 1);
    outbox_online(outbox, true);
    outbox_turn(outbox, 9000, false);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(sent[1].batch.seq, 1);
    ck_assert_uint_eq(sent[1].batch.count, 1);
    ck_assert_int_eq(sent[1].samples[0].age_ms, 8000);
    outbox_answer(outbox, 0, DYN_OK, 9001);
    outbox_turn(outbox, 9001, false);
    ck_assert_uint_eq(sent[2].batch.seq, 2);
    ck_assert_int_eq(sent[2].samples[0].age_ms, 7901);
    ck_assert_uint_eq(outbox_counts(outbox)->resent, 1);
}
END_TEST

START_TEST(a_refused_batch_waits_before_it_is_offered_again)
{
    add(0, 1, 1000);
    outbox_turn(outbox, 1005, false);
    outbox_answer(outbox, 0, DYN_REFUSED, 1006);
    ck_assert_int_eq(outbox_next_ms(outbox), 1006 + OUTBOX_RETRY_MS);
    outbox_turn(outbox, 1500, false);
    ck_assert_uint_eq(sent_count, 1);
    send_says = DYN_BUSY;
    outbox_turn(outbox, 2006, false);
    ck_assert_int_eq(outbox_next_ms(outbox), 2006 + OUTBOX_RETRY_MS);
    send_says = DYN_OK;
    outbox_turn(outbox, 3006, false);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(sent[1].batch.seq, 1);
}
END_TEST

START_TEST(a_flush_does_not_hurry_a_batch_that_was_refused)
{
    add(0, 1, 1000);
    outbox_turn(outbox, 1000, true);
    ck_assert_uint_eq(sent_count, 1);
    outbox_answer(outbox, 0, DYN_REFUSED, 1001);
    outbox_turn(outbox, 1001, true);
    ck_assert_uint_eq(sent_count, 1);
    outbox_turn(outbox, 1001 + OUTBOX_RETRY_MS, true);
    ck_assert_uint_eq(sent_count, 2);
}
END_TEST

START_TEST(a_full_queue_drops_the_oldest_and_the_next_batch_says_so)
{
    make(10);
    outbox_online(outbox, false);
    add(1, 0, 900);
    for (int i = 0; i < 12; i++) {
        add(0, i, 1000 + i);
    }
    ck_assert_uint_eq(outbox_counts(outbox)->queued, 10);
    ck_assert_uint_eq(outbox_counts(outbox)->dropped, 3);
    outbox_online(outbox, true);
    outbox_turn(outbox, 2000, false);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(sent[0].batch.lost, 2);
    ck_assert_uint_eq(sent[0].batch.count, 10);
    ck_assert_double_eq(sent[0].samples[0].value, 2);
    /* The other partition has nothing left to say but this. */
    ck_assert_uint_eq(sent[1].partition, 1);
    ck_assert_uint_eq(sent[1].batch.lost, 1);
    ck_assert_uint_eq(sent[1].batch.count, 0);
    outbox_answer(outbox, 0, DYN_OK, 2001);
    outbox_answer(outbox, 1, DYN_OK, 2001);
    add(0, 1, 2002);
    outbox_turn(outbox, 3000, false);
    ck_assert_uint_eq(sent[2].batch.lost, 0);
    ck_assert_uint_eq(sent[2].batch.seq, 2);
}
END_TEST

START_TEST(when_everything_is_under_way_the_new_sample_is_the_one_dropped)
{
    make(2);
    add(0, 1, 1000);
    add(1, 2, 1000);
    outbox_turn(outbox, 1000, true);
    ck_assert_uint_eq(sent_count, 2);
    add(0, 3, 1001);
    ck_assert_uint_eq(outbox_counts(outbox)->dropped, 1);
    outbox_answer(outbox, 0, DYN_OK, 1002);
    outbox_turn(outbox, 1002, false);
    ck_assert_uint_eq(sent[2].batch.lost, 1);
    ck_assert_uint_eq(sent[2].batch.count, 0);
}
END_TEST

START_TEST(what_is_too_old_for_any_window_is_dropped_and_counted)
{
    add(0, 1, 1000);
    outbox_turn(outbox, 1005, false);
    add(0, 2, 1000);
    add(0, 3, 500000);
    outbox_answer(outbox, 0, DYN_TIMEOUT, 6005);
    outbox_online(outbox, false);
    outbox_online(outbox, true);
    outbox_turn(outbox, 601001, false);
    /* The batch of the hole keeps its number: were it skipped, its reader would see a hole. */
    ck_assert_uint_eq(sent[1].batch.seq, 1);
    ck_assert_uint_eq(sent[1].batch.count, 0);
    ck_assert_uint_eq(sent[1].batch.lost, 1);
    outbox_answer(outbox, 0, DYN_OK, 601002);
    outbox_turn(outbox, 601002, false);
    ck_assert_uint_eq(sent[2].batch.seq, 2);
    ck_assert_uint_eq(sent[2].batch.count, 1);
    ck_assert_uint_eq(sent[2].batch.lost, 1);
    ck_assert_int_eq(sent[2].samples[0].age_ms, 101002);
    ck_assert_uint_eq(outbox_counts(outbox)->dropped, 2);
}
END_TEST

START_TEST(ages_are_carried_and_kept_within_the_message)
{
    struct sample old = {.series = 1, .age_ms = 3000, .status = SAMPLE_GOOD, .value = 1};
    outbox_add(outbox, 0, &old, 10000);
    struct sample early = {.series = 1, .age_ms = -500, .status = SAMPLE_GOOD, .value = 1};
    outbox_add(outbox, 0, &early, 10000);
    outbox_turn(outbox, 10001, true);
    ck_assert_int_eq(sent[0].samples[0].age_ms, 3001);
    ck_assert_int_eq(sent[0].samples[1].age_ms, 0);
}
END_TEST

START_TEST(reasons_are_cut_and_a_batch_of_them_fits)
{
    char words[400];
    memset(words, 'x', sizeof words);
    struct sample sample = {
        .series = UINT64_MAX,
        .status = SAMPLE_TIMEOUT,
        .reason = {words, sizeof words},
    };
    for (int i = 0; i < DYN_BATCH_SAMPLES_MAX; i++) {
        outbox_add(outbox, 3, &sample, 1000);
    }
    outbox_turn(outbox, 80000000 / 200, false);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent[0].batch.count, DYN_BATCH_SAMPLES_MAX);
    ck_assert_int_eq(sent[0].samples[255].status, SAMPLE_TIMEOUT);
    ck_assert_uint_eq(sent[0].samples[255].reason.len, DYN_REASON_MAX);
}
END_TEST

START_TEST(whatever_happens_every_sample_is_delivered_or_said_to_be_lost)
{
    make(500);
    uint64_t bits = (uint64_t)_i + 1;
    uint64_t said[4] = {0};
    uint64_t next_seq[4] = {1, 1, 1, 1};
    uint64_t delivered = 0;
    bool waits[4] = {false};
    bool online = true;
    int64_t now = 0;
    for (int i = 0; i < 20000; i++) {
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t partition = (uint32_t)(bits >> 60) % 4;
        unsigned dice = (unsigned)(bits >> 33) % 100;
        now += dice % 7;
        if (dice < 70) {
            add(partition, 1, now);
        } else if (dice < 72) {
            for (uint32_t p = 0; p < 4; p++) {
                if (waits[p]) {
                    outbox_answer(outbox, p, DYN_CLOSED, now);
                    waits[p] = false;
                }
            }
            online = !online;
            outbox_online(outbox, online);
        }
        sent_count = 0;
        outbox_turn(outbox, now, dice == 99);
        for (size_t s = 0; s < sent_count; s++) {
            uint32_t p = sent[s].partition;
            ck_assert(online && !waits[p]);
            ck_assert_uint_eq(sent[s].batch.seq, next_seq[p]);
            waits[p] = true;
            /* Half of the batches are answered at once, the others by the next loss or turn. */
            if ((bits >> 20) % 2 == 0) {
                outbox_answer(outbox, p, DYN_OK, now);
                waits[p] = false;
                next_seq[p]++;
                delivered += sent[s].batch.count;
                said[p] += sent[s].batch.lost;
            }
        }
    }
    uint64_t lost = said[0] + said[1] + said[2] + said[3];
    const struct outbox_counts *counts = outbox_counts(outbox);
    ck_assert_uint_eq(counts->delivered, delivered);
    ck_assert_uint_eq(counts->added, delivered + counts->dropped + counts->queued);
    ck_assert_uint_le(lost, counts->dropped);
    ck_assert_uint_gt(delivered, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *rules = tcase_create("rules");
    tcase_add_checked_fixture(rules, setup, teardown);
    tcase_add_test(rules, samples_linger_and_leave_together);
    tcase_add_test(rules, a_full_batch_does_not_linger_and_one_is_under_way_at_a_time);
    tcase_add_test(rules, an_unanswered_batch_is_sent_again_with_its_number_and_fresh_ages);
    tcase_add_test(rules, a_refused_batch_waits_before_it_is_offered_again);
    tcase_add_test(rules, a_flush_does_not_hurry_a_batch_that_was_refused);
    tcase_add_test(rules, a_full_queue_drops_the_oldest_and_the_next_batch_says_so);
    tcase_add_test(rules, when_everything_is_under_way_the_new_sample_is_the_one_dropped);
    tcase_add_test(rules, what_is_too_old_for_any_window_is_dropped_and_counted);
    tcase_add_test(rules, ages_are_carried_and_kept_within_the_message);
    tcase_add_test(rules, reasons_are_cut_and_a_batch_of_them_fits);
    tcase_add_loop_test(rules, whatever_happens_every_sample_is_delivered_or_said_to_be_lost, 0, 5);
    suite_add_tcase(suite, rules);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
