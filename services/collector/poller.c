#include "collector/poller.h"

#include "collector/schedule.h"
#include "collector/source_host.h"

#include "common/clock.h"

#include <stdlib.h>

#define EFFECTS_MAX 256 /* of one step */
#define STEPS_MAX 8     /* in one turn of the loop: answers want to be read, too */

/* By slot, the number that schedule and host know an input by. */
struct entry {
    struct poller_input of;
    struct source_host *host; /* NULL: the slot is free */
    bool told;                /* that it is disabled */
    bool leaving; /* not ours any more; goes at its next turn, so that the reading under way ends */
};

struct poller {
    struct poller_options options;
    struct source_host_options host_options;
    struct schedule *schedule;
    struct entry *entries;
    uint32_t entries_count;
    struct dyn_timer *timer;
    int64_t armed_ms; /* when the timer fires; INT64_MAX: it does not */
    bool stopped;
    bool expiring; /* the schedule has closed the reading itself */
    struct poller_counts counts;
};

static void entry_remove(struct poller *poller, uint32_t slot)
{
    struct entry *entry = &poller->entries[slot];
    struct schedule_event event = {.kind = SCHEDULE_REMOVE, .slot = slot};
    (void)schedule_step(poller->schedule, &event, dyn_loop_now_ms(poller->options.loop), NULL, 0);
    poller->counts.reading -= source_host_reading(entry->host) ? 1 : 0;
    poller->counts.stray += source_host_stray_answers(entry->host);
    source_host_free(entry->host);
    *entry = (struct entry){.host = NULL};
}

/* ---- the timer ---- */

static void poller_arm(struct poller *poller)
{
    int64_t next = schedule_next_ms(poller->schedule);
    if (next >= poller->armed_ms) {
        return;
    }
    poller->armed_ms = next;
    dyn_timer_start(poller->timer, next - dyn_loop_now_ms(poller->options.loop), 0);
}

static void entries_count(struct poller *poller)
{
    poller->counts.inputs = 0;
    poller->counts.disabled = 0;
    for (uint32_t slot = 0; slot < poller->entries_count; slot++) {
        const struct entry *entry = &poller->entries[slot];
        bool ours = entry->host != NULL && !entry->leaving;
        poller->counts.inputs += ours;
        poller->counts.disabled += ours && entry->told;
    }
}

static void entry_tell(struct poller *poller, struct entry *entry)
{
    const char *why = source_host_disabled(entry->host);
    if (why != NULL || entry->told) {
        poller->options.disabled(poller->options.arg, &entry->of, why);
    }
    entry->told = why != NULL;
}

static void poller_done(struct poller *poller, uint32_t slot)
{
    struct schedule_event event = {.kind = SCHEDULE_DONE, .slot = slot};
    int64_t now_ms = dyn_loop_now_ms(poller->options.loop);
    poller->counts.reading--;
    /* After an expiry the schedule may have begun the input's next reading already. */
    if (!poller->expiring) {
        (void)schedule_step(poller->schedule, &event, now_ms, NULL, 0);
    }
}

static void poller_sample(void *arg, struct source_host *host, enum sample_status status,
                          double value, struct dyn_str words)
{
    struct poller *poller = arg;
    uint32_t slot = source_host_slot(host);
    poller_done(poller, slot);
    poller->counts.ended[status]++;
    poller_arm(poller);
    if ((status == SAMPLE_DISABLED) != poller->entries[slot].told) {
        entry_tell(poller, &poller->entries[slot]); /* set up anew since a reload */
        entries_count(poller);
    }
    poller->options.sample(poller->options.arg, &poller->entries[slot].of, status, value, words);
}

static void poller_apply(struct poller *poller, const struct schedule_effect *effect,
                         int64_t now_ms, int64_t wall_ms)
{
    struct source_host *host = poller->entries[effect->slot].host;
    DYN_ASSERT(host != NULL);
    if (effect->kind == SCHEDULE_POLL && poller->entries[effect->slot].leaving) {
        entry_remove(poller, effect->slot);
        return;
    }
    poller->counts.late_ms = effect->late_ms;
    switch (effect->kind) {
    case SCHEDULE_POLL:
        poller->counts.skipped += effect->skipped;
        poller->counts.reading++;
        poller->counts.polls++;
        source_host_poll(host, now_ms, wall_ms);
        break;
    case SCHEDULE_EXPIRE:
        /* A turn that came after poller_stop() began no reading. */
        if (source_host_reading(host)) {
            poller->expiring = true;
            source_host_expire(host);
            poller->expiring = false;
        }
        break;
    }
}

