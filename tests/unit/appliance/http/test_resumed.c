/* test_resumed.c - connections that take a former one's session up, and who may not. */
#include "tests/unit/appliance/http/frames.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "transport/tls_session.h"

#define RESUMED          "millrace_control_handshakes_resumed_total"
#define SHAKEN           "millrace_control_handshakes_total"
#define SESSIONS         "millrace_control_sessions"
#define ROOM             ((size_t)1024 * 1024)
#define YEAR_S           31536000
#define HOUR_S           3600
#define FAILURES(reason) "millrace_control_handshake_failures_total{reason=\"" reason "\"}"

static atomic_llong ahead_s; /* of the hub's wall clock */

static int64_t unix_s(void)
{
    return (int64_t)time(NULL) + atomic_load(&ahead_s);
}

/* --- a decent device */

static int try_ask(struct mr_h2_client *client, const char *path, struct mr_h2_response *response)
{
    struct mr_error error;
    return mr_h2_client_request(
        client,
        &(struct mr_h2_request){
            .method = "GET", .path = path, .answer_max = 4096, .timeout_ms = WAIT_MS},
        response, &error);
}

/* A connection that uses and gets a ticket. NULL: it did not come up. */
static struct mr_h2_client *come(const char *stem, struct mr_tls_ticket **ticket)
{
    struct paths paths;
    struct mr_error error;
    struct mr_h2_client *client = NULL;
    struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, stem);
    endpoint.ticket = ticket;
    return mr_h2_client_open(&client, &endpoint, WAIT_MS, &error) == MR_H2_OK ? client : NULL;
}

/* It comes, says who it is, and goes. True if that was somebody whose name ends so. */
static bool visit(const char *stem, struct mr_tls_ticket **ticket, const char *name_end)
{
    struct mr_h2_response response;
    struct mr_h2_client *client = come(stem, ticket);
    bool right = false;
    if (client && try_ask(client, "/who/a/and/b", &response) == MR_H2_OK) {
        right = strstr((char *)response.body, name_end) != NULL;
        mr_h2_response_fini(&response);
    }
    mr_h2_client_close(client);
    return right;
}

static void a_session_is_taken_up(void **state)
{
    (void)state;
    struct mr_tls_ticket *ticket = NULL;
    struct mr_h2_response first, second;
    uint8_t key[32];
    struct mr_h2_client *client = come("device-000", &ticket);
    harness_ask(client, "POST", "/export", "", 0, &first);
    mr_h2_client_close(client);
    assert_non_null(ticket);
    client = come("device-000", &ticket);
    harness_ask(client, "POST", "/export", "", 0, &second);
    assert_true(harness_metric(&rig, RESUMED) == 1);
    assert_true(harness_metric(&rig, SHAKEN) == 2);
    /* Both ends have the same upload key, and not the former connection's. */
    assert_int_equal(mr_h2_client_export(client, "EXPORTER-Millrace-upload", key), 0);
    assert_memory_equal(second.body, key, sizeof key);
    assert_memory_not_equal(first.body, key, sizeof key);
    mr_h2_client_close(client);
    mr_h2_response_fini(&first);
    mr_h2_response_fini(&second);
    assert_true(visit("device-000", &ticket, ""));
    assert_true(harness_metric(&rig, RESUMED) == 2);
    mr_tls_ticket_free(ticket);
}

static void a_hub_is_not_a_device(void **state)
{
    (void)state;
    struct mr_tls_ticket *ticket = NULL;
    assert_true(visit("hub-1", &ticket, "hub:1"));
    assert_true(visit("hub-1", &ticket, "hub:1"));
    assert_true(harness_metric(&rig, RESUMED) == 0);
    assert_true(harness_metric(&rig, SESSIONS) == 0);
    mr_tls_ticket_free(ticket);
}

static void without_room_nothing_is_taken_up(void **state)
{
    (void)state;
    struct mr_tls_ticket *ticket = NULL;
    assert_true(visit("device-000", &ticket, ""));
    assert_null(ticket);
}

/* --- what does not hold any more */

