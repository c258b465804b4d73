/* mask_scalar.c - expand and add by the bitsliced AES. Also mr_mask_stream_init. */
#include "kernels/aes_scalar.h"
#include "kernels/counter.h"
#include "kernels/lane.h"
#include "kernels/levels.h"
#include "kernels/mask_span.h"

/* Keystream made at once: whole AES batches and whole lanes of 2, 3 and 4 bytes. */
#define SPAN_BYTES 384

struct keystream {
    struct aes_scalar aes;
    struct counter ctr;
    uint8_t bytes[SPAN_BYTES];
};

static void keystream_init(struct keystream *ks, const struct mr_mask_stream *mask, uint64_t offset)
{
    mr_aes_scalar_init(&ks->aes, mask->round_keys);
    ks->ctr = counter_at(mask, offset);
}

/* The next `need` <= SPAN_BYTES bytes of the stream; a short span must be the last. */
static const uint8_t *keystream_next(struct keystream *ks, size_t need)
{
    for (size_t at = 0; at < need; at += AES_SCALAR_BATCH * 16) {
        for (unsigned k = 0; k < AES_SCALAR_BATCH; k++) {
            counter_store(ks->bytes + at + 16 * k, &ks->ctr);
            counter_add(&ks->ctr, 1);
        }
        mr_aes_scalar_encrypt(&ks->aes, ks->bytes + at);
    }
    return ks->bytes;
}

static void keystream_fini(struct keystream *ks)
{
    explicit_bzero(ks, sizeof *ks);
}

static size_t span_lanes(size_t left, size_t lane_bytes)
{
    const size_t most = SPAN_BYTES / lane_bytes;
    return left < most ? left : most;
}

void mr_mask_stream_init(struct mr_mask_stream *mask, const uint8_t key[16],
                         const uint8_t counter[16])
{
    mr_aes_scalar_expand_key(mask->round_keys, key);
    memcpy(mask->counter, counter, sizeof mask->counter);
}

void mr_mask_expand_scalar(uint8_t *out, const struct mr_mask_stream *mask, uint64_t offset,
                           size_t bytes)
{
    struct keystream ks;
    keystream_init(&ks, mask, offset);
    for (size_t done = 0, take; done < bytes; done += take) {
        take = span_lanes(bytes - done, 1);
        memcpy(out + done, keystream_next(&ks, take), take);
    }
    keystream_fini(&ks);
}

void mr_mask_add_w8_scalar(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                           size_t lanes)
{
    mr_mask_span_add_w8(acc, mask, offset, lanes, mr_mask_expand_scalar, mr_fold_w8_scalar);
}

void mr_mask_sub_w8_scalar(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                           size_t lanes)
{
    mr_mask_span_sub_w8(vec, mask, offset, lanes, mr_mask_expand_scalar);
}

void mr_mask_add_narrow_scalar(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                               size_t lanes, unsigned bits)
{
    mr_mask_span_add_narrow(acc, mask, offset, lanes, bits, mr_mask_expand_scalar,
                            mr_fold_narrow_scalar);
}

void mr_mask_sub_narrow_scalar(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                               size_t lanes, unsigned bits)
{
    mr_mask_span_sub_narrow(packed, mask, offset, lanes, bits, mr_mask_expand_scalar);
}

void mr_mask_add_w16_scalar(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    struct keystream ks;
    keystream_init(&ks, mask, offset);
    for (size_t done = 0, take; done < lanes; done += take) {
        take = span_lanes(lanes - done, 2);
        const uint8_t *key = keystream_next(&ks, 2 * take);
        for (size_t i = 0; i < take; i++) {
            acc[done + i] = (uint16_t)(acc[done + i] + lane_load16(key + 2 * i));
        }
    }
    keystream_fini(&ks);
}

void mr_mask_add_w24_scalar(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    mr_mask_span_add_w24(acc, mask, offset, lanes, mr_mask_expand_scalar, mr_add_w24_scalar);
}

void mr_mask_add_w32_scalar(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    struct keystream ks;
    keystream_init(&ks, mask, offset);
    for (size_t done = 0, take; done < lanes; done += take) {
        take = span_lanes(lanes - done, 4);
        const uint8_t *key = keystream_next(&ks, 4 * take);
        for (size_t i = 0; i < take; i++) {
            acc[done + i] += lane_load32(key + 4 * i);
        }
    }
    keystream_fini(&ks);
}

void mr_mask_sub_w16_scalar(uint16_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    struct keystream ks;
    keystream_init(&ks, mask, offset);
    for (size_t done = 0, take; done < lanes; done += take) {
        take = span_lanes(lanes - done, 2);
        const uint8_t *key = keystream_next(&ks, 2 * take);
        for (size_t i = 0; i < take; i++) {
            vec[done + i] = (uint16_t)(vec[done + i] - lane_load16(key + 2 * i));
        }
    }
    keystream_fini(&ks);
}

static void sub_packed(uint8_t *packed, const uint8_t *ks, size_t lanes)
{
    for (size_t i = 0; i < 3 * lanes; i += 3) {
        lane_store24(packed + i, lane_load24(packed + i) - lane_load24(ks + i));
    }
}

void mr_mask_sub_w24_scalar(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    mr_mask_span_sub_w24(packed, mask, offset, lanes, mr_mask_expand_scalar, sub_packed);
}

void mr_mask_sub_w32_scalar(uint32_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    struct keystream ks;
    keystream_init(&ks, mask, offset);
    for (size_t done = 0, take; done < lanes; done += take) {
        take = span_lanes(lanes - done, 4);
        const uint8_t *key = keystream_next(&ks, 4 * take);
        for (size_t i = 0; i < take; i++) {
            vec[done + i] -= lane_load32(key + 4 * i);
        }
    }
    keystream_fini(&ks);
}
