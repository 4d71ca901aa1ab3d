/*
 * support_acl: a directory as `dynosaur acl` makes it, and one user more for the test itself.
 *
 * Every failure ends the test.
 */
#ifndef DYN_TESTS_SUPPORT_ACL_H
#define DYN_TESTS_SUPPORT_ACL_H

#define ACL_TEST_USER "test" /* may do everything; any password is good */

struct acl_users;

struct acl_users *acl_users_new(void);
void acl_users_free(struct acl_users *users); /* removes the directory; NULL is fine */

const char *acl_users_directory(const struct acl_users *users);
const char *acl_users_file(const struct acl_users *users); /* users.acl */
/** What stands in ROLE.password. */
const char *acl_users_password(const struct acl_users *users, const char *role);

#endif
