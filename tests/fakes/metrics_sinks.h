/*
 * metrics_sinks: the APIs that sinks tell, in fake-metrics.
 */
#ifndef TESTS_FAKES_METRICS_SINKS_H
#define TESTS_FAKES_METRICS_SINKS_H

#include "metrics_fake.h"

vendor_fn bugsnag_serve;
vendor_fn cronut_serve;
vendor_fn healthcheck_serve;
vendor_fn librato_serve;
vendor_fn pagerduty_serve;
vendor_fn ses_serve;
vendor_fn slack_serve;
vendor_fn webhook_serve;

/** Characters of UTF-8 text. */
size_t characters_of(const char *text);
bool is_one_of(const char *text, const char *const *list); /* NULL-ended */
/** Members of the object that are not in `known` (NULL-ended) are noted. */
void members_judge(const struct ask *ask, json_t *object, const char *const *known);
/** Whether it is a POST of that type; if not, that is noted. */
bool post_judge(const struct ask *ask, const char *type);

#endif
