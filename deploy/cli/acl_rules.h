/*
 * acl_rules: which role may send what to Redis, as the text of a users.acl. No I/O.
 *
 * The rules follow common/PROTOCOL.md: a key is written by the roles that its table names, and the
 * commands inside a Function need its caller's rights. A new key, command or Function of a service
 * needs its line in the table of acl_rules.c, and one in tests/integration/test_acl.c.
 */
#ifndef DYN_CLI_ACL_RULES_H
#define DYN_CLI_ACL_RULES_H

#include "common/digest.h"

struct acl_role {
    const char *name;          /* the user's */
    const char *const *grants; /* NULL-ended; @ stands for the prefix of the keys */
};

#define ACL_ROLES 8
extern const struct acl_role acl_roles[ACL_ROLES];

struct acl_hash {
    char hex[DYN_SHA256_HEX_SIZE];
};

/** A line for the user `default`, which may do nothing, and one for each role; hashes[i] is the
 *  SHA-256 of the password of acl_roles[i]. dyn_buf_result() tells a failure. */
void acl_write(struct dyn_buf *out, const char *prefix, const struct acl_hash *hashes);

#endif
