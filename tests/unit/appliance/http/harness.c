/* harness.c - the server under test: its certificates, handlers and thread. */
#include "tests/unit/appliance/http/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

/* --- certificates */

static void issue(const char *dir, const char *stem, const char *const *uris, unsigned uri_count,
                  int64_t from_s, int64_t until_s)
{
    struct mr_error error;
    const struct mr_pki_leaf leaf = {
        .stem = stem, .uris = uris, .uri_count = uri_count, .from_s = from_s, .until_s = until_s};
    assert_int_equal(mr_pki_issue(dir, &leaf, &error), 0);
}

static void make_certificates(struct harness *harness)
{
    static const char *const uris[] = {"urn:millrace:device:00000000000000000000000000000001",
                                       "urn:millrace:operator:two"};
    static const char *const malformed[] = {"urn:millrace:device:00"};
    static const char *const beside[] = {"https://example.org/",
                                         "urn:millrace:device:00000000000000000000000000000002"};
    struct mr_error error;
    strcpy(harness->dir, "/tmp/mr-test-control-XXXXXX");
    strcpy(harness->foreign, "/tmp/mr-test-foreign-XXXXXX");
    assert_non_null(mkdtemp(harness->dir));
    assert_non_null(mkdtemp(harness->foreign));
    struct mr_pki_plan plan = {.dir = harness->dir, .hubs = 2, .devices = 4, .operators = 1};
    assert_int_equal(mr_pki_init(&plan, &error), 0);
    plan.dir = harness->foreign;
    assert_int_equal(mr_pki_init(&plan, &error), 0);
    issue(harness->dir, "nobody", NULL, 0, -60, 3600);
    issue(harness->dir, "two", uris, 2, -60, 3600);
    issue(harness->dir, "malformed", malformed, 1, -60, 3600);
    issue(harness->dir, "beside", beside, 2, -60, 3600);
    issue(harness->dir, "expired", uris, 1, -7200, -3600);
    issue(harness->dir, "early", uris, 1, 3600, 7200);
}

static void remove_certificates(struct harness *harness)
{
    char command[192];
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", harness->dir, harness->foreign);
    assert_int_equal(system(command), 0);
}

/* --- handlers */

static void on_echo(void *context, struct mr_request *request)
{
    struct harness *harness = context;
    size_t length;
    atomic_fetch_add(&harness->handled, 1);
    const uint8_t *body = mr_request_body(request, &length);
    mr_request_answer(request, 200, "application/octet-stream", body, length);
}

static void on_progress(void *context, struct mr_request *request)
{
    struct harness *harness = context;
    size_t length;
    (void)mr_request_body(request, &length);
    assert_true(length >= MR_ROUTE_PROGRESS_BYTES);
    assert_string_equal(mr_request_param(request, 0), "seven");
    atomic_fetch_add(&harness->progress, 1);
}

static void on_who(void *context, struct mr_request *request)
{
    struct harness *harness = context;
    char uri[MR_IDENTITY_URI_MAX], text[512];
    atomic_fetch_add(&harness->handled, 1);
    mr_identity_format(uri, mr_request_identity(request));
    snprintf(text, sizeof text, "%s %s a=%s b=%s c=%s n=%llu", uri, mr_request_peer_host(request),
             mr_request_param(request, 0), mr_request_param(request, 1),
             mr_request_param(request, 2), (unsigned long long)mr_request_query(request, "n", 99));
    mr_request_answer(request, 200, "text/plain", text, strlen(text));
}

static void on_hold(void *context, struct mr_request *request)
{
    struct harness *harness = context;
    assert_true(harness->held_count < HELD_MAX);
    harness->held[harness->held_count++] = request;
    atomic_store(&harness->held_now, harness->held_count);
}

static void answer_held(void *context)
{
    struct harness *harness = context;
    uint8_t key[32];
    for (unsigned i = 0; i < harness->held_count; i++) {
        (void)mr_request_export(harness->held[i], "EXPORTER-test", key);
        mr_request_answer(harness->held[i], 200, "text/plain", "at last", 7);
    }
    harness->held_count = 0;
    atomic_store(&harness->held_now, 0);
}

static void on_released(void *context)
{
    struct harness *harness = context;
    atomic_fetch_add(&harness->released, 1);
}

