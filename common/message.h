/*
 * message: every message on the bus, as common/PROTOCOL.md lays it down.
 *
 * A stream entry has one field, "m", whose value is one msgpack array: schema version, kind, and
 * what that kind has. Encoders append to a dyn_buf; decoders read through a pack_reader into
 * structs that borrow their texts from the entry's bytes. A decoder refuses with DYN_BADMSG (or
 * DYN_UNSUPPORTED for another schema version) and leaves its out_ parameter in no stated form;
 * ranges that the reader of a message must rely on are checked here. Encoders cut texts to the
 * bound that decoders check, at a UTF-8 boundary; decoders do not check UTF-8.
 */
#ifndef DYN_COMMON_MESSAGE_H
#define DYN_COMMON_MESSAGE_H

#include "common/limits.h"
#include "common/pack.h"

#define MESSAGE_SCHEMA 1

enum message_kind {
    MESSAGE_BATCH = 1,    /* values: samples of one collector */
    MESSAGE_TICK = 2,     /* values: the leader's second */
    MESSAGE_TARGET = 3,   /* targets, newest */
    MESSAGE_MARK = 4,     /* targets: how far the log is folded */
    MESSAGE_REPORT = 5,   /* reports: what the fold knows of one controller */
    MESSAGE_ACTUAL = 6,   /* reports, and the actuator's state hash: what runs, and what holds it */
    MESSAGE_EVENT = 7,    /* events */
    MESSAGE_ACTION = 8,   /* actions */
    MESSAGE_INTENT = 9,   /* the actuator's journal */
    MESSAGE_COMMAND = 10, /* commands: from the operator */
};

/** The kind of a message that pack_reader_start() accepted, its header consumed; 0 and a sticky
 *  error when it is no message of ours. */
enum message_kind message_read_kind(struct pack_reader *reader);

/* A stream entry's ID. Order is (ms, seq). */
struct entry_id {
    uint64_t ms;
    uint64_t seq;
};
int entry_id_compare(struct entry_id a, struct entry_id b);
#define ENTRY_ID_TEXT 48
void entry_id_format(struct entry_id id, char *out, size_t size);
DYN_NODISCARD dyn_err entry_id_parse(struct dyn_str text, struct entry_id *out);

/* ---- values ---- */

enum sample_status {
    SAMPLE_GOOD = 0,
    SAMPLE_ERROR = 1,    /* the source answered, but not with a number we may use */
    SAMPLE_TIMEOUT = 2,  /* no answer in time */
    SAMPLE_DISABLED = 3, /* it cannot be asked: a secret is missing */
    SAMPLE_STATUS_COUNT
};

struct sample {
    uint64_t series;
    int64_t age_ms; /* before the entry's ID; [0, SAMPLE_AGE_MAX_MS] */
    enum sample_status status;
    double value;          /* finite and >= 0 when SAMPLE_GOOD; else 0 */
    struct dyn_str reason; /* "" when SAMPLE_GOOD; at most DYN_REASON_MAX bytes */
};
#define SAMPLE_AGE_MAX_MS INT64_C(86400000) /* a day */

struct batch {
    struct dyn_str member; /* which collector process: unique a start */
    uint64_t seq;  /* 1, 2, ... a member and partition: a hole is a lost entry, a repeat a resend */
    uint64_t lost; /* samples that the collector had to drop since its last batch */
    uint32_t count;
};

/** [1, 1, member, seq, lost, [series, age_ms, status, value | reason, ...]] */
void message_write_batch(struct dyn_buf *out, const struct batch *batch,
                         const struct sample *samples);
/** After message_read_kind(). `samples` has room for DYN_BATCH_SAMPLES_MAX. A sample with a value
 *  that is not finite or negative becomes SAMPLE_ERROR with a reason; it never spoils its batch. */
DYN_NODISCARD dyn_err message_read_batch(struct pack_reader *reader, struct batch *out,
                                         struct sample *out_samples);

struct pin {
    uint64_t controller;
    int32_t rung;
    int64_t until_ms; /* log time; INT64_MAX: until taken back */
};

enum tick_break {
    BREAK_NONE = 0,
    BREAK_REDIS = 1, /* another history, or a stream that went back: entries may be lost */
};

