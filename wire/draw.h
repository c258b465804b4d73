/* draw.h - which of many ready devices are in a round: drawn with a value of every hub, so that one
 * honest hub is enough for a fair draw. Byte layouts: docs/wire-format.md, "The draw". Sans-IO.
 *
 * A pledge fixes a hub's value before anybody says one; the list fixes who is drawn from, and all
 * pledges with it. Values come after that. */
#ifndef MR_WIRE_DRAW_H
#define MR_WIRE_DRAW_H

#include "wire/exchange.h"

#define MR_DRAW_VALUE_BYTES 32

struct mr_draw_pledge {
    uint8_t hash[MR_HASH_BYTES]; /* of the hub's value, its index and the announcement */
    uint8_t signature[MR_SIGNATURE_BYTES];
};
#define MR_DRAW_PLEDGE_BYTES (MR_HASH_BYTES + MR_SIGNATURE_BYTES)

/* 0, or -1 when OpenSSL fails. */
int mr_draw_pledge_make(struct mr_draw_pledge *pledge, const uint8_t hash[MR_HASH_BYTES],
                        uint16_t hub_index, const uint8_t value[MR_DRAW_VALUE_BYTES],
                        const uint8_t private_key[32]);
/* Whether the hub with that key has signed it. 0 or -1. */
int mr_draw_pledge_verify(const struct mr_draw_pledge *pledge, const uint8_t hash[MR_HASH_BYTES],
                          uint16_t hub_index, const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);
/* Whether the value is the one that was pledged. 0 or -1. */
int mr_draw_value_check(const struct mr_draw_pledge *pledge, const uint8_t hash[MR_HASH_BYTES],
                        uint16_t hub_index, const uint8_t value[MR_DRAW_VALUE_BYTES]);

/* A hub's value as it is answered: be16(hub) ‖ value. */
#define MR_DRAW_ANSWER_BYTES (2 + MR_DRAW_VALUE_BYTES)
void mr_draw_answer_encode(uint8_t out[MR_DRAW_ANSWER_BYTES], uint16_t hub_index,
                           const uint8_t value[MR_DRAW_VALUE_BYTES]);

/* Who is drawn from, and every hub's pledge. */
struct mr_draw_list {
    struct mr_draw_pledge pledges[MR_HUBS_MAX];   /* in hub-list order */
    const uint8_t (*clients)[MR_CLIENT_ID_BYTES]; /* strictly rising; borrowed */
    uint32_t count;                               /* 1..admitted_max */
    uint8_t hash[MR_HASH_BYTES];                  /* of all the above, for this announcement */
};

size_t mr_draw_list_bytes(unsigned hub_count, uint32_t count);
/* Encodes the list for these terms and signs it as their lead; fills its hash. `out` has
 * mr_draw_list_bytes. 0, or -1 when OpenSSL fails. */
int mr_draw_list_encode(uint8_t *out, struct mr_draw_list *list, const struct mr_round_terms *terms,
                        const uint8_t private_key[32]);
/* Takes exactly what the encoder writes, with every signature; the list points into the bytes. 0,
 * or -1 with a text that names the hub whose word does not hold. */
int mr_draw_list_decode(struct mr_draw_list *list, const uint8_t *bytes, size_t length,
                        const struct mr_round_terms *terms, struct mr_error *error);
/* Whether the client is in it: its place, or -1. */
int64_t mr_draw_list_find(const struct mr_draw_list *list,
                          const uint8_t client_id[MR_CLIENT_ID_BYTES]);

/* Draws: drawn[i] is 1 for the clients of the list that are, else 0: the `places` of them whose
 * HMAC under the seed of all values is smallest. `values` are of all hubs, in hub-list order. 0, or
 * -1 without memory. */
int mr_draw(uint8_t *drawn, const struct mr_draw_list *list,
            const uint8_t (*values)[MR_DRAW_VALUE_BYTES], unsigned hub_count, uint32_t places);

#endif
