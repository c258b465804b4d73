/* fuzz_h2_server.c - the control plane's server core behind TLS: what a peer with a certificate can
 * send. Streams, requests, routing, bodies and answers are the real ones; sockets and TLS are left
 * out. Whatever comes, no request and no body byte is left over when the connection is gone. */
#include "appliance/http/server_internal.h"
#include "tests/fuzz/h2_feed.h"

#define SMALL_BYTES 100
#define LARGE_BYTES 5000
#define HELD_MAX    8

struct world {
    struct mr_server server;
    struct mr_connection connection;
    struct mr_request *held[HELD_MAX];
    unsigned held_count;
    unsigned borrowed; /* answers whose bytes are out on loan */
};

/* --- handlers -------------------------------------------------------------------------------- */

static void on_echo(void *context, struct mr_request *request)
{
    size_t length;
    const uint8_t *body = mr_request_body(request, &length);
    (void)context;
    MR_ASSERT(length <= LARGE_BYTES);
    mr_request_answer(request, 200, "application/octet-stream", body, length);
}

static void on_look(void *context, struct mr_request *request)
{
    (void)context;
    MR_ASSERT(strlen(mr_request_param(request, 0)) < MR_REQUEST_PATH_MAX);
    mr_request_refuse(request, MR_REFUSAL_CLOSED, (uint32_t)mr_request_query(request, "wait_ms", 7),
                      "%s and %s", mr_request_param(request, 0), mr_request_param(request, 1));
}

static void answer_oldest(struct world *world)
{
    struct mr_request *request = world->held[0];
    world->held_count--;
    memmove(world->held, world->held + 1, world->held_count * sizeof world->held[0]);
    mr_request_answer(request, 200, "text/plain", "at last", 7);
}

static void on_hold(void *context, struct mr_request *request)
{
    struct world *world = context;
    if (world->held_count == HELD_MAX) {
        answer_oldest(world);
    }
    world->held[world->held_count++] = request;
}

static void on_released(void *context)
{
    struct world *world = context;
    world->borrowed--;
}

static void on_borrow(void *context, struct mr_request *request)
{
    static const uint8_t model[20000];
    struct world *world = context;
    world->borrowed++;
    mr_request_answer_borrowed(request, 200, "application/octet-stream", model, sizeof model,
                               on_released, world);
}

#define DEVICE MR_ROLE_BIT(MR_ROLE_DEVICE)

static const struct mr_route routes[] = {
    {"POST", "/e", DEVICE, NULL, NULL, LARGE_BYTES, on_echo},
    {"PUT", "/e", DEVICE, NULL, NULL, SMALL_BYTES, on_echo},
    {"GET", "/v1/tasks/{task}/rounds/{round}/uploads/{upload}", DEVICE, "wait_ms", NULL, 0,
     on_look},
    {"GET", "/h", DEVICE, NULL, NULL, 0, on_hold},
    {"GET", "/b", DEVICE, NULL, NULL, 0, on_borrow},
    {"POST", "/o", MR_ROLE_BIT(MR_ROLE_OPERATOR), NULL, NULL, LARGE_BYTES, on_echo},
};

/* --- a connection ---------------------------------------------------------------------------- */

static void set_up(struct world *world)
{
    struct mr_error error = {.text = ""};
    struct mr_server *server = &world->server;
    MR_ASSERT(mr_loop_open(&server->loop, &error) == 0);
    MR_ASSERT(mr_stream_callbacks(&server->callbacks, &server->options) == 0);
    server->routes = routes;
    server->route_count = sizeof routes / sizeof *routes;
    server->context = world;
    server->requests_max = 12;
    server->config = (struct mr_server_config){.trusted_roles = MR_ROLE_BIT(MR_ROLE_HUB),
                                               .yielding_roles = MR_ROLE_BIT(MR_ROLE_DEVICE),
                                               .streams_max = 16,
                                               .bodies_bytes_max = 3 * LARGE_BYTES};
    for (unsigned i = MR_LIMIT_SOURCE_CONNECTIONS; i < MR_LIMITS; i++) {
        server->buckets[i] = mr_buckets_new(0, 0);
        MR_ASSERT(server->buckets[i]);
    }
    LIST_INIT(&server->requests);
    mr_queues_init(server);
    MR_ASSERT(mr_identity_quotas_open(server, 0) == 0);
}

static void connect_peer(struct world *world)
{
    struct mr_connection *connection = &world->connection;
    *connection = (struct mr_connection){
        .server = &world->server,
        .state = MR_CONNECTION_OPEN,
        .peer = {.identity = {.role = MR_ROLE_DEVICE}},
        .pumping = true, /* what is answered is drawn by h2_feed */
    };
    LIST_INIT(&connection->requests);
    MR_ASSERT(mr_identity_quota_join(connection) == 0);
    MR_ASSERT(nghttp2_session_server_new2(&connection->session, world->server.callbacks, connection,
                                          world->server.options) == 0);
    MR_ASSERT(mr_stream_settings(connection->session, world->server.config.streams_max) == 0);
}

/* As connection_life.c does it. */
static void disconnect_peer(struct world *world)
{
    struct mr_connection *connection = &world->connection;
    struct mr_request *request;
    nghttp2_session_del(connection->session);
    connection->session = NULL;
    while ((request = LIST_FIRST(&connection->requests)) != NULL) {
        mr_request_stream_gone(request);
    }
    while (world->held_count > 0) {
        answer_oldest(world); /* into the void */
    }
    mr_identity_quota_leave(
        connection); /* a quota is freed, with its counts at 0, by its last use */
    MR_ASSERT(LIST_EMPTY(&world->server.requests) && world->server.request_count == 0);
    MR_ASSERT(world->server.bodies_bytes == 0 && world->borrowed == 0);
    for (unsigned i = 0; i < MR_REQUEST_STATES; i++) {
        MR_ASSERT(connection->requests_in[i] == 0);
    }
}

static void aside(void *context, uint8_t flags)
{
    struct world *world = context;
    (void)flags;
    if (world->held_count > 0) {
        answer_oldest(world);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t preface[] = NGHTTP2_CLIENT_MAGIC;
    static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    static struct world world;
    struct fuzz_input input = {data, size};
    if (!world.server.loop) {
        set_up(&world);
    }
    connect_peer(&world);
    nghttp2_session *session = world.connection.session;
    MR_ASSERT(nghttp2_session_mem_recv(session, preface, sizeof preface - 1) > 0);
    MR_ASSERT(nghttp2_session_mem_recv(session, settings, sizeof settings) > 0);
    if (h2_drain(session)) {
        h2_feed(session, &input, aside, &world);
    }
    disconnect_peer(&world);
    return 0;
}