struct tick {
    uint64_t epoch;
    int64_t elapsed_ms;   /* CLOCK_BOOTTIME since this leader's last tick; 0 with its first; at most
                             TICK_ELAPSED_MAX_MS */
    uint64_t config;      /* configuration hash in force from here on */
    uint32_t breaks;      /* enum tick_break */
    struct entry_id from; /* the first entry that this leader read again; 0-0: the log was empty.
                             What came before it is not known to this leader (estimator/refold.h) */
    uint32_t pins_count;
    struct pin pins[DYN_PINS_MAX];
};
#define TICK_ELAPSED_MAX_MS INT64_C(253402300799999) /* as long as dates have four-digit years */

/** [1, 2, epoch, elapsed_ms, config, breaks, from_ms, from_seq, [controller, rung, until_ms, ...]]
 */
void message_write_tick(struct dyn_buf *out, const struct tick *tick);
DYN_NODISCARD dyn_err message_read_tick(struct pack_reader *reader, struct tick *out);

/* ---- targets ---- */

enum input_health {
    INPUT_NEVER = 0, /* no good sample yet */
    INPUT_OK = 1,
    INPUT_STALE = 2,  /* the last good sample is older than max_gap */
    INPUT_OUTAGE = 3, /* ... than max(300 s, max_gap) */
};
const char *input_health_text(enum input_health health);

/** Why an input does not let its controller fall; COVER_YES: it does. */
enum input_cover {
    COVER_YES = 0,
    COVER_NEVER = 1,   /* no good sample yet */
    COVER_STALE = 2,   /* the last good sample is older than max_gap */
    COVER_YOUNG = 3,   /* good samples do not reach back a whole hysteresis_period yet */
    COVER_DOUBT = 4,   /* zeros after demand, not believed yet */
    COVER_IGNORED = 5, /* on_outage: ignore took it out */
    COVER_FALLBACK = 6 /* on_outage: fallback stands in for it */
};
const char *input_cover_text(enum input_cover cover);

struct input_story {
    struct dyn_str name;
    double value;      /* newest good value; NaN: none */
    int64_t value_at;  /* log ms; 0: none */
    double max;        /* of the window; NaN: none */
    int64_t max_until; /* log ms until which the maximum was in force; 0: none, or it still is */
    int32_t estimate;  /* resources; -1: none */
    enum input_health health;
    enum input_cover cover;
    int64_t covered_at; /* log ms from which a fall is possible if good samples go on; 0: unknown */
    struct dyn_str reason; /* the last failed poll's words, "" when the last poll was good */
};

enum target_reason {
    TARGET_DEMAND = 0, /* the maximum over inputs, within min and max */
    TARGET_AT_MIN = 1, /* min_resource raised it */
    TARGET_AT_MAX = 2, /* max_resource cut it */
    TARGET_PINNED = 3,
};
const char *target_reason_text(enum target_reason reason);

struct target {
    uint64_t controller;
    struct dyn_str app;
    struct dyn_str name; /* the controller's */
    int32_t rung;        /* resources to run; > 0 */
    bool raise_only;     /* go no lower than what runs */
    enum target_reason reason;
    int32_t estimate;        /* before min, max and pins */
    struct entry_id decided; /* the entry whose folding decided it */
    int64_t log_ms;          /* log time then */
    uint64_t epoch;
    uint64_t config;
    uint32_t inputs_count;
    struct input_story inputs[DYN_CONFIG_INPUTS_MAX];
};

/** [1, 3, controller, app, name, rung, raise_only, reason, estimate, decided ms, seq, log_ms,
 *   epoch, config, [[name, value, value_at, max, max_until, estimate, health, cover, covered_at,
 *   reason], ...]]; NaN is nil. */
void message_write_target(struct dyn_buf *out, const struct target *target);
DYN_NODISCARD dyn_err message_read_target(struct pack_reader *reader, struct target *out);

struct mark {
    uint32_t partition;
    uint64_t epoch;
    struct entry_id folded; /* the last entry folded */
    uint64_t config;
};
/** [1, 4, partition, epoch, folded ms, seq, config] */
void message_write_mark(struct dyn_buf *out, const struct mark *mark);
DYN_NODISCARD dyn_err message_read_mark(struct pack_reader *reader, struct mark *out);

