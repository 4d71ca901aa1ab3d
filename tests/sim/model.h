/*
 * model: what a Redis server holds and answers, as far as we use one. Held against the real server
 * by tests/integration/test_sim_redis.c.
 *
 * A store is one database: streams and hashes. model_command() runs one command on it and builds
 * its answer. It knows no connections: AUTH, SELECT, CLIENT, HELLO, WAIT, and the waiting of XREAD,
 * are the server's.
 *
 * Ownership: an answer is the caller's, who gives it back by model_answer_free(). Values are
 * counted blobs, so that a store and its copies share them. Out of memory ends the program.
 */
#ifndef DYN_SIM_MODEL_H
#define DYN_SIM_MODEL_H

#include "common/bus.h"
#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- answers ---- */

struct bus_reply {
    enum bus_reply_type type;
    int64_t integer;
    struct dyn_str str;
    size_t count;
    struct bus_reply *items;
};

struct model_chunk;
struct model_answer {
    struct bus_reply root;
    struct model_answer *next; /* of those that are not in use */
    struct model_chunk *chunks;
    size_t used;
    char bytes[1000];
};

struct model_answer *model_answer_new(void);
void model_answer_free(struct model_answer *answer);
void model_answers_end(void); /* gives the memory of those not in use back */

void *model_take(struct model_answer *answer, size_t size); /* lives as long as it does */
void model_put_str(struct model_answer *answer, struct bus_reply *reply, struct dyn_str str);
void model_put_int(struct bus_reply *reply, int64_t number);
void model_put_u64_str(struct model_answer *answer, struct bus_reply *reply, uint64_t number);
void model_put_status(struct bus_reply *reply, const char *text); /* static */
void model_put_nil(struct bus_reply *reply);
void model_put_error(struct model_answer *answer, struct bus_reply *reply, const char *format, ...)
    DYN_PRINTF(3, 4);
/** `count` items, each nil at first. */
struct bus_reply *model_put_array(struct model_answer *answer, struct bus_reply *reply,
                                  size_t count);

/* ---- the store ---- */

struct model_blob {
    unsigned refs;
    uint32_t len;
    char bytes[];
};
struct model_blob *model_blob_new(struct dyn_str bytes);
struct model_blob *model_blob_ref(struct model_blob *blob);
void model_blob_free(struct model_blob *blob); /* NULL is fine */

struct model_entry {
    struct entry_id id;
    uint32_t node;           /* which piece of the stream: trimming with ~ takes whole ones */
    uint32_t fields;         /* pairs */
    struct model_blob *blob; /* of each name and value: a uint32_t length, the bytes */
};
/** The value of an entry's first field of that name; ptr NULL when it has none. */
struct dyn_str model_entry_field(const struct model_entry *entry, const char *name);

struct model_stream {
    struct model_entry *entries; /* from `first` on */
    size_t first;
    size_t count;
    size_t room;
    struct entry_id last;
    uint64_t added; /* ever */
    uint32_t node;  /* of the newest entry */
    uint32_t in_node;
};

struct model_field {
    struct model_blob *name;
    struct model_blob *value;
    uint64_t serial; /* in the order of their making, for cursors */
};

struct model_hash {
    struct model_field *fields; /* in the order of serials */
    size_t count;
    size_t room;
    uint64_t serials;
};

struct model_key {
    struct model_key *next;
    uint64_t hash;
    struct model_blob *name;
    bool is_stream;
    struct model_stream stream;
    struct model_hash fields;
};

enum model_op_kind {
    MODEL_ADD,   /* entry: id, fields, value */
    MODEL_TRIM,  /* the `count` oldest entries go */
    MODEL_SET,   /* field, value */
    MODEL_UNSET, /* field */
    MODEL_DELETE,
    MODEL_FLUSH,
};

/* One change of a store. Blobs are borrowed. */
struct model_op {
    enum model_op_kind kind;
    struct model_blob *key; /* NULL with MODEL_FLUSH */
    struct entry_id id;
    uint32_t fields;
    uint64_t count;
    struct model_blob *field;
    struct model_blob *value;
};

#define MODEL_BUCKETS 256

