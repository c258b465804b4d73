/* session_internal.h - the inside of session.h. From below: session_queue.c (queues, marks),
 * session_credit.c (windows), session_open.c (memory), session_staged.c (slots), session_event.c
 * (events), session.c (life cycle), session_ack.c (answers), session_receive.c (packets); none
 * calls one above it. */
#ifndef MR_UPLOAD_SESSION_INTERNAL_H
#define MR_UPLOAD_SESSION_INTERNAL_H

#include "appliance/upload/open.h"
#include "appliance/upload/session.h"
#include "appliance/upload/staging.h"
#include "wire/datagram.h"

/* A FIFO of indices over fixed memory; its owner sees to it that it never overflows. */
struct mr_index_queue {
    uint32_t *items;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
};

/* Two cache lines, that a packet's look-up fetches. */
struct mr_session {
    _Alignas(128) uint64_t upload_id; /* 0: none */
    uint32_t attempt;
    uint8_t state;  /* enum mr_upload_state */
    uint8_t reason; /* enum mr_upload_reason */
    bool heard;     /* `from` was authenticated by a seal that held */
    bool ack_wanted;
    bool in_urgent;  /* is in that queue; stays true over a reuse of the index until popped */
    bool in_lazy;    /* as in_urgent, or in the queue of the small or the whole */
    bool open;       /* has a window; else it waits for one */
    bool slow;       /* open, but did not use its window up: has the least one while others wait */
    bool in_waiting; /* as in_urgent */
    bool in_turns;   /* as in_urgent */
    bool told;       /* is among the first told_count that wait; as in_urgent */
    uint8_t round;   /* its place in mr_sessions.rounds */
    struct mr_peer_address from;
    uint32_t slot;     /* MR_SLOT_NONE unless receiving or waiting for the fold */
    uint32_t received; /* chunks that are there */
    uint32_t base;     /* every chunk below is there */
    uint32_t fresh;    /* chunks since the last ACK */
    uint32_t ack_number;
    uint32_t turn_received; /* chunks that were there when its turn began */
    uint64_t bytes_in;      /* from `from`, authenticated or repeated */
    uint64_t bytes_out;     /* to `from`; never more than bytes_in */
    uint64_t acked_ms;
    uint64_t progress_ms; /* when the last new chunk came */
    uint64_t since_ms;    /* open: when its turn began; else: since when it waits */
};

_Static_assert(sizeof(struct mr_session) == 128, "two cache lines");

/* What a packet's look-up needs of its round is one cache line, the same for all its packets. */
struct mr_session_round {
    _Alignas(64) uint64_t number; /* in its datagrams */
    struct mr_layout layout;
    bool live;
    uint32_t held;         /* slots of its uploads */
    uint32_t receiving;    /* sessions */
    uint32_t staged_count; /* slots that wait for the fold, a list: */
    uint32_t staged_first, staged_last;
    uint32_t lent_count, lent_first; /* slots that are folded and lent, a list in front of it */
};

/* A new chunk between the peek at the bitmap and the believing. */
struct mr_session_claim {
    struct mr_session *session;
    const struct mr_packet *packet;
    uint64_t *bits; /* the word of the bitmap that holds the chunk's bit */
    uint32_t chunk;
    unsigned index; /* of the packet in the burst */
};

#define MR_CLAIM_PLACES 256u /* a quarter full at most */
_Static_assert(MR_BURST_MAX <= MR_CLAIM_PLACES / 4 && MR_BURST_MAX <= UINT8_MAX, "claims' places");

/* What the passes over a burst tell one another. Kept with the sessions and not on the stack: what
 * lies there is filled with a pattern first, in every turn, however few packets it brings. */
struct mr_session_burst {
    struct mr_datagram datagrams[MR_BURST_MAX]; /* valid where the form is MR_DATAGRAM_OK */
    enum mr_datagram_verdict forms[MR_BURST_MAX];
    const struct mr_session *found[MR_BURST_MAX]; /* by its index alone; NULL: there is none */
    struct mr_open_job jobs[MR_BURST_MAX];
    struct mr_session_claim claims[MR_BURST_MAX];
    unsigned count;  /* of jobs and claims */
    bool past_cache; /* where chunks go: the slots in use are far more than the caches hold */
    /* Which chunks are claimed: a hash table of claims by session and chunk, one more than each
     * one's number, 0: empty. Two claims on one chunk must not be open at once: a forged copy would
     * be decrypted over the true one. */
    uint8_t claimed[MR_CLAIM_PLACES];
};

