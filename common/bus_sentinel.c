/*
 * Which server to connect to, where Sentinels know it. A round asks them one after the other, over
 * the same connection that then goes to the master; it tries each master that one of them names,
 * and ends with the first that greets as one, or when all were asked.
 */
#include "common/bus_internal.h"

#define ASK_TIMEOUT_MS 1000
#define NODE_TEXT_MAX (BUS_URL_HOST_MAX + 16)

struct bus_sentinel {
    char master[DYN_NAME_MAX];
    char user[BUS_URL_USER_MAX];
    char password[BUS_URL_PASSWORD_MAX];
    struct bus_node nodes[BUS_NODES_MAX];
    size_t count;
    size_t first;  /* whom the next round begins with */
    bool doubted;  /* the last master was not one any more */
    size_t asked;  /* of this round */
    bool answered; /* `named` is what the one asked said */
    bool trying;   /* the connection is to `named` */
    struct bus_node named;
    struct bus_node tried[BUS_NODES_MAX]; /* in this round */
    size_t tried_count;
    struct dyn_buf said; /* why this round came to nothing so far */
};

struct bus_sentinel *bus_sentinel_new(const struct bus_access *access, struct dyn_error *error)
{
    struct bus_sentinel *sentinel = calloc(1, sizeof(*sentinel));
    if (sentinel == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        return NULL;
    }
    dyn_buf_init(&sentinel->said, BUS_WHY_MAX - 1);
    dyn_str_copy(sentinel->master, sizeof(sentinel->master), dyn_str_from(access->sentinel_master));
    dyn_str_copy(sentinel->user, sizeof(sentinel->user), dyn_str_from(access->sentinel_username));
    dyn_str_copy(sentinel->password, sizeof(sentinel->password),
                 dyn_str_from(access->sentinel_password));
    for (const char *const *text = access->sentinel_nodes; text != NULL && *text != NULL; text++) {
        if (sentinel->count == BUS_NODES_MAX ||
            bus_node_parse(dyn_str_from(*text), BUS_SENTINEL_PORT,
                           &sentinel->nodes[sentinel->count++]) != DYN_OK) {
            (void)dyn_error_set(error, DYN_CONFIG,
                                "a Sentinel is no host:port, or there are more than %d",
                                BUS_NODES_MAX);
            bus_sentinel_free(sentinel);
            return NULL;
        }
    }
    if (sentinel->count == 0) {
        (void)dyn_error_set(error, DYN_CONFIG, "no address of a Sentinel is given");
        bus_sentinel_free(sentinel);
        return NULL;
    }
    return sentinel;
}

void bus_sentinel_free(struct bus_sentinel *sentinel)
{
    if (sentinel != NULL) {
        dyn_buf_fini(&sentinel->said);
        explicit_bzero(sentinel, sizeof(*sentinel));
        free(sentinel);
    }
}

static const struct bus_node *node_asked(const struct bus_sentinel *sentinel)
{
    return &sentinel->nodes[(sentinel->first + sentinel->asked) % sentinel->count];
}

static void node_text(const struct bus_node *node, char *out, size_t size)
{
    bool is_ipv6 = strchr(node->host, ':') != NULL;
    (void)snprintf(out, size, "%s%s%s:%d", is_ipv6 ? "[" : "", node->host, is_ipv6 ? "]" : "",
                   node->port);
}

static bool node_same(const struct bus_node *a, const struct bus_node *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* ---- asking ---- */

static void on_auth(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)reply;
    if (err == DYN_REFUSED) {
        bus_reset(arg, "refuses user or password");
    }
}

/* Host and port, or nil when it knows no master of this name. */
static void on_named(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus *bus = arg;
    struct bus_sentinel *sentinel = bus->sentinel;
    if (bus->state != BUS_ASKING || reply == NULL) {
        return; /* refused already, or the connection is gone */
    }
    const struct bus_reply *host = bus_reply_at(reply, 0);
    const struct bus_reply *port = bus_reply_at(reply, 1);
    struct dyn_str name = host != NULL ? bus_reply_str(host) : (struct dyn_str){"", 0};
    int64_t number = port != NULL ? bus_reply_int(port) : 0;
    if (err != DYN_OK) {
        char why[BUS_WHY_MAX / 2];
        (void)snprintf(why, sizeof(why), "says " DYN_STR_FMT, DYN_STR_ARG(bus_reply_str(reply)));
        bus_reset(bus, why);
    } else if (bus_reply_type(reply) == BUS_NIL) {
        bus_reset(bus, "knows no master of that name");
    } else if (name.len == 0 || name.len >= sizeof(sentinel->named.host) || number < 1 ||
               number > 65535) {
        bus_reset(bus, "answers no address");
    } else {
        dyn_str_copy(sentinel->named.host, sizeof(sentinel->named.host), name);
        sentinel->named.port = (int)number;
        sentinel->answered = true;
        bus_reset(bus, "");
    }
}

