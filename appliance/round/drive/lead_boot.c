/* lead_boot.c - what a lead finds in its files when it starts: the round it was in, or none. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/claims.h"
#include "appliance/round/drive/lost_round.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/wall_clock.h"

/* Whether the round has a record, and how it ended then. A record that cannot be read is no sign
 * that the round goes on: -1, and the hub does not start. */
static int read_end(const struct mr_lead_driver *run, uint64_t round, struct mr_lead_end *end,
                    struct mr_error *error)
{
    char *text = NULL;
    *end = (struct mr_lead_end){.published = false};
    const int found = mr_store_read_round(run->context.store, round, &text, error);
    if (found == 0) {
        (void)mr_record_end(end, text);
    }
    free(text);
    return found < 0 ? -1 : 0;
}

/* A round that is taken up has work under way, and an opening that fails after that would leave it
 * with nobody to hear of its end: so recall's file is tried before. */
static int try_to_recall(const struct mr_lead_driver *run, uint64_t round, struct mr_error *error)
{
    char *text = NULL;
    const int found = mr_store_read_round(run->context.store, round, &text, error);
    free(text);
    return found < 0 ? -1 : 0;
}

static bool has_ended(const struct mr_lead_end *end)
{
    return end->published || end->voided;
}

/* The crash may have come before the record's name was durable, and what is told from now on rests
 * on it: it is written once more, as everything that is read here. */
static int write_end_anew(const struct mr_lead_driver *run, uint64_t round, struct mr_error *error)
{
    char *text = NULL;
    if (mr_store_read_round(run->context.store, round, &text, error) != 0) {
        return -1;
    }
    const int result = mr_store_write_round(run->context.store, round, text, NULL, 0, error);
    free(text);
    return result;
}

/* A round that was signed and cannot be taken up: nothing of it will be released, and where it was
 * never opened, devices may hear so. */
static int lose(struct mr_lead_driver *run, uint64_t round, const char *why, struct mr_error *error)
{
    struct mr_lead_end end;
    struct mr_round_summary stored;
    if (round && read_end(run, round, &end, error) != 0) {
        return -1;
    }
    if (round && !has_ended(&end)) {
        mr_log_event(run->context.log, MR_LOG_WARN, "round.lost",
                     "task=%s round=%" PRIu64 " why=%s", run->context.task, round, why);
    }
    const int ended = mr_lost_round_end(&run->context, run->desk, true, error);
    if (ended != MR_LOST_ROUND_ENDED) {
        return ended;
    }
    if (mr_round_record_read(run->context.store, round, &stored, error) != 0) {
        return -1;
    }
    *mr_round_history_current(&run->history, round) = stored;
    return mr_audit_shelf_destroy(run->shelf, round, error);
}

/* Devices of the round may still ask what became of their uploads. */
static int recall(struct mr_lead_driver *run, uint64_t round, struct mr_error *error)
{
    struct mr_lead_end end;
    struct mr_record_uploads uploads;
    char *text = NULL;
    if (mr_store_read_round(run->context.store, round, &text, error) < 0) {
        return -1;
    }
    if (text && mr_record_end(&end, text) == 0) {
        if (mr_record_uploads(&uploads, text) == 0) {
            const struct mr_previous_round past = {.round = round,
                                                   .published = end.published,
                                                   .committed = uploads.included,
                                                   .upload_ids = uploads.upload_ids,
                                                   .count = uploads.count};
            mr_lead_recall(run->core, &past);
        }
        mr_record_uploads_fini(&uploads);
    }
    free(text);
    return 0;
}

/* Makes durable what was read, the round's number as well: a crash may have come before that. And
 * goes back to the model that the round began with: a crash may have come between the next model
 * and the record that makes it one. A round that is given up after all must not leave it current.
 */
static int write_anew(struct mr_lead_driver *run, const struct mr_commit_read *read,
                      struct mr_error *error)
{
    const struct mr_round_terms *terms = &read->terms;
    struct mr_store *store = run->context.store;
    if (mr_lead_log_write(run->log, &read->state, error) != 0 ||
        mr_store_write_signed(store, terms->announcement.round, terms->hash, error) != 0 ||
        mr_store_write_back(store, terms->announcement.model_hash, error) != 0) {
        return -1;
    }
    mr_store_adopt_signed(store, terms->announcement.round, terms->hash);
    mr_store_adopt(store, terms->announcement.model_hash);
    return 0;
}

/* The sum is back where the next commit merges. */
static void restore_sum(struct mr_lead_driver *run, const struct mr_commit_read *read)
{
    const struct mr_layout *layout = &read->terms.layout;
    memcpy(run->packed, read->state.sum, (size_t)layout->share_bytes);
    mr_sum_unpack(&run->sum, layout, run->packed, run->context.kernels);
}

/* The hub may have been killed between the round's record and the transcript's. */
static int complete_transcript(struct mr_lead_driver *run, const struct mr_commit_read *read,
                               const struct mr_lead_end *end, struct mr_error *error)
{
    uint8_t set_hash[MR_HASH_BYTES] = {0};
    const uint32_t count = read->state.included_count;
    const struct mr_round_facts facts = {.terms = &read->terms,
                                         .end = end->published ? MR_FACTS_MODEL : MR_FACTS_VOID,
                                         .set_hash = set_hash,
                                         .model_hash = end->model_hash,
                                         .reason = end->reason};
    struct mr_included *set = malloc(((size_t)count + 1) * sizeof *set);
    if (!set) {
        return mr_error_set(error, "out of memory for a set of %u devices", count);
    }
    memcpy(set, read->state.included, (size_t)count * sizeof *set);
    mr_included_sort(set, count);
    const int failed = mr_included_hash(set_hash, read->terms.hash, set, count);
    free(set);
    return failed ? mr_error_set(error, "the set could not be hashed")
                  : mr_evidence_complete(run->desk, &facts, error);
}