static void issue(const char *stem, const char *uri, int64_t from_s, int64_t until_s)
{
    struct mr_error error;
    const struct mr_pki_leaf leaf = {.stem = stem,
                                     .uris = &uri,
                                     .uri_count = 1,
                                     .from_s = from_s,
                                     .until_s = until_s,
                                     .force = true};
    assert_int_equal(mr_pki_issue(rig.dir, &leaf, &error), 0);
}

static void a_revoked_device_takes_nothing_up(void **state)
{
    (void)state;
    char list[128];
    struct mr_error error;
    struct mr_tls_ticket *ticket = NULL, *other = NULL;
    static const char uri[] = "urn:millrace:device:000000000000000000000000000000bb";
    harness_stop(&rig);
    struct mr_server_config config = harness_config(&rig);
    snprintf(list, sizeof list, "%s/revoked.pem", rig.dir);
    assert_int_equal(mr_pki_revoke(rig.dir, NULL, &error), 0);
    config.revocation_file = list;
    config.sessions_bytes_max = ROOM;
    harness_start(&rig, &config);
    issue("lost", uri, -60, YEAR_S);
    assert_true(visit("lost", &ticket, "bb"));
    assert_true(visit("device-000", &other, ""));
    assert_int_equal(mr_pki_revoke(rig.dir, "lost", &error), 0);
    harness_reload_revocations(&rig);
    /* By a full handshake, whose alert says why. */
    struct mr_h2_response response;
    struct mr_h2_client *client = come("lost", &ticket);
    assert_non_null(client);
    assert_int_equal(try_ask(client, "/nothing", &response), MR_H2_REFUSED);
    mr_h2_client_close(client);
    harness_await_metric(&rig, FAILURES("revoked_certificate"), 1);
    assert_true(harness_metric(&rig, RESUMED) == 0);
    assert_true(visit("device-000", &other, ""));
    assert_true(harness_metric(&rig, RESUMED) == 1);
    mr_tls_ticket_free(ticket);
    mr_tls_ticket_free(other);
}

static void an_expired_device_takes_nothing_up(void **state)
{
    (void)state;
    struct mr_tls_ticket *ticket = NULL;
    issue("brief", "urn:millrace:device:000000000000000000000000000000dd", -60, HOUR_S);
    assert_true(visit("brief", &ticket, "dd"));
    atomic_store(&ahead_s, 2 * HOUR_S);
    assert_false(visit("brief", &ticket, ""));
    assert_true(harness_metric(&rig, RESUMED) == 0);
    atomic_store(&ahead_s, 0);
    mr_tls_ticket_free(ticket);
}

/* However often a session is taken up: a day after its certificates were looked at they are again.
 */
static void a_day_later_certificates_are_looked_at(void **state)
{
    (void)state;
    struct mr_tls_ticket *ticket = NULL;
    assert_true(visit("device-000", &ticket, ""));
    atomic_store(&ahead_s, 12 * HOUR_S);
    assert_true(visit("device-000", &ticket, ""));
    assert_true(harness_metric(&rig, RESUMED) == 1);
    atomic_store(&ahead_s, 30 * HOUR_S);
    assert_true(visit("device-000", &ticket, ""));
    assert_true(harness_metric(&rig, RESUMED) == 1);
    atomic_store(&ahead_s, 0);
    mr_tls_ticket_free(ticket);
}

static void a_former_key_takes_nothing_up(void **state)
{
    (void)state;
    static const char uri[] = "urn:millrace:device:000000000000000000000000000000aa";
    struct mr_tls_ticket *old = NULL, *new = NULL;
    issue("old", uri, -600, YEAR_S);
    issue("new", uri, -60, YEAR_S);
    assert_true(visit("old", &old, "aa"));
    assert_true(visit("new", &new, "aa"));
    assert_true(visit("old", &old, "aa")); /* not revoked: it may show its certificate */
    assert_true(harness_metric(&rig, RESUMED) == 0);
    assert_true(visit("new", &new, "aa"));
    assert_true(harness_metric(&rig, RESUMED) == 1);
    mr_tls_ticket_free(old);
    mr_tls_ticket_free(new);
}

/* The device whose certificate was replaced on its disk, by one of another role too, is what the
 * new one says. */
