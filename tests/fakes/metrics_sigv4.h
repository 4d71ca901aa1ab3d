/*
 * metrics_sigv4: the judge of AWS signatures.
 */
#ifndef TESTS_FAKES_METRICS_SIGV4_H
#define TESTS_FAKES_METRICS_SIGV4_H

#include "metrics_sinks.h"

struct sigv4_wanted {
    const char *key;
    const char *secret;
    const char *token; /* NULL: none */
    const char *region;
    const char *unknown_key; /* what the API calls a key that it does not know */
};

struct sigv4_refusal {
    unsigned status;
    const char *code;
    char message[2048];
};

/** Whether the request, of this path and without a query, is signed for SES; if not, why. */
bool sigv4_verify(const struct ask *ask, const char *path, const struct sigv4_wanted *wanted,
                  struct sigv4_refusal *refusal);

#endif
