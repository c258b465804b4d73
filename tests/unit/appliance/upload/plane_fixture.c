#include "plane_fixture.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *fixture_source = "auto";
struct fixture_network fixture_network;
unsigned fixture_rounds;
uint32_t fixture_window_total;

static struct upload *find(struct fixture *fixture, uint64_t upload_id)
{
    for (unsigned i = 0; i < fixture->count; i++) {
        if (fixture->uploads[i].device.upload_id == upload_id) {
            return &fixture->uploads[i];
        }
    }
    return NULL;
}

static void on_event(void *context, const struct mr_plane_event *event)
{
    struct upload *upload = find(context, event->upload_id);

    assert_non_null(upload);
    upload->staged |= event->kind == MR_PLANE_STAGED;
    upload->revoked |= event->kind == MR_PLANE_REVOKED;
    upload->not_revoked |= event->kind == MR_PLANE_NOT_REVOKED;
    upload->expired |= event->kind == MR_PLANE_EXPIRED;
    upload->unsound |= event->kind == MR_PLANE_UNSOUND;
}

static void on_collected(void *context, struct mr_collection *collection)
{
    struct fixture *fixture = context;

    fixture->collection = collection;
    for (unsigned i = 0; i < collection->part_count; i++) {
        kit_sum_part(&fixture->collected, &collection->parts[i]);
    }
    for (uint32_t i = 0; i < collection->upload_count; i++) {
        struct upload *upload = find(fixture, collection->upload_ids[i]);
        assert_non_null(upload);
        assert_false(upload->included); /* once at most */
        upload->included = true;
    }
}

/* --- running the loop until something holds --------------------------------------------------- */

static void read_acks(struct upload *upload)
{
    uint8_t datagram[2048];
    ssize_t length;

    while ((length = recv(upload->fd, datagram, sizeof datagram, MSG_DONTWAIT)) >= 0) {
        struct mr_ack ack;
        assert_true(kit_open_ack(&upload->device, datagram, (size_t)length, &ack) >= 0);
        upload->acks++;
        upload->ack_bytes += (uint64_t)length;
        if (ack.state >= (uint8_t)upload->heard) {
            upload->heard = ack.state;
            upload->reason = ack.reason;
            upload->ack = ack;
        }
    }
}

static void on_tick(void *context)
{
    struct fixture *fixture = context;

    for (struct fixture *each = fixture; each; each = each->beside) {
        for (unsigned i = 0; i < each->count; i++) {
            if (each->uploads[i].fd >= 0) {
                read_acks(&each->uploads[i]);
            }
        }
    }
    if (fixture->until(fixture)) {
        mr_loop_stop(fixture->loop);
        return;
    }
    if (++fixture->ticks > 20000) {
        fail_msg("the awaited state did not come");
    }
    mr_timer_arm(fixture->tick, mr_loop_now_ms(fixture->loop) + 1);
}

void fixture_run(struct fixture *fixture, bool (*until)(struct fixture *))
{
    fixture->until = until;
    fixture->ticks = 0;
    mr_timer_arm(fixture->tick, mr_loop_now_ms(fixture->loop));
    mr_loop_run(fixture->loop);
}

static bool is_collected(struct fixture *fixture)
{
    return fixture->collection;
}

void fixture_collect(struct fixture *fixture, bool freeze)
{
    fixture->collection = NULL;
    mr_upload_plane_collect(fixture->round, freeze, on_collected, fixture);
    fixture_run(fixture, is_collected);
}

void fixture_return(struct fixture *fixture, bool committed, enum mr_upload_reason reason)
{
    mr_upload_plane_return(fixture->round, fixture->collection, committed, reason);
    fixture->collection = NULL;
}

/* --- set-up ----------------------------------------------------------------------------------- */

void fixture_begin(struct fixture *fixture)
{
    const struct mr_plane_listener listener = {.event = on_event, .context = fixture};
    struct mr_error error;

    if (fixture->round) {
        mr_upload_plane_end(fixture->round);
    }
    assert_int_equal(
        mr_upload_plane_begin(fixture->plane, &fixture->terms,
                              fixture->uploads_max ? fixture->uploads_max : DEVICES_MAX, &listener,
                              &fixture->round, &error),
        0);
}

