/* audit_spent.c - what a hub debited adds up, and no device has paid more than the budget.
 *
 * A hub's debits are those that it has on record itself, and those without which it could not have
 * sent an opening that another hub has on record: a copy that was put back, and a recovery, give no
 * budget back. The order is that of the hub's clock; a debit with a horizon is taken for returned
 * as early as it can have been. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"
#include "base/bytes.h"

/* One round that the devices of its set have paid one hub for. */
struct payment {
    uint16_t hub;
    bool own; /* the hub has it on record itself */
    bool returned;
    const struct audit_chain *chain; /* who has it on record */
    const struct audit_round *round;
    const struct audit_record *record;
    uint64_t unix_ms;    /* not before the debit */
    uint64_t returns_ms; /* not after it counts no more; UINT64_MAX: it counts for ever */
};

struct payments {
    struct payment *list;
    size_t count, room;
};

/* What the devices of one pool have spent; rising by client. */
struct spent {
    struct {
        uint8_t client_id[MR_CLIENT_ID_BYTES];
        mr_rho rho;
    } * entries;
    size_t count;
};

static const struct mr_privacy_terms *privacy_of(const struct payment *payment)
{
    return &payment->round->terms.announcement.privacy;
}

/* --- which there are ------------------------------------------------------------------------- */

static int add(struct audit *audit, struct payments *payments, const struct payment *payment)
{
    if (payments->count == payments->room) {
        const size_t room = 2 * payments->room + 64;
        struct payment *list = realloc(payments->list, room * sizeof *list);
        if (!list) {
            return mr_audit_no_memory(audit);
        }
        payments->list = list;
        payments->room = room;
    }
    payments->list[payments->count++] = *payment;
    return 0;
}

/* The round as one chain has it: this hub's payment, and those of hubs that it saw open. */
static int collect_round(struct audit *audit, struct payments *payments,
                         const struct audit_chain *chain, const struct audit_round *round,
                         uint64_t *clock_ms)
{
    const struct mr_announcement *announcement = &round->terms.announcement;
    const uint64_t horizon_ms = announcement->privacy.horizon_s * UINT64_C(1000);
    struct payment payment = {.chain = chain, .round = round, .returns_ms = UINT64_MAX};
    int result = 0;
    if (announcement->noise_kind == MR_NOISE_NONE || !round->counted) {
        return 0;
    }
    if (horizon_ms != 0) {
        payment.returns_ms = round->announced->at.unix_ms + horizon_ms;
    }
    for (unsigned i = 0; i < announcement->hub_count && result == 0; i++) {
        payment.hub = announcement->hubs[i].index;
        payment.own = payment.hub == chain->owner.hub;
        payment.record = payment.own ? round->debited : round->opened[i];
        if (payment.record) {
            *clock_ms =
                payment.record->at.unix_ms > *clock_ms ? payment.record->at.unix_ms : *clock_ms;
            payment.unix_ms = *clock_ms;
            result = add(audit, payments, &payment);
        }
    }
    return result;
}

static int collect(struct audit *audit, struct payments *payments)
{
    int result = 0;
    for (unsigned i = 0; i < audit->chains_count && result == 0; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        uint64_t clock_ms = 0;
        for (size_t j = 0; j < chain->rounds_count && result == 0; j++) {
            result = collect_round(audit, payments, chain, chain->rounds[j], &clock_ms);
        }
    }
    return result;
}

/* By hub and round; the hub's own word first. */
static int compare_rounds(const void *a, const void *b)
{
    const struct payment *left = a, *right = b;
    const int hash = memcmp(left->round->terms.hash, right->round->terms.hash, MR_HASH_BYTES);
    return left->hub != right->hub ? (left->hub > right->hub) - (left->hub < right->hub)
           : hash != 0             ? hash
                                   : (int)right->own - (int)left->own;
}

static void keep_one_of_each(struct payments *payments)
{
    size_t kept = 0;
    qsort(payments->list, payments->count, sizeof *payments->list, compare_rounds);
    for (size_t i = 0; i < payments->count; i++) {
        const struct payment *payment = &payments->list[i];
        if (kept == 0 || payments->list[kept - 1].hub != payment->hub ||
            memcmp(payments->list[kept - 1].round->terms.hash, payment->round->terms.hash,
                   MR_HASH_BYTES) != 0) {
            payments->list[kept++] = *payment;
        }
    }
    payments->count = kept;
}

