/* Who takes part, seen by one member on a clock of the test's; and what falls to whom. */
#include "common/members.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define BEAT_MS 1500
#define GONE_MS 6000
#define OTHERS_MAX 64

/* The hash as Redis has it, and one who reads it. */
struct entry {
    char name[64];
    uint64_t beats; /* 0: not there */
};

static struct entry entries[OTHERS_MAX];
static size_t entries_count;
static struct members *members;
static uint64_t own_beats;

static void setup(void)
{
    memset(entries, 0, sizeof entries);
    entries_count = 0;
    own_beats = 0;
    members = members_new("self", BEAT_MS, GONE_MS);
    ck_assert_ptr_nonnull(members);
}

static void teardown(void)
{
    members_free(members);
}

static struct entry *entry_of(const char *name)
{
    for (size_t i = 0; i < entries_count; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return &entries[i];
        }
    }
    struct entry *entry = &entries[entries_count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    return entry;
}

static void beats(const char *name)
{
    entry_of(name)->beats++;
}

static void leaves(const char *name)
{
    entry_of(name)->beats = 0;
}

static void flushed(void)
{
    for (size_t i = 0; i < entries_count; i++) {
        entries[i].beats = 0;
    }
    own_beats = 0;
}

/* We beat, and read. */
static bool reads(int64_t now_ms)
{
    members_begin(members, now_ms);
    for (size_t i = 0; i < entries_count / 2; i++) {
        if (entries[i].beats > 0) {
            members_see(members, dyn_str_from(entries[i].name), entries[i].beats);
        }
    }
    members_see(members, DYN_STR("self"), ++own_beats);
    for (size_t i = entries_count / 2; i < entries_count; i++) {
        if (entries[i].beats > 0) {
            members_see(members, dyn_str_from(entries[i].name), entries[i].beats);
        }
    }
    return members_end(members);
}

/* Opened at 0, and everybody named is alive and seen to be at the answer of 1500. */
static void joined(size_t count, const char *const *names)
{
    members_open(members, 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++) {
            beats(names[i]);
        }
        (void)reads((int64_t)round * BEAT_MS);
    }
    ck_assert_uint_eq(members_count(members), count + 1);
}
#define JOINED(...)                                                           \
    joined(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), \
           (const char *const[]){__VA_ARGS__})

/* ---- knowing ---- */

START_TEST(nothing_is_known_and_nothing_owned_before_the_first_answer)
{
    bool ours = true;
    uint64_t key = 7;
    ck_assert(!members_known(members));
    ck_assert_int_eq(members_next_ms(members), INT64_MAX);
    members_open(members, 0);
    ck_assert(!members_turn(members, 100000));
    ck_assert(!members_known(members));
    ck_assert_uint_eq(members_count(members), 0);
    ck_assert(!members_owns(members, 7));
    members_spread(members, &key, 1, &ours);
    ck_assert(!ours);
}
END_TEST

START_TEST(alone_in_an_empty_hash_all_is_ours_at_once)
{
    bool ours = false;
    uint64_t key = 7;
    members_open(members, 5);
    ck_assert(reads(6));
    ck_assert_uint_eq(members_count(members), 1);
    ck_assert(members_owns(members, 7));
    members_spread(members, &key, 1, &ours);
    ck_assert(ours);
    ck_assert(!reads(7)); /* said once */
}
END_TEST

START_TEST(with_strangers_nothing_is_known_before_they_had_the_time_to_beat)
{
    members_open(members, 0);
    beats("a");
    beats("b");
    ck_assert(!reads(0));
    ck_assert_int_eq(members_next_ms(members), BEAT_MS * 3 / 2);
    beats("a");
    ck_assert(!reads(BEAT_MS));
    ck_assert(!members_owns(members, 1));
    ck_assert(!members_turn(members, BEAT_MS * 3 / 2 - 1));
    ck_assert(members_turn(members, BEAT_MS * 3 / 2)); /* b is of somebody who died */
    ck_assert_uint_eq(members_count(members), 2);
}
END_TEST

START_TEST(once_all_strangers_have_moved_the_membership_is_known)
{
    members_open(members, 0);
    beats("a");
    ck_assert(!reads(0));
    beats("a");
    ck_assert(reads(BEAT_MS));
    ck_assert_uint_eq(members_count(members), 2);
}
END_TEST

