/* What each role may send to Redis and what not, asked of a real server in both ways: by ACL
 * DRYRUN, and by sending it. */
#include "support_acl.h"
#include "support_redis.h"

#include "common/bus.h"
#include "deploy/cli/acl_rules.h"
#include "deploy/cli/cli.h"

#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WORDS_MAX = 32,
    LINE_MAX_BYTES = 512
};

/* A role's letter. Whoever does not stand in a line is refused it. */
static const char letters[ACL_ROLES + 1] = "cearodps";

struct line {
    const char *roles;
    const char *command; /* words; LIBRARY stands for the Functions' text */
};

static const struct line lines[] = {
    /* the greeting of a connection, and what concerns no key */
    {"cearodps", "PING"},
    {"cearod", "SELECT 0"},
    {"cearods", "CLIENT SETNAME test"},
    {"cearods", "ROLE"},
    {"cearods", "INFO server"},
    {"cear", "WAIT 0 1"},
    {"ear", "TIME"},
    /* setup */
    {"cearod", "HMGET dyn:setup partitions functions schema"},
    {"od", "HGET dyn:setup partitions"},
    {"d", "HSET dyn:setup partitions 1"},
    {"", "HDEL dyn:setup partitions"},
    {"d", "FUNCTION LOAD REPLACE LIBRARY"},
    {"d", "FUNCTION LIST"},
    {"", "FUNCTION DELETE dyn"},
    {"", "FUNCTION FLUSH"},
    {"", "FUNCTION DUMP"},
    {"", "FUNCTION RESTORE x"},
    {"", "FUNCTION KILL"},
    {"d", "XLEN dyn:{0}:values"},
    {"", "XLEN dyn:commands"},
    /* streams: who writes */
    {"cea", "XADD dyn:{0}:values * m x"},
    {"cea", "XADD dyn:{63}:values MAXLEN ~ 1000 * m x"},
    {"e", "XADD dyn:{0}:targets * m x"},
    {"ea", "XADD dyn:{0}:reports MAXLEN ~ 1000 * m x"},
    {"cear", "XADD dyn:events MAXLEN ~ 5000 * m x"},
    {"a", "XADD dyn:actions MAXLEN ~ 1000 * m x"},
    {"o", "XADD dyn:commands MAXLEN ~ 1000 * m x"},
    {"r", "XADD dyn:dead MAXLEN ~ 1000 * sink x"},
    {"", "XADD dyn:{act}:values * m x"},
    {"", "XADD dyn:{x}:targets * m x"},
    {"", "XADD dyn:other * m x"},
    {"", "XADD other:events * m x"},
    {"", "XADD dyn:{0}:newest * m x"},
    {"e", "XTRIM dyn:{0}:values MINID ~ 1"},
    {"e", "XTRIM dyn:{0}:targets MINID ~ 1"},
    {"a", "XTRIM dyn:actions MAXLEN ~ 1000"},
    {"", "XTRIM dyn:{0}:reports MAXLEN 0"},
    {"", "XTRIM dyn:events MAXLEN 0"},
    {"", "XTRIM dyn:commands MAXLEN 0"},
    {"", "XDEL dyn:{0}:values 1-1"},
    {"", "XSETID dyn:{0}:values 1-1"},
    {"", "XGROUP CREATE dyn:{0}:values g 0"},
    {"", "XREADGROUP GROUP g c STREAMS dyn:{0}:values >"},
    /* streams: who reads */
    {"eo", "XREAD COUNT 1 BLOCK 1 STREAMS dyn:{0}:values 0"},
    {"ao", "XREAD COUNT 1 STREAMS dyn:{0}:targets 0"},
    {"ro", "XREAD COUNT 1 STREAMS dyn:{0}:reports 0"},
    {"ro", "XREAD COUNT 1 STREAMS dyn:events 0"},
    {"ro", "XREAD COUNT 1 STREAMS dyn:actions 0"},
    {"eao", "XREAD COUNT 1 STREAMS dyn:commands 0"},
    {"o", "XREAD COUNT 1 STREAMS dyn:dead 0"},
    {"eo", "XREAD COUNT 1 STREAMS dyn:{0}:values dyn:commands 0 0"},
    {"ao", "XREAD COUNT 1 STREAMS dyn:{0}:targets dyn:commands 0 0"},
    {"o", "XREAD COUNT 1 STREAMS dyn:{0}:values dyn:{0}:targets 0 0"},
    {"ro", "XREAD COUNT 1 STREAMS dyn:{0}:reports dyn:events dyn:actions 0 0 0"},
    {"", "XREAD COUNT 1 STREAMS other:events 0"},
    {"eo", "XINFO STREAM dyn:{0}:values"},
    {"ao", "XINFO STREAM dyn:{0}:targets"},
    {"ro", "XINFO STREAM dyn:{0}:reports"},
    {"ro", "XINFO STREAM dyn:events"},
    {"ro", "XINFO STREAM dyn:actions"},
    {"eao", "XINFO STREAM dyn:commands"},
    {"", "XINFO GROUPS dyn:commands"},
    {"eo", "XRANGE dyn:{0}:values - + COUNT 1"},
    {"eo", "XRANGE dyn:commands - + COUNT 1"},
    {"o", "XRANGE dyn:events - + COUNT 1"},
    {"o", "XRANGE dyn:actions - + COUNT 1"},
    {"o", "XRANGE dyn:{0}:targets - + COUNT 1"},
    {"eo", "XREVRANGE dyn:{0}:values + - COUNT 1"},
    {"ao", "XREVRANGE dyn:{0}:targets + - COUNT 1"},
    {"o", "XREVRANGE dyn:{0}:reports + - COUNT 1"},
    {"o", "XREVRANGE dyn:events + - COUNT 1"},
    {"o", "XREVRANGE dyn:actions + - COUNT 1"},
    /* the leader of a partition */
    {"ero", "HMGET dyn:{0}:lease owner epoch beat"},
    {"o", "HGET dyn:{0}:lease owner"},
    {"e", "HSET dyn:{0}:lease owner o"},
    {"e", "HINCRBY dyn:{0}:lease beat 1"},
    {"e", "HDEL dyn:{0}:lease owner"},
    {"ao", "HGETALL dyn:{0}:newest"},
    {"e", "HSET dyn:{0}:newest 00 x"},
    {"", "HDEL dyn:{0}:newest 00"},
    {"e", "FCALL dyn_acquire 1 dyn:{0}:lease o 1 1 0"},
    {"e", "FCALL dyn_renew 1 dyn:{0}:lease o 1"},
    {"e", "FCALL dyn_renew 1 dyn:{0}:lease o 1 run"},
    {"e", "FCALL dyn_release 1 dyn:{0}:lease o 1"},
    {"e", "FCALL dyn_tick 2 dyn:{0}:lease dyn:{0}:values o 1 x 1 1000"},
    {"e", "FCALL dyn_publish 3 dyn:{0}:lease dyn:{0}:targets dyn:{0}:newest o 1 1 5 0 1 1 00 x m"},
    {"", "FCALL dyn_tick 2 dyn:{0}:lease dyn:commands o 1 x 0 0"},
    {"", "FCALL dyn_tick 2 dyn:{act}:main:lease dyn:{0}:values o 1 x 0 0"},
    {"", "FCALL dyn_publish 3 dyn:{0}:lease dyn:events dyn:{0}:newest o 1 1 5 0 1 0 m"},
    /* the leader of an account */
    {"ao", "HMGET dyn:{act}:main:lease owner epoch beat"},
    {"ao", "HGETALL dyn:{act}:main:journal"},
    {"ao", "HGETALL dyn:{act}:main:state"},
    {"ao", "HGET dyn:{act}:main:lease owner"},
    {"a", "HEXISTS dyn:{act}:main:journal 00"},
    {"a", "HSET dyn:{act}:main:state 00 x"},
    {"a", "HINCRBY dyn:{act}:main:lease beat 1"},
    {"a", "HDEL dyn:{act}:main:journal 00"},
    {"a", "HSET dyn:{act}:accounts main x"},
    {"ao", "HGETALL dyn:{act}:accounts"},
    {"a", "FCALL dyn_acquire 1 dyn:{act}:main:lease o 1 1 0"},
    {"a", "FCALL dyn_renew 1 dyn:{act}:main:lease o 1"},
    {"a", "FCALL dyn_renew 1 dyn:{act}:main:lease o 1 run"},
    {"a", "FCALL dyn_release 1 dyn:{act}:main:lease o 1"},
    {"a", "FCALL dyn_act_begin 2 dyn:{act}:main:lease dyn:{act}:main:journal o 1 00 x"},
    {"a", "FCALL dyn_act_end 3 dyn:{act}:main:lease dyn:{act}:main:journal dyn:actions o 1 01 x y "
          "1000"},
    {"a", "FCALL dyn_settle 2 dyn:{act}:main:lease dyn:{act}:accounts o 1 1 main x"},
    {"", "FCALL dyn_settle 2 dyn:{act}:main:lease dyn:{act}:members o 1 0"},
    {"", "FCALL dyn_act_begin 2 dyn:{0}:lease dyn:{act}:main:journal o 1 00 x"},
    {"", "FCALL dyn_act_end 3 dyn:{act}:main:lease dyn:{act}:main:journal dyn:{0}:values o 1 01 x "
         "y 1000"},
    /* members: each its own role only */
    {"c", "FCALL dyn_beat 1 dyn:{col}:members me hello"},
    {"e", "FCALL dyn_beat 1 dyn:{est}:members me hello"},
    {"a", "FCALL dyn_beat 1 dyn:{act}:members me hello"},
    {"r", "FCALL dyn_beat 1 dyn:{rep}:members me hello"},
    {"c", "FCALL dyn_beat 1 dyn:{col}:members me hello gone"},
    {"", "FCALL dyn_beat 1 dyn:{0}:lease me hello"},
    {"", "FCALL dyn_beat 1 dyn:setup me hello"},
    {"", "FCALL dyn_beat 1 dyn:{x}:members me hello"},
    {"cro", "HGETALL dyn:{col}:members"},
    {"co", "HGET dyn:{col}:members gone"},
    {"c", "HSET dyn:{col}:members gone 1"},
    {"c", "HDEL dyn:{col}:members gone"},
    {"c", "HLEN dyn:{col}:members"},
    {"e", "HLEN dyn:{est}:members"},
    {"eo", "HGET dyn:{est}:members gone"},
    {"ero", "HGETALL dyn:{est}:members"},
    {"aro", "HGETALL dyn:{act}:members"},
    {"a", "HLEN dyn:{act}:members"},
    {"r", "HLEN dyn:{rep}:members"},
    /* counts of log drains */
    {"c", "FCALL dyn_drain 3 dyn:{col}:drain:0a:frames:1 dyn:{col}:drain:0a:frames:0 "
          "dyn:{col}:drain:0a:10 7 60 60 0 x"},
    {"co", "HGETALL dyn:{col}:drain:0a:10"},
    {"c", "HINCRBY dyn:{col}:drain:0a:10 n 1"},
    {"c", "SADD dyn:{col}:drain:0a:frames:1 7"},
    {"c", "SISMEMBER dyn:{col}:drain:0a:frames:1 7"},
    {"c", "EXPIRE dyn:{col}:drain:0a:10 60"},
    {"", "FCALL dyn_drain 2 dyn:{col}:members dyn:{col}:drain:0a:frames:0 7 60 60"},
    {"", "HDEL dyn:{col}:drain:0a:10 n"},
    {"", "SMEMBERS dyn:{col}:drain:0a:frames:1"},
    {"", "EXPIRE dyn:{col}:members 1"},
    /* a sink's reporter */
    {"ro", "HGETALL dyn:{rep}:stats:console"},
    {"ro", "HMGET dyn:{rep}:stats:lease owner epoch beat"},
    {"ro", "HGET dyn:{rep}:stats:lease owner"},
    {"r", "HINCRBY dyn:{rep}:stats:lease beat 1"},
    {"r", "HSET dyn:{rep}:stats:console events 1-1"},
    {"r", "HDEL dyn:{rep}:stats:console events"},
    {"r", "FCALL dyn_acquire 1 dyn:{rep}:stats:lease o 1 1 0"},
    {"r", "FCALL dyn_renew 1 dyn:{rep}:stats:lease o 1"},
    {"r", "FCALL dyn_renew 1 dyn:{rep}:stats:lease o 1 run"},
    {"r", "FCALL dyn_release 1 dyn:{rep}:stats:lease o 1"},
    {"r", "FCALL dyn_settle 2 dyn:{rep}:stats:lease dyn:{rep}:stats:console o 1 1 events 1-1 seen"},
    {"", "FCALL dyn_settle 2 dyn:{0}:lease dyn:{rep}:stats:console o 1 0"},
    {"", "FCALL dyn_settle 2 dyn:{rep}:stats:lease dyn:setup o 1 0"},
    /* nobody's, or nearly */
    {"o", "SCAN 0 MATCH dyn:{act}:*:state COUNT 10"},
    {"", "KEYS *"},
    {"", "RANDOMKEY"},
    {"", "DBSIZE"},
    {"", "TYPE dyn:{0}:values"},
    {"", "EXISTS dyn:{0}:values"},
    {"", "DEL dyn:{0}:values"},
    {"", "UNLINK dyn:{0}:lease"},
    {"", "RENAME dyn:commands dyn:{0}:values"},
    {"", "COPY dyn:commands dyn:{0}:values"},
    {"", "MOVE dyn:commands 1"},
    {"", "EXPIRE dyn:{0}:values 1"},
    {"", "PERSIST dyn:{0}:values"},
    {"", "DUMP dyn:{0}:values"},
    {"", "RESTORE dyn:new 0 x"},
    {"", "MIGRATE 127.0.0.1 1 dyn:events 0 1"},
    {"", "SET dyn:{0}:lease x"},
    {"", "GET dyn:setup"},
    {"", "SORT dyn:events"},
    {"", "OBJECT ENCODING dyn:events"},
    {"", "FLUSHALL"},
    {"", "FLUSHDB"},
    {"", "SWAPDB 0 1"},
    {"", "EVAL return 0"},
    {"", "EVAL_RO return 0"},
    {"", "EVALSHA x 0"},
    {"", "FCALL nothing 0"},
    {"", "FCALL_RO dyn_beat 1 dyn:{col}:members me hello"},
    {"", "SCRIPT LOAD return"},
    {"", "SCRIPT FLUSH"},
    {"", "CONFIG GET requirepass"},
    {"", "CONFIG SET maxmemory 1"},
    {"", "ACL LIST"},
    {"", "ACL SETUSER default on nopass +@all"},
    {"", "ACL LOAD"},
    {"", "ACL WHOAMI"},
    {"", "CLIENT LIST"},
    {"", "CLIENT ID"},
    {"", "CLIENT PAUSE 1"},
    {"", "CLIENT NO-EVICT on"},
    {"", "COMMAND COUNT"},
    {"", "DEBUG JMAP"},
    {"", "MEMORY DOCTOR"},
    {"", "LATENCY RESET"},
    {"", "SLOWLOG GET"},
    {"", "MONITOR"},
    {"", "MODULE LIST"},
    {"", "MODULE LOAD /tmp/x.so"},
    {"", "SAVE"},
    {"", "BGSAVE"},
    {"", "BGREWRITEAOF"},
    {"", "SHUTDOWN NOSAVE"},
    {"", "SYNC"},
    {"", "FAILOVER"},
    {"", "CLUSTER INFO"},
    {"", "WATCH dyn:setup"},
    {"", "PSUBSCRIBE *"},
    {"", "SUBSCRIBE news"},
    {"", "PUBLISH news x"},
    /* Redis' own processes, of which test_replicas has the real ones */
    {"p", "REPLCONF listening-port 6379"},
    {"s", "MULTI"},
    {"s", "PUBLISH __sentinel__:hello x"},
    {"s", "CLIENT KILL TYPE pubsub"},
};

