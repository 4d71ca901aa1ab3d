/* What was written of late. */
#include "tests/sim/sim_server.h"

struct sim_logged {
    int64_t at;
    struct model_op op; /* with references of its own */
};

static void logged_free(struct sim_logged *logged)
{
    model_blob_free(logged->op.key);
    model_blob_free(logged->op.field);
    model_blob_free(logged->op.value);
}

static struct model_blob *blob_ref(struct model_blob *blob)
{
    return blob != NULL ? model_blob_ref(blob) : NULL;
}

static void log_room(struct sim_log *log)
{
    if (log->first + log->count < log->room) {
        return;
    }
    if (log->first > log->count) {
        memmove(log->ops, log->ops + log->first, log->count * sizeof *log->ops);
        log->first = 0;
        return;
    }
    log->room = log->room > 0 ? 2 * log->room : 256;
    log->ops = reallocarray(log->ops, log->room, sizeof *log->ops);
    DYN_ASSERT(log->ops != NULL);
}

void sim_log_add(struct sim_log *log, const struct model_op *op)
{
    log_room(log);
    struct sim_logged *logged = &log->ops[log->first + log->count++];
    *logged = (struct sim_logged){sim_now(), *op};
    logged->op.key = blob_ref(op->key);
    logged->op.field = blob_ref(op->field);
    logged->op.value = blob_ref(op->value);
}

/* Forget what all readers have seen. */
static void log_trim(struct sim_log *log)
{
    uint64_t end = log->begin + log->count;
    for (size_t i = 0; i < SIM_LOG_READERS; i++) {
        if (log->reads[i] && log->next[i] < end) {
            end = log->next[i];
        }
    }
    while (log->begin < end) {
        logged_free(&log->ops[log->first]);
        log->first++;
        log->count--;
        log->begin++;
    }
}

void sim_log_follow(struct sim_log *log, enum sim_log_reader reader)
{
    log->reads[reader] = true;
    log->next[reader] = log->begin + log->count;
    log_trim(log);
}

void sim_log_unfollow(struct sim_log *log, enum sim_log_reader reader)
{
    log->reads[reader] = false;
    log_trim(log);
}

void sim_log_apply(struct sim_log *log, enum sim_log_reader reader, int64_t until,
                   struct model_store *store)
{
    DYN_ASSERT(log->reads[reader]);
    uint64_t end = log->begin + log->count;
    while (log->next[reader] < end) {
        const struct sim_logged *logged =
            &log->ops[log->first + (size_t)(log->next[reader] - log->begin)];
        if (logged->at > until) {
            break;
        }
        model_store_apply(store, &logged->op);
        log->next[reader]++;
    }
    log_trim(log);
}

void sim_log_end(struct sim_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        logged_free(&log->ops[log->first + i]);
    }
    free(log->ops);
}
