#include "edge-client/session/lineage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "edge-client/session/control.h"
#include "edge-client/session/outcome.h"
#include "wire/epsilon.h"
#include "wire/exchange.h"
#include "wire/model_line.h"

#define WHY_BYTES 240

/* `line`: what it is counted on, the model or its evaluations (wire/model_line.h). */
static struct mr_counted counted_in(const struct mr_announcement *round, const uint8_t *hash,
                                    const uint8_t *line)
{
    struct mr_counted counted = {.round = round->round};
    memcpy(counted.parent, line, MR_HASH_BYTES);
    memcpy(counted.announcement, hash, MR_HASH_BYTES);
    memcpy(counted.task, round->task, sizeof counted.task);
    memcpy(counted.pool, round->privacy.pool, sizeof counted.pool);
    counted.rho = round->privacy.rho;
    return counted;
}

static enum mre_result no_line(struct mre_outcome *outcome)
{
    return mr_outcome_set(outcome, MRE_FAILED, "SHA-256 failed in OpenSSL");
}

/* --- words ----------------------------------------------------------------------------------- */

static enum mre_result awaits(struct mre_outcome *outcome, const struct mr_counted *wanted,
                              const struct mr_counted *before, const char *why)
{
    char parent[2 * MR_HASH_BYTES + 1], which[64] = "an earlier round";
    mr_hex_encode(parent, wanted->parent, MR_HASH_BYTES);
    if (before->round) {
        snprintf(which, sizeof which, "round %" PRIu64 " of %s", before->round, before->task);
    }
    snprintf(outcome->code, sizeof outcome->code, "lineage");
    return mr_outcome_set(outcome, MRE_AWAITS_MODEL,
                          "this device may have been counted in %s on the model %.16s, which round "
                          "%" PRIu64 " starts from again: %s. The next model is waited for",
                          which, parent, wanted->round, why);
}

static const char *lost(const struct mr_ledger_obstacle *obstacle)
{
    return obstacle->own ? "what this device knew of that was lost"
                         : "what another task of this device knew of that was lost, and that task "
                           "has seen no model since";
}

/* What a hub said in place of the statement. */
static void tell_lack(char why[WHY_BYTES], const struct mr_announced_hub *hub,
                      const struct mr_round_end *end)
{
    static const char *const states[] = {[MR_ROUND_UNDER_WAY] = "it is under way",
                                         [MR_ROUND_PUBLISHED] = "it was published",
                                         [MR_ROUND_VOID] = "it was given up"};
    snprintf(why, WHY_BYTES, "hub %u has not signed that it did not open that round (%s%s)",
             hub->index, states[end->state],
             end->unopened ? ", and the signature does not hold" : "");
}

/* --- asking ---------------------------------------------------------------------------------- */

/* Asks hub `position`, again and again until the deadline where it is away or busy. 0: it has said
 * so. MRE_AWAITS_MODEL with `why`: it says otherwise. */
static enum mre_result ask_hub(struct mre_client *client, unsigned position,
                               const struct mr_counted *before, uint64_t deadline_unix_ms,
                               char why[WHY_BYTES], struct mre_outcome *outcome)
{
    const struct mr_announced_hub *hub = &client->pinned[position];
    struct mr_round_end end;
    unsigned times = 0;
    enum mre_result result;
    do {
        result = mr_control_reach(client, position, deadline_unix_ms, outcome);
        if (!result) {
            result = mr_control_end(client, position, before->round, 0, &end, outcome);
        }
    } while (mr_control_again(client, result, deadline_unix_ms, &times, outcome));
    if (result == MRE_UNREACHABLE || result == MRE_CERTIFICATE_REFUSED) {
        return result;
    }
    if (result) {
        snprintf(why, WHY_BYTES, "hub %u has not signed that it did not open that round (%.150s)",
                 hub->index, outcome->text);
        return MRE_AWAITS_MODEL;
    }
    if (end.unopened &&
        mr_unopened_verify(end.signature, before->announcement, hub->public_key) == 0) {
        return MRE_OK;
    }
    tell_lack(why, hub, &end);
    return MRE_AWAITS_MODEL;
}

static enum mre_result ask_all(struct mre_client *client, const struct mr_counted *wanted,
                               const struct mr_counted *before, uint64_t deadline_unix_ms,
                               struct mre_outcome *outcome)
{
    char why[WHY_BYTES];
    for (unsigned i = 0; i < client->hub_count; i++) {
        const enum mre_result result = ask_hub(client, i, before, deadline_unix_ms, why, outcome);
        if (result == MRE_AWAITS_MODEL) {
            return awaits(outcome, wanted, before, why);
        }
        if (result) {
            return result;
        }
    }
    return MRE_OK;
}

