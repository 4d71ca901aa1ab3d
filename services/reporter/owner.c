#include "reporter/owner.h"

#include "common/clock.h"
#include "common/leases.h"
#include "common/peers.h"
#include "reporter/feed.h"
#include "reporter/pinger.h"

#include <inttypes.h>

enum {
    TICK_MS = 1000,
    LOOK_MAX_MS = 1000, /* how often at least a lease of another's is looked at */
    KEY_MAX = 2 * DYN_NAME_MAX + 64
};

struct place { /* of one sink */
    struct owner *owner;
    const struct config_sink *sink;
    char name[FEED_NAME_MAX];
    uint64_t hash;     /* of the name */
    char key[KEY_MAX]; /* of the lease */
    size_t lease;
    /* One of these; both NULL: the sink cannot work here. */
    struct feed *feed;
    struct pinger *pinger;
    bool fresh;   /* it was never led */
    bool ours;    /* it falls to us */
    bool spare;   /* taken although it did not fall to us: its owner did not take it */
    bool leaving; /* held and not wished for */
    bool owned;   /* somebody was seen to own it, perhaps ourselves */
    char epoch[LEASE_EPOCH_TEXT]; /* while held */
};

struct owner {
    struct service *service;
    struct http_client *http;
    char self[DYN_NAME_MAX]; /* our name, of this process alone */
    struct names *names;
    const struct config *config;
    struct engine *engine;
    struct leases *leases;
    struct peers *peers;
    struct dyn_timer *tick;
    struct place *places;
    size_t count;
    bool left;
};

/* ---- what works for a sink ---- */

static bool place_may_deliver(void *arg)
{
    const struct place *place = arg;
    return !place->leaving && leases_may_write(place->owner->leases, place->lease);
}

static void place_fenced(void *arg)
{
    const struct place *place = arg;
    leases_fenced(place->owner->leases, place->lease);
}

/* A sink that cannot work is told, and left to whom it works for. */
static void work_make(struct place *place)
{
    struct owner *owner = place->owner;
    struct dyn_error error = {""};
    struct feed_options options = {.service = owner->service,
                                   .names = owner->names,
                                   .http = owner->http,
                                   .config = owner->config,
                                   .sink = place->sink,
                                   .lease = place->key,
                                   .owner = owner->self,
                                   .may_deliver = place_may_deliver,
                                   .fenced = place_fenced,
                                   .arg = place};
    bool pings = place->sink->type->kind == CONFIG_SUCCESS;
    place->feed = NULL;
    place->pinger = NULL;
    place->fresh = true;
    dyn_err err = pings ? pinger_new(&options, owner->engine, &place->pinger, &error)
                        : feed_new(&options, &place->feed, &error);
    if (err == DYN_OK) {
        return;
    }
    service_event(owner->service, &(struct event){.level = EVENT_ERROR,
                                                  .code = DYN_STR("sink_disabled"),
                                                  .input = dyn_str_from(place->sink->name),
                                                  .text = dyn_str_from(error.text)});
}

static bool work_is_there(const struct place *place)
{
    return place->feed != NULL || place->pinger != NULL;
}

static void work_free(struct place *place)
{
    feed_free(place->feed);
    pinger_free(place->pinger);
    place->feed = NULL;
    place->pinger = NULL;
}

static void work_lead(struct place *place)
{
    struct dyn_str epoch = dyn_str_from(place->epoch);
    place->fresh = false;
    if (place->pinger != NULL) {
        pinger_lead(place->pinger, epoch);
    } else {
        feed_lead(place->feed, epoch);
    }
}

static void work_go(const struct place *place)
{
    if (place->pinger != NULL) {
        pinger_go(place->pinger);
    } else {
        feed_go(place->feed);
    }
}

static void work_drain(const struct place *place)
{
    if (place->pinger != NULL) {
        pinger_drain(place->pinger);
    } else if (place->feed != NULL) {
        feed_drain(place->feed);
    }
}

static bool work_is_idle(const struct place *place)
{
    return place->pinger != NULL ? pinger_is_idle(place->pinger) : feed_is_idle(place->feed);
}

