#include "support_bus.h"

struct dyn_loop *loop;
struct support_redis *redis;

void support_bus_setup(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    const struct support_redis_options options = {.append_only = true, .tcp = true};
    redis = support_redis_new(&options);
}

void support_bus_teardown(void)
{
    support_redis_free(redis);
    dyn_loop_free(loop);
}

void on_ready(void *arg, struct dyn_str replid)
{
    struct seen *seen = arg;
    seen->ready++;
    dyn_str_copy(seen->replid, sizeof(seen->replid), replid);
}

void on_lost(void *arg, const char *why)
{
    struct seen *seen = arg;
    seen->lost++;
    (void)snprintf(seen->why, sizeof(seen->why), "%s", why);
}

static void on_trouble(void *arg, const char *why)
{
    struct seen *seen = arg;
    seen->troubles++;
    (void)snprintf(seen->trouble, sizeof(seen->trouble), "%s", why);
}

void on_answer(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct seen *seen = arg;
    seen->answers[err]++;
    seen->total++;
    ck_assert_int_eq(reply != NULL, err == DYN_OK || err == DYN_REFUSED || err == DYN_FENCED);
    if (reply != NULL) {
        dyn_str_copy(seen->text, sizeof(seen->text), bus_reply_str(reply));
        seen->may_pass = bus_reply_may_pass(reply);
    }
}

struct bus *bus_open(struct seen *seen, const char *url)
{
    const struct bus_options options = {.url = url,
                                        .name = "dynosaur-test",
                                        .ready = on_ready,
                                        .lost = on_lost,
                                        .trouble = on_trouble,
                                        .arg = seen};
    struct dyn_error error;
    struct bus *bus = bus_new(loop, &options, &error);
    ck_assert_msg(bus != NULL, "%s", error.text);
    return bus;
}

void fill(struct bus *bus, struct seen *seen, const char *key, size_t count)
{
    seen->total = 0;
    for (size_t i = 0; i < count;) {
        dyn_err err = bus_add(bus, key, DYN_STR("payload"), 0, on_answer, seen);
        if (err == DYN_OK) {
            i++;
        } else {
            ck_assert_int_eq(err, DYN_BUSY);
            dyn_loop_once(loop, 20);
        }
    }
    UNTIL(seen->total == count);
}

void add_one(struct bus *bus, struct seen *seen)
{
    size_t before = seen->total;
    ck_assert_int_eq(bus_add(bus, "s", DYN_STR("x"), 0, on_answer, seen), DYN_OK);
    UNTIL(seen->total == before + 1);
}
