/* Requests and answers between the real server and the real client. */
#include "tests/unit/appliance/http/frames.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "wire/messages.h"

static void assert_refused(struct mr_h2_client *client, const char *method, const char *path,
                           const void *body, size_t length, int status, const char *code)
{
    struct mr_h2_response response;
    struct mr_refusal refusal;
    struct mr_error error;
    harness_ask(client, method, path, body, length, &response);
    assert_int_equal(response.status, status);
    assert_int_equal(
        mr_refusal_decode(&refusal, (const char *)response.body, response.length, &error), 0);
    assert_string_equal(refusal.name, code);
    assert_true(strlen(refusal.text) > 0);
    mr_h2_response_fini(&response);
}

static void a_request_reaches_its_handler_with_all_it_brings(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-002");
    struct mr_h2_response response;
    struct mr_identity identity = {.role = MR_ROLE_DEVICE};
    char uri[MR_IDENTITY_URI_MAX], expected[256];
    mr_pki_device_id(identity.client_id, 2, 4);
    mr_identity_format(uri, &identity);

    harness_ask(client, "GET", "/who/some-1/and/x.y_z~?m=3&n=18446744073709551615", NULL, 0,
                &response);
    assert_int_equal(response.status, 200);
    snprintf(expected, sizeof expected, "%s 127.0.0.1 a=some-1 b=x.y_z~ c= n=18446744073709551615",
             uri);
    assert_string_equal((const char *)response.body, expected);
    mr_h2_response_fini(&response);

    harness_ask(client, "GET", "/who/a/and/b", NULL, 0, &response);
    assert_non_null(strstr((const char *)response.body, "n=99"));
    mr_h2_response_fini(&response);
    static const char *const malformed[] = {"?n=",   "?n=1x", "?n=18446744073709551616",
                                            "?nn=1", "?n=1&", "?n=1&m=1&n=1",
                                            "?n=-1", "?&n=1", "?n"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        char path[64];
        snprintf(path, sizeof path, "/who/a/and/b%s", malformed[i]);
        assert_refused(client, "GET", path, NULL, 0, 400, "bad_request");
    }
    assert_refused(client, "GET", "/nothing?n=1", NULL, 0, 400, "bad_request");
    mr_h2_client_close(client);
}

static void bodies_of_all_sizes_come_back_unharmed(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 16383, 16384, 65535, 65536, 1048577, LARGE_BYTES};
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct mr_h2_response response;
        harness_ask(client, "POST", "/echo", rig.big, sizes[i], &response);
        assert_int_equal(response.status, 200);
        assert_int_equal(response.length, sizes[i]);
        assert_memory_equal(response.body, rig.big, sizes[i]);
        mr_h2_response_fini(&response);
    }
    harness_await_metric(&rig, "millrace_control_body_bytes", 0);
    mr_h2_client_close(client);
}

/* A row hears of a body that comes, and not of drops. */
static void a_body_on_its_way_is_told(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    harness_ask(client, "POST", "/slow/seven", rig.big, MR_ROUTE_PROGRESS_BYTES - 1, &response);
    mr_h2_response_fini(&response);
    assert_int_equal(atomic_load(&rig.progress), 0);
    harness_ask(client, "POST", "/slow/seven", rig.big, LARGE_BYTES, &response);
    assert_int_equal(response.length, LARGE_BYTES);
    mr_h2_response_fini(&response);
    /* A frame has 16 KiB at most. */
    assert_true(atomic_load(&rig.progress) >= LARGE_BYTES / 16384);
    mr_h2_client_close(client);
}

static void a_borrowed_body_is_given_back(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    harness_ask(client, "GET", "/big", NULL, 0, &response);
    assert_int_equal(response.length, BIG_BYTES);
    assert_memory_equal(response.body, rig.big, BIG_BYTES);
    assert_true(response.has_time_left);
    assert_int_equal(response.time_left_ms, HARNESS_TIME_LEFT_MS);
    mr_h2_response_fini(&response);
    harness_await(&rig.released, 1);
    mr_h2_client_close(client);
}

/* Asks for the big body with that room; the answer. */
static struct mr_h2_response big_into(struct mr_h2_client *client, struct mr_h2_room *room)
{
    struct mr_h2_response response;
    struct mr_error error;
    const struct mr_h2_request request = {.method = "GET",
                                          .path = "/big",
                                          .answer_max = BIG_BYTES,
                                          .timeout_ms = WAIT_MS,
                                          .room = room};
    assert_int_equal(mr_h2_client_request(client, &request, &response, &error), MR_H2_OK);
    assert_int_equal(response.length, BIG_BYTES);
    assert_true(response.room >= BIG_BYTES);
    assert_memory_equal(response.body, rig.big, BIG_BYTES);
    assert_int_equal(response.body[BIG_BYTES], 0);
    assert_null(room->bytes);
    assert_int_equal(room->size, 0);
    return response;
}

