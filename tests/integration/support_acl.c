#include "support_acl.h"

#include "deploy/cli/acl_rules.h"
#include "deploy/cli/cli.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#define PASSWORD_SIZE 128

struct acl_users {
    char directory[64];
    char file[96];
    char passwords[ACL_ROLES][PASSWORD_SIZE];
};

static void password_load(struct acl_users *users, size_t role)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s.password", users->directory, acl_roles[role].name);
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_ptr_nonnull(fgets(users->passwords[role], PASSWORD_SIZE, file));
    users->passwords[role][strcspn(users->passwords[role], "\n")] = '\0';
    (void)fclose(file);
}

struct acl_users *acl_users_new(void)
{
    struct acl_users *users = calloc(1, sizeof *users);
    ck_assert_ptr_nonnull(users);
    strcpy(users->directory, "/tmp/dyn-acl-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(users->directory));
    (void)snprintf(users->file, sizeof users->file, "%s/users.acl", users->directory);
    char out[] = "--out";
    char *argv[] = {out, users->directory};
    ck_assert_int_eq(cli_acl.run(&cli_acl, 2, argv), CLI_DONE);
    for (size_t i = 0; i < ACL_ROLES; i++) {
        password_load(users, i);
    }
    FILE *file = fopen(users->file, "ae");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "user " ACL_TEST_USER " on nopass ~* &* +@all\n");
    ck_assert_int_eq(fclose(file), 0);
    return users;
}

void acl_users_free(struct acl_users *users)
{
    if (users == NULL) {
        return;
    }
    for (size_t i = 0; i < ACL_ROLES; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s.password", users->directory, acl_roles[i].name);
        (void)unlink(path);
    }
    (void)unlink(users->file);
    (void)rmdir(users->directory);
    free(users);
}

const char *acl_users_directory(const struct acl_users *users)
{
    return users->directory;
}

const char *acl_users_file(const struct acl_users *users)
{
    return users->file;
}

const char *acl_users_password(const struct acl_users *users, const char *role)
{
    for (size_t i = 0; i < ACL_ROLES; i++) {
        if (strcmp(acl_roles[i].name, role) == 0) {
            return users->passwords[i];
        }
    }
    ck_abort_msg("there is no role %s", role);
    return NULL;
}
