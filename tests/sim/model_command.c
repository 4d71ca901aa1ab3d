/* Which commands there are, and what is checked before one runs. */
#include "tests/sim/model.h"

#include <ctype.h>
#include <strings.h>

static void answer_ping(struct model_store *store, const struct dyn_str *argv, size_t argc,
                        struct model_answer *answer, struct bus_reply *reply)
{
    (void)store;
    if (argc > 2) {
        model_put_error(answer, reply, "ERR wrong number of arguments for 'ping' command");
    } else if (argc == 2) {
        model_put_str(answer, reply, argv[1]);
    } else {
        model_put_status(reply, "PONG");
    }
}

static void answer_time(struct model_store *store, const struct dyn_str *argv, size_t argc,
                        struct model_answer *answer, struct bus_reply *reply)
{
    (void)argv;
    (void)argc;
    struct bus_reply *items = model_put_array(answer, reply, 2);
    model_put_u64_str(answer, &items[0], (uint64_t)(store->wall_us / 1000000));
    model_put_u64_str(answer, &items[1], (uint64_t)(store->wall_us % 1000000));
}

static void answer_del(struct model_store *store, const struct dyn_str *argv, size_t argc,
                       struct model_answer *answer, struct bus_reply *reply)
{
    (void)answer;
    int64_t gone = 0;
    for (size_t i = 1; i < argc; i++) {
        struct model_blob *key = model_blob_new(argv[i]);
        gone += model_store_do(store, &(struct model_op){.kind = MODEL_DELETE, .key = key});
        model_blob_free(key);
    }
    model_put_int(reply, gone);
}

static void answer_exists(struct model_store *store, const struct dyn_str *argv, size_t argc,
                          struct model_answer *answer, struct bus_reply *reply)
{
    (void)answer;
    int64_t there = 0;
    for (size_t i = 1; i < argc; i++) {
        there += model_key_find(store, argv[i]) != NULL;
    }
    model_put_int(reply, there);
}

static void answer_flushall(struct model_store *store, const struct dyn_str *argv, size_t argc,
                            struct model_answer *answer, struct bus_reply *reply)
{
    (void)argv;
    (void)argc;
    (void)answer;
    (void)model_store_do(store, &(struct model_op){.kind = MODEL_FLUSH});
    model_put_status(reply, "OK");
}

/* Those without `run` are the connection's. */
static const struct model_command commands[] = {
    {"auth", -2, false, false, NULL},
    {"client", -2, false, false, NULL},
    {"del", -2, true, false, answer_del},
    {"exists", -2, false, false, answer_exists},
    {"fcall", -3, false, false, model_fcall},
    {"flushall", -1, true, false, answer_flushall},
    {"hdel", -3, true, false, model_hdel},
    {"hello", -1, false, false, NULL},
    {"hexists", 3, false, false, model_hexists},
    {"hget", 3, false, false, model_hget},
    {"hgetall", 2, false, false, model_hgetall},
    {"hincrby", 4, true, true, model_hincrby},
    {"hlen", 2, false, false, model_hlen},
    {"hmget", -3, false, false, model_hmget},
    {"hscan", -3, false, false, model_hscan},
    {"hset", -4, true, true, model_hset},
    {"info", -1, false, false, NULL},
    {"ping", -1, false, false, answer_ping},
    {"role", 1, false, false, NULL},
    {"select", 2, false, false, NULL},
    {"time", 1, false, false, answer_time},
    {"wait", 3, false, false, NULL},
    {"xadd", -5, true, true, model_xadd},
    {"xinfo", -2, false, false, model_xinfo},
    {"xlen", 2, false, false, model_xlen},
    {"xrange", -4, false, false, model_xrange},
    {"xread", -4, false, false, model_xread},
    {"xrevrange", -4, false, false, model_xrevrange},
    {"xtrim", -4, true, false, model_xtrim},
};

bool model_name_is(struct dyn_str name, const char *lower)
{
    return strlen(lower) == name.len && strncasecmp(name.ptr, lower, name.len) == 0;
}

const struct model_command *model_command_find(struct dyn_str name)
{
    size_t low = 0;
    size_t high = sizeof commands / sizeof commands[0];
    char lower[16] = "";
    if (name.len >= sizeof lower) {
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++) {
        lower[i] = (char)tolower((unsigned char)name.ptr[i]);
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(lower, commands[middle].name);
        if (order == 0) {
            return &commands[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const char *model_command_barred(const struct model_command *command, const struct model_bars *bars,
                                 const struct dyn_str *argv, size_t argc)
{
    /* Of FCALL, what the function may; one that is not there does nothing. */
    bool calls = command->run == model_fcall && !bars->no_functions && argc > 1 &&
                 model_function_exists(argv[1]);
    bool writes = command->writes || calls;
    bool grows = command->needs_memory || (calls && !model_function_allows_oom(argv[1]));
    if (bars->full && grows) {
        return "OOM command not allowed when used memory > 'maxmemory'.";
    }
    if (bars->disk && writes) {
        return "MISCONF Errors writing to the AOF file: No space left on device";
    }
    if (bars->alone && writes && !bars->is_replica) {
        return "NOREPLICAS Not enough good replicas to write.";
    }
    if (bars->is_replica && writes) {
        return "READONLY You can't write against a read only replica.";
    }
    if (bars->loading && command->run != NULL) {
        return "LOADING Redis is loading the dataset in memory";
    }
    return NULL;
}

static void unknown_put(const struct dyn_str *argv, size_t argc, struct model_answer *answer)
{
    char args[160] = "";
    size_t len = 0;
    for (size_t i = 1; i < argc && len < 128; i++) {
        len +=
            (size_t)snprintf(args + len, sizeof args - len, "'%.*s' ",
                             (int)(argv[i].len < 128 - len ? argv[i].len : 128 - len), argv[i].ptr);
    }
    model_put_error(answer, &answer->root,
                    "ERR unknown command '%.*s', with args beginning with: %s",
                    (int)(argv[0].len < 128 ? argv[0].len : 128), argv[0].ptr, args);
}

bool model_command_refused(const struct model_command *command, const struct dyn_str *argv,
                           size_t argc, struct model_answer *answer)
{
    if (command == NULL) {
        unknown_put(argv, argc, answer);
        return true;
    }
    if ((command->arity > 0 && argc != (size_t)command->arity) ||
        (command->arity < 0 && argc < (size_t)-command->arity)) {
        model_put_error(answer, &answer->root, "ERR wrong number of arguments for '%s' command",
                        command->name);
        return true;
    }
    return false;
}

bool model_key_of(const struct model_store *store, struct dyn_str name, bool stream,
                  struct model_answer *answer, struct bus_reply *reply, struct model_key **out)
{
    struct model_key *key = model_key_find(store, name);
    if (key != NULL && key->is_stream != stream) {
        model_put_error(answer, reply,
                        "WRONGTYPE Operation against a key holding the wrong kind of value");
        return false;
    }
    *out = key;
    return true;
}

struct model_blob *model_key_blob(struct model_key *key, struct dyn_str name)
{
    return key != NULL ? model_blob_ref(key->name) : model_blob_new(name);
}

/* As the server reads numbers: no sign but '-', no zeros in front. */
bool model_number(struct dyn_str text, int64_t *out)
{
    struct dyn_str digits = text;
    if (digits.len > 0 && digits.ptr[0] == '-') {
        digits.ptr++;
        digits.len--;
    }
    if (digits.len == 0 || (digits.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    return dyn_str_i64(text, out) == DYN_OK;
}
