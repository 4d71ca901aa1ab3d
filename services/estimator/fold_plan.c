#include "estimator/fold_internal.h"

static void fold_plan_count(struct fold_plan *plan, uint32_t partition)
{
    for (size_t a = 0; a < plan->config->apps_count; a++) {
        const struct config_app *app = &plan->config->apps[a];
        if (app->partition != partition) {
            continue;
        }
        plan->controllers_count += app->controllers_count;
        for (size_t c = 0; c < app->controllers_count; c++) {
            plan->inputs_count += app->controllers[c].inputs_count;
        }
    }
}

static size_t fold_plan_need_running(const struct fold_plan *plan, uint32_t partition)
{
    size_t count = 0;
    for (size_t a = 0; a < plan->config->apps_count; a++) {
        const struct config_app *app = &plan->config->apps[a];
        for (size_t c = 0; app->partition == partition && c < app->controllers_count; c++) {
            count += app->controllers[c].needs_running ? 1 : 0;
        }
    }
    return count;
}

static bool fold_index_make(struct fold_index *index, size_t places)
{
    index->count = 2;
    while (index->count < places * 2) {
        index->count *= 2;
    }
    index->slots = calloc(index->count, sizeof(*index->slots));
    return index->slots != NULL;
}

static void fold_index_put(struct fold_index *index, uint64_t hash, size_t place)
{
    size_t at = (size_t)hash & (index->count - 1);
    while (index->slots[at] != 0) {
        at = (at + 1) & (index->count - 1);
    }
    index->slots[at] = (uint32_t)place + 1;
}

static bool fold_plan_running_make(struct fold_plan *plan, size_t index)
{
    struct fold_controller *controller = &plan->controllers[index];
    controller->unknown_since = WINDOW_NEVER;
    if (!controller->config->needs_running) {
        return true;
    }
    controller->running = calloc(1, sizeof(*controller->running));
    fold_index_put(&plan->by_running, controller->config->running_series, index);
    return controller->running != NULL;
}

static bool fold_plan_asked_make(struct fold_input *input)
{
    if (input->config->conversion != CONFIG_TARGET) {
        return true;
    }
    input->asked = malloc(sizeof(*input->asked));
    if (input->asked != NULL) {
        window_init(input->asked);
    }
    return input->asked != NULL;
}

static bool fold_plan_controller_fill(struct fold_plan *plan, const struct config_app *app,
                                      const struct config_controller *config, size_t *controllers,
                                      size_t *inputs)
{
    size_t index = (*controllers)++;
    plan->controllers[index] = (struct fold_controller){
        .app = app,
        .config = config,
        .pin = -1,
        .first_input = (uint32_t)*inputs,
        .inputs_count = (uint32_t)config->inputs_count,
    };
    fold_index_put(&plan->by_id, config->id, index);
    bool made = fold_plan_running_make(plan, index);
    for (size_t i = 0; i < config->inputs_count; i++) {
        struct fold_input *input = &plan->inputs[*inputs];
        *input = (struct fold_input){
            .config = &config->inputs[i],
            .controller = (uint32_t)index,
            .born_at = WINDOW_NEVER,
            .turned_at = WINDOW_NEVER,
        };
        window_init(&input->window);
        made = fold_plan_asked_make(input) && made;
        fold_index_put(&plan->by_series, input->config->series, (*inputs)++);
    }
    return made;
}

static bool fold_plan_fill(struct fold_plan *plan, uint32_t partition)
{
    size_t controllers = 0;
    size_t inputs = 0;
    bool made = true;
    for (size_t a = 0; a < plan->config->apps_count; a++) {
        const struct config_app *app = &plan->config->apps[a];
        for (size_t c = 0; app->partition == partition && c < app->controllers_count; c++) {
            made =
                fold_plan_controller_fill(plan, app, &app->controllers[c], &controllers, &inputs) &&
                made;
        }
    }
    DYN_ASSERT(controllers == plan->controllers_count);
    DYN_ASSERT(inputs == plan->inputs_count);
    return made;
}

