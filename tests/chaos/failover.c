#include "chaos.h"
void failover_run(const struct chaos_options *options, const char *folder)
{
    (void)options;
    (void)folder;
}
