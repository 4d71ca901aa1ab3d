#include "support_fleet.h"

#include "common/bus.h"
#include "common/clock.h"

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LIVES_MAX 1024 /* processes of one part, one after the other */
#define READY_MS 60000
#define LOOK_MS 100

static const char *const part_names[FLEET_PARTS] = {"collector", "estimator", "actuator",
                                                    "reporter"};
static const char *const stream_names[FLEET_STREAMS] = {"values", "targets"};

struct tape {
    struct fleet_entry *entries;
    size_t count, room;
    char after[ENTRY_ID_TEXT];
};

struct fleet {
    struct support_redis *redis;
    const struct acl_users *users;
    const char *redis_arguments[3];
    char redis_url[512];
    struct heroku heroku;
    struct support_file *file;
    struct config *config;
    uint32_t partitions;
    struct fleet_options options;
    struct program *lives[FLEET_PARTS][LIVES_MAX];
    size_t lives_count[FLEET_PARTS];
    struct program *copies[FLEET_PARTS][FLEET_COPIES_MAX]; /* the newest of each */
    char instances[FLEET_PARTS][FLEET_COPIES_MAX][64];
    struct support_proxy *proxy;
    char links[FLEET_PARTS][FLEET_COPIES_MAX][64]; /* URLs */
    struct support_clock *clocks[FLEET_PARTS][FLEET_COPIES_MAX];
    struct support_clock *redis_clock;
    struct tape tapes[DYN_PARTITIONS_MAX][FLEET_STREAMS];
    bool tape_paused;
};

int64_t fleet_now_ms(void)
{
    return dyn_clock_wall_ms();
}

/* ---- configuration and Redis ---- */

static void links_make(struct fleet *fleet)
{
    char target[256];
    (void)snprintf(target, sizeof target, "unix:%s", support_redis_path(fleet->redis));
    fleet->proxy = support_proxy_new();
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (unsigned copy = 0; copy < FLEET_COPIES_MAX; copy++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s-%u", part_names[part], copy);
            (void)snprintf(fleet->links[part][copy], sizeof fleet->links[part][copy],
                           "redis://127.0.0.1:%u", support_proxy_link(fleet->proxy, name, target));
        }
    }
}

static void clocks_make(struct fleet *fleet)
{
    fleet->redis_clock = support_clock_new();
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (unsigned copy = 0; copy < FLEET_COPIES_MAX; copy++) {
            fleet->clocks[part][copy] = support_clock_new();
        }
    }
}

struct fleet *fleet_new(const struct fleet_options *options)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    ck_assert_ptr_nonnull(fleet);
    fleet->options = *options;
    fleet->partitions = options->partitions;
    fleet->users = options->users;
    if (fleet->users != NULL) {
        fleet->redis_arguments[0] = "--aclfile";
        fleet->redis_arguments[1] = acl_users_file(fleet->users);
    }
    if (options->clocked) {
        clocks_make(fleet);
    }
    fleet->redis = support_redis_prepare(&(struct support_redis_options){
        .append_only = true,
        .tcp = options->redis_arguments != NULL,
        .arguments =
            options->redis_arguments != NULL ? options->redis_arguments : fleet->redis_arguments,
        .clock = fleet->redis_clock});
    if (fleet->users != NULL) {
        support_redis_login(fleet->redis, ACL_TEST_USER, "");
    }
    if (options->proxied) {
        links_make(fleet);
    }
    fleet->heroku = heroku_start(options->world);
    fleet->file = support_file_new("dynosaur.yaml");
    for (uint32_t p = 0; p < fleet->partitions; p++) {
        for (size_t s = 0; s < FLEET_STREAMS; s++) {
            strcpy(fleet->tapes[p][s].after, "0");
        }
    }
    if (!options->redis_away) {
        fleet_redis_begin(fleet);
    }
    return fleet;
}

void fleet_setup(struct fleet *fleet)
{
    char partitions[16];
    char schema[16];
    support_redis_load_functions(fleet->redis);
    (void)snprintf(partitions, sizeof partitions, "%" PRIu32, fleet->partitions);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(fleet->redis, "HSET", "dyn:setup", "partitions", partitions,
                             "functions", bus_functions_version, "schema", schema, (char *)NULL);
}

void fleet_redis_begin(struct fleet *fleet)
{
    support_redis_start(fleet->redis);
    fleet_setup(fleet);
    support_redis_leases_known(fleet->redis, "a", "b", (char *)NULL);
}

