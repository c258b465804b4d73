/* layout.h - how a vector of D values becomes share bytes and chunks.
 *
 * share bytes = main region ‖ trailer. Main region: L lanes of w bits, where L is D rounded up to a
 * multiple of max(64, rotation block); lanes D..L-1 carry padding. Lane i is the bits i·w to
 * i·w + w − 1 of the region, the least significant first; bit b of a byte string is bit b % 8 of
 * byte b / 8. 64 lanes are whole blocks of 16 bytes at every width, so no bit is left over.
 * Trailer: 16 lanes of 32 bits, little-endian, and 16 more in a round with metrics (metric.h). The
 * mask stream covers the share bytes from byte 0, so the trailer's mask starts at byte offset
 * main_bytes. Chunk c is bytes [c * chunk_bytes, …); the last may be shorter, and is always a
 * multiple of 16 bytes. */
#ifndef MR_WIRE_LAYOUT_H
#define MR_WIRE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_TRAILER_LANES        16 /* of every round */
#define MR_TRAILER_BYTES        64
#define MR_TRAILER_LANES_MAX    32 /* of a round with metrics */
#define MR_TRAILER_BYTES_MAX    128
#define MR_CHUNK_BYTES_DEFAULT  1408
#define MR_CHUNK_BYTES_FALLBACK 1216
#define MR_CHUNK_BYTES_MAX      8896 /* jumbo frames of 9,000 bytes: 139 * 64 */
#define MR_DIMENSION_MAX        (1u << 30)

/* The widths of a ring, narrowest first, and how they are listed in an error. */
#define MR_RING_WIDTHS      6
#define MR_RING_WIDTHS_TEXT "8, 10, 12, 16, 24 and 32"
extern const uint8_t mr_ring_widths[MR_RING_WIDTHS];
bool mr_ring_width_known(uint64_t ring_bits);

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
    MR_TRAILER_METRICS = 16, /* and those after it, where the round has metrics (metrics.h) */
};
/* A device caps lanes 2 to 4 so that sums of 2^32 / 2^20 = 4,096 devices cannot wrap; with larger
 * cohorts they may wrap, and are then reported as unknown. The others never wrap. */
#define MR_TRAILER_VALUE_MAX ((1u << 20) - 1)

struct mr_layout {
    uint8_t ring_bits;       /* one of mr_ring_widths */
    uint32_t dimension;      /* D */
    uint32_t lanes;          /* L: an odd number of blocks of 64 lanes or more, if rotated */
    uint32_t rotation_block; /* 1 = no rotation */
    uint32_t chunk_bytes;
    uint32_t chunks;
    uint64_t main_bytes; /* L * w / 8, a multiple of 16 */
    uint32_t trailer_lanes;
    uint64_t share_bytes; /* main_bytes + 4 * trailer_lanes */
};

/* Fills the layout. Returns 0, or -1 if there is no such ring, dimension is 0 or above
 * MR_DIMENSION_MAX, rotation_log2 > 16, chunk_bytes is no multiple of 64 in [64,
 * MR_CHUNK_BYTES_MAX], or there would be more than 2^32 - 1 chunks. */
int mr_layout_init(struct mr_layout *layout, uint8_t ring_bits, uint64_t dimension,
                   uint8_t rotation_log2, uint32_t chunk_bytes);

/* The layout has the trailer of a round with metrics; once. 0, or -1 if there would be more than
 * 2^32 - 1 chunks. */
int mr_layout_add_metrics(struct mr_layout *layout);

static inline uint32_t mr_layout_trailer_bytes(const struct mr_layout *layout)
{
    return layout->trailer_lanes * 4;
}

/* Bytes of chunk c (c < chunks). */
static inline uint32_t mr_layout_chunk_length(const struct mr_layout *layout, uint32_t chunk)
{
    uint64_t start = (uint64_t)chunk * layout->chunk_bytes;
    uint64_t left = layout->share_bytes - start;
    return left < layout->chunk_bytes ? (uint32_t)left : layout->chunk_bytes;
}

/* Bytes of a lane's accumulator: the least of 1, 2 and 4 that hold it. */
static inline unsigned mr_ring_accumulator(uint8_t ring_bits)
{
    return ring_bits > 16 ? 4 : ring_bits > 8 ? 2 : 1;
}

/* Whether lanes are narrower on the wire than in an accumulator, whose high bits then mean nothing.
 */
static inline bool mr_layout_packed(const struct mr_layout *layout)
{
    return 8 * mr_ring_accumulator(layout->ring_bits) != layout->ring_bits;
}

/* Accumulator bytes of the main region; a multiple of 64. */
static inline uint64_t mr_layout_accumulator_bytes(const struct mr_layout *layout)
{
    return (uint64_t)layout->lanes * mr_ring_accumulator(layout->ring_bits);
}

/* One lane of w bits of a region, any alignment: read, and written (its low w bits). */
uint32_t mr_ring_read(const uint8_t *region, uint8_t ring_bits, uint32_t lane);
void mr_ring_write(uint8_t *region, uint8_t ring_bits, uint32_t lane, uint32_t value);

#endif
