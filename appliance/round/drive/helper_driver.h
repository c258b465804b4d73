/* helper_driver.h - the helper at work: its state machine with threads and files around it.
 * Everything here is called on the loop's thread. */
#ifndef MR_ROUND_DRIVE_HELPER_DRIVER_H
#define MR_ROUND_DRIVE_HELPER_DRIVER_H

#include "appliance/config/hub_config.h"
#include "appliance/observe/metrics.h"
#include "appliance/round/drive/keeper.h"
#include "appliance/round/drive/resume.h"
#include "appliance/round/drive/store_desk.h"
#include "appliance/round/drive/round_context.h"
#include "appliance/round/drive/round_history.h"
#include "appliance/round/helper/helper.h"
#include "wire/standing.h"

struct mr_audit_shelf;
struct mr_helper_driver;
struct mr_recovered;

/* To the control plane: answers of kept requests, and news that waiting requests may want. */
struct mr_helper_listener {
    void (*answer)(void *context, void *token, bool json, const void *body, size_t length);
    void (*refuse)(void *context, void *token, const struct mr_refusal *refusal);
    void (*changed)(void *context); /* the round: look again, but not from inside; NULL allowed */
    void (*resumed)(void *context, void *token, const uint8_t *model_hash);
    void (*recovered)(void *context, void *token, const struct mr_recovered *recovered,
                      bool halted);
    void *context;
};

int mr_helper_driver_open(struct mr_helper_driver **run, const struct mr_round_context *context,
                          const struct mr_helper_listener *listener, struct mr_error *error);
/* As mr_lead_driver_halt, _join and _stop; the journal stays as it is. */
void mr_helper_driver_halt(struct mr_helper_driver *run);
void mr_helper_driver_join(struct mr_helper_driver *run);
void mr_helper_driver_stop(struct mr_helper_driver *run);
void mr_helper_driver_close(struct mr_helper_driver *run);

/* As mr_lead_driver_set_policy and _set_accept: from the next round that it signs. */
void mr_helper_driver_set_policy(struct mr_helper_driver *run, const struct mr_config_round *round,
                                 const struct mr_config_accept *accept);

/* As mr_lead_driver_store_desk. */
struct mr_store_desk *mr_helper_driver_store_desk(struct mr_helper_driver *run);

/* As mr_lead_driver_resume. */
enum mr_refusal_code mr_helper_driver_resume(struct mr_helper_driver *run,
                                             const struct mr_resume_wish *wish, void *token,
                                             struct mr_refusal *refusal);

/* As mr_lead_driver_shelf. */
const struct mr_audit_shelf *mr_helper_driver_shelf(const struct mr_helper_driver *run);

/* What another hub says beside its question (standings.h), before it is answered: it may show that
 * this hub is older than itself. What this hub says beside its answer. */
void mr_helper_driver_hear(struct mr_helper_driver *run, uint16_t from, const char *word);
void mr_helper_driver_say(const struct mr_helper_driver *run, uint16_t to,
                          char word[MR_STANDINGS_TEXT]);
/* Answers with nothing, once all that was heard is on record. */
void mr_helper_driver_stand(struct mr_helper_driver *run, void *token);

/* As mr_lead_driver_older and mr_lead_driver_recover. */
bool mr_helper_driver_older(const struct mr_helper_driver *run, struct mr_refusal *refusal);
enum mr_refusal_code mr_helper_driver_recover(struct mr_helper_driver *run, bool accepted,
                                              void *token, struct mr_refusal *refusal);

/* As mr_lead_driver_set_keep and mr_lead_driver_keeper. */
void mr_helper_driver_set_keep(struct mr_helper_driver *run, const struct mr_config_keep *keep);
struct mr_keeper *mr_helper_driver_keeper(struct mr_helper_driver *run);

/* Another hub's question about a round was refused, which mostly ends the round: it is logged and
 * counted here too, so that not the lead's operator alone hears why. */
void mr_helper_driver_refused(struct mr_helper_driver *run, uint16_t hub_index,
                              const struct mr_refusal *refusal);

/* As mr_lead_driver_unopened; not while the round's end is still on its way to the disk. */
bool mr_helper_driver_unopened(const struct mr_helper_driver *run,
                               const struct mr_round_summary *summary,
                               uint8_t signature[MR_SIGNATURE_BYTES]);

struct mr_helper *mr_helper_driver_core(struct mr_helper_driver *run);
/* As mr_lead_driver_history. */
const struct mr_round_history *mr_helper_driver_history(const struct mr_helper_driver *run);
/* Of all tasks that this hub helps in: one family each, one sample a task. */
void mr_helper_driver_metrics(struct mr_helper_driver *const *runs, unsigned count,
                              struct mr_metrics *metrics);

#endif
