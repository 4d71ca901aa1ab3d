/*
 * I1: nothing is lowered below what the highest good value of the window asks for.
 *
 * An own recomputation, as plain as can be: all good samples that Redis was given, in true time; a
 * sample counts from its time to that of the next one. A write that lowers an app is judged as it
 * leaves its process: it must be enough for the window as it stood at some time of the last
 * LAG_US, which is how old the knowledge may be that an actuator goes by (a mark of 30 s, and the
 * way there). Zeros after demand count for nothing before doubt_zero is over.
 */
#include "tests/sim/sim_audit_internal.h"

#include <math.h>
#include <stdlib.h>

#define LAG_US (42 * SIM_S)      /* 30 s of a mark, 5 s of an intent, 5 s of a connection, ways */
#define LAG_QUIET_US (8 * SIM_S) /* where nothing goes wrong */
#define CLOCK_US (6 * SIM_S)     /* what the log's time may differ by and not be noticed */
#define STEP_US (6 * SIM_S)      /* and more, while no leader ticks */
#define HUMAN_US (25 * SIM_S)    /* a reading may be that much older than the write */
#define LOOK_BACK_US SIM_S

struct sample_stored {
    int64_t at;
    int64_t stored;
    double value;
};

struct input_seen {
    struct sample_stored *samples; /* by `at` */
    size_t count, capacity;
    int64_t heard; /* the newest good sample that came in time was stored; -1: never */
};

static struct {
    struct input_seen inputs[DEMAND_INPUTS_MAX];
    int64_t human_at[FLEET_APPS_MAX];
} seen;

void audit_demand_begin(void)
{
    memset(&seen, 0, sizeof seen);
    for (size_t i = 0; i < DEMAND_INPUTS_MAX; i++) {
        seen.inputs[i].heard = -1;
    }
    for (size_t i = 0; i < FLEET_APPS_MAX; i++) {
        seen.human_at[i] = -HUMAN_US;
    }
}

void audit_demand_end(void)
{
    for (size_t i = 0; i < DEMAND_INPUTS_MAX; i++) {
        free(seen.inputs[i].samples);
    }
}

void audit_demand_human(size_t app)
{
    seen.human_at[app] = sim_now();
}

int64_t audit_demand_heard(size_t input)
{
    return seen.inputs[input].heard;
}

void audit_demand_sample(size_t input, int64_t at, double value, const struct sim_write *write)
{
    struct input_seen *in = &seen.inputs[input];
    if (demand_told(input, write->process, value, at) == NULL) {
        audit_broken("I1", "%s stores %.0f for %s, which no source told it", write->name, value,
                     fleet.inputs[input].name);
    }
    if (in->count == in->capacity) {
        in->capacity = in->capacity == 0 ? 256 : in->capacity * 2;
        in->samples = reallocarray(in->samples, in->capacity, sizeof *in->samples);
        DYN_ASSERT(in->samples != NULL);
    }
    size_t place = in->count++;
    while (place > 0 && in->samples[place - 1].at > at) {
        in->samples[place] = in->samples[place - 1];
        place--;
    }
    in->samples[place] = (struct sample_stored){at, sim_now(), value};
    if (sim_now() - at <= fleet.inputs[input].interval_ms * SIM_MS) {
        in->heard = sim_now();
    }
}

/* The highest value in force at any time of the window that ends at `at`; -1: none. */
static double highest(const struct input_seen *in, const struct config_input *config, int64_t at)
{
    int64_t from = at - config->hysteresis_period_ms * SIM_MS + CLOCK_US;
    from += faults_touched_by(AREA_CLOCK, 0, from - STEP_US, at) ? STEP_US : 0;
    int64_t doubt = config->doubt_zero_ms > 0 ? config->doubt_zero_ms * SIM_MS - CLOCK_US : 0;
    double top = -1;
    double before = -1; /* of the newest sample that is no zero of the present run of zeros */
    int64_t zero_at = -1;
    double last = -1;
    for (size_t i = 0; i < in->count && in->samples[i].at <= at; i++) {
        const struct sample_stored *sample = &in->samples[i];
        if (sample->stored > at) {
            continue;
        }
        if (last >= 0 && sample->at > from && last > top) {
            top = last;
        }
        if (sample->value > 0) {
            before = sample->value;
            zero_at = -1;
        } else if (last > 0) {
            zero_at = sample->at;
        }
        last = sample->value;
    }
    top = last > top ? last : top;
    /* A log that was deleted does not tell any more that there was demand before the zeros. */
    bool known = zero_at >= 0 && !faults_touched(AREA_DELETE, zero_at - 1, at);
    if (known && zero_at + doubt > from && before > top) {
        top = before;
    }
    return top;
}

/* Of plans the first that is large enough, or one more than there are. */
static int resources(const struct config_input *config, double value)
{
    if (config->plans == NULL) {
        return (int)ceil(value / config->per_resource);
    }
    int rung = 1;
    while (rung <= config->plans->count &&
           config->plans->plans[rung - 1].holds[PLAN_SIZE] * 0.9 <= value) {
        rung++;
    }
    return rung;
}

static bool input_left_out(const struct input_seen *in, const struct config_input *config,
                           int64_t at)
{
    return config->on_outage == CONFIG_IGNORE && in->heard >= 0 && at - in->heard > 295 * SIM_S;
}

int audit_demand_need(size_t app, int64_t at)
{
    const struct fleet_app *held = &fleet.apps[app];
    int need = -1;
    for (size_t i = 0; i < held->inputs_count; i++) {
        size_t input = held->first_input + i;
        const struct config_input *config = fleet.inputs[input].config;
        if (input_left_out(&seen.inputs[input], config, at)) {
            continue;
        }
        double top = highest(&seen.inputs[input], config, at);
        int asked = top >= 0 ? resources(config, top) : -1;
        need = asked > need ? asked : need;
    }
    return need;
}

void audit_demand_sent(const struct sim_exchange *exchange)
{
    size_t app = heroku_app_of(exchange);
    int wish = heroku_wish_of(exchange);
    const struct config_controller *policy = fleet.apps[app].controller;
    int running = heroku_quantity(app);
    bool human = sim_now() - seen.human_at[app] < HUMAN_US;
    if (wish < 1 || (wish > policy->max_resource && wish >= running && !human)) {
        audit_broken("I1", "%s asks for %d of %s, beyond 1 to %d", exchange->sender, wish,
                     fleet.apps[app].name, policy->max_resource);
    }
    if (wish >= running || human) {
        return;
    }
    audit.counts.falls++;
    if (policy->plans != NULL && !policy->allow_downgrade) {
        audit_broken("I1", "%s lowers the plan of %s, which may not be lowered", exchange->sender,
                     fleet.apps[app].name);
    }
    int64_t lag = audit.class == CLASS_QUIET ? LAG_QUIET_US : LAG_US;
    int least = INT32_MAX;
    for (int64_t back = 0; back <= lag && least > wish; back += LOOK_BACK_US) {
        int need = audit_demand_need(app, sim_now() - back);
        least = need < least ? need : least;
    }
    least = least < policy->max_resource ? least : policy->max_resource;
    if (wish < least) {
        audit_broken("I1",
                     "%s lowers %s from %d to %d; its window asks for %d, and for no less "
                     "than %d in the %lld s before",
                     exchange->sender, fleet.apps[app].name, running, wish,
                     audit_demand_need(app, sim_now()), least, (long long)(lag / SIM_S));
    }
}
