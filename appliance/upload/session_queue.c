/* Queues of sessions over fixed memory, and the marks that an ACK is due. */
#include <stdlib.h>

#include "appliance/upload/session_internal.h"
#include "base/assert.h"

int mr_index_queue_open(struct mr_index_queue *queue, uint32_t capacity)
{
    queue->items = calloc(capacity, sizeof *queue->items);
    queue->capacity = capacity;
    return queue->items ? 0 : -1;
}

void mr_index_queue_push(struct mr_index_queue *queue, uint32_t item)
{
    MR_ASSERT(queue->count < queue->capacity);
    const uint32_t at = queue->head + queue->count;
    queue->items[at < queue->capacity ? at : at - queue->capacity] = item;
    queue->count++;
}

void mr_index_queue_pop(struct mr_index_queue *queue, uint32_t count)
{
    MR_ASSERT(count <= queue->count);
    queue->head = (queue->head + count) % queue->capacity;
    queue->count -= count;
}

void mr_session_ack_urgent(struct mr_sessions *sessions, struct mr_session *session)
{
    session->ack_wanted = true;
    if (session->in_urgent) {
        return;
    }
    session->in_urgent = true;
    mr_index_queue_push(&sessions->urgent, mr_session_index(sessions, session));
}

/* Its device had credits for all it has, and heard nothing yet. */
static bool is_small(const struct mr_sessions *sessions, const struct mr_session *session)
{
    return session->ack_number == 0 && session->open && session->state == MR_UPLOAD_RECEIVING &&
           sessions->rounds[session->round].layout.chunks <=
               mr_window_min(sessions->windows.window_max);
}

void mr_session_ack_lazy(struct mr_sessions *sessions, struct mr_session *session)
{
    session->ack_wanted = true;
    if (session->in_lazy || session->in_urgent) {
        return;
    }
    session->in_lazy = true;
    if (is_small(sessions, session)) {
        session->acked_ms = sessions->now_ms; /* its time begins now */
        mr_index_queue_push(&sessions->small, mr_session_index(sessions, session));
    } else {
        mr_index_queue_push(&sessions->lazy, mr_session_index(sessions, session));
    }
}

/* A first chunk by itself may be of a device that was told to wait, by a control thread that did
 * not know of the room: it is answered as any other. */
void mr_session_ack_whole(struct mr_sessions *sessions, struct mr_session *session)
{
    if (!session->in_lazy && !session->in_urgent) {
        session->acked_ms = sessions->now_ms; /* its time begins now */
        if (session->received > 1 && !is_small(sessions, session)) {
            session->ack_wanted = true;
            session->in_lazy = true;
            mr_index_queue_push(&sessions->whole, mr_session_index(sessions, session));
            return;
        }
    }
    mr_session_ack_lazy(sessions, session);
}
