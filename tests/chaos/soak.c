#include "chaos.h"
void soak_run(const struct chaos_options *options, const char *folder)
{
    (void)options;
    (void)folder;
}
