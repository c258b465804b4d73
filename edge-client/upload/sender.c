#include "edge-client/upload/sender.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/assert.h"

/* A chunk is in exactly one of these states: not yet sent (>= next), in flight, lost (to be sent
 * again), or heard of (in neither list). So two short lists replace a table of all chunks. */
struct flight {
    uint32_t chunk;
    uint32_t tries : 31;
    uint32_t alone : 1; /* was sent for want of a window: its ACK may wait until there is one */
    uint64_t order;     /* which transmission this was, counted over all */
    uint64_t sent_us;
};

struct mr_sender {
    struct mr_sender_config config;
    struct mr_aead *up;
    struct mr_aead *down;
    enum mr_sender_phase phase;
    enum mr_upload_reason reason;
    struct mr_sender_counts counts;

    uint32_t next; /* first chunk never sent */
    uint32_t window;
    uint32_t limit; /* own bound below the window; halved when everything times out */
    int64_t last_ack;
    uint64_t order;
    uint64_t order_heard; /* latest transmission known to have arrived */
    uint64_t heard_us;    /* when the last valid ACK came, or the start */
    uint64_t rto_us;
    uint64_t srtt_us; /* 0 = no sample yet */
    uint64_t rttvar_us;

    /* Each list has room for all chunks, or for as many as may be in flight. */
    size_t bytes; /* of all this */
    unsigned flying;
    unsigned lost;
    struct flight *losses; /* behind flights */
    struct flight flights[];
};

static uint32_t window_bound(uint32_t window)
{
    return window < MR_SENDER_WINDOW_MAX ? window : MR_SENDER_WINDOW_MAX;
}

struct mr_sender *mr_sender_open(const struct mr_sender_config *config, uint64_t now_us)
{
    const uint32_t room = window_bound(config->layout->chunks);
    const size_t bytes = sizeof(struct mr_sender) + 2 * room * sizeof(struct flight);
    struct mr_sender *s = calloc(1, bytes);
    if (!s) {
        return NULL;
    }
    s->bytes = bytes;
    s->losses = s->flights + room;
    s->config = *config;
    s->config.keys = NULL;
    s->up = mr_aead_open();
    s->down = mr_aead_open();
    if (!s->up || !s->down || mr_aead_rekey(s->up, &config->keys->up) ||
        mr_aead_rekey(s->down, &config->keys->down)) {
        mr_sender_close(s);
        return NULL;
    }
    s->window = config->window < MR_SENDER_WINDOW_FIRST ? config->window : MR_SENDER_WINDOW_FIRST;
    s->limit = MR_SENDER_WINDOW_MAX;
    s->last_ack = -1;
    s->heard_us = now_us;
    s->rto_us = MR_SENDER_RTO_FIRST_US;
    return s;
}

void mr_sender_close(struct mr_sender *sender)
{
    if (!sender) {
        return;
    }
    mr_aead_close(sender->up);
    mr_aead_close(sender->down);
    OPENSSL_cleanse(sender, sender->bytes);
    free(sender);
}

/* --- sending --------------------------------------------------------------------------------- */

static size_t seal(struct mr_sender *s, uint32_t chunk, uint8_t *out)
{
    const struct mr_layout *layout = s->config.layout;
    struct mr_datagram header = {.type = MR_DATAGRAM_CHUNK,
                                 .length = (uint16_t)mr_layout_chunk_length(layout, chunk),
                                 .upload_id = s->config.upload_id,
                                 .round = s->config.round,
                                 .attempt = s->config.attempt,
                                 .chunk = chunk};
    const uint8_t *plain = s->config.share + (uint64_t)chunk * layout->chunk_bytes;
    uint8_t *cipher = out + MR_DATAGRAM_HEADER_BYTES;
    mr_datagram_encode(out, &header);
    int bad = mr_aead_seal(s->up,
                           &(struct mr_aead_message){.sequence = chunk,
                                                     .aad = out,
                                                     .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                     .text = plain,
                                                     .bytes = header.length},
                           cipher, cipher + header.length);
    MR_ASSERT(!bad); /* sealing with a set key fails only by misuse */
    return MR_DATAGRAM_OVERHEAD + header.length;
}

/* A chunk that is believed lost leaves the flight; it goes out again before any new one. */
static void lose(struct mr_sender *s, unsigned i)
{
    MR_ASSERT(s->lost < MR_SENDER_WINDOW_MAX);
    s->losses[s->lost++] = s->flights[i];
    s->flights[i] = s->flights[--s->flying];
}