static void open_plane(struct fixture *fixture, unsigned workers, unsigned slots,
                       uint32_t idle_timeout_ms)
{
    struct mr_error error = {0};
    struct mr_upload_plane_config config = {
        .workers = workers,
        .slots_per_worker = slots,
        .share_bytes_max = fixture->terms.layout.share_bytes,
        .source = fixture_source,
        .listen_host = "127.0.0.1",
        .advertise_host = "127.0.0.1",
        .receive_buffer_bytes = 1u << 20,
        .window_max = 64,
        .window_total = fixture_window_total ? fixture_window_total : 1024,
        .idle_timeout_ms = idle_timeout_ms,
        .port_base = fixture_network.port_base,
        .dpdk = fixture_network.dpdk,
    };
    config.accumulator_bytes =
        fixture_rounds * mr_upload_plane_round_bytes(&config, config.share_bytes_max, UINT32_MAX);
    const struct mr_plane_sources sources = {.make = fixture_network.make_source};

    if (mr_loop_open(&fixture->loop, &error) != 0 ||
        mr_upload_plane_open_over(&fixture->plane, fixture->loop, &config, mr_kernels_select(~0u),
                                  &sources, NULL, &error) != 0) {
        fail_msg("%s", error.text);
    }
    fixture->tick = mr_timer_open(fixture->loop, on_tick, fixture);
    kit_sum_init(&fixture->collected, &fixture->terms.layout);
    fixture_begin(fixture);
}

struct fixture *fixture_open(uint8_t ring_bits, uint64_t dimension, unsigned workers,
                             unsigned slots, uint32_t idle_timeout_ms)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->seed = 42;
    kit_terms(&fixture->terms, ring_bits, dimension, 256);
    open_plane(fixture, workers, slots, idle_timeout_ms);
    return fixture;
}

struct fixture *fixture_open_beside(struct fixture *first, uint64_t number, uint8_t ring_bits,
                                    uint64_t dimension, uint32_t chunk_bytes)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->seed = 42 + number;
    fixture->loop = first->loop;
    fixture->plane = first->plane;
    kit_terms(&fixture->terms, ring_bits, dimension, chunk_bytes);
    fixture->terms.announcement.round = number;
    kit_sum_init(&fixture->collected, &fixture->terms.layout);
    fixture->tick = mr_timer_open(fixture->loop, on_tick, fixture);
    fixture_begin(fixture);
    fixture->beside = first->beside;
    first->beside = fixture;
    return fixture;
}

void fixture_end(struct fixture *fixture)
{
    mr_upload_plane_end(fixture->round);
    fixture->round = NULL;
    for (unsigned i = 0; i < fixture->count; i++) {
        fixture->uploads[i].stopped = true;
    }
}

static void close_devices(struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->count; i++) {
        kit_device_fini(&fixture->uploads[i].device);
        if (fixture->uploads[i].fd >= 0) {
            close(fixture->uploads[i].fd);
        }
    }
    kit_sum_fini(&fixture->collected);
    mr_timer_close(fixture->tick);
}

void fixture_close(struct fixture *fixture)
{
    struct mr_loop *loop = fixture->loop;

    mr_upload_plane_close(fixture->plane);
    while (fixture) {
        struct fixture *beside = fixture->beside;
        close_devices(fixture);
        free(fixture);
        fixture = beside;
    }
    mr_loop_close(loop);
}

