#include "support_judge.h"

#include "estimator/refold.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

const struct config_app *judge_app(const struct fleet *fleet, const char *name)
{
    const struct config *config = fleet_config(fleet);
    for (size_t i = 0; i < config->apps_count; i++) {
        if (strcmp(config->apps[i].name, name) == 0) {
            return &config->apps[i];
        }
    }
    ck_abort_msg("no app %s", name);
    return NULL;
}

/* ---- I4 ---- */

struct said {
    uint64_t controller;
    struct entry_id decided;
    struct dyn_buf bytes;
};

struct saids {
    struct said *said;
    size_t count, room;
};

static void said_add(void *arg, const struct target *target, bool changed)
{
    struct saids *saids = arg;
    (void)changed;
    if (saids->count == saids->room) {
        saids->room = saids->room > 0 ? 2 * saids->room : 256;
        saids->said = realloc(saids->said, saids->room * sizeof *saids->said);
        ck_assert_ptr_nonnull(saids->said);
    }
    struct said *said = &saids->said[saids->count++];
    *said = (struct said){.controller = target->controller, .decided = target->decided};
    dyn_buf_init(&said->bytes, DYN_ENTRY_MAX);
    message_write_target(&said->bytes, target);
}

/* 1: equal, 0: the fold said something else there, -1: it said nothing. */
static int said_find(const struct saids *saids, const struct target *target, struct dyn_str bytes)
{
    int found = -1;
    for (size_t i = 0; i < saids->count; i++) {
        const struct said *said = &saids->said[i];
        if (said->controller == target->controller &&
            entry_id_compare(said->decided, target->decided) == 0) {
            found = 0;
            if (dyn_str_eq(dyn_buf_str(&said->bytes), bytes)) {
                return 1;
            }
        }
    }
    return found;
}

static bool tape_at(void *arg, size_t index, struct entry_id *out_id, struct dyn_str *out_message)
{
    const struct fleet_tape *values = arg;
    *out_id = values->entries[index].id;
    *out_message = values->entries[index].message;
    return true;
}

static struct saids fold_again(struct fleet *fleet, uint32_t partition)
{
    struct saids saids = {0};
    struct refold refold;
    struct fleet_tape values = fleet_tape(fleet, partition, FLEET_VALUES);
    const struct refold_log log = {tape_at, &values};
    const struct fold_out out = {.target = said_add, .arg = &saids};
    ck_assert_int_eq(refold_init(&refold, fleet_config(fleet), partition, &log), DYN_OK);
    for (size_t i = 0; i < values.count; i++) {
        ck_assert_int_eq(refold_entry(&refold, i, &out), DYN_OK);
    }
    refold_fini(&refold);
    return saids;
}

static bool target_read(struct pack_reader *reader, const struct fleet_entry *entry,
                        struct target *out)
{
    ck_assert_int_eq(pack_reader_start(reader, entry->message), DYN_OK);
    if (message_read_kind(reader) != MESSAGE_TARGET) {
        return false;
    }
    ck_assert_int_eq(message_read_target(reader, out), DYN_OK);
    return true;
}

/* ---- samples ---- */

static void sample_add(struct judge_samples *out, size_t *room, struct judge_sample sample,
                       size_t *newest)
{
    if (out->count == *room) {
        *room = *room > 0 ? 2 * *room : 256;
        out->samples = realloc(out->samples, *room * sizeof *out->samples);
        ck_assert_ptr_nonnull(out->samples);
    }
    if (out->count > 0 && sample.at_ms < out->samples[*newest].at_ms) {
        sample.late = true;
        sample.end_ms = out->samples[*newest].at_ms;
    } else {
        if (out->count > 0) {
            out->samples[*newest].end_ms = sample.at_ms;
        }
        *newest = out->count;
    }
    out->samples[out->count++] = sample;
}

struct judge_samples judge_samples(struct fleet *fleet, const struct config_app *app,
                                   const struct config_input *input)
{
    static struct sample samples[DYN_BATCH_SAMPLES_MAX];
    struct judge_samples out = {0};
    struct pack_reader *reader = pack_reader_new();
    struct fleet_tape values = fleet_tape(fleet, app->partition, FLEET_VALUES);
    size_t room = 0;
    size_t newest = 0;
    for (size_t i = 0; i < values.count; i++) {
        struct batch batch;
        ck_assert_int_eq(pack_reader_start(reader, values.entries[i].message), DYN_OK);
        if (message_read_kind(reader) != MESSAGE_BATCH) {
            continue;
        }
        ck_assert_int_eq(message_read_batch(reader, &batch, samples), DYN_OK);
        for (uint32_t s = 0; s < batch.count; s++) {
            int64_t logged_ms = (int64_t)values.entries[i].id.ms;
            if (samples[s].series == input->series && samples[s].status == SAMPLE_GOOD) {
                sample_add(&out, &room,
                           (struct judge_sample){
                               .at_ms = logged_ms - samples[s].age_ms,
                               .logged_ms = logged_ms,
                               .end_ms = INT64_MAX,
                               .value = samples[s].value,
                               .late = samples[s].age_ms > input->interval_ms,
                           },
                           &newest);
            }
        }
    }
    pack_reader_free(reader);
    return out;
}

