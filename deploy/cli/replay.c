/*
 * replay: do the recorded values, folded again, give the recorded targets, bit for bit?
 */
#include "common/clock.h"
#include "deploy/cli/cli.h"
#include "deploy/cli/recording.h"
#include "estimator/refold.h"

#include <inttypes.h>

#define REPLAY_TOLD_MAX 5 /* differences spelled out; all are counted */

enum replay_verdict {
    REPLAY_MISSING = 0, /* nothing was decided at that entry */
    REPLAY_DIFFERENT,
    REPLAY_EQUAL,
    REPLAY_EARLY, /* decided before the recording has all that its leader knew */
    REPLAY_LATE,  /* decided by an entry behind the last one recorded */
    REPLAY_OTHER, /* under another configuration */
    REPLAY_VERDICTS
};

/* A recorded target, found by the entry that decided it. */
struct replay_target {
    struct entry_id decided;
    uint64_t controller;
    size_t entry; /* index into the recording's entries */
    enum replay_verdict verdict;
};

struct replay {
    const struct cli_command *self;
    const struct config *config;
    const struct recording *recording;
    struct refold refold;
    struct pack_reader *reader;    /* of the targets */
    struct replay_target *targets; /* by decided */
    size_t count;
    size_t next;              /* the first whose entry was not folded yet */
    struct entry_id first;    /* of the values */
    struct entry_id last;     /* of the values */
    struct entry_id now;      /* the entry at work */
    struct dyn_buf bytes;     /* what the fold gives, encoded */
    struct dyn_buf different; /* the last target given that was not equal */
    uint64_t values, malformed, unpublished;
    uint64_t verdicts[REPLAY_VERDICTS];
    uint64_t told;
};

/* ---- the recorded targets ---- */

static int replay_compare(const void *a, const void *b)
{
    const struct replay_target *left = a;
    const struct replay_target *right = b;
    int order = entry_id_compare(left->decided, right->decided);
    return order != 0 ? order : (left->entry > right->entry) - (left->entry < right->entry);
}

static void replay_take_target(struct replay *replay, size_t entry, const struct target *target)
{
    enum replay_verdict verdict = REPLAY_MISSING;
    if (target->config != replay->config->hash) {
        verdict = REPLAY_OTHER;
    } else if (entry_id_compare(target->decided, replay->first) < 0) {
        verdict = REPLAY_EARLY;
    } else if (entry_id_compare(target->decided, replay->last) > 0) {
        verdict = REPLAY_LATE;
    }
    replay->targets[replay->count++] = (struct replay_target){.decided = target->decided,
                                                              .controller = target->controller,
                                                              .entry = entry,
                                                              .verdict = verdict};
}

static void replay_find_values(struct replay *replay)
{
    const struct recording *recording = replay->recording;
    for (size_t i = 0; i < recording->count; i++) {
        if (recording->entries[i].stream == RECORDING_VALUES) {
            replay->first = replay->values == 0 ? recording->entries[i].id : replay->first;
            replay->last = recording->entries[i].id;
            replay->values++;
        }
    }
}

static dyn_err replay_collect(struct replay *replay)
{
    const struct recording *recording = replay->recording;
    struct target *target = malloc(sizeof(*target));
    replay->targets = calloc(recording->count + 1, sizeof(*replay->targets));
    if (replay->targets == NULL || target == NULL) {
        free(target);
        return DYN_NOMEM;
    }
    for (size_t i = 0; i < recording->count; i++) {
        const struct recording_entry *entry = &recording->entries[i];
        if (entry->stream != RECORDING_TARGETS) {
            continue;
        }
        enum message_kind kind = 0;
        if (pack_reader_start(replay->reader, entry->message) == DYN_OK) {
            kind = message_read_kind(replay->reader);
        }
        if (kind == MESSAGE_TARGET && message_read_target(replay->reader, target) == DYN_OK) {
            replay_take_target(replay, i, target);
        } else if (kind != MESSAGE_MARK) {
            replay->malformed++;
        }
    }
    free(target);
    qsort(replay->targets, replay->count, sizeof(*replay->targets), replay_compare);
    return DYN_OK;
}

/* ---- comparing ---- */

/* A recording that begins in the middle of what a leader knew: what was said before it counts for
 * one window more than it takes until every input of the controller has been heard again. */
static bool replay_is_early(const struct replay *replay, uint64_t controller)
{
    int64_t heard = fold_heard_since(replay->refold.fold, controller);
    return !replay->refold.whole &&
           (heard == INT64_MAX ||
            (int64_t)replay->now.ms < heard + replay->config->longest_window_ms);
}

/* What the fold gives now, against what was recorded of this entry and controller. True: some
 * recorded target is of this controller. */