static bool work_is_ready(const struct place *place, struct dyn_buf *why)
{
    return place->pinger != NULL ? pinger_is_ready(place->pinger, why)
                                 : feed_is_ready(place->feed, why);
}

static void place_leave(struct place *place)
{
    if (place->lease != SIZE_MAX) {
        leases_remove(place->owner->leases, place->lease);
        place->lease = SIZE_MAX;
    }
}

/* What it knows is of before: the next one begins at what Redis has. */
static void work_renew(struct place *place)
{
    work_free(place);
    work_make(place);
    if (!work_is_there(place)) {
        place_leave(place);
    }
}

/* ---- what is wished for ---- */

static bool place_is_held(const struct place *place)
{
    return place->lease != SIZE_MAX && leases_is_held(place->owner->leases, place->lease);
}

/* What falls to another is handed over, unless it was taken because the other did not. */
static enum lease_wish place_wish(const struct place *place)
{
    if (place->ours) {
        return LEASE_WANTED;
    }
    bool known = members_known(peers_members(place->owner->peers));
    return place_is_held(place) && known && !place->spare ? LEASE_UNWANTED : LEASE_SPARE;
}

static void place_look(struct place *place)
{
    if (place->lease == SIZE_MAX) {
        return;
    }
    struct leases *leases = place->owner->leases;
    enum lease_wish wish = place_wish(place);
    const char *seen = leases_owner(leases, place->lease);
    bool anothers = seen[0] != '\0' && strcmp(seen, place->owner->self) != 0;
    place->leaving = wish == LEASE_UNWANTED;
    place->owned = place->owned || seen[0] != '\0';
    leases_wish(leases, place->lease, wish);
    if (place_is_held(place)) {
        work_go(place);
    } else if (anothers && !place->fresh) {
        work_renew(place);
    }
}

static void owner_tick(void *arg)
{
    struct owner *owner = arg;
    for (size_t i = 0; i < owner->count; i++) {
        place_look(&owner->places[i]);
    }
}

/* A few sinks are shared out evenly; of very many each falls to whom it falls. */
static void places_share(struct owner *owner)
{
    const struct members *members = peers_members(owner->peers);
    uint64_t keys[MEMBERS_SPREAD_MAX];
    bool ours[MEMBERS_SPREAD_MAX];
    bool few = owner->count <= MEMBERS_SPREAD_MAX;
    for (size_t i = 0; few && i < owner->count; i++) {
        keys[i] = owner->places[i].hash;
    }
    if (few) {
        members_spread(members, keys, owner->count, ours);
    }
    for (size_t i = 0; i < owner->count; i++) {
        struct place *place = &owner->places[i];
        place->ours = few ? ours[i] : members_owns(members, place->hash);
        place->spare = false;
    }
    owner_tick(owner);
}

static void members_changed(void *arg)
{
    struct owner *owner = arg;
    size_t ours = 0;
    places_share(owner);
    for (size_t i = 0; i < owner->count; i++) {
        ours += owner->places[i].ours;
    }
    dyn_log(DYN_LOG_INFO, "sinks_shared", "members=%zu sinks=%zu",
            members_count(peers_members(owner->peers)), ours);
}

/* ---- leases ---- */

static struct place *place_of(struct owner *owner, size_t lease)
{
    for (size_t i = 0; i < owner->count; i++) {
        if (owner->places[i].lease == lease) {
            return &owner->places[i];
        }
    }
    return NULL;
}

static void lease_taken_cb(void *arg, size_t lease, const struct lease_grant *grant)
{
    struct place *place = place_of(arg, lease);
    DYN_ASSERT(place != NULL);
    place->spare = !place->ours;
    place->owned = true;
    dyn_str_copy(place->epoch, sizeof place->epoch, grant->epoch_text);
    dyn_log(DYN_LOG_INFO, "sink_taken", "sink=%s epoch=%" PRIu64, place->name, grant->epoch);
    if (!place->fresh && !grant->own_again) {
        work_renew(place);
    }
    if (work_is_there(place)) {
        work_lead(place);
    }
}

