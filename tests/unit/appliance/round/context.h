/* context.h - what a real lead or helper stands in: a folder with a store, a loop, a log that can
 * be read, a configuration; keys, hubs, model and terms are those of a world with two hubs. */
#ifndef MR_TEST_ROUND_CONTEXT_H
#define MR_TEST_ROUND_CONTEXT_H

#include "appliance/config/hub_config.h"
#include "appliance/round/drive/helper_driver.h"
#include "parties.h"

struct room {
    struct world *world;
    char *dir;
    struct mr_hub_config config;
    struct mr_config_round policy;
    struct mr_config_accept accept; /* nothing set: everything is accepted */
    struct mr_h2_endpoint endpoints[2];
    struct mr_round_context shared; /* for _open */
    int log_fd;
    unsigned made; /* models that rounds have made, stored or not */
    unsigned fatals;
    char fatal[400]; /* the last one's text */
};

/* For the hub at that position of the world; nothing but the store is open. */
struct room *room_open(unsigned position);
/* … in a world whose rounds have noise. */
struct room *room_open_noised(unsigned position);
void room_close(struct room *room);
/* As a process that ends and starts again: the store is read anew. */
void room_restart(struct room *room);

/* Runs the loop until `reached`; fails the test if that takes more than half a minute. */
void room_run_until(struct room *room, bool (*reached)(void *context), void *context);
/* … until the round has made its model, which is being stored then. */
void room_run_until_made(struct room *room);
/* Runs what was posted until now: after a _stop. */
void room_drain(struct room *room);
/* Whether the log has that. */
bool room_logged(const struct room *room, const char *words);
unsigned room_times_logged(const struct room *room, const char *words);
/* From there on; NULL: it was not logged. Until the next call. */
const char *room_log_at(const struct room *room, const char *words);
/* The path of a file in data_dir (a static buffer). */
char *room_path(const struct room *room, const char *name);
/* The eighth byte of that file, where there is one: the version in what logs begin with. */
void room_age(const struct room *room, const char *name);
void room_put(const struct room *room, const char *name, const void *bytes, size_t length);

#endif
