/*
 * recording: one partition's values and targets in a file, entry by entry.
 *
 * The format is in deploy/cli/README.md. A file that was cut off is read as far as it is whole.
 *
 * Ownership: a recording that was read owns its bytes; entries borrow from them.
 * Threads: one.
 */
#ifndef DYN_CLI_RECORDING_H
#define DYN_CLI_RECORDING_H

#include "common/message.h"

#define RECORDING_MAX (1024LL * 1024 * 1024) /* bytes of a file to be read; refused */

enum recording_stream {
    RECORDING_END = 0,
    RECORDING_VALUES = 1,
    RECORDING_TARGETS = 2
};

struct recording_head {
    uint64_t config; /* hash of the configuration that was in force */
    uint32_t partition;
    int64_t wall_ms; /* when it was recorded */
};

struct recording_entry {
    enum recording_stream stream;
    struct entry_id id;
    struct dyn_str message;
};

/* Writing: begin, add each entry in its stream's order, end. Errors are the FILE's. */
void recording_begin(FILE *file, const struct recording_head *head);
void recording_add(FILE *file, const struct recording_entry *entry);
void recording_end(FILE *file, uint64_t entries);

struct recording {
    struct recording_head head;
    struct recording_entry *entries;
    size_t count;
    bool cut; /* the file has no end, or not as many entries as its end says */
    char *bytes;
};

/** NULL and words: cannot be read, too large, no recording or one of another version. */
struct recording *recording_load(const char *path, struct dyn_error *error);
void recording_free(struct recording *recording);

#endif
