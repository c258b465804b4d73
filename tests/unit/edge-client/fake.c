#include "tests/unit/edge-client/fake.h"

#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/edge-client/check.h"
#include "tests/unit/edge-client/fake_routes.h"
#include "base/bytes.h"
#include "tests/unit/wire/pair.h"
#include "wire/tensor_parts.h"

/* --- set-up ---------------------------------------------------------------------------------- */

static void public_of(uint8_t out[32], const uint8_t private_key[32])
{
    size_t length = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, 32);
    CHECK(key && EVP_PKEY_get_raw_public_key(key, out, &length) == 1);
    EVP_PKEY_free(key);
}

/* A certificate that names the device; the session itself reads no more of it than that. */
static void write_certificate(const char *path)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *certificate = X509_new();
    X509_EXTENSION *name = X509V3_EXT_conf_nid(
        NULL, NULL, NID_subject_alt_name,
        (char *)(uintptr_t) "URI:urn:millrace:device:000102030405060708090a0b0c0d0e0f");
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    CHECK(name && X509_add_ext(certificate, name, -1) == 1);
    CHECK(X509_sign(certificate, key, NULL) > 0);
    FILE *file = fopen(path, "w");
    CHECK(file && PEM_write_X509(file, certificate) == 1);
    fclose(file);
    X509_EXTENSION_free(name);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void fake_model(struct fake *fake, const struct mr_tensor *tensors, unsigned count)
{
    size_t header_bytes, values = 0;
    uint8_t *header = mr_safetensors_header(tensors, count, &header_bytes);
    CHECK(header);
    for (unsigned t = 0; t < count; t++) {
        size_t of_tensor = 1;
        for (unsigned d = 0; d < tensors[t].rank; d++) {
            of_tensor *= tensors[t].dims[d];
        }
        values += of_tensor;
    }
    free(fake->model);
    fake->model_bytes = header_bytes + values * sizeof(float);
    fake->model = malloc(fake->model_bytes);
    CHECK(fake->model);
    memcpy(fake->model, header, header_bytes);
    for (size_t i = 0; i < values; i++) {
        float value = sinf((float)i);
        memcpy(fake->model + header_bytes + i * sizeof value, &value, sizeof value);
    }
    free(header);
    fake->announcement.dimension = (uint32_t)values;
}

static void make_model(struct fake *fake)
{
    const struct mr_tensor tensors[4] = {
        {.name = "fc1.weight", .rank = 2, .dims = {4, 8}},
        {.name = "fc1.bias", .rank = 1, .dims = {4}},
        {.name = "fc2.weight", .rank = 2, .dims = {3, 4}},
        {.name = "fc2.bias", .rank = 1, .dims = {3}},
    };
    fake_model(fake, tensors, 4);
}

void fake_set_text(struct fake *fake, const char *member, const char *text)
{
    struct mr_error error;
    size_t length;
    uint8_t *renamed =
        mr_safetensors_rename(fake->model, fake->model_bytes, member, text, &length, &error);
    CHECK(renamed);
    free(fake->model);
    fake->model = renamed;
    fake->model_bytes = length;
}

void fake_divide(struct fake *fake, const char *frozen, const char *personal, uint32_t trained)
{
    fake_set_text(fake, MR_FROZEN_MEMBER, frozen);
    fake_set_text(fake, MR_PERSONAL_MEMBER, personal);
    const uint32_t all = fake->announcement.dimension;
    fake->announcement.model_values = trained < all ? all : 0;
    fake->announcement.dimension = trained;
    fake_announce(fake);
}

void fake_announce(struct fake *fake)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    struct mr_hub_signature signatures[MR_HUBS_MAX];
    struct mr_error error;
    EVP_Digest(fake->model, fake->model_bytes, fake->announcement.model_hash, NULL, EVP_sha256(),
               NULL);
    if (mr_announcement_check(&fake->announcement, &error)) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    size_t length = mr_announcement_encode(canonical, &fake->announcement);
    CHECK(!mr_round_terms_decode(&fake->terms, canonical, length, &error));
    CHECK(fake->announcement.round < FAKE_ROUNDS || !fake->unopened);
    if (fake->announcement.round < FAKE_ROUNDS) {
        memcpy(fake->hashes[fake->announcement.round], fake->terms.hash, MR_HASH_BYTES);
    }
    for (unsigned i = 0; i < fake->hub_count; i++) {
        const uint8_t private_key[MR_HPKE_KEY_BYTES] = {1, (uint8_t)i};
        CHECK(!mr_hpke_pair_derive(&fake->seals[i], private_key));
        memcpy(signatures[i].seal_key, fake->seals[i].public_key, MR_SEAL_KEY_BYTES);
        CHECK(!mr_announcement_sign(signatures[i].bytes, fake->terms.hash,
                                    i ? signatures[i].seal_key : NULL,
                                    PAIR_OF(fake->private_keys[i])));
    }
    fake->envelope_bytes =
        mr_announcement_seal(fake->envelope, canonical, length, signatures, fake->hub_count);
}