dyn_err fold_plan_make(struct fold_plan *plan, const struct config *config, uint32_t partition)
{
    *plan = (struct fold_plan){.config = config};
    fold_plan_count(plan, partition);
    plan->inputs = calloc(plan->inputs_count + 1, sizeof(*plan->inputs));
    plan->controllers = calloc(plan->controllers_count + 1, sizeof(*plan->controllers));
    if (plan->inputs == NULL || plan->controllers == NULL ||
        !fold_index_make(&plan->by_series, plan->inputs_count) ||
        !fold_index_make(&plan->by_id, plan->controllers_count) ||
        !fold_index_make(&plan->by_running, fold_plan_need_running(plan, partition))) {
        plan->inputs_count = 0;
        plan->controllers_count = 0;
        fold_plan_fini(plan);
        return DYN_NOMEM;
    }
    if (!fold_plan_fill(plan, partition)) {
        fold_plan_fini(plan);
        return DYN_NOMEM;
    }
    return DYN_OK;
}

void fold_plan_fini(struct fold_plan *plan)
{
    for (size_t i = 0; i < plan->inputs_count; i++) {
        window_fini(&plan->inputs[i].window);
        if (plan->inputs[i].asked != NULL) {
            window_fini(plan->inputs[i].asked);
        }
        free(plan->inputs[i].asked);
        free(plan->inputs[i].reason);
    }
    for (size_t i = 0; i < plan->controllers_count; i++) {
        free(plan->controllers[i].running);
    }
    free(plan->inputs);
    free(plan->controllers);
    free(plan->by_series.slots);
    free(plan->by_id.slots);
    free(plan->by_running.slots);
    *plan = (struct fold_plan){0};
}

struct fold_input *fold_plan_find(const struct fold_plan *plan, uint64_t series)
{
    size_t mask = plan->by_series.count - 1;
    size_t at = (size_t)series & mask;
    while (plan->by_series.slots[at] != 0) {
        struct fold_input *input = &plan->inputs[plan->by_series.slots[at] - 1];
        if (input->config->series == series) {
            return input;
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

struct fold_controller *fold_plan_controller(const struct fold_plan *plan, uint64_t id)
{
    size_t mask = plan->by_id.count - 1;
    size_t at = (size_t)id & mask;
    while (plan->by_id.slots[at] != 0) {
        struct fold_controller *controller = &plan->controllers[plan->by_id.slots[at] - 1];
        if (controller->config->id == id) {
            return controller;
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

struct fold_controller *fold_plan_running(const struct fold_plan *plan, uint64_t series)
{
    size_t mask = plan->by_running.count - 1;
    size_t at = (size_t)series & mask;
    while (plan->by_running.slots[at] != 0) {
        struct fold_controller *controller = &plan->controllers[plan->by_running.slots[at] - 1];
        if (controller->config->running_series == series) {
            return controller;
        }
        at = (at + 1) & mask;
    }
    return NULL;
}

size_t fold_plan_bytes(const struct fold_plan *plan)
{
    size_t bytes =
        plan->inputs_count * sizeof(*plan->inputs) +
        plan->controllers_count * sizeof(*plan->controllers) +
        (plan->by_series.count + plan->by_id.count + plan->by_running.count) * sizeof(uint32_t);
    for (size_t i = 0; i < plan->inputs_count; i++) {
        const struct window *asked = plan->inputs[i].asked;
        bytes += window_bytes(&plan->inputs[i].window);
        bytes += asked != NULL ? sizeof(*asked) + window_bytes(asked) : 0;
        bytes += plan->inputs[i].reason != NULL ? strlen(plan->inputs[i].reason) + 1 : 0;
    }
    for (size_t i = 0; i < plan->controllers_count; i++) {
        bytes += plan->controllers[i].running != NULL ? sizeof(struct running) : 0;
    }
    return bytes;
}
