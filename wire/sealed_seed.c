#include "wire/sealed_seed.h"

#include <string.h>

#include <openssl/sha.h>

#include "base/bytes.h"
#include "wire/transcript.h"

void mr_seed_request_encode(uint8_t out[MR_SEED_REQUEST_BYTES],
                            const struct mr_seed_request *request)
{
    memcpy(out, request->announcement_hash, MR_HASH_BYTES);
    mr_be32_put(out + MR_HASH_BYTES, request->attempt);
    memcpy(out + MR_HASH_BYTES + 4, request->enc, MR_HPKE_ENC_BYTES);
    memcpy(out + MR_HASH_BYTES + 4 + MR_HPKE_ENC_BYTES, request->sealed, MR_SEALED_SEED_BYTES);
}

int mr_seed_request_decode(struct mr_seed_request *request, const uint8_t *bytes, size_t length,
                           struct mr_error *error)
{
    memset(request, 0, sizeof *request);
    if (length != MR_SEED_REQUEST_BYTES) {
        return mr_error_set(error, "a seed request has %zu bytes, not %zu", MR_SEED_REQUEST_BYTES,
                            length);
    }
    memcpy(request->announcement_hash, bytes, MR_HASH_BYTES);
    request->attempt = mr_be32_get(bytes + MR_HASH_BYTES);
    memcpy(request->enc, bytes + MR_HASH_BYTES + 4, MR_HPKE_ENC_BYTES);
    memcpy(request->sealed, bytes + MR_HASH_BYTES + 4 + MR_HPKE_ENC_BYTES, MR_SEALED_SEED_BYTES);
    if (request->attempt >= MR_ATTEMPTS_MAX) {
        return mr_error_set(error, "attempt %u: attempts are 0 to %d", request->attempt,
                            MR_ATTEMPTS_MAX - 1);
    }
    return 0;
}

static void seed_info(struct mr_transcript *info, const struct mr_key_scope *scope)
{
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(info, "millrace seed");
    mr_transcript_add(info, covered, mr_key_scope_encode(covered, scope));
}

int mr_seed_seal(struct mr_seed_request *request, const uint8_t seed[MR_SEED_BYTES],
                 const struct mr_key_scope *scope, const uint8_t seal_key[MR_HPKE_KEY_BYTES],
                 const uint8_t ephemeral[MR_HPKE_KEY_BYTES])
{
    struct mr_transcript info;
    seed_info(&info, scope);
    const struct mr_hpke_context context = {.info = info.bytes, .info_bytes = info.length};
    memcpy(request->announcement_hash, scope->announcement_hash, MR_HASH_BYTES);
    request->attempt = scope->attempt;
    return mr_hpke_seal(request->enc, request->sealed, ephemeral, seal_key, &context, seed,
                        MR_SEED_BYTES);
}

enum mr_hpke_result mr_seed_open(struct mr_hpke_kit *kit, uint8_t seed[MR_SEED_BYTES],
                                 const struct mr_seed_request *request,
                                 const struct mr_key_scope *scope, const struct mr_hpke_pair *pair)
{
    struct mr_transcript info;
    seed_info(&info, scope);
    const struct mr_hpke_context context = {.info = info.bytes, .info_bytes = info.length};
    return mr_hpke_open(kit, seed, pair, request->enc, &context, request->sealed,
                        MR_SEALED_SEED_BYTES);
}

int mr_sealed_hash(uint8_t hash[MR_HASH_BYTES], const struct mr_seed_request *request)
{
    uint8_t both[MR_HPKE_ENC_BYTES + MR_SEALED_SEED_BYTES];
    memcpy(both, request->enc, MR_HPKE_ENC_BYTES);
    memcpy(both + MR_HPKE_ENC_BYTES, request->sealed, MR_SEALED_SEED_BYTES);
    return SHA256(both, sizeof both, hash) ? 0 : -1;
}
