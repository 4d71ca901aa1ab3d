#include "common/redact.h"

static const char hidden[] = "[hidden]";

/* How many bytes at the start of `text` also stand somewhere in `secret`; 0 when too few to tell.
 */
static size_t secret_prefix(struct dyn_str text, struct dyn_str secret)
{
    if (secret.len == 0) {
        return 0;
    }
    size_t least = secret.len < REDACT_PART ? secret.len : REDACT_PART;
    size_t longest = 0;
    for (size_t from = 0; from + least <= secret.len; from++) {
        size_t same = 0;
        while (same < text.len && from + same < secret.len &&
               text.ptr[same] == secret.ptr[from + same]) {
            same++;
        }
        longest = same > longest ? same : longest;
    }
    return longest >= least ? longest : 0;
}

static size_t text_clean(struct dyn_str text, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < size; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c > 0x7f) {
            out[len++] = '?';
        } else if (c > ' ' && c != 0x7f) {
            out[len++] = text.ptr[i];
        } else if (len > 0 && out[len - 1] != ' ') {
            out[len++] = ' ';
        }
    }
    return len;
}

void redact(char *out, size_t size, struct dyn_str text, const struct dyn_str *secrets,
            size_t secrets_count)
{
    char clean[REDACT_TEXT_MAX];
    struct dyn_str rest = {clean, text_clean(text, clean, sizeof clean)};
    struct dyn_buf shown;
    dyn_buf_init(&shown, REDACT_TEXT_MAX * sizeof hidden);
    while (rest.len > 0 && shown.len < size) {
        size_t longest = 0;
        for (size_t i = 0; i < secrets_count; i++) {
            size_t len = secret_prefix(rest, secrets[i]);
            longest = len > longest ? len : longest;
        }
        if (longest > 0) {
            (void)dyn_buf_add_str(&shown, dyn_str_from(hidden));
        } else {
            (void)dyn_buf_add(&shown, rest.ptr, 1);
            longest = 1;
        }
        rest.ptr += longest;
        rest.len -= longest;
    }
    dyn_str_copy(out, size, dyn_str_trim(dyn_buf_str(&shown)));
    dyn_buf_fini(&shown);
    explicit_bzero(clean, sizeof clean);
}
