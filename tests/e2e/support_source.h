/*
 * support_source: a metric API that does as it is told, for http_json inputs; and a script for exec
 * inputs that does the same.
 *
 * The server's thread lives until the process ends. Path /N answers as source N was told last,
 * {"value": X} when good.
 */
#ifndef DYN_TESTS_SUPPORT_SOURCE_H
#define DYN_TESTS_SUPPORT_SOURCE_H

#include "../integration/support_program.h"

#include <stddef.h>
#include <stdint.h>

#define SOURCES_MAX 16

enum source_way {
    SOURCE_GOOD,
    SOURCE_ERROR,   /* 500 with a number in it; the program exits with 1 after a number */
    SOURCE_GARBAGE, /* 200 and no JSON; words */
    SOURCE_NOTHING, /* the connection closes; no output */
    SOURCE_ABSENT,  /* JSON without the number; an empty line */
    SOURCE_HANG,    /* no answer; the program sleeps */
};

/** Listen on a free port of 127.0.0.1, which is returned. Every source is good and says 0. */
int source_server_start(void);
void source_say(unsigned source, enum source_way way, double value);

/* One good answer that went out. */
struct source_served {
    int64_t at_ms; /* wall clock */
    unsigned source;
    double value;
};
/** All good answers so far, oldest first; the caller frees them. */
struct source_served *source_record(size_t *out_count);

/** A script for `command: [/bin/sh, PATH]`. */
void source_script(struct support_file *script, enum source_way way, double value);

#endif
