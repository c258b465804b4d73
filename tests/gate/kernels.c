/* kernels.c - the kernels of a round, for the gate: expansion, fold, quantising, splitting a share.
 *
 * usage: gate_kernels LEVEL [SLOWER]     (run by gate.py under callgrind)
 *
 * LEVEL as in --cpu-mask. SLOWER is the name of a piece of work that is given a sixteenth more:
 * the test of the gate itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tests/gate/gate.h"
#include "wire/share.h"

#define LANES 16384u
#define BLOCK 1024u

struct scene {
    const struct mr_kernels *kernels;
    size_t lanes;
    struct mr_mask_stream mask;
    uint32_t *acc;
    uint8_t *sources[MR_FOLD_MAX];
    float *values;
    uint16_t *random;
    int8_t *q;
    uint8_t *share;
};

static void expand_w16(void *at)
{
    struct scene *s = at;
    s->kernels->mask_add_w16((uint16_t *)s->acc, &s->mask, 0, s->lanes);
}

static void expand_w24(void *at)
{
    struct scene *s = at;
    s->kernels->mask_add_w24(s->acc, &s->mask, 0, s->lanes);
}

static void expand_w32(void *at)
{
    struct scene *s = at;
    s->kernels->mask_add_w32(s->acc, &s->mask, 0, s->lanes);
}

static void fold_w16(void *at)
{
    struct scene *s = at;
    s->kernels->fold_w16((uint16_t *)s->acc, (const uint16_t *const *)s->sources, MR_FOLD_MAX,
                         s->lanes);
}

static void fold_w24(void *at)
{
    struct scene *s = at;
    s->kernels->fold_w24(s->acc, (const uint8_t *const *)s->sources, MR_FOLD_MAX, s->lanes);
}

static void fold_w32(void *at)
{
    struct scene *s = at;
    s->kernels->fold_w32(s->acc, (const uint32_t *const *)s->sources, MR_FOLD_MAX, s->lanes);
}

static void quantise(void *at)
{
    struct scene *s = at;
    volatile double norm = s->kernels->sum_squares(s->values, s->lanes);
    (void)norm;
    s->kernels->flip_signs(s->values, s->sources[0], s->lanes);
    s->kernels->hadamard(s->values, s->lanes / BLOCK * BLOCK, BLOCK);
    s->kernels->round_i8(s->q, s->values, 3.0f, 100, s->random, s->lanes);
}

static void split(void *at)
{
    static const uint32_t trailer[MR_TRAILER_LANES] = {1};
    struct scene *s = at;
    struct mr_layout layout;
    if (mr_layout_init(&layout, 16, s->lanes, 0, MR_CHUNK_BYTES_DEFAULT) == 0) {
        mr_share_lift(s->share, &layout, s->q, trailer, s->kernels);
        mr_share_mask(s->share, &layout, &s->mask, s->kernels);
    }
}

static void *room(size_t bytes, unsigned fill)
{
    uint8_t *at = aligned_alloc(64, bytes);
    if (!at) {
        fprintf(stderr, "gate: out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(i * 7 + fill);
    }
    return at;
}

static void prepare(struct scene *s)
{
    const size_t lanes = 2 * LANES; /* more than is ever asked for */
    static const uint8_t key[16] = {1}, counter[16] = {2};

    mr_mask_stream_init(&s->mask, key, counter);
    s->acc = room(4 * lanes, 1);
    s->q = room(lanes, 2);
    s->random = room(2 * lanes, 3);
    s->share = room(4 * lanes, 4);
    s->values = room(4 * lanes, 5);
    for (size_t i = 0; i < lanes; i++) {
        s->values[i] = (float)(i % 61) - 30.0f;
    }
    for (unsigned i = 0; i < MR_FOLD_MAX; i++) {
        s->sources[i] = room(4 * lanes, i);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*work)(void *scene);
    } works[] = {
        {"expand_w16", expand_w16}, {"expand_w24", expand_w24}, {"expand_w32", expand_w32},
        {"fold_w16", fold_w16},     {"fold_w24", fold_w24},     {"fold_w32", fold_w32},
        {"quantise", quantise},     {"split", split},
    };
    static struct scene scene;
    uint32_t mask;

    if (argc < 2 || argc > 3 || mr_cpu_mask_parse(argv[1], &mask) != 0) {
        fprintf(stderr, "usage: gate_kernels LEVEL [SLOWER]\n");
        return 2;
    }
    scene.kernels = mr_kernels_select(mask);
    if (strcmp(scene.kernels->name, argv[1]) != 0) {
        fprintf(stderr, "gate: this processor lacks %s\n", argv[1]);
        return 77;
    }
    mr_gate_say_compiler();
    prepare(&scene);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        const int slower = argc == 3 && strcmp(argv[2], works[i].name) == 0;
        scene.lanes = LANES + (slower ? LANES / 16 : 0);
        mr_gate_count(works[i].name, works[i].work, &scene);
    }
    return 0;
}