void fleet_configure(struct fleet *fleet, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    ck_assert_int_ge(vasprintf(&text, format, args), 0);
    va_end(args);
    support_file_write(fleet->file,
                       "version: 2\n"
                       "redis: {partitions: %" PRIu32 "%s}\n"
                       "heroku_api_url: http://127.0.0.1:%u\n"
                       "%s",
                       fleet->partitions,
                       fleet->options.redis != NULL ? fleet->options.redis
                                                    : ", lease: " FLEET_LEASE,
                       fleet->heroku.port, text);
    free(text);
    struct dyn_error error = {""};
    config_free(fleet->config);
    fleet->config = config_load(support_file_path(fleet->file), &error);
    ck_assert_msg(fleet->config != NULL, "%s", error.text);
}

void fleet_spoil(struct fleet *fleet, const char *text)
{
    support_file_write(fleet->file, "%s", text);
}

const struct config *fleet_config(const struct fleet *fleet)
{
    return fleet->config;
}

struct support_redis *fleet_redis(const struct fleet *fleet)
{
    return fleet->redis;
}

const struct heroku *fleet_heroku(const struct fleet *fleet)
{
    return &fleet->heroku;
}

const char *fleet_redis_url(struct fleet *fleet, const char *role)
{
    if (fleet->users == NULL) {
        return support_redis_url(fleet->redis);
    }
    (void)snprintf(fleet->redis_url, sizeof fleet->redis_url, "unix://%s:%s@%s", role,
                   acl_users_password(fleet->users, role), support_redis_path(fleet->redis));
    return fleet->redis_url;
}

/* ---- the programs ---- */

struct program *fleet_program(const struct fleet *fleet, enum fleet_part part)
{
    ck_assert_uint_gt(fleet->lives_count[part], 0);
    return fleet->lives[part][fleet->lives_count[part] - 1];
}

struct program *fleet_copy(const struct fleet *fleet, enum fleet_part part, unsigned copy)
{
    ck_assert_ptr_nonnull(fleet->copies[part][copy]);
    return fleet->copies[part][copy];
}

const char *fleet_instance(const struct fleet *fleet, enum fleet_part part, unsigned copy)
{
    return fleet->instances[part][copy];
}

const char *fleet_part_name(enum fleet_part part)
{
    return part_names[part];
}

struct support_proxy *fleet_proxy(const struct fleet *fleet)
{
    return fleet->proxy;
}

struct support_clock *fleet_clock(const struct fleet *fleet, enum fleet_part part, unsigned copy)
{
    return fleet->clocks[part][copy];
}

struct support_clock *fleet_redis_clock(const struct fleet *fleet)
{
    return fleet->redis_clock;
}

const char *fleet_config_path(const struct fleet *fleet)
{
    return support_file_path(fleet->file);
}

void fleet_start(struct fleet *fleet, enum fleet_part part)
{
    fleet_start_copy(fleet, part, 0);
}

static const struct fleet_secret heroku_keys[] = {
    {FLEET_ACTUATOR, "FLEET_KEY_A", FLEET_KEY_A},
    {FLEET_ACTUATOR, "FLEET_KEY_B", FLEET_KEY_B},
    {.value = NULL},
};

static void secrets_lend(const struct fleet_secret *secrets, enum fleet_part part)
{
    for (const struct fleet_secret *s = secrets; s != NULL && s->value != NULL; s++) {
        if (s->part == part) {
            (void)setenv(s->name, s->value, 1);
        }
    }
}

static void secrets_end(const struct fleet_secret *secrets)
{
    for (const struct fleet_secret *s = secrets; s != NULL && s->value != NULL; s++) {
        (void)unsetenv(s->name);
    }
}

/* The environment is the fleet's own but for what one program alone gets. */
static struct program *program_begin(const struct fleet *fleet, enum fleet_part part, unsigned copy,
                                     const char *const *argv)
{
    secrets_lend(heroku_keys, part);
    secrets_lend(fleet->options.secrets, part);
    support_clock_lend(fleet->clocks[part][copy]);
    struct program *program = program_start(argv);
    support_clock_end();
    secrets_end(heroku_keys);
    secrets_end(fleet->options.secrets);
    return program;
}

