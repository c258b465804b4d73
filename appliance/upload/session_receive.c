/* What a datagram means. A burst goes through three passes: judge the header, open the new chunks
 * straight into their slots (open.h), then believe those whose tag holds. */
#include <string.h>

#include "appliance/upload/open.h"
#include "appliance/upload/session_internal.h"
#include "base/assert.h"

static enum mr_drop_reason verdict_of_form(enum mr_datagram_verdict form)
{
    static const enum mr_drop_reason map[] = {
        [MR_DATAGRAM_OK] = MR_UPLOAD_ACCEPTED,
        [MR_DATAGRAM_TRUNCATED] = MR_UPLOAD_DROP_truncated,
        [MR_DATAGRAM_OVERSIZED] = MR_UPLOAD_DROP_oversized,
        [MR_DATAGRAM_BAD_MAGIC] = MR_UPLOAD_DROP_bad_magic,
        [MR_DATAGRAM_BAD_VERSION] = MR_UPLOAD_DROP_bad_version,
        [MR_DATAGRAM_BAD_TYPE] = MR_UPLOAD_DROP_bad_type,
        [MR_DATAGRAM_BAD_FLAGS] = MR_UPLOAD_DROP_bad_flags,
    };

    MR_ASSERT((unsigned)form < sizeof map / sizeof *map);
    return map[form];
}

/* Everything that can be told from the header alone. */
static enum mr_drop_reason check(const struct mr_sessions *sessions, enum mr_datagram_verdict form,
                                 const struct mr_datagram *datagram, struct mr_session **found)
{
    if (form != MR_DATAGRAM_OK) {
        return verdict_of_form(form);
    }
    if (datagram->type != MR_DATAGRAM_CHUNK) {
        return MR_UPLOAD_DROP_bad_type;
    }
    struct mr_session *session = mr_session_find(sessions, datagram->upload_id);
    if (!session) {
        return MR_UPLOAD_DROP_unknown_upload;
    }
    const struct mr_session_round *round = &sessions->rounds[session->round];
    if (datagram->round != round->number) {
        return MR_UPLOAD_DROP_wrong_round;
    }
    if (datagram->attempt != session->attempt) {
        return MR_UPLOAD_DROP_wrong_attempt;
    }
    if (datagram->chunk >= round->layout.chunks) {
        return MR_UPLOAD_DROP_bad_chunk;
    }
    if (datagram->length != mr_layout_chunk_length(&round->layout, datagram->chunk)) {
        return MR_UPLOAD_DROP_bad_length;
    }
    *found = session;
    return MR_UPLOAD_ACCEPTED;
}

static bool same_address(const struct mr_peer_address *a, const struct mr_peer_address *b)
{
    return a->port == b->port && memcmp(&a->host, &b->host, sizeof a->host) == 0;
}

/* And by the same router, where the source builds its own frames. */
static bool same_way(const struct mr_peer_address *a, const struct mr_peer_address *b)
{
    return same_address(a, b) && a->link.vlan == b->link.vlan &&
           memcmp(a->link.mac, b->link.mac, sizeof a->link.mac) == 0;
}

/* A packet whose seal held: where it came from is where the device is. What may be sent there
 * starts anew with a new address, so that nobody's packets are turned into somebody else's flood.
 */
static void heard_from(struct mr_sessions *sessions, struct mr_session *session,
                       const struct mr_packet *packet)
{
    if (!session->heard || !same_address(&session->from, &packet->from)) {
        if (session->heard) {
            mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_rebound], 1);
        }
        session->heard = true;
        mr_session_credit_ask(sessions, session);
        session->from = packet->from;
        session->bytes_in = 0;
        session->bytes_out = 0;
    }
    session->from.link = packet->from.link; /* the way back may change where the address does not */
    session->bytes_in += packet->length;
}

/* A chunk that is there already, or of an upload that ended: the device missed an ACK. From the
 * address that is known, by the way that is known, that is worth an answer without opening; else
 * the seal has to hold first (the device's address or the router changed, or somebody replays its
 * packets). A device whose whole window is here repeats only: no new chunk would tell the way. */
static enum mr_drop_reason repeated(struct mr_sessions *sessions, struct mr_session *session,
                                    const struct mr_packet *packet,
                                    const struct mr_datagram *datagram)
{
    if (session->heard && same_way(&session->from, &packet->from)) {
        session->bytes_in += packet->length;
    } else {
        struct mr_open_job job = {.key = mr_session_index(sessions, session),
                                  .sequence = datagram->chunk,
                                  .datagram = packet->data,
                                  .bytes = datagram->length,
                                  .plain = sessions->scratch};
        mr_open_burst(sessions->opener, &job, 1);
        if (!job.held) {
            return MR_UPLOAD_DROP_bad_tag;
        }
        heard_from(sessions, session, packet);
    }
    mr_session_ack_lazy(sessions, session);
    return session->state == MR_UPLOAD_REFUSED ? MR_UPLOAD_DROP_not_receiving
                                               : MR_UPLOAD_DROP_duplicate;
}

