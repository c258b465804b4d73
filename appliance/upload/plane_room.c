/* plane_room.c - which worker an upload goes to, and whether a window is likely to be free there.
 *
 * A guess from what the control thread knows, after the rule of session_credit.c. An upload that
 * was granted a window has it until it is whole; where uploads are no longer than one window, a
 * line that has not brought all of it in MR_WINDOW_TURN_MS is slow, or its device is gone, and
 * counts for the least window. Where uploads are longer nothing tells the two apart, and all count
 * alike. A wrong guess costs a chunk that is sent by itself and an ACK, as session_credit.c has it.
 */
#include "appliance/upload/plane_internal.h"

/* The worker with the fewest receiving sessions among those with a slot for the round; -1: none. */
int mr_plane_choose_worker(const struct mr_plane_round *round)
{
    const struct mr_upload_plane *plane = round->plane;
    int best = -1;

    for (unsigned i = 0; i < plane->config.workers; i++) {
        const struct mr_worker_view *view = &plane->views[i];
        if ((best < 0 || view->receiving < plane->views[best].receiving) &&
            mr_plane_may_take(round, view, i)) {
            best = (int)i;
        }
    }
    return best;
}

static struct mr_window_terms terms_of(const struct mr_upload_plane *plane, unsigned worker)
{
    return (struct mr_window_terms){.window_total = plane->window_totals[worker],
                                    .window_max = plane->config.window_max,
                                    .chunks_max = plane->chunks_max};
}

/* An upload of any round is done with one window. */
static bool fit_a_window(const struct mr_window_terms *terms)
{
    return terms->chunks_max <= mr_window_turn(terms);
}

bool mr_plane_first_window(const struct mr_upload_plane *plane, unsigned worker, uint32_t *window)
{
    const struct mr_window_terms terms = terms_of(plane, worker);
    struct mr_worker_view *view = &plane->views[worker];
    uint32_t fast = view->receiving;

    (void)mr_worker_view_age(view, mr_loop_now_ms(plane->loop));
    if (fit_a_window(&terms)) {
        fast = view->fast;
    }
    *window = mr_window_first(&terms, fast + 1, view->receiving - fast);
    return fast + 1 <= mr_window_openings(&terms, view->receiving - fast);
}

void mr_upload_plane_on_room(struct mr_upload_plane *plane, mr_loop_fn room, void *context)
{
    plane->room = room;
    plane->room_context = context;
}

uint32_t mr_upload_plane_hold_ms(const struct mr_plane_round *round)
{
    const struct mr_upload_plane *plane = round->plane;
    uint32_t window;

    if (!round->open || round->uploads >= round->uploads_max) {
        return 0;
    }
    const int worker = mr_plane_choose_worker(round);
    if (worker < 0 || mr_plane_first_window(plane, (unsigned)worker, &window)) {
        return 0;
    }
    const struct mr_window_terms terms = terms_of(plane, (unsigned)worker);
    const uint32_t ms = mr_worker_view_age(&plane->views[worker], mr_loop_now_ms(plane->loop));
    return fit_a_window(&terms) && ms != UINT32_MAX ? ms : 0;
}
