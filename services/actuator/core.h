/*
 * core: what the actuator decides, without sockets, clocks or globals.
 *
 * Events come in as calls with the time; effects go out through the table that core was born with.
 * The core reconciles state: it holds the newest target of each controller against the last reading
 * of its app, and asks for one thing at a time an app: a reading, a journal entry, a write. The
 * service, the tests' model Heroku and `dynosaur simulate` all drive this same code.
 *
 * Contract of the effects: they are called from within the events; they must not call the core.
 * Every `send` is answered later by exactly one act_answer() with its token and every `begin` by
 * exactly one act_begun(), whatever happens between (lost leases and reloads included).
 *
 * A write is sent only when its account is led and cleared, its journal is loaded, its intent is
 * recorded, the reading is fresh, and no guard (guards.h) stands against it. It never equals what
 * runs, never goes below what a raise_only target lets fall, and never leaves 1..max_resource but
 * on the way down from above it.
 *
 * Quantities are rungs: of dynos their number, of an add-on's plans the place in the table. What
 * runs is told by two readings of an app, one of its process types and one of its add-ons, each
 * asked for only where a controller needs it; all else holds for both alike. Of plans, further: a
 * change that Heroku has taken but not finished (202, `provisioning`) is done to the journal, and
 * nothing is asked of that add-on before a reading says that it is over; a fall is one rung, and
 * needs allow_downgrade.
 *
 * Ownership: the configuration is borrowed until act_core_free() or until act_core_reload() took
 * another one. Everything handed to an event is copied; what an effect gets lives during its call.
 * Memory: nothing is allocated but in act_core_new() and act_core_reload(). Threads: one.
 */
#ifndef DYN_ACTUATOR_CORE_H
#define DYN_ACTUATOR_CORE_H

#include "common/config.h"
#include "common/message.h"

#define ACT_RUNNING_MS 15000      /* what runs is told that often: more than once a window */
#define ACT_READ_PERIOD_MS 60000  /* an app is read that often at most, but before each change */
#define ACT_UNFINISHED_MS 15000   /* ... while a change of plan under way holds the next one */
#define ACT_FRESH_MS 10000        /* a change rests on a reading at most that old */
#define ACT_MARK_MAX_AGE_MS 30000 /* a fall needs a mark at most that old */
#define ACT_BEGIN_MAX_AGE_MS 5000 /* a recorded intent that is older is not acted upon */
#define ACT_BLOCKED_MS 600000     /* 401, 402, 403, 404: tried again that much later */
#define ACT_UNMET_MS 180000       /* then an event */
#define ACT_AT_MAX_MS 300000      /* then an event */
#define ACT_LIMIT_MS 3600000 /* a limit or a refusal that Heroku told is believed for that long */
#define ACT_FLIGHTS_MAX 16   /* requests under way for one account */
#define ACT_HAND_OUT_MS 20   /* who waits for a free request is served that often at most */
#define ACT_TICK_MS 250      /* how often act_tick() wants to be called */

struct act_core;

struct act_now {
    int64_t boot_ms; /* CLOCK_BOOTTIME: every age and wait is measured on it */
    int64_t wall_ms; /* for what people and successors read */
};

enum act_request_kind {
    ACT_READ_FORMATION = 1, /* GET /apps/APP/formation */
    ACT_READ_APP,           /* GET /apps/APP: maintenance */
    ACT_READ_ACCOUNT,       /* GET /account: whose key it is */
    ACT_READ_LIMITS,        /* GET /account/rate-limits: costs nothing */
    ACT_WRITE,              /* PATCH /apps/APP/formation/TYPE with an absolute quantity */
    ACT_READ_ADDONS,        /* GET /apps/APP/addons: their plans */
    ACT_WRITE_PLAN,         /* PATCH /apps/APP/addons/ADDON with a plan */
};

static inline bool act_is_write(enum act_request_kind kind)
{
    return kind == ACT_WRITE || kind == ACT_WRITE_PLAN;
}

struct act_request {
    enum act_request_kind kind;
    uint64_t token;           /* to be given back with the answer */
    size_t account;           /* index into config->accounts */
    const char *app;          /* NULL for what concerns an account */
    const char *process_type; /* ACT_WRITE; of ACT_WRITE_PLAN the add-on's service; else NULL */
    int32_t quantity;         /* ACT_WRITE; 1.., above DYN_QUANTITY_MAX only below what runs */
    const char *addon;        /* ACT_WRITE_PLAN: its id */
    const char *plan;         /* ACT_WRITE_PLAN: its name in full */
};

