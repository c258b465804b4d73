/* kept_crowd.c - many devices' connections to one hub that do nothing, for the memory that each
 * takes there.
 *
 * usage: kept_crowd HOST PORT FOLDER DEVICES EACH
 *
 * Opens EACH connections with the certificate of each of DEVICES devices of a folder that `millrace
 * pki init` made, asks one small question over each and hears the answer to its end. Then says so
 * on a line ("ready N") and keeps them until its standard input ends. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "appliance/cli/pki.h"

#define FRAME_HEAD     9
#define FRAME_HEADERS  1
#define FRAME_SETTINGS 4
#define END_STREAM     1
#define END_HEADERS    4
#define SETTINGS_ACK   1
#define QUESTION       "/v1/tasks/default/hubs"
#define PREFACE        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void fail(const char *what)
{
    fprintf(stderr, "kept_crowd: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static SSL_CTX *context_of(const char *folder, unsigned device, unsigned devices)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    char stem[MR_PKI_STEM_MAX], certificate[512], key[512];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    mr_pki_device_stem(stem, device, devices);
    snprintf(certificate, sizeof certificate, "%s/%s.pem", folder, stem);
    snprintf(key, sizeof key, "%s/%s.key", folder, stem);
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_alpn_protos(context, h2, sizeof h2) != 0) {
        fail(certificate);
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

/* HPACK without an index (RFC 7541). Returns the length. */
static size_t question(uint8_t *out)
{
    uint8_t *at = out + FRAME_HEAD;
    *at++ = 0x87; /* :scheme https */
    *at++ = 0x82; /* :method GET */
    *at++ = 0x04; /* :path */
    *at++ = sizeof QUESTION - 1;
    memcpy(at, QUESTION, sizeof QUESTION - 1);
    at += sizeof QUESTION - 1;
    *at++ = 0x01; /* :authority */
    *at++ = 1;
    *at++ = 'h';
    const size_t length = (size_t)(at - out) - FRAME_HEAD;
    memcpy(out,
           (const uint8_t[]){0, 0, (uint8_t)length, FRAME_HEADERS, END_STREAM | END_HEADERS, 0, 0,
                             0, 1},
           FRAME_HEAD);
    return FRAME_HEAD + length;
}

static void read_all(SSL *ssl, uint8_t *out, size_t bytes)
{
    for (size_t got = 0; got < bytes;) {
        const int n = SSL_read(ssl, out + got, (int)(bytes - got));
        if (n <= 0) {
            fail("the hub closed a connection");
        }
        got += (size_t)n;
    }
}

/* To the end of the answer. */
static void hear(SSL *ssl)
{
    static uint8_t payload[65536];
    uint8_t head[FRAME_HEAD];
    do {
        read_all(ssl, head, sizeof head);
        const size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (length > sizeof payload) {
            fail("a frame of the hub is too large");
        }
        read_all(ssl, payload, length);
    } while (head[8] != 1 || !(head[4] & END_STREAM));
}

static SSL *connect_one(SSL_CTX *context, const struct sockaddr_in *address)
{
    static const uint8_t settings[2 * FRAME_HEAD] = {
        [3] = FRAME_SETTINGS, [FRAME_HEAD + 3] = FRAME_SETTINGS, [FRAME_HEAD + 4] = SETTINGS_ACK};
    uint8_t out[sizeof PREFACE - 1 + sizeof settings + 256];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    SSL *ssl = SSL_new(context);

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        perror("kept_crowd: connect");
        exit(1);
    }
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1) {
        fail("a handshake failed");
    }
    memcpy(out, PREFACE, sizeof PREFACE - 1);
    memcpy(out + sizeof PREFACE - 1, settings, sizeof settings);
    const size_t before = sizeof PREFACE - 1 + sizeof settings;
    const size_t length = before + question(out + before);
    if (SSL_write(ssl, out, (int)length) != (int)length) {
        fail("the hub takes no question");
    }
    hear(ssl);
    return ssl;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fail("usage: kept_crowd HOST PORT FOLDER DEVICES EACH");
    }
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argv[2]))};
    const unsigned devices = (unsigned)atoi(argv[4]), each = (unsigned)atoi(argv[5]);
    if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
        fail("HOST is no IPv4 address");
    }
    for (unsigned i = 0; i < devices; i++) {
        SSL_CTX *context = context_of(argv[3], i, devices);
        for (unsigned j = 0; j < each; j++) {
            (void)connect_one(context, &address); /* until the program ends */
        }
        SSL_CTX_free(context); /* the connections hold it */
    }
    printf("ready %u\n", devices * each);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
