#include "collector/drain_table.h"

/* ---- who may send ---- */

/* Takes as long for any two. */
static bool hash_is(const char a[static DYN_SHA256_HEX_SIZE],
                    const char b[static DYN_SHA256_HEX_SIZE])
{
    unsigned difference = 0;
    for (size_t i = 0; i < DYN_SHA256_HEX_SIZE - 1; i++) {
        difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
    }
    return difference == 0;
}

/* The first whose token is not below. */
static size_t lower_bound(const struct drain_table *table, const char *token)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(table->known[middle].token, token) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct drain_known *drain_table_find(const struct drain_table *table, struct dyn_str token,
                                           struct dyn_str password)
{
    char token_hash[DYN_SHA256_HEX_SIZE];
    char password_hash[DYN_SHA256_HEX_SIZE];
    if (token.len == 0 || dyn_sha256_hex(token, token_hash) != DYN_OK ||
        dyn_sha256_hex(password, password_hash) != DYN_OK) {
        return NULL;
    }
    for (size_t at = lower_bound(table, token_hash); at < table->count; at++) {
        const struct drain_known *known = &table->known[at];
        if (!hash_is(known->token, token_hash)) {
            break;
        }
        if (known->password[0] == '\0' || hash_is(known->password, password_hash)) {
            return known;
        }
    }
    return NULL;
}

/* ---- which there are ---- */

static dyn_err secret_hash(const struct config_value *option, char out[static DYN_SHA256_HEX_SIZE])
{
    struct dyn_buf secret;
    struct dyn_error said_by_the_input;
    dyn_buf_init(&secret, DYN_SECRET_MAX);
    dyn_err err = config_secret_resolve(&option->as.secret, &secret, &said_by_the_input);
    struct dyn_str text = dyn_str_trim(dyn_buf_str(&secret));
    if (err == DYN_OK && text.len == 0) {
        err = DYN_BADMSG;
    }
    if (err == DYN_OK) {
        err = dyn_sha256_hex(text, out);
    }
    dyn_buf_wipe(&secret);
    return err;
}

/* False: its secrets cannot be had. */
static bool known_read(const struct config_input *input, struct drain_known *out)
{
    const struct config_options *options = &input->options;
    const struct config_value *password = config_option(options, "password");
    struct drain_known known = {.password = ""};
    int64_t needed_ms =
        config_option(options, "period")->as.i + config_option(options, "delay")->as.i;
    if (secret_hash(config_option(options, "token"), known.token) != DYN_OK ||
        (password->given && secret_hash(password, known.password) != DYN_OK)) {
        return false;
    }
    known.kept_s = needed_ms / 1000 + DRAIN_KEPT_SLACK_S;
    dyn_str_copy(known.id, sizeof known.id, dyn_str_from(known.token));
    *out = known;
    return true;
}

/* Calls `each` with every input that is a drain. */
static void drains_walk(const struct config *config,
                        void (*each)(void *arg, const struct config_input *input), void *arg)
{
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; c < app->controllers_count; c++) {
            const struct config_controller *controller = &app->controllers[c];
            for (size_t i = 0; i < controller->inputs_count; i++) {
                if (strcmp(controller->inputs[i].type->name, "log_drain") == 0) {
                    each(arg, &controller->inputs[i]);
                }
            }
        }
    }
}

static void drain_count(void *arg, const struct config_input *input)
{
    size_t *count = arg;
    (void)input;
    ++*count;
}

static void drain_add(void *arg, const struct config_input *input)
{
    struct drain_table *table = arg;
    table->count += known_read(input, &table->known[table->count]);
}

static int known_compare(const void *a, const void *b)
{
    return strcmp(((const struct drain_known *)a)->token, ((const struct drain_known *)b)->token);
}

/* All with one token are kept as long as the one that needs it longest. */
static void kept_share(struct drain_table *table)
{
    size_t end = 0;
    for (size_t first = 0; first < table->count; first = end) {
        struct drain_known *group = &table->known[first];
        int64_t longest_s = 0;
        for (end = first; end < table->count && strcmp(table->known[end].token, group->token) == 0;
             end++) {
            int64_t kept_s = table->known[end].kept_s;
            longest_s = kept_s > longest_s ? kept_s : longest_s;
        }
        for (size_t i = first; i < end; i++) {
            table->known[i].kept_s = longest_s;
        }
    }
}

dyn_err drain_table_read(struct drain_table *table, const struct config *config, size_t *out_asked)
{
    struct drain_table next = {.count = 0};
    size_t asked = 0;
    drains_walk(config, drain_count, &asked);
    next.known = calloc(asked + 1, sizeof *next.known);
    if (next.known == NULL) {
        return DYN_NOMEM;
    }
    drains_walk(config, drain_add, &next);
    qsort(next.known, next.count, sizeof *next.known, known_compare);
    kept_share(&next);
    drain_table_fini(table);
    *table = next;
    *out_asked = asked;
    return DYN_OK;
}

void drain_table_fini(struct drain_table *table)
{
    free(table->known);
    *table = (struct drain_table){.count = 0};
}