static void reason_set(struct mr_sessions *sessions, enum mr_drop_reason *reasons, unsigned index,
                       enum mr_drop_reason reason)
{
    mr_counter_add(&sessions->counters->reasons[reason], 1);
    if (reasons) {
        reasons[index] = reason;
    }
}

/* When who sent something new is answered before its end. */
struct early_answers {
    uint32_t fresh_most[2]; /* after so many new chunks; the second where its session is slow */
    uint32_t whole_most;    /* never, where an upload has no more chunks than this */
};

/* Half a window, lest it run dry. Where others wait for a window it may: they keep the socket full,
 * and fewer answers with longer trains between them cost both sides less. A quarter may be lost
 * before the answer is late. */
static uint32_t fresh_max(const struct mr_sessions *sessions, bool slow)
{
    const uint32_t window = mr_session_credit_window(sessions, slow), half = window / 2;

    if (sessions->waiting.count > 0 && !slow) {
        const uint32_t turn = mr_window_turn(&sessions->windows);
        const uint32_t told = window < turn ? window : turn; /* at the least */
        return told - told / 4;
    }
    return half < 1 ? 1 : half < MR_ACK_EVERY ? half : MR_ACK_EVERY;
}

static struct early_answers early_answers(const struct mr_sessions *sessions)
{
    return (struct early_answers){
        .fresh_most = {fresh_max(sessions, false), fresh_max(sessions, true)},
        .whole_most = mr_window_turn(&sessions->windows)};
}

/* Its device may have all of it under way. */
static bool is_under_way(const struct early_answers *early, const struct mr_session *session,
                         uint32_t chunks)
{
    return session->open && !session->slow && chunks <= early->whole_most;
}

/* The tag held: the chunk is there. */
static void believe(struct mr_sessions *sessions, const struct mr_session_claim *claim,
                    uint64_t now_ms, const struct early_answers *early)
{
    struct mr_session *session = claim->session;
    struct mr_slot *slot = &sessions->staging.slots[session->slot];
    const uint32_t chunks = sessions->rounds[session->round].layout.chunks;

    mr_slot_set(slot, claim->chunk);
    if (claim->chunk == session->base) {
        session->base = mr_slot_missing(slot, session->base, chunks);
    }
    session->received++;
    session->fresh++;
    session->progress_ms = now_ms;
    heard_from(sessions, session, claim->packet);
    if (session->received == chunks) {
        mr_session_complete(sessions, session);
    } else if (is_under_way(early, session, chunks)) {
        mr_session_ack_whole(sessions, session);
    } else if (session->open && session->fresh >= early->fresh_most[session->slow]) {
        mr_session_ack_urgent(sessions, session);
    } else if (session->open || session->ack_number > 0) {
        mr_session_ack_lazy(sessions, session);
    } else {
        session->ack_wanted = true; /* its turn may come before it has to be told to wait */
    }
}

static void settle_claims(struct mr_sessions *sessions, struct mr_session_burst *burst,
                          uint64_t now_ms, enum mr_drop_reason *reasons)
{
    const struct early_answers early = early_answers(sessions);

    mr_open_burst(sessions->opener, burst->jobs, burst->count);
    /* Opening pushed out of the nearest cache what look_ahead fetched. */
    for (unsigned i = 0; i < burst->count; i++) {
        const struct mr_session_claim *claim = &burst->claims[i];
        if (i > 0 && claim->bits == claim[-1].bits) {
            continue;
        }
        __builtin_prefetch(claim->bits, 1);
        __builtin_prefetch(claim->session, 1);
        __builtin_prefetch((const uint8_t *)claim->session + 64, 1);
    }
    for (unsigned i = 0; i < burst->count; i++) {
        const struct mr_session_claim *claim = &burst->claims[i];
        if (burst->jobs[i].held) {
            believe(sessions, claim, now_ms, &early);
        }
        reason_set(sessions, reasons, claim->index,
                   burst->jobs[i].held ? MR_UPLOAD_ACCEPTED : MR_UPLOAD_DROP_bad_tag);
    }
    burst->count = 0;
    memset(burst->claimed, 0, sizeof burst->claimed);
}

/* The place of the claim on that chunk, or, empty, where it belongs. Exact: a false alarm would cut
 * the burst in two, and what is opened first in each part was not fetched ahead. */
static uint8_t *claim_place(struct mr_session_burst *burst, const struct mr_session *session,
                            uint32_t index, uint32_t chunk)
{
    uint32_t at = (chunk + index * 0x9e3779b1u) % MR_CLAIM_PLACES;

    while (burst->claimed[at] != 0) {
        const struct mr_session_claim *claim = &burst->claims[burst->claimed[at] - 1];
        if (claim->session == session && claim->chunk == chunk) {
            break;
        }
        at = (at + 1) % MR_CLAIM_PLACES;
    }
    return &burst->claimed[at];
}

