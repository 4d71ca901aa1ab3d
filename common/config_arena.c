#include "common/config_internal.h"

#include <stdalign.h>
#include <stdarg.h>

#define CHUNK_SIZE ((size_t)16 * 1024)
#define ALIGNMENT alignof(max_align_t)

struct config_chunk {
    struct config_chunk *next;
    size_t used;
    size_t size;
    alignas(max_align_t) char bytes[];
};

static struct config_chunk *chunk_new(size_t size)
{
    struct config_chunk *chunk = calloc(1, sizeof(*chunk) + size);

    if (chunk == NULL) {
        dyn_out_of_memory("the configuration");
    }
    chunk->size = size;
    return chunk;
}

void *config_arena_alloc(struct config_arena *arena, size_t size)
{
    size_t need = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct config_chunk *chunk = arena->chunks;
    void *result;

    DYN_ASSERT(need >= size);
    if (chunk == NULL || chunk->size - chunk->used < need) {
        chunk = chunk_new(need > CHUNK_SIZE ? need : CHUNK_SIZE);
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    result = chunk->bytes + chunk->used;
    chunk->used += need;
    return result;
}

char *config_arena_copy(struct config_arena *arena, struct dyn_str text)
{
    char *copy = config_arena_alloc(arena, text.len + 1);

    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    return copy;
}

char *config_arena_printf(struct config_arena *arena, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    char *copy;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        dyn_out_of_memory("the configuration");
    }
    copy = config_arena_copy(arena, (struct dyn_str){text, (size_t)len});
    free(text);
    return copy;
}

void *config_arena_grow(struct config_arena *arena, void *items, size_t count, size_t size)
{
    void *grown;

    /* Full exactly when the count is a power of two (or nothing is there yet). */
    if (count != 0 && (count & (count - 1)) != 0) {
        return items;
    }
    grown = config_arena_alloc(arena, (count == 0 ? 1 : count * 2) * size);
    if (count > 0) {
        memcpy(grown, items, count * size);
    }
    return grown;
}

void config_arena_fini(struct config_arena *arena)
{
    while (arena->chunks != NULL) {
        struct config_chunk *next = arena->chunks->next;

        explicit_bzero(arena->chunks->bytes, arena->chunks->used); /* literal secrets */
        free(arena->chunks);
        arena->chunks = next;
    }
}
