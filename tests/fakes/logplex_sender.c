#include "tests/fakes/logplex_sender.h"

#include "common/clock.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TRIES 3
#define ANSWER_MS 5000
#define BODY_MAX ((size_t)8 << 20)
#define HEAD_MAX 4096

struct logplex {
    struct logplex_options options;
    int fds[LOGPLEX_TARGETS_MAX]; /* -1: no connection */
    size_t turn;
    unsigned lose_answers;
    struct dyn_buf body;
    struct dyn_buf message; /* all of a request */
    uint64_t frames;
    uint64_t lost_lines; /* told by an L10 before the next batch */
    int64_t lost_since_s;
    char authorization[512];
    char violation[256];
    struct logplex_counts counts;
};

/* ---- a batch ---- */

static void time_write(char out[static 40], int64_t wall_s, bool micros)
{
    time_t seconds = wall_s;
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    size_t len = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out + len, 40 - len, "%s+00:00", micros ? ".943253" : "");
}

static void frame_add(struct logplex *logplex, const char *text)
{
    (void)dyn_buf_addf(&logplex->body, "%zu %s", strlen(text), text);
    logplex->frames++;
}

void logplex_add(struct logplex *logplex, int64_t wall_s, const char *app, const char *process,
                 const char *message)
{
    char text[12000];
    char at[40];
    time_write(at, wall_s, true);
    (void)snprintf(text, sizeof text, "<158>1 %s host %s %s - %s\n", at, app, process, message);
    frame_add(logplex, text);
}

void logplex_request(struct logplex *logplex, int64_t wall_s, unsigned status, unsigned connect_ms,
                     unsigned service_ms)
{
    char message[512];
    (void)snprintf(message, sizeof message,
                   "at=info method=GET path=\"/items?page=%u&q=status=200\" "
                   "host=shop.example.com request_id=6903a168-b79b-ec27-03c8-%012" PRIx64
                   " fwd=\"138.68.186.89\" dyno=web.%u connect=%ums service=%ums status=%u "
                   "bytes=1313 protocol=http1.1 tls=true tls_version=tls1.3",
                   service_ms % 7, logplex->frames, 1 + service_ms % 3, connect_ms, service_ms,
                   status);
    logplex_add(logplex, wall_s, "heroku", "router", message);
}

/* In front of the batch, without a line end. */
static void loss_put(struct logplex *logplex)
{
    struct dyn_buf old = logplex->body;
    char text[256];
    char now[40];
    char since[40];
    time_write(now, dyn_clock_wall_ms() / 1000, false);
    time_write(since, logplex->lost_since_s, false);
    (void)snprintf(text, sizeof text,
                   "<172>1 %s host heroku logplex - Error L10 (output buffer overflow): %" PRIu64
                   " messages dropped since %s.275.",
                   now, logplex->lost_lines, since);
    dyn_buf_init(&logplex->body, BODY_MAX);
    frame_add(logplex, text);
    (void)dyn_buf_add_str(&logplex->body, dyn_buf_str(&old));
    dyn_buf_fini(&old);
    logplex->lost_lines = 0;
}

/* ---- a request ---- */

static void chunks_write(struct dyn_buf *out, struct dyn_str body)
{
    size_t size = 1;
    for (size_t at = 0; at < body.len; at += size) {
        size = (size * 7 + 13) % 1777 + 1;
        size = size < body.len - at ? size : body.len - at;
        (void)dyn_buf_addf(out, "%zx\r\n", size);
        (void)dyn_buf_add(out, body.ptr + at, size);
        (void)dyn_buf_addf(out, "\r\n");
    }
    (void)dyn_buf_addf(out, "0\r\n\r\n");
}

