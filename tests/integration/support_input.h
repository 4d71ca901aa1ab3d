/*
 * support_input: one input as the collector runs it, read on demand: the real source under its real
 * host, its keys read from text by the real reader, HTTP over the real client.
 *
 * Threads: one. One input at a time.
 */
#ifndef DYN_TESTS_SUPPORT_INPUT_H
#define DYN_TESTS_SUPPORT_INPUT_H

#include "collector/source_host.h"

struct input_sample {
    enum sample_status status;
    double value;
    char words[DYN_REASON_MAX + 1];
};

void input_setup(void);
void input_teardown(void);

/** Set the input up: its keys but `name`, as they stand between { and } in the file. What was
 *  there before goes. Fails the test when the configuration is refused. */
void input_configure(const char *format, ...) DYN_PRINTF(1, 2);
/** The words of a configuration that is refused; fails the test when it is not. */
const char *input_refused(const char *format, ...) DYN_PRINTF(1, 2);
/** Whether `check` warns in words that hold this; "" is in all. */
bool input_warns(const char *words);
const char *input_disabled(void); /* why; NULL when it is not */

/** One reading, awaited; fails the test when no sample comes within 20 s. */
struct input_sample input_read(void);
/** The same at a time of the test's own. */
struct input_sample input_read_at(int64_t now_ms, int64_t wall_ms);
/** Begin a reading, give it up at once, and let what is under way end. */
void input_give_up(void);

/** Whether it is good and exactly that. Fails the test otherwise. */
void input_is(struct input_sample sample, double value);
/** Whether it is an error whose words hold that. Fails the test otherwise. */
void input_fails(struct input_sample sample, const char *words);

/** Milliseconds of the loop's clock, which input_read() polls with. */
int64_t input_now_ms(void);

#endif