START_TEST(a_newcomer_counts_from_the_first_move_and_not_before)
{
    JOINED("a");
    beats("new");
    ck_assert(!reads(3000));
    ck_assert_uint_eq(members_count(members), 2);
    ck_assert(!reads(4500)); /* an entry that stands still is nobody */
    beats("a");
    beats("new");
    ck_assert(reads(6000));
    ck_assert_uint_eq(members_count(members), 3);
    ck_assert(!reads(6100));
}
END_TEST

START_TEST(a_reconnect_keeps_what_is_known)
{
    JOINED("a", "b");
    members_open(members, 50000);
    ck_assert(members_known(members));
    ck_assert_uint_eq(members_count(members), 3);
    ck_assert_int_eq(members_next_ms(members), INT64_MAX); /* nothing before an answer */
}
END_TEST

/* ---- leaving and vanishing ---- */

START_TEST(somebody_whose_entry_is_gone_has_left_at_once)
{
    JOINED("a", "b");
    leaves("a");
    beats("b");
    ck_assert(reads(3000));
    ck_assert_uint_eq(members_count(members), 2);
    leaves("b"); /* also the last */
    ck_assert(reads(4500));
    ck_assert_uint_eq(members_count(members), 1);
}
END_TEST

START_TEST(somebody_who_stood_still_for_the_whole_time_is_gone_on_that_millisecond)
{
    JOINED("a", "b");
    for (int64_t at = 3000; at <= 6000; at += BEAT_MS) {
        beats("b");
        ck_assert(!reads(at));
    }
    ck_assert_int_eq(members_next_ms(members), BEAT_MS + GONE_MS);
    beats("b");
    ck_assert(!reads(7400));
    ck_assert(!members_turn(members, BEAT_MS + GONE_MS - 1));
    ck_assert(members_turn(members, BEAT_MS + GONE_MS));
    ck_assert_uint_eq(members_count(members), 2);
    beats("a"); /* and back with one beat */
    ck_assert(reads(9000));
    ck_assert_uint_eq(members_count(members), 3);
}
END_TEST

START_TEST(the_only_other_is_believed_gone_without_a_second_wait)
{
    JOINED("a");
    for (int64_t at = 3000; at < BEAT_MS + GONE_MS; at += BEAT_MS) {
        ck_assert(!reads(at));
    }
    ck_assert(reads(BEAT_MS + GONE_MS));
    ck_assert_uint_eq(members_count(members), 1);
}
END_TEST

START_TEST(a_break_of_our_own_beats_begins_the_watch_of_everybody_anew)
{
    JOINED("a", "b");
    /* Our answers stop for longer than half of gone, theirs were not seen in the meantime. */
    int64_t back = BEAT_MS + GONE_MS / 2 + 1;
    ck_assert(!members_turn(members, back + GONE_MS)); /* without answers nobody is judged */
    ck_assert(!reads(back));
    for (int64_t at = back + BEAT_MS; at < back + GONE_MS; at += BEAT_MS) {
        beats("b");
        ck_assert(!reads(at));
    }
    ck_assert(!members_turn(members, back + GONE_MS - 1));
    ck_assert(members_turn(members, back + GONE_MS));
    ck_assert_uint_eq(members_count(members), 2);
}
END_TEST

START_TEST(a_break_of_exactly_half_of_gone_is_none)
{
    JOINED("a", "b");
    ck_assert(!reads(BEAT_MS + GONE_MS / 2));
    beats("b");
    ck_assert(!reads(BEAT_MS + GONE_MS - 1));
    beats("b");
    ck_assert(reads(BEAT_MS + GONE_MS));
}
END_TEST

START_TEST(a_new_connection_begins_the_watch_anew)
{
    JOINED("a", "b");
    members_open(members, 7000);
    for (int64_t at = 7000; at < 7000 + GONE_MS; at += BEAT_MS) {
        beats("b");
        ck_assert(!reads(at));
    }
    beats("b");
    ck_assert(reads(7000 + GONE_MS));
}
END_TEST

/* ---- doubt ---- */

/* Nobody but us beats any more; the change that is expected comes at `at` and not before. */
static void silent_until(int64_t from_ms, int64_t at)
{
    int64_t now = from_ms;
    for (; now < at; now += BEAT_MS) {
        ck_assert_msg(!reads(now), "changed at %lld", (long long)now);
    }
    ck_assert(!members_turn(members, at - 1));
    ck_assert_int_eq(members_next_ms(members), at);
    ck_assert(members_turn(members, at));
}

