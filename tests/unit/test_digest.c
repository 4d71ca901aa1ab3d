#include "common/digest.h"

#include <check.h>
#include <stdlib.h>

/* The examples of FIPS 180-4. */
START_TEST(sha_256_gives_what_its_standard_says)
{
    char hex[DYN_SHA256_HEX_SIZE];
    ck_assert_int_eq(dyn_sha256_hex(DYN_STR("abc"), hex), DYN_OK);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(
        dyn_sha256_hex(DYN_STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), hex),
        DYN_OK);
    ck_assert_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}
END_TEST

START_TEST(nothing_has_a_digest_too)
{
    char hex[DYN_SHA256_HEX_SIZE];
    ck_assert_int_eq(dyn_sha256_hex((struct dyn_str){NULL, 0}, hex), DYN_OK);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

/* RFC 4231's second case, and the example of GitHub's documentation of webhooks. */
START_TEST(hmac_gives_what_its_standard_says)
{
    char hex[DYN_SHA256_HEX_SIZE];
    ck_assert_int_eq(
        dyn_hmac_sha256_hex(DYN_STR("Jefe"), DYN_STR("what do ya want for nothing?"), hex), DYN_OK);
    ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    ck_assert_int_eq(
        dyn_hmac_sha256_hex(DYN_STR("It's a Secret to Everybody"), DYN_STR("Hello, World!"), hex),
        DYN_OK);
    ck_assert_str_eq(hex, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("digest");
    TCase *tests = tcase_create("digest");
    tcase_add_test(tests, sha_256_gives_what_its_standard_says);
    tcase_add_test(tests, nothing_has_a_digest_too);
    tcase_add_test(tests, hmac_gives_what_its_standard_says);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
