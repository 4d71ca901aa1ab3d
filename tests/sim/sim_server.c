/* Servers: their side of connections, and what may befall them. */
#include "tests/sim/sim_server.h"

static struct {
    struct sim_server servers[SIM_SERVERS];
    struct sim_server sentinels[SIM_SENTINELS];
    unsigned count;
    unsigned primary;
    void (*watch)(void *arg, const struct sim_write *write);
    void *watch_arg;
    struct sim_random random;
} redis;

/* ---- which ---- */

struct sim_server *sim_server_at(unsigned index)
{
    DYN_ASSERT(index < redis.count);
    return &redis.servers[index];
}

struct sim_server *sim_server_primary(void)
{
    return &redis.servers[redis.primary];
}

struct sim_server *sim_sentinel_at(unsigned index)
{
    DYN_ASSERT(index < SIM_SENTINELS);
    return &redis.sentinels[index];
}

void sim_sentinel_name(struct sim_server *sentinel, unsigned server)
{
    DYN_ASSERT(sentinel->is_sentinel && server < SIM_SERVERS);
    sentinel->names = server;
}

/* "NAME-3": 3; false for any other name. */
static bool host_index(const char *host, const char *name, unsigned count, unsigned *out)
{
    struct dyn_str text = dyn_str_from(host);
    uint64_t index = 0;
    size_t len = strlen(name);
    if (!dyn_str_starts(text, name) ||
        dyn_str_u64((struct dyn_str){host + len, text.len - len}, &index) != DYN_OK ||
        index >= count) {
        return false;
    }
    *out = (unsigned)index;
    return true;
}

struct sim_server *sim_server_of(const char *host)
{
    unsigned index = 0;
    if (host_index(host, "sentinel-", SIM_SENTINELS, &index)) {
        return &redis.sentinels[index];
    }
    if (host_index(host, "redis-", redis.count, &index)) {
        return &redis.servers[index];
    }
    return sim_server_primary();
}

struct sim_host *sim_server_host(struct sim_server *server)
{
    return &server->host;
}

bool sim_server_is_stalled(const struct sim_server *server)
{
    return server->running && server->faults[SIM_FAULT_STALL];
}

/* ---- replication ---- */

static struct sim_server *replica_of(const struct sim_server *server)
{
    bool follows = redis.count > 1 && server == sim_server_primary();
    struct sim_server *other = follows ? &redis.servers[1 - redis.primary] : NULL;
    return other != NULL && other->is_replica ? other : NULL;
}

static bool replication_flows(const struct sim_server *replica)
{
    return replica->link_whole && replica->running && !replica->to_sync &&
           sim_server_primary()->running;
}

/* Up to when the replica has seen what the primary wrote. */
static int64_t replica_seen(struct sim_server *replica)
{
    int64_t seen = sim_now() - replica->link_lag_us;
    if (replication_flows(replica) && seen > replica->seen_until) {
        replica->seen_until = seen;
    }
    return replica->seen_until;
}

static void replica_catch_up(struct sim_server *replica)
{
    sim_log_apply(&sim_server_primary()->log, SIM_LOG_REPLICA, replica_seen(replica),
                  &replica->store);
}

/* Copy everything, when the link is whole: it connects again, or for the first time. */
static void replica_sync(struct sim_server *replica)
{
    struct sim_server *primary = sim_server_primary();
    if (!replica->link_whole || !replica->running || !primary->running) {
        replica->to_sync = true;
        return;
    }
    replica->to_sync = false;
    model_store_clear(&replica->store);
    model_store_copy(&replica->store, &primary->store);
    sim_log_follow(&primary->log, SIM_LOG_REPLICA);
    replica->seen_until = sim_now();
}

/* The flow is about to stop, or to go on: take note of the time. */
static void replication_turn(void)
{
    struct sim_server *replica = replica_of(sim_server_primary());
    if (replica != NULL) {
        (void)replica_seen(replica);
        if (replication_flows(replica)) {
            replica->flowed_at = sim_now();
        }
    }
}

unsigned sim_server_replicas_good(const struct sim_server *server)
{
    struct sim_server *replica = replica_of(server);
    if (replica == NULL) {
        return 0;
    }
    /* Acknowledgements come each second, and their age is told in whole ones. */
    return replication_flows(replica) ||
                   sim_now() - replica->flowed_at <= server->max_lag_us + SIM_S
               ? 1
               : 0;
}

unsigned sim_server_replicas_have(const struct sim_server *server, int64_t wrote_at)
{
    struct sim_server *replica = replica_of(server);
    return replica != NULL && replica_seen(replica) >= wrote_at ? 1 : 0;
}

