/*
 * support_fleet: the four real programs, a real Redis and a fake Heroku, and what came of them.
 *
 * The Redis is set up as `dynosaur setup` does it. Only the actuator's environment has the Heroku
 * keys of the environment variables FLEET_KEY_A and FLEET_KEY_B (accounts a and b of FLEET_WORLD),
 * and other secrets only the part that they are named for.
 * While time passes in fleet_pass() and the awaiting functions, outputs and the partitions' streams
 * are collected, so that what Redis trims is still known.
 *
 * fleet_free() ends the programs with SIGTERM and fails the test unless each of them exits with 0,
 * the fake Heroku has seen no violation, no secret stands anywhere it must not, and Redis' ACL
 * has refused nothing (with users).
 */
#ifndef DYN_TESTS_SUPPORT_FLEET_H
#define DYN_TESTS_SUPPORT_FLEET_H

#include "../integration/support_acl.h"
#include "../integration/support_clock.h"
#include "../integration/support_heroku.h"
#include "../integration/support_program.h"
#include "../integration/support_proxy.h"
#include "../integration/support_redis.h"

#include "common/config.h"
#include "common/message.h"

#define FLEET_CANARY "canary-" /* how every secret begins */
#define FLEET_KEY_A FLEET_CANARY "heroku-key-a-7f3d"
#define FLEET_KEY_B FLEET_CANARY "heroku-key-b-91c2"
/* `redis.lease` of a fleet that says nothing of its own: about a tenth of the built-in times, so
 * that take-overs take no longer than they must; but an actuator that a loaded machine holds up for
 * longer than `hold` is killed. */
#define FLEET_LEASE \
    "{renew: 0.3, estimator_wait: 1, hold: 3, actuator_wait: 4, beat: 0.25, gone: 1}"
/* Two accounts; apps follow. */
#define FLEET_ACCOUNTS                                                       \
    "{'accounts': [{'email': 'a@example.com', 'keys': ['" FLEET_KEY_A "']}," \
    "              {'email': 'b@example.com', 'keys': ['" FLEET_KEY_B "']}],"

/* A whole world: account a has one app, shop, which runs two. */
#define FLEET_SHOP                                                                              \
    FLEET_ACCOUNTS " 'apps': [{'name': 'shop', 'owner': 'a@example.com', 'formation': {'web': " \
                   "2}}]}"

enum fleet_part {
    FLEET_COLLECTOR,
    FLEET_ESTIMATOR,
    FLEET_ACTUATOR,
    FLEET_REPORTER,
    FLEET_PARTS
};

enum fleet_stream {
    FLEET_VALUES,
    FLEET_TARGETS,
    FLEET_STREAMS
};

struct fleet_entry {
    struct entry_id id;
    struct dyn_str message;
};

struct fleet_tape {
    struct fleet_entry *entries;
    size_t count;
};

/* One change that the fake Heroku answered with 200. */
struct fleet_change {
    int64_t at_ms;   /* when the request came */
    int64_t done_ms; /* when it was answered */
    int quantity;
};

struct fleet_changes {
    int first; /* quantity before the first change: what the world began with, as the caller says */
    struct fleet_change *changes;
    size_t count;
};

/* A variable that only this part's environment has. */
struct fleet_secret {
    enum fleet_part part;
    const char *name;
    const char *value; /* NULL: of the list's last */
};

struct fleet;

#define FLEET_COPIES_MAX 2 /* of one part, side by side; the first is copy 0 */

struct fleet_options {
    const char *world; /* of the fake Heroku; single quotes for double ones */
    uint32_t partitions;
    const char *redis;  /* further keys of the section `redis`, ", key: value"; NULL: a
                           lease of FLEET_LEASE */
    const char *folder; /* outputs are written there as well; NULL: nowhere */
    bool redis_away;    /* do not start Redis yet; fleet_redis_begin() does */
    bool proxied;       /* each copy of a part reaches Redis by a link of its own */
    bool clocked;       /* each copy of a part, and Redis, has a clock of its own */
    bool untaped;       /* the streams are not collected: for long runs */
    bool by_file;       /* where Redis is says the file alone */
    const char *const *redis_arguments; /* of the server, which then has a port as well; or NULL */
    const struct fleet_secret *secrets; /* beside the actuator's Heroku keys; or NULL */
    const struct acl_users *users;      /* each program is its own user of these; NULL: nobody is */
};