static void on_big(void *context, struct mr_request *request)
{
    struct harness *harness = context;
    atomic_fetch_add(&harness->handled, 1);
    mr_request_time_left(request, HARNESS_TIME_LEFT_MS);
    mr_request_answer_borrowed(request, 200, "application/octet-stream", harness->big, BIG_BYTES,
                               on_released, harness);
}

static void on_export(void *context, struct mr_request *request)
{
    (void)context;
    uint8_t key[32];
    size_t length;
    (void)mr_request_body(request, &length); /* with one, of another label */
    assert_int_equal(
        mr_request_export(request, length ? "EXPORTER-Other" : "EXPORTER-Millrace-upload", key), 0);
    mr_request_answer(request, 200, "application/octet-stream", key, sizeof key);
}

static void on_refuse(void *context, struct mr_request *request)
{
    (void)context;
    mr_request_refuse(request, MR_REFUSAL_CLOSED, 250, "round %u is over", 7u);
}

static void on_nothing(void *context, struct mr_request *request)
{
    (void)context;
    mr_request_answer(request, 204, NULL, NULL, 0);
}

#define ANYBODY                                                                                    \
    (MR_ROLE_BIT(MR_ROLE_DEVICE) | MR_ROLE_BIT(MR_ROLE_HUB) | MR_ROLE_BIT(MR_ROLE_OPERATOR))

static const struct mr_route routes[] = {
    {"POST", "/echo", ANYBODY, NULL, NULL, LARGE_BYTES, on_echo},
    {"POST", "/slow/{name}", ANYBODY, NULL, NULL, LARGE_BYTES, on_echo, on_progress},
    {"POST", "/small", ANYBODY, NULL, NULL, SMALL_BYTES, on_echo},
    {"POST", "/json", ANYBODY, NULL, "application/json", SMALL_BYTES, on_echo},
    {"GET", "/who/{a}/and/{b}", ANYBODY, "m n", NULL, 0, on_who},
    {"GET", "/hold", ANYBODY, NULL, NULL, 0, on_hold},
    {"GET", "/big", ANYBODY, NULL, NULL, 0, on_big},
    {"POST", "/export", ANYBODY, NULL, NULL, 256, on_export},
    {"GET", "/refuse", ANYBODY, NULL, NULL, 0, on_refuse},
    {"GET", "/nothing", ANYBODY, NULL, NULL, 0, on_nothing},
    {"GET", "/operators", MR_ROLE_BIT(MR_ROLE_OPERATOR), NULL, NULL, 0, on_nothing},
    {"POST", "/operators", MR_ROLE_BIT(MR_ROLE_OPERATOR), NULL, NULL, LARGE_BYTES, on_echo},
};

/* --- the server's thread */

struct mr_server_config harness_config(const struct harness *harness)
{
    static char ca[128], certificate[128], key[128];
    const char *threads = getenv("MILLRACE_TEST_HANDSHAKE_THREADS");
    snprintf(ca, sizeof ca, "%s/ca.pem", harness->dir);
    snprintf(certificate, sizeof certificate, "%s/hub-0.pem", harness->dir);
    snprintf(key, sizeof key, "%s/hub-0.key", harness->dir);
    return (struct mr_server_config){
        .listen_host = "127.0.0.1",
        .ca_file = ca,
        .certificate_file = certificate,
        .private_key_file = key,
        .trusted_roles = MR_ROLE_BIT(MR_ROLE_HUB),
        .yielding_roles = MR_ROLE_BIT(MR_ROLE_DEVICE),
        .connections_max = 256,
        .streams_max = 16,
        .bodies_bytes_max = 64 * 1024 * 1024,
        .handshake_timeout_ms = 60000,
        .idle_timeout_ms = 60000,
        .handshakes_max = 256,
        .handshake_threads = threads ? (unsigned)atoi(threads) : 0,
    };
}

static void *run(void *argument)
{
    mr_loop_run(argument);
    return NULL;
}

