/* age.h - whether this hub is older than itself: a folder that is a copy, put back, has promises
 * missing that this hub has made since. docs/decisions/0041-a-hub-that-knows-its-age.md.
 *
 *   data_dir/identity, data_dir/tasks/{task}/identity
 *       which file this very file is (storage/file_identity.h), and what the witnesses say of where
 *       it is. Made anew at each start, and a task's at each promise that matters, so that neither
 *       a copy of the folder nor an older file that is written over the newer one fits.
 *   data_dir/tasks/{task}/older      why this hub found that it is older in that task; while it is
 *       there the hub signs and answers nothing in the task
 *   data_dir/tasks/{task}/recovered  the newest recovery: what the task goes on from
 *
 * Everything here is called before the task's threads run, or on its job thread, or says so. */
#ifndef MR_TASK_AGE_H
#define MR_TASK_AGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"

/* --- where a hub is -------------------------------------------------------------------------- */

/* A witness says something that stays the same while a hub lives on where it is, and is another
 * where a copy of it lives: a machine's id, a virtual machine's generation. Its word is hashed. */
enum {
    MR_WITNESS_MACHINE,    /* /etc/machine-id */
    MR_WITNESS_GENERATION, /* identity.generation_file */
    MR_WITNESSES,
};
struct mr_age_place {
    bool known[MR_WITNESSES];
    uint8_t says[MR_WITNESSES][MR_HASH_BYTES];
    /* Of data_dir only, where there is a counter (age_counter.h): what it stands at, or will when
     * what is bound to it is the folder's. */
    bool counted, count_is_new;
    uint64_t count;
};
/* `generation_file` "" : none. A machine without an id has no such witness. 0, or -1 where a file
 * that was named cannot be read. */
int mr_age_place_read(struct mr_age_place *place, const char *generation_file,
                      struct mr_error *error);

/* --- a folder -------------------------------------------------------------------------------- */

#define MR_AGE_WHY_BYTES 300

enum mr_age_look {
    MR_AGE_OWN = 0, /* the folder is what it was, or `is_new` and nobody's yet */
    MR_AGE_COPY,    /* it is a copy: `why` says by what that shows */
    MR_AGE_BEHIND,  /* likewise, by the counter: and so are all folders in it, whatever they say */
};
/* Compares; writes nothing. MR_AGE_…, or -1 with an error. */
int mr_age_look(const char *folder, const struct mr_age_place *place, bool is_new,
                char why[MR_AGE_WHY_BYTES], struct mr_error *error);
/* The folder is from now on what it is now. Any thread that alone writes there. 0 or -1. */
int mr_age_bind(const char *folder, const struct mr_age_place *place, struct mr_error *error);

/* --- a task ---------------------------------------------------------------------------------- */

/* Why, and the furthest that a peer has shown of this hub's own promises; zeros: nothing. */
struct mr_older {
    char why[MR_AGE_WHY_BYTES];
    uint64_t unix_ms; /* when it was found */
    uint64_t epoch, sequence, round;
};

struct mr_recovered {
    uint64_t epoch;               /* of this hub's transcript from then on; 0: it never recovered */
    uint64_t round;               /* no round up to this one is signed */
    char code[17];                /* part of the name of the version that it goes on with */
    bool has_fresh;               /* that version is there; until then no model is signed on */
    uint8_t fresh[MR_HASH_BYTES]; /* its hash */
};

struct mr_age_counter;

/* What data_dir has said of itself, and of its tasks. */
struct mr_age_above {
    const char *copied; /* why it is a copy; NULL: it is none */
    bool behind;        /* and with it all that is in it */
    struct mr_age_counter
        *counter; /* that promises are counted by; NULL: none. Outlives the task */
};

struct mr_task_age {
    char folder[PATH_MAX];
    const struct mr_age_place *place;
    struct mr_age_counter *counter;
    bool is_older; /* the loop's, from the start on */
    struct mr_older older;
    struct mr_recovered recovered; /* the loop's */
};

/* Reads what the folder says of itself, and writes down that the hub is older where it is a copy,
 * or where the folder above is one that is behind, or one that did not have this task. The folder
 * is bound afterwards. `place` is the caller's and outlives it. 0 or -1. */
int mr_task_age_open(struct mr_task_age *age, const char *folder, const struct mr_age_place *place,
                     bool is_new, const struct mr_age_above *above, struct mr_error *error);
/* The hub is older: durable when this returns; `age` itself is not touched. 0 or -1. */
int mr_task_age_write_older(const struct mr_task_age *age, const struct mr_older *older,
                            struct mr_error *error);
/* What recovering leads to: durable, and the hub is not older any more for a start that comes after
 * it; `age` itself is not touched. 0 or -1. */
int mr_task_age_write_recovered(const struct mr_task_age *age, const struct mr_recovered *recovered,
                                struct mr_error *error);
/* The version that goes on after the recovery is there. As _write_recovered. */
int mr_task_age_write_fresh(const struct mr_task_age *age, const uint8_t hash[MR_HASH_BYTES],
                            struct mr_error *error);
/* A promise that a copy made before does not have. 0 or -1. */
int mr_task_age_move(const struct mr_task_age *age, struct mr_error *error);

#endif
