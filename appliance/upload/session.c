/* The life cycle of upload sessions. */
#include "appliance/upload/session.h"

#include <string.h>

#include "appliance/upload/session_internal.h"
#include "base/assert.h"

/* Nothing of an earlier upload stays but the places that its index has in queues. */
static void forget(struct mr_sessions *sessions, struct mr_session *session)
{
    const struct mr_session kept = *session;

    if (session->upload_id != 0) {
        mr_opener_forget(sessions->opener, mr_session_index(sessions, session));
        mr_opener_forget(sessions->sealer, mr_session_index(sessions, session));
    }
    memset(session, 0, sizeof *session);
    session->slot = MR_SLOT_NONE;
    session->in_urgent = kept.in_urgent;
    session->in_lazy = kept.in_lazy;
    session->in_waiting = kept.in_waiting;
    session->in_turns = kept.in_turns;
    session->told = kept.told;
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* Nobody is in the queues but indices of sessions that are gone. */
static void clear_queues(struct mr_sessions *sessions)
{
    MR_ASSERT(sessions->open_count == 0 && sessions->slow_count == 0);
    sessions->told_count = 0;
    mr_index_queue_clear(&sessions->urgent);
    mr_index_queue_clear(&sessions->lazy);
    mr_index_queue_clear(&sessions->small);
    mr_index_queue_clear(&sessions->whole);
    mr_index_queue_clear(&sessions->waiting);
    mr_index_queue_clear(&sessions->turns);
    sessions->event_head = 0;
    sessions->event_count = 0;
    for (uint32_t i = 0; i < sessions->config.sessions; i++) {
        struct mr_session *session = &sessions->table[i];
        session->in_urgent = session->in_lazy = false;
        session->in_waiting = session->in_turns = session->told = false;
    }
}

static void find_chunks_max(struct mr_sessions *sessions)
{
    uint32_t most = 0;

    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        const struct mr_session_round *round = &sessions->rounds[i];
        if (round->live && round->layout.chunks > most) {
            most = round->layout.chunks;
        }
    }
    sessions->windows.chunks_max = most;
}

void mr_sessions_begin(struct mr_sessions *sessions, unsigned round, uint64_t number,
                       const struct mr_layout *layout, uint32_t window_total)
{
    MR_ASSERT(round < MR_PLANE_ROUNDS_MAX);
    MR_ASSERT(layout->share_bytes <= sessions->staging.bytes_max);
    mr_sessions_end(sessions, round, window_total);
    sessions->rounds[round] = (struct mr_session_round){
        .number = number, .layout = *layout, .live = true, .staged_first = MR_SLOT_NONE};
    sessions->rounds_live++;
    find_chunks_max(sessions);
}

void mr_sessions_end(struct mr_sessions *sessions, unsigned round, uint32_t window_total)
{
    sessions->windows.window_total = window_total;
    if (!sessions->rounds[round].live) {
        return;
    }
    for (uint32_t i = 0; i < sessions->config.sessions; i++) {
        struct mr_session *session = &sessions->table[i];
        if (session->upload_id == 0 || session->round != round) {
            continue;
        }
        if (session->state == MR_UPLOAD_RECEIVING) {
            sessions->receiving--;
            mr_session_credit_return(sessions, session);
        }
        if (session->slot != MR_SLOT_NONE) {
            mr_session_free_slot(sessions, session);
        }
        forget(sessions, session);
    }
    sessions->rounds[round] = (struct mr_session_round){.staged_first = MR_SLOT_NONE};
    find_chunks_max(sessions);
    if (--sessions->rounds_live == 0) {
        clear_queues(sessions);
    }
}

/* --- uploads ---------------------------------------------------------------------------------- */

int mr_sessions_admit(struct mr_sessions *sessions, unsigned round,
                      const struct mr_session_admission *admission, uint64_t now_ms)
{
    const uint64_t upload_id = admission->upload_id;
    const uint32_t index = mr_upload_id_index(upload_id);
    struct mr_session_round *in = &sessions->rounds[round];

    MR_ASSERT(round < MR_PLANE_ROUNDS_MAX && in->live);
    MR_ASSERT(mr_upload_id_lane(upload_id) == sessions->config.lane);
    MR_ASSERT(index < sessions->config.sessions && (uint32_t)upload_id != 0);
    struct mr_session *session = &sessions->table[index];
    MR_ASSERT(session->slot == MR_SLOT_NONE); /* not in use: never was, or a tombstone */
    forget(sessions, session);
    if (mr_opener_key(sessions->opener, index, &admission->keys->up) != 0 ||
        mr_opener_key(sessions->sealer, index, &admission->keys->down) != 0) {
        return -1;
    }
    session->upload_id = upload_id;
    session->attempt = admission->attempt;
    session->state = MR_UPLOAD_RECEIVING;
    session->round = (uint8_t)round;
    session->slot = mr_staging_take(&sessions->staging, index, &in->layout);
    sessions->staging.slots[session->slot].count_lane = admission->count_lane;
    in->held++;
    in->receiving++;
    session->progress_ms = now_ms;
    sessions->now_ms = now_ms;
    sessions->receiving++;
    mr_session_credit_admit(sessions, session);
    return 0;
}

struct mr_session *mr_session_find(const struct mr_sessions *sessions, uint64_t upload_id)
{
    const uint32_t index = mr_upload_id_index(upload_id);

