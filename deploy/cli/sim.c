#include "deploy/cli/sim.h"

#include "deploy/cli/sim_heroku.h"
#include "estimator/fold.h"

#include <inttypes.h>
#include <math.h>

#define SIM_TICK_MS 1000
#define SIM_EPOCH 1

/* ---- the configuration's inputs, in one array ---- */

static void sim_count(struct sim *sim)
{
    for (size_t a = 0; a < sim->config->apps_count; a++) {
        const struct config_app *app = &sim->config->apps[a];
        sim->controllers_count += app->controllers_count;
        for (size_t c = 0; c < app->controllers_count; c++) {
            sim->inputs_count += app->controllers[c].inputs_count;
        }
    }
}

static void sim_fill_controller(struct sim *sim, size_t a, size_t c, size_t *controllers,
                                size_t *inputs)
{
    struct config_controller *config = &sim->config->apps[a].controllers[c];
    sim->controllers[*controllers] = (struct sim_controller){.app = &sim->config->apps[a],
                                                             .config = config,
                                                             .mode = config->mode,
                                                             .app_index = a,
                                                             .index = c,
                                                             .first_input = *inputs,
                                                             .target = -1,
                                                             .running = -1};
    config->mode = CONFIG_MODE_LIVE;
    for (size_t i = 0; i < config->inputs_count; i++) {
        sim->inputs[(*inputs)++] = (struct sim_input){.config = &config->inputs[i],
                                                      .controller = *controllers,
                                                      .max = (double)NAN,
                                                      .estimate = -1};
    }
    (*controllers)++;
}

struct sim *sim_new(struct config *config)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL) {
        return NULL;
    }
    sim->config = config;
    sim_count(sim);
    sim->inputs = calloc(sim->inputs_count + 1, sizeof(*sim->inputs));
    sim->controllers = calloc(sim->controllers_count + 1, sizeof(*sim->controllers));
    if (sim->inputs == NULL || sim->controllers == NULL) {
        sim_free(sim);
        return NULL;
    }
    size_t controllers = 0;
    size_t inputs = 0;
    for (size_t a = 0; a < config->apps_count; a++) {
        /* The fold can tell of a controller with each tick; sim_tick() asks where it matters. */
        config->apps[a].interval_ms = SIM_TICK_MS;
        for (size_t c = 0; c < config->apps[a].controllers_count; c++) {
            sim_fill_controller(sim, a, c, &controllers, &inputs);
        }
    }
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (size_t i = 0; sim->inputs != NULL && i < sim->inputs_count; i++) {
        trace_free(sim->inputs[i].trace);
    }
    free(sim->inputs);
    free(sim->controllers);
    free(sim->rows);
    free(sim);
}

void sim_input_name(const struct sim *sim, const struct sim_input *input, char *out, size_t size)
{
    const struct sim_controller *controller = &sim->controllers[input->controller];
    snprintf(out, size, "%s/%s/%s", controller->app->name, controller->config->name,
             input->config->name);
}

static dyn_err sim_not_unique(const struct sim *sim, struct dyn_str name, size_t matches,
                              struct dyn_error *error)
{
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_ERROR_TEXT_MAX);
    dyn_buf_addf(&text, "%s inputs are called " DYN_STR_FMT "; the file has",
                 matches > 0 ? "several" : "no", DYN_STR_ARG(name));
    for (size_t i = 0; i < sim->inputs_count; i++) {
        char full[SIM_INPUT_NAME_MAX];
        sim_input_name(sim, &sim->inputs[i], full, sizeof(full));
        if (matches == 0 || dyn_str_is(name, sim->inputs[i].config->name)) {
            dyn_buf_addf(&text, " %s", full);
        }
    }
    dyn_error_set(error, DYN_NOTFOUND, "%s%s", dyn_buf_text(&text),
                  dyn_buf_result(&text) != DYN_OK ? " ..." : "");
    dyn_buf_fini(&text);
    return DYN_NOTFOUND;
}

struct sim_input *sim_input_find(struct sim *sim, struct dyn_str name, struct dyn_error *error)
{
    struct sim_input *found = NULL;
    size_t matches = 0;
    for (size_t i = 0; i < sim->inputs_count; i++) {
        char full[SIM_INPUT_NAME_MAX];
        sim_input_name(sim, &sim->inputs[i], full, sizeof(full));
        if (dyn_str_is(name, full)) {
            return &sim->inputs[i];
        }
        if (dyn_str_is(name, sim->inputs[i].config->name)) {
            found = &sim->inputs[i];
            matches++;
        }
    }
    if (matches != 1) {
        sim_not_unique(sim, name, matches, error);
        return NULL;
    }
    return found;
}