START_TEST(when_all_of_several_vanish_at_once_they_are_kept_for_another_wait)
{
    JOINED("a", "b");
    silent_until(3000, BEAT_MS + 2 * GONE_MS);
    ck_assert_uint_eq(members_count(members), 1);
}
END_TEST

START_TEST(at_once_is_within_the_beats_that_one_fault_takes_from_all)
{
    JOINED("a", "b", "c");
    beats("b"); /* the last that is seen of b and c, a beat after the last of a */
    beats("c");
    ck_assert(!reads(3000));
    silent_until(4500, BEAT_MS + 2 * GONE_MS);
    ck_assert_uint_eq(members_count(members), 1);
}
END_TEST

START_TEST(one_who_beats_again_ends_the_doubt_and_the_others_are_gone)
{
    JOINED("a", "b", "c");
    for (int64_t at = 3000; at <= 9000; at += BEAT_MS) {
        ck_assert(!reads(at));
    }
    ck_assert_uint_eq(members_count(members), 4);
    beats("b");
    ck_assert(reads(10500));
    ck_assert_uint_eq(members_count(members), 2);
}
END_TEST

START_TEST(when_all_beat_again_nothing_has_changed)
{
    JOINED("a", "b");
    for (int64_t at = 3000; at <= 9000; at += BEAT_MS) {
        ck_assert(!reads(at));
    }
    beats("a");
    beats("b");
    ck_assert(!reads(10500));
    ck_assert_uint_eq(members_count(members), 3);
    ck_assert(!members_turn(members, 10500 + BEAT_MS));
}
END_TEST

START_TEST(one_of_several_who_is_long_silent_is_no_doubt_about_all)
{
    JOINED("a", "b");
    for (int64_t at = 3000; at < BEAT_MS + GONE_MS; at += BEAT_MS) {
        if (at <= 4500) {
            beats("b"); /* b lives three beats longer than a */
        }
        ck_assert(!reads(at));
    }
    beats("b");
    ck_assert(reads(BEAT_MS + GONE_MS));
    ck_assert_uint_eq(members_count(members), 2);
}
END_TEST

/* ---- an emptied hash ---- */

START_TEST(an_emptied_hash_is_nobodys_leaving)
{
    JOINED("a", "b");
    flushed();
    ck_assert(!reads(3000)); /* we are the first to beat again */
    ck_assert_uint_eq(members_count(members), 3);
    beats("a");
    ck_assert(!reads(4500)); /* b takes longer */
    ck_assert_uint_eq(members_count(members), 3);
    beats("a");
    beats("b");
    ck_assert(!reads(6000));
    ck_assert_uint_eq(members_count(members), 3);
    leaves("a"); /* from here on, leaving is leaving again */
    beats("b");
    ck_assert(reads(7500));
}
END_TEST

START_TEST(whoever_does_not_come_back_to_an_emptied_hash_is_gone_after_the_wait)
{
    JOINED("a", "b");
    flushed();
    ck_assert(!reads(3000));
    for (int64_t at = 4500; at < 3000 + GONE_MS; at += BEAT_MS) {
        beats("a");
        ck_assert(!reads(at));
    }
    beats("a");
    ck_assert(reads(3000 + GONE_MS));
    ck_assert_uint_eq(members_count(members), 2);
}
END_TEST

START_TEST(when_nobody_comes_back_to_an_emptied_hash_that_is_doubted_too)
{
    JOINED("a", "b");
    flushed();
    ck_assert(!reads(3000));
    silent_until(4500, 3000 + 2 * GONE_MS);
    ck_assert_uint_eq(members_count(members), 1);
}
END_TEST

/* ---- the dead, and bounds ---- */

START_TEST(entries_of_the_dead_are_named_after_ten_waits)
{
    struct dyn_str names[4];
    JOINED("a");
    beats("stranger"); /* never moves */
    int64_t last = 0;
    for (int64_t at = 3000; at <= 3000 + 10 * GONE_MS; at += BEAT_MS) {
        beats("a");
        (void)reads(at);
        last = at;
        if (at < 3000 + 10 * GONE_MS) {
            ck_assert_uint_eq(members_dead(members, at, names, 4), 0);
        }
    }
    ck_assert_uint_eq(members_dead(members, last, names, 4), 1);
    ck_assert(dyn_str_is(names[0], "stranger"));
    ck_assert_uint_eq(members_dead(members, last, names, 0), 0);
}
END_TEST