static bool replay_match(struct replay *replay, const struct target *target)
{
    bool found = false;
    dyn_buf_clear(&replay->bytes);
    message_write_target(&replay->bytes, target);
    for (size_t i = replay->next; i < replay->count; i++) {
        struct replay_target *recorded = &replay->targets[i];
        if (entry_id_compare(recorded->decided, replay->now) != 0) {
            break;
        }
        if (recorded->controller != target->controller) {
            continue;
        }
        found = true;
        struct dyn_str bytes = replay->recording->entries[recorded->entry].message;
        if (recorded->verdict == REPLAY_MISSING || recorded->verdict == REPLAY_DIFFERENT) {
            bool equal = dyn_str_eq(bytes, dyn_buf_str(&replay->bytes));
            recorded->verdict = equal ? REPLAY_EQUAL : REPLAY_DIFFERENT;
        }
    }
    return found;
}

static void replay_given(void *arg, const struct target *target, bool changed)
{
    struct replay *replay = arg;
    bool found = replay_match(replay, target);
    replay->unpublished += changed && !found && !replay_is_early(replay, target->controller);
}

static void replay_restated(void *arg, const struct target *target, bool changed)
{
    struct replay *replay = arg;
    (void)changed;
    if (replay_match(replay, target)) {
        dyn_buf_clear(&replay->different);
        dyn_buf_add_str(&replay->different, dyn_buf_str(&replay->bytes));
    }
}

static void replay_tell_numbers(const char *who, struct pack_reader *reader, struct dyn_str bytes)
{
    struct target target;
    if (pack_reader_start(reader, bytes) != DYN_OK || message_read_kind(reader) != MESSAGE_TARGET ||
        message_read_target(reader, &target) != DYN_OK) {
        printf("    %-9s nothing\n", who);
        return;
    }
    printf("    %-9s target %d%s, %s, estimate %d, epoch %" PRIu64, who, target.rung,
           target.raise_only ? " raise_only" : "", target_reason_text(target.reason),
           target.estimate, target.epoch);
    for (uint32_t i = 0; i < target.inputs_count; i++) {
        const struct input_story *input = &target.inputs[i];
        printf("; " DYN_STR_FMT " value %.17g max %.17g estimate %d %s", DYN_STR_ARG(input->name),
               input->value, input->max, input->estimate, input_cover_text(input->cover));
    }
    putchar('\n');
}

static void replay_tell(struct replay *replay, const struct replay_target *recorded)
{
    struct dyn_str bytes = replay->recording->entries[recorded->entry].message;
    struct dyn_str ours = dyn_buf_str(&replay->different);
    char decided[ENTRY_ID_TEXT];
    char written[ENTRY_ID_TEXT];
    if (replay->told++ >= REPLAY_TOLD_MAX) {
        return;
    }
    entry_id_format(recorded->decided, decided, sizeof(decided));
    entry_id_format(replay->recording->entries[recorded->entry].id, written, sizeof(written));
    printf("different: target %s, decided at entry %s, controller %016" PRIx64 "\n", written,
           decided, recorded->controller);
    replay_tell_numbers("recorded", replay->reader, bytes);
    replay_tell_numbers("folded", replay->reader, ours);
    size_t at = 0;
    while (at < bytes.len && at < ours.len && bytes.ptr[at] == ours.ptr[at]) {
        at++;
    }
    printf("    %zu and %zu bytes, the first difference at byte %zu\n", bytes.len, ours.len, at);
}

/* A target that is only restated has no change to match it: the fold is asked for what it would
 * say of that controller now. */
static void replay_settle(struct replay *replay)
{
    struct fold_out out = {.target = replay_restated, .arg = replay};
    while (replay->next < replay->count) {
        struct replay_target *recorded = &replay->targets[replay->next];
        int order = entry_id_compare(recorded->decided, replay->now);
        if (order > 0) {
            return;
        }
        dyn_buf_clear(&replay->different);
        bool open = recorded->verdict == REPLAY_MISSING || recorded->verdict == REPLAY_DIFFERENT;
        if (order == 0 && open &&
            fold_restate(replay->refold.fold, recorded->controller, &out) != DYN_OK) {
            recorded->verdict = REPLAY_MISSING;
        }
        bool compared = open || recorded->verdict == REPLAY_EQUAL;
        if (order == 0 && compared && replay_is_early(replay, recorded->controller)) {
            recorded->verdict = REPLAY_EARLY;
        }
        if (recorded->verdict == REPLAY_MISSING || recorded->verdict == REPLAY_DIFFERENT) {
            replay_tell(replay, recorded);
        }
        replay->verdicts[recorded->verdict]++;
        replay->next++;
    }
}

static bool replay_at(void *arg, size_t index, struct entry_id *out_id, struct dyn_str *out_message)
{
    const struct replay *replay = arg;
    const struct recording_entry *entry = &replay->recording->entries[index];
    if (entry->stream != RECORDING_VALUES) {
        return false;
    }
    *out_id = entry->id;
    *out_message = entry->message;
    return true;
}

static dyn_err replay_fold(struct replay *replay)
{
    struct fold_out out = {.target = replay_given, .arg = replay};
    for (size_t i = 0; i < replay->recording->count; i++) {
        const struct recording_entry *entry = &replay->recording->entries[i];
        if (entry->stream != RECORDING_VALUES) {
            continue;
        }
        replay->now = entry->id;
        dyn_err err = refold_entry(&replay->refold, i, &out);
        if (err == DYN_NOMEM) {
            return err;
        }
        replay->malformed += err != DYN_OK;
        replay_settle(replay);
    }
    replay->now = (struct entry_id){UINT64_MAX, UINT64_MAX};
    replay_settle(replay);
    return DYN_OK;
}

