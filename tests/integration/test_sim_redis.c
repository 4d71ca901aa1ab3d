/*
 * The model of Redis that the simulation runs on, held against the real server: random commands,
 * good and bad ones, go to both, and the answers must be equal. What the server takes from its
 * clock is taken over into the model; fields of hashes come in any order.
 */
#include "support_redis.h"

#include "tests/sim/model.h"

#include <check.h>
#include <hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    ARGS_MAX = 600,
    TEXT_MAX = 2048,
    COMMANDS = 30000,
    NODE_ENTRIES = 7
};

#define ID_OPEN_LAST "(18446744073709551615-18446744073709551615"

static struct support_redis *redis;
static redisContext *context;
static struct model_store store;
static struct model_bars bars;
static uint64_t seed;

/* ---- the command that is made ---- */

static char texts[ARGS_MAX][TEXT_MAX];
static struct dyn_str argv[ARGS_MAX];
static size_t argc;

static void arg(const char *format, ...) DYN_PRINTF(1, 2);
static void arg(const char *format, ...)
{
    ck_assert_uint_lt(argc, ARGS_MAX);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(texts[argc], TEXT_MAX, format, args);
    va_end(args);
    argv[argc] = (struct dyn_str){texts[argc], (size_t)len};
    argc++;
}

static uint64_t draw(uint64_t below)
{
    seed += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % below;
}

static bool once_in(uint64_t times)
{
    return draw(times) == 0;
}

