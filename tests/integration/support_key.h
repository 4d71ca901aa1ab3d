/*
 * support_key: an RSA key of a test's own, made when the test begins: no private key lies in the
 * repository.
 */
#ifndef DYN_TESTS_SUPPORT_KEY_H
#define DYN_TESTS_SUPPORT_KEY_H

#define SUPPORT_KEY_MAX 4096

struct support_key {
    char private_line[SUPPORT_KEY_MAX]; /* PEM, | for line ends */
    char private_json[SUPPORT_KEY_MAX]; /* PEM, \n for line ends: inside a JSON string */
    char public_line[SUPPORT_KEY_MAX];
    char public_json[SUPPORT_KEY_MAX];
};

void support_key_make(struct support_key *out);

#endif
