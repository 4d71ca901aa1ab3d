#include "common/jwt.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <unistd.h>

/* The claims of the check vector in the documents of service accounts. */
#define CLAIMS                                                                                   \
    "{\"iss\":\"scaler@example.iam.gserviceaccount.com\",\"scope\":\"https://www.googleapis.com" \
    "/auth/analytics.readonly\",\"aud\":\"https://oauth2.googleapis.com/token\",\"iat\":"        \
    "1700000000,\"exp\":1700003600}"
#define SIGNED                                                                                    \
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."                                                       \
    "eyJpc3MiOiJzY2FsZXJAZXhhbXBsZS5pYW0uZ3NlcnZpY2VhY2NvdW50LmNvbSIsInNjb3BlIjoiaHR0cHM6Ly93d3c" \
    "uZ29vZ2xlYXBpcy5jb20vYXV0aC9hbmFseXRpY3MucmVhZG9ubHkiLCJhdWQiOiJodHRwczovL29hdXRoMi5nb29nbG" \
    "VhcGlzLmNvbS90b2tlbiIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ"

static EVP_PKEY *pkey;
static char pem[8192];
static struct dyn_jwt_key *key;
static struct dyn_error error;

static void pem_write(EVP_PKEY *from, const EVP_CIPHER *cipher, char *out, size_t size)
{
    unsigned char pass[] = "secret";
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, from, cipher, cipher != NULL ? pass : NULL,
                                              cipher != NULL ? (int)sizeof pass - 1 : 0, NULL,
                                              NULL),
                     1);
    int len = BIO_read(bio, out, (int)size - 1);
    ck_assert_int_gt(len, 0);
    out[len] = '\0';
    BIO_free(bio);
}

static void setup(void)
{
    pkey = EVP_RSA_gen(2048);
    ck_assert_ptr_nonnull(pkey);
    pem_write(pkey, NULL, pem, sizeof pem);
    key = NULL;
    error.text[0] = '\0';
}

static void teardown(void)
{
    dyn_jwt_key_free(key);
    EVP_PKEY_free(pkey);
}

static int value_of(char c)
{
    const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return (int)(strchr(digits, c) - digits);
}

/* Sign with `key`, and look with OpenSSL whether `pkey` stands behind it. */
static void check_signs(void)
{
    struct dyn_buf out;
    unsigned char signature[256];
    size_t len = 0;
    unsigned bits = 0;
    unsigned held = 0;
    dyn_buf_init(&out, 4096);
    ck_assert_int_eq(dyn_jwt_sign(key, DYN_STR(CLAIMS), &out), DYN_OK);
    ck_assert_int_eq(strncmp(out.ptr, SIGNED ".", sizeof SIGNED), 0);
    ck_assert_uint_eq(out.len, sizeof SIGNED + 342);
    for (const char *c = out.ptr + sizeof SIGNED; *c != '\0'; c++) {
        bits = bits << 6 | (unsigned)value_of(*c);
        held += 6;
        if (held >= 8) {
            held -= 8;
            signature[len++] = (unsigned char)(bits >> held & 0xffU);
        }
    }
    ck_assert_uint_eq(len, sizeof signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ck_assert_int_eq(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey), 1);
    ck_assert_int_eq(EVP_DigestVerify(context, signature, len, (const unsigned char *)out.ptr,
                                      sizeof SIGNED - 1),
                     1);
    EVP_MD_CTX_free(context);
    dyn_buf_fini(&out);
}

