#include "reporter/cursor.h"

#include "common/lease.h"

enum field_state {
    FIELD_DIRTY,
    FIELD_SENT
};

enum field_kind {
    FIELD_SET,
    FIELD_POSITION,
    FIELD_REMOVED
};

struct field {
    char name[CURSOR_FIELD_MAX];
    char value[CURSOR_VALUE_MAX]; /* "": removed */
    enum field_state state;
    enum field_kind kind;
};

struct cursor {
    struct cursor_options options; /* without its texts, which are: */
    char *key;
    char *lease;
    char *owner;
    char epoch[LEASE_EPOCH_TEXT]; /* "": not told yet */
    struct field *fields;         /* changed, or under way */
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

static void cursor_destroy(struct cursor *cursor)
{
    free(cursor->key);
    free(cursor->lease);
    free(cursor->owner);
    free(cursor->fields);
    free(cursor);
}

struct cursor *cursor_new(const struct cursor_options *options)
{
    struct cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL) {
        return NULL;
    }
    cursor->options = *options;
    cursor->key = strdup(options->key);
    cursor->lease = strdup(options->lease);
    cursor->owner = strdup(options->owner);
    if (cursor->key == NULL || cursor->lease == NULL || cursor->owner == NULL) {
        cursor_destroy(cursor);
        return NULL;
    }
    return cursor;
}

void cursor_lead(struct cursor *cursor, struct dyn_str epoch)
{
    dyn_str_copy(cursor->epoch, sizeof cursor->epoch, epoch);
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
    dyn_err err = bus_command(*cursor->options.bus, argv, 2, 0, load_answered, cursor);
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

static void field_change(struct cursor *cursor, const char *field, const char *value,
                         enum field_kind kind)
{
    DYN_ASSERT(strlen(field) < CURSOR_FIELD_MAX);
    DYN_ASSERT(strlen(value) < CURSOR_VALUE_MAX);
    struct field *place = field_get(cursor, field);
    if (place != NULL) {
        dyn_str_copy(place->value, sizeof place->value, dyn_str_from(value));
        place->state = FIELD_DIRTY;
        place->kind = kind;
    }
}

void cursor_set(struct cursor *cursor, const char *field, const char *value)
{
    field_change(cursor, field, value, value[0] == '\0' ? FIELD_REMOVED : FIELD_SET);
}

void cursor_move(struct cursor *cursor, const char *field, const char *position)
{
    field_change(cursor, field, position, FIELD_POSITION);
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
    if (cursor->dying) {
        if (cursor->answers == 0) {
            cursor_destroy(cursor);
        }
        return;
    }
    cursor->failed = err != DYN_OK;
    sent_settle(cursor);
    if (err == DYN_FENCED) {
        cursor->options.fenced(cursor->options.arg);
    } else if (err == DYN_OK && cursor->count > 0) {
        cursor_flush(cursor);
    } else if (err == DYN_OK) {
        cursor->options.settled(cursor->options.arg);
    }
}

/* Append fields of that kind; they count as sent. How many fit into `room`. */
static size_t fields_take(struct cursor *cursor, enum field_kind kind, size_t room,
                          struct dyn_str *argv, size_t *argc)
{
    size_t taken = 0;
    for (size_t i = 0; i < cursor->count && taken < room; i++) {
        struct field *field = &cursor->fields[i];
        if (field->state == FIELD_SENT || field->kind != kind) {
            continue;
        }
        field->state = FIELD_SENT;
        argv[(*argc)++] = dyn_str_from(field->name);
        if (kind != FIELD_REMOVED) {
            argv[(*argc)++] = dyn_str_from(field->value);
        }
        taken++;
    }
    return taken;
}

/* One call with what was not sent yet. False: there is nothing, or it cannot be sent. */
static bool fields_send(struct cursor *cursor)
{
    struct dyn_str argv[8 + 3 * CURSOR_CALL_MAX] = {DYN_STR("FCALL"),
                                                    DYN_STR("dyn_settle"),
                                                    DYN_STR("2"),
                                                    dyn_str_from(cursor->lease),
                                                    dyn_str_from(cursor->key),
                                                    dyn_str_from(cursor->owner),
                                                    dyn_str_from(cursor->epoch)};
    char count[16];
    size_t argc = 8;
    /* Where others take all the room, more of them may be left: positions wait for the next call.
     */
    size_t changed = fields_take(cursor, FIELD_SET, CURSOR_CALL_MAX, argv, &argc);
    changed += fields_take(cursor, FIELD_POSITION, CURSOR_CALL_MAX - changed, argv, &argc);
    size_t removed = fields_take(cursor, FIELD_REMOVED, CURSOR_CALL_MAX, argv, &argc);
    (void)snprintf(count, sizeof count, "%zu", changed);
    argv[7] = dyn_str_from(count);
    if (changed + removed == 0) {
        return false;
    }
    if (bus_command(*cursor->options.bus, argv, argc, 0, write_answered, cursor) != DYN_OK) {
        cursor->failed = true;
        sent_settle(cursor);
        return false;
    }
    cursor->answers++;
    return true;
}

void cursor_flush(struct cursor *cursor)
{
    if (cursor->count > 0 && cursor->answers == 0 && cursor->epoch[0] != '\0') {
        (void)fields_send(cursor);
    }
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
    cursor->failed = true;
    sent_settle(cursor);
    bool can = cursor->epoch[0] != '\0' && *cursor->options.bus != NULL;
    while (can && bus_is_ready(*cursor->options.bus) && fields_send(cursor)) {
    }
    if (cursor->answers == 0) {
        cursor_destroy(cursor);
    }
}
