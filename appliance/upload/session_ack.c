/* What is answered, and when. Sent bytes never exceed what came from the same address. */
#include <string.h>

#include "appliance/upload/session_internal.h"
#include "base/assert.h"
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

/* Writes the session's next ACK, to be sealed; false where its numbers are used up. */
static bool ack_write(const struct mr_sessions *sessions, struct mr_session *session,
                      struct mr_ack_datagram *out, struct mr_seal_job *job)
{
    const struct mr_datagram header = {.type = MR_DATAGRAM_ACK,
                                       .length = MR_ACK_BYTES,
                                       .upload_id = session->upload_id,
                                       .round = sessions->rounds[session->round].number,
                                       .attempt = session->attempt,
                                       .chunk = session->ack_number};
    struct mr_ack ack;

    /* The number is the nonce: it is used once, whether the seal works or not, and never wraps. */
    if (session->ack_number == UINT32_MAX) {
        return false;
    }
    session->ack_number++;
    ack_fill(sessions, session, &ack);
    mr_datagram_encode(out->bytes, &header);
    mr_ack_encode(out->bytes + MR_DATAGRAM_HEADER_BYTES, &ack);
    out->to = session->from;
    *job = (struct mr_seal_job){.sequence = header.chunk,
                                .datagram = out->bytes,
                                .bytes = MR_ACK_BYTES,
                                .key = mr_session_index(sessions, session)};
    return true;
}

/* The ACK of a session that wants one; false if it may not have one. */
static bool ack_make(struct mr_sessions *sessions, struct mr_session *session, uint64_t now_ms,
                     struct mr_ack_datagram *out, struct mr_seal_job *job)
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
    if (!ack_write(sessions, session, out, job)) {
        return false;
    }
    session->bytes_out += MR_ACK_DATAGRAM_BYTES;
    session->acked_ms = now_ms;
    return true;
}

/* How long until the first of the queue is to be answered, where that takes so long; UINT32_MAX:
 * there is none. Those behind it became due later, or a millisecond sooner at most. */
static uint32_t lazy_ms(const struct mr_sessions *sessions, const struct mr_index_queue *queue,
                        uint32_t delay_ms, uint64_t now_ms)
{
    if (queue->count == 0) {
        return UINT32_MAX;
    }
    const struct mr_session *session = &sessions->table[mr_index_queue_at(queue, 0)];
    const uint64_t due_ms = session->acked_ms + delay_ms;
    return !session->ack_wanted || now_ms >= due_ms ? 0 : (uint32_t)(due_ms - now_ms);
}

static struct mr_session *lazy_pop(struct mr_sessions *sessions, struct mr_index_queue *queue)
{
    struct mr_session *session = &sessions->table[mr_index_queue_at(queue, 0)];

    mr_index_queue_pop(queue, 1);
    session->in_lazy = false;
    return session;
}

/* The next session whose answer is due; NULL: there is none. It may have been answered since. */
static struct mr_session *due_next(struct mr_sessions *sessions, uint64_t now_ms, bool quiet)
{
    if (sessions->urgent.count > 0) {
        struct mr_session *session = &sessions->table[mr_index_queue_at(&sessions->urgent, 0)];
        mr_index_queue_pop(&sessions->urgent, 1);
        session->in_urgent = false;
        return session;
    }
    const uint32_t delay_ms = quiet ? MR_ACK_DELAY_MS : MR_ACK_DELAY_BUSY_MS;
    if (lazy_ms(sessions, &sessions->lazy, delay_ms, now_ms) == 0) {
        return lazy_pop(sessions, &sessions->lazy);
    }
    const uint32_t small_ms = quiet ? MR_ACK_DELAY_MS : MR_ACK_DELAY_SMALL_MS;
    if (lazy_ms(sessions, &sessions->small, small_ms, now_ms) == 0) {
        return lazy_pop(sessions, &sessions->small);
    }
    if (lazy_ms(sessions, &sessions->whole, MR_ACK_DELAY_WHOLE_MS, now_ms) == 0) {
        return lazy_pop(sessions, &sessions->whole);
    }
    if (mr_session_credit_untold_ms(sessions, now_ms) == 0) {
        return mr_session_credit_tell(sessions);
    }
    return NULL;
}

/* Seals them; how many can be sent, which are the first then. */
static unsigned seal_all(struct mr_sessions *sessions, struct mr_ack_datagram *acks,
                         struct mr_seal_job *jobs, unsigned count)
{
    unsigned good = 0;

    mr_seal_burst(sessions->sealer, jobs, count);
    for (unsigned i = 0; i < count; i++) {
        if (!jobs[i].sealed) {
            continue;
        }
        if (good != i) {
            acks[good] = acks[i];
        }
        good++;
    }
    return good;
}

unsigned mr_sessions_acks(struct mr_sessions *sessions, uint64_t now_ms, bool quiet,
                          struct mr_ack_datagram *acks, unsigned most)
{
    struct mr_seal_job *jobs = sessions->seals;
    unsigned count, good;

    MR_ASSERT(most >= 1 && most <= MR_BURST_MAX);
    do {
        struct mr_session *session = NULL;
        count = 0;
        while (count < most && (session = due_next(sessions, now_ms, quiet)) != NULL) {
            if (session->ack_wanted &&
                ack_make(sessions, session, now_ms, &acks[count], &jobs[count])) {
                count++;
            }
        }
        good = count > 0 ? seal_all(sessions, acks, jobs, count) : 0;
    } while (count > 0 && good == 0);
    return good;
}

uint32_t mr_sessions_ack_wait_ms(const struct mr_sessions *sessions, uint64_t now_ms)
{
    const uint32_t waits[] = {
        sessions->urgent.count > 0 ? 0 : UINT32_MAX,
        lazy_ms(sessions, &sessions->lazy, MR_ACK_DELAY_MS, now_ms),
        lazy_ms(sessions, &sessions->small, MR_ACK_DELAY_MS, now_ms),
        lazy_ms(sessions, &sessions->whole, MR_ACK_DELAY_WHOLE_MS, now_ms),
        mr_session_credit_untold_ms(sessions, now_ms),
    };
    uint32_t least_ms = UINT32_MAX;

    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        least_ms = waits[i] < least_ms ? waits[i] : least_ms;
    }
    return least_ms;
}
