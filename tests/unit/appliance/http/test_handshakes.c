/* Who gets in: every wrong certificate is refused, counted by its reason, and told why. */
#include "tests/unit/appliance/http/harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILURES(reason) "millrace_control_handshake_failures_total{reason=\"" reason "\"}"

/* Opens and asks; gives the failure and its text. */
static int try(const struct mr_h2_endpoint *endpoint, struct mr_error *error)
{
    struct mr_h2_client *client = NULL;
    struct mr_h2_response response;
    error->text[0] = '\0';
    int result = mr_h2_client_open(&client, endpoint, WAIT_MS, error);
    if (result == MR_H2_OK) {
        result = mr_h2_client_request(
            client,
            &(struct mr_h2_request){.method = "GET", .path = "/nothing", .timeout_ms = WAIT_MS},
            &response, error);
        if (result == MR_H2_OK) {
            mr_h2_response_fini(&response);
        }
        mr_h2_client_close(client);
    }
    return result;
}

static void assert_refused(const char *dir, const char *stem, const char *sample, const char *words)
{
    struct paths paths;
    struct mr_error error;
    /* Several times: the refusal must not be lost to a reset, however the segments fall. */
    for (int i = 1; i <= 10; i++) {
        const struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, dir, stem);
        const int result = try(&endpoint, &error);
        if (result != MR_H2_REFUSED || !strstr(error.text, words)) {
            fail_msg("%s: %d %s", stem, result, error.text);
        }
        harness_await_metric(&rig, sample, i);
    }
    assert_true(harness_metric(&rig, "millrace_control_handshakes_total") == 0);
}

static void a_foreign_certificate_is_refused(void **state)
{
    (void)state;
    assert_refused(rig.foreign, "device-000", FAILURES("untrusted_certificate"), "not of the CA");
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;
    assert_refused(rig.dir, "expired", FAILURES("expired_certificate"), "expired");
}

static void a_certificate_of_tomorrow_is_refused(void **state)
{
    (void)state;
    assert_refused(rig.dir, "early", FAILURES("expired_certificate"), "");
}

static void a_certificate_without_identity_is_refused(void **state)
{
    (void)state;
    assert_refused(rig.dir, "nobody", FAILURES("no_identity"), "names no identity");
}

static void a_certificate_with_two_identities_is_refused(void **state)
{
    (void)state;
    assert_refused(rig.dir, "two", FAILURES("no_identity"), "names no identity");
}

static void a_malformed_identity_is_refused(void **state)
{
    (void)state;
    assert_refused(rig.dir, "malformed", FAILURES("no_identity"), "names no identity");
}

static void somebody_elses_uri_beside_ours_does_not_matter(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "beside");
    struct mr_h2_response response;
    harness_ask(client, "GET", "/who/a/and/b", NULL, 0, &response);
    assert_non_null(strstr((const char *)response.body,
                           "urn:millrace:device:00000000000000000000000000000002"));
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}

static void no_certificate_is_refused(void **state)
{
    (void)state;
    struct bare bare;
    bare_open(&bare, &rig, NULL, NULL, TLS1_3_VERSION);
    assert_true(bare_drain(&bare));
    bare_close(&bare);
    harness_await_metric(&rig, FAILURES("no_certificate"), 1);
}

static void tls_1_2_is_refused(void **state)
{
    (void)state;
    struct bare bare;
    bare_open(&bare, &rig, rig.dir, "device-000", TLS1_2_VERSION);
    assert_int_equal(SSL_is_init_finished(bare.ssl), 0);
    bare_close(&bare);
    harness_await_metric(&rig, FAILURES("protocol"), 1);
    /* the same with 1.3 gets in */
    bare_open(&bare, &rig, rig.dir, "device-000", TLS1_3_VERSION);
    harness_await_metric(&rig, "millrace_control_handshakes_total", 1);
    bare_close(&bare);
}

static void no_tls_at_all_is_refused(void **state)
{
    (void)state;
    const int fd = harness_connect(&rig);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    harness_await_metric(&rig, FAILURES("protocol"), 1);
    close(fd);
    harness_await_metric(&rig, "millrace_control_connections", 0);
}

static void a_silent_peer_is_closed_in_time(void **state)
{
    (void)state;
    char byte;
    const int fd = harness_connect(&rig);
    assert_int_equal(recv(fd, &byte, 1, 0), 0); /* they hang up, we wait as long as it takes */
    harness_await_metric(&rig, FAILURES("timeout"), 1);
    close(fd);
    harness_await_metric(&rig, "millrace_control_connections", 0);
}

