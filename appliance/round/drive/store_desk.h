/* store_desk.h - what operators ask of a task's store (model/catalogue.h): looked up and changed on
 * the thread that writes it, answered on the loop's. One for each driver, lead and helper alike.
 *
 * A wish that changes which model is current is done between two rounds and in two steps: the
 * thread looks, then the loop says what it costs (devices that are in opened sets on these values),
 * and only what was accepted is written. Loop's thread only. */
#ifndef MR_ROUND_DRIVE_STORE_DESK_H
#define MR_ROUND_DRIVE_STORE_DESK_H

#include <jansson.h>

#include "appliance/model/catalogue.h"
#include "appliance/round/drive/round_context.h"
#include "appliance/runtime/job.h"
#include "wire/refusal.h"

enum mr_store_wish_kind {
    MR_STORE_LIST,     /* the newest `most` versions */
    MR_STORE_SHOW,     /* `which` */
    MR_STORE_ALIAS,    /* `name` is borne by `which` from now on; `which` "": by none */
    MR_STORE_TAG,      /* `which` gets the tag `name` with `value`; "": loses it */
    MR_STORE_VERIFY,   /* every file and row */
    MR_STORE_IMPORT,   /* `bytes` is the next version's model */
    MR_STORE_ROLLBACK, /* the model of `which` is the next version's once more */
};

struct mr_store_wish {
    enum mr_store_wish_kind kind;
    unsigned most;
    char which[MR_ALIAS_MAX + 1];
    char name[MR_ALIAS_MAX + 1];
    char value[MR_TAG_VALUE_MAX + 1];
    char by[MR_VERSION_BY_MAX + 1];
    char note[MR_VERSION_NOTE_MAX + 1];
    bool accepted;        /* the operator knows what it costs */
    const uint8_t *bytes; /* stays until the answer */
    size_t length;
};

/* Exactly once, in a later turn of the loop: a refusal, or an answer, whose reference passes. */
typedef void (*mr_store_answer_fn)(void *token, const struct mr_refusal *refusal, json_t *answer);

struct mr_store_desk;
struct mr_store_desk_config {
    const struct mr_round_context *context; /* the driver's */
    struct mr_job_thread *jobs;             /* the only one that writes the store */
    /* Whether a wish that changes the current model may begin: no round begins until _over. False
     * with the refusal. */
    bool (*begin)(void *driver, struct mr_refusal *refusal);
    /* It was accepted: what is under way ends. False with the refusal. */
    bool (*leave)(void *driver, struct mr_refusal *refusal);
    void (*over)(void *driver);
    void *driver;
};

/* NULL: out of memory. */
struct mr_store_desk *mr_store_desk_open(const struct mr_store_desk_config *config);
/* When the job thread has ended and the loop has run what it posted. NULL allowed. */
void mr_store_desk_close(struct mr_store_desk *desk);

/* Answers by `fn`, or refuses at once. */
enum mr_refusal_code mr_store_desk_ask(struct mr_store_desk *desk, const struct mr_store_wish *wish,
                                       mr_store_answer_fn fn, void *token,
                                       struct mr_refusal *refusal);

#endif