START_TEST(names_that_cannot_be_kept_are_nobody)
{
    static char name[400];
    memset(name, 'x', sizeof name - 1);
    members_open(members, 0);
    for (uint64_t beat = 1; beat <= 2; beat++) {
        members_begin(members, (int64_t)beat);
        members_see(members, dyn_str_from(name), beat);
        members_see(members, DYN_STR(""), beat);
        members_see(members, DYN_STR("self"), beat);
        (void)members_end(members);
    }
    ck_assert_uint_eq(members_count(members), 1);
}
END_TEST

START_TEST(no_more_than_the_maximum_are_kept)
{
    members_open(members, 0);
    for (uint64_t beat = 1; beat <= 2; beat++) {
        members_begin(members, (int64_t)beat);
        members_see(members, DYN_STR("self"), beat);
        for (int i = 0; i < MEMBERS_MAX + 10; i++) {
            char name[32];
            snprintf(name, sizeof name, "m%d", i);
            members_see(members, dyn_str_from(name), beat);
        }
        (void)members_end(members);
    }
    ck_assert_uint_eq(members_count(members), MEMBERS_MAX + 1);
}
END_TEST

/* ---- what falls to whom ---- */

enum {
    KEYS = 4000,
    CROWD = 5
};

static uint64_t key_of(int i)
{
    char text[32];
    snprintf(text, sizeof text, "series-%d", i);
    return dyn_hash(DYN_HASH_SEED, dyn_str_from(text));
}

/* The view of member `self` of those among m0 ... whose bit is set. */
static struct members *view(int self, unsigned present)
{
    char name[32];
    snprintf(name, sizeof name, "m%d", self);
    struct members *one = members_new(name, BEAT_MS, GONE_MS);
    ck_assert_ptr_nonnull(one);
    members_open(one, 0);
    for (uint64_t beat = 1; beat <= 2; beat++) {
        members_begin(one, (int64_t)beat);
        for (int i = 0; i < 32; i++) {
            if ((present >> i & 1) != 0) {
                snprintf(name, sizeof name, "m%d", i);
                members_see(one, dyn_str_from(name), beat);
            }
        }
        (void)members_end(one);
    }
    return one;
}

static struct members *views[CROWD];

/* Who owns each key; exactly one of those present does. */
static void owners(unsigned present, int *out)
{
    for (int m = 0; m < CROWD; m++) {
        views[m] = (present >> m & 1) != 0 ? view(m, present) : NULL;
    }
    for (int i = 0; i < KEYS; i++) {
        out[i] = -1;
        for (int m = 0; m < CROWD; m++) {
            if (views[m] != NULL && members_owns(views[m], key_of(i))) {
                ck_assert_int_eq(out[i], -1);
                out[i] = m;
            }
        }
        ck_assert_int_ge(out[i], 0);
    }
    for (int m = 0; m < CROWD; m++) {
        members_free(views[m]);
    }
}

START_TEST(every_key_has_one_owner_and_shares_are_even)
{
    static int owner[KEYS];
    int share[CROWD] = {0};
    owners(0x1f, owner);
    for (int i = 0; i < KEYS; i++) {
        share[owner[i]]++;
    }
    for (int m = 0; m < CROWD; m++) {
        /* 800 expected, standard deviation 25. */
        ck_assert_int_ge(share[m], 700);
        ck_assert_int_le(share[m], 900);
    }
}
END_TEST

START_TEST(who_comes_or_goes_moves_its_own_share_alone)
{
    static int all[KEYS];
    static int fewer[KEYS];
    owners(0x1f, all);
    for (int gone = 0; gone < CROWD; gone++) {
        owners(0x1fU & ~(1U << gone), fewer);
        int took[CROWD] = {0};
        for (int i = 0; i < KEYS; i++) {
            ck_assert_int_ne(fewer[i], gone);
            if (all[i] != gone) {
                ck_assert_int_eq(fewer[i], all[i]);
            } else {
                took[fewer[i]]++;
            }
        }
        for (int m = 0; m < CROWD; m++) {
            ck_assert(m == gone || took[m] > 120); /* 200 expected: the share is shared out */
        }
    }
}
END_TEST