static void poller_turn(void *arg)
{
    struct poller *poller = arg;
    struct schedule_effect effects[EFFECTS_MAX];
    const struct schedule_event event = {.kind = SCHEDULE_TURN};
    int64_t now_ms = dyn_loop_now_ms(poller->options.loop);
    int64_t wall_ms = dyn_clock_wall_ms();
    size_t count = EFFECTS_MAX;
    poller->armed_ms = INT64_MAX;
    for (size_t step = 0; step < STEPS_MAX && count == EFFECTS_MAX; step++) {
        count = schedule_step(poller->schedule, &event, now_ms, effects, EFFECTS_MAX);
        for (size_t i = 0; i < count; i++) {
            /* When it has stopped, only what is under way is still looked after. */
            if (!poller->stopped || effects[i].kind == SCHEDULE_EXPIRE) {
                poller_apply(poller, &effects[i], now_ms, wall_ms);
            }
        }
    }
    poller_arm(poller);
}

/* ---- life ---- */

struct poller *poller_new(const struct poller_options *options)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL) {
        return NULL;
    }
    poller->options = *options;
    poller->host_options = (struct source_host_options){.loop = options->loop,
                                                        .http = options->http,
                                                        .bus = options->bus,
                                                        .prefix = options->prefix,
                                                        .sample = poller_sample,
                                                        .arg = poller};
    poller->armed_ms = INT64_MAX;
    poller->schedule = schedule_new();
    poller->timer = dyn_timer_new(options->loop, poller_turn, poller);
    if (poller->schedule == NULL || poller->timer == NULL) {
        poller_free(poller);
        return NULL;
    }
    return poller;
}

void poller_free(struct poller *poller)
{
    if (poller == NULL) {
        return;
    }
    for (uint32_t slot = 0; slot < poller->entries_count; slot++) {
        source_host_free(poller->entries[slot].host);
    }
    free(poller->entries);
    dyn_timer_free(poller->timer);
    schedule_free(poller->schedule);
    free(poller);
}

void poller_stop(struct poller *poller)
{
    poller->stopped = true;
}

const struct poller_counts *poller_counts(struct poller *poller)
{
    return &poller->counts;
}

/* ---- a new configuration, or other inputs ---- */

struct wanted {
    struct poller_input of;
    bool there; /* a host has it already */
};

static int wanted_compare(const void *a, const void *b)
{
    const struct wanted *left = a;
    const struct wanted *right = b;
    return (left->of.input->series > right->of.input->series) -
           (left->of.input->series < right->of.input->series);
}

/* Calls `each` with every input of a configuration. */
static void inputs_walk(const struct config *config,
                        void (*each)(void *arg, struct poller_input of), void *arg)
{
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; c < app->controllers_count; c++) {
            const struct config_controller *controller = &app->controllers[c];
            for (size_t i = 0; i < controller->inputs_count; i++) {
                each(arg, (struct poller_input){app, controller, &controller->inputs[i]});
            }
        }
    }
}

struct wanted_inputs {
    const struct poller *poller;
    struct wanted *list; /* NULL: they are only counted */
    size_t count;
};

static void wanted_count(void *arg, struct poller_input of)
{
    struct wanted_inputs *wanted = arg;
    (void)of;
    wanted->count++;
}

static void wanted_add(void *arg, struct poller_input of)
{
    struct wanted_inputs *wanted = arg;
    const struct poller_options *options = &wanted->poller->options;
    if (options->owns == NULL || options->owns(options->arg, of.input->series)) {
        wanted->list[wanted->count++].of = of;
    }
}

/* The inputs of a configuration that are ours, by their series; freed by the caller. */
static dyn_err wanted_list(const struct poller *poller, const struct config *config,
                           struct wanted **out_list, size_t *out_count)
{
    struct wanted_inputs wanted = {.poller = poller};
    inputs_walk(config, wanted_count, &wanted);
    wanted.list = calloc(wanted.count + 1, sizeof *wanted.list);
    if (wanted.list == NULL) {
        return DYN_NOMEM;
    }
    wanted.count = 0;
    inputs_walk(config, wanted_add, &wanted);
    qsort(wanted.list, wanted.count, sizeof *wanted.list, wanted_compare);
    *out_list = wanted.list;
    *out_count = wanted.count;
    return DYN_OK;
}

static struct wanted *wanted_find(struct wanted *list, size_t count, uint64_t series)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list[middle].of.input->series < series) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && list[low].of.input->series == series ? &list[low] : NULL;
}

/* Keep what is still wanted as it is, and let the rest go. */
static void entries_keep(struct poller *poller, struct wanted *list, size_t count)
{
    for (uint32_t slot = 0; slot < poller->entries_count; slot++) {
        struct entry *entry = &poller->entries[slot];
        if (entry->host == NULL) {
            continue;
        }
        struct wanted *wanted = wanted_find(list, count, source_input(entry->host)->series);
        if (wanted == NULL || wanted->there || !source_host_same(entry->host, wanted->of.input)) {
            entry_remove(poller, slot);
            continue;
        }
        wanted->there = true;
        entry->of = wanted->of;
        entry->leaving = false;
        source_host_reload(entry->host, wanted->of.app, wanted->of.input);
        entry_tell(poller, entry);
    }
}

