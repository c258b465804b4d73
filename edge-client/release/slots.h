/* slots.h - the folder of an installed model, FILE.millrace beside FILE: two copies, what was
 * pulled and is not installed yet, and what is known of each (inside edge-client/ only).
 *
 *   FILE                     a link to one of the two copies; replaced in one step
 *   FILE.millrace/a, b       whole models; the one that FILE leads to is never written
 *   FILE.millrace/next       whole, verified, not installed yet
 *   FILE.millrace/a.16, ...  the same in 16 bits, where the application opens that: FILE leads
 *                            there
 *   FILE.millrace/part       what has come of one so far
 *   FILE.millrace/state      written before what it says is done, so that whoever comes after a
 *                            crash finishes it; two records, of which the newer whole one counts
 */
#ifndef MR_EDGE_RELEASE_SLOTS_H
#define MR_EDGE_RELEASE_SLOTS_H

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "edge-client/include/millrace_edge.h"
#include "wire/release.h"

#define MR_SLOTS_PATH_BYTES  (PATH_MAX + 64)
#define MR_SLOTS_REFUSED_MAX 8

enum mr_slot { MR_SLOT_A, MR_SLOT_B, MR_SLOT_NEXT, MR_SLOT_PART, MR_SLOTS };

/* What a whole copy is. */
struct mr_slot_model {
    bool known;
    uint8_t model[MR_HASH_BYTES];
    uint8_t manifest[MR_HASH_BYTES]; /* of its release */
    struct mr_release_version version;
    enum mre_number_type installed_as; /* of a and b: what FILE leads to has that type … */
    uint8_t opened[MR_HASH_BYTES];     /* … and, where it is not float32, that hash */
};

struct mr_slots {
    char file[PATH_MAX], folder[PATH_MAX];
    int lock;
    uint64_t sequence;               /* of the state on the disk; 0: there is none */
    struct mr_release_version floor; /* nothing below it is taken any more … */
    uint8_t floor_manifest[MR_HASH_BYTES];
    struct mr_slot_model models[3]; /* a, b, next */
    bool active_known;
    enum mr_slot active; /* a or b: where FILE leads, or is to lead */
    bool trial;          /* installed, and nobody has said that it is good */
    uint8_t refused[MR_SLOTS_REFUSED_MAX]
                   [MR_HASH_BYTES]; /* manifests that were not; newest first */
    unsigned refused_count;
    /* How it went with a release, where not every hub has heard of it yet. */
    bool outcome_owed;
    enum mr_release_outcome outcome;
    uint8_t outcome_manifest[MR_HASH_BYTES];
};

/* Makes the folder where there is none, takes its lock, finishes what was begun. 0, or -1 with an
 * error: FILE is something else, the state is damaged, another process is at it. _close is owed
 * after 0 only. */
int mr_slots_open(struct mr_slots *slots, const char *file, struct mr_error *error);
void mr_slots_close(struct mr_slots *slots);

/* The state to the disk, synced. 0 or -1: the one before stands. */
int mr_slots_save(struct mr_slots *slots, struct mr_error *error);
void mr_slots_path(char path[MR_SLOTS_PATH_BYTES], const struct mr_slots *slots,
                   enum mr_slot which);

/* What FILE leads to; NULL: nothing yet. */
const struct mr_slot_model *mr_slots_active(const struct mr_slots *slots);
bool mr_slots_refuses(const struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES]);

/* `part` is whole and verified: it becomes `next`. Not while a trial is on. */
int mr_slots_pulled(struct mr_slots *slots, const struct mr_slot_model *model,
                    struct mr_error *error);
/* `next` takes the place of the copy that is not used, and FILE leads there; on trial. `wanted`:
 * the number type that FILE is to have; NULL: as the model's text says, or float32. */
int mr_slots_install(struct mr_slots *slots, const enum mre_number_type *wanted,
                     struct mr_error *error);
/* The trial is over: it stays, and that is what the hubs hear of it. */
int mr_slots_confirm(struct mr_slots *slots, enum mr_release_outcome outcome,
                     struct mr_error *error);
/* That release is here, and could not be applied. */
int mr_slots_failed(struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES],
                    struct mr_error *error);
/* Every hub has heard how it went. */
int mr_slots_told(struct mr_slots *slots, struct mr_error *error);
/* Back to the other copy, and this release is refused from now on. 1: there is no other copy. */
int mr_slots_go_back(struct mr_slots *slots, struct mr_error *error);

#endif