/** What an answer means to the core; heroku.c makes it from status and error id. */
enum act_class {
    ACT_OK = 0,       /* 2xx, and the body held what it must */
    ACT_NOT_SENT,     /* nothing reached Heroku */
    ACT_UNCERTAIN,    /* 5xx, timeout, cut off, an unusable body: it may have been done */
    ACT_RATE_LIMITED, /* 429 */
    ACT_ACCOUNT_BAD,  /* 401, 402, 403 suspended */
    ACT_FORBIDDEN,    /* other 403, 404 */
    ACT_CONFLICT,     /* 409 */
    ACT_LIMIT,        /* 422 with a limit */
    ACT_REFUSED,      /* any other 4xx, and 3xx */
};

struct act_formation {
    struct dyn_str type;
    int32_t quantity; /* 0.. */
};

struct act_addon {
    struct dyn_str service; /* "rediscloud" */
    struct dyn_str id;
    struct dyn_str name;
    struct dyn_str plan; /* "rediscloud:100" */
    bool provisioning;   /* a change of it is under way */
    bool leaving;        /* it is being removed */
};

struct act_answer {
    enum act_class class;
    int32_t status;         /* 0: no answer */
    int64_t remaining;      /* RateLimit-Remaining or the limits' body; -1: not told */
    int64_t retry_after_ms; /* -1: not told */
    int32_t limit;          /* ACT_LIMIT: dynos of the app, all process types together; else -1 */
    struct dyn_str words;   /* Heroku's or the transport's, for people; "" */
    struct dyn_str request_id;
    /* By kind of request, for ACT_OK: */
    const struct act_formation *formations; /* ACT_READ_FORMATION */
    size_t formations_count;
    const struct act_addon *addons; /* ACT_READ_ADDONS; ACT_WRITE_PLAN: that one */
    size_t addons_count;
    int32_t quantity;        /* ACT_WRITE: what Heroku says it is now */
    bool maintenance;        /* ACT_READ_APP */
    struct dyn_str identity; /* ACT_READ_ACCOUNT */
};

struct act_effects {
    void (*send)(void *arg, const struct act_request *request);
    /** Record `intent` (open) in the journal of the account, fenced by its epoch; nothing else of
     *  the app may be open. */
    void (*begin)(void *arg, uint64_t token, size_t account, const char *app,
                  const struct intent *intent);
    /** Record `intent` (settled) in its place; `action` says what became of an open one and closes
     *  it. NULL: nothing was open, the intent only notes what is confirmed and what people did. */
    void (*end)(void *arg, size_t account, const char *app, const struct intent *intent,
                const struct action *action);
    /** What would have been done, in mode shadow. */
    void (*action)(void *arg, size_t account, const struct action *action);
    /** level, state, code, app, controller, cause and text are set. */
    void (*event)(void *arg, const struct event *event);
    /** When it changed, and each scaler.interval of its app. */
    void (*actual)(void *arg, size_t account, const struct actual *actual, bool changed);
    /** What runs of a controller whose targets depend on it, as of `age_ms` ago: when it changed
     * and every 15 s. False: it was not told, and is again with the next tick. May be NULL. */
    bool (*running)(void *arg, const struct config_app *app,
                    const struct config_controller *controller, int32_t quantity, int64_t age_ms);
    /** The lease of the account turned out to be another's: do not write any more. May be NULL. */
    void (*fenced)(void *arg, size_t account);
    /** Whose key it is, told by Heroku; "": the key may not ask. Nothing is asked for the apps of
     *  one that is new before act_clear(). NULL: an account that is led is clear. */
    void (*identity)(void *arg, size_t account, struct dyn_str identity);
    /** What a doubtful journal may have lost was waited for, nothing of it is open, and what it
     *  says is no more than is known: whoever leads the account next may rely on it. May be NULL.
     */
    void (*trusted)(void *arg, size_t account);
    void *arg;
};

/** `seed` feeds the jitter: the same events with the same seed give the same effects. NULL: no
 *  memory. The effects table is copied. */
struct act_core *act_core_new(const struct config *config, const struct act_effects *effects,
                              uint64_t seed, struct act_now now);
void act_core_free(struct act_core *core);

/**
 * Go on with another configuration: accounts are recognised by name, apps by name, controllers by
 * id; what is new starts from nothing, as at the start. DYN_NOMEM: nothing changed.
 */
DYN_NODISCARD dyn_err act_core_reload(struct act_core *core, const struct config *next,
                                      struct act_now now);

/* ---- leases and journal ---- */