void harness_start(struct harness *harness, const struct mr_server_config *config)
{
    struct mr_error error = {""};
    harness->held_count = 0;
    atomic_store(&harness->held_now, 0);
    atomic_store(&harness->released, 0);
    atomic_store(&harness->handled, 0);
    atomic_store(&harness->progress, 0);
    harness->big = malloc(BIG_BYTES);
    assert_non_null(harness->big);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        harness->big[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    assert_int_equal(mr_loop_open(&harness->loop, &error), 0);
    const struct mr_route_table table = {
        .rows = routes, .count = sizeof routes / sizeof *routes, .context = harness};
    if (mr_server_open(&harness->server, harness->loop, config, &table, NULL, &error) != 0) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(pthread_create(&harness->thread, NULL, run, harness->loop), 0);
}

void harness_stop(struct harness *harness)
{
    mr_loop_stop(harness->loop);
    pthread_join(harness->thread, NULL);
    mr_server_close(harness->server);
    answer_held(harness); /* the server is gone: into the void */
    mr_loop_close(harness->loop);
    free(harness->big);
}

struct errand {
    struct harness *harness;
    atomic_uint done;
};

static void copy_metrics(void *context)
{
    struct errand *errand = context;
    struct mr_metrics metrics;
    mr_metrics_init(&metrics);
    mr_server_metrics(errand->harness->server, &metrics);
    snprintf(errand->harness->metrics, sizeof errand->harness->metrics, "%s", metrics.text);
    mr_metrics_fini(&metrics);
    atomic_store(&errand->done, 1);
}

static void release(void *context)
{
    struct errand *errand = context;
    answer_held(errand->harness);
    atomic_store(&errand->done, 1);
}

static void reload_revocations(void *context)
{
    struct errand *errand = context;
    struct mr_error error;
    assert_int_equal(mr_server_reload_revocations(errand->harness->server, &error), 0);
    atomic_store(&errand->done, 1);
}

static void send_errand(struct harness *harness, mr_loop_fn fn)
{
    struct errand errand = {.harness = harness};
    mr_loop_post(harness->loop, fn, &errand);
    harness_await(&errand.done, 1);
}

void harness_release(struct harness *harness)
{
    send_errand(harness, release);
}

void harness_reload_revocations(struct harness *harness)
{
    send_errand(harness, reload_revocations);
}

double harness_metric(struct harness *harness, const char *sample)
{
    char line[160];
    send_errand(harness, copy_metrics);
    snprintf(line, sizeof line, "\n%s ", sample);
    const char *found = strstr(harness->metrics, line);
    return found ? strtod(found + strlen(line), NULL) : -1;
}

void harness_await_metric(struct harness *harness, const char *sample, double value)
{
    double now = -1;
    for (int i = 0; i < WAIT_MS / 5; i++) {
        now = harness_metric(harness, sample);
        if (now == value) {
            return;
        }
        pause_ms(5);
    }
    print_message("%s", harness->metrics);
    fail_msg("%s is %g and does not become %g", sample, now, value);
}

void harness_await(const atomic_uint *counter, unsigned value)
{
    for (int i = 0; i < WAIT_MS && atomic_load(counter) != value; i++) {
        pause_ms(1);
    }
    assert_int_equal(atomic_load(counter), value);
}

/* --- for every test -------------------------------------------------------------------------- */

struct harness rig;

/* Set fields replace the defaults. */
static void apply(struct mr_server_config *config, const struct mr_server_config *changes)
{
#define APPLY(field) config->field = changes->field ? changes->field : config->field
    APPLY(connections_max);
    APPLY(streams_max);
    APPLY(identity_connections_max);
    APPLY(bodies_bytes_max);
    APPLY(handshake_timeout_ms);
    APPLY(idle_timeout_ms);
    APPLY(keep_ms);
    APPLY(kept_max);
    APPLY(sessions_bytes_max);
    APPLY(unix_s);
    APPLY(handshakes_max);
    APPLY(handshake_threads);
    APPLY(source_connections_rate);
    APPLY(source_requests_rate);
    APPLY(identity_requests_rate);
#undef APPLY
}

int harness_set_up(void **state)
{
    struct mr_server_config config = harness_config(&rig);
    if (*state) {
        apply(&config, *state);
    }
    harness_start(&rig, &config);
    return 0;
}

int harness_tear_down(void **state)
{
    (void)state;
    harness_stop(&rig);
    return 0;
}

int harness_run_tests(const char *name, const struct CMUnitTest *tests, size_t count)
{
    make_certificates(&rig);
    const int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    remove_certificates(&rig);
    return failed;
}
