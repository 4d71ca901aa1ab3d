#include "collector/drain_call.h"

#include <inttypes.h>

void drain_call_init(struct drain_call *call)
{
    *call = (struct drain_call){.argc = 0};
    dyn_buf_init(&call->text, (size_t)TALLY_BUCKETS * TALLY_TEXT_MAX);
}

void drain_call_fini(struct drain_call *call)
{
    dyn_buf_fini(&call->text);
}

static void arg_add(struct drain_call *call, struct dyn_str arg)
{
    DYN_ASSERT(call->argc < DRAIN_CALL_ARGS);
    call->argv[call->argc++] = arg;
}

static struct dyn_str number(char out[static DRAIN_NUMBER_SIZE], uint64_t value)
{
    (void)snprintf(out, DRAIN_NUMBER_SIZE, "%" PRIu64, value);
    return dyn_str_from(out);
}

static void keys_write(struct drain_call *call, const struct tally *tally, const char *prefix,
                       const char *id)
{
    int64_t nth = tally->now_s / DRAIN_FRAMES_S;
    drain_key_frames(call->keys[0], prefix, id, nth);
    drain_key_frames(call->keys[1], prefix, id, nth - 1);
    for (size_t i = 0; i < tally->used_count; i++) {
        drain_key_bucket(call->keys[i + 2], prefix, id, tally_start_s(tally, i));
    }
    for (size_t i = 0; i < tally->used_count + 2; i++) {
        arg_add(call, dyn_str_from(call->keys[i]));
    }
}

dyn_err drain_call_write(struct drain_call *call, const struct tally *tally, const char *prefix,
                         const char *id, const uint64_t *frame, int64_t kept_s)
{
    size_t ends[TALLY_BUCKETS];
    uint64_t lost[TALLY_BUCKETS];
    dyn_buf_clear(&call->text);
    for (size_t i = 0; i < tally->used_count; i++) {
        lost[i] = tally_write(tally, i, &call->text);
        ends[i] = call->text.len;
    }
    dyn_err err = dyn_buf_result(&call->text);
    if (err != DYN_OK) {
        return err;
    }
    call->argc = 0;
    arg_add(call, DYN_STR("FCALL"));
    arg_add(call, DYN_STR("dyn_drain"));
    arg_add(call, number(call->keys_count, tally->used_count + 2));
    keys_write(call, tally, prefix, id);
    arg_add(call, frame != NULL ? number(call->frame, *frame) : DYN_STR(""));
    arg_add(call, number(call->frames_kept, 2 * DRAIN_FRAMES_S));
    arg_add(call, number(call->kept, (uint64_t)kept_s));
    const char *texts = dyn_buf_text(&call->text);
    for (size_t i = 0; i < tally->used_count; i++) {
        size_t begin = i > 0 ? ends[i - 1] : 0;
        arg_add(call, number(call->lost[i], lost[i]));
        arg_add(call, (struct dyn_str){texts + begin, ends[i] - begin});
    }
    return DYN_OK;
}
