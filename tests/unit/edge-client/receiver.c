#include "tests/unit/edge-client/receiver.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/edge-client/check.h"

void receiver_init(struct receiver *r, const struct mr_layout *layout, uint64_t upload_id,
                   uint64_t round, uint32_t attempt, const struct mr_upload_keys *keys,
                   uint32_t window)
{
    memset(r, 0, sizeof *r);
    r->layout = layout;
    r->upload_id = upload_id;
    r->round = round;
    r->attempt = attempt;
    r->keys = *keys;
    r->window = window;
    r->state = MR_UPLOAD_RECEIVING;
    r->share = calloc(1, layout->share_bytes);
    r->seen = calloc(1, layout->chunks);
    r->digests = calloc(layout->chunks, sizeof *r->digests);
    r->up = mr_aead_open();
    r->down = mr_aead_open();
    CHECK(r->share && r->seen && r->digests && r->up && r->down);
    CHECK(!mr_aead_rekey(r->up, &keys->up) && !mr_aead_rekey(r->down, &keys->down));
}

void receiver_fini(struct receiver *r)
{
    free(r->share);
    free(r->seen);
    free(r->digests);
    mr_aead_close(r->up);
    mr_aead_close(r->down);
    memset(r, 0, sizeof *r);
}

void receiver_take(struct receiver *r, const uint8_t *bytes, size_t length)
{
    struct mr_datagram d;
    uint8_t digest[32];
    CHECK(mr_datagram_decode(&d, bytes, length) == MR_DATAGRAM_OK);
    CHECK(d.type == MR_DATAGRAM_CHUNK && d.upload_id == r->upload_id && d.round == r->round);
    CHECK(d.attempt == r->attempt && d.chunk < r->layout->chunks);
    CHECK(d.length == mr_layout_chunk_length(r->layout, d.chunk));
    EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL);
    if (r->seen[d.chunk]) {
        CHECK(memcmp(digest, r->digests[d.chunk], sizeof digest) == 0);
        return;
    }
    const uint8_t *cipher = bytes + MR_DATAGRAM_HEADER_BYTES;
    CHECK(!mr_aead_unseal(r->up,
                          &(struct mr_aead_message){.sequence = d.chunk,
                                                    .aad = bytes,
                                                    .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                    .text = cipher,
                                                    .bytes = d.length},
                          cipher + d.length,
                          r->share + (uint64_t)d.chunk * r->layout->chunk_bytes));
    memcpy(r->digests[d.chunk], digest, sizeof digest);
    r->seen[d.chunk] = 1;
    r->received++;
    while (r->base < r->layout->chunks && r->seen[r->base]) {
        r->base++;
    }
    if (r->received == r->layout->chunks && r->state == MR_UPLOAD_RECEIVING) {
        r->state = MR_UPLOAD_STAGED;
    }
}

size_t receiver_seal(struct receiver *r, uint32_t number, const struct mr_ack *ack, uint8_t *out)
{
    struct mr_datagram d = {.type = MR_DATAGRAM_ACK,
                            .length = MR_ACK_BYTES,
                            .upload_id = r->upload_id,
                            .round = r->round,
                            .attempt = r->attempt,
                            .chunk = number};
    uint8_t plain[MR_ACK_BYTES];
    uint8_t *cipher = out + MR_DATAGRAM_HEADER_BYTES;
    mr_datagram_encode(out, &d);
    mr_ack_encode(plain, ack);
    CHECK(!mr_aead_seal(r->down,
                        &(struct mr_aead_message){.sequence = number,
                                                  .aad = out,
                                                  .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                  .text = plain,
                                                  .bytes = sizeof plain},
                        cipher, cipher + sizeof plain));
    return MR_DATAGRAM_OVERHEAD + MR_ACK_BYTES;
}

size_t receiver_ack(struct receiver *r, uint8_t *out)
{
    struct mr_ack ack = {.state = r->state,
                         .reason = r->reason,
                         .received = r->received,
                         .window = r->window,
                         .base = r->base};
    for (uint32_t i = 0; i < 8 * MR_ACK_BITMAP_BYTES && r->base + i < r->layout->chunks; i++) {
        if (r->seen[r->base + i]) {
            ack.bitmap[i / 8] |= (uint8_t)(1u << i % 8);
        }
    }
    return receiver_seal(r, r->ack_number++, &ack, out);
}
