/* test_plane_setup.c - a configuration that cannot work is refused with a text that names the
 * option; what /metrics shows. */
#include <stdlib.h>
#include <string.h>

#include "appliance/ingest/packet_source.h"
#include "appliance/upload/drops.h"
#include "appliance/upload/plane_internal.h"
#include "plane_fixture.h"
#include "small_plane.h"

static struct mr_upload_plane_config good(void)
{
    return small_plane("auto", 2);
}

static void ignore(void *context, const struct mr_plane_event *event)
{
    (void)context;
    (void)event;
}

/* Opens and closes; the error's text, empty when it opened. */
static const char *try_open(const struct mr_upload_plane_config *config)
{
    static struct mr_error error;
    struct mr_upload_plane *plane;
    struct mr_loop *loop;

    memset(&error, 0, sizeof error);
    assert_int_equal(mr_loop_open(&loop, &error), 0);
    if (mr_upload_plane_open(&plane, loop, config, mr_kernels_select(~0u), NULL, &error) == 0) {
        mr_upload_plane_close(plane);
    } else {
        assert_null(plane);
    }
    mr_loop_close(loop);
    return error.text;
}

static void refused(const struct mr_upload_plane_config *config, const char *option)
{
    const char *text = try_open(config);

    if (!strstr(text, option)) {
        fail_msg("\"%s\" does not name %s", text, option);
    }
}

/* Who leaves AVX-512 out leaves it out of the library that opens as well. */
static void test_opener_within_the_kernels_level(void **state)
{
    static const struct {
        enum mr_cpu_level level;
        const char *never;
    } cases[] = {{MR_CPU_SCALAR, "AVX"}, {MR_CPU_AVX2, "AVX-512"}};
    const struct mr_upload_plane_config config = good();
    struct mr_error error = {""};
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mr_kernels *kernels = mr_kernels_at(cases[i].level);
        struct mr_upload_plane *plane;
        struct mr_loop *loop;
        if (!kernels) {
            continue;
        }
        assert_int_equal(mr_loop_open(&loop, &error), 0);
        assert_int_equal(mr_upload_plane_open(&plane, loop, &config, kernels, NULL, &error), 0);
        const struct mr_opener *opener = mr_worker_opener(plane->workers[0]);
        assert_null(strstr(mr_opener_why(opener), cases[i].never));
        mr_upload_plane_close(plane);
        mr_loop_close(loop);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const int cpus[] = {0, 1023};
    struct mr_upload_plane_config config = good();

    assert_string_equal(try_open(&config), "");
    config.workers = 0;
    refused(&config, "workers");
    config.workers = 65;
    refused(&config, "workers");
    config = good();
    config.slots_per_worker = 0;
    refused(&config, "slots_per_worker");
    config.slots_per_worker = 1u << 23;
    refused(&config, "slots_per_worker");
    config = good();
    config.share_bytes_max = 64;
    refused(&config, "share_bytes_max");
    config.share_bytes_max = UINT64_C(1) << 60; /* more than any machine has */
    refused(&config, "share_bytes_max");
    config = good();
    config.window_max = 0;
    refused(&config, "window_max");
    config = good();
    config.idle_timeout_ms = 0;
    refused(&config, "idle_timeout_ms");
    config = good();
    config.port_base = UINT16_MAX;
    refused(&config, "port_base");
    config = good();
    config.source = "tin-can";
    refused(&config, "tin-can");
    config = good();
    config.listen_host = "no-number.example";
    refused(&config, "listen_host");
    config = good();
    config.worker_cpus = cpus;
    refused(&config, "worker 1: ");
}

static void test_share_too_large(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 1000, 1, 2, 60000);
    struct mr_round_terms large;
    struct mr_error error;

    kit_terms(&large, 16, 2000, 256);
    const struct mr_plane_listener listener = {.event = ignore};
    struct mr_plane_round *round;
    assert_int_equal(mr_upload_plane_begin(fixture->plane, &large, 2, &listener, &round, &error),
                     -1);
    assert_non_null(strstr(error.text, "share_bytes_max"));
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP)); /* the old round goes on */
    fixture_close(fixture);
}

static void has_line(const struct mr_metrics *metrics, const char *line)
{
    if (!strstr(metrics->text, line)) {
        fail_msg("no \"%s\" in:\n%s", line, metrics->text);
    }
}

