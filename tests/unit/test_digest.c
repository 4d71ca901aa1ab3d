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

int main(void)
{
    Suite *suite = suite_create("digest");
    TCase *tests = tcase_create("digest");
    tcase_add_test(tests, sha_256_gives_what_its_standard_says);
    tcase_add_test(tests, nothing_has_a_digest_too);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
