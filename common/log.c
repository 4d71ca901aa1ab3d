#include "common/log.h"

#include "common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096, /* what a pipe takes in one piece (PIPE_BUF) */
    REPEATS = 64, /* different lines remembered at once; the one printed longest ago goes */
    REPEAT_MS = 60 * 1000
};

struct repeat {
    uint64_t hash;
    int64_t printed_ms;
    uint64_t count; /* lines held back since */
    bool used;
};

static char service_name[64] = "dynosaur";
static atomic_int level_least = DYN_LOG_INFO;
static pthread_mutex_t repeats_lock = PTHREAD_MUTEX_INITIALIZER;
static struct repeat repeats[REPEATS];

void dyn_log_init(const char *service, enum dyn_log_level least)
{
    dyn_str_copy(service_name, sizeof service_name, dyn_str_from(service));
    atomic_store(&level_least, (int)least);
}

static const char *level_name(enum dyn_log_level level)
{
    switch (level) {
    case DYN_LOG_DEBUG:
        return "debug";
    case DYN_LOG_INFO:
        return "info";
    case DYN_LOG_WARN:
        return "warn";
    case DYN_LOG_ERROR:
        break;
    }
    return "error";
}

static struct repeat *repeat_find(uint64_t hash)
{
    struct repeat *oldest = &repeats[0];
    for (size_t i = 0; i < REPEATS; i++) {
        struct repeat *entry = &repeats[i];
        if (entry->used && entry->hash == hash) {
            return entry;
        }
        if (oldest->used && (!entry->used || entry->printed_ms < oldest->printed_ms)) {
            oldest = entry;
        }
    }
    *oldest = (struct repeat){.hash = hash};
    return oldest;
}

/* True when the line is to be printed; then *out_count lines like it were held back before. */
static bool repeat_pass(uint64_t hash, int64_t now_ms, uint64_t *out_count)
{
    (void)pthread_mutex_lock(&repeats_lock);
    struct repeat *entry = repeat_find(hash);
    bool pass = !entry->used || now_ms - entry->printed_ms >= REPEAT_MS;
    if (pass) {
        *out_count = entry->count;
        *entry = (struct repeat){.hash = hash, .printed_ms = now_ms, .used = true};
    } else {
        entry->count++;
    }
    (void)pthread_mutex_unlock(&repeats_lock);
    return pass;
}

/* One line stays one line, whatever a value holds. */
static void line_flatten(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = ' ';
        }
    }
}

static void line_write(const char *line, size_t len)
{
    /* A full or broken stderr must not stop a service: what does not go out is lost. */
    ssize_t written = -1;
    do {
        written = write(STDERR_FILENO, line, len);
    } while (written < 0 && errno == EINTR);
}

static void line_print(enum dyn_log_level level, const char *event, uint64_t held_back,
                       const char *fields)
{
    char at[32];
    char repeated[40] = "";
    char line[LINE_MAX_BYTES];
    dyn_clock_format(dyn_clock_wall_ms(), at, sizeof at);
    if (held_back > 0) {
        (void)snprintf(repeated, sizeof repeated, " repeated=%llu", (unsigned long long)held_back);
    }
    const char *space = fields[0] == '\0' || fields[0] == ' ' ? "" : " ";
    int len = snprintf(line, sizeof line, "ts=%s level=%s service=%s event=%s%s%s%s", at,
                       level_name(level), service_name, event, repeated, space, fields);
    size_t end = len < 0 ? 0 : (size_t)len;
    if (end > sizeof line - 1) {
        end = sizeof line - 1;
    }
    line[end] = '\n'; /* over the NUL: it is written by length */
    line_write(line, end + 1);
}

void dyn_log(enum dyn_log_level level, const char *event, const char *fields, ...)
{
    if ((int)level < atomic_load(&level_least)) {
        return;
    }
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fields);
    int len = vsnprintf(text, sizeof text, fields, args);
    va_end(args);
    if (len < 0) {
        text[0] = '\0';
    }
    line_flatten(text);
    uint64_t hash = dyn_hash(DYN_HASH_SEED, dyn_str_from(level_name(level)));
    hash = dyn_hash(hash, (struct dyn_str){event, strlen(event) + 1});
    hash = dyn_hash(hash, dyn_str_from(text));
    uint64_t held_back = 0;
    if (repeat_pass(hash, dyn_clock_boot_ms(), &held_back)) {
        line_print(level, event, held_back, text);
    }
}