#define LINES (sizeof lines / sizeof lines[0])

/* Every stream has an entry, every lease is held by `o` with epoch and beat 1. */
static const char world[] =
    "redis.call('FLUSHALL') "
    "for _, k in ipairs({'{0}:values', '{0}:targets', '{0}:reports', 'events', 'actions', "
    "'commands', 'dead'}) do redis.call('XADD', 'dyn:' .. k, '1-1', 'm', 'x') end "
    "for _, k in ipairs({'{0}', '{act}:main', '{rep}:stats'}) do "
    "redis.call('HSET', 'dyn:' .. k .. ':lease', 'owner', 'o', 'epoch', 1, 'beat', 1) end "
    "for _, k in ipairs({'col', 'est', 'act', 'rep'}) do "
    "redis.call('HSET', 'dyn:{' .. k .. '}:members', 'gone', '1 x') end "
    "redis.call('HSET', 'dyn:{act}:main:journal', '01:open', '1') "
    "redis.call('HSET', 'dyn:setup', 'partitions', 1) return 'made'";

static struct acl_users *users;
static struct support_redis *redis;

static void as_test(void)
{
    support_redis_login(redis, ACL_TEST_USER, "");
}

static void as_role(size_t role)
{
    support_redis_login(redis, acl_roles[role].name,
                        acl_users_password(users, acl_roles[role].name));
}

