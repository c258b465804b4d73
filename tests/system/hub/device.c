/* device.c - a device as plain as can be: one share over HTTP/2, whatever the test wants of it. */
#include <stdio.h>
#include <stdlib.h>

#include "appliance/cli/pki.h"
#include "federation.h"

#define AWAIT_TURNS 4

static void draw(struct device *device)
{
    const struct mr_layout *layout = &device->terms.layout;
    device->q = malloc(layout->lanes);
    device->share = aligned_alloc(64, layout->share_bytes);
    assert_true(device->q && device->share);
    for (uint32_t i = 0; i < layout->lanes; i++) {
        device->q[i] = (int8_t)((int)((i * 31 + device->number * 57) % 255) - 127);
    }
}

void device_open(struct device *device, struct federation *federation, unsigned number,
                 uint64_t after)
{
    struct mr_h2_response response;
    struct mr_error error = {.text = ""};
    char path[120];
    *device = (struct device){.federation = federation, .number = number};
    mr_pki_device_stem(device->stem, number, FEDERATION_DEVICES);
    mr_pki_device_id(device->client_id, number, FEDERATION_DEVICES);
    device->lead = federation_client(federation, device->stem, 0);
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/current?after=%llu&wait_ms=20000",
             (unsigned long long)after);
    assert_int_equal(federation_ask(device->lead, "GET", path, NULL, 0, &response), 200);
    if (mr_announcement_open(&device->terms, response.body, response.length, &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_h2_response_fini(&response);
    draw(device);
}

void device_close(struct device *device)
{
    mr_h2_client_close(device->lead);
    free(device->q);
    free(device->share);
}

void device_reconnect(struct device *device)
{
    mr_h2_client_close(device->lead);
    device->lead = federation_client(device->federation, device->stem, 0);
}

static struct mr_key_scope scope_of(const struct device *device, uint32_t attempt)
{
    return (struct mr_key_scope){.task = device->terms.announcement.task,
                                 .announcement_hash = device->terms.hash,
                                 .client_id = device->client_id,
                                 .hub_index = 1,
                                 .attempt = attempt};
}

static void make_share(struct device *device, uint32_t attempt, const uint8_t *seed)
{
    const struct mr_layout *layout = &device->terms.layout;
    const uint32_t trailer[MR_TRAILER_LANES] = {1, device->number + 1, 10, 500, 0, 0};
    struct mr_mask_stream mask;
    const struct mr_key_scope scope = scope_of(device, attempt);
    mr_share_lift(device->share, layout, device->q, trailer, device->federation->kernels);
    assert_int_equal(mr_mask_derive(&mask, seed, &scope), 0);
    mr_share_mask(device->share, layout, &mask, device->federation->kernels);
}

void device_seed_request(const struct device *device, uint32_t attempt,
                         uint8_t body[MR_SEED_REQUEST_BYTES], struct mr_receipt *receipt)
{
    struct mr_seed_request request;
    uint8_t seed[MR_SEED_BYTES], ephemeral[MR_HPKE_KEY_BYTES], sealed_hash[MR_HASH_BYTES];
    const struct mr_key_scope scope = scope_of(device, attempt);
    memset(seed, (int)(device->number * 8 + attempt + 1), sizeof seed);
    memset(ephemeral, (int)(device->number * 8 + attempt + 2), sizeof ephemeral);
    assert_int_equal(mr_seed_seal(&request, seed, &scope, device->terms.seal_keys[1], ephemeral),
                     0);
    assert_int_equal(mr_sealed_hash(sealed_hash, &request), 0);
    assert_int_equal(mr_receipt_fill(receipt, seed, sealed_hash, &scope, &device->terms.layout), 0);
    mr_seed_request_encode(body, &request);
}

void device_seed(struct device *device, uint32_t attempt, struct mr_upload_request *request)
{
    struct mr_h2_response response;
    struct mr_error error = {.text = ""};
    uint8_t body[MR_SEED_REQUEST_BYTES], seed[MR_SEED_BYTES];
    char path[120];
    memset(seed, (int)(device->number * 8 + attempt + 1), sizeof seed);
    make_share(device, attempt, seed);
    *request = (struct mr_upload_request){
        .attempt = attempt, .transport = MR_TRANSPORT_HTTP2, .receipt_count = 1};
    memcpy(request->announcement_hash, device->terms.hash, MR_HASH_BYTES);
    device_seed_request(device, attempt, body, &request->receipts[0]);
    struct mr_h2_client *helper = federation_client(device->federation, device->stem, 1);
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/%llu/seed",
             (unsigned long long)device->terms.announcement.round);
    assert_int_equal(federation_ask(helper, "POST", path, body, sizeof body, &response), 200);
    assert_int_equal(
        mr_receipt_answer_decode(&request->receipts[0], response.body, response.length, &error), 0);
    mr_h2_response_fini(&response);
    mr_h2_client_close(helper);
}

