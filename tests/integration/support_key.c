#include "tests/integration/support_key.h"

#include "common/err.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

/* What the BIO holds, each line end replaced. */
static void text_take(BIO *bio, const char *line_end, char *out)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    size_t size = 0;
    for (long i = 0; i < len; i++) {
        size_t more = text[i] == '\n' ? strlen(line_end) : 1;
        DYN_ASSERT(size + more < SUPPORT_KEY_MAX);
        memcpy(out + size, text[i] == '\n' ? line_end : &text[i], more);
        size += more;
    }
    out[size] = '\0';
}

void support_key_make(struct support_key *out)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    DYN_ASSERT(key != NULL && bio != NULL);
    int written = PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    DYN_ASSERT(written == 1);
    text_take(bio, "|", out->private_line);
    text_take(bio, "\\n", out->private_json);
    BIO_free(bio);
    bio = BIO_new(BIO_s_mem());
    written = PEM_write_bio_PUBKEY(bio, key);
    DYN_ASSERT(written == 1);
    text_take(bio, "|", out->public_line);
    text_take(bio, "\\n", out->public_json);
    BIO_free(bio);
    EVP_PKEY_free(key);
}