static void a_peer_that_leaves_is_counted_as_such(void **state)
{
    (void)state;
    close(harness_connect(&rig));
    harness_await_metric(&rig, FAILURES("closed"), 1);
}

static void connections_are_capped(void **state)
{
    (void)state;
    char byte;
    struct mr_h2_client *one = harness_client(&rig, "operator"); /* who do not give way */
    struct mr_h2_client *two = harness_client(&rig, "hub-1");
    /* While one is in its handshake, that one would give way. */
    harness_await_metric(&rig, "millrace_control_handshakes_total", 2);
    const int fd = harness_connect(&rig);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    assert_true(harness_metric(&rig, "millrace_control_over_limit_total") == 1);
    mr_h2_client_close(one);
    harness_await_metric(&rig, "millrace_control_connections", 1);
    one = harness_client(&rig, "device-002"); /* there is room again */
    mr_h2_client_close(one);
    mr_h2_client_close(two);
}

/* --- revoked meanwhile */

/* A client's TLS without a socket: what it sends and gets is carried by hand. */
static SSL *open_by_hand(SSL_CTX *context, const char *stem)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    struct paths paths;
    (void)harness_endpoint(&rig, &paths, rig.dir, stem);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(context, paths.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, paths.key, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_alpn_protos(context, h2, sizeof h2);
    SSL *ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    return ssl;
}

/* As far as the client's side goes; its last flight, with the certificate, is left in `out`. */
static size_t shake_by_hand(SSL *ssl, int fd, uint8_t *out, size_t room)
{
    for (;;) {
        uint8_t data[4096];
        const int done = SSL_do_handshake(ssl);
        const int waiting = BIO_read(SSL_get_wbio(ssl), out, (int)room);
        if (done == 1) {
            return (size_t)waiting;
        }
        if (waiting > 0) {
            assert_int_equal(send(fd, out, (size_t)waiting, 0), waiting);
        }
        const ssize_t got = recv(fd, data, sizeof data, 0);
        assert_true(got > 0);
        assert_int_equal(BIO_write(SSL_get_rbio(ssl), data, (int)got), (int)got);
    }
}

static void a_certificate_revoked_during_its_handshake_is_refused(void **state)
{
    (void)state;
    char list[128];
    uint8_t flight[8192];
    struct mr_error error;
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(list, sizeof list, "%s/revoked.pem", rig.dir);
    assert_int_equal(mr_pki_revoke(rig.dir, "device-003", &error), 0);
    config.revocation_file = list;
    harness_start(&rig, &config);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = open_by_hand(context, "device-002");
    const int fd = harness_connect(&rig);
    const size_t length = shake_by_hand(ssl, fd, flight, sizeof flight);
    assert_int_equal(send(fd, flight, length - 1, 0), (ssize_t)(length - 1));
    harness_assert_serves(&rig); /* by now the certificate has been looked at */
    assert_int_equal(mr_pki_revoke(rig.dir, "device-002", &error), 0);
    harness_reload_revocations(&rig);
    assert_int_equal(send(fd, flight + length - 1, 1, 0), 1);
    harness_await_metric(&rig, FAILURES("revoked_certificate"), 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    harness_await_metric(&rig, "millrace_control_connections", 0);
}

/* --- the client's own view */

static void a_client_refuses_what_is_not_its_hub(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error;
    struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, "device-000");
    endpoint.hub_index = 1;
    assert_int_equal(try(&endpoint, &error), MR_H2_REFUSED);
    assert_non_null(strstr(error.text, "not that of the expected hub"));
    harness_await_metric(&rig, "millrace_control_connections", 0);

    endpoint.hub_index = 0;
    snprintf(paths.ca, sizeof paths.ca, "%s/ca.pem", rig.foreign);
    assert_int_equal(try(&endpoint, &error), MR_H2_REFUSED);
    assert_non_null(strstr(error.text, "we do not accept its certificate"));

    snprintf(paths.ca, sizeof paths.ca, "%s/ca.pem", rig.dir);
    assert_int_equal(try(&endpoint, &error), MR_H2_OK);
}

static void a_device_cannot_pose_as_a_hub(void **state)
{
    (void)state;
    struct paths paths, posing;
    struct mr_error error;
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(posing.certificate, sizeof posing.certificate, "%s/device-001.pem", rig.dir);
    snprintf(posing.key, sizeof posing.key, "%s/device-001.key", rig.dir);
    config.certificate_file = posing.certificate;
    config.private_key_file = posing.key;
    harness_start(&rig, &config);
    const struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, "device-000");
    assert_int_equal(try(&endpoint, &error), MR_H2_REFUSED);
}

