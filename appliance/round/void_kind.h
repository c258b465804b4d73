/* void_kind.h - why a round was given up: one cause, whichever hub noticed it.
 *
 * Every reason text begins with the cause and a colon ("unsound_sum: count lane: ..."), so that a
 * hub that hears of a round's end by another's words, or by its own after a restart, knows the
 * cause too. What the other hub says is its word only: it names a counter, and decides nothing. */
#ifndef MR_ROUND_VOID_KIND_H
#define MR_ROUND_VOID_KIND_H

enum mr_void_kind {
#define X(name, label) MR_VOID_##name,
#include "appliance/round/voids.def"
#undef X
    MR_VOID_KINDS,
};

const char *mr_void_kind_name(enum mr_void_kind kind);

/* The cause that a reason text begins with, or `otherwise` where it begins with none. */
enum mr_void_kind mr_void_kind_said(const char *reason, enum mr_void_kind otherwise);

#endif
