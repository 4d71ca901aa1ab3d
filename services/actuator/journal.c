#include "actuator/journal.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>

#define KEY_MAX 320
#define PREFIX_MAX 80 /* config.h allows 64 */
#define NUMBER_MAX 24
#define KEPT_MS 1000 /* that long replicas may take to have an intent */

struct journal {
    struct journal_options options;
    char prefix[PREFIX_MAX];
    struct bus *bus; /* NULL: away */
    struct pack_reader *reader;
};

/* What an answer needs to know; freed by it. */
struct question {
    struct journal *journal;
    char account[DYN_NAME_MAX + 1];
    uint64_t epoch;
    uint64_t token;
};

/* ---- small things ---- */

static struct dyn_str key_make(const struct journal *journal, size_t account, char *out)
{
    (void)snprintf(out, KEY_MAX, "%s:{act}:%s:journal", journal->prefix,
                   accounts_name(journal->options.accounts, account));
    return dyn_str_from(out);
}

static struct dyn_str field_make(uint64_t controller, char *out)
{
    (void)snprintf(out, NUMBER_MAX, "%016" PRIx64, controller);
    return dyn_str_from(out);
}

static bool ask(struct journal *journal, size_t account, uint64_t epoch, uint64_t token,
                const struct dyn_str *argv, size_t argc, bool kept, bus_fn *fn)
{
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        return false;
    }
    question->journal = journal;
    question->epoch = epoch;
    question->token = token;
    dyn_str_copy(question->account, sizeof question->account,
                 dyn_str_from(accounts_name(journal->options.accounts, account)));
    dyn_err err = journal->bus == NULL ? DYN_CLOSED
                  : kept ? bus_command_kept(journal->bus, argv, argc, KEPT_MS, fn, question)
                         : bus_command(journal->bus, argv, argc, 0, fn, question);
    if (err != DYN_OK) {
        free(question);
        return false;
    }
    return true;
}

/* The account that an answer is for; SIZE_MAX when its lease is of another time. */
static size_t account_of(const struct question *question)
{
    return accounts_find(question->journal->options.accounts, question->account, question->epoch);
}

/* ---- loading ---- */

static void entry_read(struct journal *journal, size_t account, struct dyn_str bytes)
{
    struct intent intent;
    if (pack_reader_start(journal->reader, bytes) == DYN_OK &&
        message_read_kind(journal->reader) == MESSAGE_INTENT &&
        message_read_intent(journal->reader, &intent) == DYN_OK) {
        journal->options.entry(journal->options.arg, account, &intent);
    } else {
        dyn_log(DYN_LOG_WARN, "journal_entry_malformed", "account=%s",
                dyn_log_quoted(accounts_name(journal->options.accounts, account)));
    }
}

static void on_loaded(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    struct journal *journal = question.journal;
    free(arg);
    size_t account = account_of(&question);
    if (account == SIZE_MAX) {
        return;
    }
    if (err != DYN_OK) {
        char words[80];
        char why[240];
        dyn_str_copy(words, sizeof words,
                     err == DYN_REFUSED ? bus_reply_str(reply) : dyn_str_from(dyn_err_text(err)));
        (void)snprintf(why, sizeof why, "the journal of account %.100s cannot be read: %s",
                       question.account, words);
        bus_reset(journal->bus, why);
        return;
    }
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        struct dyn_str field = bus_reply_str(bus_reply_at(reply, i));
        /* With a colon: what the Functions keep beside an intent. */
        if (memchr(field.ptr, ':', field.len) == NULL) {
            entry_read(journal, account, bus_reply_str(bus_reply_at(reply, i + 1)));
        }
    }
    journal->options.loaded(journal->options.arg, account);
}

void journal_load(struct journal *journal, size_t account)
{
    char key[KEY_MAX];
    struct accounts_fence fence;
    struct dyn_str argv[] = {DYN_STR("HGETALL"), key_make(journal, account, key)};
    if (accounts_fence(journal->options.accounts, account, &fence) &&
        !ask(journal, account, fence.epoch, 0, argv, 2, false, on_loaded) && journal->bus != NULL) {
        bus_reset(journal->bus, "the journal cannot be read");
    }
}

