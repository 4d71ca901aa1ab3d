#include "tests/integration/support_tls_server.h"

#include <check.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls_server {
    int listener;
    SSL_CTX *context; /* NULL: it speaks no TLS */
};

static void connection_serve(const struct tls_server *server, int fd)
{
    static const char words[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    if (server->context == NULL) {
        (void)send(fd, words, sizeof words - 1, MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        char byte;
        while (recv(fd, &byte, 1, 0) > 0) {
            /* until the client has read it and goes */
        }
        return;
    }
    SSL *ssl = SSL_new(server->context);
    SSL_set_fd(ssl, fd);
    (void)SSL_accept(ssl);
    SSL_free(ssl);
}

static void *server_run(void *arg)
{
    const struct tls_server *server = arg;
    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        connection_serve(server, fd);
        (void)close(fd);
    }
}

static SSL_CTX *context_make(void)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"127.0.0.1", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    ck_assert_int_eq(SSL_CTX_use_certificate(context, certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

int tls_server_start(bool speaks_tls)
{
    static struct tls_server servers[2];
    struct tls_server *server = &servers[speaks_tls ? 1 : 0];
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    pthread_t thread;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server->context = speaks_tls ? context_make() : NULL;
    ck_assert_int_eq(bind(server->listener, (const struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(server->listener, 16), 0);
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, server_run, server), 0);
    ck_assert_int_eq(pthread_detach(thread), 0);
    return ntohs(address.sin_port);
}