/* ---- a run ---- */

struct sim_partition {
    uint32_t number;
    struct fold *fold;
    uint64_t batches;
    struct entry_id last;
};

struct sim_world {
    struct sim *sim;
    struct sim_heroku *heroku;
    struct sim_partition *partitions;
    size_t partitions_count;
    struct sim_partition *of[DYN_PARTITIONS_MAX]; /* by number; NULL: it has no app */
    struct sim_partition *current;                /* whose fold is at work */
    struct tick tick;
    size_t running; /* controllers whose `running` waits for its entry */
    size_t untold;  /* rows at the end of sim->rows that wait for their tick */
    int64_t now_ms;
};

static struct sim_controller *sim_controller_of(struct sim *sim, uint64_t id)
{
    size_t index = 0;
    while (index < sim->controllers_count && sim->controllers[index].config->id != id) {
        index++;
    }
    DYN_ASSERT(index < sim->controllers_count);
    return &sim->controllers[index];
}

static void sim_take_target(void *arg, const struct target *target, bool changed)
{
    struct sim_world *world = arg;
    if (changed) {
        struct sim_controller *controller = sim_controller_of(world->sim, target->controller);
        controller->target = target->rung;
        controller->raise_only = target->raise_only;
        if (target->rung > controller->peak_target) {
            controller->peak_target = target->rung;
        }
    }
    sim_heroku_target(world->heroku, world->current->number, target, world->now_ms);
}

static void sim_take_report(void *arg, const struct report *report)
{
    struct sim_world *world = arg;
    struct sim_controller *controller = sim_controller_of(world->sim, report->controller);
    for (uint32_t i = 0; i < report->inputs_count; i++) {
        struct sim_input *input = &world->sim->inputs[controller->first_input + i];
        input->max = report->inputs[i].max;
        input->estimate = report->inputs[i].estimate;
    }
}

static void sim_take_change(void *arg, const struct sim_change *change)
{
    struct sim_world *world = arg;
    for (size_t i = 0; i < world->sim->controllers_count; i++) {
        struct sim_controller *controller = &world->sim->controllers[i];
        if (controller->app_index == change->app && controller->index == change->controller) {
            controller->ups += change->to > change->from;
            controller->downs += change->to < change->from;
        }
    }
}

/* An effect: the fold must not be called from inside it, as it may be what caused it. */
static void sim_take_running(void *arg, uint64_t id, int32_t quantity)
{
    struct sim_world *world = arg;
    struct sim_controller *controller = sim_controller_of(world->sim, id);
    world->running += controller->running < 0;
    controller->running = quantity;
}

static struct entry_id sim_next_id(struct sim_partition *partition, int64_t now_ms)
{
    uint64_t ms = (uint64_t)now_ms;
    uint64_t seq = partition->last.ms == ms ? partition->last.seq + 1 : 0;
    partition->last = (struct entry_id){ms, seq};
    return partition->last;
}

/* A sample through the log, as a collector or the actuator gives it. */
static void sim_fold_sample(struct sim_world *world, struct sim_partition *partition,
                            uint64_t series, double value, int64_t now_ms)
{
    struct sample sample = {.series = series, .status = SAMPLE_GOOD, .value = value};
    struct batch batch = {.member = DYN_STR("simulation"), .seq = ++partition->batches, .count = 1};
    struct fold_out out = {.target = sim_take_target, .arg = world};
    world->now_ms = now_ms;
    world->current = partition;
    fold_batch(partition->fold, sim_next_id(partition, now_ms), &batch, &sample, &out);
}

static void sim_tell_running(struct sim_world *world, int64_t now_ms)
{
    for (size_t c = 0; world->running > 0 && c < world->sim->controllers_count; c++) {
        struct sim_controller *controller = &world->sim->controllers[c];
        int32_t quantity = controller->running;
        if (quantity < 0) {
            continue;
        }
        controller->running = -1;
        world->running--;
        sim_fold_sample(world, world->of[controller->app->partition],
                        controller->config->running_series, quantity, now_ms);
    }
}

