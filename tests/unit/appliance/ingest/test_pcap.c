/* test_pcap.c - the upload plane over net_pcap: files are played through the port as frames.
 *
 *   test_pcap uploads       a round of uploads, as frames in random order; the ACKs are captured
 *   test_pcap golden FILE   frames of every kind (golden.py), each of which has to end in one
 *                           counter, and which that is does not change */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/ingest/dpdk_frame.h"
#include "tests/unit/appliance/upload/plane_fixture.h"

#define PORT_BASE    9443
#define ADDRESSES    "192.0.2.1,fd00::1"
#define DEVICES      12
#define FRAME_MAX    2048
#define PCAP_HEAD    24
#define PCAP_RECORD  16
#define FIRST_DEVICE 2000 /* UDP port of device 0 */

/* The verdict on each frame of golden.pcap. */
static const struct {
    const char *metric, *reason;
    unsigned count;
} golden[] = {
    {"millrace_upload_frame_drops_total", "no_kernel", 12},
    {"millrace_upload_frame_drops_total", "fragment", 2},
    {"millrace_upload_frame_drops_total", "options", 2},
    {"millrace_upload_frame_drops_total", "bad_checksum", 1},
    {"millrace_upload_frame_drops_total", "malformed", 9},
    {"millrace_upload_frame_drops_total", "other_mac", 1},
    {"millrace_upload_frame_drops_total", "split", 1},
    {"millrace_upload_drops_total", "unknown_upload", 5},
    {"millrace_upload_drops_total", "truncated", 3},
    {"millrace_upload_drops_total", "oversized", 1},
    {"millrace_upload_drops_total", "bad_magic", 1},
    {"millrace_upload_drops_total", "bad_version", 1},
    {"millrace_upload_drops_total", "bad_type", 2},
    {"millrace_upload_drops_total", "bad_flags", 1},
};
#define GOLDEN_FRAMES 42

static const char *golden_path;
static char device_string[512];

static void network_set(const char *rx, const char *tx)
{
    snprintf(device_string, sizeof device_string, "net_pcap0,rx_pcap=%s%s%s", rx,
             tx ? ",tx_pcap=" : "", tx ? tx : "");
    fixture_source = "dpdk";
    fixture_network.dpdk = (struct mr_dpdk_config){
        .device = device_string, .addresses = ADDRESSES, .nap_after_us = 1000};
    fixture_network.port_base = PORT_BASE;
}

/* --- frames of every kind ----------------------------------------------------------------------
 */

/* The sum of a metric's samples that have all of `label`. */
static double metric_sum(const struct fixture *fixture, const char *name, const char *label)
{
    struct mr_metrics metrics;
    double sum = 0;
    char *rest = NULL;

    mr_metrics_init(&metrics);
    mr_upload_plane_metrics(fixture->plane, &metrics);
    for (char *line = strtok_r(metrics.text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == '{' &&
            strstr(line, label)) {
            sum += atof(strrchr(line, ' '));
        }
    }
    mr_metrics_fini(&metrics);
    return sum;
}

static bool until_all_judged(struct fixture *fixture)
{
    return metric_sum(fixture, "millrace_upload_frame_drops_total", "reason=") +
               metric_sum(fixture, "millrace_upload_drops_total", "reason=") >=
           GOLDEN_FRAMES;
}

static void test_golden(void **state)
{
    (void)state;
    unsigned expected = 0;

    network_set(golden_path, NULL);
    struct fixture *fixture = fixture_open(16, 1000, 1, 4, 600000);
    fixture_run(fixture, until_all_judged);
    for (unsigned i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        char label[64];
        snprintf(label, sizeof label, "reason=\"%s\"", golden[i].reason);
        const double got = metric_sum(fixture, golden[i].metric, label);
        if (got != golden[i].count) {
            fail_msg("%s: %g, not %u", golden[i].reason, got, golden[i].count);
        }
        expected += golden[i].count;
    }
    assert_int_equal(expected, GOLDEN_FRAMES); /* so that no other counter has any */
    assert_true(metric_sum(fixture, "millrace_upload_frame_drops_total", "reason=") +
                    metric_sum(fixture, "millrace_upload_drops_total", "reason=") ==
                GOLDEN_FRAMES);
    fixture_close(fixture);
}

/* --- a round of uploads ------------------------------------------------------------------------
 */

/* The devices do not send by themselves: their frames are written below. */
static int device_connect(uint16_t port)
{
    assert_int_equal(port, PORT_BASE);
    return -1;
}

static const struct mr_frame_local devices_end = {
    .mac = {2, 0, 0, 0, 0, 2},
    .v4 = {.s6_addr = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 2}},
    .v6 = {.s6_addr = {0xfd, [15] = 2}},
    .port_base = FIRST_DEVICE,
    .ports = DEVICES,
};

static void write_all(int fd, const void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        const ssize_t n = write(fd, (const uint8_t *)bytes + done, count - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
}

static void write_head(int fd)
{
    const uint32_t head[PCAP_HEAD / 4] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};

    write_all(fd, head, sizeof head);
}

