/* integer_code_plan.h - which coded form a segment gets (below integer_code_write.c only). */
#ifndef MR_WIRE_INTEGER_CODE_PLAN_H
#define MR_WIRE_INTEGER_CODE_PLAN_H

#include "wire/integer_code.h"

/* A way to code a segment, and what it would take. */
struct mr_integer_plan {
    enum mr_integer_kind kind; /* MR_INTEGER_CODED or MR_INTEGER_SPLIT */
    unsigned low;              /* of a split one: bits below a token */
    uint16_t frequencies[MR_INTEGER_TOKENS];
    uint64_t cost; /* 2^-8 bits, but for the table */
};

/* Whichever takes less, a little more where it is read sooner; the same integers have the same plan
 * everywhere. count is at least 1. */
void mr_integer_plan(struct mr_integer_plan *plan, const uint32_t *values, size_t count);

#endif