void fleet_start_copy(struct fleet *fleet, enum fleet_part part, unsigned copy)
{
    char program[1024];
    char *instance = fleet->instances[part][copy];
    const char *build = getenv("DYN_BUILD");
    ck_assert_uint_lt(fleet->lives_count[part], LIVES_MAX);
    (void)snprintf(program, sizeof program, "%s/services/dynosaur-%s", build != NULL ? build : ".",
                   part_names[part]);
    (void)snprintf(instance, sizeof fleet->instances[part][copy], "%s-%zu", part_names[part],
                   fleet->lives_count[part] + 1);
    const char *const argv[] = {program,
                                "--config",
                                support_file_path(fleet->file),
                                "--http",
                                "127.0.0.1:0",
                                "--instance",
                                instance,
                                fleet->options.by_file ? NULL : "--redis",
                                fleet->proxy != NULL ? fleet->links[part][copy]
                                                     : fleet_redis_url(fleet, part_names[part]),
                                NULL};
    struct program *started = program_begin(fleet, part, copy, argv);
    fleet->lives[part][fleet->lives_count[part]++] = started;
    fleet->copies[part][copy] = started;
    if (fleet->options.folder != NULL) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s.log", fleet->options.folder, instance);
        program_copy(started, path);
    }
}

void fleet_start_all(struct fleet *fleet)
{
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_start(fleet, part);
    }
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_await_ready(fleet, part);
    }
}

void fleet_kill(struct fleet *fleet, enum fleet_part part)
{
    struct program *program = fleet_program(fleet, part);
    program_signal(program, SIGKILL);
    ck_assert_int_eq(program_end(program), 128 + SIGKILL);
}

static void program_await_ready(struct fleet *fleet, enum fleet_part part, struct program *program)
{
    int64_t until_ms = fleet_now_ms() + READY_MS;
    while (program_http(program, "/readyz") != 200) {
        if (fleet_now_ms() > until_ms) {
            fleet_fail(fleet, "%s is not ready: %s", part_names[part], program_body(program));
        }
        fleet_pass(fleet, LOOK_MS);
    }
}

void fleet_await_ready(struct fleet *fleet, enum fleet_part part)
{
    program_await_ready(fleet, part, fleet_program(fleet, part));
}

void fleet_await_copy(struct fleet *fleet, enum fleet_part part, unsigned copy)
{
    program_await_ready(fleet, part, fleet_copy(fleet, part, copy));
}

int fleet_printed(struct fleet *fleet, enum fleet_part part, const char *text)
{
    int count = 0;
    for (size_t i = 0; i < fleet->lives_count[part]; i++) {
        count += program_count(fleet->lives[part][i], text);
    }
    return count;
}

void fleet_await_printed(struct fleet *fleet, enum fleet_part part, const char *text, int times)
{
    int64_t until_ms = fleet_now_ms() + READY_MS;
    while (fleet_printed(fleet, part, text) < times) {
        if (fleet_now_ms() > until_ms) {
            fleet_fail(fleet, "%s did not print \"%s\" %d times", part_names[part], text, times);
        }
        fleet_pass(fleet, LOOK_MS);
    }
}

/* The last part of each output: enough to see what went wrong. */
_Noreturn void fleet_fail(struct fleet *fleet, const char *format, ...)
{
    char words[1024];
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above */
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (size_t i = 0; i < fleet->lives_count[part]; i++) {
            const char *output = program_output(fleet->lives[part][i]);
            size_t len = strlen(output);
            (void)fprintf(stderr, "---- %s %zu\n%s", part_names[part], i + 1,
                          len > 6000 ? output + len - 6000 : output);
        }
    }
    ck_abort_msg("%s", words);
    abort();
}

/* ---- the tape ---- */

/* Bytes as hex, because an answer is text; in pages, so that Redis is not held up. */
static const char tape_script[] =
    "local out = {} "
    "for _, e in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 200)) do "
    "out[#out + 1] = e[1] .. ' ' .. (e[2][2]:gsub('.', function(c) "
    "return string.format('%02x', c:byte()) end)) end return out";

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void tape_add(struct tape *tape, struct entry_id id, struct dyn_str hex)
{
    if (tape->count == tape->room) {
        tape->room = tape->room > 0 ? 2 * tape->room : 256;
        tape->entries = realloc(tape->entries, tape->room * sizeof *tape->entries);
        ck_assert_ptr_nonnull(tape->entries);
    }
    char *bytes = malloc(hex.len / 2 + 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < hex.len / 2; i++) {
        bytes[i] = (char)(hex_digit(hex.ptr[2 * i]) * 16 + hex_digit(hex.ptr[2 * i + 1]));
    }
    tape->entries[tape->count++] = (struct fleet_entry){id, {bytes, hex.len / 2}};
}

