/* test_slow.c - the client behind a slow path: what moves is waited for, what stands still or drips
 * is not, and nothing for ever. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/appliance/http/harness.h"

#define TIMEOUT_MS 700 /* a fraction of what the whole takes */
#define AT_ONCE    (64 * 1024)
#define PAUSE_MS   20
#define BUFFER     (64 * 1024) /* of the sockets, which could else hide a whole body */
#define FOREVER_MS 600000

/* On a busy machine a path may stand still for longer than its pauses: then the whole is tried
 * again, so many times as slow, which leaves the pauses, the timeout and the whole in proportion.
 */
#define SLOWEST 32

/* Carries one connection to the server and back, so many bytes and a pause at a time: on the way
 * back, at_once. */
struct path {
    int listener, near, far;
    atomic_uint at_once;
    unsigned slowness;
    atomic_bool over;
    pthread_t thread;
};

/* False at the end of the connection. */
static bool carry(int from, int to, unsigned at_once)
{
    static _Thread_local char bytes[AT_ONCE];
    const ssize_t got = recv(from, bytes, at_once, MSG_DONTWAIT);
    for (ssize_t sent = 0; got > 0 && sent < got;) {
        const ssize_t n = send(to, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        sent += n;
    }
    return got != 0;
}

static void *run_path(void *context)
{
    struct path *path = context;
    path->near = accept(path->listener, NULL, NULL);
    path->far = harness_connect(&rig);
    if (path->near < 0) {
        abort();
    }
    while (!atomic_load(&path->over)) {
        const unsigned at_once = atomic_load(&path->at_once);
        if (!carry(path->near, path->far, AT_ONCE) ||
            (at_once && !carry(path->far, path->near, at_once))) {
            break;
        }
        usleep(path->slowness * PAUSE_MS * 1000);
    }
    close(path->near);
    close(path->far);
    return NULL;
}

static struct mr_h2_client *path_open(struct path *path, unsigned slowness)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int buffer = BUFFER;
    struct paths files;
    struct mr_error error = {""};
    struct mr_h2_client *client = NULL;
    *path = (struct path){.listener = socket(AF_INET, SOCK_STREAM, 0), .slowness = slowness};
    atomic_store(&path->at_once, AT_ONCE);
    setsockopt(path->listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    assert_int_equal(bind(path->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(path->listener, 1), 0);
    assert_int_equal(getsockname(path->listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(pthread_create(&path->thread, NULL, run_path, path), 0);
    struct mr_h2_endpoint endpoint = harness_endpoint(&rig, &files, rig.dir, "device-000");
    endpoint.port = ntohs(address.sin_port);
    if (mr_h2_client_open(&client, &endpoint, WAIT_MS, &error) != MR_H2_OK) {
        fail_msg("%s", error.text);
    }
    return client;
}

static void path_close(struct path *path, struct mr_h2_client *client)
{
    mr_h2_client_close(client);
    atomic_store(&path->over, true);
    pthread_join(path->thread, NULL);
    close(path->listener);
}

typedef int (*transfer_fn)(struct mr_h2_client *client, unsigned slowness, unsigned whole_ms,
                           struct mr_h2_response *response);

static int get_big(struct mr_h2_client *client, unsigned slowness, unsigned whole_ms,
                   struct mr_h2_response *response)
{
    struct mr_error error = {""};
    return mr_h2_client_request(client,
                                &(struct mr_h2_request){.method = "GET",
                                                        .path = "/big",
                                                        .answer_max = BIG_BYTES,
                                                        .timeout_ms = slowness * TIMEOUT_MS,
                                                        .whole_ms = whole_ms},
                                response, &error);
}

static int put_large(struct mr_h2_client *client, unsigned slowness, unsigned whole_ms,
                     struct mr_h2_response *response)
{
    struct mr_error error = {""};
    return mr_h2_client_request(client,
                                &(struct mr_h2_request){.method = "POST",
                                                        .path = "/echo",
                                                        .content_type = "application/octet-stream",
                                                        .body = rig.big,
                                                        .length = LARGE_BYTES,
                                                        .answer_max = LARGE_BYTES,
                                                        .timeout_ms = slowness * TIMEOUT_MS,
                                                        .whole_ms = whole_ms},
                                response, &error);
}

static void assert_waited_for(transfer_fn transfer, size_t length)
{
    int result = MR_H2_TIMEOUT;
    for (unsigned slowness = 1; slowness <= SLOWEST && result == MR_H2_TIMEOUT; slowness *= 2) {
        struct path path;
        struct mr_h2_response response;
        struct mr_h2_client *client = path_open(&path, slowness);
        result = transfer(client, slowness, FOREVER_MS, &response);
        if (result == MR_H2_OK) {
            assert_int_equal(response.length, length);
            assert_memory_equal(response.body, rig.big, length);
            mr_h2_response_fini(&response);
        }
        path_close(&path, client);
    }
    assert_int_equal(result, MR_H2_OK);
}

static void a_large_answer_that_moves_is_waited_for(void **state)
{
    (void)state;
    assert_waited_for(get_big, BIG_BYTES);
}

static void a_large_body_that_moves_is_waited_for(void **state)
{
    (void)state;
    assert_waited_for(put_large, LARGE_BYTES);
}

static void a_plain_request_has_its_timeout_only(void **state)
{
    (void)state;
    struct path path;
    struct mr_h2_response response;
    struct mr_error error = {""};
    struct mr_h2_client *client = path_open(&path, 1);
    assert_int_equal(mr_h2_client_request(client,
                                          &(struct mr_h2_request){.method = "GET",
                                                                  .path = "/big",
                                                                  .answer_max = BIG_BYTES,
                                                                  .timeout_ms = TIMEOUT_MS},
                                          &response, &error),
                     MR_H2_TIMEOUT);
    path_close(&path, client);
}

static void what_moves_has_an_end(void **state)
{
    (void)state;
    struct path path;
    struct mr_h2_response response;
    struct mr_h2_client *client = path_open(&path, 1);
    atomic_store(&path.at_once, AT_ONCE / 8); /* twenty seconds of it */
    assert_int_equal(get_big(client, 1, 2 * TIMEOUT_MS, &response), MR_H2_TIMEOUT);
    path_close(&path, client);
}

/* Byte by byte, and not even that. */
static void what_drips_is_cut_off(void **state)
{
    (void)state;
    for (unsigned at_once = 0; at_once <= 1; at_once++) {
        struct path path;
        struct mr_h2_response response;
        struct mr_h2_client *client = path_open(&path, 1);
        atomic_store(&path.at_once, at_once);
        assert_int_equal(get_big(client, 1, FOREVER_MS, &response), MR_H2_TIMEOUT);
        path_close(&path, client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_large_answer_that_moves_is_waited_for),
        HARNESS_TEST(a_large_body_that_moves_is_waited_for),
        HARNESS_TEST(a_plain_request_has_its_timeout_only),
        HARNESS_TEST(what_moves_has_an_end),
        HARNESS_TEST(what_drips_is_cut_off),
    };
    return harness_run(tests);
}
