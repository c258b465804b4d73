/* check.h - the plain model that a simulation is held against: what was promised to whom, and every
 * invariant of the design. Told of what happens by the seams; breaks the simulation when it must.
 */
#ifndef MR_TESTS_SIM_CHECK_H
#define MR_TESTS_SIM_CHECK_H

#include "appliance/ingest/packet_source.h"
#include "appliance/task/age.h"
#include "edge-client/include/millrace_edge.h"
#include "tests/sim/sim.h"
#include "wire/aead.h"

void sim_check_new(struct sim *sim);
void sim_check_free(struct sim *sim);
/* The first models are on the hubs' disks. */
void sim_check_begin(struct sim *sim);

/* --- rounds of a task (check.c)
 * ------------------------------------------------------------------------ */
/* The lead opens it with this model's hash. */
void sim_check_opened(struct sim *sim, const struct sim_task *task, uint64_t round,
                      const uint8_t *parent);
/* Its operators have made another version of task->resume's model, with the same values. */
void sim_check_resumed(struct sim *sim, const struct sim_task *task, const uint8_t *to);
/* A hub logged this event with these details. */
void sim_check_event(struct sim_node *node, const char *event, const char *text);
void sim_check_hub_up(struct sim_node *node);
/* Its files are those of a copy: of each task what it has promised since is lost. */
void sim_check_put_back(struct sim_node *node);
/* … and its operator has recovered it. */
void sim_check_recovered(struct sim_node *node, const struct sim_task *task,
                         const struct mr_recovered *recovered);
/* A helper has signed it. */
void sim_check_signed(struct sim *sim, const struct sim_task *task, uint64_t round);
void sim_check_outcome(struct sim_node *device, const struct sim_task *task,
                       const struct mre_outcome *outcome);
/* How a round ended, as a device heard it. */
void sim_check_heard(struct sim_node *device, const struct sim_task *task,
                     const struct mre_outcome *end);
/* The lead said that this device's upload is durable. */
void sim_check_told(struct sim *sim, const struct sim_task *task, uint64_t round, unsigned device);
/* The number of the newest round of the lead's newest life. */
uint64_t sim_check_newest(const struct sim *sim, const struct sim_task *task);
/* Whether a round that was opened in the fault-free phase has been published. */
bool sim_check_calm_round(struct sim *sim, const struct sim_task *task);
/* Nothing runs any more: has every promise been kept? */
void sim_check_end(struct sim *sim);
/* check_transcripts.c: nothing runs any more; whoever reads the hubs' transcripts accuses nobody.
 */
void sim_check_transcripts(struct sim *sim);
/* check_mark.c: no hub has a part of a mark's key in a file. */
void sim_check_parts_on_disks(struct sim *sim);

/* --- messages (check_messages.c) ------------------------------------------------------------- */
/* The device whose code runs seals it: a seed serves one scope. */
void sim_check_seed(struct sim *sim, const uint8_t seed[MR_SEED_BYTES],
                    const struct mr_key_scope *scope);
void sim_check_question(struct sim_node *from, const char *path, const uint8_t *body,
                        size_t length);
/* The answer was given with status 200. */
void sim_check_answer(struct sim_node *hub, struct sim_node *asker, const char *path,
                      const uint8_t *question, size_t question_bytes, const uint8_t *body,
                      size_t length);
/* A hub sends this to another node, as question or answer (`answers`). Its part of a mark's key is
 * told only where it is due. */
void sim_check_sends(struct sim_node *from, struct sim_node *to, const char *path, bool answers,
                     const uint8_t *body, size_t length);
/* … with another part of a mark's key than it announced. */
void sim_check_lied(struct sim_node *from, struct sim_node *to, const char *path);
/* To the hub of that node index. */
void sim_check_chunk(struct sim_node *device, unsigned hub, const uint8_t *bytes, size_t length);
/* A seal was made. Its key is named by an address: the AEAD, or the place in an opener. */
void sim_check_key(struct sim *sim, const void *holder, const struct mr_aead_key *key);
void sim_check_sealed(struct sim *sim, const void *holder, uint64_t sequence, const uint8_t *header,
                      const uint8_t *cipher, size_t bytes, const uint8_t *tag);
/* Where the outcome of verifying this signature is kept; *fresh: not verified yet. */
uint64_t *sim_check_verified(struct sim *sim, uint64_t question, bool *fresh);
void sim_check_unit(struct sim *sim, uint64_t key, uint64_t number, uint64_t message);
/* The hub whose code runs has sealed it. */
void sim_check_ack(struct sim *sim, const uint8_t *header, const uint8_t *plain);
void sim_check_lead_got(struct sim_node *lead, const struct mr_peer_address *from, size_t length);
void sim_check_lead_sent(struct sim_node *lead, const struct mr_peer_address *to, size_t length);
/* Whatever comes to it from there is forged: it must never be answered. */
void sim_check_stranger(struct sim_node *lead, const struct mr_peer_address *from);
/* The task of the upload that has this id at the hub; NULL: it has granted none. */
const struct sim_task *sim_check_upload_task(struct sim *sim, const struct sim_node *hub,
                                             uint64_t upload_id);

#endif