int64_t sim_server_told_at(const struct sim_server *server, int64_t wrote_at)
{
    const struct sim_server *replica = replica_of(server);
    if (replica == NULL || !replication_flows(replica)) {
        return INT64_MAX;
    }
    int64_t seen_at = wrote_at + replica->link_lag_us;
    return (seen_at > sim_now() ? seen_at : sim_now()) + replica->link_lag_us + SIM_MS / 4;
}

void sim_replication_set(bool whole, int64_t lag_us)
{
    sim_story("replication %s, %lld ms behind", whole ? "whole" : "broken",
              (long long)(lag_us / SIM_MS));
    replication_turn();
    for (unsigned i = 0; i < redis.count; i++) {
        redis.servers[i].link_whole = whole;
        redis.servers[i].link_lag_us = lag_us;
    }
    struct sim_server *replica = replica_of(sim_server_primary());
    if (replica != NULL && replica->to_sync) {
        replica_sync(replica);
    }
    sim_blocked_turn(sim_server_primary());
}

/* ---- writes ---- */

static void write_tell(struct sim_server *server, const struct model_op *op)
{
    static const enum sim_write_kind kinds[] = {SIM_WRITE_ADD,    SIM_WRITE_TRIM,
                                                SIM_WRITE_SET,    SIM_WRITE_UNSET,
                                                SIM_WRITE_DELETE, SIM_WRITE_DELETE};
    const struct sim_conn *client = server->client;
    struct sim_write write = {
        .kind = kinds[op->kind],
        .server = server,
        .process = client != NULL ? client->process_id : 0,
        .name = client != NULL ? client->name : "world",
        .call = server->call,
        .key = op->key != NULL ? (struct dyn_str){op->key->bytes, op->key->len} : DYN_STR(""),
        .id = op->id,
    };
    if (op->kind == MODEL_ADD) {
        struct model_entry entry = {op->id, 0, op->fields, op->value};
        write.value = model_entry_field(&entry, "m");
    } else if (op->kind == MODEL_TRIM) {
        const struct model_stream *stream = &model_key_find(&server->store, write.key)->stream;
        write.id = stream->count > 0 ? model_stream_at(stream, 0)->id
                                     : (struct entry_id){stream->last.ms, stream->last.seq + 1};
    } else {
        write.field = op->field != NULL ? (struct dyn_str){op->field->bytes, op->field->len}
                                        : (struct dyn_str){NULL, 0};
        write.value = op->value != NULL ? (struct dyn_str){op->value->bytes, op->value->len}
                                        : (struct dyn_str){NULL, 0};
    }
    redis.watch(redis.watch_arg, &write);
}

static void log_shorten(struct sim_server *server)
{
    struct sim_server *replica = replica_of(server);
    sim_log_apply(&server->log, SIM_LOG_DISK, sim_now() - SIM_DISK_US, &server->disk);
    if (replica != NULL) {
        replica_catch_up(replica);
    }
}

static void store_changed(void *arg, const struct model_op *op)
{
    struct sim_server *server = arg;
    server->touched = server->touched || op->kind == MODEL_ADD;
    if (server->client != NULL) {
        server->client->wrote_at = sim_now();
    }
    sim_log_add(&server->log, op);
    if (++server->logged % 128 == 0) {
        log_shorten(server);
    }
    if (redis.watch != NULL) {
        write_tell(server, op);
    }
}

void sim_writes_watch(void (*fn)(void *arg, const struct sim_write *write), void *arg)
{
    redis.watch = fn;
    redis.watch_arg = arg;
}

/* ---- the life of a server ---- */

static void replid_draw(struct sim_server *server)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 40; i++) {
        server->replid[i] = digits[sim_random_bits(&redis.random) % 16];
    }
    server->replid[40] = '\0';
}

const char *sim_server_replid(const struct sim_server *server)
{
    return server->replid;
}

static void conns_hang_up(struct sim_server *server, const char *why)
{
    struct sim_conn *next = NULL;
    for (struct sim_conn *conn = server->conns; conn != NULL; conn = next) {
        next = conn->next;
        sim_server_hang_up(conn, why);
        sim_conn_release(conn);
    }
}

static void conns_kick(struct sim_server *server)
{
    for (struct sim_conn *conn = server->conns; conn != NULL; conn = conn->next) {
        sim_wire_kick(conn, &conn->out);
    }
}

void sim_server_stop(struct sim_server *server)
{
    if (!server->running) {
        return;
    }
    sim_story("%s %u stops", server->is_sentinel ? "Sentinel" : "Redis", server->index);
    replication_turn();
    server->running = false;
    server->stopped_at = sim_now();
    conns_hang_up(server, "Connection reset by peer");
    conns_kick(server);
}

