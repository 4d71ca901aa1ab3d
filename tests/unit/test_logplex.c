/* Bodies of a log drain, framed by program since printed ones seldom have the right lengths. */
#include "collector/logplex.h"

#include <check.h>
#include <stdlib.h>

#define NOW_S 1714150740 /* 2024-04-26T16:59:00Z */
#define TIME "2024-04-26T16:58:32.943253+00:00"
#define BUCKET_S 1714150710 /* of TIME */
#define ROUTER "<158>1 " TIME " host heroku router - "

static struct tally tally;
static struct dyn_buf body;
static uint64_t frames;

static void setup(void)
{
    dyn_buf_init(&body, (size_t)4 << 20);
    tally_begin(&tally, NOW_S, TALLY_KEPT_MAX_S);
    frames = 0;
}

static void teardown(void)
{
    dyn_buf_fini(&body);
}

static void frame_bytes(struct dyn_str text)
{
    ck_assert_int_eq(dyn_buf_addf(&body, "%zu ", text.len), DYN_OK);
    ck_assert_int_eq(dyn_buf_add_str(&body, text), DYN_OK);
}

static void frame(const char *text)
{
    frame_bytes(dyn_str_from(text));
}

static void read_all(void)
{
    ck_assert_int_eq(logplex_read(&tally, dyn_buf_str(&body), &frames), DYN_OK);
}

static const struct tally_bucket *bucket(void)
{
    return tally_at(&tally, BUCKET_S);
}

/* The one time in a histogram; -1: none, -2: several. */
static int64_t only(const struct histogram *histogram)
{
    int64_t found = -1;
    for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
        if (histogram->counts[bin] > 0) {
            bool first = found == -1 && histogram->counts[bin] == 1;
            found = first ? (int64_t)histogram_bin_longest_ms(bin) : -2;
        }
    }
    return found;
}

START_TEST(the_three_frames_of_herokus_example_are_told_apart)
{
    frame("<172>1 2024-04-26T16:58:34+00:00 host heroku logplex - Error L10 (output buffer "
          "overflow): 491 messages dropped since 2024-04-26T16:55:49+00:00.275");
    frame(ROUTER "at=info method=GET path=\"/\" host=example.com "
                 "request_id=6903a168-b79b-ec27-03c8-b8f64d8d8792 fwd=\"138.68.186.89\" dyno=web.1 "
                 "connect=0ms service=18ms status=200 bytes=13 protocol=http2.0 tls=true "
                 "tls_version=tls1.3\n");
    frame("<45>1 2024-04-26T16:58:33.000000+00:00 host heroku web.1 - source=web.1 "
          "dyno=heroku.2808254.d97d0ea7-cf3d-411b-b453-d2943a50b456 sample#load_avg_1m=2.46\n");
    read_all();
    ck_assert_uint_eq(frames, 3);
    ck_assert_uint_eq(tally.lines, 3);
    ck_assert_uint_eq(tally.requests, 1);
    ck_assert_uint_eq(tally.dropped, 491);
    ck_assert_uint_eq(tally.strays, 0);
    ck_assert_uint_eq(bucket()->lines, 2);
    ck_assert_uint_eq(bucket()->requests, 1);
    ck_assert_uint_eq(bucket()->errors, 0);
    ck_assert_int_eq(only(&bucket()->service), 18);
    ck_assert_int_eq(only(&bucket()->connect), 0);
    /* From 16:55:40 to 16:58:30: every bucket that the lost lines may be of. */
    ck_assert_uint_eq(tally_at(&tally, BUCKET_S - 180)->dropped, 0);
    for (int64_t at_s = BUCKET_S - 170; at_s <= BUCKET_S; at_s += 10) {
        ck_assert_uint_eq(tally_at(&tally, at_s)->dropped, 491);
    }
    ck_assert_uint_eq(tally_at(&tally, BUCKET_S + 10)->dropped, 0);
}
END_TEST

