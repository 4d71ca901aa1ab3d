/* A URL that is asked for while the engine lives: Healthchecks.io, Dead Man's Snitch and the like.
 */
#include "reporter/sinks/post.h"

extern const struct sink_ops sink_healthcheck;

struct healthcheck {
    struct post post;
    const char *url;
};

static void healthcheck_fini(void *state)
{
    struct healthcheck *check = state;
    post_fini(&check->post);
}

static dyn_err healthcheck_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct healthcheck *check = state;
    post_init(&check->post, host);
    dyn_err err = post_url(&check->post, "url", &check->url, error);
    if (err != DYN_OK) {
        healthcheck_fini(check);
    }
    return err;
}

static void healthcheck_deliver(void *state, struct sink_host *host,
                                const struct sink_delivery *delivery)
{
    struct healthcheck *check = state;
    (void)host;
    (void)delivery;
    post_send(&check->post, &(struct post_request){.method = "GET", .url = check->url});
}

static void healthcheck_cancel(void *state)
{
    struct healthcheck *check = state;
    post_cancel(&check->post);
}

const struct sink_ops sink_healthcheck = {
    .kind = CONFIG_SUCCESS,
    .name = "healthcheck",
    .state_size = sizeof(struct healthcheck),
    .init = healthcheck_init,
    .deliver = healthcheck_deliver,
    .cancel = healthcheck_cancel,
    .fini = healthcheck_fini,
};
