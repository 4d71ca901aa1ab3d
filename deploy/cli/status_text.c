#include "deploy/cli/status_text.h"

#include <inttypes.h>
#include <math.h>

struct status_counts {
    size_t controllers, off, trouble, inputs, inputs_bad, partitions, partitions_bad, accounts_bad;
};

struct explain_facts status_facts(const struct fleet *fleet,
                                  const struct fleet_controller *controller)
{
    return (struct explain_facts){
        .app = controller->app,
        .controller = controller->config,
        .target = controller->target,
        .report = controller->report,
        .actual = controller->actual,
        .folded_ms = fleet->partitions[controller->app->partition].folded_ms,
        .now_ms = fleet->now_ms,
    };
}

static bool input_is_bad(const struct input_story *story)
{
    return story->health != INPUT_OK;
}

static void controller_trouble(struct dyn_buf *out, const struct fleet *fleet,
                               const struct fleet_controller *controller,
                               struct status_counts *counts)
{
    struct explain_facts facts = status_facts(fleet, controller);
    counts->controllers++;
    counts->off += controller->config->mode == CONFIG_MODE_OFF;
    if (explain_is_trouble(&facts)) {
        counts->trouble++;
        (void)dyn_buf_addf(out, "%s/%s: ", controller->app->name, controller->config->name);
        explain_standing(out, &facts);
        (void)dyn_buf_addf(out, "\n");
    }
    counts->inputs += controller->config->inputs_count;
    if (controller->target == NULL) {
        counts->inputs_bad += controller->config->inputs_count;
    }
    for (uint32_t i = 0; controller->target != NULL && i < controller->target->inputs_count; i++) {
        const struct input_story *story = &controller->target->inputs[i];
        if (!input_is_bad(story)) {
            continue;
        }
        counts->inputs_bad++;
        (void)dyn_buf_addf(out, "%s/%s input " DYN_STR_FMT ": %s, ", controller->app->name,
                           controller->config->name, DYN_STR_ARG(story->name),
                           input_health_text(story->health));
        explain_cover(out, controller->config, story, fleet->now_ms);
        (void)dyn_buf_addf(out, "\n");
    }
}

static void partition_trouble(struct dyn_buf *out, const struct fleet *fleet, uint32_t number,
                              struct status_counts *counts)
{
    const struct fleet_partition *partition = &fleet->partitions[number];
    bool old = fleet->now_ms - partition->folded_ms > FLEET_OLD_MARK_MS;
    if (!partition->used) {
        return;
    }
    counts->partitions++;
    if (partition->leader[0] != '\0' && !old) {
        return;
    }
    counts->partitions_bad++;
    (void)dyn_buf_addf(out, "partition %" PRIu32 ": ", number);
    if (partition->leader[0] == '\0') {
        (void)dyn_buf_addf(out, "no estimator leads it; ");
    }
    if (partition->folded_ms == 0) {
        (void)dyn_buf_addf(out, "never folded");
    } else {
        (void)dyn_buf_addf(out, "last folded at ");
        explain_time(out, partition->folded_ms, fleet->now_ms);
    }
    (void)dyn_buf_addf(out, "%s\n", old ? ": nothing of it is scaled down" : "");
}

static void accounts_trouble(struct dyn_buf *out, const struct fleet *fleet,
                             struct status_counts *counts)
{
    for (size_t i = 0; i < fleet->config->accounts_count; i++) {
        if (fleet->accounts[i].leader[0] == '\0') {
            counts->accounts_bad++;
            (void)dyn_buf_addf(out, "account %s: no actuator leads it: nothing of it is scaled\n",
                               fleet->config->accounts[i].name);
        }
    }
}

static void leaders_text(struct dyn_buf *out, const struct fleet *fleet)
{
    for (uint32_t p = 0; p < fleet->config->redis.partitions; p++) {
        const struct fleet_partition *partition = &fleet->partitions[p];
        if (partition->used && partition->leader[0] != '\0') {
            (void)dyn_buf_addf(out, "partition %" PRIu32 ": led by %s\n", p, partition->leader);
        }
    }
    for (size_t i = 0; i < fleet->config->accounts_count; i++) {
        if (fleet->accounts[i].leader[0] != '\0') {
            (void)dyn_buf_addf(out, "account %s: led by %s\n", fleet->config->accounts[i].name,
                               fleet->accounts[i].leader);
        }
    }
}

