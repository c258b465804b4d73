/* session_event.c - what became of uploads, for the worker to tell the control thread. */
#include "appliance/upload/session_internal.h"
#include "base/assert.h"

void mr_session_event_push(struct mr_sessions *sessions, const struct mr_session *session,
                           enum mr_upload_state state)
{
    MR_ASSERT(sessions->event_count < sessions->event_capacity);
    const uint32_t at = (sessions->event_head + sessions->event_count++) % sessions->event_capacity;
    sessions->events[at] =
        (struct mr_session_event){.upload_id = session->upload_id,
                                  .state = state,
                                  .reason = (enum mr_upload_reason)session->reason,
                                  .round = session->round};
}

bool mr_sessions_event(struct mr_sessions *sessions, struct mr_session_event *event)
{
    if (sessions->event_count == 0) {
        return false;
    }
    *event = sessions->events[sessions->event_head];
    sessions->event_head = (sessions->event_head + 1) % sessions->event_capacity;
    sessions->event_count--;
    return true;
}
