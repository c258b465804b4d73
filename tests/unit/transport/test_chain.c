/* test_chain.c - which certificates an end sends behind its own, and that the peer judges them:
 * a root, an intermediate CA below it and a device's certificate below that. */
#include "tests/unit/transport/party.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tls.h"

#define LIFE_S PARTY_LIFE_S
#define TURNS  50 /* of both ends; a handshake needs a few */
#define DEVICE "URI:urn:millrace:device:00000000000000000000000000000001"

static struct fixture {
    char dir[64];
    struct party root, middle, stale, leaf, stale_leaf;
} all;

/* --- certificates ---------------------------------------------------------------------------- */

static const char *path_of(char path[96], const char *name)
{
    snprintf(path, 96, "%s/%s", all.dir, name);
    return path;
}

static void write_chain(const char *name, unsigned count, const struct party *const *parties)
{
    char path[96];
    party_write(path_of(path, name), count, parties);
}

static void write_key(const char *name, const struct party *party)
{
    char path[96];
    party_write_key(path_of(path, name), party);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(all.dir, "/tmp/mr-test-chain-XXXXXX");
    assert_non_null(mkdtemp(all.dir));
    all.root = certify("root", NULL, 1, NULL, LIFE_S);
    all.middle = certify("middle", &all.root, 2, NULL, LIFE_S);
    all.stale = certify("stale", &all.root, 3, NULL, -LIFE_S);
    all.leaf = certify("leaf", &all.middle, 4, DEVICE, LIFE_S);
    all.stale_leaf = certify("stale leaf", &all.stale, 5, DEVICE, LIFE_S);
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
    party_forget(&all.root);
    party_forget(&all.middle);
    party_forget(&all.stale);
    party_forget(&all.leaf);
    party_forget(&all.stale_leaf);
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
