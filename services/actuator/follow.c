#include "actuator/follow.h"
#include "common/log.h"

#include <stdlib.h>

#define REPLID_MAX 64
#define PREFIX_MAX 80 /* config.h allows 64 */

struct part {
    struct follow *follow;
    uint32_t number;
    size_t stream; /* SIZE_MAX: not followed yet */
    struct entry_id last;
    bool seeded;
};

struct follow {
    struct follow_options options;
    char prefix[PREFIX_MAX]; /* the configuration that it came from goes with a reload */
    struct bus *bus;         /* NULL: away */
    struct bus_reader *reader;
    struct pack_reader *unpack;
    struct dyn_timer *retry;
    struct part parts[DYN_PARTITIONS_MAX];
    size_t commands;
    unsigned unheard; /* rounds until all commands given so far were told; 0: they were */
    char replid[REPLID_MAX];
    bool reading;
    bool caught_up;
};

/* ---- entries ---- */

static void take_message(struct follow *follow, const struct part *part, struct dyn_str message)
{
    struct pack_reader *unpack = follow->unpack;
    struct target target;
    struct mark mark;
    if (message.ptr == NULL || pack_reader_start(unpack, message) != DYN_OK) {
        follow->options.malformed(follow->options.arg);
        return;
    }
    enum message_kind kind = message_read_kind(unpack);
    if (kind == MESSAGE_TARGET && message_read_target(unpack, &target) == DYN_OK) {
        follow->options.target(follow->options.arg, part->number, &target);
    } else if (kind == MESSAGE_MARK && message_read_mark(unpack, &mark) == DYN_OK) {
        if (follow->caught_up) {
            follow->options.mark(follow->options.arg, part->number, &mark);
        }
    } else {
        follow->options.malformed(follow->options.arg);
    }
}

static void take_command(struct follow *follow, struct dyn_str message)
{
    struct command command;
    if (message.ptr != NULL && pack_reader_start(follow->unpack, message) == DYN_OK &&
        message_read_kind(follow->unpack) == MESSAGE_COMMAND &&
        message_read_command(follow->unpack, &command) == DYN_OK) {
        follow->options.command(follow->options.arg, &command);
    } else {
        follow->options.malformed(follow->options.arg);
    }
}

static void on_entry(void *arg, size_t stream, const struct bus_entry *entry)
{
    struct follow *follow = arg;
    if (stream == follow->commands) {
        take_command(follow, entry->message);
        return;
    }
    for (uint32_t p = 0; p < follow->options.partitions; p++) {
        if (follow->parts[p].stream == stream) {
            take_message(follow, &follow->parts[p], entry->message);
            return;
        }
    }
}

static void on_round(void *arg, bool behind)
{
    struct follow *follow = arg;
    follow->caught_up = !behind; /* the marks of a reader that is behind are old */
    if (follow->unheard > 1) {
        follow->unheard--;
    } else if (follow->unheard == 1 && !behind) {
        follow->unheard = 0;
        follow->options.commanded(follow->options.arg);
    }
}

/* ---- the newest targets ---- */

static void seed_part(struct part *part);

static void seed_later(struct follow *follow)
{
    if (!dyn_timer_active(follow->retry)) {
        dyn_timer_start(follow->retry, FOLLOW_RETRY_MS, 0);
    }
}

static void on_retry(void *arg)
{
    struct follow *follow = arg;
    for (uint32_t p = 0; p < follow->options.partitions && follow->bus != NULL; p++) {
        if (!follow->parts[p].seeded) {
            seed_part(&follow->parts[p]);
        }
    }
}

static void on_newest(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct part *part = arg;
    struct follow *follow = part->follow;
    if (err != DYN_OK) {
        if (follow->bus != NULL) {
            seed_later(follow);
        }
        return;
    }
    for (size_t i = 1; i < bus_reply_count(reply); i += 2) {
        take_message(follow, part, bus_reply_str(bus_reply_at(reply, i)));
    }
    if (part->stream == SIZE_MAX) {
        struct dyn_buf key;
        dyn_buf_init(&key, 512);
        bus_key_partition(&key, follow->prefix, part->number, "targets");
        part->stream = bus_reader_follow(follow->reader, dyn_buf_text(&key), part->last);
        dyn_buf_fini(&key);
    }
    part->seeded = part->stream != SIZE_MAX;
    if (!part->seeded) {
        seed_later(follow); /* no memory to follow it */
    }
}

static void on_last(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct part *part = arg;
    struct bus_entry entry;
    if (err == DYN_OK && bus_reply_count(reply) > 0 &&
        bus_reply_entry(bus_reply_at(reply, 0), &entry) == DYN_OK) {
        part->last = entry.id;
    } else {
        part->last = (struct entry_id){0, 0};
    }
}

