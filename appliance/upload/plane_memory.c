/* How rounds share slots and accumulators.
 *
 * Slots: whoever asks gets one while there are any, so that a busy round may use all of them. But a
 * round that was refused is kept the slots that fall free, on every worker, until it has its even
 * part there (slots / open rounds, at least one). A claim that is not repeated lapses after the
 * idle timeout: by then any slot that was held in vain has been freed as well.
 *
 * Accumulators: every worker has the same number of bytes for them, and a round's lie at the same
 * offset with each. The bytes are cells of the largest round each, and no round lies across the end
 * of a cell: with as many cells as tasks that are led, one is whole and free whenever a task
 * without a live round asks, however the others' sizes mix. Inside the cells they are cut to size
 * where they leave the smallest gap: rounds of the same tasks come again and again, and find the
 * place that their size left. */
#include <inttypes.h>

#include "appliance/upload/plane_internal.h"

/* --- slots ------------------------------------------------------------------------------------ */

static uint32_t even_part(const struct mr_upload_plane *plane, const struct mr_worker_view *view)
{
    uint32_t open = 0;

    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        open += plane->rounds[i] && plane->rounds[i]->open;
    }
    return open > 0 && view->slots / open > 0 ? view->slots / open : 1;
}

/* Slots that are kept for other rounds. */
static uint64_t kept_for_others(const struct mr_plane_round *round, uint32_t part, unsigned which)
{
    const struct mr_upload_plane *plane = round->plane;
    const uint64_t now_ms = mr_loop_now_ms(plane->loop);
    uint64_t kept = 0;

    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        const struct mr_plane_round *other = plane->rounds[i];
        if (other && other != round && other->open && now_ms < other->hungry_until_ms &&
            other->held[which] < part) {
            kept += part - other->held[which];
        }
    }
    return kept;
}

bool mr_plane_may_take(const struct mr_plane_round *round, const struct mr_worker_view *view,
                       unsigned which)
{
    if (view->slots_free == 0) {
        return false;
    }
    const uint32_t part = even_part(round->plane, view);
    return round->held[which] < part || view->slots_free > kept_for_others(round, part, which);
}

/* --- accumulators ----------------------------------------------------------------------------- */

/* Accumulators begin where a cache line does. */
static uint64_t whole_lines(uint64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

uint64_t mr_upload_plane_round_bytes(const struct mr_upload_plane_config *config,
                                     uint64_t share_bytes, uint32_t uploads_max)
{
    const uint32_t sessions = mr_plane_sessions_per_worker(config);
    const uint32_t uploads = uploads_max < sessions ? uploads_max : sessions;

    return 2 * (whole_lines(mr_shard_bytes(share_bytes)) + mr_shard_list_bytes(uploads));
}

static uint64_t cell_bytes(const struct mr_upload_plane *plane)
{
    return mr_upload_plane_round_bytes(&plane->config, plane->config.share_bytes_max, UINT32_MAX);
}

/* Bytes from `at` to the next round's, to the end of its cell or of all; 0 if somebody has `at`. */
static uint64_t gap_at(const struct mr_upload_plane *plane, uint64_t at)
{
    const uint64_t cell = cell_bytes(plane), cell_end = (at / cell + 1) * cell;
    uint64_t end = plane->config.accumulator_bytes;
    end = cell_end < end ? cell_end : end;

    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        const struct mr_plane_round *round = plane->rounds[i];
        if (!round || round->accumulators_bytes == 0) {
            continue;
        }
        if (at >= round->accumulators_at &&
            at < round->accumulators_at + round->accumulators_bytes) {
            return 0;
        }
        if (round->accumulators_at >= at && round->accumulators_at < end) {
            end = round->accumulators_at;
        }
    }
    return end > at ? end - at : 0;
}

/* The smallest gap that is large enough, and the largest of all. */
struct search {
    uint64_t bytes, best, at, largest;
};

static void look_at(const struct mr_upload_plane *plane, struct search *search, uint64_t start)
{
    const uint64_t gap = gap_at(plane, start);

    search->largest = gap > search->largest ? gap : search->largest;
    if (gap >= search->bytes && gap < search->best) {
        search->best = gap;
        search->at = start;
    }
}

int mr_plane_accumulators_find(const struct mr_upload_plane *plane, uint64_t bytes, uint64_t *at,
                               struct mr_error *error)
{
    struct search search = {.bytes = bytes, .best = UINT64_MAX};

    /* A gap begins where a cell begins or where a round ends. */
    for (uint64_t start = 0; start < plane->config.accumulator_bytes; start += cell_bytes(plane)) {
        look_at(plane, &search, start);
    }
    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        const struct mr_plane_round *before = plane->rounds[i];
        if (before && before->accumulators_bytes > 0) {
            look_at(plane, &search, before->accumulators_at + before->accumulators_bytes);
        }
    }
    if (search.best != UINT64_MAX) {
        *at = search.at;
        return 0;
    }
    return mr_error_set(error,
                        "the sums of this round need %" PRIu64 " bytes of a worker and %" PRIu64
                        " are free in one piece: wait until other tasks' rounds end, raise "
                        "share_bytes_max or lower the dimension",
                        bytes, search.largest);
}

uint32_t mr_upload_plane_slots(const struct mr_upload_plane *plane)
{
    return (plane->config.workers + 1) * plane->config.slots_per_worker; /* HTTP/2 has as many */
}
