/* Uploads of a round: admitted, put over HTTP/2, revoked. */
#include <openssl/rand.h>
#include <string.h>

#include "appliance/upload/plane_internal.h"
#include "base/assert.h"

void mr_plane_upload_ended(struct mr_upload_plane *plane, struct mr_worker_view *view,
                           struct mr_worker_view_entry *entry)
{
    if (mr_worker_view_ended(view, entry)) {
        plane->rounds[entry->round]->uploads--;
    }
}

void mr_plane_receiving_ended(struct mr_plane_round *round, struct mr_worker_view *view)
{
    round->uploads -= mr_worker_view_end_receiving(view, round->index);
}

/* --- admissions ------------------------------------------------------------------------------- */

static uint32_t random_part(struct mr_upload_plane *plane)
{
    uint32_t value = 0;

    while (value == 0) {
        if (plane->randoms_left == 0) {
            const int drawn = RAND_bytes((unsigned char *)plane->randoms, sizeof plane->randoms);
            MR_ASSERT(drawn == 1);
            plane->randoms_left = MR_PLANE_RANDOMS;
        }
        value = plane->randoms[--plane->randoms_left];
    }
    return value;
}

/* Takes a slot of that view; the upload's id, or 0. */
static uint64_t take(struct mr_plane_round *round, struct mr_worker_view *view, unsigned which)
{
    struct mr_upload_plane *plane = round->plane;
    const uint64_t upload_id =
        mr_worker_view_admit(view, round->index, random_part(plane), mr_loop_now_ms(plane->loop));

    if (upload_id != 0) {
        round->held[which]++;
        round->uploads++;
    }
    return upload_id;
}

static int admit_http2(struct mr_plane_round *round, const struct mr_admission *admission,
                       struct mr_upload_grant *grant)
{
    struct mr_upload_plane *plane = round->plane;
    const unsigned which = plane->config.workers;

    if (!mr_plane_may_take(round, &plane->lane.view, which)) {
        return -1;
    }
    grant->upload_id = take(round, &plane->lane.view, which);
    if (grant->upload_id == 0) {
        return -1;
    }
    mr_lane_expect(&plane->lane, grant->upload_id, admission->count_lane);
    return 0;
}

static int admit_udp(struct mr_plane_round *round, const struct mr_admission *admission,
                     struct mr_upload_grant *grant)
{
    struct mr_upload_plane *plane = round->plane;
    const int worker = mr_plane_choose_worker(round);

    if (worker < 0) {
        return -1;
    }
    struct mr_worker_view *view = &plane->views[worker];
    const bool has_window = mr_plane_first_window(plane, (unsigned)worker, &grant->window);
    const uint64_t upload_id = take(round, view, (unsigned)worker);
    if (upload_id == 0) {
        return -1;
    }
    if (has_window) {
        mr_worker_view_granted(view, upload_id);
    }
    struct mr_worker_order *order = mr_worker_order(plane->workers[worker]);
    order->kind = MR_ORDER_ADMIT;
    order->round = round->index;
    order->admit.upload_id = upload_id;
    order->admit.attempt = admission->attempt;
    order->admit.count_lane = admission->count_lane;
    order->admit.keys = *admission->keys;
    mr_worker_leave(plane->workers[worker]);
    grant->upload_id = upload_id;
    memcpy(grant->udp_host, plane->config.advertise_host, strlen(plane->config.advertise_host));
    grant->udp_port = mr_worker_port(plane->workers[worker]);
    return 0;
}

int mr_upload_plane_admit(struct mr_plane_round *round, const struct mr_admission *admission,
                          struct mr_upload_grant *grant)
{
    const struct mr_upload_plane *plane = round->plane;

    memset(grant, 0, sizeof *grant);
    if (!round->open || round->uploads >= round->uploads_max) {
        return -1;
    }
    const int failed = admission->transport == MR_TRANSPORT_HTTP2
                           ? admit_http2(round, admission, grant)
                           : admit_udp(round, admission, grant);
    if (failed != 0) {
        round->hungry_until_ms = mr_loop_now_ms(plane->loop) + plane->config.idle_timeout_ms;
    }
    return failed;
}

/* --- HTTP/2 ----------------------------------------------------------------------------------- */

static struct mr_worker_view_entry *find_http2(const struct mr_upload_plane *plane,
                                               uint64_t upload_id)
{
    return mr_upload_id_lane(upload_id) == MR_LANE_HTTP2
               ? mr_worker_view_find(&plane->lane.view, upload_id)
               : NULL;
}