static void all_text(struct dyn_buf *out, const struct fleet *fleet)
{
    leaders_text(out, fleet);
    for (size_t i = 0; i < fleet->controllers_count; i++) {
        const struct fleet_controller *controller = &fleet->controllers[i];
        struct explain_facts facts = status_facts(fleet, controller);
        (void)dyn_buf_addf(out, "%s/%s: ", controller->app->name, controller->config->name);
        explain_standing(out, &facts);
        (void)dyn_buf_addf(out, "\n");
    }
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

void status_text(struct dyn_buf *out, const struct fleet *fleet, bool all)
{
    struct status_counts counts = {0};
    size_t before = out->len;
    for (uint32_t p = 0; p < fleet->config->redis.partitions; p++) {
        partition_trouble(out, fleet, p, &counts);
    }
    accounts_trouble(out, fleet, &counts);
    for (size_t i = 0; i < fleet->controllers_count; i++) {
        controller_trouble(out, fleet, &fleet->controllers[i], &counts);
    }
    if (out->len == before) {
        (void)dyn_buf_addf(out, "all well: ");
    }
    (void)dyn_buf_addf(out,
                       "%zu of %zu controller%s at target, %zu of %zu input%s ok, %zu of %zu "
                       "partition%s folded",
                       counts.controllers - counts.trouble - counts.off,
                       counts.controllers - counts.off, plural(counts.controllers - counts.off),
                       counts.inputs - counts.inputs_bad, counts.inputs, plural(counts.inputs),
                       counts.partitions - counts.partitions_bad, counts.partitions,
                       plural(counts.partitions));
    if (counts.off > 0) {
        (void)dyn_buf_addf(out, ", %zu with mode: off", counts.off);
    }
    (void)dyn_buf_addf(out, "\n");
    if (all) {
        all_text(out, fleet);
    }
}

/* ---- the view ---- */

static void view_number(struct dyn_buf *out, double number)
{
    if (isnan(number)) {
        (void)dyn_buf_addf(out, "%8s", "-");
    } else {
        (void)dyn_buf_addf(out, "%8.6g", number);
    }
}

static void view_line(struct dyn_buf *out, struct dyn_buf *line, size_t width)
{
    size_t length = line->len;
    if (width > 0 && length > width) {
        length = width;
    }
    (void)dyn_buf_add(out, dyn_buf_text(line), length);
    (void)dyn_buf_addf(out, "\n");
    dyn_buf_clear(line);
}

static void view_controller(struct dyn_buf *out, struct dyn_buf *line,
                            const struct explain_facts *facts, size_t width)
{
    char name[2 * DYN_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/%s", facts->app->name, facts->controller->name);
    (void)dyn_buf_addf(line, "%-24s ", name);
    explain_standing(line, facts);
    view_line(out, line, width);
    for (uint32_t i = 0; facts->target != NULL && i < facts->target->inputs_count; i++) {
        const struct input_story *story = &facts->target->inputs[i];
        struct explain_numbers numbers;
        explain_numbers(facts, story, &numbers);
        (void)dyn_buf_addf(line, "  %-22.*s value ", DYN_STR_ARG(story->name));
        view_number(line, numbers.value);
        (void)dyn_buf_addf(line, "  max ");
        view_number(line, numbers.max);
        char asks[CONFIG_RUNG_TEXT];
        (void)dyn_buf_addf(line, "  asks %3s  %s",
                           config_rung_text(facts->controller, numbers.estimate, asks),
                           input_health_text(story->health));
        if (story->cover != COVER_YES) {
            (void)dyn_buf_addf(line, ", ");
            explain_cover(line, facts->controller, story, facts->now_ms);
        }
        view_line(out, line, width);
    }
}

void status_view(struct dyn_buf *out, const struct fleet *fleet, size_t width)
{
    struct dyn_buf line;
    dyn_buf_init(&line, 4096);
    for (size_t i = 0; i < fleet->controllers_count; i++) {
        struct explain_facts facts = status_facts(fleet, &fleet->controllers[i]);
        view_controller(out, &line, &facts, width);
    }
    dyn_buf_fini(&line);
}
