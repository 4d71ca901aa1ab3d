/*
 * core_internal: the core's state, shared by its files and nobody else.
 *
 *   core.c         life, bus events
 *   core_lead.c    leases, journal, keys
 *   core_step.c    what an app needs next, and whose turn it is
 *   core_begin.c   a write: its intent, the journal's answer, the sending
 *   core_answer.c  what Heroku's answers change
 *   core_account.c ... of those that are about the account: whose key it is, which share a budget
 *   core_tell.c    events, actions, actuals
 *   core_reload.c  moving what is known to another configuration
 */
#ifndef DYN_ACTUATOR_CORE_INTERNAL_H
#define DYN_ACTUATOR_CORE_INTERNAL_H

#include "actuator/budget.h"
#include "actuator/core.h"
#include "actuator/guards.h"
#include "actuator/humans.h"

#define ACT_WORDS_MAX 160
#define ACT_IDENTITY_MAX 64
#define ACT_CHANGE_SLOTS 13 /* of five minutes each: an hour and what has begun */
#define ACT_CHANGE_SLOT_MS 300000
#define ACT_RETRY_BASE_MS 1000
#define ACT_RETRY_MAX_MS 60000
#define ACT_JOURNAL_RETRY_MS 2000
#define ACT_NOTES_MAX 256 /* of doubts, a tick: of what an account has there may be thousands */
#define ACT_SETTLE_MARGIN_MS 1000 /* beyond the end of a former holder's last request */
#define ACT_ADDON_ID_MAX 64
#define ACT_NONE SIZE_MAX

/* Conditions that are told when they begin and when they are over, one bit each. */
enum act_told {
    TOLD_UNMET = 1,
    TOLD_AT_MAX = 2,
    TOLD_CONTROLLER = 4,
    TOLD_LIMIT = 8,
    TOLD_REFUSED = 16,
    TOLD_TARGET = 32,
    TOLD_ACCOUNT = 64,
    TOLD_KEY = 128,
    TOLD_RATE = 256,
    TOLD_IDENTITY = 512,
};

/* What a controller scales, and which reading tells what runs. */
enum act_scale {
    ACT_DYNOS,
    ACT_PLANS,
    ACT_SCALES
};

/* One controller: a process type or an add-on of an app. Times are boot ms unless they say wall. */
struct act_ctl {
    const struct config_controller *config;
    size_t app;

    int32_t target; /* -1: none */
    bool raise_only;
    struct entry_id decided;
    uint64_t decided_epoch; /* the leader's that gave the target last */

    int32_t running;    /* -1: unknown */
    int64_t running_at; /* when it was read or confirmed */
    bool missing;       /* the last reading had no such process type, or no plan that we know */
    bool provisioning;  /* of plans: the last reading or answer said so */
    char addon[ACT_ADDON_ID_MAX]; /* of plans: its id, told by the last reading */
    struct act_human human;
    int64_t last_up;
    int64_t last_down;
    uint16_t changes[ACT_CHANGE_SLOTS];
    int64_t changes_slot; /* number of the newest slot */

    bool doubted;         /* the journal still has a confirmed quantity that is not believed */
    bool open;            /* an intent is in the journal whose outcome is not known */
    struct intent intent; /* that one */
    int64_t settle_at;    /* its last possible request has ended by then */
    int32_t intent_target;
    int32_t intent_status; /* what the failed answer said */

    int32_t refused; /* a quantity that Heroku refused; 0: none, or the target has changed */
    int64_t refused_until;
    bool conflicted;
    unsigned attempts;
    int64_t retry_at;
    int64_t journal_at;
    int64_t blocked_until;
    int64_t pause_until_wall;
    int32_t shadow_told; /* the last decision that mode shadow told; -1: none */

