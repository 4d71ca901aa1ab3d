#include "estimator/fold_internal.h"

#include <math.h>

struct fold *fold_new(const struct config *config, uint32_t partition)
{
    struct fold *fold = calloc(1, sizeof(*fold));
    if (fold == NULL) {
        return NULL;
    }
    fold->partition = partition;
    fold->tick_at = WINDOW_NEVER;
    if (fold_plan_make(&fold->plan, config, partition) != DYN_OK) {
        free(fold);
        return NULL;
    }
    return fold;
}

void fold_free(struct fold *fold)
{
    if (fold == NULL) {
        return;
    }
    fold_plan_fini(&fold->plan);
    free(fold);
}

const struct config *fold_config(const struct fold *fold)
{
    return fold->plan.config;
}

uint64_t fold_epoch(const struct fold *fold)
{
    return fold->epoch;
}

struct entry_id fold_last(const struct fold *fold)
{
    return fold->last;
}

void fold_counts(const struct fold *fold, struct fold_counts *out)
{
    *out = fold->counts;
    out->controllers = fold->plan.controllers_count;
    out->inputs = fold->plan.inputs_count;
}

size_t fold_bytes(const struct fold *fold)
{
    return sizeof(*fold) + fold_plan_bytes(&fold->plan);
}

/* ---- decisions: pure functions of windows, configuration, pins and time ---- */

static int32_t fold_step(const struct config_input *config, double value)
{
    int32_t resources = 0;
    for (size_t i = 0; i < config->steps_count && config->steps[i].from <= value; i++) {
        resources = config->steps[i].resources;
    }
    return resources;
}

int32_t fold_resources(const struct config_input *config, double value)
{
    DYN_ASSERT(config->conversion != CONFIG_TARGET);
    if (config->conversion == CONFIG_STEP) {
        return fold_step(config, value);
    }
    if (config->plans != NULL) {
        bool above;
        int32_t rung =
            plan_rung_for(config->plans, config->measure, config->threshold_percent, value, &above);
        return above ? rung + 1 : rung;
    }
    double resources = ceil(value / config->per_resource);
    return resources < FOLD_RESOURCES_MAX ? (int32_t)resources : FOLD_RESOURCES_MAX;
}

enum fold_lag fold_lag(const struct fold_input *input, int64_t now)
{
    int64_t since = input->window.good_at != WINDOW_NEVER ? input->window.good_at : input->born_at;
    if (since == WINDOW_NEVER || now - since <= input->config->max_gap_ms) {
        return LAG_NONE;
    }
    return now - since > FOLD_OUTAGE_MS ? LAG_OUTAGE : LAG_STALE;
}

enum input_cover fold_input_cover(const struct fold_input *input, int64_t now)
{
    if (input->config->on_outage != CONFIG_HOLD && fold_lag(input, now) == LAG_OUTAGE) {
        return input->config->on_outage == CONFIG_IGNORE ? COVER_IGNORED : COVER_FALLBACK;
    }
    struct window_rule rule = fold_rule(input->config);
    enum input_cover cover = window_cover(&input->window, &rule, now);
    if (cover == COVER_YES && input->asked != NULL) {
        /* Values alone say nothing about a fall where it is not known what ran. */
        rule = fold_asked_rule(input->config);
        cover = window_cover(input->asked, &rule, now);
    }
    return cover;
}

/* The highest of what values asked for when they came, where that depends on what ran; else what
 * the highest value asks for. */
static int32_t fold_window_estimate(const struct fold_input *input)
{
    double max = window_max(input->asked != NULL ? input->asked : &input->window);
    if (isnan(max)) {
        return -1;
    }
    return input->asked != NULL ? (int32_t)max : fold_resources(input->config, max);
}

static int32_t fold_estimate(const struct fold_input *input, enum input_cover cover)
{
    if (cover == COVER_IGNORED) {
        return -1;
    }
    int32_t estimate = fold_window_estimate(input);
    if (cover == COVER_FALLBACK && input->config->fallback > estimate) {
        estimate = input->config->fallback;
    }
    return estimate;
}

int32_t fold_input_estimate(const struct fold_input *input, int64_t now)
{
    return fold_estimate(input, fold_input_cover(input, now));
}