void sim_server_start(struct sim_server *server, int64_t lost_us)
{
    if (server->running) {
        return;
    }
    if (server->is_sentinel) {
        sim_story("Sentinel %u starts", server->index);
        server->running = true;
        return;
    }
    sim_story("Redis %u starts, without the writes of its last %lld ms", server->index,
              (long long)(lost_us / SIM_MS));
    if (!server->is_replica) {
        sim_log_apply(&server->log, SIM_LOG_DISK, server->stopped_at - lost_us, &server->disk);
        model_store_clear(&server->store);
        model_store_copy(&server->store, &server->disk);
        sim_log_follow(&server->log, SIM_LOG_DISK);
    }
    replid_draw(server);
    server->running = true;
    struct sim_server *replica = replica_of(sim_server_primary());
    if (replica != NULL && (server == replica || server == sim_server_primary())) {
        replica_sync(replica);
    }
    conns_kick(server);
}

void sim_failover(void)
{
    DYN_ASSERT(redis.count > 1);
    struct sim_server *replica = replica_of(sim_server_primary());
    if (replica == NULL || !replica->running) {
        sim_story("no failover: there is no replica");
        return;
    }
    replication_turn();
    replica_catch_up(replica);
    sim_story("failover: Redis %u is the primary now, without the last %lld ms", replica->index,
              (long long)((sim_now() - replica->seen_until) / SIM_MS));
    sim_log_unfollow(&sim_server_primary()->log, SIM_LOG_REPLICA);
    replica->is_replica = false;
    replica->to_sync = false;
    replid_draw(replica);
    model_store_clear(&replica->disk);
    model_store_copy(&replica->disk, &replica->store);
    sim_log_follow(&replica->log, SIM_LOG_DISK);
    redis.primary = replica->index;
    for (unsigned i = 0; i < SIM_SENTINELS; i++) {
        redis.sentinels[i].names = replica->index;
    }
}

void sim_server_demote(struct sim_server *server)
{
    DYN_ASSERT(server != sim_server_primary());
    sim_story("Redis %u becomes a replica", server->index);
    server->is_replica = true;
    server->flowed_at = sim_now();
    replica_sync(server);
    for (struct sim_conn *conn = server->conns; conn != NULL; conn = conn->next) {
        if (conn->blocked != NULL) {
            struct model_answer *answer = model_answer_new();
            model_put_error(answer, &answer->root,
                            "UNBLOCKED force unblock from blocking operation, instance state "
                            "changed (master -> replica?)");
            sim_answer_send(conn, answer);
            sim_server_hang_up(conn, "the connection was closed");
        }
    }
}

/* ---- faults ---- */

void sim_server_fault(struct sim_server *server, enum sim_server_fault fault, bool on)
{
    static const char *const names[] = {"is full", "cannot write to its disk", "loads",
                                        "has no Functions", "stalls"};
    if (server->faults[fault] == on) {
        return;
    }
    sim_story("Redis %u %s: %s", server->index, names[fault], on ? "from now on" : "no more");
    server->faults[fault] = on;
    server->store.has_functions = !server->faults[SIM_FAULT_NO_FUNCTIONS];
    conns_kick(server);
}

void sim_server_min_replicas(struct sim_server *server, unsigned count, int64_t max_lag_us)
{
    server->min_replicas = count;
    server->max_lag_us = max_lag_us;
}

bool sim_server_command(struct sim_server *server, const struct dyn_str *argv, size_t argc)
{
    const struct model_command *command = model_command_find(argv[0]);
    struct model_answer *answer = model_answer_new();
    DYN_ASSERT(command != NULL && command->run != NULL);
    if (!model_command_refused(command, argv, argc, answer)) {
        server->call = argv[0];
        server->store.wall_us = sim_host_wall_us(&server->host);
        command->run(&server->store, argv, argc, answer, &answer->root);
        sim_readers_serve(server);
    }
    bool good = answer->root.type != BUS_ERROR;
    if (!good) {
        sim_story("Redis %u: " DYN_STR_FMT, server->index, DYN_STR_ARG(answer->root.str));
    }
    model_answer_free(answer);
    return good;
}

void sim_server_flush(struct sim_server *server)
{
    sim_story("Redis %u is flushed", server->index);
    (void)sim_server_command(server, (struct dyn_str[]){DYN_STR("FLUSHALL")}, 1);
}