/* Every other device has IPv6, every third a VLAN. */
static void write_chunk(int fd, const struct fixture *fixture, unsigned device, uint32_t chunk)
{
    static const uint8_t hub_mac[6] = {2, 'p', 'c', 'a', 'p', 0};
    struct mr_peer_address hub = {.port = PORT_BASE};
    uint8_t datagram[KIT_DATAGRAM_MAX], frame[FRAME_MAX];
    const uint32_t bytes = kit_seal(&fixture->uploads[device].device, chunk, datagram);

    if (device % 2 == 0) {
        hub.host = kit_address(0xc0000201, 0).host;
    } else {
        assert_int_equal(inet_pton(AF_INET6, "fd00::1", &hub.host), 1);
    }
    memcpy(hub.link.mac, hub_mac, 6);
    hub.link.vlan = device % 3 == 0 ? 5 : 0;
    const uint32_t length = mr_frame_build(frame, &devices_end, (uint16_t)(FIRST_DEVICE + device),
                                           &hub, datagram, bytes);
    const uint32_t record[PCAP_RECORD / 4] = {0, 0, length, length};
    write_all(fd, record, sizeof record);
    write_all(fd, frame, length);
}

/* Every chunk at least once, one in ten twice, in random order. */
static void write_uploads(int fd, struct fixture *fixture)
{
    const uint32_t total = DEVICES * fixture->terms.layout.chunks;
    uint32_t *order = calloc(total, sizeof *order);

    assert_non_null(order);
    kit_shuffle(&fixture->seed, order, total);
    for (uint32_t i = 0; i < total; i++) {
        write_chunk(fd, fixture, order[i] % DEVICES, order[i] / DEVICES);
        if (i % 10 == 9) {
            write_chunk(fd, fixture, order[i - i % 9] % DEVICES, order[i - i % 9] / DEVICES);
        }
    }
    free(order);
}

/* What the port sent are ACKs to the device that they are sealed for; each heard of the end. */
static void check_acks(const struct fixture *fixture, const char *path)
{
    bool staged[DEVICES] = {false};
    uint8_t frame[FRAME_MAX];
    uint32_t record[PCAP_RECORD / 4];
    struct mr_frame parsed;
    struct mr_ack ack;
    FILE *file = fopen(path, "rbe");

    assert_non_null(file);
    assert_int_equal(fseek(file, PCAP_HEAD, SEEK_SET), 0);
    while (fread(record, sizeof record, 1, file) == 1) {
        assert_true(record[2] <= sizeof frame);
        assert_int_equal(fread(frame, 1, record[2], file), record[2]);
        assert_int_equal(mr_frame_parse(&parsed, &devices_end, frame, record[2], false),
                         MR_FRAME_OURS);
        const unsigned device = parsed.port_index;
        assert_int_equal(parsed.from.port, PORT_BASE);
        assert_int_equal(parsed.from.link.vlan, device % 3 == 0 ? 5 : 0);
        assert_int_equal(IN6_IS_ADDR_V4MAPPED(&parsed.from.host), device % 2 == 0);
        assert_true(kit_open_ack(&fixture->uploads[device].device, parsed.payload, parsed.length,
                                 &ack) >= 0);
        staged[device] |= ack.state >= MR_UPLOAD_STAGED;
    }
    fclose(file);
    for (unsigned i = 0; i < DEVICES; i++) {
        assert_true(staged[i]);
    }
}

/* The file is a pipe: what is sealed for an upload needs its keys and its id, which are not known
 * before the port is open. */
static void test_uploads(void **state)
{
    (void)state;
    char dir[] = "/tmp/millrace-pcap-XXXXXX", rx[64], tx[64];

    assert_non_null(mkdtemp(dir));
    snprintf(rx, sizeof rx, "%s/rx", dir);
    snprintf(tx, sizeof tx, "%s/tx", dir);
    assert_int_equal(mkfifo(rx, 0600), 0);
    const int fd = open(rx, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    write_head(fd);
    network_set(rx, tx);
    fixture_network.connect = device_connect;
    struct fixture *fixture = fixture_open(16, 20000, 1, DEVICES, 600000);
    for (int i = 0; i < DEVICES; i++) {
        assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    }
    write_uploads(fd, fixture);
    close(fd); /* the end of the file */
    fixture_run(fixture, until_staged);
    fixture_collect(fixture, false);
    assert_int_equal(fixture->collection->upload_count, DEVICES);
    fixture_check_sum(fixture);
    fixture_return(fixture, true, MR_REASON_NONE);
    assert_true(metric_sum(fixture, "millrace_upload_frame_drops_total", "reason=") == 0);
    mr_upload_plane_close(fixture->plane); /* the capture is written */
    fixture->plane = NULL;
    check_acks(fixture, tx);
    fixture_close(fixture);
    unlink(rx);
    unlink(tx);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest uploads[] = {cmocka_unit_test(test_uploads)};
    const struct CMUnitTest golden_tests[] = {cmocka_unit_test(test_golden)};

    if (argc == 2 && strcmp(argv[1], "uploads") == 0) {
        return cmocka_run_group_tests(uploads, NULL, NULL);
    }
    if (argc != 3 || strcmp(argv[1], "golden") != 0) {
        fprintf(stderr, "usage: %s uploads|golden [FILE]\n", argv[0]);
        return 2;
    }
    golden_path = argv[2];
    return cmocka_run_group_tests(golden_tests, NULL, NULL);
}