static void request_write(struct logplex *logplex)
{
    struct dyn_buf *out = &logplex->message;
    dyn_buf_clear(out);
    (void)dyn_buf_addf(out,
                       "POST /drain HTTP/1.1\r\nHost: scaler.example.com\r\n%s"
                       "Content-Type: application/logplex-1\r\nLogplex-Msg-Count: %" PRIu64 "\r\n"
                       "Logplex-Frame-Id: %016" PRIX64 "%016" PRIX64 "\r\n"
                       "Logplex-Drain-Token: %s\r\nUser-Agent: Logplex/v49\r\n",
                       logplex->authorization, logplex->frames, dyn_random(), dyn_random(),
                       logplex->options.token);
    if (logplex->options.chunked) {
        (void)dyn_buf_addf(out, "Transfer-Encoding: chunked\r\n\r\n");
        chunks_write(out, dyn_buf_str(&logplex->body));
    } else {
        (void)dyn_buf_addf(out, "Content-Length: %zu\r\n\r\n", logplex->body.len);
        (void)dyn_buf_add_str(out, dyn_buf_str(&logplex->body));
    }
}

static void target_close(struct logplex *logplex, size_t target)
{
    if (logplex->fds[target] >= 0) {
        (void)close(logplex->fds[target]);
        logplex->fds[target] = -1;
    }
}

static bool target_open(struct logplex *logplex, size_t target)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)logplex->options.ports[target])};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (logplex->fds[target] >= 0) {
        return true;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    logplex->fds[target] = fd;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        target_close(logplex, target);
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return true;
}

static bool request_send(int fd, struct dyn_str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes = (struct dyn_str){bytes.ptr + sent, bytes.len - (size_t)sent};
    }
    return true;
}

static void violated(struct logplex *logplex, const char *words, const char *head)
{
    if (logplex->violation[0] == '\0') {
        (void)snprintf(logplex->violation, sizeof logplex->violation, "%s: %.180s", words, head);
    }
}

/* An answer that a client need not guess the end of: 204, or a length, which is read too. */
static bool rest_read(struct logplex *logplex, int fd, const char *head, size_t len, int status)
{
    char bytes[1024];
    const char *body = strstr(head, "\r\n\r\n") + 4;
    const char *length = strcasestr(head, "\r\nContent-Length: ");
    size_t left = length != NULL ? strtoul(length + 18, NULL, 10) : 0;
    if (length == NULL && status != 204) {
        violated(logplex, "an answer without a length", head);
        return false;
    }
    if (status >= 200 && status < 300 && left > 0) {
        violated(logplex, "a good answer with a body", head);
    }
    left -= len - (size_t)(body - head) < left ? len - (size_t)(body - head) : left;
    while (left > 0) {
        ssize_t got = recv(fd, bytes, left < sizeof bytes ? left : sizeof bytes, 0);
        if (got <= 0) {
            return false;
        }
        left -= (size_t)got;
    }
    return strcasestr(head, "\r\nConnection: close") == NULL;
}

/* The status; 0: none came in time. */
static int answer_read(struct logplex *logplex, size_t target)
{
    char head[HEAD_MAX] = "";
    size_t len = 0;
    int status = 0;
    int fd = logplex->fds[target];
    int64_t end_ms = dyn_clock_boot_ms() + ANSWER_MS;
    while (strstr(head, "\r\n\r\n") == NULL) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        int64_t left_ms = end_ms - dyn_clock_boot_ms();
        if (left_ms <= 0 || poll(&waits, 1, (int)left_ms) != 1) {
            violated(logplex, "no answer within 5 s", head);
            target_close(logplex, target);
            return 0;
        }
        if (logplex->lose_answers > 0) {
            logplex->lose_answers--;
            target_close(logplex, target);
            return 0;
        }
        ssize_t got = recv(fd, head + len, sizeof head - 1 - len, 0);
        if (got <= 0) {
            target_close(logplex, target);
            return 0;
        }
        len += (size_t)got;
        head[len] = '\0';
    }
    if (sscanf(head, "HTTP/1.1 %3d", &status) != 1) {
        violated(logplex, "no HTTP", head);
    }
    if (!rest_read(logplex, fd, head, len, status)) {
        target_close(logplex, target);
    }
    return status;
}

