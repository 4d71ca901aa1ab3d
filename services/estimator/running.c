#include "estimator/running.h"

#include "estimator/fold.h"

#include <math.h>

void running_add(struct running *running, int64_t at, double quantity)
{
    struct running_span *newest = &running->spans[running->count > 0 ? running->count - 1 : 0];
    if (!(quantity >= 0 && quantity <= DYN_QUANTITY_MAX) || quantity != floor(quantity)) {
        return;
    }
    if (running->count > 0 && at < running->seen_at) {
        if (running->seen_at - at > RUNNING_JITTER_MS) {
            return;
        }
        at = running->seen_at;
    }
    running->seen_at = at;
    if (running->count > 0 && newest->quantity == (int32_t)quantity) {
        return;
    }
    if (running->count == RUNNING_KEPT) {
        running->count--;
        memmove(running->spans, running->spans + 1, running->count * sizeof(*running->spans));
    }
    running->spans[running->count++] = (struct running_span){at, (int32_t)quantity};
}

bool running_at(const struct running *running, int64_t at, int64_t settle_ms, int32_t *out_runs,
                int32_t *out_fewest)
{
    unsigned place = running->count;
    while (place > 0 && running->spans[place - 1].from > at) {
        place--;
    }
    if (place == 0 || at - running->seen_at > RUNNING_OLD_MS ||
        running->spans[place - 1].quantity == 0) {
        return false;
    }
    *out_runs = running->spans[place - 1].quantity;
    *out_fewest = *out_runs;
    while (--place > 0 && running->spans[place].from > at - settle_ms) {
        int32_t before = running->spans[place - 1].quantity;
        *out_fewest = before < *out_fewest ? before : *out_fewest;
    }
    return true;
}

int32_t running_estimate(const struct config_input *input, double value, int32_t runs,
                         int32_t fewest)
{
    double ratio = value / input->target;
    if (fabs(1.0 - ratio) <= input->tolerance) {
        return runs;
    }
    double asked = ceil((ratio > 1 ? fewest : runs) * ratio);
    if (ratio > 1 && !(asked > runs)) {
        return runs;
    }
    return asked < FOLD_RESOURCES_MAX ? (int32_t)asked : FOLD_RESOURCES_MAX;
}