/* The stream's last ID first: what comes between the two is read twice rather than not at all. */
static void seed_part(struct part *part)
{
    struct follow *follow = part->follow;
    struct dyn_buf targets;
    struct dyn_buf newest;
    dyn_buf_init(&targets, 512);
    dyn_buf_init(&newest, 512);
    bus_key_partition(&targets, follow->prefix, part->number, "targets");
    bus_key_partition(&newest, follow->prefix, part->number, "newest");
    struct dyn_str last_argv[] = {DYN_STR("XREVRANGE"), dyn_buf_str(&targets), DYN_STR("+"),
                                  DYN_STR("-"),         DYN_STR("COUNT"),      DYN_STR("1")};
    struct dyn_str newest_argv[] = {DYN_STR("HGETALL"), dyn_buf_str(&newest)};
    if (bus_command(follow->bus, last_argv, 6, 0, on_last, part) != DYN_OK ||
        bus_command(follow->bus, newest_argv, 2, 0, on_newest, part) != DYN_OK) {
        seed_later(follow);
    }
    dyn_buf_fini(&targets);
    dyn_buf_fini(&newest);
}

static void seed_again(struct follow *follow)
{
    for (uint32_t p = 0; p < follow->options.partitions; p++) {
        follow->parts[p].seeded = false;
    }
    on_retry(follow);
}

/* From the beginning: the round that is under way may have asked for what comes next. */
static void commands_follow(struct follow *follow, unsigned rounds)
{
    char key[PREFIX_MAX + 16];
    (void)snprintf(key, sizeof key, "%s:commands", follow->prefix);
    follow->commands = bus_reader_follow(follow->reader, key, (struct entry_id){0, 0});
    follow->unheard = rounds;
}

void follow_again(struct follow *follow)
{
    bus_reader_forget(follow->reader, follow->commands);
    commands_follow(follow, 2);
    seed_again(follow);
}

/* ---- life ---- */

/* Another history: cursors of before mean nothing. */
static void history_is_new(struct follow *follow)
{
    follow->options.history(follow->options.arg);
    for (uint32_t p = 0; p < follow->options.partitions; p++) {
        struct part *part = &follow->parts[p];
        if (part->stream != SIZE_MAX) {
            bus_reader_forget(follow->reader, part->stream);
            part->stream = SIZE_MAX;
        }
    }
    seed_again(follow);
}

static void on_ready(void *arg, struct dyn_str replid, bool rewound)
{
    struct follow *follow = arg;
    char text[REPLID_MAX];
    dyn_str_copy(text, sizeof text, replid);
    bool other = follow->replid[0] != '\0' && strcmp(text, follow->replid) != 0;
    memcpy(follow->replid, text, sizeof text);
    follow->reading = true;
    follow->caught_up = false;
    if (other || rewound) {
        dyn_log(DYN_LOG_WARN, "other_history", "rewound=%d msg=%s", rewound,
                dyn_log_quoted("the newest targets are read again"));
        history_is_new(follow);
    }
}

static void on_lost(void *arg, const char *why)
{
    struct follow *follow = arg;
    dyn_log(DYN_LOG_WARN, "reader_lost", "msg=%s", dyn_log_quoted(why));
    follow->reading = false;
    follow->caught_up = false;
}

static void on_trouble(void *arg, const char *why)
{
    struct follow *follow = arg;
    follow->options.trouble(follow->options.arg, why);
}

struct follow *follow_new(struct dyn_loop *loop, const struct follow_options *options,
                          struct dyn_error *error)
{
    struct follow *follow = calloc(1, sizeof *follow);
    if (follow == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        return NULL;
    }
    follow->options = *options;
    dyn_str_copy(follow->prefix, sizeof follow->prefix, dyn_str_from(options->prefix));
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        follow->parts[p] = (struct part){.follow = follow, .number = p, .stream = SIZE_MAX};
    }
    follow->unpack = pack_reader_new();
    follow->retry = dyn_timer_new(loop, on_retry, follow);
    follow->reader = bus_reader_new(loop,
                                    &(struct bus_reader_options){.url = options->url,
                                                                 .access = options->access,
                                                                 .commands = options->commands,
                                                                 .name = "dynosaur-actuator-read",
                                                                 .entry = on_entry,
                                                                 .round = on_round,
                                                                 .ready = on_ready,
                                                                 .lost = on_lost,
                                                                 .trouble = on_trouble,
                                                                 .arg = follow},
                                    error);
    if (follow->unpack == NULL || follow->retry == NULL || follow->reader == NULL) {
        follow_free(follow);
        return NULL;
    }
    commands_follow(follow, 1);
    return follow;
}

void follow_free(struct follow *follow)
{
    if (follow == NULL) {
        return;
    }
    bus_reader_free(follow->reader);
    dyn_timer_free(follow->retry);
    pack_reader_free(follow->unpack);
    free(follow);
}

void follow_open(struct follow *follow, struct bus *bus)
{
    follow->bus = bus;
    seed_again(follow);
}

void follow_close(struct follow *follow)
{
    follow->bus = NULL;
}

bool follow_is_live(const struct follow *follow)
{
    for (uint32_t p = 0; p < follow->options.partitions; p++) {
        if (!follow->parts[p].seeded || follow->parts[p].stream == SIZE_MAX) {
            return false;
        }
    }
    return follow->reading;
}