static void fold_clamp(const struct fold_controller *controller, struct fold_decision *decision)
{
    const struct config_controller *config = controller->config;
    /* Nothing is ever scaled to nothing: 0 is a person's way to switch an app off. */
    int32_t least = config->min_resource > 1 ? config->min_resource : 1;
    decision->rung = decision->estimate;
    decision->reason = TARGET_DEMAND;
    if (decision->rung > config->max_resource) {
        decision->rung = config->max_resource;
        decision->reason = TARGET_AT_MAX;
    }
    if (decision->rung < least) {
        decision->rung = least;
        decision->reason = TARGET_AT_MIN;
    }
    if (controller->pin >= 0) {
        decision->rung = controller->pin;
        decision->reason = TARGET_PINNED;
        decision->raise_only = false;
    }
}

static void fold_expire(struct fold_input *input, int64_t now)
{
    struct window_rule rule = fold_rule(input->config);
    window_expire(&input->window, &rule, now);
    if (input->asked != NULL) {
        window_expire(input->asked, &rule, now);
    }
}

/* Every input that is to be heard must be covered for a fall; with none that says a number, nothing
 * may fall either. What was given once is never taken back: a pin that is over, where no value ever
 * came, leaves min_resource. */
static struct fold_decision fold_decide(struct fold *fold, const struct fold_controller *controller,
                                        int64_t now)
{
    struct fold_decision decision = {.estimate = -1};
    bool heard = false;
    for (uint32_t i = 0; i < controller->inputs_count; i++) {
        struct fold_input *input = &fold->plan.inputs[controller->first_input + i];
        fold_expire(input, now);
        enum input_cover cover = fold_input_cover(input, now);
        int32_t estimate = fold_estimate(input, cover);
        decision.estimate = estimate > decision.estimate ? estimate : decision.estimate;
        heard = heard || estimate >= 0;
        decision.raise_only |= cover != COVER_YES && cover != COVER_IGNORED;
    }
    if (!heard && controller->given.exists) {
        /* All that is left is what the last heard input asked for. */
        decision = controller->given;
    }
    decision.raise_only |= !heard;
    decision.exists = decision.estimate >= 0 || controller->pin >= 0 || controller->given.exists;
    if (decision.exists) {
        fold_clamp(controller, &decision);
    }
    return decision;
}

static bool fold_same(const struct fold_decision *a, const struct fold_decision *b)
{
    return a->exists == b->exists && a->rung == b->rung && a->raise_only == b->raise_only &&
           a->reason == b->reason;
}

/* Whether an entry's ID is a time that can be reckoned with. */
static bool fold_enter(struct fold *fold, struct entry_id id, int64_t *out_now)
{
    if (id.ms > FOLD_MS_MAX) {
        fold->counts.malformed++;
        return false;
    }
    fold->last = id;
    *out_now = (int64_t)id.ms;
    return true;
}

/* ---- batches ---- */

/* What is missing before this batch: batches that never came, and the samples that it says were
 * lost. A batch that is sent again says so a second time, and is not counted a second time. */
static uint64_t fold_missing(struct fold *fold, const struct batch *batch)
{
    uint64_t name = dyn_hash(DYN_HASH_SEED, batch->member);
    for (size_t i = 0; i < fold->members_count; i++) {
        struct fold_member *member = &fold->members[i];
        if (member->name != name) {
            continue;
        }
        if (batch->seq <= member->seq) {
            return 0;
        }
        uint64_t missing = batch->seq - member->seq - 1;
        member->seq = batch->seq;
        return batch->lost + missing;
    }
    struct fold_member born = {name, batch->seq};
    if (fold->members_count < FOLD_MEMBERS_MAX) {
        fold->members[fold->members_count++] = born;
    } else {
        fold->members[fold->member_oldest] = born;
        fold->member_oldest = (fold->member_oldest + 1) % FOLD_MEMBERS_MAX;
    }
    return batch->lost;
}

static void fold_keep_reason(struct fold_input *input, struct dyn_str reason)
{
    if (input->reason != NULL && dyn_str_is(reason, input->reason)) {
        return;
    }
    free(input->reason);
    input->reason = reason.len > 0 ? strndup(reason.ptr, reason.len) : NULL;
}

/* A rise is given at once; what may have become lower waits for its tick. `asked` is what the new
 * value alone asks for. */