/* "ID HEX" a line; anything else is an error or no server, and is asked again later. */
static size_t tape_take(struct tape *tape, const char *answer)
{
    size_t taken = 0;
    for (const char *line = answer; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        const char *space = memchr(line, ' ', len);
        struct entry_id id;
        if (space == NULL ||
            entry_id_parse((struct dyn_str){line, (size_t)(space - line)}, &id) != DYN_OK) {
            return taken;
        }
        tape_add(tape, id, (struct dyn_str){space + 1, len - (size_t)(space + 1 - line)});
        (void)snprintf(tape->after, sizeof tape->after, "(%" PRIu64 "-%" PRIu64, id.ms, id.seq);
        taken++;
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    return taken;
}

static void fleet_collect(struct fleet *fleet)
{
    bool untaped = fleet->options.untaped || fleet->tape_paused;
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (size_t i = 0; i < fleet->lives_count[part]; i++) {
            (void)program_output(fleet->lives[part][i]);
        }
    }
    for (uint32_t p = 0; p < fleet->partitions && !untaped; p++) {
        for (size_t s = 0; s < FLEET_STREAMS; s++) {
            char key[64];
            size_t taken = 200;
            (void)snprintf(key, sizeof key, "dyn:{%" PRIu32 "}:%s", p, stream_names[s]);
            while (taken == 200) {
                taken = tape_take(&fleet->tapes[p][s],
                                  support_redis_call(fleet->redis, "EVAL_RO", tape_script, "1", key,
                                                     fleet->tapes[p][s].after, (char *)NULL));
            }
        }
    }
}

struct fleet_tape fleet_tape(const struct fleet *fleet, uint32_t partition,
                             enum fleet_stream stream)
{
    const struct tape *tape = &fleet->tapes[partition][stream];
    return (struct fleet_tape){tape->entries, tape->count};
}

void fleet_tape_pause(struct fleet *fleet, bool paused)
{
    fleet->tape_paused = paused;
}

void fleet_pass(struct fleet *fleet, int ms)
{
    int64_t until_ms = fleet_now_ms() + ms;
    for (;;) {
        fleet_collect(fleet);
        int64_t left_ms = until_ms - fleet_now_ms();
        if (left_ms <= 0) {
            return;
        }
        int64_t nap_ms = left_ms < LOOK_MS ? left_ms : LOOK_MS;
        (void)nanosleep(&(struct timespec){.tv_nsec = nap_ms * 1000000}, NULL);
    }
}

/* ---- the fake Heroku ---- */

static int quantity_of(const json_t *type)
{
    const json_t *quantity = json_is_object(type) ? json_object_get(type, "quantity") : type;
    return (int)json_integer_value(quantity);
}

int fleet_quantity(const struct fleet *fleet, const char *app)
{
    json_t *state = heroku_control(&fleet->heroku, "GET", "/state", NULL);
    const json_t *apps = json_object_get(state, "apps");
    int found = -1;
    for (size_t i = 0; i < json_array_size(apps); i++) {
        const json_t *one = json_array_get(apps, i);
        if (strcmp(json_string_value(json_object_get(one, "name")), app) == 0) {
            found = quantity_of(json_object_get(json_object_get(one, "formation"), "web"));
        }
    }
    json_decref(state);
    ck_assert_msg(found >= 0, "no app %s", app);
    return found;
}

void fleet_await_quantity(struct fleet *fleet, const char *app, int quantity, int seconds)
{
    int64_t until_ms = fleet_now_ms() + seconds * 1000;
    while (fleet_quantity(fleet, app) != quantity) {
        if (fleet_now_ms() > until_ms) {
            fleet_fail(fleet, "%s runs %d, not %d", app, fleet_quantity(fleet, app), quantity);
        }
        fleet_pass(fleet, LOOK_MS);
    }
}

