/* aes_scalar.c - bitsliced AES-128, see aes_scalar.h. Algorithm: FIPS-197. */
#include "kernels/aes_scalar.h"

#include <string.h>

/* Before a loop over the bits of a state: without it -O2 goes through memory by index. */
#define UNROLL _Pragma("GCC unroll 8")

/* --- S-box ------------------------------------------------------------------------------------
 * The circuit of J. Boyar and R. Peralta, "A new combinational logic minimization technique with
 * applications to cryptology" (SEA 2010), later refined to depth 16 (SEC 2012): a linear layer, the
 * inversion in GF(2^4) towers, a linear layer. The wires keep the names of the paper (x0 is the
 * most significant bit). */

struct sbox_wires {
    aes_pair x7;
    aes_pair y[22]; /* y1..y21 */
    aes_pair z[18];
};

static inline void sbox_top(struct sbox_wires *w, const aes_pair q[8])
{
    const aes_pair x0 = q[7], x1 = q[6], x2 = q[5], x3 = q[4];
    const aes_pair x4 = q[3], x5 = q[2], x6 = q[1], x7 = q[0];
    aes_pair *y = w->y;

    w->x7 = x7;
    y[14] = x3 ^ x5;
    y[13] = x0 ^ x6;
    y[9] = x0 ^ x3;
    y[8] = x0 ^ x5;
    const aes_pair t0 = x1 ^ x2;
    y[1] = t0 ^ x7;
    y[4] = y[1] ^ x3;
    y[12] = y[13] ^ y[14];
    y[2] = y[1] ^ x0;
    y[5] = y[1] ^ x6;
    y[3] = y[5] ^ y[8];
    const aes_pair t1 = x4 ^ y[12];
    y[15] = t1 ^ x5;
    y[20] = t1 ^ x1;
    y[6] = y[15] ^ x7;
    y[10] = y[15] ^ t0;
    y[11] = y[20] ^ y[9];
    y[7] = x7 ^ y[11];
    y[17] = y[10] ^ y[11];
    y[19] = y[10] ^ y[8];
    y[16] = t0 ^ y[11];
    y[21] = y[13] ^ y[16];
    y[18] = x0 ^ y[16];
}

static inline void sbox_middle(struct sbox_wires *w)
{
    const aes_pair *y = w->y;
    aes_pair *z = w->z;
    const aes_pair t2 = y[12] & y[15];
    const aes_pair t4 = (y[3] & y[6]) ^ t2;
    const aes_pair t6 = (y[4] & w->x7) ^ t2;
    const aes_pair t7 = y[13] & y[16];
    const aes_pair t9 = (y[5] & y[1]) ^ t7;
    const aes_pair t11 = (y[2] & y[7]) ^ t7;
    const aes_pair t12 = y[9] & y[11];
    const aes_pair t14 = (y[14] & y[17]) ^ t12;
    const aes_pair t16 = (y[8] & y[10]) ^ t12;
    const aes_pair t21 = t4 ^ t14 ^ y[20];
    const aes_pair t22 = t6 ^ t16 ^ y[19];
    const aes_pair t23 = t9 ^ t14 ^ y[21];
    const aes_pair t24 = t11 ^ t16 ^ y[18];

    const aes_pair t25 = t21 ^ t22;
    const aes_pair t26 = t21 & t23;
    const aes_pair t27 = t24 ^ t26;
    const aes_pair t29 = (t25 & t27) ^ t22;
    const aes_pair t33 = ((t22 ^ t26) & (t23 ^ t24)) ^ t24;
    const aes_pair t36 = t24 & (t27 ^ t33);
    const aes_pair t37 = t36 ^ t23 ^ t33;
    const aes_pair t40 = t25 ^ (t29 & (t27 ^ t36));
    const aes_pair t41 = t40 ^ t37;
    const aes_pair t42 = t29 ^ t33;
    const aes_pair t43 = t29 ^ t40;
    const aes_pair t44 = t33 ^ t37;
    const aes_pair t45 = t42 ^ t41;

    z[0] = t44 & y[15];
    z[1] = t37 & y[6];
    z[2] = t33 & w->x7;
    z[3] = t43 & y[16];
    z[4] = t40 & y[1];
    z[5] = t29 & y[7];
    z[6] = t42 & y[11];
    z[7] = t45 & y[17];
    z[8] = t41 & y[10];
    z[9] = t44 & y[12];
    z[10] = t37 & y[3];
    z[11] = t33 & y[4];
    z[12] = t43 & y[13];
    z[13] = t40 & y[5];
    z[14] = t29 & y[2];
    z[15] = t42 & y[9];
    z[16] = t45 & y[14];
    z[17] = t41 & y[8];
}

