/* keys.h - the key schedule: masks from seeds, upload keys from the TLS exporter.
 *
 * Reproduces the vectors of tests/vectors/share.json. Everything here is secret: wipe it. */
#ifndef MR_WIRE_KEYS_H
#define MR_WIRE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "wire/layout.h"
#include "wire/task.h"

#define MR_SEED_BYTES     32
#define MR_EKM_BYTES      32
#define MR_EXPORTER_LABEL "EXPORTER-Millrace-upload"

/* Names one use of a seed, of its seal, of an upload key or of a receipt: task, round by its hash,
 * device, hub, attempt. */
struct mr_key_scope {
    const char *task;                 /* mr_task_name_valid */
    const uint8_t *announcement_hash; /* 32 bytes */
    const uint8_t *client_id;         /* 16 bytes */
    uint16_t hub_index;               /* the helper for masks, the lead for uploads */
    uint32_t attempt;
};

/* len8(task) ‖ task ‖ announcement_hash ‖ client16 ‖ be16(hub) ‖ be32(attempt): what masks, sealed
 * seeds, receipts and upload keys cover. Returns the length. */
#define MR_KEY_SCOPE_BYTES_MAX (1 + MR_TASK_NAME_MAX + 54)
size_t mr_key_scope_encode(uint8_t out[MR_KEY_SCOPE_BYTES_MAX], const struct mr_key_scope *scope);

/* HMAC-SHA256(seed, len8(label) ‖ "millrace mask" ‖ scope) = key ‖ counter, key schedule expanded.
 * 0, or -1 when OpenSSL fails. */
int mr_mask_derive(struct mr_mask_stream *mask, const uint8_t seed[MR_SEED_BYTES],
                   const struct mr_key_scope *scope);

/* The mask's value in the trailer's lane MR_TRAILER_COUNT. */
uint32_t mr_mask_count(const struct mr_mask_stream *mask, const struct mr_layout *layout);

/* HMAC-SHA256(rotation_seed, len8(label) ‖ "millrace rotation" ‖ be64(round)) = key ‖ counter. Bit
 * i of the stream (bit i % 8 of byte i / 8) is set where lane i changes its sign: the caller
 * expands lanes / 8 bytes with mask_expand and hands them to flip_signs. Public, as the seed is. A
 * device flips, then transforms each block; a hub transforms, then flips. 0, or -1 when OpenSSL
 * fails. */
int mr_rotation_derive(struct mr_mask_stream *signs, const uint8_t rotation_seed[32],
                       uint64_t round);

/* One direction of an upload's datagrams: AES-128-GCM key and the 12-byte IV base. */
struct mr_aead_key {
    uint8_t key[16];
    uint8_t iv[12];
};

struct mr_upload_keys {
    struct mr_aead_key
        up; /* device to hub: HKDF-Expand(EKM, "millrace up key" / "millrace up iv") */
    struct mr_aead_key down; /* hub to device: "millrace down key" / "millrace down iv" */
};

/* What one connection gives for one upload: HKDF-Expand-SHA256 of what its TLS exporter gives for
 * MR_EXPORTER_LABEL without a context, with len8(label) ‖ "millrace upload" ‖ scope as info. 0, or
 * -1 when OpenSSL fails. */
#define MR_CONNECTION_SECRET_BYTES 32
int mr_upload_ekm(uint8_t ekm[MR_EKM_BYTES], const uint8_t secret[MR_CONNECTION_SECRET_BYTES],
                  const struct mr_key_scope *scope);

/* HKDF-Expand-SHA256. 0, or -1 when OpenSSL fails. */
int mr_upload_keys_derive(struct mr_upload_keys *keys, const uint8_t ekm[MR_EKM_BYTES]);

#endif
