/*
 * fake-proxy: connections that go wrong when told. See README.md.
 */
#include "proxy_link.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 32
#define LINE_SIZE 512

struct proxy {
    struct link *links[LINKS_MAX];
    size_t count;
    char input[LINE_SIZE];
    size_t input_len;
};

static int64_t now_get(void)
{
    struct timespec at = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static struct link *link_find(const struct proxy *proxy, const char *name)
{
    for (size_t i = 0; i < proxy->count; i++) {
        if (strcmp(link_name(proxy->links[i]), name) == 0) {
            return proxy->links[i];
        }
    }
    return NULL;
}

static bool link_add(struct proxy *proxy, const char *name, const char *target)
{
    if (proxy->count == LINKS_MAX || link_find(proxy, name) != NULL) {
        return false;
    }
    struct link *link = link_new(name, target);
    if (link == NULL) {
        return false;
    }
    proxy->links[proxy->count++] = link;
    printf("ok %u\n", link_port(link));
    return true;
}

static bool link_command(struct link *link, const char *verb, const char *argument)
{
    enum link_mode mode = LINK_PASS;
    if (strcmp(verb, "cut") == 0 || strcmp(verb, "reset") == 0) {
        link_cut(link, verb[0] == 'r');
        printf("ok\n");
        return true;
    }
    if (strcmp(verb, "stats") == 0) {
        struct link_stats stats = link_stats(link);
        printf("ok accepted=%llu open=%zu up=%llu down=%llu\n", (unsigned long long)stats.accepted,
               stats.open, (unsigned long long)stats.up, (unsigned long long)stats.down);
        return true;
    }
    if (!link_mode_find(verb, &mode) ||
        !link_set(link, mode, strtol(argument, NULL, 10), now_get())) {
        return false;
    }
    printf("ok\n");
    return true;
}

/* link NAME TARGET | VERB NAME [MS] */
static void line_run(struct proxy *proxy, const char *line)
{
    char verb[32] = "";
    char name[LINK_NAME_SIZE] = "";
    char argument[256] = "";
    (void)sscanf(line, "%31s %63s %255s", verb, name, argument);
    struct link *link = link_find(proxy, name);
    bool good = strcmp(verb, "link") == 0 ? link_add(proxy, name, argument)
                                          : link != NULL && link_command(link, verb, argument);
    if (!good) {
        printf("error: %s\n", line);
    }
    (void)fflush(stdout);
}

/* False at the end of the input. */
static bool input_read(struct proxy *proxy)
{
    ssize_t len = read(STDIN_FILENO, proxy->input + proxy->input_len,
                       sizeof proxy->input - 1 - proxy->input_len);
    if (len <= 0) {
        return false;
    }
    proxy->input_len += (size_t)len;
    proxy->input[proxy->input_len] = '\0';
    for (char *end = strchr(proxy->input, '\n'); end != NULL; end = strchr(proxy->input, '\n')) {
        *end = '\0';
        line_run(proxy, proxy->input);
        proxy->input_len -= (size_t)(end + 1 - proxy->input);
        memmove(proxy->input, end + 1, proxy->input_len + 1);
    }
    return proxy->input_len < sizeof proxy->input - 1;
}

static void proxy_run(struct proxy *proxy)
{
    static struct pollfd polls[1 + LINKS_MAX * LINK_POLLS_MAX];
    for (;;) {
        int64_t now_ms = now_get();
        int64_t wait_ms = -1;
        size_t at[LINKS_MAX];
        size_t count = 1;
        size_t links = proxy->count;
        polls[0] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
        for (size_t i = 0; i < links; i++) {
            int64_t due_ms = link_due(proxy->links[i], now_ms);
            wait_ms = due_ms >= 0 && (wait_ms < 0 || due_ms < wait_ms) ? due_ms : wait_ms;
            at[i] = count;
            count += link_polls(proxy->links[i], now_ms, polls + count);
        }
        if (poll(polls, count, (int)wait_ms) < 0) {
            continue;
        }
        for (size_t i = 0; i < links; i++) {
            link_step(proxy->links[i], polls + at[i], now_get());
        }
        /* Last, because it changes what was polled. */
        if (polls[0].revents != 0 && !input_read(proxy)) {
            return;
        }
    }
}

int main(void)
{
    struct proxy proxy = {.count = 0};
    (void)signal(SIGPIPE, SIG_IGN);
    proxy_run(&proxy);
    for (size_t i = 0; i < proxy.count; i++) {
        link_free(proxy.links[i]);
    }
    return EXIT_SUCCESS;
}