/* Leave what stays ours as it is, and let the rest go. */
static void entries_let_go(struct poller *poller, struct wanted *list, size_t count)
{
    for (uint32_t slot = 0; slot < poller->entries_count; slot++) {
        struct entry *entry = &poller->entries[slot];
        if (entry->host == NULL) {
            continue;
        }
        struct wanted *wanted = wanted_find(list, count, source_input(entry->host)->series);
        bool reading = source_host_reading(entry->host);
        poller->counts.let_go += wanted == NULL && !entry->leaving;
        if ((wanted == NULL || entry->leaving) && !reading) {
            entry_remove(poller, slot); /* one that comes back is read at once, as any other */
            continue;
        }
        entry->leaving = wanted == NULL;
        if (wanted != NULL) {
            wanted->there = true;
        }
    }
}

static dyn_err entries_reserve(struct poller *poller, size_t count)
{
    if (count <= poller->entries_count) {
        return DYN_OK;
    }
    if (count >= UINT32_MAX || schedule_reserve(poller->schedule, (uint32_t)count) != DYN_OK) {
        return DYN_NOMEM;
    }
    struct entry *entries = realloc(poller->entries, count * sizeof *entries);
    if (entries == NULL) {
        return DYN_NOMEM;
    }
    memset(entries + poller->entries_count, 0, (count - poller->entries_count) * sizeof *entries);
    poller->entries = entries;
    poller->entries_count = (uint32_t)count;
    return DYN_OK;
}

static dyn_err entry_add(struct poller *poller, uint32_t slot, const struct wanted *wanted,
                         int64_t first_ms)
{
    const struct config_input *input = wanted->of.input;
    struct entry *entry = &poller->entries[slot];
    entry->of = wanted->of;
    entry->host = source_host_new(&poller->host_options, source_find(input->type->name),
                                  wanted->of.app, input, slot);
    if (entry->host == NULL) {
        return DYN_NOMEM;
    }
    struct schedule_event event = {.kind = SCHEDULE_ADD,
                                   .slot = slot,
                                   .series = input->series,
                                   .interval_ms = input->interval_ms,
                                   .first_ms = first_ms};
    (void)schedule_step(poller->schedule, &event, dyn_loop_now_ms(poller->options.loop), NULL, 0);
    entry_tell(poller, entry);
    return DYN_OK;
}

/* How many slots are needed: those that are taken stay, also of inputs that are leaving. */
static size_t slots_needed(const struct poller *poller, const struct wanted *list, size_t count)
{
    size_t needed = 0;
    for (uint32_t slot = 0; slot < poller->entries_count; slot++) {
        needed += poller->entries[slot].host != NULL;
    }
    for (size_t i = 0; i < count; i++) {
        needed += !list[i].there;
    }
    return needed;
}

static dyn_err entries_add(struct poller *poller, const struct wanted *list, size_t count,
                           int64_t first_ms)
{
    dyn_err err = entries_reserve(poller, slots_needed(poller, list, count));
    uint32_t slot = 0;
    for (size_t i = 0; i < count && err == DYN_OK; i++) {
        if (list[i].there) {
            continue;
        }
        while (poller->entries[slot].host != NULL) {
            slot++;
            DYN_ASSERT(slot < poller->entries_count);
        }
        err = entry_add(poller, slot, &list[i], first_ms);
    }
    return err;
}

dyn_err poller_configure(struct poller *poller, const struct config *config)
{
    size_t count = 0;
    struct wanted *list = NULL;
    dyn_err err = wanted_list(poller, config, &list, &count);
    entries_keep(poller, list, count); /* without a list, nothing: the old ones must go */
    if (err == DYN_OK) {
        err = entries_add(poller, list, count, SCHEDULE_FIRST_MS);
    }
    free(list);
    entries_count(poller);
    poller_arm(poller);
    return err;
}

dyn_err poller_share(struct poller *poller, const struct config *config, int64_t first_ms)
{
    size_t count = 0;
    struct wanted *list = NULL;
    dyn_err err = wanted_list(poller, config, &list, &count);
    if (err != DYN_OK) {
        return err;
    }
    entries_let_go(poller, list, count);
    for (size_t i = 0; i < count; i++) {
        poller->counts.taken += !list[i].there;
    }
    err = entries_add(poller, list, count, first_ms);
    free(list);
    entries_count(poller);
    poller_arm(poller);
    return err;
}