static int socket_to(uint16_t port)
{
    const struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

/* NULL when the plane is full. */
static struct upload *admit(struct fixture *fixture, enum mr_transport transport, uint32_t *window)
{
    struct upload *upload = &fixture->uploads[fixture->count];
    struct mr_upload_grant grant;

    assert_true(fixture->count < DEVICES_MAX);
    memset(upload, 0, sizeof *upload);
    kit_device_init(&upload->device, &fixture->terms.layout, &fixture->seed);
    upload->device.round = fixture->terms.announcement.round;
    upload->fd = -1;
    const struct mr_admission admission = {
        .transport = transport,
        .count_lane = mr_share_count(upload->device.share, &fixture->terms.layout),
        .keys = transport == MR_TRANSPORT_UDP ? &upload->device.keys : NULL};
    if (mr_upload_plane_admit(fixture->round, &admission, &grant) != 0) {
        kit_device_fini(&upload->device);
        return NULL;
    }
    upload->device.upload_id = grant.upload_id;
    if (transport == MR_TRANSPORT_UDP) {
        assert_string_equal(grant.udp_host, "127.0.0.1");
        *window = grant.window;
        upload->fd = fixture_network.connect ? fixture_network.connect(grant.udp_port)
                                             : socket_to(grant.udp_port);
    }
    fixture->count++;
    return upload;
}

struct upload *fixture_admit_udp(struct fixture *fixture, uint32_t *window)
{
    return admit(fixture, MR_TRANSPORT_UDP, window);
}

struct upload *fixture_admit(struct fixture *fixture, enum mr_transport transport)
{
    uint32_t window = 4;
    struct upload *upload = admit(fixture, transport, &window);

    assert_in_range(window, 4, 64);
    return upload;
}

void fixture_send(struct upload *upload, uint32_t chunk)
{
    uint8_t datagram[KIT_DATAGRAM_MAX];
    const uint32_t length = kit_seal(&upload->device, chunk, datagram);

    assert_int_equal(send(upload->fd, datagram, length, 0), length);
    upload->sent_bytes += length;
}

/* Every device sends what it lacks an ACK for, in random order, with losses and repeats, until all
 * are staged: a small sender of its own. */
static void send_missing(struct fixture *fixture, struct upload *upload)
{
    const uint32_t chunks = fixture->terms.layout.chunks;
    const uint32_t window = upload->ack.window > 0 ? upload->ack.window : 4;
    const uint32_t base = upload->heard == 0 ? 0 : upload->ack.base;

    for (uint32_t i = 0; i < window; i++) {
        const uint32_t chunk = base + (uint32_t)(kit_random(&fixture->seed) % (2 * window));
        const uint64_t dice = kit_random(&fixture->seed) % 10;
        const uint32_t bit = chunk - base;
        if (chunk >= chunks) {
            continue;
        }
        if (bit < 256 && (upload->ack.bitmap[bit / 8] >> (bit % 8) & 1) != 0 && dice > 1) {
            continue; /* acknowledged; a fifth is repeated all the same */
        }
        if (dice != 2) {
            fixture_send(upload, chunk); /* else lost */
        }
        if (dice == 3) {
            fixture_send(upload, chunk);
        }
    }
    if (base < chunks) {
        fixture_send(upload, base);
    }
}

bool until_staged(struct fixture *fixture)
{
    bool all = true;

    for (unsigned i = 0; i < fixture->count; i++) {
        struct upload *upload = &fixture->uploads[i];
        if (upload->stopped) {
            continue;
        }
        if (upload->fd >= 0 && upload->heard < MR_UPLOAD_STAGED) {
            send_missing(fixture, upload);
        }
        all = all && upload->staged;
    }
    return all;
}

/* As a device does: repeats a chunk until it hears the end. */
static bool all_heard(struct fixture *fixture, enum mr_upload_state state)
{
    bool all = true;

    for (unsigned i = 0; i < fixture->count; i++) {
        struct upload *upload = &fixture->uploads[i];
        if (upload->fd < 0 || upload->stopped || upload->heard == state) {
            continue;
        }
        all = false;
        if (fixture->ticks % 16 == 8) {
            fixture_send(upload, 0);
        }
    }
    return all;
}

bool until_committed(struct fixture *fixture)
{
    return all_heard(fixture, MR_UPLOAD_COMMITTED);
}

bool until_refused(struct fixture *fixture)
{
    return all_heard(fixture, MR_UPLOAD_REFUSED);
}

void fixture_check_sum(struct fixture *fixture)
{
    struct kit_sum plain;

    kit_sum_init(&plain, &fixture->terms.layout);
    for (unsigned i = 0; i < fixture->count; i++) {
        if (fixture->uploads[i].included) {
            kit_sum_share(&plain, fixture->uploads[i].device.share);
        }
    }
    kit_sum_equal(&plain, &fixture->collected);
    kit_sum_fini(&plain);
}

bool until_answered(struct fixture *fixture)
{
    const struct upload *last = &fixture->uploads[fixture->count - 1];

    return last->revoked || last->not_revoked;
}