dyn_err bus_sentinel_ask(struct bus *bus)
{
    const struct bus_sentinel *sentinel = bus->sentinel;
    const struct dyn_str argv[] = {DYN_STR("SENTINEL"), DYN_STR("GET-MASTER-ADDR-BY-NAME"),
                                   dyn_str_from(sentinel->master)};
    dyn_err err = bus_greet_auth(bus, sentinel->user, sentinel->password, on_auth);
    return err == DYN_OK ? bus_command_send(bus, argv, 3, ASK_TIMEOUT_MS, on_named, bus) : err;
}

enum bus_state bus_sentinel_aim(struct bus *bus)
{
    struct bus_sentinel *sentinel = bus->sentinel;
    const struct bus_node *node = sentinel->trying ? &sentinel->named : node_asked(sentinel);
    bus->target = (struct bus_target){.tls = bus->url.tls, .port = node->port};
    dyn_str_copy(bus->target.host, sizeof(bus->target.host), dyn_str_from(node->host));
    if (sentinel->trying) {
        return BUS_GREETING;
    }
    bus->greeted_by_ms = dyn_loop_now_ms(bus->loop) + ASK_TIMEOUT_MS;
    return BUS_ASKING;
}

/* ---- what came of it ---- */

void bus_sentinel_doubt(struct bus *bus)
{
    if (bus->sentinel != NULL) {
        bus->sentinel->doubted = true;
    }
}

static void round_end(struct bus_sentinel *sentinel)
{
    sentinel->asked = 0;
    sentinel->answered = false;
    sentinel->trying = false;
    sentinel->tried_count = 0;
    dyn_buf_clear(&sentinel->said);
}

/* "; host:port names host:port: why", as far as there is room. */
static void note(struct bus_sentinel *sentinel, const char *why)
{
    char text[NODE_TEXT_MAX];
    node_text(node_asked(sentinel), text, sizeof(text));
    (void)dyn_buf_addf(&sentinel->said, "%s%s ", sentinel->said.len > 0 ? "; " : "", text);
    if (sentinel->answered) {
        node_text(&sentinel->named, text, sizeof(text));
        (void)dyn_buf_addf(&sentinel->said, "names %s%s", text, why[0] != '\0' ? ": " : "");
    }
    (void)dyn_buf_addf(&sentinel->said, "%s", why);
}

/* True: nobody in this round has named it yet. */
static bool named_is_new(struct bus_sentinel *sentinel)
{
    for (size_t i = 0; i < sentinel->tried_count; i++) {
        if (node_same(&sentinel->tried[i], &sentinel->named)) {
            return false;
        }
    }
    sentinel->tried[sentinel->tried_count++] = sentinel->named;
    return true;
}

static void round_words(const struct bus *bus, char *out, size_t size)
{
    const struct bus_sentinel *sentinel = bus->sentinel;
    (void)snprintf(out, size, "%s master \"%s\": %s",
                   sentinel->tried_count > 1    ? "the Sentinels disagree, and none leads to the"
                   : sentinel->tried_count == 1 ? "no Sentinel leads to the"
                                                : "no Sentinel tells the",
                   sentinel->master, dyn_buf_text(&sentinel->said));
}

bool bus_sentinel_goes_on(struct bus *bus, const char *why)
{
    struct bus_sentinel *sentinel = bus->sentinel;
    if (bus->was_ready) {
        /* It was the one asked last who knew. */
        sentinel->first = (sentinel->first + sentinel->asked + sentinel->doubted) % sentinel->count;
        sentinel->doubted = false;
        round_end(sentinel);
        return false;
    }
    if (!sentinel->trying && sentinel->answered && named_is_new(sentinel)) {
        sentinel->trying = true;
        return true;
    }
    note(sentinel, why);
    sentinel->trying = false;
    sentinel->answered = false;
    sentinel->asked++;
    if (sentinel->asked < sentinel->count) {
        return true;
    }
    round_words(bus, bus->why, sizeof(bus->why));
    round_end(sentinel);
    return false;
}
