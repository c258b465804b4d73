#include "upload_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

uint64_t kit_random(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void kit_fill(uint64_t *seed, void *bytes, size_t count)
{
    uint8_t *out = bytes;

    for (size_t i = 0; i < count; i += 8) {
        const uint64_t word = kit_random(seed);
        memcpy(out + i, &word, count - i < 8 ? count - i : 8);
    }
}

void kit_shuffle(uint64_t *seed, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t j = (uint32_t)(kit_random(seed) % i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

void kit_terms(struct mr_round_terms *terms, uint8_t ring_bits, uint64_t dimension,
               uint32_t chunk_bytes)
{
    memset(terms, 0, sizeof *terms);
    terms->announcement.round = KIT_ROUND;
    assert_int_equal(mr_layout_init(&terms->layout, ring_bits, dimension, 0, chunk_bytes), 0);
}

void kit_device_init(struct kit_device *device, const struct mr_layout *layout, uint64_t *seed)
{
    memset(device, 0, sizeof *device);
    device->layout = layout;
    device->round = KIT_ROUND;
    kit_fill(seed, &device->keys, sizeof device->keys);
    device->up = mr_aead_open();
    device->down = mr_aead_open();
    assert_non_null(device->up);
    assert_non_null(device->down);
    assert_int_equal(mr_aead_rekey(device->up, &device->keys.up), 0);
    assert_int_equal(mr_aead_rekey(device->down, &device->keys.down), 0);
    device->share = aligned_alloc(64, (layout->share_bytes + 63) / 64 * 64);
    assert_non_null(device->share);
    kit_fill(seed, device->share, layout->share_bytes);
}

void kit_device_fini(struct kit_device *device)
{
    mr_aead_close(device->up);
    mr_aead_close(device->down);
    free(device->share);
}

uint32_t kit_seal(const struct kit_device *device, uint32_t chunk,
                  uint8_t datagram[KIT_DATAGRAM_MAX])
{
    const uint32_t bytes = mr_layout_chunk_length(device->layout, chunk);
    const struct mr_datagram header = {.type = MR_DATAGRAM_CHUNK,
                                       .length = (uint16_t)bytes,
                                       .upload_id = device->upload_id,
                                       .round = device->round,
                                       .attempt = device->attempt,
                                       .chunk = chunk};
    uint8_t *cipher = datagram + MR_DATAGRAM_HEADER_BYTES;

    mr_datagram_encode(datagram, &header);
    assert_int_equal(
        mr_aead_seal(device->up,
                     &(struct mr_aead_message){
                         .sequence = chunk,
                         .aad = datagram,
                         .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                         .text = device->share + (uint64_t)chunk * device->layout->chunk_bytes,
                         .bytes = bytes},
                     cipher, cipher + bytes),
        0);
    return bytes + MR_DATAGRAM_OVERHEAD;
}

int64_t kit_open_ack(const struct kit_device *device, const uint8_t *datagram, size_t length,
                     struct mr_ack *ack)
{
    const uint8_t *cipher = datagram + MR_DATAGRAM_HEADER_BYTES;
    struct mr_datagram header;
    uint8_t plain[MR_ACK_BYTES];

    if (mr_datagram_decode(&header, datagram, length) != MR_DATAGRAM_OK ||
        header.type != MR_DATAGRAM_ACK || header.upload_id != device->upload_id ||
        header.round != device->round || header.attempt != device->attempt ||
        header.length != MR_ACK_BYTES ||
        mr_aead_unseal(device->down,
                       &(struct mr_aead_message){.sequence = header.chunk,
                                                 .aad = datagram,
                                                 .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                 .text = cipher,
                                                 .bytes = MR_ACK_BYTES},
                       cipher + MR_ACK_BYTES, plain) != 0 ||
        mr_ack_decode(ack, plain, sizeof plain) != 0) {
        return -1;
    }
    return header.chunk;
}

bool kit_lacks_source(const char *kind)
{
    const struct mr_packet_source_config config = {.kind = kind, .listen_host = "127.0.0.1"};
    struct mr_error error = {0};
    char why[160];
    struct mr_packet_source *source = mr_packet_source_open(&config, why, &error);

    if (source) {
        source->ops->close(source);
        return false;
    }
    fprintf(stderr, "skipped: %s\n", error.text);
    return true;
}

struct mr_peer_address kit_address(uint32_t host, uint16_t port)
{
    struct mr_peer_address address = {.port = port};

    address.host.s6_addr[10] = 0xff;
    address.host.s6_addr[11] = 0xff;
    mr_be32_put(&address.host.s6_addr[12], host);
    return address;
}

void kit_sum_init(struct kit_sum *sum, const struct mr_layout *layout)
{
    memset(sum, 0, sizeof *sum);
    sum->layout = *layout;
    sum->lanes = calloc(layout->lanes, sizeof *sum->lanes);
    assert_non_null(sum->lanes);
}

void kit_sum_fini(struct kit_sum *sum)
{
    free(sum->lanes);
}

static uint64_t little_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

void kit_sum_share(struct kit_sum *sum, const uint8_t *share)
{
    for (uint32_t i = 0; i < sum->layout.lanes; i++) {
        sum->lanes[i] += mr_ring_read(share, sum->layout.ring_bits, i);
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        sum->trailer[i] += little_endian(share + sum->layout.main_bytes + 4 * i, 4);
    }
}

void kit_sum_part(struct kit_sum *sum, const struct mr_vector_sum *part)
{
    const unsigned bytes = mr_ring_accumulator(sum->layout.ring_bits);

    if (!part->lanes) {
        return;
    }
    for (uint32_t i = 0; i < sum->layout.lanes; i++) {
        sum->lanes[i] += little_endian((const uint8_t *)part->lanes + (size_t)i * bytes, bytes);
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        sum->trailer[i] += part->trailer[i];
    }
}

void kit_sum_equal(const struct kit_sum *a, const struct kit_sum *b)
{
    const uint64_t mask = (UINT64_C(1) << a->layout.ring_bits) - 1;

    for (uint32_t i = 0; i < a->layout.lanes; i++) {
        if (((a->lanes[i] ^ b->lanes[i]) & mask) != 0) {
            fail_msg("lane %u differs", i);
        }
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        assert_int_equal((uint32_t)a->trailer[i], (uint32_t)b->trailer[i]);
    }
}