struct model_store {
    struct model_key *buckets[MODEL_BUCKETS];
    size_t keys;
    /* What the server's state says; written by its owner. */
    uint32_t node_entries; /* stream-node-max-entries */
    bool has_functions;
    int64_t wall_us; /* of the server, before each command */
    /** Each change, after it was done. */
    void (*changed)(void *arg, const struct model_op *op);
    void *arg;
};

void model_store_init(struct model_store *store);
void model_store_clear(struct model_store *store); /* every key; tells nobody */
void model_store_copy(struct model_store *to, const struct model_store *from); /* `to` is clear */
/** Do to a copy what was done to another; tells nobody. */
void model_store_apply(struct model_store *store, const struct model_op *op);
/** Do it and tell. False: there was nothing to change. */
bool model_store_do(struct model_store *store, const struct model_op *op);

struct model_key *model_key_find(const struct model_store *store, struct dyn_str name);
struct model_field *model_field_find(const struct model_hash *hash, struct dyn_str name);
/** The index of the first entry not below `id`. */
size_t model_stream_find(const struct model_stream *stream, struct entry_id id);
const struct model_entry *model_stream_at(const struct model_stream *stream, size_t index);

/* ---- commands ---- */

struct model_command {
    const char *name;
    int arity; /* with the name; negative: at least so many */
    bool writes;
    bool needs_memory; /* refused when the store is full */
    void (*run)(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply);
};

/** NULL when it is none of ours. */
const struct model_command *model_command_find(struct dyn_str name);
/** "ERR unknown command", or the wrong number of arguments; false when neither. */
bool model_command_refused(const struct model_command *command, const struct dyn_str *argv,
                           size_t argc, struct model_answer *answer);

/* What bars commands whatever they would do. */
struct model_bars {
    bool full;  /* used memory > maxmemory */
    bool disk;  /* nothing can be written to it */
    bool alone; /* fewer replicas than min-replicas-to-write */
    bool is_replica;
    bool loading;
    bool no_functions;
};
/** The words of the refusal, static; NULL: it may run. */
const char *model_command_barred(const struct model_command *command, const struct model_bars *bars,
                                 const struct dyn_str *argv, size_t argc);

bool model_name_is(struct dyn_str name, const char *lower); /* whatever case */

/** Streams of an XREAD, parsed; `reply` is an error when it returns false. */
struct model_read {
    size_t count;     /* 0: no bound */
    int64_t block_ms; /* -1: does not wait */
    size_t streams;
    const struct dyn_str *keys;
    struct entry_id *after; /* lives in the answer */
};
bool model_read_parse(const struct model_store *store, const struct dyn_str *argv, size_t argc,
                      struct model_answer *answer, struct model_read *out);
/** False, and nil, when there is nothing to read. */
bool model_read_run(const struct model_store *store, const struct model_read *read,
                    struct model_answer *answer);

/* ---- model_stream.c, model_hash.c, model_functions.c ---- */

bool model_key_of(const struct model_store *store, struct dyn_str name, bool stream,
                  struct model_answer *answer, struct bus_reply *reply, struct model_key **out);

struct model_blob *model_key_blob(struct model_key *key, struct dyn_str name); /* the caller's */
bool model_number(struct dyn_str text, int64_t *out);

typedef void model_fn(struct model_store *store, const struct dyn_str *argv, size_t argc,
                      struct model_answer *answer, struct bus_reply *reply);
model_fn model_xadd, model_xlen, model_xrange, model_xrevrange, model_xread, model_xinfo,
    model_xtrim;
model_fn model_hset, model_hget, model_hmget, model_hgetall, model_hdel, model_hincrby, model_hlen,
    model_hexists, model_hscan;
model_fn model_fcall;

/* What is there is of the right kind when these two are called. True: the field is new, was there.
 */
bool model_set(struct model_store *store, struct dyn_str key, struct dyn_str field,
               struct dyn_str value);
bool model_unset(struct model_store *store, struct dyn_str key, struct dyn_str field);

bool model_function_exists(struct dyn_str name);
bool model_function_allows_oom(struct dyn_str name); /* its flag in common/dyn.lua */

#endif
