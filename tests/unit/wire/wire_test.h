/* wire_test.h - what the tests of wire/ share: a printed seed and a valid announcement to start
 * from. Include after nothing: it brings cmocka's own prerequisites. */
#ifndef MR_TEST_WIRE_WIRE_TEST_H
#define MR_TEST_WIRE_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "wire/announcement.h"
#include "base/assert.h"

/* splitmix64 (Steele, Lea, Flood 2014): enough for test data. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void test_fill(uint64_t *state, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)test_random(state);
    }
}

/* The public half of a raw Ed25519 key. */
static inline void test_public_key(uint8_t public_key[32], const uint8_t private_key[32])
{
    size_t length = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, 32);
    MR_ASSERT(key && EVP_PKEY_get_raw_public_key(key, public_key, &length) == 1);
    EVP_PKEY_free(key);
}

/* A valid announcement of `hubs` hubs; hub i signs with private_keys[i]. */
static inline void test_announcement(struct mr_announcement *a, uint8_t (*private_keys)[32],
                                     unsigned hubs)
{
    memset(a, 0, sizeof *a);
    a->round = 7;
    a->deadline_unix_ms = UINT64_C(1900000000000);
    a->dimension = 1000;
    a->ring_bits = 16;
    a->rotation_log2 = 0;
    a->levels = 127;
    a->chunk_bytes = MR_CHUNK_BYTES_DEFAULT;
    a->cohort_min = 2;
    a->headroom = 4;
    a->seal = MR_SEAL_HPKE;
    a->cohort_max = 64;
    a->weight_max = 1000;
    a->scale = 64.0f;
    a->clip_norm = 1.5f;
    a->step_max = 3.0f;
    a->optimiser = (struct mr_optimiser){.learning_rate = 1.0f};
    memset(a->model_hash, 0x11, sizeof a->model_hash);
    memset(a->rotation_seed, 0x22, sizeof a->rotation_seed);
    strcpy(a->task, "digits-1");
    strcpy(a->training, "{\"epochs\":1}");
    a->hub_count = (uint8_t)hubs;
    for (unsigned i = 0; i < hubs; i++) {
        memset(private_keys[i], (int)(0x40 + i), 32);
        a->hubs[i].index = (uint16_t)(i + 1);
        test_public_key(a->hubs[i].public_key, private_keys[i]);
        snprintf(a->hubs[i].name, sizeof a->hubs[i].name, "hub-%u.example", i);
    }
}

#endif
