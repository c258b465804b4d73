/* summary.h - one round as this hub saw it, led or helped in, under way or over, from this process
 * or from the store of an earlier one: always the same members. */
#ifndef MR_ROUND_DRIVE_SUMMARY_H
#define MR_ROUND_DRIVE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/model/next_model.h"
#include "appliance/model/store.h"
#include "appliance/round/drive/stages.h"

/* As many rounds are kept in memory and listed. */
#define MR_ROUND_HISTORY_MAX 256

struct mr_round_summary {
    uint64_t round; /* 0: none yet */
    bool lead;      /* else this hub helped */
    char state[16]; /* a state of the round; at its end "published", "revealed" (helper), "void" */
    uint64_t opened_unix_ms, closed_unix_ms, ended_unix_ms; /* 0: not yet, or not known any more */
    uint32_t quorum;                                        /* 0 at a helper, which is not told */
    uint32_t cohort_min, cohort_max;
    uint8_t levels; /* these four as announced */
    float scale, clip_norm, step_max;
    uint8_t kind;       /* enum mr_round_kind */
    uint8_t noise_kind; /* enum mr_noise_kind */
    struct mr_privacy_terms privacy;
    uint32_t admitted, staged, committed; /* a helper knows only whom it admitted */
    uint32_t unsound;                     /* uploads refused for their count lane, at the lead */
    uint32_t bad_seeds;                   /* that did not open, at a helper */
    uint32_t included;                    /* in the frozen set; 0 before, and when void */
    uint8_t announcement_hash[MR_HASH_BYTES], parent_hash[MR_HASH_BYTES];
    uint8_t set_hash[MR_HASH_BYTES], model_hash[MR_HASH_BYTES]; /* zeros: none */
    uint32_t left_out;    /* of the set, at a helper: devices that it could have had … */
    uint32_t passed_over; /* … and those of them that came before its middle */
    bool drawn;           /* the set is drawn, and this hub has told its value, or was about to */
    bool opened;          /* void, and this hub may have opened its result, or asked others to */
    bool model_known;     /* the store had that model before, with an origin of its own */
    bool has_metrics;
    struct mr_round_metrics metrics;
    struct mr_round_stages stages; /* at the lead */
    char reason[300];              /* when void */
};

bool mr_round_summary_ended(const struct mr_round_summary *summary);

/* One schema: the answers to an operator and the store's record. The members of a table's row, and
 * with `whole` all that is known. An object of Jansson (json_t), owed a release; task: NULL for
 * none. There is always memory for it (base/json_memory.h). */
struct json_t *mr_round_summary_json(const struct mr_round_summary *summary, const char *task,
                                     bool whole);

/* The store's record of a round. 0; 1 if there is none, or none that says how the round ended; -1
 * if it cannot be read. */
int mr_round_record_read(const struct mr_store *store, uint64_t round,
                         struct mr_round_summary *summary, struct mr_error *error);

/* The newest rounds that have a record, in rising order, at most list_max and none further back
 * than MR_ROUND_HISTORY_MAX rounds. The count, or -1 if one cannot be read. */
int mr_round_record_list(const struct mr_store *store, struct mr_round_summary *list,
                         unsigned list_max, struct mr_error *error);

/* --- the newest rounds in memory -------------------------------------------------------------- */
struct mr_round_history {
    struct mr_round_summary *list; /* a ring */
    unsigned count;                /* all ever; the place is modulo the size */
};

/* Takes up what the store has. 0 or -1; _fini is owed either way. */
int mr_round_history_init(struct mr_round_history *history, const struct mr_store *store,
                          struct mr_error *error);
void mr_round_history_fini(struct mr_round_history *history);

/* The entry of that round, made if it is a new one; the newest. */
struct mr_round_summary *mr_round_history_current(struct mr_round_history *history, uint64_t round);
unsigned mr_round_history_list(const struct mr_round_history *history,
                               struct mr_round_summary *list, unsigned list_max);
/* The newest round before that one whose sum is opened. NULL: none. Valid likewise. */
const struct mr_round_summary *mr_round_history_opened(const struct mr_round_history *history,
                                                       uint64_t before);
/* The newest of them that trained. NULL: none. Valid likewise. */
const struct mr_round_summary *mr_round_history_trained(const struct mr_round_history *history);
/* Models that rounds have made since the last evaluation, however that ended. */
unsigned mr_round_history_models(const struct mr_round_history *history);
/* What the newest round before that one told of the devices' norms; devices 0: none of them did.
 * Valid likewise. */
const struct mr_norm_memory *mr_round_history_norms(const struct mr_round_history *history,
                                                    uint64_t before);
/* The step to the next model that a set of devices made. */
struct mr_past_step {
    double step;
    uint32_t devices;
};
/* Those of the newest rounds before that one whose sum is opened, the newest first. Returns how
 * many there are, at most `most`. */
unsigned mr_round_history_steps(const struct mr_round_history *history, uint64_t before,
                                struct mr_past_step *steps, unsigned most);
/* Rounds in a row, the newest first, whose set was drawn and that made no model here; rounds that
 * got no further than before a draw do not count either way. */
unsigned mr_round_history_draw_voids(const struct mr_round_history *history);
/* NULL: not one of them. Valid until the next call that changes the history. */
const struct mr_round_summary *mr_round_history_find(const struct mr_round_history *history,
                                                     uint64_t round);

#endif
