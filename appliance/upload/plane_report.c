/* What the workers report, and the events that wait, on the loop's thread. */
#include <unistd.h>

#include "appliance/upload/plane_internal.h"

static void on_worker_event(struct mr_plane_round *round, struct mr_worker_view *view,
                            const struct mr_worker_report *report)
{
    struct mr_worker_view_entry *entry = mr_worker_view_find(view, report->upload_id);
    const struct mr_plane_event event = {.kind = report->event, .upload_id = report->upload_id};

    if (entry) {
        if (report->event == MR_PLANE_STAGED) {
            mr_worker_view_staged(view, entry);
        } else if (report->event != MR_PLANE_NOT_REVOKED) {
            mr_plane_upload_ended(round->plane, view, entry);
        }
        if (report->event == MR_PLANE_REVOKED || report->event == MR_PLANE_NOT_REVOKED) {
            entry->revoking = false;
        }
    }
    round->listener.event(round->listener.context, &event);
}

static void on_worker_report(struct mr_upload_plane *plane, unsigned worker,
                             const struct mr_worker_report *report)
{
    struct mr_worker_view *view = &plane->views[worker];

    view->slots_free += report->slots_freed;
    if (report->kind == MR_REPORT_ENDED) {
        plane->ending[report->round]--;
        return;
    }
    struct mr_plane_round *round = mr_plane_round_at(plane, report->round, report->generation);
    if (!round) {
        return; /* what is still said of a round that was ended */
    }
    round->held[worker] -= report->slots_freed;
    if (report->kind == MR_REPORT_EVENT) {
        on_worker_event(round, view, report);
    } else if (report->kind == MR_REPORT_COLLECTED) {
        mr_plane_collected_from(round, worker, report->shard);
    }
}

void mr_plane_on_report(void *context, int fd, uint32_t events)
{
    struct mr_upload_plane *plane = context;
    struct mr_worker_report report;
    uint64_t count;

    (void)events;
    if (read(fd, &count, sizeof count) < 0) {
        return; /* already read: nothing new */
    }
    mr_plane_deliver(plane);
    for (unsigned i = 0; i < plane->config.workers; i++) {
        while (mr_worker_report(plane->workers[i], &report)) {
            on_worker_report(plane, i, &report);
        }
    }
    mr_plane_deliver(plane);
    /* A callback may end its round, or another. */
    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        if (plane->rounds[i]) {
            mr_plane_finish_collection(plane->rounds[i]);
        }
    }
    if (plane->room) {
        plane->room(plane->room_context);
    }
}
