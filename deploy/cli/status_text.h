/*
 * status_text: how a fleet stands, trouble first. No I/O.
 */
#ifndef DYN_CLI_STATUS_TEXT_H
#define DYN_CLI_STATUS_TEXT_H

#include "deploy/cli/explain_text.h"
#include "deploy/cli/fleet.h"

/** The facts of one controller, without actions. */
struct explain_facts status_facts(const struct fleet *fleet,
                                  const struct fleet_controller *controller);

/** Trouble, or one line that says that there is none; with `all` every controller after it. */
void status_text(struct dyn_buf *out, const struct fleet *fleet, bool all);

/** The view that `dynosaur watch` draws again and again: every input and controller, a line each.
 *  `width` 0: whole lines, else they are cut. */
void status_view(struct dyn_buf *out, const struct fleet *fleet, size_t width);

#endif
