/* What is answered, and when. Sent bytes never exceed what came from the same address. */
#include <string.h>

#include "appliance/upload/session_internal.h"
#include "base/bytes.h"

static void ack_fill(const struct mr_sessions *sessions, const struct mr_session *session,
                     struct mr_ack *ack)
{
    *ack = (struct mr_ack){
        .state = session->state,
        .reason = session->reason,
        .received = session->received,
        .window = session->open ? mr_session_credit_window(sessions, session->slow) : 0,
        .base = session->base,
    };
    if (session->state != MR_UPLOAD_RECEIVING) {
        return;
    }
    const struct mr_slot *slot = &sessions->staging.slots[session->slot];
    const uint32_t chunks = sessions->rounds[session->round].layout.chunks;
    for (uint32_t i = 0; i < MR_ACK_BITMAP_BYTES / 8; i++) {
        const uint64_t from = (uint64_t)session->base + i * 64;
        if (from >= chunks) {
            break;
        }
        const uint64_t bits = htole64(mr_slot_window(slot, (uint32_t)from, chunks));
        memcpy(ack->bitmap + (size_t)i * 8, &bits, sizeof bits);
    }
}

static bool ack_seal(const struct mr_sessions *sessions, struct mr_session *session,
                     struct mr_ack_datagram *out)
{
    const struct mr_datagram header = {.type = MR_DATAGRAM_ACK,
                                       .length = MR_ACK_BYTES,
                                       .upload_id = session->upload_id,
                                       .round = sessions->rounds[session->round].number,
                                       .attempt = session->attempt,
                                       .chunk = session->ack_number};
    uint8_t *cipher = out->bytes + MR_DATAGRAM_HEADER_BYTES;
    struct mr_ack ack;

    /* The number is the nonce: it is used once, whether the seal works or not, and never wraps. */
    if (session->ack_number == UINT32_MAX) {
        return false;
    }
    session->ack_number++;
    ack_fill(sessions, session, &ack);
    mr_datagram_encode(out->bytes, &header);
    mr_ack_encode(cipher, &ack);
    out->to = session->from;
    return mr_aead_seal(session->down,
                        &(struct mr_aead_message){.sequence = header.chunk,
                                                  .aad = out->bytes,
                                                  .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                  .text = cipher,
                                                  .bytes = MR_ACK_BYTES},
                        cipher, cipher + MR_ACK_BYTES) == 0;
}

/* Makes the ACK of a session that wants one; false if it may not have one. */
static bool ack_make(struct mr_sessions *sessions, struct mr_session *session, uint64_t now_ms,
                     struct mr_ack_datagram *out)
{
    session->ack_wanted = false;
    session->fresh = 0;
    if (!session->heard) {
        return false; /* nobody to tell: it never sent a byte that held */
    }
    if (session->bytes_in - session->bytes_out < MR_ACK_DATAGRAM_BYTES) {
        mr_counter_add(&sessions->counters->reasons[MR_UPLOAD_DROP_ack_withheld], 1);
        return false;
    }
    if (!ack_seal(sessions, session, out)) {
        return false;
    }
    session->bytes_out += MR_ACK_DATAGRAM_BYTES;
    session->acked_ms = now_ms;
    return true;
}

static bool lazy_due(const struct mr_session *session, uint64_t now_ms, bool quiet)
{
    const uint64_t delay = quiet ? MR_ACK_DELAY_MS : MR_ACK_DELAY_BUSY_MS;

    return !session->ack_wanted || now_ms >= session->acked_ms + delay;
}

bool mr_sessions_ack(struct mr_sessions *sessions, uint64_t now_ms, bool quiet,
                     struct mr_ack_datagram *out)
{
    while (sessions->urgent.count > 0) {
        struct mr_session *session = &sessions->table[mr_index_queue_at(&sessions->urgent, 0)];
        mr_index_queue_pop(&sessions->urgent, 1);
        session->in_urgent = false;
        if (session->ack_wanted && ack_make(sessions, session, now_ms, out)) {
            return true;
        }
    }
    while (sessions->lazy.count > 0) {
        struct mr_session *session = &sessions->table[mr_index_queue_at(&sessions->lazy, 0)];
        if (!lazy_due(session, now_ms, quiet)) {
            break; /* those behind it became due later, or a millisecond sooner at most */
        }
        mr_index_queue_pop(&sessions->lazy, 1);
        session->in_lazy = false;
        if (session->ack_wanted && ack_make(sessions, session, now_ms, out)) {
            return true;
        }
    }
    while (mr_session_credit_untold_ms(sessions, now_ms) == 0) {
        struct mr_session *session = mr_session_credit_tell(sessions);
        if (session->ack_wanted && ack_make(sessions, session, now_ms, out)) {
            return true;
        }
    }
    return false;
}

uint32_t mr_sessions_ack_wait_ms(const struct mr_sessions *sessions, uint64_t now_ms)
{
    const uint32_t untold_ms = mr_session_credit_untold_ms(sessions, now_ms);

    if (sessions->urgent.count > 0) {
        return 0;
    }
    if (sessions->lazy.count == 0) {
        return untold_ms;
    }
    const struct mr_session *session = &sessions->table[mr_index_queue_at(&sessions->lazy, 0)];
    if (lazy_due(session, now_ms, true)) {
        return 0;
    }
    const uint32_t lazy_ms = (uint32_t)(session->acked_ms + MR_ACK_DELAY_MS - now_ms);
    return lazy_ms < untold_ms ? lazy_ms : untold_ms;
}