static void fold_rise(struct fold *fold, struct fold_controller *controller, int32_t asked,
                      int64_t now, const struct fold_out *out)
{
    if (controller->given.exists) {
        asked = asked < controller->config->max_resource ? asked : controller->config->max_resource;
        if (asked <= controller->given.rung) {
            return;
        }
    }
    struct fold_decision decision = fold_decide(fold, controller, now);
    if (!decision.exists) {
        return; /* a late value of an input that is left out */
    }
    if (controller->given.exists) {
        decision.raise_only |= controller->given.raise_only;
        if (decision.rung <= controller->given.rung) {
            return;
        }
    }
    controller->given = decision;
    fold_give_target(fold, controller, now, true, out);
}

/* A sample of no input: what runs, or nothing that is known here. */
static void fold_other(struct fold *fold, const struct sample *sample, int64_t now)
{
    struct fold_controller *controller = fold_plan_running(&fold->plan, sample->series);
    if (controller == NULL || sample->status != SAMPLE_GOOD) {
        fold->counts.unknown++;
        return;
    }
    fold->counts.good++;
    running_add(controller->running, now > sample->age_ms ? now - sample->age_ms : 0,
                sample->value);
}

/* What the value alone asks for; -1: that cannot be said, because what ran is not known. */
static int32_t fold_ask(struct fold *fold, struct fold_input *input, double value, int64_t at,
                        int64_t now)
{
    const struct config_input *config = input->config;
    if (input->asked == NULL) {
        return fold_resources(config, value);
    }
    int32_t runs = 0;
    int32_t fewest = 0;
    const struct running *running = fold->plan.controllers[input->controller].running;
    if (!running_at(running, at, config->settle_ms, &runs, &fewest)) {
        return -1;
    }
    int32_t asked = running_estimate(config, value, runs, fewest);
    struct window_rule rule = fold_asked_rule(config);
    window_add(input->asked, &rule, at, now, asked);
    return asked;
}

static void fold_sample(struct fold *fold, const struct sample *sample, int64_t now,
                        const struct fold_out *out)
{
    struct fold_input *input = fold_plan_find(&fold->plan, sample->series);
    if (input == NULL) {
        fold_other(fold, sample, now);
        return;
    }
    if (input->born_at == WINDOW_NEVER) {
        input->born_at = now;
    }
    input->disabled = sample->status == SAMPLE_DISABLED;
    if (sample->status != SAMPLE_GOOD) {
        fold->counts.failed++;
        fold_keep_reason(input, sample->reason);
        return;
    }
    fold->counts.good++;
    fold_keep_reason(input, DYN_STR(""));
    int64_t at = now > sample->age_ms ? now - sample->age_ms : 0;
    fold->counts.late += at < input->window.last_at;
    struct window_rule rule = fold_rule(input->config);
    bool heard = input->window.good_at != WINDOW_NEVER;
    if (input->config->counter) {
        counter_add(&input->window, &input->turned_at, &rule, at, now, sample->value);
    } else {
        window_add(&input->window, &rule, at, now, sample->value);
    }
    if (!heard && input->window.good_at != WINDOW_NEVER) {
        input->born_at = now;
    }
    int32_t asked = fold_ask(fold, input, sample->value, at, now);
    fold_rise(fold, &fold->plan.controllers[input->controller], asked, now, out);
}

void fold_batch(struct fold *fold, struct entry_id id, const struct batch *batch,
                const struct sample *samples, const struct fold_out *out)
{
    DYN_ASSERT(batch->count <= DYN_BATCH_SAMPLES_MAX);
    int64_t now = 0;
    if (!fold_enter(fold, id, &now)) {
        return;
    }
    uint64_t lost = fold_missing(fold, batch);
    if (lost > 0) {
        fold->counts.lost += lost;
        fold->lost_lately += lost;
        fold_tell_lost(fold, batch->member, lost, out);
    }
    fold->counts.samples += batch->count;
    for (uint32_t i = 0; i < batch->count; i++) {
        fold_sample(fold, &samples[i], now, out);
    }
}

/* ---- ticks ---- */

static void fold_break(struct fold *fold, int64_t now)
{
    for (size_t i = 0; i < fold->plan.inputs_count; i++) {
        struct fold_input *input = &fold->plan.inputs[i];
        if (input->config->counter) {
            struct window_rule rule = fold_rule(input->config);
            counter_break(&input->window, &rule, now);
        } else {
            window_break(&input->window);
        }
        if (input->asked != NULL) {
            window_break(input->asked);
        }
    }
}