/* ---- reports ---- */

struct report_input {
    uint64_t series;
    double value;     /* NaN: none */
    double max;       /* NaN: none */
    int32_t estimate; /* -1: none */
};
struct report {
    uint64_t controller;
    int64_t log_ms;
    int32_t estimate; /* combined; -1: none */
    uint32_t inputs_count;
    struct report_input inputs[DYN_CONFIG_INPUTS_MAX];
};
/** [1, 5, log_ms, [controller, estimate, [series, value, max, estimate, ...], ...]]: one entry
 * holds the reports of many controllers; begin, add each, end. */
void message_begin_reports(struct dyn_buf *out, int64_t log_ms, uint32_t reports_count);
void message_add_report(struct dyn_buf *out, const struct report *report);
/** After message_read_kind(): the message's time, and how many reports it has. */
DYN_NODISCARD dyn_err message_read_reports(struct pack_reader *reader, int64_t *out_log_ms,
                                           uint32_t *out_reports);
/** The next report; call until DYN_NOTFOUND. `log_ms` is the message's and is left as it is. */
DYN_NODISCARD dyn_err message_read_report(struct pack_reader *reader, struct report *out);

/** What holds a controller away from its target; the names that `explain` prints. */
enum guard {
    GUARD_NONE = 0,        /* stands at its target */
    GUARD_MODE_OFF,        /* mode: off */
    GUARD_SHADOW,          /* mode: shadow (dry_run): decided, not done */
    GUARD_RAISE_ONLY_MODE, /* mode: raise_only */
    GUARD_NO_TARGET,       /* no input has said a number yet */
    GUARD_NO_READING,      /* Heroku has not told what runs */
    GUARD_UNCOVERED,       /* the target is raise_only: an input is not covered */
    GUARD_OLD_MARK,        /* the partition has not been folded for 30 s: no fall */
    GUARD_UP_COOLDOWN,
    GUARD_DOWN_COOLDOWN,
    GUARD_STEP,         /* max_step_up / max_step_down: the next step waits for the cool-down */
    GUARD_CHANGES,      /* max_changes_per_hour */
    GUARD_MANUAL_FLOOR, /* raised by hand: a floor until manual_hold ends */
    GUARD_MANUAL_HOLD,  /* lowered by hand: nothing moves until manual_hold ends */
    GUARD_ZERO,         /* quantity 0: hands off */
    GUARD_MAINTENANCE,  /* the app is in maintenance: hands off */
    GUARD_BUDGET,       /* Heroku's rate limit: waits its turn */
    GUARD_ACCOUNT,      /* the account cannot be used: 401, 402, suspended */
    GUARD_CONTROLLER,   /* 403 or 404 for this app or process type */
    GUARD_LIMIT,        /* 422: Heroku's limit is below the target */
    GUARD_REFUSED,      /* another 4xx for this very quantity */
    GUARD_RETRY,        /* 5xx, timeout: waits before the next try */
    GUARD_IN_FLIGHT,    /* a request is under way */
    GUARD_JOURNAL,      /* an intent of before cannot be settled, or Redis cannot record one */
    GUARD_PAUSED,
    GUARD_DISABLED,     /* heroku_api_key cannot be had */
    GUARD_PROVISIONING, /* of a plan: a change of the add-on is under way */
    GUARD_DOWNGRADE,    /* of a plan: a smaller one needs allow_downgrade */
    GUARD_COUNT
};
const char *guard_text(enum guard guard);  /* "down_cooldown" */
const char *guard_words(enum guard guard); /* a sentence for people, what to do included */

struct actual {
    uint64_t controller;
    int64_t wall_ms;
    int32_t running; /* -1: unknown */
    int32_t target;  /* -1: none */
    bool raise_only;
    enum guard guard;
    int64_t until_ms;     /* wall ms when the guard ends; 0: not by time */
    struct dyn_str words; /* Heroku's own words, or "" */
};
/** [1, 6, controller, wall_ms, running, target, raise_only, guard, until_ms, words] */
void message_write_actual(struct dyn_buf *out, const struct actual *actual);
DYN_NODISCARD dyn_err message_read_actual(struct pack_reader *reader, struct actual *out);

