#include "reporter/cursor.h"

enum field_state {
    FIELD_DIRTY,
    FIELD_SENT
};

struct field {
    char name[CURSOR_FIELD_MAX];
    char value[CURSOR_VALUE_MAX]; /* "": removed */
    enum field_state state;
};

struct cursor {
    struct bus *const *bus;
    char *key;
    struct field *fields; /* changed, or under way */
    size_t count;
    size_t room;
    uint64_t forgotten;
    unsigned answers; /* owed by the bus */
    bool failed;      /* one of the answers that are being awaited was bad */
    bool loading;
    bool dying;
    cursor_field_fn *field_fn;
    cursor_done_fn *done_fn;
    void *arg;
};

struct cursor *cursor_new(struct bus *const *bus, const char *key)
{
    struct cursor *cursor = calloc(1, sizeof *cursor);
    char *copy = strdup(key);
    if (cursor == NULL || copy == NULL) {
        free(cursor);
        free(copy);
        return NULL;
    }
    cursor->bus = bus;
    cursor->key = copy;
    return cursor;
}

static void cursor_destroy(struct cursor *cursor)
{
    free(cursor->fields);
    free(cursor->key);
    free(cursor);
}

static void answer_count(struct cursor *cursor)
{
    DYN_ASSERT(cursor->answers > 0);
    cursor->answers--;
}

/* ---- reading ---- */

static void load_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct cursor *cursor = arg;
    answer_count(cursor);
    cursor->loading = false;
    if (cursor->dying) {
        if (cursor->answers == 0) {
            cursor_destroy(cursor);
        }
        return;
    }
    for (size_t i = 0; err == DYN_OK && i + 1 < bus_reply_count(reply); i += 2) {
        cursor->field_fn(cursor->arg, bus_reply_str(bus_reply_at(reply, i)),
                         bus_reply_str(bus_reply_at(reply, i + 1)));
    }
    cursor->done_fn(cursor->arg, err);
}

dyn_err cursor_load(struct cursor *cursor, cursor_field_fn *field, cursor_done_fn *done, void *arg)
{
    DYN_ASSERT(!cursor->loading);
    struct dyn_str argv[] = {DYN_STR("HGETALL"), dyn_str_from(cursor->key)};
    dyn_err err = bus_command(*cursor->bus, argv, 2, 0, load_answered, cursor);
    if (err == DYN_OK) {
        cursor->field_fn = field;
        cursor->done_fn = done;
        cursor->arg = arg;
        cursor->loading = true;
        cursor->answers++;
    }
    return err;
}

/* ---- writing ---- */

static struct field *field_get(struct cursor *cursor, const char *name)
{
    for (size_t i = 0; i < cursor->count; i++) {
        if (strcmp(cursor->fields[i].name, name) == 0) {
            return &cursor->fields[i];
        }
    }
    if (cursor->count == cursor->room) {
        size_t room = cursor->room == 0 ? 64 : cursor->room * 2;
        struct field *grown =
            room <= CURSOR_FIELDS_MAX ? realloc(cursor->fields, room * sizeof *grown) : NULL;
        if (grown == NULL) {
            cursor->forgotten++;
            return NULL;
        }
        cursor->fields = grown;
        cursor->room = room;
    }
    struct field *field = &cursor->fields[cursor->count++];
    dyn_str_copy(field->name, sizeof field->name, dyn_str_from(name));
    return field;
}

void cursor_set(struct cursor *cursor, const char *field, const char *value)
{
    DYN_ASSERT(strlen(field) < CURSOR_FIELD_MAX);
    DYN_ASSERT(strlen(value) < CURSOR_VALUE_MAX);
    struct field *place = field_get(cursor, field);
    if (place != NULL) {
        dyn_str_copy(place->value, sizeof place->value, dyn_str_from(value));
        place->state = FIELD_DIRTY;
    }
}

/* What was sent and did not change meanwhile is done with; after a failure all is to be sent. */
static void sent_settle(struct cursor *cursor)
{
    size_t kept = 0;
    for (size_t i = 0; i < cursor->count; i++) {
        struct field *field = &cursor->fields[i];
        if (field->state == FIELD_SENT && !cursor->failed) {
            continue;
        }
        field->state = FIELD_DIRTY;
        cursor->fields[kept++] = *field;
    }
    cursor->count = kept;
}

static void write_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)reply;
    struct cursor *cursor = arg;
    answer_count(cursor);
    cursor->failed = cursor->failed || err != DYN_OK;
    if (cursor->answers > 0) {
        return;
    }
    if (cursor->dying) {
        cursor_destroy(cursor);
        return;
    }
    bool failed = cursor->failed;
    sent_settle(cursor);
    cursor->failed = false;
    if (!failed) {
        cursor_flush(cursor);
    }
}

/* One HSET of all that has a value, or one HDEL of all that has none. */
static void fields_send(struct cursor *cursor, bool removed)
{
    struct dyn_str *argv = calloc(2 + 2 * cursor->count, sizeof *argv);
    size_t argc = 0;
    if (argv == NULL) {
        return;
    }
    argv[argc++] = removed ? DYN_STR("HDEL") : DYN_STR("HSET");
    argv[argc++] = dyn_str_from(cursor->key);
    for (size_t i = 0; i < cursor->count; i++) {
        struct field *field = &cursor->fields[i];
        if ((field->value[0] == '\0') != removed) {
            continue;
        }
        argv[argc++] = dyn_str_from(field->name);
        if (!removed) {
            argv[argc++] = dyn_str_from(field->value);
        }
    }
    if (argc > 2 && bus_command(*cursor->bus, argv, argc, 0, write_answered, cursor) == DYN_OK) {
        cursor->answers++;
        for (size_t i = 0; i < cursor->count; i++) {
            if ((cursor->fields[i].value[0] == '\0') == removed) {
                cursor->fields[i].state = FIELD_SENT;
            }
        }
    }
    free(argv);
}

void cursor_flush(struct cursor *cursor)
{
    if (cursor->count == 0 || cursor->answers > 0) {
        return;
    }
    cursor->failed = false;
    fields_send(cursor, false);
    fields_send(cursor, true);
}

bool cursor_is_clean(const struct cursor *cursor)
{
    return cursor->count == 0;
}

uint64_t cursor_forgotten(const struct cursor *cursor)
{
    return cursor->forgotten;
}

void cursor_free(struct cursor *cursor)
{
    if (cursor == NULL) {
        return;
    }
    /* What is under way may lack what changed since: it all goes once more, in order. */
    cursor->dying = true;
    if (cursor->count > 0 && *cursor->bus != NULL && bus_is_ready(*cursor->bus)) {
        fields_send(cursor, false);
        fields_send(cursor, true);
    }
    if (cursor->answers == 0) {
        cursor_destroy(cursor);
    }
}
