/* aes_scalar.h - inside kernels/ only: AES-128 encryption without tables or ISA extensions.
 *
 * Bitsliced: eight blocks at once, every step a boolean operation on 64-bit words, so time and
 * memory addresses depend on nothing but the number of calls.
 */
#ifndef MR_KERNELS_AES_SCALAR_H
#define MR_KERNELS_AES_SCALAR_H

#include <stdint.h>

#define AES_SCALAR_BATCH 8 /* blocks */

/* Bit b of the state's bytes: sliced[h].bit[b], half h holds the bytes 8h..8h+7 of the block; byte
 * i of the word carries, in its bit k, that bit of block k. */
struct aes_sliced {
    struct {
        uint64_t bit[8];
    } half[2];
};

/* The key schedule, each round key broadcast to the eight blocks. Secret: wipe after use. */
struct aes_scalar {
    struct aes_sliced round[11];
};

void aes_scalar_init(struct aes_scalar *aes, const uint8_t round_keys[11][16]);

/* Encrypts eight blocks in place. */
void aes_scalar_encrypt(const struct aes_scalar *aes, uint8_t blocks[AES_SCALAR_BATCH * 16]);

/* FIPS-197 key expansion, constant time. */
void aes_scalar_expand_key(uint8_t round_keys[11][16], const uint8_t key[16]);

#endif
