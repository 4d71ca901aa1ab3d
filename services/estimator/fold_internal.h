/*
 * fold_internal: what fold.c (decisions), fold_plan.c (the partition's controllers and inputs) and
 * fold_story.c (what is told of them) share. Nobody else includes it.
 */
#ifndef DYN_ESTIMATOR_FOLD_INTERNAL_H
#define DYN_ESTIMATOR_FOLD_INTERNAL_H

#include "estimator/counter.h"
#include "estimator/fold.h"
#include "estimator/running.h"

/* How long an input has said nothing good, beyond what may be. */
enum fold_lag {
    LAG_NONE = 0,
    LAG_STALE = 1,
    LAG_OUTAGE = 2
};

/* What was told of a trouble that lasts. */
struct fold_told {
    bool raised;
    int64_t at; /* log ms of the last word */
};

struct fold_input {
    struct window window;
    struct window *asked; /* of a target, owned: what each value asked for; NULL: another input */
    const struct config_input *config;
    char *reason;      /* the last failed poll's words, owned; NULL: the last poll was good */
    int64_t born_at;   /* log ms of the first entry folded with it, once it was heard that of its
                          first good sample in time; WINDOW_NEVER: none yet */
    int64_t told_at;   /* log ms at which its outage was last told */
    int64_t turned_at; /* of a counter, see counter.h; WINDOW_NEVER */
    uint32_t controller;
    uint8_t told;           /* enum fold_lag that was told */
    bool disabled;          /* the newest sample says that it cannot be asked */
    struct fold_told off;   /* that it is so */
    struct fold_told above; /* it needs more than the largest plan */
};

struct fold_decision {
    bool exists; /* false: no good sample ever, no target */
    bool raise_only;
    enum target_reason reason;
    int32_t rung;
    int32_t estimate;
};

struct fold_controller {
    const struct config_app *app;
    const struct config_controller *config;
    struct fold_decision given; /* what was last put out; exists false: nothing yet */
    struct running *running;    /* owned; NULL: no input needs to know it */
    int64_t unknown_since;      /* log ms of the first tick at which it was not known what runs */
    struct fold_told unknown;   /* the same, told after FOLD_UNKNOWN_MS */
    int32_t pin;                /* -1: none */
    uint32_t first_input;
    uint32_t inputs_count;
};

/* Open addressing from a 64-bit hash to a place: the hash is its own, being one already. */
struct fold_index {
    uint32_t *slots; /* place + 1; 0: free */
    size_t count;    /* a power of two; at most half are taken */
};

/* The part of a configuration that lies in one partition. */
struct fold_plan {
    const struct config *config;
    struct fold_input *inputs;
    struct fold_controller *controllers;
    size_t inputs_count;
    size_t controllers_count;
    struct fold_index by_series;  /* into inputs */
    struct fold_index by_id;      /* into controllers */
    struct fold_index by_running; /* series of what runs, into controllers that need it */
};

struct fold_member {
    uint64_t name; /* hash */
    uint64_t seq;
};

struct fold {
    struct fold_plan plan;
    uint32_t partition;
    struct entry_id last;
    uint64_t epoch;
    int64_t tick_at; /* log ms of the last tick of this epoch; WINDOW_NEVER: none */
    int64_t drift_ms;
    size_t keyframe; /* the controller that is restated next */
    struct fold_member members[FOLD_MEMBERS_MAX];
    size_t members_count;
    size_t member_oldest; /* where the next new one goes when all are taken */
    uint64_t lost_lately; /* since the last tick: who led then may not have told it */
    struct fold_counts counts;
    struct sample samples[DYN_BATCH_SAMPLES_MAX]; /* scratch of fold_entry() */
    struct tick tick;
    struct target target; /* scratch of the story */
};

/* fold_plan.c */
dyn_err fold_plan_make(struct fold_plan *plan, const struct config *config, uint32_t partition);
void fold_plan_fini(struct fold_plan *plan);
struct fold_input *fold_plan_find(const struct fold_plan *plan, uint64_t series);
struct fold_controller *fold_plan_controller(const struct fold_plan *plan, uint64_t id);
/** By the series of what runs; NULL: of none that needs it. */
struct fold_controller *fold_plan_running(const struct fold_plan *plan, uint64_t series);
size_t fold_plan_bytes(const struct fold_plan *plan);

static inline struct window_rule fold_rule(const struct config_input *config)
{
    return (struct window_rule){
        .period_ms = config->hysteresis_period_ms,
        .interval_ms = config->interval_ms,
        .max_gap_ms = config->max_gap_ms,
        /* A counter begins at 0 each day, and its readings are sums: no silent agent. */
        .doubt_zero_ms = config->counter ? 0 : config->doubt_zero_ms,
    };
}

/* Of what values asked for: zeros are doubted where the values are. */
static inline struct window_rule fold_asked_rule(const struct config_input *config)
{
    struct window_rule rule = fold_rule(config);
    rule.doubt_zero_ms = 0;
    return rule;
}

/* fold.c */
enum fold_lag fold_lag(const struct fold_input *input, int64_t now);
/** What the input asks for at `now`; -1: nothing. */
int32_t fold_input_estimate(const struct fold_input *input, int64_t now);
enum input_cover fold_input_cover(const struct fold_input *input, int64_t now);

/* fold_story.c */
void fold_give_target(struct fold *fold, const struct fold_controller *controller, int64_t now,
                      bool changed, const struct fold_out *out);
void fold_give_report(const struct fold *fold, const struct fold_controller *controller,
                      int64_t now, const struct fold_out *out);
/** That all that lasts was told: it will be told again. What was told and is over is still to be
 *  told as over. */
void fold_forget_told(struct fold *fold, int64_t now);
/** Tell of an input's lag what was not told yet. */
void fold_tell_lag(struct fold *fold, struct fold_input *input, int64_t now,
                   const struct fold_out *out);
/** Tell that an input is disabled, each hour, and that it no longer is. */
void fold_tell_disabled(struct fold *fold, struct fold_input *input, int64_t now,
                        const struct fold_out *out);
/** Tell that an input needs more than the largest plan, each hour, and that it no longer does. */
void fold_tell_above(struct fold *fold, struct fold_input *input, int64_t now,
                     const struct fold_out *out);
/** Tell that a target is held because nobody says what runs, each hour, and when that is over. */
void fold_tell_running(struct fold *fold, struct fold_controller *controller, int64_t now,
                       const struct fold_out *out);
/** `member` is the collector that lacks something; empty: several, or not known. */
void fold_tell_lost(const struct fold *fold, struct dyn_str member, uint64_t lost,
                    const struct fold_out *out);
/** Tell of a break, whose cause is the first of: `breaks` of its tick, so long without a leader, a
 * clock that drifted. */
void fold_tell_break(const struct fold *fold, uint32_t breaks, int64_t alone_ms, int64_t drift_ms,
                     const struct fold_out *out);

#endif