static void write_text(const struct fake *fake, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fake->dir, name);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

void fake_init(struct fake *fake, unsigned hub_count, uint8_t ring_bits)
{
    char path[128];
    memset(fake, 0, sizeof *fake);
    snprintf(fake->dir, sizeof fake->dir, "/tmp/millrace-edge-test-XXXXXX");
    CHECK(mkdtemp(fake->dir));
    fake->random.state = 11;
    fake->busy_code = "busy";
    fake->busy_ms = 700;
    fake->now_us = 5000000;
    fake->unix_start_ms = 1700000000000;
    fake->hub_count = hub_count;
    struct mr_announcement *a = &fake->announcement;
    *a = (struct mr_announcement){.round = 1,
                                  .task = "default",
                                  .deadline_unix_ms = fake->unix_start_ms + 60000,
                                  .ring_bits = ring_bits,
                                  .rotation_log2 = 6,
                                  .headroom = 4,
                                  .seal = MR_SEAL_HPKE,
                                  .chunk_bytes = 64,
                                  .cohort_min = 2,
                                  .cohort_max = ring_bits < 16 ? 4 : 64,
                                  .weight_max = 10,
                                  .scale = 100,
                                  .clip_norm = 1,
                                  .step_max = 1000,
                                  .optimiser = {.learning_rate = 1},
                                  .hub_count = (uint8_t)hub_count};
    a->levels = mr_quantiser_levels(ring_bits, a->cohort_max, a->headroom);
    snprintf(a->training, sizeof a->training, "{\"epochs\": 2, \"batch\": 3}");
    for (unsigned i = 0; i < hub_count; i++) {
        memset(fake->private_keys[i], (int)(0x20 + i), 32);
        a->hubs[i].index = (uint16_t)(4 + i);
        snprintf(a->hubs[i].name, sizeof a->hubs[i].name, "hub-%u", i);
        public_of(a->hubs[i].public_key, fake->private_keys[i]);
    }
    make_model(fake);
    fake_announce(fake);
    snprintf(path, sizeof path, "%s/device.pem", fake->dir);
    write_certificate(path);
    write_text(fake, "data.csv",
               "1,2,3,4,5,6,7,8,0\n8,7,6,5,4,3,2,1,2\n0,0,16,0,3,0,9,1,1\n"
               "5,5,5,0,0,1,16,2,2\n");
}

void fake_fini(struct fake *fake)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fake->dir);
    CHECK(system(command) == 0);
    if (fake->receiving) {
        receiver_fini(&fake->receiver);
    }
    free(fake->committed);
    free(fake->model);
    free(fake->sent);
}

/* --- the env ------------------------------------------------------------------------------- */

static uint64_t now_us(void *context)
{
    return ((struct fake *)context)->now_us;
}

uint64_t fake_hubs_ms(const struct fake *fake)
{
    return fake->unix_start_ms + fake->now_us / 1000 - 5000;
}

static uint64_t unix_ms(void *context)
{
    struct fake *fake = context;
    return fake_hubs_ms(fake) + (uint64_t)fake->clock_ahead_ms;
}

static void sleep_ms(void *context, unsigned ms)
{
    ((struct fake *)context)->now_us += (uint64_t)ms * 1000;
}

static int random_bytes(void *context, uint8_t *out, size_t bytes)
{
    struct fake *fake = context;
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(mr_sgd_random_next(&fake->random) >> 24);
    }
    return 0;
}

static void note_sent(struct fake *fake, const void *bytes, size_t length)
{
    if (fake->sent_bytes + length > fake->sent_room) {
        fake->sent_room = 2 * (fake->sent_bytes + length);
        fake->sent = realloc(fake->sent, fake->sent_room);
        CHECK(fake->sent);
    }
    if (length > 0) {
        memcpy(fake->sent + fake->sent_bytes, bytes, length);
    }
    fake->sent_bytes += length;
}

