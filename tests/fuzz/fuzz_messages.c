/* fuzz_messages.c - the JSON bodies of the control plane. The first byte chooses the body; what is
 * accepted, written again and read again is the same. */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "tests/fuzz/fuzz.h"
#include "wire/audit.h"
#include "wire/messages.h"

/* Decodes, encodes, decodes, encodes: both texts must be the same. */
#define ROUND_TRIP(name)                                                                           \
    static void try_##name(const char *text, size_t length)                                        \
    {                                                                                              \
        struct mr_##name first, second;                                                            \
        struct mr_error error = {.text = ""};                                                      \
        if (mr_##name##_decode(&first, text, length, &error) != 0) {                               \
            MR_ASSERT(error.text[0] != '\0');                                                      \
            return;                                                                                \
        }                                                                                          \
        char *once = mr_##name##_encode(&first);                                                   \
        MR_ASSERT(once);                                                                           \
        MR_ASSERT(mr_##name##_decode(&second, once, strlen(once), &error) == 0);                   \
        char *twice = mr_##name##_encode(&second);                                                 \
        MR_ASSERT(twice &&strcmp(once, twice) == 0);                                               \
        free(once);                                                                                \
        free(twice);                                                                               \
    }

ROUND_TRIP(upload_request)
ROUND_TRIP(upload_grant)
ROUND_TRIP(upload_status)
ROUND_TRIP(round_end)
ROUND_TRIP(peer_signature)
ROUND_TRIP(peer_model)
ROUND_TRIP(peer_void)
ROUND_TRIP(refusal)
ROUND_TRIP(task_hubs)
ROUND_TRIP(audit_proof)

/* The two that are octets: one encoding each. */
static void seed_request(const char *text, size_t length)
{
    struct mr_seed_request message;
    struct mr_error error = {.text = ""};
    uint8_t again[MR_SEED_REQUEST_BYTES];
    if (mr_seed_request_decode(&message, (const uint8_t *)text, length, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    mr_seed_request_encode(again, &message);
    MR_ASSERT(length == sizeof again && memcmp(again, text, length) == 0);
}

static void receipt_answer(const char *text, size_t length)
{
    struct mr_receipt message = {.hub_index = 0};
    struct mr_error error = {.text = ""};
    uint8_t again[MR_RECEIPT_ANSWER_BYTES];
    if (mr_receipt_answer_decode(&message, (const uint8_t *)text, length, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    mr_receipt_answer_encode(again, &message);
    MR_ASSERT(length == sizeof again && memcmp(again, text, length) == 0);
}

/* The seal of whatever comes, under a key that it was not sealed to. */
static void sealed_seed(const char *text, size_t length)
{
    static const uint8_t private_key[MR_HPKE_KEY_BYTES] = {1}, client[16] = {2};
    struct mr_hpke_pair pair;
    struct mr_seed_request message;
    struct mr_error error;
    uint8_t seed[MR_SEED_BYTES];
    if (mr_seed_request_decode(&message, (const uint8_t *)text, length, &error) != 0) {
        return;
    }
    const struct mr_key_scope scope = {"fuzz", message.announcement_hash, client, 1,
                                       message.attempt};
    MR_ASSERT(mr_hpke_pair_derive(&pair, private_key) == 0);
    struct mr_hpke_kit *kit = mr_hpke_kit_new();
    MR_ASSERT(kit && mr_seed_open(kit, seed, &message, &scope, &pair) != MR_HPKE_FAILED);
    mr_hpke_kit_free(kit);
}

static void upload_id(const char *text, size_t length)
{
    char id[32], again[17];
    uint64_t value;
    if (length >= sizeof id) {
        return;
    }
    memcpy(id, text, length);
    id[length] = '\0';
    if (mr_upload_id_parse(&value, id) == 0) {
        mr_upload_id_format(again, value);
        MR_ASSERT(strcmp(again, id) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const char *, size_t) = {
        seed_request,       receipt_answer, try_upload_request, try_upload_grant, try_upload_status,
        try_peer_signature, try_peer_model, try_refusal,        sealed_seed,      upload_id,
        try_round_end,      try_task_hubs,  try_peer_void,      try_audit_proof,
    };
    if (size > 0 && data[0] < sizeof tries / sizeof *tries) {
        tries[data[0]]((const char *)data + 1, size - 1);
    }
    return 0;
}
