#include "support_cli.h"

#include "common/str.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)64 * 1024 * 1024)

static char directory[64];
static struct dyn_buf output;
static struct dyn_buf content;

void cli_setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/dynosaur-cli-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    dyn_buf_init(&output, TEXT_MAX);
    dyn_buf_init(&content, TEXT_MAX);
}

void cli_teardown(void)
{
    DIR *dir = opendir(directory);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            ck_assert_int_eq(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(directory), 0);
    dyn_buf_fini(&output);
    dyn_buf_fini(&content);
}

const char *cli_path(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

void cli_write(const char *name, const char *format, ...)
{
    FILE *file = fopen(cli_path(name), "w");
    ck_assert_ptr_nonnull(file);
    struct dyn_buf text;
    dyn_buf_init(&text, TEXT_MAX);
    va_list args;
    va_start(args, format);
    dyn_buf_vaddf(&text, format, args);
    va_end(args);
    ck_assert_int_eq(dyn_buf_result(&text), DYN_OK);
    ck_assert_uint_eq(fwrite(dyn_buf_text(&text), 1, text.len, file), text.len);
    dyn_buf_fini(&text);
    ck_assert_int_eq(fclose(file), 0);
}

static void read_all(FILE *file, struct dyn_buf *out)
{
    char chunk[4096];
    dyn_buf_clear(out);
    for (size_t got = 1; got > 0;) {
        got = fread(chunk, 1, sizeof(chunk), file);
        dyn_buf_add(out, chunk, got);
    }
    ck_assert_int_eq(dyn_buf_result(out), DYN_OK);
}

const char *cli_read(const char *name)
{
    FILE *file = fopen(cli_path(name), "r");
    ck_assert_msg(file != NULL, "there is no %s; the program said: %s", name, cli_output());
    read_all(file, &content);
    fclose(file);
    return dyn_buf_text(&content);
}

int cli_run(const char *format, ...)
{
    const char *build = getenv("DYN_BUILD");
    ck_assert_msg(build != NULL, "DYN_BUILD must name the build directory");
    struct dyn_buf command;
    dyn_buf_init(&command, 8192);
    dyn_buf_addf(&command, "cd '%s' && '%s/deploy/dynosaur' ", directory, build);
    va_list args;
    va_start(args, format);
    dyn_buf_vaddf(&command, format, args);
    va_end(args);
    dyn_buf_addf(&command, " 2>&1 </dev/null");
    ck_assert_int_eq(dyn_buf_result(&command), DYN_OK);
    /* As a shell would is the point of it. NOLINTNEXTLINE(cert-env33-c) */
    FILE *pipe = popen(dyn_buf_text(&command), "r");
    dyn_buf_fini(&command);
    ck_assert_ptr_nonnull(pipe);
    read_all(pipe, &output);
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *cli_output(void)
{
    return dyn_buf_text(&output);
}
