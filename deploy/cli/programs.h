/*
 * programs: where the programs that `dynosaur FILE` starts are found.
 */
#ifndef DYN_CLI_PROGRAMS_H
#define DYN_CLI_PROGRAMS_H

#include "common/str.h"

#define PROGRAM_PATH_MAX 4096

/** This very program's path. */
DYN_NODISCARD dyn_err program_self(char *out, struct dyn_error *error);
/** Beside this program, in the `services` folder beside its folder (a build tree), or in PATH. */
DYN_NODISCARD dyn_err program_find(const char *self, const char *name, char *out,
                                   struct dyn_error *error);

#endif