/* ---- what is told ---- */

static int replay_print(const struct replay *replay)
{
    const struct refold *refold = &replay->refold;
    const uint64_t *verdicts = replay->verdicts;
    uint64_t different = verdicts[REPLAY_DIFFERENT] + verdicts[REPLAY_MISSING];
    printf("entries        %" PRIu64 " of values, %zu of targets\n", replay->values,
           replay->recording->count - (size_t)replay->values);
    printf("samples        %" PRIu64 " (%" PRIu64 " good)\n", refold->samples, refold->good);
    printf("ticks          %" PRIu64 " (%" PRIu64 " of older epochs, ignored)\n", refold->ticks,
           refold->ticks_ignored);
    printf("compared       %" PRIu64 "\n", verdicts[REPLAY_EQUAL] + different);
    printf("  equal        %" PRIu64 "\n", verdicts[REPLAY_EQUAL]);
    printf("  different    %" PRIu64 " (%" PRIu64 " decided where the fold decides nothing)\n",
           different, verdicts[REPLAY_MISSING]);
    printf("not judged     %" PRIu64 " before the recording has what their leader knew (%" PRId64
           " s), %" PRIu64 " behind the last entry, %" PRIu64 " of another configuration\n",
           verdicts[REPLAY_EARLY], replay->config->longest_window_ms / 1000, verdicts[REPLAY_LATE],
           verdicts[REPLAY_OTHER]);
    printf("not published  %" PRIu64 " (coalesced, or decided while nobody led)\n",
           replay->unpublished);
    if (replay->malformed > 0) {
        printf("malformed      %" PRIu64 "\n", replay->malformed);
    }
    return different > 0 ? CLI_FAILED : CLI_DONE;
}

static int replay_recording(struct replay *replay)
{
    const struct recording_head *head = &replay->recording->head;
    if (head->config != replay->config->hash) {
        return cli_failed(replay->self,
                          "the recording was made with another configuration (hash %016" PRIx64
                          ", this file's is %016" PRIx64
                          "): what it decides cannot be compared. Use the file of then",
                          head->config, replay->config->hash);
    }
    if (replay->recording->cut) {
        cli_warn("the recording is cut off; what is whole is used");
    }
    const struct refold_log log = {replay_at, replay};
    replay_find_values(replay);
    replay->reader = pack_reader_new();
    if (refold_init(&replay->refold, replay->config, head->partition, &log) != DYN_OK ||
        replay->reader == NULL || replay_collect(replay) != DYN_OK) {
        return cli_failed(replay->self, "out of memory");
    }
    char when[32];
    dyn_clock_format(head->wall_ms, when, sizeof(when));
    printf("partition %" PRIu32 ", recorded %s\n", head->partition, when);
    if (replay_fold(replay) != DYN_OK) {
        return cli_failed(replay->self, "out of memory");
    }
    return replay_print(replay);
}

static int replay_files(const struct cli_command *self, const char *file, const char *path)
{
    struct dyn_error error = {.text = ""};
    struct config *config = cli_config_load(file);
    if (config == NULL) {
        return CLI_USAGE;
    }
    int status;
    struct recording *recording = recording_load(path, &error);
    if (recording != NULL) {
        struct replay replay = {.self = self, .config = config, .recording = recording};
        dyn_buf_init(&replay.bytes, DYN_ENTRY_MAX);
        dyn_buf_init(&replay.different, DYN_ENTRY_MAX);
        status = replay_recording(&replay);
        dyn_buf_fini(&replay.bytes);
        dyn_buf_fini(&replay.different);
        pack_reader_free(replay.reader);
        refold_fini(&replay.refold);
        free(replay.targets);
    } else {
        status = cli_failed(self, "%s", error.text);
    }
    recording_free(recording);
    config_free(config);
    return status;
}

static int replay_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    const char *files[2] = {NULL, NULL};
    size_t count = 0;
    int found;
    while ((found = cli_args_next(&args)) != CLI_ARG_END) {
        if (found == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (count == 2) {
            return cli_usage(self, "FILE and RECORDING, not also %s", args.value);
        }
        files[count++] = args.value;
    }
    if (count < 2) {
        return cli_usage(self, "%s is missing",
                         count == 0 ? "the configuration file" : "the recording");
    }
    return replay_files(self, files[0], files[1]);
}

const struct cli_command cli_replay = {
    .name = "replay",
    .arguments = "FILE RECORDING",
    .summary = "fold a recording again and compare every target, bit for bit",
    .help = "Folds the values of a recording with the estimator's own core and compares every\n"
            "recorded target with what comes out at the entry that decided it. FILE must be the\n"
            "configuration that was in force. Exit 1 on any difference.",
    .run = replay_run,
};