static void note_question(struct fake *fake, unsigned hub, const struct mr_h2_request *asked)
{
    const char *texts[] = {asked->method, asked->path, asked->content_type, asked->word};
    note_sent(fake, &(uint8_t){(uint8_t)hub}, 1);
    for (unsigned i = 0; i < 4; i++) {
        note_sent(fake, texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) + 1 : 1);
    }
    note_sent(fake, asked->body, asked->length);
}

/* A connection is a number: which hub, and which connection it is (for the exporter). */
struct connection {
    unsigned hub;
    unsigned number;
    uint64_t used_us; /* last */
};

static int connect_hub(void *context, const struct mr_h2_endpoint *endpoint, unsigned timeout_ms,
                       void **connection, struct mr_error *error)
{
    struct fake *fake = context;
    (void)timeout_ms;
    fake->now_us += 2000;
    if (fake->refuse_certificate) {
        mr_error_set(error, "%s",
                     fake->refuse_why ? fake->refuse_why : "the certificate is not trusted");
        return MR_H2_REFUSED;
    }
    if (fake->refuse_connects) {
        fake->refuse_connects--;
        return mr_error_set(error, "connection refused"), MR_H2_UNREACHABLE;
    }
    struct connection *c = malloc(sizeof *c);
    CHECK(c && endpoint->hub_index >= 4 && endpoint->hub_index < 4 + fake->hub_count);
    *c = (struct connection){
        .hub = endpoint->hub_index - 4u, .number = ++fake->connects, .used_us = fake->now_us};
    *connection = c;
    return MR_H2_OK;
}

static void disconnect(void *context, void *connection, bool for_all)
{
    struct fake *fake = context;
    fake->given_up += for_all;
    free(connection);
}

static int request(void *context, void *connection, const struct mr_h2_request *asked,
                   struct mr_h2_response *response, struct mr_error *error)
{
    struct fake *fake = context;
    struct connection *c = connection;
    note_question(fake, c->hub, asked);
    CHECK(asked->whole_ms >= asked->timeout_ms);
    if (strncmp(asked->path, "/v1/tasks/default/models/", 25) == 0) {
        fake->models_whole_ms = asked->whole_ms;
    } else if (strcmp(asked->method, "PUT") == 0) {
        fake->puts_whole_ms = asked->whole_ms;
    } else {
        fake->others_extended += asked->whole_ms > asked->timeout_ms;
    }
    fake->now_us += 1000;
    if (fake->idle_ms && fake->now_us - c->used_us > (uint64_t)fake->idle_ms * 1000) {
        return mr_error_set(error, "it closed the connection"), MR_H2_BROKEN;
    }
    int failure = fake_route(fake, c->hub, c->number, asked, response, error);
    CHECK(failure || response->length <= asked->answer_max);
    c->used_us = fake->now_us;
    return failure;
}

static int exporter(void *context, void *connection, const char *label,
                    uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    (void)context;
    CHECK(strcmp(label, MR_EXPORTER_LABEL) == 0);
    fake_exporter(secret, ((struct connection *)connection)->number);
    return 0;
}

static int peer(void *context, void *connection, char *host, size_t room)
{
    (void)context, (void)connection;
    return snprintf(host, room, "%s", "::ffff:127.0.0.1") > 0 ? 0 : -1;
}

static bool lost(struct fake *fake)
{
    return mr_sgd_random_below(&fake->random, 100) < fake->loss;
}

static void *udp_open(void *context, const char *host, uint16_t port, struct mr_error *error)
{
    const char *expected = ((struct fake *)context)->udp_host;
    (void)error;
    CHECK(strcmp(host, expected ? expected : "127.0.0.1") == 0 && port == 9443);
    ((struct fake *)context)->udp_opened++;
    return context;
}

static void udp_close(void *context, void *udp)
{
    (void)context;
    (void)udp;
}

static void udp_send(void *context, void *udp, const struct mr_device_env_datagrams *datagrams)
{
    struct fake *fake = context;
    (void)udp;
    for (unsigned i = 0; i < datagrams->count; i++) {
        note_sent(fake, datagrams->bytes[i], datagrams->lengths[i]);
        if (fake->receiving && !lost(fake)) {
            receiver_take(&fake->receiver, datagrams->bytes[i], datagrams->lengths[i]);
            fake->acks_due++;
        }
    }
}

