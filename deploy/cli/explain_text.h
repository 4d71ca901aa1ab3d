/*
 * explain_text: what is known of one controller, in words that a stranger understands. No I/O.
 *
 * Ownership: facts are borrowed. Threads: any.
 */
#ifndef DYN_CLI_EXPLAIN_TEXT_H
#define DYN_CLI_EXPLAIN_TEXT_H

#include "common/config.h"
#include "common/message.h"

#define EXPLAIN_OLD_MARK_MS 30000
#define EXPLAIN_SILENT_MS 60000 /* an actuator tells each scaler.interval */

struct explain_facts {
    const struct config_app *app;
    const struct config_controller *controller;
    const struct target *target;         /* NULL: none published */
    const struct report *report;         /* NULL: none; a newer one tells newer values */
    const struct actual *actual;         /* NULL: the actuator has said nothing */
    const struct action *const *actions; /* of this controller, newest first */
    size_t actions_count;
    int64_t folded_ms; /* how far the partition's log is folded; 0: not known */
    int64_t now_ms;    /* wall */
};

/** Everything: several lines, each ended. */
void explain_text(struct dyn_buf *out, const struct explain_facts *facts);

/** "8 of 10 dynos, down_cooldown until 03:13:00 UTC (in 50 s)": one line's worth, not ended. */
void explain_standing(struct dyn_buf *out, const struct explain_facts *facts);

/**
 * What is wrong with an input, not ended: "no value for 4 min 10 s (HTTP 500): nothing is scaled
 * down until values are back for 5 min". Nothing is added when it is covered.
 */
void explain_cover(struct dyn_buf *out, const struct config_controller *controller,
                   const struct input_story *story, int64_t now_ms);

/** Whether people should look: it stands elsewhere than at its target, or nothing is known. */
bool explain_is_trouble(const struct explain_facts *facts);
/** What the actuator told last is so old that no actuator seems to run. */
bool explain_is_silent(const struct explain_facts *facts);

/* The newest numbers of an input: from the target's story, or from a later report. */
struct explain_numbers {
    double value;       /* NaN: none */
    int64_t value_at;   /* log ms; 0: none */
    double max;         /* NaN: none */
    int64_t max_counts; /* log ms until which the maximum counts at least; 0: none */
    int32_t estimate;   /* -1: none */
};
void explain_numbers(const struct explain_facts *facts, const struct input_story *story,
                     struct explain_numbers *out);

/** The input of that name; NULL when the configuration has none (any more). */
const struct config_input *explain_input(const struct config_controller *controller,
                                         struct dyn_str name);

/* "4 min 10 s", "45 s", "2 h 5 min", "3 d 4 h" */
void explain_duration(struct dyn_buf *out, int64_t ms);
/* "03:12:05 UTC (in 4 min 48 s)", "03:07:05 UTC (12 s ago)"; with the day when it is another */
void explain_time(struct dyn_buf *out, int64_t at_ms, int64_t now_ms);
/* "1 dyno", "4 dynos", or a plan: "rediscloud:250" */
void explain_resources(struct dyn_buf *out, const struct config_controller *controller,
                       int32_t count);
/* The same without the unit: "4", "rediscloud:250" */
void explain_count(struct dyn_buf *out, const struct config_controller *controller, int32_t count);

#endif
