/* What a sample costs to encode and to decode, beside what bare msgpack-c takes for the same bytes.
 */
#include "common/clock.h"
#include "common/message.h"

#include <inttypes.h>
#include <msgpack.h>

#define ROUNDS 20000

static struct sample samples[DYN_BATCH_SAMPLES_MAX];

static void print(const char *what, int64_t ns)
{
    printf("%-28s %7.1f ns a sample\n", what,
           (double)ns / ((double)ROUNDS * (double)DYN_BATCH_SAMPLES_MAX));
}

static int64_t encode(struct dyn_buf *buf, const struct batch *batch)
{
    int64_t from = dyn_clock_boot_ns();
    for (int i = 0; i < ROUNDS; i++) {
        dyn_buf_clear(buf);
        message_write_batch(buf, batch, samples);
    }
    return dyn_clock_boot_ns() - from;
}

static int64_t decode(struct pack_reader *reader, struct dyn_str bytes)
{
    struct batch batch;
    int64_t from = dyn_clock_boot_ns();
    for (int i = 0; i < ROUNDS; i++) {
        if (pack_reader_start(reader, bytes) != DYN_OK ||
            message_read_kind(reader) != MESSAGE_BATCH ||
            message_read_batch(reader, &batch, samples) != DYN_OK) {
            abort();
        }
    }
    return dyn_clock_boot_ns() - from;
}

static int64_t decode_bare(struct dyn_str bytes)
{
    msgpack_zone zone;
    if (!msgpack_zone_init(&zone, (size_t)64 * 1024)) {
        abort();
    }
    int64_t from = dyn_clock_boot_ns();
    for (int i = 0; i < ROUNDS; i++) {
        msgpack_object object;
        size_t at = 0;
        if (msgpack_unpack(bytes.ptr, bytes.len, &at, &zone, &object) != MSGPACK_UNPACK_SUCCESS) {
            abort();
        }
        msgpack_zone_clear(&zone);
    }
    int64_t ns = dyn_clock_boot_ns() - from;
    msgpack_zone_destroy(&zone);
    return ns;
}

int main(void)
{
    struct dyn_buf buf;
    dyn_buf_init(&buf, DYN_ENTRY_MAX);
    struct pack_reader *reader = pack_reader_new();
    if (reader == NULL) {
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < DYN_BATCH_SAMPLES_MAX; i++) {
        samples[i] = (struct sample){
            .series = UINT64_MAX / (i + 2), .age_ms = (int64_t)i, .value = (double)i * 1.5};
    }
    const struct batch batch = {
        .member = DYN_STR("collector-1.4711"), .seq = 1, .count = DYN_BATCH_SAMPLES_MAX};
    print("encode", encode(&buf, &batch));
    printf("%-28s %7.1f bytes a sample\n", "", (double)buf.len / DYN_BATCH_SAMPLES_MAX);
    print("decode, checked", decode(reader, dyn_buf_str(&buf)));
    print("bare msgpack-c, unpack only", decode_bare(dyn_buf_str(&buf)));
    pack_reader_free(reader);
    dyn_buf_fini(&buf);
    return EXIT_SUCCESS;
}
