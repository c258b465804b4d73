/* check_internal.h - the model's state, shared by check.c and check_messages.c. */
#ifndef MR_TESTS_SIM_CHECK_INTERNAL_H
#define MR_TESTS_SIM_CHECK_INTERNAL_H

#include "tests/sim/check.h"

#define ROUNDS_MAX 2048

/* A map from hashes to hashes. */
struct map {
    uint64_t *keys, *values; /* key 0: empty */
    size_t capacity, used;
};

/* The value under the key, which is put there if there was none (*fresh). The pointer holds until
 * the next call. */
uint64_t *map_at(struct map *map, uint64_t key, bool *fresh);
void map_fini(struct map *map);

struct round {
    bool opened, calm, published, given_up;
    bool seen;         /* a helper has signed it */
    bool unknown;      /* the lead crashed before it had it on its disk */
    uint64_t told;     /* bit per device: it was promised that it counts */
    uint64_t included; /* … it does, in the published round */
    uint64_t set;      /* hash of the set that some hub has revealed; 0: none */
    uint64_t set_members;
};

struct sim_check {
    struct round rounds[ROUNDS_MAX];
    struct map seeds;     /* seed → who may use it */
    struct map chunks;    /* (device, upload, chunk) → datagram */
    struct map nonces;    /* (key, nonce) → message */
    struct map keys;      /* AEAD → key */
    struct map answered;  /* (hub, round, step) → the question that was answered */
    struct map answers;   /* (hub, round, step, question) → the answer */
    struct map uploads;   /* upload id → round, device */
    struct map verified;  /* signature, message and key → what verifying gave */
    struct map addresses; /* address → bytes that may still be sent there */
};

#endif
