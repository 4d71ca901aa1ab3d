/*
 * common/dyn.lua once more, in C: what each Function checks, writes and answers, in the same order,
 * through the same commands. Without dyn_drain: no log drain leads into the simulated world.
 */
#include "tests/sim/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum {
    PUBLISH_MAX = 256,
    MEMBERS_MAX_OF_LUA = 1024,
    GONE_MAX = 64,
    SETTLE_MAX = 64,
    REPLID_MAX = 64,
    CALL_MAX = 16
};

struct run {
    struct model_store *store;
    struct model_answer *answer;
    struct bus_reply *reply; /* the Function's */
    const struct dyn_str *keys;
    size_t keys_count;
    const struct dyn_str *args; /* from 0 on; Lua counts from 1 */
    size_t args_count;
};

/* ---- Lua's manners ---- */

/* redis.call(); NULL when it raised an error, which is then what the Function answers. */
static const struct bus_reply *call(struct run *run, const struct dyn_str *argv, size_t argc)
{
    const struct model_command *command = model_command_find(argv[0]);
    struct bus_reply *reply = model_take(run->answer, sizeof *reply);
    command->run(run->store, argv, argc, run->answer, reply);
    if (reply->type == BUS_ERROR) {
        *run->reply = *reply;
        return NULL;
    }
    return reply;
}

#define CALL(run, ...)                                 \
    call((run), (const struct dyn_str[]){__VA_ARGS__}, \
         sizeof((const struct dyn_str[]){__VA_ARGS__}) / sizeof(struct dyn_str))

