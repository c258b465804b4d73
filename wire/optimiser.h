/* optimiser.h - from the mean update of a round to the step of the model: FedAvg, FedAvgM, FedAdam,
 * FedYogi (arxiv.org/abs/2003.00295, algorithm 2, without bias correction, v₀ = τ²).
 *
 * Every hub computes the same bytes, and a device may repeat it. So each value by itself, in the
 * order that is written below, in single precision, rounded to nearest after every operation; only
 * + − · / √, which IEEE 754 defines to the last bit. No fused multiply-add: the tree is built so
 * (docs/decisions/0004-deterministic-floats.md). Pure.
 *
 *   FedAvg    s = u                                            (the rate is in u already)
 *   FedAvgM   m = β₁·m + u;               s = η·m
 *   FedAdam   m = β₁·m + (1−β₁)·u;  v = β₂·v + (1−β₂)·(u·u);   s = (η·m) / (√v + τ)
 *   FedYogi   m as FedAdam;  q = u·u;  v = v − ((1−β₂)·q)·sign(v − q);   s as FedAdam
 *
 * State = "MROS" ‖ version u8 = 1 ‖ kind u8 ‖ zero u16 ‖ D be32 ‖ zeros up to 64 bytes ‖ m, then v
 * where the kind has one: D little-endian floats each. docs/wire-format.md, "Server optimisers". */
#ifndef MR_WIRE_OPTIMISER_H
#define MR_WIRE_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum mr_optimiser_kind {
    MR_OPTIMISER_FEDAVG = 0,
    MR_OPTIMISER_FEDAVGM = 1,
    MR_OPTIMISER_FEDADAM = 2,
    MR_OPTIMISER_FEDYOGI = 3,
    MR_OPTIMISER_KINDS,
};
/* "fedavg", …; NULL for a kind that is none. */
const char *mr_optimiser_name(unsigned kind);
/* MR_OPTIMISER_KINDS: no such name. */
unsigned mr_optimiser_named(const char *name);

/* What a kind does not use is +0. */
struct mr_optimiser {
    uint8_t kind;        /* enum mr_optimiser_kind */
    float learning_rate; /* η: finite, normal, > 0 */
    float beta1;         /* of all but FedAvg: 0 ≤ β₁ < 1 */
    float beta2;         /* of FedAdam and FedYogi: ½ ≤ β₂ < 1, β₁² < β₂ */
    float tau;           /* likewise: finite, normal, > 0, and τ² is normal */
    uint8_t requantise;  /* 8 or 4: the step is rounded to levels of so many bits, and what that
                            leaves out waits for the next one (hubs only); 0: it is not */
};

/* By the kind's name (NULL: "fedavg"); numbers that it does not use become +0, and nothing is
 * rounded. */
void mr_optimiser_make(struct mr_optimiser *optimiser, const char *name, float learning_rate,
                       float beta1, float beta2, float tau);
/* The rules above; the error names the field. 0 or -1. */
int mr_optimiser_check(const struct mr_optimiser *optimiser, struct mr_error *error);
bool mr_optimiser_same(const struct mr_optimiser *a, const struct mr_optimiser *b);
/* Whether a step begins with a state, of the kind or of the rounding. */
bool mr_optimiser_has_state(const struct mr_optimiser *optimiser);

/* What the mean update is multiplied with before it gets here: η of FedAvg, 1 of the others. */
float mr_optimiser_mean_rate(const struct mr_optimiser *optimiser);

/* Bytes of the kind's state of `count` values; 0: it has none. */
size_t mr_optimiser_state_bytes(unsigned kind, size_t count);
/* Whether the bytes are a state of that kind for so many values, all finite. */
bool mr_optimiser_state_fits(const uint8_t *state, size_t bytes, unsigned kind, size_t count);
/* The kind whose state the bytes begin with; FedAvg, which has none, where they begin otherwise. */
unsigned mr_optimiser_state_kind(const uint8_t *state, size_t bytes);
/* Writes the state that a task begins with. `state`: of the size above, aligned to 4 bytes. */
void mr_optimiser_state_begin(uint8_t *state, const struct mr_optimiser *optimiser, size_t count);

/* `update` becomes the step, the state the next one; `state` as above, NULL where there is none. */
void mr_optimiser_step(const struct mr_optimiser *optimiser, uint8_t *state, float *update,
                       size_t count);

/* What no step's L2 norm exceeds, of any number of rounds whose mean updates (times 1) have at most
 * that norm; with `usual`, what steps come to where updates do not differ much from round to round:
 * |m| ≤ √v then. */
double mr_optimiser_reach(const struct mr_optimiser *optimiser, double norm, size_t count,
                          bool usual);

#endif
