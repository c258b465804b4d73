/* audit.c - the hubs' chains against each other. */
#include "appliance/privacy/audit.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"
#include "appliance/privacy/part.h"

#define SAME(a, b) (memcmp(a, b, MR_HASH_BYTES) == 0)

/* --- one round, two hubs --------------------------------------------------------------------- */

struct pair {
    struct audit *audit;
    const struct audit_chain *left, *right;
    const struct audit_round *a, *b; /* what each says of the round */
};

static int differ(const struct pair *pair, const struct audit_record *record, const char *what)
{
    return mr_audit_wrong(pair->audit, pair->right, record, "hub %u and hub %u %s in round %llu",
                          pair->left->owner.hub, pair->right->owner.hub, what,
                          (unsigned long long)pair->a->round);
}

/* It is that hub's doing, whoever has it on record. */
static int blame(const struct pair *pair, uint16_t hub, const struct audit_record *record,
                 const char *what)
{
    mr_audit_wrong(pair->audit, pair->right, record,
                   "hub %u %s in round %llu: hub %u has the one, hub %u the other", hub, what,
                   (unsigned long long)pair->a->round, pair->left->owner.hub,
                   pair->right->owner.hub);
    pair->audit->result->hub = hub;
    return -1;
}

static int compare_hub(const struct pair *pair, unsigned i)
{
    const struct audit_round *a = pair->a, *b = pair->b;
    const uint16_t hub = a->terms.announcement.hubs[i].index;
    if (a->committed[i] && b->committed[i] &&
        !mr_commitment_same(&a->commitments[i], &b->commitments[i])) {
        return blame(pair, hub, b->committed[i], "signed two commitments");
    }
    return a->opened[i] && b->opened[i] && !SAME(a->seals[i].result_hash, b->seals[i].result_hash)
               ? blame(pair, hub, b->opened[i], "opened two results")
               : 0;
}

static int compare_ends(const struct pair *pair)
{
    const struct audit_round *a = pair->a, *b = pair->b;
    if (a->model && b->model && !SAME(a->model_hash, b->model_hash)) {
        return differ(pair, b->model, "signed different models");
    }
    const uint16_t lead = a->terms.announcement.hubs[0].index;
    const struct audit_round *leads = pair->left->owner.hub == lead    ? a
                                      : pair->right->owner.hub == lead ? b
                                                                       : NULL;
    const struct audit_round *helps = leads == a ? b : a;
    if (leads && leads->model && helps->voided) {
        const struct audit_chain *lead_chain = leads == a ? pair->left : pair->right;
        const struct audit_chain *help_chain = leads == a ? pair->right : pair->left;
        const int position = mr_announcement_hub(&helps->terms.announcement, help_chain->owner.hub);
        if (mr_audit_was_lost(help_chain, a->round)) {
            return 0; /* it gave up what it could not go on with */
        }
        /* A lead can say of any round that it was published: the helper's signature shows it. */
        if (!helps->void_ordered && (position < 0 || !(leads->model_signed & 1u << position))) {
            return 0;
        }
        return helps->void_ordered
                   ? mr_audit_wrong(pair->audit, lead_chain, leads->model,
                                    "hub %u published round %llu, and signed for hub %u that it is "
                                    "void",
                                    lead, (unsigned long long)a->round, help_chain->owner.hub)
                   : mr_audit_wrong(pair->audit, help_chain, helps->voided,
                                    "hub %u gave round %llu up, which hub %u published with its "
                                    "signature",
                                    help_chain->owner.hub, (unsigned long long)a->round, lead);
    }
    return 0;
}

static int compare(const struct pair *pair)
{
    const struct audit_round *a = pair->a, *b = pair->b;
    if (!SAME(a->terms.hash, b->terms.hash)) {
        return differ(pair, b->announced, "signed different announcements");
    }
    if (a->listed && b->listed && !SAME(a->list.hash, b->list.hash)) {
        return blame(pair, a->terms.announcement.hubs[0].index, b->listed,
                     "signed two lists to draw from");
    }
    if (a->counted && b->counted && !SAME(a->set_hash, b->set_hash)) {
        return differ(pair, b->counted, "have different sets");
    }
    for (unsigned i = 0; i < a->terms.announcement.hub_count; i++) {
        if (compare_hub(pair, i) != 0) {
            return -1;
        }
    }
    return compare_ends(pair);
}