/* ---- life ---- */

struct journal *journal_new(const struct journal_options *options)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) {
        return NULL;
    }
    journal->options = *options;
    dyn_str_copy(journal->prefix, sizeof journal->prefix, dyn_str_from(options->prefix));
    journal->reader = pack_reader_new();
    if (journal->reader == NULL) {
        free(journal);
        return NULL;
    }
    return journal;
}

void journal_free(struct journal *journal)
{
    if (journal != NULL) {
        pack_reader_free(journal->reader);
        free(journal);
    }
}

void journal_open(struct journal *journal, struct bus *bus)
{
    journal->bus = bus;
}

void journal_close(struct journal *journal)
{
    journal->bus = NULL;
}

/* ---- intents ---- */

static void on_begun(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    struct journal *journal = question.journal;
    free(arg);
    if (err == DYN_REFUSED && dyn_str_starts(bus_reply_str(reply), "INFLIGHT")) {
        err = DYN_BUSY;
    }
    journal->options.begun(journal->options.arg, question.token, err);
}

dyn_err journal_begin(struct journal *journal, size_t account, uint64_t token,
                      const struct intent *intent)
{
    struct accounts_fence fence;
    char key[KEY_MAX];
    char field[NUMBER_MAX];
    struct dyn_buf bytes;
    if (!accounts_fence(journal->options.accounts, account, &fence)) {
        return DYN_CLOSED;
    }
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    message_write_intent(&bytes, intent);
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_act_begin"),
                             DYN_STR("2"),
                             fence.key,
                             key_make(journal, account, key),
                             fence.owner,
                             fence.epoch_text,
                             field_make(intent->controller, field),
                             dyn_buf_str(&bytes)};
    bool sent = dyn_buf_result(&bytes) == DYN_OK && ask(journal, account, fence.epoch, token, argv,
                                                        sizeof argv / sizeof *argv, true, on_begun);
    dyn_buf_fini(&bytes);
    return sent ? DYN_OK : DYN_CLOSED;
}

static void on_ended(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    free(arg);
    if (err == DYN_REFUSED) {
        struct dyn_str words = bus_reply_str(reply);
        dyn_log(DYN_LOG_ERROR, "journal_refused", "msg=\"" DYN_STR_FMT "\"", DYN_STR_ARG(words));
    }
    size_t account = account_of(&question);
    if (err == DYN_FENCED && account != SIZE_MAX) {
        accounts_fenced(question.journal->options.accounts, account);
    }
}

void journal_end(struct journal *journal, size_t account, const struct intent *intent,
                 const struct action *action)
{
    struct accounts_fence fence;
    char key[KEY_MAX];
    char actions[KEY_MAX];
    char field[NUMBER_MAX];
    char actions_max[NUMBER_MAX];
    struct dyn_buf bytes;
    struct dyn_buf action_bytes;
    if (!accounts_fence(journal->options.accounts, account, &fence)) {
        return;
    }
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    dyn_buf_init(&action_bytes, DYN_ENTRY_MAX);
    message_write_intent(&bytes, intent);
    if (action != NULL) {
        message_write_action(&action_bytes, action);
    }
    (void)snprintf(actions, sizeof actions, "%s:actions", journal->prefix);
    (void)snprintf(actions_max, sizeof actions_max, "%d", JOURNAL_ACTIONS_MAX);
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_act_end"),
                             DYN_STR("3"),
                             fence.key,
                             key_make(journal, account, key),
                             dyn_str_from(actions),
                             fence.owner,
                             fence.epoch_text,
                             field_make(intent->controller, field),
                             dyn_buf_str(&bytes),
                             dyn_buf_str(&action_bytes),
                             dyn_str_from(actions_max)};
    if (dyn_buf_result(&bytes) == DYN_OK && dyn_buf_result(&action_bytes) == DYN_OK) {
        (void)ask(journal, account, fence.epoch, 0, argv, sizeof argv / sizeof *argv, false,
                  on_ended);
    }
    dyn_buf_fini(&bytes);
    dyn_buf_fini(&action_bytes);
}
