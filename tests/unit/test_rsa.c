#include "common/rsa.h"

#include <check.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

static struct dyn_error error;

/* The key in a structure and a form: "SubjectPublicKeyInfo", "PKCS8", "type-specific". */
static struct dyn_buf key_write(EVP_PKEY *pkey, int selection, const char *structure,
                                const char *passphrase)
{
    struct dyn_buf pem;
    unsigned char *bytes = NULL;
    size_t len = 0;
    OSSL_ENCODER_CTX *context =
        OSSL_ENCODER_CTX_new_for_pkey(pkey, selection, "PEM", structure, NULL);
    if (passphrase != NULL) {
        ck_assert_int_eq(OSSL_ENCODER_CTX_set_cipher(context, "AES-256-CBC", NULL), 1);
        ck_assert_int_eq(OSSL_ENCODER_CTX_set_passphrase(context, (const unsigned char *)passphrase,
                                                         strlen(passphrase)),
                         1);
    }
    ck_assert_int_eq(OSSL_ENCODER_to_data(context, &bytes, &len), 1);
    OSSL_ENCODER_CTX_free(context);
    dyn_buf_init(&pem, 16384);
    ck_assert_int_eq(dyn_buf_add(&pem, bytes, len), DYN_OK);
    OPENSSL_free(bytes);
    return pem;
}

static void is_decrypted(EVP_PKEY *pkey, struct dyn_str cipher, struct dyn_str wanted)
{
    unsigned char plain[DYN_RSA_BYTES_MAX];
    size_t len = sizeof plain;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    ck_assert_int_eq(EVP_PKEY_decrypt_init(context), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING), 1);
    ck_assert_int_eq(
        EVP_PKEY_decrypt(context, plain, &len, (const unsigned char *)cipher.ptr, cipher.len), 1);
    ck_assert_uint_eq(len, wanted.len);
    ck_assert_mem_eq(plain, wanted.ptr, len);
    EVP_PKEY_CTX_free(context);
}

static void key_works(EVP_PKEY *pkey, struct dyn_str pem)
{
    struct dyn_rsa_key *key = NULL;
    struct dyn_buf first;
    struct dyn_buf second;
    dyn_buf_init(&first, DYN_RSA_BYTES_MAX);
    dyn_buf_init(&second, DYN_RSA_BYTES_MAX);
    ck_assert_msg(dyn_rsa_key_from_pem(pem, &key, &error) == DYN_OK, "%s", error.text);
    ck_assert_int_eq(dyn_rsa_encrypt(key, DYN_STR("1404863196-ABCDEF123456"), &first), DYN_OK);
    ck_assert_int_eq(dyn_rsa_encrypt(key, DYN_STR("1404863196-ABCDEF123456"), &second), DYN_OK);
    ck_assert_uint_eq(first.len, (size_t)EVP_PKEY_get_size(pkey));
    ck_assert_mem_ne(first.ptr, second.ptr, first.len);
    is_decrypted(pkey, dyn_buf_str(&first), DYN_STR("1404863196-ABCDEF123456"));
    is_decrypted(pkey, dyn_buf_str(&second), DYN_STR("1404863196-ABCDEF123456"));
    dyn_buf_fini(&first);
    dyn_buf_fini(&second);
    dyn_rsa_key_free(key);
}