static void claim_chunk(struct mr_sessions *sessions, struct mr_session_burst *burst,
                        struct mr_session *session, const struct mr_packet *packet,
                        const struct mr_datagram *datagram, unsigned index)
{
    const uint64_t offset =
        (uint64_t)datagram->chunk * sessions->rounds[session->round].layout.chunk_bytes;
    const struct mr_slot *slot = &sessions->staging.slots[session->slot];

    burst->claims[burst->count] =
        (struct mr_session_claim){.session = session,
                                  .packet = packet,
                                  .bits = &slot->bitmap[datagram->chunk / 64],
                                  .chunk = datagram->chunk,
                                  .index = index};
    burst->jobs[burst->count] = (struct mr_open_job){.key = mr_session_index(sessions, session),
                                                     .sequence = datagram->chunk,
                                                     .datagram = packet->data,
                                                     .bytes = datagram->length,
                                                     .plain = slot->bytes + offset,
                                                     .past_cache = burst->past_cache};
    burst->count++;
}

static bool is_repeat(const struct mr_sessions *sessions, const struct mr_session *session,
                      uint32_t chunk)
{
    return session->state != MR_UPLOAD_RECEIVING ||
           mr_slot_has(&sessions->staging.slots[session->slot], chunk);
}

/* Whether chunks are written past the caches: into slots that fit they are better kept there, since
 * the fold reads them next. */
static bool past_cache(const struct mr_sessions *sessions)
{
    return sessions->staging.bytes_used > sessions->config.cache_bytes / 2;
}

/* Reads the headers and fetches what judging the burst will touch, a step for all packets at a
 * time, so that one packet's misses hide behind another's: first the headers, then the sessions,
 * then their bitmaps. What is read here is not trusted: at worst the wrong line is fetched. */
static void look_ahead(const struct mr_sessions *sessions, struct mr_session_burst *burst,
                       const struct mr_packet *packets, unsigned count)
{
    const struct mr_session **found = burst->found;

    for (unsigned i = 0; i < count; i++) {
        __builtin_prefetch(packets[i].data);
        __builtin_prefetch(packets[i].data + MR_DATAGRAM_HEADER_BYTES - 1);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct mr_datagram *datagram = &burst->datagrams[i];
        burst->forms[i] =
            mr_datagram_decode(&burst->datagrams[i], packets[i].data, packets[i].length);
        found[i] = NULL;
        if (burst->forms[i] != MR_DATAGRAM_OK) {
            continue;
        }
        const uint32_t index = mr_upload_id_index(datagram->upload_id);
        if (index >= sessions->config.sessions) {
            continue;
        }
        found[i] = &sessions->table[index];
        if (i == 0 || found[i] != found[i - 1]) {
            __builtin_prefetch(found[i], 1);
            __builtin_prefetch((const uint8_t *)found[i] + 64, 1);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        const uint32_t word = burst->datagrams[i].chunk / 64;
        if (!found[i] || found[i]->slot == MR_SLOT_NONE ||
            (i > 0 && found[i] == found[i - 1] && word == burst->datagrams[i - 1].chunk / 64)) {
            continue; /* the next of a train: its session's word of bits is on its way */
        }
        if (burst->datagrams[i].chunk < sessions->rounds[found[i]->round].layout.chunks) {
            __builtin_prefetch(&sessions->staging.slots[found[i]->slot].bitmap[word], 1);
        }
    }
}

void mr_sessions_receive(struct mr_sessions *sessions, const struct mr_packet *packets,
                         unsigned count, uint64_t now_ms, enum mr_drop_reason *reasons)
{
    struct mr_session_burst *burst = &sessions->burst;
    uint64_t bytes = 0;

    MR_ASSERT(count <= MR_BURST_MAX);
    sessions->now_ms = now_ms;
    burst->count = 0;
    burst->past_cache = past_cache(sessions);
    memset(burst->claimed, 0, sizeof burst->claimed);
    look_ahead(sessions, burst, packets, count);
    for (unsigned i = 0; i < count; i++) {
        const struct mr_datagram *datagram = &burst->datagrams[i];
        struct mr_session *session = NULL;
        enum mr_drop_reason reason = check(sessions, burst->forms[i], datagram, &session);
        bytes += packets[i].length;
        if (reason == MR_UPLOAD_ACCEPTED && session) {
            const uint32_t index = mr_session_index(sessions, session);
            uint8_t *place = claim_place(burst, session, index, datagram->chunk);
            if (*place != 0) {
                settle_claims(sessions, burst, now_ms, reasons);
                place = claim_place(burst, session, index, datagram->chunk);
            }
            if (!is_repeat(sessions, session, datagram->chunk)) {
                claim_chunk(sessions, burst, session, &packets[i], datagram, i);
                *place = (uint8_t)burst->count;
                continue;
            }
            reason = repeated(sessions, session, &packets[i], datagram);
        }
        reason_set(sessions, reasons, i, reason);
    }
    settle_claims(sessions, burst, now_ms, reasons);
    mr_session_credit_turns(sessions);
    mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_packets], count);
    mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_bytes], bytes);
    mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_bursts], count > 0);
}