struct fleet *fleet_new(const struct fleet_options *options);
void fleet_free(struct fleet *fleet);
/** Write `accounts`, `apps` and so on; the top of the file is the fleet's own. Reads it, too. */
void fleet_configure(struct fleet *fleet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Put any text into the file, and keep the configuration that was read last. */
void fleet_spoil(struct fleet *fleet, const char *text);
const struct config *fleet_config(const struct fleet *fleet);

void fleet_redis_begin(struct fleet *fleet); /* start it and set it up */
void fleet_setup(struct fleet *fleet);       /* set it up again, after a loss */
void fleet_start(struct fleet *fleet, enum fleet_part part);
void fleet_start_all(struct fleet *fleet); /* and wait until each says that it is ready */
void fleet_kill(struct fleet *fleet, enum fleet_part part);
void fleet_await_ready(struct fleet *fleet, enum fleet_part part);
struct program *fleet_program(const struct fleet *fleet, enum fleet_part part);

/* The same for a copy of a part; the functions above mean the newest process, whichever it is. */
void fleet_start_copy(struct fleet *fleet, enum fleet_part part, unsigned copy);
struct program *fleet_copy(const struct fleet *fleet, enum fleet_part part, unsigned copy);
/** Its --instance: "estimator-3". */
const char *fleet_instance(const struct fleet *fleet, enum fleet_part part, unsigned copy);
void fleet_await_copy(struct fleet *fleet, enum fleet_part part, unsigned copy);
const char *fleet_part_name(enum fleet_part part);
/** With `proxied`: the links are called as the part and the copy: "estimator-1". */
struct support_proxy *fleet_proxy(const struct fleet *fleet);
/** With `clocked`. */
struct support_clock *fleet_clock(const struct fleet *fleet, enum fleet_part part, unsigned copy);
struct support_clock *fleet_redis_clock(const struct fleet *fleet);
const char *fleet_config_path(const struct fleet *fleet);
/** How often `text` stands in what all processes of this part have printed so far. */
int fleet_printed(struct fleet *fleet, enum fleet_part part, const char *text);
/** Wait until fleet_printed() is at least `times`; 60 s at most. */
void fleet_await_printed(struct fleet *fleet, enum fleet_part part, const char *text, int times);

struct support_redis *fleet_redis(const struct fleet *fleet);
const struct heroku *fleet_heroku(const struct fleet *fleet);
/** The Redis of the fleet as a role asks it; nobody's without users. Lives until the next call. */
const char *fleet_redis_url(struct fleet *fleet, const char *role);

/** While Redis does not answer: leave the streams alone, or the wait is for it. */
void fleet_tape_pause(struct fleet *fleet, bool paused);
/** Let time pass and collect. */
void fleet_pass(struct fleet *fleet, int ms);
/** What runs of the app's process type web, from the control port. */
int fleet_quantity(const struct fleet *fleet, const char *app);
/** Wait until `quantity` runs; `seconds` at most. */
void fleet_await_quantity(struct fleet *fleet, const char *app, int quantity, int seconds);
/** Wait until the add-on has the plan; `seconds` at most. */
void fleet_await_plan(struct fleet *fleet, const char *addon, const char *plan, int seconds);
/** The changes of an app's web so far; the caller frees `changes`. */
struct fleet_changes fleet_changes(const struct fleet *fleet, const char *app, int first);

/** All that was collected of a partition's stream so far. */
struct fleet_tape fleet_tape(const struct fleet *fleet, uint32_t partition,
                             enum fleet_stream stream);
int64_t fleet_now_ms(void);
/** A step of CK_FORK: fail with the outputs of all programs. */
_Noreturn void fleet_fail(struct fleet *fleet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
