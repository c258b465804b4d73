#include "wire/layout.h"

const uint8_t mr_ring_widths[MR_RING_WIDTHS] = {8, 10, 12, 16, 24, 32};

bool mr_ring_width_known(uint64_t ring_bits)
{
    for (unsigned i = 0; i < MR_RING_WIDTHS; i++) {
        if (mr_ring_widths[i] == ring_bits) {
            return true;
        }
    }
    return false;
}

int mr_layout_init(struct mr_layout *layout, uint8_t ring_bits, uint64_t dimension,
                   uint8_t rotation_log2, uint32_t chunk_bytes)
{
    if (!mr_ring_width_known(ring_bits) || rotation_log2 > 16) {
        return -1;
    }
    if (dimension == 0 || dimension > MR_DIMENSION_MAX) {
        return -1;
    }
    if (chunk_bytes == 0 || chunk_bytes % 64 != 0 || chunk_bytes > MR_CHUNK_BYTES_MAX) {
        return -1;
    }
    uint32_t block = 1u << rotation_log2;
    uint64_t unit = block > 64 ? block : 64;
    uint64_t units = (dimension + unit - 1) / unit;
    if (rotation_log2 > 0) {
        units |=
            1; /* values that lie a power of two apart fall on all of an odd number of blocks */
    }
    const uint64_t lanes = units * unit; /* at most 2^30 + 2^16 */
    uint64_t main_bytes = lanes / 8 * ring_bits;
    uint64_t share_bytes = main_bytes + MR_TRAILER_BYTES;
    uint64_t chunks = (share_bytes + chunk_bytes - 1) / chunk_bytes;
    if (chunks > UINT32_MAX) {
        return -1;
    }
    *layout = (struct mr_layout){
        .ring_bits = ring_bits,
        .dimension = (uint32_t)dimension,
        .lanes = (uint32_t)lanes,
        .rotation_block = block,
        .chunk_bytes = chunk_bytes,
        .chunks = (uint32_t)chunks,
        .main_bytes = main_bytes,
        .trailer_lanes = MR_TRAILER_LANES,
        .share_bytes = share_bytes,
    };
    return 0;
}

/* At these widths a lane reaches into four bytes at most. */
uint32_t mr_ring_read(const uint8_t *region, uint8_t ring_bits, uint32_t lane)
{
    const uint64_t bit = (uint64_t)lane * ring_bits;
    const unsigned shift = bit % 8, bytes = (shift + ring_bits + 7) / 8;
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint32_t)region[bit / 8 + i] << (8 * i);
    }
    return value >> shift & UINT32_MAX >> (32 - ring_bits);
}

void mr_ring_write(uint8_t *region, uint8_t ring_bits, uint32_t lane, uint32_t value)
{
    const uint64_t bit = (uint64_t)lane * ring_bits;
    const unsigned shift = bit % 8, bytes = (shift + ring_bits + 7) / 8;
    const uint32_t mask = (UINT32_MAX >> (32 - ring_bits)) << shift;
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t *at = &region[bit / 8 + i];
        const uint8_t own = (uint8_t)(mask >> (8 * i));
        *at = (uint8_t)((*at & ~own) | ((value << shift) >> (8 * i) & own));
    }
}

int mr_layout_add_metrics(struct mr_layout *layout)
{
    const uint64_t share_bytes = layout->main_bytes + MR_TRAILER_BYTES_MAX;
    const uint64_t chunks = (share_bytes + layout->chunk_bytes - 1) / layout->chunk_bytes;
    if (chunks > UINT32_MAX) {
        return -1;
    }
    layout->trailer_lanes = MR_TRAILER_LANES_MAX;
    layout->share_bytes = share_bytes;
    layout->chunks = (uint32_t)chunks;
    return 0;
}
