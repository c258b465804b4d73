/* load_sum.c - what the devices of a load trained, added up without the library. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/load_devices.h"
#include "wire/announcement.h"

static uint8_t *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");

    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fail("%s: %s", path, strerror(errno));
    }
    *length = (size_t)ftell(file);
    uint8_t *bytes = malloc(*length + 1);
    rewind(file);
    if (!bytes || fread(bytes, 1, *length, file) != *length) {
        fail("%s cannot be read", path);
    }
    fclose(file);
    return bytes;
}

static uint32_t lane_of(const uint8_t *at, unsigned bytes)
{
    uint32_t lane = 0;

    for (unsigned i = 0; i < bytes; i++) {
        lane |= (uint32_t)at[i] << 8 * i;
    }
    return lane;
}

/* What the devices that heard "committed" trained, added up in whole numbers. */
static int32_t *plain_sum(const struct load *load, uint32_t *members)
{
    int32_t *sum = calloc(load->dimension, sizeof *sum);

    if (!sum) {
        fail("out of memory for the plain sum");
    }
    *members = 0;
    for (unsigned d = 0; d < load->count; d++) {
        const int8_t *delta = load->pool + load->devices[d].offset;
        if (load->devices[d].outcome.result != MRE_COMMITTED) {
            continue;
        }
        for (size_t i = 0; i < load->dimension; i++) {
            sum[i] += delta[i];
        }
        ++*members;
    }
    return sum;
}

void load_check(const struct load *load, const char *path)
{
    const uint32_t mask = (uint32_t)(UINT64_MAX >> (64 - load->ring_bits));
    uint32_t members;
    size_t length, differing = 0;
    uint8_t *bytes = read_file(path, &length);
    int32_t *plain = plain_sum(load, &members);

    if (length < load->dimension * load->ring_bits / 8 + MR_TRAILER_BYTES) {
        fail("%s: too short for %zu lanes of %u bits", path, load->dimension, load->ring_bits);
    }
    for (size_t i = 0; i < load->dimension; i++) {
        differing += mr_ring_read(bytes, (uint8_t)load->ring_bits, (uint32_t)i) !=
                     ((uint32_t)plain[i] & mask);
    }
    const uint8_t *trailer = bytes + length - MR_TRAILER_BYTES;
    if (differing > 0 || lane_of(trailer + 4 * MR_TRAILER_COUNT, 4) != members ||
        lane_of(trailer + 4 * MR_TRAILER_EXAMPLES, 4) != members * EXAMPLES) {
        fail("%s: the sum is WRONG in %zu lanes; it counts %u devices, %u heard \"committed\"",
             path, differing, lane_of(trailer + 4 * MR_TRAILER_COUNT, 4), members);
    }
    printf("{\"equal\": true, \"members\": %u}\n", members);
    free(plain);
    free(bytes);
}