static void a_new_certificate_makes_a_new_session(void **state)
{
    (void)state;
    struct mr_tls_ticket *ticket = NULL;
    issue("changing", "urn:millrace:device:000000000000000000000000000000cc", -600, YEAR_S);
    assert_true(visit("changing", &ticket, "cc"));
    issue("changing", "urn:millrace:operator:carla", -600, YEAR_S);
    assert_true(visit("changing", &ticket, "operator:carla"));
    assert_true(harness_metric(&rig, RESUMED) == 0);
    mr_tls_ticket_free(ticket);
}

/* --- bounds */

static void sessions_are_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct mr_tls_ticket *ticket = NULL;
        char stem[16];
        snprintf(stem, sizeof stem, "device-%03u", i % 4);
        assert_true(visit(stem, &ticket, ""));
        assert_true(harness_metric(&rig, "millrace_control_session_bytes") <= 1500);
        mr_tls_ticket_free(ticket);
    }
    assert_true(harness_metric(&rig, SESSIONS) > 2);
}

static void one_device_has_few_sessions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct mr_tls_ticket *ticket = NULL;
        assert_true(visit("device-000", &ticket, ""));
        mr_tls_ticket_free(ticket);
    }
    assert_true(harness_metric(&rig, SESSIONS) == 4);
    struct mr_tls_ticket *ticket = NULL;
    assert_true(visit("device-001", &ticket, ""));
    assert_true(harness_metric(&rig, SESSIONS) == 5);
    mr_tls_ticket_free(ticket);
}

/* --- liars, with OpenSSL alone */

static SSL_SESSION *caught; /* the newest ticket that came */

static int catch_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(caught);
    caught = SSL_SESSION_dup(session);
    return 0;
}

/* Connects with a certificate (NULL: none), offers that session, and asks who it is. True: it was
 * told, in `who`. */
static bool lie(const char *stem, SSL_SESSION *session, bool *is_resumed, char who[256])
{
    static const uint8_t h2[] = {2, 'h', '2'};
    static struct frame frame;
    struct bare bare = {.context = SSL_CTX_new(TLS_client_method()), .fd = harness_connect(&rig)};
    struct paths paths;
    (void)harness_endpoint(&rig, &paths, rig.dir, stem ? stem : "");
    SSL_CTX_set_alpn_protos(bare.context, h2, sizeof h2);
    SSL_CTX_set_session_cache_mode(bare.context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(bare.context, catch_ticket);
    if (stem) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(bare.context, paths.certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(bare.context, paths.key, SSL_FILETYPE_PEM), 1);
    }
    bare.ssl = SSL_new(bare.context);
    SSL_set_fd(bare.ssl, bare.fd);
    if (session) {
        assert_int_equal(SSL_set_session(bare.ssl, session), 1);
    }
    ERR_clear_error();
    bool told = SSL_connect(bare.ssl) == 1 &&
                SSL_write(bare.ssl, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) == 24 &&
                frames_send(&bare, FRAME_SETTINGS, 0, 0, NULL, 0) &&
                frames_ask(&bare, 1, "GET", "/who/a/and/b", -1, true) &&
                frames_await(&bare, FRAME_DATA, 1, &frame);
    *is_resumed = SSL_session_reused(bare.ssl) == 1;
    if (told) {
        snprintf(who, 256, "%.*s", (int)frame.length, (char *)frame.payload);
    }
    bare_close(&bare);
    ERR_clear_error();
    return told;
}

static void forget_caught(void)
{
    SSL_SESSION_free(caught);
    caught = NULL;
}

static void a_ticket_is_good_once(void **state)
{
    (void)state;
    bool is_resumed;
    char who[256];
    assert_true(lie("device-000", NULL, &is_resumed, who));
    SSL_SESSION *ticket = SSL_SESSION_dup(caught), *again = SSL_SESSION_dup(caught);
    assert_true(lie(NULL, ticket, &is_resumed, who));
    assert_true(is_resumed);
    assert_false(lie(NULL, again, &is_resumed, who)); /* and nobody comes without a certificate */
    assert_true(harness_metric(&rig, RESUMED) == 1);
    SSL_SESSION_free(ticket);
    SSL_SESSION_free(again);
    forget_caught();
}

