/* session.h - a worker's upload sessions: what a datagram means, and what is answered. Sans-IO: no
 * clock, no socket, no thread; packets, addresses and the time (milliseconds of any monotonic
 * clock) are arguments. One thread. No allocation after _open.
 *
 * Sessions of several rounds live side by side and share slots and windows; a round is named by a
 * small index (0..MR_PLANE_ROUNDS_MAX - 1) which the caller chooses.
 *
 * A session is named by its upload id = lane u8 ‖ index u24 ‖ random u32 (not zero). Whoever admits
 * chooses the id (index < sessions, not in use or a tombstone); the whole id is compared.
 *
 * RECEIVING (has a slot) → STAGED (slot waits for the fold, then is free) → COMMITTED
 *          ↘ REFUSED (slot freed)            ↘ REFUSED (its collection was void)
 * A share that is whole is staged only if its count lane is what the admission said.
 * Ended sessions stay as tombstones, so that a retransmission gets the final answer, until their
 * index is admitted again or their round is ended. */
#ifndef MR_UPLOAD_SESSION_H
#define MR_UPLOAD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/ingest/packet_source.h"
#include "appliance/upload/drops.h"
#include "appliance/upload/limits.h"
#include "appliance/upload/open.h"
#include "kernels/kernels.h"
#include "wire/datagram.h"
#include "wire/layout.h"

/* At most so many milliseconds pass before a new chunk is acknowledged on a quiet socket: what
 * comes meanwhile, the rest of a small upload perhaps, is acknowledged with it. */
#define MR_ACK_DELAY_MS 1
/* … and on a busy one. */
#define MR_ACK_DELAY_BUSY_MS 5
/* … and on any, counted from the first new chunk, where all of an upload is under way: no answer
 * but the last lets its device send sooner, and only what was lost needs another. */
#define MR_ACK_DELAY_WHOLE_MS 5
/* … the first ACK of an upload of no more chunks than the least window: it waits for no credits,
 * and its device takes nothing for lost before 250 ms. Most are whole by then, and get one ACK. */
#define MR_ACK_DELAY_SMALL_MS 20
/* New chunks of one session that are acknowledged without waiting for the burst's end, if no other
 * session waits for a window. */
#define MR_ACK_EVERY 16
/* A session that has to wait for a window is told so after so long, if it got none meanwhile. */
#define MR_ACK_DELAY_WAITING_MS 100
/* While sessions wait for a window (session_credit.c): the most that those that have one get, how
 * many have one side by side before it is less than that, and for how long without using it up
 * once. So many datagrams of the default size make a whole train (UDP GSO, 64 KiB).
 */
#define MR_WINDOW_TURN    44
#define MR_WINDOW_ABREAST 32
#define MR_WINDOW_TURN_MS 64
/* The least window that is granted: smaller ones waste round trips. */
#define MR_WINDOW_MIN 4
/* A session without a new chunk for this part of the idle timeout gives its window to one that
 * waits. */
#define MR_WINDOW_STALL 16

#define MR_ACK_DATAGRAM_BYTES (MR_DATAGRAM_OVERHEAD + MR_ACK_BYTES)

struct mr_sessions;

struct mr_sessions_config {
    uint8_t lane;               /* top byte of its upload ids: the worker's number */
    uint32_t sessions;          /* 1..2^24 */
    uint32_t slots;             /* 1..sessions */
    uint64_t share_bytes_max;   /* a slot's size */
    uint64_t cache_bytes;       /* of last-level cache that this worker may count on; 0: none */
    uint32_t window_max;        /* chunks in flight one session is ever granted */
    uint32_t idle_timeout_ms;   /* without a new chunk for so long: refused */
    enum mr_opener_kind opener; /* 0: the fastest that works here */
    uint32_t cpu_levels;        /* that it may use; 0: all */
};

static inline uint64_t mr_upload_id_make(uint8_t lane, uint32_t index, uint32_t random)
{
    return (uint64_t)lane << 56 | (uint64_t)(index & 0xffffffu) << 32 | random;
}

static inline uint8_t mr_upload_id_lane(uint64_t upload_id)
{
    return (uint8_t)(upload_id >> 56);
}

static inline uint32_t mr_upload_id_index(uint64_t upload_id)
{
    return (uint32_t)(upload_id >> 32) & 0xffffffu;
}

