/* The store: keys, streams, hashes, and the changes that are done to them. */
#include "tests/sim/model.h"

#include <stdlib.h>

/* ---- blobs ---- */

struct model_blob *model_blob_new(struct dyn_str bytes)
{
    struct model_blob *blob = malloc(sizeof *blob + bytes.len);
    DYN_ASSERT(blob != NULL && bytes.len <= UINT32_MAX);
    blob->refs = 1;
    blob->len = (uint32_t)bytes.len;
    if (bytes.len > 0) {
        memcpy(blob->bytes, bytes.ptr, bytes.len);
    }
    return blob;
}

struct model_blob *model_blob_ref(struct model_blob *blob)
{
    blob->refs++;
    return blob;
}

void model_blob_free(struct model_blob *blob)
{
    if (blob != NULL && --blob->refs == 0) {
        free(blob);
    }
}

static bool blob_is(const struct model_blob *blob, struct dyn_str str)
{
    return blob->len == str.len && memcmp(blob->bytes, str.ptr, str.len) == 0;
}

/* ---- keys ---- */

void model_store_init(struct model_store *store)
{
    memset(store, 0, sizeof *store);
    store->node_entries = 100;
    store->has_functions = true;
}

struct model_key *model_key_find(const struct model_store *store, struct dyn_str name)
{
    uint64_t hash = dyn_hash(DYN_HASH_SEED, name);
    struct model_key *key = store->buckets[hash % MODEL_BUCKETS];
    while (key != NULL && (key->hash != hash || !blob_is(key->name, name))) {
        key = key->next;
    }
    return key;
}

static struct model_key *key_make(struct model_store *store, struct model_blob *name,
                                  bool is_stream)
{
    struct dyn_str text = {name->bytes, name->len};
    struct model_key *key = model_key_find(store, text);
    if (key != NULL) {
        DYN_ASSERT(key->is_stream == is_stream);
        return key;
    }
    key = calloc(1, sizeof *key);
    DYN_ASSERT(key != NULL);
    key->hash = dyn_hash(DYN_HASH_SEED, text);
    key->name = model_blob_ref(name);
    key->is_stream = is_stream;
    key->next = store->buckets[key->hash % MODEL_BUCKETS];
    store->buckets[key->hash % MODEL_BUCKETS] = key;
    store->keys++;
    return key;
}

static void key_free(struct model_key *key)
{
    for (size_t i = 0; i < key->stream.count; i++) {
        model_blob_free(key->stream.entries[key->stream.first + i].blob);
    }
    for (size_t i = 0; i < key->fields.count; i++) {
        model_blob_free(key->fields.fields[i].name);
        model_blob_free(key->fields.fields[i].value);
    }
    free(key->stream.entries);
    free(key->fields.fields);
    model_blob_free(key->name);
    free(key);
}

static void key_remove(struct model_store *store, struct model_key *key)
{
    struct model_key **at = &store->buckets[key->hash % MODEL_BUCKETS];
    while (*at != key) {
        at = &(*at)->next;
    }
    *at = key->next;
    store->keys--;
    key_free(key);
}

void model_store_clear(struct model_store *store)
{
    for (size_t i = 0; i < MODEL_BUCKETS; i++) {
        while (store->buckets[i] != NULL) {
            struct model_key *key = store->buckets[i];
            store->buckets[i] = key->next;
            key_free(key);
        }
    }
    store->keys = 0;
}

static void key_copy(struct model_key *to, const struct model_key *from)
{
    to->stream = from->stream;
    to->stream.first = 0;
    to->stream.room = from->stream.count;
    to->stream.entries = calloc(from->stream.count + 1, sizeof *to->stream.entries);
    to->fields = from->fields;
    to->fields.room = from->fields.count;
    to->fields.fields = calloc(from->fields.count + 1, sizeof *to->fields.fields);
    DYN_ASSERT(to->stream.entries != NULL && to->fields.fields != NULL);
    for (size_t i = 0; i < from->stream.count; i++) {
        to->stream.entries[i] = from->stream.entries[from->stream.first + i];
        (void)model_blob_ref(to->stream.entries[i].blob);
    }
    for (size_t i = 0; i < from->fields.count; i++) {
        to->fields.fields[i] = from->fields.fields[i];
        (void)model_blob_ref(to->fields.fields[i].name);
        (void)model_blob_ref(to->fields.fields[i].value);
    }
}

void model_store_copy(struct model_store *to, const struct model_store *from)
{
    DYN_ASSERT(to->keys == 0);
    for (size_t i = 0; i < MODEL_BUCKETS; i++) {
        for (const struct model_key *key = from->buckets[i]; key != NULL; key = key->next) {
            key_copy(key_make(to, key->name, key->is_stream), key);
        }
    }
}

/* ---- streams ---- */

const struct model_entry *model_stream_at(const struct model_stream *stream, size_t index)
{
    DYN_ASSERT(index < stream->count);
    return &stream->entries[stream->first + index];
}