/* Whoever has a session's secret is the device that made it, and nobody else: his own certificate
 * is not looked at, and lends him no name. */
static void a_ticket_is_its_makers(void **state)
{
    (void)state;
    bool is_resumed;
    char before[256], who[256];
    assert_true(lie("device-000", NULL, &is_resumed, before));
    SSL_SESSION *ticket = SSL_SESSION_dup(caught);
    assert_true(lie("operator", ticket, &is_resumed, who));
    assert_true(is_resumed);
    assert_string_equal(who, before);
    SSL_SESSION_free(ticket);
    forget_caught();
}

/* A ticket travels in the clear: its name is worth nothing without its secret. */
static void a_ticket_without_its_secret_is_worth_nothing(void **state)
{
    (void)state;
    bool is_resumed;
    char who[256];
    uint8_t secret[SSL_MAX_MASTER_KEY_LENGTH];
    assert_true(lie("device-000", NULL, &is_resumed, who));
    SSL_SESSION *ticket = SSL_SESSION_dup(caught);
    const size_t bytes = SSL_SESSION_get_master_key(ticket, secret, sizeof secret);
    secret[0] ^= 1;
    assert_int_equal(SSL_SESSION_set1_master_key(ticket, secret, bytes), 1);
    assert_false(lie("device-001", ticket, &is_resumed, who));
    assert_true(harness_metric(&rig, RESUMED) == 0);
    SSL_SESSION_free(ticket);
    forget_caught();
}

/* A leaked cache does not open what was said: each handshake has an X25519 of its own. No early
 * data: it could be played again. */
static void keys_are_fresh_and_nothing_comes_early(void **state)
{
    (void)state;
    bool is_resumed;
    char who[256];
    struct bare bare = {.context = SSL_CTX_new(TLS_client_method()), .fd = harness_connect(&rig)};
    static const uint8_t h2[] = {2, 'h', '2'};
    assert_true(lie("device-000", NULL, &is_resumed, who));
    assert_int_equal(SSL_SESSION_get_max_early_data(caught), 0);
    SSL_CTX_set_alpn_protos(bare.context, h2, sizeof h2);
    SSL_CTX_set_options(bare.context, SSL_OP_ALLOW_NO_DHE_KEX);
    bare.ssl = SSL_new(bare.context);
    SSL_set_fd(bare.ssl, bare.fd);
    assert_int_equal(SSL_set_session(bare.ssl, caught), 1);
    assert_int_equal(SSL_connect(bare.ssl), 1);
    assert_int_equal(SSL_session_reused(bare.ssl), 1);
    EVP_PKEY *key = NULL;
    assert_int_equal(SSL_get_peer_tmp_key(bare.ssl, &key), 1);
    assert_int_equal(EVP_PKEY_get_id(key), EVP_PKEY_X25519);
    EVP_PKEY_free(key);
    bare_close(&bare);
    forget_caught();
}

int main(void)
{
#define RESUMING(name, ...) HARNESS_TEST_WITH(name, .sessions_bytes_max = ROOM, ##__VA_ARGS__)
    const struct CMUnitTest tests[] = {
        RESUMING(a_session_is_taken_up),
        RESUMING(a_hub_is_not_a_device),
        HARNESS_TEST(without_room_nothing_is_taken_up),
        RESUMING(a_revoked_device_takes_nothing_up),
        RESUMING(an_expired_device_takes_nothing_up, .unix_s = unix_s),
        RESUMING(a_day_later_certificates_are_looked_at, .unix_s = unix_s),
        RESUMING(a_former_key_takes_nothing_up),
        RESUMING(a_new_certificate_makes_a_new_session),
        HARNESS_TEST_WITH(sessions_are_bounded, .sessions_bytes_max = 1500),
        RESUMING(one_device_has_few_sessions),
        RESUMING(a_ticket_is_good_once),
        RESUMING(a_ticket_is_its_makers),
        RESUMING(a_ticket_without_its_secret_is_worth_nothing),
        RESUMING(keys_are_fresh_and_nothing_comes_early),
    };
    return harness_run(tests);
}
