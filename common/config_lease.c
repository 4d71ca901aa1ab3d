/* `redis.lease`: the times of leases and membership, and what would break their protocol. */
#include "common/config_internal.h"

struct lease_rule {
    bool holds;
    const char *key; /* whose value is at fault */
    const char *words;
};

static dyn_err rules_check(struct config_loader *loader, const struct config_node *map,
                           const struct config_lease *lease)
{
    const struct lease_rule rules[] = {
        {lease->hold_ms >= 3 * lease->renew_ms, "hold",
         "expected at least three times `renew`: one lost renewal must not cost the lease"},
        {lease->actuator_wait_ms * 4 >= lease->hold_ms * 5, "actuator_wait",
         "expected at least 1.25 times `hold`: a former holder must have stopped by then"},
        {lease->estimator_wait_ms * 2 >= lease->renew_ms * 5, "estimator_wait",
         "expected at least 2.5 times `renew`: one lost renewal must not cost the lease"},
        {lease->gone_ms >= 3 * lease->beat_ms, "gone",
         "expected at least three times `beat`: one lost beat must not cost the membership"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!rules[i].holds) {
            const struct config_node *node =
                map != NULL ? config_node_get(map, rules[i].key) : NULL;
            return config_refuse(loader, node != NULL ? node : map, "redis.lease.%s: %s",
                                 rules[i].key, rules[i].words);
        }
    }
    return DYN_OK;
}

dyn_err config_lease_read(struct config_loader *loader, const struct config_node *map,
                          struct config_lease *out)
{
    const struct config_field *const tables[] = {config_keys_lease};
    struct config_options options;
    dyn_err err = map != NULL ? config_keys_check(loader, map, tables, 1) : DYN_OK;
    if (err == DYN_OK) {
        err = config_options_read(loader, config_keys_lease, map, "redis.lease", &options);
    }
    if (err != DYN_OK) {
        return err;
    }
    *out = (struct config_lease){
        .renew_ms = config_option(&options, "renew")->as.i,
        .estimator_wait_ms = config_option(&options, "estimator_wait")->as.i,
        .hold_ms = config_option(&options, "hold")->as.i,
        .actuator_wait_ms = config_option(&options, "actuator_wait")->as.i,
        .beat_ms = config_option(&options, "beat")->as.i,
        .gone_ms = config_option(&options, "gone")->as.i,
    };
    return rules_check(loader, map, out);
}