/* Only the hubs of its own task can be asked, whose keys this client has. */
static enum mre_result judge(struct mre_client *client, const struct mr_counted *wanted,
                             const struct mr_ledger_obstacle *obstacle, uint64_t deadline_unix_ms,
                             struct mre_outcome *outcome)
{
    const struct mr_counted *before = &obstacle->counted;
    struct mr_error error;
    if (!before->round) {
        return awaits(outcome, wanted, before, lost(obstacle));
    }
    if (!obstacle->own) {
        return awaits(outcome, wanted, before, "two tasks on one model count as one");
    }
    const enum mre_result result = ask_all(client, wanted, before, deadline_unix_ms, outcome);
    if (!result && mr_ledger_clear(&client->ledger, before, &error)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    return result;
}

/* The device's own count, whatever the hubs' say. Where what was spent comes back after a time, the
 * count here knows nothing of that, and only the hubs' stands. */
enum mre_result mr_lineage_pay(struct mre_client *client, const struct mr_round_terms *terms,
                               struct mre_outcome *outcome)
{
    const struct mr_announcement *round = &terms->announcement;
    const struct mr_privacy_terms *privacy = &round->privacy;
    struct mr_model_line line;
    if (mr_model_line(&line, round) != 0) {
        return no_line(outcome);
    }
    const struct mr_counted wanted = counted_in(round, terms->hash, line.own);
    struct mr_error error;
    mr_rho spent = 0;
    if (round->noise_kind == MR_NOISE_NONE || privacy->horizon_s != 0 ||
        mr_ledger_has(&client->ledger, &wanted)) {
        return MRE_OK;
    }
    if (mr_ledger_spent(&client->ledger, privacy->pool, &spent, &error)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    if (mr_rho_add(spent, privacy->rho) <= privacy->budget) {
        return MRE_OK;
    }
    snprintf(outcome->code, sizeof outcome->code, "budget");
    return mr_outcome_set(
        outcome, MRE_NOT_ACCEPTED,
        "by this device's own count epsilon %.4g of %.4g is spent in pool %s (delta %.3g), and "
        "round %" PRIu64 " costs more than what is left: rho %.6g of %.6g; nothing was trained or "
        "sent",
        mr_epsilon_of(spent, (double)privacy->delta, round->noise_kind),
        mr_epsilon_of(privacy->budget, (double)privacy->delta, round->noise_kind), privacy->pool,
        (double)privacy->delta, round->round, mr_rho_value(privacy->rho),
        mr_rho_value(spent < privacy->budget ? privacy->budget - spent : 0));
}

/* Whether it is counted in another round on that line. */
static enum mre_result check_line(struct mre_client *client, const struct mr_round_terms *terms,
                                  const uint8_t *line, struct mre_outcome *outcome)
{
    const struct mr_counted wanted = counted_in(&terms->announcement, terms->hash, line);
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    for (;;) {
        const int found = mr_ledger_obstacle(&client->ledger, &wanted, &obstacle, &error);
        if (found < 0) {
            return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
        }
        if (!found) {
            outcome->code[0] = 0; /* of a hub that was busy */
            return MRE_OK;
        }
        const enum mre_result result =
            judge(client, &wanted, &obstacle, terms->announcement.deadline_unix_ms, outcome);
        if (result) {
            return result;
        }
    }
}

enum mre_result mr_lineage_check(struct mre_client *client, const struct mr_round_terms *terms,
                                 struct mre_outcome *outcome)
{
    struct mr_model_line line;
    if (mr_model_line(&line, &terms->announcement) != 0) {
        return no_line(outcome);
    }
    const enum mre_result result = check_line(client, terms, line.own, outcome);
    return result || !line.looks ? result : check_line(client, terms, line.also, outcome);
}

enum mre_result mr_lineage_claim(struct mre_client *client, const struct mr_round_terms *terms,
                                 struct mre_outcome *outcome)
{
    struct mr_model_line line;
    if (mr_model_line(&line, &terms->announcement) != 0) {
        return no_line(outcome);
    }
    const struct mr_counted wanted = counted_in(&terms->announcement, terms->hash, line.own);
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    const int found = mr_ledger_claim(&client->ledger, &wanted, &obstacle, &error);
    if (found < 0) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    return found ? awaits(outcome, &wanted, &obstacle.counted,
                          obstacle.counted.round ? "another task of this device took part meanwhile"
                                                 : lost(&obstacle))
                 : MRE_OK;
}