/* Every target is given again, and every trouble that lasts is told again, for whatever the leader
 * before had not got out; so is what was lost since its last tick. */
static void fold_new_epoch(struct fold *fold, uint64_t epoch, int64_t now,
                           const struct fold_out *out)
{
    fold->epoch = epoch; /* first: a leader lets nothing out before it is its own */
    if (fold->lost_lately > 0) {
        fold_tell_lost(fold, DYN_STR(""), fold->lost_lately, out);
    }
    fold->tick_at = WINDOW_NEVER;
    fold->drift_ms = 0;
    for (size_t c = 0; c < fold->plan.controllers_count; c++) {
        fold->plan.controllers[c].given.exists = false;
    }
    fold_forget_told(fold, now);
}

/* How long the log had no leader before the first tick of another; 0: not for so long that it
 * matters. Nobody has compared the clock of Redis with another one meanwhile. */
static int64_t fold_alone_ms(const struct fold *fold, const struct tick *tick, int64_t now)
{
    if (tick->epoch == fold->epoch || fold->tick_at == WINDOW_NEVER) {
        return 0;
    }
    int64_t alone_ms = now - fold->tick_at;
    return alone_ms > FOLD_ALONE_MS ? alone_ms : 0;
}

static void fold_watch_clock(struct fold *fold, const struct tick *tick, int64_t now,
                             int64_t alone_ms, const struct fold_out *out)
{
    if (fold->tick_at != WINDOW_NEVER) {
        fold->drift_ms += (now - fold->tick_at) - tick->elapsed_ms;
        int64_t forgiven = fold->drift_ms > 0 ? -FOLD_DRIFT_MS : FOLD_DRIFT_MS;
        fold->drift_ms += fold->drift_ms != 0 ? forgiven : 0;
    }
    fold->tick_at = now;
    bool jumped = fold->drift_ms > FOLD_JUMP_MS || fold->drift_ms < -FOLD_JUMP_MS;
    if (jumped || alone_ms > 0 || tick->breaks != BREAK_NONE) {
        fold->counts.jumps++;
        fold_break(fold, now);
        fold_tell_break(fold, tick->breaks, alone_ms, fold->drift_ms, out);
        fold->drift_ms = 0;
    }
}

static void fold_take_pins(struct fold *fold, const struct tick *tick, int64_t now)
{
    for (size_t c = 0; c < fold->plan.controllers_count; c++) {
        fold->plan.controllers[c].pin = -1;
    }
    for (uint32_t p = 0; p < tick->pins_count; p++) {
        const struct pin *pin = &tick->pins[p];
        struct fold_controller *controller = fold_plan_controller(&fold->plan, pin->controller);
        if (controller != NULL && pin->until_ms > now && pin->rung > 0) {
            controller->pin = pin->rung;
        }
    }
}

static bool fold_due(int64_t before, int64_t now, int64_t interval_ms)
{
    return before == WINDOW_NEVER || now / interval_ms != before / interval_ms;
}

static void fold_tick_controller(struct fold *fold, size_t index, int64_t now, int64_t before,
                                 const struct fold_out *out)
{
    struct fold_controller *controller = &fold->plan.controllers[index];
    for (uint32_t i = 0; i < controller->inputs_count; i++) {
        struct fold_input *input = &fold->plan.inputs[controller->first_input + i];
        if (input->born_at == WINDOW_NEVER) {
            input->born_at = now;
        }
        fold_tell_lag(fold, input, now, out);
        fold_tell_disabled(fold, input, now, out);
        fold_tell_above(fold, input, now, out);
    }
    fold_tell_running(fold, controller, now, out);
    struct fold_decision decision = fold_decide(fold, controller, now);
    if (decision.exists && !fold_same(&decision, &controller->given)) {
        controller->given = decision;
        fold_give_target(fold, controller, now, true, out);
    } else if (decision.exists) {
        controller->given.estimate = decision.estimate;
    }
    if (out->report != NULL && fold_due(before, now, controller->app->interval_ms)) {
        fold_give_report(fold, controller, now, out);
    }
}

/* A few controllers a tick, so that all are restated within FOLD_KEYFRAME_TICKS. */
static void fold_keyframes(struct fold *fold, int64_t now, const struct fold_out *out)
{
    size_t count = fold->plan.controllers_count;
    size_t due = (count + FOLD_KEYFRAME_TICKS - 1) / FOLD_KEYFRAME_TICKS;
    for (size_t i = 0; i < due; i++) {
        DYN_ASSERT(count > 0);
        fold->keyframe = (fold->keyframe + 1) % count;
        const struct fold_controller *controller = &fold->plan.controllers[fold->keyframe];
        if (controller->given.exists) {
            fold_give_target(fold, controller, now, false, out);
        }
    }
}

