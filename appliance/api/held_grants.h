/* held_grants.h - requests for an upload that wait until the upload plane has a window for it.
 *
 * They are answered in the order in which they were asked. Whoever has waited for
 * MR_HOLD_GRANT_MS_MAX is answered as if there were room: a device that cannot be given a window
 * is admitted without one. Nothing looks at more than the first that has to go on waiting. Loop's
 * thread only. */
#ifndef MR_API_HELD_GRANTS_H
#define MR_API_HELD_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/http/server.h"
#include "appliance/observe/metrics.h"
#include "appliance/runtime/loop.h"

/* No longer than a device waits until it asks again about a closed window by itself, twice. */
#define MR_HOLD_GRANT_MS_MAX 500u

struct mr_held_grants;

/* The queue never looks into a request; what it asks and does is these. */
struct mr_held_ops {
    /* After how many milliseconds to ask again at the latest; 0: it is to be answered now. */
    uint32_t (*hold_ms)(void *context, struct mr_request *request);
    void (*answer)(void *context, struct mr_request *request);
    void (*refuse)(void *context, struct mr_request *request); /* the hub stops */
};

struct mr_held_grants *mr_held_grants_open(struct mr_loop *loop, const struct mr_held_ops *ops,
                                           void *context); /* NULL: out of memory */
/* Refuses all that wait. NULL allowed. */
void mr_held_grants_close(struct mr_held_grants *held);

/* Keeps the request and answers it later: where others wait, or it has to itself. False: it is the
 * caller's to answer now (also where there is no memory to keep it, or no queue: NULL). */
bool mr_held_grants_keep(struct mr_held_grants *held, struct mr_request *request);
/* There may be room now: answers those that need not wait any more. Not from inside an answer. */
void mr_held_grants_look(void *held);

/* NULL: nothing. */
void mr_held_grants_metrics(const struct mr_held_grants *held, struct mr_metrics *metrics);

#endif
