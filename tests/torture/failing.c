/*
 * failing: one kind of call that fails on demand, linked into a service by --wrap (CMakeLists.txt).
 *
 *   TORTURE=KIND:N:once   the N-th call of that kind fails
 *   TORTURE=KIND:N:ever   the N-th and every later one fail
 *   TORTURE_COUNT=FILE    at the end, the number of calls of each kind is written there
 *
 * Only the first calls of a place count, TORTURE_REPEATS of them (2; 0: all). A place is the stack
 * of a call: a document of a hundred values is read in one place, and the third timer of a loop
 * fails as the second one does.
 *
 * KIND is alloc (ours, jansson's and curl's; libuv ends the process by abort() when it has no
 * memory, so it is spared), hiredis, curl or write.
 */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind {
    ALLOC,
    HIREDIS,
    CURL_CALL,
    WRITE,
    KINDS
};

static const char *const names[KINDS] = {"alloc", "hiredis", "curl", "write"};
static atomic_ulong counts[KINDS];
static enum kind wanted = KINDS;
static unsigned long wanted_at;
static bool for_good;

/* ---- which calls count ---- */

#define FRAMES_MAX 24
#define PLACES_MAX 16384 /* a power of 2, and more than there are */

static struct place {
    uint64_t hash;
    unsigned calls;
} places[PLACES_MAX];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned repeats = 2;

static struct place *place_of(uint64_t hash)
{
    size_t at = hash % PLACES_MAX;
    while (places[at].hash != 0 && places[at].hash != hash) {
        at = (at + 1) % PLACES_MAX;
    }
    places[at].hash = hash;
    return &places[at];
}

static bool call_counts(enum kind kind)
{
    void *frames[FRAMES_MAX];
    uint64_t hash = (uint64_t)kind + 1;
    if (repeats == 0) {
        return true;
    }
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = 0; i < count; i++) {
        hash = (hash ^ (uintptr_t)frames[i]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    pthread_mutex_lock(&places_lock);
    unsigned calls = ++place_of(hash | 1)->calls;
    pthread_mutex_unlock(&places_lock);
    return calls <= repeats;
}

static bool fails(enum kind kind)
{
    if (!call_counts(kind)) {
        return kind == wanted && for_good && atomic_load(&counts[kind]) >= wanted_at;
    }
    unsigned long number = atomic_fetch_add(&counts[kind], 1) + 1;
    return kind == wanted && (for_good ? number >= wanted_at : number == wanted_at);
}

/* ---- memory ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

static bool no_memory(void)
{
    bool none = fails(ALLOC);
    if (none) {
        errno = ENOMEM;
    }
    return none;
}

void *__wrap_malloc(size_t size)
{
    return no_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return no_memory() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return no_memory() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return no_memory() ? NULL : __real_strndup(text, size);
}

/* ---- hiredis: what it answers when it has no memory ---- */

struct redisAsyncContext;
struct redisAsyncContext *__real_redisAsyncConnect(const char *host, int port);
struct redisAsyncContext *__wrap_redisAsyncConnect(const char *host, int port);
struct redisAsyncContext *__real_redisAsyncConnectUnix(const char *path);
struct redisAsyncContext *__wrap_redisAsyncConnectUnix(const char *path);
int __real_redisAsyncFormattedCommand(struct redisAsyncContext *redis, void *fn, void *data,
                                      const char *command, size_t len);
int __wrap_redisAsyncFormattedCommand(struct redisAsyncContext *redis, void *fn, void *data,
                                      const char *command, size_t len);
int __real_redisAsyncSetConnectCallback(struct redisAsyncContext *redis, void *fn);
int __wrap_redisAsyncSetConnectCallback(struct redisAsyncContext *redis, void *fn);
int __real_redisAsyncSetDisconnectCallback(struct redisAsyncContext *redis, void *fn);
int __wrap_redisAsyncSetDisconnectCallback(struct redisAsyncContext *redis, void *fn);

struct redisAsyncContext *__wrap_redisAsyncConnect(const char *host, int port)
{
    return fails(HIREDIS) ? NULL : __real_redisAsyncConnect(host, port);
}

struct redisAsyncContext *__wrap_redisAsyncConnectUnix(const char *path)
{
    return fails(HIREDIS) ? NULL : __real_redisAsyncConnectUnix(path);
}

int __wrap_redisAsyncFormattedCommand(struct redisAsyncContext *redis, void *fn, void *data,
                                      const char *command, size_t len)
{
    return fails(HIREDIS) ? -1 : __real_redisAsyncFormattedCommand(redis, fn, data, command, len);
}

int __wrap_redisAsyncSetConnectCallback(struct redisAsyncContext *redis, void *fn)
{
    return fails(HIREDIS) ? -1 : __real_redisAsyncSetConnectCallback(redis, fn);
}

int __wrap_redisAsyncSetDisconnectCallback(struct redisAsyncContext *redis, void *fn)
{
    return fails(HIREDIS) ? -1 : __real_redisAsyncSetDisconnectCallback(redis, fn);
}

/* ---- curl ---- */

CURLcode __wrap_curl_global_init(long flags);
CURL *__real_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void);
CURLM *__real_curl_multi_init(void);
CURLM *__wrap_curl_multi_init(void);
CURLSH *__real_curl_share_init(void);
CURLSH *__wrap_curl_share_init(void);
CURLcode __real_curl_easy_setopt(CURL *curl, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *curl, CURLoption option, ...);
CURLMcode __real_curl_multi_setopt(CURLM *multi, CURLMoption option, ...);
CURLMcode __wrap_curl_multi_setopt(CURLM *multi, CURLMoption option, ...);
CURLMcode __real_curl_multi_add_handle(CURLM *multi, CURL *curl);
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *curl);
CURLMcode __real_curl_multi_socket_action(CURLM *multi, curl_socket_t s, int events, int *running);
CURLMcode __wrap_curl_multi_socket_action(CURLM *multi, curl_socket_t s, int events, int *running);
struct curl_slist *__real_curl_slist_append(struct curl_slist *list, const char *text);
struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *text);

