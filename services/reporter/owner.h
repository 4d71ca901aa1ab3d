/*
 * owner: the one place that says which reporter serves which part of which sink.
 *
 * A sink's part is a partition's reports, or OWNER_GLOBAL: its events and actions. At present there
 * is one reporter, and it owns every part.
 */
#ifndef DYN_REPORTER_OWNER_H
#define DYN_REPORTER_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define OWNER_GLOBAL UINT32_MAX

bool owner_has(const char *sink, uint32_t partition);

#endif