int device_request(struct device *device, const struct mr_upload_request *request, char code[40])
{
    struct mr_h2_response response;
    struct mr_error error = {.text = ""};
    struct mr_refusal refusal = {.name = ""};
    char path[120];
    char *text = mr_upload_request_encode(request);
    snprintf(path, sizeof path, "/v1/tasks/default/rounds/%llu/uploads",
             (unsigned long long)device->terms.announcement.round);
    const int status = federation_ask(device->lead, "POST", path, text, strlen(text), &response);
    if (status == 200) {
        assert_int_equal(
            mr_upload_grant_decode(&device->grant, (char *)response.body, response.length, &error),
            0);
    } else {
        mr_refusal_decode(&refusal, (char *)response.body, response.length, &error);
    }
    if (code) {
        memcpy(code, refusal.name, sizeof refusal.name);
    }
    mr_h2_response_fini(&response);
    free(text);
    return status;
}

static void upload_path(const struct device *device, char path[120], const char *rest)
{
    snprintf(path, 120, "/v1/tasks/default/rounds/%llu/uploads/%016llx%s",
             (unsigned long long)device->terms.announcement.round,
             (unsigned long long)device->grant.upload_id, rest);
}

int device_put(struct device *device)
{
    struct mr_h2_response response;
    char path[120];
    upload_path(device, path, "/share");
    const int status = federation_ask(device->lead, "PUT", path, device->share,
                                      device->terms.layout.share_bytes, &response);
    mr_h2_response_fini(&response);
    return status;
}

static struct mr_upload_status ask_status(struct device *device, unsigned wait_ms)
{
    struct mr_h2_response response;
    struct mr_upload_status status = {MR_UPLOAD_RECEIVING, MR_REASON_NONE};
    struct mr_error error = {.text = ""};
    char path[120], rest[40];
    snprintf(rest, sizeof rest, "?wait_ms=%u", wait_ms);
    upload_path(device, path, rest);
    assert_int_equal(federation_ask(device->lead, "GET", path, NULL, 0, &response), 200);
    assert_int_equal(
        mr_upload_status_decode(&status, (char *)response.body, response.length, &error), 0);
    mr_h2_response_fini(&response);
    return status;
}

struct mr_upload_status device_await(struct device *device, unsigned wait_ms)
{
    struct mr_upload_status status = ask_status(device, wait_ms);
    for (unsigned i = 1; wait_ms > 0 && i < AWAIT_TURNS; i++) {
        if (status.state == MR_UPLOAD_COMMITTED || status.state == MR_UPLOAD_REFUSED) {
            break;
        }
        status = ask_status(device, wait_ms);
    }
    return status;
}

void device_upload(struct device *device, uint32_t attempt)
{
    struct mr_upload_request request;
    device_seed(device, attempt, &request);
    assert_int_equal(device_request(device, &request, NULL), 200);
    assert_int_equal(device_put(device), 202);
}

/* --- several --------------------------------------------------------------------------------- */

void devices_open(struct device *devices, unsigned count, struct federation *federation,
                  uint64_t after)
{
    for (unsigned i = 0; i < count; i++) {
        device_open(&devices[i], federation, i, after);
    }
}

void devices_close(struct device *devices, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        device_close(&devices[i]);
    }
}

uint64_t devices_begin(struct device *devices, unsigned count, struct federation *federation)
{
    const uint64_t round = federation_open_round(federation, NULL);
    devices_open(devices, count, federation, round - 1);
    return round;
}

void devices_upload(struct device *devices, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        device_upload(&devices[i], 0);
    }
}

void devices_commit(struct device *devices, unsigned first, unsigned end)
{
    devices_upload(devices, first, end);
    for (unsigned i = first; i < end; i++) {
        assert_int_equal(device_await(&devices[i], 20000).state, MR_UPLOAD_COMMITTED);
    }
}

void devices_expect_published(struct device *devices, unsigned count, uint64_t round)
{
    federation_expect(devices[0].federation, round, "published", NULL);
    devices_check_sum(devices, count, round);
}

void devices_check_sum(const struct device *devices, unsigned count, uint64_t round)
{
    const struct mr_layout *layout = &devices[0].terms.layout;
    char name[64];
    snprintf(name, sizeof name, "rounds/%llu.sum", (unsigned long long)round);
    for (unsigned hub = 0; hub < FEDERATION_HUBS; hub++) {
        size_t length;
        uint8_t *sum = federation_file(devices[0].federation, hub, name, &length);
        assert_int_equal(length, layout->share_bytes);
        for (unsigned lane = 0; lane < layout->lanes; lane++) {
            int16_t value, expected = 0;
            for (unsigned i = 0; i < count; i++) {
                expected = (int16_t)(expected + devices[i].q[lane]);
            }
            memcpy(&value, sum + 2 * lane, 2);
            assert_int_equal(value, expected);
        }
        free(sum);
    }
}
