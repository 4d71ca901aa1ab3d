#include "deploy/cli/acl_rules.h"

/* Pieces of the table. A partition's tag is a number, so that it never matches {act}, {col}, ... */
#define PARTITION "@:{[0-9]*}:"
#define GREETING "+ping +select +client|setname +role +info"
#define SERVICE GREETING " +wait"
#define LEASES "+fcall|dyn_acquire +fcall|dyn_renew +fcall|dyn_release"
#define READER "+xread +xinfo|stream"
#define READS_SETUP "(+hmget %R~@:setup)"
/* dyn_beat, what it does inside, and no membership but the role's own. */
#define MEMBER(tag) "(+fcall|dyn_beat +hget +hset +hdel +hlen +hgetall %RW~@:{" tag "}:members)"

/* FCALL needs both rights on all its keys, whatever it does to them. */

static const char *const collector_may[] = {
    SERVICE,
    READS_SETUP,
    "(+xadd %W~@:events %W~" PARTITION "values)",
    "(+fcall|dyn_drain +sismember +sadd +hincrby +hgetall +expire %RW~@:{col}:drain:*)",
    MEMBER("col"),
    NULL,
};

static const char *const estimator_may[] = {
    SERVICE " +time",
    READS_SETUP,
    "(" READER " +xrange +xrevrange %R~" PARTITION "values %R~@:commands)",
    "(" LEASES " +fcall|dyn_tick +fcall|dyn_publish %RW~" PARTITION "lease %RW~" PARTITION
    "values %RW~" PARTITION "targets %RW~" PARTITION "newest)",
    "(+hmget +hset +hincrby +hdel %RW~" PARTITION "lease)",
    "(+xadd +xtrim %W~" PARTITION "values %W~" PARTITION "targets)",
    "(+hset %W~" PARTITION "newest)",
    "(+xadd %W~@:events %W~" PARTITION "reports)",
    MEMBER("est"),
    NULL,
};

static const char *const actuator_may[] = {
    SERVICE " +time",
    READS_SETUP,
    "(" READER " +xrevrange %R~" PARTITION "targets %R~@:commands)",
    "(+hgetall %R~" PARTITION "newest)",
    "(" LEASES " +fcall|dyn_act_begin +fcall|dyn_act_end +fcall|dyn_settle %RW~@:{act}:*:lease "
    "%RW~@:{act}:*:journal %RW~@:{act}:accounts %RW~@:actions)",
    "(+hmget +hget +hgetall +hexists +hset +hincrby +hdel %RW~@:{act}:*)",
    "(+xadd +xtrim %W~@:actions)",
    /* What runs stands among the values: targets that are in proportion to it need both in order.
     */
    "(+xadd %W~@:events %W~" PARTITION "reports %W~" PARTITION "values)",
    MEMBER("act"),
    NULL,
};

static const char *const reporter_may[] = {
    SERVICE " +time",
    READS_SETUP,
    "(" READER " %R~" PARTITION "reports %R~@:actions %R~@:events)",
    "(" LEASES " +fcall|dyn_settle +hmget +hget +hgetall +hset +hincrby +hdel %RW~@:{rep}:*)",
    "(+xadd %W~@:events %W~@:dead)",
    /* whether the engine lives */
    "(+hmget %R~" PARTITION "lease)",
    "(+hgetall %R~@:{col}:members %R~@:{est}:members %R~@:{act}:members)",
    MEMBER("rep"),
    NULL,
};

/* A person reads all that there is; SCAN shows names of keys only. */
static const char *const operator_may[] = {
    GREETING " +scan",
    "(" READER " +xrange +xrevrange +hget +hmget +hgetall %R~@:*)",
    "(+xadd %W~@:commands)",
    NULL,
};

static const char *const deployer_may[] = {
    GREETING " +function|load +function|list",
    "(+hget +hmget +hset %RW~@:setup)",
    "(+xlen %R~" PARTITION "values)",
    NULL,
};

/* What Redis' own processes send when there are several: a replica to its master (masteruser), a
 * Sentinel to those that it watches (sentinel auth-user). */
static const char *const replica_may[] = {
    "+ping +psync +replconf",
    NULL,
};

static const char *const sentinel_may[] = {
    "+ping +info +role +multi +exec +slaveof +config|rewrite +client|setname "
    "+client|kill +script|kill +subscribe +publish &__sentinel__:hello",
    NULL,
};

const struct acl_role acl_roles[ACL_ROLES] = {
    {"collector", collector_may}, {"estimator", estimator_may}, {"actuator", actuator_may},
    {"reporter", reporter_may},   {"operator", operator_may},   {"deployer", deployer_may},
    {"replica", replica_may},     {"sentinel", sentinel_may},
};

/* Each @ stands for the prefix: there is no category among the grants. */
static void grant_write(struct dyn_buf *out, const char *grant, const char *prefix)
{
    while (*grant != '\0') {
        size_t plain = strcspn(grant, "@");
        (void)dyn_buf_add(out, grant, plain);
        grant += plain;
        if (*grant == '@') {
            (void)dyn_buf_add_str(out, dyn_str_from(prefix));
            grant++;
        }
    }
}

void acl_write(struct dyn_buf *out, const char *prefix, const struct acl_hash *hashes)
{
    (void)dyn_buf_addf(out, "user default off sanitize-payload resetchannels -@all\n");
    for (size_t i = 0; i < ACL_ROLES; i++) {
        (void)dyn_buf_addf(out, "user %s on #%s sanitize-payload resetchannels -@all",
                           acl_roles[i].name, hashes[i].hex);
        for (const char *const *grant = acl_roles[i].grants; *grant != NULL; grant++) {
            (void)dyn_buf_add(out, " ", 1);
            grant_write(out, *grant, prefix);
        }
        (void)dyn_buf_add(out, "\n", 1);
    }
}
