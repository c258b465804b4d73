/* owner.h - whose folder it is: data_dir says which hub's, and a task's folder which task's. A hub
 * that finds another one's name there refuses to run: two hubs' rounds, keys and counters in one
 * folder would each be the other's damage.
 *
 *   data_dir/owner.json               {"hub": 0, "public_key": "…"}
 *   data_dir/tasks/{task}/owner.json  {"task": "…", "hubs": [0, 1]}
 *
 * Written once, when the folder is new. A task may come to have other hubs; the file says then
 * which it has now. */
#ifndef MR_TASK_OWNER_H
#define MR_TASK_OWNER_H

#include <stdint.h>

#include "base/error.h"

#define MR_OWNER_HUBS_TEXT 128

/* The public key of a hub as its folder names it; NULL: it is not looked at. */
struct mr_owner {
    uint16_t hub;
    const uint8_t *public_key; /* 32 bytes */
};

/* Whether the folder is this hub's, or nobody's yet; writes nothing. 0 or -1. */
int mr_owner_check(const char *data_dir, const struct mr_owner *owner, struct mr_error *error);
/* The same, and a folder that was nobody's is this hub's from now on. */
int mr_owner_claim(const char *data_dir, const struct mr_owner *owner, struct mr_error *error);

struct mr_task_owner {
    const char *task;
    const uint16_t *hubs;
    unsigned hubs_count;
};

int mr_owner_check_task(const char *folder, const struct mr_task_owner *owner,
                        struct mr_error *error);
/* `before`: the hubs that the folder named until now, "0, 1", where they were others; else "". */
int mr_owner_claim_task(const char *folder, const struct mr_task_owner *owner,
                        char before[MR_OWNER_HUBS_TEXT], struct mr_error *error);

#endif