/* What would have been measured with what runs now. */
static double sim_value(const struct sim_world *world, const struct sim_input *input, double value)
{
    const struct sim_controller *controller = &world->sim->controllers[input->controller];
    int32_t runs = sim_heroku_runs(world->heroku, controller->app_index, controller->index);
    if (input->measured == 0 || runs < 1) {
        return value;
    }
    value = value * input->measured / runs;
    return value < DYN_VALUE_MAX ? value : DYN_VALUE_MAX;
}

/* What a recorded value asks for by itself. */
static double sim_demand(const struct sim_input *input, double value)
{
    if (input->measured > 0) {
        return ceil(value / input->config->target * input->measured);
    }
    return fold_resources(input->config, value);
}

static void sim_give_sample(struct sim_world *world, size_t index)
{
    struct sim *sim = world->sim;
    struct sim_input *input = &sim->inputs[index];
    const struct sim_controller *controller = &sim->controllers[input->controller];
    const struct trace_row *row = &input->trace->rows[input->next++];
    sim_tell_running(world, row->at_ms);
    double value = sim_value(world, input, row->value);
    double demand = sim_demand(input, row->value);
    double most = controller->config->max_resource;
    input->demand = (int32_t)(demand < most ? demand : most);
    sim->rows[sim->rows_count++] =
        (struct sim_row){.at_ms = row->at_ms, .input = (uint32_t)index, .value = value};
    world->untold++;
    sim_fold_sample(world, world->of[controller->app->partition], input->config->series, value,
                    row->at_ms);
}

/* The input whose next sample comes first; SIZE_MAX: there are no more. */
static size_t sim_next_input(const struct sim *sim)
{
    size_t next = SIZE_MAX;
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < sim->inputs_count; i++) {
        const struct sim_input *input = &sim->inputs[i];
        if (input->next == input->trace->count) {
            continue;
        }
        int64_t at_ms = input->trace->rows[input->next].at_ms;
        if (at_ms < next_ms) {
            next = i;
            next_ms = at_ms;
        }
    }
    return next;
}

static void sim_tell_rows(struct sim_world *world)
{
    struct sim *sim = world->sim;
    for (; world->untold > 0; world->untold--) {
        struct sim_row *row = &sim->rows[sim->rows_count - world->untold];
        const struct sim_input *input = &sim->inputs[row->input];
        const struct sim_controller *controller = &sim->controllers[input->controller];
        row->max = input->max;
        row->estimate = input->estimate;
        row->target = controller->target;
        row->raise_only = controller->raise_only;
        row->runs = sim_heroku_runs(world->heroku, controller->app_index, controller->index);
    }
}

/* What ran for the second that begins with this tick. */
static void sim_account(struct sim_world *world)
{
    struct sim *sim = world->sim;
    for (size_t c = 0; c < sim->controllers_count; c++) {
        struct sim_controller *controller = &sim->controllers[c];
        int32_t runs = sim_heroku_runs(world->heroku, controller->app_index, controller->index);
        int32_t demand = 0;
        for (size_t i = 0; i < controller->config->inputs_count; i++) {
            int32_t asked = sim->inputs[controller->first_input + i].demand;
            demand = asked > demand ? asked : demand;
        }
        controller->dyno_ms += (int64_t)runs * SIM_TICK_MS;
        controller->below_ms += runs < demand ? SIM_TICK_MS : 0;
        controller->at_max_ms += runs >= controller->config->max_resource ? SIM_TICK_MS : 0;
        controller->peak_runs = runs > controller->peak_runs ? runs : controller->peak_runs;
    }
}

static void sim_tick(struct sim_world *world, int64_t now_ms)
{
    struct fold_out out = {.target = sim_take_target, .arg = world};
    out.report = world->untold > 0 ? sim_take_report : NULL;
    sim_tell_running(world, now_ms);
    world->now_ms = now_ms;
    for (size_t p = 0; p < world->partitions_count; p++) {
        struct sim_partition *partition = &world->partitions[p];
        world->current = partition;
        struct entry_id id = sim_next_id(partition, now_ms);
        fold_tick(partition->fold, id, &world->tick, &out);
        struct mark mark = {.partition = partition->number,
                            .epoch = SIM_EPOCH,
                            .folded = id,
                            .config = world->tick.config};
        sim_heroku_mark(world->heroku, &mark, now_ms);
    }
    sim_heroku_tick(world->heroku, now_ms);
    world->tick.elapsed_ms = SIM_TICK_MS;
    world->sim->ticks++;
    sim_account(world);
    sim_tell_rows(world);
}