static void lease_lost_cb(void *arg, size_t lease, const char *why)
{
    struct place *place = place_of(arg, lease);
    DYN_ASSERT(place != NULL);
    dyn_log(DYN_LOG_INFO, "sink_lost", "sink=%s msg=%s", place->name, dyn_log_quoted(why));
    place->leaving = false;
    leases_wish(place->owner->leases, lease, place_wish(place));
}

static bool lease_may_leave(void *arg, size_t lease)
{
    const struct place *place = place_of(arg, lease);
    DYN_ASSERT(place != NULL);
    return work_is_idle(place);
}

/* ---- the configuration ---- */

static void place_make(struct owner *owner, struct place *place, const struct config_sink *sink)
{
    *place = (struct place){.owner = owner, .sink = sink, .lease = SIZE_MAX};
    feed_name(sink, place->name);
    place->hash = dyn_hash(DYN_HASH_SEED, dyn_str_from(place->name));
    int len = snprintf(place->key, sizeof place->key, "%s:{rep}:%s:lease",
                       owner->config->redis.prefix, place->name);
    DYN_ASSERT(len > 0 && (size_t)len < sizeof place->key);
    work_make(place);
}

/* The lease that it had under the configuration before, or a new one. */
static dyn_err place_lease(struct place *place, struct place *old, size_t old_count)
{
    struct owner *owner = place->owner;
    for (size_t i = 0; i < old_count && work_is_there(place); i++) {
        if (old[i].lease != SIZE_MAX && strcmp(old[i].name, place->name) == 0) {
            place->lease = old[i].lease;
            place->owned = old[i].owned;
            place->spare = old[i].spare;
            memcpy(place->epoch, old[i].epoch, sizeof place->epoch);
            old[i].lease = SIZE_MAX;
        }
    }
    if (work_is_there(place) && place->lease == SIZE_MAX) {
        place->lease = leases_add(owner->leases, place->key);
        if (place->lease == SIZE_MAX) {
            return DYN_NOMEM;
        }
        leases_wish(owner->leases, place->lease, LEASE_SPARE);
    }
    return DYN_OK;
}

static dyn_err places_fill(struct owner *owner, struct place *old, size_t old_count)
{
    static const enum config_kind kinds[] = {CONFIG_STATS, CONFIG_ERRORS, CONFIG_SUCCESS};
    const struct config *config = owner->config;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (size_t i = 0; i < config->sinks_count[kinds[k]]; i++) {
            struct place *place = &owner->places[owner->count++];
            place_make(owner, place, &config->sinks[kinds[k]][i]);
            dyn_err err = place_lease(place, old, old_count);
            if (err != DYN_OK) {
                return err;
            }
        }
    }
    return DYN_OK;
}

dyn_err owner_configure(struct owner *owner, const struct config *config)
{
    size_t most = config->sinks_count[CONFIG_STATS] + config->sinks_count[CONFIG_ERRORS] +
                  config->sinks_count[CONFIG_SUCCESS];
    struct place *old = owner->places;
    size_t old_count = owner->count;
    struct place *places = calloc(most + 1, sizeof *places);
    struct names *names = names_new(config);
    if (places == NULL || names == NULL) {
        free(places);
        names_free(names);
        return DYN_NOMEM;
    }
    for (size_t i = 0; i < old_count; i++) {
        work_free(&old[i]);
    }
    names_free(owner->names);
    owner->names = names;
    owner->config = config;
    owner->places = places;
    owner->count = 0;
    engine_want(owner->engine, config->sinks_count[CONFIG_SUCCESS] > 0);
    dyn_err err = places_fill(owner, old, old_count);
    for (size_t i = 0; i < old_count; i++) {
        place_leave(&old[i]);
    }
    free(old);
    for (size_t i = 0; i < owner->count && err == DYN_OK; i++) {
        if (place_is_held(&owner->places[i])) {
            work_lead(&owner->places[i]);
        }
    }
    if (err == DYN_OK) {
        places_share(owner);
    }
    return err;
}

/* ---- life ---- */

