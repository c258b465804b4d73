/* pair.h - both halves of a signing key, for tests that have the private one. */
#ifndef MR_TESTS_UNIT_WIRE_PAIR_H
#define MR_TESTS_UNIT_WIRE_PAIR_H

#include "base/assert.h"
#include "wire/exchange.h"

static inline struct mr_signing_pair pair_of(const uint8_t private_key[32])
{
    struct mr_signing_pair pair;
    const int status = mr_signing_pair_derive(&pair, private_key);
    MR_ASSERT(status == 0);
    return pair;
}

/* Valid to the end of the block that it stands in. */
#define PAIR_OF(private_key) ((const struct mr_signing_pair[]){pair_of(private_key)})

#endif
