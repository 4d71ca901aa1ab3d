#include "tests/integration/support_input.h"

#include "common/clock.h"
#include "common/config_internal.h"

#include <check.h>

static struct dyn_loop *loop;
static struct http_client *client;
static struct config *config;
static struct source_host *host;
static struct source_host_options options;
static struct input_sample last;
static int samples;
static char refusal[DYN_ERROR_TEXT_MAX];

static void take(void *arg, struct source_host *from, enum sample_status status, double value,
                 struct dyn_str words)
{
    ck_assert_ptr_eq(arg, &samples);
    ck_assert(host == NULL || from == host);
    samples++;
    last.status = status;
    last.value = value;
    dyn_str_copy(last.words, sizeof last.words, words);
}

void input_setup(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    client = http_client_new(loop, NULL);
    ck_assert_ptr_nonnull(client);
    options =
        (struct source_host_options){.loop = loop, .http = client, .sample = take, .arg = &samples};
}

static void input_end(void)
{
    source_host_free(host);
    host = NULL;
    config_free(config);
    config = NULL;
}

void input_teardown(void)
{
    input_end();
    http_client_free(client);
    dyn_loop_free(loop);
}

DYN_PRINTF(1, 0)
static struct config *text_load(const char *format, va_list args, struct dyn_error *error)
{
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_CONFIG_FILE_MAX);
    (void)dyn_buf_addf(&text, "scaler: {heroku_app_name: shop, heroku_api_key: \"${KEY}\"}\n"
                              "controller_plugins:\n"
                              "- name: dynos\n"
                              "  type: dynos\n"
                              "  input_plugins:\n"
                              "  - {name: load, ");
    (void)dyn_buf_vaddf(&text, format, args);
    (void)dyn_buf_addf(&text, "}\n");
    ck_assert_int_eq(dyn_buf_result(&text), DYN_OK);
    struct config *loaded = config_load_text("t", dyn_buf_str(&text), error);
    dyn_buf_fini(&text);
    return loaded;
}

void input_configure(const char *format, ...)
{
    struct dyn_error error = {""};
    va_list args;
    input_end();
    va_start(args, format);
    config = text_load(format, args, &error);
    va_end(args);
    ck_assert_msg(config != NULL, "%s", error.text);
    const struct config_app *app = &config->apps[0];
    const struct config_input *input = &app->controllers[0].inputs[0];
    host = source_host_new(&options, source_find(input->type->name), app, input, 0);
    ck_assert_ptr_nonnull(host);
}

const char *input_refused(const char *format, ...)
{
    struct dyn_error error = {""};
    va_list args;
    va_start(args, format);
    struct config *loaded = text_load(format, args, &error);
    va_end(args);
    config_free(loaded);
    ck_assert_msg(loaded == NULL, "it is not refused");
    dyn_str_copy(refusal, sizeof refusal, dyn_str_from(error.text));
    return refusal;
}

bool input_warns(const char *words)
{
    for (size_t i = 0; i < config->warnings_count; i++) {
        if (strstr(config->warnings[i], words) != NULL) {
            return true;
        }
    }
    return false;
}

const char *input_disabled(void)
{
    return source_host_disabled(host);
}

int64_t input_now_ms(void)
{
    return dyn_loop_now_ms(loop);
}

struct input_sample input_read_at(int64_t now_ms, int64_t wall_ms)
{
    int before = samples;
    int64_t end_ms = dyn_clock_boot_ms() + 20000;
    last = (struct input_sample){.status = SAMPLE_DISABLED};
    source_host_poll(host, now_ms, wall_ms);
    while (samples == before) {
        ck_assert_msg(dyn_clock_boot_ms() < end_ms, "no sample came");
        dyn_loop_once(loop, 50);
    }
    ck_assert_int_eq(samples, before + 1);
    ck_assert_uint_eq(source_host_stray_answers(host), 0);
    if (last.status != SAMPLE_GOOD) {
        ck_assert_double_eq(last.value, 0);
        ck_assert_str_ne(last.words, "");
    }
    return last;
}

struct input_sample input_read(void)
{
    dyn_loop_once(loop, 0);
    return input_read_at(dyn_loop_now_ms(loop), dyn_clock_wall_ms());
}

void input_give_up(void)
{
    int before = samples;
    source_host_poll(host, dyn_loop_now_ms(loop), dyn_clock_wall_ms());
    source_host_expire(host);
    for (int i = 0; i < 5; i++) {
        dyn_loop_once(loop, 10);
    }
    ck_assert_int_eq(samples, before + 1);
    ck_assert_int_eq(last.status, SAMPLE_TIMEOUT);
    ck_assert_uint_eq(source_host_stray_answers(host), 0);
}

void input_is(struct input_sample sample, double value)
{
    ck_assert_msg(sample.status == SAMPLE_GOOD, "no number: %s", sample.words);
    ck_assert_double_eq(sample.value, value);
}

void input_fails(struct input_sample sample, const char *words)
{
    ck_assert_msg(sample.status == SAMPLE_ERROR, "no error: status %d, %g, %s", (int)sample.status,
                  sample.value, sample.words);
    ck_assert_msg(strstr(sample.words, words) != NULL, "says: %s", sample.words);
}
