/* Answers: trees in memory of their own, used again. And how the bus looks into them. */
#include "tests/sim/model.h"

#include "common/bus_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES 16384

struct model_chunk {
    struct model_chunk *next;
    size_t used;
    size_t room;
    char bytes[];
};

static struct model_answer *unused;

struct model_answer *model_answer_new(void)
{
    struct model_answer *answer = unused;
    if (answer != NULL) {
        unused = answer->next;
    } else {
        answer = malloc(sizeof *answer);
        DYN_ASSERT(answer != NULL);
    }
    answer->root = (struct bus_reply){.type = BUS_NIL};
    answer->next = NULL;
    answer->chunks = NULL;
    answer->used = 0;
    return answer;
}

void model_answer_free(struct model_answer *answer)
{
    if (answer == NULL) {
        return;
    }
    while (answer->chunks != NULL) {
        struct model_chunk *chunk = answer->chunks;
        answer->chunks = chunk->next;
        free(chunk);
    }
    answer->next = unused;
    unused = answer;
}

void model_answers_end(void)
{
    while (unused != NULL) {
        struct model_answer *answer = unused;
        unused = answer->next;
        free(answer);
    }
}

void *model_take(struct model_answer *answer, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size <= sizeof answer->bytes - answer->used) {
        void *at = answer->bytes + answer->used;
        answer->used += size;
        return at;
    }
    struct model_chunk *chunk = answer->chunks;
    if (chunk == NULL || chunk->room - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + room);
        DYN_ASSERT(chunk != NULL);
        *chunk = (struct model_chunk){answer->chunks, 0, room};
        answer->chunks = chunk;
    }
    void *at = chunk->bytes + chunk->used;
    chunk->used += size;
    return at;
}

void model_put_str(struct model_answer *answer, struct bus_reply *reply, struct dyn_str str)
{
    char *bytes = model_take(answer, str.len + 1);
    if (str.len > 0) {
        memcpy(bytes, str.ptr, str.len);
    }
    bytes[str.len] = '\0';
    *reply = (struct bus_reply){.type = BUS_STRING, .str = {bytes, str.len}};
}

void model_put_int(struct bus_reply *reply, int64_t number)
{
    *reply = (struct bus_reply){.type = BUS_INTEGER, .integer = number};
}

void model_put_u64_str(struct model_answer *answer, struct bus_reply *reply, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    model_put_str(answer, reply, (struct dyn_str){text, (size_t)len});
}

void model_put_status(struct bus_reply *reply, const char *text)
{
    *reply = (struct bus_reply){.type = BUS_STATUS, .str = dyn_str_from(text)};
}

void model_put_nil(struct bus_reply *reply)
{
    *reply = (struct bus_reply){.type = BUS_NIL};
}

void model_put_error(struct model_answer *answer, struct bus_reply *reply, const char *format, ...)
{
    char words[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    model_put_str(answer, reply, dyn_str_from(words));
    reply->type = BUS_ERROR;
}

struct bus_reply *model_put_array(struct model_answer *answer, struct bus_reply *reply,
                                  size_t count)
{
    struct bus_reply *items = model_take(answer, count * sizeof *items);
    memset(items, 0, count * sizeof *items); /* BUS_NIL is 0 */
    *reply = (struct bus_reply){.type = BUS_ARRAY, .count = count, .items = items};
    return items;
}

/* ---- common/bus.h ---- */

enum bus_reply_type bus_reply_type(const struct bus_reply *reply)
{
    return reply->type;
}

struct dyn_str bus_reply_str(const struct bus_reply *reply)
{
    if (reply == NULL || reply->str.ptr == NULL) {
        return (struct dyn_str){"", 0};
    }
    return reply->str;
}

int64_t bus_reply_int(const struct bus_reply *reply)
{
    int64_t number = 0;
    if (reply->type == BUS_INTEGER) {
        return reply->integer;
    }
    return dyn_str_i64(bus_reply_str(reply), &number) == DYN_OK ? number : 0;
}

uint64_t bus_reply_u64(const struct bus_reply *reply)
{
    uint64_t number = 0;
    if (reply->type == BUS_INTEGER) {
        return reply->integer > 0 ? (uint64_t)reply->integer : 0;
    }
    return dyn_str_u64(bus_reply_str(reply), &number) == DYN_OK ? number : 0;
}

size_t bus_reply_count(const struct bus_reply *reply)
{
    return reply->type == BUS_ARRAY ? reply->count : 0;
}

const struct bus_reply *bus_reply_at(const struct bus_reply *reply, size_t index)
{
    return index < bus_reply_count(reply) ? &reply->items[index] : NULL;
}

/* Texts, too, whatever they stand in: the copy needs nothing of where it came from. */
static void reply_copy(struct model_answer *answer, struct bus_reply *to,
                       const struct bus_reply *from)
{
    if (from->type == BUS_ARRAY) {
        struct bus_reply *items = model_put_array(answer, to, from->count);
        for (size_t i = 0; i < from->count; i++) {
            reply_copy(answer, &items[i], &from->items[i]);
        }
        return;
    }
    model_put_str(answer, to, from->str);
    to->type = from->type;
    to->integer = from->integer;
}

struct bus_reply *bus_reply_copy(const struct bus_reply *reply)
{
    struct model_answer *answer = model_answer_new();
    reply_copy(answer, &answer->root, reply);
    return &answer->root;
}

void bus_reply_free(struct bus_reply *reply)
{
    model_answer_free((struct model_answer *)reply); /* it is the root of one */
}