/* What was granted and is not committed is forgotten, and asks again. */
static void keep_budgets(const struct mr_lead_driver *run)
{
    uint32_t count;
    const uint64_t *upload_ids;
    const struct mr_included *committed = mr_lead_committed_uploads(run->core, &upload_ids, &count);
    mr_claims_keep(&run->context, mr_lead_terms(run->core), committed, count);
}

static int recover(struct mr_lead_driver *run, const struct mr_commit_read *read,
                   struct mr_error *error)
{
    const struct mr_round_terms *terms = &read->terms;
    const uint64_t round = terms->announcement.round;
    struct mr_lead_end end;
    struct mr_lead_report report;
    struct mr_error why = {.text = ""};
    if (read_end(run, round, &end, error) != 0 || try_to_recall(run, round - 1, error) != 0) {
        return -1;
    }
    if (has_ended(&end) && complete_transcript(run, read, &end, error) != 0) {
        return -1;
    }
    if (has_ended(&end)) {
        run->last_state = end.published ? MR_LEAD_PUBLISHED : MR_LEAD_VOID; /* logged long ago */
    }
    if ((has_ended(&end) ? write_end_anew(run, round, error) : write_anew(run, read, error)) != 0) {
        return -1;
    }
    if (mr_lead_driver_reserve(run, &terms->layout) != 0) {
        return mr_error_set(error, "out of memory for the sum of round %" PRIu64, round);
    }
    if (read->state.included_count) {
        memcpy(run->packed, read->state.sum, (size_t)terms->layout.share_bytes);
    }
    if (!has_ended(&end) && read->state.phase != MR_COMMIT_PROPOSED) {
        mr_round_history_current(&run->history, round)->opened_unix_ms =
            terms->announcement.deadline_unix_ms - read->state.deadline_ms;
    }
    if (terms->announcement.audit_hours > 0 &&
        mr_audit_shelf_recover(run->shelf, round, error) != 0) {
        return -1;
    }
    const int taken = mr_lead_recover(run->core, read, run->packed, &end,
                                      mr_lead_driver_now_ms(run), mr_round_unix_ms(), &why);
    if (taken < 0) {
        return mr_error_set(error, "round %" PRIu64 " cannot be taken up: %.300s", round, why.text);
    }
    if (taken > 0) {
        return lose(run, round, why.text, error);
    }
    if (read->state.included_count) {
        restore_sum(run, read);
    }
    mr_lead_report(run->core, &report);
    if (report.state == MR_LEAD_OPEN || report.state == MR_LEAD_DRAWING) {
        keep_budgets(run);
    }
    run->committed = 0; /* they were counted by the process that committed them */
    run->committed_seen = report.committed;
    mr_log_event(run->context.log, MR_LOG_INFO, "round.recovered",
                 "task=%s round=%" PRIu64 " state=%s committed=%u", run->context.task, round,
                 mr_lead_state_name(report.state), report.committed);
    return 0;
}

/* Takes up the round of the commit log, if there is one. */
static int read_log(struct mr_lead_driver *run, struct mr_error *error)
{
    struct mr_commit_read read;
    uint8_t hash[MR_HASH_BYTES];
    const uint64_t last = mr_store_signed_round(run->context.store, hash);
    int result = 0;
    error->text[0] = '\0';
    const int found = mr_lead_log_open(&run->log, mr_disk_file_ops(run->disk), &read, error);
    if (found < 0) {
        return -1;
    }
    if (found == MR_COMMIT_LOG_OTHER_VERSION &&
        mr_lost_round_refuse(&run->context, "commit-0 and commit-1", error) != 0) {
        return -1;
    }
    if (found > 0) {
        const struct mr_error why = *error;
        return lose(run, last, *why.text ? why.text : "there is no commit log of it", error);
    }
    const uint64_t round = read.terms.announcement.round;
    if (mr_older(&run->context)) { /* nothing of it is ever asked or answered again */
        struct mr_lead_end end;
        result = read_end(run, round, &end, error);
        run->left = read.terms;
        run->has_left = !has_ended(&end);
    } else if (round < last ||
               (round == last && memcmp(hash, read.terms.hash, MR_HASH_BYTES) != 0)) {
        result = lose(run, last, "the commit log is of another round", error);
    } else {
        result = recover(run, &read, error);
    }
    mr_commit_read_fini(&read);
    return result;
}

int mr_lead_driver_boot(struct mr_lead_driver *run, struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    if (mr_disk_file_open(&run->disk, run->context.data_dir, error) != 0 ||
        read_log(run, error) != 0) {
        return -1;
    }
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    if (!terms && mr_audit_shelf_recover(run->shelf, 0, error) != 0) {
        return -1;
    }
    return recall(run,
                  terms ? terms->announcement.round - 1
                        : mr_store_signed_round(run->context.store, hash),
                  error);
}