static bool is_number(const struct run *run, size_t index)
{
    if (index >= run->args_count) {
        return false;
    }
    struct dyn_str text = run->args[index];
    if (text.len == 0 || text.len > 20 || (text.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}

/* What Lua hands on is a double, and what does not fit becomes the lowest number. */
static int64_t number_through_lua(int64_t number)
{
    double through = (double)number;
    return through >= 0x1p63 ? INT64_MIN : (int64_t)through;
}

/* tonumber(), of what is_number() or a match has passed. */
static double number_of(struct dyn_str digits)
{
    char text[512];
    dyn_str_copy(text, sizeof text, digits);
    return strtod(text, NULL);
}

static bool less(struct dyn_str a, struct dyn_str b)
{
    if (a.len != b.len) {
        return a.len < b.len;
    }
    return memcmp(a.ptr, b.ptr, a.len) < 0;
}

static void wrong(struct run *run, const char *words)
{
    model_put_error(run->answer, run->reply, "ERR %s", words);
}

static struct dyn_str text_or(const struct bus_reply *array, size_t index, const char *otherwise)
{
    const struct bus_reply *item = bus_reply_at(array, index);
    return item->type == BUS_STRING ? item->str : dyn_str_from(otherwise);
}

/* True: owner and epoch hold the lease. Else the answer is there. */
static bool held(struct run *run)
{
    const struct bus_reply *now =
        CALL(run, DYN_STR("HMGET"), run->keys[0], DYN_STR("owner"), DYN_STR("epoch"));
    if (now == NULL) {
        return false;
    }
    if (run->args_count >= 2 && run->args[0].len > 0 && now->items[0].type == BUS_STRING &&
        now->items[1].type == BUS_STRING && dyn_str_eq(now->items[0].str, run->args[0]) &&
        dyn_str_eq(now->items[1].str, run->args[1])) {
        return true;
    }
    model_put_error(run->answer, run->reply,
                    "FENCED the lease is not held with this owner and epoch");
    return false;
}

static bool trim(struct run *run, struct dyn_str stream, struct dyn_str minid_ms,
                 struct dyn_str maxlen)
{
    if (!dyn_str_is(minid_ms, "0") &&
        CALL(run, DYN_STR("XTRIM"), stream, DYN_STR("MINID"), DYN_STR("~"), minid_ms) == NULL) {
        return false;
    }
    return dyn_str_is(maxlen, "0") ||
           CALL(run, DYN_STR("XTRIM"), stream, DYN_STR("MAXLEN"), DYN_STR("~"), maxlen) != NULL;
}

/* ---- the lease ---- */

static void acquire(struct run *run)
{
    if (run->keys_count != 1 || run->args_count != 4 || run->args[0].len == 0 ||
        !is_number(run, 1) || !is_number(run, 2) || !is_number(run, 3)) {
        wrong(run, "dyn_acquire lease owner seen_epoch seen_beat known_epoch");
        return;
    }
    struct dyn_str lease = run->keys[0];
    const struct bus_reply *now =
        CALL(run, DYN_STR("HMGET"), lease, DYN_STR("epoch"), DYN_STR("beat"), DYN_STR("cursor_ms"),
             DYN_STR("cursor_seq"), DYN_STR("replid"));
    if (now == NULL) {
        return;
    }
    struct dyn_str epoch = text_or(now, 0, "0");
    if (!dyn_str_eq(epoch, run->args[1]) || !dyn_str_eq(text_or(now, 1, "0"), run->args[2])) {
        model_put_error(run->answer, run->reply, "FENCED the lease has moved since it was seen");
        return;
    }
    char next[32];
    double now_ms = (double)(run->store->wall_us / 1000);
    double known = fmax(number_of(epoch), number_of(run->args[3]));
    int len = snprintf(next, sizeof next, "%.0f", fmax(known + 1, now_ms));
    struct dyn_str next_epoch = {next, (size_t)len};
    if (CALL(run, DYN_STR("HSET"), lease, DYN_STR("owner"), run->args[0], DYN_STR("epoch"),
             next_epoch, DYN_STR("call"), DYN_STR("0")) == NULL ||
        CALL(run, DYN_STR("HINCRBY"), lease, DYN_STR("beat"), DYN_STR("1")) == NULL) {
        return;
    }
    struct bus_reply *items = model_put_array(run->answer, run->reply, 4);
    model_put_str(run->answer, &items[0], next_epoch);
    model_put_str(run->answer, &items[1], text_or(now, 2, "0"));
    model_put_str(run->answer, &items[2], text_or(now, 3, "0"));
    model_put_str(run->answer, &items[3], text_or(now, 4, ""));
}

static void renew(struct run *run)
{
    bool acted = run->args_count == 3;
    if (run->keys_count != 1 || (run->args_count != 2 && !acted) ||
        (acted && run->args[2].len > REPLID_MAX)) {
        wrong(run, "dyn_renew lease owner epoch [replid]");
        return;
    }
    if (held(run)) {
        if (acted &&
            CALL(run, DYN_STR("HSET"), run->keys[0], DYN_STR("replid"), run->args[2]) == NULL) {
            return;
        }
        const struct bus_reply *beat =
            CALL(run, DYN_STR("HINCRBY"), run->keys[0], DYN_STR("beat"), DYN_STR("1"));
        if (beat != NULL) {
            model_put_int(run->reply, number_through_lua(beat->integer));
        }
    }
}

static void release(struct run *run)
{
    if (run->keys_count != 1 || run->args_count != 2) {
        wrong(run, "dyn_release lease owner epoch");
        return;
    }
    if (held(run) && CALL(run, DYN_STR("HDEL"), run->keys[0], DYN_STR("owner")) != NULL) {
        model_put_status(run->reply, "OK");
    }
}

/* ---- the leader of a partition ---- */

static bool cursor_bound(struct run *run, struct dyn_str id)
{
    const struct bus_reply *now =
        CALL(run, DYN_STR("HMGET"), run->keys[0], DYN_STR("cursor_ms"), DYN_STR("cursor_seq"));
    if (now == NULL) {
        return false;
    }
    const char *dash = memchr(id.ptr, '-', id.len);
    if (dash == NULL) {
        return false;
    }
    struct dyn_str ms = {id.ptr, (size_t)(dash - id.ptr)};
    struct dyn_str seq = {dash + 1, id.len - ms.len - 1};
    struct dyn_str last_ms = text_or(now, 0, "0");
    if (!less(ms, last_ms) && !(dyn_str_eq(ms, last_ms) && less(seq, text_or(now, 1, "0")))) {
        return true;
    }
    return CALL(run, DYN_STR("HSET"), run->keys[0], DYN_STR("cursor_ms"), DYN_STR("0"),
                DYN_STR("cursor_seq"), DYN_STR("0")) != NULL;
}

static void tick(struct run *run)
{
    if (run->keys_count != 2 || run->args_count != 5 || !is_number(run, 3) || !is_number(run, 4)) {
        wrong(run, "dyn_tick lease values owner epoch payload minid_ms maxlen");
        return;
    }
    if (!held(run)) {
        return;
    }
    const struct bus_reply *id =
        CALL(run, DYN_STR("XADD"), run->keys[1], DYN_STR("*"), DYN_STR("m"), run->args[2]);
    if (id == NULL ||
        CALL(run, DYN_STR("HINCRBY"), run->keys[0], DYN_STR("beat"), DYN_STR("1")) == NULL ||
        !cursor_bound(run, id->str) || !trim(run, run->keys[1], run->args[3], run->args[4])) {
        return;
    }
    *run->reply = *id;
}

/* True: the call is to be done. Else the answer is there. */
static bool publish_check(struct run *run)
{
    const struct bus_reply *now = CALL(run, DYN_STR("HMGET"), run->keys[0], DYN_STR("call"),
                                       DYN_STR("cursor_ms"), DYN_STR("cursor_seq"));
    if (now == NULL) {
        return false;
    }
    struct dyn_str call_now = run->args[2];
    struct dyn_str ms = run->args[3];
    struct dyn_str seq = run->args[4];
    struct dyn_str last_call = text_or(now, 0, "0");
    struct dyn_str last_ms = text_or(now, 1, "0");
    struct dyn_str last_seq = text_or(now, 2, "0");
    if (dyn_str_eq(call_now, last_call)) {
        struct bus_reply *items = model_put_array(run->answer, run->reply, 2);
        model_put_str(run->answer, &items[0], last_ms);
        model_put_str(run->answer, &items[1], last_seq);
        return false;
    }
    if (less(call_now, last_call)) {
        model_put_error(run->answer, run->reply,
                        "BACKWARDS call " DYN_STR_FMT " comes after " DYN_STR_FMT,
                        DYN_STR_ARG(call_now), DYN_STR_ARG(last_call));
        return false;
    }
    if (less(ms, last_ms) || (dyn_str_eq(ms, last_ms) && less(seq, last_seq))) {
        model_put_error(run->answer, run->reply,
                        "BACKWARDS the cursor stands at " DYN_STR_FMT "-" DYN_STR_FMT,
                        DYN_STR_ARG(last_ms), DYN_STR_ARG(last_seq));
        return false;
    }
    return true;
}

static void publish(struct run *run)
{
    for (size_t i = 2; i < 7; i++) {
        if (!is_number(run, i)) {
            model_put_error(run->answer, run->reply, "ERR dyn_publish: argument %zu is no number",
                            i + 1);
            return;
        }
    }
    double asked = number_of(run->args[6]);
    size_t count = asked > PUBLISH_MAX ? PUBLISH_MAX + 1 : (size_t)asked;
    if (run->keys_count != 3 || count > PUBLISH_MAX || run->args_count != 8 + 2 * count ||
        dyn_str_is(run->args[2], "0")) {
        wrong(run, "dyn_publish lease targets newest owner epoch call cursor_ms cursor_seq "
                   "minid_ms count [controller payload]... mark");
        return;
    }
    if (!held(run) || !publish_check(run)) {
        return;
    }
    struct dyn_str targets = run->keys[1];
    for (size_t i = 7; i < 7 + 2 * count; i += 2) {
        if (CALL(run, DYN_STR("XADD"), targets, DYN_STR("*"), DYN_STR("m"), run->args[i + 1]) ==
                NULL ||
            CALL(run, DYN_STR("HSET"), run->keys[2], run->args[i], run->args[i + 1]) == NULL) {
            return;
        }
    }
    struct dyn_str mark = run->args[run->args_count - 1];
    if (mark.len > 0 &&
        CALL(run, DYN_STR("XADD"), targets, DYN_STR("*"), DYN_STR("m"), mark) == NULL) {
        return;
    }
    if (CALL(run, DYN_STR("HSET"), run->keys[0], DYN_STR("call"), run->args[2],
             DYN_STR("cursor_ms"), run->args[3], DYN_STR("cursor_seq"), run->args[4]) == NULL ||
        !trim(run, targets, run->args[5], DYN_STR("0"))) {
        return;
    }
    struct bus_reply *items = model_put_array(run->answer, run->reply, 2);
    model_put_str(run->answer, &items[0], run->args[3]);
    model_put_str(run->answer, &items[1], run->args[4]);
}

/* ---- the actuator's journal ---- */

static bool field_is_good(struct dyn_str field)
{
    return field.len > 0 && memchr(field.ptr, ':', field.len) == NULL;
}

static struct dyn_str field_of(struct run *run, struct dyn_str field, const char *suffix)
{
    size_t room = field.len + strlen(suffix) + 1;
    char *name = model_take(run->answer, room);
    memcpy(name, field.ptr, field.len);
    dyn_str_copy(name + field.len, room - field.len, dyn_str_from(suffix));
    return (struct dyn_str){name, room - 1};
}

static void act_begin(struct run *run)
{
    if (run->keys_count != 2 || run->args_count != 4 || !field_is_good(run->args[2])) {
        wrong(run, "dyn_act_begin lease journal owner epoch field intent");
        return;
    }
    struct dyn_str field_open = field_of(run, run->args[2], ":open");
    if (!held(run)) {
        return;
    }
    const struct bus_reply *open = CALL(run, DYN_STR("HGET"), run->keys[1], field_open);
    if (open == NULL) {
        return;
    }
    if (open->type == BUS_STRING) {
        model_put_error(run->answer, run->reply,
                        "INFLIGHT an intent of epoch " DYN_STR_FMT " is open",
                        DYN_STR_ARG(open->str));
        return;
    }
    if (CALL(run, DYN_STR("HSET"), run->keys[1], run->args[2], run->args[3], field_open,
             run->args[1]) != NULL) {
        model_put_status(run->reply, "OK");
    }
}

static void act_end(struct run *run)
{
    if (run->keys_count != 3 || run->args_count != 6 || !field_is_good(run->args[2]) ||
        !is_number(run, 5)) {
        wrong(run, "dyn_act_end lease journal actions owner epoch field intent action maxlen");
        return;
    }
    if (!held(run)) {
        return;
    }
    struct dyn_str journal = run->keys[1];
    struct dyn_str field = run->args[2];
    struct dyn_str field_open = field_of(run, field, ":open");
    struct dyn_str field_done = field_of(run, field, ":done");
    if (run->args[4].len == 0) {
        if (CALL(run, DYN_STR("HSET"), journal, field, run->args[3]) != NULL) {
            model_put_str(run->answer, run->reply, DYN_STR(""));
        }
        return;
    }
    const struct bus_reply *open = CALL(run, DYN_STR("HEXISTS"), journal, field_open);
    if (open == NULL) {
        return;
    }
    if (open->integer == 0) {
        const struct bus_reply *done = CALL(run, DYN_STR("HGET"), journal, field_done);
        if (done != NULL) {
            model_put_str(run->answer, run->reply, bus_reply_str(done));
        }
        return;
    }
    const struct bus_reply *id =
        CALL(run, DYN_STR("XADD"), run->keys[2], DYN_STR("*"), DYN_STR("m"), run->args[4]);
    if (id == NULL ||
        CALL(run, DYN_STR("HSET"), journal, field, run->args[3], field_done, id->str) == NULL ||
        CALL(run, DYN_STR("HDEL"), journal, field_open) == NULL ||
        !trim(run, run->keys[2], DYN_STR("0"), run->args[5])) {
        return;
    }
    *run->reply = *id;
}

/* ---- cursors, members ---- */

static void settle(struct run *run)
{
    double asked = is_number(run, 2) ? number_of(run->args[2]) : SETTLE_MAX + 1;
    size_t count = asked > SETTLE_MAX ? SETTLE_MAX + 1 : (size_t)asked;
    if (run->keys_count != 2 || count > SETTLE_MAX || run->args_count < 3 + 2 * count ||
        run->args_count > 3 + 3 * SETTLE_MAX) {
        wrong(run, "dyn_settle lease cursors owner epoch count [field value]... [gone]...");
        return;
    }
    if (!held(run)) {
        return;
    }
    for (size_t i = 3; i < 3 + 2 * count; i += 2) {
        if (CALL(run, DYN_STR("HSET"), run->keys[1], run->args[i], run->args[i + 1]) == NULL) {
            return;
        }
    }
    for (size_t i = 3 + 2 * count; i < run->args_count; i++) {
        if (CALL(run, DYN_STR("HDEL"), run->keys[1], run->args[i]) == NULL) {
            return;
        }
    }
    model_put_status(run->reply, "OK");
}

/* The number that `text` begins with. */
static double count_of(struct dyn_str text)
{
    struct dyn_str digits = {text.ptr, 0};
    while (digits.len < text.len && text.ptr[digits.len] >= '0' && text.ptr[digits.len] <= '9') {
        digits.len++;
    }
    return digits.len > 0 ? number_of(digits) : 0;
}

static void beat(struct run *run)
{
    if (run->keys_count != 1 || run->args_count < 2 || run->args_count > 2 + GONE_MAX ||
        run->args[0].len == 0 || run->args[1].len > 1024) {
        wrong(run, "dyn_beat members member text [gone]...");
        return;
    }
    struct dyn_str members = run->keys[0];
    for (size_t i = 2; i < run->args_count; i++) {
        if (!dyn_str_eq(run->args[i], run->args[0]) &&
            CALL(run, DYN_STR("HDEL"), members, run->args[i]) == NULL) {
            return;
        }
    }
    const struct bus_reply *old = CALL(run, DYN_STR("HGET"), members, run->args[0]);
    if (old == NULL) {
        return;
    }
    if (old->type != BUS_STRING) {
        const struct bus_reply *count = CALL(run, DYN_STR("HLEN"), members);
        if (count == NULL) {
            return;
        }
        if (count->integer >= MEMBERS_MAX_OF_LUA) {
            model_put_error(run->answer, run->reply, "FULL there are %d members already",
                            MEMBERS_MAX_OF_LUA);
            return;
        }
    }
    char text[1024 + 512];
    int len = snprintf(text, sizeof text, "%.0f " DYN_STR_FMT,
                       count_of(old->type == BUS_STRING ? old->str : DYN_STR("0")) + 1,
                       DYN_STR_ARG(run->args[1]));
    if (CALL(run, DYN_STR("HSET"), members, run->args[0], (struct dyn_str){text, (size_t)len}) ==
        NULL) {
        return;
    }
    const struct bus_reply *everybody = CALL(run, DYN_STR("HGETALL"), members);
    if (everybody != NULL) {
        *run->reply = *everybody;
    }
}

/* ---- FCALL ---- */

static const struct function {
    const char *name;
    void (*run)(struct run *run);
    bool allows_oom;
} functions[] = {
    {"dyn_acquire", acquire, true},  {"dyn_renew", renew, true},
    {"dyn_release", release, true},  {"dyn_tick", tick, true},
    {"dyn_publish", publish, true},  {"dyn_act_begin", act_begin, false},
    {"dyn_act_end", act_end, false}, {"dyn_settle", settle, false},
    {"dyn_beat", beat, true},
};

static const struct function *function_find(struct dyn_str name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (dyn_str_is(name, functions[i].name)) {
            return &functions[i];
        }
    }
    return NULL;
}

bool model_function_exists(struct dyn_str name)
{
    return function_find(name) != NULL;
}

bool model_function_allows_oom(struct dyn_str name)
{
    const struct function *function = function_find(name);
    return function != NULL && function->allows_oom;
}

void model_fcall(struct model_store *store, const struct dyn_str *argv, size_t argc,
                 struct model_answer *answer, struct bus_reply *reply)
{
    const struct function *function = store->has_functions ? function_find(argv[1]) : NULL;
    int64_t keys = 0;
    if (function == NULL) {
        model_put_error(answer, reply, "ERR Function not found");
    } else if (!model_number(argv[2], &keys)) {
        model_put_error(answer, reply, "ERR Bad number of keys provided");
    } else if (keys < 0) {
        model_put_error(answer, reply, "ERR Number of keys can't be negative");
    } else if ((uint64_t)keys > argc - 3) {
        model_put_error(answer, reply, "ERR Number of keys can't be greater than number of args");
    } else {
        function->run(&(struct run){
            .store = store,
            .answer = answer,
            .reply = reply,
            .keys = argv + 3,
            .keys_count = (size_t)keys,
            .args = argv + 3 + keys,
            .args_count = argc - 3 - (size_t)keys,
        });
    }
}
