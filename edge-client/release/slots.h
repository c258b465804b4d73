/* slots.h - the folder of an installed model, FILE.millrace beside FILE: two copies, the place of
 * the next, and what is known of each (inside edge-client/ only).
 *
 *   FILE                     a link to one of the copies; replaced in one step
 *   FILE.millrace/a, b, c    by turns: the model that FILE leads to, the one before it, and the
 *                            place of the next. No model changes its file, so an installation moves
 *                            none. What the state does not describe may be written over, but not
 *                            while anybody has it open
 *   FILE.millrace/a.16, ...  the same in 16 bits, where the application opens that: FILE leads
 *                            there
 *   FILE.millrace/part       what has come so far of one that comes in pieces
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

#define MR_SLOTS_COPIES 3
/* A larger file that is of no more use gives its room back at once. */
#define MR_SLOTS_ROOM_MAX ((off_t)8 << 20)

enum mr_slot { MR_SLOT_A, MR_SLOT_B, MR_SLOT_C, MR_SLOT_PART, MR_SLOTS };

/* What a whole copy is. */
struct mr_slot_model {
    bool known;
    uint8_t model[MR_HASH_BYTES];
    uint8_t manifest[MR_HASH_BYTES]; /* of its release */
    struct mr_release_version version;
    enum mre_number_type installed_as; /* once installed: what FILE leads to has that type … */
    uint8_t opened[MR_HASH_BYTES];     /* … and, where it is not float32, that hash */
};

struct mr_slots {
    char file[PATH_MAX], folder[PATH_MAX];
    int lock;
    uint64_t sequence;               /* of the state on the disk; 0: there is none */
    bool unsaved;                    /* what may wait for the next save has changed */
    struct mr_release_version floor; /* nothing below it is taken any more … */
    uint8_t floor_manifest[MR_HASH_BYTES];
    struct mr_slot_model models[MR_SLOTS_COPIES];
    /* Three different places. Active: where FILE leads, or is to lead, if a model is known there.
     */
    enum mr_slot active, before, next;
    bool trial; /* installed, and nobody has said that it is good */
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
/* For who only wants to see: makes no folder, and while another process is at it the state is read
 * without the lock, as it was last saved; that process finishes what was begun. 0, -1 as _open.
 * _close is owed after 0. */
int mr_slots_look(struct mr_slots *slots, const char *file, struct mr_error *error);
void mr_slots_close(struct mr_slots *slots);

/* The state to the disk, synced. 0 or -1: the one before stands. */
int mr_slots_save(struct mr_slots *slots, struct mr_error *error);
/* Where something is unsaved. */
int mr_slots_settle(struct mr_slots *slots, struct mr_error *error);
void mr_slots_path(char path[MR_SLOTS_PATH_BYTES], const struct mr_slots *slots,
                   enum mr_slot which);

/* What FILE leads to; NULL: nothing yet. */
const struct mr_slot_model *mr_slots_active(const struct mr_slots *slots);
/* The copy before it, to go back to; NULL: none. */
const struct mr_slot_model *mr_slots_before(const struct mr_slots *slots);
/* What was pulled and is not installed; NULL: nothing, and its place may be written. */
const struct mr_slot_model *mr_slots_next(const struct mr_slots *slots);
/* Nothing below it is taken from now on; saved with what is saved next, at the latest when the
 * pull ends: nobody is told of it before. */
void mr_slots_raise(struct mr_slots *slots, const struct mr_release_version *floor,
                    const uint8_t manifest[MR_HASH_BYTES]);
bool mr_slots_refuses(const struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES]);

/* The model is whole, verified and synced in `from`: the next one's place, where none was known
 * there, or `part`. It is the next one. Not while a trial is on. */
int mr_slots_pulled(struct mr_slots *slots, const struct mr_slot_model *model, enum mr_slot from,
                    struct mr_error *error);
/* FILE leads to the next one, and the place of the copy before the last is free; on trial, or
 * `kept` at once. `wanted`: the number type that FILE is to have; NULL: as the model's text says,
 * or float32. */
int mr_slots_install(struct mr_slots *slots, const enum mre_number_type *wanted, bool kept,
                     struct mr_error *error);
/* The trial is over: it stays, and that is what the hubs hear of it. */
int mr_slots_confirm(struct mr_slots *slots, enum mr_release_outcome outcome,
                     struct mr_error *error);
/* That release is here, and could not be applied. */
int mr_slots_failed(struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES],
                    struct mr_error *error);
/* Every hub has heard how it went: saved as what mr_slots_raise raises. A crash before has them
 * told once more, which counts once. */
void mr_slots_told(struct mr_slots *slots);
/* Back to the other copy, and this release is refused from now on. 1: there is no other copy. */
int mr_slots_go_back(struct mr_slots *slots, struct mr_error *error);

#endif
