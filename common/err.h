/*
 * err: the results of everything that can fail.
 *
 * The second column is what a caller does with it when it has no better idea:
 * RETRY later, DROP the one thing at hand, or STOP the program. The code travels
 * by return; the words, where an object has any, stand in a dyn_error that the
 * caller provides.
 */
#ifndef DYN_COMMON_ERR_H
#define DYN_COMMON_ERR_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define DYN_ERR_MAP(X)                                  \
    X(DYN_NOMEM, STOP, "out of memory")                 \
    X(DYN_BADMSG, DROP, "malformed input")              \
    X(DYN_TOOBIG, DROP, "over its bound")               \
    X(DYN_RANGE, DROP, "out of range")                  \
    X(DYN_NOTFOUND, DROP, "not found")                  \
    X(DYN_EXISTS, DROP, "already there")                \
    X(DYN_REFUSED, DROP, "refused by the other side")   \
    X(DYN_FENCED, DROP, "another holder has the lease") \
    X(DYN_UNKEPT, RETRY, "too few replicas have it")    \
    X(DYN_BUSY, RETRY, "busy")                          \
    X(DYN_TIMEOUT, RETRY, "timed out")                  \
    X(DYN_IO, RETRY, "input/output error")              \
    X(DYN_CLOSED, RETRY, "connection lost")             \
    X(DYN_CANCELLED, DROP, "cancelled")                 \
    X(DYN_CONFIG, STOP, "wrong configuration")          \
    X(DYN_UNSUPPORTED, STOP, "not supported by this build")

typedef enum dyn_err {
    DYN_OK = 0,
#define X(code, advice, text) code,
    DYN_ERR_MAP(X)
#undef X
} dyn_err;

enum dyn_advice {
    DYN_ADVICE_NONE,
    DYN_ADVICE_RETRY,
    DYN_ADVICE_DROP,
    DYN_ADVICE_STOP
};

#define DYN_NODISCARD __attribute__((warn_unused_result))
#define DYN_PRINTF(nth, first) __attribute__((format(printf, nth, first)))

/** The words for a code; never NULL, static. */
const char *dyn_err_text(dyn_err err);
enum dyn_advice dyn_err_advice(dyn_err err);

/** What a person reads of a failure: what happened, where, what was expected, what to do. */
#define DYN_ERROR_TEXT_MAX 512
struct dyn_error {
    char text[DYN_ERROR_TEXT_MAX];
};

/**
 * Write the words of a failure and hand the code back, so that a failing function ends in
 * `return dyn_error_set(error, DYN_RANGE, "...")`. `error` may be NULL. Cut, never overrun.
 */
dyn_err dyn_error_set(struct dyn_error *error, dyn_err code, const char *format, ...)
    DYN_PRINTF(3, 4);

/**
 * A condition that only a mistake of ours can break. Checked in every build. Never for what
 * arrives from a bus, a file, a server or a person.
 */
#define DYN_ASSERT(condition)                                            \
    do {                                                                 \
        if (!(condition)) {                                              \
            dyn_assert_failed(#condition, __FILE__, __LINE__, __func__); \
        }                                                                \
    } while (0)

_Noreturn void dyn_assert_failed(const char *condition, const char *file, int line,
                                 const char *function);

/**
 * There is no memory for something that the program cannot go on without: says so and exits with 1.
 * Leases that are held stand still then, and others take over. For the few places where a failure
 * cannot be handed on.
 */
_Noreturn void dyn_out_of_memory(const char *what_for);

#endif