/* Whoever asks again and again brings the memory of the answer before; what is too small is given
 * up for more. */
static void an_answer_is_put_where_the_asker_has_room(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_room room = {malloc(8), 7};
    assert_non_null(room.bytes);
    struct mr_h2_response response = big_into(client, &room);
    uint8_t *const bytes = response.body;
    memset(bytes, 0x5a, response.room + 1);
    room = (struct mr_h2_room){bytes, response.room};
    response = big_into(client, &room);
    assert_ptr_equal(response.body, bytes);
    mr_h2_response_fini(&response);
    harness_await(&rig.released, 2);
    mr_h2_client_close(client);
}

/* The harness sends octets. */
static void a_body_of_another_type_is_refused(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    assert_refused(client, "POST", "/json", "{}", 2, 400, "bad_request");
    assert_int_equal(atomic_load(&rig.handled), 0);
    harness_ask(client, "POST", "/json", NULL, 0, &response);
    assert_int_equal(response.status, 200);
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    harness_ask(client, "HEAD", "/who/a/and/b", NULL, 0, &response);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.length, 0);
    mr_h2_response_fini(&response);
    harness_ask(client, "HEAD", "/big", NULL, 0, &response);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.length, 0);
    mr_h2_response_fini(&response);
    harness_await(&rig.released, 1);
    harness_ask(client, "HEAD", "/nowhere", NULL, 0, &response);
    assert_int_equal(response.status, 404);
    assert_int_equal(response.length, 0);
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}

static void an_answer_without_body(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    const int64_t before_s = (int64_t)time(NULL);
    harness_ask(client, "GET", "/nothing", NULL, 0, &response);
    assert_in_range(response.date_unix_s, before_s, (int64_t)time(NULL));
    assert_false(response.has_time_left);
    assert_int_equal(response.status, 204);
    assert_int_equal(response.length, 0);
    assert_string_equal((const char *)response.body, "");
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}

static void what_does_not_fit_is_refused_in_words(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    char long_path[700] = "/who/";
    memset(long_path + 5, 'x', sizeof long_path - 6);
    assert_refused(client, "GET", "/nowhere", NULL, 0, 404, "not_found");
    assert_refused(client, "GET", "/who/a/and/", NULL, 0, 404, "not_found");
    assert_refused(client, "GET", "/who/a%2f/and/b", NULL, 0, 404, "not_found");
    assert_refused(client, "GET", "/who/a/and/b/", NULL, 0, 404, "not_found");
    assert_refused(client, "GET", long_path, NULL, 0, 404, "not_found");
    assert_refused(client, "PUT", "/echo", "x", 1, 405, "wrong_method");
    assert_refused(client, "OBLITERATE", "/echo", NULL, 0, 405, "wrong_method");
    assert_refused(client, "GET", "/operators", NULL, 0, 403, "unauthorised_role");
    assert_refused(client, "POST", "/operators", rig.big, LARGE_BYTES, 403, "unauthorised_role");
    assert_refused(client, "GET", "/refuse", NULL, 0, 409, "closed");
    assert_int_equal(atomic_load(&rig.handled), 0);
    mr_h2_client_close(client);

    client = harness_client(&rig, "operator");
    struct mr_h2_response response;
    harness_ask(client, "GET", "/operators", NULL, 0, &response);
    assert_int_equal(response.status, 204);
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}

static void a_body_above_the_bound_is_refused(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    harness_ask(client, "POST", "/small", rig.big, SMALL_BYTES, &response);
    assert_int_equal(response.status, 200);
    mr_h2_response_fini(&response);
    assert_refused(client, "POST", "/small", rig.big, SMALL_BYTES + 1, 413, "body_too_large");
    /* far above, and the connection still serves */
    assert_refused(client, "POST", "/small", rig.big, BIG_BYTES, 413, "body_too_large");
    assert_refused(client, "GET", "/nothing", "x", 1, 413, "body_too_large");
    harness_ask(client, "POST", "/small", "ok", 2, &response);
    assert_int_equal(response.status, 200);
    mr_h2_response_fini(&response);
    assert_int_equal(atomic_load(&rig.handled), 2);
    mr_h2_client_close(client);
}

static void all_bodies_together_are_bounded(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    assert_refused(client, "POST", "/echo", rig.big, 1001, 503, "busy");
    harness_ask(client, "POST", "/echo", rig.big, 1000, &response);
    assert_int_equal(response.status, 200);
    mr_h2_response_fini(&response);
    harness_await_metric(&rig, "millrace_control_body_bytes", 0);
    mr_h2_client_close(client);
}

