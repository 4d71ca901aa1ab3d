/*
 * follow: the targets and marks of all partitions, and the operator's commands, as they stand and
 * as they come.
 *
 * At each start of a history the newest target of each controller is read (PREFIX:{N}:newest), then
 * the stream from the entry that was its last before that on. Marks that are read while catching up
 * are not told: they are no sign that somebody folds now.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_ACTUATOR_FOLLOW_H
#define DYN_ACTUATOR_FOLLOW_H

#include "common/bus.h"

#define FOLLOW_RETRY_MS 1000

struct follow;

struct follow_options {
    const char *prefix;
    const char *url;
    const struct bus_access *access; /* as in bus_options */
    struct bus *commands;            /* as in bus_reader_options */
    uint32_t partitions;
    void (*target)(void *arg, uint32_t partition, const struct target *target);
    /** Another history begins; its newest targets follow. */
    void (*history)(void *arg);
    void (*mark)(void *arg, uint32_t partition, const struct mark *mark);
    void (*command)(void *arg, const struct command *command);
    /** All commands given so far were told: once after follow_new() and after follow_again(). */
    void (*commanded)(void *arg);
    void (*malformed)(void *arg);                /* an entry that is none of ours */
    void (*trouble)(void *arg, const char *why); /* of the server's */
    void *arg;
};

/** NULL and words when the URL is wrong or there is no memory. */
struct follow *follow_new(struct dyn_loop *loop, const struct follow_options *options,
                          struct dyn_error *error);
void follow_free(struct follow *follow);

/** The command connection stands, or is lost. */
void follow_open(struct follow *follow, struct bus *bus);
void follow_close(struct follow *follow);
/** Read the newest targets and all commands again: another configuration may want what it refused
 *  before, and know an app that was paused before. */
void follow_again(struct follow *follow);
/** Every partition's newest targets were read, and what came since. */
bool follow_is_live(const struct follow *follow);

#endif