static dyn_err shells_make(struct owner *owner)
{
    const struct config_redis *redis = &owner->service->config->redis;
    int64_t wait_ms = redis->lease.estimator_wait_ms;
    char key[KEY_MAX];
    (void)snprintf(key, sizeof key, "%s:{rep}:members", redis->prefix);
    owner->leases =
        leases_new(owner->service->loop,
                   &(struct leases_options){
                       .owner = owner->self,
                       .times = {.renew_ms = redis->lease.renew_ms,
                                 .hold_ms = wait_ms * 7 / 8,
                                 .drop_ms = wait_ms / 8,
                                 .wait_ms = wait_ms,
                                 .look_ms = wait_ms / 4 < LOOK_MAX_MS ? wait_ms / 4 : LOOK_MAX_MS},
                       .taken = lease_taken_cb,
                       .lost = lease_lost_cb,
                       .may_leave = lease_may_leave,
                       .arg = owner});
    owner->peers =
        peers_new(owner->service->loop, &(struct peers_options){.key = key,
                                                                .self = owner->self,
                                                                .text = owner->service->instance,
                                                                .beat_ms = redis->lease.beat_ms,
                                                                .gone_ms = redis->lease.gone_ms,
                                                                .changed = members_changed,
                                                                .arg = owner});
    return owner->leases != NULL && owner->peers != NULL ? DYN_OK : DYN_NOMEM;
}

struct owner *owner_new(struct service *service, struct http_client *http)
{
    struct owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL) {
        return NULL;
    }
    owner->service = service;
    owner->http = http;
    (void)snprintf(owner->self, sizeof owner->self, "%.100s-%08" PRIx32, service->instance,
                   (uint32_t)dyn_random());
    owner->tick = dyn_timer_new(service->loop, owner_tick, owner);
    owner->engine = engine_new(service);
    if (owner->tick == NULL || owner->engine == NULL || shells_make(owner) != DYN_OK) {
        owner_free(owner);
        return NULL;
    }
    dyn_timer_start(owner->tick, TICK_MS, TICK_MS);
    return owner;
}

void owner_free(struct owner *owner)
{
    if (owner == NULL) {
        return;
    }
    for (size_t i = 0; i < owner->count; i++) {
        work_free(&owner->places[i]);
    }
    free(owner->places);
    names_free(owner->names);
    dyn_timer_free(owner->tick);
    leases_free(owner->leases);
    peers_free(owner->peers);
    engine_free(owner->engine);
    free(owner);
}

void owner_open(struct owner *owner, struct dyn_str replid)
{
    peers_open(owner->peers, owner->service->bus);
    leases_open(owner->leases, owner->service->bus, replid);
}

void owner_close(struct owner *owner, const char *why)
{
    peers_close(owner->peers);
    leases_close(owner->leases, why);
}

static void owner_left(void *arg)
{
    struct owner *owner = arg;
    owner->left = true;
}

void owner_drain(struct owner *owner)
{
    for (size_t i = 0; i < owner->count; i++) {
        work_drain(&owner->places[i]);
    }
    engine_want(owner->engine, false);
    peers_leave(owner->peers);
    leases_leave(owner->leases, owner_left, owner);
}

bool owner_is_drained(const struct owner *owner)
{
    const struct bus *bus = owner->service->bus;
    return owner->left && (!bus_is_ready(bus) || bus_pending(bus) == 0);
}

bool owner_is_ready(const struct owner *owner, struct dyn_buf *why)
{
    bool ready = true;
    for (size_t i = 0; i < owner->count; i++) {
        const struct place *place = &owner->places[i];
        if (place->lease == SIZE_MAX) {
            (void)dyn_buf_addf(why, "%s: disabled here\n", place->name);
        } else if (place_is_held(place)) {
            bool reads = work_is_ready(place, why);
            ready = ready && reads;
            if (reads) {
                (void)dyn_buf_addf(why, "%s: ours\n", place->name);
            }
        } else if (place->owned || leases_owner(owner->leases, place->lease)[0] != '\0') {
            (void)dyn_buf_addf(why, "%s: of %s\n", place->name,
                               leases_owner(owner->leases, place->lease));
        } else {
            (void)dyn_buf_addf(why, "%s: nobody has it yet\n", place->name);
            ready = false;
        }
    }
    return ready;
}