static void expire(struct mr_sender *s, uint64_t now_us)
{
    bool late = false;
    for (unsigned i = s->flying; i-- > 0;) {
        if (now_us - s->flights[i].sent_us >= s->rto_us) {
            lose(s, i);
            late = true;
        }
    }
    if (!late) {
        return;
    }
    /* A timeout, not a mere gap: the path may be full. Back off in time and in volume. */
    uint64_t slowest = s->rto_us > MR_SENDER_RTO_BACKOFF_US ? s->rto_us : MR_SENDER_RTO_BACKOFF_US;
    s->rto_us = s->rto_us * 2 < slowest ? s->rto_us * 2 : slowest;
    uint32_t now_used = s->limit < s->window ? s->limit : s->window;
    s->limit = now_used / 2 > 2 ? now_used / 2 : 2;
}

/* Takes the next chunk to send: lost ones first, lowest chunk first so that the hub's base moves.
 */
static bool pick(struct mr_sender *s, struct flight *out)
{
    if (s->lost) {
        unsigned low = 0;
        for (unsigned i = 1; i < s->lost; i++) {
            if (s->losses[i].chunk < s->losses[low].chunk) {
                low = i;
            }
        }
        *out = s->losses[low];
        s->losses[low] = s->losses[--s->lost];
        return true;
    }
    if (s->next == s->config.layout->chunks) {
        return false;
    }
    *out = (struct flight){.chunk = s->next++};
    return true;
}

/* How long a closed window is left alone: the hub tells of its opening, so that probes only guard
 * against the loss of what it tells. */
static uint64_t probe_us(const struct mr_sender *s)
{
    return s->rto_us > MR_SENDER_RTO_FIRST_US ? s->rto_us : MR_SENDER_RTO_FIRST_US;
}

static uint32_t bound_now(const struct mr_sender *s)
{
    return s->window < s->limit ? s->window : s->limit;
}

static bool may_send(const struct mr_sender *s, uint64_t now_us)
{
    const uint32_t bound = bound_now(s);
    if (bound == 0) { /* a closed window is probed with one chunk, or its opening might be missed */
        return s->flying == 0 && now_us - s->heard_us >= probe_us(s);
    }
    /* Lost chunks stay charged to the lists' capacity: both together never exceed it. */
    return s->flying < bound && (s->lost || s->flying + s->lost < MR_SENDER_WINDOW_MAX);
}

size_t mr_sender_next(struct mr_sender *sender, uint64_t now_us, uint8_t *out)
{
    struct mr_sender *s = sender;
    struct flight f;
    if (s->phase != MR_SENDER_SENDING) {
        return 0;
    }
    if (now_us - s->heard_us >= s->config.silence_us) {
        s->phase = MR_SENDER_SILENT;
        return 0;
    }
    expire(s, now_us);
    if (!may_send(s, now_us) || !pick(s, &f)) {
        return 0;
    }
    s->counts.datagrams++;
    s->counts.retransmitted += f.tries > 0;
    f.tries++;
    f.alone = bound_now(s) <= 1;
    f.order = ++s->order;
    f.sent_us = now_us;
    s->flights[s->flying++] = f;
    return seal(s, f.chunk, out);
}

uint64_t mr_sender_wake_us(const struct mr_sender *sender, uint64_t now_us)
{
    const struct mr_sender *s = sender;
    if (s->phase != MR_SENDER_SENDING) {
        return UINT64_MAX;
    }
    bool more = s->lost || s->next < s->config.layout->chunks;
    if (more && may_send(s, now_us)) {
        return now_us;
    }
    uint64_t wake = s->heard_us + s->config.silence_us;
    for (unsigned i = 0; i < s->flying; i++) {
        if (s->flights[i].sent_us + s->rto_us < wake) {
            wake = s->flights[i].sent_us + s->rto_us;
        }
    }
    if (more && s->flying == 0 && s->heard_us + probe_us(s) < wake) {
        wake = s->heard_us + probe_us(s);
    }
    return wake > now_us ? wake : now_us;
}

/* --- hearing --------------------------------------------------------------------------------- */

static bool tells_of(const struct mr_ack *ack, uint32_t chunk)
{
    if (chunk < ack->base) {
        return true;
    }
    uint32_t bit = chunk - ack->base;
    return bit < 8 * MR_ACK_BITMAP_BYTES && (ack->bitmap[bit / 8] >> (bit % 8) & 1);
}

/* RFC 6298, with the granularity left to MR_SENDER_RTO_MIN_US. */
static void sample_rtt(struct mr_sender *s, uint64_t rtt_us)
{
    if (s->srtt_us == 0) {
        s->srtt_us = rtt_us ? rtt_us : 1;
        s->rttvar_us = rtt_us / 2;
    } else {
        uint64_t gap = s->srtt_us > rtt_us ? s->srtt_us - rtt_us : rtt_us - s->srtt_us;
        s->rttvar_us += (gap >> 2) - (s->rttvar_us >> 2);
        s->srtt_us += (rtt_us >> 3) - (s->srtt_us >> 3);
    }
}

