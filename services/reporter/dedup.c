#include "reporter/dedup.h"

#include <inttypes.h>

#define EXPIRE_MS 86400000 /* a day */

uint64_t dedup_fingerprint(const struct event *event)
{
    const struct dyn_str parts[] = {event->code, event->app, event->controller, event->input};
    uint64_t hash = DYN_HASH_SEED;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        /* The separator keeps ("ab", "c") and ("a", "bc") apart. */
        hash = dyn_hash(dyn_hash(hash, parts[i]), DYN_STR("\x1f"));
    }
    return hash != 0 ? hash : 1;
}

static struct dedup_entry *entry_find(struct dedup *dedup, uint64_t fingerprint)
{
    for (size_t i = 0; i < DEDUP_ENTRIES_MAX; i++) {
        if (dedup->entries[i].fingerprint == fingerprint) {
            return &dedup->entries[i];
        }
    }
    return NULL;
}

/* Whose place goes first: what is over can be told anew, the end of what lasts only by its entry.
 */
static bool entry_goes_before(const struct dedup_entry *a, const struct dedup_entry *b)
{
    return a->open != b->open ? b->open : a->window_ms < b->window_ms;
}

/* A free place, else that of the oldest window of what is over, else that of the oldest. */
static struct dedup_entry *entry_place(struct dedup *dedup)
{
    struct dedup_entry *oldest = &dedup->entries[0];
    for (size_t i = 0; i < DEDUP_ENTRIES_MAX; i++) {
        struct dedup_entry *entry = &dedup->entries[i];
        if (entry->fingerprint == 0) {
            return entry;
        }
        if (entry_goes_before(entry, oldest)) {
            oldest = entry;
        }
    }
    return oldest;
}

static bool trouble_take(struct dedup_entry *entry, enum event_state state, int64_t now_ms)
{
    bool fresh = entry->told == 0 || now_ms - entry->window_ms >= DEDUP_WINDOW_MS;
    bool again = state == EVENT_RAISED && !entry->open && entry->told < DEDUP_TOLD_MAX;
    if (!fresh && !again) {
        entry->suppressed++;
        return false;
    }
    if (fresh) {
        entry->window_ms = now_ms;
        entry->told = 0;
    }
    entry->told++;
    entry->open = state == EVENT_RAISED;
    return true;
}

static uint64_t incident_of(const struct event *event, uint64_t fingerprint)
{
    uint64_t hash = event->cause.len > 0 ? dyn_hash(DYN_HASH_SEED, event->cause) : fingerprint;
    return event->level == EVENT_ERROR && hash != 0 ? hash : 0;
}

bool dedup_take(struct dedup *dedup, const struct event *event, int64_t now_ms,
                uint64_t *out_repeats, const struct dedup_entry **out_entry,
                uint64_t *out_forgotten)
{
    uint64_t fingerprint = dedup_fingerprint(event);
    struct dedup_entry *entry = entry_find(dedup, fingerprint);
    uint64_t forgotten = 0;
    bool tell = false;
    if (event->state == EVENT_OVER) {
        tell = entry != NULL && entry->open;
        if (tell) {
            entry->open = false;
        }
    } else {
        if (entry == NULL) {
            entry = entry_place(dedup);
            forgotten = entry->fingerprint;
            *entry = (struct dedup_entry){.fingerprint = fingerprint};
        }
        tell = trouble_take(entry, event->state, now_ms);
        if (tell && event->state == EVENT_RAISED) {
            entry->incident = incident_of(event, fingerprint);
        }
    }
    *out_repeats = tell ? entry->suppressed : 0;
    *out_entry = entry;
    *out_forgotten = forgotten;
    if (tell) {
        entry->suppressed = 0;
    }
    return tell;
}

uint32_t dedup_others(const struct dedup *dedup, const struct dedup_entry *entry)
{
    uint32_t count = 0;
    for (size_t i = 0; i < DEDUP_ENTRIES_MAX; i++) {
        const struct dedup_entry *other = &dedup->entries[i];
        count += other != entry && other->fingerprint != 0 && other->open &&
                 other->incident == entry->incident;
    }
    return count;
}

uint64_t dedup_expire(struct dedup *dedup, int64_t now_ms)
{
    for (size_t i = 0; i < DEDUP_ENTRIES_MAX; i++) {
        struct dedup_entry *entry = &dedup->entries[i];
        if (entry->fingerprint != 0 && !entry->open && now_ms - entry->window_ms >= EXPIRE_MS) {
            uint64_t fingerprint = entry->fingerprint;
            *entry = (struct dedup_entry){0};
            return fingerprint;
        }
    }
    return 0;
}

void dedup_restore(struct dedup *dedup, const struct dedup_entry *entry)
{
    struct dedup_entry *place = entry_find(dedup, entry->fingerprint);
    if (place == NULL) {
        place = entry_find(dedup, 0);
    }
    if (place != NULL) {
        *place = *entry;
    }
}

void dedup_format(const struct dedup_entry *entry, char *out, size_t size)
{
    DYN_ASSERT(size >= DEDUP_TEXT);
    (void)snprintf(out, size, "%" PRId64 " %" PRIu32 " %" PRIu64 " %d %" PRIu64, entry->window_ms,
                   entry->told, entry->suppressed, entry->open ? 1 : 0, entry->incident);
}

static struct dyn_str word_take(struct dyn_str *text)
{
    const char *space = memchr(text->ptr, ' ', text->len);
    size_t len = space != NULL ? (size_t)(space - text->ptr) : text->len;
    struct dyn_str word = {text->ptr, len};
    size_t used = space != NULL ? len + 1 : len;
    text->ptr += used;
    text->len -= used;
    return word;
}

dyn_err dedup_parse(uint64_t fingerprint, struct dyn_str text, struct dedup_entry *out)
{
    uint64_t numbers[5] = {0};
    if (fingerprint == 0 || text.len == 0) {
        return DYN_BADMSG;
    }
    for (size_t i = 0; i < 5; i++) {
        if (dyn_str_u64(word_take(&text), &numbers[i]) != DYN_OK) {
            return DYN_BADMSG;
        }
    }
    if (text.len != 0 || numbers[0] > INT64_MAX || numbers[1] > UINT32_MAX || numbers[3] > 1) {
        return DYN_BADMSG;
    }
    *out = (struct dedup_entry){.fingerprint = fingerprint,
                                .window_ms = (int64_t)numbers[0],
                                .told = (uint32_t)numbers[1],
                                .suppressed = numbers[2],
                                .open = numbers[3] == 1,
                                .incident = numbers[4]};
    return DYN_OK;
}
