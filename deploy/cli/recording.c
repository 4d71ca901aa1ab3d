#include "deploy/cli/recording.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>

#define HEAD_SIZE 32
#define ENTRY_SIZE 24 /* and the message */
#define ENTRIES_BEGIN 1024

static const char magic[8] = {'D', 'Y', 'N', 'O', 'R', 'E', 'C', '1'};
#define MAGIC_FAMILY 7 /* bytes of it that every version has */

/* ---- numbers, least byte first ---- */

static void write_u32(FILE *file, uint32_t value)
{
    uint32_t bytes = htole32(value);
    fwrite(&bytes, sizeof(bytes), 1, file);
}

static void write_u64(FILE *file, uint64_t value)
{
    uint64_t bytes = htole64(value);
    fwrite(&bytes, sizeof(bytes), 1, file);
}

static uint32_t read_u32(const char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return le32toh(bytes);
}

static uint64_t read_u64(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return le64toh(bytes);
}

/* ---- writing ---- */

void recording_begin(FILE *file, const struct recording_head *head)
{
    fwrite(magic, sizeof(magic), 1, file);
    write_u64(file, head->config);
    write_u32(file, head->partition);
    write_u32(file, 0);
    write_u64(file, (uint64_t)head->wall_ms);
}

void recording_add(FILE *file, const struct recording_entry *entry)
{
    DYN_ASSERT(entry->message.len <= UINT32_MAX);
    write_u32(file, entry->stream);
    write_u32(file, (uint32_t)entry->message.len);
    write_u64(file, entry->id.ms);
    write_u64(file, entry->id.seq);
    if (entry->message.len > 0) {
        fwrite(entry->message.ptr, 1, entry->message.len, file);
    }
}

void recording_end(FILE *file, uint64_t entries)
{
    struct recording_entry end = {.stream = RECORDING_END, .id = {.ms = entries}};
    recording_add(file, &end);
}

/* ---- reading ---- */

static dyn_err recording_bytes(const char *path, struct dyn_buf *out, struct dyn_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return dyn_error_set(error, DYN_IO, "%s: %s", path, strerror(errno));
    }
    size_t got = 1;
    while (got > 0 && dyn_buf_result(out) == DYN_OK) {
        char chunk[65536];
        got = fread(chunk, 1, sizeof(chunk), file);
        dyn_buf_add(out, chunk, got);
    }
    dyn_err err = dyn_buf_result(out);
    if (ferror(file) != 0) {
        err = dyn_error_set(error, DYN_IO, "%s: %s", path, strerror(errno));
    } else if (err != DYN_OK) {
        dyn_error_set(error, err, "%s: longer than %lld bytes, or no memory for it", path,
                      RECORDING_MAX);
    }
    fclose(file);
    return err;
}

static dyn_err recording_read_head(const char *path, struct dyn_str bytes,
                                   struct recording_head *out, struct dyn_error *error)
{
    if (bytes.len < HEAD_SIZE || memcmp(bytes.ptr, magic, MAGIC_FAMILY) != 0) {
        return dyn_error_set(error, DYN_BADMSG, "%s is no recording of `dynosaur record`", path);
    }
    if (bytes.ptr[MAGIC_FAMILY] != magic[MAGIC_FAMILY]) {
        return dyn_error_set(error, DYN_UNSUPPORTED,
                             "%s is a recording of version %c; this program reads version %c", path,
                             bytes.ptr[MAGIC_FAMILY], magic[MAGIC_FAMILY]);
    }
    *out = (struct recording_head){.config = read_u64(bytes.ptr + 8),
                                   .partition = read_u32(bytes.ptr + 16),
                                   .wall_ms = (int64_t)read_u64(bytes.ptr + 24)};
    return DYN_OK;
}

static bool recording_keep(struct recording *recording, size_t *room,
                           const struct recording_entry *entry)
{
    if (recording->count == *room) {
        size_t more = *room > 0 ? *room * 2 : ENTRIES_BEGIN;
        struct recording_entry *entries = realloc(recording->entries, more * sizeof(*entries));
        if (entries == NULL) {
            return false;
        }
        recording->entries = entries;
        *room = more;
    }
    recording->entries[recording->count++] = *entry;
    return true;
}

/* False: the bytes end here, or make no sense from here on. */
static bool recording_next(struct dyn_str bytes, size_t *at, struct recording_entry *out)
{
    if (bytes.len - *at < ENTRY_SIZE) {
        return false;
    }
    const char *head = bytes.ptr + *at;
    uint32_t stream = read_u32(head);
    uint32_t len = read_u32(head + 4);
    if (stream > RECORDING_TARGETS || len > bytes.len - *at - ENTRY_SIZE) {
        return false;
    }
    out->stream = (enum recording_stream)stream;
    out->id = (struct entry_id){read_u64(head + 8), read_u64(head + 16)};
    out->message = (struct dyn_str){head + ENTRY_SIZE, len};
    *at += ENTRY_SIZE + len;
    return true;
}

static dyn_err recording_read_entries(struct recording *recording, struct dyn_str bytes)
{
    struct recording_entry entry;
    size_t room = 0;
    size_t at = HEAD_SIZE;
    recording->cut = true;
    while (recording_next(bytes, &at, &entry)) {
        if (entry.stream == RECORDING_END) {
            recording->cut = entry.id.ms != recording->count || at != bytes.len;
            break;
        }
        if (!recording_keep(recording, &room, &entry)) {
            return DYN_NOMEM;
        }
    }
    return DYN_OK;
}

struct recording *recording_load(const char *path, struct dyn_error *error)
{
    struct dyn_buf bytes;
    dyn_buf_init(&bytes, RECORDING_MAX);
    struct recording *recording = calloc(1, sizeof(*recording));
    if (recording == NULL) {
        dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    if (recording_bytes(path, &bytes, error) != DYN_OK ||
        recording_read_head(path, dyn_buf_str(&bytes), &recording->head, error) != DYN_OK) {
        goto fail;
    }
    if (recording_read_entries(recording, dyn_buf_str(&bytes)) != DYN_OK) {
        dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    recording->bytes = bytes.ptr; /* taken */
    return recording;

fail:
    if (recording != NULL) {
        free(recording->entries);
        free(recording);
    }
    dyn_buf_fini(&bytes);
    return NULL;
}

void recording_free(struct recording *recording)
{
    if (recording == NULL) {
        return;
    }
    free(recording->entries);
    free(recording->bytes);
    free(recording);
}