static const struct {
    const char *message;
    int requests, errors;
    int64_t service, connect; /* -1: none */
} lines[] = {
    {"at=info method=GET path=\"/a?b=c d\" host=x fwd=\"204.204.204.204\" dyno=web.1 connect=1ms "
     "service=18ms status=200 bytes=13 protocol=https",
     1, 0, 18, 1},
    {"at=info method=POST path=\"/\" host=x fwd=\"87.121.84.24\" dyno=web.1 connect=0ms "
     "service=4ms "
     "status=500 bytes=95 protocol=http1.1 tls=false",
     1, 1, 4, 0},
    {"at=error code=H12 desc=\"Request timeout\" method=POST path=\"/x\" dyno=web.1 connect=0ms "
     "service=30324ms status=503 bytes=0 protocol=https",
     1, 1, 30719, 0},
    {"at=error code=H14 desc=\"No web processes running\" method=GET path=\"/\" dyno= connect= "
     "service= status=503 bytes= protocol=https",
     1, 1, -1, -1},
    {"sock=backend at=error code=H18 desc=\"Server Request Interrupted\" method=POST path=\"/x\" "
     "dyno=web.1 connect=0ms service=7ms status=200 bytes=0 protocol=http1.1 tls=true",
     1, 0, 7, 0},
    {"sock=client at=warning code=H27 desc=\"Client Request Interrupted\" method=GET path=\"/\" "
     "dyno=web.1 connect=2ms service=1215ms status=499 bytes=5354",
     1, 0, -1, 2},
    {"code=H28 method=GET path=/ dyno=web.1 connect=2 service=1215 status=499", 1, 0, -1, 2},
    {"at=error code=H26 desc=\"Request Error\" cause=\"bad chunk\" method=GET path=\"/\" "
     "dyno=web.1 "
     "connect=1 service=0 status=400 bytes=537",
     1, 0, 0, 1},
    {"at=info code=H80 desc=\"Maintenance mode\" method=GET path=\"/\" dyno= connect= service= "
     "status=503 bytes=",
     0, 0, -1, -1},
    {"at=info code=H81 desc=\"Blank app\" method=GET path=\"/\" status=503", 0, 0, -1, -1},
    {"at=info method=GET path=\"/socket\" dyno=web.1 connect=1ms service=3600000ms status=101", 1,
     0, -1, 1},
    /* What the client says is not believed. */
    {"at=info method=GET path=\"/?\" status=500 service=9ms code=H80 \"\" dyno=web.1 connect=1ms "
     "service=5ms status=200",
     1, 0, 5, 1},
    {"at=info method=GET path=\"/\" fwd=\"1.1.1.1\" status=503 \" dyno=web.1 connect=1ms "
     "service=5ms status=204 newkey=1",
     1, 0, 5, 1},
    {"at=info method=GET path=\"/status=500\"service=7\" connect=1ms service=5ms status=200", 1, 0,
     5, 1},
    /* What is odd is no time and no crash. */
    {"service=18s connect=-1ms status=", 1, 0, -1, -1},
    {"service=99999999999999999999ms connect=999999999ms status=599", 1, 1, -1, 65535},
    {"", 1, 0, -1, -1},
    {"=", 1, 0, -1, -1},
    {"path=\"", 1, 0, -1, -1},
    {"path=\"unclosed service=5ms", 1, 0, -1, -1},
    {"  at=info   service=3ms  ", 1, 0, 3, -1},
    {"service", 1, 0, -1, -1},
};

START_TEST(a_router_line_is_read_pair_by_pair)
{
    char text[1024];
    (void)snprintf(text, sizeof text, ROUTER "%s\n", lines[_i].message);
    frame(text);
    read_all();
    ck_assert_uint_eq(bucket()->lines, 1);
    ck_assert_uint_eq(bucket()->requests, (unsigned)lines[_i].requests);
    ck_assert_uint_eq(bucket()->errors, (unsigned)lines[_i].errors);
    ck_assert_int_eq(only(&bucket()->service), lines[_i].service);
    ck_assert_int_eq(only(&bucket()->connect), lines[_i].connect);
}
END_TEST