/* The estimate without any back-off: what every progress returns to. */
static void restore_rto(struct mr_sender *s)
{
    if (s->srtt_us == 0) {
        s->rto_us = MR_SENDER_RTO_FIRST_US;
        return;
    }
    uint64_t rto = s->srtt_us + 4 * s->rttvar_us;
    rto = rto < MR_SENDER_RTO_MIN_US ? MR_SENDER_RTO_MIN_US : rto;
    s->rto_us = rto < MR_SENDER_RTO_MAX_US ? rto : MR_SENDER_RTO_MAX_US;
}

/* Drops what the hub has from both lists; learns the round trip from chunks sent only once, because
 * an ACK does not say which of several transmissions it answers (Karn), and not from those that the
 * hub may have kept waiting. */
static void settle(struct mr_sender *s, uint64_t now_us, const struct mr_ack *ack)
{
    uint64_t latest_us = 0;
    unsigned before = s->flying + s->lost;
    for (unsigned i = s->flying; i-- > 0;) {
        const struct flight *f = &s->flights[i];
        if (!tells_of(ack, f->chunk)) {
            continue;
        }
        if (f->tries == 1) {
            if (!f->alone && f->sent_us > latest_us) {
                latest_us = f->sent_us;
            }
            s->order_heard = f->order > s->order_heard ? f->order : s->order_heard;
        }
        s->limit += s->limit < MR_SENDER_WINDOW_MAX;
        s->flights[i] = s->flights[--s->flying];
    }
    for (unsigned i = s->lost; i-- > 0;) {
        if (tells_of(ack, s->losses[i].chunk)) {
            s->losses[i] = s->losses[--s->lost];
        }
    }
    if (latest_us) {
        sample_rtt(s, now_us - latest_us);
    }
    if (s->flying + s->lost < before) {
        restore_rto(s);
    }
    for (unsigned i = s->flying; i-- > 0;) {
        if (s->flights[i].order + MR_SENDER_REORDER <= s->order_heard) {
            lose(s, i);
        }
    }
}

static void take_state(struct mr_sender *s, const struct mr_ack *ack)
{
    switch ((enum mr_upload_state)ack->state) {
    case MR_UPLOAD_RECEIVING:
        if (!s->flying && !s->lost && s->next == s->config.layout->chunks) {
            s->phase = MR_SENDER_STAGED;
        }
        break;
    case MR_UPLOAD_STAGED:
        s->phase = MR_SENDER_STAGED;
        break;
    case MR_UPLOAD_COMMITTED:
        s->phase = MR_SENDER_COMMITTED;
        break;
    case MR_UPLOAD_REFUSED:
        s->phase = MR_SENDER_REFUSED;
        s->reason = (enum mr_upload_reason)ack->reason;
        break;
    }
}

/* Opens and checks an ACK. The number must rise: it is the replay window, and what an older ACK
 * tells, a newer one tells too. */
static int open_ack(struct mr_sender *s, struct mr_ack *ack, const uint8_t *bytes, size_t length)
{
    struct mr_datagram header;
    uint8_t plain[MR_ACK_BYTES];
    if (mr_datagram_decode(&header, bytes, length) != MR_DATAGRAM_OK ||
        header.type != MR_DATAGRAM_ACK || header.length != MR_ACK_BYTES ||
        header.upload_id != s->config.upload_id || header.round != s->config.round ||
        header.attempt != s->config.attempt || (int64_t)header.chunk <= s->last_ack) {
        return -1;
    }
    const uint8_t *cipher = bytes + MR_DATAGRAM_HEADER_BYTES;
    if (mr_aead_unseal(s->down,
                       &(struct mr_aead_message){.sequence = header.chunk,
                                                 .aad = bytes,
                                                 .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                 .text = cipher,
                                                 .bytes = header.length},
                       cipher + header.length, plain) ||
        mr_ack_decode(ack, plain, sizeof plain) || ack->base > s->config.layout->chunks) {
        return -1;
    }
    s->last_ack = header.chunk;
    return 0;
}

int mr_sender_receive(struct mr_sender *sender, uint64_t now_us, const uint8_t *bytes,
                      size_t length)
{
    struct mr_sender *s = sender;
    struct mr_ack ack;
    if (open_ack(s, &ack, bytes, length)) {
        s->counts.acks_ignored++;
        return -1;
    }
    s->counts.acks++;
    s->heard_us = now_us;
    s->window = window_bound(ack.window);
    settle(s, now_us, &ack);
    if (s->phase == MR_SENDER_SENDING || s->phase == MR_SENDER_STAGED) {
        take_state(s, &ack);
    }
    return 0;
}

uint32_t mr_sender_heard(const struct mr_sender *sender)
{
    return sender->next - sender->flying - sender->lost;
}

enum mr_sender_phase mr_sender_phase(const struct mr_sender *sender)
{
    return sender->phase;
}

enum mr_upload_reason mr_sender_reason(const struct mr_sender *sender)
{
    return sender->reason;
}

const struct mr_sender_counts *mr_sender_counts(const struct mr_sender *sender)
{
    return &sender->counts;
}