/** The holders before us. */
struct act_former {
    int64_t settle_ms; /* the last request of each of them has ended that much later */
    uint64_t clean;    /* the epoch of the last one, who gave up with nothing under way; 0: it did
                          not. What it left open is settled at once, what others did is waited for */
    bool doubtful;     /* the journal may have lost what they did: every app waits that long, and a
                          reading that differs from it is nobody's doing. Else those wait that have
                          an open intent */
};

/**
 * How long after the taking the last request of whoever wrote before may last, a margin included.
 * `stood_still`: the lease was seen to stand still for its wait. `own`: nobody but us can have held
 * it. Neither: it was destroyed, or another Redis has it, and whoever held it may not know yet.
 */
int64_t act_settle_ms(const struct config_lease *lease, bool stood_still, bool own);

/** The account is ours under `epoch`; its journal follows. Nothing is asked of Heroku before
 *  act_journal_loaded(). `former` NULL: nothing of another's is under way. A wait that has begun
 * goes on when the account is lost and ours again. */
void act_lead(struct act_core *core, size_t account, uint64_t epoch,
              const struct act_former *former, struct act_now now);
void act_unlead(struct act_core *core, size_t account, struct act_now now);
/** Whether nobody else writes to the same Heroku account under another name; false after each
 *  act_lead() and whenever effects.identity told a new one. */
void act_clear(struct act_core *core, size_t account, bool clear, struct act_now now);
/** One entry of the account's journal; entries of controllers that are gone are ignored. */
void act_journal_entry(struct act_core *core, size_t account, const struct intent *intent,
                       struct act_now now);
void act_journal_loaded(struct act_core *core, size_t account, struct act_now now);
/** The answer to `begin`: DYN_OK: it is recorded. DYN_FENCED: the lease is another's. DYN_BUSY:
 *  another intent of the app is open. Else it is unknown whether it was recorded. */
void act_begun(struct act_core *core, uint64_t token, dyn_err err, struct act_now now);

/** Whether the account's heroku_api_key can be had; `why` in words when not. Before the first call
 *  it can be. A key that may be another one is tried anew. */
void act_key(struct act_core *core, size_t account, bool present, const char *why,
             struct act_now now);

/* ---- the bus ---- */

/** A target of a partition's stream or of its newest ones. What is out of range, of another
 *  partition, of an epoch that is over, or older than the one held is ignored; DYN_REFUSED says
 *  so. A target allows a fall only once the partition's present leader has given it: a new leader
 *  restates all that it can decide. */
dyn_err act_target(struct act_core *core, uint32_t partition, const struct target *target,
                   struct act_now now);
void act_mark(struct act_core *core, uint32_t partition, const struct mark *mark,
              struct act_now now);
/** Redis has another history than before (a failover, a flush): leaders begin with any epoch, and
 *  nothing falls before they have given targets and marks. */
void act_history(struct act_core *core);
/** Whether the commands given so far have been told; before the first call they have. Nothing is
 * asked of Heroku while they have not. */
void act_commands(struct act_core *core, bool told, struct act_now now);
/** Pause and resume; other verbs are not the actuator's and are ignored. */
void act_command(struct act_core *core, const struct command *command, struct act_now now);

/* ---- Heroku ---- */

void act_answer(struct act_core *core, uint64_t token, const struct act_answer *answer,
                struct act_now now);

void act_tick(struct act_core *core, struct act_now now);

/** No new requests from here on; what is under way ends as ever. */
void act_drain(struct act_core *core);

/* ---- what it knows ---- */

/** Requests and journal entries under way for the account. */
size_t act_in_flight(const struct act_core *core, size_t account);
/** Writes among them, their journal entries included. */
size_t act_writing(const struct act_core *core, size_t account);
/** The last look at a write that was sent: its account, if that is still led and clear under the
 * epoch of its intent, Heroku has not said meanwhile to wait and, of a fall, if it would still be
 * decided; else SIZE_MAX, and it must not leave. */
size_t act_write_account(const struct act_core *core, uint64_t token, struct act_now now);
/** The account's journal is loaded and its key is not refused. */
bool act_account_usable(const struct act_core *core, size_t account);
/** Tokens that Heroku's last answers left, as far as we know; -1: it has not told. */
int64_t act_tokens(const struct act_core *core, size_t account);
/** What holds a controller; DYN_NOTFOUND. words borrows from the core until the next event. */
DYN_NODISCARD dyn_err act_explain(const struct act_core *core, uint64_t controller,
                                  struct act_now now, struct actual *out);

#endif
