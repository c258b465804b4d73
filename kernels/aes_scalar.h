/* aes_scalar.h - inside kernels/ only: AES-128 encryption without tables or ISA extensions.
 *
 * Bitsliced: eight blocks at once, every step a boolean operation on pairs of 64-bit words, so time
 * and memory addresses depend on nothing but the number of calls. A compiler lowers the pairs to
 * what the target's baseline has, two words or one vector.
 */
#ifndef MR_KERNELS_AES_SCALAR_H
#define MR_KERNELS_AES_SCALAR_H

#include <stdint.h>

#define AES_SCALAR_BATCH 8 /* blocks */

/* [0] the bytes 0..7 of the blocks, [1] the bytes 8..15. */
typedef uint64_t aes_pair __attribute__((vector_size(16)));

/* Bit b of the state's bytes: byte i of word h of bit[b] carries, in its bit k, that bit of byte
 * 8h + i of block k. */
struct aes_sliced {
    aes_pair bit[8];
};

/* The key schedule, each round key broadcast to the eight blocks. Secret: wipe after use. */
struct aes_scalar {
    struct aes_sliced round[11];
};

void mr_aes_scalar_init(struct aes_scalar *aes, const uint8_t round_keys[11][16]);

/* Encrypts eight blocks in place. */
void mr_aes_scalar_encrypt(const struct aes_scalar *aes, uint8_t blocks[AES_SCALAR_BATCH * 16]);

/* FIPS-197 key expansion, constant time. */
void mr_aes_scalar_expand_key(uint8_t round_keys[11][16], const uint8_t key[16]);

#endif