/* Plans and touches all memory on the calling thread, AEAD contexts included. `counters` must
 * outlive the sessions. 0 or -1. */
int mr_sessions_open(struct mr_sessions **sessions, const struct mr_sessions_config *config,
                     struct mr_upload_counters *counters, struct mr_error *error);
void mr_sessions_close(struct mr_sessions *sessions); /* NULL allowed */

/* What opens the chunks. */
const struct mr_opener *mr_sessions_opener(const struct mr_sessions *sessions);

/* Begins a round at that index (what was there is ended first); `number` is what its datagrams
 * carry. The layout must fit a slot. All receiving sessions of all rounds together are granted
 * window_total chunks in flight; while there are more of them than that suffices for, some have a
 * window and the others wait for one. */
void mr_sessions_begin(struct mr_sessions *sessions, unsigned round, uint64_t number,
                       const struct mr_layout *layout, uint32_t window_total);
/* Forgets every session of that round and frees its slots; nothing where there is no round. */
void mr_sessions_end(struct mr_sessions *sessions, unsigned round, uint32_t window_total);

/* An upload that is to be received. */
struct mr_session_admission {
    uint64_t upload_id;
    uint32_t attempt;
    uint32_t count_lane;               /* what lane MR_TRAILER_COUNT of the whole share has to be */
    const struct mr_upload_keys *keys; /* copied and expanded; the caller wipes them */
};

/* Opens a session of a round that was begun. A free slot must exist. -1 when the AEAD refuses the
 * key (there is no session then). */
int mr_sessions_admit(struct mr_sessions *sessions, unsigned round,
                      const struct mr_session_admission *admission, uint64_t now_ms);

/* Judges a burst (at most MR_BURST_MAX); a new chunk is in its slot afterwards. reasons[count] may
 * be NULL; everything is counted. Packet bytes are not changed and not kept. */
void mr_sessions_receive(struct mr_sessions *sessions, const struct mr_packet *packets,
                         unsigned count, uint64_t now_ms, enum mr_drop_reason *reasons);

struct mr_ack_datagram {
    struct mr_peer_address to;
    uint8_t bytes[MR_ACK_DATAGRAM_BYTES];
};
/* Makes the ACKs that are due, at most `most` (1..MR_BURST_MAX); how many, 0: none is due now.
 * `quiet`: the last poll emptied the socket. */
unsigned mr_sessions_acks(struct mr_sessions *sessions, uint64_t now_ms, bool quiet,
                          struct mr_ack_datagram *acks, unsigned most);
/* Likewise, one. */
static inline bool mr_sessions_ack(struct mr_sessions *sessions, uint64_t now_ms, bool quiet,
                                   struct mr_ack_datagram *ack)
{
    return mr_sessions_acks(sessions, now_ms, quiet, ack, 1) == 1;
}
/* Milliseconds until mr_sessions_acks has something to say on a quiet socket; UINT32_MAX: not
 * before something else happens. */
uint32_t mr_sessions_ack_wait_ms(const struct mr_sessions *sessions, uint64_t now_ms);

/* Complete uploads of a round that wait for the fold, oldest first: fills up to MR_FOLD_MAX shares
 * and their ids, returns how many. The shares stay valid until mr_sessions_folded(count), which
 * frees their slots. */
unsigned mr_sessions_staged(const struct mr_sessions *sessions, unsigned round,
                            const uint8_t *shares[MR_FOLD_MAX], uint64_t upload_ids[MR_FOLD_MAX]);
void mr_sessions_folded(struct mr_sessions *sessions, unsigned round, unsigned count);
/* Instead of _folded: the first `count` are folded, and their shares stay where they are until
 * _take_back, which frees the slots of all that are lent. */
void mr_sessions_lend(struct mr_sessions *sessions, unsigned round, unsigned count);
void mr_sessions_take_back(struct mr_sessions *sessions, unsigned round);

/* What happened by itself, in order: MR_UPLOAD_STAGED, or MR_UPLOAD_REFUSED for an upload that
 * idled or is unsound. false when there is nothing more. To be emptied after every _receive and
 * _expire. */
struct mr_session_event {
    uint64_t upload_id;
    enum mr_upload_state state;
    enum mr_upload_reason reason; /* when refused */
    unsigned round;
};
bool mr_sessions_event(struct mr_sessions *sessions, struct mr_session_event *event);

