/* json_text: the same facts for programs: `status --json` and `explain --json`. */
#ifndef DYN_CLI_JSON_TEXT_H
#define DYN_CLI_JSON_TEXT_H

#include "deploy/cli/explain_text.h"
#include "deploy/cli/fleet.h"

#include <jansson.h>

/** A new object; NULL: no memory. */
json_t *json_of_facts(const struct explain_facts *facts);
json_t *json_of_fleet(const struct fleet *fleet);

#endif
