/* `dynosaur acl`: files in, files out. What the rules allow is asked of a real server, in
 * tests/integration/test_acl.c. */
#include "deploy/cli/acl_rules.h"
#include "deploy/cli/cli.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char content[65536];

static void begin(void)
{
    strcpy(directory, "/tmp/dyn-acl-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static const char *path_of(const char *folder, const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void end(void)
{
    for (size_t i = 0; i < ACL_ROLES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s.password", acl_roles[i].name);
        (void)unlink(path_of(directory, name));
    }
    (void)unlink(path_of(directory, "users.acl"));
    (void)unlink(path_of(directory, "fleet.yaml"));
    ck_assert_int_eq(rmdir(directory), 0); /* and nothing else */
}

static const char *text_of(const char *folder, const char *name)
{
    FILE *file = fopen(path_of(folder, name), "re");
    ck_assert_msg(file != NULL, "%s", path_of(folder, name));
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    (void)fclose(file);
    return content;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(directory, name), "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static unsigned mode_of(const char *name)
{
    struct stat info;
    ck_assert_int_eq(stat(path_of(directory, name), &info), 0);
    return info.st_mode & 0777U;
}

/* `dynosaur acl A B C --out DIR`; NULL: no such word. */
static int acl(const char *a, const char *b, const char *c)
{
    char words[5][256];
    char *argv[5];
    int argc = 0;
    const char *given[] = {a, b, c, "--out", directory};
    for (size_t i = 0; i < 5; i++) {
        if (given[i] != NULL) {
            (void)snprintf(words[argc], sizeof words[argc], "%s", given[i]);
            argv[argc] = words[argc];
            argc++;
        }
    }
    return cli_acl.run(&cli_acl, argc, argv);
}

START_TEST(missing_passwords_are_made_and_only_their_owner_reads_them)
{
    char first[128];
    (void)umask(0);
    ck_assert_int_eq(acl(NULL, NULL, NULL), CLI_DONE);
    for (size_t i = 0; i < ACL_ROLES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s.password", acl_roles[i].name);
        ck_assert_uint_eq(mode_of(name), 0600);
        ck_assert_uint_eq(strlen(text_of(directory, name)), 65);
    }
    ck_assert_uint_eq(mode_of("users.acl"), 0640);
    dyn_str_copy(first, sizeof first, dyn_str_from(text_of(directory, "actuator.password")));
    ck_assert_str_ne(first, text_of(directory, "collector.password"));
    ck_assert_ptr_null(strstr(text_of(directory, "users.acl"), "\n\n"));
    first[64] = '\0';
    ck_assert_ptr_null(strstr(content, first));
}
END_TEST

START_TEST(passwords_that_are_there_stay_and_the_file_holds_their_hashes)
{
    write_file("collector.password", "abc\n");
    write_file("estimator.password", "abc");
    ck_assert_int_eq(acl(NULL, NULL, NULL), CLI_DONE);
    char *before = strdup(text_of(directory, "users.acl"));
    const char *hash = "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad ";
    const char *found = strstr(before, hash);
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_nonnull(strstr(found + 1, hash));
    ck_assert_ptr_null(strstr(before, "abc\n"));
    ck_assert_int_eq(acl(NULL, NULL, NULL), CLI_DONE);
    ck_assert_str_eq(before, text_of(directory, "users.acl"));
    ck_assert_str_eq(text_of(directory, "collector.password"), "abc\n");
    free(before);
}
END_TEST

START_TEST(a_password_that_is_none_is_refused_and_nothing_is_written)
{
    char much[1100];
    memset(much, 'x', sizeof much);
    much[sizeof much - 1] = '\0';
    const char *const wrong[] = {"", "\n", "one\ntwo\n", much};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_file("operator.password", wrong[i]);
        ck_assert_int_eq(acl(NULL, NULL, NULL), CLI_FAILED);
        ck_assert_int_ne(access(path_of(directory, "users.acl"), F_OK), 0);
    }
}
END_TEST

START_TEST(the_prefix_is_that_of_the_file_or_as_given)
{
    write_file("fleet.yaml",
               "version: 2\nredis: {prefix: \"my-shop:2\"}\n"
               "accounts: {main: {heroku_api_key: key}}\n"
               "apps:\n  shop:\n    controller_plugins:\n"
               "      - {name: web, type: dynos, input_plugins: [{name: a, type: sine}]}\n");
    char file[256];
    (void)snprintf(file, sizeof file, "%s", path_of(directory, "fleet.yaml"));
    ck_assert_int_eq(acl(file, NULL, NULL), CLI_DONE);
    ck_assert_ptr_nonnull(strstr(text_of(directory, "users.acl"), "%R~my-shop:2:setup)"));
    ck_assert_ptr_null(strstr(content, "~dyn:"));
    ck_assert_ptr_null(strstr(content, "@:"));
    ck_assert_int_eq(acl("--prefix", "other", NULL), CLI_DONE);
    ck_assert_ptr_nonnull(strstr(text_of(directory, "users.acl"), "%R~other:setup)"));
    ck_assert_int_eq(acl(NULL, NULL, NULL), CLI_DONE);
    ck_assert_ptr_nonnull(strstr(text_of(directory, "users.acl"), "%R~dyn:setup)"));
    ck_assert_int_eq(acl(file, "--prefix", "other"), CLI_USAGE);
}
END_TEST

/* A * would match anything, and a space would begin another rule. */
START_TEST(a_prefix_that_could_widen_a_rule_is_refused)
{
    const char *const wrong[] = {"", "*", "d?n", "dyn ~*", "dyn)", "{dyn}", "[a]", "d\\yn"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(acl("--prefix", wrong[i], NULL), CLI_USAGE);
        ck_assert_int_ne(access(path_of(directory, "users.acl"), F_OK), 0);
    }
    char *none[] = {NULL};
    ck_assert_int_eq(cli_acl.run(&cli_acl, 0, none), CLI_USAGE);
}
END_TEST

/* What a password file of the local stack holds, without its newline. */
static void local_hash(const char *folder, const char *role, struct acl_hash *out)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s.password", role);
    const char *text = text_of(folder, name);
    struct dyn_str password = {text, strcspn(text, "\n")};
    ck_assert_int_eq(dyn_sha256_hex(password, out->hex), DYN_OK);
}

START_TEST(the_local_stacks_users_are_those_that_are_made_today)
{
    char folder[512];
    struct acl_hash hashes[ACL_ROLES];
    struct dyn_buf made;
    const char *source = getenv("DYN_SOURCE");
    (void)snprintf(folder, sizeof folder, "%s/deploy/redis/local", source != NULL ? source : ".");
    for (size_t i = 0; i < ACL_ROLES; i++) {
        local_hash(folder, acl_roles[i].name, &hashes[i]);
    }
    dyn_buf_init(&made, sizeof content);
    acl_write(&made, "dyn", hashes);
    ck_assert_int_eq(dyn_buf_result(&made), DYN_OK);
    ck_assert_msg(strcmp(text_of(folder, "users.acl"), dyn_buf_text(&made)) == 0,
                  "make it anew: dynosaur acl --out deploy/redis/local");
    dyn_buf_fini(&made);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acl");
    TCase *files = tcase_create("files");
    TCase *local = tcase_create("local");
    tcase_add_checked_fixture(files, begin, end);
    tcase_add_test(files, missing_passwords_are_made_and_only_their_owner_reads_them);
    tcase_add_test(files, passwords_that_are_there_stay_and_the_file_holds_their_hashes);
    tcase_add_test(files, a_password_that_is_none_is_refused_and_nothing_is_written);
    tcase_add_test(files, the_prefix_is_that_of_the_file_or_as_given);
    tcase_add_test(files, a_prefix_that_could_widen_a_rule_is_refused);
    tcase_add_test(local, the_local_stacks_users_are_those_that_are_made_today);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, local);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
