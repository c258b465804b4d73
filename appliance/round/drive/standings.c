#include "appliance/round/drive/standings.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "appliance/round/drive/older.h"
#include "appliance/round/drive/wall_clock.h"

static const uint8_t *key_of(const struct mr_round_context *context, uint16_t hub)
{
    for (unsigned i = 0; i < context->hubs_count; i++) {
        if (context->hubs[i].index == hub) {
            return context->hubs[i].public_key;
        }
    }
    return NULL;
}

static int sign(struct mr_standing *standing, const struct mr_round_context *context)
{
    struct mr_signing_pair pair;
    const uint8_t *key = key_of(context, context->hub_index);
    if (!key) {
        return -1;
    }
    memcpy(pair.private_key, context->private_key, sizeof pair.private_key);
    memcpy(pair.public_key, key, sizeof pair.public_key);
    const int result = mr_standing_sign(standing, context->task, &pair);
    OPENSSL_cleanse(&pair, sizeof pair);
    return result;
}

void mr_standings_say(const struct mr_evidence_desk *desk, const struct mr_round_context *context,
                      uint16_t to, char text[MR_STANDINGS_TEXT])
{
    const struct mr_transcript_head *head = mr_evidence_head(desk);
    const struct mr_standing *heard = mr_evidence_heard(desk, to);
    struct mr_standings standings = {
        .own = {.hub = context->hub_index, .sequence = head->sequence, .round = head->round},
        .has_echo = !!heard};
    text[0] = '\0';
    if (!context->age || mr_older(context)) {
        return;
    }
    standings.own.epoch = context->age->recovered.epoch;
    memcpy(standings.own.head, head->head, MR_HASH_BYTES);
    if (heard) {
        standings.echo = *heard;
    }
    if (sign(&standings.own, context) == 0) {
        mr_standings_format(text, &standings);
    }
}

static bool is_signed(const struct mr_standing *standing, const struct mr_round_context *context,
                      uint16_t by)
{
    const uint8_t *key = key_of(context, by);
    return key && standing->hub == by && standing->sequence > 0 &&
           mr_standing_verify(standing, context->task, key) == 0;
}

/* This hub's own word, which it cannot have given: its transcript goes on otherwise, or not so far.
 * One of an epoch that it has recovered from counts no more. */
static bool shows_older(const struct mr_evidence_desk *desk, const struct mr_round_context *context,
                        const struct mr_standing *echo)
{
    const uint64_t epoch = context->age->recovered.epoch;
    if (echo->epoch != epoch) {
        return echo->epoch > epoch;
    }
    return mr_transcript_past_has(mr_evidence_past(desk), echo->sequence, echo->head) == 0;
}

/* Else mr_evidence_hear would not take it either. */
static bool is_news(const struct mr_evidence_desk *desk, const struct mr_standing *standing,
                    uint16_t from)
{
    const struct mr_standing *heard = mr_evidence_heard(desk, from);
    return !heard || mr_standing_is_further(standing, heard);
}

bool mr_standings_take(struct mr_evidence_desk *desk, const struct mr_round_context *context,
                       uint16_t from, const char *text, struct mr_older *older)
{
    struct mr_standings standings;
    if (!context->age || from == context->hub_index || mr_standings_parse(&standings, text) != 0) {
        return false;
    }
    const struct mr_standing *echo = &standings.echo;
    /* A signature is verified where something follows from it: most words only repeat what this hub
     * has on record. */
    if (standings.has_echo && shows_older(desk, context, echo) &&
        is_signed(echo, context, context->hub_index)) {
        *older = (struct mr_older){.unix_ms = mr_round_unix_ms(),
                                   .epoch = echo->epoch,
                                   .sequence = echo->sequence,
                                   .round = echo->round};
        snprintf(older->why, sizeof older->why,
                 "hub %u shows this hub's own signature of record %" PRIu64 " (round %" PRIu64
                 "), which is not in its transcript",
                 from, echo->sequence, echo->round);
        return true;
    }
    if (is_news(desk, &standings.own, from) && is_signed(&standings.own, context, from)) {
        mr_evidence_hear(desk, &standings.own);
    }
    return false;
}

void mr_standings_learn(struct mr_evidence_desk *desk, const struct mr_round_context *context,
                        uint16_t from, const char *text)
{
    struct mr_standings standings;
    struct mr_older *older = &context->age->older;
    if (from == context->hub_index || mr_standings_parse(&standings, text) != 0) {
        return;
    }
    const struct mr_standing *echo = &standings.echo;
    if (standings.has_echo && is_signed(echo, context, context->hub_index)) {
        if (echo->epoch > older->epoch ||
            (echo->epoch == older->epoch && echo->sequence > older->sequence)) {
            older->epoch = echo->epoch;
            older->sequence = echo->sequence;
        }
        if (echo->round > older->round) {
            older->round = echo->round;
        }
    }
    if (is_signed(&standings.own, context, from)) {
        mr_evidence_hear(desk, &standings.own);
    }
}

uint64_t mr_standings_round(const struct mr_evidence_desk *desk,
                            const struct mr_round_context *context)
{
    uint64_t round = 0;
    for (unsigned i = 0; i < context->hubs_count; i++) {
        const struct mr_standing *heard = mr_evidence_heard(desk, context->hubs[i].index);
        if (heard && heard->round > round) {
            round = heard->round;
        }
    }
    return round;
}
