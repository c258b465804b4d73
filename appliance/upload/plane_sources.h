/* plane_sources.h - opening the upload plane over other packet sources than sockets (replay, and
 * whatever a bench or a simulation brings). */
#ifndef MR_UPLOAD_PLANE_SOURCES_H
#define MR_UPLOAD_PLANE_SOURCES_H

#include "appliance/ingest/packet_source.h"
#include "appliance/upload/plane.h"

/* Makes worker `worker`'s source, on that worker's thread. NULL with an error on failure. */
typedef struct mr_packet_source *(*mr_source_make_fn)(void *context, unsigned worker,
                                                      struct mr_error *error);

struct mr_plane_sources {
    mr_source_make_fn make; /* NULL: mr_packet_source_open as configured */
    void *context;
};

/* As mr_upload_plane_open, which is this without sources. */
int mr_upload_plane_open_over(struct mr_upload_plane **plane, struct mr_loop *loop,
                              const struct mr_upload_plane_config *config,
                              const struct mr_kernels *kernels,
                              const struct mr_plane_sources *sources, struct mr_log *log,
                              struct mr_error *error);

#endif
