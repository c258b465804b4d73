/* standing.h - a hub's signed word on where its transcript of a task stands (evidence.h): what it
 * can be shown when it has gone back. Byte layouts: docs/wire-format.md, "Where a hub stands".
 * Sans-IO. */
#ifndef MR_WIRE_STANDING_H
#define MR_WIRE_STANDING_H

#include <stdbool.h>

#include "base/base64.h"
#include "wire/exchange.h"

struct mr_standing {
    uint16_t hub;
    uint64_t epoch;    /* of the hub's last recovery; 0: it has none */
    uint64_t sequence; /* of the newest record; 0: there is none */
    uint64_t round;    /* of that record */
    uint8_t head[MR_HASH_BYTES];
    uint8_t signature[MR_SIGNATURE_BYTES];
};
#define MR_STANDING_BYTES (2 + 3 * 8 + MR_HASH_BYTES + MR_SIGNATURE_BYTES)

/* 0 or -1. */
int mr_standing_sign(struct mr_standing *standing, const char *task,
                     const struct mr_signing_pair *pair);
int mr_standing_verify(const struct mr_standing *standing, const char *task,
                       const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);
void mr_standing_encode(uint8_t out[MR_STANDING_BYTES], const struct mr_standing *standing);
void mr_standing_decode(struct mr_standing *standing, const uint8_t in[MR_STANDING_BYTES]);

/* Whether `a` is further than `b`, both of one hub. */
bool mr_standing_is_further(const struct mr_standing *a, const struct mr_standing *b);

/* What hubs say beside questions and answers (transport/h2_message.h, MR_H2_WORD): the sender's
 * word, and the newest of the other's own that the sender has. Base64 of the one, and behind a
 * comma of the other, if there is one. */
#define MR_STANDINGS_TEXT (2 * MR_BASE64_LENGTH(MR_STANDING_BYTES) + 2) /* the NUL counted */
struct mr_standings {
    struct mr_standing own;
    bool has_echo;
    struct mr_standing echo;
};
void mr_standings_format(char text[MR_STANDINGS_TEXT], const struct mr_standings *standings);
/* 0, or -1: it is no such value. Says nothing of signatures. */
int mr_standings_parse(struct mr_standings *standings, const char *text);

#endif
