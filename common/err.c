#include "common/err.h"

#include <stdarg.h>

const char *dyn_err_text(dyn_err err)
{
    switch (err) {
    case DYN_OK:
        return "ok";
#define X(code, advice, text) \
    case code:                \
        return text;
        DYN_ERR_MAP(X)
#undef X
    }
    return "unknown error";
}

enum dyn_advice dyn_err_advice(dyn_err err)
{
    static const enum dyn_advice advices[] = {[DYN_OK] = DYN_ADVICE_NONE,
#define X(code, advice, text) [code] = DYN_ADVICE_##advice,
                                              DYN_ERR_MAP(X)
#undef X
    };
    DYN_ASSERT((size_t)err < sizeof advices / sizeof advices[0]);
    return advices[err];
}

dyn_err dyn_error_set(struct dyn_error *error, dyn_err code, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return code;
}

_Noreturn void dyn_assert_failed(const char *condition, const char *file, int line,
                                 const char *function)
{
    (void)fprintf(stderr, "level=error event=assertion_failed at=%s:%d in=%s msg=\"%s\"\n", file,
                  line, function, condition);
    abort();
}

_Noreturn void dyn_out_of_memory(const char *what_for)
{
    (void)fprintf(stderr, "level=error event=out_of_memory msg=\"out of memory for %s\"\n",
                  what_for);
    exit(1);
}
