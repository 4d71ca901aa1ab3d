/*
 * pins: which controllers an operator has pinned, from the commands that were given so far.
 *
 * A pure table: commands in, the pins of one partition out. The leader restates them in each tick,
 * so that the fold knows of them from its log alone. A pin that is over is left out and forgotten.
 *
 * Ownership: holds no pointers. Threads: one.
 */
#ifndef DYN_ESTIMATOR_PINS_H
#define DYN_ESTIMATOR_PINS_H

#include "common/config.h"
#include "common/message.h"

struct pins_item {
    struct pin pin;
    uint32_t partition;
};

struct pins {
    struct pins_item items[DYN_PARTITIONS_MAX * DYN_PINS_MAX];
    size_t count;
};

/** Take COMMAND_PIN and COMMAND_UNPIN for the controllers they name; others are ignored.
 *  DYN_NOTFOUND: no such controller. DYN_RANGE: the rung is not in [1, max_resource].
 *  DYN_TOOBIG: its partition has DYN_PINS_MAX others that are in force at `wall_ms`. */
dyn_err pins_command(struct pins *pins, const struct config *config, int64_t wall_ms,
                     const struct command *command);

/** Write the pins of a partition that are in force at `wall_ms` into the tick. */
void pins_fill(struct pins *pins, uint32_t partition, int64_t wall_ms, struct tick *out);

#endif
