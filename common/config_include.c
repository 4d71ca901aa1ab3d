#include "common/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static dyn_err fd_read(int fd, const char *path, struct dyn_buf *out, struct dyn_error *error)
{
    for (;;) {
        char chunk[16384];
        ssize_t got = read(fd, chunk, sizeof(chunk));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return dyn_error_set(error, DYN_CONFIG, "%s: cannot be read: %s", path,
                                 strerror(errno));
        }
        if (got == 0) {
            return DYN_OK;
        }
        if (dyn_buf_add(out, chunk, (size_t)got) != DYN_OK) {
            return dyn_error_set(error, DYN_CONFIG,
                                 "%s: found more than %zu bytes, expected a "
                                 "smaller file",
                                 path, out->max);
        }
    }
}

dyn_err config_file_read(const char *path, bool regular_only, struct dyn_buf *out,
                         struct dyn_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular_only ? O_NONBLOCK : 0));
    struct stat status;
    dyn_err err;

    if (fd < 0) {
        return dyn_error_set(error, DYN_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (fstat(fd, &status) == 0 && regular_only && !S_ISREG(status.st_mode)) {
        err = dyn_error_set(error, DYN_CONFIG, "%s: found something else, expected a plain file",
                            path);
    } else {
        err = fd_read(fd, path, out, error);
    }
    (void)close(fd);
    return err;
}

/* Whether the real path lies below the directory; both are canonical. */
static bool path_within(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    if (len == 1) {
        return path[0] == '/';
    }
    return strncmp(path, directory, len) == 0 && path[len] == '/';
}

static bool pattern_climbs(const char *pattern)
{
    const char *at = pattern;

    while (at != NULL) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0')) {
            return true;
        }
        at = strchr(at, '/');
    }
    return false;
}

/* The directory's own name may hold characters that a pattern would take for its own. */
static void escaped_add(struct dyn_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("*?[]\\", *text) != NULL) {
            (void)dyn_buf_add(out, "\\", 1);
        }
        (void)dyn_buf_add(out, text, 1);
    }
}

static dyn_err
file_include(struct config_loader *loader, const struct config_node *pattern, const char *path,
             dyn_err (*each)(struct config_loader *loader, const struct config_node *root))
{
    const char *below = path + strlen(loader->directory) + (strcmp(loader->directory, "/") != 0);
    const char *shown = config_arena_printf(loader->arena, "%s%s", loader->shown_directory, below);
    struct config_tree tree = {.file = shown};
    char real[PATH_MAX];
    struct dyn_buf text;
    dyn_err err;

    if (realpath(path, real) == NULL) {
        return config_refuse(loader, pattern, "found %s, expected a file that can be read: %s",
                             shown, strerror(errno));
    }
    if (!path_within(real, loader->directory)) {
        return config_refuse(loader, pattern,
                             "found %s, which leads out of the directory of %s, expected a file "
                             "within it",
                             shown, loader->owned->config.file);
    }
    if (strcmp(real, loader->real_file) == 0) {
        return DYN_OK;
    }
    if (++loader->files > DYN_CONFIG_FILES_MAX) {
        return config_refuse(loader, pattern, "found more than %d files, expected at most that",
                             DYN_CONFIG_FILES_MAX);
    }
    dyn_buf_init(&text, DYN_CONFIG_FILE_MAX);
    err = config_file_read(real, true, &text, loader->error);
    if (err == DYN_OK) {
        err = config_tree_parse(&tree, shown, dyn_buf_str(&text), loader->error);
    }
    if (err == DYN_OK) {
        err = each(loader, tree.root);
    }
    config_tree_fini(&tree);
    dyn_buf_wipe(&text);
    return err;
}

static dyn_err
matches_include(struct config_loader *loader, const struct config_node *pattern, const char *full,
                dyn_err (*each)(struct config_loader *loader, const struct config_node *root))
{
    glob_t found = {0};
    dyn_err err = DYN_OK;
    int result = glob(full, 0, NULL, &found);

    if (result == GLOB_NOMATCH && strpbrk(pattern->text, "*?[") != NULL) {
        config_warn(loader, pattern, "matches no file");
    } else if (result != 0) {
        err = config_refuse(loader, pattern, "found no file \"%s%s\", expected one that exists",
                            loader->shown_directory, pattern->text);
    }
    for (size_t i = 0; result == 0 && i < found.gl_pathc && err == DYN_OK; i++) {
        err = file_include(loader, pattern, found.gl_pathv[i], each);
    }
    globfree(&found);
    return err;
}

dyn_err config_include(struct config_loader *loader, const struct config_node *pattern,
                       dyn_err (*each)(struct config_loader *loader,
                                       const struct config_node *root))
{
    struct dyn_buf full;
    dyn_err err;

    if (pattern->kind != CONFIG_NODE_SCALAR || pattern->template != NULL ||
        pattern->text[0] == '\0') {
        return config_refuse(loader, pattern, "found %s, expected a path such as apps/*.yaml",
                             pattern->kind == CONFIG_NODE_SCALAR ? "a variable or nothing"
                                                                 : "a list or map");
    }
    if (loader->directory == NULL) {
        return config_refuse(loader, pattern, "found a file to include, expected none here");
    }
    if (pattern->text[0] == '/' || pattern_climbs(pattern->text)) {
        return config_refuse(loader, pattern,
                             "found \"%s\", which leads out of the directory of %s, expected a "
                             "path within it",
                             pattern->text, loader->owned->config.file);
    }
    dyn_buf_init(&full, (size_t)4 * PATH_MAX);
    escaped_add(&full, strcmp(loader->directory, "/") != 0 ? loader->directory : "");
    (void)dyn_buf_addf(&full, "/%s", pattern->text);
    err = dyn_buf_result(&full);
    if (err == DYN_OK) {
        err = matches_include(loader, pattern, dyn_buf_text(&full), each);
    } else {
        err = config_refuse(loader, pattern, "found a path that is too long");
    }
    dyn_buf_fini(&full);
    return err;
}
