/*
 * poller: the schedule and the hosts of the inputs that are ours, on one loop.
 *
 * Every reading ends in one call of `sample`. A new configuration takes the place of the old one
 * input by input: what reads the same thing as often keeps its place in the schedule and, unless
 * it has secrets, its source. When other inputs become ours, those that stay so keep both; a
 * reading of one that is let go still ends.
 *
 * Cost: an input that is not ours costs nothing but at poller_configure() and poller_share(), which
 *       ask `owns` once an input and sort those that are ours.
 *
 * Ownership: the configuration must live until the next poller_configure() returned, or
 *            poller_free().
 * Threads:   the loop thread only.
 */
#ifndef DYN_COLLECTOR_POLLER_H
#define DYN_COLLECTOR_POLLER_H

#include "collector/source.h"

struct poller;

struct poller_input {
    const struct config_app *app;
    const struct config_controller *controller;
    const struct config_input *input;
};

struct poller_options {
    struct dyn_loop *loop;
    struct http_client *http;
    struct bus *bus; /* for sources; NULL, with `prefix`: none */
    const char *prefix;
    /** Whether the input of that series is ours; NULL: all are. */
    bool (*owns)(void *arg, uint64_t series);
    /** A reading has ended, as source_host_options has it; `words` lives during the call. Never
     * from inside poller_configure() or poller_share(). */
    void (*sample)(void *arg, const struct poller_input *of, enum sample_status status,
                   double value, struct dyn_str words);
    /** An input's source cannot be set up; `why` NULL: it can be again. From poller_configure()
     *  and poller_share(). */
    void (*disabled)(void *arg, const struct poller_input *of, const char *why);
    void *arg;
};

struct poller_counts {
    uint64_t polls;
    uint64_t ended[SAMPLE_STATUS_COUNT]; /* by status */
    uint64_t skipped;                    /* turns */
    uint64_t stray;  /* answers to nothing, of inputs that are there no more, too */
    int64_t late_ms; /* the last poll behind its turn */
    uint64_t taken;  /* inputs that poller_share() took up */
    uint64_t let_go; /* and let go */
    uint32_t inputs; /* ours */
    uint32_t disabled;
    uint32_t reading; /* under way now */
};

struct poller *poller_new(const struct poller_options *options); /* NULL: no memory */
void poller_free(struct poller *poller); /* before its http client; readings are given up */

/** DYN_NOMEM: some inputs are missing; the configuration is the new one all the same. */
DYN_NODISCARD dyn_err poller_configure(struct poller *poller, const struct config *config);

/** What `owns` says has changed. Inputs that are ours from now on are read first within first_ms.
 *  DYN_NOMEM: some inputs are missing, or nothing has changed. */
DYN_NODISCARD dyn_err poller_share(struct poller *poller, const struct config *config,
                                   int64_t first_ms);

/** Begin no further reading; those under way still end. */
void poller_stop(struct poller *poller);

const struct poller_counts *poller_counts(struct poller *poller);

#endif
