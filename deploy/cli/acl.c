/* `dynosaur acl`: the users of a Redis, one for each role, and their passwords. */
#include "deploy/cli/acl_rules.h"
#include "deploy/cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPTION_OUT,
    OPTION_PREFIX,
    PATH_SIZE = 4096,
    PASSWORD_MAX = 1024, /* as long as a Redis URL may hold */
    PASSWORD_BYTES = 32, /* of randomness in those made here */
    USERS_MAX = 65536
};

struct acl {
    const struct cli_command *command;
    const char *directory;
    const char *prefix;
    struct acl_hash hashes[ACL_ROLES];
    bool made[ACL_ROLES];
};

static bool path_make(const struct acl *acl, const char *name, const char *suffix, char *out)
{
    int length = snprintf(out, PATH_SIZE, "%s/%s%s", acl->directory, name, suffix);
    return length > 0 && length < PATH_SIZE;
}

/* ---- passwords ---- */

/* The file's content without its last newline. */
static dyn_err password_read(int fd, struct dyn_buf *out)
{
    ssize_t got = 1;
    while (got > 0) {
        char *room = dyn_buf_reserve(out, 256);
        got = room != NULL ? read(fd, room, 256) : -1;
        if (got > 0) {
            dyn_buf_commit(out, (size_t)got);
        }
    }
    if (out->len > 0 && out->ptr[out->len - 1] == '\n') {
        out->len--;
    }
    bool good = got == 0 && out->len > 0 && out->len <= PASSWORD_MAX &&
                memchr(out->ptr, '\n', out->len) == NULL;
    return good ? DYN_OK : DYN_BADMSG;
}

static dyn_err password_make(int fd, struct dyn_buf *out)
{
    unsigned char bytes[PASSWORD_BYTES];
    if (getentropy(bytes, sizeof bytes) != 0) {
        return DYN_IO;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)dyn_buf_addf(out, "%02x", bytes[i]);
    }
    explicit_bzero(bytes, sizeof bytes);
    bool good = dyn_buf_result(out) == DYN_OK &&
                write(fd, out->ptr, out->len) == (ssize_t)out->len && write(fd, "\n", 1) == 1;
    return good ? DYN_OK : DYN_IO;
}

/* What stands in ROLE.password, or a new one in it. */
static int password_take(struct acl *acl, size_t role, struct dyn_buf *out)
{
    char path[PATH_SIZE];
    if (!path_make(acl, acl_roles[role].name, ".password", path)) {
        return cli_usage(acl->command, "the name of DIR is too long");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        acl->made[role] = fd >= 0;
    }
    if (fd < 0) {
        return cli_failed(acl->command, "%s: %s", path, strerror(errno));
    }
    dyn_err err = acl->made[role] ? password_make(fd, out) : password_read(fd, out);
    bool closed = close(fd) == 0;
    if (acl->made[role] && (err != DYN_OK || !closed)) {
        (void)unlink(path); /* half a password would be taken as one */
        return cli_failed(acl->command, "%s: it could not be written", path);
    }
    if (err != DYN_OK) {
        return cli_failed(acl->command, "%s: expected one line of 1 to %d bytes, the password",
                          path, PASSWORD_MAX);
    }
    return CLI_DONE;
}

static int passwords_take(struct acl *acl)
{
    int status = CLI_DONE;
    for (size_t i = 0; i < ACL_ROLES && status == CLI_DONE; i++) {
        struct dyn_buf password;
        dyn_buf_init(&password, 2 * PASSWORD_MAX);
        status = password_take(acl, i, &password);
        if (status == CLI_DONE &&
            dyn_sha256_hex(dyn_buf_str(&password), acl->hashes[i].hex) != DYN_OK) {
            status = cli_failed(acl->command, "out of memory");
        }
        dyn_buf_wipe(&password);
    }
    return status;
}

/* ---- users.acl ---- */