struct mr_sessions {
    struct mr_sessions_config config;
    uint64_t now_ms; /* the newest time that was told */
    struct mr_window_terms windows;
    uint32_t receiving;
    uint32_t open_count;      /* receiving sessions that have a window */
    uint32_t slow_count;      /* of these, those that are slow */
    uint32_t told_count;      /* of those that wait, the first so many were told so */
    struct mr_session *table; /* config.sessions */
    struct mr_opener *opener; /* a session's upload key lies at its index */
    struct mr_opener *sealer; /* and here the key that seals its ACKs */
    struct mr_staging staging;
    struct mr_index_queue urgent; /* sessions to answer now */
    struct mr_index_queue lazy;   /* sessions to answer when the socket is quiet */
    struct mr_index_queue small;  /* likewise, when it was not for longer: uploads of one window */
    struct mr_index_queue whole; /* likewise, quiet or not: uploads that are under way as a whole */
    struct mr_index_queue waiting; /* sessions that were heard of and wait for a window */
    struct mr_index_queue turns;   /* open sessions, by the beginning of their turn */
    struct mr_session_event *events;
    uint32_t event_head, event_count, event_capacity;
    struct mr_upload_counters *counters;
    uint32_t rounds_live;
    struct mr_session_round rounds[MR_PLANE_ROUNDS_MAX];
    uint8_t scratch[MR_CHUNK_BYTES_MAX]; /* where a repeat from a new address is opened */
    struct mr_session_burst burst;
    struct mr_seal_job seals[MR_BURST_MAX]; /* of the answers that are made */
};

static inline void mr_index_queue_clear(struct mr_index_queue *queue)
{
    queue->head = 0;
    queue->count = 0;
}

static inline uint32_t mr_index_queue_at(const struct mr_index_queue *queue, uint32_t i)
{
    const uint32_t at = queue->head + i;

    return queue->items[at < queue->capacity ? at : at - queue->capacity];
}

int mr_index_queue_open(struct mr_index_queue *queue, uint32_t capacity); /* 0 or -1 */
void mr_index_queue_push(struct mr_index_queue *queue, uint32_t item);
void mr_index_queue_pop(struct mr_index_queue *queue, uint32_t count);

static inline struct mr_session_round *mr_session_round_of(struct mr_sessions *sessions,
                                                           const struct mr_session *session)
{
    return &sessions->rounds[session->round];
}

static inline uint32_t mr_session_index(const struct mr_sessions *sessions,
                                        const struct mr_session *session)
{
    return (uint32_t)(session - sessions->table);
}

/* session_credit.c. The credits that each open session has now; if `slow`, each slow one. */
uint32_t mr_session_credit_window(const struct mr_sessions *sessions, bool slow);
/* A session was admitted; was heard of; ended; had a window for long and sent nothing new (it gives
 * the window to one that waits). */
void mr_session_credit_admit(struct mr_sessions *sessions, struct mr_session *session);
void mr_session_credit_ask(struct mr_sessions *sessions, struct mr_session *session);
void mr_session_credit_return(struct mr_sessions *sessions, struct mr_session *session);
void mr_session_credit_pass_on(struct mr_sessions *sessions, struct mr_session *session);
/* Ends the turns that are over. */
void mr_session_credit_turns(struct mr_sessions *sessions);
/* How long until the next of those that wait is to be told so; UINT32_MAX: there is none. */
uint32_t mr_session_credit_untold_ms(const struct mr_sessions *sessions, uint64_t now_ms);
/* That one. */
struct mr_session *mr_session_credit_tell(struct mr_sessions *sessions);

/* session_staged.c. Gives the session's slot back; puts a slot behind those of its round that wait
 * for the fold. */
void mr_session_free_slot(struct mr_sessions *sessions, struct mr_session *session);
void mr_session_stage(struct mr_sessions *sessions, struct mr_session_round *round, uint32_t slot);

/* session_event.c. The session came to that state, for the reason that it has. */
void mr_session_event_push(struct mr_sessions *sessions, const struct mr_session *session,
                           enum mr_upload_state state);

/* The session of that id, NULL if there is none. */
struct mr_session *mr_session_find(const struct mr_sessions *sessions, uint64_t upload_id);

/* Marks an ACK due: now (the state changed, many chunks came) or when the socket is quiet. */
void mr_session_ack_urgent(struct mr_sessions *sessions, struct mr_session *session);
void mr_session_ack_lazy(struct mr_sessions *sessions, struct mr_session *session);
/* Or so long after the first new chunk, of an upload that is under way as a whole. */
void mr_session_ack_whole(struct mr_sessions *sessions, struct mr_session *session);

/* The last chunk came. */
void mr_session_complete(struct mr_sessions *sessions, struct mr_session *session);

#endif
