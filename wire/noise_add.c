/* Lanes are little-endian in memory as on the wire (wire/layout.h). */
#include "wire/noise_add.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/assert.h"
#include "wire/announcement_privacy.h"
#include "wire/gauss.h"
#include "wire/metric.h"

#define STRIDE 1024u /* lanes; what they need stays in L1 beside the sampler's tables */

struct mr_noise_tables {
    uint64_t sigma2[MR_NOISE_GROUPS]; /* 0: none */
    struct mr_gauss_table of[MR_NOISE_GROUPS];
};

int mr_noise_tables_prepare(struct mr_noise_tables **tables,
                            const struct mr_announcement *announcement)
{
    if (announcement->noise_kind == MR_NOISE_NONE) {
        return 0;
    }
    if (!*tables && !(*tables = calloc(1, sizeof **tables))) {
        return -1;
    }
    for (enum mr_noise_group group = 0; group < MR_NOISE_GROUPS; group++) {
        const uint64_t sigma2 = mr_announcement_sigma2(announcement, group);
        if (sigma2 == 0 || (*tables)->sigma2[group] == sigma2) {
            continue;
        }
        (*tables)->sigma2[group] = 0;
        if (mr_gauss_table_init(&(*tables)->of[group], sigma2, 1) != 0) {
            return -1;
        }
        (*tables)->sigma2[group] = sigma2;
    }
    return 0;
}

void mr_noise_tables_free(struct mr_noise_tables *tables)
{
    free(tables);
}

/* Where a group's lanes lie in a packed result. */
struct lanes {
    uint8_t *at;
    uint8_t bits; /* of a lane */
    uint32_t count;
};

static struct lanes lanes_of(uint8_t *packed, const struct mr_round_terms *terms,
                             enum mr_noise_group group)
{
    const struct mr_layout *layout = &terms->layout;
    uint8_t *trailer = packed + layout->main_bytes;
    switch (group) {
    case MR_NOISE_NORMS:
        return (struct lanes){trailer + (size_t)4 * MR_TRAILER_NORMS, 32, mr_noise_lanes(group, 0)};
    case MR_NOISE_METRICS:
        return (struct lanes){trailer + (size_t)4 * MR_TRAILER_METRICS, 32,
                              mr_metric_lanes(&terms->announcement)};
    case MR_NOISE_WEIGHT:
        return (struct lanes){trailer + (size_t)4 * MR_TRAILER_WEIGHT, 32, 1};
    default:
        return (struct lanes){packed, layout->ring_bits, layout->lanes};
    }
}

static void add_w16(uint8_t *at, const uint32_t *samples, size_t count)
{
    uint16_t *lanes = (uint16_t *)(void *)at;
    for (size_t i = 0; i < count; i++) {
        lanes[i] = (uint16_t)(lanes[i] + samples[i]);
    }
}

/* Lanes of any width, from `first` on. */
static void add_packed(const struct lanes *lanes, uint32_t first, const uint32_t *samples,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t lane = mr_ring_read(lanes->at, lanes->bits, first + i);
        mr_ring_write(lanes->at, lanes->bits, first + i, lane + samples[i]);
    }
}

/* The samples, and what becomes of them with the lanes that they are for: secret. */
struct stride {
    uint32_t samples[STRIDE], sums[STRIDE];
};

static void add_w24(uint8_t *at, struct stride *stride, size_t count,
                    const struct mr_kernels *kernels)
{
    kernels->unpack_w24(stride->sums, at, count);
    kernels->add_w32(stride->sums, stride->samples, count);
    kernels->pack_w24(at, stride->sums, count);
}

static int add_samples(const struct lanes *lanes, struct mr_gauss *gauss)
{
    struct stride stride;
    const struct mr_kernels *kernels = gauss->kernels;
    int result = 0;
    for (uint32_t done = 0; done < lanes->count && result == 0; done += STRIDE) {
        const uint32_t left = lanes->count - done, n = left < STRIDE ? left : STRIDE;
        uint8_t *at = lanes->at + (size_t)done * lanes->bits / 8; /* STRIDE lanes: whole bytes */
        result = mr_gauss_fill(gauss, (int32_t *)stride.samples, n);
        if (result != 0) {
            break;
        }
        if (lanes->bits == 16) {
            add_w16(at, stride.samples, n);
        } else if (lanes->bits == 24) {
            add_w24(at, &stride, n, kernels);
        } else if (lanes->bits == 32) {
            kernels->add_w32((uint32_t *)(void *)at, stride.samples, n);
        } else {
            add_packed(lanes, done, stride.samples, n);
        }
    }
    OPENSSL_cleanse(&stride, sizeof stride);
    return result;
}

static int add_group(uint8_t *packed, const struct mr_noise_tables *tables,
                     const struct mr_round_terms *terms, const uint8_t seed[MR_NOISE_SEED_BYTES],
                     enum mr_noise_group group, const struct mr_kernels *kernels)
{
    const uint64_t sigma2 = mr_announcement_sigma2(&terms->announcement, group);
    const struct lanes lanes = lanes_of(packed, terms, group);
    uint8_t key[MR_GAUSS_KEY_BYTES];
    struct mr_gauss gauss; /* secret */
    if (sigma2 == 0) {
        return 0;
    }
    MR_ASSERT(tables && tables->sigma2[group] == sigma2);
    int status = mr_noise_key_derive(key, seed, group);
    if (status == 0) {
        mr_gauss_init(&gauss, &tables->of[group], key, kernels);
        status = add_samples(&lanes, &gauss);
        OPENSSL_cleanse(&gauss, sizeof gauss);
    }
    OPENSSL_cleanse(key, sizeof key);
    return status;
}

int mr_noise_add_seed(uint8_t *packed, const struct mr_noise_tables *tables,
                      const struct mr_round_terms *terms, const uint8_t seed[MR_NOISE_SEED_BYTES],
                      const struct mr_kernels *kernels)
{
    int status = 0;
    for (enum mr_noise_group group = 0; group < MR_NOISE_GROUPS && status == 0; group++) {
        status = add_group(packed, tables, terms, seed, group, kernels);
    }
    return status;
}