/* Beside its place and renamed: a Redis that loads it meanwhile finds a whole one. */
static int users_write(const struct acl *acl, struct dyn_str text)
{
    char path[PATH_SIZE];
    char part[PATH_SIZE];
    if (!path_make(acl, "users.acl", "", path) || !path_make(acl, "users.acl", ".part", part)) {
        return cli_usage(acl->command, "the name of DIR is too long");
    }
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return cli_failed(acl->command, "%s: %s", part, strerror(errno));
    }
    bool good = write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    if (!good || rename(part, path) != 0) {
        int status = cli_failed(acl->command, "%s: %s", path, strerror(errno));
        (void)unlink(part);
        return status;
    }
    (void)printf("%s\n", path);
    for (size_t i = 0; i < ACL_ROLES; i++) {
        (void)printf("  %-10s password %s %s/%s.password\n", acl_roles[i].name,
                     acl->made[i] ? "made, in" : "from", acl->directory, acl_roles[i].name);
    }
    return CLI_DONE;
}

static int acl_make(struct acl *acl)
{
    struct dyn_buf text;
    if (mkdir(acl->directory, 0700) != 0 && errno != EEXIST) {
        return cli_failed(acl->command, "%s: %s", acl->directory, strerror(errno));
    }
    dyn_buf_init(&text, USERS_MAX);
    int status = passwords_take(acl);
    if (status == CLI_DONE) {
        acl_write(&text, acl->prefix, acl->hashes);
        status = dyn_buf_result(&text) == DYN_OK ? users_write(acl, dyn_buf_str(&text))
                                                 : cli_failed(acl->command, "out of memory");
    }
    dyn_buf_fini(&text);
    return status;
}

/* ---- the command line ---- */

/* As redis.prefix: anything else could widen a pattern. */
static bool prefix_is_good(const char *prefix)
{
    size_t good = 0;
    while (isalnum((unsigned char)prefix[good]) ||
           (prefix[good] != '\0' && strchr("-_:", prefix[good]) != NULL)) {
        good++;
    }
    return good > 0 && good <= 64 && prefix[good] == '\0';
}

static int acl_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    struct acl acl = {.command = self};
    const char *file = NULL;
    struct config *config = NULL;
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN) {
            if (!cli_take_file(self, args.value, &file)) {
                return CLI_USAGE;
            }
        } else if (option == OPTION_OUT) {
            acl.directory = args.value;
        } else {
            acl.prefix = args.value;
        }
    }
    if (acl.directory == NULL) {
        return cli_usage(self, "where to? Name a directory with --out");
    }
    if (file != NULL && acl.prefix != NULL) {
        return cli_usage(self, "FILE has a prefix: give that or --prefix, not both");
    }
    if (acl.prefix != NULL && !prefix_is_good(acl.prefix)) {
        return cli_usage(self, "--prefix has 1 to 64 letters, digits, - _ :");
    }
    if (file != NULL) {
        config = cli_config_load(file);
        if (config == NULL) {
            return CLI_USAGE;
        }
        acl.prefix = config->redis.prefix;
    }
    acl.prefix = acl.prefix != NULL ? acl.prefix : "dyn";
    int status = acl_make(&acl);
    config_free(config);
    return status;
}

static const struct cli_option options[] = {
    {"--out", "DIR", "where passwords lie, and users.acl goes; made when missing"},
    {"--prefix", "P", "of the keys, as redis.prefix of the configuration (dyn)"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_acl = {
    .name = "acl",
    .arguments = "[FILE] --out DIR [--prefix P]",
    .summary = "make the users of a Redis, one for each role",
    .help =
        "Writes DIR/users.acl for Redis' `aclfile`: a user for each role, who may do what that\n"
        "role does and nothing else; the user `default` may do nothing. Passwords come from\n"
        "DIR/ROLE.password, and are made there where they are missing (mode 0600);\n"
        "users.acl holds their hashes. Run it again after an upgrade, then ACL LOAD.",
    .options = options,
    .run = acl_run,
};
