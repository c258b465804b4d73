#include "appliance/round/drive/lost_round.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/older.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/round/void_kind.h"
#include "appliance/task/age.h"
#include "appliance/task/released.h"

#define SAID                                                                                       \
    ": this hub has lost what it had of the round; by its ledger and its transcript it never "     \
    "opened it"

static const char *reason_of(bool lead, char reason[200])
{
    snprintf(reason, 200, "%s" SAID, mr_void_kind_name(lead ? MR_VOID_INTERNAL : MR_VOID_LOST));
    return reason;
}

bool mr_lost_round_said(const char *reason)
{
    const char *said = strchr(reason, ':');
    return said && strcmp(said, SAID) == 0;
}

/* It, or one after it, was signed in a life that is lost: that may have opened it. */
static bool was_left(const struct mr_round_context *context, uint64_t round)
{
    return context->age && context->age->recovered.epoch != 0 &&
           round <= context->age->recovered.round;
}

/* 1; 0: it has, or nobody can say any more; -1: the ledger cannot be read. */
static int is_unopened(const struct mr_round_context *context, const struct mr_evidence_left *left,
                       bool lead, struct mr_error *error)
{
    if (left->opened || left->model || (lead && left->set)) {
        return 0;
    }
    const int released = mr_released_has(context->released, left->terms.hash, error);
    return released < 0 ? -1 : released == 0;
}

/* The transcript first: what it has is not written twice, and a start that finds it without a
 * record comes here once more. */
static int end_round(const struct mr_round_context *context, struct mr_evidence_desk *desk,
                     const struct mr_evidence_left *left, bool lead, struct mr_error *error)
{
    char reason[200];
    const struct mr_round_summary summary = {
        .lead = lead, .drawn = left->listed, .ended_unix_ms = mr_round_unix_ms()};
    const struct mr_round_facts facts = {
        .terms = &left->terms, .end = MR_FACTS_VOID, .reason = reason_of(lead, reason)};
    const struct mr_record record = {.task = context->task,
                                     .summary = &summary,
                                     .terms = &left->terms,
                                     .state = "void",
                                     .reason = reason};
    if (mr_evidence_complete(desk, &facts, error) != 0) {
        return -1;
    }
    char *text = mr_record_round(&record);
    const int written =
        mr_store_write_round(context->store, left->terms.announcement.round, text, NULL, 0, error);
    free(text);
    return written < 0 ? -1 : MR_LOST_ROUND_ENDED;
}

int mr_lost_round_refuse(const struct mr_round_context *context, const char *files,
                         struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    char *text = NULL;
    const uint64_t round = mr_store_signed_round(context->store, hash);
    if (round == 0 || mr_older(context)) { /* a hub that is older takes nothing up in any case */
        return 0;
    }
    const int found = mr_store_read_round(context->store, round, &text, error);
    free(text);
    return found <= 0
               ? found
               : mr_error_set(error,
                              "round %" PRIu64 " has not ended, and %s in the task's folder are of "
                              "another version of Millrace: start that version again until the "
                              "round has ended (`millrace round void %" PRIu64 "` gives it up), "
                              "then update. Where it is not to be had, remove these files: the "
                              "round is lost then",
                              round, files, round);
}

int mr_lost_round_end(const struct mr_round_context *context, struct mr_evidence_desk *desk,
                      bool lead, struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    char *text = NULL;
    struct mr_evidence_left left;
    const uint64_t round = mr_store_signed_round(context->store, hash);
    if (round == 0 || mr_older(context) || was_left(context, round)) {
        return MR_LOST_ROUND_OPEN;
    }
    const int found = mr_store_read_round(context->store, round, &text, error);
    free(text);
    if (found <= 0) { /* it has ended, or that is not to be read */
        return found;
    }
    if (!mr_evidence_left(desk, round, &left) ||
        memcmp(left.terms.hash, hash, MR_HASH_BYTES) != 0) {
        return MR_LOST_ROUND_OPEN;
    }
    const int unopened = is_unopened(context, &left, lead, error);
    if (unopened <= 0) {
        return unopened;
    }
    mr_log_event(context->log, MR_LOG_WARN, "round.unopened",
                 "task=%s round=%" PRIu64 " why=what this hub had of it is lost, and neither its "
                 "ledger nor its transcript has an opening: devices may hear so",
                 context->task, round);
    return end_round(context, desk, &left, lead, error);
}