/* What one hub has of the other's signing, the other's own transcript must say as well. */
static int check_told(struct audit *audit, const struct audit_chain *chain,
                      const struct audit_round *round, const struct audit_chain *other)
{
    const struct mr_announcement *announcement = &round->terms.announcement;
    unsigned position = 0;
    while (position < announcement->hub_count &&
           announcement->hubs[position].index != other->owner.hub) {
        position++;
    }
    if (position == announcement->hub_count ||
        (!other->from_start &&
         (other->rounds_count == 0 || round->round < other->rounds[0]->round))) {
        return 0; /* not one of the round's, or before what was given of it */
    }
    const struct audit_round *own = mr_audit_find(other, round->round);
    const char *missing = round->committed[position] && (!own || !own->committed[position])
                              ? "its commitment"
                          : round->opened[position] && !own->opened[position]   ? "its opening"
                          : round->model_signed & 1u << position && !own->model ? "its model"
                                                                                : NULL;
    return missing && !mr_audit_was_lost(other, round->round)
               ? mr_audit_wrong(
                     audit, other, NULL,
                     "hub %u has %s of round %llu on record with hub %u's signature, and "
                     "hub %u's own transcript does not: it is an older copy, or records "
                     "were left out",
                     chain->owner.hub, missing, (unsigned long long)round->round, other->owner.hub,
                     other->owner.hub)
               : 0;
}

static int compare_chains(struct audit *audit, const struct audit_chain *left,
                          const struct audit_chain *right)
{
    if (strcmp(left->owner.task, right->owner.task) != 0) {
        return 0;
    }
    for (size_t i = 0; i < left->rounds_count; i++) {
        const struct audit_round *a = left->rounds[i];
        const struct audit_round *b = mr_audit_find(right, a->round);
        const struct pair pair = {audit, left, right, a, b};
        if ((b && compare(&pair) != 0) || check_told(audit, left, a, right) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < right->rounds_count; i++) {
        if (check_told(audit, right, right->rounds[i], left) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static int check_all(struct audit *audit, const struct mr_audit_file *files, unsigned count)
{
    struct mr_audit_result *result = audit->result;
    if (mr_audit_read(audit, files, count) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < audit->chains_count; i++) {
        struct audit_chain *chain = &audit->chains[i];
        result->records += chain->records_count;
        result->torn += chain->torn;
        result->tasks += i == 0 || strcmp(chain[-1].owner.task, chain->owner.task) != 0;
        result->hubs += 1;
        for (unsigned j = 0; j < i; j++) {
            if (audit->chains[j].owner.hub == chain->owner.hub) {
                result->hubs -= 1;
                break;
            }
        }
        if (mr_audit_rounds(audit, chain) != 0) {
            return -1;
        }
    }
    for (unsigned i = 0; i < audit->chains_count; i++) {
        for (unsigned j = i + 1; j < audit->chains_count; j++) {
            if (compare_chains(audit, &audit->chains[i], &audit->chains[j]) != 0) {
                return -1;
            }
        }
    }
    return mr_audit_ages(audit) != 0 || mr_audit_debits(audit) != 0 || mr_audit_spent(audit) != 0
               ? -1
               : mr_audit_released(audit);
}

static void free_all(struct audit *audit)
{
    for (unsigned i = 0; i < audit->chains_count; i++) {
        struct audit_chain *chain = &audit->chains[i];
        for (size_t j = 0; j < chain->rounds_count; j++) {
            free(chain->rounds[j]->set);
            free(chain->rounds[j]);
        }
        free(chain->rounds);
        free(chain->records);
    }
    free(audit->chains);
}

int mr_audit(struct mr_audit_result *result, const struct mr_audit_file *files,
             unsigned files_count, const struct mr_audit_key *keys, unsigned keys_count,
             struct mr_error *error)
{
    const struct mr_audit_input input = {
        .files = files, .files_count = files_count, .keys = keys, .keys_count = keys_count};
    return mr_audit_parts(result, &input, error);
}

int mr_audit_parts(struct mr_audit_result *result, const struct mr_audit_input *input,
                   struct mr_error *error)
{
    struct audit audit = {
        .result = result, .keys = input->keys, .keys_count = input->keys_count, .error = error};
    *result = (struct mr_audit_result){.hub = -1};
    int checked = check_all(&audit, input->files, input->files_count);
    for (unsigned i = 0; checked == 0 && i < input->parts_count; i++) {
        checked = mr_audit_part(&audit, &input->parts[i]);
    }
    free_all(&audit);
    result->good = checked == 0;
    if (result->good) {
        result->file = NULL;
    }
    return checked == 0 || *result->what != '\0' ? 0 : -1;
}