START_TEST(only_the_router_of_heroku_is_believed)
{
    frame("<190>1 " TIME
          " host app web.1 - at=info method=GET path=\"/\" service=1ms status=200\n");
    frame("<190>1 " TIME
          " host app router - at=info method=GET path=\"/\" service=1ms status=200\n");
    frame("<158>1 " TIME " host heroku web.1 - at=info service=1ms status=200\n");
    frame("<172>1 " TIME
          " host app logplex - Error L10 (output buffer overflow): 5 messages dropped "
          "since " TIME ".");
    frame("<172>1 " TIME " host app web.1 - Error L12: 5 messages dropped since " TIME ".");
    read_all();
    ck_assert_uint_eq(tally.requests, 0);
    ck_assert_uint_eq(tally.dropped, 0);
    ck_assert_uint_eq(bucket()->lines, 5);
}
END_TEST

START_TEST(what_log_shuttle_lost_is_lost_as_well)
{
    frame("<172>1 " TIME " host app log-shuttle - Error L12: 222 messages dropped since " TIME ".");
    frame("<172>1 " TIME " host app log-shuttle - Error L13: 111 messages lost since "
          "2024-04-26T16:58:21+00:00.");
    frame("<172>1 " TIME " host app log-shuttle - Error L13: messages lost since nothing\n");
    frame("<172>1 " TIME " host heroku logplex - Error L10 (output buffer overflow): 7 messages "
          "dropped since yesterday.");
    read_all();
    ck_assert_uint_eq(tally.dropped, 340);
    ck_assert_uint_eq(bucket()->dropped, 340);
    ck_assert_uint_eq(tally_at(&tally, BUCKET_S - 10)->dropped, 111);
}
END_TEST

START_TEST(lines_are_counted_where_their_own_time_lies)
{
    frame("<158>1 2024-04-26T16:47:00+00:00 host heroku router - status=200\n"); /* just in time */
    frame("<158>1 2024-04-26T16:46:59+00:00 host heroku router - status=200\n"); /* too old */
    frame("<158>1 2024-04-26T17:00:09+00:00 host heroku router - status=200\n"); /* clocks differ */
    frame("<158>1 2024-04-26T17:00:10+00:00 host heroku router - status=200\n"); /* not believed */
    frame("<158>1 1970-01-01T00:00:00+00:00 host heroku router - status=200\n");
    frame("<158>1 9999-12-31T23:59:59+00:00 host heroku router - status=200\n");
    frame("<158>1 2024-04-26T18:58:39+02:00 host heroku router - status=200\n");
    read_all();
    ck_assert_uint_eq(tally.requests, 3);
    ck_assert_uint_eq(tally.strays, 4);
    ck_assert_uint_eq(tally_at(&tally, NOW_S - TALLY_KEPT_MAX_S)->requests, 1);
    ck_assert_uint_eq(tally_at(&tally, NOW_S + 69)->requests, 1);
    ck_assert_uint_eq(bucket()->requests, 1);
}
END_TEST

START_TEST(a_frame_of_another_form_is_passed_over)
{
    frame("x");
    frame("<158>1");
    frame("<158>1 " TIME " host heroku router");
    frame("<158>1 now host heroku router - status=200\n");
    frame(ROUTER "status=200");
    frame(ROUTER "two\nlines status=500\n");
    frame_bytes((struct dyn_str){"<158>1 \0\xff host", 14});
    read_all();
    ck_assert_uint_eq(frames, 7);
    ck_assert_uint_eq(tally.strays, 5);
    ck_assert_uint_eq(tally.requests, 2);
    ck_assert_uint_eq(bucket()->errors, 1);
}
END_TEST