/* What time it is, for calls that are not told: turns begin in them as well. */
void mr_sessions_clock(struct mr_sessions *sessions, uint64_t now_ms);

/* Refuses a receiving upload. true: it will never be folded (now or since earlier); false: it is
 * staged, committed or unknown. */
bool mr_sessions_revoke(struct mr_sessions *sessions, uint64_t upload_id,
                        enum mr_upload_reason reason);
/* Refuses every receiving upload of a round. */
void mr_sessions_refuse_all(struct mr_sessions *sessions, unsigned round,
                            enum mr_upload_reason reason);
/* Refuses what idled for too long. */
void mr_sessions_expire(struct mr_sessions *sessions, uint64_t now_ms);
/* Ends a staged upload: committed, or refused with the reason. Unknown ids are ignored. */
void mr_sessions_settle(struct mr_sessions *sessions, uint64_t upload_id, bool committed,
                        enum mr_upload_reason reason);

/* Of a round: uploads that wait for the fold; slots that its uploads hold. */
uint32_t mr_sessions_staged_count(const struct mr_sessions *sessions, unsigned round);
uint32_t mr_sessions_held(const struct mr_sessions *sessions, unsigned round);
/* Of all rounds. */
uint32_t mr_sessions_receiving(const struct mr_sessions *sessions);
uint32_t mr_sessions_slots_free(const struct mr_sessions *sessions);

/* What windows follow from. */
struct mr_window_terms {
    uint32_t window_total; /* chunks in flight over all receiving sessions */
    uint32_t window_max;   /* of one */
    uint32_t chunks_max;   /* of an upload of any of the rounds that there are */
};

static inline uint32_t mr_window_min(uint32_t window_max)
{
    return window_max < MR_WINDOW_MIN ? window_max : MR_WINDOW_MIN;
}

/* What a session is opened with while others wait, at the least; no more than the longest upload of
 * the rounds has chunks, since what is set aside beyond that keeps others waiting for nothing. */
static inline uint32_t mr_window_turn(const struct mr_window_terms *terms)
{
    const uint32_t min = mr_window_min(terms->window_max);
    const uint32_t turn = terms->window_total / MR_WINDOW_ABREAST;
    uint32_t most = terms->window_max < MR_WINDOW_TURN ? terms->window_max : MR_WINDOW_TURN;

    most = terms->chunks_max < most ? terms->chunks_max : most;
    return turn < min || most < min ? min : turn > most ? most : turn;
}

/* What is left of window_total beside so many slow sessions, which have the least window. */
static inline uint32_t mr_window_credits(const struct mr_window_terms *terms, uint32_t slow)
{
    const uint64_t taken = (uint64_t)slow * mr_window_min(terms->window_max);

    return taken < terms->window_total ? (uint32_t)(terms->window_total - taken) : 0;
}

/* How many sessions have such a window at once, beside so many slow ones. */
static inline uint32_t mr_window_openings(const struct mr_window_terms *terms, uint32_t slow)
{
    const uint32_t openings = mr_window_credits(terms, slow) / mr_window_turn(terms);

    return openings > 0 || slow > 0 ? openings : 1;
}

/* Credits: an even part of window_total, at least MR_WINDOW_MIN, at most window_max. */
static inline uint32_t mr_window_share(uint32_t window_total, uint32_t receiving,
                                       uint32_t window_max)
{
    const uint32_t min = mr_window_min(window_max);
    const uint32_t even = window_total / (receiving > 0 ? receiving : 1);

    return even < min ? min : even > window_max ? window_max : even;
}

/* What a new upload may send before it heard anything: its credits, or one chunk where it will have
 * to wait for some. `fast`, those that are not slow, counts it. */
static inline uint32_t mr_window_first(const struct mr_window_terms *terms, uint32_t fast,
                                       uint32_t slow)
{
    return fast > mr_window_openings(terms, slow)
               ? 1
               : mr_window_share(mr_window_credits(terms, slow), fast, terms->window_max);
}

/* For tests: the upload's state, chunks that are there; -1 if there is no such session. */
int mr_sessions_look(const struct mr_sessions *sessions, uint64_t upload_id,
                     enum mr_upload_state *state, uint32_t *received);

#endif