static void nobody_there_is_unreachable(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error;
    const struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, "device-000");
    harness_stop(&rig);
    assert_int_equal(try(&endpoint, &error), MR_H2_UNREACHABLE);
    assert_non_null(strstr(error.text, "127.0.0.1"));
    const struct mr_server_config config = harness_config(&rig);
    harness_start(&rig, &config);
}

static void a_silent_server_runs_out_of_time(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error;
    struct mr_h2_client *client;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, "device-000");
    endpoint.port = ntohs(address.sin_port);
    assert_int_equal(mr_h2_client_open(&client, &endpoint, 50, &error), MR_H2_TIMEOUT);
    close(fd);
}

/* --- files */

static void wrong_files_are_refused_with_a_remedy(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error;
    const struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, "device-003");
    assert_int_equal(chmod(paths.key, 0640), 0);
    assert_int_equal(try(&endpoint, &error), MR_H2_REFUSED);
    assert_non_null(strstr(error.text, "chmod 600"));
    assert_int_equal(chmod(paths.key, 0600), 0);
    assert_int_equal(try(&endpoint, &error), MR_H2_OK);

    snprintf(paths.key, sizeof paths.key, "%s/device-002.key", rig.dir);
    assert_int_equal(try(&endpoint, &error), MR_H2_REFUSED);
    assert_non_null(strstr(error.text, "private_key_file"));

    /* A second loop: nothing of the running one may be touched from here. */
    struct mr_server_config config = harness_config(&rig);
    const struct mr_route_table no_routes = {0};
    struct mr_server *server;
    struct mr_loop *loop;
    assert_int_equal(mr_loop_open(&loop, &error), 0);
    config.certificate_file = "/nonexistent.pem";
    assert_int_equal(mr_server_open(&server, loop, &config, &no_routes, NULL, &error), -1);
    assert_non_null(strstr(error.text, "certificate_file /nonexistent.pem"));
    config = harness_config(&rig);
    config.ca_file = "/dev/null";
    assert_int_equal(mr_server_open(&server, loop, &config, &no_routes, NULL, &error), -1);
    assert_non_null(strstr(error.text, "ca_file /dev/null"));
    mr_loop_close(loop);
}

static void wrong_addresses_are_refused_with_a_remedy(void **state)
{
    (void)state;
    struct mr_error error;
    const struct mr_route_table no_routes = {0};
    struct mr_server *server;
    struct mr_server_config config = harness_config(&rig);
    config.port = mr_server_port(rig.server);
    harness_stop(&rig);
    harness_start(&rig, &config);
    struct mr_loop *loop;
    assert_int_equal(mr_loop_open(&loop, &error), 0);
    assert_int_equal(mr_server_open(&server, loop, &config, &no_routes, NULL, &error), -1);
    assert_non_null(strstr(error.text, "control.port"));
    config.listen_host = "localhost";
    assert_int_equal(mr_server_open(&server, loop, &config, &no_routes, NULL, &error), -1);
    assert_non_null(strstr(error.text, "control.listen_host localhost"));
    mr_loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_foreign_certificate_is_refused),
        HARNESS_TEST(an_expired_certificate_is_refused),
        HARNESS_TEST(a_certificate_of_tomorrow_is_refused),
        HARNESS_TEST(a_certificate_without_identity_is_refused),
        HARNESS_TEST(a_certificate_with_two_identities_is_refused),
        HARNESS_TEST(a_malformed_identity_is_refused),
        HARNESS_TEST(somebody_elses_uri_beside_ours_does_not_matter),
        HARNESS_TEST(no_certificate_is_refused),
        HARNESS_TEST(tls_1_2_is_refused),
        HARNESS_TEST(no_tls_at_all_is_refused),
        HARNESS_TEST_WITH(a_silent_peer_is_closed_in_time, .handshake_timeout_ms = 50),
        HARNESS_TEST(a_peer_that_leaves_is_counted_as_such),
        HARNESS_TEST_WITH(connections_are_capped, .connections_max = 2),
        HARNESS_TEST(a_certificate_revoked_during_its_handshake_is_refused),
        HARNESS_TEST(a_client_refuses_what_is_not_its_hub),
        HARNESS_TEST(a_device_cannot_pose_as_a_hub),
        HARNESS_TEST(nobody_there_is_unreachable),
        HARNESS_TEST(a_silent_server_runs_out_of_time),
        HARNESS_TEST(wrong_files_are_refused_with_a_remedy),
        HARNESS_TEST(wrong_addresses_are_refused_with_a_remedy),
    };
    return harness_run(tests);
}
