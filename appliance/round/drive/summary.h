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

/* What the terms say of the round. */
void mr_round_summary_take_terms(struct mr_round_summary *summary,
                                 const struct mr_round_terms *terms);

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

#endif