static int try_once(struct logplex *logplex)
{
    size_t target = logplex->turn;
    logplex->turn = (logplex->turn + 1) % logplex->options.ports_count;
    logplex->counts.tries++;
    if (!target_open(logplex, target)) {
        return 0;
    }
    /* Who refuses early may close before all is sent: its answer is there to be read all the same.
     */
    (void)request_send(logplex->fds[target], dyn_buf_str(&logplex->message));
    return answer_read(logplex, target);
}

static bool is_settled(int status)
{
    return (status >= 200 && status < 300) || (status >= 400 && status < 500 && status != 429);
}

int logplex_send(struct logplex *logplex)
{
    int status = 0;
    if (logplex->lost_lines > 0) {
        loss_put(logplex);
    }
    request_write(logplex);
    logplex->counts.batches++;
    for (int tries = 0; tries < TRIES && !is_settled(status); tries++) {
        status = try_once(logplex);
    }
    if (status >= 200 && status < 300) {
        logplex->counts.taken++;
    } else if (is_settled(status)) {
        logplex->counts.refused += logplex->frames;
    } else {
        logplex->counts.dropped += logplex->frames;
        logplex->lost_lines += logplex->frames;
        logplex->lost_since_s = dyn_clock_wall_ms() / 1000;
    }
    dyn_buf_clear(&logplex->body);
    logplex->frames = 0;
    return status;
}

void logplex_turn(struct logplex *logplex, size_t target)
{
    logplex->turn = target;
}

void logplex_lose_answers(struct logplex *logplex, unsigned tries)
{
    logplex->lose_answers = tries;
}

const struct logplex_counts *logplex_counts(const struct logplex *logplex)
{
    return &logplex->counts;
}

const char *logplex_violation(const struct logplex *logplex)
{
    return logplex->violation;
}

/* ---- life ---- */

static void authorization_write(struct logplex *logplex)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char plain[128];
    char encoded[256] = "";
    size_t len = 0;
    if (logplex->options.password == NULL) {
        return;
    }
    size_t size = (size_t)snprintf(plain, sizeof plain, "logplex:%s", logplex->options.password);
    for (size_t at = 0; at < size; at += 3) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) {
            bits = bits << 8U | (at + i < size ? (unsigned char)plain[at + i] : 0);
        }
        for (size_t i = 0; i < 4; i++) {
            encoded[len] = '=';
            if (at + i <= size) {
                encoded[len] = digits[bits >> (18 - 6 * i) & 63U];
            }
            len++;
        }
    }
    (void)snprintf(logplex->authorization, sizeof logplex->authorization,
                   "Authorization: Basic %s\r\n", encoded);
}

struct logplex *logplex_new(const struct logplex_options *options)
{
    DYN_ASSERT(options->ports_count > 0 && options->ports_count <= LOGPLEX_TARGETS_MAX);
    struct logplex *logplex = calloc(1, sizeof *logplex);
    if (logplex == NULL) {
        dyn_out_of_memory("Logplex");
    }
    logplex->options = *options;
    for (size_t i = 0; i < LOGPLEX_TARGETS_MAX; i++) {
        logplex->fds[i] = -1;
    }
    dyn_buf_init(&logplex->body, BODY_MAX);
    dyn_buf_init(&logplex->message, 2 * BODY_MAX);
    authorization_write(logplex);
    return logplex;
}

void logplex_free(struct logplex *logplex)
{
    if (logplex == NULL) {
        return;
    }
    for (size_t i = 0; i < logplex->options.ports_count; i++) {
        target_close(logplex, i);
    }
    dyn_buf_fini(&logplex->body);
    dyn_buf_fini(&logplex->message);
    free(logplex);
}