void fleet_await_plan(struct fleet *fleet, const char *addon, const char *plan, int seconds)
{
    int64_t until_ms = fleet_now_ms() + seconds * 1000;
    while (!heroku_plan_is(&fleet->heroku, addon, plan)) {
        if (fleet_now_ms() > until_ms) {
            fleet_fail(fleet, "%s is not %s", addon, plan);
        }
        fleet_pass(fleet, LOOK_MS);
    }
}

/* A PATCH of one process type; the body is {"quantity": N}. */
static bool change_read(const json_t *request, const char *app, struct fleet_change *out)
{
    const char *name = json_string_value(json_object_get(request, "app"));
    if (name == NULL || strcmp(name, app) != 0 ||
        strcmp(json_string_value(json_object_get(request, "method")), "PATCH") != 0 ||
        strstr(json_string_value(json_object_get(request, "path")), "/formation/") == NULL ||
        json_integer_value(json_object_get(request, "status")) != 200) {
        return false;
    }
    json_t *body = json_loads(json_string_value(json_object_get(request, "body")), 0, NULL);
    ck_assert_ptr_nonnull(body);
    *out = (struct fleet_change){json_integer_value(json_object_get(request, "time_ms")),
                                 json_integer_value(json_object_get(request, "done_ms")),
                                 (int)json_integer_value(json_object_get(body, "quantity"))};
    json_decref(body);
    return true;
}

struct fleet_changes fleet_changes(const struct fleet *fleet, const char *app, int first)
{
    json_t *answer = heroku_control(&fleet->heroku, "GET", "/requests?since=0", NULL);
    const json_t *requests = json_object_get(answer, "requests");
    size_t count = json_array_size(requests);
    struct fleet_changes out = {.first = first};
    out.changes = calloc(count + 1, sizeof *out.changes);
    ck_assert_ptr_nonnull(out.changes);
    for (size_t i = 0; i < count; i++) {
        out.count += change_read(json_array_get(requests, i), app, &out.changes[out.count]);
    }
    json_decref(answer);
    return out;
}

/* ---- the end ---- */

static bool canary_in(struct dyn_str bytes, const char *canary)
{
    return bytes.len > 0 && memmem(bytes.ptr, bytes.len, canary, strlen(canary)) != NULL;
}

/* Of one that does not begin so, such as a private key, a piece out of its middle is enough. */
static void canary_not_in(const struct fleet *fleet, struct dyn_str bytes, const char *where)
{
    ck_assert_msg(!canary_in(bytes, FLEET_CANARY), "a secret stands in %s", where);
    for (const struct fleet_secret *s = fleet->options.secrets; s != NULL && s->value != NULL;
         s++) {
        char piece[33];
        size_t len = strlen(s->value);
        (void)snprintf(piece, sizeof piece, "%s", s->value + (len > 64 ? len / 2 : 0));
        ck_assert_msg(strstr(s->value, "PUBLIC KEY") != NULL || !canary_in(bytes, piece),
                      "%s stands in %s", s->name, where);
    }
}

static void file_read(struct dyn_buf *out, const char *path)
{
    FILE *file = fopen(path, "re");
    char part[65536];
    dyn_buf_init(out, (size_t)256 * 1024 * 1024);
    if (file == NULL) {
        return;
    }
    for (size_t len = fread(part, 1, sizeof part, file); len > 0;
         len = fread(part, 1, sizeof part, file)) {
        ck_assert_int_eq(dyn_buf_add(out, part, len), DYN_OK);
    }
    (void)fclose(file);
}

static void file_without_canary(const struct fleet *fleet, const char *path)
{
    struct dyn_buf bytes;
    file_read(&bytes, path);
    canary_not_in(fleet, dyn_buf_str(&bytes), path);
    dyn_buf_fini(&bytes);
}

/* Redis keeps every byte that it was ever told in its append-only files. */
static void redis_without_canary(const struct fleet *fleet)
{
    char folder[256];
    const char *socket = support_redis_path(fleet->redis);
    (void)snprintf(folder, sizeof folder, "%.*s/appendonlydir",
                   (int)(strrchr(socket, '/') - socket), socket);
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "%s", folder);
    int files = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            file_without_canary(fleet, path);
            files++;
        }
    }
    (void)closedir(dir);
    ck_assert_int_gt(files, 0);
}

static void others_secrets_not_in(struct dyn_str environment, const struct fleet_secret *secrets,
                                  enum fleet_part part)
{
    for (const struct fleet_secret *s = secrets; s != NULL && s->value != NULL; s++) {
        ck_assert_msg(s->part == part || !canary_in(environment, s->value),
                      "%s stands in the environment of the %s", s->name, part_names[part]);
    }
}

