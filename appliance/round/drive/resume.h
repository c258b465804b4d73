/* resume.h - the way on for a task whose devices are all in sets that were opened and made no
 * model: the next version has the values of the one before and another name, so that the devices
 * may be counted on it. Every hub makes the same one by itself, from the same model. */
#ifndef MR_ROUND_DRIVE_RESUME_H
#define MR_ROUND_DRIVE_RESUME_H

#include "appliance/round/drive/round_context.h"
#include "appliance/runtime/job.h"
#include "wire/refusal.h"

#define MR_RESUME_CODES_MAX 152 /* characters: nine codes */
struct mr_resume_wish {
    const uint8_t *model_hash; /* of the version before; NULL: the current one */
    bool accepted;             /* the operator knows what it costs */
    const char
        *codes; /* of recoveries that this ends (recovery.h), with commas between; "": none */
};

/* The version is made and current, or result is -1: the hub must not go on. */
typedef void (*mr_resumed_fn)(void *context, void *token, int result, const uint8_t *model_hash,
                              const struct mr_error *error);

/* Refuses what cannot be done and what was not accepted, with what it costs. */
enum mr_refusal_code mr_resume_check(const struct mr_round_context *context,
                                     const struct mr_resume_wish *wish, struct mr_refusal *refusal);
/* The same; else fn answers with the token, in a later turn of the loop. Between two rounds. The
 * pointers are the caller's and outlive that. */
enum mr_refusal_code mr_resume(const struct mr_round_context *context, struct mr_job_thread *jobs,
                               const struct mr_resume_wish *wish, mr_resumed_fn fn,
                               void *fn_context, void *token, struct mr_refusal *refusal);

#endif