START_TEST(base64url_is_that_of_the_rfc_without_padding)
{
    static const struct {
        struct dyn_str bytes;
        const char *text;
    } cases[] = {
        {{"", 0}, ""},
        {{"f", 1}, "Zg"},
        {{"fo", 2}, "Zm8"},
        {{"foo", 3}, "Zm9v"},
        {{"foob", 4}, "Zm9vYg"},
        {{"fooba", 5}, "Zm9vYmE"},
        {{"foobar", 6}, "Zm9vYmFy"},
        {{"\xff\xef\xbe", 3}, "_---"},
        {{"\0\0", 2}, "AAA"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dyn_buf out;
        dyn_buf_init(&out, 64);
        dyn_base64url_add(&out, cases[i].bytes);
        ck_assert_str_eq(dyn_buf_text(&out), cases[i].text);
        dyn_buf_fini(&out);
    }
}
END_TEST

START_TEST(a_pem_key_signs)
{
    ck_assert_int_eq(dyn_jwt_key_from_pem(dyn_str_from(pem), &key, &error), DYN_OK);
    check_signs();
}
END_TEST

/* How keys stand in environments: bars or \n for line ends, and a line end at the end. */
START_TEST(a_key_in_one_line_signs)
{
    char line[2 * sizeof pem];
    size_t len = 0;
    for (const char *c = pem; *c != '\0'; c++) {
        if (*c != '\n') {
            line[len++] = *c;
        } else if (_i == 0) {
            line[len++] = '|';
        } else {
            line[len++] = '\\';
            line[len++] = 'n';
        }
    }
    ck_assert_int_eq(dyn_jwt_key_from_pem((struct dyn_str){line, len}, &key, &error), DYN_OK);
    check_signs();
}
END_TEST

static void check_refused(const char *text)
{
    ck_assert_int_eq(dyn_jwt_key_from_pem(dyn_str_from(text), &key, &error), DYN_BADMSG);
    ck_assert_ptr_null(key);
    ck_assert_str_ne(error.text, "");
    ck_assert_ptr_null(strstr(error.text, "MII"));
}

START_TEST(what_is_no_rsa_key_is_refused)
{
    char other[sizeof pem];
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    pem_write(ec, NULL, other, sizeof other);
    EVP_PKEY_free(ec);
    check_refused(other);
    EVP_PKEY *small = EVP_RSA_gen(1024);
    pem_write(small, NULL, other, sizeof other);
    EVP_PKEY_free(small);
    check_refused(other);
    pem_write(pkey, EVP_aes_256_cbc(), other, sizeof other); /* asks nobody for its passphrase */
    check_refused(other);
    check_refused("");
    check_refused("notakey");
    pem[strlen(pem) / 2] = '!';
    check_refused(pem);
}
END_TEST

static void pkcs12_write(const char *path, const char *pass, int key_nid, int certificate_nid)
{
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    ck_assert_int_eq(X509_set_pubkey(certificate, pkey), 1);
    ck_assert_int_gt(X509_sign(certificate, pkey, EVP_sha256()), 0);
    PKCS12 *file = PKCS12_create(pass, "privatekey", pkey, certificate, NULL, key_nid,
                                 certificate_nid, 0, 0, 0);
    ck_assert_ptr_nonnull(file);
    BIO *bio = BIO_new_file(path, "wb");
    ck_assert_int_eq(i2d_PKCS12_bio(bio, file), 1);
    BIO_free(bio);
    PKCS12_free(file);
    X509_free(certificate);
}

START_TEST(a_pkcs12_file_signs_with_its_passphrase_and_with_no_other)
{
    char path[] = "/tmp/dyn-jwt-XXXXXX";
    close(mkstemp(path));
    pkcs12_write(path, "notasecret", 0, 0);
    ck_assert_int_eq(dyn_jwt_key_from_pkcs12(path, "another", &key, &error), DYN_BADMSG);
    ck_assert_ptr_null(key);
    ck_assert_int_eq(dyn_jwt_key_from_pkcs12(path, "notasecret", &key, &error), DYN_OK);
    check_signs();
    (void)unlink(path);
}
END_TEST

/* Google's own files have the ciphers of their day. */
START_TEST(an_old_pkcs12_file_signs)
{
    char path[] = "/tmp/dyn-jwt-XXXXXX";
    OSSL_PROVIDER *usual = OSSL_PROVIDER_load(NULL, "default");
    OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(NULL, "legacy");
    if (legacy != NULL) {
        close(mkstemp(path));
        pkcs12_write(path, "notasecret", NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
                     NID_pbe_WithSHA1And40BitRC2_CBC);
        OSSL_PROVIDER_unload(legacy);
        ck_assert_int_eq(dyn_jwt_key_from_pkcs12(path, "notasecret", &key, &error), DYN_OK);
        check_signs();
        (void)unlink(path);
    }
    OSSL_PROVIDER_unload(usual);
}
END_TEST

START_TEST(a_file_that_is_none_is_refused)
{
    char path[] = "/tmp/dyn-jwt-XXXXXX";
    ck_assert_int_eq(dyn_jwt_key_from_pkcs12("/nowhere/key.p12", "x", &key, &error), DYN_NOTFOUND);
    int fd = mkstemp(path);
    ck_assert_int_eq(dyn_jwt_key_from_pkcs12(path, "x", &key, &error), DYN_BADMSG);
    ck_assert_int_eq(write(fd, "0\x82garbage", 9), 9);
    ck_assert_int_eq(dyn_jwt_key_from_pkcs12(path, "x", &key, &error), DYN_BADMSG);
    ck_assert_int_eq(ftruncate(fd, DYN_JWT_KEYFILE_MAX + 1), 0);
    ck_assert_int_eq(dyn_jwt_key_from_pkcs12(path, "x", &key, &error), DYN_TOOBIG);
    ck_assert_ptr_null(key);
    close(fd);
    (void)unlink(path);
}
END_TEST

START_TEST(an_assertion_that_does_not_fit_is_refused)
{
    struct dyn_buf out;
    ck_assert_int_eq(dyn_jwt_key_from_pem(dyn_str_from(pem), &key, &error), DYN_OK);
    for (size_t max = 0; max < sizeof SIGNED + 342; max += 97) {
        dyn_buf_init(&out, max);
        ck_assert_int_eq(dyn_jwt_sign(key, DYN_STR(CLAIMS), &out), DYN_TOOBIG);
        dyn_buf_fini(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jwt");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, base64url_is_that_of_the_rfc_without_padding);
    tcase_add_test(all, a_pem_key_signs);
    tcase_add_loop_test(all, a_key_in_one_line_signs, 0, 2);
    tcase_add_test(all, what_is_no_rsa_key_is_refused);
    tcase_add_test(all, a_pkcs12_file_signs_with_its_passphrase_and_with_no_other);
    tcase_add_test(all, an_old_pkcs12_file_signs);
    tcase_add_test(all, a_file_that_is_none_is_refused);
    tcase_add_test(all, an_assertion_that_does_not_fit_is_refused);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