/* The hub's end as it answers; what it keeps of one label is no other's. */
static void exported(uint8_t key[32], struct mr_h2_client *client, bool other)
{
    struct mr_h2_response response;
    harness_ask(client, "POST", "/export", "other", other ? 5 : 0, &response);
    assert_int_equal(response.length, 32);
    memcpy(key, response.body, 32);
    mr_h2_response_fini(&response);
}

static void an_exporter_is_the_same_at_both_ends(void **state)
{
    (void)state;
    struct mr_h2_client *one = harness_client(&rig, "device-000");
    struct mr_h2_client *two = harness_client(&rig, "device-000");
    uint8_t upload[32], other[32], hub[32];
    assert_int_equal(mr_h2_client_export(one, "EXPORTER-Millrace-upload", upload), 0);
    assert_int_equal(mr_h2_client_export(one, "EXPORTER-Other", other), 0);
    assert_memory_not_equal(upload, other, sizeof other);
    for (int i = 0; i < 2; i++) {
        exported(hub, one, false);
        assert_memory_equal(hub, upload, sizeof hub);
        exported(hub, one, true);
        assert_memory_equal(hub, other, sizeof hub);
    }
    exported(hub, two, false);
    assert_memory_not_equal(hub, upload, sizeof hub); /* one handshake, one key */
    mr_h2_client_close(one);
    mr_h2_client_close(two);
}

/* --- a turn's end */

#define TURN_RECORDS 16    /* whole TLS records that a connection may send in its turn */
#define RECORD_BYTES 16384 /* each of them a frame, with its head of 9 bytes */

static void stand_still(void *gate)
{
    sem_wait(gate);
}

/* All that comes is in the server's socket before it reads. The record behind a turn's last whole
 * one may be inside TLS then, where the socket does not tell of it. Whether it is depends on how
 * the bytes lie in TLS's buffer: `front` moves them. */
static void assert_turn_is_read(size_t front)
{
    static const uint8_t bytes[RECORD_BYTES - 9];
    const int room = 1 << 20, one = 1;
    struct bare bare;
    struct frame frame;
    sem_t gate;
    bool sent = true;
    sem_init(&gate, 0, 0);
    frames_open(&bare, &rig, 65535);
    setsockopt(bare.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(bare.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* the last comes along */
    assert_true(frames_ask(&bare, 1, "POST", "/echo", -1, false));
    assert_true(frames_send(&bare, FRAME_PING, 0, 0, "12345678", 8));
    assert_true(frames_await(&bare, FRAME_PING, 0, &frame));
    mr_loop_post(rig.loop, stand_still, &gate);
    sent &= frames_send(&bare, FRAME_DATA, 0, 1, bytes, front);
    for (unsigned i = 0; i < TURN_RECORDS; i++) {
        sent &= frames_send(&bare, FRAME_DATA, 0, 1, bytes, sizeof bytes);
    }
    sent &= frames_send(&bare, FRAME_DATA, FRAME_END_STREAM, 1, bytes, 1);
    sem_post(&gate);
    assert_true(sent && frames_await(&bare, FRAME_HEADERS, 1, &frame));
    bare_close(&bare);
    sem_destroy(&gate);
}

static void what_a_turn_leaves_is_read(void **state)
{
    (void)state;
    for (size_t front = 1; front < RECORD_BYTES - 9; front += 1300) {
        assert_turn_is_read(front);
    }
}

/* --- many at once */

#define CROWD 100

struct visitor {
    pthread_t thread;
    unsigned number;
    int failure;
    int status;
    bool right;
};

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    struct paths paths;
    struct mr_error error;
    struct mr_h2_client *client;
    struct mr_h2_response response;
    char stem[32], path[64];
    snprintf(stem, sizeof stem, "device-%03u", visitor->number % 4);
    const struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &paths, rig.dir, stem);
    visitor->failure = mr_h2_client_open(&client, &endpoint, WAIT_MS, &error);
    if (visitor->failure != MR_H2_OK) {
        return NULL;
    }
    snprintf(path, sizeof path, visitor->number % 5 ? "/who/%u/and/x" : "/hold", visitor->number);
    visitor->failure = mr_h2_client_request(
        client,
        &(struct mr_h2_request){
            .method = "GET", .path = path, .answer_max = 1000, .timeout_ms = 3 * WAIT_MS},
        &response, &error);
    if (visitor->failure == MR_H2_OK) {
        char expected[32] = "at last";
        if (visitor->number % 5) {
            snprintf(expected, sizeof expected, " a=%u b=x", visitor->number);
        }
        visitor->status = response.status;
        visitor->right = strstr((const char *)response.body, expected) != NULL;
        mr_h2_response_fini(&response);
    }
    mr_h2_client_close(client);
    return NULL;
}

