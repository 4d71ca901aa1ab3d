#include "common/http_url.h"

#include <check.h>

static struct http_url parse(const char *text)
{
    struct http_url url = {0};
    dyn_err err = http_url_parse(dyn_str_from(text), &url);
    ck_assert_msg(err == DYN_OK, "%s was refused", text);
    return url;
}

START_TEST(a_url_is_taken_apart)
{
    struct http_url url = parse("https://user:pa%20ss@api.example.org:8443/a/b?key=1#x");
    ck_assert(url.https);
    ck_assert(!url.loopback);
    ck_assert(dyn_str_is(url.origin, "api.example.org:8443"));
    ck_assert(dyn_str_is(url.path, "/a/b"));

    url = parse("http://example.org");
    ck_assert(!url.https);
    ck_assert(dyn_str_is(url.origin, "example.org"));
    ck_assert_uint_eq(url.path.len, 0);
    ck_assert(dyn_str_is(parse("https://example.org?key=a/b").origin, "example.org"));
}
END_TEST

START_TEST(only_what_is_literally_loopback_counts_as_such)
{
    static const char *const near[] = {"http://localhost/", "http://127.0.0.1:80/",
                                       "http://127.9.8.7/", "http://[::1]:8080/x"};
    static const char *const far[] = {"http://127.0.0.1.example.org/",
                                      "http://localhost.example.org/",
                                      "http://128.0.0.1/",
                                      "http://127.1/",
                                      "http://2130706433/",
                                      "http://[::2]/",
                                      "http://127.0.0.1@example.org/",
                                      "http://[::ffff:127.0.0.1]/"};
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        ck_assert_msg(parse(near[i]).loopback, "%s", near[i]);
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        ck_assert_msg(!parse(far[i]).loopback, "%s", far[i]);
    }
}
END_TEST

START_TEST(what_two_readers_could_take_for_two_hosts_is_refused)
{
    static const char *const urls[] = {"",
                                       "https",
                                       "https:/",
                                       "https://",
                                       "https:///x",
                                       "HTTPS://example.org/",
                                       "ftp://a/",
                                       "file:///etc/passwd",
                                       "//example.org/",
                                       "example.org",
                                       "https://a b/",
                                       "https://a/\r\nX: y",
                                       "https://a\\@b/",
                                       "https://a@b@c/",
                                       "https://ex\xc3\xa4mple.org/",
                                       "https://a%2eb/",
                                       "https://a:/",
                                       "https://a:0/",
                                       "https://a:65536/",
                                       "https://a:80x/",
                                       "https://a:-1/",
                                       "https://[::1/",
                                       "https://[]/",
                                       "https://[::1]x/",
                                       "https://[fe80::1%25eth0]/",
                                       "https://@/",
                                       "https://a/\x7f"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_url url = {.https = true};
        dyn_err err = http_url_parse(dyn_str_from(urls[i]), &url);
        ck_assert_msg(err == DYN_BADMSG, "%s was taken", urls[i]);
        ck_assert_ptr_null(url.origin.ptr);
    }
    struct dyn_str with_nul = {"https://a/\0b", 12};
    struct http_url url;
    ck_assert_int_eq(http_url_parse(with_nul, &url), DYN_BADMSG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_url");
    TCase *tcase = tcase_create("parse");
    tcase_add_test(tcase, a_url_is_taken_apart);
    tcase_add_test(tcase, only_what_is_literally_loopback_counts_as_such);
    tcase_add_test(tcase, what_two_readers_could_take_for_two_hosts_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
