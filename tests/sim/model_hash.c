/* Hashes. */
#include "tests/sim/model.h"

#include <inttypes.h>

static struct dyn_str blob_str(const struct model_blob *blob)
{
    return (struct dyn_str){blob->bytes, blob->len};
}

static bool hash_of(const struct model_store *store, struct dyn_str name,
                    struct model_answer *answer, struct bus_reply *reply,
                    const struct model_hash **out)
{
    static const struct model_hash empty = {0};
    struct model_key *key = NULL;
    if (!model_key_of(store, name, false, answer, reply, &key)) {
        return false;
    }
    *out = key != NULL ? &key->fields : &empty;
    return true;
}

bool model_set(struct model_store *store, struct dyn_str key, struct dyn_str field,
               struct dyn_str value)
{
    struct model_key *found = model_key_find(store, key);
    struct model_field *old = found != NULL ? model_field_find(&found->fields, field) : NULL;
    struct model_op op = {
        .kind = MODEL_SET,
        .key = model_key_blob(found, key),
        .field = old != NULL ? model_blob_ref(old->name) : model_blob_new(field),
        .value = model_blob_new(value),
    };
    (void)model_store_do(store, &op);
    model_blob_free(op.key);
    model_blob_free(op.field);
    model_blob_free(op.value);
    return old == NULL;
}

bool model_unset(struct model_store *store, struct dyn_str key, struct dyn_str field)
{
    struct model_op op = {.kind = MODEL_UNSET,
                          .key = model_key_blob(model_key_find(store, key), key),
                          .field = model_blob_new(field)};
    bool gone = model_store_do(store, &op);
    model_blob_free(op.key);
    model_blob_free(op.field);
    return gone;
}

void model_hset(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_hash *hash = NULL;
    int64_t created = 0;
    if (argc % 2 != 0) {
        model_put_error(answer, reply, "ERR wrong number of arguments for 'hset' command");
        return;
    }
    if (!hash_of(store, argv[1], answer, reply, &hash)) {
        return;
    }
    for (size_t i = 2; i < argc; i += 2) {
        created += model_set(store, argv[1], argv[i], argv[i + 1]);
    }
    model_put_int(reply, created);
}

static void field_put(const struct model_hash *hash, struct dyn_str name,
                      struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_field *field = model_field_find(hash, name);
    if (field != NULL) {
        model_put_str(answer, reply, blob_str(field->value));
    } else {
        model_put_nil(reply);
    }
}

void model_hget(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply)
{
    (void)argc;
    const struct model_hash *hash = NULL;
    if (hash_of(store, argv[1], answer, reply, &hash)) {
        field_put(hash, argv[2], answer, reply);
    }
}

void model_hmget(struct model_store *store, const struct dyn_str *argv, size_t argc,
                 struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_hash *hash = NULL;
    if (!hash_of(store, argv[1], answer, reply, &hash)) {
        return;
    }
    struct bus_reply *items = model_put_array(answer, reply, argc - 2);
    for (size_t i = 2; i < argc; i++) {
        field_put(hash, argv[i], answer, &items[i - 2]);
    }
}

void model_hgetall(struct model_store *store, const struct dyn_str *argv, size_t argc,
                   struct model_answer *answer, struct bus_reply *reply)
{
    (void)argc;
    const struct model_hash *hash = NULL;
    if (!hash_of(store, argv[1], answer, reply, &hash)) {
        return;
    }
    struct bus_reply *items = model_put_array(answer, reply, 2 * hash->count);
    for (size_t i = 0; i < hash->count; i++) {
        model_put_str(answer, &items[2 * i], blob_str(hash->fields[i].name));
        model_put_str(answer, &items[2 * i + 1], blob_str(hash->fields[i].value));
    }
}

void model_hdel(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_hash *hash = NULL;
    int64_t gone = 0;
    if (!hash_of(store, argv[1], answer, reply, &hash)) {
        return;
    }
    for (size_t i = 2; i < argc; i++) {
        gone += model_unset(store, argv[1], argv[i]);
    }
    model_put_int(reply, gone);
}

void model_hincrby(struct model_store *store, const struct dyn_str *argv, size_t argc,
                   struct model_answer *answer, struct bus_reply *reply)
{
    (void)argc;
    const struct model_hash *hash = NULL;
    int64_t by = 0;
    int64_t value = 0;
    if (!model_number(argv[3], &by)) {
        model_put_error(answer, reply, "ERR value is not an integer or out of range");
        return;
    }
    if (!hash_of(store, argv[1], answer, reply, &hash)) {
        return;
    }
    const struct model_field *field = model_field_find(hash, argv[2]);
    if (field != NULL && !model_number(blob_str(field->value), &value)) {
        model_put_error(answer, reply, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(value, by, &value)) {
        model_put_error(answer, reply, "ERR increment or decrement would overflow");
        return;
    }
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    (void)model_set(store, argv[1], argv[2], (struct dyn_str){text, (size_t)len});
    model_put_int(reply, value);
}

void model_hlen(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply)
{
    (void)argc;
    const struct model_hash *hash = NULL;
    if (hash_of(store, argv[1], answer, reply, &hash)) {
        model_put_int(reply, (int64_t)hash->count);
    }
}

void model_hexists(struct model_store *store, const struct dyn_str *argv, size_t argc,
                   struct model_answer *answer, struct bus_reply *reply)
{
    (void)argc;
    const struct model_hash *hash = NULL;
    if (hash_of(store, argv[1], answer, reply, &hash)) {
        model_put_int(reply, model_field_find(hash, argv[2]) != NULL);
    }
}

/* The cursor is the serial of the last field told: whoever stays is told once at least. */
void model_hscan(struct model_store *store, const struct dyn_str *argv, size_t argc,
                 struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_hash *hash = NULL;
    int64_t cursor = 0;
    int64_t count = 10;
    if (!model_number(argv[2], &cursor) || cursor < 0) {
        model_put_error(answer, reply, "ERR invalid cursor");
        return;
    }
    if (!hash_of(store, argv[1], answer, reply, &hash)) {
        return;
    }
    if (argc > 3) {
        if (argc != 5 || !model_name_is(argv[3], "count")) {
            model_put_error(answer, reply, "ERR syntax error");
            return;
        }
        if (!model_number(argv[4], &count)) {
            model_put_error(answer, reply, "ERR value is not an integer or out of range");
            return;
        }
        if (count < 1) {
            model_put_error(answer, reply, "ERR syntax error");
            return;
        }
    }
    size_t from = 0;
    while (from < hash->count && hash->fields[from].serial <= (uint64_t)cursor) {
        from++;
    }
    size_t left = hash->count - from;
    size_t told = left < (size_t)count ? left : (size_t)count;
    struct bus_reply *items = model_put_array(answer, reply, 2);
    model_put_u64_str(answer, &items[0], told < left ? hash->fields[from + told - 1].serial : 0);
    struct bus_reply *pairs = model_put_array(answer, &items[1], 2 * told);
    for (size_t i = 0; i < told; i++) {
        model_put_str(answer, &pairs[2 * i], blob_str(hash->fields[from + i].name));
        model_put_str(answer, &pairs[2 * i + 1], blob_str(hash->fields[from + i].value));
    }
}
