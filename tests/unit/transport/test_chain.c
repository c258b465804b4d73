/* test_chain.c - which certificates an end sends behind its own, and that the peer judges them:
 * a root, an intermediate CA below it and a device's certificate below that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "transport/tls.h"

#define LIFE_S   3600
#define TURNS    50 /* of both ends; a handshake needs a few */
#define DEVICE   "URI:urn:millrace:device:00000000000000000000000000000001"
#define CA_TRUE  "critical,CA:TRUE"
#define CA_FALSE "critical,CA:FALSE"

struct party {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct fixture {
    char dir[64];
    struct party root, middle, stale, leaf, stale_leaf;
} all;

/* --- certificates ---------------------------------------------------------------------------- */

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* `issuer` NULL: signs itself. */
static struct party certify(const char *name, const struct party *issuer, const char *basic,
                            long until_s)
{
    static long serial;
    struct party party = {EVP_EC_gen("P-256"), X509_new()};
    X509 *c = party.certificate;
    assert_non_null(party.key);
    assert_int_equal(X509_set_version(c, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial), 1);
    X509_gmtime_adj(X509_getm_notBefore(c), -2L * LIFE_S);
    X509_gmtime_adj(X509_getm_notAfter(c), until_s);
    X509_set_pubkey(c, party.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC, (const uint8_t *)name,
                               -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(issuer ? issuer->certificate : c));
    extend(c, c, NID_basic_constraints, basic);
    extend(c, c, NID_subject_key_identifier, "hash");
    if (strcmp(basic, CA_FALSE) == 0) {
        extend(c, c, NID_subject_alt_name, DEVICE);
    }
    assert_true(X509_sign(c, issuer ? issuer->key : party.key, EVP_sha256()) > 0);
    return party;
}

static void forget(struct party *party)
{
    EVP_PKEY_free(party->key);
    X509_free(party->certificate);
}

static const char *path_of(char path[96], const char *name)
{
    snprintf(path, 96, "%s/%s", all.dir, name);
    return path;
}

/* A PEM file of these certificates, in this order. */
static void write_chain(const char *name, unsigned count, const struct party *const *parties)
{
    char path[96];
    FILE *file = fopen(path_of(path, name), "w");
    assert_non_null(file);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(PEM_write_X509(file, parties[i]->certificate), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static void write_key(const char *name, const struct party *party)
{
    char path[96];
    FILE *file = fopen(path_of(path, name), "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(file, party->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(all.dir, "/tmp/mr-test-chain-XXXXXX");
    assert_non_null(mkdtemp(all.dir));
    all.root = certify("root", NULL, CA_TRUE, LIFE_S);
    all.middle = certify("middle", &all.root, CA_TRUE, LIFE_S);
    all.stale = certify("stale", &all.root, CA_TRUE, -LIFE_S);
    all.leaf = certify("leaf", &all.middle, CA_FALSE, LIFE_S);
    all.stale_leaf = certify("stale leaf", &all.stale, CA_FALSE, LIFE_S);
    write_key("leaf.key", &all.leaf);
    write_key("stale.key", &all.stale_leaf);
    write_chain("root.pem", 1, (const struct party *[]){&all.root});
    write_chain("both.pem", 2, (const struct party *[]){&all.root, &all.middle});
    write_chain("leaf.pem", 1, (const struct party *[]){&all.leaf});
    write_chain("leaf-middle.pem", 2, (const struct party *[]){&all.leaf, &all.middle});
    write_chain("leaf-middle-root.pem", 3,
                (const struct party *[]){&all.leaf, &all.middle, &all.root});
    write_chain("stale.pem", 2, (const struct party *[]){&all.stale_leaf, &all.stale});
    return 0;
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    forget(&all.root);
    forget(&all.middle);
    forget(&all.stale);
    forget(&all.leaf);
    forget(&all.stale_leaf);
    snprintf(command, sizeof command, "rm -rf '%s'", all.dir);
    return system(command);
}

/* --- handshakes ------------------------------------------------------------------------------ */

struct end {
    struct mr_tls *tls;
    SSL *ssl;
    struct mr_tls_peer peer; /* who is at the other end */
};

static void open_end(struct end *end, enum mr_tls_side side, int fd, const char *ca,
                     const char *chain, const char *key)
{
    char ca_path[96], chain_path[96], key_path[96];
    struct mr_error error;
    const struct mr_tls_files files = {.ca_file = path_of(ca_path, ca),
                                       .certificate_file = path_of(chain_path, chain),
                                       .private_key_file = path_of(key_path, key)};
    *end = (struct end){.peer.expected_hub = MR_TLS_ANY_PEER};
    assert_int_equal(mr_tls_open(&end->tls, side, &files, &error), 0);
    end->ssl = mr_tls_connection(end->tls, fd, &end->peer);
    assert_non_null(end->ssl);
}

static void close_end(struct end *end)
{
    SSL_free(end->ssl);
    mr_tls_close(end->tls);
}

/* A client with these files meets a server that trusts the root alone. What the server thinks of it
 * in *refusal; gives the number of certificates that the client sent. */
static int meet(const char *ca, const char *chain, const char *key, enum mr_tls_refusal *refusal)
{
    int fds[2];
    struct end server, client;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    open_end(&server, MR_TLS_SERVER, fds[0], "root.pem", "leaf-middle.pem", "leaf.key");
    open_end(&client, MR_TLS_CLIENT, fds[1], ca, chain, key);
    for (int i = 0; i < TURNS && !SSL_is_init_finished(server.ssl); i++) {
        SSL_do_handshake(client.ssl);
        SSL_do_handshake(server.ssl);
    }
    *refusal = server.peer.refusal;
    assert_int_equal(SSL_is_init_finished(server.ssl), *refusal == MR_TLS_ACCEPTED);
    /* A server's view of the chain leaves the peer's own certificate out. */
    const int sent =
        1 +
        (SSL_is_init_finished(server.ssl) ? sk_X509_num(SSL_get_peer_cert_chain(server.ssl)) : 0);
    close_end(&client);
    close_end(&server);
    close(fds[0]);
    close(fds[1]);
    return sent;
}

static void the_root_stays_at_home(void **state)
{
    (void)state;
    enum mr_tls_refusal refusal;
    assert_int_equal(meet("root.pem", "leaf-middle-root.pem", "leaf.key", &refusal), 2);
    assert_int_equal(refusal, MR_TLS_ACCEPTED);
    assert_int_equal(meet("root.pem", "leaf-middle.pem", "leaf.key", &refusal), 2);
    assert_int_equal(refusal, MR_TLS_ACCEPTED);
}

static void our_ca_file_completes_the_chain(void **state)
{
    (void)state;
    enum mr_tls_refusal refusal;
    assert_int_equal(meet("both.pem", "leaf.pem", "leaf.key", &refusal), 2);
    assert_int_equal(refusal, MR_TLS_ACCEPTED);
}

static void a_chain_with_a_gap_is_refused(void **state)
{
    (void)state;
    enum mr_tls_refusal refusal;
    meet("root.pem", "leaf.pem", "leaf.key", &refusal);
    assert_int_equal(refusal, MR_TLS_UNTRUSTED);
}

static void an_expired_intermediate_is_refused(void **state)
{
    (void)state;
    enum mr_tls_refusal refusal;
    meet("root.pem", "stale.pem", "stale.key", &refusal);
    assert_int_equal(refusal, MR_TLS_EXPIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_stays_at_home),
        cmocka_unit_test(our_ca_file_completes_the_chain),
        cmocka_unit_test(a_chain_with_a_gap_is_refused),
        cmocka_unit_test(an_expired_intermediate_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
