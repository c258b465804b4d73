/* parties_internal.h - shared by the world*.c files only. */
#ifndef MR_TEST_ROUND_PARTIES_INTERNAL_H
#define MR_TEST_ROUND_PARTIES_INTERNAL_H

#include "parties.h"

#define LEAD_INDEX 10 /* hub i of the list has index 10 + i */

/* Something that happens in the next turn of world_run. */
struct world_event {
    struct world_event *next;
    unsigned life; /* of the lead or the helper it comes from: void once that has been killed */
    enum { OF_LEAD, OF_HELPER, OF_LINK } from;
    void (*fn)(struct world *world, struct world_event *event);
    unsigned helper;
    uint64_t upload_id;
    enum mr_plane_event_kind kind;
    bool final;
    struct passage passage;
    const uint8_t *const *results;
    uint32_t count;
    struct mr_expansion *list;
    struct reply *reply; /* of a question on its way */
};

struct world_event *world_post(struct world *world,
                               void (*fn)(struct world *, struct world_event *));
/* Answers of that helper on their way are lost. */
void world_cut(struct world *world, unsigned helper);
/* Cores that know nothing yet. */
void world_new_lead(struct world *world);
void world_new_helper(struct world *world, unsigned helper);
struct world_event *world_post_helper(struct world_helper *helper,
                                      void (*fn)(struct world *, struct world_event *));
void world_draw(struct world *world, uint8_t *out, size_t bytes);
int world_compute(struct world *world, const uint8_t *const *results, uint32_t count,
                  struct mr_next_model_answer *answer, struct mr_error *error);
void world_reply(struct reply *reply, const void *body, size_t length);
void world_refused(void *context, void *token, const struct mr_refusal *refusal); /* an action */
void world_changed(void *context);                                                /* an action */
void world_lead_ask(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                    size_t length); /* an action */
void world_plane_tell(struct world *world, enum mr_plane_event_kind kind, uint64_t upload_id);
struct world_upload *world_find_upload(struct world *world, uint64_t upload_id);

/* parties_ledger.c: what the actions of lead and helper come down to. */
bool world_may_count(const struct world_ledger *ledger, const struct mr_round_terms *terms,
                     const uint8_t *client_id, struct mr_refusal *refusal);
enum mr_set_claim world_claim(struct world_ledger *ledger, const struct mr_frozen_set *set,
                              struct mr_refusal *refusal);
void world_release(struct world_ledger *ledger); /* the claim is durable */
bool world_lead_may_count(void *context, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                          struct mr_refusal *refusal);
enum mr_set_claim world_lead_claim(void *context, const struct mr_frozen_set *set,
                                   struct mr_refusal *refusal);
void world_lead_release(void *context);

extern const struct mr_lead_ops world_lead_ops;
extern const struct mr_helper_ops world_helper_ops;

/* Of every world in this process that has noise: all announce the same. */
extern struct mr_noise_tables *world_noise_tables;
/* Of the hub at that position; the set is the caller's to name. */
struct mr_hub_noise world_noise(const struct world *world, unsigned hub);

#endif