CURLcode __wrap_curl_global_init(long flags)
{
    return fails(CURL_CALL) ? CURLE_FAILED_INIT
                            : curl_global_init_mem(flags, __wrap_malloc, free, __wrap_realloc,
                                                   __wrap_strdup, __wrap_calloc);
}

CURL *__wrap_curl_easy_init(void)
{
    return fails(CURL_CALL) ? NULL : __real_curl_easy_init();
}

CURLM *__wrap_curl_multi_init(void)
{
    return fails(CURL_CALL) ? NULL : __real_curl_multi_init();
}

CURLSH *__wrap_curl_share_init(void)
{
    return fails(CURL_CALL) ? NULL : __real_curl_share_init();
}

/* A long, a curl_off_t and a pointer are passed alike on the machines that this runs on. */
CURLcode __wrap_curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list args;
    va_start(args, option);
    void *value = va_arg(args, void *);
    va_end(args);
    return fails(CURL_CALL) ? CURLE_OUT_OF_MEMORY : __real_curl_easy_setopt(curl, option, value);
}

CURLMcode __wrap_curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
    va_list args;
    va_start(args, option);
    void *value = va_arg(args, void *);
    va_end(args);
    return fails(CURL_CALL) ? CURLM_OUT_OF_MEMORY : __real_curl_multi_setopt(multi, option, value);
}

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *curl)
{
    return fails(CURL_CALL) ? CURLM_OUT_OF_MEMORY : __real_curl_multi_add_handle(multi, curl);
}

CURLMcode __wrap_curl_multi_socket_action(CURLM *multi, curl_socket_t s, int events, int *running)
{
    return fails(CURL_CALL) ? CURLM_INTERNAL_ERROR
                            : __real_curl_multi_socket_action(multi, s, events, running);
}

struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *text)
{
    return fails(CURL_CALL) ? NULL : __real_curl_slist_append(list, text);
}

/* ---- writing ---- */

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (fails(WRITE)) {
        errno = ENOSPC;
        return -1;
    }
    return __real_write(fd, bytes, len);
}

/* ---- the beginning and the end ---- */

static void counts_write(void)
{
    const char *path = getenv("TORTURE_COUNT");
    FILE *file = path != NULL ? fopen(path, "we") : NULL;
    if (file == NULL) {
        return;
    }
    for (int i = 0; i < KINDS; i++) {
        (void)fprintf(file, "%s %lu\n", names[i], atomic_load(&counts[i]));
    }
    (void)fclose(file);
}

static __attribute__((constructor)) void begin(void)
{
    char kind[16] = "";
    char how[8] = "";
    const char *said = getenv("TORTURE");
    const char *often = getenv("TORTURE_REPEATS");
    repeats = often != NULL ? (unsigned)strtoul(often, NULL, 10) : repeats;
    if (said != NULL && sscanf(said, "%15[a-z]:%lu:%7[a-z]", kind, &wanted_at, how) == 3) {
        for (int i = 0; i < KINDS; i++) {
            wanted = strcmp(kind, names[i]) == 0 ? (enum kind)i : wanted;
        }
        for_good = strcmp(how, "ever") == 0;
    }
    json_set_alloc_funcs(__wrap_malloc, free);
    (void)atexit(counts_write);
}
