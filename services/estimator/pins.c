#include "estimator/pins.h"

static bool pins_named(const struct config_app *app, const struct config_controller *controller,
                       const struct command *command)
{
    return dyn_str_is(command->app, app->name) &&
           (command->controller.len == 0 || dyn_str_is(command->controller, controller->name));
}

static void pins_remove(struct pins *pins, uint64_t controller)
{
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->items[i].controller == controller) {
            pins->items[i] = pins->items[--pins->count];
            return;
        }
    }
}

static dyn_err pins_put(struct pins *pins, const struct config_controller *controller,
                        const struct command *command)
{
    pins_remove(pins, controller->id);
    if (command->verb == COMMAND_UNPIN) {
        return DYN_OK;
    }
    if (command->rung < 1 || command->rung > controller->max_resource) {
        return DYN_RANGE;
    }
    if (pins->count == sizeof(pins->items) / sizeof(pins->items[0])) {
        return DYN_TOOBIG;
    }
    pins->items[pins->count++] = (struct pin){controller->id, command->rung, command->until_ms};
    return DYN_OK;
}

dyn_err pins_command(struct pins *pins, const struct config *config, const struct command *command)
{
    if (command->verb != COMMAND_PIN && command->verb != COMMAND_UNPIN) {
        return DYN_OK;
    }
    dyn_err result = DYN_NOTFOUND;
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; c < app->controllers_count; c++) {
            if (pins_named(app, &app->controllers[c], command)) {
                result = pins_put(pins, &app->controllers[c], command);
            }
        }
    }
    return result;
}

static bool pins_lies_in(const struct config *config, uint32_t partition, uint64_t controller)
{
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; app->partition == partition && c < app->controllers_count; c++) {
            if (app->controllers[c].id == controller) {
                return true;
            }
        }
    }
    return false;
}

void pins_fill(struct pins *pins, const struct config *config, uint32_t partition, int64_t wall_ms,
               struct tick *out)
{
    out->pins_count = 0;
    for (size_t i = 0; i < pins->count && out->pins_count < DYN_PINS_MAX;) {
        if (pins->items[i].until_ms <= wall_ms) {
            pins->items[i] = pins->items[--pins->count];
            continue;
        }
        if (pins_lies_in(config, partition, pins->items[i].controller)) {
            out->pins[out->pins_count++] = pins->items[i];
        }
        i++;
    }
}
