#include "estimator/pins.h"

/* A number for a whole app is one of dynos, and no rung of a ladder of plans. */
static bool pins_named(const struct config_app *app, const struct config_controller *controller,
                       const struct command *command)
{
    if (!dyn_str_is(command->app, app->name)) {
        return false;
    }
    if (command->controller.len == 0) {
        return command->verb == COMMAND_UNPIN || controller->plans == NULL;
    }
    return dyn_str_is(command->controller, controller->name);
}

static void pins_sweep(struct pins *pins, int64_t wall_ms)
{
    for (size_t i = 0; i < pins->count;) {
        if (pins->items[i].pin.until_ms <= wall_ms) {
            pins->items[i] = pins->items[--pins->count];
        } else {
            i++;
        }
    }
}

static void pins_remove(struct pins *pins, uint64_t controller)
{
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->items[i].pin.controller == controller) {
            pins->items[i] = pins->items[--pins->count];
            return;
        }
    }
}

static size_t pins_of(const struct pins *pins, uint32_t partition)
{
    size_t count = 0;
    for (size_t i = 0; i < pins->count; i++) {
        count += pins->items[i].partition == partition;
    }
    return count;
}

static dyn_err pins_put(struct pins *pins, const struct config_app *app,
                        const struct config_controller *controller, const struct command *command)
{
    if (command->verb == COMMAND_UNPIN) {
        pins_remove(pins, controller->id);
        return DYN_OK;
    }
    if (command->rung < 1 || command->rung > controller->max_resource) {
        return DYN_RANGE;
    }
    pins_remove(pins, controller->id);
    if (pins_of(pins, app->partition) == DYN_PINS_MAX) {
        return DYN_TOOBIG;
    }
    DYN_ASSERT(pins->count < sizeof(pins->items) / sizeof(pins->items[0]));
    pins->items[pins->count++] = (struct pins_item){
        .pin = {controller->id, command->rung, command->until_ms},
        .partition = app->partition,
    };
    return DYN_OK;
}

dyn_err pins_command(struct pins *pins, const struct config *config, int64_t wall_ms,
                     const struct command *command)
{
    if (command->verb != COMMAND_PIN && command->verb != COMMAND_UNPIN) {
        return DYN_OK;
    }
    pins_sweep(pins, wall_ms);
    dyn_err result = DYN_NOTFOUND;
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; c < app->controllers_count; c++) {
            if (pins_named(app, &app->controllers[c], command)) {
                result = pins_put(pins, app, &app->controllers[c], command);
            }
        }
    }
    return result;
}

void pins_fill(struct pins *pins, uint32_t partition, int64_t wall_ms, struct tick *out)
{
    pins_sweep(pins, wall_ms);
    out->pins_count = 0;
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->items[i].partition == partition) {
            DYN_ASSERT(out->pins_count < DYN_PINS_MAX);
            out->pins[out->pins_count++] = pins->items[i].pin;
        }
    }
}