void sim_server_delete(struct sim_server *server, const char *key)
{
    sim_story("Redis %u: %s is deleted", server->index, key);
    (void)sim_server_command(server, (struct dyn_str[]){DYN_STR("DEL"), dyn_str_from(key)}, 2);
}

void sim_server_entry_last(struct sim_server *server, const char *key)
{
    sim_story("Redis %u: %s gets an entry with the highest ID", server->index, key);
    struct dyn_str argv[] = {DYN_STR("XADD"), dyn_str_from(key),
                             DYN_STR("18446744073709551615-18446744073709551615"), DYN_STR("m"),
                             DYN_STR("x")};
    (void)sim_server_command(server, argv, 5);
}

void sim_server_setup(struct sim_server *server)
{
    char key[DYN_NAME_MAX];
    char partitions[16];
    char schema[16];
    (void)snprintf(key, sizeof key, "%s:setup", sim_options_get()->prefix);
    (void)snprintf(partitions, sizeof partitions, "%u", sim_options_get()->partitions);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    struct dyn_str argv[] = {DYN_STR("HSET"),       dyn_str_from(key),
                             DYN_STR("partitions"), dyn_str_from(partitions),
                             DYN_STR("functions"),  dyn_str_from(bus_functions_version),
                             DYN_STR("schema"),     dyn_str_from(schema)};
    (void)sim_server_command(server, argv, 8);
}

/* ---- looking into it ---- */

struct dyn_str sim_hash_get(struct sim_server *server, const char *key, const char *field)
{
    const struct model_key *found = model_key_find(&server->store, dyn_str_from(key));
    const struct model_field *at =
        found != NULL ? model_field_find(&found->fields, dyn_str_from(field)) : NULL;
    return at != NULL ? (struct dyn_str){at->value->bytes, at->value->len}
                      : (struct dyn_str){NULL, 0};
}

size_t sim_stream_count(struct sim_server *server, const char *key)
{
    const struct model_key *found = model_key_find(&server->store, dyn_str_from(key));
    return found != NULL ? found->stream.count : 0;
}

bool sim_stream_at(struct sim_server *server, const char *key, size_t index, struct bus_entry *out)
{
    const struct model_key *found = model_key_find(&server->store, dyn_str_from(key));
    if (found == NULL || index >= found->stream.count) {
        return false;
    }
    const struct model_entry *entry = model_stream_at(&found->stream, index);
    *out = (struct bus_entry){entry->id, model_entry_field(entry, "m")};
    return true;
}

/* ---- all of them ---- */

void sim_servers_wall_stepped(const struct sim_host *host)
{
    for (unsigned i = 0; i < redis.count; i++) {
        if (&redis.servers[i].host == host) {
            sim_story("the wall clock of Redis %u steps", i);
            sim_blocked_turn(&redis.servers[i]);
        }
    }
}

void sim_servers_begin(void)
{
    const struct sim_options *options = sim_options_get();
    DYN_ASSERT(options->replicas + 1 <= SIM_SERVERS);
    redis.random = sim_random_of("Redis");
    redis.count = 1 + options->replicas;
    for (unsigned i = 0; i < redis.count; i++) {
        struct sim_server *server = &redis.servers[i];
        server->index = i;
        server->running = true;
        server->is_replica = i > 0;
        server->link_whole = true;
        server->link_lag_us = SIM_MS;
        model_store_init(&server->store);
        model_store_init(&server->disk);
        server->store.changed = store_changed;
        server->store.arg = server;
        replid_draw(server);
        sim_log_follow(&server->log, SIM_LOG_DISK);
    }
    for (unsigned i = 0; i < SIM_SENTINELS; i++) {
        redis.sentinels[i] = (struct sim_server){.index = i, .running = true, .is_sentinel = true};
    }
    if (redis.count > 1) {
        sim_log_follow(&redis.servers[0].log, SIM_LOG_REPLICA);
    }
    if (options->partitions > 0) {
        sim_server_setup(&redis.servers[0]);
    }
}

static void conns_end(struct sim_server *server)
{
    while (server->conns != NULL) {
        struct sim_conn *conn = server->conns;
        sim_wire_drop(&conn->out);
        sim_client_close(conn);
        sim_conn_release(conn);
    }
}

void sim_servers_end(void)
{
    for (unsigned i = 0; i < SIM_SENTINELS; i++) {
        conns_end(&redis.sentinels[i]);
    }
    for (unsigned i = 0; i < redis.count; i++) {
        struct sim_server *server = &redis.servers[i];
        conns_end(server);
        sim_log_end(&server->log);
        model_store_clear(&server->store);
        model_store_clear(&server->disk);
    }
    memset(&redis, 0, sizeof redis);
    model_answers_end();
}