static void test_metrics(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open(16, 500, 1, 4, 60000);
    struct upload *upload = fixture_admit(fixture, MR_TRANSPORT_UDP);
    struct mr_metrics metrics;
    const uint32_t chunks = fixture->terms.layout.chunks;

    assert_int_equal(chunks, 5);
    for (uint32_t chunk = 1; chunk < chunks; chunk++) {
        fixture_send(upload, chunk);
        fixture_send(upload, chunk);
    }
    upload->device.round++;
    fixture_send(upload, 0);
    upload->device.round--;
    fixture_send(upload, 0);
    upload->heard = MR_UPLOAD_STAGED; /* sends nothing more */
    fixture_run(fixture, until_staged);
    mr_metrics_init(&metrics);
    mr_upload_plane_metrics(fixture->plane, &metrics);
    assert_int_equal(metrics.failed, 0);
    has_line(&metrics, "\nmillrace_upload_drops_total{reason=\"duplicate\",worker=\"0\"} 4\n");
    has_line(&metrics, "\nmillrace_upload_drops_total{reason=\"wrong_round\",worker=\"0\"} 1\n");
    has_line(&metrics, "\nmillrace_upload_drops_total{reason=\"bad_tag\",worker=\"0\"} 0\n");
    has_line(&metrics, "\nmillrace_upload_datagrams_total{worker=\"0\"} 10\n");
    has_line(&metrics, "\nmillrace_upload_staged_total{worker=\"0\"} 1\n");
    has_line(&metrics, "\nmillrace_upload_receiving{worker=\"0\"} 0\n");
    has_line(&metrics, "\nmillrace_upload_http2_staged_total 0\n");
    mr_metrics_fini(&metrics);
    fixture_close(fixture);
}

/* --- a source that sends nothing -------------------------------------------------------------- */

static bool takes_acks; /* and loses them later */
static _Atomic unsigned acks_taken;

static int lose(struct mr_packet_source *source, const struct mr_peer_address *to,
                const uint8_t *data, uint32_t length)
{
    (void)to, (void)data, (void)length;
    if (!takes_acks) {
        return -1;
    }
    acks_taken++;
    source->unsent++;
    return 0;
}

static struct mr_packet_source *make_losing(void *context, unsigned worker, struct mr_error *error)
{
    static struct mr_packet_source_ops losing;
    const struct mr_packet_source_config config = {.kind = "recvmmsg", .listen_host = "127.0.0.1"};
    struct mr_packet_source *source;
    char why[160];

    (void)context, (void)worker;
    source = mr_packet_source_open(&config, why, error);
    if (!source) {
        return NULL;
    }
    losing = *source->ops;
    losing.send = lose;
    source->ops = &losing;
    return source;
}

static double metric(const struct fixture *fixture, const char *sample)
{
    struct mr_metrics metrics;

    mr_metrics_init(&metrics);
    mr_upload_plane_metrics(fixture->plane, &metrics);
    const char *found = strstr(metrics.text, sample);
    assert_non_null(found);
    const double value = strtod(found + strlen(sample), NULL);
    mr_metrics_fini(&metrics);
    return value;
}

#define SENT   "\nmillrace_upload_acks_total{worker=\"0\"} "
#define FULL   "\nmillrace_upload_drops_total{reason=\"ack_queue_full\",worker=\"0\"} "
#define UNSENT "\nmillrace_upload_drops_total{reason=\"ack_unsent\",worker=\"0\"} "

static bool until_lost(struct fixture *fixture)
{
    const bool staged = until_staged(fixture); /* meanwhile the devices send */

    return staged && metric(fixture, takes_acks ? UNSENT : FULL) > 0;
}

static void lose_acks(bool taken)
{
    takes_acks = taken;
    fixture_network.make_source = make_losing;
    struct fixture *fixture = fixture_open(16, 500, 1, 4, 60000);
    fixture_network.make_source = NULL;
    assert_non_null(fixture_admit(fixture, MR_TRANSPORT_UDP));
    fixture_run(fixture, until_lost);
    assert_true((metric(fixture, SENT) > 0) == taken);
    assert_true((metric(fixture, FULL) > 0) == !taken);
    assert_true(metric(fixture, UNSENT) <= acks_taken);
    fixture_close(fixture);
}

/* An ACK is counted as sent, or as not queued; one that is lost behind the queue is told. */
static void test_lost_acks_are_counted(void **state)
{
    (void)state;
    lose_acks(false);
    lose_acks(true);
}

/* Time as numbers: only polls that found packets without waiting are work. */
static void test_busy_is_not_waiting(void **state)
{
    (void)state;
    struct mr_upload_counters counters = {0};

    mr_counters_turn(&counters, 1000, 0, 1000000, 20);  /* slept in vain */
    mr_counters_turn(&counters, 0, 0, 300, 5);          /* looked in vain */
    mr_counters_turn(&counters, 1000, 12, 400000, 700); /* slept until packets came */
    assert_int_equal(mr_counter_get(&counters.idle_ns), 1400300);
    assert_int_equal(mr_counter_get(&counters.busy_ns), 725);
    mr_counters_turn(&counters, 0, 64, 2000, 9000); /* fetched what was there */
    assert_int_equal(mr_counter_get(&counters.idle_ns), 1400300);
    assert_int_equal(mr_counter_get(&counters.busy_ns), 11725);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opener_within_the_kernels_level),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_share_too_large),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_lost_acks_are_counted),
        cmocka_unit_test(test_busy_is_not_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