static inline void sbox_bottom(aes_pair q[8], const struct sbox_wires *w)
{
    const aes_pair *z = w->z;
    const aes_pair t46 = z[15] ^ z[16];
    const aes_pair t48 = z[5] ^ z[13];
    const aes_pair t53 = z[0] ^ z[3];
    const aes_pair t57 = z[2] ^ z[12] ^ t53;
    const aes_pair t58 = z[4] ^ t46;
    const aes_pair t59 = z[3] ^ z[6] ^ z[7];
    const aes_pair t62 = z[7] ^ z[8] ^ t58;
    const aes_pair t63 = z[9] ^ z[10] ^ t58;
    const aes_pair t64 = z[4] ^ t59;
    const aes_pair t65 = z[14] ^ t57 ^ t62;
    const aes_pair t66 = z[1] ^ t63;
    const aes_pair s3 = t53 ^ t66;

    q[7] = t59 ^ t63;
    q[6] = ~(t64 ^ s3);
    q[5] = ~(z[16] ^ z[17] ^ t64 ^ t65);
    q[4] = s3;
    q[3] = z[2] ^ z[5] ^ t66;
    q[2] = z[10] ^ z[11] ^ t65;
    q[1] = ~(z[12] ^ t48 ^ t62);
    q[0] = ~(t48 ^ t46 ^ t57);
}

static inline void sub_bytes(aes_pair q[8])
{
    struct sbox_wires w;
    sbox_top(&w, q);
    sbox_middle(&w);
    sbox_bottom(q, &w);
}

/* --- the other steps --------------------------------------------------------------------------*/

/* Swaps the bits of `b` under mask with the bits of `a` that lie `shift` higher. */
static inline void swap_bits(aes_pair *a, aes_pair *b, uint64_t mask, unsigned shift)
{
    const aes_pair t = ((*a >> shift) ^ *b) & mask;
    *b ^= t;
    *a ^= t << shift;
}

/* Transposes the 8x8 bit matrix (word, bit in byte) of every byte column; its own inverse. */
static inline void transpose(aes_pair w[8])
{
    UNROLL
    for (unsigned i = 0; i < 8; i += 2) {
        swap_bits(&w[i], &w[i + 1], 0x5555555555555555u, 1);
    }
    UNROLL
    for (unsigned i = 0; i < 8; i += (i & 1) ? 3 : 1) {
        swap_bits(&w[i], &w[i + 2], 0x3333333333333333u, 2);
    }
    UNROLL
    for (unsigned i = 0; i < 4; i++) {
        swap_bits(&w[i], &w[i + 4], 0x0f0f0f0f0f0f0f0fu, 4);
    }
}

static inline void add_round_key(struct aes_sliced *s, const struct aes_sliced *key)
{
    UNROLL
    for (unsigned b = 0; b < 8; b++) {
        s->bit[b] ^= key->bit[b];
    }
}

/* A word holds two columns of four row bytes; row r moves r columns to the left: by half a word,
 * and from the other word where it leaves this one. */
