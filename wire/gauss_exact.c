/* gauss_exact.c - the draws that 64 bits do not decide: bounds of 128, 192, 256 … bits. */
#include <openssl/bn.h>

#include "wire/gauss_exp.h"
#include "wire/gauss_internal.h"

#define BITS_MAX 1024u

struct numbers {
    BN_CTX *context;
    BIGNUM *num, *den; /* x^2 / (2 sigma^2) */
    BIGNUM *u;         /* the bits of U so far */
    BIGNUM *bound;     /* of 2^bits exp(…), from below */
    BIGNUM *left, *right;
};

static int set(BIGNUM *number, uint64_t a, uint64_t b, uint64_t c)
{
    return BN_set_word(number, a) && BN_mul_word(number, b) && BN_mul_word(number, c) ? 0 : -1;
}

/* number * weight against bound * peak * 2^doublings: negative, 0 or positive in *order. */
static int compare(int *order, const struct numbers *n, const struct mr_gauss_table *table,
                   const struct mr_gauss_draw *draw)
{
    if (!BN_copy(n->left, n->u) || !BN_mul_word(n->left, draw->weight) ||
        !BN_copy(n->right, n->bound) || !BN_mul_word(n->right, table->peak) ||
        !BN_lshift(n->right, n->right, (int)draw->doublings)) {
        return -1;
    }
    *order = BN_cmp(n->left, n->right);
    return 0;
}

/* With `bits` bits of U in n->u: enum mr_gauss_word, or -1. */
static int look(const struct numbers *n, const struct mr_gauss_table *table,
                const struct mr_gauss_draw *draw, unsigned bits)
{
    int order;
    /* All of U below the least that the chance may be? */
    if (mr_gauss_exp(n->bound, n->num, n->den, bits, n->context) != 0 || !BN_add_word(n->u, 1) ||
        compare(&order, n, table, draw) != 0) {
        return -1;
    }
    if (order <= 0) {
        return MR_GAUSS_YES;
    }
    /* All of U at or above the most? */
    if (!BN_sub_word(n->u, 1) || !BN_add_word(n->bound, MR_GAUSS_EXP_SLACK) ||
        compare(&order, n, table, draw) != 0) {
        return -1;
    }
    return order >= 0 ? MR_GAUSS_NO : MR_GAUSS_UNCLEAR;
}

static int judge(const struct numbers *n, const struct mr_gauss_table *table,
                 const struct mr_gauss_draw *draw, uint64_t (*next)(void *context), void *context)
{
    if (set(n->num, draw->x, draw->x, table->den) != 0 || set(n->den, table->num, 2, 1) != 0 ||
        set(n->u, draw->u, 1, 1) != 0) {
        return -1;
    }
    for (unsigned bits = 64; bits <= BITS_MAX; bits += 64) {
        if (bits > 64 && (!BN_lshift(n->u, n->u, 64) || set(n->left, next(context), 1, 1) != 0 ||
                          !BN_add(n->u, n->u, n->left))) {
            return -1;
        }
        const int word = look(n, table, draw, bits);
        if (word != MR_GAUSS_UNCLEAR) {
            return word;
        }
    }
    return MR_GAUSS_NO;
}

int mr_gauss_judge_exactly(const struct mr_gauss_table *table, const struct mr_gauss_draw *draw,
                           uint64_t (*next)(void *context), void *context)
{
    BN_CTX *memory = BN_CTX_secure_new();
    if (!memory) {
        return -1;
    }
    BN_CTX_start(memory);
    const struct numbers numbers = {memory,
                                    BN_CTX_get(memory),
                                    BN_CTX_get(memory),
                                    BN_CTX_get(memory),
                                    BN_CTX_get(memory),
                                    BN_CTX_get(memory),
                                    BN_CTX_get(memory)};
    const int result = numbers.right ? judge(&numbers, table, draw, next, context) : -1;
    BN_CTX_end(memory);
    BN_CTX_free(memory);
    return result;
}