    enum guard guard; /* as last judged */
    int64_t until;
    unsigned told;
    int64_t unmet_since; /* ACT_NEVER: met */
    int64_t at_max_since;
    int64_t actual_at; /* when the next regular actual is due */
    enum guard actual_guard;
    int32_t actual_running;
    int32_t actual_target;
    int64_t told_at; /* when what runs was told last, see effects.running; ACT_NEVER */
    int32_t told_running;
    char words[ACT_WORDS_MAX]; /* Heroku's own, of what holds it */
};

struct act_reading {
    bool stale;      /* what runs must be read again before anything */
    int64_t read_at; /* when the last good one was asked for; ACT_NEVER */
    unsigned attempts;
    int64_t retry_at;
    int64_t blocked_until;
};

struct act_app {
    const struct config_app *config;
    size_t first; /* its controllers stand together */
    size_t count;
    bool flying;  /* one request or journal entry under way, never two */
    bool suspect; /* it was refused in a way that may be the whole account's */
    struct act_reading readings[ACT_SCALES];
    int64_t maintenance_at; /* when the last good word of it was asked for; ACT_NEVER */
    bool maintenance;
    unsigned attempts;
    int64_t retry_at;
    int64_t blocked_until;
    int32_t limit;  /* of all its process types together; -1: none told */
    int32_t others; /* dynos of process types that have no controller here */
    int64_t limit_until;
    int64_t pause_until_wall;
};

enum act_identity {
    IDENTITY_UNKNOWN,
    IDENTITY_KNOWN,
    IDENTITY_PRIVATE
};

struct act_account {
    const struct config_account *config;
    bool led;
    bool loaded; /* its journal */
    bool clear;  /* nobody else writes to it */
    int64_t led_at;
    int64_t settle_at; /* whatever others sent has ended by then; outlasts a lease */
    uint64_t clean;    /* what was opened under that epoch has ended already; 0: none */
    bool doubtful;     /* the journal may have lost something; until effects.trusted */
    bool key_missing;
    unsigned key; /* which one it is: another number, perhaps another key */
    uint64_t epoch;
    enum act_identity identity_state;
    char identity[ACT_IDENTITY_MAX];
    bool checking;     /* GET /account is under way, or owed */
    bool asked;        /* ... is under way */
    int64_t bad_until; /* ACT_NEVER: it is good */
    unsigned attempts;
    int64_t retry_at;
    size_t budget; /* index; accounts with one identity share one */
    unsigned flights;
    bool backlog;          /* something waits for its turn */
    bool crowded;          /* ... for a request to end, not for tokens */
    int64_t handed_out_at; /* by act_backlog_step() */
    unsigned told;
    char words[ACT_WORDS_MAX];
};

struct act_partition {
    uint64_t epoch;
    struct entry_id folded;
    int64_t mark_at;
};

struct act_flight {
    uint64_t token; /* 0: free */
    enum act_request_kind kind;
    bool begun;   /* ACT_WRITE: the intent is recorded and the request is sent */
    bool counted; /* the budget knows `number` as under way */
    unsigned key; /* of the account, when it was sent */
    size_t account;
    size_t app; /* ACT_NONE: none, or gone with a reload */
    size_t ctl;
    uint64_t number;
    int64_t at;
    struct intent intent;
    int32_t target;
};

struct act_index {
    uint64_t id;
    size_t ctl;
};

/* What an app needs next. */
struct act_need {
    enum act_request_kind kind; /* 0: nothing */
    enum act_purpose purpose;
    double urgency; /* the higher first, within a purpose */
    size_t app;
    size_t ctl; /* whose need it is; ACT_NONE: a regular reading */
    int32_t want;
};

struct act_core {
    const struct config *config;
    struct act_effects effects;
    uint64_t random;
    uint64_t token;
    bool draining;
    bool deaf; /* a pause given before may not be known yet */
    int64_t pause_until_wall;
    struct act_account *accounts;
    struct act_budget *budgets; /* one a configured account */
    size_t accounts_count;
    struct act_app *apps;
    size_t apps_count;
    struct act_ctl *ctls;
    struct act_index *index; /* by id */
    size_t ctls_count;
    struct act_need *needs; /* room for one an app */
    struct act_flight *flights;
    size_t flights_count;
    struct act_partition partitions[DYN_PARTITIONS_MAX];
};

