#include "wire/layout.h"

#include <stdbool.h>

static bool ring_known(uint8_t ring_bits)
{
    return ring_bits == 16 || ring_bits == 24 || ring_bits == 32;
}

int mr_layout_init(struct mr_layout *layout, uint8_t ring_bits, uint64_t dimension,
                   uint8_t rotation_log2, uint32_t chunk_bytes)
{
    if (!ring_known(ring_bits) || rotation_log2 > 16) {
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
    uint64_t lanes = (dimension + unit - 1) / unit * unit; /* at most 2^30, as is D */
    uint64_t main_bytes = lanes * (ring_bits / 8);
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
        .share_bytes = share_bytes,
    };
    return 0;
}