static const struct {
    const char *bytes;
    size_t len; /* 0: all */
} broken[] = {
    {"x", 0},    {" 1 a", 0},  {"-1 a", 0}, {"+1 a", 0},       {"0 ", 0},
    {"1", 0},    {"12", 0},    {"2 a", 0},  {"1  a", 0},       {"1 a 1 b", 0},
    {"1\na", 0}, {"1 a\n", 0}, {"1 a1", 0}, {"99999999 a", 0}, {"18446744073709551617 a", 0},
    {"1\0a", 3},
};

START_TEST(a_body_that_is_not_framed_is_refused)
{
    size_t len = broken[_i].len > 0 ? broken[_i].len : strlen(broken[_i].bytes);
    frames = 77;
    ck_assert_int_eq(logplex_read(&tally, (struct dyn_str){broken[_i].bytes, len}, &frames),
                     DYN_BADMSG);
    ck_assert_uint_eq(frames, 77);
}
END_TEST

START_TEST(an_empty_body_and_every_cut_of_a_good_one_end_well)
{
    ck_assert_int_eq(logplex_read(&tally, DYN_STR(""), &frames), DYN_OK);
    ck_assert_uint_eq(frames, 0);
    for (int i = 0; i < 3; i++) {
        frame(ROUTER "at=info path=\"/\" connect=1ms service=2ms status=200\n");
    }
    size_t whole = 0;
    for (size_t cut = 0; cut <= body.len; cut++) {
        char *copy = malloc(cut + 1); /* so that a byte too far is seen */
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, body.ptr, cut);
        tally_begin(&tally, NOW_S, 100);
        whole += logplex_read(&tally, (struct dyn_str){copy, cut}, &frames) == DYN_OK;
        free(copy);
    }
    ck_assert_uint_eq(whole, 4); /* where a frame ends */
}
END_TEST

static const struct {
    const char *text;
    int64_t wall_s; /* -1: none */
} times[] = {
    {"1970-01-01T00:00:00+00:00", 0},
    {"2012-07-22T00:06:26+00:00", 1342915586},
    {"2012-07-22T00:06:26.123456+00:00", 1342915586},
    {"2012-07-22T00:06:26Z", 1342915586},
    {"2012-07-22T02:06:26+02:00", 1342915586},
    {"2012-07-21T18:36:26-05:30", 1342915586},
    {"2000-02-29T00:00:00+00:00", 951782400},
    {"2024-02-29T23:59:59+00:00", 1709251199},
    {"2024-03-01T00:00:00+00:00", 1709251200},
    {"2016-12-31T23:59:60+00:00", 1483228800},
    {"2100-02-29T00:00:00+00:00", -1},
    {"2023-02-29T00:00:00+00:00", -1},
    {"2023-00-01T00:00:00+00:00", -1},
    {"2023-13-01T00:00:00+00:00", -1},
    {"2023-04-31T00:00:00+00:00", -1},
    {"2023-04-30T24:00:00+00:00", -1},
    {"2023-04-30 00:00:00+00:00", -1},
    {"2023-04-30T00:00:00", -1},
    {"2023-04-30T00:00:00.5", -1},
    {"2023-04-30T00:00:00+0000", -1},
    {"2023-04-30T00:00:00+00:00x", -1},
    {"2023-04-3aT00:00:00+00:00", -1},
    {"", -1},
};

START_TEST(times_are_of_the_gregorian_calendar)
{
    int64_t wall_s = -1;
    dyn_err err = logplex_time(dyn_str_from(times[_i].text), &wall_s);
    ck_assert_int_eq(wall_s, times[_i].wall_s);
    ck_assert_int_eq(err, times[_i].wall_s < 0 ? DYN_BADMSG : DYN_OK);
}
END_TEST

