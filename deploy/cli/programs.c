#include "deploy/cli/programs.h"

#include <errno.h>
#include <unistd.h>

dyn_err program_self(char *out, struct dyn_error *error)
{
    ssize_t length = readlink("/proc/self/exe", out, PROGRAM_PATH_MAX - 1);
    if (length <= 0) {
        return dyn_error_set(error, DYN_IO, "cannot tell where this program lies: %s",
                             strerror(errno));
    }
    out[length] = '\0';
    return DYN_OK;
}

static bool is_program(char *out, struct dyn_str directory, const char *between, const char *name)
{
    int length =
        snprintf(out, PROGRAM_PATH_MAX, DYN_STR_FMT "%s/%s", DYN_STR_ARG(directory), between, name);
    return length > 0 && length < PROGRAM_PATH_MAX && access(out, X_OK) == 0;
}

static bool path_search(const char *name, char *out)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, ":");
        if (length > 0 && is_program(out, (struct dyn_str){at, length}, "", name)) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

dyn_err program_find(const char *self, const char *name, char *out, struct dyn_error *error)
{
    const char *slash = strrchr(self, '/');
    struct dyn_str folder = {self, slash != NULL ? (size_t)(slash - self) : 0};
    char found[PROGRAM_PATH_MAX];
    if (!is_program(found, folder, "", name) && !is_program(found, folder, "/../services", name) &&
        !path_search(name, found)) {
        return dyn_error_set(error, DYN_NOTFOUND,
                             "the program %s is missing: it was looked for in " DYN_STR_FMT
                             " and in PATH",
                             name, DYN_STR_ARG(folder));
    }
    dyn_str_copy(out, PROGRAM_PATH_MAX, dyn_str_from(found));
    return DYN_OK;
}