size_t model_stream_find(const struct model_stream *stream, struct entry_id id)
{
    /* Most questions are about the newest. */
    if (entry_id_compare(stream->last, id) < 0) {
        return stream->count;
    }
    size_t low = 0;
    size_t high = stream->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_id_compare(model_stream_at(stream, middle)->id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct dyn_str model_entry_field(const struct model_entry *entry, const char *name)
{
    const char *at = entry->blob->bytes;
    struct dyn_str pair[2];
    for (uint32_t i = 0; i < entry->fields; i++) {
        for (size_t half = 0; half < 2; half++) {
            uint32_t len = 0;
            memcpy(&len, at, sizeof len);
            pair[half] = (struct dyn_str){at + sizeof len, len};
            at += sizeof len + len;
        }
        if (dyn_str_is(pair[0], name)) {
            return pair[1];
        }
    }
    return (struct dyn_str){NULL, 0};
}

static void stream_room(struct model_stream *stream)
{
    if (stream->first + stream->count < stream->room) {
        return;
    }
    if (stream->first > stream->count) {
        memmove(stream->entries, stream->entries + stream->first,
                stream->count * sizeof *stream->entries);
        stream->first = 0;
        return;
    }
    stream->room = stream->room > 0 ? 2 * stream->room : 64;
    stream->entries = reallocarray(stream->entries, stream->room, sizeof *stream->entries);
    DYN_ASSERT(stream->entries != NULL);
}

static void stream_add(struct model_store *store, struct model_stream *stream,
                       const struct model_op *op)
{
    stream_room(stream);
    if (stream->count == 0 || stream->in_node >= store->node_entries) {
        stream->node++;
        stream->in_node = 0;
    }
    stream->in_node++;
    stream->entries[stream->first + stream->count] = (struct model_entry){
        .id = op->id,
        .node = stream->node,
        .fields = op->fields,
        .blob = model_blob_ref(op->value),
    };
    stream->count++;
    stream->added++;
    stream->last = op->id;
}

static bool stream_trim(struct model_stream *stream, uint64_t count)
{
    count = count < stream->count ? count : stream->count;
    for (uint64_t i = 0; i < count; i++) {
        model_blob_free(stream->entries[stream->first + i].blob);
    }
    stream->first += count;
    stream->count -= count;
    return count > 0;
}

/* ---- hashes ---- */

struct model_field *model_field_find(const struct model_hash *hash, struct dyn_str name)
{
    for (size_t i = 0; i < hash->count; i++) {
        if (blob_is(hash->fields[i].name, name)) {
            return &hash->fields[i];
        }
    }
    return NULL;
}

static void hash_set(struct model_hash *hash, const struct model_op *op)
{
    struct dyn_str name = {op->field->bytes, op->field->len};
    struct model_field *field = model_field_find(hash, name);
    if (field != NULL) {
        struct model_blob *old = field->value;
        field->value = model_blob_ref(op->value);
        model_blob_free(old);
        return;
    }
    if (hash->count == hash->room) {
        hash->room = hash->room > 0 ? 2 * hash->room : 8;
        hash->fields = reallocarray(hash->fields, hash->room, sizeof *hash->fields);
        DYN_ASSERT(hash->fields != NULL);
    }
    hash->fields[hash->count++] = (struct model_field){
        .name = model_blob_ref(op->field),
        .value = model_blob_ref(op->value),
        .serial = ++hash->serials,
    };
}

static bool hash_unset(struct model_hash *hash, struct dyn_str name)
{
    struct model_field *field = model_field_find(hash, name);
    if (field == NULL) {
        return false;
    }
    model_blob_free(field->name);
    model_blob_free(field->value);
    size_t index = (size_t)(field - hash->fields);
    memmove(field, field + 1, (hash->count - index - 1) * sizeof *field);
    hash->count--;
    return true;
}

/* ---- changes ---- */

static bool op_do(struct model_store *store, const struct model_op *op)
{
    if (op->kind == MODEL_FLUSH) {
        model_store_clear(store);
        return true;
    }
    DYN_ASSERT(op->key != NULL);
    struct model_key *key = model_key_find(store, (struct dyn_str){op->key->bytes, op->key->len});
    switch (op->kind) {
    case MODEL_ADD:
        stream_add(store, &key_make(store, op->key, true)->stream, op);
        return true;
    case MODEL_TRIM:
        return key != NULL && key->is_stream && stream_trim(&key->stream, op->count);
    case MODEL_SET:
        hash_set(&key_make(store, op->key, false)->fields, op);
        return true;
    case MODEL_UNSET:
        if (key == NULL || key->is_stream ||
            !hash_unset(&key->fields, (struct dyn_str){op->field->bytes, op->field->len})) {
            return false;
        }
        if (key->fields.count == 0) {
            key_remove(store, key);
        }
        return true;
    case MODEL_DELETE:
        if (key == NULL) {
            return false;
        }
        key_remove(store, key);
        return true;
    case MODEL_FLUSH:
        break;
    }
    return false;
}

void model_store_apply(struct model_store *store, const struct model_op *op)
{
    (void)op_do(store, op);
}

bool model_store_do(struct model_store *store, const struct model_op *op)
{
    bool changed = op_do(store, op);
    if (changed && store->changed != NULL) {
        store->changed(store->arg, op);
    }
    return changed;
}
