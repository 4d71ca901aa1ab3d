/* The names and words that people read for what messages say with a number. */
#include "common/message.h"

/* Every table is asked through here: a number from elsewhere never leads beyond it. */
#define TEXT_AT(table, index)                                                       \
    ((size_t)(index) < sizeof(table) / sizeof((table)[0]) && (table)[index] != NULL \
         ? (table)[index]                                                           \
         : "unknown")

const char *input_health_text(enum input_health health)
{
    static const char *const texts[] = {
        [INPUT_NEVER] = "never",
        [INPUT_OK] = "ok",
        [INPUT_STALE] = "stale",
        [INPUT_OUTAGE] = "outage",
    };
    return TEXT_AT(texts, health);
}

const char *input_cover_text(enum input_cover cover)
{
    static const char *const texts[] = {
        [COVER_YES] = "covered",       [COVER_NEVER] = "never",      [COVER_STALE] = "stale",
        [COVER_YOUNG] = "young",       [COVER_DOUBT] = "doubt_zero", [COVER_IGNORED] = "ignored",
        [COVER_FALLBACK] = "fallback",
    };
    return TEXT_AT(texts, cover);
}

const char *target_reason_text(enum target_reason reason)
{
    static const char *const texts[] = {
        [TARGET_DEMAND] = "demand",
        [TARGET_AT_MIN] = "at_min",
        [TARGET_AT_MAX] = "at_max",
        [TARGET_PINNED] = "pinned",
    };
    return TEXT_AT(texts, reason);
}

const char *action_outcome_text(enum action_outcome outcome)
{
    static const char *const texts[] = {
        [ACTION_DONE] = "done",
        [ACTION_SHADOW] = "shadow",
        [ACTION_REFUSED] = "refused",
        [ACTION_FAILED] = "failed",
    };
    return TEXT_AT(texts, outcome);
}

struct guard_entry {
    const char *name;
    const char *words;
};

static const struct guard_entry guards[GUARD_COUNT] = {
    [GUARD_NONE] = {"none", "It stands at its target."},
    [GUARD_MODE_OFF] = {"mode_off", "`mode: off`: nothing is decided or done for it. Set another "
                                    "mode to have it scaled."},
    [GUARD_SHADOW] = {"shadow",
                      "`mode: shadow` (`dry_run`): the change is decided and recorded, but "
                      "not made. Set `mode: live` to have it made."},
    [GUARD_RAISE_ONLY_MODE] = {"raise_only_mode", "`mode: raise_only`: it is never lowered. Set "
                                                  "`mode: live` to allow that."},
    [GUARD_NO_TARGET] = {"no_target", "No input has yielded a number yet. Look at the inputs' last "
                                      "errors."},
    [GUARD_NO_READING] = {"no_reading",
                          "Heroku has not told yet what runs; the next reading will."},
    [GUARD_UNCOVERED] = {"uncovered",
                         "An input has not been seen well for its whole window, so the "
                         "target may raise but not lower. It ends when good values "
                         "have filled the window."},
    [GUARD_OLD_MARK] = {"old_mark",
                        "The estimator of its partition has not been heard for 30 s: no "
                        "fall until it is. Check that an estimator runs."},
    [GUARD_UP_COOLDOWN] = {"up_cooldown", "It was raised a short while ago (`scale_up_cooldown`)."},
    [GUARD_DOWN_COOLDOWN] = {"down_cooldown", "It was changed a short while ago "
                                              "(`scale_down_cooldown`)."},
    [GUARD_STEP] = {"step", "The way to the target takes several steps (`max_step_up`, "
                            "`max_step_down`); the next one waits for the cool-down."},
    [GUARD_CHANGES] = {"changes", "It has had as many changes as an hour may have "
                                  "(`max_changes_per_hour`)."},
    [GUARD_MANUAL_FLOOR] = {"manual_floor",
                            "Somebody raised it by hand: it goes no lower than that "
                            "until `manual_hold` ends."},
    [GUARD_MANUAL_HOLD] = {"manual_hold", "Somebody lowered it by hand: nothing moves until "
                                          "`manual_hold` ends."},
    [GUARD_ZERO] = {"zero", "Somebody set it to 0: hands off until it is more than 0 again."},
    [GUARD_MAINTENANCE] = {"maintenance", "The app is in maintenance: hands off until that ends."},
    [GUARD_BUDGET] = {"budget", "Heroku's limit on requests: it waits for its turn."},
    [GUARD_ACCOUNT] = {"account",
                       "The Heroku account cannot be used (401, 402 or suspended). Check "
                       "`heroku_api_key` and the account's billing."},
    [GUARD_CONTROLLER] = {"controller", "Heroku answers 403 or 404 for this app, process type or "
                                        "add-on, or it cannot be told what runs. "
                                        "Check its name and what the key may do; it is tried "
                                        "again every 10 minutes."},
    [GUARD_LIMIT] = {"limit",
                     "Heroku's limit on dynos lies below the target. Ask Heroku for more, or "
                     "lower the app's other process types."},
    [GUARD_REFUSED] =
        {"refused",
         "Heroku refused this very quantity; it is tried again later, another one at once."},
    [GUARD_RETRY] = {"retry", "Heroku failed to answer; it is tried again in a moment."},
    [GUARD_IN_FLIGHT] = {"in_flight", "A request to Heroku is under way."},
    [GUARD_JOURNAL] = {"journal", "What was begun before must be settled first, or Redis cannot "
                                  "record what is to be done. Check Redis."},
    [GUARD_PAUSED] = {"paused", "An operator paused it. `dynosaur resume` ends that."},
    [GUARD_DISABLED] = {"disabled",
                        "Its `heroku_api_key` cannot be had. Check the environment or the "
                        "file that holds it."},
    [GUARD_PROVISIONING] = {"provisioning",
                            "The add-on is being changed to another plan: no further change "
                            "before that is done."},
    [GUARD_DOWNGRADE] = {"downgrade", "A smaller plan would do, but is not asked for: a smaller "
                                      "one may drop data. Set `allow_downgrade: true` to have it "
                                      "done."},
};

const char *guard_text(enum guard guard)
{
    return (unsigned)guard < GUARD_COUNT ? guards[guard].name : "unknown";
}

const char *guard_words(enum guard guard)
{
    return (unsigned)guard < GUARD_COUNT ? guards[guard].words : "";
}
