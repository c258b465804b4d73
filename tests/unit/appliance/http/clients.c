/* clients.c - clients of the server under test: decent ones, and bare connections. */
#include "tests/unit/appliance/http/harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

struct mr_h2_endpoint harness_endpoint(const struct harness *harness, struct paths *paths,
                                       const char *dir, const char *stem)
{
    snprintf(paths->ca, sizeof paths->ca, "%s/ca.pem", harness->dir);
    snprintf(paths->certificate, sizeof paths->certificate, "%s/%s.pem", dir, stem);
    snprintf(paths->key, sizeof paths->key, "%s/%s.key", dir, stem);
    return (struct mr_h2_endpoint){.host = "127.0.0.1",
                                   .port = mr_server_port(harness->server),
                                   .hub_index = 0,
                                   .ca_file = paths->ca,
                                   .certificate_file = paths->certificate,
                                   .private_key_file = paths->key};
}

struct mr_h2_client *harness_client(const struct harness *harness, const char *stem)
{
    struct paths paths;
    struct mr_error error = {""};
    struct mr_h2_client *client = NULL;
    const struct mr_h2_endpoint endpoint = harness_endpoint(harness, &paths, harness->dir, stem);
    if (mr_h2_client_open(&client, &endpoint, WAIT_MS, &error) != MR_H2_OK) {
        fail_msg("%s", error.text);
    }
    return client;
}

void harness_ask(struct mr_h2_client *client, const char *method, const char *path,
                 const void *body, size_t length, struct mr_h2_response *response)
{
    struct mr_error error = {""};
    if (mr_h2_client_request(
            client,
            &(struct mr_h2_request){.method = method,
                                    .path = path,
                                    .content_type = body ? "application/octet-stream" : NULL,
                                    .body = body,
                                    .length = length,
                                    .answer_max = 2 * BIG_BYTES,
                                    .timeout_ms = WAIT_MS},
            response, &error) != MR_H2_OK) {
        fail_msg("%s %s: %s", method, path, error.text);
    }
}

int harness_connect(const struct harness *harness)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(mr_server_port(harness->server)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void bare_open(struct bare *bare, const struct harness *harness, const char *dir, const char *stem,
               int version)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    bare->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(bare->context, version);
    SSL_CTX_set_alpn_protos(bare->context, h2, sizeof h2);
    if (stem) {
        struct paths paths;
        (void)harness_endpoint(harness, &paths, dir, stem);
        assert_int_equal(SSL_CTX_use_certificate_chain_file(bare->context, paths.certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(bare->context, paths.key, SSL_FILETYPE_PEM),
                         1);
    }
    bare->fd = harness_connect(harness);
    bare->ssl = SSL_new(bare->context);
    SSL_set_fd(bare->ssl, bare->fd);
    ERR_clear_error();
    (void)SSL_connect(bare->ssl); /* that it fails may be the point */
}

void bare_close(struct bare *bare)
{
    SSL_free(bare->ssl);
    SSL_CTX_free(bare->context);
    close(bare->fd);
}

bool bare_drain(struct bare *bare)
{
    char data[16384];
    ERR_clear_error();
    while (SSL_read(bare->ssl, data, sizeof data) > 0) {
    }
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET;
}

void harness_assert_serves(const struct harness *harness)
{
    struct mr_h2_client *client = harness_client(harness, "device-001");
    struct mr_h2_response response;
    harness_ask(client, "GET", "/nothing", NULL, 0, &response);
    assert_int_equal(response.status, 204);
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}
