/* store.h - the versioned store of models and round results under data_dir.
 *
 *   models/<hash>.safetensors   a model, by the SHA-256 of the file
 *   models/<hash>.json          where it came from: parent, round, hashes, signatures, means
 *   versions.db                 which models were current, in order, and their names (versions.h):
 *                               the newest version is the model that the next round starts from
 *   current                     a copy of that: the model's hash and the highest version's number,
 *                               so that an older versions.db is noticed
 *   rounds/<round>.json         outcome of a round with its included set
 *   rounds/<round>.sum          the opened ring sum, packed with its trailer (only after the
 *                               reveal, and not of a void round)
 *   signed-round                the highest round this hub signed, and the announcement's hash
 *
 * Every file is written beside its name, synced and renamed; a model is there before its version.
 * _write_* belong to the one job thread of the task (at boot: before there is one); everything else
 * to the loop's thread. Models are mapped, and stay so while
 * borrowed; of the others only five do, so that memory does not grow with rounds. */
#ifndef MR_MODEL_STORE_H
#define MR_MODEL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/model/versions.h"
#include "wire/announcement.h"
#include "base/error.h"

struct mr_store;
struct mr_model; /* a mapped model */

/* Opens the folder (creating it); with no current model takes `initial_model_file` (NULL or "":
 * none is an error then). 0 or -1. */
int mr_store_open(struct mr_store **store, const char *data_dir, const char *initial_model_file,
                  struct mr_error *error);
/* The model that a store starts from. */
struct mr_store_found {
    uint32_t dimension; /* how many values of it rounds train */
    uint8_t model_hash[MR_HASH_BYTES];
};
/* Whether _open would find a model to start from, and rounds could go on from it: its form, and
 * that all its values are finite. Makes and writes nothing. 0 with *found, or -1. */
int mr_store_check(const char *data_dir, const char *initial_model_file,
                   struct mr_store_found *found, struct mr_error *error);
/* Models that are lent stay good: the last one that comes back (mr_store_return) ends the rest.
 * Until then nothing else may be asked of the store. NULL allowed. */
void mr_store_close(struct mr_store *store);

/* --- models ---------------------------------------------------------------------------------- */
const uint8_t *mr_store_current(const struct mr_store *store); /* its hash */

/* The model that this one was made from, as its manifest says. 0; 1: none, or nobody knows. */
int mr_store_parent(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                    uint8_t parent[MR_HASH_BYTES]);

/* Whether the manifest of a model names that announcement as the round which made it first. */
bool mr_store_made_by(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                      const uint8_t announcement_hash[MR_HASH_BYTES]);

/* Borrows a model for the hub's own work; NULL with an error if the store does not have it or it is
 * damaged. */
struct mr_model *mr_store_borrow(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                                 struct mr_error *error);
/* The same for somebody who asks over the network and may keep it for long: not when so many are
 * lent that the hub's own work would find none (*busy). */
struct mr_model *mr_store_lend(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                               bool *busy, struct mr_error *error);
void mr_store_return(struct mr_store *store, struct mr_model *model);
const uint8_t *mr_model_bytes(const struct mr_model *model, size_t *length);
/* How many of its values rounds train. */
uint32_t mr_model_dimension(const struct mr_model *model);
/* How many it has, as an announcement says it: 0 where all of them are trained. */
uint32_t mr_model_values(const struct mr_model *model);

/* Adds a model and its manifest (JSON text). `hash` is the SHA-256 of the bytes: the file is mapped
 * and compared with them at once, so that nobody has to hash it again once it is adopted. A model
 * that is there already keeps the manifest of where it came from first, though another round led to
 * the same bytes. Any thread. 0: the manifest is this one, or one of the same announcement; 1: it
 * is another's, which stays; -1. */
int mr_store_write_model(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, const char *manifest,
                         struct mr_error *error);
/* Its file alone, and under a name that is none of a model's, before anybody knows whether the
 * model will be one of the task's: mr_store_write_model of the same model then gives it its own.
 * The next one takes its place, and so does any other model that is written. From one thread at a
 * time; 0 or -1. */
int mr_store_write_ahead(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, struct mr_error *error);
/* --- states of the server optimiser (store_states.c) -------------------------------------------
 *   optimisers/<hash>.state     by the SHA-256 of the file; the model that goes with it names it
 *
 * The state that a model's bytes name. 0; 1: none; -1: what it names is no hash. */
int mr_store_state_of(const uint8_t *model, size_t length, uint8_t hash[MR_HASH_BYTES]);
/* Whether the state that the model names is there; true where it names none. */
bool mr_store_has_state(const struct mr_store *store, const struct mr_model *model);
/* Before the model that names it. 0 or -1. */
int mr_store_write_state(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, struct mr_error *error);
/* The state that goes with a model, malloc'd; NULL where it names none. Job thread. 0 or -1. */
int mr_store_read_state(const struct mr_store *store, const uint8_t *model, size_t model_bytes,
                        uint8_t **bytes, size_t *length, struct mr_error *error);

/* Makes a model of the store the current one, as the next version, of the origin that its manifest
 * says; durable. Nothing changes where it is current already. _adopt then makes it known. */
int mr_store_write_current(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                           struct mr_error *error);
/* Makes the model current that a round began with which is given up: the version that it had made
 * here is withdrawn. Otherwise as _write_current. */
int mr_store_write_back(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                        struct mr_error *error);
void mr_store_adopt(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES]);

/* Where the current model stands, if operators chose it: what releases go by, beside versions.db,
 * which only a job thread reads. Set after _adopt of that model; another one's _adopt takes it
 * away. */
void mr_store_set_place(struct mr_store *store, const struct mr_version_place *place);
const struct mr_version_place *mr_store_place(const struct mr_store *store);

/* --- rounds ---------------------------------------------------------------------------------- */
/* How a record says that its round ended. */
enum mr_stored_end {
    MR_STORED_END_NONE,    /* there is no record */
    MR_STORED_END_VOID,    /* "void" */
    MR_STORED_END_OPENED,  /* "published" at the lead, "revealed" at a helper */
    MR_STORED_END_UNKNOWN, /* neither */
};
/* Of a record's JSON text; NULL: there is none. */
enum mr_stored_end mr_stored_end_of(const char *record);

/* A round's record is written once, whoever asks: the record that is there stays for ever. With it
 * goes the sum (NULL: none, as of every void round, which has none afterwards). 0: it is on the
 * disk, or was with the same end of the same announcement (and was made durable anew; times may
 * differ); 1 with an error: the record there says otherwise, and nothing was changed; -1. */
int mr_store_write_round(const struct mr_store *store, uint64_t round, const char *json,
                         const uint8_t *sum, size_t sum_bytes, struct mr_error *error);
/* The JSON text of a past round (malloc'd). 0; 1 if there is none; -1 if it cannot be read. *text
 * is NULL then. */
int mr_store_read_round(const struct mr_store *store, uint64_t round, char **text,
                        struct mr_error *error);

/* The highest round this hub signed; 0: none. */
uint64_t mr_store_signed_round(const struct mr_store *store, uint8_t hash[MR_HASH_BYTES]);
int mr_store_write_signed(const struct mr_store *store, uint64_t round,
                          const uint8_t hash[MR_HASH_BYTES], struct mr_error *error);
void mr_store_adopt_signed(struct mr_store *store, uint64_t round,
                           const uint8_t hash[MR_HASH_BYTES]);

#endif
