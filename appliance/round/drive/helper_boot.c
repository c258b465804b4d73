/* helper_boot.c - what a helper finds in its files when it starts: the round it was in, or none. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/claims.h"
#include "appliance/round/drive/lost_round.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/wall_clock.h"

static void lose(const struct mr_helper_driver *run, uint64_t round, const char *why)
{
    mr_log_event(run->context.log, MR_LOG_WARN, "helper.lost", "task=%s round=%" PRIu64 " why=%s",
                 run->context.task, round, why);
}

/* … and whether devices may hear that it was never opened. */
static int end_lost(struct mr_helper_driver *run, struct mr_error *error)
{
    struct mr_round_summary stored;
    struct mr_helper_last *last = &run->last_life;
    const int ended = mr_lost_round_end(&run->context, run->desk, false, error);
    if (ended != MR_LOST_ROUND_ENDED) {
        return ended;
    }
    last->round = mr_store_signed_round(run->context.store, last->hash);
    if (mr_round_record_read(run->context.store, last->round, &stored, error) != 0) {
        return -1;
    }
    snprintf(last->given_up, sizeof last->given_up, "%s", stored.reason);
    last->lost = true;
    *mr_round_history_current(&run->history, last->round) = stored;
    return mr_audit_shelf_destroy(run->shelf, last->round, error);
}

static bool fits(const struct mr_helper_driver *run, const struct mr_round_terms *terms,
                 struct mr_error *why)
{
    uint8_t hash[MR_HASH_BYTES];
    const uint64_t round = terms->announcement.round;
    const uint64_t last = mr_store_signed_round(run->context.store, hash);
    if (round < last || (round == last && memcmp(hash, terms->hash, MR_HASH_BYTES) != 0)) {
        mr_error_set(why, "the journal is of another round than signed-round: %" PRIu64, round);
        return false;
    }
    return true;
}

/* The record that is there, once more: durable, and of a void round without a sum. */
static int write_anew(const struct mr_store *store, uint64_t round, struct mr_error *error)
{
    char *text = NULL;
    if (mr_store_read_round(store, round, &text, error) != 0) {
        return -1;
    }
    const int result = mr_store_write_round(store, round, text, NULL, 0, error);
    free(text);
    return result;
}

/* The round was given up, and this hub killed before all that was left of it was gone. */
static int forget_again(struct mr_helper_driver *run, const struct mr_journal_read *read,
                        struct mr_error *error)
{
    const struct mr_announcement *announcement = &read->terms.announcement;
    const struct mr_round_facts end = {.terms = &read->terms,
                                       .end = MR_FACTS_VOID,
                                       .opened = read->state.phase >= MR_JOURNAL_OPENED,
                                       .reason = run->last_life.given_up};
    struct mr_store *store = run->context.store;
    const bool goes_back = mr_store_made_by(store, mr_store_current(store), read->terms.hash);
    if (mr_evidence_complete(run->desk, &end, error) != 0 ||
        (goes_back && mr_store_write_back(store, announcement->model_hash, error) != 0) ||
        write_anew(store, announcement->round, error) != 0) {
        return -1;
    }
    if (goes_back) {
        mr_store_adopt(store, announcement->model_hash);
    }
    return mr_journal_wipe(run->journal, error) != 0 ||
                   (!end.opened &&
                    mr_audit_shelf_destroy(run->shelf, announcement->round, error) != 0)
               ? -1
               : 0;
}