static void a_hundred_clients_at_once(void **state)
{
    (void)state;
    static struct visitor visitors[CROWD];
    for (unsigned i = 0; i < CROWD; i++) {
        visitors[i] = (struct visitor){.number = i};
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
    harness_await(&rig.held_now, CROWD / 5);
    harness_release(&rig);
    for (unsigned i = 0; i < CROWD; i++) {
        pthread_join(visitors[i].thread, NULL);
        assert_int_equal(visitors[i].failure, MR_H2_OK);
        assert_int_equal(visitors[i].status, 200);
        assert_true(visitors[i].right);
    }
    assert_true(harness_metric(&rig, "millrace_control_handshakes_total") == CROWD);
    assert_true(harness_metric(&rig, "millrace_control_answers_total{status=\"2xx\"}") == CROWD);
    harness_await_metric(&rig, "millrace_control_connections", 0);
}

/* --- later, or never */

static void an_answer_may_come_later(void **state)
{
    (void)state;
    struct visitor visitor = {.number = 0};
    assert_int_equal(pthread_create(&visitor.thread, NULL, visit, &visitor), 0);
    harness_await(&rig.held_now, 1);
    harness_release(&rig);
    pthread_join(visitor.thread, NULL);
    assert_int_equal(visitor.failure, MR_H2_OK);
    assert_true(visitor.right);
}

static void a_client_runs_out_of_time(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    struct mr_error error = {""};
    assert_int_equal(mr_h2_client_request(
                         client,
                         &(struct mr_h2_request){
                             .method = "GET", .path = "/hold", .answer_max = 100, .timeout_ms = 50},
                         &response, &error),
                     MR_H2_TIMEOUT);
    assert_non_null(strstr(error.text, "hub 0"));
    mr_h2_client_close(client);
    harness_await_metric(&rig, "millrace_control_connections", 0);
    harness_await(&rig.held_now, 1);
    harness_release(&rig); /* the asker is gone */
    assert_true(harness_metric(&rig, "millrace_control_answers_void_total") == 1);
    assert_true(harness_metric(&rig, "millrace_control_requests") == 0);
}

static void an_answer_above_the_clients_bound_is_a_failure(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    struct mr_error error = {""};
    assert_int_equal(mr_h2_client_request(client,
                                          &(struct mr_h2_request){.method = "GET",
                                                                  .path = "/big",
                                                                  .answer_max = BIG_BYTES - 1,
                                                                  .timeout_ms = WAIT_MS},
                                          &response, &error),
                     MR_H2_BROKEN);
    assert_non_null(strstr(error.text, "longer than allowed"));
    mr_h2_client_close(client);
    harness_await(&rig.released, 1);
}

static void held_requests_survive_the_server(void **state)
{
    (void)state;
    struct mr_h2_client *client = harness_client(&rig, "device-000");
    struct mr_h2_response response;
    struct mr_error error;
    assert_int_equal(mr_h2_client_request(
                         client,
                         &(struct mr_h2_request){
                             .method = "GET", .path = "/hold", .answer_max = 100, .timeout_ms = 50},
                         &response, &error),
                     MR_H2_TIMEOUT);
    harness_await(&rig.held_now, 1);
    harness_stop(&rig); /* closes the server, then answers */
    const struct mr_server_config config = harness_config(&rig);
    harness_start(&rig, &config);
    mr_h2_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_request_reaches_its_handler_with_all_it_brings),
        HARNESS_TEST(bodies_of_all_sizes_come_back_unharmed),
        HARNESS_TEST(a_body_on_its_way_is_told),
        HARNESS_TEST(a_borrowed_body_is_given_back),
        HARNESS_TEST(an_answer_is_put_where_the_asker_has_room),
        HARNESS_TEST(an_answer_without_body),
        HARNESS_TEST(a_body_of_another_type_is_refused),
        HARNESS_TEST(head_is_get_without_the_body),
        HARNESS_TEST(what_does_not_fit_is_refused_in_words),
        HARNESS_TEST(a_body_above_the_bound_is_refused),
        HARNESS_TEST_WITH(all_bodies_together_are_bounded, .bodies_bytes_max = 1000),
        HARNESS_TEST(an_exporter_is_the_same_at_both_ends),
        HARNESS_TEST_WITH(what_a_turn_leaves_is_read, .idle_timeout_ms = 6000),
        HARNESS_TEST(a_hundred_clients_at_once),
        HARNESS_TEST(an_answer_may_come_later),
        HARNESS_TEST(a_client_runs_out_of_time),
        HARNESS_TEST(an_answer_above_the_clients_bound_is_a_failure),
        HARNESS_TEST(held_requests_survive_the_server),
    };
    return harness_run(tests);
}
