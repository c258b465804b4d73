/* lane.h - inside kernels/ only: one ring lane at any address, little-endian hosts. */
#ifndef MR_KERNELS_LANE_H
#define MR_KERNELS_LANE_H

#include <stdint.h>
#include <string.h>

static inline uint16_t lane_load16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline uint32_t lane_load24(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

static inline void lane_store24(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
    at[2] = (uint8_t)(v >> 16);
}

static inline uint32_t lane_load32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

#endif
