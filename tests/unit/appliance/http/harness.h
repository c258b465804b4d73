/* harness.h - a real server on a loop of its own thread, a throw-away CA in a scratch folder, and
 * clients good and bad, over 127.0.0.1. */
#ifndef MR_TEST_HTTP_HARNESS_H
#define MR_TEST_HTTP_HARNESS_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>

#include "appliance/cli/pki.h"
#include "appliance/http/server.h"
#include "transport/h2_client.h"

#define HARNESS_TIME_LEFT_MS 123456789 /* that the answer with a borrowed body tells */
#define HELD_MAX             4096
#define BIG_BYTES            ((size_t)8 * 1024 * 1024)
#define SMALL_BYTES          ((size_t)100)
#define LARGE_BYTES          ((size_t)4 * 1024 * 1024)
#define WAIT_MS              20000 /* for what must happen: long, since nothing depends on it */

struct harness {
    char dir[64];     /* ca, hub-0, hub-1, device-000 … device-003, operator, and odd ones */
    char foreign[64]; /* another CA's */
    struct mr_loop *loop;
    struct mr_server *server;
    pthread_t thread;
    uint8_t *big;

    /* the loop's thread */
    struct mr_request *held[HELD_MAX];
    unsigned held_count;
    char metrics[16384];

    atomic_uint held_now; /* requests kept back by /hold */
    atomic_uint released; /* big answers given back */
    atomic_uint handled;  /* handlers called */
    atomic_uint progress; /* how often /slow heard of its body */
};

/* The one that a test program uses, and for cmocka: it runs with the defaults and what *state, a
 * struct mr_server_config or NULL, has otherwise (fields that are not 0); and ends. */
extern struct harness rig;
int harness_set_up(void **state);
int harness_tear_down(void **state);
#define HARNESS_TEST(name) cmocka_unit_test_setup_teardown(name, harness_set_up, harness_tear_down)
#define HARNESS_TEST_WITH(name, ...)                                                               \
    cmocka_unit_test_prestate_setup_teardown(name, harness_set_up, harness_tear_down,              \
                                             (&(struct mr_server_config){__VA_ARGS__}))

/* All of a program's tests, with certificates made for them; what main returns. */
#define harness_run(tests) harness_run_tests(#tests, tests, sizeof tests / sizeof *tests)
int harness_run_tests(const char *name, const struct CMUnitTest *tests, size_t count);

/* The defaults of every test; change what matters and start. */
struct mr_server_config harness_config(const struct harness *harness);
void harness_start(struct harness *harness, const struct mr_server_config *config);
void harness_stop(struct harness *harness); /* also drops what is held */

/* Samples that several tests look at. */
#define CONNECTIONS "millrace_control_connections"
#define REQUESTS    "millrace_control_requests"
#define BODY_BYTES  "millrace_control_body_bytes"
#define ENDS(cause) "millrace_control_connection_ends_total{cause=\"" cause "\"}"

/* The value of one line of the metrics ('name' or 'name{labels}'); -1 where there is none. */
double harness_metric(struct harness *harness, const char *sample);
/* Waits until it is `value`. */
void harness_await_metric(struct harness *harness, const char *sample, double value);
void harness_await(const atomic_uint *counter, unsigned value);
/* Reads the revocation file again, on the loop's thread. */
void harness_reload_revocations(struct harness *harness);
/* Answers all that /hold keeps, on the loop's thread. */
void harness_release(struct harness *harness);

/* An endpoint with <stem>.pem and <stem>.key of a folder. Paths live in `paths`. */
struct paths {
    char ca[128], certificate[128], key[128];
};
struct mr_h2_endpoint harness_endpoint(const struct harness *harness, struct paths *paths,
                                       const char *dir, const char *stem);
/* A client that must come up. */
struct mr_h2_client *harness_client(const struct harness *harness, const char *stem);
/* One request that must get an answer. */
void harness_ask(struct mr_h2_client *client, const char *method, const char *path,
                 const void *body, size_t length, struct mr_h2_response *response);

/* A decent client is served. */
void harness_assert_serves(const struct harness *harness);

/* A TCP connection, on which nothing was said. */
int harness_connect(const struct harness *harness);

/* A bare TLS connection (blocking socket) with a certificate (stem NULL: none), for what no decent
 * client does. The handshake is done as far as the client's side goes. */
struct bare {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};
void bare_open(struct bare *bare, const struct harness *harness, const char *dir, const char *stem,
               int version);
void bare_close(struct bare *bare); /* at once, without goodbye */
/* Reads until the server ends the connection; true when it ended with a TLS alert. */
bool bare_drain(struct bare *bare);

#endif