/* What each of those present is given, at most one more than any other. */
static void spread_owners(unsigned present, size_t count, int *out)
{
    uint64_t keys[64];
    bool ours[64];
    size_t least = SIZE_MAX;
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_of((int)i);
        out[i] = -1;
    }
    for (int m = 0; m < CROWD; m++) {
        if ((present >> m & 1) == 0) {
            continue;
        }
        size_t share = 0;
        struct members *one = view(m, present);
        members_spread(one, keys, count, ours);
        for (size_t i = 0; i < count; i++) {
            ck_assert(!ours[i] || out[i] == -1);
            out[i] = ours[i] ? m : out[i];
            share += ours[i];
        }
        least = share < least ? share : least;
        most = share > most ? share : most;
        members_free(one);
    }
    ck_assert_uint_le(most - least, 1);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_ge(out[i], 0);
    }
}

START_TEST(few_things_are_spread_evenly_and_each_has_one_owner)
{
    int out[64];
    for (unsigned present = 1; present < 1U << CROWD; present++) {
        for (size_t count = 1; count <= 17; count++) {
            spread_owners(present, count, out);
        }
        spread_owners(present, 64, out);
    }
}
END_TEST

START_TEST(spreading_moves_few_things_besides_those_of_who_goes)
{
    int all[64];
    int fewer[64];
    spread_owners(0x1f, 64, all);
    for (int gone = 0; gone < CROWD; gone++) {
        int moved = 0;
        spread_owners(0x1fU & ~(1U << gone), 64, fewer);
        for (int i = 0; i < 64; i++) {
            moved += all[i] != gone && all[i] != fewer[i];
        }
        ck_assert_int_le(moved, 12);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("members");
    TCase *tcase = tcase_create("members");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nothing_is_known_and_nothing_owned_before_the_first_answer);
    tcase_add_test(tcase, alone_in_an_empty_hash_all_is_ours_at_once);
    tcase_add_test(tcase, with_strangers_nothing_is_known_before_they_had_the_time_to_beat);
    tcase_add_test(tcase, once_all_strangers_have_moved_the_membership_is_known);
    tcase_add_test(tcase, a_newcomer_counts_from_the_first_move_and_not_before);
    tcase_add_test(tcase, a_reconnect_keeps_what_is_known);
    tcase_add_test(tcase, somebody_whose_entry_is_gone_has_left_at_once);
    tcase_add_test(tcase, somebody_who_stood_still_for_the_whole_time_is_gone_on_that_millisecond);
    tcase_add_test(tcase, the_only_other_is_believed_gone_without_a_second_wait);
    tcase_add_test(tcase, a_break_of_our_own_beats_begins_the_watch_of_everybody_anew);
    tcase_add_test(tcase, a_break_of_exactly_half_of_gone_is_none);
    tcase_add_test(tcase, a_new_connection_begins_the_watch_anew);
    tcase_add_test(tcase, when_all_of_several_vanish_at_once_they_are_kept_for_another_wait);
    tcase_add_test(tcase, at_once_is_within_the_beats_that_one_fault_takes_from_all);
    tcase_add_test(tcase, one_who_beats_again_ends_the_doubt_and_the_others_are_gone);
    tcase_add_test(tcase, when_all_beat_again_nothing_has_changed);
    tcase_add_test(tcase, one_of_several_who_is_long_silent_is_no_doubt_about_all);
    tcase_add_test(tcase, an_emptied_hash_is_nobodys_leaving);
    tcase_add_test(tcase, whoever_does_not_come_back_to_an_emptied_hash_is_gone_after_the_wait);
    tcase_add_test(tcase, when_nobody_comes_back_to_an_emptied_hash_that_is_doubted_too);
    tcase_add_test(tcase, entries_of_the_dead_are_named_after_ten_waits);
    tcase_add_test(tcase, names_that_cannot_be_kept_are_nobody);
    tcase_add_test(tcase, no_more_than_the_maximum_are_kept);
    tcase_add_test(tcase, every_key_has_one_owner_and_shares_are_even);
    tcase_add_test(tcase, who_comes_or_goes_moves_its_own_share_alone);
    tcase_add_test(tcase, few_things_are_spread_evenly_and_each_has_one_owner);
    tcase_add_test(tcase, spreading_moves_few_things_besides_those_of_who_goes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
