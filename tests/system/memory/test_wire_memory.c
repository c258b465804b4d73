/* test_wire_memory.c - wire/ when memory runs out, at every single allocation, those of OpenSSL and
 * jansson included: a clean refusal, never half an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/system/memory/failing.h"
#include "wire/aead.h"
#include "wire/exchange.h"
#include "base/json_memory.h"
#include "wire/keys.h"
#include "wire/messages.h"
#include "wire/safetensors.h"
#include "tests/unit/wire/pair.h"

static const uint8_t key[32] = {7};
static const uint8_t hash[MR_HASH_BYTES] = {1};
static const uint8_t client[MR_CLIENT_ID_BYTES] = {2};

/* --- signatures and hashes ------------------------------------------------------------------- */

static bool announcement(void *at)
{
    const struct mr_signing_pair *pair = at;
    struct mr_hub_signature signature = {.seal_key = {4}};
    return mr_announcement_sign(signature.bytes, hash, signature.seal_key, pair) == 0 &&
           mr_announcement_verify(signature.bytes, hash, signature.seal_key, pair->public_key) == 0;
}

/* A seed that does not open for want of memory is not taken for a bad one. */
static bool sealed_seed(void *context)
{
    struct mr_hpke_pair pair;
    struct mr_seed_request request;
    uint8_t seed[MR_SEED_BYTES];
    const struct mr_key_scope scope = {"default", hash, client, 1, 0};
    (void)context;
    if (mr_hpke_pair_derive(&pair, key) != 0 ||
        mr_seed_seal(&request, hash, &scope, pair.public_key, key) != 0) {
        return false;
    }
    struct mr_hpke_kit *kit = mr_hpke_kit_new();
    if (!kit) {
        return false;
    }
    const enum mr_hpke_result result = mr_seed_open(kit, seed, &request, &scope, &pair);
    mr_hpke_kit_free(kit);
    assert_int_not_equal(result, MR_HPKE_CLOSED);
    return result == MR_HPKE_OPEN;
}

static bool commitment(void *at)
{
    const struct mr_signing_pair *pair = at;
    static const struct mr_included included[2] = {{.attempt = 1}, {.client_id = {1}}};
    struct mr_commitment commitment = {.hub_index = 3};
    uint8_t set_hash[MR_HASH_BYTES];
    return mr_included_hash(set_hash, hash, included, 2) == 0 &&
           mr_commitment_compute(commitment.value, hash, set_hash, 3, key, hash, sizeof hash) ==
               0 &&
           mr_commitment_sign(&commitment, hash, pair) == 0 &&
           mr_commitment_verify(&commitment, hash, pair->public_key) == 0;
}

static bool model(void *at)
{
    const struct mr_signing_pair *pair = at;
    uint8_t signature[MR_SIGNATURE_BYTES];
    return mr_model_sign(signature, hash, hash, hash, pair) == 0 &&
           mr_model_verify(signature, hash, hash, hash, pair->public_key) == 0;
}

static void test_signatures(void **state)
{
    struct mr_signing_pair pair = pair_of(key);
    (void)state;
    failing_each(announcement, &pair, "announcement");
    failing_each(sealed_seed, NULL, "sealed seed");
    failing_each(commitment, &pair, "commitment");
    failing_each(model, &pair, "model");
}

/* --- keys ------------------------------------------------------------------------------------ */

static bool seal(struct mr_aead *aead, const struct mr_aead_key *aead_key)
{
    uint8_t plain[64] = {5}, cipher[64], tag[MR_TAG_BYTES], again[64];
    if (mr_aead_rekey(aead, aead_key) != 0 ||
        mr_aead_seal(aead,
                     &(struct mr_aead_message){.sequence = 9,
                                               .aad = hash,
                                               .aad_bytes = sizeof hash,
                                               .text = plain,
                                               .bytes = sizeof plain},
                     cipher, tag) != 0 ||
        mr_aead_unseal(aead,
                       &(struct mr_aead_message){.sequence = 9,
                                                 .aad = hash,
                                                 .aad_bytes = sizeof hash,
                                                 .text = cipher,
                                                 .bytes = sizeof cipher},
                       tag, again) != 0) {
        return false;
    }
    assert_memory_equal(again, plain, sizeof plain);
    return true;
}