START_TEST(keys_of_every_form_encrypt)
{
    const struct {
        int selection;
        const char *structure;
    } forms[] = {{EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo"},
                 {EVP_PKEY_PUBLIC_KEY, "type-specific"},
                 {EVP_PKEY_KEYPAIR, "PrivateKeyInfo"},
                 {EVP_PKEY_KEYPAIR, "type-specific"}};
    const unsigned sizes[] = {1024, 2048};
    for (size_t s = 0; s < 2; s++) {
        EVP_PKEY *pkey = EVP_RSA_gen(sizes[s]);
        for (size_t i = 0; i < 4; i++) {
            struct dyn_buf pem = key_write(pkey, forms[i].selection, forms[i].structure, NULL);
            key_works(pkey, dyn_buf_str(&pem));
            for (size_t c = 0; c < pem.len; c++) {
                pem.ptr[c] = (char)(pem.ptr[c] == '\n' ? '|' : pem.ptr[c]);
            }
            key_works(pkey, (struct dyn_str){pem.ptr, pem.len - 1});
            dyn_buf_fini(&pem);
        }
        EVP_PKEY_free(pkey);
    }
}
END_TEST

static void is_refused(struct dyn_str pem, const char *words)
{
    struct dyn_rsa_key *key = NULL;
    ck_assert_int_eq(dyn_rsa_key_from_pem(pem, &key, &error), DYN_BADMSG);
    ck_assert_ptr_null(key);
    ck_assert_msg(strstr(error.text, words) != NULL, "says %s", error.text);
}

START_TEST(what_is_no_rsa_key_is_refused)
{
    static char big[20000];
    memset(big, 'A', sizeof big);
    is_refused(DYN_STR(""), "no RSA");
    is_refused(DYN_STR("-----BEGIN PUBLIC KEY-----\n"), "no RSA");
    is_refused(DYN_STR("-----BEGIN PUBLIC KEY-----|AAAA|-----END PUBLIC KEY-----|"), "no RSA");
    is_refused((struct dyn_str){big, sizeof big}, "no RSA");
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    struct dyn_buf pem = key_write(curve, EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo", NULL);
    is_refused(dyn_buf_str(&pem), "no RSA");
    dyn_buf_fini(&pem);
    EVP_PKEY_free(curve);
}
END_TEST

START_TEST(a_key_that_is_too_short_or_locked_is_refused)
{
    EVP_PKEY *small = EVP_RSA_gen(512);
    struct dyn_buf pem = key_write(small, EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo", NULL);
    is_refused(dyn_buf_str(&pem), "512 bits: at least 1024");
    dyn_buf_fini(&pem);
    EVP_PKEY_free(small);
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    pem = key_write(pkey, EVP_PKEY_KEYPAIR, "EncryptedPrivateKeyInfo", "secret");
    is_refused(dyn_buf_str(&pem), "no RSA"); /* and nobody is asked at the terminal */
    dyn_buf_fini(&pem);
    EVP_PKEY_free(pkey);
}
END_TEST

START_TEST(more_than_a_key_can_hold_is_refused)
{
    char plain[300] = {0};
    struct dyn_rsa_key *key = NULL;
    struct dyn_buf out;
    EVP_PKEY *pkey = EVP_RSA_gen(1024);
    struct dyn_buf pem = key_write(pkey, EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo", NULL);
    dyn_buf_init(&out, DYN_RSA_BYTES_MAX);
    ck_assert_int_eq(dyn_rsa_key_from_pem(dyn_buf_str(&pem), &key, &error), DYN_OK);
    ck_assert_int_eq(dyn_rsa_encrypt(key, (struct dyn_str){plain, 118}, &out), DYN_TOOBIG);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_int_eq(dyn_rsa_encrypt(key, (struct dyn_str){plain, 117}, &out), DYN_OK);
    is_decrypted(pkey, dyn_buf_str(&out), (struct dyn_str){plain, 117});
    dyn_rsa_key_free(key);
    dyn_rsa_key_free(NULL);
    dyn_buf_fini(&out);
    dyn_buf_fini(&pem);
    EVP_PKEY_free(pkey);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rsa");
    TCase *tests = tcase_create("rsa");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, keys_of_every_form_encrypt);
    tcase_add_test(tests, what_is_no_rsa_key_is_refused);
    tcase_add_test(tests, a_key_that_is_too_short_or_locked_is_refused);
    tcase_add_test(tests, more_than_a_key_can_hold_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
