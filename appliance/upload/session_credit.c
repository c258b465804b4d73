/* Who may send how much. The whole ingress takes window_total chunks at a time; small windows waste
 * round trips and ACKs. So few sessions are open at once, each with a window that carries it far
 * (mr_window_turn); the others wait in the order in which they were first heard of, and meanwhile
 * get single chunks through, one a timeout of the sender.
 *
 * A session that does not use its window up once in MR_WINDOW_TURN_MS cannot fill it: its line is
 * thin, its path long, or it is gone. While others wait it is left the least window, and what it
 * had opens another. So many thin lines together fill the ingress as well as a few thick ones do.
 */
#include "appliance/upload/session_internal.h"

static uint32_t least(const struct mr_sessions *sessions)
{
    return mr_window_min(sessions->windows.window_max);
}

/* The credits of those that are not slow, together. */
static uint32_t total_of_fast(const struct mr_sessions *sessions)
{
    return mr_window_credits(&sessions->windows, sessions->slow_count);
}

uint32_t mr_session_credit_window(const struct mr_sessions *sessions, bool slow)
{
    const uint32_t most = sessions->windows.window_max;

    if (sessions->waiting.count == 0) {
        return mr_window_share(sessions->windows.window_total, sessions->open_count, most);
    }
    if (slow) {
        return least(sessions);
    }
    return mr_window_share(total_of_fast(sessions), sessions->open_count - sessions->slow_count,
                           most);
}

static bool has_room(const struct mr_sessions *sessions)
{
    const uint64_t fast = sessions->open_count - sessions->slow_count;
    const uint32_t turn = mr_window_turn(&sessions->windows);

    return sessions->open_count == 0 || (fast + 1) * turn <= total_of_fast(sessions);
}

static void begin_turn(struct mr_sessions *sessions, struct mr_session *session)
{
    session->since_ms = sessions->now_ms;
    session->turn_received = session->received;
    if (session->in_turns) {
        return;
    }
    session->in_turns = true;
    mr_index_queue_push(&sessions->turns, mr_session_index(sessions, session));
}

static void open_session(struct mr_sessions *sessions, struct mr_session *session)
{
    session->open = true;
    sessions->open_count++;
    begin_turn(sessions, session);
}

/* Opens those that waited longest, and tells them. */
static void fill(struct mr_sessions *sessions)
{
    while (sessions->waiting.count > 0 && has_room(sessions)) {
        struct mr_session *session = &sessions->table[mr_index_queue_at(&sessions->waiting, 0)];
        mr_index_queue_pop(&sessions->waiting, 1);
        sessions->told_count -= sessions->told_count > 0;
        session->in_waiting = false;
        session->told = false;
        if (session->state != MR_UPLOAD_RECEIVING || session->open || !session->heard) {
            continue; /* ended since, and perhaps another upload by now */
        }
        open_session(sessions, session);
        mr_session_ack_urgent(sessions, session);
    }
}

/* Who has had a turn and did not use its window up is left the least one. */
static void judge_turns(struct mr_sessions *sessions)
{
    const uint32_t turn = mr_window_turn(&sessions->windows);

    while (sessions->turns.count > 0) {
        struct mr_session *session = &sessions->table[mr_index_queue_at(&sessions->turns, 0)];
        const bool judged = session->open && !session->slow;
        if (judged && sessions->now_ms - session->since_ms < MR_WINDOW_TURN_MS) {
            break;
        }
        mr_index_queue_pop(&sessions->turns, 1);
        session->in_turns = false;
        if (!judged) {
            continue;
        }
        if (session->received - session->turn_received >= turn) {
            begin_turn(sessions, session);
        } else {
            session->slow = true;
            sessions->slow_count++;
        }
    }
}

void mr_session_credit_admit(struct mr_sessions *sessions, struct mr_session *session)
{
    if (!has_room(sessions)) { /* it will wait, as plane_room.c reckons */
        judge_turns(sessions);
    }
    if (has_room(sessions)) {
        open_session(sessions, session);
    }
}

/* The place in the line is an earlier upload's of the same index, or its own already. */
static void keep_waiting(struct mr_sessions *sessions, struct mr_session *session)
{
    if (session->since_ms == 0) {
        session->since_ms = sessions->now_ms;
    }
    if (session->told && session->ack_number == 0) {
        mr_session_ack_lazy(sessions, session); /* who was told is not this one */
    }
}

void mr_session_credit_ask(struct mr_sessions *sessions, struct mr_session *session)
{
    if (session->open || session->state != MR_UPLOAD_RECEIVING) {
        return;
    }
    if (session->in_waiting) {
        keep_waiting(sessions, session);
        return;
    }
    session->in_waiting = true;
    session->since_ms = sessions->now_ms;
    mr_index_queue_push(&sessions->waiting, mr_session_index(sessions, session));
    fill(sessions);
}

void mr_session_credit_return(struct mr_sessions *sessions, struct mr_session *session)
{
    if (!session->open) {
        return;
    }
    sessions->slow_count -= session->slow;
    session->slow = false;
    session->open = false;
    sessions->open_count--;
    fill(sessions);
}

void mr_session_credit_pass_on(struct mr_sessions *sessions, struct mr_session *session)
{
    if (!session->open || session->in_urgent || sessions->waiting.count == 0) {
        return; /* what is about to be told of its window has had no time to use it */
    }
    mr_session_credit_return(sessions, session);
    if (session->heard) {
        mr_session_credit_ask(sessions, session);
    }
}

void mr_session_credit_turns(struct mr_sessions *sessions)
{
    if (sessions->waiting.count > 0) {
        judge_turns(sessions);
    }
    fill(sessions);
}

uint32_t mr_session_credit_untold_ms(const struct mr_sessions *sessions, uint64_t now_ms)
{
    if (sessions->told_count == sessions->waiting.count) {
        return UINT32_MAX;
    }
    const uint32_t index = mr_index_queue_at(&sessions->waiting, sessions->told_count);
    const uint64_t due_ms = sessions->table[index].since_ms + MR_ACK_DELAY_WAITING_MS;
    return now_ms >= due_ms ? 0 : (uint32_t)(due_ms - now_ms);
}

struct mr_session *mr_session_credit_tell(struct mr_sessions *sessions)
{
    struct mr_session *session =
        &sessions->table[mr_index_queue_at(&sessions->waiting, sessions->told_count++)];

    session->told = true;
    return session;
}