/* An epoch that no lease can have yet would make every later tick be ignored. */
static bool fold_is_possible(struct entry_id id, const struct tick *tick)
{
    return tick->epoch <= id.ms + FOLD_EPOCH_AHEAD_MS;
}

bool fold_is_taken_over(struct fold *fold, struct pack_reader *reader, struct entry_id id,
                        struct dyn_str message, const struct tick **out_tick)
{
    bool is_tick = id.ms <= FOLD_MS_MAX && pack_reader_start(reader, message) == DYN_OK &&
                   message_read_kind(reader) == MESSAGE_TICK &&
                   message_read_tick(reader, &fold->tick) == DYN_OK;
    if (!is_tick || fold->tick.epoch <= fold->epoch || !fold_is_possible(id, &fold->tick)) {
        return false;
    }
    *out_tick = &fold->tick;
    return true;
}

void fold_tick(struct fold *fold, struct entry_id id, const struct tick *tick,
               const struct fold_out *out)
{
    int64_t now = 0;
    if (!fold_enter(fold, id, &now)) {
        return;
    }
    if (tick->epoch < fold->epoch || !fold_is_possible(id, tick)) {
        fold->counts.ticks_ignored++;
        return;
    }
    fold->counts.ticks++;
    int64_t alone_ms = fold_alone_ms(fold, tick, now);
    if (tick->epoch > fold->epoch) {
        fold_new_epoch(fold, tick->epoch, now, out);
    }
    fold->lost_lately = 0;
    int64_t before = fold->tick_at;
    fold_watch_clock(fold, tick, now, alone_ms, out);
    fold_take_pins(fold, tick, now);
    for (size_t c = 0; c < fold->plan.controllers_count; c++) {
        fold_tick_controller(fold, c, now, before, out);
    }
    fold_keyframes(fold, now, out);
}

int64_t fold_heard_since(const struct fold *fold, uint64_t controller)
{
    const struct fold_controller *found = fold_plan_controller(&fold->plan, controller);
    int64_t since = found != NULL ? 0 : INT64_MAX;
    for (uint32_t i = 0; found != NULL && i < found->inputs_count; i++) {
        const struct fold_input *input = &fold->plan.inputs[found->first_input + i];
        int64_t heard = input->window.good_at != WINDOW_NEVER ? input->born_at : INT64_MAX;
        since = heard > since ? heard : since;
    }
    if (found != NULL && found->running != NULL) {
        int64_t heard = found->running->count > 0 ? found->running->spans[0].from : INT64_MAX;
        since = heard > since ? heard : since;
    }
    return since;
}

dyn_err fold_restate(struct fold *fold, uint64_t controller, const struct fold_out *out)
{
    const struct fold_controller *found = fold_plan_controller(&fold->plan, controller);
    if (found == NULL || !found->given.exists) {
        return DYN_NOTFOUND;
    }
    fold_give_target(fold, found, (int64_t)fold->last.ms, false, out);
    return DYN_OK;
}

dyn_err fold_entry(struct fold *fold, struct pack_reader *reader, struct entry_id id,
                   struct dyn_str message, const struct fold_out *out)
{
    /* Nothing could ever come behind the highest ID: it is not where the fold stands. */
    if (id.ms <= FOLD_MS_MAX) {
        fold->last = id;
    }
    dyn_err err = pack_reader_start(reader, message);
    enum message_kind kind = err == DYN_OK ? message_read_kind(reader) : 0;
    struct batch batch;
    if (kind == MESSAGE_BATCH) {
        err = message_read_batch(reader, &batch, fold->samples);
    } else if (kind == MESSAGE_TICK) {
        err = message_read_tick(reader, &fold->tick);
    } else if (err == DYN_OK) {
        err = DYN_BADMSG;
    }
    if (err != DYN_OK) {
        fold->counts.malformed++;
        return err;
    }
    if (kind == MESSAGE_BATCH) {
        fold_batch(fold, id, &batch, fold->samples, out);
    } else {
        fold_tick(fold, id, &fold->tick, out);
    }
    return DYN_OK;
}
