/*
 * chaos: the modes of the program.
 *
 * Each mode runs in a process of its own under libcheck, so that what the e2e tests assert with
 * fails it; its files are in a directory of its own, which is kept when it fails.
 */
#ifndef DYN_TESTS_CHAOS_CHAOS_H
#define DYN_TESTS_CHAOS_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#define CHAOS_TIMES_MAX 80

struct chaos_options {
    int episodes, jobs;
    uint64_t seed;
    unsigned copies;
    bool story;  /* print the story of each episode, not only of failing ones */
    int minutes; /* of a soak */
    int times;   /* repetitions of failover and sentinel */
    bool keep;   /* directories of what passed as well */
};

/** One episode, soak and so on, in the process that calls; true when nothing was violated. */
bool chaos_run(void (*body)(const struct chaos_options *options, const char *folder),
               const struct chaos_options *options, const char *folder, int timeout_s);

void episode_run(const struct chaos_options *options, const char *folder); /* of options->seed */
void soak_run(const struct chaos_options *options, const char *folder);
void sentinel_run(const struct chaos_options *options, const char *folder);
void failover_run(const struct chaos_options *options, const char *folder);

#endif
