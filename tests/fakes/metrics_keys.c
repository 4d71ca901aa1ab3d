/* The key pairs that a file cannot hold: made when the fake begins, never kept. */
#include "metrics_fake.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#define PEM_SIZE 4096

typedef int pem_fn(BIO *bio, EVP_PKEY *key);

static int private_write(BIO *bio, EVP_PKEY *key)
{
    return PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
}

static int public_write(BIO *bio, EVP_PKEY *key)
{
    return PEM_write_bio_PUBKEY(bio, key);
}

static bool pem_make(EVP_PKEY *key, pem_fn *write, char out[PEM_SIZE])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len = bio != NULL && write(bio, key) == 1 ? BIO_read(bio, out, PEM_SIZE - 1) : 0;
    out[len > 0 ? len : 0] = '\0';
    BIO_free(bio);
    return len > 0;
}

static bool file_write(const char *folder, const char *name, const char *text)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fputs(text, file) >= 0;
    good = file != NULL && fclose(file) == 0 && good;
    if (!good) {
        fprintf(stderr, "fake-metrics: cannot write %s\n", path);
    }
    return good;
}

/* Every service account of Google has the one key. */
static bool google_key(json_t *state, const char *folder, char pem[PEM_SIZE])
{
    json_t *accounts = json_object_get(json_object_get(state, "google"), "accounts");
    EVP_PKEY *key = EVP_RSA_gen(2048);
    const char *email = NULL;
    json_t *account = NULL;
    bool good = key != NULL && pem_make(key, public_write, pem);
    json_object_foreach(accounts, email, account)
    {
        json_object_set_new(account, "public_key", json_string(pem));
    }
    good = good && pem_make(key, private_write, pem) && file_write(folder, "google.pem", pem);
    EVP_PKEY_free(key);
    return good;
}

static bool cronut_key(json_t *state, const char *folder, char pem[PEM_SIZE])
{
    json_t *cronut = json_object_get(state, "cronut");
    EVP_PKEY *key = EVP_RSA_gen(2048);
    bool good = key != NULL && pem_make(key, private_write, pem);
    json_object_set_new(cronut, "private_key", json_string(pem));
    good = good && pem_make(key, public_write, pem) && file_write(folder, "cronut.pem", pem);
    EVP_PKEY_free(key);
    return good;
}

bool keys_make(json_t *state, const char *folder)
{
    char pem[PEM_SIZE];
    return google_key(state, folder, pem) && cronut_key(state, folder, pem);
}
