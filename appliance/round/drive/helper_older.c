/* helper_older.c - a helper that does nothing any more, because the hub stops or is older than
 * itself; and how it recovers. */
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/standings.h"

void mr_helper_driver_halt(struct mr_helper_driver *run)
{
    run->stopping = true;
    if (run->desk) {
        mr_evidence_desk_halt(run->desk);
    }
    if (run->keeper) {
        mr_keeper_halt(run->keeper);
    }
}

bool mr_helper_driver_older(const struct mr_helper_driver *run, struct mr_refusal *refusal)
{
    return mr_older(&run->context) && mr_older_refuse(&run->context, refusal) != MR_REFUSAL_NONE;
}

/* What the round waits for is answered by nobody any more: not in this process. */
static void find_older(struct mr_helper_driver *run, const struct mr_older *older)
{
    struct mr_refusal refusal;
    mr_older_found(&run->context, run->jobs, older);
    mr_helper_driver_halt(run);
    mr_older_refuse(&run->context, &refusal);
    mr_helper_dismiss(run->core, refusal.code, refusal.text);
}

void mr_helper_driver_hear(struct mr_helper_driver *run, uint16_t from, const char *word)
{
    struct mr_older older;
    if (run->stopping || run->recovering) {
        return;
    }
    if (mr_older(&run->context)) {
        mr_standings_learn(run->desk, &run->context, from, word);
    } else if (mr_standings_take(run->desk, &run->context, from, word, &older)) {
        find_older(run, &older);
    }
}

void mr_helper_driver_say(const struct mr_helper_driver *run, uint16_t to,
                          char word[MR_STANDINGS_TEXT])
{
    mr_standings_say(run->desk, &run->context, to, word);
}

void mr_helper_driver_stand(struct mr_helper_driver *run, void *token)
{
    const struct mr_evidence_held held = {.token = token};
    mr_evidence_pass(run->desk, &held);
}

static int wipe(void *driver, struct mr_error *error)
{
    struct mr_helper_driver *run = driver;
    return mr_journal_wipe(run->journal, error);
}

/* The round that was left is void, as its record says. */
static void on_recovered(void *driver, const struct mr_recovered *recovered)
{
    struct mr_helper_driver *run = driver;
    struct mr_round_summary stored;
    struct mr_error error;
    const uint64_t round = run->left.announcement.round;
    (void)recovered;
    if (run->has_left && mr_round_record_read(run->context.store, round, &stored, &error) == 0) {
        *mr_round_history_current(&run->history, round) = stored;
    }
    if (run->has_left) {
        run->last_life.round = round;
        mr_recovery_reason(run->last_life.given_up);
    }
    run->has_left = false;
}

static void answer(void *context, void *token, int result, const struct mr_recovered *recovered,
                   bool halted, const struct mr_error *error)
{
    struct mr_helper_driver *run = context;
    run->recovering = false;
    if (result != 0) {
        mr_round_fatal(&run->context, "cannot recover", error);
    } else {
        run->listener.recovered(run->listener.context, token, recovered, halted);
    }
}

enum mr_refusal_code mr_helper_driver_recover(struct mr_helper_driver *run, bool accepted,
                                              void *token, struct mr_refusal *refusal)
{
    const struct mr_round_terms *terms = mr_helper_terms(run->core);
    const struct mr_recovery_config config = {.context = &run->context,
                                              .desk = run->desk,
                                              .jobs = run->jobs,
                                              .terms = run->has_left ? &run->left : terms,
                                              .halted = run->stopping,
                                              .wipe = wipe,
                                              .recovered = on_recovered,
                                              .driver = run};
    if (run->recovering || !run->jobs) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the task is being recovered, or the hub stops");
    }
    const enum mr_refusal_code code = mr_recovery_check(&run->context, accepted, refusal);
    if (code == MR_REFUSAL_NONE) {
        run->recovering = true;
        mr_recovery(&config, answer, run, token);
    }
    return code;
}
