/* audit_debits.c - a hub's ledger, as its debits in all tasks tell of it: it only ever grew,
 * but where the hub says that it recovered from a copy. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"

struct debit {
    const struct audit_chain *chain;
    const struct audit_round *round;
};

/* By hub, and as the hub recorded them. */
static int compare_debits(const void *a, const void *b)
{
    const struct debit *left = a, *right = b;
    const uint16_t hubs[2] = {left->chain->owner.hub, right->chain->owner.hub};
    const uint64_t records[2] = {left->round->ledger_records, right->round->ledger_records};
    return hubs[0] != hubs[1] ? (hubs[0] > hubs[1]) - (hubs[0] < hubs[1])
                              : (records[0] > records[1]) - (records[0] < records[1]);
}

/* Two releases are two records: as many records with another round means that the ledger had gone
 * back in between. */
static int check_pair(struct audit *audit, const struct debit *first, const struct debit *second)
{
    const struct audit_place places[2] = {{first->chain, first->round->debited},
                                          {second->chain, second->round->debited}};
    if (mr_audit_recovered_between(audit, &places[0], &places[1])) {
        return 0;
    }
    return mr_audit_wrong(audit, second->chain, second->round->debited,
                          "hub %u's ledger had %llu records after round %llu of task %s, and no "
                          "more after round %llu of task %s: an older copy was put in its place, "
                          "and the hub does not say that it recovered",
                          second->chain->owner.hub,
                          (unsigned long long)second->round->ledger_records,
                          (unsigned long long)first->round->round, first->chain->owner.task,
                          (unsigned long long)second->round->round, second->chain->owner.task);
}

/* The debits at i and after it with the same number of records, of one hub. */
static int check_same(struct audit *audit, const struct debit *list, size_t count, size_t i)
{
    int result = 0;
    for (size_t j = i + 1; j < count && result == 0 && compare_debits(&list[i], &list[j]) == 0;
         j++) {
        result = check_pair(audit, &list[i], &list[j]);
    }
    return result;
}

/* In one chain the later round has the later record. */
static int check_order(struct audit *audit, const struct audit_chain *chain,
                       const struct audit_round *before, const struct audit_round *round)
{
    const struct audit_place places[2] = {{chain, before->debited}, {chain, round->debited}};
    if (round->ledger_records > before->ledger_records ||
        mr_audit_recovered_between(audit, &places[0], &places[1])) {
        return 0;
    }
    return mr_audit_wrong(
        audit, chain, round->debited,
        "hub %u's ledger had %llu records after round %llu, %llu after round %llu: an older copy "
        "was put in its place, and the hub does not say that it recovered",
        chain->owner.hub, (unsigned long long)before->ledger_records,
        (unsigned long long)before->round, (unsigned long long)round->ledger_records,
        (unsigned long long)round->round);
}

static int check_chain(struct audit *audit, const struct audit_chain *chain)
{
    const struct audit_round *before = NULL;
    for (size_t i = 0; i < chain->rounds_count; i++) {
        const struct audit_round *round = chain->rounds[i];
        if (!round->debited) {
            continue;
        }
        audit->result->debits++;
        if (before && check_order(audit, chain, before, round) != 0) {
            return -1;
        }
        before = round;
    }
    return 0;
}

int mr_audit_debits(struct audit *audit)
{
    size_t most = 0, count = 0;
    for (unsigned i = 0; i < audit->chains_count; i++) {
        most += audit->chains[i].rounds_count;
        if (check_chain(audit, &audit->chains[i]) != 0) {
            return -1;
        }
    }
    struct debit *list = malloc((most + 1) * sizeof *list);
    if (!list) {
        return mr_audit_no_memory(audit);
    }
    for (unsigned i = 0; i < audit->chains_count; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        for (size_t j = 0; j < chain->rounds_count; j++) {
            if (chain->rounds[j]->debited) {
                list[count++] = (struct debit){chain, chain->rounds[j]};
            }
        }
    }
    qsort(list, count, sizeof *list, compare_debits);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = check_same(audit, list, count, i);
    }
    free(list);
    return result;
}