static int recover(struct mr_helper_driver *run, const struct mr_journal_read *read,
                   struct mr_error *error)
{
    struct mr_helper_report report;
    struct mr_error why = {.text = ""};
    const uint64_t round = read->terms.announcement.round;
    if (run->last_life.round == round) {
        return forget_again(run, read, error);
    }
    if (read->state.phase == MR_JOURNAL_ADMITTING &&
        mr_claims_released(&run->context, &read->terms)) {
        mr_error_set(&why, "a set of it was opened, and the journal is from before that");
    }
    if (read->terms.announcement.audit_hours > 0 &&
        mr_audit_shelf_recover(run->shelf, round, error) != 0) {
        return -1;
    }
    const int taken = !why.text[0] && fits(run, &read->terms, &why)
                          ? mr_helper_recover(run->core, read, &why)
                          : 1;
    if (taken < 0) {
        return mr_error_set(error, "round %" PRIu64 " cannot be taken up: %.300s", round, why.text);
    }
    if (taken > 0) {
        lose(run, round, why.text);
        return mr_journal_wipe(run->journal, error) != 0 ? -1 : end_lost(run, error);
    }
    mr_helper_report(run->core, &report);
    if (report.state == MR_HELPER_ADMITTING) {
        for (uint32_t i = 0; i < read->state.count; i++) {
            mr_claims_keep(&run->context, &read->terms, &read->state.entries[i].included, 1);
        }
    }
    mr_log_event(run->context.log, MR_LOG_INFO, "helper.recovered",
                 "task=%s round=%" PRIu64 " state=%s admitted=%u included=%u", run->context.task,
                 round, mr_helper_state_name(report.state), report.admitted, report.included);
    return 0;
}

/* Whether the last round was given up before this process started, and why. */
static int read_last_life(struct mr_helper_driver *run, struct mr_error *error)
{
    struct mr_helper_last *last = &run->last_life;
    struct mr_lead_end end;
    const uint64_t round = mr_store_signed_round(run->context.store, last->hash);
    char *text = NULL;
    if (mr_store_read_round(run->context.store, round, &text, error) < 0) {
        return -1;
    }
    if (text && mr_record_end(&end, text) == 0 && end.voided) {
        last->round = round;
        snprintf(last->given_up, sizeof last->given_up, "%s", end.reason);
        last->lost = mr_lost_round_said(end.reason);
    }
    free(text);
    return 0;
}

/* A journal is written before the transcript, so that one which knows less of its round than the
 * transcript does is an older one. */
static void look_at_age(struct mr_helper_driver *run, const struct mr_journal_read *read)
{
    struct mr_older older = {.unix_ms = mr_round_unix_ms(),
                             .round = read->terms.announcement.round};
    if (run->context.age && !mr_older(&run->context) && read->state.phase == MR_JOURNAL_ADMITTING &&
        mr_evidence_has_set(run->desk, read->terms.announcement.round)) {
        snprintf(older.why, sizeof older.why,
                 "its journal has no set of round %" PRIu64 ", for which its transcript has one: "
                 "the journal is an older copy",
                 older.round);
        mr_older_found(&run->context, NULL, &older);
    }
}

int mr_helper_driver_boot(struct mr_helper_driver *run, struct mr_error *error)
{
    struct mr_journal_read read;
    uint8_t hash[MR_HASH_BYTES];
    if (mr_disk_file_open(&run->disk, run->context.data_dir, error) != 0 ||
        read_last_life(run, error) != 0) {
        return -1;
    }
    error->text[0] = '\0';
    mr_helper_driver_wait_for_lead(run, true);
    const int found = mr_helper_journal_open(&run->journal, mr_disk_file_ops(run->disk),
                                             run->context.private_key, &read, error);
    if (found == MR_JOURNAL_OTHER_VERSION) {
        if (mr_lost_round_refuse(&run->context, "journal-0 and journal-1", error) != 0) {
            return -1;
        }
    } else if (found > 0 && error->text[0]) {
        lose(run, mr_store_signed_round(run->context.store, hash), error->text);
    }
    if (found != 0) {
        return found < 0 || mr_audit_shelf_recover(run->shelf, 0, error) != 0
                   ? -1
                   : end_lost(run, error);
    }
    look_at_age(run, &read);
    int result = 0;
    if (mr_older(&run->context)) { /* nothing of it is ever answered again */
        run->left = read.terms;
        run->has_left = run->last_life.round != read.terms.announcement.round;
    } else {
        result = recover(run, &read, error);
    }
    mr_journal_read_fini(&read);
    return result;
}
