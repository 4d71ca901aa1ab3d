/*
 * mail: several events and actions as one message for people, as plain text and as HTML. No I/O.
 *
 * The lists are bounded: what is too much for a mail is counted.
 */
#ifndef DYN_REPORTER_SINKS_MAIL_H
#define DYN_REPORTER_SINKS_MAIL_H

#include "reporter/sink.h"

#define MAIL_LINES_MAX 50 /* told one by one; more are only counted */
#define MAIL_KINDS_MAX 32 /* of events, counted apart; the others together */

struct mail_kind {
    char code[64];
    uint64_t raised; /* repeats that were not told included */
    uint64_t over;
};

struct mail {
    const char *prefix; /* of the subject */
    struct dyn_buf lines;
    struct dyn_buf subject;
    struct dyn_buf text;
    struct dyn_buf html;
    struct mail_kind kinds[MAIL_KINDS_MAX];
    size_t kinds_count;
    uint64_t count; /* of all that was added */
    uint64_t told;
    uint64_t over;
    char first[200]; /* what the only one is, for the subject */
};

void mail_init(struct mail *mail, const char *prefix);
void mail_fini(struct mail *mail);
void mail_begin(struct mail *mail);
void mail_add(struct mail *mail, const struct sink_delivery *delivery);
bool mail_is_empty(const struct mail *mail);
/** Nothing more is added; the parts below can be had, until mail_begin(). */
void mail_close(struct mail *mail);
struct dyn_str mail_subject(const struct mail *mail); /* one line */
struct dyn_str mail_text(const struct mail *mail);
struct dyn_str mail_html(const struct mail *mail);

#endif
