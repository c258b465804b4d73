/* hub.h - a whole hub: its parts in boot order, and what they share. */
#ifndef MR_HUB_HUB_H
#define MR_HUB_HUB_H

#include "appliance/api/api.h"
#include "appliance/config/hub_config.h"
#include "appliance/http/server.h"
#include "appliance/runtime/job.h"
#include "appliance/storage/folder_lock.h"
#include "appliance/task/age_counter.h"

/* Removed tasks whose threads have not ended yet. */
#define MR_HUB_LEAVING_MAX (2 * MR_TASKS_MAX)
/* Configurations that SIGHUP brought into force; all are kept to the end. */
#define MR_HUB_RELOADS_MAX 1024u

struct mr_hub {
    const struct mr_hub_config *config;
    struct mr_loop *loop;
    struct mr_log *log;
    const struct mr_kernels *kernels;

    struct mr_signing_pair keys;                     /* Ed25519; wiped at the end */
    struct mr_announced_hub book[MR_ADDRESSES_MAX];  /* pinned keys of config->hubs */
    struct mr_age_place place;                       /* what its folders are bound to */
    char copied[MR_AGE_WHY_BYTES];                   /* why data_dir is a copy; "": it is none */
    bool behind;                                     /* by the TPM's counter */
    struct mr_age_counter *counter;                  /* NULL: none */
    struct mr_api api;                               /* the tasks are in it */
    unsigned tasks_led_max;                          /* the plane is planned for so many */
    struct mr_api_task *leaving[MR_HUB_LEAVING_MAX]; /* removed, their threads have not ended yet */
    unsigned leaving_count;
    struct mr_job_thread *endings; /* waits for those threads, one task after the other */
    struct mr_server *server;
    struct mr_route *routes;
    struct mr_timer *revocation_timer; /* NULL: no list */
    int64_t revocation_seen[4];        /* what the file looked like; zeros: look again */
    struct mr_error revocation_why;    /* what was logged of the last failure; "" where none is */
    struct mr_timer *terms_timer;      /* NULL: nothing runs out */
    unsigned terms_said[MR_TLS_TERMS]; /* how near its end each was when the log was told */
    struct mr_hub_config *reloads[MR_HUB_RELOADS_MAX];
    unsigned reloads_count;
    bool failed;                 /* stopped by something it must not go on without */
    struct mr_folder_lock *lock; /* of data_dir; the first to be taken, the last to be let go */
};

/* mr_hub_open: another process has data_dir. */
#define MR_HUB_DATA_DIR_IN_USE 1

/* Before the process confines itself: the counter of the TPM that the configuration names, for
 * mr_hub_take_counter. NULL: it names none. 0, or -1 with an error. */
int mr_hub_open_counter(struct mr_age_counter **counter, const struct mr_hub_config *config,
                        struct mr_error *error);
/* keys → upload plane (where it leads): what a hub that starts as root does before it becomes
 * another user, and nothing in data_dir. config, log and loop are the caller's and outlive it. 0,
 * or -1 with an error that names option and remedy. */
int mr_hub_prepare(struct mr_hub **hub, const struct mr_hub_config *config,
                   const struct mr_kernels *kernels, struct mr_loop *loop, struct mr_log *log,
                   struct mr_error *error);
/* After _prepare, before _open: passes to the hub. */
void mr_hub_take_counter(struct mr_hub *hub, struct mr_age_counter *counter);
/* data_dir, which is this process's alone from then on → each task's store and driver → server.
 * `rebuild`: a task whose versions.db is gone gets a new one, with a word in the log. 0, or -1 or
 * MR_HUB_DATA_DIR_IN_USE with an error; mr_hub_close is owed in either case. */
int mr_hub_open(struct mr_hub *hub, bool rebuild, struct mr_error *error);
/* Runs the loop for a moment to take what its threads still have to say. */
void mr_hub_close(struct mr_hub *hub);

/* hub_tasks.c. Two steps to the end: drivers and plane, while the server still takes answers; then,
 * when it has given back what it borrowed of the stores, the rest. */
/* How many of the configuration's tasks this hub leads. */
unsigned mr_hub_tasks_led(const struct mr_hub_config *config);
int mr_hub_open_tasks(struct mr_hub *hub, bool rebuild, struct mr_error *error);
/* Warns of tasks that begin with one model: they are one lineage (task/released.h). */
void mr_hub_tell_shared_models(const struct mr_hub *hub);
void mr_hub_close_tasks(struct mr_hub *hub);
void mr_hub_free_tasks(struct mr_hub *hub);
/* hub_task.c: one task, which is not in the API's list yet. */
int mr_hub_task_open(struct mr_hub *hub, struct mr_api_task **task,
                     const struct mr_hub_config *config, const struct mr_config_task *task_config,
                     struct mr_error *error);
/* hub_task.c: one that is in the list no longer. Whoever waits for its news is refused as no_task.
 * Its threads are waited for aside; then it is freed. Its files stay: opened again, it goes on with
 * the round that it was in. */
void mr_hub_task_leave(struct mr_hub *hub, struct mr_api_task *task);

/* hub_revocation.c: the list is read again now, or where the file has changed. */
int mr_hub_watch_revocations(struct mr_hub *hub, struct mr_error *error);
void mr_hub_reload_revocations(struct mr_hub *hub);
bool mr_hub_revoked(void *hub, const struct mr_serial *serial);

/* hub_terms.c: certificates and lists that run out, told at the start, at a reload and in time. */
int mr_hub_watch_terms(struct mr_hub *hub, struct mr_error *error);
void mr_hub_tell_terms(struct mr_hub *hub);

/* hub_plane.c: the plane for rounds of so many tasks that this hub leads at once (1 or more). */
int mr_hub_open_plane(struct mr_hub *hub, unsigned tasks_led, struct mr_error *error);

/* The keys of the configuration: this hub's own, and the address book's public ones. */
int mr_hub_read_keys(struct mr_hub *hub, struct mr_error *error);

#endif
