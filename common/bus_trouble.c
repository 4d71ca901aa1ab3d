/* Error replies that speak of the server's state: told apart from the failure of one command. */
#include "common/bus_internal.h"

#define REDISCOVER_MS 10000 /* how often NOREPLICAS may make us ask the Sentinels anew */

enum {
    ENDS = 1,   /* the connection is of no use now */
    DOUBTS = 2, /* it may be the master of before a failover */
    PASSES = 4, /* the same command may succeed later */
};

struct trouble {
    const char *begins; /* the reply */
    int what;
    const char *advice; /* why the connection ended, or what a person may do */
};

static const struct trouble troubles[] = {
    {"LOADING", ENDS | PASSES, "the server is still loading its data"},
    {"READONLY", ENDS | DOUBTS | PASSES, "the server is a replica now"},
    {"MASTERDOWN", ENDS | DOUBTS | PASSES, "the server is a replica without its master"},
    {"NOREPLICAS", DOUBTS | PASSES,
     "too few replicas follow this server (min-replicas-to-write): bring one back"},
    {"OOM", PASSES, "Redis is full: raise its maxmemory, or lower redis.max_bytes"},
    {"MISCONF", PASSES, "Redis cannot write to its disk: see its log for why"},
    {"BUSY ", PASSES, "something runs in Redis for too long: FUNCTION KILL or SCRIPT KILL"},
    {"NOPERM", 0, "this user's ACL lacks a rule"},
    {"NOAUTH", ENDS, "the server asks for a password now"},
    {"ERR The stream has exhausted", 0,
     "an entry with the highest possible ID ends a stream: DEL it (windows are then read anew)"},
};

static const struct trouble *trouble_find(struct dyn_str words)
{
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        if (dyn_str_starts(words, troubles[i].begins)) {
            return &troubles[i];
        }
    }
    return NULL;
}

bool bus_reply_may_pass(const struct bus_reply *reply)
{
    const struct trouble *trouble =
        bus_reply_type(reply) == BUS_ERROR ? trouble_find(bus_reply_str(reply)) : NULL;
    return trouble != NULL && (trouble->what & PASSES) != 0;
}

void bus_trouble_see(struct bus *bus, struct dyn_str words)
{
    const struct trouble *trouble = trouble_find(words);
    int64_t now_ms = dyn_loop_now_ms(bus->loop);
    if (trouble == NULL || bus->state != BUS_READY) {
        return; /* the handshake sees to its own refusals */
    }
    bool ends = (trouble->what & ENDS) != 0;
    if (bus->sentinel != NULL && (trouble->what & DOUBTS) != 0 &&
        (ends || now_ms - bus->doubted_at_ms >= REDISCOVER_MS)) {
        bus->doubted_at_ms = now_ms;
        bus_sentinel_doubt(bus);
        ends = true;
    }
    if (ends) {
        bus_reset(bus, trouble->advice);
    } else if (bus->options.trouble != NULL) {
        char why[BUS_WHY_MAX];
        (void)snprintf(why, sizeof(why), DYN_STR_FMT " (%s)", DYN_STR_ARG(words), trouble->advice);
        bus->options.trouble(bus->options.arg, why);
    }
}