/* Ends an upload that has not come; false if it has, or ended before. */
static bool drop_http2(struct mr_upload_plane *plane, struct mr_worker_view_entry *entry)
{
    struct mr_plane_round *round = plane->rounds[entry->round];

    if (!mr_lane_drop(&plane->lane, entry)) {
        return false;
    }
    round->held[plane->config.workers]--;
    round->uploads--;
    return true;
}

enum mr_plane_put mr_upload_plane_put(struct mr_upload_plane *plane, uint64_t upload_id,
                                      const uint8_t *share, size_t length)
{
    struct mr_worker_view_entry *entry = find_http2(plane, upload_id);

    if (!entry || !mr_lane_takes(&plane->lane, entry, length)) {
        return MR_PLANE_PUT_NONE;
    }
    struct mr_plane_round *round = plane->rounds[entry->round];
    const enum mr_lane_put put = mr_lane_put(&plane->lane, entry, share, plane->kernels);
    const bool sound = put == MR_LANE_FOLDED;
    if (put == MR_LANE_NO_MEMORY) {
        return MR_PLANE_PUT_NO_MEMORY;
    }
    if (!sound) {
        (void)drop_http2(plane, entry);
    } else if (!round->keep) {
        round->held[plane->config.workers]--;
    }
    mr_plane_raise(round, sound ? MR_PLANE_STAGED : MR_PLANE_UNSOUND, upload_id);
    return sound ? MR_PLANE_PUT_STAGED : MR_PLANE_PUT_UNSOUND;
}

void mr_upload_plane_touch(struct mr_upload_plane *plane, uint64_t upload_id)
{
    struct mr_worker_view_entry *entry = find_http2(plane, upload_id);

    if (entry) {
        entry->since_ms = mr_loop_now_ms(plane->loop);
    }
}

void mr_plane_on_lane_timer(void *context)
{
    struct mr_upload_plane *plane = context;
    const uint64_t now = mr_loop_now_ms(plane->loop);
    const uint32_t timeout = plane->config.idle_timeout_ms;
    struct mr_worker_view *view = &plane->lane.view;

    for (uint32_t i = 0; view->receiving > 0 && i < view->sessions; i++) {
        struct mr_worker_view_entry *entry = &view->entries[i];
        if (entry->state == MR_VIEW_RECEIVING && now - entry->since_ms >= timeout &&
            drop_http2(plane, entry)) {
            mr_plane_raise(plane->rounds[entry->round], MR_PLANE_EXPIRED, entry->upload_id);
        }
    }
    mr_timer_arm(plane->lane_timer, now + timeout / 2 + 1);
}

/* --- revocations ------------------------------------------------------------------------------ */

static void revoke_http2(struct mr_plane_round *round, uint64_t upload_id)
{
    struct mr_worker_view_entry *entry = find_http2(round->plane, upload_id);
    const bool known = entry && entry->round == round->index;
    const bool revoked = known && (drop_http2(round->plane, entry) ||
                                   (entry->state == MR_VIEW_ENDED && !entry->committed));

    mr_plane_raise(round, revoked ? MR_PLANE_REVOKED : MR_PLANE_NOT_REVOKED, upload_id);
}

void mr_upload_plane_revoke(struct mr_plane_round *round, uint64_t upload_id,
                            enum mr_upload_reason reason)
{
    struct mr_upload_plane *plane = round->plane;
    const uint8_t lane = mr_upload_id_lane(upload_id);

    if (lane == MR_LANE_HTTP2) {
        revoke_http2(round, upload_id);
        return;
    }
    struct mr_worker_view_entry *entry =
        lane < plane->config.workers ? mr_worker_view_find(&plane->views[lane], upload_id) : NULL;
    if (!entry || entry->round != round->index) {
        mr_plane_raise(round, MR_PLANE_NOT_REVOKED, upload_id);
        return;
    }
    if (entry->revoking) {
        return; /* the answer that is under way answers this as well */
    }
    entry->revoking = true;
    struct mr_worker_order *order = mr_worker_order(plane->workers[lane]);
    order->kind = MR_ORDER_REVOKE;
    order->round = round->index;
    order->revoke.upload_id = upload_id;
    order->revoke.reason = reason;
    mr_worker_send(plane->workers[lane]);
}