static bool aead(void *context)
{
    static const struct mr_aead_key aead_key = {.key = {1}, .iv = {2}};
    struct mr_aead *made = mr_aead_open();
    (void)context;
    const bool good = made && seal(made, &aead_key);
    mr_aead_close(made);
    return good;
}

static void test_keys(void **state)
{
    (void)state;
    failing_each(aead, NULL, "aead");
}

/* --- bodies ---------------------------------------------------------------------------------- */

/* Written and read again; a text that is there is the whole text. */
#define BODY(name, ...)                                                                            \
    static bool body_##name(void *context)                                                         \
    {                                                                                              \
        const struct mr_##name message = {__VA_ARGS__};                                            \
        struct mr_##name again;                                                                    \
        struct mr_error error = {.text = ""};                                                      \
        (void)context;                                                                             \
        failing_json(true);                                                                        \
        char *text = mr_##name##_encode(&message);                                                 \
        failing_json(false);                                                                       \
        const bool good = text && mr_##name##_decode(&again, text, strlen(text), &error) == 0;     \
        if (text && !good)                                                                         \
            assert_string_not_equal(error.text, "");                                               \
        free(text);                                                                                \
        return good;                                                                               \
    }

BODY(upload_request, .receipt_count = 2)
BODY(upload_grant, .upload_id = 5, .udp_host = "127.0.0.1", .udp_port = 9)
BODY(upload_status, .state = MR_UPLOAD_STAGED)
BODY(peer_signature, .hub_index = 1)
BODY(peer_model, .hub_index = 1)
BODY(peer_void, .reason = "void")
BODY(round_end, .state = MR_ROUND_VOID, .reason = "void", .unopened = true)
BODY(refusal, .code = MR_REFUSAL_BUSY, .text = "not now")

static void test_bodies(void **state)
{
    (void)state;
    failing_each(body_upload_request, NULL, "upload request");
    failing_each(body_upload_grant, NULL, "upload grant");
    failing_each(body_upload_status, NULL, "upload status");
    failing_each(body_peer_signature, NULL, "peer signature");
    failing_each(body_peer_model, NULL, "peer model");
    failing_each(body_peer_void, NULL, "peer void");
    failing_each(body_round_end, NULL, "round end");
    failing_each(body_refusal, NULL, "refusal");
}

/* --- models ---------------------------------------------------------------------------------- */

static const struct mr_tensor tensors[2] = {
    {.name = "w", .dims = {2, 3}, .rank = 2},
    {.name = "b", .dims = {2}, .rank = 1},
};

static bool write_header(void *context)
{
    size_t length = 0;
    (void)context;
    failing_json(true);
    uint8_t *bytes = mr_safetensors_header(tensors, 2, &length);
    failing_json(false);
    free(bytes);
    return bytes;
}

struct file {
    uint8_t *bytes;
    size_t length;
};

static bool read_model(void *context)
{
    const struct file *file = context;
    struct mr_safetensors read;
    struct mr_error error = {.text = ""};
    if (mr_safetensors_parse(&read, file->bytes, file->length, &error) != 0) {
        assert_string_not_equal(error.text, "");
        return false;
    }
    assert_int_equal(read.count, 8);
    mr_safetensors_fini(&read);
    return true;
}

static void test_models(void **state)
{
    struct file file;
    size_t header = 0;
    (void)state;
    failing_each(write_header, NULL, "header");
    file.bytes = mr_safetensors_header(tensors, 2, &header);
    file.length = header + 32;
    file.bytes = realloc(file.bytes, file.length);
    assert_non_null(file.bytes);
    memset(file.bytes + header, 0, 32);
    failing_each(read_model, &file, "model");
    free(file.bytes);
}

/* jansson is not let go on without memory while it reads what a peer sent. */
static void test_json_stops(void **state)
{
    int status = 0;
    (void)state;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct mr_upload_status message;
        struct mr_error error;
        const char text[] = "{\"state\":\"staged\",\"reason\":\"none\"}";
        mr_json_stop_without_memory();
        failing_now();
        mr_upload_status_decode(&message, text, sizeof text - 1, &error);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bodies),     cmocka_unit_test(test_models),
        cmocka_unit_test(test_json_stops),
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