/* By hub, pool and time. */
static int compare_times(const void *a, const void *b)
{
    const struct payment *left = a, *right = b;
    const int pool = strcmp(privacy_of(left)->pool, privacy_of(right)->pool);
    return left->hub != right->hub ? (left->hub > right->hub) - (left->hub < right->hub)
           : pool != 0             ? pool
           : left->unix_ms != right->unix_ms
               ? (left->unix_ms > right->unix_ms) - (left->unix_ms < right->unix_ms)
               : (left->round->ledger_records > right->round->ledger_records) -
                     (left->round->ledger_records < right->round->ledger_records);
}

/* --- what they add up to --------------------------------------------------------------------- */

static int spends_too_much(struct audit *audit, const struct payment *payment,
                           const uint8_t *client_id, mr_rho before)
{
    char client[2 * MR_CLIENT_ID_BYTES + 1];
    mr_hex_encode(client, client_id, MR_CLIENT_ID_BYTES);
    mr_audit_wrong(audit, payment->chain, payment->record,
                   "hub %u opened round %llu of task %s, which costs %llu, with device %s: of the "
                   "budget of %llu in pool %s it had debited the device %llu before, the rounds "
                   "included that it forgot by going back to a copy",
                   payment->hub, (unsigned long long)payment->round->round,
                   payment->chain->owner.task, (unsigned long long)privacy_of(payment)->rho, client,
                   (unsigned long long)privacy_of(payment)->budget, privacy_of(payment)->pool,
                   (unsigned long long)before);
    audit->result->hub = payment->hub;
    return -1;
}

/* The set pays: it is merged with the entries into `merged`, which has room for both. */
static int pay(struct audit *audit, struct spent *merged, const struct spent *spent,
               const struct payment *payment)
{
    const struct audit_round *round = payment->round;
    size_t at = 0;
    for (uint32_t i = 0; i < round->set_count; i++) {
        const uint8_t *client_id = round->set[i].client_id;
        int order = 1;
        while (at < spent->count &&
               (order = memcmp(spent->entries[at].client_id, client_id, MR_CLIENT_ID_BYTES)) < 0) {
            merged->entries[merged->count++] = spent->entries[at++];
        }
        const mr_rho before = at < spent->count && order == 0 ? spent->entries[at++].rho : 0;
        const mr_rho after = mr_rho_add(before, privacy_of(payment)->rho);
        if (after > privacy_of(payment)->budget) {
            return spends_too_much(audit, payment, client_id, before);
        }
        memcpy(merged->entries[merged->count].client_id, client_id, MR_CLIENT_ID_BYTES);
        merged->entries[merged->count++].rho = after;
    }
    while (at < spent->count) {
        merged->entries[merged->count++] = spent->entries[at++];
    }
    return 0;
}

static int pay_all(struct audit *audit, struct spent *spent, const struct payment *payment)
{
    const size_t room = spent->count + payment->round->set_count;
    struct spent merged = {.entries = calloc(room, sizeof *merged.entries)};
    if (!merged.entries) {
        return mr_audit_no_memory(audit);
    }
    const int result = pay(audit, &merged, spent, payment);
    free(spent->entries);
    *spent = merged;
    return result;
}

/* Every device of the set is in the entries. */
static void give_back(struct spent *spent, struct payment *payment)
{
    const struct audit_round *round = payment->round;
    uint32_t i = 0;
    for (size_t at = 0; at < spent->count && i < round->set_count; at++) {
        if (memcmp(spent->entries[at].client_id, round->set[i].client_id, MR_CLIENT_ID_BYTES) ==
            0) {
            spent->entries[at].rho -= privacy_of(payment)->rho;
            i++;
        }
    }
    payment->returned = true;
}

/* Payments of one hub and pool, as time goes. */
static int check_pool(struct audit *audit, struct payment *list, size_t count)
{
    struct spent spent = {.count = 0};
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!list[j].returned && list[j].returns_ms <= list[i].unix_ms) {
                give_back(&spent, &list[j]);
            }
        }
        result = pay_all(audit, &spent, &list[i]);
    }
    free(spent.entries);
    return result;
}

int mr_audit_spent(struct audit *audit)
{
    struct payments payments = {.count = 0};
    int result = collect(audit, &payments);
    if (result == 0 && payments.count > 0) {
        keep_one_of_each(&payments);
        qsort(payments.list, payments.count, sizeof *payments.list, compare_times);
    }
    for (size_t first = 0, end; first < payments.count && result == 0; first = end) {
        const struct payment *of = &payments.list[first];
        for (end = first + 1;
             end < payments.count && payments.list[end].hub == of->hub &&
             strcmp(privacy_of(&payments.list[end])->pool, privacy_of(of)->pool) == 0;
             end++) {
        }
        result = check_pool(audit, &payments.list[first], end - first);
    }
    free(payments.list);
    return result;
}