static void sim_world_run(struct sim_world *world)
{
    struct sim *sim = world->sim;
    size_t next = sim_next_input(sim);
    for (int64_t now_ms = sim->first_ms; next != SIZE_MAX; now_ms += SIM_TICK_MS) {
        while (next != SIZE_MAX &&
               sim->inputs[next].trace->rows[sim->inputs[next].next].at_ms <= now_ms) {
            sim_give_sample(world, next);
            next = sim_next_input(sim);
        }
        sim_tick(world, now_ms);
    }
}

/* ---- making a world ---- */

static void sim_set_measured(struct sim *sim, int32_t start)
{
    for (size_t i = 0; i < sim->inputs_count; i++) {
        struct sim_input *input = &sim->inputs[i];
        int32_t least = sim->controllers[input->controller].config->min_resource;
        if (input->config->conversion == CONFIG_TARGET) {
            input->measured = start > 0 ? start : least > 1 ? least : 1;
        }
    }
}

static dyn_err sim_measure(struct sim *sim, struct dyn_error *error)
{
    size_t rows = 0;
    sim->first_ms = INT64_MAX;
    sim->last_ms = INT64_MIN;
    for (size_t i = 0; i < sim->inputs_count; i++) {
        const struct trace *trace = sim->inputs[i].trace;
        DYN_ASSERT(trace != NULL);
        int64_t first = trace->rows[0].at_ms;
        int64_t last = trace->rows[trace->count - 1].at_ms;
        sim->first_ms = first < sim->first_ms ? first : sim->first_ms;
        sim->last_ms = last > sim->last_ms ? last : sim->last_ms;
        rows += trace->count;
    }
    if (sim->last_ms - sim->first_ms > SIM_SPAN_MAX_MS) {
        return dyn_error_set(error, DYN_RANGE,
                             "the traces reach over %" PRId64
                             " days; a simulation covers 3660 at most",
                             (sim->last_ms - sim->first_ms) / 86400000);
    }
    sim->rows = calloc(rows + 1, sizeof(*sim->rows));
    return sim->rows != NULL ? DYN_OK : dyn_error_set(error, DYN_NOMEM, "out of memory");
}

static dyn_err sim_world_make(struct sim_world *world, int32_t start, struct dyn_error *error)
{
    const struct config *config = world->sim->config;
    world->partitions = calloc(DYN_PARTITIONS_MAX, sizeof(*world->partitions));
    for (size_t a = 0; world->partitions != NULL && a < config->apps_count; a++) {
        uint32_t number = config->apps[a].partition;
        DYN_ASSERT(number < DYN_PARTITIONS_MAX);
        if (world->of[number] != NULL) {
            continue;
        }
        struct sim_partition *partition = &world->partitions[world->partitions_count];
        *partition = (struct sim_partition){.number = number, .fold = fold_new(config, number)};
        if (partition->fold == NULL) {
            return dyn_error_set(error, DYN_NOMEM, "out of memory");
        }
        world->of[number] = partition;
        world->partitions_count++;
    }
    struct sim_heroku_options options = {.config = config,
                                         .start = start,
                                         .now_ms = world->sim->first_ms,
                                         .changed = sim_take_change,
                                         .running = sim_take_running,
                                         .arg = world};
    world->heroku = sim_heroku_new(&options);
    if (world->partitions == NULL || world->heroku == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    return DYN_OK;
}

static void sim_world_fini(struct sim_world *world)
{
    for (size_t p = 0; p < world->partitions_count; p++) {
        fold_free(world->partitions[p].fold);
    }
    free(world->partitions);
    sim_heroku_free(world->heroku);
}

dyn_err sim_run(struct sim *sim, int32_t start, struct dyn_error *error)
{
    struct sim_world world = {.sim = sim,
                              .tick = {.epoch = SIM_EPOCH, .config = sim->config->hash}};
    dyn_err err = sim_measure(sim, error);
    if (err == DYN_OK) {
        sim_set_measured(sim, start);
        err = sim_world_make(&world, start, error);
    }
    if (err == DYN_OK) {
        sim_world_run(&world);
    }
    sim_world_fini(&world);
    return err;
}
