#include "common/peers.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"

#include <stdlib.h>

#define PEERS_DEAD_MAX 16 /* entries removed with one beat */

struct peers {
    struct dyn_loop *loop;
    struct peers_options options;
    char key[DYN_NAME_MAX + 32];
    char self[DYN_NAME_MAX + 64];
    char text[DYN_NAME_MAX];
    struct members *members;
    struct bus *bus; /* NULL: away */
    struct dyn_timer *beat;
    struct dyn_timer *turn; /* when somebody may be gone */
    bool asking;
    bool owed;    /* a beat came due while the one before was under way */
    bool refused; /* and told: our beats are not taken */
    bool left;
};

static void turn_arm(struct peers *peers)
{
    int64_t next_ms = members_next_ms(peers->members);
    if (next_ms == INT64_MAX) {
        dyn_timer_stop(peers->turn);
        return;
    }
    int64_t wait_ms = next_ms - dyn_clock_boot_ms();
    dyn_timer_start(peers->turn, wait_ms > 1 ? wait_ms : 1, 0);
}

static void turned(void *arg)
{
    struct peers *peers = arg;
    bool changed = members_turn(peers->members, dyn_clock_boot_ms());
    if (members_next_ms(peers->members) > dyn_clock_boot_ms()) {
        turn_arm(peers);
    } /* else our own beats go unanswered, and the next answer arms it */
    if (changed) {
        peers->options.changed(peers->options.arg);
    }
}

static void beat(void *arg);

/* "COUNT TEXT" */
static uint64_t beats_of(struct dyn_str value)
{
    uint64_t beats = 0;
    size_t len = 0;
    while (len < value.len && value.ptr[len] != ' ') {
        len++;
    }
    return dyn_str_u64((struct dyn_str){value.ptr, len}, &beats) == DYN_OK ? beats : 0;
}

/* Whoever cannot beat is no member, and nothing falls to it: worth a line, once. */
static void refusal_tell(struct peers *peers, dyn_err err, const struct bus_reply *reply)
{
    if (err == DYN_REFUSED && !peers->refused) {
        char words[DYN_ERROR_TEXT_MAX];
        dyn_str_copy(words, sizeof words, bus_reply_str(reply));
        dyn_log(DYN_LOG_ERROR, "beat_refused", "key=%s msg=%s", peers->key, dyn_log_quoted(words));
    }
    peers->refused = err == DYN_REFUSED;
}

static void beaten(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct peers *peers = arg;
    peers->asking = false;
    refusal_tell(peers, err, reply);
    if (err != DYN_OK || peers->left || peers->bus == NULL) {
        return;
    }
    members_begin(peers->members, dyn_clock_boot_ms());
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        members_see(peers->members, bus_reply_str(bus_reply_at(reply, i)),
                    beats_of(bus_reply_str(bus_reply_at(reply, i + 1))));
    }
    bool changed = members_end(peers->members);
    turn_arm(peers);
    if (peers->owed) {
        beat(peers); /* answers further apart than gone_ms / 2 would begin every watch anew */
    }
    if (changed) {
        peers->options.changed(peers->options.arg);
    }
}

static void beat(void *arg)
{
    struct peers *peers = arg;
    peers->owed = peers->asking;
    if (peers->bus == NULL || peers->asking || peers->left) {
        return;
    }
    struct dyn_str argv[6 + PEERS_DEAD_MAX] = {
        DYN_STR("FCALL"),         DYN_STR("dyn_beat"),       DYN_STR("1"),
        dyn_str_from(peers->key), dyn_str_from(peers->self), dyn_str_from(peers->text)};
    size_t dead = members_dead(peers->members, dyn_clock_boot_ms(), argv + 6, PEERS_DEAD_MAX);
    peers->asking = bus_command(peers->bus, argv, 6 + dead, 0, beaten, peers) == DYN_OK;
}

struct peers *peers_new(struct dyn_loop *loop, const struct peers_options *options)
{
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL) {
        return NULL;
    }
    peers->loop = loop;
    peers->options = *options;
    dyn_str_copy(peers->key, sizeof peers->key, dyn_str_from(options->key));
    dyn_str_copy(peers->self, sizeof peers->self, dyn_str_from(options->self));
    dyn_str_copy(peers->text, sizeof peers->text, dyn_str_from(options->text));
    peers->members = members_new(options->self, options->beat_ms, options->gone_ms);
    peers->beat = dyn_timer_new(loop, beat, peers);
    peers->turn = dyn_timer_new(loop, turned, peers);
    if (peers->members == NULL || peers->beat == NULL || peers->turn == NULL) {
        peers_free(peers);
        return NULL;
    }
    return peers;
}

void peers_free(struct peers *peers)
{
    if (peers == NULL) {
        return;
    }
    members_free(peers->members);
    dyn_timer_free(peers->beat);
    dyn_timer_free(peers->turn);
    free(peers);
}

void peers_open(struct peers *peers, struct bus *bus)
{
    peers->bus = bus;
    peers->asking = false;
    members_open(peers->members, dyn_clock_boot_ms());
    beat(peers);
    dyn_timer_start(peers->beat, peers->options.beat_ms, peers->options.beat_ms);
}

void peers_close(struct peers *peers)
{
    peers->bus = NULL;
    dyn_timer_stop(peers->beat);
    dyn_timer_stop(peers->turn);
}

void peers_leave(struct peers *peers)
{
    struct dyn_str argv[] = {DYN_STR("HDEL"), dyn_str_from(peers->key), dyn_str_from(peers->self)};
    if (!peers->left && peers->bus != NULL &&
        bus_command(peers->bus, argv, 3, 0, NULL, NULL) != DYN_OK) {
        dyn_log(DYN_LOG_WARN, "goodbye_unsaid", "key=%s", peers->key);
    }
    peers->left = true;
    dyn_timer_stop(peers->beat);
    dyn_timer_stop(peers->turn);
}

const struct members *peers_members(const struct peers *peers)
{
    return peers->members;
}