static double plan_asked(const struct config_input *input, double value)
{
    for (int32_t i = 0; i < input->plans->count; i++) {
        if (input->plans->plans[i].holds[input->measure] * input->threshold_percent > 100 * value) {
            return i + 1;
        }
    }
    return input->plans->count;
}

static int32_t resources(const struct config_controller *controller,
                         const struct config_input *input, double value)
{
    double asked =
        input->plans != NULL ? plan_asked(input, value) : ceil(value / input->per_resource);
    asked = asked < controller->max_resource ? asked : controller->max_resource;
    return asked > controller->min_resource ? (int32_t)asked : controller->min_resource;
}

/* What samples logged by `logged_ms` and in force in [from_ms, to_ms] ask for at most. */
static int32_t asked_for(const struct config_controller *controller,
                         const struct config_input *input, const struct judge_samples *samples,
                         int64_t from_ms, int64_t to_ms)
{
    int32_t most = controller->min_resource;
    for (size_t i = 0; i < samples->count; i++) {
        const struct judge_sample *sample = &samples->samples[i];
        if (sample->logged_ms <= to_ms && sample->end_ms > from_ms) {
            int32_t asked = resources(controller, input, sample->value);
            most = asked > most ? asked : most;
        }
    }
    return most;
}

/* Whether good samples reach over the whole of [now - period, now] without a larger gap. */
static bool is_covered(const struct config_input *input, const struct judge_samples *samples,
                       int64_t now_ms)
{
    int64_t since_ms = INT64_MAX;
    int64_t last_ms = INT64_MIN / 2;
    for (size_t i = 0; i < samples->count; i++) {
        const struct judge_sample *sample = &samples->samples[i];
        if (sample->late || sample->logged_ms > now_ms) {
            continue;
        }
        if (sample->at_ms - last_ms > input->max_gap_ms) {
            since_ms = sample->at_ms;
        }
        last_ms = sample->at_ms;
    }
    return since_ms <= now_ms - input->hysteresis_period_ms &&
           now_ms - last_ms <= input->max_gap_ms;
}

static const struct config_controller *controller_of(const struct fleet *fleet, uint64_t id,
                                                     const struct config_app **out_app)
{
    const struct config *config = fleet_config(fleet);
    for (size_t a = 0; a < config->apps_count; a++) {
        for (size_t c = 0; c < config->apps[a].controllers_count; c++) {
            if (config->apps[a].controllers[c].id == id) {
                *out_app = &config->apps[a];
                return &config->apps[a].controllers[c];
            }
        }
    }
    return NULL;
}

static void judge_target(struct fleet *fleet, const struct target *target)
{
    const struct config_app *app = NULL;
    const struct config_controller *controller = controller_of(fleet, target->controller, &app);
    ck_assert_ptr_nonnull(controller);
    for (size_t i = 0; i < controller->inputs_count; i++) {
        const struct config_input *input = &controller->inputs[i];
        struct judge_samples samples = judge_samples(fleet, app, input);
        /* What came in the same millisecond may stand behind the tick that decided. */
        int32_t asked = asked_for(controller, input, &samples,
                                  target->log_ms - input->hysteresis_period_ms, target->log_ms - 1);
        if (!target->raise_only && target->rung < asked) {
            fleet_fail(fleet, "%s: target %d at %" PRId64 ", the window asks for %d", app->name,
                       target->rung, target->log_ms, asked);
        }
        if (!target->raise_only && !input->counter &&
            !is_covered(input, &samples, target->log_ms)) {
            fleet_fail(fleet, "%s: target %d at %" PRId64 " may lower, but %s is not covered",
                       app->name, target->rung, target->log_ms, input->name);
        }
        free(samples.samples);
    }
}

size_t judge_targets(struct fleet *fleet)
{
    static struct target target;
    size_t may_lower = 0;
    struct pack_reader *reader = pack_reader_new();
    for (uint32_t p = 0; p < fleet_config(fleet)->redis.partitions; p++) {
        struct fleet_tape targets = fleet_tape(fleet, p, FLEET_TARGETS);
        for (size_t i = 0; i < targets.count; i++) {
            /* A pin is an operator's own doing: it may lower. */
            if (target_read(reader, &targets.entries[i], &target) &&
                target.config == fleet_config(fleet)->hash && target.reason != TARGET_PINNED) {
                judge_target(fleet, &target);
                may_lower += !target.raise_only;
            }
        }
    }
    pack_reader_free(reader);
    return may_lower;
}

/* ---- I4, again ---- */

