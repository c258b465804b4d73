/* versions.h - which models a task had as its current one, in order, and the names that operators
 * gave them: versions.db in the task's folder (SQLite, WAL, synchronous=FULL).
 *
 * A version is a number and a model. Numbers only rise and are never used twice; a row is never
 * removed. The newest version that is not withdrawn is the current one, so that becoming current is
 * one row, and one commit. Withdrawn is a version of a round that was given up after this hub had
 * computed it.
 *
 * The database belongs to the process that has it open; others find it locked. Every function works
 * on files: a job thread's, one at a time (boot: before there are any). An error of a function that
 * writes means that nobody knows what the disk holds: the hub stops. docs/decisions/0047. */
#ifndef MR_MODEL_VERSIONS_H
#define MR_MODEL_VERSIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"

struct mr_versions;

/* How a version came to be. */
enum mr_version_kind {
    MR_VERSION_INITIAL,  /* the model that the store began with */
    MR_VERSION_ROUND,    /* made by a round */
    MR_VERSION_RESUMED,  /* `task resume`: the values of the one before under another name */
    MR_VERSION_IMPORTED, /* an operator's file */
    MR_VERSION_ROLLBACK, /* the model of an earlier version once more */
    MR_VERSION_RETURNED, /* back to a model that no version of this file names last */
    MR_VERSION_REBUILT,  /* found in models/ when the database was gone */
    MR_VERSION_KINDS,
};
const char *mr_version_kind_name(enum mr_version_kind kind);

#define MR_VERSION_BY_MAX   100 /* who made it: bytes without NUL */
#define MR_VERSION_NOTE_MAX 200

struct mr_version {
    uint64_t number; /* 1 is the first */
    uint8_t hash[MR_HASH_BYTES];
    uint8_t parent[MR_HASH_BYTES]; /* the model that it was made from; zeros: none, or not known */
    uint8_t state[MR_HASH_BYTES];  /* of the server optimiser's state; zeros: none */
    enum mr_version_kind kind;
    bool withdrawn;
    uint64_t source; /* of a rollback: the version whose model it is; else 0 */
    uint64_t round;  /* that made it; 0: none */
    uint8_t announcement[MR_HASH_BYTES];
    uint32_t included;  /* devices in the sum */
    double clip_norm;   /* 0: not known */
    char noise[24];     /* "" where none was added */
    double epsilon;     /* spent by its round; 0: not known */
    char metrics[1024]; /* JSON object of the round's means, "" where there are none */
    int64_t made_unix_ms;
    char by[MR_VERSION_BY_MAX + 1]; /* an operator's name; of a round "round" */
    char note[MR_VERSION_NOTE_MAX + 1];
};

/* Opens the database of a task's folder, and makes it where there is none. *made: it was. 0 or -1.
 */
int mr_versions_open(struct mr_versions **versions, const char *data_dir, bool *made,
                     struct mr_error *error);
void mr_versions_close(struct mr_versions *versions); /* NULL allowed */

/* The current version. 0; 1: there is none yet; -1. */
int mr_versions_current(struct mr_versions *versions, struct mr_version *version,
                        struct mr_error *error);
/* The highest number ever given; 0: none. 0 or -1. */
int mr_versions_highest(struct mr_versions *versions, uint64_t *number, struct mr_error *error);
/* 0; 1: there is no such version; -1. */
int mr_versions_find(struct mr_versions *versions, uint64_t number, struct mr_version *version,
                     struct mr_error *error);
/* The newest version with that model, withdrawn or not. As _find. */
int mr_versions_of(struct mr_versions *versions, const uint8_t hash[MR_HASH_BYTES],
                   struct mr_version *version, struct mr_error *error);

/* Where a version stands that no round and no `task resume` led to: an operator imported it,
 * or rolled back to it. Releases take their version and their base from here. */
struct mr_version_place {
    bool is_chosen;                     /* false: the model's own manifest says where it stands */
    uint64_t round;                     /* the last one that made a version before it */
    uint32_t step;                      /* versions since then, this one among them */
    uint8_t round_model[MR_HASH_BYTES]; /* what that round made */
    uint8_t before[MR_HASH_BYTES];      /* the model that was current before */
};
/* Not chosen where a round or `task resume` led to the version, or no round came before. 0 or -1.
 */
int mr_versions_place(struct mr_versions *versions, const struct mr_version *version,
                      struct mr_version_place *place, struct mr_error *error);

/* Makes the next version, the current one from now on; its number is given here. Where the newest
 * version has that model and origin it is that one, withdrawn no longer. 0 or -1. */
int mr_versions_append(struct mr_versions *versions, struct mr_version *version,
                       struct mr_error *error);
/* Of an empty database: numbers begin there. 0 or -1. */
int mr_versions_start_at(struct mr_versions *versions, uint64_t number, struct mr_error *error);
/* Back to the newest version that has the model of `version`: where one round's version alone is
 * above it, that one is withdrawn; else `version` is appended. 0 or -1. */
int mr_versions_go_back(struct mr_versions *versions, struct mr_version *version,
                        struct mr_error *error);

/* Whether a version that is not withdrawn and bears an alias has that model (or, for _has_state,
 * that optimiser's state belongs to a model for which `is_there` is true). 1, 0 or -1. */
int mr_versions_aliased(struct mr_versions *versions, const uint8_t hash[MR_HASH_BYTES],
                        struct mr_error *error);
typedef bool (*mr_versions_there_fn)(void *context, const uint8_t hash[MR_HASH_BYTES]);
int mr_versions_needs_state(struct mr_versions *versions, const uint8_t state[MR_HASH_BYTES],
                            mr_versions_there_fn is_there, void *context, struct mr_error *error);

/* SQLite's own look at the file and its indexes. 0 or -1 with what is wrong. */
int mr_versions_check(struct mr_versions *versions, struct mr_error *error);

/* --- names (versions_names.c) ----------------------------------------------------------------- */
#define MR_ALIAS_MAX     40 /* bytes: [a-z][a-z0-9-]*, none of digits alone */
#define MR_TAG_NAME_MAX  40
#define MR_TAG_VALUE_MAX 200
#define MR_CHAMPION      "champion" /* what an operator promoted last */
#define MR_PREVIOUS      "previous" /* what was champion before */

bool mr_alias_valid(const char *alias);
/* The version that bears the alias. 0; 1: none; -1. */
int mr_versions_alias(struct mr_versions *versions, const char *alias, uint64_t *number,
                      struct mr_error *error);
/* Gives the alias to a version, with a line in its history; number 0 takes it away. The champion's
 * predecessor becomes `previous` in the same commit. Nothing changes where the version bears it
 * already. 0 or -1. */
int mr_versions_set_alias(struct mr_versions *versions, const char *alias, uint64_t number,
                          const char *by, int64_t unix_ms, struct mr_error *error);
/* value NULL: the tag goes. 0 or -1. */
int mr_versions_set_tag(struct mr_versions *versions, uint64_t number, const char *name,
                        const char *value, struct mr_error *error);

/* --- as JSON (versions_json.c) ---------------------------------------------------------------- */
/* The newest `most` versions, newest first, with their aliases and tags. NULL with an error. */
json_t *mr_versions_list_json(struct mr_versions *versions, unsigned most, struct mr_error *error);
/* One version, with the history of every alias that it ever bore. NULL with an error. */
json_t *mr_versions_show_json(struct mr_versions *versions, uint64_t number,
                              struct mr_error *error);

#endif