static inline enum act_scale act_ctl_scale(const struct act_ctl *ctl)
{
    return ctl->config->plans != NULL ? ACT_PLANS : ACT_DYNOS;
}

/* core.c */
size_t act_find_ctl(const struct act_core *core, uint64_t id); /* ACT_NONE */
uint64_t act_random(struct act_core *core);
struct act_budget *act_account_budget(struct act_core *core, size_t account);
/** Full jitter: anywhere between nothing and the doubled wait. */
int64_t act_backoff(struct act_core *core, unsigned attempts);
/** Count a change that was done at `at`. */
void act_changes_add(struct act_ctl *ctl, int64_t at, int64_t now);
int32_t act_changes_count(const struct act_ctl *ctl, int64_t now);
/** What runs must be read again before anything. */
void act_app_stale(struct act_app *app);
struct act_reading *act_ctl_reading(struct act_core *core, const struct act_ctl *ctl);
bool act_can_ask(const struct act_core *core, const struct act_account *account);
struct intent act_intent_make(const struct act_core *core, const struct act_ctl *ctl,
                              struct act_now now);

/* core_lead.c */
/** Tell when a doubtful journal may be relied on again. */
void act_doubt_step(struct act_core *core, size_t at, struct act_now now);

/* core_step.c */
struct act_flight *act_flight_new(struct act_core *core, size_t account, struct act_now now);
void act_flight_free(struct act_core *core, struct act_flight *flight);
struct act_flight *act_flight_find(struct act_core *core, uint64_t token);
void act_flight_send(struct act_core *core, struct act_flight *flight);
struct act_verdict act_ctl_judge(const struct act_core *core, const struct act_ctl *ctl,
                                 struct act_now now);
/** The guard that the account, the app or Heroku's answers put before any other; GUARD_NONE. */
enum guard act_ctl_blocked(const struct act_core *core, const struct act_ctl *ctl,
                           struct act_now now, int64_t *out_until);
/** Judge an app again, and do at once what it needs unless others wait. */
void act_app_step(struct act_core *core, size_t at, struct act_now now);
/** Requests of the account have ended: serve those who wait for that. */
void act_backlog_step(struct act_core *core, size_t at, struct act_now now);

/* core_begin.c */
/** Give the intent of a write that is needed to the journal. */
void act_flight_begin(struct act_core *core, const struct act_need *need, struct act_flight *flight,
                      struct act_now now);

/* core_account.c */
/** To GET /account. */
void act_answer_account(struct act_core *core, size_t at, const struct act_answer *answer,
                        struct act_now now);

/* core_tell.c */
void act_tell(struct act_core *core, const struct act_ctl *ctl, unsigned *told, unsigned bit,
              bool on, const char *code, const char *text);
void act_tell_account(struct act_core *core, size_t account, unsigned bit, bool on,
                      const char *code, const char *text);
void act_tell_once(struct act_core *core, const struct act_ctl *ctl, enum event_level level,
                   const char *code, const char *text);
struct action act_action_make(const struct act_core *core, const struct act_ctl *ctl,
                              const struct intent *intent, int32_t target, struct act_now now);
void act_ctl_actual(const struct act_core *core, const struct act_ctl *ctl, struct act_now now,
                    struct actual *out);
/** Events that depend on time, the actual, the shadow's action. */
void act_ctl_watch(struct act_core *core, struct act_ctl *ctl, struct act_now now);
/** Write the controller's journal entry without an action, unless one is open. */
void act_ctl_note(struct act_core *core, struct act_ctl *ctl, struct act_now now);
/** Close `intent` with an action of what became of it. */
void act_ctl_settle(struct act_core *core, struct act_ctl *ctl, struct act_now now,
                    const struct intent *intent, const struct action *action);

#endif