/* ---- events, actions, journal ---- */

enum event_level {
    EVENT_INFO = 0,
    EVENT_WARN = 1,
    EVENT_ERROR = 2
};
enum event_state {
    EVENT_ONCE = 0,
    EVENT_RAISED = 1,
    EVENT_OVER = 2
};

struct event {
    enum event_level level;
    enum event_state state;
    struct dyn_str code; /* stable: "input_outage", "heroku_unauthorized"; its fingerprint with */
    struct dyn_str app;  /* app, controller and input; "" where it does not apply */
    struct dyn_str controller;
    struct dyn_str input;
    struct dyn_str service; /* "estimator" */
    struct dyn_str instance;
    struct dyn_str cause; /* what it is one symptom of, "" when unknown: "api.newrelic.com" */
    struct dyn_str text;  /* for people; at most DYN_ERROR_TEXT_MAX */
    int64_t wall_ms;
};
/** [1, 7, level, state, code, app, controller, input, service, instance, cause, text, wall_ms] */
void message_write_event(struct dyn_buf *out, const struct event *event);
DYN_NODISCARD dyn_err message_read_event(struct pack_reader *reader, struct event *out);

enum action_outcome {
    ACTION_DONE = 0,
    ACTION_SHADOW = 1,  /* would have been done: mode shadow */
    ACTION_REFUSED = 2, /* Heroku said no */
    ACTION_FAILED = 3,  /* no usable answer; it may have been applied */
};
const char *action_outcome_text(enum action_outcome outcome);

struct action {
    uint64_t controller;
    struct dyn_str account;
    struct dyn_str app;
    struct dyn_str name;
    struct dyn_str process_type;
    int32_t from;
    int32_t to;
    int32_t target; /* what was wanted in the end: `to` may be a step towards it */
    enum action_outcome outcome;
    int32_t http_status; /* 0: no answer */
    struct dyn_str request_id;
    struct dyn_str words;    /* Heroku's, when it refused */
    struct entry_id decided; /* of the target */
    uint64_t epoch;          /* of the account's lease */
    int64_t wall_ms;
};
/** [1, 8, controller, account, app, name, process_type, from, to, target, outcome, http_status,
 *   request_id, words, decided ms, seq, epoch, wall_ms] */
void message_write_action(struct dyn_buf *out, const struct action *action);
DYN_NODISCARD dyn_err message_read_action(struct pack_reader *reader, struct action *out);

struct intent {
    uint64_t controller;
    int32_t from;
    int32_t to;
    struct entry_id decided;
    uint64_t epoch;
    bool open;         /* false: settled, and `confirmed` is what Heroku last confirmed */
    int32_t confirmed; /* -1: nothing confirmed yet */
    int64_t confirmed_wall_ms;
    int64_t wall_ms;
    /* What a successor must know to go on guarding as before; wall ms, 0: none. */
    int64_t last_up_ms;
    int64_t last_down_ms;
    int64_t manual_until_ms;
    int32_t manual_floor; /* -1: none; 0: lowered by hand, nothing moves */
};
/** [1, 9, controller, from, to, decided ms, seq, epoch, open, confirmed, confirmed_wall_ms,
 * wall_ms, last_up_ms, last_down_ms, manual_until_ms, manual_floor] */
void message_write_intent(struct dyn_buf *out, const struct intent *intent);
DYN_NODISCARD dyn_err message_read_intent(struct pack_reader *reader, struct intent *out);

enum command_verb {
    COMMAND_PAUSE = 1,
    COMMAND_RESUME = 2,
    COMMAND_PIN = 3,
    COMMAND_UNPIN = 4
};
struct command {
    enum command_verb verb;
    struct dyn_str app;        /* "" for a pause of everything */
    struct dyn_str controller; /* "" for all of the app */
    int32_t rung;              /* COMMAND_PIN */
    int64_t until_ms;          /* wall ms; INT64_MAX: until taken back */
    struct dyn_str who;
    struct dyn_str why;
};
/** [1, 10, verb, app, controller, rung, until_ms, who, why] */
void message_write_command(struct dyn_buf *out, const struct command *command);
DYN_NODISCARD dyn_err message_read_command(struct pack_reader *reader, struct command *out);

#endif