static size_t udp_receive(void *context, void *udp, uint8_t *out, size_t capacity,
                          uint64_t timeout_us)
{
    struct fake *fake = context;
    (void)udp;
    CHECK(capacity >= MR_DATAGRAM_OVERHEAD + MR_ACK_BYTES);
    while (fake->acks_due) {
        fake->acks_due--;
        if (fake->refuse_upload) {
            fake->receiver.state = MR_UPLOAD_REFUSED;
            fake->receiver.reason = (uint8_t)fake->refuse_upload;
        }
        size_t length = receiver_ack(&fake->receiver, out);
        if (!lost(fake)) {
            fake->now_us += 500;
            return length;
        }
    }
    if (fake->tells_committed && timeout_us > 0 && fake->receiving &&
        fake->receiver.state == MR_UPLOAD_STAGED) {
        fake_settle(fake);
        fake->receiver.state = MR_UPLOAD_COMMITTED;
        fake->now_us += 300000;
        return receiver_ack(&fake->receiver, out);
    }
    fake->now_us += timeout_us;
    return 0;
}

void fake_world(struct fake *fake, struct mr_device_env *env)
{
    *env = (struct mr_device_env){.context = fake,
                                  .cancel = &fake->cancel,
                                  .now_us = now_us,
                                  .unix_ms = unix_ms,
                                  .sleep_ms = sleep_ms,
                                  .random = random_bytes,
                                  .connect = connect_hub,
                                  .disconnect = disconnect,
                                  .request = request,
                                  .exporter = exporter,
                                  .peer = peer,
                                  .udp_open = udp_open,
                                  .udp_close = udp_close,
                                  .udp_send = udp_send,
                                  .udp_receive = udp_receive};
}

/* --- clients --------------------------------------------------------------------------------- */

struct mre_client *fake_client(struct fake *fake, enum mre_transport transport,
                               const char *dump_dir)
{
    char certificate[128], keys[MR_HUBS_MAX][65];
    struct mre_hub hubs[MR_HUBS_MAX];
    struct mr_device_env env;
    struct mre_client *client;
    struct mre_outcome outcome;
    snprintf(certificate, sizeof certificate, "%s/device.pem", fake->dir);
    for (unsigned i = 0; i < fake->hub_count; i++) {
        uint8_t public_key[32];
        public_of(public_key, fake->private_keys[i]);
        mr_hex_encode(keys[i], public_key, 32);
        hubs[i] = (struct mre_hub){.index = (uint16_t)(4 + i),
                                   .name = "hub",
                                   .host = "hub.test",
                                   .port = 8443,
                                   .public_key = keys[i]};
    }
    struct mre_options options = {.certificate_file = certificate,
                                  .private_key_file = "unused",
                                  .ca_file = "unused",
                                  .data_dir = fake->dir,
                                  .task = "default",
                                  .hubs = hubs,
                                  .hub_count = fake->hub_count,
                                  .transport = transport,
                                  .dump_dir = dump_dir,
                                  .accept = fake->accept,
                                  .number_type = fake->number_type};
    fake_world(fake, &env);
    if (mr_client_open_in(&client, &options, &env, &outcome)) {
        fprintf(stderr, "%s\n", outcome.text);
        abort();
    }
    return client;
}

uint8_t *fake_open_sum(struct fake *fake)
{
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    const struct mr_layout *layout = &fake->terms.layout;
    static const uint8_t client[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct mr_vector_sum sum = {.lanes = aligned_alloc(64, mr_layout_accumulator_bytes(layout))};
    const uint8_t *one[] = {fake->committed};
    CHECK(fake->committed && sum.lanes);
    mr_sum_zero(&sum, layout);
    mr_sum_fold(&sum, layout, one, 1, kernels);
    for (unsigned i = 1; i < fake->hub_count; i++) {
        struct mr_mask_stream mask;
        struct mr_key_scope scope = {fake->announcement.task, fake->terms.hash, client,
                                     (uint16_t)(4 + i), fake->committed_attempt};
        CHECK(!mr_mask_derive(&mask, fake->seeds[fake->committed_attempt][i], &scope));
        mr_sum_mask(&sum, layout, &mask, kernels);
    }
    uint8_t *packed = aligned_alloc(64, (layout->share_bytes + 63) / 64 * 64);
    mr_sum_pack(packed, layout, &sum, kernels);
    free(sum.lanes);
    return packed;
}