static void environment_judge(const struct fleet *fleet, enum fleet_part part,
                              const struct program *program)
{
    char path[64];
    struct dyn_buf bytes;
    (void)snprintf(path, sizeof path, "/proc/%d/environ", program_pid(program));
    file_read(&bytes, path);
    others_secrets_not_in(dyn_buf_str(&bytes), heroku_keys, part);
    others_secrets_not_in(dyn_buf_str(&bytes), fleet->options.secrets, part);
    dyn_buf_fini(&bytes);
}

/* A crash writes its memory nowhere. */
static void leaves_no_core(const struct program *program)
{
    char path[64];
    struct dyn_buf bytes;
    (void)snprintf(path, sizeof path, "/proc/%d/limits", program_pid(program));
    file_read(&bytes, path);
    ck_assert_msg(canary_in(dyn_buf_str(&bytes), "Max core file size        0 "), "%s",
                  dyn_buf_text(&bytes));
    dyn_buf_fini(&bytes);
}

/* A page that anybody may read. */
static void metrics_without_canary(const struct fleet *fleet, struct program *program)
{
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    canary_not_in(fleet, dyn_str_from(program_body(program)), "/metrics");
}

/* What was killed has ended before; what still runs ends on SIGTERM, with 0. */
static void programs_stop(struct fleet *fleet)
{
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (size_t i = 0; i < fleet->lives_count[part]; i++) {
            struct program *program = fleet->lives[part][i];
            if (program_pid(program) != 0) {
                environment_judge(fleet, part, program);
                leaves_no_core(program);
                metrics_without_canary(fleet, program);
                program_signal(program, SIGTERM);
            }
        }
    }
}

static void programs_end(struct fleet *fleet)
{
    programs_stop(fleet);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (size_t i = 0; i < fleet->lives_count[part]; i++) {
            struct program *program = fleet->lives[part][i];
            bool runs = program_pid(program) != 0;
            if (runs && program_end(program) != 0) {
                fleet_fail(fleet, "%s %zu ended with %d", part_names[part], i + 1,
                           program_end(program));
            }
            canary_not_in(fleet, dyn_str_from(program_output(program)), part_names[part]);
        }
    }
}

static void heroku_is_content(struct fleet *fleet)
{
    json_t *answer = heroku_control(&fleet->heroku, "GET", "/violations", NULL);
    if (json_array_size(json_object_get(answer, "violations")) > 0) {
        char *text = json_dumps(answer, 0);
        fleet_fail(fleet, "violations: %.800s", text);
    }
    json_decref(answer);
}

/* Its log has every command and key that was refused, whoever hid the answer. */
static void acl_is_content(struct fleet *fleet)
{
    const char *log =
        fleet->users != NULL ? support_redis_call(fleet->redis, "ACL", "LOG", (char *)NULL) : "";
    if (log[0] != '\0') {
        fleet_fail(fleet, "ACL LOG: %.900s", log);
    }
}

void fleet_free(struct fleet *fleet)
{
    programs_end(fleet);
    acl_is_content(fleet);
    heroku_is_content(fleet);
    ck_assert_int_eq(heroku_stop(&fleet->heroku), 0);
    redis_without_canary(fleet);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (size_t i = 0; i < fleet->lives_count[part]; i++) {
            program_free(fleet->lives[part][i]);
        }
    }
    for (uint32_t p = 0; p < fleet->partitions; p++) {
        for (size_t s = 0; s < FLEET_STREAMS; s++) {
            struct tape *tape = &fleet->tapes[p][s];
            for (size_t i = 0; i < tape->count; i++) {
                /* An entry lends its bytes as const; they are the tape's own. */
                union {
                    const char *lent;
                    char *own;
                } bytes = {.lent = tape->entries[i].message.ptr};
                free(bytes.own);
            }
            free(tape->entries);
        }
    }
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (unsigned copy = 0; copy < FLEET_COPIES_MAX; copy++) {
            support_clock_free(fleet->clocks[part][copy]);
        }
    }
    support_clock_free(fleet->redis_clock);
    support_proxy_free(fleet->proxy);
    config_free(fleet->config);
    support_redis_free(fleet->redis);
    support_file_free(fleet->file);
    free(fleet);
}