static void begin(void)
{
    /* With these two, what refuses DEBUG and MODULE is the ACL. */
    static const char *arguments[] = {
        "--aclfile", NULL, "--enable-debug-command", "yes", "--enable-module-command", "yes", NULL};
    users = acl_users_new();
    arguments[1] = acl_users_file(users);
    redis = support_redis_prepare(&(struct support_redis_options){.arguments = arguments});
    as_test();
    support_redis_start(redis);
    support_redis_load_functions(redis);
}

static void end(void)
{
    support_redis_free(redis);
    acl_users_free(users);
}

/* ---- asking ---- */

struct words {
    char text[LINE_MAX_BYTES];
    const char *argv[WORDS_MAX];
    size_t lengths[WORDS_MAX];
    size_t argc;
};

static void words_add(struct words *words, const char *word)
{
    ck_assert_uint_lt(words->argc, WORDS_MAX);
    words->argv[words->argc] = word;
    words->lengths[words->argc++] = strlen(word);
}

static void words_split(struct words *words, const char *command)
{
    char *rest = NULL;
    ck_assert_uint_lt(strlen(command), sizeof words->text);
    strcpy(words->text, command);
    for (char *word = strtok_r(words->text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        words_add(words, strcmp(word, "LIBRARY") == 0 ? bus_functions_source : word);
    }
}

static const char *words_call(const struct words *words)
{
    return support_redis_call_bytes(redis, words->argc, words->argv, words->lengths);
}

static const char *dry_run(size_t role, const char *command)
{
    struct words words = {.argc = 0};
    words_add(&words, "ACL");
    words_add(&words, "DRYRUN");
    words_add(&words, acl_roles[role].name);
    words_split(&words, command);
    as_test();
    return words_call(&words);
}

static const char *really(size_t role, const char *command)
{
    struct words words = {.argc = 0};
    words_split(&words, command);
    as_role(role);
    const char *answer = words_call(&words);
    as_test();
    return answer;
}

/* Refused by its ACL: the command, one of its keys, or a command inside the Function. */
static bool is_refusal(const char *answer)
{
    return strncmp(answer, "NOPERM", 6) == 0 || strstr(answer, "can't run this command") != NULL ||
           strstr(answer, "can't access at least one of the keys") != NULL;
}

/* "ERR words", "FENCED words": capitals, then a space. */
static bool is_error(const char *answer)
{
    size_t capitals = 0;
    while (isupper((unsigned char)answer[capitals])) {
        capitals++;
    }
    return answer[0] == '(' || (capitals >= 3 && answer[capitals] == ' ');
}

static void line_check(const struct line *line, size_t role)
{
    bool may = strchr(line->roles, letters[role]) != NULL;
    const char *name = acl_roles[role].name;
    const char *answer = dry_run(role, line->command);
    bool may_dry = strcmp(answer, "OK") == 0;
    ck_assert_msg(may_dry == may, "%s %s: by DRYRUN: %s", name, line->command, answer);
    ck_assert_msg(may || strstr(answer, "has no permissions to") != NULL, "%s %s: by DRYRUN: %s",
                  name, line->command, answer);
    ck_assert_str_eq(support_redis_call(redis, "EVAL", world, "0", NULL), "made");
    answer = really(role, line->command);
    ck_assert_msg(is_refusal(answer) == !may, "%s %s: %s", name, line->command, answer);
    bool is_nil = strcmp(answer, "(nil)") == 0;
    ck_assert_msg(!may || is_nil || !is_error(answer), "%s %s: %s", name, line->command, answer);
}

START_TEST(each_role_may_send_what_it_needs_and_nothing_else)
{
    size_t allowed = 0;
    for (size_t i = 0; i < LINES; i++) {
        for (size_t role = 0; role < ACL_ROLES; role++) {
            line_check(&lines[i], role);
            allowed += strchr(lines[i].roles, letters[role]) != NULL;
        }
    }
    printf("acl: %zu commands of %d roles, by ACL DRYRUN and by sending: %zu allowed, %zu "
           "forbidden\n",
           LINES, ACL_ROLES, allowed, LINES * ACL_ROLES - allowed);
}
END_TEST

/* ---- nothing is left out ---- */

/* What the lines do not show: these are sent to live servers by another test. */
static const char *const beyond_lines[ACL_ROLES] = {
    [6] = " psync replconf ",
    [7] = " exec slaveof config|rewrite script|kill subscribe ",
};

/* Whether a line gives this command, "get" or "client|setname", to the role. */
static bool line_has(size_t role, const char *command)
{
    char word[128];
    (void)snprintf(word, sizeof word, " %s ", command);
    if (beyond_lines[role] != NULL && strstr(beyond_lines[role], word) != NULL) {
        return true;
    }
    (void)snprintf(word, sizeof word, "%s", command);
    char *bar = strchr(word, '|');
    if (bar != NULL) {
        *bar = ' ';
    }
    size_t length = strlen(word);
    for (size_t i = 0; i < LINES; i++) {
        const char *text = lines[i].command;
        if (strchr(lines[i].roles, letters[role]) != NULL && strncasecmp(text, word, length) == 0 &&
            (text[length] == ' ' || text[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* The command with as many arguments as it takes at least. */
static void command_write(const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    char *bar = NULL;
    const char *info = support_redis_call(redis, "COMMAND", "INFO", name, NULL);
    const char *second = strchr(info, '\n');
    ck_assert_msg(second != NULL, "COMMAND INFO %s: %s", name, info);
    long arity = labs(strtol(second + 1, NULL, 10));
    (void)snprintf(out, size, "%s", name);
    bar = strchr(out, '|');
    if (bar != NULL) {
        *bar = ' ';
    }
    for (long words = bar != NULL ? 2 : 1; words < arity && length + 3 < size; words++) {
        memcpy(out + length, " 1", 3);
        length += 2;
    }
}

/* Redis never asks its ACL about who says who one is, or ends the connection. FCALL is allowed by
 * the Function's name, and each of those has its line. */
static bool is_apart(const char *name)
{
    static const char *const names[] = {"auth", "hello", "quit", "reset", "fcall"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_container(const char *all, const char *name)
{
    char start[128];
    (void)snprintf(start, sizeof start, "\n%s|", name);
    return strstr(all, start) != NULL;
}

START_TEST(of_all_commands_that_redis_has_no_role_may_send_one_without_a_line_here)
{
    char *all = NULL;
    char *rest = NULL;
    size_t count = 0;
    ck_assert_int_gt(asprintf(&all, "\n%s\n", support_redis_call(redis, "COMMAND", "LIST", NULL)),
                     1000);
    char *copy = strdup(all);
    for (char *name = strtok_r(copy, "\n", &rest); name != NULL;
         name = strtok_r(NULL, "\n", &rest)) {
        char command[256];
        if (is_apart(name) || is_container(all, name)) {
            continue;
        }
        command_write(name, command, sizeof command);
        for (size_t role = 0; role < ACL_ROLES; role++) {
            const char *answer = dry_run(role, command);
            bool refused = strstr(answer, "has no permissions to run the") != NULL;
            ck_assert_msg(refused == !line_has(role, name), "%s %s: %s", acl_roles[role].name,
                          command, answer);
        }
        count++;
    }
    printf("acl: of the %zu commands of this Redis no role has one more\n", count);
    ck_assert_uint_gt(count, 250);
    free(copy);
    free(all);
}
END_TEST

START_TEST(every_function_of_the_library_has_a_line_here)
{
    static const char before[] = "('dyn_"; /* where one is registered, and in its refusals */
    size_t count = 0;
    for (const char *at = strstr(bus_functions_source, before); at != NULL;
         at = strstr(at + 1, before)) {
        char start[128];
        bool found = false;
        const char *name = at + 2;
        (void)snprintf(start, sizeof start, "FCALL %.*s ",
                       (int)strspn(name, "abcdefghijklmnopqrstuvwxyz_"), name);
        for (size_t i = 0; i < LINES && !found; i++) {
            found =
                lines[i].roles[0] != '\0' && strncmp(lines[i].command, start, strlen(start)) == 0;
        }
        ck_assert_msg(found, "no role may: %s", start);
        count++;
    }
    ck_assert_uint_ge(count, 9);
}
END_TEST

START_TEST(nobody_gets_in_without_a_name_and_its_password)
{
    support_redis_login(redis, NULL, NULL);
    ck_assert_ptr_nonnull(strstr(support_redis_call(redis, "PING", NULL), "NOAUTH"));
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(redis, "XADD", "dyn:events", "*", "m", "x", NULL), "NOAUTH"));
    for (size_t role = 0; role < ACL_ROLES; role++) {
        support_redis_login(redis, NULL, NULL);
        ck_assert_ptr_nonnull(strstr(
            support_redis_call(redis, "AUTH", acl_roles[role].name, "wrong", NULL), "WRONGPASS"));
        const char *other = acl_roles[(role + 1) % ACL_ROLES].name;
        ck_assert_ptr_nonnull(strstr(support_redis_call(redis, "AUTH", acl_roles[role].name,
                                                        acl_users_password(users, other), NULL),
                                     "WRONGPASS"));
        ck_assert_str_eq(support_redis_call(redis, "AUTH", acl_roles[role].name,
                                            acl_users_password(users, acl_roles[role].name), NULL),
                         "OK");
    }
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(redis, "AUTH", "default", "", NULL), "WRONGPASS"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acl");
    TCase *server = tcase_create("server");
    tcase_set_timeout(server, 120);
    tcase_add_checked_fixture(server, begin, end);
    tcase_add_test(server, each_role_may_send_what_it_needs_and_nothing_else);
    tcase_add_test(server, of_all_commands_that_redis_has_no_role_may_send_one_without_a_line_here);
    tcase_add_test(server, every_function_of_the_library_has_a_line_here);
    tcase_add_test(server, nobody_gets_in_without_a_name_and_its_password);
    suite_add_tcase(suite, server);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
