/*
 * heroku_state: the world as a document, read from --state and POST /state, shown by GET /state.
 */
#ifndef TESTS_FAKES_HEROKU_STATE_H
#define TESTS_FAKES_HEROKU_STATE_H

#include "heroku_world.h"

/** True when every key of `object` is one of `known` (ended by NULL); else words in `error`. */
bool keys_known(json_t *object, const char *const *known, char error[WORDS_SIZE]);

/**
 * Makes the world as the document says, and leaves alone what it does not name. False, with words
 * in `error`, at the first thing wrong; what came before it stays applied.
 */
bool state_merge(struct world *world, json_t *document, char error[WORDS_SIZE]);

/** The whole world, in the form that state_merge reads, with figures added. The caller owns it. */
json_t *state_dump(const struct world *world);

#endif