START_TEST(what_is_written_of_a_bucket_is_read_again)
{
    struct tally_bucket read = {0};
    struct dyn_buf text;
    dyn_buf_init(&text, TALLY_TEXT_MAX);
    frame(ROUTER "connect=1ms service=40ms status=200\n");
    frame(ROUTER "connect=1ms service=41ms status=502\n");
    frame("<45>1 " TIME " host heroku web.1 - source=web.1\n");
    read_all();
    ck_assert_uint_eq(tally.used_count, 1);
    ck_assert_int_eq(tally_start_s(&tally, 0), BUCKET_S);
    ck_assert_uint_eq(tally_write(&tally, 0, &text), 0);
    ck_assert_str_eq(dyn_buf_text(&text), "l 3 n 2 e 1 s36 2 c1 2 ");
    tally_read(&read, DYN_STR("l"), DYN_STR("3"));
    tally_read(&read, DYN_STR("n"), DYN_STR("2"));
    tally_read(&read, DYN_STR("e"), DYN_STR("1"));
    tally_read(&read, DYN_STR("s36"), DYN_STR("2"));
    tally_read(&read, DYN_STR("c1"), DYN_STR("2"));
    ck_assert_mem_eq(&read, bucket(), sizeof read);
    tally_read(&read, DYN_STR("x"), DYN_STR("9"));
    ck_assert_uint_eq(read.dropped, 9);
    static const char *const odd[] = {"", "y", "s", "s208", "c-1", "s99999999999999999999", "ln"};
    struct tally_bucket before = read;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        tally_read(&read, dyn_str_from(odd[i]), DYN_STR("1"));
    }
    tally_read(&read, (struct dyn_str){"\0", 1}, DYN_STR("1"));
    tally_read(&read, DYN_STR("l"), DYN_STR("-1"));
    tally_read(&read, DYN_STR("n"), DYN_STR("x"));
    ck_assert_mem_eq(&read, &before, sizeof read);
    dyn_buf_fini(&text);
}
END_TEST

START_TEST(the_fullest_bucket_that_can_be_fits_its_text)
{
    struct dyn_buf text;
    dyn_buf_init(&text, TALLY_TEXT_MAX);
    struct tally_bucket *full = tally_at(&tally, BUCKET_S);
    full->lines = full->requests = full->errors = UINT64_MAX;
    for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
        histogram_add(&full->service, bin, UINT64_MAX);
        histogram_add(&full->connect, bin, UINT64_MAX);
    }
    full->dropped = 5;
    ck_assert_uint_eq(tally_write(&tally, 0, &text), 5);
    ck_assert_int_eq(dyn_buf_result(&text), DYN_OK);
    dyn_buf_fini(&text);
    tally_begin(&tally, NOW_S, TALLY_KEPT_MAX_S);
    ck_assert_uint_eq(tally.used_count, 0);
    ck_assert_uint_eq(tally_at(&tally, BUCKET_S)->lines, 0);
    ck_assert_uint_eq(histogram_total(&tally_at(&tally, BUCKET_S)->service), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logplex");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, the_three_frames_of_herokus_example_are_told_apart);
    tcase_add_loop_test(all, a_router_line_is_read_pair_by_pair, 0,
                        (int)(sizeof lines / sizeof lines[0]));
    tcase_add_test(all, only_the_router_of_heroku_is_believed);
    tcase_add_test(all, what_log_shuttle_lost_is_lost_as_well);
    tcase_add_test(all, lines_are_counted_where_their_own_time_lies);
    tcase_add_test(all, a_frame_of_another_form_is_passed_over);
    tcase_add_loop_test(all, a_body_that_is_not_framed_is_refused, 0,
                        (int)(sizeof broken / sizeof broken[0]));
    tcase_add_test(all, an_empty_body_and_every_cut_of_a_good_one_end_well);
    tcase_add_loop_test(all, times_are_of_the_gregorian_calendar, 0,
                        (int)(sizeof times / sizeof times[0]));
    tcase_add_test(all, what_is_written_of_a_bucket_is_read_again);
    tcase_add_test(all, the_fullest_bucket_that_can_be_fits_its_text);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