    /* Id 0 is what an empty entry has. */
    if (upload_id == 0 || index >= sessions->config.sessions ||
        sessions->table[index].upload_id != upload_id) {
        return NULL;
    }
    return &sessions->table[index];
}

static void refuse(struct mr_sessions *sessions, struct mr_session *session,
                   enum mr_upload_reason reason)
{
    MR_ASSERT(session->state == MR_UPLOAD_RECEIVING);
    session->state = MR_UPLOAD_REFUSED;
    session->reason = (uint8_t)reason;
    sessions->receiving--;
    mr_session_round_of(sessions, session)->receiving--;
    mr_session_credit_return(sessions, session);
    mr_session_free_slot(sessions, session);
    mr_session_ack_urgent(sessions, session);
}

void mr_session_complete(struct mr_sessions *sessions, struct mr_session *session)
{
    struct mr_session_round *round = mr_session_round_of(sessions, session);

    if (!mr_slot_sound(&sessions->staging.slots[session->slot], &round->layout)) {
        refuse(sessions, session, MR_REASON_UNSOUND);
        mr_session_event_push(sessions, session, MR_UPLOAD_REFUSED);
        mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_unsound], 1);
        return;
    }
    session->state = MR_UPLOAD_STAGED;
    sessions->receiving--;
    round->receiving--;
    mr_session_credit_return(sessions, session);
    mr_session_stage(sessions, round, session->slot);
    mr_session_event_push(sessions, session, MR_UPLOAD_STAGED);
    mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_staged], 1);
    mr_session_ack_urgent(sessions, session);
}

bool mr_sessions_revoke(struct mr_sessions *sessions, uint64_t upload_id,
                        enum mr_upload_reason reason)
{
    struct mr_session *session = mr_session_find(sessions, upload_id);

    if (!session) {
        return false;
    }
    if (session->state == MR_UPLOAD_RECEIVING) {
        refuse(sessions, session, reason);
    }
    return session->state == MR_UPLOAD_REFUSED;
}

/* The owner of that slot if it is receiving, else NULL. */
static struct mr_session *receiving_owner(const struct mr_sessions *sessions, uint32_t slot)
{
    const uint32_t owner = sessions->staging.slots[slot].owner;

    if (owner == MR_SLOT_NONE || sessions->table[owner].state != MR_UPLOAD_RECEIVING) {
        return NULL;
    }
    return &sessions->table[owner];
}

void mr_sessions_refuse_all(struct mr_sessions *sessions, unsigned round,
                            enum mr_upload_reason reason)
{
    const struct mr_session_round *of = &sessions->rounds[round];

    for (uint32_t slot = 0; of->receiving > 0 && slot < sessions->staging.count; slot++) {
        struct mr_session *session = receiving_owner(sessions, slot);
        if (session && session->round == round) {
            refuse(sessions, session, reason);
        }
    }
}

void mr_sessions_clock(struct mr_sessions *sessions, uint64_t now_ms)
{
    sessions->now_ms = now_ms;
}

/* For how long it could have sent something new: while it waited, it could not. */
static uint64_t stalled_ms(const struct mr_session *session, uint64_t now_ms)
{
    const bool later = session->open && session->since_ms > session->progress_ms;

    return now_ms - (later ? session->since_ms : session->progress_ms);
}

void mr_sessions_expire(struct mr_sessions *sessions, uint64_t now_ms)
{
    sessions->now_ms = now_ms;
    for (uint32_t slot = 0; sessions->receiving > 0 && slot < sessions->staging.count; slot++) {
        struct mr_session *session = receiving_owner(sessions, slot);
        if (!session) {
            continue;
        }
        if (stalled_ms(session, now_ms) >= sessions->config.idle_timeout_ms / MR_WINDOW_STALL) {
            mr_session_credit_pass_on(sessions, session);
        }
        if (now_ms - session->progress_ms < sessions->config.idle_timeout_ms) {
            continue;
        }
        refuse(sessions, session, MR_REASON_IDLE);
        mr_session_event_push(sessions, session, MR_UPLOAD_REFUSED);
        mr_counter_add(&sessions->counters->counts[MR_UPLOAD_COUNT_expired], 1);
    }
}

void mr_sessions_settle(struct mr_sessions *sessions, uint64_t upload_id, bool committed,
                        enum mr_upload_reason reason)
{
    struct mr_session *session = mr_session_find(sessions, upload_id);

    if (!session || session->state != MR_UPLOAD_STAGED) {
        return;
    }
    MR_ASSERT(session->slot == MR_SLOT_NONE); /* only what was folded can be settled */
    session->state = committed ? MR_UPLOAD_COMMITTED : MR_UPLOAD_REFUSED;
    session->reason = committed ? MR_REASON_NONE : (uint8_t)reason;
    mr_session_ack_urgent(sessions, session);
}

uint32_t mr_sessions_receiving(const struct mr_sessions *sessions)
{
    return sessions->receiving;
}

uint32_t mr_sessions_slots_free(const struct mr_sessions *sessions)
{
    return sessions->staging.free_count;
}

int mr_sessions_look(const struct mr_sessions *sessions, uint64_t upload_id,
                     enum mr_upload_state *state, uint32_t *received)
{
    const struct mr_session *session = mr_session_find(sessions, upload_id);

    if (!session) {
        return -1;
    }
    *state = session->state;
    *received = session->received;
    return 0;
}
