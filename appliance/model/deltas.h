/* deltas.h - deltas between models of the store, made when somebody asks for the first time and
 * kept for the others. Loop's thread only; the work is a job's. */
#ifndef MR_MODEL_DELTAS_H
#define MR_MODEL_DELTAS_H

#include "appliance/model/made_model.h"
#include "appliance/model/store.h"
#include "appliance/runtime/job.h"
#include "kernels/kernels.h"

struct mr_deltas;
struct mr_delta_kept;

struct mr_deltas_config {
    struct mr_store *store;
    struct mr_job_thread *jobs; /* closed by the owner between _halt and _close */
    const struct mr_kernels *kernels;
    size_t bytes_max; /* of all that are kept; the oldest that nobody is sent goes first */
};

/* NULL: out of memory. */
struct mr_deltas *mr_deltas_open(const struct mr_deltas_config *config);
/* Nothing is made any more; whoever waits hears that there is none. */
void mr_deltas_halt(struct mr_deltas *deltas);
/* What is lent stays good until it is given back. */
void mr_deltas_close(struct mr_deltas *deltas);

/* NULL: there is none, and the whole model is the way; `why` says why. Else it is lent until
 * _return. */
typedef void (*mr_delta_answer_fn)(void *context, void *token, struct mr_delta_kept *kept,
                                   const char *why);

/* Answers at once, or when it is made; asked by many, it is made once. */
void mr_deltas_ask(struct mr_deltas *deltas, const uint8_t base[MR_HASH_BYTES],
                   const uint8_t target[MR_HASH_BYTES], mr_delta_answer_fn fn, void *context,
                   void *token);
/* Begins the delta to a model that a round has just made, from the one before it: hubs still agree
 * on it, and it is being stored. Holds the model until then. Nobody is sent that delta before the
 * store has the model, and where it never comes to have it nobody is. */
void mr_deltas_make_ahead(struct mr_deltas *deltas, struct mr_made_model *made);
const uint8_t *mr_delta_kept_bytes(const struct mr_delta_kept *kept, size_t *length);
/* SHA-256 of the bytes, in hex. */
const char *mr_delta_kept_tag(const struct mr_delta_kept *kept);
void mr_delta_kept_return(struct mr_delta_kept *kept);

struct mr_deltas_report {
    uint64_t asked, made, none, failed;
    uint64_t bytes; /* kept now */
};
void mr_deltas_report(const struct mr_deltas *deltas, struct mr_deltas_report *report);

#endif
