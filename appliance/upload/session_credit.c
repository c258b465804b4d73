/* Who may send how much. The whole ingress takes window_total chunks at a time; a window under
 * MR_WINDOW_MIN wastes round trips. So at most window_total / MR_WINDOW_MIN sessions are open at
 * once; the others wait in the order in which they were first heard of, and meanwhile get single
 * chunks through, one a timeout of the sender. */
#include "appliance/upload/session_impl.h"

static uint32_t openings(const struct mr_sessions *sessions)
{
    return mr_window_openings(sessions->window_total, sessions->config.window_max);
}

static void open_session(struct mr_sessions *sessions, struct session *session)
{
    session->open = true;
    sessions->open_count++;
}

/* Opens those that waited longest, and tells them. */
static void fill(struct mr_sessions *sessions)
{
    while (sessions->waiting.count > 0 && sessions->open_count < openings(sessions)) {
        struct session *session = &sessions->table[index_queue_at(&sessions->waiting, 0)];
        index_queue_pop(&sessions->waiting, 1);
        session->in_waiting = false;
        if (session->state != MR_UPLOAD_RECEIVING || session->open || !session->heard)
            continue; /* ended since, and perhaps another upload by now */
        open_session(sessions, session);
        session_ack_urgent(sessions, session);
    }
}

void session_credit_admit(struct mr_sessions *sessions, struct session *session)
{
    if (sessions->open_count < openings(sessions))
        open_session(sessions, session);
}

void session_credit_ask(struct mr_sessions *sessions, struct session *session)
{
    if (session->open || session->in_waiting || session->state != MR_UPLOAD_RECEIVING)
        return;
    session->in_waiting = true;
    index_queue_push(&sessions->waiting, session_index(sessions, session));
    fill(sessions);
}

void session_credit_return(struct mr_sessions *sessions, struct session *session)
{
    if (!session->open)
        return;
    session->open = false;
    sessions->open_count--;
    fill(sessions);
}

void session_credit_pass_on(struct mr_sessions *sessions, struct session *session)
{
    if (!session->open || session->in_urgent || sessions->waiting.count == 0)
        return; /* what is about to be told of its window has had no time to use it */
    session_credit_return(sessions, session);
    if (session->heard)
        session_credit_ask(sessions, session);
}
