/* layout.h - how a vector of D values becomes share bytes and chunks.
 *
 * share bytes = main region ‖ trailer. Main region: L lanes of w bits, little-endian, where L is D
 * rounded up to a multiple of max(64, rotation block); lanes D..L-1 carry padding. Trailer: 16
 * lanes of 32 bits, little-endian. The mask stream covers the share bytes from byte 0, so the
 * trailer's mask starts at byte offset main_bytes. Chunk c is bytes [c * chunk_bytes, …); the last
 * may be shorter, and is always a multiple of 64 bytes. */
#ifndef MR_WIRE_LAYOUT_H
#define MR_WIRE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define MR_TRAILER_LANES        16
#define MR_TRAILER_BYTES        64
#define MR_CHUNK_BYTES_DEFAULT  1408
#define MR_CHUNK_BYTES_FALLBACK 1216
#define MR_CHUNK_BYTES_MAX      8896 /* jumbo frames of 9,000 bytes: 139 * 64 */
#define MR_DIMENSION_MAX        (1u << 30)

/* What each trailer lane sums (units in the name, or of quantiser.h). */
enum mr_trailer_lane {
    MR_TRAILER_COUNT = 0,       /* always 1 */
    MR_TRAILER_WEIGHT = 1,      /* ω, 1..weight_max */
    MR_TRAILER_EXAMPLES = 2,    /* examples trained on, at most MR_TRAILER_VALUE_MAX */
    MR_TRAILER_LOSS_MILLI = 3,  /* mean training loss × 1000, likewise */
    MR_TRAILER_DRIFT_MILLI = 4, /* L2 norm of the delta before clipping × 1000, likewise */
    MR_TRAILER_SATURATED = 5,   /* share of lanes that saturated × mr_lane_share_unit */
    MR_TRAILER_NOISE = 6,       /* mean over lanes of (q − y)² × mr_lane_mean_unit */
    MR_TRAILER_RESOLUTION = 7,  /* mean over lanes of |q| × mr_lane_mean_unit */
    MR_TRAILER_NORMS =
        8, /* and the 7 after it: 1 in the bin of the weighted norm; none: last bin */
};
/* A device caps lanes 2 to 4 so that sums of 2^32 / 2^20 = 4,096 devices cannot wrap; with larger
 * cohorts they may wrap, and are then reported as unknown. The others never wrap. */
#define MR_TRAILER_VALUE_MAX ((1u << 20) - 1)

struct mr_layout {
    uint8_t ring_bits;       /* 16, 24 or 32 */
    uint32_t dimension;      /* D */
    uint32_t lanes;          /* L */
    uint32_t rotation_block; /* 1 = no rotation */
    uint32_t chunk_bytes;
    uint32_t chunks;
    uint64_t main_bytes;  /* L * w / 8, a multiple of 64 */
    uint64_t share_bytes; /* main_bytes + MR_TRAILER_BYTES */
};

/* Fills the layout. Returns 0, or -1 if ring_bits is not 16/24/32, dimension is 0 or above
 * MR_DIMENSION_MAX, rotation_log2 > 16, chunk_bytes is no multiple of 64 in [64,
 * MR_CHUNK_BYTES_MAX], or there would be more than 2^32 - 1 chunks. */
int mr_layout_init(struct mr_layout *layout, uint8_t ring_bits, uint64_t dimension,
                   uint8_t rotation_log2, uint32_t chunk_bytes);

/* Bytes of chunk c (c < chunks). */
static inline uint32_t mr_layout_chunk_length(const struct mr_layout *layout, uint32_t chunk)
{
    uint64_t start = (uint64_t)chunk * layout->chunk_bytes;
    uint64_t left = layout->share_bytes - start;
    return left < layout->chunk_bytes ? (uint32_t)left : layout->chunk_bytes;
}

/* Accumulator bytes of the main region: lanes * 2 (w=16) or lanes * 4. */
static inline uint64_t mr_layout_accumulator_bytes(const struct mr_layout *layout)
{
    return (uint64_t)layout->lanes * (layout->ring_bits == 16 ? 2 : 4);
}

#endif
