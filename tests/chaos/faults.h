/*
 * faults: what can be done to a scene, drawn by dice, begun and ended at its time.
 */
#ifndef DYN_TESTS_CHAOS_FAULTS_H
#define DYN_TESTS_CHAOS_FAULTS_H

#include "scene.h"

#define FAULTS_MAX 4

enum fault_kind {
    FAULT_KILL,        /* kill -9, and a restart as a supervisor's */
    FAULT_STOP,        /* SIGSTOP, then SIGCONT */
    FAULT_LINK,        /* the way to Redis of one program */
    FAULT_LINKS,       /* of both copies of a program */
    FAULT_CLOCK,       /* a program's wall clock steps, and stays so */
    FAULT_REDIS_KILL,  /* kill -9, and a restart from the AOF */
    FAULT_REDIS_STOP,  /* SIGSTOP, then SIGCONT */
    FAULT_REDIS_CLOCK, /* the wall clock of Redis steps, and stays so or goes back */
    FAULT_FLUSH,       /* FLUSHALL, and the setup anew */
    FAULT_DELETE,      /* DEL of a stream */
    FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    enum fleet_part part;
    unsigned copy;
    int at_ms, for_ms; /* since the demand began */
    int what;          /* which way of it; meaning by kind */
    int ms;            /* of a delay, of the time until a restart */
    int64_t over_ms;   /* wall clock, once it is over */
    enum {
        FAULT_WAITS,
        FAULT_HAPPENS,
        FAULT_OVER
    } state;
};

/** Draw one that begins in [0, last_ms]. */
struct fault fault_draw(struct dice *dice, const struct scene *scene, int last_ms);
/** Begin or end it when it is time; `age_ms` since the demand began. */
void fault_step(struct scene *scene, struct fault *fault, int64_t age_ms);

/** State of Redis is lost, or its log's time is not elapsed time: the tape proves nothing. */
bool fault_spoils_tape(const struct fault *fault);
/** It keeps collectors from their work. */
bool fault_hits_collectors(const struct fault *fault);
/** How long what is known may be old because of it. */
int fault_slows_ms(const struct scene *scene, const struct fault *fault);

#endif
