/* small_plane.h - the configuration of a small upload plane on loopback: a test changes in it what
 * it is about. */
#ifndef MR_TEST_UPLOAD_SMALL_PLANE_H
#define MR_TEST_UPLOAD_SMALL_PLANE_H

#include "appliance/upload/plane.h"

static inline struct mr_upload_plane_config small_plane(const char *source, unsigned workers)
{
    return (struct mr_upload_plane_config){
        .workers = workers,
        .slots_per_worker = 4,
        .share_bytes_max = 4096,
        .source = source,
        .listen_host = "127.0.0.1",
        .advertise_host = "127.0.0.1",
        .window_max = 64,
        .window_total = 1024,
        .idle_timeout_ms = 60000,
    };
}

#endif