static inline void shift_rows(struct aes_sliced *s)
{
    const uint64_t row0 = 0x000000ff000000ffu, row2 = row0 << 16;
    const uint64_t left1 = 0x0000ff00u, left3 = 0xff000000u;

    UNROLL
    for (unsigned b = 0; b < 8; b++) {
        const aes_pair own = s->bit[b], other = {own[1], own[0]};
        s->bit[b] = (own & row0) | (other & row2) | ((own >> 32) & left1) |
                    ((other << 32) & (left1 << 32)) | ((other >> 32) & left3) |
                    ((own << 32) & (left3 << 32));
    }
}

/* Row r of every column becomes row r + 1 (r + 2). */
static inline aes_pair next_row(aes_pair v)
{
    return ((v >> 8) & 0x00ffffff00ffffffu) | ((v << 24) & 0xff000000ff000000u);
}

static inline aes_pair next_row2(aes_pair v)
{
    return ((v >> 16) & 0x0000ffff0000ffffu) | ((v << 16) & 0xffff0000ffff0000u);
}

/* b_r = 2 (a_r + a_r+1) + a_r+1 + (a_r+2 + a_r+3); doubling moves the bits up, and the top bit
 * comes back at the bits of 0x1b. */
static inline void mix_columns(aes_pair q[8])
{
    aes_pair next[8], sum[8];
    UNROLL
    for (unsigned b = 0; b < 8; b++) {
        next[b] = next_row(q[b]);
        sum[b] = q[b] ^ next[b];
    }
    UNROLL
    for (unsigned b = 0; b < 8; b++) {
        aes_pair doubled = b > 0 ? sum[b - 1] : sum[7];
        if (b == 1 || b == 3 || b == 4) {
            doubled ^= sum[7];
        }
        q[b] = doubled ^ next[b] ^ next_row2(sum[b]);
    }
}

/* --- the cipher -------------------------------------------------------------------------------*/

static inline void slice(struct aes_sliced *s, const uint8_t blocks[AES_SCALAR_BATCH * 16])
{
    memcpy(s, blocks, sizeof *s);
    transpose(s->bit);
}

void mr_aes_scalar_init(struct aes_scalar *aes, const uint8_t round_keys[11][16])
{
    for (unsigned r = 0; r < 11; r++) {
        uint8_t copies[AES_SCALAR_BATCH * 16];
        for (unsigned k = 0; k < AES_SCALAR_BATCH; k++) {
            memcpy(copies + 16 * k, round_keys[r], 16);
        }
        slice(&aes->round[r], copies);
        explicit_bzero(copies, sizeof copies);
    }
}

void mr_aes_scalar_encrypt(const struct aes_scalar *aes, uint8_t blocks[AES_SCALAR_BATCH * 16])
{
    struct aes_sliced s;
    slice(&s, blocks);
    add_round_key(&s, &aes->round[0]);
    for (unsigned r = 1; r <= 10; r++) {
        sub_bytes(s.bit);
        shift_rows(&s);
        if (r < 10) {
            mix_columns(s.bit);
        }
        add_round_key(&s, &aes->round[r]);
    }
    transpose(s.bit);
    memcpy(blocks, &s, sizeof s);
    explicit_bzero(&s, sizeof s);
}

static uint32_t sub_word(uint32_t word)
{
    aes_pair q[8] = {{word, 0}};
    transpose(q);
    sub_bytes(q);
    transpose(q);
    word = (uint32_t)q[0][0];
    explicit_bzero(q, sizeof q);
    return word;
}

void mr_aes_scalar_expand_key(uint8_t round_keys[11][16], const uint8_t key[16])
{
    static const uint8_t rcon[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
    uint32_t w[4];

    memcpy(w, key, sizeof w);
    memcpy(round_keys[0], w, sizeof w);
    for (unsigned r = 1; r <= 10; r++) {
        /* Little-endian words: RotWord moves byte 1 to byte 0. */
        w[0] ^= sub_word((w[3] >> 8) | (w[3] << 24)) ^ rcon[r - 1];
        w[1] ^= w[0];
        w[2] ^= w[1];
        w[3] ^= w[2];
        memcpy(round_keys[r], w, sizeof w);
    }
    explicit_bzero(w, sizeof w);
}
