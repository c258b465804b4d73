/* hub.h - a whole hub: its parts in boot order, and what the routes' handlers reach. */
#ifndef MR_HUB_HUB_H
#define MR_HUB_HUB_H

#include <limits.h>

#include "appliance/config/hub_config.h"
#include "appliance/http/server.h"
#include "appliance/api/long_poll.h"
#include "appliance/round/drive/helper_driver.h"
#include "appliance/round/drive/lead_driver.h"

struct mr_hub {
    const struct mr_hub_config *config;
    struct mr_loop *loop;
    struct mr_log *log;
    const struct mr_kernels *kernels;
    uint64_t started_ms;

    uint8_t private_key[32]; /* Ed25519 seed; wiped at the end */
    struct mr_announced_hub hubs[MR_HUBS_MAX];
    char data_dir[PATH_MAX]; /* of the task */
    struct mr_h2_endpoint endpoints[MR_HUBS_MAX]; /* of them */
    struct mr_store *store;
    struct mr_upload_plane *plane;   /* NULL where it leads nothing */
    struct mr_lead_driver *lead;     /* NULL where this hub does not lead */
    struct mr_helper_driver *helper; /* NULL where it does not help */
    struct mr_long_polls *long_polls;
    struct mr_server *server;
    struct mr_route *routes;
    struct mr_timer *revocation_timer; /* NULL: no list */
    int64_t revocation_seen[4];        /* what the file looked like; zeros: look again */
    struct mr_error revocation_why;    /* what was logged of the last failure; "" where none is */
    bool failed;                       /* stopped by something it must not go on without */
};

/* keys → store → upload plane (where it leads) → round → server. config, log and loop are the
 * caller's and outlive it. 0, or -1 with an error that names option and remedy. */
int mr_hub_open(struct mr_hub **hub, const struct mr_hub_config *config,
                const struct mr_kernels *kernels, struct mr_loop *loop, struct mr_log *log,
                struct mr_error *error);
/* Runs the loop for a moment to take what its threads still have to say. */
void mr_hub_close(struct mr_hub *hub);

/* hub_revocation.c: the list is read again now, or where the file has changed. */
int mr_hub_watch_revocations(struct mr_hub *hub, struct mr_error *error);
void mr_hub_reload_revocations(struct mr_hub *hub);
bool mr_hub_revoked(void *hub, const struct mr_serial *serial);

/* hub_plane.c: the plane for so many tasks that this hub leads (1 or more). */
int mr_hub_open_plane(struct mr_hub *hub, unsigned tasks_led, struct mr_error *error);

/* The keys of the configuration: this hub's own, and every hub's public one. */
int mr_hub_read_keys(struct mr_hub *hub, struct mr_error *error);

#endif
