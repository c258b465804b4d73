#include "wire/keys.h"

#include <string.h>

#include <openssl/crypto.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

/* HMAC output = AES-128 key ‖ counter block. */
static int derive_stream(struct mr_mask_stream *stream, const uint8_t key[32],
                         struct mr_transcript *transcript)
{
    uint8_t mac[32];
    int status = mr_transcript_hmac(mac, key, transcript);
    if (status == 0) {
        mr_mask_stream_init(stream, mac, mac + 16);
    }
    OPENSSL_cleanse(mac, sizeof mac);
    return status;
}

size_t mr_key_scope_encode(uint8_t out[MR_KEY_SCOPE_BYTES_MAX], const struct mr_key_scope *scope)
{
    MR_ASSERT(mr_task_name_valid(scope->task));
    const size_t length = strlen(scope->task);
    uint8_t *p = out;
    *p++ = (uint8_t)length;
    memcpy(p, scope->task, length);
    p += length;
    memcpy(p, scope->announcement_hash, 32);
    memcpy(p + 32, scope->client_id, 16);
    mr_be16_put(p + 48, scope->hub_index);
    mr_be32_put(p + 50, scope->attempt);
    return 1 + length + 54;
}

int mr_mask_derive(struct mr_mask_stream *mask, const uint8_t seed[MR_SEED_BYTES],
                   const struct mr_key_scope *scope)
{
    struct mr_transcript transcript;
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(&transcript, "millrace mask");
    mr_transcript_add(&transcript, covered, mr_key_scope_encode(covered, scope));
    return derive_stream(mask, seed, &transcript);
}

uint32_t mr_mask_count(const struct mr_mask_stream *mask, const struct mr_layout *layout)
{
    uint8_t block[16]; /* the trailer starts at a multiple of 64 */
    uint32_t value;
    _Static_assert(MR_TRAILER_COUNT == 0, "the first lane of the trailer");
    mr_kernels_at(MR_CPU_SCALAR)->mask_expand(block, mask, layout->main_bytes, sizeof block);
    memcpy(&value, block, sizeof value); /* lanes are little-endian, and so are hosts */
    OPENSSL_cleanse(block, sizeof block);
    return value;
}

int mr_rotation_derive(struct mr_mask_stream *signs, const uint8_t rotation_seed[32],
                       uint64_t round)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace rotation");
    mr_transcript_add64(&transcript, round);
    return derive_stream(signs, rotation_seed, &transcript);
}

int mr_upload_ekm(uint8_t ekm[MR_EKM_BYTES], const uint8_t secret[MR_CONNECTION_SECRET_BYTES],
                  const struct mr_key_scope *scope)
{
    struct mr_transcript transcript;
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(&transcript, "millrace upload");
    mr_transcript_add(&transcript, covered, mr_key_scope_encode(covered, scope));
    return mr_transcript_expand(ekm, MR_EKM_BYTES, secret, &transcript);
}

static int hkdf_expand(const uint8_t ekm[MR_EKM_BYTES], const char *info, uint8_t *out,
                       size_t bytes)
{
    struct mr_transcript text = {.length = 0};
    mr_transcript_add(&text, (const uint8_t *)info, strlen(info));
    return mr_transcript_expand(out, bytes, ekm, &text);
}

int mr_upload_keys_derive(struct mr_upload_keys *keys, const uint8_t ekm[MR_EKM_BYTES])
{
    int bad = hkdf_expand(ekm, "millrace up key", keys->up.key, sizeof keys->up.key);
    bad |= hkdf_expand(ekm, "millrace up iv", keys->up.iv, sizeof keys->up.iv);
    bad |= hkdf_expand(ekm, "millrace down key", keys->down.key, sizeof keys->down.key);
    bad |= hkdf_expand(ekm, "millrace down iv", keys->down.iv, sizeof keys->down.iv);
    if (bad != 0) {
        OPENSSL_cleanse(keys, sizeof *keys);
    }
    return bad != 0 ? -1 : 0;
}