static const char *pick(const char *const *words, size_t count)
{
    return words[draw(count)];
}
#define PICK(...)                            \
    pick((const char *const[]){__VA_ARGS__}, \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* ---- comparing ---- */

static void command_print(struct dyn_buf *out)
{
    for (size_t i = 0; i < argc && i < 24; i++) {
        (void)dyn_buf_addf(out, "%.*s ", (int)(argv[i].len < 80 ? argv[i].len : 80), argv[i].ptr);
    }
}

static void real_print(const redisReply *reply, struct dyn_buf *out)
{
    if (reply->type == REDIS_REPLY_ARRAY) {
        (void)dyn_buf_addf(out, "[");
        for (size_t i = 0; i < reply->elements; i++) {
            real_print(reply->element[i], out);
        }
        (void)dyn_buf_addf(out, "] ");
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        (void)dyn_buf_addf(out, ":%lld ", reply->integer);
    } else {
        (void)dyn_buf_addf(out, "%d'%s' ", reply->type, reply->str != NULL ? reply->str : "(nil)");
    }
}

static void model_print(const struct bus_reply *reply, struct dyn_buf *out)
{
    if (reply->type == BUS_ARRAY) {
        (void)dyn_buf_addf(out, "[");
        for (size_t i = 0; i < reply->count; i++) {
            model_print(&reply->items[i], out);
        }
        (void)dyn_buf_addf(out, "] ");
    } else if (reply->type == BUS_INTEGER) {
        (void)dyn_buf_addf(out, ":%" PRId64 " ", reply->integer);
    } else {
        (void)dyn_buf_addf(out, "%d'" DYN_STR_FMT "' ", (int)reply->type, DYN_STR_ARG(reply->str));
    }
}

/* Errors of Functions name the place in the script behind the words. */
static bool error_same(const redisReply *real, const struct bus_reply *model)
{
    const char *script = strstr(real->str, " script: ");
    size_t len = script != NULL ? (size_t)(script - real->str) : real->len;
    return len == model->str.len && memcmp(real->str, model->str.ptr, len) == 0;
}

static bool same(const redisReply *real, const struct bus_reply *model)
{
    switch (real->type) {
    case REDIS_REPLY_NIL:
        return model->type == BUS_NIL;
    case REDIS_REPLY_ERROR:
        return model->type == BUS_ERROR && error_same(real, model);
    case REDIS_REPLY_INTEGER:
        return model->type == BUS_INTEGER && model->integer == real->integer;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        return model->type == (real->type == REDIS_REPLY_STRING ? BUS_STRING : BUS_STATUS) &&
               model->str.len == real->len && memcmp(model->str.ptr, real->str, real->len) == 0;
    default:
        break;
    }
    bool equal = model->type == BUS_ARRAY && model->count == real->elements;
    for (size_t i = 0; equal && i < real->elements; i++) {
        equal = same(real->element[i], &model->items[i]);
    }
    return equal;
}

/* Pairs in any order. */
static bool pairs_same(const redisReply *real, const struct bus_reply *model)
{
    if (real->type != REDIS_REPLY_ARRAY || model->type != BUS_ARRAY ||
        real->elements != model->count) {
        return same(real, model);
    }
    for (size_t i = 0; i + 1 < real->elements; i += 2) {
        bool found = false;
        for (size_t j = 0; j + 1 < model->count && !found; j += 2) {
            found = same(real->element[i], &model->items[j]) &&
                    same(real->element[i + 1], &model->items[j + 1]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* Every pair that the model tells is in the real answer: it knows nothing of radix trees. */
static bool info_same(const redisReply *real, const struct bus_reply *model)
{
    if (real->type != REDIS_REPLY_ARRAY || model->type != BUS_ARRAY) {
        return same(real, model);
    }
    for (size_t i = 0; i + 1 < model->count; i += 2) {
        bool found = false;
        for (size_t j = 0; j + 1 < real->elements && !found; j += 2) {
            found = same(real->element[j], &model->items[i]) &&
                    same(real->element[j + 1], &model->items[i + 1]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool answers_same(const redisReply *real, const struct bus_reply *model)
{
    if (model_name_is(argv[0], "time")) {
        return model->type == BUS_ARRAY && real->elements == model->count;
    }
    if (model_name_is(argv[0], "hgetall") ||
        (model_name_is(argv[0], "fcall") && argc > 1 && dyn_str_is(argv[1], "dyn_beat"))) {
        return pairs_same(real, model);
    }
    if (model_name_is(argv[0], "hscan") && real->type == REDIS_REPLY_ARRAY &&
        model->type == BUS_ARRAY) {
        return same(real->element[0], &model->items[0]) &&
               pairs_same(real->element[1], &model->items[1]);
    }
    if (model_name_is(argv[0], "xinfo")) {
        return info_same(real, model);
    }
    return same(real, model);
}

/* ---- running ---- */

/* What the server took from its clock: the ID of a new entry, or a new epoch. */
static int64_t clock_of(const redisReply *real)
{
    const redisReply *text =
        real->type == REDIS_REPLY_ARRAY && real->elements > 0 ? real->element[0] : real;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    if (text->type == REDIS_REPLY_STRING) {
        int64_t ms = strtoll(text->str, NULL, 10);
        if (ms > now_ms - 3600000 && ms < now_ms + 3600000) {
            return ms;
        }
    }
    return now_ms;
}

static void model_run(const redisReply *real, struct model_answer *answer)
{
    const struct model_command *command = model_command_find(argv[0]);
    store.wall_us = clock_of(real) * 1000;
    if (model_command_refused(command, argv, argc, answer)) {
        return;
    }
    const char *words = model_command_barred(command, &bars, argv, argc);
    if (words != NULL) {
        model_put_error(answer, &answer->root, "%s", words);
        return;
    }
    command->run(&store, argv, argc, answer, &answer->root);
}

static redisReply *real_run(void)
{
    const char *pointers[ARGS_MAX];
    size_t lengths[ARGS_MAX];
    for (size_t i = 0; i < argc; i++) {
        pointers[i] = argv[i].ptr;
        lengths[i] = argv[i].len;
    }
    redisReply *real = redisCommandArgv(context, (int)argc, pointers, lengths);
    ck_assert_msg(real != NULL, "%s", context->errstr);
    return real;
}

static struct dyn_str held(const char *field)
{
    const struct model_key *key = model_key_find(&store, DYN_STR("lease"));
    const struct model_field *at =
        key != NULL && !key->is_stream ? model_field_find(&key->fields, dyn_str_from(field)) : NULL;
    return at != NULL ? (struct dyn_str){at->value->bytes, at->value->len}
                      : (struct dyn_str){NULL, 0};
}

/* An epoch is the server's clock, which no answer tells when the taking failed half way. */
static void epoch_take_over(void)
{
    redisReply *real = redisCommand(context, "HGET lease epoch");
    ck_assert_ptr_nonnull(real);
    if (real->type == REDIS_REPLY_STRING && held("epoch").ptr != NULL) {
        (void)model_set(&store, DYN_STR("lease"), DYN_STR("epoch"),
                        (struct dyn_str){real->str, real->len});
    }
    freeReplyObject(real);
}

/* Send what was made to both; true when it was no error. */
static bool both(void)
{
    struct model_answer *answer = model_answer_new();
    redisReply *real = real_run();
    model_run(real, answer);
    if (!answers_same(real, &answer->root)) {
        struct dyn_buf words;
        dyn_buf_init(&words, 1 << 20);
        command_print(&words);
        (void)dyn_buf_addf(&words, "\n  real:  ");
        real_print(real, &words);
        (void)dyn_buf_addf(&words, "\n  model: ");
        model_print(&answer->root, &words);
        ck_abort_msg("%.4000s", dyn_buf_text(&words));
    }
    bool good = real->type != REDIS_REPLY_ERROR;
    if (!good && strncmp(real->str, "ERR increment", 13) == 0) {
        epoch_take_over();
    }
    freeReplyObject(real);
    model_answer_free(answer);
    argc = 0;
    return good;
}

/* ---- making commands ---- */

static const char *stream_draw(void)
{
    return once_in(30) ? PICK("h0", "none", "lease") : PICK("s0", "s1", "s2", "values", "targets");
}

static const char *hash_draw(void)
{
    return once_in(30) ? PICK("s0", "none", "targets")
                       : PICK("h0", "h1", "lease", "newest", "journal", "members");
}

static const char *field_draw(void)
{
    return PICK("a", "b", "c", "owner", "epoch", "beat", "a:open", "cursor_ms", "", "replid");
}

static void value_add(void)
{
    switch (draw(8)) {
    case 0:
        arg("%" PRIu64, draw(1000));
        break;
    case 1:
        arg("-%" PRIu64, draw(1000));
        break;
    case 2:
        arg("%s", PICK("9223372036854775807", "-9223372036854775808", "007", "1.5", "", "nan"));
        break;
    default:
        arg("v%" PRIu64, draw(1000000));
        break;
    }
}

/* IDs around those that the streams have. */
static void id_add(void)
{
    switch (draw(10)) {
    case 0:
        arg("%s", PICK("0-0", "0", "0-1", "18446744073709551615", "-", "+", "x", "1-2-3", "(5",
                       "(0-0", "1-", "-1", "18446744073709551616", ID_OPEN_LAST));
        break;
    case 1:
        arg("%" PRIu64, draw(300));
        break;
    default:
        arg("%s%" PRIu64 "-%" PRIu64, once_in(6) ? "(" : "", draw(300), draw(4));
        break;
    }
}

static void number_add(void)
{
    if (once_in(12)) {
        arg("%s", PICK("-1", "x", "", "9999999999999999999", "0"));
    } else {
        arg("%" PRIu64, draw(40));
    }
}

static void trim_add(void)
{
    bool by_id = once_in(2);
    arg("%s", by_id ? PICK("MINID", "minid") : PICK("MAXLEN", "maxlen"));
    bool about = once_in(2);
    if (about) {
        arg("~");
    } else if (once_in(3)) {
        arg("=");
    }
    if (by_id) {
        id_add();
    } else {
        number_add();
    }
    if (once_in(8)) {
        arg("LIMIT");
        number_add();
    }
}

static void make_xadd(void)
{
    arg("XADD");
    arg("%s", stream_draw());
    if (once_in(4)) {
        trim_add();
    }
    if (once_in(3)) {
        arg("*");
    } else if (once_in(40)) {
        id_add();
    } else {
        arg("%" PRIu64 "-%" PRIu64, draw(300), draw(4));
    }
    size_t pairs = 1 + draw(2);
    for (size_t i = 0; i < pairs; i++) {
        arg("%s", PICK("m", "n", ""));
        value_add();
    }
    if (once_in(40)) {
        arg("odd");
    }
}

static void make_xtrim(void)
{
    arg("XTRIM");
    arg("%s", stream_draw());
    trim_add();
}

static void make_xrange(void)
{
    arg("%s", PICK("XRANGE", "XREVRANGE", "xrange"));
    arg("%s", stream_draw());
    if (once_in(3)) {
        arg("%s", PICK("-", "+"));
        arg("%s", PICK("+", "-"));
    } else {
        id_add();
        id_add();
    }
    if (once_in(2)) {
        arg("%s", once_in(30) ? "COUNTS" : "COUNT");
        number_add();
    }
}

static void make_xread(void)
{
    size_t streams = 1 + draw(3);
    arg("XREAD");
    if (once_in(2)) {
        arg("COUNT");
        number_add();
    }
    if (once_in(4)) {
        arg("BLOCK");
        arg("%s", once_in(10) ? PICK("x", "-1") : "1");
    }
    arg("STREAMS");
    for (size_t i = 0; i < streams; i++) {
        arg("%s", stream_draw());
    }
    for (size_t i = 0; i < streams; i++) {
        if (once_in(20)) {
            arg("$");
        } else {
            id_add();
        }
    }
    if (once_in(30)) {
        id_add();
    }
}

static void make_hash(void)
{
    const char *name = PICK("HSET", "HSET", "HSET", "HGET", "HMGET", "HGETALL", "HDEL", "HINCRBY",
                            "HLEN", "HEXISTS", "HSCAN");
    arg("%s", name);
    arg("%s", hash_draw());
    if (strcmp(name, "HSET") == 0) {
        for (size_t i = 1 + draw(3); i > 0; i--) {
            arg("%s", field_draw());
            value_add();
        }
        if (once_in(30)) {
            arg("odd");
        }
    } else if (strcmp(name, "HINCRBY") == 0) {
        arg("%s", field_draw());
        value_add();
    } else if (strcmp(name, "HSCAN") == 0) {
        arg("%s", once_in(20) ? "x" : "0");
        arg("COUNT");
        arg("1000");
    } else if (strcmp(name, "HMGET") == 0 || strcmp(name, "HDEL") == 0) {
        for (size_t i = 1 + draw(3); i > 0; i--) {
            arg("%s", field_draw());
        }
    } else if (strcmp(name, "HLEN") != 0 && strcmp(name, "HGETALL") != 0) {
        arg("%s", field_draw());
    }
}

static void make_other(void)
{
    switch (draw(8)) {
    case 0:
        arg("DEL");
        arg("%s", stream_draw());
        arg("%s", hash_draw());
        break;
    case 1:
        arg("XINFO");
        arg("STREAM");
        arg("%s", stream_draw());
        break;
    case 2:
        arg("XLEN");
        arg("%s", stream_draw());
        break;
    case 3:
        arg("%s", PICK("TIME", "PING", "NOSUCH", "HGET", "XADD", "XREAD"));
        break;
    case 4:
        arg("EXISTS");
        arg("%s", hash_draw());
        break;
    case 5:
        if (once_in(20)) {
            arg("FLUSHALL");
        } else {
            arg("PING");
            arg("x");
        }
        break;
    default:
        arg("XINFO");
        arg("STREAM");
        arg("%s", stream_draw());
        break;
    }
}

/* ---- Functions ---- */

/* What the lease says, or mostly so. */
static void held_add(const char *field)
{
    struct dyn_str now = held(field);
    if (once_in(12)) {
        arg("%s", PICK("a", "0", "", "1", "01", "99999999999999999999", "x"));
    } else if (now.ptr == NULL) {
        arg("0");
    } else {
        arg(DYN_STR_FMT, DYN_STR_ARG(now));
    }
}

static void count_add(uint64_t count)
{
    if (once_in(25)) {
        arg("%s", PICK("x", "", "-1", "300", "00", "1"));
    } else {
        arg("%" PRIu64, count);
    }
}

static void holder_add(void)
{
    held_add("owner");
    held_add("epoch");
}

static void acquire_add(void)
{
    arg("%s", once_in(20) ? "" : PICK("est-1", "est-2"));
    held_add("epoch");
    held_add("beat");
    arg("%s", PICK("0", "5", "9000000000000", "-1"));
}

static void renew_add(void)
{
    holder_add();
    if (once_in(3)) {
        arg("%0*d", (int)(once_in(5) ? 65 : draw(3)), 7);
    }
}

static void tick_add(void)
{
    holder_add();
    value_add();
    count_add(draw(2) * draw(300));
    count_add(draw(2) * draw(40));
}

static void publish_add(void)
{
    uint64_t count = draw(4);
    holder_add();
    struct dyn_str call = held("call");
    uint64_t last = 0;
    count_add((dyn_str_u64(call, &last) == DYN_OK ? last : 0) + draw(3));
    count_add(draw(300));
    count_add(draw(4));
    count_add(draw(3) * draw(200));
    count_add(count);
    for (uint64_t i = 0; i < count; i++) {
        arg("app-%" PRIu64, draw(5));
        value_add();
    }
    arg("%s", PICK("", "mark"));
}

static void settle_add(void)
{
    uint64_t count = draw(3);
    holder_add();
    count_add(count);
    for (uint64_t i = 0; i < count; i++) {
        arg("%s", field_draw());
        value_add();
    }
    for (uint64_t i = draw(3); i > 0; i--) {
        arg("%s", field_draw());
    }
}

static void beat_add(void)
{
    arg("%s", once_in(20) ? "" : PICK("m1", "m2", "m3", "m4"));
    arg("text %" PRIu64, draw(3));
    for (uint64_t i = draw(3) * draw(2); i > 0; i--) {
        arg("%s", PICK("m1", "m2", "m3", "nobody"));
    }
}

static bool is_stream(const char *key)
{
    return strcmp(key, "values") == 0 || strcmp(key, "targets") == 0;
}

/* The keys, sometimes one too many, or one of another kind that is there: a stream of which nothing
 * is known must not come to be. */
static void keys_add(size_t count, const char *const *keys)
{
    size_t more = once_in(30) ? 1 : 0;
    if (once_in(60)) {
        arg("%s", PICK("-1", "x", "99"));
    } else {
        arg("%zu", count + more);
    }
    for (size_t i = 0; i < count; i++) {
        const char *other = is_stream(keys[i]) ? "newest" : "values";
        bool wrong = once_in(60) && model_key_find(&store, dyn_str_from(other)) != NULL;
        arg("%s", wrong ? other : keys[i]);
    }
    if (more > 0) {
        arg("more");
    }
}
#define KEYS(...)                                                               \
    keys_add(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), \
             (const char *const[]){__VA_ARGS__})

static void make_function(void)
{
    arg("FCALL");
    switch (draw(10)) {
    case 0:
        arg("dyn_acquire");
        KEYS("lease");
        acquire_add();
        break;
    case 1:
        arg("dyn_renew");
        KEYS("lease");
        renew_add();
        break;
    case 2:
        arg("%s", once_in(4) ? "dyn_release" : "dyn_renew");
        KEYS("lease");
        holder_add();
        break;
    case 3:
        arg("dyn_tick");
        KEYS("lease", "values");
        tick_add();
        break;
    case 4:
    case 5:
        arg("dyn_publish");
        KEYS("lease", "targets", "newest");
        publish_add();
        break;
    case 6:
        arg("dyn_act_begin");
        KEYS("lease", "journal");
        holder_add();
        arg("%s", PICK("a", "b", "", "a:b"));
        value_add();
        break;
    case 7:
        arg("dyn_act_end");
        KEYS("lease", "journal", "targets");
        holder_add();
        arg("%s", PICK("a", "b", "c", "x:y"));
        value_add();
        arg("%s", once_in(5) ? "" : "action");
        count_add(draw(2) * draw(40));
        break;
    case 8:
        arg("dyn_settle");
        KEYS("lease", "journal");
        settle_add();
        break;
    default:
        arg("%s", once_in(30) ? "dyn_nothing" : "dyn_beat");
        KEYS("members");
        beat_add();
        break;
    }
    if (once_in(40)) {
        arg("more");
    }
}

/* IDs of streams that Functions add to without telling them: out of the clock's reach, or the model
 * could not know them. */
static bool stream_pin(const char *key)
{
    const struct model_key *found = model_key_find(&store, dyn_str_from(key));
    if (found == NULL || (found->is_stream && found->stream.last.ms < 9000000000000)) {
        arg("XADD");
        arg("%s", key);
        arg("9000000000000-0");
        arg("m");
        arg("x");
        return both();
    }
    return true;
}

static void make_any(void)
{
    uint64_t kind = draw(100);
    if (kind < 30 && stream_pin("values") && stream_pin("targets")) {
        make_function();
    } else if (kind < 45) {
        make_xadd();
    } else if (kind < 50) {
        make_xtrim();
    } else if (kind < 62) {
        make_xrange();
    } else if (kind < 70) {
        make_xread();
    } else if (kind < 94) {
        make_hash();
    } else {
        make_other();
    }
}

/* ---- tests ---- */

static void setup(void)
{
    const char *const arguments[] = {"--stream-node-max-bytes", "0", "--stream-node-max-entries",
                                     "7", NULL};
    redis = support_redis_new(&(struct support_redis_options){.arguments = arguments});
    support_redis_load_functions(redis);
    context = redisConnectUnix(support_redis_path(redis));
    ck_assert(context != NULL && context->err == 0);
    model_store_init(&store);
    store.node_entries = NODE_ENTRIES;
    bars = (struct model_bars){0};
    const char *text = getenv("SIM_REDIS_SEED");
    seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    argc = 0;
}

static void teardown(void)
{
    model_store_clear(&store);
    model_answers_end();
    redisFree(context);
    support_redis_free(redis);
}

static void run(size_t commands)
{
    size_t good = 0;
    for (size_t i = 0; i < commands; i++) {
        make_any();
        good += both();
    }
    /* Mostly refusals would prove little. */
    ck_assert_uint_gt(good, commands / 3);
}

START_TEST(random_commands_get_the_same_answers)
{
    run(COMMANDS);
}
END_TEST

START_TEST(a_full_server_refuses_the_same)
{
    run(500);
    ck_assert_str_eq(support_redis_call(redis, "CONFIG", "SET", "maxmemory", "1", NULL), "OK");
    bars.full = true;
    for (size_t i = 0; i < 3000; i++) {
        make_any();
        (void)both();
    }
}
END_TEST

START_TEST(a_server_without_its_replicas_refuses_the_same)
{
    run(500);
    ck_assert_str_eq(support_redis_call(redis, "CONFIG", "SET", "min-replicas-to-write", "1", NULL),
                     "OK");
    bars.alone = true;
    for (size_t i = 0; i < 3000; i++) {
        make_any();
        (void)both();
    }
}
END_TEST

START_TEST(a_replica_refuses_the_same)
{
    run(500);
    ck_assert_str_eq(support_redis_call(redis, "REPLICAOF", "127.0.0.1", "1", NULL), "OK");
    bars.is_replica = true;
    for (size_t i = 0; i < 3000; i++) {
        make_any();
        (void)both();
    }
}
END_TEST

START_TEST(a_server_without_functions_says_the_same)
{
    run(500);
    (void)support_redis_call(redis, "FUNCTION", "FLUSH", NULL);
    store.has_functions = false;
    bars.no_functions = true;
    for (size_t i = 0; i < 1000; i++) {
        make_function();
        (void)both();
    }
}
END_TEST

START_TEST(a_stream_whose_ids_are_used_up_answers_the_same)
{
    arg("XADD");
    arg("values");
    arg("18446744073709551615-18446744073709551615");
    arg("m");
    arg("x");
    ck_assert(both());
    for (size_t i = 0; i < 3000; i++) {
        make_any();
        (void)both();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim_redis");
    TCase *tests = tcase_create("sim_redis");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, random_commands_get_the_same_answers);
    tcase_add_test(tests, a_full_server_refuses_the_same);
    tcase_add_test(tests, a_server_without_its_replicas_refuses_the_same);
    tcase_add_test(tests, a_replica_refuses_the_same);
    tcase_add_test(tests, a_server_without_functions_says_the_same);
    tcase_add_test(tests, a_stream_whose_ids_are_used_up_answers_the_same);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