size_t judge_replay(struct fleet *fleet)
{
    static struct target target;
    size_t compared = 0;
    struct pack_reader *reader = pack_reader_new();
    for (uint32_t p = 0; p < fleet_config(fleet)->redis.partitions; p++) {
        struct fleet_tape targets = fleet_tape(fleet, p, FLEET_TARGETS);
        struct fleet_tape values = fleet_tape(fleet, p, FLEET_VALUES);
        struct saids saids = fold_again(fleet, p);
        uint64_t epoch = 0;
        for (size_t i = 0; i < targets.count; i++) {
            if (!target_read(reader, &targets.entries[i], &target)) {
                continue;
            }
            if (target.epoch < epoch) {
                fleet_fail(fleet, "partition %" PRIu32 ": two estimators publish", p);
            }
            epoch = target.epoch;
            if (target.config != fleet_config(fleet)->hash) {
                continue;
            }
            if (entry_id_compare(target.decided, values.entries[values.count - 1].id) > 0) {
                continue;
            }
            int found = said_find(&saids, &target, targets.entries[i].message);
            if (found != 1) {
                fleet_fail(fleet,
                           "partition %" PRIu32 ": target %d of " DYN_STR_FMT " decided at %" PRIu64
                           "-%" PRIu64 " %s when folded again",
                           p, target.rung, DYN_STR_ARG(target.app), target.decided.ms,
                           target.decided.seq, found == 0 ? "is another" : "does not come");
            }
            compared++;
        }
        for (size_t i = 0; i < saids.count; i++) {
            dyn_buf_fini(&saids.said[i].bytes);
        }
        free(saids.said);
    }
    pack_reader_free(reader);
    return compared;
}

/* ---- what Heroku was told ---- */

/* A target that may lower to `quantity` was the newest at some time shortly before. */
static bool was_allowed(const struct fleet_tape *targets,
                        const struct config_controller *controller,
                        const struct fleet_change *change)
{
    static struct target target;
    bool allowed = false;
    struct pack_reader *reader = pack_reader_new();
    for (size_t i = 0; i < targets->count; i++) {
        int64_t published_ms = (int64_t)targets->entries[i].id.ms;
        if (published_ms > change->at_ms || !target_read(reader, &targets->entries[i], &target) ||
            target.controller != controller->id) {
            continue;
        }
        bool allows = !target.raise_only && target.rung <= change->quantity;
        /* The newest of all before the last moments counts, and every one since. */
        allowed = published_ms <= change->at_ms - JUDGE_LATE_MS ? allows : allowed || allows;
    }
    pack_reader_free(reader);
    return allowed;
}

static int quantity_at(const struct fleet_changes *changes, int64_t at_ms)
{
    int quantity = changes->first;
    for (size_t i = 0; i < changes->count && changes->changes[i].done_ms <= at_ms; i++) {
        quantity = changes->changes[i].quantity;
    }
    return quantity;
}

/* How long it took until `asked` ran; -1: it never did. */
static int64_t late_by(const struct fleet_changes *changes, int64_t at_ms, int32_t asked)
{
    if (quantity_at(changes, at_ms) >= asked) {
        return 0;
    }
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->changes[i].done_ms >= at_ms && changes->changes[i].quantity >= asked) {
            return changes->changes[i].done_ms - at_ms;
        }
    }
    return -1;
}

struct judge_run judge_changes(struct fleet *fleet, const char *name, int first)
{
    const struct config_app *app = judge_app(fleet, name);
    const struct config_controller *controller = &app->controllers[0];
    const struct config_input *input = &controller->inputs[0];
    struct judge_run run = {0};
    struct judge_samples samples = judge_samples(fleet, app, input);
    struct fleet_tape targets = fleet_tape(fleet, app->partition, FLEET_TARGETS);
    struct fleet_changes changes = fleet_changes(fleet, name, first);
    int before = first;
    for (size_t i = 0; i < changes.count; i++) {
        const struct fleet_change *change = &changes.changes[i];
        int32_t asked =
            asked_for(controller, input, &samples, change->at_ms - input->hysteresis_period_ms,
                      change->at_ms - JUDGE_LATE_MS);
        run.rises += change->quantity > before;
        run.falls += change->quantity < before;
        if (change->quantity < before && change->quantity < asked) {
            fleet_fail(fleet, "%s: lowered from %d to %d at %" PRId64 ", the window asks for %d",
                       name, before, change->quantity, change->at_ms, asked);
        }
        if (change->quantity < before && !was_allowed(&targets, controller, change)) {
            fleet_fail(fleet, "%s: lowered from %d to %d at %" PRId64 ", no target allowed it",
                       name, before, change->quantity, change->at_ms);
        }
        before = change->quantity;
    }
    for (size_t i = 0; i < samples.count; i++) {
        int32_t asked = resources(controller, input, samples.samples[i].value);
        int64_t late_ms = late_by(&changes, samples.samples[i].at_ms, asked);
        if (late_ms < 0 && samples.samples[i].at_ms > fleet_now_ms() - JUDGE_LATE_MS) {
            continue; /* it came with the end of the scenario */
        }
        late_ms = late_ms < 0 ? INT64_MAX : late_ms;
        run.late_ms = late_ms > run.late_ms ? late_ms : run.late_ms;
    }
    free(samples.samples);
    free(changes.changes);
    return run;
}
