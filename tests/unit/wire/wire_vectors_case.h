/* wire_vectors_case.h - one case of the oracle: what it says, what is answered, and what one answer
 * leaves for those after it. */
#ifndef MR_TEST_WIRE_VECTORS_CASE_H
#define MR_TEST_WIRE_VECTORS_CASE_H

#include <stdint.h>

#include <jansson.h>

#include "wire/announcement.h"
#include "wire/hpke.h"
#include "wire/identity.h"
#include "wire/keys.h"

#define CASE_CLIENTS_MAX 16

struct test_client {
    uint8_t id[MR_CLIENT_ID_BYTES];
    uint32_t attempt;
    uint8_t *share; /* aligned */
};

struct test_case {
    json_t *in;
    json_t *out;
    const struct mr_kernels *kernels;
    struct mr_round_terms terms;
    uint8_t signing[MR_HUBS_MAX][32];
    struct mr_hpke_pair seals[MR_HUBS_MAX];
    struct test_client clients[CASE_CLIENTS_MAX];
    unsigned client_count;
    uint8_t *results[MR_HUBS_MAX]; /* aligned */
    struct mr_upload_keys keys;
};

/* --- JSON and hex; what the case has not, or not in that form, is a bug: it aborts --------------
 */
json_t *case_get(const json_t *object, const char *name);
void case_hex_exact(uint8_t *out, size_t bytes, const json_t *value);
/* malloc'd. */
uint8_t *case_hex_any(size_t *length, const json_t *value);
json_t *case_to_hex(const void *data, size_t bytes);
/* Into the answer. */
void case_put_hex(struct test_case *c, const char *name, const void *data, size_t bytes);

/* As the oracle names a float. */
uint32_t case_float_bits(float value);

/* malloc'd, whole cache lines. */
void *case_aligned(size_t bytes);
struct mr_key_scope case_scope_of(const struct test_case *c, const struct test_client *client,
                                  unsigned hub);

/* --- answers, in this order, after announcement and sums -------------------------------------- */

/* wire_vectors_datagrams.c: chunks, an ACK, and what changed ones open to. */
void case_do_datagrams(struct test_case *c);
/* wire_vectors_exchange.c: sealed seeds and receipts, commitments and signatures, the draw. */
void case_do_exchange(struct test_case *c);

#endif
