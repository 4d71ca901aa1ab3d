/*
 * Any bytes as a configuration: refused with words, or loaded, printed and freed.
 */
#include "common/config_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *sink;
    struct dyn_error error = {""};
    struct config *config;

    if (sink == NULL) {
        sink = fopen("/dev/null", "w");
        DYN_ASSERT(sink != NULL);
    }
    config = config_load_text("fuzz", (struct dyn_str){(const char *)data, size}, &error);
    if (config == NULL) {
        DYN_ASSERT(error.text[0] != '\0');
        return 0;
    }
    DYN_ASSERT(config->apps_count > 0);
    config_print(config, sink);
    config_free(config);
    return 0;
}
