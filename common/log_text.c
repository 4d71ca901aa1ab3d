/* Values of log lines. Writes no line. */
#include "common/log.h"

enum {
    QUOTED_MAX = 1024, /* bytes of one quoted value */
    QUOTED_RING = 8
};

/* Writes at most 7 bytes and a NUL; returns how many without it. */
static size_t char_escape(char c, char out[8])
{
    unsigned char byte = (unsigned char)c;
    int len = 0;
    if (c == '"' || c == '\\') {
        len = snprintf(out, 8, "\\%c", c);
    } else if (c == '\n') {
        len = snprintf(out, 8, "\\n");
    } else if (c == '\t') {
        len = snprintf(out, 8, "\\t");
    } else if (c == '\r') {
        len = snprintf(out, 8, "\\r");
    } else if (byte < 0x20 || byte == 0x7f) {
        len = snprintf(out, 8, "\\u%04x", byte);
    } else {
        out[0] = c;
        len = 1;
    }
    return (size_t)len;
}

const char *dyn_log_quoted(const char *text)
{
    static _Thread_local char ring[QUOTED_RING][QUOTED_MAX];
    static _Thread_local unsigned next;
    static const char cut[] = "...\"";
    char *out = ring[next++ % QUOTED_RING];
    size_t len = 0;
    out[len++] = '"';
    for (const char *c = text != NULL ? text : ""; *c != '\0'; c++) {
        char escaped[8];
        size_t more = char_escape(*c, escaped);
        /* Room stays for the mark of a cut; a cut never falls inside an escape or a character. */
        bool starts = ((unsigned char)*c & 0xC0) != 0x80;
        if (len + more > QUOTED_MAX - sizeof cut - (starts ? 4 : 0)) {
            memcpy(out + len, cut, sizeof cut);
            return out;
        }
        memcpy(out + len, escaped, more);
        len += more;
    }
    out[len++] = '"';
    out[len] = '\0';
    return out;
}

void dyn_log_field(struct dyn_buf *out, const char *key, struct dyn_str value)
{
    char text[DYN_ERROR_TEXT_MAX + 1];
    if (value.len == 0) {
        return;
    }
    dyn_str_copy(text, sizeof text, value);
    bool plain = true;
    for (const char *at = text; *at != '\0'; at++) {
        plain = plain && (unsigned char)*at > ' ' && *at != 0x7f && strchr("\"=\\", *at) == NULL;
    }
    (void)dyn_buf_addf(out, "%s=%s ", key, plain ? text : dyn_log_quoted(text));
}
